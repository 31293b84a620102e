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
