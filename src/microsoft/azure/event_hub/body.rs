//! A message's body as one text, whichever form of AMQP it came in.

use fe2o3_amqp::types::messaging::Body;
use fe2o3_amqp::types::primitives::Value;

/// The body's bytes. Data sections are joined; a value or each element of a sequence that is
/// text or bytes counts as it stands. None where there is nothing of the kind.
pub(super) fn bytes(body: Body<Value>) -> Option<Vec<u8>> {
    let mut joined: Option<Vec<u8>> = None;
    let mut take = |part: Vec<u8>| match &mut joined {
        Some(joined) => joined.extend_from_slice(&part),
        None => joined = Some(part),
    };
    match body {
        Body::Data(sections) => {
            for section in sections {
                take(section.0.into_vec());
            }
        }
        Body::Value(value) => gather(value.0, &mut take),
        Body::Sequence(sequences) => {
            for value in sequences.into_iter().flat_map(|sequence| sequence.0) {
                gather(value, &mut take);
            }
        }
        Body::Empty => {}
    }
    joined
}

fn gather(value: Value, take: &mut impl FnMut(Vec<u8>)) {
    match value {
        Value::Binary(bytes) => take(bytes.into_vec()),
        Value::String(text) => take(text.into_bytes()),
        Value::Symbol(symbol) => take(symbol.into_inner().into_bytes()),
        Value::List(values) => values.into_iter().for_each(|value| gather(value, take)),
        Value::Array(values) => {
            let values = values.into_inner();
            values.into_iter().for_each(|value| gather(value, take));
        }
        Value::Described(described) => gather(described.value, take),
        _ => {}
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
                prop_assert_eq!(bytes(body), Some(whole.clone()));
            }
        }
    }

    #[test]
    fn what_is_no_text_is_no_body() {
        for body in [
            Body::Empty,
            Body::Value(AmqpValue(Value::Null)),
            Body::Value(AmqpValue(Value::Long(7))),
        ] {
            assert_eq!(bytes(body), None);
        }
    }
}
