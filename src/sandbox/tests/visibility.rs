use serde_json::json;
use std::time::Duration;

use super::*;

const LONG: Duration = Duration::from_secs(3600);

async fn status(session: &Visitor<'_>, id: &str) -> [String; 2] {
    let path = "/v1.0/security/alerts_v2";
    let (_, alert) = session.get(&format!("{path}/{id}")).await;
    let (_, page) = session.get(&format!("{path}?$top=1000")).await;
    let listed = page["value"].as_array().unwrap();
    let listed: Vec<&Value> = listed.iter().filter(|alert| alert["id"] == id).collect();
    assert_eq!(listed.len(), 1, "listed once, wherever it stands");
    [&alert["status"], &listed[0]["status"]].map(|status| status.as_str().unwrap().to_owned())
}

async fn resolved(settings: Settings) -> [String; 2] {
    let tenant = tenant(Settings {
        alerts: 120,
        ..settings
    })
    .await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let new = graph.ids("/v1.0/security/alerts_v2?$filter=status eq 'new'");
    let id = new.await.swap_remove(0);
    for status in ["inProgress", "resolved"] {
        let (code, answer) = graph
            .send(
                Method::PATCH,
                &format!("/v1.0/security/alerts_v2/{id}"),
                json!({"status": status}),
            )
            .await;
        // Whoever writes is shown what was written.
        assert_eq!((code.as_u16(), &answer["status"]), (200, &json!(status)));
    }
    assert_eq!(tenant.census().alert(&id).unwrap().status, "resolved");
    status(&graph, &id).await
}

#[tokio::test]
async fn a_change_may_show_late_and_in_lists_later_still() {
    assert_eq!(
        resolved(Settings::default()).await,
        ["resolved", "resolved"]
    );
    let lists = Settings {
        listed_after: LONG,
        ..Settings::default()
    };
    assert_eq!(resolved(lists).await, ["resolved", "new"]);
    let both = Settings {
        visible_after: LONG,
        ..Settings::default()
    };
    assert_eq!(resolved(both).await, ["new", "new"]);
}

#[tokio::test]
async fn a_late_change_shows_in_the_end_and_is_listed_where_it_then_belongs() {
    let tenant = tenant(Settings {
        alerts: 40,
        visible_after: Duration::from_millis(200),
        ..Settings::default()
    })
    .await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let order = "/v1.0/security/alerts_v2?$orderby=lastUpdateDateTime desc";
    let before = graph.ids(order).await;
    let id = before.last().unwrap().clone();
    let target = format!("/v1.0/security/alerts_v2/{id}");
    let body = json!({"assignedTo": "night.shift@contoso.com"});
    let (code, _) = graph.send(Method::PATCH, &target, body).await;
    assert_eq!(code, 200);
    loop {
        let (_, alert) = graph.get(&target).await;
        if alert["assignedTo"] == "night.shift@contoso.com" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(graph.ids(order).await[0], id);
}
