//! kill -9 in the middle of an action: run again, it does the rest, and says
//! nothing twice.

use crate::counterpart::splunkd::Alert;
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Splunkd, Tenant};
use serde_json::Value;
use std::collections::BTreeSet;

/// Kills runs of one action, each a write later than the one before; then lets one end.
fn killed_again_and_again(feed: Feed, api: &str, count: usize) {
    let mut objects = recent(feed, count);
    for object in &mut objects {
        for status in ["Resolved", "InProgress", "resolved", "inProgress"] {
            let new = if status.starts_with(char::is_uppercase) {
                "New"
            } else {
                "new"
            };
            let (old, new) = (
                format!(r#""status":"{status}""#),
                format!(r#""status":"{new}""#),
            );
            object.text = object.text.replace(&old, &new);
        }
    }
    let tenant = Tenant::holding(feed, objects.clone());
    let splunkd = Splunkd::new().account("contoso", &tenant);
    let rows: Vec<Vec<String>> = objects.iter().map(|one| vec![one.id.clone()]).collect();
    let alert = Alert {
        form: &[
            ("account", "contoso"),
            ("api", api),
            ("status", "resolved"),
            ("comment", "closed by the night shift"),
        ],
        header: &["id"],
        rows: &rows,
        ..Alert::default()
    };
    let mut kills = 0;
    for writes in 1..=3 {
        let before = tenant.write_calls().len();
        let mut running = splunkd.start_alert(&alert);
        if running.wait_until(|| tenant.write_calls().len() >= before + writes) {
            running.kill();
            kills += 1;
        }
        drop(running.finish());
        splunkd.forget_budget();
    }
    assert!(kills > 0, "no run lived long enough to be killed");
    let earlier = splunkd.indexed().len();
    let run = splunkd.alert(&alert);
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    let told: BTreeSet<u64> = splunkd.indexed()[earlier..]
        .iter()
        .map(|got| {
            serde_json::from_str::<Value>(&got.body).unwrap()["row"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(told.len(), count);
    for object in &objects {
        let now = tenant.object(feed, &object.id);
        assert!(
            now["status"]
                .as_str()
                .unwrap()
                .eq_ignore_ascii_case("resolved")
        );
        let said = now["comments"].to_string().matches("night shift").count();
        assert_eq!(said, 1, "{now}");
    }
}

#[test]
fn a_killed_action_over_graph_is_finished_by_the_next_and_says_nothing_twice() {
    killed_again_and_again(Feed::GraphAlerts, "graph", 50);
}

#[test]
fn a_killed_action_over_batch_update_is_finished_by_the_next_and_says_nothing_twice() {
    killed_again_and_again(Feed::MdeAlerts, "mde", 250);
}
