//! The licence texts of every library that is shipped, for the package.

use crate::dependencies::licence;
use anyhow::{Context, Result, bail};
use cargo_metadata::Package;
use spdx::Expression;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// How deep below a crate's root texts are looked for: bundled C sources bring their own.
const DEPTH: usize = 4;

const RULE: &str =
    "================================================================================";

/// A library that is shipped.
pub struct Library {
    pub name: String,
    pub version: String,
    /// An SPDX expression.
    pub licence: String,
    pub source: Option<String>,
    /// Where its files lie.
    pub folder: PathBuf,
}

impl Library {
    pub fn of_crate(package: &Package) -> Result<Self> {
        let folder = package
            .manifest_path
            .parent()
            .context("a manifest without a folder")?;
        Ok(Self {
            name: package.name.to_string(),
            version: package.version.to_string(),
            licence: licence(package)
                .with_context(|| format!("{} names no licence", package.name))?,
            source: package.repository.clone(),
            folder: folder.into(),
        })
    }

    fn called(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// The texts it brings; where it brings none, those its licence names.
    fn texts(&self) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        collect(&self.folder, DEPTH, &mut texts)?;
        if texts.is_empty() {
            for requirement in Expression::parse(&self.licence)?.requirements() {
                match requirement.req.license.id() {
                    Some(id) => texts.push(tidy(id.text())),
                    None => bail!("no text known for {}", requirement.req),
                }
            }
        }
        Ok(texts)
    }
}

/// One document: the libraries of each shipped part, then each text once with those it holds for.
pub fn document(parts: &[(&str, Vec<&Library>)]) -> Result<String> {
    let mut document = String::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (part, libraries) in parts {
        if !document.is_empty() {
            document.push('\n');
        }
        write!(
            document,
            "Libraries in {part}, with their licences and sources.\n\n"
        )?;
        for library in libraries {
            let called = library.called();
            writeln!(document, "{called}\n    {}", library.licence)?;
            if let Some(source) = &library.source {
                writeln!(document, "    {source}")?;
            }
            for text in library.texts().with_context(|| called.clone())? {
                let holders = texts.entry(text).or_default();
                if !holders.contains(&called) {
                    holders.push(called.clone());
                }
            }
        }
    }
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

fn collect(folder: &Path, depth: usize, texts: &mut Vec<String>) -> Result<()> {
    let mut entries = fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type()?;
        // What lies there is a library of its own.
        if kind.is_dir() && entry.file_name() == "node_modules" {
            continue;
        }
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
    let code = [
        ".rs", ".c", ".h", ".py", ".toml", ".sh", ".go", ".js", ".ts", ".map",
    ];
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
        assert!(!is_licence("LicenseCog.d.ts"));
        assert!(!is_licence("README.md"));
    }

    #[test]
    fn copies_of_one_text_are_one_text() {
        assert_eq!(tidy("\r\nMIT  \r\n\r\nA\r\n"), tidy("MIT\n\nA\n\n"));
    }
}
