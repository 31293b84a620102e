//! Many alerts or incidents of Graph read through `$batch`.

use crate::microsoft::defender::list::collection::Collection;
use crate::microsoft::defender::update::client::{DefenderError, IN_FLIGHT, UpdateClient};
use crate::microsoft::defender::update::graph_batch;
use crate::microsoft::defender::update::graph_batch::Part;
use crate::microsoft::defender::update::tenant_limits::BatchCall;
use crate::microsoft::http::error::Error;
use crate::triage::{DefenderClient, State, Target};
use futures::StreamExt;

/// One result per target, in their order.
pub(in crate::microsoft) async fn read_all(
    client: &UpdateClient,
    targets: &[Target],
) -> Vec<Result<State, DefenderError>> {
    let lots: Vec<Vec<Result<State, DefenderError>>> =
        futures::stream::iter(targets.chunks(graph_batch::MOST))
            .map(|lot| read_lot(client, lot))
            .buffered(IN_FLIGHT)
            .collect()
            .await;
    lots.into_iter().flatten().collect()
}

async fn read_lot(client: &UpdateClient, targets: &[Target]) -> Vec<Result<State, DefenderError>> {
    if targets.len() < 2 || client.at_once(BatchCall::Batch) < 2 {
        return client.read_singly(targets).await;
    }
    let places: Vec<Result<(&Collection, String), DefenderError>> =
        targets.iter().map(|target| client.place(target)).collect();
    let parts: Vec<Part> = places
        .iter()
        .flatten()
        .map(|(_, path)| Part::get(path))
        .collect();
    let Some(answers) = graph_batch::send(client.client(), &parts).await else {
        client.limit(BatchCall::Batch, 1);
        return client.read_singly(targets).await;
    };
    let mut answers = answers.into_iter();
    let mut states = Vec::with_capacity(targets.len());
    for (target, place) in targets.iter().zip(places) {
        states.push(match place {
            Err(fault) => Err(fault),
            Ok((collection, _)) => match answers.next() {
                Some(Ok(answer)) => match client.state_of(target, answer) {
                    // What it is in a batch, it need not be by itself.
                    Err(DefenderError::Unreadable { .. }) => client.read(target).await,
                    state => state,
                },
                // Large ones that are too large together.
                Some(Err(Error::BodyTooLarge { .. })) | None => client.read(target).await,
                Some(Err(error)) => Err(DefenderError::call(error, collection, collection.read)),
            },
        });
    }
    states
}
