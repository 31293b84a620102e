//! Every record of a storage account arrives once, as it was written.

use super::account::{Account, came, hour, key, record};
use crate::counterpart::process::Reading;
use crate::stream::hub::{Counts, hold_all};
use defender_bridge::sandbox::storage::{Settings, Storage};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn every_record_of_every_table_arrives_once_however_often_it_was_written() {
    let account = Account::of(3_000);
    let splunkd = account.splunkd(&[]);
    let run = account.is_read_once(&splunkd);
    let mut texts = BTreeSet::new();
    account.storage().records(|record| {
        texts.insert(record.text);
    });
    for event in run.events() {
        assert!(
            texts.contains(&event.data),
            "not as written: {}",
            event.data
        );
        assert!(
            event.source.starts_with("defender_bridge:storage:"),
            "{}",
            event.source
        );
    }

    let health = run.health().last().unwrap().json();
    let repeats = account.lines() - 3_000;
    assert!(repeats > 90, "{repeats}");
    assert_eq!(health["records"], 3_000, "{health}");
    assert_eq!(health["repeated_records"], repeats, "{health}");
    assert_eq!(health["outcome"], "stopped");
    let tables = account.tables().len();
    assert_eq!(health["partitions"], tables, "{health}");
    assert_eq!(
        (&health["waiting_blobs"], &health["waiting_bytes"]),
        (&0.into(), &0.into())
    );
    let blobs: usize = account
        .tables()
        .iter()
        .map(|table| account.storage().blobs(table).len())
        .sum();
    assert_eq!(health["reads"], blobs, "{health}");
}

#[test]
fn a_shared_access_signature_that_reads_and_lists_is_enough() {
    let account = Account::of(200);
    let string = account.storage().connection_string();
    let splunkd = account.splunkd_with_string(&string, &[("storage_account", "")]);
    account.is_read_once(&splunkd);
}

#[test]
fn only_tables_that_are_named_are_asked_for() {
    let account = Account::of(600);
    let splunkd = account.splunkd(&[("tables", "DeviceProcessEvents, AlertInfo")]);
    let mut wanted = account.wanted();
    wanted.retain(|key, _| {
        let table = key.split(' ').next().unwrap();
        [
            "AdvancedHunting-DeviceProcessEvents",
            "AdvancedHunting-AlertInfo",
        ]
        .contains(&table)
    });
    assert!(wanted.len() > 10);
    let mut running = splunkd.start(Reading::Steady);
    let output = running.output();
    assert!(running.wait_until(|| output.events().len() >= wanted.len()));
    running.terminate();
    let run = running.finish().well();
    assert_eq!(came(&run.events()), wanted);
    // Whoever may read two containers may not list them all.
    let health = run.health().last().unwrap().json();
    assert_eq!(health["partitions"], 2, "{health}");
}

#[test]
fn a_slow_reader_gets_everything_once() {
    let account = Account::of(800);
    let splunkd = account.splunkd(&[]);
    let slow = Reading::Slow {
        bytes: 16 << 10,
        pause: Duration::from_millis(1),
    };
    let run = account.follow(splunkd.start(slow), &Counts::new()).well();
    assert_eq!(came(&run.events()), account.wanted());
    account.nothing_comes_again(&splunkd);
}

#[test]
fn lists_in_many_pages_hide_nothing() {
    let account = Account::start(Settings {
        records: Some(400),
        page: 2,
        ..Settings::default()
    });
    let splunkd = account.splunkd(&[]);
    let run = account.follow(splunkd.start(Reading::Steady), &Counts::new());
    assert_eq!(hold_all(&came(&run.well().events()), &account.wanted()), 0);
}

#[test]
fn records_of_before_the_start_are_left_out_by_the_time_of_their_blob() {
    let account = Account::of(300);
    let splunkd = account.splunkd(&[("start", "latest")]);
    let mut running = splunkd.start(Reading::Steady);
    account.wait_for_listings(&mut running);
    let line = record("AlertInfo", 1, 10);
    let table = account.tables().remove(0);
    account.storage().append(
        &table,
        "tenantId=late/PT1H.json",
        format!("{line}\r\n").as_bytes(),
    );
    let output = running.output();
    assert!(running.wait_until(|| !output.events().is_empty()));
    running.terminate();
    let events = running.finish().well().events();
    assert_eq!(came(&events), Counts::from([(key(&line), 1)]));
}

#[test]
fn a_record_that_was_written_again_between_two_runs_is_left_out() {
    let account = Account::of(0);
    let storage = account.storage();
    let table = Storage::container_of("AlertInfo");
    let first = record("AlertInfo", 1, 30);
    let again =
        |minute: usize| first.replace("T08:00:00Z", &format!("T08:{minute:02}:00Z")) + "\r\n";
    storage.append(&table, &hour(1), again(0).as_bytes());
    let splunkd = account.splunkd(&[]);
    account.is_read_once(&splunkd);
    storage.append(&table, &hour(1), again(5).as_bytes());
    let mut running = splunkd.start(Reading::Steady);
    account.wait_for_listings(&mut running);
    running.terminate();
    let run = running.finish().well();
    assert_eq!(run.events(), []);
    let health = run.health().last().unwrap().json();
    assert_eq!(health["repeated_records"], 1, "{health}");

    // Read from the beginning on purpose, everything comes again.
    std::fs::remove_file(splunkd.checkpoint_dir().join("feed.positions")).unwrap();
    let run = account.follow(splunkd.start(Reading::Steady), &Counts::new());
    assert_eq!(came(&run.well().events()), account.wanted());
}
