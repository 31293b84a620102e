//! What the tenant holds: its alerts and incidents, their words and instants, and how they change.

pub mod comment;
pub mod instant;
pub mod inventory;
pub mod json;
pub mod load;
pub mod record;
pub mod store;
pub mod visibility_delay;
pub mod vocabulary;
pub mod write;
