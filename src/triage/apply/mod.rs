//! Carries out an action, account by account: incidents first, then alerts, then
//! what was asked of incidents that were merged.
//!
//! Resolving an incident resolves its alerts, and assigning it assigns them. So
//! the alerts are written only when their incidents have ended, and read again
//! then: what the incident has brought about is not written a second time.

mod decide;
mod group;
pub mod incident_effects;
mod merged;
mod recorder;
mod write_result;

use crate::triage::apply::group::{GroupWorker, NO_TIME, Pace, within};
use crate::triage::apply::incident_effects::{CarryOver, IncidentEffects};
use crate::triage::apply::recorder::{Recorder, TargetOutcome};
use crate::triage::outcome::{Outcome, Summary};
use crate::triage::plan::{Group, Plan, Task};
use crate::triage::{Accounts, Action, Api, Clock, DefenderClient, Ledger, Subject, Target};
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use std::collections::HashMap;
use std::time::Duration;

/// Why no row was looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TriageError {
    #[error(
        "the rows name {targets} distinct targets, {max} are allowed: narrow the search, or raise max_targets; nothing was written"
    )]
    TooManyTargets { targets: usize, max: usize },
}

/// Carries out what an action's rows were planned to be. Whatever Defender does, every row ends
/// with one outcome, and no row stops another; each outcome is in the ledger
/// as soon as it is known. `carry_over` is what the incidents of the run's earlier rows
/// left behind; afterwards, what is to be handed on to its later ones.
///
/// # Errors
/// If the call as a whole is refused: nothing was read, written or recorded.
pub async fn carry_out<D: Accounts, L: Ledger, C: Clock>(
    action: &Action,
    plan: &Plan,
    accounts: &D,
    ledger: &mut L,
    clock: &C,
    carry_over: &mut CarryOver,
) -> Result<Summary, TriageError> {
    let asked = action.form.max_targets.unwrap_or(usize::MAX);
    let max = action.limits.max_targets.min(asked);
    let targets = plan.targets();
    if targets > max {
        return Err(TriageError::TooManyTargets { targets, max });
    }
    let recorder = Recorder::open(action, &plan.rows, ledger, clock);
    for refused in &plan.refused {
        recorder.refuse(refused).await;
    }
    let run = ActionRun {
        action,
        accounts,
        recorder: &recorder,
        clock,
    };
    // One account that does not answer holds up none of the others.
    let carried_out = plan.accounts().into_iter().map(|groups| {
        let name = groups.first().map_or("", |group| group.account.as_str());
        let effects = carry_over.take(name);
        let run = &run;
        async move { (name, run.account(&groups, effects).await) }
    });
    let carried_out: Vec<_> = carried_out.collect();
    for (account, effects) in join_all(carried_out).await {
        carry_over.keep(account, effects);
    }
    Ok(recorder.close())
}

/// Plans and carries out.
#[cfg(test)]
pub async fn triage<D: Accounts, L: Ledger, C: Clock>(
    action: &Action,
    rows: &[crate::triage::Row],
    accounts: &D,
    ledger: &mut L,
    clock: &C,
    carry_over: &mut CarryOver,
) -> Result<Summary, TriageError> {
    let plan = Plan::of(&action.form, rows);
    carry_out(action, &plan, accounts, ledger, clock, carry_over).await
}

/// What is needed only to undo must not keep the verdicts waiting: it gets this
/// share of the time, and where that is short and each alert costs a call, only
/// so many are looked at.
const SHARE: u32 = 3;
const SHORT: Duration = Duration::from_secs(600);
const LOOKED_AT: usize = 100;

/// One action on its way to the accounts.
struct ActionRun<'a, 'b, D, L, C> {
    pub action: &'a Action,
    pub accounts: &'a D,
    pub recorder: &'a Recorder<'b, L, C>,
    pub clock: &'a C,
}

impl<D: Accounts, L: Ledger, C: Clock> ActionRun<'_, '_, D, L, C> {
    /// Carries out the groups of one account; the recorder keeps how every task ended.
    /// `effects` is what the incidents of earlier rows left behind; what they and
    /// these do comes back.
    pub async fn account(
        &self,
        groups: &[&Group],
        mut effects: IncidentEffects,
    ) -> IncidentEffects {
        let (incidents, alerts): (Vec<&Group>, Vec<&Group>) = groups
            .iter()
            .partition(|group| group.subject == Subject::Incident);
        if IncidentEffects::would_reach(&incidents) && !alerts.is_empty() && effects.wants_a_look()
        {
            for group in &alerts {
                self.look(group, &mut effects).await;
            }
        }
        let ended = join_all(incidents.iter().map(|group| self.group(group, None))).await;
        for (group, ended) in incidents.iter().zip(&ended) {
            effects.changed(&group.tasks, ended);
        }
        let earlier = Some(&effects).filter(|effects| effects.reaches());
        let ended = join_all(alerts.iter().map(|group| self.group(group, earlier))).await;
        ended.iter().for_each(|ended| effects.forget(ended));
        effects
    }

    /// Notes how alerts stand before their incidents are changed.
    async fn look(&self, group: &Group, effects: &mut IncidentEffects) {
        let now = self.clock.elapsed();
        let left = self.action.limits.deadline.saturating_sub(now);
        let most = match group.api {
            Api::Graph if left < SHORT => LOOKED_AT,
            _ => usize::MAX,
        };
        let until = now + left / SHARE;
        let tasks = group.tasks.iter().take(most);
        let targets: Vec<Target> = tasks.map(|task| task.target.clone()).collect();
        let opened = self.accounts.open(&group.account, group.api);
        let Some(Ok(client)) = within(self.clock, until, opened).await else {
            return;
        };
        // Whoever cannot be read now is read, or refused, when it is their turn.
        for targets in targets.chunks(Pace::of(group.api).wave) {
            let begun = self.clock.elapsed();
            let Some(states) = within(self.clock, until, client.read_many(targets)).await else {
                return;
            };
            // Only with an answer is it known what time it is there.
            let took = self.clock.elapsed().saturating_sub(begun);
            let at = client
                .time_there()
                .and_then(|now| now.checked_sub(took).ok());
            for (target, state) in targets.iter().zip(states) {
                if let Ok(state) = state {
                    effects.stood(&target.id, state, at);
                }
            }
        }
    }

    /// Opens the account and carries out the tasks of one of its groups; how each
    /// ended.
    async fn group(
        &self,
        group: &Group,
        effects: Option<&IncidentEffects>,
    ) -> HashMap<String, TargetOutcome> {
        let opened = self.accounts.open(&group.account, group.api);
        let ended = match within(self.clock, self.action.limits.deadline, opened).await {
            Some(Ok(client)) => {
                let Self {
                    action,
                    recorder,
                    clock,
                    ..
                } = self;
                let worker = GroupWorker::new(action, recorder, clock, group, &client, effects);
                let pace = Pace::of(group.api);
                stream::iter(group.tasks.chunks(pace.wave))
                    .for_each_concurrent(pace.at_once, |wave: &[Task]| worker.wave(wave))
                    .await;
                // Only now is it known which of their successors is a row's target too.
                merged::follow(&worker).await;
                return worker.ended.take();
            }
            Some(Err(error)) => TargetOutcome::error(&error),
            None => TargetOutcome::new(Outcome::Deferred, NO_TIME),
        };
        let mut all = HashMap::new();
        for task in &group.tasks {
            let (account, api) = (&group.account, group.api);
            self.recorder
                .record(account, api, task, ended.clone())
                .await;
            all.insert(task.target.id.clone(), ended.clone());
        }
        all
    }
}
