//! Just enough of splunkd for the demo and for inputs started by hand: it knows the
//! tenant as one account with its secret, keeps the events sent to it, and finds them
//! again. On loopback and without TLS, as no one but this machine may ask.

use crate::sandbox::Tenant;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The account it knows.
pub const ACCOUNT: &str = "contoso";

/// A running stand-in; it stops when dropped.
pub struct Splunkd {
    uri: String,
    session_key: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    /// The account's stanza.
    settings: BTreeMap<&'static str, String>,
    secret: &'static str,
    authorization: String,
    /// Secrets kept since, by name.
    kept: Mutex<BTreeMap<String, String>>,
    received: Mutex<Vec<Received>>,
}

/// An event sent to `receivers/simple`.
#[derive(Debug, Clone)]
pub struct Received {
    pub sourcetype: String,
    pub source: String,
    pub body: String,
}

type Answer = (StatusCode, Json<Value>);

/// Starts on a free port; `ca_file` holds the certificate authority of the tenant.
pub async fn start(tenant: &Tenant, ca_file: &std::path::Path) -> std::io::Result<Splunkd> {
    let url = tenant.url().to_owned();
    let settings = [
        ("tenant_id", tenant.tenant_id().to_owned()),
        ("client_id", tenant.client_id().to_owned()),
        ("auth", "secret".to_owned()),
        ("cloud", "custom".to_owned()),
        ("login_url", url.clone()),
        ("graph_url", url.clone()),
        ("mde_url", url.clone()),
        ("xdr_url", url),
        ("ca_file", ca_file.display().to_string()),
    ];
    let session_key = format!("{:032x}", rand::random::<u128>());
    let shared = Arc::new(Shared {
        settings: settings.into(),
        secret: tenant.client_secret(),
        authorization: format!("Splunk {session_key}"),
        kept: Mutex::default(),
        received: Mutex::default(),
    });
    let app = "/servicesNS/nobody/defender_bridge";
    let router = Router::new()
        .route(&format!("{app}/configs/{{conf}}"), get(stanzas))
        .route(&format!("{app}/configs/{{conf}}/{{stanza}}"), get(stanza))
        .route(&format!("{app}/storage/passwords"), post(keep))
        .route(&format!("{app}/storage/passwords/{{entry}}"), get(password))
        .route(
            "/services/authentication/current-context",
            get(current_context),
        )
        .route("/services/receivers/simple", post(receive))
        .route(
            "/servicesNS/{user}/defender_bridge/search/jobs",
            post(search),
        )
        .with_state(shared.clone());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let uri = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("the sandbox's splunkd ended: {error}");
        }
    });
    Ok(Splunkd {
        uri,
        session_key,
        shared,
        serving,
    })
}

impl Splunkd {
    /// As splunkd would name it in its documents.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    pub fn session_key(&self) -> &str {
        &self.session_key
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Splunkd {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn admit(&self, headers: &HeaderMap) -> Result<(), Answer> {
        let shown = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        if shown == Some(self.authorization.as_str()) {
            return Ok(());
        }
        Err(said(
            StatusCode::UNAUTHORIZED,
            "call not properly authenticated",
        ))
    }
}

fn said(status: StatusCode, text: &str) -> Answer {
    (
        status,
        Json(json!({"messages": [{"type": "ERROR", "text": text}]})),
    )
}

fn entries(entries: &[(&str, Value)]) -> Answer {
    let entries: Vec<Value> = entries
        .iter()
        .map(|(name, content)| json!({"name": name, "content": content}))
        .collect();
    (
        StatusCode::OK,
        Json(json!({"entry": entries, "messages": []})),
    )
}

async fn current_context(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Answer, Answer> {
    shared.admit(&headers)?;
    let content = json!({
        "username": "analyst",
        "roles": ["soc"],
        "capabilities": ["admin_all_objects", "defender_triage", "defender_hunt", "list_storage_passwords", "edit_tcp"],
    });
    Ok(entries(&[("context", content)]))
}

async fn stanzas(
    State(shared): State<Arc<Shared>>,
    Path(conf): Path<String>,
    headers: HeaderMap,
) -> Result<Answer, Answer> {
    shared.admit(&headers)?;
    if conf != "conf-defender_bridge_account" {
        return Ok(entries(&[]));
    }
    Ok(entries(&[(ACCOUNT, json!(shared.settings))]))
}

async fn stanza(
    State(shared): State<Arc<Shared>>,
    Path((conf, stanza)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Answer, Answer> {
    shared.admit(&headers)?;
    if conf != "conf-defender_bridge_account" || stanza != ACCOUNT {
        return Err(said(StatusCode::NOT_FOUND, "Could not find object"));
    }
    Ok(entries(&[(&stanza, json!(shared.settings))]))
}

async fn password(
    State(shared): State<Arc<Shared>>,
    Path(entry): Path<String>,
    headers: HeaderMap,
) -> Result<Answer, Answer> {
    shared.admit(&headers)?;
    let name = entry.strip_prefix("defender_bridge:");
    let name = name.and_then(|name| name.strip_suffix(':'));
    let kept = shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
    let secret = name.and_then(|name| match name == ACCOUNT {
        true => Some(shared.secret),
        false => kept.get(name).map(String::as_str),
    });
    let Some(secret) = secret else {
        return Err(said(StatusCode::NOT_FOUND, "Could not find object"));
    };
    let content = json!({
        "realm": "defender_bridge",
        "username": name,
        "clear_password": secret,
        "password": "********",
    });
    Ok(entries(&[(&entry, content)]))
}

async fn keep(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> Result<Answer, Answer> {
    shared.admit(&headers)?;
    let (Some(name), Some(secret)) = (form.get("name"), form.get("password")) else {
        return Err(said(
            StatusCode::BAD_REQUEST,
            "name and password are required",
        ));
    };
    let mut kept = shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.contains_key(name) {
        return Err(said(StatusCode::CONFLICT, "the object already exists"));
    }
    kept.insert(name.clone(), secret.clone());
    Ok((StatusCode::CREATED, Json(json!({"entry": []}))))
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Answer, Answer> {
    shared.admit(&headers)?;
    let taken = json!({"index": "default", "bytes": body.len().to_string()});
    let event = Received {
        sourcetype: query.get("sourcetype").cloned().unwrap_or_default(),
        source: query.get("source").cloned().unwrap_or_default(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    shared
        .received
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(event);
    Ok((StatusCode::OK, Json(taken)))
}

async fn search(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> Result<Answer, Answer> {
    shared.admit(&headers)?;
    let text = form.get("search").map(String::as_str).unwrap_or_default();
    let Some(terms) = terms(text) else {
        let why = "only `search <field>=<value> … | fields _raw` is understood here";
        return Err(said(StatusCode::BAD_REQUEST, why));
    };
    let received = shared
        .received
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let results: Vec<Value> = received
        .iter()
        .rev()
        .filter(|event| terms.iter().all(|(field, value)| event.says(field, value)))
        .map(|event| json!({"_raw": event.body}))
        .collect();
    let answer = json!({"preview": false, "messages": [], "results": results});
    Ok((StatusCode::OK, Json(answer)))
}

/// `search a=b c="d" | fields _raw` as its pairs; none if it is another search.
/// A macro says where to look, and there is one place only.
fn terms(text: &str) -> Option<Vec<(&str, &str)>> {
    let terms = text
        .strip_prefix("search ")?
        .strip_suffix(" | fields _raw")?;
    let pair = |term| {
        let (field, value): (&str, &str) = str::split_once(term, '=')?;
        let bare = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        Some((field, bare.unwrap_or(value)))
    };
    let terms = terms.split(' ').filter(|term| !term.starts_with('`'));
    terms.map(pair).collect()
}

impl Received {
    /// Every index is one, and fields are those of the JSON text.
    fn says(&self, field: &str, value: &str) -> bool {
        match field {
            "index" => true,
            "sourcetype" => self.sourcetype == value,
            "source" => match value.strip_suffix('*') {
                Some(begins) => self.source.starts_with(begins),
                None => self.source == value,
            },
            field => serde_json::from_str::<Value>(&self.body)
                .is_ok_and(|event| event.get(field).and_then(Value::as_str) == Some(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_what_all_its_terms_say() {
        let event = Received {
            sourcetype: "s".to_owned(),
            source: "app:x".to_owned(),
            body: r#"{"batch":"b","row":1}"#.to_owned(),
        };
        let finds = |text: &str| {
            let terms = terms(text)?;
            Some(terms.iter().all(|(field, value)| event.says(field, value)))
        };
        let found = r#"search `here` sourcetype="s" source="app:*" batch="b" | fields _raw"#;
        assert_eq!(finds(found), Some(true));
        assert_eq!(finds(&found.replace("\"b\"", "\"c\"")), Some(false));
        assert_eq!(finds(&found.replace("\"s\"", "\"t\"")), Some(false));
        assert_eq!(finds(&found.replace("app:", "other:")), Some(false));
        assert_eq!(finds("search x | fields _raw"), None);
        assert_eq!(finds("| makeresults"), None);
    }
}
