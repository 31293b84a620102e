//! Started by splunkd when an alert fires, by `sendalert`, or ad hoc from
//! Enterprise Security: the rows' verdicts go to Defender, each outcome to the
//! index and to the response-action log.
//!
//! A user who cannot read the accounts' secrets, or from whom splunkd takes no
//! events, writes through the app's REST endpoint, where it is served.

use super::ledger::Delivery;
use super::permission::Caller;
use super::triage::{self, Cell, Job, Kind};
use super::{account, exit, home, log, runtime};
use crate::splunk::alert::Payload;
use crate::splunk::modular_action::{ModularActionLog, RowId};
use crate::splunk::results;
use crate::splunk::splunkd::{Splunkd, SplunkdError};
use crate::triage::{Entry, Exit, Ledger, Outcome, PARAMETERS, Summary};
use anyhow::bail;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::process::ExitCode;

pub fn run(action: &str) -> ExitCode {
    log::about(action);
    let runtime = match runtime::start() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    match runtime.block_on(act(action)) {
        Ok(summary) => {
            tracing::info!("{summary}");
            match summary.exit() {
                Exit::Well => exit::WELL,
                Exit::WrongCall => exit::refused(),
                Exit::RowsNotWell => exit::some_not_well(),
                Exit::OwnFault => exit::own_fault(),
            }
        }
        Err(error) => {
            tracing::error!("{error:#}");
            exit::refused()
        }
    }
}

async fn act(action: &str) -> anyhow::Result<Summary> {
    let subject = match action {
        "defender_update_alert" => Kind::Alert,
        "defender_update_incident" => Kind::Incident,
        _ => bail!(
            "there is no alert action \"{action}\"; there are defender_update_alert and defender_update_incident"
        ),
    };
    let payload = Payload::read(std::io::stdin().lock())?;
    let (Some(uri), Some(key)) = (payload.server_uri.as_deref(), payload.session_key.clone())
    else {
        bail!(
            "the payload holds no server_uri and session_key: splunkd cannot be asked for the account"
        );
    };
    let splunkd = account::splunkd(uri, key, account::PATIENCE)?;
    let caller = Caller::of(&splunkd).await?;
    let rows = rows(&payload)?;
    let mut responses = Responses::open(action, &payload, &rows);
    responses.invoke();
    let job = Job {
        action: action.to_owned(),
        subject,
        form: parameters(&payload),
        rows: rows.iter().map(cells).collect(),
        batch: Some(batch(action, &payload)),
        sid: payload.sid.clone(),
        search_name: payload.search_name.clone(),
    };
    if caller.reads_secrets() && caller.sends_events() {
        return directly(job, &payload, &caller, &splunkd, responses).await;
    }
    match through_endpoint(&job, &splunkd).await {
        Ok(Some(answer)) => {
            tracing::debug!("carried out by the app's REST endpoint");
            Ok(answer.relayed(responses))
        }
        Ok(None) => {
            tracing::warn!("{}", lacking(&caller));
            directly(job, &payload, &caller, &splunkd, responses).await
        }
        // Splunkd's own words say why, and it would say the same again.
        Err(error) if error.refused() => {
            responses.failed(&error.to_string());
            Err(error.into())
        }
        // The endpoint may still be at it: beginning again could do things twice.
        Err(error) => {
            let why = format!("{error}; what was carried out stands in the ledger");
            tracing::error!("{why}");
            responses.failed(&why);
            let rows = rows.iter().map(|_| Outcome::Failed).collect();
            Ok(Summary { rows })
        }
    }
}

/// What the user's roles would have to hold where no endpoint stands in.
fn lacking(caller: &Caller) -> String {
    let capability = match (caller.reads_secrets(), caller.sends_events()) {
        (true, _) => "edit_tcp to index outcomes",
        (false, true) => "list_storage_passwords to read the account's secret",
        (false, false) => {
            "list_storage_passwords to read the account's secret and edit_tcp to index outcomes"
        }
    };
    format!(
        "this splunkd does not carry out the action through the app's REST endpoint, so a role of user \"{}\" needs {capability}",
        caller.user
    )
}

async fn directly(
    job: Job,
    payload: &Payload,
    caller: &Caller,
    splunkd: &Splunkd,
    responses: Responses,
) -> anyhow::Result<Summary> {
    let actor = payload.user.as_ref().or(payload.owner.as_ref());
    let actor = actor.unwrap_or(&caller.user).clone();
    let mut outcomes = Outcomes {
        delivery: Delivery::begin(splunkd).await,
        responses,
    };
    let carried_out = triage::carry_out(job, &actor, splunkd, splunkd, &mut outcomes).await;
    if let Err(error) = &carried_out {
        outcomes.responses.failed(&error.to_string());
    }
    Ok(carried_out?)
}

/// What the endpoint answers.
#[derive(Deserialize)]
struct Answer {
    rows: Vec<String>,
    outcomes: Vec<Outlined>,
}

/// As much of a ledger's entry as the response-action log takes.
#[derive(Deserialize)]
struct Outlined {
    row: usize,
    outcome: String,
    message: String,
    #[serde(default)]
    target: Option<String>,
}

/// `None` if this splunkd does not serve the endpoint.
async fn through_endpoint(job: &Job, splunkd: &Splunkd) -> Result<Option<Answer>, SplunkdError> {
    let unintelligible = |why| SplunkdError::Unintelligible {
        what: "carry out a triage".to_owned(),
        why,
    };
    let body = serde_json::to_vec(job).map_err(|_| unintelligible("a row is no JSON"))?;
    let Some(answer) = splunkd.triage(body.into(), triage::LONGEST).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&answer)
        .map(Some)
        .map_err(|_| unintelligible("it is no list of outcomes; what was done stands in the index"))
}

impl Answer {
    fn relayed(self, mut responses: Responses) -> Summary {
        for outlined in &self.outcomes {
            let target = outlined.target.as_deref();
            let outcome = outcome(&outlined.outcome);
            responses.outcome(outlined.row, target, outcome, &outlined.message);
        }
        Summary {
            rows: self.rows.iter().map(|row| outcome(row)).collect(),
        }
    }
}

fn outcome(name: &str) -> Outcome {
    let known = Outcome::ALL.into_iter().find(|one| one.as_str() == name);
    known.unwrap_or(Outcome::Failed)
}

/// The action's own parameters: Splunk puts some of its own beside them, and
/// names beginning with `_` are Enterprise Security's (`_cam`).
fn parameters(payload: &Payload) -> BTreeMap<String, Cell> {
    let ours = |name: &str| PARAMETERS.contains(&name) || name.starts_with("defender_");
    payload
        .configuration
        .iter()
        .filter(|(name, _)| ours(name))
        .map(|(name, text)| (name.clone(), Cell::from([text.clone()].as_slice())))
        .collect()
}

fn cells(row: &results::Row) -> BTreeMap<String, Cell> {
    row.iter()
        // An event's whole text decides nothing, and would be most of the job.
        .filter(|(name, _)| *name != "_raw")
        .map(|(name, values)| (name.to_owned(), Cell::from(values)))
        .collect()
}

fn rows(payload: &Payload) -> anyhow::Result<Vec<results::Row>> {
    let rows = payload.rows()?;
    if !payload.per_result() && payload.results_file.is_some() && !rows.complete() {
        bail!(
            "the results file is gone, so the rows are not known: nothing was written. Splunk keeps \
             results for the `ttl` of the action; run the search again"
        );
    }
    let rows: Vec<results::Row> = rows.collect::<Result<_, _>>()?;
    if rows.is_empty() {
        bail!("there is no row to act on: the search found nothing, or its results are gone");
    }
    Ok(rows)
}

/// The same for a repeated run of one search, so that it knows its own comments.
fn batch(action: &str, payload: &Payload) -> String {
    let sid = payload.sid.as_deref().filter(|sid| !sid.is_empty());
    let row = payload.row_id().unwrap_or_default();
    triage::batch(sid.map(|sid| format!("{action}\n{sid}\n{row}")))
}

/// The response-action log of this run, where there is one.
struct Responses {
    log: Option<ModularActionLog>,
    ids: Vec<RowId>,
}

impl Responses {
    fn open(action: &str, payload: &Payload, rows: &[results::Row]) -> Self {
        let log = home::splunk().map(|home| ModularActionLog::open(&home, action, payload));
        let log = match log.transpose() {
            Ok(log) => log,
            Err(error) => {
                tracing::warn!("the response-action log cannot be written: {error}");
                None
            }
        };
        let numbered = rows.iter().enumerate();
        let ids = match &log {
            Some(log) => numbered
                .map(|(index, row)| log.row_id(row, index))
                .collect(),
            None => Vec::new(),
        };
        Self { log, ids }
    }

    fn invoke(&mut self) {
        let now = jiff::Timestamp::now();
        let Some(log) = &mut self.log else {
            return;
        };
        if let Some(error) = self.ids.iter().find_map(|id| log.invoke(now, id).err()) {
            tracing::warn!("the response-action log cannot be written: {error}");
        }
    }

    /// Every row that was taken on ended, and not well.
    fn failed(&mut self, why: &str) {
        let Some(log) = &mut self.log else {
            return;
        };
        let now = jiff::Timestamp::now();
        let line = format!("failed: {why}");
        let mut lines = self.ids.iter().map(|id| log.outcome(now, id, &line, false));
        if let Some(error) = lines.find_map(Result::err) {
            tracing::warn!("the response-action log cannot be written: {error}");
        }
    }

    fn outcome(&mut self, row: usize, target: Option<&str>, outcome: Outcome, message: &str) {
        let line = format!("{outcome} {}: {message}", target.unwrap_or("no target"));
        if let (Some(log), Some(id)) = (&mut self.log, self.ids.get(row.saturating_sub(1)))
            && let Err(error) = log.outcome(jiff::Timestamp::now(), id, &line, outcome.is_well())
        {
            tracing::warn!("the response-action log cannot be written: {error}");
        }
        if outcome.is_well() {
            tracing::debug!("row {row}: {line}");
        } else {
            tracing::warn!("row {row}: {line}");
        }
    }
}

/// Where outcomes go as they happen.
struct Outcomes<'s> {
    delivery: Delivery<'s>,
    responses: Responses,
}

impl Ledger for Outcomes<'_> {
    async fn record(&mut self, entry: &Entry) {
        self.delivery.deliver(entry).await;
        let target = entry.target.as_deref();
        self.responses
            .outcome(entry.row, target, entry.outcome, &entry.message);
    }
}
