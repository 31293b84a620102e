//! What has been delivered already: fingerprints, never objects.

use crate::ingest::{Instant, Object, Page};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
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
    changes: u64,
}

impl Seen {
    /// So many new entries are sorted in at once.
    const FRESH: usize = 4096;

    fn old(&self) -> &[Entry] {
        self.sorted.get(self.forgotten..).unwrap_or_default()
    }

    /// How often it has changed since it was made: what is saved is not compared whole.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    pub fn has(&self, updated: Instant, key: Key) -> bool {
        let entry = (updated.ticks(), key);
        self.old().binary_search(&entry).is_ok() || self.fresh.contains(&entry)
    }

    pub fn add(&mut self, updated: Instant, key: Key) {
        if self.has(updated, key) {
            return;
        }
        self.changes += 1;
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
        let len = self.len();
        self.forgotten += self.old().partition_point(before);
        while self.fresh.first().is_some_and(before) {
            self.fresh.pop_first();
        }
        self.changes += u64::from(self.len() < len);
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
        // This runs at each poll while a burst is known: most objects have one revision,
        // so only the others are looked up.
        let entries = || self.range(from, Instant::from_ticks(i64::MAX));
        let mut ids: Vec<u64> = entries().map(|(_, key)| key.id).collect();
        ids.sort_unstable();
        let mut revised: HashMap<u64, Option<i64>> = HashMap::new();
        for pair in ids.windows(2) {
            if let [one, other] = pair
                && one == other
            {
                revised.insert(*one, None);
            }
        }
        let mut current = Vec::with_capacity(ids.len());
        drop(ids);
        if !revised.is_empty() {
            for (ticks, key) in entries() {
                if let Some(newest) = revised.get_mut(&key.id) {
                    *newest = (*newest).max(Some(ticks));
                }
            }
        }
        for (ticks, key) in entries() {
            let counts = match revised.get_mut(&key.id) {
                None => true,
                // Revisions of one instant count once.
                Some(newest) => newest.take_if(|newest| *newest == ticks).is_some(),
            };
            if counts && ticks < to.ticks() {
                current.push(Instant::from_ticks(ticks));
            }
        }
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
        let mut bytes = Vec::with_capacity(CHUNK + LONGEST);
        let mut text = String::with_capacity(4 * 1024);
        let mut emit = |bytes: &mut Vec<u8>, most: usize| {
            text.clear();
            let most = most.min(bytes.len());
            STANDARD.encode_string(bytes.get(..most).unwrap_or_default(), &mut text);
            bytes.drain(..most);
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
                let [a, b, c, d, e, f, _, _] = part.to_le_bytes();
                bytes.extend_from_slice(&[a, b, c, d, e, f]);
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

/// Bytes of the longest entry.
const LONGEST: usize = 10 + 6 + 6;

/// Base64 read a piece at a time: megabytes of it take no second copy.
struct Bytes<'t> {
    rest: &'t [u8],
    ready: Vec<u8>,
    taken: usize,
}

impl Bytes<'_> {
    /// What comes next: as many bytes as the longest entry takes, or all there are.
    fn peek(&mut self) -> io::Result<&[u8]> {
        const PIECE: usize = 4 * 1024;
        if self.ready.len() - self.taken < LONGEST && !self.rest.is_empty() {
            self.ready.drain(..self.taken);
            self.taken = 0;
            let before = self.ready.len();
            let (piece, rest) = self.rest.split_at(PIECE.min(self.rest.len()));
            let decoded = STANDARD.decode_vec(piece, &mut self.ready);
            decoded.map_err(io::Error::other)?;
            if !rest.is_empty() && self.ready.len() - before < PIECE / 4 * 3 {
                return Err(bad("it ends, and something follows"));
            }
            self.rest = rest;
        }
        Ok(self.ready.get(self.taken..).unwrap_or_default())
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl std::str::FromStr for Seen {
    type Err = io::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let early = || bad("it ends early");
        let mut bytes = Bytes {
            rest: text.as_bytes(),
            ready: Vec::new(),
            taken: 0,
        };
        let count = *bytes.peek()?.first_chunk().ok_or_else(early)?;
        bytes.taken += count.len();
        let count = usize::try_from(u64::from_le_bytes(count)).unwrap_or(usize::MAX);
        // An entry takes at least 13 bytes, so a wrong count asks for no memory.
        if count > text.len() / 13 {
            return Err(early());
        }
        let mut sorted: Vec<Entry> = Vec::with_capacity(count);
        let mut before = i64::MIN;
        for _ in 0..count {
            let mut next = bytes.peek()?;
            let there = next.len();
            let (mut since, mut shift) = (0_u64, 0_u32);
            loop {
                let (byte, rest) = next.split_first().ok_or_else(early)?;
                next = rest;
                let part = u64::from(byte & 0x7f);
                if shift > 63 || (shift == 63 && part > 1) {
                    return Err(bad("a time lies out of range"));
                }
                since |= part << shift;
                shift += 7;
                if *byte < 0x80 {
                    break;
                }
            }
            before = before
                .checked_add_unsigned(since)
                .ok_or_else(|| bad("a time lies out of range"))?;
            let ([a, b, c, d, e, f, g, h, i, j, k, l], rest) =
                next.split_first_chunk().ok_or_else(early)?;
            let key = Key {
                id: u64::from_le_bytes([*a, *b, *c, *d, *e, *f, 0, 0]),
                revision: u64::from_le_bytes([*g, *h, *i, *j, *k, *l, 0, 0]),
            };
            let read = there - rest.len();
            bytes.taken += read;
            let entry = (before, key);
            if sorted.last().is_some_and(|last| *last >= entry) {
                return Err(bad("it is not in order"));
            }
            sorted.push(entry);
        }
        match bytes.peek()? {
            [] => Ok(Self {
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
/// Holds the [`RecentKeys::MOST`] last met; what is forgotten is delivered once more.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RecentKeys {
    /// Counts what was met, so that what is still being listed outlives what is not.
    met: u64,
    last_met: HashMap<Key, u64>,
}

impl RecentKeys {
    pub const MOST: usize = 20_000;

    /// How much later a key must be met again to be noted as met again: an idle
    /// poll changes nothing.
    const STALE: u64 = 5_000;

    /// Grows with every change.
    pub fn changes(&self) -> u64 {
        self.met
    }

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
        let mut kept = RecentKeys::default();
        let listed = Key::of_text("listed at every poll");
        assert!(kept.add(listed));
        for round in 0..8_u64 {
            for other in 0..5_000_u64 {
                kept.add(key(round, other));
            }
            assert!(!kept.add(listed), "round {round}");
        }
        assert!(kept.last_met.len() <= RecentKeys::MOST + RecentKeys::MOST / 4);
        assert!(!kept.add(listed));
    }

    #[test]
    fn a_flood_of_nested_alerts_pushes_out_the_oldest_only() {
        let mut kept = RecentKeys::default();
        for number in 0..30_000_u64 {
            assert!(kept.add(key(0, number)));
        }
        assert!(kept.last_met.len() >= RecentKeys::MOST);
        assert!(kept.has(key(0, 29_999)) && !kept.has(key(0, 0)));
    }

    #[test]
    fn meeting_the_same_again_at_once_changes_nothing() {
        let mut kept = RecentKeys::default();
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
        // Evidence came without a new last update: one object, not two.
        seen.add(at(9), key(4, 77));
        assert_eq!(seen.current(at(0), at(10)), [at(2), at(3), at(9), at(9)]);
    }

    #[test]
    fn every_change_is_counted_and_nothing_else() {
        let (mut seen, mut kept) = (Seen::default(), RecentKeys::default());
        let at = Instant::from_ticks;
        let mut before = (seen.changes(), kept.changes());
        let mut changed = |seen: &Seen, kept: &RecentKeys| {
            let now = (seen.changes(), kept.changes());
            let changed = (before.0 != now.0, before.1 != now.1);
            before = now;
            changed
        };
        seen.add(at(5), key(1, 1));
        assert_eq!(changed(&seen, &kept), (true, false));
        seen.add(at(5), key(1, 1));
        seen.forget_before(at(5));
        assert_eq!(changed(&seen, &kept), (false, false));
        seen.forget_before(at(6));
        assert_eq!(changed(&seen, &kept), (true, false));
        kept.add(key(1, 1));
        assert_eq!(changed(&seen, &kept), (false, true));
        kept.add(key(1, 1));
        assert_eq!(changed(&seen, &kept), (false, false));
    }

    #[test]
    fn what_is_no_seen_set_is_refused() {
        for text in ["", "?", "AAAA", "AQAAAAAAAAA=", "//////////8="] {
            assert!(text.parse::<Seen>().is_err(), "{text}");
        }
        let mut seen = Seen::default();
        for tick in 0..1_000 {
            seen.add(Instant::from_ticks(tick), key(1, 1));
        }
        let text = seen.to_string();
        assert_eq!(text.parse::<Seen>().unwrap(), seen);
        for cut in [4, 4_092, 4_096, 4_100, text.len() - 4] {
            assert!(text[..cut].parse::<Seen>().is_err(), "{cut}");
            // Two texts in a row are no text, wherever the first one ends.
            let two = format!("{}AA=={}", &text[..cut - 4], &text[cut..]);
            assert!(two.parse::<Seen>().is_err(), "{cut}");
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
                let (from, to) = (Instant::from_ticks(floor - 100), Instant::from_ticks(floor + 300));
                let mut objects = std::collections::BTreeMap::new();
                for (tick, key) in left.iter().filter(|(tick, _)| *tick >= from.ticks() && *tick < i64::MAX) {
                    objects.insert(key.id, *tick);
                }
                let mut current: Vec<_> = objects.into_values().map(Instant::from_ticks).filter(|at| *at < to).collect();
                current.sort_unstable();
                proptest::prop_assert_eq!(seen.current(from, to), current);
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
