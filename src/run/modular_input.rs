//! Started by splunkd as a modular input: the scheme, and one poll of every
//! stanza on stdin.

use super::account;
use super::input::Input;
use super::stop::Stop;
use super::{exit, home, log};
use crate::defender::{Client, FeedSource, What};
use crate::ingest::{self, Checkpoint, Instant, Poll, Tally};
use crate::splunk::checkpoint::CheckpointFile;
use crate::splunk::events::{EventStream, Sourcetypes, Stamp};
use crate::splunk::input::Stanza;
use crate::splunk::{NAME, input, scheme, sourcetype};
use anyhow::{Context, anyhow};
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant as Timer};

/// `--scheme`.
pub fn introduce() -> ExitCode {
    let written = home::stdout().and_then(|mut out| out.write_all(scheme::scheme().as_bytes()));
    match written {
        Ok(()) => exit::WELL,
        Err(_) => exit::own_fault(),
    }
}

/// One poll of every stanza, one after the other; none stops the others.
pub fn run() -> ExitCode {
    log::start();
    let input = match input::read(io::stdin().lock()) {
        Ok(input) => input,
        Err(error) => {
            tracing::error!("{error}");
            return exit::refused();
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("this process cannot be set up: {error}");
            return exit::own_fault();
        }
    };
    let code = runtime.block_on(async {
        let stop = Stop::listen();
        match stop.within(poll_all(&input, &stop)).await {
            Some(code) => code,
            // Blocked by a reader that reads no more: what is not confirmed is read again.
            None => {
                tracing::info!("stopped while events were being handed over");
                exit::WELL
            }
        }
    });
    // A write blocked by a full pipe must not keep the process alive.
    runtime.shutdown_background();
    code
}

async fn poll_all(input: &input::Input, stop: &Stop) -> ExitCode {
    let mut stream = None;
    let mut code = exit::WELL;
    for stanza in &input.stanzas {
        if *stop.asked().borrow() {
            break;
        }
        log::about(&stanza.full_name());
        if let Err(error) = poll_stanza(input, stanza, &mut stream, stop).await {
            tracing::error!("{error:#}");
            code = exit::refused();
        }
    }
    if let Some(stream) = stream
        && let Err(error) = EventStream::finish(stream)
    {
        tracing::error!("events cannot be handed over: {error}");
        code = exit::refused();
    }
    code
}

/// A stanza, ready to be polled.
struct Feeding {
    input: Input,
    tenant: String,
    source: FeedSource,
    client: Client,
}

impl Feeding {
    async fn prepare(input: &input::Input, stanza: &Stanza, now: Instant) -> anyhow::Result<Self> {
        let settings = Input::parse(stanza, now)?;
        let splunkd = account::splunkd(
            &input.server_uri,
            input.session_key.clone(),
            account::PATIENCE,
        )?;
        let shared = account::settings(&splunkd).await?;
        let account = account::account(&splunkd, &shared, &settings.account).await?;
        let state = home::state();
        let client = Client::new(&account, settings.feed.family(), state.as_deref())?;
        Ok(Self {
            tenant: account.tenant_id,
            source: FeedSource::new(client.clone(), settings.feed.clone()),
            client,
            input: settings,
        })
    }

    fn stamp(&self, stanza: &Stanza) -> Stamp {
        let alert = match (self.input.feed.family(), self.input.feed.what()) {
            (crate::defender::Family::Mde, What::Alerts) => sourcetype::ENDPOINT_ALERT,
            _ => sourcetype::ALERT,
        };
        Stamp {
            stanza: stanza.full_name(),
            source: format!("{NAME}:{}:{}", self.input.feed_name(), self.tenant),
            index: stanza.index().map(str::to_owned),
            host: stanza.host().map(str::to_owned),
            sourcetypes: Sourcetypes {
                alert: alert.to_owned(),
                incident: sourcetype::INCIDENT.to_owned(),
            },
        }
    }
}

async fn poll_stanza(
    input: &input::Input,
    stanza: &Stanza,
    stream: &mut Option<EventStream<File>>,
    stop: &Stop,
) -> anyhow::Result<()> {
    let timer = Timer::now();
    let now = Instant::from(jiff::Timestamp::now());
    let feeding = Feeding::prepare(input, stanza, now).await?;
    if let Some(notice) = feeding.input.feed.notice() {
        tracing::warn!("{notice}");
    }
    let file = CheckpointFile::open(&input.checkpoint_dir, &stanza.name)?;
    let identity = format!("{} of tenant {}", feeding.input.feed, feeding.tenant);
    let mut checkpoint = match file.load()? {
        None => Checkpoint::new(&identity, feeding.input.start.at(now)),
        Some(text) => Checkpoint::read(&text, &identity)
            .with_context(|| format!("checkpoint {}", file.path().display()))?,
    };
    let stamp = feeding.stamp(stanza);
    let sink = match stream.take() {
        Some(mut stream) => {
            stream.restamp(&stamp);
            stream
        }
        None => EventStream::open(home::stdout()?, &stamp)?,
    };
    let poll = Poll {
        now,
        settle: feeding.input.settle,
        overlap: feeding.input.overlap,
    };
    let mut tally = Tally::default();
    let (hands, outcome) = ingest::pull(
        &feeding.source,
        sink,
        file,
        &mut checkpoint,
        poll,
        stop.asked(),
        &mut tally,
    )
    .await;
    let error = outcome.err().map(|error| anyhow!(error));
    let Some((mut sink, _file)) = hands else {
        return Err(error.unwrap_or_else(|| anyhow!("the event stream was lost")));
    };
    let health = Health::new(
        stanza,
        &feeding,
        &checkpoint,
        &tally,
        now,
        timer.elapsed(),
        &error,
    );
    tracing::info!("{}", health.sentence());
    let handed_over = health.hand_over(&mut sink);
    *stream = Some(sink);
    match (error, handed_over) {
        (Some(error), _) => Err(error),
        (None, handed_over) => Ok(handed_over?),
    }
}

/// One summary per run, for the health pages and for alerting on a feed that
/// has fallen silent.
#[derive(serde::Serialize)]
struct Health<'h> {
    time: Instant,
    stanza: String,
    account: &'h str,
    tenant: &'h str,
    feed: &'static str,
    api: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    events: u64,
    #[serde(flatten)]
    tally: &'h Tally,
    calls: u64,
    throttles: u64,
    retries: u64,
    tokens: u64,
    bytes_received: u64,
    /// Windows still waiting to be asked for again.
    open_gaps: usize,
    watermark: Option<Instant>,
    /// Seconds between the newest object delivered and this run.
    lag: Option<i64>,
    duration_ms: u128,
    version: &'static str,
}

impl<'h> Health<'h> {
    fn new(
        stanza: &Stanza,
        feeding: &'h Feeding,
        checkpoint: &Checkpoint,
        tally: &'h Tally,
        now: Instant,
        took: Duration,
        error: &Option<anyhow::Error>,
    ) -> Self {
        let calls = feeding.client.calls();
        Self {
            time: now,
            stanza: stanza.full_name(),
            account: &feeding.input.account,
            tenant: &feeding.tenant,
            feed: feeding.input.feed_name(),
            api: feeding.input.feed.family().name(),
            outcome: match (error, tally.stopped) {
                (Some(_), _) => "error",
                (None, true) => "stopped",
                (None, false) => "ok",
            },
            error: error.as_ref().map(|error| format!("{error:#}")),
            events: tally.events(),
            tally,
            calls: calls.calls,
            throttles: calls.throttles,
            retries: calls.retries,
            tokens: calls.tokens,
            bytes_received: calls.bytes,
            open_gaps: checkpoint.gaps.len(),
            watermark: checkpoint.watermark,
            lag: checkpoint
                .watermark
                .map(|newest| (now.millis() - newest.millis()) / 1000),
            duration_ms: took.as_millis(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    fn sentence(&self) -> String {
        format!(
            "{}: {} events ({} alerts, {} incidents, {} quarantined) in {} calls and {} ms",
            self.outcome,
            self.events,
            self.tally.alerts,
            self.tally.incidents,
            self.tally.quarantined,
            self.calls,
            self.duration_ms
        )
    }

    fn hand_over(&self, sink: &mut EventStream<File>) -> io::Result<()> {
        let json = serde_json::to_string(self)?;
        sink.note(sourcetype::HEALTH, self.time, &json)?;
        ingest::Sink::flush(sink)
    }
}
