//! How a row ended, as those who asked are told of it: straight from the
//! ledger, or out of the REST endpoint's answer.

use crate::splunk::splunkd::SplunkdError;
use crate::triage::{Entry, Field, Outcome, State};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// As much of a ledger's entry as is told.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RowResult {
    /// Counted from the run's first one.
    pub row: usize,
    #[serde(deserialize_with = "outcome")]
    pub outcome: Outcome,
    pub message: String,
    #[serde(default)]
    pub target: Option<String>,
    #[serde(default)]
    pub changed: Vec<Value>,
    #[serde(default)]
    pub before: Option<Value>,
    #[serde(default)]
    pub after: Option<Value>,
    #[serde(default)]
    pub verified: Option<bool>,
    #[serde(default)]
    pub request_id: Option<String>,
}

impl RowResult {
    /// A row of which nothing more is known.
    #[cfg(test)]
    pub fn failed(row: usize, message: impl Into<String>) -> Self {
        Self {
            row,
            outcome: Outcome::Failed,
            message: message.into(),
            target: None,
            changed: Vec::new(),
            before: None,
            after: None,
            verified: None,
            request_id: None,
        }
    }
}

impl From<&Entry> for RowResult {
    fn from(entry: &Entry) -> Self {
        fn json(part: &impl Serialize) -> Option<Value> {
            serde_json::to_value(part).ok()
        }
        let state = |state: &Option<State>| state.as_ref().and_then(json);
        Self {
            row: entry.row,
            outcome: entry.outcome,
            message: entry.message.clone(),
            target: entry.target.clone(),
            changed: entry
                .changed
                .iter()
                .filter_map(|field: &Field| json(field))
                .collect(),
            before: state(&entry.before),
            after: state(&entry.after),
            verified: entry.verified,
            request_id: entry.request_id.clone(),
        }
    }
}

/// What the endpoint answers.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// One for each row it was given, in their order.
    #[serde(deserialize_with = "outcomes")]
    pub rows: Vec<Outcome>,
    pub outcomes: Vec<RowResult>,
    /// Numbers of the rows that were not begun.
    #[serde(default)]
    pub deferred_rows: Vec<usize>,
    /// What these rows left behind, for those that come after them.
    #[serde(default)]
    pub carry_over: Option<String>,
}

impl Answer {
    /// # Errors
    /// If it is none about so many rows.
    pub fn read(json: &[u8], rows: usize) -> Result<Self, SplunkdError> {
        let read = serde_json::from_slice::<Self>(json).ok();
        read.filter(|answer| answer.rows.len() == rows)
            .ok_or_else(|| SplunkdError::Unintelligible {
                what: "carry out a triage".to_owned(),
                why: "it is no list of outcomes",
            })
    }
}

/// A word this version does not know is no good news.
fn known(word: &str) -> Outcome {
    let known = Outcome::ALL.into_iter().find(|one| one.as_str() == word);
    known.unwrap_or(Outcome::Failed)
}

fn outcome<'de, D: Deserializer<'de>>(from: D) -> Result<Outcome, D::Error> {
    String::deserialize(from).map(|word| known(&word))
}

fn outcomes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Outcome>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    Ok(words.iter().map(|word| known(word)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_of_a_later_version_is_no_good_news() {
        let answer = Answer::read(
            br#"{"summary":"x","rows":["updated","enlightened"],
                 "outcomes":[{"row":2,"outcome":"enlightened","message":"m","new":1}]}"#,
            2,
        )
        .unwrap();
        assert_eq!(answer.rows, [Outcome::Updated, Outcome::Failed]);
        assert_eq!(answer.outcomes, [RowResult::failed(2, "m")]);
        assert!(Answer::read(b"<response/>", 0).is_err());
        let short = br#"{"rows":["updated"],"outcomes":[]}"#;
        assert!(Answer::read(short, 2).is_err());
    }
}
