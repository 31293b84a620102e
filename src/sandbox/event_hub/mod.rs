//! An event hub as Defender's streaming fills it: AMQP over TLS, WebSocket and,
//! on loopback, plain TCP; with the tenant's sign-in, shared access signatures,
//! and every trouble a hub can have, on demand.

mod authorization;
mod connection;
mod exchange;
mod feed;
mod hub;
mod listen;
mod log;
mod padding;
mod publisher;
mod reader;
mod refusal;
mod selector;
#[cfg(test)]
mod tests;
mod trouble;
mod websocket;
mod wire;

use fe2o3_amqp::types::messaging::{AmqpSequence, AmqpValue, Batch, Body, Data};
use fe2o3_amqp::types::primitives::Value;
use serde_json::value::RawValue;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::sandbox::accept;
use crate::sandbox::api::access::Issuer;
use crate::sandbox::story::record;
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::record::Alert;
use crate::sandbox::trouble::Fault;
pub use crate::sandbox::trouble::Times;
pub use feed::Batching;
use feed::Feed;
use hub::Hub;
use log::{Log, content};
pub use log::{Offsets, Position};
use refusal::Refusal;
pub use trouble::End;
pub use wire::Credit;

/// Who settles the events that go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Settlement {
    /// We do as we send: nothing of them is kept.
    #[default]
    OnSend,
    /// The receiver does; until then they are kept.
    ByReceiver,
}

/// What kind of hub to serve.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen for AMQP and WebSocket over TLS; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether to serve both without TLS too, on a second port of loopback.
    pub plain: bool,
    /// The hub's name.
    pub name: String,
    /// Consumer groups beside `$Default`.
    pub consumer_groups: Vec<String>,
    /// How many partitions it begins with.
    pub partitions: usize,
    /// How many records the hub begins with; as many as the stories have, if not given.
    pub records: Option<u64>,
    /// How many of them an event has.
    pub batching: Batching,
    /// Over how long they came in.
    pub span: Duration,
    /// How offsets are written.
    pub offsets: Offsets,
    /// Who settles.
    pub settlement: Settlement,
    /// Whether a position that has aged out is refused, not taken for the oldest event.
    pub refuse_aged_out: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            plain: false,
            name: "defender".to_owned(),
            consumer_groups: vec!["splunk".to_owned()],
            partitions: 4,
            records: None,
            batching: Batching::Mixed,
            span: Duration::from_secs(24 * 3600),
            offsets: Offsets::Numbers,
            settlement: Settlement::OnSend,
            refuse_aged_out: false,
        }
    }
}

/// An event to publish.
#[derive(Debug, Clone)]
pub enum Payload {
    /// One data section, as Defender sends.
    Data(Vec<u8>),
    /// Several data sections.
    Sections(Vec<Vec<u8>>),
    /// An AMQP value: text.
    Text(String),
    /// An AMQP value: bytes.
    Binary(Vec<u8>),
    /// An AMQP sequence of texts.
    Sequence(Vec<String>),
    /// An AMQP value that is a number.
    Number(i64),
    /// No message: a section that AMQP does not know. It goes out in one frame.
    Undecodable,
}

impl Payload {
    fn body(self) -> Body<Value> {
        let binary = |bytes: Vec<u8>| Value::Binary(bytes.into());
        match self {
            Self::Data(bytes) => Body::Data(Batch::new(vec![Data::from(bytes)])),
            Self::Sections(sections) => Body::Data(sections.into_iter().map(Data::from).collect()),
            Self::Text(text) => Body::Value(AmqpValue(Value::String(text))),
            Self::Binary(bytes) => Body::Value(AmqpValue(binary(bytes))),
            Self::Number(number) => Body::Value(AmqpValue(Value::Long(number))),
            Self::Undecodable => {
                Body::Data(Batch::new(vec![Data::from(padding::UNDECODABLE.to_vec())]))
            }
            Self::Sequence(texts) => {
                let values = texts.into_iter().map(Value::String).collect();
                Body::Sequence(Batch::new(vec![AmqpSequence(values)]))
            }
        }
    }
}

/// A record of the hub: where it is, and its exact text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubRecord {
    /// Its partition.
    pub partition: usize,
    /// Its event's sequence number.
    pub sequence_number: i64,
    /// Its place in the event.
    pub place: usize,
    /// Its text, an object or a string, byte for byte.
    pub text: String,
}

/// What happened since the start, and what is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Connections that were opened.
    pub opened: u64,
    /// Connections that are open.
    pub open: usize,
    /// Receivers that asked to attach, the refused ones too.
    pub receivers: u64,
    /// Tokens put.
    pub tokens: u64,
    /// Questions of management.
    pub questions: u64,
    /// Events sent.
    pub events: u64,
    /// Bytes of data in them.
    pub bytes: u64,
    /// Frames that said what became of events, on open connections.
    pub dispositions: u64,
}

/// An open receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its connection's number.
    pub connection: u64,
    /// Its partition.
    pub partition: usize,
    /// Its consumer group.
    pub consumer_group: String,
    /// Its epoch (owner level).
    pub epoch: Option<i64>,
    /// What it calls itself.
    pub name: Option<String>,
    /// Events sent on it.
    pub sent: u64,
    /// Credit it gave.
    pub credit: Credit,
}

/// A running hub; it stops when dropped.
pub struct EventHub {
    hub: Arc<Hub>,
    namespace: String,
    plain: Option<String>,
    _tasks: JoinSet<()>,
}

/// Starts a hub; it serves as soon as this returns.
pub(in crate::sandbox) async fn start(
    settings: Settings,
    tls: TlsAcceptor,
    issuer: Arc<Issuer>,
    writers: Vec<&'static str>,
    alerts: &[Alert],
    until: Ticks,
) -> Result<EventHub, (SocketAddr, std::io::Error)> {
    let (listener, address) = accept::bind(settings.listen).await?;
    let beside = match settings.plain {
        true => Some(accept::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?),
        false => None,
    };
    let feed = Feed::new(
        record::templates(alerts.iter()),
        settings.records,
        settings.batching,
        settings.partitions,
        until,
        settings.span,
    );
    let hub = Arc::new(Hub::new(settings, issuer, writers, feed));
    let mut tasks = JoinSet::new();
    tasks.spawn(accept::serve(listener, Some(tls), hub.clone()));
    let plain = beside.map(|(listener, address)| {
        tasks.spawn(accept::serve(listener, None, hub.clone()));
        address.to_string()
    });
    Ok(EventHub {
        hub,
        namespace: address.to_string(),
        plain,
        _tasks: tasks,
    })
}

impl EventHub {
    /// `127.0.0.1:<port>`: AMQP over TLS and WebSocket over TLS on one port.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The same without TLS, if [`Settings::plain`] is set.
    pub fn plain(&self) -> Option<&str> {
        self.plain.as_deref()
    }

    /// The hub's name.
    pub fn name(&self) -> &str {
        &self.hub.settings.name
    }

    /// Its consumer groups.
    pub fn consumer_groups(&self) -> Vec<String> {
        let own = self.hub.settings.consumer_groups.iter().cloned();
        std::iter::once(hub::DEFAULT_GROUP.to_owned())
            .chain(own)
            .collect()
    }

    /// Name and key of the shared access policies: one for all, one to listen, one to send.
    pub fn policies(&self) -> [(&'static str, &'static str); 3] {
        authorization::POLICIES.map(|policy| (policy.name, policy.key))
    }

    /// What a client needs to listen, as Azure's portal shows it.
    pub fn connection_string(&self) -> String {
        let [_, (name, key), _] = self.policies();
        format!(
            "Endpoint=sb://{}/;SharedAccessKeyName={name};SharedAccessKey={key};EntityPath={}",
            self.namespace,
            self.name()
        )
    }

    /// Puts an event into a partition, or into the next one.
    pub fn publish(&self, partition: Option<usize>, payload: Payload) -> Option<Position> {
        let partition = partition.map(|partition| partition.to_string());
        let event = content(payload.body());
        self.hub.publish(partition.as_deref(), None, event).ok()
    }

    /// Puts the records of these alerts in, as one event each.
    pub(in crate::sandbox) fn tell<'a>(&self, alerts: impl Iterator<Item = &'a Alert>) {
        for alert in alerts {
            let mut body = b"{\"records\":[".to_vec();
            for (place, template) in record::templates(std::iter::once(alert)).iter().enumerate() {
                if place > 0 {
                    body.push(b',');
                }
                template.write(place as u64, 0, &mut body);
            }
            body.extend_from_slice(b"]}");
            self.publish(None, Payload::Data(body));
        }
    }

    /// Every record that is retained, of events whose data is a batch of
    /// records: the ground truth of what a reader must have seen.
    pub fn records(&self, mut each: impl FnMut(HubRecord)) {
        for partition in 0..self.partitions() {
            let mut next = 0;
            loop {
                let state = self.hub.state();
                let found = state.log(partition).and_then(|log| log.find(next));
                drop(state);
                let Some(found) = found else { break };
                let sequence_number = found.sequence();
                next = sequence_number + 1;
                let event = found.event();
                let Body::Data(sections) = &event.message.body else {
                    continue;
                };
                let bytes: Vec<u8> = sections
                    .iter()
                    .flat_map(|it| it.0.iter().copied())
                    .collect();
                let Ok(batch) = serde_json::from_slice::<Records<'_>>(&bytes) else {
                    continue;
                };
                for (place, text) in batch.records.iter().enumerate() {
                    each(HubRecord {
                        partition,
                        sequence_number,
                        place,
                        text: text.get().to_owned(),
                    });
                }
            }
        }
    }

    /// How many records are retained.
    pub fn count(&self) -> u64 {
        let mut count = 0;
        self.records(|_| count += 1);
        count
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> usize {
        self.hub.state().logs.as_ref().map_or(0, Vec::len)
    }

    /// The sequence number each partition's next event will have.
    pub fn ends(&self) -> Vec<i64> {
        let state = self.hub.state();
        state.logs.iter().flatten().map(Log::next).collect()
    }

    /// What happened since the start, and what is open.
    pub fn stats(&self) -> Stats {
        let counters = &self.hub.counters;
        let state = self.hub.state();
        let dispositions = state.connections.values().map(|it| it.gauge.dispositions());
        Stats {
            opened: counters.connections.load(Ordering::Relaxed),
            open: state.connections.len(),
            receivers: counters.receivers.load(Ordering::Relaxed),
            tokens: counters.tokens.load(Ordering::Relaxed),
            questions: counters.questions.load(Ordering::Relaxed),
            events: counters.events.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
            dispositions: dispositions.sum(),
        }
    }

    /// Who reads what.
    pub fn receivers(&self) -> Vec<Held> {
        let state = self.hub.state();
        let held = state.readers.values().map(|reader| Held {
            connection: reader.connection,
            partition: reader.partition,
            consumer_group: reader.group.clone(),
            epoch: reader.epoch,
            name: reader.name.clone(),
            sent: reader.sent.load(Ordering::Relaxed),
            credit: match state.connections.get(&reader.connection) {
                Some(open) => open.gauge.credit(reader.channel, reader.handle),
                None => Credit::default(),
            },
        });
        held.collect()
    }

    /// Ends receivers with an error, those of a partition or all; how many there were.
    pub fn end_receivers(&self, partition: Option<usize>, condition: &str) -> usize {
        let refusal = Refusal::new(condition, "The link was ended: this was ordered.");
        self.hub.state().end_readers(partition, &refusal)
    }

    /// Ends the receivers that come, one after the other, each after so many events.
    pub fn end_receivers_after(&self, events: u64, ends: impl IntoIterator<Item = End>) {
        let ends = ends.into_iter().map(|end| (events, end));
        self.hub.state().troubles.ends.extend(ends);
    }

    /// Refuses receivers so.
    pub fn refuse_receivers(&self, condition: &str, times: Times) {
        let refusal = Refusal::new(condition, "The link was refused: this was ordered.");
        self.hub.state().troubles.receivers = Some(Fault::new(refusal, times));
    }

    /// Throttles: receivers are told to come again later, those that are there too.
    pub fn throttle(&self, times: Times) {
        self.refuse_receivers(refusal::BUSY, times);
        self.end_receivers(None, refusal::BUSY);
    }

    /// Refuses published events so.
    pub fn refuse_publishing(&self, condition: &str, times: Times) {
        let refusal = Refusal::new(condition, "The event was refused: this was ordered.");
        self.hub.state().troubles.publishing = Some(Fault::new(refusal, times));
    }

    /// Answers tokens with this status.
    pub fn refuse_tokens(&self, status: i32, times: Times) {
        self.hub.state().troubles.tokens = Some(Fault::new(status, times));
    }

    /// Answers questions of management with this status.
    pub fn refuse_questions(&self, status: i32, times: Times) {
        self.hub.state().troubles.management = Some(Fault::new(status, times));
    }

    /// Nothing is refused any more.
    pub fn recover(&self) {
        let mut state = self.hub.state();
        state.troubles = trouble::Troubles::default();
        state.without_role.clear();
    }

    /// All tokens put so far expire now, which ends the receivers.
    pub fn expire_tokens(&self) {
        let mut state = self.hub.state();
        for open in state.connections.values() {
            open.grants.expire();
        }
        let refusal = Refusal::new(refusal::UNAUTHORIZED, "ExpiredToken: The token is expired.");
        state.end_readers(None, &refusal);
    }

    /// From now on tokens of this app are taken, and let it do nothing.
    pub fn take_role(&self, client_id: &str) {
        self.hub.state().without_role.push(client_id.to_owned());
    }

    /// Closes all connections with an error; how many there were.
    pub fn close_connections(&self, condition: &str) -> usize {
        let refusal = Refusal::new(condition, "The connection was closed: this was ordered.");
        let state = self.hub.state();
        for open in state.connections.values() {
            let _ended = open.close.send(refusal.clone());
        }
        state.connections.len()
    }

    /// Loses all connections without a word; how many there were.
    pub fn cut_connections(&self) -> usize {
        let state = self.hub.state();
        for open in state.connections.values() {
            open.gauge.cut();
        }
        state.connections.len()
    }

    /// Connections that are open fall silent and stay open, or speak again; how many there are.
    pub fn silence_connections(&self, silent: bool) -> usize {
        let state = self.hub.state();
        for open in state.connections.values() {
            open.gauge.silence(silent);
        }
        state.connections.len()
    }

    /// Adds empty partitions.
    pub fn add_partitions(&self, count: usize) {
        let mut state = self.hub.state();
        if let Some(logs) = &mut state.logs {
            let feed = Arc::new(Feed::empty());
            for _ in 0..count {
                logs.push(Log::new(
                    logs.len(),
                    self.hub.settings.offsets,
                    feed.clone(),
                ));
            }
        }
    }

    /// Retention takes what is older than that sequence number.
    pub fn age_out(&self, partition: usize, before: i64) {
        let mut state = self.hub.state();
        let log = state.logs.as_mut().and_then(|logs| logs.get_mut(partition));
        if let Some(log) = log {
            log.age_out(before);
        }
    }

    /// Another replica becomes the primary by force: the last events of each partition are not
    /// there, new ones get their numbers again, and all connections end.
    pub fn fail_over(&self, lost: i64) {
        let mut state = self.hub.state();
        state
            .logs
            .iter_mut()
            .flatten()
            .for_each(|log| log.fail_over(lost));
        drop(state);
        self.close_connections("amqp:connection:forced");
    }

    /// Offsets that were written before the last failover are refused from now on.
    pub fn forget_offsets(&self) {
        let mut state = self.hub.state();
        state
            .logs
            .iter_mut()
            .flatten()
            .for_each(Log::forget_offsets);
    }

    /// Deletes the hub, which ends its receivers.
    pub fn delete(&self) {
        let mut state = self.hub.state();
        state.logs = None;
        let refusal = Refusal::not_found(self.name());
        state.end_readers(None, &refusal);
    }

    /// Deletes the hub and makes it again, empty: sequence numbers begin at 0.
    pub fn make_again(&self) {
        self.delete();
        let feed = Arc::new(Feed::empty());
        let settings = &self.hub.settings;
        let logs = (0..settings.partitions.max(1))
            .map(|place| Log::new(place, settings.offsets, feed.clone()));
        let mut state = self.hub.state();
        state.logs = Some(logs.collect());
        state.created = hub::now().max(state.created + 1);
    }
}

#[derive(serde::Deserialize)]
struct Records<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}
