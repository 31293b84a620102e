//! Triage as a whole, against a tenant in memory.

mod incidents;
mod lists;
mod properties;
pub(in crate::triage) mod tenant;

use crate::triage::{Entry, Failing, Outcome, Row, State, Subject, TriageError};
use std::collections::BTreeMap;
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
    assert!(!summary.is_well());
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
fn all_of_an_entry_but_a_long_comment_lies_where_splunk_reads_fields() {
    let tenant = Tenant::with([("7", Temper::Kind)]);
    let comment = "ä".repeat(4_000);
    let parameters = [
        ("status", "inProgress"),
        ("assigned_to", "kim@contoso.com"),
        ("tags_add", "tier2, phishing"),
        ("comment", &comment),
    ];
    let call = Call::new(Subject::Incident, &tenant, &parameters);
    let (_, entries) = call.run(&[row(&[("id", "7")])]).unwrap();
    let event = serde_json::to_string(&entries[0]).unwrap();
    // limits.conf [spath] extraction_cutoff
    assert!(event.find(&comment).unwrap() < 5_000, "{event}");
    assert!(event.ends_with(&format!("{comment}\"}}}}")), "{event}");
}

#[test]
fn no_entry_grows_with_what_defender_says() {
    let tenant = Tenant::with([]);
    let long = "x".repeat(1 << 20);
    let state = State {
        tags: vec!["kept".to_owned(), long.clone(), long.clone()],
        assigned_to: Some("kim@contoso.com".to_owned()),
        comments: vec![long.clone()],
        ..State::default()
    };
    tenant.put("7", Temper::Kind, state);
    let parameters = [("status", "resolved"), ("tags_add", "tier2")];
    let call = Call::new(Subject::Incident, &tenant, &parameters);
    let (summary, entries) = call.run(&[row(&[("id", "7")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Updated]);
    let event = serde_json::to_string(&entries[0]).unwrap();
    assert!(event.len() < 2_000, "{}", event.len());
    // What is written back is whole.
    assert!(tenant.state("7").tags.contains(&long));
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
    assert_eq!((summary.is_well(), tenant.writes()), (true, 0));
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
    assert_eq!((summary.is_well(), tenant.writes()), (true, 0));
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
         minutes, or run the action again: nothing is written twice"
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
    assert!(mute.message.contains("may have been carried out"));
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
        "status new to resolved: Defender shows it, although its answer was: the tenant says Failed"
    );
    assert_eq!(
        entries[1].message,
        "the tenant says Failed; it may have been carried out all the same and show later: look again, or run the action again: nothing is written twice"
    );
    assert_eq!(
        entries[1].after.as_ref().unwrap().status.as_deref(),
        Some("new")
    );
}

#[test]
fn where_each_target_is_a_call_one_wave_is_sent_before_the_next_is_read() {
    let ids: Vec<String> = (0..150).map(|n| format!("da{n:03}")).collect();
    let tenant = Tenant::with(ids.iter().map(|id| (id.as_str(), Temper::Kind)));
    let rows: Vec<Row> = ids.iter().map(|id| row(&[("id", id)])).collect();
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    call.run(&rows).unwrap();
    let log = tenant.log.borrow();
    let read = |id: &str| {
        log.iter()
            .position(|one| *one == Happened::Read(id.to_owned()))
    };
    let wrote = log.iter().position(|one| matches!(one, Happened::Wrote(_)));
    assert!(read("da099") < wrote && wrote < read("da100"));
}

#[test]
fn where_somebody_was_at_it_in_the_same_moment_what_stands_then_decides() {
    let tenant = Tenant::with([
        ("da1", Temper::Overtaken("new")),
        ("da2", Temper::Overtaken("inProgress")),
        ("da3", Temper::Overtaken("resolved")),
        ("da4", Temper::Busy),
    ]);
    let rows = ["da1", "da2", "da3", "da4"].map(|id| came_back(&tenant, id));
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let (summary, entries) = call.run(&rows).unwrap();
    assert_eq!(
        summary.rows,
        [
            Outcome::Updated,
            Outcome::Conflict,
            Outcome::Unchanged,
            Outcome::Conflict
        ]
    );
    let message = |row| &entries.iter().find(|e| e.row == row).unwrap().message;
    assert!(message(2).starts_with("somebody was faster"));
    assert_eq!(message(4), "the tenant says Overtaken");
}

#[test]
fn an_alert_that_a_call_for_many_left_out_is_written_by_itself() {
    let tenant = Tenant::with([("da1", Temper::Kind), ("da2", Temper::LeftOut)]);
    let parameters = [("api", "mde"), ("status", "resolved"), ("comment", "done")];
    let call = Call::new(Subject::Alert, &tenant, &parameters);
    let rows = [row(&[("id", "da1")]), row(&[("id", "da2")])];
    let (summary, entries) = call.run(&rows).unwrap();
    assert_eq!(summary.rows, [Outcome::Updated; 2]);
    assert!(entries.iter().all(|entry| entry.verified == Some(true)));
    assert_eq!(tenant.writes(), 2);
    assert_eq!(tenant.state("da2").comments.len(), 1);
}

#[test]
fn a_write_without_its_answer_that_shows_late_counts_as_updated() {
    let tenant = Tenant::with([("da1", Temper::LosesAnswerSlowly(2))]);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let (summary, entries) = call.run(&[row(&[("id", "da1")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Updated]);
    assert_eq!(entries[0].verified, Some(true));
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
        "partly carried out: the tenant says Throttled; changed: status new to resolved; not changed: comment"
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
