//! Defender for Endpoint's alerts API: `/api/alerts`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use serde::Deserialize;
use std::sync::Arc;

use crate::sandbox::api::access::{Caller, Permission};
use crate::sandbox::api::answer::{Call, Refusal, Reply};
use crate::sandbox::api::filter::{Field, Filter, Grammar, Kind};
use crate::sandbox::api::graph::document::{detector, with_context};
use crate::sandbox::api::list::NEWEST_FIRST;
use crate::sandbox::api::query::Options;
use crate::sandbox::api::quota::Counter;
use crate::sandbox::tenant::comment::comments;
use crate::sandbox::tenant::json::{Json, edit};
use crate::sandbox::tenant::record::{Alert, Body, State as Facts, ToldAlert};
use crate::sandbox::tenant::vocabulary::{List, capitalised, detection_source};
use crate::sandbox::tenant::write;
use crate::sandbox::tenant::write::{Change, Target};
use crate::sandbox::{Family, Shared, TENANT_ID};

const CONTEXT: &str = "https://api.securitycenter.microsoft.com/api/$metadata#Alerts";
const TOP: usize = 10_000;

const GRAMMAR: Grammar = Grammar {
    family: Family::Mde,
    fields: &[
        ("alertCreationTime", Field::Created, Kind::Instant),
        ("lastUpdateTime", Field::Updated, Kind::Instant),
        ("lastEventTime", Field::LastEvent, Kind::Instant),
        ("incidentId", Field::Incident, Kind::Number),
        ("investigationId", Field::Investigation, Kind::Number),
        ("id", Field::Id, Kind::Text),
        ("assignedTo", Field::AssignedTo, Kind::Text),
        ("detectionSource", Field::DetectionSource, Kind::Text),
        ("category", Field::Category, Kind::Text),
        ("status", Field::Status, Kind::Word(List::AlertStatus)),
        ("severity", Field::Severity, Kind::Word(List::Severity)),
    ],
};

pub(in crate::sandbox) fn routes() -> Router<Arc<Shared>> {
    ["/api", "/api/v1.0"]
        .iter()
        .fold(Router::new(), |router, base| {
            router
                .route(&format!("{base}/alerts"), get(list))
                .route(&format!("{base}/alerts/{{id}}"), get(one).patch(patch))
                .route(&format!("{base}/alerts/batchUpdate"), post(batch))
        })
}

type Tenant = State<Arc<Shared>>;

fn admit(
    tenant: &Shared,
    headers: &HeaderMap,
    permission: Permission,
    counter: Counter,
) -> Result<Caller, Refusal> {
    tenant.admit(headers, Family::Mde, permission, counter)
}

async fn list(
    State(tenant): Tenant,
    OriginalUri(uri): OriginalUri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Reply {
    let call = Call::new(Family::Mde, &headers);
    call.answer(page(&tenant, uri.path(), query.as_deref(), &headers))
}

fn page(
    tenant: &Shared,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<String, Refusal> {
    admit(tenant, headers, Permission::MDE_ALERTS, Counter::Mde)?;
    let options = Options::of(query)?;
    if let Some(top) = options.top.filter(|top| *top > TOP) {
        let message = format!(
            "The query specified in the URI is not valid. The limit of '{TOP}' for Top query has been exceeded. The value from the incoming request is '{top}'."
        );
        return Err(Refusal::bad("ODataError", message));
    }
    let expand = expanded(&options)?;
    let filter = Filter::asked(options.filter.as_deref(), &GRAMMAR).map_err(|error| {
        Refusal::bad(
            "ODataError",
            format!("The query specified in the URI is not valid. {error}"),
        )
    })?;
    let after = options.after.or(options.skip).unwrap_or(0);
    let store = tenant.store();
    // $orderby is undocumented and has no effect.
    let page = store.alerts.page(
        Family::Mde,
        filter.as_ref(),
        NEWEST_FIRST,
        after,
        options.top.unwrap_or(TOP),
    );
    let mut json = Json::with_capacity(page.rows.len() * 5000 + 256);
    json.object(|json| {
        json.key("@odata.context").text(CONTEXT);
        if options.count {
            let count = store.alerts.count(Family::Mde, filter.as_ref());
            json.key("@odata.count")
                .number(i64::try_from(count).unwrap_or(i64::MAX));
        }
        json.key("value").list(|json| {
            for alert in &page.rows {
                write_alert(alert, expand, json);
            }
        });
        // With an explicit $top there is no next link (microsoft-365-docs 8489).
        if page.more && options.top.is_none() {
            let next = Options::next(query, after + page.rows.len());
            json.key("@odata.nextLink")
                .text(&format!("{}{path}?{next}", tenant.url));
        }
    });
    Ok(json.finish())
}

fn expanded(options: &Options) -> Result<bool, Refusal> {
    match options.expand.as_deref() {
        None => Ok(false),
        Some("evidence") => Ok(true),
        Some(other) => Err(Refusal::bad(
            "ODataError",
            format!(
                "The query specified in the URI is not valid. Could not find a property named '{other}' on type 'microsoft.windowsDefenderATP.api.Alert'."
            ),
        )),
    }
}

async fn one(
    State(tenant): Tenant,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Reply {
    let call = Call::new(Family::Mde, &headers);
    call.answer(
        admit(&tenant, &headers, Permission::MDE_ALERTS, Counter::Mde).and_then(|_| {
            let expand = expanded(&Options::of(query.as_deref())?)?;
            let store = tenant.store();
            let place = Target::Alert.find(&store, Family::Mde, &id)?;
            Ok(entity(store.alerts.seen(place), expand))
        }),
    )
}

fn entity(found: Option<&Alert>, expand: bool) -> String {
    let text = found.map(|found| alert(found, expand));
    with_context(&format!("{CONTEXT}/$entity"), &text.unwrap_or_default())
}

async fn patch(
    State(tenant): Tenant,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let call = Call::new(Family::Mde, &headers);
    let permission = Permission::MDE_ALERTS_WRITE;
    let result = admit(&tenant, &headers, permission, Counter::Mde)
        .and_then(|caller| write::patch(&tenant, Family::Mde, Target::Alert, &id, &body, &caller));
    call.answer(result.map(|place| entity(tenant.store().alerts.get(place), false)))
}

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "alertIds")]
    ids: Option<Vec<String>>,
}

async fn batch(State(tenant): Tenant, headers: HeaderMap, body: Bytes) -> Reply {
    let call = Call::new(Family::Mde, &headers);
    let permission = Permission::MDE_ALERTS_WRITE;
    let result = admit(&tenant, &headers, permission, Counter::MdeBatch)
        .and_then(|caller| update_all(&tenant, &body, &caller));
    call.answer(result.map(|()| String::new()))
}

fn update_all(tenant: &Shared, body: &[u8], caller: &Caller) -> Result<(), Refusal> {
    let batch: Batch = serde_json::from_slice(body).map_err(|error| {
        Refusal::bad(
            "InvalidRequestBody",
            format!("Request body is incorrect: {error}"),
        )
    })?;
    let ids = batch.ids.filter(|ids| !ids.is_empty()).ok_or_else(|| {
        Refusal::bad("MissingRequiredParameter", "Parameter alertIds is missing.")
    })?;
    let (received, allowed) = (ids.len(), tenant.settings.batch);
    if received > allowed {
        let message = format!(
            "Maximum batch size of alert ids exceeded. Received: {received}, allowed: {allowed}"
        );
        return Err(Refusal::bad("MaximumBatchSizeExceeded", message));
    }
    let text = std::str::from_utf8(body).unwrap_or_default();
    let rest = edit(text, &[("alertIds", None)]);
    let change = Change::read(
        Family::Mde,
        Target::Alert,
        rest.as_bytes(),
        tenant.settings.alternate_spellings,
    )?;
    let mut store = tenant.store();
    let places = ids
        .iter()
        .map(|id| Target::Alert.find(&store, Family::Mde, id))
        .collect::<Result<Vec<_>, _>>()?;
    // Checked for all of them before any of them is written.
    for place in &places {
        write::check(&store, Target::Alert, *place, &change)?;
    }
    for place in places {
        write::apply(
            &mut store,
            Target::Alert,
            place,
            &change,
            caller,
            tenant.now(),
        )?;
    }
    Ok(())
}

/// An alert's text; evidence is an empty list unless expanded.
pub(in crate::sandbox) fn alert(alert: &Alert, expand: bool) -> String {
    let mut json = Json::with_capacity(4096);
    write_alert(alert, expand, &mut json);
    json.finish()
}

fn write_alert(alert: &Alert, expand: bool, json: &mut Json) {
    match &alert.body {
        Body::Given { text, .. } if expand => json.raw(text),
        Body::Given { text, .. } => json.raw(&edit(text, &[("evidence", Some("[]".to_owned()))])),
        Body::Told(told) => told_alert(alert, told, expand, json),
    }
}

fn told_alert(alert: &Alert, told: &ToldAlert, expand: bool, json: &mut Json) {
    let (scene, state) = (told.scene, &alert.state);
    let word = |list: List, word: &str| list.spell(Family::Mde, word).into_owned();
    let set = |list: List, value: &str| (value != "unknown").then(|| word(list, value));
    json.object(|json| {
        json.key("id").text(&alert.id);
        number(
            json.key("incidentId"),
            alert.incident.as_deref().and_then(|id| id.parse().ok()),
        );
        number(json.key("investigationId"), alert.investigation);
        json.key("assignedTo").maybe(state.assigned_to.as_deref());
        json.key("severity")
            .text(&word(List::Severity, &state.severity));
        json.key("status")
            .text(&word(List::AlertStatus, &state.status));
        json.key("classification")
            .maybe(set(List::Classification, &state.classification).as_deref());
        json.key("determination")
            .maybe(set(List::Determination, &state.determination).as_deref());
        json.key("investigationState")
            .text(&capitalised(told.investigation_state));
        json.key("detectionSource")
            .text(detection_source(&alert.detection_source));
        json.key("detectorId").plain(detector(scene.title));
        json.key("category").text(&alert.category);
        json.key("threatFamilyName").maybe(scene.family);
        json.key("title").text(&told.title);
        json.key("description").text(&told.description);
        json.key("alertCreationTime").plain(state.created);
        json.key("firstEventTime").plain(told.first);
        json.key("lastEventTime").plain(told.last);
        json.key("lastUpdateTime").plain(state.updated);
        resolved(state, json);
        let machine = told.machine.as_ref();
        json.key("machineId")
            .maybe(machine.map(|machine| machine.mde_id.as_str()));
        json.key("computerDnsName")
            .maybe(machine.map(|machine| machine.dns_name()).as_deref());
        json.key("rbacGroupName")
            .maybe(machine.map(|machine| machine.group));
        json.key("aadTenantId").text(TENANT_ID);
        json.key("threatName").maybe(scene.family);
        json.key("mitreTechniques")
            .texts(scene.techniques.iter().copied());
        json.key("relatedUser").object(|json| {
            json.key("userName").text(&told.user.account);
            json.key("domainName").text("CONTOSO");
        });
        json.key("comments")
            .raw(&comments(Family::Mde, &state.comments));
        json.key("evidence").list(|json| {
            for evidence in told.evidence.iter().filter(|_| expand) {
                // Types that MDE does not know are left out.
                let _written = evidence.mde(json);
            }
        });
    });
}

fn number(json: &mut Json, value: Option<i64>) {
    match value {
        Some(value) => json.number(value),
        None => json.null(),
    }
}

fn resolved(state: &Facts, json: &mut Json) {
    match state.resolved {
        Some(at) => json.key("resolvedTime").plain(at),
        None => json.key("resolvedTime").null(),
    }
}
