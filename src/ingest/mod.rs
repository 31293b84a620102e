//! The way in: everything a Defender tenant lists or streams reaches the sink
//! exactly once, as far as a pipe allows.
//!
//! Pure: no socket, no file, no clock, nothing of Splunk, no URL of Microsoft's.
//! `poll` follows a list that is asked by time ([`ListSource`]), [`stream`] a log
//! that is followed by position. Both hand their events to a [`Sink`] in the
//! background, and save what they know only after it has flushed (`delivery`).

mod delivery;
mod instant;
mod poll;
pub mod stream;
mod tally;

pub use instant::Instant;
pub use poll::checkpoint::Checkpoint;
pub use poll::page::{Object, Page, Raw};
pub use poll::source::{
    ErrorClass, Limits, ListQuery, ListSource, Order, Refusal, SourceError, TieBreaker,
};
pub use poll::{Bounds, Poll, Tally, pull};

use std::io;
use std::ops::Range;

/// What an event is; decides the sourcetype it leaves under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Alert,
    Incident,
    /// A record of a stream.
    Record,
    /// An element that cannot be told apart from others (no id, no time) or is
    /// no object at all; kept, under a sourcetype of its own.
    Quarantined,
}

/// An element that cannot be walked: what is wrong with it, and its span.
#[derive(Debug, Clone)]
pub struct Quarantined {
    pub span: Range<usize>,
    pub why: String,
}

/// One event on its way out.
#[derive(Debug)]
pub struct Event<'p> {
    pub kind: Kind,
    /// The object's last update; when the record was made.
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
