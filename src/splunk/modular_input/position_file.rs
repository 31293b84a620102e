//! Where a streaming stanza's positions are kept on this machine: one file in
//! splunkd's checkpoint directory, a line for each change, held by one run at a time.
//!
//! Lines are only ever added, and the last one of a partition counts. A process
//! killed at any instant leaves at most its last line unfinished; a line tells by its
//! checksum whether it is whole. Once the file is large it is written anew in one step.
//! It must never know what the texts in it mean.

use super::stanza_files::{StanzaFiles, at};
use crate::disk;
use crate::ingest::stream::{Kept, Partition, PositionStore};
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub use super::stanza_files::CheckpointError;

const ENDING: &str = "positions";
const HEAD: &[u8] = b"defender_bridge positions 1\n";
/// Hexadecimal digits of a checksum.
const DIGITS: usize = 16;
/// A file is written anew when it has this many bytes more than it needs, and several
/// times what it needs.
const SLACK: u64 = 256 << 10;
const TIMES: u64 = 4;
/// No file beside the positions is larger.
const MOST_BESIDE: u64 = 16 << 20;
/// A partition that no listing shows for so long is gone.
const GONE: Duration = Duration::from_secs(3600);

/// A stanza's positions, locked for as long as this value lives.
#[derive(Debug)]
pub struct PositionFile {
    files: StanzaFiles,
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    kept: BTreeMap<String, String>,
    /// Open at its end; none while the file is written anew.
    file: Option<File>,
    /// Up to here the file is whole.
    length: u64,
    /// What lies behind `length`, if anything, is half a line.
    torn: bool,
    /// Bytes of the last line of each partition.
    needed: u64,
    /// Saved, and not known to be on the disk.
    unsynced: bool,
    /// Partitions that no listing shows, and since when.
    missing: BTreeMap<String, Instant>,
}

/// Binds bytes to positions.
fn seal(kept: &BTreeMap<String, String>, bytes: &[u8]) -> u64 {
    let positions = kept.iter().fold(0, |seed, (partition, text)| {
        let seed = xxh3_64_with_seed(partition.as_bytes(), seed);
        xxh3_64_with_seed(text.as_bytes(), seed)
    });
    xxh3_64_with_seed(bytes, positions)
}

/// Why the lines of a file cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
enum Damage {
    #[error("it does not begin as a file of positions does")]
    Head,
    #[error("line {0} is damaged, and others follow it")]
    Line(usize),
}

impl PositionFile {
    /// Takes the lock of `stanza` (its bare name). Half a line that a killed run left
    /// is removed; a file that is damaged otherwise is refused.
    pub fn open(directory: &Path, stanza: &str) -> Result<Self, CheckpointError> {
        let files = StanzaFiles::open(directory, stanza)?;
        let path = files.path(ENDING);
        let refused = |cause| CheckpointError::Directory {
            at: path.clone(),
            cause,
        };
        let bytes = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(refused(error)),
        };
        let (kept, whole) = match &bytes {
            None => (BTreeMap::new(), 0),
            Some(bytes) => read(bytes).map_err(|damage| CheckpointError::Damaged {
                at: path.clone(),
                damage: damage.to_string(),
            })?,
        };
        let mut state = State {
            needed: needed(&kept),
            kept,
            file: None,
            length: 0,
            torn: false,
            unsynced: false,
            missing: BTreeMap::new(),
        };
        let torn = bytes.is_none_or(|bytes| bytes.len() != whole);
        state.length = u64::try_from(whole).unwrap_or(u64::MAX);
        if torn || state.is_large() {
            write_anew(&files, &path, &mut state).map_err(refused)?;
        } else {
            state.file = Some(disk::append(&path).map_err(refused)?);
        }
        Ok(Self {
            files,
            path,
            state: Mutex::new(state),
        })
    }

    /// Keeps a file beside the positions that is good for them as they are now alone.
    pub fn keep_beside(&self, ending: &str, bytes: &[u8]) -> io::Result<()> {
        let seal = seal(&self.state().kept, bytes).to_le_bytes();
        self.files
            .replace(&self.files.path(ending), &[&seal, bytes])
    }

    /// What was kept so, if the positions have not moved since.
    pub fn beside(&self, ending: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.files.path(ending);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(&path, &error)),
        };
        let mut all = Vec::new();
        file.take(MOST_BESIDE)
            .read_to_end(&mut all)
            .map_err(|error| at(&path, &error))?;
        let good = all.split_first_chunk().filter(|(seal_of, bytes)| {
            u64::from_le_bytes(**seal_of) == seal(&self.state().kept, bytes)
        });
        Ok(good.map(|(_, bytes)| bytes.to_vec()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, partition: &str, text: &str) -> io::Result<()> {
        let mut state = self.state();
        let kept = state.kept.get(partition);
        if kept.is_some_and(|kept| kept == text) {
            return Ok(());
        }
        let line = line(partition, text)?;
        state
            .append(&self.path, &line)
            .map_err(|error| at(&self.path, &error))?;
        let before = state.kept.insert(partition.to_owned(), text.to_owned());
        let before = before.map(|before| line_length(partition, &before));
        state.needed = state.needed + length(&line) - before.unwrap_or_default();
        if state.is_large() {
            write_anew(&self.files, &self.path, &mut state)?;
        }
        Ok(())
    }

    fn forget(&self, partitions: &[Partition], now: Instant) {
        let mut state = self.state();
        let listed: HashSet<&str> = partitions.iter().map(|one| one.id.as_str()).collect();
        let missing = state.kept.keys().filter(|id| !listed.contains(id.as_str()));
        let missing: Vec<String> = missing.cloned().collect();
        state.missing.retain(|id, _| !listed.contains(id.as_str()));
        for id in missing {
            let since = *state.missing.entry(id.clone()).or_insert(now);
            if now.saturating_duration_since(since) < GONE {
                continue;
            }
            state.missing.remove(&id);
            if let Some(text) = state.kept.remove(&id) {
                // Its lines go when the file is written anew.
                state.needed -= line_length(&id, &text);
            }
        }
    }
}

/// What a stanza's file holds, to look at: nothing is locked, and what cannot be read is
/// not there.
pub fn look(directory: &Path, stanza: &str) -> Vec<Kept> {
    let bytes = fs::read(StanzaFiles::path_of(directory, stanza, ENDING));
    let read = bytes.ok().and_then(|bytes| Some(read(&bytes).ok()?.0));
    let kept = read.unwrap_or_default().into_iter();
    kept.map(|(partition, text)| Kept { partition, text })
        .collect()
}

impl PositionStore for PositionFile {
    async fn load(&self) -> io::Result<Vec<Kept>> {
        let state = self.state();
        let kept = state.kept.iter().map(|(partition, text)| Kept {
            partition: partition.clone(),
            text: text.clone(),
        });
        Ok(kept.collect())
    }

    fn note(&self, partition: &str, text: &str) -> io::Result<()> {
        self.append(partition, text)?;
        // The next commit takes it along.
        self.state().unsynced = true;
        Ok(())
    }

    fn save(&self, partition: &str, text: &str) -> io::Result<()> {
        self.note(partition, text)
    }

    fn commit(&self) -> io::Result<()> {
        let mut state = self.state();
        if let Some(file) = state.file.as_ref().filter(|_| state.unsynced) {
            file.sync_data().map_err(|error| at(&self.path, &error))?;
        }
        state.unsynced = false;
        Ok(())
    }

    fn listed(&self, partitions: &[Partition]) {
        self.forget(partitions, Instant::now());
    }
}

impl State {
    fn is_large(&self) -> bool {
        let needed = self.needed + length(HEAD);
        self.length > needed + SLACK && self.length > needed.saturating_mul(TIMES)
    }

    /// Adds a line. After a write that failed, whatever it left is removed first: behind
    /// half a line nothing could be read.
    fn append(&mut self, path: &Path, line: &[u8]) -> io::Result<()> {
        let file = match self.file.as_mut() {
            Some(file) => file,
            None => self.file.insert(disk::append(path)?),
        };
        if self.torn {
            file.set_len(self.length)?;
            self.torn = false;
        }
        self.torn = true;
        file.write_all(line)?;
        self.torn = false;
        self.length += length(line);
        Ok(())
    }
}

/// Replaces the file by one with a line for each partition.
fn write_anew(files: &StanzaFiles, path: &Path, state: &mut State) -> io::Result<()> {
    let mut bytes = HEAD.to_vec();
    for (partition, text) in &state.kept {
        bytes.extend(line(partition, text)?);
    }
    // Windows replaces no file that is open.
    state.file = None;
    files.replace(path, &[&bytes])?;
    state.file = Some(disk::append(path).map_err(|error| at(path, &error))?);
    state.length = length(&bytes);
    state.torn = false;
    state.unsynced = false;
    Ok(())
}

/// `checksum "partition" text`.
fn line(partition: &str, text: &str) -> io::Result<Vec<u8>> {
    if text.contains('\n') {
        let why = "the text of a position has more than one line";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let name = serde_json::to_string(partition)?;
    let content = format!("{name} {text}");
    let checksum = xxh3_64(content.as_bytes());
    Ok(format!("{checksum:0DIGITS$x} {content}\n").into_bytes())
}

fn line_length(partition: &str, text: &str) -> u64 {
    line(partition, text).map_or(0, |line| length(&line))
}

fn needed(kept: &BTreeMap<String, String>) -> u64 {
    kept.iter()
        .map(|(partition, text)| line_length(partition, text))
        .sum()
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The last text of each partition, and how many bytes of the file are whole.
fn read(bytes: &[u8]) -> Result<(BTreeMap<String, String>, usize), Damage> {
    let Some(mut rest) = bytes.strip_prefix(HEAD) else {
        return Err(Damage::Head);
    };
    let mut kept = BTreeMap::new();
    let mut whole = HEAD.len();
    let mut damaged = None;
    let mut number = 1;
    while !rest.is_empty() {
        number += 1;
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        match parsed(line) {
            Some((partition, text)) => {
                if let Some(number) = damaged {
                    return Err(Damage::Line(number));
                }
                kept.insert(partition, text);
                whole += line.len();
            }
            None => damaged = damaged.or(Some(number)),
        }
    }
    Ok((kept, whole))
}

fn parsed(line: &[u8]) -> Option<(String, String)> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (checksum, content) = line.split_at_checked(DIGITS)?;
    let content = content.strip_prefix(' ')?;
    if u64::from_str_radix(checksum, 16).ok()? != xxh3_64(content.as_bytes()) {
        return None;
    }
    let mut names = serde_json::Deserializer::from_str(content).into_iter::<String>();
    let partition = names.next()?.ok()?;
    let text = content.get(names.byte_offset()..)?.strip_prefix(' ')?;
    Some((partition, text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splunk::modular_input::stanza_files::names;
    use futures::executor::block_on;
    use proptest::prelude::*;

    fn loaded(file: &PositionFile) -> BTreeMap<String, String> {
        let kept = block_on(file.load()).unwrap();
        let pairs = kept.into_iter().map(|kept| (kept.partition, kept.text));
        pairs.collect()
    }

    /// What the next run would load.
    fn on_disk(file: &PositionFile) -> BTreeMap<String, String> {
        let bytes = fs::read(&file.path).unwrap();
        let (kept, whole) = read(&bytes).unwrap();
        assert_eq!(whole, bytes.len());
        kept
    }

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(partition, text): &(&str, &str)| ((*partition).into(), (*text).into());
        pairs.iter().map(owned).collect()
    }

    fn partition(id: &str) -> Partition {
        Partition {
            id: id.to_owned(),
            created: None,
        }
    }

    #[test]
    fn what_lies_beside_the_positions_is_good_until_they_move() {
        let directory = tempfile::tempdir().unwrap();
        let open = || PositionFile::open(directory.path(), "hub").unwrap();
        let beside = |file: &PositionFile| file.beside("repeats").unwrap();
        let file = open();
        assert_eq!(beside(&file), None);
        file.note("0", "a").unwrap();
        file.keep_beside("repeats", b"known").unwrap();
        drop(file);
        let file = open();
        assert_eq!(beside(&file).as_deref(), Some(&b"known"[..]));
        file.note("0", "b").unwrap();
        assert_eq!(beside(&file), None);
        file.note("0", "a").unwrap();
        assert!(beside(&file).is_some());
        let path = directory.path().join("hub.repeats");
        for damaged in [&b"x"[..], b"12345678known"] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(beside(&file), None);
        }
    }

    #[test]
    fn what_was_noted_or_saved_last_is_loaded_by_the_next_run() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("modinputs");
        let file = PositionFile::open(&below, "hub").unwrap();
        assert_eq!(loaded(&file), BTreeMap::new());
        file.note("0", "{\"a\":1}").unwrap();
        file.save("tenantId=x/h=01/PT1H.json", "{}").unwrap();
        file.note("0", "{\"a\":2}").unwrap();
        file.commit().unwrap();
        let kept = pairs(&[("0", "{\"a\":2}"), ("tenantId=x/h=01/PT1H.json", "{}")]);
        assert_eq!(loaded(&file), kept);
        assert!(matches!(
            PositionFile::open(&below, "hub"),
            Err(CheckpointError::Held(_))
        ));
        drop(file);
        assert_eq!(loaded(&PositionFile::open(&below, "hub").unwrap()), kept);
        assert_eq!(names(&below), ["hub.lock", "hub.positions"]);
    }

    #[test]
    fn the_file_stays_small_however_often_positions_change() {
        let directory = tempfile::tempdir().unwrap();
        let file = PositionFile::open(directory.path(), "hub").unwrap();
        let text = "x".repeat(1000);
        for number in 0..2_000 {
            file.note(&(number % 3).to_string(), &format!("{text}{number}"))
                .unwrap();
        }
        assert!(fs::metadata(&file.path).unwrap().len() < 300_000);
        let kept = loaded(&file);
        assert_eq!(kept["1"], format!("{text}1999"));
        assert_eq!(on_disk(&file), kept);
    }

    #[test]
    fn a_partition_that_is_long_gone_is_forgotten_and_one_that_comes_back_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = PositionFile::open(directory.path(), "hub").unwrap();
        for id in ["0", "1", "2"] {
            file.save(id, "{}").unwrap();
        }
        let begun = Instant::now();
        file.forget(&[partition("0")], begun);
        file.forget(&[partition("0"), partition("1")], begun + GONE / 2);
        file.forget(&[partition("0")], begun + GONE);
        assert_eq!(loaded(&file), pairs(&[("0", "{}"), ("1", "{}")]));
        file.forget(&[partition("0")], begun + GONE * 2);
        assert_eq!(loaded(&file), pairs(&[("0", "{}")]));
        file.save("3", "{}").unwrap();
        assert_eq!(loaded(&file), pairs(&[("0", "{}"), ("3", "{}")]));
    }

    #[test]
    fn a_damaged_file_is_refused_and_stays_as_it_is() {
        let whole = [HEAD, &line("0", "{}").unwrap(), &line("1", "{}").unwrap()].concat();
        for (damaged, word) in [
            (Vec::new(), "begin"),
            (b"{\"version\":1}".to_vec(), "begin"),
            (whole.replace_byte(HEAD.len() + 3), "line 2"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("hub.positions");
            fs::write(&path, &damaged).unwrap();
            let error = PositionFile::open(directory.path(), "hub").unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains(word) && error.contains("hub.positions"),
                "{error}"
            );
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }

    trait ReplaceByte {
        fn replace_byte(&self, at: usize) -> Vec<u8>;
    }

    impl ReplaceByte for Vec<u8> {
        fn replace_byte(&self, at: usize) -> Vec<u8> {
            let mut bytes = self.clone();
            bytes[at] ^= 1;
            bytes
        }
    }

    #[test]
    fn a_text_of_two_lines_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = PositionFile::open(directory.path(), "hub").unwrap();
        assert!(file.note("0", "a\nb").is_err());
        assert_eq!(loaded(&file), BTreeMap::new());
    }

    #[test]
    fn what_a_failed_write_left_is_removed_before_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = PositionFile::open(directory.path(), "hub").unwrap();
        file.note("0", "{}").unwrap();
        // As a full disk leaves it.
        let mut half = disk::append(&file.path).unwrap();
        half.write_all(b"0123456789abcdef \"0\" {\"hal").unwrap();
        file.state().torn = true;
        file.note("1", "{}").unwrap();
        assert_eq!(on_disk(&file), pairs(&[("0", "{}"), ("1", "{}")]));
    }

    proptest! {
        /// A process killed at any instant: of the bytes it wrote, some beginning is there.
        #[test]
        fn a_file_cut_off_anywhere_holds_all_that_was_whole(
            changes in proptest::collection::vec(("[a-c]", "[ -~]{0,30}"), 1..30),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = HEAD.to_vec();
            let mut states = vec![(bytes.len(), BTreeMap::new())];
            let mut kept = BTreeMap::new();
            for (partition, text) in &changes {
                bytes.extend(line(partition, text).unwrap());
                kept.insert(partition.clone(), text.clone());
                states.push((bytes.len(), kept.clone()));
            }
            let cut = HEAD.len() + cut.index(bytes.len() - HEAD.len() + 1);
            let (_, expected) = states.iter().rfind(|(length, _)| *length <= cut).unwrap();

            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("hub.positions"), &bytes[..cut]).unwrap();
            let file = PositionFile::open(directory.path(), "hub").unwrap();
            prop_assert_eq!(&loaded(&file), expected);
            // And what follows is not lost behind the cut.
            file.save("z", "{}").unwrap();
            let mut expected = expected.clone();
            expected.insert("z".to_owned(), "{}".to_owned());
            prop_assert_eq!(on_disk(&file), expected);
        }

        #[test]
        fn any_bytes_are_read_or_refused_in_peace(bytes: Vec<u8>, headed: bool) {
            let bytes = match headed {
                true => [HEAD, &bytes].concat(),
                false => bytes,
            };
            if let Ok((_, whole)) = read(&bytes) {
                prop_assert!(whole <= bytes.len());
            }
        }

        #[test]
        fn every_line_reads_back(partition in "\\PC{0,40}", text in "\\PC{0,80}") {
            let line = line(&partition, &text).unwrap();
            prop_assert_eq!(parsed(&line), Some((partition, text)));
        }
    }
}
