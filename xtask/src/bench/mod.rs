//! What the modular input costs, run as splunkd runs it against the embedded
//! tenant over TLS: polls beside the floor, curl fetching the same bytes, and
//! streams beside Microsoft's Python client.

mod floor;
mod measure;
mod stream;
mod table;
mod tenant;

use crate::tool;
use crate::workspace::{NAME, Workspace};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use floor::Floor;
pub use measure::{Arguments as Measure, by_itself};
use measure::{Counter, Subject, Usage, median};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use table::Row;
use tenant::Tenant;

#[derive(Args)]
pub struct Arguments {
    /// Builds nothing and measures this executable
    #[arg(long, value_name = "PATH")]
    executable: Option<PathBuf>,
    /// Only the cases whose name holds this
    #[arg(long, value_name = "TEXT", default_value = "")]
    case: String,
    /// Only these
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Puts the tables into benches/README.md
    #[arg(long, conflicts_with = "case")]
    save: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Polls,
    Streams,
}

struct Case {
    name: &'static str,
    alerts: usize,
    /// Size of the largest object.
    object_bytes: Option<usize>,
    /// Measures polls that find nothing new.
    idle: bool,
    runs: usize,
    /// The most it may take.
    bounds: Bounds,
}

#[derive(Clone, Copy)]
struct Bounds {
    /// Bytes.
    peak: Option<u64>,
    cpu: Option<Duration>,
    /// Times curl's CPU.
    times: Option<u32>,
}

const PEAK: Option<u64> = Some(24 << 20);
const READING: Bounds = Bounds {
    peak: PEAK,
    cpu: None,
    times: Some(4),
};

const CASES: [Case; 4] = [
    Case {
        name: "idle poll",
        alerts: 10_000,
        object_bytes: None,
        idle: true,
        runs: 21,
        bounds: Bounds {
            peak: PEAK,
            cpu: Some(Duration::from_millis(20)),
            times: None,
        },
    },
    Case {
        name: "10 000 alerts",
        alerts: 10_000,
        object_bytes: None,
        idle: false,
        runs: 7,
        bounds: READING,
    },
    Case {
        name: "100 000 alerts",
        alerts: 100_000,
        object_bytes: None,
        idle: false,
        runs: 3,
        bounds: READING,
    },
    Case {
        name: "one 20 MB object",
        alerts: 100,
        object_bytes: Some(20_000_000),
        idle: false,
        runs: 7,
        bounds: Bounds {
            peak: None,
            ..READING
        },
    },
];

pub fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let executable = match &arguments.executable {
        Some(path) => path
            .canonicalize()
            .with_context(|| format!("no {}", path.display()))?,
        None => build(workspace)?,
    };
    let folder = workspace.target.join("bench");
    let is_wanted = |part| arguments.only.is_none_or(|only| only == part);
    let mut rows = Vec::new();
    for case in CASES
        .iter()
        .filter(|case| is_wanted(Part::Polls) && case.name.contains(&arguments.case))
    {
        let row = Bench::set(case, &executable, &folder)
            .and_then(|mut bench| bench.measure(case))
            .with_context(|| case.name)?;
        eprintln!("{}", row.line());
        rows.push(row);
    }
    let streams = match is_wanted(Part::Streams) {
        true => stream::measure(workspace, &executable, &folder, &arguments.case)?,
        false => stream::Table::default(),
    };
    let shown = [
        ("polls", rows.is_empty(), table::markdown(&rows)),
        ("streams", streams.is_empty(), streams.markdown()),
    ];
    for (what, is_empty, shown) in shown {
        if is_empty {
            continue;
        }
        println!("{shown}");
        if arguments.save {
            table::save(&workspace.root.join("benches/README.md"), what, &shown)?;
        }
    }
    let polls = rows.iter().flat_map(Row::missed);
    let missed: Vec<String> = polls.chain(streams.missed()).collect();
    if !missed.is_empty() {
        bail!("targets missed: {}", missed.join("; "));
    }
    Ok(())
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = tool::cargo();
    cargo.args(["build", "--release", "--locked", "--package", NAME]);
    tool::run(cargo.current_dir(&workspace.root))?;
    Ok(workspace.target.join("release").join(NAME))
}

/// A tenant, and an input that reads it.
struct Bench {
    executable: PathBuf,
    /// Emptied at the start.
    folder: PathBuf,
    tenant: Tenant,
}

impl Bench {
    fn set(case: &Case, executable: &Path, folder: &Path) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let mut settings = vec!["--alerts".to_owned(), case.alerts.to_string()];
        if let Some(bytes) = case.object_bytes {
            settings.extend(["--object-bytes".to_owned(), bytes.to_string()]);
        }
        let tenant = Tenant::start(executable, folder, Ipv4Addr::LOCALHOST, &settings)?;
        Ok(Self {
            executable: executable.to_owned(),
            folder: folder.to_owned(),
            tenant,
        })
    }

    fn measure(&mut self, case: &Case) -> Result<Row> {
        let settled = self.folder.join("idle");
        if case.idle {
            self.poll(&settled, case.alerts)?;
        }
        let mut input = Vec::new();
        let mut calls = Vec::new();
        let mut bytes = 0;
        for number in 0..case.runs {
            self.tenant.calls()?;
            let (home, expected) = match case.idle {
                true => (settled.clone(), 0),
                false => (self.folder.join(number.to_string()), case.alerts),
            };
            let (usage, written) = self.poll(&home, expected)?;
            input.push(usage);
            bytes = written;
            calls = self.tenant.calls()?;
        }
        let floor = Floor::of(&calls, &self.tenant.place, &self.folder)?;
        let floors: Vec<Usage> = (0..case.runs).map(|_| floor.run()).collect::<Result<_>>()?;
        Ok(Row {
            name: case.name,
            calls: calls.len(),
            bytes,
            runs: case.runs,
            input: median(&input),
            floor: median(&floors),
            bounds: case.bounds,
        })
    }

    /// One run of the input in this home; also the bytes it wrote.
    fn poll(&self, home: &Path, expected: usize) -> Result<(Usage, usize)> {
        fs::create_dir_all(home)?;
        let splunkd = &self.tenant.place.splunkd;
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<input>\n\
             <server_host>bench</server_host>\n<server_uri>{}</server_uri>\n\
             <session_key>{}</session_key>\n<checkpoint_dir>{}</checkpoint_dir>\n\
             <configuration><stanza name=\"{NAME}://bench\" app=\"{NAME}\">\n\
             <param name=\"account\">{}</param>\n<param name=\"feed\">alerts</param>\n\
             <param name=\"start\">-30d</param>\n<param name=\"settle\">0s</param>\n\
             </stanza></configuration>\n</input>\n",
            splunkd.uri,
            splunkd.session_key,
            home.join("checkpoints").display(),
            splunkd.account,
        );
        let mut alerts = Counter::of("<sourcetype>ms365:defender:incident:alerts</sourcetype>");
        let mut written = 0;
        let input = Subject {
            command: vec![self.executable.clone().into()],
            home,
            document: document.as_bytes(),
        };
        let usage = input.run(|piece| {
            alerts.take(piece);
            written += piece.len();
        })?;
        if alerts.count != expected {
            bail!(
                "{} alerts came, {expected} were expected\n{}",
                alerts.count,
                input.said()?
            );
        }
        Ok((usage, written))
    }
}
