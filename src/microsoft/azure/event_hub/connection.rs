//! One connection to a namespace, for all partitions of a hub: opened, authorized, and
//! authorized anew while it lives.

use super::credential::Credential;
use super::dial::Dialer;
use super::error::{Error, Fault, Phase};
use super::frames::Frames;
use super::properties::{HubProperties, PartitionProperties};
use super::request::{Node, Request};
use super::settings::Settings;
use crate::ingest::stream::{LogError, LogErrorClass};
use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::CreditMode;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::definitions::Fields;
use fe2o3_amqp::types::messaging::{Source, Target};
use fe2o3_amqp::types::primitives::{Symbol, Value};
use fe2o3_amqp::{Connection as Amqp, Receiver, Session};
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use uuid::Uuid;

/// Longest wait for an answer to open, begin or attach.
const PATIENCE: Duration = Duration::from_secs(30);
/// A namespace that is silent for longer is gone.
const IDLE: u32 = 60_000;
/// Microsoft's own frames are no larger.
pub(super) const MOST_FRAME: u32 = 64 << 10;
/// Sessions: one for each partition, and two.
const MOST_CHANNELS: u16 = 4999;
/// Frames of one partition that wait to be read; what comes beyond waits in the socket.
const MOST_WAITING: usize = 16;
/// A token is not asked for more often, however short its life.
const LEAST_LIFE: Duration = Duration::from_millis(500);

/// No message is larger: the largest hubs take 20 MB.
const MOST_MESSAGE: u64 = 64 << 20;

/// What the names of links to partitions begin with.
pub(super) const LINK: &str = "defender_bridge-";

const SELECTOR: &str = "apache.org:selector-filter:string";
const SELECTOR_CODE: u64 = 0x0000_468C_0000_0004;

pub(super) struct Connection {
    /// Which connection of this hub it is.
    pub(super) generation: u64,
    pub(super) opened: Instant,
    /// A message came through it: the token was good.
    pub(super) proven: AtomicBool,
    /// Nobody begins anything on it any more.
    retired: AtomicBool,
    handle: Mutex<ConnectionHandle<()>>,
    cbs: Node,
    management: Node,
    credential: Arc<Credential>,
    settings: Arc<Settings>,
    renewal: std::sync::Mutex<Option<AbortHandle>>,
}

/// A link to a partition.
pub(super) struct Link {
    pub(super) receiver: Receiver,
    session: SessionHandle<()>,
}

impl Connection {
    pub(super) async fn open(
        generation: u64,
        dialer: &Dialer,
        credential: &Arc<Credential>,
        settings: &Arc<Settings>,
    ) -> Result<Arc<Self>, Error> {
        let stream = dialer.dial().await?;
        let property =
            |name: &str, value: &str| (Symbol::from(name), Value::String(value.to_owned()));
        let properties: Fields = [
            property("product", "DefenderBridge"),
            property("version", env!("CARGO_PKG_VERSION")),
            property("platform", std::env::consts::OS),
            property(
                "user-agent",
                concat!("DefenderBridge-Splunk/", env!("CARGO_PKG_VERSION")),
            ),
        ]
        .into_iter()
        .collect();
        let opening = Amqp::builder()
            .container_id(Uuid::new_v4().to_string())
            .hostname(settings.host.as_str())
            .sasl_profile(SaslProfile::Anonymous)
            .max_frame_size(MOST_FRAME)
            .channel_max(MOST_CHANNELS)
            .idle_time_out(IDLE)
            .properties(properties)
            .open_with_stream(Frames::new(stream));
        let opened = within("open", opening).await;
        let handle = opened.map_err(|fault| fault.error(&settings.host, Phase::Request))?;
        let connection = Arc::new(Self {
            generation,
            opened: Instant::now(),
            proven: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            handle: Mutex::new(handle),
            cbs: Node::new("$cbs"),
            management: Node::new("$management"),
            credential: Arc::clone(credential),
            settings: Arc::clone(settings),
            renewal: std::sync::Mutex::default(),
        });
        let renew_at = match connection.authorize().await {
            // Not every refusal is for good: it may have ended on the way.
            Err(error) if error.class() == LogErrorClass::Stop && credential.renews() => {
                credential.refused();
                connection.authorize().await?
            }
            authorized => authorized?,
        };
        connection.keep_authorized(renew_at);
        Ok(connection)
    }

    /// Gives the hub a token; says when it needs the next.
    async fn authorize(&self) -> Result<Option<Instant>, Error> {
        let audience = self.settings.audience();
        let pass = self.credential.pass(&audience).await?;
        let request = Request {
            properties: &[
                ("operation", "put-token"),
                ("type", pass.kind),
                ("name", &audience),
            ],
            token: None,
            body: Some(&pass.text),
        };
        let asked = self.cbs.ask(request, self.session()).await;
        asked.map_err(|fault| fault.error(&self.place(), Phase::Request))??;
        Ok(pass.renew_at)
    }

    /// Authorizes anew, again and again, well before each token's end.
    fn keep_authorized(self: &Arc<Self>, first: Option<Instant>) {
        let Some(first) = first else {
            return;
        };
        let renewal = tokio::spawn(renew(Arc::downgrade(self), first));
        let mut kept = self.renewal.lock().unwrap_or_else(|e| e.into_inner());
        *kept = Some(renewal.abort_handle());
    }

    pub(super) fn is_usable(&self) -> bool {
        // Whoever holds the lock has just found it usable.
        let closed = self
            .handle
            .try_lock()
            .is_ok_and(|handle| handle.is_closed());
        !closed && !self.retired.load(Ordering::Relaxed)
    }

    /// The next reader dials anew.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Says goodbye, so that the hub knows at once.
    pub(super) async fn close(&self) {
        self.retire();
        let closing = async { self.handle.lock().await.close().await };
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(1), closing).await {
            tracing::debug!("{}: not closed cleanly: {error}", self.settings.host);
        }
    }

    async fn session(&self) -> Result<SessionHandle<()>, Fault> {
        let mut handle = self.handle.lock().await;
        let beginning = Session::builder()
            .buffer_size(MOST_WAITING)
            .begin(&mut handle);
        let begun = within("begin", beginning).await;
        if begun.is_err() {
            self.retire();
        }
        begun
    }

    pub(super) async fn hub(&self) -> Result<HubProperties, Error> {
        let reply = self.read("com.microsoft:eventhub", None).await?;
        HubProperties::read(&reply).ok_or_else(|| {
            Error::new(
                LogErrorClass::Stop,
                format!("{}: it tells no partitions", self.place()),
                "check that event_hub names an event hub, and event_hub_namespace its namespace",
            )
        })
    }

    pub(super) async fn partition(&self, id: &str) -> Result<PartitionProperties, Error> {
        let reply = self.read("com.microsoft:partition", Some(id)).await?;
        Ok(PartitionProperties::read(id, &reply))
    }

    async fn read(&self, what: &str, partition: Option<&str>) -> Result<Value, Error> {
        let audience = self.settings.audience();
        let pass = self.credential.pass(&audience).await?;
        let mut properties = vec![
            ("operation", "READ"),
            ("name", self.settings.hub.as_str()),
            ("type", what),
        ];
        properties.extend(partition.map(|partition| ("partition", partition)));
        let request = Request {
            properties: &properties,
            token: Some(("security_token", &pass.text)),
            body: None,
        };
        let asked = self.management.ask(request, self.session()).await;
        asked.map_err(|fault| fault.error(&self.place(), Phase::Request))?
    }

    /// A reader of one partition, from where the selector says.
    pub(super) async fn attach(&self, partition: &str, selector: &str) -> Result<Link, Fault> {
        self.attach_as(partition, selector, self.settings.shared)
            .await
    }

    /// One that disturbs nobody: it is refused where another reader has the partition for
    /// itself.
    pub(super) async fn attach_beside(
        &self,
        partition: &str,
        selector: &str,
    ) -> Result<Link, Fault> {
        self.attach_as(partition, selector, false).await
    }

    async fn attach_as(&self, partition: &str, selector: &str, owns: bool) -> Result<Link, Fault> {
        let filter = Described {
            descriptor: Descriptor::Code(SELECTOR_CODE),
            value: Value::String(selector.to_owned()),
        };
        let source = Source::builder()
            .address(self.settings.address(partition))
            .add_to_filter(SELECTOR, filter)
            .build();
        let name = format!("{LINK}{partition}-{}", Uuid::new_v4());
        let receiver_name = (
            Symbol::from("com.microsoft:receiver-name"),
            Value::String(name.clone()),
        );
        let epoch = (Symbol::from("com.microsoft:epoch"), Value::Long(0));
        let properties: Fields = std::iter::once(receiver_name)
            .chain(owns.then_some(epoch))
            .collect();
        let mut session = self.session().await?;
        let mut builder = Receiver::builder()
            .name(name.as_str())
            .source(source)
            .target(Target::builder().address(name.as_str()).build())
            .add_desired_capabilities("com.microsoft:georeplication")
            .properties(properties)
            .credit_mode(CreditMode::Manual)
            .max_message_size(MOST_MESSAGE)
            .verify_incoming_source(false)
            .verify_incoming_target(false);
        builder.buffer_size = MOST_WAITING;
        let receiver = within("attach", builder.attach(&mut session)).await?;
        Ok(Link { receiver, session })
    }

    fn place(&self) -> String {
        format!("hub {} of {}", self.settings.hub, self.settings.host)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let renewal = self.renewal.get_mut().unwrap_or_else(|e| e.into_inner());
        if let Some(renewal) = renewal.take() {
            renewal.abort();
        }
    }
}

impl Link {
    /// Detaches politely: what is under way still comes, and belongs to a session that is
    /// known until it is ended.
    pub(super) async fn close(self) {
        let Self {
            receiver,
            mut session,
        } = self;
        let closing = async {
            receiver.close().await.ok();
            session.end().await.ok();
        };
        tokio::time::timeout(PATIENCE, closing).await.ok();
    }
}

async fn renew(connection: Weak<Connection>, first: Instant) {
    let (mut renew_at, mut failures) = (first, 0_u32);
    loop {
        tokio::time::sleep_until(renew_at.max(Instant::now() + LEAST_LIFE)).await;
        let Some(connection) = connection.upgrade().filter(|it| it.is_usable()) else {
            return;
        };
        match connection.authorize().await {
            Ok(None) => return,
            Ok(Some(at)) => (renew_at, failures) = (at, 0),
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures.is_power_of_two() {
                    tracing::warn!("{error}; it is tried again");
                }
                renew_at = Instant::now() + Duration::from_secs(1 << failures.min(6));
            }
        }
    }
}

/// What the peer answers in time, or why it does not.
async fn within<T, E: Into<Fault>>(
    what: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(Fault::late(what)),
    }
}
