//! What `defendercheck` tells of a storage account: every step is a real call, so that a
//! missing role is told from an account in which nothing lies yet.

use super::{RANGE, all_containers, named};
use crate::microsoft::azure::records::Tables;
use crate::microsoft::azure::storage::client::BlobClient;
use crate::microsoft::azure::storage::error::StorageError;

/// Clocks farther apart than that confuse sign-in and signatures (seconds).
const SKEW: u64 = 300;

/// How a step of the check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Good,
    /// Worth a look.
    Doubtful,
    Bad,
}

/// A step of the check, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub step: &'static str,
    pub outcome: Outcome,
    pub text: String,
}

const CONTAINERS: &str = "containers";
const BLOBS: &str = "blobs";
const READING: &str = "reading";
const CLOCK: &str = "clock";

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, step: &'static str, outcome: Outcome, text: String) {
        self.0.push(Finding {
            step,
            outcome,
            text,
        });
    }
}

/// Lists, and reads one blob.
pub async fn probe(client: &BlobClient, tables: &Tables) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    if let Some(containers) = containers(client, tables, &mut findings).await {
        blobs(client, &containers, &mut findings).await;
    }
    if let Some(skew) = client.skew() {
        let off = skew.unsigned_abs();
        match off > SKEW {
            true => findings.add(
                CLOCK,
                Outcome::Bad,
                format!("the clock of this host is {off} s off: set it by NTP"),
            ),
            false => findings.add(
                CLOCK,
                Outcome::Good,
                format!("within {off} s of the service's"),
            ),
        }
    }
    findings.0
}

async fn containers(
    client: &BlobClient,
    tables: &Tables,
    findings: &mut Findings,
) -> Option<Vec<String>> {
    let named = named(tables);
    if !named.is_empty() {
        return Some(named);
    }
    match all_containers(client).await {
        Ok(found) if found.is_empty() => {
            let text = "none of Defender's yet: turn on streaming to this account in the Defender portal (Settings, \
                        Streaming API); a container comes with the first record of its table, within a day";
            findings.add(CONTAINERS, Outcome::Doubtful, text.to_owned());
            None
        }
        Ok(found) => {
            findings.add(
                CONTAINERS,
                Outcome::Good,
                format!("{} of Defender's tables", found.len()),
            );
            Some(found)
        }
        Err(error) if error.status() == Some(403) => {
            let text = format!(
                "{error}. Whoever may read some containers alone names their tables in `tables`"
            );
            findings.add(CONTAINERS, Outcome::Bad, text);
            None
        }
        Err(error) => {
            findings.add(CONTAINERS, Outcome::Bad, error.to_string());
            None
        }
    }
}

async fn blobs(client: &BlobClient, containers: &[String], findings: &mut Findings) {
    let (mut missing, mut other, mut filled) = (Vec::new(), None, None);
    for container in containers {
        let listed = match client.blobs(container, "", None, false).await {
            Ok(listed) => listed.part.found,
            Err(error) if error.is_missing() => {
                missing.push(container.as_str());
                continue;
            }
            Err(error) => {
                findings.add(
                    BLOBS,
                    Outcome::Bad,
                    format!("container {container}: {error}"),
                );
                return;
            }
        };
        for blob in listed {
            match blob.append {
                true if blob.size > 0 => filled = Some((container, blob)),
                true => {}
                false => other = Some((container, blob.name)),
            }
        }
        if filled.is_some() {
            break;
        }
    }
    if !missing.is_empty() {
        let text = format!(
            "not there: {}. Check the names in `tables`; Defender makes a container when the table's first record comes",
            missing.join(", ")
        );
        findings.add(CONTAINERS, Outcome::Doubtful, text);
    }
    if let Some((container, name)) = other {
        let text = format!(
            "{name} in {container} is no append blob and is not read: look for what else writes there"
        );
        findings.add(BLOBS, Outcome::Doubtful, text);
    }
    let Some((container, blob)) = filled else {
        findings.add(BLOBS, Outcome::Doubtful, "no records yet".to_owned());
        return;
    };
    let from = blob
        .size
        .saturating_sub(u64::try_from(RANGE).unwrap_or(u64::MAX).min(1024));
    match client.read(container, &blob.name, from, 1024).await {
        Ok(range) => {
            let text = format!(
                "{} bytes of {} in {container}",
                range.bytes.len(),
                blob.name
            );
            findings.add(READING, Outcome::Good, text);
        }
        Err(error) => findings.add(READING, Outcome::Bad, refused(&error)),
    }
}

/// Lists may be open where blobs are not.
fn refused(error: &StorageError) -> String {
    match error.status() {
        Some(403) => format!("listed, but not to be read: {error}"),
        _ => error.to_string(),
    }
}
