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
//!   colleague's doing; see `apply/incident_effects.rs`.
//!
//! A row without a last update has seen nothing and overrules everything; with
//! several rows for one target, the newest that agrees decides.
//!
//! A row can also say outright what has to stand, as those of an undo do: a
//! field `defender_expected_<parameter>`. There no last update is compared.

use crate::triage::field::{Field, VERDICT, VerdictField, is_same};
use crate::triage::form::same_tag;
use crate::triage::printed::word;
use crate::triage::row::Row;
use crate::triage::vocabulary::quoted;
use crate::triage::{Change, State, Subject};
use jiff::Timestamp;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The fields of a row that came from Defender, where the row has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RowSnapshot {
    /// What has to stand where the change is about to write.
    expected: BTreeMap<Field, String>,
    /// What an undo leaves as it is, in words.
    pub stays: Option<String>,
    updated: Option<Timestamp>,
    shown: BTreeMap<Field, String>,
    /// Empty also where the row does not show tags: a table cannot tell the two apart.
    tags: Vec<String>,
}

/// Under which name the three APIs print the last update.
const UPDATED: [&str; 3] = ["lastUpdateDateTime", "lastUpdateTime", "lastUpdatedTime"];
/// Under which name Splunk shows an incident's tags.
const TAGS: [&str; 3] = ["customTags{}", "customTags", "tags{}"];

impl RowSnapshot {
    pub fn of(row: &Row, subject: Subject) -> Self {
        let shown = |known: &VerdictField| match row.values(known.event_field).as_slice() {
            [word] if (known.is_shown)(word, subject) => Some((known.field, (*word).to_owned())),
            _ => None,
        };
        let expected = |known: &VerdictField| {
            let values = row.values(&format!("defender_expected_{}", known.field));
            // Several cannot all stand: a guard that is unclear holds.
            (!values.is_empty()).then(|| (known.field, values.join(", ")))
        };
        Self {
            updated: UPDATED
                .iter()
                .flat_map(|field| row.values(field))
                .filter_map(|text| text.parse().ok())
                .max(),
            shown: VERDICT.iter().filter_map(shown).collect(),
            tags: TAGS
                .iter()
                .flat_map(|field| row.values(field))
                .map(str::to_owned)
                .collect(),
            expected: VERDICT.iter().filter_map(expected).collect(),
            stays: None,
        }
    }

    /// The fields in which Defender says something else than the row shows: what
    /// the row says, then what stands.
    pub fn differing(&self, state: &State) -> Vec<(Field, String, String)> {
        VERDICT
            .iter()
            .filter_map(|known| {
                let (shown, stands) = (self.showed(known.field)?, known.current(state));
                let differs = !is_same(shown, stands);
                differs.then(|| (known.field, shown.to_owned(), stands.to_owned()))
            })
            .collect()
    }

    /// The row's last update.
    pub const fn instant(&self) -> Option<Timestamp> {
        self.updated
    }

    /// What the row says has to stand in a field.
    pub fn expects(&self, field: Field) -> Option<&str> {
        self.expected.get(&field).map(String::as_str)
    }

    /// What the row shows in a field, in Graph spelling.
    pub fn showed(&self, field: Field) -> Option<&str> {
        let shown = self.shown.get(&field)?;
        Some(field.of_verdict()?.spelled(Some(shown)))
    }

    /// The row's last update against Defender's, where both say one.
    pub fn against(&self, state: &State) -> Option<Ordering> {
        Some(self.updated?.cmp(&state.instant()?))
    }

    /// Whether Defender has moved past the row in something the change is
    /// about to overrule; says what. `elsewhere`: the state is that of the
    /// incident into which the row's one was merged.
    pub fn overruled(&self, state: &State, change: &Change, elsewhere: bool) -> Option<String> {
        self.touched(state, change)
            .or_else(|| self.overtaken(state, change, elsewhere))
    }

    /// Whether the row knows of a later update than this state, and what the
    /// change touches may look different by then.
    pub fn is_ahead_of(&self, state: &State, change: &Change) -> bool {
        let differs = |known: &VerdictField| {
            let same = |shown: &str| is_same(shown, known.current(state));
            known.wanted(change).is_some() && !self.showed(known.field).is_some_and(same)
        };
        self.against(state) == Some(Ordering::Greater) && VERDICT.iter().any(differs)
    }

    /// Whether something else stands than what had to, and than what is asked.
    fn touched(&self, state: &State, change: &Change) -> Option<String> {
        let touched: Vec<String> = VERDICT
            .iter()
            .filter_map(|known| {
                let expected = known.spelled(Some(self.expects(known.field)?));
                let stands = known.current(state);
                let moved = !is_same(stands, expected) && !known.is_there(state, change)?;
                moved.then(|| {
                    let (expected, stands) = (quoted(expected), quoted(stands));
                    format!("{} should be {expected} and is {stands} now", known.field)
                })
            })
            .collect();
        (!touched.is_empty()).then(|| {
            format!(
                "somebody has changed it since: {}; nothing was written",
                touched.join(", ")
            )
        })
    }

    fn overtaken(&self, state: &State, change: &Change, elsewhere: bool) -> Option<String> {
        let shown = self.updated?;
        let now = state.instant()?;
        if now <= shown && !elsewhere {
            return None;
        }
        let mut moved: Vec<String> = VERDICT
            .iter()
            .filter_map(|known| {
                let (shown, stands) = (self.showed(known.field)?, known.current(state));
                let moved = !is_same(stands, shown) && !known.is_there(state, change)?;
                moved.then(|| {
                    let (shown, stands) = (word(shown), word(stands));
                    format!("{} was {shown} in the row and is {stands} now", known.field)
                })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::Owner;
    use crate::triage::vocabulary::Status;

    fn snapshot(fields: &[(&str, &str)]) -> RowSnapshot {
        let row = Row::new(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])),
        );
        RowSnapshot::of(&row, Subject::Alert)
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
        let snapshot = snapshot(&[
            ("lastUpdateDateTime", "2026-11-21T10:00:00.1234567Z"),
            ("status", "new"),
        ]);
        let now = state("inProgress", "2026-11-21T10:00:00.1234568Z");
        insta::assert_snapshot!(
            snapshot.overruled(&now, &resolve(), false).unwrap(),
            @"somebody was faster: status was new in the row and is inProgress now (last update 2026-11-21T10:00:00.1234567Z in the row, 2026-11-21T10:00:00.1234568Z in Defender); search again, or leave the last update out of the rows to overrule"
        );
    }

    #[test]
    fn a_status_microsoft_added_is_judged_like_any_other() {
        for said in ["awaitingaction", "AwaitingAction", "somethingNew"] {
            let snapshot = snapshot(&[
                ("lastUpdateDateTime", "2026-11-21T10:00:00Z"),
                ("status", said),
            ]);
            let newer = "2026-11-21T11:00:00Z";
            let moved = state("new", newer);
            assert!(
                snapshot.overruled(&moved, &resolve(), false).is_some(),
                "{said}"
            );
            let grown = state(said, newer);
            assert_eq!(
                snapshot.overruled(&grown, &resolve(), false),
                None,
                "{said}"
            );
        }
    }

    #[test]
    fn evidence_that_grew_is_no_conflict() {
        let snapshot = snapshot(&[
            ("lastUpdateTime", "2026-11-21T10:00:00Z"),
            ("status", "New"),
        ]);
        let now = state("new", "2026-11-21T11:00:00Z");
        assert_eq!(snapshot.overruled(&now, &resolve(), false), None);
    }

    #[test]
    fn a_change_that_leaves_the_moved_field_alone_is_no_conflict() {
        let snapshot = snapshot(&[
            ("lastUpdateTime", "2026-11-21T10:00:00Z"),
            ("status", "New"),
        ]);
        let now = state("inProgress", "2026-11-21T11:00:00Z");
        let comment = Change {
            comment: Some("seen".to_owned()),
            ..Change::default()
        };
        assert_eq!(snapshot.overruled(&now, &comment, false), None);
    }

    #[test]
    fn what_has_to_stand_is_looked_at_whatever_the_last_update() {
        let snapshot = snapshot(&[
            ("defender_expected_status", "resolved"),
            ("defender_expected_assigned_to", "none"),
        ]);
        let reopen = Change {
            status: Some(Status::New),
            ..Change::default()
        };
        let mut now = state("Resolved", "2026-11-21T10:00:00Z");
        assert_eq!(snapshot.overruled(&now, &reopen, false), None);
        // Nothing is asked of the owner, so nobody cares who it is.
        now.assigned_to = Some("you@contoso.com".to_owned());
        assert_eq!(snapshot.overruled(&now, &reopen, false), None);
        now.status = Some("new".to_owned());
        assert_eq!(snapshot.overruled(&now, &reopen, false), None);
        now.status = Some("inProgress".to_owned());
        insta::assert_snapshot!(
            snapshot.overruled(&now, &reopen, false).unwrap(),
            @r#"somebody has changed it since: status should be "resolved" and is "inProgress" now; nothing was written"#
        );
    }

    #[test]
    fn what_has_to_stand_is_not_forgotten_where_a_row_says_it_twice() {
        let values = ["resolved", "new"].map(str::to_owned).to_vec();
        let row = Row::new([("defender_expected_status".to_owned(), values)]);
        let reopen = Change {
            status: Some(Status::InProgress),
            ..Change::default()
        };
        let now = state("resolved", "2026-11-21T10:00:00Z");
        let snapshot = RowSnapshot::of(&row, Subject::Alert);
        assert!(snapshot.overruled(&now, &reopen, false).is_some());
    }

    #[test]
    fn somebody_elses_status_and_broken_times_count_for_nothing() {
        let now = state("inProgress", "2026-11-21T11:00:00Z");
        for fields in [
            [
                ("lastUpdateTime", "2026-11-21T10:00:00Z"),
                ("status", "404"),
            ],
            [
                ("lastUpdateTime", "2026-11-21T10:00:00Z"),
                ("status", "null"),
            ],
            [("lastUpdateTime", "yesterday"), ("status", "new")],
            [("_time", "2026-11-21T10:00:00Z"), ("status", "new")],
        ] {
            assert_eq!(snapshot(&fields).overruled(&now, &resolve(), false), None);
        }
    }

    #[test]
    fn tags_conflict_only_where_somebody_changed_the_same_one_since() {
        let updated = ("lastUpdateDateTime", "2026-11-21T10:00:00Z");
        let shown = snapshot(&[updated, ("customTags{}", "vip")]);
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
        assert_eq!(snapshot(&[updated]).overruled(&now, &change, false), None);
    }

    #[test]
    fn the_successor_of_a_merged_incident_is_judged_whenever_it_was_updated() {
        let shown = snapshot(&[
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
        let (shown, silent) = (snapshot(&fields), snapshot(&fields[..1]));
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
        let snapshot = snapshot(&[
            ("lastUpdateTime", "2026-11-21T10:00:00Z"),
            ("assignedTo", "null"),
        ]);
        let mut now = state("new", "2026-11-21T11:00:00Z");
        let mine = Change {
            assigned_to: Some(Owner::User("me@contoso.com".to_owned())),
            ..Change::default()
        };
        assert_eq!(snapshot.overruled(&now, &mine, false), None);
        now.assigned_to = Some("you@contoso.com".to_owned());
        assert!(
            snapshot
                .overruled(&now, &mine, false)
                .unwrap()
                .contains("was none")
        );
    }
}
