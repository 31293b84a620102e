//! What the operator reads: `LEVEL text` lines on stderr, which splunkd puts
//! into splunkd.log, and the same lines with their time in a file.

use super::paths;
use crate::disk;
use crate::disk::{Line, Rotated};
use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

const NAME: &str = "defender_bridge.log";

/// The target of lines that no level keeps back.
pub const TRACE: &str = "defender_bridge::trace";

static LEVEL: AtomicU8 = AtomicU8::new(2);
static SUBJECT: Mutex<String> = Mutex::new(String::new());

/// Starts logging. Until [`level`] says otherwise, from INFO up.
pub fn start() {
    let file =
        paths::logs().map(|folder| Mutex::new(LogFile::new(Rotated::new(folder.join(NAME)))));
    let lines = Lines { file };
    if let Err(error) = tracing_subscriber::registry().with(lines).try_init() {
        report_by_hand(&format!("WARN logging was started twice: {error}"));
    }
}

/// Shows this level and what is graver; refuses words that name none.
pub fn level(name: &str) -> Result<(), String> {
    let level = match name.trim().to_ascii_uppercase().as_str() {
        "" | "INFO" => 2,
        "DEBUG" => 3,
        "WARN" | "WARNING" => 1,
        "ERROR" | "FATAL" | "CRITICAL" => 0,
        _ => return Err(format!("\"{name}\" is not one of DEBUG, INFO, WARN, ERROR")),
    };
    LEVEL.store(level, Ordering::Relaxed);
    Ok(())
}

/// What the lines from here on are about: a stanza.
pub fn about(subject: &str) {
    subject.clone_into(&mut SUBJECT.lock().unwrap_or_else(PoisonError::into_inner));
}

struct Lines {
    file: Option<Mutex<LogFile>>,
}

/// Made with the first line, so that a quick answer touches no file.
struct LogFile {
    file: Rotated,
    /// Said once is enough.
    failing: bool,
}

impl LogFile {
    fn new(file: Rotated) -> Self {
        Self {
            file,
            failing: false,
        }
    }

    fn write(&mut self, line: &str) {
        let failed = self.file.write(line).err();
        if let Some(error) = &failed
            && !self.failing
        {
            let path = self.file.path().display();
            report_by_hand(&format!(
                "WARN {path} cannot be written: {}; until it can, what this process says stands here alone",
                disk::said(error)
            ));
        }
        self.failing = failed.is_some();
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let rank = match *metadata.level() {
            Level::ERROR => 0,
            Level::WARN => 1,
            Level::INFO => 2,
            Level::DEBUG => 3,
            Level::TRACE => return false,
        };
        // Libraries say what they like; only our own words are meant for operators.
        metadata.target().starts_with("defender_bridge")
            && (rank <= LEVEL.load(Ordering::Relaxed) || metadata.target() == TRACE)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Fields(Line::new());
        let subject = SUBJECT
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if !subject.is_empty() {
            text.0.say(format_args!("{subject}: "));
        }
        event.record(&mut text);
        let (level, text) = (event.metadata().level(), text.0);
        report_by_hand(&format!("{level} {text}"));
        if let Some(file) = &self.file {
            let line = format!("{:.3} {level} {text}\n", jiff::Timestamp::now());
            file.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write(&line);
        }
    }
}

/// The last resort: stderr itself. Where even that is gone nobody is listening.
fn report_by_hand(line: &str) {
    let written = writeln!(std::io::stderr().lock(), "{line}");
    drop(written);
}

/// An event's fields on one line, since splunkd takes every line for a message.
struct Fields(Line);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.say(format_args!("{value:?}"));
        } else {
            self.0.say(format_args!(" {}={value:?}", field.name()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_file_that_cannot_be_written_is_no_trouble_and_is_written_once_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below").join(NAME);
        std::fs::write(folder.path().join("below"), "").unwrap();
        let mut log = LogFile::new(Rotated::new(path.clone()));
        log.write("lost\n");
        log.write("lost\n");
        assert!(log.failing);
        std::fs::remove_file(folder.path().join("below")).unwrap();
        log.write("kept\n");
        assert!(!log.failing);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "kept\n");
    }

    #[test]
    fn a_level_that_is_none_is_refused_by_name() {
        assert!(level("verbose").unwrap_err().contains("verbose"));
        assert!(level("debug").is_ok());
        assert!(level("").is_ok());
    }
}
