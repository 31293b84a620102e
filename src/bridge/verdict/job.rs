//! One job of triage, the same whichever way it comes in, and what it means.

use crate::bridge::account::BadLimit;
use crate::bridge::verdict::deadline::DRAIN;
use crate::splunk::alert_action::results;
use crate::splunk::alert_action::results::ResultsError;
use crate::splunk::splunkd::SplunkdError;
use crate::triage::{
    Action, ENTRIES, Entry, Fields, Form, FormError, Limits, Outcome, Row, Subject, TriageError,
    Via,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a job may begin new things: splunkd kills an action after `maxtime` (5
/// minutes, as shipped), and other alerts wait for it meanwhile.
pub const DEADLINE: Duration = Duration::from_secs(150);

/// One call for triage, also the body of a request to the REST endpoint. The executor
/// adds who asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The alert action, command or page that asks, for the ledger.
    pub action: String,
    pub subject: Subject,
    /// The parameters of the form by name.
    #[serde(default)]
    pub form: Fields,
    pub rows: Vec<Row>,
    /// The same id keeps a repeated call from writing its comments twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_name: Option<String>,
    /// One number for each row, if the rows are a part of more rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<usize>,
    /// For so many seconds something new may be begun, but never for longer than by an
    /// alert action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// The answer names the rows that there was no time for, and nothing records them: the
    /// caller will send them again.
    #[serde(default)]
    pub return_deferred: bool,
    /// What the run's earlier rows left behind, as the answer about them says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carry_over: Option<String>,
    /// The user the alert's payload names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_user: Option<String>,
}

/// So many rows are taken, whatever the settings say.
pub const LEAST_ROWS: usize = 10_000;
/// So many rows may name no target; each has an outcome of its own.
pub const MOST_NAMELESS: usize = 100;

/// Most rows of a run that may have so many targets.
pub const fn most_rows(max_targets: usize) -> usize {
    let most = max_targets.saturating_mul(10);
    if most > LEAST_ROWS { most } else { LEAST_ROWS }
}

/// A row of a search's results as a row of a job.
pub fn row(row: &results::Row) -> Row {
    // An event's whole text decides nothing, and would be most of the job.
    let fields = row.iter().filter(|(name, _)| *name != "_raw");
    Row::new(fields.map(|(name, values)| (name.to_owned(), values.to_vec())))
}

/// Why a job is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("{what} \"{shown}\" is not valid: use letters, digits, _ and -, 64 at most")]
    Name { what: &'static str, shown: String },
    #[error("{0} holds several values, and takes one")]
    Several(String),
    #[error("there is no row to act on: the search found nothing, or its results are gone")]
    NoRow,
    #[error(
        "the results file is gone, so the rows are not known: nothing was written. Splunk keeps results for the `ttl` of the action; run the search again"
    )]
    RowsGone,
    #[error(transparent)]
    Rows(#[from] ResultsError),
    #[error("numbers must hold one number for each row, each of 1 or more and once")]
    Numbers,
    #[error(transparent)]
    Form(#[from] FormError),
    #[error(transparent)]
    Triage(#[from] TriageError),
    #[error(
        "{error} from row {first} on; {earlier} targets of the rows before were already looked at"
    )]
    TooManyTargets {
        error: TriageError,
        first: usize,
        earlier: usize,
    },
    #[error(
        "there are {rows} rows, {most} are taken (ten times [triage] max_targets, and never fewer than {LEAST_ROWS}): narrow the search; nothing was written"
    )]
    TooManyRows { rows: usize, most: usize },
    #[error(
        "the rows name {named} targets, counting one again wherever it is named again, and {most} are taken: name each target once; nothing was written"
    )]
    TooMuchNamed { named: usize, most: usize },
    #[error(
        "{rows} rows name no target, and more than {MOST_NAMELESS} are taken for a mistake: each needs a field with the id, or id_field must name the one it has; nothing was written"
    )]
    Nameless { rows: usize },
    #[error(
        "the rows have {nodes} values, {most} are taken at once: send fewer rows at a time, with fewer fields"
    )]
    TooManyValues { nodes: usize, most: usize },
    #[error(
        "batch \"{batch}\" has {targets} distinct targets with those of its earlier requests, {max} are allowed: narrow the search, or raise max_targets; nothing was written"
    )]
    BatchTooLarge {
        batch: String,
        targets: usize,
        max: usize,
    },
    #[error(
        "row {row} of an undo needs the entries of one target of batch \"{batch}\" in the field {ENTRIES}, as they stand in the ledger"
    )]
    NoEntries { row: usize, batch: String },
    #[error(
        "row {row} would undo what this app's signature does not stand for: an entry of the ledger is {judged}"
    )]
    NotOurs { row: usize, judged: &'static str },
    #[error("entries of the ledger cannot be judged here, so nothing is undone: {0}")]
    NoKey(String),
    #[error(
        "carry_over is not what the answer about this batch's earlier rows said to this user: send it as it came, or leave it out"
    )]
    CarryOver,
    #[error("the rows cannot be sent to the app's REST endpoint: {0}")]
    Unsendable(serde_json::Error),
    #[error(transparent)]
    MaxTargets(#[from] BadLimit),
    #[error(transparent)]
    Splunkd(#[from] SplunkdError),
}

impl JobError {
    /// Whether the job is too large, so that a smaller one would be taken.
    pub const fn is_too_much(&self) -> bool {
        matches!(
            self,
            Self::TooManyRows { .. } | Self::TooMuchNamed { .. } | Self::TooManyValues { .. }
        )
    }

    /// Whether the caller has to ask differently.
    pub const fn is_the_callers(&self) -> bool {
        !matches!(
            self,
            Self::MaxTargets(_) | Self::Splunkd(_) | Self::NoKey(_)
        )
    }
}

/// The id of a batch: the same for the same text, so that a repeated run knows its own
/// comments; without a text a new one.
pub fn batch(of: Option<String>) -> String {
    let id = match of {
        Some(text) => uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes()),
        None => uuid::Uuid::new_v4(),
    };
    id.simple().to_string()
}

impl Job {
    /// A job of no rows.
    pub fn new(action: &str, subject: Subject, form: Fields) -> Self {
        Self {
            action: action.to_owned(),
            subject,
            form,
            rows: Vec::new(),
            batch: None,
            sid: None,
            search_name: None,
            numbers: Vec::new(),
            seconds: None,
            return_deferred: false,
            carry_over: None,
            alert_user: None,
        }
    }

    /// The ledger's entry of a job that is refused as a whole.
    pub fn refused(&self, actor: &str, via: Via, outcome: Outcome, why: &str) -> Entry {
        let form = |name: &str| self.form.get(name).last();
        let dry_run = form("dry_run").and_then(|text| crate::triage::flag(text).ok());
        let text = |text: &Option<String>| text.as_deref().map(line);
        Entry {
            time: format!("{:.3}", jiff::Timestamp::now()),
            action: named("action", self.action.clone()).unwrap_or_else(|_| "unknown".to_owned()),
            batch: self
                .batch
                .clone()
                .and_then(|id| named("batch", id).ok())
                .unwrap_or_else(|| batch(None)),
            marker: None,
            row: 0,
            subject: self.subject,
            target: None,
            merged_into: None,
            outcome,
            message: line(why),
            changed: Vec::new(),
            verified: None,
            dry_run: dry_run.unwrap_or(false),
            undoes: None,
            actor: actor.to_owned(),
            alert_user: text(&self.alert_user),
            via,
            account: form("account").map(|account| shown(account)),
            api: None,
            request_id: None,
            attempts: None,
            latency_ms: None,
            sid: text(&self.sid),
            search_name: text(&self.search_name),
            before: None,
            after: None,
            requested: None,
        }
    }

    /// How long something new may be begun for the job.
    pub fn time(&self) -> Duration {
        self.seconds
            .map_or(DEADLINE, |asked| Duration::from_secs(asked).min(DEADLINE))
    }

    /// Reads the form for whoever may name these accounts.
    ///
    /// # Errors
    /// Names the parameter, its value and what would do.
    pub fn read_form(&self, accounts: BTreeSet<String>) -> Result<Form, JobError> {
        let parameters = self.form.iter().map(|(name, values)| match values {
            [] => Ok((name, "")),
            [value] => Ok((name, value.as_str())),
            _ => Err(JobError::Several(shown(name))),
        });
        let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
        Ok(Form::parse(self.subject, accounts, parameters)?)
    }

    /// What the job means on behalf of `actor`, whatever its rows.
    ///
    /// # Errors
    /// Names what cannot be meant so.
    pub fn action(
        &self,
        form: Form,
        actor: &str,
        via: Via,
        max_targets: usize,
    ) -> Result<Action, JobError> {
        let text = |text: &Option<String>| text.as_deref().map(line);
        Ok(Action {
            name: named("action", self.action.clone())?,
            batch: match &self.batch {
                Some(batch) => named("batch", batch.clone())?,
                None => batch(None),
            },
            actor: actor.to_owned(),
            alert_user: text(&self.alert_user),
            via,
            form,
            limits: Limits {
                max_targets,
                deadline: DEADLINE,
                grace: DRAIN,
            },
            sid: text(&self.sid),
            search_name: text(&self.search_name),
        })
    }

    /// Takes the rows out, each with its number.
    ///
    /// # Errors
    /// If the numbers are not one for each row.
    pub fn take_rows(&mut self) -> Result<Vec<Row>, JobError> {
        numbered(
            std::mem::take(&mut self.rows),
            std::mem::take(&mut self.numbers),
        )
    }
}

fn numbered(rows: Vec<Row>, numbers: Vec<usize>) -> Result<Vec<Row>, JobError> {
    if numbers.is_empty() {
        return Ok(rows);
    }
    let distinct: BTreeSet<usize> = numbers.iter().copied().collect();
    if numbers.len() != rows.len() || distinct.len() != rows.len() || distinct.contains(&0) {
        return Err(JobError::Numbers);
    }
    let pairs = rows.into_iter().zip(numbers);
    Ok(pairs.map(|(row, number)| row.numbered(number)).collect())
}

/// The name of an action or batch, fit for an event's source and a comment's marker.
fn named(what: &'static str, name: String) -> Result<String, JobError> {
    crate::triage::batch(&name).map_err(|_| JobError::Name {
        what,
        shown: shown(&name),
    })
}

fn shown(name: &str) -> String {
    line(name).chars().take(64).collect()
}

/// Foreign text as one line of a reasonable length.
fn line(text: &str) -> String {
    let visible = text.chars().filter(|c| !c.is_control());
    visible.take(1024).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::verdict::validated_job::ValidatedJob;

    fn action(json: &str) -> Result<(Action, Vec<Row>), String> {
        let mut job: Job = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let accounts = BTreeSet::from(["contoso".to_owned()]);
        let read = || {
            let form = job.read_form(accounts)?;
            let action = job.action(form, "ann", Via::Direct, 1)?;
            let rows = job.take_rows()?;
            ValidatedJob::of(action.clone(), rows.clone(), 1)?;
            Ok((action, rows))
        };
        read().map_err(|error: JobError| error.to_string())
    }

    #[test]
    fn a_job_in_json_becomes_an_action_of_whoever_asked() {
        let (action, rows) = action(
            r#"{"action":"queue","subject":"incident","batch":"b-1",
                "form":{"account":"contoso","status":"resolved","dry_run":true,"max_targets":5},
                "rows":[{"id":7,"tags":["a","b",null],"x":null}]}"#,
        )
        .unwrap();
        assert_eq!(action.actor, "ann");
        assert_eq!(
            (action.name.as_str(), action.batch.as_str()),
            ("queue", "b-1")
        );
        assert!(action.form.dry_run());
        assert_eq!(action.form.subject(), Subject::Incident);
        let values = |values: &[&str]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = Row::new([
            ("id".to_owned(), values(&["7"])),
            ("tags".to_owned(), values(&["a", "b"])),
            ("x".to_owned(), Vec::new()),
        ]);
        assert_eq!(rows, [expected]);
    }

    #[test]
    fn a_job_that_says_too_much_or_too_little_is_refused() {
        let refusals = [
            r#"{"action":"queue","subject":"alert","form":{},"rows":[{}],"actor":"root"}"#,
            r#"{"action":"queue","subject":"user","form":{},"rows":[{}]}"#,
            r#"{"action":"../x","subject":"alert","form":{},"rows":[{}]}"#,
            r#"{"action":"queue","subject":"alert","batch":"a b","form":{},"rows":[{}]}"#,
            r#"{"action":"queue","subject":"alert","form":{},"rows":[]}"#,
            r#"{"action":"queue","subject":"alert","form":{"status":["new","resolved"]},"rows":[{}]}"#,
            r#"{"action":"queue","subject":"alert","form":{"account":"fabrikam"},"rows":[{}]}"#,
            r#"{"action":"queue","subject":"alert","form":{"server_uri":"https://x"},"rows":[{}]}"#,
        ]
        .map(|json| action(json).unwrap_err());
        insta::assert_snapshot!(refusals.join("\n"));
    }
}
