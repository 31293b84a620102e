//! How far the blobs of one container were read, and its text in a checkpoint.
//!
//! Each blob that was written to lately has an entry: its name and the bytes consumed.
//! A blob that nobody has written to for [`SETTLED`] and that was read to its end has
//! none any more; that it was read is told by the date up to which this holds for all.

use super::names::{Name, Stems};
use crate::ingest::Instant;
use crate::microsoft::azure::storage::listing::Blob;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Twice over what is known of late blobs, and more.
pub const SETTLED: Duration = Duration::from_secs(30 * 24 * 3600);
/// A record that is cut off at the end of a blob waits so long for its rest.
const CUT_OFF: Duration = Duration::from_secs(24 * 3600);

const LAYOUT: &str = "v1";
/// What the text is made of.
const QUOTED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'%')
    .add(b'@')
    .add(b':')
    .add(b',')
    .add(b'"')
    .add(b'\\');

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    /// Bytes delivered.
    pub consumed: u64,
    /// Bytes looked at: a record that is cut off at the end is consumed with its rest.
    pub seen: u64,
    /// As listed last.
    pub size: u64,
    pub modified: Option<Instant>,
    /// The listing that showed it last.
    listing: u64,
}

/// What a listing says of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Nothing,
    Grown,
    /// It is shorter than what was read of it: another blob under its name.
    Replaced,
    /// Its last record was never finished.
    CutOff,
    /// Written to long after it was read, and forgotten since.
    TooLate,
}

#[derive(Debug, Clone, Default)]
pub struct Frontier {
    stems: Stems,
    entries: BTreeMap<Name, Entry>,
    /// Blobs without an entry that were last written to by then have been read.
    settled: Option<Instant>,
    listing: u64,
}

impl Frontier {
    pub fn stems(&self) -> &Stems {
        &self.stems
    }

    pub fn entry(&mut self, name: &Name) -> Option<&mut Entry> {
        self.entries.get_mut(name)
    }

    pub fn forget(&mut self, name: &Name) {
        self.entries.remove(name);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn begin_listing(&mut self) {
        self.listing += 1;
    }

    /// Forgets blobs that the listing, now complete, did not show.
    pub fn end_listing(&mut self) {
        let listing = self.listing;
        self.entries.retain(|_, entry| entry.listing == listing);
    }

    /// Takes note of a listed blob. `begin`: what was written before is not wanted,
    /// while a container is listed for the first time.
    pub fn see(
        &mut self,
        blob: &Blob,
        begin: Option<Instant>,
        now: Option<Instant>,
    ) -> (Name, Seen) {
        let name = self.stems.name(&blob.name);
        let listing = self.listing;
        let Some(entry) = self.entries.get_mut(&name) else {
            return self.see_new(blob, name, begin);
        };
        let was = *entry;
        entry.size = blob.size;
        entry.modified = blob.modified;
        entry.listing = listing;
        if blob.size < entry.consumed {
            entry.consumed = 0;
            entry.seen = 0;
            let seen = if blob.size == 0 {
                Seen::Nothing
            } else {
                Seen::Replaced
            };
            return (name, seen);
        }
        if blob.size != was.seen {
            return (name, Seen::Grown);
        }
        let long_ago = |now: Instant, modified: Instant| modified.plus(CUT_OFF) < now;
        let rests = now
            .zip(blob.modified)
            .is_some_and(|(now, modified)| long_ago(now, modified));
        let seen = match was.consumed < blob.size && rests {
            true => Seen::CutOff,
            false => Seen::Nothing,
        };
        (name, seen)
    }

    fn see_new(&mut self, blob: &Blob, name: Name, begin: Option<Instant>) -> (Name, Seen) {
        let by_then = |date: Option<Instant>| match (date, self.settled) {
            (Some(date), Some(settled)) => date <= settled,
            _ => false,
        };
        if by_then(blob.modified) {
            return (name, Seen::Nothing);
        }
        let too_late = by_then(blob.created);
        let unwanted = begin.is_some_and(|begin| match (&name, blob.modified) {
            (Name::Hour { hour, .. }, _) => hours(*hour + 1) <= begin,
            (Name::Other(_), Some(modified)) => modified < begin,
            (Name::Other(_), None) => false,
        });
        let consumed = match unwanted || too_late {
            true => blob.size,
            false => 0,
        };
        let entry = Entry {
            consumed,
            seen: consumed,
            size: blob.size,
            modified: blob.modified,
            listing: self.listing,
        };
        self.entries.insert(name.clone(), entry);
        let seen = match () {
            () if too_late => Seen::TooLate,
            () if consumed < blob.size => Seen::Grown,
            () => Seen::Nothing,
        };
        (name, seen)
    }

    /// All that was listed at that time has been read.
    pub fn settle(&mut self, now: Instant) {
        let settled = now.minus(SETTLED);
        if self.settled.is_some_and(|before| settled <= before) {
            return;
        }
        let rests = |entry: &Entry| {
            entry.consumed == entry.size
                && entry.modified.is_some_and(|modified| modified <= settled)
        };
        self.entries.retain(|_, entry| !rests(entry));
        self.settled = Some(settled);
    }

    /// For a checkpoint: `v1 <settled> <stem>@<first hour>:<bytes>,… :<name>:<bytes> …`, numbers in base 36;
    /// `n*` stands for n hours left out.
    pub fn text(&self) -> String {
        let mut text = LAYOUT.to_owned();
        text.push(' ');
        match self.settled {
            Some(settled) => number(&mut text, settled.ticks().unsigned_abs()),
            None => text.push('-'),
        }
        let mut last = None;
        for (name, entry) in &self.entries {
            match name {
                Name::Hour { stem, hour } => {
                    match last {
                        Some((same, before)) if same == *stem => {
                            text.push(',');
                            let gap = hour.saturating_sub(before).saturating_sub(1);
                            if gap > 0 {
                                number(&mut text, u64::from(gap));
                                text.push('*');
                            }
                        }
                        _ => {
                            // Writing into a string cannot fail.
                            write!(text, " {}@", quoted(self.stems.stem(*stem))).ok();
                            number(&mut text, u64::from(*hour));
                            text.push(':');
                        }
                    }
                    last = Some((*stem, *hour));
                }
                Name::Other(name) => write!(text, " :{}:", quoted(name)).unwrap_or_default(),
            }
            number(&mut text, entry.consumed);
        }
        text
    }

    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next()? != LAYOUT {
            return None;
        }
        let mut frontier = Self {
            settled: match words.next()? {
                "-" => None,
                ticks => Some(Instant::from_ticks(i64::try_from(value(ticks)?).ok()?)),
            },
            ..Self::default()
        };
        for word in words {
            match word.strip_prefix(':') {
                Some(other) => {
                    let (name, consumed) = other.split_once(':')?;
                    let name = frontier.stems.name(&unquoted(name)?);
                    frontier.resume(name, value(consumed)?);
                }
                None => frontier.read_hours(word)?,
            }
        }
        Some(frontier)
    }

    fn read_hours(&mut self, word: &str) -> Option<()> {
        let (stem, rest) = word.split_once('@')?;
        let (first, sizes) = rest.split_once(':')?;
        let stem = self.stems.number(&unquoted(stem)?);
        let mut hour = u32::try_from(value(first)?).ok()?;
        for size in sizes.split(',') {
            let size = match size.split_once('*') {
                Some((gap, size)) => {
                    hour = hour.checked_add(u32::try_from(value(gap)?).ok()?)?;
                    size
                }
                None => size,
            };
            self.resume(Name::Hour { stem, hour }, value(size)?);
            hour = hour.checked_add(1)?;
        }
        Some(())
    }

    fn resume(&mut self, name: Name, consumed: u64) {
        let entry = Entry {
            consumed,
            seen: consumed,
            size: consumed,
            ..Entry::default()
        };
        self.entries.insert(name, entry);
    }
}

fn hours(hours: u32) -> Instant {
    Instant::from_millis(i64::from(hours) * 3_600_000)
}

fn quoted(text: &str) -> String {
    utf8_percent_encode(text, QUOTED).to_string()
}

fn unquoted(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    Some(text.into_owned())
}

/// In base 36.
fn number(text: &mut String, mut number: u64) {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or_default();
        digits.push(char::from_digit(digit, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            break;
        }
    }
    text.extend(digits.iter().rev());
}

fn value(text: &str) -> Option<u64> {
    let plain = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || c.is_ascii_lowercase());
    plain.then(|| u64::from_str_radix(text, 36).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::microsoft::azure::storage::listing::ETag;
    use proptest::prelude::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const NOW: Instant = Instant::from_millis(1_796_000_000_000);

    fn hour(hour: u32) -> String {
        format!(
            "tenantId=7b/y=2026/m=11/d={:02}/h={:02}/m=00/PT1H.json",
            1 + hour / 24,
            hour % 24
        )
    }

    fn blob(name: &str, size: u64, modified: Instant) -> Blob {
        Blob {
            name: name.to_owned(),
            size,
            etag: ETag(String::new()),
            modified: Some(modified),
            created: Some(modified),
            append: true,
            metadata: BTreeMap::new(),
        }
    }

    fn see(frontier: &mut Frontier, blob: &Blob) -> Seen {
        frontier.see(blob, None, Some(NOW)).1
    }

    fn read_all(frontier: &mut Frontier) {
        for entry in frontier.entries.values_mut() {
            entry.consumed = entry.size;
            entry.seen = entry.size;
        }
    }

    #[test]
    fn a_blob_is_read_when_it_has_grown_and_not_because_a_date_has_changed() {
        let mut frontier = Frontier::default();
        let mut grows = blob(&hour(0), 10, NOW);
        assert_eq!(see(&mut frontier, &grows), Seen::Grown);
        read_all(&mut frontier);
        assert_eq!(see(&mut frontier, &grows), Seen::Nothing);
        grows.modified = Some(NOW.plus(DAY));
        assert_eq!(see(&mut frontier, &grows), Seen::Nothing);
        grows.size = 11;
        assert_eq!(see(&mut frontier, &grows), Seen::Grown);
        read_all(&mut frontier);
        grows.size = 4;
        assert_eq!(see(&mut frontier, &grows), Seen::Replaced);
        assert_eq!(see(&mut frontier, &blob("empty", 0, NOW)), Seen::Nothing);
    }

    #[test]
    fn what_was_read_long_ago_costs_nothing_and_is_known_all_the_same() {
        let mut frontier = Frontier::default();
        let old = NOW.minus(31 * DAY);
        let (read, fresh) = (blob(&hour(0), 10, old), blob(&hour(700), 10, NOW));
        see(&mut frontier, &read);
        see(&mut frontier, &fresh);
        read_all(&mut frontier);
        frontier.settle(NOW);
        assert_eq!(frontier.len(), 1);
        let mut frontier = Frontier::read(&frontier.text()).unwrap();
        assert_eq!(see(&mut frontier, &read), Seen::Nothing);
        assert_eq!(frontier.len(), 1);
        // One that appears late is new, however old the hour it is for.
        assert_eq!(see(&mut frontier, &blob(&hour(1), 10, NOW)), Seen::Grown);
        // One that was forgotten and written to again is not read anew.
        let mut late = read.clone();
        late.modified = Some(NOW);
        assert_eq!(see(&mut frontier, &late), Seen::TooLate);
        late.size = 12;
        assert_eq!(see(&mut frontier, &late), Seen::Grown);
    }

    #[test]
    fn what_ended_before_the_start_is_passed_over_until_it_grows() {
        let mut frontier = Frontier::default();
        let start = hours(498_192 + 2);
        let begin =
            |frontier: &mut Frontier, blob: &Blob| frontier.see(blob, Some(start), Some(NOW)).1;
        assert_eq!(
            frontier.stems.name(&hour(0)),
            Name::Hour {
                stem: 0,
                hour: 498_192
            }
        );
        assert_eq!(
            begin(&mut frontier, &blob(&hour(0), 10, NOW)),
            Seen::Nothing
        );
        assert_eq!(
            begin(&mut frontier, &blob(&hour(1), 10, NOW)),
            Seen::Nothing
        );
        assert_eq!(begin(&mut frontier, &blob(&hour(2), 10, NOW)), Seen::Grown);
        assert_eq!(
            begin(&mut frontier, &blob("other", 10, start.before())),
            Seen::Nothing
        );
        assert_eq!(begin(&mut frontier, &blob("another", 10, NOW)), Seen::Grown);
        assert_eq!(see(&mut frontier, &blob(&hour(0), 11, NOW)), Seen::Grown);
    }

    #[test]
    fn blobs_that_are_gone_are_forgotten_and_what_stays_cut_off_is_told() {
        let mut frontier = Frontier::default();
        frontier.begin_listing();
        let cut = blob(&hour(0), 10, NOW.minus(2 * DAY));
        see(&mut frontier, &cut);
        see(&mut frontier, &blob(&hour(1), 10, NOW));
        frontier.end_listing();
        let name = frontier.stems.name(&hour(0));
        let entry = frontier.entry(&name).unwrap();
        (entry.consumed, entry.seen) = (8, 10);
        frontier.begin_listing();
        assert_eq!(see(&mut frontier, &cut), Seen::CutOff);
        frontier.end_listing();
        assert_eq!(frontier.len(), 1);
        frontier.settle(NOW.plus(40 * DAY));
        assert_eq!(frontier.len(), 1);
    }

    #[test]
    fn a_checkpoint_has_some_bytes_for_each_blob_that_is_still_written_to() {
        let mut frontier = Frontier::default();
        for at in 0..720 {
            see(&mut frontier, &blob(&hour(at), 3_000_000, NOW));
        }
        read_all(&mut frontier);
        let text = frontier.text();
        assert!(text.len() < 720 * 6 + 40, "{}", text.len());
        let mut frontier = Frontier::default();
        for name in [hour(5), hour(6), hour(9), "a b:c".to_owned()] {
            see(&mut frontier, &blob(&name, 37, NOW));
        }
        read_all(&mut frontier);
        assert_eq!(
            frontier.text(),
            "v1 - tenantId=7b/@aoet:11,11,2*11 :a%20b%3Ac:11"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            blobs in proptest::collection::vec(("(tenantId=[a-c]/y=2026/m=11/d=30/h=[0-2][0-3]/m=00/PT1H.json|\\PC{0,12})", any::<u64>()), 0..40),
            settled in proptest::option::of(0_i64..i64::MAX),
        ) {
            let mut frontier = Frontier { settled: settled.map(Instant::from_ticks), ..Frontier::default() };
            for (name, size) in blobs {
                let name = frontier.stems.name(&name);
                frontier.resume(name, size);
            }
            let text = frontier.text();
            let read = Frontier::read(&text).unwrap();
            prop_assert_eq!(&read.text(), &text);
            let consumed = |of: &Frontier| {
                let entries = of.entries.iter();
                entries.map(|(name, entry)| (of.stems.text(name), entry.consumed)).collect::<BTreeMap<_, _>>()
            };
            prop_assert_eq!(consumed(&read), consumed(&frontier));
            prop_assert_eq!(read.settled, frontier.settled);
            prop_assert!(!text.contains(['"', '\\', '\n']));
        }

        #[test]
        fn no_text_makes_it_fall(text in "(v1 |- |[0-9a-z]{1,14}|@|:|,|\\*| |%|\\PC){0,20}") {
            let _either_way = Frontier::read(&text);
        }
    }
}
