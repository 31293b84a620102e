//! Started by splunkd as a modular input: the scheme, and one poll of every
//! stanza on stdin, or a run that follows a stream until it is asked to stop.

mod follow;
mod poll;

use crate::bridge::account;
use crate::bridge::input::health::{Begun, Health};
use crate::bridge::input::prepare::{Ownership, metadata};
use crate::bridge::input::settings::Input;
use crate::bridge::verdict::ledger;
use crate::host::stop::Stop;
use crate::host::{exit, log, paths, runtime};
use crate::splunk::modular_input::events::{EventMetadata, EventStream};
use crate::splunk::modular_input::input::Stanza;
use crate::splunk::modular_input::{input, scheme};
use anyhow::{anyhow, bail};
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

/// `--scheme`.
pub fn introduce() -> ExitCode {
    let written = paths::stdout().and_then(|mut out| out.write_all(scheme::scheme().as_bytes()));
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
    let runtime = match runtime::start() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let code = runtime.block_on(async {
        let stop = Stop::listen();
        match stop.within(run_all(&input, &stop)).await {
            Some(code) => code,
            // A reader that stopped reading blocks the write; what is not confirmed is read again.
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

async fn run_all(input: &input::Input, stop: &Stop) -> ExitCode {
    let mut stream = None;
    let mut code = exit::WELL;
    // What does not end comes last.
    let mut stanzas: Vec<&Stanza> = input.stanzas.iter().collect();
    stanzas.sort_by_key(|stanza| is_stream(stanza));
    let mut followed = false;
    for stanza in stanzas {
        if *stop.asked().borrow() {
            break;
        }
        log::about(&stanza.full_name());
        let run = run_stanza(input, stanza, &mut stream, stop, &mut followed);
        if let Err(error) = run.await {
            tracing::error!("{error:#}");
            code = exit::refused();
        }
    }
    if let Some(stream) = stream
        && let Err(error) = end(stream, input, stop).await
    {
        tracing::error!("events cannot be handed over: {error}");
        code = exit::refused();
    }
    code
}

fn is_stream(stanza: &Stanza) -> bool {
    let now = Begun::now().at.millisecond();
    matches!(Input::parse(stanza, now), Ok(Input::Stream(_)))
}

/// Runs one stanza and summarises the run, also one that could not begin.
async fn run_stanza(
    input: &input::Input,
    stanza: &Stanza,
    stream: &mut Option<EventStream<File>>,
    stop: &Stop,
    followed: &mut bool,
) -> anyhow::Result<()> {
    let begun = Begun::now();
    // Every service reads an instant of so many digits.
    let now = begun.at.millisecond();
    let started = Started {
        input,
        stanza,
        stop,
        begun,
    };
    match Input::parse(stanza, now) {
        Ok(Input::List(settings)) => poll::stanza(started, settings, stream).await,
        Ok(Input::Stream(_)) if std::mem::replace(followed, true) => {
            bail!("splunkd starts a process for each input: this one follows another stream")
        }
        Ok(Input::Stream(settings)) => follow::stanza(started, settings, stream).await,
        Err(refusal) => started.refused(anyhow!(refusal), stream).await,
    }
}

/// A stanza whose run has begun.
struct Started<'r> {
    input: &'r input::Input,
    stanza: &'r Stanza,
    stop: &'r Stop,
    begun: Begun,
}

impl Started<'_> {
    /// The stream, from here on with the events of this stanza.
    fn sink(
        &self,
        stream: &mut Option<EventStream<File>>,
        metadata: &EventMetadata,
    ) -> anyhow::Result<EventStream<File>> {
        Ok(match stream.take() {
            Some(mut stream) => {
                stream.set_metadata(metadata);
                stream
            }
            None => EventStream::open(paths::stdout()?, metadata)?,
        })
    }

    async fn refused(
        self,
        error: anyhow::Error,
        stream: &mut Option<EventStream<File>>,
    ) -> anyhow::Result<()> {
        let ownership = Ownership::of(self.input);
        self.not_prepared(error, &ownership, stream).await
    }

    /// The summary of a run that cannot begin.
    async fn not_prepared(
        self,
        error: anyhow::Error,
        ownership: &Ownership,
        stream: &mut Option<EventStream<File>>,
    ) -> anyhow::Result<()> {
        let health = Health::not_prepared(self.stanza, &self.begun, &error, ownership);
        let sink = self.sink(stream, &metadata(self.stanza))?;
        hand_over(health, sink, stream, Some(error)).await
    }
}

/// Writes the summary of a run, and gives the stream back.
async fn hand_over(
    health: Health,
    mut sink: EventStream<File>,
    stream: &mut Option<EventStream<File>>,
    error: Option<anyhow::Error>,
) -> anyhow::Result<()> {
    // A pipe that is full must not keep signals from being heard.
    let handing_over = tokio::task::spawn_blocking(move || {
        let handed_over = health.hand_over(&mut sink);
        (sink, handed_over)
    });
    let (sink, handed_over) = handing_over.await?;
    *stream = Some(sink);
    match error {
        Some(error) => Err(error),
        None => Ok(handed_over?),
    }
}

/// Hands over the outcomes of verdicts that wait on this machine, and ends the stream.
async fn end(
    mut stream: EventStream<File>,
    input: &input::Input,
    stop: &Stop,
) -> std::io::Result<()> {
    if let Some(stanza) = input.stanzas.last()
        && ledger::is_waiting()
    {
        let mut metadata = metadata(stanza);
        metadata.host = Some(input.server_host.clone()).filter(|host| !host.is_empty());
        if let Some(index) = outcome_index(input).await {
            metadata.index = Some(index);
        }
        stream = ledger::hand_over(stream, metadata, stop.asked()).await?;
    }
    tokio::task::spawn_blocking(move || stream.finish().map(drop))
        .await
        .map_err(io::Error::other)?
}

/// Where outcomes go, if the settings say and can be read.
async fn outcome_index(input: &input::Input) -> Option<String> {
    let key = input.session_key.clone();
    let splunkd = account::splunkd(&input.server_uri, key, account::TIMEOUT).ok()?;
    account::settings(&splunkd).await.ok()?.outcome_index()
}
