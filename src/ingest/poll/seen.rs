//! What has been delivered already: fingerprints, never objects.

use crate::ingest::{Instant, Object, Page};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io::Read;
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

/// Fingerprint of one revision of one object: 48 bits of its id, 48 of what it holds.
///
/// The content counts because evidence may arrive without a new last update. The id
/// stands apart so that the objects of a window can be counted, whatever their revisions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    id: u64,
    revision: u64,
}

const BITS: u32 = 48;

impl Key {
    pub fn of(object: &Object, page: &Page) -> Self {
        let mut hash = Xxh3::new();
        hash.update(&object.updated.ticks().to_le_bytes());
        for piece in page.text(&object.raw) {
            hash.update(piece.as_bytes());
        }
        Self {
            id: xxh3_64(object.id.as_bytes()) >> (64 - BITS),
            revision: hash.digest() >> (64 - BITS),
        }
    }

    /// For an element without id or time, which only its content tells apart.
    pub fn of_text(text: &str) -> Self {
        Self::from(xxh3_128(text.as_bytes()) >> (128 - 2 * BITS))
    }

    const LEAST: Self = Self { id: 0, revision: 0 };
    const MOST: Self = Self {
        id: u64::MAX,
        revision: u64::MAX,
    };
}

impl From<u128> for Key {
    fn from(hash: u128) -> Self {
        let mask = (1_u128 << BITS) - 1;
        let part = |bits: u128| u64::try_from(bits & mask).unwrap_or_default();
        Self {
            id: part(hash >> BITS),
            revision: part(hash),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}{:012x}", self.id, self.revision)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        u128::from_str_radix(&text, 16)
            .ok()
            .filter(|_| text.len() == 24)
            .map(Self::from)
            .ok_or_else(|| D::Error::custom(format_args!("`{text:.64}` is no fingerprint")))
    }
}

type Entry = (i64, Key);

/// Revisions delivered within the overlap: what a poll lists again is dropped here.
///
/// A burst leaves a hundred thousand of them, so they lie close together: a sorted
/// list, and beside it what came since it was sorted last.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    sorted: Vec<Entry>,
    /// Entries at the beginning of `sorted` that are forgotten.
    forgotten: usize,
    fresh: BTreeSet<Entry>,
}

impl Seen {
    /// So many new entries are sorted in at once.
    const FRESH: usize = 4096;

    fn old(&self) -> &[Entry] {
        self.sorted.get(self.forgotten..).unwrap_or_default()
    }

    pub fn has(&self, updated: Instant, key: Key) -> bool {
        let entry = (updated.ticks(), key);
        self.old().binary_search(&entry).is_ok() || self.fresh.contains(&entry)
    }

    pub fn add(&mut self, updated: Instant, key: Key) {
        if self.has(updated, key) {
            return;
        }
        self.fresh.insert((updated.ticks(), key));
        if self.fresh.len() > Self::FRESH {
            self.sorted.drain(..self.forgotten);
            self.forgotten = 0;
            self.sorted.extend(std::mem::take(&mut self.fresh));
            // Two runs, each in order: cheap for a stable sort.
            self.sorted.sort();
        }
    }

    /// Forgets what was last updated before `floor` and so is not listed again.
    pub fn forget_before(&mut self, floor: Instant) {
        let before = |(ticks, _): &Entry| *ticks < floor.ticks();
        self.forgotten += self.old().partition_point(before);
        while self.fresh.first().is_some_and(before) {
            self.fresh.pop_first();
        }
    }

    fn range(&self, from: Instant, to: Instant) -> impl Iterator<Item = Entry> {
        let (first, last) = ((from.ticks(), Key::LEAST), (to.ticks(), Key::LEAST));
        let old = self.old();
        let within = old.partition_point(|entry| *entry < first)
            ..old.partition_point(|entry| *entry < last.max(first));
        let old = old.get(within).unwrap_or_default();
        let fresh = self.fresh.range(first..last.max(first));
        old.iter().chain(fresh).copied()
    }

    /// What was delivered with a last update in `[from, to)`.
    pub fn between(&self, from: Instant, to: Instant) -> impl Iterator<Item = Key> {
        self.range(from, to).map(|(_, key)| key)
    }

    /// The newest instant delivered, up to and including `limit`.
    pub fn newest_until(&self, limit: Instant) -> Option<Instant> {
        let last = (limit.ticks(), Key::MOST);
        let old = self.old();
        let old = old.get(..old.partition_point(|entry| *entry <= last));
        let old = old.and_then(<[Entry]>::last).copied();
        let fresh = self.fresh.range(..=last).next_back().copied();
        old.max(fresh).map(|(ticks, _)| Instant::from_ticks(ticks))
    }

    /// Last updates, in order, of the objects that were last seen in `[from, to)`: one
    /// for each object, since only its newest revision is still listed.
    pub fn current(&self, from: Instant, to: Instant) -> Vec<Instant> {
        // A pair an object, no more: this runs at each poll while a burst is known.
        let entries = self.range(from, Instant::from_ticks(i64::MAX));
        let mut newest: Vec<(u64, i64)> = entries.map(|(ticks, key)| (key.id, ticks)).collect();
        newest.sort_unstable_by(|a, b| b.cmp(a));
        newest.dedup_by_key(|(id, _)| *id);
        let mut current: Vec<Instant> = newest
            .into_iter()
            .map(|(_, ticks)| Instant::from_ticks(ticks))
            .filter(|updated| *updated < to)
            .collect();
        current.sort_unstable();
        current
    }

    pub fn len(&self) -> usize {
        self.old().len() + self.fresh.len()
    }

    fn in_order(&self) -> impl Iterator<Item = Entry> {
        let mut old = self.old().iter().copied().peekable();
        let mut fresh = self.fresh.iter().copied().peekable();
        std::iter::from_fn(move || match (old.peek(), fresh.peek()) {
            (Some(a), Some(b)) if a < b => old.next(),
            (Some(_), None) => old.next(),
            _ => fresh.next(),
        })
    }
}

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.in_order().eq(other.in_order())
    }
}

impl Eq for Seen {}

/// Base64 of how many there are (8 bytes), then of each the ticks since the one before
/// (7 bits a byte, the lowest first; the first one counts from [`i64::MIN`]), id and
/// revision (6 bytes each).
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHUNK: usize = 3 * 1024;
        let mut bytes = Vec::with_capacity(CHUNK + 32);
        let mut text = String::with_capacity(4 * 1024);
        let mut emit = |bytes: &mut Vec<u8>, most: usize| {
            text.clear();
            let rest = bytes.split_off(most.min(bytes.len()));
            STANDARD.encode_string(&*bytes, &mut text);
            *bytes = rest;
            f.write_str(&text)
        };
        bytes.extend(u64::try_from(self.len()).unwrap_or(0).to_le_bytes());
        let mut before = i64::MIN;
        for (ticks, key) in self.in_order() {
            let mut since = ticks.abs_diff(before);
            before = ticks;
            while since >= 0x80 {
                bytes.push(0x80 | (since & 0x7f) as u8);
                since >>= 7;
            }
            bytes.push(since as u8);
            for part in [key.id, key.revision] {
                bytes.extend(part.to_le_bytes().into_iter().take(6));
            }
            if bytes.len() >= CHUNK {
                emit(&mut bytes, CHUNK)?;
            }
        }
        emit(&mut bytes, usize::MAX)
    }
}

impl serde::Serialize for Seen {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl std::str::FromStr for Seen {
    type Err = std::io::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, why);
        let mut bytes = std::io::BufReader::with_capacity(
            8 * 1024,
            base64::read::DecoderReader::new(text.as_bytes(), &STANDARD),
        );
        let mut count = [0; 8];
        bytes.read_exact(&mut count)?;
        let count = usize::try_from(u64::from_le_bytes(count)).unwrap_or(usize::MAX);
        // An entry takes at least 13 bytes, so a wrong count asks for no memory.
        if count > text.len() / 13 {
            return Err(bad("it ends early"));
        }
        let mut sorted: Vec<Entry> = Vec::with_capacity(count);
        let mut before = i64::MIN;
        for _ in 0..count {
            let (mut since, mut shift) = (0_u64, 0_u32);
            loop {
                let mut byte = [0; 1];
                bytes.read_exact(&mut byte)?;
                let [byte] = byte;
                let part = u64::from(byte & 0x7f);
                if shift > 63 || (shift == 63 && part > 1) {
                    return Err(bad("a time lies out of range"));
                }
                since |= part << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            before = before
                .checked_add_unsigned(since)
                .ok_or_else(|| bad("a time lies out of range"))?;
            let mut part = || {
                let mut eight = [0; 8];
                let (six, _) = eight.split_at_mut(6);
                bytes.read_exact(six)?;
                Ok::<_, std::io::Error>(u64::from_le_bytes(eight))
            };
            let (id, revision) = (part()?, part()?);
            let entry = (before, Key { id, revision });
            if sorted.last().is_some_and(|last| *last >= entry) {
                return Err(bad("it is not in order"));
            }
            sorted.push(entry);
        }
        match bytes.read(&mut [0; 1])? {
            0 => Ok(Self {
                sorted,
                ..Self::default()
            }),
            _ => Err(bad("something follows its end")),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Seen {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Packed)
    }
}

/// Megabytes of text are read where they lie.
struct Packed;

impl serde::de::Visitor<'_> for Packed {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was delivered, as text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Seen, E> {
        text.parse()
            .map_err(|error| E::custom(format_args!("what was delivered: {error}")))
    }
}

/// Things delivered that no window of time bounds: alerts nested in incidents,
/// which come again with every change of their incident, quarantined elements,
/// and what was listed inside a gap.
///
/// Holds the [`Kept::MOST`] last met; what is forgotten is delivered once more.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Kept {
    /// Counts what was met, so that what is still being listed outlives what is not.
    met: u64,
    last_met: HashMap<Key, u64>,
}

impl Kept {
    pub const MOST: usize = 20_000;

    /// How much later a key must be met again to be noted as met again: an idle
    /// poll changes nothing.
    const STALE: u64 = 5_000;

    pub fn has(&self, key: Key) -> bool {
        self.last_met.contains_key(&key)
    }

    /// Remembers a key; true if it was not known.
    pub fn add(&mut self, key: Key) -> bool {
        if let Some(met) = self.last_met.get_mut(&key) {
            if *met + Self::STALE < self.met {
                self.met += 1;
                *met = self.met;
            }
            return false;
        }
        self.met += 1;
        self.last_met.insert(key, self.met);
        if self.last_met.len() > Self::MOST + Self::MOST / 4 {
            let mut met: Vec<u64> = self.last_met.values().copied().collect();
            met.sort_unstable();
            let oldest = met.get(met.len() - Self::MOST).copied().unwrap_or(0);
            self.last_met.retain(|_, met| *met >= oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_only_what_is_older_than_the_floor() {
        let mut seen = Seen::default();
        for tick in 0..10 {
            seen.add(Instant::from_ticks(tick), key(0, 7));
        }
        seen.forget_before(Instant::from_ticks(4));
        assert_eq!(seen.len(), 6);
        assert!(!seen.has(Instant::from_ticks(3), key(0, 7)));
        assert!(seen.has(Instant::from_ticks(4), key(0, 7)));
    }

    #[test]
    fn a_nested_alert_still_listed_is_not_forgotten() {
        let mut kept = Kept::default();
        let listed = Key::of_text("listed at every poll");
        assert!(kept.add(listed));
        for round in 0..8_u64 {
            for other in 0..5_000_u64 {
                kept.add(key(round, other));
            }
            assert!(!kept.add(listed), "round {round}");
        }
        assert!(kept.last_met.len() <= Kept::MOST + Kept::MOST / 4);
        assert!(!kept.add(listed));
    }

    #[test]
    fn a_flood_of_nested_alerts_pushes_out_the_oldest_only() {
        let mut kept = Kept::default();
        for number in 0..30_000_u64 {
            assert!(kept.add(key(0, number)));
        }
        assert!(kept.last_met.len() >= Kept::MOST);
        assert!(kept.has(key(0, 29_999)) && !kept.has(key(0, 0)));
    }

    #[test]
    fn meeting_the_same_again_at_once_changes_nothing() {
        let mut kept = Kept::default();
        kept.add(key(0, 1));
        let before = kept.clone();
        kept.add(key(0, 1));
        assert_eq!(kept, before);
    }

    #[test]
    fn keeps_its_text_form() {
        let mut seen = Seen::default();
        seen.add(Instant::from_ticks(-5), key(1, (1 << BITS) - 1));
        let text = serde_json::to_string(&seen).unwrap();
        insta::assert_snapshot!(text, @r#""AQAAAAAAAAD7/////////38BAAAAAAD///////8=""#);
        assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), seen);
    }

    #[test]
    fn counts_each_object_once_and_where_it_was_last_seen() {
        let mut seen = Seen::default();
        for (tick, id) in [(1, 1), (2, 2), (3, 3), (9, 1), (9, 4)] {
            seen.add(Instant::from_ticks(tick), key(id, tick.unsigned_abs()));
        }
        let at = Instant::from_ticks;
        assert_eq!(seen.current(at(0), at(9)), [at(2), at(3)]);
        assert_eq!(seen.current(at(0), at(10)), [at(2), at(3), at(9), at(9)]);
        assert_eq!(seen.current(at(3), at(4)), [at(3)]);
    }

    #[test]
    fn what_is_no_seen_set_is_refused() {
        for text in ["", "?", "AAAA", "AQAAAAAAAAA=", "//////////8="] {
            assert!(text.parse::<Seen>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_set_of_any_size_and_order_is_read_back_and_searched(
            entries in proptest::collection::vec((-500_i64..500, 0_u64..40, 0_u64..3), 0..200),
            far: i64,
            floor in -500_i64..500,
        ) {
            let mut seen = Seen::default();
            let mut plain = BTreeSet::new();
            for (tick, id, revision) in &entries {
                seen.add(Instant::from_ticks(*tick), key(*id, *revision));
                plain.insert((*tick, key(*id, *revision)));
            }
            seen.add(Instant::from_ticks(far), key(7, 7));
            plain.insert((far, key(7, 7)));
            let read: Seen = seen.to_string().parse().unwrap();
            proptest::prop_assert_eq!(&read, &seen);
            for mut seen in [seen, read] {
                seen.forget_before(Instant::from_ticks(floor));
                let left: Vec<_> = plain.iter().copied().filter(|(tick, _)| *tick >= floor).collect();
                proptest::prop_assert_eq!(seen.in_order().collect::<Vec<_>>(), left.clone());
                proptest::prop_assert_eq!(seen.len(), left.len());
                for (tick, key) in &plain {
                    proptest::prop_assert_eq!(seen.has(Instant::from_ticks(*tick), *key), *tick >= floor);
                }
                let newest = left.iter().rev().find(|(tick, _)| *tick <= 100).map(|(tick, _)| *tick);
                proptest::prop_assert_eq!(seen.newest_until(Instant::from_ticks(100)).map(Instant::ticks), newest);
            }
        }

        #[test]
        fn no_text_breaks_the_reading(text: String, bytes: Vec<u8>) {
            drop(text.parse::<Seen>());
            drop(STANDARD.encode(bytes).parse::<Seen>());
        }
    }

    #[test]
    fn ten_thousand_are_sorted_in_as_they_come() {
        let mut seen = Seen::default();
        for tick in (0..10_000).rev() {
            seen.add(Instant::from_ticks(tick), key(tick.unsigned_abs(), 0));
        }
        assert_eq!(seen.len(), 10_000);
        assert!(
            (0..10_000)
                .all(|tick| seen.has(Instant::from_ticks(tick), key(tick.unsigned_abs(), 0)))
        );
        seen.forget_before(Instant::from_ticks(9_000));
        seen.add(Instant::from_ticks(3), key(1, 1));
        assert_eq!(seen.len(), 1_001);
    }

    fn key(id: u64, revision: u64) -> Key {
        Key { id, revision }
    }
}
