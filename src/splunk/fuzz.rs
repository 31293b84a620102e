//! This room's readers of foreign bytes, opened for `fuzz/` alone.

pub use crate::splunk::alert_action::payload::Payload;
pub use crate::splunk::alert_action::results::Results;
pub use crate::splunk::modular_input::{input, validation};
pub use crate::splunk::rest_handler::{Reply, serve};
pub use crate::splunk::search_command::{Asked, Questions, Table};
pub use crate::splunk::spool::Spool;

use crate::splunk::modular_input::encoding::Utf8Reader;
use crate::splunk::modular_input::xml;
use std::io::{self, Read};

/// What splunkd wrote, as UTF-8.
///
/// # Errors
/// If it is none, or larger than `limit`.
pub fn decoded(bytes: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Utf8Reader::new(bytes, limit).read_to_end(&mut text)?;
    Ok(text)
}

/// JSON as an event of the stream carries it.
///
/// # Errors
/// Never: memory takes everything.
pub fn event(json: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    xml::write_json(&mut out, json)?;
    Ok(out)
}

/// Any text as XML carries it.
pub fn text(raw: &str) -> String {
    xml::text(raw)
}
