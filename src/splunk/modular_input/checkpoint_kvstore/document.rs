//! The documents of a checkpoint in the KV store: runs, heads and parts.

use super::KvError;
use crate::ingest::Instant;
use crate::splunk::modular_input::checkpoint_file::Owner;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::time::Duration;

/// Of this app, in default/collections.conf.
pub const COLLECTION: &str = "defender_bridge_checkpoint";
pub const LAYOUT: u64 = 1;
/// What a listing shows: everything but the text.
pub const FIELDS: &str = "_key,layout,kind,stanza,epoch,save,run,guid,server,begun,until,ended,\
                          head_epoch,head_save,at,parts,bytes,hash";
/// Characters of one part; the KV store takes documents of up to 16 MB.
const PART: usize = 1 << 20;
/// A text packed in more parts, or larger unpacked, is none of ours.
const MOST_PARTS: u64 = 128;
const MOST_BYTES: u64 = 256 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Run,
    Head,
    Part,
}

/// One run of a stanza: whoever inserts its number holds the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    #[serde(rename = "_key")]
    pub key: String,
    #[serde(deserialize_with = "whole")]
    layout: u64,
    kind: Kind,
    pub stanza: String,
    #[serde(deserialize_with = "whole")]
    pub epoch: u64,
    /// By chance, so that a run knows its own document again.
    pub run: String,
    guid: String,
    server: String,
    pub begun: Instant,
    /// If it is not heard of again.
    pub until: Instant,
    pub ended: bool,
    /// The head it knew of last; 0 if none.
    #[serde(deserialize_with = "whole")]
    pub head_epoch: u64,
    #[serde(deserialize_with = "whole")]
    pub head_save: u64,
}

impl Run {
    /// Whose existence says that the stanza has begun.
    pub fn before_all(stanza: &str, owner: Owner, now: Instant) -> Self {
        Self {
            key: key(stanza, &[0]),
            layout: LAYOUT,
            kind: Kind::Run,
            stanza: stanza.to_owned(),
            epoch: 0,
            run: String::new(),
            guid: owner.guid,
            server: owner.server,
            begun: now,
            until: now,
            ended: true,
            head_epoch: 0,
            head_save: 0,
        }
    }

    pub fn number(&mut self, epoch: u64, now: Instant, lease: Duration) {
        self.epoch = epoch;
        self.key = key(&self.stanza, &[epoch]);
        self.begun = now;
        self.until = now.plus(lease);
    }

    pub fn after(&mut self, head: Option<&Listed>) {
        (self.head_epoch, self.head_save) = head.map_or((0, 0), Listed::place);
    }

    pub fn owner(&self) -> Owner {
        Owner {
            guid: self.guid.clone(),
            server: self.server.clone(),
        }
    }
}

/// What makes a save valid, with the last part of its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    #[serde(rename = "_key")]
    pub key: String,
    #[serde(deserialize_with = "whole")]
    layout: u64,
    kind: Kind,
    stanza: String,
    #[serde(deserialize_with = "whole")]
    pub epoch: u64,
    #[serde(deserialize_with = "whole")]
    pub save: u64,
    guid: String,
    server: String,
    at: Instant,
    /// Beside the one in `data`.
    #[serde(deserialize_with = "whole")]
    pub parts: u64,
    /// Of the text, unpacked.
    #[serde(deserialize_with = "whole")]
    bytes: u64,
    /// Of the text, unpacked.
    hash: String,
    pub data: String,
}

impl Head {
    pub fn place(&self) -> (u64, u64) {
        (self.epoch, self.save)
    }

    pub fn is_bounded(&self) -> Result<(), String> {
        if self.parts > MOST_PARTS || self.bytes > MOST_BYTES {
            return Err(format!(
                "{} speaks of {} parts and {} bytes, more than this app ever writes",
                self.key, self.parts, self.bytes
            ));
        }
        Ok(())
    }
}

/// A head as it is listed, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    #[serde(rename = "_key")]
    pub key: String,
    #[serde(deserialize_with = "whole")]
    epoch: u64,
    #[serde(deserialize_with = "whole")]
    save: u64,
}

impl Listed {
    pub fn place(&self) -> (u64, u64) {
        (self.epoch, self.save)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    #[serde(rename = "_key")]
    pub key: String,
    #[serde(deserialize_with = "whole")]
    layout: u64,
    kind: Kind,
    stanza: String,
    #[serde(deserialize_with = "whole")]
    epoch: u64,
    #[serde(deserialize_with = "whole")]
    save: u64,
    #[serde(deserialize_with = "whole")]
    pub part: u64,
    pub data: String,
}

/// What a collection holds of one stanza, the newest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub runs: Vec<Run>,
    pub heads: Vec<Listed>,
}

impl Listing {
    pub fn of(stanza: &str, documents: Vec<Value>) -> Result<Self, KvError> {
        #[derive(Deserialize)]
        struct Any {
            #[serde(deserialize_with = "whole")]
            layout: u64,
            kind: Kind,
        }
        let mut listing = Self::default();
        for document in documents {
            let name = match document.get("_key").and_then(Value::as_str) {
                Some(key) => format!("document {:.80}", key.escape_debug().to_string()),
                None => "a document".to_owned(),
            };
            let foreign = || KvError::Unreadable {
                why: format!("{name} of collection {COLLECTION} is none of this app's"),
            };
            let any = Any::deserialize(&document).map_err(|_| foreign())?;
            if any.layout > LAYOUT {
                return Err(KvError::OtherVersion(any.layout));
            }
            let is_named = match any.kind {
                Kind::Run => {
                    let run: Run = serde_json::from_value(document).map_err(|_| foreign())?;
                    let is_named = run.key == key(stanza, &[run.epoch]);
                    listing.runs.push(run);
                    is_named
                }
                Kind::Head => {
                    let head: Listed = serde_json::from_value(document).map_err(|_| foreign())?;
                    let is_named = head.key == head_key(stanza, head.epoch, head.save);
                    listing.heads.push(head);
                    is_named
                }
                Kind::Part => continue,
            };
            if !is_named {
                return Err(foreign());
            }
        }
        listing.runs.sort_by_key(|run| std::cmp::Reverse(run.epoch));
        listing
            .heads
            .sort_by_key(|head| std::cmp::Reverse(head.place()));
        Ok(listing)
    }

    /// The highest number in use.
    pub fn number(&self) -> u64 {
        let run = self.runs.first().map_or(0, |run| run.epoch);
        self.heads.first().map_or(run, |head| run.max(head.epoch))
    }

    /// Whether a run speaks of a head, and neither that one nor a newer one is there.
    pub fn lacks_a_head(&self) -> bool {
        let newest = self.heads.first().map_or((0, 0), Listed::place);
        let mut runs = self.runs.iter();
        runs.any(|run| (run.head_epoch, run.head_save) > newest)
    }
}

/// The documents of one save: parts that are written first, and their head.
pub fn packed(text: &str, run: &Run, save: u64, at: Instant) -> io::Result<(Head, Vec<Part>)> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes())?;
    let packed = STANDARD.encode(packed.finish()?);
    // Base64 is ASCII: it may be cut anywhere.
    let mut data = packed.as_str();
    let mut parts = Vec::new();
    while let Some((first, rest)) = data
        .split_at_checked(PART)
        .filter(|(_, rest)| !rest.is_empty())
    {
        let part = parts.len() as u64;
        parts.push(Part {
            key: key(&run.stanza, &[run.epoch, save, part]),
            layout: LAYOUT,
            kind: Kind::Part,
            stanza: run.stanza.clone(),
            epoch: run.epoch,
            save,
            part,
            data: first.to_owned(),
        });
        data = rest;
    }
    let head = Head {
        key: head_key(&run.stanza, run.epoch, save),
        layout: LAYOUT,
        kind: Kind::Head,
        stanza: run.stanza.clone(),
        epoch: run.epoch,
        save,
        guid: run.guid.clone(),
        server: run.server.clone(),
        at,
        parts: parts.len() as u64,
        bytes: text.len() as u64,
        hash: hash(text.as_bytes()),
        data: data.to_owned(),
    };
    head.is_bounded().map_err(io::Error::other)?;
    Ok((head, parts))
}

/// The text that was packed, or what is wrong with it.
pub fn unpacked(packed: &str, head: &Head) -> Result<String, String> {
    let wrong = |why: &str| format!("the text of {} {why}", head.key);
    let packed = STANDARD
        .decode(packed)
        .map_err(|_| wrong("is not encoded as it should be"))?;
    let mut text = Vec::new();
    ZlibDecoder::new(packed.as_slice())
        .take(head.bytes + 1)
        .read_to_end(&mut text)
        .map_err(|_| wrong("cannot be unpacked"))?;
    if text.len() as u64 != head.bytes || hash(&text) != head.hash {
        return Err(wrong("is not the one that was written"));
    }
    String::from_utf8(text).map_err(|_| wrong("is no text"))
}

fn hash(text: &[u8]) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text))
}

pub fn head_key(stanza: &str, epoch: u64, save: u64) -> String {
    key(stanza, &[epoch, save])
}

fn key(stanza: &str, numbers: &[u64]) -> String {
    let mut key = hash(stanza.as_bytes());
    for number in numbers {
        key.push('-');
        key.push_str(&number.to_string());
    }
    key
}

/// A whole number, however the KV store prints it.
fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    let number = serde_json::Number::deserialize(from)?;
    number
        .as_u64()
        .or_else(|| {
            let number = number.as_f64()?;
            let is_whole = number.fract() == 0.0 && (0.0..=LARGEST).contains(&number);
            is_whole.then_some(number as u64)
        })
        .ok_or_else(|| D::Error::custom("it is no whole number"))
}
