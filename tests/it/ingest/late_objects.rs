//! Objects that become visible late, behind what was already read, arrive.

use crate::counterpart::index::Arrivals;
use crate::counterpart::instants::{self, HOUR, MINUTE};
use crate::counterpart::objects::{numbered, spread};
use crate::counterpart::{Feed, Splunkd, Tenant};

#[test]
fn an_object_that_shows_up_within_the_overlap_arrives_once() {
    for feed in Feed::ALL {
        let objects = spread(
            feed,
            30,
            instants::ago(40 * MINUTE),
            instants::ago(3 * MINUTE),
        );
        let tenant = Tenant::holding(feed, objects.clone());
        let splunkd = Splunkd::reading(&tenant, feed);
        Arrivals::of(&splunkd.run().well()).are_exactly(&objects);

        let late = [
            numbered(feed, 7_001, instants::ago(12 * MINUTE)),
            numbered(feed, 7_002, instants::ago(5 * MINUTE)),
            // At the very instant of one already read.
            numbered(feed, 7_008, objects[29].at),
        ];
        tenant.add(feed, late.clone());
        Arrivals::of(&splunkd.run().well()).are_exactly(&late);
        assert_eq!(splunkd.run().well().events(), []);
    }
}

#[test]
fn a_longer_overlap_reaches_further_back() {
    let feed = Feed::GraphAlerts;
    let objects = spread(
        feed,
        50,
        instants::ago(30 * HOUR),
        instants::ago(5 * MINUTE),
    );
    let tenant = Tenant::holding(feed, objects.clone());
    let splunkd = Splunkd::reading_with(&tenant, feed, &[("overlap", "24h")]);
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    let late = numbered(feed, 7_001, instants::ago(23 * HOUR));
    tenant.add(feed, [late.clone()]);
    Arrivals::of(&splunkd.run().well()).are_exactly(&[late]);
    assert_eq!(splunkd.run().well().events(), []);
}

#[test]
fn objects_younger_than_the_settling_time_wait_for_it() {
    let feed = Feed::GraphAlerts;
    let old = numbered(feed, 7, instants::ago(10 * MINUTE));
    let young = numbered(feed, 15, instants::ago(MINUTE));
    let tenant = Tenant::holding(feed, [old.clone(), young.clone()]);
    let splunkd = Splunkd::reading_with(&tenant, feed, &[("settle", "5m")]);
    Arrivals::of(&splunkd.run().well()).are_exactly(&[old]);

    let eager = Splunkd::reading_with(&tenant, feed, &[("settle", "10s")]);
    assert_eq!(Arrivals::of(&eager.run().well()).count(), 2);
}

#[test]
fn the_first_read_starts_where_start_says() {
    let feed = Feed::GraphAlerts;
    let objects = spread(feed, 40, instants::ago(20 * HOUR), instants::ago(HOUR));
    let tenant = Tenant::holding(feed, objects.clone());
    let run = Splunkd::reading_with(&tenant, feed, &[("start", "-10h")])
        .run()
        .well();
    let from = instants::now() - 10 * HOUR;
    // Those at the edge may be on either side of a second.
    let inside: Vec<_> = objects
        .iter()
        .filter(|object| object.at > from + MINUTE)
        .cloned()
        .collect();
    let data: Vec<String> = run.events().into_iter().map(|event| event.data).collect();
    assert!(inside.iter().all(|object| data.contains(&object.text)));
    assert!(data.len() <= inside.len() + 1, "{} events", data.len());

    let stamp = instants::print(objects[25].at, 7);
    let run = Splunkd::reading_with(&tenant, feed, &[("start", &stamp)])
        .run()
        .well();
    Arrivals::of(&run).are_exactly(&objects[25..]);
}
