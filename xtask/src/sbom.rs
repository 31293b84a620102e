//! The bill of materials: CycloneDX 1.6, the same bytes for the same lock file.

use crate::dependencies::licence;
use crate::workspace::{NAME, Workspace};
use anyhow::{Context, Result};
use cargo_metadata::{Metadata, Package};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

pub fn document(workspace: &Workspace, packages: &[&Package]) -> Result<String> {
    let lock = fs::read_to_string(workspace.root.join("Cargo.lock")).context("Cargo.lock")?;
    let lock: Lock = toml::from_str(&lock).context("Cargo.lock")?;
    let checksums: BTreeMap<(String, String), String> = lock
        .package
        .into_iter()
        .filter_map(|locked| Some(((locked.name, locked.version), locked.checksum?)))
        .collect();

    let product = workspace.product()?;
    let components = packages
        .iter()
        .map(|package| component(package, &checksums))
        .collect::<Result<Vec<_>>>()?;
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": reference(product),
                "name": NAME,
                "version": product.version.to_string(),
                "purl": reference(product),
                "licenses": [{ "license": { "id": "Apache-2.0" } }],
            },
        },
        "components": components,
        "dependencies": dependencies(&workspace.metadata, product, packages),
    });
    Ok(format!("{document:#}\n"))
}

fn component(package: &Package, checksums: &BTreeMap<(String, String), String>) -> Result<Value> {
    let key = (package.name.to_string(), package.version.to_string());
    let checksum = checksums
        .get(&key)
        .with_context(|| format!("Cargo.lock has no checksum of {} {}", key.0, key.1))?;
    let expression = licence(package).with_context(|| format!("{} names no licence", key.0))?;
    Ok(json!({
        "type": "library",
        "bom-ref": reference(package),
        "name": key.0,
        "version": key.1,
        "purl": reference(package),
        "hashes": [{ "alg": "SHA-256", "content": checksum }],
        "licenses": [{ "expression": expression }],
    }))
}

/// Who uses whom, among what is shipped.
fn dependencies(metadata: &Metadata, product: &Package, packages: &[&Package]) -> Vec<Value> {
    let mut all: Vec<&Package> = packages.to_vec();
    all.insert(0, product);
    let known: BTreeMap<_, _> = all
        .iter()
        .map(|package| (&package.id, reference(package)))
        .collect();
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let uses: BTreeMap<_, _> = nodes.map(|node| (&node.id, &node.dependencies)).collect();
    all.iter()
        .map(|package| {
            let used: BTreeSet<&String> = uses
                .get(&package.id)
                .into_iter()
                .flat_map(|ids| ids.iter())
                .filter_map(|id| known.get(id))
                .collect();
            json!({ "ref": reference(package), "dependsOn": used })
        })
        .collect()
}

fn reference(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}
