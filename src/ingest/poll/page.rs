//! A page of listed objects: one body, and where in it each object lies.

use crate::ingest::{Instant, Kind, Quarantined};
use std::ops::Range;

/// One answer of a list call. The body is kept whole and as sent (UTF-8 text);
/// objects are spans of it, so that nothing is copied and nothing re-written.
#[derive(Debug, Default)]
pub struct Page {
    pub body: String,
    pub objects: Vec<Object>,
    pub quarantined: Vec<Quarantined>,
    /// The service says that more follows (`@odata.nextLink`). The walk goes by
    /// time, so to it a link is evidence only.
    pub more: bool,
    /// Objects the window holds, where the question asked for it and the service told.
    pub count: Option<u64>,
    /// Why objects are missing that the service says it could not list.
    pub partial: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Object {
    pub kind: Kind,
    pub id: String,
    pub updated: Instant,
    pub raw: Raw,
    /// Objects listed inside this one that leave as events of their own.
    pub nested: Vec<Object>,
}

/// Where an object lies in its page's body.
#[derive(Debug, Clone)]
pub struct Raw {
    pub span: Range<usize>,
    /// A member (with its comma) left out, because it leaves as events of its own.
    pub without: Option<Range<usize>>,
}

impl Page {
    /// The bytes of an object, in one piece or, where a member was cut out, two.
    pub fn text(&self, raw: &Raw) -> [&str; 2] {
        let slice = |span: Range<usize>| self.body.get(span).unwrap_or_default();
        match &raw.without {
            None => [slice(raw.span.clone()), ""],
            Some(cut) => [
                slice(raw.span.start..cut.start),
                slice(cut.end..raw.span.end),
            ],
        }
    }
}
