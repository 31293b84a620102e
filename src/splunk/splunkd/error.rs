//! Why splunkd did not do it, and what to do about it.
//!
//! No text here may hold a session key or a stored secret: of an answer only
//! splunkd's own messages are quoted, and with the key blotted out.

/// A call to splunkd that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SplunkdError {
    #[error("`{uri}` is no address of splunkd: {why}")]
    Address { uri: String, why: &'static str },
    #[error("the CA file {file} cannot be used: {cause}")]
    CaFile { file: String, cause: String },
    #[error("no HTTPS client could be made for splunkd: {0}")]
    Client(String),
    #[error(
        "splunkd at {uri} cannot be reached ({cause}): check that it runs and that its management port is open to this machine"
    )]
    Unreachable { uri: String, cause: String },
    #[error(
        "splunkd at {uri} shows a certificate that cannot be verified ({cause}): put the certificate of the CA that signed it into $SPLUNK_HOME/etc/auth/cacert.pem or the system's trust store; it must name the host"
    )]
    Certificate { uri: String, cause: String },
    #[error(
        "splunkd no longer takes this session key (HTTP 401) when asked to {what}: it ends with the run splunkd gave it to, start the run again"
    )]
    SessionEnded { what: String },
    #[error("splunkd does not allow this user to {what} (HTTP 403){said}: {advice}")]
    Forbidden {
        what: String,
        said: String,
        advice: &'static str,
    },
    #[error("splunkd is still not ready (HTTP 503) to {what}{said}: try again in a minute")]
    NotReady { what: String, said: String },
    #[error("splunkd refused to {what} (HTTP {status}){said}")]
    Refused {
        what: String,
        status: u16,
        said: String,
    },
    #[error(
        "splunkd answered the call to {what} with something this version does not understand: {why}"
    )]
    Unintelligible { what: String, why: &'static str },
    #[error(
        "splunkd hides the secret of `{user}`: `view_cleartext_allowlist` in limits.conf [storage_passwords_masking] must hold the address this is run from"
    )]
    Masked { user: String },
}

impl SplunkdError {
    /// Whether splunkd understood the call and will not do it for this user.
    pub fn refused(&self) -> bool {
        match self {
            Self::SessionEnded { .. } | Self::Forbidden { .. } => true,
            Self::Refused { status, .. } => (400..500).contains(status) && !self.busy(),
            _ => false,
        }
    }

    /// Whether the app's own endpoint said no, having understood what was asked.
    pub const fn refused_by_endpoint(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 400 | 413,
                ..
            }
        )
    }

    /// Whether it would take the same in smaller parts.
    pub const fn too_large(&self) -> bool {
        matches!(self, Self::Refused { status: 413, .. })
    }

    /// Whether the app's endpoint is of another version, and began nothing.
    pub const fn of_another_version(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
    }

    /// Whether whoever answered failed.
    pub const fn failed(&self) -> bool {
        matches!(
            self,
            Self::Refused { status: 500.., .. }
                | Self::NotReady { .. }
                | Self::Unintelligible { .. }
        )
    }

    /// Whether nothing was taken yet, because there is too much to do.
    pub const fn busy(&self) -> bool {
        matches!(
            self,
            Self::NotReady { .. } | Self::Refused { status: 429, .. }
        )
    }

    /// Whether the same call may go well a little later.
    pub fn passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::NotReady { .. })
    }
}
