//! The health of a run that does not end: what it did since it was told last.

use super::{Begun, Details, Health, millis};
use crate::bridge::input::prepare::Ownership;
use crate::bridge::input::stream::{PreparedStream, StorageProgress};
use crate::ingest::Instant;
use crate::ingest::stream::{PartitionReport, Report, Reporter, Tally, WriteReport};
use crate::splunk::modular_input::events::EventStream;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

/// Partitions an event tells of at most: those that lag most.
const MOST_PARTITIONS: usize = 32;
/// Trouble that has lasted for so long is an error.
const LASTING: Duration = Duration::from_secs(60);
/// What one throughput unit lets through to readers in a second.
const UNIT_BYTES: u64 = 2_000_000;
const UNIT_MESSAGES: u64 = 4_096;

#[derive(serde::Serialize)]
pub(super) struct StreamDetails {
    account: String,
    tenant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_expires: Option<String>,
    /// Where positions are kept.
    checkpoint: &'static str,
    feed: &'static str,
    /// Which hub or storage account.
    log: String,
    events: u64,
    #[serde(flatten)]
    tally: Tally,
    #[serde(flatten)]
    storage: Option<StorageProgress>,
    /// How many partitions there are, and how many are read here.
    partitions: usize,
    owned: usize,
    /// Which ones, where several forwarders share them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owned_partitions: Vec<String>,
    /// Messages that wait to be read, where it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_messages: Option<u64>,
    /// Seconds between the newest record delivered and now, of the partition that lags most;
    /// 0 where nothing waits.
    lag: Option<i64>,
    /// The newest record delivered.
    watermark: Option<Instant>,
    /// Nothing has come since then, and for how many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    silent_since: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silent: Option<i64>,
    /// Something cannot be read since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<Instant>,
    /// Throughput units that what came in this time would take.
    #[serde(skip_serializing_if = "Option::is_none")]
    throughput_units: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lagging: Vec<Lagging>,
}

/// A partition with messages that wait.
#[derive(serde::Serialize)]
struct Lagging {
    partition: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<i64>,
    lag_messages: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<i64>,
}

impl StreamDetails {
    pub fn summary(&self) -> String {
        let delivered = self.tally.delivered;
        format!(
            "{} events ({} records, {} quarantined) in {} messages from {} of {} partitions",
            self.events,
            delivered.records,
            delivered.quarantined,
            self.tally.messages,
            self.owned,
            self.partitions,
        )
    }
}

/// Tells of a streaming stanza at intervals, each time what was done since.
pub struct StreamReporter<'p> {
    stanza: String,
    prepared: &'p PreparedStream,
    ownership: Ownership,
    begun: Instant,
    since: Begun,
    tally: Tally,
    storage: StorageProgress,
    /// The log has what is wrong with the clock.
    is_clock_told: bool,
    last: Report,
}

impl<'p> StreamReporter<'p> {
    pub fn new(stanza: String, prepared: &'p PreparedStream, ownership: Ownership) -> Self {
        let since = Begun::now();
        Self {
            stanza,
            prepared,
            ownership,
            begun: since.at,
            since,
            tally: Tally::default(),
            storage: StorageProgress::default(),
            is_clock_told: false,
            last: Report::default(),
        }
    }

    /// The health at the end of the run.
    pub fn end(mut self, error: Option<&anyhow::Error>) -> Health {
        let report = std::mem::take(&mut self.last);
        self.health(report, "stopped", error.map(|error| format!("{error:#}")))
    }

    /// `well`: the outcome, unless there is an error or trouble that lasts.
    fn health(&mut self, report: Report, well: &'static str, error: Option<String>) -> Health {
        let clock = self.prepared.wrong_clock();
        if let Some(clock) = &clock
            && !std::mem::replace(&mut self.is_clock_told, true)
        {
            tracing::warn!("{clock}");
        }
        let failing = report.failing.as_ref();
        let lasting = failing.filter(|it| it.lasts >= LASTING || report.partitions.is_empty());
        let error = error.or_else(|| lasting.map(|failing| failing.what.clone()));
        let outcome = match error {
            Some(_) => "error",
            None => well,
        };
        let since = std::mem::replace(&mut self.since, Begun::now());
        let now = self.since.at;
        let duration_ms = millis(&since);
        let tally = report.tally.since(&self.tally);
        let storage = self.prepared.storage();
        let mut lags = Lags::of(&report.partitions, now);
        if storage.is_some_and(|storage| storage.waiting_blobs == 0) && report.listed > 0 {
            lags.seconds = Some(0);
        }
        let silent_since = (tally.messages == 0).then(|| report.delivered_at.unwrap_or(self.begun));
        let details = StreamDetails {
            account: self.prepared.input.account.clone(),
            tenant: self.prepared.tenant.clone(),
            secret_expires: self.prepared.secret_expires.clone(),
            checkpoint: self.prepared.input.positions.name(),
            feed: self.prepared.input.feed_name(),
            log: self.prepared.log(),
            events: tally.delivered.events(),
            partitions: report.listed,
            owned: report.partitions.len(),
            owned_partitions: match self.prepared.input.positions.is_shared() {
                true => named(&report.partitions),
                false => Vec::new(),
            },
            storage: storage.map(|storage| storage.since(self.storage)),
            lag_messages: lags.messages,
            lag: lags.seconds,
            watermark: report.newest,
            silent_since,
            failing_since: failing.map(|failing| failing.since),
            silent: silent_since.map(|since| seconds(since, now)),
            throughput_units: self
                .prepared
                .is_event_hub()
                .then(|| throughput_units(&tally, duration_ms)),
            lagging: lags.partitions,
            tally,
        };
        self.tally = report.tally;
        self.storage = storage.unwrap_or_default();
        Health {
            time: now,
            stanza: self.stanza.clone(),
            outcome,
            error,
            server: self.ownership.server.clone(),
            owner: self
                .ownership
                .owner
                .as_ref()
                .map(|owner| owner.guid.clone()),
            warning: self.ownership.warning.clone().or(clock),
            details: Some(Details::Stream(Box::new(details))),
            duration_ms,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl Reporter<EventStream<File>> for StreamReporter<'_> {
    fn report(&mut self, report: Report) -> Option<WriteReport<EventStream<File>>> {
        let health = self.health(report, "ok", None);
        tracing::debug!("{}", health.summary());
        let health = Arc::new(health);
        Some(Box::new(move |sink| health.write(sink)))
    }

    fn last(&mut self, report: Report) {
        self.last = report;
    }
}

/// How far the partitions lag.
struct Lags {
    messages: Option<u64>,
    seconds: Option<i64>,
    partitions: Vec<Lagging>,
}

impl Lags {
    fn of(reports: &[PartitionReport], now: Instant) -> Self {
        let seconds = |newest: Instant| seconds(newest, now);
        let mut partitions: Vec<Lagging> = Vec::new();
        let mut told = false;
        for report in reports {
            let Some(lag) = report.lag else {
                continue;
            };
            told = true;
            if lag > 0 {
                partitions.push(Lagging {
                    partition: report.partition.clone(),
                    sequence: report.sequence,
                    lag_messages: lag,
                    lag: report.newest.map(seconds),
                });
            }
        }
        let messages = partitions.iter().map(|one| one.lag_messages).sum();
        let most = partitions.iter().filter_map(|one| one.lag).max();
        let waiting = !partitions.is_empty();
        partitions.sort_by_key(|one| std::cmp::Reverse(one.lag_messages));
        partitions.truncate(MOST_PARTITIONS);
        Self {
            messages: told.then_some(messages),
            seconds: match (told, waiting) {
                (true, false) => Some(0),
                (true, true) => most,
                // The best that can be said where nobody tells how much waits.
                (false, _) => reports
                    .iter()
                    .filter_map(|one| one.newest)
                    .min()
                    .map(seconds),
            },
            partitions,
        }
    }
}

fn named(reports: &[PartitionReport]) -> Vec<String> {
    let reports = reports.iter().take(MOST_PARTITIONS);
    reports.map(|report| report.partition.clone()).collect()
}

fn seconds(since: Instant, now: Instant) -> i64 {
    ((now.millis() - since.millis()) / 1000).max(0)
}

fn throughput_units(tally: &Tally, duration_ms: u64) -> u64 {
    let rate = |number: u64| number.saturating_mul(1000) / duration_ms.max(1);
    let bytes = rate(tally.delivered.bytes).div_ceil(UNIT_BYTES);
    let messages = rate(tally.messages).div_ceil(UNIT_MESSAGES);
    bytes.max(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(id: &str, lag: Option<u64>, newest: Option<i64>) -> PartitionReport {
        PartitionReport {
            partition: id.to_owned(),
            sequence: Some(7),
            lag,
            newest: newest.map(Instant::from_millis),
        }
    }

    #[test]
    fn the_lag_is_that_of_the_partition_that_lags_most() {
        let now = Instant::from_millis(100_000);
        let lags = Lags::of(
            &[
                partition("0", Some(0), Some(1_000)),
                partition("1", Some(5), Some(90_000)),
                partition("2", Some(9), Some(70_000)),
                partition("3", None, None),
            ],
            now,
        );
        assert_eq!((lags.messages, lags.seconds), (Some(14), Some(30)));
        let named: Vec<&str> = lags
            .partitions
            .iter()
            .map(|one| one.partition.as_str())
            .collect();
        assert_eq!(named, ["2", "1"]);
    }

    #[test]
    fn where_nothing_waits_the_lag_is_nought_and_where_nobody_tells_it_is_that_of_the_records() {
        let now = Instant::from_millis(100_000);
        let lags = Lags::of(&[partition("0", Some(0), None)], now);
        assert_eq!((lags.messages, lags.seconds), (Some(0), Some(0)));
        let lags = Lags::of(
            &[
                partition("0", None, Some(95_000)),
                partition("1", None, None),
            ],
            now,
        );
        assert_eq!((lags.messages, lags.seconds), (None, Some(5)));
        let lags = Lags::of(&[], now);
        assert_eq!((lags.messages, lags.seconds), (None, None));
    }

    #[test]
    fn throughput_units_are_what_bytes_or_messages_take() {
        let mut tally = Tally::default();
        assert_eq!(throughput_units(&tally, 0), 0);
        tally.messages = 10;
        tally.delivered.bytes = 5_000_000;
        assert_eq!(throughput_units(&tally, 1000), 3);
        tally.messages = 20_000;
        assert_eq!(throughput_units(&tally, 1000), 5);
        assert_eq!(throughput_units(&tally, 60_000), 1);
    }
}
