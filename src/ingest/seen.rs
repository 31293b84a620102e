//! What has been delivered already: fingerprints, never objects.

use super::{Instant, Object, Page};
use serde::de::Error as _;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// Fingerprint of one revision of one object: id, last update and content.
///
/// The content counts because evidence may arrive without a new last update.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u64, u64);

impl Key {
    pub fn of(object: &Object, page: &Page) -> Self {
        let mut hash = Xxh3::new();
        hash.update(object.id.as_bytes());
        hash.update(&[0]);
        hash.update(&object.updated.ticks().to_le_bytes());
        for piece in page.text(&object.raw) {
            hash.update(piece.as_bytes());
        }
        Self::from(hash.digest128())
    }

    /// For an element without id or time, which only its content tells apart.
    pub fn of_text(text: &str) -> Self {
        Self::from(xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
    }
}

impl From<u128> for Key {
    fn from(hash: u128) -> Self {
        Self((hash >> 64) as u64, hash as u64)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
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
            .map(Self::from)
            .map_err(|_| D::Error::custom(format_args!("`{text}` is no fingerprint")))
    }
}

/// Revisions delivered within the overlap: what a poll lists again is dropped here.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Seen(BTreeSet<(i64, Key)>);

impl Seen {
    pub fn has(&self, updated: Instant, key: Key) -> bool {
        self.0.contains(&(updated.ticks(), key))
    }

    pub fn add(&mut self, updated: Instant, key: Key) {
        self.0.insert((updated.ticks(), key));
    }

    /// Forgets what was last updated before `floor` and so is not listed again.
    pub fn forget_before(&mut self, floor: Instant) {
        // A plain `split_off` would rebuild the set at every page.
        while self
            .0
            .first()
            .is_some_and(|(ticks, _)| *ticks < floor.ticks())
        {
            self.0.pop_first();
        }
    }

    /// What was delivered with a last update in `[from, to)`.
    pub fn between(&self, from: Instant, to: Instant) -> impl Iterator<Item = Key> {
        let (first, last) = ((from.ticks(), Key(0, 0)), (to.ticks(), Key(0, 0)));
        self.0.range(first..last.max(first)).map(|(_, key)| *key)
    }

    /// The newest instant delivered, up to and including `limit` if there is one.
    pub fn newest_until(&self, limit: Option<Instant>) -> Option<Instant> {
        let end = limit.map_or(i64::MAX, Instant::ticks);
        self.0
            .range(..=(end, Key(u64::MAX, u64::MAX)))
            .next_back()
            .map(|(ticks, _)| Instant::from_ticks(*ticks))
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
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
            seen.add(Instant::from_ticks(tick), Key(0, 7));
        }
        seen.forget_before(Instant::from_ticks(4));
        assert_eq!(seen.len(), 6);
        assert!(!seen.has(Instant::from_ticks(3), Key(0, 7)));
        assert!(seen.has(Instant::from_ticks(4), Key(0, 7)));
    }

    #[test]
    fn a_nested_alert_still_listed_is_not_forgotten() {
        let mut kept = Kept::default();
        let listed = Key::of_text("listed at every poll");
        assert!(kept.add(listed));
        for round in 0..8_u64 {
            for other in 0..5_000_u64 {
                kept.add(Key(round, other));
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
            assert!(kept.add(Key(0, number)));
        }
        assert!(kept.last_met.len() >= Kept::MOST);
        assert!(kept.has(Key(0, 29_999)) && !kept.has(Key(0, 0)));
    }

    #[test]
    fn meeting_the_same_again_at_once_changes_nothing() {
        let mut kept = Kept::default();
        kept.add(Key(0, 1));
        let before = kept.clone();
        kept.add(Key(0, 1));
        assert_eq!(kept, before);
    }

    #[test]
    fn keeps_its_text_form() {
        let mut seen = Seen::default();
        seen.add(Instant::from_ticks(-5), Key(1, u64::MAX));
        let text = serde_json::to_string(&seen).unwrap();
        insta::assert_snapshot!(text, @r#"[[-5,"0000000000000001ffffffffffffffff"]]"#);
        assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), seen);
    }
}
