//! Advanced hunting: one KQL query through Microsoft Graph (`security:
//! runHuntingQuery`), its answer as columns and rows.
//!
//! For enrichment and gap checks; never a feed: the answer ends at a number of
//! rows without a word.

use crate::microsoft::account::Account;
use crate::microsoft::client::Client;
use crate::microsoft::http::error::{Error, line};
use crate::microsoft::http::lenient_json::{Members, lenient};
use crate::triage::Api;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// Most rows of an answer; Microsoft leaves out the others in silence.
pub const MOST_ROWS: usize = 100_000;

/// How far Defender's own tables reach back.
pub const MOST_DAYS: i32 = 30;

/// Application permission for hunting.
pub const PERMISSION: &str = "ThreatHunting.Read.All";

const PATH: &str = "/v1.0/security/runHuntingQuery";

/// A query may run for three minutes, and nothing comes before it ends.
const SILENCE: Duration = Duration::from_secs(200);

/// Why a query brought no rows.
#[derive(Debug, thiserror::Error)]
pub enum HuntError {
    #[error("query is empty: write KQL, such as query=\"AlertInfo | take 10\"")]
    NoQuery,
    #[error(
        "timespan \"{0}\" is no ISO 8601 duration or interval: write such as P7D, PT12H or 2026-01-01T00:00:00Z/2026-01-02T00:00:00Z"
    )]
    Timespan(String),
    #[error("the query cannot be sent: {}", line(&.0.to_string()))]
    Unsendable(serde_json::Error),
    /// The service refuses the query, in its own words.
    #[error("the query was refused: {message}{}", request_id.as_deref().map(|id| format!(" (request-id {id})")).unwrap_or_default())]
    Query {
        message: String,
        request_id: Option<String>,
    },
    #[error("{error}; {}", forbidden())]
    Forbidden { error: Box<Error> },
    #[error("{error}{}", .error.advice().map(|advice| format!("; {advice}")).unwrap_or_default())]
    Call { error: Box<Error> },
    #[error(
        "the answer cannot be read ({}); narrow the query and try again{}",
        line(&error.to_string()),
        request_id.as_deref().map(|id| format!(" (request-id {id})")).unwrap_or_default()
    )]
    Unreadable {
        error: serde_json::Error,
        request_id: Option<String>,
    },
}

fn forbidden() -> String {
    format!(
        "grant the app the application permission {PERMISSION} of \"Microsoft Graph\" with admin consent"
    )
}

/// Asks one account.
#[derive(Debug)]
pub struct Hunter {
    client: Client,
}

/// A query that may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunt {
    body: String,
    beyond: bool,
}

impl Hunt {
    /// # Errors
    /// If query or time span cannot be meant so.
    pub fn new(query: &str, timespan: Option<&str>) -> Result<Self, HuntError> {
        if query.trim().is_empty() {
            return Err(HuntError::NoQuery);
        }
        let mut beyond = false;
        if let Some(text) = timespan {
            let span = Span::parse(text).ok_or_else(|| {
                HuntError::Timespan(text.chars().take(80).flat_map(char::escape_debug).collect())
            })?;
            beyond = span.beyond();
        }
        let asked = Asked { query, timespan };
        Ok(Self {
            body: serde_json::to_string(&asked).map_err(HuntError::Unsendable)?,
            beyond,
        })
    }

    /// Whether the time span is longer than Defender's own tables reach back.
    pub fn beyond(&self) -> bool {
        self.beyond
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Asked<'a> {
    query: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timespan: Option<&'a str>,
}

/// As ISO 8601 writes it.
enum Span {
    Duration(jiff::Span),
    Interval,
}

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let duration = |text: &str| {
            let positive = text.starts_with(['P', 'p']);
            let span = positive.then(|| text.parse::<jiff::Span>().ok())??;
            span.is_positive().then_some(span)
        };
        let instant = |text: &str| text.parse::<jiff::Timestamp>().ok();
        match text.split_once('/') {
            None => duration(text).map(Self::Duration),
            Some((from, to)) => {
                let right = match (instant(from), instant(to)) {
                    (Some(from), Some(to)) => from < to,
                    (Some(_), None) => duration(to).is_some(),
                    (None, Some(_)) => duration(from).is_some(),
                    (None, None) => false,
                };
                right.then_some(Self::Interval)
            }
        }
    }

    fn beyond(&self) -> bool {
        let Self::Duration(span) = self else {
            return false;
        };
        let most = jiff::Span::new().days(MOST_DAYS);
        // A month or a year has no fixed length, and is no shorter.
        span.compare((most, jiff::SpanRelativeTo::days_are_24_hours()))
            .map_or(true, std::cmp::Ordering::is_gt)
    }
}

impl Hunter {
    /// Asks through Microsoft Graph. `state_dir` as for [`Client::new`].
    ///
    /// # Errors
    /// If a setting of the account cannot be used.
    pub fn new(account: &Account, state_dir: Option<&Path>) -> Result<Self, Error> {
        let client = Client::with_silence(account, Api::Graph, state_dir, SILENCE)?;
        Ok(Self { client })
    }

    /// Runs the query and hands back the answer's bytes, for [`Found::read`].
    ///
    /// # Errors
    /// As Microsoft words it, where the query itself is wrong.
    pub async fn run(&self, hunt: &Hunt) -> Result<Answered, HuntError> {
        let answer = self
            .client
            .query(PATH, &hunt.body)
            .await
            .map_err(HuntError::of)?;
        Ok(Answered {
            request_id: answer.request_id,
            ..Answered::relayed(answer.body, answer.warning)
        })
    }
}

impl HuntError {
    fn of(error: Error) -> Self {
        let error = Box::new(error);
        match error.as_ref() {
            Error::Service {
                status: 400,
                message,
                request_id,
                ..
            } => Self::Query {
                message: message.clone(),
                request_id: request_id.clone(),
            },
            Error::Service {
                status: 401 | 403, ..
            } => Self::Forbidden { error },
            _ => Self::Call { error },
        }
    }
}

/// An answer not yet looked at.
#[derive(Debug)]
pub struct Answered {
    body: Vec<u8>,
    request_id: Option<String>,
    /// Microsoft's word that the answer may be partial.
    pub warning: Option<String>,
}

/// An answer's columns and rows; the rows stay text until one is asked for.
#[derive(Debug)]
pub struct Found<'a> {
    pub columns: Vec<Column>,
    rows: Vec<&'a RawValue>,
}

/// A column and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub holds: Holds,
}

/// What the cells of a column are, as far as it matters to a table of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Time,
    /// Kusto calls it SByte.
    Truth,
    Number,
    Text,
    /// Lists and objects.
    Dynamic,
}

impl Answered {
    /// An answer another process asked for.
    pub fn relayed(body: Vec<u8>, warning: Option<String>) -> Self {
        let mended = match lenient(&body) {
            Cow::Borrowed(text) if text.len() == body.len() => None,
            text => Some(text.into_owned().into_bytes()),
        };
        Self {
            body: mended.unwrap_or(body),
            request_id: None,
            warning,
        }
    }

    /// By which Microsoft finds it again.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Microsoft's JSON; characters that were cut in half are U+FFFD.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl<'a> Found<'a> {
    /// Reads the answer.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(answer: &'a Answered) -> Result<Self, HuntError> {
        let unreadable = |error| HuntError::Unreadable {
            error,
            request_id: answer.request_id.clone(),
        };
        let body = std::str::from_utf8(answer.body()).unwrap_or_default();
        let document = Members::read(body).map_err(unreadable)?;
        // Their names differ in case from answer to answer.
        let listed = |names: [&str; 2]| {
            let list = names.iter().find_map(|name| document.get(name));
            let list = list.filter(|list| list.get() != "null");
            let list = list.map(|list| serde_json::from_str::<Vec<&'a RawValue>>(list.get()));
            list.transpose().map(Option::unwrap_or_default)
        };
        let columns = listed(["schema", "Schema"]).map_err(unreadable)?;
        Ok(Self {
            columns: columns.into_iter().filter_map(Column::read).collect(),
            rows: listed(["results", "Results"]).map_err(unreadable)?,
        })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there may have been more.
    pub fn is_cut(&self) -> bool {
        self.rows.len() >= MOST_ROWS
    }

    /// The cells of each row in the columns' order, each with no value, one or several.
    pub fn rows(&self) -> impl Iterator<Item = Vec<Vec<String>>> {
        self.rows.iter().map(|row| {
            let row = Members::read(row.get()).unwrap_or_default();
            let members: HashMap<&str, &RawValue> = row.iter().collect();
            self.columns
                .iter()
                .map(|column| match members.get(column.name.as_str()) {
                    Some(value) => cell(value.get(), column.holds),
                    None => Vec::new(),
                })
                .collect()
        })
    }
}

impl Column {
    /// None where it has no name.
    fn read(described: &RawValue) -> Option<Self> {
        let members = Members::read(described.get()).ok()?;
        let text = |names: [&str; 2]| names.iter().find_map(|name| members.text(name));
        let word = text(["type", "Type"]).unwrap_or_default();
        let word = word.to_ascii_lowercase();
        let holds = match word.strip_prefix("system.").unwrap_or(&word) {
            "datetime" | "datetimeoffset" | "date" => Holds::Time,
            "sbyte" | "bool" | "boolean" => Holds::Truth,
            "int" | "int16" | "int32" | "int64" | "long" | "real" | "double" | "single"
            | "decimal" | "sqldecimal" | "byte" => Holds::Number,
            "dynamic" | "object" => Holds::Dynamic,
            _ => Holds::Text,
        };
        Some(Self {
            name: text(["name", "Name"])?,
            holds,
        })
    }
}

/// A number keeps its digits, a list of plain values becomes several values,
/// anything deeper stays JSON.
fn cell(json: &str, holds: Holds) -> Vec<String> {
    match json.as_bytes().first() {
        None | Some(b'n') => Vec::new(),
        Some(b't') => vec![truth(true, holds)],
        Some(b'f') => vec![truth(false, holds)],
        Some(b'"') => match serde_json::from_str::<String>(json) {
            Ok(text) if text.is_empty() => Vec::new(),
            Ok(text) => vec![text],
            Err(_) => vec![json.to_owned()],
        },
        Some(b'[') => list(json).unwrap_or_else(|| vec![json.to_owned()]),
        Some(_) => vec![json.to_owned()],
    }
}

/// Splunk's way of writing a truth, and Kusto's for a column of them.
fn truth(value: bool, holds: Holds) -> String {
    match (holds, value) {
        (Holds::Truth, true) => "1",
        (Holds::Truth, false) => "0",
        (_, true) => "true",
        (_, false) => "false",
    }
    .to_owned()
}

fn list(json: &str) -> Option<Vec<String>> {
    let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    let plain = |element: &&RawValue| !element.get().starts_with(['[', '{']);
    elements.iter().all(plain).then(|| {
        elements
            .iter()
            .flat_map(|element| cell(element.get(), Holds::Dynamic))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::microsoft::tests::tenant::{Reply, Tenant};
    use serde_json::json;

    fn answered(body: impl AsRef<[u8]>) -> Answered {
        Answered {
            request_id: Some("r-1".to_owned()),
            ..Answered::relayed(body.as_ref().to_vec(), None)
        }
    }

    const ANSWER: &str = r##"{"@odata.context":"x","schema":[{"name":"Timestamp","type":"DateTime"},{"Name":"FileName","Type":"String"},{"name":"n","type":"Int64"},{"name":"IsRemote","type":"SByte"},{"name":"set_","type":"Object"},{"name":"bag","type":"Dynamic"}],
      "results":[{"Timestamp@odata.type":"#DateTime","Timestamp":"2026-01-01T00:00:00.1234567Z","FileName":"a \"b\"\nc","n":12345678901234567890,"IsRemote":true,"set_":["x",1,null],"bag":{"k": [1]}},
                 {"FileName":"","n":1.50,"IsRemote":0,"set_":[],"bag":[{"a":1}],"other":1},
                 {}, 7]}"##;

    #[test]
    fn columns_are_the_schemas_and_cells_keep_their_digits() {
        let answer = answered(ANSWER);
        let found = Found::read(&answer).unwrap();
        let holds: Vec<_> = found.columns.iter().map(|column| column.holds).collect();
        assert_eq!(
            holds,
            [
                Holds::Time,
                Holds::Text,
                Holds::Number,
                Holds::Truth,
                Holds::Dynamic,
                Holds::Dynamic
            ]
        );
        let rows: Vec<String> = found.rows().map(|row| format!("{row:?}")).collect();
        insta::assert_snapshot!(rows.join("\n"), @r#"
        [["2026-01-01T00:00:00.1234567Z"], ["a \"b\"\nc"], ["12345678901234567890"], ["1"], ["x", "1"], ["{\"k\": [1]}"]]
        [[], [], ["1.50"], ["0"], [], ["[{\"a\":1}]"]]
        [[], [], [], [], [], []]
        [[], [], [], [], [], []]
        "#);
    }

    #[test]
    fn the_limit_of_rows_is_noticed() {
        let rows = vec!["{}"; MOST_ROWS].join(",");
        let answer = answered(format!(r#"{{"schema":[],"results":[{rows}]}}"#));
        assert!(Found::read(&answer).unwrap().is_cut());
        assert!(!Found::read(&answered("{}")).unwrap().is_cut());
    }

    #[test]
    fn what_is_null_or_odd_in_an_answer_hides_no_row() {
        for body in [
            r#"{"schema":null,"results":null}"#,
            r#"{"schema":[{"name":"a"}],"results":null}"#,
            r#"{"Results":null}"#,
            "{}",
        ] {
            assert_eq!(Found::read(&answered(body)).unwrap().len(), 0, "{body}");
        }
        let odd = r#"{"schema":[{"name":"a"},{"name":null},null,{"name":"b"}],"@x":"\ud83d",
            "results":[{"a":"cut \ud83d","b":1,"b":2,"\udc00":0}]}"#;
        let answer = answered(odd);
        let rows: Vec<_> = Found::read(&answer).unwrap().rows().collect();
        assert_eq!(rows, [[["cut \u{fffd}"], ["2"]]]);
        let long = format!(r#"{{"results":"{}"}}"#, "x".repeat(1 << 20));
        let refusal = Found::read(&answered(long)).unwrap_err().to_string();
        assert!(refusal.len() < 1000, "{}", refusal.len());
    }

    #[test]
    fn a_time_span_is_a_duration_or_an_interval() {
        for (text, beyond) in [
            ("P7D", false),
            ("PT12H", false),
            ("P30D", false),
            ("P31D", true),
            ("P5W", true),
            ("2026-01-01T00:00:00Z/2026-01-02T00:00:00Z", false),
            ("2026-01-01T00:00:00Z/P1D", false),
            ("P1D/2026-01-01T00:00:00Z", false),
        ] {
            let hunt = Hunt::new("T", Some(text)).unwrap();
            assert_eq!(hunt.beyond(), beyond, "{text}");
        }
        for text in [
            "",
            "7d",
            "P",
            "-P7D",
            "P0D",
            "P7D/P1D",
            "2026-01-02T00:00:00Z/2026-01-01T00:00:00Z",
            "x\n",
        ] {
            let refusal = Hunt::new("T", Some(text)).unwrap_err().to_string();
            assert!(
                refusal.contains("ISO 8601") && !refusal.contains('\n'),
                "{text}"
            );
        }
        assert!(matches!(Hunt::new(" \n", None), Err(HuntError::NoQuery)));
    }

    async fn hunter(tenant: &Tenant) -> Hunter {
        let client = tenant.client(Api::Graph).await;
        Hunter { client }
    }

    #[tokio::test]
    async fn a_query_is_sent_as_it_is_also_through_an_account_that_must_not_write() {
        let tenant = Tenant::start(|_| Reply::text(200, ANSWER)).await;
        let account = Account {
            read_only: true,
            ..tenant.account()
        };
        let hunter = Hunter::new(&account, None).unwrap();
        let hunt = Hunt::new("T | where x == \"é\"", Some("P7D")).unwrap();
        let answer = hunter.run(&hunt).await.unwrap();
        assert_eq!(Found::read(&answer).unwrap().len(), 4);
        let call = &tenant.calls()[0];
        assert_eq!(
            (call.method.as_str(), call.target.as_str()),
            ("POST", "/v1.0/security/runHuntingQuery")
        );
        assert_eq!(
            call.body,
            json!({"Query": "T | where x == \"é\"", "Timespan": "P7D"})
        );
    }

    #[tokio::test]
    async fn refusals_are_in_microsofts_words_and_no_query_runs_twice() {
        for (status, code) in [
            (400, "BadRequest"),
            (403, "Forbidden"),
            (500, "InternalServerError"),
        ] {
            let tenant = Tenant::start(move |_| {
                Reply::error(status, code, "Semantic error SEM0100: 'x' is not known")
            })
            .await;
            let hunt = Hunt::new("T", None).unwrap();
            let error = hunter(&tenant).await.run(&hunt).await.unwrap_err();
            let said = error.to_string();
            assert!(said.contains("Semantic error SEM0100"), "{said}");
            assert_eq!(said.contains(PERMISSION), status == 403, "{said}");
            assert_eq!(tenant.calls().len(), 1, "{status}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_refused(body: Vec<u8>, text in "[\\[\\]{}:,\"a-z0-9]{0,60}") {
            let rows = format!(r#"{{"schema":[{{"name":"a"}}],"results":[{text}]}}"#);
            for answer in [answered(&body), answered(rows)] {
                if let Ok(found) = Found::read(&answer) {
                    found.rows().for_each(drop);
                }
            }
        }
    }
}
