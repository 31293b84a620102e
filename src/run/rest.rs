//! Started by splunkd as the app's REST endpoint, `/services/defender_bridge/…`:
//! a role with the capability `defender_triage` writes through it without ever
//! reading an account's secret.
//!
//! splunkd starts it once and asks again and again, one request after the
//! other. An answer never holds a secret, a token or a session key.

use super::ledger::Delivery;
use super::permission::{Caller, Denied};
use super::triage::{self, Job, JobError};
use super::{account, exit, log, runtime};
use crate::splunk::NAME;
use crate::splunk::persist::{self, Reply, Request, RequestError};
use crate::splunk::splunkd::SplunkdError;
use crate::triage::{Entry, Ledger, Summary};
use serde_json::{Value, json};
use std::io;
use std::process::ExitCode;

/// Whether `restmap.conf` names this role by `driver.env`: with which number
/// `driver.arg` begins is not documented, and a splunkd that begins with
/// another hands over no argument.
pub fn is_named_by_environment() -> bool {
    std::env::var_os("DEFENDER_BRIDGE_ROLE").is_some_and(|role| role == "rest")
}

pub fn run() -> ExitCode {
    log::start();
    log::about("rest");
    let runtime = match runtime::start() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let out = match super::home::stdout() {
        Ok(out) => out,
        Err(error) => {
            tracing::error!("splunkd cannot be answered: {error}");
            return exit::own_fault();
        }
    };
    let served = persist::serve(io::stdin().lock(), io::BufWriter::new(out), |request| {
        runtime.block_on(answer(request))
    });
    match served {
        Ok(()) => exit::WELL,
        Err(error) => {
            tracing::error!("{error}");
            exit::own_fault()
        }
    }
}

async fn answer(request: Result<Request, RequestError>) -> Reply {
    let answered = match request {
        Ok(request) => route(request).await,
        Err(error) => Err(Refusal::new(error.status(), error)),
    };
    answered.unwrap_or_else(|refusal| {
        tracing::warn!("refused ({}): {}", refusal.status, refusal.why);
        Reply::refused(refusal.status, &refusal.why)
    })
}

async fn route(request: Request) -> Result<Reply, Refusal> {
    match (request.path.as_str(), request.method.as_str()) {
        ("ping", "GET") => Ok(Reply::well(json!({
            "app": NAME,
            "version": env!("CARGO_PKG_VERSION"),
            "user": request.user,
        }))),
        ("triage", "POST") => carry_out(request).await,
        (known @ ("ping" | "triage"), _) => {
            let method = if known == "ping" { "GET" } else { "POST" };
            let why = format!("{NAME}/{known} takes {method}");
            Err(Refusal::new(405, why))
        }
        _ => Err(Refusal::new(
            404,
            format!("there is GET {NAME}/ping and POST {NAME}/triage"),
        )),
    }
}

async fn carry_out(request: Request) -> Result<Reply, Refusal> {
    let handed = |what: &str| {
        let why = format!(
            "splunkd handed over no {what}: restmap.conf [script:{NAME}] must be as this app ships it"
        );
        Refusal::new(500, why)
    };
    let uri = request.server_uri.ok_or_else(|| handed("address"))?;
    let own = request.session_key.ok_or_else(|| handed("session"))?;
    let system = request
        .system_key
        .ok_or_else(|| handed("system session (passSystemAuth)"))?;
    let connect = |key| {
        account::splunkd(&uri, key, account::PATIENCE)
            .map_err(|error| Refusal::new(500, format!("{error:#}")))
    };
    let own = connect(own)?;
    let caller = Caller::of(&own).await?;
    // Its words quote what it did not understand, which the caller sent.
    let job: Job = serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::new(400, format!("the body is no job: {error}")))?;
    let system = connect(system)?;
    let mut answered = Answered {
        delivery: Delivery::begin(&system).await,
        entries: Vec::new(),
    };
    let summary = triage::carry_out(job, &caller.user, &own, &system, &mut answered).await?;
    tracing::info!("for {}: {summary}", caller.user);
    Ok(Reply::well(document(&summary, answered.entries)))
}

fn document(summary: &Summary, outcomes: Vec<Value>) -> Value {
    let rows: Vec<&str> = summary.rows.iter().map(|row| row.as_str()).collect();
    json!({
        "summary": summary.to_string(),
        "rows": rows,
        "outcomes": outcomes,
    })
}

/// The outcomes, each to the index at once and all of them to the caller.
struct Answered<'s> {
    delivery: Delivery<'s>,
    entries: Vec<Value>,
}

impl Ledger for Answered<'_> {
    async fn record(&mut self, entry: &Entry) {
        self.delivery.deliver(entry).await;
        match serde_json::to_value(entry) {
            Ok(json) => self.entries.push(json),
            Err(error) => tracing::error!("row {}: {error}", entry.row),
        }
    }
}

/// Why a request came to nothing.
struct Refusal {
    status: u16,
    why: String,
}

impl Refusal {
    fn new(status: u16, why: impl ToString) -> Self {
        let why = why.to_string();
        // Also a line of the log.
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
            Denied::Capability { .. } => Self::new(403, denied),
            Denied::Unknown(error) => Self::from(error),
        }
    }
}

impl From<SplunkdError> for Refusal {
    fn from(error: SplunkdError) -> Self {
        let status = match &error {
            SplunkdError::SessionEnded { .. } => 401,
            SplunkdError::Forbidden { .. } => 403,
            _ => 500,
        };
        Self::new(status, error)
    }
}

impl From<JobError> for Refusal {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Splunkd(error) => error.into(),
            error if error.is_the_callers() => Self::new(400, error),
            error => Self::new(500, error),
        }
    }
}

#[cfg(test)]
mod tests;
