//! One request of splunkd to a persistent REST endpoint, and the answer to it:
//! JSON documents, of which Splunk's `persistconn` names the keys.

use crate::NAME;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

/// Why a request could not be understood. No text of it is quoted: it holds
/// session keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error(
        "the request is {size} bytes long, more than the {most} this endpoint takes: send fewer rows at a time"
    )]
    TooLarge { size: u64, most: u64 },
    #[error("splunkd's request is not the JSON it documents (line {line}, column {column})")]
    Malformed { line: usize, column: usize },
    #[error("the body of the request is not the base64 splunkd was asked for")]
    Body,
}

impl RequestError {
    /// The HTTP status that says so.
    pub const fn status(&self) -> u16 {
        match self {
            Self::TooLarge { .. } => 413,
            Self::Malformed { .. } | Self::Body => 400,
        }
    }
}

/// Who asks what.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    /// What follows the endpoint's own name, without slashes around it.
    pub path: String,
    pub body: Vec<u8>,
    pub user: String,
    /// Of the app's own process that asks, where it is one.
    pub version: Option<String>,
    /// The caller's own session key.
    pub session_key: Option<SecretString>,
    /// That of splunk-system-user (`passSystemAuth`).
    pub system_key: Option<SecretString>,
    /// Where this splunkd listens.
    pub server_uri: Option<String>,
}

#[derive(Deserialize)]
struct RequestDocument {
    #[serde(default)]
    method: String,
    #[serde(default)]
    rest_path: String,
    #[serde(default)]
    path_info: Option<String>,
    #[serde(default)]
    payload: Option<Value>,
    #[serde(default)]
    payload_base64: Option<String>,
    #[serde(default)]
    query: Value,
    #[serde(default)]
    session: Option<Session>,
    #[serde(default)]
    system_authtoken: Option<SecretString>,
    #[serde(default)]
    server: Option<Server>,
}

#[derive(Deserialize)]
struct Session {
    #[serde(default)]
    user: String,
    #[serde(default)]
    authtoken: Option<SecretString>,
}

#[derive(Deserialize)]
struct Server {
    #[serde(default)]
    rest_uri: Option<String>,
}

impl Request {
    /// # Errors
    /// If it is no such document; what is merely missing is left empty.
    pub fn read(json: &[u8]) -> Result<Self, RequestError> {
        // A list would be taken for the members in their order.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(RequestError::Malformed { line: 1, column: 1 });
        }
        let written: RequestDocument =
            serde_json::from_slice(json).map_err(|error| RequestError::Malformed {
                line: error.line(),
                column: error.column(),
            })?;
        let body = match (written.payload_base64, written.payload) {
            (Some(text), _) => STANDARD
                .decode(text.trim())
                .map_err(|_| RequestError::Body)?,
            (None, None | Some(Value::Null)) => Vec::new(),
            (None, Some(Value::String(text))) => text.into_bytes(),
            (None, Some(other)) => other.to_string().into_bytes(),
        };
        let session = written.session.unwrap_or(Session {
            user: String::new(),
            authtoken: None,
        });
        Ok(Self {
            method: written.method,
            path: path(&written.rest_path, written.path_info.as_deref()),
            body,
            user: session.user,
            version: parameter(&written.query, "version"),
            session_key: session.authtoken,
            system_key: written.system_authtoken,
            server_uri: written.server.and_then(|server| server.rest_uri),
        })
    }
}

/// As splunkd writes them: a list of pairs.
fn parameter(query: &Value, name: &str) -> Option<String> {
    let pairs = query.as_array()?.iter().filter_map(Value::as_array);
    let found = pairs
        .filter(|pair| pair.first().and_then(Value::as_str) == Some(name))
        .find_map(|pair| pair.get(1).and_then(Value::as_str));
    found.map(str::to_owned)
}

fn path(whole: &str, rest: Option<&str>) -> String {
    let whole = whole.trim_matches('/');
    let below = match whole.strip_prefix(NAME) {
        Some(below) if below.is_empty() || below.starts_with('/') => below.trim_matches('/'),
        _ => whole,
    };
    match below {
        "" => rest.unwrap_or_default().trim_matches('/').to_owned(),
        below => below.to_owned(),
    }
}

/// The answer to one request.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    payload: Box<RawValue>,
    last: bool,
}

impl Reply {
    /// 200, with what was asked for.
    pub fn well(payload: &impl Serialize) -> Self {
        match to_raw_value(payload) {
            Ok(payload) => Self {
                status: 200,
                payload,
                last: false,
            },
            Err(error) => Self::refused(500, &format!("the answer cannot be written: {error}")),
        }
    }

    /// A refusal, in the shape splunkd's own refusals have.
    pub fn refused(status: u16, why: &str) -> Self {
        let payload = json!({"messages": [{"type": "ERROR", "text": why}]});
        let payload = to_raw_value(&payload).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self {
            status,
            payload,
            last: false,
        }
    }

    /// The process ends once this is said.
    pub fn last(self) -> Self {
        Self { last: true, ..self }
    }

    pub(super) const fn is_last(&self) -> bool {
        self.last
    }

    pub const fn status(&self) -> u16 {
        self.status
    }

    /// What the answer says, as JSON.
    pub fn payload(&self) -> &str {
        self.payload.get()
    }

    pub(super) fn json(&self) -> String {
        let (status, payload) = (self.status, self.payload());
        format!("{{\"status\":{status},\"payload\":{payload}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    const POST: &str = r#"{
        "output_mode": "json", "output_mode_explicit": true,
        "server": {"rest_uri": "https://127.0.0.1:8089", "hostname": "sh1", "servername": "sh1", "guid": "G"},
        "restmap": {"name": "script:defender_bridge", "conf": {"match": "/defender_bridge"}},
        "path_info": "triage", "query": [], "connection": {"src_ip": "127.0.0.1", "ssl": true},
        "session": {"user": "ann", "authtoken": "top-secret-1"}, "system_authtoken": "top-secret-2",
        "rest_path": "/defender_bridge/triage", "method": "POST", "ns": {"app": "search"},
        "payload_base64": "eyJyb3dzIjpbXX0="
    }"#;

    #[test]
    fn reads_who_asks_what() {
        let request = Request::read(POST.as_bytes()).unwrap();
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "triage")
        );
        assert_eq!(request.body, br#"{"rows":[]}"#);
        assert_eq!(request.user, "ann");
        assert_eq!(request.session_key.unwrap().expose_secret(), "top-secret-1");
        assert_eq!(request.system_key.unwrap().expose_secret(), "top-secret-2");
        assert_eq!(
            request.server_uri.as_deref(),
            Some("https://127.0.0.1:8089")
        );
    }

    #[test]
    fn the_version_of_who_asks_is_a_parameter() {
        for (query, version) in [
            (
                r#"[["output_mode","json"],["version","0.2.0"]]"#,
                Some("0.2.0"),
            ),
            (r#"[["version"],["version",1],[],"version"]"#, None),
            (r#"{"version":"0.2.0"}"#, None),
            ("null", None),
        ] {
            let request = Request::read(format!(r#"{{"query":{query}}}"#).as_bytes()).unwrap();
            assert_eq!(request.version.as_deref(), version, "{query}");
        }
    }

    #[test]
    fn a_body_comes_as_base64_as_text_or_not_at_all() {
        for (json, body) in [
            (r#"{"payload_base64":"/wA="}"#, b"\xFF\0".as_slice()),
            (r#"{"payload":"a=1"}"#, b"a=1"),
            (r#"{"payload":{"a":1}}"#, br#"{"a":1}"#),
            (r#"{"payload":null}"#, b""),
            ("{}", b""),
        ] {
            assert_eq!(Request::read(json.as_bytes()).unwrap().body, body, "{json}");
        }
        assert_eq!(
            Request::read(br#"{"payload_base64":"!"}"#).unwrap_err(),
            RequestError::Body
        );
    }

    #[test]
    fn the_path_is_what_follows_the_endpoints_name() {
        for (whole, rest, path) in [
            ("/defender_bridge/triage", Some("triage"), "triage"),
            ("/defender_bridge", Some("/triage/"), "triage"),
            ("/defender_bridge", None, ""),
            ("/defender_bridge/a/b", None, "a/b"),
            ("/defender_bridges", None, "defender_bridges"),
            ("", Some("ping"), "ping"),
        ] {
            assert_eq!(super::path(whole, rest), path, "{whole} {rest:?}");
        }
    }

    #[test]
    fn neither_a_refusal_nor_a_request_shows_a_session_key() {
        let cut = POST.split_at(POST.len() - 30).0;
        let error = Request::read(cut.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("top-secret"));
        let wrong = POST.replace("\"top-secret-1\"", "[\"top-secret-1\"]");
        let error = Request::read(wrong.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("top-secret"));
        let request = Request::read(POST.as_bytes()).unwrap();
        assert!(!format!("{request:?}").contains("top-secret"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            drop(Request::read(&bytes));
        }
    }
}
