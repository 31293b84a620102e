//! What Azure carries for Defender's event streaming.

pub mod event_hub;
pub mod records;
pub mod storage;
