//! Every alert and incident of the tenant, found by id and listed by last update.

use crate::sandbox::Family;
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::record::{Alert, Incident, State};
use crate::sandbox::tenant::visibility_delay::{Delay, VisibilityDelay};
use std::collections::{BTreeSet, HashMap};
use std::ops::{Bound, RangeBounds as _};

#[derive(Debug, Default)]
pub(in crate::sandbox) struct Store {
    pub(in crate::sandbox) alerts: Shelf<Alert>,
    pub(in crate::sandbox) incidents: Shelf<Incident>,
}

/// Objects of one kind with their index.
#[derive(Debug)]
pub(in crate::sandbox) struct Shelf<T> {
    rows: Vec<T>,
    ids: HashMap<(Box<str>, Option<Family>), usize>,
    by_update: BTreeSet<(Ticks, usize)>,
    past: VisibilityDelay<T>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            ids: HashMap::new(),
            by_update: BTreeSet::new(),
            past: VisibilityDelay::default(),
        }
    }
}

pub(in crate::sandbox) trait Row: Clone {
    fn id(&self) -> &str;
    /// The only family that serves it; `None` when all do.
    fn only(&self) -> Option<Family>;
    fn state(&self) -> &State;
    fn state_mut(&mut self) -> &mut State;
}

impl Store {
    /// From now on changes show only after a while.
    pub(in crate::sandbox) fn delay(&mut self, delay: Delay) {
        self.alerts.delay(delay);
        self.incidents.delay(delay);
    }
}

impl<T: Row> Shelf<T> {
    pub(in crate::sandbox) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(in crate::sandbox) fn rows(&self) -> &[T] {
        &self.rows
    }

    pub(in crate::sandbox) fn get(&self, place: usize) -> Option<&T> {
        self.rows.get(place)
    }

    /// The object as those see it who ask for it by its id.
    pub(in crate::sandbox) fn seen(&self, place: usize) -> Option<&T> {
        self.past.by_id(place).or_else(|| self.get(place))
    }

    /// From now on changes show only after a while.
    pub(in crate::sandbox) fn delay(&mut self, delay: Delay) {
        self.past = VisibilityDelay::delayed(delay);
    }

    /// Puts an object in, in place of one with the same id.
    pub(in crate::sandbox) fn put(&mut self, row: T) -> usize {
        let key = (Box::from(row.id()), row.only());
        let updated = row.state().updated;
        let place = match self.ids.get(&key) {
            Some(&place) => {
                if let Some(old) = self.rows.get_mut(place) {
                    self.by_update.remove(&(old.state().updated, place));
                    *old = row;
                }
                place
            }
            None => {
                self.rows.push(row);
                self.rows.len() - 1
            }
        };
        self.ids.insert(key, place);
        self.by_update.insert((updated, place));
        place
    }

    pub(in crate::sandbox) fn find(&self, family: Family, id: &str) -> Option<usize> {
        let id: Box<str> = Box::from(id);
        self.ids
            .get(&(id.clone(), None))
            .or_else(|| self.ids.get(&(id, Some(family))))
            .copied()
    }

    /// Changes an object, whose last update has already become `now`, or one
    /// step after the former one where the clock has not moved on.
    pub(in crate::sandbox) fn change(
        &mut self,
        place: usize,
        now: Ticks,
        change: impl FnOnce(&mut T),
    ) {
        if let Some(row) = self.rows.get_mut(place) {
            self.past.keep(place, row);
            let old = row.state().updated;
            let new = now.max(Ticks(old.0.saturating_add(1)));
            row.state_mut().updated = new;
            change(row);
            self.by_update.remove(&(old, place));
            self.by_update.insert((new, place));
        }
    }

    /// Objects last updated in that range, newest first unless `ascending`.
    pub(in crate::sandbox) fn listed(
        &self,
        range: (Bound<Ticks>, Bound<Ticks>),
        ascending: bool,
    ) -> Box<dyn Iterator<Item = (usize, &T)> + '_> {
        let low = match range.0 {
            Bound::Included(at) => Bound::Included((at, 0)),
            Bound::Excluded(at) => Bound::Excluded((at, usize::MAX)),
            Bound::Unbounded => Bound::Unbounded,
        };
        let high = match range.1 {
            Bound::Included(at) => Bound::Included((at, usize::MAX)),
            Bound::Excluded(at) => Bound::Excluded((at, 0)),
            Bound::Unbounded => Bound::Unbounded,
        };
        if crossed(range) {
            return Box::new(std::iter::empty());
        }
        let places = self.by_update.range((low, high)).map(|(_, place)| *place);
        let rows = |place: usize| self.rows.get(place).map(|row| (place, row));
        let past = self.past.listed();
        if !past.is_empty() {
            let mut seen: Vec<(usize, &T)> = places
                .filter(|place| !past.contains_key(place))
                .filter_map(rows)
                .collect();
            let inside = |(_, row): &(usize, &T)| range.contains(&row.state().updated);
            seen.extend(past.into_iter().filter(inside));
            seen.sort_by_key(|(place, row)| (row.state().updated, *place));
            if !ascending {
                seen.reverse();
            }
            return Box::new(seen.into_iter());
        }
        if ascending {
            Box::new(places.filter_map(rows))
        } else {
            Box::new(places.rev().filter_map(rows))
        }
    }
}

/// Whether nothing can lie in the range (a `BTreeSet` refuses such a one).
fn crossed(range: (Bound<Ticks>, Bound<Ticks>)) -> bool {
    match range {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (
            Bound::Included(low) | Bound::Excluded(low),
            Bound::Included(high) | Bound::Excluded(high),
        ) => low >= high,
    }
}

macro_rules! row {
    ($kind:ty) => {
        impl Row for $kind {
            fn id(&self) -> &str {
                &self.id
            }

            fn only(&self) -> Option<Family> {
                match &self.body {
                    super::record::Body::Told(_) => None,
                    super::record::Body::Given { family, .. } => Some(*family),
                }
            }

            fn state(&self) -> &State {
                &self.state
            }

            fn state_mut(&mut self) -> &mut State {
                &mut self.state
            }
        }
    };
}

row!(Alert);
row!(Incident);
