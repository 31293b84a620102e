//! An account: who signs in, how, to which cloud and by which road.
//!
//! Settings come in as the text somebody wrote ([`Written`]); here the text
//! gets its meaning or is refused. Where it was written is not known here.

use crate::defender::assertion::Certificate;
use crate::defender::cloud::{Cloud, Hosts};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use url::Url;

/// A validated account.
#[derive(Debug, Clone)]
pub struct Account {
    pub name: String,
    pub tenant_id: String,
    /// The application's id; for a managed identity the user-assigned identity's,
    /// empty for the system-assigned one.
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
    pub url: Url,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// Hosts, domains and networks reached without it, comma separated.
    pub no_proxy: String,
}

/// An account as it was written: one text per setting, empty where there is none.
#[derive(Debug, Clone, Default)]
pub struct Written {
    pub tenant_id: String,
    pub client_id: String,
    pub auth: String,
    pub cloud: String,
    pub login_url: String,
    pub graph_url: String,
    pub mde_url: String,
    pub xdr_url: String,
    pub ca_file: String,
    pub read_only: String,
    /// The client secret, or the certificate with its private key.
    pub secret: Option<SecretString>,
    /// `url` of the proxy; empty for none.
    pub proxy_url: String,
    pub proxy_username: String,
    pub proxy_password: Option<SecretString>,
    pub no_proxy: String,
}

/// Why a setting was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("account {account}: {key}: {why}")]
pub struct Refusal {
    pub account: String,
    /// The setting's name.
    pub key: &'static str,
    /// What is wrong with it and what to write instead.
    pub why: String,
}

impl Account {
    /// Text → meaning. `environment` is asked for `AZURE_TENANT_ID` and
    /// `AZURE_CLIENT_ID`, where a workload identity leaves them to its platform.
    pub fn parse(
        name: &str,
        written: &Written,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Account, Refusal> {
        let refuse = |key, why: String| Refusal {
            account: name.to_string(),
            key,
            why,
        };
        let auth = Method::parse(&written.auth).map_err(|why| refuse("auth", why))?;
        let from_platform = |text: &str, variable| match (text.trim(), auth) {
            ("", Method::WorkloadIdentity) => environment(variable).unwrap_or_default(),
            (text, _) => text.to_string(),
        };
        let tenant_id = from_platform(&written.tenant_id, "AZURE_TENANT_ID");
        check_tenant(&tenant_id).map_err(|why| refuse("tenant_id", why))?;
        let client_id = from_platform(&written.client_id, "AZURE_CLIENT_ID");
        if !(client_id.is_empty() && auth == Method::ManagedIdentity) {
            check_client(&client_id).map_err(|why| refuse("client_id", why))?;
        }
        Ok(Account {
            name: name.to_string(),
            tenant_id,
            client_id,
            auth: auth
                .with(written.secret.as_ref())
                .map_err(|why| refuse("secret", why))?,
            cloud: cloud(written).map_err(|(key, why)| refuse(key, why))?,
            ca_file: match written.ca_file.trim() {
                "" => None,
                path => Some(PathBuf::from(path)),
            },
            proxy: proxy(written).map_err(|(key, why)| refuse(key, why))?,
            read_only: switch(&written.read_only).map_err(|why| refuse("read_only", why))?,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Secret,
    Certificate,
    ManagedIdentity,
    WorkloadIdentity,
}

impl Method {
    fn parse(text: &str) -> Result<Method, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "secret" => Ok(Method::Secret),
            "certificate" => Ok(Method::Certificate),
            "managed_identity" => Ok(Method::ManagedIdentity),
            "workload_identity" => Ok(Method::WorkloadIdentity),
            _ => Err(format!(
                "\"{}\" is not one of secret, certificate, managed_identity, workload_identity",
                text.trim()
            )),
        }
    }

    fn with(self, secret: Option<&SecretString>) -> Result<Auth, String> {
        // A pasted secret brings blanks and line ends that are never part of it.
        let given = secret.map(|text| text.expose_secret().trim());
        match (self, given) {
            (Method::ManagedIdentity, _) => Ok(Auth::ManagedIdentity),
            (Method::WorkloadIdentity, _) => Ok(Auth::WorkloadIdentity),
            (Method::Secret, None | Some("")) => {
                Err("there is none: store the client secret's Value for this account".to_string())
            }
            (Method::Certificate, None | Some("")) => Err(
                "there is none: store the private key and the certificate (PEM) for this account"
                    .to_string(),
            ),
            (Method::Secret, Some(text)) => Ok(Auth::Secret(text.into())),
            (Method::Certificate, Some(text)) => {
                Certificate::parse(text)?;
                Ok(Auth::Certificate(text.into()))
            }
        }
    }
}

fn check_tenant(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(
            "missing: write the directory (tenant) id, a GUID, or a verified domain".into(),
        );
    }
    if ["common", "organizations", "consumers"].contains(&text.to_ascii_lowercase().as_str()) {
        return Err(format!(
            "\"{text}\" names no tenant: write the directory (tenant) id or a verified domain"
        ));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if !text.chars().all(fits) || !text.contains(|c: char| c.is_ascii_alphanumeric()) {
        return Err(format!(
            "\"{}\" is neither a GUID nor a domain name",
            text.escape_debug()
        ));
    }
    Ok(())
}

fn check_client(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("missing: write the application (client) id, a GUID".into());
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !text.chars().all(fits) {
        return Err(format!(
            "\"{}\" is no application (client) id, which is a GUID",
            text.escape_debug()
        ));
    }
    Ok(())
}

fn cloud(written: &Written) -> Result<Cloud, (&'static str, String)> {
    let urls = [
        ("login_url", &written.login_url),
        ("graph_url", &written.graph_url),
        ("mde_url", &written.mde_url),
        ("xdr_url", &written.xdr_url),
    ];
    let known = match written.cloud.trim().to_ascii_lowercase().as_str() {
        "" | "commercial" => Cloud::Commercial,
        "gcc" => Cloud::Gcc,
        "gcc_high" => Cloud::GccHigh,
        "dod" => Cloud::Dod,
        "custom" => {
            let [login, graph, mde, xdr] = urls.map(|(key, text)| base(key, text));
            return Ok(Cloud::Custom(Box::new(Hosts {
                login: login?,
                graph: graph?,
                mde: mde?,
                xdr: xdr?,
            })));
        }
        other => {
            return Err((
                "cloud",
                format!("\"{other}\" is not one of commercial, gcc, gcc_high, dod, custom"),
            ));
        }
    };
    match urls.iter().find(|(_, text)| !text.trim().is_empty()) {
        Some((key, _)) => Err((key, "only used with cloud = custom: remove it".to_string())),
        None => Ok(known),
    }
}

fn base(key: &'static str, text: &str) -> Result<Url, (&'static str, String)> {
    let text = text.trim();
    let refuse = |why: String| (key, why);
    if text.is_empty() {
        return Err(refuse(
            "missing: cloud = custom needs an https URL here".to_string(),
        ));
    }
    let url = Url::parse(text)
        .map_err(|e| refuse(format!("\"{}\" is no URL: {e}", text.escape_debug())))?;
    // Not repeated in the refusal: a password may stand in it.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(
            "a user name or password does not belong in it".to_string(),
        ));
    }
    if url.scheme() != "https" || url.host_str().is_none() {
        return Err(refuse(format!("\"{text}\" must begin with https://")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse(format!(
            "\"{text}\" must end with its path, without ? or #"
        )));
    }
    Ok(url)
}

fn proxy(written: &Written) -> Result<Option<Proxy>, (&'static str, String)> {
    let text = written.proxy_url.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let refuse = |why: String| ("proxy url", why);
    // "proxy:8080" parses as a URL with the scheme "proxy".
    let text = match text.contains("://") {
        true => text.to_string(),
        false => format!("http://{text}"),
    };
    let url = Url::parse(&text).map_err(|e| refuse(format!("it is no URL: {e}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(
            "user name and password have settings of their own: take them out of the URL"
                .to_string(),
        ));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refuse(format!(
            "\"{text}\" must begin with http:// or https://"
        )));
    }
    let username = match written.proxy_username.trim() {
        "" => None,
        name => Some(name.to_string()),
    };
    Ok(Some(Proxy {
        url,
        password: match username {
            Some(_) => written.proxy_password.clone(),
            None => None,
        },
        username,
        no_proxy: written.no_proxy.trim().to_string(),
    }))
}

fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Ok(true),
        "" | "0" | "false" | "f" | "no" | "n" | "off" => Ok(false),
        other => Err(format!(
            "\"{}\" is neither true nor false",
            other.escape_debug()
        )),
    }
}
