//! A message's body as one text, whichever form of AMQP it came in.

use fe2o3_amqp::types::messaging::Body;
use fe2o3_amqp::types::primitives::Value;

/// So much of a value that is no text is shown.
const SHOWN: usize = 64 << 10;
/// So many of them are told apart.
const MOST_OTHERS: usize = 100;

/// What a body holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// Data sections joined; a value or each element of a sequence that is text or bytes counts
    /// as it stands.
    pub(super) bytes: Vec<u8>,
    /// Values that are neither, as people can read them.
    pub(super) others: Vec<String>,
}

pub(super) fn content(body: Body<Value>) -> Content {
    let mut content = Content::default();
    match body {
        Body::Data(sections) => {
            for section in sections {
                content.take(section.0.into_vec());
            }
        }
        Body::Value(value) => content.gather(value.0),
        Body::Sequence(sequences) => {
            for value in sequences.into_iter().flat_map(|sequence| sequence.0) {
                content.gather(value);
            }
        }
        Body::Empty => {}
    }
    content
}

impl Content {
    fn take(&mut self, part: Vec<u8>) {
        match self.bytes.is_empty() {
            true => self.bytes = part,
            false => self.bytes.extend_from_slice(&part),
        }
    }

    fn gather(&mut self, value: Value) {
        match value {
            Value::Binary(bytes) => self.take(bytes.into_vec()),
            Value::String(text) => self.take(text.into_bytes()),
            Value::Symbol(symbol) => self.take(symbol.into_inner().into_bytes()),
            Value::List(values) => values.into_iter().for_each(|value| self.gather(value)),
            Value::Array(values) => {
                let values = values.into_inner();
                values.into_iter().for_each(|value| self.gather(value));
            }
            Value::Described(described) => self.gather(described.value),
            Value::Null => {}
            other if self.others.len() < MOST_OTHERS => {
                let mut shown = format!("{other:?}");
                shown.truncate(shown.floor_char_boundary(SHOWN));
                self.others.push(shown);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fe2o3_amqp::types::messaging::{AmqpSequence, AmqpValue, Batch, Data};
    use proptest::prelude::*;
    use serde_amqp::primitives::Binary;

    fn data(parts: &[&str]) -> Body<Value> {
        let sections = parts
            .iter()
            .map(|part| Data(Binary::from(part.as_bytes().to_vec())));
        Body::Data(Batch::new(sections.collect::<Vec<_>>()))
    }

    fn text(part: &str) -> Value {
        Value::String(part.to_owned())
    }

    fn binary(part: &str) -> Value {
        Value::Binary(Binary::from(part.as_bytes().to_vec()))
    }

    proptest! {
        #[test]
        fn every_form_of_a_body_is_the_same_text(parts in proptest::collection::vec("\\PC{0,12}", 1..6)) {
            let whole = parts.concat().into_bytes();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let texts = || parts.iter().map(|part| text(part)).collect::<Vec<_>>();
            let binaries = || parts.iter().map(|part| binary(part)).collect::<Vec<_>>();
            let sequence = |values| Body::Sequence(Batch::new(vec![AmqpSequence(values)]));
            let each: Vec<_> = parts.iter().map(|part| AmqpSequence(vec![binary(part)])).collect();
            for body in [
                data(&parts),
                sequence(texts()),
                sequence(binaries()),
                Body::Sequence(Batch::new(each)),
                Body::Value(AmqpValue(Value::List(texts()))),
                Body::Value(AmqpValue(text(&parts.concat()))),
                Body::Value(AmqpValue(binary(&parts.concat()))),
            ] {
                let content = content(body);
                prop_assert_eq!(content.bytes, whole.clone());
                prop_assert!(content.others.is_empty());
            }
        }
    }

    #[test]
    fn what_is_no_text_is_shown() {
        let sequence = vec![text("a"), Value::Bool(true), text("b"), Value::Uint(8)];
        for (body, bytes, others) in [
            (Body::Empty, "", &[][..]),
            (Body::Value(AmqpValue(Value::Null)), "", &[]),
            (Body::Value(AmqpValue(Value::Long(7))), "", &["Long(7)"]),
            (
                Body::Sequence(Batch::new(vec![AmqpSequence(sequence)])),
                "ab",
                &["Bool(true)", "Uint(8)"],
            ),
        ] {
            let content = content(body);
            assert_eq!(content.bytes, bytes.as_bytes());
            assert_eq!(content.others, others);
        }
    }
}
