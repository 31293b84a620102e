//! The fields of a search's row or of a form, as text. As JSON each field is its
//! value, or the list of its values.

use crate::triage::vocabulary::quoted;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Fields by name, each with its values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fields(BTreeMap<String, Values>);

impl Fields {
    /// Fields of one value each.
    pub fn single<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Self {
        let pairs = pairs.into_iter();
        pairs
            .map(|(name, value)| (name.to_owned(), vec![value.to_owned()]))
            .collect()
    }

    pub fn insert(&mut self, name: &str, values: Vec<String>) {
        self.0.insert(name.to_owned(), Values(values));
    }

    /// A field's values as they are; none if it is absent.
    pub fn get(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], |values| values.0.as_slice())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        let fields = self.0.iter();
        fields.map(|(name, values)| (name.as_str(), values.0.as_slice()))
    }
}

impl FromIterator<(String, Vec<String>)> for Fields {
    fn from_iter<T: IntoIterator<Item = (String, Vec<String>)>>(fields: T) -> Self {
        let fields = fields.into_iter();
        Self(
            fields
                .map(|(name, values)| (name, Values(values)))
                .collect(),
        )
    }
}

/// One row as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Row {
    fields: Fields,
    /// Its number among all rows of its search, where these are a part of them.
    #[serde(skip)]
    pub(super) number: Option<usize>,
}

impl Row {
    pub fn new(fields: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        Self {
            fields: fields.into_iter().collect(),
            number: None,
        }
    }

    /// Counted from 1; no two rows of one call may have the same number.
    pub fn numbered(self, number: usize) -> Self {
        Self {
            number: Some(number),
            ..self
        }
    }

    pub const fn number(&self) -> Option<usize> {
        self.number
    }

    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// A field's values without blanks around them, each once, empty ones left out.
    pub(super) fn values(&self, field: &str) -> Vec<&str> {
        let mut known = HashSet::new();
        let all = self.fields.get(field).iter();
        all.map(|value| value.trim())
            .filter(|value| !value.is_empty() && known.insert(*value))
            .collect()
    }

    pub(super) fn names(&self) -> String {
        let names = self.fields.iter().map(|(name, _)| name);
        let names: Vec<&str> = names.filter(|name| !name.starts_with('_')).collect();
        quoted(&names.join(", "))
    }
}

/// The values of one field. What is neither text nor number nor truth is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Values(Vec<String>);

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => serializer.serialize_str(one),
            several => serializer.collect_seq(several),
        }
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValuesVisitor { nested: false })
    }
}

/// One of several values: itself, if it is no list or object.
struct Nested(Option<String>);

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Values(mut values) = from.deserialize_any(ValuesVisitor { nested: true })?;
        Ok(Self(values.pop()))
    }
}

struct ValuesVisitor {
    nested: bool,
}

impl ValuesVisitor {
    fn one(value: impl Into<serde_json::Value>) -> Values {
        Values(match value.into() {
            serde_json::Value::Null => Vec::new(),
            serde_json::Value::String(text) => vec![text],
            other => vec![other.to_string()],
        })
    }
}

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Values, E> {
        Ok(Self::one(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Values, E> {
        Ok(Self::one(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Values, E> {
        Ok(Self::one(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Values, E> {
        Ok(Self::one(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Values, E> {
        Ok(Self::one(value))
    }

    fn visit_unit<E>(self) -> Result<Values, E> {
        Ok(Values::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Values, A::Error> {
        let mut values = Vec::new();
        if self.nested {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Values(values));
        }
        while let Some(Nested(value)) = list.next_element()? {
            values.extend(value);
        }
        Ok(Values(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Values::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(json: &Value) -> Row {
        serde_json::from_value(json.clone()).unwrap()
    }

    #[test]
    fn a_row_in_json_says_each_field_once_or_as_a_list() {
        let json = json!({
            "id": 7, "tags": ["a", "b", null, ["c"], {"d": 1}], "x": null, "y": {"z": 1},
            "no": false, "part": 1.5, "one": ["e"]
        });
        let row = read(&json);
        let values = |values: &[&str]| values.iter().map(ToString::to_string).collect();
        let expected = Row::new([
            ("id".to_owned(), values(&["7"])),
            ("tags".to_owned(), values(&["a", "b"])),
            ("x".to_owned(), Vec::new()),
            ("y".to_owned(), Vec::new()),
            ("no".to_owned(), values(&["false"])),
            ("part".to_owned(), values(&["1.5"])),
            ("one".to_owned(), values(&["e"])),
        ]);
        assert_eq!(row, expected);
        assert_eq!(
            serde_json::to_value(&row).unwrap(),
            json!({
                "id": "7", "tags": ["a", "b"], "x": [], "y": [],
                "no": "false", "part": "1.5", "one": "e"
            })
        );
        assert!(serde_json::from_str::<Row>(r#"["id"]"#).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(|number| json!(number)),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map("[a-z]{1,3}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn text(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    proptest! {
        #[test]
        fn any_json_is_the_text_of_its_scalars_and_survives_the_way_there(value in any_json()) {
            let json = json!({"f": value}).to_string();
            // A number may be another one once it was text.
            let value = serde_json::from_str::<Value>(&json).unwrap()["f"].take();
            let expected: Vec<String> = match &value {
                Value::Array(values) => values.iter().filter_map(text).collect(),
                other => text(other).into_iter().collect(),
            };
            let row: Row = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(row.fields().get("f"), expected);
            let sent = serde_json::to_string(&row).unwrap();
            prop_assert_eq!(serde_json::from_str::<Row>(&sent).unwrap(), row);
        }
    }
}
