//! Containers and blobs, and the conditions under which they are written and read.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::sandbox::storage::refusal::Refusal;
use crate::sandbox::tenant::instant::Ticks;

/// Most bytes of one block that is appended.
pub(super) const BLOCK: usize = 100 << 20;
/// Blocks of an append blob at most.
const BLOCKS: usize = 50_000;
const PER_SECOND: i64 = 10_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Append { blocks: usize },
    Block,
}

/// Names of metadata, in lower case, and values.
pub(super) type Metadata = Vec<(String, String)>;

#[derive(Debug, Clone)]
pub(super) struct Blob {
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) created: Ticks,
    pub(super) modified: Ticks,
    pub(super) metadata: Metadata,
}

#[derive(Debug)]
pub(super) struct Container {
    pub(super) blobs: BTreeMap<String, Blob>,
    pub(super) etag: String,
    pub(super) modified: Ticks,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) containers: BTreeMap<String, Container>,
    version: u64,
}

/// Under which a call is carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    pub(super) if_match: Option<String>,
    pub(super) if_none_match: Option<String>,
    /// Whole seconds.
    pub(super) if_modified_since: Option<i64>,
    pub(super) if_unmodified_since: Option<i64>,
}

/// Whether a header's value names that version: lists have no quotes, headers do.
fn names(value: &str, etag: &str) -> bool {
    value
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/").trim_matches('"') == etag)
}

/// `Last-Modified` has whole seconds.
fn seconds(at: Ticks) -> i64 {
    at.0.div_euclid(PER_SECOND)
}

impl Conditions {
    /// Whether what is there may be read.
    pub(super) fn read(&self, blob: &Blob) -> Result<(), Refusal> {
        self.hold(blob)?;
        let known = match (&self.if_none_match, self.if_modified_since) {
            (Some(value), _) => names(value, &blob.etag),
            (None, Some(since)) => seconds(blob.modified) <= since,
            (None, None) => false,
        };
        match known {
            true => Err(Refusal::unchanged()),
            false => Ok(()),
        }
    }

    /// Whether it may be written, whatever is there.
    fn write(&self, blob: Option<&Blob>) -> Result<(), Refusal> {
        let Some(blob) = blob else {
            return match self.if_match {
                Some(_) => Err(Refusal::of("ConditionNotMet")),
                None => Ok(()),
            };
        };
        match self.if_none_match.as_deref() {
            Some("*") => return Err(Refusal::of("BlobAlreadyExists")),
            Some(value) if names(value, &blob.etag) => {
                return Err(Refusal::of("ConditionNotMet"));
            }
            _ => {}
        }
        if self
            .if_modified_since
            .is_some_and(|since| seconds(blob.modified) <= since)
        {
            return Err(Refusal::of("ConditionNotMet"));
        }
        self.hold(blob)
    }

    fn hold(&self, blob: &Blob) -> Result<(), Refusal> {
        let other = |value: &String| !names(value, &blob.etag);
        let later = |since: i64| seconds(blob.modified) > since;
        match self.if_match.as_ref().is_some_and(other)
            || self.if_unmodified_since.is_some_and(later)
        {
            true => Err(Refusal::of("ConditionNotMet")),
            false => Ok(()),
        }
    }
}

impl State {
    fn next_etag(&mut self) -> String {
        self.version += 1;
        format!("0x8DE{:012X}", self.version)
    }

    pub(super) fn container(&self, name: &str) -> Result<&Container, Refusal> {
        let known = self.containers.get(name);
        known.ok_or_else(|| Refusal::of("ContainerNotFound"))
    }

    fn container_mut(&mut self, name: &str) -> Result<&mut Container, Refusal> {
        let known = self.containers.get_mut(name);
        known.ok_or_else(|| Refusal::of("ContainerNotFound"))
    }

    pub(super) fn blob(&self, container: &str, name: &str) -> Result<&Blob, Refusal> {
        let known = self.container(container)?.blobs.get(name);
        known.ok_or_else(|| Refusal::of("BlobNotFound"))
    }

    pub(super) fn make_container(&mut self, name: &str) -> Result<(), Refusal> {
        if !is_container(name) {
            return Err(Refusal::of("InvalidResourceName"));
        }
        if self.containers.contains_key(name) {
            return Err(Refusal::of("ContainerAlreadyExists"));
        }
        let container = Container {
            blobs: BTreeMap::new(),
            etag: self.next_etag(),
            modified: Ticks::now(),
        };
        self.containers.insert(name.to_owned(), container);
        Ok(())
    }

    pub(super) fn delete_container(&mut self, name: &str) -> Result<(), Refusal> {
        let known = self.containers.remove(name);
        known
            .map(drop)
            .ok_or_else(|| Refusal::of("ContainerNotFound"))
    }

    /// Makes a blob, or puts another one in its place.
    pub(super) fn put(
        &mut self,
        container: &str,
        name: &str,
        kind: Kind,
        bytes: Vec<u8>,
        metadata: Metadata,
        conditions: &Conditions,
    ) -> Result<&Blob, Refusal> {
        let known = self.container(container)?.blobs.get(name);
        conditions.write(known)?;
        let now = Ticks::now();
        let blob = Blob {
            kind,
            bytes,
            etag: String::new(),
            created: known.map_or(now, |known| known.created),
            modified: now,
            metadata,
        };
        let etag = self.next_etag();
        let blobs = &mut self.container_mut(container)?.blobs;
        blobs.insert(name.to_owned(), Blob { etag, ..blob });
        self.blob(container, name)
    }

    pub(super) fn set_metadata(
        &mut self,
        container: &str,
        name: &str,
        metadata: Metadata,
        conditions: &Conditions,
    ) -> Result<&Blob, Refusal> {
        self.change(container, name, conditions, |blob| {
            blob.metadata = metadata;
            Ok(())
        })
    }

    /// Appends a block; where it begins.
    pub(super) fn append(
        &mut self,
        container: &str,
        name: &str,
        block: &[u8],
        conditions: &Conditions,
    ) -> Result<(usize, &Blob), Refusal> {
        let mut begin = 0;
        let blob = self.change(container, name, conditions, |blob| match &mut blob.kind {
            Kind::Block => Err(Refusal::of("InvalidBlobType")),
            Kind::Append { .. } if block.is_empty() => Err(Refusal::of("InvalidHeaderValue")),
            Kind::Append { blocks } if *blocks >= BLOCKS => Err(Refusal::because(
                "BlockCountExceedsLimit",
                "The committed block count cannot exceed the maximum limit of 50,000 blocks.",
            )),
            Kind::Append { blocks } => {
                *blocks += 1;
                begin = blob.bytes.len();
                blob.bytes.extend_from_slice(block);
                Ok(())
            }
        })?;
        Ok((begin, blob))
    }

    /// Appends at that time, to a container and a blob that are made where they are missing.
    pub(super) fn append_at(&mut self, container: &str, name: &str, bytes: &[u8], at: Ticks) {
        let etag = self.next_etag();
        let container = self
            .containers
            .entry(container.to_owned())
            .or_insert_with(|| Container {
                blobs: BTreeMap::new(),
                etag: etag.clone(),
                modified: at,
            });
        let blob = container
            .blobs
            .entry(name.to_owned())
            .or_insert_with(|| Blob {
                kind: Kind::Append { blocks: 0 },
                bytes: Vec::new(),
                etag: String::new(),
                created: at,
                modified: at,
                metadata: Metadata::new(),
            });
        if let Kind::Append { blocks } = &mut blob.kind {
            *blocks += usize::from(!bytes.is_empty());
        }
        blob.bytes.extend_from_slice(bytes);
        blob.etag = etag;
        blob.modified = at;
    }

    fn change(
        &mut self,
        container: &str,
        name: &str,
        conditions: &Conditions,
        change: impl FnOnce(&mut Blob) -> Result<(), Refusal>,
    ) -> Result<&Blob, Refusal> {
        conditions.write(Some(self.blob(container, name)?))?;
        let etag = self.next_etag();
        let blobs = &mut self.container_mut(container)?.blobs;
        let blob = blobs.get_mut(name);
        let blob = blob.ok_or_else(|| Refusal::of("BlobNotFound"))?;
        change(blob)?;
        blob.etag = etag;
        blob.modified = Ticks::now();
        Ok(blob)
    }

    pub(super) fn delete(
        &mut self,
        container: &str,
        name: &str,
        conditions: &Conditions,
    ) -> Result<(), Refusal> {
        conditions.write(Some(self.blob(container, name)?))?;
        self.container_mut(container)?.blobs.remove(name);
        Ok(())
    }
}

/// Letters, digits and single hyphens, 3 to 63 of them.
fn is_container(name: &str) -> bool {
    let shaped = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(shaped)
        && !name.contains("--")
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// The part of a blob that a range asks for; none for all of it.
pub(super) fn range(header: Option<&str>, size: usize) -> Result<Option<Range<usize>>, Refusal> {
    let Some(text) = header else {
        return Ok(None);
    };
    let malformed = || Refusal::of("InvalidHeaderValue");
    let (from, last) = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .ok_or_else(malformed)?;
    let from: usize = from.parse().map_err(|_| malformed())?;
    let last: usize = match last {
        "" => usize::MAX,
        last => last.parse().map_err(|_| malformed())?,
    };
    if last < from {
        return Err(malformed());
    }
    if from >= size {
        return Err(Refusal::beyond(size));
    }
    Ok(Some(from..size.min(last.saturating_add(1))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state() -> State {
        let mut state = State::default();
        state.make_container("logs").unwrap();
        state
    }

    fn put(state: &mut State, conditions: &Conditions) -> Result<String, String> {
        state
            .put("logs", "a", Kind::Block, Vec::new(), Vec::new(), conditions)
            .map(|blob| blob.etag.clone())
            .map_err(|refusal| refusal.code)
    }

    fn matching(etag: &str) -> Conditions {
        Conditions {
            if_match: Some(etag.to_owned()),
            ..Conditions::default()
        }
    }

    #[test]
    fn a_first_write_is_one_alone_and_every_later_one_is_over_its_version() {
        let mut state = state();
        let new = Conditions {
            if_none_match: Some("*".to_owned()),
            ..Conditions::default()
        };
        assert_eq!(
            put(&mut state, &matching("0x1")).unwrap_err(),
            "ConditionNotMet"
        );
        let first = put(&mut state, &new).unwrap();
        assert_eq!(put(&mut state, &new).unwrap_err(), "BlobAlreadyExists");
        // With quotes as in headers, or without as in lists.
        let second = put(&mut state, &matching(&format!("\"{first}\""))).unwrap();
        assert_ne!(second, first);
        assert_eq!(
            put(&mut state, &matching(&first)).unwrap_err(),
            "ConditionNotMet"
        );
        let owner = vec![("ownerid".to_owned(), "me".to_owned())];
        let written = state.set_metadata("logs", "a", owner, &matching(&second));
        assert_eq!(written.unwrap().metadata[0].1, "me");
        let missing = state.set_metadata("logs", "b", Vec::new(), &matching(&second));
        assert_eq!(missing.unwrap_err().code, "BlobNotFound");
        let missing = state.set_metadata("none", "a", Vec::new(), &matching(&second));
        assert_eq!(missing.unwrap_err().code, "ContainerNotFound");
    }

    #[test]
    fn a_read_says_what_is_new() {
        let mut state = state();
        let kind = Kind::Append { blocks: 0 };
        let free = Conditions::default();
        let blob = state.put("logs", "a", kind, Vec::new(), Vec::new(), &free);
        let before = blob.unwrap().etag.clone();
        let (begin, blob) = state.append("logs", "a", b"abc", &free).unwrap();
        assert_eq!((begin, blob.bytes.len()), (0, 3));
        assert_ne!(blob.etag, before);
        let known = |etag: &str| Conditions {
            if_none_match: Some(etag.to_owned()),
            ..Conditions::default()
        };
        assert!(known(&before).read(blob).is_ok());
        assert_eq!(known(&blob.etag).read(blob).unwrap_err().status, 304);
        assert_eq!(matching(&before).read(blob).unwrap_err().status, 412);
        let since = Conditions {
            if_modified_since: Some(seconds(blob.modified)),
            ..Conditions::default()
        };
        assert_eq!(since.read(blob).unwrap_err().status, 304);
    }

    #[test]
    fn only_an_append_blob_is_appended_to() {
        let mut state = state();
        put(&mut state, &Conditions::default()).unwrap();
        let refused = state.append("logs", "a", b"x", &Conditions::default());
        assert_eq!(refused.unwrap_err().code, "InvalidBlobType");
    }

    #[test]
    fn a_range_ends_where_the_blob_does() {
        assert_eq!(range(None, 9), Ok(None));
        assert_eq!(range(Some("bytes=2-4"), 9), Ok(Some(2..5)));
        assert_eq!(range(Some("bytes=2-"), 9), Ok(Some(2..9)));
        assert_eq!(range(Some("bytes=8-99"), 9), Ok(Some(8..9)));
        for (text, size) in [("bytes=9-", 9), ("bytes=0-99", 0), ("bytes=10-12", 9)] {
            let refused = range(Some(text), size).unwrap_err();
            assert_eq!((refused.status.as_u16(), refused.size), (416, Some(size)));
        }
        for text in ["", "bytes=", "bytes=4-2", "lines=1-2", "bytes=-5"] {
            assert_eq!(range(Some(text), 9).unwrap_err().status, 400, "{text}");
        }
    }

    #[test]
    fn a_container_is_named_by_azures_rules() {
        for name in ["logs", "insights-logs-advancedhunting-alertinfo", "a1b"] {
            assert!(is_container(name), "{name}");
        }
        for name in ["ab", "Logs", "a--b", "-ab", "ab-", "a_b", "a/b"] {
            assert!(!is_container(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_range_reaches_beyond_the_blob(text in "(bytes=)?[0-9]{0,22}-?[0-9]{0,22}", size in 0usize..100) {
            if let Ok(Some(range)) = range(Some(&text), size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
