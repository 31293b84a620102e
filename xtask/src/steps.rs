//! Everything CI runs: which steps there are, which go side by side, and what each of them runs.

use crate::appinspect::{self, Checks};
use crate::lanes::{self, Lane, Task};
use crate::python::{EVENT_HUB_CLIENT, Venv};
use crate::web::{self, Project};
use crate::workspace::{SHIPPED, Workspace};
use crate::{conf, dependencies, executable, package, smoke, tool};
use anyhow::Result;
use clap::ValueEnum;
use std::process::Command;

/// A step makes what it needs where it is not there yet, so that it also runs alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Step {
    /// Sources are formatted
    Format,
    /// Conf files against their specs; documents, links, paths
    Conf,
    /// Licences, sources and advisories of all crates
    Dependencies,
    /// Lints of everything
    Lints,
    /// Lints of what is shipped, which has no sandbox
    LintsShipped,
    /// Documentation of the code
    Documentation,
    /// Tests and executable, built
    Build,
    /// Tests of the parts
    Parts,
    /// Tests of the executable, run as splunkd runs it
    Executable,
    /// Claims, checkpoints and append blobs beside Microsoft's own client and emulator
    BlobStore,
    /// Fuzz targets over their seeds
    Fuzz,
    /// Tools of the pages and the dashboards
    PageTools,
    /// Types of the pages
    PageTypes,
    /// Unit tests of the pages
    PageUnits,
    /// The pages' script
    PageScript,
    /// The pages in Chromium
    Journeys,
    /// The dashboards: validated, followed, drawn
    Dashboards,
    /// Microsoft's own clients against the embedded event hub
    EventHubClients,
    /// The executable that is shipped
    Release,
    /// The package
    Package,
    /// Splunk AppInspect on the package, as Splunkbase runs it
    Appinspect,
    /// Splunk AppInspect on the package, as Splunk Cloud runs it
    AppinspectCloud,
    /// The executable out of the package
    Smoke,
}

use Step::*;

/// What takes a moment comes first, then the build: the longest way leads from it through the journeys. Everything else
/// goes beside them, waiting or nice. Two compilations into one folder wait for each other, so lints come once the tests
/// of the executable run.
const LANES: &[&[Step]] = &[
    &[
        Format,
        Conf,
        Dependencies,
        Build,
        Executable,
        EventHubClients,
    ],
    &[
        PageTools, PageTypes, PageScript, PageUnits, Journeys, Dashboards,
    ],
    &[Parts, Lints, LintsShipped, Documentation, Fuzz, BlobStore],
    &[Release, Package, Smoke, Appinspect],
    &[AppinspectCloud],
];

impl Step {
    /// What has to pass in other lanes before it begins.
    fn after(self) -> &'static [Step] {
        match self {
            PageTools | Release => &[Dependencies],
            PageUnits | Parts | BlobStore => &[Build],
            AppinspectCloud => &[Package],
            _ => &[],
        }
    }

    /// As it is chosen on the command line.
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn work(self, workspace: &Workspace) -> Result<()> {
        match self {
            Format => cargo(workspace, &["fmt", "--all", "--check"]),
            Conf => conf::check(workspace),
            Dependencies => dependencies::check(workspace),
            Lints => clippy(workspace, &["--all-targets"]),
            LintsShipped => clippy(
                workspace,
                &[SHIPPED, &["--lib", "--bins", "--tests"]].concat(),
            ),
            Documentation => documentation(workspace),
            Build => build(workspace),
            Parts => {
                build(workspace)?;
                tests(workspace, &["--lib", "--bins"])?;
                tests(workspace, &["--doc"])
            }
            Executable => {
                build(workspace)?;
                tests(workspace, &["--test", "*"])
            }
            BlobStore => blob_store(workspace),
            Fuzz => fuzz(workspace),
            PageTools => {
                Project::pages(workspace)?;
                Project::dashboards(workspace).map(drop)
            }
            PageTypes => Project::pages(workspace)?.types(),
            PageScript => Project::pages(workspace)?
                .bundle(workspace, &web::made(workspace))
                .map(drop),
            PageUnits => Project::pages(workspace)?.units(&executable::development(workspace)?),
            Journeys => {
                let executable = executable::development(workspace)?;
                Project::pages(workspace)?.journeys(workspace, &executable)
            }
            Dashboards => Project::dashboards(workspace)?.tests(),
            EventHubClients => {
                let executable = executable::development(workspace)?;
                let python = Venv::with(workspace, "event-hub-client", EVENT_HUB_CLIENT)?.python();
                Project::event_hub_clients(workspace)?.clients(&executable, &python)
            }
            Release => executable::release(workspace).map(drop),
            Package => {
                let executable = executable::release(workspace)?;
                package::release(workspace, &executable).map(drop)
            }
            Appinspect => inspect(workspace, Checks::Precert),
            AppinspectCloud => inspect(workspace, Checks::Cloud),
            Smoke => smoke::start(workspace, &package::or_released(workspace, None)?),
        }
    }
}

/// All steps, or those that are named.
pub fn test(workspace: &Workspace, chosen: &[Step]) -> Result<()> {
    let lanes = LANES.iter().map(|lane| {
        let steps = lane
            .iter()
            .filter(|step| chosen.is_empty() || chosen.contains(step));
        steps.copied().collect::<Vec<_>>()
    });
    go(workspace, lanes.collect())
}

/// What the pages need alone.
pub fn pages(workspace: &Workspace) -> Result<()> {
    let pages = LANES.iter().find(|lane| lane.contains(&Journeys));
    go(workspace, vec![pages.copied().unwrap_or_default().to_vec()])
}

fn go(workspace: &Workspace, lanes: Vec<Vec<Step>>) -> Result<()> {
    let all: Vec<Step> = lanes.concat();
    let task = |step: Step| Task {
        name: step.name(),
        after: step
            .after()
            .iter()
            .filter(|other| all.contains(other))
            .map(|other| other.name())
            .collect(),
        work: Box::new(move || step.work(workspace)),
    };
    let lanes = lanes.into_iter().filter(|lane| !lane.is_empty());
    let lanes: Vec<Lane<'_>> = lanes
        .map(|lane| lane.into_iter().map(task).collect())
        .collect();
    lanes::run(lanes, &workspace.target.join("steps"), "cargo xtask test")
}

/// How many tests go side by side: most of them wait for pauses Microsoft asks for, for what shows late, for files.
fn side_by_side() -> String {
    const PER_CORE: usize = 4;
    (PER_CORE * std::thread::available_parallelism().map_or(1, usize::from)).to_string()
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    tool::run(&mut compiler(workspace, tool::cargo().args(arguments)))
}

fn compiler(workspace: &Workspace, command: &mut Command) -> Command {
    tool::nice(command.current_dir(&workspace.root))
}

/// Always the whole workspace: cargo would choose other features for less of it, and build the crates again.
fn clippy(workspace: &Workspace, scope: &[&str]) -> Result<()> {
    let words = ["clippy", "--workspace", "--locked"];
    cargo(
        workspace,
        &[&words, scope, &["--", "-D", "warnings"]].concat(),
    )
}

fn documentation(workspace: &Workspace) -> Result<()> {
    let words = [
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--locked",
    ];
    let mut command = tool::cargo();
    command.args(words).env("RUSTDOCFLAGS", "-D warnings");
    tool::run(&mut compiler(workspace, &mut command))
}

fn build(workspace: &Workspace) -> Result<()> {
    cargo(workspace, &["test", "--workspace", "--locked", "--no-run"])
}

fn tests(workspace: &Workspace, which: &[&str]) -> Result<()> {
    tool::run(
        tool::cargo()
            .args(["test", "--workspace", "--locked"])
            .args(which)
            .env("RUST_TEST_THREADS", side_by_side())
            .current_dir(&workspace.root),
    )
}

/// What needs Microsoft's clients is left out of `parts` and `executable`, and run here.
fn blob_store(workspace: &Workspace) -> Result<()> {
    let clients = Project::azure(workspace)?;
    build(workspace)?;
    let words = [
        "test",
        "--workspace",
        "--locked",
        "--lib",
        "--test",
        "it",
        "--",
        "--ignored",
        "azurite",
    ];
    tool::run(
        tool::cargo()
            .args(words)
            .env("AZURE_COUNTERPARTS", clients.folder())
            .current_dir(&workspace.root),
    )
}

fn inspect(workspace: &Workspace, checks: Checks) -> Result<()> {
    appinspect::inspect(workspace, &package::or_released(workspace, None)?, checks)
}

/// With a stable compiler: every target is built, none is driven by the fuzzer.
fn fuzz(workspace: &Workspace) -> Result<()> {
    let own = [
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--no-default-features",
        "--locked",
    ];
    let lints = ["--all-targets", "--", "-D", "warnings"];
    for words in [
        [&["clippy"], own.as_slice(), &lints].concat(),
        [&["test"], own.as_slice(), &["--lib"]].concat(),
    ] {
        let mut command = tool::cargo();
        // What is built for the product is not built twice.
        command
            .args(words)
            .env("CARGO_TARGET_DIR", &workspace.target);
        tool::run(&mut compiler(workspace, &mut command))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_run_once_and_waits_for_steps_of_other_lanes_only() {
        let all = LANES.concat();
        for step in Step::value_variants() {
            assert_eq!(
                all.iter().filter(|other| *other == step).count(),
                1,
                "{step:?}"
            );
            let own = LANES.iter().find(|lane| lane.contains(step)).unwrap();
            for other in step.after() {
                assert!(!own.contains(other), "{step:?} after {other:?}");
            }
        }
    }
}
