//! Which executor gets the rows of a run: the app's REST endpoint, for everybody
//! from whom capability or ACL may hide something; this process for administrators,
//! unless a secret is hidden from them too. Where the endpoint is not served, this
//! process tries, and says what the user's role lacks; where the endpoint fails
//! before anything was begun, the rows are deferred unless this process can read the
//! secrets.

#[cfg(test)]
mod tests;

use crate::bridge::account::{ACL, SecretsSeen};
use crate::bridge::permission::{Caller, Denied, EVENTS, SECRETS};
use crate::bridge::signature;
use crate::bridge::verdict::deadline::Deadline;
use crate::bridge::verdict::executor::endpoint::Endpoint;
use crate::bridge::verdict::executor::local::Local;
use crate::bridge::verdict::executor::{Executor as _, Left};
use crate::bridge::verdict::job::{Job, JobError, MOST_NAMELESS, batch};
use crate::bridge::verdict::ledger::Delivery;
use crate::bridge::verdict::validated_job::ValidatedJob;
use crate::splunk::splunkd::{Splunkd, SplunkdError};
use crate::triage::{Action, Entry, Form, Ledger, Outcome, Row, Summary, Target, TriageError, Via};
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

/// Why rows are not begun after those whose answer was lost.
const AFTER_LOST: &str =
    "the app's REST endpoint failed at the rows before: run it again for the rows left over";

/// The actor of a run that ended before splunkd said whose it is.
const NOBODY: &str = "unknown";

/// One run of one caller: all its rows go by the same form, and count together.
pub struct Dispatcher {
    splunkd: Splunkd,
    caller: Caller,
    /// The job of no rows that all rows belong to.
    called: Job,
    /// The form, as far as somebody else has read it.
    form: Option<Form>,
    /// What the job means, once it had rows.
    action: Option<Action>,
    local: Local,
    endpoint: Endpoint,
    through_endpoint: bool,
    secrets: SecretsSeen,
    delivery: Delivery,
    /// Whether outcomes of earlier runs were handed over.
    spool_flushed: bool,
    totals: Totals,
}

/// The caller, who may write; where splunkd does not say who asks, one event says so.
///
/// # Errors
/// As [`Caller::who_may_write`].
pub async fn caller(splunkd: &Splunkd, job: &Job) -> Result<Caller, Denied> {
    let caller = Caller::who_may_write(splunkd).await;
    if let Err(Denied::Unknown(error)) = &caller {
        // A splunkd that does not say who asks takes no event either.
        let entry = of_nobody(job, error);
        Delivery::new(splunkd, None, None).keep(&entry).await;
    }
    caller
}

fn of_nobody(job: &Job, error: &SplunkdError) -> Entry {
    let outcome = match error.busy() || error.passing() {
        true => Outcome::Deferred,
        false => Outcome::Failed,
    };
    let why = format!("nothing was begun: {error}");
    job.refused(NOBODY, Via::Direct, outcome, &why)
}

/// Records that a run of `user` could not be dispatched.
pub async fn not_found(splunkd: &Splunkd, job: &Job, user: &str, error: &JobError) {
    let entry = job.refused(user, Via::Direct, Outcome::Failed, &error.to_string());
    Delivery::new(splunkd, None, None).deliver(&entry).await;
}

impl Dispatcher {
    /// Opens a run for a caller who may write. `splunkd` is asked with the caller's own
    /// key; `called` is the job of no rows; `form` its form, if somebody has read it.
    ///
    /// # Errors
    /// If the settings cannot be read.
    pub async fn of(
        splunkd: Splunkd,
        caller: Caller,
        mut called: Job,
        form: Option<Form>,
    ) -> Result<Self, JobError> {
        // Only who may read the key can write it: nobody else is asked for it.
        let key = match caller.reads_secrets() {
            true => match signature::key(&splunkd).await {
                Ok(key) => Some(key),
                // The endpoint signs what others do, and the ACL hides the key from them.
                Err(error) if !caller.is_administrator() => {
                    tracing::debug!("outcomes recorded by this process are not signed: {error}");
                    None
                }
                Err(error) => {
                    tracing::warn!("outcomes recorded by this process are not signed: {error}");
                    None
                }
            },
            false => None,
        };
        called.batch.get_or_insert_with(|| batch(None));
        let local = Local::of(&splunkd, &splunkd, Via::Direct, key).await?;
        Ok(Self {
            delivery: local.delivery(&splunkd),
            local,
            endpoint: Endpoint::new(splunkd.clone(), called.clone()),
            through_endpoint: !caller.is_administrator(),
            secrets: SecretsSeen::default(),
            spool_flushed: false,
            totals: Totals::default(),
            form,
            action: None,
            called,
            caller,
            splunkd,
        })
    }

    /// The id of the run's batch.
    pub fn batch(&self) -> &str {
        self.called.batch.as_deref().unwrap_or_default()
    }

    /// Most rows of a run.
    pub const fn most_rows(&self) -> usize {
        self.local.most_rows()
    }

    /// Records that the run, or these rows of it, came to nothing, so that people
    /// find it: one event, however many rows. The endpoint has recorded its own
    /// refusals.
    pub async fn refused(&mut self, error: &JobError) {
        let outcome = match error {
            JobError::Splunkd(error) if error.refused_by_endpoint() => return,
            error if error.is_the_callers() => Outcome::Invalid,
            _ => Outcome::Failed,
        };
        let (user, why) = (&self.caller.user, error.to_string());
        let entry = self.called.refused(user, Via::Direct, outcome, &why);
        self.delivery.deliver(&entry).await;
    }

    /// Carries out the next rows of the run. Rows are counted from its first
    /// one on, and the limit of targets holds for all of them. `on_outcome` gets
    /// each outcome.
    ///
    /// # Errors
    /// If none of these rows was carried out, or the endpoint, asked for the
    /// last of them, would not.
    pub async fn carry_out(
        &mut self,
        rows: Vec<Row>,
        deadline: &Deadline,
        on_outcome: &mut dyn FnMut(&Entry),
    ) -> Result<Summary, JobError> {
        let carried_out = self.dispatch(rows, deadline, on_outcome).await;
        if let Err(error) = &carried_out {
            self.refused(error).await;
        }
        carried_out
    }

    async fn dispatch(
        &mut self,
        rows: Vec<Row>,
        deadline: &Deadline,
        on_outcome: &mut dyn FnMut(&Entry),
    ) -> Result<Summary, JobError> {
        let mut job = self.validate(rows)?;
        self.delivery.reset_time();
        let mut not_begun = None;
        if self.goes_through_endpoint().await && !deadline.left().is_zero() {
            let mut ledger = Outcomes::of(&mut self.delivery, None, on_outcome);
            let left = self.endpoint.carry_out(&mut job, deadline, &mut ledger);
            if let Some(left) = left.await? {
                not_begun = self.why_not_here(left).await;
            }
        }
        if job.left() > 0 {
            if !std::mem::replace(&mut self.spool_flushed, true) {
                self.delivery.flush_spool().await;
            }
            if let Some(text) = self.endpoint.carry_over.take() {
                self.local.unseal(&text, &job.action).ok();
            }
            // Without time the rows are recorded as not begun.
            let over = Deadline::of(Duration::ZERO);
            let deadline = not_begun.as_ref().map_or(deadline, |_| &over);
            let mut ledger = Outcomes::of(&mut self.delivery, not_begun, on_outcome);
            self.local
                .carry_out(&mut job, deadline, &mut ledger)
                .await?;
        }
        Ok(job.summary())
    }

    /// The rows with their numbers, counted and planned; the form is read with the first.
    fn validate(&mut self, rows: Vec<Row>) -> Result<ValidatedJob, JobError> {
        let most = self.most_rows();
        let first = self.totals.rows + 1;
        self.totals.rows += rows.len();
        if self.totals.rows > most {
            let rows = self.totals.rows;
            return Err(JobError::TooManyRows { rows, most });
        }
        let action = match self.action.clone() {
            Some(action) => action,
            None => {
                let (called, user) = (&self.called, &self.caller.user);
                let action = self.local.action(called, self.form.take(), user)?;
                self.action.insert(action).clone()
            }
        };
        let rows = rows.into_iter().zip(first..);
        let rows = rows.map(|(row, number)| row.numbered(number)).collect();
        let job = self.local.validate(action, rows)?;
        self.totals.add(&job, first, most)?;
        Ok(job)
    }

    async fn goes_through_endpoint(&mut self) -> bool {
        if !self.through_endpoint && self.is_hidden().await {
            self.through_endpoint = true;
        }
        self.through_endpoint
    }

    /// Whether a secret that the rows need is hidden from the caller, or not there.
    async fn is_hidden(&self) -> bool {
        let accounts = self.totals.targets.iter().map(|(account, _)| account);
        let accounts: BTreeSet<&String> = accounts.collect();
        let mut hidden = false;
        for account in accounts {
            hidden |= self.secrets.is_hidden(&self.splunkd, account).await;
        }
        hidden
    }

    /// Why this process does not begin what the endpoint left; none if it does.
    async fn why_not_here(&mut self, left: Left) -> Option<String> {
        let why = match left {
            Left::NotServed => {
                self.through_endpoint = false;
                tracing::warn!("{}", lacking(&self.caller));
                return None;
            }
            Left::Lost => return Some(AFTER_LOST.to_owned()),
            Left::Broken(why) => {
                self.through_endpoint = false;
                why
            }
            Left::Busy(why) => why,
        };
        if self.caller.reads_secrets() && !self.is_hidden().await {
            tracing::warn!("{why}; carried out without the app's REST endpoint");
            return None;
        }
        tracing::error!("{why}");
        Some(why)
    }
}

/// What the rows of a run come to so far.
#[derive(Default)]
struct Totals {
    rows: usize,
    nameless: usize,
    named: usize,
    targets: HashSet<(String, Target)>,
}

impl Totals {
    /// The limits hold for the run, not for each of its parts; `first` is the number
    /// of the job's first row.
    fn add(&mut self, job: &ValidatedJob, first: usize, most: usize) -> Result<(), JobError> {
        self.nameless += job.nameless;
        if self.nameless > MOST_NAMELESS {
            let rows = self.nameless;
            return Err(JobError::Nameless { rows });
        }
        self.named += job.named;
        if self.named > most {
            let named = self.named;
            return Err(JobError::TooMuchNamed { named, most });
        }
        let earlier = self.targets.len();
        self.targets
            .extend(job.plan.planned().map(|(target, _)| target));
        let (targets, max) = (self.targets.len(), job.max_targets());
        if targets <= max {
            return Ok(());
        }
        let error = TriageError::TooManyTargets { targets, max };
        Err(match earlier {
            0 => error.into(),
            earlier => JobError::TooManyTargets {
                error,
                first,
                earlier,
            },
        })
    }
}

/// Where outcomes go as they happen.
struct Outcomes<'o> {
    delivery: &'o mut Delivery,
    /// Why nothing is begun.
    not_begun: Option<String>,
    on_outcome: &'o mut dyn FnMut(&Entry),
}

impl<'o> Outcomes<'o> {
    fn of(
        delivery: &'o mut Delivery,
        not_begun: Option<String>,
        on_outcome: &'o mut dyn FnMut(&Entry),
    ) -> Self {
        Self {
            delivery,
            not_begun,
            on_outcome,
        }
    }
}

impl Ledger for Outcomes<'_> {
    async fn record(&mut self, entry: &Entry) {
        // The endpoint has recorded its own outcomes.
        if entry.via == Via::Rest {
            return (self.on_outcome)(entry);
        }
        let deferred = entry.outcome == Outcome::Deferred;
        let not_begun = self.not_begun.as_ref().filter(|_| deferred);
        let not_begun = not_begun.map(|why| Entry {
            message: format!("not begun: {why}"),
            ..entry.clone()
        });
        let entry = not_begun.as_ref().unwrap_or(entry);
        self.delivery.deliver(entry).await;
        (self.on_outcome)(entry);
    }
}

/// What the user's roles would have to hold where no endpoint stands in.
fn lacking(caller: &Caller) -> String {
    let [events, ..] = EVENTS;
    let capability = match (caller.reads_secrets(), caller.sends_events()) {
        (true, true) => String::new(),
        (true, false) => format!("the capability {events} to index outcomes and "),
        (false, true) => format!("the capability {SECRETS} and "),
        (false, false) => {
            format!("the capabilities {SECRETS} and {events} (to index outcomes) and ")
        }
    };
    format!(
        "this splunkd does not serve the app's REST endpoint, so a role of user \"{}\" needs {capability}read access to the accounts' secrets ({ACL}); better restart Splunk, so that it serves the endpoint",
        caller.user
    )
}
