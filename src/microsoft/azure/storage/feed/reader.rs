//! Reads one container: lists it once an interval, and reads on each blob that grew.

use super::frontier::{Frontier, Seen};
use super::names::Name;
use super::repeats::{Batch, Window};
use super::{Behind, BlobLog, RANGE, Told};
use crate::ingest::Instant;
use crate::ingest::stream::{Message, PartitionReader, Position};
use crate::microsoft::azure::records::{self, Tables};
use crate::microsoft::azure::storage::client::{BlobClient, Range};
use crate::microsoft::azure::storage::error::StorageError;
use futures::stream::{self, StreamExt};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant as Moment;
use xxhash_rust::xxh3::xxh3_64;

/// Small blobs read side by side.
const SIDE_BY_SIDE: usize = 8;
/// How often that goes on before what was read is handed over.
const MOST_TURNS: usize = 32;

/// Reads one container in the order of its blobs' names.
#[derive(Debug)]
pub struct BlobReader {
    client: BlobClient,
    tables: Tables,
    container: String,
    interval: Duration,
    frontier: Frontier,
    /// Where the container is begun, until it was listed once; none within for its oldest blob.
    begin: Option<Option<Instant>>,
    sequence: i64,
    /// Blobs with something to be read.
    grown: VecDeque<Grown>,
    /// When it was listed last, by both clocks, and all that was listed is read.
    listed: Option<Moment>,
    listed_at: Option<Instant>,
    turns: Arc<Semaphore>,
    /// Held from a read until what was read is handed over.
    turn: Option<OwnedSemaphorePermit>,
    window: Window,
    /// Tells this container's records from others'.
    seed: u64,
    batch: Batch,
    told: Arc<Told>,
    said: Said,
}

#[derive(Debug, Clone)]
struct Grown {
    name: Name,
    /// Its last record is never finished, and goes as it is.
    cut_off: bool,
}

/// What is said once.
#[derive(Debug, Default)]
struct Said {
    missing: bool,
    no_append: bool,
    too_late: bool,
}

impl BlobReader {
    pub(super) fn new(
        log: &BlobLog,
        container: &str,
        frontier: Frontier,
        begin: Option<Option<Instant>>,
        sequence: i64,
    ) -> Self {
        Self {
            client: log.client.clone(),
            tables: log.tables.clone(),
            container: container.to_owned(),
            interval: log.interval,
            frontier,
            begin,
            sequence,
            grown: VecDeque::new(),
            listed: None,
            listed_at: None,
            turns: Arc::clone(&log.turns),
            turn: None,
            window: log.window.clone(),
            seed: xxh3_64(container.as_bytes()),
            batch: Batch::default(),
            told: Arc::clone(&log.told),
            said: Said::default(),
        }
    }

    /// Lists the container, and finds what there is to read. Answers with a message
    /// where the position has to be kept although nothing was read.
    pub(in crate::microsoft::azure::storage) async fn list(
        &mut self,
    ) -> Result<Option<Message>, StorageError> {
        let begin = self.begin.flatten();
        let first = self.begin.is_some();
        let (mut behind, mut now) = (Behind::default(), None);
        let mut marker: Option<String> = None;
        let mut grown = VecDeque::new();
        self.frontier.begin_listing();
        loop {
            let listed = match self
                .client
                .blobs(&self.container, "", marker.as_deref(), false)
                .await
            {
                Ok(listed) => listed,
                Err(error) if error.is_missing() => {
                    if !std::mem::replace(&mut self.said.missing, true) {
                        tracing::info!(
                            "container {} is not there (yet): Defender makes it when the table's first record comes",
                            self.container
                        );
                    }
                    self.listed = Some(self.client.clock().now());
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            now = listed.now.or(now);
            for blob in &listed.part.found {
                if !blob.append {
                    self.say_no_append(&blob.name);
                    continue;
                }
                behind.written = behind.written.max(blob.modified);
                let (name, seen) = self.frontier.see(blob, begin, now);
                match seen {
                    Seen::Nothing => continue,
                    Seen::TooLate => {
                        self.say_too_late(&blob.name);
                        continue;
                    }
                    Seen::Replaced => tracing::warn!(
                        "blob {} of {} is shorter than what was read of it: it was replaced, and is read from its beginning",
                        blob.name,
                        self.container
                    ),
                    Seen::Grown | Seen::CutOff => {}
                }
                let cut_off = seen == Seen::CutOff;
                let consumed = self.frontier.entry(&name).map_or(0, |entry| entry.consumed);
                behind.blobs += 1;
                behind.bytes += blob.size.saturating_sub(consumed);
                grown.push_back(Grown { name, cut_off });
            }
            marker = listed.part.next;
            if marker.is_none() {
                break;
            }
        }
        self.frontier.end_listing();
        self.begin = None;
        self.grown = grown;
        self.listed = Some(self.client.clock().now());
        self.listed_at = now;
        self.tell(|told| *told = behind);
        self.settle();
        // Where it was begun is known from now on.
        Ok(first.then(|| self.message(Message::default())))
    }

    fn say_no_append(&mut self, name: &str) {
        if !std::mem::replace(&mut self.said.no_append, true) {
            tracing::warn!(
                "blob {name} of container {} is no append blob and is not read, like all of its kind: Defender's \
                 streaming writes append blobs; look for what else writes there",
                self.container
            );
        }
    }

    fn say_too_late(&mut self, name: &str) {
        if !std::mem::replace(&mut self.said.too_late, true) {
            tracing::warn!(
                "blob {name} of container {} was written to more than 30 days after it was read; what was added \
                 before now is not read, nor that of others like it",
                self.container
            );
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Behind)) {
        let mut behind = self
            .told
            .behind
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(behind.entry(self.container.clone()).or_default());
    }

    /// The next message, with a position behind it that a checkpoint can hold.
    fn message(&mut self, message: Message) -> Message {
        self.sequence = self.sequence.saturating_add(1);
        Message {
            position: Position {
                offset: Some(self.frontier.text()),
                sequence: Some(self.sequence),
                epoch: None,
            },
            ..message
        }
    }

    /// Reads on, up to so many bytes: a part of a large blob, or many small ones.
    pub(in crate::microsoft::azure::storage) async fn read(
        &mut self,
        most_bytes: usize,
    ) -> Result<Vec<Message>, StorageError> {
        let most = u64::try_from(most_bytes.clamp(1, RANGE)).unwrap_or(u64::MAX);
        let mut messages = Vec::new();
        let mut bytes = 0;
        for _ in 0..MOST_TURNS {
            let Some(first) = self.grown.front() else {
                break;
            };
            let more = self
                .frontier
                .entry(&first.name)
                .map_or(0, |entry| entry.size - entry.consumed.min(entry.size));
            if bytes > 0 && bytes + more > most {
                break;
            }
            let before = messages.len();
            match self
                .read_side_by_side(most.saturating_sub(bytes), &mut messages)
                .await
            {
                Ok(()) => {}
                // What was read before it is handed over; it comes first the next time.
                Err(_) if !messages.is_empty() => break,
                Err(error) => return Err(error),
            }
            let fresh = messages.iter().skip(before);
            bytes += fresh.map(|message| message.body.len() as u64).sum::<u64>();
        }
        self.settle();
        // A checkpoint needs only the last one's.
        let last = messages.pop();
        for message in &mut messages {
            self.sequence = self.sequence.saturating_add(1);
            message.position = Position {
                offset: None,
                sequence: Some(self.sequence),
                epoch: None,
            };
        }
        if let Some(last) = last {
            let last = self.message(last);
            messages.push(last);
        }
        Ok(messages)
    }

    fn settle(&mut self) {
        if self.grown.is_empty()
            && let Some(now) = self.listed_at
        {
            self.frontier.settle(now);
        }
    }

    /// Reads the first blobs that grew, each once.
    async fn read_side_by_side(
        &mut self,
        most: u64,
        messages: &mut Vec<Message>,
    ) -> Result<(), StorageError> {
        let mut reads = Vec::new();
        let mut bytes = 0;
        for grown in self.grown.iter().take(SIDE_BY_SIDE) {
            let Some(entry) = self.frontier.entry(&grown.name) else {
                break;
            };
            let more = entry.size.saturating_sub(entry.consumed).max(1);
            if !reads.is_empty() && bytes + more > most {
                break;
            }
            bytes += more;
            // One that has grown meanwhile gets no more room than its share.
            let room = match reads.is_empty() {
                true => RANGE,
                false => usize::try_from(more).map_or(RANGE, |more| more.max(RANGE / SIDE_BY_SIDE)),
            };
            reads.push((grown.clone(), entry.consumed, room));
        }
        let (client, container, stems) = (&self.client, &self.container, self.frontier.stems());
        let answers = stream::iter(reads)
            .map(|(grown, from, room)| async move {
                let name = stems.text(&grown.name);
                let range = client.read(container, &name, from, room).await;
                (grown, name, from, range)
            })
            .buffered(SIDE_BY_SIDE)
            .collect::<Vec<_>>()
            .await;
        for (grown, name, from, range) in answers {
            let range = match range {
                Ok(range) => range,
                Err(error) if error.is_missing() => {
                    self.frontier.forget(&grown.name);
                    self.grown.pop_front();
                    continue;
                }
                Err(error) => return Err(error),
            };
            let waiting = self.grown.len();
            messages.extend(self.take(&grown, &name, from, range)?);
            if self.grown.len() == waiting {
                // There is more of it, which comes first.
                break;
            }
        }
        Ok(())
    }

    /// Takes what was read of the first blob that grew.
    fn take(
        &mut self,
        grown: &Grown,
        name: &str,
        from: u64,
        range: Range,
    ) -> Result<Option<Message>, StorageError> {
        let came = u64::try_from(range.bytes.len()).unwrap_or(u64::MAX);
        let received = self.listed_at.unwrap_or_default();
        let Some(entry) = self.frontier.entry(&grown.name) else {
            self.grown.pop_front();
            return Ok(None);
        };
        let size = range
            .size
            .unwrap_or(from.saturating_add(came).max(entry.size));
        if size < from {
            tracing::warn!(
                "blob {name} of {} is shorter than what was read of it: it was replaced, and is read from its beginning",
                self.container
            );
            (entry.consumed, entry.seen, entry.size) = (0, 0, size);
            return Ok(None);
        }
        let mut bytes = range.bytes;
        if grown.cut_off {
            bytes.push(b'\n');
        }
        let (window, batch, seed) = (&self.window, &mut self.batch, self.seed);
        let mut repeats = 0;
        let lines = records::lines(bytes, &self.tables, received, |properties| {
            let is_new = window.is_new(batch, seed, properties);
            repeats += u64::from(!is_new);
            is_new
        });
        self.told.repeats.fetch_add(repeats, Ordering::Relaxed);
        let consumed = u64::try_from(lines.consumed).unwrap_or(u64::MAX).min(came);
        let at_end = from.saturating_add(came) >= size;
        if consumed == 0 && !at_end {
            return Err(StorageError::Answer {
                host: self.client.host().to_owned(),
                what: format!(
                    "blob {name}: {came} bytes came of {} that are there",
                    size - from
                ),
            });
        }
        entry.consumed = from + consumed;
        entry.size = size;
        if at_end {
            entry.seen = size;
            self.grown.pop_front();
        }
        self.tell(|behind| {
            behind.bytes = behind.bytes.saturating_sub(consumed);
            behind.blobs = behind.blobs.saturating_sub(u64::from(at_end));
        });
        let message = lines.message;
        let empty = message.records.is_empty() && message.quarantined.is_empty();
        Ok((consumed > 0).then(|| match empty {
            // Nothing of it is kept in memory.
            true => Message::default(),
            false => message,
        }))
    }
}

impl PartitionReader for BlobReader {
    type Error = StorageError;

    async fn next(&mut self, most_bytes: usize) -> Result<Vec<Message>, StorageError> {
        loop {
            let messages = self.rest(most_bytes).await?;
            if !messages.is_empty() {
                return Ok(messages);
            }
            if let Some(listed) = self.listed {
                let now = self.client.clock().now();
                let due = listed + self.interval;
                self.client
                    .clock()
                    .sleep(due.saturating_duration_since(now))
                    .await;
            }
            if let Some(message) = self.list().await? {
                return Ok(vec![message]);
            }
        }
    }
}

impl BlobReader {
    /// The next messages of what lay there at the first call; none once that is read.
    ///
    /// # Errors
    /// As [`PartitionReader::next`].
    pub async fn next_there(&mut self, most_bytes: usize) -> Result<Vec<Message>, StorageError> {
        if self.listed.is_none() {
            self.list().await?;
        }
        self.rest(most_bytes).await
    }

    /// The next messages of what was listed; none once that is read.
    async fn rest(&mut self, most_bytes: usize) -> Result<Vec<Message>, StorageError> {
        // What came before is being handed over.
        self.turn = None;
        self.window.take(&mut self.batch);
        while !self.grown.is_empty() {
            // Nobody closes it.
            let turn = Arc::clone(&self.turns).acquire_owned().await;
            self.turn = turn.ok();
            let read = self.read(most_bytes).await;
            if read.as_ref().is_ok_and(|messages| !messages.is_empty()) {
                return read;
            }
            // Nothing waits to be handed over; after an error, there is a pause.
            self.turn = None;
            read?;
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
impl BlobReader {
    pub fn is_behind(&self) -> bool {
        !self.grown.is_empty()
    }

    /// As if asked for more.
    pub fn hand_over(&mut self) {
        self.window.take(&mut self.batch);
    }
}
