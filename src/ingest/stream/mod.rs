//! A log followed by position: partitions side by side, each read in order from
//! where it was left, until the process is asked to stop.
//!
//! As pure as its parent: a log is read through [`PartitionedLog`], shared through
//! [`Ownership`], remembered by a [`PositionStore`], and time comes from a [`Clock`].
//! Messages leave through the `Sink` that polls use, and a position
//! is noted and saved only after that has flushed.

mod balance;
mod follow;
mod ownership;
mod pauses;
mod positions;
mod report;
#[cfg(test)]
mod tests;
mod trouble;

pub use balance::{Holding, share};
pub use follow::{Begin, Follower, Settings, Tally};
pub use ownership::{Local, Ownership};
pub use pauses::Clock;
pub use positions::{
    Checkpoint, CheckpointError, Kept, Numbers, Position, PositionStore, ReadFrom, Start,
};
pub use report::{PartitionEnd, PartitionReport, Report, Reporter, WriteReport};
pub use trouble::Failing;

use super::{Event, Instant, Kind, Quarantined, Sink};
use std::future::Future;
use std::io;
use std::ops::Range;

/// One partition of a log: of an event hub, or a container of append blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    pub id: String,
    /// When the log was created, where the service tells: one that was deleted and
    /// made anew has other messages at the same positions.
    pub created: Option<Instant>,
}

/// One message: a body with records in it.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// Behind this message: where a reader goes on once it is delivered.
    pub position: Position,
    /// As sent, and behind it the text of records that came as strings; records are spans of it.
    pub body: String,
    pub records: Vec<Record>,
    pub quarantined: Vec<Quarantined>,
}

/// One record in a message's body.
#[derive(Debug, Clone)]
pub struct Record {
    pub time: Instant,
    pub span: Range<usize>,
}

/// A log that is read by position: an event hub, the containers of a storage account.
pub trait PartitionedLog {
    type Error: LogError;
    type Reader: PartitionReader<Error = Self::Error>;

    /// The partitions there are now, in any order.
    fn partitions(&self) -> impl Future<Output = Result<Vec<Partition>, Self::Error>>;

    /// Begins to read a partition. Refuses with [`LogErrorClass::PositionGone`] where
    /// the position is not kept any more, or is none of this log's.
    fn open(
        &self,
        partition: &Partition,
        from: &ReadFrom,
    ) -> impl Future<Output = Result<Self::Reader, Self::Error>>;

    /// Where these partitions end, of those whose end can be told.
    fn ends(
        &self,
        _partitions: &[String],
    ) -> impl Future<Output = Result<Vec<PartitionEnd>, Self::Error>> {
        std::future::ready(Ok(Vec::new()))
    }
}

/// Reads one partition in order. Dropped, it gives the partition up.
pub trait PartitionReader {
    type Error: LogError;

    /// Waits for the next messages: as many as are there, up to so many bytes, one
    /// at least. A message larger than that comes alone.
    fn next(
        &mut self,
        most_bytes: usize,
    ) -> impl Future<Output = Result<Vec<Message>, Self::Error>>;
}

/// What a follower should make of an error of a log.
pub trait LogError: std::error::Error {
    fn class(&self) -> LogErrorClass;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogErrorClass {
    /// Busy, throttled, timed out: the same call again after a pause.
    Passing,
    /// The link or the connection is gone: a new reader, from our own position.
    Reconnect,
    /// The position is not kept any more (retention, a log made anew): what lay
    /// between is lost, and reading goes on with the oldest message kept.
    PositionGone,
    /// The partition was taken by another reader, or is not there any more.
    Lost,
    /// Nothing can be read until somebody mends something: sign-in, permission, name.
    Stop,
}

impl Message {
    /// Hands over its records, and what is none.
    ///
    /// # Errors
    /// As the sink.
    pub fn write(&self, sink: &mut impl Sink, now: Instant) -> io::Result<()> {
        let text = |span: &Range<usize>| self.body.get(span.clone()).unwrap_or_default();
        for record in &self.records {
            sink.event(&Event {
                kind: Kind::Record,
                time: record.time,
                raw: [text(&record.span), ""],
                why: None,
            })?;
        }
        for element in &self.quarantined {
            sink.event(&Event {
                kind: Kind::Quarantined,
                time: now,
                raw: [text(&element.span), ""],
                why: Some(&element.why),
            })?;
        }
        Ok(())
    }
}
