//! What the pages' script is made of: esbuild says which files went in, they
//! say whose they are.

use crate::licences::Library;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The script, and the libraries in it.
pub struct Script {
    pub bytes: Vec<u8>,
    pub libraries: Vec<Bundled>,
}

/// One library in the script.
pub struct Bundled {
    pub library: Library,
    /// Of its archive, as the lock has it: `sha512-<base64>`.
    pub integrity: String,
    /// Names of those it uses.
    pub uses: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Meta {
    inputs: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Lock {
    packages: BTreeMap<String, Locked>,
}

#[derive(Deserialize)]
struct Locked {
    #[serde(default)]
    integrity: Option<String>,
}

#[derive(Deserialize)]
struct Manifest {
    name: String,
    version: String,
    license: String,
    #[serde(default)]
    repository: Option<Value>,
    #[serde(default)]
    dependencies: BTreeMap<String, String>,
}

/// The libraries of which esbuild put a file into the script.
pub fn bundled(folder: &Path, meta: &Path) -> Result<Vec<Bundled>> {
    let meta: Meta = read(meta)?;
    let lock: Lock = read(&folder.join("package-lock.json"))?;
    let places: BTreeSet<String> = meta.inputs.keys().filter_map(|path| place(path)).collect();
    let mut libraries = Vec::new();
    for place in places {
        let manifest: Manifest = read(&folder.join(&place).join("package.json"))?;
        let integrity = lock
            .packages
            .get(&place)
            .and_then(|locked| locked.integrity.clone())
            .with_context(|| format!("package-lock.json has no checksum of {place}"))?;
        libraries.push(Bundled {
            uses: manifest.dependencies.into_keys().collect(),
            library: Library {
                source: manifest.repository.as_ref().and_then(source),
                name: manifest.name,
                version: manifest.version,
                licence: manifest.license,
                folder: folder.join(place),
            },
            integrity,
        });
    }
    libraries.sort_by(|a, b| {
        (&a.library.name, &a.library.version).cmp(&(&b.library.name, &b.library.version))
    });
    Ok(libraries)
}

/// The folder of the package a file belongs to; none for our own files.
fn place(path: &str) -> Option<String> {
    const MODULES: &str = "node_modules/";
    let (before, inside) = path.rsplit_once(MODULES)?;
    let parts = if inside.starts_with('@') { 2 } else { 1 };
    let name: Vec<&str> = inside.split('/').take(parts).collect();
    Some(format!("{before}{MODULES}{}", name.join("/")))
}

/// `repository` is a text or an object with a `url`.
fn source(repository: &Value) -> Option<String> {
    let text = repository
        .as_str()
        .or_else(|| repository.get("url")?.as_str())?;
    Some(
        text.trim_start_matches("git+")
            .trim_end_matches(".git")
            .to_owned(),
    )
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_innermost_package() {
        for (path, expected) in [
            ("src/main.tsx", None),
            ("node_modules/react/index.js", Some("node_modules/react")),
            (
                "node_modules/@splunk/react-ui/Button.js",
                Some("node_modules/@splunk/react-ui"),
            ),
            (
                "node_modules/a/node_modules/@b/c/d/e.js",
                Some("node_modules/a/node_modules/@b/c"),
            ),
        ] {
            assert_eq!(place(path).as_deref(), expected, "{path}");
        }
    }
}
