//! Every crate held against deny.toml: licences, banned crates, where it comes
//! from, what is known against it. (`cargo deny` reads the same file, but takes longer to build than all
//! the rest together.)

use crate::advisories;
use crate::tool::say;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use cargo_metadata::Package;
use serde::Deserialize;
use spdx::{Expression, Licensee};
use std::fs;

#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    bans: Bans,
    advisories: advisories::Rules,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

pub fn check(workspace: &Workspace) -> Result<()> {
    let policy = Policy::read(workspace)?;
    let packages = workspace.foreign()?;
    let mut problems = Vec::new();
    for package in &packages {
        problems.extend(policy.objections(package)?);
    }
    let crates = packages
        .iter()
        .map(|package| (package.name.as_str(), &package.version));
    problems.extend(advisories::check(workspace, &policy.advisories, crates)?);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    say!(
        "{} crates: licences, bans, sources and advisories as deny.toml asks",
        packages.len()
    );
    Ok(())
}

/// A library that is no crate, but shipped all the same, is held against the same list.
pub fn allowed(workspace: &Workspace, name: &str, expression: &str) -> Result<()> {
    if !Policy::read(workspace)?.allows(name, expression)? {
        bail!("{name} has a licence not in deny.toml: {expression}");
    }
    Ok(())
}

impl Policy {
    fn read(workspace: &Workspace) -> Result<Self> {
        let path = workspace.root.join("deny.toml");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).context("deny.toml")
    }

    fn objections(&self, package: &Package) -> Result<Vec<String>> {
        let mut objections = Vec::new();
        let called = format!("{} {}", package.name, package.version);
        if let Some(ban) = self.bans.deny.iter().find(|ban| package.name == ban.name) {
            objections.push(format!("{called} is banned: {}", ban.reason));
        }
        if !package
            .source
            .as_ref()
            .is_some_and(|source| source.is_crates_io())
        {
            objections.push(format!("{called} does not come from the Rust registry"));
        }
        match licence(package) {
            Some(expression) if self.allows(&package.name, &expression)? => {}
            Some(expression) => {
                objections.push(format!(
                    "{called} has a licence not in deny.toml: {expression}"
                ));
            }
            None => objections.push(format!("{called} names no licence")),
        }
        Ok(objections)
    }

    fn allows(&self, name: &str, expression: &str) -> Result<bool> {
        let exceptions = self
            .licenses
            .exceptions
            .iter()
            .filter(|exception| exception.name == name)
            .flat_map(|exception| &exception.allow);
        let allowed = self
            .licenses
            .allow
            .iter()
            .chain(exceptions)
            .map(|licence| {
                Licensee::parse(licence).with_context(|| format!("deny.toml: {licence}"))
            })
            .collect::<Result<Vec<_>>>()?;
        let expression =
            Expression::parse(expression).with_context(|| format!("licence of {name}"))?;
        Ok(expression.evaluate(|asked| allowed.iter().any(|licence| licence.satisfies(asked))))
    }
}

/// The licence of a crate as a valid SPDX expression (older crates write `A/B`).
pub fn licence(package: &Package) -> Option<String> {
    let written = package.license.as_deref()?;
    match Expression::canonicalize(written) {
        Ok(Some(canonical)) => Some(canonical),
        Ok(None) | Err(_) => Some(written.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        toml::from_str(
            r#"
            [licenses]
            allow = ["MIT", "Apache-2.0"]
            [[licenses.exceptions]]
            crate = "special"
            allow = ["MPL-2.0"]
            [bans]
            deny = [{ crate = "openssl", reason = "one TLS stack" }]
            [advisories]
            maximum-db-staleness = "P90D"
            "#,
        )
        .unwrap()
    }

    #[test]
    fn one_allowed_choice_is_enough_and_every_part_of_an_and_is_needed() {
        let policy = policy();
        assert!(policy.allows("a", "GPL-3.0-only OR MIT").unwrap());
        assert!(policy.allows("a", "MIT AND Apache-2.0").unwrap());
        assert!(!policy.allows("a", "MIT AND GPL-3.0-only").unwrap());
        assert!(
            !policy
                .allows("a", "Apache-2.0 WITH LLVM-exception")
                .unwrap()
        );
    }

    #[test]
    fn an_exception_is_for_its_crate_alone() {
        let policy = policy();
        assert!(policy.allows("special", "MPL-2.0").unwrap());
        assert!(!policy.allows("other", "MPL-2.0").unwrap());
    }

    #[test]
    fn what_is_no_licence_expression_is_an_error() {
        assert!(policy().allows("a", "see file").is_err());
    }
}
