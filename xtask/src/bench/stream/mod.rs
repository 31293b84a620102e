//! What following an event hub costs: the modular input as splunkd runs it, and Microsoft's
//! Python client, read the same hub, over TLS, one after the other.
//!
//! Each reads a short backlog and a long one. What the long one takes more is what reading
//! costs, start-up apart; an idle hub is followed for a short and a long time.

mod hub;
mod table;

use super::measure::{Usage, median};
use crate::python::{EVENT_HUB_CLIENT, Venv};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use hub::{Amount, Backlog, Hub};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
pub use table::Table;
use table::{IdleRow, MemoryRow, ReadingRow};

const SCRIPT: &str = include_str!("client.py");

/// Messages of one size, read beside Microsoft's client.
struct Reading {
    name: &'static str,
    /// About what a message has.
    message: usize,
    /// Records of the short backlog and of the long one.
    records: [u64; 2],
    runs: usize,
    bounds: ReadingBounds,
}

#[derive(Clone, Copy)]
pub struct ReadingBounds {
    /// The client takes so many times as much CPU at least.
    times: f64,
    /// Megabytes in a second of CPU, at least.
    megabytes: Option<f64>,
}

const READINGS: [Reading; 3] = [
    Reading {
        name: "messages of 180 kB",
        message: 180_000,
        records: [20_000, 220_000],
        runs: 3,
        bounds: ReadingBounds {
            times: 4.0,
            megabytes: Some(250.0),
        },
    },
    Reading {
        name: "messages of 12 kB",
        message: 12_000,
        records: [10_000, 110_000],
        runs: 3,
        bounds: ReadingBounds {
            times: 6.0,
            megabytes: None,
        },
    },
    Reading {
        name: "messages of 2 kB",
        message: 2_100,
        records: [10_000, 110_000],
        runs: 3,
        bounds: ReadingBounds {
            times: 10.0,
            megabytes: None,
        },
    },
];

/// Partitions of the hubs that are read for speed.
const PARTITIONS: usize = 4;

/// The largest messages, in many partitions.
struct Memory {
    name: &'static str,
    partitions: usize,
    records: u64,
    runs: usize,
    /// Bytes.
    peak: u64,
}

const MEMORY: [Memory; 2] = [
    Memory {
        name: "messages of 1 MB, 8 partitions",
        partitions: 8,
        records: 240_000,
        runs: 5,
        peak: 32 << 20,
    },
    Memory {
        name: "messages of 1 MB, 32 partitions",
        partitions: 32,
        records: 640_000,
        runs: 5,
        peak: 64 << 20,
    },
];

const IDLE: &str = "idle hub, 32 partitions";
const IDLE_PARTITIONS: usize = 32;
/// How long an idle hub is followed: shorter, and longer.
const IDLE_SPANS: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(270)];
/// Of a core.
const IDLE_SHARE: f64 = 0.002;

/// Measures the cases whose name holds `wanted`.
pub fn measure(
    workspace: &Workspace,
    executable: &Path,
    folder: &Path,
    wanted: &str,
) -> Result<Table> {
    let bench = Bench {
        workspace,
        executable,
        folder: folder.join("stream"),
    };
    thread::scope(|scope| {
        // Hardly any CPU and much time: beside the others.
        let idle = IDLE.contains(wanted).then(|| scope.spawn(|| bench.idle()));
        let mut table = bench.readings_and_memory(wanted)?;
        if let Some(idle) = idle {
            let row = idle.join().unwrap_or_else(|_| bail!("a run died"));
            let row = row.context(IDLE)?;
            eprintln!("{}", row.line());
            table.idle = Some(row);
        }
        Ok(table)
    })
}

struct Bench<'b> {
    workspace: &'b Workspace,
    executable: &'b Path,
    folder: PathBuf,
}

impl Bench<'_> {
    fn readings_and_memory(&self, wanted: &str) -> Result<Table> {
        let mut table = Table::default();
        for case in READINGS.iter().filter(|case| case.name.contains(wanted)) {
            let row = self.reading(case).context(case.name)?;
            eprintln!("{}", row.line());
            table.readings.push(row);
        }
        for case in MEMORY.iter().filter(|case| case.name.contains(wanted)) {
            let row = self.memory(case).context(case.name)?;
            eprintln!("{}", row.line());
            table.memory.push(row);
        }
        Ok(table)
    }

    fn hub(&self, backlog: &Backlog) -> Result<Hub> {
        Hub::start(self.executable, &self.folder, backlog)
    }

    fn reading(&self, case: &Reading) -> Result<ReadingRow> {
        let python = Venv::with(self.workspace, "event-hub-client", EVENT_HUB_CLIENT)?.python();
        let python = Path::new(python.get_program());
        let mut found = Vec::new();
        for records in case.records {
            let hub = self.hub(&Backlog {
                partitions: PARTITIONS,
                records,
                message: case.message,
            })?;
            let script = self.folder.join("client.py");
            std::fs::write(&script, SCRIPT)?;
            let (mut input, mut client) = (Vec::new(), Vec::new());
            let mut amount = Amount::default();
            for run in 0..case.runs {
                input.push(hub.follow(self.executable, &run.to_string())?);
                let (usage, read) = hub.read_by(python, &script)?;
                client.push(usage);
                amount = read;
            }
            found.push(Read {
                amount,
                input: median(&input),
                client: median(&client),
            });
        }
        let [short, long]: [Read; 2] = found.try_into().ok().context("two backlogs")?;
        Ok(ReadingRow {
            name: case.name,
            amount: long.amount.since(short.amount),
            input: long.input.cpu().saturating_sub(short.input.cpu()),
            client: long.client.cpu().saturating_sub(short.client.cpu()),
            input_peak: long.input.peak,
            client_peak: long.client.peak,
            runs: case.runs,
            bounds: case.bounds,
        })
    }

    fn memory(&self, case: &Memory) -> Result<MemoryRow> {
        let hub = self.hub(&Backlog {
            partitions: case.partitions,
            records: case.records,
            message: 1_000_000,
        })?;
        let runs: Vec<Usage> = (0..case.runs)
            .map(|run| hub.follow(self.executable, &run.to_string()))
            .collect::<Result<_>>()?;
        Ok(MemoryRow {
            name: case.name,
            peak: median(&runs).peak,
            most: runs.iter().map(|run| run.peak).max().unwrap_or(0),
            runs: case.runs,
            bound: case.peak,
        })
    }

    /// Both spans at the same time: they do not disturb each other's CPU time.
    fn idle(&self) -> Result<IdleRow> {
        let backlog = Backlog {
            partitions: IDLE_PARTITIONS,
            records: 0,
            message: 1_000_000,
        };
        let hub = Hub::start(
            self.executable,
            &self.folder.with_extension("idle"),
            &backlog,
        )?;
        let inputs = [
            hub.input(self.executable, "short")?,
            hub.input(self.executable, "long")?,
        ];
        let [short, long] = thread::scope(|scope| {
            let [short, long] = &inputs;
            let runs = [(short, IDLE_SPANS[0]), (long, IDLE_SPANS[1])]
                .map(|(input, span)| scope.spawn(move || input.run_for(span)));
            runs.map(|run| run.join().unwrap_or_else(|_| bail!("a run died")))
        });
        let (short, long) = (short?, long?);
        Ok(IdleRow {
            name: IDLE,
            cpu: long.cpu().saturating_sub(short.cpu()),
            span: long.wall.saturating_sub(short.wall),
            peak: long.peak,
            bound: IDLE_SHARE,
        })
    }
}

/// One backlog, read by both.
#[derive(Debug)]
struct Read {
    amount: Amount,
    input: Usage,
    client: Usage,
}
