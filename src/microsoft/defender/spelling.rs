//! The one vocabulary of triage in the words of each API, there and back.
//!
//! Graph's words are the v1.0 metadata's (several doc pages still print older
//! ones). The pages of the Defender for Endpoint and XDR APIs contradict each
//! other, so some words have alternates, tried where the first is refused.

use crate::triage::vocabulary::{Classification, Determination, Status};
use crate::triage::{Api, Subject};

/// An alert's `new` is an incident's `active`.
pub(in crate::microsoft) fn status(api: Api, subject: Subject, status: Status) -> &'static str {
    let graph = api == Api::Graph;
    match (status, subject) {
        (Status::New | Status::Active, Subject::Alert) if graph => "new",
        (Status::New | Status::Active, Subject::Alert) => "New",
        (Status::New | Status::Active, Subject::Incident) if graph => "active",
        (Status::New | Status::Active, Subject::Incident) => "Active",
        (Status::InProgress, _) if graph => "inProgress",
        (Status::InProgress, _) => "InProgress",
        (Status::Resolved, _) if graph => "resolved",
        (Status::Resolved, _) => "Resolved",
    }
}

pub(in crate::microsoft) fn classification(
    api: Api,
    classification: Classification,
) -> &'static str {
    let graph = api == Api::Graph;
    match classification {
        Classification::TruePositive if graph => "truePositive",
        Classification::TruePositive => "TruePositive",
        Classification::InformationalExpectedActivity if graph => "informationalExpectedActivity",
        Classification::InformationalExpectedActivity => "InformationalExpectedActivity",
        Classification::FalsePositive if graph => "falsePositive",
        Classification::FalsePositive => "FalsePositive",
        Classification::Unset if graph => "unknown",
        // How the older APIs print it; their pages do not say that they take it.
        Classification::Unset => "Unknown",
    }
}

/// The spellings of a determination, the likeliest first; never empty.
pub(in crate::microsoft) fn determinations(
    api: Api,
    determination: Determination,
) -> &'static [&'static str] {
    use Determination as D;
    match (api, determination) {
        (Api::Graph, determination) => match determination {
            D::MultiStagedAttack => &["multiStagedAttack"],
            D::MaliciousUserActivity => &["maliciousUserActivity"],
            D::CompromisedAccount => &["compromisedAccount"],
            D::Malware => &["malware"],
            D::Phishing => &["phishing"],
            D::UnwantedSoftware => &["unwantedSoftware"],
            D::SecurityTesting => &["securityTesting"],
            D::LineOfBusinessApplication => &["lineOfBusinessApplication"],
            D::ConfirmedActivity => &["confirmedActivity"],
            D::NotMalicious => &["notMalicious"],
            D::NotEnoughDataToValidate => &["notEnoughDataToValidate"],
            D::Other => &["other"],
            D::Unset => &["unknown"],
        },
        (Api::Mde, D::CompromisedAccount) => &["CompromisedUser", "CompromisedAccount"],
        (Api::Xdr, D::CompromisedAccount) => &["CompromisedAccount", "CompromisedUser"],
        (Api::Mde, D::NotMalicious) => &["NotMalicious", "Clean"],
        (Api::Xdr, D::NotMalicious) => &["Clean", "NotMalicious"],
        (_, D::ConfirmedActivity) => &["ConfirmedActivity", "ConfirmedUserActivity"],
        (_, D::NotEnoughDataToValidate) => &[
            "NoEnoughDataToValidate",
            "InsufficientData",
            "NotEnoughDataToValidate",
        ],
        (_, D::MultiStagedAttack) => &["MultiStagedAttack"],
        (_, D::MaliciousUserActivity) => &["MaliciousUserActivity"],
        (_, D::Malware) => &["Malware"],
        (_, D::Phishing) => &["Phishing"],
        (_, D::UnwantedSoftware) => &["UnwantedSoftware"],
        (_, D::SecurityTesting) => &["SecurityTesting"],
        (_, D::LineOfBusinessApplication) => &["LineOfBusinessApplication"],
        (_, D::Other) => &["Other"],
        (_, D::Unset) => &["NotAvailable"],
    }
}

/// What a status, classification or determination is called in Graph,
/// whichever API or page printed it; an unknown word stays as it is.
pub(in crate::microsoft) fn in_graph_words(word: &str) -> String {
    const WORDS: &[&str] = &[
        "new",
        "active",
        "inProgress",
        "resolved",
        "redirected",
        "awaitingAction",
        "unknown",
        "truePositive",
        "falsePositive",
        "informationalExpectedActivity",
        "multiStagedAttack",
        "maliciousUserActivity",
        "compromisedAccount",
        "malware",
        "phishing",
        "unwantedSoftware",
        "securityTesting",
        "securityPersonnel",
        "lineOfBusinessApplication",
        "confirmedActivity",
        "notMalicious",
        "notEnoughDataToValidate",
        "apt",
        "other",
    ];
    const OTHER_NAMES: &[(&str, &str)] = &[
        ("notAvailable", "unknown"),
        ("compromisedUser", "compromisedAccount"),
        ("confirmedUserActivity", "confirmedActivity"),
        ("clean", "notMalicious"),
        ("noEnoughDataToValidate", "notEnoughDataToValidate"),
        ("insufficientData", "notEnoughDataToValidate"),
    ];
    // Some pages print labels: `Informational, expected activity`.
    let bare: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
    WORDS
        .iter()
        .map(|graph| (graph, graph))
        .chain(OTHER_NAMES.iter().map(|(other, graph)| (other, graph)))
        .find(|(name, _)| name.eq_ignore_ascii_case(&bare))
        .map_or_else(|| word.to_owned(), |(_, graph)| (*graph).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DETERMINATIONS: [Determination; 12] = [
        Determination::MultiStagedAttack,
        Determination::MaliciousUserActivity,
        Determination::CompromisedAccount,
        Determination::Malware,
        Determination::Phishing,
        Determination::UnwantedSoftware,
        Determination::SecurityTesting,
        Determination::LineOfBusinessApplication,
        Determination::ConfirmedActivity,
        Determination::NotMalicious,
        Determination::NotEnoughDataToValidate,
        Determination::Other,
    ];

    #[test]
    fn every_word_sent_to_any_api_reads_back_as_graphs() {
        for determination in DETERMINATIONS {
            let [graph] = determinations(Api::Graph, determination) else {
                panic!("one word in Graph")
            };
            for api in [Api::Graph, Api::Mde, Api::Xdr] {
                for word in determinations(api, determination) {
                    assert_eq!(in_graph_words(word), *graph);
                }
            }
        }
        for api in [Api::Graph, Api::Mde, Api::Xdr] {
            for (word, graph) in [
                (
                    classification(api, Classification::TruePositive),
                    "truePositive",
                ),
                (
                    classification(api, Classification::FalsePositive),
                    "falsePositive",
                ),
                (
                    classification(api, Classification::InformationalExpectedActivity),
                    "informationalExpectedActivity",
                ),
                (status(api, Subject::Alert, Status::New), "new"),
                (status(api, Subject::Alert, Status::Active), "new"),
                (status(api, Subject::Incident, Status::New), "active"),
                (
                    status(api, Subject::Alert, Status::InProgress),
                    "inProgress",
                ),
                (status(api, Subject::Incident, Status::Resolved), "resolved"),
            ] {
                assert_eq!(in_graph_words(word), graph);
            }
        }
    }

    #[test]
    fn the_published_tables_first_words_are_sent_first() {
        let first = |api, determination| determinations(api, determination)[0];
        assert_eq!(
            first(Api::Mde, Determination::CompromisedAccount),
            "CompromisedUser"
        );
        assert_eq!(first(Api::Xdr, Determination::NotMalicious), "Clean");
        assert_eq!(
            first(Api::Mde, Determination::NotEnoughDataToValidate),
            "NoEnoughDataToValidate"
        );
    }

    #[test]
    fn labels_and_unset_values_are_understood_and_strange_ones_kept() {
        for (word, graph) in [
            (
                "Informational, expected activity",
                "informationalExpectedActivity",
            ),
            ("NotAvailable", "unknown"),
            ("Unknown", "unknown"),
            ("APT", "apt"),
            ("Something New", "Something New"),
        ] {
            assert_eq!(in_graph_words(word), graph);
        }
    }
}
