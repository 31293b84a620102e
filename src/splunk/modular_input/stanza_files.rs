//! The files of one stanza in splunkd's checkpoint directory, held by one run at a
//! time and replaced in one step.
//!
//! It must never know what is in them.

use crate::disk;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Escapes whatever may mean something in a file name, the dot included, so that no
/// stanza's file looks like another's.
const OUTSIDE_FILE_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// Leaves room for the endings within the 255 bytes file systems allow.
const LONGEST: usize = 200;
const UNFINISHED: &str = ".tmp";

/// Why a checkpoint file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error(
        "another run of this stanza holds {}: two at once would send events twice; it goes on when the other one ends",
        .0.display()
    )]
    Held(PathBuf),
    #[error("{}: {}; splunkd's user must be able to read and write there", .at.display(), disk::said(cause))]
    Directory { at: PathBuf, cause: io::Error },
    #[error(
        "{}: {damage}. It is not taken for empty: restore it from a backup, or delete it to read again from \
         `start` (which delivers old records once more)",
        .at.display()
    )]
    Damaged { at: PathBuf, damage: String },
}

/// Locked for as long as this value lives.
#[derive(Debug)]
pub(super) struct StanzaFiles {
    directory: PathBuf,
    name: String,
    /// Never deleted, as a deleted lock could be held twice.
    _lock: File,
}

impl StanzaFiles {
    /// Takes the lock of `stanza` (its bare name) and removes what killed runs left unfinished.
    pub fn open(directory: &Path, stanza: &str) -> Result<Self, CheckpointError> {
        let name = file_name(stanza);
        let failing = |at: &Path| {
            let at = at.to_owned();
            move |cause| CheckpointError::Directory { at, cause }
        };
        disk::folder(directory).map_err(failing(directory))?;
        let at = directory.join(format!("{name}.lock"));
        let lock = disk::open(&at).map_err(failing(&at))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CheckpointError::Held(at)),
            Err(TryLockError::Error(cause)) => return Err(failing(&at)(cause)),
        }
        let files = Self {
            directory: directory.to_owned(),
            name,
            _lock: lock,
        };
        files.remove_unfinished().map_err(failing(directory))?;
        Ok(files)
    }

    /// The stanza's file with this ending.
    pub fn path(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("{}.{ending}", self.name))
    }

    /// The same of any stanza.
    pub fn path_of(directory: &Path, stanza: &str, ending: &str) -> PathBuf {
        directory.join(format!("{}.{ending}", file_name(stanza)))
    }

    /// Replaces a file of this stanza in one step: after a crash at any instant the old
    /// or the new one is there, whole.
    pub fn replace(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
        self.replaced(path, pieces)
            .map_err(|error| at(path, &error))
    }

    fn replaced(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
        // Private from the moment it is made.
        let mut file = tempfile::Builder::new()
            .prefix(&format!("{}.", self.name))
            .suffix(UNFINISHED)
            .tempfile_in(&self.directory)?;
        for piece in pieces {
            file.write_all(piece)?;
        }
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        // The new name is on the disk only once its directory is.
        #[cfg(unix)]
        File::open(&self.directory)?.sync_all()?;
        Ok(())
    }

    fn remove_unfinished(&self) -> io::Result<()> {
        let begin = format!("{}.", self.name);
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let unfinished = entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(&begin) && name.ends_with(UNFINISHED));
            if unfinished {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// The error, and at which file.
pub(super) fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("{}: {}", path.display(), disk::said(error)),
    )
}

fn file_name(stanza: &str) -> String {
    let name = utf8_percent_encode(stanza, OUTSIDE_FILE_NAME).to_string();
    match name.get(..LONGEST) {
        Some(begin) if name.len() > LONGEST => {
            let all = xxhash_rust::xxh3::xxh3_128(stanza.as_bytes());
            format!("{begin}+{all:032x}")
        }
        _ => name,
    }
}

#[cfg(test)]
pub(super) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_stanza_is_held_by_one_run_and_others_are_free() {
        let directory = tempfile::tempdir().unwrap();
        let first = StanzaFiles::open(directory.path(), "prod").unwrap();
        assert!(matches!(
            StanzaFiles::open(directory.path(), "prod"),
            Err(CheckpointError::Held(_))
        ));
        StanzaFiles::open(directory.path(), "lab").unwrap();
        drop(first);
        StanzaFiles::open(directory.path(), "prod").unwrap();
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "prod.json",
            "prod.json.x1.tmp",
            "prod.x4.tmp",
            "prod%2Ejson%2Ea.json.x2.tmp",
            "prod2.json.x3.tmp",
            "notes.tmp",
        ] {
            fs::write(directory.path().join(name), "kept").unwrap();
        }
        let files = StanzaFiles::open(directory.path(), "prod").unwrap();
        assert_eq!(fs::read(files.path("json")).unwrap(), b"kept");
        assert_eq!(
            names(directory.path()),
            [
                "notes.tmp",
                "prod%2Ejson%2Ea.json.x2.tmp",
                "prod.json",
                "prod.lock",
                "prod2.json.x3.tmp"
            ]
        );
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let occupied = directory.path().join("file");
        fs::write(&occupied, "").unwrap();
        let error = StanzaFiles::open(&occupied.join("x"), "prod").unwrap_err();
        assert!(error.to_string().contains("file/x"), "{error}");
    }

    proptest! {
        #[test]
        fn every_stanza_has_a_file_name_of_its_own(one in "\\PC{0,300}", other in "\\PC{0,300}") {
            for stanza in [&one, &other] {
                let name = file_name(stanza);
                prop_assert!(name.len() <= 240);
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%-_+".contains(&byte)));
            }
            prop_assert_eq!(one == other, file_name(&one) == file_name(&other));
        }
    }
}
