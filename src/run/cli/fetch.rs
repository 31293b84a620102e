//! `fetch`: a feed as one JSON object per line on stdout: what a list holds, or once through
//! what lies in a stream.

use crate::bridge::input::settings::{self, Start, span};
use crate::bridge::input::stream::{Fetched, Once, Source};
use crate::host::stop::Stop;
use crate::host::{exit, paths, runtime};
use crate::ingest;
use crate::ingest::{Checkpoint, Event, Instant, Kind, Poll, Sink, Store, Tally};
use crate::microsoft::{Client, Feed, FeedSource};
use crate::run::cli::account_arguments::AccountArguments;
use crate::run::cli::stream_arguments::{StreamArguments, option};
use crate::splunk::modular_input::checkpoint_file::CheckpointFile;
use anyhow::{Context, anyhow, bail};
use clap::Args;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct Arguments {
    /// What to read: a list of Defender's, or a stream
    #[arg(long, value_parser = ["alerts", "incidents", "event_hub", "storage"], default_value = "alerts")]
    feed: String,
    /// Through which of Microsoft's APIs: mde for alerts only, xdr for incidents only
    #[arg(long, value_parser = ["graph", "mde", "xdr"], default_value = "graph")]
    api: String,
    /// Where to begin: an instant (2026-11-01T00:00:00Z), a day (2026-11-01, UTC) or an age (-7d);
    /// of a stream also earliest
    #[arg(
        long,
        value_name = "START",
        default_value = "-7d",
        allow_hyphen_values = true
    )]
    start: String,
    /// How far behind now to stop (such as 60s)
    #[arg(long, value_name = "SPAN", default_value = "0s")]
    settle: String,
    /// Only this severity and above: informational, low, medium or high; not with --api xdr
    #[arg(long, value_name = "SEVERITY")]
    min_severity: Option<String>,
    /// Only alerts of these services, comma separated, such as microsoftDefenderForEndpoint;
    /// Graph alerts only
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    service_sources: Vec<String>,
    /// Remember in this folder what was read; the next call goes on from there
    #[arg(long, value_name = "FOLDER")]
    remember: Option<PathBuf>,
    /// Of a stream: end after so many records
    #[arg(long, value_name = "NUMBER")]
    records: Option<u64>,
    /// Of a stream: end after so long (such as 10m)
    #[arg(long, value_name = "SPAN")]
    within: Option<String>,
    /// Print the summary as JSON on stderr
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stream: StreamArguments,
    // Must come last: its heading would take in what follows.
    #[command(flatten)]
    account: AccountArguments,
}

pub fn run(arguments: Arguments) -> ExitCode {
    let json = arguments.json;
    let fetched = match arguments.feed.as_str() {
        "event_hub" | "storage" => follow(arguments).map(|fetched| {
            let summary = fetched.summary();
            summarise(&fetched, &summary, json);
        }),
        _ => fetch(arguments).map(|tally| {
            let summary = format!(
                "{} alerts, {} incidents, {} quarantined in {} pages",
                tally.delivered.alerts,
                tally.delivered.incidents,
                tally.delivered.quarantined,
                tally.pages
            );
            summarise(&tally, &summary, json);
        }),
    };
    match fetched {
        Ok(()) => exit::WELL,
        Err(error) => {
            tracing::error!("{error:#}");
            exit::refused()
        }
    }
}

fn summarise(tally: &impl serde::Serialize, summary: &str, json: bool) {
    if json && let Ok(text) = serde_json::to_string(tally) {
        let written = writeln!(io::stderr(), "{text}");
        drop(written);
    } else {
        tracing::info!("{summary}");
    }
}

/// Once through what lies in a stream.
fn follow(arguments: Arguments) -> anyhow::Result<Fetched> {
    let of_lists = [
        ("--api", arguments.api != "graph"),
        ("--settle", arguments.settle != "0s"),
        ("--min-severity", arguments.min_severity.is_some()),
        ("--service-sources", !arguments.service_sources.is_empty()),
        ("--remember", arguments.remember.is_some()),
    ];
    if let Some((option, _)) = of_lists.into_iter().find(|(_, given)| *given) {
        bail!("{option}: only used with --feed alerts or incidents: remove it");
    }
    let start = [("start", arguments.start.as_str())];
    let settings = arguments.stream.stream(&arguments.feed, &start)?;
    let within = arguments.within.as_deref().map(span).transpose();
    let within = within.map_err(|why| anyhow!("--within: {why}"))?;
    let account = arguments.account.account()?;
    let source = Source::open(&account, &settings)?;
    let runtime = runtime::new()?;
    let lines = Lines(BufWriter::with_capacity(64 * 1024, paths::stdout()?));
    let mut once = Once::new(lines, arguments.records);
    let outcome = runtime.block_on(async {
        let stop = Stop::listen();
        let reading = once.through(&source, settings.begin);
        let bounded = tokio::time::timeout(within.unwrap_or(Duration::MAX), reading);
        match stop.within(bounded).await {
            Some(Ok(read)) => read,
            // Time is up, or somebody asked to stop.
            Some(Err(_)) | None => Ok(()),
        }
    });
    runtime.shutdown_background();
    let fetched = once.end();
    outcome.and(fetched)
}

fn fetch(arguments: Arguments) -> anyhow::Result<Tally> {
    let of_streams = [
        ("--records", arguments.records.is_some()),
        ("--within", arguments.within.is_some()),
    ];
    let of_streams = of_streams.into_iter().find(|(_, given)| *given);
    let of_streams = of_streams.map(|(option, _)| option.to_owned());
    if let Some(option) = of_streams.or_else(|| arguments.stream.given().map(option)) {
        bail!("{option}: only used with --feed event_hub or storage: remove it");
    }
    let now = Instant::from(jiff::Timestamp::now()).millisecond();
    let subject = settings::subject(&arguments.feed).context("feed: not alerts, not incidents")?;
    let api = settings::api(&arguments.api).context("api: not graph, mde or xdr")?;
    let feed = Feed::new(
        api,
        subject,
        arguments.min_severity.as_deref(),
        &arguments.service_sources,
    )?;
    let start = Start::parse(&arguments.start, now).map_err(|why| anyhow!("--start: {why}"))?;
    let settle = span(&arguments.settle).map_err(|why| anyhow!("--settle: {why}"))?;
    let account = arguments.account.account()?;
    let identity = format!("{feed} of tenant {}", account.tenant_id);
    let checkpoint_store = match &arguments.remember {
        None => CheckpointStore::None,
        Some(folder) => CheckpointStore::File(CheckpointFile::open(folder, &identity)?),
    };
    let mut checkpoint = match checkpoint_store.load()? {
        Some(text) => Checkpoint::read(&text, &identity).context("the remembered state")?,
        None => Checkpoint::new(&identity, start.at(now)),
    };
    let client = Client::new(&account, api, paths::state().as_deref())?;
    let runtime = runtime::new()?;
    let mut tally = Tally::default();
    let poll = Poll {
        now,
        settle,
        overlap: Duration::from_secs(900),
    };
    let outcome = runtime.block_on(async {
        let stop = Stop::listen();
        let source = FeedSource::new(client, feed);
        let lines = Lines(BufWriter::with_capacity(64 * 1024, paths::stdout()?));
        let pulled = ingest::pull(
            &source,
            lines,
            checkpoint_store,
            &mut checkpoint,
            poll,
            ingest::Bounds::none(stop.asked()),
            &mut tally,
        );
        match stop.within(pulled).await {
            Some((_, outcome)) => outcome.map_err(|error| anyhow!(error)),
            None => Ok(()),
        }
    });
    runtime.shutdown_background();
    outcome.map(|()| tally)
}

/// Where the checkpoint is kept from one call to the next, if anywhere.
enum CheckpointStore {
    None,
    File(CheckpointFile),
}

impl CheckpointStore {
    fn load(&self) -> io::Result<Option<String>> {
        match self {
            Self::None => Ok(None),
            Self::File(file) => file.load(),
        }
    }
}

impl Store for CheckpointStore {
    fn save(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::File(file) => file.save(text),
        }
    }
}

/// One object a line. A line end inside a JSON document is white space between
/// two tokens, so a blank takes its place.
struct Lines(BufWriter<File>);

impl Sink for Lines {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if event.kind == Kind::Quarantined {
            tracing::warn!(
                "an element was left out: {}",
                event.why.unwrap_or("no reason given")
            );
            return Ok(());
        }
        for piece in event.raw {
            let mut rest = piece.as_bytes();
            while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
                let (line, after) = rest.split_at(end);
                self.0.write_all(line)?;
                self.0.write_all(b" ")?;
                rest = after.get(1..).unwrap_or_default();
            }
            self.0.write_all(rest)?;
        }
        self.0.write_all(b"\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
