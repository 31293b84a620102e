//! A job that was understood: what its rows ask for, and which of them have ended.

use crate::bridge::verdict::job::{JobError, MOST_NAMELESS};
use crate::triage::{Action, ENTRIES, Outcome, Plan, Restoration, Row, Summary, named};
use std::collections::BTreeSet;

#[derive(Debug)]
pub struct ValidatedJob {
    pub action: Action,
    pub plan: Plan,
    /// How many rows name no target.
    pub nameless: usize,
    /// How many targets the others name, one that is named twice counted twice.
    pub named: usize,
    /// The rows as they came.
    rows: Vec<Row>,
    /// What an undo's rows come to by their entries.
    restored: Option<Vec<Row>>,
    outcomes: Vec<Option<Outcome>>,
    /// Places of the rows still to be carried out, in order.
    left: Vec<usize>,
}

impl ValidatedJob {
    /// What the rows of one call ask for; so many targets may be named in them.
    ///
    /// # Errors
    /// Names what is wrong with the rows.
    pub fn of(mut action: Action, rows: Vec<Row>, most: usize) -> Result<Self, JobError> {
        if rows.is_empty() {
            return Err(JobError::NoRow);
        }
        let restored = match action.form.undoes().map(str::to_owned) {
            Some(batch) => Some(restored(&batch, &rows, &mut action)?),
            None => None,
        };
        let (nameless, named) = named(&action.form, restored.as_ref().unwrap_or(&rows));
        if named > most {
            return Err(JobError::TooMuchNamed { named, most });
        }
        if nameless > MOST_NAMELESS {
            return Err(JobError::Nameless { rows: nameless });
        }
        // Only now: a plan costs more than the rows it is made of.
        Ok(Self::planned(action, rows, restored))
    }

    fn planned(action: Action, rows: Vec<Row>, restored: Option<Vec<Row>>) -> Self {
        let asked = restored.as_ref().unwrap_or(&rows);
        let (nameless, named) = named(&action.form, asked);
        Self {
            plan: Plan::of(&action.form, asked),
            nameless,
            named,
            outcomes: vec![None; rows.len()],
            left: (0..rows.len()).collect(),
            action,
            rows,
            restored,
        }
    }

    /// Most distinct targets it may have.
    pub fn max_targets(&self) -> usize {
        let asked = self.action.form.max_targets().unwrap_or(usize::MAX);
        self.action.limits.max_targets.min(asked)
    }

    /// The entries of an undo, each with its row's number.
    pub fn entries(&self) -> impl Iterator<Item = (usize, &str)> {
        let rows = self.rows.iter().zip(1..);
        let rows = rows.filter(|_| self.restored.is_some());
        rows.flat_map(|(row, place)| {
            let number = row.number().unwrap_or(place);
            let entries = row.fields().get(ENTRIES).iter();
            entries.map(move |entry| (number, entry.as_str()))
        })
    }

    /// How many rows are still to be carried out.
    pub fn left(&self) -> usize {
        self.left.len()
    }

    /// The first rows left, as they came.
    pub fn first(&self, count: usize) -> impl Iterator<Item = &Row> {
        let places = self.left.iter().take(count);
        places.filter_map(|place| self.rows.get(*place))
    }

    /// What one of the first rows left asks for by itself, also where it contradicts
    /// another; with its number.
    pub fn alone(&self, place: usize) -> Option<(usize, Plan)> {
        let place = *self.left.get(place)?;
        let row = self.restored.as_ref().unwrap_or(&self.rows).get(place)?;
        let plan = Plan::of(&self.action.form, std::slice::from_ref(row));
        Some((row.number().unwrap_or(place + 1), plan))
    }

    /// The rows left as a job of their own, where others have ended: fewer rows are
    /// another plan.
    pub fn rest(&self) -> Option<Self> {
        let pick = |rows: &Vec<Row>| -> Vec<Row> {
            let rows = self.left.iter().filter_map(|place| rows.get(*place));
            rows.cloned().collect()
        };
        let (all, left) = (self.rows.len(), self.left.len());
        (left < all).then(|| {
            let restored = self.restored.as_ref().map(pick);
            Self::planned(self.action.clone(), pick(&self.rows), restored)
        })
    }

    /// Takes in how the first rows left ended; those of these numbers stay left.
    pub fn end(&mut self, ended: &[Outcome], deferred: &BTreeSet<usize>) {
        let later = self.left.split_off(ended.len().min(self.left.len()));
        let first = std::mem::replace(&mut self.left, later);
        let mut again = Vec::new();
        for (place, outcome) in first.into_iter().zip(ended) {
            let number = self.rows.get(place).and_then(Row::number);
            if number.is_some_and(|number| deferred.contains(&number)) {
                again.push(place);
            } else if let Some(end) = self.outcomes.get_mut(place) {
                *end = Some(*outcome);
            }
        }
        again.append(&mut self.left);
        self.left = again;
    }

    /// A row of which nothing is known has failed.
    pub fn summary(&self) -> Summary {
        let rows = self.outcomes.iter();
        Summary {
            rows: rows.map(|row| row.unwrap_or(Outcome::Failed)).collect(),
            ..Summary::default()
        }
    }
}

/// What an undo's rows come to by their entries, whatever else the rows say but a
/// comment. The undo of what somebody else asked for is a dry run, unless the form
/// says otherwise.
fn restored(batch: &str, rows: &[Row], action: &mut Action) -> Result<Vec<Row>, JobError> {
    let mut all = Vec::with_capacity(rows.len());
    let mut anothers = false;
    for (row, place) in rows.iter().zip(1..) {
        let number = row.number().unwrap_or(place);
        let entries = row.fields().get(ENTRIES).iter().map(String::as_str);
        let restoration = Restoration::of(batch, entries).ok_or_else(|| JobError::NoEntries {
            row: number,
            batch: batch.to_owned(),
        })?;
        anothers |= restoration
            .actors
            .iter()
            .any(|other| *other != action.actor);
        let comment = row.fields().get("defender_comment").last();
        let fields = restoration.fields(comment.map(String::as_str));
        all.push(Row::new(fields).numbered(number));
    }
    if anothers {
        action.form.dry_run_unless_said();
    }
    Ok(all)
}
