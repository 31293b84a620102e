//! What lies between a state and a change: which fields still differ. Asked
//! before a write (is there anything to do?) and after it (is it visible?).

use crate::triage::form::same_tag;
use crate::triage::marker::Marker;
use crate::triage::printed::word;
use crate::triage::vocabulary::{Classification, Determination, Status, said};
use crate::triage::{Change, Owner, State};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A field of a change, under its parameter's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Status,
    Classification,
    Determination,
    AssignedTo,
    Comment,
    Tags,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status => "status",
            Self::Classification => "classification",
            Self::Determination => "determination",
            Self::AssignedTo => "assigned_to",
            Self::Comment => "comment",
            Self::Tags => "tags",
        })
    }
}

/// The fields in which the state is not yet what the change asks for.
pub(super) fn gap(state: &State, change: &Change, marker: &Marker) -> Vec<Field> {
    let differs = |wish: Option<&str>, stands: &str| wish.is_some_and(|wish| stands != wish);
    let missing = [
        (
            Field::Status,
            differs(
                change.status.map(Status::as_str),
                said(state.status.as_deref(), Status::spelling),
            ),
        ),
        (
            Field::Classification,
            differs(
                change.classification.map(Classification::as_str),
                said(state.classification.as_deref(), Classification::spelling),
            ),
        ),
        (
            Field::Determination,
            differs(
                change.determination.map(Determination::as_str),
                said(state.determination.as_deref(), Determination::spelling),
            ),
        ),
        (Field::AssignedTo, owner_differs(state, change)),
        (
            Field::Comment,
            change.comment.is_some() && !marker.stands(&state.comments),
        ),
        (Field::Tags, tags_differ(state, change)),
    ];
    missing
        .into_iter()
        .filter_map(|(field, missing)| missing.then_some(field))
        .collect()
}

fn owner_differs(state: &State, change: &Change) -> bool {
    let stands = owner(state);
    match &change.assigned_to {
        None => false,
        Some(Owner::Nobody) => stands.is_some(),
        // User principal names are compared without case, as Entra ID does.
        Some(Owner::User(name)) => {
            stands.is_none_or(|stands| stands.to_lowercase() != name.to_lowercase())
        }
    }
}

/// Who has it; an empty name is nobody.
fn owner(state: &State) -> Option<&str> {
    state.assigned_to.as_deref().filter(|name| !name.is_empty())
}

fn tags_differ(state: &State, change: &Change) -> bool {
    let stands = |tag: &String| state.tags.iter().any(|other| same_tag(tag, other));
    !change.tags_add.iter().all(stands) || change.tags_remove.iter().any(stands)
}

/// The fields in which two changes of one target differ.
pub(super) fn between(one: &Change, other: &Change) -> Vec<Field> {
    let differ = [
        (Field::Status, one.status != other.status),
        (
            Field::Classification,
            one.classification != other.classification,
        ),
        (
            Field::Determination,
            one.determination != other.determination,
        ),
        (Field::AssignedTo, one.assigned_to != other.assigned_to),
        (Field::Comment, one.comment != other.comment),
        (
            Field::Tags,
            (&one.tags_add, &one.tags_remove) != (&other.tags_add, &other.tags_remove),
        ),
    ];
    differ
        .into_iter()
        .filter_map(|(field, differs)| differs.then_some(field))
        .collect()
}

/// From what to what, in words: `status new to resolved, comment added`.
pub(super) fn story(state: &State, change: &Change, fields: &[Field]) -> String {
    let step = |field: &Field| {
        let (from, to) = match field {
            Field::Status => (state.status.as_deref(), change.status.map(Status::as_str)),
            Field::Classification => (
                state.classification.as_deref(),
                change.classification.map(Classification::as_str),
            ),
            Field::Determination => (
                state.determination.as_deref(),
                change.determination.map(Determination::as_str),
            ),
            Field::AssignedTo => (owner(state), change.assigned_to.as_ref().map(Owner::as_str)),
            Field::Comment => return "comment added".to_owned(),
            Field::Tags => {
                let add = change.tags_add.iter().map(|tag| format!("+{tag}"));
                let remove = change.tags_remove.iter().map(|tag| format!("-{tag}"));
                let tags: Vec<String> = add.chain(remove).collect();
                return format!("tags {}", tags.join(" "));
            }
        };
        format!(
            "{field} {} to {}",
            word(from.unwrap_or("none")),
            to.unwrap_or("none")
        )
    };
    let steps: Vec<String> = fields.iter().map(step).collect();
    steps.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing() -> State {
        State {
            status: Some("Active".to_owned()),
            classification: Some("unknown".to_owned()),
            determination: Some("CompromisedUser".to_owned()),
            assigned_to: Some("Ann@contoso.com".to_owned()),
            tags: vec!["VIP".to_owned()],
            ..State::default()
        }
    }

    fn between_now_and(change: &Change) -> Vec<Field> {
        gap(&standing(), change, &Marker::of("b", change))
    }

    #[test]
    fn what_already_stands_is_no_gap_whatever_its_spelling() {
        let change = Change {
            status: Some(Status::Active),
            determination: Some(Determination::CompromisedAccount),
            assigned_to: Some(Owner::User("ann@Contoso.com".to_owned())),
            tags_add: vec!["vip".to_owned()],
            tags_remove: vec!["phish".to_owned()],
            ..Change::default()
        };
        assert_eq!(between_now_and(&change), []);
    }

    #[test]
    fn every_field_that_differs_is_named_and_told() {
        let change = Change {
            status: Some(Status::Resolved),
            classification: Some(Classification::TruePositive),
            determination: Some(Determination::Malware),
            assigned_to: Some(Owner::Nobody),
            comment: Some("done".to_owned()),
            tags_add: vec!["closed".to_owned()],
            tags_remove: vec!["vip".to_owned()],
        };
        let fields = between_now_and(&change);
        assert_eq!(fields.len(), 6);
        assert_eq!(between(&change, &Change::default()), fields);
        insta::assert_snapshot!(
            story(&standing(), &change, &fields),
            @"status Active to resolved, classification unknown to truePositive, determination CompromisedUser to malware, assigned_to Ann@contoso.com to none, comment added, tags +closed -vip"
        );
    }

    #[test]
    fn a_marked_comment_closes_the_gap() {
        let change = Change {
            comment: Some("done".to_owned()),
            ..Change::default()
        };
        let marker = Marker::of("b", &change);
        let mut state = standing();
        assert_eq!(gap(&state, &change, &marker), [Field::Comment]);
        state.comments.push(marker.sign("done"));
        assert_eq!(gap(&state, &change, &marker), []);
    }
}
