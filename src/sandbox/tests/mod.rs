//! The running tenant, asked over its socket.

mod access;
mod hunts;
mod lists;
mod loads;
mod stories;
mod visibility;
mod writes;

use reqwest::{Certificate, Client, Method, StatusCode};
use serde_json::{Value, json};
use std::path::PathBuf;

use super::{Settings, Tenant, start};

pub(super) const GRAPH: &str = "https://graph.microsoft.com";
pub(super) const MDE: &str = "https://api.securitycenter.microsoft.com";
pub(super) const XDR: &str = "https://api.security.microsoft.com";

/// A client with a token for one API.
pub(super) struct Visitor<'t> {
    pub(super) tenant: &'t Tenant,
    pub(super) client: Client,
    pub(super) token: String,
}

pub(super) fn client(tenant: &Tenant) -> Client {
    let ca = Certificate::from_pem(tenant.ca_pem().as_bytes()).unwrap();
    Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .build()
        .unwrap()
}

pub(super) async fn tenant(settings: Settings) -> Tenant {
    start(settings).await.unwrap()
}

pub(super) fn stories(alerts: usize) -> Settings {
    Settings {
        alerts,
        ..Settings::default()
    }
}

pub(super) fn files(names: &[&str]) -> Settings {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/sandbox/fixtures");
    Settings {
        alerts: 0,
        load: names.iter().map(|name| folder.join(name)).collect(),
        ..Settings::default()
    }
}

/// Sends a form to the v2 token endpoint.
pub(super) async fn sign_in(tenant: &Tenant, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let url = format!("{}/{}/oauth2/v2.0/token", tenant.url(), tenant.tenant_id());
    let reply = client(tenant).post(url).form(form).send().await.unwrap();
    (reply.status(), reply.json().await.unwrap())
}

impl<'t> Visitor<'t> {
    pub(super) async fn of(tenant: &'t Tenant, resource: &str) -> Self {
        Self::by(
            tenant,
            resource,
            (tenant.client_id(), tenant.client_secret()),
        )
        .await
    }

    pub(super) async fn by(tenant: &'t Tenant, resource: &str, (id, secret): (&str, &str)) -> Self {
        let (status, body) = sign_in(
            tenant,
            &[
                ("grant_type", "client_credentials"),
                ("client_id", id),
                ("client_secret", secret),
                ("scope", &format!("{resource}/.default")),
            ],
        )
        .await;
        assert_eq!(status, 200, "{body}");
        Self {
            tenant,
            client: client(tenant),
            token: body["access_token"].as_str().unwrap().to_owned(),
        }
    }

    pub(super) fn request(&self, method: Method, target: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("{}{target}", self.tenant.url()))
            .bearer_auth(&self.token)
    }

    pub(super) async fn text(&self, target: &str) -> (StatusCode, String) {
        let reply = self.request(Method::GET, target).send().await.unwrap();
        (reply.status(), reply.text().await.unwrap())
    }

    pub(super) async fn get(&self, target: &str) -> (StatusCode, Value) {
        let (status, text) = self.text(target).await;
        let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
        (status, body)
    }

    /// The ids of a page.
    pub(super) async fn ids(&self, target: &str) -> Vec<String> {
        let (status, body) = self.get(target).await;
        assert_eq!(status, 200, "{target}: {body}");
        ids(&body)
    }

    pub(super) async fn send(
        &self,
        method: Method,
        target: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let reply = self
            .request(method, target)
            .json(&body)
            .send()
            .await
            .unwrap();
        let status = reply.status();
        let text = reply.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(json!(text)))
    }
}

pub(super) fn ids(page: &Value) -> Vec<String> {
    page["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| match &object["id"] {
            Value::String(id) => id.clone(),
            _ => object["incidentId"].to_string(),
        })
        .collect()
}

/// The error code and message of a refusal.
pub(super) fn error(body: &Value) -> (&str, &str) {
    let error = &body["error"];
    (
        error["code"].as_str().unwrap(),
        error["message"].as_str().unwrap(),
    )
}
