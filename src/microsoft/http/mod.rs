//! HTTP towards Microsoft, below any one API: transport, bodies, the budget of calls, waits and errors.

pub mod advice;
pub mod body;
pub mod call_budget;
pub mod clock;
pub mod error;
pub mod lenient_json;
pub mod retry_after;
pub mod sent_secrets;
pub mod transport;
pub mod usage;
