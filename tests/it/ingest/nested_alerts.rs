//! The alerts inside an XDR incident leave as events of their own, once per change.

use crate::counterpart::index::Arrivals;
use crate::counterpart::instants::{self, HOUR, MINUTE};
use crate::counterpart::objects::{Place, xdr_alert, xdr_with};
use crate::counterpart::{Feed, Splunkd, Tenant};

const FEED: Feed = Feed::XdrIncidents;

#[test]
fn nested_alerts_are_split_out_wherever_they_stand() {
    let at = instants::ago(HOUR);
    let objects = [Place::First, Place::Middle, Place::Last].map(|place| {
        let id = format!("{}", 100 + place as u64);
        let alerts = [
            xdr_alert(&format!("da{id}_1"), at, "one"),
            xdr_alert(&format!("da{id}_2"), at, "]}two,\\\"alerts\\\":[{"),
        ];
        xdr_with(&id, at + place as i64, place, &alerts)
    });
    let tenant = Tenant::holding(FEED, objects.clone());
    Arrivals::of(&Splunkd::reading(&tenant, FEED).run().well()).are_exactly(&objects);
}

#[test]
fn an_alert_that_did_not_change_is_not_told_again() {
    let at = instants::ago(10 * MINUTE);
    let (one, two) = (xdr_alert("da1_1", at, "one"), xdr_alert("da1_2", at, "two"));
    let first = xdr_with("500", at, Place::Middle, &[one.clone(), two.clone()]);
    let tenant = Tenant::holding(FEED, [first.clone()]);
    let splunkd = Splunkd::reading(&tenant, FEED);
    Arrivals::of(&splunkd.run().well()).are_exactly(&[first]);

    // The incident moves on with one alert changed, one as it was, and a new one.
    let later = at + MINUTE;
    let changed = xdr_alert("da1_2", later, "two, resolved");
    let fresh = xdr_alert("da1_3", later, "three");
    let second = xdr_with(
        "500",
        later,
        Place::Middle,
        &[one, changed.clone(), fresh.clone()],
    );
    tenant.change(|stock| *stock.find(FEED, "500").unwrap() = second.clone());
    let mut wanted = second;
    wanted.events.retain(|(_, data)| !data.contains("da1_1"));
    Arrivals::of(&splunkd.run().well()).are_exactly(&[wanted]);
    assert_eq!(splunkd.run().well().events(), []);
}

#[test]
fn the_same_alert_in_two_incidents_is_told_once() {
    let at = instants::ago(HOUR);
    let shared = xdr_alert("da9_9", at, "shared");
    let first = xdr_with("600", at, Place::Last, std::slice::from_ref(&shared));
    let mut second = xdr_with("601", at + MINUTE, Place::Last, &[shared]);
    let tenant = Tenant::holding(FEED, [first.clone(), second.clone()]);
    second.events.truncate(1);
    Arrivals::of(&Splunkd::reading(&tenant, FEED).run().well()).are_exactly(&[first, second]);
}

#[test]
fn an_alert_old_by_itself_is_told_when_its_incident_is_new() {
    let at = instants::ago(HOUR);
    let old = xdr_alert("da7_7", instants::ago(90 * instants::DAY), "months ago");
    let object = xdr_with("700", at, Place::First, &[old]);
    let tenant = Tenant::holding(FEED, [object.clone()]);
    Arrivals::of(&Splunkd::reading(&tenant, FEED).run().well()).are_exactly(&[object]);
}
