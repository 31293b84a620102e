use serde_json::Value as Json;
use std::collections::BTreeSet;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::*;
use crate::sandbox::event_hub::{Batching, Credit, Offsets, Payload, Settlement};

/// Reads a partition from its start to its end.
async fn all(hub: &EventHub, client: &mut Client, partition: usize) -> Vec<Seen> {
    let end = hub.ends()[partition];
    let mut seen = Vec::new();
    if end > 0 {
        let mut receiver = client
            .partition(hub, partition, "amqp.annotation.x-opt-offset > '-1'")
            .await;
        while seen
            .last()
            .is_none_or(|last: &Seen| last.sequence + 1 < end)
        {
            seen.push(next(&mut receiver).await);
        }
        receiver.close().await.unwrap();
    }
    seen
}

#[tokio::test]
async fn what_is_read_is_the_ground_truth_byte_for_byte() {
    let tenant = serving(plain(), 40).await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    let mut read = Vec::new();
    for partition in 0..hub.partitions() {
        for event in all(hub, &mut client, partition).await {
            let body = String::from_utf8(event.bytes()).unwrap();
            read.push((partition, event.sequence, body));
        }
    }
    let (mut tables, mut ids) = (BTreeSet::new(), BTreeSet::new());
    let mut count = 0;
    hub.records(|record| {
        count += 1;
        let json: Json = serde_json::from_str(&record.text).unwrap();
        tables.insert(json["category"].as_str().unwrap().to_owned());
        ids.insert(
            json["properties"]["AlertId"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        );
        let event = read.iter().find(|(partition, sequence, _)| {
            (*partition, *sequence) == (record.partition, record.sequence_number)
        });
        assert!(event.unwrap().2.contains(&record.text));
    });
    assert_eq!(hub.count(), count);
    let records: usize = read
        .iter()
        .map(|(_, _, body)| {
            serde_json::from_str::<Json>(body).unwrap()["records"]
                .as_array()
                .unwrap()
                .len()
        })
        .sum();
    assert_eq!(records as u64, count);
    for table in [
        "AlertInfo",
        "AlertEvidence",
        "DeviceProcessEvents",
        "EmailEvents",
        "IdentityLogonEvents",
    ] {
        assert!(
            tables.contains(&format!("AdvancedHunting-{table}")),
            "{tables:?}"
        );
    }
    // Every alert of the stories is there under its own id.
    for alert in tenant.census().alerts {
        assert!(ids.contains(&alert.id));
    }
}

#[tokio::test]
async fn a_record_is_as_defenders_streaming_writes_it() {
    let tenant = serving(Settings::default(), 3).await;
    let mut records = Vec::new();
    hub(&tenant).records(|record| records.push(record.text));
    let info = records
        .iter()
        .find(|text| text.contains("AdvancedHunting-AlertInfo"))
        .unwrap();
    let json: Json = serde_json::from_str(info).unwrap();
    let names: Vec<&String> = json.as_object().unwrap().keys().collect();
    let expected = [
        "Tenant",
        "_TimeReceivedBySvc",
        "category",
        "operationName",
        "properties",
        "tenantId",
        "time",
    ];
    assert_eq!(names, expected);
    assert_eq!(json["operationName"], "Publish");
    assert_eq!(json["tenantId"], tenant.tenant_id());
    let stamp: jiff::Timestamp = json["properties"]["Timestamp"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let exported: jiff::Timestamp = json["time"].as_str().unwrap().parse().unwrap();
    assert!(stamp < exported);
    let techniques = json["properties"]["AttackTechniques"].as_str().unwrap();
    assert!(serde_json::from_str::<Vec<String>>(techniques).is_ok());
}

#[tokio::test]
async fn the_same_seed_tells_the_same_records_and_any_number_of_them() {
    let until: jiff::Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
    let tell = async |records| {
        let tenant = start(crate::sandbox::Settings {
            alerts: 5,
            until: Some(until),
            event_hub: Some(Settings {
                records: Some(records),
                ..Settings::default()
            }),
            ..crate::sandbox::Settings::default()
        });
        let tenant = tenant.await.unwrap();
        let mut texts = Vec::new();
        hub(&tenant).records(|record| texts.push(record.text));
        texts
    };
    let (first, second) = (tell(5_000).await, tell(5_000).await);
    assert_eq!(first.len(), 5_000);
    assert!(first == second);
    let distinct: BTreeSet<&String> = first.iter().collect();
    assert_eq!(distinct.len(), 5_000);
}

#[tokio::test]
async fn events_have_from_one_record_to_as_many_as_a_megabyte_holds() {
    let tenant = serving(
        Settings {
            records: Some(9_000),
            partitions: 2,
            ..plain()
        },
        20,
    )
    .await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    let (mut sizes, mut longest) = (BTreeSet::new(), 0);
    for partition in 0..2 {
        for event in all(hub, &mut client, partition).await {
            let bytes = event.bytes();
            longest = longest.max(bytes.len());
            let json: Json = serde_json::from_slice(&bytes).unwrap();
            sizes.insert(json["records"].as_array().unwrap().len());
        }
    }
    assert!(
        sizes.contains(&1) && sizes.last().unwrap() > &250,
        "{sizes:?}"
    );
    assert!((250_000..=1_000_000).contains(&longest), "{longest}");
    let by_bytes = serving(
        Settings {
            records: Some(2_000),
            batching: Batching::Bytes(180_000),
            ..plain()
        },
        20,
    )
    .await;
    let hub = super::hub(&by_bytes);
    let mut client = Client::root(hub).await;
    let first = &all(hub, &mut client, 0).await[0];
    assert!((120_000..240_000).contains(&first.bytes().len()));
}

#[tokio::test]
async fn tls_and_websocket_serve_the_same_on_one_port() {
    let tenant = serving(Settings::default(), 5).await;
    let hub = hub(&tenant);
    let (name, key) = hub.policies()[1];
    let audience = format!("sb://{}/{}", hub.namespace(), hub.name());
    let token = signature(&audience, name, key, 60);
    let mut bodies = Vec::new();
    for way in [
        None,
        Some(("/$servicebus/websocket", "AMQPWSB10")),
        Some(("/$servicebus/websocket/", "amqp")),
    ] {
        let stream = secured(&tenant).await;
        let mut client = match way {
            None => Client::over(stream).await,
            Some((path, protocol)) => {
                let url = format!("wss://{}{path}", hub.namespace());
                let mut request = url.into_client_request().unwrap();
                request
                    .headers_mut()
                    .insert("sec-websocket-protocol", protocol.parse().unwrap());
                let (socket, response) = client_async(request, stream).await.unwrap();
                assert_eq!(response.headers()["sec-websocket-protocol"], protocol);
                Client::over(crate::sandbox::event_hub::websocket::Through::of(socket)).await
            }
        };
        let kind = "servicebus.windows.net:sastoken";
        assert_eq!(client.put(&audience, kind, &token).await.0, 202);
        bodies.push(all(hub, &mut client, 0).await);
    }
    assert!(!bodies[0].is_empty());
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

#[tokio::test]
async fn a_websocket_elsewhere_or_for_something_else_is_refused() {
    let tenant = serving(Settings::default(), 1).await;
    for (path, protocol, status) in [
        ("/", "AMQPWSB10", 404),
        ("/$servicebus/websocket", "mqtt", 400),
    ] {
        let url = format!("wss://{}{path}", hub(&tenant).namespace());
        let mut request = url.into_client_request().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocol.parse().unwrap());
        let refused = client_async(request, secured(&tenant).await)
            .await
            .unwrap_err();
        let tokio_tungstenite::tungstenite::Error::Http(response) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(response.status().as_u16(), status);
    }
}

#[tokio::test]
async fn a_receiver_begins_where_its_selector_says() {
    for offsets in [Offsets::Numbers, Offsets::GeoReplicated] {
        let settings = Settings {
            partitions: 1,
            records: Some(60),
            batching: Batching::Records(10),
            offsets,
            ..plain()
        };
        let tenant = serving(settings, 5).await;
        let hub = hub(&tenant);
        for number in 0..6 {
            hub.publish(Some(0), Payload::Text(number.to_string()))
                .unwrap();
        }
        let mut client = Client::root(hub).await;
        let events = all(hub, &mut client, 0).await;
        let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, (0..12).collect::<Vec<_>>());
        assert!(events.is_sorted_by_key(|event| event.enqueued));
        for event in &events {
            let (sequence, offset) = (event.sequence, &event.offset);
            for (selector, first) in [
                (format!("x-opt-offset > '{offset}'"), sequence + 1),
                (format!("x-opt-offset >='{offset}'"), sequence),
                (format!("x-opt-sequence-number >'{sequence}'"), sequence + 1),
                (format!("x-opt-sequence-number >= '{sequence}'"), sequence),
            ] {
                // Something always follows.
                if first < 12 {
                    let selector = format!("amqp.annotation.{selector}");
                    let mut receiver = client.partition(hub, 0, &selector).await;
                    assert_eq!(next(&mut receiver).await.sequence, first, "{selector}");
                    receiver.close().await.unwrap();
                }
            }
        }
        // Told events lie apart in time, published ones come after all of them.
        let told = &events[3];
        for (operator, first) in [(">", 4), (">=", 3)] {
            let selector = format!(
                "amqp.annotation.x-opt-enqueued-time {operator} '{}'",
                told.enqueued
            );
            let mut receiver = client.partition(hub, 0, &selector).await;
            assert_eq!(next(&mut receiver).await.sequence, first);
            receiver.close().await.unwrap();
        }
        let mut latest = client
            .partition(hub, 0, "amqp.annotation.x-opt-offset > '@latest'")
            .await;
        hub.publish(Some(0), Payload::Text("new".to_owned()))
            .unwrap();
        let seen = next(&mut latest).await;
        assert_eq!(seen.sequence, 12);
        assert_eq!(
            seen.body,
            Body::Value(AmqpValue(Value::String("new".to_owned())))
        );
        latest.close().await.unwrap();
        let source = source(hub, 0);
        for wrong in [
            "x-opt-offset > 'x'",
            "x-opt-sequence-number > '500'",
            "x-opt-offset = '1'",
        ] {
            let selector = format!("amqp.annotation.{wrong}");
            let refused = refused(&mut client, &source, Some(&selector), None).await;
            assert_eq!(refused, "com.microsoft:argument-error", "{wrong}");
        }
    }
}

#[tokio::test]
async fn every_form_of_a_body_arrives_as_it_was_published() {
    let tenant = serving(
        Settings {
            partitions: 1,
            records: Some(0),
            ..plain()
        },
        1,
    )
    .await;
    let hub = hub(&tenant);
    let payloads = [
        Payload::Data(b"{\"records\":[]}".to_vec()),
        Payload::Sections(vec![b"{\"rec".to_vec(), b"ords\":[]}".to_vec()]),
        Payload::Text("{}".to_owned()),
        Payload::Binary(b"{}".to_vec()),
        Payload::Sequence(vec!["a".to_owned(), "b".to_owned()]),
        Payload::Data(vec![b'x'; 1_000_000]),
    ];
    for payload in payloads.clone() {
        hub.publish(Some(0), payload).unwrap();
    }
    let mut client = Client::root(hub).await;
    for (seen, payload) in all(hub, &mut client, 0).await.into_iter().zip(payloads) {
        assert_eq!(seen.body, payload.body());
    }
}

#[tokio::test]
async fn management_knows_the_hub_and_its_partitions() {
    let tenant = serving(
        Settings {
            partitions: 2,
            records: Some(0),
            ..plain()
        },
        1,
    )
    .await;
    let hub = hub(&tenant);
    let position = hub.publish(Some(1), Payload::Text("a".to_owned())).unwrap();
    let mut client = Client::root(hub).await;
    let (status, body) = client.read(hub.name(), None).await;
    let Value::Map(facts) = body else {
        panic!("{body:?}")
    };
    let fact = |key: &str| facts.get(&Value::String(key.to_owned())).cloned();
    assert_eq!(status, 200);
    assert_eq!(fact("partition_count"), Some(Value::Int(2)));
    let ids = ["0", "1"].map(|id| Value::String(id.to_owned())).to_vec();
    assert_eq!(fact("partition_ids"), Some(Value::Array(ids.into())));
    assert!(matches!(fact("created_at"), Some(Value::Timestamp(_))));

    for (partition, empty, last, offset) in [
        ("0", true, -1, "-1"),
        ("1", false, 0, position.offset.as_str()),
    ] {
        let (status, body) = client.read(hub.name(), Some(partition)).await;
        let Value::Map(facts) = body else {
            panic!("{body:?}")
        };
        let fact = |key: &str| facts.get(&Value::String(key.to_owned())).cloned();
        assert_eq!(status, 200);
        assert_eq!(fact("is_partition_empty"), Some(Value::Bool(empty)));
        assert_eq!(
            fact("last_enqueued_sequence_number"),
            Some(Value::Long(last))
        );
        assert_eq!(
            fact("last_enqueued_offset"),
            Some(Value::String(offset.to_owned()))
        );
        assert_eq!(fact("begin_sequence_number"), Some(Value::Long(0)));
        for key in [
            "begin_sequence_number_epoch",
            "last_enqueued_sequence_number_epoch",
        ] {
            assert_eq!(fact(key), Some(Value::Int(-1)));
        }
    }
    assert_eq!(client.read(hub.name(), Some("2")).await.0, 404);
    assert_eq!(client.read("other", None).await.0, 401);
}

#[tokio::test]
async fn an_event_waits_for_credit_and_credit_is_counted() {
    for settlement in [Settlement::OnSend, Settlement::ByReceiver] {
        let tenant = serving(
            Settings {
                partitions: 1,
                records: Some(0),
                settlement,
                ..plain()
            },
            1,
        )
        .await;
        let hub = hub(&tenant);
        for number in 0..5 {
            hub.publish(Some(0), Payload::Text(number.to_string()))
                .unwrap();
        }
        let mut client = Client::root(hub).await;
        let receiver = client.receiver(&source(hub, 0), None, Some(7)).await;
        let mut receiver = receiver.unwrap();
        receiver.set_credit(3).await.unwrap();
        for _ in 0..3 {
            next(&mut receiver).await;
        }
        // What is sent beyond the credit would come before the answer to this.
        client.read(hub.name(), None).await;
        let held = hub.receivers();
        let credit = Credit {
            flows: 1,
            last: 3,
            most: 3,
        };
        let [only] = held.as_slice() else {
            panic!("{held:?}")
        };
        assert_eq!((only.partition, only.epoch, only.sent), (0, Some(7), 3));
        assert_eq!(only.credit, credit);
        receiver.set_credit(2).await.unwrap();
        assert_eq!(next(&mut receiver).await.sequence, 3);
        receiver.close().await.unwrap();
        let stats = hub.stats();
        assert_eq!((stats.opened, stats.open, stats.receivers), (1, 1, 1));
        assert!(hub.receivers().is_empty());
    }
}

#[tokio::test]
async fn a_forgotten_event_is_skipped_or_refused_and_told_by_management() {
    for refuse_aged_out in [false, true] {
        let settings = Settings {
            partitions: 1,
            records: Some(40),
            batching: Batching::Records(10),
            refuse_aged_out,
            ..plain()
        };
        let tenant = serving(settings, 5).await;
        let hub = hub(&tenant);
        for number in 0..4 {
            hub.publish(Some(0), Payload::Text(number.to_string()))
                .unwrap();
        }
        let mut client = Client::root(hub).await;
        let events = all(hub, &mut client, 0).await;
        hub.age_out(0, 6);
        let selector = format!("amqp.annotation.x-opt-offset > '{}'", events[2].offset);
        if refuse_aged_out {
            let refused = refused(&mut client, &source(hub, 0), Some(&selector), None).await;
            assert_eq!(refused, "com.microsoft:argument-error");
        } else {
            let mut receiver = client.partition(hub, 0, &selector).await;
            assert_eq!(next(&mut receiver).await.sequence, 6);
            receiver.close().await.unwrap();
        }
        let selector = format!("amqp.annotation.x-opt-offset > '{}'", events[5].offset);
        let mut receiver = client.partition(hub, 0, &selector).await;
        assert_eq!(next(&mut receiver).await.sequence, 6);
        let (_, body) = client.read(hub.name(), Some("0")).await;
        let Value::Map(facts) = body else {
            panic!("{body:?}")
        };
        let first = facts.get(&Value::String("begin_sequence_number".to_owned()));
        assert_eq!(first, Some(&Value::Long(6)));
    }
}

#[tokio::test]
async fn stories_that_move_on_are_streamed() {
    let tenant = serving(
        Settings {
            partitions: 1,
            records: Some(0),
            ..plain()
        },
        5,
    )
    .await;
    let hub = hub(&tenant);
    let known: BTreeSet<String> = tenant
        .census()
        .alerts
        .into_iter()
        .map(|alert| alert.id)
        .collect();
    let mut fresh = BTreeSet::new();
    while fresh.is_empty() {
        tenant.advance();
        let alerts = tenant.census().alerts.into_iter().map(|alert| alert.id);
        fresh = alerts.filter(|id| !known.contains(id)).collect();
    }
    let mut told = BTreeSet::new();
    hub.records(|record| {
        let json: Json = serde_json::from_str(&record.text).unwrap();
        if json["category"] == "AdvancedHunting-AlertInfo" {
            told.insert(json["properties"]["AlertId"].as_str().unwrap().to_owned());
        }
    });
    assert_eq!(told, fresh);
}
