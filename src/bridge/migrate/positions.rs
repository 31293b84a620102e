//! The positions that Microsoft's clients, and add-ons built on them, left in a blob
//! container, against what our input would start from.

use crate::bridge::input::settings::{Log, StreamInput};
use crate::bridge::input::stream::Source;
use crate::ingest::Instant;
use crate::ingest::stream::{Begin, Checkpoint, Partition, Position, PositionStore, Start};
use crate::microsoft::azure::event_hub::{EventHub, PartitionProperties};
use crate::microsoft::azure::storage::BlobClient;
use crate::microsoft::azure::storage::ownership::{Group, LeftPosition, survey};
use crate::splunk::modular_input::position_file::{self, PositionFile};
use anyhow::{anyhow, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What becomes of each partition.
pub struct Plan {
    pub rows: Vec<Row>,
    /// Other groups whose checkpoints lie in the container.
    pub others: BTreeSet<String>,
    /// Which log this is, as its positions name it.
    log: String,
    start: Start,
}

/// One partition of the hub.
pub struct Row {
    partition: Partition,
    pub hub: PartitionProperties,
    /// What others left, the one written last first.
    pub left: Vec<LeftPosition>,
    /// Where our input is.
    pub ours: Option<i64>,
    pub fate: Fate,
}

/// Where our input goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Behind the position that was left.
    TakenOver(Position),
    /// Where it is: it has run already.
    Ours,
    /// At `start`: nothing was left.
    Begun,
    /// Nowhere: what is to be decided first.
    Open(String),
}

impl Plan {
    /// Looks at the container and the hub, and writes nothing. `folder` and `name`: where
    /// our input keeps its positions, and what it is called.
    pub async fn of(
        source: &Source,
        settings: &StreamInput,
        container: (&BlobClient, &str),
        place: (&Path, &str),
    ) -> anyhow::Result<Self> {
        let (Source::EventHub(hub, _), Log::EventHub(_)) = (source, &settings.log) else {
            bail!("--feed: positions are taken over for event_hub alone");
        };
        let start = match settings.begin {
            Begin::Earliest => Start::Earliest,
            Begin::At(instant) => Start::At(instant),
            Begin::Latest => Start::At(Instant::from(jiff::Timestamp::now())),
        };
        let of = hub.settings();
        let group = Group {
            namespace: of.host.clone(),
            hub: of.hub.clone(),
            consumer_group: of.consumer_group.clone(),
        };
        let (client, name) = container;
        let surveyed = survey(client, name, &group)
            .await
            .map_err(|error| anyhow!("container {name} of {}: {error}", client.host()))?;
        let mut left: BTreeMap<String, Vec<LeftPosition>> = BTreeMap::new();
        for one in surveyed.left {
            left.entry(one.partition.clone()).or_default().push(one);
        }
        let log = source.log();
        let ours = kept(&log, place);
        let rows = rows(hub, left, &ours).await;
        hub.close().await;
        Ok(Self {
            rows: rows?,
            others: surveyed.others,
            log,
            start,
        })
    }

    /// Writes our input's positions; how many. Nothing is written unless all can be.
    pub async fn apply(&self, (folder, name): (&Path, &str)) -> anyhow::Result<usize> {
        if let Some((row, why)) = self.rows.iter().find_map(|row| match &row.fate {
            Fate::Open(why) => Some((row, why)),
            _ => None,
        }) {
            bail!("partition {}: {why}. Nothing was written", row.partition.id);
        }
        // Locked: an input that runs has its own.
        let file = PositionFile::open(folder, name)?;
        let mut written = 0;
        for row in &self.rows {
            let position = match &row.fate {
                Fate::TakenOver(position) => Some(position.clone()),
                Fate::Begun => None,
                Fate::Ours | Fate::Open(_) => continue,
            };
            let mut checkpoint = Checkpoint::new(&self.log, &row.partition, self.start);
            checkpoint.position = position;
            file.save(&row.partition.id, &checkpoint.text()?)?;
            written += 1;
        }
        file.commit()?;
        Ok(written)
    }
}

/// The sequence number our input has delivered of each partition.
fn kept(log: &str, (folder, name): (&Path, &str)) -> BTreeMap<String, Option<i64>> {
    let kept = position_file::look(folder, name).into_iter();
    let read = kept.filter_map(|kept| {
        let checkpoint = Checkpoint::read(&kept.text, log, &kept.partition).ok()?;
        let sequence = checkpoint.position.and_then(|position| position.sequence);
        Some((kept.partition, sequence))
    });
    read.collect()
}

async fn rows(
    hub: &EventHub,
    mut left: BTreeMap<String, Vec<LeftPosition>>,
    ours: &BTreeMap<String, Option<i64>>,
) -> anyhow::Result<Vec<Row>> {
    let properties = hub.properties().await?;
    let mut rows = Vec::with_capacity(properties.partitions.len());
    for id in properties.partitions {
        let told = hub.partition(&id).await?;
        let left = left.remove(&id.to_lowercase()).unwrap_or_default();
        let known = ours.get(&id);
        rows.push(Row {
            fate: fate(&left, &told, known.is_some()),
            ours: known.copied().flatten(),
            left,
            hub: told,
            partition: Partition {
                id,
                created: properties.created,
            },
        });
    }
    Ok(rows)
}

impl Row {
    pub fn partition(&self) -> &str {
        &self.partition.id
    }

    /// How many messages lie behind where our input goes on.
    pub fn waits(&self) -> Option<i64> {
        let read = match &self.fate {
            Fate::TakenOver(position) => position.sequence?,
            Fate::Ours => self.ours?,
            Fate::Begun | Fate::Open(_) => return None,
        };
        Some(self.hub.last_sequence?.saturating_sub(read).max(0))
    }
}

fn fate(left: &[LeftPosition], told: &PartitionProperties, is_ours: bool) -> Fate {
    if is_ours {
        return Fate::Ours;
    }
    if let Some(reader) = left.iter().find(|one| one.is_read()) {
        let owner = reader.owner.as_deref().unwrap_or_default();
        return Fate::Open(format!(
            "{owner} still reads it: stop that client first, or it and our input deliver the same"
        ));
    }
    let mut read = left.iter();
    let Some(newest) = read.find(|one| one.position.is_some() || one.unreadable.is_some()) else {
        return Fate::Begun;
    };
    match (&newest.position, &newest.unreadable) {
        (Some(position), _) => match (position.sequence, told.last_sequence) {
            (Some(sequence), Some(last)) if sequence > last => Fate::Open(format!(
                "the position left ({sequence}) lies behind the hub's last message ({last}): the hub was made anew, \
                 or it is another; delete the blob to read from the beginning"
            )),
            _ => Fate::TakenOver(position.clone()),
        },
        (None, why) => Fate::Open(format!(
            "its checkpoint cannot be read ({}): mend the blob, or delete it to begin at --start",
            why.as_deref().unwrap_or_default()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn told(last: i64) -> PartitionProperties {
        PartitionProperties {
            id: "0".to_owned(),
            first_sequence: Some(0),
            first_epoch: None,
            last_epoch: None,
            last_sequence: Some(last),
            last_offset: None,
            last_enqueued: None,
            is_empty: Some(false),
        }
    }

    fn left(sequence: Option<i64>) -> LeftPosition {
        LeftPosition {
            partition: "0".to_owned(),
            position: sequence.map(|sequence| Position {
                offset: Some("7".to_owned()),
                sequence: Some(sequence),
                epoch: None,
            }),
            unreadable: None,
            age: Some(Duration::from_secs(60)),
            owner: None,
            claimed: None,
            has_capitals: false,
        }
    }

    #[test]
    fn only_what_is_sure_is_taken_over() {
        let position = |sequence| left(Some(sequence)).position.unwrap();
        assert_eq!(
            fate(&[left(Some(5))], &told(9), false),
            Fate::TakenOver(position(5))
        );
        // The one written last counts.
        assert_eq!(
            fate(&[left(None), left(Some(4)), left(Some(5))], &told(9), false),
            Fate::TakenOver(position(4))
        );
        assert_eq!(fate(&[left(Some(5))], &told(9), true), Fate::Ours);
        assert_eq!(fate(&[], &told(9), false), Fate::Begun);
        assert_eq!(fate(&[left(None)], &told(9), false), Fate::Begun);
        let open = |one: LeftPosition, word: &str| match fate(&[one], &told(9), false) {
            Fate::Open(why) => assert!(why.contains(word), "{why}"),
            other => panic!("{other:?}"),
        };
        open(left(Some(10)), "made anew");
        let broken = LeftPosition {
            unreadable: Some("sequencenumber x".to_owned()),
            ..left(None)
        };
        open(broken, "sequencenumber x");
        let read = LeftPosition {
            owner: Some("reader-7".to_owned()),
            claimed: Some(Duration::from_secs(20)),
            ..left(Some(5))
        };
        open(read.clone(), "reader-7 still reads");
        let stopped = LeftPosition {
            claimed: Some(Duration::from_secs(200)),
            ..read
        };
        assert_eq!(
            fate(&[stopped], &told(9), false),
            Fate::TakenOver(position(5))
        );
    }
}
