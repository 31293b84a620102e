//! What `$management` tells of a hub and its partitions. Services differ in what they leave
//! out, and in how wide they write a number: whatever can be done without may be missing.

use super::position::{epoch, instant, number, text};
use crate::ingest::Instant;
use fe2o3_amqp::types::primitives::Value;

/// No hub has more partitions.
const MOST_PARTITIONS: usize = 4096;

/// A hub, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubProperties {
    pub name: Option<String>,
    /// One that was deleted and made again has another.
    pub created: Option<Instant>,
    pub partitions: Vec<String>,
}

/// A partition, as it describes itself; also what lag is counted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionProperties {
    pub id: String,
    /// Sequence number of the oldest message kept.
    pub first_sequence: Option<i64>,
    pub first_epoch: Option<i64>,
    /// Sequence number of the message enqueued last.
    pub last_sequence: Option<i64>,
    pub last_epoch: Option<i64>,
    pub last_offset: Option<String>,
    pub last_enqueued: Option<Instant>,
    pub is_empty: Option<bool>,
}

fn field<'v>(reply: &'v Value, wanted: &str) -> Option<&'v Value> {
    let Value::Map(fields) = reply else {
        return None;
    };
    let found = fields.iter().find(|(key, _)| match key {
        Value::String(key) => key == wanted,
        Value::Symbol(key) => key.as_str() == wanted,
        _ => false,
    });
    found.map(|(_, value)| value)
}

impl HubProperties {
    /// None where it tells no partition.
    pub(super) fn read(reply: &Value) -> Option<Self> {
        let listed = match field(reply, "partition_ids") {
            Some(Value::List(ids)) => ids.as_slice(),
            Some(Value::Array(ids)) => ids.0.as_slice(),
            Some(one @ (Value::String(_) | Value::Symbol(_))) => std::slice::from_ref(one),
            _ => &[],
        };
        let mut partitions: Vec<String> = listed.iter().filter_map(text).collect();
        if partitions.is_empty() {
            let count = field(reply, "partition_count").and_then(number)?;
            let count = usize::try_from(count).ok()?.min(MOST_PARTITIONS);
            partitions = (0..count).map(|id| id.to_string()).collect();
        }
        partitions.truncate(MOST_PARTITIONS);
        Some(Self {
            name: field(reply, "name").and_then(text),
            created: field(reply, "created_at").and_then(instant),
            partitions,
        })
        .filter(|hub| !hub.partitions.is_empty())
    }
}

impl PartitionProperties {
    /// Sequence number of the last message that lies there, where the hub tells of one.
    pub fn last_there(&self) -> Option<i64> {
        let last = self.last_sequence.filter(|last| *last >= 0);
        last.filter(|_| self.is_empty != Some(true))
    }

    pub(super) fn read(id: &str, reply: &Value) -> Self {
        Self {
            id: id.to_owned(),
            first_sequence: field(reply, "begin_sequence_number").and_then(number),
            first_epoch: field(reply, "begin_sequence_number_epoch").and_then(epoch),
            last_epoch: field(reply, "last_enqueued_sequence_number_epoch").and_then(epoch),
            last_sequence: field(reply, "last_enqueued_sequence_number").and_then(number),
            last_offset: field(reply, "last_enqueued_offset").and_then(text),
            last_enqueued: field(reply, "last_enqueued_time_utc").and_then(instant),
            is_empty: match field(reply, "is_partition_empty") {
                Some(Value::Bool(is_empty)) => Some(*is_empty),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fe2o3_amqp::types::primitives::{Array, OrderedMap, Symbol, Timestamp};

    fn reply(fields: Vec<(Value, Value)>) -> Value {
        let mut map = OrderedMap::new();
        for (key, value) in fields {
            map.insert(key, value);
        }
        Value::Map(map)
    }

    fn key(name: &str) -> Value {
        Value::String(name.to_owned())
    }

    fn ids() -> Vec<Value> {
        ["0", "1"].map(key).to_vec()
    }

    #[test]
    fn partitions_may_be_listed_in_every_form_or_counted() {
        let symbol = |name: &str| Value::Symbol(Symbol::from(name));
        for fields in [
            vec![(key("partition_ids"), Value::Array(Array(ids())))],
            vec![(key("partition_ids"), Value::List(ids()))],
            vec![(
                symbol("partition_ids"),
                Value::List(vec![symbol("0"), symbol("1")]),
            )],
            vec![(
                key("partition_ids"),
                Value::List(vec![Value::Int(0), Value::Long(1)]),
            )],
            vec![(key("partition_count"), Value::Int(2))],
            vec![
                (key("partition_count"), Value::Ubyte(2)),
                (key("partition_ids"), Value::Null),
            ],
        ] {
            let hub = HubProperties::read(&reply(fields)).unwrap();
            assert_eq!(hub.partitions, ["0", "1"]);
            assert_eq!((hub.name, hub.created), (None, None));
        }
        for nothing in [
            Value::Null,
            reply(vec![]),
            reply(vec![(key("partition_count"), Value::Int(0))]),
        ] {
            assert_eq!(HubProperties::read(&nothing), None);
        }
    }

    #[test]
    fn numbers_and_times_are_read_in_every_width() {
        let full = reply(vec![
            (key("begin_sequence_number"), Value::Long(5)),
            (key("begin_sequence_number_epoch"), Value::Int(-1)),
            (key("last_enqueued_sequence_number"), Value::Uint(9)),
            (key("last_enqueued_sequence_number_epoch"), Value::Int(2)),
            (key("last_enqueued_offset"), key("1234")),
            (
                key("last_enqueued_time_utc"),
                Value::Timestamp(Timestamp::from(7)),
            ),
            (key("is_partition_empty"), Value::Bool(false)),
        ]);
        let read = PartitionProperties::read("3", &full);
        assert_eq!(
            read,
            PartitionProperties {
                id: "3".to_owned(),
                first_sequence: Some(5),
                first_epoch: None,
                last_sequence: Some(9),
                last_epoch: Some(2),
                last_offset: Some("1234".to_owned()),
                last_enqueued: Some(Instant::from_millis(7)),
                is_empty: Some(false),
            }
        );
        assert_eq!(
            PartitionProperties::read("3", &Value::Null).last_sequence,
            None
        );
        let created = reply(vec![
            (key("partition_count"), Value::Int(1)),
            (key("created_at"), key("2026-01-01T00:00:00Z")),
        ]);
        assert!(HubProperties::read(&created).unwrap().created.is_some());
    }
}
