//! What other clients left in a container: claims and checkpoints of one consumer group,
//! in whatever case its names were written. Nothing is written.

use super::checkpoints::{is_none, position};
use super::{Claim, Group};
use crate::ingest::Instant;
use crate::ingest::stream::Position;
use crate::microsoft::azure::storage::client::BlobClient;
use crate::microsoft::azure::storage::error::StorageError;
use crate::microsoft::azure::storage::listing::Blob;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Lists of 5000 blobs that are gone through.
const MOST_LISTS: usize = 40;
/// A claim that was renewed within this time belongs to a client that reads: Microsoft's
/// Python client takes that long.
const ALIVE: Duration = Duration::from_secs(180);

/// What lies in a container for a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// By partition, the one written last first.
    pub left: Vec<LeftPosition>,
    /// Groups there are besides: `namespace/hub/group`.
    pub others: BTreeSet<String>,
}

/// A position somebody left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftPosition {
    pub partition: String,
    /// None where a claim alone lies there, or a checkpoint that says nothing.
    pub position: Option<Position>,
    /// Why a checkpoint cannot be read.
    pub unreadable: Option<String>,
    /// How long ago the checkpoint was written.
    pub age: Option<Duration>,
    /// Who claimed the partition last, and how long ago.
    pub owner: Option<String>,
    pub claimed: Option<Duration>,
    /// Names with capitals: a client that looks for lower case does not see them.
    pub has_capitals: bool,
}

impl LeftPosition {
    /// Whether a client still reads the partition.
    pub fn is_read(&self) -> bool {
        self.owner.is_some() && self.claimed.is_none_or(|age| age < ALIVE)
    }
}

/// # Errors
/// If the container cannot be listed.
pub async fn survey(
    client: &BlobClient,
    container: &str,
    group: &Group,
) -> Result<Survey, StorageError> {
    let (mut blobs, mut now) = (Vec::new(), None);
    let mut marker: Option<String> = None;
    for _ in 0..MOST_LISTS {
        let listed = client.blobs(container, "", marker.as_deref(), true).await?;
        now = listed.now.or(now);
        blobs.extend(listed.part.found);
        marker = listed.part.next;
        if marker.is_none() {
            break;
        }
    }
    if marker.is_some() {
        tracing::warn!(
            "container {container} holds more blobs than are looked at ({}): use one for checkpoints alone",
            blobs.len()
        );
    }
    Ok(sorted(blobs, now, group))
}

fn sorted(blobs: Vec<Blob>, now: Option<Instant>, group: &Group) -> Survey {
    let mut survey = Survey::default();
    // By partition and by how the group was written.
    let mut found: BTreeMap<(String, String), (Option<Blob>, Option<Blob>)> = BTreeMap::new();
    let wanted = [&group.namespace, &group.hub, &group.consumer_group];
    for blob in blobs {
        let Some((names, kind, partition)) = parts(&blob.name) else {
            continue;
        };
        let written = names.join("/");
        let is_it = std::iter::zip(names, wanted).all(|(name, of)| name.eq_ignore_ascii_case(of));
        if !is_it {
            survey.others.insert(written);
            continue;
        }
        let is_checkpoint = kind == "checkpoint";
        let (checkpoint, claim) = found.entry((partition.to_owned(), written)).or_default();
        match is_checkpoint {
            true => *checkpoint = Some(blob),
            false => *claim = Some(blob),
        }
    }
    for ((partition, written), (checkpoint, claim)) in found {
        let read = checkpoint.as_ref().map(|blob| position(&blob.metadata));
        let claim = claim.as_ref().map(|blob| Claim::of(blob, now));
        let owner = |claim: &Claim<'_>| {
            let owner = claim.blob.metadata.get("ownerid")?.trim();
            (!is_none(owner)).then(|| owner.to_owned())
        };
        survey.left.push(LeftPosition {
            partition,
            unreadable: read.as_ref().and_then(|read| read.clone().err()),
            position: read.and_then(Result::ok).flatten(),
            age: checkpoint.and_then(|blob| Claim::of(&blob, now).age),
            owner: claim.as_ref().and_then(owner),
            claimed: claim.and_then(|claim| claim.age),
            has_capitals: written.chars().any(char::is_uppercase),
        });
    }
    let key = |one: &LeftPosition| {
        let number = one.partition.parse().unwrap_or(u32::MAX);
        let age = one.age.unwrap_or(Duration::MAX);
        (number, one.partition.clone(), age)
    };
    survey.left.sort_by_key(key);
    survey
}

/// `<namespace>/<hub>/<group>/<kind>/<partition>`.
fn parts(name: &str) -> Option<([&str; 3], &str, &str)> {
    let mut parts = name.split('/');
    let names = [parts.next()?, parts.next()?, parts.next()?];
    let (kind, partition) = (parts.next()?, parts.next()?);
    let fits = matches!(kind, "checkpoint" | "ownership") && !partition.is_empty();
    (fits && parts.next().is_none()).then_some((names, kind, partition))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::microsoft::azure::storage::listing::ETag;
    use proptest::prelude::*;

    const NOW: Instant = Instant::from_millis(1_700_000_000_000);

    fn blob(name: &str, ago: u64, metadata: &[(&str, &str)]) -> Blob {
        Blob {
            name: name.to_owned(),
            size: 0,
            etag: ETag(String::new()),
            modified: Some(NOW.minus(Duration::from_secs(ago))),
            created: None,
            append: false,
            metadata: metadata
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    fn group() -> Group {
        Group {
            namespace: "contoso.servicebus.windows.net".to_owned(),
            hub: "Insights".to_owned(),
            consumer_group: "$Default".to_owned(),
        }
    }

    #[test]
    fn what_each_client_left_is_read_on_its_own() {
        let place = "contoso.servicebus.windows.net/insights/$default";
        let kept = "Contoso.servicebus.windows.net/Insights/$Default";
        let read = [("sequencenumber", "41"), ("offset", "4100")];
        let blobs = vec![
            blob(&format!("{place}/checkpoint/10"), 30, &read),
            blob(&format!("{place}/ownership/10"), 20, &[("ownerid", "py")]),
            blob(
                &format!("{place}/checkpoint/2"),
                400,
                &[("offset", "7"), ("sequencenumber", "None")],
            ),
            blob(&format!("{place}/ownership/2"), 400, &[("ownerid", "js")]),
            blob(
                &format!("{place}/checkpoint/3"),
                5,
                &[("sequencenumber", "x")],
            ),
            blob(&format!("{place}/ownership/4"), 5, &[("ownerid", "")]),
            blob(&format!("{kept}/checkpoint/2"), 90, &read),
            blob(
                "contoso.servicebus.windows.net/insights/siem/checkpoint/0",
                1,
                &read,
            ),
            blob("notes/of/somebody", 1, &[]),
            blob(&format!("{place}/checkpoint/"), 1, &read),
        ];
        let survey = sorted(blobs, Some(NOW), &group());
        let told: Vec<String> = survey
            .left
            .iter()
            .map(|one| {
                format!(
                    "{} {:?} {:?} {} {} {}",
                    one.partition,
                    one.position
                        .as_ref()
                        .map(|it| (it.sequence, it.offset.as_deref())),
                    one.unreadable,
                    one.owner.as_deref().unwrap_or("-"),
                    one.is_read(),
                    one.has_capitals
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                // The one written last comes first.
                "2 Some((Some(41), Some(\"4100\"))) None - false true",
                "2 Some((None, Some(\"7\"))) None js false false",
                "3 None Some(\"sequencenumber x\") - false false",
                "4 None None - false false",
                "10 Some((Some(41), Some(\"4100\"))) None py true false",
            ]
        );
        assert_eq!(
            survey.others.into_iter().collect::<Vec<_>>(),
            ["contoso.servicebus.windows.net/insights/siem"]
        );
    }

    proptest! {
        #[test]
        fn no_name_and_no_metadata_make_it_fall(names in proptest::collection::vec("[a-c$/]{0,12}|\\PC{0,20}", 0..20), value in "\\PC{0,20}") {
            let metadata = [("sequencenumber", value.as_str()), ("ownerid", value.as_str())];
            let blobs = names.iter().map(|name| blob(name, 1, &metadata)).collect();
            let survey = sorted(blobs, None, &group());
            prop_assert!(survey.left.len() + survey.others.len() <= names.len());
        }
    }
}
