//! One process from start to end: what the kernel says it used, and what it
//! wrote, handed over while it runs so that a full pipe never holds it up.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wait4::Wait4;

/// What one run took.
#[derive(Debug, Clone, Copy)]
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

/// Runs a command that gets `document` on a stdin left open, as splunkd leaves
/// it, and hands everything it writes to `reader`. `said` takes its stderr.
pub fn run(
    command: &mut Command,
    document: &[u8],
    said: &Path,
    mut reader: impl FnMut(&[u8]),
) -> Result<Usage> {
    let name = command.get_program().to_owned();
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(said)?)
        .spawn()
        .with_context(|| format!("cannot start {}", name.display()))?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    let mut out = child.stdout.take().context("no stdout")?;
    match stdin.write_all(document) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    let mut buffer = vec![0; 64 << 10];
    loop {
        match out.read(&mut buffer)? {
            0 => break,
            count => reader(&buffer[..count]),
        }
    }
    let ended = child.wait4()?;
    let wall = begun.elapsed();
    drop(stdin);
    if !ended.status.success() {
        bail!(
            "{}: {}\n{}",
            name.display(),
            ended.status,
            fs::read_to_string(said)?.trim()
        );
    }
    Ok(Usage {
        user: ended.rusage.utime,
        system: ended.rusage.stime,
        wall,
        peak: ended.rusage.maxrss,
    })
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

    #[test]
    fn a_failed_command_is_an_error_with_its_own_words() {
        let folder = std::env::temp_dir();
        let said = folder.join(format!("measure-{}", std::process::id()));
        let mut shell = Command::new("sh");
        let error = run(
            shell.args(["-c", "echo why >&2; exit 3"]),
            b"",
            &said,
            |_| (),
        );
        assert!(error.unwrap_err().to_string().contains("why"));
        fs::remove_file(said).unwrap();
    }
}
