//! What must have arrived in the index, and what has.

use crate::counterpart::Object;
use crate::counterpart::process::Run;
use crate::counterpart::stream::Event;
use std::collections::BTreeMap;

/// Sourcetype and data of an event, and how often.
type Counts = BTreeMap<(String, String), usize>;

/// The events of one or more runs, as an index holds them.
#[derive(Default)]
pub struct Arrivals {
    counts: Counts,
}

impl Arrivals {
    #[track_caller]
    pub fn of(run: &Run) -> Self {
        let mut arrivals = Self::default();
        arrivals.take(&run.events());
        arrivals
    }

    pub fn take(&mut self, events: &[Event]) {
        for event in events {
            *self
                .counts
                .entry((event.sourcetype.clone(), event.data.clone()))
                .or_default() += 1;
        }
    }

    pub fn count(&self) -> usize {
        self.counts.values().sum()
    }

    /// Each object once, byte for byte, and nothing else.
    #[track_caller]
    pub fn are_exactly(&self, objects: &[Object]) {
        let doubles = self.hold_all(objects);
        assert_eq!(
            doubles,
            0,
            "events that came more than once or from nowhere:\n{}",
            self.extra(objects)
        );
    }

    /// Each object, byte for byte, and nothing foreign; tells how many events are doubles.
    #[track_caller]
    pub fn hold_all(&self, objects: &[Object]) -> usize {
        let wanted = wanted(objects);
        let missing: Vec<_> = wanted
            .keys()
            .filter(|key| !self.counts.contains_key(*key))
            .collect();
        let foreign: Vec<_> = self
            .counts
            .keys()
            .filter(|key| !wanted.contains_key(*key))
            .collect();
        assert!(
            missing.is_empty() && foreign.is_empty(),
            "{} of {} events are missing, {} came that nobody sent\nmissing:\n{}\nforeign:\n{}",
            missing.len(),
            wanted.len(),
            foreign.len(),
            show(&missing),
            show(&foreign),
        );
        self.count() - wanted.values().sum::<usize>()
    }

    fn extra(&self, objects: &[Object]) -> String {
        let wanted = wanted(objects);
        let extra: Vec<_> = self
            .counts
            .iter()
            .filter(|(key, count)| wanted.get(*key).is_none_or(|wanted| *count > wanted))
            .map(|(key, _)| key)
            .collect();
        show(&extra)
    }
}

fn wanted(objects: &[Object]) -> Counts {
    let mut counts = Counts::new();
    for (sourcetype, data) in objects.iter().flat_map(|object| &object.events) {
        *counts
            .entry(((*sourcetype).to_owned(), data.clone()))
            .or_default() += 1;
    }
    counts
}

fn show(keys: &[&(String, String)]) -> String {
    keys.iter()
        .take(3)
        .map(|(sourcetype, data)| {
            let start: String = data.chars().take(400).collect();
            format!("  {sourcetype} {start}\n")
        })
        .collect()
}
