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
//!
//! A row can also say outright what has to stand, as those of an undo do: a
//! field `defender_expected_<parameter>`. There no last update is compared.

use crate::triage::diff::Field;
use crate::triage::form::same_tag;
use crate::triage::printed::word;
use crate::triage::row::Row;
use crate::triage::vocabulary::{Classification, Determination, NONE, Status, quoted, said};
use crate::triage::{Change, Owner, State, Subject};
use jiff::Timestamp;
use std::cmp::Ordering;

/// The fields of a row that came from Defender, where the row has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// What has to stand where the change is about to write.
    expected: Vec<(Field, String)>,
    /// What an undo leaves as it is, in words.
    pub stays: Option<String>,
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

/// Other events have a `status` too, mostly a number. Microsoft's list of words is open: any word counts.
fn is_status(said: &str, subject: Subject) -> bool {
    let word = said.chars().all(|c| c.is_ascii_alphabetic()) && (1..=40).contains(&said.len());
    (word && !said.eq_ignore_ascii_case("null")) || Status::parse(said, subject).is_ok()
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
            status: shown("status").filter(|said| is_status(said, subject)),
            classification: shown("classification"),
            determination: shown("determination"),
            assigned_to: shown("assignedTo"),
            tags: TAGS
                .iter()
                .flat_map(|field| row.values(field))
                .map(str::to_owned)
                .collect(),
            expected: EXPECTED
                .iter()
                .map(|(field, name)| (*field, row.values(name)))
                .filter(|(_, values)| !values.is_empty())
                // Several cannot all stand: a guard that is unclear holds.
                .map(|(field, values)| (field, values.join(", ")))
                .collect(),
            stays: None,
        }
    }

    /// The fields in which Defender says something else than the row shows: what
    /// the row says, then what stands.
    pub fn differing(&self, state: &State) -> Vec<(Field, String, String)> {
        let nothing = Change::default();
        aspects(state, &nothing)
            .iter()
            .filter_map(|aspect| {
                let shown = self.shown(aspect)?;
                let differs = !aspect.stands.eq_ignore_ascii_case(shown);
                differs.then(|| (aspect.field, shown.to_owned(), aspect.stands.to_owned()))
            })
            .collect()
    }

    /// The row's last update.
    pub const fn instant(&self) -> Option<Timestamp> {
        self.updated
    }

    /// What the row says has to stand in a field.
    pub fn expects(&self, field: Field) -> Option<&str> {
        let mut expected = self.expected.iter();
        let (_, word) = expected.find(|(of, _)| *of == field)?;
        Some(word)
    }

    /// What the row shows in a field, in Graph spelling.
    pub fn showed(&self, field: Field) -> Option<&str> {
        let (shown, spelled): (_, fn(&str) -> &str) = match field {
            Field::Status => (&self.status, Status::spelling),
            Field::Classification => (&self.classification, Classification::spelling),
            Field::Determination => (&self.determination, Determination::spelling),
            Field::AssignedTo => (&self.assigned_to, |owner| owner),
            Field::Comment | Field::Tags => return None,
        };
        shown.as_deref().map(|shown| said(Some(shown), spelled))
    }

    /// The row's last update against Defender's, where both say one.
    pub fn against(&self, state: &State) -> Option<Ordering> {
        Some(self.updated?.cmp(&state.instant()?))
    }

    fn shown(&self, aspect: &Aspect<'_>) -> Option<&str> {
        self.showed(aspect.field)
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
        let differs = |aspect: &Aspect<'_>| {
            let same = |shown: &str| shown.eq_ignore_ascii_case(aspect.stands);
            aspect.wish.is_some() && !self.shown(aspect).is_some_and(same)
        };
        self.against(state) == Some(Ordering::Greater) && aspects(state, change).iter().any(differs)
    }

    /// Whether something else stands than what had to, and than what is asked.
    fn touched(&self, state: &State, change: &Change) -> Option<String> {
        let aspects = aspects(state, change);
        let touched: Vec<String> = self
            .expected
            .iter()
            .filter_map(|(field, expected)| {
                let aspect = aspects.iter().find(|aspect| aspect.field == *field)?;
                let expected = (aspect.spelled)(expected);
                let moved = !aspect.stands.eq_ignore_ascii_case(expected) && !aspect.is_there()?;
                moved.then(|| {
                    let (expected, stands) = (quoted(expected), quoted(aspect.stands));
                    format!("{field} had to stand at {expected} and is {stands} now")
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
        let mut moved: Vec<String> = aspects(state, change)
            .iter()
            .filter_map(|aspect| {
                let (shown, stands) = (self.shown(aspect)?, aspect.stands);
                let moved = !stands.eq_ignore_ascii_case(shown) && !aspect.is_there()?;
                let field = aspect.field;
                moved.then(|| {
                    let (shown, stands) = (word(shown), word(stands));
                    format!("{field} was {shown} in the row and is {stands} now")
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

/// Where a row says what has to stand.
const EXPECTED: [(Field, &str); 4] = [
    (Field::Status, "defender_expected_status"),
    (Field::Classification, "defender_expected_classification"),
    (Field::Determination, "defender_expected_determination"),
    (Field::AssignedTo, "defender_expected_assigned_to"),
];

/// One field: what the change asks for, if it does, and what stands.
struct Aspect<'a> {
    field: Field,
    wish: Option<&'a str>,
    stands: &'a str,
    spelled: fn(&str) -> &str,
}

impl Aspect<'_> {
    /// Whether what is asked for already stands.
    fn is_there(&self) -> Option<bool> {
        Some(self.stands.eq_ignore_ascii_case(self.wish?))
    }
}

fn aspects<'a>(state: &'a State, change: &'a Change) -> [Aspect<'a>; 4] {
    let aspect = |field, wish, stands: &'a Option<String>, spelled: fn(&str) -> &str| Aspect {
        field,
        wish,
        stands: stands.as_deref().map_or(NONE, spelled),
        spelled,
    };
    [
        aspect(
            Field::Status,
            change.status.map(Status::as_str),
            &state.status,
            |word| said(Some(word), Status::spelling),
        ),
        aspect(
            Field::Classification,
            change.classification.map(Classification::as_str),
            &state.classification,
            |word| said(Some(word), Classification::spelling),
        ),
        aspect(
            Field::Determination,
            change.determination.map(Determination::as_str),
            &state.determination,
            |word| said(Some(word), Determination::spelling),
        ),
        aspect(
            Field::AssignedTo,
            change.assigned_to.as_ref().map(Owner::as_str),
            &state.assigned_to,
            |word| said(Some(word), |owner| owner),
        ),
    ]
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
    fn a_status_microsoft_added_is_judged_like_any_other() {
        for said in ["awaitingaction", "AwaitingAction", "somethingNew"] {
            let seen = seen(&[
                ("lastUpdateDateTime", "2026-11-21T10:00:00Z"),
                ("status", said),
            ]);
            let newer = "2026-11-21T11:00:00Z";
            let moved = state("new", newer);
            assert!(
                seen.overruled(&moved, &resolve(), false).is_some(),
                "{said}"
            );
            let grown = state(said, newer);
            assert_eq!(seen.overruled(&grown, &resolve(), false), None, "{said}");
        }
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
    fn what_has_to_stand_is_looked_at_whatever_the_last_update() {
        let seen = seen(&[
            ("defender_expected_status", "resolved"),
            ("defender_expected_assigned_to", "none"),
        ]);
        let reopen = Change {
            status: Some(Status::New),
            ..Change::default()
        };
        let mut now = state("Resolved", "2026-11-21T10:00:00Z");
        assert_eq!(seen.overruled(&now, &reopen, false), None);
        // Nothing is asked of the owner, so nobody cares who it is.
        now.assigned_to = Some("you@contoso.com".to_owned());
        assert_eq!(seen.overruled(&now, &reopen, false), None);
        now.status = Some("new".to_owned());
        assert_eq!(seen.overruled(&now, &reopen, false), None);
        now.status = Some("inProgress".to_owned());
        insta::assert_snapshot!(
            seen.overruled(&now, &reopen, false).unwrap(),
            @r#"somebody has changed it since: status had to stand at "resolved" and is "inProgress" now; nothing was written"#
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
        let seen = Seen::of(&row, Subject::Alert);
        assert!(seen.overruled(&now, &reopen, false).is_some());
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
