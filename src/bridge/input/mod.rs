//! A modular input's stanza: its settings, what is prepared from them, its health.

pub mod health;
pub mod prepare;
pub mod settings;
pub mod stream;
