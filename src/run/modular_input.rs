//! Started by splunkd as a modular input: the scheme, and one poll of every
//! stanza on stdin.

use super::account;
use super::health::{Begun, Health};
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
pub struct Feeding {
    pub input: Input,
    pub tenant: String,
    source: FeedSource,
    pub client: Client,
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

/// One poll of one stanza, and its summary, also when it could not begin.
async fn poll_stanza(
    input: &input::Input,
    stanza: &Stanza,
    stream: &mut Option<EventStream<File>>,
    stop: &Stop,
) -> anyhow::Result<()> {
    let begun = Begun::now();
    let prepared = prepare(input, stanza, begun.at).await;
    let stamp = match &prepared {
        Ok((feeding, ..)) => feeding.stamp(stanza),
        Err(_) => unfed(stanza),
    };
    let sink = match stream.take() {
        Some(mut stream) => {
            stream.restamp(&stamp);
            stream
        }
        None => EventStream::open(home::stdout()?, &stamp)?,
    };
    let (mut sink, health, error) = match prepared {
        Err(error) => (sink, Health::unfed(stanza, &begun, &error), Some(error)),
        Ok((feeding, file, mut checkpoint)) => {
            let poll = Poll {
                now: begun.at,
                settle: feeding.input.settle,
                overlap: feeding.input.overlap,
            };
            let mut tally = Tally::default();
            let asked = stop.asked();
            let pulled = ingest::pull(
                &feeding.source,
                sink,
                file,
                &mut checkpoint,
                poll,
                asked,
                &mut tally,
            );
            let (hands, outcome) = pulled.await;
            let error = outcome.err().map(|error| anyhow!(error));
            let Some((sink, _)) = hands else {
                return Err(error.unwrap_or_else(|| anyhow!("the event stream was lost")));
            };
            let health = Health::of(stanza, &feeding, &checkpoint, tally, &begun, error.as_ref());
            tracing::info!("{}", health.sentence());
            (sink, health, error)
        }
    };
    let handed_over = health.hand_over(&mut sink);
    *stream = Some(sink);
    match error {
        Some(error) => Err(error),
        None => Ok(handed_over?),
    }
}

type Prepared = (Feeding, CheckpointFile, Checkpoint);

/// Everything a poll needs, before the first page is asked for.
async fn prepare(input: &input::Input, stanza: &Stanza, now: Instant) -> anyhow::Result<Prepared> {
    let feeding = Feeding::prepare(input, stanza, now).await?;
    if let Some(notice) = feeding.input.feed.notice() {
        tracing::warn!("{notice}");
    }
    let file = CheckpointFile::open(&input.checkpoint_dir, &stanza.name)?;
    let identity = format!("{} of tenant {}", feeding.input.feed, feeding.tenant);
    let checkpoint = match file.load()? {
        None => Checkpoint::new(&identity, feeding.input.start.at(now)),
        Some(text) => Checkpoint::read(&text, &identity)
            .with_context(|| format!("checkpoint {}", file.path().display()))?,
    };
    Ok((feeding, file, checkpoint))
}

/// For the summary of a stanza that cannot be read.
fn unfed(stanza: &Stanza) -> Stamp {
    Stamp {
        stanza: stanza.full_name(),
        source: NAME.to_owned(),
        index: stanza.index().map(str::to_owned),
        host: stanza.host().map(str::to_owned),
        sourcetypes: Sourcetypes {
            alert: sourcetype::ALERT.to_owned(),
            incident: sourcetype::INCIDENT.to_owned(),
        },
    }
}
