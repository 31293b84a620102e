mod world;

use super::follow::StreamError;
use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::{BATCH, Kill, LOG, Lane, NOW, Trouble, World, name, names};

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings {
        log: LOG.to_owned(),
        begin: Begin::Earliest,
        round: 10 * SECOND,
        save_every: 10 * SECOND,
        bytes_in_flight: 4096,
        report_every: Duration::ZERO,
    }
}

type Outcome<O> = (Tally, Result<(), StreamError<Trouble, O>>);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap()
}

/// One process, from its start to its stop or until it is killed.
fn run_with<O: Ownership>(world: &World, ownership: &O, settings: Settings) -> Outcome<O::Error> {
    let follower = Follower {
        log: world,
        ownership,
        store: Arc::new(world.clone()),
        clock: world,
        settings,
    };
    let mut tally = Tally::default();
    let stop = world.start();
    let (_, outcome) = runtime().block_on(follower.run(world.clone(), stop, &mut tally));
    (tally, outcome)
}

fn run(world: &World) -> Tally {
    let (tally, outcome) = run_with(world, &Local, settings());
    outcome.unwrap();
    tally
}

fn sorted(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort();
    names
}

#[test]
fn every_record_of_every_partition_arrives_once_and_in_order() {
    let world = World::new([("0", Lane::of(40)), ("1", Lane::of(0)), ("2", Lane::of(7))]);
    let tally = run(&world);
    let all = world.all();
    assert_eq!(tally.messages, 47);
    assert_eq!(
        (tally.delivered.records, tally.delivered.events()),
        (94, 94)
    );
    assert_eq!(sorted(all.clone()), sorted(world.state().expected.clone()));
    let of_first: Vec<String> = all.into_iter().filter(|n| n.starts_with("0/")).collect();
    assert_eq!(of_first, names("0", 0..40));
    assert_eq!(world.kept("0"), Some(39));
    // Nothing new: nothing again.
    assert_eq!(run(&world).messages, 0);
}

#[test]
fn a_partition_that_is_added_is_read_from_where_the_log_was_begun() {
    let added = Lane {
        appears: 3,
        enqueued: NOW.plus(SECOND),
        ..Lane::of(5)
    };
    let world = World::new([("0", Lane::of(5)), ("1", added)]);
    world.state().expected = names("1", 0..5).into_iter().collect();
    let latest = Settings {
        begin: Begin::Latest,
        ..settings()
    };
    let (_, outcome) = run_with(&world, &Local, latest.clone());
    outcome.unwrap();
    assert_eq!(sorted(world.all()), names("1", 0..5));
    // One more while nobody reads: it is no reason to begin with the latest again.
    let mut state = world.state();
    let appeared = Lane {
        appears: 0,
        ..added
    };
    state.lanes.insert("2".to_owned(), appeared);
    state.expected.extend(names("2", 0..5));
    drop(state);
    let (_, outcome) = run_with(&world, &Local, latest);
    outcome.unwrap();
    let (one, two) = (names("1", 0..5), names("2", 0..5));
    assert_eq!(sorted(world.all()), sorted(one.into_iter().chain(two)));
}

#[test]
fn a_day_of_silence_costs_nothing_and_what_comes_then_is_read() {
    let rounds = 24 * 3600 / 10;
    let late = Lane {
        appears: rounds,
        ..Lane::of(5)
    };
    let world = World::new([("0", Lane::of(3)), ("1", late)]);
    world.state().most_rounds = rounds + 10;
    let tally = run(&world);
    assert_eq!((tally.messages, tally.reconnects), (8, 0));
    assert!(world.elapsed() >= 24 * 3600 * SECOND);
    let saves = world.state().saved_at.len();
    assert!(saves <= 6, "{saves} positions saved");
}

#[test]
fn a_log_made_anew_is_read_from_its_oldest_message() {
    let world = World::new([("0", Lane::of(9))]);
    run(&world);
    let mut state = world.state();
    state.created = 1;
    state.earlier.clear();
    state.index.clear();
    drop(state);
    assert_eq!(run(&world).messages, 9);
}

#[test]
fn behind_a_position_that_is_not_kept_any_more_reading_goes_on_with_the_oldest_message() {
    let world = World::new([("0", Lane::of(3))]);
    run(&world);
    let mut state = world.state();
    state.lanes.insert(
        "0".to_owned(),
        Lane {
            oldest: 7,
            ..Lane::of(9)
        },
    );
    state.expected = names("0", 7..9).into_iter().collect();
    drop(state);
    assert_eq!(run(&world).messages, 2);
    let expected: Vec<String> = names("0", 0..3)
        .into_iter()
        .chain(names("0", 7..9))
        .collect();
    assert_eq!(world.all(), expected);
}

#[test]
fn a_checkpoint_that_cannot_be_read_keeps_its_partition_alone_from_being_read() {
    let world = World::new([("0", Lane::of(3)), ("1", Lane::of(3))]);
    let mut state = world.state();
    state.saves.insert("0".to_owned(), "None".to_owned());
    state.expected = names("1", 0..3).into_iter().collect();
    drop(state);
    assert_eq!(run(&world).refused, 1);
    assert_eq!(world.all(), names("1", 0..3));
    assert_eq!(world.state().saves["0"], "None");
}

#[test]
fn what_nobody_can_read_ends_the_run_and_what_was_delivered_stays_delivered() {
    let world = World::new([("0", Lane::of(20))]);
    world.state().trouble = Some((10, LogErrorClass::Stop));
    let (tally, outcome) = run_with(&world, &Local, settings());
    let error = outcome.unwrap_err().to_string();
    assert_eq!(error, "partition 0: trouble: Stop");
    let delivered = i64::try_from(tally.messages).unwrap();
    assert_eq!(world.kept("0"), Some(delivered - 1));
    run(&world);
    assert_eq!(world.all(), names("0", 0..20));
}

#[test]
fn a_partition_that_is_taken_away_and_comes_back_goes_on_where_it_was() {
    let world = World::new([("0", Lane::of(20))]);
    world.state().trouble = Some((10, LogErrorClass::Lost));
    run(&world);
    assert_eq!(world.all(), names("0", 0..20));
}

#[test]
fn a_partition_that_was_taken_is_read_again_from_the_next_round_on() {
    let world = World::new([("0", Lane::of(5))]);
    world.state().trouble = Some((3, LogErrorClass::Lost));
    run(&world);
    assert_eq!(world.all(), names("0", 0..5));
    assert!(world.elapsed() < 20 * SECOND, "{:?}", world.elapsed());
}

#[test]
fn messages_given_again_are_passed_over() {
    let world = World::new([("0", Lane::of(20))]);
    world.state().trouble = Some((10, LogErrorClass::Reconnect));
    let tally = run(&world);
    assert_eq!(world.all(), names("0", 0..20));
    assert_eq!((tally.reconnects, tally.repeated), (1, 6));
}

/// Owns what it is told, and remembers what it was given back.
struct Assigned {
    ours: Vec<String>,
    released: Mutex<Vec<String>>,
}

impl Ownership for Assigned {
    type Error = std::convert::Infallible;

    async fn claim(&self, _: &[Partition]) -> Result<Vec<String>, Self::Error> {
        Ok(self.ours.clone())
    }

    async fn release(&self, partitions: &[String]) -> Result<(), Self::Error> {
        self.released.lock().unwrap().extend_from_slice(partitions);
        Ok(())
    }
}

#[test]
fn only_partitions_that_are_ours_are_read_and_given_back_at_the_stop() {
    let world = World::new([("0", Lane::of(3)), ("1", Lane::of(3))]);
    world.state().expected = names("1", 0..3).into_iter().collect();
    let assigned = Assigned {
        ours: vec!["1".to_owned()],
        released: Mutex::default(),
    };
    run_with(&world, &assigned, settings()).1.unwrap();
    assert_eq!(world.all(), names("1", 0..3));
    assert_eq!(*assigned.released.lock().unwrap(), ["1"]);
    assert!(!world.state().saves.contains_key("0"));
}

const IDS: [&str; 4] = ["0", "1", "2", "3"];

fn lanes() -> impl Strategy<Value = Vec<Lane>> {
    let lane = (0_i64..40, 0_u64..4).prop_map(|(messages, appears)| Lane {
        appears,
        ..Lane::of(messages)
    });
    prop::collection::vec(lane, 1..=IDS.len())
}

fn kills() -> impl Strategy<Value = Vec<Kill>> {
    let kill = (1_usize..60, 0_usize..40, any::<bool>()).prop_map(|(after, leak, machine)| Kill {
        after,
        leak,
        machine,
    });
    prop::collection::vec(kill, 0..6)
}

/// Messages of a partition behind the position kept, of those delivered: they will
/// come again.
fn beyond(world: &World, partition: &str, delivered: &[String]) -> usize {
    let kept = world.kept(partition).unwrap_or(-1);
    let delivered: BTreeSet<&String> = delivered.iter().collect();
    let there = |sequence: &i64| {
        let name = name(partition, *sequence);
        delivered.contains(&format!("{name}/a"))
    };
    (kept + 1..40).filter(there).count()
}

fn lost(world: &World) -> Vec<String> {
    let all: BTreeSet<String> = world.all().into_iter().collect();
    let expected = world.state().expected.clone();
    expected.difference(&all).cloned().collect()
}

/// Killed at each instant in turn.
fn losses(lies: bool) -> usize {
    let killed = |after: &usize| {
        let world = World::new([("0", Lane::of(20))]);
        let mut state = world.state();
        state.most_rounds = 100;
        state.lies = lies;
        state.kill = Some(Kill {
            after: *after,
            leak: 0,
            machine: false,
        });
        drop(state);
        let (_, outcome) = run_with(&world, &Local, settings());
        let mut state = world.state();
        assert_eq!(outcome.is_err(), state.killed);
        state.lies = false;
        state.kill = None;
        drop(state);
        run(&world);
        !lost(&world).is_empty()
    };
    (1..60).filter(killed).count()
}

#[test]
fn a_position_kept_before_the_flush_would_be_found_out() {
    assert_eq!(losses(false), 0);
    assert!(losses(true) > 0);
}

proptest! {
    /// The promise of this room. The log loses its connection, gives messages again,
    /// lists its partitions in another order, hides some and adds others; the process
    /// is killed between any two things that happen to sink and store, where part of
    /// what was not flushed may have got out.
    #[test]
    fn nothing_is_lost_and_no_more_than_a_batch_of_each_partition_is_doubled(
        lanes in lanes(),
        faults in prop::collection::vec(any::<u8>(), 0..120),
        kills in kills(),
        save_every in prop::sample::select(vec![0_u64, 10, 60]),
        bytes_in_flight in 1_usize..3000,
    ) {
        let world = World::new(IDS.into_iter().zip(lanes));
        let settings = Settings {
            save_every: Duration::from_secs(save_every),
            bytes_in_flight,
            ..settings()
        };
        world.state().faults = faults;
        let mut doubles: BTreeMap<&str, usize> = BTreeMap::new();
        for kill in kills.iter().copied().map(Some).chain([None]) {
            world.state().kill = kill;
            let (_, outcome) = run_with(&world, &Local, settings.clone());
            let (killed, in_this_run) = {
                let state = world.state();
                (state.killed, state.index.clone())
            };
            prop_assert_eq!(outcome.is_err(), killed, "{:?}", outcome);
            let distinct: BTreeSet<&String> = in_this_run.iter().collect();
            prop_assert_eq!(distinct.len(), in_this_run.len(), "doubled without a kill");
            let with_notes = kill.is_none_or(|kill| !kill.machine);
            for id in IDS {
                let of_this_run = beyond(&world, id, &in_this_run);
                prop_assert!(killed || of_this_run == 0, "the stop left {of_this_run} of {id} unsaved");
                prop_assert!(
                    !with_notes || of_this_run <= BATCH,
                    "{of_this_run} messages of partition {id} will come again"
                );
                // A machine that is gone has taken the notes of earlier runs with it.
                *doubles.entry(id).or_default() += match with_notes {
                    true => of_this_run,
                    false => beyond(&world, id, &world.all()),
                };
            }
        }
        let lost = lost(&world);
        prop_assert!(lost.is_empty(), "lost: {lost:?}");
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for name in world.all() {
            *counts.entry(name).or_default() += 1;
        }
        for (id, doubles) in doubles {
            let of_id = counts.iter().filter(|(name, _)| name.starts_with(&format!("{id}/")));
            let again: usize = of_id.map(|(_, count)| count - 1).sum();
            // Two records a message.
            prop_assert!(again <= 2 * doubles, "{again} records of {id} doubled");
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    /// A share of it each, or one message, may be under way when the limit is reached.
    #[test]
    fn no_more_bytes_are_read_ahead_than_asked(
        lanes in lanes(),
        bytes_in_flight in 1_usize..3000,
    ) {
        let world = World::new(IDS.into_iter().zip(lanes.clone()));
        let settings = Settings {
            bytes_in_flight,
            ..settings()
        };
        // What waits, what is on its way, and one message of each that is larger than its share.
        world.state().most_bytes = 2 * bytes_in_flight + lanes.len() * 64;
        run_with(&world, &Local, settings).1.unwrap();
    }

    #[test]
    fn a_position_is_saved_no_more_often_than_asked_but_for_the_stop(
        lanes in lanes(),
        save_every in 0_u64..60,
    ) {
        let world = World::new(IDS.into_iter().zip(lanes));
        let settings = Settings {
            save_every: Duration::from_secs(save_every),
            ..settings()
        };
        run_with(&world, &Local, settings).1.unwrap();
        let state = world.state();
        for id in IDS {
            let saves = state.saved_at.iter().filter(|(partition, _)| partition == id);
            let mut saves: Vec<Duration> = saves.map(|(_, at)| *at).collect();
            saves.pop();
            for pair in saves.windows(2) {
                prop_assert!(pair[1] - pair[0] >= Duration::from_secs(save_every), "{id}: {saves:?}");
            }
        }
    }
}

/// Hears how a run goes, and has it written among the events.
#[derive(Default)]
struct Listener {
    reports: Vec<(Duration, Report)>,
    last: Option<Report>,
    world: Option<World>,
}

impl Reporter<World> for Listener {
    fn report(&mut self, report: Report) -> Option<WriteReport<World>> {
        let time = self.world.as_ref().unwrap().elapsed();
        self.reports.push((time, report));
        Some(Box::new(|sink| {
            sink.event(&Event {
                kind: Kind::Record,
                time: Instant::EPOCH,
                raw: ["report", ""],
                why: None,
            })
        }))
    }

    fn last(&mut self, report: Report) {
        self.last = Some(report);
    }
}

/// One process that reads this log, and what it told at such intervals.
fn listened<L>(world: &World, log: &L, report_every: Duration) -> (Tally, Listener)
where
    L: PartitionedLog<Error = Trouble>,
{
    let follower = Follower {
        log,
        ownership: &Local,
        store: Arc::new(world.clone()),
        clock: world,
        settings: Settings {
            report_every,
            ..settings()
        },
    };
    let mut tally = Tally::default();
    let mut listener = Listener {
        world: Some(world.clone()),
        ..Listener::default()
    };
    let stop = world.start();
    let run = follower.run_reporting(world.clone(), stop, &mut tally, &mut listener);
    let (_, outcome) = runtime().block_on(run);
    outcome.unwrap();
    (tally, listener)
}

#[test]
fn a_run_tells_at_intervals_how_it_goes_and_once_more_at_its_end() {
    let world = World::new([("0", Lane::of(100)), ("1", Lane::of(3))]);
    let (tally, listener) = listened(&world, &world, 30 * SECOND);

    let (first, rest) = listener.reports.split_first().unwrap();
    assert_eq!(first.1.listed, 2);
    assert_eq!(first.1.partitions.len(), 2);
    assert!(!rest.is_empty());
    let mut before = first;
    for told in rest {
        assert!(
            told.0 - before.0 >= 30 * SECOND,
            "{:?} {:?}",
            told.0,
            before.0
        );
        assert!(told.1.tally.messages >= before.1.tally.messages);
        before = told;
    }
    let written = world.all().into_iter().filter(|event| event == "report");
    assert_eq!(written.count(), listener.reports.len());

    let last = listener.last.unwrap();
    assert_eq!(last.tally, tally);
    assert_eq!(last.tally.messages, 103);
    assert_eq!(last.newest, Some(Instant::from_millis(99)));
    assert!(last.delivered_at.is_some());
    let partition = |id: &str| last.partitions.iter().find(|one| one.partition == id);
    let (long, short) = (partition("0").unwrap(), partition("1").unwrap());
    assert_eq!((long.sequence, long.lag), (Some(99), Some(0)));
    assert_eq!((short.sequence, short.lag), (Some(2), Some(0)));
    assert_eq!(short.newest, Some(Instant::from_millis(2)));
}

/// A log that no longer answers.
struct Unreachable<'w>(&'w World);

impl PartitionedLog for Unreachable<'_> {
    type Error = Trouble;
    type Reader = world::Reader;

    async fn partitions(&self) -> Result<Vec<Partition>, Trouble> {
        // Counts the round, and stops the run behind the last.
        self.0.partitions().await.ok();
        Err(Trouble(LogErrorClass::Passing))
    }

    async fn open(&self, _: &Partition, _: &ReadFrom) -> Result<Self::Reader, Trouble> {
        Err(Trouble(LogErrorClass::Passing))
    }
}

#[test]
fn a_log_that_cannot_be_reached_is_tried_for_ever_and_reports_say_since_when() {
    let world = World::new([("0", Lane::of(1))]);
    let (_, listener) = listened(&world, &Unreachable(&world), 60 * SECOND);
    assert!(listener.reports.len() > 1, "{:?}", listener.reports);
    let (at, first) = &listener.reports[0];
    assert!(*at >= 60 * SECOND, "{at:?}");
    let failing = first.failing.as_ref().unwrap();
    assert_eq!((failing.since, failing.lasts), (NOW, *at));
    assert!(failing.what.contains("Passing"), "{}", failing.what);
    let last = listener.last.unwrap();
    assert_eq!(last.failing.unwrap().since, NOW);
    assert_eq!((last.listed, last.partitions.len()), (0, 0));
}

#[test]
fn what_was_told_before_is_not_counted_again() {
    let now = Tally {
        messages: 9,
        repeated: 5,
        reconnects: 4,
        throttles: 3,
        refused: 2,
        ..Tally::default()
    };
    let since = now.since(&Tally {
        messages: 4,
        repeated: 5,
        refused: 2,
        ..Tally::default()
    });
    let expected = Tally {
        messages: 5,
        repeated: 0,
        ..now
    };
    assert_eq!(since, expected);
}

/// A sink whose reader has stopped reading, and who is then asked to stop.
struct Stuck {
    stop: tokio::sync::watch::Sender<bool>,
    go_on: std::sync::mpsc::Receiver<()>,
}

impl Sink for Stuck {
    fn event(&mut self, _: &Event<'_>) -> std::io::Result<()> {
        self.stop.send_replace(true);
        self.go_on.recv().ok();
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Takes no time, and lets everybody else go on by a step.
struct Hurried;

impl Clock for Hurried {
    fn now(&self) -> Instant {
        NOW
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    async fn pause(&self, _: Duration) {
        tokio::task::yield_now().await;
    }

    fn jitter(&self) -> f64 {
        0.0
    }
}

#[derive(Default)]
struct Released(Mutex<Vec<String>>);

impl Ownership for Released {
    type Error = std::convert::Infallible;

    async fn claim(&self, partitions: &[Partition]) -> Result<Vec<String>, Self::Error> {
        Local.claim(partitions).await
    }

    async fn release(&self, partitions: &[String]) -> Result<(), Self::Error> {
        self.0.lock().unwrap().extend(partitions.iter().cloned());
        Ok(())
    }
}

#[test]
fn partitions_are_given_back_at_the_stop_even_if_a_delivery_is_stuck() {
    let world = World::new([("0", Lane::of(3))]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (unblock, go_on) = std::sync::mpsc::channel();
    let ownership = Released::default();
    let follower = Follower {
        log: &world,
        ownership: &ownership,
        store: Arc::new(world.clone()),
        clock: &Hurried,
        settings: settings(),
    };
    let mut tally = Tally::default();
    let run = follower.run(Stuck { stop, go_on }, stopped, &mut tally);
    let (sink, outcome) = runtime.block_on(run);
    outcome.unwrap();
    assert!(sink.is_none());
    assert_eq!(*ownership.0.lock().unwrap(), ["0"]);
    assert_eq!(world.kept("0"), None);
    drop(unblock);
}
