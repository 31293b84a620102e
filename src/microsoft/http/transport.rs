//! The transport to Microsoft: one HTTP client with the account's trust and proxy,
//! and why a request did not arrive.

use crate::microsoft::account::{Account, Proxy};
use crate::microsoft::http::advice::Trouble;
use crate::microsoft::http::error::{Error, line};
use crate::triage::Api;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::error::Error as _;
use std::path::Path;
use std::time::Duration;
use std::{fmt, fs, io};
use tokio_rustls::rustls::{self, CertificateError};
use url::Url;

const CONNECT: Duration = Duration::from_secs(10);
/// Longest silence while an answer is awaited or read, unless told otherwise.
const SILENCE: Duration = Duration::from_secs(60);
/// The metadata service of a virtual machine is one hop away or not there.
const METADATA_CONNECT: Duration = Duration::from_secs(2);
/// Bytes a server may send ahead of our reading (HTTP/2). hyper's default holds
/// megabytes of a page twice.
const AHEAD: u32 = 512 << 10;

/// An HTTP client. Cloning shares its connections.
#[derive(Clone)]
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    /// The proxy's host, for error texts.
    proxy: Option<String>,
}

impl Transport {
    /// The transport for one account and API; sign-in and API share it.
    pub(crate) fn new(account: &Account, api: Api) -> Result<Transport, Error> {
        Transport::silent_for(SILENCE, account, api)
    }

    /// The same where the API thinks longer before it answers.
    pub(crate) fn silent_for(
        silence: Duration,
        account: &Account,
        api: Api,
    ) -> Result<Transport, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if api == Api::Graph {
            // Without it Graph hides enum values younger than its first ones.
            headers.insert(
                HeaderName::from_static("prefer"),
                HeaderValue::from_static("include-unknown-enum-members"),
            );
        }
        let builder = reqwest::Client::builder()
            .user_agent(api.user_agent())
            .default_headers(headers)
            .read_timeout(silence);
        Transport::built(builder, account)
    }

    /// The transport to Azure's services beside Defender's APIs. Bodies come as they
    /// lie there: a part of a packed blob cannot be unpacked.
    pub(crate) fn azure(account: &Account) -> Result<Transport, Error> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("DefenderBridge/", env!("CARGO_PKG_VERSION")))
            .read_timeout(SILENCE)
            .no_gzip();
        Transport::built(builder, account)
    }

    fn built(builder: reqwest::ClientBuilder, account: &Account) -> Result<Transport, Error> {
        let refuse = |what: String| Error::Setting {
            account: account.name.clone(),
            what,
        };
        // `no_proxy` switches the environment's proxy variables off.
        let mut builder = builder
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .http2_initial_stream_window_size(AHEAD)
            .http2_initial_connection_window_size(AHEAD);
        if let Some(path) = &account.ca_file {
            builder = builder.tls_certs_merge(roots(path).map_err(refuse)?);
        }
        if let Some(proxy) = &account.proxy {
            builder = builder.proxy(through(proxy).map_err(refuse)?);
        }
        let http = builder
            .build()
            .map_err(|e| refuse(format!("no HTTPS client: {}", deepest(&e))))?;
        Ok(Transport {
            http,
            proxy: account.proxy.as_ref().map(|proxy| place(&proxy.url)),
        })
    }

    /// The transport to this machine's metadata service: plain HTTP, never a proxy.
    pub(crate) fn metadata(account: &Account) -> Result<Transport, Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(METADATA_CONNECT)
            .read_timeout(SILENCE)
            .build()
            .map_err(|e| Error::Setting {
                account: account.name.clone(),
                what: format!("no HTTP client: {}", deepest(&e)),
            })?;
        Ok(Transport { http, proxy: None })
    }

    /// Why a request to `host` brought no answer.
    pub(crate) fn fault(&self, host: &str, error: &reqwest::Error) -> Error {
        let trouble = trouble(error);
        let through = match &self.proxy {
            Some(proxy) => format!(", through proxy {proxy}"),
            None => String::new(),
        };
        Error::Network {
            host: host.to_string(),
            what: format!("{}{through} ({})", trouble.what(), deepest(error)),
            advice: trouble.advice(),
            uncertain: !error.is_connect(),
            lasting: trouble.lasting(),
            stalled: error.is_timeout() && !error.is_connect(),
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

/// `host` or, with a port of its own, `host:port`.
pub(crate) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    }
}

fn roots(path: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    let shown = path.display();
    let pem = fs::read(path).map_err(|e| format!("ca_file {shown} cannot be read: {e}"))?;
    let roots = reqwest::Certificate::from_pem_bundle(&pem)
        .map_err(|e| format!("ca_file {shown} is no PEM bundle: {}", deepest(&e)))?;
    match roots.is_empty() {
        true => Err(format!(
            "ca_file {shown} holds no certificate (a block \"BEGIN CERTIFICATE\")"
        )),
        false => Ok(roots),
    }
}

fn through(proxy: &Proxy) -> Result<reqwest::Proxy, String> {
    let mut out = reqwest::Proxy::all(proxy.url.as_str())
        .map_err(|e| format!("the proxy's URL cannot be used: {}", deepest(&e)))?;
    if let Some(name) = &proxy.username {
        out = out.custom_http_auth(basic(name, proxy.password.as_ref())?);
    }
    Ok(out.no_proxy(reqwest::NoProxy::from_string(&exceptions(&proxy.no_proxy))))
}

/// Name and password as they stand (RFC 7617). reqwest's own way leads through a
/// URL, whose parts are decoded later: `%41` would arrive as `A`.
pub(crate) fn basic(name: &str, password: Option<&SecretString>) -> Result<HeaderValue, String> {
    let password = password
        .map(ExposeSecret::expose_secret)
        .unwrap_or_default();
    let coded = STANDARD.encode(format!("{name}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {coded}"))
        .map_err(|_| "the proxy's user name and password make no header".to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The list as reqwest reads it: commas only, a domain without its `*`.
pub(crate) fn exceptions(list: &str) -> String {
    let entries = list.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|'));
    let entries = entries.filter(|entry| !entry.is_empty());
    let entries: Vec<&str> = entries
        .map(|entry| match entry.strip_prefix("*.") {
            Some(domain) => domain,
            None => entry,
        })
        .collect();
    entries.join(",")
}

fn trouble(error: &reqwest::Error) -> Trouble {
    if error.is_dns() {
        return Trouble::Dns;
    }
    let mut cause = error.source();
    while let Some(e) = cause {
        if let Some(tls) = e.downcast_ref::<rustls::Error>() {
            return certificate(tls);
        }
        match e.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => return Trouble::Refused,
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                return Trouble::Unreachable;
            }
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => {
                return Trouble::Reset;
            }
            _ => {}
        }
        // hyper-util tells its tunnel errors by their text alone.
        match e.to_string().as_str() {
            "tunnel error: proxy authorization required" => return Trouble::ProxyPassword,
            text if text.starts_with("tunnel error") && e.source().is_none() => {
                return Trouble::Proxy;
            }
            _ => {}
        }
        cause = beneath(e);
    }
    match error.is_timeout() {
        true => Trouble::Timeout,
        false => Trouble::Other,
    }
}

pub(crate) fn certificate(error: &rustls::Error) -> Trouble {
    use CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            C::UnknownIssuer => Trouble::UnknownIssuer,
            C::Expired
            | C::ExpiredContext { .. }
            | C::NotValidYet
            | C::NotValidYetContext { .. } => Trouble::CertificateTime,
            C::NotValidForName | C::NotValidForNameContext { .. } => Trouble::CertificateName,
            _ => Trouble::Tls,
        },
        _ => Trouble::Tls,
    }
}

/// The next cause. An `io::Error` passes over the error it wraps, which is the
/// one that tells (rustls).
fn beneath<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<&'e (dyn std::error::Error + 'static)> {
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match wrapped {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The innermost cause: the outer ones only say that there is one.
fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(next) = beneath(cause) {
        cause = next;
    }
    line(&cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_may_be_written_as_people_write_them() {
        assert_eq!(
            exceptions("localhost; *.corp.example, 10.0.0.0/8 .lab|*"),
            "localhost,corp.example,10.0.0.0/8,.lab,*"
        );
        assert_eq!(exceptions(" , "), "");
    }
}
