//! What an alert action is handed on stdin (`payload_format = json`): one JSON
//! document up to the end of the stream, of which any part may be missing.

use crate::splunk::alert_action::results::{Results, ResultsError, Row};
use secrecy::SecretString;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A payload holds one row; only a row of absurd size comes near.
const LIMIT: u64 = 64 * 1024 * 1024;

/// Why a payload could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    #[error("the alert's payload on stdin cannot be read: {0}")]
    Unreadable(io::Error),
    #[error(
        "stdin held no payload: Splunk writes one when an alert fires; for use by hand see `defender_bridge --help`"
    )]
    Empty,
    #[error(
        "the payload on stdin is XML: the action's stanza in alert_actions.conf must say `payload_format = json`"
    )]
    Xml,
    /// Without the document's words: it holds a session key.
    #[error("the payload on stdin is no JSON object (line {line}, column {column})")]
    Malformed { line: usize, column: usize },
    #[error("the payload on stdin is larger than 64 MB")]
    TooLarge,
}

/// The payload; what Splunk left out or left empty is none.
#[derive(Debug, Default)]
pub struct Payload {
    pub app: Option<String>,
    pub owner: Option<String>,
    /// The user of an ad-hoc run.
    pub user: Option<String>,
    pub results_file: Option<PathBuf>,
    pub search_name: Option<String>,
    pub server_host: Option<String>,
    pub server_uri: Option<String>,
    pub session_key: Option<SecretString>,
    pub sid: Option<String>,
    /// Which row an alert that fires per result is about.
    pub result_id: Option<String>,
    /// `param.*` of the action, as the alert set them.
    pub configuration: BTreeMap<String, String>,
    /// The first row, or the one it is about.
    pub result: Row,
}

impl Payload {
    /// Reads to the end of the stream.
    pub fn read(from: impl Read) -> Result<Self, PayloadError> {
        let mut bytes = Vec::new();
        from.take(LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(PayloadError::Unreadable)?;
        if bytes.len() as u64 > LIMIT {
            return Err(PayloadError::TooLarge);
        }
        let json = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let json = json.trim_ascii();
        match json.first() {
            None => return Err(PayloadError::Empty),
            Some(b'<') => return Err(PayloadError::Xml),
            Some(_) => {}
        }
        // A list would be taken for nothing at all.
        if json.first() != Some(&b'{') {
            return Err(PayloadError::Malformed { line: 1, column: 1 });
        }
        let json = mended(json);
        match serde_json::from_str::<Members<'_>>(&json) {
            Ok(members) => Ok(Self::of(&members)),
            Err(error) => Err(PayloadError::Malformed {
                line: error.line(),
                column: error.column(),
            }),
        }
    }

    /// Whether the alert fires once per row. Older Splunk versions say so only
    /// through the folder of the results file.
    pub fn per_result(&self) -> bool {
        self.result_id.is_some() || self.per_result_file().is_some()
    }

    /// The number of the row in question.
    pub fn row_id(&self) -> Option<&str> {
        self.result_id.as_deref().or_else(|| {
            let stem = self.per_result_file()?.file_name()?.to_str()?;
            stem.strip_prefix("tmp_")?.split('.').next()
        })
    }

    fn per_result_file(&self) -> Option<&Path> {
        let file = self.results_file.as_deref()?;
        let folder = file.parent()?.file_name()?;
        (folder == "per_result_alert").then_some(file)
    }

    /// The rows to act on: for an alert that fires per result the one row it
    /// is about (its results file may hold all of them), else those of the
    /// results file, or, where there is none, the row in the payload.
    pub fn rows(&self) -> Result<Rows, ResultsError> {
        let file = self.results_file.as_deref().filter(|_| !self.per_result());
        match file.map(Results::open).transpose() {
            Ok(Some(results)) => Ok(Rows(Origin::File(Box::new(results)))),
            Ok(None) => Ok(self.own_row()),
            Err(error) if error.cause.kind() == io::ErrorKind::NotFound => Ok(self.own_row()),
            Err(error) => Err(error),
        }
    }

    fn own_row(&self) -> Rows {
        let row = Some(self.result.clone()).filter(|row| !row.is_empty());
        Rows(Origin::Payload(row))
    }
}

/// The rows an alert is about.
pub struct Rows(Origin);

enum Origin {
    File(Box<Results>),
    Payload(Option<Row>),
}

impl Rows {
    /// Whether these are all rows of the results file, not just the one in the payload.
    pub fn complete(&self) -> bool {
        matches!(self.0, Origin::File(_))
    }
}

impl Iterator for Rows {
    type Item = Result<Row, ResultsError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Origin::File(results) => results.next(),
            Origin::Payload(row) => row.take().map(Ok),
        }
    }
}

/// Members as they stand, each read only where it is wanted: what nobody wants
/// may be written in any way, and be nested as deep as it likes.
type Members<'j> = BTreeMap<String, &'j RawValue>;

impl Payload {
    fn of(members: &Members<'_>) -> Self {
        let text = |name: &str| {
            let value = members.get(name).and_then(|value| read(value))?;
            scalar(value).filter(|text| !text.is_empty())
        };
        Self {
            app: text("app"),
            owner: text("owner"),
            user: text("user"),
            results_file: text("results_file").map(PathBuf::from),
            search_name: text("search_name"),
            server_host: text("server_host"),
            server_uri: text("server_uri"),
            session_key: text("session_key").map(SecretString::from),
            sid: text("sid"),
            result_id: text("result_id"),
            configuration: object(members.get("configuration"))
                .filter_map(|(name, value)| Some((name, scalar(value)?)))
                .collect(),
            result: object(members.get("result"))
                .map(|(name, value)| (name, values(value)))
                .collect(),
        }
    }
}

/// The JSON of splunkd, who copies text of events into it, with what no reader
/// takes replaced: bytes that are no UTF-8, control characters, and halves of
/// surrogate pairs, which are left where a text was cut inside a character.
fn mended(json: &[u8]) -> String {
    let json = String::from_utf8_lossy(json);
    let mut whole = String::with_capacity(json.len());
    let mut rest = json.as_ref();
    while let Some(at) = rest.find(|c: char| c == '\\' || c < ' ') {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        whole.push_str(plain);
        let (taken, size) = match (unit(tail), tail.get(6..).and_then(unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (tail.get(..12), 12),
            (Some(0xD800..=0xDFFF), _) => (Some("\\ufffd"), 6),
            (Some(_), _) => (tail.get(..6), 6),
            (None, _) if tail.starts_with('\\') => {
                let next = tail.chars().nth(1).map_or(0, char::len_utf8);
                (tail.get(..=next), next + 1)
            }
            (None, _) => (Some(" "), 1),
        };
        whole.push_str(taken.unwrap_or_default());
        rest = tail.get(size..).unwrap_or_default();
    }
    whole.push_str(rest);
    whole
}

/// The code unit of an escape `\uXXXX` at the beginning.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u16::from_str_radix(digits, 16).ok())?
}

/// None if it is nested deeper than anybody's value.
fn read(value: &RawValue) -> Option<Value> {
    serde_json::from_str(value.get()).ok()
}

fn object(value: Option<&&RawValue>) -> impl Iterator<Item = (String, Value)> {
    let members = value.and_then(|value| serde_json::from_str::<Members<'_>>(value.get()).ok());
    let members = members.into_iter().flatten();
    members.filter_map(|(name, value)| Some((name, read(value)?)))
}

fn values(value: Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.into_iter().filter_map(scalar).collect(),
        single => scalar(single).into_iter().collect(),
    }
}

fn scalar(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;
    use std::io::Write;

    const PAYLOAD: &str = r#"{
        "app": "search", "owner": "admin",
        "results_file": "/opt/splunk/var/run/splunk/dispatch/s1/results.csv.gz",
        "results_link": "http://sh1:8000/app/search/@go?sid=s1",
        "search_uri": "/servicesNS/nobody/search/saved/searches/My+alert",
        "server_host": "sh1", "server_uri": "https://127.0.0.1:8089",
        "session_key": "top-secret", "sid": 1465593470.1228, "search_name": "",
        "configuration": {"status": "resolved", "api": "", "id": "$result.id$", "max": 5},
        "result": {"_time": "1", "alertId": ["a", "b"], "none": "", "n": 4},
        "unheard_of": {"x": []}
    }"#;

    fn payload(json: &str) -> Payload {
        Payload::read(json.as_bytes()).unwrap()
    }

    #[test]
    fn reads_what_splunk_hands_over() {
        let payload = payload(PAYLOAD);
        assert_eq!(payload.owner.as_deref(), Some("admin"));
        assert_eq!(payload.search_name, None);
        assert_eq!(payload.sid.as_deref(), Some("1465593470.1228"));
        assert_eq!(payload.session_key.unwrap().expose_secret(), "top-secret");
        assert_eq!(payload.result.get("n"), Some("4"));
        assert_eq!(payload.result.values("alertId"), ["a", "b"]);
        assert_eq!(payload.result.get("none"), None);
    }

    #[test]
    fn every_field_may_be_missing_or_of_another_kind() {
        for json in [
            "{}",
            "\u{FEFF} {} ",
            r#"{"configuration":null,"result":[],"sid":null}"#,
            r#"{"configuration":"","result":""}"#,
        ] {
            let payload = payload(json);
            assert!(payload.configuration.is_empty(), "{json}");
            assert_eq!(payload.rows().unwrap().count(), 0, "{json}");
        }
    }

    #[test]
    fn says_what_is_wrong_without_quoting_the_payload() {
        insta::assert_snapshot!(
            ["", " \n", "<alert/>", "[]", "{\"session_key\":\"top-secret\" x"]
                .map(|json| Payload::read(json.as_bytes()).unwrap_err().to_string())
                .join("\n"),
            @r"
        stdin held no payload: Splunk writes one when an alert fires; for use by hand see `defender_bridge --help`
        stdin held no payload: Splunk writes one when an alert fires; for use by hand see `defender_bridge --help`
        the payload on stdin is XML: the action's stanza in alert_actions.conf must say `payload_format = json`
        the payload on stdin is no JSON object (line 1, column 1)
        the payload on stdin is no JSON object (line 1, column 29)
        "
        );
        assert!(!format!("{:?}", payload(PAYLOAD)).contains("top-secret"));
    }

    fn rows(results_file: &Path, more: &str) -> (bool, Vec<String>) {
        let json = format!(
            r#"{{"results_file":{},"result":{{"id":"own"}}{more}}}"#,
            serde_json::to_string(results_file).unwrap()
        );
        let rows = payload(&json).rows().unwrap();
        let complete = rows.complete();
        let ids = rows.map(|row| row.unwrap().get("id").unwrap().to_owned());
        (complete, ids.collect())
    }

    #[test]
    fn rows_come_from_the_results_file_unless_the_alert_is_about_one_of_them() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"id\n1\n2\n").unwrap();
        let all = (true, vec!["1".to_owned(), "2".to_owned()]);
        let own = (false, vec!["own".to_owned()]);
        assert_eq!(rows(file.path(), ""), all);
        assert_eq!(rows(file.path(), r#","result_id":"0""#), own);
        assert_eq!(rows(Path::new("/nowhere/results.csv.gz"), ""), own);
    }

    #[test]
    fn a_results_file_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let json = serde_json::json!({"results_file": folder.path(), "result": {"id": "own"}});
        assert!(payload(&json.to_string()).rows().is_err());
    }

    #[test]
    fn text_nobody_needs_stops_nothing() {
        let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
        let odd: [&[u8]; 6] = [
            br#""cut \ud83d""#,
            br#""cut \ud83d and \udE00\ud83d\ude00 \\ud83d""#,
            b"\"odd \x8e byte\"",
            b"\"a raw \x01 and \x1b\n\"",
            deep.as_bytes(),
            br#"[null, {"a": "\udfff"}]"#,
        ];
        for text in odd {
            for name in ["title", "cut \\ud83d"] {
                let result = [
                    b"{\"",
                    name.as_bytes(),
                    b"\": ",
                    text,
                    b", \"id\": \"da1\"}",
                ]
                .concat();
                let json = [
                    br#"{"result": "#.as_slice(),
                    &result,
                    br#", "search_name": "#,
                    text,
                    br#", "session_key": "k", "server_uri": "https://x", "configuration": {"status": "resolved", "comment": "#,
                    text,
                    b"}}",
                ]
                .concat();
                let payload = Payload::read(json.as_slice()).unwrap();
                assert_eq!(payload.session_key.as_ref().unwrap().expose_secret(), "k");
                assert_eq!(payload.configuration["status"], "resolved");
                assert_eq!(payload.result.get("id"), Some("da1"));
            }
        }
        let pair = payload(r#"{"owner": "\ud83d\ude00 \ud83d\\"}"#);
        assert_eq!(pair.owner.as_deref(), Some("\u{1F600} \u{FFFD}\\"));
    }

    #[test]
    fn older_splunk_names_the_row_through_the_file() {
        let old = payload(r#"{"results_file":"/d/s1/per_result_alert/tmp_7.csv.gz"}"#);
        assert!(old.per_result());
        assert_eq!(old.row_id(), Some("7"));
        let new = payload(r#"{"results_file":"/d/s1/results.csv.gz","result_id":3}"#);
        assert_eq!(new.row_id(), Some("3"));
        let digest = payload(PAYLOAD);
        assert!(!digest.per_result());
        assert_eq!(digest.row_id(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            drop(Payload::read(bytes.as_slice()));
        }

        #[test]
        fn what_is_json_already_is_mended_to_the_same(text: String, cut in r#"(\\u[0-9a-fD]{4}|\\[\\nu]|[a-z"]){0,8}"#) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(mended(json.as_bytes()), json);
            // However it was cut, what is mended once needs no mending.
            let once = mended(cut.as_bytes());
            prop_assert_eq!(mended(once.as_bytes()), once);
        }
    }
}
