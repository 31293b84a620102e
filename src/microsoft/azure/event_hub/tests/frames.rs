//! What a hub may send by AMQP 1.0 and the library takes amiss.

use crate::microsoft::azure::event_hub::frames::Frames;
use crate::microsoft::azure::event_hub::{body, position};
use fe2o3_amqp::types::messaging::message::DecodeIntoMessage;
use fe2o3_amqp::types::messaging::{Body, Message};
use fe2o3_amqp::types::performatives::Attach;
use fe2o3_amqp::types::primitives::Value;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TEXT: &[u8] = br#"{"records":[]}"#;
const NULL: &[u8] = &[0x40];
/// An array of nothing, which the library cannot read.
const NOTHING: &[u8] = &[0xe0, 2, 0, 0xa3];

fn uint(number: u8) -> Vec<u8> {
    vec![0x52, number]
}

fn text(code: u8, text: &[u8]) -> Vec<u8> {
    [&[code, u8::try_from(text.len()).unwrap()], text].concat()
}

fn symbol(name: &str) -> Vec<u8> {
    text(0xa3, name.as_bytes())
}

/// A list (0xd0) or a map (0xd1).
fn compound(kind: u8, items: &[Vec<u8>]) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap().to_be_bytes();
    let items_bytes = items.concat();
    let size = number(items_bytes.len() + 4);
    [&[kind], &size[..], &number(items.len()), &items_bytes].concat()
}

fn described(code: u8, value: &[u8]) -> Vec<u8> {
    [&[0, 0x53, code], value].concat()
}

fn frame(channel: u8, code: u8, fields: &[Vec<u8>], payload: &[u8]) -> Vec<u8> {
    let body = [&described(code, &compound(0xd0, fields)), payload].concat();
    let size = u32::try_from(8 + body.len()).unwrap().to_be_bytes();
    [&size[..], &[2, 0, 0, channel], &body].concat()
}

/// The hub sends under this handle.
fn attach(channel: u8, handle: u8, name: &str) -> Vec<u8> {
    let mut fields = vec![text(0xa1, name.as_bytes()), uint(handle), vec![0x42]];
    fields.resize(9, NULL.to_vec());
    fields.extend([uint(7), vec![0x53, 100]]);
    frame(channel, 0x12, &fields, &[])
}

fn transfer(channel: u8, handle: u8, more: bool, payload: &[u8]) -> Vec<u8> {
    let more = vec![if more { 0x41 } else { 0x42 }];
    let fields = [
        uint(handle),
        uint(1),
        text(0xa0, b"t"),
        uint(0),
        NULL.to_vec(),
        more,
    ];
    frame(channel, 0x14, &fields, payload)
}

fn annotations(others: &[Vec<u8>]) -> Vec<u8> {
    let mut items = vec![symbol("x-opt-offset"), text(0xa1, b"1:2:3")];
    items.extend_from_slice(others);
    items.extend([symbol("x-opt-sequence-number"), vec![0x55, 9]]);
    described(0x72, &compound(0xd1, &items))
}

/// All that may stand beside a body, each with a value the library cannot read.
fn odd() -> Vec<u8> {
    let nothing = || NOTHING.to_vec();
    let of_text = |value| compound(0xd1, &[text(0xa1, b"a"), value]);
    [
        described(0x70, &compound(0xd0, &[vec![0x41]])),
        described(0x71, &compound(0xd1, &[symbol("a"), nothing()])),
        annotations(&[symbol("x"), nothing(), text(0xa1, b"y"), NULL.to_vec()]),
        described(0x73, &compound(0xd0, &[nothing()])),
        described(0x74, &of_text(compound(0xd0, &[uint(1)]))),
        described(0x75, &text(0xa0, &TEXT[..5])),
        described(0x75, &text(0xa0, &TEXT[5..])),
        described(0x78, &of_text(uint(1))),
    ]
    .concat()
}

fn plain() -> Vec<u8> {
    [annotations(&[]), described(0x75, &text(0xa0, TEXT))].concat()
}

/// What the library gets, where the hub's bytes come by so many at a time.
async fn taken(sent: Vec<u8>, at_a_time: usize) -> Vec<u8> {
    let (here, mut there) = tokio::io::duplex(at_a_time);
    let sending = async move {
        there.write_all(&sent).await.unwrap();
        drop(there);
    };
    let reading = async move {
        let mut read = Vec::new();
        Frames::new(here).read_to_end(&mut read).await.unwrap();
        read
    };
    tokio::join!(sending, reading).1
}

fn take(sent: Vec<u8>, at_a_time: usize) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(taken(sent, at_a_time))
}

/// Performatives and payloads of whole frames.
fn frames(mut bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let size = u32::from_be_bytes(bytes[..4].try_into().unwrap());
        let (frame, behind) = bytes.split_at(usize::try_from(size).unwrap());
        bytes = behind;
        assert_eq!(&frame[4..7], [2, 0, 0]);
        if frame.len() == 8 {
            continue;
        }
        let list = &frame[11..];
        let end = 11
            + match list[0] {
                0xc0 => 2 + usize::from(list[1]),
                _ => {
                    5 + usize::try_from(u32::from_be_bytes(list[1..5].try_into().unwrap())).unwrap()
                }
            };
        frames.push((frame[8..end].to_vec(), frame[end..].to_vec()));
    }
    frames
}

/// The message in the transfers among these frames.
fn message(bytes: &[u8]) -> Message<Body<Value>> {
    let frames = frames(bytes).into_iter();
    let transfers = frames.filter(|(performative, _)| performative[2] == 0x14);
    let payload: Vec<u8> = transfers.flat_map(|(_, payload)| payload).collect();
    let reader = serde_amqp::read::SliceReader::new(&payload);
    Body::<Value>::decode_message_from_reader(reader).unwrap()
}

fn is_whole(message: Message<Body<Value>>) -> bool {
    let marks = position::marks(message.message_annotations.as_ref());
    let offset = marks.position.offset.as_deref() == Some("1:2:3");
    offset && marks.position.sequence == Some(9) && body::content(message.body).bytes == TEXT
}

#[test]
fn a_body_is_read_whatever_stands_beside_it() {
    let sent = [
        attach(3, 5, "defender_bridge-0-x"),
        transfer(3, 5, false, &odd()),
    ];
    assert!(is_whole(message(&take(sent.concat(), 4096))));
}

#[test]
fn sections_may_be_told_by_name() {
    let by_name = |name: &str, value: Vec<u8>| [vec![0], symbol(name), value].concat();
    let payload = [
        by_name("amqp:header:list", NOTHING.to_vec()),
        by_name(
            "amqp:message-annotations:map",
            annotations(&[])[3..].to_vec(),
        ),
        by_name("amqp:data:binary", text(0xa0, TEXT)),
        by_name("amqp:footer:map", NOTHING.to_vec()),
    ]
    .concat();
    let sent = [
        attach(3, 5, "defender_bridge-0-x"),
        transfer(3, 5, false, &payload),
    ];
    assert!(is_whole(message(&take(sent.concat(), 4096))));
}

#[test]
fn a_position_may_be_told_under_strings() {
    let mut payload = plain();
    // The keys' codes.
    for name in ["x-opt-offset", "x-opt-sequence-number"] {
        let named = |of: &[u8]| of == name.as_bytes();
        let at = payload.windows(name.len()).position(named).unwrap();
        payload[at - 2] = 0xa1;
    }
    let sent = [
        attach(3, 5, "defender_bridge-0-x"),
        transfer(3, 5, false, &payload),
    ];
    assert!(is_whole(message(&take(sent.concat(), 4096))));
}

#[test]
fn a_reply_keeps_its_properties() {
    let payload = [
        described(
            0x74,
            &compound(0xd1, &[text(0xa1, b"status-code"), vec![0x54, 100]]),
        ),
        described(0x77, NULL),
    ]
    .concat();
    let sent = [
        attach(0, 0, "cbs-x-replies"),
        transfer(0, 0, false, &payload),
    ];
    let taken = take(sent.concat(), 4096);
    assert_eq!(frames(&taken)[1].1, payload);
}

#[test]
fn the_hubs_own_counts_and_limits_are_left_out_where_it_sends() {
    let flow = |handle| {
        let mut fields = vec![uint(1), uint(2), uint(3), uint(4), handle];
        fields.extend([uint(77), uint(88)]);
        frame(0, 0x13, &fields, &[])
    };
    // Under handle 1 the hub receives.
    let mut receives = attach(0, 1, "cbs-x-requests");
    let role = receives.iter().position(|byte| *byte == 0x42).unwrap();
    receives[role] = 0x41;
    let sent = [
        attach(0, 0, "defender_bridge-0-x"),
        receives.clone(),
        flow(uint(0)),
        flow(uint(1)),
        flow(NULL.to_vec()),
    ];
    let taken = take(sent.concat(), 4096);
    let has = |place: usize, bytes: &[u8]| {
        let (performative, _) = &frames(&taken)[place];
        performative.windows(bytes.len()).any(|of| of == bytes)
    };
    assert!(has(0, &[0x52, 7]) && !has(0, &[0x53, 100]));
    assert!(has(1, &[0x53, 100]));
    assert!(has(2, &[0x52, 88]) && !has(2, &[0x52, 77]));
    assert!(has(3, &[0x52, 77]) && has(4, &[0x52, 77]));
}

#[test]
fn a_link_may_begin_without_a_count() {
    let name = text(0xa1, b"defender_bridge-0-x");
    let sent = frame(0, 0x12, &[name, uint(3), vec![0x42]], &[]);
    let taken = take(sent, 4096);
    let attach: Attach = serde_amqp::from_slice(&frames(&taken)[0].0).unwrap();
    assert_eq!(
        (attach.handle.0, attach.initial_delivery_count),
        (3, Some(0))
    );
}

#[test]
fn a_frames_header_may_hold_more() {
    let mut sent = attach(0, 1, "cbs-x-requests");
    let more = [1, 2, 3, 4, 5, 6, 7, 8];
    sent.splice(8..8, more);
    let size = u32::try_from(sent.len()).unwrap().to_be_bytes();
    sent.splice(..5, size.into_iter().chain([4]));
    let taken = take(sent, 4096);
    let (performative, payload) = &frames(&taken)[0];
    assert_eq!((performative[2], payload.len()), (0x12, 0));
}

proptest! {
    #[test]
    fn a_message_is_whole_wherever_it_is_cut(
        mut cuts in proptest::collection::vec(0_usize..400, 0..5),
        at_a_time in 1_usize..300,
    ) {
        let payload = plain();
        cuts.iter_mut().for_each(|cut| *cut %= payload.len());
        cuts.sort_unstable();
        let mut sent = vec![b"AMQP\0\x01\0\0".to_vec(), attach(3, 5, "defender_bridge-0-x")];
        let mut from = 0;
        for cut in cuts {
            sent.push(transfer(3, 5, true, &payload[from..cut]));
            sent.push(vec![0, 0, 0, 8, 2, 0, 0, 0]);
            from = cut;
        }
        sent.push(transfer(3, 5, false, &payload[from..]));
        let sent = sent.concat();
        let taken = take(sent.clone(), at_a_time);
        prop_assert_eq!(&taken[..8], b"AMQP\0\x01\0\0");
        for bytes in [sent, taken] {
            prop_assert!(is_whole(message(&bytes[8..])));
        }
    }

    #[test]
    fn no_bytes_make_it_fall_and_none_are_held_back(
        frames in proptest::collection::vec((0_u8..0x20, proptest::collection::vec(any::<u8>(), 0..60)), 0..6),
        rest in proptest::collection::vec(any::<u8>(), 0..40),
        at_a_time in 1_usize..200,
    ) {
        let mut sent = attach(0, 0, "defender_bridge-0-x");
        for (code, bytes) in frames {
            sent.extend(frame(0, code, &[uint(0)], &bytes));
            sent.extend(transfer(0, 0, code % 2 == 0, &bytes));
        }
        sent.extend(&rest);
        let whole = take(sent.clone(), 1 << 20);
        prop_assert!(whole.len() <= sent.len());
        prop_assert_eq!(take(sent, at_a_time), whole);
    }
}
