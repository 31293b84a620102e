//! Microsoft's limits are kept, and tokens renewed, without losing the way.

use crate::counterpart::index::Arrivals;
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Splunkd, Tenant, Turn};
use std::time::Duration;

const FEED: Feed = Feed::GraphAlerts;

#[test]
fn retry_after_is_obeyed() {
    for status in [429, 503] {
        let objects = recent(FEED, 100);
        let tenant = Tenant::holding(FEED, objects.clone());
        tenant.rules(|rules| rules.clamp = Some(40));
        tenant.before_each_list(move |listing, _| match listing.before {
            1 => Turn::Fail(status, Some(2)),
            _ => Turn::Serve,
        });
        let run = Splunkd::reading(&tenant, FEED).run();
        assert_eq!(run.code(), Some(0), "{}", run.stderr);
        Arrivals::of(&run).are_exactly(&objects);
        let calls = tenant.list_calls();
        let waited = calls[2].at - calls[1].at;
        assert!(
            waited >= Duration::from_millis(1950),
            "{waited:?} after Retry-After: 2"
        );
        let health = run.health()[0].json();
        if status == 429 {
            assert_eq!(health["throttles"], 1, "{health}");
        }
    }
}

#[test]
fn throttling_without_end_ends_the_run_and_loses_nothing() {
    let objects = recent(FEED, 100);
    let tenant = Tenant::holding(FEED, objects.clone());
    tenant.rules(|rules| rules.clamp = Some(40));
    tenant.before_each_list(|listing, _| match listing.before {
        0 => Turn::Serve,
        _ => Turn::Fail(429, Some(100_000)),
    });
    let splunkd = Splunkd::reading(&tenant, FEED);
    let run = splunkd.run();
    let told = run
        .lines("WARN")
        .iter()
        .chain(&run.lines("ERROR"))
        .any(|line| {
            ["429", "throttl", "no more calls"]
                .iter()
                .any(|word| line.contains(word))
        });
    assert!(told, "{}", run.stderr);
    let mut arrivals = Arrivals::of(&run);
    tenant.before_each_list(|_, _| Turn::Serve);
    // The next run keeps to what the last one was told...
    tenant.forget_calls();
    assert_eq!(splunkd.run().events(), []);
    assert_eq!(
        tenant.list_calls().len(),
        0,
        "a Retry-After is obeyed by the next run too"
    );
    // ...until that is over.
    splunkd.forget_budget();
    arrivals.take(&splunkd.run().well().events());
    arrivals.are_exactly(&objects);
}

#[test]
fn a_token_that_ends_in_the_middle_of_a_walk_is_renewed() {
    let objects = recent(FEED, 200);
    let tenant = Tenant::holding(FEED, objects.clone());
    tenant.rules(|rules| {
        rules.clamp = Some(30);
        rules.token_calls = Some(2);
    });
    let run = Splunkd::reading(&tenant, FEED).run().well();
    Arrivals::of(&run).are_exactly(&objects);
    assert!(tenant.token_calls().len() >= 3);
}

#[test]
fn a_token_refused_again_and_again_is_not_renewed_for_ever() {
    let tenant = Tenant::holding(FEED, recent(FEED, 10));
    tenant.rules(|rules| rules.token_calls = Some(0));
    let run = Splunkd::reading(&tenant, FEED).run();
    assert!(run.refusal().contains("401"), "{}", run.stderr);
    assert!(
        tenant.token_calls().len() <= 3,
        "{} tokens",
        tenant.token_calls().len()
    );
}

#[test]
fn two_runs_at_once_share_one_call_budget_and_lose_nothing() {
    let tenant = Tenant::holding(FEED, recent(FEED, 60));
    tenant.add(Feed::GraphIncidents, recent(Feed::GraphIncidents, 60));
    let splunkd = Splunkd::new()
        .account("contoso", &tenant)
        .input("alerts", [("account", "contoso"), ("feed", "alerts")]);
    let first = splunkd.start(crate::counterpart::process::Reading::Steady);
    let splunkd = splunkd
        .without_inputs()
        .input("incidents", [("account", "contoso"), ("feed", "incidents")]);
    let second = splunkd.start(crate::counterpart::process::Reading::Steady);
    assert_eq!(first.finish().well().events().len(), 60);
    assert_eq!(second.finish().well().events().len(), 60);
}
