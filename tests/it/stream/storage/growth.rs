//! Blobs grow for days, appear late, are empty, are replaced, and tables are added: all
//! of it is read, and nothing twice.

use super::account::{Account, add, came, hour, key, record};
use crate::counterpart::process::{Reading, Running};
use crate::stream::hub::{Counts, hold_all};
use defender_bridge::sandbox::storage::Storage;

/// Every record that was written, once, by now.
#[track_caller]
fn all_came(account: &Account, running: &mut Running) {
    assert!(account.wait(running, &Counts::new()), "it ended before");
}

#[track_caller]
fn ends_well(account: &Account, mut running: Running) -> String {
    running.terminate();
    let run = running.finish().well();
    assert_eq!(hold_all(&came(&run.events()), &account.wanted()), 0);
    run.stderr
}

#[test]
fn what_grows_appears_late_or_is_a_new_table_is_read_in_the_same_run() {
    let account = Account::of(200);
    let storage = account.storage();
    let splunkd = account.splunkd(&[]);
    let mut running = splunkd.start(Reading::Steady);
    all_came(&account, &mut running);

    // The stories go on, in blobs that were read.
    let before = account.lines();
    while account.lines() == before {
        account.tenant().advance();
    }
    all_came(&account, &mut running);

    // An hour that appears late, empty first.
    let table = Storage::container_of("AlertInfo");
    storage.append(&table, &hour(3), b"");
    account.wait_for_listings(&mut running);
    let line = |number| record("AlertInfo", number, 10);
    storage.append(&table, &hour(3), format!("{}\r\n", line(1)).as_bytes());
    all_came(&account, &mut running);

    // A table nobody has heard of.
    let new = Storage::container_of("MadeUpEvents");
    storage.append(
        &new,
        &hour(4),
        format!("{}\n", record("MadeUpEvents", 1, 9)).as_bytes(),
    );
    all_came(&account, &mut running);
    ends_well(&account, running);
    account.nothing_comes_again(&splunkd);
}

#[test]
fn a_record_in_two_appends_waits_for_its_end() {
    let account = Account::of(0);
    let storage = account.storage();
    let table = Storage::container_of("DeviceEvents");
    let (first, second) = (record("DeviceEvents", 1, 50), record("DeviceEvents", 2, 50));
    let (begin, end) = second.split_at(40);
    storage.append(&table, &hour(5), format!("{first}\r\n{begin}").as_bytes());
    let splunkd = account.splunkd(&[]);
    let mut running = splunkd.start(Reading::Steady);
    let output = running.output();
    assert!(running.wait_until(|| output.events().len() == 1));
    account.wait_for_listings(&mut running);
    assert_eq!(output.events().len(), 1);
    // It may even be another run that finds the end.
    running.terminate();
    let mut all = came(&running.finish().well().events());
    storage.append(&table, &hour(5), format!("{end}\r\n").as_bytes());
    let mut running = splunkd.start(Reading::Steady);
    let output = running.output();
    assert!(running.wait_until(|| !output.events().is_empty()));
    running.terminate();
    add(&mut all, came(&running.finish().well().events()));
    assert_eq!(all, Counts::from([(key(&first), 1), (key(&second), 1)]));
    account.nothing_comes_again(&splunkd);
}

#[test]
fn a_blob_larger_than_a_range_comes_whole_whatever_is_cut() {
    let account = Account::of(0);
    let table = Storage::container_of("DeviceFileEvents");
    let mut text = String::new();
    // Some 10 MB; no range ends at a line's end.
    for number in 0..97 {
        text += &record("DeviceFileEvents", number, 103_003);
        text += "\r\n";
    }
    account.storage().append(&table, &hour(6), text.as_bytes());
    let splunkd = account.splunkd(&[]);
    let run = account.is_read_once(&splunkd);
    assert_eq!(run.events().len(), 97);
}

#[test]
fn a_blob_that_was_replaced_by_a_shorter_one_is_read_from_its_beginning() {
    let account = Account::of(0);
    let storage = account.storage();
    let table = Storage::container_of("AlertInfo");
    let old: String = (0..20)
        .map(|number| record("AlertInfo", number, 200) + "\r\n")
        .collect();
    storage.append(&table, &hour(7), old.as_bytes());
    let splunkd = account.splunkd(&[]);
    let mut all = came(&account.is_read_once(&splunkd).events());
    let new = record("AlertInfo", 100, 300);
    assert!(storage.replace(&table, &hour(7), format!("{new}\r\n").as_bytes()));
    let run = account.follow(splunkd.start(Reading::Steady), &all).well();
    let line = run.lines("WARN").join("\n");
    assert!(
        line.contains("replaced") && line.contains(&hour(7)),
        "{line}"
    );
    let came_now = came(&run.events());
    assert_eq!(came_now, Counts::from([(key(&new), 1)]));
    add(&mut all, came_now);
    account.nothing_comes_again(&splunkd);
}

#[test]
fn what_is_deleted_stops_nothing() {
    let account = Account::of(300);
    let storage = account.storage();
    let splunkd = account.splunkd(&[]);
    let mut running = splunkd.start(Reading::Steady);
    all_came(&account, &mut running);
    let wanted = account.wanted();
    let tables = account.tables();
    assert!(storage.delete_container(&tables[0]));
    let (blob, _) = storage.blobs(&tables[1]).remove(0);
    assert!(storage.delete(&tables[1], &blob));
    account.wait_for_listings(&mut running);
    let line = record("AlertInfo", 1, 10);
    storage.append(&tables[2], &hour(8), format!("{line}\r\n").as_bytes());
    let output = running.output();
    assert!(running.wait_until(|| output.events().len() > wanted.len()));
    running.terminate();
    let run = running.finish().well();
    let mut all = wanted;
    all.insert(key(&line), 1);
    assert_eq!(came(&run.events()), all);
}

#[test]
fn what_is_no_append_blob_is_said_once_and_left_alone() {
    let account = Account::of(50);
    let storage = account.storage();
    let table = account.tables().remove(0);
    for name in ["one.csv", "two.csv"] {
        assert!(storage.put_block_blob(&table, name, b"a,b\n1,2\n"));
    }
    let splunkd = account.splunkd(&[]);
    let run = account.is_read_once(&splunkd);
    let said: Vec<&str> = run
        .lines("WARN")
        .into_iter()
        .filter(|line| line.contains("no append blob"))
        .collect();
    assert_eq!(said.len(), 1, "{}", run.stderr);
    assert!(
        said[0].contains("one.csv") && said[0].contains(&table),
        "{}",
        said[0]
    );
}
