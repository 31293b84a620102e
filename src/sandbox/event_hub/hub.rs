//! The hub itself: its partitions, who reads them, and the troubles ordered for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::UnboundedSender;

use crate::sandbox::api::access::Issuer;
use crate::sandbox::event_hub::Settings;
use crate::sandbox::event_hub::authorization::Grants;
use crate::sandbox::event_hub::feed::Feed;
use crate::sandbox::event_hub::log::{Content, Log, Position};
use crate::sandbox::event_hub::refusal::{Refusal, STOLEN};
use crate::sandbox::event_hub::trouble::Troubles;
use crate::sandbox::event_hub::wire::Gauge;
use crate::sandbox::tenant::instant::Ticks;

/// What readers without an epoch may be of a partition in a group.
const READERS: usize = 5;
pub(super) const DEFAULT_GROUP: &str = "$Default";

pub(super) struct Hub {
    pub(super) settings: Settings,
    pub(super) issuer: Arc<Issuer>,
    pub(super) writers: Vec<&'static str>,
    state: Mutex<State>,
    pub(super) counters: Counters,
}

/// What happened since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: AtomicU64,
    pub(super) receivers: AtomicU64,
    pub(super) tokens: AtomicU64,
    pub(super) questions: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) bytes: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(super) struct State {
    /// None while the hub is deleted.
    pub(super) logs: Option<Vec<Log>>,
    /// Milliseconds since 1970.
    pub(super) created: i64,
    pub(super) readers: BTreeMap<u64, Reader>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) troubles: Troubles,
    pub(super) without_role: Vec<String>,
    last_id: u64,
    /// Where the next event without partition and key goes.
    turn: usize,
}

/// An open connection.
pub(super) struct Connection {
    pub(super) gauge: Arc<Gauge>,
    pub(super) grants: Arc<Grants>,
    pub(super) close: UnboundedSender<Refusal>,
}

/// An open link on which events go out.
pub(super) struct Reader {
    pub(super) connection: u64,
    pub(super) partition: usize,
    pub(super) group: String,
    pub(super) epoch: Option<i64>,
    pub(super) name: Option<String>,
    pub(super) channel: u16,
    pub(super) handle: u32,
    pub(super) sent: Arc<AtomicU64>,
    pub(super) end: UnboundedSender<Refusal>,
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    Ticks::now().0 / 10_000
}

/// An address of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Tokens,
    Management,
    Partition {
        hub: String,
        group: String,
        partition: String,
    },
    Entity {
        hub: String,
        partition: Option<String>,
    },
    Unknown,
}

impl Node {
    pub(super) fn of(address: &str) -> Self {
        let path = super::authorization::path(address);
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            [.., "$cbs"] => Self::Tokens,
            [.., "$management"] => Self::Management,
            [hub, "consumergroups", group, "partitions", partition] => Self::Partition {
                hub: (*hub).to_owned(),
                group: (*group).to_owned(),
                partition: (*partition).to_owned(),
            },
            [hub] if !hub.is_empty() => Self::Entity {
                hub: (*hub).to_owned(),
                partition: None,
            },
            [hub, "partitions", partition] => Self::Entity {
                hub: (*hub).to_owned(),
                partition: Some((*partition).to_owned()),
            },
            _ => Self::Unknown,
        }
    }
}

impl Hub {
    pub(super) fn new(
        settings: Settings,
        issuer: Arc<Issuer>,
        writers: Vec<&'static str>,
        feed: Feed,
    ) -> Self {
        let feed = Arc::new(feed);
        let logs = (0..settings.partitions.max(1))
            .map(|place| Log::new(place, settings.offsets, feed.clone()))
            .collect();
        Self {
            settings,
            issuer,
            writers,
            state: Mutex::new(State {
                logs: Some(logs),
                created: now(),
                readers: BTreeMap::new(),
                connections: BTreeMap::new(),
                troubles: Troubles::default(),
                without_role: Vec::new(),
                last_id: 0,
                turn: 0,
            }),
            counters: Counters::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that is the hub's name.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.settings.name.eq_ignore_ascii_case(name)
    }

    /// The hub's own spelling of a group it has.
    pub(super) fn group(&self, name: &str) -> Option<&str> {
        let own = self.settings.consumer_groups.iter().map(String::as_str);
        std::iter::once(DEFAULT_GROUP)
            .chain(own)
            .find(|group| group.eq_ignore_ascii_case(name))
    }

    /// The partition's place; the hub must be there.
    pub(super) fn place(&self, state: &State, partition: &str) -> Result<usize, Refusal> {
        let Some(logs) = &state.logs else {
            return Err(Refusal::not_found(&self.settings.name));
        };
        let place = partition.parse().ok();
        place.filter(|place| *place < logs.len()).ok_or_else(|| {
            Refusal::new(
                "com.microsoft:argument-out-of-range",
                format!(
                    "The specified partition '{partition}' is invalid. It should be between 0 and {}.",
                    logs.len().saturating_sub(1)
                ),
            )
        })
    }

    /// Puts an event where it belongs: in its partition, by its key, or in turn.
    pub(super) fn publish(
        &self,
        partition: Option<&str>,
        key: Option<&str>,
        content: Content,
    ) -> Result<Position, Refusal> {
        let mut state = self.state();
        let place = match (partition, key) {
            (Some(partition), _) => self.place(&state, partition)?,
            (None, Some(key)) => {
                let count = state.logs.as_ref().map_or(1, |logs| logs.len().max(1));
                let hash = xxhash_rust::xxh3::xxh3_64(key.as_bytes());
                usize::try_from(hash % count as u64).unwrap_or(0)
            }
            (None, None) => {
                let count = state.logs.as_ref().map_or(1, |logs| logs.len().max(1));
                state.turn = (state.turn + 1) % count;
                state.turn
            }
        };
        let logs = state.logs.as_mut();
        let log = logs.and_then(|logs| logs.get_mut(place));
        let log = log.ok_or_else(|| Refusal::not_found(&self.settings.name))?;
        Ok(log.publish(content, now()))
    }
}

impl State {
    pub(super) fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn log(&self, place: usize) -> Option<&Log> {
        self.logs.as_ref()?.get(place)
    }

    /// Lets a reader in, ending those that must make room; or refuses it.
    pub(super) fn admit(&mut self, reader: Reader) -> Result<u64, Refusal> {
        let beside =
            |other: &Reader| other.partition == reader.partition && other.group == reader.group;
        let called = |name: &Option<String>| name.clone().unwrap_or_else(|| "nil".to_owned());
        let highest = self
            .readers
            .values()
            .filter(|other| beside(other))
            .filter_map(|other| other.epoch)
            .max();
        match (reader.epoch, highest) {
            (None, Some(highest)) => {
                return Err(Refusal::new(
                    STOLEN,
                    format!(
                        "A receiver with an epoch '{highest}' exists. A receiver without an epoch cannot be created."
                    ),
                ));
            }
            (Some(epoch), Some(highest)) if highest > epoch => {
                return Err(Refusal::new(
                    STOLEN,
                    format!(
                        "Receiver '{}' with a higher epoch '{highest}' already exists. Receiver with epoch {epoch} cannot be created. Make sure you are creating receiver with increasing epoch value to ensure connectivity, or ensure all old epoch receivers are closed or disconnected.",
                        called(&reader.name)
                    ),
                ));
            }
            (None, None) => {
                let others = self.readers.values().filter(|other| beside(other)).count();
                if others >= READERS {
                    return Err(Refusal::new(
                        "amqp:resource-limit-exceeded",
                        format!(
                            "Exceeded the maximum number of allowed receivers per partition in a consumer group which is {READERS}."
                        ),
                    ));
                }
            }
            (Some(epoch), _) => {
                let text = format!(
                    "New receiver '{}' with higher epoch of '{epoch}' is created hence current receiver is getting disconnected. If you are recreating the receiver, make sure a higher epoch is used.",
                    called(&reader.name)
                );
                self.readers.retain(|_, other| {
                    let gone = beside(other);
                    if gone {
                        // One that has ended meanwhile needs no telling.
                        let _ended = other.end.send(Refusal::new(STOLEN, text.clone()));
                    }
                    !gone
                });
            }
        }
        let id = self.id();
        self.readers.insert(id, reader);
        Ok(id)
    }

    /// Ends readers, those of one partition or all; how many there were.
    pub(super) fn end_readers(&mut self, partition: Option<usize>, refusal: &Refusal) -> usize {
        let before = self.readers.len();
        self.readers.retain(|_, reader| {
            let meant = partition.is_none_or(|partition| partition == reader.partition);
            if meant {
                let _ended = reader.end.send(refusal.clone());
            }
            !meant
        });
        before - self.readers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    fn state() -> State {
        State {
            logs: None,
            created: 0,
            readers: BTreeMap::new(),
            connections: BTreeMap::new(),
            troubles: Troubles::default(),
            without_role: Vec::new(),
            last_id: 0,
            turn: 0,
        }
    }

    fn reader(group: &str, epoch: Option<i64>) -> (Reader, UnboundedReceiver<Refusal>) {
        let (end, ended) = unbounded_channel();
        let reader = Reader {
            connection: 1,
            partition: 0,
            group: group.to_owned(),
            epoch,
            name: None,
            channel: 0,
            handle: 0,
            sent: Arc::default(),
            end,
        };
        (reader, ended)
    }

    #[test]
    fn an_epoch_as_high_ends_the_others_and_a_lower_one_is_refused() {
        let mut state = state();
        let (first, mut first_ended) = reader("a", Some(1));
        state.admit(first).unwrap();
        let (beside, mut beside_ended) = reader("b", Some(0));
        state.admit(beside).unwrap();
        for epoch in [Some(0), None] {
            assert_eq!(
                state.admit(reader("a", epoch).0).unwrap_err().condition,
                STOLEN
            );
        }
        assert!(first_ended.try_recv().is_err());
        let (second, mut second_ended) = reader("a", Some(1));
        state.admit(second).unwrap();
        assert_eq!(first_ended.try_recv().unwrap().condition, STOLEN);
        assert!(second_ended.try_recv().is_err());
        assert!(beside_ended.try_recv().is_err());
        assert_eq!(state.readers.len(), 2);
    }

    #[test]
    fn a_sixth_reader_without_an_epoch_is_refused_and_an_epoch_ends_five() {
        let mut state = state();
        let mut ends = Vec::new();
        for _ in 0..5 {
            let (reader, ended) = reader("a", None);
            state.admit(reader).unwrap();
            ends.push(ended);
        }
        let refused = state.admit(reader("a", None).0).unwrap_err();
        assert_eq!(refused.condition, "amqp:resource-limit-exceeded");
        state.admit(reader("a", Some(0)).0).unwrap();
        for mut ended in ends {
            assert_eq!(ended.try_recv().unwrap().condition, STOLEN);
        }
        assert_eq!(state.readers.len(), 1);
    }

    #[test]
    fn an_address_is_a_path_or_a_url() {
        let partition = Node::Partition {
            hub: "hub".to_owned(),
            group: "$default".to_owned(),
            partition: "3".to_owned(),
        };
        for address in [
            "hub/ConsumerGroups/$Default/Partitions/3",
            "amqps://contoso:5671/Hub/ConsumerGroups/$Default/Partitions/3",
        ] {
            assert_eq!(Node::of(address), partition);
        }
        assert_eq!(Node::of("$cbs"), Node::Tokens);
        assert_eq!(Node::of("$management"), Node::Management);
        assert_eq!(Node::of("amqps://contoso/$management"), Node::Management);
        let entity = |partition: Option<&str>| Node::Entity {
            hub: "hub".to_owned(),
            partition: partition.map(str::to_owned),
        };
        assert_eq!(Node::of("hub"), entity(None));
        assert_eq!(Node::of("sb://contoso/hub/Partitions/0"), entity(Some("0")));
        for address in ["", "hub/x", "hub/ConsumerGroups/a"] {
            assert_eq!(Node::of(address), Node::Unknown, "{address}");
        }
    }
}
