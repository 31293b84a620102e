//! An account: who signs in, how, to which cloud and by which road.

use crate::defender::cloud::Cloud;
use secrecy::SecretString;
use std::path::PathBuf;

/// A validated account.
#[derive(Debug, Clone)]
pub struct Account {
    pub name: String,
    pub tenant_id: String,
    pub client_id: String,
    pub auth: Auth,
    pub cloud: Cloud,
    /// PEM bundle trusted beside the system's roots.
    pub ca_file: Option<PathBuf>,
    pub proxy: Option<Proxy>,
    /// Refuses every write.
    pub read_only: bool,
}

/// How the account proves who it is.
#[derive(Debug, Clone)]
pub enum Auth {
    Secret(SecretString),
    /// PEM: private key and certificate.
    Certificate(SecretString),
    ManagedIdentity,
    WorkloadIdentity,
}

/// The proxy on the way to Microsoft.
#[derive(Debug, Clone)]
pub struct Proxy {
    pub url: url::Url,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// Hosts reached without it, comma separated.
    pub no_proxy: String,
}
