//! The Splunk app, assembled: conf files, specs, static parts, the executable,
//! and what the law and the customer want to know about it.

use crate::archive::{self, File, Files};
use crate::executable::PLATFORM;
use crate::licences::{self, Library};
use crate::sbom;
use crate::web::Project;
use crate::workspace::{NAME, Workspace};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of `splunk_app/` that other parts are made from, and that are not shipped.
const SOURCES: &[&str] = &["icons", "ui"];

/// What Splunk Web serves to browsers.
const STATIC: &str = "appserver/static/";

/// How many builds of one version can be told apart.
const BUILDS: u32 = 1000;

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
    let crates = workspace.shipped()?;
    let script = Project::pages(workspace)?.bundle(workspace, &folder.join("ui"))?;
    let bill = sbom::document(workspace, &crates, &script.libraries)?;
    let linked = crates
        .iter()
        .map(|package| Library::of_crate(package))
        .collect::<Result<Vec<_>>>()?;
    let bundled = script.libraries.iter().map(|bundled| &bundled.library);

    let mut files = Files::new();
    for part in ["default", "README"] {
        gather(&root.join(part), part, &mut files)?;
    }
    gather(&root.join("splunk_app"), "", &mut files)?;
    add(&mut files, "LICENSE", read(&root.join("LICENSE"))?);
    add(
        &mut files,
        "THIRD-PARTY-LICENSES.txt",
        licences::document(&[
            (
                "the executable bin/defender_bridge",
                linked.iter().collect(),
            ),
            (
                "the script appserver/static/defender_bridge.js",
                bundled.collect(),
            ),
        ])?
        .into_bytes(),
    );
    add(&mut files, &format!("{STATIC}{NAME}.js"), script.bytes);
    add(&mut files, "sbom.cdx.json", bill.clone().into_bytes());
    files.insert(
        format!("bin/{NAME}"),
        File {
            bytes: read(executable)?,
            executable: true,
        },
    );

    stamp(&mut files)?;

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

/// Splunk Web and browsers keep static files until `[install] build` changes: it follows the version and what these
/// files hold.
fn stamp(files: &mut Files) -> Result<()> {
    let mut sum = Sha256::new();
    for (path, file) in files.iter().filter(|(path, _)| path.starts_with(STATIC)) {
        sum.update(u64::try_from(path.len())?.to_be_bytes());
        sum.update(path);
        sum.update(u64::try_from(file.bytes.len())?.to_be_bytes());
        sum.update(&file.bytes);
    }
    let content = sum
        .finalize()
        .iter()
        .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % BUILDS);

    let conf = files
        .get_mut("default/app.conf")
        .context("there is no default/app.conf")?;
    let text = std::str::from_utf8(&conf.bytes).context("default/app.conf")?;
    let mut stamped = 0;
    let mut lines = Vec::new();
    for line in text.lines() {
        let version = line
            .strip_prefix("build = ")
            .map(|number| number.trim().parse::<u32>())
            .transpose()
            .context("default/app.conf: build")?;
        lines.push(match version {
            Some(version) => {
                stamped += 1;
                format!("build = {}", version * BUILDS + content)
            }
            None => line.to_owned(),
        });
    }
    if stamped != 1 {
        bail!("default/app.conf must have one line `build = <number>`, it has {stamped}");
    }
    conf.bytes = format!("{}\n", lines.join("\n")).into_bytes();
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn built(script: &[u8], conf: &str) -> Result<String> {
        let mut files = Files::new();
        add(&mut files, "default/app.conf", conf.as_bytes().to_vec());
        add(&mut files, "appserver/static/x.js", script.to_vec());
        stamp(&mut files)?;
        Ok(String::from_utf8(files["default/app.conf"].bytes.clone())?)
    }

    #[test]
    fn the_build_number_follows_the_version_and_what_browsers_are_served() {
        let one = built(b"1", "[install]\nbuild = 100\n[id]\n").unwrap();
        assert_eq!(one, built(b"1", "[install]\nbuild = 100\n[id]\n").unwrap());
        assert_ne!(one, built(b"2", "[install]\nbuild = 100\n[id]\n").unwrap());
        let number = one
            .lines()
            .find_map(|line| line.strip_prefix("build = "))
            .unwrap();
        assert_eq!(number.parse::<u32>().unwrap() / BUILDS, 100);
        assert!(one.starts_with("[install]\n") && one.ends_with("\n[id]\n"));
    }

    #[test]
    fn a_conf_without_a_build_number_is_refused() {
        assert!(built(b"1", "[install]\n").is_err());
        assert!(built(b"1", "build = x\n").is_err());
    }
}
