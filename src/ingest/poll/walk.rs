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

use crate::ingest::poll::checkpoint::{Gap, Habits, Ordering};
use crate::ingest::poll::seen::Key;
use crate::ingest::{ErrorClass, Instant, Limits, ListQuery, Order, Refusal, TieBreaker};
use std::collections::{HashMap, HashSet};
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

/// Pages in a row with nothing new that end a pass by number.
const STALE: u32 = 2;

/// `$skip` counts as ignored once the same short page has come this often.
const ALIKE: u32 = 3;

/// Passes by number over a list that comes in another order each time.
const MOST_SHUFFLES: u32 = 40;

/// No service cuts a page to fewer objects than this. It matters only where a
/// service does not let the walk ask what lies behind a page.
const LEAST_CUT: u32 = 5;

/// A page with this many different instants is in order by luck once in 40 000
/// pages; fewer instants do not prove that the service keeps the order.
const ORDERLY: usize = 8;

/// How much earlier the walk asks a service that compares other instants than it prints.
const EARLIER: Duration = Duration::from_secs(1);

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
    /// Objects newer than all known ones, and a part of the known ones: some windows
    /// are counted, some are listed by the page.
    Burst {
        newest: Instant,
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
    /// Asked for last, if the poll brings anything new.
    rest: Vec<Span>,
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

#[derive(Debug, Clone, Default)]
struct Span {
    from: Instant,
    to: Instant,
    /// Up to here all is listed; later than `from` where the service is asked from earlier.
    cursor: Instant,
    skip: u32,
    tie_breakers: Vec<TieBreaker>,
    /// Objects listed since the window last moved.
    already_listed: HashSet<Key>,
    /// Objects listed at the very beginning of the window: they have to come back.
    edge: Vec<Key>,
    /// The edge did not come back, so the window begins earlier.
    earlier: bool,
    /// The page before looked like the last one; this asks for what lies behind it.
    behind: Option<Behind>,
    /// The page before: the same page twice means that `$skip` is ignored.
    before: Vec<Key>,
    /// Paged through by number, and what was listed since its first object.
    by_number: bool,
    listed_by_number: HashMap<Key, Instant>,
    /// The highest number behind which anything was listed, in any pass.
    reached: u32,
    /// How many objects the page before held, if more were asked for: that page was
    /// cut if this one brings anything new.
    shorter: Option<u32>,
    /// The page before looked like the last one. Where the service does not let the
    /// walk look behind it, that is all the proof there is.
    ended: bool,
    /// Paging by number brought something new. An object that changes meanwhile moves
    /// the others up, past the number; so the walk pages again until nothing is new.
    unsure: bool,
    passes: u32,
    /// Pages in a row that brought nothing new.
    stale: u32,
    /// Pages in a row that were the same.
    same: u32,
    /// How many objects the whole window listed, of which this is a half. The whole
    /// looked complete; it was, if its halves list fewer objects and nothing new.
    half: Option<u32>,
    state: State,
    /// At most this many objects a page, while a failure lies within `ahead` objects.
    cap: Option<u32>,
    ahead: u32,
}

/// A page that looked like the last one.
#[derive(Debug, Clone)]
struct Behind {
    last: Instant,
    listed: Vec<(Instant, Key)>,
    count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Open,
    /// Does it hold more objects than are known of it?
    Number { known: u32 },
    /// Does a page of it bring anything unknown, and everything known?
    Look { known: u32 },
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
            cursor: from,
            ..Self::default()
        }
    }

    fn with(&self, from: Instant, to: Instant) -> Self {
        let state = match self.state {
            State::OldGap => State::OldGap,
            _ => State::Open,
        };
        Self {
            tie_breakers: self.tie_breakers.clone(),
            state,
            ..Self::new(from, to)
        }
    }

    /// The same window again from its first object, if paging by number left doubt.
    fn once_more(&self) -> Option<Self> {
        let again = self.unsure && self.passes < MOST_PASSES;
        again.then(|| self.begin_again())
    }

    fn begin_again(&self) -> Self {
        Self {
            skip: 0,
            before: Vec::new(),
            listed_by_number: HashMap::new(),
            behind: None,
            unsure: false,
            ended: false,
            stale: 0,
            same: 0,
            passes: self.passes + 1,
            ..self.clone()
        }
    }

    /// Goes on from the last instant listed.
    fn go_on(&mut self, last: Instant, listed: &[(Instant, Key)], most_skip: u32, habits: &Habits) {
        self.cursor = last;
        self.already_listed = listed.iter().map(|(_, key)| *key).collect();
        self.edge = at(last, listed);
        self.behind = None;
        self.ended = false;
        self.unsure = false;
        let from = match habits.asks_earlier {
            true => earlier(last).max(self.from),
            false => with_all_digits(last).max(self.from),
        };
        let count = u32::try_from(self.listed_by_number.len()).unwrap_or(u32::MAX);
        if from == self.from && count <= most_skip {
            // By time the question would be the same, so the walk goes on by number.
            self.edge = Vec::new();
            self.already_listed = self.listed_by_number.keys().copied().collect();
            self.skip = count;
            self.by_number = true;
            return;
        }
        self.earlier = from < with_all_digits(last);
        self.from = if from == self.from { last } else { from };
        self.skip = 0;
        self.passes = 0;
        self.before = Vec::new();
        self.by_number = false;
        self.listed_by_number = HashMap::new();
        self.reached = 0;
        self.stale = 0;
        self.same = 0;
    }

    /// No instant lies inside: it cannot be halved.
    fn is_one_instant(&self) -> bool {
        self.from.next() >= self.to
    }

    /// Whether it re-reads what earlier polls delivered.
    fn looks_back(&self) -> bool {
        matches!(
            self.state,
            State::OldGap | State::Look { .. } | State::Number { .. }
        )
    }
}

/// A second earlier, without a fraction: then texts of instants compare like instants.
pub(in crate::ingest) fn earlier(instant: Instant) -> Instant {
    instant.minus(EARLIER).second()
}

/// The instant, or one tick earlier where its text would be shorter: a service that compares
/// texts holds `…003Z` to come after `…0031Z`, and lists nothing between.
pub(in crate::ingest) fn with_all_digits(instant: Instant) -> Instant {
    match instant.ticks() % 10 {
        0 => Instant::from_ticks(instant.ticks().saturating_sub(1)),
        _ => instant,
    }
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
                newest,
                known,
                numbers,
                pages,
                counted,
            } => {
                counted_before = counted;
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
                spans.extend(around(gaps, newest, end, State::Open));
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
        self.spans
            .iter()
            .filter(|span| !span.looks_back())
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

    /// Whether so many windows were given up that the poll should end.
    pub fn is_hopeless(&self) -> bool {
        self.given_up.len() > MOST_GAPS
    }

    /// Whether something listed by this poll had to be given up.
    pub fn gives_up(&self) -> bool {
        !self.given_up.is_empty()
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
    pub fn ask(&mut self, habits: &mut Habits) -> Option<ListQuery> {
        loop {
            self.open_top();
            if self.spans.is_empty() && self.news {
                self.spans = std::mem::take(&mut self.rest);
            }
            let query = self.question(habits)?;
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

    fn question(&mut self, habits: &mut Habits) -> Option<ListQuery> {
        let span = self.spans.last()?;
        let query = ListQuery {
            from: span.from,
            to: span.to,
            order: wants_order(habits).then_some(Order::Ascending),
            top: self.top(span, habits),
            skip: span.skip,
            tie_breakers: span.tie_breakers.clone(),
            count: false,
            patient: matches!(
                span.state,
                State::Open | State::Number { .. } | State::Look { .. }
            ),
        };
        if let (Asking::Page, State::Number { known }) = (&self.asking, span.state) {
            return Some(match self.counts(known, habits) {
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

    /// Whether so many objects are told by `$count`, and not by what lies behind them.
    fn counts(&self, known: u32, habits: &Habits) -> bool {
        self.limits.counts && habits.counts && !self.may_skip(known, habits)
    }

    fn may_skip(&self, number: u32, habits: &Habits) -> bool {
        number <= most_skip(&self.limits, habits)
    }

    fn top(&self, span: &Span, habits: &Habits) -> u32 {
        let single = matches!(span.state, State::Single { .. }).then_some(1);
        [span.cap, single]
            .into_iter()
            .flatten()
            .fold(page_length(&self.limits, habits), u32::min)
            .max(1)
    }

    /// Takes an answer to the last [`Walk::ask`].
    pub fn on_page(&mut self, listing: &Listing, habits: &mut Habits) {
        self.failed = false;
        let top = self.asked.as_ref().map_or(1, |asked| asked.top);
        if let Some(asked) = &self.asked {
            // A service whose `lt` lists later instants leaves them out with `ge`.
            let later = asked.to.plus(EARLIER);
            let beyond = |(updated, _): &(Instant, Key)| *updated > asked.to && *updated <= later;
            if listing.listed.iter().any(beyond) {
                compares_otherwise(asked.to, habits);
            }
        }
        match std::mem::replace(&mut self.asking, Asking::Page) {
            Asking::Page => {}
            Asking::Alive { why } => return self.close_in(why, habits),
            Asking::Order { listed } => return self.judge_order(listed, listing, habits),
            Asking::Before { last, listed, .. } => {
                return self.judge_before(last, listed, listing, habits);
            }
        }
        let Some(mut span) = self.spans.pop() else {
            return;
        };
        habits.largest_page = habits.largest_page.max(listing.count);
        self.news |= !listing.all_known;
        if listing.partial && span.state != State::OldGap {
            let begins = span.cursor;
            self.held = Some(self.held.map_or(begins, |held| held.min(begins)));
        }
        match span.state {
            State::Number { known } => return self.judge_number(span, known, listing, habits),
            State::Look { known } => {
                let inside =
                    |(updated, _): &&(Instant, Key)| *updated >= span.from && *updated < span.to;
                let inside = listing.listed.iter().filter(inside).count();
                let whole = u32::try_from(inside).is_ok_and(|inside| inside >= known);
                if listing.all_known && whole && self.looks_last(listing, top, habits) {
                    return;
                }
                span.state = State::Open;
            }
            _ => {}
        }
        if let Some(known) = self.idle.take()
            && nothing_new(known, listing, top, habits)
        {
            habits.doubt = true;
            return;
        }
        if listing.count == 0 {
            return self.nothing_listed(span, listing, habits);
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
            if listing.count < LEAST_CUT && span.same < ALIKE && self.may_skip(span.skip, habits) {
                // Where the order changes, short pages are alike by chance too.
                span.skip = span.skip.saturating_add(listing.count);
                return self.spans.push(span);
            }
            // Numbers passed over make no difference.
            habits.skip = Some(0);
            return self.without_skip(span, listing, top, habits);
        }
        let came_back = listing
            .listed
            .iter()
            .any(|(_, key)| span.edge.contains(key));
        if came_back {
            if span.earlier {
                compares_otherwise(span.cursor, habits);
            }
            span.edge = Vec::new();
        }
        let keys = listing.keys();
        let news = keys.iter().any(|key| !span.already_listed.contains(key));
        if let Some(count) = span.shorter.take()
            && span.skip == 0
            && news
        {
            cut_at(count, habits);
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
        if wants_order(habits) && !ascending {
            habits.order = Ordering::Ignored;
            if span.by_number {
                // In another order, numbers prove nothing.
                return self.spans.push(span.begin_again());
            }
        }
        match habits.order {
            Ordering::Honoured | Ordering::Unknown => {
                self.go_on_in_order(span, listing, top, habits)
            }
            _ => self.go_on_by_splitting(span, listing, top, habits),
        }
    }

    /// An empty answer: nothing lies behind what was listed.
    fn nothing_listed(&mut self, span: Span, listing: &Listing, habits: &mut Habits) {
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
        self.close(span, habits);
    }

    /// A window is drained if the objects at its beginning came back.
    fn close(&mut self, span: Span, habits: &Habits) {
        if span.edge.is_empty() || span.earlier || span.state == State::OldGap {
            return;
        }
        // Either the service compares other instants than it prints, or the objects have
        // changed since. Asking from earlier shows which.
        let (from, to) = (earlier(span.cursor), span.to.min(span.cursor.plus(EARLIER)));
        let whole = wants_order(habits);
        let mut again = span.with(from, if whole { span.to } else { to });
        again.cursor = span.cursor;
        again.edge = span.edge;
        again.earlier = true;
        self.spans.push(again);
    }

    fn looks_last(&self, listing: &Listing, top: u32, habits: &Habits) -> bool {
        let cut = habits.cut_at.is_some_and(|cut| listing.count >= cut);
        !listing.more && listing.count < top && !cut
    }

    /// Asks for what lies behind a page that looks like the last one.
    fn look_behind(&mut self, mut span: Span, listing: &Listing, last: Instant) {
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

    fn go_on_in_order(&mut self, mut span: Span, listing: &Listing, top: u32, habits: &mut Habits) {
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
            cut_at(behind.count, habits);
            if habits.order == Ordering::Honoured {
                span.go_on(
                    behind.last,
                    &behind.listed,
                    most_skip(&self.limits, habits),
                    habits,
                );
                return self.spans.push(span);
            }
            return self.prove_order(span, behind.listed, listing, top, habits);
        }
        // Objects outside the window do not move the walk.
        let inside = listing.listed.iter().map(|(updated, _)| *updated);
        let last = inside.filter(|updated| *updated < span.to).max();
        let Some(last) = last.filter(|last| *last > span.cursor) else {
            return self.page_through(span, listing, top, habits);
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
        if self.looks_last(listing, top, habits) && self.may_skip(number, habits) {
            return self.look_behind(span, listing, last);
        }
        match habits.order {
            Ordering::Honoured => self.on_by_time(span, listing, last, habits),
            _ => self.prove_order(span, listing.listed.clone(), listing, top, habits),
        }
    }

    /// Is the page in order by luck, or because the service keeps the order? The newest
    /// object shows which.
    fn prove_order(
        &mut self,
        mut span: Span,
        mut listed: Vec<(Instant, Key)>,
        listing: &Listing,
        top: u32,
        habits: &mut Habits,
    ) {
        listed.retain(|(updated, _)| *updated < span.to);
        let instants = || listed.iter().map(|(updated, _)| *updated);
        let distinct = instants().min() < instants().max();
        if distinct && instants().is_sorted() {
            span.skip = 0;
            span.before = Vec::new();
            self.spans.push(span);
            self.asking = Asking::Order { listed };
        } else {
            self.divide(span, &listed, listing, top, habits);
        }
    }

    fn on_by_time(&mut self, mut span: Span, listing: &Listing, last: Instant, habits: &Habits) {
        let mut instants: Vec<Instant> = listing.listed.iter().map(|(at, _)| *at).collect();
        instants.dedup();
        if instants.len() >= ORDERLY {
            span.go_on(
                last,
                &listing.listed,
                most_skip(&self.limits, habits),
                habits,
            );
            return self.spans.push(span);
        }
        self.prove_complete(span, last, listing.listed.clone(), habits);
    }

    /// Does nothing but what was listed lie before the last instant?
    fn prove_complete(
        &mut self,
        mut span: Span,
        last: Instant,
        listed: Vec<(Instant, Key)>,
        habits: &Habits,
    ) {
        let before = span
            .listed_by_number
            .values()
            .filter(|updated| **updated < last);
        let count = u32::try_from(before.count()).unwrap_or(u32::MAX);
        if span.from >= last || !self.may_skip(count, habits) {
            span.go_on(last, &listed, most_skip(&self.limits, habits), habits);
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
    fn judge_before(
        &mut self,
        last: Instant,
        listed: Vec<(Instant, Key)>,
        listing: &Listing,
        habits: &mut Habits,
    ) {
        let Some(mut span) = self.spans.pop() else {
            return;
        };
        let stranger = |(updated, key): &(Instant, Key)| {
            *updated < last && !span.listed_by_number.contains_key(key)
        };
        if listing.listed.iter().any(stranger) {
            habits.order = Ordering::Ignored;
            return self.split(span.begin_again(), &listed, habits);
        }
        span.go_on(last, &listed, most_skip(&self.limits, habits), habits);
        self.spans.push(span);
    }

    fn judge_order(&mut self, listed: Vec<(Instant, Key)>, newest: &Listing, habits: &mut Habits) {
        let Some(span) = self.spans.pop() else {
            return;
        };
        let newest = newest.listed.first().map(|(updated, _)| *updated);
        let end = |sight: Option<&(Instant, Key)>| sight.map(|(updated, _)| *updated);
        match (end(listed.first()), end(listed.last()), newest) {
            (_, Some(last), Some(newest)) if newest >= last => {
                habits.order = Ordering::Honoured;
                return self.prove_complete(span, last, listed, habits);
            }
            // Objects may have changed between the two answers: undecided.
            (Some(lowest), _, Some(newest)) if newest > lowest => {}
            _ => habits.order = Ordering::Ignored,
        }
        self.split(span, &listed, habits);
    }

    fn go_on_by_splitting(
        &mut self,
        mut span: Span,
        listing: &Listing,
        top: u32,
        habits: &mut Habits,
    ) {
        if let Some(behind) = span.behind.take() {
            cut_at(behind.count, habits);
            let listed = [behind.listed, listing.listed.clone()].concat();
            return self.divide(span, &listed, listing, top, habits);
        }
        let number = span.skip.saturating_add(listing.count);
        if span.skip == 0 && self.looks_last(listing, top, habits) {
            if self.may_skip(number, habits) {
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
                return self.close(span, habits);
            }
            // The walk may not look behind the page: its halves list the same, or more.
            span.half = Some(listing.count);
            span.already_listed.extend(listing.keys());
        } else {
            span.half = None;
        }
        self.divide(span, &listing.listed, listing, top, habits);
    }

    fn divide(
        &mut self,
        mut span: Span,
        listed: &[(Instant, Key)],
        listing: &Listing,
        top: u32,
        habits: &mut Habits,
    ) {
        let inside = |(updated, _): &(Instant, Key)| *updated >= span.from && *updated < span.to;
        let apart = !span.by_number && listed.iter().any(inside);
        if !apart || self.middle(&span, listed, habits).is_none() {
            return self.page_through(span, listing, top, habits);
        }
        span.skip = 0;
        self.split(span, listed, habits);
    }

    /// An instant at which a window falls into two smaller ones.
    fn middle(&self, span: &Span, listed: &[(Instant, Key)], habits: &Habits) -> Option<Instant> {
        let mut inside: Vec<Instant> = listed.iter().map(|(updated, _)| *updated).collect();
        inside.sort_unstable();
        inside.dedup();
        inside.retain(|instant| *instant > span.from && *instant < span.to);
        let middle = match inside.get(inside.len() / 2) {
            Some(middle) => *middle,
            // All objects lie at the very beginning: that instant becomes a window of its own.
            None => span.from.next(),
        };
        let begins = match habits.asks_earlier {
            true => earlier(middle),
            false => middle,
        };
        (begins > span.from && middle < span.to).then_some(middle)
    }

    /// Replaces a window by two smaller ones, divided at an instant listed in it.
    fn split(&mut self, span: Span, listed: &[(Instant, Key)], habits: &Habits) {
        let Some(middle) = self.middle(&span, listed, habits) else {
            let mut span = span;
            let count = u32::try_from(span.listed_by_number.len()).unwrap_or(u32::MAX);
            if !self.may_skip(count.max(1), habits) {
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
        if habits.asks_earlier {
            right.from = earlier(middle);
            right.earlier = true;
        }
        let mut left = half(span.with(span.from, middle));
        left.cursor = span.cursor.min(middle);
        left.edge.clone_from(&span.edge);
        left.earlier = span.earlier;
        self.spans.extend([right, left]);
    }

    /// More objects with one last update than a page holds: here, and only here,
    /// by number.
    fn page_through(&mut self, mut span: Span, listing: &Listing, top: u32, habits: &mut Habits) {
        let keys = listing.keys();
        let news = keys.iter().any(|key| !span.already_listed.contains(key));
        span.behind = None;
        let next = span.skip.saturating_add(listing.count);
        if !self.may_skip(next, habits) {
            return match habits.skip {
                Some(_) => self.without_skip(span, listing, top, habits),
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
            return self.close(span, habits);
        }
        // Unusable elements have no place in time: objects behind them may have moved up.
        span.unsure |= news && (span.skip > 0 || listing.listed.is_empty());
        span.skip = next;
        span.by_number = true;
        span.already_listed.extend(keys.iter().copied());
        span.before = keys;
        span.ended = is_short(listing, top, habits);
        self.spans.push(span);
    }

    /// Goes on where the service does not let the walk look behind a page that looked
    /// like the last one.
    fn without_looking_behind(
        &mut self,
        mut span: Span,
        behind: Behind,
        listing: &Listing,
        top: u32,
        habits: &mut Habits,
    ) {
        span.skip = 0;
        span.before = Vec::new();
        match habits.order {
            Ordering::Honoured => {
                span.go_on(
                    behind.last,
                    &behind.listed,
                    most_skip(&self.limits, habits),
                    habits,
                );
                self.spans.push(span);
            }
            _ if behind.count < LEAST_CUT => self.close(span, habits),
            Ordering::Unknown => self.prove_order(span, behind.listed, listing, top, habits),
            _ => {
                span.half = Some(behind.count);
                self.split(span, &behind.listed, habits);
            }
        }
    }

    /// Goes on where the service does not apply `$skip`, or refuses more of it.
    fn without_skip(&mut self, mut span: Span, listing: &Listing, top: u32, habits: &mut Habits) {
        if let Some(behind) = span.behind.take() {
            return self.without_looking_behind(span, behind, listing, top, habits);
        }
        let inside = |(updated, _): &(Instant, Key)| *updated >= span.from && *updated < span.to;
        let strays = listing.count > 0 && !listing.listed.iter().any(inside);
        if strays && habits.order != Ordering::Honoured {
            // The service lists other windows than it was asked for.
            if !self.looks_last(listing, top, habits) {
                let why = "the service lists other objects than those asked for";
                self.give_up(&span, span.to, why.into());
            }
            return;
        }
        if span.ended || is_short(listing, top, habits) {
            // Where it lists only older objects, it has shown all of this window.
            if !strays {
                self.past_instant(&span, habits);
            }
            return;
        }
        self.tell_apart(span);
    }

    /// All objects of one instant were listed. Where the order is kept, newer objects
    /// stand behind them, and nothing else may be missing.
    fn past_instant(&mut self, span: &Span, habits: &Habits) {
        let next = span.cursor.next();
        if habits.order == Ordering::Honoured && next < span.to && !span.is_one_instant() {
            self.spans.push(span.with(next, span.to));
        }
    }

    /// Divides a window that neither time nor number divides by the next tie-breaker.
    fn tell_apart(&mut self, span: Span) {
        let edge = span.cursor.next_second().min(span.to);
        if edge < span.to {
            self.spans.push(span.with(edge, span.to));
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

    /// Whether a window holds more than is known of it, or more than it held when it was
    /// counted last: a service that rounds counts some of its last objects elsewhere.
    fn counts_more(&mut self, span: &Span, total: u64, known: u32) -> bool {
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
    fn judge_number(&mut self, mut span: Span, known: u32, listing: &Listing, habits: &mut Habits) {
        let more = match self.asked.as_ref().is_some_and(|asked| asked.count) {
            true => match listing.total {
                Some(total) => self.counts_more(&span, total, known),
                None => {
                    habits.counts = false;
                    if self.may_skip(known, habits) {
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
            Some(middle) if known > page_length(&self.limits, habits) => {
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

    /// Takes a failure of the last [`Walk::ask`]. An error means that the poll
    /// itself cannot go on.
    pub fn on_error(
        &mut self,
        class: ErrorClass,
        why: String,
        habits: &mut Habits,
    ) -> Result<(), Hopeless> {
        self.failed = true;
        let asking = std::mem::replace(&mut self.asking, Asking::Page);
        match (class, asking) {
            (ErrorClass::Stop, _) | (ErrorClass::Unservable, Asking::Alive { .. }) => Err(Hopeless),
            (ErrorClass::Refused(_), Asking::Alive { why }) => {
                self.close_in(why, habits);
                Ok(())
            }
            (class, Asking::Order { listed }) => {
                // Undecided; splitting is right in any order.
                if class != ErrorClass::Unservable {
                    habits.order = Ordering::Ignored;
                }
                if let Some(span) = self.spans.pop() {
                    self.split(span, &listed, habits);
                }
                Ok(())
            }
            (_, Asking::Before { listed, .. }) => {
                if let Some(span) = self.spans.pop() {
                    self.split(span, &listed, habits);
                }
                Ok(())
            }
            (ErrorClass::Refused(refusal), Asking::Page) => self.refused(refusal, habits),
            (ErrorClass::Unservable, Asking::Page) => {
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
        if let State::Number { known } = span.state {
            // This was only a look: it is put off, and later numbers are asked for otherwise.
            match self.counts(known, habits) {
                true => habits.counts = false,
                false => habits.skip = Some(known.saturating_sub(1)),
            }
            let span = self.spans.pop();
            self.spans
                .extend(span.filter(|span| span.to >= self.end).map(|span| Span {
                    state: State::Open,
                    ..span
                }));
            return Ok(());
        }
        let (top, skip, divided) = (
            self.top(span, habits),
            span.skip,
            !span.tie_breakers.is_empty(),
        );
        let unproven = habits.order == Ordering::Unknown;
        match refusal {
            // Where no reason is named, suspect first what never worked before.
            Refusal::Unnamed if (skip > 0 || divided) && top > habits.largest_page => {
                habits.top = Some((top / 2).max(1));
            }
            Refusal::Skip | Refusal::Unnamed if skip > 0 => {
                let most = habits.skip.unwrap_or(u32::MAX);
                // The cap is lower than documented, or no object may be passed over at all.
                habits.skip = Some(most.min(if skip > 64 { skip / 4 } else { 0 }));
                if let Some(span) = self.spans.pop() {
                    self.beyond_skip(span, habits);
                }
            }
            Refusal::Unnamed if divided => {
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

    /// The service refuses to list what lies behind this many objects.
    fn beyond_skip(&mut self, mut span: Span, habits: &mut Habits) {
        match span.behind.take() {
            Some(behind) => {
                // A refusal lists nothing.
                let nothing = Listing::default();
                self.without_looking_behind(span, behind, &nothing, 1, habits);
            }
            None if span.ended => self.past_instant(&span, habits),
            None => self.tell_apart(span),
        }
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
            // A look at what is known can wait; what may be new cannot.
            Some(State::Look { .. } | State::Number { .. }) => {
                let span = self.spans.pop();
                self.spans
                    .extend(span.filter(|span| span.to >= self.end).map(|span| Span {
                        state: State::Open,
                        ..span
                    }));
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
        span.behind = None;
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
            // The failure may have been passing, so the window is asked for once more.
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
            let untouched =
                next.state == State::Open && next.skip == 0 && next.already_listed.is_empty();
            untouched && next.from == other.to && next.tie_breakers == other.tie_breakers
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
pub(in crate::ingest) struct Hopeless;

fn wants_order(habits: &Habits) -> bool {
    matches!(habits.order, Ordering::Unknown | Ordering::Honoured)
}

/// Objects a page is asked for.
fn page_length(limits: &Limits, habits: &Habits) -> u32 {
    let fitting = match habits.object_bytes {
        None => FIRST_PAGE,
        Some(bytes) => u32::try_from(PAGE_BYTES / bytes.max(1)).unwrap_or(u32::MAX),
    };
    let most = habits.top.unwrap_or(u32::MAX);
    fitting.min(limits.top).min(most).max(1)
}

/// Objects a page is likely to hold.
pub(in crate::ingest) fn page_holds(limits: &Limits, habits: &Habits) -> u32 {
    page_length(limits, habits).min(habits.cut_at.unwrap_or(u32::MAX))
}

/// Most objects that may be passed over.
pub(in crate::ingest) fn most_skip(limits: &Limits, habits: &Habits) -> u32 {
    limits.skip.min(habits.skip.unwrap_or(u32::MAX))
}

/// Whether a page is so much shorter than others that it was not cut: only where nobody
/// may look behind it.
fn is_short(listing: &Listing, top: u32, habits: &Habits) -> bool {
    let cut = habits.cut_at.unwrap_or(u32::MAX).min(habits.largest_page);
    let doubled = |count: u32| count.saturating_add(count);
    let short = doubled(listing.count).saturating_add(listing.count) < doubled(cut);
    !listing.more && listing.count < top && (listing.count < LEAST_CUT || short)
}

/// Remembers that pages are cut at this many objects.
fn cut_at(count: u32, habits: &mut Habits) {
    habits.cut_at = Some(habits.cut_at.map_or(count, |cut| cut.min(count)));
}

/// Remembers that the service compares other instants than it prints.
fn compares_otherwise(at: Instant, habits: &mut Habits) {
    if !habits.asks_earlier {
        habits.asks_earlier = true;
        tracing::warn!(
            "asked for objects last updated from or before {at}, the service lists others than \
             those: it compares otherwise than it prints. From now on it is asked from one second \
             earlier"
        );
    }
}

/// Whether a page held all known objects and no other: then the poll may end after
/// this one call. The page may have been cut right there, so the next poll looks
/// behind it.
fn nothing_new(known: Known, listing: &Listing, top: u32, habits: &Habits) -> bool {
    if !listing.all_known || listing.partial || listing.more || listing.count >= top {
        return false;
    }
    let instants = listing.listed.iter().map(|(updated, _)| *updated);
    let inside = instants.filter(|updated| *updated >= known.from);
    match habits.order {
        Ordering::Honoured => inside.max() >= Some(known.newest),
        // In another order a cut page may lack any object, not just the newest.
        _ => u32::try_from(inside.count()).is_ok_and(|count| count >= known.count),
    }
}

/// The parts of a window between gaps, the latest first.
fn around(gaps: &[Gap], from: Instant, end: Instant, state: State) -> Vec<Span> {
    let mut gaps: Vec<&Gap> = gaps.iter().collect();
    gaps.sort_by_key(|gap| gap.from);
    let (mut between, mut next) = (Vec::new(), from);
    let part = |from, to| Span {
        state,
        ..Span::new(from, to)
    };
    for gap in gaps
        .into_iter()
        .filter(|gap| gap.to > from && gap.from < end)
    {
        if next < gap.from {
            between.push(part(next, gap.from));
        }
        next = next.max(gap.to);
    }
    if next < end {
        between.push(part(next, end));
    }
    between.reverse();
    between
}

fn lower_bound(known: &[Instant], instant: Instant) -> usize {
    known.partition_point(|updated| *updated < instant)
}

fn count_in(known: &[Instant], from: Instant, to: Instant) -> u32 {
    let count = lower_bound(known, to).saturating_sub(lower_bound(known, from));
    u32::try_from(count).unwrap_or(u32::MAX)
}
