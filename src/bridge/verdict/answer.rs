//! What the app's REST endpoint answers to a job: written by the endpoint, read by
//! whoever sent the job there.

use crate::splunk::splunkd::SplunkdError;
use crate::triage::{Entry, Outcome};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;

/// `E` is an entry of the ledger, or its JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer<E> {
    #[serde(default)]
    pub summary: String,
    /// One for each row of the job, in their order.
    #[serde(deserialize_with = "outcomes")]
    pub rows: Vec<Outcome>,
    pub outcomes: Vec<E>,
    /// Numbers of the rows that were not begun.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub deferred_rows: BTreeSet<usize>,
    /// What these rows left behind, for the rows that come after them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carry_over: Option<String>,
}

impl Answer<Entry> {
    /// # Errors
    /// If the text is no answer about so many rows.
    pub fn read(json: &[u8], rows: usize) -> Result<Self, SplunkdError> {
        let read = serde_json::from_slice::<Self>(json).ok();
        read.filter(|answer| answer.rows.len() == rows)
            .ok_or_else(|| SplunkdError::Unintelligible {
                what: "carry out a triage".to_owned(),
                why: "it is no list of outcomes",
            })
    }
}

fn outcomes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Outcome>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    Ok(words.iter().map(|word| Outcome::of(word)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::verdict::job::Job;
    use crate::triage::{Fields, State, Subject, Via};
    use serde_json::{Value, json};

    fn entry() -> Entry {
        let job = Job::new("queue", Subject::Alert, Fields::default());
        Entry {
            row: 2,
            after: Some(State::default()),
            ..job.refused("ann", Via::Rest, Outcome::Updated, "done")
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let entry = entry();
        let written = serde_json::to_vec(&Answer {
            summary: "1 row: 1 updated".to_owned(),
            rows: vec![Outcome::Updated],
            outcomes: vec![entry.clone()],
            deferred_rows: BTreeSet::from([3]),
            carry_over: Some("sealed".to_owned()),
        });
        let written = written.unwrap();
        let read = Answer::read(&written, 1).unwrap();
        assert_eq!(read.outcomes, [entry]);
        assert_eq!(serde_json::to_vec(&read).unwrap(), written);
        assert!(Answer::read(&written, 2).is_err());
        assert!(Answer::read(b"<response/>", 0).is_err());
    }

    #[test]
    fn an_outcome_of_a_later_version_is_no_good_news() {
        let mut entry: Value = serde_json::to_value(entry()).unwrap();
        entry["outcome"] = json!("enlightened");
        entry["new"] = json!(1);
        let answer =
            json!({"summary": "x", "rows": ["updated", "enlightened"], "outcomes": [entry]});
        let answer = Answer::read(&serde_json::to_vec(&answer).unwrap(), 2).unwrap();
        assert_eq!(answer.rows, [Outcome::Updated, Outcome::Failed]);
        assert_eq!(answer.outcomes[0].outcome, Outcome::Failed);
        assert_eq!(
            (answer.outcomes[0].row, &*answer.outcomes[0].message),
            (2, "done")
        );
    }
}
