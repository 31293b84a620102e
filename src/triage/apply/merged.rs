//! Incidents that Defender merged into others: what was asked of one is done to
//! its successor, and the rows are told so.
//!
//! They are followed when all other targets are settled, because a successor may
//! be a target itself, or have several predecessors: it is written once.

use crate::triage::apply::group::{Hand, LEFT_OUT, NO_TIME, Pace, within};
use crate::triage::apply::recorder::Settled;
use crate::triage::diff::between;
use crate::triage::outcome::Outcome;
use crate::triage::plan::Task;
use crate::triage::{Clock, Desk, Ledger, Target};

/// How many merges of merges are followed.
const HOPS: usize = 5;

/// A task on its way from merge to merge.
struct Stray {
    task: Task,
    /// The ids so far, the row's own first.
    way: Vec<String>,
}

impl Stray {
    /// Where it has come to.
    fn place(&self) -> &str {
        self.way.last().map_or("", String::as_str)
    }
}

/// Carries out what was asked of the hand's merged incidents.
pub(in crate::triage) async fn follow<D: Desk, L: Ledger, C: Clock>(hand: &Hand<'_, '_, D, L, C>) {
    Trail { hand }.follow().await;
}

struct Trail<'h, 'a, 'b, D, L, C> {
    hand: &'h Hand<'a, 'b, D, L, C>,
}

impl<D: Desk, L: Ledger, C: Clock> Trail<'_, '_, '_, D, L, C> {
    async fn follow(&self) {
        let hand = self.hand;
        let strays = hand.strays.take().into_iter().map(|(task, into)| Stray {
            way: vec![task.target.id.clone(), into],
            task,
        });
        let mut tasks: Vec<Task> = Vec::new();
        for stray in self.arrived(strays.collect()).await {
            let id = stray.place();
            let same = |task: &&mut Task| task.target.id == id;
            let direct = hand.group.tasks.iter().find(|task| task.target.id == id);
            let gathered = tasks.iter_mut().find(same);
            if let Some(other) = direct.or(gathered.as_deref())
                && !is_alike(other, &stray.task)
            {
                let why = match other.asked.first() {
                    Some((row, _)) => format!("row {row} asks for something else there"),
                    None => "other rows ask for something else there".to_owned(),
                };
                self.strand(&stray, Settled::new(Outcome::Conflict, why))
                    .await;
                continue;
            }
            let settled = hand.settled.borrow().get(id).cloned();
            match (settled, gathered) {
                (Some(settled), _) => self.strand(&stray, settled).await,
                (None, Some(task)) => {
                    task.asked.extend(stray.task.asked.iter().cloned());
                    task.merged.push(stray.task);
                }
                (None, None) => tasks.push(Task {
                    target: Target {
                        id: id.to_owned(),
                        ..stray.task.target.clone()
                    },
                    merged: vec![stray.task.clone()],
                    ..stray.task
                }),
            }
        }
        for wave in tasks.chunks(Pace::of(hand.group.api).wave) {
            hand.wave(wave).await;
        }
    }

    /// Those that come to an incident that is not merged itself; the others are
    /// settled.
    async fn arrived(&self, mut strays: Vec<Stray>) -> Vec<Stray> {
        let mut arrived = Vec::new();
        while !strays.is_empty() {
            let target = |stray: &Stray| Target {
                id: stray.place().to_owned(),
                ..stray.task.target.clone()
            };
            let targets: Vec<Target> = strays.iter().map(target).collect();
            let read = self.hand.desk.read_many(&targets);
            let states = within(self.hand.clock, self.hand.action.limits.deadline, read).await;
            let in_time = states.is_some();
            let mut states = states.unwrap_or_default().into_iter();
            let mut further = Vec::new();
            for mut stray in strays {
                let settled = match states.next() {
                    Some(Ok(state)) => match state.merged_into {
                        None => {
                            arrived.push(stray);
                            continue;
                        }
                        Some(next) if stray.way.contains(&next) => {
                            let way = stray.way.join(", ");
                            Settled::new(
                                Outcome::Conflict,
                                format!("the merges go round in a circle ({way}, {next})"),
                            )
                        }
                        Some(next) if stray.way.len() > HOPS => Settled::new(
                            Outcome::Conflict,
                            format!("more than {HOPS} merges on, in {next}: triage the last one"),
                        ),
                        Some(next) => {
                            stray.way.push(next);
                            further.push(stray);
                            continue;
                        }
                    },
                    Some(Err(error)) => Settled::error(&error),
                    None if in_time => Settled::new(Outcome::Failed, LEFT_OUT),
                    None => Settled::new(Outcome::Deferred, NO_TIME),
                };
                self.strand(&stray, settled).await;
            }
            strays = further;
        }
        arrived
    }

    /// Settles a merged incident by what became of its successor.
    async fn strand(&self, stray: &Stray, settled: Settled) {
        let settled = settled.in_place_of(&stray.task, stray.place());
        self.hand.settle(&stray.task, settled).await;
    }
}

fn is_alike(one: &Task, other: &Task) -> bool {
    one.dry_run == other.dry_run && between(&one.change, &other.change).is_empty()
}
