//! The promises of Defender Bridge, kept by running the built executable the
//! way splunkd does, against a Microsoft and a splunkd that are neither.
//!
//! `counterpart/` holds the other sides. They are written from the public
//! contracts alone and know nothing of the product's code; every expectation
//! comes from them. The folders beside it are flows; a file in them is one promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands; the product may not"
)]

mod counterpart;

mod house;
mod ingest;
mod microsoft;
mod security;
mod splunk;
mod stream;
mod triage;
