//! `demo`: the whole crossing in a few seconds. An embedded tenant raises
//! alerts; this executable, started as splunkd starts it, reads them, closes
//! some through the alert action and reads the change; then both sides are
//! compared.

use super::{exit, runtime};
use crate::sandbox::splunkd::{self, Known, Splunkd};
use crate::sandbox::{self, Family, Settings, Tenant};
use crate::splunk::{NAME, sourcetype};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use comfy_table::{Attribute, Cell, CellAlignment, Color, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

const ACCOUNT: &str = "contoso";
const ACTION: &str = "defender_update_alert";

#[derive(Debug, Args)]
pub struct Arguments {
    /// How many alerts the tenant raises
    #[arg(long, default_value_t = 400)]
    alerts: usize,
    /// Another seed tells other stories
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let runtime = match runtime::start() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let steps = Steps::new(arguments.json);
    match runtime.block_on(cross(arguments, &steps)) {
        Ok(story) if story.show(arguments.json).is_ok() => {
            if story.equal {
                exit::WELL
            } else {
                exit::own_fault()
            }
        }
        Ok(_) => exit::own_fault(),
        Err(error) => {
            steps.line.finish_and_clear();
            tracing::error!("{error:#}");
            exit::own_fault()
        }
    }
}

async fn cross(arguments: &Arguments, steps: &Steps) -> anyhow::Result<Story> {
    let begun = Instant::now();
    let folder = tempfile::tempdir().context("no folder for the demo's files")?;
    steps.now("starting a Defender tenant");
    let tenant = sandbox::start(Settings {
        alerts: arguments.alerts,
        seed: arguments.seed,
        ..Settings::default()
    })
    .await?;
    let stage = Stage::set(&tenant, folder.path()).await?;
    let census = tenant.census();
    steps.done(&format!(
        "a tenant is up on loopback: {} alerts in {} incidents",
        census.alerts.len(),
        census.incidents.len()
    ));

    let mut index = Index::default();
    for feed in ["alerts", "incidents"] {
        steps.now(&format!("reading {feed} as splunkd would"));
        let read = stage.poll(feed).await?;
        steps.done(&format!(
            "{} {feed} in, {} kB",
            read.len(),
            kilobytes(&read)
        ));
        index.take(&read);
    }
    steps.now("polling again");
    let idle = stage.poll("alerts").await?.len();
    steps.done(&format!("a second poll finds {idle} new events"));

    let chosen = index.largest_incident();
    steps.now("closing an attack story through the alert action");
    let outcomes = stage.close(&chosen).await?;
    steps.done(&format!(
        "{} verdicts sent: {}",
        chosen.len(),
        counted(&outcomes)
    ));

    steps.now("reading the change");
    let changed = stage.poll("alerts").await?;
    index.take(&changed);
    index.take(&stage.poll("incidents").await?);
    steps.done(&format!("{} changed alerts came back", changed.len()));

    steps.now("comparing both sides");
    let story = Story::of(&tenant, &index, &chosen, outcomes, idle, begun.elapsed());
    steps.line.finish_and_clear();
    tenant.stop().await;
    Ok(story)
}

/// The two sides this executable stands between.
struct Stage<'t> {
    folder: &'t Path,
    splunkd: Splunkd,
}

impl<'t> Stage<'t> {
    async fn set(tenant: &Tenant, folder: &'t Path) -> anyhow::Result<Self> {
        let ca_file = folder.join("ca.pem");
        std::fs::write(&ca_file, tenant.ca_pem())?;
        let url = tenant.url().to_owned();
        let settings = [
            ("tenant_id", tenant.tenant_id().to_owned()),
            ("client_id", tenant.client_id().to_owned()),
            ("auth", "secret".to_owned()),
            ("cloud", "custom".to_owned()),
            ("login_url", url.clone()),
            ("graph_url", url.clone()),
            ("mde_url", url.clone()),
            ("xdr_url", url),
            ("ca_file", ca_file.display().to_string()),
        ];
        let known = Known {
            account: ACCOUNT.to_owned(),
            settings: settings
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            secret: tenant.client_secret().to_owned(),
        };
        Ok(Self {
            folder,
            splunkd: splunkd::start(known).await?,
        })
    }

    /// One run of the modular input.
    async fn poll(&self, feed: &str) -> anyhow::Result<Vec<Seen>> {
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<input>\n\
             <server_host>demo</server_host>\n<server_uri>{}</server_uri>\n\
             <session_key>{}</session_key>\n<checkpoint_dir>{}</checkpoint_dir>\n\
             <configuration><stanza name=\"{NAME}://{feed}\" app=\"{NAME}\">\n\
             <param name=\"account\">{ACCOUNT}</param>\n<param name=\"feed\">{feed}</param>\n\
             <param name=\"start\">-30d</param>\n<param name=\"settle\">0s</param>\n\
             </stanza></configuration>\n</input>\n",
            self.splunkd.uri(),
            self.splunkd.session_key(),
            self.folder.join("checkpoints").display()
        );
        let out = self.start(&[], document.into_bytes(), &[0]).await?;
        let stream: Stream = quick_xml::de::from_str(&out).context("the event stream")?;
        Ok(stream
            .events
            .into_iter()
            .filter(|event| event.sourcetype != sourcetype::HEALTH)
            .collect())
    }

    /// One run of the alert action over all these alerts.
    async fn close(&self, alerts: &BTreeSet<String>) -> anyhow::Result<BTreeMap<String, usize>> {
        let results = self.folder.join("results.csv.gz");
        let file = std::fs::File::create(&results)?;
        let packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let mut rows = csv::Writer::from_writer(packed);
        rows.write_record(["_time", "id", "__mv_id"])?;
        for id in alerts {
            rows.write_record(["1700000000", id, ""])?;
        }
        rows.into_inner()
            .map_err(|error| anyhow!("{}", error.error()))?
            .finish()?;
        let payload = serde_json::json!({
            "app": "search",
            "owner": "analyst",
            "server_host": "demo",
            "server_uri": self.splunkd.uri(),
            "session_key": self.splunkd.session_key(),
            "sid": "scheduler__analyst__search__demo",
            "search_name": "Close an attack story",
            "results_file": results,
            "configuration": {
                "account": ACCOUNT,
                "status": "resolved",
                "classification": "truePositive",
                "determination": "multiStagedAttack",
                "comment": "closed by the demo",
            },
        });
        self.start(
            &["alert-action", ACTION, "--execute"],
            payload.to_string().into_bytes(),
            &[0, 2],
        )
        .await?;
        let mut outcomes = BTreeMap::new();
        for event in self.splunkd.received() {
            if event.sourcetype == sourcetype::TRIAGE {
                let entry: Outcome = serde_json::from_str(&event.body)?;
                *outcomes.entry(entry.outcome).or_default() += 1;
            }
        }
        Ok(outcomes)
    }

    /// Starts this executable with what splunkd would write to its stdin.
    async fn start(&self, words: &[&str], stdin: Vec<u8>, well: &[i32]) -> anyhow::Result<String> {
        let executable = std::env::current_exe()?;
        let mut child = Command::new(executable)
            .args(words)
            .env("SPLUNK_HOME", self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(mut into), Some(mut out), Some(mut said)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            bail!("the child process has no pipes");
        };
        into.write_all(&stdin).await?;
        // An alert action reads to the end; an input stops at its end tag anyway.
        drop(into);
        let (mut events, mut words) = (String::new(), String::new());
        tokio::try_join!(
            out.read_to_string(&mut events),
            said.read_to_string(&mut words)
        )?;
        let status = child.wait().await?;
        if !status.code().is_some_and(|code| well.contains(&code)) {
            bail!("a child process ended with {status}:\n{words}");
        }
        Ok(events)
    }
}

#[derive(Deserialize)]
struct Stream {
    #[serde(rename = "event", default)]
    events: Vec<Seen>,
}

/// An event as it reached Splunk.
#[derive(Deserialize)]
struct Seen {
    sourcetype: String,
    data: String,
}

#[derive(Deserialize)]
struct Outcome {
    outcome: String,
}

/// The two characters UTF-8 can carry and XML cannot are escaped on the way.
fn as_xml_allows(text: &str) -> String {
    text.replace('\u{fffe}', "\\ufffe")
        .replace('\u{ffff}', "\\uffff")
}

fn kilobytes(events: &[Seen]) -> usize {
    events.iter().map(|event| event.data.len()).sum::<usize>() / 1000
}

fn counted(outcomes: &BTreeMap<String, usize>) -> String {
    let words: Vec<String> = outcomes
        .iter()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    words.join(", ")
}

/// What Splunk has: the latest event of every alert and incident.
#[derive(Default)]
struct Index {
    alerts: BTreeMap<String, String>,
    incidents: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    id: String,
    #[serde(default)]
    incident_id: Option<String>,
    #[serde(default)]
    service_source: String,
}

impl Index {
    fn take(&mut self, events: &[Seen]) {
        for event in events {
            let shelf = match event.sourcetype.as_str() {
                sourcetype::INCIDENT => &mut self.incidents,
                _ => &mut self.alerts,
            };
            if let Ok(Alert { id, .. }) = serde_json::from_str(&event.data) {
                shelf.insert(id, event.data.clone());
            }
        }
    }

    fn each_alert(&self) -> impl Iterator<Item = Alert> {
        self.alerts
            .values()
            .filter_map(|text| serde_json::from_str(text).ok())
    }

    /// The alerts of the incident that has most.
    fn largest_incident(&self) -> BTreeSet<String> {
        let mut incidents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for alert in self.each_alert() {
            if let Some(incident) = alert.incident_id {
                incidents.entry(incident).or_default().insert(alert.id);
            }
        }
        incidents
            .into_values()
            .max_by_key(BTreeSet::len)
            .unwrap_or_default()
    }
}

/// How it ended, service by service.
#[derive(Serialize)]
struct Story {
    services: BTreeMap<String, Service>,
    outcomes: BTreeMap<String, usize>,
    idle_events: usize,
    seconds: f64,
    equal: bool,
}

#[derive(Default, Serialize)]
struct Service {
    in_defender: usize,
    in_splunk: usize,
    closed: usize,
    equal: usize,
}

impl Story {
    fn of(
        tenant: &Tenant,
        index: &Index,
        chosen: &BTreeSet<String>,
        outcomes: BTreeMap<String, usize>,
        idle_events: usize,
        took: Duration,
    ) -> Self {
        let census = tenant.census();
        let mut services: BTreeMap<String, Service> = BTreeMap::new();
        let mut sides_agree = true;
        let mut compare =
            |name: String, id: &str, there: Option<String>, here: Option<&String>, closed| {
                let service = services.entry(name).or_default();
                service.in_defender += 1;
                service.in_splunk += usize::from(here.is_some());
                service.closed += usize::from(closed);
                let equal = there.is_some_and(|there| Some(&as_xml_allows(&there)) == here);
                service.equal += usize::from(equal);
                if !equal {
                    tracing::warn!("{id} differs between Defender and Splunk");
                }
                sides_agree &= equal;
            };
        for record in &census.alerts {
            let there = tenant.alert_text(Family::Graph, &record.id);
            let name = there
                .as_deref()
                .and_then(|text| serde_json::from_str::<Alert>(text).ok())
                .map_or_else(|| "unknown".to_owned(), |alert| alert.service_source);
            let closed = chosen.contains(&record.id) && record.status == "resolved";
            compare(
                name,
                &record.id,
                there,
                index.alerts.get(&record.id),
                closed,
            );
        }
        for record in &census.incidents {
            let there = tenant.incident_text(Family::Graph, &record.id, false);
            let here = index.incidents.get(&record.id);
            compare("incidents".to_owned(), &record.id, there, here, false);
        }
        let closed: usize = services.values().map(|service| service.closed).sum();
        Self {
            equal: sides_agree && idle_events == 0 && closed == chosen.len() && closed > 0,
            services,
            outcomes,
            idle_events,
            seconds: took.as_secs_f64(),
        }
    }

    fn show(&self, json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if json {
            serde_json::to_writer_pretty(&mut out, self)?;
            return writeln!(out);
        }
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY.to_owned());
        table.set_header([
            "",
            "in Defender",
            "in Splunk",
            "closed from Splunk",
            "equal",
        ]);
        for (name, service) in &self.services {
            let all = service.equal == service.in_defender;
            let mark = if all {
                "yes".to_owned()
            } else {
                format!("{} differ", service.in_defender - service.equal)
            };
            table.add_row([
                Cell::new(name),
                Cell::new(service.in_defender).set_alignment(CellAlignment::Right),
                Cell::new(service.in_splunk).set_alignment(CellAlignment::Right),
                Cell::new(service.closed).set_alignment(CellAlignment::Right),
                Cell::new(mark)
                    .fg(if all { Color::Green } else { Color::Red })
                    .add_attribute(Attribute::Bold),
            ]);
        }
        writeln!(out, "{table}")?;
        let verdict = if self.equal {
            "Every alert is in, every verdict is back, both sides are equal."
        } else {
            "The two sides differ."
        };
        writeln!(out, "{verdict} ({:.1} s)", self.seconds)
    }
}

/// What is going on, for a person who watches.
struct Steps {
    line: ProgressBar,
    quiet: bool,
}

impl Steps {
    fn new(json: bool) -> Self {
        let line = if json || !io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg}") {
            line.set_style(style);
        }
        line.enable_steady_tick(Duration::from_millis(80));
        Self { line, quiet: json }
    }

    fn now(&self, what: &str) {
        self.line.set_message(what.to_owned());
    }

    fn done(&self, what: &str) {
        if self.quiet {
            return;
        }
        self.line.suspend(|| {
            let written = writeln!(io::stderr(), "  ✓ {what}");
            drop(written);
        });
    }
}
