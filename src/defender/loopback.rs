//! The other side of the wire in this room's tests: a loopback server that
//! gives tokens to everybody and answers API calls as each test says.

use crate::defender::account::{Account, Auth};
use crate::defender::cloud::{Cloud, Family, Hosts};
use crate::defender::http::Client;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

/// An API call as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    pub body: Value,
}

/// What it is answered with.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, &body.to_string())
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: vec![("request-id", "r-1".into())],
            body: body.as_bytes().to_vec(),
        }
    }

    /// Microsoft's error shape.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({"error": {"code": code, "message": message}}),
        )
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

pub(super) struct Counterpart {
    base: Url,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Counterpart {
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (calls, answer) = (Arc::clone(&asked), Arc::new(answer));
        let router = axum::Router::new().fallback(move |request: Request| {
            let (calls, answer) = (Arc::clone(&calls), Arc::clone(&answer));
            async move { serve(request, &calls, &*answer).await }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            base: base.parse().unwrap(),
            asked,
        }
    }

    pub fn account(&self) -> Account {
        let hosts = Hosts {
            login: self.base.clone(),
            graph: self.base.clone(),
            mde: self.base.clone(),
            xdr: self.base.clone(),
        };
        Account {
            name: "soc".into(),
            tenant_id: "5c2f5f0e-5c0e-4c0f-9d4f-5c2f5f0e5c0e".into(),
            client_id: "1d6f2c0a-2f4b-4c1e-8e8e-0f7d1a2b3c4d".into(),
            auth: Auth::Secret("not a real one".to_owned().into()),
            cloud: Cloud::Custom(Box::new(hosts)),
            ca_file: None,
            proxy: None,
            read_only: false,
        }
    }

    /// A client that does not wait long for better answers.
    pub fn client(&self, family: Family) -> Client {
        Client::new(&self.account(), family, None)
            .unwrap()
            .patience(Duration::from_millis(300))
    }

    /// The calls so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The calls so far, without their bodies.
    pub fn told(&self) -> Vec<String> {
        let asked = self.asked();
        let line = |call: &Asked| format!("{} {}", call.method, call.target);
        asked.iter().map(line).collect()
    }
}

async fn serve(
    request: Request,
    calls: &Mutex<Vec<Asked>>,
    answer: &(dyn Fn(&Asked) -> Reply + Send + Sync),
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let reply = if head.uri.path().ends_with("/oauth2/v2.0/token") {
        let token = json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "t"});
        Reply::json(200, &token)
    } else {
        let call = Asked {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        };
        calls.lock().unwrap().push(call.clone());
        answer(&call)
    };
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).unwrap()
}
