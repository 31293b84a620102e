//! A list in another order: windows are split until each fits one page.

use super::span::{Span, earlier, with_all_digits};
use super::{LEAST_CUT, Listing, Walk, at, cut_at};
use crate::ingest::poll::checkpoint::{Ordering, ServiceBehaviour};
use crate::ingest::poll::seen::Key;
use crate::ingest::{Instant, TieBreaker};

impl Walk {
    pub(super) fn go_on_by_splitting(
        &mut self,
        mut span: Span,
        listing: &Listing,
        top: u32,
        behaviour: &mut ServiceBehaviour,
    ) {
        if let Some(behind) = span.behind.take() {
            cut_at(behind.count, behaviour);
            let listed = [behind.listed, listing.listed.clone()].concat();
            return self.divide(span, &listed, listing, top, behaviour);
        }
        let number = span.skip.saturating_add(listing.count);
        if span.skip == 0 && self.looks_last(listing, top, behaviour) {
            if self.may_skip(number, behaviour) {
                let last = listing.listed.iter().map(|(updated, _)| *updated).max();
                let last = last.unwrap_or(span.from);
                return self.look_behind(span, listing, last);
            }
            let news = listing
                .keys()
                .iter()
                .any(|key| !span.already_listed.contains(key));
            let less = span.half.is_some_and(|whole| listing.count < whole);
            if (less && !news) || listing.count < LEAST_CUT {
                return self.close(span, behaviour);
            }
            // The walk may not look behind the page: its halves list the same, or more.
            span.half = Some(listing.count);
            span.already_listed.extend(listing.keys());
        } else {
            span.half = None;
        }
        self.divide(span, &listing.listed, listing, top, behaviour);
    }

    pub(super) fn divide(
        &mut self,
        mut span: Span,
        listed: &[(Instant, Key)],
        listing: &Listing,
        top: u32,
        behaviour: &mut ServiceBehaviour,
    ) {
        let inside = |(updated, _): &(Instant, Key)| *updated >= span.from && *updated < span.to;
        let apart = !span.by_number && listed.iter().any(inside);
        if !apart || self.middle(&span, listed, behaviour).is_none() {
            return self.page_through(span, listing, top, behaviour);
        }
        span.skip = 0;
        self.split(span, listed, behaviour);
    }

    /// An instant at which a window falls into two smaller ones.
    pub(super) fn middle(
        &self,
        span: &Span,
        listed: &[(Instant, Key)],
        behaviour: &ServiceBehaviour,
    ) -> Option<Instant> {
        let mut inside: Vec<Instant> = listed.iter().map(|(updated, _)| *updated).collect();
        inside.sort_unstable();
        inside.dedup();
        inside.retain(|instant| *instant > span.from && *instant < span.to);
        let middle = match inside.get(inside.len() / 2) {
            Some(middle) => *middle,
            // All objects lie at the very beginning: that instant becomes a window of its own.
            None => span.from.next(),
        };
        let begins = match behaviour.asks_earlier {
            true => earlier(middle),
            false => middle,
        };
        (begins > span.from && middle < span.to).then_some(middle)
    }

    /// Replaces a window by two smaller ones, divided at an instant listed in it.
    pub(super) fn split(
        &mut self,
        span: Span,
        listed: &[(Instant, Key)],
        behaviour: &ServiceBehaviour,
    ) {
        let Some(middle) = self.middle(&span, listed, behaviour) else {
            let mut span = span;
            let count = u32::try_from(span.listed_by_number.len()).unwrap_or(u32::MAX);
            if !self.may_skip(count.max(1), behaviour) {
                return self.tell_apart(span);
            }
            span.skip = count;
            span.by_number = true;
            return self.spans.push(span);
        };
        let half = |mut part: Span| {
            part.half = span.half;
            if span.half.is_some() {
                part.already_listed.clone_from(&span.already_listed);
            }
            part
        };
        let mut right = half(span.with(middle, span.to));
        right.edge = at(middle, listed);
        if behaviour.asks_earlier {
            right.from = earlier(middle);
            right.earlier = true;
        }
        let mut left = half(span.with(span.from, middle));
        left.cursor = span.cursor.min(middle);
        left.edge.clone_from(&span.edge);
        left.earlier = span.earlier;
        self.spans.extend([right, left]);
    }

    /// All objects of one instant were listed. Where the order is kept, newer objects
    /// stand behind them, and nothing else may be missing.
    pub(super) fn past_instant(&mut self, span: &Span, behaviour: &ServiceBehaviour) {
        let next = span.cursor.next();
        if behaviour.order == Ordering::Honoured && next < span.to && !span.is_one_instant() {
            self.spans.push(span.with(next, span.to));
        }
    }

    /// Divides a window that neither time nor number divides by the next tie-breaker.
    pub(super) fn tell_apart(&mut self, span: Span) {
        let edge = span.cursor.next_second().min(span.to);
        if edge < span.to {
            // A service that takes `ge` for `gt` lists the edge itself too.
            let mut next = span.with(with_all_digits(edge), span.to);
            next.cursor = edge;
            self.spans.push(next);
        }
        let Some((field, values)) = self.limits.tie_breakers.get(span.tie_breakers.len()) else {
            let why = "more objects carry this one last update than the API lets anyone list";
            return self.give_up(&span, edge, why.into());
        };
        let shares = values
            .iter()
            .map(|value| TieBreaker::Is(field, value))
            .chain([TieBreaker::IsNone(field, values)]);
        for share in shares {
            let mut part = span.with(span.from, edge);
            part.tie_breakers.push(share);
            self.spans.push(part);
        }
    }
}
