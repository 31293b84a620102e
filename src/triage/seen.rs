//! What the row showed when somebody decided, so that a verdict does not
//! silently overrule a colleague who was faster.
//!
//! The policy, for a row that carries the last update under one of Defender's
//! own names:
//!
//! * **Status, classification, determination, owner** conflict where Defender has
//!   been updated since, the change touches the field, the row showed it, and it
//!   is now neither what the row showed nor what is asked for.
//! * **Tags** are added and removed one by one, so tags of others are never
//!   overruled. A conflict is to add again what the row showed and somebody has
//!   removed since, and to remove what somebody has added since the row.
//! * **Comments** overrule nothing: neither a comment that came since, nor a
//!   newer last update by itself, is a conflict. Evidence that grows moves it too.
//! * **A merged incident** is judged by its successor, of which the row showed
//!   nothing: there the last updates are not compared, and what is set there and
//!   differs from the row is a conflict.
//! * **A row newer than what a list shows** is no conflict, and the list is not
//!   believed: the object itself is read before anything is decided.
//! * **What this action's own incidents brought about** in an alert is no
//!   colleague's doing; see `cascade.rs`.
//!
//! A row without a last update has seen nothing and overrules everything; with
//! several rows for one target, the newest that agrees decides.

use crate::triage::form::same_tag;
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
    /// Empty also where the row does not show tags: a table cannot tell the two apart.
    tags: Vec<String>,
}

/// Under which name the three APIs print the last update.
const UPDATED: [&str; 3] = ["lastUpdateDateTime", "lastUpdateTime", "lastUpdatedTime"];
/// Under which name Splunk shows an incident's tags.
const TAGS: [&str; 3] = ["customTags{}", "customTags", "tags{}"];

/// One word of a verdict: what is asked, what the row showed, what stands.
struct Touched<'a> {
    field: &'static str,
    wish: &'a str,
    shown: Option<&'a str>,
    stands: &'a str,
}

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
            tags: TAGS
                .iter()
                .flat_map(|field| row.values(field))
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Whether Defender has moved past the row in something the change is
    /// about to overrule; says what. `elsewhere`: the state is that of the
    /// incident into which the row's one was merged.
    pub fn overruled(&self, state: &State, change: &Change, elsewhere: bool) -> Option<String> {
        let shown = self.updated?;
        let now = state.instant()?;
        if now <= shown && !elsewhere {
            return None;
        }
        let mut moved: Vec<String> = self
            .touched(state, change)
            .filter_map(|touched| {
                let Touched {
                    field,
                    wish,
                    shown,
                    stands,
                } = touched;
                let shown = shown?;
                let is = |word: &str| stands.eq_ignore_ascii_case(word);
                (!is(shown) && !is(wish))
                    .then(|| format!("{field} was {shown} in the row and is {stands} now"))
            })
            .collect();
        if !elsewhere {
            moved.extend(self.moved_tags(state, change));
        }
        (!moved.is_empty()).then(|| {
            format!(
                "somebody was faster: {} (last update {shown} in the row, {now} in Defender); search again, or leave the last update out of the rows to overrule",
                moved.join(", ")
            )
        })
    }

    /// Whether the row knows of a later update than this state, and what the
    /// change touches may look different by then.
    pub fn is_ahead_of(&self, state: &State, change: &Change) -> bool {
        let ahead = match (self.updated, state.instant()) {
            (Some(shown), Some(now)) => shown > now,
            _ => false,
        };
        let differs = |touched: Touched<'_>| {
            let same = |shown: &str| shown.eq_ignore_ascii_case(touched.stands);
            !touched.shown.is_some_and(same)
        };
        ahead && self.touched(state, change).any(differs)
    }

    fn touched<'a>(
        &'a self,
        state: &'a State,
        change: &'a Change,
    ) -> impl Iterator<Item = Touched<'a>> {
        let words = [
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
        words
            .into_iter()
            .filter_map(|(field, wish, shown, stands)| {
                Some(Touched {
                    field,
                    wish: wish?,
                    shown,
                    stands: stands.unwrap_or(UNSET),
                })
            })
    }

    fn moved_tags(&self, state: &State, change: &Change) -> Vec<String> {
        if self.tags.is_empty() {
            return Vec::new();
        }
        let among = |tags: &[String], tag: &str| tags.iter().any(|other| same_tag(other, tag));
        let removed = change
            .tags_add
            .iter()
            .filter(|tag| among(&self.tags, tag) && !among(&state.tags, tag))
            .map(|tag| format!("the tag {tag} was in the row and has been removed"));
        let added = change
            .tags_remove
            .iter()
            .filter(|tag| !among(&self.tags, tag) && among(&state.tags, tag))
            .map(|tag| format!("the tag {tag} was not in the row and has been added"));
        removed.chain(added).collect()
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
            seen.overruled(&now, &resolve(), false).unwrap(),
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
        assert_eq!(seen.overruled(&now, &resolve(), false), None);
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
        assert_eq!(seen.overruled(&now, &comment, false), None);
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
            assert_eq!(seen(&fields).overruled(&now, &resolve(), false), None);
        }
    }

    #[test]
    fn tags_conflict_only_where_somebody_changed_the_same_one_since() {
        let updated = ("lastUpdateDateTime", "2026-11-21T10:00:00Z");
        let shown = seen(&[updated, ("customTags{}", "vip")]);
        let mut now = state("new", "2026-11-21T11:00:00Z");
        let change = Change {
            tags_add: vec!["VIP".to_owned()],
            tags_remove: vec!["phish".to_owned()],
            ..Change::default()
        };
        now.tags = vec!["vip".to_owned(), "theirs".to_owned()];
        assert_eq!(shown.overruled(&now, &change, false), None);
        now.tags = vec!["Phish".to_owned()];
        let message = shown.overruled(&now, &change, false).unwrap();
        assert!(message.contains("the tag VIP was in the row and has been removed"));
        assert!(message.contains("the tag phish was not in the row and has been added"));
        assert_eq!(seen(&[updated]).overruled(&now, &change, false), None);
    }

    #[test]
    fn the_successor_of_a_merged_incident_is_judged_whenever_it_was_updated() {
        let shown = seen(&[
            ("lastUpdateDateTime", "2026-11-21T10:00:00Z"),
            ("status", "new"),
        ]);
        let older = state("inProgress", "2026-11-20T10:00:00Z");
        assert_eq!(shown.overruled(&older, &resolve(), false), None);
        assert!(shown.overruled(&older, &resolve(), true).is_some());
    }

    #[test]
    fn a_row_is_ahead_only_of_an_older_state_that_may_differ_in_what_is_asked() {
        let fields = [
            ("lastUpdateDateTime", "2026-11-21T10:00:00Z"),
            ("status", "new"),
        ];
        let (shown, silent) = (seen(&fields), seen(&fields[..1]));
        let older = "2026-11-21T09:00:00Z";
        assert!(shown.is_ahead_of(&state("resolved", older), &resolve()));
        assert!(silent.is_ahead_of(&state("new", older), &resolve()));
        assert!(!shown.is_ahead_of(&state("new", older), &resolve()));
        assert!(!shown.is_ahead_of(&state("resolved", older), &Change::default()));
        let newer = state("resolved", "2026-11-21T11:00:00Z");
        assert!(!shown.is_ahead_of(&newer, &resolve()));
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
        assert_eq!(seen.overruled(&now, &mine, false), None);
        now.assigned_to = Some("you@contoso.com".to_owned());
        assert!(
            seen.overruled(&now, &mine, false)
                .unwrap()
                .contains("was none")
        );
    }
}
