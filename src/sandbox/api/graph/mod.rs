//! Microsoft Graph's security API: `/v1.0/security/alerts_v2` and `…/incidents`.

mod batch;
pub mod document;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use std::sync::Arc;

use crate::sandbox::api::access::{Caller, Permission};
use crate::sandbox::api::answer::{Call, Refusal, Reply};
use crate::sandbox::api::filter::{Field, Filter, Grammar, Kind};
use crate::sandbox::api::list::{NEWEST_FIRST, Order};
use crate::sandbox::api::query::Options;
use crate::sandbox::api::quota::Counter;
use crate::sandbox::tenant::comment::comments;
use crate::sandbox::tenant::json::Json;
use crate::sandbox::tenant::record::{Alert, Incident};
use crate::sandbox::tenant::store::Store;
use crate::sandbox::tenant::vocabulary::List;
use crate::sandbox::tenant::write;
use crate::sandbox::tenant::write::{Change, Target};
use crate::sandbox::{Family, OrderBy, Shared};

const ALERTS_CONTEXT: &str = "https://graph.microsoft.com/v1.0/$metadata#security/alerts_v2";
const INCIDENTS_CONTEXT: &str = "https://graph.microsoft.com/v1.0/$metadata#security/incidents";

/// `$top` of alerts_v2 is clamped in silence, that of incidents refused.
const ALERTS_TOP: usize = 1000;
const INCIDENTS_TOP: usize = 50;
const SKIP: usize = 500;

const ALERT_GRAMMAR: Grammar = Grammar {
    family: Family::Graph,
    fields: &[
        ("assignedTo", Field::AssignedTo, Kind::Text),
        (
            "classification",
            Field::Classification,
            Kind::Word(List::Classification),
        ),
        (
            "determination",
            Field::Determination,
            Kind::Word(List::Determination),
        ),
        ("createdDateTime", Field::Created, Kind::Instant),
        ("lastUpdateDateTime", Field::Updated, Kind::Instant),
        ("severity", Field::Severity, Kind::Word(List::Severity)),
        (
            "serviceSource",
            Field::ServiceSource,
            Kind::Word(List::ServiceSource),
        ),
        ("status", Field::Status, Kind::Word(List::AlertStatus)),
    ],
};

const INCIDENT_GRAMMAR: Grammar = Grammar {
    family: Family::Graph,
    fields: &[
        ("assignedTo", Field::AssignedTo, Kind::Text),
        (
            "classification",
            Field::Classification,
            Kind::Word(List::Classification),
        ),
        ("createdDateTime", Field::Created, Kind::Instant),
        (
            "determination",
            Field::Determination,
            Kind::Word(List::Determination),
        ),
        ("lastUpdateDateTime", Field::Updated, Kind::Instant),
        ("severity", Field::Severity, Kind::Word(List::Severity)),
        ("status", Field::Status, Kind::Word(List::IncidentStatus)),
    ],
};

pub(in crate::sandbox) fn routes() -> Router<Arc<Shared>> {
    resources().route("/v1.0/$batch", post(batch::batch))
}

/// What can also be a part of a batch.
fn resources() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1.0/security/alerts_v2", get(list_alerts))
        .route(
            "/v1.0/security/alerts_v2/{id}",
            get(get_alert).patch(patch_alert),
        )
        .route(
            "/v1.0/security/alerts_v2/{id}/comments",
            post(comment_alert),
        )
        .route("/v1.0/security/incidents", get(list_incidents))
        .route(
            "/v1.0/security/incidents/{id}",
            get(get_incident).patch(patch_incident),
        )
        .route(
            "/v1.0/security/incidents/{id}/alerts",
            get(alerts_of_incident),
        )
        .route(
            "/v1.0/security/incidents/{id}/comments",
            post(comment_incident),
        )
}

type Tenant = State<Arc<Shared>>;

fn admit(tenant: &Shared, headers: &HeaderMap, permission: Permission) -> Result<Caller, Refusal> {
    tenant.admit(headers, Family::Graph, permission, Counter::Graph)
}

/// Whether the client takes enum members added after the first publication.
fn newer(headers: &HeaderMap) -> bool {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value
                .split(',')
                .any(|one| one.trim() == "include-unknown-enum-members")
        })
}

fn filter(options: &Options, grammar: &Grammar) -> Result<Option<Filter>, Refusal> {
    Filter::asked(options.filter.as_deref(), grammar)
        .map_err(|error| Refusal::bad("BadRequest", format!("Invalid filter clause: {error}")))
}

/// The options both lists share; what is not documented is refused.
fn plan(tenant: &Shared, options: &Options) -> Result<Order, Refusal> {
    if options.select {
        let message = "The query specified in the URI is not valid. Query option 'Select' is not allowed. To allow it, set the 'AllowedQueryOptions' property on EnableQueryAttribute or QueryValidationSettings.";
        return Err(Refusal::bad("BadRequest", message));
    }
    if let Some(skip) = options.skip.filter(|skip| *skip > SKIP) {
        let message = format!(
            "The limit of '{SKIP}' for Skip query has been exceeded. The value from the incoming request is '{skip}'."
        );
        return Err(Refusal::bad("BadRequest", message));
    }
    match (options.order.as_deref(), tenant.settings.order) {
        (None, _) | (Some(_), OrderBy::Ignored) => Ok(NEWEST_FIRST),
        (Some(_), OrderBy::Refused) => {
            let message = "The query specified in the URI is not valid. Query option 'OrderBy' is not allowed. To allow it, set the 'AllowedQueryOptions' property on EnableQueryAttribute or QueryValidationSettings.";
            Err(Refusal::bad("BadRequest", message))
        }
        (Some(text), OrderBy::Honoured) => Order::parse(text).ok_or_else(|| {
            let message = format!(
                "The query specified in the URI is not valid. '{text}' cannot be used in $orderby."
            );
            Refusal::bad("BadRequest", message)
        }),
    }
}

async fn list_alerts(
    State(tenant): Tenant,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Reply {
    let call = Call::new(Family::Graph, &headers);
    call.answer(alerts_page(&tenant, query.as_deref(), &headers))
}

fn alerts_page(
    tenant: &Shared,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<String, Refusal> {
    admit(tenant, headers, Permission::GRAPH_ALERTS)?;
    let options = Options::of(query)?;
    let order = plan(tenant, &options)?;
    if let Some(expand) = &options.expand {
        let message = format!(
            "Could not find a property named '{expand}' on type 'microsoft.graph.security.alert'."
        );
        return Err(Refusal::bad("BadRequest", message));
    }
    let filter = filter(&options, &ALERT_GRAMMAR)?;
    let top = options.top.unwrap_or(ALERTS_TOP).min(ALERTS_TOP);
    let store = tenant.store();
    let page = store.alerts.page(
        Family::Graph,
        filter.as_ref(),
        order,
        options.skip.unwrap_or(0),
        top,
    );
    let newer = newer(headers);
    let mut json = Json::with_capacity(page.rows.len() * 6000 + 256);
    json.object(|json| {
        json.key("@odata.context").text(ALERTS_CONTEXT);
        if options.count {
            let count = store.alerts.count(Family::Graph, filter.as_ref());
            json.key("@odata.count")
                .number(i64::try_from(count).unwrap_or(i64::MAX));
        }
        // alerts_v2 never names a next page (elastic/integrations 20234).
        json.key("value").list(|json| {
            for alert in &page.rows {
                document::write_alert(alert, newer, json);
            }
        });
    });
    Ok(json.finish())
}

async fn list_incidents(
    State(tenant): Tenant,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Reply {
    let call = Call::new(Family::Graph, &headers);
    call.answer(incidents_page(&tenant, query.as_deref(), &headers))
}

fn incidents_page(
    tenant: &Shared,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<String, Refusal> {
    admit(tenant, headers, Permission::GRAPH_INCIDENTS)?;
    let options = Options::of(query)?;
    let order = plan(tenant, &options)?;
    if let Some(top) = options.top.filter(|top| *top > INCIDENTS_TOP) {
        let message = format!(
            "The limit of '{INCIDENTS_TOP}' for Top query has been exceeded. The value from the incoming request is '{top}'."
        );
        return Err(Refusal::bad("BadRequest", message));
    }
    let expand = expanded(&options)?;
    let filter = filter(&options, &INCIDENT_GRAMMAR)?;
    let top = options.top.unwrap_or(INCIDENTS_TOP);
    let after = options.after.or(options.skip).unwrap_or(0);
    let store = tenant.store();
    let page = store
        .incidents
        .page(Family::Graph, filter.as_ref(), order, after, top);
    let newer = newer(headers);
    let mut json = Json::with_capacity(page.rows.len() * 2000 + 256);
    json.object(|json| {
        json.key("@odata.context").text(&if expand {
            format!("{INCIDENTS_CONTEXT}(alerts())")
        } else {
            INCIDENTS_CONTEXT.to_owned()
        });
        if options.count {
            let count = store.incidents.count(Family::Graph, filter.as_ref());
            json.key("@odata.count")
                .number(i64::try_from(count).unwrap_or(i64::MAX));
        }
        if page.more && top > 0 {
            let next = Options::next(query, after + page.rows.len());
            json.key("@odata.nextLink")
                .text(&format!("{}/v1.0/security/incidents?{next}", tenant.url));
        }
        json.key("value").list(|json| {
            for incident in &page.rows {
                json.raw(&document::incident(incident, &store, expand, newer));
            }
        });
    });
    Ok(json.finish())
}

fn expanded(options: &Options) -> Result<bool, Refusal> {
    match options.expand.as_deref() {
        None => Ok(false),
        Some("alerts") => Ok(true),
        Some(other) => {
            let message = format!(
                "Could not find a property named '{other}' on type 'microsoft.graph.security.incident'."
            );
            Err(Refusal::bad("BadRequest", message))
        }
    }
}

async fn get_alert(State(tenant): Tenant, Path(id): Path<String>, headers: HeaderMap) -> Reply {
    let call = Call::new(Family::Graph, &headers);
    call.answer(
        admit(&tenant, &headers, Permission::GRAPH_ALERTS).and_then(|_| {
            let store = tenant.store();
            let place = Target::Alert.find(&store, Family::Graph, &id)?;
            Ok(alert_text(store.alerts.seen(place), newer(&headers)))
        }),
    )
}

async fn get_incident(
    State(tenant): Tenant,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Reply {
    let call = Call::new(Family::Graph, &headers);
    call.answer(
        admit(&tenant, &headers, Permission::GRAPH_INCIDENTS).and_then(|_| {
            let expand = expanded(&Options::of(query.as_deref())?)?;
            let store = tenant.store();
            let place = Target::Incident.find(&store, Family::Graph, &id)?;
            let seen = store.incidents.seen(place);
            Ok(incident_text(&store, seen, expand, newer(&headers)))
        }),
    )
}

fn alert_text(alert: Option<&Alert>, newer: bool) -> String {
    let text = alert.map(|alert| document::alert(alert, newer));
    document::with_context(
        &format!("{ALERTS_CONTEXT}/$entity"),
        &text.unwrap_or_default(),
    )
}

fn incident_text(store: &Store, incident: Option<&Incident>, expand: bool, newer: bool) -> String {
    let text = incident.map(|incident| document::incident(incident, store, expand, newer));
    document::with_context(
        &format!("{INCIDENTS_CONTEXT}/$entity"),
        &text.unwrap_or_default(),
    )
}

async fn alerts_of_incident(
    State(tenant): Tenant,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Reply {
    let call = Call::new(Family::Graph, &headers);
    call.answer(
        admit(&tenant, &headers, Permission::GRAPH_INCIDENTS).and_then(|_| {
            let store = tenant.store();
            let place = Target::Incident.find(&store, Family::Graph, &id)?;
            let incident = store.incidents.get(place);
            let mut json = Json::default();
            json.object(|json| {
                json.key("@odata.context")
                    .text(&format!("{INCIDENTS_CONTEXT}('{id}')/alerts"));
                json.key("value").list(|json| {
                    for place in incident.iter().flat_map(|incident| &incident.alerts) {
                        if let Some(alert) = store.alerts.get(*place) {
                            document::write_alert(alert, newer(&headers), json);
                        }
                    }
                });
            });
            Ok(json.finish())
        }),
    )
}

async fn patch_alert(
    State(tenant): Tenant,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let call = Call::new(Family::Graph, &headers);
    let permission = Permission::GRAPH_ALERTS_WRITE;
    call.answer(
        admit(&tenant, &headers, permission)
            .and_then(|caller| {
                write::patch(&tenant, Family::Graph, Target::Alert, &id, &body, &caller)
            })
            .map(|place| alert_text(tenant.store().alerts.get(place), newer(&headers))),
    )
}

async fn patch_incident(
    State(tenant): Tenant,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let call = Call::new(Family::Graph, &headers);
    let permission = Permission::GRAPH_INCIDENTS_WRITE;
    call.answer(
        admit(&tenant, &headers, permission)
            .and_then(|caller| {
                write::patch(
                    &tenant,
                    Family::Graph,
                    Target::Incident,
                    &id,
                    &body,
                    &caller,
                )
            })
            .map(|place| {
                let store = tenant.store();
                let stands = store.incidents.get(place);
                incident_text(&store, stands, false, newer(&headers))
            }),
    )
}

async fn comment_alert(
    State(tenant): Tenant,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let call = Call::new(Family::Graph, &headers);
    let permission = Permission::GRAPH_ALERTS_WRITE;
    call.answer(
        admit(&tenant, &headers, permission)
            .and_then(|caller| comment(&tenant, Target::Alert, &id, &body, &caller)),
    )
}

async fn comment_incident(
    State(tenant): Tenant,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let call = Call::new(Family::Graph, &headers);
    let permission = Permission::GRAPH_INCIDENTS_WRITE;
    call.answer(
        admit(&tenant, &headers, permission)
            .and_then(|caller| comment(&tenant, Target::Incident, &id, &body, &caller)),
    )
}

/// Appends a comment; the answer holds all of them.
fn comment(
    tenant: &Shared,
    target: Target,
    id: &str,
    body: &[u8],
    caller: &Caller,
) -> Result<String, Refusal> {
    let mut store = tenant.store();
    let place = target.find(&store, Family::Graph, id)?;
    let change = Change::comment(body)?;
    write::apply(&mut store, target, place, &change, caller, tenant.now())?;
    let state = match target {
        Target::Alert => store.alerts.get(place).map(|alert| &alert.state),
        Target::Incident => store.incidents.get(place).map(|incident| &incident.state),
    };
    let all = state.map_or_else(
        || "[]".to_owned(),
        |state| comments(Family::Graph, &state.comments),
    );
    let mut json = Json::default();
    json.object(|json| {
        let context = match target {
            Target::Alert => format!("{ALERTS_CONTEXT}('{id}')/comments"),
            Target::Incident => format!("{INCIDENTS_CONTEXT}('{id}')/comments"),
        };
        json.key("@odata.context").text(&context);
        json.key("value").raw(&all);
    });
    Ok(json.finish())
}
