//! What becomes of a target once its state is known. Pure: reads nothing and
//! writes nothing.

use crate::triage::apply::incident_effects::{IncidentEffects, Undone};
use crate::triage::apply::recorder::TargetOutcome;
use crate::triage::diff::{describe, diff};
use crate::triage::field::Field;
use crate::triage::marker::{Marker, said};
use crate::triage::outcome::Outcome;
use crate::triage::plan::Task;
use crate::triage::{Action, Change, State};

pub(in crate::triage) enum Decision<'t> {
    Write(Box<PendingWrite<'t>>),
    End(Box<TargetOutcome>),
    /// It was merged into this one.
    Follow(String),
}

/// A target that has to be written.
pub(in crate::triage) struct PendingWrite<'t> {
    pub task: &'t Task,
    pub before: State,
    /// What shall stand afterwards: the task's change, less a comment that is there.
    pub change: Change,
    /// What is still missing, and has to be sent.
    pub missing: Vec<Field>,
    /// What this action changes: with what is missing, what came of its incidents.
    pub fields: Vec<Field>,
    /// What else there is to say of it.
    pub note: Option<String>,
}

impl PendingWrite<'_> {
    /// What its incident has already changed, whatever comes of the rest.
    pub fn set_by_incident(&self) -> Vec<Field> {
        let mut set_by_incident = self.fields.clone();
        set_by_incident.retain(|field| !self.missing.contains(field));
        set_by_incident
    }

    /// What has to be alike for one call to carry both. What a member of the
    /// write_group needs is sent to all of it; but a comment, and tags, which are
    /// replaced as a whole, reach only those that lack them.
    pub fn shares_a_call_with(&self, other: &Self) -> bool {
        let parts = |write: &Self| {
            let lacks = |field: Field| write.missing.contains(&field);
            let verdict = write
                .missing
                .iter()
                .any(|field| field.of_verdict().is_some());
            (lacks(Field::Comment), lacks(Field::Tags), verdict)
        };
        // The marker is drawn from the task's change: it has to be shared too.
        self.task.change == other.task.change && parts(self) == parts(other)
    }
}

/// As much of the change as some of these still lack.
pub(in crate::triage) fn remaining(write_group: &[PendingWrite<'_>]) -> Change {
    let lacks = |field| {
        write_group
            .iter()
            .any(|write| write.missing.contains(&field))
    };
    let whole = write_group.first().map(|write| write.task.change.clone());
    whole.unwrap_or_default().only(lacks)
}

/// What has to be done about one target, or how it ends without.
pub(in crate::triage) fn decide<'t>(
    task: &'t Task,
    now: State,
    action: &Action,
    effects: Option<&IncidentEffects>,
) -> Decision<'t> {
    let undone = match effects {
        Some(effects) => effects.undone(task, &now),
        None => Undone::nothing(&now),
    };
    let note = undone.note(&task.change);
    let ended = |outcome, message: String, before| {
        let ended = TargetOutcome {
            before: Some(before),
            ..TargetOutcome::new(outcome, message)
        };
        Decision::End(Box::new(ended.noting(note.as_deref())))
    };
    let undoing = action.form.undoes.is_some();
    if let Some(into) = &now.merged_into {
        // What the batch did to this one says nothing of its successor.
        if undoing {
            let message = format!(
                "the incident has since been merged into {into}: undo the change there by hand"
            );
            return ended(Outcome::Conflict, message, now);
        }
        if task.merged.is_empty() {
            return Decision::Follow(into.clone());
        }
        let message = format!(
            "the incident was merged into {into} during this action: run it again for this row"
        );
        return ended(Outcome::Conflict, message, now);
    }
    let change = &task.change;
    let marker = Marker::of(&action.batch, change);
    let mut missing = diff(&now, change, &marker);
    let repeats = only_repeats(change, &now, &missing);
    // An undo that restores nothing is not worth a comment.
    if repeats || (undoing && missing == [Field::Comment]) {
        missing.clear();
    }
    let before = undone.before;
    let mut fields = diff(&before, change, &marker);
    fields.retain(|field| *field != Field::Comment);
    fields.extend(&missing);
    fields.sort_unstable();
    fields.dedup();
    if missing.is_empty() {
        if !fields.is_empty() {
            let steps = describe(&before, change, &fields);
            let message = format!("the change of its incident set it: {steps}");
            return Decision::End(Box::new(TargetOutcome {
                before: Some(before),
                after: Some(now),
                changed: fields,
                ..TargetOutcome::new(Outcome::Unchanged, message).noting(note.as_deref())
            }));
        }
        let subject = task.target.subject;
        let mut message = match undoing {
            true if *change == Change::default() => {
                "nothing the batch changed can be undone".to_owned()
            }
            true => format!("nothing to undo: the {subject} is as it was before the batch"),
            false => format!("the {subject} already has what was asked for"),
        };
        if repeats {
            message.push_str(", and has a comment in the same words");
        }
        if now.listed {
            message.push_str("; this is the word of Defender's list, which may lag behind");
        }
        return ended(Outcome::Unchanged, message, now);
    }
    // Several revisions of one object may be among the rows: the newest
    // that was seen is what somebody decided about.
    let follows = !task.merged.is_empty();
    let overruled: Option<Vec<String>> = task
        .asked
        .iter()
        .map(|(_, snapshot)| snapshot.overruled(&before, change, follows))
        .collect();
    if let Some(message) = overruled.and_then(|mut all| all.pop()) {
        return ended(Outcome::Conflict, message, now);
    }
    if task.dry_run {
        let steps = describe(&before, change, &fields);
        return Decision::End(Box::new(TargetOutcome {
            before: Some(before),
            changed: fields,
            ..TargetOutcome::new(Outcome::Planned, format!("would be: {steps}"))
                .noting(note.as_deref())
        }));
    }
    let mut change = change.clone();
    if !missing.contains(&Field::Comment) {
        change.comment = None;
    }
    Decision::Write(Box::new(PendingWrite {
        task,
        before,
        change,
        missing,
        fields,
        note,
    }))
}

/// Our own change comes back in the feed, and whatever search wrote it may find
/// it again: where all else stands, a comment in words that stand already is
/// not repeated, in whichever batch they were said. Two searches that comment
/// on each other's events would never come to rest otherwise.
fn only_repeats(change: &Change, now: &State, missing: &[Field]) -> bool {
    let comment = change.comment.as_deref().unwrap_or_default();
    missing == [Field::Comment] && said(comment, &now.comments)
}
