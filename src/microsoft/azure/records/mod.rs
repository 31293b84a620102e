//! Where in a streamed body each record lies.
//!
//! Defender writes `{"records":[…]}` into a hub and a record a line into blobs; Azure's
//! own diagnostics write a list, one record, or several of all that. Records come as
//! objects, or as strings that hold one. Each leaves as one event, its bytes as sent.
//!
//! One strict pass (`strict`) finds them, without a tree and without a copy; what Defender
//! itself writes takes a shorter way through it (`quick`). Only a body that fails it is gone
//! through again (`malformed`), so that no record stops another.

mod malformed;
mod quick;
mod strict;
mod tables;
#[cfg(test)]
mod tests;

pub use tables::Tables;

use crate::ingest::stream::{Message, Position, Record};
use crate::ingest::{Instant, Quarantined};
use crate::microsoft::list_answer::text;
use serde::de::IgnoredAny;
use std::ops::Range;

/// No line of a blob is longer: a hub takes messages of 1 MB, of which a record is a part.
pub const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// So many malformed elements of a body are told apart; what is malformed behind them is
/// kept in one piece with the last.
const MOST_QUARANTINED: usize = 100;

/// The records of one message of a hub, but those of tables nobody wants.
pub fn message(body: Vec<u8>, tables: &Tables, enqueued: Instant, position: Position) -> Message {
    let body = text(body, "a message");
    let mut found = Found::new(&body, tables, enqueued);
    found.read();
    let quarantined = found.set_aside();
    let Found {
        records, unescaped, ..
    } = found;
    Message {
        position,
        body: body + &unescaped,
        records,
        quarantined,
    }
}

/// The table of a record, if it is of advanced hunting.
pub fn table(record: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Head<'r> {
        #[serde(borrow)]
        category: std::borrow::Cow<'r, str>,
    }
    let head: Head<'_> = serde_json::from_str(record).ok()?;
    tables::strip_prefix(&head.category).map(str::to_owned)
}

/// What a part of an append blob holds.
#[derive(Debug, Default)]
pub struct Lines {
    /// Its position is the caller's to set.
    pub message: Message,
    /// So many bytes were read: a record that is cut off at the end waits for the rest.
    pub consumed: usize,
}

/// The records in the whole lines of a part of an append blob.
///
/// `is_new` is asked about each, with its `properties` as sent: the export repeats some
/// records, each time in another envelope.
pub fn lines(
    mut chunk: Vec<u8>,
    tables: &Tables,
    received: Instant,
    mut is_new: impl FnMut(&str) -> bool,
) -> Lines {
    let consumed = whole_lines(&chunk);
    chunk.truncate(consumed);
    let body = text(chunk, "a blob");
    let mut found = Found::new(&body, tables, received);
    found.read_lines(0..body.len());
    let quarantined = found.set_aside();
    let Found {
        records,
        properties,
        unescaped,
        ..
    } = found;
    let body = body + &unescaped;
    let records = std::iter::zip(records, properties)
        .filter(|(_, properties)| is_new(body.get(properties.clone()).unwrap_or_default()))
        .map(|(record, _)| record)
        .collect();
    Lines {
        message: Message {
            position: Position::default(),
            body,
            records,
            quarantined,
        },
        consumed,
    }
}

fn whole_lines(chunk: &[u8]) -> usize {
    let whole = memchr::memrchr(b'\n', chunk).map_or(0, |end| end + 1);
    let rest = chunk.get(whole..).unwrap_or_default();
    // The beginning of an object is never an object: what is one has not been cut off.
    let ended =
        rest.trim_ascii_end().ends_with(b"}") && serde_json::from_slice::<IgnoredAny>(rest).is_ok();
    if ended || rest.len() >= LONGEST_LINE {
        chunk.len()
    } else {
        whole
    }
}

/// What has been found in a body so far.
struct Found<'b> {
    body: &'b str,
    tables: &'b Tables,
    /// For records that have no time of their own.
    received: Instant,
    records: Vec<Record>,
    /// Where the `properties` of each record lie, else the record itself.
    properties: Vec<Range<usize>>,
    quarantined: Vec<Quarantined>,
    /// Malformed elements beyond the most that are told apart.
    more: usize,
    /// The text of records that came as strings: it stands behind the body.
    unescaped: String,
}

impl<'b> Found<'b> {
    fn new(body: &'b str, tables: &'b Tables, received: Instant) -> Self {
        Self {
            body,
            tables,
            received,
            records: Vec::new(),
            properties: Vec::new(),
            quarantined: Vec::new(),
            more: 0,
            unescaped: String::new(),
        }
    }

    /// Reads a body of any form.
    fn read(&mut self) {
        let blank = |c: char| c.is_ascii_whitespace() || c == '\u{feff}';
        let start = self.body.len() - self.body.trim_start_matches(blank).len();
        let all = start..self.body.len();
        let first = self.line(start);
        if first.end < self.body.trim_end().len() && self.strict(first.clone()).is_ok() {
            self.read_lines(first.end..all.end);
        } else if self.strict(all.clone()).is_err() {
            self.recover(all);
        }
    }

    /// Reads a value a line.
    fn read_lines(&mut self, part: Range<usize>) {
        let mut at = part.start;
        while at < part.end {
            let line = self.line(at);
            at = line.end;
            if self.strict(line.clone()).is_err() {
                self.recover(line);
            }
        }
    }

    /// The line that begins here, with its line feed.
    fn line(&self, at: usize) -> Range<usize> {
        let rest = self.body.as_bytes().get(at..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        at..at + length
    }

    fn part(&self, part: Range<usize>) -> &'b str {
        self.body.get(part).unwrap_or_default()
    }

    fn quarantine(&mut self, span: Range<usize>, why: String) {
        if self.quarantined.len() < MOST_QUARANTINED {
            self.quarantined.push(Quarantined { span, why });
        } else if let Some(last) = self.quarantined.last_mut() {
            last.span.end = span.end;
            self.more += 1;
        }
    }

    /// What is set aside, at the end.
    fn set_aside(&mut self) -> Vec<Quarantined> {
        let mut quarantined = std::mem::take(&mut self.quarantined);
        if let Some(last) = quarantined.last_mut().filter(|_| self.more > 0) {
            last.why = format!("{}; with {} more behind it", last.why, self.more);
        }
        quarantined
    }
}
