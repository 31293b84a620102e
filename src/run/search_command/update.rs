//! `... | defenderupdate account=<name> status=resolved`: sends the rows' verdicts to
//! Defender, and adds to each row how it ended.

use crate::bridge::verdict::deadline::Deadline;
use crate::bridge::verdict::dispatch;
use crate::bridge::verdict::dispatch::Dispatcher;
use crate::bridge::verdict::job::{Job, JobError, row};
use crate::run::search_command::arguments::Arguments;
use crate::run::search_command::get::subject;
use crate::run::search_command::session::{Ended, Session};
use crate::run::search_command::{Command, batch, evidence, open};
use crate::splunk::search_command::{Invocation, Kind, Level, Message, Table, Values};
use crate::splunk::splunkd::Splunkd;
use crate::triage::{Entry, Fields, Form, Outcome, PARAMETERS, Subject, Summary};
use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

const COMMAND: &str = "defenderupdate";

/// How long one chunk of rows may take; a search has no time limit of its own.
const DEADLINE: Duration = Duration::from_secs(1800);

/// The columns added to the rows' own, in their order.
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
    /// The parameters as they were read.
    form: Form,
}

impl Command for Args {
    const KIND: Kind = Kind::STREAMING;

    fn read(words: &[String]) -> anyhow::Result<Self> {
        let mut known = PARAMETERS.to_vec();
        known.push("subject");
        let mut parameters = Arguments::read(words, &known)?;
        let subject = subject(parameters.take("subject").as_deref())?;
        // splunkd is asked for the accounts with the first rows.
        let named = parameters.get("account").map(str::to_owned);
        let accounts: BTreeSet<String> = named.into_iter().collect();
        Ok(Self {
            form: Form::parse(subject, accounts, parameters.iter())?,
            subject,
            parameters,
        })
    }

    async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended> {
        let mut opened: Option<Dispatcher> = None;
        let mut total = Summary::default();
        let mut previewed = false;
        loop {
            let chunk = session.next().await?;
            let preview = call.preview || chunk.preview;
            previewed |= preview;
            let count = match preview {
                true => 0,
                false => Table::count(&chunk.body)?,
            };
            // The run's limit holds before anything is built of the rows.
            let dispatcher = match total.rows.len() + count {
                _ if count == 0 => None,
                rows => Some(self.dispatcher(&mut opened, rows, call, session).await?),
            };
            let table = Table::read(&chunk.body)?;
            let cells = match dispatcher {
                Some(dispatcher) => {
                    let deadline = Deadline::of(DEADLINE).until(session.cancelled());
                    carry_out(dispatcher, &table, &deadline, &mut total).await?
                }
                None => Vec::new(),
            };
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
}

impl Args {
    /// The run, opened with its first rows, for so many rows in all.
    async fn dispatcher<'d, W: Write>(
        &self,
        opened: &'d mut Option<Dispatcher>,
        rows: usize,
        call: &Invocation,
        session: &Session<W>,
    ) -> Result<&'d mut Dispatcher, Ended> {
        let dispatcher = match opened {
            Some(dispatcher) => dispatcher,
            None => {
                let run = open(call, session, async |splunkd| self.run(splunkd, call).await);
                opened.insert(run.await?)
            }
        };
        let most = dispatcher.most_rows();
        if rows > most {
            let error = JobError::TooManyRows { rows, most };
            dispatcher.refused(&error).await;
            return Err(Ended::Failed(error.into()));
        }
        Ok(dispatcher)
    }

    /// Opens the run; where that fails, one event says so.
    async fn run(&self, splunkd: Splunkd, call: &Invocation) -> anyhow::Result<Dispatcher> {
        let form = Fields::single(self.parameters.iter());
        let job = Job {
            batch: Some(batch(COMMAND, call)),
            sid: call.sid.clone(),
            ..Job::new(COMMAND, self.subject, form)
        };
        let caller = dispatch::caller(&splunkd, &job).await?;
        let user = caller.user.clone();
        let form = Some(self.form.clone());
        match Dispatcher::of(splunkd.clone(), caller, job.clone(), form).await {
            Ok(dispatcher) => Ok(dispatcher),
            Err(error) => {
                dispatch::not_found(&splunkd, &job, &user, &error).await;
                Err(error.into())
            }
        }
    }
}

/// Carries out a chunk's rows; returns the cells of their columns.
async fn carry_out(
    dispatcher: &mut Dispatcher,
    table: &Table,
    deadline: &Deadline,
    total: &mut Summary,
) -> anyhow::Result<Vec<Vec<Values>>> {
    let before = total.rows.len();
    let mut ended: Vec<Vec<Entry>> = table.rows().map(|_| Vec::new()).collect();
    let mut on_outcome = |entry: &Entry| {
        let place = entry.row.checked_sub(before + 1);
        if let Some(row) = place.and_then(|place| ended.get_mut(place)) {
            row.push(entry.clone());
        }
    };
    let rows = table.rows().map(|fields| row(&fields)).collect();
    let summary = dispatcher
        .carry_out(rows, deadline, &mut on_outcome)
        .await?;
    let rows = summary.rows.iter().zip(&ended);
    let cells = rows.map(|(outcome, entries)| columns(*outcome, entries, dispatcher.batch()));
    let cells = cells.collect();
    total.rows.extend(summary.rows);
    Ok(cells)
}

fn summary(total: &Summary) -> Message {
    let well = total.rows.iter().all(|row| row.is_well());
    let (level, advice) = match well {
        true => (Level::Info, ""),
        false => (Level::Warn, "; defender_message says why"),
    };
    Message::new(level, format!("{COMMAND}: {total}{advice}"))
}

/// The cells added to a row.
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
    columns.extend(evidence(each));
    columns.push(vec![batch.to_owned()]);
    columns
}
