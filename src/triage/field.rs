//! The one table of a verdict's fields: how each is called, what a change wants
//! of it, what a state says of it, how that is spelled, how it is set.
//!
//! Who compares, shows, undoes or reconciles fields walks through [`VERDICT`]
//! and knows none of them by name, so a field that is added here is known there.
//! A comment and tags are no words that stand or do not, and are treated apart.

use crate::triage::vocabulary::{Classification, Determination, NONE, Status, said};
use crate::triage::{Change, Owner, State, Subject};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A field of a change, under its parameter's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Status,
    Classification,
    Determination,
    AssignedTo,
    Comment,
    Tags,
}

impl Field {
    /// As its parameter is called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Classification => "classification",
            Self::Determination => "determination",
            Self::AssignedTo => "assigned_to",
            Self::Comment => "comment",
            Self::Tags => "tags",
        }
    }

    /// Its line of the table; none for a comment and tags.
    pub(super) fn of_verdict(self) -> Option<&'static VerdictField> {
        VERDICT.iter().find(|known| known.field == self)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Fields as a message lists them.
pub(super) fn names(fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().map(|field| field.as_str()).collect();
    names.join(", ")
}

/// A field that holds one word.
pub(super) struct VerdictField {
    pub field: Field,
    /// Under which name Defender's events show it.
    pub event_field: &'static str,
    /// Whether what an event shows under that name is Defender's own word.
    pub is_shown: fn(&str, Subject) -> bool,
    /// The field without which Defender does not take it.
    pub pair: Option<Field>,
    wanted: fn(&Change) -> Option<&str>,
    leave: fn(&mut Change),
    current: fn(&State) -> &Option<String>,
    current_mut: fn(&mut State) -> &mut Option<String>,
    spelling: fn(&str) -> &str,
}

pub(super) static VERDICT: [VerdictField; 4] = [
    VerdictField {
        field: Field::Status,
        event_field: "status",
        is_shown: is_status,
        pair: None,
        wanted: |change| change.status.map(Status::as_str),
        leave: |change| change.status = None,
        current: |state| &state.status,
        current_mut: |state| &mut state.status,
        spelling: Status::spelling,
    },
    VerdictField {
        field: Field::Classification,
        event_field: "classification",
        is_shown: |_, _| true,
        pair: Some(Field::Determination),
        wanted: |change| change.classification.map(Classification::as_str),
        leave: |change| change.classification = None,
        current: |state| &state.classification,
        current_mut: |state| &mut state.classification,
        spelling: Classification::spelling,
    },
    VerdictField {
        field: Field::Determination,
        event_field: "determination",
        is_shown: |_, _| true,
        pair: Some(Field::Classification),
        wanted: |change| change.determination.map(Determination::as_str),
        leave: |change| change.determination = None,
        current: |state| &state.determination,
        current_mut: |state| &mut state.determination,
        spelling: Determination::spelling,
    },
    VerdictField {
        field: Field::AssignedTo,
        event_field: "assignedTo",
        is_shown: |_, _| true,
        pair: None,
        wanted: |change| change.assigned_to.as_ref().map(Owner::as_str),
        leave: |change| change.assigned_to = None,
        current: |state| &state.assigned_to,
        current_mut: |state| &mut state.assigned_to,
        spelling: |owner| owner,
    },
];

/// Other events have a `status` too, mostly a number. Microsoft's list of words
/// is open: any word counts.
fn is_status(said: &str, subject: Subject) -> bool {
    let word = said.chars().all(|c| c.is_ascii_alphabetic()) && (1..=40).contains(&said.len());
    (word && !said.eq_ignore_ascii_case("null")) || Status::parse(said, subject).is_ok()
}

impl VerdictField {
    /// What a change asks for, if it does.
    pub fn wanted<'c>(&self, change: &'c Change) -> Option<&'c str> {
        (self.wanted)(change)
    }

    /// What Defender says, as it said it.
    pub fn said<'s>(&self, state: &'s State) -> Option<&'s str> {
        (self.current)(state).as_deref()
    }

    /// What Defender says, spelled as the vocabulary does; [`NONE`] for nothing.
    pub fn current<'s>(&self, state: &'s State) -> &'s str {
        self.spelled(self.said(state))
    }

    pub fn spelled<'w>(&self, word: Option<&'w str>) -> &'w str {
        said(word, self.spelling)
    }

    /// What is written down of a word; nothing for [`NONE`].
    pub fn set(&self, state: &mut State, word: Option<String>) {
        *(self.current_mut)(state) = word;
    }

    /// Whether the state is not what the change asks for.
    pub fn differs(&self, state: &State, change: &Change) -> bool {
        self.wanted(change)
            .is_some_and(|wanted| !is_same(wanted, self.current(state)))
    }

    /// Whether the state is what the change asks for; none if it asks for nothing.
    pub fn is_there(&self, state: &State, change: &Change) -> Option<bool> {
        Some(is_same(self.wanted(change)?, self.current(state)))
    }

    /// `status new to resolved`.
    pub fn describe(&self, state: &State, change: &Change) -> String {
        let from = self.said(state).filter(|word| !word.is_empty());
        let to = self.wanted(change).unwrap_or(NONE);
        let from = crate::triage::printed::word(from.unwrap_or(NONE));
        format!("{} {from} to {to}", self.field)
    }
}

/// Two spelled words; user principal names have no case either, as in Entra ID.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

impl Change {
    /// As much of it as concerns these fields, and the other half of a pair.
    pub(super) fn only(mut self, concerns: impl Fn(Field) -> bool) -> Self {
        for known in &VERDICT {
            if !concerns(known.field) && !known.pair.is_some_and(&concerns) {
                (known.leave)(&mut self);
            }
        }
        if !concerns(Field::Comment) {
            self.comment = None;
        }
        if !concerns(Field::Tags) {
            self.tags_add.clear();
            self.tags_remove.clear();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::apply::incident_effects;
    use crate::triage::diff::{between, describe, diff};
    use crate::triage::marker::Marker;
    use crate::triage::request::Request;
    use crate::triage::row_snapshot::RowSnapshot;
    use crate::triage::tests::tenant::row;
    use crate::triage::{Api, Form, Reconciler, Undo};
    use serde_json::json;

    /// Of a field: what stood, what a colleague made of it, what is asked for.
    /// None for what is no word.
    const fn example(field: Field) -> Option<[&'static str; 3]> {
        match field {
            Field::Status => Some(["active", "inProgress", "resolved"]),
            Field::Classification => Some([
                "falsePositive",
                "truePositive",
                "informationalExpectedActivity",
            ]),
            Field::Determination => Some(["malware", "phishing", "other"]),
            Field::AssignedTo => Some(["a@contoso.com", "b@contoso.com", "c@contoso.com"]),
            Field::Comment | Field::Tags => None,
        }
    }

    const ALL: [Field; 6] = [
        Field::Status,
        Field::Classification,
        Field::Determination,
        Field::AssignedTo,
        Field::Comment,
        Field::Tags,
    ];

    struct Example {
        known: &'static VerdictField,
        stood: State,
        moved: State,
        change: Change,
        wanted: String,
    }

    /// Each field of the table, alone but for the other half of its pair.
    fn examples() -> Vec<Example> {
        let example = |known: &'static VerdictField| {
            let [stood, moved, wanted] = example(known.field).unwrap();
            let state = |word: &str, updated: &str| {
                let mut state = State {
                    classification: Some("truePositive".to_owned()),
                    updated: Some(format!("2026-11-21T{updated}Z")),
                    ..State::default()
                };
                known.set(&mut state, Some(word.to_owned()));
                state
            };
            let mut change = json!({});
            if known.field == Field::Determination {
                change["classification"] = json!("truePositive");
            }
            change[known.field.as_str()] = json!(wanted);
            Example {
                known,
                stood: state(stood, "10:00:00"),
                moved: state(moved, "11:00:00"),
                change: serde_json::from_value(change).unwrap(),
                wanted: wanted.to_owned(),
            }
        };
        VERDICT.iter().map(example).collect()
    }

    #[test]
    fn every_field_but_comment_and_tags_has_its_line_in_the_table() {
        for field in ALL {
            let known = field.of_verdict().map(|known| known.field);
            assert_eq!(known, example(field).map(|_| field));
            assert_eq!(serde_json::to_value(field).unwrap(), field.as_str());
        }
        assert_eq!(VERDICT.len(), ALL.len() - 2);
    }

    #[test]
    fn every_field_is_compared_described_and_sent() {
        for example in examples() {
            let Example {
                known,
                stood,
                change,
                wanted,
                ..
            } = &example;
            let field = known.field;
            let marker = Marker::of("b", change);
            assert_eq!(diff(stood, change, &marker), [field]);
            assert!(between(change, &Change::default()).contains(&field));
            let steps = describe(stood, change, &[field]);
            let said = known.said(stood).unwrap();
            assert_eq!(steps, format!("{field} {said} to {wanted}"));
            assert_eq!(change.clone().only(|one| one == field), *change);
            let nothing = change.clone().only(|_| false);
            assert_eq!(nothing, Change::default(), "{field}");
            let mut done = stood.clone();
            known.set(&mut done, Some(wanted.to_uppercase()));
            assert_eq!(diff(&done, change, &marker), []);
            assert_eq!(known.is_there(&done, change), Some(true));
        }
    }

    #[test]
    fn every_field_a_row_shows_or_says_has_to_stand_is_looked_at() {
        for example in examples() {
            let Example {
                known,
                stood,
                moved,
                change,
                ..
            } = &example;
            let said = known.said(stood).unwrap();
            let expected = format!("defender_expected_{}", known.field);
            let snapshot = |name: &str| {
                let updated = ("lastUpdateDateTime", "2026-11-21T10:00:00Z");
                RowSnapshot::of(&row(&[updated, (name, said)]), Subject::Incident)
            };
            for name in [known.event_field, &expected] {
                let snapshot = snapshot(name);
                assert_eq!(snapshot.overruled(stood, change, false), None, "{name}");
                let why = snapshot.overruled(moved, change, false).unwrap();
                assert!(why.contains(known.field.as_str()), "{why}");
            }
            assert_eq!(snapshot(known.event_field).differing(moved).len(), 1);
            assert_eq!(snapshot(&expected).expects(known.field), Some(said));
        }
    }

    #[test]
    fn every_field_is_undone() {
        for example in examples() {
            let Example {
                known,
                stood,
                change,
                wanted,
                ..
            } = &example;
            let entry = json!({
                "time": "2026-11-21T10:00:00Z", "batch": "b", "row": 1, "subject": "incident",
                "target": "7", "outcome": "updated", "before": stood, "requested": change,
                "changed": [known.field], "account": "contoso", "api": "graph",
            });
            let undo = Undo::read("b", [entry.to_string().as_str()]);
            let fields = undo.restorations[0].fields(None);
            let value = |name: String| {
                let mut found = fields.iter().filter(|(known, _)| *known == name);
                found.next().map(|(_, values)| values.join("|"))
            };
            let field = known.field;
            assert_eq!(
                value(format!("defender_{field}")).as_deref(),
                known.said(stood)
            );
            let expected = value(format!("defender_expected_{field}"));
            assert_eq!(expected.as_ref(), Some(wanted));
        }
    }

    #[test]
    fn every_field_is_read_from_a_row_and_reconciled() {
        let reconciler = Reconciler::new(Subject::Incident, "contoso", Api::Graph, None).unwrap();
        for example in examples() {
            let Example {
                known,
                stood,
                change,
                wanted,
                ..
            } = &example;
            let name = format!("defender_{}", known.field);
            let mut fields = vec![("incident_id", "7"), (name.as_str(), wanted.as_str())];
            if known.field == Field::Determination {
                fields.push(("defender_classification", "truePositive"));
            }
            let row = row(&fields);
            let accounts = ["contoso".to_owned()].into();
            let form = Form::parse(Subject::Incident, accounts, [("account", "contoso")]).unwrap();
            assert_eq!(Request::of(&form, 1, &row).unwrap().change, *change);
            let now = "2026-11-21T10:05:00Z".parse().unwrap();
            let found = reconciler.reconcile(1, &row, stood, now);
            let argument = format!("{}={wanted}", known.field);
            assert!(found.command.unwrap().contains(&argument), "{argument}");
        }
    }

    #[test]
    fn every_field_an_incident_hands_on_is_noted() {
        for Example { known, change, .. } in examples() {
            assert!(incident_effects::reaches_alerts(&change), "{}", known.field);
        }
    }
}
