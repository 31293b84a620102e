//! Everything spoken with Microsoft: clouds and hosts, sign-in, HTTP with
//! retry and call budget, and on top of it the APIs.
//!
//! It implements the traits of the cores (`ingest`, `triage`) and must never
//! know Splunk: where a setting or a secret was written down is not its matter.

pub mod account;
pub mod azure;
mod client;
pub mod defender;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
mod http;
mod list_answer;
mod sign_in;
#[cfg(test)]
pub mod tests;

pub use account::Account;
pub use client::Client;
pub use defender::list::query::{Feed, FeedError};
pub use defender::list::source::FeedSource;
pub use defender::update::client::{DefenderError, UpdateClient};
pub use http::error::Error;
