//! Readers of one hub that share it through blobs.

use super::service::{Fault, START, Service};
use crate::ingest::stream::{
    Checkpoint, Kept, Ownership, Partition, Position, PositionStore, ReadFrom, Start,
};
use crate::microsoft::azure::storage::ownership::{BlobCheckpoints, BlobOwnership, Group};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Mutex;
use std::time::Duration;

const BLOBS: &str = "contoso-ns.servicebus.windows.net/insights-logs-advancedhunting/$default/";
const LOG: &str = "event_hub contoso";
const ROUND: Duration = Duration::from_secs(10);

/// Notes in memory.
#[derive(Debug, Default)]
struct Notes(Mutex<BTreeMap<String, String>>);

impl PositionStore for Notes {
    async fn load(&self) -> io::Result<Vec<Kept>> {
        let notes = self.0.lock().unwrap();
        let kept = notes.iter().map(|(partition, text)| Kept {
            partition: partition.clone(),
            text: text.clone(),
        });
        Ok(kept.collect())
    }

    fn note(&self, partition: &str, text: &str) -> io::Result<()> {
        self.0
            .lock()
            .unwrap()
            .insert(partition.to_owned(), text.to_owned());
        Ok(())
    }

    fn save(&self, _: &str, _: &str) -> io::Result<()> {
        Err(io::Error::other("only notes are kept here"))
    }
}

async fn service() -> Service {
    let service = Service::start().await;
    service
        .state()
        .containers
        .insert("c".to_owned(), BTreeMap::new());
    service
}

fn reader(service: &Service) -> BlobOwnership {
    let group = Group {
        namespace: "Contoso-NS.servicebus.windows.net".to_owned(),
        hub: "Insights-Logs-AdvancedHunting".to_owned(),
        consumer_group: "$Default".to_owned(),
    };
    BlobOwnership::new(&service.client(), "c", &group)
}

fn partitions(many: usize) -> Vec<Partition> {
    let ids = (0..many).map(|id| id.to_string());
    ids.map(|id| Partition { id, created: None }).collect()
}

fn ownership(partition: &str) -> String {
    format!("{BLOBS}ownership/{partition}")
}

fn checkpoint(partition: &str) -> String {
    format!("{BLOBS}checkpoint/{partition}")
}

fn owner(service: &Service, partition: &str) -> String {
    service.state().blob("c", &ownership(partition)).metadata["ownerid"].clone()
}

fn text(partition: &str, sequence: i64) -> String {
    let of = Partition {
        id: partition.to_owned(),
        created: Some(START),
    };
    let mut checkpoint = Checkpoint::new(LOG, &of, Start::Earliest);
    checkpoint.position = Some(Position {
        offset: Some(format!("{sequence}00")),
        sequence: Some(sequence),
        epoch: None,
    });
    checkpoint.text().unwrap()
}

fn checkpoints(reader: &BlobOwnership) -> BlobCheckpoints<Notes> {
    BlobCheckpoints::new(reader, Notes::default(), LOG)
}

/// Waits, without a clock, until what was laid down is written.
async fn written(service: &Service, partition: &str, sequence: &str) {
    loop {
        tokio::task::yield_now().await;
        let state = service.state();
        let blob = state.containers["c"].get(&checkpoint(partition));
        if blob.is_some_and(|blob| blob.metadata["sequencenumber"] == sequence) {
            return;
        }
    }
}

#[tokio::test]
async fn a_first_claim_is_written_only_if_there_is_no_such_blob_and_names_are_in_lower_case() {
    let service = service().await;
    let one = reader(&service);
    assert_eq!(one.claim(&partitions(2)).await.unwrap(), ["0", "1"]);
    assert_eq!(owner(&service, "1"), one.owner_id());
    let claim = service
        .counterpart
        .calls()
        .into_iter()
        .find(|asked| asked.method == "PUT")
        .unwrap();
    assert!(claim.target.starts_with("/contoso/c/contoso-ns.servicebus.windows.net/insights-logs-advancedhunting/%24default/ownership/"), "{}", claim.target);
    assert_eq!(
        (claim.header("if-none-match"), claim.header("if-match")),
        ("*", "")
    );
    assert_eq!(
        (
            claim.header("x-ms-blob-type"),
            claim.header("content-length")
        ),
        ("BlockBlob", "0")
    );
}

#[tokio::test]
async fn of_two_claims_one_wins() {
    let service = service().await;
    let (one, two) = (reader(&service), reader(&service));
    // Both list before either writes; which is first in the end, nobody can say.
    let partitions = partitions(8);
    let (ones, twos) = tokio::join!(one.claim(&partitions), two.claim(&partitions));
    let (ones, twos) = (ones.unwrap(), twos.unwrap());
    let all: BTreeSet<&String> = ones.iter().chain(&twos).collect();
    assert_eq!((ones.len() + twos.len(), all.len()), (8, 8));
    for (id, reader) in ones
        .iter()
        .map(|id| (id, &one))
        .chain(twos.iter().map(|id| (id, &two)))
    {
        assert_eq!(owner(&service, id), reader.owner_id());
    }
}

#[tokio::test]
async fn a_claim_is_renewed_with_the_version_that_was_listed_and_lost_by_412_or_any_failure() {
    let service = service().await;
    let one = reader(&service);
    one.claim(&partitions(2)).await.unwrap();
    service.state().pass(ROUND);
    // Young claims cost no call.
    assert_eq!(one.claim(&partitions(2)).await.unwrap().len(), 2);
    assert_eq!(one.shared_writes(), 2);
    service.state().pass(ROUND);
    let listed = service.state().blob("c", &ownership("0")).version;
    assert_eq!(one.claim(&partitions(2)).await.unwrap().len(), 2);
    let renewal = service
        .counterpart
        .calls()
        .into_iter()
        .rfind(|asked| asked.target.contains("ownership/0?"))
        .unwrap();
    assert_eq!(renewal.header("if-match"), format!("0x8DE{listed:013X}"));
    // A failure that lasts for one partition loses this one alone.
    service.state().pass(2 * ROUND);
    service.state().refusals.push(Fault {
        method: "PUT",
        part: "ownership/0",
        status: 500,
        code: "InternalError",
    });
    assert_eq!(one.claim(&partitions(2)).await.unwrap(), ["1"]);
    service.state().refusals.clear();
    assert_eq!(one.claim(&partitions(2)).await.unwrap(), ["0", "1"]);
    // Another takes it between list and renewal.
    service.state().pass(2 * ROUND);
    service.state().faults.push_back(Fault {
        method: "PUT",
        part: "ownership/1",
        status: 412,
        code: "ConditionNotMet",
    });
    let held = one.claim(&partitions(1)).await.unwrap();
    assert_eq!(held, ["0"]);
}

#[tokio::test]
async fn what_nobody_holds_is_free_however_that_is_written_and_whatever_our_clock_says() {
    let service = service().await;
    let claims: &[(&str, &[(&str, &str)])] = &[
        ("0", &[("ownerid", "")]),
        ("1", &[]),
        ("2", &[("ownerid", "None")]),
        ("3", &[("ownerid", "long gone")]),
        ("4", &[("ownerid", "javascript")]),
    ];
    for (partition, metadata) in claims {
        let mut state = service.state();
        state.put("c", &ownership(partition), b"", false, metadata);
    }
    // The service's clock is years from ours.
    service.state().pass(Duration::from_secs(61));
    let at = ownership("4");
    let now = service.state().now;
    service
        .state()
        .containers
        .get_mut("c")
        .unwrap()
        .get_mut(&at)
        .unwrap()
        .modified = now.minus(Duration::from_secs(59));
    let one = reader(&service);
    let first: BTreeSet<String> = one
        .claim(&partitions(5))
        .await
        .unwrap()
        .into_iter()
        .collect();
    // An even share of five for two readers; the rest, where it stays free.
    assert_eq!(first.len(), 3);
    assert!(!first.contains("4"), "{first:?}");
    let second = one.claim(&partitions(5)).await.unwrap();
    assert_eq!(second, ["0", "1", "2", "3"]);
    assert_eq!(owner(&service, "4"), "javascript");
    service.state().pass(Duration::from_secs(1));
    assert_eq!(one.claim(&partitions(5)).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_stopped_readers_partitions_come_over_at_once_and_a_dead_ones_within_ninety_seconds() {
    let service = service().await;
    let (one, two) = (reader(&service), reader(&service));
    let partitions = partitions(6);
    one.claim(&partitions).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..6 {
        service.state().pass(ROUND);
        held = two.claim(&partitions).await.unwrap();
        one.claim(&partitions).await.unwrap();
    }
    assert_eq!(held.len(), 3);
    two.release(&held).await.unwrap();
    assert_eq!(owner(&service, &held[0]), "");
    assert_eq!(one.claim(&partitions).await.unwrap().len(), 6);
    // Now without a word.
    let three = reader(&service);
    let mut waited = Duration::ZERO;
    while three.claim(&partitions).await.unwrap().len() < 6 {
        service.state().pass(ROUND);
        waited += ROUND;
    }
    assert!(waited <= Duration::from_secs(90), "{waited:?}");
}

#[tokio::test]
async fn while_the_store_does_not_answer_what_is_surely_ours_stays_ours_for_a_while() {
    let service = service().await;
    let one = reader(&service);
    one.claim(&partitions(2)).await.unwrap();
    service.state().refusals.push(Fault {
        method: "GET",
        part: "comp=list",
        status: 503,
        code: "ServerBusy",
    });
    assert_eq!(one.claim(&partitions(2)).await.unwrap().len(), 2);
    one.wait(Duration::from_secs(31)).await;
    assert!(one.claim(&partitions(2)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_role_or_container_ends_it_with_advice() {
    let service = service().await;
    let one = reader(&service);
    for (method, status, code, words) in [
        (
            "GET",
            403,
            "AuthorizationPermissionMismatch",
            "Storage Blob Data Contributor",
        ),
        (
            "PUT",
            403,
            "AuthorizationPermissionMismatch",
            "Storage Blob Data Contributor",
        ),
        ("GET", 404, "ContainerNotFound", "by hand"),
    ] {
        service.state().refusals = vec![Fault {
            method,
            part: "/c",
            status,
            code,
        }];
        let error = one.claim(&partitions(1)).await.unwrap_err().to_string();
        assert!(
            error.contains("container c of 127.0.0.1") && error.contains(words),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_checkpoint_has_both_keys_and_is_read_by_whoever_comes_next() {
    let service = service().await;
    let one = reader(&service);
    one.claim(&partitions(2)).await.unwrap();
    let store = checkpoints(&one);
    assert!(store.load().await.unwrap().is_empty());
    store.note("0", &text("0", 6)).unwrap();
    store.save("0", &text("0", 5)).unwrap();
    store.save("1", &text("1", 9)).unwrap();
    written(&service, "0", "5").await;
    written(&service, "1", "9").await;
    let metadata = service.state().blob("c", &checkpoint("0")).metadata.clone();
    assert_eq!(
        (
            metadata["sequencenumber"].as_str(),
            metadata["offset"].as_str()
        ),
        ("5", "500")
    );
    store.save("0", &text("0", 7)).unwrap();
    written(&service, "0", "7").await;
    let two = checkpoints(&reader(&service));
    let kept = two.load().await.unwrap();
    let read: Vec<Checkpoint> = kept
        .iter()
        .map(|kept| Checkpoint::read(&kept.text, LOG, &kept.partition).unwrap())
        .collect();
    let sequences: Vec<_> = read
        .iter()
        .map(|read| read.position.as_ref().unwrap().sequence.unwrap())
        .collect();
    assert_eq!(sequences, [7, 9]);
    assert_eq!(read[0].created(), Some(START));
    // The same process finds its notes as well.
    assert_eq!(store.load().await.unwrap().len(), 3);
    drop(one);
}

#[tokio::test]
async fn checkpoints_of_microsofts_clients_are_read_each_on_its_own() {
    let service = service().await;
    for (partition, metadata) in [
        ("0", &[("sequencenumber", "17"), ("offset", "4711")] as &[_]),
        ("1", &[("offset", "geo:1:2"), ("sequencenumber", "None")]),
        ("2", &[("sequencenumber", "3")]),
        ("3", &[("offset", "None"), ("sequencenumber", "None")]),
        ("4", &[]),
        ("5", &[("offset", ""), ("sequencenumber", "5")]),
        ("6", &[("offset", "1"), ("sequencenumber", "many")]),
    ] {
        service
            .state()
            .put("c", &checkpoint(partition), b"", false, metadata);
    }
    let store = checkpoints(&reader(&service));
    let kept = store.load().await.unwrap();
    let read: BTreeMap<&str, Result<ReadFrom, String>> = kept
        .iter()
        .map(|kept| {
            let read = Checkpoint::read(&kept.text, LOG, &kept.partition);
            let read = read
                .map(|read| read.read_from())
                .map_err(|error| error.to_string());
            (kept.partition.as_str(), read)
        })
        .collect();
    let at = |offset: Option<&str>, sequence| {
        Ok(ReadFrom::After(Position {
            offset: offset.map(str::to_owned),
            sequence,
            epoch: None,
        }))
    };
    assert_eq!(read["0"], at(Some("4711"), Some(17)));
    assert_eq!(read["1"], at(Some("geo:1:2"), None));
    assert_eq!(read["2"], at(None, Some(3)));
    assert_eq!(read["5"], at(None, Some(5)));
    assert!(read["6"].as_ref().unwrap_err().contains("cannot be read"));
    assert_eq!(read.len(), 5);
}

#[tokio::test]
async fn a_reader_that_was_displaced_moves_no_checkpoint() {
    let service = service().await;
    let one = reader(&service);
    one.claim(&partitions(1)).await.unwrap();
    let store = checkpoints(&one);
    store.load().await.unwrap();
    store.save("0", &text("0", 5)).unwrap();
    written(&service, "0", "5").await;
    // A JavaScript reader takes the partition, and goes on.
    service.state().put(
        "c",
        &ownership("0"),
        b"",
        false,
        &[("ownerid", "javascript")],
    );
    service.state().put(
        "c",
        &checkpoint("0"),
        b"",
        false,
        &[("sequencenumber", "9"), ("offset", "900")],
    );
    store.save("0", &text("0", 7)).unwrap();
    one.release(&[]).await.unwrap();
    assert_eq!(
        service.state().metadata("c", &checkpoint("0")),
        [("offset", "900"), ("sequencenumber", "9")]
    );
    assert_eq!(owner(&service, "0"), "javascript");
    // Nor does it where the new reader has written none yet.
    let late = reader(&service);
    service
        .state()
        .put("c", &ownership("1"), b"", false, &[("ownerid", "")]);
    assert_eq!(late.claim(&partitions(2)).await.unwrap(), ["1"]);
    let of_late = checkpoints(&late);
    of_late.save("1", &text("1", 3)).unwrap();
    written(&service, "1", "3").await;
    service.state().put(
        "c",
        &ownership("1"),
        b"",
        false,
        &[("ownerid", "javascript")],
    );
    of_late.save("1", &text("1", 4)).unwrap();
    late.release(&[]).await.unwrap();
    let kept = service.state().blob("c", &checkpoint("1")).metadata.clone();
    assert_eq!(kept["sequencenumber"], "3");
    // What is not ours at all is not even tried.
    let before = service.counterpart.calls().len();
    store.save("0", &text("0", 11)).unwrap();
    one.release(&[]).await.unwrap();
    assert_eq!(service.counterpart.calls().len(), before);
}

#[tokio::test]
async fn a_checkpoint_that_the_reader_before_wrote_late_is_written_over() {
    let service = service().await;
    let one = reader(&service);
    one.claim(&partitions(1)).await.unwrap();
    let store = checkpoints(&one);
    store.load().await.unwrap();
    service.state().put(
        "c",
        &checkpoint("0"),
        b"",
        false,
        &[("sequencenumber", "3"), ("offset", "300")],
    );
    store.save("0", &text("0", 5)).unwrap();
    one.release(&[]).await.unwrap();
    let metadata = service.state().blob("c", &checkpoint("0")).metadata.clone();
    assert_eq!(metadata["sequencenumber"], "5");
}

#[tokio::test]
async fn a_checkpoint_the_store_refused_for_a_while_is_saved_at_the_stop() {
    let service = service().await;
    let one = reader(&service);
    one.claim(&partitions(1)).await.unwrap();
    let store = checkpoints(&one);
    store.load().await.unwrap();
    service.state().faults.extend(vec![
        Fault {
            method: "PUT",
            part: "checkpoint/0",
            status: 500,
            code: "InternalError",
        };
        3
    ]);
    store.save("0", &text("0", 5)).unwrap();
    while !service.state().faults.is_empty() {
        tokio::task::yield_now().await;
    }
    one.release(&[]).await.unwrap();
    let metadata = service.state().blob("c", &checkpoint("0")).metadata.clone();
    assert_eq!(metadata["sequencenumber"], "5");
    assert_eq!(owner(&service, "0"), "");
}

#[tokio::test]
async fn a_store_that_takes_no_checkpoint_ends_the_run_with_advice() {
    let service = service().await;
    let one = reader(&service);
    one.claim(&partitions(1)).await.unwrap();
    let store = checkpoints(&one);
    service.state().refusals.push(Fault {
        method: "PUT",
        part: "checkpoint/0",
        status: 403,
        code: "AuthorizationPermissionMismatch",
    });
    store.save("0", &text("0", 5)).unwrap();
    one.release(&[]).await.unwrap();
    let error = store.save("0", &text("0", 6)).unwrap_err().to_string();
    assert!(error.contains("Storage Blob Data Contributor"), "{error}");
    assert!(one.claim(&partitions(1)).await.is_err());
}

#[tokio::test]
async fn where_the_group_was_begun_is_known_to_all_even_before_anything_was_delivered() {
    let service = service().await;
    let one = reader(&service);
    one.claim(&partitions(1)).await.unwrap();
    let of = Partition {
        id: "0".to_owned(),
        created: None,
    };
    let begun = Checkpoint::new(LOG, &of, Start::At(START)).text().unwrap();
    let store = checkpoints(&one);
    store.load().await.unwrap();
    store.save("0", &begun).unwrap();
    one.release(&[]).await.unwrap();
    let kept = checkpoints(&reader(&service)).load().await.unwrap();
    let read = Checkpoint::read(&kept[0].text, LOG, &kept[0].partition).unwrap();
    assert_eq!((kept.len(), read.start), (1, Start::At(START)));
}
