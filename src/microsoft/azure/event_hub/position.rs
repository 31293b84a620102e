//! Positions as Event Hubs writes them: in a selector, and on each message.

use crate::ingest::Instant;
use crate::ingest::stream::{Position, ReadFrom, Start};
use fe2o3_amqp::types::messaging::MessageAnnotations;
use fe2o3_amqp::types::messaging::annotations::OwnedKey;
use fe2o3_amqp::types::primitives::Value;

pub(super) const OFFSET: &str = "x-opt-offset";
pub(super) const SEQUENCE: &str = "x-opt-sequence-number";
/// Of hubs that are replicated; others say -1, or nothing.
pub(super) const EPOCH: &str = "x-opt-sequence-number-epoch";
pub(super) const ENQUEUED: &str = "x-opt-enqueued-time";

/// All there is.
const EARLIEST: &str = "amqp.annotation.x-opt-offset > '-1'";

/// The selectors that lead to where reading goes on, the best one first: an offset is the
/// service's own word for it, a sequence number the one it finds where an offset is none of
/// this replica's. Where numbers were not `counted_once`, one leads to any of several messages:
/// then all are read, and what was delivered is passed over.
pub(super) fn selectors(from: &ReadFrom, counted_once: bool) -> Vec<String> {
    let after = |annotation: &str, value: &str| {
        // A quote inside would end the text.
        format!(
            "amqp.annotation.{annotation} > '{}'",
            value.replace('\'', "''")
        )
    };
    match from {
        ReadFrom::Start(Start::Earliest) => vec![EARLIEST.to_owned()],
        // "Later than": the message of that very millisecond is asked for too.
        ReadFrom::Start(Start::At(instant)) => {
            vec![after(ENQUEUED, &(instant.millis() - 1).to_string())]
        }
        ReadFrom::After(position) => {
            let offset = position
                .offset
                .as_deref()
                .map(|offset| after(OFFSET, offset));
            let sequence = position.sequence.map(|sequence| match counted_once {
                true => after(SEQUENCE, &sequence.to_string()),
                false => EARLIEST.to_owned(),
            });
            offset.into_iter().chain(sequence).collect()
        }
    }
}

/// What a message's annotations say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) position: Position,
    pub(super) enqueued: Option<Instant>,
}

pub(super) fn marks(annotations: Option<&MessageAnnotations>) -> Marks {
    let find = |wanted: &str| {
        let found = annotations?.iter().find(|(key, _)| match key {
            OwnedKey::Symbol(symbol) => symbol.as_str() == wanted,
            OwnedKey::Ulong(_) => false,
        });
        found.map(|(_, value)| value)
    };
    Marks {
        position: Position {
            offset: find(OFFSET).and_then(text),
            sequence: find(SEQUENCE).and_then(number),
            epoch: find(EPOCH).and_then(epoch),
        },
        enqueued: find(ENQUEUED).and_then(instant),
    }
}

/// A whole number, however wide it was written.
pub(super) fn number(value: &Value) -> Option<i64> {
    Some(match value {
        Value::Ubyte(number) => i64::from(*number),
        Value::Ushort(number) => i64::from(*number),
        Value::Uint(number) => i64::from(*number),
        Value::Ulong(number) => i64::try_from(*number).ok()?,
        Value::Byte(number) => i64::from(*number),
        Value::Short(number) => i64::from(*number),
        Value::Int(number) => i64::from(*number),
        Value::Long(number) => *number,
        Value::Timestamp(time) => time.clone().into_inner(),
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    })
}

/// How often a hub has failed over to another replica; none where it has no replicas.
pub(super) fn epoch(value: &Value) -> Option<i64> {
    number(value).filter(|epoch| *epoch >= 0)
}

/// A text; older services write an offset as a number.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Symbol(symbol) => Some(symbol.as_str().to_owned()),
        other => number(other).map(|number| number.to_string()),
    }
}

/// Milliseconds since 1970.
pub(super) fn instant(value: &Value) -> Option<Instant> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => number(other).map(Instant::from_millis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fe2o3_amqp::types::primitives::Timestamp;

    fn after(offset: Option<&str>, sequence: Option<i64>) -> Vec<String> {
        selectors(
            &ReadFrom::After(Position {
                offset: offset.map(str::to_owned),
                sequence,
                epoch: None,
            }),
            true,
        )
    }

    #[test]
    fn selectors_read_as_microsofts_javascript_client_writes_them() {
        let at = Instant::from_millis(1_700_000_000_124);
        for (selectors, expected) in [
            (
                selectors(&ReadFrom::Start(Start::Earliest), true),
                vec!["amqp.annotation.x-opt-offset > '-1'"],
            ),
            (
                selectors(&ReadFrom::Start(Start::At(at)), true),
                vec!["amqp.annotation.x-opt-enqueued-time > '1700000000123'"],
            ),
            (
                after(Some("1:0:1234"), Some(99)),
                vec![
                    "amqp.annotation.x-opt-offset > '1:0:1234'",
                    "amqp.annotation.x-opt-sequence-number > '99'",
                ],
            ),
            (
                after(None, Some(99)),
                vec!["amqp.annotation.x-opt-sequence-number > '99'"],
            ),
            (
                after(Some("a' OR 'b"), None),
                vec!["amqp.annotation.x-opt-offset > 'a'' OR ''b'"],
            ),
        ] {
            assert_eq!(selectors, expected);
        }
    }

    #[test]
    fn annotations_are_read_in_every_width_they_are_written_in() {
        for (offset, sequence, enqueued) in [
            (
                Value::String("1234".to_owned()),
                Value::Long(99),
                Value::Timestamp(Timestamp::from(5)),
            ),
            (Value::Long(1234), Value::Uint(99), Value::Long(5)),
            (Value::Int(1234), Value::Ulong(99), Value::Ulong(5)),
        ] {
            let annotations = MessageAnnotations::builder()
                .insert("x-opt-other", Value::Bool(true))
                .insert(OFFSET, offset)
                .insert(SEQUENCE, sequence)
                .insert(ENQUEUED, enqueued)
                .build();
            let expected = Marks {
                position: Position {
                    offset: Some("1234".to_owned()),
                    sequence: Some(99),
                    epoch: None,
                },
                enqueued: Some(Instant::from_millis(5)),
            };
            assert_eq!(marks(Some(&annotations)), expected);
        }
        assert_eq!(marks(None), Marks::default());
        for (value, known) in [(Value::Int(3), Some(3)), (Value::Int(-1), None)] {
            let annotations = MessageAnnotations::builder().insert(EPOCH, value);
            assert_eq!(marks(Some(&annotations.build())).position.epoch, known);
        }
    }
}
