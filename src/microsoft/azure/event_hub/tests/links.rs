//! Reading, and what follows when a link, a session, a connection or a socket ends.

use super::hub::{End, TestHub, text};
use crate::ingest::Instant;
use crate::ingest::stream::{
    LogError, LogErrorClass, Message, Partition, PartitionReader, PartitionedLog, Position,
    ReadFrom, Start,
};
use crate::microsoft::azure::event_hub::probe::Seen;
use crate::microsoft::azure::event_hub::{Error, EventHub, Reader};
use crate::microsoft::azure::finding::Outcome;
use fe2o3_amqp::types::messaging::{AmqpSequence, AmqpValue, Batch, Body, Data};
use fe2o3_amqp::types::primitives::Value;
use serde_amqp::primitives::Binary;

const EARLIEST: ReadFrom = ReadFrom::Start(Start::Earliest);
const MOST: usize = 1 << 20;

fn partition(id: usize) -> Partition {
    Partition {
        id: id.to_string(),
        created: None,
    }
}

async fn open(client: &EventHub, id: usize, from: &ReadFrom) -> Reader {
    client.open(&partition(id), from).await.unwrap()
}

/// So many messages, or the error that came before.
async fn read(reader: &mut Reader, count: usize) -> Result<Vec<Message>, Error> {
    let mut messages = Vec::new();
    while messages.len() < count {
        messages.extend(reader.next(MOST).await?);
    }
    Ok(messages)
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message.body.as_str())
        .collect()
}

fn behind(messages: &[Message]) -> ReadFrom {
    ReadFrom::After(messages.last().unwrap().position.clone())
}

#[tokio::test]
async fn a_partition_is_read_from_its_start_and_goes_on_behind_any_position() {
    let hub = TestHub::start(&[0, 5]).await;
    let client = hub.client();
    let mut reader = open(&client, 1, &EARLIEST).await;
    let first = read(&mut reader, 5).await.unwrap();
    assert_eq!(bodies(&first), ["1/0", "1/1", "1/2", "1/3", "1/4"]);
    let position = first[2].position.clone();
    assert_eq!(
        (position.offset.as_deref(), position.sequence),
        (Some("200"), Some(2))
    );
    for position in [
        position.clone(),
        Position {
            offset: None,
            ..position.clone()
        },
        Position {
            sequence: None,
            ..position
        },
    ] {
        let mut reader = open(&client, 1, &ReadFrom::After(position)).await;
        assert_eq!(bodies(&read(&mut reader, 2).await.unwrap()), ["1/3", "1/4"]);
    }
    let at = ReadFrom::Start(Start::At(Instant::from_millis(3)));
    let mut reader = open(&client, 1, &at).await;
    assert_eq!(bodies(&read(&mut reader, 2).await.unwrap()), ["1/3", "1/4"]);
    assert_eq!(hub.seen(|state| state.connections), 1);
}

#[tokio::test]
async fn a_receiver_comes_in_the_form_of_microsofts_javascript_client() {
    let hub = TestHub::start(&[1]).await;
    let mut settings = hub.settings();
    drop(open(&hub.client(), 0, &EARLIEST).await);
    settings.shared = true;
    drop(open(&super::hub::client(&hub.account(), settings), 0, &EARLIEST).await);
    let attached = hub.seen(|state| state.attached.clone());
    let [alone, shared] = attached.as_slice() else {
        panic!("{attached:?}");
    };
    assert_eq!(
        alone.address,
        "insights/ConsumerGroups/$Default/Partitions/0"
    );
    assert_eq!(alone.selector, "amqp.annotation.x-opt-offset > '-1'");
    assert_eq!(
        alone.descriptor,
        format!("Code({})", 0x0000_468C_0000_0004_u64)
    );
    assert!(matches!(&alone.name, Some(Value::String(name)) if !name.is_empty()));
    assert_eq!(alone.capabilities, ["com.microsoft:georeplication"]);
    assert_eq!(
        (alone.epoch.clone(), shared.epoch.clone()),
        (None, Some(Value::Long(0)))
    );
}

#[tokio::test]
async fn partitions_are_listed_with_the_hubs_creation_and_new_messages_wake_a_reader() {
    let hub = TestHub::start(&[0, 0]).await;
    let client = hub.client();
    let created = Some(Instant::from_millis(1_700_000_000_000));
    let expected: Vec<_> = ["0", "1"]
        .map(|id| Partition {
            id: id.to_owned(),
            created,
        })
        .into();
    assert_eq!(client.partitions().await.unwrap(), expected);
    hub.seen(|state| {
        state.ids_as_list = true;
        state.created = None;
    });
    let listed = client.partitions().await.unwrap();
    assert_eq!(
        listed.iter().map(|it| it.created).collect::<Vec<_>>(),
        [None, None]
    );
    let mut reader = open(&client, 0, &EARLIEST).await;
    let waiting = tokio::spawn(async move { read(&mut reader, 1).await.map(|read| read.len()) });
    hub.until(|state| !state.attached.is_empty()).await;
    hub.seen(|state| state.partitions[0].push(text("new")));
    hub.changed.notify_waiters();
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
}

/// Reads two messages and the error behind them, then the rest with a reader of its own.
async fn ended(end: End) -> LogErrorClass {
    let hub = TestHub::start(&[4]).await;
    hub.seen(|state| state.ends.push_back((2, end)));
    let client = hub.client();
    let mut reader = open(&client, 0, &EARLIEST).await;
    let first = read(&mut reader, 2).await.unwrap();
    let error = read(&mut reader, 1).await.unwrap_err();
    let mut reader = open(&client, 0, &behind(&first)).await;
    let rest = read(&mut reader, 2).await.unwrap();
    assert_eq!(
        [bodies(&first), bodies(&rest)].concat(),
        ["0/0", "0/1", "0/2", "0/3"]
    );
    error.class()
}

#[tokio::test]
async fn whatever_ends_a_link_a_new_reader_goes_on_behind_the_last_message() {
    use LogErrorClass::{Lost, Reconnect, Stop};
    for (name, class) in [
        ("amqp:link:stolen", Lost),
        ("amqp:unauthorized-access", Reconnect),
        ("amqp:not-found", Stop),
        ("com.microsoft:entity-disabled", Stop),
        ("com.microsoft:server-busy", Reconnect),
        ("com.microsoft:timeout", Reconnect),
        ("com.microsoft:operation-cancelled", Reconnect),
        ("amqp:connection:forced", Reconnect),
        ("amqp:link:detach-forced", Reconnect),
        ("amqp:internal-error", Reconnect),
        ("amqp:resource-limit-exceeded", Reconnect),
        ("com.example:unheard-of", Reconnect),
    ] {
        assert_eq!(ended(End::Link(name)).await, class, "{name}");
    }
    for end in [
        End::Session("com.microsoft:server-busy"),
        End::Connection("amqp:connection:forced"),
        End::Socket,
    ] {
        assert_eq!(ended(end.clone()).await, Reconnect, "{end:?}");
    }
}

#[tokio::test]
async fn a_reader_that_is_refused_says_what_to_do() {
    let hub = TestHub::start(&[1]).await;
    let client = hub.client();
    for (name, class, advice) in [
        ("amqp:not-found", LogErrorClass::Stop, "consumer_group"),
        (
            "amqp:unauthorized-access",
            LogErrorClass::Stop,
            "Azure Event Hubs Data Receiver",
        ),
        (
            "com.microsoft:entity-disabled",
            LogErrorClass::Stop,
            "Active",
        ),
        (
            "amqp:resource-limit-exceeded",
            LogErrorClass::Passing,
            "five readers",
        ),
        (
            "com.microsoft:server-busy",
            LogErrorClass::Passing,
            "throughput units",
        ),
        ("amqp:link:stolen", LogErrorClass::Lost, "consumer_group"),
        (
            "com.microsoft:argument-error",
            LogErrorClass::Stop,
            "argument-error",
        ),
    ] {
        hub.seen(|state| state.refusals.push_back(name));
        let error = client.open(&partition(0), &EARLIEST).await.err().unwrap();
        let said = error.to_string();
        assert_eq!(error.class(), class, "{said}");
        assert!(
            said.contains(advice) && said.contains("partition 0"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn an_offset_that_is_none_of_this_replicas_is_tried_by_its_sequence_number() {
    let hub = TestHub::start(&[3]).await;
    let client = hub.client();
    let from = ReadFrom::After(Position {
        offset: Some("elsewhere:7".to_owned()),
        sequence: Some(0),
        epoch: None,
    });
    hub.seen(|state| state.refusals.push_back("com.microsoft:argument-error"));
    let mut reader = open(&client, 0, &from).await;
    assert_eq!(bodies(&read(&mut reader, 2).await.unwrap()), ["0/1", "0/2"]);
    hub.seen(|state| state.refusals.extend(["com.microsoft:argument-error"; 2]));
    let error = client.open(&partition(0), &from).await.err().unwrap();
    assert_eq!(error.class(), LogErrorClass::PositionGone);
}

#[tokio::test]
async fn where_numbers_may_have_come_again_an_offset_that_is_refused_leads_to_the_oldest_message() {
    let hub = TestHub::start(&[3]).await;
    let client = hub.client();
    let from = ReadFrom::After(Position {
        offset: Some("1:0:7".to_owned()),
        sequence: Some(0),
        epoch: Some(1),
    });
    hub.seen(|state| state.refusals.push_back("com.microsoft:argument-error"));
    let mut reader = open(&client, 0, &from).await;
    let read = read(&mut reader, 3).await.unwrap();
    assert_eq!(bodies(&read), ["0/0", "0/1", "0/2"]);
}

#[tokio::test]
async fn messages_that_are_not_kept_any_more_are_told_by_number() {
    let hub = TestHub::start(&[3]).await;
    hub.seen(|state| state.begin = 10);
    let client = hub.client();
    let after = |sequence: i64| {
        ReadFrom::After(Position {
            offset: Some((sequence * 100).to_string()),
            sequence: Some(sequence),
            epoch: None,
        })
    };
    let error = client.open(&partition(0), &after(4)).await.err().unwrap();
    assert_eq!(error.class(), LogErrorClass::PositionGone);
    assert!(error.to_string().contains("5 to 9"), "{error}");
    let mut reader = open(&client, 0, &after(9)).await;
    assert_eq!(read(&mut reader, 3).await.unwrap().len(), 3);
}

#[tokio::test]
async fn every_form_of_a_body_comes_through() {
    let binary = |part: &str| Binary::from(part.as_bytes().to_vec());
    let text = |part: &str| Value::String(part.to_owned());
    let halves = || vec!["{\"n\"", ":1}"];
    let sections = halves().into_iter().map(|half| Data(binary(half)));
    let forms = vec![
        Body::Data(Batch::new(sections.collect::<Vec<_>>())),
        Body::Value(AmqpValue(text("{\"n\":1}"))),
        Body::Value(AmqpValue(Value::Binary(binary("{\"n\":1}")))),
        Body::Sequence(Batch::new(vec![AmqpSequence(
            halves().into_iter().map(text).collect(),
        )])),
        Body::Sequence(Batch::new(vec![AmqpSequence(vec![Value::Binary(binary(
            "{\"n\":1}",
        ))])])),
    ];
    let hub = TestHub::start(&[0]).await;
    let count = forms.len();
    hub.seen(|state| state.partitions[0] = forms);
    let mut reader = open(&hub.client(), 0, &EARLIEST).await;
    let messages = read(&mut reader, count).await.unwrap();
    assert_eq!(bodies(&messages), vec!["{\"n\":1}"; count]);
}

#[tokio::test]
async fn a_batch_has_no_more_bytes_than_asked_for_and_a_larger_message_comes_alone() {
    let hub = TestHub::start(&[0]).await;
    let sizes = [300_000, 10, 200_000, 200_000, 1_000_000, 10];
    hub.seen(|state| {
        let message = |size: &usize| text(&"x".repeat(*size));
        state.partitions[0] = sizes.iter().map(message).collect();
    });
    let mut reader = open(&hub.client(), 0, &EARLIEST).await;
    let mut read = Vec::new();
    while read.len() < sizes.len() {
        let batch = reader.next(400_000).await.unwrap();
        let batch: Vec<usize> = batch.iter().map(|message| message.body.len()).collect();
        assert!(
            batch.len() == 1 || batch.iter().sum::<usize>() <= 400_000,
            "{batch:?}"
        );
        read.extend(batch);
    }
    assert_eq!(read, sizes);
}

#[tokio::test]
async fn a_reader_that_is_given_up_in_full_flow_disturbs_no_other() {
    let hub = TestHub::start(&[0, 2000, 2000]).await;
    let client = hub.client();
    let mut kept = open(&client, 2, &EARLIEST).await;
    for _ in 0..20 {
        let mut reader = open(&client, 1, &EARLIEST).await;
        reader.next(MOST).await.unwrap();
        reader.next(MOST).await.unwrap();
        drop(reader);
    }
    let messages = read(&mut kept, 2000).await.unwrap();
    assert_eq!(messages.len(), 2000);
    assert_eq!(hub.seen(|state| state.connections), 1);
}

#[tokio::test]
async fn opening_that_is_given_up_half_way_disturbs_no_other() {
    let hub = TestHub::start(&[1, 1]).await;
    let client = hub.client();
    let mut kept = open(&client, 1, &EARLIEST).await;
    for _ in 0..20 {
        let partition = partition(0);
        tokio::select! {
            biased;
            _ = client.open(&partition, &EARLIEST) => {}
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(read(&mut kept, 1).await.unwrap().len(), 1);
    assert_eq!(hub.seen(|state| state.connections), 1);
}

#[tokio::test]
async fn a_look_tells_every_step_and_a_missing_role_from_an_empty_hub() {
    let none = std::collections::BTreeMap::new();
    let hub = TestHub::start(&[0, 3]).await;
    let client = hub.client();
    let seen = client.examine(&[("1".to_owned(), 0)].into()).await;
    let told = |seen: &Seen, step: &str| {
        let of = seen.findings.0.iter().find(|one| one.step == step);
        of.map(|one| (one.outcome, one.message()))
            .unwrap_or_else(|| panic!("{step} in {:?}", seen.findings))
    };
    for step in [
        "name",
        "port",
        "TLS",
        "sign-in",
        "hub",
        "consumer group",
        "role",
    ] {
        assert_eq!(told(&seen, step).0, Outcome::Good, "{step}");
    }
    assert!(told(&seen, "hub").1.starts_with("insights of "));
    assert_eq!(told(&seen, "partition 0").1, "empty");
    let (_, lag) = told(&seen, "partition 1");
    assert!(lag.contains("0 to 2") && lag.contains("2 wait"), "{lag}");

    hub.seen(|state| state.refusals.push_back("amqp:link:stolen"));
    let seen = client.examine(&none).await;
    assert!(seen.held);
    assert_eq!(told(&seen, "consumer group").0, Outcome::Doubtful);
    hub.seen(|state| state.refusals.push_back("amqp:not-found"));
    let (bad, text) = told(&client.examine(&none).await, "consumer group");
    assert_eq!(bad, Outcome::Bad);
    assert!(text.contains("consumer_group"), "{text}");
    hub.seen(|state| state.refusals.push_back("amqp:unauthorized-access"));
    let (bad, text) = told(&client.examine(&none).await, "role");
    assert_eq!(bad, Outcome::Bad);
    assert!(text.contains("Data Receiver"), "{text}");
    client.close().await;

    let hub = TestHub::start(&[0, 0]).await;
    let client = hub.client();
    let seen = client.examine(&none).await;
    assert_eq!(told(&seen, "role").0, Outcome::Good);
    let (doubtful, text) = told(&seen, "messages");
    assert_eq!(doubtful, Outcome::Doubtful);
    assert!(text.contains("Streaming API"), "{text}");
    client.close().await;
}
