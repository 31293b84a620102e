//! The way to a host of Azure's: its name, TCP, an HTTP proxy where there is one, TLS.
//! Each step is told apart, for whoever looks why there is none.

use super::finding::{Finding, Findings};
use crate::ingest::stream::LogErrorClass;
use crate::microsoft::account::{Account, Proxy};
use crate::microsoft::http::advice::Trouble;
use crate::microsoft::http::error::line;
use crate::microsoft::http::transport::{basic, certificate, exceptions, place};
use hyper_util::client::proxy::matcher::Matcher;
use rustls_platform_verifier::Verifier;
use secrecy::SecretString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
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
/// Most that is taken from the socket at once.
const RECEIVED: usize = 64 << 10;

/// Steps of the way, as checks name them.
const NAME: &str = "name";
const PORT: &str = "port";
const PROXY: &str = "proxy";
const TLS: &str = "TLS";

/// Whatever bytes go through.
pub(super) trait Stream: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin> Stream for S {}

/// No way to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoWay {
    step: &'static str,
    pub(super) class: LogErrorClass,
    pub(super) what: String,
    pub(super) advice: Option<&'static str>,
}

/// Where a way leads.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    /// Without TLS, to this machine alone.
    pub(super) plain: bool,
    /// What to do where a firewall stands between.
    pub(super) blocked: Option<&'static str>,
    /// What to do where something else answers.
    pub(super) strange: &'static str,
}

/// Dials one host.
pub(super) struct Dialer {
    place: Place,
    tls: Arc<ClientConfig>,
    /// Where the proxy's rules say so.
    proxy: Option<Proxy>,
}

/// Hears of each step that went well.
type Tell<'t> = &'t mut (dyn FnMut(&'static str, String) + Send);

impl Dialer {
    pub(super) fn new(account: &Account, place: Place) -> Result<Self, NoWay> {
        let refuse = |what: String| NoWay {
            step: NAME,
            class: LogErrorClass::Stop,
            what: format!("account {}: {what}", account.name),
            advice: None,
        };
        let extra = match &account.ca_file {
            Some(path) => roots(path).map_err(refuse)?,
            None => Vec::new(),
        };
        let tls = tls(extra).map_err(|e| refuse(format!("no TLS: {}", line(&e.to_string()))))?;
        let proxy = account.proxy.clone();
        Ok(Self {
            tls: Arc::new(tls),
            proxy: proxy.filter(|proxy| leads_to(proxy, &place.host)),
            place,
        })
    }

    /// A connection to the host.
    pub(super) async fn dial(&self) -> Result<Box<dyn Stream>, NoWay> {
        self.step_by_step(&mut |_, _| {}).await
    }

    /// The same, and a finding for each step, up to the first that fails.
    pub(super) async fn dial_telling(
        &self,
        findings: &mut Findings,
    ) -> Result<Box<dyn Stream>, NoWay> {
        let mut tell = |step: &'static str, text: String| findings.good(step, text);
        let dialled = self.step_by_step(&mut tell).await;
        if let Err(no_way) = &dialled {
            findings.add(no_way.finding());
        }
        dialled
    }

    async fn step_by_step(&self, tell: Tell<'_>) -> Result<Box<dyn Stream>, NoWay> {
        let Place { host, port, .. } = &self.place;
        let stream = match &self.proxy {
            None => Box::new(self.tcp(host, *port, tell).await?) as Box<dyn Stream>,
            Some(proxy) => self.tunnel(proxy, tell).await?,
        };
        if self.place.plain {
            return Ok(stream);
        }
        let stream = self.handshake(host, stream).await?;
        tell(TLS, format!("the certificate of {host} is trusted"));
        Ok(stream)
    }

    /// TLS reads 4 kB at a time, so what came is taken from the socket in larger pieces.
    async fn tcp(
        &self,
        host: &str,
        port: u16,
        tell: Tell<'_>,
    ) -> Result<BufReader<TcpStream>, NoWay> {
        let found = self
            .step(NAME, tokio::net::lookup_host((host, port)))
            .await?;
        let addresses: Vec<SocketAddr> = match found {
            Ok(found) => found.collect(),
            Err(error) => return Err(self.error(NAME, Trouble::Dns, &error.to_string())),
        };
        let shown: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
        tell(NAME, format!("{host} is {}", shown.join(", ")));
        let connected = self
            .step(PORT, TcpStream::connect(addresses.as_slice()))
            .await?;
        let stream = connected.map_err(|error| self.fault(PORT, &error))?;
        stream.set_nodelay(true).ok();
        tell(PORT, format!("{host}:{port} takes connections"));
        Ok(BufReader::with_capacity(RECEIVED, stream))
    }

    async fn handshake<S: Stream + 'static>(
        &self,
        host: &str,
        stream: S,
    ) -> Result<Box<dyn Stream>, NoWay> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| NoWay {
            step: TLS,
            class: LogErrorClass::Stop,
            what: format!("\"{}\" is no host name", line(host)),
            advice: None,
        })?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let shaken = self.step(TLS, connector.connect(name, stream)).await?;
        let stream = shaken.map_err(|error| self.fault(TLS, &error))?;
        Ok(Box::new(stream))
    }

    /// Through the proxy, by CONNECT.
    async fn tunnel(&self, proxy: &Proxy, tell: Tell<'_>) -> Result<Box<dyn Stream>, NoWay> {
        let host = proxy.url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = proxy.url.port_or_known_default().unwrap_or(80);
        let stream = self.tcp(host, port, tell).await?;
        let mut stream = match proxy.url.scheme() {
            "https" => self.handshake(host, stream).await?,
            _ => Box::new(stream) as Box<dyn Stream>,
        };
        let request = connect(&self.place.host, self.place.port, proxy);
        let request = request.map_err(|why| self.refused(PROXY, why))?;
        let asked = async {
            stream.write_all(&request).await?;
            stream.flush().await?;
            head(&mut stream).await
        };
        let head = self.step(PROXY, asked).await?;
        let head = head.map_err(|error| self.fault(PROXY, &error))?;
        match status(&head) {
            Some(200..=299) => {
                tell(PROXY, format!("{} lets CONNECT through", place(&proxy.url)));
                Ok(stream)
            }
            Some(status) => Err(self.no_tunnel(status)),
            None => Err(self.refused(PROXY, "what answers there is no HTTP proxy".to_owned())),
        }
    }

    /// Bounds the time of one step.
    pub(super) async fn step<T>(
        &self,
        step: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, NoWay> {
        let done = tokio::time::timeout(STEP, work).await;
        done.map_err(|_| {
            let what = format!("within {} s", STEP.as_secs());
            self.error(step, Trouble::Timeout, &what)
        })
    }

    fn no_tunnel(&self, status: u16) -> NoWay {
        let class = match status {
            408 | 429 | 500.. => LogErrorClass::Passing,
            _ => LogErrorClass::Stop,
        };
        let advice = match status {
            407 => "set username and password of the proxy in the proxy setting",
            _ if self.place.port == 443 => "let the proxy allow CONNECT to this host and port",
            _ => {
                "let the proxy allow CONNECT to this host and port, or choose transport = websocket (port 443)"
            }
        };
        NoWay {
            step: PROXY,
            class,
            what: format!("{}: the proxy answered {status} to CONNECT", self.place()),
            advice: Some(advice),
        }
    }

    /// Something else answers than should.
    pub(super) fn refused(&self, step: &'static str, why: String) -> NoWay {
        NoWay {
            step,
            class: LogErrorClass::Passing,
            what: format!("{}: {}", self.place(), line(&why)),
            advice: Some(self.place.strange),
        }
    }

    fn fault(&self, step: &'static str, error: &io::Error) -> NoWay {
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
            (None, _) => Trouble::Other,
        };
        self.error(step, trouble, &error.to_string())
    }

    fn error(&self, step: &'static str, trouble: Trouble, cause: &str) -> NoWay {
        let class = match trouble.lasting() {
            true => LogErrorClass::Stop,
            false => LogErrorClass::Passing,
        };
        let blocked = matches!(
            trouble,
            Trouble::Timeout | Trouble::Refused | Trouble::Unreachable | Trouble::Reset
        );
        let advice = match self.place.blocked {
            Some(advice) if blocked => Some(advice),
            _ => trouble.advice(),
        };
        NoWay {
            step,
            class,
            what: format!("{}: {} ({})", self.place(), trouble.what(), line(cause)),
            advice,
        }
    }

    /// The host, and the proxy before it.
    fn place(&self) -> String {
        let there = format!("{}:{}", self.place.host, self.place.port);
        match &self.proxy {
            Some(proxy) => format!("{there}, through proxy {}", place(&proxy.url)),
            None => there,
        }
    }
}

impl NoWay {
    pub(super) fn finding(&self) -> Finding {
        Finding::bad(self.step, self.what.clone(), self.advice.map(str::to_owned))
    }
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
