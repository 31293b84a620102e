//! A search of the caller's own, begun and ended in one call (`exec_mode=oneshot`).

use super::{Call, Splunkd, SplunkdError, segment};
use crate::NAME;
use crate::splunk::splunkd::answer::{Message, quoted};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use std::time::Duration;

const SEARCH: &str =
    "a role of this user needs the capability search, and the index among those it may search";

/// A search may wait for its turn, and then look through months.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where splunkd stops, unless limits.conf `maxresultrows` says otherwise.
pub const MOST_EVENTS: usize = 50_000;

/// What is looked for. Nothing in `text` may come from a person unchecked.
#[derive(Debug, Clone, Copy)]
pub struct Search<'s> {
    /// In words, for an error: `find the outcomes of a batch`.
    pub what: &'s str,
    /// Whose search it is: the session key's owner.
    pub user: &'s str,
    /// In Splunk's search language.
    pub text: &'s str,
    pub earliest: &'s str,
    pub latest: &'s str,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The text of each event.
    pub raw: Vec<String>,
    /// What splunkd says about its completeness.
    pub warnings: Vec<String>,
}

/// Most of splunkd's words about one search that are told.
const MOST_WARNINGS: usize = 10;

#[derive(Deserialize)]
struct Answer<R> {
    /// None where the search did not come to its results.
    results: Option<Vec<R>>,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(rename = "_raw")]
    raw: Option<String>,
}

impl Splunkd {
    /// Runs a search in this app, so that its fields are known there, and waits
    /// for its events.
    ///
    /// # Errors
    /// If it was refused, or ended with an error.
    pub async fn search(&self, search: Search<'_>) -> Result<Events, SplunkdError> {
        // All of them; without it the first hundred.
        let (results, warnings) = self.oneshot::<Found>(search, "0", PATIENCE).await?;
        Ok(Events {
            warnings,
            raw: results.into_iter().filter_map(|found| found.raw).collect(),
        })
    }

    /// The rows of a search run to its end within this time, at most `count`
    /// (none: all), and what splunkd says of their completeness.
    pub(super) async fn oneshot<R: serde::de::DeserializeOwned>(
        &self,
        search: Search<'_>,
        count: &str,
        within: Duration,
    ) -> Result<(Vec<R>, Vec<String>), SplunkdError> {
        let call = Call {
            what: search.what.to_owned(),
            advice: SEARCH,
            method: Method::POST,
            path: format!("servicesNS/{}/{NAME}/search/jobs", segment(search.user)),
            query: Vec::new(),
            form: vec![
                ("search", search.text),
                ("exec_mode", "oneshot"),
                ("count", count),
                ("earliest_time", search.earliest),
                ("latest_time", search.latest),
            ],
            body: None,
            json: None,
            within: Some(within),
        };
        let refused = |status, said| SplunkdError::Refused {
            what: search.what.to_owned(),
            status,
            said,
        };
        let body = self.ask(call).await?;
        let body = body.ok_or_else(|| refused(404, String::new()))?;
        let answer: Answer<R> =
            serde_json::from_slice(&body).map_err(|_| SplunkdError::Unintelligible {
                what: search.what.to_owned(),
                why: "it is no list of results",
            })?;
        let ended = |message: &Message| {
            message.is_fatal() || (message.is_error() && answer.results.is_none())
        };
        if answer.messages.iter().any(ended) {
            let said = quoted(&answer.messages, self.session_key.expose_secret());
            return Err(refused(200, said));
        }
        // An error beside results is some other app's broken lookup as often as
        // a peer that did not answer: both are told, neither ends the search.
        let told = |message: &&Message| message.is_error() || message.is_warning();
        let warnings = answer.messages.iter().filter(told).map(Message::words);
        let warnings = warnings.take(MOST_WARNINGS).collect();
        Ok((answer.results.unwrap_or_default(), warnings))
    }
}
