//! A list in ascending order: the walk moves by time, and proves that the order is kept.

use super::span::{Behind, Span, earlier};
use super::{Asking, Listing, MOST_PASSES, Walk, cut_at, most_skip};
use crate::ingest::Instant;
use crate::ingest::poll::checkpoint::{Ordering, ServiceBehaviour};
use crate::ingest::poll::seen::Key;
use std::collections::HashMap;

/// A page with this many different instants is in order by luck once in 40 000
/// pages; fewer instants do not prove that the service keeps the order.
const ORDERLY: usize = 8;

impl Walk {
    pub(super) fn looks_last(
        &self,
        listing: &Listing,
        top: u32,
        behaviour: &ServiceBehaviour,
    ) -> bool {
        let cut = behaviour.cut_at.is_some_and(|cut| listing.count >= cut);
        !listing.more && listing.count < top && !cut
    }

    /// Asks for what lies behind a page that looks like the last one.
    pub(super) fn look_behind(&mut self, mut span: Span, listing: &Listing, last: Instant) {
        let keys = listing.keys();
        span.skip += listing.count;
        span.already_listed.extend(keys.iter().copied());
        span.behind = Some(Behind {
            last,
            listed: listing.listed.clone(),
            count: listing.count,
        });
        span.before = keys;
        self.spans.push(span);
    }

    pub(super) fn go_on_in_order(
        &mut self,
        mut span: Span,
        listing: &Listing,
        top: u32,
        behaviour: &mut ServiceBehaviour,
    ) {
        // The objects at the beginning did not come back; asking from earlier shows why.
        if !span.edge.is_empty() && span.skip == 0 && !span.earlier {
            span.from = earlier(span.cursor);
            span.earlier = true;
            span.listed_by_number = HashMap::new();
            return self.spans.push(span);
        }
        if let Some(behind) = span.behind.take() {
            // The page was cut. Numbers slip while objects change, so the walk goes on by
            // time, from the end of that page.
            cut_at(behind.count, behaviour);
            if behaviour.order == Ordering::Honoured {
                span.go_on(
                    behind.last,
                    &behind.listed,
                    most_skip(&self.limits, behaviour),
                    behaviour,
                );
                return self.spans.push(span);
            }
            return self.prove_order(span, behind.listed, listing, top, behaviour);
        }
        // Objects outside the window do not move the walk.
        let inside = listing.listed.iter().map(|(updated, _)| *updated);
        let last = inside.filter(|updated| *updated < span.to).max();
        let Some(last) = last.filter(|last| *last > span.cursor) else {
            return self.page_through(span, listing, top, behaviour);
        };
        let new_tie = |(updated, key): &(Instant, Key)| {
            *updated <= span.cursor && !span.already_listed.contains(key)
        };
        span.unsure |= span.skip > 0 && listing.listed.iter().any(new_tie);
        span.already_listed.extend(listing.keys());
        if let Some(again) = span.once_more() {
            return self.spans.push(again);
        }
        let number = span.skip.saturating_add(listing.count);
        if self.looks_last(listing, top, behaviour) && self.may_skip(number, behaviour) {
            return self.look_behind(span, listing, last);
        }
        match behaviour.order {
            Ordering::Honoured => self.on_by_time(span, listing, last, behaviour),
            _ => self.prove_order(span, listing.listed.clone(), listing, top, behaviour),
        }
    }

    /// Is the page in order by luck, or because the service keeps the order? The newest
    /// object shows which.
    pub(super) fn prove_order(
        &mut self,
        span: Span,
        mut listed: Vec<(Instant, Key)>,
        listing: &Listing,
        top: u32,
        behaviour: &mut ServiceBehaviour,
    ) {
        listed.retain(|(updated, _)| *updated < span.to);
        // Pages of one instant each are in order too if they follow each other.
        let lowest = listed.iter().map(|(updated, _)| *updated).min();
        let earlier_pages = span.listed_by_number.iter().filter(|(key, _)| {
            span.by_number && !listing.listed.iter().any(|(_, listed)| listed == *key)
        });
        match earlier_pages.max_by_key(|(_, updated)| **updated) {
            Some((_, before)) if Some(*before) > lowest => {
                behaviour.order = Ordering::Ignored;
                return self.spans.push(span.begin_again());
            }
            Some((key, before)) => listed.insert(0, (*before, *key)),
            None => {}
        }
        let instants = || listed.iter().map(|(updated, _)| *updated);
        let distinct = instants().min() < instants().max();
        if distinct && instants().is_sorted() {
            self.spans.push(span);
            self.asking = Asking::Order { listed };
        } else {
            self.divide(span, &listed, listing, top, behaviour);
        }
    }

    pub(super) fn on_by_time(
        &mut self,
        mut span: Span,
        listing: &Listing,
        last: Instant,
        behaviour: &ServiceBehaviour,
    ) {
        let mut instants: Vec<Instant> = listing.listed.iter().map(|(at, _)| *at).collect();
        instants.dedup();
        if instants.len() >= ORDERLY && span.skip == 0 {
            span.go_on(
                last,
                &listing.listed,
                most_skip(&self.limits, behaviour),
                behaviour,
            );
            return self.spans.push(span);
        }
        self.prove_complete(span, last, listing.listed.clone(), behaviour);
    }

    /// Does nothing but what was listed lie before the last instant?
    pub(super) fn prove_complete(
        &mut self,
        mut span: Span,
        last: Instant,
        listed: Vec<(Instant, Key)>,
        behaviour: &ServiceBehaviour,
    ) {
        let before = span
            .listed_by_number
            .values()
            .filter(|updated| **updated < last);
        let mut count = u32::try_from(before.count()).unwrap_or(u32::MAX);
        if span.skip > 0 {
            // An object that left meanwhile moved the others up: what hides between two
            // pages stands where the last object of the page before stood.
            count = span.skip - 1;
        }
        if span.from >= last || !self.may_skip(count, behaviour) {
            span.go_on(last, &listed, most_skip(&self.limits, behaviour), behaviour);
        } else {
            self.asking = Asking::Before {
                last,
                listed,
                count,
            };
        }
        self.spans.push(span);
    }

    /// Nothing but what the page listed lies before its last instant: so the order is kept.
    pub(super) fn judge_before(
        &mut self,
        last: Instant,
        listed: Vec<(Instant, Key)>,
        listing: &Listing,
        behaviour: &mut ServiceBehaviour,
    ) {
        let Some(mut span) = self.spans.pop() else {
            return;
        };
        let stranger = |(updated, key): &(Instant, Key)| {
            *updated < last && !span.listed_by_number.contains_key(key)
        };
        if listing.listed.iter().any(stranger) {
            if span.skip > 0 && span.passes < MOST_PASSES {
                return self.spans.push(span.begin_again());
            }
            behaviour.order = Ordering::Ignored;
            return self.split(span.begin_again(), &listed, behaviour);
        }
        span.go_on(last, &listed, most_skip(&self.limits, behaviour), behaviour);
        self.spans.push(span);
    }

    pub(super) fn judge_order(
        &mut self,
        listed: Vec<(Instant, Key)>,
        newest: &Listing,
        behaviour: &mut ServiceBehaviour,
    ) {
        let Some(span) = self.spans.pop() else {
            return;
        };
        let newest = newest.listed.first().map(|(updated, _)| *updated);
        let end = |sight: Option<&(Instant, Key)>| sight.map(|(updated, _)| *updated);
        match (end(listed.first()), end(listed.last()), newest) {
            (_, Some(last), Some(newest)) if newest >= last => {
                behaviour.order = Ordering::Honoured;
                return self.prove_complete(span, last, listed, behaviour);
            }
            // Objects may have changed between the two answers: undecided.
            (Some(lowest), _, Some(newest)) if newest > lowest => {}
            _ => behaviour.order = Ordering::Ignored,
        }
        self.split(span, &listed, behaviour);
    }
}
