//! What Azure carries for Defender's event streaming.

mod dial;
pub mod event_hub;
mod finding;
pub mod records;
pub mod storage;

pub use finding::{Finding, Findings, Outcome, wrong_clock};
