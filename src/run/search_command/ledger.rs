//! `... | defenderledger`: says of each event of the ledger whether this app wrote it
//! exactly so. Reads only.

use crate::bridge::permission::Caller;
use crate::bridge::verdict::authenticity::Judge;
use crate::run::search_command::session::{Ended, Session};
use crate::run::search_command::{Command, open};
use crate::splunk::search_command::{Invocation, Kind, Level, Message, Table};
use crate::splunk::splunkd::Splunkd;
use anyhow::bail;
use std::io::Write;

const COMMAND: &str = "defenderledger";
const COLUMNS: [&str; 1] = ["authentic"];

#[derive(Debug)]
pub struct Args;

impl Command for Args {
    const KIND: Kind = Kind::STREAMING;

    fn read(words: &[String]) -> anyhow::Result<Self> {
        if !words.is_empty() {
            bail!("{COMMAND} takes no argument: it judges the field _raw of each row");
        }
        Ok(Self)
    }

    async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended> {
        let mut opened: Option<Judge> = None;
        loop {
            let chunk = session.next().await?;
            let table = Table::read(&chunk.body)?;
            let rows: Vec<_> = table.rows().collect();
            let texts = rows.iter().map(|row| row.get("_raw").unwrap_or_default());
            let texts: Vec<&str> = texts.collect();
            let mut judged = Vec::new();
            if !texts.is_empty() {
                let judge = match &mut opened {
                    Some(judge) => judge,
                    None => opened.insert(open(call, session, judge).await?),
                };
                judged = session.unless_cancelled(judge.judge(&texts)).await?;
            }
            let cells: Vec<_> = judged
                .iter()
                .map(|judged| vec![vec![judged.as_str().to_owned()]])
                .collect();
            let why = opened.as_ref().and_then(Judge::why);
            let messages: Vec<Message> = match why.filter(|_| chunk.finished) {
                Some(why) => vec![Message::new(
                    Level::Warn,
                    format!("{COMMAND}: entries cannot be judged here: {why}"),
                )],
                None => Vec::new(),
            };
            session.answer(chunk.finished, &messages, &table.widened(&COLUMNS, &cells)?)?;
            if chunk.finished {
                return Ok(());
            }
        }
    }
}

async fn judge(splunkd: Splunkd) -> anyhow::Result<Judge> {
    let caller = Caller::of(&splunkd).await?;
    Ok(Judge::of(splunkd, &caller).await)
}
