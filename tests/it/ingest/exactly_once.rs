//! Every object arrives once, whole, and as Microsoft sent it.

use crate::counterpart::index::Arrivals;
use crate::counterpart::objects::TENANT_ID;
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Splunkd, Tenant};

fn arrives_once_byte_for_byte(feed: Feed, count: usize) {
    let objects = recent(feed, count);
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.rules(|rules| rules.gzip = true);
    let run = Splunkd::reading(&tenant, feed).run().well();
    Arrivals::of(&run).are_exactly(&objects);
}

#[test]
fn every_graph_alert_arrives_once_and_byte_for_byte() {
    arrives_once_byte_for_byte(Feed::GraphAlerts, 1300);
}

#[test]
fn every_graph_incident_arrives_once_and_byte_for_byte() {
    arrives_once_byte_for_byte(Feed::GraphIncidents, 260);
}

#[test]
fn every_mde_alert_arrives_once_and_byte_for_byte() {
    arrives_once_byte_for_byte(Feed::MdeAlerts, 700);
}

#[test]
fn every_xdr_incident_and_its_alerts_arrive_once_and_byte_for_byte() {
    arrives_once_byte_for_byte(Feed::XdrIncidents, 260);
}

#[test]
fn an_event_says_where_it_is_from_and_when_it_was_updated() {
    for feed in Feed::ALL {
        let objects = recent(feed, 40);
        let tenant = Tenant::holding(feed, objects.clone());
        let run = Splunkd::reading(&tenant, feed).run().well();
        let kind = feed.input()[0].1;
        assert!(run.events().len() >= objects.len());
        for event in run.events() {
            assert_eq!(event.stanza, "defender_bridge://feed");
            assert_eq!(event.index, "main");
            assert_eq!(event.host, None, "$decideOnStartup is splunkd's to resolve");
            assert_eq!(event.source, format!("defender_bridge:{kind}:{TENANT_ID}"));
            let object = objects
                .iter()
                .find(|object| object.events.iter().any(|(_, data)| *data == event.data))
                .unwrap();
            let (seconds, fraction) = event.time.split_once('.').unwrap_or((&event.time, ""));
            let fraction: i64 = format!("{fraction:0<3}").parse().unwrap();
            let millis = seconds.parse::<i64>().unwrap() * 1000 + fraction;
            assert_eq!(millis, object.at.div_euclid(10_000), "{}", object.text);
        }
    }
}

#[test]
fn an_update_arrives_as_one_more_event() {
    let feed = Feed::GraphAlerts;
    let objects = recent(feed, 30);
    let tenant = Tenant::holding(feed, objects.clone());
    let splunkd = Splunkd::reading(&tenant, feed);
    let mut arrivals = Arrivals::of(&splunkd.run().well());

    let newer = objects[3].updated(feed, objects[29].at + 10_000_000, "closed by hand");
    tenant.change(|stock| *stock.find(feed, &newer.id).unwrap() = newer.clone());
    let run = splunkd.run().well();
    Arrivals::of(&run).are_exactly(std::slice::from_ref(&newer));

    arrivals.take(&run.events());
    arrivals.are_exactly(&[objects, vec![newer]].concat());
}

#[test]
fn each_run_leaves_one_line_of_health() {
    let feed = Feed::GraphAlerts;
    let tenant = Tenant::holding(feed, recent(feed, 12));
    let run = Splunkd::reading(&tenant, feed).run().well();
    let health = run.health();
    assert_eq!(health.len(), 1);
    let health = health[0].json();
    assert_eq!(health["events"], 12, "{health}");
    let calls = tenant.list_calls().len() as u64;
    assert!(
        health["calls"].as_u64().is_some_and(|told| told >= calls),
        "{health}"
    );
}

#[test]
fn a_run_on_which_all_is_well_warns_of_nothing() {
    for feed in [Feed::GraphAlerts, Feed::GraphIncidents] {
        let tenant = Tenant::holding(feed, recent(feed, 12));
        let run = Splunkd::reading(&tenant, feed).run().well();
        assert_eq!(run.lines("WARN"), [""; 0]);
    }
}
