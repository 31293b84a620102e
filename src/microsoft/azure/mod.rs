//! What Azure carries for Defender's event streaming.

pub mod records;
pub mod storage;
