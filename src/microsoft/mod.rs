//! Everything spoken with Microsoft: clouds and hosts, sign-in, HTTP with
//! retry and call budget, and on top of it the APIs.
//!
//! It implements the traits of the cores (`ingest`, `triage`) and must never
//! know Splunk: where a setting or a secret was written down is not its matter.

pub mod account;
pub mod client;
pub mod defender;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
pub mod http;
mod sign_in;
mod slice;
#[cfg(test)]
pub mod tests;

pub use account::cloud::{Cloud, Hosts};
pub use account::{Account, Auth, Proxy};
pub use client::{Answer, Calls, Client, Quota};
pub use defender::list::query::{Feed, FeedError};
pub use defender::list::source::{FeedSource, PageError};
pub use defender::update::client::{DefenderError, UpdateClient};
pub use http::error::{Error, Retry};
