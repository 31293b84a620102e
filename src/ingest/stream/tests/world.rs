//! A log, a sink, a store and a clock in memory, which may all be killed at once.

use crate::ingest::stream::{
    Checkpoint, Clock, Kept, LogError, LogErrorClass, Message, Partition, PartitionEnd,
    PartitionReader, PartitionedLog, Position, PositionStore, ReadFrom, Record, Start,
};
use crate::ingest::{Event, Instant, Sink};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;

pub const LOG: &str = "the log of these tests";
/// Messages a reader gives at once, at most.
pub const BATCH: usize = 5;
const MESSAGE_BYTES: usize = 64;

/// One partition: how many messages it has, and in which round it appears.
#[derive(Debug, Clone, Copy)]
pub struct Lane {
    pub messages: i64,
    pub appears: u64,
    /// The first of its messages that is still kept.
    pub oldest: i64,
    /// When its first message was enqueued; the others a second apart.
    pub enqueued: Instant,
}

impl Lane {
    pub fn of(messages: i64) -> Self {
        Self {
            messages,
            appears: 0,
            oldest: 0,
            enqueued: Instant::EPOCH,
        }
    }
}

/// Process and machine end here: at the so many'th thing that happens to sink or store.
#[derive(Debug, Clone, Copy)]
pub struct Kill {
    pub after: usize,
    /// How much of what was not flushed got out nevertheless.
    pub leak: usize,
    /// The machine is gone too, with its notes.
    pub machine: bool,
}

#[derive(Debug, Default)]
pub struct State {
    pub lanes: BTreeMap<String, Lane>,
    pub created: i64,
    /// What goes wrong, one by one; nothing once they are used up.
    pub faults: Vec<u8>,
    /// This happens once, this far into a partition; then six messages come again.
    pub trouble: Option<(i64, LogErrorClass)>,
    pub expected: BTreeSet<String>,
    /// Events that reached the reader, in order, since the last start and before.
    pub index: Vec<String>,
    pub earlier: Vec<String>,
    unflushed: Vec<String>,
    /// The sink says that it has flushed when it has not: as if the position were
    /// kept before the flush.
    pub lies: bool,
    flushed_late: Vec<String>,
    pub notes: BTreeMap<String, String>,
    pub saves: BTreeMap<String, String>,
    pub saved_at: Vec<(String, Duration)>,
    pub kill: Option<Kill>,
    pub killed: bool,
    happened: usize,
    /// Bytes read and not flushed, and the most there may be.
    pub unflushed_bytes: usize,
    pub most_bytes: usize,
    time: Duration,
    rounds: u64,
    pub most_rounds: u64,
    repeat: i64,
    stop: Option<watch::Sender<bool>>,
}

#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    grown: watch::Sender<u64>,
}

#[derive(Debug)]
pub struct Trouble(pub LogErrorClass);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trouble: {:?}", self.0)
    }
}

impl std::error::Error for Trouble {}

impl LogError for Trouble {
    fn class(&self) -> LogErrorClass {
        self.0
    }
}

pub fn name(partition: &str, sequence: i64) -> String {
    format!("{partition}/{sequence}")
}

/// Two records a message.
pub fn names(partition: &str, sequences: std::ops::Range<i64>) -> Vec<String> {
    let names = sequences.flat_map(|sequence| {
        let name = name(partition, sequence);
        [format!("{name}/a"), format!("{name}/b")]
    });
    names.collect()
}

fn message(partition: &str, sequence: i64) -> Message {
    let mut body = String::new();
    let mut records = Vec::new();
    for name in names(partition, sequence..sequence + 1) {
        let from = body.len();
        body += &name;
        records.push(Record {
            time: Instant::from_millis(sequence),
            span: from..body.len(),
        });
        body.push(',');
    }
    body += &" ".repeat(MESSAGE_BYTES.saturating_sub(body.len()));
    Message {
        position: Position {
            offset: Some((sequence * 100).to_string()),
            sequence: Some(sequence),
            epoch: None,
        },
        body,
        records,
        quarantined: Vec::new(),
    }
}

impl World {
    pub fn new(lanes: impl IntoIterator<Item = (&'static str, Lane)>) -> Self {
        let lanes: BTreeMap<String, Lane> = lanes
            .into_iter()
            .map(|(id, lane)| (id.to_owned(), lane))
            .collect();
        let expected = lanes
            .iter()
            .flat_map(|(id, lane)| names(id, lane.oldest..lane.messages))
            .collect();
        let state = State {
            lanes,
            expected,
            most_bytes: usize::MAX,
            most_rounds: 3_000,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            grown: watch::Sender::new(0),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A process starts.
    pub fn start(&self) -> watch::Receiver<bool> {
        let (stop, stopped) = watch::channel(false);
        let mut state = self.state();
        let delivered = std::mem::take(&mut state.index);
        state.earlier.extend(delivered);
        state.unflushed.clear();
        state.flushed_late.clear();
        state.unflushed_bytes = 0;
        state.saved_at.clear();
        state.happened = 0;
        state.rounds = 0;
        state.killed = false;
        state.stop = Some(stop);
        stopped
    }

    pub fn all(&self) -> Vec<String> {
        let state = self.state();
        state.earlier.iter().chain(&state.index).cloned().collect()
    }

    /// The sequence number a process that starts now would go on behind.
    pub fn kept(&self, partition: &str) -> Option<i64> {
        let state = self.state();
        let texts = [state.notes.get(partition), state.saves.get(partition)];
        let sequences = texts.into_iter().flatten().filter_map(|text| {
            let checkpoint = Checkpoint::read(text, LOG, partition).unwrap();
            checkpoint.position?.sequence
        });
        sequences.max()
    }
}

impl State {
    fn fault(&mut self) -> u8 {
        self.faults.pop().unwrap_or(0)
    }

    /// One more thing happens to sink or store, unless the process is killed first.
    fn happen(&mut self) -> io::Result<()> {
        self.happened += 1;
        if let Some(kill) = self.kill
            && !self.killed
            && self.happened >= kill.after
        {
            self.killed = true;
            let leaked = kill.leak % (self.unflushed.len() + 1);
            self.index.extend(self.unflushed.drain(..leaked));
            if kill.machine {
                self.notes.clear();
            }
        }
        match self.killed {
            true => Err(io::Error::other("killed")),
            false => Ok(()),
        }
    }

    fn stop_if_done(&mut self) {
        let delivered: BTreeSet<&String> = self.earlier.iter().chain(&self.index).collect();
        let done = self.expected.iter().all(|name| delivered.contains(name));
        if let Some(stop) = self.stop.as_ref()
            && (done || self.rounds >= self.most_rounds)
        {
            stop.send_replace(true);
        }
    }
}

pub struct Reader {
    world: World,
    grown: watch::Receiver<u64>,
    partition: String,
    next: i64,
}

impl PartitionedLog for World {
    type Error = Trouble;
    type Reader = Reader;

    async fn partitions(&self) -> Result<Vec<Partition>, Trouble> {
        let mut state = self.state();
        state.rounds += 1;
        state.stop_if_done();
        let fault = state.fault();
        if fault >= 250 {
            return Err(Trouble(LogErrorClass::Passing));
        }
        let mut listed: Vec<Partition> = state
            .lanes
            .iter()
            .filter(|(_, lane)| lane.appears < state.rounds)
            .map(|(id, _)| Partition {
                id: id.clone(),
                created: Some(Instant::from_millis(state.created)),
            })
            .collect();
        if !listed.is_empty() {
            let turn = usize::from(fault) % listed.len();
            listed.rotate_left(turn);
            if fault >= 200 {
                listed.pop();
            }
        }
        let rounds = state.rounds;
        drop(state);
        self.grown.send_replace(rounds);
        Ok(listed)
    }

    async fn open(&self, partition: &Partition, from: &ReadFrom) -> Result<Reader, Trouble> {
        let mut state = self.state();
        let lane = state.lanes[&partition.id];
        let next = match from {
            ReadFrom::Start(Start::Earliest) => lane.oldest,
            ReadFrom::Start(Start::At(instant)) => (lane.oldest..lane.messages)
                .find(|sequence| {
                    let after = Duration::from_secs(sequence.unsigned_abs());
                    lane.enqueued.plus(after) >= *instant
                })
                .unwrap_or(lane.messages),
            ReadFrom::After(position) => {
                let last = position.sequence.unwrap();
                assert_eq!(position.offset, Some((last * 100).to_string()));
                if last + 1 < lane.oldest {
                    return Err(Trouble(LogErrorClass::PositionGone));
                }
                // Some services give again what they gave.
                (last + 1 - std::mem::take(&mut state.repeat)).max(lane.oldest)
            }
        };
        match state.fault() {
            230.. => Err(Trouble(LogErrorClass::Reconnect)),
            200..230 => Err(Trouble(LogErrorClass::Passing)),
            _ => Ok(Reader {
                world: self.clone(),
                grown: self.grown.subscribe(),
                partition: partition.id.clone(),
                next,
            }),
        }
    }

    async fn ends(&self, partitions: &[String]) -> Result<Vec<PartitionEnd>, Trouble> {
        let state = self.state();
        let ends = partitions.iter().map(|id| PartitionEnd {
            partition: id.clone(),
            sequence: state.lanes[id].messages - 1,
            epoch: None,
        });
        Ok(ends.collect())
    }
}

impl Reader {
    /// Messages there are by now: each round brings some more.
    fn there(&self) -> i64 {
        let state = self.world.state();
        let lane = state.lanes[&self.partition];
        let rounds = i64::try_from(state.rounds.saturating_sub(lane.appears)).unwrap();
        lane.messages.min(lane.oldest + rounds * 12)
    }
}

impl PartitionReader for Reader {
    type Error = Trouble;

    async fn next(&mut self, most_bytes: usize) -> Result<Vec<Message>, Trouble> {
        while self.next >= self.there() {
            self.grown.changed().await.unwrap();
        }
        let there = self.there();
        let mut state = self.world.state();
        if let Some((at, class)) = state.trouble
            && self.next >= at
        {
            state.trouble = None;
            state.repeat = 6;
            return Err(Trouble(class));
        }
        let fault = state.fault();
        match fault {
            245.. => return Err(Trouble(LogErrorClass::Lost)),
            215..245 => {
                state.repeat = i64::from(fault) % 8;
                return Err(Trouble(LogErrorClass::Reconnect));
            }
            200..215 => return Err(Trouble(LogErrorClass::Passing)),
            _ => {}
        }
        let fitting = (most_bytes / MESSAGE_BYTES).clamp(1, BATCH);
        let many = match fault {
            0 => fitting,
            fault => 1 + usize::from(fault) % fitting,
        };
        let end = there.min(self.next + i64::try_from(many).unwrap());
        let messages: Vec<Message> = (self.next..end)
            .map(|sequence| message(&self.partition, sequence))
            .collect();
        self.next = end;
        let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
        state.unflushed_bytes += bytes;
        assert!(
            state.unflushed_bytes <= state.most_bytes,
            "{} bytes in flight",
            state.unflushed_bytes
        );
        Ok(messages)
    }
}

impl Sink for World {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let mut state = self.state();
        state.happen()?;
        state.unflushed.push(event.raw.concat());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = self.state();
        state.happen()?;
        let mut events = std::mem::take(&mut state.unflushed);
        if state.lies {
            events = std::mem::replace(&mut state.flushed_late, events);
        }
        let bytes = events.len() / 2 * MESSAGE_BYTES;
        state.unflushed_bytes = state.unflushed_bytes.saturating_sub(bytes);
        state.index.extend(events);
        state.stop_if_done();
        Ok(())
    }
}

impl PositionStore for World {
    async fn load(&self) -> io::Result<Vec<Kept>> {
        let state = self.state();
        let both = state.notes.iter().chain(&state.saves);
        Ok(both
            .map(|(partition, text)| Kept {
                partition: partition.clone(),
                text: text.clone(),
            })
            .collect())
    }

    fn note(&self, partition: &str, text: &str) -> io::Result<()> {
        let mut state = self.state();
        state.happen()?;
        state.notes.insert(partition.to_owned(), text.to_owned());
        Ok(())
    }

    fn save(&self, partition: &str, text: &str) -> io::Result<()> {
        let mut state = self.state();
        state.happen()?;
        state.saves.insert(partition.to_owned(), text.to_owned());
        let now = state.time;
        state.saved_at.push((partition.to_owned(), now));
        Ok(())
    }
}

pub const NOW: Instant = Instant::from_millis(1_700_000_000_000);

impl Clock for World {
    fn now(&self) -> Instant {
        NOW.plus(self.state().time)
    }

    fn elapsed(&self) -> Duration {
        self.state().time
    }

    /// Takes no time, and ends when the deliveries begun before it have ended (there is
    /// one thread for both) and whoever could go on has gone on by a step. So a number
    /// of rounds bounds a run, however busy the machine is.
    async fn pause(&self, span: Duration) {
        let end = self.state().time + span;
        tokio::task::spawn_blocking(|| {}).await.unwrap();
        tokio::task::yield_now().await;
        let mut state = self.state();
        state.time = state.time.max(end);
    }

    fn jitter(&self) -> f64 {
        0.5
    }
}
