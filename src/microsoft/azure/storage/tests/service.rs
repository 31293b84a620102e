//! Blob storage on loopback, as far as it is spoken with here: conditions, versions,
//! ranges, lists in parts, and the errors of both Azure and its emulator.

use crate::ingest::Instant;
use crate::microsoft::azure::storage::client::{Access, BlobClient};
use crate::microsoft::tests::https_server::{Asked, Counterpart, Reply, reply};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

pub const START: Instant = Instant::from_millis(1_790_000_000_000);

#[derive(Debug, Clone)]
pub struct Stored {
    pub bytes: Vec<u8>,
    pub append: bool,
    pub version: u64,
    pub created: Instant,
    pub modified: Instant,
    pub metadata: BTreeMap<String, String>,
}

/// A refusal to be given: how often, to which method, behind how many of its requests.
#[derive(Debug, Clone)]
pub struct Fault {
    pub method: &'static str,
    /// In the path or query.
    pub part: &'static str,
    pub status: u16,
    pub code: &'static str,
}

#[derive(Debug, Default)]
pub struct State {
    pub containers: BTreeMap<String, BTreeMap<String, Stored>>,
    pub now: Instant,
    pub page: usize,
    pub faults: VecDeque<Fault>,
    /// These never pass.
    pub refusals: Vec<Fault>,
    /// As Azurite: 206 with nothing at a blob's end.
    pub emulator: bool,
    /// Knows no ranges.
    pub whole: bool,
    version: u64,
}

impl State {
    pub fn pass(&mut self, span: Duration) {
        self.now = self.now.plus(span);
    }

    pub fn blob(&self, container: &str, name: &str) -> &Stored {
        &self.containers[container][name]
    }

    pub fn put(
        &mut self,
        container: &str,
        name: &str,
        bytes: &[u8],
        append: bool,
        metadata: &[(&str, &str)],
    ) {
        self.version += 1;
        let metadata = metadata
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let stored = Stored {
            bytes: bytes.to_vec(),
            append,
            version: self.version,
            created: self.now,
            modified: self.now,
            metadata: metadata.collect(),
        };
        let blobs = self.containers.entry(container.to_owned()).or_default();
        blobs.insert(name.to_owned(), stored);
    }

    /// Makes an append blob, or appends to it.
    pub fn append(&mut self, container: &str, name: &str, bytes: &[u8]) {
        self.version += 1;
        let (version, now) = (self.version, self.now);
        let blobs = self.containers.entry(container.to_owned()).or_default();
        match blobs.get_mut(name) {
            Some(stored) => {
                stored.bytes.extend_from_slice(bytes);
                stored.version = version;
                stored.modified = now;
            }
            None => self.put(container, name, bytes, true, &[]),
        }
    }

    pub fn metadata(&self, container: &str, name: &str) -> Vec<(&str, &str)> {
        let metadata = self.blob(container, name).metadata.iter();
        metadata.map(|(k, v)| (k.as_str(), v.as_str())).collect()
    }
}

pub struct Service {
    pub counterpart: Counterpart,
    state: Arc<Mutex<State>>,
}

fn etag(version: u64) -> String {
    format!("0x8DE{version:013X}")
}

fn date(instant: Instant) -> String {
    let stamp = jiff::Timestamp::from_millisecond(instant.millis()).unwrap();
    stamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn xml(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

impl Service {
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            now: START,
            page: 5000,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let counterpart =
            Counterpart::api(move |asked, _| answer(&mut shared.lock().unwrap(), asked)).await;
        Self { counterpart, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn client(&self) -> BlobClient {
        let account = self.counterpart.secret();
        let at = self.counterpart.url.join("/contoso/").unwrap();
        BlobClient::new(&account, &at, Access::Identity)
            .unwrap()
            .still()
    }

    pub fn signed(&self, signature: &str) -> BlobClient {
        let account = self.counterpart.secret();
        let at = self.counterpart.url.join("/contoso").unwrap();
        BlobClient::new(&account, &at, Access::Signature(signature.into()))
            .unwrap()
            .still()
    }
}

fn refuse(state: &State, status: u16, code: &str) -> Reply {
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>Said in words.\n\
         RequestId:r-1\nTime:now</Message></Error>"
    );
    let date = date(state.now);
    let headers = [
        ("x-ms-error-code", code),
        ("x-ms-request-id", "r-1"),
        ("date", &date),
    ];
    reply(status, &headers, body)
}

fn answer(state: &mut State, asked: &Asked) -> Reply {
    assert_eq!(asked.header("x-ms-version"), "2023-11-03");
    let fits = |fault: &Fault| asked.method == fault.method && asked.target.contains(fault.part);
    if let Some(fault) = state.refusals.iter().find(|fault| fits(fault)) {
        return refuse(state, fault.status, fault.code);
    }
    if let Some(fault) = state.faults.front().filter(|fault| fits(fault)).cloned() {
        state.faults.pop_front();
        return refuse(state, fault.status, fault.code);
    }
    let url = url::Url::parse(&format!("https://x{}", asked.target)).unwrap();
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let by_signature = query.get("sig").is_some_and(|sig| sig == "s3cr3t/+=");
    if !by_signature && !asked.header("authorization").starts_with("Bearer token-") {
        return refuse(state, 403, "AuthenticationFailed");
    }
    let path = url.path().strip_prefix("/contoso/").unwrap();
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .unwrap()
        .into_owned();
    if path.is_empty() {
        return containers(state, &query);
    }
    if query.contains_key("restype") {
        return blobs(state, &path, &query);
    }
    let (container, name) = path.split_once('/').unwrap();
    if !state.containers.contains_key(container) {
        return refuse(state, 404, "ContainerNotFound");
    }
    match asked.method.as_str() {
        "PUT" => put(state, container, name, asked, &query),
        _ => get(state, container, name, asked),
    }
}

fn list(state: &State, element: &str, found: Vec<String>, next: &str) -> Reply {
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><{element}>{}</{element}>\
         <NextMarker>{}</NextMarker></EnumerationResults>",
        found.concat(),
        xml(next)
    );
    reply(200, &[("date", &date(state.now))], body)
}

/// What comes behind the marker, and the marker for what follows: opaque, as Azure's.
fn part<'n>(
    names: impl Iterator<Item = &'n String>,
    state: &State,
    query: &BTreeMap<String, String>,
) -> (Vec<String>, String) {
    let text = |name: &str| query.get(name).map_or("", String::as_str);
    let prefix = text("prefix");
    let after = text("marker")
        .strip_prefix("2!")
        .unwrap_or_default()
        .to_owned();
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with(prefix) && (after.is_empty() || **name >= after))
        .cloned()
        .collect();
    let next = names
        .get(state.page)
        .map_or(String::new(), |name| format!("2!{name}"));
    names.truncate(state.page);
    (names, next)
}

fn containers(state: &State, query: &BTreeMap<String, String>) -> Reply {
    let (names, next) = part(state.containers.keys(), state, query);
    let found = names.iter();
    let found = found.map(|name| format!("<Container><Name>{name}</Name><Properties><Etag>\"0x1\"</Etag></Properties></Container>"));
    list(state, "Containers", found.collect(), &next)
}

fn blobs(state: &State, container: &str, query: &BTreeMap<String, String>) -> Reply {
    let Some(blobs) = state.containers.get(container) else {
        return refuse(state, 404, "ContainerNotFound");
    };
    let (names, next) = part(blobs.keys(), state, query);
    let with_metadata = query
        .get("include")
        .is_some_and(|include| include == "metadata");
    let found = names.iter().map(|name| {
        let stored = &blobs[name];
        let metadata = stored.metadata.iter();
        let metadata: String = metadata.map(|(k, v)| format!("<{k}>{}</{k}>", xml(v))).collect();
        format!(
            "<Blob><Name>{}</Name><Properties><Creation-Time>{}</Creation-Time><Last-Modified>{}</Last-Modified>\
             <Etag>{}</Etag><Content-Length>{}</Content-Length><BlobType>{}</BlobType></Properties>{}</Blob>",
            xml(name),
            date(stored.created),
            date(stored.modified),
            etag(stored.version),
            stored.bytes.len(),
            if stored.append { "AppendBlob" } else { "BlockBlob" },
            if with_metadata { format!("<Metadata>{metadata}</Metadata>") } else { String::new() },
        )
    });
    list(state, "Blobs", found.collect(), &next)
}

fn given_metadata(asked: &Asked) -> BTreeMap<String, String> {
    let headers = asked.headers.iter();
    headers
        .filter_map(|(name, value)| {
            Some((name.strip_prefix("x-ms-meta-")?.to_owned(), value.clone()))
        })
        .collect()
}

fn put(
    state: &mut State,
    container: &str,
    name: &str,
    asked: &Asked,
    query: &BTreeMap<String, String>,
) -> Reply {
    let there = state.containers[container]
        .get(name)
        .map(|stored| etag(stored.version));
    let (matches, none) = (asked.header("if-match"), asked.header("if-none-match"));
    let sets = query.get("comp").is_some_and(|comp| comp == "metadata");
    if sets && there.is_none() {
        return refuse(state, 404, "BlobNotFound");
    }
    if none == "*" && there.is_some() {
        return refuse(state, 409, "BlobAlreadyExists");
    }
    if !matches.is_empty() && there.as_deref() != Some(matches.trim_matches('"')) {
        return refuse(state, 412, "ConditionNotMet");
    }
    state.version += 1;
    let (version, now) = (state.version, state.now);
    let blobs = state.containers.get_mut(container).unwrap();
    if !sets {
        assert_eq!(
            (
                asked.header("x-ms-blob-type"),
                asked.header("content-length")
            ),
            ("BlockBlob", "0")
        );
    }
    let stored = blobs.entry(name.to_owned()).or_insert(Stored {
        bytes: Vec::new(),
        append: false,
        version,
        created: now,
        modified: now,
        metadata: BTreeMap::new(),
    });
    stored.version = version;
    stored.modified = now;
    stored.metadata = given_metadata(asked);
    let status = if sets { 200 } else { 201 };
    let etag = format!("\"{}\"", etag(version));
    reply(status, &[("etag", &etag), ("date", &date(now))], "")
}

fn get(state: &State, container: &str, name: &str, asked: &Asked) -> Reply {
    let Some(stored) = state.containers[container].get(name) else {
        return refuse(state, 404, "BlobNotFound");
    };
    let size = stored.bytes.len();
    let quoted = format!("\"{}\"", etag(stored.version));
    let (now, modified) = (date(state.now), date(stored.modified));
    let kind = if stored.append {
        "AppendBlob"
    } else {
        "BlockBlob"
    };
    let mut headers = vec![
        ("etag", quoted.as_str()),
        ("date", now.as_str()),
        ("last-modified", modified.as_str()),
        ("x-ms-blob-type", kind),
    ];
    let metadata: Vec<(String, &String)> = stored
        .metadata
        .iter()
        .map(|(name, value)| (format!("x-ms-meta-{name}"), value))
        .collect();
    headers.extend(
        metadata
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    if asked.method == "HEAD" {
        let mut answer = reply(200, &headers, "");
        let text = String::from_utf8(answer.bytes).unwrap();
        answer.bytes = text
            .replace("content-length: 0", &format!("content-length: {size}"))
            .into_bytes();
        return answer;
    }
    if state.whole {
        return reply(200, &headers, &stored.bytes);
    }
    let range = asked.header("x-ms-range").strip_prefix("bytes=").unwrap();
    let (from, last) = range.split_once('-').unwrap();
    let (from, last): (usize, usize) = (from.parse().unwrap(), last.parse().unwrap());
    if from > size || (from == size && !state.emulator) {
        let mut refused = refuse(state, 416, "InvalidRange");
        let text = String::from_utf8(refused.bytes).unwrap();
        let range = format!("content-range: bytes */{size}\r\n\r\n");
        refused.bytes = text
            .replacen("\r\n\r\n", &format!("\r\n{range}"), 1)
            .into_bytes();
        return refused;
    }
    let end = size.min(last + 1);
    let range = format!("bytes {from}-{}/{size}", end as i64 - 1);
    headers.push(("content-range", &range));
    reply(206, &headers, &stored.bytes[from..end])
}
