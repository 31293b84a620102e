use super::*;
use serde_json::json;

async fn first(session: &Visitor<'_>, target: &str) -> String {
    session.ids(target).await.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_graph_write_shows_in_every_family_and_moves_the_last_update() {
    let tenant = tenant(stories(120)).await;
    let (graph, mde) = (
        Visitor::of(&tenant, GRAPH).await,
        Visitor::of(&tenant, MDE).await,
    );
    let id = first(&graph, "/v1.0/security/alerts_v2?$filter=status eq 'new'").await;
    let before = tenant.census().alert(&id).unwrap().clone();
    let target = format!("/v1.0/security/alerts_v2/{id}");
    let body = json!({"status": "resolved", "classification": "falsePositive", "determination": "notEnoughDataToValidate", "assignedTo": "kaic@contoso.com"});
    let (status, alert) = graph.send(Method::PATCH, &target, body).await;
    assert_eq!(
        (status.as_u16(), &alert["determination"]),
        (200, &json!("notEnoughDataToValidate"))
    );
    assert!(alert["resolvedDateTime"].is_string());
    let after = tenant.census().alert(&id).unwrap().clone();
    assert!(
        after.last_update.parse::<jiff::Timestamp>().unwrap() > before.last_update.parse().unwrap()
    );
    assert_eq!(first(&graph, "/v1.0/security/alerts_v2?$top=1").await, id);
    let (_, seen) = mde.get(&format!("/api/alerts/{id}")).await;
    assert_eq!(
        (&seen["determination"], &seen["assignedTo"]),
        (&json!("NoEnoughDataToValidate"), &json!("kaic@contoso.com"))
    );

    let (_, open) = graph
        .send(
            Method::PATCH,
            &target,
            json!({"status": "new", "assignedTo": null}),
        )
        .await;
    assert_eq!(
        (
            &open["status"],
            &open["assignedTo"],
            &open["resolvedDateTime"]
        ),
        (&json!("new"), &json!(null), &json!(null))
    );

    for text in ["one", "two"] {
        let comment =
            json!({"@odata.type": "#microsoft.graph.security.alertComment", "comment": text});
        let (status, all) = graph
            .send(Method::POST, &format!("{target}/comments"), comment)
            .await;
        assert_eq!(
            (
                status.as_u16(),
                &all["value"].as_array().unwrap().last().unwrap()["comment"]
            ),
            (200, &json!(text))
        );
    }
    let census = tenant.census();
    let comments = &census.alert(&id).unwrap().comments;
    assert_eq!(
        comments
            .iter()
            .map(|c| (c.text.as_str(), c.by.as_str()))
            .collect::<Vec<_>>(),
        [("one", "Defender Bridge"), ("two", "Defender Bridge")]
    );
}

#[tokio::test]
async fn impossible_verdicts_are_refused_in_microsofts_shape_and_change_nothing() {
    let tenant = tenant(stories(120)).await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let id = first(
        &graph,
        "/v1.0/security/alerts_v2?$filter=classification eq 'unknown'",
    )
    .await;
    let before = tenant.census();
    let target = format!("/v1.0/security/alerts_v2/{id}");
    for body in [
        json!({"classification": "falsePositive", "determination": "phishing"}),
        json!({"determination": "malware"}),
        json!({"classification": "benignPositive"}),
        json!({"classification": "truePositive", "determination": "apt"}),
        json!({}),
    ] {
        let (status, answer) = graph.send(Method::PATCH, &target, body.clone()).await;
        assert_eq!(
            (status.as_u16(), error(&answer).0),
            (400, "InvalidRequestBody"),
            "{body}"
        );
        assert!(answer["error"]["innerError"]["request-id"].is_string());
    }
    let (status, _) = graph
        .send(
            Method::PATCH,
            "/v1.0/security/alerts_v2/none",
            json!({"status": "new"}),
        )
        .await;
    assert_eq!(status, 404);
    assert_eq!(tenant.census(), before);

    // XDR wants the pair, even where the classification already stands.
    let incident = first(
        &graph,
        "/v1.0/security/incidents?$filter=classification eq 'truePositive'",
    )
    .await;
    let xdr = Visitor::of(&tenant, XDR).await;
    let target = format!("/api/incidents/{incident}");
    let (status, answer) = xdr
        .send(Method::PATCH, &target, json!({"determination": "Malware"}))
        .await;
    assert_eq!(
        (status.as_u16(), error(&answer).0),
        (400, "InvalidRequestBody")
    );
    assert!(answer["error"]["target"].is_string());
}

#[tokio::test]
async fn mde_updates_in_batches_up_to_the_size_it_names() {
    let tenant = tenant(Settings {
        batch: 3,
        ..stories(20)
    })
    .await;
    let mde = Visitor::of(&tenant, MDE).await;
    let ids = mde.ids("/api/alerts?$top=5").await;
    let batch = |ids: &[String]| json!({"alertIds": ids, "status": "Resolved", "classification": "TruePositive", "determination": "CompromisedUser", "comment": "batch"});
    let (status, answer) = mde
        .send(Method::POST, "/api/alerts/batchUpdate", batch(&ids))
        .await;
    assert_eq!(
        (status.as_u16(), error(&answer).0),
        (400, "MaximumBatchSizeExceeded")
    );
    assert!(error(&answer).1.contains("Received: 5") && error(&answer).1.contains("allowed: 3"));
    let (status, answer) = mde
        .send(Method::POST, "/api/alerts/batchUpdate", batch(&ids[..3]))
        .await;
    assert_eq!((status.as_u16(), answer), (200, json!("")));
    let census = tenant.census();
    for id in &ids[..3] {
        let alert = census.alert(id).unwrap();
        assert_eq!(
            (alert.determination.as_str(), alert.comments.len()),
            ("compromisedAccount", 1)
        );
    }
    let unknown = json!({"alertIds": [ids[4], "none"], "status": "New"});
    let (status, _) = mde
        .send(Method::POST, "/api/alerts/batchUpdate", unknown)
        .await;
    assert_eq!(status, 404);
    let (status, answer) = mde
        .send(
            Method::POST,
            "/api/alerts/batchUpdate",
            json!({"status": "New"}),
        )
        .await;
    assert_eq!(
        (status.as_u16(), error(&answer).0),
        (400, "MissingRequiredParameter")
    );
}

#[tokio::test]
async fn the_second_spelling_can_be_the_one_that_is_taken() {
    let tenant = tenant(Settings {
        alternate_spellings: true,
        ..stories(5)
    })
    .await;
    let mde = Visitor::of(&tenant, MDE).await;
    let target = format!("/api/alerts/{}", first(&mde, "/api/alerts").await);
    let body = |word: &str| json!({"classification": "FalsePositive", "determination": word});
    assert_eq!(
        mde.send(Method::PATCH, &target, body("NotMalicious"))
            .await
            .0,
        400
    );
    assert_eq!(mde.send(Method::PATCH, &target, body("Clean")).await.0, 200);
}

#[tokio::test]
async fn resolving_and_assigning_an_incident_does_so_to_its_alerts() {
    let tenant = tenant(stories(120)).await;
    let (graph, xdr) = (
        Visitor::of(&tenant, GRAPH).await,
        Visitor::of(&tenant, XDR).await,
    );
    let id = first(
        &graph,
        "/v1.0/security/incidents?$filter=status eq 'active'",
    )
    .await;
    let body = json!({"status": "Resolved", "assignedTo": "soc@contoso.com", "tags": ["a", "b"], "comment": "done"});
    let (status, incident) = xdr
        .send(Method::PATCH, &format!("/api/incidents/{id}"), body)
        .await;
    assert_eq!(
        (status.as_u16(), &incident["tags"]),
        (200, &json!(["a", "b"]))
    );
    let (_, whole) = graph
        .get(&format!("/v1.0/security/incidents/{id}?$expand=alerts"))
        .await;
    assert_eq!(
        (
            &whole["customTags"],
            &whole["comments"].as_array().unwrap().last().unwrap()["comment"]
        ),
        (&json!(["a", "b"]), &json!("done"))
    );
    let alerts = whole["alerts"].as_array().unwrap();
    assert!(!alerts.is_empty());
    for alert in alerts {
        assert_eq!(
            (&alert["status"], &alert["assignedTo"]),
            (&json!("resolved"), &json!("soc@contoso.com"))
        );
    }
    let (status, _) = graph
        .send(
            Method::PATCH,
            &format!("/v1.0/security/incidents/{id}"),
            json!({"displayName": "neu", "status": "inProgress"}),
        )
        .await;
    assert_eq!(status, 200);
    let (_, reopened) = graph.get(&format!("/v1.0/security/incidents/{id}")).await;
    assert_eq!(
        (&reopened["displayName"], &reopened["status"]),
        (&json!("neu"), &json!("inProgress"))
    );
}

async fn batch(graph: &Visitor<'_>, requests: Value) -> (StatusCode, Value) {
    let body = json!({ "requests": requests });
    graph.send(Method::POST, "/v1.0/$batch", body).await
}

fn part(id: &str, method: &str, url: &str, body: Value) -> Value {
    let headers = json!({"Content-Type": "application/json"});
    match body {
        Value::Null => json!({"id": id, "method": method, "url": url}),
        body => json!({"id": id, "method": method, "url": url, "headers": headers, "body": body}),
    }
}

/// The answers of a batch by their ids.
fn answers(body: &Value) -> std::collections::BTreeMap<String, &Value> {
    let responses = body["responses"].as_array().unwrap().iter();
    responses
        .map(|answer| (answer["id"].as_str().unwrap().to_owned(), answer))
        .collect()
}

#[tokio::test]
async fn a_batch_answers_each_part_by_itself_and_in_no_order() {
    let tenant = tenant(stories(40)).await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let id = first(&graph, "/v1.0/security/alerts_v2").await;
    let alert = format!("/security/alerts_v2/{id}");
    let comment = json!({"@odata.type": "microsoft.graph.security.alertComment", "comment": "x"});
    let mut requests = json!([
        part("a", "PATCH", &alert, json!({"status": "resolved"})),
        part("b", "POST", &format!("{alert}/comments"), comment.clone()),
        part("c", "GET", &alert, Value::Null),
        part("d", "GET", "/security/alerts_v2/none", Value::Null),
        part(
            "e",
            "PATCH",
            "/security/alerts_v2/none",
            json!({"status": "new"})
        ),
        part("f", "POST", &format!("{alert}/comments"), comment),
        part("g", "GET", "/nowhere", Value::Null),
    ]);
    requests[5]["dependsOn"] = json!(["e"]);
    let (status, body) = batch(&graph, requests).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["responses"][0]["id"], "g");
    let answers = answers(&body);
    let statuses: Vec<_> = answers
        .values()
        .map(|one| one["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 200, 200, 404, 404, 424, 404]);
    assert_eq!(answers["c"]["body"]["status"], "resolved");
    assert_eq!(answers["d"]["body"]["error"]["code"], "ResourceNotFound");
    assert!(answers["d"]["headers"]["request-id"].is_string());
    assert_eq!(tenant.census().alert(&id).unwrap().comments.len(), 1);
}

#[tokio::test]
async fn parts_count_against_the_quota_and_are_throttled_one_by_one() {
    let tenant = tenant(Settings {
        quotas: true,
        ..stories(5)
    })
    .await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let id = first(&graph, "/v1.0/security/alerts_v2").await;
    let mut throttled = 0;
    for _ in 0..8 {
        let url = format!("/security/alerts_v2/{id}");
        let parts: Vec<_> = (0..20)
            .map(|n| part(&n.to_string(), "GET", &url, Value::Null))
            .collect();
        let (status, body) = batch(&graph, parts.into()).await;
        assert_eq!(status, 200);
        for answer in answers(&body)
            .values()
            .filter(|answer| answer["status"] == 429)
        {
            assert!(answer["headers"]["retry-after"].is_string(), "{answer}");
            throttled += 1;
        }
    }
    assert_eq!(throttled, 1 + 160 - 150);
}

#[tokio::test]
async fn a_batch_has_its_own_rules() {
    let tenant = tenant(stories(5)).await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let get = |id: &str| part(id, "GET", "/security/alerts_v2?$top=1", Value::Null);
    let many: Vec<_> = (0..21).map(|n| get(&n.to_string())).collect();
    let mut dependent = get("a");
    dependent["dependsOn"] = json!(["b"]);
    let mut bare = get("a");
    bare["body"] = json!({});
    for requests in [
        json!(many),
        json!([]),
        json!([get("a"), get("a")]),
        json!([dependent]),
        json!([bare]),
    ] {
        let (status, body) = batch(&graph, requests).await;
        assert_eq!(
            (status.as_u16(), error(&body).0),
            (400, "BadRequest"),
            "{body}"
        );
    }
    let reader = Visitor::by(&tenant, GRAPH, tenant.reader()).await;
    let write = part(
        "w",
        "PATCH",
        "/security/alerts_v2/x",
        json!({"status": "new"}),
    );
    let (status, body) = batch(&reader, json!([get("r"), write])).await;
    let answers = answers(&body);
    assert_eq!(
        (
            status.as_u16(),
            &answers["r"]["status"],
            &answers["w"]["status"]
        ),
        (200, &json!(200), &json!(403))
    );

    let mde = Visitor::of(&tenant, MDE).await;
    assert_eq!(batch(&mde, json!([get("a")])).await.0, 401);
    let without = crate::sandbox::tests::tenant(Settings {
        graph_batch: false,
        ..stories(5)
    })
    .await;
    let graph = Visitor::of(&without, GRAPH).await;
    assert_eq!(batch(&graph, json!([get("a")])).await.0, 404);
}

#[tokio::test]
async fn mde_lists_alerts_by_their_ids() {
    let tenant = tenant(stories(60)).await;
    let mde = Visitor::of(&tenant, MDE).await;
    let ids = mde.ids("/api/alerts").await;
    let filter: Vec<String> = ids[..30].iter().map(|id| format!("id eq '{id}'")).collect();
    let mut found = mde
        .ids(&format!(
            "/api/alerts?$filter={} or id eq 'none'",
            filter.join(" or ")
        ))
        .await;
    found.sort();
    let mut wanted = ids[..30].to_vec();
    wanted.sort();
    assert_eq!(found, wanted);
}
