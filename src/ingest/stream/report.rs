//! How a run goes, told at intervals: a run that does not end has no summary.

use super::{Failing, LogError, Tally};
use crate::ingest::Instant;
use std::io;

/// Where a partition of the log ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionEnd {
    pub partition: String,
    /// Sequence number of its last message; below that of the first where it is empty.
    pub sequence: i64,
    /// Of that number.
    pub epoch: Option<i64>,
}

/// How a run goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Since the run began.
    pub tally: Tally,
    /// How many partitions the log has.
    pub listed: usize,
    /// Those that are followed.
    pub partitions: Vec<PartitionReport>,
    /// When messages were delivered last; none in this run.
    pub delivered_at: Option<Instant>,
    /// The newest record delivered in this run.
    pub newest: Option<Instant>,
    /// What cannot be read at the moment.
    pub failing: Option<Failing>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionReport {
    pub partition: String,
    /// Of the last message handed over.
    pub sequence: Option<i64>,
    /// How many messages lie behind it.
    pub lag: Option<u64>,
    /// The newest record handed over in this run.
    pub newest: Option<Instant>,
}

/// Writes one report into a sink.
pub type WriteReport<K> = Box<dyn FnOnce(&mut K) -> io::Result<()> + Send>;

/// Is told how a run goes: once partitions are followed, or cannot be for an interval,
/// then at intervals.
pub trait Reporter<K> {
    /// What to write into the sink.
    fn report(&mut self, report: Report) -> Option<WriteReport<K>>;

    /// At the end, when there may be no sink to write into any more.
    fn last(&mut self, report: Report);
}

/// Wants to hear nothing.
#[cfg(test)]
pub(super) struct Nobody;

#[cfg(test)]
impl<K> Reporter<K> for Nobody {
    fn report(&mut self, _: Report) -> Option<WriteReport<K>> {
        None
    }

    fn last(&mut self, _: Report) {}
}

/// Ends of partitions that could not be told are missing in one report.
pub(super) fn told<E: LogError>(ends: Result<Vec<PartitionEnd>, E>) -> Vec<PartitionEnd> {
    ends.unwrap_or_else(|error| {
        tracing::debug!("how far the partitions go is not known: {error}");
        Vec::new()
    })
}
