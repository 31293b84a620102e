//! Search commands speak Splunk's chunked protocol: rows in, rows out, and
//! nothing is written that nobody asked for.

use crate::counterpart::chunked::{Answer, Search, column, execute, search};
use crate::counterpart::queue::{CLOSE, FEED, ids, new_alerts, table};
use crate::counterpart::splunkd::{READER_KEY, SESSION_KEY};
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Splunkd, Tenant};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn rows_are_written_handed_on_and_recorded_chunk_by_chunk() {
    let (tenant, objects, splunkd) = new_alerts(5);
    let ids = ids(&objects);
    let first = table(ids[..2].iter().copied().chain(["da0_-404"]));
    let second = table(ids[2..].iter().copied().chain(["no id?"]));
    let (answers, run) = search("defenderupdate", &CLOSE).run(&splunkd, &[&first, &second]);
    let run = run.well();
    assert_eq!(
        answers.iter().map(Answer::finished).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(
        column(&answers, "defender_outcome"),
        [
            "updated",
            "updated",
            "not_found",
            "updated",
            "updated",
            "updated",
            "invalid"
        ],
        "{}",
        run.stderr
    );
    assert!(
        column(&answers, "note")
            .iter()
            .all(|note| *note == "a \"note\", with\nall")
    );
    assert_eq!(
        answers[1].messages(),
        [
            "WARN defenderupdate: 7 rows: 5 updated, 1 not_found, 1 invalid; defender_message says why"
        ]
    );
    let batches = column(&answers, "defender_batch");
    assert!(batches.iter().all(|batch| *batch == batches[0]));
    for object in &objects {
        let now = tenant.object(FEED, &object.id);
        assert_eq!(now["status"], "resolved");
        assert_eq!(now["comments"].as_array().unwrap().len(), 1);
    }
    let recorded: Vec<Value> = splunkd
        .indexed()
        .iter()
        .map(|got| serde_json::from_str(&got.body).unwrap())
        .collect();
    let mut rows: Vec<u64> = recorded
        .iter()
        .map(|e| e["row"].as_u64().unwrap())
        .collect();
    rows.sort_unstable();
    assert_eq!(rows, [1, 2, 3, 4, 5, 6, 7]);
    assert!(
        recorded
            .iter()
            .all(|entry| entry["action"] == "defenderupdate"
                && entry["sid"] == "1700000000.1"
                && entry["actor"] == "splunk-system-user")
    );
    assert!(!run.text().contains(SESSION_KEY) && !run.stderr.contains(SESSION_KEY));
}

#[test]
fn a_dry_run_and_a_preview_write_nothing() {
    let (tenant, objects, splunkd) = new_alerts(3);
    let table = table(ids(&objects));
    let dry: Vec<&str> = CLOSE.into_iter().chain(["dry_run=true"]).collect();
    let (answers, _) = search("defenderupdate", &dry).run(&splunkd, &[&table]);
    assert_eq!(column(&answers, "defender_outcome"), ["planned"; 3]);
    let preview = Search {
        preview: true,
        ..search("defenderupdate", &CLOSE)
    };
    let (answers, run) = preview.run(&splunkd, &[&table]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), [""; 3]);
    assert_eq!(tenant.write_calls().len(), 0);
}

#[test]
fn who_may_not_write_is_told_which_capability_is_missing() {
    let (tenant, objects, splunkd) = new_alerts(1);
    let reader = Search {
        key: READER_KEY,
        ..search("defenderupdate", &CLOSE)
    };
    let (answers, run) = reader.run(&splunkd, &[&table(ids(&objects))]);
    assert_eq!(run.code(), Some(1));
    assert!(answers[0].finished() && answers[0].rows.is_empty());
    assert!(
        answers[0].messages()[0].contains("defender_triage"),
        "{answers:?}"
    );
    assert_eq!(tenant.calls().len(), 0);
}

#[test]
fn too_many_targets_are_refused_also_over_several_chunks() {
    let (tenant, objects, splunkd) = new_alerts(5);
    let ids = ids(&objects);
    let args: Vec<&str> = CLOSE.into_iter().chain(["max_targets=3"]).collect();
    let whole = table(ids.iter().copied());
    let (answers, run) = search("defenderupdate", &args).run(&splunkd, &[&whole]);
    assert_eq!(run.code(), Some(1));
    assert!(answers[0].messages()[0].contains("5 distinct targets, 3 are allowed"));
    assert_eq!(tenant.write_calls().len(), 0);
    let (first, second) = (
        table(ids[..2].iter().copied()),
        table(ids[2..].iter().copied()),
    );
    let (answers, run) = search("defenderupdate", &args).run(&splunkd, &[&first, &second]);
    assert_eq!(run.code(), Some(1));
    assert_eq!(column(&answers, "defender_outcome"), ["updated"; 2]);
    assert!(answers[1].messages()[0].contains("row 3"), "{answers:?}");
    assert_eq!(tenant.object(FEED, ids[2])["status"], "new");
}

#[test]
fn a_search_that_is_cancelled_begins_nothing_more() {
    let (tenant, objects, splunkd) = new_alerts(3);
    let search = search("defenderupdate", &CLOSE);
    let mut questions = search.getinfo(&splunkd) + &execute(false, &table(ids(&objects)));
    questions.truncate(questions.len() - 1);
    let mut running = search.start(&splunkd, &questions);
    running.close_stdin();
    let run = running.finish().well();
    // Nobody is left to be told more than what the command is, if that.
    assert!(run.text().matches("chunked 1.0").count() <= 1);
    assert_eq!(tenant.write_calls().len(), 0);
}

#[test]
fn a_search_cancelled_in_the_middle_accounts_for_every_row() {
    let (tenant, objects, splunkd) = new_alerts(30);
    let search = search("defenderupdate", &CLOSE);
    let questions = search.getinfo(&splunkd) + &execute(false, &table(ids(&objects)));
    let mut running = search.start(&splunkd, &questions);
    assert!(running.wait_until(|| !tenant.write_calls().is_empty()));
    running.close_stdin();
    running.finish().well();
    let recorded: Vec<Value> = splunkd
        .indexed()
        .iter()
        .map(|got| serde_json::from_str(&got.body).unwrap())
        .collect();
    let rows: std::collections::BTreeSet<u64> = recorded
        .iter()
        .map(|e| e["row"].as_u64().unwrap())
        .collect();
    assert_eq!((recorded.len(), rows.len()), (30, 30));
    for entry in &recorded {
        let now = tenant.object(FEED, entry["target"].as_str().unwrap());
        let resolved = now["status"] == "resolved";
        match entry["outcome"].as_str().unwrap() {
            "updated" => assert!(resolved, "{entry}"),
            "deferred" => assert!(!resolved, "{entry}"),
            other => panic!("{other}: {entry}"),
        }
    }
}

#[test]
fn a_stop_signal_ends_a_waiting_command_at_once() {
    let (_tenant, _, splunkd) = new_alerts(1);
    let search = search("defenderget", &["account=contoso"]);
    let mut running = search.start(&splunkd, &search.getinfo(&splunkd));
    assert!(running.wait_for_output(20));
    running.terminate();
    assert!(running.ends_within(Duration::from_secs(5)).is_some());
    assert_eq!(running.finish().code(), Some(0));
}

#[test]
fn live_state_is_read_once_for_each_id() {
    let (tenant, objects, splunkd) = new_alerts(3);
    let ids = ids(&objects);
    let first = table([ids[0], ids[1], ids[0], "da0_-404"]);
    let second = table([ids[1], ids[2], "../users", ""]);
    let args = ["account=contoso", "subject=alert"];
    let (answers, run) = search("defenderget", &args).run(&splunkd, &[&first, &second]);
    run.well();
    assert_eq!(
        column(&answers, "defender_live_result"),
        [
            "ok",
            "ok",
            "ok",
            "not_found",
            "ok",
            "ok",
            "invalid",
            "no_id"
        ]
    );
    let status = column(&answers, "defender_live_status");
    assert_eq!(status, ["new", "new", "new", "", "new", "new", "", ""]);
    let updated = &answers[0].rows[0]["defender_live_last_update"];
    let now = tenant.object(FEED, ids[0]);
    assert_eq!(now["lastUpdateDateTime"], updated.as_str());
    assert_eq!(
        answers[1].messages(),
        ["WARN defenderget: 2 of 5 alerts could not be read; defender_live_message says why"]
    );
    let reads: Vec<String> = tenant
        .calls()
        .iter()
        .filter(|call| call.path.starts_with(FEED.path()))
        .map(|call| call.path.clone())
        .collect();
    let once: std::collections::BTreeSet<&String> = reads.iter().collect();
    assert_eq!(once.len(), reads.len(), "{reads:?}");
}

#[test]
fn what_was_read_is_not_taken_for_what_is_wanted() {
    let (_tenant, objects, splunkd) = new_alerts(1);
    let table = table(ids(&objects));
    let (read, _) = search("defenderget", &["account=contoso"]).run(&splunkd, &[&table]);
    let mut piped = Vec::new();
    let row = &read[0].rows[0];
    let names: Vec<&str> = row.keys().map(String::as_str).collect();
    let mut writer = csv::Writer::from_writer(&mut piped);
    writer.write_record(&names).unwrap();
    writer.write_record(row.values()).unwrap();
    drop(writer);
    let piped = String::from_utf8(piped).unwrap();
    let (answers, _) = search("defenderupdate", &CLOSE).run(&splunkd, &[&piped]);
    assert_eq!(column(&answers, "defender_outcome"), ["updated"]);
}

#[test]
fn a_hunt_brings_typed_columns_in_as_many_answers_as_splunkd_takes() {
    let (tenant, _, splunkd) = new_alerts(0);
    let row = |n: u32| {
        json!({"Timestamp": "2026-01-01T00:00:00.5Z", "DeviceName": format!("pc{n}"),
               "Count": n, "Names": ["a$", "b"], "Remote": true})
    };
    let answer = json!({
        "schema": [{"name": "Timestamp", "type": "DateTime"}, {"name": "DeviceName", "type": "String"},
                   {"name": "Count", "type": "Int64"}, {"name": "Names", "type": "Object"},
                   {"name": "Remote", "type": "SByte"}],
        "results": [row(1), row(2), row(3)],
    });
    tenant.rules(|rules| rules.hunting = (200, answer.to_string()));
    let query = "query=DeviceEvents | where a == \"b\" | take 3";
    let args = ["account=contoso", query, "timespan=P7D"];
    let hunt = Search {
        most_rows: 2,
        ..search("defenderhunt", &args)
    };
    let questions = hunt.getinfo(&splunkd) + &execute(false, "") + &execute(true, "");
    let run = hunt.start(&splunkd, &questions).finish().well();
    let answers = crate::counterpart::chunked::answers(&run.stdout);
    assert_eq!(answers[0].metadata["generating"], true);
    let answers = &answers[1..];
    let sizes: Vec<usize> = answers.iter().map(|answer| answer.rows.len()).collect();
    assert_eq!(sizes, [2, 1]);
    assert!(!answers[0].finished() && answers[1].finished());
    let row = &answers[1].rows[0];
    assert_eq!(row["_time"], "1767225600.500000");
    assert_eq!((row["Count"].as_str(), row["Remote"].as_str()), ("3", "1"));
    assert_eq!(row["__mv_Names"], "$a$$$;$b$");
    let asked = tenant.calls();
    let asked = asked
        .iter()
        .find(|call| call.path.ends_with("runHuntingQuery"));
    let body: Value = serde_json::from_str(&asked.unwrap().body).unwrap();
    assert_eq!(
        body,
        json!({"Query": "DeviceEvents | where a == \"b\" | take 3", "Timespan": "P7D"})
    );
}

#[test]
fn a_wrong_query_is_explained_in_microsofts_words() {
    let (tenant, _, splunkd) = new_alerts(0);
    let said = "'where' operator: Failed to resolve scalar expression named 'a'";
    let error = json!({"error": {"code": "BadRequest", "message": said}});
    tenant.rules(|rules| rules.hunting = (400, error.to_string()));
    let args = ["account=contoso", "query=T | where a"];
    let (answers, run) = search("defenderhunt", &args).run(&splunkd, &[""]);
    assert_eq!(run.code(), Some(1));
    assert!(answers[0].finished());
    assert!(answers[0].messages()[0].contains(said), "{answers:?}");
}

#[test]
fn a_check_tells_point_by_point_what_is_missing() {
    let (_tenant, _, splunkd) = new_alerts(1);
    splunkd.set("account", "empty", "tenant_id", "");
    let (answers, run) = search("defendercheck", &[]).run(&splunkd, &[""]);
    run.well();
    let rows = &answers[0].rows;
    let check = |account: &str, check: &str| {
        rows.iter()
            .find(|row| row["account"] == account && row["check"] == check)
            .unwrap_or_else(|| panic!("{account} {check}: {rows:?}"))
    };
    assert_eq!(check("", "splunkd")["state"], "ok");
    assert_eq!(check("contoso", "sign-in")["state"], "ok");
    let hunting = check("contoso", "permission to hunt");
    assert_eq!(hunting["state"], "warning");
    assert_eq!(hunting["permission"], "ThreatHunting.Read.All");
    assert!(hunting["remedy"].contains("admin consent"));
    assert_eq!(check("empty", "account")["state"], "failed");
}

#[test]
fn an_unknown_account_is_named_with_those_there_are() {
    let (_tenant, objects, splunkd) = new_alerts(1);
    for (command, args) in [
        ("defenderupdate", &["account=nobody", "status=resolved"][..]),
        ("defenderget", &["account=nobody"]),
        ("defenderhunt", &["account=nobody", "query=T"]),
    ] {
        let (answers, run) = search(command, args).run(&splunkd, &[&table(ids(&objects))]);
        assert_eq!(run.code(), Some(1), "{command}");
        let said = answers[0].messages().join(" ");
        assert!(
            said.contains("nobody") && said.contains("contoso"),
            "{said}"
        );
    }
}

#[test]
fn incidents_go_the_same_way_under_their_own_subject() {
    let objects = recent(Feed::GraphIncidents, 1);
    let tenant = Tenant::holding(Feed::GraphIncidents, objects.clone());
    let splunkd = Splunkd::new().account("contoso", &tenant);
    let rows = table(ids(&objects));
    let args = ["account=contoso", "subject=incident"];
    let (answers, _) = search("defenderget", &args).run(&splunkd, &[&rows]);
    assert_eq!(column(&answers, "defender_live_result"), ["ok"]);
    let args = [
        "account=contoso",
        "subject=incident",
        "tags_add=tier2",
        "assigned_to=kim@contoso.com",
    ];
    let (answers, _) = search("defenderupdate", &args).run(&splunkd, &[&rows]);
    assert_eq!(column(&answers, "defender_outcome"), ["updated"]);
    let now = tenant.object(Feed::GraphIncidents, &objects[0].id);
    assert_eq!(now["assignedTo"], "kim@contoso.com");
    assert!(
        now["customTags"]
            .as_array()
            .unwrap()
            .contains(&json!("tier2"))
    );
}

#[test]
fn a_target_counts_once_however_many_chunks_name_it() {
    let (tenant, objects, splunkd) = new_alerts(3);
    let ids = ids(&objects);
    let args: Vec<&str> = CLOSE.into_iter().chain(["max_targets=3"]).collect();
    let chunks = [
        table([ids[0], ids[1]]),
        table([ids[1], ids[0]]),
        table([ids[0], ids[2], ids[0]]),
    ];
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let (answers, run) = search("defenderupdate", &args).run(&splunkd, &chunks);
    run.well();
    let outcomes = column(&answers, "defender_outcome");
    assert_eq!(outcomes[..2], ["updated", "updated"]);
    assert_eq!(outcomes[2..4], ["unchanged", "unchanged"]);
    assert_eq!(outcomes[4..], ["unchanged", "updated", "unchanged"]);
    for object in &objects {
        let now = tenant.object(FEED, &object.id);
        assert_eq!(now["comments"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_message_names_a_row_by_its_number_in_the_whole_search() {
    let (_tenant, objects, splunkd) = new_alerts(1);
    let id = objects[0].id.as_str();
    let chunks = [table([id, "no id?"]), table(["../x", id, id])];
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let (answers, _) = search("defenderupdate", &CLOSE).run(&splunkd, &chunks);
    let messages = column(&answers, "defender_message");
    assert!(messages[1].starts_with("row 2,"), "{messages:?}");
    assert!(messages[2].starts_with("row 3,"), "{messages:?}");
    assert!(
        messages[4].ends_with("(together with row 4)"),
        "{messages:?}"
    );
}

#[test]
fn outcomes_of_earlier_runs_are_handed_over_once_in_a_search() {
    let (_tenant, objects, splunkd) = new_alerts(3);
    let ids = ids(&objects);
    splunkd.fail_receivers(403);
    let first = table([ids[0]]);
    search("defenderupdate", &CLOSE).run(&splunkd, &[&first]);
    let before = offered(&splunkd);
    let chunks = [table([ids[1]]), table([ids[2]]), table([ids[1]])];
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let (answers, _) = search("defenderupdate", &CLOSE).run(&splunkd, &chunks);
    assert_eq!(column(&answers, "defender_outcome")[..2], ["updated"; 2]);
    // One of the earlier run's, and the first of this one's.
    assert_eq!(offered(&splunkd) - before, 2);
}

fn offered(splunkd: &Splunkd) -> usize {
    let received = splunkd.received().into_iter();
    let offered = received.filter(|got| got.path == "/services/receivers/simple");
    offered.count()
}

#[test]
fn a_conversation_in_pieces_of_one_byte_goes_like_a_whole_one() {
    let (_tenant, objects, splunkd) = new_alerts(2);
    let args: Vec<&str> = CLOSE.into_iter().chain(["dry_run=1"]).collect();
    let search = search("defenderupdate", &args);
    let rows = table(ids(&objects));
    let questions = search.getinfo(&splunkd) + &execute(false, &rows) + &execute(true, "");
    let mut running = search.start(&splunkd, "");
    for byte in questions.bytes() {
        running.write(&[byte]);
    }
    let dripped = running.finish().well();
    let whole = search.start(&splunkd, &questions).finish().well();
    let rows = |run: &crate::counterpart::process::Run| {
        let answers = crate::counterpart::chunked::answers(&run.stdout);
        let outcomes = column(&answers[1..], "defender_outcome");
        outcomes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(rows(&dripped), ["planned"; 2]);
    assert_eq!(rows(&whole), rows(&dripped));
}

#[test]
fn an_end_inside_a_chunk_means_that_nobody_wants_it() {
    let (tenant, objects, splunkd) = new_alerts(2);
    let search = search("defenderupdate", &CLOSE);
    let info = search.getinfo(&splunkd);
    let chunk = execute(true, &table(ids(&objects)));
    let header = chunk.find('\n').unwrap();
    for cut in [0, 3, header, header + 1, header + 20, chunk.len() - 1] {
        let mut running = search.start(&splunkd, &(info.clone() + &chunk[..cut]));
        running.close_stdin();
        let run = running.finish().well();
        let answers = crate::counterpart::chunked::answers(&run.stdout);
        assert_eq!(answers.len(), 1, "{cut}: the introduction alone");
    }
    assert!(tenant.calls().is_empty());
    assert!(splunkd.indexed().is_empty());
}

#[test]
fn a_chunk_larger_than_any_is_refused_before_it_is_read() {
    let (tenant, _, splunkd) = new_alerts(1);
    let search = search("defenderupdate", &CLOSE);
    let info = search.getinfo(&splunkd);
    for header in [
        "chunked 1.0,40,99999999999\n",
        "chunked 1.0,99999999999,0\n",
        "chunked 1.0,99999999999999999999999999,0\n",
        "chunked 1.0,-1,0\n",
        "chunked 2.0,1,0\n",
        "GET / HTTP/1.1\r\n",
        &"x".repeat(200),
    ] {
        let run = search.start(&splunkd, &(info.clone() + header)).finish();
        assert_eq!(run.code(), Some(1), "{header}: {}", run.stderr);
        let answers = crate::counterpart::chunked::answers(&run.stdout);
        let last = answers.last().unwrap();
        assert!(
            last.finished() && last.messages()[0].starts_with("ERROR "),
            "{last:?}"
        );
    }
    assert!(tenant.calls().is_empty());
}

#[test]
fn head_is_satisfied_with_what_came_and_the_rest_is_not_begun() {
    let (tenant, objects, splunkd) = new_alerts(3);
    let ids = ids(&objects);
    let search = search("defenderupdate", &CLOSE);
    let first = table([ids[0]]);
    let questions = search.getinfo(&splunkd) + &execute(false, &first);
    // Hung up behind the first answer, or told that this was all.
    let mut running = search.start(&splunkd, &questions);
    assert!(running.wait_for_output(600));
    running.close_stdin();
    let run = running.finish().well();
    assert_eq!(crate::counterpart::chunked::answers(&run.stdout).len(), 2);
    let told = questions + &execute(true, "");
    let run = search.start(&splunkd, &told).finish().well();
    let answers = crate::counterpart::chunked::answers(&run.stdout);
    assert!(answers[2].finished() && answers[2].rows.is_empty());
    assert_eq!(tenant.object(FEED, ids[0])["status"], "resolved");
    assert_eq!(tenant.object(FEED, ids[1])["status"], "new");
}

#[test]
fn a_chunk_that_is_a_preview_is_handed_on_and_only_the_real_one_written() {
    let (tenant, objects, splunkd) = new_alerts(1);
    let search = search("defenderupdate", &CLOSE);
    let rows = table(ids(&objects));
    let preview =
        execute(false, &rows).replace("\"finished\":false", "\"finished\":false,\"preview\":true");
    let longer = preview.len() - execute(false, &rows).len();
    let (header, rest) = preview.split_once('\n').unwrap();
    let (head, body) = header.rsplit_once(',').unwrap();
    let (version, metadata) = head.rsplit_once(',').unwrap();
    let metadata: usize = metadata.parse().unwrap();
    let preview = format!("{version},{},{body}\n{rest}", metadata + longer);
    let mut running = search.start(&splunkd, &(search.getinfo(&splunkd) + &preview));
    assert!(running.wait_for_output(300));
    assert!(tenant.calls().is_empty());
    running.write(execute(true, &rows).as_bytes());
    let run = running.finish().well();
    let answers = crate::counterpart::chunked::answers(&run.stdout);
    assert_eq!(column(&answers[1..], "defender_outcome"), ["", "updated"]);
    assert_eq!(splunkd.indexed().len(), 1);
}
