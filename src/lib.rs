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

mod bridge;
mod disk;
mod host;
mod ingest;
mod microsoft;
mod run;
// Public, else the compiler takes for dead what only tests ask of the tenant.
#[cfg(feature = "sandbox")]
#[doc(hidden)]
pub mod sandbox;
mod splunk;
mod triage;

pub use run::main;

/// The readers of foreign bytes, for `fuzz/` alone.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz {
    pub use crate::ingest::stream::Message;
    pub use crate::ingest::{Checkpoint, Object, Page};
    pub use crate::microsoft::fuzz as microsoft;
    pub use crate::splunk::fuzz as splunk;
}

/// The one name: app id, scheme and executable.
const NAME: &str = "defender_bridge";
