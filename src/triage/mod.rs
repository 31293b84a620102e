//! The way back: what analysts decided about alerts and incidents, checked
//! against one vocabulary, carried out with the fewest calls, read back, and
//! written down row by row. Here is the contract: what both sides of it share.
//!
//! This room is pure. It must never know a socket, a file, a clock, Splunk or
//! the spelling of one of Microsoft's APIs: rows come in as text, Defender is
//! reached through a [`DefenderClient`], outcomes leave through a [`Ledger`], time comes
//! from a [`Clock`].
//!
//! ```text
//! form, rows ─► request ─► plan ─► apply (read, decide, write, read back) ─► ledger
//! ```

mod apply;
mod diff;
mod field;
mod form;
mod marker;
mod outcome;
mod parameter;
mod plan;
mod printed;
mod reconcile;
mod request;
mod row;
mod row_snapshot;
#[cfg(test)]
mod tests;
mod undo;
pub mod vocabulary;

pub use apply::incident_effects::CarryOver;
#[cfg(test)]
pub use apply::triage;
pub use apply::{TriageError, carry_out};
pub use form::{Form, FormError, PARAMETERS, UNDOES};
pub use outcome::{Entry, Outcome, Summary, Via};
pub use parameter::{batch, flag, is_id};
pub use plan::{Plan, named};
pub use printed::printed;
pub use reconcile::Reconciler;
pub use row::{Fields, Row};
pub use undo::{ENTRIES, Restoration, Undo};

use crate::triage::vocabulary::{Classification, Determination, Status};
use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::future::Future;
use std::time::Duration;

/// One call of an alert action or command: what shall happen to all its rows.
#[derive(Debug, Clone)]
pub struct Action {
    /// The name by which it was called, for the ledger.
    pub name: String,
    /// Names this call. The same call repeated under the same name finds its
    /// comments written and writes none twice.
    pub batch: String,
    /// Who asked: a user of Splunk.
    pub actor: String,
    /// The user an alert's payload names.
    pub alert_user: Option<String>,
    pub via: Via,
    pub form: Form,
    pub limits: Limits,
    /// The search the rows came from.
    pub sid: Option<String>,
    pub search_name: Option<String>,
}

/// How far one action may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most distinct targets; the form can only ask for fewer.
    pub max_targets: usize,
    /// From then on, counted on the [`Clock`], nothing is begun.
    pub deadline: Duration,
    /// How long what was begun is still waited for.
    pub grace: Duration,
}

impl Limits {
    fn last_answer(&self) -> Duration {
        self.deadline.saturating_add(self.grace)
    }
}

/// What a change is aimed at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    pub subject: Subject,
    pub id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Alert,
    Incident,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alert => "alert",
            Self::Incident => "incident",
        })
    }
}

/// One of Microsoft's APIs over the same tenant, by the name the parameter `api`
/// takes. Tokens, audiences and call budgets belong to it, never to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    Graph,
    Mde,
    Xdr,
}

impl Api {
    pub const ALL: [Self; 3] = [Self::Graph, Self::Mde, Self::Xdr];

    /// Whether the API can change such a thing.
    pub const fn serves(self, subject: Subject) -> bool {
        matches!(
            (self, subject),
            (Self::Graph, _) | (Self::Mde, Subject::Alert) | (Self::Xdr, Subject::Incident)
        )
    }

    /// As the parameter says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Mde => "mde",
            Self::Xdr => "xdr",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What shall be true afterwards; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    /// Only together with a classification it is valid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub determination: Option<Determination>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<Owner>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags_add: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags_remove: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "String")]
pub enum Owner {
    /// A user principal name.
    User(String),
    /// Nobody: clears the owner.
    Nobody,
}

impl Owner {
    /// As the parameter says it.
    pub const fn as_str(&self) -> &str {
        match self {
            Self::User(name) => name.as_str(),
            Self::Nobody => vocabulary::NONE,
        }
    }
}

impl From<String> for Owner {
    fn from(name: String) -> Self {
        match name == vocabulary::NONE {
            true => Self::Nobody,
            false => Self::User(name),
        }
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What Defender says now. Text in Graph spelling; what the vocabulary does
/// not know is kept as Defender said it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    pub status: Option<String>,
    pub classification: Option<String>,
    pub determination: Option<String>,
    pub assigned_to: Option<String>,
    #[serde(serialize_with = "some_tags")]
    pub tags: Vec<String>,
    /// Texts of the comments, oldest first.
    #[serde(skip)]
    pub comments: Vec<String>,
    /// Last update, as Defender printed it.
    pub updated: Option<String>,
    /// When an alert was resolved, as Defender printed it.
    #[serde(skip)]
    pub resolved: Option<String>,
    /// The incident this one was merged into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// The incident an alert belongs to, where Defender says so.
    #[serde(skip)]
    pub incident: Option<String>,
    /// Told by a list, which may lag behind the object itself.
    #[serde(skip)]
    pub listed: bool,
}

/// No entry of the ledger grows with an answer: at most so many bytes of tags.
fn some_tags<S: Serializer>(tags: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    const MOST: usize = 2 << 10;
    let mut left = MOST;
    let some = tags.iter().take_while(|tag| {
        let fits = tag.len() <= left;
        left = left.saturating_sub(tag.len());
        fits
    });
    serializer.collect_seq(some)
}

impl State {
    /// When it was last updated, where Defender says so.
    fn instant(&self) -> Option<Timestamp> {
        self.updated.as_deref()?.parse().ok()
    }

    /// Whether this is what Defender said of an earlier state.
    fn is_older_than(&self, other: &Self) -> bool {
        match (self.instant(), other.instant()) {
            (Some(this), Some(other)) => this < other,
            _ => false,
        }
    }
}

/// What one write cost and where Microsoft's support finds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Microsoft's `request-id`.
    pub request_id: Option<String>,
    /// Calls it took, retries included.
    pub attempts: u32,
}

/// How many targets are read side by side, where they are read one by one.
const READS_AT_ONCE: usize = 4;

/// The accounts triage may write to.
pub trait Accounts {
    type Client: DefenderClient;

    /// Opens one configured account for one API.
    fn open(
        &self,
        account: &str,
        api: Api,
    ) -> impl Future<Output = Result<Self::Client, <Self::Client as DefenderClient>::Error>>;
}

/// Defender as triage needs it: read what stands, write what shall stand.
pub trait DefenderClient {
    type Error: UpdateError;

    /// The time at the service, by its own clock and never later than it is
    /// there; none before its first answer.
    fn time_there(&self) -> Option<Timestamp>;

    fn read(&self, target: &Target) -> impl Future<Output = Result<State, Self::Error>>;

    /// Reads every target: one result per target, in their order. A client that
    /// can ask for many at once does better; a state out of a list says so
    /// ([`State::listed`]), and triage reads the object itself where that matters.
    fn read_many(
        &self,
        targets: &[Target],
    ) -> impl Future<Output = Vec<Result<State, Self::Error>>> {
        stream::iter(targets)
            .map(|target| self.read(target))
            .buffered(READS_AT_ONCE)
            .collect()
    }

    /// Writes one and the same change to every target: one result per target,
    /// in their order. A comment already ends in `marker`, so it is written as
    /// it is, at most once per target, also when a call had to be repeated, and
    /// where a list has not shown it yet: if a comment with the marker stands,
    /// the earlier call had got through.
    fn write(
        &self,
        targets: &[Target],
        change: &Change,
        marker: &str,
    ) -> impl Future<Output = Vec<Result<Receipt, Self::Error>>>;
}

/// Why Defender did not carry out a read or a write, in the words a row's outcome
/// needs.
pub trait UpdateError: std::error::Error {
    fn failing(&self) -> Failing;
    /// Whether a write may have been carried out all the same.
    fn uncertain(&self) -> bool;
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
    /// Somebody else was at it in the same moment (409, 412, 423).
    Overtaken,
    /// Anything else.
    Failed,
}

/// Where outcomes are written down, as they happen. A ledger that cannot
/// deliver keeps the entry until it can: triage does not wait for another answer.
pub trait Ledger {
    fn record(&mut self, entry: &Entry) -> impl Future<Output = ()>;
}

/// Time as triage needs it.
pub trait Clock {
    /// The time of day, for the ledger.
    fn now(&self) -> Timestamp;

    /// How long the action has been running; never goes back.
    fn elapsed(&self) -> Duration;

    fn sleep(&self, pause: Duration) -> impl Future<Output = ()>;
}
