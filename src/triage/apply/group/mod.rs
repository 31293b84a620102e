//! Carries out the tasks of one account, API and subject: read what stands,
//! decide, write, read back, and record how every target ended.
//!
//! Targets go in waves, so that little is unaccounted for if the process is
//! killed: a wave is in the ledger before the one after next begins.

mod read_back;

use crate::triage::apply::decide::{Decision, PendingWrite, decide, remaining};
use crate::triage::apply::incident_effects::IncidentEffects;
use crate::triage::apply::recorder::{Recorder, TargetOutcome, WriteSpan};
use crate::triage::apply::write_result::WriteResult;
use crate::triage::marker::Marker;
use crate::triage::outcome::Outcome;
use crate::triage::plan::{Group, Task};
use crate::triage::{
    Action, Api, Change, Clock, DefenderClient, Failing, Ledger, READS_AT_ONCE, State, Target,
    UpdateError,
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
const PATIENCE: usize = 2;

/// How long somebody else gets to be done with an object.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// How many targets of one account are read singly only to confirm what a list
/// says of them. Lists lag, and what needs no write would otherwise be recorded
/// on their word; beyond this the outcome says that it is the list's.
const SINGLE_READS: usize = 50;

pub(in crate::triage) const LEFT_OUT: &str = "Defender's answer left this target out";
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

pub(in crate::triage) struct GroupWorker<'a, 'b, D, L, C> {
    pub client: &'a D,
    pub group: &'a Group,
    pub action: &'a Action,
    pub recorder: &'a Recorder<'b, L, C>,
    pub clock: &'a C,
    /// What the incidents of this action have brought about, for alerts.
    effects: Option<&'a IncidentEffects>,
    /// Single reads left to confirm a list with.
    confirmations: Cell<usize>,
    /// Read-backs left in which lost answers are waited for.
    patience: Cell<usize>,
    /// Incidents that were merged, and into which.
    pub merged_incidents: RefCell<Vec<(Task, String)>>,
    /// How each ended, among others for incidents that were merged into it.
    pub ended: RefCell<HashMap<String, TargetOutcome>>,
}

impl<'a, 'b, D: DefenderClient, L: Ledger, C: Clock> GroupWorker<'a, 'b, D, L, C> {
    pub fn new(
        action: &'a Action,
        recorder: &'a Recorder<'b, L, C>,
        clock: &'a C,
        group: &'a Group,
        client: &'a D,
        effects: Option<&'a IncidentEffects>,
    ) -> Self {
        Self {
            client,
            group,
            action,
            recorder,
            clock,
            effects,
            confirmations: Cell::new(SINGLE_READS),
            patience: Cell::new(PATIENCE),
            merged_incidents: RefCell::default(),
            ended: RefCell::default(),
        }
    }

    pub async fn wave(&self, tasks: &[Task]) {
        let overtaken = self.pass(tasks, false).await;
        if overtaken.is_empty() {
            return;
        }
        // Whoever was faster in that very moment: what stands now decides.
        self.clock.sleep(RETRY_DELAY).await;
        self.pass(&overtaken, true).await;
    }

    /// From reading to reading back; returns those that somebody else was
    /// changing, unless this is the `last` time.
    async fn pass(&self, tasks: &[Task], last: bool) -> Vec<Task> {
        let begun = self.clock.elapsed();
        let Some(states) = self.read_states(tasks).await else {
            for task in tasks {
                self.record(task, TargetOutcome::new(Outcome::Deferred, NO_TIME))
                    .await;
            }
            return Vec::new();
        };
        let overtaken = RefCell::new(Vec::new());
        let latency = self.clock.elapsed().saturating_sub(begun);
        let mut pending = Vec::new();
        for (task, state) in tasks.iter().zip(states) {
            let decided = match state {
                Ok(state) => decide(task, state, self.action, self.effects),
                Err(ended) => Decision::End(Box::new(ended)),
            };
            match decided {
                Decision::Write(one) => pending.push(*one),
                Decision::End(mut ended) => {
                    ended.latency = Some(latency);
                    self.record(task, *ended).await;
                }
                Decision::Follow(into) => {
                    self.merged_incidents
                        .borrow_mut()
                        .push((task.clone(), into));
                }
            }
        }
        // A write that takes its time holds up the read-back of no other.
        stream::iter(write_groups(pending))
            .map(|write_group| self.write(write_group, (!last).then_some(&overtaken)))
            .buffer_unordered(WRITES_AT_ONCE)
            .ready_chunks(WRITES_AT_ONCE)
            .for_each_concurrent(None, |sent| {
                self.read_back(sent.into_iter().flatten().collect())
            })
            .await;
        overtaken.into_inner()
    }

    /// How each target stands; `None` if there was no time left to see.
    async fn read_states(&self, tasks: &[Task]) -> Option<Vec<Result<State, TargetOutcome>>> {
        let deadline = self.action.limits.deadline;
        let targets: Vec<Target> = tasks.iter().map(|task| task.target.clone()).collect();
        let mut read = within(self.clock, deadline, self.client.read_many(&targets))
            .await?
            .into_iter();
        let mut states = Vec::with_capacity(tasks.len());
        let mut doubtful = Vec::new();
        for (task, at) in tasks.iter().zip(0..) {
            let state = match read.next() {
                Some(Ok(state)) if self.is_stale_list(task, &state) => {
                    doubtful.push((at, task.target.clone()));
                    Err(TargetOutcome::new(Outcome::Deferred, NO_TIME))
                }
                Some(Ok(state)) => Ok(state),
                Some(Err(error)) => Err(TargetOutcome::error(&error)),
                None => Err(TargetOutcome::new(Outcome::Failed, LEFT_OUT)),
            };
            states.push(state);
        }
        let (places, targets): (Vec<usize>, Vec<Target>) = doubtful.into_iter().unzip();
        let singly = within(self.clock, deadline, self.read_singly(&targets)).await;
        for (at, state) in places.into_iter().zip(singly.unwrap_or_default()) {
            if let Some(place) = states.get_mut(at) {
                *place = state.map_err(|error| TargetOutcome::error(&error));
            }
        }
        Some(states)
    }

    async fn read_singly(&self, targets: &[Target]) -> Vec<Result<State, D::Error>> {
        stream::iter(targets)
            .map(|target| self.client.read(target))
            .buffered(READS_AT_ONCE)
            .collect()
            .await
    }

    /// Whether the word of a list is not enough: a row is ahead of it, or the
    /// target would end by it without a write.
    fn is_stale_list(&self, task: &Task, state: &State) -> bool {
        if !state.listed {
            return false;
        }
        let mut asked = task.asked.iter();
        if asked.any(|(_, snapshot)| snapshot.is_ahead_of(state, &task.change)) {
            return true;
        }
        let decided = decide(task, state.clone(), self.action, self.effects);
        let ends = match decided {
            Decision::End(ended) => {
                matches!(ended.outcome, Outcome::Unchanged | Outcome::Conflict)
            }
            Decision::Write(_) | Decision::Follow(_) => false,
        };
        ends && self.confirm()
    }

    /// Takes one of the single reads that are left.
    fn confirm(&self) -> bool {
        let left = self.confirmations.get();
        self.confirmations.set(left.saturating_sub(1));
        left > 0
    }

    /// Writes one change to all that need it; returns what is worth a look back.
    /// Targets that somebody else was changing go to `overtaken`, if it is given.
    async fn write<'t>(
        &self,
        write_group: Vec<PendingWrite<'t>>,
        overtaken: Option<&RefCell<Vec<Task>>>,
    ) -> Vec<WriteResult<'t>> {
        let limits = &self.action.limits;
        let begun = self.clock.elapsed();
        let Some(first) = write_group.first() else {
            return Vec::new();
        };
        if begun >= limits.deadline {
            for pending in write_group {
                let ended = TargetOutcome {
                    changed: pending.set_by_incident(),
                    before: Some(pending.before),
                    ..TargetOutcome::new(Outcome::Deferred, NO_TIME).noting(pending.note.as_deref())
                };
                self.record(pending.task, ended).await;
            }
            return Vec::new();
        }
        let (change, marker) = self.signed(first.task, &write_group);
        let targets: Vec<Target> = write_group
            .iter()
            .map(|pending| pending.task.target.clone())
            .collect();
        let there = self.client.time_there();
        let write = self.client.write(&targets, &change, marker.as_str());
        let answers = within(self.clock, limits.last_answer(), write).await;
        let latency = self.clock.elapsed().saturating_sub(begun);
        let missing = match &answers {
            Some(_) => LEFT_OUT,
            None => "no answer came in time",
        };
        let mut answers = answers.unwrap_or_default().into_iter();
        let mut sent = Vec::with_capacity(write_group.len());
        for pending in write_group {
            let answer = answers.next();
            if let (Some(Err(error)), Some(overtaken)) = (&answer, overtaken)
                && error.failing() == Failing::Overtaken
            {
                overtaken.borrow_mut().push(pending.task.clone());
                continue;
            }
            let (answer, lost) = match answer {
                Some(Ok(receipt)) => (Ok(receipt), false),
                Some(Err(error)) => (Err(TargetOutcome::error(&error)), error.uncertain()),
                None => (Err(TargetOutcome::new(Outcome::Failed, missing)), true),
            };
            let one = WriteResult {
                answer,
                lost,
                begun: there,
                latency,
                after: None,
                missing: pending.missing.clone(),
                pending,
                unseen: "there was no time left to read it back".to_owned(),
            };
            if one.answer.is_ok() || one.is_doubtful() {
                sent.push(one);
            } else {
                self.finish(one).await;
            }
        }
        sent
    }

    /// What a group of writes still lacks, its comment signed.
    fn signed(&self, task: &Task, write_group: &[PendingWrite<'_>]) -> (Change, Marker) {
        let marker = Marker::of(&self.action.batch, &task.change);
        let mut change = remaining(write_group);
        change.comment = change.comment.map(|comment| marker.sign(&comment));
        (change, marker)
    }

    /// Records how a target ended whose write was sent.
    async fn finish(&self, one: WriteResult<'_>) {
        let task = one.pending.task;
        let written = one.begun.zip(self.client.time_there());
        let ended = TargetOutcome {
            written: written.map(|(begun, ended)| WriteSpan { begun, ended }),
            ..one.outcome()
        };
        self.record(task, ended).await;
    }

    pub async fn record(&self, task: &Task, ended: TargetOutcome) {
        let (account, api) = (&self.group.account, self.group.api);
        if task.merged.is_empty() {
            let id = task.target.id.clone();
            self.ended.borrow_mut().insert(id, ended.clone());
            self.recorder.record(account, api, task, ended).await;
            return;
        }
        for merged in &task.merged {
            let ended = ended.clone().in_place_of(merged, &task.target.id);
            let id = merged.target.id.clone();
            self.ended.borrow_mut().insert(id, ended.clone());
            self.recorder.record(account, api, merged, ended).await;
        }
    }
}

/// Brings together what is written alike.
fn write_groups(pending: Vec<PendingWrite<'_>>) -> Vec<Vec<PendingWrite<'_>>> {
    let mut write_groups: Vec<Vec<PendingWrite<'_>>> = Vec::new();
    for one in pending {
        let alike = |write_group: &&mut Vec<PendingWrite<'_>>| {
            write_group
                .first()
                .is_some_and(|first| first.shares_a_call_with(&one))
        };
        match write_groups.iter_mut().find(alike) {
            Some(write_group) => write_group.push(one),
            None => write_groups.push(vec![one]),
        }
    }
    write_groups
}
