//! Looks for comments that were sent, and of which no answer said that they stand.
//!
//! Defender may show a change late. So what does not show is proved absent only by
//! a look so long after the comment was sent that it would show by then; a list has
//! to be borne out by objects themselves. What is not proved absent is never sent
//! again.

use crate::microsoft::defender::update::client::{DefenderError, UpdateClient};
use crate::triage::{Api, DefenderClient, Failing, State, Target, UpdateError};
use std::sync::atomic::Ordering;
use tokio::time::{Instant, sleep_until};

/// When an object is read again, in times of the first wait (2 s): after 2, 6 and 14 s.
const LOOKS: [u32; 3] = [1, 3, 7];
/// So few are asked themselves, from one end to the other.
const FEW: usize = 8;

/// Why somebody has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::microsoft) enum After {
    /// The answer was lost: it may show at any look.
    Loss,
    /// It was refused, and is hardly there: the look that proves it is enough.
    Refusal,
}

/// What is seen of a comment.
#[derive(Debug)]
pub(in crate::microsoft) enum Trace {
    Stands,
    /// Proved absent.
    Absent,
    /// Perhaps the fault of the last look.
    Unknown(Option<DefenderError>),
}

/// What is seen of it, and at the cost of how many calls.
#[derive(Debug)]
pub(in crate::microsoft) struct Traced {
    pub trace: Trace,
    pub reads: u32,
    listed: bool,
}

impl Traced {
    fn note(&mut self, state: Result<State, DefenderError>, marker: &str, last: bool) -> bool {
        self.reads += 1;
        self.listed = false;
        let open = match &state {
            Ok(state) => !stands(state, marker),
            // The next look may be answered.
            Err(fault) => fault.uncertain() || fault.failing() == Failing::Throttled,
        };
        self.trace = match state {
            Ok(_) if !open => Trace::Stands,
            Ok(state) => {
                self.listed = state.listed;
                match last && !state.listed {
                    true => Trace::Absent,
                    false => Trace::Unknown(None),
                }
            }
            Err(fault) => Trace::Unknown(Some(fault)),
        };
        open
    }
}

impl UpdateClient {
    /// What is seen of a comment with the marker at each of the targets, the last of
    /// them sent before `since`.
    pub(in crate::microsoft) async fn trace(
        &self,
        targets: &[Target],
        marker: &str,
        since: Instant,
        after: After,
    ) -> Vec<Traced> {
        let nothing = |_: &Target| Traced {
            trace: Trace::Unknown(None),
            reads: 0,
            listed: false,
        };
        let mut all: Vec<Traced> = targets.iter().map(nothing).collect();
        // Without a marker it looks like any other.
        let mut open: Vec<usize> = match marker.is_empty() {
            true => Vec::new(),
            false => (0..targets.len()).collect(),
        };
        // A look costs Defender for Endpoint's small quota several lists.
        let lists = self.client().api() == Api::Mde && targets.len() > 1;
        for (times, looks) in LOOKS.into_iter().zip(1..) {
            let last = looks == LOOKS.len();
            if !last && (after == After::Refusal || (lists && looks > 1)) {
                continue;
            }
            let at = since + self.first_wait() * times;
            if open.is_empty() || self.client().end().is_some_and(|end| at >= end) {
                break;
            }
            sleep_until(at).await;
            let states = self.read_many(&chosen(targets, &open)).await;
            open = note(&mut all, &open, states, marker, last);
        }
        open.retain(|at| all.get(*at).is_some_and(|one| one.listed));
        self.ask_themselves(targets, marker, open, &mut all).await;
        all
    }

    /// Those of which a list said that it is absent. It may lag for longer, so some
    /// are asked themselves, from one end to the other: if none of them has it, and
    /// none was seen to have it, the call reached nobody. Asking each would take a
    /// minute of the quota.
    async fn ask_themselves(
        &self,
        targets: &[Target],
        marker: &str,
        open: Vec<usize>,
        all: &mut [Traced],
    ) {
        let step = open.len().div_ceil(FEW).max(1);
        let mut some: Vec<usize> = open.iter().step_by(step).copied().collect();
        some.extend(open.last().filter(|at| !some.contains(at)));
        let states = self.read_singly(&chosen(targets, &some)).await;
        note(all, &some, states, marker, true);
        let is_absent = |at: &usize| {
            let one = all.get(*at);
            one.is_some_and(|one| matches!(one.trace, Trace::Absent))
        };
        let reached = all.iter().any(|one| matches!(one.trace, Trace::Stands));
        let nobody = !reached && some.iter().all(is_absent);
        let mut rest: Vec<usize> = open;
        rest.retain(|at| !some.contains(at));
        if nobody {
            for at in rest {
                if let Some(one) = all.get_mut(at) {
                    one.trace = Trace::Absent;
                }
            }
            return;
        }
        rest.truncate(self.singly_left(rest.len()));
        let states = self.read_singly(&chosen(targets, &rest)).await;
        note(all, &rest, states, marker, true);
    }

    /// Takes so many of the reads that are left for what only a list has said.
    fn singly_left(&self, wanted: usize) -> usize {
        let left = &self.single_reads;
        let order = Ordering::Relaxed;
        let take = |left: usize| Some(left.saturating_sub(wanted));
        let before = left.fetch_update(order, order, take).unwrap_or_default();
        before.min(wanted)
    }
}

/// Whether a comment with the marker stands.
pub(in crate::microsoft) fn stands(state: &State, marker: &str) -> bool {
    let mut comments = state.comments.iter();
    !marker.is_empty() && comments.any(|comment| comment.contains(marker))
}

fn chosen(targets: &[Target], places: &[usize]) -> Vec<Target> {
    let places = places.iter().filter_map(|at| targets.get(*at));
    places.cloned().collect()
}

/// Takes note of a look; returns those that are still to be looked for.
fn note(
    all: &mut [Traced],
    places: &[usize],
    states: Vec<Result<State, DefenderError>>,
    marker: &str,
    last: bool,
) -> Vec<usize> {
    let mut open = Vec::new();
    for (at, state) in places.iter().zip(states) {
        if let Some(one) = all.get_mut(*at)
            && one.note(state, marker, last)
        {
            open.push(*at);
        }
    }
    open
}
