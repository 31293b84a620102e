//! SIGTERM ends a run at once, also one that waits for a reader, and costs nothing.

use crate::counterpart::index::Arrivals;
use crate::counterpart::process::Reading;
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Splunkd, Tenant, Turn};
use std::time::Duration;

/// splunkd's grace is not documented; the product promises two seconds.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn sigterm_ends_a_run_whose_reader_has_stopped_and_nothing_is_lost() {
    let feed = Feed::GraphAlerts;
    let page = 60;
    let objects = recent(feed, 600);
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.rules(|rules| rules.clamp = Some(page));
    let splunkd = Splunkd::reading(&tenant, feed);

    let mut running = splunkd.start(Reading::Stalled);
    assert!(running.wait_until(|| !tenant.list_calls().is_empty()));
    // Long enough to fill the pipe and stand still.
    assert!(running.ends_within(Duration::from_millis(700)).is_none());
    let calls = tenant.list_calls().len();
    assert!(
        calls <= 4,
        "{calls} pages were fetched for a reader that takes none"
    );
    running.terminate();
    let ended = running.ends_within(SOON);
    assert!(ended.is_some(), "still running {SOON:?} after SIGTERM");

    let mut arrivals = Arrivals::of(&running.finish());
    arrivals.take(&splunkd.run().well().events());
    let doubles = arrivals.hold_all(&objects);
    assert!(doubles <= page, "{doubles} doubles");
}

#[test]
fn sigterm_ends_a_run_that_waits_for_microsoft() {
    let feed = Feed::GraphAlerts;
    let objects = recent(feed, 10);
    for turn in [
        Turn::Silent(Duration::from_secs(60)),
        Turn::Fail(429, Some(60)),
    ] {
        let tenant = Tenant::holding(feed, objects.clone());
        tenant.before_each_list(move |_, _| turn.clone());
        let splunkd = Splunkd::reading(&tenant, feed);
        let mut running = splunkd.start(Reading::Steady);
        assert!(running.wait_until(|| !tenant.list_calls().is_empty()));
        running.terminate();
        assert!(
            running.ends_within(SOON).is_some(),
            "still running {SOON:?} after SIGTERM"
        );
        assert_eq!(running.finish().events(), []);
        tenant.before_each_list(|_, _| Turn::Serve);
        splunkd.forget_budget();
        Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    }
}

#[test]
fn a_slow_reader_gets_everything_once() {
    let feed = Feed::GraphAlerts;
    let objects = recent(feed, 300);
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.rules(|rules| rules.clamp = Some(60));
    let splunkd = Splunkd::reading(&tenant, feed);
    let reading = Reading::Slow {
        bytes: 4096,
        pause: Duration::from_millis(1),
    };
    Arrivals::of(&splunkd.start(reading).finish().well()).are_exactly(&objects);
}

#[test]
fn a_reader_that_goes_away_ends_the_run_and_costs_at_most_a_page() {
    let feed = Feed::GraphAlerts;
    let page = 60;
    let objects = recent(feed, 600);
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.rules(|rules| rules.clamp = Some(page));
    let splunkd = Splunkd::reading(&tenant, feed);
    let mut running = splunkd.start(Reading::Stalled);
    assert!(running.wait_until(|| !tenant.list_calls().is_empty()));
    running.hang_up();
    assert!(
        running.ends_within(SOON).is_some(),
        "still running without a reader"
    );

    let mut arrivals = Arrivals::of(&running.finish());
    arrivals.take(&splunkd.run().well().events());
    let doubles = arrivals.hold_all(&objects);
    assert!(doubles <= page, "{doubles} doubles");
}
