//! A node that answers requests, `$cbs` or `$management`: one request, one reply.

use super::error::{Error, Fault};
use super::position::{number, text};
use fe2o3_amqp::link::CreditMode;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{
    AmqpValue, ApplicationProperties, Body, Message, MessageId, Properties, Source, Target,
};
use fe2o3_amqp::types::primitives::{SimpleValue, Value};
use fe2o3_amqp::{Receiver, Sender};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use tokio::sync::Mutex;
use uuid::Uuid;

/// Longest wait for a reply, links included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Replies that may be under way: the one awaited, and some of requests given up.
const CREDIT: u32 = 10;

pub(super) struct Node {
    address: &'static str,
    links: Mutex<Option<Links>>,
}

/// Kept open between requests.
struct Links {
    sender: Sender,
    receiver: Receiver,
    reply_to: String,
    /// Ends with the links.
    _session: SessionHandle<()>,
}

/// What is asked.
pub(super) struct Request<'r> {
    pub(super) properties: &'r [(&'r str, &'r str)],
    /// A property of its own, which is secret.
    pub(super) token: Option<(&'r str, &'r SecretString)>,
    pub(super) body: Option<&'r SecretString>,
}

/// What was answered.
struct Reply {
    status: i64,
    description: String,
    condition: Option<String>,
    body: Value,
}

impl Node {
    pub(super) fn new(address: &'static str) -> Self {
        Self {
            address,
            links: Mutex::new(None),
        }
    }

    /// The reply's body. `session` begins one where there are no links yet.
    pub(super) async fn ask(
        &self,
        request: Request<'_>,
        session: impl Future<Output = Result<SessionHandle<()>, Fault>>,
    ) -> Result<Result<Value, Error>, Fault> {
        let mut links = self.links.lock().await;
        let asked = tokio::time::timeout(PATIENCE, async {
            let open = match links.take() {
                Some(open) => open,
                None => Links::attach(self.address, session.await?).await?,
            };
            // A request that is given up leaves the links: its reply is known by its id.
            links.insert(open).ask(request).await
        });
        let reply = match asked.await {
            Ok(reply) => reply,
            Err(_) => Err(Fault::late(self.address)),
        };
        if reply.is_err() {
            *links = None;
        }
        let reply = reply?;
        Ok(match reply.status {
            200..=299 => Ok(reply.body),
            status => Err(Fault::of_reply(
                status,
                &reply.description,
                reply.condition.as_deref(),
            )),
        })
    }
}

impl Links {
    async fn attach(address: &str, mut session: SessionHandle<()>) -> Result<Self, Fault> {
        let reply_to = format!("{}-{}", address.trim_start_matches('$'), Uuid::new_v4());
        let receiver = Receiver::builder()
            .name(format!("{reply_to}-replies"))
            .source(Source::builder().address(address).build())
            .target(Target::builder().address(reply_to.as_str()).build())
            .credit_mode(CreditMode::Auto(CREDIT))
            .auto_accept(true)
            .verify_incoming_source(false)
            .verify_incoming_target(false)
            .attach(&mut session)
            .await?;
        let sender = Sender::builder()
            .name(format!("{reply_to}-requests"))
            .source(Source::builder().address(reply_to.as_str()).build())
            .target(Target::builder().address(address).build())
            .verify_incoming_source(false)
            .verify_incoming_target(false)
            .attach(&mut session)
            .await?;
        Ok(Self {
            sender,
            receiver,
            reply_to,
            _session: session,
        })
    }

    async fn ask(&mut self, request: Request<'_>) -> Result<Reply, Fault> {
        let id = Uuid::new_v4().to_string();
        let mut properties = ApplicationProperties::builder();
        for (name, value) in request.properties {
            properties = properties.insert(*name, SimpleValue::String((*value).to_owned()));
        }
        if let Some((name, token)) = request.token {
            let token = SimpleValue::String(token.expose_secret().to_owned());
            properties = properties.insert(name, token);
        }
        let body = match request.body {
            Some(body) => Value::String(body.expose_secret().to_owned()),
            None => Value::Null,
        };
        let message = Message::builder()
            .properties(
                Properties::builder()
                    .message_id(MessageId::String(id.clone()))
                    .reply_to(self.reply_to.as_str())
                    .build(),
            )
            .application_properties(properties.build())
            .value(body)
            .build();
        let sent = async {
            // Whether the request was accepted says nothing: the reply does.
            let outcome = self.sender.send_batchable(message).await?;
            drop(outcome);
            Ok::<_, Fault>(())
        };
        sent.await?;
        loop {
            let reply = tokio::select! {
                reply = self.receiver.recv::<Body<Value>>() => reply?.into_message(),
                gone = self.sender.on_detach() => return Err(gone.into()),
            };
            let answers = reply
                .properties
                .as_ref()
                .and_then(|of| of.correlation_id.as_ref());
            // Else it answers a request that was given up.
            if answers.is_none_or(|answers| *answers == MessageId::String(id.clone())) {
                return Reply::read(reply);
            }
        }
    }
}

impl Reply {
    fn read(message: Message<Body<Value>>) -> Result<Self, Fault> {
        let properties = message.application_properties.unwrap_or_default();
        let find = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| properties.get(*name));
            found.cloned().map(Value::from)
        };
        let status = find(["status-code", "statusCode"])
            .as_ref()
            .and_then(number);
        Ok(Self {
            status: status.ok_or_else(|| Fault::Lost("a reply without a status".to_owned()))?,
            description: find(["status-description", "statusDescription"])
                .as_ref()
                .and_then(text)
                .unwrap_or_default(),
            condition: find(["error-condition", "errorCondition"])
                .as_ref()
                .and_then(text),
            body: match message.body {
                Body::Value(AmqpValue(value)) => value,
                _ => Value::Null,
            },
        })
    }
}
