//! Where a polled stanza's memory is kept: one file in splunkd's checkpoint
//! directory, replaced in one step, held by one run at a time.
//!
//! It must never know what the text in it means.

use super::stanza_files::{StanzaFiles, at};
use crate::ingest::{Instant, Store};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use super::stanza_files::CheckpointError;

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
pub struct Writer {
    #[serde(flatten)]
    pub by: Owner,
    pub at: Instant,
}

/// A member beside those of the kept object, so that readers who do not know
/// it read the object all the same.
const WRITTEN: &str = "written_by";

impl Writer {
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

/// A stanza's checkpoint file, locked for as long as this value lives.
#[derive(Debug)]
pub struct CheckpointFile {
    files: StanzaFiles,
    owner: Option<Owner>,
}

impl CheckpointFile {
    /// Takes the lock of `stanza` (its bare name) and removes what killed runs left unfinished.
    pub fn open(directory: &Path, stanza: &str) -> Result<Self, CheckpointError> {
        Ok(Self {
            files: StanzaFiles::open(directory, stanza)?,
            owner: None,
        })
    }

    /// Every text saved from now on names its owner.
    pub fn owned_by(mut self, owner: Option<Owner>) -> Self {
        self.owner = owner;
        self
    }

    /// Where the checkpoint is.
    pub fn path(&self) -> PathBuf {
        self.files.path("json")
    }

    /// The kept text; none if nothing was ever saved.
    pub fn load(&self) -> io::Result<Option<String>> {
        read(&self.path())
    }

    /// Where a note for this machine lies beside the checkpoint.
    pub(in crate::splunk) fn note_path(&self, ending: &str) -> PathBuf {
        self.files.path(ending)
    }

    pub(in crate::splunk) fn note(&self, ending: &str) -> io::Result<Option<String>> {
        read(&self.note_path(ending))
    }

    /// Replaces a note in one step.
    pub(in crate::splunk) fn write_note(&self, ending: &str, text: &str) -> io::Result<()> {
        let path = self.note_path(ending);
        self.files.replace(&path, &[text.as_bytes()])
    }

    pub(in crate::splunk) fn remove_note(&self, ending: &str) -> io::Result<()> {
        let path = self.note_path(ending);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path, &error)),
            _ => Ok(()),
        }
    }
}

impl Store for CheckpointFile {
    fn save(&mut self, text: &str) -> io::Result<()> {
        let path = self.path();
        let (beginning, rest) = match &self.owner {
            Some(owner) => Writer {
                by: owner.clone(),
                at: Instant::from(jiff::Timestamp::now()),
            }
            .on(text),
            None => (String::new(), text),
        };
        let pieces = [beginning.as_bytes(), rest.as_bytes()];
        self.files.replace(&path, &pieces)
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splunk::modular_input::stanza_files::names;
    use proptest::prelude::*;

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
        let written = Writer::of(&text).unwrap();
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
            assert_eq!(Writer::of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_saved_comes_back_with_its_owner_or_as_it_was(
            text in "[{}\\[\\]\",:a1 \\n]{0,40}",
            guid in "\\PC{0,20}",
        ) {
            let written = Writer {
                by: Owner { guid, server: "sh1".into() },
                at: Instant::EPOCH,
            };
            let (beginning, rest) = written.on(&text);
            let signed = beginning + rest;
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(serde_json::Value::Object(members)) if !members.is_empty() => {
                    prop_assert_eq!(Writer::of(&signed), Some(written));
                }
                Ok(_) => prop_assert_eq!(signed, text),
                Err(_) => prop_assert!(serde_json::from_str::<serde_json::Value>(&signed).is_err()),
            }
        }
    }
}
