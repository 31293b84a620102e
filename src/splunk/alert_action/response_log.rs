//! The response-action log: one line when a row is taken on, one with its
//! result, in the form Enterprise Security shows as adaptive responses (the
//! Splunk Common Information Model Add-on reads `<action>_modalert.log`).

use crate::disk::{Line, Rotated};
use crate::splunk::alert_action::payload::Payload;
use crate::splunk::alert_action::results::Row;
use std::io;
use std::path::Path;

const INVOKING: &str = "Invoking modular action";

/// Most bytes of a value, so that a line stays below 8 kB however many quotes are in it.
const VALUE: usize = 300;
/// What became of a row is what the line is for.
const SIGNATURE: usize = 1400;

/// The log of one run of an action.
#[derive(Debug)]
pub struct ModularActionLog {
    file: Rotated,
    action: String,
    worker: String,
    search_name: String,
    sid: String,
    /// The number of a real-time search's snapshot, which goes with the row.
    snapshot: Option<String>,
    row_id: Option<String>,
    app: String,
    user: String,
    digest: bool,
}

/// Which row a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowId {
    rid: String,
    orig_sid: String,
    orig_rid: String,
}

impl ModularActionLog {
    /// Appends to the log in `$SPLUNK_HOME/var/log/splunk`.
    pub fn open(splunk_home: &Path, action: &str, payload: &Payload) -> io::Result<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if action.is_empty() || !action.bytes().all(plain) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{action}` is no name of an alert action"),
            ));
        }
        let folder = splunk_home.join("var").join("log").join("splunk");
        let mut file = Rotated::new(folder.join(format!("{action}_modalert.log")));
        file.open()?;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (sid, snapshot) = without_snapshot(payload.sid.as_deref().unwrap_or_default());
        Ok(Self {
            file,
            action: action.to_owned(),
            worker: text(&payload.server_host),
            search_name: text(&payload.search_name),
            sid,
            snapshot,
            row_id: payload.row_id().map(str::to_owned),
            app: text(&payload.app),
            user: text(
                payload
                    .user
                    .as_ref()
                    .map_or(&payload.owner, |_| &payload.user),
            ),
            digest: !payload.per_result(),
        })
    }

    /// What the lines about the row at `index` say of it.
    pub fn row_id(&self, row: &Row, index: usize) -> RowId {
        let own = |field| row.get(field).unwrap_or_default().to_owned();
        let mut rid = self
            .row_id
            .clone()
            .or_else(|| row.get("rid").map(str::to_owned))
            .unwrap_or_else(|| index.to_string());
        if let Some(snapshot) = &self.snapshot {
            rid = format!("{rid}.{snapshot}");
        }
        RowId {
            rid,
            orig_sid: own("orig_sid"),
            orig_rid: own("orig_rid"),
        }
    }

    /// A row is taken on.
    pub fn invoke(&mut self, now: jiff::Timestamp, row: &RowId) -> io::Result<()> {
        self.write(now, "INFO", row, INVOKING, "")
    }

    /// What became of a row, in a few words.
    pub fn outcome(
        &mut self,
        now: jiff::Timestamp,
        row: &RowId,
        signature: &str,
        success: bool,
    ) -> io::Result<()> {
        let (level, status) = if success {
            ("INFO", "success")
        } else {
            ("ERROR", "failure")
        };
        self.write(now, level, row, signature, status)
    }

    fn write(
        &mut self,
        now: jiff::Timestamp,
        level: &str,
        row: &RowId,
        signature: &str,
        status: &str,
    ) -> io::Result<()> {
        let mode = if self.sid.contains("scheduler") {
            "saved"
        } else {
            "adhoc"
        };
        let mut line = format!(
            "{}+0000 {level} sendmodaction -",
            now.strftime("%Y-%m-%d %H:%M:%S,%3f")
        );
        for (key, value) in [
            ("worker", self.worker.as_str()),
            ("signature", signature),
            ("action_name", &self.action),
            ("search_name", &self.search_name),
            ("sid", &self.sid),
            ("orig_sid", &row.orig_sid),
            ("rid", &row.rid),
            ("orig_rid", &row.orig_rid),
            ("app", &self.app),
            ("user", &self.user),
            ("digest_mode", if self.digest { "1" } else { "0" }),
            ("action_mode", mode),
            ("action_status", status),
        ] {
            let most = if key == "signature" { SIGNATURE } else { VALUE };
            if !value.is_empty() {
                line.push_str(&format!(" {key}=\"{}\"", quoted(value, most)));
            }
        }
        line.push('\n');
        self.file.write(&line)
    }
}

/// A real-time search's id ends in the number of a snapshot, `rt_scheduler__…at_1.42`
/// (on a search head cluster before a last `_guid`).
fn without_snapshot(sid: &str) -> (String, Option<String>) {
    let split = || {
        let (begin, tail) = sid.rsplit_once('.')?;
        let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = tail.split_at_checked(digits)?;
        let plain = rest.is_empty() || rest.starts_with('_');
        (sid.starts_with("rt_scheduler") && !number.is_empty() && plain)
            .then(|| (format!("{begin}{rest}"), Some(number.to_owned())))
    };
    split().unwrap_or_else(|| (sid.to_owned(), None))
}

/// On one line, not longer than `most`, and such that a quote inside does not end the value.
fn quoted(value: &str, most: usize) -> String {
    let mut line = Line::of_at_most(most);
    line.say(format_args!("{value}"));
    line.to_string().replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(payload: &str, rows: &[&str]) -> String {
        let home = tempfile::tempdir().unwrap();
        let payload = Payload::read(payload.as_bytes()).unwrap();
        let mut now: jiff::Timestamp = "2026-01-31T12:00:00.123Z".parse().unwrap();
        for (index, row) in rows.iter().enumerate() {
            let mut log =
                ModularActionLog::open(home.path(), "defender_bridge_update_alert", &payload)
                    .unwrap();
            let row = Payload::read(format!("{{\"result\":{row}}}").as_bytes())
                .unwrap()
                .result;
            let id = log.row_id(&row, index);
            log.invoke(now, &id).unwrap();
            now += jiff::SignedDuration::from_millis(879);
            log.outcome(now, &id, "status set to \"resolved\"\nC:\\x", index == 0)
                .unwrap();
        }
        std::fs::read_to_string(
            home.path()
                .join("var/log/splunk/defender_bridge_update_alert_modalert.log"),
        )
        .unwrap()
    }

    #[test]
    fn lines_are_as_enterprise_security_reads_them() {
        insta::assert_snapshot!(written(
            r#"{"server_host":"sh1","search_name":"My alert","sid":"scheduler__admin__search__RMD5_at_1_2",
                "app":"search","owner":"admin"}"#,
            &[r#"{"orig_sid":"s0","orig_rid":"4"}"#, r#"{"rid":"77"}"#],
        ));
    }

    #[test]
    fn an_ad_hoc_run_and_a_run_per_result_say_so() {
        insta::assert_snapshot!(written(
            r#"{"sid":"1465593470.1228","owner":"admin","user":"ann","result_id":"5"}"#,
            &["{}"],
        ));
    }

    #[test]
    fn a_snapshot_of_a_real_time_search_goes_with_the_row() {
        for (sid, expected, snapshot) in [
            (
                "rt_scheduler__a__b__RMD5_at_1_2.42",
                "rt_scheduler__a__b__RMD5_at_1_2",
                Some("42"),
            ),
            (
                "rt_scheduler__a_at_1.42_GUID",
                "rt_scheduler__a_at_1_GUID",
                Some("42"),
            ),
            ("rt_scheduler__a.b", "rt_scheduler__a.b", None),
            ("1465593470.1228", "1465593470.1228", None),
        ] {
            let (sid, number) = without_snapshot(sid);
            assert_eq!((sid.as_str(), number.as_deref()), (expected, snapshot));
        }
        let log = written(r#"{"sid":"rt_scheduler__a.42"}"#, &["{}"]);
        assert!(
            log.contains("sid=\"rt_scheduler__a\" rid=\"0.42\""),
            "{log}"
        );
    }

    #[test]
    fn a_line_is_short_and_shows_what_is_in_it_whatever_the_values_hold() {
        let long = "\"".repeat(20_000);
        let payload = serde_json::json!({
            "server_host": long, "search_name": long, "sid": long, "app": long, "user": long, "result_id": long,
        });
        let row = serde_json::json!({"orig_sid": long, "orig_rid": long});
        let home = tempfile::tempdir().unwrap();
        let payload = Payload::read(payload.to_string().as_bytes()).unwrap();
        let mut log = ModularActionLog::open(home.path(), "x", &payload).unwrap();
        let row = Payload::read(format!("{{\"result\":{row}}}").as_bytes()).unwrap();
        let id = log.row_id(&row.result, 0);
        let now: jiff::Timestamp = "2026-01-31T12:00:00.123Z".parse().unwrap();
        log.outcome(now, &id, &long, false).unwrap();
        log.outcome(now, &id, "evil\u{202E}gpj", false).unwrap();
        let text =
            std::fs::read_to_string(home.path().join("var/log/splunk/x_modalert.log")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() < 8192), "{}", text.len());
        assert!(
            lines[0].contains("(18600 bytes more)\" action_name=\"x\""),
            "{text}"
        );
        assert!(
            lines[1].contains("signature=\"evil\\\\u{202e}gpj\""),
            "{text}"
        );
    }

    #[test]
    fn an_action_cannot_name_a_file_elsewhere() {
        let home = tempfile::tempdir().unwrap();
        for action in ["", "../x", "a/b", "a b"] {
            let error =
                ModularActionLog::open(home.path(), action, &Payload::default()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{action}");
        }
    }
}
