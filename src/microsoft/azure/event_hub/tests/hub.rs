//! A hub on loopback, which ends links, sessions, connections and sockets when it is told to.

use crate::microsoft::account::{Account, Auth};
use crate::microsoft::azure::event_hub::{EventHub, Settings, SharedAccess, Transport};
use crate::microsoft::azure::records::Tables;
use crate::microsoft::tests::https_server::{certified, custom_cloud};
use fe2o3_amqp::acceptor::{
    ConnectionAcceptor, LinkAcceptor, LinkEndpoint, ListenerSessionHandle, SaslAnonymousMechanism,
    SessionAcceptor,
};
use fe2o3_amqp::types::definitions::{self, ErrorCondition, Role};
use fe2o3_amqp::types::messaging::{
    AmqpValue, ApplicationProperties, Body, MessageAnnotations, Properties, TargetArchetype,
};
use fe2o3_amqp::types::performatives::Attach;
use fe2o3_amqp::types::primitives::{Array, OrderedMap, SimpleValue, Symbol, Timestamp, Value};
use fe2o3_amqp::{Receiver, Sender};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

type Sent = fe2o3_amqp::types::messaging::Message<Body<Value>>;

/// How a link ends.
#[derive(Debug, Clone)]
pub enum End {
    Link(&'static str),
    Session(&'static str),
    Connection(&'static str),
    Socket,
}

/// A receiver that came.
#[derive(Debug, Clone, Default)]
pub struct Attached {
    pub address: String,
    pub selector: String,
    pub descriptor: String,
    pub epoch: Option<Value>,
    pub name: Option<Value>,
    pub capabilities: Vec<String>,
}

#[derive(Default)]
pub struct State {
    /// Of each partition: sequence numbers count from `begin`.
    pub partitions: Vec<Vec<Body<Value>>>,
    pub begin: i64,
    /// Of the receivers that come, one after the other: after how many messages they end.
    pub ends: VecDeque<(usize, End)>,
    /// Receivers that are refused, one after the other.
    pub refusals: VecDeque<&'static str>,
    /// What is said of tokens, one after the other.
    pub tokens: VecDeque<(i32, &'static str)>,
    pub created: Option<i64>,
    pub ids_as_list: bool,
    /// `$management` says nothing.
    pub silent: bool,
    pub attached: Vec<Attached>,
    /// Type, name and text.
    pub got: Vec<(String, String, String)>,
    pub connections: usize,
    /// Path and sub-protocol.
    pub sockets: Vec<(String, String)>,
}

pub struct TestHub {
    pub address: SocketAddr,
    folder: TempDir,
    pub state: Arc<Mutex<State>>,
    pub changed: Arc<Notify>,
}

struct Shared {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    replies: Mutex<HashMap<String, mpsc::UnboundedSender<Sent>>>,
    close: mpsc::UnboundedSender<End>,
}

pub fn text(part: &str) -> Body<Value> {
    use fe2o3_amqp::types::messaging::{Batch, Data};
    let data = Data(serde_amqp::primitives::Binary::from(
        part.as_bytes().to_vec(),
    ));
    Body::Data(Batch::new(vec![data]))
}

fn condition(name: &str) -> definitions::Error {
    let condition = ErrorCondition::Custom(Symbol::from(name));
    definitions::Error::new(condition, Some("as it was told".to_owned()), None)
}

impl TestHub {
    /// Partitions with so many messages each: `p/0`, `p/1`…
    pub async fn start(counts: &[usize]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (folder, config) = certified();
        let tls = TlsAcceptor::from(Arc::new(config));
        let message = |partition: usize| move |number| text(&format!("{partition}/{number}"));
        let partitions = counts
            .iter()
            .enumerate()
            .map(|(partition, count)| (0..*count).map(message(partition)).collect())
            .collect();
        let state = Arc::new(Mutex::new(State {
            partitions,
            created: Some(1_700_000_000_000),
            ..State::default()
        }));
        let changed = Arc::new(Notify::new());
        let hub = Self {
            address,
            folder,
            state: Arc::clone(&state),
            changed: Arc::clone(&changed),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, state, changed) = (tls.clone(), Arc::clone(&state), Arc::clone(&changed));
                tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        converse(stream, state, changed).await;
                    }
                });
            }
        });
        hub
    }

    pub fn account(&self) -> Account {
        Account {
            name: "lab".to_owned(),
            tenant_id: "contoso.example".to_owned(),
            client_id: "app".to_owned(),
            auth: Auth::ManagedIdentity,
            cloud: custom_cloud(),
            ca_file: Some(self.folder.path().join("ca.pem")),
            proxy: None,
            read_only: false,
        }
    }

    pub fn settings(&self) -> Settings {
        Settings {
            host: "localhost".to_owned(),
            port: Some(self.address.port()),
            hub: "insights".to_owned(),
            consumer_group: "$Default".to_owned(),
            transport: Transport::Amqp,
            shared: false,
            emulator: false,
        }
    }

    pub fn client(&self) -> EventHub {
        client(&self.account(), self.settings())
    }

    pub fn seen<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    /// Waits until something is so.
    pub async fn until(&self, what: impl Fn(&State) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                let changed = self.changed.notified();
                if what(&self.state.lock().unwrap()) {
                    return;
                }
                changed.await;
            }
        });
        waited.await.expect("the hub saw nothing of the kind");
    }
}

pub fn shared_access() -> SharedAccess {
    SharedAccess::Key {
        name: "listen".to_owned(),
        key: "s3cr3t-key".into(),
    }
}

pub fn client(account: &Account, settings: Settings) -> EventHub {
    client_with(account, Some(shared_access()), settings)
}

pub fn client_with(
    account: &Account,
    access: Option<SharedAccess>,
    settings: Settings,
) -> EventHub {
    EventHub::new(account, access, settings, Tables::default()).unwrap()
}

/// One connection: AMQP at once, or through a WebSocket.
async fn converse(
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
) {
    let mut stream = tokio::io::BufReader::new(stream);
    let is_http = matches!(stream.fill_buf().await, Ok(bytes) if bytes.first() == Some(&b'G'));
    if !is_http {
        return serve(stream, state, changed).await;
    }
    let seen = Arc::clone(&state);
    let answer = move |request: &Request, mut response: Response| {
        let protocol = request.headers().get("sec-websocket-protocol").unwrap();
        let path = request.uri().path().to_owned();
        let name = protocol.to_str().unwrap().to_owned();
        seen.lock().unwrap().sockets.push((path, name));
        response
            .headers_mut()
            .insert("sec-websocket-protocol", protocol.clone());
        Ok(response)
    };
    if let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, answer).await {
        serve(
            super::super::websocket::WebSocket::of(socket),
            state,
            changed,
        )
        .await;
    }
}

async fn serve<S>(mut stream: S, state: Arc<Mutex<State>>, changed: Arc<Notify>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (here, mut there) = tokio::io::duplex(256 << 10);
    let wire = tokio::spawn(async move {
        tokio::io::copy_bidirectional(&mut stream, &mut there)
            .await
            .ok();
    });
    state.lock().unwrap().connections += 1;
    let (close, mut closing) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        state,
        changed,
        replies: Mutex::default(),
        close,
    });
    let acceptor = ConnectionAcceptor::builder()
        .container_id("hub")
        .sasl_acceptor(SaslAnonymousMechanism::new())
        .max_frame_size(65536)
        .build();
    let Ok(mut connection) = acceptor.accept(here).await else {
        return;
    };
    let sessions = SessionAcceptor::new();
    loop {
        tokio::select! {
            end = closing.recv() => match end {
                Some(End::Connection(name)) => {
                    connection.close_with_error(condition(name)).await.ok();
                    return;
                }
                _ => return wire.abort(),
            },
            session = sessions.accept(&mut connection) => match session {
                Ok(session) => drop(tokio::spawn(links(Arc::clone(&shared), session))),
                Err(_) => return,
            },
        }
    }
}

async fn links(shared: Arc<Shared>, mut session: ListenerSessionHandle) {
    let (end, mut ending) = mpsc::unbounded_channel::<&'static str>();
    loop {
        tokio::select! {
            name = ending.recv() => {
                session.end_with_error(condition(name.unwrap())).await.ok();
                return;
            }
            attach = session.next_incoming_attach() => {
                let Some(attach) = attach else {
                    return;
                };
                link(&shared, &mut session, attach, &end).await;
            }
        }
    }
}

async fn link(
    shared: &Arc<Shared>,
    session: &mut ListenerSessionHandle,
    mut attach: Attach,
    end: &mpsc::UnboundedSender<&'static str>,
) {
    let source = attach
        .source
        .as_ref()
        .and_then(|source| source.address.clone());
    let source = source.unwrap_or_default();
    let target = match attach.target.as_deref() {
        Some(TargetArchetype::Target(target)) => target.address.clone().unwrap_or_default(),
        _ => String::new(),
    };
    let reads = matches!(attach.role, Role::Receiver);
    let refusal = match reads && !source.starts_with('$') {
        false => None,
        true => {
            let mut state = shared.state.lock().unwrap();
            state.attached.push(attached(&attach, &source));
            state.refusals.pop_front()
        }
    };
    if refusal.is_some() {
        attach.source = None;
    }
    let accepted = LinkAcceptor::new()
        .accept_incoming_attach(attach, session)
        .await;
    shared.changed.notify_waiters();
    match accepted {
        Ok(LinkEndpoint::Receiver(receiver)) => {
            tokio::spawn(answer(Arc::clone(shared), receiver));
        }
        Ok(LinkEndpoint::Sender(sender)) => match refusal {
            Some(name) => {
                tokio::spawn(sender.close_with_error(condition(name)));
            }
            None if source.starts_with('$') => {
                let (replies, mut waiting) = mpsc::unbounded_channel();
                shared.replies.lock().unwrap().insert(target, replies);
                tokio::spawn(async move {
                    let mut sender = sender;
                    while let Some(reply) = waiting.recv().await {
                        sender.send_batchable(reply).await.ok();
                    }
                });
            }
            None => {
                tokio::spawn(send(Arc::clone(shared), sender, source, end.clone()));
            }
        },
        Err(_) => {}
    }
}

fn attached(attach: &Attach, address: &str) -> Attached {
    let property = |name: &str| {
        let properties = attach.properties.as_ref()?;
        properties.get(&Symbol::from(name)).cloned()
    };
    let mut seen = Attached {
        address: address.to_owned(),
        epoch: property("com.microsoft:epoch"),
        name: property("com.microsoft:receiver-name"),
        ..Attached::default()
    };
    let capabilities = attach
        .desired_capabilities
        .iter()
        .flat_map(|of| of.0.iter());
    seen.capabilities = capabilities.map(|of| of.as_str().to_owned()).collect();
    let filter = attach
        .source
        .as_ref()
        .and_then(|source| source.filter.as_ref());
    let key = Symbol::from("apache.org:selector-filter:string");
    if let Some(Value::Described(filter)) = filter.and_then(|filter| filter.get(&key)) {
        seen.descriptor = format!("{:?}", filter.descriptor);
        if let Value::String(selector) = &filter.value {
            seen.selector.clone_from(selector);
        }
    }
    seen
}

/// The first sequence number that a selector asks for.
fn first(selector: &str, begin: i64) -> i64 {
    let value = selector.split('\'').nth(1).unwrap_or_default();
    let asked = match value.parse::<i64>() {
        _ if value == "@latest" => i64::MAX,
        Ok(number) if selector.contains("sequence-number") => number + 1,
        Ok(number) if selector.contains("offset") && number >= 0 => number / 100 + 1,
        Ok(number) if selector.contains("enqueued") => number + 1,
        _ => begin,
    };
    asked.max(begin)
}

async fn send(
    shared: Arc<Shared>,
    mut sender: Sender,
    address: String,
    session: mpsc::UnboundedSender<&'static str>,
) {
    let partition: usize = address.rsplit('/').next().unwrap().parse().unwrap();
    let (mut next, end) = {
        let mut state = shared.state.lock().unwrap();
        let begin = state.begin;
        let selector = state.attached.iter().rfind(|seen| seen.address == address);
        (
            first(&selector.unwrap().selector, begin),
            state.ends.pop_front(),
        )
    };
    let mut sent = 0;
    loop {
        if let Some((_, end)) = end.as_ref().filter(|(after, _)| *after == sent) {
            return match end.clone() {
                End::Link(name) => drop(sender.close_with_error(condition(name)).await),
                End::Session(name) => session.send(name).unwrap(),
                end => shared.close.send(end).unwrap(),
            };
        }
        let waiting = shared.changed.notified();
        let body = {
            let state = shared.state.lock().unwrap();
            let place = usize::try_from(next - state.begin).unwrap_or(usize::MAX);
            state.partitions[partition].get(place).cloned()
        };
        let Some(body) = body else {
            tokio::select! {
                () = waiting => continue,
                _ = sender.on_detach() => return,
            }
        };
        let annotations = MessageAnnotations::builder()
            .insert("x-opt-sequence-number", Value::Long(next))
            .insert("x-opt-offset", Value::String((next * 100).to_string()))
            .insert(
                "x-opt-enqueued-time",
                Value::Timestamp(Timestamp::from(next)),
            )
            .build();
        let message = fe2o3_amqp::types::messaging::Message::builder()
            .message_annotations(annotations)
            .body(body)
            .build();
        sent += 1;
        next += 1;
        // What comes before an end has to have arrived.
        let is_last = end.as_ref().is_some_and(|(after, _)| *after == sent);
        let gone = match is_last {
            true => sender.send(message).await.is_err(),
            false => sender.send_batchable(message).await.is_err(),
        };
        if gone {
            return;
        }
    }
}

async fn answer(shared: Arc<Shared>, mut receiver: Receiver) {
    while let Ok(delivery) = receiver.recv::<Body<Value>>().await {
        receiver.accept(&delivery).await.ok();
        let asked = delivery.into_message();
        let properties = asked.properties.unwrap();
        let of = asked.application_properties.unwrap();
        let word = |name: &str| match of.get(name) {
            Some(SimpleValue::String(text)) => text.clone(),
            _ => String::new(),
        };
        let (status, said, body) = {
            let mut state = shared.state.lock().unwrap();
            match word("operation").as_str() {
                "put-token" => {
                    let token = match asked.body {
                        Body::Value(AmqpValue(Value::String(token))) => token,
                        other => panic!("{other:?}"),
                    };
                    state.got.push((word("type"), word("name"), token));
                    let (status, said) = state.tokens.pop_front().unwrap_or((202, "Accepted"));
                    (status, said, Value::Null)
                }
                _ if state.silent => continue,
                _ => (
                    200,
                    "OK",
                    described(&state, &word("type"), &word("partition")),
                ),
            }
        };
        shared.changed.notify_waiters();
        let reply = fe2o3_amqp::types::messaging::Message::builder()
            .properties(Properties {
                correlation_id: properties.message_id,
                ..Properties::default()
            })
            .application_properties(
                ApplicationProperties::builder()
                    .insert("status-code", SimpleValue::Int(status))
                    .insert("status-description", SimpleValue::String(said.to_owned()))
                    .build(),
            )
            .body(Body::Value(AmqpValue(body)))
            .build();
        let replies = shared.replies.lock().unwrap();
        let reply_to = properties.reply_to.unwrap();
        replies.get(&reply_to).unwrap().send(reply).ok();
    }
}

fn described(state: &State, kind: &str, partition: &str) -> Value {
    let mut map = OrderedMap::new();
    let mut put = |name: &str, value| {
        map.insert(Value::String(name.to_owned()), value);
    };
    if kind == "com.microsoft:eventhub" {
        let ids = (0..state.partitions.len()).map(|id| Value::String(id.to_string()));
        let ids: Vec<Value> = ids.collect();
        put("name", Value::String("insights".to_owned()));
        put(
            "partition_ids",
            match state.ids_as_list {
                true => Value::List(ids),
                false => Value::Array(Array(ids)),
            },
        );
        if let Some(created) = state.created {
            put("created_at", Value::Timestamp(Timestamp::from(created)));
        }
    } else {
        let place: usize = partition.parse().unwrap();
        let count = i64::try_from(state.partitions[place].len()).unwrap();
        let last = state.begin + count - 1;
        put("begin_sequence_number", Value::Long(state.begin));
        put("last_enqueued_sequence_number", Value::Long(last));
        put(
            "last_enqueued_offset",
            Value::String((last * 100).to_string()),
        );
        put("is_partition_empty", Value::Bool(count == 0));
    }
    Value::Map(map)
}
