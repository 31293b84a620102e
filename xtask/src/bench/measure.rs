//! One process from start to end: what the kernel says it used, and what it
//! wrote, handed over while it runs so that a full pipe never holds it up.

use crate::tool;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use wait4::Wait4;

/// What one run took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Usage {
    pub user: Duration,
    pub system: Duration,
    pub wall: Duration,
    /// Bytes.
    pub peak: u64,
}

impl Usage {
    pub fn cpu(&self) -> Duration {
        self.user + self.system
    }
}

/// The child process that starts the measured one.
///
/// A process inherits the peak memory of the one that starts it, and what
/// `cargo metadata` says takes more memory than what is measured here.
#[derive(clap::Args)]
pub struct Arguments {
    /// Takes the [`Usage`] as JSON
    usage: PathBuf,
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

pub fn by_itself(arguments: &Arguments) -> Result<()> {
    let (program, words) = arguments.command.split_first().context("no command")?;
    let begun = Instant::now();
    let child = Command::new(program)
        .args(words)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    fs::write(id_file(&arguments.usage), child.id().to_string())?;
    let ended = child.wait4()?;
    let usage = Usage {
        user: ended.rusage.utime,
        system: ended.rusage.stime,
        wall: begun.elapsed(),
        peak: ended.rusage.maxrss,
    };
    fs::write(&arguments.usage, serde_json::to_vec(&usage)?)?;
    if !ended.status.success() {
        bail!("{}: {}", program.display(), ended.status);
    }
    Ok(())
}

/// Where the measured process's id stands while it runs.
fn id_file(usage: &Path) -> PathBuf {
    usage.with_extension("id")
}

fn stop(usage: &Path) -> Result<()> {
    let id = fs::read_to_string(id_file(usage))?;
    tool::run(Command::new("kill").args(["-TERM", &id]))
}

/// What is to be measured.
pub struct Subject<'s> {
    pub command: Vec<OsString>,
    pub home: &'s Path,
    /// Written to a stdin that is then left open, as splunkd leaves it.
    pub document: &'s [u8],
}

impl Subject<'_> {
    /// Runs it, and hands all it writes to `reader`. Its stderr is in [`Subject::said`].
    pub fn run(&self, mut reader: impl FnMut(&[u8])) -> Result<Usage> {
        self.run_until(None, |piece| {
            reader(piece);
            ControlFlow::Continue(())
        })
    }

    /// The same; it is told to stop once `reader` breaks off, or so much time has passed.
    pub fn run_until(
        &self,
        after: Option<Duration>,
        mut reader: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<Usage> {
        let usage = self.home.join("usage.json");
        let mut child = Command::new(env::current_exe()?)
            .arg("measure")
            .arg(&usage)
            .args(&self.command)
            .env("SPLUNK_HOME", self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(self.home.join("stderr"))?)
            .spawn()?;
        let (Some(mut stdin), Some(mut out)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("a child process without pipes");
        };
        match stdin.write_all(self.document) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
        let timer = after.map(|after| {
            let usage = usage.clone();
            thread::spawn(move || {
                thread::sleep(after);
                stop(&usage)
            })
        });
        let mut buffer = vec![0; 64 << 10];
        let mut stopped = false;
        loop {
            let count = out.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            if reader(&buffer[..count]).is_break() && !stopped {
                stopped = true;
                stop(&usage)?;
            }
        }
        if let Some(Err(error)) = timer.and_then(|timer| timer.join().ok()) {
            return Err(error);
        }
        let status = child.wait()?;
        drop(stdin);
        if !status.success() {
            bail!("it failed:\n{}", self.said()?);
        }
        Ok(serde_json::from_slice(&fs::read(usage)?)?)
    }

    pub fn said(&self) -> Result<String> {
        Ok(fs::read_to_string(self.home.join("stderr"))?)
    }
}

/// The run in the middle, each value by itself.
pub fn median(runs: &[Usage]) -> Usage {
    fn middle<T: Ord + Copy>(runs: &[Usage], value: impl Fn(&Usage) -> T) -> T {
        let mut values: Vec<T> = runs.iter().map(value).collect();
        values.sort_unstable();
        values[values.len() / 2]
    }
    // User and system apart would not add up to the CPU time of any run.
    let cpu = middle(runs, |run| (run.cpu(), run.user, run.system));
    Usage {
        user: cpu.1,
        system: cpu.2,
        wall: middle(runs, |run| run.wall),
        peak: middle(runs, |run| run.peak),
    }
}

/// Counts a text in what comes in pieces.
pub struct Counter {
    text: &'static [u8],
    /// The end of what came, where the text may have begun.
    tail: Vec<u8>,
    pub count: usize,
}

impl Counter {
    pub fn of(text: &'static str) -> Self {
        Self {
            text: text.as_bytes(),
            tail: Vec::new(),
            count: 0,
        }
    }

    pub fn take(&mut self, piece: &[u8]) {
        let most = self.text.len() - 1;
        let mut seam = std::mem::take(&mut self.tail);
        seam.extend_from_slice(&piece[..piece.len().min(most)]);
        self.count += memchr::memmem::find_iter(&seam, self.text).count();
        self.count += memchr::memmem::find_iter(piece, self.text).count();
        let end = match piece.len() < most {
            true => &seam[..],
            false => piece,
        };
        self.tail = end[end.len().saturating_sub(most)..].to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_counted_once_however_it_is_cut() {
        let whole = b"<e/>..<e/><e/>.<e<e/>/><e/";
        for size in 1..whole.len() {
            let mut counter = Counter::of("<e/>");
            whole.chunks(size).for_each(|piece| counter.take(piece));
            assert_eq!(counter.count, 4, "pieces of {size}");
        }
    }

    #[test]
    fn the_median_run_is_no_average() {
        let run = |millis| Usage {
            user: Duration::from_millis(millis),
            system: Duration::ZERO,
            wall: Duration::from_millis(100 - millis),
            peak: millis,
        };
        let middle = median(&[run(9), run(1), run(2)]);
        assert_eq!(middle.cpu(), Duration::from_millis(2));
        assert_eq!(middle.wall, Duration::from_millis(98));
        assert_eq!(middle.peak, 2);
    }
}
