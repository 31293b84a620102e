//! An event hub in a process of its own, and who reads it.

use super::super::measure::{Counter, Subject, Usage};
use super::super::tenant::{EventHub, Tenant};
use crate::workspace::NAME;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// The one port Microsoft's Python client dials over TLS.
const PORT: u16 = 5671;
const RECORD: &str = "<sourcetype>ms:defender:eventhub</sourcetype>";

/// What a hub holds from the start.
pub struct Backlog {
    pub partitions: usize,
    pub records: u64,
    /// About what a message has.
    pub message: usize,
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Amount {
    pub messages: u64,
    pub bytes: u64,
    pub records: u64,
}

impl Amount {
    pub fn since(self, before: Self) -> Self {
        Self {
            messages: self.messages - before.messages,
            bytes: self.bytes - before.bytes,
            records: self.records - before.records,
        }
    }
}

pub struct Hub {
    tenant: Tenant,
    records: u64,
    folder: PathBuf,
}

impl Hub {
    /// `folder` takes its files, and is emptied.
    pub fn start(executable: &Path, folder: &Path, backlog: &Backlog) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let address = own_address();
        let settings = [
            "--event-hub".to_owned(),
            format!("--event-hub-listen={address}:{PORT}"),
            format!("--event-hub-partitions={}", backlog.partitions),
            format!("--event-hub-records={}", backlog.records),
            format!("--event-hub-event-bytes={}", backlog.message),
        ];
        Ok(Self {
            tenant: Tenant::start(executable, folder, address, &settings)?,
            records: backlog.records,
            folder: folder.to_owned(),
        })
    }

    fn place(&self) -> Result<&EventHub> {
        let place = self.tenant.place.event_hub.as_ref();
        place.context("the tenant has no event hub")
    }

    /// The modular input reads everything, in a home of its own, and is stopped then.
    pub fn follow(&self, executable: &Path, home: &str) -> Result<Usage> {
        let input = self.input(executable, home)?;
        let input = input.subject();
        let wanted = usize::try_from(self.records)?;
        let mut records = Counter::of(RECORD);
        let usage = input.run_until(None, |piece| {
            records.take(piece);
            match records.count < wanted {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        if records.count != wanted {
            bail!(
                "{} records came, {wanted} were expected\n{}",
                records.count,
                input.said()?
            );
        }
        Ok(usage)
    }

    /// Microsoft's client reads everything.
    pub fn read_by(&self, python: &Path, script: &Path) -> Result<(Usage, Amount)> {
        let place = self.place()?;
        let words = [
            python.as_os_str().to_owned(),
            script.into(),
            place.connection_string.clone().into(),
            self.tenant.place.ca_file.clone().into(),
            self.records.to_string().into(),
        ];
        let client = Subject {
            command: words.into(),
            home: &self.folder,
            document: b"",
        };
        let mut records = Counter::of(RECORD);
        let usage = client.run(|piece| records.take(piece))?;
        let said = client.said()?;
        let amount: Amount = serde_json::from_str(&said).context(said)?;
        if u64::try_from(records.count)? != self.records || amount.records != self.records {
            bail!(
                "the client wrote {} records of {}",
                records.count,
                self.records
            );
        }
        Ok((usage, amount))
    }

    /// The modular input, with a new home.
    pub fn input(&self, executable: &Path, home: &str) -> Result<Input> {
        let (splunkd, hub) = (&self.tenant.place.splunkd, self.place()?);
        let home = self.folder.join(home);
        fs::create_dir_all(&home)?;
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<input>\n\
             <server_host>bench</server_host>\n<server_uri>{}</server_uri>\n\
             <session_key>{}</session_key>\n<checkpoint_dir>{}</checkpoint_dir>\n\
             <configuration><stanza name=\"{NAME}://bench\" app=\"{NAME}\">\n\
             <param name=\"account\">{}</param>\n<param name=\"feed\">event_hub</param>\n\
             <param name=\"event_hub_namespace\">{}</param>\n\
             <param name=\"event_hub\">{}</param>\n<param name=\"start\">earliest</param>\n\
             </stanza></configuration>\n</input>\n",
            splunkd.uri,
            splunkd.session_key,
            home.join("checkpoints").display(),
            splunkd.account,
            hub.namespace,
            hub.name,
        );
        Ok(Input {
            executable: executable.to_owned(),
            home,
            document,
        })
    }
}

/// The modular input with its stanza.
pub struct Input {
    executable: PathBuf,
    home: PathBuf,
    document: String,
}

impl Input {
    fn subject(&self) -> Subject<'_> {
        Subject {
            command: vec![self.executable.clone().into()],
            home: &self.home,
            document: self.document.as_bytes(),
        }
    }

    /// Follows for so long.
    pub fn run_for(&self, span: Duration) -> Result<Usage> {
        let input = self.subject();
        input.run_until(Some(span), |_| ControlFlow::Continue(()))
    }
}

/// A loopback address that no other hub on this machine has: the port is fixed.
fn own_address() -> Ipv4Addr {
    static STARTED: AtomicU8 = AtomicU8::new(0);
    let [_, _, middle, low] = std::process::id().to_be_bytes();
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, 64 | (number & 63), middle, low.clamp(1, 254))
}
