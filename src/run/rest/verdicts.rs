//! `POST triage`: carries out a job with splunkd's own session key; sends each outcome
//! to the index at once, and all of them to the caller.

use super::{Asked, Refusal};
use crate::bridge::permission::Right;
use crate::bridge::signature;
use crate::bridge::verdict::answer::Answer;
use crate::bridge::verdict::deadline::Deadline;
use crate::bridge::verdict::executor::Executor as _;
use crate::bridge::verdict::executor::local::Local;
use crate::bridge::verdict::job::{Job, JobError};
use crate::bridge::verdict::job_size::Outline;
use crate::bridge::verdict::ledger::Delivery;
use crate::splunk::rest_handler::Reply;
use crate::triage::{Entry, Ledger, Outcome, Summary, Via};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

/// How often requests look through the spool at most.
const FLUSH_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Verdicts {
    /// When outcomes of earlier runs were last handed over.
    spool_flushed: Option<Instant>,
}

impl Verdicts {
    pub async fn carry_out(&mut self, asked: Asked) -> Result<Reply, Refusal> {
        // The rows are counted before anything is built of them.
        let (caller, outline) = asked.open::<Outline>(Right::Write, "job").await?;
        let key = match signature::key(&asked.system).await {
            Ok(key) => Some(key),
            Err(error) => {
                tracing::warn!("outcomes are not signed: {error}");
                None
            }
        };
        let mut local = Local::of(&asked.own, &asked.system, Via::Rest, key).await?;
        let mut answered = Answered {
            delivery: self.delivery(&asked, &local).await,
            outcomes: Vec::new(),
            bytes: 0,
            late: None,
            begun: HashSet::new(),
        };
        let called = outline.called();
        let carried_out = carry_out(&asked, outline, &mut local, &caller.user, &mut answered).await;
        let (summary, carry_over) = match carried_out {
            Ok(carried_out) => carried_out,
            Err(Stop::Unread(refusal)) => return Err(refusal),
            Err(Stop::Refused(error)) => {
                // A caller who sent too many values sends fewer next, so no event says so.
                if error.is_the_callers() && !matches!(error, JobError::TooManyValues { .. }) {
                    let why = error.to_string();
                    let entry = called.refused(&caller.user, Via::Rest, Outcome::Invalid, &why);
                    answered.delivery.deliver(&entry).await;
                }
                return Err(error.into());
            }
        };
        tracing::info!("for {}: {summary}", caller.user);
        let deferred_rows = answered.end().await;
        Ok(Reply::well(&Answer {
            summary: summary.to_string(),
            rows: summary.rows,
            outcomes: std::mem::take(&mut answered.outcomes),
            deferred_rows,
            carry_over,
        }))
    }

    async fn delivery(&mut self, asked: &Asked, local: &Local) -> Delivery {
        let delivery = local.delivery(&asked.system);
        if self
            .spool_flushed
            .is_none_or(|at| at.elapsed() > FLUSH_INTERVAL)
        {
            self.spool_flushed = Some(Instant::now());
            delivery.flush_spool().await;
        }
        delivery
    }
}

/// Why a job is not carried out.
enum Stop {
    Unread(Refusal),
    Refused(JobError),
}

impl From<JobError> for Stop {
    fn from(error: JobError) -> Self {
        Self::Refused(error)
    }
}

async fn carry_out(
    asked: &Asked,
    outline: Outline,
    local: &mut Local,
    user: &str,
    answered: &mut Answered,
) -> Result<(Summary, Option<String>), Stop> {
    outline.bounded(local.most_rows())?;
    let mut job: Job = asked.read("job").map_err(Stop::Unread)?;
    let deadline = Deadline::of(job.time());
    answered.late = job.return_deferred.then(Vec::new);
    let action = local.action(&job, None, user)?;
    if let Some(text) = &job.carry_over {
        local.unseal(text, &action)?;
    }
    let mut job = local.validate(action, job.take_rows()?)?;
    local.carry_out(&mut job, &deadline, answered).await?;
    Ok((job.summary(), local.seal(&job.action)))
}

/// Bytes of outcomes in an answer, beyond which they leave out what the ledger
/// has at length.
const LONG: usize = 16 << 20;

struct Answered {
    delivery: Delivery,
    outcomes: Vec<Box<RawValue>>,
    bytes: usize,
    /// Deferred outcomes, if the caller will send their rows again.
    late: Option<Vec<Entry>>,
    /// Rows of which something was carried out.
    begun: HashSet<usize>,
}

impl Answered {
    async fn keep(&mut self, entry: &Entry) {
        self.delivery.deliver(entry).await;
        let json = match self.bytes < LONG {
            true => to_raw_value(entry),
            false => to_raw_value(&Entry {
                before: None,
                after: None,
                requested: None,
                ..entry.clone()
            }),
        };
        match json {
            Ok(json) => {
                self.bytes += json.get().len();
                self.outcomes.push(json);
            }
            Err(error) => tracing::error!("row {}: {error}", entry.row),
        }
    }

    /// The rows to be handed back, without those of which some targets were carried
    /// out: these would be carried out twice.
    async fn end(&mut self) -> BTreeSet<usize> {
        let late = self.late.take().unwrap_or_default();
        let mut back = BTreeSet::new();
        for entry in late {
            if self.begun.contains(&entry.row) {
                self.keep(&entry).await;
            } else {
                back.insert(entry.row);
            }
        }
        back
    }
}

impl Ledger for Answered {
    async fn record(&mut self, entry: &Entry) {
        if entry.outcome == Outcome::Deferred
            && let Some(late) = &mut self.late
        {
            late.push(entry.clone());
            return;
        }
        self.begun.insert(entry.row);
        self.keep(entry).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splunk::splunkd::{Splunkd, Tls};
    use crate::triage::{State, Subject};

    #[tokio::test]
    async fn an_answer_that_grows_long_leaves_out_what_the_ledger_has() {
        let key = "key".to_owned().into();
        let nobody =
            Splunkd::new("http://127.0.0.1:9", key, &Tls::default(), Duration::ZERO).unwrap();
        let mut answered = Answered {
            delivery: Delivery::new(&nobody, None, None),
            outcomes: Vec::new(),
            bytes: 0,
            late: None,
            begun: HashSet::new(),
        };
        let job = Job::new("queue", Subject::Alert, Default::default());
        let entry = Entry {
            row: 1,
            before: Some(State::default()),
            ..job.refused("ann", Via::Rest, Outcome::Failed, "no")
        };
        answered.keep(&entry).await;
        answered.bytes = LONG;
        answered.keep(&entry).await;
        let [long, short] = answered.outcomes.as_slice() else {
            panic!("two outcomes")
        };
        assert!(long.get().contains("\"before\""), "{long}");
        assert!(!short.get().contains("\"before\""), "{short}");
        assert!(short.get().contains("\"outcome\":\"failed\""), "{short}");
    }
}
