//! An input's stanza: the text somebody wrote, and what it means.

mod list;
mod stream;

pub use list::{CheckpointPlace, ListInput, api, subject};
pub use stream::{EventHub, Log, Positions, Storage, StorageAccount, StreamInput, stream_of};

use crate::ingest::Instant;
use crate::microsoft::FeedError;
use crate::splunk::modular_input::input::Stanza;
use std::time::Duration;

/// A validated stanza.
#[derive(Debug)]
pub enum Input {
    /// Polls a list of Defender's.
    List(ListInput),
    /// Follows a log until it is asked to stop.
    Stream(StreamInput),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    At(Instant),
    Ago(Duration),
}

/// A parameter that cannot be used: which, why, what to write instead.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("{key}: {why}")]
    Parameter { key: &'static str, why: String },
    #[error(transparent)]
    Feed(#[from] FeedError),
}

fn refuse<T>(key: &'static str, why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Parameter {
        key,
        why: why.into(),
    })
}

/// A word that is none of those known.
fn unknown<T>(key: &'static str, word: &str, known: &[&str]) -> Result<T, Refusal> {
    let word = word.escape_debug();
    refuse(
        key,
        format!("\"{word}\" is not one of {}", known.join(", ")),
    )
}

impl Start {
    pub fn at(self, now: Instant) -> Instant {
        match self {
            Self::At(instant) => instant,
            Self::Ago(age) => now.minus(age),
        }
    }

    /// An instant (`2026-11-01T00:00:00Z`, `2026-11-01`) or an age (`-7d`).
    pub fn parse(text: &str, now: Instant) -> Result<Self, String> {
        if let Some(age) = text.strip_prefix('-') {
            return Ok(Self::Ago(span(age)?));
        }
        let instant: Instant = match text.parse::<jiff::civil::Date>() {
            Ok(day) if text.len() <= 10 => format!("{day}T00:00:00Z").parse(),
            _ => text.parse(),
        }
        .map_err(|_| {
            format!(
                "\"{}\" is neither an instant such as 2026-11-01T00:00:00Z nor an age such as -7d",
                text.escape_debug()
            )
        })?;
        if instant > now {
            return Err(format!(
                "{instant} lies in the future (it is {now} now): nothing would ever be read"
            ));
        }
        Ok(Self::At(instant))
    }
}

/// `90s`, `15m`, `6h`, `7d`, `2w`, or bare seconds.
pub fn span(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let seconds = match text.get(digits.len()..).unwrap_or_default() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => 0,
    };
    let number = digits.parse::<u64>().ok().filter(|_| seconds > 0);
    number
        .and_then(|number| number.checked_mul(seconds))
        .filter(|seconds| *seconds <= 20 * 365 * 86_400)
        .map(Duration::from_secs)
        .ok_or_else(|| {
            format!(
                "\"{}\" is no span of time such as 60s, 15m, 6h or 7d",
                text.escape_debug()
            )
        })
}

/// The words of a feed.
pub const FEEDS: [&str; 4] = ["alerts", "incidents", "event_hub", "storage"];

/// A stanza's parameters as text, without those that are empty.
#[derive(Clone, Copy)]
struct Texts<'s>(&'s Stanza);

impl<'s> Texts<'s> {
    fn text(self, key: &str) -> Option<&'s str> {
        let text = self.0.param(key).map(str::trim);
        text.filter(|text| !text.is_empty())
    }

    /// A list, its values separated by commas; those that are empty are kept.
    fn list(self, key: &str) -> Vec<String> {
        let values = self.0.params.get(key).into_iter().flatten();
        values
            .flat_map(|value| value.split(','))
            .map(|one| one.trim().to_owned())
            .collect()
    }

    fn account(self) -> Result<String, Refusal> {
        match self.text("account") {
            Some(account) => Ok(account.to_owned()),
            None => refuse(
                "account",
                "missing: name a stanza of defender_bridge_account.conf",
            ),
        }
    }

    /// Refuses what an input of this feed cannot have.
    fn without(self, keys: &[(&'static str, &str)]) -> Result<(), Refusal> {
        for (key, only_with) in keys {
            if self.text(key).is_some() {
                return refuse(key, format!("only used with {only_with}: remove it"));
            }
        }
        Ok(())
    }
}

impl Input {
    /// Reads a stanza's parameters; what is absent has its documented default.
    pub fn parse(stanza: &Stanza, now: Instant) -> Result<Self, Refusal> {
        let texts = Texts(stanza);
        // First, as nothing can be done without it.
        texts.account()?;
        match texts.text("feed").unwrap_or("alerts") {
            feed @ ("alerts" | "incidents") => Ok(Self::List(ListInput::parse(texts, feed, now)?)),
            feed @ ("event_hub" | "storage") => {
                Ok(Self::Stream(StreamInput::parse(texts, feed, now)?))
            }
            word => unknown("feed", word, &FEEDS),
        }
    }
}

#[cfg(test)]
mod tests;
