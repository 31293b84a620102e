//! Started by splunkd when an alert fires, by `sendalert`, or ad hoc from
//! Enterprise Security: the rows' verdicts go to Defender, each outcome to the
//! index and to the response-action log.

use super::account::{self, ACCOUNTS, Settings};
use super::{exit, home, log};
use crate::defender::{Client, DeskFault, Error, Family, FamilyDesk};
use crate::splunk::alert::Payload;
use crate::splunk::modular_action::{ModularActionLog, RowId};
use crate::splunk::results;
use crate::splunk::splunkd::{Addressing, Splunkd};
use crate::splunk::{NAME, sourcetype};
use crate::triage::{
    self, Action, Api, Clock, Desks, Entry, Exit, Form, Ledger, Limits, Row, Subject, Summary,
};
use anyhow::{anyhow, bail};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// splunkd kills an action after `maxtime` (5 minutes, as shipped), and other
/// alerts wait for it meanwhile.
const DEADLINE: Duration = Duration::from_secs(150);
const GRACE: Duration = Duration::from_secs(60);

/// Distinct targets of one action, unless the settings say otherwise.
const MAX_TARGETS: usize = 1000;

pub fn run(action: &str) -> ExitCode {
    log::about(action);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("this process cannot be set up: {error}");
            return exit::own_fault();
        }
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
        "defender_update_alert" => Subject::Alert,
        _ => bail!("there is no alert action \"{action}\"; there is defender_update_alert"),
    };
    let payload = Payload::read(std::io::stdin().lock())?;
    let (Some(uri), Some(key)) = (payload.server_uri.as_deref(), payload.session_key.clone())
    else {
        bail!(
            "the payload holds no server_uri and session_key: splunkd cannot be asked for the account"
        );
    };
    let splunkd = account::splunkd(uri, key, account::PATIENCE)?;
    let settings = account::settings(&splunkd).await?;
    let accounts = splunkd
        .conf_stanzas(ACCOUNTS)
        .await?
        .into_iter()
        .map(|(name, _)| name);
    // Names beginning with `_` are Enterprise Security's own (`_cam`).
    let parameters = payload
        .configuration
        .iter()
        .filter(|(name, _)| !name.starts_with('_') && is_ours(name))
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let form = Form::parse(subject, accounts.collect(), parameters)?;
    let rows = rows(&payload)?;
    let home = home::splunk();
    let response_log = home
        .as_deref()
        .map(|home| ModularActionLog::open(home, action, &payload));
    let response_log = match response_log {
        Some(Ok(log)) => Some(log),
        Some(Err(error)) => {
            tracing::warn!("the response-action log cannot be written: {error}");
            None
        }
        None => None,
    };
    let mut ledger = Outcomes::new(&splunkd, response_log, &rows);
    ledger.invoke();
    let wanted = Action {
        name: action.to_owned(),
        batch: batch(action, &payload),
        actor: payload
            .user
            .clone()
            .or(payload.owner.clone())
            .unwrap_or_default(),
        form,
        limits: limits(&settings)?,
        sid: payload.sid.clone(),
        search_name: payload.search_name.clone(),
    };
    let rows: Vec<Row> = rows
        .iter()
        .map(|row| {
            Row::new(
                row.iter()
                    .map(|(name, values)| (name.to_owned(), values.to_vec())),
            )
        })
        .collect();
    let desks = Accounts {
        splunkd: &splunkd,
        settings: &settings,
    };
    Ok(triage::triage(&wanted, &rows, &desks, &mut ledger, &Wall(Instant::now())).await?)
}

/// Splunk puts parameters of its own beside the action's.
fn is_ours(name: &str) -> bool {
    triage::PARAMETERS.contains(&name) || name.starts_with("defender_")
}

fn rows(payload: &Payload) -> anyhow::Result<Vec<results::Row>> {
    let rows = payload.rows()?;
    if !payload.per_result() && payload.results_file.is_some() && !rows.complete() {
        tracing::warn!("the results file is gone: only the row in the payload is acted on");
    }
    let rows: Vec<results::Row> = rows.collect::<Result<_, _>>()?;
    if rows.is_empty() {
        bail!("there is no row to act on: the search found nothing, or its results are gone");
    }
    Ok(rows)
}

/// The same for a repeated run of one search, so that it knows its own comments.
fn batch(action: &str, payload: &Payload) -> String {
    let id = match payload.sid.as_deref().filter(|sid| !sid.is_empty()) {
        Some(sid) => {
            let row = payload.row_id().unwrap_or_default();
            let text = format!("{action}\n{sid}\n{row}");
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes())
        }
        None => uuid::Uuid::new_v4(),
    };
    id.simple().to_string()
}

fn limits(settings: &Settings) -> anyhow::Result<Limits> {
    let max_targets = match settings.triage.get("max_targets").map(|text| text.trim()) {
        None | Some("") => MAX_TARGETS,
        Some(text) => text.parse().map_err(|_| {
            anyhow!(
                "{}.conf [triage] max_targets: \"{text}\" is no number of targets",
                account::SETTINGS
            )
        })?,
    };
    Ok(Limits {
        max_targets,
        deadline: DEADLINE,
        grace: GRACE,
    })
}

/// The accounts of this app, opened as rows ask for them.
struct Accounts<'s> {
    splunkd: &'s Splunkd,
    settings: &'s Settings,
}

impl Desks for Accounts<'_> {
    type Desk = FamilyDesk;

    async fn open(&self, name: &str, api: Api) -> Result<FamilyDesk, DeskFault> {
        let family = match api {
            Api::Graph => Family::Graph,
            Api::Mde => Family::Mde,
            Api::Xdr => Family::Xdr,
        };
        let setting = |error: anyhow::Error| {
            let what = format!("{error:#}");
            // Once here, and in the outcome of each of its rows.
            tracing::error!("account \"{name}\" cannot be used: {what}");
            let error = Error::Setting {
                account: name.to_owned(),
                what,
            };
            DeskFault::Call {
                error: Box::new(error),
                advice: None,
            }
        };
        let account = account::account(self.splunkd, self.settings, name)
            .await
            .map_err(setting)?;
        let state = home::state();
        let client = Client::new(&account, family, state.as_deref())
            .map_err(|error| setting(error.into()))?;
        Ok(FamilyDesk::new(client))
    }
}

/// Where outcomes go as they happen.
struct Outcomes<'s> {
    splunkd: &'s Splunkd,
    response_log: Option<ModularActionLog>,
    ids: Vec<RowId>,
    /// splunkd refused an event: said once.
    refused: bool,
}

impl<'s> Outcomes<'s> {
    fn new(
        splunkd: &'s Splunkd,
        response_log: Option<ModularActionLog>,
        rows: &[results::Row],
    ) -> Self {
        let ids = match &response_log {
            Some(log) => rows
                .iter()
                .enumerate()
                .map(|(index, row)| log.row_id(row, index))
                .collect(),
            None => Vec::new(),
        };
        Self {
            splunkd,
            response_log,
            ids,
            refused: false,
        }
    }

    fn invoke(&mut self) {
        let now = jiff::Timestamp::now();
        let Some(log) = &mut self.response_log else {
            return;
        };
        if let Some(error) = self.ids.iter().find_map(|id| log.invoke(now, id).err()) {
            tracing::warn!("the response-action log cannot be written: {error}");
        }
    }
}

impl Ledger for Outcomes<'_> {
    async fn record(&mut self, entry: &Entry) {
        let json = match serde_json::to_string(entry) {
            Ok(json) => json,
            Err(error) => return tracing::error!("row {}: {error}", entry.row),
        };
        let addressing = Addressing {
            index: None,
            sourcetype: sourcetype::TRIAGE,
            source: &format!("{NAME}:{}", entry.action),
            host: None,
        };
        if let Err(error) = self.splunkd.receive(addressing, json.clone().into()).await {
            if !std::mem::replace(&mut self.refused, true) {
                tracing::warn!("outcomes cannot be indexed ({error}); they are kept in this log");
            }
            tracing::warn!("outcome {json}");
        }
        let target = entry.target.as_deref().unwrap_or("no target");
        let line = format!("{} {target}: {}", entry.outcome, entry.message);
        if let (Some(log), Some(id)) = (
            &mut self.response_log,
            self.ids.get(entry.row.saturating_sub(1)),
        ) && let Err(error) =
            log.outcome(jiff::Timestamp::now(), id, &line, entry.outcome.is_well())
        {
            tracing::warn!("the response-action log cannot be written: {error}");
        }
        if entry.outcome.is_well() {
            tracing::debug!("row {}: {line}", entry.row);
        } else {
            tracing::warn!("row {}: {line}", entry.row);
        }
    }
}

/// Real time.
struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}
