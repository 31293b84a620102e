//! A link on which the events of a partition go out.

use fe2o3_amqp::Sender;
use fe2o3_amqp::types::messaging::{Body, DeliveryAnnotations};
use fe2o3_amqp::types::performatives::Attach;
use fe2o3_amqp::types::primitives::{Timestamp, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

use crate::sandbox::event_hub::authorization::{Claim, Grants};
use crate::sandbox::event_hub::connection::{Shared, end_sender};
use crate::sandbox::event_hub::hub::{self, Hub, Node, Reader, count};
use crate::sandbox::event_hub::log::{Found, Log, Standing};
use crate::sandbox::event_hub::refusal::Refusal;
use crate::sandbox::event_hub::selector::Selector;
use crate::sandbox::event_hub::trouble::End;

const EPOCH: &str = "com.microsoft:epoch";
/// A receiver that asks for it learns with each event where the partition ends.
const METRIC: &str = "com.microsoft:enable-receiver-runtime-metric";
/// Two spellings: one of them is Microsoft's Rust client's own.
const NAMES: [&str; 2] = [
    "com.microsoft:receiver-name",
    "com.microsoft.com:receiver-name",
];

/// A reader that may begin.
pub(super) struct Admitted {
    id: u64,
    entity: String,
    place: usize,
    from: i64,
    news: watch::Receiver<i64>,
    ended: UnboundedReceiver<Refusal>,
    sent: Arc<AtomicU64>,
    metric: bool,
    /// After how many events it ends, and how.
    end: Option<(u64, End)>,
}

/// Lets a reader in, or says why not.
pub(super) fn admit(
    shared: &Shared,
    entity: &str,
    node: &Node,
    attach: &Attach,
    channel: u16,
) -> Result<Admitted, Refusal> {
    let hub = &shared.hub;
    let mut state = hub.state();
    if let Some(refusal) = state.troubles.receiver() {
        return Err(refusal);
    }
    let Node::Partition {
        hub: name,
        group,
        partition,
    } = node
    else {
        return Err(Refusal::not_found(entity));
    };
    if !hub.is_named(name) || state.logs.is_none() {
        return Err(Refusal::not_found(entity));
    }
    shared.grants.check(entity, Claim::Listen)?;
    let group = hub
        .group(group)
        .ok_or_else(|| Refusal::not_found(&format!("{name}|{group}")))?
        .to_owned();
    let place = hub.place(&state, partition)?;
    let selector = match &attach.source {
        Some(source) => Selector::of(source)?,
        None => return Err(Refusal::not_found(entity)),
    };
    let log = state.log(place).ok_or_else(|| Refusal::not_found(entity))?;
    let from = log.begin(&selector, hub.settings.refuse_aged_out)?;
    let news = log.news();
    let property = |name: &str| {
        let properties = attach.properties.as_ref()?;
        properties
            .iter()
            .find(|(key, _)| key.as_str() == name)
            .map(|(_, value)| value)
    };
    let epoch = match property(EPOCH) {
        Some(Value::Long(epoch)) => Some(*epoch),
        Some(Value::Int(epoch)) => Some(i64::from(*epoch)),
        _ => None,
    };
    let name = NAMES.iter().find_map(|name| match property(name) {
        Some(Value::String(name)) => Some(name.clone()),
        _ => None,
    });
    let (end, ended) = unbounded_channel();
    let sent = Arc::new(AtomicU64::new(0));
    let id = state.admit(Reader {
        connection: shared.id,
        partition: place,
        group,
        epoch,
        name,
        channel,
        handle: attach.handle.0,
        sent: sent.clone(),
        end,
    })?;
    let desired = attach.desired_capabilities.as_ref();
    let metric = desired.is_some_and(|desired| desired.iter().any(|it| it.as_str() == METRIC));
    let ordered = state.troubles.ends.pop_front();
    Ok(Admitted {
        id,
        entity: entity.to_owned(),
        place,
        from,
        news,
        ended,
        sent,
        metric,
        end: ordered,
    })
}

/// Takes the reader off the hub's list, however it ends.
struct Gone<'h>(&'h Hub, u64);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.state().readers.remove(&self.1);
    }
}

impl Admitted {
    /// Sends what is there and what comes, until one side ends the link.
    pub(super) async fn serve(self, shared: &Shared, mut sender: Sender) {
        let hub = shared.hub.clone();
        let gone = Gone(&hub, self.id);
        let Self {
            entity,
            place,
            from,
            mut news,
            mut ended,
            sent,
            metric,
            mut end,
            ..
        } = self;
        let mut next = from;
        let refusal = loop {
            let due = |(after, _): &mut (u64, End)| sent.load(Ordering::Relaxed) >= *after;
            if let Some(refusal) = end.take_if(due).and_then(|(_, end)| shared.end(end)) {
                break refusal;
            }
            // What comes after this look wakes us.
            news.mark_unchanged();
            let found = hub.state().log(place).and_then(|log| log.find(next));
            let Some(found) = found else {
                tokio::select! {
                    Some(refusal) = ended.recv() => break refusal,
                    _ = sender.on_detach() => return,
                    changed = news.changed() => if changed.is_err() {
                        break Refusal::not_found(&entity);
                    },
                    refusal = expiry(&shared.grants, &entity) => break refusal,
                }
                continue;
            };
            let sequence = found.sequence();
            let standing = match metric {
                true => hub.state().log(place).map(Log::standing),
                false => None,
            };
            tokio::select! {
                biased;
                Some(refusal) = ended.recv() => break refusal,
                bytes = send(&mut sender, found, standing) => {
                    let Some(bytes) = bytes else { return };
                    next = sequence + 1;
                    count(&sent);
                    count(&hub.counters.events);
                    hub.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
                },
                refusal = expiry(&shared.grants, &entity) => break refusal,
            }
        };
        // The partition is free as soon as the link is ended, whenever the peer answers.
        drop(gone);
        end_sender(sender, &refusal).await;
    }
}

/// Waits until the last token for it has expired.
async fn expiry(grants: &Grants, entity: &str) -> Refusal {
    loop {
        match grants.check(entity, Claim::Listen) {
            Ok(left) => tokio::time::sleep(left).await,
            Err(refusal) => return refusal,
        }
    }
}

/// Waits for credit and sends; none if the link is over.
async fn send(sender: &mut Sender, found: Found, end: Option<Standing>) -> Option<u64> {
    let mut event = found.event();
    if let Some(end) = end {
        Arc::make_mut(&mut event).message.delivery_annotations = Some(told(end));
    }
    let bytes = match &event.message.body {
        Body::Data(sections) => sections.iter().map(|section| section.0.len() as u64).sum(),
        _ => 0,
    };
    // Nobody waits for what becomes of it: some clients never say.
    let sent = sender.send_batchable_ref(&*event).await;
    sent.ok().map(|_unwatched| bytes)
}

/// What a receiver is told of its partition's end.
fn told(end: Standing) -> DeliveryAnnotations {
    let time = |at| Value::Timestamp(Timestamp::from_milliseconds(at));
    DeliveryAnnotations::builder()
        .insert("last_enqueued_sequence_number", Value::Long(end.last))
        .insert("last_enqueued_offset", Value::String(end.offset))
        .insert("last_enqueued_time_utc", time(end.enqueued))
        .insert("runtime_info_retrieval_time_utc", time(hub::now()))
        .build()
}
