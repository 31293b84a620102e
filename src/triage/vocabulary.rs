//! The one vocabulary of triage, in Graph spelling.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    New,
    /// Incidents only: what an alert calls `new`.
    Active,
    InProgress,
    Resolved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Classification {
    TruePositive,
    InformationalExpectedActivity,
    FalsePositive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Determination {
    MultiStagedAttack,
    MaliciousUserActivity,
    CompromisedAccount,
    Malware,
    Phishing,
    UnwantedSoftware,
    SecurityTesting,
    LineOfBusinessApplication,
    ConfirmedActivity,
    NotMalicious,
    NotEnoughDataToValidate,
    Other,
}
