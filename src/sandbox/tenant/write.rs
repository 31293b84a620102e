//! Writes: what a client may change, what is refused, and what follows from it.
//!
//! Comments are only ever appended; every write moves the last update; resolving
//! or assigning an incident does the same to its alerts ("Manage incidents").

use crate::sandbox::api::access::Caller;
use crate::sandbox::api::answer::Refusal;
use crate::sandbox::tenant::comment::comment;
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::json::{Members, edit, quoted};
use crate::sandbox::tenant::record::{Alert, Body, Comment, Incident, State};
use crate::sandbox::tenant::store::Store;
use crate::sandbox::tenant::vocabulary::{List, Word, fits};
use crate::sandbox::{Family, Shared};
use serde_json::{Map, Value};

/// The portal's own limit, in characters.
const COMMENT: usize = 30_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Target {
    Alert,
    Incident,
}

impl Target {
    pub(in crate::sandbox) fn find(
        self,
        store: &Store,
        family: Family,
        id: &str,
    ) -> Result<usize, Refusal> {
        let (found, what) = match self {
            Self::Alert => (store.alerts.find(family, id), "Alert"),
            Self::Incident => (store.incidents.find(family, id), "Incident"),
        };
        found.ok_or_else(|| Refusal::not_found(family, what, id))
    }

    const fn statuses(self) -> (List, &'static [&'static str]) {
        match self {
            Self::Alert => (List::AlertStatus, &["new", "inProgress", "resolved"]),
            // `redirected` and `awaitingAction` are set by the service alone.
            Self::Incident => (List::IncidentStatus, &["active", "inProgress", "resolved"]),
        }
    }
}

/// A change as asked for; only what was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Change {
    status: Option<&'static str>,
    severity: Option<&'static str>,
    classification: Option<&'static str>,
    determination: Option<&'static str>,
    assigned_to: Option<Option<String>>,
    comment: Option<String>,
    tags: Option<Vec<String>>,
    name: Option<String>,
    summary: Option<String>,
    resolving_comment: Option<String>,
    /// XDR takes a determination only beside its classification.
    paired: bool,
}

fn incorrect(detail: &str) -> Refusal {
    Refusal::bad(
        "InvalidRequestBody",
        format!("Request body is incorrect. {detail}"),
    )
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(body).map_err(|error| incorrect(&error.to_string()))
}

fn text(name: &str, value: Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(incorrect(&format!("'{other}' is no value of '{name}'."))),
    }
}

impl Change {
    /// Reads the body of a PATCH in a family's words.
    pub(in crate::sandbox) fn read(
        family: Family,
        target: Target,
        body: &[u8],
        alternate: bool,
    ) -> Result<Self, Refusal> {
        let mut change = Self {
            paired: family == Family::Xdr,
            ..Self::default()
        };
        let empty = change.clone();
        let (statuses, writable) = target.statuses();
        let word = |list: List, name: &str, value: Value| {
            let text = text(name, value)?;
            list.read(family, &text, alternate)
                .filter(|word| list != statuses || writable.contains(word))
                .ok_or_else(|| incorrect(&format!("'{text}' is no value of '{name}'.")))
        };
        for (name, value) in object(body)? {
            match (family, target, name.as_str()) {
                (_, _, "status") => change.status = Some(word(statuses, "status", value)?),
                (_, _, "classification") => {
                    change.classification =
                        Some(word(List::Classification, "classification", value)?);
                }
                (_, _, "determination") => {
                    change.determination = Some(word(List::Determination, "determination", value)?);
                }
                (_, _, "assignedTo") => {
                    let owner = match value {
                        Value::Null => None,
                        other => Some(text("assignedTo", other)?).filter(|owner| !owner.is_empty()),
                    };
                    change.assigned_to = Some(owner);
                }
                (Family::Mde | Family::Xdr, _, "comment") => change.comment = Some(remark(value)?),
                (Family::Graph, Target::Incident, "customTags")
                | (Family::Xdr, Target::Incident, "tags") => {
                    let Value::Array(tags) = value else {
                        return Err(incorrect(&format!("'{name}' takes a list.")));
                    };
                    let tags = tags
                        .into_iter()
                        .map(|tag| text(&name, tag))
                        .collect::<Result<_, _>>()?;
                    change.tags = Some(tags);
                }
                (Family::Graph, Target::Incident, "severity") => {
                    change.severity = Some(word(List::Severity, "severity", value)?);
                }
                (Family::Graph, Target::Incident, "displayName") => {
                    change.name = Some(text("displayName", value)?)
                }
                (Family::Graph, Target::Incident, "summary") => {
                    change.summary = Some(text("summary", value)?)
                }
                (Family::Graph, Target::Incident, "resolvingComment") => {
                    change.resolving_comment = Some(text("resolvingComment", value)?);
                }
                (Family::Graph, _, "@odata.type") => {}
                _ => return Err(incorrect(&format!("Property '{name}' cannot be written."))),
            }
        }
        if change == empty {
            return Err(incorrect("It names nothing to change."));
        }
        Ok(change)
    }

    /// Reads the body of a POST to Graph's `comments`.
    pub(in crate::sandbox) fn comment(body: &[u8]) -> Result<Self, Refusal> {
        let mut body = object(body)?;
        let kind = body.remove("@odata.type");
        // Microsoft's documentation writes it with and without the `#`.
        let comment = "microsoft.graph.security.alertComment";
        let is_comment = |kind: &str| kind.strip_prefix('#').unwrap_or(kind) == comment;
        if kind.is_some_and(|kind| !kind.as_str().is_some_and(is_comment)) {
            return Err(incorrect(
                "'@odata.type' must be '#microsoft.graph.security.alertComment'.",
            ));
        }
        let comment = body
            .remove("comment")
            .ok_or_else(|| incorrect("'comment' is missing."))?;
        Ok(Self {
            comment: Some(remark(comment)?),
            ..Self::default()
        })
    }

    fn verdict(&self, state: &State) -> Result<(Word, Word), Refusal> {
        let classification = self
            .classification
            .map_or_else(|| state.classification.clone(), Word::Borrowed);
        let determination = match self.determination {
            Some(word) => {
                let alone = self.paired && self.classification.is_none();
                if alone || !fits(&classification, word) {
                    let message = format!(
                        "Determination '{word}' does not go with classification '{classification}'."
                    );
                    return Err(incorrect(&message));
                }
                Word::Borrowed(word)
            }
            // What no longer fits a new classification is dropped.
            None if self.classification.is_some()
                && !fits(&classification, &state.determination) =>
            {
                Word::Borrowed("unknown")
            }
            None => state.determination.clone(),
        };
        Ok((classification, determination))
    }

    fn alter(&self, state: &mut State, caller: &Caller) -> Result<(), Refusal> {
        let (classification, determination) = self.verdict(state)?;
        state.classification = classification;
        state.determination = determination;
        if let Some(status) = self.status {
            set_status(state, status);
        }
        if let Some(severity) = self.severity {
            state.severity = Word::Borrowed(severity);
        }
        if let Some(owner) = &self.assigned_to {
            state.assigned_to.clone_from(owner);
        }
        if let Some(text) = &self.comment {
            state.comments.push(Comment {
                text: text.clone(),
                by: caller.name.clone(),
                at: state.updated,
            });
        }
        Ok(())
    }
}

fn set_status(state: &mut State, status: &'static str) {
    state.resolved = match status {
        "resolved" => state.resolved.or(Some(state.updated)),
        _ => None,
    };
    state.status = Word::Borrowed(status);
}

fn remark(value: Value) -> Result<String, Refusal> {
    let text = text("comment", value)?;
    match text.chars().count() {
        0 => Err(incorrect("'comment' is empty.")),
        length if length > COMMENT => Err(incorrect("'comment' exceeds 30000 characters.")),
        _ => Ok(text),
    }
}

/// Carries out a PATCH; tells the place of what it changed.
pub(in crate::sandbox) fn patch(
    tenant: &Shared,
    family: Family,
    target: Target,
    id: &str,
    body: &[u8],
    caller: &Caller,
) -> Result<usize, Refusal> {
    let mut store = tenant.store();
    let place = target.find(&store, family, id)?;
    let change = Change::read(family, target, body, tenant.settings.alternate_spellings)?;
    apply(&mut store, target, place, &change, caller, tenant.now())?;
    Ok(place)
}

/// Whether the change would be taken, without making it.
pub(in crate::sandbox) fn check(
    store: &Store,
    target: Target,
    place: usize,
    change: &Change,
) -> Result<(), Refusal> {
    let state = match target {
        Target::Alert => store.alerts.get(place).map(|alert| &alert.state),
        Target::Incident => store.incidents.get(place).map(|incident| &incident.state),
    };
    state.map_or(Ok(()), |state| change.verdict(state).map(drop))
}

/// Makes a change and all that follows from it.
pub(in crate::sandbox) fn apply(
    store: &mut Store,
    target: Target,
    place: usize,
    change: &Change,
    caller: &Caller,
    now: Ticks,
) -> Result<(), Refusal> {
    check(store, target, place, change)?;
    match target {
        Target::Alert => {
            change_alert(store, place, now, |state| change.alter(state, caller))?;
            touch_incident(store, place, now);
            Ok(())
        }
        Target::Incident => change_incident(store, place, change, caller, now),
    }
}

fn change_alert(
    store: &mut Store,
    place: usize,
    now: Ticks,
    alter: impl FnOnce(&mut State) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut result = Ok(());
    store.alerts.change(place, now, |alert| {
        let before = alert.state.clone();
        result = alter(&mut alert.state);
        rewrite_alert(alert, &before);
    });
    result
}

/// An incident changes with its alerts.
fn touch_incident(store: &mut Store, alert: usize, now: Ticks) {
    let Some(alert) = store.alerts.get(alert) else {
        return;
    };
    let family = match alert.body {
        Body::Told(_) => Family::Graph,
        Body::Given { family, .. } => family,
    };
    let incident = alert
        .incident
        .as_deref()
        .and_then(|id| store.incidents.find(family, id));
    if let Some(place) = incident {
        store.incidents.change(place, now, |incident| {
            if let Body::Given {
                family,
                text,
                written,
            } = &mut incident.body
            {
                *text = edit(
                    text,
                    &[(last_update(*family), Some(instant(incident.state.updated)))],
                )
                .into();
                *written = true;
            }
        });
    }
}

fn change_incident(
    store: &mut Store,
    place: usize,
    change: &Change,
    caller: &Caller,
    now: Ticks,
) -> Result<(), Refusal> {
    let mut result = Ok(());
    store.incidents.change(place, now, |incident| {
        let before = incident.state.clone();
        result = change.alter(&mut incident.state, caller);
        if let Some(tags) = &change.tags {
            incident.tags.clone_from(tags);
        }
        if let Some(name) = &change.name {
            incident.name.clone_from(name);
        }
        for (field, text) in [
            (&mut incident.summary, &change.summary),
            (&mut incident.resolving_comment, &change.resolving_comment),
        ] {
            if text.is_some() {
                field.clone_from(text);
            }
        }
        rewrite_incident(incident, &before, change);
    });
    result?;
    let alerts = store
        .incidents
        .get(place)
        .map(|incident| incident.alerts.clone());
    for place in alerts.unwrap_or_default() {
        let Some(state) = store.alerts.get(place).map(|alert| &alert.state) else {
            continue;
        };
        let resolve = change.status == Some("resolved") && state.status != "resolved";
        let owner = change
            .assigned_to
            .clone()
            .filter(|owner| *owner != state.assigned_to);
        if resolve || owner.is_some() {
            change_alert(store, place, now, |state| {
                if resolve {
                    set_status(state, "resolved");
                }
                if let Some(owner) = owner {
                    state.assigned_to = owner;
                }
                Ok(())
            })?;
        }
    }
    Ok(())
}

const fn last_update(family: Family) -> &'static str {
    match family {
        Family::Graph => "lastUpdateDateTime",
        Family::Mde | Family::Xdr => "lastUpdateTime",
    }
}

fn instant(at: Ticks) -> String {
    format!("\"{at}\"")
}

fn nullable(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), quoted)
}

type Edits = Vec<(&'static str, Option<String>)>;

/// What of a given object's text no longer holds.
fn edits(family: Family, statuses: List, text: &str, before: &State, after: &State) -> Edits {
    let mut edits = vec![(last_update(family), Some(instant(after.updated)))];
    for (name, list, old, new) in [
        ("status", statuses, &before.status, &after.status),
        (
            "severity",
            List::Severity,
            &before.severity,
            &after.severity,
        ),
        (
            "classification",
            List::Classification,
            &before.classification,
            &after.classification,
        ),
        (
            "determination",
            List::Determination,
            &before.determination,
            &after.determination,
        ),
    ] {
        if old != new {
            edits.push((name, Some(quoted(&list.spell(family, new)))));
        }
    }
    if before.assigned_to != after.assigned_to {
        edits.push(("assignedTo", Some(nullable(after.assigned_to.as_deref()))));
    }
    let added = after
        .comments
        .get(before.comments.len()..)
        .unwrap_or_default();
    if !added.is_empty() {
        let list = Members::of(text)
            .ok()
            .and_then(|members| members.raw("comments").map(str::to_owned));
        let kept = list
            .as_deref()
            .and_then(|list| list.trim_end().strip_suffix(']'))
            .unwrap_or("[");
        let comma = if kept.trim_end().ends_with('[') {
            ""
        } else {
            ","
        };
        let added: Vec<_> = added.iter().map(|added| comment(family, added)).collect();
        edits.push((
            "comments",
            Some(format!("{kept}{comma}{}]", added.join(","))),
        ));
    }
    edits
}

fn rewrite_alert(alert: &mut Alert, before: &State) {
    if let Body::Given {
        family,
        text,
        written,
    } = &mut alert.body
    {
        let after = &alert.state;
        let mut edits = edits(*family, List::AlertStatus, text, before, after);
        if before.resolved != after.resolved {
            let name = match family {
                Family::Graph => "resolvedDateTime",
                Family::Mde | Family::Xdr => "resolvedTime",
            };
            edits.push((
                name,
                Some(after.resolved.map_or_else(|| "null".to_owned(), instant)),
            ));
        }
        *text = edit(text, &edits).into();
        *written = true;
    }
}

fn rewrite_incident(incident: &mut Incident, before: &State, change: &Change) {
    if let Body::Given {
        family,
        text,
        written,
    } = &mut incident.body
    {
        let after = &incident.state;
        let mut edits = edits(*family, List::IncidentStatus, text, before, after);
        if let Some(tags) = &change.tags {
            let tags: Vec<_> = tags.iter().map(|tag| quoted(tag)).collect();
            let name = if *family == Family::Graph {
                "customTags"
            } else {
                "tags"
            };
            edits.push((name, Some(format!("[{}]", tags.join(",")))));
        }
        for (name, value) in [
            ("displayName", &change.name),
            ("summary", &change.summary),
            ("resolvingComment", &change.resolving_comment),
        ] {
            if let Some(value) = value {
                edits.push((name, Some(quoted(value))));
            }
        }
        if *family == Family::Xdr {
            let nested = nested_xdr(text, after, change);
            edits.extend(nested.map(|alerts| ("alerts", Some(alerts))));
        }
        *text = edit(text, &edits).into();
        *written = true;
    }
}

/// The nested alerts of a given XDR incident after what follows from a change;
/// `None` where nothing follows.
fn nested_xdr(text: &str, after: &State, change: &Change) -> Option<String> {
    let resolve = change.status == Some("resolved");
    if !resolve && change.assigned_to.is_none() {
        return None;
    }
    let members = Members::of(text).ok()?;
    let alerts = members.elements("alerts").into_iter().map(|alert| {
        let mut edits = vec![("lastUpdatedTime", Some(instant(after.updated)))];
        if resolve {
            edits.push(("status", Some("\"Resolved\"".to_owned())));
            edits.push(("resolvedTime", Some(instant(after.updated))));
        }
        if let Some(owner) = &change.assigned_to {
            edits.push(("assignedTo", Some(nullable(owner.as_deref()))));
        }
        edit(alert, &edits)
    });
    Some(format!("[{}]", alerts.collect::<Vec<_>>().join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(family: Family, target: Target, body: &str) -> Result<Change, Refusal> {
        Change::read(family, target, body.as_bytes(), false)
    }

    #[test]
    fn each_family_takes_its_own_words_only() {
        let taken = [
            (
                Family::Graph,
                Target::Alert,
                r#"{"status":"inProgress","assignedTo":null}"#,
            ),
            (
                Family::Graph,
                Target::Incident,
                r#"{"status":"active","customTags":["a"]}"#,
            ),
            (
                Family::Mde,
                Target::Alert,
                r#"{"status":"Resolved","comment":"x"}"#,
            ),
            (
                Family::Xdr,
                Target::Incident,
                r#"{"tags":[],"determination":"Clean"}"#,
            ),
        ];
        for (family, target, body) in taken {
            assert!(read(family, target, body).is_ok(), "{body}");
        }
        let refused = [
            (Family::Graph, Target::Alert, r#"{"status":"Resolved"}"#),
            (Family::Graph, Target::Alert, r#"{"status":"unknown"}"#),
            (Family::Graph, Target::Alert, r#"{"comment":"x"}"#),
            (
                Family::Graph,
                Target::Alert,
                r#"{"classification":"benignPositive"}"#,
            ),
            (
                Family::Graph,
                Target::Incident,
                r#"{"status":"redirected"}"#,
            ),
            (Family::Graph, Target::Incident, r#"{"status":"new"}"#),
            (Family::Graph, Target::Incident, r#"{"priorityScore":1}"#),
            (Family::Graph, Target::Alert, r#"{"@odata.type":"x"}"#),
            (Family::Mde, Target::Alert, r#"{"status":"resolved"}"#),
            (Family::Mde, Target::Alert, r#"{"Status":"Resolved"}"#),
            (Family::Mde, Target::Alert, r#"{"comment":""}"#),
            (Family::Xdr, Target::Incident, r#"{"tags":"a"}"#),
            (Family::Xdr, Target::Incident, "{}"),
            (Family::Xdr, Target::Incident, "[]"),
        ];
        for (family, target, body) in refused {
            let refusal = read(family, target, body).unwrap_err();
            assert_eq!(refusal.code, "InvalidRequestBody", "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..80)) {
            for family in [Family::Graph, Family::Mde, Family::Xdr] {
                let _change = Change::read(family, Target::Incident, &body, true);
            }
            let _comment = Change::comment(&body);
        }
    }
}
