//! What a single alert or incident says of its standing: the few members triage
//! looks at, out of the answer of any API. Each is read by itself, and what is
//! strange is passed over: text nobody needs stops nothing.

use crate::ingest::Instant;
use crate::microsoft::defender::spelling::in_graph_words;
use crate::microsoft::http::error::cut;
use crate::microsoft::http::lenient_json::{Members, elements, lenient, text, text_or_number};
use crate::triage::State;
use serde_json::value::RawValue;

/// Longest word, name or instant believed; ledger and messages show them.
const LONGEST: usize = 256;

/// Reads the answer of a GET by id; everything not named here is passed over.
pub(in crate::microsoft) fn parse_state(body: &[u8]) -> Result<State, serde_json::Error> {
    let json = lenient(body);
    let object = Members::read(&json)?;
    let said = |name: &str| object.text(name).map(|text| cut(&text, LONGEST));
    let word = |name: &str| said(name).as_deref().map(in_graph_words);
    // Where a list stands twice, whatever is in one of them is there.
    let mut comments: Vec<Comment> = object
        .all("comments")
        .flat_map(elements)
        .map(Comment::of)
        .collect();
    comments.sort_by_key(|comment| comment.written);
    let tags = ["customTags", "tags"].iter().find_map(|name| {
        let tags = elements(object.get(name)?).into_iter().filter_map(text);
        Some(tags.filter(|tag| !tag.is_empty()).collect::<Vec<_>>())
    });
    Ok(State {
        status: word("status"),
        classification: word("classification"),
        determination: word("determination"),
        assigned_to: said("assignedTo").filter(|owner| !is_nobody(owner)),
        tags: tags.unwrap_or_default(),
        comments: comments
            .into_iter()
            .filter_map(|comment| comment.text)
            .collect(),
        updated: said("lastUpdateDateTime").or_else(|| said("lastUpdateTime")),
        resolved: said("resolvedDateTime").or_else(|| said("resolvedTime")),
        merged_into: object
            .get("redirectIncidentId")
            .and_then(text_or_number)
            .map(|id| cut(&id, LONGEST)),
        incident: object
            .get("incidentId")
            .and_then(text_or_number)
            .map(|id| cut(&id, LONGEST))
            .filter(|id| !matches!(id.as_str(), "" | "0")),
        listed: false,
    })
}

/// How services name an owner who is none; a user principal name has an `@`.
fn is_nobody(owner: &str) -> bool {
    owner.trim().is_empty() || owner.trim().eq_ignore_ascii_case("unassigned")
}

/// A comment as an object, or as nothing but its text.
struct Comment {
    text: Option<String>,
    written: Option<Instant>,
}

impl Comment {
    fn of(json: &RawValue) -> Self {
        let object = Members::read(json.get()).unwrap_or_default();
        let time = ["createdDateTime", "createdTime"];
        Self {
            text: text(json).or_else(|| text(object.get("comment")?)),
            written: time.iter().find_map(|name| object.text(name)?.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(object: &Value) -> State {
        parse_state(object.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn microsofts_printed_samples_read_in_graph_words() {
        let mde: Value =
            serde_json::from_str(include_str!("../../fixtures/mde_alerts.json")).unwrap();
        assert_eq!(
            of(&mde["value"][0]),
            State {
                status: Some("new".into()),
                classification: Some("truePositive".into()),
                assigned_to: Some("secop123@contoso.com".into()),
                comments: vec!["test comment for docs".into()],
                updated: Some("2020-07-20T10:53:50.19Z".into()),
                incident: Some("7587".into()),
                ..State::default()
            }
        );
        let graph: Value = serde_json::from_str(include_str!(
            "../../fixtures/graph_incidents_expand_alerts.json"
        ))
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
                ..State::default()
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
    fn an_alert_names_its_incident_or_none() {
        for (said, incident) in [
            (json!("924521"), Some("924521")),
            (json!(924_521), Some("924521")),
            (json!(0), None),
            (json!(""), None),
            (json!("0"), None),
            (json!(null), None),
            (json!([7]), None),
        ] {
            let state = of(&json!({"id": "da1", "incidentId": said}));
            assert_eq!(state.incident.as_deref(), incident, "{said}");
        }
        assert_eq!(of(&json!({"id": "da1"})).incident, None);
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

    #[test]
    fn text_that_nobody_needs_stops_nothing() {
        let ours = "closed [splunk:0badcafe]";
        for (members, comments) in [
            (
                r#""comments":[{"comment":"cut \ud83d","createdTime":"2026-01-01T00:00:00Z"},{"comment":"closed [splunk:0badcafe]"}]"#,
                vec![ours, "cut \u{fffd}"],
            ),
            (
                r#""comments":[null, 7, [], {"comment": {"a": 1}}, {"comment":"closed [splunk:0badcafe]"}]"#,
                vec![ours],
            ),
            (
                r#""comments":["testing", "testing"]"#,
                vec!["testing", "testing"],
            ),
            (r#""comments":"one text""#, vec!["one text"]),
            (r#""comments":{"comment":"alone"}"#, vec!["alone"]),
            (
                r#""comments":[{"comment":"a"}],"comments":[{"comment":"b"}]"#,
                vec!["a", "b"],
            ),
            (
                r#""comments":[{"comment":"a","comment":"b","createdTime":7,"by":"\udc00"}]"#,
                vec!["b"],
            ),
            (r#""comments":null"#, vec![]),
            (
                r#""\ud83d":"\ud83d","title":"\ude00", "deep":{"\ud83d":[["\ud83d"]]}"#,
                vec![],
            ),
        ] {
            let json = format!(
                r#"{{"status":"x","status":"Resolved",{members},"severity":[1],"severity":2}}"#
            );
            let state = parse_state(json.as_bytes()).unwrap();
            assert_eq!(state.status.as_deref(), Some("resolved"), "{members}");
            assert_eq!(state.comments, comments, "{members}");
        }
        let odd = b"{\"status\":\"New\",\"comments\":[{\"comment\":\"\x8e\x01\"}]}";
        assert_eq!(parse_state(odd).unwrap().comments, ["\u{fffd} "]);
    }

    #[test]
    fn members_of_another_kind_are_passed_over_one_by_one() {
        let state = of(&json!({
            "status": 7, "classification": ["TruePositive"], "determination": "Malware",
            "assignedTo": {"user": "kim"}, "customTags": "VIP", "lastUpdateTime": 1,
            "redirectIncidentId": {"id": 4},
        }));
        assert_eq!(
            state,
            State {
                determination: Some("malware".into()),
                tags: vec!["VIP".into()],
                ..State::default()
            }
        );
        assert_eq!(of(&json!({"tags": ["a", null, 7, "b"]})).tags, ["a", "b"]);
        assert_eq!(
            of(&json!({"customTags": null, "tags": ["a"]})).tags,
            [""; 0]
        );
    }

    #[test]
    fn what_is_empty_is_unset() {
        let state = of(&json!({
            "status": "", "classification": "", "determination": "", "assignedTo": " ",
            "customTags": ["", "a"], "lastUpdateDateTime": "", "lastUpdateTime": "",
        }));
        assert_eq!(
            state,
            State {
                tags: vec!["a".into()],
                ..State::default()
            }
        );
    }

    #[test]
    fn an_owner_called_unassigned_is_none() {
        for owner in ["Unassigned", "unassigned", "UNASSIGNED", " Unassigned "] {
            assert_eq!(of(&json!({"assignedTo": owner})).assigned_to, None);
        }
        let somebody = "unassigned@contoso.com";
        let state = of(&json!({"assignedTo": somebody}));
        assert_eq!(state.assigned_to.as_deref(), Some(somebody));
    }

    #[test]
    fn nothing_that_is_shown_grows_with_the_answer() {
        let long = "x".repeat(1 << 20);
        let state = of(&json!({
            "status": long, "classification": long, "determination": long, "assignedTo": long,
            "lastUpdateTime": long, "redirectIncidentId": long, "customTags": [long], "comments": [long],
        }));
        assert_eq!(state.comments, [long.as_str()]);
        let shown = serde_json::to_string(&state).unwrap();
        assert!(shown.len() < 4096, "{}", shown.len());
    }

    proptest::proptest! {
        #[test]
        fn takes_any_bytes_without_a_panic(body: Vec<u8>) {
            drop(parse_state(&body));
        }

        /// Whatever stands beside it, and whatever becomes of that.
        #[test]
        fn a_comment_is_found_among_any_others(
            before in "\\PC{0,20}",
            units in proptest::collection::vec(0xD000u16..0xE100, 0..6),
            odd in proptest::sample::select(vec!["null", "7", "[]", "{}", "\"\\ud83d\"", "{\"comment\":null}"]),
        ) {
            let escapes: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let before = Value::from(before);
            let json = format!(
                r#"{{"{escapes}":{odd},"comments":[{odd},{{"comment":{before}}},"{escapes}",{{"comment":"x [splunk:0badcafe]"}},{odd}]}}"#
            );
            let state = parse_state(json.as_bytes()).unwrap();
            proptest::prop_assert!(state.comments.iter().any(|said| said == "x [splunk:0badcafe]"));
            proptest::prop_assert!(state.comments.len() >= 3);
        }
    }
}
