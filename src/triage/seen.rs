//! What the row showed when somebody decided, so that a verdict does not
//! silently overrule a colleague who was faster.

use crate::triage::row::Row;
use crate::triage::vocabulary::{Classification, Determination, Status};
use crate::triage::{Change, Owner, State, Subject};
use jiff::Timestamp;

/// The fields of a row that came from Defender, where the row has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    updated: Option<Timestamp>,
    status: Option<String>,
    classification: Option<String>,
    determination: Option<String>,
    assigned_to: Option<String>,
}

/// Under which name the three APIs print the last update.
const UPDATED: [&str; 3] = ["lastUpdateDateTime", "lastUpdateTime", "lastUpdatedTime"];

impl Seen {
    pub fn of(row: &Row, subject: Subject) -> Self {
        let shown = |field: &str| match row.values(field).as_slice() {
            [value] => Some((*value).to_owned()),
            _ => None,
        };
        Self {
            updated: UPDATED
                .iter()
                .flat_map(|field| row.values(field))
                .filter_map(|text| text.parse().ok())
                .max(),
            // Other events have a `status` too: only Defender's words count.
            status: shown("status").filter(|said| Status::parse(said, subject).is_ok()),
            classification: shown("classification"),
            determination: shown("determination"),
            assigned_to: shown("assignedTo"),
        }
    }

    /// Whether Defender has moved past the row in something the change is
    /// about to overrule; says what. A newer last update alone is no conflict:
    /// evidence that grows moves it too. A row without a last update has seen
    /// nothing and overrules everything.
    pub fn overruled(&self, state: &State, change: &Change) -> Option<String> {
        let shown = self.updated?;
        let now: Timestamp = state.updated.as_deref()?.parse().ok()?;
        if now <= shown {
            return None;
        }
        let touched = [
            (
                "status",
                change.status.map(Status::as_str),
                spelled(&self.status, Status::spelling),
                spelled(&state.status, Status::spelling),
            ),
            (
                "classification",
                change.classification.map(Classification::as_str),
                spelled(&self.classification, Classification::spelling),
                spelled(&state.classification, Classification::spelling),
            ),
            (
                "determination",
                change.determination.map(Determination::as_str),
                spelled(&self.determination, Determination::spelling),
                spelled(&state.determination, Determination::spelling),
            ),
            (
                "assigned_to",
                change.assigned_to.as_ref().map(Owner::as_str),
                spelled(&self.assigned_to, |said| said),
                spelled(&state.assigned_to, |said| said),
            ),
        ];
        let moved: Vec<String> = touched
            .into_iter()
            .filter(|(_, wish, shown, stands)| {
                let (Some(wish), Some(shown)) = (wish, shown) else {
                    return false;
                };
                let stands = stands.unwrap_or(UNSET);
                !stands.eq_ignore_ascii_case(shown) && !stands.eq_ignore_ascii_case(wish)
            })
            .map(|(field, _, shown, stands)| {
                let (shown, stands) = (shown.unwrap_or(UNSET), stands.unwrap_or(UNSET));
                format!("{field} was {shown} in the row and is {stands} now")
            })
            .collect();
        (!moved.is_empty()).then(|| {
            format!(
                "somebody was faster: {} (last update {shown} in the row, {now} in Defender); search again, or leave the last update out of the rows to overrule",
                moved.join(", ")
            )
        })
    }
}

/// How nothing is called; also the word that clears an owner.
const UNSET: &str = "none";

/// Graph spelling; `null` and `unknown` are how the APIs and their events say "not set".
fn spelled(said: &Option<String>, spelling: fn(&str) -> &str) -> Option<&str> {
    let said = said.as_deref()?;
    let unset = ["", "null", "unknown", "notavailable"]
        .iter()
        .any(|word| said.eq_ignore_ascii_case(word));
    Some(if unset { UNSET } else { spelling(said) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(fields: &[(&str, &str)]) -> Seen {
        let row = Row::new(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])),
        );
        Seen::of(&row, Subject::Alert)
    }

    fn state(status: &str, updated: &str) -> State {
        State {
            status: Some(status.to_owned()),
            updated: Some(updated.to_owned()),
            ..State::default()
        }
    }

    fn resolve() -> Change {
        Change {
            status: Some(Status::Resolved),
            ..Change::default()
        }
    }

    #[test]
    fn a_colleague_who_was_faster_is_not_overruled() {
        let seen = seen(&[
            ("lastUpdateDateTime", "2026-11-21T10:00:00.1234567Z"),
            ("status", "new"),
        ]);
        let now = state("inProgress", "2026-11-21T10:00:00.1234568Z");
        insta::assert_snapshot!(
            seen.overruled(&now, &resolve()).unwrap(),
            @"somebody was faster: status was new in the row and is inProgress now (last update 2026-11-21T10:00:00.1234567Z in the row, 2026-11-21T10:00:00.1234568Z in Defender); search again, or leave the last update out of the rows to overrule"
        );
    }

    #[test]
    fn evidence_that_grew_is_no_conflict() {
        let seen = seen(&[
            ("lastUpdateTime", "2026-11-21T10:00:00Z"),
            ("status", "New"),
        ]);
        let now = state("new", "2026-11-21T11:00:00Z");
        assert_eq!(seen.overruled(&now, &resolve()), None);
    }

    #[test]
    fn a_change_that_leaves_the_moved_field_alone_is_no_conflict() {
        let seen = seen(&[
            ("lastUpdateTime", "2026-11-21T10:00:00Z"),
            ("status", "New"),
        ]);
        let now = state("inProgress", "2026-11-21T11:00:00Z");
        let comment = Change {
            comment: Some("seen".to_owned()),
            ..Change::default()
        };
        assert_eq!(seen.overruled(&now, &comment), None);
    }

    #[test]
    fn somebody_elses_status_and_broken_times_count_for_nothing() {
        let now = state("inProgress", "2026-11-21T11:00:00Z");
        for fields in [
            [
                ("lastUpdateTime", "2026-11-21T10:00:00Z"),
                ("status", "404"),
            ],
            [("lastUpdateTime", "yesterday"), ("status", "new")],
            [("_time", "2026-11-21T10:00:00Z"), ("status", "new")],
        ] {
            assert_eq!(seen(&fields).overruled(&now, &resolve()), None);
        }
    }

    #[test]
    fn an_owner_who_came_since_is_seen_where_the_row_said_null() {
        let seen = seen(&[
            ("lastUpdateTime", "2026-11-21T10:00:00Z"),
            ("assignedTo", "null"),
        ]);
        let mut now = state("new", "2026-11-21T11:00:00Z");
        let mine = Change {
            assigned_to: Some(Owner::User("me@contoso.com".to_owned())),
            ..Change::default()
        };
        assert_eq!(seen.overruled(&now, &mine), None);
        now.assigned_to = Some("you@contoso.com".to_owned());
        assert!(seen.overruled(&now, &mine).unwrap().contains("was none"));
    }
}
