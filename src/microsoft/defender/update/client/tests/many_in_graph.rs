use crate::microsoft::defender::update::client::*;
use crate::microsoft::tests::tenant::{BATCH, Call, Reply, Tenant};
use crate::triage::vocabulary::{Classification, Determination, Status};
use crate::triage::{Api, Change, DefenderClient, Owner, Subject};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

const MARKER: &str = "[splunk:0badcafe]";

fn targets(subject: Subject, ids: impl IntoIterator<Item = String>) -> Vec<Target> {
    ids.into_iter().map(|id| Target { subject, id }).collect()
}

fn alerts(count: usize) -> Vec<Target> {
    targets(Subject::Alert, (0..count).map(|n| format!("da{n:04}")))
}

async fn client(tenant: &Tenant) -> UpdateClient {
    let client = tenant.client_without_budget(Api::Graph).await;
    UpdateClient::new(client).settle(Duration::ZERO)
}

fn verdict() -> Change {
    Change {
        status: Some(Status::Resolved),
        classification: Some(Classification::FalsePositive),
        determination: Some(Determination::NotMalicious),
        comment: Some("seen".into()),
        ..Change::default()
    }
}

fn failing<T>(results: &[Result<T, DefenderError>]) -> Vec<Option<Failing>> {
    let failing =
        |result: &Result<T, DefenderError>| result.as_ref().err().map(UpdateError::failing);
    results.iter().map(failing).collect()
}

/// `(id, whether it is about its comments)` of a call.
fn about(call: &Call) -> (String, bool) {
    let bare = call.target.strip_suffix("/comments");
    let path = bare.unwrap_or(&call.target);
    (path.rsplit('/').next().unwrap().to_owned(), bare.is_some())
}

/// Alerts that keep what is written.
#[derive(Default)]
struct Kept(Mutex<HashMap<String, Value>>);

impl Kept {
    fn answer(&self, call: &Call) -> Reply {
        let (id, comments) = about(call);
        let mut kept = self.0.lock().unwrap();
        let Some(object) = kept.get_mut(&id) else {
            return Reply::error(404, "ResourceNotFound", &format!("{id} not found"));
        };
        if comments {
            let comment = json!({"comment": call.body["comment"]});
            object["comments"].as_array_mut().unwrap().push(comment);
        } else if let Some(fields) = call.body.as_object() {
            object.as_object_mut().unwrap().extend(fields.clone());
        }
        Reply::json(200, object)
    }

    fn of(targets: &[Target]) -> Arc<Self> {
        let object = |t: &Target| {
            (
                t.id.clone(),
                json!({"id": t.id, "status": "new", "comments": []}),
            )
        };
        Arc::new(Self(Mutex::new(targets.iter().map(object).collect())))
    }

    fn comments(&self, id: &str) -> usize {
        self.0.lock().unwrap()[id]["comments"]
            .as_array()
            .unwrap()
            .len()
    }
}

#[tokio::test]
async fn two_hundred_alerts_with_the_third_one_missing_spoil_no_other() {
    let rows = alerts(200);
    let kept = Kept::of(&rows);
    kept.0.lock().unwrap().remove("da0002");
    let tenant = Arc::clone(&kept);
    let server = Tenant::start(move |call| tenant.answer(call)).await;
    let client = client(&server).await;
    let mut wanted = vec![None; 200];
    wanted[2] = Some(Failing::NotFound);

    assert_eq!(failing(&client.read_many(&rows).await), wanted);
    assert_eq!(server.calls().len(), 10);
    let written = client.write(&rows, &verdict(), MARKER).await;
    assert_eq!(failing(&written), wanted);
    assert_eq!(server.calls().len(), 30);
    assert_eq!(written[0].as_ref().unwrap().attempts, 2);
    assert_eq!(
        written[0].as_ref().unwrap().request_id.as_deref(),
        Some("r-1")
    );
    let read = client.read_many(&rows).await;
    for (at, state) in read.into_iter().enumerate().filter(|(at, _)| *at != 2) {
        let state = state.unwrap();
        assert_eq!(state.status.as_deref(), Some("resolved"), "{at}");
        assert_eq!(state.determination.as_deref(), Some("notMalicious"));
        assert_eq!(state.comments, ["seen [splunk:0badcafe]"], "{at}");
    }
    // A missing one is not sent a comment.
    let about_it = |call: &&Call| call.target.contains("da0002");
    let sent = server.singly();
    let sent: Vec<&str> = sent
        .iter()
        .filter(about_it)
        .map(|c| c.method.as_str())
        .collect();
    assert_eq!(sent, ["GET", "PATCH", "GET"]);
}

#[tokio::test]
async fn every_part_ends_as_what_it_was_answered() {
    let statuses = [200, 400, 401, 403, 404, 409, 424, 429, 500, 503];
    let server = Tenant::start(|call| {
        let status: u16 = about(call).0.parse().unwrap();
        match status {
            200 => Reply::json(200, &json!({})),
            429 => Reply::error(429, "TooManyRequests", "").header("Retry-After", "3000"),
            _ => Reply::error(status, "Code", "no"),
        }
    })
    .await;
    let client = client(&server).await;
    let rows = targets(Subject::Alert, statuses.iter().map(ToString::to_string));
    let results = client.write(&rows, &verdict(), MARKER).await;
    assert_eq!(
        failing(&results),
        [
            Some(Failing::Throttled),
            Some(Failing::Invalid),
            Some(Failing::Forbidden),
            Some(Failing::Forbidden),
            Some(Failing::NotFound),
            Some(Failing::Overtaken),
            Some(Failing::Failed),
            Some(Failing::Throttled),
            Some(Failing::Failed),
            Some(Failing::Failed),
        ]
    );
    // Nothing is sent while the service asks to be left alone, not even a comment.
    assert!(
        results[0]
            .as_ref()
            .unwrap_err()
            .to_string()
            .starts_with("the fields were written")
    );
}

#[tokio::test]
async fn no_comment_is_doubled_when_answers_get_lost() {
    // What the first POST of each alert does: its status, and whether it is carried out.
    let first = [
        (504, true),
        (504, false),
        (500, true),
        (500, false),
        (200, true),
        (503, false),
        (503, true),
    ];
    let rows = alerts(first.len());
    let kept = Kept::of(&rows);
    let (tenant, posted) = (Arc::clone(&kept), Mutex::new(HashMap::new()));
    let server = Tenant::start(move |call| {
        let (id, comment) = about(call);
        let mut posted = posted.lock().unwrap();
        if !comment || posted.insert(id.clone(), ()).is_some() {
            return tenant.answer(call);
        }
        let (status, carried_out) = first[id[2..].parse::<usize>().unwrap()];
        if carried_out {
            drop(tenant.answer(call));
        }
        match status {
            200 => Reply::json(200, &json!({})),
            _ => Reply::error(status, "Lost", ""),
        }
    })
    .await;
    let client = server
        .client_without_budget(Api::Graph)
        .await
        .patience(Duration::from_secs(20));
    let client = UpdateClient::new(client).settle(Duration::ZERO);
    let results = client.write(&rows, &verdict(), MARKER).await;
    assert_eq!(failing(&results), vec![None; first.len()]);
    for row in &rows {
        assert_eq!(kept.comments(&row.id), 1, "{}", row.id);
    }
}

#[tokio::test]
async fn no_comment_is_doubled_that_shows_late() {
    let rows = alerts(3);
    let kept = Kept::of(&rows);
    let (tenant, before) = (Arc::clone(&kept), Kept::of(&rows));
    let (posted, reads) = (Mutex::new(false), Mutex::new(0));
    let server = Tenant::start(move |call| {
        let (mut posted, mut reads) = (posted.lock().unwrap(), reads.lock().unwrap());
        if call.method == "POST" {
            *posted = true;
            drop(tenant.answer(call));
            return Reply::error(503, "ServiceUnavailable", "busy");
        }
        *reads += usize::from(*posted);
        // The first two looks at each show what stood before.
        match *reads > 6 {
            true => tenant.answer(call),
            false => before.answer(call),
        }
    })
    .await;
    let results = client(&server).await.write(&rows, &verdict(), MARKER).await;
    assert_eq!(failing(&results), [None, None, None]);
    for row in &rows {
        assert_eq!(kept.comments(&row.id), 1, "{}", row.id);
    }
}

#[tokio::test]
async fn a_lost_batch_of_comments_is_looked_for_before_it_is_sent_again() {
    for carried_out in [true, false] {
        let rows = alerts(3);
        let kept = Kept::of(&rows);
        let (tenant, lost) = (Arc::clone(&kept), Mutex::new(false));
        let server = Tenant::start(move |call| {
            if call.method != "POST" {
                return tenant.answer(call);
            }
            let mut lost = lost.lock().unwrap();
            // The whole answer is lost, with every part in it.
            let last = about(call).0 == "da0002";
            if *lost || carried_out {
                drop(tenant.answer(call));
            }
            match *lost {
                true => Reply::json(200, &json!({})),
                false => {
                    *lost = last;
                    Reply::HangUp
                }
            }
        })
        .await;
        let client = client(&server).await;
        let results = client.write(&rows, &verdict(), MARKER).await;
        assert_eq!(failing(&results), [None, None, None], "{carried_out}");
        for row in &rows {
            assert_eq!(kept.comments(&row.id), 1, "{carried_out}");
        }
    }
}

#[tokio::test]
async fn a_comment_of_which_nobody_can_tell_is_not_sent_again() {
    let server = Tenant::start(|call| match call.method.as_str() {
        "POST" => Reply::error(504, "GatewayTimeout", ""),
        "GET" => Reply::error(403, "Forbidden", "no"),
        _ => Reply::json(200, &json!({})),
    })
    .await;
    let client = client(&server).await;
    let results = client.write(&alerts(2), &verdict(), MARKER).await;
    for result in results {
        assert!(matches!(result, Err(DefenderError::CommentUnknown(_))));
    }
    let posts = server
        .singly()
        .iter()
        .filter(|call| call.method == "POST")
        .count();
    assert_eq!(posts, 2);
}

#[tokio::test]
async fn without_batches_calls_go_singly_and_that_is_remembered() {
    let rows = alerts(25);
    let kept = Kept::of(&rows);
    let tenant = Arc::clone(&kept);
    let server = Tenant::plain(move |call| match call.target.as_str() {
        BATCH => Reply::error(
            404,
            "BadRequest",
            "Resource not found for the segment '$batch'.",
        ),
        _ => tenant.answer(call),
    })
    .await;
    let client = client(&server).await;
    // Small enough for one batch, so that only one can be refused.
    assert_eq!(failing(&client.read_many(&rows[..2]).await), [None, None]);
    assert_eq!(
        failing(&client.write(&rows, &verdict(), MARKER).await),
        vec![None; 25]
    );
    assert_eq!(failing(&client.read_many(&rows).await), vec![None; 25]);
    let batches = server
        .calls()
        .iter()
        .filter(|call| call.target == BATCH)
        .count();
    assert_eq!((batches, server.calls().len()), (1, 1 + 2 + 50 + 25));
    assert!(rows.iter().all(|row| kept.comments(&row.id) == 1));
}

#[tokio::test]
async fn wordings_are_tried_in_batches_and_learnt() {
    let server = Tenant::start(|call| match call.body["assignedTo"] == Value::Null {
        true => Reply::error(400, "InvalidRequestBody", "no null"),
        false => Reply::json(200, &json!({})),
    })
    .await;
    let client = client(&server).await;
    let nobody = Change {
        assigned_to: Some(Owner::Nobody),
        ..Change::default()
    };
    for _ in 0..2 {
        let results = client.write(&alerts(5), &nobody, MARKER).await;
        assert_eq!(failing(&results), vec![None; 5]);
    }
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test]
async fn a_part_that_cannot_be_read_is_asked_for_by_itself() {
    let rows = alerts(6);
    let server = Tenant::plain(|call| match call.target.as_str() {
        BATCH => Reply::text(
            200,
            r#"{"responses": [
                {"id": "0", "status": 200, "body": {"status": "new", "comments": [{"comment": "\ud83d"}]}},
                {"id": 1, "status": "200", "headers": {"\ud83d": null, "a": 1}, "body": {"status": "new", "status": "new"}},
                {"id": "2", "status": 200, "body": "eyJzdGF0dXMiOiJuZXcifQ=="},
                {"id": "3", "status": "well", "body": {}},
                {"id": "4"},
                null, 7
            ], "responses2": "\ud83d"}"#,
        ),
        _ => Reply::json(200, &json!({"status": "resolved"})),
    })
    .await;
    let read = client(&server).await.read_many(&rows).await;
    let words: Vec<_> = read
        .into_iter()
        .map(|state| state.unwrap().status.unwrap())
        .collect();
    assert_eq!(
        words,
        ["new", "new", "resolved", "resolved", "resolved", "resolved"]
    );
    assert_eq!(server.calls().len(), 1 + 4);
}

#[tokio::test]
async fn every_incident_keeps_its_own_tags() {
    let kept = Kept::of(&targets(Subject::Incident, (1..=3).map(|n| n.to_string())));
    for (id, object) in kept.0.lock().unwrap().iter_mut() {
        object["customTags"] = json!([format!("of {id}"), "drop"]);
    }
    let tenant = Arc::clone(&kept);
    let server = Tenant::start(move |call| tenant.answer(call)).await;
    let change = Change {
        tags_add: vec!["new".into()],
        tags_remove: vec!["Drop".into()],
        ..Change::default()
    };
    let rows = targets(
        Subject::Incident,
        ["1", "", "2", "4", "3"].map(str::to_owned),
    );
    let results = client(&server).await.write(&rows, &change, MARKER).await;
    assert_eq!(
        failing(&results),
        [
            None,
            Some(Failing::Invalid),
            None,
            Some(Failing::NotFound),
            None
        ]
    );
    let kept = kept.0.lock().unwrap();
    for id in ["1", "2", "3"] {
        assert_eq!(kept[id]["customTags"], json!([format!("of {id}"), "new"]));
    }
    let fault = results.into_iter().nth(1).unwrap().unwrap_err();
    assert!(matches!(fault, DefenderError::Id { .. }), "{fault}");
}
