//! Who may do what. splunkd is asked with the caller's own session key, on every way
//! in. Capabilities alone decide, never the name of a role.

use crate::splunk::splunkd::{Context, Splunkd, SplunkdError};

/// Sends verdicts and reads live state; `authorize.conf` declares it.
pub const TRIAGE: &str = "defender_triage";
/// Hunts through a whole tenant; `authorize.conf` declares it.
pub const HUNT: &str = "defender_hunt";
/// Reads the accounts' secrets that the app's ACL shows.
pub const SECRETS: &str = "list_storage_passwords";
/// Each of the two lets a user index outcomes; the first gives less besides.
pub const EVENTS: [&str; 2] = ["edit_log_alert_event", "edit_tcp"];
/// Implies every other capability, and read access past every ACL.
pub const ADMINISTRATOR: &str = "admin_all_objects";

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Send verdicts.
    Write,
    /// Read live state, with the secret at hand or through the endpoint.
    Read,
    /// Read live state through the endpoint, without ever seeing the secret.
    ReadThrough,
    Hunt,
    /// Test an account.
    Check,
    /// Test an account through the endpoint.
    CheckThrough,
    /// Ask the endpoint's process about itself.
    Administer,
    /// Run the self-test.
    SelfTest,
}

impl Right {
    /// The capabilities, of which any is enough.
    const fn enough(self) -> &'static [&'static str] {
        match self {
            Self::Write | Self::ReadThrough => &[TRIAGE],
            Self::Read => &[TRIAGE, SECRETS],
            Self::Hunt => &[HUNT],
            Self::Check => &[TRIAGE, HUNT, SECRETS],
            Self::CheckThrough => &[TRIAGE, HUNT],
            Self::Administer | Self::SelfTest => &[ADMINISTRATOR],
        }
    }

    const fn deed(self) -> &'static str {
        match self {
            Self::Write => "write to Microsoft Defender",
            Self::Read | Self::ReadThrough => "read from Microsoft Defender",
            Self::Hunt => "hunt in Microsoft Defender",
            Self::Check | Self::CheckThrough => "test an account of Microsoft Defender",
            Self::Administer => "ask the app's REST endpoint about itself",
            Self::SelfTest => "run the self-test",
        }
    }
}

/// Why nothing is done on this caller's behalf.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    #[error(
        "user \"{user}\" ({roles}) may not {}: a role of this user needs the capability {}; an administrator grants it in Settings > Roles (right after the app was installed Splunk must be restarted before it knows the app's own)",
        .right.deed(), .right.enough().join(" or ")
    )]
    Lacking {
        user: String,
        roles: String,
        right: Right,
    },
    #[error(transparent)]
    Unknown(#[from] SplunkdError),
}

/// The owner of a session key.
#[derive(Debug)]
pub struct Caller {
    pub user: String,
    context: Context,
}

impl Caller {
    /// # Errors
    /// If splunkd does not say who owns the session key.
    pub async fn of(splunkd: &Splunkd) -> Result<Self, SplunkdError> {
        Ok(Self::from(splunkd.current_context().await?))
    }

    /// The caller, who must have this right.
    ///
    /// # Errors
    /// If the owner of the session key lacks the capability, or splunkd does
    /// not say who that is.
    pub async fn who_may(right: Right, splunkd: &Splunkd) -> Result<Self, Denied> {
        let caller = Self::of(splunkd).await?;
        match caller.may(right) {
            true => Ok(caller),
            false => Err(Denied::Lacking {
                user: printable(&caller.user),
                roles: caller.roles(),
                right,
            }),
        }
    }

    /// The caller, who must have the right to send verdicts.
    ///
    /// # Errors
    /// As [`Caller::who_may`].
    pub async fn who_may_write(splunkd: &Splunkd) -> Result<Self, Denied> {
        Self::who_may(Right::Write, splunkd).await
    }

    /// Whether a role of the caller has one of the right's capabilities.
    pub fn may(&self, right: Right) -> bool {
        right.enough().iter().any(|capability| self.can(capability))
    }

    /// Whether nothing is hidden from the caller: neither by capability nor by ACL.
    pub fn is_administrator(&self) -> bool {
        self.can(ADMINISTRATOR)
    }

    /// Whether the caller can read the accounts' secrets that the ACL shows.
    pub fn reads_secrets(&self) -> bool {
        self.can(SECRETS)
    }

    /// Whether splunkd takes events from the caller.
    pub fn sends_events(&self) -> bool {
        EVENTS.iter().any(|capability| self.can(capability))
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

/// A foreign name, fit for one line of a log.
fn printable(name: &str) -> String {
    let visible = name.chars().filter(|c| !c.is_control());
    visible.take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(roles: &[&str], capabilities: &[&str]) -> Caller {
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        Caller::from(Context {
            username: "ann".to_owned(),
            roles: owned(roles),
            capabilities: owned(capabilities),
        })
    }

    #[test]
    fn no_name_of_a_role_gives_a_right() {
        for roles in [
            &["admin"][..],
            &["sc_admin"],
            &["admin", "sc_admin", "power"],
        ] {
            let named = caller(roles, &["search", "edit_user"]);
            for right in [
                Right::Write,
                Right::Read,
                Right::Hunt,
                Right::Check,
                Right::Administer,
            ] {
                assert!(!named.may(right), "{roles:?} {right:?}");
            }
        }
        assert!(caller(&["soc"], &[TRIAGE]).may(Right::Write));
    }

    #[test]
    fn who_may_administer_all_objects_may_everything() {
        let administrator = caller(&["boss"], &[ADMINISTRATOR]);
        for right in [
            Right::Write,
            Right::Read,
            Right::ReadThrough,
            Right::Hunt,
            Right::Check,
            Right::CheckThrough,
            Right::Administer,
        ] {
            assert!(administrator.may(right), "{right:?}");
        }
        assert!(administrator.reads_secrets() && administrator.sends_events());
    }

    #[test]
    fn hunting_is_a_right_of_its_own() {
        let analyst = caller(&["soc"], &[TRIAGE, SECRETS]);
        assert!(analyst.may(Right::Read) && !analyst.may(Right::Hunt));
        let hunter = caller(&["hunters"], &[HUNT]);
        assert!(hunter.may(Right::Hunt) && hunter.may(Right::CheckThrough));
        assert!(!hunter.may(Right::Write) && !hunter.may(Right::Read));
    }

    #[test]
    fn reading_a_secret_opens_no_way_through_the_endpoint() {
        let keeper = caller(&["keepers"], &[SECRETS]);
        assert!(keeper.may(Right::Read) && keeper.may(Right::Check));
        assert!(!keeper.may(Right::ReadThrough) && !keeper.may(Right::CheckThrough));
    }

    #[test]
    fn either_capability_sends_events() {
        for capability in EVENTS {
            assert!(
                caller(&["soc"], &[capability]).sends_events(),
                "{capability}"
            );
        }
        assert!(!caller(&["soc"], &[TRIAGE]).sends_events());
    }

    #[test]
    fn a_refusal_names_user_roles_deed_and_what_would_do() {
        let refusal = |right| {
            Denied::Lacking {
                user: "ann".to_owned(),
                roles: "role soc".to_owned(),
                right,
            }
            .to_string()
        };
        insta::assert_snapshot!(
            [Right::Write, Right::Read, Right::Hunt, Right::CheckThrough]
                .map(refusal)
                .join("\n"),
            @r#"
            user "ann" (role soc) may not write to Microsoft Defender: a role of this user needs the capability defender_triage; an administrator grants it in Settings > Roles (right after the app was installed Splunk must be restarted before it knows the app's own)
            user "ann" (role soc) may not read from Microsoft Defender: a role of this user needs the capability defender_triage or list_storage_passwords; an administrator grants it in Settings > Roles (right after the app was installed Splunk must be restarted before it knows the app's own)
            user "ann" (role soc) may not hunt in Microsoft Defender: a role of this user needs the capability defender_hunt; an administrator grants it in Settings > Roles (right after the app was installed Splunk must be restarted before it knows the app's own)
            user "ann" (role soc) may not test an account of Microsoft Defender: a role of this user needs the capability defender_triage or defender_hunt; an administrator grants it in Settings > Roles (right after the app was installed Splunk must be restarted before it knows the app's own)
            "#
        );
    }
}
