//! Runs of one batch take turns: of two that read at the same time what stands,
//! neither would see the comment the other is about to write.

use super::home;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(50);

/// Waits until no other run on this machine is at the batch, for so long at
/// most. The turn is over when what comes back is dropped, or the process ends,
/// however it ends.
pub async fn wait(batch: &str, patience: Duration) -> Option<File> {
    let folder = home::state()?;
    match held(&folder, batch, patience).await {
        Ok(turn) => turn,
        Err(error) => {
            tracing::warn!(
                "{}: {error}; another run of this batch would not be noticed",
                folder.display()
            );
            None
        }
    }
}

async fn held(folder: &Path, batch: &str, patience: Duration) -> io::Result<Option<File>> {
    std::fs::create_dir_all(folder)?;
    // Files cannot be removed while others may wait for them, so batches share a
    // few: two that meet in one take turns without need, and that is all.
    let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, batch.as_bytes());
    let [slot, ..] = hash.into_bytes();
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join(format!("turn-{slot:02x}.lock")))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() >= patience => return Ok(None),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_batch_waits_for_itself_and_for_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let first = held(folder.path(), "batch-1", Duration::ZERO)
            .await
            .unwrap();
        assert!(first.is_some());
        let again = held(folder.path(), "batch-1", PAUSE).await.unwrap();
        assert!(again.is_none());
        let other = held(folder.path(), "batch-2", Duration::ZERO)
            .await
            .unwrap();
        assert!(other.is_some());
        drop(first);
        let again = held(folder.path(), "batch-1", PAUSE).await.unwrap();
        assert!(again.is_some());
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_used_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(held(file.path(), "batch", PAUSE).await.is_err());
    }
}
