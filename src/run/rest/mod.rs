//! Started by splunkd as the app's REST endpoint, `/services/defender_bridge/…`:
//! roles with the capabilities `defender_triage` and `defender_hunt` read, write
//! and hunt through it without ever reading an account's secret.
//!
//! splunkd starts one process and sends it one request after the other. A process
//! that gets no request for some minutes, or whose executable was replaced, ends. An
//! answer never holds a secret, a token or a session key.

mod lookups;
mod packets;
mod process;
#[cfg(test)]
mod tests;
mod trace;
mod verdicts;

use crate::NAME;
use crate::bridge::account;
use crate::bridge::check::CheckRequest;
use crate::bridge::lookup::hunt::Query;
use crate::bridge::lookup::live;
use crate::bridge::own_endpoint::{VERSION, other_version};
use crate::bridge::permission::{Caller, Denied, Right};
use crate::bridge::verdict::job::JobError;
use crate::host::{copy, exit, log, runtime};
use crate::splunk::rest_handler;
use crate::splunk::rest_handler::{Reply, Request, RequestError};
use crate::splunk::splunkd::{Route, Splunkd, SplunkdError, own_endpoint};
use process::Process;
use secrecy::SecretString;
use serde_json::json;
use std::io;
use std::process::ExitCode;
use verdicts::Verdicts;

/// Whether `restmap.conf` names this role by `driver.env`. No document says with which
/// number `driver.arg` begins, and a splunkd that begins with another number hands
/// over no argument.
pub fn is_named_by_environment() -> bool {
    std::env::var_os("DEFENDER_BRIDGE_ROLE").is_some_and(|role| role == "rest")
}

pub fn run() -> ExitCode {
    log::start();
    log::about("rest");
    if let Some(why) = copy::in_place().filter(|_| !copy::is_unwanted()) {
        tracing::warn!(
            "runs from the installed executable, which no upgrade can overwrite meanwhile: {why}"
        );
    }
    let runtime = match runtime::start() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let out = match crate::host::paths::stdout() {
        Ok(out) => out,
        Err(error) => {
            tracing::error!("splunkd cannot be answered: {error}");
            return exit::own_fault();
        }
    };
    let mut endpoint = Endpoint::default();
    let packets = packets::Awaited::of(io::stdin());
    let served = rest_handler::serve(packets, io::BufWriter::new(out), |request| {
        runtime.block_on(endpoint.answer(request))
    });
    match served {
        Ok(()) => exit::WELL,
        Err(error) => {
            tracing::error!("{error}");
            exit::own_fault()
        }
    }
}

/// This process lacks something it needs. The status tells the caller that nothing was
/// begun, which a 5xx would not.
const UNFIT: u16 = 412;

/// What one process keeps from one request to the next: no answer, no secret.
#[derive(Default)]
struct Endpoint {
    verdicts: Verdicts,
    process: Process,
}

impl Endpoint {
    async fn answer(&mut self, request: Result<Request, RequestError>) -> Reply {
        self.process.served();
        let answered = match request {
            Ok(request) => self.route(request).await,
            Err(error) => Err(Refusal::new(error.status(), error)),
        };
        let reply = answered.unwrap_or_else(|refusal| {
            tracing::warn!("refused ({}): {}", refusal.status, refusal.why);
            Reply::refused(refusal.status, &refusal.why)
        });
        match copy::is_replaced() {
            true => reply.last(),
            false => reply,
        }
    }

    async fn route(&mut self, request: Request) -> Result<Reply, Refusal> {
        const TRIAGE: &str = Route::Triage.path();
        const LIVE: &str = Route::Live.path();
        const HUNT: &str = Route::Hunt.path();
        const CHECK: &str = Route::Check.path();
        const SELF: &str = own_endpoint::SELF;
        const LEDGER: &str = Route::Ledger.path();
        match (request.path.as_str(), request.method.as_str()) {
            ("ping", "GET") => Ok(Reply::well(&json!({
                "app": NAME,
                "version": VERSION,
                "user": request.user,
                "in_place": copy::in_place(),
            }))),
            // A process of another version may mean something else by the same body.
            (TRIAGE | LIVE | HUNT | CHECK | LEDGER, "POST") if request.is_of_another_version() => {
                let other = request.version.unwrap_or_default();
                Err(Refusal::new(409, other_version(&other)))
            }
            (TRIAGE, "POST") => self.verdicts.carry_out(Asked::by(request)?).await,
            (LIVE, "POST") => lookups::lookup::<live::Question>(Asked::by(request)?).await,
            (HUNT, "POST") => lookups::lookup::<Query>(Asked::by(request)?).await,
            (CHECK, "POST") => lookups::lookup::<CheckRequest>(Asked::by(request)?).await,
            (LEDGER, "POST") => lookups::ledger(Asked::by(request)?).await,
            (SELF, "GET") => self.process.describe(request).await,
            (SELF, "POST") => self.process.end(request).await,
            (known @ ("ping" | TRIAGE | LIVE | HUNT | CHECK | LEDGER | SELF), _) => {
                let method = match known {
                    "ping" => "GET",
                    SELF => "GET and POST",
                    _ => "POST",
                };
                let why = format!("{NAME}/{known} takes {method}");
                Err(Refusal::new(405, why))
            }
            _ => Err(Refusal::new(
                404,
                format!(
                    "there is GET {NAME}/ping and {SELF}, and POST {NAME}/{TRIAGE}, {LIVE}, {HUNT}, {CHECK}, {LEDGER} and {SELF}"
                ),
            )),
        }
    }
}

impl Request {
    fn is_of_another_version(&self) -> bool {
        let version = self.version.as_deref();
        version.is_some_and(|version| version != VERSION)
    }
}

/// A request, and splunkd on behalf of the caller and of splunkd itself, which may
/// read secrets.
struct Asked {
    own: Splunkd,
    system: Splunkd,
    body: Vec<u8>,
}

impl Asked {
    fn by(request: Request) -> Result<Self, Refusal> {
        let handed = |what: &str| {
            let why = format!(
                "splunkd handed over no {what}: restmap.conf [script:{NAME}] must be as this app ships it"
            );
            Refusal::new(UNFIT, why)
        };
        let uri = request.server_uri.ok_or_else(|| handed("address"))?;
        let own = request.session_key.ok_or_else(|| handed("session"))?;
        let system = request
            .system_key
            .ok_or_else(|| handed("system session (passSystemAuth)"))?;
        let connect = |key: SecretString| {
            account::splunkd(&uri, key, account::TIMEOUT)
                .map_err(|error| Refusal::new(UNFIT, format!("{error:#}")))
        };
        Ok(Self {
            own: connect(own)?,
            system: connect(system)?,
            body: request.body,
        })
    }

    /// Opens every route: first checks the caller's right, then reads the body.
    async fn open<'b, T: serde::Deserialize<'b>>(
        &'b self,
        right: Right,
        what: &str,
    ) -> Result<(Caller, T), Refusal> {
        let caller = self.caller(right).await?;
        Ok((caller, self.read(what)?))
    }

    /// The caller, who must have the right, whatever splunkd let through.
    async fn caller(&self, right: Right) -> Result<Caller, Refusal> {
        Ok(Caller::who_may(right, &self.own).await?)
    }

    fn read<'b, T: serde::Deserialize<'b>>(&'b self, what: &str) -> Result<T, Refusal> {
        // serde's message quotes only what the caller sent.
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::new(400, format!("the body is no {what}: {error}")))
    }
}

/// Why a request is refused.
struct Refusal {
    status: u16,
    why: String,
}

impl Refusal {
    fn new(status: u16, why: impl ToString) -> Self {
        let why = why.to_string();
        // The text is also a line of the log.
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        Self {
            status,
            why: why.chars().map(visible).take(2_000).collect(),
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Lacking { .. } => Self::new(403, denied),
            Denied::Unknown(error) => Self::from(error),
        }
    }
}

impl From<SplunkdError> for Refusal {
    fn from(error: SplunkdError) -> Self {
        let status = match &error {
            SplunkdError::SessionEnded { .. } => 401,
            SplunkdError::Forbidden { .. } => 403,
            // Nothing was begun yet, so the caller may ask again.
            error if error.busy() || error.passing() => 503,
            _ => UNFIT,
        };
        Self::new(status, error)
    }
}

impl From<JobError> for Refusal {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Splunkd(error) => error.into(),
            error if error.is_too_much() => Self::new(413, error),
            error if error.is_the_callers() => Self::new(400, error),
            error => Self::new(UNFIT, error),
        }
    }
}
