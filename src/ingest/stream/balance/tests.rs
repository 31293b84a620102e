//! Readers and a store of claims, simulated: each reader lists the claims and, some
//! moments later, renews and takes one after the other, while others do the same.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

/// Seconds.
const ROUND: u64 = 10;
const EXPIRY: u64 = 60;
/// From the last disturbance until nothing may move any more, and how long that is watched.
const SETTLING: u64 = 400;
const WATCHED: u64 = 1_800;

#[derive(Debug, Clone)]
struct Claim {
    owner: String,
    version: u64,
    modified: u64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Ours,
    /// As Microsoft's JavaScript client: one partition a round, at random, a free one
    /// without any condition.
    JavaScript,
}

#[derive(Debug, Clone)]
struct Plan {
    kind: Kind,
    joins: u64,
    /// Without a word.
    dies: Option<u64>,
    /// Gives back what it holds.
    stops: Option<u64>,
}

enum Act {
    Renew(String, u64),
    Take(String, Option<u64>, bool),
}

struct Reader {
    name: String,
    plan: Plan,
    next: u64,
    acts: VecDeque<Act>,
    /// What it takes for its own, as of its last round.
    holds: BTreeSet<String>,
    round: BTreeSet<String>,
    /// Free, as of its last round.
    free: BTreeSet<String>,
}

struct Simulation {
    partitions: Vec<String>,
    claims: BTreeMap<String, Claim>,
    readers: Vec<Reader>,
    dice: Vec<u8>,
    rolled: usize,
    stolen: Vec<u64>,
    version: u64,
    /// Until then writes may fail for no reason.
    faults_until: u64,
}

impl Simulation {
    fn roll(&mut self) -> u64 {
        self.rolled += 1;
        let at = self.rolled % self.dice.len();
        // Another number each time around, lest readers keep in step for ever.
        let seed = (self.rolled as u64) << 8 | u64::from(self.dice[at]);
        let mixed = (seed ^ seed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 32).wrapping_mul(0x94d0_49bb_1331_11eb) >> 31
    }

    fn is_alive(reader: &Reader, now: u64) -> bool {
        let ended = [reader.plan.dies, reader.plan.stops];
        reader.plan.joins <= now && ended.into_iter().flatten().all(|end| now < end)
    }

    fn write(&mut self, partition: &str, owner: &str, now: u64) {
        self.version += 1;
        let claim = Claim {
            owner: owner.to_owned(),
            version: self.version,
            modified: now,
        };
        let before = self.claims.insert(partition.to_owned(), claim);
        let live =
            before.filter(|before| !before.owner.is_empty() && now - before.modified < EXPIRY);
        if live.is_some_and(|before| before.owner != owner) && !owner.is_empty() {
            self.stolen.push(now);
        }
    }

    fn list(&mut self, at: usize, now: u64) {
        let (partitions, claims) = (self.partitions.clone(), self.claims.clone());
        let owner = |partition: &String| {
            let claim = claims.get(partition)?;
            let live = !claim.owner.is_empty() && now - claim.modified < EXPIRY;
            live.then_some(claim.owner.as_str())
        };
        let holdings: Vec<Holding<'_>> = partitions
            .iter()
            .map(|partition| Holding {
                partition,
                owner: owner(partition),
                overdue: self.readers[at].free.contains(partition),
            })
            .collect();
        let name = self.readers[at].name.clone();
        let version = |partition: &str| claims.get(partition).map(|claim| claim.version);
        let mine = |holding: &&Holding<'_>| holding.owner == Some(&name);
        let mut acts: VecDeque<Act> = holdings
            .iter()
            .filter(mine)
            .map(|holding| {
                let partition = holding.partition;
                Act::Renew(partition.to_owned(), version(partition).unwrap())
            })
            .collect();
        match self.readers[at].plan.kind {
            Kind::Ours => {
                let share = share(&name, &holdings);
                assert_eq!(share.keep.len(), acts.len());
                // First, as a claim that was renewed since the listing cannot be taken.
                for partition in share.take {
                    acts.push_front(Act::Take(partition.to_owned(), version(partition), true));
                }
            }
            Kind::JavaScript => {
                let dice = self.roll();
                acts.extend(one_of_javascript(&name, &holdings, dice).map(|partition| {
                    let free = !claims.contains_key(partition);
                    Act::Take(partition.to_owned(), version(partition), !free)
                }));
            }
        }
        let free = holdings.iter().filter(|holding| holding.owner.is_none());
        let reader = &mut self.readers[at];
        reader.free = free.map(|holding| holding.partition.to_owned()).collect();
        if acts.is_empty() {
            // Such a round ends at once, with nothing held.
            reader.holds.clear();
        }
        reader.acts = acts;
        reader.round = BTreeSet::new();
    }

    fn act(&mut self, at: usize, act: Act, now: u64) {
        let name = self.readers[at].name.clone();
        let fails = now < self.faults_until && self.roll().is_multiple_of(11);
        let (partition, won) = match act {
            Act::Renew(partition, version) => {
                let same = self
                    .claims
                    .get(&partition)
                    .is_some_and(|claim| claim.version == version);
                (partition, same)
            }
            Act::Take(partition, version, true) => {
                let same = self.claims.get(&partition).map(|claim| claim.version) == version;
                (partition, same)
            }
            Act::Take(partition, _, false) => (partition, true),
        };
        // A write may be carried out, and fail for whoever sent it.
        let lost = fails && self.roll().is_multiple_of(2);
        if won && !lost {
            self.write(&partition, &name, now);
        }
        if won && !fails {
            self.readers[at].round.insert(partition);
        }
    }

    fn tick(&mut self, now: u64) {
        for at in 0..self.readers.len() {
            let reader = &mut self.readers[at];
            if reader.plan.stops == Some(now) && reader.plan.joins <= now {
                let (name, holds) = (reader.name.clone(), std::mem::take(&mut reader.holds));
                for partition in holds {
                    if self
                        .claims
                        .get(&partition)
                        .is_some_and(|claim| claim.owner == name)
                    {
                        self.write(&partition, "", now);
                    }
                }
            }
            if !Self::is_alive(&self.readers[at], now) {
                self.readers[at].holds.clear();
                continue;
            }
            // As many writes in a second as the dice say.
            let many = 1 + self.roll() % 12;
            for _ in 0..many {
                let Some(act) = self.readers[at].acts.pop_front() else {
                    break;
                };
                self.act(at, act, now);
                if self.readers[at].acts.is_empty() {
                    let reader = &mut self.readers[at];
                    reader.holds = std::mem::take(&mut reader.round);
                }
            }
            if self.readers[at].acts.is_empty() && self.readers[at].next <= now {
                self.list(at, now);
                let late = self.roll() % 3;
                self.readers[at].next = now + ROUND + late;
            }
        }
    }

    fn counts(&self, now: u64) -> Vec<usize> {
        let alive = self
            .readers
            .iter()
            .filter(|reader| Self::is_alive(reader, now));
        let of = |name: &str| {
            self.claims
                .values()
                .filter(|claim| claim.owner == name)
                .count()
        };
        alive.map(|reader| of(&reader.name)).collect()
    }
}

/// The balanced strategy of `@azure/event-hubs`.
fn one_of_javascript<'a>(me: &str, holdings: &[Holding<'a>], dice: u64) -> Option<&'a str> {
    let mut held: BTreeMap<&str, Vec<&'a str>> = BTreeMap::from([(me, Vec::new())]);
    let mut free = Vec::new();
    for holding in holdings {
        match holding.owner {
            Some(owner) => held.entry(owner).or_default().push(holding.partition),
            None => free.push(holding.partition),
        }
    }
    let any = |of: &[&'a str]| of.get(dice as usize % of.len().max(1)).copied();
    let least = holdings.len() / held.len();
    let more = holdings.len() % held.len();
    let with_more = held.values().filter(|held| held.len() == least + 1).count();
    let too_many = held.values().any(|held| held.len() > least + 1);
    let too_few = held.values().any(|held| held.len() < least);
    if free.is_empty() && !too_many && !too_few && with_more == more {
        return None;
    }
    let mine = held[me].len();
    if !(mine < least || (mine == least && with_more < more)) {
        return None;
    }
    if !free.is_empty() {
        return any(&free);
    }
    let heaviest = held.values().max_by_key(|held| held.len())?;
    if heaviest.len() > least + 1 || (heaviest.len() == least + 1 && mine < least) {
        return any(heaviest);
    }
    None
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let kind = prop_oneof![4 => Just(Kind::Ours), 1 => Just(Kind::JavaScript)];
    let end = || proptest::option::weighted(0.3, 60_u64..400);
    let plan = (kind, 0_u64..120, end(), end()).prop_map(|(kind, joins, dies, stops)| Plan {
        kind,
        joins,
        dies,
        stops,
    });
    proptest::collection::vec(plan, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn readers_that_come_die_and_stop_settle_each_partition_with_one_and_nothing_moves_then(
        many in 1_usize..40,
        mut plans in plans(),
        dice in proptest::collection::vec(any::<u8>(), 16..64),
    ) {
        // One stays.
        plans[0] = Plan { kind: Kind::Ours, dies: None, stops: None, ..plans[0] };
        let readers = plans.into_iter().enumerate().map(|(at, plan)| Reader {
            name: format!("reader-{at}"),
            next: plan.joins,
            plan,
            acts: VecDeque::new(),
            holds: BTreeSet::new(),
            round: BTreeSet::new(),
            free: BTreeSet::new(),
        });
        let mut simulation = Simulation {
            partitions: (0..many).map(|at| at.to_string()).collect(),
            claims: BTreeMap::new(),
            readers: readers.collect(),
            dice,
            rolled: 0,
            stolen: Vec::new(),
            version: 0,
            faults_until: 400,
        };
        let quiet = 400 + SETTLING;
        for now in 0..quiet + WATCHED {
            simulation.tick(now);
            if now == 400 + 90 {
                // Whoever died is replaced by then, though not yet evenly.
                let alive: usize = simulation.counts(now).iter().sum();
                prop_assert_eq!(alive, many, "after 90 s");
            }
        }
        let now = quiet + WATCHED;
        let counts = simulation.counts(now);
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        prop_assert!(most - least <= 1, "{:?}", counts);
        prop_assert_eq!(counts.iter().sum::<usize>(), many);
        let late: Vec<_> = simulation.stolen.iter().filter(|at| **at > quiet).collect();
        prop_assert!(late.is_empty(), "stolen at {:?}", late);
        // Each reader knows what it holds, and no two hold the same.
        let held: Vec<&String> = simulation.readers.iter().flat_map(|reader| &reader.holds).collect();
        let once: BTreeSet<&String> = held.iter().copied().collect();
        prop_assert_eq!((held.len(), once.len()), (many, many));
    }
}

fn of<'a>(holdings: &[(&'a str, Option<&'a str>)]) -> Vec<Holding<'a>> {
    let holdings = holdings.iter();
    holdings
        .map(|&(partition, owner)| Holding {
            partition,
            owner,
            overdue: false,
        })
        .collect()
}

#[test]
fn one_reader_takes_all_at_once_and_of_two_each_takes_half() {
    let free = of(&[("0", None), ("1", None), ("2", None)]);
    assert_eq!(share("me", &free).take.len(), 3);
    let shared = of(&[("0", Some("x")), ("1", None), ("2", None), ("3", None)]);
    assert_eq!(share("me", &shared).take.len(), 2);
}

#[test]
fn nothing_is_taken_from_a_reader_that_holds_one_more() {
    let even = of(&[("0", Some("x")), ("1", Some("x")), ("2", Some("me"))]);
    let kept = share("me", &even);
    assert_eq!((kept.keep, kept.take), (vec!["2"], vec![]));
}

#[test]
fn a_newcomer_takes_half_of_what_it_lacks() {
    let names: Vec<String> = (0..32).map(|at| at.to_string()).collect();
    let holdings: Vec<Holding<'_>> = names
        .iter()
        .map(|partition| Holding {
            partition,
            owner: Some("x"),
            overdue: false,
        })
        .collect();
    assert_eq!(share("me", &holdings).take.len(), 8);
}

#[test]
fn what_stays_free_is_taken_beyond_an_even_share() {
    let mut holdings = of(&[
        ("0", Some("me")),
        ("1", Some("x")),
        ("2", None),
        ("3", None),
    ]);
    assert_eq!(share("me", &holdings).take.len(), 1);
    holdings[2].overdue = true;
    holdings[3].overdue = true;
    assert_eq!(share("me", &holdings).take.len(), 2);
}
