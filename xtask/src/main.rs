//! What is done to the product rather than by it: tests, packages, checks,
//! measurements.
//! `cargo xtask test` runs all that CI runs; each part is a command of its own.

mod advisories;
mod appinspect;
mod archive;
mod bench;
mod conf;
mod dependencies;
mod executable;
mod forms;
mod lanes;
mod licences;
mod package;
mod python;
mod sbom;
mod smoke;
mod steps;
mod tool;
mod web;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Tests, packages, checks and measures Defender Bridge"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    #[command(flatten)]
    Work(Work),
    /// One process, measured: `bench` starts what it measures through this
    #[command(hide = true)]
    Measure(bench::Measure),
}

#[derive(Subcommand)]
enum Work {
    /// Everything CI runs, steps side by side; skips nothing
    Test {
        /// Only these
        steps: Vec<steps::Step>,
    },
    /// The Splunk app, `target/package/defender_bridge-<version>-linux_x86_64.spl`
    Package {
        /// dev assembles a development build, under target/package/dev: for trying things, not for others
        #[arg(long, value_enum, default_value_t = Profile::Release)]
        profile: Profile,
        /// Builds nothing and packs this executable, under target/package/dev
        #[arg(long, value_name = "PATH", conflicts_with = "profile")]
        skip_build: Option<PathBuf>,
    },
    /// Splunk's AppInspect (precert and cloud) on a package
    Appinspect {
        /// The package [default: the one `cargo xtask package` made]
        package: Option<PathBuf>,
    },
    /// The conf files against their specs, the form and the versions
    Conf,
    /// Writes the forms of both alert actions anew, out of xtask/src/forms/update.html
    Forms,
    /// Licences, banned crates, sources and security advisories of all dependencies, by deny.toml
    Dependencies,
    /// Makes the snapshot of advisories anew out of a clone of the RustSec database
    Advisories {
        /// The clone's folder
        database: PathBuf,
    },
    /// The pages in Splunk Web: types, unit tests, the script, journeys in Chromium, dashboards
    Web,
    /// CPU, memory and time of the modular input beside curl fetching the same bytes
    Bench(bench::Arguments),
    /// Starts the executable out of a package as splunkd would, and looks that no server is in it
    Smoke {
        /// The package [default: the one `cargo xtask package` made]
        package: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Profile {
    Release,
    Dev,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Work(work) => work.go(&Workspace::open()?),
        Task::Measure(arguments) => bench::by_itself(&arguments),
    }
}

impl Work {
    fn go(self, workspace: &Workspace) -> Result<()> {
        match self {
            Self::Test { steps } => steps::test(workspace, &steps),
            Self::Package {
                profile,
                skip_build,
            } => {
                let package = match (skip_build, profile) {
                    (Some(path), _) => package::trial(workspace, &path)?,
                    (None, Profile::Dev) => {
                        package::trial(workspace, &executable::development(workspace)?)?
                    }
                    (None, Profile::Release) => {
                        package::release(workspace, &executable::release(workspace)?)?
                    }
                };
                println!("{}", package.display());
                Ok(())
            }
            Self::Appinspect { package } => {
                let package = package::or_released(workspace, package)?;
                appinspect::inspect(workspace, &package, appinspect::Checks::Precert)?;
                appinspect::inspect(workspace, &package, appinspect::Checks::Cloud)
            }
            Self::Bench(arguments) => bench::run(workspace, &arguments),
            Self::Conf => conf::check(workspace),
            Self::Forms => forms::write(&workspace.root),
            Self::Dependencies => dependencies::check(workspace),
            Self::Advisories { database } => advisories::renew(workspace, &database),
            Self::Web => steps::pages(workspace),
            Self::Smoke { package } => {
                smoke::start(workspace, &package::or_released(workspace, package)?)
            }
        }
    }
}
