//! Several forwarders share a hub through blobs: none of its records is lost, whoever is killed or
//! stopped, and what comes twice is no more than a new owner reads again from the checkpoint.

use super::hub::{Counts, Hub, came, hold_all, take};
use crate::counterpart::Splunkd;
use crate::counterpart::process::{Reading, Running};
use defender_bridge::sandbox;
use defender_bridge::sandbox::event_hub::Settings;
use defender_bridge::sandbox::storage::{self, Operation, Storage, Times};
use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

const CONTAINER: &str = "checkpoints";
/// A claim that is not renewed for so long is nobody's.
const EXPIRY: Duration = Duration::from_secs(60);

fn hub(partitions: usize) -> Hub {
    Hub::in_tenant(sandbox::Settings {
        event_hub: Some(Settings {
            records: Some(0),
            partitions,
            ..Settings::default()
        }),
        storage: Some(storage::Settings {
            records: Some(0),
            checkpoint_container: CONTAINER.to_owned(),
            ..storage::Settings::default()
        }),
        ..sandbox::Settings::default()
    })
}

/// A splunkd of a machine of its own.
fn machine(hub: &Hub) -> Splunkd {
    let container = hub.storage().checkpoint_container();
    let settings = [("checkpoint", "blob"), ("checkpoint_container", &container)];
    hub.splunkd(&settings)
}

/// The blob of that kind.
fn blob(storage: &Storage, kind: &str, partition: usize) -> Option<String> {
    let end = format!("/{kind}/{partition}");
    let blobs = storage.blobs(CONTAINER).into_iter();
    blobs
        .map(|(name, _)| name)
        .find(|name| name.ends_with(&end))
}

fn metadata(storage: &Storage, kind: &str, partition: usize, key: &str) -> Option<String> {
    let blob = blob(storage, kind, partition)?;
    let metadata = storage.metadata(CONTAINER, &blob)?;
    let value = metadata.into_iter().find(|(name, _)| name == key);
    value.map(|(_, value)| value)
}

fn owner(hub: &Hub, partition: usize) -> Option<String> {
    let owner = metadata(hub.storage(), "ownership", partition, "ownerid");
    owner.filter(|owner| !owner.is_empty())
}

/// Sequence number of a partition's checkpoint; -1 where there is none.
fn checkpoint(hub: &Hub, partition: usize) -> i64 {
    let sequence = metadata(hub.storage(), "checkpoint", partition, "sequencenumber");
    sequence.map_or(-1, |sequence| sequence.parse().unwrap())
}

fn is_saved(hub: &Hub) -> bool {
    let mut ends = (0..).zip(hub.hub().ends());
    ends.all(|(partition, end)| checkpoint(hub, partition) == end - 1)
}

/// Looks at who holds what, and counts what may come twice: behind each partition that is taken
/// from somebody, what lies between its checkpoint and the end.
struct Watch<'h> {
    hub: &'h Hub,
    owners: Vec<Option<String>>,
    checkpoints: Vec<i64>,
    connections: BTreeMap<usize, u64>,
    /// Taken, and not yet read by its new owner: checkpoint and connection at that time.
    taken: BTreeMap<usize, (i64, Option<u64>)>,
    may_come_twice: i64,
    moves: usize,
}

impl<'h> Watch<'h> {
    fn new(hub: &'h Hub) -> Self {
        let partitions = hub.hub().partitions();
        Self {
            hub,
            owners: vec![None; partitions],
            checkpoints: vec![-1; partitions],
            connections: BTreeMap::new(),
            taken: BTreeMap::new(),
            may_come_twice: 0,
            moves: 0,
        }
    }

    fn look(&mut self) {
        let receivers = self.hub.hub().receivers();
        self.connections = receivers
            .iter()
            .map(|held| (held.partition, held.connection))
            .collect();
        for partition in 0..self.owners.len() {
            let owner = owner(self.hub, partition);
            let now = self.connections.get(&partition).copied();
            if owner != self.owners[partition] {
                if owner.is_some() && self.owners[partition].is_some() {
                    self.moves += 1;
                    let from = self.checkpoints[partition];
                    self.taken.entry(partition).or_insert((from, now));
                }
                self.owners[partition] = owner;
            }
            if let Some((from, before)) = self.taken.get(&partition).copied()
                && now.is_some()
                && now != before
            {
                self.may_come_twice += self.hub.hub().ends()[partition] - 1 - from;
                self.taken.remove(&partition);
            }
            self.checkpoints[partition] = checkpoint(self.hub, partition);
        }
    }

    /// How many partitions each owner has, the fewest first.
    fn shares(&self) -> Vec<usize> {
        let mut shares: BTreeMap<&String, usize> = BTreeMap::new();
        for owner in self.owners.iter().flatten() {
            *shares.entry(owner).or_default() += 1;
        }
        let mut shares: Vec<usize> = shares.into_values().collect();
        shares.sort_unstable();
        shares
    }

    /// Looks until that is so.
    #[track_caller]
    fn until(&mut self, running: &mut Running, mut so: impl FnMut(&mut Self) -> bool) {
        let reached = running.wait_until(|| {
            self.look();
            so(self)
        });
        assert!(reached, "the forwarder has ended");
    }

    /// An owner that is none of these.
    fn another(&self, known: &[&str]) -> Option<String> {
        let mut owners = self.owners.iter().flatten();
        owners
            .find(|owner| !known.contains(&owner.as_str()))
            .cloned()
    }
}

/// Puts a record into each partition every now and then, until it is told to stop.
fn keep_publishing(hub: &Hub, stop: &mpsc::Receiver<()>) {
    let mut number = 0;
    while stop.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
        hub.one_more(number);
        number += 1;
    }
}

#[test]
fn three_forwarders_share_a_hub_and_take_over_from_one_that_is_killed_and_one_that_is_stopped() {
    let hub = hub(6);
    let machines = [machine(&hub), machine(&hub), machine(&hub)];
    let [one, two, three] = &machines;
    let storage = hub.storage();
    let mut all = Counts::new();
    let mut watch = Watch::new(&hub);
    std::thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel();
        let to = &hub;
        let publishing = scope.spawn(move || keep_publishing(to, &stopped));
        let mut one_running = one.start(Reading::Steady);
        watch.until(&mut one_running, |watch| watch.shares() == [6]);
        let first = watch.another(&[]).unwrap();
        let mut two_running = two.start(Reading::Steady);
        watch.until(&mut two_running, |watch| watch.another(&[&first]).is_some());
        let second = watch.another(&[&first]).unwrap();
        let mut three_running = three.start(Reading::Steady);
        watch.until(&mut three_running, |watch| watch.shares() == [2, 2, 2]);
        let third = watch.another(&[&first, &second]).unwrap();

        // Now nothing moves any more: four rounds are one of each at least.
        let (moves, lists) = (watch.moves, storage.stats().lists);
        watch.until(&mut one_running, |_| storage.stats().lists >= lists + 4);
        assert_eq!(
            watch.moves, moves,
            "a partition was taken after all had settled"
        );

        // One is gone without a word, and so is its machine.
        three_running.kill();
        watch.look();
        for partition in 0..6 {
            if watch.owners[partition].as_ref() == Some(&third) {
                let end = hub.hub().ends()[partition];
                watch.may_come_twice += end - 1 - watch.checkpoints[partition];
                watch.owners[partition] = None;
                let claim = blob(storage, "ownership", partition).unwrap();
                assert!(storage.age(CONTAINER, &claim, EXPIRY));
            }
        }
        watch.until(&mut one_running, |watch| watch.shares() == [3, 3]);
        assert_eq!(watch.another(&[&first, &second]), None);
        take(&mut all, &three_running.finish().events());

        // One is stopped, and has saved what it delivered.
        two_running.terminate();
        watch.until(&mut one_running, |watch| watch.shares() == [6]);
        take(&mut all, &two_running.finish().well().events());
        stop.send(()).unwrap();
        publishing.join().unwrap();
        watch.until(&mut one_running, |_| hub.is_caught_up(one));
        one_running.terminate();
        take(&mut all, &one_running.finish().well().events());
    });
    assert!(is_saved(&hub), "the last one saves at its stop");
    assert!((0..6).all(|partition| owner(&hub, partition).is_none()));
    hold_all(&all, &hub.wanted());
    let twice = all.values().map(|count| count - 1).sum::<usize>();
    let most = usize::try_from(watch.may_come_twice).unwrap();
    assert!(twice <= most, "{twice} came twice, and {most} may");
}

#[test]
fn a_store_that_takes_a_checkpoint_later_costs_no_record() {
    for code in ["ServerBusy", "ConditionNotMet"] {
        let hub = hub(2);
        let times = Times::Next(1);
        let storage = hub.storage();
        storage.refuse(Operation::Write, "/checkpoint/", code, times);
        (0..20).for_each(|number| hub.one_more(number));
        let splunkd = machine(&hub);
        let mut running = splunkd.start(Reading::Steady);
        assert!(running.wait_until(|| hub.is_caught_up(&splunkd)));
        running.terminate();
        let run = running.finish().well();
        assert_eq!(came(&run), hub.wanted(), "{code}");
        assert!(is_saved(&hub), "{code}: {}", run.stderr);
    }
}

#[test]
fn a_store_that_takes_no_checkpoint_ends_the_run_and_the_next_one_goes_on() {
    let hub = hub(2);
    let storage = hub.storage();
    let code = "AuthorizationPermissionMismatch";
    storage.refuse(Operation::Write, "/checkpoint/", code, Times::Always);
    (0..20).for_each(|number| hub.one_more(number));
    let splunkd = machine(&hub);
    let run = splunkd.run();
    let line = run.refusal();
    for word in [
        "defender_bridge://feed",
        CONTAINER,
        "Storage Blob Data Contributor",
    ] {
        assert!(line.contains(word), "`{word}` in: {line}");
    }
    let mut all = came(&run);
    storage.recover();
    hub.one_more(20);
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    take(&mut all, &run.events());
    assert_eq!(all, hub.wanted());
    assert!(is_saved(&hub));
}

#[test]
fn a_checkpoint_is_written_only_while_its_partition_is_ours() {
    let hub = hub(2);
    let splunkd = machine(&hub);
    (0..20).for_each(|number| hub.one_more(number));
    let mut running = splunkd.start(Reading::Steady);
    assert!(running.wait_until(|| hub.is_caught_up(&splunkd) && checkpoint(&hub, 0) >= 0));
    // Another client takes a partition, and has written no checkpoint yet.
    let claim = blob(hub.storage(), "ownership", 0).unwrap();
    let before = checkpoint(&hub, 0);
    let theirs = [("ownerid", "javascript")];
    assert!(hub.storage().put_metadata(CONTAINER, &claim, &theirs));
    hub.one_more(20);
    assert!(running.wait_until(|| hub.is_caught_up(&splunkd)));
    running.terminate();
    let run = running.finish().well();
    assert_eq!(came(&run), hub.wanted());
    assert_eq!(checkpoint(&hub, 0), before);
    assert_eq!(checkpoint(&hub, 1), hub.hub().ends()[1] - 1);
    assert_eq!(owner(&hub, 0).as_deref(), Some("javascript"));
    assert_eq!(owner(&hub, 1), None);
}
