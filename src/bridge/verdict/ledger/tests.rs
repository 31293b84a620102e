use super::*;
use crate::splunk::modular_input::events::Sourcetypes;
use crate::splunk::splunkd::Tls;
use crate::splunk::tests::counterpart::{Counterpart, refusal};
use crate::triage::{Outcome, Subject, Via};
use serde_json::json;
use std::io::{Read, Seek};
use std::sync::{Arc, Mutex};

/// Takes events, or refuses them, and keeps what it took.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    willing: bool,
    /// Query and body.
    events: Vec<(String, String)>,
}

impl Receiver {
    async fn start(&self) -> Splunkd {
        let shared = self.0.clone();
        let served = Counterpart::start(move |asked| {
            let mut shared = shared.lock().unwrap();
            // The delivery asks for the server's name as well.
            if !shared.willing || !asked.path().ends_with("receivers/simple") {
                return refusal(403, "no");
            }
            let event = (asked.query().to_owned(), asked.body.clone());
            shared.events.push(event);
            (200, json!({"index": "default", "bytes": "7"}))
        });
        served.await.client("key")
    }

    fn take(&self, willing: bool) {
        self.0.lock().unwrap().willing = willing;
    }

    /// The rows of what was taken, in order.
    fn rows(&self) -> Vec<u64> {
        let shared = self.0.lock().unwrap();
        let row =
            |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap()["row"].as_u64();
        shared
            .events
            .iter()
            .map(|(_, json)| row(json).unwrap())
            .collect()
    }
}

fn entry(row: usize) -> Entry {
    Entry {
        time: "2026-01-31T12:00:00.123Z".to_owned(),
        action: "defender_bridge_update_alert".to_owned(),
        marker: None,
        batch: "b".to_owned(),
        row,
        subject: Subject::Alert,
        target: None,
        outcome: Outcome::Updated,
        message: "two\nlines".to_owned(),
        before: None,
        after: None,
        merged_into: None,
        changed: Vec::new(),
        requested: None,
        actor: "ann".to_owned(),
        alert_user: None,
        via: Via::Direct,
        account: None,
        api: None,
        request_id: None,
        attempts: None,
        latency_ms: None,
        verified: None,
        dry_run: false,
        undoes: None,
        sid: None,
        search_name: None,
    }
}

async fn run(splunkd: &Splunkd, folder: &std::path::Path, rows: &[usize]) {
    let mut delivery = Delivery::with(
        splunkd,
        Some(folder.to_owned()),
        Some("soc".to_owned()),
        None,
    );
    delivery.flush_spool().await;
    for row in rows {
        delivery.deliver(&entry(*row)).await;
    }
}

#[tokio::test]
async fn what_splunkd_refuses_the_next_run_hands_over_before_its_own() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("spool");
    let receiver = Receiver::default();
    let splunkd = receiver.start().await;
    run(&splunkd, &folder, &[1, 2]).await;
    assert!(receiver.rows().is_empty());
    receiver.take(true);
    run(&splunkd, &folder, &[3]).await;
    run(&splunkd, &folder, &[4]).await;
    assert_eq!(receiver.rows(), [1, 2, 3, 4]);
    let shared = receiver.0.lock().unwrap();
    for (address, json) in &shared.events {
        assert!(
            address.contains("sourcetype=defender_bridge%3Atriage"),
            "{address}"
        );
        assert!(address.contains("index=soc"), "{address}");
        assert!(
            address.contains("source=defender_bridge%3Adefender_bridge_update_alert"),
            "{address}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(json).unwrap()["message"],
            "two\nlines"
        );
    }
}

#[tokio::test]
async fn a_splunkd_that_is_gone_is_asked_once_and_nothing_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("spool");
    // Nobody listens there.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let key = || "key".to_owned().into();
    let gone = Splunkd::new(&uri, key(), &Tls::default(), time::Duration::ZERO).unwrap();
    run(&gone, &folder, &[1, 2, 3]).await;
    let receiver = Receiver::default();
    receiver.take(true);
    run(&receiver.start().await, &folder, &[]).await;
    assert_eq!(receiver.rows(), [1, 2, 3]);
}

#[tokio::test]
async fn outcomes_nobody_can_keep_are_counted_and_not_written_out_each() {
    let no_folder = tempfile::NamedTempFile::new().unwrap();
    let splunkd = Receiver::default().start().await;
    let folder = Some(no_folder.path().to_owned());
    let mut delivery = Delivery::with(&splunkd, folder, None, None);
    for row in 1..=50 {
        delivery.deliver(&entry(row)).await;
    }
    assert_eq!(delivery.lost, 50);
}

#[tokio::test]
async fn an_input_hands_them_over_among_its_events() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("spool");
    let receiver = Receiver::default();
    run(&receiver.start().await, &folder, &[1, 2]).await;
    let metadata = EventMetadata {
        stanza: "defender_bridge://prod".to_owned(),
        source: "defender_bridge".to_owned(),
        index: Some("defender".to_owned()),
        host: None,
        sourcetypes: Sourcetypes::default(),
    };
    let written = |stopped: bool| {
        let mut file = tempfile::tempfile().unwrap();
        let stream = EventStream::open(file.try_clone().unwrap(), &metadata).unwrap();
        let (_tell, stop) = watch::channel(stopped);
        let spool = Spool::new(folder.clone());
        let stream = write_all(&spool, stream, metadata.clone(), &stop).unwrap();
        stream.finish().unwrap();
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(
        written(true),
        "<stream>\n</stream>\n",
        "asked to stop, it begins nothing"
    );
    insta::assert_snapshot!(written(false));
    assert_eq!(written(false), "<stream>\n</stream>\n", "once only");
}
