//! Carries out what goes to one account through one API: read what stands,
//! decide, write, read back, and settle every target.
//!
//! Targets go in waves, so that little is unaccounted for if the process is
//! killed: a wave is in the ledger before the one after next begins.

use crate::triage::book::{Book, Settled};
use crate::triage::gap::{Field, gap, story};
use crate::triage::marker::{Marker, said};
use crate::triage::merged::in_place_of;
use crate::triage::outcome::Outcome;
use crate::triage::plan::{Group, Task};
use crate::triage::{Action, Change, Clock, Desk, Desks, Ledger, Receipt, State, Subject, Target};
use futures::future::{Either, select};
use futures::stream::{self, StreamExt as _};
use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

/// Targets per wave, and with it the most one write is asked to carry. The size
/// with which Defender for Endpoint's `batchUpdate` is begun; its true limit is
/// not documented.
pub(super) const WAVE: usize = 100;
/// While one wave waits until its writes show, the next is carried out.
const WAVES_AT_ONCE: usize = 2;
const WRITES_AT_ONCE: usize = 4;

/// Waits before each read-back. Defender may show a write only after seconds.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(3),
    Duration::from_secs(10),
];

pub(super) const LEFT_OUT: &str = "Defender's answer left it out";
pub(super) const NO_TIME: &str =
    "not begun, because the time for this action was up: run it again for the rows left over";

/// Opens the account and carries out its tasks; every one is settled in the book.
pub(super) async fn apply<D: Desks, L: Ledger, C: Clock>(
    group: &Group,
    action: &Action,
    desks: &D,
    book: &Book<'_, L, C>,
    clock: &C,
) {
    let opened = within(
        clock,
        action.limits.deadline,
        desks.open(&group.account, group.api),
    )
    .await;
    match opened {
        Some(Ok(desk)) => {
            let hand = Hand {
                desk: &desk,
                group,
                action,
                book,
                clock,
                strays: RefCell::default(),
                settled: RefCell::default(),
            };
            stream::iter(group.tasks.chunks(WAVE))
                .for_each_concurrent(WAVES_AT_ONCE, |wave| hand.wave(wave))
                .await;
            // Only now is it known which of their successors is a row's target too.
            hand.follow().await;
        }
        Some(Err(error)) => {
            for task in &group.tasks {
                let settled = Settled::error(&error);
                book.settle(&group.account, group.api, task, settled).await;
            }
        }
        None => {
            for task in &group.tasks {
                let settled = Settled::new(Outcome::Deferred, NO_TIME);
                book.settle(&group.account, group.api, task, settled).await;
            }
        }
    }
}

/// Waits for something until an instant of the run; `None` if it was not done by then.
pub(super) async fn within<C: Clock, F: Future>(
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

pub(super) struct Hand<'a, 'b, D, L, C> {
    pub desk: &'a D,
    pub group: &'a Group,
    pub action: &'a Action,
    pub book: &'a Book<'b, L, C>,
    pub clock: &'a C,
    /// Incidents that were merged, and into which.
    pub strays: RefCell<Vec<(Task, String)>>,
    /// How incidents ended, for those that were merged into them.
    pub settled: RefCell<HashMap<String, Settled>>,
}

/// What becomes of a target once its state is known.
enum Decision<'t> {
    Write(Due<'t>),
    Settle(Settled),
    /// It was merged into this one.
    Follow(String),
}

/// A target that has to be written.
struct Due<'t> {
    task: &'t Task,
    before: State,
    /// What is written: the task's change, less a comment that already stands.
    change: Change,
    fields: Vec<Field>,
}

/// A target whose write has been sent.
struct Sent<'t> {
    due: Due<'t>,
    answer: Result<Receipt, Settled>,
    latency: Duration,
    after: Option<State>,
    /// Why the write could not be seen yet.
    unseen: String,
}

impl Sent<'_> {
    /// Whether more or less may have happened than the answer says: it was lost,
    /// or the change has two parts and one of them may have got through.
    fn is_doubtful(&self) -> bool {
        let comment = self.due.fields.contains(&Field::Comment);
        match &self.answer {
            Ok(_) => false,
            Err(settled) => {
                settled.outcome == Outcome::Failed || (comment && self.due.fields.len() > 1)
            }
        }
    }
}

impl<D: Desk, L: Ledger, C: Clock> Hand<'_, '_, D, L, C> {
    pub async fn wave(&self, tasks: &[Task]) {
        let begun = self.clock.elapsed();
        let targets: Vec<Target> = tasks.iter().map(|task| task.target.clone()).collect();
        let read = self.desk.read_many(&targets);
        let Some(states) = within(self.clock, self.action.limits.deadline, read).await else {
            for task in tasks {
                self.settle(task, Settled::new(Outcome::Deferred, NO_TIME))
                    .await;
            }
            return;
        };
        let latency = self.clock.elapsed().saturating_sub(begun);
        let mut states = states.into_iter();
        let mut due = Vec::new();
        for task in tasks {
            let decided = match states.next() {
                Some(Ok(state)) => self.decide(task, state),
                Some(Err(error)) => Decision::Settle(Settled::error(&error)),
                None => Decision::Settle(Settled::new(Outcome::Failed, LEFT_OUT)),
            };
            match decided {
                Decision::Write(one) => due.push(one),
                Decision::Settle(mut settled) => {
                    settled.latency = Some(latency);
                    self.settle(task, settled).await;
                }
                Decision::Follow(into) => {
                    self.strays.borrow_mut().push((task.clone(), into));
                }
            }
        }
        // A write that takes its time holds up the read-back of no other.
        stream::iter(lots(due))
            .map(|lot| self.write(lot))
            .buffer_unordered(WRITES_AT_ONCE)
            .ready_chunks(WRITES_AT_ONCE)
            .for_each_concurrent(None, |sent| {
                self.read_back(sent.into_iter().flatten().collect())
            })
            .await;
    }

    /// What has to be done about one target, or how it is settled without.
    fn decide<'t>(&self, task: &'t Task, before: State) -> Decision<'t> {
        let settled = |outcome, message: String, fields: Vec<Field>, before| {
            Decision::Settle(Settled {
                before: Some(before),
                changed: fields,
                ..Settled::new(outcome, message)
            })
        };
        let undoing = self.action.form.undoes.is_some();
        if let Some(into) = &before.merged_into {
            // What the batch did to this one says nothing of its successor.
            if undoing {
                let message = format!("it was merged into {into} since: undo it there by hand");
                return settled(Outcome::Conflict, message, Vec::new(), before);
            }
            if task.merged.is_empty() {
                return Decision::Follow(into.clone());
            }
            let message = format!("it was merged into {into} meanwhile: run it again");
            return settled(Outcome::Conflict, message, Vec::new(), before);
        }
        let marker = Marker::of(&self.action.batch, &task.change);
        let fields = gap(&before, &task.change, &marker);
        // An undo that restores nothing is not worth a comment.
        let idle = fields.is_empty() || (undoing && fields == [Field::Comment]);
        if idle || self.only_repeats(task, &before, &fields) {
            let message = match undoing {
                true => "it already is as it was before the batch",
                false => "it already is as asked",
            };
            return settled(Outcome::Unchanged, message.to_owned(), Vec::new(), before);
        }
        // Several revisions of one object may be among the rows: the newest
        // that was seen is what somebody decided about.
        let overruled: Option<Vec<String>> = task
            .asked
            .iter()
            .map(|(_, seen)| seen.overruled(&before, &task.change))
            .collect();
        if let Some(message) = overruled.and_then(|mut all| all.pop()) {
            return settled(Outcome::Conflict, message, Vec::new(), before);
        }
        let story = story(&before, &task.change, &fields);
        if task.dry_run {
            return settled(
                Outcome::Planned,
                format!("would be: {story}"),
                fields,
                before,
            );
        }
        let mut change = task.change.clone();
        if !fields.contains(&Field::Comment) {
            change.comment = None;
        }
        Decision::Write(Due {
            task,
            before,
            change,
            fields,
        })
    }

    /// A search that runs every few minutes must not explain the same verdict
    /// every few minutes: where all else already stands, a comment in the same
    /// words is not repeated. A comment asked for by itself always is written.
    fn only_repeats(&self, task: &Task, before: &State, fields: &[Field]) -> bool {
        let alone = Change {
            comment: task.change.comment.clone(),
            ..Change::default()
        };
        let comment = task.change.comment.as_deref().unwrap_or_default();
        fields == [Field::Comment] && task.change != alone && said(comment, &before.comments)
    }

    /// Writes one change to all that need it; returns what is worth a look back.
    async fn write<'t>(&self, lot: Vec<Due<'t>>) -> Vec<Sent<'t>> {
        let limits = &self.action.limits;
        let begun = self.clock.elapsed();
        let Some(first) = lot.first() else {
            return Vec::new();
        };
        if begun >= limits.deadline {
            for due in lot {
                let settled = Settled {
                    before: Some(due.before),
                    ..Settled::new(Outcome::Deferred, NO_TIME)
                };
                self.settle(due.task, settled).await;
            }
            return Vec::new();
        }
        let marker = Marker::of(&self.action.batch, &first.task.change);
        let mut change = first.change.clone();
        change.comment = change.comment.map(|comment| marker.sign(&comment));
        let targets: Vec<Target> = lot.iter().map(|due| due.task.target.clone()).collect();
        let write = self.desk.write(&targets, &change, marker.as_str());
        let answers = within(self.clock, limits.last_answer(), write).await;
        let latency = self.clock.elapsed().saturating_sub(begun);
        let missing = match &answers {
            Some(_) => LEFT_OUT,
            None => {
                "no answer came in time; Defender may have carried it out: look at it before repeating"
            }
        };
        let mut answers = answers.unwrap_or_default().into_iter();
        let mut sent = Vec::with_capacity(lot.len());
        for due in lot {
            let answer = match answers.next() {
                Some(Ok(receipt)) => Ok(receipt),
                Some(Err(error)) => Err(Settled::error(&error)),
                None => Err(Settled::new(Outcome::Failed, missing)),
            };
            let one = Sent {
                due,
                answer,
                latency,
                after: None,
                unseen: "there was no time left to read it back".to_owned(),
            };
            if one.answer.is_ok() || one.is_doubtful() {
                sent.push(one);
            } else {
                self.conclude(one, Vec::new()).await;
            }
        }
        sent
    }

    /// Looks until the writes show; what does not show in time was still accepted.
    async fn read_back(&self, sent: Vec<Sent<'_>>) {
        let end = self.action.limits.last_answer();
        let mut waiting = sent;
        for pause in PAUSES {
            if waiting.is_empty() || self.clock.elapsed() + pause >= end {
                break;
            }
            self.clock.sleep(pause).await;
            let targets: Vec<Target> = waiting
                .iter()
                .map(|sent| sent.due.task.target.clone())
                .collect();
            let Some(states) = within(self.clock, end, self.desk.read_many(&targets)).await else {
                break;
            };
            let mut states = states.into_iter();
            let mut still = Vec::new();
            for mut one in waiting {
                match states.next() {
                    Some(Ok(state)) => {
                        let marker = Marker::of(&self.action.batch, &one.due.task.change);
                        let missing = gap(&state, &one.due.change, &marker);
                        one.after = Some(state);
                        one.unseen = names(&missing);
                        // A write that failed may still have come to pass: one
                        // look tells, there is nothing to wait for.
                        if missing.is_empty() || one.answer.is_err() {
                            self.conclude(one, missing).await;
                            continue;
                        }
                    }
                    Some(Err(error)) => one.unseen = format!("reading it back failed: {error}"),
                    None => one.unseen = "reading it back brought no answer".to_owned(),
                }
                still.push(one);
            }
            waiting = still;
        }
        for one in waiting {
            let unseen = one.due.fields.clone();
            self.conclude(one, unseen).await;
        }
    }

    /// Settles a target whose write was sent; `missing` is what did not show.
    async fn conclude(&self, one: Sent<'_>, missing: Vec<Field>) {
        let Due {
            task,
            before,
            change,
            fields,
        } = one.due;
        let story = |fields: &[Field]| story(&before, &change, fields);
        let visible = one.after.is_some() && missing.is_empty();
        let settled = match one.answer {
            Ok(receipt) => {
                let message = if visible {
                    story(&fields)
                } else {
                    format!(
                        "{}: accepted, not yet visible ({})",
                        story(&fields),
                        one.unseen
                    )
                };
                Settled {
                    changed: fields,
                    request_id: receipt.request_id,
                    attempts: Some(receipt.attempts),
                    verified: Some(visible),
                    ..Settled::new(Outcome::Updated, message)
                }
            }
            Err(refused) if visible => Settled {
                message: format!(
                    "{}: it stands, although the answer was: {}",
                    story(&fields),
                    refused.message
                ),
                outcome: Outcome::Updated,
                changed: fields,
                verified: Some(true),
                ..refused
            },
            Err(refused) => {
                let mut stands = fields;
                stands.retain(|field| one.after.is_some() && !missing.contains(field));
                let message = if stands.is_empty() {
                    refused.message
                } else {
                    format!("{}; but this stands: {}", refused.message, story(&stands))
                };
                Settled {
                    message,
                    changed: stands,
                    ..refused
                }
            }
        };
        let settled = Settled {
            after: one.after,
            latency: Some(one.latency),
            before: Some(before),
            ..settled
        };
        self.settle(task, settled).await;
    }

    pub async fn settle(&self, task: &Task, settled: Settled) {
        let (account, api) = (&self.group.account, self.group.api);
        if task.merged.is_empty() {
            if task.target.subject == Subject::Incident {
                let id = task.target.id.clone();
                self.settled.borrow_mut().insert(id, settled.clone());
            }
            self.book.settle(account, api, task, settled).await;
            return;
        }
        for stray in &task.merged {
            let settled = in_place_of(stray, &task.target.id, settled.clone());
            self.book.settle(account, api, stray, settled).await;
        }
    }
}

/// Brings together what is written alike.
fn lots(due: Vec<Due<'_>>) -> Vec<Vec<Due<'_>>> {
    let mut lots: Vec<Vec<Due<'_>>> = Vec::new();
    for one in due {
        // The marker is drawn from the task's change: it has to be shared too.
        let alike = |lot: &&mut Vec<Due<'_>>| {
            lot.first().is_some_and(|first| {
                first.change == one.change && first.task.change == one.task.change
            })
        };
        match lots.iter_mut().find(alike) {
            Some(lot) => lot.push(one),
            None => lots.push(vec![one]),
        }
    }
    lots
}

fn names(fields: &[Field]) -> String {
    let names: Vec<String> = fields.iter().map(ToString::to_string).collect();
    names.join(", ")
}
