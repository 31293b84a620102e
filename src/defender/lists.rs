//! Which family lists what.

use crate::defender::cloud::Family;
use crate::defender::collection::{Collection, What};
use crate::defender::{graph, mde, xdr};

/// The collection, if the family has it.
pub(super) fn collection(family: Family, what: What) -> Option<&'static Collection> {
    match (family, what) {
        (Family::Graph, What::Alerts) => Some(&graph::ALERTS),
        (Family::Graph, What::Incidents) => Some(&graph::INCIDENTS),
        (Family::Mde, What::Alerts) => Some(&mde::ALERTS),
        (Family::Xdr, What::Incidents) => Some(&xdr::INCIDENTS),
        (Family::Mde, What::Incidents) | (Family::Xdr, What::Alerts) => None,
    }
}
