use super::*;
use crate::splunk::modular_input::checkpoint_kvstore::document::{head_key, packed, unpacked};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn owner() -> Owner {
    Owner {
        guid: "G".into(),
        server: "sh1".into(),
    }
}

fn run(epoch: u64) -> Run {
    let mut run = Run::before_all("prod", owner(), Instant::EPOCH);
    run.number(epoch, Instant::EPOCH, LEASE);
    run
}

fn listing(documents: &[Value]) -> Result<Listing, KvError> {
    Listing::of("prod", documents.to_vec())
}

fn head(epoch: u64, save: u64) -> Value {
    let (head, _) = packed("{}", &run(epoch), save, Instant::EPOCH).unwrap();
    serde_json::to_value(head).unwrap()
}

fn run_after(epoch: u64, head: (u64, u64)) -> Value {
    let mut run = run(epoch);
    (run.head_epoch, run.head_save) = head;
    serde_json::to_value(run).unwrap()
}

#[test]
fn the_newest_run_and_head_come_first_as_numbers_not_as_text() {
    let listing = listing(&[
        run_after(9, (0, 0)),
        head(9, 2),
        run_after(10, (9, 2)),
        head(9, 10),
        run_after(2, (0, 0)),
    ])
    .unwrap();
    let epochs: Vec<u64> = listing.runs.iter().map(|run| run.epoch).collect();
    assert_eq!(epochs, [10, 9, 2]);
    assert_eq!(listing.heads[0].key, head_key("prod", 9, 10));
    assert_eq!(listing.number(), 10);
    assert!(!listing.lacks_a_head());
}

#[test]
fn a_head_a_run_speaks_of_is_missed_unless_a_newer_one_is_there() {
    let lacks = |documents: &[Value]| listing(documents).unwrap().lacks_a_head();
    assert!(lacks(&[run_after(4, (3, 1))]));
    assert!(lacks(&[run_after(4, (3, 2)), head(3, 1)]));
    assert!(lacks(&[run_after(3, (3, 2)), run_after(4, (0, 0))]));
    assert!(!lacks(&[run_after(4, (3, 2)), head(4, 1)]));
    assert!(!lacks(&[run_after(4, (0, 0))]));
    assert!(!lacks(&[]));
}

#[test]
fn a_number_is_taken_from_heads_too_so_that_a_new_head_is_the_newest() {
    assert_eq!(listing(&[head(7, 1)]).unwrap().number(), 7);
    assert_eq!(listing(&[]).unwrap().number(), 0);
}

#[test]
fn stanzas_share_no_key() {
    let keys: BTreeMap<String, &str> = ["a", "a-1", "a-1-2", "A", "", "ä/..", "a.1"]
        .into_iter()
        .map(|stanza| (head_key(stanza, 1, 2), stanza))
        .collect();
    assert_eq!(keys.len(), 7);
    for key in keys.keys() {
        assert!(
            key.len() < 100
                && key
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        );
    }
}

#[test]
fn a_large_text_is_cut_into_documents_the_kv_store_takes() {
    let mut text = String::new();
    for number in 0..200_000_u64 {
        let hash = xxhash_rust::xxh3::xxh3_128(&number.to_le_bytes());
        text.push_str(&format!("[{number},\"{hash:032x}\"],"));
    }
    let (head, parts) = packed(&text, &run(3), 4, Instant::EPOCH).unwrap();
    assert!(parts.len() > 3, "{}", parts.len());
    let joined: String = parts.iter().map(|part| part.data.as_str()).collect();
    assert_eq!(
        unpacked(&(joined.clone() + &head.data), &head).unwrap(),
        text
    );
    for part in &parts {
        assert!(serde_json::to_string(part).unwrap().len() < 2 << 20);
    }
    unpacked(&joined, &head).unwrap_err();
}

proptest! {
    #[test]
    fn a_text_comes_back_as_it_was(text in "\\PC{0,300}") {
        let (head, parts) = packed(&text, &run(1), 1, Instant::EPOCH).unwrap();
        prop_assert!(parts.is_empty());
        prop_assert_eq!(unpacked(&head.data, &head), Ok(text));
    }

    #[test]
    fn a_damaged_text_is_refused(text in "\\PC{1,100}", at in 0_usize..200, with in "[A-Za-z0-9+/=]") {
        let (head, _) = packed(&text, &run(1), 1, Instant::EPOCH).unwrap();
        let at = at % head.data.len();
        let mut data = head.data.clone();
        data.replace_range(at..=at, &with);
        if data != head.data {
            // Only where padding or a checksum's spare bits differ can it be the same.
            if let Ok(found) = unpacked(&data, &head) {
                prop_assert_eq!(found, text);
            }
        }
    }

    #[test]
    fn any_documents_are_listed_or_refused_in_peace(
        key in "\\PC{0,200}",
        kind in "(run|head|part|x)",
        number in any::<f64>(),
        text in "\\PC{0,20}",
    ) {
        for document in [
            serde_json::json!({"_key": key, "kind": kind, "layout": number}),
            serde_json::json!({"_key": key, "kind": kind, "layout": 1, "epoch": number, "save": text}),
            serde_json::json!([key, kind]),
            serde_json::json!({"_key": number, "layout": 1}),
            Value::Null,
        ] {
            if let Err(error) = listing(&[document]) {
                prop_assert!(error.to_string().len() < 500, "{}", error);
            }
        }
    }
}
