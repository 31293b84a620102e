//! Where a stanza's memory is kept: one file in splunkd's checkpoint
//! directory, replaced in one step, held by one run at a time.
//!
//! It must never know what the text in it means.

use crate::disk;
use crate::ingest::{Instant, Store};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Escapes whatever may mean something in a file name, the dot included, so that no
/// stanza's file looks like another's.
const OUTSIDE_FILE_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// Leaves room for the endings within the 255 bytes file systems allow.
const LONGEST: usize = 200;
const UNFINISHED: &str = ".tmp";

/// The splunkd a run belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Of the installation: no two have the same, whatever they are called.
    pub guid: String,
    pub server: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.server, self.guid)
    }
}

/// Who wrote a checkpoint, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    #[serde(flatten)]
    pub by: Owner,
    pub at: Instant,
}

/// A member beside those of the kept object, so that readers who do not know
/// it read the object all the same.
const WRITTEN: &str = "written_by";

impl Written {
    /// Who wrote a kept text; none if it does not say so.
    pub fn of(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Signed {
            #[serde(default)]
            written_by: serde_json::Value,
        }
        let signed: Signed = serde_json::from_str(text).ok()?;
        serde_json::from_value(signed.written_by).ok()
    }

    /// `text`, if it is an object, with this in it: a beginning and the rest, so that
    /// megabytes are not copied.
    fn on<'t>(&self, text: &'t str) -> (String, &'t str) {
        let members = text.trim_start().strip_prefix('{').map(str::trim_start);
        match (members, serde_json::to_string(self)) {
            (Some(members), Ok(signature)) if !members.starts_with('}') => {
                (format!("{{\"{WRITTEN}\":{signature},"), members)
            }
            _ => (String::new(), text),
        }
    }
}

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
}

/// A stanza's checkpoint file, locked for as long as this value lives.
#[derive(Debug)]
pub struct CheckpointFile {
    directory: PathBuf,
    name: String,
    owner: Option<Owner>,
    /// Never deleted, as a deleted lock could be held twice.
    _lock: File,
}

impl CheckpointFile {
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
        let file = Self {
            directory: directory.to_owned(),
            name: format!("{name}.json"),
            owner: None,
            _lock: lock,
        };
        file.remove_unfinished().map_err(failing(directory))?;
        Ok(file)
    }

    /// Every text saved from now on names its owner.
    pub fn owned_by(mut self, owner: Option<Owner>) -> Self {
        self.owner = owner;
        self
    }

    /// Where the checkpoint is.
    pub fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// The kept text; none if nothing was ever saved.
    pub fn load(&self) -> io::Result<Option<String>> {
        read(&self.path())
    }

    /// Where a note for this machine lies beside the checkpoint.
    pub(in crate::splunk) fn note_path(&self, ending: &str) -> PathBuf {
        self.path().with_extension(ending)
    }

    pub(in crate::splunk) fn note(&self, ending: &str) -> io::Result<Option<String>> {
        read(&self.note_path(ending))
    }

    /// Replaces a note in one step.
    pub(in crate::splunk) fn write_note(&self, ending: &str, text: &str) -> io::Result<()> {
        let path = self.note_path(ending);
        self.replace(&path, &[text])
            .map_err(|error| at(&path, &error))
    }

    pub(in crate::splunk) fn remove_note(&self, ending: &str) -> io::Result<()> {
        let path = self.note_path(ending);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path, &error)),
            _ => Ok(()),
        }
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

    fn replace(&self, path: &Path, pieces: &[&str]) -> io::Result<()> {
        // Private from the moment it is made.
        let mut file = tempfile::Builder::new()
            .prefix(&format!("{}.", self.name))
            .suffix(UNFINISHED)
            .tempfile_in(&self.directory)?;
        for piece in pieces {
            file.write_all(piece.as_bytes())?;
        }
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        // The new name is on the disk only once its directory is.
        #[cfg(unix)]
        File::open(&self.directory)?.sync_all()?;
        Ok(())
    }
}

impl Store for CheckpointFile {
    fn save(&mut self, text: &str) -> io::Result<()> {
        let path = self.path();
        let (beginning, rest) = match &self.owner {
            Some(owner) => Written {
                by: owner.clone(),
                at: Instant::from(jiff::Timestamp::now()),
            }
            .on(text),
            None => (String::new(), text),
        };
        self.replace(&path, &[&beginning, rest])
            .map_err(|error| at(&path, &error))
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path, &error)),
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_saved_is_loaded_by_the_next_run() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("modinputs");
        let mut file = CheckpointFile::open(&below, "prod/eu 1").unwrap();
        assert_eq!(file.load().unwrap(), None);
        file.save("first").unwrap();
        file.save("second").unwrap();
        drop(file);
        let file = CheckpointFile::open(&below, "prod/eu 1").unwrap();
        assert_eq!(file.load().unwrap().as_deref(), Some("second"));
        assert_eq!(names(&below), ["prod%2Feu%201.json", "prod%2Feu%201.lock"]);
    }

    #[test]
    fn one_stanza_is_held_by_one_run_and_others_are_free() {
        let directory = tempfile::tempdir().unwrap();
        let first = CheckpointFile::open(directory.path(), "prod").unwrap();
        assert!(matches!(
            CheckpointFile::open(directory.path(), "prod"),
            Err(CheckpointError::Held(_))
        ));
        CheckpointFile::open(directory.path(), "lab").unwrap();
        drop(first);
        CheckpointFile::open(directory.path(), "prod").unwrap();
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "prod.json",
            "prod.json.x1.tmp",
            "prod%2Ejson%2Ea.json.x2.tmp",
            "prod2.json.x3.tmp",
            "notes.tmp",
        ] {
            fs::write(directory.path().join(name), "kept").unwrap();
        }
        let file = CheckpointFile::open(directory.path(), "prod").unwrap();
        assert_eq!(file.load().unwrap().as_deref(), Some("kept"));
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
    fn a_save_that_fails_keeps_the_old_text_and_says_where() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("modinputs");
        let mut file = CheckpointFile::open(&below, "prod").unwrap();
        fs::remove_dir_all(&below).unwrap();
        let error = file.save("text").unwrap_err().to_string();
        assert!(error.contains("prod.json"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_text_is_an_error_not_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("prod.json"), b"\xFF\xFE").unwrap();
        let file = CheckpointFile::open(directory.path(), "prod").unwrap();
        let error = file.load().unwrap_err().to_string();
        assert!(error.contains("prod.json"), "{error}");
    }

    #[test]
    fn what_is_saved_names_its_owner_and_reads_as_before_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let owner = Owner {
            guid: "6A1C-\"9".into(),
            server: "sh\u{e9} 2".into(),
        };
        let file = CheckpointFile::open(directory.path(), "prod").unwrap();
        let mut file = file.owned_by(Some(owner.clone()));
        file.save(r#"{"version":1,"seen":[]}"#).unwrap();
        let text = file.load().unwrap().unwrap();
        let written = Written::of(&text).unwrap();
        assert_eq!(written.by, owner);
        assert!(written.at <= Instant::from(jiff::Timestamp::now()));
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value.as_object_mut().unwrap().remove(WRITTEN).unwrap();
        assert_eq!(value, serde_json::json!({"version": 1, "seen": []}));
    }

    #[test]
    fn a_text_without_an_owner_or_with_a_strange_one_is_a_text_all_the_same() {
        for text in [
            "",
            "{}",
            "[1]",
            r#"{"version":1}"#,
            r#"{"written_by":7,"version":1}"#,
            r#"{"written_by":{"guid":"G"},"version":1}"#,
            r#"{"version":1"#,
        ] {
            assert_eq!(Written::of(text), None, "{text}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let occupied = directory.path().join("file");
        fs::write(&occupied, "").unwrap();
        let error = CheckpointFile::open(&occupied.join("x"), "prod").unwrap_err();
        assert!(error.to_string().contains("file/x"), "{error}");
    }

    proptest! {
        #[test]
        fn whatever_is_saved_comes_back_with_its_owner_or_as_it_was(
            text in "[{}\\[\\]\",:a1 \\n]{0,40}",
            guid in "\\PC{0,20}",
        ) {
            let written = Written {
                by: Owner { guid, server: "sh1".into() },
                at: Instant::EPOCH,
            };
            let (beginning, rest) = written.on(&text);
            let signed = beginning + rest;
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(serde_json::Value::Object(members)) if !members.is_empty() => {
                    prop_assert_eq!(Written::of(&signed), Some(written));
                }
                Ok(_) => prop_assert_eq!(signed, text),
                Err(_) => prop_assert!(serde_json::from_str::<serde_json::Value>(&signed).is_err()),
            }
        }

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
