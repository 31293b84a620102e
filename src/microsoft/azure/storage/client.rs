//! Calls to one storage account: the few that reading and sharing take.

use crate::ingest::Instant;
use crate::microsoft::account::Account;
use crate::microsoft::azure::storage::error::StorageError;
use crate::microsoft::azure::storage::listing::{self, Blob, ETag, Part};
use crate::microsoft::http::body::{CAP, Reading};
use crate::microsoft::http::clock::Clock;
use crate::microsoft::http::error::{Error, Retry, line};
use crate::microsoft::http::retry_after;
use crate::microsoft::http::transport::{Transport, place};
use crate::microsoft::http::usage::{Usage, count};
use crate::microsoft::sign_in::{SignIn, Token};
use backon::{ExponentialBuilder, Retryable};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, HeaderMap, RANGE};
use reqwest::{Method, Response};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::time::Instant as Moment;
use url::Url;
use uuid::Uuid;

/// Of the REST API. What is asked here has not changed since; emulators know it.
const VERSION: &str = "2023-11-03";
/// Whom a token for storage is for, in every cloud.
const AUDIENCE: &str = "https://storage.azure.com";
/// Longest a call may take with all its tries.
const PATIENCE: Duration = Duration::from_secs(120);
const FIRST_PAUSE: Duration = Duration::from_millis(400);
const TRIES: usize = 3;
/// Largest error answer read.
const ERROR_CAP: usize = 64 << 10;
/// Blobs in one answer of a list, as many as the service gives.
const PAGE: &str = "5000";

const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const PATH: &AsciiSet = &NAME.remove(b'/');

/// What opens the account.
#[derive(Debug, Clone)]
pub enum Access {
    /// Whoever the account of ours signs in as: app or managed identity.
    Identity,
    /// A shared access signature, a query without its question mark.
    Signature(SecretString),
}

/// What was asked of a storage account, which bills by the call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Costs {
    pub lists: u64,
    pub reads: u64,
    pub writes: u64,
    /// Received in bodies.
    pub bytes: u64,
    pub retries: u64,
    pub throttles: u64,
}

/// Speaks with one storage account. Cloning is cheap and shares everything.
#[derive(Debug, Clone)]
pub struct BlobClient {
    inner: Arc<Inner>,
    patience: Duration,
}

#[derive(Debug)]
struct Inner {
    /// Without a trailing slash.
    base: String,
    /// For error texts.
    host: String,
    opened: Opened,
    transport: Transport,
    usage: Arc<Usage>,
    lists: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    clock: Clock,
}

#[derive(Debug)]
enum Opened {
    Identity(Box<SignIn>),
    Signature(SecretString),
}

/// A condition of a write.
#[derive(Debug, Clone, Copy)]
pub enum If<'e> {
    /// There is no such blob yet.
    New,
    /// The blob is still this version.
    Match(&'e ETag),
}

/// How a conditional write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    Done(ETag),
    /// The condition does not hold: 409 or 412.
    Refused,
    /// There is no such blob.
    Missing,
}

/// A part of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Empty where nothing lies behind the offset.
    pub bytes: Vec<u8>,
    /// The whole blob's, where the answer tells.
    pub size: Option<u64>,
}

/// What a blob is, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub size: u64,
    pub etag: ETag,
    pub append: bool,
    pub modified: Option<Instant>,
    pub metadata: BTreeMap<String, String>,
}

/// A list, and what the service's clock said.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    pub part: Part<T>,
    pub now: Option<Instant>,
}

struct Request<'a> {
    method: Method,
    /// Behind the base URL, encoded.
    path: String,
    query: Vec<(&'a str, &'a str)>,
    headers: Vec<(String, String)>,
    /// Statuses that are answers beside 2xx.
    takes: &'a [u16],
    cap: usize,
    /// Bytes reserved for the body at once.
    room: usize,
    counted: &'a AtomicU64,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn etag(&self) -> ETag {
        ETag(self.text("etag").unwrap_or_default().to_owned())
    }

    fn date(&self, name: &str) -> Option<Instant> {
        self.text(name).and_then(listing::date)
    }
}

impl BlobClient {
    /// `at` is the account's blob endpoint, such as `https://contoso.blob.core.windows.net`.
    pub fn new(account: &Account, at: &Url, access: Access) -> Result<Self, StorageError> {
        let refuse = |what: &str| Error::Setting {
            account: account.name.clone(),
            what: format!("storage account {}: {what}", line(place(at).as_str())),
        };
        if at.host_str().is_none() || at.query().is_some() || at.fragment().is_some() {
            return Err(refuse("its address must end with its path, without ? or #").into());
        }
        let transport = Transport::azure(account)?;
        let usage = Arc::new(Usage::new());
        let opened = match access {
            Access::Signature(signature) => Opened::Signature(signature),
            Access::Identity if at.scheme() != "https" => {
                return Err(refuse("a token goes over https alone").into());
            }
            Access::Identity => {
                let sign_in = SignIn::at(account, AUDIENCE, &transport, &usage)?;
                Opened::Identity(Box::new(sign_in))
            }
        };
        Ok(Self {
            inner: Arc::new(Inner {
                base: at.as_str().trim_end_matches('/').to_owned(),
                host: place(at),
                opened,
                transport,
                usage,
                lists: AtomicU64::new(0),
                reads: AtomicU64::new(0),
                writes: AtomicU64::new(0),
                clock: Clock::default(),
            }),
            patience: PATIENCE,
        })
    }

    /// Bounds the time one call may take with all its tries (default: two minutes).
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// For tests: no wait takes time.
    #[cfg(test)]
    pub(super) fn still(mut self) -> Self {
        let inner = Arc::get_mut(&mut self.inner).unwrap();
        inner.clock = Clock::still();
        if let Opened::Identity(sign_in) = &mut inner.opened {
            sign_in.clock = inner.clock.clone();
        }
        self
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The account's blob endpoint, without a trailing slash.
    pub fn base(&self) -> &str {
        &self.inner.base
    }

    /// For texts.
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    pub fn costs(&self) -> Costs {
        let inner = &self.inner;
        let calls = inner.usage.read();
        Costs {
            lists: inner.lists.load(Ordering::Relaxed),
            reads: inner.reads.load(Ordering::Relaxed),
            writes: inner.writes.load(Ordering::Relaxed),
            bytes: calls.bytes,
            retries: calls.retries,
            throttles: calls.throttles,
        }
    }

    /// Whether the account signs in, where it does; words for how the storage is opened.
    ///
    /// # Errors
    /// If sign-in fails.
    pub async fn sign_in(&self) -> Result<&'static str, StorageError> {
        match &self.inner.opened {
            Opened::Signature(_) => Ok("none: a shared access signature, which ends some day"),
            Opened::Identity(sign_in) => {
                let deadline = self.inner.clock.now() + self.patience;
                sign_in.token(deadline).await?;
                Ok("Microsoft Entra gave a token")
            }
        }
    }

    /// Seconds by which this host's clock is ahead of the service's; none before the
    /// first answer.
    pub fn skew(&self) -> Option<i64> {
        self.inner.usage.skew()
    }

    /// Containers whose names begin so.
    pub async fn containers(
        &self,
        prefix: &str,
        marker: Option<&str>,
    ) -> Result<Listed<String>, StorageError> {
        let query = vec![("comp", "list")];
        self.list("/".to_owned(), query, prefix, marker, listing::containers)
            .await
    }

    /// Blobs whose names begin so, in the order of their names.
    pub async fn blobs(
        &self,
        container: &str,
        prefix: &str,
        marker: Option<&str>,
        metadata: bool,
    ) -> Result<Listed<Blob>, StorageError> {
        let mut query = vec![("restype", "container"), ("comp", "list")];
        if metadata {
            query.push(("include", "metadata"));
        }
        self.list(
            format!("/{}", encoded(container, NAME)),
            query,
            prefix,
            marker,
            listing::blobs,
        )
        .await
    }

    async fn list<T>(
        &self,
        path: String,
        mut query: Vec<(&str, &str)>,
        prefix: &str,
        marker: Option<&str>,
        read: impl Fn(&[u8]) -> Result<Part<T>, String>,
    ) -> Result<Listed<T>, StorageError> {
        query.push(("maxresults", PAGE));
        if !prefix.is_empty() {
            query.push(("prefix", prefix));
        }
        if let Some(marker) = marker {
            query.push(("marker", marker));
        }
        let answer = self
            .call(&Request {
                method: Method::GET,
                path,
                query,
                headers: Vec::new(),
                takes: &[],
                cap: CAP,
                room: 64 << 10,
                counted: &self.inner.lists,
            })
            .await?;
        let part = read(&answer.body).map_err(|what| self.strange(what))?;
        if part.next.is_some() && part.next.as_deref() == marker {
            return Err(self.strange("a list that does not go on".to_owned()));
        }
        Ok(Listed {
            now: answer.date(DATE.as_str()),
            part,
        })
    }

    /// Up to so many bytes from an offset on. Where the blob has as many bytes as that
    /// or fewer, nothing comes back but its size.
    pub async fn read(
        &self,
        container: &str,
        blob: &str,
        from: u64,
        most: usize,
    ) -> Result<Range, StorageError> {
        let last = from.saturating_add(most.max(1) as u64 - 1);
        // Azure's own header goes before HTTP's, which other services know alone.
        let range = format!("bytes={from}-{last}");
        let headers = ["x-ms-range", RANGE.as_str()];
        let answer = self
            .call(&Request {
                method: Method::GET,
                path: path(container, blob),
                query: Vec::new(),
                headers: headers.map(|name| (name.to_owned(), range.clone())).into(),
                takes: &[416],
                cap: most.max(ERROR_CAP),
                room: 0,
                counted: &self.inner.reads,
            })
            .await?;
        let size = || {
            let range = answer.text(CONTENT_RANGE.as_str())?;
            range.rsplit_once('/')?.1.trim().parse().ok()
        };
        match answer.status {
            416 => Ok(Range {
                size: size(),
                bytes: Vec::new(),
            }),
            206 => Ok(Range {
                size: size(),
                bytes: answer.body,
            }),
            // The whole: what was asked for is in it.
            _ => {
                let size = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
                let mut bytes = answer.body;
                bytes.drain(..usize::try_from(from.min(size)).unwrap_or_default());
                bytes.truncate(most.max(1));
                Ok(Range {
                    size: Some(size),
                    bytes,
                })
            }
        }
    }

    pub async fn head(&self, container: &str, blob: &str) -> Result<Head, StorageError> {
        let answer = self
            .call(&Request {
                method: Method::HEAD,
                path: path(container, blob),
                query: Vec::new(),
                headers: Vec::new(),
                takes: &[],
                cap: 0,
                room: 0,
                counted: &self.inner.reads,
            })
            .await?;
        let metadata = answer.headers.iter().filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("x-ms-meta-")?;
            Some((name.to_owned(), value.to_str().ok()?.to_owned()))
        });
        Ok(Head {
            size: answer
                .text(CONTENT_LENGTH.as_str())
                .and_then(|size| size.parse().ok())
                .unwrap_or_default(),
            etag: answer.etag(),
            append: answer.text("x-ms-blob-type") == Some("AppendBlob"),
            modified: answer.date("last-modified"),
            metadata: metadata.collect(),
        })
    }

    /// Makes an empty block blob with metadata.
    pub async fn put(
        &self,
        container: &str,
        blob: &str,
        metadata: &[(&str, &str)],
        condition: If<'_>,
    ) -> Result<Written, StorageError> {
        let headers = vec![
            ("x-ms-blob-type".to_owned(), "BlockBlob".to_owned()),
            (
                CONTENT_TYPE.to_string(),
                "application/octet-stream".to_owned(),
            ),
        ];
        self.write(path(container, blob), &[], headers, metadata, condition)
            .await
    }

    /// Replaces a blob's metadata.
    pub async fn set_metadata(
        &self,
        container: &str,
        blob: &str,
        metadata: &[(&str, &str)],
        condition: If<'_>,
    ) -> Result<Written, StorageError> {
        let query = [("comp", "metadata")];
        self.write(
            path(container, blob),
            &query,
            Vec::new(),
            metadata,
            condition,
        )
        .await
    }

    async fn write(
        &self,
        path: String,
        query: &[(&str, &str)],
        mut headers: Vec<(String, String)>,
        metadata: &[(&str, &str)],
        condition: If<'_>,
    ) -> Result<Written, StorageError> {
        headers.push(match condition {
            If::New => ("if-none-match".to_owned(), "*".to_owned()),
            If::Match(ETag(etag)) => ("if-match".to_owned(), etag.clone()),
        });
        headers.extend(metadata.iter().map(|(name, value)| {
            let name = format!("x-ms-meta-{name}");
            (name, (*value).to_owned())
        }));
        let request = Request {
            method: Method::PUT,
            path,
            query: query.to_vec(),
            headers,
            takes: &[404, 409, 412],
            cap: ERROR_CAP,
            room: 0,
            counted: &self.inner.writes,
        };
        let answer = self.call(&request).await?;
        match (answer.status, answer.text("x-ms-error-code")) {
            (404, None | Some("BlobNotFound")) => Ok(Written::Missing),
            (412, _) | (409, None | Some("BlobAlreadyExists")) => Ok(Written::Refused),
            (404 | 409, _) => Err(self.refused(answer).into()),
            _ => Ok(Written::Done(answer.etag())),
        }
    }

    fn strange(&self, what: String) -> StorageError {
        StorageError::Answer {
            host: self.inner.host.clone(),
            what,
        }
    }

    /// What an answer with a status that is none of ours says.
    fn refused(&self, answer: Answer) -> Error {
        let body = String::from_utf8_lossy(&answer.body);
        let (code, message) = listing::refusal(&body).unwrap_or_default();
        let told = answer.text("x-ms-error-code").map(line);
        Error::Service {
            host: self.inner.host.clone(),
            status: answer.status,
            code: told.unwrap_or_else(|| line(&code)),
            message: match line(&self.inner.without_secrets(&message)) {
                text if text.is_empty() => "no reason given".to_owned(),
                text => text,
            },
            request_id: answer.text("x-ms-request-id").map(line),
            attempts: 1,
        }
    }

    async fn call(&self, request: &Request<'_>) -> Result<Answer, StorageError> {
        let inner = &*self.inner;
        let deadline = inner.clock.now() + self.patience;
        let renewed = AtomicBool::new(false);
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_factor(3.0)
            .with_jitter()
            .with_max_times(TRIES - 1);
        let answered = (|| self.attempt_in_time(request, &renewed, deadline))
            .retry(pauses)
            .sleep(inner.clock.clone())
            .when(|error: &Error| error.retry() != Retry::Never)
            .adjust(|error: &Error, pause| {
                let pause = match error.retry() {
                    Retry::After(wait) => pause?.max(wait),
                    _ => pause?,
                };
                (inner.clock.now() + pause < deadline).then_some(pause)
            })
            .notify(|error: &Error, pause| {
                count(&inner.usage.retries);
                tracing::debug!("{error}; trying again in {:.1} s", pause.as_secs_f64());
            })
            .await;
        answered.map_err(StorageError::from)
    }

    async fn attempt_in_time(
        &self,
        request: &Request<'_>,
        renewed: &AtomicBool,
        deadline: Moment,
    ) -> Result<Answer, Error> {
        let attempt = self.attempt(request, renewed, deadline);
        let done = self.inner.clock.timeout_at(deadline, attempt).await;
        done.unwrap_or_else(|_| {
            Err(Error::Network {
                host: self.inner.host.clone(),
                what: "no whole answer came in the time a call may take".to_owned(),
                advice: None,
                uncertain: true,
                lasting: false,
                stalled: true,
            })
        })
    }

    /// One try; two requests where the first one's token is refused.
    async fn attempt(
        &self,
        request: &Request<'_>,
        renewed: &AtomicBool,
        deadline: Moment,
    ) -> Result<Answer, Error> {
        let inner = &*self.inner;
        let Opened::Identity(sign_in) = &inner.opened else {
            return self
                .receive(request, inner.send(request, None).await?)
                .await;
        };
        let token = sign_in.token(deadline).await?;
        let response = inner.send(request, Some(&token)).await?;
        if response.status().as_u16() != 401 || renewed.swap(true, Ordering::Relaxed) {
            return self.receive(request, response).await;
        }
        drop(response);
        let token = sign_in.renewed(&token, deadline).await?;
        self.receive(request, inner.send(request, Some(&token)).await?)
            .await
    }

    async fn receive(
        &self,
        request: &Request<'_>,
        mut response: Response,
    ) -> Result<Answer, Error> {
        let inner = &*self.inner;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        if (300..400).contains(&status) && status != 304 {
            return Err(Error::Foreign {
                host: inner.host.clone(),
                location: "another place".to_owned(),
            });
        }
        let taken = response.status().is_success();
        let request_id = headers.get("x-ms-request-id");
        let request_id = request_id.and_then(|id| id.to_str().ok()).map(line);
        let cap = match taken {
            true => request.cap,
            false => ERROR_CAP,
        };
        let reading = Reading {
            host: &inner.host,
            request_id: request_id.as_deref(),
            room: match response.content_length() {
                Some(length) => usize::try_from(length).unwrap_or(cap),
                None => request.room,
            },
            cap,
        };
        let body = match request.method {
            Method::HEAD => Ok(Vec::new()),
            _ => reading.read(&mut response).await,
        };
        let body = match taken {
            true => body?,
            // The status is what counts; a broken text behind it changes nothing.
            false => body.unwrap_or_default(),
        };
        let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
        inner.usage.bytes.fetch_add(bytes, Ordering::Relaxed);
        let answer = Answer {
            status,
            headers,
            body,
        };
        if taken || request.takes.contains(&status) {
            return Ok(answer);
        }
        let wait = retry_after::retry_after(&answer.headers, "", SystemTime::now());
        if matches!(status, 429 | 503) {
            count(&inner.usage.throttles);
        }
        match wait {
            Some(retry_after) if matches!(status, 429 | 503) => Err(Error::Throttled {
                host: inner.host.clone(),
                retry_after,
                request_id,
            }),
            _ => Err(self.refused(answer)),
        }
    }
}

impl Inner {
    async fn send(&self, request: &Request<'_>, token: Option<&Token>) -> Result<Response, Error> {
        let mut url = format!("{}{}", self.base, request.path);
        for (at, (name, value)) in request.query.iter().enumerate() {
            let joint = if at == 0 { '?' } else { '&' };
            url.push_str(&format!("{joint}{name}={}", encoded(value, NAME)));
        }
        let mut out = match &self.opened {
            Opened::Identity(_) => self.transport.http.request(request.method.clone(), url),
            Opened::Signature(signature) => {
                let joint = if request.query.is_empty() { '?' } else { '&' };
                let url = format!("{url}{joint}{}", signature.expose_secret());
                self.transport.http.request(request.method.clone(), url)
            }
        };
        if let Some(token) = token {
            out = out.bearer_auth(token.secret.expose_secret());
        }
        out = out
            .header("x-ms-version", VERSION)
            .header("x-ms-client-request-id", Uuid::new_v4().to_string());
        for (name, value) in &request.headers {
            out = out.header(name, value);
        }
        if request.method == Method::PUT {
            out = out.header(CONTENT_LENGTH, 0).body(Vec::new());
        }
        count(request.counted);
        count(&self.usage.calls);
        let sent = out.send().await;
        // A signature stands in the address, which some errors show.
        let response =
            sent.map_err(|error| self.transport.fault(&self.host, &error.without_url()))?;
        self.usage.note_clock(response.headers(), SystemTime::now());
        self.usage.note_time(response.headers());
        Ok(response)
    }

    fn without_secrets(&self, text: &str) -> String {
        let Opened::Signature(signature) = &self.opened else {
            return text.to_owned();
        };
        let parts = url::form_urlencoded::parse(signature.expose_secret().as_bytes());
        let secret = parts
            .filter(|(name, _)| name == "sig")
            .map(|(_, value)| value);
        secret.fold(text.to_owned(), |text, secret| match secret.is_empty() {
            true => text,
            false => text.replace(&*secret, "***"),
        })
    }
}

fn encoded(text: &str, set: &'static AsciiSet) -> String {
    utf8_percent_encode(text, set).to_string()
}

fn path(container: &str, blob: &str) -> String {
    format!("/{}/{}", encoded(container, NAME), encoded(blob, PATH))
}
