//! A page that fails for ever is halved, singled out and reported; the rest goes on.

use crate::counterpart::index::Arrivals;
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Object, Splunkd, Tenant};

fn without(objects: &[Object], id: &str) -> Vec<Object> {
    objects
        .iter()
        .filter(|object| object.id != id)
        .cloned()
        .collect()
}

fn rest_arrives(feed: Feed, count: usize) {
    let objects = recent(feed, count);
    let poison = objects[count * 3 / 5].id.clone();
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.rules(|rules| {
        rules.lasting_500.insert(poison.clone());
    });
    let splunkd = Splunkd::reading(&tenant, feed);

    let run = splunkd.run();
    Arrivals::of(&run).are_exactly(&without(&objects, &poison));
    let day = &objects[count * 3 / 5].text;
    let stamp = serde_json::from_str::<serde_json::Value>(day).unwrap()[feed.time_field()]
        .as_str()
        .unwrap()[..16]
        .to_owned();
    assert!(
        run.lines("ERROR")
            .iter()
            .chain(&run.lines("WARN"))
            .any(|line| line.contains(&stamp)),
        "a line that names {stamp}:\n{}",
        run.stderr
    );

    // The next poll neither doubles the rest nor hammers the page.
    tenant.forget_calls();
    assert_eq!(splunkd.run().events(), []);
    let calls = tenant.list_calls().len();
    assert!(
        calls <= 30,
        "{calls} calls for one object that does not come"
    );

    // Never skipped: once the service recovers and the next try is due, it comes.
    tenant.rules(|rules| rules.lasting_500.clear());
    splunkd.let_every_wait_be_over();
    Arrivals::of(&splunkd.run()).are_exactly(&objects[count * 3 / 5..=count * 3 / 5]);
}

#[test]
fn one_incident_the_service_fails_on_does_not_stop_the_others() {
    rest_arrives(Feed::GraphIncidents, 70);
}

#[test]
fn one_alert_the_service_fails_on_does_not_stop_the_others() {
    rest_arrives(Feed::GraphAlerts, 120);
}
