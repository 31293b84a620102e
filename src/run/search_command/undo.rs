//! `| defenderundo batch=<id>`: reads a batch of verdicts from the ledger, and takes back
//! what it changed and nobody has touched since; one row per target.

use crate::bridge::permission::Caller;
use crate::bridge::signature::Authentic;
use crate::bridge::verdict::authenticity::Judge;
use crate::bridge::verdict::deadline::Deadline;
use crate::bridge::verdict::dispatch::Dispatcher;
use crate::bridge::verdict::job::Job;
use crate::bridge::verdict::ledger;
use crate::run::search_command::arguments::Arguments;
use crate::run::search_command::session::{Ended, Session};
use crate::run::search_command::{Command, batch, evidence, open};
use crate::splunk::search_command::{Invocation, Kind, Level, Message, Values};
use crate::splunk::sourcetype;
use crate::splunk::splunkd::{Events, MOST_EVENTS, Search, Splunkd};
use crate::triage::{
    ENTRIES, Entry, Fields, Form, Outcome, Restoration, Row, Subject, Summary, UNDOES, Undo,
};
use crate::{NAME, triage};
use anyhow::{anyhow, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

const COMMAND: &str = "defenderundo";

const KNOWN: [&str; 6] = [
    "batch",
    "index",
    "earliest",
    "dry_run",
    "max_targets",
    "comment",
];

/// A search has no time limit of its own.
const DEADLINE: Duration = Duration::from_secs(1800);

/// How far back the ledger is read, unless the caller says.
const EARLIEST: &str = "-30d";
/// An outcome carries the clock of the machine that recorded it, which may be ahead.
const LATEST: &str = "+1d";

const COLUMNS: [&str; 12] = [
    "defender_subject",
    "defender_target",
    "defender_account",
    "defender_outcome",
    "defender_message",
    "defender_not_undone",
    "defender_changed",
    "defender_before",
    "defender_after",
    "defender_verified",
    "defender_request_id",
    "defender_batch",
];

#[derive(Debug)]
pub struct Args {
    batch: String,
    /// Where the outcomes are; if not given, the app's macro says.
    index: Option<String>,
    earliest: String,
    comment: Option<String>,
    /// The parameters of the form among the arguments.
    parameters: Vec<(&'static str, String)>,
    /// The parameters as they were read, with the batch that is undone.
    form: Form,
}

impl Command for Args {
    const KIND: Kind = Kind::GENERATING;

    fn read(words: &[String]) -> anyhow::Result<Self> {
        let mut arguments = Arguments::read(words, &KNOWN)?;
        let Some(batch) = arguments.take("batch") else {
            bail!(
                "batch is missing: write batch=\"<id>\"; rows of defenderupdate have it as defender_batch, the events of sourcetype {} as batch",
                sourcetype::TRIAGE
            );
        };
        let batch = triage::batch(&batch).map_err(|error| anyhow!("batch: {error}"))?;
        let index = arguments.take("index");
        if let Some(index) = index.as_ref().filter(|index| !is_index(index)) {
            bail!(
                "index: \"{}\" is no index: 80 letters, digits, _, - and * at most",
                shown(index)
            );
        }
        let earliest = arguments.take("earliest");
        let earliest = earliest.unwrap_or_else(|| EARLIEST.to_owned());
        if !is_time(&earliest) {
            bail!(
                "earliest: \"{}\" is no time Splunk knows: write for example -7d, -24h@h or 2026-01-31T00:00:00Z",
                shown(&earliest)
            );
        }
        let parameters = ["dry_run", "max_targets"]
            .into_iter()
            .filter_map(|name| Some((name, arguments.take(name)?)))
            .chain([(UNDOES, batch.clone())])
            .collect::<Vec<_>>();
        let texts = parameters.iter().map(|(name, text)| (*name, text.as_str()));
        // The rows say the accounts.
        let form = Form::parse(Subject::Alert, BTreeSet::new(), texts)?;
        let comment = arguments.take("comment");
        // The rows that restore something carry it; it is judged here once.
        if let Some(comment) = &comment {
            let comment = [("comment", comment.as_str())];
            Form::parse(Subject::Alert, BTreeSet::new(), comment)?;
        }
        Ok(Self {
            batch,
            index,
            earliest,
            comment,
            parameters,
            form,
        })
    }

    async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended> {
        let preview = session.next().await?.preview;
        if call.preview || preview {
            let text = "defenderundo: this is a preview, nothing was written";
            return session.answer(true, &[Message::new(Level::Info, text)], &[]);
        }
        let opening = async |splunkd| self.open(call, splunkd).await;
        let mut open = open(call, session, opening).await?;
        let mut messages = self.warnings(&open);
        if open.undo.restorations.is_empty() {
            messages.push(Message::new(Level::Info, self.nothing(&open.undo)));
            return session.answer(true, &messages, &[]);
        }
        let deadline = Deadline::of(DEADLINE).until(session.cancelled());
        let (total, ended) = undo(self.rows(&open.undo), &mut open, &deadline).await?;
        tracing::info!("batch {}: {total}", self.batch);
        messages.push(self.summary(&open.undo, &total));
        let mut row_writer = session.row_writer(call, &COLUMNS);
        let restorations = open.undo.restorations.iter();
        for ((restoration, outcome), entry) in restorations.zip(&total.rows).zip(&ended) {
            let batch = open.dispatcher.batch();
            let cells = cells(restoration, *outcome, entry.as_ref(), batch);
            row_writer.put(&cells).await?;
        }
        row_writer.end(&messages)
    }
}

impl Args {
    /// Whether the arguments say if it is a dry run.
    fn says_whether(&self) -> bool {
        self.parameters
            .iter()
            .any(|(name, text)| *name == "dry_run" && !text.trim().is_empty())
    }

    /// Where the outcomes are looked for, in Splunk's search language.
    fn place(&self) -> String {
        match &self.index {
            Some(index) => format!("index={index}"),
            None => format!("`{NAME}_index`"),
        }
    }

    /// Reads everything that must be known before anything is written.
    async fn open(&self, call: &Invocation, splunkd: Splunkd) -> anyhow::Result<Open> {
        let caller = Caller::who_may_write(&splunkd).await?;
        // Read before the search, which finds what is handed over meanwhile.
        let waiting = ledger::waiting(&self.batch);
        let text = format!(
            "search {} sourcetype=\"{}\" source=\"{NAME}:*\" batch=\"{}\" | fields _raw",
            self.place(),
            sourcetype::TRIAGE,
            self.batch
        );
        let search = Search {
            what: "find the outcomes of a batch",
            user: &caller.user,
            text: &text,
            earliest: &self.earliest,
            latest: LATEST,
        };
        let events = splunkd.search(search).await?;
        let all: Vec<&str> = events
            .raw
            .iter()
            .chain(&waiting)
            .map(String::as_str)
            .collect();
        let mut judge = Judge::of(splunkd.clone(), &caller).await;
        let judged = judge.judge(&all).await;
        let mut strange: BTreeMap<Authentic, usize> = BTreeMap::new();
        let mut ours = Vec::new();
        for (entry, judged) in all.iter().zip(judged) {
            match judged {
                Authentic::True => ours.push(*entry),
                other => *strange.entry(other).or_default() += 1,
            }
        }
        let mut undo = Undo::read(&self.batch, ours);
        if undo.outcomes.is_empty() && undo.unreadable == 0 && strange.is_empty() {
            bail!(
                "no outcome of batch \"{}\" is in {} since {}: check the id (the field batch of sourcetype {}), index and earliest, and that a role of user \"{}\" may search that index; outcomes can be found some seconds after they are written",
                self.batch,
                self.place(),
                self.earliest,
                sourcetype::TRIAGE,
                shown(&caller.user)
            );
        }
        // Incidents first: if the rows go in parts, none comes in a part after its alerts.
        undo.restorations
            .sort_by_key(|restoration| restoration.subject == Subject::Alert);
        let anothers = undo.actors.iter().any(|actor| *actor != caller.user);
        let dry_run = anothers && !self.says_whether();
        let (job, form) = self.job(call, dry_run);
        Ok(Open {
            dry_run,
            why: judge.why().map(str::to_owned),
            dispatcher: Dispatcher::of(splunkd, caller, job, Some(form)).await?,
            events,
            undo,
            strange,
        })
    }

    /// The job of no rows, and its form. Alerts and incidents go in one job: what
    /// restoring an incident does to its alerts is then told from what a colleague did.
    fn job(&self, call: &Invocation, dry_run: bool) -> (Job, Form) {
        let parameters = self.parameters.iter();
        let parameters = parameters.map(|(name, text)| (*name, text.as_str()));
        let mut form = self.form.clone();
        let mut texts = Fields::single(parameters);
        if dry_run {
            texts.insert("dry_run", vec!["true".to_owned()]);
            form.dry_run_unless_said();
        }
        let job = Job {
            batch: Some(batch(COMMAND, call)),
            sid: call.sid.clone(),
            ..Job::new(COMMAND, Subject::Alert, texts)
        };
        (job, form)
    }

    /// Each row holds the entries of one target: the executor judges them, and reads
    /// from them what is asked for.
    fn rows(&self, undo: &Undo) -> Vec<Row> {
        let comment = self.comment.as_ref();
        let row = |restoration: &Restoration| {
            let entries = (ENTRIES.to_owned(), restoration.entries.clone());
            let comment = comment.map(|text| ("defender_comment".to_owned(), vec![text.clone()]));
            Row::new([entries].into_iter().chain(comment))
        };
        undo.restorations.iter().map(row).collect()
    }

    /// What was not read from the ledger, or is not undone, and why.
    fn warnings(&self, open: &Open) -> Vec<Message> {
        let Open { events, undo, .. } = open;
        let names = |names: &BTreeSet<String>| {
            let names: Vec<String> = names.iter().take(5).map(|name| shown(name)).collect();
            names.join(", ")
        };
        let mut warnings = Vec::new();
        let mut warn = |text: String| {
            warnings.push(Message::new(Level::Warn, format!("{COMMAND}: {text}")));
        };
        for warning in &events.warnings {
            warn(format!("the ledger may be read in part only: {warning}"));
        }
        if events.raw.len() >= MOST_EVENTS {
            warn(format!(
                "the batch has {MOST_EVENTS} outcomes or more, and no search returns more: the others are not undone"
            ));
        }
        if open.dry_run && !undo.restorations.is_empty() {
            warn(format!(
                "the batch was asked for by {}, so this is a dry run and nothing was written: look at the rows, then add dry_run=false",
                names(&undo.actors)
            ));
        }
        for (judged, count) in &open.strange {
            let why = match judged {
                Authentic::Unsigned => "carry no signature of this app",
                Authentic::Unknown if open.why.is_some() => "cannot be judged here",
                Authentic::Unknown => "were signed with another key than this Splunk's",
                _ => {
                    "carry a signature that does not hold: they were altered or never were this app's"
                }
            };
            let why = match (&open.why, judged) {
                (Some(reason), Authentic::Unknown) => format!("{why} ({reason})"),
                _ => why.to_owned(),
            };
            warn(format!(
                "{count} events of the batch {why}; they are not undone"
            ));
        }
        if undo.unreadable > 0 {
            warn(format!(
                "{} events of the batch are no outcomes this version understands: they are passed over",
                undo.unreadable
            ));
        }
        if !undo.unknown.is_empty() {
            const SHOWN: usize = 10;
            let targets: Vec<&str> = undo
                .unknown
                .iter()
                .take(SHOWN)
                .map(String::as_str)
                .collect();
            warn(format!(
                "whether the batch changed {} targets was never known, and they are left alone: look at {}{}",
                undo.unknown.len(),
                targets.join(", "),
                if undo.unknown.len() > SHOWN {
                    ", …"
                } else {
                    ""
                }
            ));
        }
        warnings
    }

    fn nothing(&self, undo: &Undo) -> String {
        let counts = undo.outcomes.iter();
        let counts: Vec<String> = counts
            .map(|(outcome, count)| format!("{count} {outcome}"))
            .collect();
        if counts.is_empty() {
            return format!(
                "{COMMAND}: no outcome of batch {} is one this app stands for, so nothing is undone",
                self.batch
            );
        }
        format!(
            "{COMMAND}: batch {} changed nothing ({}), so there is nothing to undo",
            self.batch,
            counts.join(", ")
        )
    }

    fn summary(&self, undo: &Undo, total: &Summary) -> Message {
        let well = total.rows.iter().all(|row| row.is_well());
        let staying = undo.restorations.iter();
        let staying = staying.filter(|one| !one.stays.is_empty()).count();
        let mut text = format!("{COMMAND}: batch {}: {total}", self.batch);
        if staying > 0 {
            text += &format!("; of {staying} something stays: defender_not_undone says what");
        }
        match well {
            true => Message::new(Level::Info, text),
            false => Message::new(Level::Warn, text + "; defender_message says why"),
        }
    }
}

/// What is known before anything is written.
struct Open {
    dispatcher: Dispatcher,
    events: Events,
    /// What the entries with this app's signature come to.
    undo: Undo,
    /// How many events carry no good signature.
    strange: BTreeMap<Authentic, usize>,
    /// Why some signatures could not be judged.
    why: Option<String>,
    /// Whether this is a dry run, because it is another user's batch and the caller did not
    /// say dry_run=false.
    dry_run: bool,
}

/// Returns how every target ended, and the ledger's entry of it.
async fn undo(
    rows: Vec<Row>,
    open: &mut Open,
    deadline: &Deadline,
) -> anyhow::Result<(Summary, Vec<Option<Entry>>)> {
    let mut all: Vec<Option<Entry>> = vec![None; rows.len()];
    let mut on_outcome = |entry: &Entry| {
        let place = entry.row.checked_sub(1);
        if let Some(place) = place.and_then(|place| all.get_mut(place)) {
            *place = Some(entry.clone());
        }
    };
    let carried_out = open.dispatcher.carry_out(rows, deadline, &mut on_outcome);
    Ok((carried_out.await?, all))
}

/// Whether the text is an index or a pattern, with nothing that ends its field in a search.
fn is_index(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-*".contains(&byte);
    text.len() <= 80 && text.bytes().all(plain)
}

fn is_time(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-@:.".contains(&byte);
    text.len() <= 40 && text.bytes().all(plain)
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

fn cells(
    restoration: &Restoration,
    outcome: Outcome,
    entry: Option<&Entry>,
    batch: &str,
) -> Vec<Values> {
    let each = |part: &dyn Fn(&Entry) -> Option<String>| -> Values {
        entry.and_then(part).into_iter().collect()
    };
    let mut columns = vec![
        vec![restoration.subject.to_string()],
        vec![restoration.target.clone()],
        vec![restoration.account.clone()],
        vec![outcome.to_string()],
        each(&|entry| Some(entry.message.clone())),
        restoration.stays.clone(),
    ];
    columns.extend(evidence(each));
    columns.push(vec![batch.to_owned()]);
    columns
}
