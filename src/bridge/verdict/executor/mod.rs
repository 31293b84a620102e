//! Who carries out the rows of a job: this process, or the app's REST endpoint.

pub mod endpoint;
pub mod local;

use crate::bridge::verdict::deadline::Deadline;
use crate::bridge::verdict::job::JobError;
use crate::bridge::verdict::validated_job::ValidatedJob;
use crate::triage::Ledger;

pub trait Executor {
    /// Carries out the rows left of a job, and hands each outcome to the ledger as
    /// soon as it is known. Outcomes [`Via::Rest`] were recorded by the endpoint.
    /// Returns why it left rows although there was time.
    ///
    /// # Errors
    /// If the job is refused as a whole.
    ///
    /// [`Via::Rest`]: crate::triage::Via::Rest
    fn carry_out<L: Ledger>(
        &mut self,
        job: &mut ValidatedJob,
        deadline: &Deadline,
        ledger: &mut L,
    ) -> impl Future<Output = Result<Option<Left>, JobError>>;
}

/// Why rows were left; none of them was begun.
#[derive(Debug)]
pub enum Left {
    /// splunkd does not serve the endpoint.
    NotServed,
    /// The endpoint does not work: why, and what to do.
    Broken(String),
    /// The endpoint has no time.
    Busy(String),
    /// The answer about the rows before was lost.
    Lost,
}
