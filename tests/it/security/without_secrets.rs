//! A role that may triage reads and writes without ever reading a secret:
//! through the app's REST endpoint, whichever way the role comes in.

use crate::counterpart::chunked::{Answer, Search, column, execute, search};
use crate::counterpart::queue::{CLOSE, FEED, ids, new_alerts, table};
use crate::counterpart::signin::CLIENT_SECRET;
use crate::counterpart::splunkd::{
    ANALYST_KEY, Alert, HUNTER_KEY, KEEPER_KEY, READER_KEY, Received, SESSION_KEY, files_under,
};
use crate::counterpart::{Splunkd, Tenant};
use serde_json::{Value, json};

fn analyst<'a>(command: &'a str, args: &'a [&'a str]) -> Search<'a> {
    Search {
        key: ANALYST_KEY,
        ..search(command, args)
    }
}

/// Whoever may hunt, and nothing else.
fn hunter<'a>(args: &'a [&'a str]) -> Search<'a> {
    Search {
        key: HUNTER_KEY,
        ..search("defenderhunt", args)
    }
}

fn recorded(splunkd: &Splunkd) -> Vec<Value> {
    let indexed = splunkd.indexed().into_iter();
    let mut recorded: Vec<Value> = indexed
        .map(|got| serde_json::from_str(&got.body).unwrap())
        .collect();
    recorded.sort_by_key(|entry| entry["row"].as_u64());
    recorded
}

/// The analyst's own key was never refused a secret, because it asked for none.
#[track_caller]
fn no_secret_was_asked_for(splunkd: &Splunkd) {
    let refused = |got: &&Received| got.path.contains("passwords") && got.status == 403;
    assert_eq!(splunkd.received().iter().filter(refused).count(), 0);
}

#[track_caller]
fn nothing_holds_a_secret(splunkd: &Splunkd, texts: &[&str]) {
    let files = files_under(&splunkd.home());
    let files = files.values().map(|bytes| String::from_utf8_lossy(bytes));
    let bodies = splunkd.received().into_iter().map(|got| got.body.into());
    let texts = texts.iter().map(|text| (*text).into());
    for text in files.chain(bodies).chain(texts) {
        for secret in [CLIENT_SECRET, SESSION_KEY, ANALYST_KEY] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn an_alert_action_writes_through_the_endpoint() {
    let (tenant, objects, splunkd) = new_alerts(3);
    let splunkd = splunkd.serving();
    let rows: Vec<Vec<String>> = ids(&objects)
        .into_iter()
        .chain(["da0_-404"])
        .map(|id| vec![id.to_owned()])
        .collect();
    let form = [("account", "contoso"), ("status", "resolved")];
    let alert = Alert {
        form: &form,
        header: &["id"],
        rows: &rows,
        session_key: ANALYST_KEY,
        ..Alert::default()
    };
    let run = splunkd.alert(&alert);
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
    let outcomes: Vec<Value> = recorded(&splunkd);
    let words: Vec<&str> = outcomes
        .iter()
        .map(|o| o["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["updated", "updated", "updated", "not_found"]);
    assert!(
        outcomes
            .iter()
            .all(|o| o["actor"] == "analyst" && o["sid"] == "scheduler__1")
    );
    for object in &objects {
        assert_eq!(tenant.object(FEED, &object.id)["status"], "resolved");
    }
    let log = splunkd.log_file("defender_bridge_update_alert_modalert.log");
    assert_eq!(log.matches("Invoking modular action").count(), 4, "{log}");
    assert_eq!(log.matches("action_status=\"success\"").count(), 3, "{log}");
    assert_eq!(log.matches("action_status=\"failure\"").count(), 1, "{log}");
    assert_eq!(splunkd.asked_of_endpoint("triage").len(), 1);
    no_secret_was_asked_for(&splunkd);
    nothing_holds_a_secret(&splunkd, &[&run.stderr, &run.text()]);
}

#[test]
fn a_search_writes_chunk_by_chunk_as_one_batch_of_one_run_of_rows() {
    let (tenant, objects, splunkd) = new_alerts(4);
    let splunkd = splunkd.serving();
    let ids = ids(&objects);
    let first = table(ids[..2].iter().copied());
    let second = table(ids[2..].iter().copied().chain(["no id?"]));
    let search = analyst("defenderupdate", &CLOSE);
    let (answers, run) = search.run(&splunkd, &[&first, &second]);
    let run = run.well();
    assert_eq!(
        column(&answers, "defender_outcome"),
        ["updated", "updated", "updated", "updated", "invalid"],
        "{}",
        run.stderr
    );
    assert_eq!(column(&answers, "defender_target")[..4], ids);
    let after = column(&answers, "defender_after")[0];
    assert_eq!(
        serde_json::from_str::<Value>(after).unwrap()["status"],
        "resolved"
    );
    let message = column(&answers, "defender_message")[4];
    assert!(message.starts_with("row 5,"), "{message}");
    let entries = recorded(&splunkd);
    let rows: Vec<u64> = entries.iter().map(|e| e["row"].as_u64().unwrap()).collect();
    assert_eq!(rows, [1, 2, 3, 4, 5]);
    let batch = column(&answers, "defender_batch")[0];
    assert!(
        entries
            .iter()
            .all(|entry| entry["batch"] == batch && entry["actor"] == "analyst")
    );
    for object in &objects {
        let comments = tenant.object(FEED, &object.id)["comments"].clone();
        assert_eq!(comments.as_array().unwrap().len(), 1);
    }
    assert_eq!(splunkd.asked_of_endpoint("triage").len(), 2);
    assert_eq!(splunkd.endpoint_processes(), 1);
    no_secret_was_asked_for(&splunkd);
    nothing_holds_a_secret(&splunkd, &[&run.stderr, &run.text()]);
}

#[test]
fn what_is_too_large_at_once_goes_in_parts() {
    let (tenant, objects, splunkd) = new_alerts(8);
    let splunkd = splunkd.serving();
    splunkd.take_at_most(700);
    let search = analyst("defenderupdate", &CLOSE);
    let (answers, _) = search.run(&splunkd, &[&table(ids(&objects))]);
    assert_eq!(column(&answers, "defender_outcome"), ["updated"; 8]);
    let asked = splunkd.asked_of_endpoint("triage");
    assert!(asked.iter().any(|got| got.status == 413));
    assert!(asked.iter().filter(|got| got.status == 200).count() > 1);
    assert_eq!(recorded(&splunkd).len(), 8);
    for object in &objects {
        let now = tenant.object(FEED, &object.id);
        assert_eq!(now["status"], "resolved");
        assert_eq!(now["comments"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_row_too_large_for_splunkd_stops_no_other() {
    let (_tenant, objects, splunkd) = new_alerts(3);
    let splunkd = splunkd.serving();
    splunkd.take_at_most(2000);
    let ids = ids(&objects);
    let rows = format!(
        "id,note\r\n{},\r\n{},{}\r\n{},\r\n",
        ids[0],
        ids[1],
        "x".repeat(3000),
        ids[2]
    );
    let (answers, _) = analyst("defenderupdate", &CLOSE).run(&splunkd, &[&rows]);
    assert_eq!(
        column(&answers, "defender_outcome"),
        ["updated", "failed", "updated"]
    );
    let message = column(&answers, "defender_message")[1];
    assert!(
        message.contains("413") && message.contains("fields"),
        "{message}"
    );
}

#[test]
fn a_splunkd_that_is_busy_is_asked_again() {
    let (_tenant, objects, splunkd) = new_alerts(1);
    let splunkd = splunkd.serving();
    splunkd.fail_endpoint(&[429, 503]);
    let search = analyst("defenderupdate", &CLOSE);
    let (answers, run) = search.run(&splunkd, &[&table(ids(&objects))]);
    assert_eq!(
        column(&answers, "defender_outcome"),
        ["updated"],
        "{}",
        run.stderr
    );
    assert_eq!(splunkd.asked_of_endpoint("triage").len(), 3);
}

#[test]
fn an_answer_that_was_lost_begins_nothing_twice() {
    let (tenant, objects, splunkd) = new_alerts(2);
    let splunkd = splunkd.serving();
    splunkd.fail_endpoint(&[500]);
    let ids = ids(&objects);
    let search = analyst("defenderupdate", &CLOSE);
    let (first, second) = (table([ids[0]]), table([ids[1]]));
    let (answers, _) = search.run(&splunkd, &[&first, &second]);
    assert_eq!(column(&answers, "defender_outcome"), ["failed", "updated"]);
    let message = column(&answers, "defender_message")[0];
    assert!(message.contains("ledger"), "{message}");
    assert_eq!(tenant.object(FEED, ids[0])["status"], "new");
    assert_eq!(splunkd.asked_of_endpoint("triage").len(), 2);
    // Kept unsigned by this process, which may neither sign nor index it; the
    // other row's is the endpoint's.
    let [kept] = splunkd.spooled().try_into().unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(
        (&kept["outcome"], &kept["target"]),
        (&json!("failed"), &json!(ids[0]))
    );
    assert_eq!(
        (&kept["actor"], kept.get("signature")),
        (&json!("analyst"), None)
    );
    assert_eq!(recorded(&splunkd).len(), 1);
}

#[test]
fn where_nothing_stands_in_the_missing_capability_is_named() {
    let (tenant, objects, splunkd) = new_alerts(1);
    let table = table(ids(&objects));
    let search = analyst("defenderupdate", &CLOSE);
    let (answers, run) = search.run(&splunkd, &[&table]);
    assert_eq!(column(&answers, "defender_outcome"), ["failed"]);
    let message = column(&answers, "defender_message")[0];
    assert!(message.contains("list_storage_passwords"), "{message}");
    assert!(run.stderr.contains("edit_tcp"), "{}", run.stderr);
    for search in [
        analyst("defenderget", &["account=contoso"]),
        hunter(&["account=contoso", "query=T"]),
    ] {
        let (answers, run) = search.run(&splunkd, &[&table]);
        assert_eq!(run.code(), Some(1), "{}", run.stderr);
        let said = answers[0].messages().join(" ");
        assert!(said.contains("list_storage_passwords"), "{said}");
    }
    assert!(tenant.calls().is_empty());
}

#[test]
fn a_secret_that_the_acl_hides_is_read_through_the_endpoint_by_who_lists_passwords() {
    let (tenant, objects, splunkd) = new_alerts(2);
    let rows = table(ids(&objects));
    let keeper = |command, args| Search {
        key: KEEPER_KEY,
        ..search(command, args)
    };
    // Nobody stands in: capability and ACL are told apart.
    let (answers, run) = keeper("defenderupdate", &CLOSE).run(&splunkd, &[&rows]);
    assert_eq!(column(&answers, "defender_outcome"), ["failed", "failed"]);
    let message = column(&answers, "defender_message")[0];
    assert!(
        message.contains("there is none") && message.contains("metadata/local.meta"),
        "{message}"
    );
    assert!(run.stderr.contains("metadata/local.meta"), "{}", run.stderr);
    let (answers, _) = keeper("defenderget", &["account=contoso"]).run(&splunkd, &[&rows]);
    let said = answers[0].messages().join(" ");
    assert!(said.contains("metadata/local.meta"), "{said}");
    let (answers, _) = keeper("defendercheck", &[]).run(&splunkd, &[""]);
    for check in ["reading from Defender", "writing to Defender"] {
        assert_eq!(state(&answers, "", check), "failed");
    }
    let splunkd = splunkd.serving();
    let (answers, run) = keeper("defendercheck", &[]).run(&splunkd, &[""]);
    for check in ["reading from Defender", "writing to Defender"] {
        assert_eq!(state(&answers, "", check), "ok", "{}", run.stderr);
    }
    assert_eq!(state(&answers, "contoso", "sign-in"), "ok");
    let (answers, _) = keeper("defenderget", &["account=contoso"]).run(&splunkd, &[&rows]);
    assert_eq!(column(&answers, "defender_live_result"), ["ok", "ok"]);
    let (answers, _) = keeper("defenderupdate", &CLOSE).run(&splunkd, &[&rows]);
    assert_eq!(column(&answers, "defender_outcome"), ["updated", "updated"]);
    for object in &objects {
        assert_eq!(tenant.object(FEED, &object.id)["status"], "resolved");
    }
}

#[test]
fn an_endpoint_that_does_not_work_is_gone_round_or_waited_for() {
    for (status, body) in [
        (
            500,
            json!({"messages": [{"type": "ERROR", "text": "Unable to start"}]}),
        ),
        (200, json!("<html>sign in</html>")),
    ] {
        let (tenant, objects, splunkd) = new_alerts(1);
        let splunkd = splunkd.serving();
        splunkd.answer_ping(status, body);
        splunkd.open_acl();
        let rows = table(ids(&objects));
        let (answers, run) = analyst("defenderupdate", &CLOSE).run(&splunkd, &[&rows]);
        assert_eq!(
            column(&answers, "defender_outcome"),
            ["deferred"],
            "{}",
            run.stderr
        );
        let message = column(&answers, "defender_message")[0];
        assert!(
            message.contains("restart Splunk") && message.contains("PersistentScript"),
            "{message}"
        );
        let (answers, run) = analyst("defenderget", &["account=contoso"]).run(&splunkd, &[&rows]);
        assert_eq!(run.code(), Some(1));
        let said = answers[0].messages().join(" ");
        assert!(said.contains("PersistentScript"), "{said}");
        assert!(tenant.calls().is_empty());
        let keeper = |command, args| Search {
            key: KEEPER_KEY,
            ..search(command, args)
        };
        let (answers, run) = keeper("defenderget", &["account=contoso"]).run(&splunkd, &[&rows]);
        assert_eq!(
            column(&answers, "defender_live_result"),
            ["ok"],
            "{}",
            run.stderr
        );
        let (answers, run) = keeper("defenderupdate", &CLOSE).run(&splunkd, &[&rows]);
        assert_eq!(
            column(&answers, "defender_outcome"),
            ["updated"],
            "{}",
            run.stderr
        );
        assert_eq!(tenant.object(FEED, &objects[0].id)["status"], "resolved");
        assert!(splunkd.asked_of_endpoint("triage").is_empty());
    }
}

#[test]
fn reading_falls_back_where_the_endpoint_fails_at_it() {
    let (_tenant, objects, splunkd) = new_alerts(1);
    let splunkd = splunkd.serving();
    splunkd.open_acl();
    splunkd.fail_endpoint(&[500]);
    let keeper = Search {
        key: KEEPER_KEY,
        ..search("defenderget", &["account=contoso"])
    };
    let (answers, run) = keeper.run(&splunkd, &[&table(ids(&objects))]);
    assert_eq!(
        column(&answers, "defender_live_result"),
        ["ok"],
        "{}",
        run.stderr
    );
    assert_eq!(splunkd.asked_of_endpoint("live").len(), 1);
}

#[test]
fn who_reads_secrets_but_sends_no_events_writes_either_way() {
    let (tenant, objects, splunkd) = new_alerts(2);
    splunkd.open_acl();
    let keeper = Search {
        key: KEEPER_KEY,
        ..search("defenderupdate", &CLOSE)
    };
    let ids = ids(&objects);
    let (answers, _) = keeper.run(&splunkd, &[&table([ids[0]])]);
    assert_eq!(column(&answers, "defender_outcome"), ["updated"]);
    assert!(
        splunkd.indexed().is_empty(),
        "kept, until somebody may send it"
    );
    let splunkd = splunkd.serving();
    let (answers, _) = keeper.run(&splunkd, &[&table([ids[1]])]);
    assert_eq!(column(&answers, "defender_outcome"), ["updated"]);
    // The endpoint hands over what waited, too.
    assert_eq!(recorded(&splunkd).len(), 2);
    assert_eq!(tenant.object(FEED, ids[1])["status"], "resolved");
}

#[test]
fn live_state_hunting_and_checks_go_the_same_way() {
    let (tenant, objects, splunkd) = new_alerts(2);
    let splunkd = splunkd.serving();
    let hunted = json!({"schema": [{"name": "DeviceName", "type": "String"}],
                        "results": [{"DeviceName": "pc1"}]});
    tenant.rules(|rules| rules.hunting = (200, hunted.to_string()));
    let rows = table(ids(&objects).into_iter().chain(["da0_-404", "../x"]));
    let (answers, run) = analyst("defenderget", &["account=contoso"]).run(&splunkd, &[&rows]);
    run.well();
    let read = column(&answers, "defender_live_result");
    assert_eq!(read, ["ok", "ok", "not_found", "invalid"]);
    assert_eq!(
        column(&answers, "defender_live_status")[..2],
        ["new", "new"]
    );
    let comments = column(&answers, "defender_live_comment_count");
    assert_eq!(comments[2..], ["", ""]);
    let args = ["account=contoso", "query=DeviceInfo", "timespan=P1D"];
    let (answers, run) = hunter(&args).run(&splunkd, &[""]);
    run.well();
    assert_eq!(column(&answers, "DeviceName"), ["pc1"]);
    // A check does ask for it: that is how it knows.
    no_secret_was_asked_for(&splunkd);
    let (answers, run) = analyst("defendercheck", &[]).run(&splunkd, &[""]);
    let run = run.well();
    assert_eq!(state(&answers, "", "reading from Defender"), "ok");
    assert_eq!(state(&answers, "", "writing to Defender"), "ok");
    // Served, and these tests make no copy of the executable.
    assert_eq!(state(&answers, "", "REST endpoint"), "warning");
    let found = answers.iter().flat_map(|answer| &answer.rows);
    let mut found = found.filter(|row| row["check"] == "REST endpoint");
    let said = &found.next().unwrap()["finding"];
    assert!(
        said.starts_with("served") && said.contains("IN_PLACE"),
        "{said}"
    );
    assert_eq!(state(&answers, "contoso", "sign-in"), "ok");
    nothing_holds_a_secret(&splunkd, &[&run.stderr, &run.text()]);
}

fn state<'a>(answers: &'a [Answer], account: &str, check: &str) -> &'a str {
    let mut rows = answers.iter().flat_map(|answer| &answer.rows);
    let found = rows.find(|row| row["account"] == account && row["check"] == check);
    found.unwrap_or_else(|| panic!("{account} {check}: {answers:?}"))["state"].as_str()
}

#[test]
fn who_may_not_triage_reads_nothing_either() {
    let (tenant, objects, splunkd) = new_alerts(1);
    let splunkd = splunkd.serving();
    let table = table(ids(&objects));
    let reader = |command, args| Search {
        key: READER_KEY,
        ..search(command, args)
    };
    for (command, args, capability) in [
        ("defenderget", &["account=contoso"][..], "defender_triage"),
        (
            "defenderhunt",
            &["account=contoso", "query=T"],
            "defender_hunt",
        ),
    ] {
        let (answers, run) = reader(command, args).run(&splunkd, &[&table]);
        assert_eq!(run.code(), Some(1), "{command}");
        let said = answers[0].messages().join(" ");
        assert!(said.contains(capability), "{said}");
    }
    // Verdicts and hunting are rights apart.
    let query = ["account=contoso", "query=T"];
    let (answers, run) = analyst("defenderhunt", &query).run(&splunkd, &[""]);
    assert_eq!(run.code(), Some(1));
    let said = answers[0].messages().join(" ");
    assert!(said.contains("defender_hunt"), "{said}");
    let (answers, run) = reader("defendercheck", &[]).run(&splunkd, &[""]);
    run.well();
    assert_eq!(state(&answers, "", "reading from Defender"), "failed");
    assert_eq!(state(&answers, "", "writing to Defender"), "warning");
    assert_eq!(state(&answers, "contoso", "account"), "failed");
    assert!(tenant.calls().is_empty());
}

#[test]
fn a_query_refused_by_microsoft_is_told_in_its_words_here_too() {
    let (tenant, _, splunkd) = new_alerts(0);
    let splunkd = splunkd.serving();
    let error = json!({"error": {"code": "BadRequest", "message": "Failed to resolve 'a'"}});
    tenant.rules(|rules| rules.hunting = (400, error.to_string()));
    let args = ["account=contoso", "query=T | where a"];
    let (answers, run) = hunter(&args).run(&splunkd, &[""]);
    assert_eq!(run.code(), Some(1));
    let said = answers[0].messages().join(" ");
    assert!(said.contains("Failed to resolve 'a'"), "{said}");
}

#[test]
fn a_cancelled_search_begins_no_other_part_and_accounts_for_every_row() {
    let (tenant, objects, splunkd) = new_alerts(30);
    let splunkd = splunkd.serving();
    // So that the rows go in several parts.
    splunkd.take_at_most(1500);
    let search = analyst("defenderupdate", &CLOSE);
    let questions = search.getinfo(&splunkd) + &execute(false, &table(ids(&objects)));
    let mut running = search.start(&splunkd, &questions);
    assert!(running.wait_until(|| !tenant.write_calls().is_empty()));
    running.close_stdin();
    running.finish().well();
    let resolved = objects
        .iter()
        .filter(|object| tenant.object(FEED, &object.id)["status"] == "resolved")
        .count();
    assert!(resolved > 0 && resolved < objects.len(), "{resolved}");
    let updated = recorded(&splunkd);
    assert_eq!(updated.len(), resolved);
    assert!(updated.iter().all(|entry| entry["outcome"] == "updated"));
    // What was not begun waits in the spool for somebody who may send it.
    let kept: String = files_under(&splunkd.home())
        .into_iter()
        .filter(|(path, _)| path.to_string_lossy().contains("spool"))
        .map(|(_, content)| String::from_utf8(content).unwrap())
        .collect();
    assert_eq!(
        kept.matches("\"deferred\"").count(),
        objects.len() - resolved
    );
}

#[test]
fn several_searches_at_once_are_served_by_as_many_processes() {
    let (tenant, objects, splunkd): (Tenant, _, _) = new_alerts(4);
    let splunkd = splunkd.serving();
    let ids = ids(&objects);
    let search = analyst("defenderupdate", &CLOSE);
    let (left, right) = (
        search.getinfo(&splunkd) + &execute(true, &table(ids[..2].iter().copied())),
        search.getinfo(&splunkd) + &execute(true, &table(ids[2..].iter().copied())),
    );
    let first = search.start(&splunkd, &left);
    let second = search.start(&splunkd, &right);
    first.finish().well();
    second.finish().well();
    for id in ids {
        assert_eq!(tenant.object(FEED, id)["status"], "resolved");
    }
    assert_eq!(recorded(&splunkd).len(), 4);
}
