//! Prepares a stanza for its poll: account, checkpoint.

use crate::NAME;
use crate::bridge::account;
use crate::bridge::input::settings::{CheckpointPlace, ListInput};
use crate::host::paths;
use crate::ingest::{Checkpoint, Instant, Store};
use crate::microsoft::{Account, Client, FeedSource};
use crate::splunk::modular_input::checkpoint_file::{CheckpointFile, Owner, Writer};
use crate::splunk::modular_input::checkpoint_kvstore::{Found, KvCheckpoint, is_used};
use crate::splunk::modular_input::events::{EventMetadata, Sourcetypes};
use crate::splunk::modular_input::input;
use crate::splunk::modular_input::input::Stanza;
use crate::splunk::sourcetype;
use crate::splunk::splunkd::Splunkd;
use crate::triage::{Api, Subject};
use anyhow::Context;
use std::io;

/// What every stanza needs: splunkd, and the account its settings name.
pub(super) struct StanzaAccount {
    pub splunkd: Splunkd,
    pub account: Account,
    pub secret_expires: Option<String>,
}

impl StanzaAccount {
    pub async fn open(input: &input::Input, account: &str) -> anyhow::Result<Self> {
        let splunkd = account::splunkd(
            &input.server_uri,
            input.session_key.clone(),
            account::TIMEOUT,
        )?;
        let shared = account::settings(&splunkd).await?;
        let account::StoredAccount {
            account,
            secret_expires,
        } = account::kept(&splunkd, &shared, account).await?;
        Ok(Self {
            splunkd,
            account,
            secret_expires,
        })
    }
}

/// A stanza, ready to be polled.
pub struct PreparedInput {
    pub input: ListInput,
    pub tenant: String,
    /// The day the account's secret ends, where its stanza says so.
    pub secret_expires: Option<String>,
    pub source: FeedSource,
    pub client: Client,
    splunkd: Splunkd,
}

impl PreparedInput {
    async fn open(input: &input::Input, settings: ListInput) -> anyhow::Result<Self> {
        let StanzaAccount {
            splunkd,
            account,
            secret_expires,
        } = StanzaAccount::open(input, &settings.account).await?;
        let state = paths::state();
        let client = Client::new(&account, settings.feed.api(), state.as_deref())?;
        Ok(Self {
            tenant: account.tenant_id,
            secret_expires,
            source: FeedSource::new(client.clone(), settings.feed.clone()),
            client,
            splunkd,
            input: settings,
        })
    }

    pub fn metadata(&self, stanza: &Stanza) -> EventMetadata {
        let alert = match (self.input.feed.api(), self.input.feed.subject()) {
            (Api::Mde, Subject::Alert) => sourcetype::ENDPOINT_ALERT,
            _ => sourcetype::ALERT,
        };
        EventMetadata {
            stanza: stanza.full_name(),
            source: format!("{NAME}:{}:{}", self.input.feed_name(), self.tenant),
            index: stanza.index().map(str::to_owned),
            host: stanza.host().map(str::to_owned),
            sourcetypes: Sourcetypes {
                alert: alert.to_owned(),
                ..Sourcetypes::default()
            },
        }
    }
}

/// Where this run keeps its checkpoint.
pub enum CheckpointStore {
    File(CheckpointFile),
    KvStore(Box<KvCheckpoint>),
}

impl CheckpointStore {
    fn place(&self) -> String {
        match self {
            Self::File(file) => file.path().display().to_string(),
            Self::KvStore(store) => store.place(),
        }
    }

    /// Releases the checkpoint for the next run, on whichever server that runs.
    pub async fn release(&mut self) {
        if let Self::KvStore(store) = self {
            store.release().await;
        }
    }
}

impl Store for CheckpointStore {
    fn save(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::File(file) => file.save(text),
            Self::KvStore(store) => store.save(text),
        }
    }
}

/// Which server runs the input now, and which one ran it before.
#[derive(Debug, Clone)]
pub struct Ownership {
    /// This server's own name.
    pub server: String,
    pub owner: Option<Owner>,
    /// That another server ran the input before; said once.
    pub before: Option<Writer>,
    pub warning: Option<String>,
}

impl Ownership {
    /// What is known before splunkd is asked: the server's name from stdin.
    pub fn of(input: &input::Input) -> Self {
        Self {
            server: input.server_host.clone(),
            owner: None,
            before: None,
            warning: None,
        }
    }

    /// Asks splunkd who it is.
    pub(super) async fn learn(&mut self, splunkd: &Splunkd) -> anyhow::Result<()> {
        let info = splunkd.server_info().await?;
        self.server.clone_from(&info.server_name);
        self.owner = Some(Owner {
            guid: info.guid,
            server: info.server_name,
        });
        Ok(())
    }

    fn follows(&mut self, before: Option<Writer>, kept: CheckpointPlace) {
        let (Some(owner), Some(before)) = (&self.owner, before) else {
            return;
        };
        if before.by.guid == owner.guid {
            return;
        }
        let Writer { by, at } = &before;
        let warning = match kept {
            CheckpointPlace::Local => format!(
                "the checkpoint was written last by another server, {by}, at {at}; this is {owner}. \
                 Either it was copied or moved here, or two servers share it: then disable the input \
                 on one of them"
            ),
            CheckpointPlace::KvStore => format!(
                "the run before was on another server, {by}, at {at}; this is {owner} and goes on \
                 from there. Either the input moved here, or two servers run it in turns: then \
                 disable it on one of them"
            ),
        };
        tracing::warn!("{warning}");
        self.warning = Some(warning);
        self.before = Some(before);
    }
}

/// A stanza with everything its poll needs.
pub struct Prepared {
    pub prepared_input: PreparedInput,
    pub checkpoint_store: CheckpointStore,
    pub checkpoint: Checkpoint,
}

/// Everything a poll needs, before the first page is asked for.
pub async fn prepare(
    input: &input::Input,
    stanza: &Stanza,
    settings: ListInput,
    now: Instant,
    ownership: &mut Ownership,
) -> anyhow::Result<Prepared> {
    let prepared_input = PreparedInput::open(input, settings).await?;
    if let Some(notice) = prepared_input.input.feed.notice() {
        tracing::warn!("{notice}");
    }
    let kept = prepared_input.input.checkpoint;
    let file = CheckpointFile::open(&input.checkpoint_dir, &stanza.name)?;
    let through_kvstore = kept == CheckpointPlace::KvStore || is_used(&file)?;
    match ownership.learn(&prepared_input.splunkd).await {
        Err(error) if through_kvstore => return Err(error),
        // A checkpoint file needs no owner's name.
        Err(error) => tracing::debug!("{error}"),
        Ok(()) => {}
    }
    let identity = format!(
        "{} of tenant {}",
        prepared_input.input.feed, prepared_input.tenant
    );
    let start = prepared_input.input.start.at(now);
    let read = |text: Option<&str>, place: String| match text {
        None => Ok(Checkpoint::new(&identity, start)),
        Some(text) => {
            Checkpoint::read(text, &identity).with_context(|| format!("checkpoint {place}"))
        }
    };
    let file = file.owned_by(ownership.owner.clone());
    let Some(owner) = ownership.owner.clone().filter(|_| through_kvstore) else {
        let text = file.load()?;
        let mut checkpoint_store = CheckpointStore::File(file);
        let checkpoint = read(text.as_deref(), checkpoint_store.place())?;
        ownership.follows(text.as_deref().and_then(Writer::of), kept);
        if ownership.before.is_some() {
            // This server owns the checkpoint from now on, so the warning comes once.
            checkpoint_store.save(&checkpoint.text()?)?;
        }
        return Ok(Prepared {
            prepared_input,
            checkpoint_store,
            checkpoint,
        });
    };
    let opened =
        KvCheckpoint::open(prepared_input.splunkd.clone(), file, &stanza.name, owner).await?;
    ownership.follows(opened.before, CheckpointPlace::KvStore);
    let mut store = opened.store;
    let file_path = store.file_path();
    let place = match opened.found {
        Found::File => file_path.display().to_string(),
        _ => store.place(),
    };
    let checkpoint = match read(opened.text.as_deref(), place) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            store.release().await;
            return Err(error);
        }
    };
    let checkpoint_store = match (kept, opened.found) {
        (CheckpointPlace::Local, _) => {
            let file = store.leave(&checkpoint.text()?).await?;
            tracing::info!(
                "the position of this input was taken over from the KV store into {}",
                file_path.display()
            );
            CheckpointStore::File(file)
        }
        (CheckpointPlace::KvStore, Found::File) => {
            store.keep(&checkpoint.text()?).await?;
            tracing::info!(
                "the position of this input was taken over from {} into the KV store; the file is \
                 not used any more",
                file_path.display()
            );
            CheckpointStore::KvStore(Box::new(store))
        }
        (CheckpointPlace::KvStore, _) => CheckpointStore::KvStore(Box::new(store)),
    };
    Ok(Prepared {
        prepared_input,
        checkpoint_store,
        checkpoint,
    })
}

/// The metadata of the summary of a stanza that cannot be read.
pub fn metadata(stanza: &Stanza) -> EventMetadata {
    EventMetadata {
        stanza: stanza.full_name(),
        source: NAME.to_owned(),
        index: stanza.index().map(str::to_owned),
        host: stanza.host().map(str::to_owned),
        sourcetypes: Sourcetypes::default(),
    }
}
