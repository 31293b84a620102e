//! Who may write to Defender, and read from it without an account's secret:
//! asked of splunkd, with the caller's own session key, on every way in.

use crate::splunk::splunkd::{Context, Splunkd, SplunkdError};

/// The capability `authorize.conf` declares.
pub const CAPABILITY: &str = "defender_triage";
/// Reads the accounts' secrets.
pub const SECRETS: &str = "list_storage_passwords";
/// Sends outcomes to the index.
pub const EVENTS: &str = "edit_tcp";
/// Stands for every other one.
const ADMINISTRATOR: &str = "admin_all_objects";
/// Roles to which `authorize.conf` grants the capability, and who may give it to
/// themselves; splunkd lists it only once it has read that file.
const GRANTED: [&str; 2] = ["admin", "sc_admin"];

/// Why nothing is done on this caller's behalf.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    #[error(
        "user \"{user}\" ({roles}) may not write to Microsoft Defender: a role of this user needs the capability {CAPABILITY}; an administrator grants it in Settings > Roles"
    )]
    Capability { user: String, roles: String },
    #[error(
        "user \"{user}\" ({roles}) may not read from Microsoft Defender: a role of this user needs the capability {CAPABILITY} to read through the app's REST endpoint, or {SECRETS} to read the account's secret; an administrator grants it in Settings > Roles"
    )]
    Reading { user: String, roles: String },
    #[error(transparent)]
    Unknown(#[from] SplunkdError),
}

/// Who asks.
#[derive(Debug)]
pub struct Caller {
    pub user: String,
    context: Context,
}

impl Caller {
    /// # Errors
    /// If splunkd does not say who it is.
    pub async fn of(splunkd: &Splunkd) -> Result<Self, SplunkdError> {
        Ok(Self::from(splunkd.current_context().await?))
    }

    /// One who may write.
    ///
    /// # Errors
    /// If the owner of the session key lacks the capability, or splunkd does
    /// not say who it is.
    pub async fn who_may_write(splunkd: &Splunkd) -> Result<Self, Denied> {
        let caller = Self::of(splunkd).await?;
        match caller.may_write() {
            true => Ok(caller),
            false => Err(Denied::Capability {
                user: printable(&caller.user),
                roles: caller.roles(),
            }),
        }
    }

    /// One who may read: with the secret at hand, or, with the capability,
    /// without ever seeing it.
    ///
    /// # Errors
    /// If the owner of the session key lacks both, or splunkd does not say who
    /// it is.
    pub async fn who_may_read(splunkd: &Splunkd) -> Result<Self, Denied> {
        let caller = Self::of(splunkd).await?;
        match caller.may_write() || caller.reads_secrets() {
            true => Ok(caller),
            false => Err(Denied::Reading {
                user: printable(&caller.user),
                roles: caller.roles(),
            }),
        }
    }

    /// Whether a role of the caller holds the capability.
    pub fn may_write(&self) -> bool {
        let granted = |role: &String| GRANTED.contains(&role.as_str());
        self.can(CAPABILITY) || self.context.roles.iter().any(granted)
    }

    /// Whether the caller can read the accounts' secrets.
    pub fn reads_secrets(&self) -> bool {
        self.context.can(SECRETS)
    }

    /// Whether splunkd takes events from the caller.
    pub fn sends_events(&self) -> bool {
        self.context.can(EVENTS)
    }

    fn roles(&self) -> String {
        let roles = &self.context.roles;
        let noun = if roles.len() == 1 { "role" } else { "roles" };
        format!("{noun} {}", printable(&roles.join(", ")))
    }

    fn can(&self, capability: &str) -> bool {
        self.context.can(capability) || self.context.can(ADMINISTRATOR)
    }
}

impl From<Context> for Caller {
    fn from(context: Context) -> Self {
        Self {
            user: context.username.clone(),
            context,
        }
    }
}

/// Names are others' words, and this is one line of a log.
fn printable(name: &str) -> String {
    let visible = name.chars().filter(|c| !c.is_control());
    visible.take(200).collect()
}
