//! What splunkd hands to a modular input, what leaves on stdout, and the checkpoint it keeps.

pub mod checkpoint_file;
pub mod checkpoint_kvstore;
mod document;
pub mod encoding;
pub mod events;
pub mod input;
pub mod position_file;
pub mod scheme;
mod stanza_files;
pub mod validation;
pub mod xml;
