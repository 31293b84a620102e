//! What stands between this machine and a working account, check by check: what
//! was found, and what to do about it.

mod access;
mod release;
mod stream;

pub use stream::{SavedInput, saved_input, stream};

use super::account;
use crate::bridge::account::Settings;
use crate::host::paths;
use crate::ingest::{Instant, ListQuery, ListSource};
use crate::microsoft::account::Auth;
use crate::microsoft::account::connection_string::ConnectionString;
use crate::microsoft::defender::hunting::PERMISSION as HUNT;
use crate::microsoft::{Account, Client, Error, Feed, FeedSource};
use crate::splunk::splunkd::Splunkd;
use crate::triage::{Api, Subject};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::time::Duration;

/// How long one check may take.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Most seconds this clock may be off: tokens are valid from and to an exact second, so
/// more breaks sign-in by certificate.
const SKEW: i64 = 60;

/// How a check turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    Ok,
    /// It works, but not all that a user may want works.
    Warning,
    Failed,
}

impl CheckState {
    /// The word of a result.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The input that is checked, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    pub check: String,
    pub state: CheckState,
    /// The permission or capability that is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// What was found.
    pub finding: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl CheckResult {
    pub fn new(check: impl Into<String>, state: CheckState, finding: impl Into<String>) -> Self {
        Self {
            input: None,
            check: check.into(),
            state,
            permission: None,
            finding: finding.into(),
            remedy: None,
        }
    }

    pub fn failed(check: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(check, CheckState::Failed, finding)
    }

    fn permission(self, name: &str) -> Self {
        Self {
            permission: Some(name.to_owned()),
            ..self
        }
    }

    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }

    fn error(check: impl Into<String>, error: &Error) -> Self {
        Self {
            remedy: error.advice().map(str::to_owned),
            ..Self::failed(check, error.to_string())
        }
    }

    /// Finding and remedy in one sentence.
    pub fn message(&self) -> String {
        let mut message = self.finding.clone();
        if let Some(remedy) = &self.remedy {
            // Writing to a string cannot fail.
            write!(message, ": {remedy}").ok();
        }
        message
    }
}

/// The account that the endpoint is to check.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    pub account: String,
    /// This input of it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
}

/// The results.
#[derive(Debug, Serialize, Deserialize)]
pub struct CheckAnswer {
    pub checks: Vec<CheckResult>,
}

/// Checks this splunkd, and what the owner of the session key may do.
pub async fn splunkd(splunkd: &Splunkd) -> Vec<CheckResult> {
    let mut results = access::splunkd(splunkd).await;
    results.extend(release::checks(splunkd).await);
    results
}

/// Checks the account of this name, and the streams that are read with it on this
/// server; or of these one alone.
pub async fn account(
    splunkd: &Splunkd,
    settings: &Settings,
    name: &str,
    input: Option<&str>,
) -> Vec<CheckResult> {
    let account = match account::account(splunkd, settings, name).await {
        Ok(account) => account,
        Err(error) => return vec![CheckResult::failed("account", format!("{error:#}"))],
    };
    let mut results = match input {
        None => defender(&account).await,
        Some(_) => Vec::new(),
    };
    let inputs = match stream::saved(splunkd, name).await {
        Ok(inputs) => inputs,
        Err(error) if input.is_some() => {
            return vec![CheckResult::failed("input", error.to_string())];
        }
        Err(error) => {
            tracing::debug!("{error}");
            return results;
        }
    };
    let wanted = |one: &SavedInput| input.is_none_or(|input| one.stanza.name == input);
    for saved in inputs.into_iter().filter(wanted) {
        results.extend(stream::of_input(&account, &saved).await);
    }
    if let (Some(input), true) = (input, results.is_empty()) {
        let finding = format!("no stream of account \"{name}\" is read by an input \"{input}\"");
        let result = CheckResult::failed("input", finding);
        results.push(result.remedy("name an input with feed = event_hub or storage"));
    }
    results
}

/// Checks an account: sign-in, permissions, one call to each list, the clock.
pub async fn defender(account: &Account) -> Vec<CheckResult> {
    if let Auth::ConnectionString(connection) = &account.auth {
        return vec![connection_string(connection)];
    }
    let state = paths::state();
    let client = match Client::new(account, Api::Graph, state.as_deref()) {
        Ok(client) => client.patience(TIMEOUT),
        Err(error) => return vec![CheckResult::error("account", &error)],
    };
    let mut results = Vec::new();
    let granted = match client.permissions().await {
        Err(error) => {
            results.push(CheckResult::error("sign-in", &error));
            return results;
        }
        Ok(granted) => granted,
    };
    results.push(CheckResult::new(
        "sign-in",
        CheckState::Ok,
        format!("tenant {}, {}", account.tenant_id, client.base()),
    ));
    for (permission, what, only_for) in [
        ("SecurityAlert.Read.All", "read alerts", None),
        ("SecurityIncident.Read.All", "read incidents", None),
        ("SecurityAlert.ReadWrite.All", "write alerts", VERDICTS),
        (
            "SecurityIncident.ReadWrite.All",
            "write incidents",
            VERDICTS,
        ),
        (
            HUNT,
            "hunt",
            Some("only for the search command defenderhunt"),
        ),
    ] {
        results.push(check_permission(&granted, permission, what, only_for));
    }
    for subject in [Subject::Alert, Subject::Incident] {
        results.push(list(&client, subject).await);
    }
    results.push(clock(client.skew()));
    results
}

/// Which hub or container it is to read, only an input says: saving one tries it.
fn connection_string(connection: &ConnectionString) -> CheckResult {
    let what = match connection {
        ConnectionString::EventHubs(hubs) => format!("event hubs at {}", hubs.host),
        ConnectionString::Storage(storage) => {
            format!(
                "storage at {}",
                storage.blobs.host_str().unwrap_or_default()
            )
        }
    };
    CheckResult::new(
        "account",
        CheckState::Ok,
        format!(
            "a connection string for {what}, for streams alone; the inputs that use it are checked below, where there are any"
        ),
    )
}

const VERDICTS: Option<&str> = Some("only for sending verdicts back");

fn check_permission(
    granted: &[String],
    permission: &str,
    what: &str,
    only_for: Option<&str>,
) -> CheckResult {
    let broader = permission.replace(".Read.", ".ReadWrite.");
    let has = |wanted: &str| granted.iter().any(|granted| granted == wanted);
    let name = format!("permission to {what}");
    let result = if has(permission) || has(&broader) {
        CheckResult::new(name, CheckState::Ok, permission)
    } else {
        let (state, note) = match only_for {
            None => (CheckState::Failed, String::new()),
            Some(why) => (CheckState::Warning, format!(" ({why})")),
        };
        CheckResult::new(name, state, format!("the token lacks {permission}{note}")).remedy(
            "add it to the app registration as an application permission of Microsoft Graph and \
             grant admin consent",
        )
    };
    result.permission(permission)
}

async fn list(client: &Client, subject: Subject) -> CheckResult {
    let now = Instant::from(jiff::Timestamp::now()).millisecond();
    let query = ListQuery::for_a_sample(now);
    let feed = match Feed::new(Api::Graph, subject, None, &[]) {
        Ok(feed) => feed,
        Err(error) => return CheckResult::failed("feed", error.to_string()),
    };
    let check = format!("one call to {feed}");
    match FeedSource::new(client.clone(), feed).page(&query).await {
        Ok(page) if page.objects.is_empty() => CheckResult::new(
            check,
            CheckState::Ok,
            "answered; nothing was updated in the last day",
        ),
        Ok(_) => CheckResult::new(check, CheckState::Ok, "answered"),
        Err(error) => CheckResult::failed(check, error.to_string()),
    }
}

fn clock(skew: Option<i64>) -> CheckResult {
    match skew {
        None => CheckResult::new("clock", CheckState::Warning, "no answer says the time"),
        Some(skew) if skew.abs() <= SKEW => {
            CheckResult::new("clock", CheckState::Ok, format!("{} s off", skew.abs()))
        }
        Some(skew) => {
            let way = if skew > 0 { "ahead of" } else { "behind" };
            let finding = format!("this machine is {} s {way} Microsoft's", skew.abs());
            CheckResult::failed("clock", finding).remedy(
                "correct it (NTP), or sign-in will be refused and the newest objects read late",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_says_what_was_found_and_what_to_do() {
        let granted = ["SecurityAlert.ReadWrite.All".to_owned()];
        let messages = [
            check_permission(&granted, "SecurityAlert.Read.All", "read alerts", None),
            check_permission(
                &granted,
                "SecurityIncident.Read.All",
                "read incidents",
                None,
            ),
            check_permission(
                &granted,
                "SecurityIncident.ReadWrite.All",
                "write incidents",
                VERDICTS,
            ),
            clock(Some(-90)),
            clock(Some(3)),
            clock(None),
        ]
        .map(|result| {
            format!(
                "{} | {} | {}",
                result.state.as_str(),
                result.check,
                result.message()
            )
        });
        insta::assert_snapshot!(messages.join("\n"), @r"
        ok | permission to read alerts | SecurityAlert.Read.All
        failed | permission to read incidents | the token lacks SecurityIncident.Read.All: add it to the app registration as an application permission of Microsoft Graph and grant admin consent
        warning | permission to write incidents | the token lacks SecurityIncident.ReadWrite.All (only for sending verdicts back): add it to the app registration as an application permission of Microsoft Graph and grant admin consent
        failed | clock | this machine is 90 s behind Microsoft's: correct it (NTP), or sign-in will be refused and the newest objects read late
        ok | clock | 3 s off
        warning | clock | no answer says the time
        ");
    }
}
