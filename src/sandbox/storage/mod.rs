//! A storage account as Defender's streaming fills it: Azure Blob Storage's REST API
//! over TLS, with the tenant's sign-in and shared access signatures, a container in which
//! readers of a hub keep claims and checkpoints, and troubles on demand.

mod access;
mod account;
mod document;
mod export;
mod refusal;
mod serve;
mod state;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::sandbox::accept;
use crate::sandbox::api::access::Issuer;
use crate::sandbox::story::record;
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::record::Alert;
pub use crate::sandbox::trouble::Times;
use account::Account;
pub use account::{Operation, Stats};
use export::{Export, PREFIX};
use state::{Conditions, Kind, Metadata, State};

/// What kind of account to serve.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The account's name.
    pub account: String,
    /// The container of claims and checkpoints.
    pub checkpoint_container: String,
    /// How many records the account begins with; as many as the stories have, if not given.
    pub records: Option<u64>,
    /// Whether some of them come again, as in Defender's export.
    pub repeats: bool,
    /// Entries of a list in one answer at most.
    pub page: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            account: "sandboxlogs".to_owned(),
            checkpoint_container: "checkpoints".to_owned(),
            records: None,
            repeats: true,
            page: 5000,
        }
    }
}

/// A line of an append blob: where it is, and its exact text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRecord {
    /// Its container, which is a table's.
    pub container: String,
    /// Its blob.
    pub blob: String,
    /// Its text, without the line's end.
    pub text: String,
}

/// A running account; it stops when dropped.
pub struct Storage {
    account: Arc<Account>,
    _tasks: JoinSet<()>,
}

/// Who it belongs to: where tokens come from, who checks them, and who may write.
pub(super) struct Owner {
    pub(super) login: String,
    pub(super) issuer: Arc<Issuer>,
    pub(super) writers: Vec<&'static str>,
}

/// Starts an account; it serves as soon as this returns.
pub(super) async fn start(
    settings: Settings,
    tls: TlsAcceptor,
    owner: Owner,
    alerts: &[Alert],
) -> Result<Storage, (SocketAddr, std::io::Error)> {
    let (listener, address) = accept::bind(settings.listen).await?;
    let templates = record::templates(alerts.iter());
    let own = templates.len() as u64;
    let records = if own == 0 {
        0
    } else {
        settings.records.unwrap_or(own)
    };
    let mut state = State::default();
    let mut export = Export::new(settings.repeats);
    export.fill(&mut state, &templates, records);
    // A name of the settings that is no container's is refused when it is asked for.
    let _there = state.make_container(&settings.checkpoint_container);
    let url = format!("https://{address}/{}", settings.account);
    let Owner {
        login,
        issuer,
        writers,
    } = owner;
    let filled = (state, export);
    let account = Arc::new(Account::new(settings, url, login, issuer, writers, filled));
    let mut tasks = JoinSet::new();
    tasks.spawn(accept::serve(
        listener,
        Some(tls),
        serve::router(account.clone()),
    ));
    Ok(Storage {
        account,
        _tasks: tasks,
    })
}

impl Storage {
    /// The account's blob endpoint, `https://127.0.0.1:<port>/<account>`.
    pub fn url(&self) -> &str {
        &self.account.url
    }

    /// The account's name.
    pub fn name(&self) -> &str {
        &self.account.settings.account
    }

    /// Its key, with which signatures are made.
    pub fn key(&self) -> &'static str {
        access::KEY
    }

    /// The address of the container of claims and checkpoints.
    pub fn checkpoint_container(&self) -> String {
        format!(
            "{}/{}",
            self.url(),
            self.account.settings.checkpoint_container
        )
    }

    /// A shared access signature for permissions such as `rl`, as a query.
    pub fn signature(&self, permissions: &str, lifetime: Duration) -> String {
        let expires = Ticks::now().plus(lifetime).0.div_euclid(10_000_000);
        let expires = jiff::Timestamp::from_second(expires).unwrap_or(jiff::Timestamp::MAX);
        access::signature(self.name(), permissions, expires)
    }

    /// What a client needs to read and list, as Azure's portal shows it.
    pub fn connection_string(&self) -> String {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        format!(
            "BlobEndpoint={};SharedAccessSignature={}",
            self.url(),
            self.signature("rl", YEAR)
        )
    }

    /// The names of all containers.
    pub fn containers(&self) -> Vec<String> {
        self.account.state().containers.keys().cloned().collect()
    }

    /// Names and sizes of a container's blobs.
    pub fn blobs(&self, container: &str) -> Vec<(String, usize)> {
        let state = self.account.state();
        let Ok(container) = state.container(container) else {
            return Vec::new();
        };
        let blobs = container.blobs.iter();
        blobs
            .map(|(name, blob)| (name.clone(), blob.bytes.len()))
            .collect()
    }

    /// A blob's metadata.
    pub fn metadata(&self, container: &str, blob: &str) -> Option<Vec<(String, String)>> {
        let state = self.account.state();
        state
            .blob(container, blob)
            .ok()
            .map(|blob| blob.metadata.clone())
    }

    /// The container of a table.
    pub fn container_of(table: &str) -> String {
        format!("{PREFIX}{}", table.to_ascii_lowercase())
    }

    /// Makes an empty container, if there is none of that name; whether it is there then.
    pub fn make_container(&self, name: &str) -> bool {
        let mut state = self.account.state();
        let _there = state.make_container(name);
        state.containers.contains_key(name)
    }

    /// Deletes a container with all it holds; whether there was one.
    pub fn delete_container(&self, name: &str) -> bool {
        self.account.state().delete_container(name).is_ok()
    }

    /// Appends to an append blob; container and blob are made if they are missing.
    pub fn append(&self, container: &str, blob: &str, bytes: &[u8]) {
        let mut state = self.account.state();
        state.append_at(container, blob, bytes, Ticks::now());
    }

    /// Puts another append blob in the place of one; whether the container is there.
    pub fn replace(&self, container: &str, blob: &str, bytes: &[u8]) -> bool {
        self.put(container, blob, Kind::Append { blocks: 1 }, bytes)
    }

    /// Puts a block blob; whether the container is there.
    pub fn put_block_blob(&self, container: &str, blob: &str, bytes: &[u8]) -> bool {
        self.put(container, blob, Kind::Block, bytes)
    }

    fn put(&self, container: &str, blob: &str, kind: Kind, bytes: &[u8]) -> bool {
        let (free, bytes) = (Conditions::default(), bytes.to_vec());
        let mut state = self.account.state();
        let put = state.put(container, blob, kind, bytes, Metadata::new(), &free);
        put.is_ok()
    }

    /// Writes a blob's metadata, as another client would; the blob is made if it is missing.
    pub fn put_metadata(&self, container: &str, blob: &str, metadata: &[(&str, &str)]) -> bool {
        let metadata: Metadata = metadata
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let (free, none) = (Conditions::default(), Vec::new());
        let mut state = self.account.state();
        let put = state.put(container, blob, Kind::Block, none, metadata, &free);
        put.is_ok()
    }

    /// A blob's last change lies so much further back; whether there is one.
    pub fn age(&self, container: &str, blob: &str, span: Duration) -> bool {
        let mut state = self.account.state();
        let held = state.containers.get_mut(container);
        match held.and_then(|held| held.blobs.get_mut(blob)) {
            Some(blob) => {
                blob.modified = blob.modified.minus(span);
                true
            }
            None => false,
        }
    }

    /// Deletes a blob; whether there was one.
    pub fn delete(&self, container: &str, blob: &str) -> bool {
        let free = Conditions::default();
        self.account.state().delete(container, blob, &free).is_ok()
    }

    /// Writes the records of these alerts.
    pub(in crate::sandbox) fn tell<'a>(&self, alerts: impl Iterator<Item = &'a Alert>) {
        let templates = record::templates(alerts);
        let mut export = self.account.export();
        export.tell(&mut self.account.state(), &templates);
    }

    /// Every line of the tables' append blobs, repeats too: the ground truth of what a
    /// reader may see.
    pub fn records(&self, mut each: impl FnMut(BlobRecord)) {
        let state = self.account.state();
        let tables = state.containers.iter();
        for (container, held) in tables.filter(|(name, _)| name.starts_with(PREFIX)) {
            for (blob, content) in &held.blobs {
                if content.kind == Kind::Block {
                    continue;
                }
                for line in String::from_utf8_lossy(&content.bytes).lines() {
                    each(BlobRecord {
                        container: container.clone(),
                        blob: blob.clone(),
                        text: line.to_owned(),
                    });
                }
            }
        }
    }

    /// Calls since the start.
    pub fn stats(&self) -> Stats {
        self.account.stats()
    }

    /// Refuses calls whose container and blob hold that text, with a code of Azure's such
    /// as `ServerBusy`.
    pub fn refuse(&self, operation: Operation, part: &str, code: &str, times: Times) {
        self.account.refuse(operation, part, code, times);
    }

    /// Throttles every call.
    pub fn throttle(&self, times: Times) {
        for operation in [Operation::List, Operation::Read, Operation::Write] {
            self.refuse(operation, "", "ServerBusy", times);
        }
    }

    /// From now on tokens of this app are taken, and let it do nothing.
    pub fn take_role(&self, client_id: &str) {
        self.account.take_role(client_id);
    }

    /// Nothing is refused any more.
    pub fn recover(&self) {
        self.account.recover();
    }
}
