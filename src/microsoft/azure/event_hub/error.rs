//! What can go wrong with a hub: one table says what each condition means, for whoever
//! follows it and for whoever runs it.

use crate::ingest::stream::{LogError, LogErrorClass};
use crate::microsoft::azure::finding::Finding;
use crate::microsoft::http;
use crate::microsoft::http::error::{Retry, line};
use fe2o3_amqp::connection::{ConnectionStopReason, OpenError};
use fe2o3_amqp::link::{
    DetachError, IllegalLinkStateError, LinkStateError, ReceiverAttachError, RecvError, SendError,
    SenderAttachError, SessionStopReason,
};
use fe2o3_amqp::session::BeginError;
use fe2o3_amqp::types::definitions;
use fe2o3_amqp::types::primitives::Symbol;
use std::fmt;

/// Why a hub is not read. No text ever holds a token, a key or a signature.
#[derive(Debug, Clone)]
pub struct Error {
    class: LogErrorClass,
    what: String,
    advice: Option<&'static str>,
    about: About,
}

/// What an error is about, for whoever looks step by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Anything,
    SignIn,
    Role,
    /// A name that the hub was asked for.
    Name,
    Clock,
}

impl Error {
    pub(super) fn new(
        class: LogErrorClass,
        what: impl Into<String>,
        advice: impl Into<Option<&'static str>>,
    ) -> Self {
        Self {
            class,
            what: what.into(),
            advice: advice.into(),
            about: About::Anything,
        }
    }

    fn about(self, about: About) -> Self {
        Self { about, ..self }
    }

    /// The finding of a look at the hub. `step` is what was looked at.
    pub(super) fn finding(&self, step: &'static str) -> Finding {
        let step = match self.about {
            About::Role => "role",
            About::Clock => "clock",
            About::SignIn => "sign-in",
            About::Name | About::Anything => step,
        };
        Finding::bad(step, self.what.clone(), self.advice.map(str::to_owned))
    }

    /// The same, where it is in order.
    pub(super) fn without_advice(self) -> Self {
        Self {
            advice: None,
            ..self
        }
    }

    /// The same, where trying again was tried.
    pub(super) fn for_good(self) -> Self {
        Self {
            class: LogErrorClass::Stop,
            ..self
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match self.advice {
            Some(advice) => write!(f, ": {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl LogError for Error {
    fn class(&self) -> LogErrorClass {
        self.class
    }
}

/// Sign-in, and settings that cannot be used.
impl From<http::error::Error> for Error {
    fn from(error: http::error::Error) -> Self {
        let class = match error.retry() {
            Retry::Never => LogErrorClass::Stop,
            Retry::After(_) | Retry::Backoff => LogErrorClass::Passing,
        };
        Self::new(class, error.to_string(), error.advice()).about(About::SignIn)
    }
}

/// What was being done when the hub said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// A request on `$cbs` or `$management`.
    Request,
    /// A reader was opened, from a position of ours or not.
    Open {
        from_position: bool,
    },
    Reading,
}

/// Why a link, a session or a connection is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The hub named a condition.
    Said {
        condition: String,
        description: String,
    },
    /// Nobody said why.
    Lost(String),
}

/// What a condition means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Another reader has the partition.
    Stolen,
    /// The token does not open it.
    Refused,
    /// It does not exist, or is switched off.
    Wrong,
    /// The position is none of this partition's (any more).
    Position,
    /// Later.
    Busy,
    /// The link or the connection ended, and may be opened again.
    Ended,
}

const ROLE: &str = "give the app the role Azure Event Hubs Data Receiver on the namespace or the hub (IAM), or the \
                    connection string's policy the claim Listen; a role takes some minutes to work";
const NAMES: &str = "check event_hub_namespace, event_hub and consumer_group; the group must have been created in \
                     that hub";
const DISABLED: &str = "set the hub's status to Active in the Azure portal";
pub(super) const STOLEN: &str = "another program reads this consumer group: give each its own (consumer_group), or let them \
                      share it (checkpoint = blob)";
const RECEIVERS: &str = "a partition takes five readers of a consumer group at a time: give each program a group of \
                         its own";
const THROTTLED: &str =
    "where it lasts, the namespace needs more throughput units, or auto-inflate";
const CLOCK: &str =
    "set this host's clock by NTP; a shared access signature that ended must be made anew";
const KEY: &str =
    "the key does not belong to this policy: copy the connection string again, and store it";
const AUDIENCE: &str = "check tenant_id and cloud of the account: the token comes from a directory this namespace \
                        does not trust";

/// The one table: condition → meaning and advice.
const CONDITIONS: &[(&str, Meaning, Option<&str>)] = &[
    ("amqp:link:stolen", Meaning::Stolen, Some(STOLEN)),
    ("amqp:unauthorized-access", Meaning::Refused, Some(ROLE)),
    ("com.microsoft:auth-failed", Meaning::Refused, Some(ROLE)),
    ("amqp:not-found", Meaning::Wrong, Some(NAMES)),
    ("amqp:not-implemented", Meaning::Wrong, Some(NAMES)),
    (
        "com.microsoft:entity-disabled",
        Meaning::Wrong,
        Some(DISABLED),
    ),
    ("com.microsoft:argument-error", Meaning::Position, None),
    (
        "com.microsoft:argument-out-of-range",
        Meaning::Position,
        None,
    ),
    ("amqp:invalid-field", Meaning::Position, None),
    ("com.microsoft:server-busy", Meaning::Busy, Some(THROTTLED)),
    (
        "amqp:resource-limit-exceeded",
        Meaning::Busy,
        Some(RECEIVERS),
    ),
    ("com.microsoft:timeout", Meaning::Busy, None),
    ("com.microsoft:operation-cancelled", Meaning::Busy, None),
    ("amqp:internal-error", Meaning::Busy, None),
    ("amqp:connection:forced", Meaning::Ended, None),
    ("amqp:link:detach-forced", Meaning::Ended, None),
];

impl Meaning {
    fn class(self, phase: Phase) -> LogErrorClass {
        match (self, phase) {
            (Self::Stolen, _) => LogErrorClass::Lost,
            (Self::Wrong, _) => LogErrorClass::Stop,
            // A token ends, a role is taken away: the next reader is told for sure.
            (Self::Refused, Phase::Reading) => LogErrorClass::Reconnect,
            (Self::Refused, _) => LogErrorClass::Stop,
            (
                Self::Position,
                Phase::Open {
                    from_position: true,
                },
            ) => LogErrorClass::PositionGone,
            (Self::Position, Phase::Reading) => LogErrorClass::Reconnect,
            (Self::Position, _) => LogErrorClass::Stop,
            // A link that the hub ended for it is of no use any more.
            (Self::Busy, Phase::Reading) => LogErrorClass::Reconnect,
            (Self::Busy, _) => LogErrorClass::Passing,
            (Self::Ended, _) => LogErrorClass::Reconnect,
        }
    }

    /// What an error of this meaning is about, and what to do.
    fn about(
        self,
        description: &str,
        advice: Option<&'static str>,
    ) -> (About, Option<&'static str>) {
        match self {
            Self::Refused => match token_advice(description) {
                Some((about, advice)) => (about, Some(advice)),
                None => (About::Role, advice),
            },
            Self::Wrong => (About::Name, advice),
            _ => (About::Anything, advice),
        }
    }

    /// Of a reply's status code.
    fn of_status(status: i64) -> Self {
        match status {
            401 | 403 => Self::Refused,
            408 | 429 | 500.. => Self::Busy,
            _ => Self::Wrong,
        }
    }
}

impl Fault {
    pub(super) fn late(what: &str) -> Self {
        Self::Lost(format!("no answer in time ({what})"))
    }

    /// Whether the hub would not take the token.
    pub(super) fn is_refusal(&self) -> bool {
        self.meaning().0 == Meaning::Refused
    }

    /// Whether the hub would not take the position.
    pub(super) fn is_position(&self) -> bool {
        self.meaning().0 == Meaning::Position
    }

    fn meaning(&self) -> (Meaning, Option<&'static str>) {
        match self {
            Self::Lost(_) => (Meaning::Ended, None),
            Self::Said { condition, .. } => CONDITIONS
                .iter()
                .find(|(known, ..)| known == condition)
                .map_or((Meaning::Ended, None), |(_, meaning, advice)| {
                    (*meaning, *advice)
                }),
        }
    }

    /// `place`: what it was about.
    pub(super) fn error(self, place: &str, phase: Phase) -> Error {
        let (meaning, advice) = self.meaning();
        let description = match &self {
            Self::Said { description, .. } => description.as_str(),
            Self::Lost(_) => "",
        };
        let (about, advice) = meaning.about(description, advice);
        Error::new(meaning.class(phase), format!("{place}: {self}"), advice).about(about)
    }

    /// Of a reply on `$cbs` or `$management` that is no success.
    pub(super) fn of_reply(status: i64, description: &str, condition: Option<&str>) -> Error {
        let known = condition.and_then(|condition| {
            CONDITIONS
                .iter()
                .find(|(known, ..)| *known == condition)
                .copied()
        });
        let (meaning, advice) = match known {
            Some((_, meaning, advice)) => (meaning, advice),
            None => match Meaning::of_status(status) {
                Meaning::Refused => (Meaning::Refused, Some(ROLE)),
                Meaning::Wrong => (Meaning::Wrong, Some(NAMES)),
                meaning => (meaning, None),
            },
        };
        let (about, advice) = meaning.about(description, advice);
        let what = format!("the hub answered {status}: {}", said(description));
        Error::new(meaning.class(Phase::Request), what, advice).about(about)
    }
}

/// What Event Hubs says of a token, in its own words.
fn token_advice(description: &str) -> Option<(About, &'static str)> {
    let has = |word: &str| description.contains(word);
    match () {
        () if has("ExpiredToken") || has("expired") => Some((About::Clock, CLOCK)),
        () if has("InvalidSignature") || has("invalid signature") => Some((About::SignIn, KEY)),
        () if has("InvalidAudience") || has("InvalidIssuer") => Some((About::SignIn, AUDIENCE)),
        () => None,
    }
}

fn said(description: &str) -> String {
    match line(description) {
        text if text.is_empty() => "no reason given".to_owned(),
        text => text,
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said {
                condition,
                description,
            } if description.is_empty() => f.write_str(condition),
            Self::Said {
                condition,
                description,
            } => write!(f, "{condition} ({description})"),
            Self::Lost(what) => f.write_str(what),
        }
    }
}

impl From<definitions::Error> for Fault {
    fn from(error: definitions::Error) -> Self {
        use definitions::ErrorCondition as Is;
        let condition = match error.condition {
            Is::AmqpError(known) => Symbol::from(&known),
            Is::ConnectionError(known) => Symbol::from(&known),
            Is::SessionError(known) => Symbol::from(&known),
            Is::LinkError(known) => Symbol::from(&known),
            Is::Custom(symbol) => symbol,
        };
        Self::Said {
            condition: line(condition.as_str()),
            description: line(error.description.as_deref().unwrap_or_default()),
        }
    }
}

impl From<ConnectionStopReason> for Fault {
    fn from(reason: ConnectionStopReason) -> Self {
        match reason {
            ConnectionStopReason::RemoteClosedWithError(error) => error.into(),
            _ => Self::Lost("the connection was lost".to_owned()),
        }
    }
}

impl From<SessionStopReason> for Fault {
    fn from(reason: SessionStopReason) -> Self {
        match reason {
            SessionStopReason::RemoteEndedWithError(error) => error.into(),
            SessionStopReason::ConnectionStopped(reason) => reason.into(),
            _ => Self::Lost("the session was ended".to_owned()),
        }
    }
}

impl From<LinkStateError> for Fault {
    fn from(error: LinkStateError) -> Self {
        match error {
            LinkStateError::RemoteDetachedWithError(error)
            | LinkStateError::RemoteClosedWithError(error) => error.into(),
            LinkStateError::SessionStopped(reason) => reason.into(),
            _ => Self::Lost("the link was ended".to_owned()),
        }
    }
}

impl From<IllegalLinkStateError> for Fault {
    fn from(error: IllegalLinkStateError) -> Self {
        match error {
            IllegalLinkStateError::SessionStopped(reason) => reason.into(),
            _ => Self::Lost("the link was ended".to_owned()),
        }
    }
}

impl From<DetachError> for Fault {
    fn from(error: DetachError) -> Self {
        match error {
            DetachError::RemoteDetachedWithError(error)
            | DetachError::RemoteClosedWithError(error) => error.into(),
            DetachError::SessionStopped(reason) => reason.into(),
            _ => Self::Lost("the link was ended".to_owned()),
        }
    }
}

impl From<RecvError> for Fault {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::LinkStateError(error) => error.into(),
            other => Self::Lost(line(&other.to_string())),
        }
    }
}

impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        match error {
            SendError::LinkStateError(error) => error.into(),
            SendError::Detached(error) => error.into(),
            other => Self::Lost(line(&other.to_string())),
        }
    }
}

impl From<ReceiverAttachError> for Fault {
    fn from(error: ReceiverAttachError) -> Self {
        match error {
            ReceiverAttachError::RemoteClosedWithError(error) => error.into(),
            ReceiverAttachError::SessionStopped(reason) => reason.into(),
            other => Self::Lost(line(&other.to_string())),
        }
    }
}

impl From<SenderAttachError> for Fault {
    fn from(error: SenderAttachError) -> Self {
        match error {
            SenderAttachError::RemoteClosedWithError(error) => error.into(),
            SenderAttachError::SessionStopped(reason) => reason.into(),
            other => Self::Lost(line(&other.to_string())),
        }
    }
}

impl From<BeginError> for Fault {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::RemoteEndedWithError(error) => error.into(),
            BeginError::ConnectionStopped(reason) => reason.into(),
            other => Self::Lost(line(&other.to_string())),
        }
    }
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::RemoteClosedWithError(error) => error.into(),
            other => Self::Lost(line(&other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(condition: &str) -> Fault {
        Fault::Said {
            condition: condition.to_owned(),
            description: "x".to_owned(),
        }
    }

    #[test]
    fn every_condition_is_decided_for_each_phase() {
        let letter = |condition: &str, phase| match fault(condition).error("hub", phase).class() {
            LogErrorClass::Passing => "passing",
            LogErrorClass::Reconnect => "reconnect",
            LogErrorClass::PositionGone => "position gone",
            LogErrorClass::Lost => "lost",
            LogErrorClass::Stop => "stop",
        };
        let known = CONDITIONS.iter().map(|(condition, ..)| *condition);
        let rows: Vec<String> = known
            .chain(["com.example:never-heard-of"])
            .map(|condition| {
                let phases = [
                    Phase::Request,
                    Phase::Open {
                        from_position: false,
                    },
                    Phase::Open {
                        from_position: true,
                    },
                    Phase::Reading,
                ];
                let classes = phases.map(|phase| letter(condition, phase));
                format!("{condition}: {}", classes.join(", "))
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn what_event_hubs_says_of_a_token_decides_the_advice() {
        let advice = |description: &str| {
            let error = Fault::of_reply(401, description, None);
            assert_eq!(error.class(), LogErrorClass::Stop);
            error.to_string()
        };
        assert!(
            advice("Unauthorized access. 'Listen' claim(s) are required").contains("Data Receiver")
        );
        assert!(advice("ExpiredToken: The token is expired.").contains("clock"));
        assert!(
            advice("InvalidSignature: The token has an invalid signature.").contains("the key")
        );
        assert!(advice("InvalidIssuer").contains("tenant_id"));
        assert!(
            Fault::of_reply(404, "", None)
                .to_string()
                .contains("consumer_group")
        );
    }
}
