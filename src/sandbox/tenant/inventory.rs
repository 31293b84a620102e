//! Everything the tenant holds, told to tests and to `demo`, so that both sides
//! can be compared.

use crate::sandbox::tenant::record::State;
use crate::sandbox::tenant::store::{Row, Shelf, Store};

/// All alerts and incidents at one moment, in no particular order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Every alert.
    pub alerts: Vec<Record>,
    /// Every incident.
    pub incidents: Vec<Record>,
}

/// What can change on an alert or incident, in Graph spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The id all families know it by.
    pub id: String,
    /// The only family that serves it; `None` when all do.
    pub only: Option<crate::sandbox::Family>,
    /// As it is written in the object.
    pub last_update: String,
    /// `new`, `inProgress`, `resolved`; incidents: `active` …
    pub status: String,
    /// `unknown`, `informational`, `low`, `medium`, `high`.
    pub severity: String,
    /// `unknown` when unset.
    pub classification: String,
    /// `unknown` when unset.
    pub determination: String,
    /// Who works on it.
    pub assigned_to: Option<String>,
    /// In the order they were written.
    pub comments: Vec<Remark>,
}

/// A comment and its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What was written.
    pub text: String,
    /// The author's display name: for an app, its registration's.
    pub by: String,
}

impl Inventory {
    pub(in crate::sandbox) fn of(store: &Store) -> Self {
        Self {
            alerts: records(&store.alerts),
            incidents: records(&store.incidents),
        }
    }

    /// The alert of that id.
    pub fn alert(&self, id: &str) -> Option<&Record> {
        self.alerts.iter().find(|record| record.id == id)
    }

    /// The incident of that id.
    pub fn incident(&self, id: &str) -> Option<&Record> {
        self.incidents.iter().find(|record| record.id == id)
    }
}

fn records<T: Row>(shelf: &Shelf<T>) -> Vec<Record> {
    shelf
        .rows()
        .iter()
        .map(|row| {
            let state: &State = row.state();
            Record {
                id: row.id().to_owned(),
                only: row.only(),
                last_update: state.updated.to_string(),
                status: state.status.to_string(),
                severity: state.severity.to_string(),
                classification: state.classification.to_string(),
                determination: state.determination.to_string(),
                assigned_to: state.assigned_to.clone(),
                comments: state
                    .comments
                    .iter()
                    .map(|comment| Remark {
                        text: comment.text.clone(),
                        by: comment.by.clone(),
                    })
                    .collect(),
            }
        })
        .collect()
}
