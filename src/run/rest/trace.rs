//! Each reading with splunkd's own key leaves a line in the log, whoever the caller,
//! whatever the result, at every log level.

use crate::host::log;
use sha2::{Digest as _, Sha256};
use std::fmt::{Arguments, Write as _};

/// Characters of a query, or of ids, in the line; a longer text also leaves its hash.
const LONGEST: usize = 800;
/// Characters of a name in the line.
const NAME: usize = 100;

/// The line of one reading.
pub struct Trace {
    who: String,
    what: String,
    /// How many rows were read, if any.
    pub rows: Option<usize>,
    /// Microsoft's `request-id`.
    pub request_id: Option<String>,
}

impl Trace {
    /// `what`: the name of the question, and the query or ids themselves.
    pub fn of(route: &str, user: &str, account: &str, [name, text]: [&str; 2]) -> Self {
        let who = format!(
            "lookup route={route} user={} account={}",
            quoted(user, NAME),
            quoted(account, NAME)
        );
        let mut what = String::new();
        if text.chars().nth(LONGEST).is_some() {
            let hash = Sha256::digest(text.as_bytes());
            append(
                &mut what,
                format_args!(" {name}_bytes={} {name}_sha256=", text.len()),
            );
            for byte in hash {
                append(&mut what, format_args!("{byte:02x}"));
            }
        }
        if !text.is_empty() {
            append(&mut what, format_args!(" {name}={}", quoted(text, LONGEST)));
        }
        Self {
            who,
            what,
            rows: None,
            request_id: None,
        }
    }

    /// Writes the line, with the status of the answer.
    pub fn end(&self, status: u16) {
        tracing::info!(target: log::TRACE, "{}", self.line(status));
    }

    fn line(&self, status: u16) -> String {
        let mut line = format!("{} status={status}", self.who);
        if let Some(rows) = self.rows {
            append(&mut line, format_args!(" rows={rows}"));
        }
        if let Some(id) = &self.request_id {
            append(&mut line, format_args!(" request_id={}", quoted(id, NAME)));
        }
        line.push_str(&self.what);
        line
    }
}

fn append(line: &mut String, words: Arguments<'_>) {
    // Writing to a string cannot fail.
    line.write_fmt(words).ok();
}

/// A quoted text, so that it can end neither its value nor the line.
fn quoted(text: &str, most: usize) -> String {
    let short: String = text.chars().take(most).collect();
    serde_json::Value::from(short).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_says_who_read_what_and_how_much() {
        let query = ["query", "T | where a == \"b\"\n| take 5"];
        let mut trace = Trace::of("hunt", "ann", "contoso", query);
        trace.rows = Some(5);
        trace.request_id = Some("r-1".to_owned());
        assert_eq!(
            trace.line(200),
            r#"lookup route=hunt user="ann" account="contoso" status=200 rows=5 request_id="r-1" query="T | where a == \"b\"\n| take 5""#
        );
        assert_eq!(
            Trace::of("check", "a\" user=\"root", "x", ["", ""]).line(502),
            r#"lookup route=check user="a\" user=\"root" account="x" status=502"#
        );
    }

    #[test]
    fn what_is_cut_is_told_by_its_length_and_hash() {
        let line = |text: &str| Trace::of("hunt", "ann", "a", ["query", text]).line(200);
        let whole = "x".repeat(LONGEST);
        assert!(!line(&whole).contains("sha256"));
        let cut = line(&format!("{whole}y"));
        assert!(cut.contains(" query_bytes=801 query_sha256="), "{cut}");
        assert_ne!(cut, line(&format!("{whole}z")));
    }

    proptest! {
        #[test]
        fn any_words_leave_one_line_of_a_log(user: String, account: String, text in ".{0,2000}") {
            let line = Trace::of("live", &user, &account, ["ids", &text]).line(200);
            prop_assert!(!line.contains(['\n', '\r']));
            prop_assert!(line.len() < 7_500);
            prop_assert!(line.contains(" status=200"));
        }
    }
}
