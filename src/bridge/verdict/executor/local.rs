//! Rows carried out by this process: with the accounts the caller may name, their
//! secrets, the limits of the settings.

use crate::bridge::account;
use crate::bridge::account::ACCOUNTS;
use crate::bridge::clients::Accounts;
use crate::bridge::signature::{Authentic, Key};
use crate::bridge::verdict::batch_lock;
use crate::bridge::verdict::deadline::Deadline;
use crate::bridge::verdict::executor::{Executor, Left};
use crate::bridge::verdict::job::{Job, JobError, most_rows};
use crate::bridge::verdict::ledger::Delivery;
use crate::bridge::verdict::validated_job::ValidatedJob;
use crate::splunk::splunkd::Splunkd;
use crate::triage;
use crate::triage::{Action, CarryOver, Form, Ledger, Row, Via};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// For so many seconds a sealed carry-over counts: longer than any search runs.
const CARRIED: i64 = 2 * 60 * 60;

pub struct Local {
    accounts: BTreeSet<String>,
    /// Most distinct targets of one call, by the settings.
    max_targets: usize,
    index: Option<String>,
    via: Via,
    /// None where this process may not read it.
    key: Option<Key>,
    clients: Accounts,
    /// What the incidents of the rows so far left behind.
    carry_over: CarryOver,
}

impl Local {
    /// `caller` is asked which accounts the caller may use, `splunkd` for
    /// everything else, secrets among it.
    pub async fn of(
        caller: &Splunkd,
        splunkd: &Splunkd,
        via: Via,
        key: Option<Key>,
    ) -> Result<Self, JobError> {
        let settings = account::settings(splunkd).await?;
        let accounts = caller.conf_names(ACCOUNTS).await?;
        Ok(Self {
            accounts: accounts.into_iter().collect(),
            max_targets: settings.max_targets()?,
            index: settings.outcome_index(),
            via,
            key,
            clients: Accounts::new(splunkd.clone(), settings),
            carry_over: CarryOver::default(),
        })
    }

    /// Most rows of one run.
    pub const fn most_rows(&self) -> usize {
        most_rows(self.max_targets)
    }

    /// Takes the outcomes of these jobs.
    pub fn delivery(&self, splunkd: &Splunkd) -> Delivery {
        Delivery::new(splunkd, self.index.clone(), self.key.clone())
    }

    /// What a job means on behalf of `actor`, whatever its rows; `form` is its form,
    /// where that was read before.
    ///
    /// # Errors
    /// Names what cannot be meant so.
    pub fn action(&self, job: &Job, form: Option<Form>, actor: &str) -> Result<Action, JobError> {
        let form = match form {
            Some(form) => form.among(self.accounts.clone())?,
            None => job.read_form(self.accounts.clone())?,
        };
        job.action(form, actor, self.via, self.max_targets)
    }

    /// What rows of an action ask for.
    ///
    /// # Errors
    /// Names what is wrong with the rows.
    pub fn validate(&self, action: Action, rows: Vec<Row>) -> Result<ValidatedJob, JobError> {
        ValidatedJob::of(action, rows, self.most_rows())
    }

    /// What is undone must stand in entries this app wrote.
    fn judge(&self, job: &ValidatedJob) -> Result<(), JobError> {
        let Some(key) = &self.key else {
            let why = "a role of this user cannot read the key of their signatures, and the app's REST endpoint does not stand in";
            let first = job.entries().next();
            return first.map_or(Ok(()), |_| Err(JobError::NoKey(why.to_owned())));
        };
        for (row, entry) in job.entries() {
            let judged = key.judge(entry);
            if judged != Authentic::True {
                let judged = judged.as_str();
                return Err(JobError::NotOurs { row, judged });
            }
        }
        Ok(())
    }

    /// What the rows so far left behind, sealed for the caller to send it with the
    /// next rows.
    pub fn seal(&self, action: &Action) -> Option<String> {
        let key = self.key.as_ref().filter(|_| !self.carry_over.is_empty())?;
        let carried = Carried {
            actor: action.actor.clone(),
            batch: action.batch.clone(),
            until: jiff::Timestamp::now().as_second() + CARRIED,
            carry_over: self.carry_over.clone(),
        };
        Some(key.seal(&serde_json::to_string(&carried).ok()?))
    }

    /// Goes on from what was sealed about the same batch for the same user.
    ///
    /// # Errors
    /// If the text was not.
    pub fn unseal(&mut self, text: &str, action: &Action) -> Result<(), JobError> {
        self.carry_over = CarryOver::default();
        let Some(key) = &self.key else {
            return Ok(());
        };
        let text = key.unseal(text).ok_or(JobError::CarryOver)?;
        let carried: Carried = serde_json::from_str(&text).map_err(|_| JobError::CarryOver)?;
        if (&carried.actor, &carried.batch) != (&action.actor, &action.batch) {
            return Err(JobError::CarryOver);
        }
        if carried.until >= jiff::Timestamp::now().as_second() {
            self.carry_over = carried.carry_over;
        }
        Ok(())
    }
}

impl Executor for Local {
    async fn carry_out<L: Ledger>(
        &mut self,
        job: &mut ValidatedJob,
        deadline: &Deadline,
        ledger: &mut L,
    ) -> Result<Option<Left>, JobError> {
        let rest = job.rest();
        let part = rest.as_ref().unwrap_or(job);
        // Without time nothing is begun, only recorded.
        if !deadline.left().is_zero() {
            self.judge(part)?;
        }
        let action = Action {
            limits: deadline.limits(part.action.limits.max_targets),
            ..part.action.clone()
        };
        self.clients.until(deadline.end());
        // A lock that is not free in time leaves no time either: the rows are deferred.
        let lock = batch_lock::wait(&action.batch, deadline).await;
        if let Some(lock) = &lock {
            let (targets, max) = (part.plan.written(), part.max_targets());
            lock.count(&action.actor, &action.batch, &targets, max)?;
        }
        let (plan, accounts) = (&part.plan, &self.clients);
        let carry_over = &mut self.carry_over;
        let ended =
            triage::carry_out(&action, plan, accounts, ledger, deadline, carry_over).await?;
        // What may show later gets time before the batch runs again.
        if let Some(lock) = lock.filter(|_| !ended.doubtful) {
            lock.release();
        }
        job.end(&ended.rows, &BTreeSet::new());
        Ok(None)
    }
}

#[derive(Serialize, Deserialize)]
struct Carried {
    actor: String,
    batch: String,
    until: i64,
    carry_over: CarryOver,
}
