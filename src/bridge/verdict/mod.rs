//! Carries an analyst's verdict out: from a job and its rows to outcomes in the ledger.

pub mod answer;
pub mod authenticity;
mod batch_lock;
pub mod deadline;
pub mod dispatch;
pub mod executor;
pub mod job;
pub mod job_size;
pub mod ledger;
pub mod validated_job;
