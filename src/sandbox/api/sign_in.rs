//! Microsoft Entra's token endpoints for apps (client credentials), v1 and v2,
//! with Entra's own error documents.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::sandbox::api::access::{Issuer, Resource, seconds};
use crate::sandbox::api::answer::{Reply, json};
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::json::Json;
use crate::sandbox::{Shared, TENANT_DOMAIN, TENANT_ID};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The audience a federated token must name.
const EXCHANGE: &str = "api://AzureADTokenExchange";
/// How far a client's clock may be off.
const SKEW: Duration = Duration::from_secs(300);

/// An app registration of the tenant.
pub(in crate::sandbox) struct App {
    pub(in crate::sandbox) id: &'static str,
    pub(in crate::sandbox) name: &'static str,
    pub(in crate::sandbox) writes: bool,
    pub(in crate::sandbox) credential: Credential,
}

pub(in crate::sandbox) enum Credential {
    Secret(&'static str),
    ExpiredSecret(&'static str),
    /// Signs its own assertions.
    Certificate(Box<Certificate>),
    /// Shows another issuer's token.
    Federated(Box<Trust>),
    /// No credential is registered.
    None,
}

pub(in crate::sandbox) struct Certificate {
    key: DecodingKey,
    sha1: String,
    sha256: String,
}

impl Certificate {
    /// From the public certificate of an RSA key.
    pub(in crate::sandbox) fn from_pem(pem: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        Some(Self {
            key: DecodingKey::from_rsa_pem(pem.as_bytes()).ok()?,
            sha1: URL_SAFE_NO_PAD.encode(Sha1::digest(&der)),
            sha256: URL_SAFE_NO_PAD.encode(Sha256::digest(&der)),
        })
    }
}

pub(in crate::sandbox) struct Trust {
    pub(in crate::sandbox) issuer: String,
    pub(in crate::sandbox) subject: String,
    pub(in crate::sandbox) key: DecodingKey,
}

/// The claims an assertion is judged by.
#[derive(Deserialize)]
struct Assertion {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    aud: serde_json::Value,
    #[serde(default)]
    nbf: u64,
    #[serde(default)]
    exp: u64,
}

impl Assertion {
    fn names(&self, audience: &str) -> bool {
        match &self.aud {
            serde_json::Value::String(one) => one == audience,
            serde_json::Value::Array(many) => many.iter().any(|one| one.as_str() == Some(audience)),
            _ => false,
        }
    }
}

/// What Entra answers instead of a token.
struct Denied {
    status: StatusCode,
    error: &'static str,
    code: u32,
    text: Cow<'static, str>,
}

fn denied(error: &'static str, code: u32, text: impl Into<Cow<'static, str>>) -> Denied {
    let status = if error == "invalid_client" {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::BAD_REQUEST
    };
    Denied {
        status,
        error,
        code,
        text: text.into(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

pub(in crate::sandbox) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/{tenant}/oauth2/token", post(v1))
        .route("/{tenant}/oauth2/v2.0/token", post(v2))
}

async fn v1(
    State(shared): State<Arc<Shared>>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    answer(&shared, Version::One, &tenant, &headers, &body)
}

async fn v2(
    State(shared): State<Arc<Shared>>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    answer(&shared, Version::Two, &tenant, &headers, &body)
}

fn answer(
    shared: &Shared,
    version: Version,
    tenant: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Reply {
    match grant(shared, version, tenant, headers, body) {
        Ok(text) => json(StatusCode::OK, text),
        Err(denied) => deny(&denied, headers),
    }
}

fn deny(denied: &Denied, headers: &HeaderMap) -> Reply {
    let trace = uuid::Uuid::new_v4();
    let correlation = headers
        .get("client-request-id")
        .and_then(|value| value.to_str().ok())
        .map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
    let now = Ticks::now().to_string().replace('T', " ");
    let stamp = format!("{}Z", now.get(..19).unwrap_or(&now));
    let Denied {
        error, code, text, ..
    } = denied;
    let mut body = Json::default();
    body.object(|body| {
        body.key("error").text(error);
        body.key("error_description").text(&format!(
            "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
        ));
        body.key("error_codes").list(|list| list.number(i64::from(*code)));
        body.key("timestamp").text(&stamp);
        body.key("trace_id").plain(trace);
        body.key("correlation_id").text(&correlation);
        body.key("error_uri")
            .plain(format_args!("https://login.microsoftonline.com/error?code={code}"));
    });
    json(denied.status, body.finish())
}

fn grant(
    shared: &Shared,
    version: Version,
    tenant: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<String, Denied> {
    let form: HashMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let form_sent = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if !form_sent || form.is_empty() {
        return Err(denied(
            "invalid_request",
            9_002_313,
            "Invalid request. Request is malformed or invalid.",
        ));
    }
    directory(tenant)?;
    let field = |name: &'static str| {
        form.get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| {
                let text =
                    format!("The request body must contain the following parameter: '{name}'.");
                denied("invalid_request", 900_144, text)
            })
    };
    let kind = field("grant_type")?;
    if kind != "client_credentials" {
        let text = format!("The app requested an unsupported grant type '{kind}'.");
        return Err(denied("unsupported_grant_type", 70_003, text));
    }
    let client = field("client_id")?;
    let (name, resource) = match version {
        Version::One => {
            let name = field("resource")?;
            (name, resource(name)?)
        }
        Version::Two if form.contains_key("resource") => {
            return Err(denied(
                "invalid_request",
                901_002,
                "The 'resource' request parameter is not supported.",
            ));
        }
        Version::Two => {
            let scope = field("scope")?;
            let name = scope
                .strip_suffix("/.default")
                .filter(|name| !name.contains(' '));
            let name = name.ok_or_else(|| {
                denied("invalid_scope", 70_011, format!("The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."))
            })?;
            (name, resource(name)?)
        }
    };
    let app = shared.apps.iter().find(|app| app.id.eq_ignore_ascii_case(client)).ok_or_else(|| {
        denied("unauthorized_client", 700_016, format!("Application with identifier '{client}' was not found in the directory 'Contoso'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."))
    })?;
    prove(shared, app, &form)?;
    issue(&shared.issuer, version, app, name, resource)
}

fn directory(tenant: &str) -> Result<(), Denied> {
    if tenant.eq_ignore_ascii_case(TENANT_ID) || tenant.eq_ignore_ascii_case(TENANT_DOMAIN) {
        return Ok(());
    }
    if ["common", "organizations", "consumers"].contains(&tenant) {
        let text = "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.";
        return Err(denied("invalid_request", 9_001_023, text));
    }
    if uuid::Uuid::parse_str(tenant).is_err() && !tenant.contains('.') {
        let text = format!(
            "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain."
        );
        return Err(denied("invalid_request", 900_023, text));
    }
    let text = format!(
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
    );
    Err(denied("invalid_request", 90_002, text))
}

fn resource(name: &str) -> Result<&'static Resource, Denied> {
    Resource::named(name).ok_or_else(|| {
        denied("invalid_resource", 500_011, format!("The resource principal named {name} was not found in the tenant named Contoso. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant."))
    })
}

fn prove(shared: &Shared, app: &App, form: &HashMap<String, String>) -> Result<(), Denied> {
    if let Some(assertion) = form.get("client_assertion") {
        if form.get("client_assertion_type").map(String::as_str) != Some(ASSERTION_TYPE) {
            let text = format!(
                "The provided value for the input parameter 'client_assertion_type' is not valid. Expected '{ASSERTION_TYPE}'."
            );
            return Err(denied("invalid_request", 900_144, text));
        }
        return assert(shared, app, assertion);
    }
    let Some(secret) = form
        .get("client_secret")
        .filter(|secret| !secret.is_empty())
    else {
        let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        return Err(denied("invalid_client", 7_000_218, text));
    };
    match &app.credential {
        Credential::Secret(known) if known == secret => Ok(()),
        Credential::ExpiredSecret(known) if known == secret => {
            let text = format!(
                "The provided client secret keys for app '{}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.",
                app.id
            );
            Err(denied("invalid_client", 7_000_222, text))
        }
        _ => {
            let text = format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{}'.",
                app.id
            );
            Err(denied("invalid_client", 7_000_215, text))
        }
    }
}

fn assert(shared: &Shared, app: &App, assertion: &str) -> Result<(), Denied> {
    let header = decode_header(assertion).map_err(|_| {
        denied(
            "invalid_client",
            50_027,
            "JWT token is invalid or malformed.",
        )
    })?;
    let unsigned = |reason: &str| {
        let text = format!(
            "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - {reason}] Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '{}'.",
            app.id
        );
        denied("invalid_client", 700_027, text)
    };
    let key = match &app.credential {
        Credential::Certificate(certificate) => {
            if !matches!(header.alg, Algorithm::PS256 | Algorithm::RS256) {
                return Err(unsigned("The signing algorithm is not supported."));
            }
            let known = match (&header.x5t_s256, &header.x5t) {
                (Some(thumbprint), _) => *thumbprint == certificate.sha256,
                (None, Some(thumbprint)) => *thumbprint == certificate.sha1,
                (None, None) => false,
            };
            if !known {
                return Err(unsigned("The key was not found."));
            }
            &certificate.key
        }
        Credential::Federated(trust) => &trust.key,
        _ => return Err(unsigned("The key was not found.")),
    };
    let mut rules = Validation::new(header.alg);
    // Judged below, each with the code Entra has for it.
    rules.validate_aud = false;
    rules.validate_exp = false;
    rules.required_spec_claims.clear();
    let claims = decode::<Assertion>(assertion, key, &rules)
        .map_err(|_| {
            unsigned("The key was found, but use of the key to verify the signature failed.")
        })?
        .claims;
    let (now, skew) = (seconds(), SKEW.as_secs());
    let late = now > claims.exp.saturating_add(skew);
    match &app.credential {
        Credential::Federated(trust) => {
            if claims.iss != trust.issuer {
                let text = format!(
                    "No matching federated identity record found for presented assertion issuer '{}'.",
                    claims.iss
                );
                return Err(denied("invalid_client", 700_211, text));
            }
            if !claims.names(EXCHANGE) {
                let text = format!(
                    "No matching federated identity record found for presented assertion audience '{}'.",
                    claims.aud
                );
                return Err(denied("invalid_client", 700_212, text));
            }
            if claims.sub != trust.subject {
                let text = format!(
                    "No matching federated identity record found for presented assertion subject '{}'.",
                    claims.sub
                );
                return Err(denied("invalid_client", 700_213, text));
            }
            if late {
                let text = "Assertion is not within its valid time range. Ensure that the access token is not expired before using it for user assertion, or request a new token.";
                return Err(denied("invalid_client", 500_133, text));
            }
        }
        _ => {
            if claims.iss != app.id || claims.sub != app.id {
                let text =
                    "Client assertion application identifier doesn't match 'client_id' parameter.";
                return Err(denied("invalid_client", 700_021, text));
            }
            if !shared.token_urls().iter().any(|url| claims.names(url)) {
                let text = "Client assertion audience claim does not match Realm issuer.";
                return Err(denied("invalid_client", 700_023, text));
            }
            if late || claims.nbf > now.saturating_add(skew) {
                let text = format!(
                    "Client assertion is not within its valid time range. Current time: {}, expiry time of assertion {}.",
                    Ticks::now(),
                    claims.exp
                );
                return Err(denied("invalid_client", 700_024, text));
            }
        }
    }
    Ok(())
}

/// The token document: v1 writes its numbers as texts and says more.
fn issue(
    issuer: &Issuer,
    version: Version,
    app: &App,
    name: &str,
    resource: &Resource,
) -> Result<String, Denied> {
    let roles = if app.writes {
        resource.writer
    } else {
        resource.reader
    };
    let token = issuer
        .token(app.id, app.name, name, roles)
        .map_err(|error| Denied {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: "temporarily_unavailable",
            code: 90_033,
            text: format!("A transient error has occurred. Please try again. ({error})").into(),
        })?;
    let lifetime = issuer.lifetime().as_secs();
    let mut json = Json::default();
    json.object(|json| {
        json.key("token_type").text("Bearer");
        match version {
            Version::Two => {
                json.key("expires_in")
                    .number(i64::try_from(lifetime).unwrap_or(i64::MAX));
                json.key("ext_expires_in")
                    .number(i64::try_from(lifetime).unwrap_or(i64::MAX));
            }
            Version::One => {
                let now = seconds();
                json.key("expires_in").plain(lifetime);
                json.key("ext_expires_in").plain(lifetime);
                json.key("expires_on").plain(now.saturating_add(lifetime));
                json.key("not_before").plain(now);
                json.key("resource").text(name);
            }
        }
        json.key("access_token").text(&token);
    });
    Ok(json.finish())
}
