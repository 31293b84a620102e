//! Polls one stanza.

use super::{Started, hand_over};
use crate::bridge::input::health::Health;
use crate::bridge::input::prepare::{Ownership, Prepared, prepare};
use crate::bridge::input::settings::ListInput;
use crate::host::stop::Stop;
use crate::ingest;
use crate::ingest::{Bounds, Poll, Tally};
use crate::splunk::modular_input::events::EventStream;
use anyhow::anyhow;
use std::fs::File;
use std::time::Duration;
use tokio::sync::watch;

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

pub async fn stanza(
    started: Started<'_>,
    settings: ListInput,
    stream: &mut Option<EventStream<File>>,
) -> anyhow::Result<()> {
    let (input, stanza) = (started.input, started.stanza);
    let now = started.begun.at.millisecond();
    let mut ownership = Ownership::of(input);
    let prepared = prepare(input, stanza, settings, now, &mut ownership).await;
    let Prepared {
        prepared_input,
        checkpoint_store,
        mut checkpoint,
    } = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return started.not_prepared(error, &ownership, stream).await,
    };
    let sink = started.sink(stream, &prepared_input.metadata(stanza))?;
    let poll = Poll {
        now,
        settle: prepared_input.input.settle,
        overlap: prepared_input.input.overlap,
    };
    let mut tally = Tally::default();
    let pulled = ingest::pull(
        &prepared_input.source,
        sink,
        checkpoint_store,
        &mut checkpoint,
        poll,
        bounds(started.stop),
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
        &started.begun,
        error.as_ref(),
        &ownership,
    );
    tracing::info!("{}", health.summary());
    hand_over(health, sink, stream, error).await
}
