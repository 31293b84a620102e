//! `... | defenderupdate account=<name> status=resolved`: the rows' verdicts go
//! to Defender, and each row goes on with how it ended.

use crate::bridge::verdict::deadline::Deadline;
use crate::bridge::verdict::dispatch;
use crate::bridge::verdict::dispatch::Dispatcher;
use crate::bridge::verdict::job::{Job, JobError, row};
use crate::run::search_command::arguments::Arguments;
use crate::run::search_command::get::subject;
use crate::run::search_command::session::{Ended, Session};
use crate::splunk::search_command::{Invocation, Level, Message, Table, Values};
use crate::triage::{Entry, Fields, Form, Outcome, PARAMETERS, Row, Subject, Summary};
use std::collections::BTreeSet;
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
pub struct Args {
    subject: Subject,
    parameters: Arguments,
}

impl Args {
    pub fn read(words: &[String]) -> anyhow::Result<Self> {
        let mut known = PARAMETERS.to_vec();
        known.push("subject");
        let mut parameters = Arguments::read(words, &known)?;
        let subject = subject(parameters.take("subject").as_deref())?;
        let args = Self {
            subject,
            parameters,
        };
        // Which accounts there are is asked for with the first rows.
        let named = args.parameters.get("account").map(str::to_owned);
        let accounts: BTreeSet<String> = named.into_iter().collect();
        Form::parse(subject, accounts, args.parameters.iter())?;
        Ok(args)
    }

    pub async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended> {
        let mut opened = None;
        let mut total = Summary::default();
        let mut previewed = false;
        loop {
            let chunk = session.next().await?;
            let rows = Table::count(&chunk.body)?;
            let preview = call.preview || chunk.preview;
            if rows > 0 && !preview {
                // Before anything is built of them.
                let mut dispatcher: Dispatcher = match opened.take() {
                    Some(dispatcher) => dispatcher,
                    None => session.unless_cancelled(self.dispatcher(call)).await??,
                };
                let all = total.rows.len().saturating_add(rows);
                let most = dispatcher.most_rows();
                if all > most {
                    let error = JobError::TooManyRows { rows: all, most };
                    dispatcher
                        .refused(&self.job(call, Vec::new()), &error)
                        .await;
                    return Err(Ended::Failed(error.into()));
                }
                opened = Some(dispatcher);
            }
            let table = Table::read(&chunk.body)?;
            let mut cells = Vec::new();
            if preview {
                previewed = true;
            } else if !table.is_empty() {
                let deadline = Deadline::of(DEADLINE).until(session.cancelled());
                let mut dispatcher = match opened.take() {
                    Some(dispatcher) => dispatcher,
                    None => session.unless_cancelled(self.dispatcher(call)).await??,
                };
                let job = self.job(call, table.rows().map(|fields| row(&fields)).collect());
                let batch = job.batch.clone().unwrap_or_default();
                let before = total.rows.len();
                let mut ended: Vec<Vec<Entry>> = table.rows().map(|_| Vec::new()).collect();
                let mut on_outcome = |entry: &Entry| {
                    let place = entry.row.checked_sub(before + 1);
                    if let Some(row) = place.and_then(|place| ended.get_mut(place)) {
                        row.push(entry.clone());
                    }
                };
                let actor = dispatcher.user().to_owned();
                let summary = dispatcher
                    .carry_out(job, &actor, &deadline, &mut on_outcome)
                    .await
                    .map_err(anyhow::Error::from)?;
                let rows = summary.rows.iter().zip(&ended);
                cells = rows
                    .map(|(outcome, entries)| columns(*outcome, entries, &batch))
                    .collect();
                total.rows.extend(summary.rows);
                opened = Some(dispatcher);
            }
            let messages = match (chunk.finished, previewed) {
                (false, _) => Vec::new(),
                (true, true) => vec![Message::new(
                    Level::Info,
                    "defenderupdate: this is a preview, nothing was written",
                )],
                (true, false) => vec![summary(&total)],
            };
            session.answer(chunk.finished, &messages, &table.widened(&COLUMNS, &cells)?)?;
            if chunk.finished {
                tracing::info!("{total}");
                return Ok(());
            }
        }
    }

    /// Where there is none, one event says so.
    async fn dispatcher(&self, call: &Invocation) -> anyhow::Result<Dispatcher> {
        let splunkd = crate::run::search_command::splunkd(call)?;
        let job = self.job(call, Vec::new());
        let caller = dispatch::caller(&splunkd, &job).await?;
        let user = caller.user.clone();
        match Dispatcher::of(splunkd.clone(), caller).await {
            Ok(dispatcher) => Ok(dispatcher),
            Err(error) => {
                dispatch::not_found(&splunkd, &job, &user, &error).await;
                Err(error.into())
            }
        }
    }

    fn job(&self, call: &Invocation, rows: Vec<Row>) -> Job {
        let form = Fields::single(self.parameters.iter());
        Job {
            batch: Some(crate::run::search_command::batch(COMMAND, call)),
            sid: call.sid.clone(),
            ..Job::new(COMMAND, self.subject, form, rows)
        }
    }
}

fn summary(total: &Summary) -> Message {
    let well = total.rows.iter().all(|row| row.is_well());
    let (level, advice) = match well {
        true => (Level::Info, ""),
        false => (Level::Warn, "; defender_message says why"),
    };
    Message::new(level, format!("{COMMAND}: {total}{advice}"))
}

/// What goes behind a row's own columns.
fn columns(outcome: Outcome, entries: &[Entry], batch: &str) -> Vec<Values> {
    let several = entries.len() > 1;
    let each = |part: &dyn Fn(&Entry) -> Option<String>| -> Values {
        let values = entries.iter().map(part);
        match several {
            // The values of each column stay in the targets' order.
            true => values.map(Option::unwrap_or_default).collect(),
            false => values.flatten().collect(),
        }
    };
    let mut columns = vec![
        vec![outcome.to_string()],
        each(&|entry| Some(entry.message.clone())),
        each(&|entry| entry.target.clone()),
    ];
    columns.extend(crate::run::search_command::evidence(each));
    columns.push(vec![batch.to_owned()]);
    columns
}
