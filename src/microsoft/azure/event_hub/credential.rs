//! What opens a hub: an account's token of Microsoft Entra, or a shared access signature.

use super::error::Error;
use crate::ingest::stream::LogErrorClass;
use crate::microsoft::account::Account;
pub use crate::microsoft::account::connection_string::SharedAccess;
use crate::microsoft::http::error::line;
use crate::microsoft::http::transport::Transport;
use crate::microsoft::http::usage::Usage;
use crate::microsoft::sign_in::{SignIn, Token};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// As Microsoft's own clients ask for it, in every cloud.
const AUDIENCE: &str = "https://eventhubs.azure.net";

/// Life of a signature we make, and when it is made anew.
const LIFE: Duration = Duration::from_secs(3600);
const RENEWED: Duration = Duration::from_secs(2700);

/// Longest wait for a token.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `encodeURIComponent` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub(super) enum Credential {
    SignIn {
        sign_in: Box<SignIn>,
        usage: Arc<Usage>,
        /// The one the hub got last.
        given: Mutex<Option<Arc<Token>>>,
        /// The hub would not take it.
        refused: Mutex<Option<Arc<Token>>>,
    },
    Shared(SharedAccess),
}

/// A token for `$cbs`.
pub(super) struct Pass {
    pub(super) text: SecretString,
    /// As `$cbs` names its kinds.
    pub(super) kind: &'static str,
    /// When the next one has to be there; none for what cannot be renewed.
    pub(super) renew_at: Option<Instant>,
}

const JWT: &str = "jwt";
const SAS: &str = "servicebus.windows.net:sastoken";

impl Credential {
    pub(super) fn of_account(account: &Account) -> Result<Self, Error> {
        let transport = Transport::azure(account)?;
        let usage = Arc::new(Usage::new());
        let sign_in = SignIn::at(account, AUDIENCE, &transport, &usage)?;
        Ok(Self::SignIn {
            sign_in: Box::new(sign_in),
            usage,
            given: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// A token for `audience`.
    pub(super) async fn pass(&self, audience: &str) -> Result<Pass, Error> {
        match self {
            Self::SignIn {
                sign_in,
                given,
                refused,
                ..
            } => {
                let deadline = sign_in.clock.now() + PATIENCE;
                let refused = lock(refused).take();
                let token = match refused {
                    Some(refused) => sign_in.renewed(&refused, deadline).await?,
                    None => sign_in.token(deadline).await?,
                };
                *lock(given) = Some(Arc::clone(&token));
                Ok(Pass {
                    text: token.secret.clone(),
                    kind: JWT,
                    renew_at: Some(token.renew_at),
                })
            }
            Self::Shared(SharedAccess::Key { name, key }) => Ok(Pass {
                text: signature(audience, name, key, SystemTime::now() + LIFE),
                kind: SAS,
                renew_at: Some(Instant::now() + RENEWED),
            }),
            Self::Shared(SharedAccess::Signature(signature)) => Ok(Pass {
                text: whole(signature)?,
                kind: SAS,
                renew_at: None,
            }),
        }
    }

    /// Seconds by which this host's clock is ahead of the sign-in's; none where nobody has
    /// told the time.
    pub(super) fn skew(&self) -> Option<i64> {
        match self {
            Self::SignIn { usage, .. } => usage.skew(),
            Self::Shared(_) => None,
        }
    }

    /// What it is, in words.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::SignIn { .. } => "Microsoft Entra gave a token".to_owned(),
            Self::Shared(SharedAccess::Key { name, .. }) => {
                format!("none: the key of the policy {} signs for it", line(name))
            }
            Self::Shared(SharedAccess::Signature(_)) => {
                "none: a shared access signature, which ends some day".to_owned()
            }
        }
    }

    /// Whether a token that was refused can be changed for another.
    pub(super) fn renews(&self) -> bool {
        matches!(self, Self::SignIn { .. })
    }

    /// The hub does not take what it got last: the next one is another.
    pub(super) fn refused(&self) {
        if let Self::SignIn { given, refused, .. } = self {
            *lock(refused) = lock(given).take();
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignIn { .. } => "SignIn",
            Self::Shared(_) => "Shared",
        })
    }
}

/// "Generate SAS token": HMAC-SHA256 over the encoded address and the end of its life.
fn signature(audience: &str, name: &str, key: &SecretString, end: SystemTime) -> SecretString {
    let place = utf8_percent_encode(audience, PLAIN).to_string();
    let end = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret().as_bytes());
    let signed = hmac::sign(&key, format!("{place}\n{end}").as_bytes());
    let signed = STANDARD.encode(signed);
    let signed = utf8_percent_encode(&signed, PLAIN);
    let name = utf8_percent_encode(name, PLAIN);
    format!("SharedAccessSignature sr={place}&sig={signed}&se={end}&skn={name}").into()
}

/// A signature that was made elsewhere, with the word in front.
fn whole(signature: &SecretString) -> Result<SecretString, Error> {
    const WORD: &str = "SharedAccessSignature ";
    let text = signature.expose_secret().trim();
    let fields = text.strip_prefix(WORD).unwrap_or(text).trim();
    if !["sr=", "sig=", "se="]
        .iter()
        .all(|key| fields.contains(key))
    {
        return Err(Error::new(
            LogErrorClass::Stop,
            "the connection string's SharedAccessSignature is none",
            "it reads SharedAccessSignature sr=…&sig=…&se=…&skn=…: copy it again, and store it",
        ));
    }
    Ok(format!("{WORD}{fields}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_microsofts_clients_make() {
        let end = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let made = signature(
            "sb://contoso.servicebus.windows.net/Insights-Logs",
            "listen only",
            &"c2VjcmV0".into(),
            end,
        );
        // Python: hmac.new(b"c2VjcmV0", f"{quote(address)}\n{end}".encode(), sha256)
        assert_eq!(
            made.expose_secret(),
            "SharedAccessSignature sr=sb%3A%2F%2Fcontoso.servicebus.windows.net%2FInsights-Logs\
             &sig=i%2BonxbbkmrzpLlrpJ9ieTkz%2FlEcyWKyi8qrIz1qQl2c%3D&se=1700000000&skn=listen%20only"
        );
    }

    #[test]
    fn a_given_signature_may_come_with_its_word_or_without() {
        let fields = "sr=x&sig=y&se=1&skn=z";
        for text in [
            fields.to_owned(),
            format!("SharedAccessSignature {fields}\n"),
        ] {
            let given = whole(&text.into()).unwrap();
            assert_eq!(
                given.expose_secret(),
                "SharedAccessSignature sr=x&sig=y&se=1&skn=z"
            );
        }
        let why = whole(&"hunter2".into()).unwrap_err().to_string();
        assert!(
            !why.contains("hunter2") && why.contains("copy it again"),
            "{why}"
        );
    }
}
