//! `... | defenderget account=<name>`: adds to the rows what Defender says now. Each id
//! is read once in a search.
//!
//! The columns begin with `defender_live_`: a row's `defender_status` is what somebody
//! wants set, and a later `defenderupdate` would set it.

use crate::bridge::lookup::live::{Answer, Live, Question};
use crate::bridge::lookup::{LookupRoute, live};
use crate::bridge::permission::Right;
use crate::microsoft::UpdateClient;
use crate::run::search_command::arguments::Arguments;
use crate::run::search_command::session::{Ended, Session};
use crate::run::search_command::{Command, open};
use crate::splunk::alert_action::results::Row;
use crate::splunk::search_command::{Invocation, Kind, Level, Message, Table, Values};
use crate::splunk::splunkd::{Route, Splunkd};
use crate::triage::{Api, Outcome, Subject};
use anyhow::bail;
use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::io::Write;

const KNOWN: [&str; 4] = ["account", "subject", "api", "id_field"];

/// The columns added to the rows' own, in their order.
pub const COLUMNS: [&str; 11] = [
    "defender_live_id",
    "defender_live_result",
    "defender_live_message",
    "defender_live_status",
    "defender_live_classification",
    "defender_live_determination",
    "defender_live_assigned_to",
    "defender_live_tags",
    "defender_live_comment_count",
    "defender_live_last_update",
    "defender_live_merged_into",
];

/// Ids read in one request of the endpoint: a few calls, well within the request's time.
const AT_ONCE: usize = 100;

#[derive(Debug)]
pub struct Args {
    pub account: String,
    pub subject: Subject,
    pub api: Api,
    pub id_field: Option<String>,
}

/// What Defender says now; each id is read once in a search.
pub struct Lookup<'w> {
    args: &'w Args,
    known: HashMap<String, Live>,
    /// None before the first id.
    reader: Option<Reader>,
}

impl<'w> Lookup<'w> {
    pub fn new(args: &'w Args) -> Self {
        Self {
            args,
            known: HashMap::new(),
            reader: None,
        }
    }

    /// Reads the ids that were not read yet.
    pub async fn read<W: Write>(
        &mut self,
        ids: &[Vec<String>],
        call: &Invocation,
        session: &Session<W>,
    ) -> Result<(), Ended> {
        let wanted: BTreeSet<&String> = ids
            .iter()
            .flatten()
            .filter(|id| !self.known.contains_key(*id))
            .collect();
        let wanted: Vec<String> = wanted.into_iter().cloned().collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let reader = match &self.reader {
            Some(reader) => reader,
            None => self.reader.insert(open(call, session, Reader::of).await?),
        };
        let read = session
            .unless_cancelled(self.args.read_live(reader, &wanted))
            .await??;
        self.known.extend(wanted.into_iter().zip(read));
        Ok(())
    }

    pub fn get(&self, id: &str) -> Option<&Live> {
        self.known.get(id)
    }

    /// A row's cells of [`COLUMNS`].
    pub fn cells(&self, ids: &[String]) -> Vec<Values> {
        cells(ids, &self.known, self.args.subject)
    }

    /// One message about the ids that could not be read.
    pub fn unread(&self, command: &str) -> Vec<Message> {
        let unread = self.known.values().filter(|live| !live.is_read()).count();
        if unread == 0 {
            return Vec::new();
        }
        vec![Message::new(
            Level::Warn,
            format!(
                "{command}: {unread} of {} {}s could not be read; defender_live_message says why",
                self.known.len(),
                self.args.subject
            ),
        )]
    }
}

/// Which way reading goes, and the client where this process reads.
struct Reader {
    lookup_route: LookupRoute,
    client: OnceCell<UpdateClient>,
}

impl Reader {
    async fn of(splunkd: Splunkd) -> anyhow::Result<Self> {
        Ok(Self {
            lookup_route: LookupRoute::of(Right::Read, splunkd).await?,
            client: OnceCell::new(),
        })
    }
}

impl Command for Args {
    const KIND: Kind = Kind::STREAMING;

    fn read(words: &[String]) -> anyhow::Result<Self> {
        let mut arguments = Arguments::read(words, &KNOWN)?;
        let subject = subject(arguments.take("subject").as_deref())?;
        let api = live::api(arguments.get("api"), subject)?;
        Ok(Self {
            account: arguments.account()?.to_owned(),
            subject,
            api,
            id_field: arguments.take("id_field"),
        })
    }

    async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended> {
        let mut lookup = Lookup::new(self);
        loop {
            let chunk = session.next().await?;
            let table = Table::read(&chunk.body)?;
            let ids: Vec<Vec<String>> = table.rows().map(|row| self.ids(&row)).collect();
            lookup.read(&ids, call, session).await?;
            let cells: Vec<Vec<Values>> = ids.iter().map(|ids| lookup.cells(ids)).collect();
            let messages = match chunk.finished {
                true => lookup.unread("defenderget"),
                false => Vec::new(),
            };
            session.answer(chunk.finished, &messages, &table.widened(&COLUMNS, &cells)?)?;
            if chunk.finished {
                return Ok(());
            }
        }
    }
}

impl Args {
    async fn read_live(&self, reader: &Reader, wanted: &[String]) -> anyhow::Result<Vec<Live>> {
        let mut read = Vec::with_capacity(wanted.len());
        for ids in wanted.chunks(AT_ONCE) {
            let question = Question {
                account: self.account.clone(),
                subject: self.subject,
                api: Some(self.api.to_string()),
                ids: ids.to_vec(),
            };
            let lookup_route = &reader.lookup_route;
            match lookup_route
                .by_endpoint::<Answer>(Route::Live, &question.account, &question)
                .await?
            {
                Some(answer) => {
                    let mut live = answer.live.into_iter();
                    read.extend(ids.iter().map(|id| {
                        live.next().unwrap_or_else(|| {
                            Live::unread(id, Outcome::Failed, "the answer left it out")
                        })
                    }));
                }
                None => {
                    let rest = wanted.get(read.len()..).unwrap_or_default();
                    let client = self.client(reader).await?;
                    read.extend(live::read_live(client, self.subject, rest).await);
                    break;
                }
            }
        }
        Ok(read)
    }

    async fn client<'r>(&self, reader: &'r Reader) -> anyhow::Result<&'r UpdateClient> {
        if let Some(client) = reader.client.get() {
            return Ok(client);
        }
        let LookupRoute {
            splunkd, settings, ..
        } = &reader.lookup_route;
        let client = live::client(splunkd, settings, &self.account, self.api).await?;
        Ok(reader.client.get_or_init(|| client))
    }

    /// The row's ids, each once.
    pub fn ids(&self, row: &Row) -> Vec<String> {
        let usual: &[&str] = match self.subject {
            Subject::Alert => &["alert_id", "alertId", "id"],
            Subject::Incident => &["incident_id", "incidentId", "id"],
        };
        let named = self.id_field.as_deref();
        let fields = named.as_slice();
        let fields = if fields.is_empty() { usual } else { fields };
        let mut ids: Vec<String> = Vec::new();
        let found = fields
            .iter()
            .map(|field| row.values(field))
            .find(|values| values.iter().any(|value| !value.trim().is_empty()));
        for value in found.unwrap_or_default() {
            let id = value.trim();
            if !id.is_empty() && !ids.iter().any(|other| other == id) {
                ids.push(id.to_owned());
            }
        }
        ids
    }
}

/// What the rows are about.
pub fn subject(word: Option<&str>) -> anyhow::Result<Subject> {
    match word.map(str::to_ascii_lowercase).as_deref() {
        None | Some("alert" | "alerts") => Ok(Subject::Alert),
        Some("incident" | "incidents") => Ok(Subject::Incident),
        Some(other) => bail!(
            "subject \"{}\" is unknown; use alert or incident",
            other.escape_debug()
        ),
    }
}

fn cells(ids: &[String], known: &HashMap<String, Live>, subject: Subject) -> Vec<Values> {
    if ids.is_empty() {
        let mut cells = vec![Values::new(); COLUMNS.len()];
        for (place, text) in [
            (1, "no_id".to_owned()),
            (
                2,
                format!("this row names no {subject}; name its field with id_field"),
            ),
        ] {
            if let Some(cell) = cells.get_mut(place) {
                cell.push(text);
            }
        }
        return cells;
    }
    let of = |column: &dyn Fn(&Live) -> Values| -> Values {
        let mut values: Values = Vec::new();
        for live in ids.iter().filter_map(|id| known.get(id)) {
            let own = column(live);
            // With several ids, the values of each column stay in their order.
            if own.is_empty() && ids.len() > 1 {
                values.push(String::new());
            }
            values.extend(own);
        }
        values
    };
    let said = |text: &Option<String>| -> Values { text.iter().cloned().collect() };
    vec![
        of(&|live| vec![live.id.clone()]),
        of(&|live| vec![live.result.clone()]),
        of(&|live| said(&live.message)),
        of(&|live| said(&live.status)),
        of(&|live| said(&live.classification)),
        of(&|live| said(&live.determination)),
        of(&|live| said(&live.assigned_to)),
        of(&|live| live.tags.clone()),
        of(&|live| match live.is_read() {
            true => vec![live.comment_count.to_string()],
            false => Vec::new(),
        }),
        of(&|live| said(&live.last_update)),
        of(&|live| said(&live.merged_into)),
    ]
}
