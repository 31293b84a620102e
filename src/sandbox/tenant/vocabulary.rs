//! How the three API families spell the same word. Graph's spelling (its CSDL)
//! is the one kept; MDE and XDR capitalise it, with the exceptions their
//! update pages print.

use crate::sandbox::Family;
use std::borrow::Cow;

/// A word of a closed or open list, in Graph spelling.
pub(in crate::sandbox) type Word = Cow<'static, str>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum List {
    Severity,
    AlertStatus,
    IncidentStatus,
    Classification,
    Determination,
    ServiceSource,
}

const SEVERITIES: &[&str] = &["unknown", "informational", "low", "medium", "high"];
const ALERT_STATUSES: &[&str] = &["unknown", "new", "inProgress", "resolved"];
const INCIDENT_STATUSES: &[&str] = &[
    "active",
    "resolved",
    "inProgress",
    "redirected",
    "awaitingAction",
];
const CLASSIFICATIONS: &[&str] = &[
    "unknown",
    "falsePositive",
    "truePositive",
    "informationalExpectedActivity",
];
const DETERMINATIONS: &[&str] = &[
    "unknown",
    "apt",
    "malware",
    "securityPersonnel",
    "securityTesting",
    "unwantedSoftware",
    "other",
    "multiStagedAttack",
    "compromisedAccount",
    "phishing",
    "maliciousUserActivity",
    "notMalicious",
    "notEnoughDataToValidate",
    "confirmedActivity",
    "lineOfBusinessApplication",
];
const SERVICE_SOURCES: &[&str] = &[
    "unknown",
    "microsoftDefenderForEndpoint",
    "microsoftDefenderForIdentity",
    "microsoftDefenderForCloudApps",
    "microsoftDefenderForOffice365",
    "microsoft365Defender",
    "azureAdIdentityProtection",
    "microsoftAppGovernance",
    "dataLossPrevention",
    "microsoftDefenderForCloud",
    "microsoftSentinel",
    "microsoftInsiderRiskManagement",
    "microsoftThreatIntelligence",
    "microsoftSecurityForAI",
];

/// Members added after the enum was first published: a Graph client that does
/// not send `Prefer: include-unknown-enum-members` gets `unknownFutureValue`.
const NEWER: &[&str] = &[
    "awaitingAction",
    "microsoftDefenderForCloud",
    "microsoftSentinel",
    "microsoftInsiderRiskManagement",
    "microsoftThreatIntelligence",
    "microsoftSecurityForAI",
    "nrtAlerts",
    "scheduledAlerts",
    "builtInMl",
];

impl List {
    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Severity => SEVERITIES,
            Self::AlertStatus => ALERT_STATUSES,
            Self::IncidentStatus => INCIDENT_STATUSES,
            Self::Classification => CLASSIFICATIONS,
            Self::Determination => DETERMINATIONS,
            Self::ServiceSource => SERVICE_SOURCES,
        }
    }

    /// What a family calls this word.
    pub(in crate::sandbox) fn spell(self, family: Family, word: &str) -> Cow<'_, str> {
        if family == Family::Graph {
            return Cow::Borrowed(word);
        }
        let special = match (self, family, word) {
            (Self::Severity, _, "unknown") => Some("UnSpecified"),
            (Self::Determination, Family::Mde, "compromisedAccount") => Some("CompromisedUser"),
            (Self::Determination, Family::Xdr, "notMalicious") => Some("Clean"),
            (Self::Determination, _, "notEnoughDataToValidate") => Some("NoEnoughDataToValidate"),
            (Self::Determination, Family::Xdr, "unknown") => Some("NotAvailable"),
            _ => None,
        };
        match special {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(capitalised(word)),
        }
    }

    /// The word a family's text stands for. The update pages of MDE and XDR
    /// contradict each other on determinations, so other spellings exist;
    /// `alternate` takes only those, where a determination has one.
    pub(in crate::sandbox) fn read(
        self,
        family: Family,
        text: &str,
        alternate: bool,
    ) -> Option<&'static str> {
        let others = |word: &str| -> &'static [&'static str] {
            match (self, family, word) {
                (Self::Determination, Family::Mde, "compromisedAccount") => &["CompromisedAccount"],
                (Self::Determination, Family::Mde, "confirmedActivity") => {
                    &["ConfirmedUserActivity"]
                }
                (Self::Determination, Family::Mde, "notMalicious") => &["Clean"],
                (Self::Determination, Family::Mde | Family::Xdr, "notEnoughDataToValidate") => {
                    &["InsufficientData", "NotEnoughDataToValidate"]
                }
                _ => &[],
            }
        };
        self.words().iter().copied().find(|word| {
            let others = others(word);
            if alternate && !others.is_empty() {
                others.contains(&text)
            } else {
                self.spell(family, word) == text
            }
        })
    }

    /// The kept word for a text of a served object; what is not known stays as it is.
    pub(in crate::sandbox) fn keep(self, family: Family, text: &str) -> Word {
        if self == Self::Classification && text == "NotAvailable" {
            return Cow::Borrowed("unknown");
        }
        self.read(family, text, false)
            .or_else(|| self.read(family, text, true))
            .map_or_else(|| Cow::Owned(uncapitalised(text)), Cow::Borrowed)
    }
}

/// A Graph enum member as a client of that willingness gets it.
pub(in crate::sandbox) fn evolved(word: &str, include_unknown: bool) -> &str {
    if !include_unknown && NEWER.contains(&word) {
        "unknownFutureValue"
    } else {
        word
    }
}

/// What MDE and XDR call a detection source; other texts stay as they are.
pub(in crate::sandbox) fn detection_source(word: &str) -> &str {
    match word {
        "microsoftDefenderForEndpoint" => "WindowsDefenderAtp",
        "antivirus" => "WindowsDefenderAv",
        "smartScreen" => "WindowsDefenderSmartScreen",
        "customDetection" | "nrtAlerts" => "CustomDetection",
        "microsoftDefenderForOffice365" => "OfficeATP",
        "microsoft365Defender" => "MTP",
        "microsoftDefenderForIdentity" => "AzureATP",
        "cloudAppSecurity" | "appGovernanceDetection" => "MCAS",
        "azureAdIdentityProtection" | "builtInMl" => "AAD",
        "microsoftThreatIntelligence" => "ThreatIntelligence",
        other => other,
    }
}

pub(in crate::sandbox) fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + chars.as_str())
        .unwrap_or_default()
}

fn uncapitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_ascii_lowercase().to_string() + chars.as_str())
        .unwrap_or_default()
}

/// Whether a determination may stand beside a classification ("Manage
/// incidents", the portal's own list). `unknown` stands beside everything.
pub(in crate::sandbox) fn fits(classification: &str, determination: &str) -> bool {
    match determination {
        "unknown" => true,
        "other" => classification != "unknown",
        "multiStagedAttack"
        | "maliciousUserActivity"
        | "compromisedAccount"
        | "malware"
        | "phishing"
        | "unwantedSoftware" => classification == "truePositive",
        "securityTesting" | "lineOfBusinessApplication" | "confirmedActivity" => {
            classification == "informationalExpectedActivity"
        }
        "notMalicious" | "notEnoughDataToValidate" => classification == "falsePositive",
        // `apt` and `securityPersonnel` were withdrawn in 2022: read, never written.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_every_family_is_read_back() {
        for list in [
            List::Severity,
            List::AlertStatus,
            List::IncidentStatus,
            List::Classification,
            List::Determination,
        ] {
            for family in [Family::Graph, Family::Mde, Family::Xdr] {
                for word in list.words() {
                    let spelled = list.spell(family, word);
                    assert_eq!(
                        list.read(family, &spelled, false),
                        Some(*word),
                        "{family:?} {spelled}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_other_spellings_are_taken_only_when_asked_for() {
        let list = List::Determination;
        assert_eq!(list.read(Family::Mde, "CompromisedAccount", false), None);
        assert_eq!(
            list.read(Family::Mde, "CompromisedAccount", true),
            Some("compromisedAccount")
        );
        assert_eq!(list.read(Family::Mde, "CompromisedUser", true), None);
        assert_eq!(list.read(Family::Mde, "Malware", true), Some("malware"));
    }

    #[test]
    fn a_determination_stands_beside_its_own_classification_only() {
        assert!(fits("truePositive", "phishing"));
        assert!(!fits("falsePositive", "phishing"));
        assert!(fits("falsePositive", "other"));
        assert!(!fits("unknown", "other"));
        assert!(!fits("truePositive", "apt"));
    }
}
