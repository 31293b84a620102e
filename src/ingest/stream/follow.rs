//! The loop: claim partitions, read them side by side, deliver, remember.
//!
//! Of each partition one batch at most is being delivered, and one more waits or
//! is being read. All batches that wait leave together, with one flush. Behind the
//! flush the position of each is noted; positions are saved at intervals and at the
//! stop. A process killed at any instant loses nothing, and repeats at most one
//! batch of each partition, or, on a machine without the notes, what came since the
//! last save.

use super::pauses::after_failures;
use super::report::told;
use super::trouble::Troubles;
use super::{
    Checkpoint, CheckpointError, Clock, Failing, Kept, LogError, LogErrorClass, Message, Ownership,
    Partition, PartitionEnd, PartitionReader, PartitionReport, PartitionedLog, Position,
    PositionStore, ReadFrom, Report, Reporter, Start, WriteReport,
};
use crate::ingest::delivery::{Delivery, DeliveryError};
use crate::ingest::tally::Delivered;
use crate::ingest::{Instant, Kind, Sink};
use futures::future::{AbortHandle, Abortable, Either, FutureExt, LocalBoxFuture, select};
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Where a log is begun that was never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    Earliest,
    /// With what is enqueued from the first run on.
    Latest,
    At(Instant),
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// Which log this is, as its checkpoints name it.
    pub log: String,
    pub begin: Begin,
    /// How often partitions are listed and claimed.
    pub round: Duration,
    /// A partition's position is saved no more often than this.
    pub save_every: Duration,
    /// Bytes of messages read and not delivered yet, beside reads under way.
    pub bytes_in_flight: usize,
    /// How often it is told how the run goes.
    pub report_every: Duration,
}

/// How long a reader is open that was not opened in vain.
const LIVED: Duration = Duration::from_secs(60);
/// What may fail beside partitions.
const ROUND: &str = "the list of partitions";
const OWNERSHIP: &str = "sharing";
/// How long a report waits for the ends of partitions.
const ENDS: Duration = Duration::from_secs(20);
/// How long the end of a run waits for a delivery that is stuck in a full pipe.
const STUCK: Duration = Duration::from_millis(700);

/// What one run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Messages delivered.
    pub messages: u64,
    #[serde(flatten)]
    pub delivered: Delivered,
    /// Messages the log gave again, passed over.
    pub repeated: u64,
    /// Readers that had to be opened anew.
    pub reconnects: u64,
    /// Calls that the service had no time for.
    pub throttles: u64,
    /// Partitions that are not read because of their checkpoint.
    pub refused: usize,
}

impl Tally {
    /// Without what was counted before; what is refused is refused still.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(before.messages),
            delivered: self.delivered.since(before.delivered),
            repeated: self.repeated.saturating_sub(before.repeated),
            reconnects: self.reconnects.saturating_sub(before.reconnects),
            throttles: self.throttles.saturating_sub(before.throttles),
            refused: self.refused,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StreamError<E: LogError, O: std::error::Error> {
    #[error("{0}")]
    Log(E),
    #[error("partition {partition}: {error}")]
    Partition { partition: String, error: E },
    #[error("{0}")]
    Ownership(O),
    #[error(
        "the checkpoints cannot be read ({0}). Nothing is read without them; make the place they are kept readable"
    )]
    Load(#[source] io::Error),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

/// Follows a log until it is asked to stop.
pub struct Follower<'f, L, O, S, C> {
    pub log: &'f L,
    pub ownership: &'f O,
    pub store: Arc<S>,
    pub clock: &'f C,
    pub settings: Settings,
}

/// What a round found.
struct Round {
    partitions: Vec<Partition>,
    ours: Vec<String>,
    /// Loaded only where a partition is ours that was not before.
    kept: Option<io::Result<Vec<Kept>>>,
}

enum RoundError<E, O> {
    Log(E),
    Ownership(O),
}

/// One step with one partition, ended: it was opened, or read.
struct Step<R, E> {
    partition: String,
    /// None where it could not be opened.
    reader: Option<R>,
    outcome: Result<Vec<Message>, E>,
}

impl<'f, L, O, S, C> Follower<'f, L, O, S, C>
where
    L: PartitionedLog,
    O: Ownership,
    S: PositionStore,
    C: Clock,
{
    /// The same, and tells nobody how the run goes.
    #[cfg(test)]
    pub async fn run<K>(
        &'f self,
        sink: K,
        stop: watch::Receiver<bool>,
        tally: &mut Tally,
    ) -> (Option<K>, Result<(), StreamError<L::Error, O::Error>>)
    where
        K: Sink + Send + 'static,
    {
        self.run_reporting(sink, stop, tally, &mut super::report::Nobody)
            .await
    }

    /// Returns the sink, unless delivering died, with the outcome. `tally` counts
    /// also what was delivered before an error. Tells at intervals how the run goes.
    pub async fn run_reporting<K>(
        &'f self,
        sink: K,
        mut stop: watch::Receiver<bool>,
        tally: &mut Tally,
        reporter: &mut dyn Reporter<K>,
    ) -> (Option<K>, Result<(), StreamError<L::Error, O::Error>>)
    where
        K: Sink + Send + 'static,
    {
        let mut run = Run {
            follower: self,
            delivery: Delivery::new(sink, self.store.clone()),
            job: None,
            lanes: BTreeMap::new(),
            steps: FuturesUnordered::new(),
            waiting: VecDeque::new(),
            ready: Vec::new(),
            held: 0,
            left: BTreeMap::new(),
            refused: BTreeSet::new(),
            begun: None,
            save_due: false,
            failures: 0,
            serial: 0,
            tally,
            reporter,
            listed: Vec::new(),
            listed_anew: false,
            ends: BTreeMap::new(),
            asking_ends: None,
            reported_at: None,
            report: None,
            delivered_at: None,
            newest: None,
            troubles: Troubles::default(),
        };
        let outcome = run.follow(&mut stop).await;
        let outcome = run.close(outcome).await;
        let sink = run.delivery.into_ends().map(|(sink, _)| sink);
        (sink, outcome)
    }

    async fn round(
        &self,
        pause: Duration,
        followed: BTreeSet<String>,
    ) -> Result<Round, RoundError<L::Error, O::Error>> {
        if !pause.is_zero() {
            self.clock.pause(pause).await;
        }
        let partitions = self.log.partitions().await.map_err(RoundError::Log)?;
        let claimed = self.ownership.claim(&partitions).await;
        let ours = claimed.map_err(RoundError::Ownership)?;
        let kept = match ours.iter().all(|id| followed.contains(id)) {
            true => None,
            false => Some(self.store.load().await),
        };
        Ok(Round {
            partitions,
            ours,
            kept,
        })
    }

    async fn step(
        &self,
        partition: Partition,
        from: ReadFrom,
        reader: Option<L::Reader>,
        pause: Duration,
        most_bytes: usize,
    ) -> Step<L::Reader, L::Error> {
        if !pause.is_zero() {
            self.clock.pause(pause).await;
        }
        let ended = |reader, outcome| Step {
            partition: partition.id.clone(),
            reader,
            outcome,
        };
        match reader {
            Some(mut reader) => {
                let outcome = reader.next(most_bytes).await;
                ended(Some(reader), outcome)
            }
            // A silent partition is open all the same, which is told at once.
            None => match self.log.open(&partition, &from).await {
                Ok(reader) => ended(Some(reader), Ok(Vec::new())),
                Err(error) => ended(None, Err(error)),
            },
        }
    }
}

/// A partition being followed.
struct Lane<R> {
    /// Tells it from an earlier one of the same partition.
    serial: u64,
    partition: Partition,
    /// Behind what was handed to the delivery last.
    checkpoint: Checkpoint,
    /// Open, between two reads.
    reader: Option<R>,
    /// Ends the read under way.
    reading: Option<AbortHandle>,
    /// In a row.
    failures: u32,
    /// The next try waits.
    failed: bool,
    opened_at: Duration,
    /// Read, and not yet handed to the delivery.
    batch: Option<Batch>,
    unsaved: bool,
    saved_at: Option<Duration>,
    /// The newest record handed over.
    newest: Option<Instant>,
}

struct Batch {
    messages: Vec<Message>,
    /// Behind the last of them.
    position: Position,
    bytes: usize,
    /// The newest record in them.
    newest: Option<Instant>,
}

/// The delivery under way.
#[derive(Default)]
struct Job {
    bytes: usize,
    messages: u64,
    delivered: Delivered,
    /// Partition and serial of the lanes whose positions it saves.
    saved: Vec<(String, u64)>,
}

/// Where partitions end, being asked for.
type Ends<'f> = LocalBoxFuture<'f, Vec<PartitionEnd>>;

type Steps<'f, R, E> = FuturesUnordered<Abortable<LocalBoxFuture<'f, Step<R, E>>>>;

struct Run<'f, 't, L: PartitionedLog, O, S, C, K> {
    follower: &'f Follower<'f, L, O, S, C>,
    delivery: Delivery<K, Arc<S>>,
    job: Option<Job>,
    lanes: BTreeMap<String, Lane<L::Reader>>,
    steps: Steps<'f, L::Reader, L::Error>,
    /// Partitions to be read on, in turn.
    waiting: VecDeque<String>,
    /// Partitions with a batch to deliver.
    ready: Vec<String>,
    /// Bytes read and not delivered.
    held: usize,
    /// Of partitions that were ours: how far they were delivered.
    left: BTreeMap<String, Checkpoint>,
    /// Partitions whose checkpoint was refused; said once.
    refused: BTreeSet<String>,
    /// Where partitions begin that were never read.
    begun: Option<Start>,
    /// Positions of partitions without a new batch may have to be saved.
    save_due: bool,
    /// Rounds in a row that failed.
    failures: u32,
    serial: u64,
    tally: &'t mut Tally,
    reporter: &'t mut dyn Reporter<K>,
    /// All partitions of the last round.
    listed: Vec<Partition>,
    /// The store has not been told of them.
    listed_anew: bool,
    /// The end of each, as last known.
    ends: BTreeMap<String, PartitionEnd>,
    asking_ends: Option<Ends<'f>>,
    /// When it was last told how the run goes.
    reported_at: Option<Duration>,
    /// To be written with the next delivery.
    report: Option<WriteReport<K>>,
    delivered_at: Option<Instant>,
    newest: Option<Instant>,
    troubles: Troubles,
}

impl<'f, L, O, S, C, K> Run<'f, '_, L, O, S, C, K>
where
    L: PartitionedLog,
    O: Ownership,
    S: PositionStore,
    C: Clock,
    K: Sink + Send + 'static,
{
    async fn follow(
        &mut self,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), StreamError<L::Error, O::Error>> {
        let follower = self.follower;
        let mut round = Box::pin(follower.round(Duration::ZERO, BTreeSet::new()));
        loop {
            self.ask_ends();
            self.deliver().await?;
            self.read_on();
            tokio::select! {
                biased;
                Ok(_) = stop.wait_for(|stop| *stop) => return Ok(()),
                settled = self.delivery.settle(), if self.job.is_some() => {
                    settled?;
                    self.delivered();
                }
                found = &mut round => {
                    let pause = self.take_round(found)?;
                    let followed = self.lanes.keys().cloned().collect();
                    round = Box::pin(follower.round(pause, followed));
                }
                ends = answer(&mut self.asking_ends), if self.asking_ends.is_some() => {
                    self.asking_ends = None;
                    self.take_ends(ends);
                }
                Some(step) = self.steps.next() => {
                    // An aborted read is that of a partition given up.
                    if let Ok(step) = step {
                        self.take_step(step)?;
                    }
                }
            }
        }
    }

    /// Begins to ask how far the partitions go, for a report that is due.
    fn ask_ends(&mut self) {
        let follower = self.follower;
        let now = follower.clock.elapsed();
        let every = follower.settings.report_every;
        let due = match self.reported_at {
            Some(reported_at) => now.saturating_sub(reported_at) >= every,
            None if self.listed.is_empty() => self.failing().is_some_and(|it| it.lasts >= every),
            None => true,
        };
        if every.is_zero() || !due || self.asking_ends.is_some() {
            return;
        }
        self.reported_at = Some(now);
        let followed: Vec<String> = self.lanes.keys().cloned().collect();
        let asking = async move {
            let ends = std::pin::pin!(follower.log.ends(&followed));
            match select(ends, std::pin::pin!(follower.clock.pause(ENDS))).await {
                Either::Left((ends, _)) => told(ends),
                Either::Right(_) => Vec::new(),
            }
        };
        self.asking_ends = Some(asking.boxed_local());
    }

    fn take_ends(&mut self, ends: Vec<PartitionEnd>) {
        self.ends = ends
            .into_iter()
            .map(|end| (end.partition.clone(), end))
            .collect();
        let report = self.report();
        self.report = self.reporter.report(report);
    }

    fn report(&self) -> Report {
        let partitions = self.lanes.iter().map(|(id, lane)| {
            let position = lane.checkpoint.position.as_ref();
            let sequence = position.and_then(|position| position.sequence);
            let lag = |end: &PartitionEnd| {
                // Numbers of another epoch are not counted on.
                let counts = |read: &&Position| {
                    read.epoch == end.epoch || read.epoch.xor(end.epoch).is_some()
                };
                let read = position.filter(counts)?;
                let lag = end.sequence.saturating_sub(read.sequence?);
                u64::try_from(lag).ok().or(Some(0))
            };
            PartitionReport {
                partition: id.clone(),
                sequence,
                lag: self.ends.get(id).and_then(lag),
                newest: lane.newest,
            }
        });
        Report {
            tally: self.tally.clone(),
            listed: self.listed.len(),
            partitions: partitions.collect(),
            delivered_at: self.delivered_at,
            newest: self.newest,
            failing: self.failing(),
        }
    }

    fn failing(&self) -> Option<Failing> {
        self.troubles.failing(self.follower.clock.elapsed())
    }

    fn fails(&mut self, of: &str, what: &str) {
        let clock = self.follower.clock;
        self.troubles.fails(of, what, clock.now(), clock.elapsed());
    }

    fn goes_well(&mut self, of: &str) {
        self.troubles.ends(of, self.follower.clock.elapsed());
    }

    /// Lets partitions be read on while few bytes wait for the sink.
    fn read_on(&mut self) {
        let follower = self.follower;
        let most = follower.settings.bytes_in_flight;
        let share = most.checked_div(self.lanes.len()).unwrap_or(most);
        while self.held < most {
            let Some(partition) = self.waiting.pop_front() else {
                return;
            };
            let Some(lane) = self.lanes.get_mut(&partition) else {
                continue;
            };
            if lane.reading.is_some() || lane.batch.is_some() {
                continue;
            }
            let pause = match std::mem::take(&mut lane.failed) {
                true => after_failures(lane.failures, follower.clock.jitter()),
                false => Duration::ZERO,
            };
            let step = follower.step(
                lane.partition.clone(),
                lane.checkpoint.read_from(),
                lane.reader.take(),
                pause,
                share.max(1),
            );
            let (handle, registration) = AbortHandle::new_pair();
            lane.reading = Some(handle);
            let step = Abortable::new(step.boxed_local(), registration);
            self.steps.push(step);
        }
    }

    fn take_step(
        &mut self,
        step: Step<L::Reader, L::Error>,
    ) -> Result<(), StreamError<L::Error, O::Error>> {
        let id = step.partition;
        let Some(lane) = self.lanes.get_mut(&id) else {
            return Ok(());
        };
        lane.reading = None;
        let elapsed = self.follower.clock.elapsed();
        let error = match step.outcome {
            Ok(messages) => {
                lane.reader = step.reader;
                let before = messages.len();
                match before {
                    0 => lane.opened_at = elapsed,
                    _ => lane.failures = 0,
                }
                match new_messages(messages, &lane.checkpoint) {
                    Some(batch) => {
                        self.tally.repeated += count(before - batch.messages.len());
                        self.held += batch.bytes;
                        lane.batch = Some(batch);
                        self.ready.push(id.clone());
                    }
                    None => {
                        self.tally.repeated += count(before);
                        self.waiting.push_back(id.clone());
                    }
                }
                self.goes_well(&id);
                return Ok(());
            }
            Err(error) => error,
        };
        // A reader that lived was good, however silent its partition.
        if step.reader.is_some() && elapsed.saturating_sub(lane.opened_at) >= LIVED {
            lane.failures = 0;
        }
        lane.failures = lane.failures.saturating_add(1);
        lane.failed = true;
        match error.class() {
            LogErrorClass::Passing => {
                self.tally.throttles += 1;
                lane.reader = step.reader;
            }
            LogErrorClass::Reconnect => self.tally.reconnects += 1,
            LogErrorClass::PositionGone => {
                tracing::error!(
                    "partition {id}: {error}. What came after its position and is not kept any more \
                     is lost; reading goes on with the oldest message there is"
                );
                lane.checkpoint.begin_again(&lane.partition);
                self.waiting.push_back(id);
                return Ok(());
            }
            LogErrorClass::Lost => {
                tracing::info!("partition {id} is given up: {error}");
                self.give_up(&id);
                return Ok(());
            }
            LogErrorClass::Stop => {
                let partition = id;
                return Err(StreamError::Partition { partition, error });
            }
        }
        self.fails(&id, &error.to_string());
        self.waiting.push_back(id);
        Ok(())
    }

    /// Takes what a round found; answers how long to wait before the next.
    fn take_round(
        &mut self,
        round: Result<Round, RoundError<L::Error, O::Error>>,
    ) -> Result<Duration, StreamError<L::Error, O::Error>> {
        let follower = self.follower;
        let Round {
            partitions,
            ours,
            kept,
        } = match round {
            Ok(round) => round,
            Err(RoundError::Ownership(error)) => return Err(StreamError::Ownership(error)),
            Err(RoundError::Log(error)) if error.class() == LogErrorClass::Stop => {
                return Err(StreamError::Log(error));
            }
            Err(RoundError::Log(error)) => {
                self.failures = self.failures.saturating_add(1);
                self.fails(ROUND, &error.to_string());
                return Ok(after_failures(self.failures, follower.clock.jitter()));
            }
        };
        self.failures = 0;
        self.goes_well(ROUND);
        match follower.ownership.trouble() {
            Some(what) => self.fails(OWNERSHIP, &what),
            None => self.goes_well(OWNERSHIP),
        }
        self.save_due = true;
        let ours: BTreeSet<String> = ours.into_iter().collect();
        let listed: BTreeSet<&String> = partitions.iter().map(|partition| &partition.id).collect();
        self.left.retain(|id, _| listed.contains(id));
        self.refused.retain(|id| listed.contains(id));
        let lost: Vec<String> = self.lanes.keys().cloned().collect();
        for id in lost.iter().filter(|id| !ours.contains(*id)) {
            tracing::info!("partition {id} is given up: it is another's, or not there any more");
            self.give_up(id);
        }
        let failed = matches!(kept, Some(Err(_)));
        let kept = match kept {
            None => None,
            Some(Ok(kept)) => Some(kept),
            Some(Err(error)) if self.lanes.is_empty() => return Err(StreamError::Load(error)),
            Some(Err(error)) => {
                tracing::warn!("the checkpoints cannot be read: {error}; it is tried again");
                None
            }
        };
        self.listed.clone_from(&partitions);
        self.listed_anew = true;
        let mut waits = false;
        for partition in partitions {
            if !ours.contains(&partition.id) {
                continue;
            }
            if let Some(lane) = self.lanes.get(&partition.id) {
                if !lane.checkpoint.is_of_another(&partition) {
                    continue;
                }
                // Its position is none of the new log's.
                self.give_up(&partition.id);
            }
            match &kept {
                Some(kept) => self.take_up(partition, kept),
                // Without its checkpoint nothing is read; the next round loads it.
                None => waits = !failed,
            }
        }
        // It was given up while this round had begun already.
        Ok(match waits {
            true => Duration::ZERO,
            false => follower.settings.round,
        })
    }

    /// Begins to follow a partition where it was left.
    fn take_up(&mut self, partition: Partition, kept: &[Kept]) {
        let id = partition.id.clone();
        let checkpoint = match self.checkpoint(&partition, kept) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                if self.refused.insert(id.clone()) {
                    tracing::error!("partition {id} is not read: {error}");
                }
                self.tally.refused = self.refused.len();
                return;
            }
        };
        self.refused.remove(&id);
        self.tally.refused = self.refused.len();
        self.serial += 1;
        let lane = Lane {
            serial: self.serial,
            partition,
            checkpoint,
            reader: None,
            reading: None,
            failures: 0,
            failed: false,
            opened_at: Duration::ZERO,
            batch: None,
            unsaved: true,
            saved_at: None,
            newest: None,
        };
        self.lanes.insert(id.clone(), lane);
        self.waiting.push_back(id);
    }

    /// Of all that is known of a partition, what was read furthest.
    fn checkpoint(
        &mut self,
        partition: &Partition,
        kept: &[Kept],
    ) -> Result<Checkpoint, CheckpointError> {
        let log = &self.follower.settings.log;
        let mut known: Vec<Checkpoint> = kept
            .iter()
            .filter(|kept| kept.partition == partition.id)
            .map(|kept| Checkpoint::read(&kept.text, log, &partition.id))
            .collect::<Result<_, _>>()?;
        known.extend(self.left.remove(&partition.id));
        let (others, of_this): (Vec<_>, Vec<_>) = known
            .into_iter()
            .partition(|checkpoint| checkpoint.is_of_another(partition));
        if let Some(furthest) = of_this.into_iter().reduce(Checkpoint::further) {
            return Ok(furthest);
        }
        if let Some(mut other) = others.into_iter().next() {
            tracing::warn!(
                "partition {}: the log was made anew; it is read from its oldest message",
                partition.id
            );
            other.begin_again(partition);
            return Ok(other);
        }
        let start = self.start(kept);
        Ok(Checkpoint::new(log, partition, start))
    }

    /// Where the log was begun, whoever began it: a partition without a checkpoint
    /// was added later, or is not begun yet.
    fn start(&mut self, kept: &[Kept]) -> Start {
        let follower = self.follower;
        let log = &follower.settings.log;
        let begun = || {
            let checkpoints = kept
                .iter()
                .filter_map(|kept| Checkpoint::read(&kept.text, log, &kept.partition).ok());
            let earliest = checkpoints.map(|checkpoint| checkpoint.start).min();
            earliest.unwrap_or(match follower.settings.begin {
                Begin::Earliest => Start::Earliest,
                Begin::Latest => Start::At(follower.clock.now()),
                Begin::At(instant) => Start::At(instant),
            })
        };
        *self.begun.get_or_insert_with(begun)
    }

    /// What was read and not delivered is for the next owner to read.
    fn give_up(&mut self, id: &str) {
        let Some(lane) = self.lanes.remove(id) else {
            return;
        };
        if let Some(reading) = lane.reading {
            reading.abort();
        }
        if let Some(batch) = lane.batch {
            self.held -= batch.bytes;
        }
        self.goes_well(id);
        self.left.insert(id.to_owned(), lane.checkpoint);
    }

    /// Hands over what waits, unless a delivery is under way.
    async fn deliver(&mut self) -> Result<(), DeliveryError> {
        let due = self.save_due || self.report.is_some();
        if self.job.is_some() || (self.ready.is_empty() && !due) {
            return Ok(());
        }
        let (mut batches, mut notes) = (Vec::new(), Vec::new());
        let mut job = Job::default();
        let mut changed: Vec<String> = Vec::new();
        for id in std::mem::take(&mut self.ready) {
            let Some(lane) = self.lanes.get_mut(&id) else {
                continue;
            };
            let Some(batch) = lane.batch.take() else {
                continue;
            };
            lane.checkpoint.position = Some(batch.position);
            lane.unsaved = true;
            lane.newest = lane.newest.max(batch.newest);
            self.newest = self.newest.max(batch.newest);
            notes.push((id.clone(), text(&lane.checkpoint)?));
            job.bytes += batch.bytes;
            job.messages += count(batch.messages.len());
            batch
                .messages
                .iter()
                .for_each(|message| message.count(&mut job.delivered));
            batches.push(batch.messages);
            self.waiting.push_back(id.clone());
            changed.push(id);
        }
        if std::mem::take(&mut self.save_due) {
            changed = self.lanes.keys().cloned().collect();
        }
        let every = self.follower.settings.save_every;
        let now = self.follower.clock.elapsed();
        let is_due = |lane: &Lane<L::Reader>| {
            let due = |saved_at| now.saturating_sub(saved_at) >= every;
            lane.unsaved && lane.saved_at.is_none_or(due)
        };
        let mut saves = Vec::new();
        for id in changed {
            if let Some(lane) = self.lanes.get(&id).filter(|lane| is_due(lane)) {
                saves.push((id.clone(), text(&lane.checkpoint)?));
                job.saved.push((id, lane.serial));
            }
        }
        let report = self.report.take();
        let listed = std::mem::take(&mut self.listed_anew).then(|| self.listed.clone());
        if batches.is_empty() && saves.is_empty() && report.is_none() && listed.is_none() {
            return Ok(());
        }
        self.job = Some(job);
        let now = self.follower.clock.now();
        let write = move |sink: &mut K| {
            let mut messages = batches.iter().flatten();
            messages.try_for_each(|message| message.write(sink, now))?;
            report.map_or(Ok(()), |report| report(sink))
        };
        let save = move |store: &mut Arc<S>| {
            let mut notes = notes.iter();
            notes.try_for_each(|(partition, text)| store.note(partition, text))?;
            if let Some(listed) = listed {
                store.listed(&listed);
            }
            save_all_of(&**store, &saves)
        };
        self.delivery.deliver(write, save).await
    }

    /// Takes note that the delivery under way has ended well.
    fn delivered(&mut self) {
        let Some(job) = self.job.take() else {
            return;
        };
        self.held -= job.bytes;
        self.tally.messages += job.messages;
        self.tally.delivered.add(job.delivered);
        if job.messages > 0 {
            self.delivered_at = Some(self.follower.clock.now());
        }
        let now = self.follower.clock.elapsed();
        for (id, serial) in job.saved {
            if let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.serial == serial) {
                lane.unsaved = false;
                lane.saved_at = Some(now);
            }
        }
    }

    /// Saves how far each partition was delivered, and gives all of them back.
    async fn close(
        &mut self,
        outcome: Result<(), StreamError<L::Error, O::Error>>,
    ) -> Result<(), StreamError<L::Error, O::Error>> {
        self.steps.clear();
        let mut outcome = outcome;
        if !matches!(outcome, Err(StreamError::Delivery(_))) {
            let saved = match self.settled().await {
                Some(Ok(())) => self.save_all().await,
                Some(Err(error)) => Err(error),
                None => {
                    tracing::info!("stopped while events were being handed over");
                    Ok(())
                }
            };
            outcome = outcome.and(saved.map_err(StreamError::Delivery));
        }
        let report = self.report();
        self.reporter.last(report);
        let ours: Vec<String> = std::mem::take(&mut self.lanes).into_keys().collect();
        if let Err(error) = self.follower.ownership.release(&ours).await {
            tracing::warn!(
                "partitions cannot be given back, and are free when the lease ends: {error}"
            );
        }
        outcome
    }

    /// Waits for the delivery under way; none if it is stuck.
    async fn settled(&mut self) -> Option<Result<(), DeliveryError>> {
        let stuck = self.follower.clock.pause(STUCK);
        let settling = std::pin::pin!(self.delivery.settle());
        match select(settling, std::pin::pin!(stuck)).await {
            Either::Left((settled, _)) => Some(settled),
            Either::Right(_) => None,
        }
    }

    async fn save_all(&mut self) -> Result<(), DeliveryError> {
        self.delivered();
        let mut saves = Vec::new();
        for (id, lane) in self.lanes.iter().filter(|(_, lane)| lane.unsaved) {
            saves.push((id.clone(), text(&lane.checkpoint)?));
        }
        let save = move |store: &mut Arc<S>| save_all_of(&**store, &saves);
        // A report that waits has its counts, and no later one tells them.
        let report = self.report.take();
        let write = move |sink: &mut K| report.map_or(Ok(()), |report| report(sink));
        self.delivery.deliver(write, save).await?;
        self.delivery.settle().await
    }
}

impl Message {
    fn count(&self, delivered: &mut Delivered) {
        for record in &self.records {
            delivered.count(Kind::Record, record.span.len());
        }
        for element in &self.quarantined {
            delivered.count(Kind::Quarantined, element.span.len());
        }
    }
}

/// Without what was delivered before: a log may give messages again behind a
/// connection that was lost. None if nothing is left.
fn new_messages(mut messages: Vec<Message>, delivered: &Checkpoint) -> Option<Batch> {
    let position = delivered.position.as_ref();
    let mut so_far = position.map(Position::numbers).unwrap_or_default();
    messages.retain(|message| {
        let is_new = !message.position.is_within(so_far);
        if is_new {
            so_far = message.position.numbers();
        }
        is_new
    });
    let fresh = messages;
    let position = fresh.last()?.position.clone();
    let bytes = fresh.iter().map(|message| message.body.len()).sum();
    let records = fresh.iter().flat_map(|message| &message.records);
    Some(Batch {
        newest: records.map(|record| record.time).max(),
        messages: fresh,
        position,
        bytes,
    })
}

fn save_all_of(store: &impl PositionStore, saves: &[(String, String)]) -> io::Result<()> {
    if saves.is_empty() {
        return Ok(());
    }
    let mut saves = saves.iter();
    saves.try_for_each(|(partition, text)| store.save(partition, text))?;
    store.commit()
}

/// The answer to what is being asked; comes only where something is.
async fn answer<T>(asked: &mut Option<LocalBoxFuture<'_, T>>) -> T {
    match asked {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    }
}

fn text(checkpoint: &Checkpoint) -> Result<String, DeliveryError> {
    let text = checkpoint.text();
    text.map_err(|error| DeliveryError::Store(error.into()))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
