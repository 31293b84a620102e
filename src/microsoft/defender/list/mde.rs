//! The Defender for Endpoint alerts API (`/api/alerts`).

use crate::ingest::{Kind, Limits};
use crate::microsoft::defender::list::collection::Collection;
use crate::microsoft::list_answer::Shape;

pub(in crate::microsoft) static ALERTS: Collection = Collection {
    name: "Defender for Endpoint alerts",
    path: "/api/alerts",
    expand: Some("evidence"),
    shape: Shape {
        kind: Kind::Alert,
        id: "id",
        updated: "lastUpdateTime",
        nested: None,
    },
    limits: Limits {
        // 10 000 are documented; a page of so many does not fit the memory promised.
        top: 1000,
        skip: 10_000,
        counts: false,
        tie_breakers: &[
            (
                "severity",
                &["High", "Medium", "Low", "Informational", "UnSpecified"],
            ),
            ("status", &["New", "InProgress", "Resolved"]),
            // An open set: what is not named here is the share "none of these".
            (
                "detectionSource",
                &[
                    "WindowsDefenderAtp",
                    "WindowsDefenderAv",
                    "WindowsDefenderSmartScreen",
                    "CustomDetection",
                    "CustomerTI",
                    "OfficeATP",
                    "AutomatedInvestigation",
                    "MTP",
                ],
            ),
        ],
    },
    severities: Some(["Informational", "Low", "Medium", "High"]),
    service_sources: None,
    read: "Alert.Read.All",
    write: "Alert.ReadWrite.All",
    api: "WindowsDefenderATP",
    ending: Some(
        "Microsoft ends this API in February 2027: set `api = graph`, \
         and grant the app SecurityAlert.Read.All of \"Microsoft Graph\"",
    ),
};
