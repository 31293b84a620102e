//! What a single alert or incident says of its standing: the few members triage
//! looks at, out of the answer of any family.

use crate::defender::spelling::in_graph_words;
use crate::ingest::Instant;
use crate::triage::State;
use serde::Deserialize;

/// Reads the answer of a GET by id; everything not named here is passed over.
pub(super) fn standing(body: &[u8]) -> Result<State, serde_json::Error> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let object: Standing = serde_json::from_slice(body)?;
    let word = |text: Option<String>| text.as_deref().map(in_graph_words);
    let mut comments = object.comments.unwrap_or_default();
    comments.sort_by_key(Comment::written);
    Ok(State {
        status: word(object.status),
        classification: word(object.classification),
        determination: word(object.determination),
        assigned_to: object.assigned_to.filter(|owner| !owner.is_empty()),
        tags: object.custom_tags.or(object.tags).unwrap_or_default(),
        comments: comments
            .into_iter()
            .filter_map(|comment| comment.comment)
            .collect(),
        updated: object.last_update_date_time.or(object.last_update_time),
        merged_into: object.redirect_incident_id.map(|id| match id {
            IncidentId::Text(id) => id,
            IncidentId::Number(id) => id.to_string(),
        }),
        listed: false,
    })
}

/// Graph says `customTags` and `lastUpdateDateTime`, the others `tags` and `lastUpdateTime`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    status: Option<String>,
    classification: Option<String>,
    determination: Option<String>,
    assigned_to: Option<String>,
    custom_tags: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    comments: Option<Vec<Comment>>,
    last_update_date_time: Option<String>,
    last_update_time: Option<String>,
    redirect_incident_id: Option<IncidentId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Comment {
    comment: Option<String>,
    created_date_time: Option<String>,
    created_time: Option<String>,
}

impl Comment {
    fn written(&self) -> Option<Instant> {
        let text = self
            .created_date_time
            .as_ref()
            .or(self.created_time.as_ref());
        text.and_then(|text| text.parse().ok())
    }
}

/// A number in one API, the same number as text in the other.
#[derive(Deserialize)]
#[serde(untagged)]
enum IncidentId {
    Text(String),
    Number(i64),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(object: &Value) -> State {
        standing(object.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn microsofts_printed_samples_read_in_graph_words() {
        let mde: Value = serde_json::from_str(include_str!("fixtures/mde_alerts.json")).unwrap();
        assert_eq!(
            of(&mde["value"][0]),
            State {
                status: Some("new".into()),
                classification: Some("truePositive".into()),
                assigned_to: Some("secop123@contoso.com".into()),
                comments: vec!["test comment for docs".into()],
                updated: Some("2020-07-20T10:53:50.19Z".into()),
                ..State::default()
            }
        );
        let graph: Value =
            serde_json::from_str(include_str!("fixtures/graph_incidents_expand_alerts.json"))
                .unwrap();
        assert_eq!(
            of(&graph["value"][0]),
            State {
                status: Some("active".into()),
                classification: Some("truePositive".into()),
                determination: Some("multiStagedAttack".into()),
                assigned_to: Some("KaiC@contoso.onmicrosoft.com".into()),
                tags: vec!["Demo".into()],
                comments: vec!["Demo incident".into()],
                updated: Some("2021-09-30T09:35:45.1133333Z".into()),
                merged_into: None,
                listed: false,
            }
        );
    }

    #[test]
    fn an_xdr_incident_names_its_successor_and_unset_values_are_unknown() {
        let state = of(&json!({
            "incidentId": 1, "redirectIncidentId": 77, "status": "Redirected",
            "classification": "Unknown", "determination": "NotAvailable",
            "assignedTo": "", "tags": ["a", "b"], "lastUpdateTime": "2026-01-01T00:00:00Z",
        }));
        assert_eq!(state.merged_into.as_deref(), Some("77"));
        assert_eq!(state.status.as_deref(), Some("redirected"));
        assert_eq!(state.classification.as_deref(), Some("unknown"));
        assert_eq!(state.determination.as_deref(), Some("unknown"));
        assert_eq!(state.assigned_to, None);
        assert_eq!(state.tags, ["a", "b"]);
    }

    #[test]
    fn comments_stand_oldest_first_however_they_are_listed() {
        let state = of(&json!({"comments": [
            {"comment": "third", "createdDateTime": "2026-01-01T00:00:00.12Z"},
            {"comment": "second", "createdDateTime": "2026-01-01T00:00:00.1Z"},
            {"comment": null, "createdDateTime": "2026-01-01T00:00:00Z"},
            {"comment": "first", "createdTime": "2025-01-01T00:00:00Z"},
        ]}));
        assert_eq!(state.comments, ["first", "second", "third"]);
    }

    proptest::proptest! {
        #[test]
        fn takes_any_bytes_without_a_panic(body: Vec<u8>) {
            drop(standing(&body));
        }
    }
}
