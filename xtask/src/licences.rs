//! The licence texts of every library in the executable, for the package.

use crate::dependencies::licence;
use anyhow::{Context, Result, bail};
use cargo_metadata::Package;
use spdx::Expression;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// How deep below a crate's root texts are looked for: bundled C sources bring their own.
const DEPTH: usize = 4;

const RULE: &str =
    "================================================================================";

/// One document: the list of libraries, then each text once with the libraries it holds for.
pub fn document(packages: &[&Package]) -> Result<String> {
    let mut list = String::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages {
        let called = format!("{} {}", package.name, package.version);
        let expression = licence(package).with_context(|| format!("{called} names no licence"))?;
        writeln!(list, "{called}\n    {expression}")?;
        if let Some(source) = &package.repository {
            writeln!(list, "    {source}")?;
        }
        for text in texts_of(package, &expression).with_context(|| called.clone())? {
            let holders = texts.entry(text).or_default();
            if !holders.contains(&called) {
                holders.push(called.clone());
            }
        }
    }
    let mut document = format!(
        "Libraries in the executable defender_bridge, with their licences and sources.\n\n{list}"
    );
    let mut ordered: Vec<_> = texts.into_iter().collect();
    ordered.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
    for (text, holders) in ordered {
        write!(
            document,
            "\n{RULE}\n{}\n{RULE}\n\n{}\n",
            holders.join(", "),
            text
        )?;
    }
    Ok(document)
}

/// The texts a crate ships; where it ships none, those its licence expression names.
fn texts_of(package: &Package, expression: &str) -> Result<Vec<String>> {
    let root = package
        .manifest_path
        .parent()
        .context("a manifest without a folder")?;
    let mut texts = Vec::new();
    collect(root.as_std_path(), DEPTH, &mut texts)?;
    if texts.is_empty() {
        for requirement in Expression::parse(expression)?.requirements() {
            match requirement.req.license.id() {
                Some(id) => texts.push(tidy(id.text())),
                None => bail!("no text known for {}", requirement.req),
            }
        }
    }
    Ok(texts)
}

fn collect(folder: &Path, depth: usize, texts: &mut Vec<String>) -> Result<()> {
    let mut entries = fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 1 {
            collect(&path, depth - 1, texts)?;
        } else if kind.is_file() && is_licence(&entry.file_name().to_string_lossy()) {
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            texts.push(tidy(&String::from_utf8_lossy(&bytes)));
        }
    }
    Ok(())
}

fn is_licence(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let code = [".rs", ".c", ".h", ".py", ".toml", ".sh", ".go"];
    [
        "license",
        "licence",
        "copying",
        "copyright",
        "notice",
        "unlicense",
    ]
    .iter()
    .any(|start| name.starts_with(start))
        && !code.iter().any(|end| name.ends_with(end))
}

/// Line ends and margins differ between copies of one text.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_from_code() {
        assert!(is_licence("LICENSE-MIT"));
        assert!(is_licence("COPYING"));
        assert!(is_licence("NOTICE.txt"));
        assert!(!is_licence("license.rs"));
        assert!(!is_licence("README.md"));
    }

    #[test]
    fn copies_of_one_text_are_one_text() {
        assert_eq!(tidy("\r\nMIT  \r\n\r\nA\r\n"), tidy("MIT\n\nA\n\n"));
    }
}
