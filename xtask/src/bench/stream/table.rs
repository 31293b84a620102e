//! What was measured of streams, as tables for people.

use super::super::table::{machine, mebibytes};
use super::ReadingBounds;
use super::hub::Amount;
use std::time::Duration;

#[derive(Default)]
pub struct Table {
    pub readings: Vec<ReadingRow>,
    pub memory: Vec<MemoryRow>,
    pub idle: Option<IdleRow>,
}

/// Messages of one size.
pub struct ReadingRow {
    pub name: &'static str,
    pub amount: Amount,
    /// CPU time for that amount: the modular input's, and the client's.
    pub input: Duration,
    pub client: Duration,
    /// Bytes.
    pub input_peak: u64,
    pub client_peak: u64,
    pub runs: usize,
    pub bounds: ReadingBounds,
}

pub struct MemoryRow {
    pub name: &'static str,
    /// Bytes: in the middle, and at most.
    pub peak: u64,
    pub most: u64,
    pub runs: usize,
    pub bound: u64,
}

pub struct IdleRow {
    pub name: &'static str,
    pub cpu: Duration,
    pub span: Duration,
    pub peak: u64,
    pub bound: f64,
}

impl ReadingRow {
    fn megabytes(&self) -> f64 {
        self.amount.bytes as f64 / 1e6
    }

    fn times(&self) -> f64 {
        self.client.as_secs_f64() / self.input.as_secs_f64().max(1e-6)
    }

    fn megabytes_per_second(&self) -> f64 {
        self.megabytes() / self.input.as_secs_f64().max(1e-6)
    }

    pub fn line(&self) -> String {
        let cost = |cpu: Duration| {
            format!(
                "{:.2} ms | {:.0} µs",
                cpu.as_secs_f64() * 1e3 / self.megabytes(),
                cpu.as_secs_f64() * 1e6 / self.amount.messages as f64,
            )
        };
        format!(
            "| {} | {:.0} | {} | {} | {} | {} | {} | {:.0} | {:.1} | {} |",
            self.name,
            self.megabytes(),
            self.amount.messages,
            cost(self.input),
            mebibytes(self.input_peak),
            cost(self.client),
            mebibytes(self.client_peak),
            self.megabytes_per_second(),
            self.times(),
            self.runs,
        )
    }

    fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        if self.times() < self.bounds.times {
            missed.push(format!(
                "{}: less than {} times cheaper than the client",
                self.name, self.bounds.times
            ));
        }
        let least = self.bounds.megabytes.unwrap_or(0.0);
        if self.megabytes_per_second() < least {
            missed.push(format!("{}: less than {least} MB a CPU second", self.name));
        }
        missed
    }
}

impl MemoryRow {
    pub fn line(&self) -> String {
        format!(
            "| {}: peak RSS | {} (at most {}) | {} | {} runs |",
            self.name,
            mebibytes(self.peak),
            mebibytes(self.most),
            mebibytes(self.bound),
            self.runs,
        )
    }

    fn missed(&self) -> Option<String> {
        (self.peak > self.bound)
            .then(|| format!("{}: peak over {}", self.name, mebibytes(self.bound)))
    }
}

impl IdleRow {
    fn share(&self) -> f64 {
        self.cpu.as_secs_f64() / self.span.as_secs_f64().max(1e-6)
    }

    pub fn line(&self) -> String {
        format!(
            "| {}: CPU | {:.3} % of a core | {:.1} % | {:.0} s, peak RSS {} |",
            self.name,
            self.share() * 100.0,
            self.bound * 100.0,
            self.span.as_secs_f64(),
            mebibytes(self.peak),
        )
    }

    fn missed(&self) -> Option<String> {
        let most = self.bound * 100.0;
        (self.share() > self.bound).then(|| format!("{}: over {most:.1} % of a core", self.name))
    }
}

impl Table {
    pub fn is_empty(&self) -> bool {
        self.readings.is_empty() && self.memory.is_empty() && self.idle.is_none()
    }

    pub fn missed(&self) -> Vec<String> {
        let readings = self.readings.iter().flat_map(ReadingRow::missed);
        let memory = self.memory.iter().filter_map(MemoryRow::missed);
        let idle = self.idle.iter().filter_map(IdleRow::missed);
        readings.chain(memory).chain(idle).collect()
    }

    pub fn markdown(&self) -> String {
        let mut text = String::new();
        if !self.readings.is_empty() {
            text += "| case | MB | messages | CPU a MB | a message | peak RSS | Python: CPU a MB | a message | peak RSS | \
                     MB a CPU second | Python's CPU ÷ ours | runs |\n\
                     | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n";
            self.readings
                .iter()
                .for_each(|row| text += &(row.line() + "\n"));
            text.push('\n');
        }
        let memory = self.memory.iter().map(MemoryRow::line);
        let others: Vec<String> = memory.chain(self.idle.iter().map(IdleRow::line)).collect();
        if !others.is_empty() {
            text += "| case | measured | target | of |\n| --- | --: | --: | --- |\n";
            others.iter().for_each(|line| text += &format!("{line}\n"));
            text.push('\n');
        }
        text += &format!("Measured on {}.\n", machine());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(input: u64, client: u64) -> ReadingRow {
        ReadingRow {
            name: "messages",
            amount: Amount {
                messages: 1_000,
                bytes: 100_000_000,
                records: 100_000,
            },
            input: Duration::from_millis(input),
            client: Duration::from_millis(client),
            input_peak: 1 << 20,
            client_peak: 2 << 20,
            runs: 3,
            bounds: ReadingBounds {
                times: 4.0,
                megabytes: Some(250.0),
            },
        }
    }

    #[test]
    fn a_case_costs_what_is_left_of_a_megabyte_and_of_a_message() {
        assert_eq!(
            row(400, 2_000).line(),
            "| messages | 100 | 1000 | 4.00 ms | 400 µs | 1.0 MiB | 20.00 ms | 2000 µs | 2.0 MiB | 250 | 5.0 | 3 |"
        );
    }

    #[test]
    fn each_target_that_is_missed_is_named() {
        assert!(row(400, 1_600).missed().is_empty());
        assert_eq!(row(400, 1_599).missed().len(), 1);
        assert_eq!(row(401, 1_605).missed().len(), 1);
        assert_eq!(row(800, 1_600).missed().len(), 2);
        let idle = |millis| IdleRow {
            name: "idle",
            cpu: Duration::from_millis(millis),
            span: Duration::from_secs(100),
            peak: 0,
            bound: 0.002,
        };
        assert_eq!(idle(200).missed(), None);
        assert!(idle(201).missed().is_some());
    }
}
