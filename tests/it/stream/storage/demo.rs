//! `demo` of a stream needs nothing and proves the count.

use crate::counterpart::Splunkd;
use serde_json::Value;

fn shown(feed: &str) -> Value {
    let words = ["demo", "--feed", feed, "--json", "--alerts", "60"];
    let run = Splunkd::new().run_arguments(&words).well();
    let shown: Value = serde_json::from_str(&run.text()).unwrap();
    assert_eq!(shown["equal"], true, "{shown}");
    let records = shown["records"].as_u64().unwrap();
    let runs: Vec<u64> = shown["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run.as_u64().unwrap())
        .collect();
    assert!(runs.len() == 2 && runs[1] > 0, "{shown}");
    assert_eq!(runs.iter().sum::<u64>(), records, "{shown}");
    shown
}

#[test]
fn the_demo_follows_an_event_hub_and_ends_with_equal_counts() {
    assert_eq!(shown("event_hub")["repeats"], 0);
}

#[test]
fn the_demo_follows_a_storage_account_and_ends_with_equal_counts() {
    assert!(shown("storage")["repeats"].as_u64().unwrap() > 0);
}

#[test]
fn the_demo_of_a_stream_ends_with_a_clear_line() {
    let run = Splunkd::new().run_arguments(&["demo", "--feed", "storage", "--alerts", "30"]);
    let text = run.well().text();
    let last = text.lines().last().unwrap();
    assert!(
        last.contains("records is in, and none came twice."),
        "{last}"
    );
}
