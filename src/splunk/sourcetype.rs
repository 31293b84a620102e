//! The sourcetypes events leave under: those existing Splunk content for
//! Defender expects, and our own.

/// Alerts in Graph's form, and alerts split out of an incident.
pub const ALERT: &str = "ms365:defender:incident:alerts";
/// Incidents.
pub const INCIDENT: &str = "ms365:defender:incident";
/// Alerts in the form of Defender for Endpoint.
pub const ENDPOINT_ALERT: &str = "ms:defender:atp:alerts";
/// Records of the streaming API, from an event hub or a storage account.
pub const RECORD: &str = "ms:defender:eventhub";
/// The ledger of the way back: one event per row.
pub const TRIAGE: &str = "defender_bridge:triage";
/// One summary per run.
pub const HEALTH: &str = "defender_bridge:health";
/// What an operator should know, quarantined elements among it.
pub const LOG: &str = "defender_bridge:log";
/// What the self-test sends and finds again: no outcome, whatever it looks like.
pub const SELFTEST: &str = "defender_bridge:selftest";
