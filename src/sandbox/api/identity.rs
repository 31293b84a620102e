//! The managed-identity endpoints a host in Azure has, over plain HTTP: App
//! Service (`/msi/token`) and virtual machine (`/metadata/identity/oauth2/token`).

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use std::collections::HashMap;
use std::sync::Arc;

use crate::sandbox::api::access::{Resource, seconds};
use crate::sandbox::api::answer::{Reply, json};
use crate::sandbox::tenant::json::Json;
use crate::sandbox::{IDENTITY_HEADER, IDENTITY_ID, Shared};

pub(in crate::sandbox) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/msi/token", get(app_service))
        .route("/metadata/identity/oauth2/token", get(machine))
}

async fn app_service(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Reply {
    let shown = headers
        .get("x-identity-header")
        .and_then(|value| value.to_str().ok());
    if shown != Some(IDENTITY_HEADER) {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "X-IDENTITY-HEADER is missing or wrong.",
        );
    }
    answer(&shared, query.as_deref(), "2019-08-01")
}

async fn machine(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Reply {
    let shown = headers
        .get("metadata")
        .and_then(|value| value.to_str().ok());
    if !shown.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "bad_request_102",
            "Required metadata header not specified",
        );
    }
    answer(&shared, query.as_deref(), "2018-02-01")
}

fn answer(shared: &Shared, query: Option<&str>, version: &str) -> Reply {
    let options: HashMap<_, _> = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    if options.get("api-version").map(String::as_str) != Some(version) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "The api-version is missing or not supported.",
        );
    }
    let Some((name, resource)) = options
        .get("resource")
        .and_then(|name| Resource::named(name).map(|resource| (name, resource)))
    else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "invalid_resource",
            "AADSTS500011: The resource principal was not found in the tenant.",
        );
    };
    if options.get("client_id").is_some_and(|id| id != IDENTITY_ID) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "Identity not found",
        );
    }
    let token = match shared
        .issuer
        .token(IDENTITY_ID, "sandbox host", name, resource.writer)
    {
        Ok(token) => token,
        Err(error) => {
            return refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unknown_error",
                &error.to_string(),
            );
        }
    };
    let lifetime = shared.issuer.lifetime().as_secs();
    let mut body = Json::default();
    body.object(|body| {
        body.key("access_token").text(&token);
        body.key("client_id").text(IDENTITY_ID);
        body.key("expires_in").plain(lifetime);
        body.key("expires_on")
            .plain(seconds().saturating_add(lifetime));
        body.key("not_before").plain(seconds());
        body.key("resource").text(name);
        body.key("token_type").text("Bearer");
    });
    json(StatusCode::OK, body.finish())
}

fn refuse(status: StatusCode, error: &str, description: &str) -> Reply {
    let mut body = Json::default();
    body.object(|body| {
        body.key("error").text(error);
        body.key("error_description").text(description);
    });
    json(status, body.finish())
}
