//! An input that follows a log: an event hub, or the append blobs of a storage
//! account.

use super::{FEEDS, Refusal, Start, Texts, refuse, unknown};
use crate::ingest::Instant;
use crate::ingest::stream::Begin;
use crate::microsoft::azure::event_hub::Transport;
use crate::microsoft::azure::records::Tables;
use crate::splunk::modular_input::input::Stanza;
use std::time::Duration;
use url::Url;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInput {
    pub account: String,
    pub log: Log,
    /// Where the log is begun at the first run.
    pub begin: Begin,
    pub tables: Tables,
    pub positions: Positions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Log {
    EventHub(EventHub),
    Storage(Storage),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHub {
    /// A name (`contoso`), or a host with or without a port. None: the account's connection
    /// string says it.
    pub namespace: Option<String>,
    /// None: the account's connection string says it.
    pub hub: Option<String>,
    pub consumer_group: String,
    pub transport: Transport,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// None: the account's connection string says it.
    pub account: Option<StorageAccount>,
    /// Each container is listed this often.
    pub listing: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageAccount {
    Name(String),
    Url(Url),
}

/// Where positions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Positions {
    /// On the server it runs on, which then reads every partition.
    Local,
    /// In a blob container, through which several forwarders share a hub.
    Blob(Url),
}

impl Positions {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Blob(_) => "blob",
        }
    }

    /// Whether several forwarders read one hub.
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Blob(_))
    }
}

/// Names in Azure are longer nowhere.
const LONGEST_NAME: usize = 260;
const LISTS: &str = "feed = alerts or feed = incidents";
const EVENT_HUB: &str = "feed = event_hub";
const STORAGE: &str = "feed = storage";

/// The feed that a part of a stanza must belong to, if only a stream can have it.
pub fn stream_of(part: &Stanza) -> Option<&'static str> {
    let texts = Texts(part);
    let has = |key: &str| texts.text(key).is_some();
    let is = |key: &str, words: &[&str]| texts.text(key).is_some_and(|word| words.contains(&word));
    let hub = [
        "event_hub_namespace",
        "event_hub",
        "consumer_group",
        "transport",
        "checkpoint_container",
    ];
    if has("storage_account") {
        return Some("storage");
    }
    let either = has("tables") || is("start", &["earliest", "latest"]);
    let is_hub = hub.into_iter().any(has) || is("checkpoint", &["blob"]);
    (is_hub || either).then_some("event_hub")
}

impl StreamInput {
    pub(super) fn parse(texts: Texts<'_>, feed: &str, now: Instant) -> Result<Self, Refusal> {
        texts.without(&[("min_severity", LISTS), ("service_sources", LISTS)])?;
        // The default of every stanza.
        if let Some(api) = texts.text("api").filter(|api| *api != "graph") {
            return refuse(
                "api",
                format!(
                    "\"{}\" is only used with {LISTS}: remove it",
                    api.escape_debug()
                ),
            );
        }
        let log = match feed {
            "storage" => {
                texts.without(&[
                    ("event_hub_namespace", EVENT_HUB),
                    ("event_hub", EVENT_HUB),
                    ("checkpoint_container", EVENT_HUB),
                ])?;
                Log::Storage(Storage::parse(texts)?)
            }
            "event_hub" => {
                texts.without(&[("storage_account", STORAGE)])?;
                Log::EventHub(EventHub::parse(texts)?)
            }
            word => return unknown("feed", word, &FEEDS),
        };
        Ok(Self {
            account: texts.account()?,
            positions: positions(texts, &log)?,
            begin: begin(texts.text("start").unwrap_or("-7d"), now)
                .or_else(|why| refuse("start", why))?,
            tables: tables(texts)?,
            log,
        })
    }

    /// `event_hub` or `storage`.
    pub fn feed_name(&self) -> &'static str {
        match self.log {
            Log::EventHub(_) => "event_hub",
            Log::Storage(_) => "storage",
        }
    }
}

impl EventHub {
    fn parse(texts: Texts<'_>) -> Result<Self, Refusal> {
        let namespace = match texts.text("event_hub_namespace") {
            None => None,
            Some(text) if is_host(text) => Some(text.to_owned()),
            Some(text) => {
                return refuse(
                    "event_hub_namespace",
                    format!(
                        "\"{}\" is no namespace: write its name (contoso), its host \
                         (contoso.servicebus.windows.net), or, with an account of cloud = custom, host:port",
                        shown(text)
                    ),
                );
            }
        };
        let name = |key, text: &str, what| match is_entity(text) {
            true => Ok(text.to_owned()),
            false => refuse(
                key,
                format!(
                    "\"{}\" is no name of {what}: letters, digits, \".\", \"-\" and \"_\"",
                    shown(text)
                ),
            ),
        };
        let hub = match texts.text("event_hub") {
            None => None,
            Some(text) => Some(name("event_hub", text, "an event hub")?),
        };
        let consumer_group = match texts.text("consumer_group").unwrap_or(DEFAULT_GROUP) {
            group if group.eq_ignore_ascii_case(DEFAULT_GROUP) => DEFAULT_GROUP.to_owned(),
            group => name("consumer_group", group, "a consumer group")?,
        };
        let transport = match texts.text("transport").unwrap_or("amqp") {
            "amqp" => Transport::Amqp,
            "websocket" => Transport::WebSocket,
            other => return unknown("transport", other, &["amqp", "websocket"]),
        };
        Ok(Self {
            namespace,
            hub,
            consumer_group,
            transport,
        })
    }
}

const DEFAULT_GROUP: &str = "$Default";

/// With or without a port.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse::<u16>().is_ok_and(|port| port > 0)),
        None => (text, true),
    };
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    };
    port && name.len() <= 253 && name.split('.').all(label)
}

impl Storage {
    fn parse(texts: Texts<'_>) -> Result<Self, Refusal> {
        const KEY: &str = "storage_account";
        let listing = listing(texts.0.interval().unwrap_or_default().trim());
        let at = |account| Ok(Self { account, listing });
        let Some(text) = texts.text(KEY) else {
            return at(None);
        };
        if text.contains("://") {
            return at(Some(StorageAccount::Url(https(KEY, text)?)));
        }
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        match (3..=24).contains(&text.len()) && text.bytes().all(fits) {
            true => at(Some(StorageAccount::Name(text.to_owned()))),
            false => refuse(
                KEY,
                format!(
                    "\"{}\" is no storage account: write its name (3 to 24 lower-case letters and digits), \
                     or, with an account of cloud = custom, its https URL",
                    shown(text)
                ),
            ),
        }
    }
}

/// `interval` in seconds; a schedule and what is no time between two listings are a minute.
fn listing(interval: &str) -> Duration {
    let seconds = interval.parse::<f64>().ok();
    let seconds = seconds.filter(|seconds| *seconds > 0.0 && seconds.is_finite());
    Duration::from_secs_f64(seconds.map_or(60.0, |seconds| seconds.clamp(1.0, 3600.0)))
}

fn positions(texts: Texts<'_>, log: &Log) -> Result<Positions, Refusal> {
    const KEY: &str = "checkpoint_container";
    let container = texts.text(KEY);
    match (texts.text("checkpoint").unwrap_or("local"), log) {
        ("local", _) if container.is_some() => {
            refuse(KEY, "only used with checkpoint = blob: remove it")
        }
        ("local", _) => Ok(Positions::Local),
        ("kvstore", _) => refuse(
            "checkpoint",
            format!("\"kvstore\" is only used with {LISTS}: write local, or blob for an event hub"),
        ),
        ("blob", Log::Storage(_)) => refuse(
            "checkpoint",
            format!("\"blob\" is only used with {EVENT_HUB}: write local"),
        ),
        ("blob", Log::EventHub(_)) => match container {
            None => refuse(
                KEY,
                "missing: checkpoint = blob needs the https URL of a blob container, such as \
                 https://contoso.blob.core.windows.net/checkpoints",
            ),
            Some(text) => {
                let url = https(KEY, text)?;
                let named = url.path_segments().is_some_and(|mut path| {
                    // A custom cloud may have the account's name before it.
                    let (first, rest) = (path.next(), path.filter(|part| !part.is_empty()));
                    first.is_some_and(|name| !name.is_empty()) && rest.count() <= 1
                });
                match named {
                    true => Ok(Positions::Blob(url)),
                    false => refuse(
                        KEY,
                        format!("\"{}\" must end with the container's name", shown(text)),
                    ),
                }
            }
        },
        (other, Log::EventHub(_)) => unknown("checkpoint", other, &["local", "blob"]),
        (other, Log::Storage(_)) => unknown("checkpoint", other, &["local"]),
    }
}

fn begin(text: &str, now: Instant) -> Result<Begin, String> {
    match text {
        "earliest" => Ok(Begin::Earliest),
        "latest" => Ok(Begin::Latest),
        text => match Start::parse(text, now) {
            Ok(start) => Ok(Begin::At(start.at(now))),
            Err(why) => Err(format!("{why}; or write earliest or latest")),
        },
    }
}

fn tables(texts: Texts<'_>) -> Result<Tables, Refusal> {
    let text = texts.list("tables").join(",");
    Tables::parse(&text).or_else(|error| refuse("tables", error.to_string()))
}

/// An address without anything secret in it.
fn https(key: &'static str, text: &str) -> Result<Url, Refusal> {
    let refusal = |why: String| refuse(key, why);
    let Ok(url) = Url::parse(text) else {
        return refusal(format!("\"{}\" is no URL", shown(text)));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refusal("a user name or password does not belong in it".to_owned());
    }
    if url.scheme() != "https" || url.host_str().is_none() {
        return refusal(format!("\"{}\" must begin with https://", shown(text)));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refusal(format!(
            "\"{}\" must end with its path: a shared access signature is a secret, stored for an account with \
             auth = connection_string",
            shown(text)
        ));
    }
    Ok(url)
}

fn is_entity(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.len() <= LONGEST_NAME
        && text.bytes().all(fits)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
}

/// A value as a refusal may repeat it: short, and without what may be secret.
fn shown(text: &str) -> String {
    let end = text.find(['?', '#', ';']).unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default();
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    text.chars()
        .take(100)
        .flat_map(char::escape_debug)
        .collect()
}
