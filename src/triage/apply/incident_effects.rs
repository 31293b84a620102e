//! What the incidents of a run bring about in its alerts.
//!
//! An alert was made by us what an incident has become, not by a colleague, if
//! the run changed just that of the incident Defender names with the alert; of
//! an alert with none named nothing is claimed. How it stood before is noted
//! before the first incident is changed; for an alert that was not looked at
//! then, because it is one of many or came with later rows, its row says so.
//!
//! A colleague may have done the same between that and our write, and Defender
//! keeps no author. Ours is what Defender says was changed once our write had
//! begun, by its own clock:
//!
//! * **resolved**: by the time of the resolution;
//! * **anything else**: by the alert's last update, which evidence and other
//!   changes move too. Hence nothing else in the alert may have moved, and either
//!   its incident was not updated between the look and our write, or it is the
//!   only thing that moved, and did so while we wrote.
//!
//! The rest is a colleague's, or cannot be told; neither is recorded as ours. Who
//! is at an alert in the very seconds of our write cannot be told apart from it.

use crate::triage::apply::recorder::{TargetOutcome, WriteSpan};
use crate::triage::field::{Field, VERDICT, VerdictField, is_same, names};
use crate::triage::outcome::Outcome;
use crate::triage::plan::{Group, Task};
use crate::triage::row_snapshot::RowSnapshot;
use crate::triage::vocabulary::{NONE, Status};
use crate::triage::{Change, State, Subject};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// What the incidents of a run's earlier rows left behind, account by account:
/// to be handed on to its later rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarryOver(BTreeMap<String, IncidentEffects>);

impl CarryOver {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::triage) fn take(&mut self, account: &str) -> IncidentEffects {
        self.0.remove(account).unwrap_or_default()
    }

    pub(in crate::triage) fn keep(&mut self, account: &str, effects: IncidentEffects) {
        if effects.reaches() {
            self.0.insert(account.to_owned(), effects);
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::triage) struct IncidentEffects {
    /// What was changed of incidents.
    done: Vec<IncidentChange>,
    /// How alerts stood before, by their ids.
    stood: BTreeMap<String, Stood>,
    /// Whether alerts were looked at. Once is enough: it costs a call for each.
    looked: bool,
}

/// What reaches the alerts of incidents; comments and tags do not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct IncidentChange {
    wanted: BTreeMap<Field, String>,
    /// The incidents it was done to.
    incidents: BTreeMap<String, When>,
}

/// When something was done to an incident, all by Defender's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct When {
    /// Its last update before.
    before: Option<Timestamp>,
    /// Our write began no earlier.
    begun: Option<Timestamp>,
    /// Its last update afterwards.
    stamp: Option<Timestamp>,
    /// The write was seen, or given up.
    ended: Option<Timestamp>,
}

impl When {
    fn of(ended: &TargetOutcome) -> Self {
        let before = ended.before.as_ref().filter(|state| !state.listed);
        let verified = ended.verified == Some(true);
        let after = ended.after.as_ref().filter(|_| verified);
        Self {
            before: before.and_then(State::instant),
            begun: ended.written.map(|WriteSpan { begun, .. }| begun),
            stamp: after.and_then(State::instant),
            ended: ended.written.map(|WriteSpan { ended, .. }| ended),
        }
    }

    /// Both, where the same was done twice; of what is not known of one, nothing
    /// is known.
    fn and(self, other: Self) -> Self {
        let both = |one: Option<Timestamp>, other| one.zip(other);
        Self {
            before: both(self.before, other.before).map(|(one, other)| one.max(other)),
            begun: both(self.begun, other.begun).map(|(one, other)| one.min(other)),
            stamp: both(self.stamp, other.stamp).map(|(one, other)| one.min(other)),
            ended: both(self.ended, other.ended).map(|(one, other)| one.max(other)),
        }
    }
}

/// How an alert stood when it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stood {
    state: State,
    comments: usize,
    /// No later than the look, by Defender's clock.
    at: Option<Timestamp>,
}

/// Defender may stamp an alert a little before its incident.
const BEFORE: SignedDuration = SignedDuration::from_secs(5);

/// Defender may change an alert a little after its incident.
const AFTER: SignedDuration = SignedDuration::from_secs(10);

impl IncidentChange {
    /// As much of a change as was carried out.
    fn of(change: &Change, fields: &[Field]) -> Option<Self> {
        let carried_out = VERDICT.iter().filter(|known| fields.contains(&known.field));
        let wanted: BTreeMap<Field, String> = carried_out
            .filter_map(|known| Some((known.field, known.wanted(change)?.to_owned())))
            .collect();
        (!wanted.is_empty()).then(|| Self {
            wanted,
            incidents: BTreeMap::new(),
        })
    }
}

impl IncidentEffects {
    /// Whether anything that is asked of these incidents would reach an alert.
    pub fn would_reach(incidents: &[&Group]) -> bool {
        let mut tasks = incidents.iter().flat_map(|group| &group.tasks);
        tasks.any(|task| !task.dry_run && reaches_alerts(&task.change))
    }

    /// Whether there is anything an alert could have come from.
    pub fn reaches(&self) -> bool {
        !self.done.is_empty()
    }

    /// Whether it is still to be noted how alerts stand.
    pub fn wants_a_look(&mut self) -> bool {
        !std::mem::replace(&mut self.looked, true)
    }

    /// Notes how an alert stands before any incident is changed, and when it was
    /// looked at, by Defender's clock and no later than it was.
    pub fn stood(&mut self, alert: &str, state: State, at: Option<Timestamp>) {
        let stood = Stood {
            comments: state.comments.len(),
            state,
            at,
        };
        self.stood.insert(alert.to_owned(), stood);
    }

    /// Notes which incidents were changed, and when.
    pub fn changed(&mut self, incidents: &[Task], ended: &HashMap<String, TargetOutcome>) {
        for task in incidents {
            let ended = ended.get(&task.target.id);
            let updated = ended.filter(|ended| ended.outcome == Outcome::Updated);
            let Some((ended, done)) =
                updated.and_then(|it| Some((it, IncidentChange::of(&task.change, &it.changed)?)))
            else {
                continue;
            };
            let when = When::of(ended);
            let place = self
                .done
                .iter()
                .position(|known| known.wanted == done.wanted);
            let place = place.unwrap_or_else(|| {
                self.done.push(done);
                self.done.len() - 1
            });
            let Some(known) = self.done.get_mut(place) else {
                continue;
            };
            // The alerts of a merged incident may be named with either.
            for id in [&task.target.id].into_iter().chain(&ended.merged_into) {
                let known = known.incidents.entry(id.clone());
                known
                    .and_modify(|known| *known = known.and(when))
                    .or_insert(when);
            }
        }
    }

    /// Keeps what is known of alerts that come again; the others have ended.
    pub fn forget(&mut self, ended: &HashMap<String, TargetOutcome>) {
        self.stood.retain(|alert, _| {
            ended
                .get(alert)
                .is_none_or(|ended| ended.outcome == Outcome::Deferred)
        });
    }

    /// How the alert would stand now without us.
    pub fn undone(&self, task: &Task, now: &State) -> Undone {
        let mut undone = Undone::nothing(now);
        let Some(incident) = &now.incident else {
            return undone;
        };
        if task.target.subject != Subject::Alert {
            return undone;
        }
        let earlier = match self.stood.get(&task.target.id) {
            Some(stood) => Earlier::looked_at(stood, now),
            None => Earlier::shown(task, now),
        };
        let moves: Vec<_> = VERDICT
            .iter()
            .map(|known| (known, self.moved(known, incident, &earlier, now)))
            .collect();
        let alone = moves.iter().filter(|(_, moved)| moved.is_ours()).count() == 1;
        let others = moves.iter().any(|(_, moved)| matches!(moved, Move::Others));
        let touched = others || earlier.touched;
        for (known, moved) in moves {
            let Move::Ours(was, when) = moved else {
                continue;
            };
            let judged = match (earlier.whose(known, when, now), touched) {
                (Whose::Open { .. }, true) => Whose::Unknown,
                (
                    Whose::Open {
                        quiet,
                        while_writing,
                    },
                    false,
                ) => match quiet || (alone && while_writing) {
                    true => Whose::Ours,
                    false => Whose::Unknown,
                },
                (judged, _) => judged,
            };
            match judged {
                Whose::Ours => {
                    known.set(&mut undone.before, was);
                    undone.before.updated.clone_from(&earlier.updated);
                }
                Whose::Unknown | Whose::Open { .. } => undone.unknown.push(known.field),
                Whose::Colleagues => {}
            }
        }
        undone
    }

    /// What became of a field of the alert since.
    fn moved(&self, known: &VerdictField, incident: &str, earlier: &Earlier, now: &State) -> Move {
        let current = known.current(now);
        let was = earlier.words.get(&known.field);
        let stands = |was: &Option<String>| is_same(known.spelled(was.as_deref()), current);
        if was.is_some_and(stands) {
            return Move::Nothing;
        }
        let done = self.done.iter().filter_map(|done| {
            let wanted = done.wanted.get(&known.field)?;
            let when = done.incidents.get(incident)?;
            is_same(wanted, current).then_some(*when)
        });
        match (done.reduce(When::and), was) {
            (Some(when), Some(was)) => Move::Ours(was.clone(), when),
            (Some(_), None) => Move::Perhaps,
            (None, Some(_)) => Move::Others,
            (None, None) => Move::Nothing,
        }
    }
}

/// Whether Defender hands any of it on to the alerts of an incident.
pub(in crate::triage) fn reaches_alerts(change: &Change) -> bool {
    VERDICT.iter().any(|known| known.wanted(change).is_some())
}

/// How an alert would stand without what the run did to its incident.
pub(in crate::triage) struct Undone {
    pub before: State,
    /// What is as the run's change of the incident makes it, and may as well be
    /// somebody else's doing.
    unknown: Vec<Field>,
}

impl Undone {
    /// All of it stands without us.
    pub fn nothing(now: &State) -> Self {
        Self {
            before: now.clone(),
            unknown: Vec::new(),
        }
    }

    /// What of a change cannot be told, in words.
    pub fn note(&self, change: &Change) -> Option<String> {
        let asked = |field: &&Field| {
            let known = field.of_verdict();
            known.is_some_and(|known| known.wanted(change).is_some())
        };
        let unknown: Vec<Field> = self.unknown.iter().filter(asked).copied().collect();
        let fields = names(&unknown);
        (!unknown.is_empty()).then(|| {
            format!(
                "whether the change of its incident or somebody else set {fields} cannot be told: it counts as somebody else's, and an undo leaves it"
            )
        })
    }
}

/// What became of a field of an alert.
enum Move {
    Nothing,
    /// It was this, and is what we made of the incident.
    Ours(Option<String>, When),
    /// It is what we made of the incident, and may have been so before.
    Perhaps,
    /// It is something else.
    Others,
}

impl Move {
    const fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(..) | Self::Perhaps)
    }
}

/// By whom a field was moved to where our change of the incident moves it.
enum Whose {
    Ours,
    Colleagues,
    /// The times alone do not tell.
    Open {
        /// Nobody was at the incident between the look and our write.
        quiet: bool,
        /// The alert was last changed while we wrote.
        while_writing: bool,
    },
    Unknown,
}

/// What is known of an alert before our write.
struct Earlier {
    /// Left out where it is not known; nothing where it was unset.
    words: BTreeMap<Field, Option<String>>,
    updated: Option<String>,
    /// It stood so, by Defender's clock, at this time or later.
    at: Option<Timestamp>,
    /// Something else of it has moved since.
    touched: bool,
    looked_at: bool,
}

impl Earlier {
    fn looked_at(stood: &Stood, now: &State) -> Self {
        let state = &stood.state;
        Self {
            words: VERDICT
                .iter()
                .map(|known| (known.field, known.said(state).map(str::to_owned)))
                .collect(),
            updated: state.updated.clone(),
            at: stood.at,
            touched: stood.comments != now.comments.len() || state.tags != now.tags,
            looked_at: true,
        }
    }

    /// What had to stand in the alert, or else the newest of its rows showed
    /// before its last update.
    fn shown(task: &Task, now: &State) -> Self {
        let updated = now.instant();
        let rows = || task.asked.iter().map(|(_, snapshot)| snapshot);
        let before = |snapshot: &&RowSnapshot| {
            snapshot
                .instant()
                .is_some_and(|shown| Some(shown) < updated)
        };
        let newest = rows()
            .filter(before)
            .max_by_key(|snapshot| snapshot.instant());
        let expected = |field| rows().find_map(|snapshot| snapshot.expects(field));
        let word = |known: &VerdictField| {
            let word = expected(known.field).or_else(|| newest?.showed(known.field))?;
            let word = (known.spelled(Some(word)) != NONE).then(|| word.to_owned());
            Some((known.field, word))
        };
        let is_expected = VERDICT.iter().any(|known| expected(known.field).is_some());
        Self {
            words: VERDICT.iter().filter_map(word).collect(),
            updated: now.updated.clone(),
            at: newest
                .filter(|_| !is_expected)
                .and_then(RowSnapshot::instant),
            touched: false,
            looked_at: false,
        }
    }

    fn whose(&self, known: &VerdictField, when: When, now: &State) -> Whose {
        let (Some(begun), Some(updated)) = (when.begun, now.instant()) else {
            return Whose::Unknown;
        };
        let updated_then: Option<Timestamp> =
            self.updated.as_deref().and_then(|text| text.parse().ok());
        if updated < begun {
            // It moved, and its last update did not.
            return match self.looked_at && updated_then == Some(updated) {
                true => Whose::Unknown,
                false => Whose::Colleagues,
            };
        }
        // A write may wait for its turn; its answer tells better when it was.
        let earliest = when.stamp.and_then(|stamp| stamp.checked_sub(BEFORE).ok());
        if earliest.is_some_and(|earliest| updated < earliest) {
            return Whose::Unknown;
        }
        let resolved: Option<Timestamp> = now.resolved.as_deref().and_then(|at| at.parse().ok());
        if let (Field::Status, Some(resolved)) = (known.field, resolved)
            && known.current(now) == Status::Resolved.as_str()
        {
            let since = earliest.map_or(begun, |at| at.max(begun));
            return match self.at {
                _ if resolved >= since => Whose::Ours,
                Some(at) if at < resolved && resolved < begun => Whose::Colleagues,
                // Perhaps of an earlier time.
                _ => Whose::Unknown,
            };
        }
        let last = when.ended.and_then(|ended| ended.checked_add(AFTER).ok());
        Whose::Open {
            quiet: when
                .before
                .zip(self.at)
                .is_some_and(|(updated, at)| updated <= at),
            while_writing: last.is_some_and(|last| updated <= last),
        }
    }
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
        IncidentEffects::would_reach(&plan.groups.iter().collect::<Vec<_>>())
    }

    /// Incident 7 was updated at that time of day, as asked.
    fn changed(fields: &[(&str, &str)], at: &str) -> IncidentEffects {
        ended(
            fields,
            at,
            Outcome::Updated,
            &VERDICT.each_ref().map(|known| known.field),
        )
    }

    /// What was asked of incident 7 ended so, and these fields of it changed. It
    /// was last updated at eight before.
    fn ended(
        fields: &[(&str, &str)],
        at: &str,
        outcome: Outcome,
        of_it: &[Field],
    ) -> IncidentEffects {
        let plan = plan(Subject::Incident, &[&[("id", "7")], fields].concat());
        let mut effects = IncidentEffects::default();
        let state = |at: String| State {
            updated: Some(at),
            ..State::default()
        };
        let stamp: Timestamp = day(at).parse().unwrap();
        let ended = TargetOutcome {
            changed: of_it.to_vec(),
            verified: Some(true),
            before: Some(state(day("08:00:00"))),
            after: Some(state(day(at))),
            written: Some(WriteSpan {
                begun: stamp - SignedDuration::from_secs(2),
                ended: stamp + SignedDuration::from_secs(2),
            }),
            ..TargetOutcome::new(outcome, "")
        };
        let ended = HashMap::from([("7".to_owned(), ended)]);
        effects.changed(&plan.groups[0].tasks, &ended);
        effects
    }

    fn day(at: &str) -> String {
        format!("2026-11-21T{at}Z")
    }

    /// As it was updated at ten.
    fn state(status: &str, owner: Option<&str>) -> State {
        State {
            status: Some(status.to_owned()),
            assigned_to: owner.map(str::to_owned),
            incident: Some("7".to_owned()),
            updated: Some(day("10:00:00.5")),
            ..State::default()
        }
    }

    fn resolved(owner: Option<&str>) -> State {
        State {
            resolved: Some(day("10:00:00.5")),
            ..state("Resolved", owner)
        }
    }

    /// Alert da1 was looked at then, and stood so since half past seven.
    fn look(effects: &mut IncidentEffects, at: &str, status: &str, owner: Option<&str>) {
        let stood = State {
            updated: Some(day("07:30:00")),
            ..state(status, owner)
        };
        effects.stood("da1", stood, day(at).parse().ok());
    }

    /// Status and owner without us, and whether any of it cannot be told.
    fn undone(
        effects: &IncidentEffects,
        task: &Task,
        now: &State,
    ) -> (String, Option<String>, bool) {
        let Undone { before, unknown } = effects.undone(task, now);
        let ours = before.updated != now.updated;
        assert!(!ours || before.updated == Some(day("07:30:00")));
        let status = before.status.unwrap();
        (status, before.assigned_to, !unknown.is_empty())
    }

    fn stands(status: &str, owner: Option<&str>) -> (String, Option<String>, bool) {
        (status.to_owned(), owner.map(str::to_owned), false)
    }

    /// What is asked of alert da1, whose row shows this besides.
    fn alert(fields: &[(&str, &str)]) -> Task {
        let wanted = [("id", "da1"), ("defender_status", "resolved")];
        let mut plan = plan(Subject::Alert, &[&wanted, fields].concat());
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

    const ANN: Option<&str> = Some("ann@contoso.com");
    const YOU: Option<&str> = Some("you@contoso.com");

    #[test]
    fn what_we_brought_about_is_told_from_what_a_colleague_did() {
        let mut effects = changed(&[("defender_status", "resolved")], "10:00:00");
        look(&mut effects, "09:00:00", "new", None);
        let ours = undone(&effects, &alert(&[]), &resolved(YOU));
        assert_eq!(ours, stands("new", YOU));
        let theirs = undone(&effects, &alert(&[]), &state("inProgress", None));
        assert_eq!(theirs, stands("inProgress", None));
    }

    #[test]
    fn whoever_was_faster_with_the_same_did_it() {
        let wanted = [
            ("defender_status", "resolved"),
            ("defender_assigned_to", "ann@contoso.com"),
        ];
        let mut effects = changed(&wanted, "10:00:00");
        look(&mut effects, "07:45:00", "new", None);
        // Last update, resolved: how it stood without us, and what cannot be told.
        let same = "Resolved";
        for (updated, at, status, unknown) in [
            ("09:30:00", Some("09:30:00"), same, vec![]),
            // Neither said when it was resolved.
            ("09:30:00", None, same, vec![]),
            // Its evidence grew since, or our owner came.
            ("10:00:01", Some("09:30:00"), same, vec![Field::AssignedTo]),
            // Resolved by us, and assigned by who?
            ("10:00:01", Some("10:00:00"), "new", vec![Field::AssignedTo]),
            // Perhaps it was resolved once before.
            (
                "10:00:01",
                Some("07:00:00"),
                same,
                vec![Field::Status, Field::AssignedTo],
            ),
            (
                "10:00:01",
                None,
                same,
                vec![Field::Status, Field::AssignedTo],
            ),
            // No update says that anything happened.
            (
                "07:30:00",
                None,
                same,
                vec![Field::Status, Field::AssignedTo],
            ),
        ] {
            let now = State {
                updated: Some(day(updated)),
                resolved: at.map(day),
                ..resolved(ANN)
            };
            let undone = effects.undone(&alert(&[]), &now);
            assert_eq!(undone.before.status.as_deref(), Some(status), "{now:?}");
            assert_eq!(undone.before.assigned_to.as_deref(), ANN, "{now:?}");
            assert_eq!(undone.unknown, unknown, "{now:?}");
            let untold = unknown.contains(&Field::Status);
            let note = undone.note(&alert(&[]).change);
            assert_eq!(note.is_some(), untold, "only of what is asked: {note:?}");
        }
    }

    #[test]
    fn without_a_time_of_its_own_a_field_is_ours_where_nobody_else_can_have_been_there() {
        let both = [
            ("defender_classification", "falsePositive"),
            ("defender_determination", "notMalicious"),
        ];
        let owner = [("defender_assigned_to", "ann@contoso.com")];
        for (wanted, looked_at, updated, comments, ours) in [
            // Nobody was at the incident between the look and the write.
            (&both[..], "09:00:00", "10:00:01", 0, true),
            (&owner[..], "09:00:00", "10:00:01", 0, true),
            (&owner[..], "09:00:00", "11:00:00", 0, true),
            // Somebody was: one field alone moved while we wrote.
            (&owner[..], "07:45:00", "10:00:01", 0, true),
            (&owner[..], "07:45:00", "10:00:30", 0, false),
            (&both[..], "07:45:00", "10:00:01", 0, false),
            // Somebody was at the alert.
            (&owner[..], "09:00:00", "10:00:01", 1, false),
            (&both[..], "09:00:00", "09:30:00", 0, false),
            (&owner[..], "09:00:00", "09:30:00", 0, false),
        ] {
            let mut effects = changed(wanted, "10:00:00");
            look(&mut effects, looked_at, "new", None);
            let mut now = State {
                updated: Some(day(updated)),
                comments: vec!["seen".to_owned(); comments],
                ..state("new", None)
            };
            match wanted.len() {
                1 => now.assigned_to = ANN.map(str::to_owned),
                _ => {
                    now.classification = Some("falsePositive".to_owned());
                    now.determination = Some("notMalicious".to_owned());
                }
            }
            let Undone { before, unknown } = effects.undone(&alert(&[]), &now);
            let words = |state: &State| {
                let State {
                    classification,
                    determination,
                    assigned_to,
                    ..
                } = state.clone();
                [classification, determination, assigned_to]
            };
            let case = format!("{wanted:?} {looked_at} {updated} {comments}");
            match ours {
                true => assert_eq!(words(&before), [None, None, None], "{case}"),
                false => assert_eq!(words(&before), words(&now), "{case}"),
            }
            let is_known = ours || updated == "09:30:00";
            assert_eq!(unknown.is_empty(), is_known, "{case}");
        }
    }

    #[test]
    fn where_defender_says_no_time_nothing_is_ours() {
        let wanted = [("defender_status", "resolved")];
        let mut effects = changed(&wanted, "10:00:00");
        look(&mut effects, "09:00:00", "new", None);
        for done in &mut effects.done {
            done.incidents
                .values_mut()
                .for_each(|when| when.begun = None);
        }
        let (status, _, unknown) = undone(&effects, &alert(&[]), &resolved(None));
        assert_eq!((status.as_str(), unknown), ("Resolved", true));
    }

    #[test]
    fn only_what_was_changed_of_the_alerts_own_incident_is_ours() {
        let wanted = [
            ("defender_status", "resolved"),
            ("defender_assigned_to", "ann@contoso.com"),
        ];
        let now = resolved(ANN);
        let undone = |mut effects: IncidentEffects, now: &State| {
            look(&mut effects, "09:00:00", "new", None);
            undone(&effects, &alert(&[]), now)
        };
        let status = ended(&wanted, "10:00:00", Outcome::Updated, &[Field::Status]);
        assert_eq!(undone(status.clone(), &now), stands("new", ANN));
        for incident in [Some("99"), Some("77"), Some(""), None] {
            let now = State {
                incident: incident.map(str::to_owned),
                ..now.clone()
            };
            assert_eq!(undone(status.clone(), &now), stands("Resolved", ANN));
        }
        for outcome in Outcome::ALL {
            let effects = ended(&wanted, "10:00:00", outcome, &[Field::Status]);
            let ours = outcome == Outcome::Updated;
            let undone = undone(effects, &now);
            assert_eq!(undone != stands("Resolved", ANN), ours, "{outcome}");
        }
        let nothing = ended(&wanted, "10:00:00", Outcome::Updated, &[Field::Comment]);
        assert!(!nothing.reaches());
    }

    #[test]
    fn an_alert_of_which_nothing_is_known_is_taken_as_it_is() {
        let effects = changed(&[("defender_status", "resolved")], "10:00:00");
        let undone = undone(&effects, &alert(&[]), &resolved(None));
        assert_eq!(undone, stands("Resolved", None));
    }

    #[test]
    fn an_alert_nobody_looked_at_before_stood_as_its_row_shows_it() {
        let effects = changed(&[("defender_status", "resolved")], "10:00:00");
        let row = |at: &str| {
            let at = day(at);
            alert(&[("status", "InProgress"), ("lastUpdateDateTime", &at)])
        };
        let now = |at: &str| State {
            updated: Some(day(at)),
            ..state("resolved", ANN)
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
            let before = effects.undone(&row(shown), &now(updated)).before;
            assert_eq!(before.status.as_deref(), Some(was), "{shown} {updated}");
            assert_eq!(before.assigned_to, now(updated).assigned_to);
        }
    }

    #[test]
    fn where_a_row_says_what_had_to_stand_that_stood() {
        let owner = [("defender_assigned_to", "ann@contoso.com")];
        let effects = changed(&owner, "10:00:00");
        let now = state("new", ANN);
        for (expected, was) in [("kim@contoso.com", Some("kim@contoso.com")), ("none", None)] {
            let alert = alert(&[("defender_expected_assigned_to", expected)]);
            let before = effects.undone(&alert, &now).before;
            assert_eq!(before.assigned_to.as_deref(), was);
        }
    }

    #[test]
    fn it_is_the_same_after_the_way_to_the_endpoint_and_back() {
        let mut effects = changed(&[("defender_assigned_to", "none")], "10:00:00");
        let stood = State {
            incident: None,
            ..state("new", Some("ann@contoso.com"))
        };
        effects.stood("da1", stood, day("09:00:00").parse().ok());
        let mut carry_over = CarryOver::default();
        carry_over.keep("contoso", effects);
        let json = serde_json::to_string(&carry_over).unwrap();
        assert_eq!(
            serde_json::from_str::<CarryOver>(&json).unwrap(),
            carry_over
        );
        assert!(
            carry_over.take("fabrikam") == IncidentEffects::default() && !carry_over.is_empty()
        );
    }
}
