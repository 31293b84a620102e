//! What lies between a state and a change: which fields still differ. Asked
//! before a write (is there anything to do?) and after it (is it visible?).

use crate::triage::field::{Field, VERDICT, VerdictField};
use crate::triage::form::same_tag;
use crate::triage::marker::Marker;
use crate::triage::{Change, State};

/// The fields in which the state is not yet what the change asks for.
pub(super) fn diff(state: &State, change: &Change, marker: &Marker) -> Vec<Field> {
    let comment = change.comment.is_some() && !marker.stands(&state.comments);
    let tag_stands = |tag: &String| state.tags.iter().any(|other| same_tag(tag, other));
    let tags = !change.tags_add.iter().all(tag_stands) || change.tags_remove.iter().any(tag_stands);
    differing(|known| known.differs(state, change), comment, tags)
}

/// The fields in which two changes of one target differ.
pub(super) fn between(one: &Change, other: &Change) -> Vec<Field> {
    differing(
        |known| known.wanted(one) != known.wanted(other),
        one.comment != other.comment,
        (&one.tags_add, &one.tags_remove) != (&other.tags_add, &other.tags_remove),
    )
}

fn differing(differs: impl Fn(&VerdictField) -> bool, comment: bool, tags: bool) -> Vec<Field> {
    let words = VERDICT.iter().filter(|known| differs(known));
    let comment = comment.then_some(Field::Comment);
    let tags = tags.then_some(Field::Tags);
    words
        .map(|known| known.field)
        .chain(comment)
        .chain(tags)
        .collect()
}

/// From what to what, in words: `status new to resolved, comment added`.
pub(super) fn describe(state: &State, change: &Change, fields: &[Field]) -> String {
    let step = |field: &Field| match field.of_verdict() {
        Some(known) => known.describe(state, change),
        None if *field == Field::Comment => "comment added".to_owned(),
        None => {
            let add = change.tags_add.iter().map(|tag| format!("+{tag}"));
            let remove = change.tags_remove.iter().map(|tag| format!("-{tag}"));
            let tags: Vec<String> = add.chain(remove).collect();
            format!("tags {}", tags.join(" "))
        }
    };
    let steps: Vec<String> = fields.iter().map(step).collect();
    steps.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::Owner;
    use crate::triage::vocabulary::{Classification, Determination, Status};

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
        diff(&standing(), change, &Marker::of("b", change))
    }

    #[test]
    fn what_already_stands_is_no_difference_whatever_its_spelling() {
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
            describe(&standing(), &change, &fields),
            @"status Active to resolved, classification unknown to truePositive, determination CompromisedUser to malware, assigned_to Ann@contoso.com to none, comment added, tags +closed -vip"
        );
    }

    #[test]
    fn a_marked_comment_is_no_difference() {
        let change = Change {
            comment: Some("done".to_owned()),
            ..Change::default()
        };
        let marker = Marker::of("b", &change);
        let mut state = standing();
        assert_eq!(diff(&state, &change, &marker), [Field::Comment]);
        state.comments.push(marker.sign("done"));
        assert_eq!(diff(&state, &change, &marker), []);
    }
}
