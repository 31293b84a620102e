//! An input that polls a list: alerts or incidents.

use super::{Refusal, Start, Texts, refuse, span, unknown};
use crate::ingest::Instant;
use crate::microsoft::Feed;
use crate::triage::{Api, Subject};
use std::time::Duration;

#[derive(Debug)]
pub struct ListInput {
    pub account: String,
    pub feed: Feed,
    /// The instant or age of the first read.
    pub start: Start,
    pub overlap: Duration,
    pub settle: Duration,
    pub checkpoint: CheckpointPlace,
}

/// Where an input keeps its checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointPlace {
    /// In a file of the server it runs on.
    Local,
    /// In the KV store, for every search head of a cluster.
    KvStore,
}

impl CheckpointPlace {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::KvStore => "kvstore",
        }
    }
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

const EVENT_HUB: &str = "feed = event_hub";
const STREAMS: &str = "feed = event_hub or feed = storage";

impl ListInput {
    pub(super) fn parse(texts: Texts<'_>, feed: &str, now: Instant) -> Result<Self, Refusal> {
        let Some(subject) = subject(feed) else {
            return unknown("feed", feed, &super::FEEDS);
        };
        let word = texts.text("api").unwrap_or("graph");
        let Some(api) = api(word) else {
            return unknown("api", word, &["graph", "mde", "xdr"]);
        };
        texts.without(&[
            ("event_hub_namespace", EVENT_HUB),
            ("event_hub", EVENT_HUB),
            ("checkpoint_container", EVENT_HUB),
            ("storage_account", "feed = storage"),
            ("tables", STREAMS),
        ])?;
        let checkpoint = match texts.text("checkpoint").unwrap_or("local") {
            "local" => CheckpointPlace::Local,
            "kvstore" => CheckpointPlace::KvStore,
            "blob" => {
                return refuse(
                    "checkpoint",
                    format!("\"blob\" is only used with {EVENT_HUB}: write local or kvstore"),
                );
            }
            other => return unknown("checkpoint", other, &["local", "kvstore"]),
        };
        let sources = texts.list("service_sources");
        let feed = Feed::new(api, subject, texts.text("min_severity"), &sources)?;
        let duration = |key, default: &str| {
            span(texts.text(key).unwrap_or(default)).or_else(|why| refuse(key, why))
        };
        Ok(Self {
            account: texts.account()?,
            feed,
            start: Start::parse(texts.text("start").unwrap_or("-7d"), now)
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
