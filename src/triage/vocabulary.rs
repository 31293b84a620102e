//! The one vocabulary of triage, in Graph spelling.
//!
//! Words are read without regard to case, blanks, hyphens and underscores, and
//! under every name Microsoft itself prints for the same thing: the portal's
//! labels and the spellings of the older APIs. A word that merely resembles
//! one of these is refused: a verdict must not be guessed.
//!
//! Sources: Microsoft Graph security `alertStatus`, `incidentStatus`,
//! `alertClassification`, `alertDetermination`; Defender XDR "Update incident
//! API" for which determination goes with which classification.

use crate::triage::Subject;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// How far triage has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    New,
    /// Incidents only: what an alert calls `new`.
    Active,
    InProgress,
    Resolved,
}

/// Whether the alarm was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Classification {
    TruePositive,
    InformationalExpectedActivity,
    FalsePositive,
    /// No verdict: only an undo asks for it, and only Graph takes it.
    #[serde(rename = "none")]
    Unset,
}

/// What it was, or why it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
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
    /// None: only an undo asks for it, and only Graph takes it.
    #[serde(rename = "none")]
    Unset,
}

/// Why a word, or a pair of words, cannot be written to Defender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VocabularyError {
    #[error("{} is no {noun} Defender knows; use one of {valid}", quoted(.word))]
    Unknown {
        noun: &'static str,
        word: String,
        valid: String,
    },
    #[error(
        "Microsoft withdrew the determination {word} in 2022: it is still read on old objects, but no longer accepted; use one of {valid}"
    )]
    Withdrawn { word: &'static str, valid: String },
    #[error("only Defender itself sets the status {word}; use one of {valid}")]
    ServiceOnly { word: &'static str, valid: String },
    #[error(
        "benignPositive is Microsoft Sentinel's word and has no exact counterpart in Defender: choose informationalExpectedActivity (the activity was real and expected) or falsePositive (there was no such activity)"
    )]
    Sentinel,
    #[error(
        "the determination {determination} does not go with {classification}, which takes one of {valid}"
    )]
    Pair {
        classification: Classification,
        determination: Determination,
        valid: String,
    },
    #[error(
        "the determination {determination} needs its classification beside it: set classification to {valid}"
    )]
    Alone {
        determination: Determination,
        valid: String,
    },
}

impl Status {
    /// Reads what a person or a row says, for this subject: alerts begin
    /// `new`, incidents `active`, and each is understood for the other.
    ///
    /// # Errors
    /// Names the words the subject takes.
    pub fn parse(word: &str, subject: Subject) -> Result<Self, VocabularyError> {
        let folded = fold(word);
        if let Some(status) = Self::known(&folded) {
            return Ok(status.of(subject));
        }
        let valid = list(Self::all(subject));
        match SERVICE_STATUS.iter().find(|own| fold(own) == folded) {
            Some(own) => Err(VocabularyError::ServiceOnly { word: own, valid }),
            None => Err(unknown("status", word, valid)),
        }
    }

    /// The states a subject can be put into.
    pub const fn all(subject: Subject) -> &'static [Self] {
        match subject {
            Subject::Alert => &[Self::New, Self::InProgress, Self::Resolved],
            Subject::Incident => &[Self::Active, Self::InProgress, Self::Resolved],
        }
    }

    /// The same state in this subject's word.
    #[must_use]
    pub const fn of(self, subject: Subject) -> Self {
        match (self, subject) {
            (Self::Active, Subject::Alert) => Self::New,
            (Self::New, Subject::Incident) => Self::Active,
            _ => self,
        }
    }

    /// Graph spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Active => "active",
            Self::InProgress => "inProgress",
            Self::Resolved => "resolved",
        }
    }

    /// What Defender says, in Graph spelling where it is known, else as said.
    pub fn spelling(said: &str) -> &str {
        let folded = fold(said);
        match Self::known(&folded) {
            Some(status) => status.as_str(),
            None => SERVICE_STATUS
                .iter()
                .find(|own| fold(own) == folded)
                .map_or(said, |own| *own),
        }
    }

    fn known(folded: &str) -> Option<Self> {
        [Self::New, Self::Active, Self::InProgress, Self::Resolved]
            .into_iter()
            .find(|status| fold(status.as_str()) == folded)
    }
}

impl Classification {
    /// Every classification a verdict can have, in the portal's order.
    pub const ALL: [Self; 3] = [
        Self::TruePositive,
        Self::InformationalExpectedActivity,
        Self::FalsePositive,
    ];

    /// # Errors
    /// Names the classifications there are.
    pub fn parse(word: &str) -> Result<Self, VocabularyError> {
        let folded = fold(word);
        match Self::known(&folded) {
            Some(classification) => Ok(classification),
            None if folded.starts_with("benignpositive") => Err(VocabularyError::Sentinel),
            None => Err(unknown("classification", word, list(&Self::ALL))),
        }
    }

    /// The determinations that go with it.
    pub const fn determinations(self) -> &'static [Determination] {
        use Determination as D;
        match self {
            Self::TruePositive => &[
                D::MultiStagedAttack,
                D::MaliciousUserActivity,
                D::CompromisedAccount,
                D::Malware,
                D::Phishing,
                D::UnwantedSoftware,
                D::Other,
            ],
            Self::InformationalExpectedActivity => &[
                D::SecurityTesting,
                D::LineOfBusinessApplication,
                D::ConfirmedActivity,
                D::Other,
            ],
            Self::FalsePositive => &[D::NotMalicious, D::NotEnoughDataToValidate, D::Other],
            Self::Unset => &[D::Unset],
        }
    }

    /// Graph spelling; [`NONE`] for none.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TruePositive => "truePositive",
            Self::InformationalExpectedActivity => "informationalExpectedActivity",
            Self::FalsePositive => "falsePositive",
            Self::Unset => NONE,
        }
    }

    /// What Defender says, in Graph spelling where it is known, else as said.
    pub fn spelling(said: &str) -> &str {
        match Self::known(&fold(said)) {
            Some(classification) => classification.as_str(),
            None => said,
        }
    }

    fn known(folded: &str) -> Option<Self> {
        match folded {
            // The portal's label is "Informational, expected activity".
            "informationalexpected" => Some(Self::InformationalExpectedActivity),
            _ => Self::ALL
                .into_iter()
                .find(|classification| fold(classification.as_str()) == folded),
        }
    }
}

impl Determination {
    /// Every determination a verdict can have.
    pub const ALL: [Self; 12] = [
        Self::MultiStagedAttack,
        Self::MaliciousUserActivity,
        Self::CompromisedAccount,
        Self::Malware,
        Self::Phishing,
        Self::UnwantedSoftware,
        Self::SecurityTesting,
        Self::LineOfBusinessApplication,
        Self::ConfirmedActivity,
        Self::NotMalicious,
        Self::NotEnoughDataToValidate,
        Self::Other,
    ];

    /// # Errors
    /// Names the determinations there are; says so where Microsoft withdrew one.
    pub fn parse(word: &str) -> Result<Self, VocabularyError> {
        let folded = fold(word);
        if let Some(determination) = Self::known(&folded) {
            return Ok(determination);
        }
        let valid = list(&Self::ALL);
        match WITHDRAWN.iter().find(|old| fold(old) == folded) {
            Some(old) => Err(VocabularyError::Withdrawn { word: old, valid }),
            None => Err(unknown("determination", word, valid)),
        }
    }

    /// Whether Defender takes the two together, as it must get them together.
    ///
    /// # Errors
    /// Names what would go.
    pub fn check(self, beside: Option<Classification>) -> Result<(), VocabularyError> {
        match beside {
            Some(_) if self == Self::Unset => Ok(()),
            None => Err(VocabularyError::Alone {
                determination: self,
                valid: list(
                    Classification::ALL
                        .iter()
                        .filter(|classification| classification.determinations().contains(&self)),
                ),
            }),
            Some(classification) if !classification.determinations().contains(&self) => {
                Err(VocabularyError::Pair {
                    classification,
                    determination: self,
                    valid: list(classification.determinations()),
                })
            }
            Some(_) => Ok(()),
        }
    }

    /// Graph spelling; [`NONE`] for none.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MultiStagedAttack => "multiStagedAttack",
            Self::MaliciousUserActivity => "maliciousUserActivity",
            Self::CompromisedAccount => "compromisedAccount",
            Self::Malware => "malware",
            Self::Phishing => "phishing",
            Self::UnwantedSoftware => "unwantedSoftware",
            Self::SecurityTesting => "securityTesting",
            Self::LineOfBusinessApplication => "lineOfBusinessApplication",
            Self::ConfirmedActivity => "confirmedActivity",
            Self::NotMalicious => "notMalicious",
            Self::NotEnoughDataToValidate => "notEnoughDataToValidate",
            Self::Other => "other",
            Self::Unset => NONE,
        }
    }

    /// What Defender says, in Graph spelling where it is known (the withdrawn
    /// ones included), else as said.
    pub fn spelling(said: &str) -> &str {
        let folded = fold(said);
        match Self::known(&folded) {
            Some(determination) => determination.as_str(),
            None => WITHDRAWN
                .iter()
                .find(|old| fold(old) == folded)
                .map_or(said, |old| *old),
        }
    }

    fn known(folded: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|determination| fold(determination.as_str()) == folded)
            .or_else(|| {
                OTHER_NAMES
                    .iter()
                    .find(|(name, _)| *name == folded)
                    .map(|(_, determination)| *determination)
            })
    }
}

/// How nothing is called: no owner, no classification, no determination.
pub const NONE: &str = "none";

/// What Defender says of a field, as `spelling` writes it; [`NONE`] under every
/// name the APIs and their events have for "not set".
pub(super) fn said<'s>(said: Option<&'s str>, spelling: fn(&'s str) -> &'s str) -> &'s str {
    let unset = ["", "null", "unknown", "notavailable", NONE];
    match said {
        Some(said) if !unset.iter().any(|word| said.eq_ignore_ascii_case(word)) => spelling(said),
        _ => NONE,
    }
}

/// Other names of the same thing, folded: portal labels, then the spellings of
/// the Defender for Endpoint and Defender XDR APIs.
const OTHER_NAMES: [(&str, Determination); 9] = [
    ("multistageattack", Determination::MultiStagedAttack),
    ("securitytest", Determination::SecurityTesting),
    (
        "lineofbusinessapp",
        Determination::LineOfBusinessApplication,
    ),
    ("notenoughdata", Determination::NotEnoughDataToValidate),
    ("compromiseduser", Determination::CompromisedAccount),
    ("confirmeduseractivity", Determination::ConfirmedActivity),
    ("clean", Determination::NotMalicious),
    ("insufficientdata", Determination::NotEnoughDataToValidate),
    (
        "noenoughdatatovalidate",
        Determination::NotEnoughDataToValidate,
    ),
];

/// Determinations on old objects that no API accepts any more.
const WITHDRAWN: [&str; 2] = ["apt", "securityPersonnel"];

/// States Defender puts objects into by itself.
const SERVICE_STATUS: [&str; 3] = ["redirected", "awaitingAction", "unknown"];

fn fold(word: &str) -> String {
    word.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_' | ','))
        .flat_map(char::to_lowercase)
        .collect()
}

fn list<'w, W: fmt::Display + 'w>(words: impl IntoIterator<Item = &'w W>) -> String {
    let words: Vec<String> = words.into_iter().map(ToString::to_string).collect();
    words.join(", ")
}

fn unknown(noun: &'static str, word: &str, valid: String) -> VocabularyError {
    VocabularyError::Unknown {
        noun,
        word: word.to_owned(),
        valid,
    }
}

/// A foreign value as it may stand in a message: escaped and short.
pub(super) fn quoted(value: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = value.chars().take(LONGEST).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

macro_rules! spelled {
    ($($word:ty),*) => {$(
        impl fmt::Display for $word {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl Serialize for $word {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )*};
}
spelled!(Status, Classification, Determination);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_word_reads_back_its_own_spelling() {
        for subject in [Subject::Alert, Subject::Incident] {
            for status in Status::all(subject) {
                assert_eq!(Status::parse(status.as_str(), subject), Ok(*status));
            }
        }
        for word in Classification::ALL {
            assert_eq!(Classification::parse(&word.to_string()), Ok(word));
        }
        for word in Determination::ALL {
            assert_eq!(Determination::parse(&word.to_string()), Ok(word));
            assert_eq!(
                Determination::parse(&word.as_str().to_uppercase()),
                Ok(word)
            );
        }
    }

    #[test]
    fn every_word_is_read_out_of_a_ledger_as_it_was_written() {
        fn read_back<'w, W>(word: &W) -> W
        where
            W: Serialize + for<'de> Deserialize<'de> + 'w,
        {
            let text = serde_json::to_string(word).unwrap();
            serde_json::from_str(&text).unwrap()
        }
        for subject in [Subject::Alert, Subject::Incident] {
            for word in Status::all(subject) {
                assert_eq!(read_back(word), *word);
            }
        }
        for word in Classification::ALL.iter().chain(&[Classification::Unset]) {
            assert_eq!(read_back(word), *word);
        }
        for word in Determination::ALL.iter().chain(&[Determination::Unset]) {
            assert_eq!(read_back(word), *word);
        }
    }

    #[test]
    fn portal_labels_and_older_spellings_mean_the_graph_word() {
        use Determination as D;
        for (word, meant) in [
            ("Multistage attack", D::MultiStagedAttack),
            ("Multi-stage attack", D::MultiStagedAttack),
            ("MultiStagedAttack", D::MultiStagedAttack),
            ("Malicious user activity", D::MaliciousUserActivity),
            ("Compromised account", D::CompromisedAccount),
            ("CompromisedUser", D::CompromisedAccount),
            ("Unwanted software", D::UnwantedSoftware),
            ("Security test", D::SecurityTesting),
            ("Line-of-business app", D::LineOfBusinessApplication),
            ("Line-of-business application", D::LineOfBusinessApplication),
            ("Confirmed activity", D::ConfirmedActivity),
            ("ConfirmedUserActivity", D::ConfirmedActivity),
            ("Not malicious", D::NotMalicious),
            ("Clean", D::NotMalicious),
            ("Not enough data to validate", D::NotEnoughDataToValidate),
            ("NoEnoughDataToValidate", D::NotEnoughDataToValidate),
            ("InsufficientData", D::NotEnoughDataToValidate),
        ] {
            assert_eq!(D::parse(word), Ok(meant), "{word}");
        }
        for (word, meant) in [
            ("True positive", Classification::TruePositive),
            ("false_positive", Classification::FalsePositive),
            (
                "Informational, expected activity",
                Classification::InformationalExpectedActivity,
            ),
            (
                "Informational, expected",
                Classification::InformationalExpectedActivity,
            ),
        ] {
            assert_eq!(Classification::parse(word), Ok(meant), "{word}");
        }
        assert_eq!(
            Status::parse("In progress", Subject::Alert),
            Ok(Status::InProgress)
        );
    }

    #[test]
    fn alerts_are_new_where_incidents_are_active() {
        assert_eq!(Status::parse("Active", Subject::Alert), Ok(Status::New));
        assert_eq!(Status::parse("new", Subject::Incident), Ok(Status::Active));
    }

    #[test]
    fn the_valid_pairs_are_microsofts_table() {
        let table: Vec<String> = Classification::ALL
            .iter()
            .map(|class| format!("{class}: {}", list(class.determinations())))
            .collect();
        insta::assert_snapshot!(table.join("\n"), @r"
        truePositive: multiStagedAttack, maliciousUserActivity, compromisedAccount, malware, phishing, unwantedSoftware, other
        informationalExpectedActivity: securityTesting, lineOfBusinessApplication, confirmedActivity, other
        falsePositive: notMalicious, notEnoughDataToValidate, other
        ");
    }

    #[test]
    fn a_pair_goes_or_the_refusal_names_what_would() {
        for class in Classification::ALL {
            for word in Determination::ALL {
                let goes = class.determinations().contains(&word);
                assert_eq!(word.check(Some(class)).is_ok(), goes, "{class} {word}");
            }
        }
        insta::assert_snapshot!(
            Determination::Malware.check(Some(Classification::FalsePositive)).unwrap_err(),
            @"the determination malware does not go with falsePositive, which takes one of notMalicious, notEnoughDataToValidate, other"
        );
        insta::assert_snapshot!(
            Determination::Phishing.check(None).unwrap_err(),
            @"the determination phishing needs its classification beside it: set classification to truePositive"
        );
    }

    #[test]
    fn refusals_say_why_and_what_would_do() {
        insta::assert_snapshot!(
            Determination::parse("APT").unwrap_err(),
            @"Microsoft withdrew the determination apt in 2022: it is still read on old objects, but no longer accepted; use one of multiStagedAttack, maliciousUserActivity, compromisedAccount, malware, phishing, unwantedSoftware, securityTesting, lineOfBusinessApplication, confirmedActivity, notMalicious, notEnoughDataToValidate, other"
        );
        insta::assert_snapshot!(
            Status::parse("closed", Subject::Incident).unwrap_err(),
            @r#""closed" is no status Defender knows; use one of active, inProgress, resolved"#
        );
        insta::assert_snapshot!(
            Status::parse("Redirected", Subject::Incident).unwrap_err(),
            @"only Defender itself sets the status redirected; use one of active, inProgress, resolved"
        );
        assert_eq!(
            Classification::parse("BenignPositive - suspicious but expected"),
            Err(VocabularyError::Sentinel)
        );
    }

    #[test]
    fn what_defender_says_is_read_even_where_it_cannot_be_written() {
        assert_eq!(Determination::spelling("Apt"), "apt");
        assert_eq!(
            Determination::spelling("CompromisedUser"),
            "compromisedAccount"
        );
        assert_eq!(Determination::spelling("somethingNew"), "somethingNew");
        assert_eq!(Status::spelling("AwaitingAction"), "awaitingAction");
        assert_eq!(Classification::spelling("TruePositive"), "truePositive");
    }

    proptest! {
        #[test]
        fn any_text_is_a_word_or_a_short_refusal(text in any::<String>()) {
            for refusal in [
                Status::parse(&text, Subject::Alert).err(),
                Classification::parse(&text).err(),
                Determination::parse(&text).err(),
            ].into_iter().flatten() {
                let message = refusal.to_string();
                prop_assert!(message.len() < 1_000);
                prop_assert!(!message.chars().any(char::is_control));
            }
        }
    }
}
