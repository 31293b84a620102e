//! Which family lists what.

pub mod collection;
pub mod graph;
pub mod mde;
pub mod query;
pub mod source;
pub mod xdr;

use crate::microsoft::account::cloud::Family;
use crate::microsoft::defender::list::collection::{Collection, What};

/// The collection, if the family has it.
pub(in crate::microsoft) fn collection(family: Family, what: What) -> Option<&'static Collection> {
    match (family, what) {
        (Family::Graph, What::Alerts) => Some(&graph::ALERTS),
        (Family::Graph, What::Incidents) => Some(&graph::INCIDENTS),
        (Family::Mde, What::Alerts) => Some(&mde::ALERTS),
        (Family::Xdr, What::Incidents) => Some(&xdr::INCIDENTS),
        (Family::Mde, What::Incidents) | (Family::Xdr, What::Alerts) => None,
    }
}
