//! Where outcomes go: to splunkd as they happen, else to the spool, from which
//! the next run of any alert action, of the REST endpoint or of an input on
//! this machine hands them over.

use super::home;
use crate::ingest::{Instant, Sink};
use crate::splunk::events::{EventStream, Stamp};
use crate::splunk::splunkd::{Addressing, Splunkd, SplunkdError};
use crate::splunk::spool::{Due, Spool, SpoolError};
use crate::splunk::{NAME, sourcetype};
use crate::triage::Entry;
use serde::Deserialize;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time;
use tokio::sync::watch;

/// What earlier runs left must not keep this one from its own rows.
const CATCHING_UP: time::Duration = time::Duration::from_secs(20);

/// splunkd kills an action after its `maxtime`: a slow index must not use it up.
const PATIENCE: time::Duration = time::Duration::from_secs(60);

/// Takes the outcomes of one run.
pub struct Delivery {
    splunkd: Splunkd,
    spool: Option<Spool>,
    /// splunkd did not take one: the others of this run do not wait for it again.
    refused: bool,
    /// The spool did not take one either: said once.
    lost: bool,
    /// Time spent on handing over, as far as patience counts it.
    spent: time::Duration,
}

impl Delivery {
    pub fn new(splunkd: &Splunkd) -> Self {
        Self::with(splunkd, folder())
    }

    fn with(splunkd: &Splunkd, folder: Option<PathBuf>) -> Self {
        Self {
            splunkd: splunkd.clone(),
            spool: folder.map(Spool::new),
            refused: false,
            lost: false,
            spent: time::Duration::ZERO,
        }
    }

    /// Hands over what earlier runs kept, as far as splunkd takes it.
    pub async fn catch_up(&self) {
        if let Some(spool) = &self.spool {
            catch_up(spool, &self.splunkd).await;
        }
    }

    /// More rows of the same run: they have as much time as those before.
    pub fn take_heart(&mut self) {
        self.spent = time::Duration::ZERO;
    }

    /// Hands one outcome over, or keeps it.
    pub async fn deliver(&mut self, entry: &Entry) {
        let json = match serde_json::to_string(entry) {
            Ok(json) => json,
            Err(error) => return tracing::error!("row {}: {error}", entry.row),
        };
        if !self.refused && self.spent <= PATIENCE {
            let begun = time::Instant::now();
            let sent = send(&self.splunkd, &json).await;
            self.spent += begun.elapsed();
            if self.spent > PATIENCE {
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
        if !std::mem::replace(&mut self.lost, true) {
            tracing::error!(
                "outcomes can be neither indexed nor kept ({why}); they stand in this log only"
            );
        }
        tracing::warn!("outcome {json}");
    }
}

/// What an event needs to know of the entry it is.
#[derive(Deserialize)]
struct Kept {
    time: jiff::Timestamp,
    action: String,
}

fn source(json: &str) -> String {
    match serde_json::from_str::<Kept>(json) {
        Ok(kept) => format!("{NAME}:{}", kept.action),
        Err(_) => NAME.to_owned(),
    }
}

async fn send(splunkd: &Splunkd, json: &str) -> Result<(), SplunkdError> {
    let addressing = Addressing {
        index: None,
        sourcetype: sourcetype::TRIAGE,
        source: &source(json),
        host: None,
    };
    splunkd.receive(addressing, json.to_owned().into()).await
}

fn folder() -> Option<PathBuf> {
    home::splunk()?;
    Some(home::state()?.join("spool"))
}

/// Outcomes with this text in them that still wait to be handed over.
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

async fn catch_up(spool: &Spool, splunkd: &Splunkd) {
    let begun = time::Instant::now();
    let mut sent = 0_usize;
    let mut kept = 0_usize;
    let mut taken = true;
    for mut due in open(spool) {
        while taken && begun.elapsed() < CATCHING_UP {
            let Some(json) = due.next() else { break };
            if let Err(error) = send(splunkd, json).await {
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
    said(sent, kept);
}

/// Hands what earlier runs kept to the events of an input.
///
/// # Errors
/// If stdout takes no more.
pub async fn hand_over(
    stream: EventStream<File>,
    stamp: Stamp,
    stop: watch::Receiver<bool>,
) -> io::Result<EventStream<File>> {
    let Some(spool) = folder().map(Spool::new) else {
        return Ok(stream);
    };
    // A full pipe blocks the thread that writes, and must not block signals.
    tokio::task::spawn_blocking(move || write_all(&spool, stream, stamp, &stop))
        .await
        .map_err(io::Error::other)?
}

fn write_all(
    spool: &Spool,
    mut stream: EventStream<File>,
    mut stamp: Stamp,
    stop: &watch::Receiver<bool>,
) -> io::Result<EventStream<File>> {
    let mut sent = 0;
    let mut kept = 0;
    for mut due in open(spool) {
        while let Some(json) = due.next()
            && !*stop.borrow()
        {
            let time = serde_json::from_str::<Kept>(json).map(|kept| kept.time);
            stamp.source = source(json);
            stream.restamp(&stamp);
            let time = time.unwrap_or_else(|_| jiff::Timestamp::now());
            stream.note(sourcetype::TRIAGE, Instant::from(time), json)?;
            Sink::flush(&mut stream)?;
            due.strike_out().map_err(io::Error::other)?;
            sent += 1;
        }
        kept += due.left();
        end(due);
    }
    said(sent, kept);
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

fn said(sent: usize, kept: usize) {
    if sent > 0 || kept > 0 {
        tracing::info!("outcomes of earlier runs: {sent} handed over, {kept} still wait");
    }
}

#[cfg(test)]
mod tests;
