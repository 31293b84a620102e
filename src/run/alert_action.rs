//! Started by splunkd when an alert fires, by `sendalert`, or ad hoc from Enterprise
//! Security: sends the rows' verdicts to Defender, and each outcome to the index and to
//! the response-action log.

use crate::bridge::account;
use crate::bridge::verdict::deadline::Deadline;
use crate::bridge::verdict::dispatch::Dispatcher;
use crate::bridge::verdict::job::{DEADLINE, Job, JobError, LEAST_ROWS, row};
use crate::bridge::verdict::{dispatch, job};
use crate::host::{exit, log, paths, runtime};
use crate::splunk::alert_action::payload::Payload;
use crate::splunk::alert_action::response_log::{ModularActionLog, RowId};
use crate::splunk::alert_action::results;
use crate::triage::{Entry, Fields, PARAMETERS, Subject, Summary};
use anyhow::bail;
use std::collections::HashSet;
use std::process::ExitCode;

pub fn run(action: &str) -> ExitCode {
    // splunkd's time limit runs from now on, also for what comes before the first row.
    let deadline = Deadline::of(DEADLINE);
    log::about(action);
    let runtime = match runtime::start() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    match runtime.block_on(act(action, &deadline)) {
        Ok(summary) => {
            tracing::info!("{summary}");
            match summary.is_well() {
                true => exit::WELL,
                false => exit::some_not_well(),
            }
        }
        Err(error) => {
            tracing::error!("{error:#}");
            exit::refused()
        }
    }
}

async fn act(action: &str, deadline: &Deadline) -> anyhow::Result<Summary> {
    let subject = match action {
        "defender_bridge_update_alert" => Subject::Alert,
        "defender_bridge_update_incident" => Subject::Incident,
        _ => bail!(
            "there is no alert action \"{action}\"; there are defender_bridge_update_alert and defender_bridge_update_incident"
        ),
    };
    let payload = Payload::read(std::io::stdin().lock())?;
    let (Some(uri), Some(key)) = (payload.server_uri.as_deref(), payload.session_key.clone())
    else {
        bail!(
            "the payload holds no server_uri and session_key: splunkd cannot be asked for the account"
        );
    };
    let splunkd = account::splunkd(uri, key, account::TIMEOUT)?;
    let job = Job {
        batch: Some(batch(action, &payload)),
        sid: payload.sid.clone(),
        search_name: payload.search_name.clone(),
        alert_user: payload.user.clone().or(payload.owner.clone()),
        ..Job::new(action, subject, parameters(&payload))
    };
    let caller = dispatch::caller(&splunkd, &job).await?;
    let user = caller.user.clone();
    let dispatcher = Dispatcher::of(splunkd.clone(), caller, job.clone(), None).await;
    let most = dispatcher
        .as_ref()
        .map_or(LEAST_ROWS, Dispatcher::most_rows);
    let rows = rows(&payload, most);
    let known = rows.as_ref().map(Vec::as_slice).unwrap_or_default();
    let mut responses = Responses::open(action, &payload, known);
    responses.invoke();
    let carried_out = match (dispatcher, rows) {
        (Ok(mut dispatcher), Ok(rows)) => {
            let rows = rows.iter().map(row).collect();
            let mut on_outcome = |entry: &Entry| responses.outcome(entry);
            let carried_out = dispatcher.carry_out(rows, deadline, &mut on_outcome).await;
            carried_out.map_err(anyhow::Error::from)
        }
        // A run that fails as a whole leaves one event that people find.
        (Ok(mut dispatcher), Err(error)) => {
            dispatcher.refused(&error).await;
            Err(error.into())
        }
        (Err(error), _) => {
            dispatch::not_found(&splunkd, &job, &user, &error).await;
            Err(error.into())
        }
    };
    if let Err(error) = &carried_out {
        responses.failed(&error.to_string());
    }
    carried_out
}

/// The action's own parameters. Splunk adds some of its own, and names that begin with
/// `_` are Enterprise Security's (`_cam`).
fn parameters(payload: &Payload) -> Fields {
    let ours = |name: &str| PARAMETERS.contains(&name) || name.starts_with("defender_");
    let all = payload.configuration.iter();
    let all = all.map(|(name, text)| (name.as_str(), text.as_str()));
    Fields::single(all.filter(|(name, _)| ours(name)))
}

/// The alert's rows, `most` of them.
fn rows(payload: &Payload, most: usize) -> Result<Vec<results::Row>, JobError> {
    let mut rows = payload.rows()?;
    if !payload.per_result() && payload.results_file.is_some() && !rows.complete() {
        return Err(JobError::RowsGone);
    }
    let taken: Vec<results::Row> = rows.by_ref().take(most).collect::<Result<_, _>>()?;
    if taken.is_empty() {
        return Err(JobError::NoRow);
    }
    match rows.count() {
        0 => Ok(taken),
        more => Err(JobError::TooManyRows {
            rows: most.saturating_add(more),
            most,
        }),
    }
}

/// The id of the batch: the same for a repeated run of one search, so that it knows its
/// own comments.
fn batch(action: &str, payload: &Payload) -> String {
    let sid = payload.sid.as_deref().filter(|sid| !sid.is_empty());
    let row = payload.row_id().unwrap_or_default();
    job::batch(sid.map(|sid| format!("{action}\n{sid}\n{row}")))
}

/// The response-action log of this run, where there is one.
struct Responses {
    log: Option<ModularActionLog>,
    ids: Vec<RowId>,
    /// Rows with a line about how they ended.
    ended: HashSet<usize>,
}

impl Responses {
    fn open(action: &str, payload: &Payload, rows: &[results::Row]) -> Self {
        let log = paths::splunk().map(|home| ModularActionLog::open(&home, action, payload));
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
        Self {
            log,
            ids,
            ended: HashSet::new(),
        }
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

    /// Ends every row that has not ended yet as failed.
    fn failed(&mut self, why: &str) {
        let Some(log) = &mut self.log else {
            return;
        };
        let now = jiff::Timestamp::now();
        let line = format!("failed: {why}");
        let open = self.ids.iter().zip(1..);
        let mut lines = open
            .filter(|(_, row)| !self.ended.contains(row))
            .map(|(id, _)| log.outcome(now, id, &line, false));
        if let Some(error) = lines.find_map(Result::err) {
            tracing::warn!("the response-action log cannot be written: {error}");
        }
    }

    fn outcome(&mut self, entry: &Entry) {
        let (row, outcome) = (entry.row, entry.outcome);
        self.ended.insert(row);
        let target = entry.target.as_deref().unwrap_or("no target");
        let line = format!("{outcome} {target}: {}", entry.message);
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
