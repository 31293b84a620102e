//! The app's lookup tables say what the code says: words as each API spells
//! them, errors with the advice the executable gives, outcomes.

use crate::microsoft::defender::spelling;
use crate::microsoft::http::advice;
use crate::microsoft::http::advice::Trouble;
use crate::triage::vocabulary::{Classification, Determination, Status};
use crate::triage::{Api, Outcome, Subject};
use std::collections::BTreeSet;

fn table(name: &str) -> Vec<csv::StringRecord> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/splunk_app/lookups");
    csv::Reader::from_path(format!("{folder}/{name}.csv"))
        .unwrap()
        .records()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn the_vocabulary_is_the_codes_with_every_pair_that_goes_and_no_other() {
    let mut expected = Vec::new();
    for (subject, whose) in [(Subject::Alert, "alert"), (Subject::Incident, "incident")] {
        for status in Status::all(subject) {
            let word = |api| spelling::status(api, subject, *status);
            let (mde, xdr) = match subject {
                Subject::Alert => (word(Api::Mde), ""),
                Subject::Incident => ("", word(Api::Xdr)),
            };
            let graph = word(Api::Graph);
            expected.push(["status", whose, "", status.as_str(), graph, mde, xdr]);
        }
    }
    for class in Classification::ALL {
        let [graph, mde, xdr] =
            [Api::Graph, Api::Mde, Api::Xdr].map(|api| spelling::classification(api, class));
        expected.push(["classification", "any", "", class.as_str(), graph, mde, xdr]);
    }
    for class in Classification::ALL {
        for word in class.determinations() {
            let [graph, mde, xdr] =
                [Api::Graph, Api::Mde, Api::Xdr].map(|api| spelling::determinations(api, *word)[0]);
            expected.push([
                "determination",
                "any",
                class.as_str(),
                word.as_str(),
                graph,
                mde,
                xdr,
            ]);
        }
    }
    let lines = table("defender_bridge_vocabulary");
    let without_label: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| {
            line.iter()
                .enumerate()
                .filter(|(at, _)| *at != 4)
                .map(|(_, cell)| cell)
                .collect()
        })
        .collect();
    assert_eq!(without_label, expected);
}

#[test]
fn a_label_of_the_vocabulary_is_understood_as_its_word() {
    for line in table("defender_bridge_vocabulary").iter() {
        let (kind, subject, word, label) = (&line[0], &line[1], &line[3], &line[4]);
        let understood = match (kind, subject) {
            ("status", "alert") => Status::parse(label, Subject::Alert).unwrap().as_str(),
            ("status", _) => Status::parse(label, Subject::Incident).unwrap().as_str(),
            ("classification", _) => Classification::parse(label).unwrap().as_str(),
            _ => Determination::parse(label).unwrap().as_str(),
        };
        assert_eq!(understood, word, "{label}");
    }
}

#[test]
fn every_outcome_stands_in_its_table_from_well_to_bad() {
    let lines = table("defender_bridge_outcomes");
    let said: Vec<(&str, &str)> = lines.iter().map(|line| (&line[0], &line[2])).collect();
    let meant: Vec<(&str, &str)> = Outcome::ALL
        .iter()
        .map(|outcome| {
            (
                outcome.as_str(),
                if outcome.is_well() { "true" } else { "false" },
            )
        })
        .collect();
    assert_eq!(said, meant);
}

#[test]
fn an_error_in_the_table_has_the_advice_the_executable_gives() {
    let lines = table("defender_bridge_errors");
    let mut patterns = BTreeSet::new();
    for line in &lines {
        let (pattern, kind, code, remedy) = (&line[0], &line[1], &line[2], &line[4]);
        assert!(
            patterns.insert(pattern.to_owned()),
            "{pattern} stands twice"
        );
        assert!(!line[3].is_empty(), "{pattern} has no cause");
        let advice = match kind {
            "sign-in" => advice::sign_in(&[code.strip_prefix("AADSTS").unwrap().parse().unwrap()]),
            "service" => advice::service(code.parse().unwrap()),
            "network" => {
                let trouble = Trouble::ALL
                    .into_iter()
                    .find(|trouble| format!("{trouble:?}") == code)
                    .unwrap();
                assert_eq!(pattern, format!("*: {}*", trouble.what()));
                trouble.advice()
            }
            _ => continue,
        };
        assert!(
            advice.is_some_and(|advice| advice.eq_ignore_ascii_case(remedy)),
            "{pattern}: {advice:?}"
        );
    }
    let codes: BTreeSet<&str> = lines.iter().map(|line| &line[2]).collect();
    for code in advice::known_codes() {
        assert!(
            codes.contains(format!("AADSTS{code}").as_str()),
            "AADSTS{code} is missing"
        );
    }
    for trouble in Trouble::ALL.into_iter().filter(|t| t.advice().is_some()) {
        assert!(
            codes.contains(format!("{trouble:?}").as_str()),
            "{trouble:?} is missing"
        );
    }
}

/// What no advice of its own exists for is recognised by the words of the message: they must still be those of the code.
#[test]
fn a_message_in_the_table_is_one_the_executable_writes() {
    let sources = [
        include_str!("../../bridge/account.rs"),
        include_str!("../account/mod.rs"),
        include_str!("../http/error.rs"),
        include_str!("../../ingest/poll/checkpoint.rs"),
        include_str!("../../ingest/delivery.rs"),
        include_str!("../../ingest/poll/mod.rs"),
        include_str!("../../splunk/modular_input/stanza_files.rs"),
    ]
    .concat();
    for line in table("defender_bridge_errors").iter() {
        if !matches!(&line[1], "setting") && &line[2] != "429" {
            continue;
        }
        for words in line[0].split('*').filter(|words| !words.is_empty()) {
            assert!(sources.contains(words), "nothing writes {words:?}");
        }
    }
}

/// A source in which texts that go on in the next line stand in one.
fn joined(source: &str) -> String {
    let mut text = String::new();
    for line in source.lines() {
        match line.strip_suffix('\\') {
            Some(begun) => text.push_str(begun.trim_start()),
            None => {
                text.push_str(line.trim_start());
                text.push('\n');
            }
        }
    }
    text.to_lowercase()
}

#[test]
fn what_the_table_says_of_streams_is_what_they_say() {
    let sources = joined(
        &[
            include_str!("../azure/dial.rs"),
            include_str!("../azure/event_hub/dial.rs"),
            include_str!("../azure/event_hub/error.rs"),
            include_str!("../azure/storage/error.rs"),
            include_str!("../azure/storage/ownership/mod.rs"),
        ]
        .concat(),
    );
    let lines = table("defender_bridge_errors");
    let of_streams: Vec<_> = lines.iter().filter(|line| &line[1] == "stream").collect();
    assert!(of_streams.len() > 10);
    for line in of_streams {
        for words in line[0].split('*').filter(|words| !words.is_empty()) {
            let words = words.to_lowercase();
            assert!(sources.contains(&words), "nothing writes {words:?}");
        }
        let remedy = line[4].to_lowercase();
        assert!(
            sources.contains(&remedy) || &line[2] == "container",
            "nothing advises {remedy:?}"
        );
    }
}

/// As Splunk compares: the first line that fits counts.
fn first_that_fits(error: &str) -> String {
    let error = error.to_lowercase();
    let fits = |pattern: &str| {
        let mut rest = error.as_str();
        pattern.to_lowercase().split('*').all(|words| {
            let found = rest.find(words);
            rest = found.map_or("", |at| &rest[at + words.len()..]);
            found.is_some()
        })
    };
    let lines = table("defender_bridge_errors");
    let line = lines.iter().find(|line| fits(&line[0]));
    line.map_or_else(String::new, |line| format!("{} {}", &line[1], &line[2]))
}

#[test]
fn an_error_of_a_stream_is_not_taken_for_one_of_a_list() {
    for (error, wanted) in [
        (
            "hub h of c: the hub answered 401: Unauthorized: give the app the role Azure Event Hubs Data Receiver on the",
            "stream role",
        ),
        (
            "hub h of c: the hub answered 401: ExpiredToken: The token is expired.: set this host's clock",
            "stream clock",
        ),
        (
            "c:5671: the connection was refused (x): let the firewall pass TCP 5671 to this host",
            "stream port",
        ),
        (
            "c:443: the connection was refused (x): check the URL",
            "network Refused",
        ),
        (
            "c:5671, through proxy p: the proxy answered 403 to CONNECT: let the proxy allow CONNECT",
            "stream proxy",
        ),
        (
            "c:5671, through proxy p: the proxy answered 407 to CONNECT: set username and password of the proxy in",
            "stream proxy password",
        ),
        (
            "c answered 403 AuthorizationPermissionMismatch; the role is missing: give the app or managed identity \
             Storage Blob Data Reader on the",
            "stream blob role",
        ),
        (
            "container x of c, where the readers of the hub share its partitions: c answered 404 ContainerNotFound; \
             check it. The one for checkpoints is made by hand, once",
            "stream container",
        ),
        ("graph answered 403 Forbidden", "service 403"),
    ] {
        assert_eq!(first_that_fits(error), wanted, "{error}");
    }
}
