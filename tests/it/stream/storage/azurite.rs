//! Against Microsoft's emulator of storage, written to by Microsoft's own client. Both
//! come from npm: `cargo xtask test blob-store` installs them and runs these.

use super::account::{Account, add, came, hour, key, record};
use crate::counterpart::Splunkd;
use crate::counterpart::process::{Output, Reading, Running};
use crate::stream::hub::Counts;
use crate::stream::tenant::ACCOUNT;
use defender_bridge::sandbox::storage::Storage;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const TABLES: [&str; 2] = ["AlertInfo", "DeviceEvents"];

/// Where `npm ci` has put them.
fn folder() -> PathBuf {
    let folder = std::env::var_os("AZURE_COUNTERPARTS");
    PathBuf::from(folder.expect("AZURE_COUNTERPARTS is not set: run `cargo xtask test blob-store`"))
}

struct Azurite {
    process: Child,
    /// Its certificate, which is its own issuer, beside that of the tenant.
    files: TempDir,
    url: String,
    /// Signs in: the emulator looks at a token's claims.
    account: Account,
}

impl Drop for Azurite {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Azurite {
    fn start() -> Self {
        let account = Account::of(0);
        let files = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let own = files.path().join("cert.pem");
        std::fs::write(&own, certificate.pem()).unwrap();
        std::fs::write(files.path().join("key.pem"), key.serialize_pem()).unwrap();
        let both = certificate.pem() + account.tenant().ca_pem();
        std::fs::write(files.path().join("both.pem"), both).unwrap();
        let mut process = Command::new("node")
            .arg(folder().join("node_modules/azurite/dist/src/blob/main.js"))
            .args(["--inMemoryPersistence", "--skipApiVersionCheck"])
            .args(["--disableTelemetry", "--oauth", "basic"])
            .args(["--blobHost", "127.0.0.1", "--blobPort", "0", "--cert"])
            .arg(&own)
            .arg("--key")
            .arg(files.path().join("key.pem"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node");
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let url = loop {
            let mut line = String::new();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "azurite ended");
            let found = line
                .split_once("successfully listening at ")
                .or(line.split_once("successfully listens on "));
            if let Some((_, at)) = found {
                break format!("{}/devstoreaccount1", at.trim().trim_end_matches('/'));
            }
        };
        // Its further words must not fill the pipe.
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()).ok());
        let azurite = Self {
            process,
            files,
            url,
            account,
        };
        for table in TABLES {
            azurite.client("make", json!({"container": Storage::container_of(table)}));
        }
        azurite
    }

    fn file(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    /// One command of Microsoft's client.
    fn client(&self, command: &str, given: Value) -> Value {
        let out = Command::new("node")
            .arg(folder().join("store.mjs"))
            .args([command, &self.url, &given.to_string()])
            .env("NODE_EXTRA_CA_CERTS", self.file("cert.pem"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{command} {given}: {words}");
        serde_json::from_slice(&out.stdout).unwrap()
    }

    fn append(&self, table: &str, blob: &str, text: &str) {
        let container = Storage::container_of(table);
        self.client(
            "append",
            json!({"container": container, "blob": blob, "text": text}),
        );
    }

    fn signed_in(&self) -> Splunkd {
        let splunkd = self.account.splunkd(&[("storage_account", &self.url)]);
        splunkd.set("account", ACCOUNT, "ca_file", &self.file("both.pem"));
        splunkd
    }

    fn signed(&self) -> Splunkd {
        let signature = self.client("signature", json!({}))["signature"].clone();
        let signature = signature.as_str().unwrap();
        let string = format!(
            "BlobEndpoint={};SharedAccessSignature={signature}",
            self.url
        );
        let splunkd = self
            .account
            .splunkd_with_string(&string, &[("storage_account", "")]);
        splunkd.set("account", ACCOUNT, "ca_file", &self.file("both.pem"));
        splunkd
    }
}

fn wait_for(running: &mut Running, output: &Output, records: usize) {
    assert!(
        running.wait_until(|| output.events().len() >= records),
        "it ended before"
    );
}

/// What grows while it is read comes once, and a further run finds what is new alone.
fn is_followed(azurite: &Azurite, splunkd: &Splunkd) {
    let mut wanted = Counts::new();
    let mut written = |table: &str, number: usize| {
        let line = record(table, number, 40);
        wanted.insert(key(&line), 1);
        line
    };
    let first = written("AlertInfo", 1);
    // The same again in another envelope, and half a record.
    let again = first.replace("T08:00:00Z", "T08:05:00Z");
    let second = written("AlertInfo", 2);
    let (begin, end) = second.split_at(30);
    azurite.append(
        "AlertInfo",
        &hour(1),
        &format!("{first}\r\n{again}\r\n{begin}"),
    );
    azurite.append("DeviceEvents", &hour(1), "");
    let mut running = splunkd.start(Reading::Steady);
    let output = running.output();
    wait_for(&mut running, &output, 1);
    azurite.append("AlertInfo", &hour(1), &format!("{end}\r\n"));
    let third = written("DeviceEvents", 3);
    azurite.append("DeviceEvents", &hour(1), &format!("{third}\r\n"));
    wait_for(&mut running, &output, 3);
    running.terminate();
    let mut all = came(&running.finish().well().events());
    let fourth = written("DeviceEvents", 4);
    azurite.append("DeviceEvents", &hour(2), &format!("{fourth}\r\n"));
    let mut running = splunkd.start(Reading::Steady);
    let output = running.output();
    wait_for(&mut running, &output, 1);
    running.terminate();
    add(&mut all, came(&running.finish().well().events()));
    assert_eq!(all, wanted);
}

#[test]
#[ignore = "needs Microsoft's clients: cargo xtask test blob-store"]
fn azurite_is_followed_by_a_sign_in() {
    let azurite = Azurite::start();
    is_followed(&azurite, &azurite.signed_in());
}

#[test]
#[ignore = "needs Microsoft's clients: cargo xtask test blob-store"]
fn azurite_is_followed_by_a_signature() {
    let azurite = Azurite::start();
    is_followed(&azurite, &azurite.signed());
}
