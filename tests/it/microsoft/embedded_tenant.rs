//! The tenant inside the executable, started by hand, is read like any other.

use crate::counterpart::objects::Dice;
use crate::counterpart::process::{self, Reading, Running};
use crate::counterpart::queue::decided;
use crate::counterpart::{Feed, Splunkd};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const CLOSED: [(&str, &str); 6] = [
    ("account", "sandbox"),
    ("api", "mde"),
    ("status", "resolved"),
    ("classification", "truePositive"),
    ("determination", "malware"),
    ("comment", "closed by the night shift"),
];

struct Sandbox {
    running: Running,
    told: Value,
    directory: tempfile::TempDir,
}

impl Sandbox {
    fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ca_file = directory.path().join("ca.pem");
        let mut command = Command::new(env!("CARGO_BIN_EXE_defender_bridge"));
        command
            .args(["sandbox", "--listen", "127.0.0.1:0", "--json", "--ca-file"])
            .arg(&ca_file)
            .args(arguments);
        let mut running = process::start(command, b"", Reading::Stalled);
        let told = serde_json::from_str(&running.first_line()).unwrap();
        Self {
            running,
            told,
            directory,
        }
    }

    fn splunkd(&self) -> Splunkd {
        let told = |key: &str| self.told[key].as_str().unwrap();
        Splunkd::new().account_at(
            "sandbox",
            told("url"),
            told("ca_file"),
            [told("tenant_id"), told("client_id"), told("client_secret")],
        )
    }

    /// Ends it; what it said on stderr.
    fn stop(mut self) -> String {
        self.running.terminate();
        let run = self.running.finish();
        assert_eq!(run.code(), Some(0));
        drop(self.directory);
        run.stderr
    }

    /// An alert as somebody else with an app of their own sees it in Defender for Endpoint.
    fn alert(&self, id: &str) -> Value {
        let told = |key: &str| self.told[key].as_str().unwrap();
        let ca = std::fs::read(told("ca_file")).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()])
            .no_proxy()
            .build()
            .unwrap();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", told("reader_id")),
            ("client_secret", told("reader_secret")),
            ("scope", "https://api.securitycenter.microsoft.com/.default"),
        ];
        let sign_in = format!("{}/{}/oauth2/v2.0/token", told("url"), told("tenant_id"));
        let asked = async {
            let token = client.post(sign_in).form(&form).send().await?;
            let token: Value = token.json().await?;
            let url = format!("{}/api/alerts/{id}", told("url"));
            let token = token["access_token"].as_str().unwrap();
            client
                .get(url)
                .bearer_auth(token)
                .send()
                .await?
                .json()
                .await
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let alert: Result<Value, reqwest::Error> = runtime.block_on(asked);
        alert.unwrap()
    }
}

#[test]
fn every_feed_of_the_embedded_tenant_is_read_once() {
    let sandbox = Sandbox::start(&["--alerts", "120"]);
    let mut alerts = Vec::new();
    for feed in Feed::ALL {
        let [kind, api] = feed.input();
        let start = ("start", "-30d");
        let splunkd = sandbox
            .splunkd()
            .input("feed", [("account", "sandbox"), kind, api, start]);
        let events = splunkd.run().well().events();
        let distinct: BTreeSet<&str> = events.iter().map(|event| event.data.as_str()).collect();
        assert_eq!(distinct.len(), events.len(), "{feed:?}: doubles");
        let own = events
            .iter()
            .filter(|event| event.sourcetype == feed.sourcetype())
            .count();
        assert!(own > 0, "{feed:?}: nothing came");
        if feed == Feed::GraphAlerts {
            alerts = events.clone();
        }
        assert_eq!(splunkd.run().well().events(), [], "{feed:?}");
    }
    assert_eq!(alerts.len(), 120);
    sandbox.stop();
}

#[test]
fn objects_given_to_the_embedded_tenant_come_through_unchanged() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let file = root.join("graph_alerts_v2.ndjson");
    let sandbox = Sandbox::start(&["--alerts", "5", "--load", file.to_str().unwrap()]);
    let splunkd = sandbox.splunkd().input(
        "feed",
        [
            ("account", "sandbox"),
            ("feed", "alerts"),
            ("start", "2020-01-01T00:00:00Z"),
        ],
    );
    let events = splunkd.run().well().events();
    let text = std::fs::read_to_string(file).unwrap();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let times = events.iter().filter(|event| event.data == line).count();
        assert_eq!(times, 1, "{line}");
    }
    sandbox.stop();
}

#[test]
fn a_verdict_on_an_alert_of_the_embedded_tenant_comes_back_in_the_feed() {
    let sandbox = Sandbox::start(&["--alerts", "20"]);
    let splunkd = sandbox.splunkd().input(
        "feed",
        [
            ("account", "sandbox"),
            ("feed", "alerts"),
            ("start", "-30d"),
            ("settle", "0s"),
        ],
    );
    let alerts: Vec<Value> = splunkd
        .run()
        .well()
        .events()
        .iter()
        .map(crate::counterpart::stream::Event::json)
        .collect();
    let open: Vec<&str> = alerts
        .iter()
        .filter(|alert| alert["status"] != "resolved")
        .filter_map(|alert| alert["id"].as_str())
        .collect();
    let id = open[Dice::new(7).below(open.len())];
    let rows = vec![vec![id.to_owned()]];
    let run = splunkd.alert(&crate::counterpart::splunkd::Alert {
        form: &[
            ("account", "sandbox"),
            ("status", "resolved"),
            ("classification", "falsePositive"),
            ("determination", "notMalicious"),
        ],
        header: &["id"],
        rows: &rows,
        ..Default::default()
    });
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    let mut events = splunkd.run().well().events();
    events.extend(splunkd.run().well().events());
    let changed: Vec<Value> = events
        .iter()
        .map(crate::counterpart::stream::Event::json)
        .filter(|alert| alert["id"] == id)
        .collect();
    assert_eq!(changed.len(), 1, "{events:#?}");
    assert_eq!(changed[0]["status"], "resolved");
    assert_eq!(changed[0]["determination"], "notMalicious");
    sandbox.stop();
}

#[test]
fn a_thousand_endpoint_alerts_close_within_the_published_quotas() {
    let sandbox = Sandbox::start(&["--alerts", "1500", "--quotas", "--log-calls"]);
    let splunkd = sandbox.splunkd().input(
        "feed",
        [
            ("account", "sandbox"),
            ("feed", "alerts"),
            ("api", "mde"),
            ("start", "-30d"),
        ],
    );
    let rows: Vec<Vec<String>> = splunkd
        .run()
        .well()
        .events()
        .iter()
        .map(crate::counterpart::stream::Event::json)
        .filter_map(|alert| alert["id"].as_str().map(|id| vec![id.to_owned()]))
        .take(1000)
        .collect();
    assert_eq!(rows.len(), 1000);
    // The feed has spent its share of the minute's calls.
    splunkd.forget_budget();
    let run = splunkd.alert(&decided(Feed::MdeAlerts, &CLOSED, &rows));
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    let outcomes: Vec<Value> = splunkd
        .indexed()
        .iter()
        .map(|sent| serde_json::from_str(&sent.body).unwrap())
        .collect();
    assert_eq!(outcomes.len(), 1000);
    for outcome in &outcomes {
        let well = ["updated", "unchanged"].map(|well| outcome["outcome"] == well);
        assert!(well.contains(&true), "{outcome}");
        assert_ne!(outcome["verified"], false, "{outcome}");
    }
    let said = sandbox.stop();
    let writes = |line: &&str| {
        let mut words = line.split(' ').skip_while(|word| *word != "DEBUG").skip(1);
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        matches!(method, "POST" | "PATCH") && path.starts_with("/api/")
    };
    let writes = said.lines().filter(writes).count();
    assert!((1..=25).contains(&writes), "{writes} write calls");
}

#[test]
fn a_batch_repeated_while_lists_are_stale_comments_once() {
    let stale = ["--visible-after", "1s", "--listed-after", "1h"];
    let sandbox = Sandbox::start(&[["--alerts", "60"].as_slice(), &stale].concat());
    let feed = [
        ("account", "sandbox"),
        ("feed", "alerts"),
        ("api", "mde"),
        ("start", "-30d"),
    ];
    let splunkd = sandbox.splunkd().input("feed", feed);
    let rows: Vec<Vec<String>> = splunkd
        .run()
        .well()
        .events()
        .iter()
        .map(crate::counterpart::stream::Event::json)
        .filter_map(|alert| alert["id"].as_str().map(|id| vec![id.to_owned()]))
        .take(40)
        .collect();
    for _ in 0..2 {
        splunkd.forget_budget();
        let run = splunkd.alert(&decided(Feed::MdeAlerts, &CLOSED, &rows));
        assert_eq!(run.code(), Some(0), "{}", run.stderr);
    }
    for row in &rows {
        let alert = sandbox.alert(&row[0]);
        assert_eq!(alert["status"], "Resolved", "{alert}");
        let comments = alert["comments"].to_string();
        assert_eq!(comments.matches("night shift").count(), 1, "{comments}");
    }
    sandbox.stop();
}

/// Ended by now, without having served anybody.
fn refused(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_defender_bridge"));
    command.args(["sandbox", "--json"]).args(arguments);
    let run = process::start(command, b"", Reading::Steady).finish();
    assert_eq!(run.code(), Some(1), "{}", run.stderr);
    assert_eq!(run.text(), "");
    run.refusal().to_owned()
}

#[test]
fn other_machines_are_served_only_where_that_is_asked_for() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.7:8443"] {
        let line = refused(&["--listen", address]);
        for word in [address, "loopback", "--allow-remote"] {
            assert!(line.contains(word), "{word} in: {line}");
        }
    }
}

#[cfg(unix)]
#[test]
fn its_certificate_lies_in_a_folder_of_its_own_that_is_gone_at_the_end() {
    use std::os::unix::fs::PermissionsExt;
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    let executable = env!("CARGO_BIN_EXE_defender_bridge");
    command
        .args(["-c", "umask 000; exec \"$0\" \"$@\"", executable])
        .args(["sandbox", "--json"])
        .env("TMPDIR", temporary.path());
    let mut running = process::start(command, b"", Reading::Stalled);
    let told: Value = serde_json::from_str(&running.first_line()).unwrap();
    let ca_file = PathBuf::from(told["ca_file"].as_str().unwrap());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&ca_file), 0o600);
    let folder = ca_file.parent().unwrap();
    assert_eq!(mode(folder), 0o700);
    assert!(folder.starts_with(temporary.path()) && folder != temporary.path());
    running.terminate();
    running.finish();
    assert_eq!(temporary.path().read_dir().unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_its_certificate_leads_nowhere() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (kept, ca_file) = (folder.path().join("kept"), folder.path().join("ca.pem"));
    std::fs::write(&kept, "kept").unwrap();
    std::os::unix::fs::symlink(&kept, &ca_file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_defender_bridge"));
    command
        .args(["sandbox", "--json", "--ca-file"])
        .arg(&ca_file);
    let mut running = process::start(command, b"", Reading::Stalled);
    running.first_line();
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "kept");
    let found = std::fs::symlink_metadata(&ca_file).unwrap();
    assert!(found.is_file());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    running.terminate();
    running.finish();
}
