//! Whole runs of triage against tenants that show what was written late, lose
//! answers after the deed, leave parts out and refuse what they have carried out:
//! no comment ever stands twice. A second of Defender's is a millisecond here.

use crate::microsoft::client::Client;
use crate::microsoft::defender::update::client::*;
use crate::microsoft::tests::tenant::{BATCH, Call, Reply, Tenant};
use crate::triage::{
    Accounts, Action, Api, CarryOver, Clock, Entry, Form, Ledger, Limits, Outcome, Row, Subject,
    Via, triage,
};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Longest that an object takes to show a write.
const LAG: u64 = 14;
const MARK: &str = "[splunk:";
/// Refusals, some of them after the deed.
const REFUSED: [u16; 5] = [400, 403, 404, 409, 423];

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A second of triage's in so many milliseconds.
struct Fast(Instant, u32);

impl Clock for Fast {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed() * 1000 / self.1
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause * self.1 / 1000).await;
    }
}

#[derive(Default)]
struct Pages(Vec<Entry>);

impl Ledger for Pages {
    async fn record(&mut self, entry: &Entry) {
        self.0.push(entry.clone());
    }
}

struct Office(Client, u32);

impl Accounts for Office {
    type Client = UpdateClient;

    async fn open(&self, _: &str, _: Api) -> Result<UpdateClient, DefenderError> {
        Ok(UpdateClient::new(self.0.clone()).settle(millis(2) * self.1))
    }
}

/// What becomes of a call that carries a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    None,
    /// Carried out, and answered so.
    Answered(u16),
    /// Not carried out, and answered so.
    Spared(u16),
    /// Carried out; the answer does not come, or not this part of it.
    Mute,
}

struct World {
    objects: BTreeMap<String, Object>,
    rng: StdRng,
    /// Out of a hundred calls, how many go wrong.
    trouble: u32,
    /// Out of a hundred reads, how many are forbidden.
    hidden: u32,
    /// Lists show nothing that was written.
    lists_lag: bool,
    /// Shortest lag of a read; the longest is a little less than the client waits for.
    least: u64,
    /// Milliseconds that stand for a second.
    scale: u32,
    /// What the next comments meet, before chance decides.
    next: Vec<Mishap>,
}

#[derive(Default, Clone)]
struct Object {
    status: Vec<(Option<Instant>, String)>,
    comments: Vec<(Option<Instant>, String)>,
}

impl World {
    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn mishap(&mut self) -> Mishap {
        if let Some(next) = self.next.pop() {
            return next;
        }
        if !self.chance(self.trouble) {
            return Mishap::None;
        }
        let lost = [408, 500, 502, 503, 504, 520];
        let refused = REFUSED;
        match self.rng.random_range(0..8) {
            0..3 => Mishap::Answered(lost[self.rng.random_range(0..lost.len())]),
            3 => Mishap::Answered(refused[self.rng.random_range(0..refused.len())]),
            4 => Mishap::Spared(lost[self.rng.random_range(0..lost.len())]),
            5 => Mishap::Spared(refused[self.rng.random_range(0..refused.len())]),
            _ => Mishap::Mute,
        }
    }

    /// The object as a read shows it, some time ago.
    fn shown(&mut self, id: &str, listed: bool) -> Value {
        let lag = millis(self.rng.random_range(self.least..LAG)) * self.scale;
        let never = listed && self.lists_lag;
        let object = &self.objects[id];
        let shows = |at: &Option<Instant>| at.is_none_or(|at| !never && at.elapsed() >= lag);
        let status = object.status.iter().rfind(|(at, _)| shows(at)).unwrap();
        let comments = object.comments.iter().filter(|(at, _)| shows(at));
        let comments: Vec<Value> = comments.map(|(_, text)| json!({"comment": text})).collect();
        json!({"id": id, "incidentId": id, "status": status.1, "comments": comments})
    }

    fn write(&mut self, id: &str, body: &Value) {
        let now = Some(Instant::now());
        let object = self.objects.get_mut(id).unwrap();
        if let Some(status) = body["status"].as_str() {
            object.status.push((now, status.to_owned()));
        }
        if let Some(comment) = body["comment"].as_str() {
            object.comments.push((now, comment.to_owned()));
        }
    }

    /// None where no answer comes.
    fn one(&mut self, call: &Call) -> Option<Reply> {
        let path = call
            .target
            .strip_suffix("/comments")
            .unwrap_or(&call.target);
        let id = path.rsplit('/').next().unwrap().to_owned();
        if call.method == "GET" {
            return Some(match self.chance(self.hidden) {
                true => Reply::error(403, "Forbidden", "not now"),
                false => Reply::json(200, &self.shown(&id, false)),
            });
        }
        let mishap = match call.body.get("comment") {
            Some(_) => self.mishap(),
            None => Mishap::None,
        };
        if !matches!(mishap, Mishap::Spared(_)) {
            self.write(&id, &call.body);
        }
        match mishap {
            Mishap::None => Some(Reply::json(200, &json!({}))),
            Mishap::Answered(status) | Mishap::Spared(status) => {
                Some(Reply::error(status, "Code", "no"))
            }
            Mishap::Mute => None,
        }
    }

    fn batch(&mut self, call: &Call) -> Reply {
        let parts = call.parts();
        // All of it in one connection that breaks.
        let posts = parts.iter().any(|part| part.method == "POST");
        let mute = posts && self.trouble > 0 && self.chance(self.trouble / 4);
        let mut responses = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            if let Some(Reply::Answer { status, body, .. }) = self.one(part) {
                let body: Value = serde_json::from_str(&body).unwrap();
                responses.push(json!({"id": at.to_string(), "status": status, "body": body}));
            }
        }
        match mute {
            true => Reply::HangUp,
            false => Reply::json(200, &json!({"responses": responses})),
        }
    }

    fn list(&mut self, query: &str) -> Reply {
        let filter = percent_encoding::percent_decode_str(query)
            .decode_utf8()
            .unwrap();
        let ids: Vec<String> = filter
            .split('\'')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        let found: Vec<Value> = ids.iter().map(|id| self.shown(id, true)).collect();
        Reply::json(200, &json!({"value": found}))
    }

    fn update(&mut self, call: &Call) -> Reply {
        let ids: Vec<String> = serde_json::from_value(call.body["alertIds"].clone()).unwrap();
        let mishap = match call.body.get("comment") {
            Some(_) => self.mishap(),
            None => Mishap::None,
        };
        let reached: Vec<String> = match mishap {
            Mishap::Spared(_) => Vec::new(),
            // It stops on its way from one end, where nothing shows how far it came.
            Mishap::Answered(_) | Mishap::Mute
                if self.lists_lag || matches!(mishap, Mishap::Answered(400..500)) =>
            {
                let count = self.rng.random_range(0..=ids.len());
                match self.chance(50) {
                    true => ids[..count].to_vec(),
                    false => ids[count..].to_vec(),
                }
            }
            Mishap::None if self.trouble == 0 => ids,
            Mishap::None => ids.into_iter().filter(|_| !self.chance(3)).collect(),
            _ => ids.into_iter().filter(|_| self.chance(50)).collect(),
        };
        for id in reached {
            self.write(&id, &call.body);
        }
        match mishap {
            Mishap::None => Reply::text(200, ""),
            Mishap::Answered(status) | Mishap::Spared(status) => Reply::error(status, "Code", "no"),
            Mishap::Mute => Reply::HangUp,
        }
    }

    fn answer(&mut self, call: &Call) -> Reply {
        let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
        match path {
            BATCH => self.batch(call),
            "/api/alerts/batchUpdate" => self.update(call),
            "/api/alerts" => self.list(query),
            _ => self.one(call).unwrap_or(Reply::HangUp),
        }
    }
}

struct Scene {
    world: Arc<Mutex<World>>,
    server: Tenant,
    subject: Subject,
    api: Api,
    ids: Vec<String>,
    comment_alone: bool,
}

impl Scene {
    async fn open(api: Api, subject: Subject, count: usize, seed: u64) -> Self {
        let id = |n: usize| match subject {
            Subject::Alert => format!("da63755122767756{n:04}_-961444813"),
            Subject::Incident => (n + 1).to_string(),
        };
        let ids: Vec<String> = (0..count).map(id).collect();
        let object = Object {
            status: vec![(None, "New".to_owned())],
            comments: vec![(None, "said by another".to_owned())],
        };
        let world = Arc::new(Mutex::new(World {
            objects: ids.iter().map(|id| (id.clone(), object.clone())).collect(),
            rng: StdRng::seed_from_u64(seed),
            trouble: 0,
            hidden: 0,
            lists_lag: false,
            least: 0,
            scale: 1,
            next: Vec::new(),
        }));
        let serving = Arc::clone(&world);
        let server = Tenant::plain(move |call| serving.lock().unwrap().answer(call)).await;
        Self {
            world,
            server,
            subject,
            api,
            ids,
            comment_alone: false,
        }
    }

    /// One run of the same batch.
    async fn run(&self) -> Vec<Entry> {
        let api = self.api.as_str();
        let mut parameters = vec![("account", "lab"), ("api", api), ("comment", "closed")];
        if !self.comment_alone {
            parameters.push(("status", "resolved"));
        }
        let known = ["lab".to_owned()];
        let form = Form::parse(self.subject, known.into(), parameters).unwrap();
        let long = Duration::from_secs(1 << 20);
        let action = Action {
            name: "defender_bridge_update_alert".to_owned(),
            batch: "batch-1".to_owned(),
            actor: "analyst".to_owned(),
            alert_user: None,
            via: Via::Direct,
            form,
            limits: Limits {
                max_targets: 1000,
                deadline: long,
                grace: long,
            },
            sid: None,
            search_name: None,
        };
        let row = |id: &String| Row::new([("id".to_owned(), vec![id.clone()])]);
        let rows: Vec<Row> = self.ids.iter().map(row).collect();
        let client = Client::without_budget(&self.server.account(), self.api);
        client.permissions().await.unwrap();
        // Nothing that is slow here may look like an answer that is lost.
        let scale = self.world.lock().unwrap().scale;
        let office = Office(client.patience(Duration::from_secs(60)), scale);
        let mut pages = Pages::default();
        let clock = Fast(Instant::now(), scale);
        let mut carry_over = CarryOver::default();
        triage(&action, &rows, &office, &mut pages, &clock, &mut carry_over)
            .await
            .unwrap();
        pages.0
    }

    /// How often our comment stands at each.
    fn counts(&self) -> BTreeMap<String, usize> {
        let world = self.world.lock().unwrap();
        let ours = |object: &Object| {
            let comments = object.comments.iter();
            comments.filter(|(_, text)| text.contains(MARK)).count()
        };
        let objects = world.objects.iter();
        objects
            .map(|(id, object)| (id.clone(), ours(object)))
            .collect()
    }

    fn set(&self, change: impl Fn(&mut World)) {
        change(&mut self.world.lock().unwrap());
    }
}

fn apis() -> impl Strategy<Value = (Api, Subject)> {
    prop_oneof![
        Just((Api::Graph, Subject::Alert)),
        Just((Api::Graph, Subject::Incident)),
        Just((Api::Mde, Subject::Alert)),
        Just((Api::Mde, Subject::Alert)),
        Just((Api::Xdr, Subject::Incident)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_comment_ever_stands_twice_whatever_is_lost_and_however_late_it_shows(
        (api, subject) in apis(),
        count in prop_oneof![1usize..4, 4usize..50],
        seed: u64,
        trouble in 0u32..90,
        hidden in prop_oneof![2 => Just(0u32), 1 => 0u32..30],
        lists_lag: bool,
        comment_alone: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut scene = Scene::open(api, subject, count, seed).await;
            scene.comment_alone = comment_alone;
            scene.set(|world| {
                (world.trouble, world.hidden, world.lists_lag) = (trouble, hidden, lists_lag);
            });
            let entries = scene.run().await;
            prop_assert_eq!(entries.len(), count);
            let counts = scene.counts();
            prop_assert!(counts.values().all(|count| *count <= 1), "{:?}", counts);
            for entry in entries.iter().filter(|entry| entry.verified == Some(true)) {
                prop_assert_eq!(counts[entry.target.as_deref().unwrap()], 1, "{:?}", entry);
            }
            // Whoever reads the message knows when it may stand although the outcome is bad.
            for entry in entries.iter().filter(|entry| !entry.outcome.is_well()) {
                let stands = counts[entry.target.as_deref().unwrap()] == 1;
                // A refusal is told as one, whatever it did.
                let refused = REFUSED.iter().any(|status| {
                    entry.message.contains(&format!("answered {status}"))
                });
                let told = entry.message.contains("may have been") || entry.message.contains("this stands");
                prop_assert!(!stands || refused || told, "{}", entry.message);
            }
            // The same batch again, in calm weather, finishes it and doubles nothing.
            tokio::time::sleep(millis(LAG)).await;
            scene.set(|world| {
                (world.trouble, world.hidden, world.lists_lag) = (0, 0, false);
            });
            let entries = scene.run().await;
            prop_assert!(entries.iter().all(|entry| entry.outcome.is_well()), "{:?}", entries);
            let counts = scene.counts();
            prop_assert!(counts.values().all(|count| *count == 1), "{:?}", counts);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_comment_lost_in_each_of_many_batches_is_looked_for_with_patience_in_all_of_them() {
    let scene = Scene::open(Api::Graph, Subject::Alert, 100, 1).await;
    // The first comment of each batch of twenty is written, and its answer is lost.
    scene.set(|world| {
        let lost = |n: usize| match n % 20 {
            19 => Mishap::Answered(504),
            _ => Mishap::None,
        };
        world.next = (0..100).map(lost).collect();
        // Slow enough that the calls themselves are no patience.
        (world.least, world.scale) = (LAG - 1, 50);
    });
    let entries = scene.run().await;
    let counts = scene.counts();
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    assert!(
        entries
            .iter()
            .all(|entry| entry.outcome == Outcome::Updated)
    );
    let posts = scene.server.singly();
    let posts = posts.iter().filter(|call| call.method == "POST").count();
    assert_eq!(posts, 100);
}

#[tokio::test]
async fn what_is_proved_absent_is_sent_once_more() {
    for (api, subject) in [
        (Api::Graph, Subject::Alert),
        (Api::Mde, Subject::Alert),
        (Api::Xdr, Subject::Incident),
    ] {
        let scene = Scene::open(api, subject, 2, 1).await;
        scene.set(|world| world.next = vec![Mishap::Spared(504); 2]);
        let entries = scene.run().await;
        let outcomes: Vec<Outcome> = entries.iter().map(|entry| entry.outcome).collect();
        assert_eq!(outcomes, [Outcome::Updated; 2], "{api}");
        assert!(scene.counts().values().all(|count| *count == 1));
    }
}
