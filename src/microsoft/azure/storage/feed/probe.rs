//! What `defendercheck` tells of a storage account: every step is a real call, so that a
//! missing role is told from an account in which nothing lies yet.

use super::{PREFIX, RANGE, all_containers, named};
use crate::microsoft::account::Account;
use crate::microsoft::azure::dial::{Dialer, Place};
use crate::microsoft::azure::finding::Findings;
use crate::microsoft::azure::records::Tables;
use crate::microsoft::azure::storage::client::BlobClient;
use url::Url;

const CONTAINERS: &str = "containers";
const BLOBS: &str = "blobs";
const READING: &str = "reading";
/// Tables named one by one.
const MOST_NAMED: usize = 60;
const STREAMING: &str = "turn on streaming to this account in the Defender portal (Settings, Microsoft Defender XDR, \
                         Streaming API); a container comes with the first record of its table, within a day";

/// Whether there is a way to the address; a finding for each step.
pub async fn reach(account: &Account, at: &Url, findings: &mut Findings) -> bool {
    let host = at.host_str().unwrap_or_default();
    let place = Place {
        host: host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned(),
        port: at.port_or_known_default().unwrap_or(443),
        plain: at.scheme() == "http",
        blocked: None,
        strange: "check storage_account, and what answers under this name",
    };
    match Dialer::new(account, place) {
        Ok(dialer) => dialer.dial_telling(findings).await.is_ok(),
        Err(no_way) => {
            findings.add(no_way.finding());
            false
        }
    }
}

/// Signs in.
pub async fn sign_in(client: &BlobClient, findings: &mut Findings) -> bool {
    match client.sign_in().await {
        Ok(how) => findings.good("sign-in", how),
        Err(error) => findings.bad("sign-in", error.what(), error.advice()),
    }
    findings.are_well()
}

/// Lists, and reads one blob.
pub async fn probe(client: &BlobClient, tables: &Tables, findings: &mut Findings) {
    if let Some(containers) = containers(client, tables, findings).await {
        blobs(client, &containers, findings).await;
    }
    if let Some(ahead) = client.skew() {
        findings.clock(ahead);
    }
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
            findings.doubtful(CONTAINERS, "none of Defender's yet", STREAMING);
            None
        }
        Ok(found) => {
            let tables = found.iter().filter_map(|name| name.strip_prefix(PREFIX));
            let tables: Vec<&str> = tables.take(MOST_NAMED).collect();
            let more = match found.len().saturating_sub(tables.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let text = format!(
                "{} of Defender's tables: {}{more}",
                found.len(),
                tables.join(", ")
            );
            findings.good(CONTAINERS, text);
            Some(found)
        }
        Err(error) if error.status() == Some(403) => {
            let advice = error.advice().unwrap_or_default();
            let advice = format!(
                "{advice}. Whoever may read some containers alone names their tables in `tables`"
            );
            findings.bad("role", error.what(), Some(&advice));
            None
        }
        Err(error) => {
            findings.bad(CONTAINERS, error.what(), error.advice());
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
                let step = match error.status() {
                    Some(403) => "role",
                    _ => BLOBS,
                };
                let text = format!("container {container}: {}", error.what());
                findings.bad(step, text, error.advice());
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
        findings.doubtful(
            CONTAINERS,
            format!("not there: {}", missing.join(", ")),
            "check the names in `tables`; Defender makes a container when the table's first record comes",
        );
    }
    if let Some((container, name)) = other {
        findings.doubtful(
            BLOBS,
            format!("{name} in {container} is no append blob and is not read"),
            "look for what else writes there",
        );
    }
    let Some((container, blob)) = filled else {
        findings.doubtful(
            BLOBS,
            "no records yet",
            "wait, or look whether streaming is on",
        );
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
            findings.good(READING, text);
            findings.good("role", "reading is allowed");
        }
        // Lists may be open where blobs are not.
        Err(error) if error.status() == Some(403) => {
            let text = format!("listed, but not to be read: {}", error.what());
            findings.bad("role", text, error.advice());
        }
        Err(error) => findings.bad(READING, error.what(), error.advice()),
    }
}
