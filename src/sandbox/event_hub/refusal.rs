//! Why the hub says no, as an error of the protocol.

use fe2o3_amqp::types::definitions::{self, ErrorCondition, Fields};
use fe2o3_amqp::types::primitives::{Symbol, Value};

use crate::sandbox::tenant::instant::Ticks;

pub(super) const BUSY: &str = "com.microsoft:server-busy";
pub(super) const NOT_FOUND: &str = "amqp:not-found";
pub(super) const STOLEN: &str = "amqp:link:stolen";
pub(super) const UNAUTHORIZED: &str = "amqp:unauthorized-access";

/// A condition and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) condition: String,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(condition: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            condition: condition.into(),
            text: text.into(),
        }
    }

    pub(super) fn argument(text: impl Into<String>) -> Self {
        Self::new("com.microsoft:argument-error", text)
    }

    pub(super) fn not_found(name: &str) -> Self {
        let text = format!("The messaging entity '{name}' could not be found.");
        Self::new(NOT_FOUND, text)
    }

    pub(super) fn error(&self) -> definitions::Error {
        // Microsoft's Python client looks for the last field of an error.
        let mut info = Fields::new();
        info.insert(
            Symbol::from("com.microsoft:tracking-id"),
            Value::String(uuid::Uuid::new_v4().to_string()),
        );
        definitions::Error::new(
            ErrorCondition::Custom(Symbol::from(self.condition.as_str())),
            format!("{} Timestamp:{}", self.text, Ticks::now()),
            info,
        )
    }
}
