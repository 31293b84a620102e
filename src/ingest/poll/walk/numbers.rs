//! One instant, or a list that time does not divide, is paged through by number.

use super::span::{Behind, Span};
use super::{LEAST_CUT, Listing, MOST_SHUFFLES, Walk, is_short, most_skip};
use crate::ingest::Instant;
use crate::ingest::poll::checkpoint::{Ordering, ServiceBehaviour};
use crate::ingest::poll::seen::Key;

/// Pages in a row with nothing new that end a pass by number.
const STALE: u32 = 2;

impl Walk {
    /// More objects with one last update than a page holds: here, and only here,
    /// by number.
    pub(super) fn page_through(
        &mut self,
        mut span: Span,
        listing: &Listing,
        top: u32,
        behaviour: &mut ServiceBehaviour,
    ) {
        let keys = listing.keys();
        let news = keys.iter().any(|key| !span.already_listed.contains(key));
        span.behind = None;
        let next = span.skip.saturating_add(listing.count);
        if !self.may_skip(next, behaviour) {
            return match behaviour.skip {
                Some(_) => self.without_skip(span, listing, top, behaviour),
                None => self.tell_apart(span),
            };
        }
        if span.stale >= STALE {
            if let Some(again) = span.once_more() {
                return self.spans.push(again);
            }
            // Fewer were listed than numbers were passed: in another order each time, pages
            // without news are chance.
            span.already_listed.extend(keys);
            let count = u32::try_from(span.already_listed.len()).unwrap_or(u32::MAX);
            if count < span.reached && span.passes < MOST_SHUFFLES {
                return self.spans.push(span.begin_again());
            }
            return self.close(span, behaviour);
        }
        // Unusable elements have no place in time: objects behind them may have moved up.
        span.unsure |= news && (span.skip > 0 || listing.listed.is_empty());
        span.skip = next;
        span.by_number = true;
        span.already_listed.extend(keys.iter().copied());
        span.before = keys;
        span.ended = is_short(listing, top, behaviour);
        self.spans.push(span);
    }

    /// Goes on where the service does not let the walk look behind a page that looked
    /// like the last one.
    pub(super) fn without_looking_behind(
        &mut self,
        mut span: Span,
        behind: Behind,
        listing: &Listing,
        top: u32,
        behaviour: &mut ServiceBehaviour,
    ) {
        span.skip = 0;
        span.before = Vec::new();
        match behaviour.order {
            Ordering::Honoured => {
                span.go_on(
                    behind.last,
                    &behind.listed,
                    most_skip(&self.limits, behaviour),
                    behaviour,
                );
                self.spans.push(span);
            }
            _ if behind.count < LEAST_CUT => self.close(span, behaviour),
            Ordering::Unknown => self.prove_order(span, behind.listed, listing, top, behaviour),
            _ => {
                span.half = Some(behind.count);
                self.split(span, &behind.listed, behaviour);
            }
        }
    }

    /// Goes on where the service does not apply `$skip`, or refuses more of it.
    pub(super) fn without_skip(
        &mut self,
        mut span: Span,
        listing: &Listing,
        top: u32,
        behaviour: &mut ServiceBehaviour,
    ) {
        if let Some(behind) = span.behind.take() {
            return self.without_looking_behind(span, behind, listing, top, behaviour);
        }
        let inside = |(updated, _): &(Instant, Key)| *updated >= span.from && *updated < span.to;
        let strays = listing.count > 0 && !listing.listed.iter().any(inside);
        if strays && behaviour.order != Ordering::Honoured {
            // The service lists other windows than it was asked for.
            if !self.looks_last(listing, top, behaviour) {
                let why = "the service lists other objects than those asked for";
                self.give_up(&span, span.to, why.into());
            }
            return;
        }
        if span.ended || is_short(listing, top, behaviour) {
            // Where it lists only older objects, it has shown all of this window.
            if !strays {
                self.past_instant(&span, behaviour);
            }
            return;
        }
        self.tell_apart(span);
    }

    /// The service refuses to list what lies behind this many objects.
    pub(super) fn beyond_skip(&mut self, mut span: Span, behaviour: &mut ServiceBehaviour) {
        match span.behind.take() {
            Some(behind) => {
                // A refusal lists nothing.
                let nothing = Listing::default();
                self.without_looking_behind(span, behind, &nothing, 1, behaviour);
            }
            None if span.ended => self.past_instant(&span, behaviour),
            None => self.tell_apart(span),
        }
    }
}
