use super::*;
use crate::sandbox::Family;
use std::collections::BTreeSet;
use std::time::Duration;

fn until() -> Option<jiff::Timestamp> {
    Some("2026-11-21T08:00:00Z".parse().unwrap())
}

#[tokio::test]
async fn the_same_seed_tells_the_same_stories() {
    let settings = |seed| Settings {
        seed,
        until: until(),
        ..stories(120)
    };
    let texts = async |seed| {
        let tenant = tenant(settings(seed)).await;
        let texts: Vec<_> = tenant
            .census()
            .alerts
            .iter()
            .map(|alert| tenant.alert_text(Family::Graph, &alert.id).unwrap())
            .collect();
        texts
    };
    let (one, again, other) = (texts(7).await, texts(7).await, texts(8).await);
    assert_eq!((one.len(), other.len()), (120, 120));
    assert!(one == again && one != other);
}

#[tokio::test]
async fn stories_are_of_real_size_and_span_five_workloads() {
    let tenant = tenant(stories(500)).await;
    let census = tenant.census();
    assert_eq!(census.alerts.len(), 500);
    let (mut bytes, mut sources, mut evidence) = (0, BTreeSet::new(), BTreeSet::new());
    for alert in &census.alerts {
        let text = tenant.alert_text(Family::Graph, &alert.id).unwrap();
        bytes += text.len();
        let alert: Value = serde_json::from_str(&text).unwrap();
        sources.insert(alert["serviceSource"].as_str().unwrap().to_owned());
        for item in alert["evidence"].as_array().unwrap() {
            evidence.insert(item["@odata.type"].as_str().unwrap().to_owned());
        }
    }
    let average = bytes / 500;
    assert!((4000..7000).contains(&average), "{average}");
    assert_eq!(sources.len(), 6, "{sources:?}");
    assert!(evidence.len() >= 14, "{evidence:?}");
    let all: String = census
        .alerts
        .iter()
        .filter_map(|alert| tenant.alert_text(Family::Graph, &alert.id))
        .collect();
    for piece in [
        "\\u0007",
        "\u{ffff}",
        "\\\"",
        "\\\\",
        "<b>",
        "&",
        "山田",
        "\u{1f3a3}",
        "\\n",
    ] {
        assert!(all.contains(piece), "{piece:?}");
    }
    for status in ["new", "inProgress", "resolved"] {
        assert!(census.alerts.iter().any(|alert| alert.status == status));
    }
    assert!(
        census
            .alerts
            .iter()
            .map(|alert| &alert.last_update)
            .collect::<BTreeSet<_>>()
            .len()
            < 500
    );
}

#[tokio::test]
async fn a_step_changes_what_it_names_and_nothing_else() {
    let tenant = tenant(Settings {
        until: until(),
        ..stories(80)
    })
    .await;
    let (mut fresh, mut changed) = (0, 0);
    for _ in 0..40 {
        let before = tenant.census();
        let moved = tenant.advance();
        let after = tenant.census();
        assert_eq!((moved.alerts.len(), moved.incidents.len()), (1, 1));
        for record in &after.alerts {
            match before.alert(&record.id) {
                None => fresh += 1,
                Some(old) if old == record => continue,
                Some(_) => changed += 1,
            }
            assert!(moved.alerts.contains(&record.id));
        }
    }
    assert!(fresh > 0 && changed > 0);
}

#[tokio::test]
async fn stories_grow_by_themselves_when_told_to() {
    let tenant = tenant(Settings {
        grow: Some(Duration::from_millis(2)),
        ..stories(10)
    })
    .await;
    let before = tenant.census();
    while tenant.census().alerts.len() < before.alerts.len() + 3 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tenant.stop().await;
}

#[tokio::test]
async fn one_alert_can_be_made_as_large_as_wished() {
    let tenant = tenant(Settings {
        object_bytes: Some(3_000_000),
        ..stories(9)
    })
    .await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let (_, page) = graph.text("/v1.0/security/alerts_v2").await;
    assert!(
        (3_000_000..3_100_000).contains(&page.len()),
        "{}",
        page.len()
    );
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(ids(&page).len(), 9);
}

#[tokio::test]
async fn a_stopped_tenant_frees_its_port() {
    let one = tenant(stories(1)).await;
    let address = one.url().strip_prefix("https://").unwrap().parse().unwrap();
    let client = client(&one);
    one.stop().await;
    assert!(
        client
            .get(format!("https://{address}/"))
            .send()
            .await
            .is_err()
    );
    let two = tenant(Settings {
        listen: address,
        ..stories(1)
    })
    .await;
    assert_eq!(two.url(), format!("https://{address}"));
}

/// The documents of one story, as each family shows them.
#[tokio::test]
async fn documents_of_a_story_stay_as_they_were_read_and_approved() {
    let tenant = tenant(Settings {
        until: until(),
        ..stories(40)
    })
    .await;
    let id = tenant
        .census()
        .alerts
        .into_iter()
        .find(|alert| alert.status == "resolved" && alert.id.starts_with("da"))
        .unwrap()
        .id;
    let pretty = |text: Option<String>| {
        let value: Value = serde_json::from_str(&text.unwrap()).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    let graph = tenant.alert_text(Family::Graph, &id);
    let incident: Value = serde_json::from_str(graph.as_deref().unwrap()).unwrap();
    let incident = incident["incidentId"].as_str().unwrap();
    insta::assert_snapshot!("graph_alert", pretty(graph));
    insta::assert_snapshot!("mde_alert", pretty(tenant.alert_text(Family::Mde, &id)));
    insta::assert_snapshot!(
        "graph_incident",
        pretty(tenant.incident_text(Family::Graph, incident, false))
    );
    insta::assert_snapshot!(
        "xdr_incident",
        pretty(tenant.incident_text(Family::Xdr, incident, true))
    );
}
