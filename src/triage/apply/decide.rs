//! What becomes of a target once its state is known. Pure: reads nothing and
//! writes nothing.

use crate::triage::apply::incident_effects::{Cascade, Undone};
use crate::triage::apply::recorder::Settled;
use crate::triage::diff::{Field, gap, story};
use crate::triage::marker::{Marker, said};
use crate::triage::outcome::Outcome;
use crate::triage::plan::Task;
use crate::triage::{Action, Change, State};

pub(in crate::triage) enum Decision<'t> {
    Write(Box<Due<'t>>),
    Settle(Box<Settled>),
    /// It was merged into this one.
    Follow(String),
}

/// A target that has to be written.
pub(in crate::triage) struct Due<'t> {
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

impl Due<'_> {
    /// What its incident has already changed, whatever comes of the rest.
    pub fn brought(&self) -> Vec<Field> {
        let mut brought = self.fields.clone();
        brought.retain(|field| !self.missing.contains(field));
        brought
    }

    /// What has to be alike for one call to carry both. What a member of the
    /// lot needs is sent to all of it; but a comment, and tags, which are
    /// replaced as a whole, reach only those that lack them.
    pub fn shares_a_call_with(&self, other: &Self) -> bool {
        let parts = |due: &Self| {
            let lacks = |field: Field| due.missing.contains(&field);
            let verdict = due.missing.iter().any(|field| is_verdict(*field));
            (lacks(Field::Comment), lacks(Field::Tags), verdict)
        };
        // The marker is drawn from the task's change: it has to be shared too.
        self.task.change == other.task.change && parts(self) == parts(other)
    }
}

const fn is_verdict(field: Field) -> bool {
    !matches!(field, Field::Comment | Field::Tags)
}

/// As much of the change as some of these still lack.
pub(in crate::triage) fn remaining(lot: &[Due<'_>]) -> Change {
    let Some(first) = lot.first() else {
        return Change::default();
    };
    let lacks = |field: Field| lot.iter().any(|due| due.missing.contains(&field));
    let whole = &first.task.change;
    // Defender takes a determination only with its classification.
    let pair = lacks(Field::Classification) || lacks(Field::Determination);
    let tags = |tags: &Vec<String>| match lacks(Field::Tags) {
        true => tags.clone(),
        false => Vec::new(),
    };
    Change {
        status: whole.status.filter(|_| lacks(Field::Status)),
        classification: whole.classification.filter(|_| pair),
        determination: whole.determination.filter(|_| pair),
        assigned_to: whole
            .assigned_to
            .clone()
            .filter(|_| lacks(Field::AssignedTo)),
        comment: whole.comment.clone().filter(|_| lacks(Field::Comment)),
        tags_add: tags(&whole.tags_add),
        tags_remove: tags(&whole.tags_remove),
    }
}

/// What has to be done about one target, or how it is settled without.
pub(in crate::triage) fn decide<'t>(
    task: &'t Task,
    now: State,
    action: &Action,
    cascade: Option<&Cascade>,
) -> Decision<'t> {
    let undone = match cascade {
        Some(cascade) => cascade.undone(task, &now),
        None => Undone::nothing(&now),
    };
    let note = undone.note(&task.change);
    let settled = |outcome, message: String, before| {
        let settled = Settled {
            before: Some(before),
            ..Settled::new(outcome, message)
        };
        Decision::Settle(Box::new(settled.noting(note.as_deref())))
    };
    let undoing = action.form.undoes.is_some();
    if let Some(into) = &now.merged_into {
        // What the batch did to this one says nothing of its successor.
        if undoing {
            let message = format!("it was merged into {into} since: undo it there by hand");
            return settled(Outcome::Conflict, message, now);
        }
        if task.merged.is_empty() {
            return Decision::Follow(into.clone());
        }
        let message = format!("it was merged into {into} meanwhile: run it again");
        return settled(Outcome::Conflict, message, now);
    }
    let change = &task.change;
    let marker = Marker::of(&action.batch, change);
    let mut missing = gap(&now, change, &marker);
    let repeats = only_repeats(change, &now, &missing);
    // An undo that restores nothing is not worth a comment.
    if repeats || (undoing && missing == [Field::Comment]) {
        missing.clear();
    }
    let before = undone.before;
    let mut fields = gap(&before, change, &marker);
    fields.retain(|field| *field != Field::Comment);
    fields.extend(&missing);
    fields.sort_unstable();
    fields.dedup();
    if missing.is_empty() {
        if !fields.is_empty() {
            let story = story(&before, change, &fields);
            let message = format!("the change of its incident brought it about: {story}");
            return Decision::Settle(Box::new(Settled {
                before: Some(before),
                after: Some(now),
                changed: fields,
                ..Settled::new(Outcome::Unchanged, message).noting(note.as_deref())
            }));
        }
        let mut message = match undoing {
            true if *change == Change::default() => "nothing of it can be taken back",
            true => "it already is as it was before the batch",
            false => "it already is as asked",
        }
        .to_owned();
        if repeats {
            message.push_str(", and the comment stands in the same words");
        }
        if now.listed {
            message.push_str("; so says Defender's list, which may lag behind");
        }
        return settled(Outcome::Unchanged, message, now);
    }
    // Several revisions of one object may be among the rows: the newest
    // that was seen is what somebody decided about.
    let follows = !task.merged.is_empty();
    let overruled: Option<Vec<String>> = task
        .asked
        .iter()
        .map(|(_, seen)| seen.overruled(&before, change, follows))
        .collect();
    if let Some(message) = overruled.and_then(|mut all| all.pop()) {
        return settled(Outcome::Conflict, message, now);
    }
    if task.dry_run {
        let story = story(&before, change, &fields);
        return Decision::Settle(Box::new(Settled {
            before: Some(before),
            changed: fields,
            ..Settled::new(Outcome::Planned, format!("would be: {story}")).noting(note.as_deref())
        }));
    }
    let mut change = change.clone();
    if !missing.contains(&Field::Comment) {
        change.comment = None;
    }
    Decision::Write(Box::new(Due {
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
