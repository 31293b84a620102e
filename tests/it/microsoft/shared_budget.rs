//! An input that works off a backlog and an action that writes verdicts share
//! the calls Microsoft publishes: the input leaves some to the action, and the
//! tenant never sees more than the limits.

use crate::counterpart::process::Reading;
use crate::counterpart::queue::{counted, counts, decided, is_closed, ledger, rows, verdict};
use crate::counterpart::tenant::{Call, recent};
use crate::counterpart::{Feed, Tenant};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// What counts as a call: each part of a `$batch` does, signing in does not.
fn made(tenant: &Tenant) -> Vec<(Instant, usize)> {
    let calls = tenant.calls().into_iter();
    calls
        .filter(|call| !call.path.contains("/oauth2/"))
        .map(|call: Call| (call.at, call.parts().len()))
        .collect()
}

/// The most calls of any minute.
fn most(made: &[(Instant, usize)]) -> usize {
    let within = |(end, _): &(Instant, usize)| -> usize {
        let inside = made
            .iter()
            .filter(|(at, _)| at <= end && *end - *at < MINUTE);
        inside.map(|(_, calls)| calls).sum()
    };
    made.iter().map(within).max().unwrap_or_default()
}

/// `share` of the calls of a minute are open to reading.
fn both_at_once(feed: Feed, limit: usize, share: usize) {
    let objects = recent(feed, 1000);
    let (tenant, splunkd) = counted(feed, &objects);
    // A backlog of more pages than a minute has calls.
    tenant.rules(|rules| rules.clamp = Some(5));
    let parameters = feed.input().into_iter().chain([("account", "contoso")]);
    let splunkd = splunkd.input("feed", parameters);
    let mut input = splunkd.start(Reading::Steady);
    assert!(input.wait_until(|| tenant.list_calls().len() >= share));

    // Reading has used up its share and waits; an analyst does not.
    let targets = &objects[..3];
    let form = verdict(feed);
    let rows = rows(targets);
    let run = splunkd.alert(&decided(feed, &form, &rows));
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    assert_eq!(counts(&ledger(&splunkd)).values().sum::<usize>(), 3);
    for target in targets {
        assert!(is_closed(&tenant, feed, &target.id));
    }
    assert!(
        !input.has_ended(),
        "the input goes on when the minute is over"
    );
    input.terminate();
    let read = input.finish().events().len();
    assert!((share..objects.len()).contains(&read), "{read} events");

    let calls = made(&tenant);
    assert!(most(&calls) <= limit, "{} calls in a minute", most(&calls));
    let lists: Vec<_> = tenant
        .list_calls()
        .iter()
        .map(|call| (call.at, 1))
        .collect();
    // The action's own reads of Defender for Endpoint are lists too.
    let own = lists.len() - share.min(lists.len());
    assert!(own <= 8, "{} list calls", lists.len());

    // What was left is read when there is room again.
    splunkd.forget_budget();
    tenant.rules(|rules| rules.clamp = None);
    let rest = splunkd.run().well().events().len();
    assert!(read + rest >= objects.len(), "{read} and {rest} events");
}

#[test]
fn a_backlog_of_graph_alerts_leaves_room_for_verdicts() {
    both_at_once(Feed::GraphAlerts, 150, 120);
}

#[test]
fn a_backlog_of_endpoint_alerts_leaves_room_for_verdicts() {
    both_at_once(Feed::MdeAlerts, 100, 80);
}
