//! Defender's own APIs: lists of alerts and incidents, updates of them, hunting.

pub mod hunting;
pub mod list;
pub mod spelling;
pub mod update;
