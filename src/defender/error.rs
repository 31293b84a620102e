//! What can go wrong between an account and an answered call.

use std::time::Duration;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting cannot be used.
    #[error("account {account}: {what}")]
    Setting { account: String, what: String },
    /// A write through an account that must not write.
    #[error("account {account} is read_only: nothing was written")]
    ReadOnly { account: String },
    /// Microsoft refused the sign-in (or kept failing).
    #[error("sign-in at {host} refused: {message}")]
    SignIn {
        host: String,
        status: u16,
        /// The OAuth error word.
        code: String,
        /// AADSTS numbers.
        codes: Vec<u32>,
        message: String,
        correlation_id: Option<String>,
        trace_id: Option<String>,
    },
    /// No answer came.
    #[error("{host}: {what}")]
    Network {
        host: String,
        what: String,
        advice: Option<&'static str>,
        /// The request may have been carried out all the same.
        uncertain: bool,
    },
    /// The API points to another place; it is not followed.
    #[error("{host} redirects to {location}: not followed")]
    Foreign { host: String, location: String },
    /// The API answered with an error.
    #[error("{host} answered {status} {code}: {message}")]
    Service {
        host: String,
        status: u16,
        /// Microsoft's `error.code`; empty where the body has none.
        code: String,
        /// Microsoft's `error.message`.
        message: String,
        request_id: Option<String>,
        attempts: u32,
    },
    /// Throttled for longer than this run may wait.
    #[error("{host} throttles this account")]
    Throttled {
        host: String,
        retry_after: Duration,
        request_id: Option<String>,
    },
    /// The body is larger than the cap.
    #[error("{host}: the answer is larger than {cap} bytes")]
    BodyTooLarge {
        host: String,
        cap: usize,
        request_id: Option<String>,
    },
    /// The body ended early.
    #[error("{host}: the answer ended early, after {got} bytes")]
    Truncated {
        host: String,
        got: usize,
        request_id: Option<String>,
    },
}

/// Whether trying again helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    Never,
    After(Duration),
    Backoff,
}

impl Error {
    /// What to do about it, for the person who runs this.
    pub fn advice(&self) -> Option<&'static str> {
        None
    }

    pub fn retry(&self) -> Retry {
        Retry::Never
    }

    /// The HTTP status, where an answer came.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::SignIn { status, .. } | Error::Service { status, .. } => Some(*status),
            Error::Throttled { .. } => Some(429),
            _ => None,
        }
    }

    /// Microsoft's `request-id`, where an answer came.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Error::Service { request_id, .. }
            | Error::Throttled { request_id, .. }
            | Error::BodyTooLarge { request_id, .. }
            | Error::Truncated { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }

    /// Whether a write may have been carried out all the same.
    pub fn uncertain(&self) -> bool {
        match self {
            Error::Network { uncertain, .. } => *uncertain,
            Error::Truncated { .. } | Error::BodyTooLarge { .. } => true,
            Error::Service { status, .. } => matches!(status, 500 | 502 | 504),
            _ => false,
        }
    }
}
