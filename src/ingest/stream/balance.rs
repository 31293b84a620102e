//! Which partitions a reader keeps, and which it takes, so that all readers of a log
//! come to nearly as many each, and then nothing moves any more.

use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// Who holds a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding<'a> {
    pub partition: &'a str,
    /// None where it is free: never claimed, given back, or its holder is gone.
    pub owner: Option<&'a str>,
    /// It was free a round ago already.
    pub overdue: bool,
}

/// What a reader does with the partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share<'a> {
    pub keep: Vec<&'a str>,
    /// Free ones, or such as another holds too many of.
    pub take: Vec<&'a str>,
}

/// One reader's share. Free partitions are taken up to an even share, all at once, and
/// beyond that where they stay free, since others take one after the other. Only where
/// there are none is one taken from whoever holds most, and only if that one
/// holds at least two more: so a partition never moves between readers that hold
/// nearly as many. A newcomer takes half of what it lacks in a round, lest several
/// newcomers take too much from one.
pub fn share<'a>(me: &'a str, holdings: &[Holding<'a>]) -> Share<'a> {
    let mut held: BTreeMap<&str, Vec<&'a str>> = BTreeMap::from([(me, Vec::new())]);
    let (mut overdue, mut free) = (Vec::new(), Vec::new());
    for holding in holdings {
        match holding.owner {
            Some(owner) => held.entry(owner).or_default().push(holding.partition),
            None if holding.overdue => overdue.push(holding.partition),
            None => free.push(holding.partition),
        }
    }
    let keep = held.remove(me).unwrap_or_default();
    let readers = held.len() + 1;
    let even = holdings.len().div_ceil(readers);
    let any_free = !free.is_empty();
    in_turn(me, &mut free);
    free.truncate(even.saturating_sub(keep.len() + overdue.len()));
    overdue.extend(free);
    let mut share = Share {
        keep,
        take: overdue,
    };
    if any_free || !share.take.is_empty() {
        return share;
    }
    let lacking = (holdings.len() / readers).saturating_sub(share.keep.len());
    held.values_mut().for_each(|held| in_turn(me, held));
    for _ in 0..lacking.div_ceil(2).max(1) {
        let Some(most) = held.values_mut().max_by_key(|held| held.len()) else {
            break;
        };
        if most.len() < share.keep.len() + share.take.len() + 2 {
            break;
        }
        share.take.extend(most.pop());
    }
    share
}

/// In an order of each reader's own, so that they seldom reach for the same.
fn in_turn(me: &str, partitions: &mut [&str]) {
    partitions.sort_by_cached_key(|partition| xxh3_64(format!("{me}\n{partition}").as_bytes()));
}

#[cfg(test)]
mod tests;
