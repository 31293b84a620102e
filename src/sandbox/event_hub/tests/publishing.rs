use fe2o3_amqp::Sendable;
use fe2o3_amqp::link::SendError;
use fe2o3_amqp::types::messaging::message::__private::Serializable;
use fe2o3_amqp::types::messaging::{Batch, Data, MessageAnnotations, Outcome};

use super::*;
use crate::sandbox::event_hub::{Payload, Times, content};

fn text(text: &str) -> Message<Body<Value>> {
    content(Payload::Data(text.as_bytes().to_vec()).body())
}

fn keyed(mut message: Message<Body<Value>>, key: &str) -> Message<Body<Value>> {
    let annotations =
        MessageAnnotations::builder().insert("x-opt-partition-key", Value::String(key.to_owned()));
    message.message_annotations = Some(annotations.build());
    message
}

fn batch(messages: &[Message<Body<Value>>]) -> Message<Body<Value>> {
    let sections = messages
        .iter()
        .map(|message| Data::from(serde_amqp::to_vec(&Serializable(message)).unwrap()));
    content(Body::Data(sections.collect::<Batch<Data>>()))
}

async fn sender(client: &mut Client, to: &str) -> Sender {
    let name = client.link();
    Sender::attach(&mut client.session, name, to).await.unwrap()
}

#[tokio::test]
async fn events_go_to_their_partition_to_that_of_their_key_or_in_turn() {
    let tenant = serving(
        Settings {
            records: Some(0),
            ..plain()
        },
        1,
    )
    .await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    let mut to_hub = sender(&mut client, hub.name()).await;
    for _ in 0..8 {
        to_hub.send(text("{}")).await.unwrap();
    }
    assert_eq!(hub.ends(), [2, 2, 2, 2]);
    let name = format!("{}/Partitions/2", hub.name());
    let mut to_partition = sender(&mut client, &name).await;
    to_partition.send(text("{}")).await.unwrap();
    assert_eq!(hub.ends(), [2, 2, 3, 2]);
    for _ in 0..5 {
        to_hub.send(keyed(text("{}"), "device-1")).await.unwrap();
    }
    let grown: Vec<i64> = hub
        .ends()
        .iter()
        .zip([2, 2, 3, 2])
        .map(|(now, was)| now - was)
        .collect();
    assert_eq!(grown.iter().max(), Some(&5));
    let place = grown.iter().position(|count| *count == 5).unwrap();
    let mut receiver = client
        .partition(hub, place, "amqp.annotation.x-opt-sequence-number >= '2'")
        .await;
    let mut seen = next(&mut receiver).await;
    while seen.key.is_none() {
        seen = next(&mut receiver).await;
    }
    assert_eq!(seen.key.as_deref(), Some("device-1"));
}

#[tokio::test]
async fn a_batch_becomes_its_messages_in_one_partition() {
    let tenant = serving(
        Settings {
            records: Some(0),
            ..plain()
        },
        1,
    )
    .await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    let mut to_hub = sender(&mut client, hub.name()).await;
    let batched = Sendable::builder()
        .message(batch(&[text("a"), text("b"), text("c")]))
        .message_format(0x8001_3700)
        .build();
    to_hub.send(batched).await.unwrap();
    let ends = hub.ends();
    assert_eq!(ends.iter().sum::<i64>(), 3);
    let place = ends.iter().position(|end| *end == 3).unwrap();
    let mut receiver = client
        .partition(hub, place, "amqp.annotation.x-opt-offset > '-1'")
        .await;
    for body in ["a", "b", "c"] {
        assert_eq!(next(&mut receiver).await.bytes(), body.as_bytes());
    }
    // All or none.
    let broken = Sendable::builder()
        .message(content(Body::Data(
            vec![Data::from(b"no message".to_vec())]
                .into_iter()
                .collect(),
        )))
        .message_format(0x8001_3700)
        .build();
    let outcome = to_hub.send(broken).await.unwrap();
    assert!(matches!(outcome, Outcome::Rejected(_)), "{outcome:?}");
    assert_eq!(hub.ends().iter().sum::<i64>(), 3);
}

#[tokio::test]
async fn a_throttled_event_is_rejected_and_taken_the_next_time() {
    let tenant = serving(
        Settings {
            records: Some(0),
            ..plain()
        },
        1,
    )
    .await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    let mut to_hub = sender(&mut client, hub.name()).await;
    hub.refuse_publishing("com.microsoft:server-busy", Times::Next(1));
    let Outcome::Rejected(rejected) = to_hub.send(text("{}")).await.unwrap() else {
        panic!();
    };
    assert_eq!(
        condition(&rejected.error.unwrap()),
        "com.microsoft:server-busy"
    );
    assert!(matches!(
        to_hub.send(text("{}")).await.unwrap(),
        Outcome::Accepted(_)
    ));
    assert_eq!(hub.ends().iter().sum::<i64>(), 1);
}

#[tokio::test]
async fn who_may_only_listen_may_not_send() {
    let tenant = serving(plain(), 1).await;
    let hub = hub(&tenant);
    let mut client = Client::plain(hub).await;
    let (name, key) = hub.policies()[1];
    let audience = format!("sb://contoso/{}", hub.name());
    let token = signature(&audience, name, key, 600);
    client
        .put(&audience, "servicebus.windows.net:sastoken", &token)
        .await;
    let mut to_hub = sender(&mut client, hub.name()).await;
    let error = match to_hub.send(text("{}")).await {
        Err(SendError::LinkStateError(LinkStateError::RemoteClosedWithError(error))) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(condition(&error), "amqp:unauthorized-access");
}
