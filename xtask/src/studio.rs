//! The Studio dashboards, checked and drawn by what `splunk_app/ui/studio` holds.
//! Node, npm and Chromium come from the machine; what npm brings is for this check alone.

use crate::tool;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

pub fn check(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join("splunk_app/ui/studio");
    install(&folder)?;
    tool::run(npm(&folder).arg("test"))
}

/// Installs exactly what the lockfile names, unless that is there already.
fn install(folder: &Path) -> Result<()> {
    let lockfile = folder.join("package-lock.json");
    let wanted = fs::read_to_string(&lockfile)
        .with_context(|| format!("cannot read {}", lockfile.display()))?;
    let stamp = folder.join("node_modules/.installed");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    tool::run(npm(folder).args(["ci", "--no-progress"]))
        .context("needed: node 18 or later with npm (Debian: apt-get install nodejs npm)")?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn npm(folder: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(folder);
    npm
}
