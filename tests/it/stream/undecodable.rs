//! What is no record stops nothing: it arrives as a quarantined element that says where it was.

use super::hub::{Hub, came};
use crate::counterpart::process::{Reading, Run};
use defender_bridge::sandbox::event_hub::{Payload, Settings};

/// One partition, empty.
fn hub() -> Hub {
    Hub::start(Settings {
        records: Some(0),
        partitions: 1,
        ..Settings::default()
    })
}

fn good(hub: &Hub) {
    hub.one_more(usize::try_from(hub.hub().ends()[0]).unwrap());
}

/// Message and text of the quarantined elements.
fn quarantined(run: &Run) -> Vec<(String, String)> {
    let events = run.all_events();
    let events = events
        .iter()
        .filter(|event| event.sourcetype == "defender_bridge:log");
    let told = events.map(|event| {
        let json = event.json();
        let text = |key: &str| json[key].as_str().unwrap().to_owned();
        (text("message"), text("raw"))
    });
    told.filter(|(message, _)| message.starts_with("quarantined: "))
        .collect()
}

#[test]
fn what_is_no_record_is_quarantined_with_its_partition_and_sequence_number() {
    let hub = hub();
    let put = |payload| hub.hub().publish(Some(0), payload).unwrap();
    put(Payload::Undecodable);
    good(&hub);
    put(Payload::Data(b"\x1f\x8b no text".to_vec()));
    put(Payload::Number(7));
    put(Payload::Undecodable);
    put(Payload::Data(b"{\"records\":[17]}".to_vec()));
    good(&hub);
    put(Payload::Undecodable);
    let splunkd = hub.splunkd(&[]);
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    let mut wanted = hub.wanted();
    wanted.remove("17");
    assert_eq!(came(&run), wanted);
    let quarantined = quarantined(&run);
    for (place, text, why) in [
        (
            "before partition 0, sequence number 1:",
            "",
            "no message of AMQP",
        ),
        ("partition 0, sequence number 2:", "no text", ""),
        (
            "partition 0, sequence number 3:",
            "Long(7)",
            "neither text nor bytes",
        ),
        ("partition 0, sequence number 4:", "", "no message of AMQP"),
        ("partition 0, sequence number 5:", "17", ""),
        ("partition 0, sequence number 7:", "", "no message of AMQP"),
    ] {
        let found = quarantined.iter().find(|(message, raw)| {
            message.starts_with(&format!("quarantined: {place}"))
                && message.contains(why)
                && raw.contains(text)
        });
        assert!(found.is_some(), "{place} {text} in: {quarantined:#?}");
    }
    assert_eq!(quarantined.len(), 6, "{quarantined:#?}");

    // None of it comes again.
    good(&hub);
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    assert_eq!(self::quarantined(&run), []);
    assert_eq!(run.events().len(), 1);
}

#[test]
fn a_message_larger_than_a_megabyte_arrives() {
    let hub = hub();
    let text = "x".repeat(700);
    for count in [1, 1_400, 1_500, 6_000] {
        let record = format!("{{\"category\":\"AdvancedHunting-AlertInfo\",\"text\":\"{text}\"}}");
        let body = format!("{{\"records\":[{}]}}", vec![record; count].join(","));
        hub.hub()
            .publish(Some(0), Payload::Data(body.into_bytes()))
            .unwrap();
    }
    let splunkd = hub.splunkd(&[]);
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    assert_eq!(came(&run), hub.wanted());
}
