//! Azure Blob Storage: its REST API over our own HTTP client, and what is built on it.
//!
//! `client` speaks with the service, `ownership` shares the partitions of an event hub
//! and keeps their checkpoints in blobs, as Microsoft's own clients do, `feed` follows
//! what Defender writes into append blobs.
//!
//! Not `azure_storage_blob`: of its 22 000 lines this needs six calls, and their
//! conditions, ETags, ranges and errors as they came. Proxy, trust, tokens, retries and
//! errors are then those of every other call.

pub mod client;
mod error;
pub mod feed;
mod listing;
pub mod ownership;
#[cfg(test)]
mod tests;

pub use client::{Access, BlobClient};
pub use feed::BlobLog;

/// What foreign bytes are read as, for `fuzz/`.
#[cfg(feature = "fuzzing")]
pub(crate) mod foreign {
    use super::{feed, listing};

    /// Names and sizes of the blobs of a list, and the marker of what follows.
    pub(crate) fn blobs(body: &[u8]) -> Option<(Vec<(String, u64)>, Option<String>)> {
        let part = listing::blobs(body).ok()?;
        let found = part.found.into_iter().map(|blob| (blob.name, blob.size));
        Some((found.collect(), part.next))
    }

    /// How many containers a list has.
    pub(crate) fn containers(body: &[u8]) -> Option<usize> {
        listing::containers(body).ok().map(|part| part.found.len())
    }

    /// Code and message of an error.
    pub(crate) fn refusal(body: &str) -> Option<(String, String)> {
        listing::refusal(body)
    }

    /// A container's position, written again as it was understood.
    pub(crate) fn position(text: &str) -> Option<String> {
        feed::position(text)
    }
}
