//! A batch of verdicts can be taken back: what it changed and nobody has touched
//! since is as before, and what cannot be taken back is named.

use crate::counterpart::chunked::{Answer, Search, column, execute, messages, search};
use crate::counterpart::process::Run;
use crate::counterpart::splunkd::{ANALYST_KEY, Alert, READER_KEY, SESSION_KEY};
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Object, Splunkd, Tenant};
use serde_json::{Value, json};

const CLOSE: [&str; 6] = [
    "account=contoso",
    "status=resolved",
    "classification=falsePositive",
    "determination=notMalicious",
    "assigned_to=kim@contoso.com",
    "comment=closed by the night shift",
];

/// Objects that stand in every way a verdict can be found in.
fn open(feed: Feed, count: usize) -> (Tenant, Vec<Object>, Splunkd) {
    let graph = matches!(feed, Feed::GraphAlerts | Feed::GraphIncidents);
    let mut objects = recent(feed, count);
    for (number, object) in objects.iter_mut().enumerate() {
        let mut value: Value = serde_json::from_str(&object.text).unwrap();
        let (status, class, what, owner) = match number % 3 {
            0 if graph => ("new", json!("unknown"), json!(null), json!(null)),
            0 => ("New", json!(null), json!(null), json!(null)),
            1 => (
                "inProgress",
                json!("truePositive"),
                json!("malware"),
                json!("ann@contoso.com"),
            ),
            _ => (
                "new",
                json!("informationalExpectedActivity"),
                json!("other"),
                json!(""),
            ),
        };
        let mut status = status.to_owned();
        if feed == Feed::GraphIncidents {
            status = status.replace("new", "active");
        }
        for (field, said) in [
            ("status", json!(status)),
            ("classification", class),
            ("determination", what),
            ("assignedTo", owner),
        ] {
            value[field] = match said.as_str() {
                Some(word) if !graph && field != "assignedTo" => json!(capitalised(word)),
                _ => said,
            };
        }
        if feed == Feed::GraphIncidents {
            value["customTags"] = json!(["VIP", "phish"]);
        }
        object.text = value.to_string();
    }
    let tenant = Tenant::holding(feed, objects.clone());
    let splunkd = Splunkd::new().account("contoso", &tenant);
    (tenant, objects, splunkd)
}

fn capitalised(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

/// What a verdict can change; `null`, nothing and `unknown` are the same.
fn standing(tenant: &Tenant, feed: Feed, objects: &[Object]) -> Vec<String> {
    let stands = |object: &Object| {
        let now = tenant.object(feed, &object.id);
        let mut tags: Vec<&str> = now["customTags"]
            .as_array()
            .map(|tags| tags.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        tags.sort_unstable();
        let word = |field: &str| match now[field].as_str() {
            None | Some("" | "unknown") => "none".to_owned(),
            Some(word) => word.to_owned(),
        };
        format!(
            "{} {} {} {} {tags:?}",
            word("status"),
            word("classification"),
            word("determination"),
            word("assignedTo")
        )
    };
    objects.iter().map(stands).collect()
}

fn comments(tenant: &Tenant, feed: Feed, id: &str) -> Vec<String> {
    let now = tenant.object(feed, id);
    let comments = now["comments"].as_array().unwrap().iter();
    comments
        .map(|comment| comment["comment"].as_str().unwrap().to_owned())
        .collect()
}

fn table(objects: &[Object]) -> String {
    let mut table = "id,__mv_id\r\n".to_owned();
    for object in objects {
        table += &format!("{},\r\n", object.id);
    }
    table
}

/// Writes verdicts to all of them; returns the batch.
#[track_caller]
fn decide(splunkd: &Splunkd, objects: &[Object], args: &[&str]) -> String {
    let (answers, run) = search("defenderupdate", args).run(splunkd, &[&table(objects)]);
    let run = run.well();
    let batches = column(&answers, "defender_batch");
    assert_eq!(batches.len(), objects.len(), "{}", run.stderr);
    batches[0].to_owned()
}

fn undo(splunkd: &Splunkd, batch: &str, more: &[&str]) -> (Vec<Answer>, Run) {
    let batch = format!("batch={batch}");
    let args: Vec<&str> = [batch.as_str()]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    search("defenderundo", &args).run(splunkd, &[""])
}

fn recorded(splunkd: &Splunkd, action: &str) -> Vec<Value> {
    let indexed = splunkd.indexed().into_iter();
    indexed
        .map(|got| serde_json::from_str::<Value>(&got.body).unwrap())
        .filter(|entry| entry["action"] == action)
        .collect()
}

#[test]
fn a_batch_of_alerts_goes_back_and_its_comments_are_named() {
    let feed = Feed::GraphAlerts;
    let (tenant, objects, splunkd) = open(feed, 7);
    let before = standing(&tenant, feed, &objects);
    let batch = decide(&splunkd, &objects, &CLOSE);
    assert_ne!(standing(&tenant, feed, &objects), before);
    let (answers, run) = undo(
        &splunkd,
        &batch,
        &["comment=closed by mistake", "index=main"],
    );
    let run = run.well();
    assert_eq!(
        column(&answers, "defender_outcome"),
        ["updated"; 7],
        "{}",
        run.stderr
    );
    assert_eq!(standing(&tenant, feed, &objects), before);
    assert_eq!(column(&answers, "defender_verified"), ["1"; 7]);
    assert_eq!(column(&answers, "defender_account"), ["contoso"; 7]);
    assert_eq!(column(&answers, "defender_subject"), ["alert"; 7]);
    for stays in column(&answers, "defender_not_undone") {
        assert_eq!(
            stays,
            "the comment \"closed by the night shift\", as Defender deletes none"
        );
    }
    assert_eq!(
        messages(&answers),
        format!(
            "INFO defenderundo: batch {batch}: 7 rows: 7 updated; of 7 something stays: defender_not_undone says what"
        )
    );
    for object in &objects {
        let comments = comments(&tenant, feed, &object.id);
        assert_eq!(comments.len(), 2, "{comments:?}");
        assert!(comments[1].starts_with("closed by mistake [splunk:"));
    }
    let entries = recorded(&splunkd, "defenderundo");
    assert_eq!(entries.len(), 7);
    for entry in &entries {
        assert_eq!(entry["undoes"], batch.as_str());
        assert_ne!(entry["batch"], batch.as_str());
        assert_eq!(entry["outcome"], "updated");
        let message = entry["message"].as_str().unwrap();
        assert!(message.contains("not undone: the comment"), "{message}");
    }
    assert!(!run.text().contains(SESSION_KEY) && !run.stderr.contains(SESSION_KEY));
}

#[test]
fn incidents_go_back_with_owner_and_tags_and_say_what_their_alerts_keep() {
    let feed = Feed::GraphIncidents;
    let (tenant, objects, splunkd) = open(feed, 4);
    let before = standing(&tenant, feed, &objects);
    let args = [
        "subject=incident",
        "tags_add=closed",
        "tags_remove=vip,gone",
    ];
    let args: Vec<&str> = CLOSE.into_iter().chain(args).collect();
    let batch = decide(&splunkd, &objects, &args);
    assert!(standing(&tenant, feed, &objects)[0].ends_with(r#"["closed", "phish"]"#));
    let (answers, run) = undo(&splunkd, &batch, &[]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["updated"; 4]);
    assert_eq!(standing(&tenant, feed, &objects), before);
    let stays = column(&answers, "defender_not_undone");
    assert!(stays[0].contains("the incident's alerts, which Defender resolves along with it"));
    assert!(
        stays[0].contains("the owner of the incident's alerts"),
        "{stays:?}"
    );
}

#[test]
fn what_an_incident_did_to_alerts_that_came_in_later_rows_is_taken_back() {
    for key in [SESSION_KEY, ANALYST_KEY] {
        let incident = recent(Feed::GraphIncidents, 1);
        let mut alerts = recent(Feed::GraphAlerts, 3);
        for alert in &mut alerts {
            let mut value: Value = serde_json::from_str(&alert.text).unwrap();
            value["incidentId"] = json!(incident[0].id);
            value["status"] = json!("new");
            value["assignedTo"] = json!("bob@contoso.com");
            alert.text = value.to_string();
        }
        let tenant = Tenant::holding(Feed::GraphAlerts, alerts.clone());
        tenant.add(Feed::GraphIncidents, incident.clone());
        let splunkd = Splunkd::new().account("contoso", &tenant).serving();
        let before = standing(&tenant, Feed::GraphAlerts, &alerts);
        let mut rows = "id,status,assignedTo,lastUpdateDateTime\r\n".to_owned();
        for alert in &alerts {
            let value: Value = serde_json::from_str(&alert.text).unwrap();
            let updated = value["lastUpdateDateTime"].as_str().unwrap();
            rows += &format!("{},new,bob@contoso.com,{updated}\r\n", alert.id);
        }
        let first = format!("id,defender_subject\r\n{},incident\r\n", incident[0].id);
        let args = [
            "account=contoso",
            "status=resolved",
            "assigned_to=kim@contoso.com",
            "rows_overrule=true",
        ];
        let update = Search {
            key,
            ..search("defenderupdate", &args)
        };
        let (answers, run) = update.run(&splunkd, &[&first, &rows]);
        let run = run.well();
        let changed = column(&answers, "defender_changed");
        assert_eq!(changed, ["status,assigned_to"; 4], "{}", run.stderr);
        let batch = column(&answers, "defender_batch")[0].to_owned();
        assert_ne!(standing(&tenant, Feed::GraphAlerts, &alerts), before);
        undo(&splunkd, &batch, &["dry_run=false"]).1.well();
        assert_eq!(standing(&tenant, Feed::GraphAlerts, &alerts), before);
    }
}

#[test]
fn a_colleague_who_did_the_same_to_the_alerts_just_before_keeps_what_he_did() {
    for (feed, api) in [(Feed::GraphIncidents, "graph"), (Feed::XdrIncidents, "xdr")] {
        for (asked, made) in [
            ("status=resolved", json!({"status": "resolved"})),
            (
                "assigned_to=kim@contoso.com",
                json!({"assignedTo": "kim@contoso.com"}),
            ),
        ] {
            let incident = recent(feed, 1);
            let mut alerts = recent(Feed::GraphAlerts, 2);
            for alert in &mut alerts {
                let mut value: Value = serde_json::from_str(&alert.text).unwrap();
                value["incidentId"] = json!(incident[0].id);
                value["status"] = json!("new");
                value["assignedTo"] = json!("bob@contoso.com");
                alert.text = value.to_string();
            }
            let tenant = Tenant::holding(Feed::GraphAlerts, alerts.clone());
            tenant.add(feed, incident.clone());
            let splunkd = Splunkd::new().account("contoso", &tenant);
            let id = &incident[0].id;
            tenant.rules(|rules| rules.faster = Some((id.clone(), made.clone())));
            let mut rows = "id,defender_subject,defender_api\r\n".to_owned();
            for alert in &alerts {
                rows += &format!("{},alert,graph\r\n", alert.id);
            }
            rows += &format!("{id},incident,{api}\r\n");
            let args = ["account=contoso", asked, "rows_overrule=true"];
            let (answers, run) = search("defenderupdate", &args).run(&splunkd, &[&rows]);
            let run = run.well();
            let outcomes = column(&answers, "defender_outcome");
            let expected = ["unchanged", "unchanged", "updated"];
            assert_eq!(outcomes, expected, "{answers:?} {}", run.stderr);
            assert_eq!(column(&answers, "defender_changed")[..2], ["", ""]);
            let batch = column(&answers, "defender_batch")[0].to_owned();
            let theirs = standing(&tenant, Feed::GraphAlerts, &alerts);
            let (answers, _) = undo(&splunkd, &batch, &[]);
            let undone = column(&answers, "defender_subject");
            assert_eq!(undone, ["incident"], "{answers:?}");
            if made["status"] == "resolved" {
                assert_eq!(standing(&tenant, Feed::GraphAlerts, &alerts), theirs);
            }
        }
    }
}

#[test]
fn alerts_get_back_their_own_owners_though_their_incident_gets_back_another() {
    let said = |object: &mut Object, fields: &[(&str, Value)]| {
        let mut value: Value = serde_json::from_str(&object.text).unwrap();
        for (field, said) in fields {
            value[*field] = said.clone();
        }
        object.text = value.to_string();
    };
    let mut incident = recent(Feed::GraphIncidents, 1);
    let mut alerts = recent(Feed::GraphAlerts, 2);
    let id = json!(incident[0].id);
    let ann = json!("ann@contoso.com");
    said(
        &mut incident[0],
        &[("status", json!("active")), ("assignedTo", ann)],
    );
    for (alert, owner) in alerts
        .iter_mut()
        .zip([json!("bob@contoso.com"), json!(null)])
    {
        said(
            alert,
            &[
                ("incidentId", id.clone()),
                ("status", json!("new")),
                ("assignedTo", owner),
            ],
        );
    }
    let tenant = Tenant::holding(Feed::GraphAlerts, alerts.clone());
    tenant.add(Feed::GraphIncidents, incident.clone());
    let splunkd = Splunkd::new().account("contoso", &tenant);
    let all = || {
        [
            standing(&tenant, Feed::GraphIncidents, &incident),
            standing(&tenant, Feed::GraphAlerts, &alerts),
        ]
    };
    let before = all();
    let mut rows = "id,defender_subject\r\n".to_owned();
    for (subject, object) in [("alert", &alerts[0]), ("alert", &alerts[1])]
        .into_iter()
        .chain([("incident", &incident[0])])
    {
        rows += &format!("{},{subject}\r\n", object.id);
    }
    let args = [
        "account=contoso",
        "status=resolved",
        "assigned_to=kim@contoso.com",
        "rows_overrule=true",
    ];
    let (answers, run) = search("defenderupdate", &args).run(&splunkd, &[&rows]);
    run.well();
    let batch = column(&answers, "defender_batch")[0].to_owned();
    assert_ne!(all(), before);
    let (answers, run) = undo(&splunkd, &batch, &[]);
    let run = run.well();
    assert_eq!(
        column(&answers, "defender_outcome"),
        ["updated"; 3],
        "{answers:?} {}",
        run.stderr
    );
    assert_eq!(all(), before);
}

#[test]
fn an_older_api_takes_back_what_it_can_and_says_which_verdict_stays() {
    let feed = Feed::MdeAlerts;
    let (tenant, objects, splunkd) = open(feed, 6);
    let before = standing(&tenant, feed, &objects);
    let args: Vec<&str> = CLOSE.into_iter().chain(["api=mde"]).collect();
    let batch = decide(&splunkd, &objects, &args);
    let (answers, run) = undo(&splunkd, &batch, &[]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["updated"; 6]);
    let now = standing(&tenant, feed, &objects);
    let stays = column(&answers, "defender_not_undone");
    for place in 0..6 {
        if place % 3 == 0 {
            assert_eq!(now[place], "New FalsePositive NotMalicious none []");
            assert!(
                stays[place].contains("only Microsoft Graph takes one back"),
                "{stays:?}"
            );
        } else {
            assert_eq!(now[place], before[place]);
        }
    }
}

#[test]
fn who_has_touched_a_target_since_is_not_overruled() {
    let feed = Feed::GraphAlerts;
    let (tenant, objects, splunkd) = open(feed, 4);
    let before = standing(&tenant, feed, &objects);
    let batch = decide(&splunkd, &objects, &CLOSE);
    // One is taken over, one is already as it was, one has grown evidence.
    tenant.change(|stock| {
        let mut set = |place: usize, fields: &[(&str, Value)]| {
            let object = stock.find(feed, &objects[place].id).unwrap();
            let mut value: Value = serde_json::from_str(&object.text).unwrap();
            for (field, said) in fields {
                value[*field] = said.clone();
            }
            object.text = value.to_string();
        };
        set(
            0,
            &[
                ("status", json!("inProgress")),
                ("assignedTo", json!("you@contoso.com")),
            ],
        );
        set(
            1,
            &[
                ("status", json!("inProgress")),
                ("classification", json!("truePositive")),
                ("determination", json!("malware")),
                ("assignedTo", json!("Ann@contoso.com")),
            ],
        );
        set(2, &[("severity", json!("high"))]);
    });
    let (answers, run) = undo(&splunkd, &batch, &[]);
    run.well();
    assert_eq!(
        column(&answers, "defender_outcome"),
        ["conflict", "unchanged", "updated", "updated"]
    );
    let message = column(&answers, "defender_message")[0];
    assert!(
        message.contains(r#"status should be "resolved" and is "inProgress" now"#),
        "{message}"
    );
    assert!(
        message.contains(r#"assigned_to should be "kim@contoso.com""#),
        "{message}"
    );
    let now = standing(&tenant, feed, &objects);
    assert!(now[0].contains("you@contoso.com"), "{now:?}");
    assert_eq!(now[2..], before[2..]);
    assert!(messages(&answers).starts_with("WARN"), "{answers:?}");
}

#[test]
fn undone_twice_it_changes_nothing_and_an_undo_can_be_undone() {
    let feed = Feed::GraphAlerts;
    let (tenant, objects, splunkd) = open(feed, 3);
    let batch = decide(&splunkd, &objects, &CLOSE);
    let closed = standing(&tenant, feed, &objects);
    let (answers, _) = undo(&splunkd, &batch, &["comment=oh"]);
    let own = column(&answers, "defender_batch")[0].to_owned();
    let written = tenant.write_calls().len();
    let (answers, run) = undo(&splunkd, &batch, &["comment=oh once more"]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["unchanged"; 3]);
    assert_eq!(tenant.write_calls().len(), written);
    let (answers, run) = undo(&splunkd, &own, &[]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["updated"; 3]);
    assert_eq!(standing(&tenant, feed, &objects), closed);
}

#[test]
fn a_dry_run_and_a_preview_of_an_undo_write_nothing() {
    let feed = Feed::GraphAlerts;
    let (tenant, objects, splunkd) = open(feed, 3);
    let batch = decide(&splunkd, &objects, &CLOSE);
    let closed = standing(&tenant, feed, &objects);
    let written = tenant.write_calls().len();
    let (answers, run) = undo(&splunkd, &batch, &["dry_run=true"]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["planned"; 3]);
    let message = column(&answers, "defender_message")[0];
    assert!(
        message
            .starts_with("would be: status resolved to new, classification falsePositive to none"),
        "{message}"
    );
    let words = format!("batch={batch}");
    let words = [words.as_str()];
    let preview = Search {
        preview: true,
        ..search("defenderundo", &words)
    };
    let (answers, run) = preview.run(&splunkd, &[""]);
    run.well();
    assert_eq!(
        messages(&answers),
        "INFO defenderundo: this is a preview, nothing was written"
    );
    assert_eq!(tenant.write_calls().len(), written);
    assert_eq!(standing(&tenant, feed, &objects), closed);
}

#[test]
fn what_an_alert_action_did_is_undone_by_the_batch_its_outcomes_name() {
    let feed = Feed::GraphAlerts;
    let (tenant, objects, splunkd) = open(feed, 5);
    let before = standing(&tenant, feed, &objects);
    let rows: Vec<Vec<String>> = objects
        .iter()
        .map(|object| vec![object.id.clone()])
        .collect();
    let run = splunkd.alert(&Alert {
        form: &[
            ("account", "contoso"),
            ("status", "resolved"),
            ("assigned_to", "kim@contoso.com"),
        ],
        header: &["id"],
        rows: &rows,
        ..Alert::default()
    });
    run.well();
    let batch = recorded(&splunkd, "defender_bridge_update_alert")[0]["batch"].clone();
    let (answers, run) = undo(&splunkd, batch.as_str().unwrap(), &[]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["updated"; 5]);
    assert_eq!(column(&answers, "defender_not_undone"), [""; 5]);
    assert_eq!(standing(&tenant, feed, &objects), before);
}

#[test]
fn outcomes_that_still_wait_for_splunkd_are_undone_too() {
    let feed = Feed::GraphAlerts;
    let (tenant, objects, splunkd) = open(feed, 3);
    let before = standing(&tenant, feed, &objects);
    splunkd.fail_receivers(403);
    let batch = decide(&splunkd, &objects, &CLOSE);
    assert!(splunkd.indexed().is_empty());
    let (answers, run) = undo(&splunkd, &batch, &[]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["updated"; 3]);
    assert_eq!(standing(&tenant, feed, &objects), before);
}

#[test]
fn a_comment_alone_is_nothing_that_can_be_undone() {
    let feed = Feed::GraphAlerts;
    let (tenant, objects, splunkd) = open(feed, 2);
    let batch = decide(&splunkd, &objects, &["account=contoso", "comment=seen"]);
    let written = tenant.write_calls().len();
    let (answers, run) = undo(&splunkd, &batch, &["comment=sorry"]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["unchanged"; 2]);
    assert!(column(&answers, "defender_not_undone")[0].contains("\"seen\""));
    assert_eq!(
        column(&answers, "defender_message")[0],
        "nothing the batch changed can be undone; not undone: the comment \"seen\", as Defender deletes none"
    );
    assert_eq!(tenant.write_calls().len(), written);
}

#[test]
fn an_unknown_batch_is_named_with_what_to_check() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 2);
    let (answers, run) = undo(&splunkd, "nobody-knows_it", &["earliest=-7d"]);
    assert_eq!(run.code(), Some(1));
    let said = messages(&answers);
    assert!(
        said.contains(
            "no outcome of batch \"nobody-knows_it\" is in `defender_bridge_index` since -7d"
        ),
        "{said}"
    );
    assert_eq!(tenant.calls().len(), 0);
    let dry: Vec<&str> = CLOSE.into_iter().chain(["dry_run=true"]).collect();
    let batch = decide(&splunkd, &objects, &dry);
    let (answers, run) = undo(&splunkd, &batch, &[]);
    run.well();
    assert_eq!(
        messages(&answers),
        format!(
            "INFO defenderundo: batch {batch} changed nothing (2 planned), so there is nothing to undo"
        )
    );
}

#[test]
fn nothing_in_an_argument_gets_into_the_search() {
    let (tenant, _, splunkd) = open(Feed::GraphAlerts, 1);
    let long = format!("batch={}", "b".repeat(65));
    for args in [
        &["batch=x\" OR batch=\"y"][..],
        &["batch=*"],
        &["batch=x | delete"],
        &["batch=x]"],
        &[long.as_str()],
        &["batch="],
        &[],
        &["batch=x", "index=main | delete"],
        &["batch=x", "index=a OR index=b"],
        &["batch=x", "index=\"a\""],
        &["batch=x", "index=[search x]"],
        &["batch=x", "earliest=-1d latest=now"],
        &["batch=x", "earliest=\"0\" | delete"],
        &["batch=x", "max_targets=none"],
        &["batch=x", "dry_run=maybe"],
        &["batch=x", "status=new"],
        &["batch=x", "undoes=y"],
    ] {
        let (answers, run) = search("defenderundo", args).run(&splunkd, &[""]);
        assert_eq!(run.code(), Some(1), "{args:?}");
        assert!(
            answers.iter().all(|answer| answer.rows.is_empty()),
            "{args:?}"
        );
    }
    assert!(
        splunkd
            .received()
            .iter()
            .all(|got| !got.path.ends_with("/jobs"))
    );
    assert_eq!(tenant.calls().len(), 0);
}

#[test]
fn what_a_row_says_of_itself_makes_no_undo_of_an_ordinary_verdict() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 1);
    let table = format!(
        "id,undoes,defender_undoes,defender_not_undone,defender_classification\r\n{},b,b,my text,none\r\n",
        objects[0].id
    );
    let args = ["account=contoso", "status=resolved"];
    let (answers, run) = search("defenderupdate", &args).run(&splunkd, &[&table]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["invalid"]);
    let entry = &recorded(&splunkd, "defenderupdate")[0];
    assert_eq!(entry.get("undoes"), None);
    assert!(
        !entry["message"].as_str().unwrap().contains("my text"),
        "{entry}"
    );
    assert_eq!(tenant.write_calls().len(), 0);
}

#[test]
fn who_may_not_write_may_not_undo() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 2);
    let batch = decide(&splunkd, &objects, &CLOSE);
    let written = tenant.write_calls().len();
    let words = format!("batch={batch}");
    let words = [words.as_str()];
    let reader = Search {
        key: READER_KEY,
        ..search("defenderundo", &words)
    };
    let (answers, run) = reader.run(&splunkd, &[""]);
    assert_eq!(run.code(), Some(1));
    assert!(
        messages(&answers).contains("defender_triage"),
        "{answers:?}"
    );
    assert_eq!(tenant.write_calls().len(), written);
    assert!(
        splunkd
            .received()
            .iter()
            .all(|got| !got.path.ends_with("/jobs"))
    );
}

#[test]
fn more_targets_than_allowed_are_refused_before_anything_is_written() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 4);
    let batch = decide(&splunkd, &objects, &CLOSE);
    let written = tenant.write_calls().len();
    let (answers, run) = undo(&splunkd, &batch, &["max_targets=3"]);
    assert_eq!(run.code(), Some(1));
    assert!(
        messages(&answers).contains("4 distinct targets, 3 are allowed"),
        "{answers:?}"
    );
    assert_eq!(tenant.write_calls().len(), written);
}

#[test]
fn an_incident_merged_since_is_left_to_a_person() {
    let feed = Feed::GraphIncidents;
    let (tenant, objects, splunkd) = open(feed, 2);
    let args: Vec<&str> = CLOSE.into_iter().chain(["subject=incident"]).collect();
    let batch = decide(&splunkd, &objects[..1], &args);
    tenant.change(|stock| {
        let object = stock.find(feed, &objects[0].id).unwrap();
        let mut value: Value = serde_json::from_str(&object.text).unwrap();
        value["redirectIncidentId"] = json!(objects[1].id);
        value["status"] = json!("redirected");
        object.text = value.to_string();
    });
    let (answers, run) = undo(&splunkd, &batch, &[]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["conflict"]);
    assert!(
        column(&answers, "defender_message")[0].contains("merged into"),
        "{answers:?}"
    );
}

#[test]
fn where_nobody_can_judge_entries_nothing_is_undone() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 2);
    let batch = decide(&splunkd, &objects, &CLOSE);
    let written = tenant.write_calls().len();
    let words = format!("batch={batch}");
    let words = [words.as_str()];
    let analyst = Search {
        key: ANALYST_KEY,
        ..search("defenderundo", &words)
    };
    let (answers, run) = analyst.run(&splunkd, &[""]);
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    assert!(answers.iter().all(|answer| answer.rows.is_empty()));
    let said = messages(&answers);
    assert!(
        said.contains("2 events of the batch cannot be judged here")
            && said.contains("REST endpoint"),
        "{said}"
    );
    assert_eq!(tenant.write_calls().len(), written);
}

#[test]
fn a_role_that_cannot_read_secrets_undoes_through_the_endpoint() {
    let feed = Feed::GraphAlerts;
    let (tenant, objects, splunkd) = open(feed, 4);
    let splunkd = splunkd.serving();
    let before = standing(&tenant, feed, &objects);
    let batch = decide(&splunkd, &objects, &CLOSE);
    let closed = standing(&tenant, feed, &objects);
    let batch_word = format!("batch={batch}");
    let words = [batch_word.as_str()];
    let analyst = Search {
        key: ANALYST_KEY,
        ..search("defenderundo", &words)
    };
    // Somebody else's: looked at first.
    let (answers, run) = analyst.run(&splunkd, &[""]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["planned"; 4]);
    let said = messages(&answers);
    assert!(
        said.contains("asked for by splunk-system-user, so this is a dry run")
            && said.contains("dry_run=false"),
        "{said}"
    );
    assert_eq!(standing(&tenant, feed, &objects), closed);
    let words = [batch_word.as_str(), "dry_run=false"];
    let analyst = Search {
        key: ANALYST_KEY,
        ..search("defenderundo", &words)
    };
    let (answers, run) = analyst.run(&splunkd, &[""]);
    let run = run.well();
    assert_eq!(
        column(&answers, "defender_outcome"),
        ["updated"; 4],
        "{}",
        run.stderr
    );
    assert_eq!(column(&answers, "defender_verified"), ["1"; 4]);
    assert_eq!(standing(&tenant, feed, &objects), before);
    let mut entries = recorded(&splunkd, "defenderundo");
    entries.retain(|entry| entry["dry_run"] == false);
    assert_eq!(entries.len(), 4);
    assert!(
        entries
            .iter()
            .all(|entry| entry["undoes"] == batch.as_str() && entry["actor"] == "analyst")
    );
}

/// Of what the app wrote, the first entry, altered.
fn altered(splunkd: &Splunkd, change: impl Fn(String) -> String) -> String {
    let indexed = splunkd.indexed().into_iter();
    change(indexed.map(|got| got.body).next().unwrap())
}

#[test]
fn what_this_app_did_not_write_is_not_undone() {
    let feed = Feed::GraphAlerts;
    let (tenant, objects, splunkd) = open(feed, 4);
    let batch = decide(&splunkd, &objects[..2], &CLOSE);
    let [_, _, third, fourth] = [
        &objects[0].id,
        &objects[1].id,
        &objects[2].id,
        &objects[3].id,
    ];
    let forged = json!({
        "time": "2026-11-21T08:00:00.000Z", "action": "defenderupdate", "batch": batch, "row": 9,
        "subject": "alert", "target": third, "outcome": "updated", "message": "", "dry_run": false,
        "changed": ["status"], "actor": "splunk-system-user", "account": "contoso", "api": "graph",
        "before": {"status": "resolved"}, "after": {"status": "new"}, "requested": {"status": "new"},
    });
    let source = "defender_bridge:defenderupdate";
    let first = objects[0].id.as_str();
    let lines = [
        forged.to_string(),
        altered(&splunkd, |line| line.replace(first, third)),
        altered(&splunkd, |line| {
            line.replacen('{', &format!(r#"{{"target":"{fourth}","#), 1)
        }),
    ];
    for line in &lines {
        splunkd.plant("defender_bridge:triage", source, line);
    }
    // Its own words under another source are nobody's.
    let own = altered(&splunkd, |line| line);
    splunkd.plant("defender_bridge:triage", "http:token", &own);
    let standing_there = standing(&tenant, feed, &objects[2..]);
    let (answers, run) = undo(&splunkd, &batch, &[]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["updated"; 2]);
    assert_eq!(standing(&tenant, feed, &objects[2..]), standing_there);
    let said = messages(&answers);
    assert!(
        said.contains("1 events of the batch carry no signature"),
        "{said}"
    );
    assert!(
        said.contains("2 events of the batch carry a signature that does not hold"),
        "{said}"
    );
    // A batch that is nothing but planted.
    let planted = forged.to_string().replace(&batch, "deadbeef");
    splunkd.plant("defender_bridge:triage", source, &planted);
    let written = tenant.write_calls().len();
    let (answers, run) = undo(&splunkd, "deadbeef", &[]);
    run.well();
    assert!(messages(&answers).contains("no outcome of batch deadbeef is one this app stands for"));
    assert_eq!(tenant.write_calls().len(), written);
}

#[test]
fn who_wrote_an_entry_is_said_behind_it() {
    let (_tenant, objects, splunkd) = open(Feed::GraphAlerts, 2);
    decide(&splunkd, &objects, &CLOSE);
    let ours = altered(&splunkd, |line| line);
    let forged = altered(&splunkd, |line| line.replace("updated", "unchanged"));
    let (bare, _) = ours.rsplit_once(",\"signature\"").unwrap();
    let bare = format!("{bare}}}");
    let mut rows = "_time,_raw\r\n".to_owned();
    for line in [&ours, &forged, &bare] {
        rows += &format!("1,\"{}\"\r\n", line.replace('"', "\"\""));
    }
    let judge = |splunkd: &Splunkd, key| {
        let search = Search {
            key,
            ..search("defenderledger", &[])
        };
        let (answers, run) = search.run(splunkd, &[&rows]);
        run.well();
        let words = column(&answers, "authentic");
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        (words, messages(&answers))
    };
    assert_eq!(
        judge(&splunkd, SESSION_KEY).0,
        ["true", "false", "unsigned"]
    );
    let (words, said) = judge(&splunkd, ANALYST_KEY);
    assert_eq!(words, ["unknown"; 3]);
    assert!(
        said.contains("does not serve the app's REST endpoint"),
        "{said}"
    );
    let splunkd = splunkd.serving();
    let (words, said) = judge(&splunkd, ANALYST_KEY);
    assert_eq!((words, said.as_str()), (judge(&splunkd, SESSION_KEY).0, ""));
    let (words, said) = judge(&splunkd, READER_KEY);
    assert_eq!(words, ["unknown"; 3]);
    assert!(said.contains("defender_triage"), "{said}");
}

#[test]
fn an_undo_cancelled_in_the_middle_accounts_for_every_target() {
    let feed = Feed::GraphAlerts;
    let (tenant, objects, splunkd) = open(feed, 30);
    let before = standing(&tenant, feed, &objects);
    let batch = decide(&splunkd, &objects, &CLOSE);
    tenant.forget_calls();
    splunkd.forget_budget();
    let words = format!("batch={batch}");
    let words = [words.as_str()];
    let search = search("defenderundo", &words);
    let questions = search.getinfo(&splunkd) + &execute(false, "");
    let mut running = search.start(&splunkd, &questions);
    assert!(running.wait_until(|| !tenant.write_calls().is_empty()));
    running.close_stdin();
    running.finish().well();
    let entries = recorded(&splunkd, "defenderundo");
    assert_eq!(entries.len(), 30);
    let now = standing(&tenant, feed, &objects);
    for (place, object) in objects.iter().enumerate() {
        let entry = entries
            .iter()
            .find(|entry| entry["target"] == object.id.as_str());
        let restored = now[place] == before[place];
        match entry.unwrap()["outcome"].as_str().unwrap() {
            "updated" => assert!(restored, "{entry:?}"),
            "deferred" => assert!(!restored, "{entry:?}"),
            other => panic!("{other}: {entry:?}"),
        }
    }
}

#[test]
fn the_demo_closes_a_whole_attack_story_and_takes_it_back() {
    let run = Splunkd::new().run_arguments(&["demo", "--json", "--alerts", "60"]);
    let story: Value = serde_json::from_str(&run.well().text()).unwrap();
    assert_eq!(story["equal"], true, "{story}");
    let closed = story["outcomes"]["updated"].as_u64().unwrap();
    assert!(closed > 0, "{story}");
    assert_eq!(story["undo"]["updated"], closed, "{story}");
}
