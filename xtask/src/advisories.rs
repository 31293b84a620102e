//! Security advisories about crates, out of a snapshot that lies here: a check
//! that asks the network would say nothing where there is none.

use crate::tool::{self, say};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use cargo_metadata::semver::{Version, VersionReq};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Facts of the public advisory database, made by `cargo xtask advisories`.
const SNAPSHOT: &str = "xtask/advisories.toml";

/// `[advisories]` of deny.toml.
#[derive(Deserialize)]
pub struct Rules {
    #[serde(default)]
    ignore: Vec<Ignored>,
    /// In days, as `P90D`.
    #[serde(rename = "maximum-db-staleness")]
    staleness: String,
}

#[derive(Deserialize)]
struct Ignored {
    id: String,
}

#[derive(Deserialize)]
struct Snapshot {
    commit: String,
    /// When the database was as it is here.
    date: String,
    advisories: Vec<Advisory>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Advisory {
    id: String,
    #[serde(rename = "crate")]
    name: String,
    date: String,
    /// `unsound`, `unmaintained`; absent for a vulnerability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    patched: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unaffected: Vec<String>,
}

/// What is known of these crates. A hit is an error; an old snapshot is said.
pub fn check<'a>(
    workspace: &Workspace,
    rules: &Rules,
    crates: impl Iterator<Item = (&'a str, &'a Version)>,
) -> Result<Vec<String>> {
    let path = workspace.root.join(SNAPSHOT);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let snapshot: Snapshot = toml::from_str(&text).context(SNAPSHOT)?;
    say!(
        "{} advisories, database of {} ({})",
        snapshot.advisories.len(),
        snapshot.date,
        snapshot.commit
    );
    if let Some(age) = snapshot.stale(rules, today())? {
        say!(
            "warning: the advisories are {age} days old: fetch the database and run `cargo xtask advisories <its folder>`"
        );
    }
    snapshot.hits(rules, crates)
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

impl Snapshot {
    /// Its age in days, where that is more than the rules allow.
    fn stale(&self, rules: &Rules, today: Date) -> Result<Option<i32>> {
        let most: i32 = rules
            .staleness
            .strip_prefix('P')
            .and_then(|rest| rest.strip_suffix('D'))
            .and_then(|days| days.parse().ok())
            .context("deny.toml: maximum-db-staleness is written in days, as P90D")?;
        let made: Date = self.date.parse().with_context(|| SNAPSHOT.to_owned())?;
        let age = (today - made).get_days();
        Ok((age > most).then_some(age))
    }

    fn hits<'a>(
        &self,
        rules: &Rules,
        crates: impl Iterator<Item = (&'a str, &'a Version)>,
    ) -> Result<Vec<String>> {
        let mut by_crate: BTreeMap<&str, Vec<&Advisory>> = BTreeMap::new();
        for advisory in &self.advisories {
            by_crate.entry(&advisory.name).or_default().push(advisory);
        }
        let mut hits = Vec::new();
        for (name, version) in crates {
            for advisory in by_crate.get(name).into_iter().flatten() {
                let ignored = rules.ignore.iter().any(|one| one.id == advisory.id);
                if !ignored && advisory.concerns(version)? {
                    hits.push(format!(
                        "{name} {version}: {} of {} ({}); patched: {}",
                        advisory.id,
                        advisory.date,
                        advisory.kind.as_deref().unwrap_or("vulnerability"),
                        match advisory.patched.as_slice() {
                            [] => "never".to_owned(),
                            patched => patched.join(" or "),
                        }
                    ));
                }
            }
        }
        Ok(hits)
    }
}

impl Advisory {
    fn concerns(&self, version: &Version) -> Result<bool> {
        // A requirement leaves pre-releases out; for this question one counts as its release.
        let version = Version::new(version.major, version.minor, version.patch);
        for range in self.patched.iter().chain(&self.unaffected) {
            let range = VersionReq::parse(range).with_context(|| self.id.clone())?;
            if range.matches(&version) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Makes the snapshot anew out of a clone of the public database.
pub fn renew(workspace: &Workspace, database: &Path) -> Result<()> {
    let told = tool::read(Command::new("git").arg("-C").arg(database).args([
        "log",
        "-1",
        "--format=%H %cs",
    ]))?;
    let (commit, date) = told
        .trim()
        .split_once(' ')
        .context("git names no commit and date")?;
    let mut advisories = Vec::new();
    for folder in fs::read_dir(database.join("crates")).context("a clone has a folder crates")? {
        for file in fs::read_dir(folder?.path())? {
            let path = file?.path();
            let text = fs::read_to_string(&path)?;
            advisories.extend(Advisory::read(&text).with_context(|| path.display().to_string())?);
        }
    }
    advisories.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let path = workspace.root.join(SNAPSHOT);
    fs::write(&path, written(commit, date, &advisories)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    say!("{} advisories of {date}", advisories.len());
    Ok(())
}

/// One line each, so that a renewed snapshot shows what is new.
fn written(commit: &str, date: &str, advisories: &[Advisory]) -> Result<String> {
    let mut text = format!(
        "# Facts of the RustSec advisory database, without its texts. Made by `cargo xtask advisories`: do not edit.\n\
         commit = \"{commit}\"\ndate = \"{date}\"\nadvisories = [\n"
    );
    for advisory in advisories {
        let serde_json::Value::Object(members) = serde_json::to_value(advisory)? else {
            continue;
        };
        // A string or list of strings is written in TOML as in JSON.
        let members: Vec<String> = members
            .iter()
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        writeln!(text, "  {{ {} }},", members.join(", "))?;
    }
    text.push_str("]\n");
    Ok(text)
}

impl Advisory {
    /// A file of the database; none where the advisory was withdrawn.
    fn read(text: &str) -> Result<Option<Self>> {
        #[derive(Deserialize)]
        struct File {
            advisory: Head,
            versions: Versions,
        }
        #[derive(Deserialize)]
        struct Head {
            id: String,
            package: String,
            date: String,
            informational: Option<String>,
            withdrawn: Option<String>,
        }
        #[derive(Deserialize)]
        struct Versions {
            #[serde(default)]
            patched: Vec<String>,
            #[serde(default)]
            unaffected: Vec<String>,
        }
        let facts = text
            .split_once("```toml")
            .and_then(|(_, rest)| rest.split_once("```"))
            .map(|(facts, _)| facts)
            .context("no facts in it")?;
        let File { advisory, versions } = toml::from_str(facts)?;
        Ok(advisory.withdrawn.is_none().then_some(Self {
            id: advisory.id,
            name: advisory.package,
            date: advisory.date,
            kind: advisory.informational,
            patched: versions.patched,
            unaffected: versions.unaffected,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 4] = [
        "```toml\n[advisory]\nid = \"RUSTSEC-2030-0001\"\npackage = \"planted\"\ndate = \"2030-01-02\"\n[versions]\npatched = [\">= 1.2.3, < 2.0.0-rc.1\", \">= 2.0.1\"]\nunaffected = [\"< 1.0.0\"]\n```\n# Words\nmore",
        "```toml\n[advisory]\nid = \"RUSTSEC-2030-0002\"\npackage = \"planted\"\ndate = \"2030-01-02\"\nwithdrawn = \"2030-01-03\"\n[versions]\npatched = []\n```\n",
        "```toml\n[advisory]\nid = \"RUSTSEC-2030-0003\"\npackage = \"asleep\"\ndate = \"2030-01-02\"\ninformational = \"unmaintained\"\n[versions]\npatched = []\n```\n",
        "```toml\n[advisory]\nid = \"RUSTSEC-2030-0004\"\npackage = \"ignored\"\ndate = \"2030-01-02\"\n[versions]\npatched = []\n```\n",
    ];

    fn snapshot() -> Snapshot {
        let advisories: Vec<_> = FILES
            .iter()
            .filter_map(|file| Advisory::read(file).unwrap())
            .collect();
        toml::from_str(&written("c0ffee", "2030-02-01", &advisories).unwrap()).unwrap()
    }

    fn rules() -> Rules {
        toml::from_str(
            "ignore = [{ id = \"RUSTSEC-2030-0004\", reason = \"not reached\" }]\nmaximum-db-staleness = \"P30D\"",
        )
        .unwrap()
    }

    fn hits(crates: &[(&str, &str)]) -> Vec<String> {
        let crates: Vec<(&str, Version)> = crates
            .iter()
            .map(|(name, version)| (*name, version.parse().unwrap()))
            .collect();
        let crates = crates.iter().map(|(name, version)| (*name, version));
        snapshot().hits(&rules(), crates).unwrap()
    }

    #[test]
    fn a_planted_advisory_is_found_in_the_versions_it_concerns_and_no_other() {
        assert_eq!(
            hits(&[
                ("planted", "0.9.9"),
                ("planted", "1.2.2"),
                ("planted", "1.2.3+spec"),
                ("planted", "2.0.0"),
                ("planted", "2.0.1"),
                ("planted", "3.0.0-rc.1"),
                ("other", "1.2.2"),
                ("ignored", "1.0.0"),
                ("asleep", "7.0.0"),
            ]),
            [
                "planted 1.2.2: RUSTSEC-2030-0001 of 2030-01-02 (vulnerability); patched: >= 1.2.3, < 2.0.0-rc.1 or >= 2.0.1",
                "planted 2.0.0: RUSTSEC-2030-0001 of 2030-01-02 (vulnerability); patched: >= 1.2.3, < 2.0.0-rc.1 or >= 2.0.1",
                "asleep 7.0.0: RUSTSEC-2030-0003 of 2030-01-02 (unmaintained); patched: never",
            ]
        );
    }

    #[test]
    fn an_old_snapshot_says_its_age() {
        let age = |day: &str| snapshot().stale(&rules(), day.parse().unwrap()).unwrap();
        assert_eq!(age("2030-03-03"), None);
        assert_eq!(age("2030-03-04"), Some(31));
        assert_eq!(age("2029-01-01"), None);
    }

    #[test]
    fn the_snapshot_that_lies_here_can_be_read_to_its_last_range() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("advisories.toml");
        let snapshot: Snapshot = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert!(snapshot.advisories.len() > 500 && snapshot.commit.len() == 40);
        for advisory in &snapshot.advisories {
            advisory.concerns(&Version::new(1, 0, 0)).unwrap();
        }
    }
}
