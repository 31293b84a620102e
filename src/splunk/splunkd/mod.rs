//! splunkd's REST interface (Splunk's *REST API Reference Manual*): settings,
//! stored secrets, who is asking, events of our own.

mod answer;
pub mod conf_file;
mod connection;
mod error;
mod inspect;
mod kvstore;
pub mod own_endpoint;
mod search;
#[cfg(test)]
mod tests;

pub use connection::{Connection, Tls};
pub use error::SplunkdError;
pub use inspect::Rows;
pub use kvstore::{Find, Inserted};
pub use own_endpoint::Route;
pub use search::{Events, MOST_EVENTS, Search};

use crate::NAME;
use answer::{Answer, Entry, said};
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use connection::Lasting;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Everything but what RFC 3986 calls unreserved: splunkd takes `/` and `:`
/// inside a name only when they are encoded.
const OUTSIDE_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// Pieces of 255 bytes each: far more than a key and its chain need.
const MOST_PIECES: usize = 256;

/// How often a call that only reads is repeated where splunkd failed at it (500).
const FEW_TIMES: u32 = 3;

const ASK_FOR_ROLE: &str = "ask an administrator for a role that may";
const READ_CONF: &str = "a role of this user needs read access to the app Defender Bridge";
const READ_SECRETS: &str = "a role of this user needs the capability list_storage_passwords";
const SEND_EVENTS: &str =
    "a role of this user needs the capability edit_log_alert_event (edit_tcp does as well)";
const KEEP_SECRETS: &str =
    "a role of this user needs the capability edit_storage_passwords or admin_all_objects";

/// Who a session key belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub username: String,
    pub roles: Vec<String>,
    pub capabilities: Vec<String>,
}

impl Context {
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|own| own == capability)
    }
}

/// Which splunkd this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    pub version: String,
    pub server_name: String,
    pub guid: String,
    pub server_roles: Vec<String>,
    pub is_free: bool,
    /// Whether it runs in FIPS mode, where it says so.
    pub fips: Option<bool>,
}

/// Where an event sent over REST goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Addressing<'a> {
    pub index: Option<&'a str>,
    pub sourcetype: &'a str,
    pub source: &'a str,
    pub host: Option<&'a str>,
}

/// splunkd, on behalf of the owner of one session key.
#[derive(Debug, Clone)]
pub struct Splunkd {
    client: Client,
    base: Url,
    session_key: SecretString,
    patience: Duration,
    /// How long one answer may take, where a call does not say.
    wait: Duration,
    /// Bytes of the largest answer that is taken.
    largest: usize,
    connection: Connection,
}

/// One call: what it is for, in words, and what it takes.
struct Call<'c> {
    what: String,
    advice: &'static str,
    method: Method,
    path: String,
    query: Vec<(&'static str, &'c str)>,
    form: Vec<(&'static str, &'c str)>,
    body: Option<Bytes>,
    /// A body that is announced as JSON.
    json: Option<Bytes>,
    /// How long the answer may take, where it is work.
    within: Option<Duration>,
}

impl<'c> Call<'c> {
    fn get(path: String, what: String, advice: &'static str) -> Self {
        Self {
            what,
            advice,
            method: Method::GET,
            path,
            query: Vec::new(),
            form: Vec::new(),
            body: None,
            json: None,
            within: None,
        }
    }

    /// Whether it changes nothing, so that it may be made twice.
    fn reads(&self) -> bool {
        self.method == Method::GET
    }
}

impl Splunkd {
    /// Nothing is asked yet. `patience` bounds the time in which a splunkd is
    /// asked again that refuses connections, is not ready (503) or, where
    /// nothing is changed, fails or gives no answer.
    pub fn new(
        server_uri: &str,
        session_key: SecretString,
        tls: &Tls,
        patience: Duration,
    ) -> Result<Self, SplunkdError> {
        let base = connection::address(server_uri)?;
        Ok(Self {
            client: connection::client(&base, tls)?,
            connection: Connection::of(&base, tls),
            largest: usize::MAX,
            base,
            session_key,
            patience,
            wait: connection::answer_within(patience),
        })
    }

    /// A stanza of the app's `<name>.conf`; none if there is no such stanza.
    pub async fn conf(
        &self,
        name: &str,
        stanza: &str,
    ) -> Result<Option<BTreeMap<String, String>>, SplunkdError> {
        if unnameable(stanza) {
            return Ok(None);
        }
        let path = format!("{}/{}", conf_path(name), segment(stanza));
        let what = format!("read stanza [{stanza}] of {name}.conf");
        let entries = self.entries(Call::get(path, what, READ_CONF)).await?;
        entries
            .into_iter()
            .flatten()
            .find(|entry| entry.name == stanza)
            .map(|entry| settings(name, &entry))
            .transpose()
    }

    /// All stanzas of the app's `<name>.conf`.
    pub async fn conf_stanzas(
        &self,
        name: &str,
    ) -> Result<Vec<(String, BTreeMap<String, String>)>, SplunkdError> {
        let entries = self.conf_entries(name).await?;
        entries
            .iter()
            .map(|entry| Ok((entry.name.clone(), settings(name, entry)?)))
            .collect()
    }

    /// The names of all stanzas of the app's `<name>.conf`.
    pub async fn conf_names(&self, name: &str) -> Result<Vec<String>, SplunkdError> {
        let entries = self.conf_entries(name).await?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    async fn conf_entries(&self, name: &str) -> Result<Vec<Entry>, SplunkdError> {
        let mut call = Call::get(conf_path(name), format!("read {name}.conf"), READ_CONF);
        // Without it splunkd stops at 30.
        call.query.push(("count", "-1"));
        Ok(self.entries(call).await?.unwrap_or_default())
    }

    /// The secret kept for `user` in the app's realm; none if there is none.
    /// A long one is kept in pieces under `<user>#1`, `<user>#2` and so on.
    pub async fn password(&self, user: &str) -> Result<Option<SecretString>, SplunkdError> {
        if unnameable(user) {
            return Ok(None);
        }
        if let Some(whole) = self.stored(user).await? {
            return Ok(Some(whole));
        }
        let mut joined = String::new();
        for piece in 1..=MOST_PIECES {
            match self.stored(&format!("{user}#{piece}")).await? {
                Some(secret) => joined.push_str(secret.expose_secret()),
                None => break,
            }
        }
        Ok((!joined.is_empty()).then(|| joined.into()))
    }

    async fn stored(&self, user: &str) -> Result<Option<SecretString>, SplunkdError> {
        let path = format!(
            "servicesNS/nobody/{NAME}/storage/passwords/{}",
            segment(&format!("{NAME}:{}:", escaped(user)))
        );
        let what = format!("read the secret of `{user}`");
        let entries = self.entries(Call::get(path, what, READ_SECRETS)).await?;
        let mine = |entry: &Entry| {
            let is = |key, expected| entry.text(key).is_none_or(|found| found == expected);
            is("realm", NAME) && is("username", user)
        };
        let found: Vec<Entry> = entries.into_iter().flatten().filter(mine).collect();
        // Another app may have stored one under the same names for everybody.
        let own = found.iter().find(|entry| entry.is_of_this_app());
        let Some(entry) = own.or(found.first()) else {
            return Ok(None);
        };
        let user = user.to_owned();
        match entry.text("clear_password") {
            Some(secret) if secret.is_empty() => Err(SplunkdError::Undecryptable { user }),
            Some(secret) if secret.bytes().any(|byte| byte != b'*') => Ok(Some(secret.into())),
            _ => Err(SplunkdError::Masked { user }),
        }
    }

    /// Keeps a secret for `user` in the app's realm, unless there is one already.
    pub async fn keep_password(
        &self,
        user: &str,
        secret: &SecretString,
    ) -> Result<(), SplunkdError> {
        let kept = self.done(Call {
            method: Method::POST,
            form: vec![
                ("name", user),
                ("password", secret.expose_secret()),
                ("realm", NAME),
            ],
            ..Call::get(
                format!("servicesNS/nobody/{NAME}/storage/passwords"),
                format!("keep the secret of `{user}`"),
                KEEP_SECRETS,
            )
        });
        match kept.await {
            Err(SplunkdError::Refused { status: 409, .. }) => Ok(()),
            kept => kept.map(drop),
        }
    }

    /// Who the session key belongs to.
    pub async fn current_context(&self) -> Result<Context, SplunkdError> {
        let entry = self
            .only(
                "services/authentication/current-context",
                "say who is asking",
            )
            .await?;
        Ok(Context {
            username: entry.text("username").unwrap_or_default(),
            roles: entry.list("roles"),
            capabilities: entry.list("capabilities"),
        })
    }

    /// Which splunkd this is.
    pub async fn server_info(&self) -> Result<ServerInfo, SplunkdError> {
        let entry = self
            .only("services/server/info", "say which version it is")
            .await?;
        let text = |key| entry.text(key).unwrap_or_default();
        Ok(ServerInfo {
            version: text("version"),
            server_name: text("serverName"),
            guid: text("guid"),
            server_roles: entry.list("server_roles"),
            is_free: entry.switch("isFree").unwrap_or_default(),
            fips: entry.switch("fips_mode"),
        })
    }

    /// Sends one event; well only where splunkd itself says that it took it.
    pub async fn receive(&self, to: Addressing<'_>, body: Bytes) -> Result<(), SplunkdError> {
        let mut query = vec![("sourcetype", to.sourcetype), ("source", to.source)];
        query.extend(to.index.map(|index| ("index", index)));
        query.extend(to.host.map(|host| ("host", host)));
        const WHAT: &str = "take an event";
        let answer = self
            .done(Call {
                what: WHAT.to_owned(),
                advice: SEND_EVENTS,
                method: Method::POST,
                path: "services/receivers/simple".to_owned(),
                query,
                form: Vec::new(),
                body: Some(body),
                json: None,
                within: None,
            })
            .await?;
        // Not quoted: whoever answered may not be splunkd.
        answer::took_event(&answer)
            .then_some(())
            .ok_or(SplunkdError::Unintelligible {
                what: WHAT.to_owned(),
                why: "it is not splunkd's word that the event was taken",
            })
    }

    async fn done(&self, call: Call<'_>) -> Result<Bytes, SplunkdError> {
        let missing = SplunkdError::Refused {
            what: call.what.clone(),
            status: StatusCode::NOT_FOUND.as_u16(),
            said: String::new(),
        };
        self.ask(call).await?.ok_or(missing)
    }

    async fn only(&self, path: &str, what: &str) -> Result<Entry, SplunkdError> {
        let call = Call::get(path.to_owned(), what.to_owned(), ASK_FOR_ROLE);
        let missing = SplunkdError::Unintelligible {
            what: what.to_owned(),
            why: "the answer has no entry",
        };
        let entries = self.entries(call).await?.unwrap_or_default();
        entries.into_iter().next().ok_or(missing)
    }

    /// The entries of the answer; none if there is no such object (404).
    async fn entries(&self, call: Call<'_>) -> Result<Option<Vec<Entry>>, SplunkdError> {
        let what = call.what.clone();
        let Some(body) = self.ask(call).await? else {
            return Ok(None);
        };
        // serde's own words quote values, and one of them may be a secret.
        serde_json::from_slice::<Answer>(&body)
            .map(|answer| Some(answer.entry))
            .map_err(|_| SplunkdError::Unintelligible {
                what,
                why: "it is not the JSON splunkd documents",
            })
    }

    async fn ask(&self, call: Call<'_>) -> Result<Option<Bytes>, SplunkdError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .without_max_times()
            .with_total_delay(Some(self.patience))
            .with_jitter();
        let begun = Instant::now();
        let mut failed = 0_u32;
        let attempt = async || self.ask_once(&call).await;
        attempt
            .retry(pauses)
            .when(|failure| match failure.again {
                Again::Never => false,
                Again::Soon => begun.elapsed() < self.patience,
                Again::FewTimes => {
                    failed += 1;
                    failed <= FEW_TIMES && begun.elapsed() < self.patience
                }
            })
            .await
            .map_err(|failure| failure.error)
    }

    async fn ask_once(&self, call: &Call<'_>) -> Result<Option<Bytes>, Failure> {
        let mut request = self
            .client
            .request(call.method.clone(), self.url(&call.path)?)
            .header(AUTHORIZATION, self.authorization()?)
            .query(&[("output_mode", "json")])
            .query(&call.query);
        if !call.form.is_empty() {
            request = request.form(&call.form);
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        if let Some(json) = &call.json {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(json.clone());
        }
        let sent = request.timeout(self.waits(call)).send().await;
        let answer = sent.map_err(|error| self.failed(call, error))?;
        let status = answer.status();
        let body = answer::body(answer, self.largest)
            .await
            .map_err(|error| self.failed(call, error))?;
        let Some(body) = body else {
            return Err(Failure::from(SplunkdError::Unintelligible {
                what: call.what.clone(),
                why: "it is longer than anything that was asked for",
            }));
        };
        if status.is_success() {
            return Ok(Some(body));
        }
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let what = call.what.clone();
        let said = said(&body, self.session_key.expose_secret());
        Err(Failure {
            again: match status {
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Again::Soon,
                StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT if call.reads() => {
                    Again::Soon
                }
                // A handler that is broken stays so.
                StatusCode::INTERNAL_SERVER_ERROR if call.reads() => Again::FewTimes,
                _ => Again::Never,
            },
            error: match status {
                StatusCode::UNAUTHORIZED => SplunkdError::SessionEnded { what },
                StatusCode::FORBIDDEN => SplunkdError::Forbidden {
                    what,
                    said,
                    advice: call.advice,
                },
                StatusCode::SERVICE_UNAVAILABLE => SplunkdError::NotReady { what, said },
                other => SplunkdError::Refused {
                    what,
                    status: other.as_u16(),
                    said,
                },
            },
        })
    }

    fn url(&self, path: &str) -> Result<Url, SplunkdError> {
        self.base.join(path).map_err(|_| SplunkdError::Address {
            uri: self.base.to_string(),
            why: "no path can be added to it",
        })
    }

    fn authorization(&self) -> Result<HeaderValue, SplunkdError> {
        let mut value =
            HeaderValue::try_from(format!("Splunk {}", self.session_key.expose_secret())).map_err(
                |_| SplunkdError::Client("the session key holds a character no header can".into()),
            )?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn failed(&self, call: &Call<'_>, error: reqwest::Error) -> Failure {
        // URLs may name stanzas, never secrets, but they say nothing the call's own words do not.
        let error = error.without_url();
        let uri = self.base.origin().ascii_serialization();
        let cause = connection::chain(&error);
        if let Some(lasting) = connection::lasting(&error) {
            return Failure::from(match lasting {
                Lasting::Certificate => SplunkdError::Certificate { uri, cause },
                Lasting::Sha1 => SplunkdError::Sha1 { uri },
                Lasting::Handshake => SplunkdError::Handshake { uri, cause },
            });
        }
        // A splunkd that stops or starts breaks connections off.
        let again = match call.reads() || connection::was_refused(&error) {
            true => Again::Soon,
            false => Again::Never,
        };
        let error = match error.is_timeout() && !error.is_connect() {
            true => SplunkdError::Slow {
                uri,
                what: call.what.clone(),
                seconds: self.waits(call).as_secs(),
            },
            false => SplunkdError::Unreachable { uri, cause },
        };
        Failure { error, again }
    }

    fn waits(&self, call: &Call<'_>) -> Duration {
        call.within.unwrap_or(self.wait)
    }
}

#[derive(Debug)]
struct Failure {
    error: SplunkdError,
    again: Again,
}

/// Whether the same call is made again: nothing was taken by then, or nothing
/// is changed by taking it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    Soon,
    FewTimes,
}

impl From<SplunkdError> for Failure {
    fn from(error: SplunkdError) -> Self {
        Self {
            error,
            again: Again::Never,
        }
    }
}

/// A stanza of `<conf>.conf`, each key with its one value.
fn settings(conf: &str, entry: &Entry) -> Result<BTreeMap<String, String>, SplunkdError> {
    let refuse = |key| SplunkdError::NoOneValue {
        what: format!("stanza [{}] of {conf}.conf", entry.name),
        key,
    };
    entry.settings().map_err(refuse)
}

/// A part of a stored secret's name, as splunkd writes it there.
fn escaped(part: &str) -> String {
    part.replace('\\', "\\\\").replace(':', "\\:")
}

fn conf_path(name: &str) -> String {
    format!("servicesNS/nobody/{NAME}/configs/conf-{}", segment(name))
}

fn segment(name: &str) -> String {
    utf8_percent_encode(name, OUTSIDE_SEGMENT).to_string()
}

/// Names no object can have, but which would lead a path elsewhere.
fn unnameable(name: &str) -> bool {
    matches!(name, "" | "." | "..")
}
