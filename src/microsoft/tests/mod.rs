//! What tests of this room speak with: an HTTPS server and a tenant on loopback.

pub mod https_server;
pub mod lookups;
pub mod tenant;
