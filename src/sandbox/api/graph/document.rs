//! Graph's documents: `microsoft.graph.security.alert` and `…incident`.

use crate::sandbox::tenant::comment::comments;
use crate::sandbox::tenant::json::{Json, Members, edit, quoted};
use crate::sandbox::tenant::record::{Alert, Body, Incident, State, ToldAlert};
use crate::sandbox::tenant::store::Store;
use crate::sandbox::tenant::vocabulary::evolved;
use crate::sandbox::{Family, TENANT_ID};

/// An alert's text. `newer` is a client's willingness to get enum members that
/// were added later.
pub(in crate::sandbox) fn alert(alert: &Alert, newer: bool) -> String {
    let mut json = Json::with_capacity(8 * 1024);
    write_alert(alert, newer, &mut json);
    json.finish()
}

pub(in crate::sandbox) fn write_alert(alert: &Alert, newer: bool, json: &mut Json) {
    match &alert.body {
        Body::Given { text, .. } => json.raw(text),
        Body::Told(told) => told_alert(alert, told, newer, json),
    }
}

fn told_alert(alert: &Alert, told: &ToldAlert, newer: bool, json: &mut Json) {
    let scene = told.scene;
    let incident = alert.incident.as_deref();
    json.object(|json| {
        json.key("@odata.type")
            .text("#microsoft.graph.security.alert");
        json.key("id").text(&alert.id);
        json.key("providerAlertId").text(
            alert
                .id
                .strip_prefix(scene.workload.prefix)
                .unwrap_or(&alert.id),
        );
        json.key("incidentId").maybe(incident);
        json.key("status").text(&alert.state.status);
        json.key("severity").text(&alert.state.severity);
        json.key("classification").text(&alert.state.classification);
        json.key("determination").text(&alert.state.determination);
        json.key("serviceSource")
            .text(evolved(&alert.service_source, newer));
        json.key("detectionSource")
            .text(evolved(&alert.detection_source, newer));
        json.key("productName").text(scene.workload.product);
        json.key("detectorId").plain(detector(scene.title));
        json.key("tenantId").text(TENANT_ID);
        json.key("title").text(&told.title);
        json.key("description").text(&told.description);
        json.key("recommendedActions").text(scene.workload.actions);
        json.key("category").text(&alert.category);
        json.key("assignedTo")
            .maybe(alert.state.assigned_to.as_deref());
        json.key("alertWebUrl").plain(format_args!(
            "https://security.microsoft.com/alerts/{}?tid={TENANT_ID}",
            alert.id
        ));
        match incident {
            Some(incident) => json.key("incidentWebUrl").plain(format_args!(
                "https://security.microsoft.com/incidents/{incident}?tid={TENANT_ID}"
            )),
            None => json.key("incidentWebUrl").null(),
        }
        json.key("actorDisplayName").maybe(scene.actor);
        json.key("threatDisplayName").maybe(scene.family);
        json.key("threatFamilyName").maybe(scene.family);
        json.key("mitreTechniques")
            .texts(scene.techniques.iter().copied());
        json.key("createdDateTime").plain(alert.state.created);
        json.key("lastUpdateDateTime").plain(alert.state.updated);
        resolved(&alert.state, json);
        json.key("firstActivityDateTime").plain(told.first);
        json.key("lastActivityDateTime").plain(told.last);
        json.key("alertPolicyId").null();
        json.key("investigationState")
            .text(told.investigation_state);
        json.key("systemTags").list(|_| {});
        json.key("additionalData").null();
        json.key("customDetails").object(|_| {});
        json.key("comments")
            .raw(&comments(Family::Graph, &alert.state.comments));
        json.key("evidence").list(|json| {
            for evidence in &told.evidence {
                evidence.graph(json);
            }
        });
    });
}

/// A detector's id: the same for every alert of one rule.
pub(in crate::sandbox) fn detector(rule: &str) -> uuid::Uuid {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, rule.as_bytes())
}

fn resolved(state: &State, json: &mut Json) {
    match state.resolved {
        Some(at) => json.key("resolvedDateTime").plain(at),
        None => json.key("resolvedDateTime").null(),
    }
}

/// An incident's text, with its alerts where they were asked for.
pub(in crate::sandbox) fn incident(
    incident: &Incident,
    store: &Store,
    expand: bool,
    newer: bool,
) -> String {
    let alerts = || {
        incident
            .alerts
            .iter()
            .filter_map(|place| store.alerts.get(*place))
    };
    let list = || {
        let mut json = Json::default();
        json.list(|json| alerts().for_each(|alert| write_alert(alert, newer, json)));
        json.finish()
    };
    match &incident.body {
        Body::Told(()) => {
            let mut json = Json::with_capacity(4 * 1024);
            told_incident(incident, newer, &mut json);
            let text = json.finish();
            if expand {
                edit(&text, &[("alerts", Some(list()))])
            } else {
                text
            }
        }
        Body::Given { text, .. } => {
            let nested = Members::of(text).is_ok_and(|members| members.has("alerts"));
            match (nested, expand) {
                (false, false) => text.to_string(),
                (true, false) => edit(text, &[("alerts", None)]),
                (_, true) if nested && alerts().all(untouched) => text.to_string(),
                (_, true) => edit(text, &[("alerts", Some(list()))]),
            }
        }
    }
}

fn untouched(alert: &Alert) -> bool {
    matches!(
        alert.body,
        Body::Given {
            written: false,
            family: Family::Graph,
            ..
        }
    )
}

fn told_incident(incident: &Incident, newer: bool, json: &mut Json) {
    let state = &incident.state;
    json.object(|json| {
        json.key("@odata.type")
            .text("#microsoft.graph.security.incident");
        json.key("id").text(&incident.id);
        json.key("tenantId").text(TENANT_ID);
        json.key("status").text(evolved(&state.status, newer));
        json.key("incidentWebUrl").plain(format_args!(
            "https://security.microsoft.com/incidents/{}?tid={TENANT_ID}",
            incident.id
        ));
        json.key("redirectIncidentId")
            .maybe(incident.redirect.as_deref());
        json.key("displayName").text(&incident.name);
        json.key("createdDateTime").plain(state.created);
        json.key("lastUpdateDateTime").plain(state.updated);
        json.key("assignedTo").maybe(state.assigned_to.as_deref());
        json.key("classification").text(&state.classification);
        json.key("determination").text(&state.determination);
        json.key("severity").text(&state.severity);
        json.key("customTags")
            .texts(incident.tags.iter().map(String::as_str));
        json.key("systemTags").list(|_| {});
        json.key("description").null();
        json.key("lastModifiedBy")
            .text("Microsoft 365 Defender-AlertCorrelation");
        json.key("priorityScore")
            .number(match state.severity.as_ref() {
                "high" => 92,
                "medium" => 58,
                _ => 17,
            });
        json.key("resolvingComment")
            .maybe(incident.resolving_comment.as_deref());
        json.key("summary").maybe(incident.summary.as_deref());
        json.key("comments")
            .raw(&comments(Family::Graph, &state.comments));
    });
}

/// Puts the context that Graph writes in front of a single object.
pub(in crate::sandbox) fn with_context(context: &str, object: &str) -> String {
    let rest = object
        .trim_start()
        .strip_prefix('{')
        .unwrap_or(object)
        .trim_start();
    let comma = if rest.starts_with('}') { "" } else { "," };
    format!("{{\"@odata.context\":{}{comma}{rest}", quoted(context))
}
