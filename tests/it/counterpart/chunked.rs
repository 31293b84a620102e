//! The other side of a search command: splunkd's questions, and what it makes
//! of the answers. Written from the protocol's description in Splunk's SDK.

use super::process::{self, Reading, Run, Running};
use super::splunkd::{SESSION_KEY, Splunkd};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub metadata: Value,
    /// Each row's fields; those with several values joined by line ends.
    pub rows: Vec<BTreeMap<String, String>>,
}

impl Answer {
    pub fn finished(&self) -> bool {
        self.metadata["finished"] == true
    }

    /// `LEVEL text` of each message.
    pub fn messages(&self) -> Vec<String> {
        let messages = self.metadata["inspector"]["messages"].as_array();
        let text = |message: &Value| {
            format!(
                "{} {}",
                message[0].as_str().unwrap(),
                message[1].as_str().unwrap()
            )
        };
        messages.into_iter().flatten().map(text).collect()
    }
}

/// What the command is asked.
pub struct Search<'a> {
    pub command: &'a str,
    pub args: &'a [&'a str],
    pub key: &'a str,
    pub preview: bool,
    pub most_rows: usize,
}

/// A command that an administrator's search runs over whole results.
pub fn search<'a>(command: &'a str, args: &'a [&'a str]) -> Search<'a> {
    Search {
        command,
        args,
        key: SESSION_KEY,
        preview: false,
        most_rows: 50_000,
    }
}

fn chunk(metadata: &Value, body: &str) -> String {
    let metadata = metadata.to_string();
    let (first, second) = (metadata.len(), body.len());
    format!("chunked 1.0,{first},{second}\n{metadata}{body}")
}

impl Search<'_> {
    /// The first question.
    pub fn getinfo(&self, splunkd: &Splunkd) -> String {
        let args: Vec<String> = self.args.iter().map(|arg| (*arg).to_owned()).collect();
        chunk(
            &json!({"action": "getinfo", "preview": self.preview,
                "streaming_command_will_restart": false,
                "searchinfo": {
                    "args": args, "raw_args": args, "dispatch_dir": "/nowhere", "sid": "1700000000.1",
                    "app": "search", "owner": "kim", "username": "kim", "session_key": self.key,
                    "splunkd_uri": splunkd.url(), "splunk_version": "10.6.0.5", "search": "%7C%20x",
                    "command": self.command, "maxresultrows": self.most_rows,
                    "earliest_time": "0", "latest_time": "0"}}),
            "",
        )
    }

    /// Starts it with all these questions on stdin, which stays open.
    pub fn start(&self, splunkd: &Splunkd, questions: &str) -> Running {
        let mut command = splunkd.command();
        command.args(["search-command", self.command]);
        process::start(command, questions.as_bytes(), Reading::Steady)
    }

    /// From the first question to the end of the process: the answers behind the
    /// introduction. Each body is a chunk of rows.
    pub fn run(&self, splunkd: &Splunkd, bodies: &[&str]) -> (Vec<Answer>, Run) {
        let mut questions = self.getinfo(splunkd);
        for (place, body) in bodies.iter().enumerate() {
            questions += &execute(place + 1 == bodies.len(), body);
        }
        let run = self.start(splunkd, &questions).finish();
        let mut answers = answers(&run.stdout);
        let introduction = answers.remove(0).metadata;
        assert_eq!(introduction["type"], "stateful", "{introduction}");
        assert_eq!(introduction["run_in_preview"], false);
        (answers, run)
    }
}

pub fn execute(finished: bool, body: &str) -> String {
    let metadata = json!({"action": "execute", "finished": finished});
    chunk(&metadata, body)
}

/// Every answer of a whole stream.
pub fn answers(stdout: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut rest = stdout;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
        let header = std::str::from_utf8(&rest[..end]).unwrap();
        let lengths = header.strip_prefix("chunked 1.0,").unwrap();
        let (metadata, body) = lengths.split_once(',').unwrap();
        let (metadata, body): (usize, usize) = (metadata.parse().unwrap(), body.parse().unwrap());
        rest = &rest[end + 1..];
        answers.push(Answer {
            metadata: serde_json::from_slice(&rest[..metadata]).unwrap(),
            rows: rows(&rest[metadata..metadata + body]),
        });
        rest = &rest[metadata + body..];
    }
    answers
}

fn rows(body: &[u8]) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(body);
    let read = reader.deserialize::<BTreeMap<String, String>>();
    read.map(Result::unwrap).collect()
}

/// One field of every row.
pub fn column<'a>(answers: &'a [Answer], name: &str) -> Vec<&'a str> {
    let rows = answers.iter().flat_map(|answer| &answer.rows);
    rows.map(|row| row[name].as_str()).collect()
}

/// All messages, a line each.
pub fn messages(answers: &[Answer]) -> String {
    let messages = answers.iter().flat_map(Answer::messages);
    messages.collect::<Vec<_>>().join("\n")
}
