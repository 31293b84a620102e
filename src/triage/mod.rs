//! The way back: what analysts decided about alerts and incidents, checked
//! against one vocabulary, carried out with the fewest calls, read back, and
//! written down row by row.
//!
//! This room is pure. It must never know a socket, a file, Splunk or the
//! spelling of one of Microsoft's APIs: rows come in as text, Defender is
//! reached through a [`Desk`], outcomes leave through a [`Ledger`].

pub mod vocabulary;

use crate::triage::vocabulary::{Classification, Determination, Status};
use std::future::Future;

/// What a change is aimed at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    pub subject: Subject,
    pub id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    Alert,
    Incident,
}

/// What shall be true afterwards; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Change {
    pub status: Option<Status>,
    pub classification: Option<Classification>,
    /// Only together with a classification it is valid for.
    pub determination: Option<Determination>,
    pub assigned_to: Option<Owner>,
    pub comment: Option<String>,
    pub tags_add: Vec<String>,
    pub tags_remove: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A user principal name.
    User(String),
    /// Nobody: clears the owner.
    Nobody,
}

/// What Defender says now. Text in Graph spelling; what the vocabulary does
/// not know is kept as Defender said it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct State {
    pub status: Option<String>,
    pub classification: Option<String>,
    pub determination: Option<String>,
    pub assigned_to: Option<String>,
    pub tags: Vec<String>,
    /// Texts of the comments, oldest first.
    #[serde(skip)]
    pub comments: Vec<String>,
    /// Last update, as Defender printed it.
    pub updated: Option<String>,
    /// The incident this one was merged into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
}

/// What one write cost and where Microsoft's support finds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Microsoft's `request-id`.
    pub request_id: Option<String>,
    /// Calls it took, retries included.
    pub attempts: u32,
}

/// Defender as triage needs it: read what stands, write what shall stand.
pub trait Desk {
    type Error: DeskError;

    fn read(&self, target: &Target) -> impl Future<Output = Result<State, Self::Error>>;

    /// Writes one and the same change to every target: one result per target,
    /// in their order. A comment is written at most once per target, also when
    /// a call had to be repeated; `marker` is the short text that proves it.
    fn write(
        &self,
        targets: &[Target],
        change: &Change,
        marker: &str,
    ) -> impl Future<Output = Vec<Result<Receipt, Self::Error>>>;
}

/// Why Defender did not do it, in the words a row's outcome needs.
pub trait DeskError: std::error::Error {
    fn failing(&self) -> Failing;
    /// Microsoft's `request-id`, where an answer came.
    fn request_id(&self) -> Option<&str>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// The service refuses the change itself (400).
    Invalid,
    /// No such object, or not in this tenant (404).
    NotFound,
    /// The account may not (401, 403, a `read_only` account).
    Forbidden,
    /// Throttled past what the deadline allows (429).
    Throttled,
    /// Anything else.
    Failed,
}

/// Where outcomes are written down, as they happen.
pub trait Ledger {
    fn record(&mut self, entry: &serde_json::Value) -> impl Future<Output = ()>;
}
