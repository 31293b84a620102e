//! Signs entries of the ledger, and judges whether this app wrote one: each ends in an
//! HMAC-SHA-256 over its own text. The key lies in storage/passwords. A user who cannot
//! read it there can neither sign nor judge, and asks the app's REST endpoint.

#[cfg(test)]
mod tests;

use crate::splunk::splunkd::{Splunkd, SplunkdError};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// The key's name in storage/passwords, which no account can have.
pub const KEY: &str = "ledger_key";

/// Fewest characters of a key: fewer could be guessed.
const SHORTEST: usize = 32;
/// How a signature begins; it is the last member of a line.
const MEMBER: &str = ",\"signature\":\"";
const VERSION: &str = "v1";

/// The purposes of the key, so that no text signed for one counts for another.
const NAME: &str = "defender_bridge key name";
const ENTRY: &str = "defender_bridge ledger entry";
const SEALED: &str = "defender_bridge sealed";

/// How an entry was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authentic {
    /// This app wrote the entry exactly so.
    True,
    /// The entry was altered, or this app never wrote it.
    False,
    /// The entry carries no signature.
    Unsigned,
    /// Another key signed the entry, or nobody here can judge it.
    #[serde(other)]
    Unknown,
}

impl Authentic {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unsigned => "unsigned",
            Self::Unknown => "unknown",
        }
    }
}

/// Why there is no key to sign or judge with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    Splunkd(#[from] SplunkdError),
    #[error(
        "the secret `{KEY}` in storage/passwords has fewer than {SHORTEST} characters: delete it, and the next verdict makes another"
    )]
    Short,
    #[error("there is no secret `{KEY}` in storage/passwords yet: the first verdict makes it")]
    None,
    #[error(
        "the secret `{KEY}` was stored and cannot be read back: a role of this user needs read access to it ([passwords] in metadata/local.meta)"
    )]
    Hidden,
    #[error("this machine has no source of random bytes")]
    Random,
}

/// The key that signs and judges.
#[derive(Clone)]
pub struct Key {
    hmac: hmac::Key,
    /// A name that tells keys apart and says nothing about them.
    name: String,
}

impl Key {
    fn of(secret: &SecretString) -> Result<Self, KeyError> {
        let secret = secret.expose_secret();
        if secret.len() < SHORTEST {
            return Err(KeyError::Short);
        }
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = tag(&hmac, NAME, "");
        let name = hex(tag.as_ref()).chars().take(8).collect();
        Ok(Self { hmac, name })
    }

    /// The JSON object with its signature as its last member, in characters that no way
    /// into the index changes.
    pub fn sign(&self, json: &str) -> String {
        // XML cannot carry these two characters: an event stream would escape them.
        let json = json
            .replace('\u{FFFE}', "\\ufffe")
            .replace('\u{FFFF}', "\\uffff");
        let signature = hex(tag(&self.hmac, ENTRY, &json).as_ref());
        match json.strip_suffix('}') {
            Some(open) => format!("{open}{MEMBER}{VERSION}.{}.{signature}\"}}", self.name),
            None => json,
        }
    }

    /// Judges one line of the ledger, character by character: another order or another
    /// blank makes it another line.
    pub fn judge(&self, line: &str) -> Authentic {
        let Some((json, name, signature)) = apart(line) else {
            return Authentic::Unsigned;
        };
        if name != self.name {
            return Authentic::Unknown;
        }
        match self.holds(ENTRY, &json, signature) {
            true => Authentic::True,
            false => Authentic::False,
        }
    }

    /// Seals a text that others will hand back to us.
    pub fn seal(&self, text: &str) -> String {
        let text = URL_SAFE_NO_PAD.encode(text);
        let signature = hex(tag(&self.hmac, SEALED, &text).as_ref());
        format!("{text}.{signature}")
    }

    /// The sealed text; none if it was altered.
    pub fn unseal(&self, sealed: &str) -> Option<String> {
        let (text, signature) = sealed.split_once('.')?;
        if !self.holds(SEALED, text, signature) {
            return None;
        }
        String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }

    fn holds(&self, purpose: &str, text: &str, signature: &str) -> bool {
        let Some(signature) = bytes(signature) else {
            return false;
        };
        // `hmac::verify` compares in constant time.
        hmac::verify(&self.hmac, message(purpose, text).as_bytes(), &signature).is_ok()
    }
}

/// The key of this Splunk; makes one if there is none yet.
///
/// # Errors
/// If the key can be neither read nor made.
pub async fn key(splunkd: &Splunkd) -> Result<Key, KeyError> {
    match known(splunkd).await {
        Err(KeyError::None) => {}
        known => return known,
    }
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| KeyError::Random)?;
    let secret = SecretString::from(URL_SAFE_NO_PAD.encode(bytes));
    // Two processes may make it at the same time: the key that is read back counts.
    splunkd.keep_password(KEY, &secret).await?;
    match known(splunkd).await {
        Err(KeyError::None) => Err(KeyError::Hidden),
        known => known,
    }
}

/// The key of this Splunk, if there is one.
///
/// # Errors
/// If there is no key, or it cannot be read.
pub async fn known(splunkd: &Splunkd) -> Result<Key, KeyError> {
    let secret = splunkd.password(KEY).await?;
    Key::of(&secret.ok_or(KeyError::None)?)
}

/// Judges a line where there is no key.
pub fn without_key(line: &str) -> Authentic {
    match apart(line) {
        Some(_) => Authentic::Unknown,
        None => Authentic::Unsigned,
    }
}

/// A line's own JSON, the name of the key, and the signature.
fn apart(line: &str) -> Option<(String, &str, &str)> {
    // The line end is no part of the line; blanks before it are.
    let line = line.trim_end_matches(['\r', '\n']);
    let (open, rest) = line.rsplit_once(MEMBER)?;
    let mut parts = rest.strip_suffix("\"}")?.split('.');
    let (Some(VERSION), Some(name), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    Some((format!("{open}}}"), name, signature))
}

fn message(purpose: &str, text: &str) -> String {
    format!("{purpose}\n{text}")
}

fn tag(key: &hmac::Key, purpose: &str, text: &str) -> hmac::Tag {
    hmac::sign(key, message(purpose, text).as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into memory cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    // Hex as it is written: capitals would make it another line.
    let digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if hex.len() != 64 || !hex.bytes().all(digit) {
        return None;
    }
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => high << 4 | low,
        _ => 0,
    });
    Some(pairs.collect())
}
