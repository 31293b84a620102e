//! Which API lists what.

pub mod collection;
mod graph;
pub mod mde;
pub mod query;
pub mod source;
mod xdr;

use crate::microsoft::defender::list::collection::Collection;
use crate::triage::{Api, Subject};

/// The collection, if the API has it.
pub(in crate::microsoft) fn collection(api: Api, subject: Subject) -> Option<&'static Collection> {
    match (api, subject) {
        (Api::Graph, Subject::Alert) => Some(&graph::ALERTS),
        (Api::Graph, Subject::Incident) => Some(&graph::INCIDENTS),
        (Api::Mde, Subject::Alert) => Some(&mde::ALERTS),
        (Api::Xdr, Subject::Incident) => Some(&xdr::INCIDENTS),
        (Api::Mde, Subject::Incident) | (Api::Xdr, Subject::Alert) => None,
    }
}
