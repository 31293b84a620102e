use super::*;
use crate::microsoft::tests::tenant::{BATCH, Reply, Tenant};
use crate::triage::Api;
use std::sync::Mutex;

fn part(method: Method, path: &str) -> Part {
    Part {
        method,
        path: format!("/v1.0/security/{path}"),
        body: Some(json!({"path": path})),
    }
}

fn said(results: &[Result<Answer, Error>]) -> Vec<String> {
    let said = |result: &Result<Answer, Error>| match result {
        Ok(answer) => String::from_utf8_lossy(&answer.body).into_owned(),
        Err(error) => format!("{:?} {}", error.status(), error.uncertain()),
    };
    results.iter().map(said).collect()
}

#[tokio::test]
async fn each_part_gets_its_own_answer_whatever_their_order() {
    let server = Tenant::start(|call| match call.target.rsplit('/').next().unwrap() {
        "a" => Reply::json(200, &json!({"I am": "a"})),
        "b" => Reply::error(404, "ResourceNotFound", "no b").header("request-id", "r-b"),
        _ => Reply::text(204, ""),
    })
    .await;
    let client = server.client(Api::Graph).await;
    let parts = [
        Part::get("/v1.0/security/a"),
        part(Method::PATCH, "b"),
        part(Method::POST, "c"),
    ];
    let results = send(&client, &parts).await.unwrap();
    assert_eq!(
        said(&results),
        [r#"{"I am":"a"}"#, "Some(404) false", r#""""#]
    );
    let fault = results[1].as_ref().unwrap_err().to_string();
    assert!(
        fault.ends_with("answered 404 ResourceNotFound: no b (request-id r-b)"),
        "{fault}"
    );
    let shown = json!({"Prefer": "include-unknown-enum-members"});
    let typed =
        json!({"Content-Type": "application/json", "Prefer": "include-unknown-enum-members"});
    assert_eq!(
        server.calls()[0].body,
        json!({"requests": [
            {"id": "0", "method": "GET", "url": "/security/a", "headers": shown},
            {"id": "1", "method": "PATCH", "url": "/security/b", "headers": typed, "body": {"path": "b"}},
            {"id": "2", "method": "POST", "url": "/security/c", "headers": typed, "body": {"path": "c"}},
        ]})
    );
}

#[tokio::test]
async fn only_throttled_and_broken_parts_are_sent_again() {
    let seen: Mutex<HashMap<String, u32>> = Mutex::default();
    let server = Tenant::start(move |call| {
        let name = call.target.rsplit('/').next().unwrap().to_owned();
        let mut seen = seen.lock().unwrap();
        let nth = seen.entry(name.clone()).or_default();
        *nth += 1;
        match (name.as_str(), *nth) {
            ("throttled", 1) => Reply::error(429, "TooManyRequests", "").header("Retry-After", "1"),
            ("down", 1) => Reply::error(503, "ServiceUnavailable", ""),
            ("dependent", 1) => Reply::error(424, "FailedDependency", ""),
            ("late", 1) => Reply::error(504, "GatewayTimeout", ""),
            ("broken", _) => Reply::error(500, "InternalServerError", ""),
            ("refused", _) => Reply::error(400, "InvalidRequestBody", ""),
            _ => Reply::json(200, &json!(*nth)),
        }
    })
    .await;
    let client = server
        .client(Api::Graph)
        .await
        .patience(Duration::from_secs(30));
    let parts = [
        part(Method::PATCH, "fine"),
        part(Method::POST, "throttled"),
        part(Method::PATCH, "down"),
        part(Method::POST, "dependent"),
        part(Method::PATCH, "late"),
        part(Method::PATCH, "broken"),
        part(Method::PATCH, "refused"),
    ];
    let results = send(&client, &parts).await.unwrap();
    assert_eq!(
        said(&results),
        ["1", "2", "2", "2", "2", "Some(500) true", "Some(400) false"]
    );
    let sizes: Vec<usize> = server
        .calls()
        .iter()
        .map(|call| call.parts().len())
        .collect();
    assert_eq!(sizes, [7, 5, 1]);
    assert_eq!(client.calls().throttles, 1);
}

#[tokio::test]
async fn what_appends_is_left_alone_once_nobody_knows_its_fate() {
    for answer in [
        Reply::error(504, "GatewayTimeout", "late"),
        Reply::HangUp,
        Reply::Cut("{}".into()),
        Reply::json(200, &json!({"responses": []})),
        Reply::json(
            200,
            &json!({"responses": [
                {"id": "0", "status": 500, "body": null}, {"id": 1, "status": "well"},
            ]}),
        ),
        Reply::json(
            200,
            &json!({"responses": [
                {"id": "0", "status": 503, "headers": {"Retry-After": "1"}},
                {"id": "1", "status": 503, "body": {}},
            ]}),
        ),
        Reply::text(200, "<html>"),
    ] {
        let shown = format!("{answer:?}");
        let server = Tenant::plain(move |_| answer.clone()).await;
        let client = server
            .client(Api::Graph)
            .await
            .patience(Duration::from_secs(30));
        let parts = [part(Method::POST, "a"), part(Method::POST, "b")];
        let results = send(&client, &parts).await.unwrap();
        for result in results {
            assert!(result.unwrap_err().uncertain(), "{shown}");
        }
        assert_eq!(server.calls().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn what_batches_leave_out_again_and_again_goes_by_itself_unless_it_appends() {
    let server = Tenant::plain(|call| match call.target.as_str() {
        BATCH => Reply::json(
            200,
            &json!({"responses": [
                {"id": "0", "status": 200, "headers": {}, "body": {"I am": "a"}},
                {"id": 1, "status": "no part of a batch"},
            ]}),
        ),
        _ => Reply::json(200, &json!({"I am": "alone"})),
    })
    .await;
    let client = server.client(Api::Graph).await;
    let parts = [
        Part::get("/v1.0/security/a"),
        Part::get("/v1.0/security/b"),
        part(Method::PATCH, "c"),
        part(Method::POST, "d"),
    ];
    let results = send(&client, &parts).await.unwrap();
    let alone = r#"{"I am":"alone"}"#;
    assert_eq!(
        said(&results),
        [r#"{"I am":"a"}"#, alone, alone, "None true"]
    );
}

#[tokio::test]
async fn an_answer_that_is_none_to_a_batch_sends_its_parts_singly_unless_one_appends() {
    let answered = |method: Method| async move {
        let server = Tenant::plain(|call| match call.target.as_str() {
            BATCH => Reply::text(200, "<html>Sign in to the proxy</html>"),
            _ => Reply::json(200, &json!({})),
        })
        .await;
        let client = server.client(Api::Graph).await;
        let parts = [Part::get("/v1.0/security/a"), part(method, "b")];
        send(&client, &parts).await.map(|results| said(&results))
    };
    assert_eq!(answered(Method::PATCH).await, None);
    let appending = answered(Method::POST).await.unwrap();
    assert_eq!(appending, ["{}", "None true"]);
}

#[tokio::test]
async fn a_throttled_part_without_time_left_says_so() {
    let server = Tenant::start(|call| match call.target.as_str() {
        "/v1.0/security/a" => Reply::error(429, "TooManyRequests", "").header("retry-after", "300"),
        _ => Reply::json(200, &json!({})),
    })
    .await;
    let client = server.client(Api::Graph).await;
    let parts = [part(Method::PATCH, "a"), part(Method::PATCH, "b")];
    let results = send(&client, &parts).await.unwrap();
    assert!(
        matches!(&results[0], Err(Error::Throttled { retry_after, .. }) if retry_after.as_secs() == 300)
    );
    assert!(results[1].is_ok());
    // Nobody who shares the budget asks before then.
    let results = send(&client, &parts).await.unwrap();
    assert_eq!(said(&results), ["Some(429) false", "Some(429) false"]);
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_service_without_batches_is_told_from_one_in_trouble() {
    for (status, offered) in [
        (404, false),
        (400, false),
        (405, false),
        (500, true),
        (401, true),
    ] {
        let server = Tenant::plain(move |call| {
            assert_eq!(call.target, BATCH);
            Reply::error(status, "Code", "no")
        })
        .await;
        let client = server.client(Api::Graph).await;
        let results = send(&client, &[Part::get("/v1.0/security/a")]).await;
        assert_eq!(results.is_some(), offered, "{status}");
    }
}

#[tokio::test]
async fn a_read_only_account_reads_in_batches_and_writes_in_none() {
    let server = Tenant::start(|_| Reply::json(200, &json!({}))).await;
    let mut account = server.account();
    account.read_only = true;
    let client = Client::new(&account, Api::Graph, None).unwrap();
    let reads = [Part::get("/v1.0/security/a")];
    assert!(send(&client, &reads).await.unwrap()[0].is_ok());
    let writes = send(&client, &[part(Method::PATCH, "a")]).await.unwrap();
    assert!(matches!(writes[0], Err(Error::ReadOnly { .. })));
    assert_eq!(server.calls().len(), 1);
}

proptest::proptest! {
    #[test]
    fn takes_any_answer_without_a_panic(body: Vec<u8>, id in "[0-9]{0,3}", status: u16, wait in "\\PC{0,12}") {
        let part = json!({"id": id, "status": status, "headers": {"Retry-After": wait, "x y": 1}, "body": "b"});
        for body in [body, json!({"responses": [part]}).to_string().into_bytes()] {
            for answered in crate::microsoft::defender::update::graph_batch::said(&lenient(&body), &Answer::default()).unwrap_or_default().into_values() {
                drop(answered.headers());
                proptest::prop_assert_eq!(answered.status, Some(status));
            }
        }
    }
}
