//! The client against a hub of our own on loopback.

mod hub;
mod links;
mod tokens;
mod ways;
