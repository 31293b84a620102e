//! Tools that come from PyPI, at fixed versions, each in its own place under
//! `target/tools`. Nothing of this is shipped.

use crate::tool;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

static MAKING: Mutex<()> = Mutex::new(());

pub struct Venv {
    bin: PathBuf,
}

impl Venv {
    /// The environment `name` with exactly these requirements; made on first use.
    pub fn with(workspace: &Workspace, name: &str, requirements: &[&str]) -> Result<Self> {
        let directory = workspace.target.join("tools").join(name);
        let venv = Self {
            bin: directory.join("bin"),
        };
        // Two steps may ask for the same one at the same time.
        let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = directory.join("requirements");
        let wanted = requirements.join("\n");
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(venv);
        }
        if directory.exists() {
            fs::remove_dir_all(&directory)
                .with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        tool::read(Command::new(python).args(["-m", "venv"]).arg(&directory)).context(
            "no Python environment: install python3 with venv (Debian: apt-get install python3-venv), or name one in PYTHON",
        )?;
        tool::read(
            venv.python()
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                ])
                .args(requirements),
        )
        .with_context(|| format!("cannot install from PyPI: {}", requirements.join(", ")))?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(venv)
    }

    pub fn python(&self) -> Command {
        self.program("python")
    }

    pub fn program(&self, name: &str) -> Command {
        Command::new(self.bin.join(name))
    }

    /// `PATH` with this environment's programs in front.
    pub fn path(&self) -> Result<OsString> {
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        std::env::join_paths(
            std::iter::once(self.bin.clone()).chain(std::env::split_paths(&inherited)),
        )
        .context("PATH cannot be extended")
    }
}
