//! What splunkd hands to an alert action, and what it reads back.

pub mod payload;
pub mod response_log;
pub mod results;
