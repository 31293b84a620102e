//! Runs of one batch take turns. Two that read at the same time would not see the
//! comment that the other is about to write; nor would a run that begins right after
//! another was killed, since Defender may show a comment late.

use crate::bridge::verdict::deadline::Deadline;
use crate::bridge::verdict::job::JobError;
use crate::disk;
use crate::host::paths;
use crate::triage::{Clock as _, Target};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(50);

/// How long Defender may take to show the writes of a run that was cut off: as long as
/// triage looks for a write without an answer.
const SHOWS: Duration = Duration::from_secs(14);

/// Bytes of a note: more than the longest id of a batch.
const NOTE: u64 = 1024;

/// Keeps other runs from the batch until it is dropped, or the process ends, however it
/// ends.
#[derive(Debug)]
pub struct BatchLock {
    lock: File,
    /// The file of the targets that batches of this lock have named so far.
    counted: PathBuf,
}

/// Seconds for which a batch's targets are remembered.
const DAY: i64 = 24 * 60 * 60;
/// Bytes of the file of targets: far more than a day's batches of one lock name.
const MOST_COUNTED: u64 = 16 << 20;

/// The distinct targets of a batch, as hashes.
#[derive(Default, Serialize, Deserialize)]
struct Counted {
    /// When the batch last came, in seconds since 1970.
    at: i64,
    targets: BTreeSet<u64>,
}

impl BatchLock {
    /// Takes a free lock; returns whether the run before was of the same batch and cut off.
    fn begin(mut file: File, batch: &str, counted: PathBuf) -> io::Result<(Self, bool)> {
        let mut note = Vec::new();
        (&file).take(NOTE).read_to_end(&mut note)?;
        file.rewind()?;
        file.set_len(0)?;
        file.write_all(batch.as_bytes())?;
        let lock = Self {
            lock: file,
            counted,
        };
        Ok((lock, note == batch.as_bytes()))
    }

    /// Counts the targets that this actor's batch is to write, together with those of its
    /// earlier requests on this machine. Others can compute a batch's id, so what they
    /// name under it does not count.
    ///
    /// # Errors
    /// If there are more than `max`; the new ones are not counted then.
    pub fn count(
        &self,
        actor: &str,
        batch: &str,
        targets: &BTreeSet<(String, Target)>,
        max: usize,
    ) -> Result<(), JobError> {
        let mut batches = self.counted().unwrap_or_else(|error| {
            tracing::warn!("{}: {error}; counted anew", self.counted.display());
            BTreeMap::new()
        });
        let now = jiff::Timestamp::now().as_second();
        batches.retain(|_, counted| (now - DAY..=now + DAY).contains(&counted.at));
        let counted = batches.entry(format!("{batch} {actor}")).or_default();
        counted.at = now;
        let before = counted.targets.len();
        counted.targets.extend(targets.iter().map(hash));
        let all = counted.targets.len();
        if all > max {
            return Err(JobError::BatchTooLarge {
                batch: batch.to_owned(),
                targets: all,
                max,
            });
        }
        if all > before
            && let Err(error) = self.remember(&batches)
        {
            tracing::warn!(
                "{}: {error}; the limit of targets holds for this request alone",
                self.counted.display()
            );
        }
        Ok(())
    }

    fn counted(&self) -> io::Result<BTreeMap<String, Counted>> {
        let file = match File::open(&self.counted) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            file => file?,
        };
        let mut json = Vec::new();
        file.take(MOST_COUNTED).read_to_end(&mut json)?;
        Ok(serde_json::from_slice(&json)?)
    }

    fn remember(&self, batches: &BTreeMap<String, Counted>) -> io::Result<()> {
        disk::put(&self.counted, &serde_json::to_vec(batches)?)
    }

    /// Ends a run whose writes all were answered, or show.
    pub fn release(self) {
        if let Err(error) = self.lock.set_len(0) {
            tracing::debug!("the next run of this batch will wait without need: {error}");
        }
    }
}

fn hash((account, target): &(String, Target)) -> u64 {
    let mut hash = Sha256::new();
    for part in [
        account.as_str(),
        "\n",
        &target.subject.to_string(),
        "\n",
        &target.id,
    ] {
        hash.update(part);
    }
    let hash = hash.finalize();
    let (first, _) = hash
        .as_slice()
        .split_first_chunk()
        .unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*first)
}

/// Waits, as long as the deadline allows, until no other run on this machine is at the
/// batch, and until the writes of a run that was cut off must show.
pub async fn wait(batch: &str, deadline: &Deadline) -> Option<BatchLock> {
    let folder = paths::state()?;
    match held(&folder, batch, deadline).await {
        Ok(lock) => lock,
        Err(error) => {
            tracing::warn!(
                "{}: {error}; another run of this batch would not be noticed",
                folder.display()
            );
            None
        }
    }
}

async fn held(folder: &Path, batch: &str, deadline: &Deadline) -> io::Result<Option<BatchLock>> {
    disk::own_folder(folder)?;
    // A file cannot be removed while others may wait for it, so batches share a few
    // files: two batches of one file take turns without need, and that is all.
    let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, batch.as_bytes());
    let [high, low, ..] = hash.into_bytes();
    let slot = u16::from_be_bytes([high, low]) >> 4;
    let file = disk::open(&folder.join(format!("batch-{slot:03x}.lock")))?;
    while let Err(busy) = file.try_lock() {
        match busy {
            TryLockError::Error(error) => return Err(error),
            TryLockError::WouldBlock if deadline.left().is_zero() => return Ok(None),
            TryLockError::WouldBlock => tokio::time::sleep(PAUSE).await,
        }
    }
    let counted = folder.join(format!("batch-{slot:03x}.json"));
    let (lock, cut_off) = BatchLock::begin(file, batch, counted)?;
    if cut_off {
        tracing::info!(
            "an earlier run of this batch was cut off: Defender gets {} s to show what it wrote",
            SHOWS.as_secs()
        );
        deadline.sleep(SHOWS).await;
    }
    Ok(Some(lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_batch_waits_for_itself_and_for_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let now = || Deadline::of(Duration::ZERO);
        let first = held(folder.path(), "batch-1", &now()).await.unwrap();
        assert!(first.is_some());
        let again = held(folder.path(), "batch-1", &Deadline::of(PAUSE))
            .await
            .unwrap();
        assert!(again.is_none());
        let other = held(folder.path(), "batch-2", &now()).await.unwrap();
        assert!(other.is_some());
        first.unwrap().release();
        let again = held(folder.path(), "batch-1", &Deadline::of(PAUSE))
            .await
            .unwrap();
        assert!(again.is_some());
    }

    #[test]
    fn a_run_that_was_cut_off_is_known_by_its_batch() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let begin = |batch| {
            let counted = PathBuf::from("/nowhere/batch.json");
            BatchLock::begin(file.reopen().unwrap(), batch, counted).unwrap()
        };
        let (first, cut_off) = begin("batch-1");
        assert!(!cut_off);
        drop(first);
        let (second, cut_off) = begin("batch-1");
        assert!(cut_off);
        second.release();
        let (third, cut_off) = begin("batch-1");
        assert!(!cut_off);
        drop(third);
        let (_, cut_off) = begin("batch-2");
        assert!(!cut_off, "another batch");
    }

    #[tokio::test]
    async fn a_batch_has_so_many_targets_in_all_its_requests_together() {
        let folder = tempfile::tempdir().unwrap();
        let targets = |ids: std::ops::Range<u32>| -> BTreeSet<(String, Target)> {
            let target = |id: u32| Target {
                subject: crate::triage::Subject::Alert,
                id: id.to_string(),
            };
            ids.map(|id| ("contoso".to_owned(), target(id))).collect()
        };
        let lock = async |batch| {
            let deadline = Deadline::of(Duration::ZERO);
            held(folder.path(), batch, &deadline)
                .await
                .unwrap()
                .unwrap()
        };
        for ids in [0..4, 2..5, 0..5] {
            let lock = lock("b").await;
            assert!(lock.count("ann", "b", &targets(ids), 5).is_ok());
            lock.release();
        }
        let refusing = lock("b").await;
        let more = refusing.count("ann", "b", &targets(5..6), 5);
        refusing.release();
        let why = more.unwrap_err().to_string();
        assert!(why.contains("batch \"b\" has 6 distinct targets"), "{why}");
        // Refused targets do not count, and another batch counts for itself.
        let counted = async |actor, batch, ids| {
            let lock = lock(batch).await;
            let counted = lock.count(actor, batch, &targets(ids), 5);
            lock.release();
            counted.is_ok()
        };
        assert!(counted("ann", "b", 0..5).await);
        assert!(counted("ann", "c", 5..10).await);
        // Nor do targets that somebody else names under the same id.
        assert!(counted("mallory", "b", 20..25).await);
        assert!(!counted("mallory", "b", 25..26).await);
        assert!(!counted("ann", "b", 5..6).await);
        assert!(counted("ann", "b", 0..5).await);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_used_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let deadline = Deadline::of(PAUSE);
        assert!(held(file.path(), "batch", &deadline).await.is_err());
    }

    #[tokio::test]
    async fn a_cancelled_run_does_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        let long = Duration::from_secs(3600);
        let first = held(folder.path(), "batch", &Deadline::of(long)).await;
        let (cancel, cancelled) = tokio::sync::watch::channel(false);
        let deadline = Deadline::of(long).until(cancelled);
        let (again, ()) = tokio::join!(held(folder.path(), "batch", &deadline), async {
            cancel.send_replace(true);
        });
        assert!(first.unwrap().is_some() && again.unwrap().is_none());
    }
}
