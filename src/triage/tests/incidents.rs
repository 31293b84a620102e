//! Incidents: what they bring about in their alerts, and where merged ones lead.

use super::came_back;
use crate::triage::field::Field;
use crate::triage::tests::tenant::{Call, Happened, Pages, Temper, Tenant, row};
use crate::triage::{CarryOver, Outcome, Row, State, Subject};
use std::rc::Rc;

/// An incident and its alerts, each alert `new` and nobody's.
fn story(alerts: &[&str]) -> Rc<Tenant> {
    let tenant = Tenant::with(alerts.iter().map(|id| (*id, Temper::Kind)));
    let active = State {
        status: Some("active".to_owned()),
        ..State::default()
    };
    tenant.put("7", Temper::Kind, active);
    let of = alerts.iter().map(|id| ("7".to_owned(), (*id).to_owned()));
    tenant.alerts.borrow_mut().extend(of);
    tenant
}

const INCIDENT: [(&str, &str); 2] = [("id", "7"), ("defender_subject", "incident")];

#[test]
fn an_incident_goes_first_and_its_alerts_are_not_resolved_twice() {
    let tenant = story(&["da1", "da2"]);
    let parameters = [("status", "resolved")];
    let call = Call::new(Subject::Alert, &tenant, &parameters);
    let rows = [row(&[("id", "da1")]), row(&[("id", "da2")]), row(&INCIDENT)];
    let (summary, entries) = call.run(&rows).unwrap();
    assert_eq!(
        summary.rows,
        [Outcome::Unchanged, Outcome::Unchanged, Outcome::Updated]
    );
    let log = tenant.log.borrow();
    let wrote = log
        .iter()
        .filter(|happened| matches!(happened, Happened::Wrote(_)));
    assert_eq!(
        wrote.collect::<Vec<_>>(),
        [&Happened::Wrote(vec!["7".to_owned()])]
    );
    // What undoing it, and recognising its event, need.
    let alert = entries.iter().find(|entry| entry.row == 1).unwrap();
    let status = |state: &Option<State>| state.as_ref().unwrap().status.clone();
    assert_eq!(
        (alert.subject, status(&alert.before), status(&alert.after)),
        (Subject::Alert, Some("new".into()), Some("resolved".into()))
    );
    assert_eq!(
        alert.after.as_ref().unwrap().updated,
        tenant.state("da1").updated
    );
    assert_eq!(
        alert.message,
        "the change of its incident set it: status new to resolved"
    );
    let incident = entries.iter().find(|entry| entry.row == 3).unwrap();
    assert_eq!(incident.subject, Subject::Incident);
}

#[test]
fn an_alert_of_a_resolved_incident_is_sent_only_what_it_still_lacks() {
    let tenant = story(&["da1"]);
    let parameters = [
        ("status", "resolved"),
        ("classification", "truePositive"),
        ("determination", "malware"),
    ];
    let call = Call::new(Subject::Incident, &tenant, &parameters);
    let alert = [("id", "da1"), ("defender_subject", "alert")];
    let (summary, entries) = call.run(&[row(&alert), row(&[("id", "7")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Updated; 2]);
    let sent = tenant.sent.borrow();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].status.unwrap().as_str(), "resolved");
    assert_eq!(sent[1].status, None);
    assert!(sent[1].classification.is_some() && sent[1].determination.is_some());
    let alert = entries.iter().find(|entry| entry.row == 1).unwrap();
    assert!(
        alert.message.starts_with("status new to resolved, "),
        "{}",
        alert.message
    );
    assert_eq!(alert.changed.len(), 3);
}

#[test]
fn what_our_incident_did_to_an_alert_is_no_colleague_who_was_faster() {
    let tenant = story(&["da1", "da2"]);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "inProgress")]);
    let resolved = row(&[INCIDENT.as_slice(), &[("defender_status", "resolved")]].concat());
    let ours = came_back(&tenant, "da1");
    let theirs = row(&[
        ("id", "da2"),
        ("status", "resolved"),
        ("lastUpdateDateTime", "2026-11-20T00:00:00Z"),
    ]);
    let (summary, _) = call.run(&[ours, theirs, resolved]).unwrap();
    assert_eq!(
        summary.rows,
        [Outcome::Updated, Outcome::Conflict, Outcome::Updated]
    );
    assert_eq!(tenant.state("da1").status.as_deref(), Some("inProgress"));
}

#[test]
fn what_an_incident_did_to_an_alert_is_noted_also_where_the_rest_was_refused() {
    let tenant = story(&["da1"]);
    let state = tenant.state("da1");
    tenant.put("da1", Temper::ForbidsWrite, state);
    let parameters = [("status", "resolved"), ("comment", "done")];
    let call = Call::new(Subject::Incident, &tenant, &parameters);
    let alert = row(&[("id", "da1"), ("defender_subject", "alert")]);
    let (summary, entries) = call.run(&[alert, row(&[("id", "7")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Forbidden, Outcome::Updated]);
    let alert = entries.iter().find(|entry| entry.row == 1).unwrap();
    assert_eq!(alert.changed, [Field::Status]);
    assert!(
        alert
            .message
            .ends_with("changed: status new to resolved; not changed: comment"),
        "{}",
        alert.message
    );
}

/// Runs these rows after others, with what those left behind; what changed of the alerts, by
/// what stood before.
fn later(
    call: &Call,
    rows: &[Row],
    carry_over: &mut CarryOver,
) -> Vec<(Outcome, Vec<Field>, Option<String>)> {
    let (_, entries) = call.run_on(rows, Pages::default(), carry_over).unwrap();
    let alerts = entries.into_iter().filter(|e| e.subject == Subject::Alert);
    let of = |entry: crate::triage::Entry| {
        let before = entry.before.and_then(|state| state.status);
        (entry.outcome, entry.changed, before)
    };
    alerts.map(of).collect()
}

#[test]
fn what_a_colleague_did_while_the_incident_was_not_updated_is_not_ours() {
    for (temper, ended) in [
        (Temper::ForbidsWrite, Outcome::Forbidden),
        (Temper::Missing, Outcome::NotFound),
        (Temper::Busy, Outcome::Conflict),
        (Temper::RefusesWrite, Outcome::Invalid),
        (Temper::BreaksOnWrite, Outcome::Failed),
        (Temper::ThrottlesWrite, Outcome::Throttled),
    ] {
        let tenant = story(&["da1", "da2"]);
        let state = tenant.state("7");
        tenant.put("7", temper, state);
        let faster = ("7".to_owned(), vec!["da1".to_owned(), "da2".to_owned()]);
        *tenant.colleague.borrow_mut() = Some(faster);
        let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
        let rows = [
            row(&INCIDENT),
            row(&[("id", "da1")]),
            came_back(&tenant, "da2"),
        ];
        let mut carry_over = CarryOver::default();
        let run = call.run_on(&rows, Pages::default(), &mut carry_over);
        let (summary, entries) = run.unwrap();
        assert_eq!(summary.rows[0], ended);
        assert!(carry_over.is_empty(), "{temper:?}");
        for alert in entries.iter().filter(|e| e.subject == Subject::Alert) {
            assert_eq!(alert.outcome, Outcome::Unchanged, "{temper:?}");
            assert_eq!(alert.changed, [], "{temper:?}: {}", alert.message);
            let before = alert.before.as_ref().unwrap();
            assert_eq!(before.status.as_deref(), Some("resolved"));
        }
    }
}

/// What the run asks of an incident, field by field, and the same as a state.
fn same() -> [(Vec<(&'static str, &'static str)>, State); 3] {
    let word = |word: &str| Some(word.to_owned());
    [
        (
            vec![("status", "resolved")],
            State {
                status: word("resolved"),
                ..State::default()
            },
        ),
        (
            vec![
                ("classification", "truePositive"),
                ("determination", "malware"),
            ],
            State {
                classification: word("truePositive"),
                determination: word("malware"),
                ..State::default()
            },
        ),
        (
            vec![("assigned_to", "kim@contoso.com")],
            State {
                assigned_to: word("kim@contoso.com"),
                ..State::default()
            },
        ),
    ]
}

#[test]
fn who_does_the_same_to_an_alert_before_its_incident_is_written_did_it() {
    for (parameters, made) in same() {
        for looked_at in [true, false] {
            let tenant = story(&["da1", "da2"]);
            tenant.hands_on_all.set(true);
            let faster = ("7".to_owned(), vec!["da1".to_owned()]);
            *tenant.colleague.borrow_mut() = Some(faster);
            *tenant.made.borrow_mut() = Some(made.clone());
            let call = Call::new(Subject::Alert, &tenant, &parameters);
            let alerts = ["da1", "da2"].map(|id| {
                let unset = [("classification", "null"), ("determination", "null")];
                let shown = [("status", "new"), ("assignedTo", "null")];
                let state = tenant.state(id);
                let updated = state.updated.as_deref().unwrap_or_default();
                let fields = [("id", id), ("lastUpdateDateTime", updated)];
                row(&[&fields[..], &unset, &shown].concat())
            });
            let mut carry_over = CarryOver::default();
            let mut run = |rows: &[Row]| {
                let run = call.run_on(rows, Pages::default(), &mut carry_over);
                run.unwrap().1
            };
            let entries = match looked_at {
                true => run(&[&alerts[..], &[row(&INCIDENT)]].concat()),
                false => {
                    run(&[row(&INCIDENT)]);
                    run(&alerts)
                }
            };
            let changed = |id: &str| {
                let mut entries = entries.iter();
                let entry = entries.find(|entry| entry.target.as_deref() == Some(id));
                let entry = entry.unwrap();
                assert_eq!(entry.outcome, Outcome::Unchanged, "{}", entry.message);
                entry.changed.len()
            };
            assert_eq!(changed("da1"), 0, "{parameters:?} {looked_at}");
            assert_eq!(
                changed("da2"),
                parameters.len(),
                "{parameters:?} {looked_at}"
            );
        }
    }
}

#[test]
fn what_may_be_a_colleagues_is_not_recorded_as_ours_and_told() {
    for (_, made) in same() {
        let tenant = story(&["da1"]);
        tenant.hands_on_all.set(true);
        tenant.follows.set(true);
        let faster = ("7".to_owned(), vec!["da1".to_owned()]);
        *tenant.colleague.borrow_mut() = Some(faster);
        *tenant.made.borrow_mut() = Some(made.clone());
        let all: Vec<_> = same().into_iter().flat_map(|(asked, _)| asked).collect();
        let call = Call::new(Subject::Alert, &tenant, &all);
        let (_, entries) = call.run(&[row(&[("id", "da1")]), row(&INCIDENT)]).unwrap();
        let alert = entries.iter().find(|entry| entry.row == 1).unwrap();
        assert_eq!(alert.outcome, Outcome::Unchanged);
        // When it was resolved is known; of the rest, which of it moved when is not.
        let ours = match made.status {
            Some(_) => vec![],
            None => vec![Field::Status],
        };
        assert_eq!(alert.changed, ours, "{}", alert.message);
        assert!(
            alert.message.contains("somebody else set") && alert.message.contains("cannot be told"),
            "{}",
            alert.message
        );
    }
}

#[test]
fn what_a_colleague_did_to_an_alert_of_another_incident_is_not_ours() {
    let tenant = story(&["da1", "da2", "da3"]);
    for (place, of) in [(0, Some("99")), (1, None)] {
        match of {
            Some(of) => of.clone_into(&mut tenant.alerts.borrow_mut()[place].0),
            None => drop(tenant.alerts.borrow_mut().remove(place)),
        }
    }
    let faster = ("7".to_owned(), vec!["da1".to_owned(), "da2".to_owned()]);
    *tenant.colleague.borrow_mut() = Some(faster);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let rows = ["da1", "da2", "da3"].map(|id| row(&[("id", id)]));
    let mut carry_over = CarryOver::default();
    let all = [rows.as_slice(), &[row(&INCIDENT)]].concat();
    let theirs = (Outcome::Unchanged, vec![], Some("resolved".to_owned()));
    let ours = (
        Outcome::Unchanged,
        vec![Field::Status],
        Some("new".to_owned()),
    );
    assert_eq!(
        later(&call, &all, &mut carry_over),
        [theirs.clone(), theirs.clone(), ours]
    );
    // Nor is it to later rows of the run.
    assert_eq!(
        later(&call, &rows[..2], &mut carry_over),
        [theirs.clone(), theirs]
    );
}

#[test]
fn what_the_successor_of_a_merged_incident_did_to_an_alert_is_ours() {
    for named in ["7", "34"] {
        let tenant = story(&["da1"]);
        let active = tenant.state("7");
        let merged = State {
            merged_into: Some("34".to_owned()),
            ..active.clone()
        };
        tenant.put("7", Temper::Kind, merged);
        tenant.put("34", Temper::Kind, active);
        // A read names the first, Defender hands on to the alerts of both.
        let mut of = vec![("34".to_owned(), "da1".to_owned())];
        if named == "7" {
            of.insert(0, ("7".to_owned(), "da1".to_owned()));
        }
        *tenant.alerts.borrow_mut() = of;
        let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
        let rows = [row(&[("id", "da1")]), row(&INCIDENT)];
        let ours = (
            Outcome::Unchanged,
            vec![Field::Status],
            Some("new".to_owned()),
        );
        let outcomes = later(&call, &rows, &mut CarryOver::default());
        assert_eq!(outcomes, [ours], "{named}");
    }
}

#[test]
fn what_an_incident_did_is_known_to_later_rows_of_the_run() {
    let tenant = story(&["da1", "da2"]);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let alert = |id| row(&[("id", id)]);
    // Only as their rows show it is it known how these stood.
    let (shown, unseen) = (came_back(&tenant, "da1"), alert("da2"));
    let mut carry_over = CarryOver::default();
    assert_eq!(later(&call, &[row(&INCIDENT)], &mut carry_over), []);
    let unchanged = |changed, before: &str| (Outcome::Unchanged, changed, Some(before.to_owned()));
    assert_eq!(
        later(&call, &[shown, unseen], &mut carry_over),
        [
            unchanged(vec![Field::Status], "new"),
            unchanged(vec![], "resolved")
        ]
    );
}

/// Incidents of which each was merged into the next one named.
fn merged(ways: &[(&str, Option<&str>)]) -> Rc<Tenant> {
    let tenant = Tenant::with([]);
    for (id, into) in ways {
        let state = State {
            merged_into: into.map(str::to_owned),
            status: Some(
                if into.is_some() {
                    "redirected"
                } else {
                    "active"
                }
                .to_owned(),
            ),
            ..State::default()
        };
        tenant.put(id, Temper::Kind, state);
    }
    tenant
}

#[test]
fn what_was_asked_of_a_merged_incident_is_done_to_its_successor() {
    let tenant = merged(&[("12", Some("34")), ("34", Some("56")), ("56", None)]);
    let parameters = [("status", "resolved"), ("comment", "done")];
    let call = Call::new(Subject::Incident, &tenant, &parameters);
    let (summary, entries) = call.run(&[row(&[("id", "12")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Updated]);
    let entry = &entries[0];
    assert_eq!(
        (entry.target.as_deref(), entry.merged_into.as_deref()),
        (Some("12"), Some("56"))
    );
    assert_eq!(
        entry.message,
        "incident 12 was merged into 56: status active to resolved, comment added"
    );
    assert_eq!(entry.verified, Some(true));
    assert_eq!(tenant.state("56").comments.len(), 1);
    assert_eq!(tenant.state("12").status.as_deref(), Some("redirected"));

    let mut call = Call::new(
        Subject::Incident,
        &tenant,
        &[("status", "active"), ("dry_run", "1")],
    );
    call.action.batch = "batch-2".to_owned();
    let (summary, entries) = call.run(&[row(&[("id", "12")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Planned]);
    assert!(
        entries[0]
            .message
            .starts_with("incident 12 was merged into 56: would be")
    );
    assert_eq!(tenant.writes(), 1);
}

#[test]
fn a_successor_is_written_once_for_all_its_predecessors_and_itself() {
    let ways = [
        ("1", Some("9")),
        ("2", Some("1")),
        ("3", Some("8")),
        ("4", Some("8")),
        ("8", None),
        ("9", None),
    ];
    let tenant = merged(&ways);
    let parameters = [("status", "resolved"), ("comment", "done")];
    let call = Call::new(Subject::Incident, &tenant, &parameters);
    let rows: Vec<Row> = ["1", "9", "2", "3", "4"]
        .iter()
        .map(|id| row(&[("id", id)]))
        .collect();
    let (summary, entries) = call.run(&rows).unwrap();
    assert_eq!(summary.rows, [Outcome::Updated; 5]);
    assert_eq!(entries.len(), 5);
    assert_eq!(tenant.writes(), 2);
    for id in ["8", "9"] {
        assert_eq!(tenant.state(id).comments.len(), 1);
    }
    let into = |row: usize| {
        let entry = entries.iter().find(|entry| entry.row == row).unwrap();
        entry.merged_into.as_deref()
    };
    assert_eq!(
        [1, 2, 3, 4, 5].map(into),
        [Some("9"), None, Some("9"), Some("8"), Some("8")]
    );
}

#[test]
fn rows_that_contradict_each_other_in_a_successor_are_conflicts() {
    let tenant = merged(&[
        ("1", Some("9")),
        ("2", Some("8")),
        ("3", Some("8")),
        ("8", None),
        ("9", None),
    ]);
    let call = Call::new(Subject::Incident, &tenant, &[("status", "resolved")]);
    let progress = ("defender_status", "inProgress");
    let rows = [
        row(&[("id", "1")]),
        row(&[("id", "9"), progress]),
        row(&[("id", "2")]),
        row(&[("id", "3"), progress]),
    ];
    let (summary, entries) = call.run(&rows).unwrap();
    assert_eq!(
        summary.rows,
        [
            Outcome::Conflict,
            Outcome::Updated,
            Outcome::Updated,
            Outcome::Conflict
        ]
    );
    let conflict = entries.iter().find(|entry| entry.row == 1).unwrap();
    assert_eq!(
        conflict.message,
        "incident 1 was merged into 9: row 2 asks for something else there"
    );
    assert_eq!(tenant.state("9").status.as_deref(), Some("inProgress"));
}

#[test]
fn merges_that_lead_nowhere_are_named() {
    let tenant = merged(&[
        ("1", Some("2")),
        ("2", Some("1")),
        ("3", Some("4")),
        ("11", Some("12")),
        ("12", Some("13")),
        ("13", Some("14")),
        ("14", Some("15")),
        ("15", Some("16")),
        ("16", Some("17")),
        ("17", None),
    ]);
    let call = Call::new(Subject::Incident, &tenant, &[("status", "resolved")]);
    let rows: Vec<Row> = ["1", "3", "11", "12"]
        .iter()
        .map(|id| row(&[("id", id)]))
        .collect();
    let (summary, entries) = call.run(&rows).unwrap();
    assert_eq!(
        summary.rows,
        [
            Outcome::Conflict,
            Outcome::NotFound,
            Outcome::Conflict,
            Outcome::Updated
        ]
    );
    let message = |row: usize| {
        &entries
            .iter()
            .find(|entry| entry.row == row)
            .unwrap()
            .message
    };
    assert!(
        message(1).contains("go round in a circle (1, 2, 1)"),
        "{}",
        message(1)
    );
    assert!(message(2).starts_with("incident 3 was merged into 4: "));
    assert!(message(3).contains("more than 5 merges"), "{}", message(3));
}

#[test]
fn a_colleague_who_triaged_the_successor_is_not_overruled() {
    let tenant = merged(&[("12", Some("34"))]);
    let state = State {
        status: Some("inProgress".to_owned()),
        ..State::default()
    };
    tenant.put("34", Temper::Kind, state);
    let call = Call::new(Subject::Incident, &tenant, &[("status", "resolved")]);
    let shown = [
        ("id", "12"),
        ("status", "active"),
        ("lastUpdateDateTime", "2026-11-20T00:00:00Z"),
    ];
    let (summary, entries) = call.run(&[row(&shown)]).unwrap();
    assert_eq!(summary.rows, [Outcome::Conflict]);
    assert!(
        entries[0].message.contains("somebody was faster"),
        "{}",
        entries[0].message
    );
    assert_eq!(tenant.writes(), 0);
}
