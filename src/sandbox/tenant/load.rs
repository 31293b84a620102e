//! Objects given in files, served back byte for byte by the family they belong to.
//!
//! A file is one page (`{"value":[…]}`), a list, or one object a line.

use serde_json::value::RawValue;
use std::path::{Path, PathBuf};

use crate::sandbox::Family;
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::json::Members;
use crate::sandbox::tenant::record::{Alert, Body, Comment, Incident, State};
use crate::sandbox::tenant::store::Store;
use crate::sandbox::tenant::vocabulary::{List, Word};

/// Why a file cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file itself.
    #[error("cannot read {path}: {source}; give the path of a readable file")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not JSON at all.
    #[error(
        "{path}: {reason}; expected a page with a list `value`, a list of objects, or one JSON object a line, in UTF-8"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// JSON, but neither alert nor incident.
    #[error(
        "{path}: object {number} is no Graph alert or incident, no MDE alert and no XDR incident: {reason}"
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        number: usize,
        /// What is missing.
        reason: &'static str,
    },
}

/// Puts all objects of a file into the store.
pub(in crate::sandbox) fn load(store: &mut Store, path: &Path) -> Result<(), LoadError> {
    let text = std::fs::read_to_string(path).map_err(|source| LoadError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let objects = objects(&text).map_err(|error| LoadError::Malformed {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    for (at, object) in objects.into_iter().enumerate() {
        put(store, object).map_err(|reason| LoadError::Unknown {
            path: path.to_owned(),
            number: at + 1,
            reason,
        })?;
    }
    Ok(())
}

fn objects(text: &str) -> Result<Vec<&str>, serde_json::Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut objects = Vec::new();
    for part in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let part = part?.get();
        if part.starts_with('[') {
            let list: Vec<&RawValue> = serde_json::from_str(part)?;
            objects.extend(list.into_iter().map(RawValue::get));
            continue;
        }
        let members = Members::of(part)?;
        if members
            .raw("value")
            .is_some_and(|value| value.starts_with('['))
        {
            objects.extend(members.elements("value"));
        } else {
            objects.push(part);
        }
    }
    Ok(objects)
}

enum Kind {
    GraphAlert,
    GraphIncident,
    MdeAlert,
    XdrIncident,
}

fn kind(members: &Members<'_>) -> Option<Kind> {
    let has = |name| members.has(name);
    if has("lastUpdateDateTime") {
        let told: String = members.get("@odata.type").unwrap_or_default();
        let incident =
            told.ends_with("security.incident") || (has("displayName") && !has("providerAlertId"));
        Some(if incident {
            Kind::GraphIncident
        } else {
            Kind::GraphAlert
        })
    } else if has("alertCreationTime") {
        Some(Kind::MdeAlert)
    } else if has("incidentId") && (has("incidentName") || has("createdTime")) {
        Some(Kind::XdrIncident)
    } else {
        None
    }
}

fn put(store: &mut Store, text: &str) -> Result<(), &'static str> {
    let members = Members::of(text).map_err(|_| "it is no JSON object")?;
    match kind(&members).ok_or("it has none of the members that tell them apart")? {
        Kind::GraphAlert => {
            store.alerts.put(graph_alert(&members, text)?);
        }
        Kind::GraphIncident => graph_incident(store, &members, text)?,
        Kind::MdeAlert => {
            store.alerts.put(mde_alert(&members, text)?);
        }
        Kind::XdrIncident => {
            store.incidents.put(xdr_incident(&members, text)?);
        }
    }
    Ok(())
}

fn given<T>(family: Family, text: &str) -> Body<T> {
    Body::Given {
        family,
        text: text.into(),
        written: false,
    }
}

/// Names of a family's members that hold the state.
struct Names {
    created: &'static str,
    updated: &'static str,
    resolved: &'static str,
    by: &'static str,
    at: &'static str,
}

const GRAPH: Names = Names {
    created: "createdDateTime",
    updated: "lastUpdateDateTime",
    resolved: "resolvedDateTime",
    by: "createdByDisplayName",
    at: "createdDateTime",
};

const MDE: Names = Names {
    created: "alertCreationTime",
    updated: "lastUpdateTime",
    resolved: "resolvedTime",
    by: "createdBy",
    at: "createdTime",
};

const XDR: Names = Names {
    created: "createdTime",
    ..MDE
};

fn time(members: &Members<'_>, name: &str) -> Option<Ticks> {
    members
        .get::<String>(name)
        .and_then(|text| Ticks::parse(&text))
}

fn state(
    family: Family,
    members: &Members<'_>,
    names: &Names,
    statuses: List,
) -> Result<State, &'static str> {
    let word = |list: List, name: &str| -> Word {
        let text: Option<String> = members.get(name);
        text.map_or(Word::Borrowed("unknown"), |text| list.keep(family, &text))
    };
    let updated = time(members, names.updated).ok_or("its last update is no UTC instant")?;
    let comments = members
        .elements("comments")
        .into_iter()
        .filter_map(|comment| Members::of(comment).ok())
        .map(|comment| Comment {
            text: comment.get("comment").unwrap_or_default(),
            by: comment.get(names.by).unwrap_or_default(),
            at: time(&comment, names.at).unwrap_or(updated),
        })
        .collect();
    Ok(State {
        status: word(statuses, "status"),
        severity: word(List::Severity, "severity"),
        classification: word(List::Classification, "classification"),
        determination: match word(List::Determination, "determination") {
            word if word == "notAvailable" => Word::Borrowed("unknown"),
            word => word,
        },
        assigned_to: members.get("assignedTo"),
        comments,
        created: time(members, names.created).unwrap_or(updated),
        updated,
        resolved: time(members, names.resolved),
    })
}

fn open_word(members: &Members<'_>, name: &str) -> Word {
    Word::Owned(members.get(name).unwrap_or_default())
}

fn graph_alert(members: &Members<'_>, text: &str) -> Result<Alert, &'static str> {
    Ok(Alert {
        id: members.get("id").ok_or("it has no id")?,
        incident: members.get("incidentId"),
        state: state(Family::Graph, members, &GRAPH, List::AlertStatus)?,
        service_source: open_word(members, "serviceSource"),
        detection_source: open_word(members, "detectionSource"),
        category: open_word(members, "category"),
        investigation: None,
        last_event: time(members, "lastActivityDateTime"),
        body: given(Family::Graph, text),
    })
}

fn mde_alert(members: &Members<'_>, text: &str) -> Result<Alert, &'static str> {
    Ok(Alert {
        id: members.get("id").ok_or("it has no id")?,
        incident: members.get::<i64>("incidentId").map(|id| id.to_string()),
        state: state(Family::Mde, members, &MDE, List::AlertStatus)?,
        service_source: Word::Borrowed("microsoftDefenderForEndpoint"),
        detection_source: open_word(members, "detectionSource"),
        category: open_word(members, "category"),
        investigation: members.get("investigationId"),
        last_event: time(members, "lastEventTime"),
        body: given(Family::Mde, text),
    })
}

fn incident(
    family: Family,
    id: String,
    state: State,
    name: Option<String>,
    text: &str,
) -> Incident {
    Incident {
        id,
        state,
        alerts: Vec::new(),
        tags: Vec::new(),
        name: name.unwrap_or_default(),
        summary: None,
        resolving_comment: None,
        redirect: None,
        body: given(family, text),
    }
}

/// An incident of Graph; alerts nested in it are listed on their own as well.
fn graph_incident(
    store: &mut Store,
    members: &Members<'_>,
    text: &str,
) -> Result<(), &'static str> {
    let id = members.get("id").ok_or("it has no id")?;
    let state = state(Family::Graph, members, &GRAPH, List::IncidentStatus)?;
    let mut incident = incident(Family::Graph, id, state, members.get("displayName"), text);
    incident.tags = members.get("customTags").unwrap_or_default();
    incident.redirect = members.get("redirectIncidentId");
    for nested in members.elements("alerts") {
        let members = Members::of(nested).map_err(|_| "a nested alert is no JSON object")?;
        let alert = graph_alert(&members, nested)?;
        // One that was given on its own keeps its own bytes.
        let place = match store.alerts.find(Family::Graph, &alert.id) {
            Some(place) => place,
            None => store.alerts.put(alert),
        };
        incident.alerts.push(place);
    }
    store.incidents.put(incident);
    Ok(())
}

fn xdr_incident(members: &Members<'_>, text: &str) -> Result<Incident, &'static str> {
    let id: i64 = members
        .get("incidentId")
        .ok_or("its incidentId is no number")?;
    let state = state(Family::Xdr, members, &XDR, List::IncidentStatus)?;
    let mut incident = incident(
        Family::Xdr,
        id.to_string(),
        state,
        members.get("incidentName"),
        text,
    );
    incident.tags = members.get("tags").unwrap_or_default();
    incident.redirect = members
        .get::<i64>("redirectIncidentId")
        .map(|id| id.to_string());
    Ok(incident)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_page_a_list_and_lines_hold_the_same_objects() {
        for text in [
            "{\"@odata.context\":\"x\",\"value\":[{\"a\": 1} ,\n{\"b\":2}]}",
            "\u{feff}[ {\"a\": 1},{\"b\":2} ]\n",
            "{\"a\": 1}\r\n\r\n{\"b\":2}",
        ] {
            assert_eq!(
                objects(text).unwrap(),
                ["{\"a\": 1}", "{\"b\":2}"],
                "{text}"
            );
        }
        assert!(objects("{\"a\":1}\n{\"b\":").is_err());
        assert!(objects("42").is_err());
    }

    #[test]
    fn an_object_of_another_kind_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"id\":\"1\",\"alertCreationTime\":\"x\",\"lastUpdateTime\":\"2026-11-21T00:00:00Z\"}\n{\"title\":\"x\"}").unwrap();
        let error = load(&mut Store::default(), file.path())
            .unwrap_err()
            .to_string();
        assert!(error.contains("object 2"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", pieces in proptest::collection::vec("(\\{|\\}|\\[|\\]|,|:|\"id\"|\"incidentId\"|\"lastUpdateDateTime\"|\"alerts\"|1|null|\\n)", 0..24)) {
            for text in [text, pieces.concat()] {
                if let Ok(objects) = objects(&text) {
                    for object in objects {
                        let _put = put(&mut Store::default(), object);
                    }
                }
            }
        }
    }
}
