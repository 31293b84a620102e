//! Carries out the tasks of one account, API and subject: read what stands,
//! decide, write, read back, and settle every target.
//!
//! Targets go in waves, so that little is unaccounted for if the process is
//! killed: a wave is in the ledger before the one after next begins.

mod read_back;

use crate::triage::apply::decide::{Decision, Due, decide, remaining};
use crate::triage::apply::incident_effects::Cascade;
use crate::triage::apply::recorder::{Book, Settled, Written};
use crate::triage::apply::write_result::Sent;
use crate::triage::marker::Marker;
use crate::triage::outcome::Outcome;
use crate::triage::plan::{Group, Task};
use crate::triage::{
    Action, Api, Change, Clock, Desk, DeskError, Failing, Ledger, READS_AT_ONCE, State, Target,
};
use futures::future::{Either, select};
use futures::stream::{self, StreamExt as _};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

/// How many targets go together.
#[derive(Debug, Clone, Copy)]
pub(in crate::triage) struct Pace {
    /// Targets per wave, and with it the most one write is asked to carry. The
    /// size with which Defender for Endpoint's `batchUpdate` is begun; its true
    /// limit is not documented.
    pub wave: usize,
    /// While one wave waits until its writes show, others are carried out.
    pub at_once: usize,
}

impl Pace {
    /// Where each target costs a call, a wave has to be read within a minute's
    /// quota, and alone: two that share it are both not read in time.
    pub const fn of(api: Api) -> Self {
        let (wave, at_once) = match api {
            Api::Mde => (100, 2),
            Api::Graph => (100, 1),
            Api::Xdr => (20, 1),
        };
        Self { wave, at_once }
    }
}

const WRITES_AT_ONCE: usize = 4;

/// In how many read-backs lost answers are waited for until they might show.
/// Where some are lost in each, the service is in trouble, and time is short.
const PATIENT: usize = 2;

/// How long somebody else gets to be done with an object.
const BREATH: Duration = Duration::from_secs(2);

/// How many targets of one account are read singly only to confirm what a list
/// says of them. Lists lag, and what needs no write would otherwise be settled
/// on their word; beyond this the outcome says that it is the list's.
const CONFIRMED: usize = 50;

pub(in crate::triage) const LEFT_OUT: &str = "Defender's answer left it out";
pub(in crate::triage) const NO_TIME: &str =
    "not begun, because the time for this action was up: run it again for the rows left over";

/// Waits for something until an instant of the run; `None` if it was not done by then.
pub(in crate::triage) async fn within<C: Clock, F: Future>(
    clock: &C,
    until: Duration,
    work: F,
) -> Option<F::Output> {
    let left = until.checked_sub(clock.elapsed())?;
    if left.is_zero() {
        return None;
    }
    match select(pin!(work), pin!(clock.sleep(left))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

pub(in crate::triage) struct Hand<'a, 'b, D, L, C> {
    pub desk: &'a D,
    pub group: &'a Group,
    pub action: &'a Action,
    pub book: &'a Book<'b, L, C>,
    pub clock: &'a C,
    /// What the incidents of this action have brought about, for alerts.
    cascade: Option<&'a Cascade>,
    /// Single reads left to confirm a list with.
    confirmations: Cell<usize>,
    /// Read-backs left in which lost answers are waited for.
    patience: Cell<usize>,
    /// Incidents that were merged, and into which.
    pub strays: RefCell<Vec<(Task, String)>>,
    /// How each ended, among others for incidents that were merged into it.
    pub settled: RefCell<HashMap<String, Settled>>,
}

impl<'a, 'b, D: Desk, L: Ledger, C: Clock> Hand<'a, 'b, D, L, C> {
    pub fn new(
        action: &'a Action,
        book: &'a Book<'b, L, C>,
        clock: &'a C,
        group: &'a Group,
        desk: &'a D,
        cascade: Option<&'a Cascade>,
    ) -> Self {
        Self {
            desk,
            group,
            action,
            book,
            clock,
            cascade,
            confirmations: Cell::new(CONFIRMED),
            patience: Cell::new(PATIENT),
            strays: RefCell::default(),
            settled: RefCell::default(),
        }
    }

    pub async fn wave(&self, tasks: &[Task]) {
        let overtaken = self.pass(tasks, false).await;
        if overtaken.is_empty() {
            return;
        }
        // Whoever was faster in that very moment: what stands now decides.
        self.clock.sleep(BREATH).await;
        self.pass(&overtaken, true).await;
    }

    /// From reading to reading back; returns those that somebody else was
    /// changing, unless this is the `last` time.
    async fn pass(&self, tasks: &[Task], last: bool) -> Vec<Task> {
        let begun = self.clock.elapsed();
        let Some(states) = self.look(tasks).await else {
            for task in tasks {
                self.settle(task, Settled::new(Outcome::Deferred, NO_TIME))
                    .await;
            }
            return Vec::new();
        };
        let overtaken = RefCell::new(Vec::new());
        let latency = self.clock.elapsed().saturating_sub(begun);
        let mut due = Vec::new();
        for (task, state) in tasks.iter().zip(states) {
            let decided = match state {
                Ok(state) => decide(task, state, self.action, self.cascade),
                Err(settled) => Decision::Settle(Box::new(settled)),
            };
            match decided {
                Decision::Write(one) => due.push(*one),
                Decision::Settle(mut settled) => {
                    settled.latency = Some(latency);
                    self.settle(task, *settled).await;
                }
                Decision::Follow(into) => {
                    self.strays.borrow_mut().push((task.clone(), into));
                }
            }
        }
        // A write that takes its time holds up the read-back of no other.
        stream::iter(lots(due))
            .map(|lot| self.write(lot, (!last).then_some(&overtaken)))
            .buffer_unordered(WRITES_AT_ONCE)
            .ready_chunks(WRITES_AT_ONCE)
            .for_each_concurrent(None, |sent| {
                self.read_back(sent.into_iter().flatten().collect())
            })
            .await;
        overtaken.into_inner()
    }

    /// How each target stands; `None` if there was no time left to see.
    async fn look(&self, tasks: &[Task]) -> Option<Vec<Result<State, Settled>>> {
        let deadline = self.action.limits.deadline;
        let targets: Vec<Target> = tasks.iter().map(|task| task.target.clone()).collect();
        let mut read = within(self.clock, deadline, self.desk.read_many(&targets))
            .await?
            .into_iter();
        let mut states = Vec::with_capacity(tasks.len());
        let mut doubtful = Vec::new();
        for (task, at) in tasks.iter().zip(0..) {
            let state = match read.next() {
                Some(Ok(state)) if self.is_hearsay(task, &state) => {
                    doubtful.push((at, task.target.clone()));
                    Err(Settled::new(Outcome::Deferred, NO_TIME))
                }
                Some(Ok(state)) => Ok(state),
                Some(Err(error)) => Err(Settled::error(&error)),
                None => Err(Settled::new(Outcome::Failed, LEFT_OUT)),
            };
            states.push(state);
        }
        let (places, targets): (Vec<usize>, Vec<Target>) = doubtful.into_iter().unzip();
        let singly = within(self.clock, deadline, self.read_singly(&targets)).await;
        for (at, state) in places.into_iter().zip(singly.unwrap_or_default()) {
            if let Some(place) = states.get_mut(at) {
                *place = state.map_err(|error| Settled::error(&error));
            }
        }
        Some(states)
    }

    async fn read_singly(&self, targets: &[Target]) -> Vec<Result<State, D::Error>> {
        stream::iter(targets)
            .map(|target| self.desk.read(target))
            .buffered(READS_AT_ONCE)
            .collect()
            .await
    }

    /// Whether the word of a list is not enough: a row is ahead of it, or the
    /// target would be settled by it without a write.
    fn is_hearsay(&self, task: &Task, state: &State) -> bool {
        if !state.listed {
            return false;
        }
        let mut asked = task.asked.iter();
        if asked.any(|(_, seen)| seen.is_ahead_of(state, &task.change)) {
            return true;
        }
        let decided = decide(task, state.clone(), self.action, self.cascade);
        let settles = match decided {
            Decision::Settle(settled) => {
                matches!(settled.outcome, Outcome::Unchanged | Outcome::Conflict)
            }
            Decision::Write(_) | Decision::Follow(_) => false,
        };
        settles && self.confirm()
    }

    /// Takes one of the single reads that are left.
    fn confirm(&self) -> bool {
        let left = self.confirmations.get();
        self.confirmations.set(left.saturating_sub(1));
        left > 0
    }

    /// Writes one change to all that need it; returns what is worth a look back.
    /// Those that somebody else was changing are put by, where there is a place.
    async fn write<'t>(
        &self,
        lot: Vec<Due<'t>>,
        overtaken: Option<&RefCell<Vec<Task>>>,
    ) -> Vec<Sent<'t>> {
        let limits = &self.action.limits;
        let begun = self.clock.elapsed();
        let Some(first) = lot.first() else {
            return Vec::new();
        };
        if begun >= limits.deadline {
            for due in lot {
                let settled = Settled {
                    changed: due.brought(),
                    before: Some(due.before),
                    ..Settled::new(Outcome::Deferred, NO_TIME).noting(due.note.as_deref())
                };
                self.settle(due.task, settled).await;
            }
            return Vec::new();
        }
        let (change, marker) = self.signed(first.task, &lot);
        let targets: Vec<Target> = lot.iter().map(|due| due.task.target.clone()).collect();
        let there = self.desk.time_there();
        let write = self.desk.write(&targets, &change, marker.as_str());
        let answers = within(self.clock, limits.last_answer(), write).await;
        let latency = self.clock.elapsed().saturating_sub(begun);
        let missing = match &answers {
            Some(_) => LEFT_OUT,
            None => "no answer came in time",
        };
        let mut answers = answers.unwrap_or_default().into_iter();
        let mut sent = Vec::with_capacity(lot.len());
        for due in lot {
            let answer = answers.next();
            if let (Some(Err(error)), Some(aside)) = (&answer, overtaken)
                && error.failing() == Failing::Overtaken
            {
                aside.borrow_mut().push(due.task.clone());
                continue;
            }
            let (answer, lost) = match answer {
                Some(Ok(receipt)) => (Ok(receipt), false),
                Some(Err(error)) => (Err(Settled::error(&error)), error.uncertain()),
                None => (Err(Settled::new(Outcome::Failed, missing)), true),
            };
            let one = Sent {
                answer,
                lost,
                begun: there,
                latency,
                after: None,
                missing: due.missing.clone(),
                due,
                unseen: "there was no time left to read it back".to_owned(),
            };
            if one.answer.is_ok() || one.is_doubtful() {
                sent.push(one);
            } else {
                self.conclude(one).await;
            }
        }
        sent
    }

    /// What a lot still lacks, its comment signed.
    fn signed(&self, task: &Task, lot: &[Due<'_>]) -> (Change, Marker) {
        let marker = Marker::of(&self.action.batch, &task.change);
        let mut change = remaining(lot);
        change.comment = change.comment.map(|comment| marker.sign(&comment));
        (change, marker)
    }

    /// Settles a target whose write was sent.
    async fn conclude(&self, one: Sent<'_>) {
        let task = one.due.task;
        let written = one.begun.zip(self.desk.time_there());
        let settled = Settled {
            written: written.map(|(begun, ended)| Written { begun, ended }),
            ..one.settled()
        };
        self.settle(task, settled).await;
    }

    pub async fn settle(&self, task: &Task, settled: Settled) {
        let (account, api) = (&self.group.account, self.group.api);
        if task.merged.is_empty() {
            let id = task.target.id.clone();
            self.settled.borrow_mut().insert(id, settled.clone());
            self.book.settle(account, api, task, settled).await;
            return;
        }
        for stray in &task.merged {
            let settled = settled.clone().in_place_of(stray, &task.target.id);
            let id = stray.target.id.clone();
            self.settled.borrow_mut().insert(id, settled.clone());
            self.book.settle(account, api, stray, settled).await;
        }
    }
}

/// Brings together what is written alike.
fn lots(due: Vec<Due<'_>>) -> Vec<Vec<Due<'_>>> {
    let mut lots: Vec<Vec<Due<'_>>> = Vec::new();
    for one in due {
        let alike = |lot: &&mut Vec<Due<'_>>| {
            lot.first()
                .is_some_and(|first| first.shares_a_call_with(&one))
        };
        match lots.iter_mut().find(alike) {
            Some(lot) => lot.push(one),
            None => lots.push(vec![one]),
        }
    }
    lots
}
