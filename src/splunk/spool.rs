//! Outcomes splunkd did not take, kept on disk until a later run can hand them
//! over: one file per run, one JSON object per line, synced line by line.
//!
//! A file is locked by the run that writes it and later by the one that empties
//! it. What is handed over is struck out in its place, so a run that is killed
//! hands at most the event in flight over twice. Lines hold no secret: the
//! ledger knows none.

use crate::disk;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Some 40 000 outcomes. A splunkd that takes nothing for so long needs a
/// person, not more of its disk.
const MOST: u64 = 64 * 1024 * 1024;
const ENDING: &str = "ndjson";
/// Stands where a line's `{` stood once the line is handed over.
const STRUCK: u8 = b'-';

/// Why an outcome could not be kept, or those kept could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error(
        "the spool {} is full ({most} bytes): mend what keeps splunkd from taking events, then run any alert action or input of this app", .at.display()
    )]
    Full { at: PathBuf, most: u64 },
    #[error("{}: {}; splunkd's user must be able to read and write there", .at.display(), disk::said(cause))]
    Folder { at: PathBuf, cause: io::Error },
}

/// The spool of one Splunk installation, as one run sees it.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    most: u64,
    /// What this run keeps; made with its first line.
    own: Option<File>,
}

impl Spool {
    /// Touches nothing yet.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            most: MOST,
            own: None,
        }
    }

    /// Keeps one JSON object, written on one line. It is on the disk when this returns.
    ///
    /// # Errors
    /// If it is not kept, the spool being full among the reasons.
    pub fn keep(&mut self, json: &str) -> Result<(), SpoolError> {
        let at = self.folder.clone();
        let failing = |cause| SpoolError::Folder { at, cause };
        self.append(json).map_err(failing)?.ok_or(SpoolError::Full {
            at: self.folder.clone(),
            most: self.most,
        })
    }

    fn append(&mut self, json: &str) -> io::Result<Option<()>> {
        let line = format!("{}\n", json.replace(['\n', '\r'], " "));
        disk::own_folder(&self.folder)?;
        if self.size()?.saturating_add(line.len() as u64) > self.most {
            return Ok(None);
        }
        let file = match &mut self.own {
            Some(file) => file,
            none => none.insert(begin(&self.folder)?),
        };
        // One write, so that a killed process leaves at most one line cut off.
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        Ok(Some(()))
    }

    fn size(&self) -> io::Result<u64> {
        let mut size = 0;
        for path in self.files()? {
            match fs::metadata(&path) {
                Ok(found) => size += found.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(size)
    }

    /// Ends this run's own file, so that any run may hand it over.
    #[cfg(test)]
    fn close(&mut self) {
        self.own = None;
    }

    /// The files no other run holds, oldest first, each to be handed over.
    ///
    /// # Errors
    /// If the folder is there but cannot be read.
    pub fn due(&self) -> Result<Vec<Due>, SpoolError> {
        let at = self.folder.clone();
        let due = || -> io::Result<Vec<Due>> {
            let mut due = Vec::new();
            for path in self.files()? {
                due.extend(Due::open(path)?);
            }
            Ok(due)
        };
        due().map_err(|cause| SpoolError::Folder { at, cause })
    }

    /// The outcomes that wait, those among them that another run still writes.
    ///
    /// # Errors
    /// If the folder is there but cannot be read.
    pub fn waiting(&self) -> Result<Vec<String>, SpoolError> {
        let at = self.folder.clone();
        let files = self
            .files()
            .map_err(|cause| SpoolError::Folder { at, cause })?;
        let mut waiting = Vec::new();
        for path in files {
            // One that is gone meanwhile has been handed over.
            if let Ok(mut file) = File::open(&path)
                && let Ok(lines) = lines(&mut file)
            {
                waiting.extend(lines.into_iter().map(|line| line.json));
            }
        }
        Ok(waiting)
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

/// A file of outcomes that wait, held by this run.
#[derive(Debug)]
pub struct Due {
    path: PathBuf,
    file: File,
    lines: Vec<Line>,
    next: usize,
}

#[derive(Debug)]
struct Line {
    at: u64,
    json: String,
}

impl Due {
    /// None if another run holds the file, or has just emptied it.
    fn open(path: PathBuf) -> io::Result<Option<Self>> {
        let mut file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let lines = lines(&mut file)?;
        Ok(Some(Self {
            path,
            file,
            lines,
            next: 0,
        }))
    }

    /// The next outcome to hand over.
    pub fn next(&self) -> Option<&str> {
        self.lines.get(self.next).map(|line| line.json.as_str())
    }

    /// It is handed over.
    ///
    /// # Errors
    /// If that cannot be written down: the outcome would be handed over again.
    pub fn strike_out(&mut self) -> Result<(), SpoolError> {
        let Some(line) = self.lines.get(self.next) else {
            return Ok(());
        };
        let strike = |file: &mut File| {
            file.seek(SeekFrom::Start(line.at))?;
            file.write_all(&[STRUCK])
        };
        strike(&mut self.file).map_err(|cause| SpoolError::Folder {
            at: self.path.clone(),
            cause,
        })?;
        self.next += 1;
        Ok(())
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.lines.len() - self.next
    }

    /// Gives the file back, and removes it if nothing is left in it.
    ///
    /// # Errors
    /// If it can be neither removed nor written to.
    pub fn finish(self) -> Result<(), SpoolError> {
        let finished = || -> io::Result<()> {
            if self.left() > 0 {
                return self.file.sync_data();
            }
            // A run that opened it before it is removed finds nothing in it.
            self.file.set_len(0)?;
            match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        finished().map_err(|cause| SpoolError::Folder {
            at: self.path.clone(),
            cause,
        })
    }
}

/// Every line that is whole and not struck out; one cut off by a crash was
/// never promised to anybody.
fn lines(file: &mut File) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut at = 0;
    let mut reader = BufReader::new(file.take(MOST));
    loop {
        let mut bytes = Vec::new();
        let size = reader.read_until(b'\n', &mut bytes)? as u64;
        if size == 0 {
            return Ok(lines);
        }
        let whole = bytes.pop_if(|last| *last == b'\n').is_some();
        if whole
            && bytes.first() == Some(&b'{')
            && let Ok(json) = String::from_utf8(bytes)
        {
            lines.push(Line { at, json });
        }
        at += size;
    }
}

fn begin(folder: &Path) -> io::Result<File> {
    let id = uuid::Uuid::new_v4();
    let millis = jiff::Timestamp::now().as_millisecond();
    let name = format!("{millis:015}-{}", id.simple());
    // Nobody looks at it under this name, so nobody empties it before it is held.
    let unready = folder.join(format!("{name}.tmp"));
    let file = disk::create_new(&unready)?;
    file.lock()?;
    fs::rename(unready, folder.join(format!("{name}.{ENDING}")))?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("a").join("spool");
        (directory, folder)
    }

    fn keeping(folder: &Path, lines: &[&str]) {
        let mut spool = Spool::new(folder.to_owned());
        for line in lines {
            spool.keep(line).unwrap();
        }
    }

    /// Hands over up to `most` and says what.
    fn hand_over(folder: &Path, most: usize) -> Vec<String> {
        let mut taken = Vec::new();
        for mut due in Spool::new(folder.to_owned()).due().unwrap() {
            while taken.len() < most
                && let Some(json) = due.next()
            {
                taken.push(json.to_owned());
                due.strike_out().unwrap();
            }
            due.finish().unwrap();
        }
        taken
    }

    fn count(folder: &Path) -> usize {
        Spool::new(folder.to_owned()).files().unwrap().len()
    }

    #[test]
    fn what_is_kept_is_handed_over_once_and_then_gone() {
        let (_keep, folder) = folder();
        assert!(hand_over(&folder, 9).is_empty(), "no folder is no error");
        keeping(&folder, &[r#"{"row":1}"#, "{\"row\":\n2}"]);
        std::thread::sleep(std::time::Duration::from_millis(2));
        keeping(&folder, &[r#"{"row":3}"#]);
        let all = [r#"{"row":1}"#, "{\"row\": 2}", r#"{"row":3}"#];
        assert_eq!(hand_over(&folder, 9), all);
        assert_eq!(count(&folder), 0);
        assert!(hand_over(&folder, 9).is_empty());
    }

    #[test]
    fn what_waits_can_be_looked_at_while_it_is_written_and_stays() {
        let (_keep, folder) = folder();
        let mut spool = Spool::new(folder.clone());
        assert!(spool.waiting().unwrap().is_empty());
        spool.keep("{1}").unwrap();
        assert_eq!(Spool::new(folder.clone()).waiting().unwrap(), ["{1}"]);
        spool.close();
        keeping(&folder, &["{2}"]);
        assert_eq!(spool.waiting().unwrap().len(), 2);
        assert_eq!(hand_over(&folder, 1).len(), 1);
        assert_eq!(spool.waiting().unwrap().len(), 1);
    }

    #[test]
    fn a_run_that_ends_half_way_leaves_just_the_rest() {
        let (_keep, folder) = folder();
        keeping(&folder, &["{1}", "{2}", "{3}"]);
        assert_eq!(hand_over(&folder, 2), ["{1}", "{2}"]);
        assert_eq!(hand_over(&folder, 9), ["{3}"]);
        assert_eq!(count(&folder), 0);
    }

    #[test]
    fn a_killed_run_hands_over_only_the_one_in_flight_again() {
        let (_keep, folder) = folder();
        keeping(&folder, &["{1}", "{2}", "{3}"]);
        let mut due = Spool::new(folder.clone()).due().unwrap();
        due[0].strike_out().unwrap();
        assert_eq!(due[0].next(), Some("{2}"));
        // Handed over, but the run is killed before it can strike it out.
        drop(due);
        assert_eq!(hand_over(&folder, 9), ["{2}", "{3}"]);
    }

    #[test]
    fn a_file_in_use_is_left_to_whoever_uses_it() {
        let (_keep, folder) = folder();
        let mut writing = Spool::new(folder.clone());
        writing.keep("{1}").unwrap();
        assert!(hand_over(&folder, 9).is_empty());
        writing.close();
        let other = Spool::new(folder.clone()).due().unwrap();
        assert_eq!(other.len(), 1);
        assert!(hand_over(&folder, 9).is_empty());
        drop(other);
        assert_eq!(hand_over(&folder, 9), ["{1}"]);
    }

    #[test]
    fn a_run_that_comes_too_late_finds_nothing_to_hand_over_again() {
        let (_keep, folder) = folder();
        keeping(&folder, &["{1}"]);
        let path = Spool::new(folder.clone()).files().unwrap().remove(0);
        let mut late = File::options().read(true).write(true).open(path).unwrap();
        assert_eq!(hand_over(&folder, 9), ["{1}"]);
        assert!(lines(&mut late).unwrap().is_empty());
    }

    #[test]
    fn a_line_cut_off_by_a_crash_is_passed_over() {
        let (_keep, folder) = folder();
        keeping(&folder, &["{1}"]);
        let path = Spool::new(folder.clone()).files().unwrap().remove(0);
        let mut file = File::options().append(true).open(path).unwrap();
        file.write_all(b"garbage\n\xFF{\n{\"row\":").unwrap();
        assert_eq!(hand_over(&folder, 9), ["{1}"]);
        assert_eq!(count(&folder), 0);
    }

    #[test]
    fn a_full_spool_says_so_and_takes_again_once_it_is_emptied() {
        let (_keep, folder) = folder();
        let mut spool = Spool::new(folder.clone());
        spool.most = 12;
        spool.keep("{1234}").unwrap();
        let error = spool.keep("{1234}").unwrap_err();
        assert!(matches!(error, SpoolError::Full { .. }), "{error}");
        spool.keep("{1}").unwrap();
        spool.close();
        assert_eq!(hand_over(&folder, 9).len(), 2);
        spool.keep("{1234567890}").unwrap_err();
        spool.keep("{1234}").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn only_splunkds_user_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let (_keep, folder) = folder();
        keeping(&folder, &["{1}"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&Spool::new(folder.clone()).files().unwrap()[0]), 0o600);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let (keep, _) = folder();
        let occupied = keep.path().join("file");
        fs::write(&occupied, "").unwrap();
        let error = Spool::new(occupied.join("spool")).keep("{}").unwrap_err();
        assert!(error.to_string().contains("spool"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_in_a_file_are_lines_or_passed_over(bytes: Vec<u8>) {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.rewind().unwrap();
            for line in lines(&mut file).unwrap() {
                prop_assert_eq!(line.json.as_bytes().first(), Some(&b'{'));
                prop_assert!(bytes[line.at as usize..].starts_with(line.json.as_bytes()));
            }
        }
    }
}
