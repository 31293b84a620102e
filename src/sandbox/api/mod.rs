//! What the tenant speaks: sign-in, Graph, Defender for Endpoint, Defender XDR and hunting, over HTTPS.

pub mod access;
pub mod answer;
pub mod filter;
pub mod graph;
pub mod hunting;
pub mod identity;
pub mod kql;
pub mod list;
pub mod mde;
pub mod query;
pub mod quota;
mod serve;
pub mod sign_in;
pub mod tls;
pub mod xdr;
