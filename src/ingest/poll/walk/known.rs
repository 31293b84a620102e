//! Windows that earlier polls know: does the service hold more?

use super::span::{Span, State};
use super::{Known, Listing, Walk, page_length};
use crate::ingest::Instant;
use crate::ingest::poll::checkpoint::{Ordering, ServiceBehaviour};

impl Walk {
    /// Whether so many objects are told by `$count`, and not by what lies behind them.
    pub(super) fn counts(&self, known: u32, behaviour: &ServiceBehaviour) -> bool {
        self.limits.counts && behaviour.counts && !self.may_skip(known, behaviour)
    }

    /// Whether a window holds more than is known of it, or more than it held when it was
    /// counted last: a service that rounds counts some of its last objects elsewhere.
    pub(super) fn counts_more(&mut self, span: &Span, total: u64, known: u32) -> bool {
        let known = u64::from(known);
        if self.counted.is_none() && span.skip == 0 && known == self.known.len() as u64 {
            self.counted = Some(total);
            let before = self.counted_before.unwrap_or(known).min(known);
            self.missing = known - before;
        }
        let last = self.known.last().is_some_and(|last| *last < span.to);
        total > known - if last { self.missing.min(known) } else { 0 }
    }

    /// Whether a window holds more than is known of it.
    pub(super) fn judge_number(
        &mut self,
        mut span: Span,
        known: u32,
        listing: &Listing,
        behaviour: &mut ServiceBehaviour,
    ) {
        let more = match self.asked.as_ref().is_some_and(|asked| asked.count) {
            true => match listing.total {
                Some(total) => self.counts_more(&span, total, known),
                None => {
                    behaviour.counts = false;
                    if self.may_skip(known, behaviour) {
                        self.spans.push(span);
                    }
                    return;
                }
            },
            false => listing.count > 0 || listing.more,
        };
        if !more {
            return;
        }
        self.miscounted = true;
        let middle = self
            .known
            .get(lower_bound(&self.known, span.from) + known as usize / 2)
            .copied()
            .filter(|middle| *middle > span.from && *middle < span.to);
        match middle {
            Some(middle) if known > page_length(&self.limits, behaviour) => {
                for (from, to) in [(middle, span.to), (span.from, middle)] {
                    let known = count_in(&self.known, from, to);
                    self.spans.push(Span {
                        state: State::Number { known },
                        ..Span::new(from, to)
                    });
                }
            }
            _ => {
                span.state = State::Open;
                self.spans.push(span);
            }
        }
    }
}

/// Whether a page held all known objects and no other: then the poll may end after
/// this one call. The page may have been cut right there, so the next poll looks
/// behind it.
pub(super) fn nothing_new(
    known: Known,
    listing: &Listing,
    top: u32,
    behaviour: &ServiceBehaviour,
) -> bool {
    if !listing.all_known || listing.partial || listing.more || listing.count >= top {
        return false;
    }
    let instants = listing.listed.iter().map(|(updated, _)| *updated);
    let inside = instants.filter(|updated| *updated >= known.from);
    match behaviour.order {
        Ordering::Honoured => inside.max() >= Some(known.newest),
        // In another order a cut page may lack any object, not just the newest.
        _ => u32::try_from(inside.count()).is_ok_and(|count| count >= known.count),
    }
}

pub(super) fn lower_bound(known: &[Instant], instant: Instant) -> usize {
    known.partition_point(|updated| *updated < instant)
}

pub(super) fn count_in(known: &[Instant], from: Instant, to: Instant) -> u32 {
    let count = lower_bound(known, to).saturating_sub(lower_bound(known, from));
    u32::try_from(count).unwrap_or(u32::MAX)
}
