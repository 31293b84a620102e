//! No order of the list is relied upon: honoured, ignored or refused, all is read.

use crate::counterpart::index::Arrivals;
use crate::counterpart::instants;
use crate::counterpart::objects::tied;
use crate::counterpart::tenant::{NextLink, OrderRule, recent};
use crate::counterpart::{Feed, Splunkd, Tenant};

fn all_is_read(feed: Feed, order: OrderRule, clamp: Option<usize>, count: usize) {
    let objects = recent(feed, count);
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.rules(|rules| {
        rules.order = order;
        rules.clamp = clamp;
    });
    let splunkd = Splunkd::reading(&tenant, feed);
    let run = splunkd.run();
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    Arrivals::of(&run).are_exactly(&objects);
    assert_eq!(splunkd.run().events(), []);
}

#[test]
fn a_list_that_ignores_the_order_and_is_newest_first_is_read_whole() {
    all_is_read(Feed::GraphAlerts, OrderRule::IgnoredNewestFirst, None, 1200);
    all_is_read(
        Feed::GraphIncidents,
        OrderRule::IgnoredNewestFirst,
        None,
        160,
    );
}

#[test]
fn a_list_that_ignores_the_order_and_shortens_its_pages_is_read_whole() {
    all_is_read(
        Feed::GraphAlerts,
        OrderRule::IgnoredNewestFirst,
        Some(40),
        240,
    );
}

#[test]
fn a_list_in_no_order_at_all_is_read_whole() {
    all_is_read(Feed::GraphAlerts, OrderRule::IgnoredShuffled, None, 1200);
    all_is_read(Feed::GraphIncidents, OrderRule::IgnoredShuffled, None, 160);
}

#[test]
fn a_list_that_refuses_the_order_is_read_whole() {
    all_is_read(Feed::GraphAlerts, OrderRule::Refused, None, 1200);
    all_is_read(Feed::XdrIncidents, OrderRule::Refused, None, 230);
}

#[test]
fn a_list_that_refuses_the_order_and_shortens_its_pages_is_read_whole() {
    all_is_read(Feed::MdeAlerts, OrderRule::Refused, Some(50), 240);
}

#[test]
fn what_a_service_does_not_implement_is_not_asked_for_again_and_all_is_read() {
    for feed in Feed::ALL {
        let mut objects = recent(feed, 200);
        // More of one instant than a page holds, where a filter can tell them apart.
        let ties = match feed {
            Feed::XdrIncidents => 30,
            _ => 70,
        };
        objects.extend(tied(feed, ties, instants::ago(instants::HOUR / 2)));
        let tenant = Tenant::holding(feed, objects.clone());
        tenant.rules(|rules| {
            rules.unknown = &["$orderby", "$skip"];
            rules.clamp = Some(40);
            rules.next_link = NextLink::Never;
        });
        let splunkd = Splunkd::reading(&tenant, feed);
        let run = splunkd.run().well();
        Arrivals::of(&run).are_exactly(&objects);
        assert_eq!(splunkd.run().events(), []);
        let refused = tenant.list_calls();
        let refused = refused.iter().filter(|call| call.status == 501);
        assert!(refused.count() < 30);
    }
}
