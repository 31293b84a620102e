//! What was measured, as a table for people.

use super::Bounds;
use super::measure::Usage;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::time::Duration;

const END: &str = "<!-- end -->\n";

/// One case.
pub struct Row {
    pub name: &'static str,
    /// Calls answered by the tenant, the token's included.
    pub calls: usize,
    /// Bytes of the event stream.
    pub bytes: usize,
    pub runs: usize,
    pub input: Usage,
    pub floor: Usage,
    pub bounds: Bounds,
}

impl Row {
    fn times(&self) -> f64 {
        self.input.cpu().as_secs_f64() / self.floor.cpu().as_secs_f64().max(0.001)
    }

    /// Targets this case does not reach.
    pub fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        if let Some(peak) = self.bounds.peak.filter(|peak| self.input.peak > *peak) {
            missed.push(format!("{}: peak RSS over {}", self.name, mebibytes(peak)));
        }
        if let Some(cpu) = self.bounds.cpu.filter(|cpu| self.input.cpu() > *cpu) {
            missed.push(format!("{}: CPU over {}", self.name, millis(cpu)));
        }
        if let Some(times) = self
            .bounds
            .times
            .filter(|times| self.times() > f64::from(*times))
        {
            missed.push(format!("{}: CPU over {times} times curl's", self.name));
        }
        missed
    }

    /// A line of the table.
    pub fn line(&self) -> String {
        let Self { input, floor, .. } = self;
        format!(
            "| {} | {} | {:.1} | {} | {} | {} | {} | {} | {} | {:.1} | {} |",
            self.name,
            self.calls,
            self.bytes as f64 / 1e6,
            millis(input.cpu()),
            mebibytes(input.peak),
            millis(input.wall),
            millis(floor.cpu()),
            mebibytes(floor.peak),
            millis(floor.wall),
            self.times(),
            self.runs,
        )
    }
}

pub fn markdown(rows: &[Row]) -> String {
    let mut table = String::from(
        "| case | calls | MB out | CPU | peak RSS | wall | curl: CPU | peak RSS | wall | CPU ÷ curl's | runs |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for row in rows {
        table += &row.line();
        table.push('\n');
    }
    table += &format!("\nMeasured on {}.\n", machine());
    table
}

pub fn millis(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 10.0 => format!("{seconds:.1} s"),
        seconds => format!("{:.0} ms", seconds * 1e3),
    }
}

pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let known = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = known
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unnamed processor", |(_, model)| model);
    format!("{model}, {cores} cores, Linux")
}

/// Puts the table of `what` in place of the one before.
pub fn save(file: &Path, what: &str, table: &str) -> Result<()> {
    let begin = format!("<!-- {what}: written by cargo xtask bench --save -->\n");
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (before, rest) = text
        .split_once(&begin)
        .with_context(|| format!("no place for the table of {what}"))?;
    let (_, after) = rest.split_once(END).context("the table has no end")?;
    fs::write(file, format!("{before}{begin}\n{table}\n{END}{after}"))?;
    Ok(())
}
