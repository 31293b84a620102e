//! Which question to ask next, so that nothing is missed.
//!
//! The walk holds the windows of time that are not drained yet, the earliest on
//! top. A window is closed on proof alone: an empty answer behind what it listed.
//! While the service lists in ascending order the walk moves by time: the next
//! window begins at the last instant listed (inclusive, since more objects may
//! carry it, and they have to come back). Where the order asked for is not kept,
//! windows are split until each fits one page. A window that cannot be listed is
//! halved until only the object at fault is left out, and the log says so.
//!
//! Pure: it sees instants and fingerprints, answers with a [`ListQuery`].

mod failure;
mod in_order;
mod known;
mod numbers;
pub(in crate::ingest) mod span;
mod splitting;

use crate::ingest::poll::checkpoint::{Gap, Ordering, ServiceBehaviour};
use crate::ingest::poll::seen::Key;
use crate::ingest::{Instant, Limits, ListQuery, Order};
use known::{count_in, nothing_new};
use span::{EARLIER, Span, State, around, earlier};
use std::collections::HashSet;
use std::ops::Range;

/// Page size aimed at, in bytes: large enough for speed, small enough that two
/// pages (one being written, one arriving) stay flat in memory.
const PAGE_BYTES: u64 = 3_000_000;

/// Objects asked for before their size is known.
const FIRST_PAGE: u32 = 50;

/// Times one instant is paged through by number, while it keeps changing.
const MOST_PASSES: u32 = 5;

/// `$skip` counts as ignored once the same short page has come this often.
const ALIKE: u32 = 3;

/// Passes by number over a list that comes in another order each time.
const MOST_SHUFFLES: u32 = 40;

/// No service cuts a page to fewer objects than this. It matters only where a
/// service does not let the walk ask what lies behind a page.
const LEAST_CUT: u32 = 5;

/// What a page listed, as far as the walk is concerned.
#[derive(Default)]
pub(in crate::ingest) struct Listing {
    /// Last update and fingerprint of each object, in the order listed.
    pub listed: Vec<(Instant, Key)>,
    /// Fingerprints of the objects nested in each.
    pub nested: Vec<Vec<Key>>,
    /// Fingerprints of the unusable elements.
    pub quarantined: Vec<Key>,
    /// Elements listed, unusable ones included.
    pub count: u32,
    /// The service says that more follows.
    pub more: bool,
    /// Objects in the window, as the service counts them.
    pub total: Option<u64>,
    /// The service says that objects are missing.
    pub partial: bool,
    /// Every element was delivered by an earlier poll.
    pub all_known: bool,
}

impl Listing {
    fn keys(&self) -> Vec<Key> {
        let listed = self.listed.iter().map(|(_, key)| *key);
        listed.chain(self.quarantined.iter().copied()).collect()
    }
}

/// The listed objects whose last update is this instant.
fn at(instant: Instant, listed: &[(Instant, Key)]) -> Vec<Key> {
    let here = listed.iter().filter(|(updated, _)| *updated == instant);
    here.map(|(_, key)| *key).collect()
}

/// What a poll sets out to ask.
pub(in crate::ingest) enum Route {
    /// All of a window, from here on.
    All { from: Instant },
    /// The same; its first page may show that nothing is new.
    Idle { from: Instant, known: Known },
    /// Objects newer than all known ones; if there are any, a look at the rest too.
    Newer {
        newest: Instant,
        from: Instant,
        /// How many objects of the rest are known.
        known: u32,
    },
    /// Whether the window holds more objects than are known; if so, all of it.
    Number { from: Instant, known: u32 },
    /// A part of the known objects (some windows are counted, some are listed by the
    /// page), and those newer than all of them; if there are any, also the known ones that
    /// leave the overlap: after this poll nobody looks at them any more.
    Burst {
        from: Instant,
        newest: Instant,
        /// Up to here at most they leave.
        leaves: Instant,
        /// Last updates of the objects known, in order.
        known: Vec<Instant>,
        numbers: Vec<Range<Instant>>,
        pages: Vec<Range<Instant>>,
        /// How many of the known objects the service counted last.
        counted: Option<u64>,
    },
}

/// What is known of a window.
#[derive(Debug, Clone, Copy)]
pub(in crate::ingest) struct Known {
    pub from: Instant,
    pub newest: Instant,
    /// Objects in it, as far as they were last seen there.
    pub count: u32,
}

pub(in crate::ingest) struct Walk {
    limits: Limits,
    now: Instant,
    /// End of this poll, exclusive.
    end: Instant,
    /// Windows still to drain; the earliest one last.
    spans: Vec<Span>,
    asking: Asking,
    /// The question under way or answered last, and whether it failed: only a failed
    /// question is asked twice in a row.
    asked: Option<ListQuery>,
    failed: bool,
    /// The poll's first page may show that nothing is new.
    idle: Option<Known>,
    /// Last updates of what is known, while a burst lies within the overlap.
    known: Vec<Instant>,
    /// How many of the known objects the service counted, in an earlier poll and in this one.
    counted_before: Option<u64>,
    pub counted: Option<u64>,
    /// Known objects the service did not count then: it places them elsewhere, at the
    /// end of the window.
    missing: u64,
    /// Asked for as soon as the poll brings anything newer, before that moves the watermark.
    rest: Vec<Span>,
    /// What is not known and from here on moves the watermark.
    newest: Instant,
    news: bool,
    /// A window held another number of objects than are known of it.
    pub miscounted: bool,
    /// The order was dropped because something unnamed was refused.
    order_suspected: bool,
    /// Where the first window with a partial answer begins.
    held: Option<Instant>,
    gaps: Vec<Gap>,
    /// Windows given up by this poll, those already taken included.
    given_up: HashSet<(Instant, Instant)>,
    /// Parts of old gaps that still will not come.
    still_open: Vec<Instant>,
}

/// What the question under way is for.
#[derive(Debug, Clone, PartialEq)]
enum Asking {
    Page,
    /// Is the order honoured at all? The newest object, where ascending order
    /// showed these.
    Order {
        listed: Vec<(Instant, Key)>,
    },
    /// Does anything lie before `last` that the page did not list?
    Before {
        last: Instant,
        listed: Vec<(Instant, Key)>,
        /// Listed before `last`.
        count: u32,
    },
    /// Does the service answer anything at all? Then carry on with the failure.
    Alive {
        why: String,
    },
}

impl Walk {
    /// A route up to `end`, but for the `gaps` in it, of which those that are `due`
    /// are asked for again.
    pub fn new(
        limits: Limits,
        now: Instant,
        end: Instant,
        route: Route,
        gaps: &[Gap],
        due: &[Gap],
    ) -> Self {
        let mut spans: Vec<Span> = due
            .iter()
            .rev()
            .map(|gap| Span {
                state: State::OldGap,
                ..Span::new(gap.from, gap.to)
            })
            .collect();
        let (mut idle, mut known_instants, mut rest) = (None, Vec::new(), Vec::new());
        let mut counted_before = None;
        let mut newest_known = end;
        match route {
            Route::All { from } => spans.extend(around(gaps, from, end, State::Open)),
            Route::Idle { from, known } => {
                idle = Some(known).filter(|_| from < end);
                spans.extend(around(gaps, from, end, State::Open));
            }
            Route::Newer {
                newest,
                from,
                known,
            } => {
                newest_known = newest;
                spans.extend(around(gaps, newest, end, State::Open));
                rest = around(gaps, from, newest.min(end), State::Look { known });
            }
            Route::Number { from, known } => {
                let free = gaps.iter().all(|gap| gap.to <= from || gap.from >= end);
                let state = match free {
                    true => State::Number { known },
                    false => State::Open,
                };
                spans.extend(around(gaps, from, end, state));
            }
            Route::Burst {
                from,
                newest,
                leaves,
                known,
                numbers,
                pages,
                counted,
            } => {
                counted_before = counted;
                newest_known = newest;
                // What is newest moves the watermark, so it comes last.
                spans.extend(around(gaps, newest, end, State::Open));
                rest = around(gaps, from, newest.min(leaves).min(end), State::Open);
                for window in &mut rest {
                    let known = count_in(&known, window.from, window.to);
                    window.state = State::Look { known };
                }
                for part in pages.iter().rev() {
                    let mut windows = around(gaps, part.start, part.end, State::Open);
                    for window in &mut windows {
                        let known = count_in(&known, window.from, window.to);
                        window.state = State::Look { known };
                    }
                    spans.extend(windows);
                }
                let count = |from, to| State::Number {
                    known: count_in(&known, from, to),
                };
                for part in numbers.iter().rev() {
                    let mut windows = around(gaps, part.start, part.end, State::Open);
                    for window in &mut windows {
                        window.state = count(window.from, window.to);
                    }
                    spans.extend(windows);
                }
                known_instants = known;
            }
        }
        Self {
            limits,
            now,
            end,
            spans,
            asking: Asking::Page,
            asked: None,
            failed: false,
            idle,
            known: known_instants,
            rest,
            newest: newest_known,
            news: false,
            counted_before,
            counted: None,
            missing: 0,
            miscounted: false,
            order_suspected: false,
            held: None,
            gaps: Vec::new(),
            given_up: HashSet::new(),
            still_open: Vec::new(),
        }
    }

    /// Everything before this instant is drained; `None` once all is.
    pub fn frontier(&self) -> Option<Instant> {
        let rest = self.rest.iter().filter(|_| self.news);
        self.spans
            .iter()
            .filter(|span| span.state != State::OldGap)
            .chain(rest)
            .map(|span| span.cursor)
            .chain(self.held)
            .min()
    }

    /// Whether answers of this poll said that objects were missing.
    pub fn is_partial(&self) -> bool {
        self.held.is_some()
    }

    /// Lets the watermark pass windows that were listed only in part.
    pub fn release(&mut self) {
        self.held = None;
    }

    /// Windows that would not come, found by this poll.
    pub fn take_gaps(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.gaps)
    }

    /// Whether nothing is left to ask.
    pub fn is_over(&self) -> bool {
        self.spans.is_empty() && (self.rest.is_empty() || !self.news)
    }

    /// Whether a gap of an earlier poll came in full, once the walk is over.
    pub fn closed(&self, gap: &Gap) -> bool {
        !self
            .still_open
            .iter()
            .any(|from| *from >= gap.from && *from < gap.to)
    }

    /// Whether what is being listed now belongs to a gap of an earlier poll.
    pub fn in_old_gap(&self) -> bool {
        self.spans
            .last()
            .is_some_and(|span| span.state == State::OldGap)
    }

    /// Whether this revision was already listed by the window being read.
    pub fn already_listed(&self, key: Key) -> bool {
        self.spans
            .last()
            .is_some_and(|span| span.already_listed.contains(&key))
    }

    /// Whether the coming answer is a page to deliver, and not a look around.
    pub fn delivers(&self) -> bool {
        matches!(self.asking, Asking::Page | Asking::Before { .. })
    }

    /// The next question, or none when everything is drained. Never the one before,
    /// unless that failed.
    pub fn ask(&mut self, behaviour: &mut ServiceBehaviour) -> Option<ListQuery> {
        loop {
            self.open_top();
            if self.news && self.asking == Asking::Page {
                self.spans.append(&mut self.rest);
            }
            let query = self.question(behaviour)?;
            if self.failed || self.asked.as_ref() != Some(&query) {
                self.asked = Some(query.clone());
                return Some(query);
            }
            self.asking = Asking::Page;
            let span = self.spans.pop()?;
            let why = "the service answers the same whatever is asked of it";
            self.give_up(&span, span.to, why.into());
        }
    }

    fn question(&mut self, behaviour: &mut ServiceBehaviour) -> Option<ListQuery> {
        let span = self.spans.last()?;
        let query = ListQuery {
            from: span.from,
            to: span.to,
            order: wants_order(behaviour).then_some(Order::Ascending),
            top: self.top(span, behaviour),
            skip: span.skip,
            tie_breakers: span.tie_breakers.clone(),
            count: false,
            patient: matches!(
                span.state,
                State::Open | State::Number { .. } | State::Look { .. }
            ),
        };
        if let (Asking::Page, State::Number { known }) = (&self.asking, span.state) {
            return Some(match self.counts(known, behaviour) {
                true => ListQuery {
                    count: true,
                    top: 1,
                    ..query
                },
                false => ListQuery {
                    skip: known,
                    ..query
                },
            });
        }
        Some(match &self.asking {
            Asking::Page => query,
            Asking::Order { .. } => ListQuery {
                order: Some(Order::Descending),
                top: 1,
                skip: 0,
                ..query
            },
            Asking::Before { last, count, .. } => ListQuery {
                to: *last,
                skip: *count,
                ..query
            },
            Asking::Alive { .. } => ListQuery {
                from: self.end,
                to: self.end.next_second(),
                order: None,
                top: 1,
                skip: 0,
                tie_breakers: Vec::new(),
                patient: true,
                ..query
            },
        })
    }

    fn may_skip(&self, number: u32, behaviour: &ServiceBehaviour) -> bool {
        number <= most_skip(&self.limits, behaviour)
    }

    fn top(&self, span: &Span, behaviour: &ServiceBehaviour) -> u32 {
        let single = matches!(span.state, State::Single { .. }).then_some(1);
        [span.cap, single]
            .into_iter()
            .flatten()
            .fold(page_length(&self.limits, behaviour), u32::min)
            .max(1)
    }

    /// Takes an answer to the last [`Walk::ask`].
    pub fn on_page(&mut self, listing: &Listing, behaviour: &mut ServiceBehaviour) {
        self.failed = false;
        let top = self.asked.as_ref().map_or(1, |asked| asked.top);
        if let Some(asked) = &self.asked {
            // A service whose `lt` lists later instants leaves them out with `ge`.
            let later = asked.to.plus(EARLIER);
            let beyond = |(updated, _): &(Instant, Key)| *updated > asked.to && *updated <= later;
            if listing.listed.iter().any(beyond) {
                compares_otherwise(asked.to, behaviour);
            }
        }
        match std::mem::replace(&mut self.asking, Asking::Page) {
            Asking::Page => {}
            Asking::Alive { why } => return self.close_in(why, behaviour),
            Asking::Order { listed } => return self.judge_order(listed, listing, behaviour),
            Asking::Before { last, listed, .. } => {
                return self.judge_before(last, listed, listing, behaviour);
            }
        }
        let Some(mut span) = self.spans.pop() else {
            return;
        };
        behaviour.largest_page = behaviour.largest_page.max(listing.count);
        let newer = |(updated, _): &(Instant, Key)| *updated >= self.newest;
        self.news |= !listing.all_known && listing.listed.iter().any(newer);
        if listing.partial && span.state != State::OldGap {
            let begins = span.cursor;
            self.held = Some(self.held.map_or(begins, |held| held.min(begins)));
        }
        match span.state {
            State::Number { known } => return self.judge_number(span, known, listing, behaviour),
            State::Look { known } => {
                let inside =
                    |(updated, _): &&(Instant, Key)| *updated >= span.from && *updated < span.to;
                let inside = listing.listed.iter().filter(inside).count();
                let whole = u32::try_from(inside).is_ok_and(|inside| inside >= known);
                // In another order a page as long as any may have been cut, and hide one.
                let shows = behaviour.order == Ordering::Honoured
                    || listing.count < behaviour.largest_page
                    || self.may_skip(listing.count, behaviour);
                let last = self.looks_last(listing, top, behaviour);
                if listing.all_known && whole && last && shows {
                    return;
                }
                span.state = State::Open;
            }
            _ => {}
        }
        if let Some(known) = self.idle.take()
            && nothing_new(known, listing, top, behaviour)
        {
            behaviour.doubt = true;
            return;
        }
        if listing.count == 0 {
            return self.nothing_listed(span, listing, behaviour);
        }
        if let State::Single { .. } = span.state {
            span.skip += listing.count;
            // Only failures in a row end the attempt.
            if let State::Single { misses: 2.. } = span.state {
                span.state = State::Single { misses: 1 };
            }
            return self.spans.push(span);
        }
        span.ahead = span.ahead.saturating_sub(listing.count);
        if span.ahead == 0 {
            span.cap = None;
            if span.state == State::Troubled {
                span.state = State::Open;
            }
        }
        if span.skip > 0 && listing.keys() == span.before {
            span.same += 1;
            if listing.count < LEAST_CUT && span.same < ALIKE && self.may_skip(span.skip, behaviour)
            {
                // Where the order changes, short pages are alike by chance too.
                span.skip = span.skip.saturating_add(listing.count);
                return self.spans.push(span);
            }
            // Numbers passed over make no difference.
            behaviour.skip = Some(0);
            return self.without_skip(span, listing, top, behaviour);
        }
        let came_back = listing
            .listed
            .iter()
            .any(|(_, key)| span.edge.contains(key));
        if came_back {
            if span.earlier {
                compares_otherwise(span.cursor, behaviour);
            }
            span.edge = Vec::new();
        }
        let keys = listing.keys();
        let news = keys.iter().any(|key| !span.already_listed.contains(key));
        if let Some(count) = span.shorter.take()
            && span.skip == 0
            && news
        {
            cut_at(count, behaviour);
        }
        span.shorter = Some(listing.count).filter(|count| *count < top);
        let repeats = keys
            .iter()
            .all(|key| span.listed_by_number.contains_key(key));
        span.stale = if repeats { span.stale + 1 } else { 0 };
        let unusable = listing.quarantined.iter().map(|key| (*key, span.from));
        let listed = listing.listed.iter().map(|(updated, key)| (*key, *updated));
        span.listed_by_number.extend(listed.chain(unusable));
        span.reached = span.reached.max(span.skip.saturating_add(listing.count));
        let ascending = listing.listed.is_sorted_by_key(|(updated, _)| *updated);
        if wants_order(behaviour) && !ascending {
            behaviour.order = Ordering::Ignored;
            if span.by_number {
                // In another order, numbers prove nothing.
                return self.spans.push(span.begin_again());
            }
        }
        match behaviour.order {
            Ordering::Honoured | Ordering::Unknown => {
                self.go_on_in_order(span, listing, top, behaviour)
            }
            _ => self.go_on_by_splitting(span, listing, top, behaviour),
        }
    }

    /// An empty answer: nothing lies behind what was listed.
    fn nothing_listed(&mut self, span: Span, listing: &Listing, behaviour: &mut ServiceBehaviour) {
        if listing.more {
            let why = "the service lists nothing and promises more, page after page";
            return self.give_up(&span, span.to, why.into());
        }
        if let Some(again) = span.once_more() {
            return self.spans.push(again);
        }
        // Fewer objects were listed than there are: the order changed between pages, and
        // some objects came twice.
        let count = u32::try_from(span.already_listed.len()).unwrap_or(u32::MAX);
        if (span.by_number || span.same > 0) && count < span.skip {
            if span.passes < MOST_SHUFFLES {
                return self.spans.push(span.begin_again());
            }
            let why = "the list comes in another order at each question";
            return self.give_up(&span, span.to, why.into());
        }
        self.close(span, behaviour);
    }

    /// A window is drained if the objects at its beginning came back.
    fn close(&mut self, span: Span, behaviour: &ServiceBehaviour) {
        if span.edge.is_empty() || span.earlier {
            return;
        }
        if span.state == State::OldGap {
            return self.still_open.push(span.from);
        }
        // Either the service compares other instants than it prints, or the objects have
        // changed since. Asking from earlier shows which.
        let (from, to) = (earlier(span.cursor), span.to.min(span.cursor.plus(EARLIER)));
        let whole = wants_order(behaviour);
        let mut again = span.with(from, if whole { span.to } else { to });
        again.cursor = span.cursor;
        again.edge = span.edge;
        again.earlier = true;
        self.spans.push(again);
    }
}

fn wants_order(behaviour: &ServiceBehaviour) -> bool {
    matches!(behaviour.order, Ordering::Unknown | Ordering::Honoured)
}

/// Objects a page is asked for.
fn page_length(limits: &Limits, behaviour: &ServiceBehaviour) -> u32 {
    let fitting = match behaviour.object_bytes {
        None => FIRST_PAGE,
        Some(bytes) => u32::try_from(PAGE_BYTES / bytes.max(1)).unwrap_or(u32::MAX),
    };
    let most = behaviour.top.unwrap_or(u32::MAX);
    fitting.min(limits.top).min(most).max(1)
}

/// Objects a page is likely to hold.
pub(in crate::ingest) fn page_holds(limits: &Limits, behaviour: &ServiceBehaviour) -> u32 {
    page_length(limits, behaviour).min(behaviour.cut_at.unwrap_or(u32::MAX))
}

/// Most objects that may be passed over.
pub(in crate::ingest) fn most_skip(limits: &Limits, behaviour: &ServiceBehaviour) -> u32 {
    limits.skip.min(behaviour.skip.unwrap_or(u32::MAX))
}

/// Whether a page is so much shorter than others that it was not cut: only where nobody
/// may look behind it.
fn is_short(listing: &Listing, top: u32, behaviour: &ServiceBehaviour) -> bool {
    let cut = behaviour
        .cut_at
        .unwrap_or(u32::MAX)
        .min(behaviour.largest_page);
    let doubled = |count: u32| count.saturating_add(count);
    let short = doubled(listing.count).saturating_add(listing.count) < doubled(cut);
    !listing.more && listing.count < top && (listing.count < LEAST_CUT || short)
}

/// Remembers that pages are cut at this many objects.
fn cut_at(count: u32, behaviour: &mut ServiceBehaviour) {
    behaviour.cut_at = Some(behaviour.cut_at.map_or(count, |cut| cut.min(count)));
}

/// Remembers that the service compares other instants than it prints.
fn compares_otherwise(at: Instant, behaviour: &mut ServiceBehaviour) {
    if !behaviour.asks_earlier {
        behaviour.asks_earlier = true;
        tracing::warn!(
            "asked for objects last updated from or before {at}, the service lists others than \
             those: it compares otherwise than it prints. From now on it is asked from one second \
             earlier"
        );
    }
}
