//! Judges whether this app wrote entries of the ledger: in this process, if it may read
//! the key of their signatures, else through the app's REST endpoint.

use super::job_size;
use crate::bridge::permission::Caller;
use crate::bridge::signature;
use crate::bridge::signature::{Authentic, Key};
use crate::splunk::splunkd::{Route, Splunkd};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Most entries of one request.
pub const MOST: usize = 20_000;

/// Bytes of one request, far below what splunkd and the endpoint take.
const LARGEST: usize = 8 << 20;

/// Judging takes next to no time, but the endpoint may be busy with another request.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The body of a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    #[serde(deserialize_with = "job_size::at_most::<MOST, _, _>")]
    pub entries: Vec<String>,
}

/// The answer: one word for each entry.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    pub authentic: Vec<Authentic>,
}

/// Judges for one user.
pub struct Judge {
    splunkd: Splunkd,
    key: Option<Key>,
    /// Why entries cannot be judged.
    why: Option<String>,
}

impl Judge {
    pub async fn of(splunkd: Splunkd, caller: &Caller) -> Self {
        let key = match caller.reads_secrets() {
            true => signature::known(&splunkd).await.ok(),
            false => None,
        };
        Self {
            splunkd,
            key,
            why: None,
        }
    }

    /// Why some entries could not be judged.
    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// One word for each entry, in their order.
    pub async fn judge(&mut self, entries: &[&str]) -> Vec<Authentic> {
        if let Some(key) = &self.key {
            return entries.iter().map(|entry| key.judge(entry)).collect();
        }
        let mut judged = Vec::with_capacity(entries.len());
        let mut rest = entries;
        while !rest.is_empty() {
            let mut bytes = 0_usize;
            let fits = rest.iter().take(MOST).take_while(|entry| {
                bytes = bytes.saturating_add(entry.len());
                bytes <= LARGEST
            });
            let count = fits.count().max(1);
            let (now, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            judged.extend(self.ask(now).await);
            rest = later;
        }
        judged
    }

    async fn ask(&mut self, entries: &[&str]) -> Vec<Authentic> {
        let unknown = vec![Authentic::Unknown; entries.len()];
        if self.why.is_some() {
            return unknown;
        }
        let question = Question {
            entries: entries.iter().map(|entry| (*entry).to_owned()).collect(),
        };
        let Ok(body) = serde_json::to_vec(&question) else {
            return unknown;
        };
        let asked = self
            .splunkd
            .call_endpoint(Route::Ledger, body.into(), TIMEOUT);
        let why = match asked.await {
            Ok(Some(body)) => match serde_json::from_slice::<Answer>(&body) {
                Ok(answer) if answer.authentic.len() == entries.len() => return answer.authentic,
                _ => "the app's REST endpoint answers something else".to_owned(),
            },
            Ok(None) => {
                "this splunkd does not serve the app's REST endpoint, and a role of this user cannot read the key of their signatures".to_owned()
            }
            Err(error) => error.to_string(),
        };
        tracing::warn!("entries of the ledger cannot be judged: {why}");
        self.why = Some(why);
        unknown
    }
}
