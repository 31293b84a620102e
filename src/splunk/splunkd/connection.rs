//! The way to splunkd: which address may be spoken to, how its certificate is
//! taken, and what a failure on the way was.

use super::SplunkdError;
use reqwest::{Client, Url};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_rustls::rustls;

/// The longest one call may take.
const CALL: Duration = Duration::from_secs(15);

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

/// The address, if a session key may be sent there.
pub(super) fn address(server_uri: &str) -> Result<Url, SplunkdError> {
    let refuse = |why| SplunkdError::Address {
        uri: server_uri.chars().take(200).collect(),
        why,
    };
    let url = Url::parse(server_uri).map_err(|_| refuse("it is no URL"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(refuse(
            "over plain http the session key would leave this machine readable to others",
        )),
        _ => Err(refuse("it must begin with https://")),
    }
}

pub(super) fn client(base: &Url, tls: &Tls) -> Result<Client, SplunkdError> {
    let mut builder = Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(CALL);
    if is_loopback(base) && !tls.verify {
        // No trust store is read on this path: it is part of every poll.
        builder = builder.tls_danger_accept_invalid_certs(true);
    } else if let Some(file) = tls.ca_file.as_deref().filter(|file| file.exists()) {
        builder = builder.tls_certs_merge(certificates(file)?);
    }
    builder
        .build()
        .map_err(|error| SplunkdError::Client(chain(&error)))
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
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

/// Whether splunkd's certificate is why it failed.
pub(super) fn failed_verification(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(is_certificate)
}

/// An error with all its causes, in one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let words: Vec<String> = causes(error).map(ToString::to_string).collect();
    words.join(": ")
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// An I/O error hides the one it wraps from `source()`, and may wrap another.
fn is_certificate(error: &(dyn Error + 'static)) -> bool {
    let mut error = error;
    while let Some(inner) = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        error = inner;
    }
    matches!(
        error.downcast_ref::<rustls::Error>(),
        Some(rustls::Error::InvalidCertificate(_))
    )
}
