use super::*;
use serde_json::json;

const PATH: &str = "/v1.0/security/runHuntingQuery";

async fn hunt(session: &Visitor<'_>, query: &str) -> (StatusCode, Value) {
    session
        .send(
            Method::POST,
            PATH,
            json!({"Query": query, "Timespan": "P30D"}),
        )
        .await
}

#[tokio::test]
async fn hunting_finds_the_tenants_own_alerts_and_evidence() {
    let tenant = tenant(stories(60)).await;
    let graph = Visitor::by(&tenant, GRAPH, tenant.reader()).await;
    let (status, found) = hunt(
        &graph,
        "AlertInfo | where Severity == 'High' | project AlertId, Severity, Timestamp | sort by AlertId asc",
    )
    .await;
    assert_eq!(status, 200, "{found}");
    assert_eq!(
        found["schema"],
        json!([{"name": "AlertId", "type": "String"}, {"name": "Severity", "type": "String"}, {"name": "Timestamp", "type": "DateTime"}])
    );
    let mut high: Vec<String> = tenant
        .census()
        .alerts
        .into_iter()
        .filter(|alert| alert.severity == "high")
        .map(|alert| alert.id)
        .collect();
    high.sort();
    let rows = found["results"].as_array().unwrap();
    let ids: Vec<&str> = rows
        .iter()
        .map(|row| row["AlertId"].as_str().unwrap())
        .collect();
    assert!(!high.is_empty());
    assert_eq!(ids, high);

    let (_, counted) = hunt(&graph, "AlertInfo | count").await;
    assert_eq!(counted["results"], json!([{"Count": 60}]));
    let (_, kinds) = hunt(&graph, "AlertEvidence | where isnotempty == 1").await;
    assert_eq!(error(&kinds).0, "BadRequest");
    let (_, kinds) = hunt(
        &graph,
        "AlertEvidence | where DeviceName contains 'contoso' | summarize Alerts=count() by EntityType",
    )
    .await;
    let machines = kinds["results"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["EntityType"] == "Machine");
    assert!(machines.unwrap()["Alerts"].as_i64().unwrap() > 0, "{kinds}");
}

#[tokio::test]
async fn a_query_it_cannot_run_is_a_400_in_the_engines_words() {
    let tenant = tenant(stories(5)).await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let (status, answer) = hunt(&graph, "DeviceEvents | take 1").await;
    assert_eq!((status.as_u16(), error(&answer).0), (400, "BadRequest"));
    assert_eq!(
        error(&answer).1,
        "'take' operator: Failed to resolve table or column expression named 'DeviceEvents'. Fix semantic errors in your query."
    );
    for body in [json!({}), json!({"Query": "AlertInfo", "Timespan": "7d"})] {
        let (status, answer) = graph.send(Method::POST, PATH, body.clone()).await;
        assert_eq!(
            (status.as_u16(), error(&answer).0),
            (400, "BadRequest"),
            "{body}"
        );
    }
    let mde = Visitor::of(&tenant, MDE).await;
    let (status, _) = hunt(&mde, "AlertInfo").await;
    assert_eq!(status, 401, "another API's token");
}
