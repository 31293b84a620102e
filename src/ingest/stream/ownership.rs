//! Which partitions of a log are this process's to read.

use super::Partition;
use std::convert::Infallible;
use std::future::Future;

/// Shares the partitions of a log with whoever else reads it.
///
/// Trouble that passes is the implementation's to sit out: it answers with the
/// partitions it still safely holds. An error ends the run.
pub trait Ownership {
    type Error: std::error::Error;

    /// One round: renews what this process holds and claims what is free or its
    /// share. A partition the answer leaves out is not this process's (any more):
    /// a renewal that failed is a loss.
    fn claim(
        &self,
        partitions: &[Partition],
    ) -> impl Future<Output = Result<Vec<String>, Self::Error>>;

    /// What the last round, or what was done since, sat out.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Gives partitions back at once, so that nobody waits for a lease to end.
    fn release(&self, partitions: &[String]) -> impl Future<Output = Result<(), Self::Error>>;
}

/// One machine reads all there is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

impl Ownership for Local {
    type Error = Infallible;

    async fn claim(&self, partitions: &[Partition]) -> Result<Vec<String>, Infallible> {
        Ok(partitions
            .iter()
            .map(|partition| partition.id.clone())
            .collect())
    }

    async fn release(&self, _: &[String]) -> Result<(), Infallible> {
        Ok(())
    }
}
