//! An input goes on where Microsoft's clients stopped: nothing is lost, nothing doubled.

use super::hub::{Counts, Hub, positions, take};
use crate::counterpart::Splunkd;
use crate::counterpart::process::{Reading, Run};
use defender_bridge::sandbox::event_hub::Payload;
use serde_json::{Value, json};

fn migrate(hub: &Hub, ours: &Splunkd, more: &[&str]) -> Run {
    let tenant = hub.tenant();
    let text = |name: &str, value: &str| format!("--{name}={value}");
    let arguments = [
        "migrate".to_owned(),
        "positions".to_owned(),
        text("input", "feed"),
        text("folder", &ours.checkpoint_dir().display().to_string()),
        text("event-hub-namespace", hub.hub().namespace()),
        text("event-hub", hub.hub().name()),
        text(
            "checkpoint-container",
            &hub.storage().checkpoint_container(),
        ),
        text("tenant-id", tenant.tenant_id()),
        text("client-id", tenant.client_id()),
        text("cloud", "custom"),
        text("login-url", tenant.url()),
        text("ca-file", &hub.ca_file()),
    ];
    let option = |argument: &str| argument.split('=').next().map(str::to_owned);
    let given: Vec<Option<String>> = more.iter().map(|argument| option(argument)).collect();
    let arguments = arguments.iter().map(String::as_str);
    let arguments: Vec<&str> = arguments
        .filter(|argument| !given.contains(&option(argument)))
        .collect();
    let person = Splunkd::new().with_environment("DEFENDER_BRIDGE_SECRET", tenant.client_secret());
    person.run_arguments(&[&arguments, more].concat())
}

fn publish(hub: &Hub, events: usize) {
    for number in 0..events {
        let record = json!({"category": "AdvancedHunting-AlertInfo", "time": "2026-11-30T00:00:00Z",
            "properties": {"Timestamp": "2026-11-30T00:00:00Z", "AlertId": format!("new-{number}")}});
        let body = json!({"records": [record]}).to_string();
        let partition = number % hub.hub().partitions();
        assert!(
            hub.hub()
                .publish(Some(partition), Payload::Data(body.into()))
                .is_some()
        );
    }
}

#[test]
fn a_local_input_goes_on_where_a_client_that_shared_the_hub_stopped() {
    let hub = Hub::with_storage(300, 3);
    let container = hub.storage().checkpoint_container();
    let shared = [
        ("checkpoint", "blob"),
        ("checkpoint_container", container.as_str()),
    ];
    // Its blobs are laid out as Microsoft's clients lay out theirs.
    let other = hub.splunkd(&shared);
    let run = hub.follow(&other, other.start(Reading::Steady)).well();
    let mut came = Counts::new();
    take(&mut came, &run.events());
    publish(&hub, 30);

    let ours = hub.splunkd(&[]);
    let shown = migrate(&hub, &ours, &["--json"]).well();
    let rows: Vec<Value> = serde_json::from_str(&shown.text()).unwrap();
    assert_eq!(rows.len(), 3);
    for row in &rows {
        assert!(
            row["goes_on"].as_str().unwrap().starts_with("behind "),
            "{row}"
        );
        assert_eq!(row["waits"], 10, "{row}");
        assert!(row["left"][0]["age"].is_u64(), "{row}");
    }
    assert!(
        shown.stderr.contains("nothing was written"),
        "{}",
        shown.stderr
    );
    assert!(ours.checkpoints().is_empty());
    let blob = migrate(&hub, &ours, &["--checkpoint=blob", "--apply"]).well();
    assert!(blob.stderr.contains("as they are"), "{}", blob.stderr);
    assert!(ours.checkpoints().is_empty());

    let applied = migrate(&hub, &ours, &["--apply"]).well();
    assert!(
        applied.stderr.contains("3 positions were written"),
        "{}",
        applied.stderr
    );
    assert!(applied.text().contains("goes on"), "{}", applied.text());
    assert_eq!(positions(&ours), positions(&other));
    // A second time there is nothing to take over.
    let again = migrate(&hub, &ours, &["--apply"]).well();
    assert!(again.text().contains("where it is"), "{}", again.text());
    assert!(
        again.stderr.contains("0 positions were written"),
        "{}",
        again.stderr
    );

    let run = hub.follow(&ours, ours.start(Reading::Steady)).well();
    assert_eq!(run.events().len(), 30);
    take(&mut came, &run.events());
    assert_eq!(came, hub.wanted());
}

#[test]
fn nothing_is_written_while_another_client_reads() {
    let hub = Hub::with_storage(60, 2);
    let container = hub.storage().checkpoint_container();
    let other = hub.splunkd(&[
        ("checkpoint", "blob"),
        ("checkpoint_container", container.as_str()),
    ]);
    let mut running = other.start(Reading::Steady);
    assert!(running.wait_until(|| hub.is_caught_up(&other)));
    let ours = hub.splunkd(&[]);
    let run = migrate(&hub, &ours, &["--apply"]);
    let refusal = run.refusal();
    assert!(
        refusal.contains("still reads it") && refusal.contains("Nothing was written"),
        "{refusal}"
    );
    assert!(ours.checkpoints().is_empty());
    running.terminate();
    running.finish().well();
}

#[test]
fn what_cannot_be_used_is_named_with_its_option() {
    let hub = Hub::with_storage(10, 1);
    let ours = hub.splunkd(&[]);
    for (more, words) in [
        (&["--start=soon"][..], &["--start"][..]),
        (&["--event-hub=nosuch"], &["nosuch", "event_hub"]),
        (
            &["--container-secret-file=/nowhere"],
            &["--container-secret-file"],
        ),
        (
            &["--checkpoint-container=http://x/y"],
            &["checkpoint_container", "https"],
        ),
        (
            &["--checkpoint-container=https://127.0.0.1:1/a/b"],
            &["container b", "127.0.0.1:1"],
        ),
    ] {
        let run = migrate(&hub, &ours, more);
        for word in words {
            assert!(run.refusal().contains(word), "`{word}` in {}", run.stderr);
        }
    }
    assert!(ours.checkpoints().is_empty());
}
