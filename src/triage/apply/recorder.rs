//! The ledger kept open during one action: an entry is written the moment an
//! outcome is known, and the next write waits until it is down.

use crate::triage::field::Field;
use crate::triage::marker::Marker;
use crate::triage::outcome::{Entry, Outcome, Summary};
use crate::triage::plan::{Refused, Task};
use crate::triage::printed::printed;
use crate::triage::{Action, Api, Change, Clock, Ledger, State, Subject, Target, UpdateError};
use futures::lock::Mutex;
use jiff::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

pub(in crate::triage) struct Recorder<'a, L, C> {
    action: &'a Action,
    clock: &'a C,
    open: Mutex<Open<'a, L>>,
}

struct Open<'a, L> {
    ledger: &'a mut L,
    /// By a row's number, its place among these rows.
    places: HashMap<usize, usize>,
    /// The worst outcome of each row so far.
    rows: Vec<Option<Outcome>>,
    doubtful: bool,
}

/// How one target ended, without who asked.
#[derive(Debug, Clone)]
pub(in crate::triage) struct TargetOutcome {
    pub outcome: Outcome,
    pub message: String,
    /// Where it really ended, for an incident that was merged.
    pub merged_into: Option<String>,
    pub before: Option<State>,
    pub after: Option<State>,
    pub changed: Vec<Field>,
    pub request_id: Option<String>,
    pub attempts: Option<u32>,
    pub latency: Option<Duration>,
    pub verified: Option<bool>,
    /// Whether it was perhaps written, and did not show when it was last read.
    pub doubtful: bool,
    /// For what was written: when, by Defender's clock.
    pub written: Option<WriteSpan>,
}

/// Between which instants of Defender's clock something was written: begun no
/// earlier, and seen or given up no later than told by `ended`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::triage) struct WriteSpan {
    pub begun: Timestamp,
    pub ended: Timestamp,
}

impl TargetOutcome {
    pub fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        Self {
            outcome,
            message: message.into(),
            merged_into: None,
            before: None,
            after: None,
            changed: Vec::new(),
            request_id: None,
            attempts: None,
            latency: None,
            verified: None,
            doubtful: false,
            written: None,
        }
    }

    /// With something more to say.
    pub fn noting(mut self, note: Option<&str>) -> Self {
        if let Some(note) = note {
            self.message = format!("{}; {note}", self.message);
        }
        self
    }

    /// The outcome of the successor as that of the incident a row named.
    pub fn in_place_of(self, merged: &Task, into: &str) -> Self {
        let Target { subject, id } = &merged.target;
        Self {
            message: format!("{subject} {id} was merged into {into}: {}", self.message),
            merged_into: Some(into.to_owned()),
            ..self
        }
    }

    pub fn error(error: &impl UpdateError) -> Self {
        Self {
            request_id: error.request_id().map(str::to_owned),
            ..Self::new(error.failing().into(), error.to_string())
        }
    }
}

impl<'a, L: Ledger, C: Clock> Recorder<'a, L, C> {
    pub fn open(action: &'a Action, rows: &[usize], ledger: &'a mut L, clock: &'a C) -> Self {
        Self {
            action,
            clock,
            open: Mutex::new(Open {
                ledger,
                places: rows.iter().copied().zip(0..).collect(),
                rows: vec![None; rows.len()],
                doubtful: false,
            }),
        }
    }

    /// Writes down a target's outcome for every row that asked for it.
    pub async fn record(&self, account: &str, api: Api, task: &Task, ended: TargetOutcome) {
        let Some((first, _)) = task.asked.first() else {
            return;
        };
        self.open.lock().await.doubtful |= ended.doubtful;
        for (row, snapshot) in &task.asked {
            let mut message = ended.message.clone();
            if let Some(stays) = &snapshot.stays {
                message = format!("{message}; not undone: {stays}");
            }
            if row != first {
                message = format!("{message} (together with row {first})");
            }
            self.record_entry(Entry {
                target: Some(task.target.id.clone()),
                merged_into: ended.merged_into.clone(),
                before: ended.before.clone(),
                after: ended.after.clone(),
                changed: ended.changed.clone(),
                requested: Some(task.change.clone()),
                account: Some(account.to_owned()),
                api: Some(api),
                request_id: ended.request_id.clone(),
                attempts: ended.attempts,
                latency_ms: ended
                    .latency
                    .map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
                verified: ended.verified,
                dry_run: task.dry_run,
                marker: self.marker(&task.change),
                ..self.entry(*row, task.target.subject, ended.outcome, message)
            })
            .await;
        }
    }

    /// Writes down a row, or a target of one, that will not be carried out.
    pub async fn refuse(&self, refused: &Refused) {
        let message = refused.why.to_string();
        self.record_entry(Entry {
            target: refused.target.as_ref().map(|target| target.id.clone()),
            ..self.entry(refused.row, refused.subject, Outcome::Invalid, message)
        })
        .await;
    }

    /// A row without an outcome would be a row without an entry.
    pub fn close(self) -> Summary {
        let Open { rows, doubtful, .. } = self.open.into_inner();
        Summary {
            rows: rows
                .into_iter()
                .map(|row| row.unwrap_or(Outcome::Failed))
                .collect(),
            doubtful,
        }
    }

    /// What comments of this change are signed with.
    fn marker(&self, change: &Change) -> Option<String> {
        change.comment.as_ref()?;
        Some(Marker::of(&self.action.batch, change).word().to_owned())
    }

    fn entry(&self, row: usize, subject: Subject, outcome: Outcome, message: String) -> Entry {
        let action = self.action;
        Entry {
            time: format!("{:.3}", self.clock.now()),
            action: action.name.clone(),
            batch: action.batch.clone(),
            row,
            marker: None,
            subject,
            target: None,
            merged_into: None,
            outcome,
            message: printed(&message, LONGEST),
            before: None,
            after: None,
            changed: Vec::new(),
            requested: None,
            actor: action.actor.clone(),
            alert_user: action.alert_user.clone(),
            via: action.via,
            account: None,
            api: None,
            request_id: None,
            attempts: None,
            latency_ms: None,
            verified: None,
            dry_run: action.form.dry_run(),
            undoes: action.form.undoes.clone(),
            sid: action.sid.clone(),
            search_name: action.search_name.clone(),
        }
    }

    async fn record_entry(&self, entry: Entry) {
        let mut open = self.open.lock().await;
        let place = open.places.get(&entry.row).copied();
        if let Some(row) = place.and_then(|place| open.rows.get_mut(place)) {
            *row = (*row).max(Some(entry.outcome));
        }
        open.ledger.record(&entry).await;
    }
}

/// Characters of a message, which is also a line of a log; what others said in it
/// may be longer.
const LONGEST: usize = 2_000;
