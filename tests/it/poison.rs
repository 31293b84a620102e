//! Elements of a list that are no objects, or say no id or time, stop nobody else.

use crate::arrivals::Arrivals;
use crate::counterpart::instants::MINUTE;
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
        .events()
        .into_iter()
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
        assert_eq!(
            odd.iter().filter(|event| event.data.contains(text)).count(),
            1,
            "kept once: {text}\n{odd:#?}"
        );
    }
    let told = run.lines("WARN").len() + run.lines("ERROR").len();
    assert!(
        told > 0,
        "a message tells of the quarantine:\n{}",
        run.stderr
    );

    assert_eq!(splunkd.run().events(), [], "nothing is quarantined twice");
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
