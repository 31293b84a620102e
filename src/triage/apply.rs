//! Carries out what goes to one account: incidents first, then alerts, then
//! what was asked of incidents that were merged.
//!
//! Resolving an incident resolves its alerts, and assigning it assigns them. So
//! the alerts are written only when their incidents are settled, and read again
//! then: what the incident has brought about is not written a second time.

use crate::triage::book::{Book, Settled};
use crate::triage::cascade::Cascade;
use crate::triage::hand::{Hand, NO_TIME, WAVE, WAVES_AT_ONCE, within};
use crate::triage::outcome::Outcome;
use crate::triage::plan::{Group, Task};
use crate::triage::{Action, Clock, Desk, Desks, Ledger, Subject, Target, merged};
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};

/// One action on its way to the accounts.
pub(super) struct Round<'a, 'b, D, L, C> {
    pub action: &'a Action,
    pub desks: &'a D,
    pub book: &'a Book<'b, L, C>,
    pub clock: &'a C,
}

impl<D: Desks, L: Ledger, C: Clock> Round<'_, '_, D, L, C> {
    /// Carries out the groups of one account; every task is settled in the book.
    pub async fn account(&self, groups: &[&Group]) {
        let (incidents, alerts): (Vec<&Group>, Vec<&Group>) = groups
            .iter()
            .partition(|group| group.subject == Subject::Incident);
        let mut cascade = Cascade::of(&incidents);
        if let Some(cascade) = &mut cascade {
            for group in &alerts {
                self.look(group, cascade).await;
            }
        }
        join_all(incidents.iter().map(|group| self.group(group, None))).await;
        let cascade = cascade.as_ref();
        join_all(alerts.iter().map(|group| self.group(group, cascade))).await;
    }

    /// Notes how alerts stand before their incidents are changed.
    async fn look(&self, group: &Group, cascade: &mut Cascade) {
        let targets: Vec<Target> = group.tasks.iter().map(|task| task.target.clone()).collect();
        let read = async {
            let desk = self.desks.open(&group.account, group.api).await.ok()?;
            Some(desk.read_many(&targets).await)
        };
        // Whoever cannot be read now is read, or refused, when it is their turn.
        let states = within(self.clock, self.action.limits.deadline, read).await;
        for (target, state) in targets.iter().zip(states.flatten().unwrap_or_default()) {
            if let Ok(state) = state {
                cascade.stood(target, state);
            }
        }
    }

    /// Opens the account and carries out the tasks of one of its groups.
    async fn group(&self, group: &Group, cascade: Option<&Cascade>) {
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
                stream::iter(group.tasks.chunks(WAVE))
                    .for_each_concurrent(WAVES_AT_ONCE, |wave: &[Task]| hand.wave(wave))
                    .await;
                // Only now is it known which of their successors is a row's target too.
                merged::follow(&hand).await;
                return;
            }
            Some(Err(error)) => Settled::error(&error),
            None => Settled::new(Outcome::Deferred, NO_TIME),
        };
        for task in &group.tasks {
            let (account, api) = (&group.account, group.api);
            self.book.settle(account, api, task, settled.clone()).await;
        }
    }
}
