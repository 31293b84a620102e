//! Which question to ask next, so that nothing is missed.
//!
//! The walk holds the windows of time that are not drained yet, the earliest on
//! top. While the service lists in ascending order it moves by time: the next
//! window begins at the last instant listed (inclusive, since more objects may
//! carry it), never by page number, which slips when objects change between two
//! pages. Where the order asked for is not kept, windows are split until each
//! fits one page. What cannot be listed at all is closed in on by halving, so
//! that only the object at fault is left out, and said.
//!
//! Pure: it sees instants and fingerprints, answers with an [`Ask`].

use super::checkpoint::{Gap, Habits, Ordering};
use super::seen::Key;
use super::{Ask, Facet, Instant, Limits, Order, Refusal, Verdict};
use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

/// Page size aimed at, in bytes: large enough for speed, small enough that two
/// pages (one being written, one arriving) stay flat in memory.
const PAGE_BYTES: u64 = 3_000_000;

/// Objects asked for before their size is known.
const FIRST_PAGE: u32 = 50;

/// Windows given up in one poll before the poll itself is.
const MOST_GAPS: usize = 16;

/// Failures in a row at single objects that end the attempt to list what
/// shares one instant.
const MOST_MISSES: u32 = 3;

/// A window known to fail is listed object by object once it is this narrow.
const NARROW: Duration = Duration::from_millis(1);

/// Times one instant is paged through by number, while it keeps changing.
const MOST_PASSES: u32 = 5;

/// No service cuts a page it was asked for to fewer objects than this.
const LEAST_CUT: u32 = 5;

/// What a page listed, as far as the walk is concerned.
pub(super) struct Listing {
    /// Last update and fingerprint of each object, in the order listed.
    pub sights: Vec<(Instant, Key)>,
    /// Fingerprints of the objects nested in each.
    pub nested: Vec<Vec<Key>>,
    /// Of the unusable elements.
    pub poison: Vec<Key>,
    /// Elements listed, unusable ones included.
    pub count: u32,
    /// The service says that more follows.
    pub more: bool,
    /// Every element was delivered by an earlier poll.
    pub all_known: bool,
}

pub(super) struct Walk {
    limits: Limits,
    now: Instant,
    /// End of this poll, exclusive.
    end: Instant,
    /// Still to drain; the earliest window last.
    spans: Vec<Span>,
    asking: Asking,
    /// The poll's first page may show that nothing is new: the newest instant known.
    idle: Option<Instant>,
    /// The order was dropped because something unnamed was refused.
    order_suspected: bool,
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
    /// showed `lowest` first.
    Order {
        instants: Vec<Instant>,
    },
    /// Does the service answer anything at all? Then carry on with the failure.
    Alive {
        why: String,
    },
}

#[derive(Debug, Clone, Default)]
struct Span {
    from: Instant,
    to: Instant,
    skip: u32,
    facets: Vec<Facet>,
    /// Listed since the window last moved.
    met: HashSet<Key>,
    /// The page before: the same page twice means that `$skip` is ignored.
    before: Vec<Key>,
    /// The page before looked like the last one: that must do where the service
    /// does not let anyone look behind it.
    ended: bool,
    /// Paging by number brought something new. Objects that change meanwhile
    /// move the others up, past the number: so once more, until nothing is new.
    unsure: bool,
    passes: u32,
    state: State,
    /// At most this many objects a page, while a failure lies within `ahead` objects.
    cap: Option<u32>,
    ahead: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Open,
    /// Listing it failed, and the service does answer other questions.
    Troubled,
    /// The first half of a window known to fail; the second half lies beneath it.
    Suspect,
    /// Known to fail as a whole.
    Bad,
    /// One instant, listed object by object; so many failures so far.
    Single { misses: u32 },
    /// A gap of an earlier poll.
    OldGap,
}

impl Span {
    fn new(from: Instant, to: Instant) -> Self {
        Self {
            from,
            to,
            ..Self::default()
        }
    }

    fn with(&self, from: Instant, to: Instant) -> Self {
        let state = match self.state {
            State::OldGap => State::OldGap,
            _ => State::Open,
        };
        Self {
            from,
            to,
            facets: self.facets.clone(),
            state,
            ..Self::default()
        }
    }

    /// The same again from its first object, if paging by number left doubt.
    fn once_more(&self) -> Option<Self> {
        let again = self.unsure && self.passes < MOST_PASSES;
        again.then(|| Self {
            skip: 0,
            before: Vec::new(),
            unsure: false,
            passes: self.passes + 1,
            ..self.clone()
        })
    }

    /// No instant lies inside: it cannot be halved.
    fn is_one_instant(&self) -> bool {
        self.from.next() >= self.to
    }
}

impl Walk {
    /// A window, but for the `gaps` in it, of which those that are `due` are
    /// asked for again. `watermark` is the newest instant delivered by earlier
    /// polls, if any.
    pub fn new(
        limits: Limits,
        now: Instant,
        window: Range<Instant>,
        watermark: Option<Instant>,
        gaps: &[Gap],
        due: &[Gap],
    ) -> Self {
        let (from, end) = (window.start, window.end);
        let mut spans: Vec<Span> = due
            .iter()
            .rev()
            .map(|gap| Span {
                state: State::OldGap,
                ..Span::new(gap.from, gap.to)
            })
            .collect();
        let mut gaps: Vec<&Gap> = gaps.iter().collect();
        gaps.sort_by_key(|gap| gap.from);
        let (mut between, mut next) = (Vec::new(), from);
        for gap in gaps
            .into_iter()
            .filter(|gap| gap.to > from && gap.from < end)
        {
            if next < gap.from {
                between.push(Span::new(next, gap.from));
            }
            next = next.max(gap.to);
        }
        if next < end {
            between.push(Span::new(next, end));
        }
        spans.extend(between.into_iter().rev());
        Self {
            limits,
            now,
            end,
            spans,
            asking: Asking::Page,
            idle: watermark.filter(|_| from < end),
            order_suspected: false,
            gaps: Vec::new(),
            given_up: HashSet::new(),
            still_open: Vec::new(),
        }
    }

    /// Everything before this instant is drained; `None` once all is.
    pub fn frontier(&self) -> Option<Instant> {
        self.spans
            .iter()
            .filter(|span| span.state != State::OldGap)
            .map(|span| span.from)
            .min()
    }

    /// Windows that would not come, found by this poll.
    pub fn take_gaps(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.gaps)
    }

    /// Whether so much was given up that the poll itself should be.
    pub fn is_hopeless(&self) -> bool {
        self.given_up.len() > MOST_GAPS
    }

    /// Whether something listed by this poll had to be given up.
    pub fn gives_up(&self) -> bool {
        !self.given_up.is_empty()
    }

    /// Whether nothing is left to ask.
    pub fn is_over(&self) -> bool {
        self.spans.is_empty()
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
    pub fn met(&self, key: Key) -> bool {
        self.spans
            .last()
            .is_some_and(|span| span.met.contains(&key))
    }

    /// Whether the coming answer is a page to deliver, and not a look around.
    pub fn delivers(&self) -> bool {
        self.asking == Asking::Page
    }

    /// The next question, or none when everything is drained.
    pub fn ask(&mut self, habits: &Habits) -> Option<Ask> {
        self.open_top();
        let span = self.spans.last()?;
        let ask = Ask {
            from: span.from,
            to: span.to,
            order: wants_order(habits).then_some(Order::Ascending),
            top: self.top(span, habits),
            skip: span.skip,
            facets: span.facets.clone(),
            patient: matches!(span.state, State::Open),
        };
        Some(match &self.asking {
            Asking::Page => ask,
            Asking::Order { .. } => Ask {
                order: Some(Order::Descending),
                top: 1,
                skip: 0,
                ..ask
            },
            Asking::Alive { .. } => Ask {
                from: self.end,
                to: self.end.next_second(),
                order: None,
                top: 1,
                skip: 0,
                facets: Vec::new(),
                patient: true,
            },
        })
    }

    fn top(&self, span: &Span, habits: &Habits) -> u32 {
        let fitting = match habits.object_bytes {
            None => FIRST_PAGE,
            Some(bytes) => u32::try_from(PAGE_BYTES / bytes.max(1)).unwrap_or(u32::MAX),
        };
        let single = matches!(span.state, State::Single { .. }).then_some(1);
        [habits.top, span.cap, single]
            .into_iter()
            .flatten()
            .fold(fitting.min(self.limits.top), u32::min)
            .max(1)
    }

    /// Takes an answer to the last [`Walk::ask`].
    pub fn took(&mut self, listing: &Listing, habits: &mut Habits) {
        match std::mem::replace(&mut self.asking, Asking::Page) {
            Asking::Page => {}
            Asking::Alive { why } => return self.close_in(why, habits),
            Asking::Order { instants } => return self.judge_order(&instants, listing, habits),
        }
        let Some(mut span) = self.spans.pop() else {
            return;
        };
        let top = self.top(&span, habits);
        habits.largest_page = habits.largest_page.max(listing.count);
        let is_last = !listing.more && listing.count < top.min(habits.largest_page);

        if let Some(newest_known) = self.idle.take()
            && self.nothing_new(newest_known, &span, listing, top, is_last, habits)
        {
            return;
        }
        if listing.count == 0 {
            if listing.more {
                tracing::warn!(
                    "an empty page that promises more, for last updates from {} to {}: taken for the end",
                    span.from,
                    span.to
                );
            }
            return self.spans.extend(span.once_more());
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
        let ascending = listing.sights.is_sorted_by_key(|(updated, _)| *updated);
        if wants_order(habits) && !ascending {
            habits.order = Ordering::Ignored;
        }
        if wants_order(habits) {
            self.go_on_in_order(span, listing, top, is_last, habits);
        } else {
            self.go_on_by_splitting(span, listing, top, is_last);
        }
    }

    /// The first page of a poll held nothing but what is known, up to the newest
    /// instant known: then the poll may end after this one call.
    fn nothing_new(
        &mut self,
        newest_known: Instant,
        span: &Span,
        listing: &Listing,
        top: u32,
        is_last: bool,
        habits: &mut Habits,
    ) -> bool {
        let reached = listing
            .sights
            .iter()
            .any(|(updated, _)| *updated >= newest_known);
        let looked_behind = span.from > newest_known;
        // In another order a cut page may lack any object, not just the newest.
        let disordered = matches!(habits.order, Ordering::Ignored | Ordering::Refused);
        let may_go_on = listing.more
            || listing.count >= top
            || !reached
            || looked_behind
            || (disordered && !is_last);
        if !listing.all_known || may_go_on {
            return false;
        }
        // A page shorter than one served before was not cut. One that is not may
        // have been, by a silent cap just behind the newest known object: then
        // the next poll looks there first.
        habits.doubt = !is_last;
        true
    }

    fn go_on_in_order(
        &mut self,
        mut span: Span,
        listing: &Listing,
        top: u32,
        is_last: bool,
        habits: &Habits,
    ) {
        let keys = || listing.sights.iter().map(|(_, key)| *key).collect();
        match (listing.sights.first(), listing.sights.last()) {
            (Some((first, _)), Some((last, _))) if *last > span.from => {
                let new_tie = |(updated, key): &(Instant, Key)| {
                    *updated <= span.from && !span.met.contains(key)
                };
                span.unsure |= span.skip > 0 && listing.sights.iter().any(new_tie);
                if let Some(again) = span.once_more() {
                    return self.spans.push(again);
                }
                if habits.order == Ordering::Honoured {
                    span.from = *last;
                    span.skip = 0;
                    span.met = keys();
                    self.spans.push(span);
                } else if is_last {
                    // Whatever the order, this was all.
                } else if first < last {
                    // Ascending by luck or by order? The newest object tells.
                    let instants = listing.sights.iter().map(|(updated, _)| *updated).collect();
                    span.met = keys();
                    self.spans.push(span);
                    self.asking = Asking::Order { instants };
                } else {
                    // One instant proves no order: look on both sides of it.
                    let mut right = span.with(*last, span.to);
                    right.met = keys();
                    let left = span.with(span.from, *last);
                    self.spans.extend([right, left]);
                }
            }
            _ => self.page_through(span, listing, top, is_last),
        }
    }

    fn judge_order(&mut self, instants: &[Instant], newest: &Listing, habits: &mut Habits) {
        let Some(mut span) = self.spans.pop() else {
            return;
        };
        let newest = newest.sights.first().map(|(updated, _)| *updated);
        match (instants.first(), instants.last(), newest) {
            (_, Some(last), Some(newest)) if newest >= *last => {
                habits.order = Ordering::Honoured;
                span.from = *last;
                span.skip = 0;
                self.spans.push(span);
            }
            // Objects may have changed between the two answers: undecided.
            (Some(lowest), _, Some(newest)) if newest > *lowest => {
                self.split(span, instants.to_vec());
            }
            _ => {
                habits.order = Ordering::Ignored;
                self.split(span, instants.to_vec());
            }
        }
    }

    fn go_on_by_splitting(&mut self, span: Span, listing: &Listing, top: u32, is_last: bool) {
        if is_last {
            return;
        }
        if span.skip == 0 && !span.is_one_instant() {
            let inside: Vec<Instant> = listing
                .sights
                .iter()
                .map(|(updated, _)| *updated)
                .filter(|updated| *updated >= span.from && *updated < span.to)
                .collect();
            if !inside.is_empty() {
                return self.split(span, inside);
            }
        }
        self.page_through(span, listing, top, is_last);
    }

    /// Replaces a window by two smaller ones, divided at an instant listed in it.
    fn split(&mut self, span: Span, mut instants: Vec<Instant>) {
        instants.sort_unstable();
        instants.dedup();
        instants.retain(|instant| *instant > span.from && *instant < span.to);
        let middle = match instants.get(instants.len() / 2) {
            Some(middle) => *middle,
            // All at the very beginning: set that instant apart.
            None => span.from.next(),
        };
        self.spans
            .extend([span.with(middle, span.to), span.with(span.from, middle)]);
    }

    /// More objects with one last update than a page holds: here, and only here,
    /// by number.
    fn page_through(&mut self, mut span: Span, listing: &Listing, top: u32, is_last: bool) {
        let keys: Vec<Key> = listing.sights.iter().map(|(_, key)| *key).collect();
        let news = keys.iter().any(|key| !span.met.contains(key));
        let skip_is_ignored = span.skip > 0 && !keys.is_empty() && keys == span.before;
        let uncut = !listing.more && listing.count < top.min(LEAST_CUT);
        if !news && (is_last || (skip_is_ignored && uncut)) {
            return self.spans.extend(span.once_more());
        }
        let next = span
            .skip
            .saturating_add(listing.count)
            .min(self.limits.skip);
        if next == span.skip || skip_is_ignored {
            return self.tell_apart(span);
        }
        span.unsure |= (news && span.skip > 0) || keys.is_empty();
        span.skip = next;
        span.met.extend(keys.iter().copied());
        span.before = keys;
        span.ended = is_last || uncut;
        self.spans.push(span);
    }

    /// Divides what time and number cannot by the next field that can.
    fn tell_apart(&mut self, span: Span) {
        let edge = span.from.next_second().min(span.to);
        if edge < span.to {
            self.spans.push(span.with(edge, span.to));
        }
        let Some((field, values)) = self.limits.facets.get(span.facets.len()) else {
            let why = "more objects carry this one last update than the API lets anyone list";
            return self.give_up(&span, edge, why.into());
        };
        let shares = values
            .iter()
            .map(|value| Facet::Is(field, value))
            .chain([Facet::IsNone(field, values)]);
        for share in shares {
            let mut part = span.with(span.from, edge);
            part.facets.push(share);
            self.spans.push(part);
        }
    }

    /// Takes a failure of the last [`Walk::ask`]. An error means that the poll
    /// itself cannot go on.
    pub fn missed(
        &mut self,
        verdict: Verdict,
        why: String,
        habits: &mut Habits,
    ) -> Result<(), Hopeless> {
        let asking = std::mem::replace(&mut self.asking, Asking::Page);
        match (verdict, asking) {
            (Verdict::Stop, _) | (Verdict::Unservable, Asking::Alive { .. }) => Err(Hopeless),
            (Verdict::Refused(_), Asking::Alive { why }) => {
                self.close_in(why, habits);
                Ok(())
            }
            (verdict, Asking::Order { instants }) => {
                // Undecided; splitting is right in any order.
                if verdict != Verdict::Unservable {
                    habits.order = Ordering::Ignored;
                }
                if let Some(span) = self.spans.pop() {
                    self.split(span, instants);
                }
                Ok(())
            }
            (Verdict::Refused(refusal), Asking::Page) => self.refused(refusal, habits),
            (Verdict::Unservable, Asking::Page) => {
                self.idle = None;
                self.unserved(why, habits);
                if self.is_hopeless() {
                    Err(Hopeless)
                } else {
                    Ok(())
                }
            }
        }
    }

    fn refused(&mut self, refusal: Refusal, habits: &mut Habits) -> Result<(), Hopeless> {
        let Some(span) = self.spans.last() else {
            return Err(Hopeless);
        };
        let (top, skip, faceted) = (self.top(span, habits), span.skip, !span.facets.is_empty());
        let unproven = habits.order == Ordering::Unknown;
        match refusal {
            // Where no reason is named, suspect first what never worked before.
            Refusal::Unnamed if (skip > 0 || faceted) && top > habits.largest_page => {
                habits.top = Some((top / 2).max(1));
            }
            Refusal::Skip | Refusal::Unnamed if skip > 0 => {
                if let Some(span) = self.spans.pop().filter(|span| !span.ended) {
                    self.tell_apart(span);
                }
            }
            Refusal::Unnamed if faceted => {
                if let Some(span) = self.spans.pop() {
                    let why = "the service refuses to tell apart what carries one last update";
                    self.give_up(&span, span.to, why.into());
                }
            }
            Refusal::Order if wants_order(habits) => habits.order = Ordering::Refused,
            Refusal::Unnamed if unproven && !self.order_suspected => {
                self.order_suspected = true;
                habits.order = Ordering::Refused;
            }
            Refusal::Top(_) | Refusal::Unnamed if top > 1 => {
                if self.order_suspected && habits.order == Ordering::Refused {
                    // Leaving the order out did not help: it was not the order alone.
                    habits.order = Ordering::Unknown;
                    self.order_suspected = false;
                }
                let named = match refusal {
                    Refusal::Top(named) => named,
                    _ => None,
                };
                habits.top = Some(
                    named
                        .filter(|most| *most < top && *most > 0)
                        .unwrap_or(top / 2),
                );
            }
            _ => return Err(Hopeless),
        }
        Ok(())
    }

    fn unserved(&mut self, why: String, habits: &Habits) {
        match self.spans.last().map(|span| span.state) {
            None => {}
            Some(State::Open | State::Single { misses: 0 }) => self.asking = Asking::Alive { why },
            Some(State::OldGap) => {
                if let Some(span) = self.spans.pop() {
                    self.still_open.push(span.from);
                }
            }
            Some(_) => self.close_in(why, habits),
        }
    }

    /// The service is up but the window on top will not come: ask for less of it.
    fn close_in(&mut self, why: String, habits: &Habits) {
        let Some(mut span) = self.spans.pop() else {
            return;
        };
        let top = self.top(&span, habits);
        match span.state {
            State::Single { misses } => {
                if misses == 0 {
                    self.give_up(&span, span.to, why);
                }
                span.skip += 1;
                if misses + 1 < MOST_MISSES {
                    span.state = State::Single { misses: misses + 1 };
                    self.spans.push(span);
                }
            }
            // In order, a shorter page ends before the object at fault.
            State::Open | State::Troubled | State::Suspect
                if top > 1 && habits.order == Ordering::Honoured =>
            {
                if span.state == State::Open {
                    span.state = State::Troubled;
                }
                span.ahead = top;
                span.cap = Some(top / 2);
                self.spans.push(span);
            }
            // It may have been a passing fault: once more.
            State::Open if habits.order != Ordering::Honoured => {
                self.spans.push(Span {
                    state: State::Troubled,
                    ..span
                });
            }
            State::Suspect => {
                // So the fault is in this half; nothing is known of the other.
                self.reopen_other_half();
                self.spans.push(Span {
                    state: State::Bad,
                    ..span
                });
            }
            _ => self.spans.push(Span {
                state: State::Bad,
                ..span
            }),
        }
    }

    /// The half on top is a window like any other again, and one with the
    /// window after it if that one was not begun.
    fn reopen_other_half(&mut self) {
        let Some(mut other) = self.spans.pop_if(|other| other.state == State::Bad) else {
            return;
        };
        other = other.with(other.from, other.to);
        let follows = |next: &mut Span| {
            let untouched = next.state == State::Open && next.skip == 0 && next.met.is_empty();
            untouched && next.from == other.to && next.facets == other.facets
        };
        if let Some(next) = self.spans.pop_if(follows) {
            other.to = next.to;
        }
        self.spans.push(other);
    }

    /// A window known to fail is looked at by halves, the first half first.
    fn open_top(&mut self) {
        while let Some(span) = self.spans.pop_if(|span| span.state == State::Bad) {
            if span.from.plus(NARROW) >= span.to {
                let single = span.with(span.from, span.to);
                self.spans.push(Span {
                    state: State::Single { misses: 0 },
                    ..single
                });
            } else {
                let middle = span.from.midpoint(span.to);
                let half = |from, to, state| Span {
                    state,
                    cap: span.cap,
                    ahead: span.cap.unwrap_or(0),
                    ..span.with(from, to)
                };
                let bad = half(middle, span.to, State::Bad);
                let first = half(span.from, middle, State::Suspect);
                self.spans.extend([bad, first]);
            }
        }
    }

    fn give_up(&mut self, span: &Span, to: Instant, why: String) {
        if span.state == State::OldGap {
            return self.still_open.push(span.from);
        }
        // Shares of one instant fail one by one; what is missing is one window.
        if !self.given_up.insert((span.from, to)) {
            return;
        }
        self.gaps.push(Gap {
            from: span.from,
            to,
            why,
            found: self.now,
            tries: 0,
            next_try: self.now,
        });
    }
}

/// The poll cannot go on; the error at hand is the reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hopeless;

fn wants_order(habits: &Habits) -> bool {
    matches!(habits.order, Ordering::Unknown | Ordering::Honoured)
}
