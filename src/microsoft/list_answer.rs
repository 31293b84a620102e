//! The event path's first half: where in a list answer each object lies.
//!
//! One pass over `{"value":[…]}` hands out every element as a span of the body;
//! of each element only the head (id, last update) is read. No tree is built,
//! nothing is copied, and the bytes stay as Microsoft sent them. An element that
//! cannot be told apart is set aside with a reason and never stops the others.
//!
//! This file must never know a URL, a clock or which API answered: member names
//! come in as a [`Shape`].

use crate::ingest::{Instant, Kind, Object, Page, Quarantined, Raw};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// What an element of a list looks like in one API.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub kind: Kind,
    /// Member that holds the id (text or whole number).
    pub id: &'static str,
    /// Member that holds the last update.
    pub updated: &'static str,
    /// A list inside the element whose objects leave as events of their own.
    pub nested: Option<Nested>,
}

/// A list inside an element: its member, and the shape of what it lists.
#[derive(Debug, Clone, Copy)]
pub struct Nested {
    pub member: &'static str,
    pub shape: &'static Shape,
}

/// A list answer taken apart.
#[derive(Debug)]
pub struct Listing {
    pub page: Page,
    /// `@odata.nextLink`, as evidence that more follows.
    pub next_link: Option<String>,
}

/// The body is no list answer: cut short, or not from the API at all.
#[derive(Debug, thiserror::Error)]
#[error("the answer is no list of objects ({reason}); it begins with `{beginning}`")]
pub struct SliceError {
    reason: String,
    beginning: String,
}

/// Enough to tell a proxy's HTML page from a cut-off list, in one log line.
const BEGINNING: usize = 60;

/// Finds every object of a list answer.
pub fn slice(body: Vec<u8>, shape: &Shape) -> Result<Listing, SliceError> {
    let body = text(body, "an answer");
    let mut page = Page::default();
    let head = {
        let list = List {
            body: &body,
            shape,
            page: &mut page,
        };
        // A byte order mark is no JSON, but some proxies put one in front.
        let json = body.strip_prefix('\u{feff}').unwrap_or(&body);
        let mut reader = serde_json::Deserializer::from_str(json);
        list.deserialize(&mut reader)
            .and_then(|head| reader.end().map(|()| head))
    };
    match head {
        Ok(ListHead { next_link, count }) => {
            page.more = next_link.is_some();
            page.count = count;
            page.body = body;
            Ok(Listing { page, next_link })
        }
        Err(error) => Err(SliceError {
            reason: if body.trim().is_empty() {
                "it is empty".into()
            } else {
                error.to_string()
            },
            beginning: body
                .chars()
                .take(BEGINNING)
                .flat_map(char::escape_debug)
                .collect(),
        }),
    }
}

/// What was sent as text; `what` it is says a warning.
pub fn text(body: Vec<u8>, what: &str) -> String {
    String::from_utf8(body).unwrap_or_else(|broken| {
        tracing::warn!(
            "{what} holds bytes that are no UTF-8 ({}); U+FFFD stands in their place",
            broken.utf8_error()
        );
        String::from_utf8_lossy(broken.as_bytes()).into_owned()
    })
}

/// What a list answer says beside the list.
#[derive(Default)]
struct ListHead {
    next_link: Option<String>,
    /// `@odata.count`.
    count: Option<u64>,
}

/// The whole answer.
struct List<'a, 'p> {
    body: &'a str,
    shape: &'p Shape,
    page: &'p mut Page,
}

impl<'de> DeserializeSeed<'de> for List<'de, '_> {
    type Value = ListHead;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> serde::de::Visitor<'de> for List<'de, '_> {
    type Value = ListHead;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list named `value`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut listed = false;
        let mut head = ListHead::default();
        while let Some(key) = map.next_key::<&RawValue>()? {
            match unquoted(key).as_deref() {
                Some("value") if listed => return Err(A::Error::duplicate_field("value")),
                Some("value") => {
                    listed = true;
                    map.next_value_seed(Elements {
                        body: self.body,
                        shape: self.shape,
                        page: &mut *self.page,
                    })?;
                }
                Some("@odata.nextLink") => {
                    head.next_link = unquoted(map.next_value()?)
                        .filter(|link| !link.is_empty())
                        .map(Cow::into_owned);
                }
                Some("@odata.count") => {
                    head.count = map.next_value::<&RawValue>()?.get().parse().ok();
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if listed {
            Ok(head)
        } else {
            Err(A::Error::missing_field("value"))
        }
    }
}

/// The list itself.
struct Elements<'a, 'p> {
    body: &'a str,
    shape: &'p Shape,
    page: &'p mut Page,
}

impl<'de> DeserializeSeed<'de> for Elements<'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> serde::de::Visitor<'de> for Elements<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Page {
            objects,
            quarantined,
            ..
        } = self.page;
        while let Some(element) = seq.next_element::<&RawValue>()? {
            sort(self.body, element, self.shape, objects, quarantined);
        }
        Ok(())
    }
}

/// Puts one element where it belongs: among the objects or aside.
fn sort(
    body: &str,
    element: &RawValue,
    shape: &Shape,
    objects: &mut Vec<Object>,
    quarantined: &mut Vec<Quarantined>,
) {
    match object(body, element, shape, quarantined) {
        Ok(object) => objects.push(object),
        Err(why) => quarantined.push(Quarantined {
            span: span(body, element.get()),
            why,
        }),
    }
}

fn object(
    body: &str,
    element: &RawValue,
    shape: &Shape,
    quarantined: &mut Vec<Quarantined>,
) -> Result<Object, String> {
    if !element.get().starts_with('{') {
        return Err(format!("it is {}, not an object", what(element)));
    }
    let head = Head::read(element, shape)?;
    let id = id(head.id, shape.id)?;
    let updated = instant(head.updated, shape.updated)?;
    let mut nested = Vec::new();
    let mut without = None;
    if let (Some(Nested { shape, .. }), Some(member)) = (shape.nested, head.nested)
        && member.value.get().starts_with('[')
    {
        let inner = serde_json::from_str::<Inner<'_>>(member.value.get());
        for element in inner.map_err(|error| error.to_string())?.0 {
            sort(body, element, shape, &mut nested, quarantined);
        }
        without = Some(member.cut(body));
    }
    Ok(Object {
        kind: shape.kind,
        id,
        updated,
        raw: Raw {
            span: span(body, element.get()),
            without,
        },
        nested,
    })
}

#[derive(Deserialize)]
struct Inner<'a>(#[serde(borrow)] Vec<&'a RawValue>);

/// The few members of an element that are looked at.
#[derive(Default)]
struct Head<'a> {
    id: Option<&'a RawValue>,
    updated: Option<&'a RawValue>,
    nested: Option<Member<'a>>,
    twice: Option<&'static str>,
}

/// A member and its surroundings, so that it can be cut out with its comma.
#[derive(Clone, Copy)]
struct Member<'a> {
    /// The value before, if the member is not the first.
    before: Option<&'a RawValue>,
    key: &'a RawValue,
    value: &'a RawValue,
    /// The key after, if the member is not the last.
    after: Option<&'a RawValue>,
}

impl Member<'_> {
    fn cut(&self, body: &str) -> Range<usize> {
        let value = span(body, self.value.get());
        let key = span(body, self.key.get());
        match (self.before, self.after) {
            (Some(before), _) => span(body, before.get()).end..value.end,
            (None, Some(after)) => key.start..span(body, after.get()).start,
            (None, None) => key.start..value.end,
        }
    }
}

impl<'a> Head<'a> {
    fn read(element: &'a RawValue, shape: &Shape) -> Result<Self, String> {
        let head = HeadOf { shape }
            .deserialize(&mut serde_json::Deserializer::from_str(element.get()))
            .map_err(|error| format!("it cannot be read: {error}"))?;
        match head.twice {
            Some(member) => Err(format!("`{member}` stands in it twice")),
            None => Ok(head),
        }
    }
}

struct HeadOf<'p> {
    shape: &'p Shape,
}

impl<'de> DeserializeSeed<'de> for HeadOf<'_> {
    type Value = Head<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Head<'de>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> serde::de::Visitor<'de> for HeadOf<'_> {
    type Value = Head<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head<'de>, A::Error> {
        let shape = self.shape;
        let nested = shape.nested.map(|nested| nested.member);
        let mut head = Head::default();
        let mut before = None;
        while let Some(key) = map.next_key::<&'de RawValue>()? {
            if let Some(member) = &mut head.nested
                && member.after.is_none()
            {
                member.after = Some(key);
            }
            let value = map.next_value::<&'de RawValue>()?;
            let name = unquoted(key);
            let name = name.as_deref();
            if name == Some(shape.id) {
                if head.id.replace(value).is_some() {
                    head.twice = Some(shape.id);
                }
            } else if name == Some(shape.updated) {
                if head.updated.replace(value).is_some() {
                    head.twice = Some(shape.updated);
                }
            } else if let Some(member) = nested
                && name == nested
            {
                let found = Member {
                    before,
                    key,
                    value,
                    after: None,
                };
                if head.nested.replace(found).is_some() {
                    head.twice = Some(member);
                }
            }
            before = Some(value);
        }
        Ok(head)
    }
}

fn id(value: Option<&RawValue>, member: &str) -> Result<String, String> {
    let value = value.ok_or_else(|| format!("`{member}` is missing"))?;
    let number = || {
        let text = value.get();
        let digits = text.strip_prefix('-').unwrap_or(text);
        digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(Cow::Borrowed(text))
    };
    match unquoted(value).or_else(number) {
        Some(id) if id.is_empty() => Err(format!("`{member}` is empty")),
        Some(id) => Ok(id.into_owned()),
        None => Err(format!("`{member}` is {}", what(value))),
    }
}

fn instant(value: Option<&RawValue>, member: &str) -> Result<Instant, String> {
    let value = value.ok_or_else(|| format!("`{member}` is missing"))?;
    match unquoted(value) {
        Some(text) => text.parse().map_err(|error| format!("`{member}`: {error}")),
        None => Err(format!("`{member}` is {}", what(value))),
    }
}

/// The text of a JSON string; `None` for anything else (and for a string that
/// is no Unicode text, such as half a surrogate pair).
pub fn unquoted(value: &RawValue) -> Option<Cow<'_, str>> {
    unquoted_text(value.get())
}

/// The same of a value as it stands in its text.
pub fn unquoted_text(json: &str) -> Option<Cow<'_, str>> {
    let text = json.strip_prefix('"')?.strip_suffix('"')?;
    if text.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(text))
    }
}

/// A JSON value's sort, in words.
pub fn what(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'n') => "null",
        Some(b't' | b'f') => "true or false",
        Some(b'"') => "a text that cannot be read",
        Some(b'[') => "a list",
        Some(b'{') => "an object",
        _ => "a number",
    }
}

/// Where a part of the body lies in it.
pub fn span(body: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const ALERT: Shape = Shape {
        kind: Kind::Alert,
        id: "id",
        updated: "at",
        nested: None,
    };
    const NESTED: Shape = Shape {
        kind: Kind::Alert,
        id: "alertId",
        updated: "changed",
        nested: None,
    };
    const INCIDENT: Shape = Shape {
        kind: Kind::Incident,
        id: "incidentId",
        updated: "at",
        nested: Some(Nested {
            member: "alerts",
            shape: &NESTED,
        }),
    };

    fn page(body: &str, shape: &Shape) -> Page {
        slice(body.as_bytes().to_vec(), shape).unwrap().page
    }

    fn whole(page: &Page, object: &Object) -> String {
        page.text(&object.raw).concat()
    }

    #[test]
    fn spans_are_the_bytes_as_sent() {
        let one =
            r#"{ "at":"2026-01-01T00:00:00.1Z" ,"id":"a\/b","x":[1.0e+2,"\u00e9\ud83d\ude00"] }"#;
        let two = r#"{"id":7,"at":"2026-01-02T00:00:00Z"}"#;
        let body = format!("{{\"@odata.count\":2,\r\n \"value\" : [ {one} ,\n{two}\n] }}\n");
        let page = page(&body, &ALERT);
        let texts: Vec<_> = page
            .objects
            .iter()
            .map(|o| (o.id.as_str(), whole(&page, o)))
            .collect();
        assert_eq!(texts, [("a/b", one.to_owned()), ("7", two.to_owned())]);
        assert_eq!(
            page.objects[0].updated,
            "2026-01-01T00:00:00.1Z".parse().unwrap()
        );
        assert_eq!(page.body, body);
        assert!(!page.more);
    }

    #[test]
    fn members_stand_in_any_order_and_a_next_link_is_told() {
        let body =
            r#"{"@odata.nextLink":"https:\/\/else.example\/x","value":[],"n":{"value":[1]}}"#;
        let listing = slice(body.into(), &ALERT).unwrap();
        assert_eq!(listing.next_link.as_deref(), Some("https://else.example/x"));
        assert!(listing.page.more);
        for none in ["null", "\"\"", "7"] {
            let body = format!(r#"{{"value":[],"@odata.nextLink":{none}}}"#);
            assert!(!page(&body, &ALERT).more, "{none}");
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_set_aside_and_stops_nothing() {
        let at = r#""at":"2026-01-01T00:00:00Z""#;
        let bad = [
            ("null", "it is null, not an object"),
            ("[1]", "it is a list, not an object"),
            ("\"x\"", "not an object"),
            ("12", "it is a number, not an object"),
            (&format!("{{{at}}}"), "`id` is missing"),
            (&format!(r#"{{"id":null,{at}}}"#), "`id` is null"),
            (&format!(r#"{{"id":"",{at}}}"#), "`id` is empty"),
            (&format!(r#"{{"id":{{}},{at}}}"#), "`id` is an object"),
            (&format!(r#"{{"id":1.5,{at}}}"#), "`id` is a number"),
            (
                &format!(r#"{{"id":"\ud800",{at}}}"#),
                "`id` is a text that cannot be read",
            ),
            (
                &format!(r#"{{"id":"a","id":"b",{at}}}"#),
                "`id` stands in it twice",
            ),
            (r#"{"id":"a"}"#, "`at` is missing"),
            (r#"{"id":"a","at":null}"#, "`at` is null"),
            (
                r#"{"id":"a","at":"soon"}"#,
                "`at`: `soon` is no UTC instant",
            ),
        ];
        let good = format!(r#"{{"id":"good",{at}}}"#);
        for (bad, why) in bad {
            let page = page(&format!(r#"{{"value":[{good},{bad},{good}]}}"#), &ALERT);
            assert_eq!(page.objects.len(), 2, "{bad}");
            assert_eq!(page.quarantined.len(), 1, "{bad}");
            let quarantined = &page.quarantined[0];
            assert_eq!(&page.body[quarantined.span.clone()], bad);
            assert!(quarantined.why.contains(why), "{bad}: {}", quarantined.why);
        }
    }

    #[test]
    fn an_unreadable_name_among_the_members_does_no_harm() {
        let body = r#"{"\ud800":1,"value":[{"\udc00":{"id":1},"\u0069d":"a","at":"2026-01-01T00:00:00Z"}]}"#;
        assert_eq!(page(body, &ALERT).objects[0].id, "a");
    }

    #[test]
    fn a_nested_list_leaves_its_incident_in_every_position() {
        let alerts = r#""alerts" : [ {"alertId":"x","changed":"2026-01-03T00:00:00Z"} , null ]"#;
        let id = r#""incidentId" :7"#;
        let at = r#""at": "2026-01-01T00:00:00Z""#;
        for members in [[alerts, id, at], [id, alerts, at], [id, at, alerts]] {
            let body = format!("{{\"value\":[ {{ {} }} ]}}", members.join(" , "));
            let page = page(&body, &INCIDENT);
            let incident = &page.objects[0];
            let left: Value = serde_json::from_str(&whole(&page, incident)).unwrap();
            assert_eq!(left, json!({"incidentId":7,"at":"2026-01-01T00:00:00Z"}));
            assert_eq!((incident.kind, incident.id.as_str()), (Kind::Incident, "7"));
            let alert = &incident.nested[0];
            assert_eq!((alert.kind, alert.id.as_str()), (Kind::Alert, "x"));
            assert_eq!(
                whole(&page, alert),
                r#"{"alertId":"x","changed":"2026-01-03T00:00:00Z"}"#
            );
            assert_eq!(&page.body[page.quarantined[0].span.clone()], "null");
        }
    }

    #[test]
    fn an_incident_whose_alerts_are_no_list_stays_whole() {
        let one = r#"{"incidentId":7,"at":"2026-01-01T00:00:00Z","alerts":null}"#;
        let page = page(&format!(r#"{{"value":[{one}]}}"#), &INCIDENT);
        assert_eq!(whole(&page, &page.objects[0]), one);
    }

    #[test]
    fn what_is_no_list_answer_is_refused_by_its_first_words() {
        for (body, reason, beginning) in [
            ("", "it is empty", "``"),
            (
                "<html>\n<h1>Proxy</h1>",
                "expected value",
                "`<html>\\n<h1>Proxy",
            ),
            (r#"{"value":[{"id":"a""#, "EOF", "`{\\\"value"),
            (r#"{"value":[]"#, "EOF", ""),
            (r#"{"value":[]}{"#, "trailing", ""),
            (r#"{"value":[],"value":[]}"#, "duplicate field `value`", ""),
            (
                r#"{"error":{"code":"x"}}"#,
                "missing field `value`",
                "error",
            ),
            (r#"{"value":{}}"#, "a list of objects", ""),
            ("[]", "a list named `value`", ""),
        ] {
            let error = slice(body.into(), &ALERT).unwrap_err().to_string();
            assert!(error.contains(reason), "{body}: {error}");
            assert!(error.contains(beginning), "{body}: {error}");
        }
    }

    #[test]
    fn a_byte_order_mark_and_broken_utf_8_are_taken() {
        let mut body = b"\xef\xbb\xbf{\"value\":[{\"id\":\"a".to_vec();
        body.extend(b"\xff\",\"at\":\"2026-01-01T00:00:00Z\"}]}");
        let page = slice(body, &ALERT).unwrap().page;
        assert_eq!(page.objects[0].id, "a\u{fffd}");
        assert_eq!(
            whole(&page, &page.objects[0]),
            "{\"id\":\"a\u{fffd}\",\"at\":\"2026-01-01T00:00:00Z\"}"
        );
    }

    #[test]
    fn nesting_a_million_deep_takes_no_stack() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        let body = format!(
            r#"{{"x":{deep},"value":[{deep},{{"id":"a","at":"2026-01-01T00:00:00Z","x":{deep}}}]}}"#
        );
        let page = page(&body, &ALERT);
        assert_eq!((page.objects.len(), page.quarantined.len()), (1, 1));
        assert!(slice("[".repeat(1_000_000).into(), &ALERT).is_err());
    }

    #[test]
    fn microsofts_printed_samples_go_through_unchanged() {
        const GRAPH: Shape = Shape {
            updated: "lastUpdateDateTime",
            ..ALERT
        };
        let line = include_str!("fixtures/graph_alerts_v2.ndjson").trim_end();
        let body = format!(r#"{{"value":[{line}]}}"#);
        let page = page(&body, &GRAPH);
        assert_eq!(whole(&page, &page.objects[0]), line);
        assert_eq!(page.objects[0].id, "da637551227677560813_-961444813");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            Just(json!("2026-01-01T00:00:00.25Z")),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let name = prop_oneof![
                Just("incidentId".to_owned()),
                Just("at".to_owned()),
                Just("alerts".to_owned()),
                Just("alertId".to_owned()),
                Just("value".to_owned()),
                "\\PC{0,6}",
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((name, inner), 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// An incident, or something near one.
    fn any_element() -> impl Strategy<Value = Value> {
        let alerts = prop::collection::vec(
            prop_oneof![
                any_json(),
                Just(json!({"alertId":"a","changed":"2026-01-01T00:00:00Z","x":["]"]})),
            ],
            0..4,
        );
        prop_oneof![
            any_json(),
            (any::<i64>(), alerts, any_json()).prop_map(|(id, alerts, more)| {
                let mut object =
                    json!({"incidentId":id,"at":"2026-01-01T00:00:00Z","alerts":alerts});
                if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
                    for (name, value) in more {
                        object.entry(name).or_insert(value);
                    }
                }
                object
            }),
        ]
    }

    proptest! {
        #[test]
        fn slices_what_a_tree_would_hold(
            elements in prop::collection::vec(any_element(), 0..6),
            pretty: bool,
        ) {
            let tree = json!({"@odata.context":"x","value":elements,"z":{"value":1}});
            let body = if pretty { serde_json::to_string_pretty(&tree) } else { serde_json::to_string(&tree) }.unwrap();
            let tree: Value = serde_json::from_str(&body).unwrap();
            let page = page(&body, &INCIDENT);

            let mut spans: Vec<_> = page.objects.iter().map(|o| o.raw.span.clone()).collect();
            let inside = |span: &Range<usize>| page.objects.iter()
                .any(|o| o.raw.span.start < span.start && span.end < o.raw.span.end);
            spans.extend(page.quarantined.iter().map(|p| p.span.clone()).filter(|s| !inside(s)));
            spans.sort_by_key(|span| span.start);
            let sliced: Vec<Value> = spans.into_iter()
                .map(|span| serde_json::from_str(&page.body[span]).unwrap())
                .collect();
            prop_assert_eq!(&sliced, tree["value"].as_array().unwrap());

            for object in &page.objects {
                let mut expected: Value = serde_json::from_str(&page.body[object.raw.span.clone()]).unwrap();
                if object.raw.without.is_some() {
                    expected.as_object_mut().unwrap().remove("alerts");
                }
                let left: Value = serde_json::from_str(&page.text(&object.raw).concat()).unwrap();
                prop_assert_eq!(left, expected);
            }
        }

        #[test]
        fn takes_any_bytes_without_a_panic(body: Vec<u8>) {
            drop(slice(body, &INCIDENT));
        }

        #[test]
        fn takes_any_cut_of_a_list_without_a_panic(elements in prop::collection::vec(any_element(), 0..4), at: prop::sample::Index) {
            let mut body = json!({"value":elements}).to_string().into_bytes();
            let keep = at.index(body.len());
            body.truncate(keep);
            prop_assert!(slice(body, &INCIDENT).is_err());
        }
    }
}
