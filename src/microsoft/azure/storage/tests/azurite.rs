//! Against Microsoft's emulator of storage, and beside Microsoft's own checkpoint store.
//! Both come from npm: `cargo xtask test blob-store` installs them and runs these.

use crate::ingest::stream::{
    Checkpoint, Kept, Ownership, Partition, PartitionReader, PartitionedLog, Position,
    PositionStore, ReadFrom, Start,
};
use crate::microsoft::account::Account;
use crate::microsoft::azure::records::Tables;
use crate::microsoft::azure::storage::client::{Access, BlobClient};
use crate::microsoft::azure::storage::feed::BlobLog;
use crate::microsoft::azure::storage::ownership::{BlobCheckpoints, BlobOwnership, Group};
use crate::microsoft::tests::https_server::{Counterpart, reply, token};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use url::Url;

const ACCOUNT: &str = "devstoreaccount1";
const CONTAINER: &str = "checkpoints";
const TABLE: &str = "insights-logs-advancedhunting-alertinfo";
const LOG: &str = "event_hub contoso";

/// Where `npm ci` has put them.
fn folder() -> PathBuf {
    let folder = std::env::var_os("AZURE_COUNTERPARTS");
    PathBuf::from(folder.expect("AZURE_COUNTERPARTS is not set: run `cargo xtask test blob-store`"))
}

struct Azurite {
    _process: Child,
    /// Its certificate, which is its own issuer.
    files: TempDir,
    url: Url,
    login: Counterpart,
}

/// As much of a token as the emulator looks at; nobody signed it.
fn unsigned_token() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = json!({
        "iss": "https://sts.windows.net/contoso/",
        "aud": "https://storage.azure.com",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
    });
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.x",
        part(json!({"alg": "none", "typ": "JWT"})),
        part(claims)
    )
}

impl Azurite {
    async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let certificate = rcgen::CertificateParams::new(names)
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let (pem, key_pem) = (files.path().join("cert.pem"), files.path().join("key.pem"));
        std::fs::write(&pem, certificate.pem()).unwrap();
        std::fs::write(&key_pem, key.serialize_pem()).unwrap();
        let mut process = Command::new("node")
            .arg(folder().join("node_modules/azurite/dist/src/blob/main.js"))
            .args([
                "--inMemoryPersistence",
                "--skipApiVersionCheck",
                "--disableTelemetry",
                "--oauth",
                "basic",
            ])
            .args(["--blobHost", "127.0.0.1", "--blobPort", "0"])
            .arg("--cert")
            .arg(&pem)
            .arg("--key")
            .arg(&key_pem)
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next_line().await.unwrap().expect("azurite ended");
            if let Some((_, at)) = line
                .split_once("successfully listening at ")
                .or(line.split_once("successfully listens on "))
            {
                break Url::parse(at.trim()).unwrap().join(ACCOUNT).unwrap();
            }
        };
        // Its further words must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let token_text = unsigned_token();
        let login = Counterpart::start(move |asked, _| match asked.is_sign_in() {
            true => token(&token_text, 3600),
            false => reply(404, &[], ""),
        })
        .await;
        Self {
            _process: process,
            files,
            url,
            login,
        }
    }

    fn account(&self) -> Account {
        let mut account = self.login.secret();
        let own = std::fs::read_to_string(self.files.path().join("cert.pem")).unwrap();
        let login = std::fs::read_to_string(account.ca_file.unwrap()).unwrap();
        let both = self.files.path().join("both.pem");
        std::fs::write(&both, own + &login).unwrap();
        account.ca_file = Some(both);
        account
    }

    fn client(&self, access: Access) -> BlobClient {
        BlobClient::new(&self.account(), &self.url, access).unwrap()
    }

    /// One command of Microsoft's clients.
    async fn theirs(&self, command: &str, mut given: Value) -> Value {
        for (key, value) in [
            ("container", CONTAINER),
            ("namespace", "Contoso-NS.servicebus.windows.net"),
            ("hub", "Insights-Logs-AdvancedHunting"),
            ("consumerGroup", "$Default"),
        ] {
            let given = given.as_object_mut().unwrap();
            given.entry(key).or_insert(value.into());
        }
        let out = Command::new("node")
            .arg(folder().join("store.mjs"))
            .args([command, self.url.as_str(), &given.to_string()])
            .env("NODE_EXTRA_CA_CERTS", self.files.path().join("cert.pem"))
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        assert!(
            out.status.success(),
            "{command} {given}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        serde_json::from_slice(&out.stdout).unwrap()
    }
}

fn group() -> Group {
    Group {
        namespace: "Contoso-NS.servicebus.windows.net".to_owned(),
        hub: "Insights-Logs-AdvancedHunting".to_owned(),
        consumer_group: "$Default".to_owned(),
    }
}

struct NoNotes;

impl PositionStore for NoNotes {
    async fn load(&self) -> io::Result<Vec<Kept>> {
        Ok(Vec::new())
    }

    fn note(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn save(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }
}

fn text(partition: &str, sequence: i64) -> String {
    let of = Partition {
        id: partition.to_owned(),
        created: None,
    };
    let mut checkpoint = Checkpoint::new(LOG, &of, Start::Earliest);
    checkpoint.position = Some(Position {
        offset: Some(format!("{sequence}00")),
        sequence: Some(sequence),
        epoch: None,
    });
    checkpoint.text().unwrap()
}

/// Partition and owner of each claim, as Microsoft's store lists them.
fn owners(listed: &Value) -> Vec<(String, String)> {
    let mut owners: Vec<(String, String)> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["partitionId"].as_str().unwrap().to_owned(),
                one["ownerId"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    owners.sort();
    owners
}

#[tokio::test]
#[ignore = "needs Microsoft's clients: cargo xtask test blob-store"]
async fn claims_and_checkpoints_are_read_by_microsofts_store_and_it_by_ours() {
    let azurite = Azurite::start().await;
    azurite.theirs("make", json!({})).await;
    let client = azurite.client(Access::Identity);
    let ours = BlobOwnership::new(&client, CONTAINER, &group());
    let partitions: Vec<Partition> = (0..4)
        .map(|id| Partition {
            id: id.to_string(),
            created: None,
        })
        .collect();
    let held = ours.claim(&partitions).await.unwrap();
    assert_eq!(held, ["0", "1", "2", "3"]);
    let store = BlobCheckpoints::new(&ours, NoNotes, LOG);
    assert!(store.load().await.unwrap().is_empty());

    // Ours, read by theirs.
    let listed = azurite.theirs("ownership", json!({})).await;
    let me = ours.owner_id().to_owned();
    let all_mine: Vec<_> = held.iter().map(|id| (id.clone(), me.clone())).collect();
    assert_eq!(owners(&listed), all_mine);
    store.save("0", &text("0", 5)).unwrap();
    let read = loop {
        let read = azurite.theirs("checkpoints", json!({})).await;
        if read != json!([]) {
            break read;
        }
    };
    assert_eq!(
        (&read[0]["sequenceNumber"], &read[0]["offset"]),
        (&json!(5), &json!("500"))
    );

    // Theirs takes one, with the version it listed; a stale one is refused.
    let one = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["partitionId"] == "1")
        .unwrap();
    let claim = json!({"partitionId": "1", "ownerId": "javascript", "etag": one["etag"]});
    assert_eq!(
        azurite.theirs("claim", claim.clone()).await[0]["ownerId"],
        "javascript"
    );
    assert_eq!(azurite.theirs("claim", claim).await, json!([]));
    let checkpoint = json!({"partitionId": "1", "sequenceNumber": 9, "offset": "900"});
    azurite.theirs("checkpoint", checkpoint).await;
    // Ours sees it go, and saves nothing over theirs.
    store.save("1", &text("1", 7)).unwrap();
    assert_eq!(ours.claim(&partitions).await.unwrap(), ["0", "2", "3"]);
    let kept = store.load().await.unwrap();
    let read: Vec<(String, ReadFrom)> = kept
        .iter()
        .filter(|kept| !kept.partition.is_empty())
        .map(|kept| {
            (
                kept.partition.clone(),
                Checkpoint::read(&kept.text, LOG, &kept.partition)
                    .unwrap()
                    .read_from(),
            )
        })
        .collect();
    let at = |offset: &str, sequence| {
        ReadFrom::After(Position {
            offset: Some(offset.to_owned()),
            sequence: Some(sequence),
            epoch: None,
        })
    };
    assert_eq!(
        read,
        [
            ("0".to_owned(), at("500", 5)),
            ("1".to_owned(), at("900", 9))
        ]
    );

    // Given back: free for both.
    ours.release(&[]).await.unwrap();
    let listed = azurite.theirs("ownership", json!({})).await;
    let free: Vec<_> = owners(&listed)
        .into_iter()
        .filter(|(_, owner)| owner.is_empty())
        .collect();
    assert_eq!(free.len(), 3);
    let second = BlobOwnership::new(&client, CONTAINER, &group());
    let held = second.claim(&partitions).await.unwrap();
    // An even share beside theirs; what stays free, a round later.
    assert_eq!(held.len(), 2);
    assert_eq!(second.claim(&partitions).await.unwrap(), ["0", "2", "3"]);
}

#[tokio::test]
#[ignore = "needs Microsoft's clients: cargo xtask test blob-store"]
async fn append_blobs_are_followed_with_a_signature_and_with_a_token() {
    let azurite = Azurite::start().await;
    azurite.theirs("make", json!({"container": TABLE})).await;
    let signature = azurite.theirs("signature", json!({})).await;
    let signature = signature["signature"].as_str().unwrap().to_owned();
    let blob = "tenantId=7b/y=2026/m=11/d=30/h=05/m=00/PT1H.json";
    let empty = "tenantId=7b/y=2026/m=11/d=30/h=06/m=00/PT1H.json";
    let append = |blob: &str, text: String| json!({"container": TABLE, "blob": blob, "text": text});
    let record = |id: &str| {
        format!(
            "{{\"category\":\"AdvancedHunting-AlertInfo\",\"properties\":{{\"AlertId\":\"{id}\",\
             \"Timestamp\":\"2026-11-30T05:00:00Z\"}}}}\r\n"
        )
    };
    azurite
        .theirs("append", append(blob, record("a") + &record("b")))
        .await;
    azurite.theirs("append", append(empty, String::new())).await;
    azurite
        .theirs(
            "upload",
            json!({"container": TABLE, "blob": "copy.json", "text": "x"}),
        )
        .await;
    for access in [Access::Signature(signature.into()), Access::Identity] {
        let client = azurite.client(access);
        let log = BlobLog::new(&client, &Tables::default(), Duration::from_millis(50));
        let partitions = log.partitions().await.unwrap();
        assert_eq!(partitions.len(), 1);
        let mut reader = log
            .open(&partitions[0], &ReadFrom::Start(Start::Earliest))
            .await
            .unwrap();
        let mut records = 0;
        let mut position = Position::default();
        while records < 2 {
            for message in reader.next(1 << 20).await.unwrap() {
                records += message.records.len();
                position = message.position;
            }
        }
        // At the end, beyond it, and of nothing.
        let size = u64::try_from((record("a") + &record("b")).len()).unwrap();
        assert_eq!(
            client.read(TABLE, blob, size, 99).await.unwrap().size,
            Some(size)
        );
        assert_eq!(
            client.read(TABLE, blob, size + 1, 99).await.unwrap().size,
            Some(size)
        );
        assert!(
            client
                .read(TABLE, empty, 0, 99)
                .await
                .unwrap()
                .bytes
                .is_empty()
        );
        assert_eq!(position.sequence, Some(2));
    }
    let client = azurite.client(Access::Identity);
    let log = BlobLog::new(&client, &Tables::default(), Duration::from_millis(50));
    let partitions = log.partitions().await.unwrap();
    let mut reader = log
        .open(&partitions[0], &ReadFrom::Start(Start::Earliest))
        .await
        .unwrap();
    let mut last = None;
    while last.is_none() {
        let messages = reader.next(1 << 20).await.unwrap();
        last = messages
            .into_iter()
            .rfind(|message| !message.records.is_empty());
    }
    let position = last.unwrap().position;
    azurite.theirs("append", append(blob, record("c"))).await;
    azurite.theirs("append", append(empty, record("d"))).await;
    let mut again = log
        .open(&partitions[0], &ReadFrom::After(position))
        .await
        .unwrap();
    let messages = again.next(1 << 20).await.unwrap();
    let records: usize = messages.iter().map(|message| message.records.len()).sum();
    assert_eq!(records, 2);
}
