//! What the app does, whichever way it was asked: inputs, verdicts, lookups, checks.
//!
//! It joins the cores to Microsoft and Splunk, and must never know how this process was
//! started; only `run` knows that.

pub mod account;
pub mod check;
mod clients;
pub mod input;
pub mod lookup;
pub mod migrate;
pub mod own_endpoint;
pub mod permission;
pub mod selftest;
pub mod signature;
pub mod verdict;
