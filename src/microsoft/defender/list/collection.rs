//! What one API offers for one kind of object: where it is listed, what
//! its members are called, what the list call allows, who may read and write.
//!
//! Plain facts of the published contracts, one record per API and kind.

use crate::ingest::Limits;
use crate::microsoft::list_answer::Shape;

/// One collection of one API.
#[derive(Debug)]
pub(in crate::microsoft) struct Collection {
    /// What people call it, e.g. `Microsoft Graph alerts`.
    pub name: &'static str,
    pub path: &'static str,
    /// Sent with every list call, beside what is asked.
    pub expand: Option<&'static str>,
    pub shape: Shape,
    pub limits: Limits,
    /// Spelling of informational, low, medium and high; `None` where the list
    /// call cannot filter by severity.
    pub severities: Option<[&'static str; 4]>,
    /// Field and known values of the product that raised the object; `None`
    /// where the list call cannot filter by it.
    pub service_sources: Option<(&'static str, &'static [&'static str])>,
    /// Application permission for reading.
    pub read: &'static str,
    /// Application permission for writing.
    pub write: &'static str,
    /// Where the permission is found in the Entra admin centre.
    pub api: &'static str,
    /// Its announced end (message centre post MC1220762), and what to do.
    pub ending: Option<&'static str>,
}
