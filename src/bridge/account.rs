//! Accounts as splunkd keeps them: the stanza of `defender_bridge_account.conf`,
//! the proxy of `defender_bridge_settings.conf`, the secrets of storage/passwords.

use super::signature;
use crate::bridge::permission::Caller;
use crate::host::{log, paths};
use crate::microsoft::Account;
use crate::microsoft::account::AccountStanza;
use crate::splunk::splunkd::conf_file::{boolean, verify_tls};
use crate::splunk::splunkd::{Splunkd, SplunkdError, Tls};
use anyhow::{anyhow, bail};
use secrecy::SecretString;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

pub const ACCOUNTS: &str = "defender_bridge_account";
const SETTINGS: &str = "defender_bridge_settings";

/// The name of the proxy's password in storage/passwords.
const PROXY: &str = "proxy";
/// Names in storage/passwords that are no account's.
const TAKEN: [(&str, &str); 2] = [
    (PROXY, "the proxy's password"),
    (signature::KEY, "the key of the ledger's signatures"),
];

/// How long to wait for splunkd, which may still be starting when it starts its inputs.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to splunkd by this app's settings.
pub fn splunkd(
    server_uri: &str,
    session_key: SecretString,
    patience: Duration,
) -> anyhow::Result<Splunkd> {
    let verify = paths::app().map_or(Ok(false), |app| verify_tls(&app))?;
    let tls = Tls::of_splunk(verify, paths::splunk().as_deref());
    Ok(Splunkd::new(server_uri, session_key, &tls, patience)?)
}

/// The settings of `defender_bridge_settings.conf` that are not an account's.
#[derive(Debug, Default)]
pub struct Settings {
    proxy: BTreeMap<String, String>,
    triage: BTreeMap<String, String>,
}

/// Distinct targets of one action, unless the settings say otherwise.
const MAX_TARGETS: usize = 1000;

/// `[triage] max_targets` that is no number.
#[derive(Debug, thiserror::Error)]
#[error("{SETTINGS}.conf [triage] max_targets: \"{0}\" is no number of targets")]
pub struct BadLimit(String);

impl Settings {
    /// The index of outcomes; if none, splunkd's default.
    pub fn outcome_index(&self) -> Option<String> {
        let text = self.triage.get("index")?.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if text.len() > 80 || !text.chars().all(plain) {
            let visible: String = text.chars().take(64).flat_map(char::escape_debug).collect();
            tracing::warn!(
                "{SETTINGS}.conf [triage] index: \"{visible}\" is no index; outcomes go to the default one"
            );
            return None;
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// How many distinct targets one action or search may have.
    pub fn max_targets(&self) -> Result<usize, BadLimit> {
        match self.triage.get("max_targets").map(|text| text.trim()) {
            None | Some("") => Ok(MAX_TARGETS),
            Some(text) => text.parse().map_err(|_| {
                let visible = text.chars().filter(|c| !c.is_control());
                BadLimit(visible.take(64).collect())
            }),
        }
    }
}

/// Reads the settings and applies the log level.
pub async fn settings(splunkd: &Splunkd) -> Result<Settings, SplunkdError> {
    let mut stanzas: BTreeMap<String, BTreeMap<String, String>> =
        splunkd.conf_stanzas(SETTINGS).await?.into_iter().collect();
    if let Some(name) = stanzas
        .get("logging")
        .and_then(|logging| logging.get("level"))
        && let Err(why) = log::level(name)
    {
        tracing::warn!("{SETTINGS}.conf [logging] level: {why}; INFO is used");
    }
    Ok(Settings {
        proxy: stanzas.remove("proxy").unwrap_or_default(),
        triage: stanzas.remove("triage").unwrap_or_default(),
    })
}

/// An account, and the notes for people in its stanza.
pub struct StoredAccount {
    pub account: Account,
    /// The day the secret ends, as the stanza says.
    pub secret_expires: Option<String>,
}

/// The account of this name, its secret included.
pub async fn account(
    splunkd: &Splunkd,
    settings: &Settings,
    name: &str,
) -> anyhow::Result<Account> {
    Ok(kept(splunkd, settings, name).await?.account)
}

/// The account of this name, and the day its secret ends.
pub async fn kept(
    splunkd: &Splunkd,
    settings: &Settings,
    name: &str,
) -> anyhow::Result<StoredAccount> {
    let Some(stanza) = splunkd.conf(ACCOUNTS, name).await? else {
        return Err(unknown(splunkd, name).await);
    };
    let text = |key: &str| stanza.get(key).cloned().unwrap_or_default();
    match text("disabled").trim() {
        "" => {}
        word => match boolean(word) {
            Some(false) => {}
            Some(true) => {
                bail!(
                    "account \"{name}\" is disabled in {ACCOUNTS}.conf: enable it, or name another"
                )
            }
            None => bail!(
                "{ACCOUNTS}.conf [{name}] disabled: \"{}\" is neither true nor false",
                word.chars().take(64).collect::<String>().escape_debug()
            ),
        },
    }
    if let Some((taken, what)) = TAKEN.into_iter().find(|(taken, _)| *taken == name) {
        bail!("no account can be called \"{taken}\": under that name {what} is kept");
    }
    let proxy = |key: &str| settings.proxy.get(key).cloned().unwrap_or_default();
    let auth = text("auth");
    let has_secret = !matches!(auth.trim(), "managed_identity" | "workload_identity");
    let written = AccountStanza {
        tenant_id: text("tenant_id"),
        client_id: text("client_id"),
        cloud: text("cloud"),
        login_url: text("login_url"),
        graph_url: text("graph_url"),
        mde_url: text("mde_url"),
        xdr_url: text("xdr_url"),
        ca_file: text("ca_file"),
        read_only: text("read_only"),
        secret: match has_secret {
            true => splunkd.password(name).await?,
            false => None,
        },
        proxy_password: match (proxy("url").trim(), proxy("username").trim()) {
            ("", _) | (_, "") => None,
            _ => splunkd.password(PROXY).await?,
        },
        proxy_url: proxy("url"),
        proxy_username: proxy("username"),
        no_proxy: proxy("no_proxy"),
        auth,
    };
    let expires = text("secret_expires").trim().to_owned();
    remind(name, &expires);
    let account = match Account::parse(name, &written, |variable| std::env::var(variable).ok()) {
        Ok(account) => account,
        Err(refusal) => {
            let besides = match has_secret && written.secret.is_none() && refusal.key == "secret" {
                true => hidden(splunkd).await,
                false => String::new(),
            };
            bail!(
                "{ACCOUNTS}.conf [{name}] {}: {}{besides}",
                refusal.key,
                refusal.why
            );
        }
    };
    Ok(StoredAccount {
        account,
        secret_expires: (has_secret && !expires.is_empty()).then_some(expires),
    })
}

/// How an account's secret looks to the owner of a session key. Nothing looks at its
/// value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretSeen {
    Yes,
    /// There is none, or the ACL hides it.
    No,
    /// A capability is missing.
    Forbidden,
}

/// # Errors
/// If splunkd does not say.
pub async fn secret_seen(splunkd: &Splunkd, name: &str) -> Result<SecretSeen, SplunkdError> {
    match splunkd.password(name).await {
        Ok(Some(_)) => Ok(SecretSeen::Yes),
        Ok(None) => Ok(SecretSeen::No),
        Err(SplunkdError::Forbidden { .. }) => Ok(SecretSeen::Forbidden),
        Err(error) => Err(error),
    }
}

/// Accounts whose secret was asked for, and whether the owner of the session key can
/// read it.
#[derive(Default)]
pub struct SecretsSeen(RefCell<BTreeMap<String, bool>>);

impl SecretsSeen {
    /// Whether the secret is hidden from the caller, or not there. Each account is
    /// asked for once.
    pub async fn is_hidden(&self, splunkd: &Splunkd, account: &str) -> bool {
        let known = self.0.borrow().get(account).copied();
        if let Some(hidden) = known {
            return hidden;
        }
        let seen = secret_seen(splunkd, account).await;
        // What else is wrong with the account, its use will say.
        let hidden = matches!(seen, Ok(SecretSeen::No | SecretSeen::Forbidden));
        self.0.borrow_mut().insert(account.to_owned(), hidden);
        hidden
    }
}

/// Where an administrator opens the stored secrets to more roles.
pub const ACL: &str = "[passwords] in the app's metadata/local.meta";

/// What to add to the error about a missing secret: to a user who may not see
/// everything, a secret that the ACL hides looks like a missing one.
async fn hidden(splunkd: &Splunkd) -> String {
    match Caller::of(splunkd).await {
        Ok(caller) if !caller.is_administrator() => format!(
            "; or there is one and no role of user \"{}\" has read access to it: {ACL}",
            caller.user
        ),
        _ => String::new(),
    }
}

/// The error about an account that does not exist.
pub async fn unknown(splunkd: &Splunkd, name: &str) -> anyhow::Error {
    let known = match splunkd.conf_names(ACCOUNTS).await {
        Ok(known) => known,
        Err(error) => {
            return anyhow!(
                "account \"{name}\" is unknown, and the others cannot be listed: {error}"
            );
        }
    };
    anyhow!(
        "account \"{name}\" is unknown: create it in {ACCOUNTS}.conf (known: {})",
        if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        }
    )
}

/// Nobody can ask Microsoft when a secret ends; the stanza may say it.
fn remind(account: &str, expires: &str) {
    const DAYS: i32 = 30;
    if expires.is_empty() {
        return;
    }
    let Ok(day) = expires.parse::<jiff::civil::Date>() else {
        return tracing::warn!(
            "{ACCOUNTS}.conf [{account}] secret_expires: \"{expires}\" is no day such as 2027-03-31"
        );
    };
    let today = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    let left = (day - today).get_days();
    if left <= DAYS {
        tracing::warn!(
            "the secret of account \"{account}\" expires on {day} ({left} days from now): create a \
             new one and store it for this account"
        );
    }
}
