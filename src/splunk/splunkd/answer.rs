//! splunkd's answers (`output_mode=json`): entries with a name and content, or
//! messages. What never reached the handler that was asked is answered in XML.

use crate::NAME;
use crate::splunk::splunkd::conf_file::boolean;
use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::TRANSFER_ENCODING;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::BTreeMap;

/// The body of an answer. What stands between splunkd and us may end one by
/// hanging up, without the word TLS has for it: where no length was announced,
/// a JSON object that closes is whole. None where it is longer than `largest`.
pub(super) async fn body(
    mut response: Response,
    largest: usize,
) -> Result<Option<Bytes>, reqwest::Error> {
    let endless =
        response.content_length().is_none() && !response.headers().contains_key(TRANSFER_ENCODING);
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if chunk.len() > largest.saturating_sub(body.len()) => return Ok(None),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(Some(body.freeze())),
            Err(_) if endless && is_object(&body) => return Ok(Some(body.freeze())),
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
    acl: Value,
    #[serde(default)]
    pub(super) content: serde_json::Map<String, Value>,
}

impl Entry {
    /// Whether it stands in this app.
    pub(super) fn is_of_this_app(&self) -> bool {
        self.app() == Some(NAME)
    }

    /// The app it stands in.
    pub(super) fn app(&self) -> Option<&str> {
        self.acl.get("app").and_then(Value::as_str)
    }

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

    /// The keys of a conf stanza, without what splunkd adds to it (`eai:…`); or
    /// the key that has no one value.
    pub(super) fn settings(&self) -> Result<BTreeMap<String, String>, String> {
        let own = self.content.iter().filter(|(key, value)| {
            // An empty key has no value, which is not the same as an empty list.
            !key.starts_with("eai:") && !value.is_null()
        });
        own.map(|(key, value)| match text(value) {
            Some(value) => Ok((key.clone(), value)),
            None => Err(key.clone()),
        })
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

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(rename(deserialize = "type"), alias = "@type", default)]
    kind: String,
    #[serde(default, alias = "$text")]
    text: String,
}

impl Message {
    /// As much of its text as belongs into one line.
    pub(super) fn words(&self) -> String {
        const LONGEST: usize = 300;
        let words: Vec<&str> = self.text.split_whitespace().collect();
        words.join(" ").chars().take(LONGEST).collect()
    }

    pub(super) fn is_fatal(&self) -> bool {
        self.kind.eq_ignore_ascii_case("FATAL")
    }

    pub(super) fn is_error(&self) -> bool {
        self.is_fatal() || self.kind.eq_ignore_ascii_case("ERROR")
    }

    pub(super) fn is_warning(&self) -> bool {
        self.kind.eq_ignore_ascii_case("WARN")
    }
}

/// `<response><messages><msg type="…">…`
#[derive(Deserialize)]
enum Xml {
    #[serde(rename = "response")]
    Response {
        #[serde(default)]
        messages: XmlMessages,
    },
}

#[derive(Default, Deserialize)]
struct XmlMessages {
    #[serde(default)]
    msg: Vec<Message>,
}

/// The messages of splunkd's XML; `None` if it is none.
fn xml(body: &[u8]) -> Option<Vec<Message>> {
    let text = std::str::from_utf8(body).ok()?;
    let Xml::Response { messages } = quick_xml::de::from_str(text).ok()?;
    Some(messages.msg)
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    messages: Vec<Message>,
    index: Option<IgnoredAny>,
    bytes: Option<Value>,
}

impl Told {
    /// Whether it says that nothing came in. Other numbers are not judged: an
    /// event that was taken and is sent again stands twice.
    fn took_nothing(&self) -> bool {
        let bytes = self.bytes.as_ref().and_then(text);
        bytes.is_some_and(|bytes| bytes.trim().parse() == Ok(0.0))
    }
}

/// An object: serde would read an array in its fields' order as well.
fn told(body: &[u8]) -> Option<Told> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    is_object.then(|| serde_json::from_slice(body).ok())?
}

/// What splunkd says about a refusal, ready to stand behind a sentence; empty
/// if it says nothing that can be read.
pub(super) fn said(body: &[u8], secret: &str) -> String {
    let messages = told(body).map(|told| told.messages);
    quoted(&messages.or_else(|| xml(body)).unwrap_or_default(), secret)
}

pub(super) fn quoted(messages: &[Message], secret: &str) -> String {
    const MOST: usize = 5;
    let words = messages.iter().map(Message::words);
    let words: Vec<String> = words.filter(|text| !text.is_empty()).take(MOST).collect();
    if words.is_empty() {
        return String::new();
    }
    let text = match secret {
        "" => words.join("; "),
        secret => words.join("; ").replace(secret, "***"),
    };
    format!(", saying \"{text}\"")
}

/// Whether this is splunkd's own word that it took an event: what it says of the
/// event, and no error. Any other 2xx may be somebody else's.
pub(super) fn took_event(body: &[u8]) -> bool {
    let messages = match told(body) {
        Some(told) if told.took_nothing() => return false,
        Some(told) if told.index.is_none() && told.bytes.is_none() => return false,
        Some(told) => Some(told.messages),
        None => xml(body),
    };
    messages.is_some_and(|messages| !messages.iter().any(Message::is_error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_quoted_in_whatever_form_splunkd_says_them() {
        for (body, said) in [
            (
                r#"{"messages":[{"type":"FATAL","text":" a \n b "},{"type":"WARN","text":"c"},{"text":""}]}"#,
                r#", saying "a b; c""#,
            ),
            (
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response>\n  <messages>\n    <msg type=\"ERROR\">Your license is expired &amp; \n over.</msg>\n    <msg type=\"WARN\">key k-1</msg>\n  </messages>\n</response>\n",
                r#", saying "Your license is expired & over.; key ***""#,
            ),
            ("<response><messages/></response>", ""),
            ("<response/>", ""),
            ("<html><body><msg>no</msg></body></html>", ""),
            ("<response><messages><msg>cut", ""),
            ("{}", ""),
            ("[]", ""),
            ("", ""),
        ] {
            assert_eq!(super::said(body.as_bytes(), "k-1"), said, "{body}");
        }
    }

    #[test]
    fn what_is_quoted_stays_short() {
        let long = "word ".repeat(10_000);
        let message = format!(r#"{{"type":"ERROR","text":"{long}"}}"#);
        let body = format!(r#"{{"messages":[{}]}}"#, vec![message; 20].join(","));
        assert!(said(body.as_bytes(), "").len() < 1600);
    }

    #[test]
    fn only_splunkds_own_word_says_that_an_event_was_taken() {
        for body in [
            r#"{"index":"default","bytes":"7","host":"127.0.0.1","source":"s","sourcetype":"t"}"#,
            r#"{"index":"main","bytes":1024}"#,
            r#"{"bytes":7,"messages":[{"type":"INFO","text":"x"}]}"#,
            "<?xml version='1.0'?><response><results><result><field k='_index'><value><text>main</text></value></field></result></results></response>",
        ] {
            assert!(took_event(body.as_bytes()), "{body}");
        }
        for body in [
            "",
            "ok",
            "{}",
            "[]",
            "null",
            r#"{"status":"ok"}"#,
            r#"{"index":null}"#,
            r#"{"bytes":"0","index":"main"}"#,
            r#"{"bytes":0,"index":"main"}"#,
            r#"{"bytes":" 0.0 ","index":"main"}"#,
            r#"{"bytes":0,"messages":[{"type":"INFO","text":"x"}]}"#,
            r#"{"messages":[{"type":"ERROR","text":"no such index"}]}"#,
            r#"{"index":"main","bytes":7,"messages":[{"type":"ERROR","text":"x"}]}"#,
            r#"{"index":"main","#,
            r#"[[],"main",7]"#,
            "<response><messages><msg type=\"ERROR\">x</msg></messages></response>",
            "<response><messages><msg type=\"FATAL\">x</msg></messages></response>",
            "<response>",
            "<html><body>Sign in</body></html>",
            "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>x</title></feed>",
        ] {
            assert!(!took_event(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn a_list_where_one_value_belongs_is_no_setting() {
        let entry = |content: &str| -> Entry {
            serde_json::from_str(&format!(r#"{{"name":"x","content":{content}}}"#)).unwrap()
        };
        let settings = entry(r#"{"a":"1","b":true,"c":null,"eai:acl":{"app":"x"}}"#).settings();
        let settings = settings.unwrap();
        assert!(settings.iter().eq([
            (&"a".to_owned(), &"1".to_owned()),
            (&"b".to_owned(), &"1".to_owned())
        ]));
        for odd in [
            r#"{"read_only":["1"]}"#,
            r#"{"read_only":[]}"#,
            r#"{"read_only":{"x":1}}"#,
        ] {
            assert_eq!(entry(odd).settings().unwrap_err(), "read_only", "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_fall(body in prop::collection::vec(any::<u8>(), 0..200), text in "[<>/a-z\"= &;{}:\\[\\]]{0,80}") {
            for body in [body.as_slice(), text.as_bytes()] {
                prop_assert!(said(body, "k").len() < 7000);
                took_event(body);
            }
        }
    }
}
