//! Where the documents lead: every link, heading and path they name is there.

use anyhow::{Context, Result};
use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "benches/README.md",
    "fuzz/README.md",
    "splunk_app/README.md",
    "splunk_app/icons/README.md",
    "splunk_app/ui/README.md",
    "splunk_app/ui/studio/README.md",
];

/// Folders of the tree: a path in back quotes that begins with one of them is meant to be there.
const FOLDERS: &str = r"(?:src|tests|xtask|default|benches|fuzz|splunk_app|\.ci)";

pub fn problems(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for document in DOCUMENTS {
        let path = root.join(document);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let folder = path.parent().unwrap_or(root);
        for target in missing(&text, folder, root)? {
            problems.push(format!("{document} leads to {target}, which is not there"));
        }
    }
    Ok(problems)
}

/// What `text`, a document in `folder`, names and nobody has.
fn missing(text: &str, folder: &Path, root: &Path) -> Result<Vec<String>> {
    let link = Regex::new(r"\]\(([^)\s]+)\)")?;
    let path = Regex::new(&format!(r"`({FOLDERS}/[\w./-]*)`"))?;
    let mut missing = Vec::new();
    for found in link.captures_iter(text) {
        let target = &found[1];
        if target.starts_with("https://") {
            continue;
        }
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let there = match file {
            "" => heading.is_empty() || headings(text).contains(heading),
            file => match fs::read(folder.join(file)) {
                Err(_) => false,
                Ok(_) if heading.is_empty() => true,
                Ok(other) => headings(&String::from_utf8_lossy(&other)).contains(heading),
            },
        };
        if !there {
            missing.push(target.to_owned());
        }
    }
    for found in path.captures_iter(text) {
        if !root.join(&found[1]).exists() {
            missing.push(found[1].to_owned());
        }
    }
    Ok(missing)
}

/// Headings as addresses: lower case, without punctuation, blanks as hyphens.
fn headings(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_a_heading_and_a_path_that_lead_nowhere_are_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = "# How it reads\n[here](#how-it-reads) [gone](#how-it-ran) [file](README.md#install)\n\
                    [no file](NOTES.md) [no heading](README.md#nowhere) `src/lib.rs` `src/gone.rs` `local/inputs.conf`\n";
        assert_eq!(
            missing(text, &root, &root).unwrap(),
            [
                "#how-it-ran",
                "NOTES.md",
                "README.md#nowhere",
                "src/gone.rs"
            ]
        );
    }
}
