//! Everything spoken with Splunk: the scheme, the documents splunkd writes to
//! stdin, the event stream it reads from stdout, checkpoints, splunkd's
//! REST interface, what an alert action is handed and leaves behind, what a
//! search command is asked and answers, how splunkd speaks to an endpoint of
//! ours, and outcomes that wait for splunkd.
//!
//! It must never know how Defender is spoken to: objects come as text through
//! [`crate::ingest`], rows leave as text for [`crate::triage`].

pub mod alert;
pub mod checkpoint;
pub mod chunked;
pub mod conf;
mod document;
mod encoding;
pub mod events;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
pub mod input;
pub mod kv_checkpoint;
pub mod modular_action;
pub mod persist;
pub mod results;
pub mod scheme;
pub mod sourcetype;
pub mod splunkd;
pub mod spool;
pub mod validation;
mod xml;

pub use document::DocumentError;

/// The one name: app id, scheme and executable.
pub const NAME: &str = "defender_bridge";
