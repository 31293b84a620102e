//! The way in: a loss-free walk over what a Defender tenant lists, told in
//! windows of time, so that every revision of every object reaches the sink
//! exactly once as far as a pipe allows.
//!
//! This room is pure. It must never know a socket, a file, a clock, Splunk or
//! Microsoft's URLs: pages come through [`Source`], events leave through
//! [`Sink`], its memory is kept by a [`Store`], and the time is passed in.

mod batch;
mod instant;
mod poll;

pub use batch::{Kind, Object, Page, Poison, Raw};
pub use instant::{Instant, InstantError};
pub use poll::checkpoint::{Checkpoint, CheckpointError};
pub use poll::{Bounds, Poll, PullError, Tally, pull};

use std::future::Future;
use std::io;

/// One question to the tenant: the objects last updated in `[from, to)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// First instant asked for (inclusive).
    pub from: Instant,
    /// End of the window (exclusive).
    pub to: Instant,
    /// The order asked for; `None` sends no order at all.
    pub order: Option<Order>,
    /// Most objects the answer may hold.
    pub top: u32,
    /// Objects to pass over, only for more ties than one page holds.
    pub skip: u32,
    /// Conditions beside the window, for ties that only they can tell apart.
    pub facets: Vec<Facet>,
    /// Asks how many objects the window holds, beside what is listed.
    pub count: bool,
    /// Whether a fault is worth waiting out. Not while the walk is closing in on
    /// an object that will not come: then the first answer counts.
    pub patient: bool,
}

impl Ask {
    /// Whether anything comes at all: one object of the last day, and the first
    /// answer counts.
    pub fn for_a_sample(now: Instant) -> Self {
        Self {
            from: now.minus(std::time::Duration::from_secs(86_400)),
            to: now,
            order: None,
            top: 1,
            skip: 0,
            facets: Vec::new(),
            count: false,
            patient: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// A condition beside the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facet {
    /// `field` has this value.
    Is(&'static str, &'static str),
    /// `field` has none of these values: what a newer service may have added.
    IsNone(&'static str, &'static [&'static str]),
}

/// What a feed's list call is documented to allow.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest page the documentation promises (`$top`).
    pub top: u32,
    /// Largest `$skip`.
    pub skip: u32,
    /// Whether the documentation offers `$count`.
    pub counts: bool,
    /// Fields (with their known values) by which ties may be split, in order of use.
    pub facets: &'static [(&'static str, &'static [&'static str])],
}

/// Where pages come from: one feed of one tenant.
pub trait Source {
    type Error: Fault;

    fn limits(&self) -> Limits;

    /// Asks once. Retrying what is worth retrying (throttling, a passing 5xx, an
    /// expired token) is the source's work: an error here is its last word.
    fn page(&self, ask: &Ask) -> impl Future<Output = Result<Page, Self::Error>>;
}

/// How the walk should take an error.
pub trait Fault: std::error::Error {
    fn verdict(&self) -> Verdict;

    /// Whether the service was waited for to no avail: the answer began and
    /// did not go on, or never began. Few of them fit into one poll.
    fn is_stall(&self) -> bool {
        false
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// This ask will not come (a lasting 5xx, a body over the cap, a body that
    /// ends early or is no JSON); a smaller one may.
    Unservable,
    /// The service refuses a part of the ask (400).
    Refused(Refusal),
    /// Nothing can be read now: sign-in, permission, network, throttling, shutdown.
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Order,
    /// The page is too large; the largest allowed, where the service names it.
    Top(Option<u32>),
    Skip,
    /// Refused without a word on which part.
    Unnamed,
}

/// One event on its way out.
#[derive(Debug)]
pub struct Event<'p> {
    pub kind: Kind,
    /// The object's last update.
    pub time: Instant,
    /// The object's bytes as sent, in order; two pieces where a nested list was cut out.
    pub raw: [&'p str; 2],
    /// Why it was quarantined, for [`Kind::Quarantined`].
    pub why: Option<&'p str>,
}

/// Where events go. Blocking on purpose: a full pipe is how the reader says "slower".
pub trait Sink {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()>;

    /// Returns once everything written has left the process.
    fn flush(&mut self) -> io::Result<()>;
}

/// Where the walk's memory is kept between runs.
pub trait Store {
    /// Replaces the kept text in one step: after a crash at any instant the old
    /// or the new text is there, whole.
    fn save(&mut self, text: &str) -> io::Result<()>;
}
