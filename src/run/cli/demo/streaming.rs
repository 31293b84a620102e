//! `demo --feed event_hub` and `demo --feed storage`: the tenant streams its records into
//! a hub or a storage account of its own, this executable follows that as splunkd would
//! have it, is stopped, follows on; then every record is counted on both sides.

use super::stage::Stage;
use super::{Arguments, Steps};
use crate::run::cli::print;
use crate::sandbox::{Settings, Tenant, event_hub, storage};
use crate::{disk, sandbox};
use anyhow::{Context, bail};
use comfy_table::{Attribute, Cell, CellAlignment, Color};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::time::Instant;

/// Where the tenant streams to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Feed {
    /// The event hub Defender streams into
    EventHub,
    /// The storage account Defender streams into
    Storage,
}

/// Steps of the stories until a record comes of them, at most.
const STEPS: usize = 1_000;

pub async fn follow(arguments: &Arguments, feed: Feed, steps: &Steps) -> anyhow::Result<Streamed> {
    let begun = Instant::now();
    let folder = disk::temporary().context("no folder for the demo's files")?;
    steps.now("starting a Defender tenant");
    let tenant = sandbox::start(Settings {
        alerts: arguments.alerts,
        seed: arguments.seed,
        event_hub: (feed == Feed::EventHub).then(event_hub::Settings::default),
        storage: (feed == Feed::Storage).then(storage::Settings::default),
        ..Settings::default()
    })
    .await?;
    let stage = Stage::set(&tenant, folder.path()).await?;
    let (place, parameters) = input(&tenant)?;
    let mut ledger = Ledger::default();
    ledger.learn(&tenant)?;
    if ledger.wanted == 0 {
        bail!(
            "--alerts {}: these stories tell nothing to stream",
            arguments.alerts
        );
    }
    steps.done(&format!(
        "a tenant is up on loopback, with {} records of {} tables in {place}",
        ledger.written,
        ledger.tables().len()
    ));

    let mut runs = Vec::new();
    steps.now("following it as splunkd would");
    runs.push(run(&stage, &parameters, &mut ledger, steps).await?);
    let again = match ledger.written - ledger.wanted {
        0 => String::new(),
        repeats => format!("; {repeats} had been written again, and are left out"),
    };
    let kilobytes = ledger.bytes / 1000;
    steps.done(&format!(
        "{} records in, {kilobytes} kB{again}",
        ledger.wanted
    ));

    steps.now("letting the stories go on");
    let before = ledger.wanted;
    for _ in 0..STEPS {
        if ledger.wanted > before {
            break;
        }
        tenant.advance();
        ledger.learn(&tenant)?;
    }
    let more = ledger.wanted - before;
    steps.done(&format!(
        "the run is stopped, the stories go on: {more} records more"
    ));
    steps.now("following on");
    runs.push(run(&stage, &parameters, &mut ledger, steps).await?);
    steps.done(&format!(
        "a second run goes on where the first one ended: {} records in",
        runs.last().copied().unwrap_or_default()
    ));
    steps.line.finish_and_clear();
    tenant.stop().await;
    Ok(Streamed::of(
        feed,
        &ledger,
        runs,
        begun.elapsed().as_secs_f64(),
    ))
}

/// Where the records lie, for people, and the parameters of an input that reads them.
fn input(tenant: &Tenant) -> anyhow::Result<(String, Vec<(&'static str, String)>)> {
    if let Some(hub) = tenant.event_hub() {
        let place = format!("{} partitions of an event hub", hub.partitions());
        let parameters = vec![
            ("feed", "event_hub".to_owned()),
            ("event_hub_namespace", hub.namespace().to_owned()),
            ("event_hub", hub.name().to_owned()),
        ];
        return Ok((place, parameters));
    }
    let storage = tenant.storage().context("the tenant streams nowhere")?;
    let tables = storage.containers().into_iter();
    let tables: Vec<String> = tables
        .filter(|name| name.starts_with("insights-"))
        .collect();
    let blobs: usize = tables.iter().map(|name| storage.blobs(name).len()).sum();
    let parameters = vec![
        ("feed", "storage".to_owned()),
        ("storage_account", storage.url().to_owned()),
    ];
    Ok((
        format!("{blobs} append blobs of a storage account"),
        parameters,
    ))
}

/// One run of the input, until everything is in; how many records it brought.
async fn run(
    stage: &Stage<'_>,
    parameters: &[(&str, String)],
    ledger: &mut Ledger,
    steps: &Steps,
) -> anyhow::Result<usize> {
    let before = ledger.came;
    stage
        .follow(parameters, |data| {
            ledger.take(data);
            steps.now(&format!("{} of {} records in", ledger.came, ledger.wanted));
            ledger.came >= ledger.wanted
        })
        .await
        .with_context(|| format!("{} of {} records came", ledger.came, ledger.wanted))?;
    Ok(ledger.came - before)
}

/// What was streamed, and what of it came.
#[derive(Default)]
struct Ledger {
    /// Whether the export writes some records again.
    repeats: bool,
    /// By the record itself, or, where some are written again, by what they have in common.
    records: BTreeMap<String, Entry>,
    /// Every text there is.
    texts: HashSet<String>,
    /// Records, and with those that were written again.
    wanted: usize,
    written: usize,
    came: usize,
    /// Came and were never written.
    foreign: usize,
    bytes: usize,
}

#[derive(Default)]
struct Entry {
    table: String,
    wanted: usize,
    came: usize,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(borrow)]
    properties: &'a RawValue,
}

impl Row<'_> {
    fn table(&self) -> String {
        self.category
            .trim_start_matches("AdvancedHunting-")
            .to_owned()
    }

    /// Storage: the export repeats records, each time in another envelope.
    fn key(&self, text: &str, repeats: bool) -> String {
        match repeats {
            true => format!("{}{}", self.category, self.properties.get()),
            false => text.to_owned(),
        }
    }
}

impl Ledger {
    /// Takes note of everything that was written so far.
    fn learn(&mut self, tenant: &Tenant) -> anyhow::Result<()> {
        let mut texts = Vec::new();
        if let Some(hub) = tenant.event_hub() {
            hub.records(|record| texts.push(record.text));
        }
        if let Some(storage) = tenant.storage() {
            storage.records(|record| texts.push(record.text));
        }
        self.repeats = tenant.storage().is_some();
        let repeats = self.repeats;
        for entry in self.records.values_mut() {
            entry.wanted = 0;
        }
        (self.written, self.texts) = (texts.len(), HashSet::new());
        for text in texts {
            let row: Row<'_> = serde_json::from_str(&text).context("a record of the tenant")?;
            let entry = self.records.entry(row.key(&text, repeats)).or_default();
            entry.table = row.table();
            entry.wanted = if repeats { 1 } else { entry.wanted + 1 };
            self.texts.insert(text);
        }
        self.wanted = self.records.values().map(|entry| entry.wanted).sum();
        Ok(())
    }

    /// Takes a record that came.
    fn take(&mut self, text: &str) {
        self.came += 1;
        self.bytes += text.len();
        let repeats = self.repeats;
        let known = serde_json::from_str::<Row<'_>>(text)
            .ok()
            .filter(|_| self.texts.contains(text))
            .and_then(|row| self.records.get_mut(&row.key(text, repeats)));
        match known {
            Some(entry) => entry.came += 1,
            None => self.foreign += 1,
        }
    }

    fn tables(&self) -> BTreeMap<String, Compared> {
        let mut tables: BTreeMap<String, Compared> = BTreeMap::new();
        for entry in self.records.values() {
            let table = tables.entry(entry.table.clone()).or_default();
            table.in_defender += entry.wanted;
            table.in_splunk += entry.came;
            table.equal += entry.wanted.min(entry.came);
            table.twice += entry.came.saturating_sub(entry.wanted);
        }
        tables
    }
}

#[derive(Debug, Default, Serialize)]
struct Compared {
    in_defender: usize,
    in_splunk: usize,
    equal: usize,
    twice: usize,
}

impl Compared {
    const fn agrees(&self) -> bool {
        self.equal == self.in_defender && self.twice == 0
    }
}

/// How the demo ended, table by table.
#[derive(Serialize)]
pub struct Streamed {
    feed: Feed,
    tables: BTreeMap<String, Compared>,
    records: usize,
    /// Written again by the export, and left out.
    repeats: usize,
    /// How many each run brought.
    runs: Vec<usize>,
    seconds: f64,
    pub equal: bool,
}

impl Streamed {
    fn of(feed: Feed, ledger: &Ledger, runs: Vec<usize>, seconds: f64) -> Self {
        let tables = ledger.tables();
        Self {
            feed,
            equal: ledger.foreign == 0 && tables.values().all(Compared::agrees),
            tables,
            records: ledger.wanted,
            repeats: ledger.written - ledger.wanted,
            runs,
            seconds,
        }
    }

    pub fn show(&self, json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if json {
            return print::json(&mut out, self);
        }
        let mut table = print::table();
        table.set_header(["", "in Defender", "in Splunk", "equal"]);
        for (name, compared) in &self.tables {
            let (mark, color) = match compared.agrees() {
                true => ("yes".to_owned(), Color::Green),
                false => {
                    let missing = compared.in_defender - compared.equal;
                    let twice = compared.twice;
                    (format!("{missing} missing, {twice} twice"), Color::Red)
                }
            };
            table.add_row([
                Cell::new(name),
                Cell::new(compared.in_defender).set_alignment(CellAlignment::Right),
                Cell::new(compared.in_splunk).set_alignment(CellAlignment::Right),
                Cell::new(mark).fg(color).add_attribute(Attribute::Bold),
            ]);
        }
        writeln!(out, "{table}")?;
        let records = self.records;
        match self.equal {
            true => write!(
                out,
                "Every one of {records} records is in, and none came twice."
            )?,
            false => write!(out, "Something is not as it should be.")?,
        }
        writeln!(out, " ({:.1} s)", self.seconds)
    }
}
