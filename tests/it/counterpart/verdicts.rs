//! Reading one object and writing to it: the PATCH, comment, `batchUpdate` and
//! `$batch` calls with the rules and error bodies Microsoft documents, and what
//! may befall a write on its way.

use super::instants;
use super::tenant::{Feed, Mishap, Reply, State};
use hyper::Method;
use serde_json::{Map, Value, json};
use std::time::Instant;

pub(super) fn answer(state: &mut State, method: &Method, path: &str, body: &[u8]) -> Reply {
    let missing = || Reply::error(path, 404, "ResourceNotFound", "Resource not found.");
    let body: Value = match (method, serde_json::from_slice(body)) {
        (&Method::GET, _) => Value::Null,
        (_, Ok(body)) => body,
        (_, Err(_)) => return invalid(path, "Request body is incorrect"),
    };
    if path == "/v1.0/$batch" {
        return batch(state, &body);
    }
    if path == "/api/alerts/batchUpdate" {
        return batch_update(state, &body);
    }
    let Some((feed, rest)) = Feed::ALL.into_iter().find_map(|feed| {
        let rest = path.strip_prefix(feed.path())?.strip_prefix('/')?;
        Some((feed, rest))
    }) else {
        return missing();
    };
    let (id, part) = rest.split_once('/').unwrap_or((rest, ""));
    if state.stock.find(feed, id).is_none() {
        return missing();
    }
    let mishap = (method != Method::GET)
        .then(|| state.rules.mishap(id))
        .flatten();
    match mishap {
        Some(Mishap::Refused(status, wait)) => failed(path, status, wait),
        Some(Mishap::Lost(status)) => {
            carried_out(state, method, path, (feed, id, part), &body);
            failed(path, status, None)
        }
        Some(Mishap::Spared) | None => carried_out(state, method, path, (feed, id, part), &body),
    }
}

/// The service has trouble of its own.
fn failed(path: &str, status: u16, wait: Option<u64>) -> Reply {
    let (code, text) = match status {
        429 => ("TooManyRequests", "Too many requests."),
        _ => ("generalException", "An error has occurred."),
    };
    let mut reply = Reply::error(path, status, code, text);
    reply
        .headers
        .extend(wait.map(|seconds| ("retry-after", seconds.to_string())));
    reply
}

fn carried_out(
    state: &mut State,
    method: &Method,
    path: &str,
    (feed, id, part): (Feed, &str, &str),
    body: &Value,
) -> Reply {
    if method == Method::GET {
        be_faster(state, id);
    }
    match (method, part) {
        (&Method::GET, "") => Reply::text(200, shown(state, feed, id)),
        (&Method::PATCH, "") => match apply(state, feed, path, id, body) {
            Err(reply) => reply,
            Ok(()) => {
                let text = state.stock.find(feed, id).map(|object| object.text.clone());
                Reply::text(200, text.unwrap_or_default())
            }
        },
        (&Method::POST, "comments") if matches!(feed, Feed::GraphAlerts | Feed::GraphIncidents) => {
            let comment = body["comment"].as_str();
            if !body["@odata.type"]
                .as_str()
                .is_some_and(|kind| kind.contains("alertComment"))
            {
                return invalid(path, "Request body is incorrect");
            }
            let (Some(comment), true) = (comment, state.rules.may_write) else {
                return forbidden(path);
            };
            let comments = write(state, feed, id, |object| {
                comment_on(feed, object, comment);
                object["comments"].clone()
            });
            Reply::json(200, &json!({"value": comments}))
        }
        _ => Reply::error(path, 404, "ResourceNotFound", "Resource not found."),
    }
}

fn invalid(path: &str, text: &str) -> Reply {
    Reply::error(path, 400, "InvalidRequestBody", text)
}

fn forbidden(path: &str) -> Reply {
    let text = "Missing application roles. API required roles: SecurityAlert.ReadWrite.All.";
    Reply::error(path, 403, "Forbidden", text)
}

fn apply(state: &mut State, feed: Feed, path: &str, id: &str, body: &Value) -> Result<(), Reply> {
    if !state.rules.may_write || state.rules.locked.contains(id) {
        return Err(forbidden(path));
    }
    let Some(changes) = body.as_object() else {
        return Err(invalid(path, "Request body is incorrect"));
    };
    check(feed, changes).map_err(|text| invalid(path, &text))?;
    write(state, feed, id, |object| {
        for (field, value) in changes {
            if field == "comment" {
                comment_on(feed, object, value.as_str().unwrap_or_default());
            } else {
                object[field] = value.clone();
            }
        }
        let resolved = object["status"]
            .as_str()
            .unwrap_or_default()
            .eq_ignore_ascii_case("resolved");
        let field = match feed {
            Feed::GraphAlerts => "resolvedDateTime",
            _ => "resolvedTime",
        };
        if resolved && object.get(field).is_some_and(Value::is_null) {
            object[field] = Value::from(instants::print(instants::now(), 7));
        }
    });
    let incident = matches!(feed, Feed::GraphIncidents | Feed::XdrIncidents);
    let to = changes.get("status").and_then(Value::as_str);
    if incident && to.is_some_and(|to| to.eq_ignore_ascii_case("resolved")) {
        resolve_alerts_of(state, id);
    }
    if incident && let Some(owner) = changes.get("assignedTo").filter(|to| !to.is_null()) {
        assign_alerts_of(state, id, owner);
    }
    Ok(())
}

/// Resolving an incident resolves its active alerts.
fn resolve_alerts_of(state: &mut State, incident: &str) {
    for id in alerts_of(state, incident, |alert| alert["status"] != "resolved") {
        write(state, Feed::GraphAlerts, &id, |alert| {
            alert["status"] = Value::from("resolved");
            alert["resolvedDateTime"] = Value::from(instants::print(instants::now(), 7));
        });
    }
}

/// A colleague was at an incident's alerts meanwhile.
fn be_faster(state: &mut State, incident: &str) {
    let faster = state.rules.faster.take_if(|(of, _)| of == incident);
    let Some((_, made)) = faster else {
        return;
    };
    let then = instants::print(instants::ago(5 * instants::SECOND), 7);
    for id in alerts_of(state, incident, |_| true) {
        write(state, Feed::GraphAlerts, &id, |alert| {
            for (field, value) in made.as_object().unwrap() {
                alert[field] = value.clone();
            }
            if made["status"] == "resolved" {
                alert["resolvedDateTime"] = Value::from(then.as_str());
            }
        });
        let alert = state.stock.find(Feed::GraphAlerts, &id).unwrap();
        let mut told: Value = serde_json::from_str(&alert.text).unwrap();
        told["lastUpdateDateTime"] = Value::from(then.as_str());
        alert.text = told.to_string();
    }
}

/// Assigning an incident assigns its alerts.
fn assign_alerts_of(state: &mut State, incident: &str, owner: &Value) {
    for id in alerts_of(state, incident, |alert| alert["assignedTo"] != *owner) {
        write(state, Feed::GraphAlerts, &id, |alert| {
            alert["assignedTo"] = owner.clone();
        });
    }
}

fn alerts_of(state: &State, incident: &str, which: impl Fn(&Value) -> bool) -> Vec<String> {
    let alerts = state.stock.of(Feed::GraphAlerts).iter();
    alerts
        .filter(|alert| {
            let alert: Value = serde_json::from_str(&alert.text).unwrap();
            alert["incidentId"] == incident && which(&alert)
        })
        .map(|alert| alert.id.clone())
        .collect()
}

/// Changes an object and its last update.
/// The object as it is shown: what was just written may take its time.
fn shown(state: &mut State, feed: Feed, id: &str) -> String {
    match state.past.get(&(feed, id.to_owned())) {
        Some((until, before)) if Instant::now() < *until => before.clone(),
        _ => state.stock.find(feed, id).unwrap().text.clone(),
    }
}

fn write<T>(state: &mut State, feed: Feed, id: &str, with: impl FnOnce(&mut Value) -> T) -> T {
    let before = shown(state, feed, id);
    let until = Instant::now() + state.rules.lag;
    state.past.insert((feed, id.to_owned()), (until, before));
    let kept = state.stock.find(feed, id).unwrap();
    let mut object: Value = serde_json::from_str(&kept.text).unwrap();
    let result = with(&mut object);
    let now = instants::now();
    object[feed.time_field()] = Value::from(instants::print(now, 7));
    kept.at = now;
    kept.text = object.to_string();
    result
}

fn comment_on(feed: Feed, object: &mut Value, text: &str) {
    let now = instants::print(instants::now(), 7);
    let comment = match feed {
        Feed::GraphAlerts | Feed::GraphIncidents => {
            json!({"comment": text, "createdByDisplayName": "app", "createdDateTime": now})
        }
        _ => json!({"comment": text, "createdBy": "app", "createdTime": now}),
    };
    if let Some(comments) = object["comments"].as_array_mut() {
        comments.push(comment);
    }
}

const PAIRS: [(&str, &[&str]); 3] = [
    (
        "truepositive",
        &[
            "multistagedattack",
            "malicioususeractivity",
            "compromisedaccount",
            "compromiseduser",
            "malware",
            "phishing",
            "unwantedsoftware",
            "other",
        ],
    ),
    (
        "informationalexpectedactivity",
        &[
            "securitytesting",
            "lineofbusinessapplication",
            "confirmedactivity",
            "other",
        ],
    ),
    (
        "falsepositive",
        &[
            "notmalicious",
            "clean",
            "notenoughdatatovalidate",
            "noenoughdatatovalidate",
            "other",
        ],
    ),
];

/// Field names, values and pairs a change may hold. Graph spells in camelCase,
/// the older families in PascalCase, and either minds it.
fn check(feed: Feed, changes: &Map<String, Value>) -> Result<(), String> {
    let graph = matches!(feed, Feed::GraphAlerts | Feed::GraphIncidents);
    for (field, value) in changes {
        let allowed = matches!(
            (field.as_str(), feed),
            (
                "status" | "classification" | "determination" | "assignedTo",
                _
            ) | ("comment", Feed::MdeAlerts | Feed::XdrIncidents)
                | ("customTags", Feed::GraphIncidents)
                | ("tags", Feed::XdrIncidents)
        );
        if !allowed {
            return Err(format!("The property '{field}' cannot be changed."));
        }
        if let ("status" | "classification" | "determination", Some(text)) =
            (field.as_str(), value.as_str())
        {
            let small = text.starts_with(|first: char| first.is_ascii_lowercase());
            if small != graph {
                return Err(format!("The value '{text}' of '{field}' is not known."));
            }
        }
    }
    let text = |field: &str| {
        changes
            .get(field)
            .and_then(Value::as_str)
            .map(str::to_lowercase)
    };
    if let Some(status) = text("status") {
        let known: &[&str] = match feed {
            Feed::GraphAlerts | Feed::MdeAlerts => &["new", "inprogress", "resolved"],
            _ => &["active", "inprogress", "resolved"],
        };
        if !known.contains(&status.as_str()) {
            return Err(format!("The status '{status}' is not known."));
        }
    }
    match (text("classification"), text("determination")) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err("A determination needs a classification.".to_owned()),
        // Microsoft Graph documents `unknown` among the values of both.
        (Some(classification), None) if graph && classification == "unknown" => Ok(()),
        (Some(_), Some(determination)) if graph && determination == "unknown" => Ok(()),
        (Some(classification), determination) => {
            let pair = PAIRS.iter().find(|(name, _)| *name == classification);
            match (pair, determination) {
                (None, _) => Err(format!(
                    "The classification '{classification}' is not known."
                )),
                (Some((_, fitting)), Some(determination))
                    if !fitting.contains(&determination.as_str()) =>
                {
                    Err(format!(
                        "'{determination}' does not fit '{classification}'."
                    ))
                }
                _ => Ok(()),
            }
        }
    }
}

fn batch_update(state: &mut State, body: &Value) -> Reply {
    let path = "/api/alerts/batchUpdate";
    let mut changes = body.as_object().cloned().unwrap_or_default();
    let Some(Value::Array(ids)) = changes.remove("alertIds") else {
        return invalid(path, "alertIds is missing");
    };
    if ids.len() > 100 {
        let text = format!(
            "Maximum batch size exceeded. Received: {}, allowed: 100",
            ids.len()
        );
        return Reply::error(path, 400, "MaximumBatchSizeExceeded", &text);
    }
    let ids: Vec<&str> = ids.iter().filter_map(Value::as_str).collect();
    // One unknown or locked id refuses the whole call.
    for id in &ids {
        if state.stock.find(Feed::MdeAlerts, id).is_none() {
            return Reply::error(
                path,
                404,
                "ResourceNotFound",
                &format!("Alert {id} not found."),
            );
        }
        if !state.rules.may_write || state.rules.locked.contains(*id) {
            return forbidden(path);
        }
    }
    let mut lost = None;
    for id in &ids {
        match state.rules.mishap(id) {
            Some(Mishap::Refused(status, wait)) => return failed(path, status, wait),
            Some(Mishap::Lost(status)) => lost = Some(status),
            Some(Mishap::Spared) | None => {}
        }
    }
    let changes = Value::Object(changes);
    for id in ids {
        if let Err(reply) = apply(state, Feed::MdeAlerts, path, id, &changes) {
            return reply;
        }
    }
    match lost {
        Some(status) => failed(path, status, None),
        None => Reply::text(200, String::new()),
    }
}

fn batch(state: &mut State, body: &Value) -> Reply {
    let parts = body["requests"].as_array().cloned().unwrap_or_default();
    if parts.is_empty() || parts.len() > 20 {
        return Reply::error(
            "/v1.0/$batch",
            400,
            "BadRequest",
            "A batch holds 1 to 20 requests.",
        );
    }
    let mut responses: Vec<Value> = parts
        .iter()
        .map(|part| {
            let method = part["method"]
                .as_str()
                .unwrap_or("GET")
                .parse()
                .unwrap_or_default();
            let path = format!("/v1.0{}", part["url"].as_str().unwrap_or_default());
            let reply = answer(state, &method, &path, part["body"].to_string().as_bytes());
            let mut headers = json!({"Content-Type": "application/json"});
            for (name, value) in &reply.headers {
                headers[name] = Value::from(value.as_str());
            }
            json!({"id": part["id"], "status": reply.status, "headers": headers,
                   "body": serde_json::from_str::<Value>(&reply.body).unwrap_or_default()})
        })
        .collect();
    // Answers of a batch come in any order.
    responses.reverse();
    Reply::json(200, &json!({"responses": responses}))
}
