//! A tenant that streams into an event hub, and what must have arrived of it.

use crate::counterpart::Splunkd;
use crate::counterpart::process::{Run, Running};
use crate::counterpart::stream::Event;
use crate::stream::tenant::{ACCOUNT, StreamingTenant, with_input};
use defender_bridge::sandbox::event_hub::{EventHub, Payload, Settings};
use defender_bridge::sandbox::storage::{self, Storage};
use defender_bridge::sandbox::{self, Tenant};
use serde_json::Value;
use std::collections::BTreeMap;

pub const RECORD: &str = "ms:defender:eventhub";

/// Text of a record, and how often.
pub type Counts = BTreeMap<String, usize>;

pub struct Hub {
    tenant: StreamingTenant,
}

impl Hub {
    /// A hub of so many records in so many partitions.
    pub fn of(records: u64, partitions: usize) -> Self {
        Self::start(Settings {
            records: Some(records),
            partitions,
            ..Settings::default()
        })
    }

    /// With a storage account beside it, for positions, and as streaming fills it.
    pub fn with_storage(records: u64, partitions: usize) -> Self {
        let hub = Settings {
            records: Some(records),
            partitions,
            ..Settings::default()
        };
        Self::in_tenant(sandbox::Settings {
            event_hub: Some(hub),
            storage: Some(storage::Settings::default()),
            ..sandbox::Settings::default()
        })
    }

    pub fn start(hub: Settings) -> Self {
        Self::in_tenant(sandbox::Settings {
            event_hub: Some(hub),
            ..sandbox::Settings::default()
        })
    }

    pub fn in_tenant(settings: sandbox::Settings) -> Self {
        Self {
            tenant: StreamingTenant::start(settings),
        }
    }

    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    pub fn hub(&self) -> &EventHub {
        self.tenant.event_hub().unwrap()
    }

    pub fn storage(&self) -> &Storage {
        self.tenant.storage().unwrap()
    }

    /// A splunkd with an account that signs in, and an input for the hub.
    pub fn splunkd(&self, more: &[(&str, &str)]) -> Splunkd {
        self.input(self.tenant.splunkd(), more)
    }

    /// The same, whose account is a connection string.
    pub fn splunkd_with_string(&self, more: &[(&str, &str)]) -> Splunkd {
        let string = self.hub().connection_string();
        self.input(self.tenant.splunkd_with_string(&string), more)
    }

    fn input(&self, splunkd: Splunkd, more: &[(&str, &str)]) -> Splunkd {
        let hub = self.hub();
        let usual = [
            ("account", ACCOUNT),
            ("feed", "event_hub"),
            ("event_hub_namespace", hub.namespace()),
            ("event_hub", hub.name()),
            ("start", "earliest"),
        ];
        with_input(splunkd, &usual, more)
    }

    pub fn ca_file(&self) -> String {
        self.tenant.ca_file()
    }

    /// Publishes one record into each partition.
    pub fn one_more(&self, number: usize) {
        for partition in 0..self.hub().partitions() {
            let record = format!(
                "{{\"category\":\"AdvancedHunting-AlertInfo\",\"n\":{number},\"partition\":{partition}}}"
            );
            let body = format!("{{\"records\":[{record}]}}").into_bytes();
            let payload = Payload::Data(body);
            self.hub().publish(Some(partition), payload).unwrap();
        }
    }

    /// Every record once: an object as it was sent, a string as the object it holds.
    pub fn wanted(&self) -> Counts {
        let mut counts = Counts::new();
        self.hub().records(|record| {
            let text = match serde_json::from_str(&record.text).unwrap() {
                Value::String(text) => text,
                _ => record.text,
            };
            *counts.entry(text).or_default() += 1;
        });
        counts
    }

    /// Whether the positions kept are those of the last messages.
    pub fn is_caught_up(&self, splunkd: &Splunkd) -> bool {
        let positions = positions(splunkd);
        let ends = self.hub().ends();
        let reached = |(partition, end): (usize, &i64)| {
            *end == 0 || positions.get(&partition.to_string()) == Some(&(end - 1))
        };
        ends.iter().enumerate().all(reached)
    }

    /// Follows the hub until everything has arrived, and then is stopped.
    pub fn follow(&self, splunkd: &Splunkd, mut running: Running) -> Run {
        assert!(
            running.wait_until(|| self.is_caught_up(splunkd)),
            "it ended before"
        );
        running.terminate();
        running.finish()
    }
}

/// Sequence number of the last message delivered of each partition, as the next run finds it.
pub fn positions(splunkd: &Splunkd) -> BTreeMap<String, i64> {
    let path = splunkd.checkpoint_dir().join("feed.positions");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut positions = BTreeMap::new();
    for line in whole.lines().skip(1) {
        let checkpoint = &line[line.find(" {").unwrap()..];
        let checkpoint: Value = serde_json::from_str(checkpoint).unwrap();
        if let Some(sequence) = checkpoint["position"]["sequence"].as_i64() {
            let partition = checkpoint["partition"].as_str().unwrap();
            positions.insert(partition.to_owned(), sequence);
        }
    }
    positions
}

/// The sum of a count over all health events.
pub fn sum(run: &Run, count: &str) -> u64 {
    let health = run.health();
    let counts = health
        .iter()
        .filter_map(|event| event.json()[count].as_u64());
    counts.sum()
}

/// The records that came.
#[track_caller]
pub fn came(run: &Run) -> Counts {
    let mut came = Counts::new();
    take(&mut came, &run.events());
    came
}

/// Adds the records that came.
#[track_caller]
pub fn take(counts: &mut Counts, events: &[Event]) {
    for event in events {
        assert_eq!(event.sourcetype, RECORD, "{}", event.data);
        *counts.entry(event.data.clone()).or_default() += 1;
    }
}

/// Each record came as often as wanted, or more often; how many bytes were doubles.
#[track_caller]
pub fn hold_all(came: &Counts, wanted: &Counts) -> usize {
    let lost = wanted
        .iter()
        .filter(|(text, count)| came.get(*text).is_none_or(|came| came < *count));
    assert_eq!(lost.count(), 0, "of {} records some are lost", wanted.len());
    let foreign = came.keys().filter(|text| !wanted.contains_key(*text));
    assert_eq!(foreign.count(), 0, "records came that nobody sent");
    came.iter()
        .map(|(text, count)| (count - wanted[text]) * text.len())
        .sum()
}
