//! Objects that change while pages are read are not lost and not doubled.

use crate::counterpart::index::Arrivals;
use crate::counterpart::instants::{self, DAY, MINUTE, SECOND};
use crate::counterpart::objects::tied;
use crate::counterpart::tenant::{OrderRule, recent};
use crate::counterpart::{Feed, Object, Splunkd, Tenant, Turn};
use std::sync::{Arc, Mutex};

/// Reads while every call moves some objects to a later time; checks the last revisions.
fn nothing_is_lost(objects: Vec<Object>, feed: Feed, clamp: usize, order: OrderRule) {
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.rules(|rules| {
        rules.clamp = Some(clamp);
        rules.order = order;
    });
    let moved: Arc<Mutex<Vec<Object>>> = Arc::default();
    let moves = moved.clone();
    tenant.before_each_list(move |listing, stock| {
        // Two of the page just read and one anywhere, six times; each lands
        // behind everything listed so far, as an update made a moment ago does.
        if listing.before < 6 {
            let anywhere = listing.feed.id(listing.before as u64 * 17);
            let ids = listing.ids.iter().take(2).cloned().chain([anywhere]);
            for (place, id) in ids.enumerate() {
                let offset = i64::try_from(listing.before * 3 + place).unwrap() * SECOND;
                let at = instants::ago(2 * MINUTE) + offset;
                if let Some(object) = stock.find(feed, &id) {
                    let newer = object.updated(feed, at, "changed");
                    *object = newer.clone();
                    moves.lock().unwrap().push(newer);
                }
            }
        }
        Turn::Serve
    });
    let splunkd = Splunkd::reading(&tenant, feed);
    let mut events = splunkd.run().well().events();
    events.extend(splunkd.run().well().events());

    let mut once = std::collections::BTreeSet::new();
    for event in &events {
        assert!(once.insert(event.data.clone()), "twice: {}", event.data);
    }
    let moved = moved.lock().unwrap();
    assert!(!moved.is_empty());
    for object in tenant.objects(feed) {
        assert!(
            once.contains(&object.text),
            "the last revision is missing: {}",
            object.text
        );
    }
    let known: std::collections::BTreeSet<_> = objects
        .iter()
        .chain(moved.iter())
        .map(|object| object.text.clone())
        .collect();
    assert!(once.is_subset(&known));
}

#[test]
fn objects_updated_between_two_pages_arrive_in_their_last_revision() {
    for feed in [Feed::GraphAlerts, Feed::GraphIncidents, Feed::MdeAlerts] {
        nothing_is_lost(recent(feed, 200), feed, 25, OrderRule::Honoured);
    }
}

#[test]
fn objects_updated_between_two_pages_of_a_list_without_order_arrive_too() {
    nothing_is_lost(
        recent(Feed::GraphAlerts, 160),
        Feed::GraphAlerts,
        40,
        OrderRule::IgnoredNewestFirst,
    );
    nothing_is_lost(
        recent(Feed::GraphAlerts, 160),
        Feed::GraphAlerts,
        40,
        OrderRule::Refused,
    );
}

#[test]
fn objects_leaving_a_tie_while_it_is_paged_do_not_hide_others() {
    let feed = Feed::GraphIncidents;
    let objects = tied(feed, 230, instants::ago(DAY));
    nothing_is_lost(objects, feed, 50, OrderRule::Honoured);
}

#[test]
fn another_content_under_the_same_update_time_is_one_more_event() {
    let feed = Feed::GraphAlerts;
    let from = instants::ago(10 * MINUTE);
    let objects = crate::counterpart::objects::spread(feed, 20, from, from + 5 * MINUTE);
    let tenant = Tenant::holding(feed, objects.clone());
    let splunkd = Splunkd::reading(&tenant, feed);
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    let grown = Object::raw(
        feed,
        &objects[7].id,
        objects[7].at,
        objects[7]
            .text
            .replace(r#""evidence":["#, r#""grown":true,"evidence":["#),
    );
    tenant.change(|stock| *stock.find(feed, &grown.id).unwrap() = grown.clone());
    Arrivals::of(&splunkd.run().well()).are_exactly(&[grown]);
    assert_eq!(splunkd.run().well().events(), []);
}
