//! What the incidents of an action bring about in the alerts of the same action.
//!
//! Which alert belongs to which incident is not known here, and need not be: an
//! alert that has meanwhile become just what was asked of an incident was made
//! so by us, not by a colleague.

use crate::triage::plan::Group;
use crate::triage::vocabulary::{Classification, Determination, Status};
use crate::triage::{Change, Owner, State, Target};
use std::collections::HashMap;

#[derive(Debug)]
pub(super) struct Cascade {
    /// What is asked of incidents.
    asked: Vec<Change>,
    /// How alerts stood before.
    stood: HashMap<Target, State>,
}

impl Cascade {
    /// `None` where nothing reaches an alert: comments and tags stay with their incident.
    pub fn of(incidents: &[&Group]) -> Option<Self> {
        let reaches = |change: &Change| {
            change.status.is_some()
                || change.assigned_to.is_some()
                || change.classification.is_some()
        };
        let mut asked: Vec<Change> = Vec::new();
        for task in incidents.iter().flat_map(|group| &group.tasks) {
            if !task.dry_run && reaches(&task.change) && !asked.contains(&task.change) {
                asked.push(task.change.clone());
            }
        }
        (!asked.is_empty()).then(|| Self {
            asked,
            stood: HashMap::new(),
        })
    }

    /// Notes how an alert stands before any incident is changed.
    pub fn stood(&mut self, target: &Target, state: State) {
        self.stood.insert(target.clone(), state);
    }

    /// How the alert would stand now without us.
    pub fn undone(&self, target: &Target, now: &State) -> State {
        let Some(stood) = self.stood.get(target) else {
            return now.clone();
        };
        let without =
            |now: &Option<String>, stood: &Option<String>, ours: &dyn Fn(&Change) -> bool| {
                let brought = now != stood && self.asked.iter().any(ours);
                if brought { stood.clone() } else { now.clone() }
            };
        let undone = State {
            status: without(&now.status, &stood.status, &|asked| {
                let said = now.status.as_deref().map(Status::spelling);
                said.is_some() && asked.status.map(Status::as_str) == said
            }),
            classification: without(&now.classification, &stood.classification, &|asked| {
                let said = now.classification.as_deref().map(Classification::spelling);
                said.is_some() && asked.classification.map(Classification::as_str) == said
            }),
            determination: without(&now.determination, &stood.determination, &|asked| {
                let said = now.determination.as_deref().map(Determination::spelling);
                said.is_some() && asked.determination.map(Determination::as_str) == said
            }),
            assigned_to: without(&now.assigned_to, &stood.assigned_to, &|asked| match (
                &asked.assigned_to,
                &now.assigned_to,
            ) {
                (Some(Owner::User(name)), Some(said)) => name.eq_ignore_ascii_case(said),
                (Some(Owner::Nobody), None) => true,
                _ => false,
            }),
            ..now.clone()
        };
        let ours = undone != *now;
        State {
            updated: if ours {
                stood.updated.clone()
            } else {
                undone.updated
            },
            ..undone
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::plan::Plan;
    use crate::triage::tests::tenant::row;
    use crate::triage::{Form, Subject};

    fn asked(fields: &[(&str, &str)]) -> Option<Cascade> {
        let form = Form::parse(
            Subject::Incident,
            ["contoso".to_owned()].into(),
            [("account", "contoso")],
        );
        let plan = Plan::of(&form.unwrap(), &[row(&[&[("id", "7")], fields].concat())]);
        Cascade::of(&plan.groups.iter().collect::<Vec<_>>())
    }

    fn state(status: &str, owner: Option<&str>) -> State {
        State {
            status: Some(status.to_owned()),
            assigned_to: owner.map(str::to_owned),
            ..State::default()
        }
    }

    fn alert() -> Target {
        Target {
            subject: Subject::Alert,
            id: "da1".to_owned(),
        }
    }

    #[test]
    fn comments_tags_and_rehearsals_reach_no_alert() {
        assert!(asked(&[("defender_comment", "x"), ("defender_tags_add", "y")]).is_none());
        assert!(asked(&[("defender_status", "resolved"), ("defender_dry_run", "1")]).is_none());
        assert!(asked(&[("defender_status", "resolved")]).is_some());
    }

    #[test]
    fn what_we_brought_about_is_told_from_what_a_colleague_did() {
        let mut cascade = asked(&[("defender_status", "resolved")]).unwrap();
        cascade.stood(&alert(), state("new", None));
        let undone = cascade.undone(&alert(), &state("Resolved", Some("you@contoso.com")));
        assert_eq!(undone, state("new", Some("you@contoso.com")));
        let theirs = state("inProgress", None);
        assert_eq!(cascade.undone(&alert(), &theirs), theirs);
    }

    #[test]
    fn an_alert_nobody_looked_at_before_is_taken_as_it_is() {
        let cascade = asked(&[("defender_status", "resolved")]).unwrap();
        let now = state("resolved", None);
        assert_eq!(cascade.undone(&alert(), &now), now);
    }
}
