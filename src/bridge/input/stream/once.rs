//! A stream read once, through what lies there when it is begun. No position is kept, no
//! partition is owned, and readers that own theirs are left alone.

use super::log_source::Source;
use crate::ingest::stream::{
    Begin, LogError, LogErrorClass, Message, Partition, PartitionReader, PartitionedLog, Position,
    ReadFrom, Start,
};
use crate::ingest::{Event, Instant, Kind, Sink};
use crate::microsoft::azure::event_hub::{Error, EventHub, PartitionProperties};
use crate::microsoft::azure::storage::BlobLog;
use anyhow::anyhow;
use std::io;
use std::time::Duration;

const BYTES: usize = 1 << 20;
/// What was told to lie there has not come for so long: it is not kept any more.
const SILENCE: Duration = Duration::from_secs(20);
/// Tries behind an error that passes, each after twice the pause of the one before.
const TRIES: u32 = 5;

/// What came.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Fetched {
    pub records: u64,
    pub quarantined: u64,
    pub messages: u64,
    pub partitions: u64,
    /// Not all that lies there was read.
    pub bound: bool,
}

impl Fetched {
    pub fn summary(&self) -> String {
        format!(
            "{} records, {} quarantined in {} messages of {} partitions{}",
            self.records,
            self.quarantined,
            self.messages,
            self.partitions,
            if self.bound {
                "; ended before it was through"
            } else {
                ""
            }
        )
    }
}

/// Reads a stream once into a sink.
pub struct Once<K> {
    out: Out<K>,
    through: bool,
}

/// Takes records up to a bound.
struct Out<K> {
    sink: K,
    most: u64,
    fetched: Fetched,
    now: Instant,
}

impl<K: Sink> Sink for Out<K> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if self.is_full() {
            return Ok(());
        }
        match event.kind {
            Kind::Quarantined => self.fetched.quarantined += 1,
            _ => self.fetched.records += 1,
        }
        self.sink.event(event)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl<K> Out<K> {
    fn is_full(&self) -> bool {
        self.fetched.records >= self.most
    }
}

impl<K: Sink> Out<K> {
    fn take(&mut self, messages: &[Message]) -> anyhow::Result<()> {
        let now = self.now;
        for message in messages {
            self.fetched.messages += 1;
            message.write(self, now).map_err(unwritten)?;
            if self.is_full() {
                break;
            }
        }
        self.flush().map_err(unwritten)
    }
}

fn unwritten(error: io::Error) -> anyhow::Error {
    anyhow!("the records cannot be written: {error}")
}

impl<K: Sink> Once<K> {
    /// `most`: end after so many records.
    pub fn new(sink: K, most: Option<u64>) -> Self {
        Self {
            out: Out {
                sink,
                most: most.unwrap_or(u64::MAX),
                fetched: Fetched::default(),
                now: Instant::from(jiff::Timestamp::now()),
            },
            through: false,
        }
    }

    /// Reads all that lies there from `begin` on, partition by partition.
    pub async fn through(&mut self, source: &Source, begin: Begin) -> anyhow::Result<()> {
        let start = match begin {
            Begin::Earliest => Some(Start::Earliest),
            Begin::At(instant) => Some(Start::At(instant)),
            // What comes from now on does not lie there.
            Begin::Latest => None,
        };
        match source {
            Source::EventHub(hub, _) => {
                let read = self.hub(hub, start).await;
                hub.close().await;
                read?;
            }
            Source::Storage(storage) => self.containers(&storage.log, start).await?,
        }
        self.through = !self.out.is_full();
        Ok(())
    }

    /// What came, all of it written.
    pub fn end(mut self) -> anyhow::Result<Fetched> {
        self.out.flush().map_err(unwritten)?;
        self.out.fetched.bound = !self.through;
        Ok(self.out.fetched)
    }

    async fn hub(&mut self, hub: &EventHub, start: Option<Start>) -> anyhow::Result<()> {
        let listed = hub.partitions().await?;
        let mut told = Vec::with_capacity(listed.len());
        for partition in listed {
            let properties = hub.partition(&partition.id).await?;
            told.push((partition, properties));
        }
        for (partition, properties) in told {
            self.out.fetched.partitions += 1;
            let Some((start, last)) = start.zip(last_from(&properties, start)) else {
                continue;
            };
            self.partition(hub, &partition, start, last).await?;
            if self.out.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// One partition, up to its message with the sequence number `last`.
    async fn partition(
        &mut self,
        hub: &EventHub,
        partition: &Partition,
        start: Start,
        last: i64,
    ) -> anyhow::Result<()> {
        let mut behind: Option<Position> = None;
        let mut failures = 0;
        let mut reader = None;
        loop {
            let from = match &behind {
                None => ReadFrom::Start(start),
                Some(position) => ReadFrom::After(position.clone()),
            };
            let read = async {
                let mut opened = match reader.take() {
                    Some(reader) => reader,
                    None => hub.open(partition, &from).await?,
                };
                let messages = opened.next(BYTES).await?;
                Ok::<_, Error>((opened, messages))
            };
            let messages = match tokio::time::timeout(SILENCE, read).await {
                Ok(Ok((opened, messages))) => {
                    (reader, failures) = (Some(opened), 0);
                    messages
                }
                Ok(Err(error)) => {
                    failures += 1;
                    again(&error, failures).await?;
                    continue;
                }
                Err(_) => {
                    tracing::warn!(
                        "partition {}: nothing more has come for {} s, though it should go up to message {last}",
                        partition.id,
                        SILENCE.as_secs()
                    );
                    return Ok(());
                }
            };
            self.out.take(&messages)?;
            behind = messages.last().map(|last| last.position.clone()).or(behind);
            let sequence = behind.as_ref().and_then(|position| position.sequence);
            if self.out.is_full() || sequence.is_some_and(|sequence| sequence >= last) {
                return Ok(());
            }
        }
    }

    async fn containers(&mut self, log: &BlobLog, start: Option<Start>) -> anyhow::Result<()> {
        let mut failures = 0;
        let listed = loop {
            match log.partitions().await {
                Ok(listed) => break listed,
                Err(error) => {
                    failures += 1;
                    again(&error, failures).await?;
                }
            }
        };
        for partition in listed {
            self.out.fetched.partitions += 1;
            let Some(start) = start else {
                continue;
            };
            let mut reader = log.open(&partition, &ReadFrom::Start(start)).await?;
            let mut failures = 0;
            loop {
                let messages = match reader.next_there(BYTES).await {
                    Ok(messages) => messages,
                    Err(error) => {
                        failures += 1;
                        again(&error, failures).await?;
                        continue;
                    }
                };
                failures = 0;
                self.out.take(&messages)?;
                if messages.is_empty() || self.out.is_full() {
                    break;
                }
            }
            if self.out.is_full() {
                break;
            }
        }
        Ok(())
    }
}

/// The sequence number a partition is to be read up to; none where nothing lies there from
/// `start` on.
fn last_from(told: &PartitionProperties, start: Option<Start>) -> Option<i64> {
    let last = told.last_there()?;
    let is_older = match (start, told.last_enqueued) {
        (Some(Start::At(instant)), Some(enqueued)) => enqueued < instant,
        _ => false,
    };
    (!is_older).then_some(last)
}

/// Waits before the next try, unless there is no use in one.
async fn again(error: &impl LogError, failures: u32) -> anyhow::Result<()> {
    let passes = matches!(
        error.class(),
        LogErrorClass::Passing | LogErrorClass::Reconnect
    );
    if !passes || failures >= TRIES {
        return Err(anyhow!("{error}"));
    }
    tracing::warn!("{error}; it is tried again");
    tokio::time::sleep(Duration::from_secs(1 << failures.min(4))).await;
    Ok(())
}
