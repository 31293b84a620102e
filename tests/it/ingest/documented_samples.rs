//! Objects as Microsoft's documentation prints them pass unchanged.

use crate::counterpart::index::Arrivals;
use crate::counterpart::{Feed, Object, Splunkd, Tenant, instants};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
}

fn fixture(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

fn objects(feed: Feed, texts: &[&str]) -> Vec<Object> {
    texts
        .iter()
        .map(|text| {
            let value: Value = serde_json::from_str(text).unwrap();
            let at = instants::parse(value[feed.time_field()].as_str().unwrap()).unwrap();
            Object::raw(feed, value["id"].as_str().unwrap(), at, *text)
        })
        .collect()
}

const SINCE: [(&str, &str); 1] = [("start", "2020-01-01T00:00:00Z")];

#[track_caller]
fn pass(feed: Feed, objects: &[Object]) {
    assert!(!objects.is_empty());
    let tenant = Tenant::holding(feed, objects.to_vec());
    let splunkd = Splunkd::reading_with(&tenant, feed, &SINCE);
    Arrivals::of(&splunkd.run().well()).are_exactly(objects);
    assert_eq!(splunkd.run().well().events(), []);
    let calls = tenant.list_calls().len();
    assert!(
        calls <= 20,
        "{calls} calls for a handful of objects over six years"
    );
}

#[test]
fn the_sample_alerts_of_graph_pass_unchanged() {
    let text = fixture("graph_alerts_v2.ndjson");
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    pass(Feed::GraphAlerts, &objects(Feed::GraphAlerts, &lines));
}

#[test]
fn the_sample_alerts_of_mde_pass_unchanged() {
    let text = fixture("mde_alerts.json");
    let page: Page<'_> = serde_json::from_str(&text).unwrap();
    let texts: Vec<&str> = page.value.iter().map(|raw| raw.get()).collect();
    pass(Feed::MdeAlerts, &objects(Feed::MdeAlerts, &texts));
}

#[test]
fn the_sample_incident_with_its_alerts_passes_unchanged() {
    let feed = Feed::GraphIncidents;
    let text = fixture("graph_incidents_expand_alerts.json");
    let page: Page<'_> = serde_json::from_str(&text).unwrap();
    let texts: Vec<&str> = page.value.iter().map(|raw| raw.get()).collect();
    let whole = objects(feed, &texts);
    let tenant = Tenant::holding(feed, whole.clone());
    let run = Splunkd::reading_with(&tenant, feed, &SINCE).run().well();
    let events = run.events();
    if events.len() == whole.len() {
        return Arrivals::of(&run).are_exactly(&whole);
    }
    // Split: the alerts byte for byte, and around them what is left of the incident.
    let nested: Vec<String> = texts
        .iter()
        .flat_map(|text| {
            #[derive(Deserialize)]
            struct Incident<'a> {
                #[serde(borrow)]
                alerts: Vec<&'a RawValue>,
            }
            serde_json::from_str::<Incident<'_>>(text).unwrap().alerts
        })
        .map(|raw| raw.get().to_owned())
        .collect();
    let (alerts, incidents): (Vec<_>, Vec<_>) = events
        .into_iter()
        .partition(|event| event.sourcetype == Feed::GraphAlerts.sourcetype());
    let mut got: Vec<String> = alerts.into_iter().map(|event| event.data).collect();
    got.sort();
    let mut wanted = nested;
    wanted.sort();
    assert_eq!(got, wanted);
    assert_eq!(incidents.len(), texts.len());
    for (incident, text) in incidents.iter().zip(texts) {
        assert_eq!(incident.sourcetype, feed.sourcetype());
        let mut value: Value = serde_json::from_str(text).unwrap();
        value.as_object_mut().unwrap().remove("alerts");
        assert_eq!(incident.json(), value);
    }
}
