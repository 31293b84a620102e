//! Each row of an alert's results ends as exactly one outcome; none stops another.

use crate::counterpart::process::Run;
use crate::counterpart::splunkd::{ANALYST_KEY, Alert, READER_KEY};
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Object, Splunkd, Tenant};
use serde_json::Value;
use std::collections::BTreeMap;

const VERDICT: [(&str, &str); 5] = [
    ("account", "contoso"),
    ("status", "resolved"),
    ("classification", "truePositive"),
    ("determination", "malware"),
    ("comment", "closed by the night shift"),
];

fn open(feed: Feed, count: usize) -> (Tenant, Vec<Object>, Splunkd) {
    let objects: Vec<Object> = recent(feed, count)
        .into_iter()
        .map(|mut object| {
            for status in ["resolved", "inProgress", "Resolved", "InProgress"] {
                let new = if status.starts_with('R') || status.starts_with('I') {
                    "New"
                } else {
                    "new"
                };
                object.text = object.text.replace(
                    &format!(r#""status":"{status}""#),
                    &format!(r#""status":"{new}""#),
                );
            }
            object
        })
        .collect();
    let tenant = Tenant::holding(feed, objects.clone());
    let splunkd = Splunkd::new().account("contoso", &tenant);
    (tenant, objects, splunkd)
}

fn rows(ids: impl IntoIterator<Item = impl Into<String>>) -> Vec<Vec<String>> {
    ids.into_iter()
        .map(|id| vec![id.into(), "My <alert>\nsecond".to_owned()])
        .collect()
}

const HEADER: [&str; 2] = ["id", "title"];

fn decided<'a>(form: &'a [(&'a str, &'a str)], rows: &'a [Vec<String>]) -> Alert<'a> {
    Alert {
        form,
        header: &HEADER,
        rows,
        ..Alert::default()
    }
}

/// The outcome events splunkd got, as JSON.
fn outcomes(splunkd: &Splunkd) -> Vec<Value> {
    splunkd
        .indexed()
        .into_iter()
        .flat_map(|got| {
            assert_eq!(
                got.query.get("sourcetype").map(String::as_str),
                Some("defender_bridge:triage")
            );
            got.body
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<Value>>()
        })
        .collect()
}

fn counts(splunkd: &Splunkd) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for outcome in outcomes(splunkd) {
        *counts
            .entry(outcome["outcome"].as_str().unwrap_or("?").to_owned())
            .or_default() += 1;
    }
    counts
}

fn expected(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

#[track_caller]
fn ended(run: &Run, code: i32) {
    assert_eq!(run.code(), Some(code), "{}", run.stderr);
    assert_eq!(run.text(), "", "an alert action says nothing on stdout");
}

#[test]
fn every_row_is_written_and_read_back() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 8);
    let rows = rows(objects.iter().map(|object| object.id.clone()));
    ended(&splunkd.alert(&decided(&VERDICT, &rows)), 0);
    assert_eq!(counts(&splunkd), expected(&[("updated", 8)]));
    for object in &objects {
        let now = tenant.object(Feed::GraphAlerts, &object.id);
        assert_eq!(now["status"], "resolved");
        assert_eq!(now["classification"], "truePositive");
        assert_eq!(now["determination"], "malware");
        let comments = now["comments"].as_array().unwrap();
        assert_eq!(comments.len(), 1, "{comments:?}");
        assert!(
            comments[0]["comment"]
                .as_str()
                .unwrap()
                .contains("closed by the night shift")
        );
    }
    // Read before and after each write.
    let calls = tenant.calls();
    for object in &objects {
        let path = format!("{}/{}", Feed::GraphAlerts.path(), object.id);
        let methods: Vec<&str> = calls
            .iter()
            .filter(|call| call.path == path)
            .map(|call| call.method.as_str())
            .collect();
        if !methods.is_empty() {
            assert_eq!(methods.first(), Some(&"GET"), "{methods:?}");
            assert_eq!(methods.last(), Some(&"GET"), "{methods:?}");
        }
    }
}

#[test]
fn an_outcome_tells_row_state_before_and_after_and_who() {
    let (_tenant, objects, splunkd) = open(Feed::GraphAlerts, 1);
    let rows = rows([objects[0].id.clone()]);
    ended(&splunkd.alert(&decided(&VERDICT, &rows)), 0);
    let outcomes = outcomes(&splunkd);
    assert_eq!(outcomes.len(), 1);
    let outcome = &outcomes[0];
    assert_eq!(outcome["outcome"], "updated");
    assert_eq!(outcome["before"]["status"], "new", "{outcome}");
    assert_eq!(outcome["after"]["status"], "resolved", "{outcome}");
    assert_eq!(outcome["after"]["determination"], "malware", "{outcome}");
    assert_eq!(outcome["account"], "contoso", "{outcome}");
    assert_eq!(outcome["actor"], "splunk-system-user", "{outcome}");
    assert_eq!(outcome["alert_user"], "admin", "{outcome}");
    assert_eq!(outcome["via"], "direct", "{outcome}");
    let text = outcome.to_string();
    assert!(
        text.contains(&objects[0].id) && text.contains("req-"),
        "{text}"
    );
}

#[test]
fn no_row_stops_another() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 6);
    tenant.rules(|rules| {
        rules.locked.insert(objects[1].id.clone());
    });
    let ids = [
        objects[0].id.as_str(),
        "da000_does_not_exist",
        &objects[1].id,
        "",
        &objects[2].id,
        "../../v1.0/users",
        &objects[3].id,
    ];
    let rows = rows(ids);
    ended(&splunkd.alert(&decided(&VERDICT, &rows)), 2);
    let counts = counts(&splunkd);
    assert_eq!(counts.values().sum::<usize>(), rows.len(), "{counts:?}");
    assert_eq!(counts["updated"], 3, "{counts:?}");
    assert_eq!(counts["forbidden"], 1, "{counts:?}");
    // What leads out of its field is invalid, or simply not there.
    assert!(
        counts["not_found"] >= 1 && counts["invalid"] >= 1,
        "{counts:?}"
    );
    assert_eq!(counts["not_found"] + counts["invalid"], 3, "{counts:?}");
    for call in tenant.calls() {
        assert!(
            !call.target.contains("users") || call.target.contains("%2F"),
            "{}",
            call.target
        );
    }
    assert_eq!(
        tenant.object(Feed::GraphAlerts, &objects[1].id)["status"],
        "new"
    );
    assert_eq!(
        tenant.object(Feed::GraphAlerts, &objects[3].id)["status"],
        "resolved"
    );
}

#[test]
fn a_row_may_decide_for_itself_where_the_form_lets_it() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 3);
    let header = [
        "id",
        "defender_status",
        "defender_classification",
        "defender_determination",
    ];
    let row = |id: &str, rest: [&str; 3]| {
        [[id].as_slice(), &rest]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let rows: Vec<Vec<String>> = vec![
        row(&objects[0].id, ["inProgress", "", ""]),
        row(&objects[1].id, ["", "falsePositive", "notMalicious"]),
        row(&objects[2].id, ["gone fishing", "", ""]),
    ];
    let form = [("account", "contoso"), ("status", "resolved")];
    let overruled = [form.as_slice(), &[("rows_overrule", "1")]].concat();
    let alert = |form, sid| {
        splunkd.alert(&Alert {
            form,
            header: &header,
            rows: &rows,
            sid,
            ..Alert::default()
        })
    };
    ended(&alert(&form, "strict"), 2);
    assert_eq!(
        counts(&splunkd),
        expected(&[("updated", 1), ("invalid", 2)])
    );
    splunkd.forget();
    ended(&alert(&overruled, "overruled"), 2);
    assert_eq!(
        counts(&splunkd),
        expected(&[("updated", 1), ("unchanged", 1), ("invalid", 1)])
    );
    let status =
        |number: usize| tenant.object(Feed::GraphAlerts, &objects[number].id)["status"].clone();
    assert_eq!(
        [status(0), status(1), status(2)],
        ["inProgress", "resolved", "new"]
    );
    let second = tenant.object(Feed::GraphAlerts, &objects[1].id);
    assert_eq!(second["determination"], "notMalicious");
}

#[test]
fn what_already_stands_is_not_written_again() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 3);
    let form = [("account", "contoso"), ("status", "Resolved")];
    let rows = rows(objects.iter().map(|object| object.id.clone()));
    ended(&splunkd.alert(&decided(&form, &rows)), 0);
    let writes = tenant.write_calls().len();
    ended(&splunkd.alert(&decided(&form, &rows)), 0);
    assert_eq!(tenant.write_calls().len(), writes);
    assert_eq!(
        counts(&splunkd),
        expected(&[("updated", 3), ("unchanged", 3)])
    );
}

#[test]
fn rows_of_one_alert_share_one_write_and_each_get_an_outcome() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 1);
    let rows = rows(std::iter::repeat_n(objects[0].id.clone(), 5));
    ended(&splunkd.alert(&decided(&VERDICT, &rows)), 0);
    assert_eq!(outcomes(&splunkd).len(), 5);
    let now = tenant.object(Feed::GraphAlerts, &objects[0].id);
    assert_eq!(now["comments"].as_array().unwrap().len(), 1, "one comment");
}

#[test]
fn mde_alerts_are_written_in_the_words_of_mde() {
    let (tenant, objects, splunkd) = open(Feed::MdeAlerts, 8);
    let form = [VERDICT.as_slice(), &[("api", "mde")]].concat();
    let rows = rows(objects.iter().map(|object| object.id.clone()));
    ended(&splunkd.alert(&decided(&form, &rows)), 0);
    assert_eq!(counts(&splunkd), expected(&[("updated", 8)]));
    assert_eq!(tenant.write_calls().len(), 1, "one batchUpdate");
    for object in &objects {
        let now = tenant.object(Feed::MdeAlerts, &object.id);
        assert_eq!(now["status"], "Resolved");
        assert_eq!(now["classification"], "TruePositive");
        assert_eq!(now["determination"], "Malware");
        let ours = now["comments"].to_string().matches("night shift").count();
        assert_eq!(ours, 1);
    }
}

#[test]
fn one_bad_mde_alert_does_not_spoil_the_others() {
    let (tenant, objects, splunkd) = open(Feed::MdeAlerts, 10);
    tenant.rules(|rules| {
        rules.locked.insert(objects[4].id.clone());
    });
    let form = [VERDICT.as_slice(), &[("api", "mde")]].concat();
    let ids = objects
        .iter()
        .map(|object| object.id.clone())
        .chain(["da1_gone".to_owned()]);
    let rows = rows(ids);
    ended(&splunkd.alert(&decided(&form, &rows)), 2);
    assert_eq!(
        counts(&splunkd),
        expected(&[("updated", 9), ("forbidden", 1), ("not_found", 1)])
    );
    for (number, object) in objects.iter().enumerate() {
        let now = tenant.object(Feed::MdeAlerts, &object.id);
        let wanted = if number == 4 { "New" } else { "Resolved" };
        assert_eq!(now["status"], wanted, "{number}");
        let ours = now["comments"].to_string().matches("night shift").count();
        assert_eq!(ours, usize::from(number != 4), "{number}");
    }
}

#[test]
fn a_dry_run_plans_and_writes_nothing() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 4);
    let form = [VERDICT.as_slice(), &[("dry_run", "1")]].concat();
    let rows = rows(objects.iter().map(|object| object.id.clone()));
    ended(&splunkd.alert(&decided(&form, &rows)), 0);
    assert_eq!(counts(&splunkd), expected(&[("planned", 4)]));
    assert_eq!(tenant.write_calls().len(), 0);
}

#[test]
fn a_read_only_account_refuses_writes() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 2);
    splunkd.set("account", "contoso", "read_only", "1");
    let rows = rows(objects.iter().map(|object| object.id.clone()));
    ended(&splunkd.alert(&decided(&VERDICT, &rows)), 2);
    assert_eq!(counts(&splunkd), expected(&[("forbidden", 2)]));
    assert_eq!(tenant.write_calls().len(), 0);
}

#[test]
fn more_targets_than_allowed_are_refused_before_the_first_write() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 12);
    let form = [VERDICT.as_slice(), &[("max_targets", "10")]].concat();
    let rows = rows(objects.iter().map(|object| object.id.clone()));
    let run = splunkd.alert(&decided(&form, &rows));
    assert_ne!(run.code(), Some(0));
    assert!(
        run.stderr.contains("12") && run.stderr.contains("10"),
        "{}",
        run.stderr
    );
    assert_eq!(tenant.write_calls().len(), 0);
}

#[test]
fn impossible_verdicts_are_refused_before_any_call() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 2);
    let rows = rows(objects.iter().map(|object| object.id.clone()));
    for wrong in [
        [
            ("classification", "falsePositive"),
            ("determination", "malware"),
        ],
        [("classification", "benignPositive"), ("determination", "")],
        [("classification", ""), ("determination", "malware")],
        [("status", "redirected"), ("comment", "")],
        [("classification", "truePositive"), ("determination", "apt")],
    ] {
        let form = [[("account", "contoso")].as_slice(), &wrong].concat();
        let run = splunkd.alert(&decided(&form, &rows));
        assert!(
            matches!(run.code(), Some(1 | 2)),
            "{wrong:?}: {:?} {}",
            run.code(),
            run.stderr
        );
        assert_eq!(tenant.calls().len(), 0, "{wrong:?}");
    }
}

#[test]
fn the_words_of_a_verdict_are_taken_in_any_case() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 1);
    let form = [
        ("account", "contoso"),
        ("status", "IN PROGRESS"),
        ("classification", "False Positive"),
        ("determination", "NotMalicious"),
    ];
    let rows = rows([objects[0].id.clone()]);
    ended(&splunkd.alert(&decided(&form, &rows)), 0);
    let now = tenant.object(Feed::GraphAlerts, &objects[0].id);
    assert_eq!(now["status"], "inProgress");
    assert_eq!(
        (&now["classification"], &now["determination"]),
        (&"falsePositive".into(), &"notMalicious".into())
    );
}

#[test]
fn the_response_action_log_tells_each_row_twice() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 3);
    tenant.rules(|rules| {
        rules.locked.insert(objects[2].id.clone());
    });
    let rows = rows(objects.iter().map(|object| object.id.clone()));
    splunkd.alert(&decided(&VERDICT, &rows));
    let log = splunkd.log_file("defender_bridge_update_alert_modalert.log");
    let lines: Vec<&str> = log.lines().collect();
    let with = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(with("signature=\"Invoking modular action\""), 3, "{log}");
    assert_eq!(with("action_status=\"success\""), 2, "{log}");
    assert_eq!(with("action_status=\"failure\""), 1, "{log}");
    for (number, _) in objects.iter().enumerate() {
        assert_eq!(with(&format!(" rid=\"{number}\"")), 2, "{log}");
    }
    for line in lines {
        let (stamp, rest) = line.split_at(28);
        assert!(
            stamp[..23].parse::<jiff::civil::DateTime>().is_ok()
                || stamp[..19].parse::<jiff::civil::DateTime>().is_ok(),
            "{line}"
        );
        assert!(stamp.ends_with("+0000"), "{line}");
        let rest = rest.trim_start();
        let (level, rest) = rest.split_once(' ').unwrap();
        assert!(["INFO", "WARN", "ERROR"].contains(&level), "{line}");
        assert!(
            rest.starts_with("sendmodaction - worker=\"sh1\" signature=\""),
            "{line}"
        );
        for pair in [
            "action_name=\"defender_bridge_update_alert\"",
            "search_name=\"My alert\"",
            "sid=\"scheduler__1\"",
            "app=\"search\"",
            "user=\"admin\"",
            "action_mode=\"saved\"",
        ] {
            assert!(line.contains(pair), "{pair} in {line}");
        }
    }
}

#[test]
fn the_role_is_found_wherever_execute_stands() {
    for arguments in [
        ["alert-action", "defender_bridge_update_alert", "--execute"],
        ["--execute", "alert-action", "defender_bridge_update_alert"],
        ["alert-action", "--execute", "defender_bridge_update_alert"],
    ] {
        let (_tenant, objects, splunkd) = open(Feed::GraphAlerts, 1);
        let rows = rows([objects[0].id.clone()]);
        let alert = Alert {
            arguments: &arguments,
            ..decided(&VERDICT, &rows)
        };
        ended(&splunkd.alert(&alert), 0);
        assert_eq!(counts(&splunkd), expected(&[("updated", 1)]));
    }
}

#[test]
fn a_wrong_call_exits_with_one() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 1);
    let rows = rows([objects[0].id.clone()]);
    let arguments = ["alert-action", "defender_do_what"];
    let alert = Alert {
        arguments: &arguments,
        ..decided(&VERDICT, &rows)
    };
    assert_eq!(splunkd.alert(&alert).code(), Some(1));

    let run = splunkd.run_arguments(&["alert-action", "defender_bridge_update_alert"]);
    assert_eq!(
        run.code(),
        Some(1),
        "a payload that is none: {}",
        run.stderr
    );

    let nothing = splunkd.alert(&decided(&[("account", "contoso")], &rows));
    assert!(
        matches!(nothing.code(), Some(1 | 2)),
        "nothing to change: {}",
        nothing.stderr
    );
    assert_eq!(tenant.calls().len(), 0);
}

#[test]
fn an_unknown_account_is_named_and_nothing_is_called() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 1);
    let rows = rows([objects[0].id.clone()]);
    let form = [("account", "fabrikam"), ("status", "resolved")];
    let run = splunkd.alert(&decided(&form, &rows));
    assert!(run.refusal().contains("fabrikam"), "{}", run.stderr);
    assert_eq!(tenant.calls().len(), 0);
}

#[test]
fn who_may_not_triage_is_refused_with_the_missing_capability() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 1);
    let rows = rows([objects[0].id.clone()]);
    let alert = Alert {
        session_key: READER_KEY,
        ..decided(&VERDICT, &rows)
    };
    let run = splunkd.alert(&alert);
    assert_eq!(run.code(), Some(1));
    assert!(run.refusal().contains("defender_triage"), "{}", run.stderr);
    assert_eq!(tenant.calls().len(), 0);
}

#[test]
fn an_analyst_who_may_not_read_passwords_is_told_which_capability_is_missing() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 1);
    let rows = rows([objects[0].id.clone()]);
    let alert = Alert {
        session_key: ANALYST_KEY,
        ..decided(&VERDICT, &rows)
    };
    let run = splunkd.alert(&alert);
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
    assert!(
        run.stderr.contains("list_storage_passwords"),
        "{}",
        run.stderr
    );
    assert_eq!(tenant.calls().len(), 0);
}

#[test]
fn outcomes_splunkd_does_not_take_do_not_stop_the_writing() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 3);
    splunkd.fail_receivers(403);
    let rows = rows(objects.iter().map(|object| object.id.clone()));
    let run = splunkd.alert(&decided(&VERDICT, &rows));
    assert!(
        !run.lines("WARN").is_empty() || !run.lines("ERROR").is_empty(),
        "{}",
        run.stderr
    );
    for object in &objects {
        assert_eq!(
            tenant.object(Feed::GraphAlerts, &object.id)["status"],
            "resolved"
        );
    }
}

#[test]
fn a_change_made_here_comes_back_once_in_the_feed() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 4);
    let splunkd = splunkd.input(
        "feed",
        [("account", "contoso"), ("feed", "alerts"), ("settle", "0s")],
    );
    assert_eq!(splunkd.run().well().events().len(), 4);
    let form = [("account", "contoso"), ("status", "resolved")];
    let rows = rows([objects[2].id.clone()]);
    ended(&splunkd.alert(&decided(&form, &rows)), 0);
    let mut events = splunkd.run().well().events();
    events.extend(splunkd.run().well().events());
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].data, tenant.objects(Feed::GraphAlerts)[2].text);
}

#[test]
fn an_ad_hoc_response_from_incident_review_acts_on_the_notables_alert() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 2);
    // A notable keeps the fields of the correlation search's row beside its own.
    let header = [
        "event_id",
        "rule_id",
        "orig_sid",
        "orig_rid",
        "status",
        "status_label",
        "owner",
        "urgency",
        "search_name",
        "id",
        "lastUpdateDateTime",
    ];
    let updated = tenant.object(Feed::GraphAlerts, &objects[0].id)["lastUpdateDateTime"].clone();
    let notable: Vec<String> = [
        "6D@@notable@@a1",
        "6D@@notable@@a1",
        "scheduler__admin__x__RMD5_at_1_2",
        "7",
        "1",
        "New",
        "unassigned",
        "high",
        "Threat - Malware - Rule",
        objects[0].id.as_str(),
        updated.as_str().unwrap(),
    ]
    .map(str::to_owned)
    .into();
    let rows = [notable];
    let form = [
        ("account", "contoso"),
        ("status", "resolved"),
        ("_cam", "{}"),
    ];
    let instead = [
        ("sid", "1700000000.99".into()),
        ("search_name", "".into()),
        ("search_uri", "".into()),
        ("owner", "ann".into()),
        ("user", "ann".into()),
        ("app", "SplunkEnterpriseSecuritySuite".into()),
    ];
    let alert = Alert {
        form: &form,
        header: &header,
        rows: &rows,
        instead: &instead,
        ..Alert::default()
    };
    ended(&splunkd.alert(&alert), 0);
    assert_eq!(
        tenant.object(Feed::GraphAlerts, &objects[0].id)["status"],
        "resolved"
    );
    assert_eq!(
        tenant.object(Feed::GraphAlerts, &objects[1].id)["status"],
        "new"
    );
    let log = splunkd.log_file("defender_bridge_update_alert_modalert.log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    let same = "action_name=\"defender_bridge_update_alert\" sid=\"1700000000.99\" \
                orig_sid=\"scheduler__admin__x__RMD5_at_1_2\" rid=\"0\" orig_rid=\"7\" \
                app=\"SplunkEnterpriseSecuritySuite\" user=\"ann\" digest_mode=\"1\" action_mode=\"adhoc\"";
    assert!(
        lines[0].contains("signature=\"Invoking modular action\""),
        "{log}"
    );
    assert!(lines[0].ends_with(same), "{log}");
    assert!(
        lines[1].ends_with(&format!("{same} action_status=\"success\"")),
        "{log}"
    );
    let outcomes = outcomes(&splunkd);
    assert_eq!(
        (&outcomes[0]["alert_user"], &outcomes[0]["sid"]),
        (&"ann".into(), &"1700000000.99".into())
    );
}

#[test]
fn an_ad_hoc_run_without_a_results_file_acts_on_the_row_in_the_payload() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 1);
    let form = [
        ("account", "contoso"),
        ("status", "resolved"),
        ("id_field", "$result.alert$"),
    ];
    let row = serde_json::json!({"alert": objects[0].id, "rid": "3", "orig_sid": "s0"});
    let instead = [
        ("sid", "1.2".into()),
        ("results_file", Value::Null),
        ("result", row),
    ];
    let alert = Alert {
        form: &form,
        instead: &instead,
        ..Alert::default()
    };
    ended(&splunkd.alert(&alert), 0);
    assert_eq!(
        tenant.object(Feed::GraphAlerts, &objects[0].id)["status"],
        "resolved"
    );
    let log = splunkd.log_file("defender_bridge_update_alert_modalert.log");
    assert_eq!(log.matches("orig_sid=\"s0\" rid=\"3\"").count(), 2, "{log}");
}

#[test]
fn per_result_runs_are_told_apart_in_the_response_action_log() {
    let (_tenant, objects, splunkd) = open(Feed::GraphAlerts, 2);
    let form = [("account", "contoso"), ("status", "resolved")];
    for (number, object) in objects.iter().enumerate() {
        let row = serde_json::json!({"id": object.id});
        let instead = [("result_id", number.to_string().into()), ("result", row)];
        let alert = Alert {
            form: &form,
            instead: &instead,
            ..Alert::default()
        };
        ended(&splunkd.alert(&alert), 0);
    }
    let log = splunkd.log_file("defender_bridge_update_alert_modalert.log");
    for number in 0..2 {
        let pair = format!("rid=\"{number}\" app=\"search\" user=\"admin\" digest_mode=\"0\"");
        assert_eq!(log.matches(&pair).count(), 2, "{log}");
    }
}
