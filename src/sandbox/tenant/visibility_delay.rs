//! What was written shows only after a while: former versions of objects, kept
//! for as long as a reader may still be shown them.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How long a change stays unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sandbox) struct Delay {
    /// To those who ask for the object by its id.
    pub(in crate::sandbox) by_id: Duration,
    /// In lists.
    pub(in crate::sandbox) listed: Duration,
}

#[derive(Debug)]
pub(in crate::sandbox) struct VisibilityDelay<T> {
    delay: Delay,
    /// In the order they were left behind.
    former: VecDeque<Former<T>>,
}

#[derive(Debug)]
struct Former<T> {
    place: usize,
    left: Instant,
    row: T,
}

impl<T> Default for VisibilityDelay<T> {
    fn default() -> Self {
        Self {
            delay: Delay::default(),
            former: VecDeque::new(),
        }
    }
}

impl<T: Clone> VisibilityDelay<T> {
    pub(in crate::sandbox) fn delayed(delay: Delay) -> Self {
        Self {
            delay,
            former: VecDeque::new(),
        }
    }

    /// Keeps what is about to change.
    pub(in crate::sandbox) fn keep(&mut self, place: usize, row: &T) {
        let longest = self.delay.by_id.max(self.delay.listed);
        while self
            .former
            .front()
            .is_some_and(|former| former.left.elapsed() >= longest)
        {
            self.former.pop_front();
        }
        if !longest.is_zero() {
            self.former.push_back(Former {
                place,
                left: Instant::now(),
                row: row.clone(),
            });
        }
    }

    /// What stands in for the object where it is asked for by id.
    pub(in crate::sandbox) fn by_id(&self, place: usize) -> Option<&T> {
        let mut unseen = self.unseen(self.delay.by_id);
        unseen
            .find(|former| former.place == place)
            .map(|it| &it.row)
    }

    /// What stands in for objects in lists, by their places.
    pub(in crate::sandbox) fn listed(&self) -> HashMap<usize, &T> {
        let mut rows = HashMap::new();
        for former in self.unseen(self.delay.listed) {
            // The oldest of several: what was before the first change not seen yet.
            rows.entry(former.place).or_insert(&former.row);
        }
        rows
    }

    fn unseen(&self, delay: Duration) -> impl Iterator<Item = &Former<T>> {
        let unseen = move |former: &&Former<T>| former.left.elapsed() < delay;
        self.former.iter().filter(unseen)
    }
}
