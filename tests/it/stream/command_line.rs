//! A stream from the command line: read once, and looked at, without a trace.

use super::hub::{Counts, Hub};
use crate::counterpart::Splunkd;
use crate::counterpart::process::Run;
use serde_json::Value;

/// Of a person with a connection string.
fn run(hub: &Hub, arguments: &[&str]) -> Run {
    run_with(hub, &hub.hub().connection_string(), arguments)
}

fn run_with(hub: &Hub, string: &str, arguments: &[&str]) -> Run {
    let splunkd = Splunkd::new().with_environment("DEFENDER_BRIDGE_SECRET", string);
    let ca_file = format!("--ca-file={}", hub.ca_file());
    let account = ["--auth=connection_string", "--cloud=custom", &ca_file];
    let run = splunkd.run_arguments(&[arguments, &account].concat());
    assert!(splunkd.checkpoints().is_empty());
    run
}

fn lines(run: &Run) -> Counts {
    let mut came = Counts::new();
    for line in run.text().lines() {
        *came.entry(line.to_owned()).or_default() += 1;
    }
    came
}

#[test]
fn a_hub_is_read_through_once_and_no_position_is_kept() {
    let hub = Hub::of(600, 3);
    let wanted = hub.wanted();
    for _ in 0..2 {
        let run = run(&hub, &["fetch", "--feed=event_hub", "--start=earliest"]).well();
        assert_eq!(lines(&run), wanted);
        assert!(run.stderr.contains("of 3 partitions"), "{}", run.stderr);
    }
    assert!(hub.hub().receivers().is_empty());
    let run = run(
        &hub,
        &[
            "fetch",
            "--feed=event_hub",
            "--start=earliest",
            "--tables=AlertInfo",
        ],
    );
    let of_table = |text: &String| text.contains("AdvancedHunting-AlertInfo");
    let mut some = wanted;
    some.retain(|text, _| of_table(text));
    assert!(!some.is_empty());
    assert_eq!(lines(&run.well()), some);
}

#[test]
fn it_ends_at_a_bound_and_where_nothing_lies_there() {
    let hub = Hub::of(600, 3);
    let earliest = ["fetch", "--feed=event_hub", "--start=earliest"];
    let bounded = run(&hub, &[&earliest[..], &["--records=10", "--json"]].concat()).well();
    assert_eq!(bounded.text().lines().count(), 10);
    let summary: Value = serde_json::from_str(bounded.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&summary["records"], &summary["bound"]),
        (&10.into(), &true.into())
    );
    let nothing = run(&hub, &["fetch", "--feed=event_hub", "--start=latest"]).well();
    assert_eq!(nothing.text(), "");
    let empty = Hub::of(0, 2);
    let nothing = run(&empty, &["fetch", "--feed=event_hub", "--start=earliest"]).well();
    assert_eq!(nothing.text(), "");
}

#[test]
fn options_that_do_not_go_together_are_named() {
    let hub = Hub::of(1, 1);
    for (arguments, named) in [
        (
            &["fetch", "--feed=event_hub", "--settle=5s"][..],
            "--settle",
        ),
        (&["fetch", "--feed=alerts", "--records=5"], "--records"),
        (&["fetch", "--event-hub=x"], "--event-hub"),
        (&["fetch", "--feed=event_hub", "--start=soon"], "--start"),
        (
            &["fetch", "--feed=event_hub", "--storage-account=x"],
            "--storage-account",
        ),
        (
            &["fetch", "--feed=event_hub", "--event-hub=other"],
            "event_hub",
        ),
    ] {
        let run = run(&hub, arguments);
        assert!(run.refusal().contains(named), "{}", run.stderr);
    }
    assert_eq!(hub.hub().stats().opened, 0);
}

fn rows(run: &Run) -> Vec<Value> {
    serde_json::from_str(&run.text()).unwrap_or_else(|_| panic!("{}{}", run.text(), run.stderr))
}

#[track_caller]
fn row<'r>(rows: &'r [Value], check: &str) -> &'r Value {
    rows.iter()
        .find(|row| row["check"] == check)
        .unwrap_or_else(|| panic!("{check} in {rows:?}"))
}

#[test]
fn a_check_tells_each_step_and_a_missing_role_from_an_empty_hub() {
    let look = ["check", "--feed=event_hub", "--json"];
    let hub = Hub::of(200, 2);
    let found = run(&hub, &look).well();
    let found = rows(&found);
    for check in [
        "name",
        "port",
        "TLS",
        "sign-in",
        "clock",
        "hub",
        "consumer group",
        "role",
        "partition 0",
        "partition 1",
        "tables",
    ] {
        assert_eq!(row(&found, check)["state"], "ok", "{found:?}");
    }
    assert!(
        row(&found, "tables")["finding"]
            .to_string()
            .contains("Device")
    );

    let empty = run(&Hub::of(0, 2), &look).well();
    let empty = rows(&empty);
    assert_eq!(row(&empty, "role")["state"], "ok");
    assert_eq!(row(&empty, "messages")["state"], "warning");

    // A policy that may only send.
    let [_, (listen, key), (send, send_key)] = hub.hub().policies();
    let string = hub.hub().connection_string();
    let string = string.replace(listen, send).replace(key, send_key);
    let run = run_with(&hub, &string, &look);
    assert_eq!(run.code(), Some(1));
    let refused = rows(&run);
    let role = row(&refused, "role");
    assert_eq!(role["state"], "failed", "{refused:?}");
    assert!(role["remedy"].to_string().contains("Data Receiver"));

    let other = run_with(
        &hub,
        &string,
        &["check", "--feed=event_hub", "--json", "--transport=kafka"],
    );
    let refused = rows(&other);
    assert!(
        row(&refused, "settings")["finding"]
            .to_string()
            .contains("--transport")
    );
}
