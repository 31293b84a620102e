//! The hub, spoken with over its sockets.

mod publishing;
mod reading;
mod tokens;
mod troubles;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::link::{LinkStateError, ReceiverAttachError, RecvError};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::definitions::{self, Fields};
use fe2o3_amqp::types::messaging::{
    AmqpValue, ApplicationProperties, Body, Message, Properties, Source,
};
use fe2o3_amqp::types::primitives::{SimpleValue, Symbol, Value};
use fe2o3_amqp::{Connection, Delivery, Receiver, Sender, Session};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::{EventHub, Settings};
use crate::sandbox::api::access::seconds;
use crate::sandbox::{Tenant, start};

pub(super) const PLENTY: u32 = 100_000;

pub(super) async fn serving(event_hub: Settings, alerts: usize) -> Tenant {
    let settings = crate::sandbox::Settings {
        alerts,
        event_hub: Some(event_hub),
        ..crate::sandbox::Settings::default()
    };
    start(settings).await.unwrap()
}

pub(super) fn plain() -> Settings {
    Settings {
        plain: true,
        ..Settings::default()
    }
}

pub(super) fn hub(tenant: &Tenant) -> &EventHub {
    tenant.event_hub().unwrap()
}

pub(super) async fn secured(tenant: &Tenant) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(tenant.ca_pem().as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(hub(tenant).namespace()).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("127.0.0.1").unwrap();
    connector.connect(name, stream).await.unwrap()
}

/// A client of the hub with one session.
pub(super) struct Client {
    pub(super) connection: ConnectionHandle<()>,
    pub(super) session: SessionHandle<()>,
    links: u32,
}

pub(super) type Stream = Box<dyn crate::sandbox::accept::Stream>;

impl Client {
    pub(super) async fn over(stream: impl crate::sandbox::accept::Stream + 'static) -> Self {
        let mut connection = Connection::builder()
            .container_id("client")
            .hostname("contoso.servicebus.windows.net")
            .sasl_profile(SaslProfile::Anonymous)
            .open_with_stream(Box::new(stream) as Stream)
            .await
            .unwrap();
        let session = Session::begin(&mut connection).await.unwrap();
        Self {
            connection,
            session,
            links: 0,
        }
    }

    pub(super) async fn plain(hub: &EventHub) -> Self {
        Self::over(TcpStream::connect(hub.plain().unwrap()).await.unwrap()).await
    }

    /// One that may do everything.
    pub(super) async fn root(hub: &EventHub) -> Self {
        let mut client = Self::plain(hub).await;
        let (name, key) = hub.policies()[0];
        let audience = format!("sb://contoso/{}", hub.name());
        let token = signature(&audience, name, key, 600);
        let (status, _) = client
            .put(&audience, "servicebus.windows.net:sastoken", &token)
            .await;
        assert_eq!(status, 202);
        client
    }

    fn link(&mut self) -> String {
        self.links += 1;
        format!("link-{}", self.links)
    }

    /// One question, one answer: status, description, body.
    pub(super) async fn ask(
        &mut self,
        node: &str,
        body: Body<Value>,
        properties: &[(&str, &str)],
    ) -> (i32, String, Value) {
        let (name, back) = (self.link(), self.link());
        let mut sender = Sender::attach(&mut self.session, name, node).await.unwrap();
        let mut receiver = Receiver::builder()
            .name(back.clone())
            .source(node)
            .target(back.clone())
            .attach(&mut self.session)
            .await
            .unwrap();
        let mut asked = ApplicationProperties::builder();
        for (key, value) in properties {
            asked = asked.insert(*key, SimpleValue::String((*value).to_owned()));
        }
        let message = Message {
            properties: Some(Properties {
                message_id: Some(77_u64.into()),
                reply_to: Some(back),
                ..Properties::default()
            }),
            application_properties: Some(asked.build()),
            ..super::content(body)
        };
        sender.send(message).await.unwrap();
        let answer: Delivery<Body<Value>> = receiver.recv().await.unwrap();
        receiver.accept(&answer).await.unwrap();
        let answer = answer.into_message();
        assert_eq!(
            answer.properties.unwrap().correlation_id,
            Some(77_u64.into())
        );
        let properties = answer.application_properties.unwrap().0;
        let Some(SimpleValue::Int(status)) = properties.get("status-code") else {
            panic!("{properties:?}");
        };
        let Some(SimpleValue::String(text)) = properties.get("status-description") else {
            panic!("{properties:?}");
        };
        let Body::Value(AmqpValue(body)) = answer.body else {
            panic!("{:?}", answer.body);
        };
        sender.close().await.unwrap();
        receiver.close().await.unwrap();
        (*status, text.clone(), body)
    }

    pub(super) async fn put(&mut self, audience: &str, kind: &str, token: &str) -> (i32, String) {
        let body = Body::Value(AmqpValue(Value::String(token.to_owned())));
        let properties = [
            ("operation", "put-token"),
            ("name", audience),
            ("type", kind),
        ];
        let (status, text, _) = self.ask("$cbs", body, &properties).await;
        (status, text)
    }

    pub(super) async fn read(&mut self, hub: &str, partition: Option<&str>) -> (i32, Value) {
        let mut properties = vec![("operation", "READ"), ("name", hub)];
        match partition {
            None => properties.push(("type", "com.microsoft:eventhub")),
            Some(partition) => properties.extend([
                ("type", "com.microsoft:partition"),
                ("partition", partition),
            ]),
        }
        let (status, _, body) = self.ask("$management", Body::Empty, &properties).await;
        (status, body)
    }

    pub(super) async fn receiver(
        &mut self,
        source: &str,
        selector: Option<&str>,
        epoch: Option<i64>,
    ) -> Result<Receiver, ReceiverAttachError> {
        let name = self.link();
        let mut from = Source::builder().address(source);
        if let Some(selector) = selector {
            let filter = Described {
                descriptor: Descriptor::Code(0x468C_0000_0004),
                value: Value::String(selector.to_owned()),
            };
            from = from.add_to_filter("apache.org:selector-filter:string", filter);
        }
        let mut properties = Fields::new();
        if let Some(epoch) = epoch {
            properties.insert(Symbol::from("com.microsoft:epoch"), Value::Long(epoch));
        }
        Receiver::builder()
            .name(name)
            .source(from.build())
            .target("here")
            .properties(properties)
            .credit_mode(CreditMode::Manual)
            .attach(&mut self.session)
            .await
    }

    /// A receiver of a partition in the default group, with credit.
    pub(super) async fn partition(
        &mut self,
        hub: &EventHub,
        partition: usize,
        selector: &str,
    ) -> Receiver {
        let source = source(hub, partition);
        let receiver = self.receiver(&source, Some(selector), None).await;
        let mut receiver = receiver.unwrap();
        receiver.set_credit(PLENTY).await.unwrap();
        receiver
    }
}

pub(super) fn source(hub: &EventHub, partition: usize) -> String {
    format!(
        "{}/ConsumerGroups/$Default/Partitions/{partition}",
        hub.name()
    )
}

/// The error a receiver's link was ended with.
pub(super) async fn ended(receiver: &mut Receiver) -> definitions::Error {
    loop {
        match receiver.recv::<Body<Value>>().await {
            Ok(delivery) => receiver.accept(&delivery).await.unwrap(),
            Err(RecvError::LinkStateError(
                LinkStateError::RemoteClosedWithError(error)
                | LinkStateError::RemoteDetachedWithError(error),
            )) => return error,
            Err(other) => panic!("{other:?}"),
        }
    }
}

pub(super) fn condition(error: &definitions::Error) -> String {
    let value = serde_json::to_value(format!("{:?}", error.condition)).unwrap();
    let symbol = match &error.condition {
        definitions::ErrorCondition::AmqpError(known) => Symbol::from(known),
        definitions::ErrorCondition::LinkError(known) => Symbol::from(known),
        definitions::ErrorCondition::ConnectionError(known) => Symbol::from(known),
        definitions::ErrorCondition::Custom(symbol) => symbol.clone(),
        other => panic!("{other:?} {value}"),
    };
    symbol.0
}

/// Attaches a receiver that is refused, and says how. In a session of its own: this
/// client's answer to a refusal can come late and hit the next link with its handle.
pub(super) async fn refused(
    client: &mut Client,
    source: &str,
    selector: Option<&str>,
    epoch: Option<i64>,
) -> String {
    let own = Session::begin(&mut client.connection).await.unwrap();
    let others = std::mem::replace(&mut client.session, own);
    let receiver = client.receiver(source, selector, epoch).await;
    let _own = std::mem::replace(&mut client.session, others);
    match receiver {
        Ok(mut receiver) => condition(&ended(&mut receiver).await),
        Err(ReceiverAttachError::RemoteClosedWithError(error)) => condition(&error),
        Err(other) => panic!("{other:?}"),
    }
}

/// What an event says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) sequence: i64,
    pub(super) offset: String,
    pub(super) enqueued: i64,
    pub(super) body: Body<Value>,
    pub(super) key: Option<String>,
}

pub(super) async fn next(receiver: &mut Receiver) -> Seen {
    let delivery: Delivery<Body<Value>> = receiver.recv().await.unwrap();
    receiver.accept(&delivery).await.unwrap();
    let message = delivery.into_message();
    let annotations = message.message_annotations.unwrap().0;
    let get = |name: &str| {
        annotations
            .iter()
            .find(|(key, _)| **key == name.into())
            .map(|(_, value)| value.clone())
    };
    let (Some(Value::Long(sequence)), Some(Value::String(offset)), Some(Value::Timestamp(at))) = (
        get("x-opt-sequence-number"),
        get("x-opt-offset"),
        get("x-opt-enqueued-time"),
    ) else {
        panic!("{annotations:?}");
    };
    Seen {
        sequence,
        offset,
        enqueued: at.into_inner(),
        body: message.body,
        key: match get("x-opt-partition-key") {
            Some(Value::String(key)) => Some(key),
            _ => None,
        },
    }
}

impl Seen {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let Body::Data(sections) = &self.body else {
            panic!("{:?}", self.body);
        };
        sections
            .iter()
            .flat_map(|it| it.0.iter().copied())
            .collect()
    }
}

pub(super) fn signature(audience: &str, name: &str, key: &str, seconds_left: u64) -> String {
    let resource = utf8_percent_encode(audience, NON_ALPHANUMERIC).to_string();
    let expiry = seconds() + seconds_left;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, format!("{resource}\n{expiry}").as_bytes()));
    let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC);
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={name}")
}
