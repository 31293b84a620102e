//! Defender Bridge: Microsoft Defender alerts and incidents into Splunk, verdicts back.
//!
//! Two flows, one direction each:
//!
//! ```text
//! IN    Microsoft ─► microsoft ─► ingest ─► splunk (events on stdout) ─► index
//! OUT   Splunk rows ─► splunk ─► triage ─► microsoft ─► Microsoft
//! ```
//!
//! The cores (`ingest`, `triage`) know neither Splunk nor Microsoft; the edges
//! (`microsoft`, `splunk`) implement the cores' traits and never meet each other;
//! `bridge` joins them, whichever way the app was started; `run` has the ways of
//! being started; `host` is this process on its machine; `disk` makes files,
//! private ones, for all who keep some; `sandbox` is a Defender tenant of our own
//! and shares no code with `microsoft`. `tests/it/house.rs` keeps it so.

pub mod bridge;
pub mod disk;
pub mod host;
pub mod ingest;
pub mod microsoft;
pub mod run;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod splunk;
pub mod triage;

/// The one name: app id, scheme and executable.
pub const NAME: &str = "defender_bridge";
