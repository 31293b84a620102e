//! A look at a hub, step by step: everything a reader needs, and what lies there. Nothing
//! is taken from anybody, and no position moves.

use super::error::{Error, Phase};
use super::properties::PartitionProperties;
use super::reader::Reader;
use super::{EventHub, position};
use crate::ingest::stream::{LogError, LogErrorClass, PartitionReader, Position, ReadFrom};
use crate::microsoft::azure::finding::Findings;
use crate::microsoft::azure::records::table;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Partitions told apart.
const MOST_PARTITIONS: usize = 32;
/// Tables are looked for in so many messages of so many partitions, for so long.
const MESSAGES: i64 = 20;
const LOOKED_INTO: usize = 8;
const PATIENCE: Duration = Duration::from_secs(5);
const BYTES: usize = 1 << 20;

const STREAMING: &str = "turn on streaming to this hub in the Defender portal (Settings, Microsoft Defender XDR, \
                         Streaming API); events come within minutes";

/// What a look at a hub found.
#[derive(Debug, Default)]
pub struct Seen {
    pub findings: Findings,
    pub partitions: Vec<PartitionProperties>,
    /// Of the group, another reader has a partition for itself.
    pub held: bool,
}

impl EventHub {
    /// Looks at everything a reader needs, up to the first that fails, and reads nothing.
    /// `positions`: sequence number of the last message delivered of each partition, as
    /// far as it is known.
    pub async fn examine(&self, positions: &BTreeMap<String, i64>) -> Seen {
        let mut seen = Seen::default();
        if self.hub.dialer.examine(&mut seen.findings).await
            && let Err((step, error)) = self.look(&mut seen, positions).await
        {
            seen.findings.add(error.finding(step));
        }
        seen
    }

    async fn look(
        &self,
        seen: &mut Seen,
        positions: &BTreeMap<String, i64>,
    ) -> Result<(), (&'static str, Error)> {
        let hub = &self.hub;
        let findings = &mut seen.findings;
        let passed = hub.credential.pass(&hub.settings.audience()).await;
        let skew = hub.credential.skew();
        if let Some(ahead) = skew {
            findings.clock(ahead);
        }
        passed.map_err(|error| ("sign-in", error))?;
        findings.good("sign-in", hub.credential.shown());
        let named = self.properties().await.map_err(|error| ("hub", error))?;
        if !hub.credential.renews() {
            // The hub has compared our signature's times with its own.
            findings.good("clock", "the hub takes what this host has signed by it");
        }
        findings.good(
            "hub",
            format!(
                "{} of {}, {} partitions{}",
                named.name.as_deref().unwrap_or(&hub.settings.hub),
                hub.settings.host,
                named.partitions.len(),
                named
                    .created
                    .map(|created| format!(", created {created}"))
                    .unwrap_or_default()
            ),
        );
        let connection = hub.connection().await.map_err(|error| ("hub", error))?;
        let group = &hub.settings.consumer_group;
        if let Some(id) = named.partitions.first() {
            const GROUP: &str = "consumer group";
            let latest = "amqp.annotation.x-opt-offset > '@latest'";
            match connection.attach_beside(id, latest).await {
                Ok(link) => {
                    link.close().await;
                    findings.good(GROUP, format!("{group} is there"));
                }
                Err(fault) => {
                    let phase = Phase::Open {
                        from_position: false,
                    };
                    let error = fault.error(&hub.place(id), phase);
                    if error.class() != LogErrorClass::Lost {
                        return Err((GROUP, error));
                    }
                    seen.held = true;
                    let text = format!("{group} is there, and another reader owns partition {id}");
                    match hub.settings.shared {
                        true => findings.good(GROUP, text + ", as readers do that share it"),
                        false => findings.doubtful(GROUP, text, super::error::STOLEN),
                    }
                }
            }
        }
        findings.good("role", "reading is allowed");
        for id in &named.partitions {
            let told = connection.partition(id).await;
            seen.partitions
                .push(told.map_err(|error| ("partitions", error))?);
        }
        tell_partitions(findings, &seen.partitions, positions);
        Ok(())
    }

    /// Which tables the newest messages hold. Reads beside whoever reads, and says nothing
    /// of partitions that others own.
    pub async fn look_for_tables(&self, seen: &mut Seen) {
        let mut tables: BTreeSet<String> = BTreeSet::new();
        let (mut messages, mut records) = (0, 0);
        let filled = seen
            .partitions
            .iter()
            .filter(|it| it.is_empty != Some(true));
        for partition in filled.take(LOOKED_INTO) {
            let Some(last) = partition.last_there() else {
                continue;
            };
            let after = (last - MESSAGES).max(partition.first_sequence.unwrap_or(0) - 1);
            let read = self.peek(&partition.id, after, last);
            match tokio::time::timeout(PATIENCE, read).await {
                Ok(Ok(found)) => {
                    messages += found.messages;
                    records += found.records;
                    tables.extend(found.tables);
                }
                Ok(Err(error)) => tracing::debug!("partition {}: {error}", partition.id),
                Err(_) => tracing::debug!("partition {}: nothing in time", partition.id),
            }
        }
        if messages == 0 {
            return;
        }
        let text = format!("in the newest {messages} messages ({records} records)");
        let findings = &mut seen.findings;
        match tables.is_empty() {
            true => findings.doubtful(
                "tables",
                format!("none {text}"),
                "check `tables`, and what else sends to this hub",
            ),
            false => {
                let names: Vec<String> = tables.into_iter().collect();
                findings.good("tables", format!("{} {text}", names.join(", ")));
            }
        }
    }

    /// Messages behind a sequence number, up to another or as many as come at once.
    async fn peek(&self, partition: &str, after: i64, last: i64) -> Result<Peeked, Error> {
        let hub = &self.hub;
        let connection = hub.connection().await?;
        let behind = Position {
            sequence: Some(after),
            ..Position::default()
        };
        let from = ReadFrom::After(behind.clone());
        let phase = Phase::Open {
            from_position: false,
        };
        let selector = position::selectors(&from, true).into_iter().next();
        let attached = connection
            .attach_beside(partition, &selector.unwrap_or_default())
            .await;
        let link = attached.map_err(|fault| fault.error(&hub.place(partition), phase))?;
        let mut reader = Reader::new(Arc::clone(hub), connection, partition, link, behind);
        let mut found = Peeked::default();
        loop {
            let batch = reader.next(BYTES).await?;
            let mut reached = batch.is_empty();
            for message in batch {
                found.messages += 1;
                found.records += message.records.len();
                reached |= message.position.sequence.is_none_or(|read| read >= last);
                let texts = message.records.iter();
                let texts = texts.filter_map(|record| message.body.get(record.span.clone()));
                found.tables.extend(texts.filter_map(table));
            }
            if reached {
                return Ok(found);
            }
        }
    }
}

#[derive(Default)]
struct Peeked {
    messages: usize,
    records: usize,
    tables: BTreeSet<String>,
}

fn tell_partitions(
    findings: &mut Findings,
    partitions: &[PartitionProperties],
    positions: &BTreeMap<String, i64>,
) {
    let is_empty = |it: &PartitionProperties| {
        it.is_empty == Some(true) || it.last_sequence.is_some_and(|last| last < 0)
    };
    if !partitions.is_empty() && partitions.iter().all(is_empty) {
        findings.doubtful(
            "messages",
            "none: nothing has come to this hub, or all of it is older than the hub keeps",
            STREAMING,
        );
        return;
    }
    for partition in partitions.iter().take(MOST_PARTITIONS) {
        let step = format!("partition {}", partition.id);
        if is_empty(partition) {
            findings.good(step, "empty");
            continue;
        }
        let mut text = match (partition.first_sequence, partition.last_sequence) {
            (Some(first), Some(last)) => format!("messages {first} to {last}"),
            (_, Some(last)) => format!("messages up to {last}"),
            _ => "has messages".to_owned(),
        };
        if let Some(at) = partition.last_enqueued {
            text += &format!(", the last one of {at}");
        }
        if let (Some(last), Some(read)) = (partition.last_sequence, positions.get(&partition.id)) {
            text += &format!(
                "; delivered up to {read}, {} wait",
                last.saturating_sub(*read).max(0)
            );
        }
        match (partition.first_sequence, positions.get(&partition.id)) {
            (Some(first), Some(read)) if first > read.saturating_add(1) => findings.doubtful(
                step,
                format!(
                    "{text}; {} were not kept until they were read",
                    first - read - 1
                ),
                "let the hub keep messages for longer (retention), or read without long pauses",
            ),
            _ => findings.good(step, text),
        }
    }
    if let Some(more) = partitions
        .len()
        .checked_sub(MOST_PARTITIONS)
        .filter(|more| *more > 0)
    {
        findings.good("partitions", format!("and {more} more"));
    }
}
