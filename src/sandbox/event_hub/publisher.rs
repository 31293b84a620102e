//! A link on which events come in, singly or batched.

use fe2o3_amqp::types::messaging::annotations::OwnedKey;
use fe2o3_amqp::types::messaging::message::DecodeIntoMessage;
use fe2o3_amqp::types::messaging::{Body, MessageAnnotations};
use fe2o3_amqp::types::primitives::Value;
use fe2o3_amqp::{Delivery, Receiver};
use serde_amqp::read::SliceReader;
use std::sync::Arc;

use crate::sandbox::event_hub::authorization::Claim;
use crate::sandbox::event_hub::connection::{FAREWELL, Shared};
use crate::sandbox::event_hub::hub::Node;
use crate::sandbox::event_hub::log::Content;
use crate::sandbox::event_hub::refusal::Refusal;

/// Message format of a message whose data sections are messages.
const BATCHED: u32 = 0x8001_3700;
const KEY: &str = "x-opt-partition-key";

/// Takes events in until the link ends.
pub(super) async fn serve(shared: Arc<Shared>, mut receiver: Receiver, entity: String, node: Node) {
    let partition = match check(&shared, &entity, &node) {
        Ok(partition) => partition,
        Err(refusal) => return end(receiver, &refusal).await,
    };
    while let Ok(delivery) = receiver.recv::<Body<Value>>().await {
        let taken = match check(&shared, &entity, &node) {
            Ok(_) => take(&shared, partition.as_deref(), &delivery),
            Err(refusal) => return end(receiver, &refusal).await,
        };
        let answered = match taken {
            Ok(()) => receiver.accept(&delivery).await,
            Err(refusal) => receiver.reject(&delivery, refusal.error()).await,
        };
        if answered.is_err() {
            return;
        }
    }
}

/// Whether events may be sent there; to which partition, if one is named.
fn check(shared: &Shared, entity: &str, node: &Node) -> Result<Option<String>, Refusal> {
    let Node::Entity { hub, partition } = node else {
        return Err(Refusal::not_found(entity));
    };
    let state = shared.hub.state();
    if !shared.hub.is_named(hub) || state.logs.is_none() {
        return Err(Refusal::not_found(entity));
    }
    shared.grants.check(entity, Claim::Send)?;
    if let Some(partition) = partition {
        shared.hub.place(&state, partition)?;
    }
    Ok(partition.clone())
}

async fn end(receiver: Receiver, refusal: &Refusal) {
    let farewell = receiver.close_with_error(refusal.error());
    let _ended = tokio::time::timeout(FAREWELL, farewell).await;
}

fn take(
    shared: &Shared,
    partition: Option<&str>,
    delivery: &Delivery<Body<Value>>,
) -> Result<(), Refusal> {
    if let Some(refusal) = shared.hub.state().troubles.publishing() {
        return Err(refusal);
    }
    let message = delivery.message();
    let key = key(message.message_annotations.as_ref());
    let contents = match (delivery.message_format(), &message.body) {
        (Some(BATCHED), Body::Data(sections)) => {
            let each = sections.iter().map(|section| {
                <Body<Value>>::decode_message_from_reader(SliceReader::new(&section.0))
            });
            // All or none.
            each.collect::<Result<Vec<_>, _>>().map_err(|why| {
                Refusal::new("amqp:decode-error", format!("A batched message: {why}"))
            })?
        }
        _ => vec![message.clone()],
    };
    // A batch goes to one partition.
    let mut chosen = partition.map(str::to_owned);
    for mut content in contents {
        let own = self::key(content.message_annotations.as_ref());
        let key = key.clone().or(own);
        if let Some(key) = &key {
            remember(&mut content, key);
        }
        let position = shared
            .hub
            .publish(chosen.as_deref(), key.as_deref(), content)?;
        chosen = Some(position.partition);
    }
    Ok(())
}

fn key(annotations: Option<&MessageAnnotations>) -> Option<String> {
    let annotations = annotations?;
    match annotations.0.get(&OwnedKey::from(KEY))? {
        Value::String(key) => Some(key.clone()),
        _ => None,
    }
}

fn remember(content: &mut Content, key: &str) {
    let annotations = content
        .message_annotations
        .get_or_insert_with(|| MessageAnnotations::builder().build());
    annotations
        .0
        .insert(OwnedKey::from(KEY), Value::String(key.to_owned()));
}
