//! Everything spoken with Microsoft: clouds and hosts, sign-in, HTTP with
//! retry and call budget, and on top of it the API families.
//!
//! It implements the traits of the cores (`ingest`, `triage`) and must never
//! know Splunk: where a setting or a secret was written down is not its matter.

pub mod account;
mod advice;
mod assertion;
mod batch;
mod batch_read;
mod batch_update;
mod batch_write;
mod body;
mod budget;
pub mod cloud;
mod collection;
#[cfg(test)]
pub(crate) mod counterpart;
mod desk;
mod door;
mod echo;
mod errand;
mod error;
mod feed;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
mod graph;
pub mod http;
pub mod hunting;
mod id_list;
mod learnt;
mod lenient;
mod lists;
#[cfg(test)]
mod lookups;
#[cfg(test)]
mod loopback;
mod mde;
mod meter;
mod road;
mod sign_in;
mod slice;
mod source;
mod spelling;
mod standing;
mod throttle;
mod trace;
mod work;
mod xdr;

pub use account::{Account, Auth, Proxy};
pub use cloud::{Cloud, Family, Hosts};
pub use collection::What;
pub use desk::{DeskFault, FamilyDesk};
pub use error::{Error, Retry};
pub use feed::{Feed, FeedError};
pub use http::{Answer, Calls, Client, Quota};
pub use source::{FeedSource, PageError};
