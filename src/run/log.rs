//! What the operator reads: `LEVEL text` lines on stderr, which splunkd puts
//! into splunkd.log, and the same lines with their time in a daily file.

use super::home;
use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Days of log files kept.
const DAYS: usize = 14;

static LEVEL: AtomicU8 = AtomicU8::new(2);
static SUBJECT: Mutex<String> = Mutex::new(String::new());

/// Starts logging. Until [`level`] says otherwise, from INFO up.
pub fn start() {
    let lines = Lines {
        file: OnceLock::new(),
    };
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
    /// Opened with the first line, so that a quick answer touches no file.
    file: OnceLock<Option<Mutex<RollingFileAppender>>>,
}

impl Lines {
    fn file(&self) -> Option<&Mutex<RollingFileAppender>> {
        let open = || {
            let folder = home::logs()?;
            // The appender would complain on stderr in words of its own.
            std::fs::create_dir_all(&folder).ok()?;
            let appender = RollingFileAppender::builder()
                .rotation(Rotation::DAILY)
                .filename_prefix("defender_bridge.log")
                .max_log_files(DAYS)
                .build(folder)
                .ok()?;
            Some(Mutex::new(appender))
        };
        self.file.get_or_init(open).as_ref()
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
        metadata.target().starts_with("defender_bridge") && rank <= LEVEL.load(Ordering::Relaxed)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = OneLine(String::new());
        let subject = SUBJECT
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if !subject.is_empty() {
            text.say(format_args!("{subject}: "));
        }
        event.record(&mut text);
        let level = event.metadata().level();
        report_by_hand(&format!("{level} {}", text.0));
        if let Some(file) = self.file() {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let line = format!("{:.3} {level} {}\n", jiff::Timestamp::now(), text.0);
            if let Err(error) = file.write_all(line.as_bytes()) {
                report_by_hand(&format!("WARN the log file cannot be written: {error}"));
            }
        }
    }
}

/// The last resort: stderr itself. Where even that is gone nobody is listening.
fn report_by_hand(line: &str) {
    let written = writeln!(std::io::stderr().lock(), "{line}");
    drop(written);
}

/// An event's fields on one line, since splunkd takes every line for a message.
struct OneLine(String);

impl OneLine {
    fn say(&mut self, words: fmt::Arguments<'_>) {
        let words = words.to_string();
        for character in words.chars() {
            self.0.push(if character.is_control() {
                ' '
            } else {
                character
            });
        }
    }
}

impl Visit for OneLine {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.say(format_args!("{value:?}"));
        } else {
            self.say(format_args!(" {}={value:?}", field.name()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_on_one_line() {
        let mut text = OneLine(String::new());
        text.say(format_args!("first\nsecond\r\u{7}third"));
        assert_eq!(text.0, "first second  third");
    }

    #[test]
    fn a_level_that_is_none_is_refused_by_name() {
        assert!(level("verbose").unwrap_err().contains("verbose"));
        assert!(level("debug").is_ok());
        assert!(level("").is_ok());
    }
}
