//! Runs of one batch take turns: of two that read at the same time what stands,
//! neither would see the comment the other is about to write.

use super::course::Course;
use super::home;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(50);

/// Waits until no other run on this machine is at the batch, as long as the
/// course allows. The turn is over when what comes back is dropped, or the
/// process ends, however it ends.
pub async fn wait(batch: &str, course: &Course) -> Option<File> {
    let folder = home::state()?;
    match held(&folder, batch, course).await {
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

async fn held(folder: &Path, batch: &str, course: &Course) -> io::Result<Option<File>> {
    std::fs::create_dir_all(folder)?;
    // Files cannot be removed while others may wait for them, so batches share a
    // few: two that meet in one take turns without need, and that is all.
    let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, batch.as_bytes());
    let [high, low, ..] = hash.into_bytes();
    let slot = u16::from_be_bytes([high, low]) >> 4;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join(format!("turn-{slot:03x}.lock")))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if course.left().is_zero() => return Ok(None),
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
        let now = || Course::of(Duration::ZERO);
        let first = held(folder.path(), "batch-1", &now()).await.unwrap();
        assert!(first.is_some());
        let again = held(folder.path(), "batch-1", &Course::of(PAUSE))
            .await
            .unwrap();
        assert!(again.is_none());
        let other = held(folder.path(), "batch-2", &now()).await.unwrap();
        assert!(other.is_some());
        drop(first);
        let again = held(folder.path(), "batch-1", &Course::of(PAUSE))
            .await
            .unwrap();
        assert!(again.is_some());
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_used_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let course = Course::of(PAUSE);
        assert!(held(file.path(), "batch", &course).await.is_err());
    }

    #[tokio::test]
    async fn who_is_no_longer_wanted_waits_for_no_turn() {
        let folder = tempfile::tempdir().unwrap();
        let long = Duration::from_secs(3600);
        let first = held(folder.path(), "batch", &Course::of(long)).await;
        let (tell, gone) = tokio::sync::watch::channel(false);
        let course = Course::of(long).until(gone);
        let (again, ()) = tokio::join!(held(folder.path(), "batch", &course), async {
            tell.send_replace(true);
        });
        assert!(first.unwrap().is_some() && again.unwrap().is_none());
    }
}
