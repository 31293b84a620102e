//! Where the documents lead: every link, heading and path they name is there, every page is led to, and what the
//! executable and the pages call by name in `docs/` is there too.

use anyhow::{Context, Result};
use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Documents outside `docs/`, which is read whole.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "benches/README.md",
    "fuzz/README.md",
    "splunk_app/README.md",
    "splunk_app/icons/README.md",
    "splunk_app/ui/README.md",
    "splunk_app/ui/studio/README.md",
];

/// Folders of the tree: a path in back quotes that begins with one of them is meant to be there.
const FOLDERS: &str = r"(?:src|tests|xtask|default|docs|benches|fuzz|splunk_app|\.ci)";

/// Where messages, confs and pages are written that send a reader to a page of `docs/`.
const SENDERS: &[&str] = &[
    "src",
    "default",
    "README",
    "splunk_app/README.md",
    "splunk_app/lookups",
    "splunk_app/ui/src",
];

pub fn problems(root: &Path) -> Result<Vec<String>> {
    let pages = pages(root)?;
    let source = Source::read(root)?;
    let mut problems = Vec::new();
    for document in DOCUMENTS
        .iter()
        .copied()
        .chain(pages.iter().map(String::as_str))
    {
        let path = root.join(document);
        let text = read(&path)?;
        let folder = path.parent().unwrap_or(root);
        let mut targets = missing(&text, folder, root)?;
        targets.extend(source.missing(&text)?);
        for target in targets {
            problems.push(format!("{document} leads to {target}, which is not there"));
        }
    }
    for page in &pages {
        problems.extend(unreached(page, root)?);
    }
    for sender in SENDERS {
        for path in files(&root.join(sender))? {
            for target in missing_pages(&String::from_utf8_lossy(&fs::read(&path)?), root)? {
                let path = path.strip_prefix(root).unwrap_or(&path).display();
                problems.push(format!("{path} leads to {target}, which is not there"));
            }
        }
    }
    Ok(problems)
}

/// Every page under `docs/`, as a path from the root.
fn pages(root: &Path) -> Result<Vec<String>> {
    let mut pages: Vec<String> = files(&root.join("docs"))?
        .iter()
        .filter_map(|path| path.strip_prefix(root).ok()?.to_str().map(str::to_owned))
        .filter(|path| path.ends_with(".md"))
        .collect();
    pages.sort();
    Ok(pages)
}

/// A page for users stands in README.md and says where to go next; a design page stands in ARCHITECTURE.md.
fn unreached(page: &str, root: &Path) -> Result<Vec<String>> {
    let is_design = page.starts_with("docs/design/");
    let index = if is_design {
        "ARCHITECTURE.md"
    } else {
        "README.md"
    };
    let mut problems = Vec::new();
    if !read(&root.join(index))?.contains(&format!("]({page}")) {
        problems.push(format!("{index} does not lead to {page}"));
    }
    if !is_design && !ends_with_next(&read(&root.join(page))?) {
        problems.push(format!(
            "{page} must end with a paragraph `Next: …` that leads on"
        ));
    }
    Ok(problems)
}

fn ends_with_next(text: &str) -> bool {
    text.trim_end()
        .rsplit("\n\n")
        .next()
        .is_some_and(|last| last.starts_with("Next: ") && last.contains("]("))
}

/// Pages and headings of `docs/` that `text`, which is no document, names and nobody has.
fn missing_pages(text: &str, root: &Path) -> Result<Vec<String>> {
    let page = Regex::new(r"\bdocs/[\w/-]+\.md(?:#[\w-]+)?")?;
    Ok(page
        .find_iter(text)
        .map(|found| found.as_str())
        .filter(|target| !is_there(target, "", root))
        .map(str::to_owned)
        .collect())
}

fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))? {
        all.extend(files(&entry?.path())?);
    }
    Ok(all)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
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
        if !is_there(target, text, folder) {
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

/// The source as far as documents name it: files by their room or by their name alone, and tests.
struct Source {
    root: PathBuf,
    /// Names of files, and of folders of tests.
    files: BTreeSet<String>,
    tests: String,
}

impl Source {
    fn read(root: &Path) -> Result<Self> {
        let mut names = BTreeSet::new();
        let mut tests = String::new();
        for folder in ["src", "tests", "xtask/src"] {
            for path in files(&root.join(folder))? {
                if path.extension().is_none_or(|extension| extension != "rs") {
                    continue;
                }
                let parents = path.parent().and_then(Path::file_name);
                let both = [path.file_name(), parents];
                names.extend(
                    both.into_iter()
                        .flatten()
                        .filter_map(|name| name.to_str().map(str::to_owned)),
                );
                if folder == "tests" {
                    tests += &read(&path)?;
                }
            }
        }
        Ok(Self {
            root: root.to_owned(),
            files: names,
            tests,
        })
    }

    /// What `text` says of the source and is not so: a file in a room, a file, a test by its whole name, and which
    /// tests a command runs.
    fn missing(&self, text: &str) -> Result<Vec<String>> {
        let in_room = Regex::new(r"`((\w+)/[\w./-]+)`")?;
        let file = Regex::new(r"`(\w+\.rs)`")?;
        let test = Regex::new(r"`([a-z]+(?:_[a-z0-9]+){5,})`")?;
        let run = Regex::new(r"--test it (?:[a-z0-9_]+::)*([a-z0-9_]+)::")?;
        let mut missing = Vec::new();
        for found in in_room.captures_iter(text) {
            let source = self.root.join("src");
            if source.join(&found[2]).is_dir() && !source.join(&found[1]).exists() {
                missing.push(found[1].to_owned());
            }
        }
        for found in file.captures_iter(text) {
            if !self.files.contains(&found[1]) {
                missing.push(found[1].to_owned());
            }
        }
        for found in test.captures_iter(text) {
            if !self.tests.contains(&format!("fn {}(", &found[1])) {
                missing.push(found[1].to_owned());
            }
        }
        for found in run.captures_iter(text) {
            if !self.files.contains(&found[1]) && !self.files.contains(&format!("{}.rs", &found[1]))
            {
                missing.push(found[0].to_owned());
            }
        }
        Ok(missing)
    }
}

/// Whether a link out of `text`, a document in `folder`, leads to a file and, where it names one, to a heading.
fn is_there(target: &str, text: &str, folder: &Path) -> bool {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    match file {
        "" => heading.is_empty() || headings(text).contains(heading),
        file => fs::read(folder.join(file)).is_ok_and(|other| {
            heading.is_empty() || headings(&String::from_utf8_lossy(&other)).contains(heading)
        }),
    }
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
    #[test]
    fn a_file_a_test_and_a_run_that_the_source_lacks_are_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let source = Source::read(&root).unwrap();
        let text = "`ingest/mod.rs` `ingest/gone.rs` `house.rs` `gone.rs` `var/run/splunk`\n\
                    `no_room_uses_a_room_it_may_not_know` `no_room_uses_what_is_not_there`\n\
                    `cargo test --test it house::` `cargo test --test it gone::`\n";
        assert_eq!(
            source.missing(text).unwrap(),
            [
                "ingest/gone.rs",
                "gone.rs",
                "no_room_uses_what_is_not_there",
                "--test it gone::"
            ]
        );
    }

    #[test]
    fn a_page_that_a_message_names_and_nobody_has_is_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = r#"say("docs/install.md"); say("see docs/install.md#remove, docs/gone.md or docs/install.md#gone")"#;
        assert_eq!(
            missing_pages(text, &root).unwrap(),
            ["docs/gone.md", "docs/install.md#gone"]
        );
    }

    #[test]
    fn a_page_without_a_way_on_is_found() {
        assert!(ends_with_next(
            "# A\n\nText.\n\nNext: [b](b.md),\nor [c](c.md).\n"
        ));
        assert!(!ends_with_next("# A\n\nNext: [b](b.md).\n\nText.\n"));
        assert!(!ends_with_next("# A\n\nNext: nothing.\n"));
    }
}
