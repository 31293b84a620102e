//! Answered HTTP calls to one API family with one account.

use crate::defender::account::Account;
use crate::defender::cloud::Family;
use crate::defender::error::Error;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// One account and one API family. Cloning is cheap and shares everything.
#[derive(Debug, Clone)]
pub struct Client {}

/// An answer with a 2xx status; anything else is an [`Error`].
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// Microsoft's `request-id`.
    pub request_id: Option<String>,
    /// The `Warning` header: the answer may be partial.
    pub warning: Option<String>,
    /// Calls it took, retries included.
    pub attempts: u32,
}

/// What a client has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// API calls sent, retries included.
    pub calls: u64,
    pub throttles: u64,
    pub retries: u64,
    /// Decoded bytes received from the API.
    pub bytes: u64,
    /// Tokens fetched.
    pub tokens: u64,
}

/// Which published quota a write draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// The family's quota; a Graph `$batch` counts as many calls as it has parts.
    Calls(u32),
    /// MDE's `batchUpdate`, which has a quota of its own beside the family's.
    BatchUpdate,
}

impl Client {
    /// `state_dir` is where the call budget shared between processes lives;
    /// without it the budget is this process's alone.
    pub fn new(
        account: &Account,
        family: Family,
        state_dir: Option<&Path>,
    ) -> Result<Client, Error> {
        let (_, _, _) = (account, family, state_dir);
        Ok(Client {})
    }

    /// Bounds the time one call may take with all its waiting (default: 5 minutes).
    pub fn patience(self, limit: Duration) -> Client {
        let _ = limit;
        self
    }

    /// `path_and_query` is joined to the family's base URL and starts with `/`.
    pub async fn get(&self, path_and_query: &str) -> Result<Answer, Error> {
        let _ = path_and_query;
        Ok(Answer::default())
    }

    /// Sends a JSON body. PATCH is repeated like a GET; POST only where the
    /// service cannot have carried it out (see [`Error::uncertain`]).
    pub async fn write(
        &self,
        method: reqwest::Method,
        path: &str,
        body: &str,
        quota: Quota,
    ) -> Result<Answer, Error> {
        let (_, _, _, _) = (method, path, body, quota);
        Ok(Answer::default())
    }

    /// Like [`Client::write`], for a PATCH that must not be repeated once it may
    /// have been carried out, because it appends (MDE's `comment`).
    pub async fn write_once(
        &self,
        method: reqwest::Method,
        path: &str,
        body: &str,
        quota: Quota,
    ) -> Result<Answer, Error> {
        let (_, _, _, _) = (method, path, body, quota);
        Ok(Answer::default())
    }

    pub fn calls(&self) -> Calls {
        Calls::default()
    }

    /// The permissions (`roles`) the token carries; for diagnosis only.
    pub async fn permissions(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    /// How far the local clock is ahead of the server's (seconds, negative: behind);
    /// `None` before the first answer.
    pub fn skew(&self) -> Option<i64> {
        None
    }

    pub fn family(&self) -> Family {
        Family::Graph
    }

    /// The family's base URL.
    pub fn base(&self) -> &Url {
        unimplemented!()
    }
}
