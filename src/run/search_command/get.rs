//! `... | defenderget account=<name>`: what Defender says now, beside what the
//! rows say. Each id is asked for once in a search.
//!
//! Its columns begin with `defender_live_`: a row's `defender_status` is what
//! somebody wants set, and a later `defenderupdate` would obey it.

use super::arguments::Arguments;
use super::talk::{Halt, Talk};
use super::{Session, account};
use crate::defender::{Client, Family, FamilyDesk};
use crate::run::home;
use crate::splunk::chunked::{Invocation, Level, Message, Table, Values};
use crate::splunk::results::Row;
use crate::triage::{Api, Desk, DeskError, Outcome, State, Subject, Target};
use anyhow::bail;
use std::collections::{BTreeSet, HashMap};
use std::io::Write;

const KNOWN: [&str; 4] = ["account", "subject", "api", "id_field"];

/// As the columns come behind the rows' own.
pub const COLUMNS: [&str; 11] = [
    "defender_live_id",
    "defender_live_read",
    "defender_live_message",
    "defender_live_status",
    "defender_live_classification",
    "defender_live_determination",
    "defender_live_assigned_to",
    "defender_live_tags",
    "defender_live_comments",
    "defender_live_last_update",
    "defender_live_merged_into",
];

/// Ids beyond it are no ids of Defender.
const LONGEST_ID: usize = 128;

#[derive(Debug)]
pub struct Wish {
    pub account: String,
    pub subject: Subject,
    pub api: Api,
    pub id_field: Option<String>,
}

/// What is known of a target.
type Known = Result<State, Unread>;

#[derive(Debug, Clone)]
pub struct Unread {
    pub outcome: Outcome,
    pub message: String,
}

/// What Defender says now, each id asked for once in a search.
pub struct Live<'w> {
    wish: &'w Wish,
    known: HashMap<String, Known>,
    /// Opened with the first id.
    desk: Option<FamilyDesk>,
}

impl<'w> Live<'w> {
    pub fn new(wish: &'w Wish) -> Self {
        Self {
            wish,
            known: HashMap::new(),
            desk: None,
        }
    }

    /// Asks for what is not known yet.
    pub async fn read<W: Write>(
        &mut self,
        ids: &[Vec<String>],
        call: &Invocation,
        talk: &Talk<W>,
    ) -> Result<(), Halt> {
        let wanted: Vec<Target> = ids
            .iter()
            .flatten()
            .filter(|id| !self.known.contains_key(*id))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|id| Target {
                subject: self.wish.subject,
                id: id.clone(),
            })
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let desk = match self.desk.take() {
            Some(open) => open,
            None => talk.unless_gone(self.wish.open(call)).await??,
        };
        let states = talk.unless_gone(self.wish.look(&desk, &wanted)).await?;
        let ids = wanted.into_iter().map(|target| target.id);
        self.known.extend(ids.zip(states));
        self.desk = Some(desk);
        Ok(())
    }

    pub fn get(&self, id: &str) -> Option<&Known> {
        self.known.get(id)
    }

    /// A row's cells of [`COLUMNS`].
    pub fn cells(&self, ids: &[String]) -> Vec<Values> {
        cells(ids, &self.known, self.wish.subject)
    }

    /// What could not be read, said once.
    pub fn unread(&self, command: &str) -> Vec<Message> {
        let unread = self.known.values().filter(|known| known.is_err()).count();
        if unread == 0 {
            return Vec::new();
        }
        vec![Message::new(
            Level::Warn,
            format!(
                "{command}: {unread} of {} {}s could not be read; defender_live_message says why",
                self.known.len(),
                self.wish.subject
            ),
        )]
    }
}

impl Wish {
    pub fn read(words: &[String]) -> anyhow::Result<Self> {
        let mut arguments = Arguments::read(words, &KNOWN)?;
        let subject = subject(arguments.take("subject").as_deref())?;
        let api = match arguments.get("api") {
            None => Api::Graph,
            Some(word) => {
                let known = [Api::Graph, Api::Mde, Api::Xdr]
                    .into_iter()
                    .filter(|api| api.serves(subject));
                let named = known
                    .clone()
                    .find(|api| api.as_str().eq_ignore_ascii_case(word));
                let Some(api) = named else {
                    let known: Vec<&str> = known.map(Api::as_str).collect();
                    bail!(
                        "api \"{}\" cannot be read for {subject}s; use {}",
                        word.escape_debug(),
                        known.join(" or ")
                    );
                };
                api
            }
        };
        Ok(Self {
            account: arguments.account()?.to_owned(),
            subject,
            api,
            id_field: arguments.take("id_field"),
        })
    }

    pub async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        talk: &mut Talk<W>,
    ) -> Result<(), Halt> {
        let mut live = Live::new(self);
        loop {
            let chunk = talk.next().await?;
            let table = Table::read(&chunk.body)?;
            let ids: Vec<Vec<String>> = table.rows().map(|row| self.ids(&row)).collect();
            live.read(&ids, call, talk).await?;
            let cells: Vec<Vec<Values>> = ids.iter().map(|ids| live.cells(ids)).collect();
            let messages = match chunk.finished {
                true => live.unread("defenderget"),
                false => Vec::new(),
            };
            talk.answer(chunk.finished, &messages, &table.widened(&COLUMNS, &cells)?)?;
            if chunk.finished {
                return Ok(());
            }
        }
    }

    async fn open(&self, call: &Invocation) -> anyhow::Result<FamilyDesk> {
        let session = Session::open(call).await?;
        let account = account::account(&session.splunkd, &session.settings, &self.account).await?;
        let family = match self.api {
            Api::Graph => Family::Graph,
            Api::Mde => Family::Mde,
            Api::Xdr => Family::Xdr,
        };
        let client = Client::new(&account, family, home::state().as_deref())?;
        Ok(FamilyDesk::new(client))
    }

    async fn look(&self, desk: &FamilyDesk, wanted: &[Target]) -> Vec<Known> {
        let (sound, unsound): (Vec<_>, Vec<_>) =
            (0..wanted.len()).partition(|place| wanted.get(*place).is_some_and(is_id));
        let targets: Vec<Target> = sound
            .iter()
            .filter_map(|place| wanted.get(*place).cloned())
            .collect();
        let mut states = desk.read_many(&targets).await.into_iter();
        let mut seen: Vec<(usize, Known)> = sound
            .into_iter()
            .map(|place| {
                let unread = |outcome, message| Unread { outcome, message };
                let known = match states.next() {
                    Some(Ok(state)) => Ok(state),
                    Some(Err(error)) => Err(unread(error.failing().into(), error.to_string())),
                    None => Err(unread(
                        Outcome::Failed,
                        "Defender's answer left it out".to_owned(),
                    )),
                };
                (place, known)
            })
            .collect();
        seen.extend(unsound.into_iter().map(|place| {
            let message = format!("this is no {} id", self.subject);
            let outcome = Outcome::Invalid;
            (place, Err(Unread { outcome, message }))
        }));
        seen.sort_by_key(|(place, _)| *place);
        seen.into_iter().map(|(_, known)| known).collect()
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

/// An id becomes part of an address and of a filter: what no id is made of does
/// not get there.
fn is_id(target: &Target) -> bool {
    let sound = |c: char| match target.subject {
        Subject::Alert => c.is_ascii_alphanumeric() || "-_.:~=+@|".contains(c),
        Subject::Incident => c.is_ascii_digit(),
    };
    target.id.len() <= LONGEST_ID && target.id.chars().all(sound)
}

fn cells(ids: &[String], known: &HashMap<String, Known>, subject: Subject) -> Vec<Values> {
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
    let of = |column: &dyn Fn(&str, &Known) -> Values| -> Values {
        let mut values: Values = Vec::new();
        for id in ids {
            let Some(known) = known.get(id) else {
                continue;
            };
            let own = column(id, known);
            // With several ids, the values of each column stay in their order.
            if own.is_empty() && ids.len() > 1 {
                values.push(String::new());
            }
            values.extend(own);
        }
        values
    };
    let state = |part: fn(&State) -> Values| {
        of(&move |_, known| known.as_ref().map(part).unwrap_or_default())
    };
    vec![
        of(&|id, _| vec![id.to_owned()]),
        of(&|_, known| match known {
            Ok(_) => vec!["ok".to_owned()],
            Err(unread) => vec![unread.outcome.to_string()],
        }),
        of(&|_, known| match known {
            Ok(_) => Vec::new(),
            Err(unread) => vec![unread.message.clone()],
        }),
        state(|state| said(&state.status)),
        state(|state| said(&state.classification)),
        state(|state| said(&state.determination)),
        state(|state| said(&state.assigned_to)),
        state(|state| state.tags.clone()),
        state(|state| vec![state.comments.len().to_string()]),
        state(|state| said(&state.updated)),
        state(|state| said(&state.merged_into)),
    ]
}

fn said(text: &Option<String>) -> Values {
    text.iter().cloned().collect()
}
