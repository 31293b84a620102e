//! A row of a search's results, as text.

use crate::triage::vocabulary::quoted;
use std::collections::HashSet;

/// One row as it came, field by field, each with one value or more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Its number among all rows of its search, where these are a part of them.
    pub(super) number: Option<usize>,
    fields: Vec<(String, Vec<String>)>,
}

impl Row {
    pub fn new(fields: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        Self {
            number: None,
            fields: fields.into_iter().collect(),
        }
    }

    /// Counted from 1; no two rows of one call may have the same number.
    pub fn numbered(self, number: usize) -> Self {
        Self {
            number: Some(number),
            ..self
        }
    }

    /// A field's values without blanks around them, each once, empty ones left out.
    pub(super) fn values(&self, field: &str) -> Vec<&str> {
        let mut known = HashSet::new();
        let all = self.fields.iter().filter(|(name, _)| name == field);
        all.flat_map(|(_, values)| values)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty() && known.insert(*value))
            .collect()
    }

    pub(super) fn names(&self) -> String {
        let names = self.fields.iter().map(|(name, _)| name.as_str());
        let names: Vec<&str> = names.filter(|name| !name.starts_with('_')).collect();
        quoted(&names.join(", "))
    }
}
