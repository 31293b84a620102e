//! Which records came before: the export writes 3 to 4 % of them again, up to four
//! times, each time in another envelope around the same `properties`.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Records remembered, of all containers together.
const MOST: usize = 256 * 1024;

/// What was handed over last, as hashes. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Window {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    known: HashSet<u64>,
    in_turn: VecDeque<u64>,
}

/// The records of one reader's batch, not handed over yet.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    hashes: HashSet<u64>,
}

impl Window {
    /// Whether a record has neither come before nor stands in the batch.
    pub fn is_new(&self, batch: &mut Batch, container: u64, properties: &str) -> bool {
        let hash = xxh3_64_with_seed(properties.as_bytes(), container);
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        !inner.known.contains(&hash) && batch.hashes.insert(hash)
    }

    /// What is known, the oldest first, for a run to come.
    pub fn bytes(&self) -> Vec<u8> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let hashes = inner.in_turn.iter();
        hashes.flat_map(|hash| hash.to_le_bytes()).collect()
    }

    /// Knows what a run before knew, the last of it at most.
    pub fn recall(&self, bytes: &[u8]) {
        let (hashes, _) = bytes.as_chunks::<8>();
        let last = hashes.len().saturating_sub(MOST);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for hash in hashes.iter().skip(last) {
            let hash = u64::from_le_bytes(*hash);
            if inner.known.insert(hash) {
                inner.in_turn.push_back(hash);
            }
        }
    }

    /// The batch is handed over.
    pub fn take(&self, batch: &mut Batch) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for hash in batch.hashes.drain() {
            if inner.known.insert(hash) {
                inner.in_turn.push_back(hash);
            }
            if inner.in_turn.len() > MOST
                && let Some(oldest) = inner.in_turn.pop_front()
            {
                inner.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_once_in_its_container_and_only_what_was_handed_over_counts() {
        let window = Window::default();
        let mut batch = Batch::default();
        assert!(window.is_new(&mut batch, 1, "a"));
        assert!(!window.is_new(&mut batch, 1, "a"));
        assert!(window.is_new(&mut batch, 2, "a"));
        // Given up: it is read again.
        let mut batch = Batch::default();
        assert!(window.is_new(&mut batch, 1, "a"));
        window.take(&mut batch);
        assert!(!window.is_new(&mut batch, 1, "a"));
        assert!(window.is_new(&mut batch, 1, "b"));
    }

    #[test]
    fn what_one_run_knew_the_next_one_knows_and_no_more_than_that() {
        let (before, mut batch) = (Window::default(), Batch::default());
        for text in ["a", "b"] {
            assert!(before.is_new(&mut batch, 1, text));
            before.take(&mut batch);
        }
        let mut bytes = before.bytes();
        // Half a hash is none.
        bytes.push(7);
        let (after, mut batch) = (Window::default(), Batch::default());
        after.recall(&bytes);
        assert!(!after.is_new(&mut batch, 1, "b"));
        assert!(after.is_new(&mut batch, 2, "b"));
        assert!(after.is_new(&mut batch, 1, "c"));
        assert_eq!(after.bytes(), before.bytes());

        let many: Vec<u8> = (0..=MOST as u64).flat_map(u64::to_le_bytes).collect();
        let full = Window::default();
        full.recall(&many);
        assert_eq!(full.bytes(), many[8..]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let window = Window::default();
        let mut batch = Batch::default();
        let most = u64::try_from(MOST).unwrap();
        for at in 0..most + 10 {
            assert!(window.is_new(&mut batch, 0, &at.to_string()));
            window.take(&mut batch);
        }
        assert!(window.is_new(&mut batch, 0, "9"));
        assert!(!window.is_new(&mut batch, 0, "10"));
        assert_eq!(window.inner.lock().unwrap().known.len(), MOST);
    }
}
