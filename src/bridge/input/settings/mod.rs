//! An input's stanza: the text somebody wrote, and what it means.

use crate::ingest::Instant;
use crate::microsoft::{Feed, FeedError};
use crate::splunk::modular_input::input::Stanza;
use crate::triage::{Api, Subject};
use std::time::Duration;

/// A validated stanza.
#[derive(Debug)]
pub struct Input {
    pub account: String,
    pub feed: Feed,
    /// The instant or age of the first read.
    pub start: Start,
    pub overlap: Duration,
    pub settle: Duration,
    pub checkpoint: Kept,
}

/// Where an input keeps its checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// In a file of the server it runs on.
    Local,
    /// In the KV store, for every search head of a cluster.
    KvStore,
}

impl Kept {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::KvStore => "kvstore",
        }
    }
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

/// What the word of a feed lists.
pub fn subject(feed: &str) -> Option<Subject> {
    match feed {
        "alerts" => Some(Subject::Alert),
        "incidents" => Some(Subject::Incident),
        _ => None,
    }
}

/// The API of this word.
pub fn api(word: &str) -> Option<Api> {
    Api::ALL.into_iter().find(|api| api.as_str() == word)
}

impl Input {
    /// Reads a stanza's parameters; what is absent has its documented default.
    pub fn parse(stanza: &Stanza, now: Instant) -> Result<Self, Refusal> {
        let text = |key: &str| {
            stanza
                .param(key)
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let Some(account) = text("account") else {
            return refuse(
                "account",
                "missing: name a stanza of defender_bridge_account.conf",
            );
        };
        let word = text("feed").unwrap_or("alerts");
        let Some(subject) = subject(word) else {
            return refuse(
                "feed",
                format!(
                    "\"{}\" is not one of alerts, incidents",
                    word.escape_debug()
                ),
            );
        };
        let word = text("api").unwrap_or("graph");
        let Some(api) = api(word) else {
            return refuse(
                "api",
                format!("\"{}\" is not one of graph, mde, xdr", word.escape_debug()),
            );
        };
        let checkpoint = match text("checkpoint").unwrap_or("local") {
            "local" => Kept::Local,
            "kvstore" => Kept::KvStore,
            other => {
                return refuse(
                    "checkpoint",
                    format!("\"{}\" is not one of local, kvstore", other.escape_debug()),
                );
            }
        };
        let sources: Vec<String> = stanza
            .params
            .get("service_sources")
            .into_iter()
            .flatten()
            .flat_map(|value| value.split(','))
            .map(|source| source.trim().to_owned())
            .collect();
        let feed = Feed::new(api, subject, text("min_severity"), &sources)?;
        let duration =
            |key, default: &str| span(text(key).unwrap_or(default)).or_else(|why| refuse(key, why));
        Ok(Self {
            account: account.to_owned(),
            feed,
            start: Start::parse(text("start").unwrap_or("-7d"), now)
                .or_else(|why| refuse("start", why))?,
            overlap: duration("overlap", "15m")?,
            settle: duration("settle", "60s")?,
            checkpoint,
        })
    }

    /// `alerts` or `incidents`.
    pub fn feed_name(&self) -> &'static str {
        match self.feed.subject() {
            Subject::Alert => "alerts",
            Subject::Incident => "incidents",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn stanza(params: &[(&str, &str)]) -> Stanza {
        Stanza {
            scheme: "defender_bridge".into(),
            name: "prod".into(),
            app: None,
            params: params
                .iter()
                .map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()]))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    fn now() -> Instant {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn an_account_is_enough() {
        let input = Input::parse(&stanza(&[("account", "contoso")]), now()).unwrap();
        assert_eq!(input.feed_name(), "alerts");
        assert_eq!(
            input.start.at(now()),
            "2026-11-14T12:00:00Z".parse().unwrap()
        );
        assert_eq!(input.overlap, Duration::from_secs(900));
        assert_eq!(input.settle, Duration::from_secs(60));
        assert_eq!(input.checkpoint, Kept::Local);
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_key_and_a_remedy() {
        for (key, value, word) in [
            ("account", "", "defender_bridge_account.conf"),
            ("feed", "everything", "alerts, incidents"),
            ("api", "soap", "graph, mde, xdr"),
            ("start", "2030-01-01T00:00:00Z", "future"),
            ("start", "last week", "-7d"),
            ("overlap", "ten minutes", "15m"),
            ("settle", "99999999999999999999d", "60s"),
            ("checkpoint", "file", "local, kvstore"),
            ("min_severity", "severe", "high"),
        ] {
            let mut params = vec![("account", "contoso")];
            params.retain(|(given, _)| *given != key);
            params.push((key, value));
            let refusal = Input::parse(&stanza(&params), now())
                .unwrap_err()
                .to_string();
            // The page Inputs shows a refusal at the field whose name comes first.
            assert!(refusal.starts_with(&format!("{key}: ")), "{refusal}");
            assert!(refusal.contains(word), "{refusal}");
        }
        let refusal = Input::parse(
            &stanza(&[("account", "c"), ("feed", "incidents"), ("api", "mde")]),
            now(),
        );
        assert!(refusal.unwrap_err().to_string().contains("xdr"));
    }

    #[test]
    fn a_start_is_an_instant_a_day_or_an_age() {
        for (text, expected) in [
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("2026-11-01T10:00:00.5Z", "2026-11-01T10:00:00.5Z"),
            ("-1h", "2026-11-21T11:00:00Z"),
            ("-30m", "2026-11-21T11:30:00Z"),
        ] {
            let start = Start::parse(text, now()).unwrap();
            assert_eq!(start.at(now()), expected.parse().unwrap(), "{text}");
        }
    }
}
