use crate::microsoft::defender::update::client::*;
use crate::microsoft::tests::tenant::{Call, Reply, Tenant};
use crate::triage::vocabulary::{Classification, Determination, Status};
use crate::triage::{Api, Change, DefenderClient, Subject};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

const MARKER: &str = "[splunk:0badcafe]";
const UPDATE: &str = "/api/alerts/batchUpdate";

fn alerts(count: usize) -> Vec<Target> {
    let target = |n| Target {
        subject: Subject::Alert,
        id: format!("da63755122767756{n:04}_-961444813"),
    };
    (0..count).map(target).collect()
}

async fn client(tenant: &Tenant) -> UpdateClient {
    let client = tenant.client_without_budget(Api::Mde).await;
    UpdateClient::new(client).settle(Duration::ZERO)
}

fn verdict(comment: bool) -> Change {
    Change {
        status: Some(Status::Resolved),
        classification: Some(Classification::FalsePositive),
        determination: Some(Determination::NotMalicious),
        comment: comment.then(|| "seen".into()),
        ..Change::default()
    }
}

fn failing<T>(results: &[Result<T, DefenderError>]) -> Vec<Option<Failing>> {
    let failing =
        |result: &Result<T, DefenderError>| result.as_ref().err().map(UpdateError::failing);
    results.iter().map(failing).collect()
}

/// An endpoint tenant: alerts that keep what is written, a list, `batchUpdate`.
struct Kept {
    alerts: Mutex<HashMap<String, Value>>,
    /// Most ids in one `batchUpdate`.
    most: usize,
    /// Most conditions in one filter.
    conditions: usize,
    /// The only wording of "not malicious" it takes.
    word: &'static str,
    /// May be read, not written.
    locked: Vec<String>,
    /// Whether a refusal of some says which.
    names: bool,
}

impl Kept {
    fn of(targets: &[Target]) -> Self {
        let object = |t: &Target| {
            (
                t.id.clone(),
                json!({"id": t.id, "status": "New", "comments": []}),
            )
        };
        Self {
            alerts: Mutex::new(targets.iter().map(object).collect()),
            most: 100,
            conditions: usize::MAX,
            word: "NotMalicious",
            locked: Vec::new(),
            names: false,
        }
    }

    fn answer(&self, call: &Call) -> Reply {
        let mut alerts = self.alerts.lock().unwrap();
        let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
        if !query.is_empty() {
            let filter = percent_encoding::percent_decode_str(query)
                .decode_utf8()
                .unwrap();
            let filter = filter.strip_prefix("$filter=").unwrap();
            let ids: Vec<&str> = filter
                .split(" or ")
                .map(|one| {
                    one.strip_prefix("id eq '")
                        .unwrap()
                        .strip_suffix('\'')
                        .unwrap()
                })
                .collect();
            if ids.len() > self.conditions {
                return Reply::error(
                    400,
                    "ODataError",
                    "The node count limit of '100' has been exceeded.",
                );
            }
            let found: Vec<&Value> = ids.iter().filter_map(|id| alerts.get(*id)).collect();
            return Reply::json(200, &json!({"value": found}));
        }
        let ids: Vec<String> = match path {
            UPDATE => serde_json::from_value(call.body["alertIds"].clone()).unwrap(),
            _ => vec![path.strip_prefix("/api/alerts/").unwrap().to_owned()],
        };
        if ids.len() > self.most {
            let said = format!("Received: {}, allowed: {}", ids.len(), self.most);
            return Reply::error(400, "MaximumBatchSizeExceeded", &said);
        }
        let shown = |id: &str| {
            if self.names {
                id.to_owned()
            } else {
                "one".to_owned()
            }
        };
        if let Some(id) = ids.iter().find(|id| !alerts.contains_key(*id)) {
            return Reply::error(404, "NotFound", &format!("Alert {} not found", shown(id)));
        }
        if call.method != "GET" {
            if let Some(id) = ids.iter().find(|id| self.locked.contains(id)) {
                return Reply::error(403, "Forbidden", &format!("Not {}", shown(id)));
            }
            if call.body["determination"]
                .as_str()
                .is_some_and(|word| word != self.word)
            {
                return Reply::error(400, "InvalidInput", "bad determination");
            }
            let mut fields = call.body.as_object().unwrap().clone();
            fields.remove("alertIds");
            let comment = fields.remove("comment");
            for id in &ids {
                let alert = alerts.get_mut(id).unwrap();
                alert.as_object_mut().unwrap().extend(fields.clone());
                if let Some(comment) = &comment {
                    let comments = alert["comments"].as_array_mut().unwrap();
                    comments.push(json!({"comment": comment}));
                }
            }
        }
        match path {
            UPDATE => Reply::text(200, ""),
            _ => Reply::json(200, &alerts[&ids[0]]),
        }
    }

    /// How many alerts have how many comments in how many states.
    fn census(&self) -> Vec<(String, usize)> {
        let alerts = self.alerts.lock().unwrap();
        let row = |alert: &Value| {
            let comments = alert["comments"].as_array().unwrap().len();
            (alert["status"].as_str().unwrap().to_owned(), comments)
        };
        let mut rows: Vec<_> = alerts.values().map(row).collect();
        rows.sort();
        rows.dedup();
        rows
    }
}

async fn serving(kept: &Arc<Kept>) -> Tenant {
    let kept = Arc::clone(kept);
    Tenant::start(move |call| kept.answer(call)).await
}

fn count(server: &Tenant, start: &str) -> usize {
    server
        .lines()
        .iter()
        .filter(|line| line.starts_with(start))
        .count()
}

#[tokio::test]
async fn a_thousand_alerts_are_read_written_and_read_back_within_the_published_quotas() {
    let rows = alerts(1000);
    let kept = Arc::new(Kept::of(&rows));
    let server = serving(&kept).await;
    // With the call budget: it would refuse what the quotas do not allow.
    let client = UpdateClient::new(server.client(Api::Mde).await);
    let read = client.read_many(&rows).await;
    assert!(
        read.iter()
            .all(|state| state.as_ref().unwrap().status.as_deref() == Some("new"))
    );
    let written = client.write(&rows, &verdict(true), MARKER).await;
    assert_eq!(failing(&written), vec![None; 1000]);
    let reads = server.calls().len() - 10;
    assert_eq!((count(&server, "POST"), count(&server, "PATCH")), (10, 0));
    // 30 lists, and two alerts of each call asked themselves.
    assert_eq!(reads, 30 + 2 * 10);
    let read = client.read_many(&rows).await;
    for state in read {
        let state = state.unwrap();
        assert_eq!(state.determination.as_deref(), Some("notMalicious"));
        assert_eq!(state.comments, ["seen [splunk:0badcafe]"]);
    }
    assert!(server.lines().iter().all(|line| line.len() < 2000));
}

#[tokio::test]
async fn the_size_the_service_takes_is_learnt() {
    let rows = alerts(100);
    let kept = Arc::new(Kept {
        most: 40,
        conditions: 20,
        ..Kept::of(&rows)
    });
    let server = serving(&kept).await;
    let client = client(&server).await;
    for _ in 0..2 {
        assert_eq!(
            failing(&client.write(&rows, &verdict(false), MARKER).await),
            vec![None; 100]
        );
    }
    assert_eq!(
        (count(&server, "POST"), count(&server, "PATCH")),
        (1 + 3 + 3, 0)
    );
    assert_eq!(failing(&client.read_many(&rows).await), vec![None; 100]);
    let before = server.calls().len();
    assert_eq!(failing(&client.read_many(&rows).await), vec![None; 100]);
    assert_eq!(server.calls().len() - before, 100usize.div_ceil(16));
}

#[tokio::test]
async fn an_alert_that_spoils_the_call_is_found_and_the_others_are_written() {
    for (names, most_calls) in [(true, 3), (false, 12)] {
        for broken in ["missing", "locked"] {
            let rows = alerts(100);
            let mut kept = Kept {
                names,
                ..Kept::of(&rows)
            };
            let id = rows[41].id.clone();
            match broken {
                "missing" => drop(kept.alerts.lock().unwrap().remove(&id)),
                _ => kept.locked.push(id),
            }
            let kept = Arc::new(kept);
            let server = serving(&kept).await;
            let results = client(&server)
                .await
                .write(&rows, &verdict(true), MARKER)
                .await;
            let mut wanted = vec![None; 100];
            wanted[41] = Some(match broken {
                "missing" => Failing::NotFound,
                _ => Failing::Forbidden,
            });
            assert_eq!(failing(&results), wanted, "{broken} {names}");
            let posts = count(&server, "POST");
            assert!(posts <= most_calls, "{broken} {names}: {posts}");
            assert!(count(&server, "PATCH") <= 16);
            let mut wanted = vec![("Resolved".to_owned(), 1)];
            if broken == "locked" {
                wanted.insert(0, ("New".to_owned(), 0));
            }
            assert_eq!(kept.census(), wanted);
        }
    }
}

#[tokio::test]
async fn what_is_refused_to_all_is_not_asked_for_each() {
    let rows = alerts(100);
    let refused = [
        (
            Kept {
                locked: rows.iter().map(|row| row.id.clone()).collect(),
                ..Kept::of(&rows)
            },
            Failing::Forbidden,
        ),
        (
            Kept {
                word: "none",
                ..Kept::of(&rows)
            },
            Failing::Invalid,
        ),
    ];
    for (kept, wanted) in refused {
        let kept = Arc::new(kept);
        let server = serving(&kept).await;
        let results = client(&server)
            .await
            .write(&rows, &verdict(false), MARKER)
            .await;
        assert_eq!(failing(&results), vec![Some(wanted); 100]);
        assert!(server.calls().len() <= 7, "{:?}", server.lines());
    }
}

#[tokio::test]
async fn another_wording_is_found_with_single_calls_and_learnt() {
    let rows = alerts(100);
    let kept = Arc::new(Kept {
        word: "Clean",
        ..Kept::of(&rows)
    });
    let server = serving(&kept).await;
    let client = client(&server).await;
    assert_eq!(
        failing(&client.write(&rows, &verdict(true), MARKER).await),
        vec![None; 100]
    );
    // The refused one, the fields in the right wording, the comments by themselves.
    assert_eq!(count(&server, "POST"), 3);
    assert_eq!(
        failing(&client.write(&rows[..50], &verdict(false), MARKER).await),
        vec![None; 50]
    );
    assert_eq!(count(&server, "POST"), 4);
    assert_eq!(kept.census(), [("Resolved".to_owned(), 1)]);
}

#[tokio::test]
async fn the_next_run_begins_with_the_wording_an_earlier_one_found() {
    let rows = alerts(20);
    let kept = Arc::new(Kept {
        word: "Clean",
        ..Kept::of(&rows)
    });
    let server = serving(&kept).await;
    let folder = tempfile::tempdir().unwrap();
    for posts in [2, 3] {
        let client = client(&server)
            .await
            .remembering(folder.path().join("lab-mde.json"));
        let results = client.write(&rows, &verdict(false), MARKER).await;
        assert_eq!(failing(&results), vec![None; 20]);
        assert_eq!(count(&server, "POST"), posts);
    }
}

#[tokio::test]
async fn no_comment_is_doubled_when_the_answer_to_all_is_lost() {
    // How many of the alerts the lost call reached.
    for reached in [100, 60, 0] {
        for answer in [Reply::HangUp, Reply::error(504, "GatewayTimeout", "late")] {
            let rows = alerts(100);
            let kept = Arc::new(Kept::of(&rows));
            let (tenant, lost) = (Arc::clone(&kept), Mutex::new(false));
            let server = Tenant::start(move |call| {
                let mut lost = lost.lock().unwrap();
                if *lost || call.target != UPDATE {
                    return tenant.answer(call);
                }
                *lost = true;
                let mut part = call.clone();
                let ids = part.body["alertIds"].as_array_mut().unwrap();
                ids.truncate(reached);
                if reached > 0 {
                    drop(tenant.answer(&part));
                }
                answer.clone()
            })
            .await;
            let results = client(&server)
                .await
                .write(&rows, &verdict(true), MARKER)
                .await;
            assert_eq!(failing(&results), vec![None; 100], "{reached}");
            assert_eq!(kept.census(), [("Resolved".to_owned(), 1)], "{reached}");
            assert_eq!(count(&server, "POST"), 1 + usize::from(reached < 100));
            let few = if reached == 0 { 30 } else { 120 };
            assert!(count(&server, "GET") < few, "{reached}");
        }
    }
}

#[tokio::test]
async fn no_comment_is_doubled_that_the_alerts_themselves_show_late() {
    let rows = alerts(20);
    let kept = Arc::new(Kept::of(&rows));
    let (tenant, before) = (Arc::clone(&kept), Kept::of(&rows));
    let (lost, lists) = (Mutex::new(false), Mutex::new(0));
    let server = Tenant::start(move |call| {
        let (mut lost, mut lists) = (lost.lock().unwrap(), lists.lock().unwrap());
        if call.target == UPDATE && !*lost {
            *lost = true;
            drop(tenant.answer(call));
            return Reply::HangUp;
        }
        *lists += usize::from(*lost && call.target.contains('?'));
        match call.method == "GET" && *lists < 2 {
            true => before.answer(call),
            false => tenant.answer(call),
        }
    })
    .await;
    let client = client(&server).await;
    let results = client.write(&rows, &verdict(true), MARKER).await;
    assert_eq!(failing(&results), vec![None; 20]);
    assert_eq!(kept.census(), [("Resolved".to_owned(), 1)]);
}

#[tokio::test]
async fn comments_no_list_shows_are_found_wherever_a_lost_call_ended() {
    // From where to where the lost call reached.
    for reached in [0..1, 0..60, 40..100, 99..100, 40..60] {
        let rows = alerts(100);
        let kept = Arc::new(Kept::of(&rows));
        let (tenant, before) = (Arc::clone(&kept), Kept::of(&rows));
        let (lost, part) = (Mutex::new(false), reached.clone());
        let server = Tenant::start(move |call| {
            let mut lost = lost.lock().unwrap();
            if call.target == UPDATE && !*lost {
                *lost = true;
                let mut some = call.clone();
                let ids = call.body["alertIds"].as_array().unwrap();
                some.body["alertIds"] = json!(ids[part.clone()]);
                drop(tenant.answer(&some));
                return Reply::HangUp;
            }
            match call.target.contains('?') {
                true => before.answer(call),
                false => tenant.answer(call),
            }
        })
        .await;
        let client = client(&server).await;
        let results = client.write(&rows, &verdict(true), MARKER).await;
        assert_eq!(failing(&results), vec![None; 100], "{reached:?}");
        assert_eq!(kept.census(), [("Resolved".to_owned(), 1)], "{reached:?}");
    }
}

#[tokio::test]
async fn a_refusal_that_wrote_some_doubles_no_comment_of_theirs() {
    let rows = alerts(30);
    let kept = Arc::new(Kept {
        locked: vec![rows[20].id.clone()],
        ..Kept::of(&rows)
    });
    let tenant = Arc::clone(&kept);
    let server = Tenant::start(move |call| {
        if call.target == UPDATE {
            let ids = call.body["alertIds"].as_array().unwrap();
            for id in ids {
                let mut one = call.clone();
                one.body["alertIds"] = json!([id]);
                if let Reply::Answer { status: 403, .. } = tenant.answer(&one) {
                    return Reply::error(403, "Forbidden", "one of them");
                }
            }
        }
        match call.target.as_str() {
            UPDATE => Reply::text(200, ""),
            _ => tenant.answer(call),
        }
    })
    .await;
    let results = client(&server)
        .await
        .write(&rows, &verdict(true), MARKER)
        .await;
    let mut wanted = vec![None; 30];
    wanted[20] = Some(Failing::Forbidden);
    assert_eq!(failing(&results), wanted);
    assert_eq!(
        kept.census(),
        [("New".to_owned(), 0), ("Resolved".to_owned(), 1)]
    );
}

#[tokio::test]
async fn a_repeated_batch_finds_the_comments_that_no_list_shows_yet() {
    // How many of the hundred the first time reached.
    for reached in [100, 60, 1, 0] {
        let rows = alerts(100);
        let kept = Arc::new(Kept::of(&rows));
        for row in rows.iter().take(reached) {
            let mut alerts = kept.alerts.lock().unwrap();
            let alert = alerts.get_mut(&row.id).unwrap();
            alert["comments"] = json!([{"comment": format!("seen {MARKER}")}]);
        }
        // The list shows none of it.
        let (tenant, before) = (Arc::clone(&kept), Kept::of(&rows));
        let server = Tenant::start(move |call| match call.target.contains('?') {
            true => before.answer(call),
            false => tenant.answer(call),
        })
        .await;
        let client = client(&server).await;
        let results = client.write(&rows, &verdict(true), MARKER).await;
        assert_eq!(failing(&results), vec![None; 100], "{reached}");
        assert_eq!(kept.census(), [("Resolved".to_owned(), 1)], "{reached}");
        let asked = match reached {
            0 => 2,
            _ => 2 + 100,
        };
        assert_eq!(count(&server, "GET"), asked, "{reached}");
        assert!(count(&server, "POST") <= 2, "{reached}");
    }
}

#[tokio::test]
async fn alerts_that_cannot_be_asked_for_an_earlier_comment_are_sent_none() {
    let rows = alerts(5);
    let server = Tenant::start(|call| match call.method.as_str() {
        "GET" => Reply::error(403, "Forbidden", "no"),
        _ => Reply::text(200, ""),
    })
    .await;
    let results = client(&server)
        .await
        .write(&rows, &verdict(true), MARKER)
        .await;
    assert_eq!(failing(&results), vec![Some(Failing::Forbidden); 5]);
    assert_eq!((count(&server, "POST"), count(&server, "PATCH")), (0, 0));
}

#[tokio::test]
async fn a_comment_of_which_nobody_can_tell_is_not_sent_again_but_the_fields_are() {
    let rows = alerts(5);
    let sent = Mutex::new(false);
    let server = Tenant::start(move |call| {
        let mut sent = sent.lock().unwrap();
        if call.body.get("comment").is_some() {
            *sent = true;
            return Reply::error(504, "GatewayTimeout", "late");
        }
        match (call.method.as_str(), *sent) {
            ("GET", true) => Reply::error(403, "Forbidden", "no"),
            _ => Reply::json(200, &json!({})),
        }
    })
    .await;
    let results = client(&server)
        .await
        .write(&rows, &verdict(true), MARKER)
        .await;
    for result in results {
        assert!(matches!(result, Err(DefenderError::CommentUnknown(_))));
    }
    let posts: Vec<Call> = server
        .calls()
        .into_iter()
        .filter(|call| call.method == "POST")
        .collect();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[1].body.get("comment"), None);
    assert_eq!(posts[1].body["status"], "Resolved");
}

#[tokio::test]
async fn few_alerts_and_odd_ids_go_singly() {
    let rows = alerts(2);
    let kept = Arc::new(Kept::of(&rows));
    let server = serving(&kept).await;
    let open = client(&server).await;
    assert_eq!(
        failing(&open.write(&rows, &verdict(true), MARKER).await),
        [None, None]
    );
    assert_eq!((count(&server, "POST"), count(&server, "PATCH")), (0, 2));

    let mut rows = alerts(4);
    rows[3].id = "a\nb".into();
    let kept = Arc::new(Kept::of(&rows));
    let server = serving(&kept).await;
    let open = client(&server).await;
    let wanted = [None, None, None, Some(Failing::Invalid)];
    assert_eq!(failing(&open.read_many(&rows).await), wanted);
    assert_eq!(
        failing(&open.write(&rows, &verdict(true), MARKER).await),
        wanted
    );
    // A list, two alerts by themselves, a batchUpdate.
    assert_eq!(server.calls().len(), 4);
}

#[tokio::test]
async fn without_batch_update_each_alert_is_written_by_itself() {
    let rows = alerts(10);
    let kept = Arc::new(Kept::of(&rows));
    let tenant = Arc::clone(&kept);
    let server = Tenant::start(move |call| match call.target.as_str() {
        UPDATE => Reply::text(404, ""),
        _ => tenant.answer(call),
    })
    .await;
    let client = client(&server).await;
    for _ in 0..2 {
        assert_eq!(
            failing(&client.write(&rows, &verdict(false), MARKER).await),
            vec![None; 10]
        );
    }
    assert_eq!((count(&server, "POST"), count(&server, "PATCH")), (1, 20));
}

#[tokio::test]
async fn what_the_list_leaves_out_is_read_by_itself() {
    let rows = alerts(6);
    let kept = Arc::new(Kept::of(&rows));
    kept.alerts.lock().unwrap().remove(&rows[4].id);
    let tenant = Arc::clone(&kept);
    // A list that lags: it knows every other alert only.
    let server = Tenant::start(move |call| {
        let reply = tenant.answer(call);
        match (call.target.contains('?'), reply) {
            (true, Reply::Answer { body, .. }) => {
                let mut page: Value = serde_json::from_str(&body).unwrap();
                let kept: Vec<Value> = page["value"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .step_by(2)
                    .cloned()
                    .collect();
                page["value"] = kept.into();
                Reply::json(200, &page)
            }
            (_, reply) => reply,
        }
    })
    .await;
    let read = client(&server).await.read_many(&rows).await;
    let mut wanted = vec![None; 6];
    wanted[4] = Some(Failing::NotFound);
    assert_eq!(failing(&read), wanted);
    assert_eq!(server.calls().len(), 1 + 3);

    for (status, calls) in [(400, 3), (404, 1), (410, 1), (403, 1), (429, 1)] {
        let tenant = Arc::new(Kept::of(&rows));
        let server = Tenant::start(move |call| match call.target.contains('?') {
            true => Reply::error(status, "Code", "no lists").header("Retry-After", "300"),
            false => tenant.answer(call),
        })
        .await;
        let read = client(&server).await.read_many(&rows).await;
        let lists = server
            .lines()
            .iter()
            .filter(|line| line.contains('?'))
            .count();
        let well = read.iter().filter(|state| state.is_ok()).count();
        assert_eq!(
            (lists, well),
            (calls, if status == 403 || status == 429 { 0 } else { 6 }),
            "{status}"
        );
    }
}
