//! A connection string of Azure: where a service is, and the key to it, in one
//! line. It is a secret as a whole.

use secrecy::SecretString;
use std::fmt::Display;
use url::Url;

/// Azure's own have some 200 characters, those with a signature some 500.
const MOST_BYTES: usize = 8 * 1024;

/// What a connection string says.
#[derive(Debug, Clone)]
pub enum ConnectionString {
    EventHubs(EventHubsConnection),
    Storage(StorageConnection),
}

/// Of an Event Hubs namespace, or of one hub in it.
#[derive(Debug, Clone)]
pub struct EventHubsConnection {
    /// In lower case.
    pub host: String,
    pub port: Option<u16>,
    /// The one hub it is for (`EntityPath`).
    pub hub: Option<String>,
    pub access: SharedAccess,
}

/// What opens a namespace.
#[derive(Debug, Clone)]
pub enum SharedAccess {
    /// A policy's key: signatures are made with it.
    Key { name: String, key: SecretString },
    /// A signature made elsewhere, which ends some day.
    Signature(SecretString),
}

/// Of a storage account, with a signature (SAS) that opens it.
#[derive(Debug, Clone)]
pub struct StorageConnection {
    /// Where its blobs are.
    pub blobs: Url,
    /// A query, without its question mark.
    pub signature: SecretString,
}

impl ConnectionString {
    /// Refuses what is none; never repeats a part of it that may be secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!(
                "it has {} bytes: no connection string of Azure is that long",
                text.len()
            ));
        }
        let part = |wanted: &str| {
            let parts = text.split(';').filter_map(|part| part.split_once('='));
            parts
                .filter(|(key, _)| key.trim().eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.trim())
                .find(|value| !value.is_empty())
        };
        if let Some(endpoint) = part("Endpoint") {
            return Ok(Self::EventHubs(event_hubs(endpoint, &part)?));
        }
        if part("BlobEndpoint").is_some() || part("AccountName").is_some() {
            return Ok(Self::Storage(storage(&part)?));
        }
        Err(
            "it is no connection string: copy the one of a shared access policy of the Event Hubs namespace \
             (Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…), or of a storage account's shared access \
             signature (BlobEndpoint=https://…;SharedAccessSignature=…)"
                .to_owned(),
        )
    }
}

fn event_hubs<'t>(
    endpoint: &str,
    part: &impl Fn(&str) -> Option<&'t str>,
) -> Result<EventHubsConnection, String> {
    let url = place("Endpoint", endpoint)?;
    if url.scheme() != "sb" {
        return Err("its Endpoint does not begin with sb://".to_owned());
    }
    let access = match (
        part("SharedAccessSignature"),
        part("SharedAccessKeyName"),
        part("SharedAccessKey"),
    ) {
        (Some(signature), ..) => SharedAccess::Signature(signature.into()),
        (None, Some(name), Some(key)) => SharedAccess::Key {
            name: name.to_owned(),
            key: key.into(),
        },
        (None, None, _) => return Err(missing("SharedAccessKeyName")),
        (None, _, None) => return Err(missing("SharedAccessKey")),
    };
    Ok(EventHubsConnection {
        host: url.host_str().unwrap_or_default().to_lowercase(),
        port: url.port(),
        hub: part("EntityPath").map(str::to_owned),
        access,
    })
}

fn storage<'t>(part: &impl Fn(&str) -> Option<&'t str>) -> Result<StorageConnection, String> {
    let Some(signature) = part("SharedAccessSignature") else {
        return Err(match part("AccountKey") {
            Some(_) => "it holds the account's key, which opens everything in it and is not used here: \
                        make a shared access signature that may read and list, or sign in with an identity"
                .to_owned(),
            None => missing("SharedAccessSignature"),
        });
    };
    let blobs = match (part("BlobEndpoint"), part("AccountName")) {
        (Some(endpoint), _) => place("BlobEndpoint", endpoint)?,
        (None, name) => {
            let suffix = part("EndpointSuffix").unwrap_or("core.windows.net");
            let name = name.unwrap_or_default();
            place("AccountName", &format!("https://{name}.blob.{suffix}"))?
        }
    };
    if blobs.scheme() != "https" {
        return Err("its BlobEndpoint does not begin with https://".to_owned());
    }
    Ok(StorageConnection {
        blobs,
        signature: signature.trim_start_matches('?').into(),
    })
}

fn place(key: impl Display, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("its {key} is no address: {error}"))?;
    match url.host_str() {
        Some(host) if !host.is_empty() && url.username().is_empty() && url.query().is_none() => {
            Ok(url)
        }
        _ => Err(format!("its {key} names no host")),
    }
}

fn missing(key: &str) -> String {
    format!("{key} is missing in it: copy the whole connection string")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    const HUB: &str = "Endpoint=sb://Contoso.servicebus.windows.net/;SharedAccessKeyName=listen;\
                       SharedAccessKey=aGVsbG8=;EntityPath=Insights";

    fn event_hubs(text: &str) -> EventHubsConnection {
        match ConnectionString::parse(text).unwrap() {
            ConnectionString::EventHubs(connection) => connection,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_portal_shows_is_understood() {
        let connection = event_hubs(HUB);
        assert_eq!(connection.host, "contoso.servicebus.windows.net");
        assert_eq!(connection.port, None);
        assert_eq!(connection.hub.as_deref(), Some("Insights"));
        let SharedAccess::Key { name, key } = connection.access else {
            panic!("no key");
        };
        assert_eq!((name.as_str(), key.expose_secret()), ("listen", "aGVsbG8="));
        let local = event_hubs(
            "endpoint=sb://localhost:5671;sharedaccesssignature=SharedAccessSignature sr=x&sig=y;",
        );
        assert_eq!((local.host.as_str(), local.port), ("localhost", Some(5671)));
        assert!(matches!(local.access, SharedAccess::Signature(_)));
    }

    #[test]
    fn a_storage_accounts_signature_is_understood() {
        for text in [
            "BlobEndpoint=https://contoso.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=x%3D",
            "DefaultEndpointsProtocol=https;AccountName=contoso;SharedAccessSignature=?sv=1&sig=x%3D",
        ] {
            let ConnectionString::Storage(connection) = ConnectionString::parse(text).unwrap()
            else {
                panic!("{text}");
            };
            assert_eq!(
                connection.blobs.as_str(),
                "https://contoso.blob.core.windows.net/"
            );
            assert_eq!(connection.signature.expose_secret(), "sv=1&sig=x%3D");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_a_remedy_and_without_its_key() {
        for (text, word) in [
            ("", "copy"),
            ("hunter2", "copy"),
            (
                "Endpoint=https://x.example;SharedAccessKeyName=a;SharedAccessKey=hunter2",
                "sb://",
            ),
            (
                "Endpoint=sb://;SharedAccessKeyName=a;SharedAccessKey=hunter2",
                "Endpoint",
            ),
            (
                "Endpoint=sb://x.example;SharedAccessKey=hunter2",
                "SharedAccessKeyName",
            ),
            (
                "Endpoint=sb://x.example;SharedAccessKeyName=hunter2",
                "SharedAccessKey is",
            ),
            ("AccountName=x;AccountKey=hunter2", "signature"),
            (
                "BlobEndpoint=http://x.example;SharedAccessSignature=hunter2",
                "https",
            ),
            (
                "BlobEndpoint=https://x.example?hunter2;SharedAccessSignature=hunter2",
                "host",
            ),
        ] {
            let why = ConnectionString::parse(text).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
        let why = ConnectionString::parse(&"x".repeat(9000)).unwrap_err();
        assert!(why.contains("9000"), "{why}");
    }

    #[test]
    fn its_debug_form_keeps_the_key() {
        let shown = format!("{:?}", ConnectionString::parse(HUB).unwrap());
        assert!(!shown.contains("aGVsbG8"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall(text in "(Endpoint=|BlobEndpoint=|sb://|SharedAccessKey=|;|\\PC){0,20}") {
            if let Err(why) = ConnectionString::parse(&text) {
                prop_assert!(!why.contains('\n'));
            }
        }
    }
}
