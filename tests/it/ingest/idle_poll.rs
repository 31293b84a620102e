//! A poll that finds nothing new costs one token and one list call, and says nothing.

use crate::counterpart::index::Arrivals;
use crate::counterpart::instants::{self, MINUTE};
use crate::counterpart::objects::{Object, spread};
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Splunkd, Tenant};

fn second_run_is_idle(feed: Feed, objects: Vec<Object>) {
    let tenant = Tenant::holding(feed, objects.clone());
    let splunkd = Splunkd::reading(&tenant, feed);
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    for _ in 0..2 {
        tenant.forget_calls();
        let idle = splunkd.run().well();
        assert_eq!(idle.events(), [], "an idle poll brings no event");
        let calls: Vec<String> = tenant
            .calls()
            .into_iter()
            .map(|call| format!("{} {}", call.method, call.target))
            .collect();
        assert_eq!(tenant.token_calls().len(), 1, "{calls:#?}");
        assert_eq!(tenant.list_calls().len(), 1, "{calls:#?}");
        assert_eq!(calls.len(), 2, "{calls:#?}");
    }
}

#[test]
fn an_idle_poll_costs_one_token_and_one_list_call() {
    for feed in Feed::ALL {
        second_run_is_idle(feed, recent(feed, 60));
    }
}

#[test]
fn an_idle_poll_of_a_tenant_with_a_single_alert_costs_no_more() {
    second_run_is_idle(Feed::GraphAlerts, recent(Feed::GraphAlerts, 1));
}

#[test]
fn an_idle_poll_of_an_empty_tenant_costs_no_more() {
    second_run_is_idle(Feed::GraphAlerts, Vec::new());
}

#[test]
fn an_idle_poll_costs_no_more_when_the_overlap_holds_many() {
    for (feed, count) in [(Feed::GraphAlerts, 400), (Feed::GraphIncidents, 45)] {
        let from = instants::ago(12 * MINUTE);
        second_run_is_idle(feed, spread(feed, count, from, instants::ago(3 * MINUTE)));
    }
}

#[test]
fn an_overlap_of_several_pages_is_read_again_and_brings_nothing_twice() {
    let feed = Feed::GraphIncidents;
    let objects = spread(
        feed,
        130,
        instants::ago(12 * MINUTE),
        instants::ago(3 * MINUTE),
    );
    let tenant = Tenant::holding(feed, objects.clone());
    let splunkd = Splunkd::reading(&tenant, feed);
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    tenant.forget_calls();
    assert_eq!(splunkd.run().well().events(), []);
    assert!(
        tenant.list_calls().len() <= 5,
        "{} list calls",
        tenant.list_calls().len()
    );
}
