//! The Microsoft Defender XDR incidents API (`/api/incidents`), which lists an
//! incident's alerts inside it.

use crate::ingest::{Kind, Limits};
use crate::microsoft::defender::list::collection::Collection;
use crate::microsoft::list_answer::{Nested, Shape};

pub(in crate::microsoft) static INCIDENTS: Collection = Collection {
    name: "Defender XDR incidents",
    path: "/api/incidents",
    expand: None,
    shape: Shape {
        kind: Kind::Incident,
        id: "incidentId",
        updated: "lastUpdateTime",
        nested: Some(Nested {
            member: "alerts",
            shape: &ALERT,
        }),
    },
    limits: Limits {
        top: 100,
        skip: 10_000,
        counts: false,
        tie_breakers: &[(
            "status",
            &["Active", "InProgress", "Resolved", "Redirected"],
        )],
    },
    severities: None,
    service_sources: None,
    read: "Incident.Read.All",
    write: "Incident.ReadWrite.All",
    api: "Microsoft Threat Protection",
    ending: Some(
        "Microsoft ends this API in February 2027: set `api = graph`, \
         and grant the app SecurityIncident.Read.All of \"Microsoft Graph\"",
    ),
};

/// Here an alert's last update ends in a `d` the incident's lacks.
const ALERT: Shape = Shape {
    kind: Kind::Alert,
    id: "alertId",
    updated: "lastUpdatedTime",
    nested: None,
};
