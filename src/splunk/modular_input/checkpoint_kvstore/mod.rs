//! Where a stanza's memory is kept if it shall follow the stanza from one
//! search head to another: in the KV store, which has neither a conditional
//! update nor a transaction, and whose members read copies that lag.
//!
//! So nothing that counts is ever changed. Each run inserts a document with the
//! next number, which only one can (409 for the others); each save inserts its
//! parts, then the head that makes them valid, under the run's number; then
//! what is older goes. The head of the highest numbers counts. What a run that
//! was overtaken still writes has lower ones and counts for nothing.
//!
//! It must never know what the text in it means.

mod document;
#[cfg(test)]
mod tests;

pub use document::COLLECTION;

use crate::ingest::{Instant, Store};
use crate::splunk::modular_input::checkpoint_file::{CheckpointFile, Owner, Writer};
use crate::splunk::splunkd::{Find, Inserted, Splunkd, SplunkdError};
use document::{FIELDS, Head, Listing, Part, Run, packed, unpacked};
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long a run holds the checkpoint if it is not heard of again.
const LEASE: Duration = Duration::from_secs(300);
/// What two search heads' clocks may be apart.
const SKEW: Duration = Duration::from_secs(300);
/// A lease this old is renewed with the next save.
const RENEWED_AFTER: Duration = Duration::from_secs(60);
/// How long a member's copy may lag before it is taken at its word.
const LAG: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
];
/// Pauses before something harmless is done once more, its answer being lost.
const AGAIN: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
/// Documents of runs kept, so that a copy that lags cannot hand out a number twice.
const RUNS_KEPT: u64 = 64;
/// Parts written or read with one call: 8 MB, where `limits.conf` allows 50.
const PARTS_AT_ONCE: usize = 8;
const MOST_LISTED: usize = 1000;
/// Ending of the note that this machine has used the KV store for the stanza.
const NOTE: &str = "kvstore";

/// Why a checkpoint in the KV store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    #[error(transparent)]
    Splunkd(#[from] SplunkdError),
    #[error(
        "splunkd knows no collection {COLLECTION}: install the whole app on this server and restart it, or set `checkpoint = local`"
    )]
    NoCollection,
    #[error(
        "another run of this stanza, on {by}, holds its checkpoint in the KV store until {until}: two at once would send events twice; it goes on when that one ends"
    )]
    Held { by: Owner, until: Instant },
    #[error(
        "a run of this stanza on {by} has taken its checkpoint in the KV store over ({at}): this run stops. What it handed over last may come once more from there"
    )]
    TakenOver { by: Owner, at: Instant },
    #[error(
        "this server's copy of the KV store lags behind the others: this run stops, the next one goes on when the copy has caught up"
    )]
    Lagging,
    #[error(
        "the KV store holds no checkpoint of this stanza any more, although this server has used one since {since}. It is not taken for empty: restore the collection {COLLECTION} from a backup, or remove {} to read again from `start`",
        .note.display()
    )]
    Gone { since: Instant, note: PathBuf },
    #[error(
        "the checkpoint in the KV store cannot be read: {why}. It is not taken for empty: restore the collection {COLLECTION} from a backup, or give the input a new name to read again from `start`"
    )]
    Unreadable { why: String },
    #[error(
        "the checkpoint in the KV store was written by another version of Defender Bridge (layout {0}; this one reads layout {layout}): install that version on this server too",
        layout = document::LAYOUT
    )]
    OtherVersion(u64),
    #[error("{} cannot be read as what it is ({why}): remove it", .at.display())]
    Note { at: PathBuf, why: String },
    #[error(transparent)]
    File(#[from] io::Error),
}

/// What this machine remembers of a stanza in the KV store: tells "never there" from "gone".
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Note {
    /// The number of the newest run seen.
    seen: u64,
    /// This machine's last run, so that one that was killed is not waited for.
    run: String,
    /// Since when a checkpoint is known to be there.
    since: Option<Instant>,
}

/// Where the position came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    KvStore,
    /// From the file `checkpoint = local` has used until now.
    File,
    Nothing,
}

/// A checkpoint that is this run's.
#[derive(Debug)]
pub struct OpenCheckpoint {
    pub store: KvCheckpoint,
    pub text: Option<String>,
    pub found: Found,
    /// Whose run was the last one, and when it began.
    pub before: Option<Writer>,
}

/// A stanza's checkpoint in the KV store, this run's until it is released or overtaken.
#[derive(Debug, Clone)]
pub struct KvCheckpoint {
    splunkd: Splunkd,
    stanza: String,
    run: Run,
    saves: u64,
    /// A run so old is there that some are to be removed.
    crowded: bool,
    note: Note,
    /// Keeps other runs of this machine out.
    file: Arc<CheckpointFile>,
    runtime: Handle,
}

impl KvCheckpoint {
    /// Takes the checkpoint over from the run before. Needs the runtime to be
    /// driven by another thread than the one that saves.
    pub async fn open(
        splunkd: Splunkd,
        file: CheckpointFile,
        stanza: &str,
        owner: Owner,
    ) -> Result<OpenCheckpoint, KvError> {
        let note = read_note(&file)?;
        let mut store = Self {
            splunkd,
            stanza: stanza.to_owned(),
            run: Run::before_all(stanza, owner, now()),
            saves: 0,
            crowded: false,
            note,
            file: Arc::new(file),
            runtime: Handle::current(),
        };
        let before = store.claim().await?;
        let text = match store
            .load(before.as_ref().is_some_and(|run| run.ended))
            .await
        {
            Ok(text) => text,
            Err(error) => {
                store.release().await;
                return Err(error);
            }
        };
        let (text, found) = match text {
            Some(text) => (Some(text), Found::KvStore),
            None => match store.file.load() {
                Ok(Some(text)) => (Some(text), Found::File),
                Ok(None) => (None, Found::Nothing),
                Err(error) => {
                    store.release().await;
                    return Err(error.into());
                }
            },
        };
        Ok(OpenCheckpoint {
            before: before.filter(|run| run.epoch > 0).map(|run| Writer {
                by: run.owner(),
                at: run.begun,
            }),
            store,
            text,
            found,
        })
    }

    /// Where the checkpoint is, for people.
    pub fn place(&self) -> String {
        format!(
            "in the KV store (collection {COLLECTION}, stanza {})",
            self.stanza
        )
    }

    /// Where the file of `checkpoint = local` is.
    pub fn file_path(&self) -> PathBuf {
        self.file.path()
    }

    /// Becomes the newest run; returns the one before, if there was one.
    async fn claim(&mut self) -> Result<Option<Run>, KvError> {
        let mut pauses = LAG.iter();
        loop {
            let listing = self.find().await?;
            let newest = listing.runs.first();
            let number = listing.number();
            let used = self.note.since.is_some();
            let behind = number < self.note.seen
                || listing.lacks_a_head()
                || (used && listing.heads.is_empty());
            if behind && paused(&mut pauses).await {
                continue;
            }
            if listing.lacks_a_head() {
                return Err(unreadable("the text its newest run left is not there"));
            }
            if let Some(since) = self.note.since.filter(|_| listing.heads.is_empty()) {
                let note = self.file.note_path(NOTE);
                return Err(KvError::Gone { since, note });
            }
            if number < self.note.seen {
                tracing::warn!(
                    "the KV store shows an older state than this server has seen, as after a \
                     restore: the input goes on from there, and what it sent since comes once more"
                );
            }
            if let Some(run) = newest.filter(|run| self.is_held(run)) {
                return Err(KvError::Held {
                    by: run.owner(),
                    until: run.until,
                });
            }
            // Never removed: whoever finds nothing but cannot insert it reads a copy that lags.
            if newest.is_none() && !self.take_number(0).await? {
                if paused(&mut pauses).await {
                    continue;
                }
                return Err(KvError::Lagging);
            }
            self.run.run = uuid::Uuid::new_v4().simple().to_string();
            self.run.after(listing.heads.first());
            self.note.seen = number;
            self.note.run = self.run.run.clone();
            if !listing.heads.is_empty() && self.note.since.is_none() {
                self.note.since = Some(now());
            }
            self.write_note()?;
            self.crowded = listing
                .runs
                .iter()
                .any(|run| run.epoch > 0 && run.epoch + 2 * RUNS_KEPT < number);
            if self.take_number(number + 1).await? {
                return Ok(newest.cloned());
            }
            if !paused(&mut pauses).await {
                return Err(KvError::Lagging);
            }
        }
    }

    /// Inserts this run under a number; false if another run has it.
    async fn take_number(&mut self, number: u64) -> Result<bool, KvError> {
        self.run.number(number, now(), LEASE);
        self.run.ended = number == 0;
        let what = "claim the checkpoint of an input in the KV store";
        let (splunkd, run) = (&self.splunkd, &self.run);
        let inserted = insist(|| splunkd.insert_document(COLLECTION, what, run));
        if inserted.await? == Inserted::New {
            return Ok(true);
        }
        // It may be the one whose answer was lost.
        let mut pauses = LAG.iter();
        loop {
            let find = Find {
                what,
                query: json!({"_key": self.run.key}),
                most: 1,
                ..Find::default()
            };
            let found = self.documents(&find).await?;
            match found.first() {
                Some(document) => {
                    let run = document.get("run").and_then(Value::as_str);
                    return Ok(number > 0 && run == Some(&self.run.run));
                }
                None if paused(&mut pauses).await => {}
                None => return Ok(false),
            }
        }
    }

    /// Whether another run is at work, as far as it is known here.
    fn is_held(&self, run: &Run) -> bool {
        let now = now();
        if run.ended || run.run == self.note.run || run.until <= now {
            return false;
        }
        let believable = run.until <= now.plus(LEASE + SKEW);
        if !believable {
            tracing::warn!(
                "a run of this stanza on {} holds its checkpoint until {}, which no run would: the \
                 clocks of the two servers differ. Its claim is passed over",
                run.owner(),
                run.until
            );
        }
        believable
    }

    /// The newest text. A run before that did not say its end may still have
    /// saved something since it was listed.
    async fn load(&mut self, before_ended: bool) -> Result<Option<String>, KvError> {
        let mut pauses = LAG.iter();
        let (epoch, save) = (self.run.head_epoch, self.run.head_save);
        let mut head = match (epoch, before_ended) {
            (0, true) => return Ok(None),
            (_, true) => Some(document::head_key(&self.stanza, epoch, save)),
            _ => None,
        };
        loop {
            if head.is_none() {
                let listing = self.find().await?;
                head = match listing.heads.first() {
                    Some(found) if found.place() >= (epoch, save) => Some(found.key.clone()),
                    None if epoch == 0 => return Ok(None),
                    _ => None,
                };
            }
            let why = match &head {
                Some(key) => match self.text(key).await? {
                    Ok(text) => {
                        if self.note.since.is_none() {
                            self.note.since = Some(now());
                            self.write_note()?;
                        }
                        return Ok(Some(text));
                    }
                    Err(why) => why,
                },
                None => "the text its newest run left is not there".to_owned(),
            };
            head = None;
            if !paused(&mut pauses).await {
                return Err(KvError::Unreadable { why });
            }
        }
    }

    /// The text below one head, or what is wrong with it.
    async fn text(&self, key: &str) -> Result<Result<String, String>, KvError> {
        let what = "read the checkpoint of an input in the KV store";
        let find = Find {
            what,
            query: json!({"_key": key}),
            most: 1,
            ..Find::default()
        };
        let found = self.documents(&find).await?;
        let head: Head = match found.into_iter().next().map(serde_json::from_value) {
            Some(Ok(head)) => head,
            Some(Err(_)) => return Ok(Err(format!("document {key} is none of this app's"))),
            None => return Ok(Err(format!("document {key} is not there"))),
        };
        if let Err(why) = head.is_bounded() {
            return Ok(Err(why));
        }
        let mut packed = String::new();
        for first in (0..head.parts).step_by(PARTS_AT_ONCE) {
            let most = PARTS_AT_ONCE.min(usize::try_from(head.parts - first).unwrap_or(0));
            let find = Find {
                what,
                query: json!({"$and": [
                    {"stanza": self.stanza, "kind": "part", "epoch": head.epoch, "save": head.save},
                    {"part": {"$gte": first}}, {"part": {"$lt": first + most as u64}},
                ]}),
                sort: "part:1",
                most,
                ..Find::default()
            };
            let found = self.documents(&find).await?;
            let mut parts = found.into_iter().map(serde_json::from_value::<Part>);
            for number in first..first + most as u64 {
                match parts.next() {
                    Some(Ok(part)) if part.part == number => packed.push_str(&part.data),
                    _ => return Ok(Err(format!("part {number} of {key} is not there"))),
                }
            }
        }
        packed.push_str(&head.data);
        Ok(unpacked(&packed, &head))
    }

    async fn find(&self) -> Result<Listing, KvError> {
        let find = Find {
            what: "find the checkpoint of an input in the KV store",
            query: json!({"$and": [{"stanza": self.stanza}, {"kind": {"$ne": "part"}}]}),
            fields: FIELDS,
            sort: "epoch:-1",
            most: MOST_LISTED,
        };
        Listing::of(&self.stanza, self.documents(&find).await?)
    }

    async fn documents(&self, find: &Find<'_>) -> Result<Vec<Value>, KvError> {
        let found = self.splunkd.documents(COLLECTION, find).await?;
        found.ok_or(KvError::NoCollection)
    }

    /// Replaces the kept text in one step, as [`Store::save`] does.
    pub async fn keep(&mut self, text: &str) -> Result<(), KvError> {
        let (head, parts) = self.pack(text)?;
        self.write(head, parts).await
    }

    fn pack(&mut self, text: &str) -> io::Result<(Head, Vec<Part>)> {
        // Never a number twice: what became of the save before may not be known.
        self.saves += 1;
        packed(text, &self.run, self.saves, now())
    }

    async fn write(&mut self, head: Head, parts: Vec<Part>) -> Result<(), KvError> {
        let what = "keep the checkpoint of an input in the KV store";
        self.is_still_mine().await?;
        let at = now();
        let splunkd = &self.splunkd;
        for parts in parts.chunks(PARTS_AT_ONCE) {
            let kept = insist(|| splunkd.save_documents(COLLECTION, what, parts));
            let kept = kept.await?;
            if parts.iter().any(|part| !kept.contains(&part.key)) {
                return Err(unreadable("it did not take every part of what was written"));
            }
        }
        let inserted = insist(|| splunkd.insert_document(COLLECTION, what, &head));
        if inserted.await? == Inserted::Exists {
            self.was_kept(what, &head).await?;
        }
        (self.run.head_epoch, self.run.head_save) = head.place();
        if self.note.since.is_none() {
            self.note.since = Some(at);
            self.write_note()?;
        }
        if self.run.until < at.plus(LEASE).minus(RENEWED_AFTER) {
            self.run.until = at.plus(LEASE);
            self.tell(what).await?;
        }
        self.remove_older(&head).await;
        Ok(())
    }

    /// A head that exists already is this save's, whose answer was lost, or it is an error.
    async fn was_kept(&self, what: &str, head: &Head) -> Result<(), KvError> {
        let mut pauses = LAG.iter();
        loop {
            let find = Find {
                what,
                query: json!({"_key": head.key}),
                most: 1,
                ..Find::default()
            };
            let found = self.documents(&find).await?.into_iter().next();
            match found.map(serde_json::from_value::<Head>) {
                Some(Ok(found)) if found == *head => return Ok(()),
                Some(_) => return Err(unreadable("another document has the place of this save")),
                None if paused(&mut pauses).await => {}
                None => return Err(unreadable("what was written is not there")),
            }
        }
    }

    /// Whether no run has begun since: the last line of defence is that what an
    /// overtaken run writes counts for nothing.
    async fn is_still_mine(&self) -> Result<(), KvError> {
        let find = Find {
            what: "see whose the checkpoint of an input in the KV store is",
            query: json!({"$and": [
                {"stanza": self.stanza, "kind": "run"}, {"epoch": {"$gt": self.run.epoch}},
            ]}),
            fields: FIELDS,
            sort: "epoch:-1",
            most: 1,
        };
        let listing = Listing::of(&self.stanza, self.documents(&find).await?)?;
        match listing.runs.first() {
            Some(run) => Err(KvError::TakenOver {
                by: run.owner(),
                at: run.begun,
            }),
            None => Ok(()),
        }
    }

    async fn tell(&self, what: &str) -> Result<(), KvError> {
        let key = self.run.key.as_str();
        let (splunkd, run) = (&self.splunkd, &self.run);
        let told = insist(|| splunkd.replace_document(COLLECTION, what, key, run));
        match told.await? {
            true => Ok(()),
            false => Err(unreadable("the document of this run is gone from it")),
        }
    }

    /// What stays is removed by the next save.
    async fn remove_older(&self, head: &Head) {
        let (epoch, save) = head.place();
        let query = json!({"$and": [
            {"stanza": self.stanza},
            {"kind": {"$ne": "run"}},
            {"$or": [{"epoch": {"$lt": epoch}}, {"$and": [{"epoch": epoch}, {"save": {"$lt": save}}]}]},
        ]});
        self.remove("remove an older checkpoint from the KV store", &query)
            .await;
    }

    async fn remove(&self, what: &str, query: &Value) {
        if let Err(error) = self.splunkd.remove_documents(COLLECTION, what, query).await {
            tracing::debug!("{error}");
        }
    }

    /// Says that this run is over, so that another server need not wait for its
    /// lease to end.
    pub async fn release(&mut self) {
        if self.crowded {
            let oldest = self.run.epoch.saturating_sub(RUNS_KEPT);
            let query = json!({"$and": [
                {"stanza": self.stanza, "kind": "run"},
                {"epoch": {"$gt": 0}}, {"epoch": {"$lt": oldest}},
            ]});
            self.remove("remove what older runs left in the KV store", &query)
                .await;
        }
        self.run.ended = true;
        if let Err(error) = self.tell("give the checkpoint in the KV store back").await {
            tracing::warn!(
                "{error}. Another server takes this input over only after {}",
                self.run.until
            );
        }
    }

    /// Moves the text to the file: from here on it is kept there.
    pub async fn leave(self, text: &str) -> Result<CheckpointFile, KvError> {
        let Self {
            file,
            splunkd,
            stanza,
            run,
            ..
        } = self;
        let file = Arc::into_inner(file);
        let file = file.ok_or_else(|| io::Error::other("a save is still under way"))?;
        let mut file = file.owned_by(Some(run.owner()));
        file.save(text)?;
        file.remove_note(NOTE)?;
        let what = "remove from the KV store what a file keeps now";
        let query = json!({"stanza": stanza});
        let removed = insist(|| splunkd.remove_documents(COLLECTION, what, &query));
        if let Err(error) = removed.await {
            tracing::warn!(
                "{error}. Set back to `checkpoint = kvstore`, the input goes on from there"
            );
        }
        Ok(file)
    }

    fn write_note(&self) -> io::Result<()> {
        let text = serde_json::to_string(&self.note)?;
        self.file.write_note(NOTE, &text)
    }
}

impl Store for KvCheckpoint {
    fn save(&mut self, text: &str) -> io::Result<()> {
        let (head, parts) = self.pack(text)?;
        let (tell, told) = mpsc::sync_channel(1);
        let mut store = self.clone();
        self.runtime.spawn(async move {
            let outcome = store.write(head, parts).await;
            // Nobody waits for it any more if the process is ending.
            tell.send((store, outcome)).ok();
        });
        let (store, outcome) = told
            .recv()
            .map_err(|_| io::Error::other("the run was stopped while it was being kept"))?;
        *self = store;
        outcome.map_err(io::Error::other)
    }
}

/// Whether this machine left the stanza's position in the KV store.
pub fn is_used(file: &CheckpointFile) -> Result<bool, KvError> {
    Ok(read_note(file)?.since.is_some())
}

/// Whether the KV store can keep this app's checkpoints at all.
pub async fn is_there(splunkd: &Splunkd) -> Result<(), KvError> {
    let find = Find {
        what: "look into the KV store",
        query: json!({"stanza": ""}),
        most: 1,
        ..Find::default()
    };
    match splunkd.documents(COLLECTION, &find).await? {
        Some(_) => Ok(()),
        None => Err(KvError::NoCollection),
    }
}

fn read_note(file: &CheckpointFile) -> Result<Note, KvError> {
    let Some(text) = file.note(NOTE)? else {
        return Ok(Note::default());
    };
    serde_json::from_str(&text).map_err(|error| KvError::Note {
        at: file.note_path(NOTE),
        why: error.to_string(),
    })
}

fn unreadable(why: &str) -> KvError {
    KvError::Unreadable {
        why: why.to_owned(),
    }
}

fn now() -> Instant {
    Instant::from(jiff::Timestamp::now())
}

/// Waits for a copy that lags to catch up; false if it had its time.
async fn paused(pauses: &mut std::slice::Iter<'_, Duration>) -> bool {
    match pauses.next() {
        Some(pause) => {
            tokio::time::sleep(*pause).await;
            true
        }
        None => false,
    }
}

/// For what may be done twice: done again where it is not known whether it was.
async fn insist<T, F>(mut deed: impl FnMut() -> F) -> Result<T, SplunkdError>
where
    F: Future<Output = Result<T, SplunkdError>>,
{
    for pause in AGAIN {
        match deed().await {
            Err(SplunkdError::Unreachable { .. }) => tokio::time::sleep(pause).await,
            other => return other,
        }
    }
    deed().await
}
