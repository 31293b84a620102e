//! The other sides of the product: what it talks to and what starts it.

pub mod chunked;
pub mod endpoint;
pub mod https;
pub mod index;
pub mod instants;
pub mod kvstore;
pub mod objects;
pub mod odata;
pub mod process;
pub mod proxy;
pub mod queue;
pub mod results;
pub mod signin;
pub mod splunkd;
pub mod stream;
pub mod tenant;
pub mod verdicts;

pub use objects::Object;
pub use splunkd::Splunkd;
pub use tenant::{Feed, Mishap, Tenant, Turn};
