//! How `azure_identity` reaches our HTTP client: it sends each token
//! request to where the account says, and remembers what was answered, since the
//! library's errors keep only a part of it.

use crate::microsoft::http::advice::Trouble;
use crate::microsoft::http::body::Reading;
use crate::microsoft::http::error::Error;
use crate::microsoft::http::retry_after;
use crate::microsoft::http::sent_secrets::SentSecrets;
use crate::microsoft::http::transport::{Transport, place};
use crate::microsoft::http::usage::Usage;
use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Method, Request, Url};
use secrecy::SecretString;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Largest sign-in answer taken.
const CAP: usize = 1 << 20;
/// Life of a token whose answer does not tell it.
const UNTOLD: u64 = 300;

/// Longest life of a token believed: a day, as Microsoft's longest (seconds).
const LONGEST: u64 = 86_400;

/// With these a managed identity's endpoint knows its caller.
const SECRET_HEADERS: [&str; 3] = ["x-identity-header", "secret", "authorization"];

/// What the sign-in service said last.
#[derive(Debug)]
pub(crate) enum LastAnswer {
    Nothing(Error),
    Answer(Answer),
}

pub(crate) struct Answer {
    pub(crate) host: String,
    pub(crate) status: u16,
    pub(crate) body: String,
    /// What of the request must not be told, should the answer repeat it.
    pub(crate) secrets: SentSecrets,
    pub(crate) retry_after: Option<Duration>,
}

/// The body holds a token, or who knows what.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("host", &self.host)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl LastAnswer {
    pub(crate) fn timeout(host: &str) -> LastAnswer {
        LastAnswer::Nothing(Error::Network {
            host: host.to_string(),
            what: Trouble::Timeout.what().to_string(),
            advice: Trouble::Timeout.advice(),
            uncertain: false,
            lasting: Trouble::Timeout.lasting(),
            stalled: false,
        })
    }
}

#[derive(Debug)]
pub(crate) struct TokenTransport {
    transport: Transport,
    /// Base URL put in place of the library's origin. It knows hosts only, an
    /// account's sign-in URL may have a path.
    login: Option<String>,
    host: String,
    usage: Arc<Usage>,
    said: Mutex<Option<LastAnswer>>,
}

impl TokenTransport {
    pub(crate) fn new(
        transport: Transport,
        login: Option<String>,
        host: String,
        usage: Arc<Usage>,
    ) -> TokenTransport {
        TokenTransport {
            transport,
            login,
            host,
            usage,
            said: Mutex::new(None),
        }
    }

    /// Takes what was said last.
    pub(crate) fn said(&self) -> Option<LastAnswer> {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn remember(&self, said: LastAnswer) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    }

    fn target(&self, url: &Url) -> azure_core::Result<Url> {
        let Some(login) = &self.login else {
            return Ok(url.clone());
        };
        // The library has resolved its path against the host alone.
        let mut target = format!("{login}{}", url.path());
        if let Some(query) = url.query() {
            target.push('?');
            target.push_str(query);
        }
        Ok(Url::parse(&target)?)
    }

    /// Sends and reads; the error is what [`LastAnswer::Nothing`] keeps.
    async fn exchange(&self, request: &Request, url: Url) -> Result<Answer, Error> {
        let host = match url.host_str() {
            Some(_) => place(&url),
            None => self.host.clone(),
        };
        let method = match request.method() {
            Method::Post => reqwest::Method::POST,
            _ => reqwest::Method::GET,
        };
        let mut out = self.transport.http.request(method, url);
        for (name, value) in request.headers().iter() {
            if !name.as_str().eq_ignore_ascii_case("user-agent") {
                out = out.header(name.as_str(), value.as_str());
            }
        }
        let mut secrets: Vec<SecretString> = request
            .headers()
            .iter()
            .filter(|(name, _)| SECRET_HEADERS.contains(&name.as_str()))
            .map(|(_, value)| SecretString::from(value.as_str()))
            .collect();
        if let Body::Bytes(bytes) = request.body() {
            secrets.extend(credentials(bytes));
            out = out.body(bytes.clone());
        }
        let mut response = out
            .send()
            .await
            .map_err(|e| self.transport.fault(&host, &e))?;
        self.usage.note_clock(response.headers(), SystemTime::now());
        let body = Reading {
            host: &host,
            request_id: None,
            room: 4 << 10,
            cap: CAP,
        }
        .read(&mut response)
        .await?;
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer {
            retry_after: retry_after::retry_after(response.headers(), &body, SystemTime::now()),
            status: response.status().as_u16(),
            host,
            body,
            secrets: SentSecrets::of(secrets),
        })
    }
}

#[async_trait]
impl HttpClient for TokenTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let url = self.target(request.url())?;
        match self.exchange(request, url).await {
            Ok(answer) => {
                let response = AsyncRawResponse::from_bytes(
                    answer.status.into(),
                    Headers::new(),
                    plain(&answer.body),
                );
                self.remember(LastAnswer::Answer(answer));
                Ok(response)
            }
            Err(error) => {
                // A kind the library does not retry: that is decided in one place, ours.
                let kind = ErrorKind::Other;
                self.remember(LastAnswer::Nothing(error));
                Err(azure_core::Error::with_message(kind, "no answer"))
            }
        }
    }
}

/// The credentials in a token request's form.
fn credentials(form: &[u8]) -> Vec<SecretString> {
    url::form_urlencoded::parse(form)
        .filter(|(name, _)| matches!(&**name, "client_secret" | "client_assertion"))
        .map(|(_, value)| SecretString::from(value.into_owned()))
        .collect()
}

/// A token answer in the one shape the library reads. The v1 endpoint writes
/// numbers as text, some metadata services text as numbers, others leave out
/// what nobody needs.
fn plain(body: &str) -> Vec<u8> {
    use serde_json::Value;
    let Ok(Value::Object(mut token)) = serde_json::from_str(body) else {
        return body.as_bytes().to_vec();
    };
    if !token.contains_key("access_token") {
        return body.as_bytes().to_vec();
    }
    for name in ["expires_in", "ext_expires_in"] {
        let number = match token.get(name) {
            Some(Value::String(text)) => text.trim().parse().unwrap_or(UNTOLD),
            Some(Value::Number(number)) => number.as_f64().map_or(UNTOLD, |n| n as u64),
            _ => UNTOLD,
        };
        token.insert(name.to_string(), number.min(LONGEST).into());
    }
    match token.get("expires_on") {
        Some(Value::Number(number)) => {
            let text = number.to_string();
            token.insert("expires_on".to_string(), text.into());
        }
        Some(_) => {}
        None => {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let life = token.get("expires_in").and_then(Value::as_u64);
            let end = since.unwrap_or_default().as_secs() + life.unwrap_or(UNTOLD);
            token.insert("expires_on".to_string(), end.to_string().into());
        }
    }
    for name in ["token_type", "resource"] {
        token
            .entry(name)
            .or_insert_with(|| Value::String(String::new()));
    }
    serde_json::to_vec(&token).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    fn shaped(body: &str) -> serde_json::Value {
        serde_json::from_slice(&plain(body)).unwrap()
    }

    #[test]
    fn the_v1_shape_becomes_numbers() {
        let token = shaped(
            r#"{"token_type":"Bearer","expires_in":"3599","ext_expires_in":"3599","expires_on":"1700000000","access_token":"x"}"#,
        );
        assert_eq!(token["expires_in"], 3599);
        assert_eq!(token["expires_on"], "1700000000");
    }

    #[test]
    fn numbers_and_gaps_of_metadata_services_are_filled() {
        let token = shaped(r#"{"access_token":"x","expires_on":1700000000}"#);
        assert_eq!(token["expires_on"], "1700000000");
        assert_eq!(token["expires_in"], UNTOLD);
        assert_eq!(token["resource"], "");
        assert!(shaped(r#"{"access_token":"x"}"#)["expires_on"].is_string());
    }

    #[test]
    fn what_is_no_token_stays_as_it_is() {
        for body in ["", "<html>", "[1]", r#"{"error":"invalid_client"}"#] {
            assert_eq!(plain(body), body.as_bytes());
        }
    }

    #[test]
    fn only_the_credentials_of_a_form_are_secrets() {
        let form = b"client_id=id&client_secret=a%2Bb+c&client_assertion=x.y.z&scope=s";
        let found: Vec<String> = credentials(form)
            .iter()
            .map(|secret| secret.expose_secret().to_string())
            .collect();
        assert_eq!(found, ["a+b c", "x.y.z"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall(life in "[0-9.eE+-]{0,20}", body in ".{0,80}") {
            plain(&body);
            plain(&format!(r#"{{"access_token":"x","expires_in":"{life}","expires_on":{life}}}"#));
            plain(&format!(r#"{{"access_token":"x","expires_in":{life}}}"#));
        }
    }
}
