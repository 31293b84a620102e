//! A list that is asked by time: what may be asked of it, and what it may answer.

use crate::ingest::Instant;
use crate::ingest::poll::page::Page;
use std::future::Future;

/// One question to the tenant: the objects last updated in `[from, to)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
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
    pub tie_breakers: Vec<TieBreaker>,
    /// Asks how many objects the window holds, beside what is listed.
    pub count: bool,
    /// Whether an error is worth waiting out. Not while the walk is closing in on
    /// an object that will not come: then the first answer counts.
    pub patient: bool,
}

impl ListQuery {
    /// Whether anything comes at all: one object of the last day, and the first
    /// answer counts.
    pub fn for_a_sample(now: Instant) -> Self {
        Self {
            from: now.minus(std::time::Duration::from_secs(86_400)),
            to: now,
            order: None,
            top: 1,
            skip: 0,
            tie_breakers: Vec::new(),
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
pub enum TieBreaker {
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
    pub tie_breakers: &'static [(&'static str, &'static [&'static str])],
}

/// Where pages come from: one feed of one tenant.
pub trait ListSource {
    type Error: SourceError;

    fn limits(&self) -> Limits;

    /// Asks once. Retrying what is worth retrying (throttling, a passing 5xx, an
    /// expired token) is the source's work: an error here is its last word.
    fn page(&self, query: &ListQuery) -> impl Future<Output = Result<Page, Self::Error>>;
}

/// What the walk should make of an error.
pub trait SourceError: std::error::Error {
    fn class(&self) -> ErrorClass;

    /// Whether the service was waited for to no avail: the answer began and
    /// did not go on, or never began. Few of them fit into one poll.
    fn is_stall(&self) -> bool {
        false
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// This question is not answered (a lasting 5xx, a body over the cap, a body that
    /// ends early or is no JSON); a smaller one may.
    Unservable,
    /// The service refuses a part of the question (400).
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
