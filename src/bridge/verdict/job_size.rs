//! Counts the rows and values of a job in its JSON, before anything is built of them.

use crate::bridge::verdict::job::{Job, JobError};
use crate::triage::Subject;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Most values of a row on average.
const VALUES: usize = 20;

/// A job without its rows, and how many rows and values it has.
#[derive(Deserialize)]
pub struct Outline {
    action: String,
    subject: Subject,
    batch: Option<String>,
    sid: Option<String>,
    search_name: Option<String>,
    alert_user: Option<String>,
    #[serde(default)]
    form: Nodes,
    #[serde(default)]
    numbers: Nodes,
    rows: Rows,
}

impl Outline {
    /// The job of no rows.
    pub fn called(&self) -> Job {
        Job {
            batch: self.batch.clone(),
            sid: self.sid.clone(),
            search_name: self.search_name.clone(),
            alert_user: self.alert_user.clone(),
            ..Job::new(&self.action, self.subject, Default::default())
        }
    }

    /// # Errors
    /// If the job has too many rows or values.
    pub const fn bounded(&self, most: usize) -> Result<(), JobError> {
        if self.rows.count > most {
            let rows = self.rows.count;
            return Err(JobError::TooManyRows { rows, most });
        }
        let nodes = self.rows.nodes.saturating_add(self.form.0);
        let nodes = nodes.saturating_add(self.numbers.0);
        let most = most.saturating_mul(VALUES);
        if nodes > most {
            return Err(JobError::TooManyValues { nodes, most });
        }
        Ok(())
    }
}

/// Reads a list of at most so many elements, and never keeps one more in memory.
///
/// # Errors
/// If there are more.
pub fn at_most<'de, const MOST: usize, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Few<const MOST: usize, T>(PhantomData<T>);
    impl<'de, const MOST: usize, T: Deserialize<'de>> Visitor<'de> for Few<MOST, T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of {MOST} at most")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = list.next_element()? {
                if all.len() >= MOST {
                    return Err(A::Error::invalid_length(MOST + 1, &self));
                }
                all.push(one);
            }
            Ok(all)
        }
    }
    from.deserialize_seq(Few::<MOST, T>(PhantomData))
}

/// How many rows there are, and how many values in all of them.
struct Rows {
    count: usize,
    nodes: usize,
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Rows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rows")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rows, A::Error> {
                let mut rows = Rows { count: 0, nodes: 0 };
                while let Some(Nodes(nodes)) = list.next_element()? {
                    rows.count += 1;
                    rows.nodes = rows.nodes.saturating_add(nodes);
                }
                Ok(rows)
            }
        }
        from.deserialize_seq(List)
    }
}

/// How many values a JSON value is made of, itself among them.
#[derive(Default)]
struct Nodes(usize);

impl<'de> Deserialize<'de> for Nodes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Nodes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON")
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Nodes, E> {
                Ok(Nodes(1))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Nodes, E> {
                Ok(Nodes(1))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Nodes, E> {
                Ok(Nodes(1))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Nodes, E> {
                Ok(Nodes(1))
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Nodes, E> {
                Ok(Nodes(1))
            }

            fn visit_unit<E: Error>(self) -> Result<Nodes, E> {
                Ok(Nodes(1))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Nodes, A::Error> {
                let mut all = 1_usize;
                while let Some(Nodes(nodes)) = list.next_element()? {
                    all = all.saturating_add(nodes);
                }
                Ok(Nodes(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Nodes, A::Error> {
                let mut all = 1_usize;
                while let Some((IgnoredAny, Nodes(nodes))) = map.next_entry()? {
                    all = all.saturating_add(nodes);
                }
                Ok(Nodes(all))
            }
        }
        from.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn outline(rows: &str) -> Outline {
        let json = format!(r#"{{"action":"a","subject":"alert","rows":[{rows}],"seconds":1}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn rows_are_counted_before_any_is_built() {
        for count in [0, 1, 60_000, 400_000] {
            let rows = vec!["{}"; count].join(",");
            let outline = outline(&rows);
            assert_eq!(outline.rows.count, count);
            assert_eq!(outline.bounded(10_000).is_ok(), count <= 10_000);
        }
        // The outline does not grow with the rows.
        assert!(size_of::<Outline>() < 256);
    }

    #[test]
    fn few_rows_of_many_values_are_too_much_as_well() {
        let nested = format!("{{\"a\":{}1{}}}", "[".repeat(60), "]".repeat(60));
        assert_eq!(outline(&nested).rows.nodes, 62);
        let wide = format!("{{\"a\":[{}]}}", vec!["1"; 300_000].join(","));
        let refused = outline(&wide).bounded(10_000).unwrap_err();
        assert!(refused.is_too_much(), "{refused}");
    }

    #[test]
    fn a_list_is_read_no_further_than_it_may_be_long() {
        #[derive(Debug, Deserialize)]
        struct Asked {
            #[serde(deserialize_with = "at_most::<3, _, _>")]
            ids: Vec<String>,
        }
        let read = |json: &str| serde_json::from_str::<Asked>(json);
        assert_eq!(read(r#"{"ids":["a","b","c"]}"#).unwrap().ids.len(), 3);
        let error = read(r#"{"ids":["a","b","c","d", no json]}"#).unwrap_err();
        assert!(error.to_string().contains("a list of 3 at most"), "{error}");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(|number| json!(number)),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::hash_map("[a-z]{1,3}", inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn counted(value: &Value) -> usize {
        1 + match value {
            Value::Array(values) => values.iter().map(counted).sum(),
            Value::Object(members) => members.values().map(counted).sum(),
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn every_value_is_counted_once(value in any_json()) {
            let text = value.to_string();
            let Nodes(nodes) = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(nodes, counted(&value));
        }
    }
}
