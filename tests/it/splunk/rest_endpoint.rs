//! The REST endpoint speaks splunkd's persistent protocol, byte by byte, and
//! does nothing for whoever lacks the capability.

use crate::counterpart::endpoint::{BLOCK, Driver, END, INIT, command, request, string, whole};
use crate::counterpart::queue::{FEED, ids, new_alerts};
use crate::counterpart::signin::CLIENT_SECRET;
use crate::counterpart::splunkd::{ANALYST_KEY, HUNTER_KEY, KEEPER_KEY, READER_KEY, SESSION_KEY};
use crate::counterpart::{Feed, Splunkd, Tenant};
use serde_json::{Value, json};

const ANALYST: [&str; 2] = ["analyst", ANALYST_KEY];

fn driver(splunkd: &Splunkd) -> Driver {
    let mut command = splunkd.command();
    command.arg("rest").env("DEFENDER_BRIDGE_ROLE", "rest");
    Driver::start(command)
}

fn post(splunkd: &Splunkd, errand: &str, body: &Value) -> Value {
    let path = format!("/defender_bridge/{errand}");
    let body = body.to_string();
    request(
        &splunkd.url(),
        "POST",
        &path,
        body.as_bytes(),
        ANALYST,
        SESSION_KEY,
    )
}

fn get(splunkd: &Splunkd, path: &str) -> Value {
    request(&splunkd.url(), "GET", path, b"", ANALYST, SESSION_KEY)
}

fn job(ids: &[&str]) -> Value {
    let rows: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
    json!({"action": "queue", "subject": "alert", "batch": "b1",
           "form": {"account": "contoso", "status": "resolved", "comment": "done"}, "rows": rows})
}

/// Ends well, and nothing it said holds a secret.
#[track_caller]
fn ends_well(driver: Driver) {
    let (code, rest, errors) = driver.end();
    assert_eq!((code, rest), (Some(0), Vec::new()), "{errors}");
    holds_no_secret(&errors);
}

#[track_caller]
fn holds_no_secret(text: &str) {
    for secret in [CLIENT_SECRET, SESSION_KEY, ANALYST_KEY, READER_KEY] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[track_caller]
fn said(answer: &Value) -> &str {
    answer["payload"]["messages"][0]["text"].as_str().unwrap()
}

#[test]
fn a_request_in_pieces_of_one_byte_is_answered_like_a_whole_one() {
    let splunkd = Splunkd::new();
    let mut driver = driver(&splunkd);
    let ping = get(&splunkd, "/defender_bridge/ping");
    let at_once = driver.ask(&ping);
    assert_eq!(at_once["status"], 200, "{at_once}");
    assert_eq!(at_once["payload"]["user"], "analyst");
    for byte in whole(&ping) {
        driver.send(&[byte]);
    }
    driver.begun();
    assert_eq!(driver.answer(), at_once);
    ends_well(driver);
}

#[test]
fn one_process_answers_one_request_after_the_other_however_they_are_packed() {
    let splunkd = Splunkd::new();
    let mut driver = driver(&splunkd);
    let ping = string(
        get(&splunkd, "/defender_bridge/ping")
            .to_string()
            .as_bytes(),
    );
    // Begun once, asked three times, ended; line ends between mean nothing.
    driver.send(&[b"\n\n".to_vec(), vec![INIT], command()].concat());
    driver.begun();
    for _ in 0..3 {
        driver.send(&[b"\n".to_vec(), vec![BLOCK], b"\n".to_vec(), ping.clone()].concat());
        assert_eq!(driver.answer()["status"], 200);
    }
    driver.send(&[END]);
    // Two whole conversations in one write.
    let packet = [vec![INIT | BLOCK | END], command(), ping].concat();
    driver.send(&packet.repeat(2));
    for _ in 0..2 {
        driver.begun();
        assert_eq!(driver.answer()["status"], 200);
    }
    ends_well(driver);
}

#[test]
fn stdin_may_end_between_two_requests_and_inside_one() {
    let splunkd = Splunkd::new();
    let packet = whole(&get(&splunkd, "/defender_bridge/ping"));
    let begun = 1 + command().len();
    for cut in [0, 1, 4, begun, begun + 2, packet.len() - 1] {
        let mut driver = driver(&splunkd);
        driver.send(&packet[..cut]);
        let (code, said, errors) = driver.end();
        assert_eq!(code, Some(0), "{cut}: {errors}");
        let expected = if cut >= begun { "0\n" } else { "" };
        assert_eq!(String::from_utf8_lossy(&said), expected, "{cut}");
    }
}

#[test]
fn what_is_no_packet_ends_the_process_with_a_reason() {
    let splunkd = Splunkd::new();
    let endless = [vec![INIT], b"1\n".to_vec(), vec![b'9'; 100]].concat();
    let many_words = [vec![INIT], b"1000000\n".to_vec()].concat();
    let huge_word = [vec![INIT], b"1\n9999999999\n".to_vec()].concat();
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        endless,
        many_words,
        huge_word,
    ] {
        let mut driver = driver(&splunkd);
        driver.send(&bytes);
        let (code, said, errors) = driver.end();
        assert_eq!((code, said), (Some(3), Vec::new()), "{errors}");
        assert!(errors.starts_with("ERROR "), "{errors}");
    }
}

#[test]
fn a_request_too_large_is_refused_and_the_next_one_answered() {
    let splunkd = Splunkd::new();
    let mut driver = driver(&splunkd);
    let size = 97 << 20;
    driver.send(
        &[
            vec![INIT | BLOCK | END],
            command(),
            format!("{size}\n").into_bytes(),
        ]
        .concat(),
    );
    driver.begun();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..97 {
        driver.send(&piece);
    }
    let answer = driver.answer();
    assert_eq!(answer["status"], 413, "{answer}");
    assert!(said(&answer).contains("fewer rows"), "{answer}");
    let ping = get(&splunkd, "/defender_bridge/ping");
    assert_eq!(driver.ask(&ping)["status"], 200);
    ends_well(driver);
}

#[test]
fn a_request_that_is_no_json_is_refused_without_a_word_of_it() {
    let splunkd = Splunkd::new();
    let mut driver = driver(&splunkd);
    let whole = get(&splunkd, "/defender_bridge/ping").to_string();
    let key_in_a_list = whole.replace(
        &format!("\"{ANALYST_KEY}\""),
        &format!("[\"{ANALYST_KEY}\"]"),
    );
    for json in [
        &whole[..whole.len() - 1],
        "",
        "[]",
        "null",
        "\u{0}",
        &key_in_a_list,
    ] {
        driver.send(&[vec![INIT | BLOCK | END], command(), string(json.as_bytes())].concat());
        driver.begun();
        let answer = driver.answer();
        assert_eq!(answer["status"], 400, "{json}: {answer}");
        holds_no_secret(&answer.to_string());
    }
    let mut post = post(&splunkd, "triage", &job(&["da1"]));
    for body in ["no base64!", "AAA", "e30"] {
        post["payload_base64"] = body.into();
        let answer = driver.ask(&post);
        assert_eq!(answer["status"], 400, "{body}: {answer}");
    }
    ends_well(driver);
}

#[test]
fn what_there_is_not_is_not_found_and_a_wrong_method_named() {
    let splunkd = Splunkd::new();
    let mut driver = driver(&splunkd);
    for path in [
        "/defender_bridge",
        "/defender_bridge/",
        "/defender_bridge/triage/../../storage/passwords",
        "/defender_bridge/ping%2f..",
        "/defender_bridge/TRIAGE",
        "/storage/passwords",
        "",
    ] {
        let answer = driver.ask(&get(&splunkd, path));
        assert_eq!(answer["status"], 404, "{path}: {answer}");
        assert!(said(&answer).contains("ping"), "{answer}");
    }
    for errand in ["triage", "live", "hunt", "check", "ledger"] {
        for method in ["GET", "PUT", "DELETE", "post", ""] {
            let mut asked = get(&splunkd, &format!("/defender_bridge/{errand}"));
            asked["method"] = method.into();
            let answer = driver.ask(&asked);
            assert_eq!(answer["status"], 405, "{method} {errand}: {answer}");
            assert!(said(&answer).ends_with("takes POST"), "{answer}");
        }
    }
    ends_well(driver);
    assert!(splunkd.received().is_empty());
}

#[test]
fn without_splunkds_own_session_nothing_is_done_and_the_setting_is_named() {
    let (tenant, objects, splunkd) = new_alerts(1);
    let mut driver = driver(&splunkd);
    let asked = post(&splunkd, "triage", &job(&ids(&objects)));
    for (key, words) in [
        ("system_authtoken", "passSystemAuth"),
        ("session", "no session"),
        ("server", "no address"),
    ] {
        let mut asked = asked.clone();
        asked.as_object_mut().unwrap().remove(key);
        let answer = driver.ask(&asked);
        assert_eq!(answer["status"], 412, "{answer}");
        assert!(
            said(&answer).contains(words) && said(&answer).contains("restmap.conf"),
            "{answer}"
        );
    }
    ends_well(driver);
    assert!(splunkd.received().is_empty() && tenant.calls().is_empty());
}

#[test]
fn only_the_capability_opens_it_whatever_splunkd_let_through() {
    let (tenant, objects, splunkd) = new_alerts(2);
    let mut driver = driver(&splunkd);
    let id = objects[0].id.as_str();
    let bodies = [
        ("triage", job(&[id])),
        (
            "live",
            json!({"account": "contoso", "subject": "alert", "ids": [id]}),
        ),
        ("hunt", json!({"account": "contoso", "query": "T"})),
        ("check", json!({"account": "contoso"})),
        ("ledger", json!({"entries": ["{}"]})),
    ];
    for (errand, body) in &bodies {
        for (key, status) in [(READER_KEY, 403), ("a key that has ended", 401)] {
            let mut asked = post(&splunkd, errand, body);
            // Who asks is what splunkd says of the key.
            asked["session"] = json!({"user": "admin", "authtoken": key});
            let answer = driver.ask(&asked);
            assert_eq!(answer["status"], status, "{errand}: {answer}");
            holds_no_secret(&answer.to_string());
        }
    }
    assert!(tenant.calls().is_empty());
    let read = |got: &crate::counterpart::splunkd::Received| got.path.contains("passwords");
    assert!(!splunkd.received().iter().any(read));
    for (errand, body) in &bodies {
        let mut asked = post(&splunkd, errand, body);
        if *errand == "hunt" {
            assert_eq!(driver.ask(&asked)["status"], 403, "a right of its own");
            asked["session"]["authtoken"] = HUNTER_KEY.into();
        }
        let answer = driver.ask(&asked);
        assert_eq!(answer["status"], 200, "{errand}: {answer}");
        holds_no_secret(&answer.to_string());
    }
    assert_eq!(tenant.object(FEED, id)["status"], "resolved");
    ends_well(driver);
}

#[test]
fn whoever_reads_leaves_a_trace_at_every_level_of_the_log() {
    let (tenant, objects, splunkd) = new_alerts(2);
    splunkd.set("settings", "logging", "level", "ERROR");
    let hunted =
        json!({"schema": [{"name": "D", "type": "String"}], "results": [{"D": "1"}, {"D": "2"}]});
    tenant.rules(|rules| rules.hunting = (200, hunted.to_string()));
    let mut driver = driver(&splunkd);
    let ids = [ids(&objects)[0], "x"];
    let live = json!({"account": "contoso", "subject": "alert", "ids": ids});
    driver.ask(&post(&splunkd, "live", &live));
    driver.ask(&post(&splunkd, "check", &json!({"account": "nobody's"})));
    let query = format!("EmailEvents | where Subject has \"{}\"", "y".repeat(2000));
    let mut hunt = post(
        &splunkd,
        "hunt",
        &json!({"account": "contoso", "query": query}),
    );
    hunt["session"]["authtoken"] = HUNTER_KEY.into();
    driver.ask(&hunt);
    let (_, _, errors) = driver.end();
    let read: Vec<&str> = errors
        .lines()
        .filter_map(|line| line.split_once("lookup route="))
        .map(|(_, rest)| rest)
        .collect();
    assert_eq!(read.len(), 3, "{errors}");
    let who = r#"live user="analyst" account="contoso" status=200 rows=1 ids=""#;
    assert!(read[0].starts_with(who), "{}", read[0]);
    let who = r#"check user="analyst" account="nobody's" status=400"#;
    assert_eq!(read[1], who);
    let who = r#"hunt user="hunter" account="contoso" status=200 rows=2"#;
    assert!(read[2].starts_with(who), "{}", read[2]);
    assert!(read[2].contains("query_sha256=") && read[2].contains("EmailEvents"));
    let file = splunkd.log_file("defender_bridge.log");
    assert!(read.iter().all(|line| file.contains(line)), "{file}");
    holds_no_secret(&errors);
}

#[test]
fn a_second_process_beside_a_busy_one_shares_nothing_but_the_tenant() {
    let (tenant, objects, splunkd) = new_alerts(4);
    let ids = ids(&objects);
    let mut first = driver(&splunkd);
    let mut second = driver(&splunkd);
    first.send(&whole(&post(&splunkd, "triage", &job(&ids[..3]))));
    second.send(&whole(&post(&splunkd, "triage", &job(&ids[1..]))));
    for driver in [&mut first, &mut second] {
        driver.begun();
        let answer = driver.answer();
        assert_eq!(answer["status"], 200, "{answer}");
        for outcome in answer["payload"]["rows"].as_array().unwrap() {
            assert!(outcome == "updated" || outcome == "unchanged", "{answer}");
        }
    }
    for id in ids {
        assert_eq!(tenant.object(FEED, id)["status"], "resolved");
    }
    assert_eq!(splunkd.indexed().len(), 6);
    ends_well(first);
    ends_well(second);
}

#[test]
fn rows_are_numbered_as_asked_and_what_there_was_no_time_for_is_returned() {
    let (tenant, objects, splunkd) = new_alerts(2);
    let ids = ids(&objects);
    let mut driver = driver(&splunkd);
    let mut job = job(&[ids[0], "../x", ids[1]]);
    job["numbers"] = json!([7, 9, 12]);
    job["seconds"] = 0.into();
    job["return_deferred"] = true.into();
    let answer = driver.ask(&post(&splunkd, "triage", &job));
    let payload = &answer["payload"];
    assert_eq!(
        payload["rows"],
        json!(["deferred", "invalid", "deferred"]),
        "{answer}"
    );
    assert_eq!(payload["deferred_rows"], json!([7, 12]), "{answer}");
    assert_eq!(payload["outcomes"][0]["row"], 9, "{answer}");
    assert!(
        payload["outcomes"][0]["message"]
            .as_str()
            .unwrap()
            .starts_with("row 9,")
    );
    assert_eq!(
        splunkd.indexed().len(),
        1,
        "what comes again is not recorded yet"
    );
    assert!(tenant.calls().is_empty());
    job["return_deferred"] = false.into();
    let answer = driver.ask(&post(&splunkd, "triage", &job));
    assert_eq!(answer["payload"]["deferred_rows"], Value::Null);
    assert_eq!(splunkd.indexed().len(), 4);
    job["numbers"] = json!([1, 1, 2]);
    assert_eq!(driver.ask(&post(&splunkd, "triage", &job))["status"], 400);
    ends_well(driver);
}

#[test]
fn incidents_are_read_and_written_too() {
    let objects = crate::counterpart::tenant::recent(Feed::GraphIncidents, 1);
    let tenant = Tenant::holding(Feed::GraphIncidents, objects.clone());
    let splunkd = Splunkd::new().account("contoso", &tenant);
    let mut driver = driver(&splunkd);
    let id = objects[0].id.as_str();
    let body = json!({"account": "contoso", "subject": "incident", "ids": [id, "x", ""]});
    let answer = driver.ask(&post(&splunkd, "live", &body));
    let live = &answer["payload"]["live"];
    assert_eq!(live[0]["result"], "ok", "{answer}");
    assert_eq!(
        (&live[1]["result"], &live[2]["result"]),
        (&json!("invalid"), &json!("invalid"))
    );
    ends_well(driver);
}

#[test]
fn a_process_asked_to_end_answers_first_and_ends_well() {
    let (_tenant, _, splunkd) = new_alerts(0);
    let mut driver = driver(&splunkd);
    let system = ["splunk-system-user", SESSION_KEY];
    let path = "/defender_bridge/self";
    let body = br#"{"end":true}"#;
    let told = driver.ask(&request(
        &splunkd.url(),
        "GET",
        path,
        b"",
        system,
        SESSION_KEY,
    ));
    assert_eq!(told["payload"]["role"], "rest", "{told}");
    assert_eq!(told["payload"]["argv"][1], "rest", "{told}");
    assert_eq!(told["payload"]["secrets"][0]["found"], "yes", "{told}");
    holds_no_secret(&told.to_string());
    let refused = driver.ask(&post(&splunkd, "self", &json!({"end": true})));
    assert_eq!(refused["status"], 403, "{refused}");
    let ends = driver.ask(&request(
        &splunkd.url(),
        "POST",
        path,
        body,
        system,
        SESSION_KEY,
    ));
    assert_eq!(ends["status"], 200, "{ends}");
    assert_eq!(ends["payload"]["pid"], told["payload"]["pid"]);
    assert_eq!(ends["payload"]["ends"], true);
    let (code, rest, errors) = driver.ended();
    assert_eq!((code, rest), (Some(0), Vec::new()), "{errors}");
    holds_no_secret(&errors);
}

/// An incident and an alert of it.
fn story() -> (Tenant, Splunkd, String, String) {
    let incident = crate::counterpart::tenant::recent(Feed::GraphIncidents, 1);
    let mut alerts = crate::counterpart::tenant::recent(Feed::GraphAlerts, 1);
    let mut value: Value = serde_json::from_str(&alerts[0].text).unwrap();
    value["incidentId"] = json!(incident[0].id);
    value["status"] = json!("new");
    alerts[0].text = value.to_string();
    let ids = (incident[0].id.clone(), alerts[0].id.clone());
    let tenant = Tenant::holding(Feed::GraphAlerts, alerts);
    tenant.add(Feed::GraphIncidents, incident);
    let splunkd = Splunkd::new().account("contoso", &tenant);
    (tenant, splunkd, ids.0, ids.1)
}

#[test]
fn what_is_carried_over_holds_for_its_user_and_batch_alone() {
    let (tenant, splunkd, incident, alert) = story();
    let mut driver = driver(&splunkd);
    let form = json!({"account": "contoso", "status": "resolved"});
    let part = |batch: &str, subject: &str, id: &str| json!({"action": "queue", "subject": subject, "batch": batch, "form": form, "rows": [{"id": id}]});
    let first = driver.ask(&post(
        &splunkd,
        "triage",
        &part("b1", "incident", &incident),
    ));
    let carried = first["payload"]["carry_over"].as_str().unwrap().to_owned();
    assert!(!carried.contains("resolved"), "{carried}");
    let forged = json!({"contoso": {"done": [{"status": "resolved", "incidents": {&incident: null}}],
        "stood": {&alert: {"status": "new"}}, "looked": true}});
    for (batch, carry_over) in [
        ("b2", json!(carried)),
        ("b1", json!(format!("{carried}0"))),
        ("b1", json!(carried.replacen('e', "f", 1))),
        ("b1", json!(forged.to_string())),
        ("b1", json!("")),
    ] {
        let mut job = part(batch, "alert", &alert);
        job["carry_over"] = carry_over;
        let answer = driver.ask(&post(&splunkd, "triage", &job));
        assert_eq!(answer["status"], 400, "{answer}");
        assert!(said(&answer).contains("carry_over"), "{answer}");
    }
    let mut job = part("b1", "alert", &alert);
    job["wake"] = forged;
    assert_eq!(driver.ask(&post(&splunkd, "triage", &job))["status"], 400);
    assert_eq!(tenant.write_calls().len(), 1);
    job = part("b1", "alert", &alert);
    job["carry_over"] = json!(carried);
    assert_eq!(driver.ask(&post(&splunkd, "triage", &job))["status"], 200);
    ends_well(driver);
}

#[test]
fn nobody_undoes_by_his_own_word() {
    let (tenant, objects, splunkd) = new_alerts(3);
    let ids = ids(&objects);
    let mut driver = driver(&splunkd);
    driver.ask(&post(&splunkd, "triage", &job(&ids[..2])));
    let written = tenant.write_calls().len();
    let indexed = splunkd.indexed();
    let entry = |place: usize| indexed[place].body.clone();
    let undo = |rows: Value| {
        json!({"action": "defenderundo", "subject": "alert", "batch": "u1",
               "form": {"undoes": "b1"}, "rows": rows})
    };
    for (rows, words) in [
        (
            json!([{"id": ids[2], "defender_account": "contoso"}]),
            "needs the entries",
        ),
        (json!([{"defender_entries": "{}"}]), "needs the entries"),
        (
            json!([{"defender_entries": [entry(0), entry(1)]}]),
            "needs the entries",
        ),
        (
            json!([{"defender_entries": entry(0).replace(ids[0], ids[2])}]),
            "is false",
        ),
        (
            json!([{"defender_entries": entry(0).rsplit_once(",\"signature\"").unwrap().0.to_owned() + "}"}]),
            "is unsigned",
        ),
    ] {
        let answer = driver.ask(&post(&splunkd, "triage", &undo(rows)));
        assert_eq!(answer["status"], 400, "{answer}");
        assert!(said(&answer).contains(words), "{answer}");
    }
    assert_eq!(tenant.write_calls().len(), written);
    // Whatever else a row says, its entries decide.
    let row = json!([{"defender_entries": entry(0), "alert_id": ids[2], "defender_status": "inProgress",
        "defender_assigned_to": "<img src=x> no upn"}]);
    let answer = driver.ask(&post(&splunkd, "triage", &undo(row)));
    assert_eq!(
        answer["payload"]["outcomes"][0]["target"], ids[0],
        "{answer}"
    );
    assert_eq!(answer["payload"]["rows"], json!(["updated"]));
    assert_eq!(tenant.object(FEED, ids[0])["status"], "new");
    assert_eq!(tenant.object(FEED, ids[2])["status"], "new");
    ends_well(driver);
}

#[test]
fn what_somebody_else_asked_for_is_undone_only_where_the_form_says_so() {
    let (tenant, objects, splunkd) = new_alerts(2);
    let ids = ids(&objects);
    let mut driver = driver(&splunkd);
    driver.ask(&post(&splunkd, "triage", &job(&ids)));
    let written = tenant.write_calls().len();
    let entries = splunkd.indexed();
    let undo = |user: [&str; 2], entry: usize, form: Value| {
        let body = json!({"action": "queue", "subject": "alert", "form": form,
            "rows": [{"defender_entries": [entries[entry].body]}]});
        let (url, path) = (splunkd.url(), "/defender_bridge/triage");
        request(
            &url,
            "POST",
            path,
            body.to_string().as_bytes(),
            user,
            SESSION_KEY,
        )
    };
    let keeper = ["keeper", KEEPER_KEY];
    for form in [
        json!({"undoes": "b1"}),
        json!({"undoes": "b1", "dry_run": ""}),
        json!({"undoes": "b1", "dry_run": []}),
        json!({"undoes": "b1", "dry_run": null}),
        json!({"undoes": "b1", "dry_run": true}),
    ] {
        let answer = driver.ask(&undo(keeper, 0, form));
        assert_eq!(answer["payload"]["rows"], json!(["planned"]), "{answer}");
        assert_eq!(answer["payload"]["outcomes"][0]["dry_run"], true);
    }
    for (name, value) in [
        ("account", "contoso"),
        ("status", "resolved"),
        ("rows_overrule", "1"),
    ] {
        let form = json!({"undoes": "b1", "dry_run": "false", name: value});
        let answer = driver.ask(&undo(ANALYST, 0, form));
        assert_eq!(answer["status"], 400, "{answer}");
        assert!(said(&answer).contains("beside undoes"), "{answer}");
    }
    assert_eq!(tenant.write_calls().len(), written);
    for (user, entry, form) in [
        (keeper, 0, json!({"undoes": "b1", "dry_run": "false"})),
        (ANALYST, 1, json!({"undoes": "b1"})),
    ] {
        let answer = driver.ask(&undo(user, entry, form));
        assert_eq!(answer["payload"]["rows"], json!(["updated"]), "{answer}");
        assert_eq!(tenant.object(FEED, ids[entry])["status"], "new");
    }
    ends_well(driver);
}

#[test]
fn a_batch_may_not_have_more_targets_in_parts_than_at_once() {
    let (tenant, objects, splunkd) = new_alerts(6);
    let ids = ids(&objects);
    let mut job = job(&ids[..2]);
    job["form"]["max_targets"] = json!(4);
    let mut parts = Vec::new();
    for part in ids.chunks(2) {
        job["rows"] = part.iter().map(|id| json!({"id": id})).collect();
        parts.push(post(&splunkd, "triage", &job));
    }
    // Side by side: two processes of one splunkd.
    let mut drivers = [driver(&splunkd), driver(&splunkd), driver(&splunkd)];
    for (driver, part) in drivers.iter_mut().zip(&parts) {
        driver.send(&whole(part));
    }
    let mut statuses: Vec<u64> = drivers
        .iter_mut()
        .map(|driver| {
            driver.begun();
            driver.answer()["status"].as_u64().unwrap()
        })
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 400]);
    let resolved = |id: &&str| tenant.object(FEED, id)["status"] == "resolved";
    assert_eq!(ids.iter().filter(|id| resolved(id)).count(), 4);
    drivers.into_iter().for_each(ends_well);
}

#[test]
fn nobody_uses_up_the_targets_of_anothers_batch_and_a_dry_run_uses_none() {
    let (_tenant, objects, splunkd) = new_alerts(6);
    let ids = ids(&objects);
    let mut job = job(&ids[..2]);
    job["form"]["max_targets"] = json!(2);
    let ask = |who: [&str; 2], ids: &[&str], dry_run: bool| {
        let mut job = job.clone();
        job["form"]["dry_run"] = json!(dry_run);
        job["rows"] = ids.iter().map(|id| json!({"id": id})).collect();
        let body = job.to_string();
        let path = "/defender_bridge/triage";
        let request = request(
            &splunkd.url(),
            "POST",
            path,
            body.as_bytes(),
            who,
            SESSION_KEY,
        );
        let mut driver = driver(&splunkd);
        let status = driver.ask(&request)["status"].as_u64().unwrap();
        ends_well(driver);
        status
    };
    const KEEPER: [&str; 2] = ["keeper", KEEPER_KEY];
    assert_eq!(ask(ANALYST, &ids[..2], true), 200);
    assert_eq!(ask(KEEPER, &ids[2..4], false), 200);
    assert_eq!(ask(ANALYST, &ids[4..6], false), 200);
    assert_eq!(ask(ANALYST, &ids[..1], false), 400);
}
