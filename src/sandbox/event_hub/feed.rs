//! Any number of records in events, told from the stories when asked for: the
//! same number tells the same bytes, and none of them is kept.

use std::ops::Range;

use crate::sandbox::story::record::Template;
use crate::sandbox::tenant::instant::Ticks;

/// What an event may have at most, as in the Standard tier.
pub(super) const EVENT_BYTES: usize = 1_000_000;
/// What stands around its records, and more.
const ENVELOPE: usize = 64;
/// How many records one event after the other has.
const MIXED: [u64; 8] = [1, 3, 12, 40, 1, 150, 8, 2_000];

/// How many records an event has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Batching {
    /// One, a few, hundreds, in turn; as many as 1 MB holds.
    #[default]
    Mixed,
    /// That many, or as many as 1 MB holds.
    Records(u64),
    /// As many as make about that many bytes.
    Bytes(usize),
}

/// A number of records, spread over events and partitions.
#[derive(Debug)]
pub(super) struct Feed {
    templates: Vec<Template>,
    records: u64,
    /// How many records the events have, in turn.
    sizes: Vec<u64>,
    events: u64,
    partitions: u64,
    /// Milliseconds since 1970: when the first came, and over how long all did.
    from: i64,
    span: i64,
}

/// One event of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Which(u64);

impl Feed {
    /// `records`: as many as the stories have, if not given.
    pub(super) fn new(
        templates: Vec<Template>,
        records: Option<u64>,
        batching: Batching,
        partitions: usize,
        until: Ticks,
        span: std::time::Duration,
    ) -> Self {
        let own = templates.len() as u64;
        let records = if own == 0 { 0 } else { records.unwrap_or(own) };
        let longest: Vec<usize> = templates.iter().map(|one| one.longest() + 1).collect();
        let most = fit(&longest, EVENT_BYTES - ENVELOPE).max(1) as u64;
        let sizes: Vec<u64> = match batching {
            Batching::Mixed => MIXED.iter().map(|size| (*size).min(most)).collect(),
            Batching::Records(size) => vec![size.clamp(1, most)],
            Batching::Bytes(bytes) => {
                let all: usize = templates.iter().map(length).sum();
                let mean = (all / templates.len().max(1)).max(1);
                vec![((bytes / mean) as u64).clamp(1, most)]
            }
        };
        let round: u64 = sizes.iter().sum();
        let (rounds, mut left) = (records / round.max(1), records % round.max(1));
        let mut events = rounds * sizes.len() as u64;
        for size in &sizes {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(*size);
            events += 1;
        }
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self {
            templates,
            records,
            sizes,
            events,
            partitions: partitions.max(1) as u64,
            from: (until.0 / 10_000).saturating_sub(span),
            span,
        }
    }

    /// Nothing was told.
    pub(super) fn empty() -> Self {
        let (now, span) = (Ticks(0), std::time::Duration::ZERO);
        Self::new(Vec::new(), None, Batching::Mixed, 1, now, span)
    }

    /// How many of the events a partition has.
    pub(super) fn in_partition(&self, partition: usize) -> i64 {
        let partition = partition as u64;
        if partition >= self.partitions {
            return 0;
        }
        let count = (self.events + self.partitions - 1 - partition) / self.partitions;
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// The event with that number in a partition.
    pub(super) fn event(&self, partition: usize, number: i64) -> Option<Which> {
        let number = u64::try_from(number).ok()?;
        let which = number
            .checked_mul(self.partitions)?
            .checked_add(partition as u64)?;
        (which < self.events && (partition as u64) < self.partitions).then_some(Which(which))
    }

    /// When it came, in milliseconds since 1970.
    pub(super) fn enqueued(&self, Which(which): Which) -> i64 {
        let share = u128::from(which) * u128::from(self.span.unsigned_abs())
            / u128::from(self.events.max(1));
        self.from + i64::try_from(share).unwrap_or(0)
    }

    /// Its records' numbers.
    fn records(&self, Which(which): Which) -> Range<u64> {
        let in_round = self.sizes.len() as u64;
        let (round, place) = (which / in_round.max(1), which % in_round.max(1));
        let place = usize::try_from(place).unwrap_or(0);
        let before: u64 = self.sizes.iter().take(place).sum();
        let begin = round * self.sizes.iter().sum::<u64>() + before;
        let size = self.sizes.get(place).copied().unwrap_or(0);
        begin.min(self.records)..(begin + size).min(self.records)
    }

    /// Its body, as Defender's streaming writes it.
    pub(super) fn body(&self, which: Which) -> Vec<u8> {
        let mut body = b"{\"records\":[".to_vec();
        let records = self.records(which);
        let first = records.start;
        for number in records {
            if number > first {
                body.push(b',');
            }
            let own = self.templates.len().max(1) as u64;
            let template = usize::try_from(number % own).unwrap_or(0);
            if let Some(template) = self.templates.get(template) {
                template.write(number, number / own, &mut body);
            }
        }
        body.extend_from_slice(b"]}");
        body
    }
}

/// How many of these lengths, taken in turn, add up to no more than `room`, wherever it is begun.
fn fit(lengths: &[usize], room: usize) -> usize {
    let all: usize = lengths.iter().sum();
    let (Some(rounds), Some(room)) = (room.checked_div(all), room.checked_rem(all)) else {
        return 0;
    };
    let mut least = lengths.len();
    let (mut sum, mut count) = (0, 0);
    for (first, length) in lengths.iter().enumerate() {
        let next = |count| lengths.get((first + count) % lengths.len());
        while let Some(next) = next(count).filter(|next| sum + **next <= room) {
            sum += next;
            count += 1;
        }
        least = least.min(count);
        if count > 0 {
            sum -= length;
            count -= 1;
        }
    }
    rounds * lengths.len() + least
}

fn length(template: &Template) -> usize {
    let mut out = Vec::new();
    template.write(0, 0, &mut out);
    out.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_many_records_fit_as_do_wherever_an_event_begins(
            lengths in proptest::collection::vec(1_usize..50, 1..20),
            room in 0_usize..2_000,
        ) {
            let count = fit(&lengths, room);
            let longest = |count: usize| {
                let all = |first| lengths.iter().cycle().skip(first).take(count).sum::<usize>();
                (0..lengths.len()).map(all).max().unwrap()
            };
            prop_assert!(longest(count) <= room);
            prop_assert!(longest(count + 1) > room);
        }
    }
}
