//! Elements of a list that are no objects, or say no id or time, stop nobody else.

use crate::counterpart::index::Arrivals;
use crate::counterpart::instants::MINUTE;
use crate::counterpart::stream::Event;
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Object, Splunkd, Tenant};

const ODD: [&str; 10] = [
    "null",
    "42",
    "true",
    r#""a text with <markup> & \u0001""#,
    "[]",
    "{}",
    r#"{"lastUpdateDateTime":"2026-01-01T00:00:00Z","title":"no id"}"#,
    r#"{"id":"no-time","title":"x"}"#,
    r#"{"id":"bad-time","lastUpdateDateTime":"yesterday"}"#,
    r#"{"id":null,"lastUpdateDateTime":null}"#,
];

#[test]
fn odd_elements_are_quarantined_and_the_objects_arrive() {
    let feed = Feed::GraphAlerts;
    let objects = recent(feed, 80);
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.add(
        feed,
        ODD.iter()
            .zip(&objects)
            .map(|(text, near)| Object::odd(near.at + MINUTE / 7, text)),
    );
    let splunkd = Splunkd::reading(&tenant, feed);
    let run = splunkd.run();
    assert_eq!(run.code(), Some(0), "{}", run.stderr);

    let (good, odd): (Vec<_>, Vec<_>) = run
        .all_events()
        .into_iter()
        .filter(|event| event.sourcetype != "defender_bridge:health")
        .partition(|event| event.sourcetype == feed.sourcetype());
    let mut arrivals = Arrivals::default();
    arrivals.take(&good);
    arrivals.are_exactly(&objects);

    for event in &odd {
        assert!(
            event.sourcetype.starts_with("defender_bridge:"),
            "{}",
            event.sourcetype
        );
    }
    for text in ODD {
        let times = odd.iter().filter(|event| keeps(event, text)).count();
        assert_eq!(times, 1, "kept once: {text}\n{odd:#?}");
    }
    let told = run.lines("WARN").len() + run.lines("ERROR").len();
    assert!(
        told > 0,
        "a message tells of the quarantine:\n{}",
        run.stderr
    );

    let second = splunkd.run();
    assert_eq!(second.events(), []);
    let again: Vec<_> = second
        .all_events()
        .into_iter()
        .filter(|event| ODD.iter().any(|text| keeps(event, text)))
        .collect();
    assert_eq!(again, [], "nothing is quarantined twice");
}

/// The event holds the element as it was sent, by itself or as text inside.
fn keeps(event: &Event, text: &str) -> bool {
    event.data == text
        || event
            .json()
            .as_object()
            .is_some_and(|members| members.values().any(|value| value == text))
}

#[test]
fn a_page_of_nothing_but_odd_elements_does_not_hold_the_walk() {
    let feed = Feed::GraphIncidents;
    let objects = recent(feed, 60);
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.rules(|rules| rules.clamp = Some(5));
    let middle = objects[30].at + 1;
    tenant.add(
        feed,
        (0..12).map(|number| Object::odd(middle, &format!("{number}"))),
    );
    let run = Splunkd::reading(&tenant, feed).run();
    let mut arrivals = Arrivals::default();
    let good: Vec<_> = run
        .events()
        .into_iter()
        .filter(|event| event.sourcetype == feed.sourcetype())
        .collect();
    arrivals.take(&good);
    arrivals.are_exactly(&objects);
}

#[test]
fn nesting_without_end_is_one_odd_element_and_no_more() {
    let feed = Feed::GraphAlerts;
    let objects = recent(feed, 20);
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deeper = format!("{{\"id\":\"deep\",\"a\":{deep}}}");
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.add(
        feed,
        [
            Object::odd(objects[7].at, &deep),
            Object::odd(objects[9].at, &deeper),
        ],
    );
    let run = Splunkd::reading(&tenant, feed).run();
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    let mut arrivals = Arrivals::default();
    let good: Vec<_> = run
        .events()
        .into_iter()
        .filter(|event| event.sourcetype == feed.sourcetype())
        .collect();
    arrivals.take(&good);
    arrivals.are_exactly(&objects);
}
