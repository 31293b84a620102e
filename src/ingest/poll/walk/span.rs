//! A window of time, and how far it is listed.

use super::{MOST_PASSES, at};
use crate::ingest::poll::checkpoint::{Gap, ServiceBehaviour};
use crate::ingest::poll::seen::Key;
use crate::ingest::{Instant, TieBreaker};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How much earlier the walk asks a service that compares other instants than it prints.
pub(in crate::ingest) const EARLIER: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Default)]
pub(super) struct Span {
    pub from: Instant,
    pub to: Instant,
    /// Up to here all is listed; later than `from` where the service is asked from earlier.
    pub cursor: Instant,
    pub skip: u32,
    pub tie_breakers: Vec<TieBreaker>,
    /// Objects listed since the window last moved.
    pub already_listed: HashSet<Key>,
    /// Objects listed at the very beginning of the window: they have to come back.
    pub edge: Vec<Key>,
    /// The edge did not come back, so the window begins earlier.
    pub earlier: bool,
    /// The page before looked like the last one; this asks for what lies behind it.
    pub behind: Option<Behind>,
    /// The page before: the same page twice means that `$skip` is ignored.
    pub before: Vec<Key>,
    /// Paged through by number, and what was listed since its first object.
    pub by_number: bool,
    pub listed_by_number: HashMap<Key, Instant>,
    /// The highest number behind which anything was listed, in any pass.
    pub reached: u32,
    /// How many objects the page before held, if more were asked for: that page was
    /// cut if this one brings anything new.
    pub shorter: Option<u32>,
    /// The page before looked like the last one. Where the service does not let the
    /// walk look behind it, that is all the proof there is.
    pub ended: bool,
    /// Paging by number brought something new. An object that changes meanwhile moves
    /// the others up, past the number; so the walk pages again until nothing is new.
    pub unsure: bool,
    pub passes: u32,
    /// Pages in a row that brought nothing new.
    pub stale: u32,
    /// Pages in a row that were the same.
    pub same: u32,
    /// How many objects the whole window listed, of which this is a half. The whole
    /// looked complete; it was, if its halves list fewer objects and nothing new.
    pub half: Option<u32>,
    pub state: State,
    /// At most this many objects a page, while a failure lies within `ahead` objects.
    pub cap: Option<u32>,
    pub ahead: u32,
}

/// A page that looked like the last one.
#[derive(Debug, Clone)]
pub(super) struct Behind {
    pub last: Instant,
    pub listed: Vec<(Instant, Key)>,
    pub count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
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
    pub(super) fn new(from: Instant, to: Instant) -> Self {
        Self {
            from,
            to,
            cursor: from,
            ..Self::default()
        }
    }

    pub(super) fn with(&self, from: Instant, to: Instant) -> Self {
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
    pub(super) fn once_more(&self) -> Option<Self> {
        let again = self.unsure && self.passes < MOST_PASSES;
        again.then(|| self.begin_again())
    }

    pub(super) fn begin_again(&self) -> Self {
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
    pub(super) fn go_on(
        &mut self,
        last: Instant,
        listed: &[(Instant, Key)],
        most_skip: u32,
        behaviour: &ServiceBehaviour,
    ) {
        self.cursor = last;
        self.already_listed = listed.iter().map(|(_, key)| *key).collect();
        self.edge = at(last, listed);
        self.behind = None;
        self.ended = false;
        self.unsure = false;
        let from = match behaviour.asks_earlier {
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
        // Where neither time nor number goes on, the edge tells whether anything is missed.
        self.from = if from == self.from { last } else { from };
        self.earlier = self.from < with_all_digits(last);
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
    pub(super) fn is_one_instant(&self) -> bool {
        self.from.next() >= self.to
    }
}

/// A second earlier, without a fraction: then texts of instants compare like instants.
pub(in crate::ingest) fn earlier(instant: Instant) -> Instant {
    instant.minus(EARLIER).second()
}

/// The instant, or one tick earlier where its text would be shorter: a service that compares
/// texts holds `…003Z` to come after `…0031Z`, and lists nothing between.
pub(super) fn with_all_digits(instant: Instant) -> Instant {
    match instant.ticks() % 10 {
        0 => Instant::from_ticks(instant.ticks().saturating_sub(1)),
        _ => instant,
    }
}

/// The parts of a window between gaps, the latest first.
pub(super) fn around(gaps: &[Gap], from: Instant, end: Instant, state: State) -> Vec<Span> {
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
