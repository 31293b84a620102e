//! An incident and its alerts in one action; and our own change, when it comes
//! back to the search that made it.

use crate::counterpart::process::Run;
use crate::counterpart::splunkd::Alert;
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Object, Splunkd, Tenant};
use serde_json::Value;

const INCIDENT: &str = "28001";

/// An active incident with so many new alerts, and the ids of these.
fn story(count: usize) -> (Tenant, Vec<String>, Splunkd) {
    let mut incident = recent(Feed::GraphIncidents, 1).remove(0);
    incident.text = with(&incident.text, |object| {
        object["id"] = INCIDENT.into();
        object["status"] = "active".into();
    });
    incident.id = INCIDENT.to_owned();
    let alerts: Vec<Object> = recent(Feed::GraphAlerts, count)
        .into_iter()
        .map(|mut alert| {
            alert.text = with(&alert.text, |object| {
                object["incidentId"] = INCIDENT.into();
                object["status"] = "new".into();
            });
            alert
        })
        .collect();
    let ids = alerts.iter().map(|alert| alert.id.clone()).collect();
    let tenant = Tenant::holding(Feed::GraphAlerts, alerts);
    tenant.add(Feed::GraphIncidents, [incident]);
    let splunkd = Splunkd::new().account("contoso", &tenant);
    (tenant, ids, splunkd)
}

fn with(text: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut object: Value = serde_json::from_str(text).unwrap();
    change(&mut object);
    object.to_string()
}

fn outcomes(splunkd: &Splunkd) -> Vec<Value> {
    let lines = splunkd.indexed().into_iter();
    lines
        .map(|got| serde_json::from_str(got.body.trim()).unwrap())
        .collect()
}

#[track_caller]
fn ended(run: &Run, code: i32) {
    assert_eq!(run.code(), Some(code), "{}", run.stderr);
}

#[test]
fn one_action_closes_an_incident_and_its_alerts_with_the_fewest_writes() {
    let (tenant, ids, splunkd) = story(6);
    let alerts = ids.iter().map(|id| vec![id.clone(), "alert".to_owned()]);
    // The incident stands last in the rows, and is written first all the same.
    let rows: Vec<Vec<String>> = alerts
        .chain([vec![INCIDENT.to_owned(), "incident".to_owned()]])
        .collect();
    let alert = Alert {
        form: &[
            ("account", "contoso"),
            ("status", "resolved"),
            ("rows_overrule", "1"),
        ],
        header: &["id", "defender_subject"],
        rows: &rows,
        ..Alert::default()
    };
    ended(&splunkd.alert(&alert), 0);
    let writes = tenant.write_calls();
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert!(writes[0].path.ends_with(INCIDENT), "{}", writes[0].path);
    let outcomes = outcomes(&splunkd);
    assert_eq!(outcomes.len(), 7);
    for outcome in outcomes {
        let incident = outcome["subject"] == "incident";
        let wanted = if incident { "updated" } else { "unchanged" };
        assert_eq!(outcome["outcome"], wanted, "{outcome}");
        // What it changed is told in either case, for whoever undoes it.
        let before = if incident { "active" } else { "new" };
        assert_eq!(outcome["before"]["status"], before, "{outcome}");
        assert_eq!(outcome["after"]["status"], "resolved", "{outcome}");
        assert_eq!(outcome["changed"][0], "status", "{outcome}");
    }
    for id in &ids {
        assert_eq!(tenant.object(Feed::GraphAlerts, id)["status"], "resolved");
    }
}

#[test]
fn alerts_of_a_closed_incident_get_only_what_they_still_lack() {
    let (tenant, ids, splunkd) = story(3);
    let mut rows: Vec<Vec<String>> = ids
        .iter()
        .map(|id| vec![id.clone(), "alert".to_owned()])
        .collect();
    rows.push(vec![INCIDENT.to_owned(), "incident".to_owned()]);
    let alert = Alert {
        form: &[
            ("account", "contoso"),
            ("status", "resolved"),
            ("classification", "truePositive"),
            ("determination", "malware"),
            ("comment", "whole story"),
            ("rows_overrule", "1"),
        ],
        header: &["id", "defender_subject"],
        rows: &rows,
        ..Alert::default()
    };
    ended(&splunkd.alert(&alert), 0);
    for id in &ids {
        let now = tenant.object(Feed::GraphAlerts, id);
        assert_eq!(now["status"], "resolved");
        assert_eq!(now["determination"], "malware");
        assert_eq!(now["comments"].as_array().unwrap().len(), 1);
    }
    let bodies = tenant.write_calls();
    let about_alerts = bodies.iter().filter(|call| call.body.contains("alerts_v2"));
    let sent: String = about_alerts.map(|call| call.body.as_str()).collect();
    assert!(
        sent.contains("malware") && !sent.contains("resolved"),
        "{sent}"
    );
}

#[test]
fn an_alert_fired_again_by_its_own_change_writes_nothing() {
    let (tenant, ids, splunkd) = story(1);
    for form in [
        [
            ("account", "contoso"),
            ("status", "resolved"),
            ("comment", "known scanner"),
        ]
        .as_slice(),
        &[
            ("account", "contoso"),
            ("comment", "the night shift has seen it"),
        ],
    ] {
        let row = || {
            let event = tenant.object(Feed::GraphAlerts, &ids[0]);
            let text = |name: &str| event[name].as_str().unwrap_or("null").to_owned();
            vec![text("id"), text("lastUpdateDateTime"), text("status")]
        };
        let fire = |sid: &str, row: Vec<String>| {
            let alert = Alert {
                form,
                header: &["id", "lastUpdateDateTime", "status"],
                rows: &[row],
                sid,
                ..Alert::default()
            };
            ended(&splunkd.alert(&alert), 0);
            outcomes(&splunkd).pop().unwrap()
        };
        let older = row();
        let first = fire("scheduler__1", older.clone());
        assert_eq!(first["outcome"], "updated", "{first}");
        // By these two the event is recognised as ours.
        let now = tenant.object(Feed::GraphAlerts, &ids[0]);
        assert_eq!(first["after"]["updated"], now["lastUpdateDateTime"]);
        let marker = format!("[splunk:{}]", first["marker"].as_str().unwrap());
        assert!(now["comments"].to_string().contains(&marker), "{now}");

        let writes = tenant.write_calls().len();
        for (sid, row) in [("scheduler__2", row()), ("scheduler__3", older)] {
            let again = fire(sid, row);
            assert_eq!(again["outcome"], "unchanged", "{again}");
            assert_ne!(again["batch"], first["batch"]);
        }
        assert_eq!(tenant.write_calls().len(), writes);
    }
}
