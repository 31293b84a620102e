//! Hands outcomes to splunkd as they happen, else to the spool. The next run of an alert
//! action, of the REST endpoint or of an input on this machine hands over what the spool
//! holds.

#[cfg(test)]
mod tests;

use crate::NAME;
use crate::bridge::signature::Key;
use crate::host::paths;
use crate::ingest::{Instant, Sink};
use crate::splunk::modular_input::events::{EventMetadata, EventStream};
use crate::splunk::sourcetype;
use crate::splunk::splunkd::{Addressing, Splunkd, SplunkdError};
use crate::splunk::spool::{Due, Spool, SpoolError};
use crate::triage::Entry;
use serde::Deserialize;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time;
use tokio::sync::{OnceCell, watch};

/// How long a run hands over what earlier runs left, before its own rows.
const FLUSHING: time::Duration = time::Duration::from_secs(20);

/// How long splunkd may take in all: a slow index must not use up an action's `maxtime`.
const TIMEOUT: time::Duration = time::Duration::from_secs(60);

/// Characters of an outcome in the log.
const SHOWN: usize = 2_000;

/// Takes the outcomes of one run.
pub struct Delivery {
    splunkd: Splunkd,
    /// If none, splunkd's default.
    index: Option<String>,
    /// This Splunk's own name, asked for with the first outcome.
    host: OnceCell<Option<String>>,
    /// If none, outcomes go unsigned.
    key: Option<Key>,
    spool: Option<Spool>,
    /// Whether splunkd refused an outcome; the others of this run go to the spool at once.
    refused: bool,
    /// How many outcomes the spool did not take either.
    lost: usize,
    /// Time that splunkd has taken since the last reset.
    spent: time::Duration,
}

impl Delivery {
    pub fn new(splunkd: &Splunkd, index: Option<String>, key: Option<Key>) -> Self {
        Self::with(splunkd, folder(), index, key)
    }

    fn with(
        splunkd: &Splunkd,
        folder: Option<PathBuf>,
        index: Option<String>,
        key: Option<Key>,
    ) -> Self {
        Self {
            splunkd: splunkd.clone(),
            index,
            host: OnceCell::new(),
            key,
            spool: folder.map(Spool::new),
            refused: false,
            lost: 0,
            spent: time::Duration::ZERO,
        }
    }

    /// Hands over what earlier runs kept, as far as splunkd takes it.
    pub async fn flush_spool(&self) {
        let Some(spool) = &self.spool else { return };
        let begun = time::Instant::now();
        let mut sent = 0_usize;
        let mut kept = 0_usize;
        let mut taken = true;
        for mut due in open(spool) {
            while taken && begun.elapsed() < FLUSHING {
                let Some(json) = due.next() else { break };
                if let Err(error) = self.send(json).await {
                    tracing::debug!("outcomes of earlier runs still wait: {error}");
                    taken = false;
                } else if let Err(error) = due.strike_out() {
                    tracing::error!("{error}");
                    taken = false;
                } else {
                    sent += 1;
                }
            }
            kept += due.left();
            end(due);
        }
        log_summary(sent, kept);
    }

    async fn send(&self, json: &str) -> Result<(), SplunkdError> {
        // splunkd would make its address the host of an event without one.
        let host = self.host.get_or_init(async || {
            let info = self.splunkd.server_info().await.ok();
            info.map(|info| info.server_name)
                .filter(|name| !name.is_empty())
        });
        let addressing = Addressing {
            index: self.index.as_deref(),
            sourcetype: sourcetype::TRIAGE,
            source: &source(json),
            host: host.await.as_deref(),
        };
        self.splunkd
            .receive(addressing, json.to_owned().into())
            .await
    }

    /// Gives the next rows of the run as much time as those before.
    pub fn reset_time(&mut self) {
        self.spent = time::Duration::ZERO;
    }

    /// Keeps one outcome for a later run, without asking splunkd first.
    pub async fn keep(&mut self, entry: &Entry) {
        self.refused = true;
        self.deliver(entry).await;
    }

    /// Hands one outcome over, or keeps it.
    pub async fn deliver(&mut self, entry: &Entry) {
        let json = match serde_json::to_string(entry) {
            Ok(json) => json,
            Err(error) => return tracing::error!("row {}: {error}", entry.row),
        };
        let json = match &self.key {
            Some(key) => key.sign(&json),
            None => json,
        };
        if !self.refused && self.spent <= TIMEOUT {
            let begun = time::Instant::now();
            let sent = self.send(&json).await;
            self.spent += begun.elapsed();
            if self.spent > TIMEOUT {
                tracing::warn!(
                    "splunkd takes outcomes slowly: the others are kept for a later run"
                );
            }
            match sent {
                Ok(()) => return,
                Err(error) => {
                    self.refused = true;
                    tracing::warn!(
                        "outcomes cannot be indexed now ({error}); they are kept, and a later run \
                         of an alert action or input of this app hands them over"
                    );
                }
            }
        }
        let why = match &mut self.spool {
            Some(spool) => match spool.keep(&json) {
                Ok(()) => return,
                Err(error) => error.to_string(),
            },
            None => "SPLUNK_HOME is not set, so there is no place to keep them".to_owned(),
        };
        // Logged once: a log that grows with every outcome would fill the disk next.
        if self.lost == 0 {
            let shown: String = json.chars().take(SHOWN).collect();
            tracing::error!(
                "outcomes can be neither indexed nor kept ({why}); the first that is lost: {shown}"
            );
        }
        self.lost += 1;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if self.lost > 0 {
            tracing::error!(
                "{} outcomes of this run were neither indexed nor kept",
                self.lost
            );
        }
    }
}

/// The fields of an entry that its event is addressed by.
#[derive(Deserialize)]
struct EntryAddress {
    time: jiff::Timestamp,
    action: String,
}

fn source(json: &str) -> String {
    match serde_json::from_str::<EntryAddress>(json) {
        Ok(kept) => format!("{NAME}:{}", kept.action),
        Err(_) => NAME.to_owned(),
    }
}

fn folder() -> Option<PathBuf> {
    paths::splunk()?;
    Some(paths::state()?.join("spool"))
}

/// Whether any outcome waits to be handed over.
pub fn is_waiting() -> bool {
    let spool = folder().map(Spool::new);
    spool.is_some_and(|spool| spool.waiting().is_ok_and(|all| !all.is_empty()))
}

/// Outcomes that hold this text and still wait to be handed over.
pub fn waiting(text: &str) -> Vec<String> {
    let Some(spool) = folder().map(Spool::new) else {
        return Vec::new();
    };
    let mut waiting = spool.waiting().unwrap_or_else(|error| {
        tracing::warn!("outcomes that still wait cannot be looked at: {error}");
        Vec::new()
    });
    waiting.retain(|json| json.contains(text));
    waiting
}

/// Writes what earlier runs kept into the event stream of an input.
///
/// # Errors
/// If stdout takes no more.
pub async fn hand_over(
    stream: EventStream<File>,
    metadata: EventMetadata,
    stop: watch::Receiver<bool>,
) -> io::Result<EventStream<File>> {
    let Some(spool) = folder().map(Spool::new) else {
        return Ok(stream);
    };
    // A full pipe blocks the thread that writes, and must not block signals.
    tokio::task::spawn_blocking(move || write_all(&spool, stream, metadata, &stop))
        .await
        .map_err(io::Error::other)?
}

fn write_all(
    spool: &Spool,
    mut stream: EventStream<File>,
    mut metadata: EventMetadata,
    stop: &watch::Receiver<bool>,
) -> io::Result<EventStream<File>> {
    let mut sent = 0;
    let mut kept = 0;
    for mut due in open(spool) {
        while let Some(json) = due.next()
            && !*stop.borrow()
        {
            let time = serde_json::from_str::<EntryAddress>(json).map(|kept| kept.time);
            metadata.source = source(json);
            stream.set_metadata(&metadata);
            let time = time.unwrap_or_else(|_| jiff::Timestamp::now());
            stream.note(sourcetype::TRIAGE, Instant::from(time), json)?;
            Sink::flush(&mut stream)?;
            due.strike_out().map_err(io::Error::other)?;
            sent += 1;
        }
        kept += due.left();
        end(due);
    }
    log_summary(sent, kept);
    Ok(stream)
}

fn open(spool: &Spool) -> Vec<Due> {
    spool.due().unwrap_or_else(|error: SpoolError| {
        tracing::warn!("outcomes of earlier runs cannot be handed over: {error}");
        Vec::new()
    })
}

fn end(due: Due) {
    if let Err(error) = due.finish() {
        tracing::error!("{error}");
    }
}

fn log_summary(sent: usize, kept: usize) {
    if sent > 0 || kept > 0 {
        tracing::info!("outcomes of earlier runs: {sent} handed over, {kept} still wait");
    }
}
