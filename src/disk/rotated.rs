//! A log file that several processes write and that never grows beyond a size:
//! the full one is renamed to `<name>.1`, the one before to `<name>.2`, and the
//! last is given up, as splunkd does with its own.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// As splunkd's own logs.
const MOST: u64 = 25_000_000;
const KEPT: usize = 5;

/// How long another process is given for a handful of renames.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(4);

/// A log file, as one process sees it.
#[derive(Debug)]
pub struct Rotated {
    path: PathBuf,
    most: u64,
    kept: usize,
    patience: Duration,
    file: Option<File>,
}

impl Rotated {
    /// Touches nothing yet.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            most: MOST,
            kept: KEPT,
            patience: PATIENCE,
            file: None,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file, and makes it where it is missing.
    ///
    /// # Errors
    /// If it, or the folder it lies in, can be neither opened nor made.
    pub fn open(&mut self) -> io::Result<()> {
        self.opened().map(drop)
    }

    /// Writes a line, its end included.
    ///
    /// # Errors
    /// If it is not written. A file that is full and cannot be renamed takes no more.
    pub fn write(&mut self, line: &str) -> io::Result<()> {
        let size = line.len() as u64;
        let full = |found: &Metadata, most| found.len() > 0 && found.len() + size > most;
        let most = self.most;
        if full(&self.opened()?.metadata()?, most) {
            self.rotate(|found| full(found, most))?;
        }
        // One write, so that lines of processes side by side do not mix.
        self.opened()?.write_all(line.as_bytes())
    }

    fn opened(&mut self) -> io::Result<&mut File> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => {
                if let Some(folder) = self.path.parent() {
                    crate::disk::folder(folder)?;
                }
                Ok(none.insert(crate::disk::append(&self.path)?))
            }
        }
    }

    /// Begins a new file, unless another process has just done so. Who holds the
    /// lock of the file that bears the name is the only one to rename.
    fn rotate(&mut self, full: impl Fn(&Metadata) -> bool) -> io::Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        hold(&file, self.patience)?;
        let own = file.metadata()?;
        let named = match fs::metadata(&self.path) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if !full(&own) || !is_same(&own, &named) {
            return Ok(());
        }
        for number in (1..self.kept).rev() {
            rename(&self.older(number), &self.older(number + 1))?;
        }
        rename(&self.path, &self.older(1))
    }

    fn older(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn hold(file: &File, patience: Duration) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() > patience => {
                let locked = "it is full, and another process keeps it locked";
                return Err(io::Error::other(locked));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
        }
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io::Error::new(
            error.kind(),
            format!("it is full and cannot be renamed: {error}"),
        )),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn is_same(own: &Metadata, named: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (own.dev(), own.ino()) == (named.dev(), named.ino())
}

#[cfg(not(unix))]
fn is_same(own: &Metadata, named: &Metadata) -> bool {
    own.len() == named.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn small(path: &Path, most: u64, kept: usize) -> Rotated {
        Rotated {
            most,
            kept,
            patience: Duration::from_secs(60),
            ..Rotated::new(path.to_owned())
        }
    }

    fn found(folder: &Path) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect();
        found.sort();
        found
    }

    #[test]
    fn the_full_file_moves_on_and_the_last_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let mut log = small(&path, 10, 2);
        for number in 0..9 {
            log.write(&format!("{number}___\n")).unwrap();
        }
        let found = found(folder.path());
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(n, t)| (n.as_str(), t.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("x.log", "8___\n"),
                ("x.log.1", "6___\n7___\n"),
                ("x.log.2", "4___\n5___\n")
            ]
        );
    }

    #[test]
    fn a_line_longer_than_a_file_has_one_to_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let mut log = small(&path, 4, 5);
        for line in ["first one\n", "second one\n"] {
            log.write(line).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "second one\n");
        assert_eq!(found(folder.path()).len(), 2);
    }

    #[test]
    fn processes_side_by_side_lose_no_line_and_keep_the_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let (writers, lines, most) = (6, 300, 500);
        std::thread::scope(|scope| {
            for writer in 0..writers {
                let mut log = small(&path, most, 100);
                scope.spawn(move || {
                    for number in 0..lines {
                        log.write(&format!("line {writer} {number}\n")).unwrap();
                    }
                });
            }
        });
        let mut seen = BTreeSet::new();
        let found = found(folder.path());
        for (name, text) in &found {
            // Who looked before the last line came may still add one.
            assert!(
                text.len() as u64 <= most + writers * 16,
                "{name}: {}",
                text.len()
            );
            for line in text.lines() {
                assert!(seen.insert(line.to_owned()), "{line} twice");
            }
        }
        assert_eq!(seen.len() as u64, writers * lines);
        assert!(found.len() > 20, "{}", found.len());
    }

    #[test]
    fn a_writer_follows_when_another_has_rotated_or_removed_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let (mut one, mut other) = (small(&path, 12, 5), small(&path, 12, 5));
        one.write("one 1\n").unwrap();
        other.write("two 1\n").unwrap();
        one.write("one 2\n").unwrap();
        other.write("two 2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one 2\ntwo 2\n");
        fs::remove_file(&path).unwrap();
        one.write("one 3\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one 3\n");
    }

    #[test]
    fn a_full_file_that_somebody_holds_or_that_cannot_be_renamed_takes_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let mut log = small(&path, 6, 1);
        log.patience = Duration::ZERO;
        log.write("first\n").unwrap();
        let other = crate::disk::append(&path).unwrap();
        other.lock().unwrap();
        let error = log.write("second\n").unwrap_err().to_string();
        assert!(error.contains("locked"), "{error}");
        drop(other);
        // A folder stands in the way.
        fs::create_dir_all(folder.path().join("x.log.1").join("y")).unwrap();
        let error = log.write("second\n").unwrap_err().to_string();
        assert!(error.contains("cannot be renamed"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\n");
    }
}
