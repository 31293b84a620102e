//! The short text that proves a comment is ours and already there: Defender
//! has no idempotency key, so a comment carries its own.

use crate::triage::Change;
use xxhash_rust::xxh3::Xxh3Default;

/// `[splunk:<8 hex>]`, the same for every repetition of one batch's comment
/// and different in the next batch. A target takes at most one comment per
/// batch, so it need not tell targets apart, and one call can carry the same
/// comment to many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker(String);

const OPENING: &str = "[splunk:";

impl Marker {
    pub fn of(batch: &str, change: &Change) -> Self {
        let mut hash = Xxh3Default::new();
        hash.update(batch.as_bytes());
        hash.update(&[0]);
        hash.update(change.comment.as_deref().unwrap_or_default().as_bytes());
        let short = hash.digest() & u64::from(u32::MAX);
        Self(format!("{OPENING}{short:08x}]"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The eight hex digits, as the ledger and the app's field extraction have them.
    pub fn word(&self) -> &str {
        self.0
            .strip_prefix(OPENING)
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or_default()
    }

    /// Whether one of the comments is the marked one.
    pub fn stands(&self, comments: &[String]) -> bool {
        comments.iter().any(|comment| comment.contains(&self.0))
    }

    /// The comment as it is written.
    pub fn sign(&self, comment: &str) -> String {
        format!("{comment} {}", self.0)
    }
}

/// Whether somebody, or an earlier batch, has said just this.
pub(super) fn said(comment: &str, comments: &[String]) -> bool {
    comments.iter().any(|other| unsigned(other) == comment)
}

fn unsigned(comment: &str) -> &str {
    let comment = comment.trim();
    match comment.rfind(OPENING) {
        Some(at) if comment.ends_with(']') => comment.get(..at).unwrap_or(comment).trim_end(),
        _ => comment,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saying(comment: &str) -> Change {
        Change {
            comment: Some(comment.to_owned()),
            ..Change::default()
        }
    }

    #[test]
    fn a_repeated_batch_finds_its_comment_and_another_batch_does_not() {
        let marker = Marker::of("batch 1", &saying("closed"));
        assert_eq!(marker, Marker::of("batch 1", &saying("closed")));
        assert_eq!(marker.as_str().len(), "[splunk:01234567]".len());
        assert_eq!(marker.as_str(), format!("[splunk:{}]", marker.word()));
        let there = [marker.sign("closed")];
        assert!(marker.stands(&there));
        assert!(!Marker::of("batch 2", &saying("closed")).stands(&there));
        assert!(!Marker::of("batch 1", &saying("opened")).stands(&there));
    }

    #[test]
    fn the_same_words_are_known_with_and_without_a_marker() {
        let signed = Marker::of("b", &saying("closed")).sign("closed");
        assert!(said("closed", &[signed]));
        assert!(said("closed", &["closed".to_owned()]));
        assert!(!said("closed", &["closed today".to_owned()]));
    }
}
