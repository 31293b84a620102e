//! One connection: its sessions, and what each of its links is for.

use fe2o3_amqp::acceptor::{
    ConnectionAcceptor, LinkAcceptor, LinkEndpoint, ListenerSessionHandle, SaslAnonymousMechanism,
    SessionAcceptor, SupportedReceiverSettleModes, SupportedSenderSettleModes,
};
use fe2o3_amqp::types::definitions::{Fields, ReceiverSettleMode, Role, SenderSettleMode};
use fe2o3_amqp::types::messaging::TargetArchetype;
use fe2o3_amqp::types::performatives::Attach;
use fe2o3_amqp::types::primitives::{Symbol, Value};
use fe2o3_amqp::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::sandbox::accept::Stream;
use crate::sandbox::event_hub::Settlement;
use crate::sandbox::event_hub::authorization::Grants;
use crate::sandbox::event_hub::exchange;
use crate::sandbox::event_hub::hub::{self, Hub, Node, count};
use crate::sandbox::event_hub::log::{Content, Event};
use crate::sandbox::event_hub::publisher;
use crate::sandbox::event_hub::reader;
use crate::sandbox::event_hub::refusal::Refusal;
use crate::sandbox::event_hub::trouble::End;
use crate::sandbox::event_hub::wire::{Gauge, Wire};

/// As Event Hubs answers.
const FRAME: u32 = 65_536;
const IDLE: u32 = 240_000;
pub(super) const MESSAGE: u64 = 1_048_576;
/// What is queued between links, sessions and the socket: a slow receiver must
/// not make the queue grow.
const QUEUE: usize = 16;
/// A peer that does not answer the end of a link or connection is not waited for longer.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);
const CHANNELS: u16 = 4_999;
const HANDLES: u32 = 255;

/// What the links of a connection share.
pub(super) struct Shared {
    pub(super) id: u64,
    pub(super) hub: Arc<Hub>,
    pub(super) grants: Arc<Grants>,
    /// Links on which answers go out, the newest last.
    replies: Mutex<Vec<Reply>>,
}

struct Reply {
    target: Option<String>,
    node: Node,
    out: UnboundedSender<Event>,
}

impl Shared {
    /// Ends what was ordered; where it is a link, says why.
    pub(super) fn end(&self, end: End) -> Option<Refusal> {
        let told = |condition: &str| Refusal::new(condition, "It was ended: this was ordered.");
        let state = self.hub.state();
        let open = state.connections.get(&self.id);
        match (end, open) {
            (End::Link(condition), _) => return Some(told(&condition)),
            (End::Connection(condition), Some(open)) => {
                let _ended = open.close.send(told(&condition));
            }
            (End::Socket, Some(open)) => open.gauge.cut(),
            (_, None) => {}
        }
        None
    }

    /// Answers on the newest open link to that address; if none was named, on
    /// the newest one from that node.
    pub(super) fn reply(&self, to: Option<&str>, node: &Node, content: Content) {
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        replies.retain(|reply| !reply.out.is_closed());
        let named = to.and_then(|to| {
            replies
                .iter()
                .rfind(|reply| reply.target.as_deref() == Some(to))
        });
        let found = named.or_else(|| replies.iter().rfind(|reply| reply.node == *node));
        if let Some(reply) = found {
            // A link that ends now takes its answers with it.
            let _ended = reply.out.send(Event::from(content));
        }
    }
}

/// Serves a connection to its end.
pub(super) async fn serve<S: Stream + 'static>(hub: Arc<Hub>, stream: S) {
    let gauge = Arc::new(Gauge::default());
    let wire = Wire::new(stream, gauge.clone());
    let acceptor = ConnectionAcceptor::builder()
        .container_id(uuid::Uuid::new_v4().simple().to_string())
        .max_frame_size(FRAME)
        .channel_max(CHANNELS)
        .idle_time_out(IDLE)
        .properties(known())
        .buffer_size(QUEUE)
        .sasl_acceptor(SaslAnonymousMechanism::new())
        .build();
    let Ok(mut connection) = acceptor.accept(wire).await else {
        return;
    };
    let sessions = SessionAcceptor::builder()
        .handle_max(HANDLES)
        .properties(known())
        .buffer_size(QUEUE)
        .build();
    let (close, mut closed) = unbounded_channel();
    let shared = Arc::new(Shared {
        id: hub.state().id(),
        hub: hub.clone(),
        grants: Arc::default(),
        replies: Mutex::default(),
    });
    let grants = shared.grants.clone();
    count(&hub.counters.connections);
    let open = hub::Connection {
        gauge,
        grants,
        close,
    };
    hub.state().connections.insert(shared.id, open);
    let _gone = Gone(&shared);
    let mut served = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            incoming = connection.next_incoming_session() => incoming,
            Some(refusal) = closed.recv() => {
                let farewell = connection.close_with_error(refusal.error());
                let _ended = tokio::time::timeout(FAREWELL, farewell).await;
                return;
            }
            Some(_) = served.join_next() => continue,
        };
        let Some(incoming) = incoming else { return };
        let channel = incoming.channel;
        match sessions
            .accept_incoming_session(incoming, &mut connection)
            .await
        {
            Ok(session) => served.spawn(links(shared.clone(), session, channel)),
            Err(_) => return,
        };
    }
}

/// Takes the connection off the hub's list, however it ends.
struct Gone<'s>(&'s Arc<Shared>);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let mut state = self.0.hub.state();
        state.connections.remove(&self.0.id);
        state
            .readers
            .retain(|_, reader| reader.connection != self.0.id);
    }
}

/// Something for the last field of what is sent: Microsoft's Python client counts fields.
fn known() -> Fields {
    let mut fields = Fields::new();
    fields.insert(
        Symbol::from("product"),
        Value::String("Defender Bridge sandbox".to_owned()),
    );
    fields
}

/// Serves the links of a session to its end.
async fn links(shared: Arc<Shared>, mut session: ListenerSessionHandle, channel: u16) {
    let mut served = JoinSet::new();
    loop {
        let attach = tokio::select! {
            attach = session.next_incoming_attach() => attach,
            Some(_) = served.join_next() => continue,
        };
        let Some(attach) = attach else { return };
        link(&shared, &mut session, channel, attach, &mut served).await;
    }
}

async fn link(
    shared: &Arc<Shared>,
    session: &mut ListenerSessionHandle,
    channel: u16,
    attach: Attach,
    served: &mut JoinSet<()>,
) {
    let shared = shared.clone();
    let source = attach.source.as_ref().and_then(|it| it.address.clone());
    let target = attach.target.as_ref().and_then(|target| match &**target {
        TargetArchetype::Target(target) => target.address.clone(),
    });
    match attach.role {
        Role::Receiver => match Node::of(source.as_deref().unwrap_or_default()) {
            node @ (Node::Tokens | Node::Management) => {
                if let Some(sender) = sender(session, attach, None).await {
                    let (out, replies) = unbounded_channel();
                    let reply = Reply { target, node, out };
                    let mut known = shared
                        .replies
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    known.push(reply);
                    drop(known);
                    served.spawn(answer(sender, replies));
                }
            }
            node => {
                let entity = source.unwrap_or_default();
                count(&shared.hub.counters.receivers);
                let admitted = reader::admit(&shared, &entity, &node, &attach, channel);
                let settlement = Some(shared.hub.settings.settlement);
                match admitted {
                    Ok(admitted) => {
                        if let Some(sender) = sender(session, attach, settlement).await {
                            served.spawn(async move { admitted.serve(&shared, sender).await });
                        }
                    }
                    Err(refusal) => {
                        // No source in the answer: there is none.
                        let attach = Attach {
                            source: None,
                            ..attach
                        };
                        if let Some(sender) = sender(session, attach, settlement).await {
                            served.spawn(async move { end_sender(sender, &refusal).await });
                        }
                    }
                }
            }
        },
        Role::Sender => {
            let entity = target.unwrap_or_default();
            let node = Node::of(&entity);
            let Some(receiver) = receiver(session, attach).await else {
                return;
            };
            match node {
                Node::Tokens | Node::Management => {
                    served.spawn(exchange::serve(shared, receiver, node));
                }
                node => {
                    served.spawn(publisher::serve(shared, receiver, entity, node));
                }
            }
        }
    }
}

/// Accepts a link on which we send. `None`: what goes out are answers.
async fn sender(
    session: &mut ListenerSessionHandle,
    attach: Attach,
    settlement: Option<Settlement>,
) -> Option<Sender> {
    let modes = match settlement {
        Some(Settlement::OnSend) => SupportedSenderSettleModes::SettledAndMixed,
        Some(Settlement::ByReceiver) => SupportedSenderSettleModes::Unsettled,
        None => SupportedSenderSettleModes::All,
    };
    let instead = match settlement {
        Some(Settlement::ByReceiver) => SenderSettleMode::Unsettled,
        _ => SenderSettleMode::Mixed,
    };
    let desired = attach.desired_capabilities.clone();
    let mut acceptor = LinkAcceptor::builder()
        .supported_sender_settle_modes(modes)
        .fallback_sender_settle_mode(instead)
        .properties(known());
    if let Some(desired) = desired {
        acceptor = acceptor.set_offered_capabilities(desired.into_inner());
    }
    let acceptor = acceptor.build();
    match acceptor.accept_incoming_attach(attach, session).await {
        Ok(LinkEndpoint::Sender(sender)) => Some(sender),
        _ => None,
    }
}

/// Accepts a link on which we receive.
async fn receiver(session: &mut ListenerSessionHandle, attach: Attach) -> Option<Receiver> {
    // Settled at once, also for one that would settle in two steps.
    let acceptor = LinkAcceptor::builder()
        .supported_receiver_settle_modes(SupportedReceiverSettleModes::First)
        .fallback_receiver_settle_mode(ReceiverSettleMode::First)
        .max_message_size(MESSAGE)
        .properties(known())
        .build();
    match acceptor.accept_incoming_attach(attach, session).await {
        Ok(LinkEndpoint::Receiver(receiver)) => Some(receiver),
        _ => None,
    }
}

pub(super) async fn end_sender(sender: Sender, refusal: &Refusal) {
    let farewell = sender.close_with_error(refusal.error());
    let _ended = tokio::time::timeout(FAREWELL, farewell).await;
}

/// Sends answers as they come, until the peer has had enough.
async fn answer(mut sender: Sender, mut replies: UnboundedReceiver<Event>) {
    loop {
        let reply = tokio::select! {
            reply = replies.recv() => reply,
            _ = sender.on_detach() => return,
        };
        let Some(reply) = reply else { return };
        if sender.send_batchable(reply).await.is_err() {
            return;
        }
    }
}
