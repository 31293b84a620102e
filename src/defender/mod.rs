//! Everything spoken with Microsoft: clouds and hosts, sign-in, HTTP with
//! retry and call budget, and on top of it the API families.
//!
//! It implements the traits of the cores (`ingest`, `triage`) and must never
//! know Splunk: where a setting or a secret was written down is not its matter.

pub mod account;
mod advice;
mod assertion;
mod body;
mod budget;
pub mod cloud;
#[cfg(test)]
pub(crate) mod counterpart;
mod door;
mod error;
pub mod http;
mod meter;
mod road;
mod sign_in;
mod throttle;

pub use account::{Account, Auth, Proxy};
pub use cloud::{Cloud, Family, Hosts};
pub use error::{Error, Retry};
pub use http::{Answer, Calls, Client, Quota};
