//! splunkd's answers (`output_mode=json`): entries with a name and content, or messages.

use super::super::conf::boolean;
use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::TRANSFER_ENCODING;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::BTreeMap;

/// The body of an answer. What stands between splunkd and us may end one by
/// hanging up, without the word TLS has for it: where no length was announced,
/// a JSON object that closes is whole.
pub(super) async fn body(mut response: Response) -> Result<Bytes, reqwest::Error> {
    let endless =
        response.content_length().is_none() && !response.headers().contains_key(TRANSFER_ENCODING);
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.freeze()),
            Err(_) if endless && is_object(&body) => return Ok(body.freeze()),
            Err(error) => return Err(error),
        }
    }
}

fn is_object(text: &[u8]) -> bool {
    let closes = text.trim_ascii_end().ends_with(b"}");
    closes && serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) entry: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) content: serde_json::Map<String, Value>,
}

impl Entry {
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.content.get(key).and_then(text)
    }

    /// What is on or off, if it is said in a way Splunk knows.
    pub(super) fn switch(&self, key: &str) -> Option<bool> {
        boolean(self.text(key)?.trim())
    }

    pub(super) fn list(&self, key: &str) -> Vec<String> {
        match self.content.get(key) {
            Some(Value::Array(values)) => values.iter().filter_map(text).collect(),
            Some(single) => text(single).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The keys of a conf stanza, without what splunkd adds to it (`eai:…`).
    pub(super) fn settings(&self) -> BTreeMap<String, String> {
        self.content
            .iter()
            .filter(|(key, _)| !key.starts_with("eai:"))
            .filter_map(|(key, value)| Some((key.clone(), text(value)?)))
            .collect()
    }
}

/// As a conf file spells it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(u8::from(*value).to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    text: String,
}

/// What splunkd says about a refusal, ready to stand behind a sentence; empty
/// if it says nothing that can be read.
pub(super) fn said(body: &[u8], secret: &str) -> String {
    const LONGEST: usize = 1000;
    let messages = serde_json::from_slice::<Refusal>(body).map(|body| body.messages);
    let text = messages
        .unwrap_or_default()
        .into_iter()
        .map(|message| message.text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("; ");
    if text.is_empty() {
        return text;
    }
    let text = if secret.is_empty() {
        text
    } else {
        text.replace(secret, "***")
    };
    let short: String = text.chars().take(LONGEST).collect();
    format!(", saying \"{short}\"")
}
