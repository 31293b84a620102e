//! `feed = storage`: what Defender's streaming writes into append blobs, followed by
//! byte offset.
//!
//! A partition is a container, that is a table; its position says how far each of its
//! blobs was read (`frontier`). Blobs as partitions would each cost a reader, a turn and
//! a checkpoint, by the ten thousand, though only some of them grow.

mod frontier;
mod names;
pub mod probe;
mod reader;
mod repeats;

pub use reader::BlobReader;

use crate::ingest::Instant;
use crate::ingest::stream::{Partition, PartitionedLog, Position, ReadFrom, Start};
use crate::microsoft::azure::records::Tables;
use crate::microsoft::azure::storage::client::{BlobClient, Costs};
use crate::microsoft::azure::storage::error::StorageError;
use frontier::Frontier;
use repeats::Window;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant as Moment;

/// Before a table's name in lower case, in a container's.
const PREFIX: &str = "insights-logs-advancedhunting-";
/// Containers in which something is read and not handed over yet: with [`RANGE`], what
/// bounds memory, however many tables there are.
const AT_ONCE: usize = 4;
/// Bytes of one read at most. A read costs the same for any number of bytes.
pub const RANGE: usize = 4 << 20;

/// The blobs of a storage account that hold tables of advanced hunting.
#[derive(Debug)]
pub struct BlobLog {
    client: BlobClient,
    tables: Tables,
    /// Between two listings of a container.
    interval: Duration,
    turns: Arc<Semaphore>,
    window: Window,
    told: Arc<Told>,
    /// Containers as listed last.
    listed: Mutex<Option<(Moment, Vec<String>)>>,
}

/// What readers tell.
#[derive(Debug, Default)]
struct Told {
    repeats: AtomicU64,
    behind: Mutex<BTreeMap<String, Behind>>,
}

/// What is known to lie in a container, and is not read yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Behind {
    pub blobs: u64,
    pub bytes: u64,
    /// When its blobs were last written to.
    pub written: Option<Instant>,
}

/// What following the account has cost so far, and what it has left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct StorageUsage {
    #[serde(flatten)]
    pub costs: Costs,
    /// Records that the export had written before.
    pub repeated_records: u64,
}

impl BlobLog {
    /// Follows the tables wanted, and lists each container once an interval.
    pub fn new(client: &BlobClient, tables: &Tables, interval: Duration) -> Self {
        Self {
            client: client.clone(),
            tables: tables.clone(),
            interval,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            window: Window::default(),
            told: Arc::default(),
            listed: Mutex::default(),
        }
    }

    /// How this log is named in its checkpoints.
    pub fn name(&self) -> String {
        format!("storage {}", self.client.base())
    }

    /// What it has cost so far, for the health event.
    pub fn usage(&self) -> StorageUsage {
        StorageUsage {
            costs: self.client.costs(),
            repeated_records: self.told.repeats.load(Ordering::Relaxed),
        }
    }

    /// Which records were handed over last, for a run to come. Good once all of them have
    /// been delivered.
    pub fn known_records(&self) -> Vec<u8> {
        self.window.bytes()
    }

    /// Knows them again, where the log is read on from there.
    pub fn recall(&self, known_records: &[u8]) {
        self.window.recall(known_records);
    }

    /// By container, for the health event.
    pub fn behind(&self) -> BTreeMap<String, Behind> {
        self.told
            .behind
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All containers there are of tables that are wanted. Where tables are named,
    /// nothing is asked: whoever may read only their containers may not list them all.
    async fn containers(&self) -> Result<Vec<String>, StorageError> {
        let named = named(&self.tables);
        if !named.is_empty() {
            return Ok(named);
        }
        let now = self.client.clock().now();
        let listed = || self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, containers)) = &*listed()
            && now < *at + self.interval
        {
            return Ok(containers.clone());
        }
        let containers = all_containers(&self.client).await?;
        *listed() = Some((now, containers.clone()));
        Ok(containers)
    }
}

/// Containers of the tables that are named.
fn named(tables: &Tables) -> Vec<String> {
    let names = tables.names().iter();
    names
        .map(|table| format!("{PREFIX}{}", table.to_lowercase()))
        .collect()
}

async fn all_containers(client: &BlobClient) -> Result<Vec<String>, StorageError> {
    let (mut found, mut marker) = (Vec::new(), None);
    loop {
        let part = client.containers(PREFIX, marker.as_deref()).await?.part;
        found.extend(part.found);
        marker = part.next;
        if marker.is_none() {
            return Ok(found);
        }
    }
}

impl PartitionedLog for BlobLog {
    type Error = StorageError;
    type Reader = BlobReader;

    async fn partitions(&self) -> Result<Vec<Partition>, StorageError> {
        let containers = self.containers().await?;
        let partition = |id| Partition { id, created: None };
        Ok(containers.into_iter().map(partition).collect())
    }

    async fn open(
        &self,
        partition: &Partition,
        from: &ReadFrom,
    ) -> Result<BlobReader, StorageError> {
        let (frontier, begin, sequence) = match from {
            ReadFrom::Start(start) => (Frontier::default(), Some(*start), 0),
            ReadFrom::After(Position {
                offset, sequence, ..
            }) => {
                let read = offset.as_deref().and_then(Frontier::read);
                let frontier = read.ok_or_else(|| StorageError::Position {
                    container: partition.id.clone(),
                })?;
                (frontier, None, sequence.unwrap_or_default())
            }
        };
        let begin = begin.map(|start| match start {
            Start::Earliest => None,
            Start::At(instant) => Some(instant),
        });
        Ok(BlobReader::new(
            self,
            &partition.id,
            frontier,
            begin,
            sequence,
        ))
    }
}

/// A position, written again as it was understood.
#[cfg(feature = "fuzzing")]
pub(super) fn position(text: &str) -> Option<String> {
    Frontier::read(text).map(|frontier| frontier.text())
}

#[cfg(test)]
impl BlobLog {
    pub async fn wait(&self, span: Duration) {
        self.client.clock().sleep(span).await;
    }

    pub fn elapsed(&self) -> Moment {
        self.client.clock().now()
    }
}
