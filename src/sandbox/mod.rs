//! A Defender tenant of our own: token endpoints and the Graph, MDE and XDR
//! APIs over HTTPS, with seeded attack stories, for `demo`, tests and benches.
//!
//! It is an honest counterpart: it follows Microsoft's documentation, caps and
//! error documents included, and shares no code with `defender` or any other
//! room. It must never know who its client is.

mod accept;
pub mod api;
pub mod event_hub;
pub mod splunkd;
pub mod storage;
mod story;
pub mod tenant;
#[cfg(test)]
mod tests;
mod trouble;

use crate::sandbox::api::{graph, hunting, identity, mde, sign_in, tls, xdr};
use crate::sandbox::event_hub::EventHub;
use crate::sandbox::storage::{Owner, Storage};
use crate::sandbox::tenant::{json, load};

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use api::access::{Caller, Issuer, Permission};
use api::answer::{Call, Refusal, Reply};
use api::quota::{Counter, Quotas};
use api::sign_in::{App, Certificate, Credential, Trust};
pub use api::tls::TlsError;
use story::Generator;
pub use story::Moved;
use story::evidence::{Evidence, Item};
use tenant::instant::Ticks;
pub use tenant::inventory::{Inventory, Record, Remark};
pub use tenant::load::LoadError;
use tenant::record::Body;
use tenant::store::Store;
use tenant::visibility_delay::Delay;

const TENANT_ID: &str = "11111111-2222-4333-8444-555555555555";
const TENANT_DOMAIN: &str = "contoso.onmicrosoft.com";
const WRITER_ID: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const WRITER_SECRET: &str = "sandbox~writer~0000000000000000000000001";
const READER_ID: &str = "aaaaaaaa-0000-4000-8000-000000000002";
const READER_SECRET: &str = "sandbox~reader~0000000000000000000000002";
const CERTIFICATE_ID: &str = "aaaaaaaa-0000-4000-8000-000000000003";
const EXPIRED_ID: &str = "aaaaaaaa-0000-4000-8000-000000000004";
const EXPIRED_SECRET: &str = "sandbox~expired~000000000000000000000004";
const FEDERATED_ID: &str = "aaaaaaaa-0000-4000-8000-000000000005";
const IDENTITY_ID: &str = "aaaaaaaa-0000-4000-8000-000000000006";
const IDENTITY_HEADER: &str = "sandbox~identity~header";

/// How many answered calls are remembered.
const REMEMBERED: usize = 10_000;

/// The three API families through which the same objects are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Microsoft Graph security.
    Graph,
    /// Defender for Endpoint.
    Mde,
    /// Defender XDR.
    Xdr,
}

/// What Graph does with `$orderby`, which it does not document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderBy {
    /// Sorts by it.
    #[default]
    Honoured,
    /// Stays newest first.
    Ignored,
    /// Answers 400.
    Refused,
}

/// Another issuer whose tokens the federated app may show instead of a secret.
#[derive(Debug, Clone)]
pub struct Federation {
    /// Claim `iss`.
    pub issuer: String,
    /// Claim `sub`.
    pub subject: String,
    /// Public RSA key or certificate, PEM.
    pub key_pem: String,
}

/// What kind of tenant to start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The same seed and `until` tell the same stories.
    pub seed: u64,
    /// How many alerts the stories add up to.
    pub alerts: usize,
    /// Over how many past days they are spread.
    pub days: u32,
    /// The end of those days; the start of the tenant when not given.
    pub until: Option<jiff::Timestamp>,
    /// Files whose objects are served beside the stories.
    pub load: Vec<PathBuf>,
    /// How often the stories move on by themselves.
    pub grow: Option<Duration>,
    /// How far in the past changes of the stories are dated: objects that
    /// become visible late.
    pub lag: Duration,
    /// How long a change stays unseen to those who ask by id.
    pub visible_after: Duration,
    /// How long a change stays unseen in lists, if that is longer.
    pub listed_after: Duration,
    /// Whether the published call quotas apply.
    pub quotas: bool,
    /// One alert gets so much evidence that it reaches this size.
    pub object_bytes: Option<usize>,
    /// How long access tokens are good for.
    pub token_lifetime: Duration,
    /// Public certificate (PEM, RSA) of the certificate-based app.
    pub certificate: Option<String>,
    /// Whom the federated app trusts.
    pub federation: Option<Federation>,
    /// Whether to serve managed-identity endpoints on a second, plain port.
    pub managed_identity: bool,
    /// MDE and XDR take only the second spelling of determinations that have two.
    pub alternate_spellings: bool,
    /// What Graph does with `$orderby`.
    pub order: OrderBy,
    /// Most ids in one MDE `batchUpdate`.
    pub batch: usize,
    /// Whether Graph offers `$batch`.
    pub graph_batch: bool,
    /// The event hub Defender streams into, if there is one.
    pub event_hub: Option<event_hub::Settings>,
    /// The storage account Defender streams into, if there is one.
    pub storage: Option<storage::Settings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            alerts: 300,
            days: 7,
            until: None,
            load: Vec::new(),
            grow: None,
            lag: Duration::ZERO,
            visible_after: Duration::ZERO,
            listed_after: Duration::ZERO,
            quotas: false,
            object_bytes: None,
            token_lifetime: Duration::from_secs(3599),
            certificate: None,
            federation: None,
            managed_identity: false,
            alternate_spellings: false,
            order: OrderBy::Honoured,
            batch: 100,
            graph_batch: true,
            event_hub: None,
            storage: None,
        }
    }
}

/// Why the tenant did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be had.
    #[error("the sandbox cannot listen on {address}: {source}; choose another address")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file to serve is not what it should be.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No TLS.
    #[error("the sandbox cannot make its TLS certificate: {0}")]
    Tls(#[from] TlsError),
    /// A certificate or key in the settings.
    #[error(
        "the sandbox cannot read the {0}: give a PEM text with an RSA key's public certificate"
    )]
    Key(&'static str),
    /// No stories without people.
    #[error("the sandbox cannot tell its stories: the organisation is empty")]
    Stories,
}

/// One answered call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// `GET`, `PATCH`, `POST`.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// The answer's status.
    pub status: u16,
}

/// What the handlers share.
struct Shared {
    settings: Settings,
    url: String,
    issuer: Arc<Issuer>,
    event_hub: Option<EventHub>,
    storage: Option<Storage>,
    apps: Vec<App>,
    store: Mutex<Store>,
    teller: Mutex<Generator>,
    quotas: Mutex<Quotas>,
    served: Mutex<VecDeque<Served>>,
}

/// A lock whose holder panicked still guards whole data: every change is made
/// in one go.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    fn now(&self) -> Ticks {
        Ticks::now()
    }

    fn admit(
        &self,
        headers: &HeaderMap,
        family: Family,
        permission: Permission,
        counter: Counter,
    ) -> Result<Caller, Refusal> {
        let caller = self.issuer.admit(headers, family, permission)?;
        if self.settings.quotas {
            lock(&self.quotas).count(&caller.app, counter, Instant::now())?;
        }
        Ok(caller)
    }

    /// What an assertion may name as its audience.
    fn token_urls(&self) -> Vec<String> {
        let localhost = self.url.replace("127.0.0.1", "localhost");
        ["https://login.microsoftonline.com", &self.url, &localhost]
            .iter()
            .flat_map(|base| {
                ["oauth2/v2.0/token", "oauth2/token"]
                    .map(|path| format!("{base}/{TENANT_ID}/{path}"))
            })
            .collect()
    }

    fn advance(&self) -> Moved {
        let now = self.now().minus(self.settings.lag);
        // Generator first, store second: the only place that holds both.
        let mut teller = lock(&self.teller);
        let mut store = self.store();
        let known = store.alerts.len();
        let moved = teller.advance(&mut store, now);
        if let Some(hub) = &self.event_hub {
            hub.tell(store.alerts.rows().iter().skip(known));
        }
        if let Some(storage) = &self.storage {
            storage.tell(store.alerts.rows().iter().skip(known));
        }
        moved
    }
}

/// A running tenant; it stops when dropped.
pub struct Tenant {
    shared: Arc<Shared>,
    ca_pem: String,
    identity: Option<String>,
    tasks: JoinSet<()>,
}

/// Starts a tenant; it serves as soon as this returns.
pub async fn start(settings: Settings) -> Result<Tenant, Error> {
    let unheard = |(address, source)| Error::Listen { address, source };
    let listen = |address: SocketAddr| async move { accept::bind(address).await.map_err(unheard) };
    let (listener, address) = listen(settings.listen).await?;
    let (ca_pem, tls) = tls::acceptor(&address.ip().to_string())?;
    let identity = match settings.managed_identity {
        true => Some(listen(SocketAddr::new(address.ip(), 0)).await?),
        false => None,
    };
    let (store, teller) = furnish(&settings)?;
    let issuer = Arc::new(Issuer::new(settings.token_lifetime));
    let event_hub = match settings.event_hub.clone() {
        None => None,
        Some(wanted) => {
            let until = settings.until.map_or_else(Ticks::now, Ticks::from);
            let alerts = store.alerts.rows();
            let hub = event_hub::start(
                wanted,
                tls.clone(),
                issuer.clone(),
                vec![WRITER_ID],
                alerts,
                until,
            );
            Some(hub.await.map_err(unheard)?)
        }
    };
    let storage = match settings.storage.clone() {
        None => None,
        Some(wanted) => {
            let owner = Owner {
                login: format!("https://{address}/{TENANT_ID}"),
                issuer: issuer.clone(),
                writers: vec![WRITER_ID],
            };
            let started = storage::start(wanted, tls.clone(), owner, store.alerts.rows());
            Some(started.await.map_err(unheard)?)
        }
    };
    let shared = Arc::new(Shared {
        url: format!("https://{address}"),
        issuer,
        event_hub,
        storage,
        apps: apps(&settings)?,
        store: Mutex::new(store),
        teller: Mutex::new(teller),
        quotas: Mutex::default(),
        served: Mutex::default(),
        settings,
    });

    let mut tasks = JoinSet::new();
    tasks.spawn(accept::serve(listener, Some(tls), router(&shared)));
    let identity = identity.map(|(listener, address)| {
        let router = identity::routes().with_state(shared.clone());
        tasks.spawn(accept::serve(listener, None, router));
        format!("http://{address}/msi/token")
    });
    if let Some(every) = shared.settings.grow {
        let shared = shared.clone();
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                shared.advance();
            }
        });
    }
    Ok(Tenant {
        shared,
        ca_pem,
        identity,
        tasks,
    })
}

/// The app registrations.
fn apps(settings: &Settings) -> Result<Vec<App>, Error> {
    let certificate = match &settings.certificate {
        None => Credential::None,
        Some(pem) => {
            let certificate = Certificate::from_pem(pem)
                .ok_or(Error::Key("certificate of the certificate app"))?;
            Credential::Certificate(Box::new(certificate))
        }
    };
    let federated = match &settings.federation {
        None => Credential::None,
        Some(federation) => Credential::Federated(Box::new(Trust {
            issuer: federation.issuer.clone(),
            subject: federation.subject.clone(),
            key: jsonwebtoken::DecodingKey::from_rsa_pem(federation.key_pem.as_bytes())
                .map_err(|_| Error::Key("key of the federated issuer"))?,
        })),
    };
    let app = |id, name, writes, credential| App {
        id,
        name,
        writes,
        credential,
    };
    Ok(vec![
        app(
            WRITER_ID,
            "Defender Bridge",
            true,
            Credential::Secret(WRITER_SECRET),
        ),
        app(
            READER_ID,
            "Defender Bridge (read only)",
            false,
            Credential::Secret(READER_SECRET),
        ),
        app(
            CERTIFICATE_ID,
            "Defender Bridge (certificate)",
            true,
            certificate,
        ),
        app(
            EXPIRED_ID,
            "Defender Bridge (expired)",
            true,
            Credential::ExpiredSecret(EXPIRED_SECRET),
        ),
        app(FEDERATED_ID, "Defender Bridge (federated)", true, federated),
    ])
}

/// Tells the stories and loads the files.
fn furnish(settings: &Settings) -> Result<(Store, Generator), Error> {
    let until = settings.until.map_or_else(Ticks::now, Ticks::from);
    let mut store = Store::default();
    let mut teller = Generator::new(settings.seed, until).ok_or(Error::Stories)?;
    teller.tell(&mut store, settings.alerts, settings.days, until);
    if let Some(bytes) = settings.object_bytes {
        pad(&mut store, bytes);
    }
    for path in &settings.load {
        load::load(&mut store, path)?;
    }
    store.delay(Delay {
        by_id: settings.visible_after,
        listed: settings.listed_after.max(settings.visible_after),
    });
    Ok((store, teller))
}

/// Gives one alert evidence until Graph's text of it has that size.
fn pad(store: &mut Store, bytes: usize) {
    let place = store.alerts.len() / 2;
    let Some(alert) = store.alerts.get(place) else {
        return;
    };
    let (have, at) = (
        graph::document::alert(alert, true).len(),
        alert.state.updated,
    );
    let Body::Told(told) = &alert.body else {
        return;
    };
    let evidence = Evidence {
        at,
        verdict: "suspicious",
        remediation: "none",
        role: None,
        item: Item::User(told.user.clone()),
    };
    let mut one = json::Json::default();
    evidence.graph(&mut one);
    let missing = bytes.saturating_sub(have).div_ceil(one.len() + 1);
    store
        .alerts
        .change(place, Ticks(at.0.saturating_sub(1)), |alert| {
            if let Body::Told(told) = &mut alert.body {
                told.evidence.extend(std::iter::repeat_n(evidence, missing));
            }
        });
}

fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .merge(sign_in::routes())
        .merge(graph::routes())
        .merge(hunting::routes())
        .merge(mde::routes())
        .merge(xdr::routes())
        .fallback(nowhere)
        .layer(from_fn_with_state(shared.clone(), remember))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .with_state(shared.clone())
}

async fn remember(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Reply {
    let method = request.method().to_string();
    let target = request
        .uri()
        .path_and_query()
        .map_or_else(String::new, ToString::to_string);
    let reply = next.run(request).await;
    tracing::debug!("{method} {target} {}", reply.status().as_u16());
    let mut served = lock(&shared.served);
    if served.len() == REMEMBERED {
        served.pop_front();
    }
    served.push_back(Served {
        method,
        target,
        status: reply.status().as_u16(),
    });
    reply
}

async fn nowhere(OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Reply {
    let family = match uri.path() {
        path if path.starts_with("/api/incidents") => Family::Xdr,
        path if path.starts_with("/api/") => Family::Mde,
        _ => Family::Graph,
    };
    let message = format!("Resource not found for the segment '{}'.", uri.path());
    Call::new(family, &headers).refuse(&Refusal::new(StatusCode::NOT_FOUND, "BadRequest", message))
}

impl Tenant {
    /// `https://127.0.0.1:<port>`: every API family and the token endpoints.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// The certificate authority to trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The tenant's id.
    pub fn tenant_id(&self) -> &'static str {
        TENANT_ID
    }

    /// The app that may read and write.
    pub fn client_id(&self) -> &'static str {
        WRITER_ID
    }

    /// Its secret.
    pub fn client_secret(&self) -> &'static str {
        WRITER_SECRET
    }

    /// Id and secret of the app that may only read.
    pub fn reader(&self) -> (&'static str, &'static str) {
        (READER_ID, READER_SECRET)
    }

    /// Id and secret of an app whose secret has expired.
    pub fn expired(&self) -> (&'static str, &'static str) {
        (EXPIRED_ID, EXPIRED_SECRET)
    }

    /// The app that signs assertions with the key of [`Settings::certificate`].
    pub fn certificate_client_id(&self) -> &'static str {
        CERTIFICATE_ID
    }

    /// The app that shows tokens of [`Settings::federation`].
    pub fn federated_client_id(&self) -> &'static str {
        FEDERATED_ID
    }

    /// `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` of a host with a managed
    /// identity, when [`Settings::managed_identity`] is set. The same port
    /// serves `/metadata/identity/oauth2/token`.
    pub fn identity(&self) -> Option<(&str, &'static str)> {
        self.identity
            .as_deref()
            .map(|endpoint| (endpoint, IDENTITY_HEADER))
    }

    /// The event hub, when [`Settings::event_hub`] is set.
    pub fn event_hub(&self) -> Option<&EventHub> {
        self.shared.event_hub.as_ref()
    }

    /// The storage account, when [`Settings::storage`] is set.
    pub fn storage(&self) -> Option<&Storage> {
        self.shared.storage.as_ref()
    }

    /// Every alert and incident as it stands now.
    pub fn census(&self) -> Inventory {
        Inventory::of(&self.shared.store())
    }

    /// An alert's exact text as a family lists it: Graph with newer enum
    /// members, MDE with its evidence expanded.
    pub fn alert_text(&self, family: Family, id: &str) -> Option<String> {
        let store = self.shared.store();
        let alert = store.alerts.get(store.alerts.find(family, id)?)?;
        match family {
            Family::Graph => Some(graph::document::alert(alert, true)),
            Family::Mde => Some(mde::alert(alert, true)),
            Family::Xdr => None,
        }
    }

    /// An incident's exact text as a family lists it: Graph with newer enum
    /// members and, if `expand` is set, its alerts; XDR always has them.
    pub fn incident_text(&self, family: Family, id: &str, expand: bool) -> Option<String> {
        let store = self.shared.store();
        let incident = store.incidents.get(store.incidents.find(family, id)?)?;
        match family {
            Family::Graph => Some(graph::document::incident(incident, &store, expand, true)),
            Family::Xdr => Some(xdr::incident(incident, &store)),
            Family::Mde => None,
        }
    }

    /// Lets the stories move on by one step now.
    pub fn advance(&self) -> Moved {
        self.shared.advance()
    }

    /// The calls answered so far, oldest first (the last 10 000).
    pub fn served(&self) -> Vec<Served> {
        lock(&self.shared.served).iter().cloned().collect()
    }

    /// Cuts all connections and frees the port.
    pub async fn stop(mut self) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
    }
}
