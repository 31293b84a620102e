//! A stream, followed until splunkd asks to stop or is gone.

use super::{Started, hand_over};
use crate::bridge::input::health::StreamReporter;
use crate::bridge::input::prepare::Ownership;
use crate::bridge::input::settings::StreamInput;
use crate::bridge::input::stream::PreparedStream;
use crate::host::stop;
use crate::splunk::modular_input::events::EventStream;
use std::fs::File;

pub async fn stanza(
    started: Started<'_>,
    settings: StreamInput,
    stream: &mut Option<EventStream<File>>,
) -> anyhow::Result<()> {
    let (input, stanza) = (started.input, started.stanza);
    let mut ownership = Ownership::of(input);
    let prepared = PreparedStream::open(input, stanza, settings, &mut ownership).await;
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return started.not_prepared(error, &ownership, stream).await,
    };
    let sink = started.sink(stream, &prepared.metadata(stanza))?;
    // Nobody would tell a stream that is silent.
    started.stop.when(stop::reader_gone());
    let mut reporter = StreamReporter::new(stanza.full_name(), &prepared, ownership);
    let (sink, outcome) = prepared
        .follow(sink, started.stop.asked(), &mut reporter)
        .await;
    let error = outcome.err();
    let health = reporter.end(error.as_ref());
    tracing::info!("{}", health.summary());
    match (sink, error) {
        (Some(sink), error) => hand_over(health, sink, stream, error).await,
        // Stuck in a pipe that nobody empties: what is not confirmed is read again.
        (None, None) => Ok(()),
        (None, Some(error)) => Err(error),
    }
}
