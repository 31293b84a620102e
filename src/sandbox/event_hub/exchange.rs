//! Questions and answers on `$cbs` and `$management`.

use fe2o3_amqp::Receiver;
use fe2o3_amqp::types::messaging::{
    AmqpValue, ApplicationProperties, Body, Message, MessageId, Properties,
};
use fe2o3_amqp::types::primitives::{Array, OrderedMap, SimpleValue, Timestamp, Value};
use std::sync::Arc;

use crate::sandbox::event_hub::authorization::{self, Claim, Put, Roles};
use crate::sandbox::event_hub::connection::Shared;
use crate::sandbox::event_hub::hub::{Node, count};
use crate::sandbox::event_hub::log::{Content, Offsets, content};

type Asked = Message<Body<Value>>;

/// A status with its description, and what the answer holds.
struct Answer {
    status: i32,
    text: String,
    body: Value,
}

fn answered(status: i32, text: impl Into<String>) -> Answer {
    Answer {
        status,
        text: text.into(),
        body: Value::Null,
    }
}

/// Answers what comes in on a link until it ends.
pub(super) async fn serve(shared: Arc<Shared>, mut receiver: Receiver, node: Node) {
    while let Ok(delivery) = receiver.recv::<Body<Value>>().await {
        if receiver.accept(&delivery).await.is_err() {
            return;
        }
        let asked = delivery.into_message();
        let answer = match node {
            Node::Tokens => token(&shared, &asked),
            _ => question(&shared, &asked),
        };
        let properties = asked.properties.as_ref();
        let id = properties.and_then(|properties| properties.message_id.clone());
        let to = properties.and_then(|properties| properties.reply_to.clone());
        shared.reply(to.as_deref(), &node, reply(answer, id));
    }
}

/// The correlation id is the message id in its own type.
fn reply(answer: Answer, id: Option<MessageId>) -> Content {
    let mut content = content(Body::Value(AmqpValue(answer.body)));
    content.properties = Some(Properties {
        correlation_id: id,
        ..Properties::default()
    });
    let properties = ApplicationProperties::builder()
        .insert("status-code", SimpleValue::Int(answer.status))
        .insert("status-description", SimpleValue::String(answer.text));
    content.application_properties = Some(properties.build());
    content
}

fn property<'a>(asked: &'a Asked, name: &str) -> Option<&'a str> {
    match asked.application_properties.as_ref()?.0.get(name)? {
        SimpleValue::String(text) => Some(text),
        _ => None,
    }
}

fn token(shared: &Shared, asked: &Asked) -> Answer {
    let hub = &shared.hub;
    count(&hub.counters.tokens);
    let (faulty, without_role) = {
        let mut state = hub.state();
        (state.troubles.token(), state.without_role.clone())
    };
    if let Some(status) = faulty {
        return answered(status, "The token was not taken: this was ordered.");
    }
    if property(asked, "operation") != Some("put-token") {
        return answered(400, "The operation is not supported.");
    }
    let (Some(audience), Some(kind), Body::Value(AmqpValue(Value::String(token)))) = (
        property(asked, "name"),
        property(asked, "type"),
        &asked.body,
    ) else {
        return answered(400, "A token is put with its name, its type and itself.");
    };
    let roles = |app: &str| {
        let able = !without_role.iter().any(|other| other == app);
        Roles {
            receiver: able,
            sender: able && hub.writers.contains(&app),
        }
    };
    let put = Put {
        audience,
        kind,
        token,
    };
    match authorization::put(&shared.grants, &hub.issuer, roles, &put) {
        Ok(()) => answered(202, "Accepted"),
        Err(why) => answered(401, why),
    }
}

fn question(shared: &Shared, asked: &Asked) -> Answer {
    let hub = &shared.hub;
    count(&hub.counters.questions);
    let mut state = hub.state();
    if let Some(status) = state.troubles.question() {
        return answered(status, "The question was not answered: this was ordered.");
    }
    if property(asked, "operation") != Some("READ") {
        return answered(400, "The operation is not supported.");
    }
    let name = property(asked, "name").unwrap_or_default();
    let own = &hub.settings.name;
    let missing = || {
        let text = format!("The messaging entity '{name}' could not be found.");
        answered(404, text)
    };
    if let Err(refusal) = shared.grants.check(name, Claim::Manage) {
        return answered(401, refusal.text);
    }
    let Some(logs) = state.logs.as_ref().filter(|_| hub.is_named(name)) else {
        return missing();
    };
    let mut body = Facts::default();
    body.put("name", Value::String(own.clone()));
    let kind = property(asked, "type").unwrap_or_default();
    body.put("type", Value::String(kind.to_owned()));
    match kind {
        "com.microsoft:eventhub" => {
            let ids = (0..logs.len()).map(|place| Value::String(place.to_string()));
            body.put("created_at", time(state.created));
            body.put("partition_count", int(logs.len()));
            body.put("partition_ids", Value::Array(Array(ids.collect())));
            let copies = i32::from(hub.settings.offsets == Offsets::GeoReplicated) + 1;
            body.put("georeplication_factor", Value::Int(copies));
        }
        "com.microsoft:partition" => {
            let partition = property(asked, "partition").unwrap_or_default();
            let Ok(place) = hub.place(&state, partition) else {
                return missing();
            };
            let Some(log) = logs.get(place) else {
                return missing();
            };
            let standing = log.standing();
            let empty = standing.last < standing.first;
            let [first, last] = standing.epochs;
            body.put("partition", Value::String(partition.to_owned()));
            body.put("begin_sequence_number", Value::Long(standing.first));
            body.put("begin_sequence_number_epoch", Value::Int(first));
            body.put("last_enqueued_sequence_number", Value::Long(standing.last));
            body.put("last_enqueued_sequence_number_epoch", Value::Int(last));
            body.put("last_enqueued_offset", Value::String(standing.offset));
            body.put("last_enqueued_time_utc", time(standing.enqueued));
            body.put("is_partition_empty", Value::Bool(empty));
        }
        _ => return answered(400, format!("The type '{kind}' is not supported.")),
    }
    Answer {
        body: Value::Map(body.0),
        ..answered(200, "OK")
    }
}

#[derive(Default)]
struct Facts(OrderedMap<Value, Value>);

impl Facts {
    fn put(&mut self, key: &str, value: Value) {
        self.0.insert(Value::String(key.to_owned()), value);
    }
}

fn time(milliseconds: i64) -> Value {
    Value::Timestamp(Timestamp::from_milliseconds(milliseconds))
}

fn int(count: usize) -> Value {
    Value::Int(i32::try_from(count).unwrap_or(i32::MAX))
}
