//! A Microsoft that can be told how to misbehave: sign-in, Graph security,
//! Defender for Endpoint and Defender XDR over HTTPS, from Microsoft's public
//! API pages. Objects are kept as bytes and served as bytes.

use super::https::{self, Answer, Asked, Authority, Server};
use super::instants;
use super::objects::{self, Dice, Object};
use super::odata::Filter;
use super::signin::{self, SignIn};
use super::verdicts;
use axum::body::{Body, Bytes};
use hyper::{Method, Response};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// One list call of one API api.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feed {
    GraphAlerts,
    GraphIncidents,
    MdeAlerts,
    XdrIncidents,
}

impl Feed {
    pub const ALL: [Feed; 4] = [
        Feed::GraphAlerts,
        Feed::GraphIncidents,
        Feed::MdeAlerts,
        Feed::XdrIncidents,
    ];

    pub fn path(self) -> &'static str {
        match self {
            Feed::GraphAlerts => "/v1.0/security/alerts_v2",
            Feed::GraphIncidents => "/v1.0/security/incidents",
            Feed::MdeAlerts => "/api/alerts",
            Feed::XdrIncidents => "/api/incidents",
        }
    }

    pub fn id_field(self) -> &'static str {
        match self {
            Feed::XdrIncidents => "incidentId",
            _ => "id",
        }
    }

    pub fn time_field(self) -> &'static str {
        match self {
            Feed::GraphAlerts | Feed::GraphIncidents => "lastUpdateDateTime",
            Feed::MdeAlerts | Feed::XdrIncidents => "lastUpdateTime",
        }
    }

    /// The feed and api of an input that reads it.
    pub fn input(self) -> [(&'static str, &'static str); 2] {
        match self {
            Feed::GraphAlerts => [("feed", "alerts"), ("api", "graph")],
            Feed::GraphIncidents => [("feed", "incidents"), ("api", "graph")],
            Feed::MdeAlerts => [("feed", "alerts"), ("api", "mde")],
            Feed::XdrIncidents => [("feed", "incidents"), ("api", "xdr")],
        }
    }

    pub fn sourcetype(self) -> &'static str {
        match self {
            Feed::GraphAlerts => "ms365:defender:incident:alerts",
            Feed::GraphIncidents | Feed::XdrIncidents => "ms365:defender:incident",
            Feed::MdeAlerts => "ms:defender:atp:alerts",
        }
    }

    pub fn id(self, number: u64) -> String {
        match self {
            Feed::GraphAlerts | Feed::MdeAlerts => {
                format!("da6375512276{number:08}_-9614{number}")
            }
            Feed::GraphIncidents | Feed::XdrIncidents => format!("{}", 28_000 + number),
        }
    }

    fn filterable(self) -> &'static [&'static str] {
        match self {
            Feed::GraphAlerts => &[
                "assignedTo",
                "classification",
                "determination",
                "createdDateTime",
                "lastUpdateDateTime",
                "severity",
                "serviceSource",
                "status",
            ],
            Feed::GraphIncidents => &[
                "assignedTo",
                "classification",
                "createdDateTime",
                "determination",
                "lastUpdateDateTime",
                "severity",
                "status",
            ],
            Feed::MdeAlerts => &[
                "alertCreationTime",
                "lastUpdateTime",
                "incidentId",
                "investigationId",
                "id",
                "assignedTo",
                "detectionSource",
                "lastEventTime",
                "status",
                "severity",
                "category",
            ],
            Feed::XdrIncidents => &["lastUpdateTime", "createdTime", "status", "assignedTo"],
        }
    }

    /// Page size without `$top`, largest `$top`, and whether more is refused or clamped in silence.
    fn page_sizes(self) -> (usize, usize, bool) {
        match self {
            Feed::GraphAlerts => (1000, 1000, false),
            Feed::GraphIncidents => (50, 50, true),
            Feed::MdeAlerts => (10_000, 10_000, false),
            Feed::XdrIncidents => (100, 100, true),
        }
    }
}

/// What the tenant holds.
#[derive(Debug, Default)]
pub struct Stock {
    feeds: BTreeMap<Feed, Vec<Object>>,
}

impl Stock {
    pub fn add(&mut self, feed: Feed, objects: impl IntoIterator<Item = Object>) {
        self.feeds.entry(feed).or_default().extend(objects);
    }

    pub fn of(&self, feed: Feed) -> &[Object] {
        self.feeds.get(&feed).map_or(&[], Vec::as_slice)
    }

    pub fn find(&mut self, feed: Feed, id: &str) -> Option<&mut Object> {
        self.feeds
            .get_mut(&feed)?
            .iter_mut()
            .find(|object| object.id == id)
    }
}

/// What becomes of `$orderby`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderRule {
    Honoured,
    IgnoredNewestFirst,
    IgnoredShuffled,
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextLink {
    /// As documented or recorded for each API.
    AsUsual,
    Never,
    Always,
    /// Every question is answered with an empty page at first; behind its link is the page.
    BehindNothing,
    /// Every page claims that more is to be had over there.
    Foreign(String),
}

/// How the tenant behaves, beside what it holds.
#[derive(Debug, Clone)]
pub struct Rules {
    pub order: OrderRule,
    /// Fewer objects a page than asked for, without a word.
    pub clamp: Option<usize>,
    /// `$top` beyond this is refused with 400.
    pub refuse_top: Option<usize>,
    pub next_link: NextLink,
    pub skip_cap: usize,
    /// Query options the service does not implement (501).
    pub unknown: &'static [&'static str],
    /// Any page that would hold one of these ids is a 500, always.
    pub lasting_500: HashSet<String>,
    /// List calls a token is good for.
    pub token_calls: Option<usize>,
    pub may_read: bool,
    pub may_write: bool,
    /// Ids whose change is refused with 403.
    pub locked: HashSet<String>,
    /// What befalls the next writes to an object, one after another, by its id. Where
    /// one call is about several objects, it befalls them all.
    pub mishaps: HashMap<String, VecDeque<Mishap>>,
    /// A colleague makes this of an incident's alerts some seconds before the
    /// incident is asked for by its id.
    pub faster: Option<(String, Value)>,
    /// How long an object asked for by its id stands as it was before a write.
    pub lag: Duration,
    pub gzip: bool,
    /// Status and body that answer a hunting query.
    pub hunting: (u16, String),
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            order: OrderRule::Honoured,
            clamp: None,
            refuse_top: None,
            next_link: NextLink::AsUsual,
            skip_cap: 500,
            unknown: &[],
            lasting_500: HashSet::new(),
            token_calls: None,
            may_read: true,
            may_write: true,
            locked: HashSet::new(),
            mishaps: HashMap::new(),
            faster: None,
            lag: Duration::ZERO,
            gzip: false,
            hunting: (200, r#"{"schema":[],"results":[]}"#.to_owned()),
        }
    }
}

impl Rules {
    /// What befalls a write to this object now.
    pub(super) fn mishap(&mut self, id: &str) -> Option<Mishap> {
        self.mishaps.get_mut(id)?.pop_front()
    }
}

/// What befalls a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing, this time.
    Spared,
    /// Not carried out: this status, seconds for `Retry-After` where given.
    Refused(u16, Option<u64>),
    /// Carried out, and answered with this status all the same.
    Lost(u16),
}

/// What happens to one list call.
#[derive(Debug, Clone)]
pub enum Turn {
    Serve,
    /// Answered with this status instead; seconds for `Retry-After` where given.
    Fail(u16, Option<u64>),
    /// Served as 206 without the last object, with a `Warning`.
    Partial,
    /// Served as 200 without the last object, with a `Warning`.
    Warned,
    /// The connection ends in the middle of the body.
    CutConnection,
    /// A whole answer whose JSON ends in the middle.
    CutText,
    /// The body is sent in small pieces, so long apart.
    Slow(Duration),
    /// A body of so many bytes that is no end of blanks before its objects.
    Padded(u64),
    /// No answer at all for so long.
    Silent(Duration),
    /// No answer, and from now on no call is carried out either, until [`Tenant::recover`].
    Outage,
    /// This body instead, as 200.
    Body(Vec<u8>),
}

/// A list call about to be answered.
pub struct Listing {
    pub feed: Feed,
    /// How many list calls came before this one.
    pub before: usize,
    /// Ids of the objects the page would hold.
    pub ids: Vec<String>,
}

type Hook = Box<dyn FnMut(&Listing, &mut Stock) -> Turn + Send>;
type Afterwards = Box<dyn FnMut(&Call) -> Turn + Send>;

/// One request the tenant got, and what it said.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: Instant,
    pub method: String,
    pub path: String,
    pub target: String,
    pub query: HashMap<String, String>,
    pub headers: String,
    pub body: String,
    pub status: u16,
}

impl Call {
    /// Method and path of what it asks for, of each part where it is a `$batch`.
    pub fn parts(&self) -> Vec<(String, String)> {
        let sent: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let text = |part: &Value, name: &str| part[name].as_str().unwrap_or_default().to_owned();
        match sent["requests"].as_array() {
            Some(parts) if self.path.ends_with("/$batch") => parts
                .iter()
                .map(|part| {
                    let path = format!("/v1.0{}", text(part, "url"));
                    (text(part, "method"), path)
                })
                .collect(),
            _ => vec![(self.method.clone(), self.path.clone())],
        }
    }

    /// Whether it changes something: a `$batch` is a POST also where it only reads.
    pub fn writes(&self) -> bool {
        let asks = |path: &str| path.contains("/oauth2/") || path.ends_with("/runHuntingQuery");
        !asks(&self.path) && self.parts().iter().any(|(method, _)| method != "GET")
    }
}

pub(super) struct State {
    pub stock: Stock,
    pub rules: Rules,
    pub sign_in: SignIn,
    pub base: String,
    hook: Option<Hook>,
    afterwards: Option<Afterwards>,
    outage: bool,
    /// Until when an object is shown as it was.
    pub past: HashMap<(Feed, String), (Instant, String)>,
    calls: Vec<Call>,
    listings: usize,
    pub requests: u64,
}

/// The running tenant.
pub struct Tenant {
    state: Arc<Mutex<State>>,
    server: Server,
    directory: tempfile::TempDir,
}

/// Names the tenant's certificate is good for, beside `127.0.0.1` and `localhost`.
pub const PROXIED_HOST: &str = "defender.tenant.test";

impl Tenant {
    pub fn start() -> Self {
        let authority = Authority::new("Contoso cloud", &["127.0.0.1", "localhost", PROXIED_HOST]);
        let state = Arc::new(Mutex::new(State {
            stock: Stock::default(),
            rules: Rules::default(),
            sign_in: SignIn::default(),
            base: String::new(),
            hook: None,
            afterwards: None,
            outage: false,
            past: HashMap::new(),
            calls: Vec::new(),
            listings: 0,
            requests: 0,
        }));
        let shared = state.clone();
        let server = Server::start(
            Some(authority.tls.clone()),
            Arc::new(move |asked| answer(shared.clone(), asked)),
        );
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), authority.pem).unwrap();
        let tenant = Self {
            state,
            server,
            directory,
        };
        let base = tenant.url();
        tenant.state().base = base;
        tenant
    }

    /// A tenant that holds `objects` and behaves.
    pub fn holding(feed: Feed, objects: impl IntoIterator<Item = Object>) -> Self {
        let tenant = Self::start();
        tenant.add(feed, objects);
        tenant
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.server.address)
    }

    pub fn port(&self) -> u16 {
        self.server.address.port()
    }

    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn shared(&self) -> Arc<Mutex<State>> {
        self.state.clone()
    }

    pub fn add(&self, feed: Feed, objects: impl IntoIterator<Item = Object>) {
        self.state().stock.add(feed, objects);
    }

    pub fn change(&self, with: impl FnOnce(&mut Stock)) {
        with(&mut self.state().stock);
    }

    pub fn rules(&self, set: impl FnOnce(&mut Rules)) {
        set(&mut self.state().rules);
    }

    pub fn sign_in(&self, set: impl FnOnce(&mut SignIn)) {
        set(&mut self.state().sign_in);
    }

    /// Asked before each list call is answered.
    pub fn before_each_list(
        &self,
        hook: impl FnMut(&Listing, &mut Stock) -> Turn + Send + 'static,
    ) {
        self.state().hook = Some(Box::new(hook));
    }

    /// Asked after each call has been carried out, before it is answered.
    pub fn after_each_call(&self, hook: impl FnMut(&Call) -> Turn + Send + 'static) {
        self.state().afterwards = Some(Box::new(hook));
    }

    /// Ends an outage, once nobody waits any more for an answer it swallowed.
    #[track_caller]
    pub fn recover(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        while self.server.connections() > 0 {
            assert!(Instant::now() < until, "somebody is still connected");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.state().outage = false;
    }

    pub fn objects(&self, feed: Feed) -> Vec<Object> {
        self.state().stock.of(feed).to_vec()
    }

    /// An object as it stands now.
    pub fn object(&self, feed: Feed, id: &str) -> Value {
        let state = self.state();
        let object = state
            .stock
            .of(feed)
            .iter()
            .find(|object| object.id == id)
            .unwrap();
        serde_json::from_str(&object.text).unwrap()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    pub fn forget_calls(&self) {
        self.state().calls.clear();
    }

    /// Calls to the token endpoint.
    pub fn token_calls(&self) -> Vec<Call> {
        self.calls()
            .into_iter()
            .filter(|call| call.path.contains("/oauth2/"))
            .collect()
    }

    pub fn list_calls(&self) -> Vec<Call> {
        self.calls()
            .into_iter()
            .filter(|call| {
                call.method == "GET" && Feed::ALL.iter().any(|feed| call.path == feed.path())
            })
            .collect()
    }

    /// Calls that change something.
    pub fn write_calls(&self) -> Vec<Call> {
        self.calls().into_iter().filter(Call::writes).collect()
    }

    pub fn issued_tokens(&self) -> Vec<String> {
        self.state().sign_in.issued()
    }
}

fn answer(state: Arc<Mutex<State>>, asked: Asked) -> Answer {
    Box::pin(async move {
        let path = asked.path.replace("/api/v1.0/", "/api/");
        if state.lock().unwrap().outage {
            return std::future::pending().await;
        }
        let (reply, turn) = {
            let mut guard = state.lock().unwrap();
            let state = &mut *guard;
            state.requests += 1;
            let (reply, mut turn) = route(state, &asked, &path);
            let call = Call {
                at: Instant::now(),
                method: asked.method.to_string(),
                path: path.clone(),
                target: asked.target.clone(),
                query: asked.query.iter().cloned().collect(),
                headers: format!("{:?}", asked.headers),
                body: String::from_utf8_lossy(&asked.body).into_owned(),
                status: reply.status,
            };
            if let (Turn::Serve, Some(hook)) = (&turn, &mut state.afterwards) {
                turn = hook(&call);
            }
            state.outage |= matches!(turn, Turn::Outage);
            state.calls.push(call);
            (reply, turn)
        };
        let gzip = state.lock().unwrap().rules.gzip
            && asked
                .header("accept-encoding")
                .is_some_and(|value| value.contains("gzip"));
        send(reply, turn, gzip).await
    })
}

/// What to say, before any mischief on the wire.
pub(super) struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub fn json(status: u16, value: &Value) -> Self {
        Self::text(status, value.to_string())
    }

    pub fn text(status: u16, body: String) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
        }
    }

    /// An error in the shape of the api that answers `path`.
    pub fn error(path: &str, status: u16, code: &str, message: &str) -> Self {
        let error = if path.starts_with("/v1.0/") {
            json!({"error": {"code": code, "message": message, "innerError": {
                "date": "2026-11-21T08:00:00", "request-id": "f1e2", "client-request-id": "f1e2"}}})
        } else {
            json!({"error": {"code": code, "message": message, "target": "f1e2"}})
        };
        Self::json(status, &error)
    }
}

fn route(state: &mut State, asked: &Asked, path: &str) -> (Reply, Turn) {
    if path.contains("/oauth2/") || path.contains("/.well-known/") {
        let base = state.base.clone();
        return (state.sign_in.answer(asked, path, &base), Turn::Serve);
    }
    let listing = (asked.method == Method::GET)
        .then(|| Feed::ALL.into_iter().find(|feed| feed.path() == path))
        .flatten();
    let api = if path.starts_with("/v1.0/") {
        signin::Api::Graph
    } else if path.starts_with("/api/incidents") {
        signin::Api::Xdr
    } else {
        signin::Api::Mde
    };
    let calls = listing.and(state.rules.token_calls);
    let base = state.base.clone();
    if let Err(message) = state
        .sign_in
        .admit(asked.header("authorization"), api, calls, &base)
    {
        return (
            Reply::error(path, 401, "InvalidAuthenticationToken", &message),
            Turn::Serve,
        );
    }
    let (mut reply, turn) = match listing {
        Some(feed) => list(state, asked, feed),
        None if asked.method == Method::POST && path == "/v1.0/security/runHuntingQuery" => {
            let (status, body) = state.rules.hunting.clone();
            let mut reply = Reply::text(200, body);
            reply.status = status;
            (reply, Turn::Serve)
        }
        None => (
            verdicts::answer(state, &asked.method, path, &asked.body),
            Turn::Serve,
        ),
    };
    reply
        .headers
        .push(("request-id", format!("req-{:08}", state.requests)));
    (reply, turn)
}

fn list(state: &mut State, asked: &Asked, feed: Feed) -> (Reply, Turn) {
    let path = feed.path();
    if !state.rules.may_read {
        let message = "Missing application roles. API required roles: SecurityAlert.Read.All, \
                       SecurityIncident.Read.All, application roles: .";
        return (Reply::error(path, 403, "Forbidden", message), Turn::Serve);
    }
    // The hook sees the page as it stands; what it changes shows from the next call on.
    let page = page(state, asked, feed);
    let listing = Listing {
        feed,
        before: state.listings,
        ids: match &page {
            Ok(page) => page
                .objects
                .iter()
                .map(|object| object.id.clone())
                .collect(),
            Err(_) => Vec::new(),
        },
    };
    state.listings += 1;
    let turn = match &mut state.hook {
        Some(hook) => hook(&listing, &mut state.stock),
        None => Turn::Serve,
    };
    if let Turn::Fail(status, retry_after) = turn {
        let mut reply = Reply::error(path, status, "generalException", "Try again later.");
        reply
            .headers
            .extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
        return (reply, Turn::Serve);
    }
    let page = match page {
        Ok(page) => page,
        Err(reply) => return (reply, Turn::Serve),
    };
    if page
        .objects
        .iter()
        .any(|object| state.rules.lasting_500.contains(&object.id))
    {
        let message = "An error has occurred while processing the page.";
        return (
            Reply::error(path, 500, "InternalServerError", message),
            Turn::Serve,
        );
    }
    let mut objects = page.objects;
    if matches!(turn, Turn::Partial | Turn::Warned) {
        objects.pop();
    }
    let texts: Vec<&str> = objects.iter().map(|object| object.text.as_str()).collect();
    let link = match page.link {
        Some(link) => format!(r#","@odata.nextLink":{}"#, json!(link)),
        None => String::new(),
    };
    let body = format!(
        r#"{{"@odata.context":"{}/$metadata#{path}","value":[{}]{link}}}"#,
        state.base,
        texts.join(",")
    );
    let mut reply = Reply::text(200, body);
    if matches!(turn, Turn::Partial) {
        reply.status = 206;
    }
    if matches!(turn, Turn::Partial | Turn::Warned) {
        let warning = r#"199 - "Microsoft/MDATP/504/10000""#;
        reply.headers.push(("warning", warning.to_owned()));
    }
    (reply, turn)
}

struct Page {
    objects: Vec<Object>,
    link: Option<String>,
}

fn page(state: &State, asked: &Asked, feed: Feed) -> Result<Page, Reply> {
    let rules = &state.rules;
    let path = feed.path();
    let refuse = |message: String| Reply::error(path, 400, "BadRequest", &message);
    for (name, _) in &asked.query {
        if rules.unknown.contains(&name.as_str()) {
            let message = "The requested functionality is not implemented.";
            return Err(Reply::error(path, 501, "NotImplemented", message));
        }
        let mut known = vec!["$filter", "$orderby", "$top", "$skip", "$expand", "$count"];
        if rules.next_link == NextLink::BehindNothing {
            known.push("$skiptoken");
        }
        if !known.contains(&name.as_str()) {
            return Err(refuse(format!(
                "The query parameter '{name}' is not supported."
            )));
        }
    }
    let number = |name: &str| match asked.parameter(name).map(str::parse::<usize>) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(refuse(format!("Invalid value for {name}."))),
    };
    let filter = asked
        .parameter("$filter")
        .map(|text| Filter::parse(text, feed.filterable()))
        .transpose()
        .map_err(|bad| refuse(bad.0))?;
    let mut found: Vec<&Object> = state
        .stock
        .of(feed)
        .iter()
        .filter(|object| {
            filter
                .as_ref()
                .is_none_or(|filter| matches(filter, feed, object))
        })
        .collect();
    order(&mut found, rules.order, asked.parameter("$orderby"), feed).map_err(refuse)?;

    let skip = number("$skip")?.unwrap_or(0);
    if skip > rules.skip_cap {
        return Err(refuse(format!(
            "The limit of '{}' for Skip query has been exceeded. The value from the incoming \
             request is '{skip}'.",
            rules.skip_cap
        )));
    }
    let (usual, most, refuses) = feed.page_sizes();
    let asked_top = number("$top")?;
    let mut top = asked_top.unwrap_or(usual);
    let cap = rules.refuse_top.or(refuses.then_some(most));
    if let Some(cap) = cap
        && top > cap
    {
        return Err(refuse(format!(
            "The limit of '{cap}' for Top query has been exceeded. The value from the incoming \
             request is '{top}'."
        )));
    }
    top = top.min(most).min(rules.clamp.unwrap_or(usize::MAX));
    if rules.next_link == NextLink::BehindNothing && asked.parameter("$skiptoken").is_none() {
        let link = format!("{}{}&$skiptoken=ab%2Bc", state.base, asked.target);
        return Ok(Page {
            objects: Vec::new(),
            link: Some(link),
        });
    }
    let more = found.len() > skip + top;
    let link = match (&rules.next_link, feed) {
        (NextLink::Foreign(host), _) => Some(format!("{host}{path}?$skiptoken=abc")),
        (NextLink::Never | NextLink::BehindNothing, _) | (NextLink::AsUsual, Feed::GraphAlerts) => {
            None
        }
        (NextLink::AsUsual, Feed::MdeAlerts) if asked_top.is_some() => None,
        _ => more.then(|| {
            let query: Vec<String> = asked
                .query
                .iter()
                .filter(|(name, _)| name != "$skip")
                .map(|(name, value)| format!("{name}={}", value.replace(' ', "+")))
                .chain([format!("$skip={}", skip + top)])
                .collect();
            format!("{}{path}?{}", state.base, query.join("&"))
        }),
    };
    let objects = found.into_iter().skip(skip).take(top).cloned().collect();
    Ok(Page { objects, link })
}

fn matches(filter: &Filter, feed: Feed, object: &Object) -> bool {
    let parsed = std::cell::OnceCell::<Value>::new();
    filter.takes(&|field| {
        if field == feed.time_field() {
            return Value::from(object.at);
        }
        parsed.get_or_init(|| serde_json::from_str(&object.text).unwrap_or_default())[field].clone()
    })
}

fn order(
    found: &mut Vec<&Object>,
    rule: OrderRule,
    asked: Option<&str>,
    feed: Feed,
) -> Result<(), String> {
    let newest_first = |found: &mut Vec<&Object>| found.sort_by_key(|object| -object.at);
    match (rule, asked) {
        (OrderRule::Refused, Some(_)) => {
            return Err("The query option 'OrderBy' is not allowed.".to_owned());
        }
        (OrderRule::IgnoredShuffled, _) => {
            found.sort_by_key(|object| {
                object
                    .id
                    .bytes()
                    .fold(0_u64, |sum, byte| Dice::new(sum ^ u64::from(byte)).next())
            });
        }
        (OrderRule::Honoured, Some(order)) => {
            let (field, direction) = order.split_once(' ').unwrap_or((order, "asc"));
            if field != feed.time_field() {
                return Err(format!("Could not order by '{field}'."));
            }
            match direction {
                "asc" => found.sort_by_key(|object| object.at),
                "desc" => newest_first(found),
                other => return Err(format!("Unknown direction '{other}'.")),
            }
        }
        (OrderRule::Honoured | OrderRule::Refused, None) | (OrderRule::IgnoredNewestFirst, _) => {
            newest_first(found)
        }
    }
    Ok(())
}

async fn send(reply: Reply, turn: Turn, gzip: bool) -> Response<Body> {
    let mut head = Response::builder()
        .status(reply.status)
        .header("content-type", "application/json; odata.metadata=minimal");
    for (name, value) in &reply.headers {
        head = head.header(*name, value);
    }
    let mut body = Bytes::from(reply.body);
    match turn {
        Turn::Serve | Turn::Fail(..) | Turn::Partial | Turn::Warned => {
            if gzip {
                head = head.header("content-encoding", "gzip");
                body = compress(&body);
            }
            head.body(Body::from(body))
        }
        Turn::Silent(span) => {
            tokio::time::sleep(span).await;
            head.body(Body::from(body))
        }
        Turn::Outage => std::future::pending().await,
        Turn::Body(bytes) => head.body(Body::from(bytes)),
        Turn::CutText => head.body(Body::from(body.slice(..body.len() * 2 / 3))),
        Turn::CutConnection => {
            let half = body.slice(..body.len() / 2);
            let pieces = futures::stream::iter([Ok(half), Err("the line is dead")]);
            head.header("content-length", body.len())
                .body(Body::from_stream(pieces))
        }
        Turn::Slow(pause) => {
            let pieces: Vec<Bytes> = body
                .chunks(body.len().div_ceil(16).max(1))
                .map(Bytes::copy_from_slice)
                .collect();
            let stream = futures::stream::unfold(pieces.into_iter(), move |mut rest| async move {
                let piece = rest.next()?;
                tokio::time::sleep(pause).await;
                Some((Ok::<_, std::convert::Infallible>(piece), rest))
            });
            head.body(Body::from_stream(stream))
        }
        Turn::Padded(bytes) => {
            // Blanks before the first brace: valid JSON, and no length told.
            let blank = Bytes::from(vec![b' '; 1 << 20]);
            let count = usize::try_from(bytes >> 20).unwrap();
            let pieces = std::iter::repeat_n(blank, count).chain([body]);
            let stream = futures::stream::iter(pieces.map(Ok::<_, std::convert::Infallible>));
            head.body(Body::from_stream(stream))
        }
    }
    .unwrap()
}

fn compress(body: &[u8]) -> Bytes {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    Bytes::from(encoder.finish().unwrap())
}

/// Objects of a feed placed in the last days, well behind any settling time.
pub fn recent(feed: Feed, count: usize) -> Vec<Object> {
    objects::spread(
        feed,
        count,
        instants::ago(2 * instants::DAY),
        instants::ago(instants::HOUR),
    )
}

/// A plain server elsewhere that must never be asked; tells what it got.
pub struct Stranger {
    server: Server,
    got: Arc<Mutex<Vec<String>>>,
}

impl Stranger {
    pub fn start() -> Self {
        let got = Arc::new(Mutex::new(Vec::new()));
        let shared = got.clone();
        let server = Server::start(
            None,
            Arc::new(move |asked: Asked| {
                shared
                    .lock()
                    .unwrap()
                    .push(format!("{} {:?}", asked.target, asked.headers));
                Box::pin(async { https::json(200, &json!({"value": []})) }) as Answer
            }),
        );
        Self { server, got }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }
}

/// What a client of Microsoft's would see.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterpart::signin::{CLIENT_ID, CLIENT_SECRET};

    async fn client(tenant: &Tenant) -> reqwest::Client {
        let pem = std::fs::read(tenant.ca_file()).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
            .no_proxy()
            .build()
            .unwrap()
    }

    async fn token(tenant: &Tenant, client: &reqwest::Client, secret: &str) -> (u16, Value) {
        let url = format!("{}/{}/oauth2/v2.0/token", tenant.url(), objects::TENANT_ID);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT_ID),
            ("client_secret", secret),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        let answer = client.post(url).form(&form).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    #[tokio::test]
    async fn the_tenant_speaks_as_documented() {
        let feed = Feed::GraphIncidents;
        let objects = recent(feed, 120);
        let tenant = Tenant::holding(feed, objects.clone());
        let client = client(&tenant).await;
        let (status, refusal) = token(&tenant, &client, "wrong").await;
        assert_eq!(status, 401);
        assert_eq!(refusal["error_codes"][0], 7_000_215);
        let (_, token) = token(&tenant, &client, CLIENT_SECRET).await;
        let token = token["access_token"].as_str().unwrap().to_owned();

        let ask = async |query: &str| {
            let url = format!("{}{}?{query}", tenant.url(), feed.path());
            let answer = client.get(url).bearer_auth(&token).send().await.unwrap();
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap();
            let ids: Vec<String> = body["value"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|object| object["id"].as_str().unwrap().to_owned())
                .collect();
            (status, ids, body["@odata.nextLink"].is_string())
        };
        let ids = |range: std::ops::Range<usize>| -> Vec<String> {
            objects[range]
                .iter()
                .map(|object| object.id.clone())
                .collect()
        };
        let (status, newest, more) = ask("").await;
        assert_eq!((status, newest.len(), more), (200, 50, true));
        assert_eq!(newest[0], objects[119].id);
        assert_eq!(ask("$top=51").await.0, 400);
        assert_eq!(ask("$skip=501").await.0, 400);
        assert_eq!(ask("$filter=title eq 'x'").await.0, 400);
        let window = format!(
            "$orderby=lastUpdateDateTime asc&$top=50&$filter=lastUpdateDateTime ge {} and \
             lastUpdateDateTime lt {}",
            instants::print(objects[10].at, 7),
            instants::print(objects[20].at, 7)
        );
        assert_eq!(ask(&window).await, (200, ids(10..20), false));
        tenant.rules(|rules| rules.clamp = Some(3));
        assert_eq!(ask(&window).await, (200, ids(10..13), true));
        tenant.rules(|rules| rules.order = OrderRule::Refused);
        assert_eq!(ask(&window).await.0, 400);
        tenant.rules(|rules| rules.order = OrderRule::IgnoredNewestFirst);
        assert_eq!(
            ask(&window).await.1,
            [&objects[19], &objects[18], &objects[17]].map(|o| o.id.clone())
        );
        assert_eq!(tenant.token_calls().len(), 2);
        assert_eq!(tenant.list_calls().len(), 8);
    }

    #[tokio::test]
    async fn an_unknown_token_and_one_of_another_audience_are_refused() {
        let tenant = Tenant::holding(Feed::MdeAlerts, recent(Feed::MdeAlerts, 3));
        let client = client(&tenant).await;
        let (_, token) = token(&tenant, &client, CLIENT_SECRET).await;
        for text in ["", "x", token["access_token"].as_str().unwrap()] {
            let url = format!("{}{}", tenant.url(), Feed::MdeAlerts.path());
            let answer = client.get(url).bearer_auth(text).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 401, "{text}");
        }
    }
}
