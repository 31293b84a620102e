//! A tenant that streams into a storage account, and what must have arrived of it.

use crate::counterpart::Splunkd;
use crate::counterpart::process::{Reading, Run, Running};
use crate::counterpart::stream::Event;
use crate::stream::hub::{Counts, RECORD, hold_all};
use crate::stream::tenant::{ACCOUNT, StreamingTenant, with_input};
use defender_bridge::sandbox::storage::{Settings, Storage};
use defender_bridge::sandbox::{self, Tenant};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cell::Cell;

/// Serves until it is dropped.
pub struct Account {
    tenant: StreamingTenant,
}

#[derive(Deserialize)]
struct Row<'a> {
    category: &'a str,
    #[serde(borrow)]
    properties: &'a RawValue,
}

/// What a record and its repeats have in common.
#[track_caller]
pub fn key(text: &str) -> String {
    let row: Row<'_> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    format!("{} {}", row.category, row.properties.get())
}

/// A record of a table, of about that many bytes.
pub fn record(table: &str, number: usize, bytes: usize) -> String {
    format!(
        "{{\"time\":\"2026-11-30T08:00:00Z\",\"category\":\"AdvancedHunting-{table}\",\"properties\":\
         {{\"Number\":{number},\"Text\":\"{}\",\"Timestamp\":\"2026-11-30T07:59:00Z\"}}}}",
        "x".repeat(bytes)
    )
}

/// An hour's blob, as Defender names it.
pub fn hour(hour: usize) -> String {
    format!(
        "tenantId=11111111-2222-4333-8444-555555555555/y=2026/m=11/d=29/h={hour:02}/m=00/PT1H.json"
    )
}

pub fn came(events: &[Event]) -> Counts {
    let mut came = Counts::new();
    for event in events {
        assert_eq!(event.sourcetype, RECORD, "{}", event.data);
        *came.entry(key(&event.data)).or_default() += 1;
    }
    came
}

pub fn add(counts: &mut Counts, more: Counts) {
    for (key, count) in more {
        *counts.entry(key).or_default() += count;
    }
}

impl Account {
    /// An account with so many records, some of which are written again.
    pub fn of(records: u64) -> Self {
        Self::start(Settings {
            records: Some(records),
            ..Settings::default()
        })
    }

    pub fn start(storage: Settings) -> Self {
        Self {
            tenant: StreamingTenant::start(sandbox::Settings {
                storage: Some(storage),
                ..sandbox::Settings::default()
            }),
        }
    }

    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    pub fn storage(&self) -> &Storage {
        self.tenant.storage().unwrap()
    }

    /// A splunkd with an account that signs in, and an input for the storage account.
    pub fn splunkd(&self, more: &[(&str, &str)]) -> Splunkd {
        self.input(self.tenant.splunkd(), more)
    }

    /// The same, whose account is a connection string.
    pub fn splunkd_with_string(&self, string: &str, more: &[(&str, &str)]) -> Splunkd {
        self.input(self.tenant.splunkd_with_string(string), more)
    }

    fn input(&self, splunkd: Splunkd, more: &[(&str, &str)]) -> Splunkd {
        let usual = [
            ("account", ACCOUNT),
            ("feed", "storage"),
            ("storage_account", self.storage().url()),
            ("start", "earliest"),
            ("interval", "1"),
        ];
        with_input(splunkd, &usual, more)
    }

    /// The containers of tables.
    pub fn tables(&self) -> Vec<String> {
        let mut tables = self.storage().containers();
        tables.retain(|name| name.starts_with("insights-logs-"));
        tables
    }

    /// Every record once, by what it has in common with its repeats.
    pub fn wanted(&self) -> Counts {
        let mut wanted = Counts::new();
        self.storage().records(|record| {
            wanted.insert(key(&record.text), 1);
        });
        wanted
    }

    /// How many lines there are, repeats too.
    pub fn lines(&self) -> usize {
        let mut lines = 0;
        self.storage().records(|_| lines += 1);
        lines
    }

    /// Waits until all that is wanted has come, with what came before; false if the run
    /// ended first.
    pub fn wait(&self, running: &mut Running, before: &Counts) -> bool {
        let wanted = self.wanted();
        let output = running.output();
        let looked_at = Cell::new(usize::MAX);
        running.wait_until(|| {
            let length = output.len();
            if looked_at.replace(length) == length {
                return false;
            }
            let came = came(&output.events());
            wanted
                .keys()
                .all(|key| came.contains_key(key) || before.contains_key(key))
        })
    }

    /// Follows the account until everything has arrived, and then is stopped.
    pub fn follow(&self, mut running: Running, before: &Counts) -> Run {
        assert!(self.wait(&mut running, before), "it ended before");
        running.terminate();
        running.finish()
    }

    /// Waits until every container was listed once more, whatever was found.
    pub fn wait_for_listings(&self, running: &mut Running) {
        let rounds = u64::try_from(self.tables().len() + 1).unwrap();
        let before = self.storage().stats().lists;
        let listed = || self.storage().stats().lists >= before + 3 * rounds;
        assert!(running.wait_until(listed), "it ended before");
    }

    /// A further run finds nothing that is new.
    #[track_caller]
    pub fn nothing_comes_again(&self, splunkd: &Splunkd) {
        let before = self.storage().stats();
        let mut running = splunkd.start(Reading::Steady);
        self.wait_for_listings(&mut running);
        running.terminate();
        let run = running.finish().well();
        assert_eq!(run.events(), []);
        let after = self.storage().stats();
        assert_eq!(after.reads, before.reads, "a blob was read again");
    }

    /// A whole run: everything comes, each record once, and nothing again.
    #[track_caller]
    pub fn is_read_once(&self, splunkd: &Splunkd) -> Run {
        let run = self.follow(splunkd.start(Reading::Steady), &Counts::new());
        let run = run.well();
        assert_eq!(hold_all(&came(&run.events()), &self.wanted()), 0);
        self.nothing_comes_again(splunkd);
        run
    }
}
