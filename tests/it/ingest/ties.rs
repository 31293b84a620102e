//! Any number of objects may share one instant.

use crate::counterpart::index::Arrivals;
use crate::counterpart::instants::{self, DAY, HOUR};
use crate::counterpart::objects::{Object, numbered, tied};
use crate::counterpart::{Feed, Splunkd, Tenant};

fn at() -> i64 {
    instants::ago(DAY)
}

/// Objects before, at and after one instant.
fn around(feed: Feed, count: usize) -> Vec<Object> {
    let at = at();
    let mut objects = tied(feed, count, at);
    let others = (0..30).map(|number| {
        let offset = (i64::try_from(number).unwrap() - 15) * HOUR / 4 + 1;
        numbered(feed, 900_000 + number, at + offset)
    });
    objects.extend(others);
    objects
}

fn all_are_read(feed: Feed, clamp: Option<usize>, count: usize) {
    let objects = around(feed, count);
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.rules(|rules| rules.clamp = clamp);
    let splunkd = Splunkd::reading(&tenant, feed);
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    assert_eq!(splunkd.run().well().events(), []);
    for call in tenant.list_calls() {
        let skip = call
            .query
            .get("$skip")
            .map_or(0, |skip| skip.parse::<usize>().unwrap());
        assert!(skip <= 500, "$skip beyond its cap: {}", call.target);
    }
}

#[test]
fn two_thousand_alerts_of_one_instant_all_arrive() {
    all_are_read(Feed::GraphAlerts, None, 2000);
}

#[test]
fn two_thousand_alerts_of_one_instant_arrive_where_skip_does_not_reach() {
    all_are_read(Feed::GraphAlerts, Some(300), 2000);
}

#[test]
fn ties_of_incidents_beyond_the_skip_cap_all_arrive() {
    all_are_read(Feed::GraphIncidents, None, 900);
}

#[test]
fn a_tie_as_large_as_a_page_does_not_stop_the_walk() {
    for count in [49, 50, 51, 100] {
        all_are_read(Feed::GraphIncidents, None, count);
    }
}

#[test]
fn a_tie_nothing_can_tell_apart_is_reported_and_the_rest_arrives() {
    let feed = Feed::GraphIncidents;
    let at = at();
    let stamp = instants::print(at, 7);
    let same = (0..700).map(|number| {
        let id = feed.id(number);
        let text = format!(
            r#"{{"id":"{id}","lastUpdateDateTime":"{stamp}","severity":"low","status":"active"}}"#
        );
        Object::raw(feed, &id, at, text)
    });
    let later = numbered(feed, 900_001, at + HOUR);
    let tenant = Tenant::holding(feed, same.chain([later.clone()]));
    let run = Splunkd::reading(&tenant, feed).run();
    let data: Vec<String> = run.events().into_iter().map(|event| event.data).collect();
    assert!(data.contains(&later.text), "what comes after the tie");
    assert!(data.len() > 500, "{} events", data.len());
    let day = &stamp[..19];
    assert!(
        run.lines("ERROR")
            .iter()
            .chain(&run.lines("WARN"))
            .any(|line| line.contains(day)),
        "a line that names {day}:\n{}",
        run.stderr
    );
}
