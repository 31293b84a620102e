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

/// Microsoft's client of event hubs, and all it needs.
pub const EVENT_HUB_CLIENT: &[&str] = &[
    "azure-core==1.41.0 --hash=sha256:522b4011e8180b1a3dcd2024396a4e7fe9ac37fb8597db47163d230b5efe892d",
    "azure-eventhub==5.15.1 --hash=sha256:ebe1379d228632d12892f0e2d480e0c13a234c384249b0c2c0fe862cd58b3e48",
    "certifi==2026.10.19.post1 --hash=sha256:1324c476b4811eff41a8bc2122cd0bbd4d9c7234c725446d99ab1612b3a7fdd2",
    "charset-normalizer==3.5.3 --hash=sha256:96e268b0cbda016ac519513294fcd17032264085b600abaac58b93049477e132",
    "idna==3.20 --hash=sha256:ab7ae7122974553370f0bdb919e1a960b2cd1bc1ef0276416d896db81c14582c",
    "requests==2.34.2 --hash=sha256:2a0d60c172f83ac6ab31e4554906c0f3b3588d37b5cb939b1c061f4907e278e0",
    "typing-extensions==4.16.0 --hash=sha256:481caa481374e813c1b176ada14e97f1f67a4539ce9cfeb3f350d78d6370c2e8",
    "urllib3==2.8.0 --hash=sha256:0cf3cae568d36aa9576b28dfb35f11328f1cb974ca7647d9475ebb86c75ac6e3",
];

static MAKING: Mutex<()> = Mutex::new(());

pub struct Venv {
    bin: PathBuf,
}

impl Venv {
    /// The environment `name` with exactly these requirements; made on first use. Where one has
    /// a hash, all must have one.
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
        // Hashes are taken from files alone.
        let file = directory.join("requirements.txt");
        fs::write(&file, &wanted).with_context(|| format!("cannot write {}", file.display()))?;
        tool::read(
            venv.python()
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--requirement",
                ])
                .arg(&file),
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
