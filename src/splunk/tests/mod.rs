//! What tests of this room, and of those who use it, speak with.

pub mod counterpart;
