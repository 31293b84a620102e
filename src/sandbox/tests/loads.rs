use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

use super::*;

/// The elements of `value` as they stand in a text.
fn elements(text: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        value: Vec<&'a RawValue>,
    }
    let page: Page<'_> = serde_json::from_str(text).unwrap();
    page.value.iter().map(|raw| raw.get().to_owned()).collect()
}

fn sorted(all: Vec<String>) -> BTreeSet<String> {
    all.into_iter().collect()
}

#[tokio::test]
async fn given_objects_are_served_byte_for_byte_by_their_own_family() {
    let tenant = tenant(files(&[
        "graph_alerts_v2.ndjson",
        "graph_incidents_expand_alerts.json",
        "mde_alerts.json",
    ]))
    .await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let (_, text) = graph.text("/v1.0/security/alerts_v2").await;
    let alerts = include_str!("../fixtures/graph_alerts_v2.ndjson")
        .lines()
        .map(str::to_owned);
    assert_eq!(
        sorted(elements(&text)),
        sorted(alerts.filter(|line| !line.is_empty()).collect())
    );

    let (_, text) = graph.text("/v1.0/security/incidents?$expand=alerts").await;
    assert_eq!(
        elements(&text),
        elements(include_str!(
            "../fixtures/graph_incidents_expand_alerts.json"
        ))
    );
    let (_, bare) = graph.get("/v1.0/security/incidents").await;
    assert!(bare["value"][0].get("alerts").is_none());

    let mde = Visitor::of(&tenant, MDE).await;
    let (_, text) = mde.text("/api/alerts?$expand=evidence").await;
    assert_eq!(
        sorted(elements(&text)),
        sorted(elements(include_str!("../fixtures/mde_alerts.json")))
    );
    assert_eq!(
        mde.get("/api/alerts").await.1["value"][0]["evidence"],
        json!([])
    );
    assert_eq!(
        mde.get("/api/alerts/da637551227677560813_-961444813")
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn nested_alerts_of_a_given_incident_are_listed_too() {
    let tenant = tenant(files(&["graph_incidents_expand_alerts.json"])).await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    assert_eq!(
        graph
            .ids("/v1.0/security/alerts_v2?$filter=severity eq 'low'")
            .await,
        ["da637551227677560813_-961444813"]
    );
}

#[tokio::test]
async fn a_write_changes_those_members_of_a_given_object_and_no_other_byte() {
    let tenant = tenant(files(&[
        "graph_incidents_expand_alerts.json",
        "mde_alerts.json",
    ]))
    .await;
    let mde = Visitor::of(&tenant, MDE).await;
    let id = "da637308392288907382_-880718168";
    let before = tenant.alert_text(crate::sandbox::Family::Mde, id).unwrap();
    let body = json!({"status": "InProgress", "comment": "a \"b\""});
    let (status, _) = mde
        .send(Method::PATCH, &format!("/api/alerts/{id}"), body)
        .await;
    assert_eq!(status, 200);
    let after = tenant.alert_text(crate::sandbox::Family::Mde, id).unwrap();
    let (old, new): (Value, Value) = (
        serde_json::from_str(&before).unwrap(),
        serde_json::from_str(&after).unwrap(),
    );
    let changed: Vec<_> = old
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, value)| new[name.as_str()] != **value)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(changed, ["comments", "lastUpdateTime", "status"]);
    assert_eq!(new["comments"][1]["comment"], "a \"b\"");
    assert!(
        after.contains(
            "\"title\":\"Suspicious 'Meterpreter' behavior was detected\",\"description\""
        )
    );

    let graph = Visitor::of(&tenant, GRAPH).await;
    let (_, incident) = graph
        .send(
            Method::PATCH,
            "/v1.0/security/incidents/2972395",
            json!({"status": "resolved", "customTags": ["x"]}),
        )
        .await;
    assert_eq!(
        (&incident["status"], &incident["customTags"]),
        (&json!("resolved"), &json!(["x"]))
    );
    let (_, whole) = graph
        .get("/v1.0/security/incidents/2972395?$expand=alerts")
        .await;
    assert_eq!(whole["alerts"][0]["status"], "resolved");
    assert!(whole["alerts"][0]["resolvedDateTime"].is_string());
}

#[tokio::test]
async fn xdr_incidents_are_recognised_and_cascade_in_their_own_text() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = r#"{"incidentId": 924565, "incidentName":"x\/y", "createdTime":"2020-09-06T14:46:57.0733333Z","lastUpdateTime":"2020-09-06T14:46:57.29Z","assignedTo":null,"classification":"Unknown","determination":"NotAvailable","status":"Active","severity":"Medium","tags":[],"comments":[],"alerts":[{"alertId":"faf8edc936","lastUpdatedTime":"2020-08-30T09:41:27.7933333Z","status":"New","entities":[]}]}"#;
    std::fs::write(file.path(), text).unwrap();
    let tenant = tenant(Settings {
        alerts: 0,
        load: vec![file.path().into()],
        ..Settings::default()
    })
    .await;
    let xdr = Visitor::of(&tenant, XDR).await;
    let (_, page) = xdr.text("/api/incidents?$filter=status eq 'Active'").await;
    assert_eq!(elements(&page), [text]);
    let body = json!({"status": "Resolved", "classification": "FalsePositive", "determination": "Clean", "comment": "ok"});
    let (status, incident) = xdr.send(Method::PATCH, "/api/incidents/924565", body).await;
    assert_eq!(
        (status.as_u16(), &incident["determination"]),
        (200, &json!("Clean"))
    );
    assert_eq!(
        (
            &incident["alerts"][0]["status"],
            &incident["comments"][0]["comment"]
        ),
        (&json!("Resolved"), &json!("ok"))
    );
    assert_eq!(
        incident["alerts"][0]["lastUpdatedTime"],
        incident["lastUpdateTime"]
    );
}
