//! Defender XDR's incidents API: `/api/incidents`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::routing::get;
use std::sync::Arc;

use crate::sandbox::api::access::{Caller, Permission};
use crate::sandbox::api::answer::{Call, Refusal, Reply};
use crate::sandbox::api::filter::{Field, Filter, Grammar, Kind};
use crate::sandbox::api::graph::document::{detector, with_context};
use crate::sandbox::api::list::NEWEST_FIRST;
use crate::sandbox::api::query::Options;
use crate::sandbox::api::quota::Counter;
use crate::sandbox::story::evidence::{Item, xdr_device};
use crate::sandbox::tenant::comment::comments;
use crate::sandbox::tenant::json::Json;
use crate::sandbox::tenant::record::{Alert, Body, Incident, State as Facts, ToldAlert};
use crate::sandbox::tenant::store::Store;
use crate::sandbox::tenant::vocabulary::{List, capitalised, detection_source};
use crate::sandbox::tenant::write;
use crate::sandbox::tenant::write::Target;
use crate::sandbox::{Family, Shared};

const CONTEXT: &str = "https://api.security.microsoft.com/api/$metadata#Incidents";
const TOP: usize = 100;

const GRAMMAR: Grammar = Grammar {
    family: Family::Xdr,
    fields: &[
        ("lastUpdateTime", Field::Updated, Kind::Instant),
        ("createdTime", Field::Created, Kind::Instant),
        ("status", Field::Status, Kind::Word(List::IncidentStatus)),
        ("assignedTo", Field::AssignedTo, Kind::Text),
    ],
};

pub(in crate::sandbox) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/incidents", get(list))
        .route("/api/incidents/{id}", get(one).patch(patch))
}

type Tenant = State<Arc<Shared>>;

fn admit(tenant: &Shared, headers: &HeaderMap, permission: Permission) -> Result<Caller, Refusal> {
    tenant.admit(headers, Family::Xdr, permission, Counter::Xdr)
}

async fn list(State(tenant): Tenant, RawQuery(query): RawQuery, headers: HeaderMap) -> Reply {
    let call = Call::new(Family::Xdr, &headers);
    call.answer(page(&tenant, query.as_deref(), &headers))
}

fn page(tenant: &Shared, query: Option<&str>, headers: &HeaderMap) -> Result<String, Refusal> {
    admit(tenant, headers, Permission::XDR_INCIDENTS)?;
    let options = Options::of(query)?;
    if let Some(top) = options.top.filter(|top| *top > TOP) {
        let message = format!(
            "The query specified in the URI is not valid. The limit of '{TOP}' for Top query has been exceeded. The value from the incoming request is '{top}'."
        );
        return Err(Refusal::bad("BadRequest", message));
    }
    let filter = Filter::asked(options.filter.as_deref(), &GRAMMAR).map_err(|error| {
        Refusal::bad(
            "BadRequest",
            format!("The query specified in the URI is not valid. {error}"),
        )
    })?;
    let after = options.after.or(options.skip).unwrap_or(0);
    let top = options.top.unwrap_or(TOP);
    let store = tenant.store();
    // Newest first whatever $orderby says.
    let page = store
        .incidents
        .page(Family::Xdr, filter.as_ref(), NEWEST_FIRST, after, top);
    let mut json = Json::with_capacity(page.rows.len() * 8000 + 256);
    json.object(|json| {
        json.key("@odata.context").text(CONTEXT);
        if options.count {
            let count = store.incidents.count(Family::Xdr, filter.as_ref());
            json.key("@odata.count")
                .number(i64::try_from(count).unwrap_or(i64::MAX));
        }
        json.key("value").list(|json| {
            for incident in &page.rows {
                json.raw(&self::incident(incident, &store));
            }
        });
        if page.more && top > 0 {
            let next = Options::next(query, after + page.rows.len());
            json.key("@odata.nextLink")
                .text(&format!("{}/api/incidents?{next}", tenant.url));
        }
    });
    Ok(json.finish())
}

async fn one(State(tenant): Tenant, Path(id): Path<String>, headers: HeaderMap) -> Reply {
    let call = Call::new(Family::Xdr, &headers);
    call.answer(
        admit(&tenant, &headers, Permission::XDR_INCIDENTS).and_then(|_| {
            let store = tenant.store();
            let place = Target::Incident.find(&store, Family::Xdr, &id)?;
            Ok(entity(&store, store.incidents.seen(place)))
        }),
    )
}

fn entity(store: &Store, found: Option<&Incident>) -> String {
    let text = found.map(|found| incident(found, store));
    with_context(&format!("{CONTEXT}/$entity"), &text.unwrap_or_default())
}

async fn patch(
    State(tenant): Tenant,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let call = Call::new(Family::Xdr, &headers);
    let permission = Permission::XDR_INCIDENTS_WRITE;
    let result = admit(&tenant, &headers, permission).and_then(|caller| {
        write::patch(&tenant, Family::Xdr, Target::Incident, &id, &body, &caller)
    });
    call.answer(result.map(|place| {
        let store = tenant.store();
        entity(&store, store.incidents.get(place))
    }))
}

/// An incident's text with its alerts.
pub(in crate::sandbox) fn incident(incident: &Incident, store: &Store) -> String {
    if let Body::Given { text, .. } = &incident.body {
        return text.to_string();
    }
    let state = &incident.state;
    let word = |list: List, word: &str| list.spell(Family::Xdr, word).into_owned();
    let mut json = Json::with_capacity(16 * 1024);
    json.object(|json| {
        number(json.key("incidentId"), Some(&incident.id));
        number(json.key("redirectIncidentId"), incident.redirect.as_deref());
        json.key("incidentName").text(&incident.name);
        json.key("createdTime").plain(state.created);
        json.key("lastUpdateTime").plain(state.updated);
        json.key("assignedTo").maybe(state.assigned_to.as_deref());
        json.key("classification")
            .text(&word(List::Classification, &state.classification));
        json.key("determination")
            .text(&word(List::Determination, &state.determination));
        json.key("status")
            .text(&word(List::IncidentStatus, &state.status));
        json.key("severity")
            .text(&word(List::Severity, &state.severity));
        json.key("tags")
            .texts(incident.tags.iter().map(String::as_str));
        json.key("comments")
            .raw(&comments(Family::Xdr, &state.comments));
        json.key("alerts").list(|json| {
            for place in &incident.alerts {
                if let Some(alert) = store.alerts.get(*place)
                    && let Body::Told(told) = &alert.body
                {
                    nested_alert(alert, told, json);
                }
            }
        });
    });
    json.finish()
}

fn number(json: &mut Json, digits: Option<&str>) {
    match digits {
        Some(digits) => json.raw(digits),
        None => json.null(),
    }
}

fn resolved(state: &Facts, json: &mut Json) {
    match state.resolved {
        Some(at) => json.key("resolvedTime").plain(at),
        None => json.key("resolvedTime").null(),
    }
}

fn nested_alert(alert: &Alert, told: &ToldAlert, json: &mut Json) {
    let (scene, state) = (told.scene, &alert.state);
    let word = |list: List, word: &str| list.spell(Family::Xdr, word).into_owned();
    json.object(|json| {
        json.key("alertId").text(&alert.id);
        json.key("providerAlertId").text(
            alert
                .id
                .strip_prefix(scene.workload.prefix)
                .unwrap_or(&alert.id),
        );
        number(json.key("incidentId"), alert.incident.as_deref());
        json.key("serviceSource")
            .text(&capitalised(&alert.service_source));
        json.key("creationTime").plain(state.created);
        json.key("lastUpdatedTime").plain(state.updated);
        resolved(state, json);
        json.key("firstActivity").plain(told.first);
        json.key("lastActivity").plain(told.last);
        json.key("title").text(&told.title);
        json.key("description").text(&told.description);
        json.key("category").text(&alert.category);
        json.key("status")
            .text(&word(List::AlertStatus, &state.status));
        json.key("severity")
            .text(&word(List::Severity, &state.severity));
        match alert.investigation {
            Some(id) => json.key("investigationId").number(id),
            None => json.key("investigationId").null(),
        }
        json.key("investigationState")
            .text(&capitalised(told.investigation_state));
        json.key("classification")
            .text(&word(List::Classification, &state.classification));
        json.key("determination")
            .text(&word(List::Determination, &state.determination));
        json.key("detectionSource")
            .text(detection_source(&alert.detection_source));
        json.key("detectorId").plain(detector(scene.title));
        json.key("assignedTo").maybe(state.assigned_to.as_deref());
        json.key("actorName").maybe(scene.actor);
        json.key("threatFamilyName").maybe(scene.family);
        json.key("mitreTechniques")
            .texts(scene.techniques.iter().copied());
        json.key("devices").list(|json| {
            for evidence in &told.evidence {
                if let Item::Device(device) = &evidence.item {
                    xdr_device(device, json);
                }
            }
        });
        json.key("entities").list(|json| {
            for evidence in &told.evidence {
                // Devices stand in their own list.
                let _written = evidence.xdr(json);
            }
        });
    });
}
