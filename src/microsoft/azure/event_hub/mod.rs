//! Azure Event Hubs over AMQP 1.0: one hub, read by position.
//!
//! [`EventHub`] is a [`PartitionedLog`]: a follower claims partitions, opens a reader from
//! its own position behind every error, and decides by [`LogErrorClass`] what an error
//! means. One connection serves all partitions; it is dialled where there is none (any
//! more).

mod body;
mod connection;
mod credential;
mod credit;
mod dial;
mod error;
mod frames;
mod position;
mod probe;
mod properties;
mod reader;
mod request;
pub mod settings;
#[cfg(test)]
mod tests;
mod websocket;

pub use credential::SharedAccess;
pub use error::Error;
pub use properties::{HubProperties, PartitionProperties};
pub use reader::Reader;
pub use settings::{Settings, Transport};

use crate::ingest::stream::{
    LogError, LogErrorClass, Partition, PartitionEnd, PartitionedLog, Position, ReadFrom,
};
use crate::microsoft::account::Account;
use crate::microsoft::azure::records::Tables;
use connection::Connection;
use credential::Credential;
use dial::Dialer;
use error::{Fault, Phase};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;

/// What foreign values are read as, for `fuzz/`. Bytes become values here as AMQP's become
/// values in the library: a line `name kind value` each.
#[cfg(feature = "fuzzing")]
pub(crate) mod foreign {
    use super::{HubProperties, PartitionProperties, body, position};
    use fe2o3_amqp::types::messaging::{AmqpSequence, Batch, Body, MessageAnnotations};
    use fe2o3_amqp::types::primitives::{OrderedMap, Timestamp, Value};

    fn fields(text: &str) -> Vec<(String, Value)> {
        let field = |line: &str| {
            let mut words = line.splitn(3, ' ');
            let (name, kind, value) = (words.next()?, words.next()?, words.next()?);
            let number = value.parse().unwrap_or(i64::MIN);
            let texts = || value.split(',').map(|text| Value::String(text.to_owned()));
            let value = match kind {
                "long" => Value::Long(number),
                "ulong" => Value::Ulong(number.unsigned_abs()),
                "time" => Value::Timestamp(Timestamp::from(number)),
                "list" => Value::List(texts().collect()),
                "null" => Value::Null,
                _ => Value::String(value.to_owned()),
            };
            Some((name.to_owned(), value))
        };
        text.lines().filter_map(field).collect()
    }

    /// Of a message: whether it has a position, and its body.
    pub(crate) fn message(text: &str) -> (bool, Vec<u8>) {
        let fields = fields(text);
        let annotations = fields.iter().cloned().fold(
            MessageAnnotations::builder(),
            |annotations, (name, value)| annotations.insert(name, value),
        );
        let marks = position::marks(Some(&annotations.build()));
        let values = fields.into_iter().map(|(_, value)| value).collect();
        let body = Body::Sequence(Batch::new(vec![AmqpSequence(values)]));
        let has_position = !marks.position.is_nowhere();
        (has_position, body::content(body).bytes)
    }

    /// Of a reply on `$management`: how many partitions it tells.
    pub(crate) fn reply(text: &str) -> Option<usize> {
        let mut map = OrderedMap::new();
        for (name, value) in fields(text) {
            map.insert(Value::String(name), value);
        }
        let reply = Value::Map(map);
        PartitionProperties::read("0", &reply);
        HubProperties::read(&reply).map(|hub| hub.partitions.len())
    }

    /// Of a proxy's answer to CONNECT: its status.
    pub(crate) fn proxy(head: &[u8]) -> Option<u16> {
        crate::microsoft::azure::dial::status(head)
    }
}

/// Whether a sequence number leads to one message: a failover may give numbers out again.
fn is_counted_once(kept: Option<&PartitionProperties>, position: &Position) -> bool {
    let epochs = kept.map(|kept| [kept.first_epoch, kept.last_epoch]);
    let epochs = epochs.unwrap_or_default();
    epochs.iter().all(|epoch| *epoch == position.epoch)
}

/// A connection that lived for so long was authorized for sure.
const SETTLED: Duration = Duration::from_secs(60);

/// One hub, as one consumer group reads it.
#[derive(Clone)]
pub struct EventHub {
    hub: Arc<Hub>,
}

struct Hub {
    settings: Arc<Settings>,
    dialer: Dialer,
    credential: Arc<Credential>,
    tables: Tables,
    dialled: Mutex<Dialled>,
    /// The connection whose links were refused last.
    refused: StdMutex<Option<u64>>,
}

#[derive(Default)]
struct Dialled {
    connection: Option<Arc<Connection>>,
    /// Connections opened so far.
    count: u64,
    /// Why the last try failed, and when: whoever waited for it need not try too.
    failed: Option<(tokio::time::Instant, Error)>,
}

impl EventHub {
    /// Connects nowhere yet. `access` opens the hub in the account's place; proxy, `ca_file`
    /// and cloud are the account's in any case.
    ///
    /// # Errors
    /// If the account or its `ca_file` cannot be used.
    pub fn new(
        account: &Account,
        access: Option<SharedAccess>,
        settings: Settings,
        tables: Tables,
    ) -> Result<Self, Error> {
        let credential = match access {
            Some(access) => Credential::Shared(access),
            None => Credential::of_account(account)?,
        };
        Ok(Self {
            hub: Arc::new(Hub {
                dialer: Dialer::new(account, &settings)?,
                settings: Arc::new(settings),
                credential: Arc::new(credential),
                tables,
                dialled: Mutex::default(),
                refused: StdMutex::default(),
            }),
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.hub.settings
    }

    /// What the hub says of itself.
    ///
    /// # Errors
    /// If it cannot be reached, or does not let this account in.
    pub async fn properties(&self) -> Result<HubProperties, Error> {
        let connection = self.hub.connection().await?;
        match connection.hub().await {
            // A connection that was idle may have died unnoticed.
            Err(error) if error.class() == LogErrorClass::Reconnect => {
                connection.retire();
                self.hub.connection().await?.hub().await
            }
            read => read,
        }
    }

    /// What a partition says of itself: where it begins and ends, which is what lag is.
    ///
    /// # Errors
    /// As [`EventHub::properties`].
    pub async fn partition(&self, id: &str) -> Result<PartitionProperties, Error> {
        self.hub.connection().await?.partition(id).await
    }

    /// Seconds by which this host's clock is ahead of the sign-in's, where it was told.
    pub fn skew(&self) -> Option<i64> {
        self.hub.credential.skew()
    }

    /// Closes the connection, where there is one; a reader that is still open fails.
    pub async fn close(&self) {
        let connection = self.hub.dialled.lock().await.connection.take();
        if let Some(connection) = connection {
            connection.close().await;
        }
    }
}

impl PartitionedLog for EventHub {
    type Error = Error;
    type Reader = Reader;

    async fn partitions(&self) -> Result<Vec<Partition>, Error> {
        let hub = self.properties().await?;
        let created = hub.created;
        let partition = |id| Partition { id, created };
        Ok(hub.partitions.into_iter().map(partition).collect())
    }

    async fn open(&self, partition: &Partition, from: &ReadFrom) -> Result<Reader, Error> {
        let opening = Arc::clone(&self.hub).open(partition.id.clone(), from.clone());
        // In a task of its own: a link that is given up half attached would take the whole
        // connection with it.
        tokio::spawn(opening).await.unwrap_or_else(|died| {
            let what = format!("opening a partition failed: {died}");
            Err(Error::new(LogErrorClass::Reconnect, what, None))
        })
    }

    async fn ends(&self, partitions: &[String]) -> Result<Vec<PartitionEnd>, Error> {
        let mut ends = Vec::with_capacity(partitions.len());
        for id in partitions {
            let told = self.partition(id).await?;
            let sequence = match (told.is_empty, told.last_sequence) {
                (_, Some(sequence)) => sequence,
                (Some(true), None) => -1,
                (_, None) => continue,
            };
            ends.push(PartitionEnd {
                partition: id.clone(),
                sequence,
                epoch: told.last_epoch,
            });
        }
        Ok(ends)
    }
}

impl Hub {
    /// The connection there is, or a new one; however many ask, one dials.
    async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let asked = tokio::time::Instant::now();
        let mut dialled = self.dialled.lock().await;
        if let Some(connection) = dialled.connection.as_ref().filter(|it| it.is_usable()) {
            return Ok(Arc::clone(connection));
        }
        match &dialled.failed {
            Some((at, error)) if *at >= asked => return Err(error.clone()),
            _ => {}
        }
        dialled.count += 1;
        let opening = Connection::open(
            dialled.count,
            &self.dialer,
            &self.credential,
            &self.settings,
        );
        match opening.await {
            Ok(connection) => {
                dialled.connection = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(error) => {
                dialled.connection = None;
                dialled.failed = Some((tokio::time::Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn open(self: Arc<Self>, partition: String, from: ReadFrom) -> Result<Reader, Error> {
        let connection = self.connection().await?;
        let kept = match &from {
            ReadFrom::After(position) => {
                let kept = self.kept(&connection, &partition, position).await;
                self.check_kept(kept.as_ref(), &partition, position)?;
                kept
            }
            ReadFrom::Start(_) => None,
        };
        let phase = Phase::Open {
            from_position: matches!(from, ReadFrom::After(_)),
        };
        let counted_once = match &from {
            ReadFrom::After(position) => is_counted_once(kept.as_ref(), position),
            ReadFrom::Start(_) => true,
        };
        let mut refused = None;
        for selector in position::selectors(&from, counted_once) {
            match connection.attach(&partition, &selector).await {
                Ok(link) => {
                    let behind = match from {
                        ReadFrom::After(position) => position,
                        ReadFrom::Start(_) => Position::default(),
                    };
                    let hub = Arc::clone(&self);
                    return Ok(Reader::new(hub, connection, &partition, link, behind));
                }
                // The other way to say the same may be understood.
                Err(fault) if fault.is_position() => refused = Some(fault),
                Err(fault) => {
                    return Err(self.fault(&connection, &self.place(&partition), fault, phase));
                }
            }
        }
        let fault = refused.unwrap_or_else(|| Fault::Lost("no position to read from".to_owned()));
        Err(fault.error(&self.place(&partition), phase))
    }

    /// A hub that keeps a position no more may begin with what it has, without a word. So it
    /// is asked; what it does not tell is not known, and not needed.
    async fn kept(
        &self,
        connection: &Connection,
        partition: &str,
        position: &Position,
    ) -> Option<PartitionProperties> {
        position.sequence?;
        connection.partition(partition).await.ok()
    }

    fn check_kept(
        &self,
        kept: Option<&PartitionProperties>,
        partition: &str,
        position: &Position,
    ) -> Result<(), Error> {
        let (Some(kept), Some(read)) = (kept, position.sequence) else {
            return Ok(());
        };
        let next = read.saturating_add(1);
        let gone = match (kept.first_sequence, position.epoch, kept.first_epoch) {
            (Some(_), Some(read_in), Some(first_in)) if first_in > read_in => format!(
                "the messages of replication epoch {read_in} from sequence number {next} on, if there were any,"
            ),
            (Some(_), Some(read_in), Some(first_in)) if first_in < read_in => return Ok(()),
            (Some(first), ..) if first > next => {
                format!(
                    "the messages with the sequence numbers {next} to {}",
                    first - 1
                )
            }
            _ => return Ok(()),
        };
        Err(Error::new(
            LogErrorClass::PositionGone,
            format!("{}: {gone} are not kept any more", self.place(partition)),
            "let the hub keep messages for longer (retention), or read without long pauses",
        ))
    }

    /// What a fault means, and what follows for this hub's connection.
    fn fault(&self, connection: &Connection, place: &str, fault: Fault, phase: Phase) -> Error {
        let refusal = fault.is_refusal();
        let error = fault.error(place, phase);
        if self.settings.shared && error.class() == LogErrorClass::Lost {
            // So partitions come over to their new owner.
            return error.without_advice();
        }
        if refusal {
            // A new connection gets a new token.
            self.credential.refused();
            connection.retire();
        }
        if refusal && phase == Phase::Reading && self.is_refused_again(connection) {
            return error.for_good();
        }
        error
    }

    /// Whether a connection is refused with a token that was new, and behind one that was
    /// refused too.
    fn is_refused_again(&self, connection: &Connection) -> bool {
        let good = connection.proven.load(std::sync::atomic::Ordering::Relaxed)
            || connection.opened.elapsed() >= SETTLED;
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let before = refused.replace(connection.generation);
        !good && before.is_some_and(|before| before < connection.generation)
    }

    fn place(&self, partition: &str) -> String {
        let Settings {
            host,
            hub,
            consumer_group,
            ..
        } = self.settings.as_ref();
        format!("hub {hub} of {host}, group {consumer_group}, partition {partition}")
    }
}
