//! The Splunk app, assembled: conf files, specs, static parts, the executable,
//! and what the law and the customer want to know about it.

use crate::archive::{self, File, Files};
use crate::executable::PLATFORM;
use crate::workspace::{NAME, Workspace};
use crate::{licences, sbom};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of `splunk_app/` that other parts are made from, and that are not shipped.
const SOURCES: &[&str] = &["icons", "ui"];

/// The package for others.
pub fn release(workspace: &Workspace, executable: &Path) -> Result<PathBuf> {
    write(workspace, executable, &workspace.target.join("package"))
}

/// The same with any executable, in a place of its own.
pub fn trial(workspace: &Workspace, executable: &Path) -> Result<PathBuf> {
    write(workspace, executable, &workspace.target.join("package/dev"))
}

/// The package named, or the one for others where it has been made.
pub fn or_released(workspace: &Workspace, named: Option<PathBuf>) -> Result<PathBuf> {
    let path = match named {
        Some(path) => path,
        None => workspace.target.join("package").join(file_name(workspace)?),
    };
    if !path.is_file() {
        bail!(
            "there is no {}: make it with `cargo xtask package`",
            path.display()
        );
    }
    Ok(path)
}

fn file_name(workspace: &Workspace) -> Result<String> {
    Ok(format!("{NAME}-{}-{PLATFORM}.spl", workspace.version()?))
}

fn write(workspace: &Workspace, executable: &Path, folder: &Path) -> Result<PathBuf> {
    let root = &workspace.root;
    let libraries = workspace.shipped()?;
    let bill = sbom::document(workspace, &libraries)?;

    let mut files = Files::new();
    for part in ["default", "README"] {
        gather(&root.join(part), part, &mut files)?;
    }
    gather(&root.join("splunk_app"), "", &mut files)?;
    add(&mut files, "LICENSE", read(&root.join("LICENSE"))?);
    add(
        &mut files,
        "THIRD-PARTY-LICENSES.txt",
        licences::document(&libraries)?.into_bytes(),
    );
    add(&mut files, "sbom.cdx.json", bill.clone().into_bytes());
    files.insert(
        format!("bin/{NAME}"),
        File {
            bytes: read(executable)?,
            executable: true,
        },
    );

    let packed = archive::pack(NAME, &files)?;
    let name = file_name(workspace)?;
    let mut sum = String::new();
    for byte in Sha256::digest(&packed) {
        write!(sum, "{byte:02x}")?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(&name);
    put(&path, &packed)?;
    put(
        &folder.join(format!("{name}.sha256")),
        format!("{sum}  {name}\n").as_bytes(),
    )?;
    put(&folder.join(format!("{name}.cdx.json")), bill.as_bytes())?;
    Ok(path)
}

/// All files below a folder. `splunk_app/` is the app's top folder, so its own sources are left out there.
fn gather(folder: &Path, below: &str, files: &mut Files) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let entry = entry?;
        let name = entry.file_name();
        let name = name
            .to_str()
            .with_context(|| format!("a name that is not UTF-8 in {}", folder.display()))?;
        if name.starts_with('.') || name.ends_with('~') {
            bail!("{} must not be shipped: remove it", entry.path().display());
        }
        let kind = entry.file_type()?;
        let path = if below.is_empty() {
            name.to_owned()
        } else {
            format!("{below}/{name}")
        };
        if kind.is_dir() {
            if !SOURCES.contains(&path.as_str()) {
                gather(&entry.path(), &path, files)?;
            }
        } else if kind.is_file() {
            add(files, &path, read(&entry.path())?);
        } else {
            bail!("{} is neither file nor folder", entry.path().display());
        }
    }
    Ok(())
}

fn add(files: &mut Files, path: &str, bytes: Vec<u8>) {
    files.insert(
        path.to_owned(),
        File {
            bytes,
            executable: false,
        },
    );
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
