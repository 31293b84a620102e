//! What Azure carries for Defender's event streaming.

pub mod records;
