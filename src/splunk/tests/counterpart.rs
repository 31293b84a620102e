//! A splunkd on loopback that knows nothing of its own: it answers as a test says,
//! and keeps what it was asked.

use crate::splunk::splunkd::{Splunkd, Tls};
use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, pki_types::PrivateKeyDer};

/// Status and body.
pub type Answer = (u16, Value);

#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub uri: String,
    pub authorization: String,
    pub body: String,
}

impl Asked {
    pub fn path(&self) -> &str {
        self.uri.split('?').next().unwrap()
    }

    pub fn query(&self) -> &str {
        self.uri.split_once('?').unwrap().1
    }

    /// The session key it came with.
    pub fn key(&self) -> &str {
        self.authorization.strip_prefix("Splunk ").unwrap()
    }
}

/// It serves until the test's runtime ends.
pub struct Counterpart {
    pub uri: String,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Counterpart {
    /// Over HTTP.
    pub async fn start<F>(answer: F) -> Self
    where
        F: Fn(&Asked) -> Answer + Send + Sync + 'static,
    {
        Self::serve(None, answer).await
    }

    /// Over HTTPS with a certificate of its own, which comes with it as PEM.
    pub async fn over_tls<F>(answer: F) -> (Self, String)
    where
        F: Fn(&Asked) -> Answer + Send + Sync + 'static,
    {
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        (Self::serve(Some(tls), answer).await, certified.cert.pem())
    }

    async fn serve<F>(tls: Option<TlsAcceptor>, answer: F) -> Self
    where
        F: Fn(&Asked) -> Answer + Send + Sync + 'static,
    {
        let log: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let shared = Arc::new((Arc::clone(&log), answer));
        let router = Router::new().fallback(move |request: Request| {
            let shared = Arc::clone(&shared);
            async move { respond(request, &shared.0, &shared.1).await }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let uri = format!("{scheme}://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(socket, tls.clone(), router.clone()));
            }
        });
        Self { uri, log }
    }

    /// On behalf of the owner of this session key; waits for nothing.
    pub fn client(&self, key: &str) -> Splunkd {
        let key = key.to_owned().into();
        Splunkd::new(&self.uri, key, &Tls::default(), Duration::ZERO).unwrap()
    }

    /// Everything it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }
}

async fn converse(socket: TcpStream, tls: Option<TlsAcceptor>, router: Router) {
    let service = TowerToHyperService::new(router);
    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    match tls {
        None => drop(server.serve_connection(TokioIo::new(socket), service).await),
        Some(tls) => {
            let Ok(socket) = tls.accept(socket).await else {
                return;
            };
            drop(server.serve_connection(TokioIo::new(socket), service).await);
        }
    }
}

async fn respond(
    request: Request,
    log: &Mutex<Vec<Asked>>,
    answer: &(dyn Fn(&Asked) -> Answer + Send + Sync),
) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let authorization = parts.headers.get(AUTHORIZATION).unwrap();
    let asked = Asked {
        method: parts.method.to_string(),
        uri: parts.uri.to_string(),
        authorization: authorization.to_str().unwrap().to_owned(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    log.lock().unwrap().push(asked.clone());
    // Those who ask at once are all heard before the first gets an answer.
    tokio::task::yield_now().await;
    let (status, json) = answer(&asked);
    (StatusCode::from_u16(status).unwrap(), json.to_string()).into_response()
}

/// One object, as splunkd lists it.
pub fn entry(name: &str, content: Value) -> Answer {
    let entry = json!({"name": name, "id": "x", "links": {}, "acl": {}, "content": content});
    (
        200,
        json!({"links": {}, "origin": "x", "entry": [entry], "paging": {"total": 1}, "messages": []}),
    )
}

pub fn refusal(status: u16, text: &str) -> Answer {
    (
        status,
        json!({"messages": [{"type": "ERROR", "text": text}]}),
    )
}
