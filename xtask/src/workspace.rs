//! Where things lie, and what cargo knows about them.

use crate::tool;
use anyhow::{Context, Result, anyhow};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What the shipped executable is built for.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What is left out of the shipped executable: the embedded tenant and the server it takes.
pub const SHIPPED: &[&str] = &["--no-default-features"];

/// Splunk app id, crate and executable: one name.
pub const NAME: &str = "defender_bridge";

pub struct Workspace {
    pub root: PathBuf,
    pub target: PathBuf,
    pub metadata: Metadata,
}

fn metadata(features: &[&str]) -> Result<Metadata> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let options = ["--locked"].iter().chain(features);
    MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(options.map(ToString::to_string).collect::<Vec<_>>())
        .exec()
        .context("cargo metadata: is Cargo.lock up to date, and the crate registry reachable?")
}

impl Workspace {
    pub fn open() -> Result<Self> {
        let metadata = metadata(&[])?;
        Ok(Self {
            root: metadata.workspace_root.clone().into(),
            target: metadata.target_directory.clone().into(),
            metadata,
        })
    }

    /// The product's own package.
    pub fn product(&self) -> Result<&Package> {
        self.metadata
            .workspace_packages()
            .into_iter()
            .find(|package| package.name == NAME)
            .ok_or_else(|| anyhow!("the workspace has no package {NAME}"))
    }

    pub fn version(&self) -> Result<String> {
        Ok(self.product()?.version.to_string())
    }

    /// What the executable is made of: the libraries linked into it, by name and
    /// version. Without the product itself.
    pub fn shipped(&self) -> Result<Vec<&Package>> {
        let scope = ["--package", NAME, "--edges", "normal", "--target", TARGET];
        self.tree(&[&scope, SHIPPED].concat())
    }

    /// Who uses whom in the executable.
    pub fn shipped_edges(&self) -> Result<Metadata> {
        metadata(SHIPPED)
    }

    /// Every crate that anything here is built or tested with, on any platform.
    pub fn foreign(&self) -> Result<Vec<&Package>> {
        self.tree(&[
            "--workspace",
            "--edges",
            "normal,build,dev",
            "--target",
            "all",
        ])
    }

    /// `cargo tree` knows which crates are really built; `cargo metadata` also
    /// lists optional ones that no feature asks for.
    fn tree(&self, scope: &[&str]) -> Result<Vec<&Package>> {
        let printed = tool::read(
            tool::cargo()
                .args(["tree", "--locked", "--prefix", "none", "--format", "{p}"])
                .args(scope)
                .current_dir(&self.root),
        )?;
        let mut packages = Vec::new();
        for line in printed.lines().collect::<BTreeSet<_>>() {
            let mut words = line.split(' ');
            let (Some(name), Some(version)) = (words.next(), words.next()) else {
                continue;
            };
            let package = self
                .metadata
                .packages
                .iter()
                .find(|package| {
                    package.name == name
                        && version.strip_prefix('v') == Some(&package.version.to_string())
                })
                .with_context(|| format!("cargo tree names {line}, cargo metadata does not"))?;
            if package.source.is_some() {
                packages.push(package);
            }
        }
        packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        packages.dedup_by(|a, b| a.id == b.id);
        Ok(packages)
    }
}
