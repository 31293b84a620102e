//! An account: who signs in, how, to which cloud and through which proxy.
//!
//! Settings come in as the text somebody wrote ([`AccountStanza`]); here the text
//! gets its meaning or is refused. Where it was written is not known here.

pub mod certificate;
pub mod cloud;
pub mod connection_string;

use crate::microsoft::account::certificate::Certificate;
use crate::microsoft::account::cloud::{Cloud, Hosts};
use crate::microsoft::account::connection_string::ConnectionString;
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
    /// For event hubs and storage alone; no API of Defender takes it.
    ConnectionString(Box<ConnectionString>),
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
pub struct AccountStanza {
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
    /// The client secret, the certificate with its private key, or the connection string.
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
        written: &AccountStanza,
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
        // Who holds a connection string names no tenant.
        let needs_none = auth == Method::ConnectionString;
        if !(tenant_id.is_empty() && needs_none) {
            check_tenant(&tenant_id).map_err(|why| refuse("tenant_id", why))?;
        }
        let client_id = from_platform(&written.client_id, "AZURE_CLIENT_ID");
        if !(client_id.is_empty() && (auth == Method::ManagedIdentity || needs_none)) {
            check_client(&client_id).map_err(|why| refuse("client_id", why))?;
        }
        Ok(Account {
            name: name.to_string(),
            tenant_id,
            client_id,
            auth: auth
                .with(written.secret.as_ref())
                .map_err(|why| refuse("secret", why))?,
            cloud: cloud(written, needs_none).map_err(|(key, why)| refuse(key, why))?,
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
    ConnectionString,
}

impl Method {
    fn parse(text: &str) -> Result<Method, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "secret" => Ok(Method::Secret),
            "certificate" => Ok(Method::Certificate),
            "managed_identity" => Ok(Method::ManagedIdentity),
            "workload_identity" => Ok(Method::WorkloadIdentity),
            "connection_string" => Ok(Method::ConnectionString),
            _ => Err(format!(
                "\"{}\" is not one of secret, certificate, managed_identity, workload_identity, \
                 connection_string",
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
            (Method::ConnectionString, None | Some("")) => Err(
                "there is none: store the connection string of the event hub or storage account for this account"
                    .to_string(),
            ),
            (Method::Secret, Some(text)) => Ok(Auth::Secret(text.into())),
            (Method::ConnectionString, Some(text)) => {
                let connection = ConnectionString::parse(text)?;
                Ok(Auth::ConnectionString(Box::new(connection)))
            }
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

/// `alone`: nobody signs in there.
fn cloud(written: &AccountStanza, alone: bool) -> Result<Cloud, (&'static str, String)> {
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
            let [login, graph, mde, xdr] = urls.map(|(key, text)| match text.trim() {
                "" => Ok(None),
                text => base(key, text).map(Some),
            });
            let missing =
                |what: &str| format!("missing: cloud = custom needs the https URL of {what}");
            let login = login?;
            if login.is_none() && !alone {
                return Err(("login_url", missing("its sign-in service")));
            }
            let (graph, mde, xdr) = (graph?, mde?, xdr?);
            return Ok(Cloud::Custom(Box::new(Hosts {
                login,
                graph,
                mde,
                xdr,
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
    let refuse = |why: String| (key, why);
    let url = Url::parse(text).map_err(|e| {
        refuse(format!(
            "\"{}\" is no URL ({e}): it must begin with https://",
            shown(text).escape_debug()
        ))
    })?;
    // Not repeated in the refusal: a password may stand in it.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(
            "a user name or password does not belong in it".to_string(),
        ));
    }
    let shown = shown(text);
    if url.scheme() != "https" || url.host_str().is_none() {
        return Err(refuse(format!("\"{shown}\" must begin with https://")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse(format!(
            "\"{shown}\" must end with its path, without ? or #"
        )));
    }
    Ok(url)
}

/// An address as a refusal may repeat it: without what may be a password, or the
/// signature of a query.
fn shown(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let plain = text.get(..end).unwrap_or_default();
    match plain.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => plain.to_string(),
    }
}

fn proxy(written: &AccountStanza) -> Result<Option<Proxy>, (&'static str, String)> {
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
            "\"{}\" must begin with http:// or https://",
            shown(&text)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::microsoft::account::certificate::tests::PAIR;
    use proptest::prelude::*;

    fn written() -> AccountStanza {
        AccountStanza {
            tenant_id: "7b795fb9-09d3-42f4-a494-38864f99ba3c".into(),
            client_id: "00000003-0000-0000-c000-000000000000".into(),
            secret: Some(" s3cr3t-Value\n".into()),
            ..AccountStanza::default()
        }
    }

    fn parse(written: &AccountStanza) -> Result<Account, Refusal> {
        Account::parse("soc", written, |_| None)
    }

    fn refused(change: impl FnOnce(&mut AccountStanza)) -> String {
        let mut written = written();
        change(&mut written);
        parse(&written).unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_means_secret_and_commercial() {
        let account = parse(&written()).unwrap();
        assert_eq!(account.cloud, Cloud::Commercial);
        assert!(!account.read_only && account.proxy.is_none() && account.ca_file.is_none());
        assert!(
            matches!(&account.auth, Auth::Secret(text) if text.expose_secret() == "s3cr3t-Value")
        );
    }

    #[test]
    fn everything_written_is_understood() {
        let account = parse(&AccountStanza {
            auth: " Certificate ".into(),
            cloud: "custom".into(),
            login_url: "https://lab.example/login".into(),
            graph_url: "https://lab.example/graph/".into(),
            mde_url: "https://127.0.0.1:8443".into(),
            xdr_url: " https://lab.example ".into(),
            ca_file: "/etc/lab.pem".into(),
            read_only: "True".into(),
            secret: Some(PAIR.pem.as_str().into()),
            proxy_url: "proxy.corp:8080".into(),
            proxy_username: "splunk".into(),
            proxy_password: Some("pa:ss".into()),
            no_proxy: "localhost".into(),
            ..written()
        })
        .unwrap();
        assert!(matches!(account.auth, Auth::Certificate(_)));
        assert!(matches!(account.cloud, Cloud::Custom(_)));
        assert!(account.read_only);
        let proxy = account.proxy.unwrap();
        assert_eq!(proxy.url.as_str(), "http://proxy.corp:8080/");
        assert_eq!(proxy.username.as_deref(), Some("splunk"));
        assert!(proxy.password.is_some());
    }

    #[test]
    fn a_workload_identity_leaves_its_ids_to_the_platform() {
        let written = AccountStanza {
            auth: "workload_identity".into(),
            ..AccountStanza::default()
        };
        let account = Account::parse("soc", &written, |name| match name {
            "AZURE_TENANT_ID" => Some("contoso.example".to_string()),
            "AZURE_CLIENT_ID" => Some("app".to_string()),
            _ => None,
        })
        .unwrap();
        assert_eq!(account.tenant_id, "contoso.example");
        assert_eq!(account.client_id, "app");
        assert!(parse(&written).is_err());
    }

    #[test]
    fn a_managed_identity_needs_no_client_and_no_secret() {
        let account = parse(&AccountStanza {
            auth: "managed_identity".into(),
            client_id: String::new(),
            secret: None,
            ..written()
        })
        .unwrap();
        assert!(matches!(account.auth, Auth::ManagedIdentity));
    }

    #[test]
    fn a_connection_string_needs_nobody_to_sign_in() {
        let secret = "Endpoint=sb://ns.example/;SharedAccessKeyName=k;SharedAccessKey=s3cr3t";
        let written = AccountStanza {
            auth: "connection_string".into(),
            secret: Some(secret.into()),
            cloud: "custom".into(),
            ..AccountStanza::default()
        };
        let account = parse(&written).unwrap();
        assert!(matches!(account.auth, Auth::ConnectionString(_)));
        assert_eq!(
            (account.tenant_id.as_str(), account.cloud.login()),
            ("", "")
        );
        assert!(!format!("{account:?}").contains("s3cr3t"));
        let tenant_id = "common".into();
        let refusal = parse(&AccountStanza {
            tenant_id,
            ..written
        })
        .unwrap_err();
        assert_eq!(refusal.key, "tenant_id");
    }

    #[test]
    fn every_refusal_names_account_setting_and_remedy() {
        let refusals = [
            refused(|w| w.tenant_id = String::new()),
            refused(|w| w.tenant_id = "common".into()),
            refused(|w| w.tenant_id = "a/../b".into()),
            refused(|w| w.client_id = String::new()),
            refused(|w| w.client_id = "my app".into()),
            refused(|w| w.auth = "password".into()),
            refused(|w| w.secret = None),
            refused(|w| w.auth = "certificate".into()),
            refused(|w| w.auth = "connection_string".into()),
            refused(|w| {
                w.auth = "connection_string".into();
                w.secret = None;
            }),
            refused(|w| w.cloud = "china".into()),
            refused(|w| w.graph_url = "https://x.example".into()),
            refused(|w| w.cloud = "custom".into()),
            refused(|w| {
                w.cloud = "custom".into();
                w.graph_url = "https://lab.example".into();
            }),
            refused(|w| {
                w.cloud = "custom".into();
                w.login_url = "http://lab.example".into();
            }),
            refused(|w| {
                w.cloud = "custom".into();
                w.login_url = "lab".into();
            }),
            refused(|w| {
                w.cloud = "custom".into();
                w.login_url = "https://lab.example/?x=1".into();
            }),
            refused(|w| w.proxy_url = "socks5://x".into()),
            refused(|w| w.read_only = "maybe".into()),
        ];
        insta::assert_snapshot!(refusals.join("\n"));
    }

    #[test]
    fn no_refusal_and_no_debug_form_repeats_a_secret() {
        let texts = [
            refused(|w| w.proxy_url = "http://splunk:hunter2@proxy:8080".into()),
            refused(|w| {
                w.cloud = "custom".into();
                w.login_url = "https://splunk:hunter2@lab.example".into();
            }),
            refused(|w| {
                w.cloud = "custom".into();
                w.login_url = "https://splunk:hunter2@lab.example:99999".into();
            }),
            refused(|w| {
                w.cloud = "custom".into();
                w.login_url = "splunk:hunter2@lab.example".into();
            }),
            refused(|w| {
                w.cloud = "custom".into();
                w.login_url = "https://lab.example/?sig=hunter2".into();
            }),
            refused(|w| w.proxy_url = "splunk:hunter2@proxy:99999".into()),
            refused(|w| w.proxy_url = "socks5:splunk:hunter2@proxy://".into()),
            refused(|w| {
                w.auth = "certificate".into();
                w.secret = Some("hunter2".into());
            }),
            format!(
                "{:?}",
                AccountStanza {
                    secret: Some("hunter2".into()),
                    proxy_password: Some("hunter2".into()),
                    ..written()
                }
            ),
            format!(
                "{:?}",
                parse(&AccountStanza {
                    secret: Some("hunter2".into()),
                    proxy_url: "p:1".into(),
                    proxy_username: "u".into(),
                    proxy_password: Some("hunter2".into()),
                    ..written()
                })
            ),
        ];
        for text in texts {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall(text in "\\PC{0,40}") {
            for change in [
                |w: &mut AccountStanza, text: String| w.tenant_id = text,
                |w: &mut AccountStanza, text: String| w.client_id = text,
                |w: &mut AccountStanza, text: String| w.auth = text,
                |w: &mut AccountStanza, text: String| w.cloud = text,
                |w: &mut AccountStanza, text: String| w.proxy_url = text,
                |w: &mut AccountStanza, text: String| w.read_only = text,
                |w: &mut AccountStanza, text: String| {
                    w.cloud = "custom".into();
                    w.login_url = format!("https://{text}");
                },
            ] {
                let mut written = written();
                change(&mut written, text.clone());
                if let Err(refusal) = parse(&written) {
                    prop_assert!(!refusal.why.contains('\n'));
                }
            }
        }
    }
}
