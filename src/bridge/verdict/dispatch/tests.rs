use super::*;
use crate::bridge::own_endpoint;
use crate::splunk::tests::counterpart::Counterpart;
use crate::triage::{Fields, Row, Subject};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// A splunkd that serves the endpoint as a script says.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    /// Numbers of the rows that are handed back, or the status of a refusal.
    answers: VecDeque<Result<Vec<usize>, u16>>,
    secrets: bool,
    administrator: bool,
    /// The ping's status and body, if it is not to go well.
    ping: Option<(u16, Value)>,
    /// The answer to a job, if it is not to be one of ours.
    answer: Option<Value>,
    /// What was recorded by this process.
    recorded: Vec<Value>,
    jobs: Vec<Value>,
}

impl Scripted {
    fn new(answers: impl IntoIterator<Item = Result<Vec<usize>, u16>>) -> Self {
        let scripted = Self::default();
        scripted.0.lock().unwrap().answers = answers.into_iter().collect();
        scripted
    }

    fn reading_secrets(self) -> Self {
        self.0.lock().unwrap().secrets = true;
        self
    }

    fn of_an_administrator(self) -> Self {
        self.0.lock().unwrap().administrator = true;
        self
    }

    fn pinged(self, status: u16, body: Value) -> Self {
        self.0.lock().unwrap().ping = Some((status, body));
        self
    }

    fn answer(&self, path: &str, body: &str) -> (u16, Value) {
        let mut script = self.0.lock().unwrap();
        let entry = |content: Value| {
            (
                200,
                json!({"entry": [{"name": "contoso", "content": content}]}),
            )
        };
        match path.rsplit('/').next().unwrap() {
            "current-context" => {
                let mut own = vec!["defender_triage"];
                own.extend(script.secrets.then_some("list_storage_passwords"));
                own.extend(script.administrator.then_some("admin_all_objects"));
                entry(json!({"username": "ann", "roles": ["soc"], "capabilities": own}))
            }
            // Without a tenant it cannot be used, so that nothing leaves this machine.
            "conf-defender_bridge_account" | "contoso" => entry(json!({"auth": "secret"})),
            "triage" => {
                let job: Value = serde_json::from_str(body).unwrap();
                let numbers: Vec<usize> = serde_json::from_value(job["numbers"].clone()).unwrap();
                script.jobs.push(job);
                if let Some(answer) = &script.answer {
                    return (200, answer.clone());
                }
                match script.answers.pop_front().unwrap_or(Ok(Vec::new())) {
                    Err(status) => (status, json!({"messages": [{"text": "not now"}]})),
                    Ok(back) => {
                        let word = |row: &usize| {
                            if back.contains(row) {
                                "deferred"
                            } else {
                                "updated"
                            }
                        };
                        let rows: Vec<&str> = numbers.iter().map(word).collect();
                        let outcomes: Vec<Value> = numbers
                            .iter()
                            .filter(|row| !back.contains(row))
                            .map(|row| updated(*row))
                            .collect();
                        (
                            200,
                            json!({"rows": rows, "outcomes": outcomes, "deferred_rows": back}),
                        )
                    }
                }
            }
            "ping" => script.ping.clone().unwrap_or((
                200,
                json!({"app": "defender_bridge", "version": own_endpoint::VERSION, "user": "ann"}),
            )),
            "simple" => {
                script.recorded.push(serde_json::from_str(body).unwrap());
                (200, json!({"index": "main", "bytes": body.len()}))
            }
            path if path.contains("%3Acontoso") && script.secrets => {
                entry(json!({"username": "contoso", "clear_password": "s3cret"}))
            }
            _ => (404, json!({})),
        }
    }

    async fn dispatcher(&self) -> Dispatcher {
        self.dispatcher_of(job()).await
    }

    async fn dispatcher_of(&self, job: Job) -> Dispatcher {
        let scripted = self.clone();
        let served = Counterpart::start(move |asked| scripted.answer(asked.path(), &asked.body));
        let splunkd = served.await.client("key");
        let caller = Caller::who_may_write(&splunkd).await.unwrap();
        Dispatcher::of(splunkd, caller, job, None).await.unwrap()
    }

    /// Of each request: the rows' numbers, and whether what is left may come back.
    fn asked(&self) -> Vec<(Vec<u64>, bool)> {
        let script = self.0.lock().unwrap();
        let numbers = |job: &Value| {
            let numbers = job["numbers"].as_array().unwrap().iter();
            numbers.map(|number| number.as_u64().unwrap()).collect()
        };
        let jobs = script.jobs.iter();
        jobs.map(|job| (numbers(job), job["return_deferred"] == true))
            .collect()
    }
}

fn job() -> Job {
    let form = Fields::single([("account", "contoso"), ("status", "resolved")]);
    Job::new("queue", Subject::Alert, form)
}

fn rows(ids: &[&str]) -> Vec<Row> {
    ids.iter().map(|id| row(&[("id", &[id])])).collect()
}

fn row(fields: &[(&str, &[&str])]) -> Row {
    Row::new(fields.iter().map(|(name, values)| {
        let values = values.iter().map(ToString::to_string);
        ((*name).to_owned(), values.collect())
    }))
}

/// What the endpoint answers of a row that went well.
fn updated(row: usize) -> Value {
    let job = job();
    let entry = Entry {
        row,
        ..job.refused("ann", Via::Rest, Outcome::Updated, "done")
    };
    serde_json::to_value(entry).unwrap()
}

async fn carried_out(
    dispatcher: &mut Dispatcher,
    ids: &[&str],
    deadline: &Deadline,
) -> (String, Vec<(usize, Outcome)>) {
    let mut ended = Vec::new();
    let mut on_outcome = |one: &Entry| ended.push((one.row, one.outcome));
    let summary = dispatcher
        .carry_out(rows(ids), deadline, &mut on_outcome)
        .await;
    ended.sort_by_key(|(row, _)| *row);
    (summary.unwrap().to_string(), ended)
}

const LONG: Duration = Duration::from_secs(1000);

#[tokio::test]
async fn what_is_deferred_goes_again_under_its_own_number() {
    let splunkd = Scripted::new([Ok(vec![2, 4]), Ok(vec![4]), Ok(vec![])]);
    let mut dispatcher = splunkd.dispatcher().await;
    let deadline = Deadline::of(LONG);
    let (summary, ended) = carried_out(&mut dispatcher, &["a", "b", "c", "d"], &deadline).await;
    assert_eq!(summary, "4 rows: 4 updated");
    assert_eq!(ended, [1, 2, 3, 4].map(|row| (row, Outcome::Updated)));
    let (summary, ended) = carried_out(&mut dispatcher, &["e"], &deadline).await;
    assert_eq!(
        (summary.as_str(), ended),
        ("1 row: 1 updated", vec![(5, Outcome::Updated)])
    );
    assert_eq!(
        splunkd.asked(),
        [
            (vec![1, 2, 3, 4], true),
            (vec![2, 4], true),
            (vec![4], true),
            (vec![5], true)
        ]
    );
    let script = splunkd.0.lock().unwrap();
    let batches: HashSet<&Value> = script
        .jobs
        .iter()
        .take(3)
        .map(|job| &job["batch"])
        .collect();
    assert_eq!(batches.len(), 1, "one call, one batch");
}

#[tokio::test]
async fn an_endpoint_that_gets_nowhere_is_asked_for_the_end_of_it() {
    let back = || Ok(vec![1, 2]);
    let splunkd = Scripted::new([back(), back(), back(), Ok(vec![])]);
    let mut dispatcher = splunkd.dispatcher().await;
    carried_out(&mut dispatcher, &["a", "b"], &Deadline::of(LONG)).await;
    let again = [true, true, true, false];
    assert_eq!(splunkd.asked(), again.map(|again| (vec![1, 2], again)));
}

#[tokio::test]
async fn rows_not_begun_in_time_are_deferred() {
    let splunkd = Scripted::new([]);
    let mut dispatcher = splunkd.dispatcher().await;
    let over = Deadline::of(Duration::ZERO);
    let (summary, ended) = carried_out(&mut dispatcher, &["a", "b"], &over).await;
    assert_eq!(summary, "2 rows: 2 deferred");
    assert_eq!(ended, [(1, Outcome::Deferred), (2, Outcome::Deferred)]);
    assert!(splunkd.asked().is_empty());
}

#[tokio::test]
async fn a_busy_endpoint_leaves_rows_to_whoever_reads_secrets_and_defers_them_for_others() {
    for status in [429, 503] {
        let splunkd = Scripted::new([Ok(vec![2]), Err(status)]);
        let mut dispatcher = splunkd.dispatcher().await;
        let (summary, ended) = carried_out(&mut dispatcher, &["a", "b"], &Deadline::of(LONG)).await;
        assert_eq!(summary, "2 rows: 1 updated, 1 deferred");
        assert_eq!(ended, [(1, Outcome::Updated), (2, Outcome::Deferred)]);

        let splunkd = Scripted::new([Err(status)]).reading_secrets();
        let mut dispatcher = splunkd.dispatcher().await;
        let (summary, _) = carried_out(&mut dispatcher, &["a"], &Deadline::of(LONG)).await;
        // Tried in this process, where the account turns out to be none.
        assert_eq!(summary, "1 row: 1 failed");
    }
}

/// The endpoint fails before it is asked to do anything, so nothing can have been begun.
#[tokio::test]
async fn an_endpoint_that_does_not_work_is_gone_round_where_that_is_possible() {
    for (status, body) in [
        (500, json!({"messages": [{"text": "no driver"}]})),
        (502, json!({})),
        (200, json!("<html>")),
        (
            200,
            json!({"app": "another", "version": own_endpoint::VERSION}),
        ),
        (200, json!({"app": "defender_bridge", "version": "0.0.1"})),
    ] {
        let splunkd = Scripted::new([]).pinged(status, body.clone());
        let mut dispatcher = splunkd.dispatcher().await;
        let mut said = Vec::new();
        let deadline = Deadline::of(LONG);
        for ids in [&["a", "b"][..], &["c"]] {
            let mut on_outcome = |one: &Entry| said.push((one.outcome, one.message.clone()));
            let summary = dispatcher
                .carry_out(rows(ids), &deadline, &mut on_outcome)
                .await;
            assert!(
                summary
                    .unwrap()
                    .rows
                    .iter()
                    .all(|row| *row == Outcome::Deferred)
            );
        }
        assert_eq!(said.len(), 3, "{body}");
        for (outcome, message) in said {
            assert_eq!(outcome, Outcome::Deferred, "{body}");
            assert!(message.contains("restart Splunk"), "{body}: {message}");
        }
        assert!(splunkd.asked().is_empty(), "{body}");

        let splunkd = Scripted::new([])
            .pinged(status, body.clone())
            .reading_secrets();
        let mut dispatcher = splunkd.dispatcher().await;
        let (summary, _) = carried_out(&mut dispatcher, &["a"], &deadline).await;
        // Tried in this process, where the account turns out to be none.
        assert_eq!(summary, "1 row: 1 failed", "{body}");
        assert!(splunkd.asked().is_empty(), "{body}");
    }
}

#[tokio::test]
async fn a_splunkd_that_is_not_ready_to_say_defers_and_is_asked_again_for_the_next_rows() {
    let splunkd = Scripted::new([]).pinged(503, json!({}));
    let mut dispatcher = splunkd.dispatcher().await;
    let deadline = Deadline::of(LONG);
    let (summary, _) = carried_out(&mut dispatcher, &["a"], &deadline).await;
    assert_eq!(summary, "1 row: 1 deferred");
    splunkd.0.lock().unwrap().ping = None;
    let (summary, _) = carried_out(&mut dispatcher, &["b"], &deadline).await;
    assert_eq!(summary, "1 row: 1 updated");
}

#[tokio::test]
async fn administrators_go_directly_unless_the_secret_is_hidden_from_them_too() {
    let open = Scripted::new([]).of_an_administrator().reading_secrets();
    let mut dispatcher = open.dispatcher().await;
    let (summary, _) = carried_out(&mut dispatcher, &["a"], &Deadline::of(LONG)).await;
    assert_eq!(summary, "1 row: 1 failed", "in this process");
    assert!(open.asked().is_empty());
    let hidden = Scripted::new([]).of_an_administrator();
    let mut dispatcher = hidden.dispatcher().await;
    let (summary, _) = carried_out(&mut dispatcher, &["a"], &Deadline::of(LONG)).await;
    assert_eq!(summary, "1 row: 1 updated");
    assert_eq!(hidden.asked().len(), 1);
}

#[tokio::test]
async fn who_may_read_secrets_goes_through_the_endpoint_all_the_same() {
    let splunkd = Scripted::new([]).reading_secrets();
    let mut dispatcher = splunkd.dispatcher().await;
    let (summary, _) = carried_out(&mut dispatcher, &["a"], &Deadline::of(LONG)).await;
    assert_eq!(summary, "1 row: 1 updated");
    assert_eq!(splunkd.asked().len(), 1);
}

#[tokio::test]
async fn a_process_of_another_version_is_asked_until_ours_answers() {
    let splunkd = Scripted::new([Err(409), Err(409), Ok(vec![])]);
    let mut dispatcher = splunkd.dispatcher().await;
    let (summary, _) = carried_out(&mut dispatcher, &["a"], &Deadline::of(LONG)).await;
    assert_eq!(summary, "1 row: 1 updated");
    assert_eq!(splunkd.asked().len(), 3);
}

#[tokio::test]
async fn what_the_endpoint_refuses_is_refused_and_what_is_lost_is_not_tried_again() {
    let refusing = Scripted::new([Err(403)]);
    let mut dispatcher = refusing.dispatcher().await;
    let deadline = Deadline::of(LONG);
    let refused = dispatcher
        .carry_out(rows(&["a"]), &deadline, &mut |_| ())
        .await;
    assert!(refused.unwrap_err().to_string().contains("not now"));

    let losing = Scripted::new([Ok(vec![2]), Err(502)]);
    let mut dispatcher = losing.dispatcher().await;
    let (summary, ended) = carried_out(&mut dispatcher, &["a", "b"], &deadline).await;
    assert_eq!(summary, "2 rows: 1 updated, 1 failed");
    assert_eq!(ended.last(), Some(&(2, Outcome::Failed)));
    assert_eq!(losing.asked().len(), 2);
}

#[tokio::test]
async fn too_many_targets_are_counted_over_all_parts_of_a_run() {
    let splunkd = Scripted::new([]);
    let mut limited = job();
    limited.form.insert("max_targets", vec!["2".to_owned()]);
    let mut dispatcher = splunkd.dispatcher_of(limited).await;
    let deadline = Deadline::of(LONG);
    let mut deaf = |_: &Entry| ();
    for ids in [&["a", "b", "a"][..], &["b"], &["a", "b"]] {
        dispatcher
            .carry_out(rows(ids), &deadline, &mut deaf)
            .await
            .unwrap();
    }
    let refused = dispatcher
        .carry_out(rows(&["c"]), &deadline, &mut deaf)
        .await;
    insta::assert_snapshot!(
        refused.unwrap_err(),
        @"the rows name 3 distinct targets, 2 are allowed: narrow the search, or raise max_targets; nothing was written from row 7 on; 2 targets of the rows before were already looked at"
    );
}

/// Of each event this process recorded: row, target, outcome and message.
fn recorded(splunkd: &Scripted) -> Vec<(u64, String, String, String)> {
    let script = splunkd.0.lock().unwrap();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let of = |entry: &Value| {
        (
            entry["row"].as_u64().unwrap_or_default(),
            text(entry, "target"),
            text(entry, "outcome"),
            text(entry, "message"),
        )
    };
    script.recorded.iter().map(of).collect()
}

#[tokio::test]
async fn rows_whose_answer_was_lost_leave_an_event_for_each_target() {
    let answer_of = |count| json!({"rows": vec!["updated"; count], "outcomes": []});
    for answer in [
        None,
        Some(json!("<html>")),
        Some(json!({})),
        Some(answer_of(1)),
        Some(answer_of(60)),
    ] {
        let splunkd = Scripted::new([Err(502)]);
        splunkd.0.lock().unwrap().answer = answer.clone();
        let mut dispatcher = splunkd.dispatcher().await;
        let mut rows = rows(&["a", "b", "no id?"]);
        rows[1] = row(&[("id", &["b", "c"]), ("defender_dry_run", &["1"])]);
        let mut ended = Vec::new();
        let mut on_outcome = |one: &Entry| ended.push((one.row, one.outcome));
        let deadline = Deadline::of(LONG);
        let summary = dispatcher.carry_out(rows, &deadline, &mut on_outcome).await;
        assert_eq!(summary.unwrap().to_string(), "3 rows: 3 failed");
        assert_eq!(ended, [1, 2, 2, 3].map(|row| (row, Outcome::Failed)));
        let recorded = recorded(&splunkd);
        let places: Vec<(u64, &str)> = recorded.iter().map(|one| (one.0, &*one.1)).collect();
        assert_eq!(
            places,
            [(1, "a"), (2, "b"), (2, "c"), (3, "")],
            "{answer:?}"
        );
        for (_, _, outcome, message) in &recorded {
            assert_eq!(outcome, "failed");
            assert!(
                message.contains("nobody knows what was carried out"),
                "{message}"
            );
        }
        let script = splunkd.0.lock().unwrap();
        let of = |name: &str| -> Vec<Value> {
            script
                .recorded
                .iter()
                .map(|entry| entry[name].clone())
                .collect()
        };
        assert_eq!(of("dry_run"), [false, true, true, false]);
        assert_eq!(of("account")[..3], ["contoso"; 3]);
        assert_eq!(of("batch"), vec![script.jobs[0]["batch"].clone(); 4]);
        assert!(of("actor").iter().all(|actor| actor == "ann"));
    }
}

#[tokio::test]
async fn rows_deferred_for_an_endpoint_do_not_blame_the_time() {
    let busy = Scripted::new([Err(429)]);
    let broken = Scripted::new([]).pinged(500, json!({"messages": [{"text": "no driver"}]}));
    for splunkd in [busy, broken] {
        let mut dispatcher = splunkd.dispatcher().await;
        carried_out(&mut dispatcher, &["a"], &Deadline::of(LONG)).await;
        let recorded = recorded(&splunkd);
        let (_, _, outcome, message) = &recorded[0];
        assert_eq!(outcome, "deferred");
        assert!(message.starts_with("not begun: "), "{message}");
        assert!(!message.contains("time for this action"), "{message}");
    }
    let splunkd = Scripted::new([]);
    let mut dispatcher = splunkd.dispatcher().await;
    carried_out(&mut dispatcher, &["a"], &Deadline::of(Duration::ZERO)).await;
    assert!(recorded(&splunkd)[0].3.contains("time for this action"));
}

#[tokio::test]
async fn an_endpoint_that_hands_everything_back_is_asked_ever_less_often() {
    let splunkd = Scripted::new(vec![Ok(vec![1]); 1000]);
    let mut dispatcher = splunkd.dispatcher().await;
    let (summary, _) = carried_out(
        &mut dispatcher,
        &["a"],
        &Deadline::of(Duration::from_secs(1)),
    )
    .await;
    assert_eq!(summary, "1 row: 1 deferred");
    // After 0.1, 0.2, 0.4 and 0.8 s at the earliest.
    assert!(splunkd.asked().len() <= 4, "{}", splunkd.asked().len());
}

#[test]
fn a_run_of_nobody_known_is_deferred_where_a_later_one_may_go_well() {
    let job = Job {
        sid: Some("scheduler__1".to_owned()),
        search_name: Some("My alert".to_owned()),
        ..job()
    };
    let what = || "say who is asking".to_owned();
    let refused = |status| SplunkdError::Refused {
        what: what(),
        status,
        said: String::new(),
    };
    let not_ready = SplunkdError::NotReady {
        what: what(),
        said: String::new(),
    };
    for (error, outcome) in [
        (not_ready, Outcome::Deferred),
        (refused(500), Outcome::Deferred),
        (refused(402), Outcome::Failed),
        (SplunkdError::SessionEnded { what: what() }, Outcome::Failed),
    ] {
        let entry = of_nobody(&job, &error);
        assert_eq!(entry.outcome, outcome, "{error}");
        assert_eq!((entry.target, &*entry.actor), (None, "unknown"));
        assert_eq!(entry.sid.as_deref(), Some("scheduler__1"));
        assert_eq!(entry.search_name.as_deref(), Some("My alert"));
        assert!(
            entry.message.contains(&error.to_string()),
            "{}",
            entry.message
        );
    }
}
