//! The app's own REST endpoint, as one process of this app asks another of it:
//! that one holds splunkd's own session key and may what its caller may not.

use super::{Call, Splunkd, SplunkdError};
use crate::NAME;
use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use std::time::Duration;

const TRIAGE: &str = "a role of this user needs the capability defender_triage";
const HUNT: &str = "a role of this user needs the capability defender_hunt";
const EITHER: &str = "a role of this user needs the capability defender_triage or defender_hunt";
const ADMINISTRATOR: &str = "a role of this user needs the capability admin_all_objects";

/// The place below the endpoint where it tells of its own process.
pub const SELF: &str = "self";

/// Goes with each request: what one version asks, another may not understand.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long an endpoint that fails is asked whether it is there.
const BRIEF: Duration = Duration::from_secs(3);

/// What the endpoint says when it is asked whether it is there.
#[derive(Debug)]
pub enum Ping {
    Served {
        version: String,
        /// Why it does not run from a copy of its executable.
        in_place: Option<String>,
    },
    NotServed,
    /// It fails, or says what ours does not say.
    Broken(SplunkdError),
}

#[derive(Deserialize)]
struct Pong {
    app: String,
    version: String,
    #[serde(default)]
    in_place: Option<String>,
}

impl Ping {
    fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Pong>(body) {
            Ok(pong) if pong.app == NAME => Self::Served {
                version: pong.version,
                in_place: pong.in_place,
            },
            _ => Self::Broken(SplunkdError::Unintelligible {
                what: "say whether it serves the app's REST endpoint".to_owned(),
                why: "it is not what the endpoint of this app says",
            }),
        }
    }
}

/// What the endpoint can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
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

impl Route {
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
    pub async fn call_endpoint(
        &self,
        route: Route,
        body: Bytes,
        within: Duration,
    ) -> Result<Option<Bytes>, SplunkdError> {
        self.ask(Call {
            method: Method::POST,
            body: Some(body),
            within: Some(within),
            query: vec![("version", VERSION)],
            ..Call::get(
                format!("services/{NAME}/{}", route.path()),
                route.what().to_owned(),
                route.advice(),
            )
        })
        .await
    }

    /// Whether the endpoint is served to this user. One that fails is asked
    /// again for a moment only: splunkd may just be starting its process.
    ///
    /// # Errors
    /// If splunkd does not say.
    pub async fn ping_endpoint(&self) -> Result<Ping, SplunkdError> {
        let begun = std::time::Instant::now();
        let brief = Self {
            patience: self.patience.min(BRIEF),
            ..self.clone()
        };
        loop {
            let asked = brief.ask(Call::get(
                format!("services/{NAME}/ping"),
                "say whether it serves the app's REST endpoint".to_owned(),
                EITHER,
            ));
            return match asked.await {
                Ok(None) => Ok(Ping::NotServed),
                Ok(Some(body)) => Ok(Ping::read(&body)),
                Err(error) if error.busy() && begun.elapsed() < self.patience => continue,
                Err(error @ SplunkdError::Refused { status: 500.., .. }) => Ok(Ping::Broken(error)),
                Err(error) => Err(error),
            };
        }
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
