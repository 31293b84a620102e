//! Every record of an event hub arrives once, as it was sent.

use super::hub::{Hub, came, hold_all, sum};
use crate::counterpart::process::Reading;
use serde_json::Value;
use std::time::Duration;

#[test]
fn every_record_of_every_partition_arrives_once() {
    let hub = Hub::of(3_000, 4);
    let splunkd = hub.splunkd(&[]);
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    let wanted = hub.wanted();
    assert_eq!(came(&run), wanted);
    let event = &run.events()[0];
    assert!(
        event.source.starts_with("defender_bridge:event_hub:"),
        "{}",
        event.source
    );

    let health: Vec<Value> = run.health().iter().map(|event| event.json()).collect();
    let records: usize = wanted.values().sum();
    assert_eq!(sum(&run, "records"), u64::try_from(records).unwrap());
    let last = health.last().unwrap();
    assert_eq!(last["outcome"], "stopped");
    assert_eq!(
        (&last["partitions"], &last["owned"]),
        (&4.into(), &4.into())
    );

    // Nothing new: nothing again, and health that says so.
    let mut running = splunkd.start(Reading::Steady);
    assert!(running.wait_until(|| hub.hub().receivers().len() == 4));
    assert!(running.wait_for_output(200));
    running.terminate();
    let run = running.finish().well();
    assert_eq!(run.events(), []);
    let health = run.health()[0].json();
    assert_eq!(
        (&health["lag_messages"], &health["lag"]),
        (&0.into(), &0.into())
    );
    assert!(health["silent_since"].is_string(), "{health}");
}

#[test]
fn a_connection_string_is_enough() {
    let hub = Hub::of(200, 2);
    let named = [("event_hub_namespace", ""), ("event_hub", "")];
    let splunkd = hub.splunkd_with_string(&named);
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    assert_eq!(came(&run), hub.wanted());
}

#[test]
fn a_slow_reader_gets_everything_once() {
    let hub = Hub::of(600, 3);
    let splunkd = hub.splunkd(&[]);
    let slow = Reading::Slow {
        bytes: 16 << 10,
        pause: Duration::from_millis(1),
    };
    let run = hub.follow(&splunkd, splunkd.start(slow)).well();
    assert_eq!(came(&run), hub.wanted());
}

#[test]
fn only_tables_that_are_named_arrive() {
    let hub = Hub::of(400, 2);
    let splunkd = hub.splunkd(&[("tables", "DeviceProcessEvents, AlertInfo")]);
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    let table = |text: &str| {
        let record: Value = serde_json::from_str(text).unwrap();
        let category = record["category"].as_str().unwrap_or_default();
        category.trim_start_matches("AdvancedHunting-").to_owned()
    };
    let mut wanted = hub.wanted();
    wanted.retain(|text, _| ["DeviceProcessEvents", "AlertInfo"].contains(&table(text).as_str()));
    assert!(!wanted.is_empty());
    assert_eq!(hold_all(&came(&run), &wanted), 0);
}
