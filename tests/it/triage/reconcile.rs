//! Rows of the index are held against Defender: who is ahead is told row by
//! row, with what puts it right, and nothing is written.

use crate::counterpart::chunked::{Search, column, search};
use crate::counterpart::splunkd::ANALYST_KEY;
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Object, Splunkd, Tenant};
use serde_json::{Value, json};

/// Alerts that are new, unclassified and nobody's; incidents that are active.
fn open(feed: Feed, count: usize) -> (Tenant, Vec<Object>, Splunkd) {
    let mut objects = recent(feed, count);
    for object in &mut objects {
        set(
            object,
            &[
                (
                    "status",
                    json!(if feed == Feed::GraphAlerts {
                        "new"
                    } else {
                        "active"
                    }),
                ),
                ("classification", json!("unknown")),
                ("determination", json!("unknown")),
                ("assignedTo", json!(null)),
            ],
        );
    }
    let tenant = Tenant::holding(feed, objects.clone());
    let splunkd = Splunkd::new().account("contoso", &tenant);
    (tenant, objects, splunkd)
}

fn set(object: &mut Object, fields: &[(&str, Value)]) {
    let mut value: Value = serde_json::from_str(&object.text).unwrap();
    for (field, said) in fields {
        value[*field] = said.clone();
    }
    object.text = value.to_string();
}

/// The objects as a search returns them, with what the rows want.
fn table(objects: &[Object], wishes: &[&[(&str, &str)]]) -> String {
    let shown = [
        "id",
        "status",
        "classification",
        "assignedTo",
        "lastUpdateDateTime",
    ];
    let wanted = [
        "defender_status",
        "defender_assigned_to",
        "defender_comment",
    ];
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(shown.iter().chain(&wanted)).unwrap();
    for (place, object) in objects.iter().enumerate() {
        let value: Value = serde_json::from_str(&object.text).unwrap();
        let text = |field: &&str| value[*field].as_str().unwrap_or("null").to_owned();
        let wish = |name: &&str| {
            let wishes = wishes.get(place).copied().unwrap_or_default();
            let wish = wishes.iter().find(|(wish, _)| wish == name);
            wish.map(|(_, value)| (*value).to_owned())
                .unwrap_or_default()
        };
        out.write_record(shown.iter().map(text).chain(wanted.iter().map(wish)))
            .unwrap();
    }
    String::from_utf8(out.into_inner().unwrap()).unwrap()
}

#[test]
fn each_row_is_told_which_side_is_newer_and_what_puts_it_right() {
    let feed = Feed::GraphAlerts;
    let (tenant, objects, splunkd) = open(feed, 5);
    // Since they were indexed: one was taken over, two were resolved.
    tenant.change(|stock| {
        let now = [
            ("status", json!("inProgress")),
            ("assignedTo", json!("ann@contoso.com")),
        ];
        for place in [1, 3] {
            let object = stock.find(feed, &objects[place].id).unwrap();
            set(object, &now);
            set(
                object,
                &[("lastUpdateDateTime", json!("2099-01-01T00:00:00Z"))],
            );
        }
    });
    let wishes: [&[(&str, &str)]; 5] = [
        &[],
        &[],
        &[
            ("defender_status", "resolved"),
            ("defender_comment", "closed in \"ES\""),
        ],
        &[("defender_status", "resolved")],
        &[("defender_status", "new"), ("defender_assigned_to", "none")],
    ];
    let mut missing = objects[0].clone();
    set(&mut missing, &[("id", json!("da0_-404"))]);
    let first = table(&objects, &wishes);
    let second = table(&[missing, objects[0].clone()], &[]) + "../users,,,,,,,\n,,,,,,,\n";
    let args = ["account=contoso"];
    let (answers, run) = search("defenderreconcile", &args).run(&splunkd, &[&first, &second]);
    run.well();
    assert_eq!(
        column(&answers, "defender_newer_in"),
        [
            "none", "defender", "splunk", "both", "none", "missing", "none", "unread", "no_id"
        ]
    );
    let row = &answers[0].rows[1];
    assert_eq!(
        row["defender_differs"],
        "status: new in the row, inProgress in Defender\nassigned_to: none in the row, ann@contoso.com in Defender"
    );
    assert!(
        row["defender_fix"].contains("the feed brings it"),
        "{row:?}"
    );
    assert_eq!(row["defender_fix_command"], "");
    assert_eq!(row["defender_live_status"], "inProgress");
    let row = &answers[0].rows[2];
    assert_eq!(
        row["defender_fix_command"],
        r#"defenderupdate account=contoso subject=alert api=graph status=resolved comment="closed in \"ES\"""#
    );
    let row = &answers[0].rows[3];
    assert!(
        row["defender_fix"].contains("decide first: somebody was faster"),
        "{row:?}"
    );
    assert_eq!(row["defender_fix_command"], "");
    assert_eq!(
        answers[1].messages(),
        [
            "WARN defenderreconcile: 2 of 7 alerts could not be read; defender_live_message says why",
            "INFO defenderreconcile: 9 rows by defender_newer_in: 1 both, 1 defender, 1 missing, 1 no_id, 3 none, 1 splunk, 1 unread"
        ]
    );
    assert_eq!(tenant.write_calls().len(), 0);
}

#[test]
fn the_proposed_command_makes_both_sides_equal() {
    let feed = Feed::GraphIncidents;
    let (tenant, objects, splunkd) = open(feed, 1);
    let row = |more: &str, values: &str| {
        format!("id,status{more}\r\n{},active{values}\r\n", objects[0].id)
    };
    let wanting = row(
        ",defender_classification,defender_determination,defender_tags_add",
        ",false positive,not malicious,reviewed by tier 2",
    );
    let args = ["account=contoso", "subject=incident"];
    let reconcile = search("defenderreconcile", &args);
    let (answers, _) = reconcile.run(&splunkd, &[&wanting]);
    let command = column(&answers, "defender_fix_command")[0].to_owned();
    assert_eq!(
        command,
        r#"defenderupdate account=contoso subject=incident api=graph classification=falsePositive determination=notMalicious tags_add="reviewed by tier 2""#
    );
    // As Splunk's parser hands it over: quotes taken off.
    let words = command.strip_prefix("defenderupdate ").unwrap();
    let (words, tag) = words.split_once(" tags_add=").unwrap();
    let tag = format!("tags_add={}", tag.trim_matches('"'));
    let words: Vec<&str> = words.split(' ').chain([tag.as_str()]).collect();
    let (answers, run) = search("defenderupdate", &words).run(&splunkd, &[&row("", "")]);
    run.well();
    assert_eq!(column(&answers, "defender_outcome"), ["updated"]);
    let (answers, run) = reconcile.run(&splunkd, &[&wanting]);
    run.well();
    assert_eq!(column(&answers, "defender_newer_in"), ["none"]);
    assert_eq!(column(&answers, "defender_fix"), ["nothing to do"]);
    assert!(
        tenant.object(feed, &objects[0].id)["customTags"]
            .to_string()
            .contains("tier 2")
    );
}

#[test]
fn each_object_is_asked_for_once_and_in_few_calls() {
    let feed = Feed::GraphAlerts;
    let (tenant, objects, splunkd) = open(feed, 40);
    let table = table(&objects, &[]);
    let (answers, run) =
        search("defenderreconcile", &["account=contoso"]).run(&splunkd, &[&table, &table]);
    run.well();
    assert_eq!(column(&answers, "defender_newer_in"), ["none"; 80]);
    let calls = tenant.calls();
    let asked = calls
        .iter()
        .filter(|call| !call.path.contains("/oauth2/"))
        .count();
    assert_eq!(asked, 2, "two batches of twenty");
}

#[test]
fn who_cannot_read_secrets_is_told_what_the_role_lacks() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 1);
    let args = ["account=contoso"];
    let analyst = Search {
        key: ANALYST_KEY,
        ..search("defenderreconcile", &args)
    };
    let (answers, run) = analyst.run(&splunkd, &[&table(&objects, &[])]);
    assert_eq!(run.code(), Some(1));
    assert!(
        answers[0].messages()[0].contains("list_storage_passwords"),
        "{answers:?}"
    );
    assert_eq!(tenant.calls().len(), 0);
}

#[test]
fn a_role_that_cannot_read_secrets_reconciles_through_the_endpoint() {
    let (_tenant, objects, splunkd) = open(Feed::GraphAlerts, 2);
    let splunkd = splunkd.serving();
    let rows = table(&objects, &[&[], &[("defender_status", "resolved")]]);
    let args = ["account=contoso"];
    let analyst = Search {
        key: ANALYST_KEY,
        ..search("defenderreconcile", &args)
    };
    let (answers, run) = analyst.run(&splunkd, &[&rows]);
    run.well();
    assert_eq!(column(&answers, "defender_newer_in"), ["none", "splunk"]);
}

#[test]
fn a_call_that_asks_for_a_write_or_another_api_is_refused() {
    let (tenant, objects, splunkd) = open(Feed::GraphAlerts, 1);
    for args in [
        &["account=contoso", "status=resolved"][..],
        &["account=contoso", "api=xdr"],
        &["account=contoso", "subject=user"],
        &[],
    ] {
        let (answers, run) =
            search("defenderreconcile", args).run(&splunkd, &[&table(&objects, &[])]);
        assert_eq!(run.code(), Some(1), "{args:?}");
        assert!(answers[0].rows.is_empty());
    }
    assert_eq!(tenant.calls().len(), 0);
}
