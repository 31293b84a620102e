//! What the executable reads of a stanza, against what its spec describes: a
//! setting nobody reads is a promise not kept, one nobody described is a secret.

use super::{App, NAME};
use anyhow::{Context, Result};
use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A source that takes a stanza apart, how it names a setting there, and the conf.
const READERS: &[(&str, &str, &str)] = &[
    (
        "src/bridge/account.rs",
        r#"\btext\("([a-z_]+)"\)"#,
        "defender_bridge_account",
    ),
    (
        "src/bridge/account.rs",
        r#"(?:\bproxy\(|\.get\()"([a-z_]+)"\)"#,
        "defender_bridge_settings",
    ),
    (
        "src/splunk/splunkd/conf_file.rs",
        r#"const KEY: &str = "([a-z_]+)""#,
        "defender_bridge_settings",
    ),
    (
        "src/bridge/input/settings/mod.rs",
        r#"\btext\("([a-z_]+)""#,
        "inputs",
    ),
    (
        "src/bridge/input/settings/list.rs",
        r#"(?:\btext|\blist|\bduration)\("([a-z_]+)""#,
        "inputs",
    ),
    (
        "src/bridge/input/settings/stream.rs",
        r#"(?:\btext\(|\blist\(|const KEY: &str = )"([a-z_]+)""#,
        "inputs",
    ),
];

/// Written for people by a page, read by nothing.
const NOTES: &[&str] = &["secret_stored"];

/// Stanzas of `defender_bridge_settings.conf`, which are asked for as its settings are.
const STANZAS: &[&str] = &["logging"];

pub fn problems(app: &App, root: &Path) -> Result<Vec<String>> {
    let confs: BTreeSet<&str> = READERS.iter().map(|(_, _, conf)| *conf).collect();
    let mut problems = Vec::new();
    for conf in confs {
        let mut read = BTreeSet::new();
        for (source, form, _) in READERS.iter().filter(|(_, _, of)| *of == conf) {
            let text = fs::read_to_string(root.join(source))
                .with_context(|| format!("cannot read {source}"))?;
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            read.extend(named(code, form)?);
        }
        let described: BTreeSet<String> =
            app.described(conf).into_iter().map(str::to_owned).collect();
        problems.extend(differences(conf, &read, &described));
    }
    Ok(problems)
}

fn named(code: &str, form: &str) -> Result<BTreeSet<String>> {
    let form = Regex::new(form).context("a reader's form")?;
    let all = form.captures_iter(code).map(|found| found[1].to_owned());
    Ok(all
        .filter(|name| !STANZAS.contains(&name.as_str()))
        .collect())
}

fn differences(conf: &str, read: &BTreeSet<String>, described: &BTreeSet<String>) -> Vec<String> {
    let unread = described
        .difference(read)
        .filter(|key| !NOTES.contains(&key.as_str()))
        .map(|key| format!("README/{conf}.conf.spec {key}: {NAME} does not read it"));
    let untold = read
        .difference(described)
        .map(|key| format!("README/{conf}.conf.spec lacks {key}, which {NAME} reads"));
    unread.chain(untold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_only_one_side_knows_is_found() {
        let set = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        let found = differences(
            "inputs",
            &set(&["account", "retries"]),
            &set(&["account", "proxy", "secret_stored"]),
        );
        assert_eq!(
            found,
            [
                "README/inputs.conf.spec proxy: defender_bridge does not read it",
                "README/inputs.conf.spec lacks retries, which defender_bridge reads",
            ]
        );
    }

    #[test]
    fn a_setting_is_seen_however_it_is_asked_for() {
        let code = r#"
            text("feed").unwrap_or("alerts"); duration("settle", "60s")?;
            list("service_sources"); const KEY: &str = "transport";
        "#;
        for (file, wanted) in [
            ("settings/mod.rs", ["feed"].as_slice()),
            ("settings/list.rs", &["feed", "service_sources", "settle"]),
            (
                "settings/stream.rs",
                &["feed", "service_sources", "transport"],
            ),
        ] {
            let reader = READERS.iter().find(|(path, ..)| path.ends_with(file));
            let (_, form, _) = reader.unwrap();
            let found: Vec<_> = named(code, form).unwrap().into_iter().collect();
            assert_eq!(found, wanted, "{file}");
        }
    }
}
