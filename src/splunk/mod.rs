//! Everything spoken with Splunk: the scheme, the documents splunkd writes to
//! stdin, the event stream it reads from stdout, checkpoints, splunkd's
//! REST interface, what an alert action is handed and leaves behind, what a
//! search command is asked and answers, how splunkd speaks to an endpoint of
//! ours, and outcomes that wait for splunkd.
//!
//! It must never know how Defender is spoken to: objects come as text through
//! [`crate::ingest`], rows leave as text for [`crate::triage`].

pub mod alert_action;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
pub mod modular_input;
pub mod rest_handler;
pub mod search_command;
pub mod sourcetype;
pub mod splunkd;
pub mod spool;
#[cfg(test)]
pub mod tests;
