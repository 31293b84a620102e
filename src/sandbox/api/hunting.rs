//! `POST /v1.0/security/runHuntingQuery`: advanced hunting over the tenant's own
//! alerts, in the tables `AlertInfo` and `AlertEvidence`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use serde::Deserialize;
use std::sync::Arc;

use super::kql;
use crate::sandbox::api::access::Permission;
use crate::sandbox::api::answer::{Call, Refusal, Reply};
use crate::sandbox::api::kql::{Cell, Kind, Table};
use crate::sandbox::api::quota::Counter;
use crate::sandbox::story::evidence::{Evidence, File};
use crate::sandbox::story::trace::Trace;
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::json::{Json, Members};
use crate::sandbox::tenant::record::{Alert, Body};
use crate::sandbox::tenant::store::Store;
use crate::sandbox::tenant::vocabulary::capitalised;
use crate::sandbox::{Family, Shared};

const CONTEXT: &str =
    "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.security.huntingQueryResults";
/// How far Defender's own tables reach back.
const DAYS: i64 = 30;

const ALERT_INFO: [(&str, Kind); 8] = [
    ("Timestamp", Kind::DateTime),
    ("AlertId", Kind::String),
    ("Title", Kind::String),
    ("Category", Kind::String),
    ("Severity", Kind::String),
    ("ServiceSource", Kind::String),
    ("DetectionSource", Kind::String),
    ("AttackTechniques", Kind::String),
];

const ALERT_EVIDENCE: [(&str, Kind); 20] = [
    ("Timestamp", Kind::DateTime),
    ("AlertId", Kind::String),
    ("Title", Kind::String),
    ("ServiceSource", Kind::String),
    ("Severity", Kind::String),
    ("EntityType", Kind::String),
    ("EvidenceRole", Kind::String),
    ("FileName", Kind::String),
    ("FolderPath", Kind::String),
    ("SHA1", Kind::String),
    ("SHA256", Kind::String),
    ("FileSize", Kind::Int64),
    ("ProcessCommandLine", Kind::String),
    ("RemoteIP", Kind::String),
    ("RemoteUrl", Kind::String),
    ("AccountName", Kind::String),
    ("AccountUpn", Kind::String),
    ("DeviceId", Kind::String),
    ("DeviceName", Kind::String),
    ("EmailSubject", Kind::String),
];

pub(in crate::sandbox) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1.0/security/runHuntingQuery", post(hunt))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(alias = "Query")]
    query: String,
    #[serde(default, alias = "Timespan")]
    timespan: Option<String>,
}

async fn hunt(State(tenant): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Reply {
    let call = Call::new(Family::Graph, &headers);
    let admitted = tenant.admit(&headers, Family::Graph, Permission::HUNTING, Counter::Graph);
    call.answer(admitted.and_then(|_| answer(&tenant, &body)))
}

fn answer(tenant: &Shared, body: &[u8]) -> Result<String, Refusal> {
    let bad = |message: String| Refusal::bad("BadRequest", message);
    let asked: Asked = serde_json::from_slice(body)
        .map_err(|error| bad(format!("Invalid request body: {error}")))?;
    let now = tenant.now();
    let span = Span::of(asked.timespan.as_deref(), now).ok_or_else(|| {
        bad("Invalid Timespan: it must be an ISO 8601 duration or interval.".into())
    })?;
    let store = tenant.store();
    let found = kql::run(&asked.query, now, |name| table(&store, name, span));
    let found = found.map_err(|fault| bad(fault.message()))?;
    Ok(document(&found))
}

/// What the time stamps of rows must lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: Ticks,
    to: Ticks,
}

impl Span {
    /// A duration counts back from now, or from or to the instant beside it.
    fn of(text: Option<&str>, now: Ticks) -> Option<Self> {
        let instant = |text: &str| text.parse().ok().map(|at: jiff::Timestamp| Ticks::from(at));
        let length = |text: &str| {
            let span: jiff::Span = text.starts_with('P').then(|| text.parse().ok())??;
            let days = jiff::SpanRelativeTo::days_are_24_hours();
            let length = span.to_duration(days).ok()?;
            i64::try_from(length.as_nanos() / 100).ok()
        };
        let (from, to) = match text.map(|text| (text, text.split_once('/'))) {
            None => (Ticks(i64::MIN), now),
            Some((text, None)) => (Ticks(now.0.checked_sub(length(text)?)?), now),
            Some((_, Some((from, to)))) => match (instant(from), instant(to)) {
                (Some(from), Some(to)) => (from, to),
                (Some(from), None) => (from, Ticks(from.0.checked_add(length(to)?)?)),
                (None, Some(to)) => (Ticks(to.0.checked_sub(length(from)?)?), to),
                (None, None) => return None,
            },
        };
        let oldest = Ticks(now.0 - DAYS * 24 * 3600 * 10_000_000);
        Some(Self {
            from: from.max(oldest),
            to,
        })
    }

    fn holds(self, at: Ticks) -> bool {
        (self.from..=self.to).contains(&at)
    }
}

fn table(store: &Store, name: &str, span: Span) -> Option<Table> {
    let alerts = store.alerts.rows().iter();
    let alerts = alerts.filter(|alert| span.holds(alert.state.created));
    let (columns, rows): (&[(&str, Kind)], Vec<Vec<Cell>>) = match name {
        "AlertInfo" => (&ALERT_INFO, alerts.map(info).collect()),
        "AlertEvidence" => (&ALERT_EVIDENCE, alerts.flat_map(evidence).collect()),
        _ => return None,
    };
    let columns = columns
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), *kind));
    Some(Table {
        columns: columns.collect(),
        rows,
    })
}

fn title(alert: &Alert) -> Cell {
    match &alert.body {
        Body::Told(told) => told.title.as_str().into(),
        Body::Given { text, .. } => maybe(Members::of(text).ok().and_then(|it| it.get("title"))),
    }
}

/// The product's name where it is known, as hunting writes it.
fn source(alert: &Alert) -> Cell {
    match &alert.body {
        Body::Told(told) => told.scene.workload.product.into(),
        Body::Given { .. } => Cell::from(alert.service_source.as_ref()),
    }
}

fn maybe(text: Option<String>) -> Cell {
    text.map_or(Cell::Null, Cell::Text)
}

fn info(alert: &Alert) -> Vec<Cell> {
    let techniques = match &alert.body {
        Body::Told(told) if !told.scene.techniques.is_empty() => {
            let mut json = Json::default();
            json.texts(told.scene.techniques.iter().copied());
            Cell::Text(json.finish())
        }
        _ => Cell::Null,
    };
    vec![
        Cell::Time(alert.state.created),
        alert.id.as_str().into(),
        title(alert),
        Cell::from(alert.category.as_ref()),
        Cell::Text(capitalised(&alert.state.severity)),
        source(alert),
        Cell::Text(capitalised(&alert.detection_source)),
        techniques,
    ]
}

/// One row for each piece of evidence of an alert of the stories.
fn evidence(alert: &Alert) -> Vec<Vec<Cell>> {
    let Body::Told(told) = &alert.body else {
        return Vec::new();
    };
    let row = |evidence: &Evidence| {
        let Trace {
            entity,
            file,
            command,
            ip,
            url,
            user,
            device,
            subject,
        } = evidence.item.trace();
        let role = match evidence.role {
            Some(_) => "Impacted",
            None => "Related",
        };
        let of_file = |part: fn(&File) -> &str| file.map_or(Cell::Null, |file| part(file).into());
        let text = |text: Option<&str>| text.map_or(Cell::Null, Cell::from);
        vec![
            Cell::Time(evidence.at),
            alert.id.as_str().into(),
            title(alert),
            source(alert),
            Cell::Text(capitalised(&alert.state.severity)),
            entity.into(),
            role.into(),
            of_file(|file| &file.name),
            of_file(|file| &file.path),
            of_file(|file| &file.sha1),
            of_file(|file| &file.sha256),
            file.map_or(Cell::Null, |file| Cell::Number(file.size)),
            text(command),
            text(ip),
            text(url),
            text(user.map(|user| user.account.as_str())),
            maybe(user.map(|user| user.principal())),
            text(device.map(|device| device.mde_id.as_str())),
            maybe(device.map(|device| device.dns_name())),
            text(subject),
        ]
    };
    told.evidence.iter().map(row).collect()
}

fn document(table: &Table) -> String {
    let mut json = Json::with_capacity(table.rows.len() * 400 + 512);
    json.object(|json| {
        json.key("@odata.context").text(CONTEXT);
        json.key("schema").list(|json| {
            for (name, kind) in &table.columns {
                json.object(|json| {
                    json.key("name").text(name);
                    json.key("type").text(kind.name());
                });
            }
        });
        json.key("results").list(|json| {
            for row in &table.rows {
                json.object(|json| {
                    for ((name, _), cell) in table.columns.iter().zip(row) {
                        match cell {
                            Cell::Null => json.key(name).null(),
                            Cell::Number(number) => json.key(name).number(*number),
                            Cell::Time(at) => json.key(name).plain(at),
                            Cell::Text(text) => json.key(name).text(text),
                        }
                    }
                });
            }
        });
    });
    json.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_is_a_length_or_an_interval() {
        let at = |text: &str| Ticks::from(text.parse::<jiff::Timestamp>().unwrap());
        let now = at("2026-11-21T00:00:00Z");
        for (text, from, to) in [
            (Some("P7D"), "2026-11-14T00:00:00Z", "2026-11-21T00:00:00Z"),
            (
                Some("PT12H"),
                "2026-11-20T12:00:00Z",
                "2026-11-21T00:00:00Z",
            ),
            (
                Some("2026-11-01T00:00:00Z/P2D"),
                "2026-11-01T00:00:00Z",
                "2026-11-03T00:00:00Z",
            ),
            (
                Some("P1D/2026-11-03T00:00:00Z"),
                "2026-11-02T00:00:00Z",
                "2026-11-03T00:00:00Z",
            ),
            (
                Some("2020-01-01T00:00:00Z/2026-11-03T00:00:00Z"),
                "2026-10-22T00:00:00Z",
                "2026-11-03T00:00:00Z",
            ),
            (None, "2026-10-22T00:00:00Z", "2026-11-21T00:00:00Z"),
        ] {
            let span = Span {
                from: at(from),
                to: at(to),
            };
            assert_eq!(Span::of(text, now), Some(span), "{text:?}");
        }
        for text in ["7d", "P1D/P1D", "x/2026-11-03T00:00:00Z", ""] {
            assert_eq!(Span::of(Some(text), now), None, "{text}");
        }
    }
}
