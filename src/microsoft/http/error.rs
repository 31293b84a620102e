//! What can go wrong between an account and an answered call.

use crate::microsoft::http::advice;
use crate::triage::printed;
use std::fmt;
use std::time::Duration;

/// Why there is no answer. No variant ever holds a secret, a token or an assertion.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A setting cannot be used.
    #[error("account {account}: {what}")]
    Setting { account: String, what: String },
    /// A write through an account that must not write.
    #[error("account {account} is read_only: nothing was written")]
    ReadOnly { account: String },
    /// Sign-in was refused, or kept failing.
    #[error(
        "sign-in at {host} failed with {status}{}: {message}{}",
        Spaced(code),
        Bracketed(traces)
    )]
    SignIn {
        host: String,
        status: u16,
        /// The OAuth error word; empty where the answer has none.
        code: String,
        /// AADSTS numbers.
        codes: Vec<u32>,
        message: String,
        /// Correlation and trace id, which Microsoft's support asks for.
        traces: String,
    },
    /// No answer came.
    #[error("{host}: {what}")]
    Network {
        host: String,
        what: String,
        advice: Option<&'static str>,
        /// The request may have been carried out all the same.
        uncertain: bool,
        /// It stays so until somebody changes a setting.
        lasting: bool,
        /// It was waited for in silence.
        stalled: bool,
    },
    /// The API points to another place; it is not followed.
    #[error("{host} redirects to {location}: not followed")]
    Foreign { host: String, location: String },
    /// The API answered with an error.
    #[error("{host} answered {status}{}: {message}{}", Spaced(code), Request(request_id.as_deref()))]
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
    /// Throttled, by Microsoft or by our own call budget, for longer than this call may wait.
    #[error("{host} throttles this app: it takes no more calls for {} s{}", retry_after.as_secs_f64().ceil(), Request(request_id.as_deref()))]
    Throttled {
        host: String,
        retry_after: Duration,
        request_id: Option<String>,
    },
    /// The body is larger than the cap.
    #[error("{host}: the answer is larger than {} MB{}", cap >> 20, Request(request_id.as_deref()))]
    BodyTooLarge {
        host: String,
        cap: usize,
        request_id: Option<String>,
    },
    /// The body ended early or stopped coming, or its compression is broken.
    #[error("{host}: the answer {} {got} bytes{}", ended(*stalled), Request(request_id.as_deref()))]
    Truncated {
        host: String,
        got: usize,
        /// It was waited for in silence.
        stalled: bool,
        request_id: Option<String>,
    },
}

const fn ended(stalled: bool) -> &'static str {
    match stalled {
        true => "stopped coming after",
        false => "ended early, after",
    }
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
        match self {
            Error::ReadOnly { .. } => {
                Some("set read_only = false on the account, or choose another account")
            }
            Error::SignIn { codes, code, .. } => advice::sign_in(codes).or({
                match code.as_str() {
                    "" => Some(advice::NOT_ENTRA),
                    MANAGED_IDENTITY => Some(advice::NO_IDENTITY),
                    _ => None,
                }
            }),
            Error::Network { advice, .. } => *advice,
            Error::Foreign { .. } => {
                Some("check cloud and its URLs: an API never redirects; a proxy's login page does")
            }
            Error::Service { status, .. } => advice::service(*status),
            Error::Throttled { .. } => advice::service(429),
            Error::Truncated { stalled: true, .. } => Some(
                "if it lasts, something on the way holds large answers back: look at proxies, and at \
                 firewalls that drop ICMP (path MTU)",
            ),
            Error::Setting { .. } | Error::BodyTooLarge { .. } | Error::Truncated { .. } => None,
        }
    }

    /// Whether a later try may succeed; what was worth it has been tried already.
    pub fn retry(&self) -> Retry {
        match self {
            Error::Setting { .. }
            | Error::ReadOnly { .. }
            | Error::Foreign { .. }
            | Error::BodyTooLarge { .. }
            | Error::Network { lasting: true, .. } => Retry::Never,
            Error::SignIn { status, codes, .. } if advice::passing(codes) || passing(*status) => {
                Retry::Backoff
            }
            Error::SignIn { .. } => Retry::Never,
            Error::Service { status, .. } if passing(*status) => Retry::Backoff,
            Error::Service { .. } => Retry::Never,
            Error::Throttled { retry_after, .. } => Retry::After(*retry_after),
            Error::Network { .. } | Error::Truncated { .. } => Retry::Backoff,
        }
    }

    /// Whether the answer, or its end, was waited for in silence.
    pub fn is_stall(&self) -> bool {
        matches!(
            self,
            Error::Network { stalled: true, .. } | Error::Truncated { stalled: true, .. }
        )
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

    /// Whether it is certain that nothing was carried out: the request was not
    /// sent, or turned away for want of quota. A refusal is no proof of that.
    pub fn untouched(&self) -> bool {
        match self {
            Error::Network { uncertain, .. } => !uncertain,
            Error::Setting { .. }
            | Error::ReadOnly { .. }
            | Error::SignIn { .. }
            | Error::Throttled { .. } => true,
            Error::Foreign { .. }
            | Error::Service { .. }
            | Error::BodyTooLarge { .. }
            | Error::Truncated { .. } => false,
        }
    }

    /// Whether a write may have been carried out all the same.
    pub fn uncertain(&self) -> bool {
        match self {
            Error::Network { uncertain, .. } => *uncertain,
            Error::Truncated { .. } | Error::BodyTooLarge { .. } => true,
            // Proxies have more of the kind than the standard: 499, 520, 524, 598.
            Error::Service { status, .. } => match status {
                501 => false,
                status => matches!(status, 408 | 499 | 500..),
            },
            _ => false,
        }
    }
}

/// The word in [`Error::SignIn::code`] for a managed identity that gets no token.
pub(crate) const MANAGED_IDENTITY: &str = "managed_identity";

/// Statuses that pass by themselves.
pub(crate) fn passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Text from an answer, made fit for one line of a log: without control
/// characters, without those that reverse or hide what follows, and without end.
pub(crate) fn line(text: &str) -> String {
    printed(text, 400)
}

/// No longer than so many characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

struct Spaced<'a>(&'a str);
struct Request<'a>(Option<&'a str>);
struct Bracketed<'a>(&'a str);

impl fmt::Display for Spaced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            word => write!(f, " {word}"),
        }
    }
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, " (request-id {id})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            text => write!(f, " ({text})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_refused_sign_in_reads_as_one_line_with_what_support_asks_for() {
        let error = Error::SignIn {
            host: "login.microsoftonline.com".into(),
            status: 401,
            code: "invalid_client".into(),
            codes: vec![7000222],
            message: "AADSTS7000222: The provided client secret keys are expired.".into(),
            traces: "correlation id c-1, trace id t-1".into(),
        };
        insta::assert_snapshot!(error, @"sign-in at login.microsoftonline.com failed with 401 invalid_client: AADSTS7000222: The provided client secret keys are expired. (correlation id c-1, trace id t-1)");
        assert!(error.advice().unwrap().contains("create a new one"));
        assert_eq!(error.retry(), Retry::Never);
    }

    #[test]
    fn a_service_error_names_host_status_code_and_request_id() {
        let error = Error::Service {
            host: "graph.microsoft.com".into(),
            status: 403,
            code: "Forbidden".into(),
            message: "Missing application roles".into(),
            request_id: Some("r-1".into()),
            attempts: 1,
        };
        insta::assert_snapshot!(error, @"graph.microsoft.com answered 403 Forbidden: Missing application roles (request-id r-1)");
        assert!(error.advice().unwrap().contains("admin consent"));
    }

    proptest! {
        #[test]
        fn a_line_is_short_and_has_no_control_characters(text in "\\PC{0,600}|[\\x00-\\x7f]{0,600}") {
            let line = line(&text);
            prop_assert!(line.chars().count() <= 401);
            prop_assert!(!line.chars().any(char::is_control));
        }

        #[test]
        fn no_error_grows_with_an_answer(text in "\\PC{1,40}", most in 1usize..3) {
            let long = text.repeat(most << 15);
            let request_id = Some(line(&long));
            let error = Error::Service {
                host: "h".into(), status: 500, code: line(&long), message: line(&long), request_id, attempts: 1,
            };
            prop_assert!(error.to_string().chars().count() < 1300);
        }
    }

    #[test]
    fn a_line_has_nothing_that_turns_or_hides_text() {
        assert_eq!(
            line("gpj.\u{202E}exe\u{200B} a\u{AD}b\u{2066}c\u{E0041}\u{FEFF} \u{2028}é 👩‍💻"),
            "gpj.exe abc é 👩💻"
        );
    }
}
