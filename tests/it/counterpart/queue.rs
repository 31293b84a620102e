//! A queue of open alerts or incidents, what somebody decided about them, and
//! what came of it.

use super::splunkd::Alert;
use super::tenant::recent;
use super::{Feed, Object, Splunkd, Tenant};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub const COMMENT: &str = "closed by the night shift";

const VERDICT: [(&str, &str); 5] = [
    ("account", "contoso"),
    ("status", "resolved"),
    ("classification", "truePositive"),
    ("determination", "malware"),
    ("comment", COMMENT),
];

/// What closes alerts or incidents of this feed.
pub fn verdict(feed: Feed) -> Vec<(&'static str, &'static str)> {
    let [_, api] = feed.input();
    [VERDICT.as_slice(), &[api]].concat()
}

/// Objects nobody has looked at yet.
pub fn open(feed: Feed, count: usize) -> Vec<Object> {
    let mut objects = recent(feed, count);
    for object in &mut objects {
        edit(object, |value| {
            value["status"] = Value::from(match feed {
                Feed::GraphAlerts => "new",
                Feed::MdeAlerts => "New",
                Feed::GraphIncidents => "active",
                Feed::XdrIncidents => "Active",
            });
        });
    }
    objects
}

pub fn edit(object: &mut Object, with: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_str(&object.text).unwrap();
    with(&mut value);
    object.text = value.to_string();
}

/// As if the verdict had been carried out before.
pub fn close(feed: Feed, object: &mut Object) {
    edit(object, |value| {
        for (field, word) in closed(feed) {
            value[field] = Value::from(word);
        }
        let comment = json!({"comment": COMMENT});
        value["comments"].as_array_mut().unwrap().push(comment);
    });
}

/// How a closed one of this feed stands.
fn closed(feed: Feed) -> [(&'static str, &'static str); 3] {
    match feed {
        Feed::GraphAlerts | Feed::GraphIncidents => [
            ("status", "resolved"),
            ("classification", "truePositive"),
            ("determination", "malware"),
        ],
        Feed::MdeAlerts | Feed::XdrIncidents => [
            ("status", "Resolved"),
            ("classification", "TruePositive"),
            ("determination", "Malware"),
        ],
    }
}

/// A tenant that holds these, and a splunkd with an account for it whose calls
/// are not counted: a test cannot wait for Microsoft's minutes.
pub fn at_work(feed: Feed, objects: &[Object]) -> (Tenant, Splunkd) {
    let (tenant, splunkd) = counted(feed, objects);
    // A budget is lifted where there is one.
    let rows = vec![vec![feed.id(9_999_999)]];
    splunkd.alert(&decided(feed, &verdict(feed), &rows));
    splunkd.lift_budget();
    splunkd.forget();
    tenant.forget_calls();
    (tenant, splunkd)
}

/// The same under the published limits.
pub fn counted(feed: Feed, objects: &[Object]) -> (Tenant, Splunkd) {
    let tenant = Tenant::holding(feed, objects.iter().cloned());
    let splunkd = Splunkd::new().account("contoso", &tenant);
    (tenant, splunkd)
}

/// The feed's alert action over rows of ids.
pub fn decided<'a>(
    feed: Feed,
    form: &'a [(&'a str, &'a str)],
    rows: &'a [Vec<String>],
) -> Alert<'a> {
    Alert {
        arguments: match feed {
            Feed::GraphAlerts | Feed::MdeAlerts => Alert::default().arguments,
            _ => &["alert-action", "defender_bridge_update_incident"],
        },
        form,
        header: &["id"],
        rows,
        ..Alert::default()
    }
}

pub fn rows(objects: &[Object]) -> Vec<Vec<String>> {
    objects.iter().map(|one| vec![one.id.clone()]).collect()
}

/// The ledger as splunkd got it.
pub fn ledger(splunkd: &Splunkd) -> Vec<Value> {
    let entry = |line: &str| serde_json::from_str(line).unwrap();
    splunkd
        .indexed()
        .iter()
        .flat_map(|got| got.body.lines().map(entry).collect::<Vec<Value>>())
        .collect()
}

/// The outcomes by row and target; each is there once.
#[track_caller]
pub fn outcomes(ledger: &[Value]) -> BTreeMap<(u64, String), String> {
    let mut outcomes = BTreeMap::new();
    for entry in ledger {
        let target = entry["target"].as_str().unwrap_or_default().to_owned();
        let key = (entry["row"].as_u64().unwrap(), target);
        let outcome = entry["outcome"].as_str().unwrap().to_owned();
        let other = outcomes.insert(key, outcome);
        assert_eq!(other, None, "a second outcome: {entry}");
    }
    outcomes
}

pub fn counts(ledger: &[Value]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for outcome in outcomes(ledger).into_values() {
        *counts.entry(outcome).or_default() += 1;
    }
    counts
}

/// How often the comment stands on an object.
pub fn comments(tenant: &Tenant, feed: Feed, id: &str) -> usize {
    let object = tenant.object(feed, id);
    let comments = object["comments"].as_array().unwrap();
    let ours = |comment: &&Value| comment["comment"].as_str().unwrap().contains(COMMENT);
    comments.iter().filter(ours).count()
}

pub fn is_closed(tenant: &Tenant, feed: Feed, id: &str) -> bool {
    let object = tenant.object(feed, id);
    closed(feed)
        .iter()
        .all(|(field, word)| object[*field] == *word)
}

/// The feed of most search commands.
pub const FEED: Feed = Feed::GraphAlerts;

/// A verdict, as arguments of a search command.
pub const CLOSE: [&str; 5] = [
    "account=contoso",
    "status=resolved",
    "classification=falsePositive",
    "determination=notMalicious",
    "comment=closed, \"for good\"",
];

/// Alerts nobody has looked at, and a splunkd with an account for their tenant.
pub fn new_alerts(count: usize) -> (Tenant, Vec<Object>, Splunkd) {
    let objects = open(FEED, count);
    let (tenant, splunkd) = counted(FEED, &objects);
    (tenant, objects, splunkd)
}

/// Rows of ids with a note that needs quoting, as a search hands them over.
pub fn table<'i>(ids: impl IntoIterator<Item = &'i str>) -> String {
    let mut table = "id,__mv_id,note,__mv_note\r\n".to_owned();
    for id in ids {
        table += &format!("{id},,\"a \"\"note\"\", with\nall\",\r\n");
    }
    table
}

pub fn ids(objects: &[Object]) -> Vec<&str> {
    objects.iter().map(|object| object.id.as_str()).collect()
}
