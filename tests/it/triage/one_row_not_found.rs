//! Two hundred rows, the third of which is gone: 199 end well, one is not found.

use crate::counterpart::Feed;
use crate::counterpart::queue::{
    at_work, comments, counts, decided, is_closed, ledger, open, rows, verdict,
};

fn all_but_the_third(feed: Feed) {
    let mut objects = open(feed, 200);
    let gone = objects.remove(2);
    let (tenant, splunkd) = at_work(feed, &objects);
    let mut rows = rows(&objects);
    rows.insert(2, vec![gone.id.clone()]);
    let run = splunkd.alert(&decided(feed, &verdict(feed), &rows));
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
    let ledger = ledger(&splunkd);
    let expected = [("not_found", 1), ("updated", 199)];
    let expected = expected.map(|(outcome, count)| (outcome.to_owned(), count));
    assert_eq!(counts(&ledger), expected.into());
    let missing = ledger.iter().find(|entry| entry["outcome"] == "not_found");
    let missing = missing.unwrap();
    assert_eq!(
        (&missing["row"], &missing["target"]),
        (&3.into(), &gone.id.into())
    );
    for object in &objects {
        assert!(is_closed(&tenant, feed, &object.id), "{}", object.id);
        assert_eq!(comments(&tenant, feed, &object.id), 1, "{}", object.id);
    }
}

#[test]
fn the_other_graph_alerts_are_closed() {
    all_but_the_third(Feed::GraphAlerts);
}

#[test]
fn the_other_endpoint_alerts_are_closed() {
    all_but_the_third(Feed::MdeAlerts);
}
