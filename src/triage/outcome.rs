//! How a row ended, and the entry that is kept of it.

use crate::triage::field::Field;
use crate::triage::{Api, Change, Failing, State, Subject};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// How a row, or one target of a row, ended. Ordered from well to bad: a row
/// with several targets ends as its worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It already was as asked; nothing was written.
    Unchanged,
    /// What would be written, were this no dry run.
    Planned,
    /// Defender took it.
    Updated,
    /// Not begun: no time was left.
    Deferred,
    /// Throttled for longer than there was time.
    Throttled,
    /// Defender has moved past what the row showed.
    Conflict,
    /// No such object in this tenant.
    NotFound,
    /// What was asked cannot be done.
    Invalid,
    /// The account may not.
    Forbidden,
    /// Anything else.
    Failed,
}

impl Outcome {
    /// Every outcome, from well to bad.
    pub const ALL: [Self; 10] = [
        Self::Unchanged,
        Self::Planned,
        Self::Updated,
        Self::Deferred,
        Self::Throttled,
        Self::Conflict,
        Self::NotFound,
        Self::Invalid,
        Self::Forbidden,
        Self::Failed,
    ];

    /// Whether the row got what it asked for.
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Unchanged | Self::Planned | Self::Updated)
    }

    /// As written in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Planned => "planned",
            Self::Updated => "updated",
            Self::Deferred => "deferred",
            Self::Throttled => "throttled",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::Forbidden => "forbidden",
            Self::Failed => "failed",
        }
    }

    /// The outcome of this word; a word this version does not know counts as failed.
    pub fn of(word: &str) -> Self {
        let known = Self::ALL.into_iter().find(|one| one.as_str() == word);
        known.unwrap_or(Self::Failed)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|word| Self::of(&word))
    }
}

impl From<Failing> for Outcome {
    fn from(failing: Failing) -> Self {
        match failing {
            Failing::Invalid => Self::Invalid,
            Failing::NotFound => Self::NotFound,
            Failing::Forbidden => Self::Forbidden,
            Failing::Throttled => Self::Throttled,
            Failing::Overtaken => Self::Conflict,
            Failing::Failed => Self::Failed,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of the ledger, in the order in which a person reads it: when, what,
/// how it ended; who, through what, at what cost; then the evidence.
///
/// What can be long comes last, the text of a comment last of all: Splunk's JSON
/// extraction stops at byte 5000, and every field before that is searchable.
///
/// There is exactly one for each target of a row (and one for a row that names
/// none); rows that ask the same of the same target share the write, not the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// UTC, to the millisecond.
    pub time: String,
    /// The alert action, command or flag that asked.
    pub action: String,
    pub batch: String,
    /// The digits after `[splunk:` in the comment that was asked for: an event of
    /// the feed that shows them is one we have commented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// Counted from 1; 0 for a call that was refused as a whole.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub row: usize,
    pub subject: Subject,
    /// The alert's or incident's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The incident the target was merged into: it was read and written in the
    /// target's place, and what follows is about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    #[serde(deserialize_with = "Outcome::read")]
    pub outcome: Outcome,
    pub message: String,
    /// The fields that this action changed, or would; for a write that failed,
    /// what of it stands nevertheless; for an alert that its incident's change
    /// brought to where it should be, these fields, although it is `unchanged`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Field>,
    /// For `updated`: whether the read-back showed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    pub dry_run: bool,
    /// The batch that is undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// Who the session belongs to, as splunkd says.
    pub actor: String,
    /// The user an alert's payload names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_user: Option<String>,
    pub via: Via,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<Api>,
    /// Microsoft's, for its support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Calls the write took, retries included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// How long Defender took for the deciding call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_name: Option<String>,
    /// What Defender said before this action; for an alert whose incident was
    /// among the rows, before the incident was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<State>,
    /// What Defender said when it was read back. The feed's event of this change
    /// has the same last update, unless Defender has moved on since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested: Option<Change>,
}

const fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// On whose word the entry has what it says of the call: action, batch, search
/// and alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A process that splunkd itself called so.
    Direct,
    /// Whoever asked the REST endpoint.
    Rest,
}

/// How all rows ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// One outcome per row, in the rows' order.
    pub rows: Vec<Outcome>,
    /// Whether something that was written may show only later.
    pub doubtful: bool,
}

impl Summary {
    /// How many rows ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.rows.iter().filter(|row| **row == outcome).count()
    }

    /// Whether every row got what it asked for.
    pub fn is_well(&self) -> bool {
        self.rows.iter().all(|row| row.is_well())
    }
}

/// `200 rows: 199 updated, 1 not_found`.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.rows.len() == 1 { "row" } else { "rows" };
        write!(f, "{} {noun}", self.rows.len())?;
        let counts = Outcome::ALL
            .into_iter()
            .map(|outcome| (outcome, self.count(outcome)));
        for (place, (outcome, count)) in counts.filter(|(_, count)| *count > 0).enumerate() {
            let joint = if place == 0 { ":" } else { "," };
            write!(f, "{joint} {count} {outcome}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_that_is_not_well_decides() {
        let well = Summary {
            rows: vec![Outcome::Updated, Outcome::Unchanged, Outcome::Planned],
            ..Summary::default()
        };
        assert!(well.is_well());
        for bad in Outcome::ALL.into_iter().filter(|o| !o.is_well()) {
            let rows = vec![Outcome::Updated, bad];
            let summary = Summary {
                rows,
                ..Summary::default()
            };
            assert!(!summary.is_well(), "{bad}");
        }
        assert!(Summary::default().is_well());
    }

    #[test]
    fn the_worst_target_is_worse_than_every_good_one() {
        let worst_well = Outcome::ALL.into_iter().filter(|o| o.is_well()).max();
        let best_bad = Outcome::ALL.into_iter().filter(|o| !o.is_well()).min();
        assert!(worst_well < best_bad);
        assert!(Outcome::ALL.is_sorted());
    }

    #[test]
    fn a_summary_reads_as_a_sentence() {
        let mut rows = vec![Outcome::Updated; 199];
        rows.insert(2, Outcome::NotFound);
        assert_eq!(
            Summary {
                rows,
                ..Summary::default()
            }
            .to_string(),
            "200 rows: 199 updated, 1 not_found"
        );
        assert_eq!(Summary::default().to_string(), "0 rows");
    }
}
