use crate::microsoft::defender::update::client::*;
use crate::microsoft::tests::tenant::{Call, Reply, Tenant};
use crate::triage::vocabulary::{Classification, Determination, Status};
use crate::triage::{Api, Change, DefenderClient, Owner, Receipt, Subject};
use serde_json::{Value, json};

const MARKER: &str = "[splunk:0badcafe]";

fn target(subject: Subject, id: &str) -> Target {
    Target {
        subject,
        id: id.to_owned(),
    }
}

fn alert(id: &str) -> Target {
    target(Subject::Alert, id)
}

async fn client(tenant: &Tenant, api: Api) -> UpdateClient {
    UpdateClient::new(tenant.client(api).await).settle(Duration::ZERO)
}

fn verdict() -> Change {
    Change {
        status: Some(Status::Resolved),
        classification: Some(Classification::FalsePositive),
        determination: Some(Determination::NotEnoughDataToValidate),
        ..Change::default()
    }
}

fn commented(change: Change) -> Change {
    Change {
        comment: Some("seen\n".into()),
        ..change
    }
}

fn call(method: &str, target: &str, body: Value) -> Call {
    Call {
        method: method.into(),
        target: target.into(),
        body,
    }
}

async fn write_one(
    client: &UpdateClient,
    target: Target,
    change: &Change,
) -> Result<Receipt, DefenderError> {
    let mut outcomes = client.write(&[target], change, MARKER).await;
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

#[tokio::test]
async fn graph_takes_the_fields_then_the_comment() {
    let server = Tenant::start(|_| Reply::json(200, &json!({}))).await;
    let change = commented(Change {
        assigned_to: Some(Owner::User("ann@contoso.com".into())),
        ..verdict()
    });
    let receipt = write_one(&client(&server, Api::Graph).await, alert("da1_-2"), &change)
        .await
        .unwrap();
    assert_eq!(
        server.calls(),
        [
            call(
                "PATCH",
                "/v1.0/security/alerts_v2/da1_-2",
                json!({
                    "status": "resolved", "classification": "falsePositive",
                    "determination": "notEnoughDataToValidate", "assignedTo": "ann@contoso.com",
                })
            ),
            call(
                "POST",
                "/v1.0/security/alerts_v2/da1_-2/comments",
                json!({
                    "@odata.type": "microsoft.graph.security.alertComment",
                    "comment": "seen [splunk:0badcafe]",
                })
            ),
        ]
    );
    assert_eq!(
        receipt,
        Receipt {
            request_id: Some("r-1".into()),
            attempts: 2
        }
    );
}

#[tokio::test]
async fn only_what_is_asked_for_is_sent() {
    let server = Tenant::start(|_| Reply::json(200, &json!({}))).await;
    let client = client(&server, Api::Graph).await;
    let status = Change {
        status: Some(Status::New),
        ..Change::default()
    };
    write_one(&client, alert("a"), &status).await.unwrap();
    write_one(&client, target(Subject::Incident, "7"), &status)
        .await
        .unwrap();
    write_one(&client, alert("a"), &Change::default())
        .await
        .unwrap();
    write_one(&client, alert("a"), &commented(Change::default()))
        .await
        .unwrap();
    let asked = server.calls();
    assert_eq!(asked[0].body, json!({"status": "new"}));
    assert_eq!(asked[1].body, json!({"status": "active"}));
    assert_eq!(
        server.lines()[1..],
        [
            "PATCH /v1.0/security/incidents/7",
            "POST /v1.0/security/alerts_v2/a/comments"
        ]
    );
}

#[tokio::test]
async fn a_comment_whose_fate_is_unknown_is_looked_for_before_it_is_sent_again() {
    let late = Reply::error(504, "GatewayTimeout", "late");
    // How the first POST is answered, whether it was carried out, whether the
    // comments can be read; then how many are sent, and whether all is well.
    let unavailable = Reply::error(503, "ServiceUnavailable", "busy");
    for (first, carried_out, readable, posts, well) in [
        (unavailable.clone(), true, true, 1, true),
        (unavailable, false, true, 2, true),
        (late.clone(), true, true, 1, true),
        (late.clone(), false, true, 2, true),
        (late.clone(), true, false, 1, false),
        (late, false, false, 1, false),
        (Reply::HangUp, true, true, 1, true),
        (Reply::HangUp, false, true, 2, true),
        (Reply::Cut("{}".into()), true, true, 1, true),
    ] {
        let shown = format!("{first:?} {carried_out} {readable}");
        let comments = Mutex::new(Vec::<Value>::new());
        let seen = Mutex::new(0);
        let server = Tenant::start(move |asked| {
            let mut comments = comments.lock().unwrap();
            if asked.method == "GET" {
                return if readable {
                    Reply::json(200, &json!({"comments": *comments}))
                } else {
                    Reply::error(403, "Forbidden", "no")
                };
            }
            let mut seen = seen.lock().unwrap();
            *seen += 1;
            if *seen > 1 || carried_out {
                comments.push(json!({"comment": asked.body["comment"]}));
            }
            if *seen > 1 {
                Reply::json(200, &json!({"value": *comments}))
            } else {
                first.clone()
            }
        })
        .await;
        let client = client(&server, Api::Graph).await;
        let outcome = write_one(&client, alert("a"), &commented(Change::default())).await;
        let sent = server.lines();
        let sent = sent.iter().filter(|call| call.starts_with("POST")).count();
        assert_eq!((sent, outcome.is_ok()), (posts, well), "{shown}");
        if let Err(fault) = outcome {
            assert!(matches!(fault, DefenderError::CommentUnknown(_)), "{fault}");
            assert_eq!(fault.failing(), Failing::Failed);
            assert_eq!(fault.request_id(), Some("r-1"));
        }
    }
}

#[tokio::test]
async fn a_comment_that_shows_late_is_not_sent_again() {
    for (api, method) in [(Api::Graph, "POST"), (Api::Mde, "PATCH")] {
        let (written, reads) = (Mutex::new(Vec::<Value>::new()), Mutex::new(0));
        let server = Tenant::start(move |asked| {
            let (mut written, mut reads) = (written.lock().unwrap(), reads.lock().unwrap());
            if asked.method == "GET" {
                // The first reads after the write show what stood before it.
                *reads += usize::from(!written.is_empty());
                let shown = if *reads > 2 {
                    written.clone()
                } else {
                    Vec::new()
                };
                return Reply::json(200, &json!({"comments": shown}));
            }
            written.push(json!({"comment": asked.body["comment"]}));
            Reply::error(503, "ServiceUnavailable", "busy")
        })
        .await;
        let client = client(&server, api).await;
        let change = commented(Change::default());
        write_one(&client, alert("a"), &change).await.unwrap();
        let sent = server.lines();
        let sent = sent.iter().filter(|call| call.starts_with(method)).count();
        assert_eq!(sent, 1, "{api}");
    }
}

#[tokio::test]
async fn a_comment_refused_after_its_fields_says_what_stands() {
    let server = Tenant::start(|asked| match asked.method.as_str() {
        "PATCH" => Reply::json(200, &json!({})),
        _ => Reply::error(403, "Forbidden", "no"),
    })
    .await;
    let client = client(&server, Api::Graph).await;
    let fault = write_one(&client, alert("a"), &commented(verdict()))
        .await
        .unwrap_err();
    assert_eq!(fault.failing(), Failing::Forbidden);
    let text = fault.to_string();
    assert!(text.starts_with("the fields were written, the comment was not"));
    assert!(text.contains("SecurityAlert.ReadWrite.All"), "{text}");
}

#[tokio::test]
async fn fields_that_stand_are_never_told_as_not_found_for_want_of_the_comment() {
    for (status, failing) in [
        (400, Failing::Failed),
        (404, Failing::Failed),
        (409, Failing::Failed),
        (403, Failing::Forbidden),
    ] {
        let server = Tenant::start(move |asked| match asked.method.as_str() {
            "POST" => Reply::error(status, "Code", "no comments here"),
            _ => Reply::json(200, &json!({})),
        })
        .await;
        let client = client(&server, Api::Graph).await;
        let change = commented(verdict());
        for targets in [vec![alert("a")], vec![alert("a"), alert("b")]] {
            for fault in client.write(&targets, &change, MARKER).await {
                let fault = fault.unwrap_err();
                assert_eq!(fault.failing(), failing, "{status}");
                let text = fault.to_string();
                assert!(
                    text.starts_with("the fields were written, the comment was not"),
                    "{text}"
                );
            }
        }
        // Where there are no fields, it is the whole change that was not found.
        let alone = commented(Change::default());
        let fault = write_one(&client, alert("a"), &alone).await.unwrap_err();
        assert_eq!(fault.failing() == Failing::NotFound, status == 404);
    }
}

#[tokio::test]
async fn no_message_grows_with_an_answer() {
    let long = "x\u{202E}".repeat(1 << 18);
    for answer in [
        Reply::error(400, &long, &long),
        Reply::error(404, &long, &long),
        Reply::error(500, &long, &long),
        Reply::text(400, &long),
        Reply::text(302, "").header("location", &"x".repeat(1 << 13)),
        Reply::text(400, "no").header("request-id", &"r".repeat(1 << 13)),
        Reply::text(200, &format!("\"{}\"", "x".repeat(1 << 20))),
        Reply::json(200, &json!([long])),
    ] {
        let server = Tenant::start(move |_| answer.clone()).await;
        let client = client(&server, Api::Graph).await;
        let both = [alert("a"), alert("b")];
        let mut faults: Vec<DefenderError> = Vec::new();
        for targets in [&both[..1], &both[..]] {
            let written = client.write(targets, &verdict(), MARKER).await;
            faults.extend(written.into_iter().filter_map(Result::err));
            let read = client.read_many(targets).await;
            faults.extend(read.into_iter().filter_map(Result::err));
        }
        assert!(!faults.is_empty());
        for fault in faults {
            let text = fault.to_string();
            assert!(text.chars().count() < 1500, "{}", text.len());
            assert!(!text.contains('\u{202E}'));
            assert!(fault.request_id().is_none_or(|id| id.len() < 500));
        }
    }
}

#[tokio::test]
async fn mde_takes_the_comment_inside_and_its_spelling_is_learnt_once() {
    let server = Tenant::start(|asked| {
        let word = asked.body.get("determination");
        if word.is_none_or(|word| word == "InsufficientData") {
            Reply::json(200, &json!({}))
        } else {
            Reply::error(400, "InvalidInput", "bad determination")
        }
    })
    .await;
    let client = client(&server, Api::Mde).await;
    write_one(&client, alert("a"), &commented(verdict()))
        .await
        .unwrap();
    write_one(&client, alert("b"), &commented(verdict()))
        .await
        .unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /api/alerts/a",
            "PATCH /api/alerts/a",
            "PATCH /api/alerts/a",
            "GET /api/alerts/a",
            "GET /api/alerts/a",
            "GET /api/alerts/a",
            "PATCH /api/alerts/a",
            "GET /api/alerts/b",
            "PATCH /api/alerts/b"
        ]
    );
    let bodies: Vec<_> = server.calls().into_iter().map(|call| call.body).collect();
    assert_eq!(bodies[1]["determination"], "NoEnoughDataToValidate");
    // A refusal is no proof that the comment does not stand.
    assert_eq!(bodies[2].get("comment"), None);
    assert_eq!(bodies[6], json!({"comment": "seen [splunk:0badcafe]"}));
    assert_eq!(
        bodies[8],
        json!({
            "status": "Resolved", "classification": "FalsePositive",
            "determination": "InsufficientData", "comment": "seen [splunk:0badcafe]",
        })
    );
}

#[tokio::test]
async fn a_change_refused_in_every_wording_fails_with_the_first_refusal() {
    let server = Tenant::start(|asked| {
        let word = asked.body["determination"].as_str().unwrap_or_default();
        Reply::error(400, "InvalidInput", &format!("not {word}"))
    })
    .await;
    let client = client(&server, Api::Mde).await;
    let fault = write_one(&client, alert("a"), &verdict())
        .await
        .unwrap_err();
    assert_eq!(fault.failing(), Failing::Invalid);
    assert!(fault.to_string().contains("not NoEnoughDataToValidate"));
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test]
async fn mde_gets_the_fields_again_but_not_the_comment_while_its_fate_is_unknown() {
    let sent = Mutex::new(false);
    let server = Tenant::start(move |asked| {
        let mut sent = sent.lock().unwrap();
        if asked.body.get("comment").is_some() {
            *sent = true;
            return Reply::error(504, "GatewayTimeout", "late");
        }
        match (asked.method.as_str(), *sent) {
            ("GET", true) => Reply::error(403, "Forbidden", "no"),
            _ => Reply::json(200, &json!({})),
        }
    })
    .await;
    let client = client(&server, Api::Mde).await;
    let change = commented(Change {
        status: Some(Status::InProgress),
        ..Change::default()
    });
    let fault = write_one(&client, alert("a"), &change).await.unwrap_err();
    assert!(matches!(fault, DefenderError::CommentUnknown(_)), "{fault}");
    let asked = server.calls();
    let methods: Vec<_> = asked.iter().map(|call| call.method.as_str()).collect();
    assert_eq!(methods, ["GET", "PATCH", "GET", "PATCH"]);
    assert_eq!(asked[3].body, json!({"status": "InProgress"}));
}

#[tokio::test]
async fn a_refusal_that_wrote_the_comment_all_the_same_is_no_reason_to_write_it_again() {
    for api in [Api::Mde, Api::Xdr] {
        let comments = Mutex::new(Vec::<Value>::new());
        let server = Tenant::start(move |asked| {
            let mut comments = comments.lock().unwrap();
            if asked.method == "GET" {
                return Reply::json(200, &json!({"comments": *comments}));
            }
            if let Some(comment) = asked.body.get("comment") {
                comments.push(json!({"comment": comment}));
            }
            match asked.body["determination"].as_str() {
                Some("InsufficientData") => Reply::json(200, &json!({})),
                _ => Reply::error(400, "InvalidInput", "bad determination"),
            }
        })
        .await;
        let subject = match api {
            Api::Xdr => Subject::Incident,
            _ => Subject::Alert,
        };
        let client = client(&server, api).await;
        write_one(&client, target(subject, "7"), &commented(verdict()))
            .await
            .unwrap();
        let asked = server.calls();
        let sent = asked.iter().filter(|call| call.method == "PATCH");
        let commented: Vec<bool> = sent
            .map(|call| call.body.get("comment").is_some())
            .collect();
        assert_eq!(commented, [true, false], "{api}");
    }
}

#[tokio::test]
async fn nobody_is_worded_as_each_api_wants_it() {
    let nobody = Change {
        assigned_to: Some(Owner::Nobody),
        ..Change::default()
    };
    for (api, refused, words) in [
        (Api::Graph, None, vec![Value::Null]),
        (Api::Graph, Some(Value::Null), vec![Value::Null, json!("")]),
        (Api::Mde, None, vec![json!("")]),
    ] {
        let server = Tenant::start(move |asked| {
            if refused.as_ref() == asked.body.get("assignedTo") {
                Reply::error(400, "BadRequest", "no such owner")
            } else {
                Reply::json(200, &json!({}))
            }
        })
        .await;
        write_one(&client(&server, api).await, alert("a"), &nobody)
            .await
            .unwrap();
        let sent: Vec<_> = server.calls().into_iter().map(|call| call.body).collect();
        let words: Vec<_> = words
            .into_iter()
            .map(|word| json!({"assignedTo": word}))
            .collect();
        assert_eq!(sent, words);
    }
}

#[tokio::test]
async fn an_incidents_tags_are_read_merged_and_written_as_a_whole() {
    for (api, member) in [(Api::Graph, "customTags"), (Api::Xdr, "tags")] {
        let server = Tenant::start(move |asked| match asked.method.as_str() {
            "GET" => Reply::json(200, &json!({member: ["Keep", "Drop", "There"]})),
            _ => Reply::json(200, &json!({})),
        })
        .await;
        let change = Change {
            tags_add: vec!["New".into(), "there".into()],
            tags_remove: vec!["drop".into()],
            ..Change::default()
        };
        let client = client(&server, api).await;
        write_one(&client, target(Subject::Incident, "7"), &change)
            .await
            .unwrap();
        assert_eq!(
            server.calls()[1].body,
            json!({member: ["Keep", "There", "New"]})
        );
        let fault = write_one(&client, alert("a"), &change).await.unwrap_err();
        assert_eq!(fault.failing(), Failing::Invalid);
        assert_eq!(server.calls().len(), 2);
    }
}

#[tokio::test]
async fn nothing_is_called_for_what_cannot_be() {
    let server = Tenant::start(|_| Reply::json(200, &json!({}))).await;
    let open = client(&server, Api::Mde).await;
    for target in [alert(""), alert("a\u{0}"), target(Subject::Incident, "7")] {
        let fault = open.read(&target).await.unwrap_err();
        assert_eq!(fault.failing(), Failing::Invalid);
        let fault = write_one(&open, target, &verdict()).await.unwrap_err();
        assert_eq!(fault.failing(), Failing::Invalid);
    }
    let alone = Change {
        classification: None,
        ..verdict()
    };
    let fault = write_one(&open, alert("a"), &alone).await.unwrap_err();
    assert_eq!(fault.failing(), Failing::Invalid);

    let mut account = server.account();
    account.read_only = true;
    let client = Client::new(&account, Api::Graph, None).unwrap();
    let closed = UpdateClient::new(client).settle(Duration::ZERO);
    let fault = write_one(&closed, alert("a"), &commented(verdict()))
        .await
        .unwrap_err();
    assert_eq!(fault.failing(), Failing::Forbidden);
    assert!(server.calls().is_empty(), "{:?}", server.lines());
}

#[tokio::test]
async fn each_refusal_has_its_name_and_stops_no_other_target() {
    let server = Tenant::start(|asked| {
        let id = asked.target.rsplit('/').next().unwrap();
        match id.parse().unwrap() {
            200 => Reply::json(200, &json!({})),
            429 => Reply::error(429, "TooManyRequests", "slow").header("retry-after", "3000"),
            status => Reply::error(status, "Code", "no"),
        }
    })
    .await;
    let client = client(&server, Api::Graph).await;
    let ids = ["200", "400", "401", "403", "404", "409", "200", "429"];
    let targets: Vec<_> = ids.iter().map(|id| alert(id)).collect();
    let outcomes = client.write(&targets, &verdict(), MARKER).await;
    let failing: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().err().map(UpdateError::failing))
        .collect();
    assert_eq!(
        failing,
        [
            None,
            Some(Failing::Invalid),
            Some(Failing::Forbidden),
            Some(Failing::Forbidden),
            Some(Failing::NotFound),
            Some(Failing::Overtaken),
            None,
            Some(Failing::Throttled),
        ]
    );
}

#[tokio::test]
async fn what_is_throttled_for_longer_than_anybody_waits_says_so_before() {
    for targets in [vec![alert("a")], vec![alert("a"), alert("b")]] {
        let server = Tenant::start(|_| {
            Reply::error(429, "TooManyRequests", "slow down").header("retry-after", "40")
        })
        .await;
        let client = server.client(Api::Graph).await;
        let end = tokio::time::Instant::now() + Duration::from_secs(20);
        let client = UpdateClient::new(client.patience(Duration::from_secs(300)).until(end));
        let change = verdict();
        let results = client.write(&targets, &change, MARKER).await;
        for result in results {
            assert_eq!(result.unwrap_err().failing(), Failing::Throttled);
        }
        assert!(tokio::time::Instant::now() < end);
    }
}

#[tokio::test]
async fn only_another_incident_is_one_it_was_merged_into() {
    for (said, merged) in [
        (json!("9"), Some("9")),
        (json!(9), Some("9")),
        (json!(null), None),
        (json!(""), None),
        (json!(0), None),
        (json!("7"), None),
    ] {
        let object = json!({"id": "7", "status": "active", "redirectIncidentId": said});
        let server = Tenant::start(move |_| Reply::json(200, &object)).await;
        let client = client(&server, Api::Graph).await;
        let state = client.read(&target(Subject::Incident, "7")).await.unwrap();
        assert_eq!(state.merged_into.as_deref(), merged, "{said}");
    }
}

#[tokio::test]
async fn what_stands_is_read_in_graph_words() {
    let server = Tenant::start(|asked| match asked.target.as_str() {
        "/api/alerts/a%2Fb" => Reply::json(
            200,
            &json!({"id": "a/b", "status": "InProgress", "classification": null,
                "comments": [{"comment": "x", "createdTime": "2026-01-01T00:00:00Z"}]}),
        ),
        "/api/alerts/odd" => Reply::text(200, "<html>"),
        _ => Reply::text(404, "<html>gone</html>"),
    })
    .await;
    let client = client(&server, Api::Mde).await;
    let state = client.read(&alert("a/b")).await.unwrap();
    assert_eq!(
        state,
        State {
            status: Some("inProgress".into()),
            comments: vec!["x".into()],
            ..State::default()
        }
    );
    let odd = client.read(&alert("odd")).await.unwrap_err();
    assert_eq!(odd.failing(), Failing::Failed);
    let gone = client.read(&alert("none")).await.unwrap_err();
    assert_eq!(gone.failing(), Failing::NotFound);
    assert!(gone.to_string().contains("February 2027"), "{gone}");
}
