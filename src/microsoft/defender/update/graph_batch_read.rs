//! Many alerts or incidents of Graph read through `$batch`.

use crate::microsoft::defender::list::collection::Collection;
use crate::microsoft::defender::update::client::{DeskFault, FamilyDesk, IN_FLIGHT};
use crate::microsoft::defender::update::graph_batch;
use crate::microsoft::defender::update::graph_batch::Part;
use crate::microsoft::defender::update::tenant_limits::Together;
use crate::microsoft::http::error::Error;
use crate::triage::{DefenderClient, State, Target};
use futures::StreamExt;

/// One result per target, in their order.
pub(in crate::microsoft) async fn read_all(
    desk: &FamilyDesk,
    targets: &[Target],
) -> Vec<Result<State, DeskFault>> {
    let lots: Vec<Vec<Result<State, DeskFault>>> =
        futures::stream::iter(targets.chunks(graph_batch::MOST))
            .map(|lot| read_lot(desk, lot))
            .buffered(IN_FLIGHT)
            .collect()
            .await;
    lots.into_iter().flatten().collect()
}

async fn read_lot(desk: &FamilyDesk, targets: &[Target]) -> Vec<Result<State, DeskFault>> {
    if targets.len() < 2 || desk.at_once(Together::Batch) < 2 {
        return desk.read_singly(targets).await;
    }
    let places: Vec<Result<(&Collection, String), DeskFault>> =
        targets.iter().map(|target| desk.place(target)).collect();
    let parts: Vec<Part> = places
        .iter()
        .flatten()
        .map(|(_, path)| Part::get(path))
        .collect();
    let Some(answers) = graph_batch::send(desk.client(), &parts).await else {
        desk.limit(Together::Batch, 1);
        return desk.read_singly(targets).await;
    };
    let mut answers = answers.into_iter();
    let mut states = Vec::with_capacity(targets.len());
    for (target, place) in targets.iter().zip(places) {
        states.push(match place {
            Err(fault) => Err(fault),
            Ok((collection, _)) => match answers.next() {
                Some(Ok(answer)) => match desk.state_of(target, answer) {
                    // What it is in a batch, it need not be by itself.
                    Err(DeskFault::Unreadable { .. }) => desk.read(target).await,
                    state => state,
                },
                // Large ones that are too large together.
                Some(Err(Error::BodyTooLarge { .. })) | None => desk.read(target).await,
                Some(Err(error)) => Err(DeskFault::call(error, collection, collection.read)),
            },
        });
    }
    states
}
