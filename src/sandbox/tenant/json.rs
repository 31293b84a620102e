//! JSON as text: written member by member, and edited in place, so that bytes
//! nobody asked to change stay as they were.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt::{self, Write as _};

/// Writes one JSON text. Commas follow from what stands before.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Json {
    out: String,
}

impl Json {
    pub(in crate::sandbox) fn with_capacity(bytes: usize) -> Self {
        Self {
            out: String::with_capacity(bytes),
        }
    }

    pub(in crate::sandbox) fn finish(self) -> String {
        self.out
    }

    pub(in crate::sandbox) fn len(&self) -> usize {
        self.out.len()
    }

    fn separate(&mut self) {
        if !matches!(self.out.as_bytes().last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(',');
        }
    }

    pub(in crate::sandbox) fn key(&mut self, name: &str) -> &mut Self {
        self.separate();
        quote(name, &mut self.out);
        self.out.push(':');
        self
    }

    pub(in crate::sandbox) fn text(&mut self, value: &str) {
        self.separate();
        quote(value, &mut self.out);
    }

    pub(in crate::sandbox) fn maybe(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    pub(in crate::sandbox) fn null(&mut self) {
        self.raw("null");
    }

    pub(in crate::sandbox) fn number(&mut self, value: i64) {
        self.separate();
        // Writing into a String cannot fail.
        let _infallible = write!(self.out, "{value}");
    }

    /// A value that is quoted as it displays itself and needs no escaping.
    pub(in crate::sandbox) fn plain(&mut self, value: impl fmt::Display) {
        self.separate();
        let _infallible = write!(self.out, "\"{value}\"");
    }

    /// A JSON text as it stands.
    pub(in crate::sandbox) fn raw(&mut self, value: &str) {
        self.separate();
        self.out.push_str(value);
    }

    pub(in crate::sandbox) fn texts<'a>(&mut self, values: impl IntoIterator<Item = &'a str>) {
        self.list(|list| {
            for value in values {
                list.text(value);
            }
        });
    }

    pub(in crate::sandbox) fn object(&mut self, fill: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push('{');
        fill(self);
        self.out.push('}');
    }

    pub(in crate::sandbox) fn list(&mut self, fill: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push('[');
        fill(self);
        self.out.push(']');
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest
        .bytes()
        .position(|b| b < 0x20 || b == b'"' || b == b'\\')
    {
        let (clean, special) = rest.split_at(at);
        out.push_str(clean);
        let mut chars = special.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(control));
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// A JSON string literal of `text`.
pub(in crate::sandbox) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote(text, &mut out);
    out
}

/// The members of one JSON object in their order, values as they stand.
#[derive(Debug)]
pub(in crate::sandbox) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(in crate::sandbox) fn of(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    pub(in crate::sandbox) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.get())
    }

    pub(in crate::sandbox) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// The member's value, where it is present, not null and of that type.
    pub(in crate::sandbox) fn get<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    /// The elements of a list as they stand; empty when there is no list.
    pub(in crate::sandbox) fn elements(&self, name: &str) -> Vec<&'a str> {
        let list: Vec<&'a RawValue> = self.get(name).unwrap_or_default();
        list.into_iter().map(RawValue::get).collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    members.push(entry);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Collect).map(Members)
    }
}

/// Replaces members of an object in its text, each by a JSON text; `None` takes
/// the member out. What is not there yet is added at the end. A text that is no
/// object comes back unchanged.
pub(in crate::sandbox) fn edit(text: &str, changes: &[(&str, Option<String>)]) -> String {
    let mut text = text.to_owned();
    for (name, value) in changes {
        text = edit_one(&text, name, value.as_deref());
    }
    text
}

fn edit_one(text: &str, name: &str, value: Option<&str>) -> String {
    let Ok(members) = Members::of(text) else {
        return text.to_owned();
    };
    let start_of =
        |raw: &RawValue| (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let found = members.0.iter().rposition(|(key, _)| key == name);
    let spliced = match (found, value) {
        (Some(index), Some(value)) => members.0.get(index).and_then(|(_, raw)| {
            let start = start_of(raw);
            let (head, tail) = (text.get(..start)?, text.get(start + raw.get().len()..)?);
            Some(format!("{head}{value}{tail}"))
        }),
        (Some(index), None) => {
            let kept = members
                .0
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != index)
                .map(|(_, (key, raw))| format!("{}:{}", quoted(key), raw.get()))
                .collect::<Vec<_>>();
            Some(format!("{{{}}}", kept.join(",")))
        }
        (None, Some(value)) => text.rfind('}').and_then(|end| {
            let comma = if members.0.is_empty() { "" } else { "," };
            let (head, tail) = (text.get(..end)?, text.get(end..)?);
            Some(format!("{head}{comma}{}:{value}{tail}", quoted(name)))
        }),
        (None, None) => None,
    };
    spliced.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_edit_leaves_every_other_byte_alone() {
        let text = "{ \"a\" : \"x\\/y\",\n\t\"status\": \"new\" , \"n\": [1, 2] }";
        assert_eq!(
            edit(text, &[("status", Some("\"resolved\"".into()))]),
            "{ \"a\" : \"x\\/y\",\n\t\"status\": \"resolved\" , \"n\": [1, 2] }"
        );
        assert_eq!(edit("{}", &[("b", Some("1".into()))]), "{\"b\":1}");
        assert_eq!(
            edit(text, &[("n", None)]),
            "{\"a\":\"x\\/y\",\"status\":\"new\"}"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(key in "\\PC{0,8}", value in any::<String>(), many in proptest::collection::vec(any::<String>(), 0..4)) {
            let mut json = Json::default();
            json.object(|json| {
                json.key("one").text(&value);
                json.key("many").texts(many.iter().map(String::as_str));
                json.key("none").null();
                json.key(&format!("k{key}")).number(-7);
            });
            let text = json.finish();
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read["one"].as_str(), Some(value.as_str()));
            prop_assert_eq!(&read["many"], &serde_json::json!(many));
            prop_assert_eq!(&read[format!("k{key}")], &serde_json::json!(-7));
            prop_assert!(read["none"].is_null());
        }

        #[test]
        fn editing_changes_that_member_only(
            object in proptest::collection::btree_map("[a-e]", any::<String>(), 0..5),
            value in any::<String>(),
        ) {
            let text = serde_json::to_string_pretty(&object).unwrap();
            let edited = edit(&text, &[("c", Some(quoted(&value)))]);
            let mut wanted = object.clone();
            wanted.insert("c".into(), value);
            prop_assert_eq!(serde_json::from_str::<std::collections::BTreeMap<String, String>>(&edited).unwrap(), wanted);
        }

        #[test]
        fn no_text_makes_an_edit_panic(text in "\\PC{0,60}") {
            let _edited = edit(&text, &[("a", Some("1".into())), ("b", None)]);
        }
    }
}
