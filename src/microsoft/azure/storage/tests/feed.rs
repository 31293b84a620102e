//! Append blobs followed by byte offset.

use super::service::{Fault, START, Service};
use crate::ingest::Instant;
use crate::ingest::stream::{
    LogError, LogErrorClass, Message, Partition, PartitionReader, PartitionedLog, ReadFrom, Start,
};
use crate::microsoft::azure::finding::{Findings, Outcome};
use crate::microsoft::azure::records::Tables;
use crate::microsoft::azure::storage::client::BlobClient;
use crate::microsoft::azure::storage::feed::probe;
use crate::microsoft::azure::storage::feed::{BlobLog, BlobReader, RANGE};
use std::time::Duration;

const TABLE: &str = "insights-logs-advancedhunting-alertinfo";
const MINUTE: Duration = Duration::from_secs(60);

fn log(service: &Service) -> BlobLog {
    BlobLog::new(&service.client(), &Tables::default(), MINUTE)
}

fn hour(hour: u32) -> String {
    format!(
        "tenantId=7b/y=2026/m=11/d={:02}/h={:02}/m=00/PT1H.json",
        1 + hour / 24,
        hour % 24
    )
}

fn record(id: &str) -> String {
    let time = "2026-11-30T05:00:00Z";
    format!(
        "{{\"time\":\"{time}\",\"tenantId\":\"7b\",\"category\":\"AdvancedHunting-AlertInfo\",\
         \"properties\":{{\"AlertId\":\"{id}\",\"Timestamp\":\"{time}\"}}}}\r\n"
    )
}

/// The ids delivered.
fn ids(messages: &[Message]) -> Vec<String> {
    let records = messages.iter().flat_map(|message| {
        message
            .records
            .iter()
            .map(|record| &message.body[record.span.clone()])
    });
    let ids = records.map(|record| {
        let parsed: serde_json::Value = serde_json::from_str(record).unwrap();
        parsed["properties"]["AlertId"].as_str().unwrap().to_owned()
    });
    ids.collect()
}

async fn open(log: &BlobLog, from: ReadFrom) -> BlobReader {
    let partition = Partition {
        id: TABLE.to_owned(),
        created: None,
    };
    log.open(&partition, &from).await.unwrap()
}

async fn earliest(log: &BlobLog) -> BlobReader {
    open(log, ReadFrom::Start(Start::Earliest)).await
}

/// All there is now, as one round of a follower would take it.
async fn drain(reader: &mut BlobReader) -> Vec<Message> {
    let mut all = Vec::new();
    all.extend(reader.list().await.unwrap());
    while reader.is_behind() {
        let read = reader.read(RANGE).await.unwrap();
        reader.hand_over();
        all.extend(read);
    }
    all
}

/// Where a reader would go on behind what was delivered.
fn behind(messages: &[Message]) -> ReadFrom {
    ReadFrom::After(messages.last().unwrap().position.clone())
}

#[tokio::test]
async fn blobs_are_read_as_they_grow_and_a_restart_goes_on_where_they_were_left() {
    let service = Service::start().await;
    service
        .state()
        .append(TABLE, &hour(0), (record("a") + &record("b")).as_bytes());
    service.state().append(TABLE, &hour(1), b"");
    let log = log(&service);
    let mut reader = earliest(&log).await;
    let first = drain(&mut reader).await;
    assert_eq!(ids(&first), ["a", "b"]);
    assert!(drain(&mut reader).await.is_empty());
    service
        .state()
        .append(TABLE, &hour(0), record("c").as_bytes());
    service
        .state()
        .append(TABLE, &hour(1), record("d").as_bytes());
    let mut again = open(&log, behind(&first)).await;
    let read = drain(&mut again).await;
    assert_eq!(ids(&read), ["c", "d"]);
    assert!(
        read.windows(2)
            .all(|two| two[0].position.sequence < two[1].position.sequence)
    );
    assert!(first.last().unwrap().position.sequence < read[0].position.sequence);
    let mut later = open(&log, behind(&read)).await;
    assert!(drain(&mut later).await.is_empty());
    assert_eq!(log.usage().repeated_records, 0);
}

#[tokio::test]
async fn a_late_blob_and_one_that_grows_for_days_are_read_and_a_changed_date_reads_nothing_again() {
    let service = Service::start().await;
    service
        .state()
        .append(TABLE, &hour(200), record("a").as_bytes());
    let log = log(&service);
    let mut reader = earliest(&log).await;
    assert_eq!(ids(&drain(&mut reader).await), ["a"]);
    service.state().pass(7 * 24 * 60 * MINUTE);
    service
        .state()
        .append(TABLE, &hour(3), record("late").as_bytes());
    service.state().append(TABLE, &hour(200), b"");
    assert_eq!(ids(&drain(&mut reader).await), ["late"]);
    let before = service.client().costs();
    assert_eq!(before.reads, 0);
    service.state().pass(24 * 60 * MINUTE);
    service
        .state()
        .append(TABLE, &hour(200), record("more").as_bytes());
    assert_eq!(ids(&drain(&mut reader).await), ["more"]);
}

#[tokio::test]
async fn of_ten_thousand_blobs_of_which_a_hundred_grew_a_poll_costs_one_listing_and_a_hundred_reads()
 {
    let service = Service::start().await;
    for at in 0..10_000 {
        service.state().append(
            TABLE,
            &format!("tenantId=7b/{at:05}.json"),
            record(&at.to_string()).as_bytes(),
        );
    }
    let log = log(&service);
    // All are known: they end where it begins.
    let start = START.plus(MINUTE);
    let mut reader = open(&log, ReadFrom::Start(Start::At(start))).await;
    let first = drain(&mut reader).await;
    assert!(ids(&first).is_empty());
    let mut reader = open(&log, behind(&first)).await;
    let before = log.usage().costs;
    for at in (0..10_000).step_by(100) {
        service.state().append(
            TABLE,
            &format!("tenantId=7b/{at:05}.json"),
            record(&format!("new {at}")).as_bytes(),
        );
    }
    let read = drain(&mut reader).await;
    assert_eq!(ids(&read).len(), 100);
    let after = log.usage().costs;
    // Azure lists 5000 blobs at a time.
    assert_eq!(
        (after.lists - before.lists, after.reads - before.reads),
        (2, 100)
    );
    assert_eq!(log.behind()[TABLE].blobs, 0);
}

#[tokio::test]
async fn a_record_that_is_cut_off_waits_for_its_rest_and_after_a_day_goes_as_it_is() {
    let service = Service::start().await;
    let whole = record("b");
    let (half, rest) = whole.split_at(30);
    service
        .state()
        .append(TABLE, &hour(0), (record("a") + half).as_bytes());
    let log = log(&service);
    let mut reader = earliest(&log).await;
    let first = drain(&mut reader).await;
    assert_eq!(ids(&first), ["a"]);
    let reads = log.usage().costs.reads;
    assert!(drain(&mut reader).await.is_empty());
    assert_eq!(log.usage().costs.reads, reads);
    service.state().append(TABLE, &hour(0), rest.as_bytes());
    service.state().append(TABLE, &hour(1), half.as_bytes());
    assert_eq!(ids(&drain(&mut reader).await), ["b"]);
    service.state().pass(25 * 60 * MINUTE);
    let last = drain(&mut reader).await;
    assert_eq!(last[0].quarantined.len(), 1);
    assert!(drain(&mut reader).await.is_empty());
}

#[tokio::test]
async fn a_blob_larger_than_a_read_comes_in_parts_and_each_record_once() {
    let service = Service::start().await;
    let pad = "x".repeat(1000);
    let mut bytes = String::new();
    for at in 0..7000 {
        bytes += &record(&format!("{at} {pad}"));
    }
    service.state().append(TABLE, &hour(0), bytes.as_bytes());
    service
        .state()
        .append(TABLE, &hour(1), record("small").as_bytes());
    let log = log(&service);
    let mut reader = earliest(&log).await;
    let read = drain(&mut reader).await;
    assert_eq!(ids(&read).len(), 7001);
    assert_eq!(log.usage().costs.reads, 3);
    assert!(read.iter().all(|message| message.body.len() <= RANGE));
}

#[tokio::test]
async fn a_blob_replaced_by_a_shorter_one_is_read_from_its_beginning() {
    let service = Service::start().await;
    service
        .state()
        .append(TABLE, &hour(0), (record("a") + &record("b")).as_bytes());
    let log = log(&service);
    let mut reader = earliest(&log).await;
    drain(&mut reader).await;
    service
        .state()
        .put(TABLE, &hour(0), record("c").as_bytes(), true, &[]);
    assert_eq!(ids(&drain(&mut reader).await), ["c"]);
    // Between list and read.
    service
        .state()
        .append(TABLE, &hour(0), record("d").as_bytes());
    reader.list().await.unwrap();
    service.state().put(TABLE, &hour(0), b"{}\n", true, &[]);
    let read = reader.read(RANGE).await.unwrap();
    let read = if read.is_empty() {
        reader.read(RANGE).await.unwrap()
    } else {
        read
    };
    assert_eq!(read.len(), 1);
    // Deleted between list and read.
    service
        .state()
        .append(TABLE, &hour(0), record("e").as_bytes());
    reader.list().await.unwrap();
    service.state().containers.get_mut(TABLE).unwrap().clear();
    assert!(reader.read(RANGE).await.unwrap().is_empty());
    assert!(drain(&mut reader).await.is_empty());
}

#[tokio::test]
async fn what_the_export_repeats_comes_once_but_never_less() {
    let service = Service::start().await;
    let again = record("a").replace("05:00:00Z\",\"tenantId", "06:00:00Z\",\"tenantId");
    service
        .state()
        .append(TABLE, &hour(0), (record("a") + &again).as_bytes());
    service.state().append(TABLE, &hour(1), again.as_bytes());
    let log = log(&service);
    let mut given_up = earliest(&log).await;
    given_up.list().await.unwrap();
    assert_eq!(ids(&given_up.read(RANGE).await.unwrap()), ["a"]);
    drop(given_up);
    let mut reader = earliest(&log).await;
    assert_eq!(ids(&drain(&mut reader).await), ["a"]);
    service.state().append(TABLE, &hour(2), again.as_bytes());
    let read = drain(&mut reader).await;
    assert!(ids(&read).is_empty());
    // That it was read is kept all the same.
    assert!(!read.is_empty());
    assert_eq!(log.usage().repeated_records, 5);
}

#[tokio::test]
async fn new_tables_are_found_named_ones_need_no_list_and_only_they_are_read() {
    let service = Service::start().await;
    service
        .state()
        .append(TABLE, &hour(0), record("a").as_bytes());
    service.state().append("other", "x", b"x");
    let log = log(&service);
    let names = |partitions: Vec<Partition>| {
        partitions
            .into_iter()
            .map(|partition| partition.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(log.partitions().await.unwrap()), [TABLE]);
    assert!(log.name().starts_with("storage https://127.0.0.1:"));
    service
        .state()
        .append("insights-logs-advancedhunting-emailevents", &hour(0), b"");
    // Once an interval.
    assert_eq!(names(log.partitions().await.unwrap()), [TABLE]);
    assert_eq!(log.usage().costs.lists, 1);
    log.wait(MINUTE).await;
    assert_eq!(log.partitions().await.unwrap().len(), 2);
    let tables: Tables = "AlertInfo, DeviceEvents".parse().unwrap();
    let named = BlobLog::new(&service.client(), &tables, MINUTE);
    let partitions = named.partitions().await.unwrap();
    assert_eq!(
        names(partitions.clone()),
        [TABLE, "insights-logs-advancedhunting-deviceevents"]
    );
    assert_eq!(named.usage().costs.lists, 0);
    // Its container comes with its first record.
    let mut waits = named
        .open(&partitions[1], &ReadFrom::Start(Start::Earliest))
        .await
        .unwrap();
    assert!(waits.list().await.unwrap().is_none());
    service.state().append(
        &partitions[1].id,
        &hour(0),
        record("b").replace("AlertInfo", "DeviceEvents").as_bytes(),
    );
    assert_eq!(ids(&drain(&mut waits).await), ["b"]);
}

#[tokio::test]
async fn where_a_container_was_begun_is_kept_though_nothing_was_read() {
    let service = Service::start().await;
    service
        .state()
        .append(TABLE, &hour(0), record("old").as_bytes());
    service
        .state()
        .append(TABLE, &hour(30), record("new").as_bytes());
    let log = log(&service);
    let start: Instant = "2026-11-02T06:00:00Z".parse().unwrap();
    let mut reader = open(&log, ReadFrom::Start(Start::At(start))).await;
    let first = reader.list().await.unwrap().unwrap();
    assert!(first.records.is_empty());
    let mut again = open(&log, behind(&[first])).await;
    service
        .state()
        .append(TABLE, &hour(0), record("grown").as_bytes());
    assert_eq!(ids(&drain(&mut again).await), ["grown", "new"]);
}

#[tokio::test]
async fn a_follower_waits_an_interval_between_two_listings() {
    let service = Service::start().await;
    service
        .state()
        .append(TABLE, &hour(0), record("a").as_bytes());
    let log = log(&service);
    let mut reader = earliest(&log).await;
    let mut read = Vec::new();
    while ids(&read).is_empty() {
        read.extend(reader.next(RANGE).await.unwrap());
    }
    let mut next = std::pin::pin!(reader.next(RANGE));
    // Some listings in which nothing is new, then something.
    let mut lists = log.usage().costs.lists;
    let begun = log.elapsed();
    while log.usage().costs.lists < lists + 3 {
        tokio::select! {
            biased;
            read = &mut next => panic!("{read:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    lists = log.usage().costs.lists - lists;
    assert!(log.elapsed() - begun >= MINUTE * u32::try_from(lists - 1).unwrap());
    service
        .state()
        .append(TABLE, &hour(0), record("b").as_bytes());
    assert_eq!(ids(&next.await.unwrap()), ["b"]);
}

#[tokio::test]
async fn trouble_keeps_what_was_read_before_it_and_a_strange_position_is_never_taken_for_empty() {
    let service = Service::start().await;
    for at in 0..4 {
        service
            .state()
            .append(TABLE, &hour(at), record(&at.to_string()).as_bytes());
    }
    let log = log(&service);
    let mut reader = earliest(&log).await;
    reader.list().await.unwrap();
    service.state().refusals.push(Fault {
        method: "GET",
        part: "h%3D02",
        status: 500,
        code: "InternalError",
    });
    assert_eq!(ids(&reader.read(RANGE).await.unwrap()), ["0", "1"]);
    reader.hand_over();
    let error = reader.read(RANGE).await.unwrap_err();
    assert_eq!(error.class(), LogErrorClass::Passing);
    service.state().refusals.clear();
    assert_eq!(ids(&reader.read(RANGE).await.unwrap()), ["2", "3"]);
    let partition = Partition {
        id: TABLE.to_owned(),
        created: None,
    };
    for offset in [None, Some("4711".to_owned()), Some("v2 -".to_owned())] {
        let position = crate::ingest::stream::Position {
            offset,
            sequence: Some(1),
            epoch: None,
        };
        let error = log
            .open(&partition, &ReadFrom::After(position))
            .await
            .unwrap_err();
        assert_eq!(error.class(), LogErrorClass::Stop);
        assert!(error.to_string().contains(TABLE), "{error}");
    }
}

#[tokio::test]
async fn the_check_tells_a_missing_role_from_an_empty_account() {
    let service = Service::start().await;
    // The clock of the tests' service is years off.
    let all = Tables::default();
    let outcome = |findings: &Findings, step: &str| {
        let of = findings.0.iter().rfind(|finding| finding.step == step);
        let of = of.unwrap_or_else(|| panic!("{step} in {findings:?}"));
        (of.outcome, of.message())
    };
    let probe = async |client: &BlobClient, tables: &Tables| {
        let mut findings = Findings::default();
        probe::probe(client, tables, &mut findings).await;
        findings
    };
    let findings = probe(&service.client(), &all).await;
    let (empty, text) = outcome(&findings, "containers");
    assert_eq!(empty, Outcome::Doubtful);
    assert!(text.contains("Streaming API"), "{text}");
    assert_eq!(outcome(&findings, "clock").0, Outcome::Bad);
    service.state().append(TABLE, &hour(0), b"");
    let findings = probe(&service.client(), &all).await;
    assert!(outcome(&findings, "blobs").1.starts_with("no records yet"));
    service
        .state()
        .append(TABLE, &hour(1), record("a").as_bytes());
    service.state().put(TABLE, "copy.json", b"x", false, &[]);
    let findings = probe(&service.client(), &all).await;
    assert_eq!(outcome(&findings, "reading").0, Outcome::Good);
    assert!(outcome(&findings, "blobs").1.contains("no append blob"));
    let named: Tables = "AlertInfo,NoSuchTable".parse().unwrap();
    let findings = probe(&service.client(), &named).await;
    // The first with records is enough.
    assert_eq!(outcome(&findings, "reading").0, Outcome::Good);
    let named: Tables = "NoSuchTable".parse().unwrap();
    let findings = probe(&service.client(), &named).await;
    assert!(outcome(&findings, "containers").1.contains("nosuchtable"));
    let role = |part| Fault {
        method: "GET",
        part,
        status: 403,
        code: "AuthorizationPermissionMismatch",
    };
    service.state().refusals = vec![role("/h%3D")];
    let findings = probe(&service.client(), &all).await;
    let (bad, text) = outcome(&findings, "role");
    assert_eq!(bad, Outcome::Bad);
    assert!(
        text.starts_with("listed, but not to be read") && text.contains("Storage Blob Data Reader"),
        "{text}"
    );
    service.state().refusals = vec![role("comp=list")];
    let (bad, text) = outcome(&probe(&service.client(), &all).await, "role");
    assert_eq!(bad, Outcome::Bad);
    assert!(
        text.contains("Storage Blob Data Reader") && text.contains("`tables`"),
        "{text}"
    );
    assert_eq!(service.state().now, START);
}
