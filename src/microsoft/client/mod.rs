//! Answered HTTP calls to one API with one account: token, call budget,
//! retries, and a body that is whole or an error.

#[cfg(test)]
mod tests;

use crate::microsoft::account::Account;
use crate::microsoft::http::body::{CAP, Reading};
use crate::microsoft::http::call_budget::{Budget, Draw};
use crate::microsoft::http::clock::Clock;
use crate::microsoft::http::error::{Error, Retry, line, passing};
use crate::microsoft::http::retry_after;
use crate::microsoft::http::transport::{Transport, place};
use crate::microsoft::http::usage::{Usage, count};
use crate::microsoft::sign_in;
use crate::microsoft::sign_in::{SignIn, Token};
use crate::triage::Api;
use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, WARNING};
use reqwest::{Method, Response};
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tracing::info;
use url::Url;
use uuid::Uuid;

pub use crate::microsoft::http::usage::Calls;

/// How long a call may take with all its waiting, unless the caller sets another time.
const PATIENCE: Duration = Duration::from_secs(300);
/// Waits before the second and third try of what may pass by itself.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(400);
pub(super) const TRIES: usize = 3;
/// Wait after a 429 that does not say how long, and least wait once the
/// tries are used up: Microsoft counts by the minute.
pub(super) const RETRY_DELAY: Duration = Duration::from_secs(10);
/// Largest error answer read.
const ERROR_CAP: usize = 256 << 10;

/// One account and one API. Cloning is cheap and shares everything.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
    patience: Duration,
    /// No call goes on for longer than until then.
    until: Option<Instant>,
    /// Whether its reads leave a share of the budget to writing.
    yields: bool,
}

#[derive(Debug)]
struct Inner {
    account: String,
    read_only: bool,
    api: Api,
    base: Url,
    /// For error texts.
    host: String,
    transport: Transport,
    sign_in: SignIn,
    budget: Budget,
    usage: Arc<Usage>,
    clock: Clock,
    /// Largest body taken.
    cap: usize,
}

/// An answer with a 2xx status; anything else is an [`Error`].
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// Microsoft's `request-id`.
    pub request_id: Option<String>,
    /// The `Warning` header: the answer may be partial.
    pub warning: Option<String>,
    /// Calls it took, retries included.
    pub attempts: u32,
}

/// Which published quota a write draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// The API's quota; a Graph `$batch` counts as many calls as it has parts.
    Calls(u32),
    /// MDE's `batchUpdate`, which has a quota of its own beside the API's.
    BatchUpdate,
}

/// What a POST that stands for several calls comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Changes nothing.
    Reads,
    /// Sets what may be set again.
    Sets,
    /// Adds something: never repeated once it may have been carried out.
    Appends,
}

struct Request<'a> {
    method: Method,
    url: Url,
    /// JSON.
    body: Option<&'a str>,
    draw: Draw,
    /// May be sent again although it may have been carried out.
    repeatable: bool,
    /// Adds something: not even an unavailable service proves that it was not added.
    appends: bool,
    /// Throttled by a quota of its own, which says nothing of other calls.
    apart: bool,
}

/// The state of a call under way.
struct CallState {
    deadline: Instant,
    attempts: AtomicU32,
    renewed: AtomicBool,
}

/// One try that failed.
struct Failure {
    error: Error,
    again: Again,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    No,
    /// A few times, after this long at least.
    Few(Duration),
    /// As often as the deadline allows, after this long.
    Throttled(Duration),
}

impl Client {
    /// `state_dir` is where the call budget shared between processes lives;
    /// without it the budget is this process's alone.
    pub fn new(account: &Account, api: Api, state_dir: Option<&Path>) -> Result<Client, Error> {
        Client::over(account, api, state_dir, Transport::new)
    }

    /// The same for calls that are answered only after a longer silence.
    pub(crate) fn with_silence(
        account: &Account,
        api: Api,
        state_dir: Option<&Path>,
        silence: Duration,
    ) -> Result<Client, Error> {
        Client::over(account, api, state_dir, |account, api| {
            Transport::silent_for(silence, account, api)
        })
    }

    fn over(
        account: &Account,
        api: Api,
        state_dir: Option<&Path>,
        transport: impl FnOnce(&Account, Api) -> Result<Transport, Error>,
    ) -> Result<Client, Error> {
        let refuse = |why: String| Error::Setting {
            account: account.name.clone(),
            what: format!("{api}_url: {why}"),
        };
        let base = account
            .cloud
            .api(api)
            .ok_or_else(|| refuse(format!("missing: cloud = custom needs it for api = {api}")))?;
        let base = Url::parse(base).map_err(|e| refuse(format!("\"{base}\" is no URL: {e}")))?;
        let transport = transport(account, api)?;
        let usage = Arc::new(Usage::new());
        Ok(Client {
            inner: Arc::new(Inner {
                account: account.name.clone(),
                read_only: account.read_only,
                api,
                host: place(&base),
                base,
                sign_in: SignIn::new(account, api, &transport, &usage)?,
                transport,
                budget: Budget::new(&account.tenant_id, &account.client_id, api, state_dir),
                usage,
                clock: Clock::default(),
                cap: CAP,
            }),
            patience: PATIENCE,
            until: None,
            yields: true,
        })
    }

    /// For tests that make more calls than a minute allows.
    #[cfg(test)]
    pub(super) fn without_budget(account: &Account, api: Api) -> Client {
        let mut client = Client::new(account, api, None).unwrap();
        Arc::get_mut(&mut client.inner).unwrap().budget = Budget::endless(api);
        client
    }

    /// For tests: no wait takes time, and nothing comes too late, however busy the machine is.
    #[cfg(test)]
    pub(super) fn still(mut self) -> Client {
        let inner = Arc::get_mut(&mut self.inner).unwrap();
        inner.clock = Clock::still();
        inner.sign_in.clock = inner.clock.clone();
        inner.budget.clock = inner.clock.clone();
        self
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Bounds the time one call may take with all its waiting (default: 5 minutes).
    pub fn patience(self, limit: Duration) -> Client {
        Client {
            patience: limit,
            ..self
        }
    }

    /// Nobody waits for answers after that: a call that is throttled for longer
    /// says so before.
    pub fn until(self, end: Instant) -> Client {
        Client {
            until: Some(end),
            ..self
        }
    }

    /// When a call that is made now has to have its answer.
    pub(super) fn deadline(&self) -> Instant {
        let patient = self.inner.clock.now() + self.patience;
        self.until.map_or(patient, |end| patient.min(end))
    }

    /// From when on nobody waits for an answer.
    pub(super) fn end(&self) -> Option<Instant> {
        self.until
    }

    /// For reads that are a part of writing: they may use the share of the call
    /// budget that other reads leave to it.
    pub(super) fn unyielding(self) -> Client {
        Client {
            yields: false,
            ..self
        }
    }

    /// `path_and_query` is joined to the API's base URL and starts with `/`.
    pub async fn get(&self, path_and_query: &str) -> Result<Answer, Error> {
        self.read(path_and_query, true).await
    }

    /// Like [`Client::get`], but where the service fails its first word counts.
    pub async fn get_once(&self, path_and_query: &str) -> Result<Answer, Error> {
        self.read(path_and_query, false).await
    }

    async fn read(&self, path_and_query: &str, repeatable: bool) -> Result<Answer, Error> {
        self.call(Request {
            method: Method::GET,
            url: self.inner.url(path_and_query)?,
            body: None,
            draw: Draw {
                calls: 1,
                batch: false,
                reading: self.yields,
            },
            repeatable,
            appends: false,
            apart: false,
        })
        .await
    }

    /// Sends a JSON body. PATCH is repeated like a GET; POST only where the
    /// service cannot have carried it out (see [`Error::uncertain`]).
    pub async fn write(
        &self,
        method: Method,
        path: &str,
        body: &str,
        quota: Quota,
    ) -> Result<Answer, Error> {
        let nature = match method {
            Method::POST => Nature::Appends,
            _ => Nature::Sets,
        };
        self.send_json(method, path, body, quota, nature).await
    }

    /// Like [`Client::write`], for a PATCH that must not be repeated once it may
    /// have been carried out, because it appends (MDE's `comment`).
    pub async fn write_once(
        &self,
        method: Method,
        path: &str,
        body: &str,
        quota: Quota,
    ) -> Result<Answer, Error> {
        self.send_json(method, path, body, quota, Nature::Appends)
            .await
    }

    /// POSTs a document that stands for several calls.
    pub(super) async fn bundle(
        &self,
        path: &str,
        body: &str,
        quota: Quota,
        nature: Nature,
    ) -> Result<Answer, Error> {
        self.send_json(Method::POST, path, body, quota, nature)
            .await
    }

    /// Lets everybody who shares the budget hold back, as the service asked
    /// where no status code says so.
    pub(super) async fn throttled(&self, wait: Duration) {
        count(&self.inner.usage.throttles);
        self.inner.budget.hold(wait).await;
    }

    /// For error texts.
    pub(super) fn host(&self) -> &str {
        &self.inner.host
    }

    /// What this client has done so far.
    pub fn calls(&self) -> Calls {
        self.inner.usage.read()
    }

    /// A POST that only reads. It is not repeated once it may have run: what is
    /// asked this way costs the tenant dear.
    pub(crate) async fn query(&self, path: &str, body: &str) -> Result<Answer, Error> {
        self.call(Request {
            method: Method::POST,
            url: self.inner.url(path)?,
            body: Some(body),
            draw: Draw {
                calls: 1,
                batch: false,
                reading: true,
            },
            repeatable: false,
            appends: false,
            // Queries have their own quotas: a heavy one must stop neither feeds nor verdicts.
            apart: true,
        })
        .await
    }

    /// The permissions (`roles`) the token carries; for diagnosis only.
    pub async fn permissions(&self) -> Result<Vec<String>, Error> {
        let deadline = self.deadline();
        let token = self.inner.sign_in.token(deadline).await?;
        Ok(sign_in::roles(&token.secret))
    }

    /// How far the local clock is ahead of the server's (seconds, negative: behind);
    /// `None` before the first answer.
    pub fn skew(&self) -> Option<i64> {
        self.inner.usage.skew()
    }

    /// The time at the API, by its last answer's `Date`, and never later than it
    /// is there; `None` before the first answer.
    pub fn time_there(&self) -> Option<Timestamp> {
        Timestamp::try_from(self.inner.usage.time_there()?).ok()
    }

    /// The API it speaks to.
    pub fn api(&self) -> Api {
        self.inner.api
    }

    /// The API's base URL.
    pub fn base(&self) -> &Url {
        &self.inner.base
    }

    async fn send_json(
        &self,
        method: Method,
        path: &str,
        body: &str,
        quota: Quota,
        nature: Nature,
    ) -> Result<Answer, Error> {
        if self.inner.read_only && nature != Nature::Reads {
            return Err(Error::ReadOnly {
                account: self.inner.account.clone(),
            });
        }
        let (calls, batch) = match quota {
            Quota::Calls(calls) => (calls.max(1), false),
            Quota::BatchUpdate => (1, true),
        };
        self.call(Request {
            method,
            url: self.inner.url(path)?,
            body: Some(body),
            draw: Draw {
                calls,
                batch,
                reading: nature == Nature::Reads && self.yields,
            },
            repeatable: nature != Nature::Appends,
            appends: nature == Nature::Appends,
            apart: false,
        })
        .await
    }

    async fn call(&self, request: Request<'_>) -> Result<Answer, Error> {
        let inner = &self.inner;
        let call = CallState {
            deadline: self.deadline(),
            attempts: AtomicU32::new(0),
            renewed: AtomicBool::new(false),
        };
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_factor(3.0)
            .with_jitter()
            .with_max_times(TRIES - 1);
        (|| inner.attempt_in_time(&request, &call))
            .retry(pauses)
            .sleep(inner.clock.clone())
            .when(|failure: &Failure| failure.again != Again::No)
            .adjust(|failure: &Failure, pause| {
                let pause = match failure.again {
                    Again::No => None,
                    Again::Few(least) => pause.map(|pause| pause.max(least)),
                    Again::Throttled(wait) => Some(wait.max(pause.unwrap_or(RETRY_DELAY))),
                }?;
                (inner.clock.now() + pause < call.deadline).then_some(pause)
            })
            .notify(|failure: &Failure, pause| {
                count(&inner.usage.retries);
                info!(
                    "{}; trying again in {:.1} s",
                    failure.error,
                    pause.as_secs_f64()
                );
            })
            .await
            .map_err(|failure| failure.error)
    }
}

impl Inner {
    /// The path is text behind our base: it can never lead to another host.
    fn url(&self, path: &str) -> Result<Url, Error> {
        let base = self.base.as_str().trim_end_matches('/');
        let refuse = |why: String| Error::Setting {
            account: self.account.clone(),
            what: format!("{} path \"{}\" {why}", self.api, line(path)),
        };
        if !path.starts_with('/') {
            return Err(refuse("does not begin with /".to_string()));
        }
        Url::parse(&format!("{base}{path}")).map_err(|e| refuse(format!("makes no URL: {e}")))
    }

    /// One try within the call's time: a body that trickles in is no answer.
    async fn attempt_in_time(
        &self,
        request: &Request<'_>,
        call: &CallState,
    ) -> Result<Answer, Failure> {
        let attempt = self.attempt(request, call);
        match self.clock.timeout_at(call.deadline, attempt).await {
            Ok(done) => done,
            Err(_) => Err(Failure {
                error: Error::Network {
                    host: self.host.clone(),
                    what: "no whole answer came in the time a call may take".to_string(),
                    advice: None,
                    uncertain: true,
                    lasting: false,
                    stalled: true,
                },
                again: Again::No,
            }),
        }
    }

    /// One try; two requests where the first one's token is refused.
    async fn attempt(&self, request: &Request<'_>, call: &CallState) -> Result<Answer, Failure> {
        let finally = |error| Failure {
            error,
            again: Again::No,
        };
        // Sign-in retries by itself.
        let token = self.sign_in.token(call.deadline).await.map_err(finally)?;
        let response = self.send(request, call, &token).await?;
        if response.status().as_u16() != 401 || call.renewed.swap(true, Ordering::Relaxed) {
            return self.receive(request, call, &token, response).await;
        }
        drop(response);
        let token = self
            .sign_in
            .renewed(&token, call.deadline)
            .await
            .map_err(finally)?;
        let response = self.send(request, call, &token).await?;
        self.receive(request, call, &token, response).await
    }

    async fn send(
        &self,
        request: &Request<'_>,
        call: &CallState,
        token: &Token,
    ) -> Result<Response, Failure> {
        let drawn = self.budget.draw(request.draw, call.deadline).await;
        drawn.map_err(|retry_after| Failure {
            error: Error::Throttled {
                host: self.host.clone(),
                retry_after,
                request_id: None,
            },
            again: Again::No,
        })?;
        let mut out = self
            .transport
            .http
            .request(request.method.clone(), request.url.clone())
            .bearer_auth(token.secret.expose_secret())
            .header("client-request-id", Uuid::new_v4().to_string());
        if let Some(body) = request.body {
            out = out
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        call.attempts.fetch_add(1, Ordering::Relaxed);
        count(&self.usage.calls);
        let response = out.send().await.map_err(|e| {
            let error = self.transport.fault(&self.host, &e);
            let passes = error.retry() != Retry::Never;
            Failure {
                again: few(passes && (request.repeatable || !error.uncertain())),
                error,
            }
        })?;
        self.usage.note_clock(response.headers(), SystemTime::now());
        self.usage.note_time(response.headers());
        Ok(response)
    }

    async fn receive(
        &self,
        request: &Request<'_>,
        call: &CallState,
        token: &Token,
        mut response: Response,
    ) -> Result<Answer, Failure> {
        let status = response.status();
        if !status.is_success() {
            return Err(self.refused(request, call, token, response).await);
        }
        let request_id = request_id(response.headers());
        let body = Reading {
            host: &self.host,
            request_id: request_id.as_deref(),
            // glibc returns a block this large to the system as soon as it is free.
            // Blocks of a page's own size it keeps, a little too small for the next.
            room: self.cap,
            cap: self.cap,
        }
        .read(&mut response)
        .await
        .map_err(|error| Failure {
            again: few(request.repeatable && matches!(error, Error::Truncated { .. })),
            error,
        })?;
        self.usage
            .bytes
            .fetch_add(body.len() as u64, Ordering::Relaxed);
        Ok(Answer {
            status: status.as_u16(),
            body,
            request_id,
            warning: all(response.headers(), WARNING.as_str()),
            attempts: call.attempts.load(Ordering::Relaxed),
        })
    }

    async fn refused(
        &self,
        request: &Request<'_>,
        call: &CallState,
        token: &Token,
        mut response: Response,
    ) -> Failure {
        let status = response.status().as_u16();
        let id = request_id(response.headers());
        if (300..400).contains(&status) {
            return Failure {
                error: Error::Foreign {
                    host: self.host.clone(),
                    location: location(&response, &request.url),
                },
                again: Again::No,
            };
        }
        let reading = Reading {
            host: &self.host,
            request_id: id.as_deref(),
            room: 4 << 10,
            cap: ERROR_CAP,
        };
        // The status is what counts; a broken text behind it changes nothing.
        let body = reading.read(&mut response).await.unwrap_or_default();
        let body = without(&String::from_utf8_lossy(&body), &token.secret);
        let said = ErrorBody::read(&body);
        let wait = retry_after::retry_after(response.headers(), &said.message, SystemTime::now());
        let request_id = id.or(said.request_id);
        if status == 429 {
            let wait = wait.unwrap_or(RETRY_DELAY);
            count(&self.usage.throttles);
            if !request.apart {
                self.budget.hold(wait).await;
            }
            return Failure {
                error: Error::Throttled {
                    host: self.host.clone(),
                    retry_after: wait,
                    request_id,
                },
                again: Again::Throttled(wait),
            };
        }
        // 503 is usually said before anything is carried out, the other 5xx perhaps after.
        let unavailable = status == 503 && !request.appends;
        let again = match passing(status) && (request.repeatable || unavailable) {
            true => Again::Few(wait.unwrap_or_default()),
            false => Again::No,
        };
        Failure {
            error: Error::Service {
                host: self.host.clone(),
                status,
                code: said.code,
                message: said.message,
                request_id,
                attempts: call.attempts.load(Ordering::Relaxed),
            },
            again,
        }
    }
}

fn few(worth: bool) -> Again {
    match worth {
        true => Again::Few(Duration::ZERO),
        false => Again::No,
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(line(&String::from_utf8_lossy(value.as_bytes()))).filter(|text| !text.is_empty())
}

/// A header that may stand there several times, such as `Warning`.
fn all(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(name).iter();
    let lines = values.map(|value| line(&String::from_utf8_lossy(value.as_bytes())));
    let joined = line(&lines.collect::<Vec<_>>().join(", "));
    Some(joined).filter(|text| !text.is_empty())
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    text(headers, "request-id").or_else(|| text(headers, "x-ms-request-id"))
}

/// Where a redirect leads, without its query, which may carry a login's state.
fn location(response: &Response, from: &Url) -> String {
    let Some(target) = text(response.headers(), LOCATION.as_str()) else {
        return "nowhere".to_string();
    };
    match from.join(&target) {
        Ok(mut url) => {
            url.set_query(None);
            url.set_fragment(None);
            line(url.as_str())
        }
        Err(_) => target,
    }
}

fn without(text: &str, secret: &SecretString) -> String {
    match secret.expose_secret() {
        "" => text.to_string(),
        secret => text.replace(secret, "***"),
    }
}

/// What an error body says, in any of the shapes these APIs use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorBody {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) request_id: Option<String>,
}

impl ErrorBody {
    pub(super) fn read(body: &str) -> ErrorBody {
        let Ok(json) = serde_json::from_str::<serde_json::Value>(body) else {
            return ErrorBody {
                message: match line(body) {
                    text if text.is_empty() => "no reason given".to_string(),
                    text => text,
                },
                ..ErrorBody::default()
            };
        };
        // `{"error":{"code","message","innerError":{"request-id"}}}`, or from a
        // gateway in front of the API `{"statusCode","message"}`.
        let error = json.get("error").unwrap_or(&json);
        let text = |name: &str| error.get(name).and_then(|value| value.as_str()).map(line);
        let inner = error.get("innerError").or_else(|| error.get("innererror"));
        ErrorBody {
            code: text("code")
                .or_else(|| error.as_str().map(line))
                .unwrap_or_default(),
            message: text("message")
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| "no reason given".to_string()),
            request_id: inner
                .and_then(|inner| inner.get("request-id"))
                .and_then(|id| id.as_str())
                .map(line),
        }
    }
}
