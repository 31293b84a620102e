//! The summary of one run of one stanza, or, where a run does not end, of a part of
//! it: for the health pages and for alerting on a feed that fails or has fallen silent.

mod stream;

pub use stream::StreamReporter;

use crate::bridge::input::prepare::{Ownership, PreparedInput};
use crate::ingest;
use crate::ingest::{Checkpoint, Instant, Tally};
use crate::splunk::modular_input::events::EventStream;
use crate::splunk::modular_input::input::Stanza;
use crate::splunk::sourcetype;
use std::fs::File;
use std::io;
use std::time;

/// When a run began.
pub struct Begun {
    pub at: Instant,
    timer: time::Instant,
}

impl Begun {
    pub fn now() -> Self {
        Self {
            at: Instant::from(jiff::Timestamp::now()),
            timer: time::Instant::now(),
        }
    }
}

#[derive(serde::Serialize)]
pub struct Health {
    time: Instant,
    stanza: String,
    /// `ok`, `error`, or `stopped` before its end.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The name of the server that ran; `host` may be set for the input, to the same value everywhere.
    server: String,
    /// The server's GUID; no two servers have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
    #[serde(flatten)]
    details: Option<Details>,
    duration_ms: u64,
    version: &'static str,
}

/// What only a prepared run knows.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Details {
    List(Box<ListDetails>),
    Stream(Box<stream::StreamDetails>),
}

#[derive(serde::Serialize)]
struct ListDetails {
    account: String,
    tenant: String,
    /// From the account's stanza; a forwarder's account is seen nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_expires: Option<String>,
    /// Where the input keeps its position.
    checkpoint: &'static str,
    feed: &'static str,
    api: &'static str,
    events: u64,
    #[serde(flatten)]
    tally: Tally,
    calls: u64,
    throttles: u64,
    retries: u64,
    tokens: u64,
    bytes_received: u64,
    /// How many windows are still to be asked for again.
    open_gaps: usize,
    watermark: Option<Instant>,
    /// Seconds between the newest object delivered and this run.
    lag: Option<i64>,
}

impl Health {
    /// The summary of a stanza that could not be prepared.
    pub fn not_prepared(
        stanza: &Stanza,
        begun: &Begun,
        error: &anyhow::Error,
        ownership: &Ownership,
    ) -> Self {
        Self {
            time: begun.at,
            stanza: stanza.full_name(),
            outcome: "error",
            error: Some(format!("{error:#}")),
            server: ownership.server.clone(),
            owner: ownership.owner.as_ref().map(|owner| owner.guid.clone()),
            warning: ownership.warning.clone(),
            details: None,
            duration_ms: millis(begun),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    pub fn of(
        stanza: &Stanza,
        prepared_input: &PreparedInput,
        checkpoint: &Checkpoint,
        tally: Tally,
        begun: &Begun,
        error: Option<&anyhow::Error>,
        ownership: &Ownership,
    ) -> Self {
        let calls = prepared_input.client.calls();
        let lag = |newest: Instant| (begun.at.millis() - newest.millis()) / 1000;
        Self {
            time: begun.at,
            stanza: stanza.full_name(),
            outcome: match (error, tally.stopped) {
                (Some(_), _) => "error",
                (None, true) => "stopped",
                (None, false) => "ok",
            },
            error: error.map(|error| format!("{error:#}")),
            server: ownership.server.clone(),
            owner: ownership.owner.as_ref().map(|owner| owner.guid.clone()),
            warning: ownership.warning.clone(),
            details: Some(Details::List(Box::new(ListDetails {
                account: prepared_input.input.account.clone(),
                tenant: prepared_input.tenant.clone(),
                secret_expires: prepared_input.secret_expires.clone(),
                checkpoint: prepared_input.input.checkpoint.name(),
                feed: prepared_input.input.feed_name(),
                api: prepared_input.input.feed.api().as_str(),
                events: tally.events(),
                tally,
                calls: calls.calls,
                throttles: calls.throttles,
                retries: calls.retries,
                tokens: calls.tokens,
                bytes_received: calls.bytes,
                open_gaps: checkpoint.gaps.len(),
                watermark: checkpoint.watermark,
                lag: checkpoint.watermark.map(lag),
            }))),
            duration_ms: millis(begun),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// One line for the log.
    pub fn summary(&self) -> String {
        let details = match &self.details {
            None => return self.outcome.to_owned(),
            Some(Details::Stream(details)) => {
                return format!("{}: {}", self.outcome, details.summary());
            }
            Some(Details::List(details)) => details,
        };
        let delivered = details.tally.delivered;
        format!(
            "{}: {} events ({} alerts, {} incidents, {} quarantined) in {} calls and {} ms",
            self.outcome,
            details.events,
            delivered.alerts,
            delivered.incidents,
            delivered.quarantined,
            details.calls,
            self.duration_ms
        )
    }

    pub fn hand_over(&self, sink: &mut EventStream<File>) -> io::Result<()> {
        self.write(sink)?;
        ingest::Sink::flush(sink)
    }

    fn write(&self, sink: &mut EventStream<File>) -> io::Result<()> {
        let json = serde_json::to_string(self)?;
        sink.note(sourcetype::HEALTH, self.time, &json)
    }
}

fn millis(begun: &Begun) -> u64 {
    u64::try_from(begun.timer.elapsed().as_millis()).unwrap_or(u64::MAX)
}
