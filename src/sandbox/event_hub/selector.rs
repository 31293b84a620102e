//! The selector of a receiver's source: from which event on it reads.

use fe2o3_amqp::types::messaging::Source;
use fe2o3_amqp::types::primitives::Value;

use crate::sandbox::event_hub::refusal::Refusal;

/// The selector filter by name, and by the code of its descriptor.
const NAME: &str = "apache.org:selector-filter:string";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Start,
    End,
    Offset(String),
    Sequence(i64),
    /// Milliseconds since 1970.
    Enqueued(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) place: Place,
    pub(super) inclusive: bool,
}

impl Selector {
    /// Without a filter everything is read.
    pub(super) fn of(source: &Source) -> Result<Self, Refusal> {
        let filter = source.filter.as_ref();
        let text = filter.and_then(|filter| {
            filter
                .iter()
                .find_map(|(name, value)| described(name.as_str(), value))
        });
        match text {
            None => Ok(Self {
                place: Place::Start,
                inclusive: false,
            }),
            Some(text) => Self::parse(text).ok_or_else(|| {
                Refusal::argument(format!("The supplied filter '{text}' is invalid."))
            }),
        }
    }

    /// `amqp.annotation.x-opt-offset >= '12'`, with and without blanks around the operator.
    fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix("amqp.annotation.")?;
        let (name, rest) = rest.split_once('>')?;
        let (inclusive, rest) = match rest.strip_prefix('=') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let value = rest.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        if value.contains('\'') {
            return None;
        }
        let place = match (name.trim_end(), value) {
            ("x-opt-offset", "-1") => Place::Start,
            ("x-opt-offset", "@latest") => Place::End,
            ("x-opt-offset", offset) if !offset.is_empty() => Place::Offset(offset.to_owned()),
            // Before the first event of all.
            ("x-opt-sequence-number", "-1") => Place::Start,
            ("x-opt-sequence-number", number) => {
                Place::Sequence(number.parse().ok().filter(|number| *number >= 0)?)
            }
            ("x-opt-enqueued-time" | "x-opt-enqueuedtimeutc", at) => {
                Place::Enqueued(at.parse().ok()?)
            }
            _ => return None,
        };
        Some(Self { place, inclusive })
    }
}

/// The selector's text, whichever descriptor it came with.
fn described<'a>(name: &str, value: &'a Value) -> Option<&'a str> {
    match value {
        Value::Described(described) => match &described.value {
            Value::String(text) => Some(text),
            _ => None,
        },
        Value::String(text) if name == NAME => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_that_clients_were_seen_to_use_is_understood() {
        let offset = |text: &str| Place::Offset(text.to_owned());
        for (text, place, inclusive) in [
            ("amqp.annotation.x-opt-offset > '-1'", Place::Start, false),
            (
                "amqp.annotation.x-opt-offset > '@latest'",
                Place::End,
                false,
            ),
            (
                "amqp.annotation.x-opt-offset > '1234'",
                offset("1234"),
                false,
            ),
            (
                "amqp.annotation.x-opt-offset >= '1234'",
                offset("1234"),
                true,
            ),
            (
                "amqp.annotation.x-opt-offset >'1234'",
                offset("1234"),
                false,
            ),
            (
                "amqp.annotation.x-opt-offset >='1:7:9'",
                offset("1:7:9"),
                true,
            ),
            (
                "amqp.annotation.x-opt-sequence-number > '99'",
                Place::Sequence(99),
                false,
            ),
            (
                "amqp.annotation.x-opt-sequence-number >='99'",
                Place::Sequence(99),
                true,
            ),
            (
                "amqp.annotation.x-opt-enqueued-time >'1700000000123'",
                Place::Enqueued(1_700_000_000_123),
                false,
            ),
        ] {
            let selector = Selector { place, inclusive };
            assert_eq!(Selector::parse(text), Some(selector), "{text}");
        }
        for text in [
            "",
            "amqp.annotation.x-opt-offset = '1'",
            "amqp.annotation.x-opt-offset > 1",
            "amqp.annotation.x-opt-offset > ''",
            "amqp.annotation.x-opt-offset > '1' OR '1'",
            "amqp.annotation.x-opt-sequence-number > 'one'",
            "x-opt-offset > '1'",
        ] {
            assert_eq!(Selector::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_fall(text in ".*", value in "[-0-9a-z@:']{0,12}") {
            Selector::parse(&text);
            Selector::parse(&format!("amqp.annotation.x-opt-offset > '{value}'"));
            Selector::parse(&format!("amqp.annotation.x-opt-sequence-number >='{value}'"));
        }
    }
}
