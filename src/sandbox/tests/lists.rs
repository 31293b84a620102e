use serde_json::json;
use std::collections::BTreeSet;

use super::*;
use crate::sandbox::{Family, OrderBy};

const ALERTS: &str = "/v1.0/security/alerts_v2";
const INCIDENTS: &str = "/v1.0/security/incidents";

fn refused(answer: (StatusCode, Value), status: u16, text: &str) {
    assert_eq!(answer.0, status, "{}", answer.1);
    assert!(error(&answer.1).1.contains(text), "{}", answer.1);
}

#[tokio::test]
async fn graph_lists_alerts_as_documented_caps_and_silences_included() {
    let tenant = tenant(stories(1100)).await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let (_, page) = graph.get(&format!("{ALERTS}?$top=5000&$count=true")).await;
    assert_eq!(page["value"].as_array().unwrap().len(), 1000);
    assert_eq!(page["@odata.count"], 1100);
    assert!(page.get("@odata.nextLink").is_none());

    let times: Vec<_> = page["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["lastUpdateDateTime"].as_str().unwrap())
        .collect();
    let instants: Vec<jiff::Timestamp> = times.iter().map(|time| time.parse().unwrap()).collect();
    assert!(instants.is_sorted_by(|a, b| a >= b));
    let first = graph.ids(&format!("{ALERTS}?$top=10&$skip=3")).await;
    assert_eq!(first, ids(&page)[3..13]);

    let oldest = graph
        .ids(&format!(
            "{ALERTS}?$orderby=lastUpdateDateTime asc&$top=1000"
        ))
        .await;
    let tail: Vec<_> = ids(&page)[..900].to_vec();
    assert!(
        tail.iter()
            .rev()
            .zip(&oldest[200..])
            .take(800)
            .all(|(a, b)| a == b)
    );

    refused(
        graph.get(&format!("{ALERTS}?$skip=501")).await,
        400,
        "The limit of '500' for Skip",
    );
    refused(
        graph.get(&format!("{ALERTS}?$select=id")).await,
        400,
        "'Select' is not allowed",
    );
    refused(
        graph.get(&format!("{ALERTS}?$filter=title eq 'x'")).await,
        400,
        "Invalid filter clause",
    );
    refused(
        graph.get(&format!("{ALERTS}?$search=x")).await,
        400,
        "'$search' is not supported",
    );
    refused(graph.get(&format!("{ALERTS}?$top=-1")).await, 400, "$top");
    refused(
        graph.get(&format!("{ALERTS}?$expand=x")).await,
        400,
        "Could not find a property",
    );
    refused(
        graph.get(&format!("{ALERTS}/nothing")).await,
        404,
        "Alert nothing not found.",
    );
    refused(
        graph.get("/v1.0/security/secureScores").await,
        404,
        "secureScores",
    );
}

#[tokio::test]
async fn a_walk_over_time_windows_finds_every_alert_once() {
    let tenant = tenant(stories(400)).await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let mut found = Vec::new();
    let mut from = "2020-01-01T00:00:00Z".to_owned();
    loop {
        let target = format!(
            "{ALERTS}?$filter=lastUpdateDateTime gt {from} and lastUpdateDateTime lt 2999-01-01T00:00:00Z&$orderby=lastUpdateDateTime asc&$top=50"
        );
        let (_, page) = graph.get(&target).await;
        let rows = page["value"].as_array().unwrap();
        let Some(last) = rows
            .last()
            .and_then(|row| row["lastUpdateDateTime"].as_str())
        else {
            break;
        };
        // Ties across a page's end are asked for on their own.
        let ties = graph
            .ids(&format!(
                "{ALERTS}?$filter=lastUpdateDateTime eq {last}&$top=1000"
            ))
            .await;
        let whole: Vec<_> = rows
            .iter()
            .filter(|row| row["lastUpdateDateTime"] != last)
            .collect();
        found.extend(
            whole
                .iter()
                .map(|row| row["id"].as_str().unwrap().to_owned()),
        );
        found.extend(ties);
        from = last.to_owned();
    }
    let distinct: BTreeSet<_> = found.iter().cloned().collect();
    let all: BTreeSet<_> = tenant
        .census()
        .alerts
        .into_iter()
        .map(|alert| alert.id)
        .collect();
    assert_eq!((found.len(), distinct), (400, all));
}

#[tokio::test]
async fn graph_incidents_come_in_fifties_with_a_link_to_the_next() {
    let tenant = tenant(stories(900)).await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    refused(
        graph.get(&format!("{INCIDENTS}?$top=1000")).await,
        400,
        "The limit of '50' for Top query has been exceeded. The value from the incoming request is '1000'.",
    );
    let mut target =
        format!("{INCIDENTS}?$filter=lastUpdateDateTime ge 2020-01-01T00:00:00Z&$expand=alerts");
    let (mut incidents, mut alerts) = (Vec::new(), 0);
    loop {
        let (status, page) = graph.get(&target).await;
        assert_eq!(status, 200, "{page}");
        let rows = page["value"].as_array().unwrap();
        alerts += rows
            .iter()
            .map(|row| row["alerts"].as_array().unwrap().len())
            .sum::<usize>();
        incidents.extend(ids(&page));
        match page["@odata.nextLink"].as_str() {
            Some(next) => {
                assert_eq!(rows.len(), 50);
                target = next.strip_prefix(tenant.url()).unwrap().to_owned();
            }
            None => break,
        }
    }
    let known: BTreeSet<_> = tenant
        .census()
        .incidents
        .into_iter()
        .map(|incident| incident.id)
        .collect();
    assert_eq!(incidents.len(), known.len());
    assert_eq!(incidents.iter().cloned().collect::<BTreeSet<_>>(), known);
    assert_eq!(alerts, 900);

    let id = &incidents[0];
    let (_, bare) = graph.get(&format!("{INCIDENTS}/{id}")).await;
    assert!(bare.get("alerts").is_none());
    let (_, whole) = graph.get(&format!("{INCIDENTS}/{id}?$expand=alerts")).await;
    let (_, nested) = graph.get(&format!("{INCIDENTS}/{id}/alerts")).await;
    assert_eq!(whole["alerts"], nested["value"]);
    refused(
        graph.get(&format!("{INCIDENTS}?$expand=comments")).await,
        400,
        "comments",
    );
    refused(
        graph.get(&format!("{INCIDENTS}/7")).await,
        404,
        "Incident 7 not found.",
    );
}

#[tokio::test]
async fn graph_may_ignore_or_refuse_an_order() {
    for order in [OrderBy::Ignored, OrderBy::Refused] {
        let tenant = tenant(Settings {
            order,
            ..stories(20)
        })
        .await;
        let graph = Visitor::of(&tenant, GRAPH).await;
        let target = format!("{ALERTS}?$orderby=lastUpdateDateTime asc");
        if order == OrderBy::Refused {
            refused(graph.get(&target).await, 400, "'OrderBy' is not allowed");
        } else {
            assert_eq!(graph.ids(&target).await, graph.ids(ALERTS).await);
        }
    }
}

#[tokio::test]
async fn newer_enum_members_are_told_to_those_who_ask() {
    let tenant = tenant(stories(200)).await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let target = format!("{ALERTS}?$top=1000");
    let (_, shy) = graph.text(&target).await;
    let request = graph
        .request(Method::GET, &target)
        .header("Prefer", "include-unknown-enum-members");
    let open = request.send().await.unwrap().text().await.unwrap();
    assert!(shy.contains("unknownFutureValue") && !shy.contains("\"nrtAlerts\""));
    assert!(open.contains("\"builtInMl\"") && !open.contains("unknownFutureValue"));
}

#[tokio::test]
async fn mde_lists_with_and_without_evidence_and_links_only_without_top() {
    let tenant = tenant(stories(60)).await;
    let mde = Visitor::of(&tenant, MDE).await;
    let (_, bare) = mde.get("/api/alerts").await;
    assert_eq!(bare["value"].as_array().unwrap().len(), 60);
    assert!(
        bare["value"]
            .as_array()
            .unwrap()
            .iter()
            .all(|alert| alert["evidence"] == json!([]))
    );
    let (_, full) = mde
        .get("/api/v1.0/alerts?$expand=evidence&$top=20&$skip=10")
        .await;
    assert_eq!(ids(&full), ids(&bare)[10..30]);
    assert!(full.get("@odata.nextLink").is_none());
    assert!(
        full["value"]
            .as_array()
            .unwrap()
            .iter()
            .any(|alert| alert["evidence"][0]["entityType"].is_string())
    );
    refused(
        mde.get("/api/alerts?$top=10001").await,
        400,
        "The limit of '10000'",
    );
    refused(
        mde.get("/api/alerts?$filter=status eq 'new'").await,
        400,
        "does not fit property 'status'",
    );

    let some = &bare["value"][7];
    for filter in [
        format!("id eq '{}'", some["id"].as_str().unwrap()),
        format!(
            "incidentId eq {} and lastUpdateTime eq {}",
            some["incidentId"],
            some["lastUpdateTime"].as_str().unwrap()
        ),
    ] {
        let (_, found) = mde.get(&format!("/api/alerts?$filter={filter}")).await;
        assert!(
            ids(&found).contains(&some["id"].as_str().unwrap().to_owned()),
            "{filter}"
        );
    }
    let status = some["status"].as_str().unwrap();
    let (_, same) = mde
        .get(&format!("/api/alerts?$filter=status eq '{status}'"))
        .await;
    let wanted: Vec<_> = bare["value"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|alert| alert["status"] == status)
        .cloned()
        .collect();
    assert_eq!(same["value"], json!(wanted));
}

#[tokio::test]
async fn xdr_lists_newest_first_whatever_is_asked_and_links_to_the_next() {
    let tenant = tenant(stories(900)).await;
    let xdr = Visitor::of(&tenant, XDR).await;
    refused(
        xdr.get("/api/incidents?$top=101").await,
        400,
        "The limit of '100'",
    );
    let (_, first) = xdr.get("/api/incidents?$orderby=lastUpdateTime asc").await;
    assert_eq!(first["value"].as_array().unwrap().len(), 100);
    let next = first["@odata.nextLink"]
        .as_str()
        .unwrap()
        .strip_prefix(tenant.url())
        .unwrap();
    let (_, second) = xdr.get(next).await;
    let time = |page: &Value, at: usize| {
        page["value"][at]["lastUpdateTime"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    assert!(time(&first, 0) >= time(&first, 99) && time(&first, 99) >= time(&second, 0));
    let alert = &first["value"][0]["alerts"][0];
    assert!(
        alert["alertId"].is_string()
            && alert["lastUpdatedTime"].is_string()
            && alert["entities"].is_array()
    );
}

#[tokio::test]
async fn one_object_has_one_state_in_all_three_families() {
    let tenant = tenant(stories(50)).await;
    let record = tenant
        .census()
        .alerts
        .into_iter()
        .find(|alert| alert.status == "resolved")
        .unwrap();
    let read = |text: Option<String>| serde_json::from_str::<Value>(&text.unwrap()).unwrap();
    let graph = read(tenant.alert_text(Family::Graph, &record.id));
    let mde = read(tenant.alert_text(Family::Mde, &record.id));
    let incident = graph["incidentId"].as_str().unwrap();
    let xdr = read(tenant.incident_text(Family::Xdr, incident, true));
    let nested = xdr["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|alert| alert["alertId"] == record.id)
        .unwrap();
    assert_eq!(
        (&graph["status"], &mde["status"], &nested["status"]),
        (&json!("resolved"), &json!("Resolved"), &json!("Resolved"))
    );
    for (object, name) in [
        (&graph, "lastUpdateDateTime"),
        (&mde, "lastUpdateTime"),
        (nested, "lastUpdatedTime"),
    ] {
        assert_eq!(object[name], json!(record.last_update));
    }
    assert_eq!(mde["incidentId"].to_string(), incident);
}

#[tokio::test]
async fn answers_are_compressed_when_asked_and_carry_their_ids() {
    let tenant = tenant(stories(40)).await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let (_, plain) = {
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(tenant.ca_pem().as_bytes()).unwrap()])
            .no_proxy()
            .no_gzip()
            .http1_only()
            .build()
            .unwrap();
        let old = Visitor {
            tenant: &tenant,
            client,
            token: graph.token.clone(),
        };
        let reply = old
            .request(Method::GET, ALERTS)
            .header("client-request-id", "mine")
            .send()
            .await
            .unwrap();
        assert_eq!(reply.version(), reqwest::Version::HTTP_11);
        assert_eq!(reply.headers()["client-request-id"], "mine");
        assert!(reply.headers().contains_key("request-id"));
        let zipped = old
            .request(Method::GET, ALERTS)
            .header("Accept-Encoding", "gzip")
            .send()
            .await
            .unwrap();
        assert_eq!(zipped.headers()["content-encoding"], "gzip");
        (reply.status(), reply.text().await.unwrap())
    };
    let reply = graph.request(Method::GET, ALERTS).send().await.unwrap();
    assert_eq!(reply.version(), reqwest::Version::HTTP_2);
    assert_eq!(reply.text().await.unwrap(), plain);
    let served = tenant.served();
    assert_eq!(
        served
            .iter()
            .filter(|call| call.target == ALERTS && call.status == 200)
            .count(),
        3
    );
}
