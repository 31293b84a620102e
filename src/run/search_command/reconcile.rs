//! `... | defenderreconcile account=<name>`: compares what the rows show and want with
//! what Defender says now; says which side is newer, and what puts it right. Reads
//! only.

use super::{Command, get};
use crate::run::search_command::get::Lookup;
use crate::run::search_command::session::{Ended, Session};
use crate::splunk::alert_action::results;
use crate::splunk::search_command::{Invocation, Kind, Level, Message, Table, Values};
use crate::triage::{Outcome, Reconciler, Row};
use std::collections::BTreeMap;
use std::io::Write;

const COMMAND: &str = "defenderreconcile";

/// Columns before those of `defenderget`.
const COLUMNS: [&str; 4] = [
    "defender_newer_in",
    "defender_differs",
    "defender_fix",
    "defender_fix_command",
];

#[derive(Debug)]
pub struct Args {
    live: get::Args,
    reconciler: Reconciler,
}

impl Command for Args {
    const KIND: Kind = Kind::STREAMING;

    /// Takes the arguments of `defenderget`.
    fn read(words: &[String]) -> anyhow::Result<Self> {
        let live = get::Args::read(words)?;
        let reconciler = Reconciler::new(
            live.subject,
            &live.account,
            live.api,
            live.id_field.as_deref(),
        )?;
        Ok(Self { live, reconciler })
    }

    async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended> {
        let columns: Vec<&str> = COLUMNS.into_iter().chain(get::COLUMNS).collect();
        let mut live = Lookup::new(&self.live);
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut before = 0;
        loop {
            let chunk = session.next().await?;
            let table = Table::read(&chunk.body)?;
            let ids: Vec<Vec<String>> = table.rows().map(|row| self.live.ids(&row)).collect();
            live.read(&ids, call, session).await?;
            let mut cells = Vec::with_capacity(table.len());
            for ((row, ids), number) in table.rows().zip(&ids).zip(before + 1..) {
                let found = self.compare(number, &row, ids, &live);
                *counts.entry(found.ahead).or_default() += 1;
                let mut own = vec![
                    vec![found.ahead.to_owned()],
                    found.differs,
                    vec![found.fix],
                    found.command.into_iter().collect(),
                ];
                own.extend(live.cells(ids));
                cells.push(own);
            }
            before += table.len();
            let mut messages = Vec::new();
            if chunk.finished {
                messages = live.unread(COMMAND);
                messages.push(summary(&counts));
            }
            session.answer(chunk.finished, &messages, &table.widened(&columns, &cells)?)?;
            if chunk.finished {
                return Ok(());
            }
        }
    }
}

impl Args {
    fn compare(
        &self,
        number: usize,
        row: &results::Row,
        ids: &[String],
        live: &Lookup<'_>,
    ) -> Found {
        let subject = self.live.subject;
        let nothing = |ahead, fix: String| Found {
            ahead,
            differs: Vec::new(),
            fix,
            command: None,
        };
        let id = match ids {
            [] => {
                let fix = format!("name the field that holds the {subject} id with id_field");
                return nothing("no_id", fix);
            }
            [id] => id,
            several => {
                let fix = format!(
                    "the row names {} {subject}s, and its fields are of one: make a row of each (| mvexpand)",
                    several.len()
                );
                return nothing("unread", fix);
            }
        };
        match live.get(id) {
            Some(live) if live.is_read() => {
                let fields = row.iter();
                let fields = fields.map(|(name, values)| (name.to_owned(), values.to_vec()));
                let now = jiff::Timestamp::now();
                let row = Row::new(fields);
                let found = self.reconciler.reconcile(number, &row, &live.state(), now);
                Found {
                    ahead: found.ahead.as_str(),
                    differs: found.differences,
                    fix: found.fix,
                    command: found.command,
                }
            }
            Some(live) if live.result == Outcome::NotFound.as_str() => nothing(
                "missing",
                format!(
                    "Defender has no such {subject} (any more): check the id and that account {} is of its tenant; Defender forgets {subject}s after some months",
                    self.live.account
                ),
            ),
            Some(live) => nothing("unread", live.message.clone().unwrap_or_default()),
            None => nothing("unread", "Defender was not asked".to_owned()),
        }
    }
}

struct Found {
    ahead: &'static str,
    differs: Values,
    fix: String,
    command: Option<String>,
}

fn summary(counts: &BTreeMap<&'static str, usize>) -> Message {
    let rows: usize = counts.values().sum();
    let noun = if rows == 1 { "row" } else { "rows" };
    let counts: Vec<String> = counts
        .iter()
        .map(|(ahead, count)| format!("{count} {ahead}"))
        .collect();
    let joint = if counts.is_empty() {
        ""
    } else {
        " by defender_newer_in: "
    };
    let text = format!("{COMMAND}: {rows} {noun}{joint}{}", counts.join(", "));
    Message::new(Level::Info, text)
}
