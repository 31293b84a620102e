//! Answers: JSON bodies and each family's way of saying no.

use crate::sandbox::Family;
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::json::Json;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};

pub(in crate::sandbox) type Reply = Response<Body>;

/// A refusal, before it is put in a family's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Refusal {
    pub(in crate::sandbox) status: StatusCode,
    pub(in crate::sandbox) code: &'static str,
    pub(in crate::sandbox) message: String,
    /// Seconds.
    pub(in crate::sandbox) retry_after: Option<u64>,
}

impl Refusal {
    pub(in crate::sandbox) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(in crate::sandbox) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(in crate::sandbox) fn not_found(family: Family, what: &str, id: &str) -> Self {
        let code = match family {
            Family::Graph | Family::Xdr => "ResourceNotFound",
            Family::Mde => "NotFound",
        };
        Self::new(
            StatusCode::NOT_FOUND,
            code,
            format!("{what} {id} not found."),
        )
    }
}

/// The ids by which Microsoft's support finds a call again.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Call {
    pub(in crate::sandbox) family: Family,
    request: String,
    client: String,
}

impl Call {
    pub(in crate::sandbox) fn new(family: Family, headers: &HeaderMap) -> Self {
        let request = uuid::Uuid::new_v4().to_string();
        let client = headers
            .get("client-request-id")
            .and_then(|value| value.to_str().ok())
            .map_or_else(|| request.clone(), str::to_owned);
        Self {
            family,
            request,
            client,
        }
    }

    pub(in crate::sandbox) fn answer(&self, result: Result<String, Refusal>) -> Reply {
        match result {
            Ok(body) => self.json(StatusCode::OK, body),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    pub(in crate::sandbox) fn refuse(&self, refusal: &Refusal) -> Reply {
        let mut json = Json::default();
        json.object(|json| {
            json.key("error").object(|json| {
                json.key("code").text(refusal.code);
                json.key("message").text(&refusal.message);
                if self.family == Family::Graph {
                    json.key("innerError").object(|json| {
                        let now = Ticks::now().to_string();
                        json.key("date").text(now.get(..19).unwrap_or(&now));
                        json.key("request-id").text(&self.request);
                        json.key("client-request-id").text(&self.client);
                    });
                } else {
                    json.key("target").plain(format_args!("|{}", self.request));
                }
            });
        });
        let mut reply = self.json(refusal.status, json.finish());
        if let Some(seconds) = refusal.retry_after {
            reply
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if refusal.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static(
                "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", error=\"invalid_token\"",
            );
            reply.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        reply
    }

    fn json(&self, status: StatusCode, body: String) -> Reply {
        let mut reply = json(status, body);
        for (name, value) in [
            ("request-id", &self.request),
            ("client-request-id", &self.client),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                reply.headers_mut().insert(name, value);
            }
        }
        reply
    }
}

/// A JSON answer; an empty text is an answer without a body.
pub(in crate::sandbox) fn json(status: StatusCode, body: String) -> Reply {
    let empty = body.is_empty();
    let mut reply = Response::new(Body::from(body));
    *reply.status_mut() = status;
    if !empty {
        let kind = HeaderValue::from_static(
            "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8",
        );
        reply.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    reply
}
