//! How far a partition was read, kept between runs: a checkpoint per partition.

use super::Partition;
use crate::ingest::Instant;
use std::future::Future;
use std::io;
use std::sync::Arc;

const VERSION: u32 = 1;

/// No checkpoint is larger. A hub's offset has some 20 characters, geo-replicated some 40; a
/// container's position some six for each blob that was written to within a month.
pub const MOST_BYTES: usize = 1024 * 1024;

/// Behind one message of a partition. At least one of both is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// As the service wrote it: no number everywhere (geo-replication).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<String>,
    /// Grows with each message of the partition, within one epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// Grows with each failover to another replica, which may give numbers out again; none where
    /// there are no replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
}

impl Position {
    /// Whether nothing can be read on from here.
    pub fn is_nowhere(&self) -> bool {
        self.offset.is_none() && self.sequence.is_none()
    }

    /// Epoch and sequence number.
    pub fn numbers(&self) -> Numbers {
        (self.epoch, self.sequence)
    }

    /// Whether a message was delivered before, up to these numbers. Where the service tells no
    /// sequence numbers, nobody can say; those of an epoch that is not known are no numbers of
    /// another.
    pub fn is_within(&self, (epoch, sequence): Numbers) -> bool {
        match (sequence, self.sequence) {
            (Some(delivered), Some(sequence)) if self.epoch == epoch => sequence <= delivered,
            (Some(_), Some(_)) => {
                matches!((epoch, self.epoch), (Some(delivered), Some(epoch)) if epoch < delivered)
            }
            _ => false,
        }
    }
}

/// Epoch and sequence number, as far as they are known.
pub type Numbers = (Option<i64>, Option<i64>);

/// Where a partition begins that was never read.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the oldest message kept.
    Earliest,
    /// With the first message enqueued at this instant or later.
    At(Instant),
}

/// Where a reader begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFrom {
    Start(Start),
    /// With the message behind this position.
    After(Position),
}

/// What is kept of one partition.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    version: u32,
    /// Which log this is (feed, host, name, consumer group): a checkpoint serves no other.
    log: String,
    partition: String,
    /// When the log was created: one made anew under its name counts from the start again.
    created: Option<Instant>,
    /// Where the log was begun: a partition added later begins there too.
    pub start: Start,
    pub position: Option<Position>,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error(
        "its checkpoint cannot be read ({0}). It is not taken for empty: restore it from a backup, or \
         delete it to read again from `start` (which delivers old records once more)"
    )]
    Broken(#[source] serde_json::Error),
    #[error("its checkpoint has neither offset nor sequence number. {DELETE}")]
    NoPosition,
    #[error("its checkpoint has {0} bytes, more than the {MOST_BYTES} one can have. {DELETE}")]
    TooLong(usize),
    #[error(
        "its checkpoint was written by another version of Defender Bridge (layout {0}; this one reads \
         layout {VERSION}). Install that version again, or delete it to read again from `start`"
    )]
    OtherVersion(u32),
    #[error(
        "its checkpoint belongs to another log ({found}; this stanza reads {wanted}). Give the changed \
         input a new name, or delete the checkpoint to read again from `start`"
    )]
    OtherLog { found: String, wanted: String },
    #[error("its checkpoint is that of partition {0}. {DELETE}")]
    OtherPartition(String),
}

const DELETE: &str = "Delete it to read again from `start`";

impl Checkpoint {
    pub fn new(log: &str, partition: &Partition, start: Start) -> Self {
        Self {
            version: VERSION,
            log: log.to_owned(),
            partition: partition.id.clone(),
            created: partition.created,
            start,
            position: None,
        }
    }

    /// Reads what [`Checkpoint::text`] wrote for the same partition of the same log.
    pub fn read(text: &str, log: &str, partition: &str) -> Result<Self, CheckpointError> {
        #[derive(serde::Deserialize)]
        struct Head {
            version: u32,
        }
        if text.len() > MOST_BYTES {
            return Err(CheckpointError::TooLong(text.len()));
        }
        let Head { version } = serde_json::from_str(text).map_err(CheckpointError::Broken)?;
        if version != VERSION {
            return Err(CheckpointError::OtherVersion(version));
        }
        let checkpoint: Self = serde_json::from_str(text).map_err(CheckpointError::Broken)?;
        if checkpoint.log != log {
            return Err(CheckpointError::OtherLog {
                found: checkpoint.log,
                wanted: log.to_owned(),
            });
        }
        if checkpoint.partition != partition {
            return Err(CheckpointError::OtherPartition(checkpoint.partition));
        }
        if checkpoint
            .position
            .as_ref()
            .is_some_and(Position::is_nowhere)
        {
            return Err(CheckpointError::NoPosition);
        }
        Ok(checkpoint)
    }

    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// When the log was created, where the service told.
    pub fn created(&self) -> Option<Instant> {
        self.created
    }

    /// Where a reader goes on.
    pub fn read_from(&self) -> ReadFrom {
        match &self.position {
            Some(position) => ReadFrom::After(position.clone()),
            None => ReadFrom::Start(self.start),
        }
    }

    /// Whether it is that of a log that has since been deleted and made anew.
    pub fn is_of_another(&self, partition: &Partition) -> bool {
        matches!((self.created, partition.created), (Some(then), Some(now)) if then != now)
    }

    /// Begins again with the oldest message there is.
    pub fn begin_again(&mut self, partition: &Partition) {
        self.created = partition.created;
        self.start = Start::Earliest;
        self.position = None;
    }

    /// The one that was read further, of two for the same partition.
    pub fn further(self, other: Self) -> Self {
        let reached = |of: &Self| of.position.as_ref().map(Position::numbers);
        match other.position.is_some() && reached(&other) >= reached(&self) {
            true => other,
            false => self,
        }
    }
}

/// A text kept, and the partition it was kept for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub partition: String,
    pub text: String,
}

/// Where checkpoints are kept between runs.
///
/// `note` and `save` block; they are called in the background, after the flush.
pub trait PositionStore: Send + Sync + 'static {
    /// All that is kept of the log. A partition noted and saved is there twice.
    fn load(&self) -> impl Future<Output = io::Result<Vec<Kept>>>;

    /// Keeps a checkpoint where this machine finds it after the process was
    /// killed. Comes with every batch, so it has to be cheap; may do nothing.
    fn note(&self, partition: &str, text: &str) -> io::Result<()>;

    /// Keeps a checkpoint for good, also for other machines. Comes at intervals and
    /// at the stop. A partition that another machine has taken meanwhile is passed over.
    fn save(&self, partition: &str, text: &str) -> io::Result<()>;

    /// Comes behind the saves of one delivery: returns once all of them are kept.
    fn commit(&self) -> io::Result<()> {
        Ok(())
    }

    /// Comes once a round with all partitions there are: what is kept of others may be
    /// forgotten, though not at once, since a listing may be incomplete.
    fn listed(&self, _partitions: &[Partition]) {}
}

/// One store for two: a process holds it in several hands.
impl<S: PositionStore> PositionStore for Arc<S> {
    async fn load(&self) -> io::Result<Vec<Kept>> {
        S::load(self).await
    }

    fn note(&self, partition: &str, text: &str) -> io::Result<()> {
        S::note(self, partition, text)
    }

    fn save(&self, partition: &str, text: &str) -> io::Result<()> {
        S::save(self, partition, text)
    }

    fn commit(&self) -> io::Result<()> {
        S::commit(self)
    }

    fn listed(&self, partitions: &[Partition]) {
        S::listed(self, partitions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOG: &str = "event_hub contoso.servicebus.windows.net/insights $Default";

    fn partition(created: i64) -> Partition {
        Partition {
            id: "3".to_owned(),
            created: Some(Instant::from_millis(created)),
        }
    }

    fn at(sequence: Option<i64>) -> Checkpoint {
        Checkpoint {
            position: sequence.map(|sequence| Position {
                offset: Some(format!("0:{sequence}:7")),
                sequence: Some(sequence),
                epoch: None,
            }),
            ..Checkpoint::new(LOG, &partition(1), Start::Earliest)
        }
    }

    #[test]
    fn a_checkpoint_is_text_that_people_can_read() {
        assert_eq!(
            at(Some(17)).text().unwrap(),
            "{\"version\":1,\"log\":\"event_hub contoso.servicebus.windows.net/insights $Default\",\
             \"partition\":\"3\",\"created\":\"1970-01-01T00:00:00.0010000Z\",\"start\":\"earliest\",\
             \"position\":{\"offset\":\"0:17:7\",\"sequence\":17}}"
        );
    }

    #[test]
    fn what_is_no_checkpoint_of_this_partition_is_refused_with_advice() {
        let text = at(Some(17)).text().unwrap();
        let long = format!("{text}{}", " ".repeat(MOST_BYTES));
        for (text, words) in [
            ("", "cannot be read"),
            ("null", "cannot be read"),
            ("{\"version\":1}", "cannot be read"),
            (&text.replace("17}", "17,\"x\":1}"), "delete it"),
            (&text.replace("\"version\":1", "\"version\":2"), "layout 2"),
            (&text.replace("insights", "other"), "another log"),
            (&text.replace("\"3\"", "\"4\""), "partition 4"),
            (
                &text.replace("{\"offset\":\"0:17:7\",\"sequence\":17}", "{}"),
                "neither",
            ),
            (&long, "bytes"),
        ] {
            let error = Checkpoint::read(text, LOG, "3").unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
            assert!(error.to_lowercase().contains("delete"), "{error}");
        }
    }

    #[test]
    fn of_two_checkpoints_the_one_read_further_counts() {
        let (none, some, more) = (at(None), at(Some(3)), at(Some(4)));
        for (one, other, further) in [
            (&none, &some, &some),
            (&some, &none, &some),
            (&some, &more, &more),
            (&more, &some, &more),
        ] {
            assert_eq!(&one.clone().further(other.clone()), further);
        }
    }

    fn behind(epoch: Option<i64>, sequence: i64) -> Position {
        Position {
            offset: Some(format!("{epoch:?}:{sequence}")),
            sequence: Some(sequence),
            epoch,
        }
    }

    #[test]
    fn numbers_that_a_failover_gives_out_again_are_no_repeats() {
        let reached = |epoch, sequence| Checkpoint {
            position: Some(behind(epoch, sequence)),
            ..at(None)
        };
        for (delivered, message, repeat) in [
            ((None, 9), (None, 9), true),
            ((None, 9), (None, 10), false),
            ((Some(1), 9), (Some(1), 9), true),
            ((Some(1), 9), (Some(2), 5), false),
            ((Some(2), 5), (Some(1), 9), true),
            // The checkpoint of another client has no epoch, nor has a hub without replicas.
            ((None, 9), (Some(2), 5), false),
            ((Some(2), 9), (None, 5), false),
        ] {
            let message_at = behind(message.0, message.1);
            let is_within = message_at.is_within((delivered.0, Some(delivered.1)));
            assert_eq!(is_within, repeat, "{delivered:?} {message:?}");
        }
        let (before, after) = (reached(Some(1), 9), reached(Some(2), 5));
        assert_eq!(before.clone().further(after.clone()), after);
        assert_eq!(after.clone().further(before), after);
        let text = after.text().unwrap();
        assert!(text.contains("\"epoch\":2"), "{text}");
        assert_eq!(Checkpoint::read(&text, LOG, "3").unwrap(), after);
    }

    #[test]
    fn a_log_made_anew_is_told_by_its_creation_and_read_from_its_oldest_message() {
        let mut checkpoint = at(Some(17));
        assert!(!checkpoint.is_of_another(&partition(1)));
        assert!(!checkpoint.is_of_another(&Partition {
            created: None,
            ..partition(1)
        }));
        assert!(checkpoint.is_of_another(&partition(2)));
        checkpoint.begin_again(&partition(2));
        assert_eq!(checkpoint.read_from(), ReadFrom::Start(Start::Earliest));
        assert!(!checkpoint.is_of_another(&partition(2)));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}") {
            prop_assert!(Checkpoint::read(&text, LOG, "3").is_err());
        }

        #[test]
        fn what_is_written_reads_back(
            offset in proptest::option::of("[ -~]{0,40}"),
            sequence in any::<i64>(),
            start in proptest::option::of(0_i64..4_000_000_000_000),
            epoch in proptest::option::of(any::<i64>()),
        ) {
            let checkpoint = Checkpoint {
                start: start.map_or(Start::Earliest, |at| Start::At(Instant::from_millis(at))),
                position: Some(Position { offset, sequence: Some(sequence), epoch }),
                ..at(None)
            };
            let text = checkpoint.text().unwrap();
            prop_assert_eq!(Checkpoint::read(&text, LOG, "3").unwrap(), checkpoint);
        }
    }
}
