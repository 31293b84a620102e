//! Who may write to Defender: asked of splunkd, with the caller's own session
//! key, on every way in.

use crate::splunk::splunkd::{Context, Splunkd, SplunkdError};

/// The capability `authorize.conf` declares.
pub const CAPABILITY: &str = "defender_triage";
/// Reads the accounts' secrets.
const SECRETS: &str = "list_storage_passwords";
/// Sends outcomes to the index.
const EVENTS: &str = "edit_tcp";
/// Stands for every other one.
const ADMINISTRATOR: &str = "admin_all_objects";
/// Roles to which `authorize.conf` grants the capability, and who may give it to
/// themselves; splunkd lists it only once it has read that file.
const GRANTED: [&str; 2] = ["admin", "sc_admin"];

/// Why nobody may write on this caller's behalf.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    #[error(
        "user \"{user}\" ({roles}) may not write to Microsoft Defender: a role of this user needs the capability {CAPABILITY}; an administrator grants it in Settings > Roles"
    )]
    Capability { user: String, roles: String },
    #[error(transparent)]
    Unknown(#[from] SplunkdError),
}

/// A caller who may write to Defender.
#[derive(Debug)]
pub struct Caller {
    pub user: String,
    context: Context,
}

impl Caller {
    /// # Errors
    /// If the owner of the session key lacks the capability, or splunkd does
    /// not say who it is.
    pub async fn of(splunkd: &Splunkd) -> Result<Self, Denied> {
        let context = splunkd.current_context().await?;
        let caller = Self {
            user: context.username.clone(),
            context,
        };
        let granted = |role: &String| GRANTED.contains(&role.as_str());
        if caller.can(CAPABILITY) || caller.context.roles.iter().any(granted) {
            return Ok(caller);
        }
        let noun = if caller.context.roles.len() == 1 {
            "role"
        } else {
            "roles"
        };
        Err(Denied::Capability {
            user: printable(&caller.user),
            roles: format!("{noun} {}", printable(&caller.context.roles.join(", "))),
        })
    }

    /// Whether the caller can read the accounts' secrets.
    pub fn reads_secrets(&self) -> bool {
        self.context.can(SECRETS)
    }

    /// Whether splunkd takes events from the caller.
    pub fn sends_events(&self) -> bool {
        self.context.can(EVENTS)
    }

    fn can(&self, capability: &str) -> bool {
        self.context.can(capability) || self.context.can(ADMINISTRATOR)
    }
}

/// Names are others' words, and this is one line of a log.
fn printable(name: &str) -> String {
    let visible = name.chars().filter(|c| !c.is_control());
    visible.take(200).collect()
}
