//! The pages of the app in Splunk Web: their tools from the npm registry, their
//! checks, and the one script they are shipped as.

mod bundled;

pub use bundled::{Bundled, Script};

use crate::dependencies;
use crate::tool;
use crate::workspace::{NAME, Workspace};
use anyhow::{Context, Result, bail};
use bundled::bundled;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// What the tools at the locked versions run on.
const OLDEST_NODE: u32 = 18;

/// What `npm ci` was run for, so that it is run once.
const STAMP: &str = "node_modules/.installed";

static INSTALLING: Mutex<()> = Mutex::new(());

/// A folder with a package.json and its lock.
pub struct Project {
    folder: PathBuf,
}

impl Project {
    /// The pages: Configuration, Inputs, Triage.
    pub fn pages(workspace: &Workspace) -> Result<Self> {
        Self::open(workspace.root.join("splunk_app/ui"))
    }

    /// The dashboards' own checks, which need other tools.
    pub fn dashboards(workspace: &Workspace) -> Result<Self> {
        Self::open(workspace.root.join("splunk_app/ui/studio"))
    }

    /// Microsoft's own clients of event hubs, and a store of checkpoints.
    pub fn event_hub_clients(workspace: &Workspace) -> Result<Self> {
        Self::open(workspace.root.join("tests/event_hub_clients"))
    }

    /// Microsoft's own clients of event hubs and storage, and its emulator.
    pub fn azure(workspace: &Workspace) -> Result<Self> {
        Self::open(workspace.root.join("tests/counterparts/azure"))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn open(folder: PathBuf) -> Result<Self> {
        let project = Self { folder };
        project.install()?;
        Ok(project)
    }

    /// Exactly what the lock names. No script of a package is run.
    fn install(&self) -> Result<()> {
        node()?;
        // Packaging may ask for them at the same time.
        let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = self.locked()?;
        let stamp = self.folder.join(STAMP);
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        tool::run(&mut self.npm(&["ci", "--ignore-scripts", "--no-audit", "--no-fund"])).with_context(
            || {
                format!(
                    "cannot install what {}/package-lock.json names: is the npm registry reachable?",
                    self.folder.display()
                )
            },
        )?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    }

    fn locked(&self) -> Result<String> {
        let path = self.folder.join("package-lock.json");
        let lock = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut sum = String::new();
        for byte in Sha256::digest(lock) {
            write!(sum, "{byte:02x}")?;
        }
        Ok(sum)
    }

    fn npm(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("npm");
        command.args(arguments).current_dir(&self.folder);
        command
    }

    /// Types of all sources.
    pub fn types(&self) -> Result<()> {
        tool::run(&mut self.npm(&["run", "--silent", "types"]))
    }

    /// Everything but the browser; the stand-in of Splunk starts the executable.
    pub fn units(&self, executable: &Path) -> Result<()> {
        tool::run(
            self.npm(&["run", "--silent", "unit"])
                .env("DEFENDER_BRIDGE_EXECUTABLE", executable),
        )
    }

    /// The pages in Chromium, against a Splunk with the executable behind it.
    pub fn journeys(&self, workspace: &Workspace, executable: &Path) -> Result<()> {
        tool::run(
            self.npm(&["run", "--silent", "journeys"])
                .env("DEFENDER_BRIDGE_EXECUTABLE", executable)
                .env("DEFENDER_BRIDGE_UI_OUT", made(workspace))
                .env("CHROMIUM", chromium()?),
        )
    }

    /// Whatever the project calls its tests.
    pub fn tests(&self) -> Result<()> {
        tool::run(self.npm(&["test"]).env("CHROMIUM", chromium()?))
    }

    /// The clients against the event hub of this executable; Python brings one of its own.
    pub fn clients(&self, executable: &Path, python: &Command) -> Result<()> {
        tool::run(
            self.npm(&["test"])
                .env("DEFENDER_BRIDGE_EXECUTABLE", executable)
                .env("DEFENDER_BRIDGE_PYTHON", python.get_program()),
        )
    }

    /// Makes the script in this folder and says what went into it.
    pub fn bundle(&self, workspace: &Workspace, target: &Path) -> Result<Script> {
        tool::run(
            self.npm(&["run", "--silent", "bundle"])
                .env("DEFENDER_BRIDGE_UI_OUT", target),
        )?;
        let path = target.join(format!("{NAME}.js"));
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let libraries = bundled(&self.folder, &target.join("meta.json"))?;
        for Bundled { library, .. } in &libraries {
            dependencies::allowed(workspace, &library.name, &library.licence)?;
        }
        Ok(Script { bytes, libraries })
    }
}

/// Where the script is made that the journeys look at.
pub fn made(workspace: &Workspace) -> PathBuf {
    workspace.target.join("ui")
}

/// That there is a Node.js the tools run on.
fn node() -> Result<()> {
    let printed = tool::read(Command::new("node").arg("--version")).with_context(|| {
        format!("no Node.js: install version {OLDEST_NODE} or later with npm (Debian: apt-get install nodejs npm)")
    })?;
    let major = printed
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= OLDEST_NODE => Ok(()),
        _ => bail!(
            "Node.js {} is too old: install version {OLDEST_NODE} or later",
            printed.trim()
        ),
    }
}

/// The browser of this machine.
fn chromium() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM").filter(|path| !path.is_empty()) {
        return Ok(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ]
    .iter()
    .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
    .find(|path| path.is_file())
    .context("no Chromium: install it (Debian: apt-get install chromium), or name one in CHROMIUM")
}
