//! The bill of materials: CycloneDX 1.6, the same bytes for the same lock file.

use crate::licences::Library;
use crate::web::Bundled;
use crate::workspace::{NAME, Workspace};
use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cargo_metadata::{DependencyKind, Metadata, NodeDep, Package};
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

/// The crates in the executable and the libraries in the pages' script.
pub fn document(
    workspace: &Workspace,
    packages: &[&Package],
    script: &[Bundled],
) -> Result<String> {
    let lock = fs::read_to_string(workspace.root.join("Cargo.lock")).context("Cargo.lock")?;
    let lock: Lock = toml::from_str(&lock).context("Cargo.lock")?;
    let checksums: BTreeMap<(String, String), String> = lock
        .package
        .into_iter()
        .filter_map(|locked| Some(((locked.name, locked.version), locked.checksum?)))
        .collect();

    let product = workspace.product()?;
    let mut components = packages
        .iter()
        .map(|package| component(package, &checksums))
        .collect::<Result<Vec<_>>>()?;
    for bundled in script {
        components.push(script_component(bundled)?);
    }
    let mut dependencies = dependencies(&workspace.shipped_edges()?, product, packages);
    dependencies.extend(script_dependencies(script));
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
        "dependencies": dependencies,
    });
    Ok(format!("{document:#}\n"))
}

fn component(package: &Package, checksums: &BTreeMap<(String, String), String>) -> Result<Value> {
    let key = (package.name.to_string(), package.version.to_string());
    let checksum = checksums
        .get(&key)
        .with_context(|| format!("Cargo.lock has no checksum of {} {}", key.0, key.1))?;
    let expression = Library::of_crate(package)?.licence;
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

fn script_component(bundled: &Bundled) -> Result<Value> {
    let library = &bundled.library;
    let content = bundled
        .integrity
        .strip_prefix("sha512-")
        .and_then(hex)
        .with_context(|| format!("{}: {} is no SHA-512", library.name, bundled.integrity))?;
    // A scope is a group of its own.
    let (group, name) = match library.name.split_once('/') {
        Some((group, name)) => (Some(group), name),
        None => (None, library.name.as_str()),
    };
    let mut component = json!({
        "type": "library",
        "bom-ref": script_reference(bundled),
        "name": name,
        "version": library.version,
        "purl": script_reference(bundled),
        "hashes": [{ "alg": "SHA-512", "content": content }],
        "licenses": [{ "expression": library.licence }],
    });
    if let (Some(group), Some(fields)) = (group, component.as_object_mut()) {
        fields.insert("group".to_owned(), group.into());
    }
    Ok(component)
}

fn script_dependencies(script: &[Bundled]) -> impl Iterator<Item = Value> {
    script.iter().map(move |bundled| {
        let used: BTreeSet<String> = script
            .iter()
            .filter(|other| bundled.uses.contains(&other.library.name))
            .map(script_reference)
            .collect();
        json!({ "ref": script_reference(bundled), "dependsOn": used })
    })
}

fn script_reference(bundled: &Bundled) -> String {
    let library = &bundled.library;
    format!(
        "pkg:npm/{}@{}",
        library.name.replace('@', "%40"),
        library.version
    )
}

/// The bytes that base64 stands for, in hexadecimal digits.
fn hex(base64: &str) -> Option<String> {
    let bytes = STANDARD.decode(base64).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Who uses whom, among what is in the executable.
fn dependencies(metadata: &Metadata, product: &Package, packages: &[&Package]) -> Vec<Value> {
    let mut all: Vec<&Package> = packages.to_vec();
    all.insert(0, product);
    let known: BTreeMap<_, _> = all
        .iter()
        .map(|package| (&package.id, reference(package)))
        .collect();
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let uses: BTreeMap<_, _> = nodes.map(|node| (&node.id, &node.deps)).collect();
    // What tests are built with alone is no part of it.
    let is_linked = |used: &&NodeDep| {
        let mut kinds = used.dep_kinds.iter();
        kinds.any(|kind| kind.kind == DependencyKind::Normal)
    };
    all.iter()
        .map(|package| {
            let used: BTreeSet<&String> = uses
                .get(&package.id)
                .into_iter()
                .flat_map(|used| used.iter().filter(is_linked))
                .filter_map(|used| known.get(&used.pkg))
                .collect();
            json!({ "ref": reference(package), "dependsOn": used })
        })
        .collect()
}

fn reference(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_s_checksum_is_written_as_the_bill_has_it() {
        assert_eq!(hex("").as_deref(), Some(""));
        assert_eq!(hex("AP8=").as_deref(), Some("00ff"));
        assert_eq!(hex("Zm9vYmFy").as_deref(), Some("666f6f626172"));
        assert_eq!(hex("no!"), None);
    }
}
