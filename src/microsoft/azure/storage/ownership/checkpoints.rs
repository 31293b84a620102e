//! Checkpoints in blobs, as Microsoft's own clients keep them.
//!
//! `save` lays them down to be written by a task, so that the store's distance does not
//! slow what is delivered; those that wait at the stop are written before partitions
//! are given back. One is written only while its partition is ours, and only over the
//! version that was read: a reader that was displaced moves nothing back.

use super::{BlobOwnership, SIDE_BY_SIDE, Shared};
use crate::ingest::Instant;
use crate::ingest::stream::{Checkpoint, Kept, Partition, Position, PositionStore, Start};
use crate::microsoft::azure::storage::client::{If, Written};
use crate::microsoft::azure::storage::error::StorageError;
use crate::microsoft::azure::storage::listing::ETag;
use futures::stream::{self, StreamExt};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Ours beside theirs: when the hub was created.
const CREATED: &str = "defenderbridge_created";
/// Ours, too: of which failover the sequence number is.
const EPOCH: &str = "defenderbridge_epoch";
/// Of the blob that says where the group was begun.
const START: &str = "defenderbridge_start";
const EARLIEST: &str = "earliest";

/// A checkpoint to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    sequence: i64,
    epoch: Option<i64>,
    offset: String,
    created: Option<Instant>,
}

impl Mark {
    fn metadata(&self) -> Vec<(&'static str, String)> {
        let mut metadata = vec![
            ("sequencenumber", self.sequence.to_string()),
            ("offset", self.offset.clone()),
        ];
        metadata.extend(self.epoch.map(|epoch| (EPOCH, epoch.to_string())));
        metadata.extend(self.created.map(|created| (CREATED, created.to_string())));
        metadata
    }
}

/// Whether a text stands for nothing: clients write it empty, or as Python's `None`.
pub(super) fn is_none(text: &str) -> bool {
    text.is_empty() || text == "None"
}

/// What a checkpoint blob's metadata say; an error where a number is none.
pub(super) fn position(metadata: &BTreeMap<String, String>) -> Result<Option<Position>, String> {
    let text = |name: &str| {
        let text = metadata.get(name).map(|text| text.trim());
        text.filter(|text| !is_none(text))
    };
    let sequence = match text("sequencenumber") {
        None => None,
        Some(text) => {
            let number = text.parse().map_err(|_| format!("sequencenumber {text}"))?;
            Some(number)
        }
    };
    let position = Position {
        offset: text("offset").map(str::to_owned),
        sequence,
        epoch: text(EPOCH).and_then(|text| text.parse().ok()),
    };
    Ok((!position.is_nowhere()).then_some(position))
}

/// Keeps checkpoints in blobs, and what a process notes between two of them in a store
/// of this machine.
#[derive(Debug)]
pub struct BlobCheckpoints<N> {
    shared: Arc<Shared>,
    notes: N,
    /// Which log this is, as its checkpoints on this machine name it.
    log: String,
}

impl<N> BlobCheckpoints<N> {
    /// `log` as in the follower's settings; `notes` are noted and loaded, never saved.
    pub fn new(ownership: &BlobOwnership, notes: N, log: &str) -> Self {
        Self {
            shared: Arc::clone(&ownership.shared),
            notes,
            log: log.to_owned(),
        }
    }

    fn kept(
        &self,
        partition: &str,
        start: Start,
        position: Option<Position>,
        created: Option<Instant>,
    ) -> io::Result<Kept> {
        let of = Partition {
            id: partition.to_owned(),
            created,
        };
        let mut checkpoint = Checkpoint::new(&self.log, &of, start);
        checkpoint.position = position;
        Ok(Kept {
            partition: partition.to_owned(),
            text: checkpoint.text()?,
        })
    }

    async fn load_blobs(&self) -> Result<Vec<Kept>, StorageError> {
        let shared = &*self.shared;
        let start = shared.begun().await?;
        let (blobs, _) = shared.list("checkpoint").await?;
        let versions = blobs
            .iter()
            .map(|(id, blob)| (id.clone(), blob.etag.clone()));
        shared.state().checkpoints = versions.collect();
        let strange = |error: io::Error| StorageError::Answer {
            host: shared.client.host().to_owned(),
            what: error.to_string(),
        };
        let mut kept = Vec::new();
        if let Some(start) = start {
            // Of no partition: tells where those begin that have no checkpoint.
            kept.push(self.kept("", start, None, None).map_err(strange)?);
        }
        for (partition, blob) in blobs {
            let created = blob
                .metadata
                .get(CREATED)
                .and_then(|text| text.parse().ok());
            match position(&blob.metadata) {
                Ok(None) => {
                    tracing::debug!("partition {partition}: its checkpoint blob holds no position")
                }
                Ok(position) => {
                    let start = start.unwrap_or(Start::Earliest);
                    kept.push(
                        self.kept(&partition, start, position, created)
                            .map_err(strange)?,
                    );
                }
                // The follower refuses it, and leaves this partition alone.
                Err(text) => kept.push(Kept { partition, text }),
            }
        }
        Ok(kept)
    }
}

impl<N: PositionStore> PositionStore for BlobCheckpoints<N> {
    async fn load(&self) -> io::Result<Vec<Kept>> {
        let mut kept = self.notes.load().await?;
        let blobs = self.load_blobs().await;
        kept.extend(blobs.map_err(|error| io::Error::other(self.shared.error(error)))?);
        Ok(kept)
    }

    fn note(&self, partition: &str, text: &str) -> io::Result<()> {
        self.notes.note(partition, text)
    }

    fn save(&self, partition: &str, text: &str) -> io::Result<()> {
        let checkpoint = Checkpoint::read(text, &self.log, partition).map_err(io::Error::other)?;
        let mut state = self.shared.state();
        if let Some(error) = state.failed.clone() {
            drop(state);
            return Err(io::Error::other(self.shared.error(error)));
        }
        match &checkpoint.position {
            Some(Position {
                sequence: Some(sequence),
                epoch,
                offset,
            }) => {
                let mark = Mark {
                    sequence: *sequence,
                    epoch: *epoch,
                    offset: offset.clone().unwrap_or_default(),
                    created: checkpoint.created(),
                };
                state.waiting.insert(partition.to_owned(), mark);
            }
            // No client could go on behind an offset alone.
            Some(_) => return Ok(()),
            None if state.begun => return Ok(()),
            None => state.start = Some(checkpoint.start),
        }
        drop(state);
        self.shared.write_soon();
        Ok(())
    }

    fn listed(&self, partitions: &[Partition]) {
        self.notes.listed(partitions);
    }
}

impl Shared {
    /// Where the group was begun, if one of ours has said so.
    async fn begun(&self) -> Result<Option<Start>, StorageError> {
        let name = format!("{}start", self.prefix);
        let head = match self.client.head(&self.container, &name).await {
            Ok(head) => head,
            Err(error) if error.status() == Some(404) => return Ok(None),
            Err(error) => return Err(error),
        };
        self.state().begun = true;
        Ok(match head.metadata.get(START).map(String::as_str) {
            None | Some(EARLIEST) => Some(Start::Earliest),
            Some(instant) => instant.parse().ok().map(Start::At),
        })
    }

    /// Writes all that waits. Trouble that passes leaves it waiting, for the next time.
    pub(super) async fn write_waiting(&self) {
        let _alone = self.writing.lock().await;
        let start = self.state().start.take();
        if let Some(start) = start {
            let outcome = self.write_start(start).await;
            let mut state = self.state();
            match outcome {
                Ok(()) => state.begun = true,
                Err(error) if error.passes() => state.start = Some(start),
                Err(error) => state.failed = Some(error),
            }
        }
        let waiting = std::mem::take(&mut self.state().waiting);
        let mut written = stream::iter(waiting)
            .map(|(partition, mark)| async move {
                let outcome = self.write_mark(&partition, &mark).await;
                (partition, mark, outcome)
            })
            .buffer_unordered(SIDE_BY_SIDE);
        let mut unsaved = None;
        while let Some((partition, mark, outcome)) = written.next().await {
            let Err(error) = outcome else {
                continue;
            };
            let mut state = self.state();
            match error.passes() {
                true => {
                    tracing::debug!("partition {partition}: its checkpoint is not saved: {error}");
                    let error = self.error(error);
                    unsaved = Some(format!("checkpoints are not saved: {error}"));
                    state.waiting.entry(partition).or_insert(mark);
                }
                false => state.failed = Some(error),
            }
        }
        drop(written);
        self.state().unsaved = unsaved;
    }

    async fn write_start(&self, start: Start) -> Result<(), StorageError> {
        let text = match start {
            Start::Earliest => EARLIEST.to_owned(),
            Start::At(instant) => instant.to_string(),
        };
        let name = format!("{}start", self.prefix);
        let metadata = [(START, text.as_str())];
        // Whoever was first has said it for all.
        self.client
            .put(&self.container, &name, &metadata, If::New)
            .await?;
        Ok(())
    }

    async fn write_mark(&self, partition: &str, mark: &Mark) -> Result<(), StorageError> {
        if !self.holds(partition) || !self.still_holds(partition).await? {
            return Ok(());
        }
        let etag = self.state().checkpoints.get(partition).cloned();
        if self.put_mark(partition, mark, etag.as_ref()).await? {
            return Ok(());
        }
        // Somebody else wrote it: who held the partition before, or who has it now.
        if !self.still_holds(partition).await? {
            return Ok(());
        }
        let name = self.name("checkpoint", partition);
        let etag = match self.client.head(&self.container, &name).await {
            Ok(head) => {
                let there = position(&head.metadata).ok().flatten();
                let further = there.map(|there| (there.epoch, there.sequence));
                if further.is_some_and(|there| there >= (mark.epoch, Some(mark.sequence))) {
                    self.keep(partition, head.etag);
                    return Ok(());
                }
                Some(head.etag)
            }
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error),
        };
        if !self.put_mark(partition, mark, etag.as_ref()).await? {
            tracing::warn!("partition {partition}: another program writes its checkpoint, too");
        }
        Ok(())
    }

    /// Whether nobody has taken a partition since claims were listed.
    async fn still_holds(&self, partition: &str) -> Result<bool, StorageError> {
        let name = self.name("ownership", partition);
        let owner = match self.client.head(&self.container, &name).await {
            Ok(head) => head.metadata.get("ownerid").cloned(),
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error),
        };
        let ours = owner.as_deref() == Some(&self.me);
        if !ours {
            tracing::info!(
                "partition {partition} is another reader's now; its checkpoint is left alone"
            );
            self.state().leases.remove(partition);
        }
        Ok(ours)
    }

    /// False where it is not the version it was.
    async fn put_mark(
        &self,
        partition: &str,
        mark: &Mark,
        etag: Option<&ETag>,
    ) -> Result<bool, StorageError> {
        let name = self.name("checkpoint", partition);
        let metadata = mark.metadata();
        let metadata: Vec<(&str, &str)> = metadata.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let client = &self.client;
        let written = match etag {
            Some(etag) => {
                let condition = If::Match(etag);
                client
                    .set_metadata(&self.container, &name, &metadata, condition)
                    .await?
            }
            None => {
                client
                    .put(&self.container, &name, &metadata, If::New)
                    .await?
            }
        };
        Ok(match written {
            Written::Done(etag) => {
                self.keep(partition, etag);
                true
            }
            Written::Refused | Written::Missing => false,
        })
    }

    fn keep(&self, partition: &str, etag: ETag) {
        self.state().checkpoints.insert(partition.to_owned(), etag);
    }
}
