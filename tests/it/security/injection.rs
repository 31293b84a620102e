//! Nothing a row, a form or an argument says leads anywhere but to its own
//! field: no other address is called, no other file written, no line of a log
//! begun, no secret told; and each row has its outcome all the same.

use crate::counterpart::chunked::{Search, column, search};
use crate::counterpart::endpoint::{Driver, request};
use crate::counterpart::queue::{FEED, new_alerts};
use crate::counterpart::signin::CLIENT_SECRET;
use crate::counterpart::splunkd::{ANALYST_KEY, Alert, HUNTER_KEY, SESSION_KEY, files_under};
use crate::counterpart::{Object, Splunkd, Tenant};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What somebody who means harm, or a broken search, puts into a field.
fn hostile() -> Vec<String> {
    let long = "a".repeat(6000);
    [
        "..",
        ".",
        "../../../v1.0/users",
        "a/../../users",
        "..%2f..%2fusers",
        "%2e%2e%2fusers",
        "..\\users",
        "//evil.example/x",
        "https://evil.example/x",
        "x@evil.example/../x",
        "x?$select=*",
        "x&$filter=true",
        "x#y",
        "x;y=z",
        "x' or id ne '",
        "x) or (1 eq 1",
        "x\" \"y",
        "x\r\nHost: evil.example\r\n\r\nGET /users",
        "x\nERROR forged",
        "x\0y",
        "x\u{1b}[2Jy",
        "x\u{202e}y\u{feff}",
        "é\u{1f480}",
        "$result.id$ $x$",
        "{\"id\":\"x\"}",
        "<x>&lt;</x>",
        &long,
    ]
    .map(str::to_owned)
    .into()
}

/// Every address of Microsoft that was called, `$batch` parts among them.
fn called(tenant: &Tenant) -> BTreeSet<String> {
    let mut called = BTreeSet::new();
    for call in tenant.calls() {
        let target = call.target.split('?').next().unwrap().to_owned();
        if target.ends_with("/$batch") {
            let batch: Value = serde_json::from_str(&call.body).unwrap();
            let parts = batch["requests"].as_array().unwrap();
            called.extend(parts.iter().map(|part| {
                let url = part["url"].as_str().unwrap();
                url.split('?').next().unwrap().to_owned()
            }));
        } else if !target.contains("/oauth2/") {
            called.insert(target);
        }
    }
    called
}

/// Only these alerts, and what hangs from them, were called.
#[track_caller]
fn only_alerts_were_called(tenant: &Tenant, alerts: &[&str]) {
    for target in called(tenant) {
        let below = target
            .strip_prefix("/v1.0")
            .unwrap_or(&target)
            .strip_prefix("/security/alerts_v2/")
            .unwrap_or_else(|| panic!("{target} was called"));
        let id = below.strip_suffix("/comments").unwrap_or(below);
        assert!(alerts.contains(&id), "{target} was called");
    }
}

/// splunkd was asked for nothing but what this app is there for.
#[track_caller]
fn splunkd_was_asked_for_nothing_else(splunkd: &Splunkd) {
    const OWN: &str = "/servicesNS/nobody/defender_bridge/";
    for got in splunkd.received() {
        let target = got.target.split('?').next().unwrap();
        let own = |place: &str| {
            let below = target.strip_prefix(OWN).and_then(|t| t.strip_prefix(place));
            below.is_some_and(|name| !name.contains('/') && !matches!(name, "." | ".."))
        };
        let known = [
            "/services/authentication/current-context",
            "/services/receivers/simple",
            "/services/server/info",
            "/services/defender_bridge/ping",
        ];
        assert!(
            known.contains(&target)
                || own("configs/conf-defender_bridge_account")
                || own("configs/conf-defender_bridge_account/")
                || own("configs/conf-defender_bridge_settings")
                || own("storage/passwords")
                || own("storage/passwords/"),
            "{target} was asked of splunkd"
        );
        if target.ends_with("receivers/simple") {
            let source = got.query["source"].as_str();
            assert!(
                source.starts_with("defender_bridge:") && source.len() < 80,
                "{source}"
            );
            let event: Value = serde_json::from_str(&got.body).unwrap();
            assert!(event["outcome"].is_string() && !got.body.contains('\n'));
        }
    }
}

#[track_caller]
fn lines_are_our_own(stderr: &str) {
    for line in stderr.lines() {
        let level = line.split(' ').next().unwrap_or_default();
        assert!(
            ["DEBUG", "INFO", "WARN", "ERROR"].contains(&level),
            "{line}"
        );
        assert!(!line.starts_with("ERROR forged"), "{line}");
    }
}

#[track_caller]
fn no_secret_in(splunkd: &Splunkd, texts: &[&str]) {
    let files = files_under(&splunkd.home());
    let files = files.values().map(|bytes| String::from_utf8_lossy(bytes));
    let bodies = splunkd.received().into_iter().map(|got| got.body.into());
    for text in files.chain(bodies).chain(texts.iter().map(|t| (*t).into())) {
        for secret in [CLIENT_SECRET, SESSION_KEY, ANALYST_KEY] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

/// Files of the app that nobody made before.
fn strangers(splunkd: &Splunkd) -> Vec<String> {
    let home = splunkd.home();
    let files = files_under(&home).into_keys();
    let names = files.map(|path| path.strip_prefix(&home).unwrap().display().to_string());
    names
        .filter(|name| {
            let known = ["var/log/splunk/", "var/run/splunk/", "etc/auth/"];
            !known.iter().any(|folder| name.starts_with(folder)) || name.contains("evil")
        })
        .collect()
}

fn outcomes(splunkd: &Splunkd) -> Vec<(u64, String)> {
    let mut outcomes: Vec<(u64, String)> = splunkd
        .indexed()
        .iter()
        .map(|got| serde_json::from_str::<Value>(&got.body).unwrap())
        .map(|entry| {
            let outcome = entry["outcome"].as_str().unwrap();
            (entry["row"].as_u64().unwrap(), outcome.to_owned())
        })
        .collect();
    outcomes.sort();
    outcomes
}

fn scene() -> (Tenant, Vec<Object>, Splunkd) {
    new_alerts(2)
}

#[test]
fn ids_of_rows_of_an_alert_lead_nowhere_else() {
    let (tenant, objects, splunkd) = scene();
    let good = objects[0].id.as_str();
    let mut rows: Vec<Vec<String>> = hostile().into_iter().map(|id| vec![id]).collect();
    rows.insert(3, vec![good.to_owned()]);
    let form = [("account", "contoso"), ("status", "resolved")];
    let alert = Alert {
        form: &form,
        header: &["id"],
        rows: &rows,
        ..Alert::default()
    };
    let run = splunkd.alert(&alert);
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
    let outcomes = outcomes(&splunkd);
    assert_eq!(outcomes.len(), rows.len(), "{outcomes:?}");
    for (place, (row, outcome)) in outcomes.iter().enumerate() {
        assert_eq!(*row, place as u64 + 1);
        let expected = match rows[place][0].as_str() {
            id if id == good => "updated",
            // No NUL survives Splunk's results files.
            "x\0y" => "not_found",
            _ => "invalid",
        };
        assert_eq!(outcome, expected, "row {row}: {:?}", rows[place]);
    }
    only_alerts_were_called(&tenant, &[good, "xy"]);
    splunkd_was_asked_for_nothing_else(&splunkd);
    lines_are_our_own(&run.stderr);
    let log = splunkd.log_file("defender_bridge_update_alert_modalert.log");
    assert_eq!(log.lines().count(), 2 * rows.len());
    assert!(log.lines().all(|line| line.contains(" sendmodaction - ")));
    assert_eq!(strangers(&splunkd), [""; 0]);
    no_secret_in(&splunkd, &[&run.stderr, &run.text()]);
}

#[test]
fn fields_that_decide_for_a_row_lead_nowhere_else() {
    let (tenant, objects, splunkd) = scene();
    let [good, other] = [&objects[0].id, &objects[1].id];
    const FIELDS: [&str; 10] = [
        "defender_account",
        "defender_api",
        "defender_id_field",
        "defender_status",
        "defender_classification",
        "defender_determination",
        "defender_assigned_to",
        "defender_tags_add",
        "defender_dry_run",
        "note",
    ];
    let mut body = Vec::new();
    let mut writer = csv::Writer::from_writer(&mut body);
    let header: Vec<&str> = ["id"].into_iter().chain(FIELDS).collect();
    writer.write_record(&header).unwrap();
    let mut expected = Vec::new();
    for (place, field) in FIELDS.iter().enumerate() {
        for value in hostile() {
            let mut row = vec![String::new(); header.len()];
            row[0] = if *field == "note" { other } else { good }.clone();
            row[place + 1] = value;
            writer.write_record(&row).unwrap();
            expected.push(*field);
        }
    }
    drop(writer);
    let body = String::from_utf8(body).unwrap();
    let args = ["account=contoso", "status=resolved"];
    let (answers, run) = search("defenderupdate", &args).run(&splunkd, &[&body]);
    let outcomes = column(&answers, "defender_outcome");
    assert_eq!(outcomes.len(), expected.len(), "{}", run.stderr);
    for (place, (outcome, field)) in outcomes.iter().zip(&expected).enumerate() {
        // An owner may be called almost anything that has an @ in it.
        let mild = *field == "defender_assigned_to";
        match *field {
            "note" => assert_eq!(*outcome, "updated", "row {place}"),
            _ if mild => assert!(["invalid", "updated"].contains(outcome), "row {place}"),
            _ => assert_eq!(*outcome, "invalid", "row {place}, {field}"),
        }
    }
    only_alerts_were_called(&tenant, &[good, other]);
    splunkd_was_asked_for_nothing_else(&splunkd);
    lines_are_our_own(&run.stderr);
    assert_eq!(strangers(&splunkd), [""; 0]);
    no_secret_in(&splunkd, &[&run.stderr, &run.text()]);
}

/// Free text: it goes to Defender as it is, and only there.
const FREE: [&str; 2] = ["comment", "assigned_to"];

#[test]
fn parameters_of_a_job_lead_nowhere_else() {
    let (tenant, objects, splunkd) = scene();
    let good = objects[0].id.as_str();
    let mut command = splunkd.command();
    command.arg("rest");
    let mut driver = Driver::start(command);
    let mut said = String::new();
    let mut recorded = 0;
    for value in hostile() {
        for place in [
            "account",
            "api",
            "id_field",
            "status",
            "classification",
            "determination",
            "assigned_to",
            "comment",
            "tags_add",
            "tags_remove",
            "dry_run",
            "max_targets",
            "action",
            "batch",
            "subject",
            "sid",
            "search_name",
            "nothing_of_ours",
        ] {
            let mut job = json!({"action": "queue", "subject": "alert", "batch": "b1",
                "form": {"account": "contoso", "comment": "c"}, "rows": [{"id": good}]});
            match place {
                "action" | "batch" | "subject" | "sid" | "search_name" => {
                    job[place] = value.as_str().into();
                }
                parameter => job["form"][parameter] = value.as_str().into(),
            }
            let answer = driver.ask(&asked(&splunkd, "triage", &job));
            let status = answer["status"].as_u64().unwrap();
            let harmless =
                FREE.contains(&place) || ["id_field", "sid", "search_name"].contains(&place);
            assert!(
                status == 400 || (harmless && status == 200),
                "{place} {value:?}: {answer}"
            );
            if status == 200 {
                let rows = answer["payload"]["rows"].as_array().unwrap();
                assert_eq!(rows.len(), 1, "{place} {value:?}: {answer}");
                recorded += 1;
            } else if !said_no_job(&answer) {
                // Refused as a whole, and understood: one event.
                recorded += 1;
            }
            said += &answer.to_string();
        }
    }
    assert_eq!(splunkd.indexed().len(), recorded);
    only_alerts_were_called(&tenant, &[good]);
    splunkd_was_asked_for_nothing_else(&splunkd);
    assert_eq!(strangers(&splunkd), [""; 0]);
    let (code, rest, errors) = driver.end();
    assert_eq!((code, rest), (Some(0), Vec::new()));
    lines_are_our_own(&errors);
    no_secret_in(&splunkd, &[&said, &errors]);
}

fn said_no_job(answer: &Value) -> bool {
    answer.to_string().contains("the body is no job")
}

fn asked(splunkd: &Splunkd, errand: &str, body: &Value) -> Value {
    let path = format!("/defender_bridge/{errand}");
    let user = match errand {
        "hunt" => ["hunter", HUNTER_KEY],
        _ => ["analyst", ANALYST_KEY],
    };
    let body = body.to_string();
    request(
        &splunkd.url(),
        "POST",
        &path,
        body.as_bytes(),
        user,
        SESSION_KEY,
    )
}

#[test]
fn questions_to_the_endpoint_lead_nowhere_else() {
    let (tenant, objects, splunkd) = scene();
    let good = objects[0].id.as_str();
    let mut command = splunkd.command();
    command.arg("rest");
    let mut driver = Driver::start(command);
    let mut said = String::new();
    for value in hostile() {
        let value = value.as_str();
        for (errand, question) in [
            (
                "live",
                json!({"account": value, "subject": "alert", "ids": [good]}),
            ),
            (
                "live",
                json!({"account": "contoso", "subject": value, "ids": [good]}),
            ),
            (
                "live",
                json!({"account": "contoso", "subject": "alert", "api": value, "ids": [good]}),
            ),
            ("hunt", json!({"account": value, "query": "T"})),
            (
                "hunt",
                json!({"account": "contoso", "query": "T", "timespan": value}),
            ),
            ("check", json!({"account": value})),
            (value, json!({"account": "contoso"})),
        ] {
            let answer = driver.ask(&asked(&splunkd, errand, &question));
            let status = answer["status"].as_u64().unwrap();
            assert!(
                status == 400 || status == 404,
                "{errand} {question}: {answer}"
            );
            said += &answer.to_string();
        }
    }
    let mut ids = hostile();
    ids.push(good.to_owned());
    let question = json!({"account": "contoso", "subject": "alert", "ids": ids});
    let answer = driver.ask(&asked(&splunkd, "live", &question));
    let live = answer["payload"]["live"].as_array().unwrap();
    assert_eq!(live.len(), ids.len());
    let read: Vec<&str> = live
        .iter()
        .map(|one| one["result"].as_str().unwrap())
        .collect();
    assert!(
        read[..read.len() - 1].iter().all(|read| *read == "invalid"),
        "{read:?}"
    );
    assert_eq!(read.last(), Some(&"ok"));
    only_alerts_were_called(&tenant, &[good]);
    splunkd_was_asked_for_nothing_else(&splunkd);
    let (_, _, errors) = driver.end();
    lines_are_our_own(&errors);
    no_secret_in(&splunkd, &[&said, &errors]);
}

#[test]
fn arguments_of_a_search_lead_nowhere_else() {
    let (tenant, objects, splunkd) = scene();
    let good = objects[0].id.as_str();
    // Those that would be addresses, files or lines of their own.
    let worst = ["../../users", "..", "x\r\nERROR forged", "x\0y"];
    for value in worst {
        for (command, argument) in [
            ("defenderupdate", "account"),
            ("defenderupdate", "subject"),
            ("defenderupdate", "status"),
            ("defenderget", "account"),
            ("defenderget", "api"),
            ("defenderget", "id_field"),
            ("defenderhunt", "account"),
            ("defenderhunt", "timespan"),
            ("defendercheck", "account"),
            ("defendercheck", value),
        ] {
            let given = format!("{argument}={value}");
            let usual = match command {
                "defendercheck" => vec![],
                "defenderupdate" => vec!["account=contoso", "status=resolved"],
                "defenderhunt" => vec!["account=contoso", "query=T"],
                _ => vec!["account=contoso"],
            };
            let mut args: Vec<&str> = usual;
            args.retain(|usual| !usual.starts_with(&format!("{argument}=")));
            args.push(&given);
            let asked = Search {
                key: SESSION_KEY,
                ..search(command, &args)
            };
            let (answers, run) = asked.run(&splunkd, &[&format!("id\r\n{good}\r\n")]);
            let outcome = ["defender_outcome", "defender_live_result", "state"];
            let rows = answers.iter().flat_map(|answer| &answer.rows);
            let told = rows.filter(|row| outcome.iter().any(|name| row.contains_key(*name)));
            assert!(
                run.code() == Some(1) || told.count() > 0,
                "{command} {given:?}: {answers:?}"
            );
            lines_are_our_own(&run.stderr);
            no_secret_in(&splunkd, &[&run.stderr, &run.text()]);
        }
    }
    only_alerts_were_called(&tenant, &[good]);
    splunkd_was_asked_for_nothing_else(&splunkd);
    assert_eq!(strangers(&splunkd), [""; 0]);
    assert_eq!(tenant.object(FEED, good)["status"], "new");
}
