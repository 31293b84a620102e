//! Where alerts and incidents of one account are read and written: what is
//! known about it, how one is read; and why that may fail.

#[cfg(test)]
mod tests;

use crate::microsoft::client::{Answer, Client};
use crate::microsoft::defender::list::collection;
use crate::microsoft::defender::list::collection::Collection;
use crate::microsoft::defender::update::state::parse_state;
use crate::microsoft::defender::update::tenant_limits::{BatchCall, TenantLimits, Term};
use crate::microsoft::http::error::{Error, line};
use crate::triage::{Api, Failing, State, Target, UpdateError};
use futures::StreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Reads and writes through one API, several at once where it offers a call
/// for that: Graph `$batch`, Defender for Endpoint a list by ids and `batchUpdate`.
#[derive(Debug)]
pub struct UpdateClient {
    client: Client,
    limits: Mutex<TenantLimits>,
    settle: Duration,
    /// When a comment was last sent, by target and marker, whatever was answered.
    commented: Mutex<HashMap<(Target, String), Instant>>,
    /// Single reads left to prove that a comment is absent of which a list says so.
    pub(in crate::microsoft) single_reads: AtomicUsize,
}

/// Why an alert or incident was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum DefenderError {
    #[error("{error}{}", advice.as_deref().map(|advice| format!("; {advice}")).unwrap_or_default())]
    Call {
        error: Box<Error>,
        advice: Option<String>,
    },
    #[error("`{id}` is no id: {why}")]
    Id { id: String, why: &'static str },
    /// The API has no such object or no such field.
    #[error("{0}")]
    Unoffered(&'static str),
    #[error("the answer about {id} cannot be read: {}", line(&error.to_string()))]
    Unreadable {
        id: String,
        error: serde_json::Error,
        request_id: Option<String>,
    },
    /// The fields stand, the comment does not.
    #[error("the fields were written, the comment was not: {0}")]
    CommentMissing(Box<DefenderError>),
    /// Nobody can say whether the comment stands.
    #[error(
        "the comment may have been written or not, so it was not sent again (the same batch run again finds it by its marker): {0}"
    )]
    CommentUnknown(Box<DefenderError>),
    /// It was sent, and could not be looked for.
    #[error("no answer said whether it was written, and it could not be read back in time")]
    Unseen,
}

/// A longer id than Defender gives out is another column of a search.
const LONGEST_ID: usize = 256;

/// A minute's quota of Defender for Endpoint, the only one with such lists.
const SINGLE_READS: usize = 100;

/// Calls in flight at once; the call budget sets the pace.
pub(in crate::microsoft) const IN_FLIGHT: usize = 4;

impl UpdateClient {
    /// Reads and writes through the API of the account.
    pub fn new(client: Client) -> Self {
        Self {
            client: client.unyielding(),
            limits: Mutex::default(),
            settle: Duration::from_secs(2),
            commented: Mutex::default(),
            single_reads: AtomicUsize::new(SINGLE_READS),
        }
    }

    /// How long a write without an answer gets before its trace is first looked
    /// for (default: 2 seconds).
    #[cfg(test)]
    pub fn settle(self, settle: Duration) -> Self {
        Self { settle, ..self }
    }

    /// Keeps the wordings this tenant takes in a file, one for each account and
    /// API, and begins with those an earlier run found out.
    pub fn remembering(self, file: PathBuf) -> Self {
        Self {
            limits: Mutex::new(TenantLimits::kept_in(file)),
            ..self
        }
    }

    pub(in crate::microsoft) fn client(&self) -> &Client {
        &self.client
    }

    /// How long a write without an answer gets before its trace is first looked for.
    pub(in crate::microsoft) fn first_wait(&self) -> Duration {
        self.settle
    }

    /// Remembers that a comment was sent, unless it certainly did not arrive.
    pub(in crate::microsoft) fn sent(
        &self,
        target: &Target,
        marker: &str,
        answer: Result<(), &Error>,
    ) {
        if !answer.is_err_and(Error::untouched) {
            let key = (target.clone(), marker.to_owned());
            self.commented().insert(key, Instant::now());
        }
    }

    /// When a comment was last sent there.
    pub(in crate::microsoft) fn last_sent(&self, target: &Target, marker: &str) -> Option<Instant> {
        let key = (target.clone(), marker.to_owned());
        self.commented().get(&key).copied()
    }

    fn commented(&self) -> MutexGuard<'_, HashMap<(Target, String), Instant>> {
        self.commented
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> MutexGuard<'_, TenantLimits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of the wording last taken; the first where nothing is known.
    pub(in crate::microsoft) fn wording(&self, term: Term) -> usize {
        self.limits().wording(term)
    }

    pub(in crate::microsoft) fn learn(&self, taken: &[(Term, usize)]) {
        self.limits().learn(taken);
    }

    /// How many go into one call; 1 where there is no such call.
    pub(in crate::microsoft) fn at_once(&self, call: BatchCall) -> usize {
        self.limits().at_once(call)
    }

    /// Remembers that no more than `most` go into one call.
    pub(in crate::microsoft) fn limit(&self, call: BatchCall, most: usize) {
        self.limits().limit(call, most);
    }

    /// The target's collection, and its path in it.
    pub(in crate::microsoft) fn place(
        &self,
        target: &Target,
    ) -> Result<(&'static Collection, String), DefenderError> {
        let api = self.client.api();
        let collection =
            collection(api, target.subject).ok_or(DefenderError::Unoffered(match api {
                Api::Xdr => "the Defender XDR API cannot write alerts: use `api = graph`",
                _ => "the Defender for Endpoint API has no incidents: use `api = graph`",
            }))?;
        let id = segment(&target.id)?;
        Ok((collection, format!("{}/{id}", collection.path)))
    }
}

impl UpdateClient {
    /// One call.
    pub(in crate::microsoft) async fn read_one(
        &self,
        target: &Target,
    ) -> Result<State, DefenderError> {
        let (collection, path) = self.place(target)?;
        let answer = self
            .client
            .get(&path)
            .await
            .map_err(|error| DefenderError::call(error, collection, collection.read))?;
        self.state_of(target, answer)
    }

    /// One call for each.
    pub(in crate::microsoft) async fn read_singly(
        &self,
        targets: &[Target],
    ) -> Vec<Result<State, DefenderError>> {
        futures::stream::iter(targets)
            .map(|target| self.read_one(target))
            .buffered(IN_FLIGHT)
            .collect()
            .await
    }

    /// The state in the answer to a GET by id.
    pub(in crate::microsoft) fn state_of(
        &self,
        target: &Target,
        answer: Answer,
    ) -> Result<State, DefenderError> {
        let mut state = parse_state(&answer.body).map_err(|error| DefenderError::Unreadable {
            id: target.id.clone(),
            error,
            request_id: answer.request_id,
        })?;
        // Nothing, a nought and itself are no other incident.
        state.merged_into = state
            .merged_into
            .filter(|into| !matches!(into.as_str(), "" | "0") && *into != target.id);
        Ok(state)
    }
}

impl DefenderError {
    /// Whether the service gave the same reason in the same words.
    pub(in crate::microsoft) fn same_as(&self, other: &Error) -> bool {
        let said = |error: &Error| match error {
            Error::Service { code, message, .. } => Some((code.clone(), message.clone())),
            _ => None,
        };
        match self {
            Self::Call { error, .. } => said(error).is_some() && said(error) == said(other),
            _ => false,
        }
    }

    pub(in crate::microsoft) fn call(
        error: Error,
        collection: &Collection,
        permission: &str,
    ) -> Self {
        let Collection { api, ending, .. } = collection;
        let advice = match (&error, *ending) {
            (Error::Service { status: 403, .. }, _) => Some(format!(
                "grant the app the application permission {permission} of \"{api}\" with admin consent"
            )),
            (Error::Service { status: 410, .. }, Some(ending)) => Some(ending.to_owned()),
            // An object that is missing is named by the service; an API that is gone is not.
            (
                Error::Service {
                    status: 404, code, ..
                },
                Some(ending),
            ) if code.is_empty() => Some(ending.to_owned()),
            _ => error.advice().map(str::to_owned),
        };
        Self::Call {
            error: Box::new(error),
            advice,
        }
    }
}

impl UpdateError for DefenderError {
    fn failing(&self) -> Failing {
        match self {
            DefenderError::Id { .. } | DefenderError::Unoffered(_) => Failing::Invalid,
            DefenderError::Unreadable { .. }
            | DefenderError::CommentUnknown(_)
            | DefenderError::Unseen => Failing::Failed,
            DefenderError::CommentMissing(fault) => match fault.failing() {
                // Half of it stands: it was found, it was no invalid change, and it
                // cannot simply be decided anew.
                Failing::Overtaken | Failing::NotFound | Failing::Invalid => Failing::Failed,
                failing => failing,
            },
            DefenderError::Call { error, .. } => match (error.as_ref(), error.status()) {
                (Error::ReadOnly { .. }, _) => Failing::Forbidden,
                (Error::Throttled { .. }, _) | (_, Some(429)) => Failing::Throttled,
                (Error::SignIn { .. }, Some(400..=499)) => Failing::Forbidden,
                (Error::Service { .. }, Some(400)) => Failing::Invalid,
                (Error::Service { .. }, Some(401 | 403)) => Failing::Forbidden,
                (Error::Service { .. }, Some(404)) => Failing::NotFound,
                (Error::Service { .. }, Some(409 | 412 | 423)) => Failing::Overtaken,
                _ => Failing::Failed,
            },
        }
    }

    fn uncertain(&self) -> bool {
        match self {
            DefenderError::Call { error, .. } => error.uncertain(),
            DefenderError::CommentUnknown(_) | DefenderError::Unseen => true,
            DefenderError::CommentMissing(fault) => fault.uncertain(),
            DefenderError::Unreadable { .. }
            | DefenderError::Id { .. }
            | DefenderError::Unoffered(_) => false,
        }
    }

    fn request_id(&self) -> Option<&str> {
        match self {
            DefenderError::Call { error, .. } => error.request_id(),
            DefenderError::Unreadable { request_id, .. } => request_id.as_deref(),
            DefenderError::CommentMissing(fault) | DefenderError::CommentUnknown(fault) => {
                fault.request_id()
            }
            DefenderError::Id { .. } | DefenderError::Unoffered(_) | DefenderError::Unseen => None,
        }
    }
}

/// All but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An id as one segment of a path.
fn segment(id: &str) -> Result<String, DefenderError> {
    let why = if id.is_empty() {
        "it is empty"
    } else if id.len() > LONGEST_ID {
        "it is longer than 256 bytes"
    } else if id.chars().any(char::is_control) {
        "it holds a control character"
    } else if matches!(id, "." | "..") {
        // A URL would take it for a step, however it is encoded.
        "it means another place"
    } else {
        return Ok(utf8_percent_encode(id, SEGMENT).to_string());
    };
    Err(DefenderError::Id {
        id: id.chars().take(40).flat_map(char::escape_debug).collect(),
        why,
    })
}
