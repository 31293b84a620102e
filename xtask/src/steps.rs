//! Everything CI runs, in an order that fails early: what takes a second first,
//! the release build last. The first step that fails ends it.

use crate::web::Project;
use crate::workspace::{NAME, SHIPPED, Workspace};
use crate::{appinspect, conf, dependencies, executable, package, smoke, tool};
use anyhow::{Context, Result};
use std::time::Instant;

pub fn test(workspace: &Workspace) -> Result<()> {
    let mut steps = Steps { passed: 0 };
    steps.step("format", || cargo(workspace, &["fmt", "--all", "--check"]))?;
    steps.step("conf files", || conf::check(workspace))?;
    steps.step("dependencies", || dependencies::check(workspace))?;
    steps.step("lints", || {
        cargo(
            workspace,
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ],
        )
    })?;
    steps.step("lints of what is shipped", || {
        let product = ["clippy", "--locked", "--package", NAME];
        let parts = ["--lib", "--bins", "--tests", "--", "-D", "warnings"];
        cargo(workspace, &[&product, SHIPPED, &parts].concat())
    })?;
    steps.step("documentation", || {
        tool::run(
            tool::cargo()
                .args([
                    "doc",
                    "--workspace",
                    "--no-deps",
                    "--document-private-items",
                    "--locked",
                ])
                .env("RUSTDOCFLAGS", "-D warnings")
                .current_dir(&workspace.root),
        )
    })?;
    steps.step("tests of parts", || {
        cargo(
            workspace,
            &["test", "--workspace", "--locked", "--lib", "--bins"],
        )?;
        cargo(workspace, &["test", "--workspace", "--locked", "--doc"])
    })?;
    steps.step("tests of the executable", || {
        tool::run(
            tool::cargo()
                .args(["test", "--locked", "--package", NAME, "--test", "*"])
                .env("RUST_TEST_THREADS", waiting().to_string())
                .current_dir(&workspace.root),
        )
    })?;
    steps.step("fuzz targets over their seeds", || fuzz(workspace))?;
    steps.web(workspace)?;
    let package = steps.step("package", || {
        package::release(workspace, &executable::release(workspace)?)
    })?;
    steps.step("AppInspect", || appinspect::inspect(workspace, &package))?;
    steps.step("start of the packaged executable", || {
        smoke::start(workspace, &package)
    })?;
    println!("\nsteps: {} passed, 0 failed", steps.passed);
    Ok(())
}

/// What the pages need alone.
pub fn web(workspace: &Workspace) -> Result<()> {
    Steps { passed: 0 }.web(workspace)
}

/// How many tests of the executable go side by side: they wait more than they compute, for pauses
/// Microsoft asks for and for what shows late.
fn waiting() -> usize {
    const PER_CORE: usize = 4;
    PER_CORE * std::thread::available_parallelism().map_or(1, usize::from)
}

/// With a stable compiler: every target is built, none is driven by the fuzzer.
fn fuzz(workspace: &Workspace) -> Result<()> {
    let own = [
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--no-default-features",
    ];
    for arguments in [
        [
            "clippy",
            "--locked",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]
        .as_slice(),
        &["test", "--locked", "--lib"],
    ] {
        let (command, rest) = arguments.split_at(1);
        tool::run(
            tool::cargo()
                .args([command, own.as_slice(), rest].concat())
                // What is built for the product is not built twice.
                .env("CARGO_TARGET_DIR", &workspace.target)
                .current_dir(&workspace.root),
        )?;
    }
    Ok(())
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    tool::run(tool::cargo().args(arguments).current_dir(&workspace.root))
}

struct Steps {
    passed: u32,
}

impl Steps {
    fn web(&mut self, workspace: &Workspace) -> Result<()> {
        let pages = self.step("pages: tools", || Project::pages(workspace))?;
        self.step("pages: types", || pages.types())?;
        let executable = executable::development(workspace)?;
        self.step("pages: unit tests", || pages.units(&executable))?;
        self.step("pages: script", || pages.bundle(workspace).map(drop))?;
        self.step("pages: journeys", || pages.journeys(workspace, &executable))?;
        let dashboards = self.step("dashboards: tools", || Project::dashboards(workspace))?;
        self.step("dashboards", || dashboards.tests())
    }

    fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n=== {name}");
        let started = Instant::now();
        let result = work();
        let seconds = started.elapsed().as_secs_f32();
        match &result {
            Ok(_) => {
                self.passed += 1;
                println!("=== {name}: passed in {seconds:.1} s");
            }
            Err(_) => println!("=== {name}: FAILED after {seconds:.1} s"),
        }
        result.with_context(|| format!("{name} failed ({} steps passed before)", self.passed))
    }
}
