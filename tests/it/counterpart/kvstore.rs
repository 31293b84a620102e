//! A KV store: documents in the collection of one app, for one search head or
//! for several, as the REST reference describes it and 10.6 answers.

use super::https::{self, Asked};
use super::splunkd::APP;
use axum::body::Body;
use hyper::{Method, Response};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

const MOST_DOCUMENTS: usize = 1000;
const LARGEST_BATCH: usize = 50 << 20;
const LARGEST_DOCUMENT: usize = 16 << 20;

/// What befalls one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Served,
    /// Not carried out: this status and text.
    Refused(u16, &'static str),
    /// Carried out, and the connection breaks before the answer.
    AnswerLost,
    /// The connection breaks before anything is done.
    CallLost,
    /// Of a list only the first half is kept, or told.
    Halved,
    /// Carried out, if so, and never answered.
    Stalled {
        carried_out: bool,
    },
}

/// One call, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    pub host: String,
    pub method: String,
    /// Below the collection: a key, `batch_save`, or nothing.
    pub below: String,
    pub status: u16,
}

type Documents = BTreeMap<String, Value>;

#[derive(Default)]
struct State {
    /// None: this app has no such collection.
    documents: Option<Documents>,
    called: Vec<Called>,
    fates: VecDeque<Fate>,
    /// Only writes meet their fate.
    spares_reads: bool,
    stalled: usize,
    /// What a host reads for so many more calls.
    stale: BTreeMap<String, (usize, Documents)>,
    floats: bool,
}

/// Shared by the members of a search head cluster.
#[derive(Clone)]
pub struct KvStore(Arc<Mutex<State>>);

impl KvStore {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            documents: Some(Documents::new()),
            ..State::default()
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// As if the app were installed without its collections.conf.
    pub fn drop_collection(&self) {
        self.state().documents = None;
    }

    /// The next calls meet these fates, the others none.
    pub fn befalls(&self, fates: impl IntoIterator<Item = Fate>) {
        let mut state = self.state();
        state.fates = fates.into_iter().collect();
        state.spares_reads = false;
    }

    /// The same, for calls that write.
    pub fn befalls_writes(&self, fates: impl IntoIterator<Item = Fate>) {
        self.befalls(fates);
        self.state().spares_reads = true;
    }

    /// Whether every fate was met.
    pub fn is_through(&self) -> bool {
        self.state().fates.is_empty()
    }

    pub fn stalled(&self) -> usize {
        self.state().stalled
    }

    /// For so many calls a host reads what stands now, whatever is written meanwhile.
    pub fn lag(&self, host: &str, reads: usize) {
        let mut state = self.state();
        let documents = state.documents.clone().unwrap_or_default();
        state.stale.insert(host.to_owned(), (reads, documents));
    }

    /// For so many calls a host reads nothing.
    pub fn show_nothing(&self, host: &str, reads: usize) {
        let stale = (reads, Documents::new());
        self.state().stale.insert(host.to_owned(), stale);
    }

    /// Prints whole numbers as fractions.
    pub fn print_floats(&self) {
        self.state().floats = true;
    }

    pub fn called(&self) -> Vec<Called> {
        self.state().called.clone()
    }

    pub fn documents(&self) -> Documents {
        self.state().documents.clone().unwrap_or_default()
    }

    /// Puts documents in place of those that are there.
    pub fn restore(&self, documents: Documents) {
        self.state().documents = Some(documents);
    }

    pub fn change(&self, change: impl FnOnce(&mut Documents)) {
        change(self.state().documents.as_mut().unwrap());
    }

    /// As if every run's time were over.
    pub fn end_leases(&self) {
        self.change(|documents| {
            for document in documents.values_mut() {
                if document.get("until").is_some() {
                    document["until"] = json!("2020-01-01T00:00:00Z");
                }
            }
        });
    }

    pub async fn answer(&self, host: &str, asked: &Asked, below: &str) -> Response<Body> {
        let reads = asked.method == Method::GET;
        let fate = {
            let mut state = self.state();
            match reads && state.spares_reads {
                true => Fate::Served,
                false => state.fates.pop_front().unwrap_or(Fate::Served),
            }
        };
        let (status, value) = match fate {
            Fate::Refused(status, text) => said(status, text),
            Fate::CallLost => return broken(),
            Fate::Stalled { carried_out: false } => (0, Value::Null),
            Fate::Halved => self.state().carry_out(host, asked, below, true),
            _ => self.state().carry_out(host, asked, below, false),
        };
        self.state().called.push(Called {
            host: host.to_owned(),
            method: asked.method.to_string(),
            below: below.to_owned(),
            status,
        });
        match fate {
            Fate::AnswerLost => broken(),
            Fate::Stalled { .. } => {
                self.state().stalled += 1;
                std::future::pending().await
            }
            _ => https::json(status, &value),
        }
    }
}

impl State {
    fn carry_out(&mut self, host: &str, asked: &Asked, below: &str, halved: bool) -> (u16, Value) {
        let Some(documents) = &mut self.documents else {
            return said(404, "Could not find object.");
        };
        let query = match asked.parameter("query").map(serde_json::from_str::<Value>) {
            None => json!({}),
            Some(Ok(query)) if is_query(&query) => query,
            Some(_) => return said(400, "Invalid query"),
        };
        if asked.method == Method::GET {
            let documents = match self.stale.get_mut(host) {
                Some((reads, documents)) if *reads > 0 => {
                    *reads -= 1;
                    documents
                }
                _ => documents,
            };
            return read(documents, asked, below, &query, halved, self.floats);
        }
        if asked.method == Method::DELETE && below.is_empty() {
            documents.retain(|_, document| !fits(document, &query));
            return (200, json!({}));
        }
        if asked.method != Method::POST {
            return said(405, "Method not allowed");
        }
        if asked.header("content-type") != Some("application/json") {
            return said(415, "Content-Type must be application/json");
        }
        let Ok(body) = serde_json::from_slice::<Value>(&asked.body) else {
            return said(400, "JSON in the request is invalid");
        };
        match (below, body) {
            ("batch_save", Value::Array(batch)) => {
                if batch.len() > MOST_DOCUMENTS || asked.body.len() > LARGEST_BATCH {
                    return said(400, "The batch is too large: max_size_per_batch_save_mb");
                }
                let most = if halved { batch.len() / 2 } else { batch.len() };
                let kept = batch.into_iter().take(most);
                let keys = kept.map(|document| keep(documents, document)).collect();
                (200, Value::Array(keys))
            }
            (_, body) if asked.body.len() > LARGEST_DOCUMENT => {
                drop(body);
                said(400, "The document is too large")
            }
            ("", body) => {
                let key = body["_key"].as_str().unwrap_or_default();
                if documents.contains_key(key) {
                    let text = "A document with the same key and user already exists.";
                    return said(409, text);
                }
                (201, json!({"_key": keep(documents, body)}))
            }
            (key, body) => {
                if !documents.contains_key(key) {
                    return said(404, "Could not find object.");
                }
                assert_eq!(body["_key"], key);
                (200, json!({"_key": keep(documents, body)}))
            }
        }
    }
}

fn keep(documents: &mut Documents, mut document: Value) -> Value {
    let key = document["_key"].as_str().unwrap().to_owned();
    document["_user"] = json!("nobody");
    documents.insert(key.clone(), document);
    Value::from(key)
}

fn read(
    documents: &Documents,
    asked: &Asked,
    below: &str,
    query: &Value,
    halved: bool,
    floats: bool,
) -> (u16, Value) {
    if !below.is_empty() {
        return match documents.get(below) {
            Some(document) => (200, document.clone()),
            None => said(404, "Could not find object."),
        };
    }
    let mut found: Vec<&Value> = documents.values().filter(|one| fits(one, query)).collect();
    if let Some((field, way)) = asked
        .parameter("sort")
        .and_then(|sort| sort.split_once(':'))
    {
        let number = |document: &Value| document[field].as_f64().unwrap_or(f64::MIN);
        found.sort_by(|one, other| number(one).total_cmp(&number(other)));
        if way == "-1" {
            found.reverse();
        }
    }
    let limit = asked
        .parameter("limit")
        .and_then(|limit| limit.parse().ok());
    found.truncate(limit.unwrap_or(50_000));
    if halved {
        found.truncate(found.len() / 2);
    }
    let fields = asked.parameter("fields");
    let shown = |document: &Value| {
        let mut shown = document.as_object().unwrap().clone();
        if let Some(fields) = fields {
            shown.retain(|name, _| fields.split(',').any(|field| field == name));
        }
        if floats {
            for value in shown.values_mut() {
                if let Some(number) = value.as_u64() {
                    *value = json!(number as f64);
                }
            }
        }
        Value::Object(shown)
    };
    (200, found.into_iter().map(shown).collect())
}

/// Only what the reference documents.
fn is_query(query: &Value) -> bool {
    const COMPARISONS: [&str; 5] = ["$gt", "$gte", "$lt", "$lte", "$ne"];
    let Some(members) = query.as_object() else {
        return false;
    };
    members.iter().all(|(name, value)| match name.as_str() {
        "$and" | "$or" => value.as_array().is_some_and(|all| all.iter().all(is_query)),
        name if name.starts_with('$') => false,
        _ => match value.as_object() {
            None => !value.is_array(),
            Some(tests) => tests
                .keys()
                .all(|test| COMPARISONS.contains(&test.as_str())),
        },
    })
}

fn fits(document: &Value, query: &Value) -> bool {
    let members = query.as_object().unwrap();
    members
        .iter()
        .all(|(name, value)| match (name.as_str(), value) {
            ("$and", Value::Array(all)) => all.iter().all(|one| fits(document, one)),
            ("$or", Value::Array(any)) => any.iter().any(|one| fits(document, one)),
            (name, Value::Object(tests)) => tests
                .iter()
                .all(|(test, than)| compares(document.get(name), test, than)),
            (name, value) => document.get(name) == Some(value),
        })
}

fn compares(value: Option<&Value>, test: &str, than: &Value) -> bool {
    if test == "$ne" {
        return value != Some(than);
    }
    let (Some(value), Some(than)) = (value.and_then(Value::as_f64), than.as_f64()) else {
        return false;
    };
    match test {
        "$gt" => value > than,
        "$gte" => value >= than,
        "$lt" => value < than,
        _ => value <= than,
    }
}

fn said(status: u16, text: &str) -> (u16, Value) {
    let mut message = Map::new();
    message.insert("type".into(), json!("ERROR"));
    message.insert("text".into(), json!(text));
    (status, json!({"messages": [message]}))
}

/// An answer that breaks off.
fn broken() -> Response<Body> {
    let end = std::io::Error::other("the connection broke");
    let bytes: [Result<&[u8], _>; 2] = [Ok(b"{"), Err(end)];
    Response::builder()
        .header("content-type", "application/json")
        .header("content-length", "100")
        .body(Body::from_stream(futures::stream::iter(bytes)))
        .unwrap()
}

/// What of a path lies below this app's collection.
pub fn below(path: &str) -> Option<&str> {
    let data = format!("/servicesNS/nobody/{APP}/storage/collections/data/{APP}_checkpoint");
    let below = path.strip_prefix(&data)?;
    (below.is_empty() || below.starts_with('/')).then(|| below.trim_start_matches('/'))
}
