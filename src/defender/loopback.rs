//! A tenant on loopback for the tests of feeds and desks: JSON in, JSON out,
//! paths as the API families know them.

use crate::defender::account::Account;
use crate::defender::cloud::Family;
use crate::defender::counterpart::{self, Counterpart};
use crate::defender::http::Client;
use serde_json::{Value, json};
use std::time::Duration;

/// An API call as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub method: String,
    /// Path and query as sent, without the custom cloud's own prefix.
    pub target: String,
    pub body: Value,
}

/// What it is answered with.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// The body ends before its announced length.
    Cut(String),
    HangUp,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, &body.to_string())
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self::Answer {
            status,
            headers: vec![("request-id", "r-1".to_owned())],
            body: body.to_owned(),
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
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }

    fn sent(self) -> counterpart::Reply {
        match self {
            Self::Answer {
                status,
                headers,
                body,
            } => {
                let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
                counterpart::reply(status, &headers, body)
            }
            Self::Cut(body) => {
                let mut reply = counterpart::reply(200, &[], body);
                reply.bytes.pop();
                reply.last = true;
                reply
            }
            Self::HangUp => counterpart::hang_up(),
        }
    }
}

pub(super) struct Tenant {
    counterpart: Counterpart,
}

impl Tenant {
    pub async fn start(answer: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        let counterpart = Counterpart::api(move |asked, _| answer(&call(asked)).sent()).await;
        Self { counterpart }
    }

    pub fn account(&self) -> Account {
        self.counterpart.secret()
    }

    /// A client that does not wait for better answers.
    pub async fn client(&self, family: Family) -> Client {
        impatient(&self.account(), family).await
    }

    /// The API calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.counterpart.calls().iter().map(call).collect()
    }

    /// The API calls so far, without their bodies.
    pub fn lines(&self) -> Vec<String> {
        let line = |call: Call| format!("{} {}", call.method, call.target);
        self.calls().into_iter().map(line).collect()
    }
}

/// Signed in, and its calls end before a first pause would.
pub(super) async fn impatient(account: &Account, family: Family) -> Client {
    let client = Client::new(account, family, None).unwrap();
    client.permissions().await.unwrap();
    client.patience(Duration::from_millis(390))
}

fn call(asked: &counterpart::Asked) -> Call {
    let target = asked.target.as_str();
    let prefixes = ["/graph", "/mde"];
    let bare = prefixes.iter().find_map(|own| target.strip_prefix(own));
    Call {
        method: asked.method.clone(),
        target: bare.unwrap_or(target).to_owned(),
        body: serde_json::from_str(&asked.body).unwrap_or_default(),
    }
}
