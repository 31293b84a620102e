//! What the incidents of a run bring about in its alerts.
//!
//! An alert was made by us what an incident has become, not by a colleague, if
//! the run changed just that of the incident Defender names with the alert; of
//! an alert with none named nothing is claimed. How it stood before is noted
//! before the first incident is changed; for an alert that was not looked at
//! then, because it is one of many or came with later rows, its row says so, if
//! Defender updated the alert no earlier than the incident.

use crate::triage::apply::recorder::Settled;
use crate::triage::diff::Field;
use crate::triage::outcome::Outcome;
use crate::triage::plan::{Group, Task};
use crate::triage::row_snapshot::Seen;
use crate::triage::vocabulary::{Classification, Determination, NONE, Status, said};
use crate::triage::{Change, Owner, State, Subject};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// What the incidents of a run's earlier rows left behind, account by account:
/// to be handed on to its later rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake(BTreeMap<String, Cascade>);

impl Wake {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::triage) fn take(&mut self, account: &str) -> Cascade {
        self.0.remove(account).unwrap_or_default()
    }

    pub(in crate::triage) fn keep(&mut self, account: &str, cascade: Cascade) {
        if cascade.reaches() {
            self.0.insert(account.to_owned(), cascade);
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::triage) struct Cascade {
    /// What was changed of incidents.
    done: Vec<Done>,
    /// How alerts stood before, by their ids.
    stood: BTreeMap<String, State>,
    /// Whether alerts were looked at. Once is enough: it costs a call for each.
    looked: bool,
}

/// What reaches the alerts of incidents; comments and tags do not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Done {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classification: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    determination: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assigned_to: Option<String>,
    /// The incidents it was done to, each with the first last update Defender
    /// gave it for that.
    incidents: BTreeMap<String, Option<Timestamp>>,
}

/// Defender may stamp an alert a little before its incident.
const BEFORE: SignedDuration = SignedDuration::from_secs(5);

impl Done {
    /// As much of a change as was carried out.
    fn of(change: &Change, fields: &[Field]) -> Option<Self> {
        let did = |part: Part| fields.contains(&part.field());
        let word = |part, word: Option<&str>| word.filter(|_| did(part)).map(str::to_owned);
        let owner = change.assigned_to.as_ref();
        let done = Self {
            status: word(Part::Status, change.status.map(Status::as_str)),
            classification: word(
                Part::Classification,
                change.classification.map(Classification::as_str),
            ),
            determination: word(
                Part::Determination,
                change.determination.map(Determination::as_str),
            ),
            assigned_to: word(Part::Owner, owner.map(Owner::as_str)),
            incidents: BTreeMap::new(),
        };
        (done != Self::default()).then_some(done)
    }

    fn is_same(&self, other: &Self) -> bool {
        let same = |part| self.wish(part) == other.wish(part);
        Part::ALL.into_iter().all(same)
    }

    fn wish(&self, part: Part) -> Option<&str> {
        let wish = match part {
            Part::Status => &self.status,
            Part::Classification => &self.classification,
            Part::Determination => &self.determination,
            Part::Owner => &self.assigned_to,
        };
        wish.as_deref()
    }
}

/// What an incident hands on to its alerts.
#[derive(Debug, Clone, Copy)]
enum Part {
    Status,
    Classification,
    Determination,
    Owner,
}

impl Part {
    const ALL: [Self; 4] = [
        Self::Status,
        Self::Classification,
        Self::Determination,
        Self::Owner,
    ];

    const fn field(self) -> Field {
        match self {
            Self::Status => Field::Status,
            Self::Classification => Field::Classification,
            Self::Determination => Field::Determination,
            Self::Owner => Field::AssignedTo,
        }
    }

    const fn of(self, state: &mut State) -> &mut Option<String> {
        match self {
            Self::Status => &mut state.status,
            Self::Classification => &mut state.classification,
            Self::Determination => &mut state.determination,
            Self::Owner => &mut state.assigned_to,
        }
    }

    fn spelled(self, word: Option<&str>) -> &str {
        match self {
            Self::Status => said(word, Status::spelling),
            Self::Classification => said(word, Classification::spelling),
            Self::Determination => said(word, Determination::spelling),
            Self::Owner => said(word, |owner| owner),
        }
    }
}

impl Cascade {
    /// Whether anything that is asked of these incidents would reach an alert.
    pub fn would_reach(incidents: &[&Group]) -> bool {
        let mut tasks = incidents.iter().flat_map(|group| &group.tasks);
        let all = Part::ALL.map(Part::field);
        tasks.any(|task| !task.dry_run && Done::of(&task.change, &all).is_some())
    }

    /// Whether there is anything an alert could have come from.
    pub fn reaches(&self) -> bool {
        !self.done.is_empty()
    }

    /// Whether it is still to be noted how alerts stand.
    pub fn wants_a_look(&mut self) -> bool {
        !std::mem::replace(&mut self.looked, true)
    }

    /// Notes how an alert stands before any incident is changed.
    pub fn stood(&mut self, alert: &str, state: State) {
        self.stood.insert(alert.to_owned(), state);
    }

    /// Notes which incidents were changed, and when.
    pub fn changed(&mut self, incidents: &[Task], settled: &HashMap<String, Settled>) {
        for task in incidents {
            let settled = settled.get(&task.target.id);
            let updated = settled.filter(|settled| settled.outcome == Outcome::Updated);
            let Some((settled, done)) =
                updated.and_then(|it| Some((it, Done::of(&task.change, &it.changed)?)))
            else {
                continue;
            };
            let seen = settled
                .after
                .as_ref()
                .filter(|_| settled.verified == Some(true));
            let stamp = seen.and_then(State::instant);
            let place = self.done.iter().position(|known| known.is_same(&done));
            let place = place.unwrap_or_else(|| {
                self.done.push(done);
                self.done.len() - 1
            });
            let Some(known) = self.done.get_mut(place) else {
                continue;
            };
            // The alerts of a merged incident may be named with either.
            for id in [&task.target.id].into_iter().chain(&settled.merged_into) {
                let since = known.incidents.entry(id.clone()).or_default();
                *since = [*since, stamp].into_iter().flatten().min();
            }
        }
    }

    /// Keeps what is known of alerts that come again; the others are settled.
    pub fn forget(&mut self, settled: &HashMap<String, Settled>) {
        self.stood.retain(|alert, _| {
            settled
                .get(alert)
                .is_none_or(|settled| settled.outcome == Outcome::Deferred)
        });
    }

    /// How the alert would stand now without us.
    pub fn undone(&self, task: &Task, now: &State) -> State {
        if task.target.subject != Subject::Alert {
            return now.clone();
        }
        let Some(incident) = &now.incident else {
            return now.clone();
        };
        let known = self.stood.get(&task.target.id);
        let mut undone = now.clone();
        let mut ours = false;
        for part in Part::ALL {
            let place = part.of(&mut undone);
            let stands = part.spelled(place.as_deref());
            let mut done = self.done.iter().filter_map(|done| {
                let wish = done.wish(part)?;
                let since = done.incidents.get(incident)?;
                wish.eq_ignore_ascii_case(stands).then_some(*since)
            });
            let before = match known {
                Some(stood) => done.next().map(|_| part.of(&mut stood.clone()).take()),
                None => done.find_map(|since| shown(task, now, since?, part)),
            };
            if let Some(before) = before
                && !part.spelled(before.as_deref()).eq_ignore_ascii_case(stands)
            {
                *place = before;
                ours = true;
            }
        }
        if ours && let Some(stood) = known {
            undone.updated.clone_from(&stood.updated);
        }
        undone
    }
}

/// What had to stand in the alert, or else the newest of its rows showed before
/// its last update, if that came with the incident's or later.
fn shown(task: &Task, now: &State, since: Timestamp, part: Part) -> Option<Option<String>> {
    let updated = now.instant()?;
    if updated < since.checked_sub(BEFORE).ok()? {
        return None;
    }
    let rows = || task.asked.iter().map(|(_, seen)| seen);
    let before = |seen: &&Seen| seen.instant().is_some_and(|shown| shown < updated);
    let newest = || rows().filter(before).max_by_key(|seen| seen.instant());
    let expected = rows().find_map(|seen| seen.expects(part.field()));
    let word = expected.or_else(|| newest()?.showed(part.field()))?;
    Some((part.spelled(Some(word)) != NONE).then(|| word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::Form;
    use crate::triage::plan::Plan;
    use crate::triage::tests::tenant::row;

    fn plan(subject: Subject, fields: &[(&str, &str)]) -> Plan {
        let accounts = ["contoso".to_owned()].into();
        let form = Form::parse(subject, accounts, [("account", "contoso")]);
        Plan::of(&form.unwrap(), &[row(fields)])
    }

    fn would_reach(fields: &[(&str, &str)]) -> bool {
        let plan = plan(Subject::Incident, &[&[("id", "7")], fields].concat());
        Cascade::would_reach(&plan.groups.iter().collect::<Vec<_>>())
    }

    /// Incident 7 was updated at that time of day, as asked.
    fn changed(fields: &[(&str, &str)], at: &str) -> Cascade {
        ended(fields, at, Outcome::Updated, &Part::ALL.map(Part::field))
    }

    /// What was asked of incident 7 ended so, and these fields of it changed.
    fn ended(fields: &[(&str, &str)], at: &str, outcome: Outcome, of_it: &[Field]) -> Cascade {
        let plan = plan(Subject::Incident, &[&[("id", "7")], fields].concat());
        let mut cascade = Cascade::default();
        let settled = Settled {
            changed: of_it.to_vec(),
            verified: Some(true),
            after: Some(State {
                updated: Some(format!("2026-11-21T{at}Z")),
                ..State::default()
            }),
            ..Settled::new(outcome, "")
        };
        let settled = HashMap::from([("7".to_owned(), settled)]);
        cascade.changed(&plan.groups[0].tasks, &settled);
        cascade
    }

    fn state(status: &str, owner: Option<&str>) -> State {
        State {
            status: Some(status.to_owned()),
            assigned_to: owner.map(str::to_owned),
            incident: Some("7".to_owned()),
            ..State::default()
        }
    }

    /// What is asked of alert da1, whose row shows this besides.
    fn alert(fields: &[(&str, &str)]) -> Task {
        let wish = [("id", "da1"), ("defender_status", "resolved")];
        let mut plan = plan(Subject::Alert, &[&wish, fields].concat());
        plan.groups.remove(0).tasks.remove(0)
    }

    #[test]
    fn comments_tags_and_rehearsals_reach_no_alert() {
        let resolved = ("defender_status", "resolved");
        assert!(!would_reach(&[
            ("defender_comment", "x"),
            ("defender_tags_add", "y")
        ]));
        assert!(!would_reach(&[resolved, ("defender_dry_run", "1")]));
        assert!(would_reach(&[resolved]));
    }

    #[test]
    fn what_we_brought_about_is_told_from_what_a_colleague_did() {
        let mut cascade = changed(&[("defender_status", "resolved")], "10:00:00");
        cascade.stood("da1", state("new", None));
        let undone = cascade.undone(&alert(&[]), &state("Resolved", Some("you@contoso.com")));
        assert_eq!(undone, state("new", Some("you@contoso.com")));
        let theirs = state("inProgress", None);
        assert_eq!(cascade.undone(&alert(&[]), &theirs), theirs);
    }

    #[test]
    fn only_what_was_changed_of_the_alerts_own_incident_is_ours() {
        let wish = [
            ("defender_status", "resolved"),
            ("defender_assigned_to", "ann@contoso.com"),
        ];
        let now = state("resolved", Some("ann@contoso.com"));
        let undone = |mut cascade: Cascade, now: &State| {
            cascade.stood("da1", state("new", None));
            cascade.undone(&alert(&[]), now)
        };
        let status = ended(&wish, "10:00:00", Outcome::Updated, &[Field::Status]);
        assert_eq!(
            undone(status.clone(), &now),
            state("new", Some("ann@contoso.com"))
        );
        for incident in [Some("99"), Some("77"), Some(""), None] {
            let now = State {
                incident: incident.map(str::to_owned),
                ..now.clone()
            };
            assert_eq!(undone(status.clone(), &now), now);
        }
        for outcome in Outcome::ALL {
            let cascade = ended(&wish, "10:00:00", outcome, &[Field::Status]);
            let ours = outcome == Outcome::Updated;
            assert_eq!(undone(cascade, &now) != now, ours, "{outcome}");
        }
        let nothing = ended(&wish, "10:00:00", Outcome::Updated, &[Field::Comment]);
        assert!(!nothing.reaches());
    }

    #[test]
    fn an_alert_of_which_nothing_is_known_is_taken_as_it_is() {
        let cascade = changed(&[("defender_status", "resolved")], "10:00:00");
        let now = state("resolved", None);
        assert_eq!(cascade.undone(&alert(&[]), &now), now);
    }

    #[test]
    fn an_alert_nobody_looked_at_before_stood_as_its_row_shows_it() {
        let cascade = changed(&[("defender_status", "resolved")], "10:00:00");
        let row = |at: &str| {
            let at = format!("2026-11-21T{at}Z");
            alert(&[("status", "InProgress"), ("lastUpdateDateTime", &at)])
        };
        let now = |at: &str| State {
            updated: Some(format!("2026-11-21T{at}Z")),
            ..state("resolved", Some("ann@contoso.com"))
        };
        for (shown, updated, was) in [
            ("09:00:00", "10:00:01", "inProgress"),
            // A colleague resolved it before the incident was.
            ("09:00:00", "09:30:00", "resolved"),
            // Defender may stamp the alert first.
            ("09:00:00", "09:59:59", "inProgress"),
            // The row knows of no earlier state.
            ("10:00:01", "10:00:01", "resolved"),
        ] {
            let undone = cascade.undone(&row(shown), &now(updated));
            assert_eq!(undone.status.as_deref(), Some(was), "{shown} {updated}");
            assert_eq!(undone.assigned_to, now(updated).assigned_to);
        }
    }

    #[test]
    fn where_a_row_says_what_had_to_stand_that_stood() {
        let owner = [("defender_assigned_to", "ann@contoso.com")];
        let cascade = changed(&owner, "10:00:00");
        let now = State {
            updated: Some("2026-11-21T10:00:00.5Z".to_owned()),
            ..state("new", Some("ann@contoso.com"))
        };
        for (expected, was) in [("kim@contoso.com", Some("kim@contoso.com")), ("none", None)] {
            let alert = alert(&[("defender_expected_assigned_to", expected)]);
            assert_eq!(cascade.undone(&alert, &now).assigned_to.as_deref(), was);
        }
    }

    #[test]
    fn it_is_the_same_after_the_way_to_the_endpoint_and_back() {
        let mut cascade = changed(&[("defender_assigned_to", "none")], "10:00:00");
        let stood = State {
            incident: None,
            ..state("new", Some("ann@contoso.com"))
        };
        cascade.stood("da1", stood);
        let mut wake = Wake::default();
        wake.keep("contoso", cascade);
        let json = serde_json::to_string(&wake).unwrap();
        assert_eq!(serde_json::from_str::<Wake>(&json).unwrap(), wake);
        assert!(wake.take("fabrikam") == Cascade::default() && !wake.is_empty());
    }
}
