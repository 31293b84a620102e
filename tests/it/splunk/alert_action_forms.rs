//! What an alert action offers is what the executable takes.

use defender_bridge::triage::PARAMETERS;
use std::collections::BTreeSet;

/// Parameters of alerts and incidents alike, and those of incidents only.
const OF_INCIDENTS: [&str; 2] = ["tags_add", "tags_remove"];

fn stanzas() -> Vec<(String, BTreeSet<String>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/default/alert_actions.conf");
    let mut stanzas: Vec<(String, BTreeSet<String>)> = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        if let Some(name) = line.strip_prefix('[') {
            stanzas.push((name.trim_end_matches(']').to_owned(), BTreeSet::new()));
        } else if let Some((key, _)) = line.split_once('=') {
            let parameter = key.trim().strip_prefix("param.");
            if let Some(parameter) = parameter.filter(|name| !name.starts_with('_')) {
                stanzas.last_mut().unwrap().1.insert(parameter.to_owned());
            }
        }
    }
    stanzas
}

#[test]
fn every_parameter_of_an_action_is_one_the_executable_takes_and_none_is_left_out() {
    let all: BTreeSet<String> = PARAMETERS.iter().map(|&name| name.to_owned()).collect();
    let mut of_alerts = all.clone();
    of_alerts.retain(|name| !OF_INCIDENTS.contains(&name.as_str()));
    assert_eq!(
        stanzas(),
        [
            ("defender_bridge_update_alert".to_owned(), of_alerts),
            ("defender_bridge_update_incident".to_owned(), all),
        ]
    );
}

#[test]
fn the_closure_search_hands_over_no_more_rows_than_its_action_takes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/default/savedsearches.conf");
    let conf = std::fs::read_to_string(path).unwrap();
    let (_, stanza) = conf
        .split_once("[Defender Bridge - ES closure to Defender]")
        .unwrap();
    let value = |key: &str| {
        let line = stanza
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap();
        line.trim_start_matches(" = ").to_owned()
    };
    let search = value("search");
    let (before, table) = search.rsplit_once(" | table ").unwrap();
    let most = before.rsplit_once(" | head ").unwrap().1;
    assert_eq!(
        most,
        value("action.defender_bridge_update_alert.param.max_targets")
    );
    assert!(before.contains("sort 0 defender_tries _time"), "{before}");
    assert!(
        before.contains("defenderledger | where authentic=\"true\""),
        "{before}"
    );
    // What its rows say, the action leaves open: they overrule nothing.
    let fields = table
        .split(' ')
        .filter_map(|field| field.strip_prefix("defender_"));
    for field in fields.filter(|field| *field != "tenant") {
        let key = format!("action.defender_bridge_update_alert.param.{field} = ");
        let set = stanza.lines().find_map(|line| line.strip_prefix(&key));
        assert_eq!(set.unwrap_or_default(), "", "{field}");
    }
}
