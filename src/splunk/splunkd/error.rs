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
        "splunkd at {uri} did not answer within {seconds} s when asked to {what}: it is overloaded or hangs; look at this host's load and at splunkd.log, then try again"
    )]
    Slow {
        uri: String,
        what: String,
        seconds: u64,
    },
    #[error(
        "splunkd at {uri} refuses the TLS handshake ({cause}): where server.conf [sslConfig] has requireClientCert = true, set it to false, since this app has no client certificate to show; else no TLS version or cipher suite is common to both (sslVersions, cipherSuite)"
    )]
    Handshake { uri: String, cause: String },
    #[error(
        "splunkd at {uri} shows a certificate that is signed with SHA-1, or comes from a CA that is; it is refused: replace it by one signed with SHA-256 or better"
    )]
    Sha1 { uri: String },
    #[error(
        "splunkd at {uri} shows a certificate that cannot be verified ({cause}): it must name the host (subjectAltName; Splunk's own default names none), and the CA that signed it must stand in $SPLUNK_HOME/etc/auth/cacert.pem or the system's trust store; an address of this machine needs neither while [splunkd] verify_tls is false"
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
    #[error("splunkd {} to {what} (HTTP {status}){said}{}", verb(*status), next(*status))]
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
        "splunkd gives {key} of {what} as a list where one value belongs: nothing is guessed; write the key once, with one value"
    )]
    NoOneValue { what: String, key: String },
    #[error(
        "splunkd cannot decrypt the secret of `{user}`: it was encrypted with another splunk.secret, as in a copied passwords.conf; store the secret again on this instance"
    )]
    Undecryptable { user: String },
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
        match self {
            Self::Unreachable { .. } | Self::Slow { .. } | Self::NotReady { .. } => true,
            Self::Refused { status, .. } => matches!(status, 429 | 500 | 502 | 504),
            _ => false,
        }
    }
}

/// From 500 on it is splunkd that failed, not the call.
const fn verb(status: u16) -> &'static str {
    match status {
        500.. => "failed",
        _ => "refused",
    }
}

const fn next(status: u16) -> &'static str {
    match status {
        500.. => "; splunkd.log says why, a later try may go well",
        _ => "",
    }
}
