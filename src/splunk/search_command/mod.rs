//! What a search command and splunkd say to each other: the custom search
//! command protocol, version 2 (`chunked = true` in commands.conf).
//!
//! ```text
//! chunked 1.0,<bytes of metadata>,<bytes of body>\n<JSON object><CSV>
//! ```
//!
//! splunkd asks (`getinfo` once, then `execute` again and again), the command
//! answers each question with one chunk. The end of the stream, wherever it
//! comes, means that nobody wants more: `| head` was satisfied, or the search
//! was cancelled.

mod table;
#[cfg(test)]
mod tests;

pub use table::{Table, TableError, Values, write_row};

use secrecy::SecretString;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

/// Digits enough for any length, and the blanks the protocol allows.
const LONGEST_HEADER: u64 = 128;
/// The search's own text is the largest part of it.
const LARGEST_METADATA: u64 = 16 << 20;
/// 50 000 rows of 5 KB.
const LARGEST_BODY: u64 = 256 << 20;
/// Rows of one chunk, where splunkd does not say (limits.conf `maxresultrows`).
const ROWS: usize = 50_000;

/// Why splunkd was not understood.
#[derive(Debug, thiserror::Error)]
pub enum ChunkedError {
    #[error("stdin cannot be read: {0}")]
    Unreadable(io::Error),
    #[error(
        "stdin does not hold Splunk's chunked protocol: the command's stanza in commands.conf must say `chunked = true`"
    )]
    Header,
    #[error("a chunk's {part} has {size} bytes, {most} are taken: {advice}")]
    TooLarge {
        part: &'static str,
        size: u64,
        most: u64,
        advice: &'static str,
    },
    /// Without the document's words: it holds a session key.
    #[error("a chunk's metadata is not as Splunk writes it (line {line}, column {column})")]
    Metadata { line: usize, column: usize },
    #[error("splunkd asks for an action that does not exist in this protocol")]
    Action,
}

/// One chunk as it came. No `Debug`: its metadata may hold a session key.
struct Frame {
    metadata: Vec<u8>,
    body: Vec<u8>,
}

/// What splunkd asks.
#[derive(Debug)]
pub enum Asked {
    /// The first question: what kind of command is this?
    GetInfo(Box<Invocation>),
    /// Rows, or for a generating command the wish for some.
    Execute(Execute),
}

/// A chunk of rows.
#[derive(Debug)]
pub struct Execute {
    /// The last one.
    pub finished: bool,
    /// The rows are of a search still under way and will come again.
    pub preview: bool,
    pub body: Vec<u8>,
}

/// How the command was called; what splunkd left out or left empty is none.
#[derive(Debug, Default)]
pub struct Invocation {
    pub preview: bool,
    /// The arguments, without their quotes.
    pub args: Vec<String>,
    pub session_key: Option<SecretString>,
    pub splunkd_uri: Option<String>,
    pub sid: Option<String>,
    /// Most rows of one chunk.
    pub max_rows: usize,
    /// The names in `searchinfo`, without their values.
    pub searchinfo: Vec<String>,
}

/// The questions, read from stdin.
pub struct Questions<R> {
    from: R,
}

impl<R: BufRead> Questions<R> {
    pub fn new(from: R) -> Self {
        Self { from }
    }
}

/// Ends where splunkd hangs up, in whatever place. After an error reading on
/// makes no sense: what came is no question.
impl<R: BufRead> Iterator for Questions<R> {
    type Item = Result<Asked, ChunkedError>;

    fn next(&mut self) -> Option<Self::Item> {
        match frame(&mut self.from) {
            Ok(frame) => frame.map(asked),
            Err(error) => Some(Err(error)),
        }
    }
}

fn frame(from: &mut impl BufRead) -> Result<Option<Frame>, ChunkedError> {
    let mut header = Vec::new();
    from.by_ref()
        .take(LONGEST_HEADER)
        .read_until(b'\n', &mut header)
        .map_err(ChunkedError::Unreadable)?;
    if header.last() != Some(&b'\n') {
        return match header.len() as u64 == LONGEST_HEADER {
            true => Err(ChunkedError::Header),
            false => Ok(None),
        };
    }
    let (metadata, body) = lengths(&header).ok_or(ChunkedError::Header)?;
    bounded("metadata", metadata, LARGEST_METADATA)?;
    bounded("body", body, LARGEST_BODY)?;
    let Some(metadata) = exactly(from, metadata)? else {
        return Ok(None);
    };
    let body = exactly(from, body)?;
    Ok(body.map(|body| Frame { metadata, body }))
}

/// `chunked 1.0,<metadata>,<body>`, with blanks where Splunk's own reader takes them.
fn lengths(header: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(header).ok()?;
    let rest = text.strip_prefix("chunked")?;
    let version = rest.trim_start();
    if version.len() == rest.len() {
        return None;
    }
    let rest = version.strip_prefix("1.0")?.trim_start();
    let (metadata, body) = rest.strip_prefix(',')?.split_once(',')?;
    let length = |text: &str| {
        let digits = text.trim();
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    };
    Some((length(metadata)?, length(body)?))
}

fn bounded(part: &'static str, size: u64, most: u64) -> Result<(), ChunkedError> {
    if size <= most {
        return Ok(());
    }
    Err(ChunkedError::TooLarge {
        part,
        size,
        most,
        advice: "keep fewer fields before the command (`| fields ...`, `| fields - _raw`)",
    })
}

/// Grows with what comes, not with what was announced.
fn exactly(from: &mut impl BufRead, size: u64) -> Result<Option<Vec<u8>>, ChunkedError> {
    let mut bytes = Vec::new();
    from.by_ref()
        .take(size)
        .read_to_end(&mut bytes)
        .map_err(ChunkedError::Unreadable)?;
    Ok((bytes.len() as u64 == size).then_some(bytes))
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    action: String,
    #[serde(default)]
    preview: bool,
    #[serde(default)]
    finished: bool,
    searchinfo: Option<SearchInfo>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SearchInfo {
    args: Option<Vec<serde_json::Value>>,
    session_key: Option<SecretString>,
    splunkd_uri: Option<String>,
    sid: Option<String>,
    maxresultrows: Option<serde_json::Value>,
}

fn asked(frame: Frame) -> Result<Asked, ChunkedError> {
    let metadata: Metadata =
        serde_json::from_slice(&frame.metadata).map_err(|error| ChunkedError::Metadata {
            line: error.line(),
            column: error.column(),
        })?;
    match metadata.action.as_str() {
        "getinfo" => {
            let info = metadata.searchinfo.unwrap_or_default();
            let mut invocation = info.invocation(metadata.preview);
            invocation.searchinfo = names(&frame.metadata);
            Ok(Asked::GetInfo(Box::new(invocation)))
        }
        "execute" => Ok(Asked::Execute(Execute {
            finished: metadata.finished,
            preview: metadata.preview,
            body: frame.body,
        })),
        _ => Err(ChunkedError::Action),
    }
}

/// The names in `searchinfo`, as far as they look like names.
fn names(metadata: &[u8]) -> Vec<String> {
    const MOST: usize = 64;
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        searchinfo: BTreeMap<String, IgnoredAny>,
    }
    let plain = |name: &String| {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        !name.is_empty() && name.len() <= MOST && name.chars().all(word)
    };
    let named = serde_json::from_slice::<Named>(metadata).map(|named| named.searchinfo);
    let names = named.unwrap_or_default().into_keys().filter(plain);
    names.take(MOST).collect()
}

impl SearchInfo {
    fn invocation(self, preview: bool) -> Invocation {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let words = self.args.unwrap_or_default().into_iter();
        let max_rows = match self.maxresultrows {
            Some(serde_json::Value::Number(rows)) => rows.as_u64(),
            Some(serde_json::Value::String(rows)) => rows.trim().parse().ok(),
            _ => None,
        };
        Invocation {
            preview,
            args: words
                .map(|word| match word {
                    serde_json::Value::String(word) => word,
                    other => other.to_string(),
                })
                .collect(),
            session_key: self.session_key,
            splunkd_uri: filled(self.splunkd_uri),
            sid: filled(self.sid),
            max_rows: max_rows
                .and_then(|rows| usize::try_from(rows).ok())
                .filter(|rows| *rows > 0)
                .map_or(ROWS, |rows| rows.min(ROWS)),
            searchinfo: Vec::new(),
        }
    }
}

/// What kind of command answers: the reply to `getinfo`.
///
/// All of ours are `stateful`: they run on the search head alone, because
/// indexers have neither the executable nor the accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Kind {
    #[serde(rename = "type")]
    type_name: &'static str,
    generating: bool,
    run_in_preview: bool,
}

impl Kind {
    /// Makes rows; starts the search.
    pub const GENERATING: Self = Self {
        type_name: "stateful",
        generating: true,
        run_in_preview: false,
    };

    /// Takes rows and hands them on, chunk by chunk.
    pub const STREAMING: Self = Self {
        generating: false,
        ..Self::GENERATING
    };
}

/// How a message looks above the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Info,
    Warn,
    Error,
}

/// A message shown above the results of the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub level: Level,
    pub text: String,
}

impl Message {
    pub fn new(level: Level, text: impl Into<String>) -> Self {
        let text: String = text.into();
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        Self {
            level,
            text: text.chars().map(visible).collect(),
        }
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let level = match self.level {
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        };
        (level, &self.text).serialize(serializer)
    }
}

#[derive(Serialize)]
struct Inspector<'m> {
    messages: &'m [Message],
}

fn inspector(messages: &[Message]) -> Option<Inspector<'_>> {
    (!messages.is_empty()).then_some(Inspector { messages })
}

/// Answers `getinfo`.
pub fn introduce(out: &mut impl Write, kind: Kind, messages: &[Message]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Introduction<'m> {
        #[serde(flatten)]
        kind: Kind,
        #[serde(skip_serializing_if = "Option::is_none")]
        inspector: Option<Inspector<'m>>,
    }
    let introduction = Introduction {
        kind,
        inspector: inspector(messages),
    };
    chunk(out, &serde_json::to_vec(&introduction)?, &[])
}

/// Answers one `execute`.
pub fn answer(
    out: &mut impl Write,
    finished: bool,
    messages: &[Message],
    body: &[u8],
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Answer<'m> {
        finished: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        inspector: Option<Inspector<'m>>,
    }
    let answer = Answer {
        finished,
        inspector: inspector(messages),
    };
    chunk(out, &serde_json::to_vec(&answer)?, body)
}

fn chunk(out: &mut impl Write, metadata: &[u8], body: &[u8]) -> io::Result<()> {
    let mut whole = format!("chunked 1.0,{},{}\n", metadata.len(), body.len()).into_bytes();
    whole.extend_from_slice(metadata);
    out.write_all(&whole)?;
    out.write_all(body)?;
    out.flush()
}
