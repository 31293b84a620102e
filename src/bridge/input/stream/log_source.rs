//! Which event hub or storage account is read, by a stanza and its account together.

use crate::bridge::input::settings::{
    EventHub, Log, Positions, Storage, StorageAccount, StreamInput,
};
use crate::microsoft::Account;
use crate::microsoft::account::Auth;
use crate::microsoft::account::cloud::Cloud;
use crate::microsoft::account::connection_string::{
    ConnectionString, EventHubsConnection, StorageConnection,
};
use crate::microsoft::azure::event_hub::{self, Transport};
use crate::microsoft::azure::records::Tables;
use crate::microsoft::azure::storage::feed::probe;
use crate::microsoft::azure::storage::ownership::{BlobOwnership, Group};
use crate::microsoft::azure::storage::{Access, BlobClient, BlobLog};
use crate::microsoft::azure::{Findings, Outcome};
use anyhow::{anyhow, bail};
use std::collections::BTreeMap;
use url::Url;

/// What is read; nothing is connected yet.
pub enum Source {
    /// And who reads which of its partitions, where several forwarders do.
    EventHub(event_hub::EventHub, Option<BlobOwnership>),
    Storage(Box<BlobStorage>),
}

/// How closely a stream is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Around,
    /// Also for the tables of the newest messages.
    Inside,
}

/// A storage account, and what speaks with it.
pub struct BlobStorage {
    pub log: BlobLog,
    client: BlobClient,
    tables: Tables,
    at: Url,
}

impl Source {
    pub fn open(account: &Account, settings: &StreamInput) -> anyhow::Result<Self> {
        match &settings.log {
            Log::EventHub(hub) => {
                let connection = event_hubs_connection(account)?;
                let shared = settings.positions.is_shared();
                let place = event_hub::Settings {
                    shared,
                    ..place(&account.cloud, hub, connection)?
                };
                let access = connection.map(|connection| connection.access.clone());
                let tables = settings.tables.clone();
                let sharing = sharing(account, settings, &place)?;
                let hub = event_hub::EventHub::new(account, access, place, tables)?;
                Ok(Self::EventHub(hub, sharing))
            }
            Log::Storage(storage) => {
                let connection = storage_connection(account)?;
                let url = blobs(&account.cloud, storage, connection)?;
                let access = match connection {
                    Some(connection) => Access::Signature(connection.signature.clone()),
                    None => Access::Identity,
                };
                let client = BlobClient::new(account, &url, access)?;
                Ok(Self::Storage(Box::new(BlobStorage {
                    log: BlobLog::new(&client, &settings.tables, storage.listing),
                    client,
                    tables: settings.tables.clone(),
                    at: url,
                })))
            }
        }
    }

    /// Looks at everything a run needs, step by step, up to the first that fails; no
    /// position moves. `delivered`: the sequence number each partition was delivered up to,
    /// as far as it is known here.
    pub async fn examine(
        &self,
        account: &Account,
        delivered: &BTreeMap<String, i64>,
        look: Look,
    ) -> Findings {
        let mut findings = Findings::default();
        match self {
            Self::EventHub(hub, sharing) => {
                let mut positions = delivered.clone();
                if let Some(sharing) = sharing {
                    positions.extend(sharing.examine(&mut findings).await);
                }
                let mut seen = hub.examine(&positions).await;
                if look == Look::Inside {
                    hub.look_for_tables(&mut seen).await;
                }
                hub.close().await;
                seen.findings.0.append(&mut findings.0);
                findings = seen.findings;
            }
            Self::Storage(storage) => {
                if probe::reach(account, &storage.at, &mut findings).await
                    && probe::sign_in(&storage.client, &mut findings).await
                {
                    probe::probe(&storage.client, &storage.tables, &mut findings).await;
                }
            }
        }
        findings
    }

    /// Refuses what a run would fail for.
    pub async fn probe(&self, account: &Account) -> anyhow::Result<()> {
        let findings = self.examine(account, &BTreeMap::new(), Look::Around).await;
        if let Some(bad) = findings.first_bad() {
            bail!("{}", bad.message());
        }
        for finding in findings.0 {
            if finding.outcome == Outcome::Doubtful {
                tracing::warn!("{}: {}", finding.step, finding.message());
            }
        }
        Ok(())
    }

    pub fn host(&self) -> &str {
        match self {
            Self::EventHub(hub, _) => &hub.settings().host,
            Self::Storage(storage) => storage.at.host_str().unwrap_or_default(),
        }
    }

    /// Seconds by which this host's clock is ahead of Microsoft's, where it was told.
    pub fn skew(&self) -> Option<i64> {
        match self {
            Self::EventHub(hub, _) => hub.skew(),
            Self::Storage(storage) => storage.client.skew(),
        }
    }

    /// As positions name it.
    pub fn log(&self) -> String {
        match self {
            Self::EventHub(hub, _) => hub.settings().log(),
            Self::Storage(storage) => storage.log.name(),
        }
    }
}

const OTHER_STRING: &str = "store the other connection string for it, or name another account";

fn event_hubs_connection(account: &Account) -> anyhow::Result<Option<&EventHubsConnection>> {
    match &account.auth {
        Auth::ConnectionString(connection) => match connection.as_ref() {
            ConnectionString::EventHubs(connection) => Ok(Some(connection)),
            ConnectionString::Storage(_) => bail!(
                "account: \"{}\" holds the connection string of a storage account, and feed = event_hub needs that of an event hub: {OTHER_STRING}",
                account.name
            ),
        },
        _ => Ok(None),
    }
}

fn storage_connection(account: &Account) -> anyhow::Result<Option<&StorageConnection>> {
    match &account.auth {
        Auth::ConnectionString(connection) => match connection.as_ref() {
            ConnectionString::Storage(connection) => Ok(Some(connection)),
            ConnectionString::EventHubs(_) => bail!(
                "account: \"{}\" holds the connection string of an event hub, and feed = storage needs that of a storage account: {OTHER_STRING}",
                account.name
            ),
        },
        _ => Ok(None),
    }
}

/// Where the hub is: what the stanza says, else the connection string.
fn place(
    cloud: &Cloud,
    hub: &EventHub,
    connection: Option<&EventHubsConnection>,
) -> anyhow::Result<event_hub::Settings> {
    let told = connection.map(|connection| match connection.port {
        Some(port) => format!("{}:{port}", connection.host),
        None => connection.host.clone(),
    });
    let namespace = hub.namespace.clone().or(told);
    let namespace = namespace.ok_or_else(|| {
        anyhow!("event_hub_namespace: missing: write the Event Hubs namespace, such as contoso")
    })?;
    let in_string = connection.and_then(|connection| connection.hub.clone());
    let name = hub.hub.clone().or_else(|| in_string.clone());
    let name = name.ok_or_else(|| {
        anyhow!(
            "event_hub: missing: write the hub's name, such as insights-logs-advancedhunting-deviceinfo"
        )
    })?;
    if let Some(of) = in_string.filter(|of| !of.eq_ignore_ascii_case(&name)) {
        bail!(
            "event_hub: the account's connection string opens the hub \"{of}\" alone: write that one, or use one of the whole namespace"
        );
    }
    let transport = match hub.transport {
        Transport::Amqp => "amqp",
        Transport::WebSocket => "websocket",
    };
    let group = &hub.consumer_group;
    let place = event_hub::Settings::parse(cloud, &namespace, &name, group, transport)?;
    if let Some(connection) = connection.filter(|connection| connection.host != place.host) {
        bail!(
            "event_hub_namespace: the account's connection string is for {}, not for {}: leave the namespace out, or use the other one's string",
            connection.host,
            place.host
        );
    }
    Ok(place)
}

/// Who reads which partition, where that is settled in a blob container.
fn sharing(
    account: &Account,
    settings: &StreamInput,
    place: &event_hub::Settings,
) -> anyhow::Result<Option<BlobOwnership>> {
    let Positions::Blob(url) = &settings.positions else {
        return Ok(None);
    };
    if matches!(account.auth, Auth::ConnectionString(_)) {
        bail!(
            "checkpoint: the container is opened by signing in, and account \"{}\" holds a connection string: name an account that signs in, or write checkpoint = local",
            account.name
        );
    }
    let (client, container) = container(account, url, Access::Identity)?;
    let group = Group {
        namespace: place.host.clone(),
        hub: place.hub.clone(),
        consumer_group: place.consumer_group.clone(),
    };
    Ok(Some(BlobOwnership::new(&client, &container, &group)))
}

/// A container by its URL, whose last part is its name.
///
/// # Errors
/// If the URL names none, or the account cannot be used.
pub fn container(
    account: &Account,
    url: &Url,
    access: Access,
) -> anyhow::Result<(BlobClient, String)> {
    let mut at = url.clone();
    let path = url.path().trim_end_matches('/');
    let (before, name) = path.rsplit_once('/').unwrap_or_default();
    if url.scheme() != "https" || name.is_empty() {
        bail!(
            "checkpoint_container: write the https URL of a container, such as https://contoso.blob.core.windows.net/checkpoints"
        );
    }
    at.set_path(before);
    Ok((BlobClient::new(account, &at, access)?, name.to_owned()))
}

/// Where the blobs are: what the stanza says, else the connection string.
fn blobs(
    cloud: &Cloud,
    storage: &Storage,
    connection: Option<&StorageConnection>,
) -> anyhow::Result<Url> {
    const KEY: &str = "storage_account";
    let url = match &storage.account {
        Some(StorageAccount::Url(url)) => match cloud {
            Cloud::Custom(_) => url.clone(),
            _ => bail!(
                "{KEY}: a URL belongs to an account of cloud = custom: write the account's name"
            ),
        },
        Some(StorageAccount::Name(name)) => {
            Url::parse(&format!("https://{}", cloud.blobs_host(name)))?
        }
        None => match connection {
            Some(connection) => connection.blobs.clone(),
            None => bail!("{KEY}: missing: write the storage account's name, such as contosologs"),
        },
    };
    match connection {
        Some(connection) if connection.blobs.host_str() != url.host_str() => bail!(
            "{KEY}: the account's connection string is for {}, not for {}: leave it out, or use the other one's string",
            connection.blobs.host_str().unwrap_or_default(),
            url.host_str().unwrap_or_default()
        ),
        _ => Ok(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::microsoft::account::AccountStanza;
    use std::time::Duration;

    fn account(connection: Option<&str>, cloud: &str) -> Account {
        let written = AccountStanza {
            tenant_id: "contoso.example".into(),
            client_id: "app".into(),
            auth: match connection {
                Some(_) => "connection_string".into(),
                None => "secret".into(),
            },
            secret: Some(connection.unwrap_or("s3cr3t").into()),
            cloud: cloud.into(),
            login_url: match cloud {
                "custom" => "https://login.example".into(),
                _ => String::new(),
            },
            ..AccountStanza::default()
        };
        Account::parse("soc", &written, |_| None).unwrap()
    }

    fn hub(namespace: Option<&str>, name: Option<&str>) -> EventHub {
        EventHub {
            namespace: namespace.map(str::to_owned),
            hub: name.map(str::to_owned),
            consumer_group: "$Default".to_owned(),
            transport: Transport::Amqp,
        }
    }

    const POLICY: &str = "SharedAccessKeyName=k;SharedAccessKey=hunter2";

    fn placed(connection: Option<&str>, cloud: &str, hub: &EventHub) -> Result<String, String> {
        let account = account(connection, cloud);
        let connection = event_hubs_connection(&account).map_err(|error| error.to_string())?;
        let place = place(&account.cloud, hub, connection).map_err(|error| error.to_string())?;
        Ok(format!("{}:{}/{}", place.host, place.port(), place.hub))
    }

    #[test]
    fn a_hub_is_where_the_stanza_or_the_connection_string_says() {
        let string = |rest: &str| format!("Endpoint=sb://c.servicebus.windows.net/;{POLICY}{rest}");
        let host = "c.servicebus.windows.net:5671/h";
        for (connection, hub) in [
            (None, hub(Some("c"), Some("h"))),
            (Some(string("")), hub(None, Some("h"))),
            (Some(string(";EntityPath=h")), hub(None, None)),
            (Some(string(";EntityPath=h")), hub(Some("C"), Some("h"))),
        ] {
            assert_eq!(placed(connection.as_deref(), "", &hub).unwrap(), host);
        }
        let local = format!("Endpoint=sb://localhost:15671/;{POLICY}");
        let told = placed(Some(&local), "custom", &hub(None, Some("h")));
        assert_eq!(told.unwrap(), "localhost:15671/h");
    }

    #[test]
    fn what_does_not_go_together_is_refused_at_its_key() {
        let string = format!("Endpoint=sb://c.servicebus.windows.net/;{POLICY};EntityPath=h");
        let storage = "BlobEndpoint=https://c.blob.core.windows.net;SharedAccessSignature=hunter2";
        for (connection, hub, key) in [
            (None, hub(None, Some("h")), "event_hub_namespace"),
            (None, hub(Some("c"), None), "event_hub"),
            (
                Some(&*string),
                hub(Some("other"), None),
                "event_hub_namespace",
            ),
            (Some(&string), hub(None, Some("other")), "event_hub"),
            (Some(storage), hub(Some("c"), Some("h")), "account"),
        ] {
            let why = placed(connection, "", &hub).unwrap_err();
            assert!(why.starts_with(&format!("{key}: ")), "{why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn blobs_are_where_the_stanza_or_the_connection_string_says() {
        let told = |connection: Option<&str>, cloud: &str, named: Option<StorageAccount>| {
            let account = account(connection, cloud);
            let connection = storage_connection(&account).map_err(|error| error.to_string())?;
            blobs(
                &account.cloud,
                &Storage {
                    account: named,
                    listing: Duration::ZERO,
                },
                connection,
            )
            .map(String::from)
            .map_err(|error| error.to_string())
        };
        let name = || Some(StorageAccount::Name("c".to_owned()));
        let url = || {
            Some(StorageAccount::Url(
                "https://127.0.0.1:1/dev".parse().unwrap(),
            ))
        };
        let string = "BlobEndpoint=https://c.blob.core.windows.net;SharedAccessSignature=hunter2";
        let blobs = "https://c.blob.core.windows.net/";
        assert_eq!(told(None, "", name()).unwrap(), blobs);
        assert_eq!(told(Some(string), "", None).unwrap(), blobs);
        assert_eq!(
            told(None, "custom", url()).unwrap(),
            "https://127.0.0.1:1/dev"
        );
        for (connection, named) in [
            (None, None),
            (None, url()),
            (Some(string), Some(StorageAccount::Name("d".to_owned()))),
        ] {
            let why = told(connection, "", named).unwrap_err();
            assert!(why.starts_with("storage_account: "), "{why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
