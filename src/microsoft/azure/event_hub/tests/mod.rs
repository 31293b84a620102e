//! The client against a hub of our own on loopback.

mod frames;
mod hub;
mod links;
mod tokens;
mod ways;
