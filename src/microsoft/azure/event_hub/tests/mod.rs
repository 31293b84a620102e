//! The client against a hub of our own on loopback.
