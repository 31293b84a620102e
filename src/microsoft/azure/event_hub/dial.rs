//! The way to a namespace: TCP, through an HTTP proxy where there is one, TLS, and
//! WebSockets where only HTTPS leads out.

use super::error::Error;
use super::settings::{Settings, Transport};
use super::websocket;
use crate::ingest::stream::LogErrorClass;
use crate::microsoft::account::{Account, Proxy};
use crate::microsoft::http::advice::Trouble;
use crate::microsoft::http::error::line;
use crate::microsoft::http::transport::{basic, certificate, exceptions, place};
use hyper_util::client::proxy::matcher::Matcher;
use rustls_platform_verifier::Verifier;
use secrecy::SecretString;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig};
use tokio_tungstenite::tungstenite::http::Uri;

/// Longest wait for each step.
const STEP: Duration = Duration::from_secs(15);
/// A proxy's answer to CONNECT is no longer.
const MOST_HEAD: usize = 16 << 10;

/// Whatever bytes go through.
pub(super) trait Stream: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin> Stream for S {}

/// Dials one namespace.
pub(super) struct Dialer {
    host: String,
    port: u16,
    transport: Transport,
    /// Without TLS, to this machine alone.
    plain: bool,
    tls: Arc<ClientConfig>,
    /// Where the proxy's rules say so.
    proxy: Option<Proxy>,
}

impl Dialer {
    pub(super) fn new(account: &Account, settings: &Settings) -> Result<Self, Error> {
        let refuse = |what: String| {
            let what = format!("account {}: {what}", account.name);
            Error::new(LogErrorClass::Stop, what, None)
        };
        let extra = match &account.ca_file {
            Some(path) => roots(path).map_err(refuse)?,
            None => Vec::new(),
        };
        if settings.emulator && !is_here(&settings.host) {
            let what = format!(
                "{}: UseDevelopmentEmulator = true goes without TLS, and so to this machine alone",
                settings.host
            );
            return Err(Error::new(
                LogErrorClass::Stop,
                what,
                "take it out of the connection string",
            ));
        }
        let tls = tls(extra).map_err(|e| refuse(format!("no TLS: {}", line(&e.to_string()))))?;
        let proxy = account.proxy.clone();
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port(),
            transport: settings.transport,
            plain: settings.emulator,
            tls: Arc::new(tls),
            proxy: proxy.filter(|proxy| leads_to(proxy, &settings.host)),
        })
    }

    /// A connection to the namespace, as AMQP takes it.
    pub(super) async fn dial(&self) -> Result<Box<dyn Stream>, Error> {
        let stream = match &self.proxy {
            None => Box::new(self.tcp(&self.host, self.port).await?) as Box<dyn Stream>,
            Some(proxy) => self.tunnel(proxy).await?,
        };
        let stream = match self.plain {
            true => stream,
            false => self.handshake(&self.host, stream).await?,
        };
        match self.transport {
            Transport::Amqp => Ok(stream),
            Transport::WebSocket => {
                let scheme = if self.plain { "ws" } else { "wss" };
                let url = match self.port {
                    443 => format!("{scheme}://{}", self.host),
                    port => format!("{scheme}://{}:{port}", self.host),
                };
                let upgraded = self.step(websocket::upgrade(&url, stream)).await?;
                let upgraded = upgraded.map_err(|why| self.refused(why))?;
                Ok(Box::new(upgraded))
            }
        }
    }

    async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let connected = self.step(TcpStream::connect((host, port))).await?;
        let stream = connected.map_err(|error| self.fault(&error))?;
        stream.set_nodelay(true).ok();
        Ok(stream)
    }

    async fn handshake<S: Stream + 'static>(
        &self,
        host: &str,
        stream: S,
    ) -> Result<Box<dyn Stream>, Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Error::new(
                LogErrorClass::Stop,
                format!("\"{}\" is no host name", line(host)),
                None,
            )
        })?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let shaken = self.step(connector.connect(name, stream)).await?;
        let stream = shaken.map_err(|error| self.fault(&error))?;
        Ok(Box::new(stream))
    }

    /// Through the proxy, by CONNECT.
    async fn tunnel(&self, proxy: &Proxy) -> Result<Box<dyn Stream>, Error> {
        let host = proxy.url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = proxy.url.port_or_known_default().unwrap_or(80);
        let stream = self.tcp(host, port).await?;
        let mut stream = match proxy.url.scheme() {
            "https" => self.handshake(host, stream).await?,
            _ => Box::new(stream) as Box<dyn Stream>,
        };
        let request = connect(&self.host, self.port, proxy).map_err(|why| self.refused(why))?;
        let asked = async {
            stream.write_all(&request).await?;
            stream.flush().await?;
            head(&mut stream).await
        };
        let head = self
            .step(asked)
            .await?
            .map_err(|error| self.fault(&error))?;
        match status(&head) {
            Some(200..=299) => Ok(stream),
            Some(status) => Err(self.no_tunnel(status)),
            None => Err(self.refused("what answers there is no HTTP proxy".to_owned())),
        }
    }

    async fn step<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let done = tokio::time::timeout(STEP, work).await;
        done.map_err(|_| self.error(Trouble::Timeout, "no answer in time"))
    }

    fn no_tunnel(&self, status: u16) -> Error {
        let class = match status {
            408 | 429 | 500.. => LogErrorClass::Passing,
            _ => LogErrorClass::Stop,
        };
        let advice = match status {
            407 => "set username and password of the proxy in the proxy setting",
            _ => {
                "let the proxy allow CONNECT to this host and port, or choose transport = websocket (port 443)"
            }
        };
        let what = format!("{}: the proxy answered {status} to CONNECT", self.place());
        Error::new(class, what, advice)
    }

    /// What will not be otherwise until somebody changes something.
    fn refused(&self, why: String) -> Error {
        let what = format!("{}: {}", self.place(), line(&why));
        let advice = "check event_hub_namespace, transport, and what answers under this name";
        Error::new(LogErrorClass::Passing, what, advice)
    }

    fn fault(&self, error: &io::Error) -> Error {
        let inner = error.get_ref();
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let trouble = match (tls, error.kind()) {
            (Some(tls), _) => certificate(tls),
            (None, io::ErrorKind::ConnectionRefused) => Trouble::Refused,
            (None, io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                Trouble::Unreachable
            }
            (None, io::ErrorKind::TimedOut) => Trouble::Timeout,
            (None, io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => Trouble::Reset,
            // The resolver has no kind of its own.
            (None, _) if error.raw_os_error().is_none() => Trouble::Dns,
            (None, _) => Trouble::Other,
        };
        self.error(trouble, &error.to_string())
    }

    fn error(&self, trouble: Trouble, cause: &str) -> Error {
        let class = match trouble.lasting() {
            true => LogErrorClass::Stop,
            false => LogErrorClass::Passing,
        };
        let blocked = matches!(
            trouble,
            Trouble::Timeout | Trouble::Refused | Trouble::Unreachable | Trouble::Reset
        );
        let advice = match self.transport {
            Transport::Amqp if blocked => Some(
                "let the firewall pass TCP 5671 to this host, set the proxy, or choose transport = websocket \
                 (port 443)",
            ),
            _ => trouble.advice(),
        };
        let what = format!("{}: {} ({})", self.place(), trouble.what(), line(cause));
        Error::new(class, what, advice)
    }

    /// The namespace, and the proxy before it.
    fn place(&self) -> String {
        let there = format!("{}:{}", self.host, self.port);
        match &self.proxy {
            Some(proxy) => format!("{there}, through proxy {}", place(&proxy.url)),
            None => there,
        }
    }
}

/// Whether a host is this machine.
fn is_here(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Microsoft's roots and the host's, as the HTTP client trusts them.
fn tls(extra: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|e| format!("ca_file {shown} cannot be read: {e}"))?;
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match roots {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        _ => Err(format!(
            "ca_file {shown} holds no certificate (a block \"BEGIN CERTIFICATE\")"
        )),
    }
}

/// Whether the proxy's exceptions leave this host to it: the rules of the HTTP client.
fn leads_to(proxy: &Proxy, host: &str) -> bool {
    let rules = Matcher::builder()
        .all(proxy.url.as_str())
        .no(exceptions(&proxy.no_proxy))
        .build();
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    let target = format!("https://{host}/").parse::<Uri>();
    target.is_ok_and(|target| rules.intercept(&target).is_some())
}

fn connect(host: &str, port: u16, proxy: &Proxy) -> Result<Vec<u8>, String> {
    let mut request =
        format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(name) = &proxy.username {
        let header = basic(name, proxy.password.as_ref() as Option<&SecretString>)?;
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(header.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    Ok(request)
}

/// The head of an answer, byte by byte: what follows is the tunnel's.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MOST_HEAD {
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// The status of an HTTP answer.
pub(super) fn status(head: &[u8]) -> Option<u16> {
    let first = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(first).ok()?.split(' ');
    let version = words.next()?;
    let code = words.next().filter(|_| version.starts_with("HTTP/1."))?;
    code.parse()
        .ok()
        .filter(|status| (100..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use url::Url;

    fn proxy(no_proxy: &str) -> Proxy {
        Proxy {
            url: Url::parse("http://proxy.corp:8080").unwrap(),
            username: Some("splunk".to_owned()),
            password: Some("pa:ss".into()),
            no_proxy: no_proxy.to_owned(),
        }
    }

    #[test]
    fn a_proxys_exceptions_are_those_of_the_http_client() {
        let host = "contoso.servicebus.windows.net";
        for (no_proxy, leads) in [
            ("", true),
            ("*.windows.net", false),
            (".servicebus.windows.net other", false),
            ("contoso.servicebus.windows.net", false),
            ("windows.net.example", true),
            ("*", false),
        ] {
            assert_eq!(leads_to(&proxy(no_proxy), host), leads, "{no_proxy}");
        }
        assert!(!leads_to(&proxy("10.0.0.0/8"), "10.1.2.3"));
    }

    #[test]
    fn a_proxy_is_asked_with_name_and_password_as_they_stand() {
        let request = connect("contoso.example", 5671, &proxy("")).unwrap();
        let request = String::from_utf8(request).unwrap();
        assert_eq!(
            request,
            "CONNECT contoso.example:5671 HTTP/1.1\r\nHost: contoso.example:5671\r\n\
             Proxy-Authorization: Basic c3BsdW5rOnBhOnNz\r\n\r\n"
        );
    }

    #[test]
    fn the_status_of_an_answer_is_read_or_there_is_none() {
        assert_eq!(
            status(b"HTTP/1.1 200 Connection established\r\n\r\n"),
            Some(200)
        );
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(407));
        for text in [
            "",
            "HTTP/2 200",
            "SSH-2.0-x\r\n",
            "HTTP/1.1 abc\r\n",
            "HTTP/1.1 99\r\n",
        ] {
            assert_eq!(status(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_fall(head in proptest::collection::vec(any::<u8>(), 0..80)) {
            status(&head);
        }
    }
}
