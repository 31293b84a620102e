//! An event hub's partitions shared through blobs, laid out as Microsoft's own clients
//! lay them out, so that both kinds may read side by side:
//! `<namespace>/<hub>/<consumer group>/ownership/<partition>` with `ownerid`, and
//! `…/checkpoint/<partition>` with `sequencenumber` and `offset`, names in lower case.
//!
//! Two readers never win the same claim: a first one is written only if there is no
//! such blob, every later one only if the blob is still the version that was listed.
//! How old a claim is, is told by the service's clock alone.

mod checkpoints;
mod survey;

pub use checkpoints::BlobCheckpoints;
pub use survey::{LeftPosition, survey};

use crate::ingest::Instant;
use crate::ingest::stream::{Holding, Ownership, Partition, Start, share};
use crate::microsoft::azure::finding::Findings;
use crate::microsoft::azure::storage::client::{BlobClient, If, Written};
use crate::microsoft::azure::storage::error::StorageError;
use crate::microsoft::azure::storage::listing::{Blob, ETag};
use futures::stream::{self, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant as Moment;
use uuid::Uuid;

/// A claim that was not renewed for so long is nobody's: what Microsoft's JavaScript
/// and Rust clients take, too.
const EXPIRY: Duration = Duration::from_secs(60);
/// A claim is renewed when it is this old.
const RENEWAL: Duration = Duration::from_secs(15);
/// While the store does not answer, a claim is kept until it has so long to go.
const MARGIN: Duration = Duration::from_secs(30);
/// Longest a call may take: many fit into the life of a claim.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest giving back may take, as the process is about to end.
const RELEASE: Duration = Duration::from_millis(1500);
/// Calls at the same time.
const SIDE_BY_SIDE: usize = 8;

/// Sharing partitions failed; nothing helps but a change of settings.
#[derive(Debug, thiserror::Error)]
#[error(
    "container {container} of {host}, where the readers of the hub share its partitions: {error}{}",
    made(error)
)]
pub struct SharingError {
    container: String,
    host: String,
    #[source]
    error: StorageError,
}

fn made(error: &StorageError) -> &'static str {
    match error.code() {
        "ContainerNotFound" => ". The one for checkpoints is made by hand, once",
        _ => "",
    }
}

/// Whose checkpoints they are: a consumer group of a hub.
#[derive(Debug, Clone)]
pub struct Group {
    /// With its domain, as in `contoso.servicebus.windows.net`.
    pub namespace: String,
    pub hub: String,
    pub consumer_group: String,
}

/// Shares the partitions of one consumer group with all who read it.
#[derive(Debug, Clone)]
pub struct BlobOwnership {
    shared: Arc<Shared>,
}

/// What claims and checkpoints have in common.
#[derive(Debug)]
struct Shared {
    client: BlobClient,
    container: String,
    /// `<namespace>/<hub>/<consumer group>/`
    prefix: String,
    /// This process.
    me: String,
    state: Mutex<State>,
    /// Checkpoints are being written.
    writing: tokio::sync::Mutex<()>,
    /// A task will write what waits.
    awaited: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    leases: BTreeMap<String, Lease>,
    /// Partitions that were nobody's, as of the last round.
    free: BTreeSet<String>,
    /// Versions of the checkpoint blobs.
    checkpoints: BTreeMap<String, ETag>,
    /// Checkpoints to be written.
    waiting: BTreeMap<String, checkpoints::Mark>,
    /// Why no checkpoint can be written any more.
    failed: Option<StorageError>,
    /// Why claims are not what they should be, for the time being.
    trouble: Option<String>,
    /// Why checkpoints still wait.
    unsaved: Option<String>,
    /// It is said where the group was begun.
    begun: bool,
    /// Where it was begun, to be said.
    start: Option<Start>,
}

/// A claim of ours.
#[derive(Debug, Clone)]
struct Lease {
    etag: ETag,
    until: Moment,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, kind: &str, partition: &str) -> String {
        format!("{}{kind}/{}", self.prefix, partition.to_lowercase())
    }

    fn error(&self, error: StorageError) -> SharingError {
        SharingError {
            container: self.container.clone(),
            host: self.client.host().to_owned(),
            error,
        }
    }

    /// Whether a partition is surely ours now.
    fn holds(&self, partition: &str) -> bool {
        let now = self.client.clock().now();
        let state = self.state();
        state
            .leases
            .get(partition)
            .is_some_and(|lease| lease.until > now)
    }

    /// All blobs of a kind, by partition, and the service's time.
    async fn list(
        &self,
        kind: &str,
    ) -> Result<(BTreeMap<String, Blob>, Option<Instant>), StorageError> {
        let prefix = self.name(kind, "");
        let (mut found, mut now) = (BTreeMap::new(), None);
        let mut marker: Option<String> = None;
        loop {
            let listed = self
                .client
                .blobs(&self.container, &prefix, marker.as_deref(), true)
                .await?;
            now = listed.now.or(now);
            for blob in listed.part.found {
                if let Some(partition) = blob.name.strip_prefix(&prefix) {
                    found.insert(partition.to_owned(), blob);
                }
            }
            marker = listed.part.next;
            if marker.is_none() {
                return Ok((found, now));
            }
        }
    }
}

/// A claim as it stands in the store.
struct Claim<'b> {
    blob: &'b Blob,
    /// None where the service tells no time: then it lives.
    age: Option<Duration>,
}

impl Claim<'_> {
    fn of(blob: &Blob, now: Option<Instant>) -> Claim<'_> {
        let age = now.zip(blob.modified).map(|(now, modified)| {
            let ticks = now.ticks().saturating_sub(modified.ticks());
            Duration::from_micros(u64::try_from(ticks / 10).unwrap_or_default())
        });
        Claim { blob, age }
    }

    /// Who holds it, if anybody does.
    fn owner(&self) -> Option<&str> {
        let owner = self.blob.metadata.get("ownerid")?.trim();
        let lives = self.age.is_none_or(|age| age < EXPIRY);
        (lives && !checkpoints::is_none(owner)).then_some(owner)
    }
}

impl BlobOwnership {
    /// Shares through a container, together with whoever else keeps his claims there.
    pub fn new(client: &BlobClient, container: &str, group: &Group) -> Self {
        let prefix = format!(
            "{}/{}/{}/",
            group.namespace, group.hub, group.consumer_group
        );
        let shared = Shared {
            client: client.clone().patience(PATIENCE),
            container: container.to_owned(),
            prefix: prefix.to_lowercase(),
            me: Uuid::new_v4().to_string(),
            state: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            awaited: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Looks whether the container is there and can be listed and written to; writes
    /// nothing. Answers with the sequence numbers its checkpoints hold, by partition.
    pub async fn examine(&self, findings: &mut Findings) -> BTreeMap<String, i64> {
        const CONTAINER: &str = "checkpoint container";
        let shared = &*self.shared;
        let place = format!("{} of {}", shared.container, shared.client.host());
        let mut bad = |error: StorageError| {
            let step = match error.status() {
                Some(403) => "checkpoint container, role",
                _ => CONTAINER,
            };
            let advice = error
                .advice()
                .map(|advice| format!("{advice}{}", made(&error)));
            let text = format!("checkpoint_container: {place}: {}", error.what());
            findings.bad(step, text, advice.as_deref());
            BTreeMap::new()
        };
        let listed = async {
            let (owned, _) = shared.list("ownership").await?;
            Ok((owned, shared.list("checkpoint").await?.0))
        };
        let (owned, checkpoints) = match listed.await {
            Ok(listed) => listed,
            Err(error) => return bad(error),
        };
        // A change of a version that there is not: refused for its version, or for want of a role.
        let none = ETag("\"0x0\"".to_owned());
        let name = format!("{}writable", shared.prefix);
        let client = &shared.client;
        let written = client
            .set_metadata(&shared.container, &name, &[], If::Match(&none))
            .await;
        if let Err(error) = written {
            return bad(error);
        }
        findings.good(
            CONTAINER,
            format!(
                "{place} may be written to; it holds {} claims and {} checkpoints of this group",
                owned.len(),
                checkpoints.len()
            ),
        );
        let read = |(partition, blob): (String, Blob)| {
            let position = checkpoints::position(&blob.metadata).ok()??;
            Some((partition, position.sequence?))
        };
        checkpoints.into_iter().filter_map(read).collect()
    }

    /// What this process is called in the claims.
    #[cfg(test)]
    pub fn owner_id(&self) -> &str {
        &self.shared.me
    }

    /// What is claimed while the store does not answer.
    fn safely_held(&self, partitions: &[Partition]) -> Vec<String> {
        let soon = self.shared.client.clock().now() + MARGIN;
        let mut state = self.shared.state();
        state.leases.retain(|_, lease| lease.until > soon);
        let held = partitions.iter().map(|partition| &partition.id);
        held.filter(|id| state.leases.contains_key(*id))
            .cloned()
            .collect()
    }

    /// Writes one claim: renews, takes what is free, or takes over.
    async fn write(
        &self,
        partition: &str,
        claim: Option<&Claim<'_>>,
    ) -> Result<Option<Lease>, StorageError> {
        let shared = &*self.shared;
        let until = shared.client.clock().now() + EXPIRY;
        let name = shared.name("ownership", partition);
        let owner = [("ownerid", shared.me.as_str())];
        let written = match claim {
            Some(claim) => {
                let condition = If::Match(&claim.blob.etag);
                let client = &shared.client;
                client
                    .set_metadata(&shared.container, &name, &owner, condition)
                    .await?
            }
            None => {
                shared
                    .client
                    .put(&shared.container, &name, &owner, If::New)
                    .await?
            }
        };
        Ok(match written {
            Written::Done(etag) => Some(Lease { etag, until }),
            Written::Refused | Written::Missing => None,
        })
    }
}

impl Ownership for BlobOwnership {
    type Error = SharingError;

    async fn claim(&self, partitions: &[Partition]) -> Result<Vec<String>, SharingError> {
        let shared = &self.shared;
        if let Some(error) = shared.state().failed.clone() {
            return Err(shared.error(error));
        }
        let begun = shared.client.clock().now();
        let (blobs, now) = match shared.list("ownership").await {
            Ok(listed) => listed,
            Err(error) if error.passes() => {
                shared.state().trouble = Some(shared.error(error).to_string());
                return Ok(self.safely_held(partitions));
            }
            Err(error) => return Err(shared.error(error)),
        };
        let ids: Vec<&str> = partitions
            .iter()
            .map(|partition| partition.id.as_str())
            .collect();
        let claims: BTreeMap<&str, Claim<'_>> = ids
            .iter()
            .filter_map(|id| Some((*id, Claim::of(blobs.get(&id.to_lowercase())?, now))))
            .collect();
        let free_before = std::mem::take(&mut shared.state().free);
        let holdings: Vec<Holding<'_>> = ids
            .iter()
            .map(|partition| Holding {
                partition,
                owner: claims.get(partition).and_then(Claim::owner),
                overdue: free_before.contains(*partition),
            })
            .collect();
        let share = share(&shared.me, &holdings);
        let mut leases = BTreeMap::new();
        let mut writes = share.take;
        for partition in share.keep {
            let Some(claim) = claims.get(partition) else {
                continue;
            };
            match claim.age {
                Some(age) if age < RENEWAL => {
                    let lease = Lease {
                        etag: claim.blob.etag.clone(),
                        until: begun + (EXPIRY - age),
                    };
                    leases.insert(partition.to_owned(), lease);
                }
                _ => writes.push(partition),
            }
        }
        let mut written = stream::iter(writes)
            .map(|partition| {
                let claim = claims.get(partition);
                async move { (partition, self.write(partition, claim).await) }
            })
            .buffer_unordered(SIDE_BY_SIDE);
        let (mut refusal, mut trouble) = (None, None);
        while let Some((partition, outcome)) = written.next().await {
            match outcome {
                Ok(Some(lease)) => {
                    leases.insert(partition.to_owned(), lease);
                }
                Ok(None) => tracing::debug!("partition {partition}: another reader was faster"),
                Err(error) if error.passes() => {
                    tracing::debug!("partition {partition} is not claimed: {error}");
                    trouble = Some(shared.error(error).to_string());
                }
                Err(error) => refusal = Some(error),
            }
        }
        drop(written);
        let free = holdings.iter().filter(|holding| holding.owner.is_none());
        let free = free.map(|holding| holding.partition.to_owned()).collect();
        let ours = leases.keys().cloned().collect();
        let mut state = shared.state();
        state.free = free;
        state.trouble = trouble;
        state
            .waiting
            .retain(|partition, _| leases.contains_key(partition));
        state.leases = leases;
        let waits = !state.waiting.is_empty();
        drop(state);
        if waits {
            // What could not be saved a while ago.
            shared.write_soon();
        }
        match refusal {
            Some(error) => Err(shared.error(error)),
            None => Ok(ours),
        }
    }

    fn trouble(&self) -> Option<String> {
        let state = self.shared.state();
        state.trouble.clone().or_else(|| state.unsaved.clone())
    }

    /// Writes the checkpoints that still wait, then gives back all that is held.
    async fn release(&self, _: &[String]) -> Result<(), SharingError> {
        let shared = &self.shared;
        let end = shared.client.clock().now() + RELEASE;
        let clock = shared.client.clock();
        let saved = clock.timeout_at(end, shared.write_waiting()).await;
        if saved.is_err() {
            tracing::warn!(
                "checkpoints of this hub are not saved: the store does not answer in time"
            );
        }
        let leases = std::mem::take(&mut shared.state().leases);
        let give_back = |(partition, lease): (String, Lease)| async move {
            let name = shared.name("ownership", &partition);
            let client = &shared.client;
            let condition = If::Match(&lease.etag);
            client
                .set_metadata(&shared.container, &name, &[("ownerid", "")], condition)
                .await
        };
        let given = stream::iter(leases)
            .map(give_back)
            .buffer_unordered(SIDE_BY_SIDE);
        let given = clock.timeout_at(end, given.collect::<Vec<_>>()).await;
        let failed = given.unwrap_or_default().into_iter().find_map(Result::err);
        failed.map_or(Ok(()), |error| Err(shared.error(error)))
    }
}

impl Shared {
    /// Sees to it that what waits is written, by a task of its own.
    fn write_soon(self: &Arc<Self>) {
        if self.awaited.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            shared.awaited.store(false, Ordering::Release);
            shared.write_waiting().await;
        });
    }
}

#[cfg(test)]
impl BlobOwnership {
    pub fn shared_writes(&self) -> u64 {
        self.shared.client.costs().writes
    }

    pub async fn wait(&self, span: Duration) {
        self.shared.client.clock().sleep(span).await;
    }
}
