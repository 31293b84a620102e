//! Microsoft Graph security v1.0: `alerts_v2` and `incidents`, as their
//! reference pages and the v1.0 metadata describe them.

use crate::ingest::{Kind, Limits};
use crate::microsoft::defender::list::collection::Collection;
use crate::microsoft::list_answer::Shape;

pub(in crate::microsoft) static ALERTS: Collection = Collection {
    name: "Microsoft Graph alerts",
    path: "/v1.0/security/alerts_v2",
    expand: None,
    shape: Shape {
        kind: Kind::Alert,
        id: "id",
        updated: "lastUpdateDateTime",
        nested: None,
    },
    limits: Limits {
        top: 1000,
        skip: 500,
        counts: true,
        tie_breakers: &[
            ("severity", SEVERITIES),
            ("serviceSource", OLD_SERVICE_SOURCES),
            ("status", &["new", "inProgress", "resolved"]),
            ("classification", CLASSIFICATIONS),
        ],
    },
    severities: Some(["informational", "low", "medium", "high"]),
    service_sources: Some(("serviceSource", SERVICE_SOURCES)),
    read: "SecurityAlert.Read.All",
    write: "SecurityAlert.ReadWrite.All",
    api: "Microsoft Graph",
    ending: None,
};

pub(in crate::microsoft) static INCIDENTS: Collection = Collection {
    name: "Microsoft Graph incidents",
    path: "/v1.0/security/incidents",
    // `$expand=alerts` fails for good on large tenants; alerts have a feed of their own.
    expand: None,
    shape: Shape {
        kind: Kind::Incident,
        id: "id",
        updated: "lastUpdateDateTime",
        nested: None,
    },
    limits: Limits {
        top: 50,
        skip: 500,
        counts: true,
        tie_breakers: &[
            ("severity", SEVERITIES),
            (
                "status",
                &["active", "inProgress", "resolved", "redirected"],
            ),
            ("classification", CLASSIFICATIONS),
        ],
    },
    severities: Some(["informational", "low", "medium", "high"]),
    service_sources: None,
    read: "SecurityIncident.Read.All",
    write: "SecurityIncident.ReadWrite.All",
    api: "Microsoft Graph",
    ending: None,
};

const SEVERITIES: &[&str] = &["high", "medium", "low", "informational"];

const CLASSIFICATIONS: &[&str] = &[
    "truePositive",
    "falsePositive",
    "informationalExpectedActivity",
    "unknown",
];

/// Values older than the enum's `unknownFutureValue`: every tenant's service
/// takes them in a filter; newer ones fall into the share "none of these".
const OLD_SERVICE_SOURCES: &[&str] = &[
    "microsoftDefenderForEndpoint",
    "microsoftDefenderForIdentity",
    "microsoftDefenderForCloudApps",
    "microsoftDefenderForOffice365",
    "microsoft365Defender",
    "azureAdIdentityProtection",
    "microsoftAppGovernance",
    "dataLossPrevention",
];

const SERVICE_SOURCES: &[&str] = &[
    "microsoftDefenderForEndpoint",
    "microsoftDefenderForIdentity",
    "microsoftDefenderForCloudApps",
    "microsoftDefenderForOffice365",
    "microsoft365Defender",
    "azureAdIdentityProtection",
    "microsoftAppGovernance",
    "dataLossPrevention",
    "microsoftDefenderForCloud",
    "microsoftSentinel",
    "microsoftInsiderRiskManagement",
    "microsoftThreatIntelligence",
    "microsoftSecurityForAI",
    "unknown",
];
