//! The app's own REST endpoint, as one process of this app asks another of it:
//! that one holds splunkd's own session key and may what its caller may not.

use super::super::NAME;
use super::{Call, Splunkd, SplunkdError};
use bytes::Bytes;
use reqwest::Method;
use std::time::Duration;

const TRIAGE: &str = "a role of this user needs the capability defender_triage";
const HUNT: &str = "a role of this user needs the capability defender_hunt";
const EITHER: &str = "a role of this user needs the capability defender_triage or defender_hunt";
const ADMINISTRATOR: &str = "a role of this user needs the capability admin_all_objects";

/// The place below the endpoint where it tells of its own process.
pub const SELF: &str = "self";

/// What the endpoint can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// Verdicts carried out.
    Triage,
    /// What Defender says now.
    Live,
    /// The rows of a hunting query.
    Hunt,
    /// What stands between an account and its use.
    Check,
    /// Whether entries of the ledger are this app's own.
    Ledger,
}

impl Errand {
    /// Its place below the endpoint.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Triage => "triage",
            Self::Live => "live",
            Self::Hunt => "hunt",
            Self::Check => "check",
            Self::Ledger => "ledger",
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Triage | Self::Live | Self::Ledger => TRIAGE,
            Self::Hunt => HUNT,
            Self::Check => EITHER,
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Triage => "carry out a triage",
            Self::Live => "read what Defender says now",
            Self::Hunt => "hunt",
            Self::Check => "test an account",
            Self::Ledger => "judge entries of the ledger",
        }
    }
}

impl Splunkd {
    /// Has the endpoint do something; `None` if this splunkd serves no such
    /// endpoint. `within` is how long it may take. What splunkd did not take
    /// (429, 503) is asked again; what it took is asked once only.
    ///
    /// # Errors
    /// If it was refused, or nothing is known of how it went.
    pub async fn have_done(
        &self,
        errand: Errand,
        body: Bytes,
        within: Duration,
    ) -> Result<Option<Bytes>, SplunkdError> {
        self.ask(Call {
            method: Method::POST,
            body: Some(body),
            within: Some(within),
            ..Call::get(
                format!("services/{NAME}/{}", errand.path()),
                errand.what().to_owned(),
                errand.advice(),
            )
        })
        .await
    }

    /// Whether the endpoint is served to this user.
    ///
    /// # Errors
    /// If splunkd does not say.
    pub async fn serves_endpoint(&self) -> Result<bool, SplunkdError> {
        let call = Call::get(
            format!("services/{NAME}/ping"),
            "say whether it serves the app's REST endpoint".to_owned(),
            EITHER,
        );
        Ok(self.ask(call).await?.is_some())
    }

    /// What the endpoint's process says of itself, as JSON; `None` if this
    /// splunkd serves no such endpoint.
    ///
    /// # Errors
    /// If it was refused, or splunkd cannot have it answered.
    pub async fn endpoint_self(&self) -> Result<Option<Bytes>, SplunkdError> {
        let what = "say of itself what its REST endpoint is".to_owned();
        self.ask(Call::get(self_path(), what, ADMINISTRATOR)).await
    }

    /// The same, and the process ends after it has answered; splunkd starts
    /// another one with the next request.
    ///
    /// # Errors
    /// If it was refused, or splunkd cannot have it answered.
    pub async fn end_endpoint(&self) -> Result<Option<Bytes>, SplunkdError> {
        let what = "end the process of its REST endpoint".to_owned();
        self.ask(Call {
            method: Method::POST,
            body: Some(Bytes::from_static(br#"{"end":true}"#)),
            ..Call::get(self_path(), what, ADMINISTRATOR)
        })
        .await
    }
}

fn self_path() -> String {
    format!("services/{NAME}/{SELF}")
}
