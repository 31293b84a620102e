//! `| defenderhunt account=<name> query="<KQL>" timespan=P7D`: the rows of an
//! advanced hunting query.

use crate::bridge::lookup::LookupRoute;
use crate::bridge::lookup::hunt::{Hunted, Query};
use crate::bridge::permission::Right;
use crate::microsoft::defender::hunting::{
    Answered, Column, Found, Holds, Hunt, MOST_DAYS, MOST_ROWS,
};
use crate::run::search_command::arguments::Arguments;
use crate::run::search_command::session::{Ended, Session};
use crate::run::search_command::{Command, open};
use crate::splunk::search_command::{Invocation, Kind, Level, Message, Values};
use crate::splunk::splunkd::Route;
use std::io::Write;

const KNOWN: [&str; 3] = ["account", "query", "timespan"];

/// The column of an event's time in Defender's and in Sentinel's tables.
const TIMES: [&str; 2] = ["Timestamp", "TimeGenerated"];

#[derive(Debug)]
pub struct Args {
    query: Query,
    hunt: Hunt,
}

impl Command for Args {
    const KIND: Kind = Kind::GENERATING;

    fn read(words: &[String]) -> anyhow::Result<Self> {
        let arguments = Arguments::read(words, &KNOWN)?;
        let query = Query {
            account: arguments.account()?.to_owned(),
            query: arguments.get("query").unwrap_or_default().to_owned(),
            timespan: arguments.get("timespan").map(str::to_owned),
        };
        Ok(Self {
            hunt: query.hunt()?,
            query,
        })
    }

    async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended> {
        session.next().await?;
        let asking = async |splunkd| self.ask(LookupRoute::of(Right::Hunt, splunkd).await?).await;
        let answer = open(call, session, asking).await?;
        let found = Found::read(&answer).map_err(anyhow::Error::from)?;
        let time = time_column(&found.columns);
        let mut names: Vec<&str> = time.iter().map(|_| "_time").collect();
        names.extend(found.columns.iter().map(|column| column.name.as_str()));
        let mut row_writer = session.row_writer(call, &names);
        for row in found.rows() {
            let when = time.and_then(|place| row.get(place)).map(epoch);
            let mut cells: Vec<Values> = when.into_iter().collect();
            cells.extend(row);
            row_writer.put(&cells).await?;
        }
        row_writer.end(&self.messages(&found, answer.warning.as_deref()))
    }
}

impl Args {
    async fn ask(&self, lookup_route: LookupRoute) -> anyhow::Result<Answered> {
        let hunted =
            lookup_route.by_endpoint::<Hunted>(Route::Hunt, &self.query.account, &self.query);
        if let Some(hunted) = hunted.await? {
            return Ok(hunted.answered());
        }
        let asked = self
            .query
            .ask(&self.hunt, &lookup_route.splunkd, &lookup_route.settings);
        asked.await
    }

    fn messages(&self, found: &Found<'_>, warning: Option<&str>) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut warn = |text: String| messages.push(Message::new(Level::Warn, text));
        if found.is_cut() {
            warn(format!(
                "defenderhunt: the answer has {} rows; Microsoft stops at {MOST_ROWS} in silence, so rows may be missing: narrow the query, or summarize in it",
                found.len()
            ));
        }
        if self.hunt.beyond() {
            warn(format!(
                "defenderhunt: Defender's own tables reach back {MOST_DAYS} days; a longer timespan finds no more in them"
            ));
        }
        if let Some(warning) = warning {
            warn(format!(
                "defenderhunt: the answer may be partial: {warning}"
            ));
        }
        messages
    }
}

fn time_column(columns: &[Column]) -> Option<usize> {
    if columns.iter().any(|column| column.name == "_time") {
        return None;
    }
    TIMES.iter().find_map(|name| {
        columns
            .iter()
            .position(|column| column.name == *name && column.holds == Holds::Time)
    })
}

/// Seconds since 1970, as Splunk counts.
fn epoch(values: &Values) -> Values {
    let instant = values
        .first()
        .and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let seconds = |instant: jiff::Timestamp| {
        let micros = instant.as_microsecond();
        let (whole, part) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        format!("{whole}.{part:06}")
    };
    instant.map(seconds).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_event_is_its_own() {
        let epoch = |text: &str| epoch(&vec![text.to_owned()]);
        assert_eq!(epoch("2026-01-01T00:00:00.1234567Z"), ["1767225600.123456"]);
        assert_eq!(epoch("1969-12-31T23:59:59.5Z"), ["-1.500000"]);
        assert_eq!(epoch("yesterday"), Vec::<String>::new());
    }
}
