//! The self-test tells of each contract what it found, whatever splunkd does,
//! and nothing that others must not read.

use crate::counterpart::chunked::{Answer, search};
use crate::counterpart::signin::{CLIENT_ID, CLIENT_SECRET};
use crate::counterpart::splunkd::{ANALYST_KEY, KEEPER_KEY, SESSION_KEY};
use crate::counterpart::{Feed, Splunkd, Tenant};
use serde_json::json;
use std::collections::BTreeMap;

const CONTRACTS: [&str; 22] = [
    "endpoint: native driver",
    "endpoint: starts again",
    "secrets: splunkd's key",
    "alert actions",
    "input scheme",
    "input messages",
    "splunkd: address",
    "splunkd: release",
    "splunkd: cluster",
    "secrets: this user's key",
    "secrets: form",
    "canary: event",
    "canary: fields",
    "times: alerts",
    "times: incidents",
    "times: endpoint alerts",
    "props: alerts",
    "props: incidents",
    "props: endpoint alerts",
    "inputs: runs",
    "search commands",
    "page script",
];

fn splunkd(tenant: &Tenant) -> Splunkd {
    let splunkd = Splunkd::new().account("private_account", tenant).serving();
    splunkd.set("settings", "triage", "index", "verdicts");
    splunkd
}

/// Contract to its other cells; the whole text holds nothing private.
fn report(splunkd: &Splunkd) -> BTreeMap<String, BTreeMap<String, String>> {
    let (answers, run) = search("defenderselftest", &[]).run(splunkd, &["", ""]);
    let run = run.well();
    let text = run.text();
    for private in [
        SESSION_KEY,
        CLIENT_SECRET,
        CLIENT_ID,
        "private_account",
        "secret_name",
        "splunk-system-user",
        "sh1",
    ] {
        assert!(
            !text.contains(private) && !run.stderr.contains(SESSION_KEY),
            "{private}: {text}"
        );
    }
    let rows: Vec<_> = answers
        .iter()
        .flat_map(|answer: &Answer| answer.rows.clone())
        .collect();
    let names: Vec<&str> = rows.iter().map(|row| row["contract"].as_str()).collect();
    assert_eq!(names, CONTRACTS);
    for row in &rows {
        assert_eq!(
            row["what_to_do"].is_empty(),
            row["result"] == "ok",
            "{row:?}"
        );
    }
    rows.into_iter()
        .map(|row| (row["contract"].clone(), row))
        .collect()
}

#[test]
fn every_contract_is_kept_by_a_splunkd_as_it_is_documented() {
    let tenant = Tenant::holding(Feed::GraphAlerts, []);
    let splunkd = splunkd(&tenant);
    let report = report(&splunkd);
    for contract in CONTRACTS.iter().filter(|name| **name != "page script") {
        assert_eq!(report[*contract]["result"], "ok", "{:?}", report[*contract]);
    }
    assert_eq!(report["page script"]["result"], "unknown");
    assert_eq!(splunkd.endpoint_processes(), 2);
    assert_eq!(
        report["secrets: this user's key"]["found"],
        "account 1: yes"
    );
    assert_eq!(report["secrets: splunkd's key"]["found"], "account 1: yes");
    assert!(report["search commands"]["found"].contains("session_key"));
    // One event, of a sourcetype nobody counts, and nothing else is changed.
    let changed: Vec<_> = splunkd
        .received()
        .into_iter()
        .filter(|got| got.method != "GET")
        .collect();
    let sent: Vec<_> = changed
        .iter()
        .filter(|got| got.path.ends_with("receivers/simple"))
        .collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].query["sourcetype"], "defender_bridge:selftest");
    assert_eq!(sent[0].query["index"], "verdicts");
    assert!(changed.iter().all(|got| {
        ["/receivers/simple", "/search/jobs", "/defender_bridge/self"]
            .iter()
            .any(|end| got.path.ends_with(end))
    }));
    assert_eq!(tenant.calls().len(), 0);
}

#[test]
fn who_is_no_administrator_is_told_what_it_takes_and_nothing_is_asked() {
    let tenant = Tenant::holding(Feed::GraphAlerts, []);
    let splunkd = splunkd(&tenant);
    for key in [ANALYST_KEY, KEEPER_KEY] {
        let asked = crate::counterpart::chunked::Search {
            key,
            ..search("defenderselftest", &[])
        };
        let (answers, _) = asked.run(&splunkd, &[""]);
        let said = answers
            .iter()
            .flat_map(Answer::messages)
            .collect::<Vec<_>>()
            .join(" ");
        assert!(
            said.contains("may not run the self-test") && said.contains("admin_all_objects"),
            "{said}"
        );
    }
    let asked = splunkd.received();
    assert!(
        asked
            .iter()
            .all(|got| got.path.ends_with("current-context")),
        "{asked:?}"
    );
}

/// Part of a path or search, and the contract it is for.
const PARTS: [(&str, &str); 12] = [
    ("defender_bridge/self", "endpoint: native driver"),
    ("alert_actions", "alert actions"),
    ("modular-inputs", "input scheme"),
    ("services/messages", "input messages"),
    ("shcluster", "splunkd: cluster"),
    ("storage/passwords", "secrets: form"),
    ("receivers/simple", "canary: event"),
    ("max(off)", "times: incidents"),
    ("conf-props", "props: alerts"),
    ("dc(server)", "inputs: runs"),
    ("server/info", "splunkd: release"),
    ("conf-defender_bridge_account", "secrets: this user's key"),
];

#[test]
fn a_place_that_fails_or_talks_nonsense_is_told_and_stops_no_other() {
    let tenant = Tenant::holding(Feed::GraphAlerts, []);
    for answer in [
        (403, "{}".to_owned()),
        (200, "<html>no</html>".to_owned()),
        (200, format!("\"{}\"", "x".repeat(5 << 20))),
    ] {
        let splunkd = splunkd(&tenant);
        for (part, _) in PARTS {
            splunkd.be_odd(part, Some(answer.clone()));
        }
        let report = report(&splunkd);
        for (part, contract) in PARTS {
            assert_ne!(
                report[contract]["result"], "ok",
                "{part}: {:?}",
                report[contract]
            );
        }
        for contract in ["splunkd: address", "search commands"] {
            assert_eq!(report[contract]["result"], "ok");
        }
    }
}

#[test]
fn a_place_that_hangs_is_not_reached_and_the_others_are() {
    let tenant = Tenant::holding(Feed::GraphAlerts, []);
    let splunkd = splunkd(&tenant);
    for (part, _) in PARTS {
        splunkd.be_odd(part, None);
    }
    let report = report(&splunkd);
    for (part, contract) in PARTS {
        assert_eq!(report[contract]["result"], "not_reached", "{part}");
        assert!(!report[contract]["found"].is_empty());
    }
    assert_eq!(report["search commands"]["result"], "ok");
}

#[test]
fn a_splunkd_that_does_otherwise_is_found_out() {
    let tenant = Tenant::holding(Feed::GraphAlerts, []);
    let splunkd = splunkd(&tenant);
    let listed = |app: &str, name: &str, content: serde_json::Value| {
        let entry = json!({"name": name, "acl": {"app": app}, "content": content});
        Some((200, json!({"entry": [entry]}).to_string()))
    };
    let rows = |row: serde_json::Value| Some((200, json!({"results": [row]}).to_string()));
    let theirs = json!({"alert.execute.cmd": "other", "payload_format": "xml"});
    splunkd.be_odd(
        "alert_actions",
        listed("other_app", "defender_bridge_update_alert", theirs),
    );
    splunkd.be_odd(
        "modular-inputs",
        listed("defender_bridge", "defender_bridge", json!({})),
    );
    let failed = json!({"message": "Unable to initialize modular input \"defender_bridge\""});
    splunkd.be_odd(
        "services/messages",
        listed("system", "MOD_INPUT:INIT_FAILURE", failed),
    );
    splunkd.be_odd(
        "conf-props",
        listed(
            "Splunk_TA",
            "ms365:defender:incident:alerts",
            json!({"EVAL-dest": "x"}),
        ),
    );
    splunkd.be_odd(
        "max(off)",
        rows(json!({"events": "3", "compared": "3", "off": "3600.0"})),
    );
    splunkd.be_odd(
        "dc(server)",
        rows(json!({"servers": "2", "server": "sh2", "outcome": "ok"})),
    );
    splunkd.be_odd(
        "head 1 ",
        rows(json!({"index": "main", "host": "127.0.0.1", "at": "12.5", "dest": "x"})),
    );
    let older =
        json!({"pid": 7, "version": "0.0.9", "argv": ["x"], "secrets": {"error": CLIENT_SECRET}});
    splunkd.be_odd("defender_bridge/self", Some((200, older.to_string())));
    let stored =
        json!({"encr_password": format!("$1${CLIENT_SECRET}"), "clear_password": CLIENT_SECRET});
    splunkd.be_odd("storage/passwords", listed("defender_bridge", "x", stored));
    splunkd.be_odd(
        "shcluster",
        listed("system", "config", json!({"disabled": "0"})),
    );
    let report = report(&splunkd);
    for contract in [
        "alert actions",
        "input scheme",
        "input messages",
        "props: alerts",
        "times: alerts",
        "inputs: runs",
        "canary: event",
        "canary: fields",
    ] {
        assert_eq!(
            report[contract]["result"], "unexpected",
            "{:?}",
            report[contract]
        );
    }
    for contract in [
        "endpoint: native driver",
        "endpoint: starts again",
        "secrets: form",
    ] {
        assert_eq!(
            report[contract]["result"], "unexpected",
            "{:?}",
            report[contract]
        );
    }
    for contract in ["secrets: splunkd's key", "splunkd: cluster"] {
        assert_eq!(
            report[contract]["result"], "unknown",
            "{:?}",
            report[contract]
        );
    }
    assert_eq!(report["secrets: form"]["found"], "another form: 1");
    assert!(report["endpoint: native driver"]["found"].contains("version 0.0.9"));
    assert!(report["alert actions"]["found"].contains("other_app"));
    assert!(report["inputs: runs"]["found"].contains("servers 2, last on another"));
}
