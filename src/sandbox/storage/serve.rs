//! The REST API: which call it is, and its answer.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State as Extracted;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::sandbox::api::answer::Reply;
use crate::sandbox::storage::access::{Need, Query, admit};
use crate::sandbox::storage::account::{Account, Operation};
use crate::sandbox::storage::document::{self, Asked, set};
use crate::sandbox::storage::refusal::Refusal;
use crate::sandbox::storage::state::{self, BLOCK, Conditions, Kind, Metadata};
use crate::sandbox::tenant::instant::Ticks;

/// Entries of a list at most, and where no number is given.
const PAGE: usize = 5000;
/// Spoken where a client names no version.
const VERSION: &str = "2021-08-06";

pub(super) fn router(account: Arc<Account>) -> Router {
    Router::new().fallback(answer).with_state(account)
}

/// What a call asks for.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    ListContainers,
    ListBlobs,
    LookAtContainer,
    MakeContainer,
    Get,
    Head,
    Put,
    SetMetadata,
    Append,
    Delete,
}

impl Call {
    fn of(
        method: &Method,
        query: &Query,
        container: &str,
        blob: Option<&str>,
    ) -> Result<Self, Refusal> {
        let word = |name: &str| query.get(name).map_or("", String::as_str);
        let (restype, comp) = (word("restype"), word("comp"));
        Ok(match (method.as_str(), container, blob, restype, comp) {
            ("GET", "", None, "", "list") => Self::ListContainers,
            ("GET", _, None, "container", "list") => Self::ListBlobs,
            ("GET" | "HEAD", _, None, "container", "") => Self::LookAtContainer,
            ("PUT", _, None, "container", "") => Self::MakeContainer,
            ("GET", _, Some(_), "", "") => Self::Get,
            ("HEAD", _, Some(_), "", "") => Self::Head,
            ("PUT", _, Some(_), "", "") => Self::Put,
            ("PUT", _, Some(_), "", "metadata") => Self::SetMetadata,
            ("PUT", _, Some(_), "", "appendblock") => Self::Append,
            ("DELETE", _, Some(_), "", "") => Self::Delete,
            ("GET" | "HEAD" | "PUT" | "DELETE", ..) => {
                return Err(Refusal::of("InvalidQueryParameterValue"));
            }
            _ => return Err(Refusal::of("UnsupportedHttpVerb")),
        })
    }

    const fn need(&self) -> Need {
        match self {
            Self::ListContainers => Need::LIST_CONTAINERS,
            Self::ListBlobs => Need::LIST_BLOBS,
            Self::LookAtContainer => Need::LOOK_AT_CONTAINER,
            Self::MakeContainer => Need::MAKE_CONTAINER,
            Self::Get | Self::Head => Need::READ,
            Self::Put => Need::MAKE,
            Self::SetMetadata => Need::WRITE,
            Self::Append => Need::APPEND,
            Self::Delete => Need::DELETE,
        }
    }

    const fn operation(&self) -> Operation {
        match self {
            Self::ListContainers | Self::ListBlobs => Operation::List,
            Self::LookAtContainer | Self::Get | Self::Head => Operation::Read,
            _ => Operation::Write,
        }
    }
}

async fn answer(Extracted(account): Extracted<Arc<Account>>, request: Request<Body>) -> Reply {
    let (parts, body) = request.into_parts();
    let head = parts.method == Method::HEAD;
    let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
    let query: Query =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let result = match to_bytes(body, BLOCK).await {
        Ok(body) => account.carry_out(&parts.method, &path, &query, &parts.headers, &body),
        Err(_) => Err(Refusal::of("RequestBodyTooLarge")),
    };
    let mut reply = match result {
        Ok(reply) => reply,
        Err(refusal) => document::refuse(&refusal, head, &account.login),
    };
    // What stands in the query may be a signature.
    tracing::debug!("{} {path} {}", parts.method, reply.status().as_u16());
    let version = parts.headers.get("x-ms-version");
    let version = version.and_then(|version| version.to_str().ok());
    let headers = reply.headers_mut();
    set(
        headers,
        "server",
        "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0",
    );
    set(headers, "x-ms-version", version.unwrap_or(VERSION));
    set(headers, "x-ms-request-id", uuid::Uuid::new_v4().to_string());
    set(headers, "date", document::date(Ticks::now()));
    if let Some(id) = parts.headers.get("x-ms-client-request-id").cloned() {
        headers.insert("x-ms-client-request-id", id);
    }
    reply
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn conditions(headers: &HeaderMap) -> Conditions {
    let word = |name| text(headers, name).map(str::to_owned);
    let date = |name| text(headers, name).and_then(document::seconds);
    Conditions {
        if_match: word("if-match"),
        if_none_match: word("if-none-match"),
        if_modified_since: date("if-modified-since"),
        if_unmodified_since: date("if-unmodified-since"),
    }
}

fn metadata(headers: &HeaderMap) -> Metadata {
    let of = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        let name = name.as_str().strip_prefix("x-ms-meta-")?;
        Some((name.to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(of).collect()
}

fn done(status: StatusCode) -> Reply {
    let mut reply = Reply::new(Body::empty());
    *reply.status_mut() = status;
    reply
}

impl Account {
    fn carry_out(
        &self,
        method: &Method,
        path: &str,
        query: &Query,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Reply, Refusal> {
        let own = path
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(&*self.settings.account))
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .ok_or_else(|| Refusal::of("ResourceNotFound"))?;
        let own = own.strip_prefix('/').unwrap_or(own);
        let (container, blob) = match own.split_once('/') {
            Some((container, "")) => (container, None),
            Some((container, blob)) => (container, Some(blob)),
            None => (own, None),
        };
        let call = Call::of(method, query, container, blob)?;
        let blob = blob.unwrap_or_default();
        self.count(call.operation());
        admit(
            headers,
            query,
            (
                &self.settings.account,
                (!container.is_empty()).then_some(container),
            ),
            call.need(),
            &self.issuer,
            |app| self.role(app),
        )?;
        self.struck(call.operation(), own)?;
        match call {
            Call::ListContainers | Call::ListBlobs => self.list(container, query),
            Call::LookAtContainer => {
                let state = self.state();
                let container = state.container(container)?;
                let mut reply = done(StatusCode::OK);
                document::version(reply.headers_mut(), &container.etag, container.modified);
                Ok(reply)
            }
            Call::MakeContainer => {
                let mut state = self.state();
                state.make_container(container)?;
                let container = state.container(container)?;
                let mut reply = done(StatusCode::CREATED);
                document::version(reply.headers_mut(), &container.etag, container.modified);
                Ok(reply)
            }
            Call::Get | Call::Head => self.get(container, blob, headers, call == Call::Head),
            Call::Put => self.put(container, blob, headers, body),
            Call::SetMetadata => {
                let conditions = conditions(headers);
                let mut state = self.state();
                let blob = state.set_metadata(container, blob, metadata(headers), &conditions)?;
                let mut reply = done(StatusCode::OK);
                document::version(reply.headers_mut(), &blob.etag, blob.modified);
                Ok(reply)
            }
            Call::Append => {
                let mut state = self.state();
                let (begin, blob) = state.append(container, blob, body, &conditions(headers))?;
                let mut reply = done(StatusCode::CREATED);
                document::version(reply.headers_mut(), &blob.etag, blob.modified);
                set(
                    reply.headers_mut(),
                    "x-ms-blob-append-offset",
                    begin.to_string(),
                );
                if let Kind::Append { blocks } = blob.kind {
                    let name = "x-ms-blob-committed-block-count";
                    set(reply.headers_mut(), name, blocks.to_string());
                }
                Ok(reply)
            }
            Call::Delete => {
                self.state().delete(container, blob, &conditions(headers))?;
                Ok(done(StatusCode::ACCEPTED))
            }
        }
    }

    fn list(&self, container: &str, query: &Query) -> Result<Reply, Refusal> {
        if query.contains_key("delimiter") {
            return Err(Refusal::of("UnsupportedQueryParameter"));
        }
        let word = |name: &str| query.get(name).cloned().unwrap_or_default();
        let given = query.get("maxresults");
        let most = match given.map(|most| most.parse::<usize>()) {
            None => PAGE,
            Some(Ok(0)) => return Err(Refusal::of("OutOfRangeQueryParameterValue")),
            Some(Ok(most)) => most.min(PAGE),
            Some(Err(_)) => return Err(Refusal::of("InvalidQueryParameterValue")),
        };
        let asked = Asked {
            endpoint: self.url.clone(),
            prefix: word("prefix"),
            marker: word("marker"),
            most: most.min(self.settings.page),
            most_given: given.is_some(),
            metadata: word("include").split(',').any(|one| one == "metadata"),
        };
        let strange = || Refusal::of("InvalidQueryParameterValue");
        let state = self.state();
        let body = if container.is_empty() {
            let page = document::page(state.containers.iter(), &asked);
            let (found, next) = page.ok_or_else(strange)?;
            document::containers(&asked, &found, &next)
        } else {
            let blobs = state.container(container)?.blobs.iter();
            let (found, next) = document::page(blobs, &asked).ok_or_else(strange)?;
            document::blobs(&asked, container, &found, &next)
        };
        Ok(document::xml(body))
    }

    fn get(
        &self,
        container: &str,
        name: &str,
        headers: &HeaderMap,
        head: bool,
    ) -> Result<Reply, Refusal> {
        let state = self.state();
        let blob = state.blob(container, name)?;
        conditions(headers).read(blob)?;
        let size = blob.bytes.len();
        let mut reply = done(StatusCode::OK);
        document::properties(reply.headers_mut(), blob);
        if head {
            set(reply.headers_mut(), "content-length", size.to_string());
            return Ok(reply);
        }
        let wanted = text(headers, "x-ms-range").or_else(|| text(headers, "range"));
        let range = state::range(wanted, size)?;
        if let Some(range) = &range {
            *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
            let last = range.end.saturating_sub(1);
            let value = format!("bytes {}-{last}/{size}", range.start);
            set(reply.headers_mut(), "content-range", value);
        }
        let bytes = blob.bytes.get(range.unwrap_or(0..size)).unwrap_or_default();
        let sent = bytes.len() as u64;
        self.counters.bytes.fetch_add(sent, Ordering::Relaxed);
        *reply.body_mut() = Body::from(bytes.to_vec());
        Ok(reply)
    }

    fn put(
        &self,
        container: &str,
        name: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Reply, Refusal> {
        let kind = match text(headers, "x-ms-blob-type") {
            Some("BlockBlob") => Kind::Block,
            Some("AppendBlob") if body.is_empty() => Kind::Append { blocks: 0 },
            Some(_) => return Err(Refusal::of("InvalidHeaderValue")),
            None => return Err(Refusal::of("MissingRequiredHeader")),
        };
        let (bytes, metadata) = (body.to_vec(), metadata(headers));
        let mut state = self.state();
        let blob = state.put(container, name, kind, bytes, metadata, &conditions(headers))?;
        let mut reply = done(StatusCode::CREATED);
        document::version(reply.headers_mut(), &blob.etag, blob.modified);
        set(reply.headers_mut(), "x-ms-request-server-encrypted", "true");
        Ok(reply)
    }
}
