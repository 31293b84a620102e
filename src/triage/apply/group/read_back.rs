//! Whether writes show: looked for a few times, and what was left out written again.

use super::{GroupWorker, within};
use crate::triage::apply::recorder::TargetOutcome;
use crate::triage::apply::write_result::WriteResult;
use crate::triage::diff::diff;
use crate::triage::field::names;
use crate::triage::marker::Marker;
use crate::triage::{Api, Change, Clock, DefenderClient, Ledger, Target, UpdateError};
use std::slice;
use std::time::Duration;

/// Waits before each read-back. Defender may show a write only after seconds.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(3),
    Duration::from_secs(10),
];

/// Wait before the look at what was written by itself.
const AGAIN: Duration = Duration::from_secs(3);

impl<D: DefenderClient, L: Ledger, C: Clock> GroupWorker<'_, '_, D, L, C> {
    /// Looks until the writes show; what does not show in time was still accepted.
    pub(super) async fn read_back(&self, sent: Vec<WriteResult<'_>>) {
        let mut waiting = sent;
        let lost = waiting.iter().any(|one| one.lost);
        let patience = self.patience.get();
        self.patience
            .set(patience.saturating_sub(usize::from(lost)));
        // The changes that some of their targets show already.
        let mut shown: Vec<Change> = Vec::new();
        for (pause, looks) in PAUSES.into_iter().zip(1..) {
            let last = looks == PAUSES.len();
            waiting = self
                .look_back(waiting, pause, last, patience > 0, &mut shown)
                .await;
        }
        if self.write_again(&mut waiting, &shown).await {
            waiting = self.look_back(waiting, AGAIN, true, true, &mut shown).await;
        }
        for one in waiting {
            self.finish(one).await;
        }
    }

    /// One look; returns those whose write does not show yet.
    async fn look_back<'t>(
        &self,
        waiting: Vec<WriteResult<'t>>,
        pause: Duration,
        last: bool,
        patient: bool,
        shown: &mut Vec<Change>,
    ) -> Vec<WriteResult<'t>> {
        let end = self.action.limits.last_answer();
        if waiting.is_empty() || self.clock.elapsed() + pause >= end {
            return waiting;
        }
        self.clock.sleep(pause).await;
        let targets: Vec<Target> = waiting
            .iter()
            .map(|sent| sent.pending.task.target.clone())
            .collect();
        // A list that lags for longer than this has not the last word about a few.
        let listed = |one: &WriteResult<'_>| one.after.as_ref().is_some_and(|state| state.listed);
        let singly = last && waiting.iter().all(listed) && waiting.iter().all(|_| self.confirm());
        let read = async {
            match singly {
                true => self.read_singly(&targets).await,
                false => self.client.read_many(&targets).await,
            }
        };
        let Some(states) = within(self.clock, end, read).await else {
            return waiting;
        };
        let mut states = states.into_iter();
        let mut still = Vec::new();
        for mut one in waiting {
            match states.next() {
                Some(Ok(state)) => {
                    let marker = Marker::of(&self.action.batch, &one.pending.task.change);
                    let mut missing = diff(&state, &one.pending.change, &marker);
                    // A list may still show what stood once before.
                    if state.listed && state.is_older_than(&one.pending.before) {
                        missing.clone_from(&one.pending.missing);
                    }
                    one.after = Some(state);
                    one.unseen = names(&missing);
                    one.missing = missing;
                    // What was refused for certain has nothing to wait for:
                    // one look tells which part of it stands.
                    let refused = one.answer.is_err() && !(one.lost && patient);
                    if one.missing.is_empty() || refused {
                        if !refused && !shown.contains(&one.pending.change) {
                            shown.push(one.pending.change.clone());
                        }
                        self.finish(one).await;
                        continue;
                    }
                }
                Some(Err(error)) => one.unseen = format!("reading it back failed: {error}"),
                None => one.unseen = "reading it back brought no answer".to_owned(),
            }
            still.push(one);
        }
        still
    }

    /// Defender for Endpoint's one answer to a call for many says nothing of each
    /// of them: where the change shows in others and in these not at all, they
    /// were left out, and are written by themselves. Only after the last look: a
    /// comment that does not show may stand all the same. Whether any was.
    async fn write_again(&self, waiting: &mut [WriteResult<'_>], shown: &[Change]) -> bool {
        let mut any = false;
        for one in waiting {
            let nothing = one.missing == one.pending.missing && shown.contains(&one.pending.change);
            let left_out = self.group.api == Api::Mde && one.answer.is_ok() && nothing;
            if !left_out || !self.confirm() {
                continue;
            }
            any = true;
            let task = one.pending.task;
            let (change, marker) = self.signed(task, slice::from_ref(&one.pending));
            let targets = slice::from_ref(&task.target);
            let write = self.client.write(targets, &change, marker.as_str());
            let until = self.action.limits.last_answer();
            let answers = within(self.clock, until, write).await;
            match answers.into_iter().flatten().next() {
                Some(Ok(receipt)) => one.answer = Ok(receipt),
                Some(Err(error)) => {
                    one.lost = error.uncertain();
                    one.answer = Err(TargetOutcome::error(&error));
                }
                None => {}
            }
        }
        any
    }
}
