//! What jobs are carried out with in this process: the accounts the caller may
//! name, their secrets, the limits of the settings.

use super::batch_lock;
use crate::bridge::account;
use crate::bridge::account::ACCOUNTS;
use crate::bridge::clients::Accounts;
use crate::bridge::signature::{Authentic, Key};
use crate::bridge::verdict::deadline::Deadline;
use crate::bridge::verdict::job::{Job, JobError, MOST_NAMELESS, most_rows};
use crate::bridge::verdict::ledger::Delivery;
use crate::splunk::splunkd::Splunkd;
use crate::triage;
use crate::triage::{
    Action, CarryOver, ENTRIES, Ledger, Plan, Restoration, Row, Summary, UNDOES, Via, named,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const DRY_RUN: &str = "dry_run";

/// For so many seconds what is carried over counts: longer than any search runs.
const CARRIED: i64 = 2 * 60 * 60;

/// What the jobs of one caller are carried out with.
pub struct Executor {
    accounts: BTreeSet<String>,
    /// Most distinct targets of one call, as the settings have it.
    max_targets: usize,
    index: Option<String>,
    via: Via,
    /// None where this process may not read it.
    key: Option<Key>,
    clients: Accounts,
}

impl Executor {
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
        })
    }

    /// Most rows of one run.
    pub const fn most_rows(&self) -> usize {
        most_rows(self.max_targets)
    }

    pub const fn via(&self) -> Via {
        self.via
    }

    /// Takes the outcomes of these jobs.
    pub fn delivery(&self, splunkd: &Splunkd) -> Delivery {
        Delivery::new(splunkd, self.index.clone(), self.key.clone())
    }

    /// What a job means, on behalf of `actor`.
    pub fn validate(&self, mut job: Job, actor: &str) -> Result<ValidatedJob, JobError> {
        let most = self.most_rows();
        if job.rows.len() > most {
            let rows = job.rows.len();
            return Err(JobError::TooManyRows { rows, most });
        }
        let undoes = job.form.get(UNDOES).last().cloned();
        let entries = match undoes.filter(|batch| !batch.is_empty()) {
            Some(batch) => restorations(&batch, &mut job, actor)?,
            None => Vec::new(),
        };
        let accounts = self.accounts.clone();
        let (action, rows) = job.into_action(actor, self.via, accounts, self.max_targets)?;
        let (nameless, named) = named(&action.form, &rows);
        if named > most {
            return Err(JobError::TooMuchNamed { named, most });
        }
        if nameless > MOST_NAMELESS {
            return Err(JobError::Nameless { rows: nameless });
        }
        // Only now: a plan costs more than the rows it is made of.
        let plan = Plan::of(&action.form, &rows);
        Ok(ValidatedJob {
            action,
            rows,
            plan,
            nameless,
            named,
            entries,
        })
    }

    /// Writes each outcome into the ledger as it happens. `carry_over` is what the
    /// run's earlier rows left behind.
    ///
    /// # Errors
    /// If nothing was read, written or recorded.
    pub async fn carry_out<L: Ledger>(
        &self,
        validated: &ValidatedJob,
        deadline: &Deadline,
        ledger: &mut L,
        carry_over: &mut CarryOver,
    ) -> Result<Summary, JobError> {
        // Without time nothing is begun, only recorded.
        if !deadline.left().is_zero() {
            self.judge(validated)?;
        }
        let action = Action {
            limits: deadline.limits(validated.action.limits.max_targets),
            ..validated.action.clone()
        };
        self.clients.until(deadline.end());
        // A lock that is not free in time leaves no time either: the rows are deferred.
        let lock = batch_lock::wait(&action.batch, deadline).await;
        if let Some(lock) = &lock {
            let targets = validated.plan.written();
            lock.count(
                &action.actor,
                &action.batch,
                &targets,
                validated.max_targets(),
            )?;
        }
        let (plan, accounts) = (&validated.plan, &self.clients);
        let ended =
            triage::carry_out(&action, plan, accounts, ledger, deadline, carry_over).await?;
        // What may show later gets time before the batch runs again.
        if let Some(lock) = lock.filter(|_| !ended.doubtful) {
            lock.release();
        }
        Ok(ended)
    }

    /// What is undone must stand in entries this app wrote.
    fn judge(&self, validated: &ValidatedJob) -> Result<(), JobError> {
        if validated.entries.is_empty() {
            return Ok(());
        }
        let Some(key) = &self.key else {
            let why = "a role of this user cannot read the key of their signatures, and the app's REST endpoint does not stand in";
            return Err(JobError::NoKey(why.to_owned()));
        };
        for (row, entry) in &validated.entries {
            let judged = key.judge(entry);
            if judged != Authentic::True {
                let (row, judged) = (*row, judged.as_str());
                return Err(JobError::NotOurs { row, judged });
            }
        }
        Ok(())
    }

    /// What earlier rows left behind, to be handed back by way of the caller.
    pub fn carry_over(&self, carry_over: &CarryOver, validated: &ValidatedJob) -> Option<String> {
        let key = self.key.as_ref().filter(|_| !carry_over.is_empty())?;
        let carried = Carried {
            actor: validated.action.actor.clone(),
            batch: validated.action.batch.clone(),
            until: jiff::Timestamp::now().as_second() + CARRIED,
            carry_over: carry_over.clone(),
        };
        Some(key.seal(&serde_json::to_string(&carried).ok()?))
    }

    /// What was handed back so, about the same batch and to the same user.
    ///
    /// # Errors
    /// If it was not.
    pub fn carried_over(
        &self,
        text: &str,
        validated: &ValidatedJob,
    ) -> Result<CarryOver, JobError> {
        let Some(key) = &self.key else {
            return Ok(CarryOver::default());
        };
        let text = key.unseal(text).ok_or(JobError::CarryOver)?;
        let carried: Carried = serde_json::from_str(&text).map_err(|_| JobError::CarryOver)?;
        let action = &validated.action;
        if (&carried.actor, &carried.batch) != (&action.actor, &action.batch) {
            return Err(JobError::CarryOver);
        }
        Ok(match carried.until < jiff::Timestamp::now().as_second() {
            true => CarryOver::default(),
            false => carried.carry_over,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Carried {
    actor: String,
    batch: String,
    until: i64,
    carry_over: CarryOver,
}

/// Puts in the place of an undo's rows what their entries come to, whatever else
/// the rows say but a comment. Returns the entries, each with its row. What
/// somebody else asked for is only rehearsed, unless the form says otherwise.
fn restorations(batch: &str, job: &mut Job, actor: &str) -> Result<Vec<(usize, String)>, JobError> {
    let mut all = Vec::new();
    let mut anothers = false;
    for (place, row) in job.rows.iter_mut().enumerate() {
        let number = job.numbers.get(place).copied().unwrap_or(place + 1);
        let fields = row.fields();
        let entries = fields.get(ENTRIES).to_vec();
        let comment = fields.get("defender_comment").last();
        let restoration = Restoration::of(batch, entries.iter().map(String::as_str));
        let restoration = restoration.ok_or_else(|| JobError::NoEntries {
            row: number,
            batch: batch
                .chars()
                .take(64)
                .flat_map(char::escape_debug)
                .collect(),
        })?;
        anothers |= restoration.actors.iter().any(|other| other != actor);
        *row = Row::new(restoration.fields(comment.map(String::as_str)));
        all.extend(entries.into_iter().map(|entry| (number, entry)));
    }
    let said = job.form.get(DRY_RUN);
    if anothers && said.iter().all(|word| word.trim().is_empty()) {
        job.form.insert(DRY_RUN, vec!["true".to_owned()]);
    }
    Ok(all)
}

/// A job that was understood.
#[derive(Debug)]
pub struct ValidatedJob {
    pub action: Action,
    pub rows: Vec<Row>,
    pub plan: Plan,
    /// How many rows name no target.
    pub nameless: usize,
    /// How many targets the others name, one that is named twice counted twice.
    pub named: usize,
    /// What an undo's rows come from, each with its row's number.
    entries: Vec<(usize, String)>,
}

impl ValidatedJob {
    /// The job of the rows at these places, in their order: its form is read
    /// already, and a plan of fewer rows is another one.
    pub fn part(&self, places: &[usize]) -> Self {
        let rows: Vec<Row> = places
            .iter()
            .filter_map(|place| self.rows.get(*place).cloned())
            .collect();
        let plan = Plan::of(&self.action.form, &rows);
        let (nameless, named) = named(&self.action.form, &rows);
        let numbers: BTreeSet<usize> = plan.rows().iter().copied().collect();
        let entries = self.entries.iter();
        Self {
            action: self.action.clone(),
            entries: entries
                .filter(|(row, _)| numbers.contains(row))
                .cloned()
                .collect(),
            rows,
            plan,
            nameless,
            named,
        }
    }

    /// Most distinct targets it may have.
    pub fn max_targets(&self) -> usize {
        let asked = self.action.form.max_targets().unwrap_or(usize::MAX);
        self.action.limits.max_targets.min(asked)
    }
}
