//! A run that comes to nothing as a whole is one refusal and leaves one event
//! that people find, however many rows it has; and text nobody needs is no
//! reason for one.

use crate::counterpart::chunked::{Search, messages, search};
use crate::counterpart::process::{self, Reading, Run};
use crate::counterpart::queue::{CLOSE, FEED, ids, new_alerts};
use crate::counterpart::splunkd::{ANALYST_KEY, Alert, SESSION_KEY};
use crate::counterpart::{Splunkd, results};
use serde_json::{Value, json};

/// The only event, which the saved search about verdicts not carried out finds.
#[track_caller]
fn refusal(splunkd: &Splunkd) -> Value {
    let indexed = splunkd.indexed();
    let spooled = splunkd.spooled();
    let bodies = indexed.iter().map(|got| &got.body).chain(&spooled);
    let events: Vec<Value> = bodies
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    let [event] = events.as_slice() else {
        panic!("{} events", events.len())
    };
    assert_eq!(event["outcome"], "invalid", "{event}");
    assert_eq!(event["dry_run"], false);
    assert!(event.get("target").is_none() && event.get("row").is_none());
    assert!(event.to_string().len() < 2_000);
    event.clone()
}

fn closing(splunkd: &Splunkd, rows: &[Vec<String>], more: &[(&str, &str)]) -> Run {
    let form = [("account", "contoso"), ("status", "resolved")];
    splunkd.alert(&Alert {
        form: &[form.as_slice(), more].concat(),
        header: &["id"],
        rows,
        ..Alert::default()
    })
}

#[test]
fn the_101st_closure_of_an_action_that_takes_a_hundred_leaves_one_event() {
    let (tenant, _, splunkd) = new_alerts(1);
    let rows: Vec<Vec<String>> = (0..101).map(|id| vec![format!("da{id}")]).collect();
    let run = closing(&splunkd, &rows, &[("max_targets", "100")]);
    assert_eq!(run.code(), Some(1));
    let event = refusal(&splunkd);
    let message = event["message"].as_str().unwrap();
    assert!(
        message.contains("101 distinct targets, 100 are allowed"),
        "{message}"
    );
    assert_eq!(event["search_name"], "My alert");
    assert_eq!(event["actor"], "splunk-system-user");
    assert_eq!(
        (&event["alert_user"], &event["via"]),
        (&json!("admin"), &json!("direct"))
    );
    assert!(tenant.calls().is_empty());
    let log = splunkd.log_file("defender_bridge_update_alert_modalert.log");
    assert_eq!(log.matches("action_status=\"failure\"").count(), 101);
}

#[test]
fn rows_without_number_are_refused_before_anything_is_built_of_them() {
    let (tenant, _, splunkd) = new_alerts(1);
    for (count, words) in [
        (60_000, "60000 rows, 10000 are taken"),
        (400_000, "400000 rows"),
    ] {
        splunkd.forget();
        // A field of another name: none of them names an alert.
        let rows = vec![vec![String::new()]; count];
        let run = closing(&splunkd, &rows, &[]);
        assert_eq!(run.code(), Some(1), "{}", run.stderr);
        assert!(
            refusal(&splunkd)["message"]
                .as_str()
                .unwrap()
                .contains(words)
        );
        assert!(run.stderr.len() < 4_000, "{}", run.stderr);
    }
    let table = format!("id,__mv_id\r\n{}", ",\r\n".repeat(60_000));
    for key in [SESSION_KEY, ANALYST_KEY] {
        splunkd.forget();
        let search = Search {
            key,
            ..search("defenderupdate", &CLOSE)
        };
        let (answers, run) = search.run(&splunkd, &[&table]);
        assert_eq!(run.code(), Some(1));
        assert!(answers.iter().all(|answer| answer.rows.is_empty()));
        assert!(messages(&answers).contains("60000 rows"), "{answers:?}");
        assert!(run.stdout.len() < 4_000 && run.stderr.len() < 4_000);
        if key == SESSION_KEY {
            assert!(
                refusal(&splunkd)["message"]
                    .as_str()
                    .unwrap()
                    .contains("60000 rows")
            );
        }
    }
    assert!(tenant.calls().is_empty());
}

#[test]
fn many_rows_without_an_id_are_one_refusal_and_a_few_an_outcome_each() {
    let (tenant, objects, splunkd) = new_alerts(1);
    let id = ids(&objects)[0];
    let run = |nameless: usize| {
        let table = format!("id,x\r\n{id},1\r\n{}", ",1\r\n".repeat(nameless));
        search("defenderupdate", &CLOSE).run(&splunkd, &[&table])
    };
    let (answers, code) = run(101);
    assert_eq!(code.code(), Some(1));
    assert!(
        messages(&answers).contains("101 rows name no target"),
        "{answers:?}"
    );
    refusal(&splunkd);
    assert!(tenant.calls().is_empty());
    splunkd.forget();
    let (answers, code) = run(100);
    code.well();
    assert_eq!(
        answers
            .iter()
            .map(|answer| answer.rows.len())
            .sum::<usize>(),
        101
    );
    assert_eq!(splunkd.indexed().len(), 101);
    assert_eq!(tenant.object(FEED, id)["status"], "resolved");
}

#[test]
fn a_spool_that_is_full_is_said_once_however_many_outcomes_are_lost() {
    let (_tenant, _, splunkd) = new_alerts(1);
    let spool = splunkd.home().join("var/run/splunk/defender_bridge/spool");
    std::fs::create_dir_all(&spool).unwrap();
    // One that waits, and nothing but room taken behind it.
    let waiting = spool.join("0-full.ndjson");
    std::fs::write(&waiting, "{\"row\":1}\n").unwrap();
    let full = std::fs::File::options().append(true).open(waiting);
    full.unwrap().set_len(64 << 20).unwrap();
    splunkd.fail_receivers(403);
    let rows: Vec<Vec<String>> = (0..90).map(|row| vec![format!("../{row}")]).collect();
    let run = closing(&splunkd, &rows, &[]);
    assert_eq!(run.code(), Some(2));
    assert_eq!(
        run.stderr
            .matches("can be neither indexed nor kept")
            .count(),
        1
    );
    assert_eq!(
        run.stderr
            .matches("90 outcomes of this run were neither")
            .count(),
        1
    );
    assert_eq!(
        run.stderr.matches("\"outcome\":").count(),
        1,
        "{}",
        run.stderr
    );
}

#[test]
fn a_results_file_that_is_gone_leaves_an_event_too() {
    let (tenant, _, splunkd) = new_alerts(1);
    let run = splunkd.alert(&Alert {
        form: &[("account", "contoso"), ("status", "resolved")],
        header: &["id"],
        rows: &[vec!["da1".to_owned()]],
        instead: &[("results_file", json!("/nowhere/results.csv.gz"))],
        ..Alert::default()
    });
    assert_eq!(run.code(), Some(1));
    let message = refusal(&splunkd)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("results file is gone"), "{message}");
    assert!(tenant.calls().is_empty());
}

#[test]
fn odd_text_in_a_payload_stops_no_row() {
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    let odd: [&[u8]; 4] = [
        br#""cut \ud83d""#,
        b"\"odd \x8e byte\"",
        b"\"raw \x02 control\"",
        deep.as_bytes(),
    ];
    for text in odd {
        let (tenant, objects, splunkd) = new_alerts(2);
        let rows: Vec<Vec<String>> = ids(&objects)
            .iter()
            .map(|id| vec![(*id).to_owned()])
            .collect();
        let file = splunkd
            .home()
            .join("var/run/splunk/dispatch/scheduler__1/results.csv.gz");
        results::write(&file, &["id"], &rows);
        let payload = json!({
            "results_file": file.display().to_string(), "server_uri": splunkd.url(),
            "session_key": SESSION_KEY, "sid": "scheduler__1",
            "configuration": {"account": "contoso", "status": "resolved"},
        });
        let payload = payload.to_string();
        let payload = [
            payload.strip_suffix('}').unwrap().as_bytes(),
            br#", "result": {"title": "#,
            text,
            br#"}, "search_name": "#,
            text,
            b"}",
        ]
        .concat();
        let mut command = splunkd.command();
        command.args(["alert-action", "defender_bridge_update_alert"]);
        let mut running = process::start(command, &payload, Reading::Steady);
        running.close_stdin();
        running.finish().well();
        for object in &objects {
            assert_eq!(tenant.object(FEED, &object.id)["status"], "resolved");
        }
        assert_eq!(splunkd.indexed().len(), 2);
    }
}

#[test]
fn outcomes_go_to_the_index_of_the_settings_and_carry_this_splunks_name() {
    let (_tenant, objects, splunkd) = new_alerts(2);
    let rows: Vec<Vec<String>> = ids(&objects)
        .iter()
        .map(|id| vec![(*id).to_owned()])
        .collect();
    closing(&splunkd, &rows, &[]).well();
    assert!(
        splunkd
            .indexed()
            .iter()
            .all(|got| !got.query.contains_key("index"))
    );
    splunkd.set("settings", "triage", "index", "verdicts");
    for refused in [false, true] {
        splunkd.forget();
        if refused {
            splunkd.fail_receivers(403);
        }
        closing(&splunkd, &rows, &[]).well();
        splunkd.mend_receivers();
        closing(&splunkd, &rows, &[]).well();
        let indexed = splunkd.indexed();
        assert_eq!(indexed.len(), 4);
        for got in indexed {
            assert_eq!(
                (got.query["index"].as_str(), got.query["host"].as_str()),
                ("verdicts", "sh1")
            );
        }
    }
}

/// The saved search about verdicts not carried out finds it by these.
#[test]
fn a_run_that_ends_before_anybody_is_known_leaves_an_event_too() {
    for (status, outcome) in [(402, "failed"), (500, "deferred")] {
        let (tenant, _, splunkd) = new_alerts(1);
        splunkd.answer_instead(
            usize::MAX,
            status,
            r#"{"messages":[{"text":"no license"}]}"#,
        );
        let run = closing(&splunkd, &[vec!["da1".to_owned()]], &[]);
        assert_eq!(run.code(), Some(1), "{}", run.stderr);
        let (_, run) = search("defenderupdate", &CLOSE).run(&splunkd, &["id\r\nda1\r\n"]);
        assert_eq!(run.code(), Some(1), "{}", run.stderr);
        let kept = splunkd.spooled();
        let kept: Vec<Value> = kept
            .iter()
            .map(|json| serde_json::from_str(json).unwrap())
            .collect();
        assert_eq!(kept.len(), 2, "{kept:?}");
        for entry in &kept {
            assert_eq!(entry["outcome"], outcome, "{entry}");
            assert_eq!(
                (&entry["dry_run"], &entry["actor"]),
                (&json!(false), &json!("unknown"))
            );
            assert!(entry.get("target").is_none() && entry["sid"].is_string());
            assert!(
                entry["message"].as_str().unwrap().contains("no license"),
                "{entry}"
            );
        }
        let alert = |entry: &&Value| entry["action"] == "defender_bridge_update_alert";
        let alert = kept.iter().find(alert).unwrap();
        assert_eq!(alert["search_name"], "My alert");
        assert!(tenant.calls().is_empty());
    }
}
