//! What a user of Splunk may do with this app, and which ways are open: directly
//! or through the app's REST endpoint.

use super::{CheckResult, CheckState};
use crate::bridge::account::{ACCOUNTS, ACL, SecretSeen};
use crate::bridge::own_endpoint::{Found, REMEDY};
use crate::bridge::permission::{Caller, EVENTS, HUNT, Right, SECRETS, TRIAGE};
use crate::bridge::{account, own_endpoint};
use crate::splunk::splunkd::{Splunkd, SplunkdError};

/// What to grant for outcomes to be indexed.
const EVENT: &str = EVENTS[0];

const LIVE: &str = "read live state";

/// Most accounts to look at for one whose secret is hidden.
const MOST: usize = 16;

/// What the owner of the session key may do.
pub async fn splunkd(splunkd: &Splunkd) -> Vec<CheckResult> {
    let asked = async {
        let info = splunkd.server_info().await?;
        Ok::<_, SplunkdError>((info.version, Caller::of(splunkd).await?))
    };
    match asked.await {
        Err(error) => vec![CheckResult::failed("splunkd", error.to_string())],
        Ok((version, caller)) => {
            let endpoint = match own_endpoint::look(splunkd).await {
                Ok(found) => found,
                Err(error) => Found::Busy(error),
            };
            let secrets = Secrets::of(splunkd, &caller).await;
            Access::of(&caller, secrets, endpoint).checks(&version)
        }
    }
}

/// Whether the user can read the secrets that going directly needs. splunkd is asked,
/// since a capability alone does not say so.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Secrets {
    Open,
    /// A capability is missing, whatever the ACL says.
    Forbidden,
    /// This account has none, or the ACL hides it.
    Hidden(String),
    /// This account has none; nothing is hidden from this user.
    Missing(String),
}

impl Secrets {
    async fn of(splunkd: &Splunkd, caller: &Caller) -> Self {
        let accounts = splunkd.conf_stanzas(ACCOUNTS).await.unwrap_or_default();
        for (name, stanza) in accounts.into_iter().take(MOST) {
            let auth = stanza.get("auth").map_or("", |auth| auth.trim());
            if matches!(auth, "managed_identity" | "workload_identity") {
                continue;
            }
            match account::secret_seen(splunkd, &name).await {
                Ok(SecretSeen::No) if caller.is_administrator() => return Self::Missing(name),
                Ok(SecretSeen::No) => return Self::Hidden(name),
                Ok(SecretSeen::Forbidden) => return Self::Forbidden,
                // An account's own checks say what else is wrong with it.
                Ok(SecretSeen::Yes) | Err(_) => {}
            }
        }
        match caller.reads_secrets() {
            true => Self::Open,
            false => Self::Forbidden,
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Open => "all secrets can be read".to_owned(),
            Self::Forbidden => format!("the capability {SECRETS} is missing"),
            Self::Hidden(account) => format!(
                "account \"{account}\" shows no secret: there is none, or no role of this user has read access to it"
            ),
            Self::Missing(account) => format!("account \"{account}\" has no secret"),
        }
    }

    fn remedy(&self) -> String {
        match self {
            Self::Open => String::new(),
            Self::Forbidden => format!(
                "let splunkd serve the endpoint ({REMEDY}), or grant {SECRETS} and read access to the secrets ({ACL})"
            ),
            Self::Hidden(_) => format!(
                "store it on the page Configuration, let splunkd serve the endpoint, or open the secrets to a role of this user: {ACL}"
            ),
            Self::Missing(_) => "store it on the page Configuration".to_owned(),
        }
    }
}

/// Which way is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Directly,
    Through,
    Nowhere,
}

struct Access<'c> {
    user: &'c str,
    administrator: bool,
    reads: bool,
    reads_through: bool,
    writes: bool,
    hunts: bool,
    secrets: Secrets,
    events: bool,
    endpoint: Found,
}

impl<'c> Access<'c> {
    fn of(caller: &'c Caller, secrets: Secrets, endpoint: Found) -> Self {
        Self {
            user: &caller.user,
            administrator: caller.is_administrator(),
            reads: caller.may(Right::Read),
            reads_through: caller.may(Right::ReadThrough),
            writes: caller.may(Right::Write),
            hunts: caller.may(Right::Hunt),
            events: caller.sends_events(),
            secrets,
            endpoint,
        }
    }

    fn checks(&self, version: &str) -> Vec<CheckResult> {
        let who = format!("Splunk {version} as {}", self.user);
        vec![
            ok("splunkd", who),
            self.reading(),
            self.writing(),
            self.hunting(),
            self.indexing().permission(EVENT),
            self.endpoint(),
        ]
    }

    fn reading(&self) -> CheckResult {
        const CHECK: &str = "reading from Defender";
        self.right(CHECK, self.reads, self.reads_through, LIVE, TRIAGE)
    }

    fn writing(&self) -> CheckResult {
        const CHECK: &str = "writing to Defender";
        self.right(
            CHECK,
            self.writes,
            self.writes,
            "send verdicts back",
            TRIAGE,
        )
    }

    fn hunting(&self) -> CheckResult {
        const CHECK: &str = "hunting in Defender";
        self.right(CHECK, self.hunts, self.hunts, "hunt", HUNT)
    }

    /// As commands and actions choose it.
    fn route(&self, may_go_through: bool) -> Route {
        let direct = self.secrets == Secrets::Open;
        let through = may_go_through && matches!(self.endpoint, Found::Served { .. });
        match (self.administrator, direct, through) {
            (true, true, _) | (false, true, false) => Route::Directly,
            (_, _, true) => Route::Through,
            (_, false, false) => Route::Nowhere,
        }
    }

    fn right(
        &self,
        check: &str,
        may: bool,
        through: bool,
        what: &str,
        capability: &str,
    ) -> CheckResult {
        let user = self.user;
        if !may {
            let finding = format!("{user} may not {what}");
            // A user who may neither read nor hunt gets nothing from Defender.
            let state = match what == LIVE && !self.hunts {
                true => CheckState::Failed,
                false => CheckState::Warning,
            };
            let result = CheckResult::new(check, state, finding).remedy(grant(capability));
            return result.permission(capability);
        }
        let found = match self.route(through) {
            Route::Directly => ok(check, format!("{user} may {what}: directly")),
            Route::Through => ok(
                check,
                format!("{user} may {what}: through the app's REST endpoint"),
            ),
            Route::Nowhere => {
                let finding = format!(
                    "{user} may {what}, but no REST endpoint stands in, and {}",
                    self.secrets.why()
                );
                CheckResult::failed(check, finding).remedy(self.secrets.remedy())
            }
        };
        found.permission(capability)
    }

    fn indexing(&self) -> CheckResult {
        const CHECK: &str = "indexing outcomes";
        let user = self.user;
        if self.route(self.writes) == Route::Through {
            return ok(CHECK, format!("of {user}: through the app's REST endpoint"));
        }
        if self.events {
            return ok(CHECK, format!("splunkd takes them from {user}: directly"));
        }
        let finding = format!(
            "splunkd takes none from {user}, so they wait on this machine for the next run of an input"
        );
        CheckResult::new(CHECK, CheckState::Warning, finding).remedy(grant(EVENT))
    }

    fn endpoint(&self) -> CheckResult {
        const CHECK: &str = "REST endpoint";
        let warning = |finding: &str| CheckResult::new(CHECK, CheckState::Warning, finding);
        match &self.endpoint {
            Found::Served { in_place: None } => ok(CHECK, "served"),
            Found::Served {
                in_place: Some(why),
            } => warning(&format!(
                "served, but by the installed executable itself and not by a copy ({why})"
            ))
            .remedy("end Splunk before an upgrade of this app, which cannot overwrite it meanwhile"),
            Found::NotServed => warning(&format!(
                "not served, so every role needs {SECRETS} and read access to the secrets of its own"
            ))
            .remedy("restart Splunk after installing the app, and leave its restmap.conf as it is"),
            Found::Broken(why) => warning(why),
            Found::Busy(error) => warning(&error.to_string()),
        }
    }
}

fn ok(check: &str, finding: impl Into<String>) -> CheckResult {
    CheckResult::new(check, CheckState::Ok, finding)
}

fn grant(capability: &str) -> String {
    format!(
        "a role of this user needs the capability {capability}; an administrator grants it in Settings > Roles"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_open_to_a_user_are_told_in_plain_words() {
        let served = || Found::Served { in_place: None };
        let hidden = || Secrets::Hidden("contoso".to_owned());
        let broken = || Found::Broken(format!("the endpoint does not work (HTTP 500): {REMEDY}"));
        let mut report = String::new();
        for (user, [administrator, writes, hunts, events], secrets, endpoint) in [
            ("admin", [true; 4], Secrets::Open, served()),
            ("admin", [true; 4], Secrets::Open, Found::NotServed),
            (
                "admin",
                [true; 4],
                Secrets::Missing("contoso".to_owned()),
                Found::NotServed,
            ),
            (
                "ann",
                [false, true, false, false],
                Secrets::Forbidden,
                served(),
            ),
            (
                "ann",
                [false, true, false, false],
                Secrets::Forbidden,
                Found::NotServed,
            ),
            ("pat", [false, true, true, false], hidden(), served()),
            ("pat", [false, true, true, true], hidden(), broken()),
            ("pat", [false, true, true, true], Secrets::Open, broken()),
            (
                "hal",
                [false, false, true, false],
                Secrets::Forbidden,
                served(),
            ),
            (
                "rita",
                [false; 4],
                Secrets::Forbidden,
                Found::Served {
                    in_place: Some("var/run is mounted noexec".to_owned()),
                },
            ),
        ] {
            let access = Access {
                user,
                administrator,
                reads: writes || secrets != Secrets::Forbidden,
                reads_through: writes,
                writes,
                hunts,
                secrets,
                events,
                endpoint,
            };
            report += "\n";
            for result in access.checks("10.4.2") {
                let state = result.state.as_str();
                report += &format!("{state} | {} | {}\n", result.check, result.message());
            }
        }
        insta::assert_snapshot!(report);
    }
}
