//! Incidents that Defender merged into others: what was asked of one is done to
//! its successor, and the rows are told so.
//!
//! They are followed when all other targets have ended, because a successor may
//! be a target itself, or have several predecessors: it is written once.

use crate::triage::apply::group::{GroupWorker, LEFT_OUT, NO_TIME, Pace, within};
use crate::triage::apply::recorder::TargetOutcome;
use crate::triage::diff::between;
use crate::triage::outcome::Outcome;
use crate::triage::plan::Task;
use crate::triage::{Clock, DefenderClient, Ledger, Target};

/// How many merges of merges are followed.
const MERGES_FOLLOWED: usize = 5;

/// A task on its way from merge to merge.
struct MergedIncident {
    task: Task,
    /// The ids so far, the row's own first.
    chain: Vec<String>,
}

impl MergedIncident {
    /// Where it has come to.
    fn place(&self) -> &str {
        self.chain.last().map_or("", String::as_str)
    }
}

/// Carries out what was asked of the worker's merged incidents.
pub(in crate::triage) async fn follow<D: DefenderClient, L: Ledger, C: Clock>(
    worker: &GroupWorker<'_, '_, D, L, C>,
) {
    MergeFollower { worker }.follow().await;
}

struct MergeFollower<'h, 'a, 'b, D, L, C> {
    worker: &'h GroupWorker<'a, 'b, D, L, C>,
}

impl<D: DefenderClient, L: Ledger, C: Clock> MergeFollower<'_, '_, '_, D, L, C> {
    async fn follow(&self) {
        let worker = self.worker;
        let merged_incidents = worker
            .merged_incidents
            .take()
            .into_iter()
            .map(|(task, into)| MergedIncident {
                chain: vec![task.target.id.clone(), into],
                task,
            });
        let mut tasks: Vec<Task> = Vec::new();
        for merged in self.arrived(merged_incidents.collect()).await {
            let id = merged.place();
            let same = |task: &&mut Task| task.target.id == id;
            let direct = worker.group.tasks.iter().find(|task| task.target.id == id);
            let gathered = tasks.iter_mut().find(same);
            if let Some(other) = direct.or(gathered.as_deref())
                && !is_alike(other, &merged.task)
            {
                let why = match other.asked.first() {
                    Some((row, _)) => format!("row {row} asks for something else there"),
                    None => "other rows ask for something else there".to_owned(),
                };
                self.record_at(&merged, TargetOutcome::new(Outcome::Conflict, why))
                    .await;
                continue;
            }
            let ended = worker.ended.borrow().get(id).cloned();
            match (ended, gathered) {
                (Some(ended), _) => self.record_at(&merged, ended).await,
                (None, Some(task)) => {
                    task.asked.extend(merged.task.asked.iter().cloned());
                    task.merged.push(merged.task);
                }
                (None, None) => tasks.push(Task {
                    target: Target {
                        id: id.to_owned(),
                        ..merged.task.target.clone()
                    },
                    merged: vec![merged.task.clone()],
                    ..merged.task
                }),
            }
        }
        for wave in tasks.chunks(Pace::of(worker.group.api).wave) {
            worker.wave(wave).await;
        }
    }

    /// Those that come to an incident that is not merged itself; the others are
    /// recorded.
    async fn arrived(&self, mut merged_incidents: Vec<MergedIncident>) -> Vec<MergedIncident> {
        let mut arrived = Vec::new();
        while !merged_incidents.is_empty() {
            let target = |merged: &MergedIncident| Target {
                id: merged.place().to_owned(),
                ..merged.task.target.clone()
            };
            let targets: Vec<Target> = merged_incidents.iter().map(target).collect();
            let read = self.worker.client.read_many(&targets);
            let states = within(self.worker.clock, self.worker.action.limits.deadline, read).await;
            let in_time = states.is_some();
            let mut states = states.unwrap_or_default().into_iter();
            let mut further = Vec::new();
            for mut merged in merged_incidents {
                let ended = match states.next() {
                    Some(Ok(state)) => match state.merged_into {
                        None => {
                            arrived.push(merged);
                            continue;
                        }
                        Some(next) if merged.chain.contains(&next) => {
                            let chain = merged.chain.join(", ");
                            TargetOutcome::new(
                                Outcome::Conflict,
                                format!("the merges go round in a circle ({chain}, {next})"),
                            )
                        }
                        Some(next) if merged.chain.len() > MERGES_FOLLOWED => TargetOutcome::new(
                            Outcome::Conflict,
                            format!(
                                "more than {MERGES_FOLLOWED} merges follow, the last known into {next}: triage the last incident itself"
                            ),
                        ),
                        Some(next) => {
                            merged.chain.push(next);
                            further.push(merged);
                            continue;
                        }
                    },
                    Some(Err(error)) => TargetOutcome::error(&error),
                    None if in_time => TargetOutcome::new(Outcome::Failed, LEFT_OUT),
                    None => TargetOutcome::new(Outcome::Deferred, NO_TIME),
                };
                self.record_at(&merged, ended).await;
            }
            merged_incidents = further;
        }
        arrived
    }

    /// Records a merged incident as its successor ended.
    async fn record_at(&self, merged: &MergedIncident, ended: TargetOutcome) {
        let ended = ended.in_place_of(&merged.task, merged.place());
        self.worker.record(&merged.task, ended).await;
    }
}

fn is_alike(one: &Task, other: &Task) -> bool {
    one.dry_run == other.dry_run && between(&one.change, &other.change).is_empty()
}
