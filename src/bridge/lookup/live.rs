//! Reads what Defender says now of alerts and incidents, for `defenderget` and the REST
//! endpoint.

use crate::bridge::account::Settings;
use crate::bridge::clients;
use crate::bridge::verdict::job_size;
use crate::microsoft::UpdateClient;
use crate::splunk::splunkd::Splunkd;
use crate::triage;
use crate::triage::{Api, DefenderClient, Outcome, State, Subject, Target, UpdateError};
use anyhow::bail;
use serde::{Deserialize, Serialize};

/// The result of a reading that went well.
pub const READ: &str = "ok";

/// The body of a request to the endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub account: String,
    pub subject: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    #[serde(deserialize_with = "job_size::at_most::<100_000, _, _>")]
    pub ids: Vec<String>,
}

/// The endpoint's answer: one for each id, in their order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    pub live: Vec<Live>,
}

/// What Defender says now of one alert or incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Live {
    pub id: String,
    /// [`READ`], or the outcome a row would end with.
    pub result: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub status: Option<String>,
    pub classification: Option<String>,
    pub determination: Option<String>,
    pub assigned_to: Option<String>,
    pub tags: Vec<String>,
    pub comment_count: usize,
    /// Oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<String>,
    pub last_update: Option<String>,
    pub merged_into: Option<String>,
}

impl Live {
    fn of(id: &str, state: State) -> Self {
        Self {
            id: id.to_owned(),
            result: READ.to_owned(),
            message: None,
            status: state.status,
            classification: state.classification,
            determination: state.determination,
            assigned_to: state.assigned_to,
            tags: state.tags,
            comment_count: state.comments.len(),
            comments: state.comments,
            last_update: state.updated,
            merged_into: state.merged_into,
        }
    }

    /// An alert or incident that could not be read.
    pub fn unread(id: &str, outcome: Outcome, message: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            result: outcome.to_string(),
            message: Some(message.into()),
            ..Self::default()
        }
    }

    /// The same as triage's state.
    pub fn state(&self) -> State {
        State {
            status: self.status.clone(),
            classification: self.classification.clone(),
            determination: self.determination.clone(),
            assigned_to: self.assigned_to.clone(),
            tags: self.tags.clone(),
            comments: self.comments.clone(),
            updated: self.last_update.clone(),
            merged_into: self.merged_into.clone(),
            ..State::default()
        }
    }

    /// Whether Defender answered.
    pub fn is_read(&self) -> bool {
        self.result == READ
    }
}

/// The API of this name, if it serves the subject; Graph if none is named.
pub fn api(word: Option<&str>, subject: Subject) -> anyhow::Result<Api> {
    let Some(word) = word else {
        return Ok(Api::Graph);
    };
    let known = Api::ALL.into_iter().filter(|api| api.serves(subject));
    let named = known
        .clone()
        .find(|api| api.as_str().eq_ignore_ascii_case(word));
    let Some(api) = named else {
        let known: Vec<&str> = known.map(Api::as_str).collect();
        let word: String = word.chars().take(64).flat_map(char::escape_debug).collect();
        bail!(
            "api \"{word}\" cannot be read for {subject}s; use {}",
            known.join(" or ")
        );
    };
    Ok(api)
}

/// Opens a client that reads an account's alerts or incidents; `splunkd` gives the
/// secret.
pub async fn client(
    splunkd: &Splunkd,
    settings: &Settings,
    account: &str,
    api: Api,
) -> anyhow::Result<UpdateClient> {
    let client = clients::client(splunkd, settings, account, api).await?;
    Ok(UpdateClient::new(client))
}

/// Reads each id once, whatever happens to the others; returns them in their order.
pub async fn read_live(client: &UpdateClient, subject: Subject, ids: &[String]) -> Vec<Live> {
    let sound: Vec<Target> = ids
        .iter()
        .filter(|id| triage::is_id(subject, id))
        .map(|id| Target {
            subject,
            id: id.clone(),
        })
        .collect();
    let mut states = client.read_many(&sound).await.into_iter();
    let seen = |id: &String| {
        if !triage::is_id(subject, id) {
            let message = format!("this is no {subject} id");
            return Live::unread(id, Outcome::Invalid, message);
        }
        match states.next() {
            Some(Ok(state)) => Live::of(id, state),
            Some(Err(error)) => Live::unread(id, error.failing().into(), error.to_string()),
            None => Live::unread(id, Outcome::Failed, "Defender's answer left it out"),
        }
    };
    ids.iter().map(seen).collect()
}
