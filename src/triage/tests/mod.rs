//! Triage as a whole, against a tenant in memory.

pub(in crate::triage) mod tenant;

use crate::triage::{Entry, Exit, Failing, Outcome, Row, State, Subject, Summary, TriageError};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;
use tenant::{Call, Happened, Pages, Temper, Tenant, row};

fn outcomes(entries: &[Entry]) -> BTreeMap<(usize, &str), Outcome> {
    entries
        .iter()
        .map(|entry| {
            let target = entry.target.as_deref().unwrap_or_default();
            ((entry.row, target), entry.outcome)
        })
        .collect()
}

#[test]
fn two_hundred_rows_with_the_third_one_missing_end_as_199_well() {
    let ids: Vec<String> = (1..=200).map(|n| format!("da{n}")).collect();
    let tenant = Tenant::with(ids.iter().map(|id| {
        let temper = if id == "da3" {
            Temper::Missing
        } else {
            Temper::Kind
        };
        (id.as_str(), temper)
    }));
    let rows: Vec<Row> = ids.iter().map(|id| row(&[("id", id)])).collect();
    let call = Call::new(
        Subject::Alert,
        &tenant,
        &[
            ("status", "resolved"),
            ("classification", "False positive"),
            ("determination", "Not malicious"),
        ],
    );
    let (summary, entries) = call.run(&rows).unwrap();
    assert_eq!(summary.to_string(), "200 rows: 199 updated, 1 not_found");
    assert_eq!(summary.rows[2], Outcome::NotFound);
    assert_eq!(summary.exit(), Exit::RowsNotWell);
    assert!(
        entries
            .iter()
            .all(|e| e.row == 3 || e.verified == Some(true))
    );
    assert_eq!(tenant.writes(), 2);
    assert_eq!(
        tenant.state("da200").determination.as_deref(),
        Some("notMalicious")
    );
}

#[test]
fn an_entry_reads_from_when_to_how_much() {
    let tenant = Tenant::with([("da1", Temper::Kind)]);
    let parameters = [
        ("status", "resolved"),
        ("classification", "truePositive"),
        ("determination", "phishing"),
        ("assigned_to", "none"),
        ("comment", "confirmed by the user"),
    ];
    let call = Call::new(Subject::Alert, &tenant, &parameters);
    let (_, entries) = call.run(&[row(&[("id", "da1")])]).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&entries[0]).unwrap());
}

#[test]
fn an_entry_of_an_impossible_row_says_what_would_do() {
    let tenant = Tenant::with([]);
    let call = Call::new(Subject::Incident, &tenant, &[("status", "resolved")]);
    let asked = row(&[("incident_id", "7"), ("defender_determination", "apt")]);
    let (_, entries) = call.run(&[asked]).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&entries[0]).unwrap());
    assert!(tenant.log.borrow().is_empty());
}

#[test]
fn what_already_stands_is_not_written() {
    let tenant = Tenant::with([]);
    let state = State {
        status: Some("resolved".to_owned()),
        ..State::default()
    };
    tenant.put("da1", Temper::Kind, state);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "Resolved")]);
    let (summary, _) = call.run(&[row(&[("id", "da1")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Unchanged]);
    assert_eq!((summary.exit(), tenant.writes()), (Exit::Well, 0));
}

#[test]
fn a_dry_run_tells_what_it_would_do_and_does_nothing() {
    let tenant = Tenant::with([("7", Temper::Kind)]);
    let parameters = [
        ("status", "resolved"),
        ("tags_add", "vip"),
        ("comment", "x"),
        ("dry_run", "1"),
    ];
    let call = Call::new(Subject::Incident, &tenant, &parameters);
    let (summary, entries) = call.run(&[row(&[("incidentId", "7")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Planned]);
    assert_eq!((summary.exit(), tenant.writes()), (Exit::Well, 0));
    assert!(entries[0].dry_run);
    assert_eq!(
        entries[0].message,
        "would be: status new to resolved, comment added, tags +vip"
    );
}

#[test]
fn a_write_that_shows_late_is_verified_and_one_that_does_not_is_still_accepted() {
    let tenant = Tenant::with([("da1", Temper::Slow(2)), ("da2", Temper::Slow(9))]);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let (summary, entries) = call
        .run(&[row(&[("id", "da1")]), row(&[("id", "da2")])])
        .unwrap();
    assert_eq!(summary.rows, [Outcome::Updated, Outcome::Updated]);
    let verified: Vec<Option<bool>> = entries.iter().map(|entry| entry.verified).collect();
    assert_eq!(verified, [Some(true), Some(false)]);
    assert_eq!(
        entries[1].message,
        "status new to resolved: accepted, not yet visible (status); look again in a few \
         minutes, or run it again: what stands by then is not written twice"
    );
    assert_eq!(tenant.writes(), 1);
}

#[test]
fn a_comment_is_written_once_however_often_the_batch_is_repeated() {
    let tenant = Tenant::with([("da1", Temper::Kind)]);
    let mut call = Call::new(Subject::Alert, &tenant, &[("comment", "seen")]);
    let rows = [row(&[("id", "da1")]), row(&[("alert_id", "da1")])];
    let (first, _) = call.run(&rows).unwrap();
    let (second, _) = call.run(&rows).unwrap();
    assert_eq!(first.rows, [Outcome::Updated; 2]);
    assert_eq!(second.rows, [Outcome::Unchanged; 2]);
    assert_eq!(tenant.state("da1").comments.len(), 1);
    assert!(tenant.state("da1").comments[0].starts_with("seen [splunk:"));
    // In other words, or by another batch in other words, it is another comment.
    call.action.batch = "batch-2".to_owned();
    assert_eq!(call.run(&rows).unwrap().0.rows, [Outcome::Unchanged; 2]);
    let other = row(&[("id", "da1"), ("defender_comment", "seen again")]);
    assert_eq!(call.run(&[other]).unwrap().0.rows, [Outcome::Updated]);
    assert_eq!(tenant.state("da1").comments.len(), 2);
}

#[test]
fn a_search_that_runs_every_minute_does_not_explain_itself_every_minute() {
    let tenant = Tenant::with([("da1", Temper::Kind)]);
    let parameters = [("status", "resolved"), ("comment", "known scanner")];
    let mut call = Call::new(Subject::Alert, &tenant, &parameters);
    let rows = [row(&[("id", "da1")])];
    call.run(&rows).unwrap();
    call.action.batch = "batch-2".to_owned();
    assert_eq!(call.run(&rows).unwrap().0.rows, [Outcome::Unchanged]);
    assert_eq!(tenant.state("da1").comments.len(), 1);
}

#[test]
fn after_a_write_half_way_the_repeated_batch_adds_only_what_is_missing() {
    let tenant = Tenant::with([("da1", Temper::Kind)]);
    let parameters = [("status", "resolved"), ("comment", "closed")];
    let call = Call::new(Subject::Alert, &tenant, &parameters);
    let rows = [row(&[("id", "da1")])];
    call.run(&rows).unwrap();
    let comments = tenant.state("da1").comments;
    let reopened = State {
        comments: comments.clone(),
        ..State::default()
    };
    tenant.put("da1", Temper::Kind, reopened);
    assert_eq!(call.run(&rows).unwrap().0.rows, [Outcome::Updated]);
    assert_eq!(tenant.state("da1").comments, comments);
    assert_eq!(tenant.state("da1").status.as_deref(), Some("resolved"));
}

#[test]
fn a_message_is_one_line_whatever_defender_says() {
    let tenant = Tenant::with([]);
    let state = State {
        assigned_to: Some("a@contoso.com\n2026 ERROR forged".to_owned()),
        ..State::default()
    };
    tenant.put("da1", Temper::Kind, state);
    let call = Call::new(Subject::Alert, &tenant, &[("assigned_to", "none")]);
    let (_, entries) = call.run(&[row(&[("id", "da1")])]).unwrap();
    assert!(entries[0].message.contains("forged"));
    assert!(!entries[0].message.contains('\n'));
}

#[test]
fn more_targets_than_allowed_are_refused_as_a_whole() {
    let tenant = Tenant::with([("da1", Temper::Kind)]);
    let parameters = [("status", "resolved"), ("max_targets", "2")];
    let call = Call::new(Subject::Alert, &tenant, &parameters);
    let rows = [row(&[("id", "da1|da2|da2")]), row(&[("id", "da3")])];
    let refused = call.run(&rows).unwrap_err();
    assert_eq!(refused, TriageError::TooManyTargets { targets: 3, max: 2 });
    assert!(tenant.log.borrow().is_empty());
    assert!(call.run(&rows[..1]).is_ok());
}

#[test]
fn a_form_cannot_raise_the_limit_of_the_settings() {
    let tenant = Tenant::with([("da1", Temper::Kind)]);
    let parameters = [("status", "resolved"), ("max_targets", "100")];
    let mut call = Call::new(Subject::Alert, &tenant, &parameters);
    call.action.limits.max_targets = 1;
    assert!(call.run(&[row(&[("id", "da1|da2")])]).is_err());
}

#[test]
fn an_account_that_does_not_open_fails_only_its_own_rows() {
    let tenant = Tenant::with([("da1", Temper::Kind)]);
    let mut call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    call.accounts
        .insert("fabrikam".to_owned(), Err(Failing::Forbidden));
    let elsewhere = row(&[("id", "da1"), ("defender_account", "fabrikam")]);
    let (summary, entries) = call.run(&[elsewhere, row(&[("id", "da1")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Forbidden, Outcome::Updated]);
    assert_eq!(entries[0].request_id.as_deref(), Some("req-refused"));
}

#[test]
fn what_is_not_begun_in_time_is_deferred() {
    let tenant = Tenant::with([("da1", Temper::Kind), ("da2", Temper::MuteOnRead)]);
    let mut call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let (summary, _) = call.run(&[row(&[("id", "da2")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Deferred]);
    call.action.limits.deadline = Duration::ZERO;
    let (summary, _) = call.run(&[row(&[("id", "da1")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Deferred]);
    assert_eq!(tenant.writes(), 0);
}

#[test]
fn a_write_without_an_answer_is_waited_for_no_longer_than_agreed() {
    let tenant = Tenant::with([("da1", Temper::MuteOnWrite), ("da2", Temper::Kind)]);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let other = row(&[("id", "da2"), ("defender_status", "inProgress")]);
    let (summary, entries) = call.run(&[row(&[("id", "da1")]), other]).unwrap();
    assert_eq!(summary.rows, [Outcome::Failed, Outcome::Updated]);
    let mute = entries.iter().find(|entry| entry.row == 1).unwrap();
    assert!(mute.message.contains("may have carried it out"));
}

#[test]
fn a_write_that_came_to_pass_without_its_answer_counts_as_updated() {
    let tenant = Tenant::with([("da1", Temper::LosesAnswer), ("da2", Temper::BreaksOnWrite)]);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let (summary, entries) = call
        .run(&[row(&[("id", "da1")]), row(&[("id", "da2")])])
        .unwrap();
    assert_eq!(summary.rows, [Outcome::Updated, Outcome::Failed]);
    assert_eq!(
        entries[0].message,
        "status new to resolved: it stands, although the answer was: the tenant says Failed"
    );
    assert_eq!(entries[1].message, "the tenant says Failed");
    assert_eq!(
        entries[1].after.as_ref().unwrap().status.as_deref(),
        Some("new")
    );
}

#[test]
fn a_verdict_whose_comment_failed_says_what_stands() {
    let tenant = Tenant::with([("da1", Temper::LosesComment)]);
    let parameters = [("status", "resolved"), ("comment", "closed")];
    let call = Call::new(Subject::Alert, &tenant, &parameters);
    let (summary, entries) = call.run(&[row(&[("id", "da1")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Throttled]);
    assert_eq!(
        entries[0].message,
        "the tenant says Throttled; but this stands: status new to resolved"
    );
}

/// The row that the feed makes of an object as it stands.
fn came_back(tenant: &Rc<Tenant>, id: &str) -> Row {
    let state = tenant.state(id);
    row(&[
        ("id", id),
        ("status", state.status.as_deref().unwrap_or("null")),
        ("assignedTo", state.assigned_to.as_deref().unwrap_or("null")),
        (
            "lastUpdateDateTime",
            state.updated.as_deref().unwrap_or_default(),
        ),
    ])
}

#[test]
fn an_action_fired_again_by_its_own_change_comes_to_rest() {
    for parameters in [
        [("status", "resolved"), ("comment", "known scanner")].as_slice(),
        &[("assigned_to", "soc@contoso.com")],
        &[("comment", "seen by the night shift")],
    ] {
        let tenant = Tenant::with([("da1", Temper::Kind)]);
        let older = came_back(&tenant, "da1");
        let mut call = Call::new(Subject::Alert, &tenant, parameters);
        let (_, entries) = call.run(std::slice::from_ref(&older)).unwrap();
        // By this the feed's event is known to be ours.
        let after = entries[0].after.as_ref().unwrap();
        assert_eq!(after.updated, tenant.state("da1").updated);
        let newer = came_back(&tenant, "da1");
        assert_ne!(newer, older);
        let comments = tenant.state("da1").comments;
        for (sid, fired) in [newer, older].into_iter().enumerate() {
            call.action.batch = format!("batch of sid {sid}");
            let (summary, _) = call.run(&[fired]).unwrap();
            assert_eq!(summary.rows, [Outcome::Unchanged], "{parameters:?}");
        }
        assert_eq!(tenant.writes(), 1);
        assert_eq!(tenant.state("da1").comments, comments);
        let signed = entries[0]
            .marker
            .as_ref()
            .map(|word| format!("[splunk:{word}]"));
        assert_eq!(signed.is_some(), !comments.is_empty());
        assert!(
            comments
                .iter()
                .all(|said| said.ends_with(signed.as_deref().unwrap()))
        );
    }
}

#[test]
fn searches_that_comment_on_each_others_events_come_to_rest() {
    let tenant = Tenant::with([("da1", Temper::Kind)]);
    for sid in 0..6 {
        let words = if sid % 2 == 0 { "one" } else { "two" };
        let mut call = Call::new(Subject::Alert, &tenant, &[("comment", words)]);
        call.action.batch = format!("batch of sid {sid}");
        call.run(&[came_back(&tenant, "da1")]).unwrap();
    }
    assert_eq!(tenant.writes(), 2);
}

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
        "the change of its incident brought it about: status new to resolved"
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
fn only_what_differs_is_sent() {
    let tenant = Tenant::with([("7", Temper::Kind)]);
    let state = State {
        status: Some("active".to_owned()),
        assigned_to: Some("ann@contoso.com".to_owned()),
        tags: vec!["vip".to_owned()],
        ..State::default()
    };
    tenant.put("7", Temper::Kind, state);
    let parameters = [
        ("status", "resolved"),
        ("assigned_to", "ann@contoso.com"),
        ("tags_add", "vip"),
    ];
    let call = Call::new(Subject::Incident, &tenant, &parameters);
    call.run(&[row(&[("id", "7")])]).unwrap();
    let sent = tenant.sent.borrow();
    assert!(sent[0].status.is_some() && sent[0].assigned_to.is_none());
    assert!(sent[0].tags_add.is_empty());
}

/// An alert whose list still shows an earlier state.
fn lagging(shown: &str, shown_at: &str, stands: &str, stands_at: &str) -> Rc<Tenant> {
    let tenant = Tenant::with([]);
    let state = |status: &str, updated: &str| State {
        status: Some(status.to_owned()),
        updated: Some(updated.to_owned()),
        ..State::default()
    };
    tenant.put("da1", Temper::Listed(0), state(stands, stands_at));
    tenant.lag("da1", state(shown, shown_at), 1);
    tenant
}

const MORNING: &str = "2026-11-21T08:00:00Z";
const NOON: &str = "2026-11-21T12:00:00Z";

#[test]
fn a_list_that_lags_settles_nothing_by_itself() {
    // Resolved in the list, re-opened since.
    let tenant = lagging("resolved", MORNING, "new", NOON);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let (summary, entries) = call.run(&[row(&[("id", "da1")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Updated]);
    assert_eq!(entries[0].verified, Some(true));
    // A colleague's in the list, given back since.
    let tenant = lagging("inProgress", NOON, "new", "2026-11-21T12:01:00Z");
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let shown = [
        ("id", "da1"),
        ("status", "new"),
        ("lastUpdateTime", MORNING),
    ];
    assert_eq!(call.run(&[row(&shown)]).unwrap().0.rows, [Outcome::Updated]);
}

#[test]
fn a_row_newer_than_the_list_makes_the_alert_itself_be_asked() {
    // The row has seen that it was re-opened; since then somebody has taken it.
    let tenant = lagging("resolved", MORNING, "inProgress", "2026-11-21T12:05:00Z");
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let shown = [("id", "da1"), ("status", "new"), ("lastUpdateTime", NOON)];
    let (summary, _) = call.run(&[row(&shown)]).unwrap();
    assert_eq!((summary.rows[0], tenant.writes()), (Outcome::Conflict, 0));
    // The list is older, but shows what the row shows: that is enough.
    let tenant = lagging("new", MORNING, "new", NOON);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    assert_eq!(call.run(&[row(&shown)]).unwrap().0.rows, [Outcome::Updated]);
    assert_eq!(tenant.reads("da1"), 0);
}

#[test]
fn a_list_is_confirmed_for_some_and_named_for_the_others() {
    let ids: Vec<String> = (1..=80).map(|n| format!("da{n}")).collect();
    let tenant = Tenant::with(ids.iter().map(|id| (id.as_str(), Temper::Listed(0))));
    let call = Call::new(Subject::Alert, &tenant, &[("status", "new")]);
    let rows: Vec<Row> = ids.iter().map(|id| row(&[("id", id)])).collect();
    let (summary, entries) = call.run(&rows).unwrap();
    assert_eq!(summary.rows, [Outcome::Unchanged; 80]);
    let named = entries
        .iter()
        .filter(|entry| entry.message.contains("list"));
    assert_eq!(named.count(), 30);
    let reads: usize = ids.iter().map(|id| tenant.reads(id)).sum();
    assert_eq!(reads, 50);
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

#[test]
fn a_stale_row_does_not_overrule_a_colleague_unless_a_fresh_one_stands_beside_it() {
    let tenant = Tenant::with([]);
    let state = State {
        status: Some("inProgress".to_owned()),
        ..State::default()
    };
    tenant.put("da1", Temper::Kind, state);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let stale = row(&[
        ("id", "da1"),
        ("status", "new"),
        ("lastUpdateDateTime", "2026-11-21T09:00:00Z"),
    ]);
    let fresh = row(&[
        ("id", "da1"),
        ("status", "inProgress"),
        ("lastUpdateDateTime", "2026-11-21T10:00:00.1234567Z"),
    ]);
    let (summary, _) = call.run(std::slice::from_ref(&stale)).unwrap();
    assert_eq!((summary.rows[0], tenant.writes()), (Outcome::Conflict, 0));
    let (summary, _) = call.run(&[stale, fresh]).unwrap();
    assert_eq!(summary.rows, [Outcome::Updated; 2]);
}

#[test]
fn outcomes_are_written_down_while_the_rest_is_still_to_do() {
    let ids: Vec<String> = (1..=500).map(|n| format!("da{n}")).collect();
    let tenant = Tenant::with(ids.iter().map(|id| (id.as_str(), Temper::Kind)));
    let rows: Vec<Row> = ids.iter().map(|id| row(&[("id", id)])).collect();
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let pages = Pages {
        log: Some(Rc::clone(&tenant.log)),
        ..Pages::default()
    };
    call.run_into(&rows, pages).unwrap();
    let log = tenant.log.borrow();
    let (mut wrote, mut recorded) = (0usize, 0usize);
    for happened in log.iter() {
        match happened {
            Happened::Wrote(ids) => {
                wrote += ids.len();
                assert!(
                    wrote - recorded <= 200,
                    "{wrote} written, {recorded} recorded"
                );
            }
            Happened::Recorded(_) => recorded += 1,
            Happened::Read(_) => {}
        }
    }
    assert_eq!((wrote, recorded), (500, 500));
}

fn temper() -> impl Strategy<Value = Temper> {
    prop_oneof![
        6 => Just(Temper::Kind),
        2 => (0u32..6).prop_map(Temper::Slow),
        2 => (0u32..6).prop_map(Temper::Listed),
        1 => Just(Temper::Missing),
        1 => Just(Temper::ForbidsRead),
        1 => Just(Temper::ForbidsWrite),
        1 => Just(Temper::ThrottlesRead),
        1 => Just(Temper::ThrottlesWrite),
        1 => Just(Temper::RefusesWrite),
        1 => Just(Temper::BreaksOnWrite),
        1 => Just(Temper::CutsAnswer),
        1 => Just(Temper::LosesAnswer),
        1 => Just(Temper::LosesComment),
    ]
}

/// Rarely anything hangs, or little would ever be reached.
fn tempers() -> impl Strategy<Value = Vec<Temper>> {
    let hang = prop_oneof![
        18 => Just(None),
        1 => Just(Some(Temper::MuteOnRead)),
        1 => Just(Some(Temper::MuteOnWrite)),
    ];
    (prop::collection::vec(temper(), 12), hang).prop_map(|(mut tempers, hang)| {
        if let (Some(hang), Some(first)) = (hang, tempers.first_mut()) {
            *first = hang;
        }
        tempers
    })
}

prop_compose! {
    fn any_row()(
        ids in prop::collection::vec(0usize..14, 0..3),
        status in prop_oneof![Just(""), Just("new"), Just("In progress"), Just("resolved"), Just("closed")],
        verdict in prop_oneof![
            Just(("", "")), Just(("truePositive", "malware")), Just(("falsePositive", "malware")),
        ],
        comment in prop_oneof![Just(""), Just("seen"), Just("seen too")],
        account in prop_oneof![8 => Just(""), 1 => Just("fabrikam"), 1 => Just("nemo")],
        dry_run in prop_oneof![8 => Just(""), 1 => Just("1")],
        incident in prop::bool::weighted(0.2),
    ) -> Row {
        let prefix = if incident { "" } else { "da" };
        let ids: Vec<String> = ids.iter().map(|id| format!("{prefix}{id}")).collect();
        row(&[
            ("id", &ids.join("|")),
            ("defender_subject", if incident { "incident" } else { "" }),
            ("defender_status", status),
            ("defender_classification", verdict.0),
            ("defender_determination", verdict.1),
            ("defender_comment", comment),
            ("defender_account", account),
            ("defender_dry_run", dry_run),
        ])
    }
}

prop_compose! {
    /// Alerts of every temper, some of them resolved, and a few incidents.
    fn any_tenant()(
        tempers in tempers(),
        resolved in prop::collection::vec(any::<bool>(), 12),
    ) -> Rc<Tenant> {
        let tenant = Tenant::with(["0", "1", "2"].map(|id| (id, Temper::Kind)));
        for (n, (temper, resolved)) in tempers.iter().zip(&resolved).enumerate() {
            let status = resolved.then(|| "resolved".to_owned());
            tenant.put(&format!("da{n}"), *temper, State { status, ..State::default() });
        }
        tenant
    }
}

fn standing(tenant: &Tenant) -> BTreeMap<String, State> {
    let objects = tenant.objects.borrow();
    let state = |(id, object): (&String, &tenant::Object)| (id.clone(), object.state.clone());
    objects.iter().map(state).collect()
}

/// Those of which the entries say that something changed, or stands of a write
/// that failed.
fn changed_by(entries: &[Entry]) -> BTreeSet<String> {
    entries
        .iter()
        .filter(|e| e.account.as_deref() == Some("contoso"))
        .filter(|e| e.outcome == Outcome::Updated || (!e.dry_run && !e.changed.is_empty()))
        .filter_map(|e| e.target.clone())
        .collect()
}

fn changed_since(before: &BTreeMap<String, State>, tenant: &Tenant) -> BTreeSet<String> {
    let now = standing(tenant);
    let changed = now.into_iter().filter(|(id, state)| before[id] != *state);
    changed.map(|(id, _)| id).collect()
}

/// One outcome per row, one entry per row and target.
fn check_rows(rows: &[Row], summary: &Summary, entries: &[Entry]) -> Result<(), TestCaseError> {
    prop_assert_eq!(summary.rows.len(), rows.len());
    prop_assert_eq!(outcomes(entries).len(), entries.len());
    for (row, outcome) in summary.rows.iter().enumerate() {
        let worst = entries
            .iter()
            .filter(|e| e.row == row + 1)
            .map(|e| e.outcome)
            .max();
        prop_assert_eq!(Some(*outcome), worst);
    }
    Ok(())
}

/// Nothing was said twice by one batch.
fn check_comments(tenant: &Tenant) -> Result<(), TestCaseError> {
    for state in standing(tenant).values() {
        let said: BTreeSet<&String> = state.comments.iter().collect();
        prop_assert_eq!(said.len(), state.comments.len(), "{:?}", state.comments);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_row_ends_once_and_defender_holds_what_the_ledger_says(
        rows in prop::collection::vec(any_row(), 0..30),
        tenant in any_tenant(),
        status in prop_oneof![Just(""), Just("resolved")],
        closed in any::<bool>(),
    ) {
        let before = standing(&tenant);
        let mut call = Call::new(Subject::Alert, &tenant, &[("status", status)]);
        let fabrikam = Tenant::with([("da1", Temper::Kind)]);
        let opens = if closed { Err(Failing::Failed) } else { Ok(Rc::clone(&fabrikam)) };
        call.accounts.insert("fabrikam".to_owned(), opens);

        let (summary, entries) = call.run(&rows).unwrap();

        check_rows(&rows, &summary, &entries)?;
        prop_assert_eq!(changed_since(&before, &tenant), changed_by(&entries));
        prop_assert!(entries.iter().all(|e| !e.dry_run || e.outcome != Outcome::Updated));
        prop_assert!(entries.iter().all(|e| (e.outcome == Outcome::Updated) == e.verified.is_some()));
        // Incidents are written before alerts.
        let wrote: Vec<bool> = tenant.log.borrow().iter().filter_map(|happened| match happened {
            Happened::Wrote(ids) => Some(ids[0].starts_with("da")),
            _ => None,
        }).collect();
        prop_assert!(wrote.is_sorted());

        // The same batch again doubles nothing.
        tenant.settle();
        let (_, again) = call.run(&rows).unwrap();
        prop_assert_eq!(again.len(), entries.len());
        check_comments(&tenant)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_run_killed_anywhere_is_finished_by_its_repetition(
        rows in prop::collection::vec(any_row(), 0..30),
        tenant in any_tenant(),
        turns in 0usize..600,
    ) {
        let before = standing(&tenant);
        let mut call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
        call.accounts.insert("fabrikam".to_owned(), Err(Failing::Failed));
        let (recorded, _) = call.run_for(&rows, turns);
        // What was written down before the kill is so.
        let changed = changed_since(&before, &tenant);
        prop_assert!(changed_by(&recorded).is_subset(&changed));

        tenant.settle();
        let (summary, entries) = call.run(&rows).unwrap();
        check_rows(&rows, &summary, &entries)?;
        check_comments(&tenant)?;
        for entry in entries.iter().filter(|e| e.outcome.is_well() && !e.dry_run) {
            let state = tenant.state(entry.target.as_deref().unwrap());
            let asked = entry.requested.as_ref().unwrap();
            let stands = |wish: Option<String>, stands: &Option<String>| wish.is_none() || wish == *stands;
            prop_assert!(stands(asked.status.map(|s| s.to_string()), &state.status));
            prop_assert!(stands(asked.determination.map(|d| d.to_string()), &state.determination));
            prop_assert_eq!(state.comments.len(), usize::from(asked.comment.is_some()));
        }
    }

    #[test]
    fn two_runs_at_once_account_together_for_all_that_changed(
        rows in prop::collection::vec(any_row(), 0..30),
        tenant in any_tenant(),
    ) {
        let before = standing(&tenant);
        let call = |status, batch: &str| {
            let mut call = Call::new(Subject::Alert, &tenant, &[("status", status)]);
            call.accounts.insert("fabrikam".to_owned(), Err(Failing::Failed));
            call.action.batch = batch.to_owned();
            call
        };
        let runs = call("resolved", "one").run_beside(&call("new", "two"), &rows);
        let mut changed = BTreeSet::new();
        for (summary, entries) in &runs {
            check_rows(&rows, summary, entries)?;
            changed.extend(changed_by(entries));
        }
        prop_assert_eq!(changed_since(&before, &tenant), changed);
        check_comments(&tenant)?;
    }
}
