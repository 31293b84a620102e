//! Rows carried out by the app's REST endpoint, in parts that each end soon: a
//! cancelled search is noticed between two parts, and no answer is awaited for very
//! long. Rows that a part had no time for go with the next part.

use crate::bridge::own_endpoint;
use crate::bridge::own_endpoint::Found;
use crate::bridge::verdict::answer::Answer;
use crate::bridge::verdict::deadline::{DRAIN, Deadline};
use crate::bridge::verdict::executor::{Executor, Left};
use crate::bridge::verdict::job::{Job, JobError};
use crate::bridge::verdict::validated_job::ValidatedJob;
use crate::splunk::splunkd::{Route, Splunkd, SplunkdError};
use crate::triage::{Clock as _, Entry, Ledger, Outcome, Row, Via};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a part may begin new things: longer than the minute for which
/// Microsoft's quotas may be used up.
const PART: Duration = Duration::from_secs(90);

/// After so many parts in a row that ended no row, the next one gets all the time left.
const IDLE: usize = 3;

/// How much longer a part may take: for what it has begun, and for what comes before
/// and after.
const BEYOND: Duration = DRAIN.saturating_add(Duration::from_secs(30));

/// Bytes of a part: far below what splunkd and the endpoint take, unless an
/// administrator set less.
const LARGEST: usize = 24 << 20;

/// The first pause before an endpoint that ended no row is asked again; each further
/// pause is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// So many processes of another version may still answer.
const OTHERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(250);

const LOST: &str = "nobody knows what was carried out besides what stands in the ledger: run it again, what stands already is not written twice";

pub struct Endpoint {
    splunkd: Splunkd,
    /// The job of no rows that all rows belong to.
    called: Job,
    /// Whether the endpoint was found to be served.
    served: bool,
    /// Bytes the endpoint takes at once, as far as is known.
    largest: usize,
    /// What the incidents of the rows so far left behind, in the endpoint's words.
    pub carry_over: Option<String>,
}

/// As many of the rows left as go at once.
struct Part {
    count: usize,
    within: Duration,
    body: Vec<u8>,
}

impl Endpoint {
    pub const fn new(splunkd: Splunkd, called: Job) -> Self {
        Self {
            splunkd,
            called,
            served: false,
            largest: LARGEST,
            carry_over: None,
        }
    }

    /// Why the endpoint takes nothing, if it does not.
    async fn unserved(&mut self) -> Result<Option<Left>, JobError> {
        if self.served {
            return Ok(None);
        }
        Ok(match own_endpoint::look(&self.splunkd).await? {
            Found::Served { .. } => {
                self.served = true;
                None
            }
            Found::NotServed => Some(Left::NotServed),
            Found::Broken(why) => Some(Left::Broken(why)),
            Found::Busy(error) => Some(Left::Busy(error.to_string())),
        })
    }

    fn part(&self, job: &ValidatedJob, left: Duration, idle: usize) -> Result<Part, JobError> {
        let mut count = job.left();
        loop {
            let part = Job {
                rows: job.first(count).cloned().collect(),
                numbers: job.first(count).filter_map(Row::number).collect(),
                seconds: Some(left.min(PART).as_secs().max(1)),
                return_deferred: left > PART && idle < IDLE,
                carry_over: self.carry_over.clone(),
                ..self.called.clone()
            };
            let body = serde_json::to_vec(&part).map_err(JobError::Unsendable)?;
            if body.len() <= self.largest || count <= 1 {
                let within = part.time().saturating_add(BEYOND);
                return Ok(Part {
                    count,
                    within,
                    body,
                });
            }
            count = count.div_ceil(2);
        }
    }

    /// The endpoint's answer; none if nobody serves it.
    async fn send(&self, part: Part) -> Result<Option<Answer<Entry>>, SplunkdError> {
        let (body, within) = (part.body.into(), part.within);
        let asked = self.splunkd.call_endpoint(Route::Triage, body, within);
        let answer = asked.await?;
        answer
            .map(|json| Answer::read(&json, part.count))
            .transpose()
    }

    /// Ends the first rows left as failed, with an entry for each target: the endpoint
    /// may have recorded them or not.
    async fn lose<L: Ledger>(
        &self,
        job: &mut ValidatedJob,
        count: usize,
        why: &str,
        ledger: &mut L,
    ) {
        let actor = &job.action.actor;
        for (row, plan) in (0..count).filter_map(|place| job.alone(place)) {
            let entry = Entry {
                row,
                ..self
                    .called
                    .refused(actor, Via::Direct, Outcome::Failed, why)
            };
            let mut entries: Vec<Entry> = plan
                .planned()
                .map(|((account, target), dry_run)| Entry {
                    subject: target.subject,
                    target: Some(target.id),
                    account: Some(account),
                    dry_run,
                    ..entry.clone()
                })
                .collect();
            if entries.is_empty() {
                entries.push(entry);
            }
            for entry in entries {
                ledger.record(&entry).await;
            }
        }
        job.end(&vec![Outcome::Failed; count], &BTreeSet::new());
    }
}

impl Executor for Endpoint {
    async fn carry_out<L: Ledger>(
        &mut self,
        job: &mut ValidatedJob,
        deadline: &Deadline,
        ledger: &mut L,
    ) -> Result<Option<Left>, JobError> {
        // Nothing is begun yet: where nobody serves it, another way is open.
        if let Some(unserved) = self.unserved().await? {
            return Ok(Some(unserved));
        }
        let (mut idle, mut strange) = (0, 0);
        while job.left() > 0 && !deadline.left().is_zero() {
            let part = self.part(job, deadline.left(), idle)?;
            let (count, bytes) = (part.count, part.body.len());
            match self.send(part).await {
                Ok(Some(answer)) => {
                    self.carry_over = answer.carry_over;
                    let before = job.left();
                    job.end(&answer.rows, &answer.deferred_rows);
                    for entry in &answer.outcomes {
                        if !answer.deferred_rows.contains(&entry.row) {
                            ledger.record(entry).await;
                        }
                    }
                    if job.left() < before {
                        idle = 0;
                        continue;
                    }
                    // Whatever kept it from beginning for so long will go on.
                    let pause = FIRST_PAUSE.saturating_mul(1 << idle.min(8));
                    idle += 1;
                    let pause = pause.min(LAST_PAUSE).min(deadline.left());
                    deadline.sleep(pause).await;
                }
                Ok(None) => return Ok(Some(Left::NotServed)),
                // A process whose executable was replaced: it ends, and splunkd starts ours.
                Err(error) if error.of_another_version() && strange < OTHERS => {
                    strange += 1;
                    deadline.sleep(PAUSE).await;
                }
                Err(error) if error.too_large() && count > 1 => self.largest = bytes / 2,
                Err(error) if error.too_large() => {
                    let why = format!("this row has too many or too large fields: {error}");
                    self.lose(job, 1, &why, ledger).await;
                }
                Err(error) if error.busy() => return Ok(Some(Left::Busy(error.to_string()))),
                // In splunkd's own words, and it would say the same again.
                Err(error) if error.refused() => return Err(error.into()),
                // The endpoint may still be at it: what is begun again may be done twice.
                Err(error) => {
                    let why = format!("{error}; {LOST}");
                    tracing::error!("{why}");
                    self.lose(job, count, &why, ledger).await;
                    return Ok(Some(Left::Lost));
                }
            }
        }
        Ok(None)
    }
}
