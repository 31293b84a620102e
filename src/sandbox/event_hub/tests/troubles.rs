use fe2o3_amqp::connection;

use super::*;
use crate::sandbox::event_hub::{Batching, End, Offsets, Payload, Times};

const LATEST: &str = "amqp.annotation.x-opt-offset > '@latest'";

#[tokio::test]
async fn links_end_with_any_condition_and_are_refused_with_it() {
    let tenant = serving(plain(), 1).await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    for condition in [
        "amqp:link:stolen",
        "amqp:unauthorized-access",
        "amqp:not-found",
        "amqp:connection:forced",
        "amqp:link:detach-forced",
        "amqp:internal-error",
        "com.microsoft:server-busy",
        "com.microsoft:timeout",
        "com.microsoft:entity-disabled",
        "com.microsoft:operation-cancelled",
    ] {
        let mut receiver = client.partition(hub, 0, LATEST).await;
        assert_eq!(hub.end_receivers(Some(0), condition), 1);
        assert_eq!(super::condition(&ended(&mut receiver).await), condition);
        hub.refuse_receivers(condition, Times::Next(1));
        let refused = refused(&mut client, &source(hub, 0), None, None).await;
        assert_eq!(refused, condition);
    }
    let receiver = client.partition(hub, 0, LATEST).await;
    receiver.close().await.unwrap();
}

#[tokio::test]
async fn receivers_end_in_turn_in_the_middle_of_reading() {
    let tenant = serving(plain(), 40).await;
    let hub = hub(&tenant);
    let busy = "com.microsoft:server-busy";
    hub.end_receivers_after(
        2,
        [
            End::Link(busy.to_owned()),
            End::Connection("amqp:connection:forced".to_owned()),
            End::Socket,
        ],
    );
    let earliest = "amqp.annotation.x-opt-offset > '-1'";
    let mut client = Client::root(hub).await;
    let mut receiver = client.partition(hub, 0, earliest).await;
    next(&mut receiver).await;
    next(&mut receiver).await;
    assert_eq!(condition(&ended(&mut receiver).await), busy);
    for _ in 0..2 {
        let mut client = Client::root(hub).await;
        let mut receiver = client.partition(hub, 0, earliest).await;
        // What was on its way is lost with it.
        let mut came = 0;
        while receiver.recv::<Body<Value>>().await.is_ok() {
            came += 1;
        }
        assert!(came <= 2);
    }
    hub.publish(Some(0), Payload::Text("a third".to_owned()))
        .unwrap();
    let mut client = Client::root(hub).await;
    let mut receiver = client.partition(hub, 0, earliest).await;
    for _ in 0..3 {
        next(&mut receiver).await;
    }
}

#[tokio::test]
async fn a_throttled_hub_tells_those_that_are_there_and_those_that_come() {
    let tenant = serving(plain(), 1).await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    let mut receiver = client.partition(hub, 1, LATEST).await;
    hub.throttle(Times::Always);
    assert_eq!(
        condition(&ended(&mut receiver).await),
        "com.microsoft:server-busy"
    );
    for _ in 0..3 {
        let refused = refused(&mut client, &source(hub, 1), None, None).await;
        assert_eq!(refused, "com.microsoft:server-busy");
    }
    hub.recover();
    client
        .partition(hub, 1, LATEST)
        .await
        .close()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_newer_epoch_steals_the_link() {
    let tenant = serving(plain(), 1).await;
    let hub = hub(&tenant);
    let (mut one, mut other) = (Client::root(hub).await, Client::root(hub).await);
    let source = source(hub, 0);
    let mut first = one.receiver(&source, Some(LATEST), Some(0)).await.unwrap();
    let mut second = other
        .receiver(&source, Some(LATEST), Some(0))
        .await
        .unwrap();
    assert_eq!(condition(&ended(&mut first).await), "amqp:link:stolen");
    assert_eq!(
        refused(&mut one, &source, Some(LATEST), Some(-1)).await,
        "amqp:link:stolen"
    );
    assert_eq!(
        refused(&mut one, &source, Some(LATEST), None).await,
        "amqp:link:stolen"
    );
    second.set_credit(PLENTY).await.unwrap();
    hub.publish(Some(0), Payload::Text("still".to_owned()))
        .unwrap();
    next(&mut second).await;
}

#[tokio::test]
async fn wrong_names_are_not_found() {
    let tenant = serving(plain(), 1).await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    let name = hub.name();
    for (source, condition) in [
        (
            "other/ConsumerGroups/$Default/Partitions/0".to_owned(),
            "amqp:not-found",
        ),
        (
            format!("{name}/ConsumerGroups/nobody/Partitions/0"),
            "amqp:not-found",
        ),
        (
            format!("{name}/ConsumerGroups/splunk/Partitions/99"),
            "com.microsoft:argument-out-of-range",
        ),
        (name.to_owned(), "amqp:not-found"),
    ] {
        assert_eq!(
            refused(&mut client, &source, None, None).await,
            condition,
            "{source}"
        );
    }
    let url = format!("amqps://contoso/{name}/ConsumerGroups/Splunk/Partitions/0");
    assert!(client.receiver(&url, None, None).await.is_ok());
}

#[tokio::test]
async fn tokens_and_questions_fail_as_ordered() {
    let tenant = serving(plain(), 1).await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    hub.refuse_questions(503, Times::Next(1));
    assert_eq!(client.read(hub.name(), None).await.0, 503);
    assert_eq!(client.read(hub.name(), None).await.0, 200);
    hub.refuse_tokens(500, Times::Next(1));
    assert_eq!(client.put("sb://contoso/defender", "jwt", "x").await.0, 500);
    assert_eq!(client.put("sb://contoso/defender", "jwt", "x").await.0, 401);
    assert_eq!((hub.stats().tokens, hub.stats().questions), (3, 2));
}

#[tokio::test]
async fn a_connection_is_closed_with_its_error() {
    let tenant = serving(plain(), 1).await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    assert_eq!(hub.close_connections("amqp:connection:forced"), 1);
    let closed = client.connection.on_close().await.unwrap_err();
    let connection::Error::RemoteClosedWithError(error) = closed else {
        panic!("{closed:?}");
    };
    assert_eq!(condition(&error), "amqp:connection:forced");
    assert!(error.info.is_some());
}

#[tokio::test]
async fn a_lost_connection_frees_its_partitions() {
    let tenant = serving(plain(), 1).await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    let mut receiver = client.partition(hub, 0, LATEST).await;
    assert_eq!(hub.cut_connections(), 1);
    assert!(receiver.recv::<Body<Value>>().await.is_err());
    while hub.stats().open > 0 {
        tokio::task::yield_now().await;
    }
    assert!(hub.receivers().is_empty());
}

#[tokio::test]
async fn a_silent_connection_stays_open_and_speaks_again() {
    let tenant = serving(plain(), 1).await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    let mut receiver = client.partition(hub, 0, LATEST).await;
    assert_eq!(hub.silence_connections(true), 1);
    hub.publish(Some(0), Payload::Text("unheard".to_owned()))
        .unwrap();
    // Another connection hears of it, this one does not.
    let mut other = Client::root(hub).await;
    let mut there = other
        .partition(hub, 0, "amqp.annotation.x-opt-offset > '-1'")
        .await;
    while next(&mut there).await.sequence + 1 < hub.ends()[0] {}
    let mut heard = Box::pin(next(&mut receiver));
    assert!(futures::poll!(&mut heard).is_pending());
    assert_eq!(hub.stats().open, 2);
    hub.silence_connections(false);
    heard.await;
}

#[tokio::test]
async fn a_hub_grows_and_is_deleted_and_made_again() {
    let tenant = serving(
        Settings {
            partitions: 2,
            ..plain()
        },
        3,
    )
    .await;
    let hub = hub(&tenant);
    let mut client = Client::root(hub).await;
    hub.add_partitions(2);
    assert_eq!(hub.ends()[2..], [0, 0]);
    let mut added = client.partition(hub, 3, LATEST).await;
    let created = async |client: &mut Client| {
        let (_, body) = client.read(hub.name(), None).await;
        let Value::Map(facts) = body else {
            panic!("{body:?}")
        };
        let fact = |key: &str| facts.get(&Value::String(key.to_owned())).cloned();
        (fact("created_at"), fact("partition_count"))
    };
    let before = created(&mut client).await;
    assert_eq!(before.1, Some(Value::Int(4)));
    hub.delete();
    assert_eq!(condition(&ended(&mut added).await), "amqp:not-found");
    assert_eq!(
        refused(&mut client, &source(hub, 0), None, None).await,
        "amqp:not-found"
    );
    assert_eq!(client.read(hub.name(), None).await.0, 404);
    hub.make_again();
    let after = created(&mut client).await;
    assert_ne!(after.0, before.0);
    assert_eq!(after.1, Some(Value::Int(2)));
    assert_eq!(hub.ends(), [0, 0]);
}

#[tokio::test]
async fn a_failover_by_force_gives_numbers_out_again_in_another_epoch() {
    let settings = Settings {
        partitions: 1,
        records: Some(50),
        batching: Batching::Records(10),
        offsets: Offsets::GeoReplicated,
        ..plain()
    };
    let tenant = serving(settings, 5).await;
    let hub = hub(&tenant);
    let publish = |text: &str| {
        hub.publish(Some(0), Payload::Text(text.to_owned()))
            .unwrap()
    };
    assert_eq!(publish("lost").sequence_number, 5);
    let last = publish("lost, too");
    assert_eq!((last.sequence_number, &last.offset[..4]), (6, "1:6:"));
    hub.fail_over(4);
    let first = publish("new");
    assert_eq!((first.sequence_number, &first.offset[..4]), (3, "2:3:"));
    let mut client = Client::root(hub).await;
    let behind_last = format!("amqp.annotation.x-opt-offset > '{}'", last.offset);
    let mut receiver = client.partition(hub, 0, &behind_last).await;
    assert_eq!(next(&mut receiver).await.sequence, 3);
    let mut receiver = client
        .partition(hub, 0, "amqp.annotation.x-opt-offset > '-1'")
        .await;
    for sequence in 0..4 {
        assert_eq!(next(&mut receiver).await.sequence, sequence);
    }
    let (_, body) = client.read(hub.name(), Some("0")).await;
    let Value::Map(facts) = body else {
        panic!("{body:?}")
    };
    let fact = |key: &str| facts.get(&Value::String(key.to_owned())).cloned();
    assert_eq!(fact("begin_sequence_number_epoch"), Some(Value::Int(1)));
    assert_eq!(
        fact("last_enqueued_sequence_number_epoch"),
        Some(Value::Int(2))
    );
    hub.forget_offsets();
    let source = source(hub, 0);
    assert_eq!(
        refused(&mut client, &source, Some(&behind_last), None).await,
        "com.microsoft:argument-error"
    );
}
