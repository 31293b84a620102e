//! Carries out an action, account by account: incidents first, then alerts, then
//! what was asked of incidents that were merged.
//!
//! Resolving an incident resolves its alerts, and assigning it assigns them. So
//! the alerts are written only when their incidents are settled, and read again
//! then: what the incident has brought about is not written a second time.

pub mod decide;
pub mod group;
pub mod incident_effects;
pub mod merged;
pub mod recorder;
pub mod write_result;

use crate::triage::apply::group::{Hand, NO_TIME, Pace, within};
use crate::triage::apply::incident_effects::{Cascade, Wake};
use crate::triage::apply::recorder::{Book, Settled};
use crate::triage::outcome::{Outcome, Summary};
use crate::triage::plan::{Group, Plan, Task};
use crate::triage::row::Row;
use crate::triage::{Action, Api, Clock, Desk, Desks, Ledger, Subject, Target};
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

/// Carries out an action on its rows. Whatever Defender does, every row ends
/// with one outcome, and no row stops another; each outcome is in the ledger
/// as soon as it is known. `wake` is what the incidents of the run's earlier rows
/// left behind; afterwards, what is to be handed on to its later ones.
///
/// # Errors
/// If the call as a whole is refused: nothing was read, written or recorded.
pub async fn triage<D: Desks, L: Ledger, C: Clock>(
    action: &Action,
    rows: &[Row],
    desks: &D,
    ledger: &mut L,
    clock: &C,
    wake: &mut Wake,
) -> Result<Summary, TriageError> {
    let plan = Plan::of(&action.form, rows);
    let asked = action.form.max_targets.unwrap_or(usize::MAX);
    let max = action.limits.max_targets.min(asked);
    let targets = plan.targets();
    if targets > max {
        return Err(TriageError::TooManyTargets { targets, max });
    }
    let book = Book::open(action, rows, ledger, clock);
    for refused in &plan.refused {
        book.refuse(refused).await;
    }
    let round = Round {
        action,
        desks,
        book: &book,
        clock,
    };
    // One account that does not answer holds up none of the others.
    let carried_out = plan.accounts().into_iter().map(|groups| {
        let name = groups.first().map_or("", |group| group.account.as_str());
        let cascade = wake.take(name);
        let round = &round;
        async move { (name, round.account(&groups, cascade).await) }
    });
    let carried_out: Vec<_> = carried_out.collect();
    for (account, cascade) in join_all(carried_out).await {
        wake.keep(account, cascade);
    }
    Ok(book.close())
}

/// What is needed only to undo must not keep the verdicts waiting: it gets this
/// share of the time, and where that is short and each alert costs a call, only
/// so many are looked at.
const SHARE: u32 = 3;
const SHORT: Duration = Duration::from_secs(600);
const LOOKED_AT: usize = 100;

/// One action on its way to the accounts.
struct Round<'a, 'b, D, L, C> {
    pub action: &'a Action,
    pub desks: &'a D,
    pub book: &'a Book<'b, L, C>,
    pub clock: &'a C,
}

impl<D: Desks, L: Ledger, C: Clock> Round<'_, '_, D, L, C> {
    /// Carries out the groups of one account; every task is settled in the book.
    /// `cascade` is what the incidents of earlier rows left behind; what they and
    /// these do comes back.
    pub async fn account(&self, groups: &[&Group], mut cascade: Cascade) -> Cascade {
        let (incidents, alerts): (Vec<&Group>, Vec<&Group>) = groups
            .iter()
            .partition(|group| group.subject == Subject::Incident);
        if Cascade::would_reach(&incidents) && !alerts.is_empty() && cascade.wants_a_look() {
            for group in &alerts {
                self.look(group, &mut cascade).await;
            }
        }
        let settled = join_all(incidents.iter().map(|group| self.group(group, None))).await;
        for (group, settled) in incidents.iter().zip(&settled) {
            cascade.changed(&group.tasks, settled);
        }
        let brought = Some(&cascade).filter(|cascade| cascade.reaches());
        let settled = join_all(alerts.iter().map(|group| self.group(group, brought))).await;
        settled.iter().for_each(|settled| cascade.forget(settled));
        cascade
    }

    /// Notes how alerts stand before their incidents are changed.
    async fn look(&self, group: &Group, cascade: &mut Cascade) {
        let now = self.clock.elapsed();
        let left = self.action.limits.deadline.saturating_sub(now);
        let most = match group.api {
            Api::Graph if left < SHORT => LOOKED_AT,
            _ => usize::MAX,
        };
        let until = now + left / SHARE;
        let tasks = group.tasks.iter().take(most);
        let targets: Vec<Target> = tasks.map(|task| task.target.clone()).collect();
        let opened = self.desks.open(&group.account, group.api);
        let Some(Ok(desk)) = within(self.clock, until, opened).await else {
            return;
        };
        // Whoever cannot be read now is read, or refused, when it is their turn.
        for targets in targets.chunks(Pace::of(group.api).wave) {
            let begun = self.clock.elapsed();
            let Some(states) = within(self.clock, until, desk.read_many(targets)).await else {
                return;
            };
            // Only with an answer is it known what time it is there.
            let took = self.clock.elapsed().saturating_sub(begun);
            let at = desk.time_there().and_then(|now| now.checked_sub(took).ok());
            for (target, state) in targets.iter().zip(states) {
                if let Ok(state) = state {
                    cascade.stood(&target.id, state, at);
                }
            }
        }
    }

    /// Opens the account and carries out the tasks of one of its groups; how each
    /// ended.
    async fn group(&self, group: &Group, cascade: Option<&Cascade>) -> HashMap<String, Settled> {
        let opened = self.desks.open(&group.account, group.api);
        let settled = match within(self.clock, self.action.limits.deadline, opened).await {
            Some(Ok(desk)) => {
                let Self {
                    action,
                    book,
                    clock,
                    ..
                } = self;
                let hand = Hand::new(action, book, clock, group, &desk, cascade);
                let pace = Pace::of(group.api);
                stream::iter(group.tasks.chunks(pace.wave))
                    .for_each_concurrent(pace.at_once, |wave: &[Task]| hand.wave(wave))
                    .await;
                // Only now is it known which of their successors is a row's target too.
                merged::follow(&hand).await;
                return hand.settled.take();
            }
            Some(Err(error)) => Settled::error(&error),
            None => Settled::new(Outcome::Deferred, NO_TIME),
        };
        let mut all = HashMap::new();
        for task in &group.tasks {
            let (account, api) = (&group.account, group.api);
            self.book.settle(account, api, task, settled.clone()).await;
            all.insert(task.target.id.clone(), settled.clone());
        }
        all
    }
}
