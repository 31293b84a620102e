//! Started by splunkd to judge an input before it is saved: first what the
//! parameters say, then a token and one real read of the feed.

use crate::bridge::account;
use crate::bridge::input::settings::{self, CheckpointPlace, Input, ListInput, StreamInput};
use crate::bridge::input::stream::Source;
use crate::host::{exit, log, paths, runtime};
use crate::ingest::{Instant, ListQuery, ListSource};
use crate::microsoft::{Client, FeedSource};
use crate::splunk::modular_input::input::Stanza;
use crate::splunk::modular_input::validation::Definition;
use crate::splunk::modular_input::{checkpoint_kvstore, validation};
use anyhow::{anyhow, bail};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Somebody waits in front of a form.
const TIMEOUT: Duration = Duration::from_secs(8);
/// A hub is signed in to, connected to and asked about each partition; one step may take
/// 15 seconds.
const TRIAL: Duration = Duration::from_secs(25);

pub fn run() -> ExitCode {
    log::start();
    let verdict = judge();
    let Err(reason) = verdict else {
        return exit::WELL;
    };
    let reason = format!("{reason:#}");
    tracing::error!("{reason}");
    let document = validation::rejection(&reason);
    match paths::stdout().and_then(|mut out| out.write_all(document.as_bytes())) {
        Ok(()) => exit::refused(),
        Err(_) => exit::own_fault(),
    }
}

fn judge() -> anyhow::Result<()> {
    let definition = validation::read(io::stdin().lock())?;
    log::about(&definition.item.full_name());
    let now = Instant::from(jiff::Timestamp::now()).millisecond();
    if definition.item.param("account").is_none() {
        // An edit may send only the parameters it changes; these are judged by themselves.
        Input::parse(&completed(definition.item), now)?;
        return Ok(());
    }
    let input = Input::parse(&definition.item, now)?;
    let runtime = runtime::new()?;
    runtime.block_on(async {
        match input {
            Input::List(input) => try_list(definition, input, now).await,
            Input::Stream(input) => try_stream(definition, input).await,
        }
    })
}

/// A stanza sent in part, with something valid in place of the parameters left out.
fn completed(mut part: Stanza) -> Stanza {
    let feed = match (part.param("api"), part.param("feed")) {
        (_, Some(_)) => None,
        (Some("mde"), None) => Some("alerts"),
        (Some("xdr"), None) => Some("incidents"),
        _ => settings::stream_of(&part),
    };
    for (key, value) in [("account", Some("as it is")), ("feed", feed)] {
        if let Some(value) = value {
            part.params.insert(key.to_owned(), vec![value.to_owned()]);
        }
    }
    part
}

async fn try_list(definition: Definition, input: ListInput, now: Instant) -> anyhow::Result<()> {
    let splunkd = account::splunkd(&definition.server_uri, definition.session_key, TIMEOUT)?;
    let settings = account::settings(&splunkd).await?;
    let account = account::account(&splunkd, &settings, &input.account).await?;
    if input.checkpoint == CheckpointPlace::KvStore {
        let there = checkpoint_kvstore::is_there(&splunkd).await;
        there.map_err(|error| anyhow!("checkpoint: {error}"))?;
    }
    let client = Client::new(&account, input.feed.api(), None)?.patience(TIMEOUT);
    let newest = ListQuery::for_a_sample(now);
    FeedSource::new(client, input.feed).page(&newest).await?;
    Ok(())
}

async fn try_stream(definition: Definition, input: StreamInput) -> anyhow::Result<()> {
    let splunkd = account::splunkd(&definition.server_uri, definition.session_key, TIMEOUT)?;
    let settings = account::settings(&splunkd).await?;
    let account = account::account(&splunkd, &settings, &input.account).await?;
    let source = Source::open(&account, &input)?;
    match tokio::time::timeout(TRIAL, source.probe(&account)).await {
        Ok(probed) => probed,
        Err(_) => bail!(
            "{} has not answered within {} s: is its port open, and the proxy?",
            source.host(),
            TRIAL.as_secs()
        ),
    }
}
