//! The way to splunkd: which address may be spoken to, how its certificate is
//! taken, and what a failure on the way was.

use super::SplunkdError;
use reqwest::{Client, Url};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_rustls::rustls::{self, AlertDescription, CertificateError};
use url::Host;

/// Time to connect, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// Time for one answer: an overloaded search head takes 20 s and more. Who is
/// less patient waits less, but never less than the first.
const ANSWER: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(25)];

/// How long one answer is waited for.
pub(super) fn answer_within(patience: Duration) -> Duration {
    let [least, most] = ANSWER;
    patience.clamp(least, most)
}

/// How splunkd's certificate is taken.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Verify it on this machine too, where otherwise any is accepted: it is
    /// splunkd's own, from a CA of its own, and does not name the host.
    pub verify: bool,
    /// A CA trusted beside those of the system, if the file is there.
    pub ca_file: Option<PathBuf>,
}

impl Tls {
    /// With the CA of the Splunk installation.
    pub fn of_splunk(verify: bool, splunk_home: Option<&Path>) -> Self {
        let ca = |home: &Path| home.join("etc").join("auth").join("cacert.pem");
        Self {
            verify,
            ca_file: splunk_home.map(ca),
        }
    }
}

/// How this splunkd is reached, as it may be told to anybody: no name, no address.
#[derive(Debug, Clone)]
pub struct Connection {
    pub scheme: String,
    /// `loopback`, `this machine` or `another machine`.
    pub place: &'static str,
    pub port: Option<u16>,
    /// Whether its certificate is verified, where there is one.
    pub verified: bool,
    /// Its host, so that it can be struck out of what is told.
    pub host: String,
}

impl Connection {
    pub(super) fn of(base: &Url, tls: &Tls) -> Self {
        let own = is_this_machine(base);
        let loops = match base.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => IpAddr::from(ip).to_canonical().is_loopback(),
            _ => own,
        };
        Self {
            scheme: base.scheme().to_owned(),
            place: match (loops, own) {
                (true, _) => "loopback",
                (false, true) => "this machine",
                (false, false) => "another machine",
            },
            port: base.port_or_known_default(),
            verified: tls.verify || !own,
            host: base.host_str().unwrap_or_default().to_owned(),
        }
    }
}

/// The address, if a session key may be sent there.
pub(super) fn address(server_uri: &str) -> Result<Url, SplunkdError> {
    let refuse = |why| SplunkdError::Address {
        uri: shown(server_uri),
        why,
    };
    let mut url = Url::parse(server_uri).map_err(|_| refuse("it is no URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("a user name or password does not belong in it"));
    }
    match url.scheme() {
        "https" => {}
        "http" if is_this_machine(&url) => {}
        "http" => {
            return Err(refuse(
                "over plain http the session key would leave this machine readable to others",
            ));
        }
        _ => return Err(refuse("it must begin with https://")),
    }
    // Where splunkd listens everywhere, it listens on loopback; not every
    // system takes the address that means everywhere for one to connect to.
    let loopback: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(ip)) if ip.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
        Some(Host::Ipv6(ip)) if ip.is_unspecified() => Some(Ipv6Addr::LOCALHOST.into()),
        _ => None,
    };
    if let Some(ip) = loopback {
        url.set_ip_host(ip).map_err(|()| refuse("it is no URL"))?;
    }
    // Else what is joined to it takes the place of its last part.
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// An address as a message may show it: it may be anybody's, with a password in it.
fn shown(uri: &str) -> String {
    let short: String = uri.chars().take(200).collect();
    match uri.rsplit_once('@') {
        Some((_, host)) => format!("…@{}", host.chars().take(200).collect::<String>()),
        None => short,
    }
}

pub(super) fn client(base: &Url, tls: &Tls) -> Result<Client, SplunkdError> {
    let mut builder = Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT);
    if !tls.verify && is_this_machine(base) {
        // No trust store is read on this path: it is part of every poll.
        builder = builder.tls_danger_accept_invalid_certs(true);
    } else if let Some(file) = tls.ca_file.as_deref().filter(|file| file.exists()) {
        builder = builder.tls_certs_merge(certificates(file)?);
    }
    builder
        .build()
        .map_err(|error| SplunkdError::Client(chain(&error)))
}

/// Whether what is sent there stays on this machine. splunkd may be bound to
/// one of its other addresses (`SPLUNK_BINDIP`). Names count only if they cannot
/// be made to lead elsewhere.
pub(super) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => is_own(ip.into()),
        Some(Host::Ipv6(ip)) => is_own(ip.into()),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

fn is_own(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ip.is_unspecified() || is_assigned(ip)
}

/// Whether it is an address of this machine: only then a packet to it would
/// bear it as its source as well. Nothing is sent. That it can be bound to
/// would prove less (`net.ipv4.ip_nonlocal_bind`).
fn is_assigned(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        // Any port but 0: none is reached.
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

fn certificates(file: &Path) -> Result<Vec<reqwest::Certificate>, SplunkdError> {
    let refuse = |cause: String| SplunkdError::CaFile {
        file: file.display().to_string(),
        cause,
    };
    let pem = std::fs::read(file).map_err(|error| refuse(error.to_string()))?;
    reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| refuse(chain(&error)))
}

/// Whether nobody took the connection.
pub(super) fn was_refused(error: &(dyn Error + 'static)) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// What TLS failed at, where asking again would not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasting {
    Certificate,
    Sha1,
    /// splunkd wanted something of us that we do not have.
    Handshake,
}

pub(super) fn lasting(error: &(dyn Error + 'static)) -> Option<Lasting> {
    causes(error).find_map(tls).and_then(judged)
}

fn judged(error: &rustls::Error) -> Option<Lasting> {
    use AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id,
                ..
            },
        ) if SHA1.contains(&signature_algorithm_id.as_slice()) => Some(Lasting::Sha1),
        rustls::Error::InvalidCertificate(_) => Some(Lasting::Certificate),
        rustls::Error::AlertReceived(
            Alert::CertificateRequired | Alert::HandshakeFailure | Alert::ProtocolVersion,
        ) => Some(Lasting::Handshake),
        _ => None,
    }
}

/// sha1WithRSAEncryption and ecdsa-with-SHA1, as certificates name them.
const SHA1: [&[u8]; 2] = [
    &[
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05,
    ],
    &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01],
];

/// An error with all its causes, in one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let words: Vec<String> = causes(error).map(ToString::to_string).collect();
    words.join(": ")
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// An I/O error hides the one it wraps from `source()`, and may wrap another.
fn tls<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut error = error;
    while let Some(inner) = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        error = inner;
    }
    error.downcast_ref()
}
