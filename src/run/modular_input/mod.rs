//! Started by splunkd as a modular input: the scheme, and one poll of every
//! stanza on stdin.

use crate::bridge::account;
use crate::bridge::input::health::{Begun, Health};
use crate::bridge::input::prepare::{Ownership, Prepared, metadata, prepare};
use crate::bridge::verdict::ledger;
use crate::host::stop::Stop;
use crate::host::{exit, log, paths, runtime};
use crate::ingest;
use crate::ingest::{Bounds, Poll, Tally};
use crate::splunk::modular_input::events::EventStream;
use crate::splunk::modular_input::input::Stanza;
use crate::splunk::modular_input::{input, scheme};
use anyhow::anyhow;
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::watch;

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
        match stop.within(poll_all(&input, &stop)).await {
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
        && let Err(error) = end(stream, input, stop).await
    {
        tracing::error!("events cannot be handed over: {error}");
        code = exit::refused();
    }
    code
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

/// The longest time of one poll, and the most questions it asks. The next run continues a
/// backlog; a service that answers in circles, or hardly at all, is left alone until then.
const LONGEST: Duration = Duration::from_secs(600);
const MOST_QUESTIONS: u64 = 1_500;

fn bounds(stop: &Stop) -> Bounds {
    let (end, time_is_up) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(LONGEST) => {
                end.send_replace(true);
            }
            () = end.closed() => {}
        }
    });
    Bounds {
        stop: stop.asked(),
        time_is_up,
        questions: MOST_QUESTIONS,
    }
}

/// Polls one stanza and summarises the run, also one that could not begin.
async fn poll_stanza(
    input: &input::Input,
    stanza: &Stanza,
    stream: &mut Option<EventStream<File>>,
    stop: &Stop,
) -> anyhow::Result<()> {
    let begun = Begun::now();
    // Every service reads an instant of so many digits.
    let now = begun.at.millisecond();
    let mut ownership = Ownership::of(input);
    let prepared = prepare(input, stanza, now, &mut ownership).await;
    let metadata = match &prepared {
        Ok(prepared) => prepared.prepared_input.metadata(stanza),
        Err(_) => metadata(stanza),
    };
    let sink = match stream.take() {
        Some(mut stream) => {
            stream.set_metadata(&metadata);
            stream
        }
        None => EventStream::open(paths::stdout()?, &metadata)?,
    };
    let (mut sink, health, error) = match prepared {
        Err(error) => {
            let health = Health::not_prepared(stanza, &begun, &error, &ownership);
            (sink, health, Some(error))
        }
        Ok(Prepared {
            prepared_input,
            checkpoint_store,
            mut checkpoint,
        }) => {
            let poll = Poll {
                now,
                settle: prepared_input.input.settle,
                overlap: prepared_input.input.overlap,
            };
            let mut tally = Tally::default();
            let bounds = bounds(stop);
            let pulled = ingest::pull(
                &prepared_input.source,
                sink,
                checkpoint_store,
                &mut checkpoint,
                poll,
                bounds,
                &mut tally,
            );
            let (hands, outcome) = pulled.await;
            let error = outcome.err().map(|error| anyhow!(error));
            let Some((sink, mut checkpoint_store)) = hands else {
                return Err(error.unwrap_or_else(|| anyhow!("the event stream was lost")));
            };
            checkpoint_store.release().await;
            let health = Health::of(
                stanza,
                &prepared_input,
                &checkpoint,
                tally,
                &begun,
                error.as_ref(),
                &ownership,
            );
            tracing::info!("{}", health.summary());
            (sink, health, error)
        }
    };
    // A full pipe must not keep signals from being heard.
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
