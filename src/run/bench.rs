//! What jobs are carried out with in this process: the accounts the caller may
//! name, their secrets, the limits of the settings.

use super::account::{self, ACCOUNTS};
use super::course::Course;
use super::desks::Accounts;
use super::triage::{Job, JobError};
use super::turn;
use crate::splunk::splunkd::Splunkd;
use crate::triage::{self, Action, Ledger, Row, Summary, Wake};
use std::collections::BTreeSet;

/// What the jobs of one caller are carried out with.
pub struct Bench {
    accounts: BTreeSet<String>,
    /// Most distinct targets of one call, as the settings have it.
    max_targets: usize,
    desks: Accounts,
}

impl Bench {
    /// `caller` is asked which accounts the caller may use, `splunkd` for
    /// everything else, secrets among it.
    pub async fn of(caller: &Splunkd, splunkd: &Splunkd) -> Result<Self, JobError> {
        let settings = account::settings(splunkd).await?;
        let accounts = caller.conf_stanzas(ACCOUNTS).await?;
        Ok(Self {
            accounts: accounts.into_iter().map(|(name, _)| name).collect(),
            max_targets: settings.max_targets()?,
            desks: Accounts::new(splunkd.clone(), settings),
        })
    }

    /// What a job means, on behalf of `actor`.
    pub fn order(&self, job: Job, actor: &str) -> Result<Order, JobError> {
        let (action, rows) = job.into_action(actor, self.accounts.clone(), self.max_targets)?;
        Ok(Order { action, rows })
    }

    /// Writes each outcome into the ledger as it happens. `wake` is what the
    /// run's earlier rows left behind.
    ///
    /// # Errors
    /// If nothing was read, written or recorded.
    pub async fn carry_out<L: Ledger>(
        &self,
        order: &Order,
        course: &Course,
        ledger: &mut L,
        wake: &mut Wake,
    ) -> Result<Summary, JobError> {
        let action = Action {
            limits: course.limits(order.action.limits.max_targets),
            ..order.action.clone()
        };
        self.desks.until(course.end());
        // A turn that does not come in time leaves no time either: the rows are deferred.
        let turn = turn::wait(&action.batch, course).await;
        let (rows, desks) = (&order.rows, &self.desks);
        let ended = triage::triage(&action, rows, desks, ledger, course, wake).await;
        if let Some(turn) = turn {
            turn.over();
        }
        Ok(ended?)
    }
}

/// A job that was understood.
#[derive(Debug)]
pub struct Order {
    pub action: Action,
    pub rows: Vec<Row>,
}

impl Order {
    /// Most distinct targets it may have.
    pub fn max_targets(&self) -> usize {
        let asked = self.action.form.max_targets().unwrap_or(usize::MAX);
        self.action.limits.max_targets.min(asked)
    }
}
