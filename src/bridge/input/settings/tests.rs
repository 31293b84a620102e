use super::*;
use crate::ingest::stream::Begin;
use crate::microsoft::azure::event_hub::Transport;
use crate::microsoft::azure::records::Tables;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

fn stanza(params: &[(&str, &str)]) -> Stanza {
    Stanza {
        scheme: "defender_bridge".into(),
        name: "prod".into(),
        app: None,
        params: params
            .iter()
            .map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()]))
            .collect::<BTreeMap<_, _>>(),
    }
}

fn now() -> Instant {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// The default of a parameter, for which `params` has no other value.
fn parse(params: &[(&str, &str)]) -> Result<Input, Refusal> {
    let mut all = vec![("account", "contoso")];
    all.retain(|(key, _)| params.iter().all(|(given, _)| given != key));
    all.extend(params);
    Input::parse(&stanza(&all), now())
}

fn stream(params: &[(&str, &str)]) -> StreamInput {
    match parse(params) {
        Ok(Input::Stream(stream)) => stream,
        other => panic!("{other:?}"),
    }
}

const HUB: [(&str, &str); 3] = [
    ("feed", "event_hub"),
    ("event_hub_namespace", "contoso"),
    ("event_hub", "insights"),
];

fn hub<'t>(params: &[(&'t str, &'t str)]) -> Vec<(&'t str, &'t str)> {
    let mut all = HUB.to_vec();
    all.retain(|(key, _)| params.iter().all(|(given, _)| given != key));
    all.extend(params);
    all
}

#[test]
fn an_account_is_enough() {
    let Input::List(input) = parse(&[]).unwrap() else {
        panic!("a list");
    };
    assert_eq!(input.feed_name(), "alerts");
    assert_eq!(
        input.start.at(now()),
        "2026-11-14T12:00:00Z".parse().unwrap()
    );
    assert_eq!(input.overlap, Duration::from_secs(900));
    assert_eq!(input.settle, Duration::from_secs(60));
    assert_eq!(input.checkpoint, CheckpointPlace::Local);
}

#[test]
fn what_cannot_be_used_is_named_with_its_key_and_a_remedy() {
    for (key, value, word) in [
        ("account", "", "defender_bridge_account.conf"),
        (
            "feed",
            "everything",
            "alerts, incidents, event_hub, storage",
        ),
        ("api", "soap", "graph, mde, xdr"),
        ("start", "2030-01-01T00:00:00Z", "future"),
        ("start", "last week", "-7d"),
        ("start", "latest", "-7d"),
        ("overlap", "ten minutes", "15m"),
        ("settle", "99999999999999999999d", "60s"),
        ("checkpoint", "file", "local, kvstore"),
        ("checkpoint", "blob", "feed = event_hub"),
        ("min_severity", "severe", "high"),
        ("event_hub", "insights", "feed = event_hub"),
        ("tables", "AlertInfo", "feed = storage"),
    ] {
        let refusal = parse(&[(key, value)]).unwrap_err().to_string();
        // The page Inputs shows a refusal at the field whose name comes first.
        assert!(refusal.starts_with(&format!("{key}: ")), "{refusal}");
        assert!(refusal.contains(word), "{refusal}");
    }
    let refusal = parse(&[("feed", "incidents"), ("api", "mde")]);
    assert!(refusal.unwrap_err().to_string().contains("xdr"));
}

#[test]
fn a_start_is_an_instant_a_day_or_an_age() {
    for (text, expected) in [
        ("2026-11-01", "2026-11-01T00:00:00Z"),
        ("2026-11-01T10:00:00.5Z", "2026-11-01T10:00:00.5Z"),
        ("-1h", "2026-11-21T11:00:00Z"),
        ("-30m", "2026-11-21T11:30:00Z"),
    ] {
        let start = Start::parse(text, now()).unwrap();
        assert_eq!(start.at(now()), expected.parse().unwrap(), "{text}");
    }
}

#[test]
fn a_hub_has_its_defaults_beside_those_of_every_stanza() {
    // As splunkd hands them over from the conf's default stanza.
    let defaults = [
        ("api", "graph"),
        ("start", "-7d"),
        ("overlap", "15m"),
        ("settle", "60s"),
        ("checkpoint", "local"),
    ];
    for params in [HUB.to_vec(), hub(&defaults)] {
        let input = stream(&params);
        let week_ago = "2026-11-14T12:00:00Z".parse().unwrap();
        assert_eq!(
            input,
            StreamInput {
                account: "contoso".to_owned(),
                log: Log::EventHub(EventHub {
                    namespace: Some("contoso".to_owned()),
                    hub: Some("insights".to_owned()),
                    consumer_group: "$Default".to_owned(),
                    transport: Transport::Amqp,
                }),
                begin: Begin::At(week_ago),
                tables: Tables::default(),
                positions: Positions::Local,
            }
        );
        assert_eq!(input.feed_name(), "event_hub");
    }
}

#[test]
fn every_setting_of_a_hub_is_understood() {
    let input = stream(&hub(&[
        ("event_hub_namespace", "LocalHost:5671"),
        ("event_hub", "Insights-Logs"),
        ("consumer_group", "Splunk"),
        ("transport", "websocket"),
        ("tables", "AlertInfo, DeviceEvents,"),
        ("start", "latest"),
        ("checkpoint", "blob"),
        (
            "checkpoint_container",
            "https://c.blob.core.windows.net/positions",
        ),
    ]));
    let Log::EventHub(hub) = input.log else {
        panic!("a hub");
    };
    assert_eq!(hub.namespace.as_deref(), Some("LocalHost:5671"));
    assert_eq!(hub.hub.as_deref(), Some("Insights-Logs"));
    assert_eq!(
        (hub.consumer_group.as_str(), hub.transport),
        ("Splunk", Transport::WebSocket)
    );
    assert_eq!(input.tables.names(), ["AlertInfo", "DeviceEvents"]);
    assert_eq!(input.begin, Begin::Latest);
    assert_eq!(input.positions.name(), "blob");
    assert_eq!(stream(&hub_of("earliest")).begin, Begin::Earliest);
}

fn hub_of(start: &str) -> Vec<(&str, &str)> {
    hub(&[("start", start)])
}

#[test]
fn a_storage_account_is_a_name_or_an_address() {
    for (text, account) in [
        ("contoso1", StorageAccount::Name("contoso1".to_owned())),
        (
            "https://127.0.0.1:10000/devstoreaccount1",
            StorageAccount::Url("https://127.0.0.1:10000/devstoreaccount1".parse().unwrap()),
        ),
    ] {
        let input = stream(&[("feed", "storage"), ("storage_account", text)]);
        assert_eq!(
            input.log,
            Log::Storage(Storage {
                account: Some(account),
                listing: Duration::from_secs(60),
            })
        );
        assert_eq!(input.feed_name(), "storage");
    }
}

#[test]
fn containers_are_listed_once_an_interval() {
    for (interval, seconds) in [
        ("", 60),
        ("300", 300),
        ("1.0", 1),
        ("0.01", 1),
        ("86400", 3600),
        ("0", 60),
        ("-1", 60),
        ("*/5 * * * *", 60),
        ("NaN", 60),
    ] {
        let given = [
            ("feed", "storage"),
            ("storage_account", "contoso"),
            ("interval", interval),
        ];
        let Log::Storage(storage) = stream(&given).log else {
            panic!("a storage account");
        };
        assert_eq!(storage.listing, Duration::from_secs(seconds), "{interval}");
    }
}

#[test]
fn what_a_stream_cannot_use_is_named_with_its_key_and_a_remedy() {
    let storage = [("feed", "storage"), ("storage_account", "contoso")];
    for (params, key, value, word) in [
        (
            &HUB[..],
            "event_hub_namespace",
            "a b",
            "contoso.servicebus.windows.net",
        ),
        (
            &HUB,
            "event_hub_namespace",
            "sb://contoso/",
            "contoso.servicebus.windows.net",
        ),
        (&HUB, "event_hub_namespace", "host:0", "host:port"),
        (&HUB, "event_hub", "a/b", "letters"),
        (&HUB, "event_hub", "$x", "letters"),
        (&HUB, "consumer_group", "a b", "letters"),
        (&HUB, "transport", "kafka", "amqp, websocket"),
        (&HUB, "start", "soon", "earliest or latest"),
        (&HUB, "tables", "AlertInfo, a/b", "DeviceProcessEvents"),
        (&HUB, "checkpoint", "kvstore", "blob"),
        (&HUB, "checkpoint", "disk", "local, blob"),
        (
            &HUB,
            "checkpoint_container",
            "https://c/d",
            "checkpoint = blob",
        ),
        (&HUB, "api", "mde", "feed = alerts"),
        (&HUB, "min_severity", "high", "feed = alerts"),
        (
            &HUB,
            "service_sources",
            "microsoftSentinel",
            "feed = alerts",
        ),
        (&HUB, "storage_account", "contoso", "feed = storage"),
        (&storage, "storage_account", "Contoso", "24"),
        (&storage, "storage_account", "http://contoso", "https"),
        (
            &storage,
            "storage_account",
            "https://contoso/?sig=hunter2",
            "secret",
        ),
        (
            &storage,
            "storage_account",
            "https://u:hunter2@contoso",
            "password",
        ),
        (&storage, "event_hub", "insights", "feed = event_hub"),
        (&storage, "checkpoint", "blob", "local"),
        (&storage, "checkpoint", "disk", "local"),
    ] {
        let mut all = params.to_vec();
        all.retain(|(given, _)| *given != key);
        all.push((key, value));
        let refusal = parse(&all).unwrap_err().to_string();
        assert!(
            refusal.starts_with(&format!("{key}: ")),
            "{value}: {refusal}"
        );
        assert!(refusal.contains(word), "{value}: {refusal}");
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
    for container in [
        None,
        Some("https://c.blob.core.windows.net/"),
        Some("https://c/a/b/c"),
    ] {
        let mut all = hub(&[("checkpoint", "blob")]);
        all.extend(container.map(|url| ("checkpoint_container", url)));
        let refusal = parse(&all).unwrap_err().to_string();
        assert!(refusal.starts_with("checkpoint_container: "), "{refusal}");
    }
}

#[test]
fn a_part_of_a_stanza_that_only_a_stream_can_have_says_so() {
    for (key, value, feed) in [
        ("storage_account", "contoso", Some("storage")),
        ("event_hub", "insights", Some("event_hub")),
        ("checkpoint", "blob", Some("event_hub")),
        ("start", "latest", Some("event_hub")),
        ("tables", "AlertInfo", Some("event_hub")),
        ("tables", "", None),
        ("start", "-1d", None),
        ("checkpoint", "kvstore", None),
        ("settle", "1m", None),
    ] {
        assert_eq!(stream_of(&stanza(&[(key, value)])), feed, "{key} {value}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_stream_fall_and_no_refusal_has_two_lines(
        key in prop::sample::select(vec![
            "event_hub_namespace", "event_hub", "consumer_group", "transport", "tables", "start",
            "checkpoint", "checkpoint_container", "storage_account",
        ]),
        feed in prop::sample::select(vec!["event_hub", "storage"]),
        text in "(https://)?\\PC{0,40}",
    ) {
        if let Err(refusal) = parse(&[("feed", feed), (key, &text)]) {
            prop_assert!(!refusal.to_string().contains('\n'));
        }
    }
}
