//! Defender Bridge: Microsoft Defender alerts and incidents into Splunk, verdicts back.
//!
//! Two flows, one direction each:
//!
//! ```text
//! IN    Microsoft ─► defender ─► ingest ─► splunk (events on stdout) ─► index
//! OUT   Splunk rows ─► splunk ─► triage ─► defender ─► Microsoft
//! ```
//!
//! The cores (`ingest`, `triage`) know neither Splunk nor Microsoft; the edges
//! (`defender`, `splunk`) implement the cores' traits and never meet each other;
//! `disk` makes files, private ones, for all who keep some;
//! `sandbox` is a Defender tenant of our own and shares no code with `defender`;
//! `run` starts things and holds no logic. `tests/it/house.rs` keeps it so.

pub mod defender;
pub mod disk;
pub mod ingest;
pub mod run;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod splunk;
pub mod triage;
