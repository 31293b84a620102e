//! A tenant on loopback for the tests of lists and updates: JSON in, JSON out,
//! paths as the APIs know them.

use crate::microsoft::account::Account;
use crate::microsoft::client::Client;
use crate::microsoft::tests::https_server;
use crate::microsoft::tests::https_server::Counterpart;
use crate::triage::Api;
use serde_json::{Value, json};
use std::time::Duration;

/// An API call as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::microsoft) struct Call {
    pub method: String,
    /// Path and query as sent, without the custom cloud's own prefix.
    pub target: String,
    pub body: Value,
}

impl Call {
    /// The parts of a `$batch`.
    pub fn parts(&self) -> Vec<Call> {
        let text = |part: &Value, name: &str| part[name].as_str().unwrap().to_owned();
        let parts = self.body["requests"].as_array().unwrap().iter();
        parts
            .map(|part| Call {
                method: text(part, "method"),
                target: format!("/v1.0{}", text(part, "url")),
                body: part["body"].clone(),
            })
            .collect()
    }
}

/// One answer out of many, in an order of its own. Where one is a broken
/// connection, all of them are.
fn together(batch: &Call, answer: &dyn Fn(&Call) -> Reply) -> Reply {
    let mut responses = Vec::new();
    let replies: Vec<Reply> = batch.parts().iter().map(answer).collect();
    for (at, reply) in replies.into_iter().enumerate().rev() {
        let Reply::Answer {
            status,
            headers,
            body,
        } = reply
        else {
            return reply;
        };
        let headers: serde_json::Map<String, Value> = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
        let id = &batch.body["requests"][at]["id"];
        responses.push(json!({"id": id, "status": status, "headers": headers, "body": body}));
    }
    Reply::json(200, &json!({"responses": responses}))
}

/// What it is answered with.
#[derive(Debug, Clone)]
pub(in crate::microsoft) enum Reply {
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

    fn sent(self) -> https_server::Reply {
        match self {
            Self::Answer {
                status,
                headers,
                body,
            } => {
                let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
                https_server::reply(status, &headers, body)
            }
            Self::Cut(body) => {
                let mut reply = https_server::reply(200, &[], body);
                reply.bytes.pop();
                reply.last = true;
                reply
            }
            Self::HangUp => https_server::hang_up(),
        }
    }
}

pub(in crate::microsoft) struct Tenant {
    counterpart: Counterpart,
}

/// Where Graph takes several calls at once.
pub(in crate::microsoft) const BATCH: &str = "/v1.0/$batch";

impl Tenant {
    /// It takes a `$batch` apart and answers its parts one by one.
    pub async fn start(answer: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        Self::plain(move |call| match call.target.as_str() {
            BATCH => together(call, &answer),
            _ => answer(call),
        })
        .await
    }

    /// A `$batch` is answered like any other call.
    pub async fn plain(answer: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        let counterpart = Counterpart::api(move |asked, _| answer(&call(asked)).sent()).await;
        Self { counterpart }
    }

    /// A client that does not wait for better answers, nor for a call budget.
    pub async fn client_without_budget(&self, api: Api) -> Client {
        let client = Client::without_budget(&self.account(), api).still();
        client.permissions().await.unwrap();
        client.patience(Duration::from_millis(390))
    }

    /// The API calls so far, each part of a `$batch` as a call of its own.
    pub fn singly(&self) -> Vec<Call> {
        let calls = self.calls().into_iter();
        calls
            .flat_map(|call| match call.target.as_str() {
                BATCH => call.parts(),
                _ => vec![call],
            })
            .collect()
    }

    pub fn account(&self) -> Account {
        self.counterpart.secret()
    }

    /// A client that does not wait for better answers.
    pub async fn client(&self, api: Api) -> Client {
        impatient(&self.account(), api).await
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
pub(in crate::microsoft) async fn impatient(account: &Account, api: Api) -> Client {
    let client = Client::new(account, api, None).unwrap().still();
    client.permissions().await.unwrap();
    client.patience(Duration::from_millis(390))
}

fn call(asked: &https_server::Asked) -> Call {
    let target = asked.target.as_str();
    let prefixes = ["/graph", "/mde"];
    let bare = prefixes.iter().find_map(|own| target.strip_prefix(own));
    Call {
        method: asked.method.clone(),
        target: bare.unwrap_or(target).to_owned(),
        body: serde_json::from_str(&asked.body).unwrap_or_default(),
    }
}
