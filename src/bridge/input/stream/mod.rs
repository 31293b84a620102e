//! A streaming stanza: its account, its positions, and the run that follows its log.

mod clock;
mod log_source;
mod once;

pub use log_source::{Look, Source, container};
pub use once::{Fetched, Once};

use crate::NAME;
use crate::bridge::input::prepare::{Ownership, StanzaAccount};
use crate::bridge::input::settings::{Log, StreamInput};
use crate::ingest::stream::{
    Follower, Local, PartitionedLog, PositionStore, Reporter, Settings, Tally,
};
use crate::ingest::{self, Sink};
use crate::microsoft::azure::storage::BlobLog;
use crate::microsoft::azure::storage::ownership::BlobCheckpoints;
use crate::microsoft::azure::wrong_clock;
use crate::splunk::modular_input::events::{EventMetadata, Sourcetypes};
use crate::splunk::modular_input::input;
use crate::splunk::modular_input::input::Stanza;
use crate::splunk::modular_input::position_file::PositionFile;
use anyhow::anyhow;
use clock::SystemClock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Partitions are listed and claimed, and positions saved, this often.
const ROUND: Duration = Duration::from_secs(10);
/// A health event tells this often how a run goes.
const REPORT: Duration = Duration::from_secs(60);
/// Messages read and not delivered yet; as many again may be on their way.
const BYTES_IN_FLIGHT: usize = 4 << 20;
/// The ending of the file of records that were handed over last.
const KNOWN_RECORDS: &str = "repeats";
/// How long a connection may take to be closed, once everything is given back.
const CLOSING: Duration = Duration::from_millis(200);

/// How reading a storage account goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct StorageProgress {
    /// Calls, which the service bills.
    pub lists: u64,
    pub reads: u64,
    pub bytes_received: u64,
    pub retries: u64,
    /// Records that the export had written before.
    pub repeated_records: u64,
    /// What is known to lie there, and is not read yet.
    pub waiting_blobs: u64,
    pub waiting_bytes: u64,
}

impl StorageProgress {
    /// Without what was counted before; what waits, waits still.
    pub fn since(self, before: Self) -> Self {
        Self {
            lists: self.lists.saturating_sub(before.lists),
            reads: self.reads.saturating_sub(before.reads),
            bytes_received: self.bytes_received.saturating_sub(before.bytes_received),
            retries: self.retries.saturating_sub(before.retries),
            repeated_records: self
                .repeated_records
                .saturating_sub(before.repeated_records),
            ..self
        }
    }
}

/// A streaming stanza, ready to be followed.
pub struct PreparedStream {
    pub input: StreamInput,
    /// Where the account has none, the host that is read from.
    pub tenant: String,
    pub secret_expires: Option<String>,
    source: Source,
    positions: Arc<PositionFile>,
}

impl PreparedStream {
    pub async fn open(
        input: &input::Input,
        stanza: &Stanza,
        settings: StreamInput,
        ownership: &mut Ownership,
    ) -> anyhow::Result<Self> {
        let StanzaAccount {
            splunkd,
            account,
            secret_expires,
        } = StanzaAccount::open(input, &settings.account).await?;
        if let Err(error) = ownership.learn(&splunkd).await {
            // Positions need no server's name.
            tracing::debug!("{error}");
        }
        let source = Source::open(&account, &settings)?;
        let positions = PositionFile::open(&input.checkpoint_dir, &stanza.name)?;
        if let Source::Storage(storage) = &source {
            match positions.beside(KNOWN_RECORDS) {
                Ok(known) => storage.log.recall(&known.unwrap_or_default()),
                Err(error) => {
                    tracing::warn!("{error}: records that the export repeats may come once more")
                }
            }
        }
        let tenant = match account.tenant_id.is_empty() {
            true => source.host().to_owned(),
            false => account.tenant_id,
        };
        Ok(Self {
            tenant,
            source,
            input: settings,
            secret_expires,
            positions: Arc::new(positions),
        })
    }

    /// The export repeats records, also those that a run before handed over.
    fn keep_known_records(&self, log: &BlobLog) {
        let known = log.known_records();
        if known.is_empty() {
            return;
        }
        if let Err(error) = self.positions.keep_beside(KNOWN_RECORDS, &known) {
            tracing::warn!(
                "{error}: records that the export repeats may come once more after the next start"
            );
        }
    }

    pub fn metadata(&self, stanza: &Stanza) -> EventMetadata {
        EventMetadata {
            stanza: stanza.full_name(),
            source: format!("{NAME}:{}:{}", self.input.feed_name(), self.tenant),
            index: stanza.index().map(str::to_owned),
            host: stanza.host().map(str::to_owned),
            sourcetypes: Sourcetypes::default(),
        }
    }

    pub fn is_event_hub(&self) -> bool {
        matches!(self.input.log, Log::EventHub(_))
    }

    /// What is wrong with this host's clock, if anything.
    pub fn wrong_clock(&self) -> Option<String> {
        let wrong = wrong_clock(self.source.skew()?)?;
        Some(wrong.message())
    }

    /// Which log this is, as its positions name it.
    pub fn log(&self) -> String {
        self.source.log()
    }

    /// What reading a storage account has cost so far, and what of it waits.
    pub fn storage(&self) -> Option<StorageProgress> {
        let Source::Storage(storage) = &self.source else {
            return None;
        };
        let usage = storage.log.usage();
        let behind = storage.log.behind();
        Some(StorageProgress {
            lists: usage.costs.lists,
            reads: usage.costs.reads,
            bytes_received: usage.costs.bytes,
            retries: usage.costs.retries,
            repeated_records: usage.repeated_records,
            waiting_blobs: behind.values().map(|one| one.blobs).sum(),
            waiting_bytes: behind.values().map(|one| one.bytes).sum(),
        })
    }

    /// Follows the log until it is asked to stop. Returns the sink, unless it is stuck or
    /// delivering died.
    pub async fn follow<K>(
        &self,
        sink: K,
        stop: watch::Receiver<bool>,
        reporter: &mut dyn Reporter<K>,
    ) -> (Option<K>, anyhow::Result<()>)
    where
        K: Sink + Send + 'static,
    {
        let settings = Settings {
            log: self.log(),
            begin: self.input.begin,
            round: ROUND,
            save_every: ROUND,
            bytes_in_flight: BYTES_IN_FLIGHT,
            report_every: REPORT,
        };
        match &self.source {
            Source::EventHub(hub, sharing) => {
                let notes = Arc::clone(&self.positions);
                let ended = match sharing {
                    None => follow(hub, &Local, notes, settings, sink, stop, reporter).await,
                    Some(sharing) => {
                        let store = BlobCheckpoints::new(sharing, notes, &settings.log);
                        let store = Arc::new(store);
                        follow(hub, sharing, store, settings, sink, stop, reporter).await
                    }
                };
                // Whoever does not hear of it finds out by itself.
                tokio::time::timeout(CLOSING, hub.close()).await.ok();
                ended
            }
            Source::Storage(storage) => {
                let store = Arc::clone(&self.positions);
                let ended =
                    follow(&storage.log, &Local, store, settings, sink, stop, reporter).await;
                // Otherwise something may be known that was not delivered.
                if let (Some(_), Ok(())) = &ended {
                    self.keep_known_records(&storage.log);
                }
                ended
            }
        }
    }
}

async fn follow<L, O, S, K>(
    log: &L,
    ownership: &O,
    store: Arc<S>,
    settings: Settings,
    sink: K,
    stop: watch::Receiver<bool>,
    reporter: &mut dyn Reporter<K>,
) -> (Option<K>, anyhow::Result<()>)
where
    L: PartitionedLog,
    O: ingest::stream::Ownership,
    S: PositionStore,
    K: Sink + Send + 'static,
{
    let clock = SystemClock::new();
    let follower = Follower {
        log,
        ownership,
        store,
        clock: &clock,
        settings,
    };
    let mut tally = Tally::default();
    let run = follower.run_reporting(sink, stop, &mut tally, reporter);
    let (sink, outcome) = run.await;
    (sink, outcome.map_err(|error| anyhow!("{error}")))
}
