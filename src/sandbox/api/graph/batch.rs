//! `POST /v1.0/$batch`: up to twenty calls in one ("Combine multiple HTTP
//! requests using JSON batching").
//!
//! The parts are answered as if they had come by themselves, each against its
//! own permission and quota; of the headers around them they only inherit the
//! token.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tower::ServiceExt as _;

use super::resources;
use crate::sandbox::api::access::Permission;
use crate::sandbox::api::answer::{Call, Refusal, Reply};
use crate::sandbox::tenant::json::Json;
use crate::sandbox::{Family, Shared, nowhere};

const MOST: usize = 20;
/// Largest answer to a part.
const ANSWER: usize = 64 << 20;

#[derive(Deserialize)]
struct Batch {
    requests: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: HashMap<String, String>,
    body: Option<Box<RawValue>>,
    #[serde(default)]
    depends_on: Vec<String>,
}

struct Answer {
    id: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

pub(super) async fn batch(
    State(tenant): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let call = Call::new(Family::Graph, &headers);
    let parts = match parts(&tenant, &headers, &body) {
        Ok(parts) => parts,
        Err(refusal) => return call.refuse(&refusal),
    };
    let router = resources().fallback(nowhere).with_state(tenant);
    let mut answers: Vec<Answer> = Vec::with_capacity(parts.len());
    for part in parts {
        let failed =
            |answer: &Answer| !answer.status.is_success() && part.depends_on.contains(&answer.id);
        let reply = match answers.iter().any(failed) {
            true => call.refuse(&Refusal::new(
                StatusCode::FAILED_DEPENDENCY,
                "FailedDependency",
                "A request this one depends on has failed.",
            )),
            false => match request(&part, &headers) {
                Some(request) => carry_out(&router, request).await,
                None => call.refuse(&bad("Invalid request.".to_owned())),
            },
        };
        let (head, body) = reply.into_parts();
        answers.push(Answer {
            id: part.id,
            status: head.status,
            headers: head.headers,
            body: to_bytes(body, ANSWER).await.unwrap_or_default(),
        });
    }
    // They come in no order that could be relied on.
    answers.reverse();
    call.answer(Ok(document(&answers)))
}

fn bad(message: String) -> Refusal {
    Refusal::bad("BadRequest", message)
}

/// The parts of a batch that is in order.
fn parts(tenant: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Vec<Part>, Refusal> {
    if !tenant.settings.graph_batch {
        let message = "Resource not found for the segment '$batch'.";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "BadRequest", message));
    }
    let admitted = tenant
        .issuer
        .admit(headers, Family::Graph, Permission::GRAPH);
    admitted?;
    let Batch { requests } = serde_json::from_slice(body)
        .map_err(|error| bad(format!("Invalid batch payload format: {error}")))?;
    if requests.is_empty() || requests.len() > MOST {
        let sent = requests.len();
        return Err(bad(format!(
            "Number of batch request steps must be between 1 and {MOST}, received {sent}."
        )));
    }
    let mut known = HashSet::new();
    for part in &requests {
        let absent = |id: &&String| !known.contains(*id);
        if let Some(id) = part.depends_on.iter().find(absent) {
            return Err(bad(format!(
                "Request '{}' depends on unknown '{id}'.",
                part.id
            )));
        }
        if part.id.is_empty() || !known.insert(&part.id) {
            return Err(bad(format!("Request id '{}' is not unique.", part.id)));
        }
        if part.body.is_some() && !part.headers.keys().any(|name| is_content_type(name)) {
            let id = &part.id;
            return Err(bad(format!(
                "Request '{id}' has a body but no Content-Type."
            )));
        }
    }
    Ok(requests)
}

fn is_content_type(name: &str) -> bool {
    name.eq_ignore_ascii_case(header::CONTENT_TYPE.as_str())
}

fn request(part: &Part, around: &HeaderMap) -> Option<Request<Body>> {
    let slash = if part.url.starts_with('/') { "" } else { "/" };
    let body = part.body.as_ref().map_or("", |body| body.get());
    let mut request = Request::builder()
        .method(part.method.as_str())
        .uri(format!("/v1.0{slash}{}", part.url))
        .body(Body::from(body.to_owned()))
        .ok()?;
    for (name, value) in &part.headers {
        let name = HeaderName::try_from(name).ok()?;
        request
            .headers_mut()
            .insert(name, HeaderValue::try_from(value).ok()?);
    }
    let token = around.get(header::AUTHORIZATION)?;
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, token.clone());
    Some(request)
}

async fn carry_out(router: &Router, request: Request<Body>) -> Reply {
    match router.clone().oneshot(request).await {
        Ok(reply) => reply,
        Err(never) => match never {},
    }
}

fn document(answers: &[Answer]) -> String {
    let mut json = Json::with_capacity(answers.len() * 6000 + 64);
    json.object(|json| {
        json.key("responses").list(|json| {
            for answer in answers {
                json.object(|json| {
                    json.key("id").text(&answer.id);
                    json.key("status").number(answer.status.as_u16().into());
                    json.key("headers").object(|json| {
                        for (name, value) in &answer.headers {
                            json.key(name.as_str())
                                .text(value.to_str().unwrap_or_default());
                        }
                    });
                    if !answer.body.is_empty() {
                        json.key("body").raw(&String::from_utf8_lossy(&answer.body));
                    }
                });
            }
        });
    });
    json.finish()
}
