//! A stanza on its way to being polled: its settings, its account, its memory.

use super::input::Input;
use super::{account, home};
use crate::defender::{Client, Family, FeedSource, What};
use crate::ingest::{Checkpoint, Instant};
use crate::splunk::checkpoint::CheckpointFile;
use crate::splunk::events::{Sourcetypes, Stamp};
use crate::splunk::input::Stanza;
use crate::splunk::{NAME, input, sourcetype};
use anyhow::Context;

/// A stanza, ready to be polled.
pub struct Feeding {
    pub input: Input,
    pub tenant: String,
    /// The day the account's secret ends, where its stanza says so.
    pub secret_expires: Option<String>,
    pub source: FeedSource,
    pub client: Client,
}

impl Feeding {
    async fn open(input: &input::Input, stanza: &Stanza, now: Instant) -> anyhow::Result<Self> {
        let settings = Input::parse(stanza, now)?;
        let splunkd = account::splunkd(
            &input.server_uri,
            input.session_key.clone(),
            account::PATIENCE,
        )?;
        let shared = account::settings(&splunkd).await?;
        let account::Kept {
            account,
            secret_expires,
        } = account::kept(&splunkd, &shared, &settings.account).await?;
        let state = home::state();
        let client = Client::new(&account, settings.feed.family(), state.as_deref())?;
        Ok(Self {
            tenant: account.tenant_id,
            secret_expires,
            source: FeedSource::new(client.clone(), settings.feed.clone()),
            client,
            input: settings,
        })
    }

    pub fn stamp(&self, stanza: &Stanza) -> Stamp {
        let alert = match (self.input.feed.family(), self.input.feed.what()) {
            (Family::Mde, What::Alerts) => sourcetype::ENDPOINT_ALERT,
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

pub type Prepared = (Feeding, CheckpointFile, Checkpoint);

/// Everything a poll needs, before the first page is asked for.
pub async fn prepare(
    input: &input::Input,
    stanza: &Stanza,
    now: Instant,
) -> anyhow::Result<Prepared> {
    let feeding = Feeding::open(input, stanza, now).await?;
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
pub fn unfed(stanza: &Stanza) -> Stamp {
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
