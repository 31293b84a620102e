//! `... | defenderupdate account=<name> status=resolved`: the rows' verdicts go
//! to Defender, and each row goes on with how it ended.

use crate::bridge::verdict::deadline::Course;
use crate::bridge::verdict::dispatch;
use crate::bridge::verdict::dispatch::Way;
use crate::bridge::verdict::job::{Cell, Job, JobError, cells as row_cells};
use crate::bridge::verdict::row_result::Told;
use crate::run::search_command::arguments::Arguments;
use crate::run::search_command::get::subject;
use crate::run::search_command::session::{Halt, Talk};
use crate::splunk::search_command::{Invocation, Level, Message, Table, Values};
use crate::triage::{Form, Outcome, PARAMETERS, Subject, Summary};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

const COMMAND: &str = "defenderupdate";

/// How long one chunk of rows may take; a search has no time limit of its own.
const DEADLINE: Duration = Duration::from_secs(1800);

/// As the columns come behind the rows' own.
const COLUMNS: [&str; 9] = [
    "defender_outcome",
    "defender_message",
    "defender_target",
    "defender_changed",
    "defender_before",
    "defender_after",
    "defender_verified",
    "defender_request_id",
    "defender_batch",
];

#[derive(Debug)]
pub struct Wish {
    subject: Subject,
    parameters: Arguments,
}

impl Wish {
    pub fn read(words: &[String]) -> anyhow::Result<Self> {
        let mut known = PARAMETERS.to_vec();
        known.push("subject");
        let mut parameters = Arguments::read(words, &known)?;
        let subject = subject(parameters.take("subject").as_deref())?;
        let wish = Self {
            subject,
            parameters,
        };
        // Which accounts there are is asked for with the first rows.
        let named = wish.parameters.get("account").map(str::to_owned);
        let accounts: BTreeSet<String> = named.into_iter().collect();
        Form::parse(subject, accounts, wish.parameters.iter())?;
        Ok(wish)
    }

    pub async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        talk: &mut Talk<W>,
    ) -> Result<(), Halt> {
        let mut opened = None;
        let mut total = Summary::default();
        let mut previewed = false;
        loop {
            let chunk = talk.next().await?;
            let rows = Table::count(&chunk.body)?;
            let preview = call.preview || chunk.preview;
            if rows > 0 && !preview {
                // Before anything is built of them.
                let mut way: Way = match opened.take() {
                    Some(way) => way,
                    None => talk.unless_gone(self.way(call)).await??,
                };
                let all = total.rows.len().saturating_add(rows);
                let most = way.most_rows();
                if all > most {
                    let error = JobError::TooManyRows { rows: all, most };
                    way.refused(&self.job(call, Vec::new()), &error).await;
                    return Err(Halt::Failed(error.into()));
                }
                opened = Some(way);
            }
            let table = Table::read(&chunk.body)?;
            let mut cells = Vec::new();
            if preview {
                previewed = true;
            } else if !table.is_empty() {
                let course = Course::of(DEADLINE).until(talk.gone());
                let mut way = match opened.take() {
                    Some(way) => way,
                    None => talk.unless_gone(self.way(call)).await??,
                };
                let job = self.job(call, table.rows().map(|row| row_cells(&row)).collect());
                let batch = job.batch.clone().unwrap_or_default();
                let before = total.rows.len();
                let mut told: Vec<Vec<Told>> = table.rows().map(|_| Vec::new()).collect();
                let mut tell = |one: Told| {
                    let place = one.row.checked_sub(before + 1);
                    if let Some(row) = place.and_then(|place| told.get_mut(place)) {
                        row.push(one);
                    }
                };
                let actor = way.user().to_owned();
                let summary = way
                    .carry_out(job, &actor, &course, &mut tell)
                    .await
                    .map_err(anyhow::Error::from)?;
                let rows = summary.rows.iter().zip(&told);
                cells = rows
                    .map(|(outcome, told)| columns(*outcome, told, &batch))
                    .collect();
                total.rows.extend(summary.rows);
                opened = Some(way);
            }
            let messages = match (chunk.finished, previewed) {
                (false, _) => Vec::new(),
                (true, true) => vec![Message::new(
                    Level::Info,
                    "defenderupdate: this is a preview, nothing was written",
                )],
                (true, false) => vec![said(&total)],
            };
            talk.answer(chunk.finished, &messages, &table.widened(&COLUMNS, &cells)?)?;
            if chunk.finished {
                tracing::info!("{total}");
                return Ok(());
            }
        }
    }

    /// Where there is none, one event says so.
    async fn way(&self, call: &Invocation) -> anyhow::Result<Way> {
        let splunkd = crate::run::search_command::splunkd(call)?;
        let job = self.job(call, Vec::new());
        let caller = dispatch::caller(&splunkd, &job).await?;
        let user = caller.user.clone();
        match Way::of(splunkd.clone(), caller).await {
            Ok(way) => Ok(way),
            Err(error) => {
                dispatch::not_found(&splunkd, &job, &user, &error).await;
                Err(error.into())
            }
        }
    }

    fn job(&self, call: &Invocation, rows: Vec<BTreeMap<String, Cell>>) -> Job {
        let form = self.parameters.iter();
        let form = form.map(|(name, value)| (name.to_owned(), Cell::from(value)));
        Job {
            batch: Some(crate::run::search_command::batch(COMMAND, call)),
            sid: call.sid.clone(),
            ..Job::new(COMMAND, self.subject, form.collect(), rows)
        }
    }
}

fn said(total: &Summary) -> Message {
    let well = total.rows.iter().all(|row| row.is_well());
    let (level, advice) = match well {
        true => (Level::Info, ""),
        false => (Level::Warn, "; defender_message says why"),
    };
    Message::new(level, format!("{COMMAND}: {total}{advice}"))
}

/// What goes behind a row's own columns.
fn columns(outcome: Outcome, told: &[Told], batch: &str) -> Vec<Values> {
    let several = told.len() > 1;
    let each = |part: &dyn Fn(&Told) -> Option<String>| -> Values {
        let values = told.iter().map(part);
        match several {
            // The values of each column stay in the targets' order.
            true => values.map(Option::unwrap_or_default).collect(),
            false => values.flatten().collect(),
        }
    };
    let mut columns = vec![
        vec![outcome.to_string()],
        each(&|told| Some(told.message.clone())),
        each(&|told| told.target.clone()),
    ];
    columns.extend(crate::run::search_command::evidence(each));
    columns.push(vec![batch.to_owned()]);
    columns
}
