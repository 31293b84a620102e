//! What cannot be right with a storage account, or with a container of checkpoints.

use super::bad_settings::{nobody, refused, tried_again};
use super::hub::Hub;
use super::tenant::{ACCOUNT, with_input};
use crate::counterpart::Splunkd;
use crate::counterpart::process::Reading;
use defender_bridge::sandbox::storage::Storage;
use std::time::Duration;

/// An input for the storage account, with an account that signs in.
fn splunkd(hub: &Hub, more: &[(&str, &str)]) -> Splunkd {
    let url = hub.storage().url();
    let usual = [
        ("account", ACCOUNT),
        ("feed", "storage"),
        ("storage_account", url),
        ("start", "earliest"),
    ];
    with_input(hub.splunkd(&[]), &usual, more)
}

fn splunkd_with_string(hub: &Hub, string: &str) -> Splunkd {
    let splunkd = hub.splunkd_with_string(&[]).input(
        "feed",
        [
            ("account", ACCOUNT),
            ("feed", "storage"),
            ("start", "earliest"),
        ],
    );
    splunkd.set_password(ACCOUNT, string);
    splunkd
}

/// Runs it until something was delivered.
fn run(splunkd: &Splunkd) {
    let mut running = splunkd.start(Reading::Steady);
    assert!(running.wait_for_output(2_000));
    running.terminate();
    running.finish().well();
}

#[test]
fn right_settings_are_accepted_and_what_is_not_right_is_told_with_what_to_do() {
    let hub = Hub::with_storage(40, 1);
    let good = splunkd(&hub, &[]);
    let validated = good.validate();
    assert_eq!(validated.code(), Some(0), "{}", validated.text());
    run(&good);
    let string = splunkd_with_string(&hub, &hub.storage().connection_string());
    assert_eq!(string.validate().code(), Some(0));
    run(&string);

    let (id, secret) = hub.tenant().expired();
    let expired = splunkd(&hub, &[]);
    expired.set("account", ACCOUNT, "client_id", id);
    expired.set_password(ACCOUNT, secret);
    refused(&expired, &["AADSTS7000222", "create a new one"]);

    let ended = hub.storage().signature("rl", Duration::ZERO);
    let ended = format!(
        "BlobEndpoint={};SharedAccessSignature={ended}",
        hub.storage().url()
    );
    string.set_password(ACCOUNT, &ended);
    refused(&string, &["shared access signature", "make a new one"]);

    let port = nobody();
    let blocked = format!("https://127.0.0.1:{port}/sandboxlogs");
    let place = format!("127.0.0.1:{port}");
    let blocked = splunkd(&hub, &[("storage_account", &blocked)]);
    tried_again(&blocked, &[&place, "refused", "firewall"]);

    hub.storage().take_role(hub.tenant().client_id());
    refused(&good, &["Storage Blob Data Reader"]);
}

#[test]
fn a_table_that_is_not_there_is_waited_for_and_said_before() {
    let hub = Hub::with_storage(40, 1);
    let splunkd = splunkd(&hub, &[("tables", "DeviceNothing")]);
    let validated = splunkd.validate();
    assert_eq!(validated.code(), Some(0), "{}", validated.text());
    let warnings = validated.lines("WARN").join(" ");
    assert!(
        warnings.contains("devicenothing") && warnings.contains("check the names in `tables`"),
        "{warnings}"
    );
    let mut running = splunkd.start(Reading::Steady);
    let is_said = || {
        splunkd
            .log_file("defender_bridge.log")
            .contains("is not there (yet)")
    };
    assert!(running.wait_until(is_said));
    running.terminate();
    assert_eq!(running.finish().well().events(), []);
}

#[test]
fn a_blob_of_another_kind_is_left_alone_and_said() {
    let hub = Hub::with_storage(40, 1);
    let container = Storage::container_of("AlertInfo");
    assert!(
        hub.storage()
            .put_block_blob(&container, "copy.json", b"{}\n")
    );
    let splunkd = splunkd(&hub, &[("tables", "AlertInfo")]);
    let mut running = splunkd.start(Reading::Steady);
    let is_said = || {
        splunkd
            .log_file("defender_bridge.log")
            .contains("copy.json")
    };
    assert!(running.wait_until(is_said));
    running.terminate();
    let run = running.finish().well();
    let warnings = run.lines("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("no append blob")
            && warnings[0].contains("look for what else writes there"),
        "{warnings:?}"
    );
    let validated = splunkd.validate();
    assert_eq!(validated.code(), Some(0), "{}", validated.text());
    assert!(
        validated.stderr.contains("no append blob"),
        "{}",
        validated.stderr
    );
}

#[test]
fn a_container_of_checkpoints_that_cannot_be_used_is_told_with_what_to_do() {
    let hub = Hub::with_storage(40, 2);
    let with = |container: &str| {
        hub.splunkd(&[("checkpoint", "blob"), ("checkpoint_container", container)])
    };
    let container = hub.storage().checkpoint_container();
    let good = with(&container);
    assert_eq!(good.validate().code(), Some(0));
    hub.follow(&good, good.start(Reading::Steady)).well();
    let missing = format!("{}/nosuch", hub.storage().url());
    refused(&with(&missing), &["nosuch", "made by hand"]);
    let blocked = format!("https://127.0.0.1:{}/sandboxlogs/checkpoints", nobody());
    tried_again(&with(&blocked), &["checkpoints", "refused", "firewall"]);
    hub.storage().take_role(hub.tenant().client_id());
    refused(&good, &["Storage Blob Data Contributor"]);
}

#[test]
fn a_storage_account_is_checked_and_read_from_the_command_line() {
    let hub = Hub::with_storage(60, 1);
    let storage = hub.storage();
    let run = |arguments: &[&str]| {
        let splunkd =
            Splunkd::new().with_environment("DEFENDER_BRIDGE_SECRET", &storage.connection_string());
        let ca_file = format!("--ca-file={}", hub.ca_file());
        let account = ["--auth=connection_string", "--cloud=custom", &ca_file];
        splunkd.run_arguments(&[arguments, &account].concat())
    };
    let found = run(&["check", "--feed=storage", "--json"]).well();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&found.text()).unwrap();
    for check in [
        "name",
        "port",
        "TLS",
        "sign-in",
        "containers",
        "reading",
        "role",
        "clock",
    ] {
        let row = rows.iter().find(|row| row["check"] == check);
        assert_eq!(
            row.unwrap_or_else(|| panic!("{check}: {rows:?}"))["state"],
            "ok"
        );
    }
    let mut wanted = 0;
    storage.records(|_| wanted += 1);
    let read = run(&["fetch", "--feed=storage", "--start=earliest"]).well();
    let came = read.text().lines().count();
    // The export writes some again, which are left out.
    assert!(
        came <= wanted && came * 10 >= wanted * 9,
        "{came} of {wanted}"
    );
    let bounded = run(&["fetch", "--feed=storage", "--start=earliest", "--records=7"]).well();
    assert_eq!(bounded.text().lines().count(), 7);
}
