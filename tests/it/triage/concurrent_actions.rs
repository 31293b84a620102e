//! The same rows decided twice at the same time: each run tells each row's
//! outcome once, the verdict stands, and one batch comments once.

use crate::counterpart::queue::{
    at_work, comments, decided, is_closed, ledger, open, rows, verdict,
};
use crate::counterpart::splunkd::Alert;
use crate::counterpart::{Feed, Turn};
use std::collections::BTreeMap;
use std::time::Duration;

const ROWS: usize = 50;

/// Two runs over the same rows, as much at the same time as can be; tells how
/// often each object was commented on.
fn at_once(feed: Feed, sids: [&str; 2]) -> Vec<usize> {
    let objects = open(feed, ROWS);
    let (tenant, splunkd) = at_work(feed, &objects);
    // Whoever reads is not told at once: both have read before one writes.
    tenant.after_each_call(|call| match call.writes() {
        true => Turn::Serve,
        false => Turn::Silent(Duration::from_millis(300)),
    });
    let form = verdict(feed);
    let rows = rows(&objects);
    let action = |sid| Alert {
        sid,
        ..decided(feed, &form, &rows)
    };
    let both = sids.map(|sid| splunkd.start_alert(&action(sid)));
    for running in both {
        let run = running.finish();
        assert_eq!(run.code(), Some(0), "{}", run.stderr);
    }
    // Two outcomes a row, one of each run.
    let mut told: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for entry in ledger(&splunkd) {
        let outcome = entry["outcome"].as_str().unwrap().to_owned();
        assert!(
            ["updated", "unchanged"].contains(&outcome.as_str()),
            "{entry}"
        );
        let row = entry["row"].as_u64().unwrap();
        told.entry(row).or_default().push(outcome);
    }
    assert_eq!(told.len(), ROWS);
    assert!(
        told.values().all(|outcomes| outcomes.len() == 2),
        "{told:?}"
    );
    let commented = |id: &String| {
        assert!(is_closed(&tenant, feed, id), "{id}");
        comments(&tenant, feed, id)
    };
    objects.iter().map(|object| commented(&object.id)).collect()
}

#[test]
fn one_batch_run_twice_at_once_comments_once() {
    for feed in [Feed::GraphAlerts, Feed::MdeAlerts] {
        let comments = at_once(feed, ["scheduler__1", "scheduler__1"]);
        assert_eq!(comments, [1; ROWS], "{feed:?}");
    }
}

#[test]
fn two_batches_at_once_comment_once_each_at_most() {
    for feed in [Feed::GraphAlerts, Feed::MdeAlerts] {
        let comments = at_once(feed, ["scheduler__1", "scheduler__2"]);
        assert!(
            comments.iter().all(|times| (1..=2).contains(times)),
            "{feed:?}: {comments:?}"
        );
    }
}
