//! The settings as the documents tell of them, against the specs: none is left out, none is made up. The same for
//! search commands and saved searches.

use super::App;
use anyhow::{Context, Result};
use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A page, the confs whose settings it explains, and settings of Splunk's own it explains besides.
const PAGES: &[(&str, &[&str], &[&str])] = &[
    (
        "docs/configure.md",
        &[
            "inputs",
            "defender_bridge_account",
            "defender_bridge_settings",
        ],
        &["interval"],
    ),
    ("docs/triage.md", &["alert_actions"], &[]),
];

/// A conf whose stanzas a page names, and what all their names begin with.
const NAMED: &[(&str, &str, &str)] = &[
    ("commands", "", "docs/commands.md"),
    ("savedsearches", "Defender Bridge - ", "docs/data.md"),
];

/// Described to Enterprise Security, not to people.
const UNTOLD: &[&str] = &["_cam"];

pub fn problems(app: &App, root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (page, confs, splunks) in PAGES {
        let text =
            fs::read_to_string(root.join(page)).with_context(|| format!("cannot read {page}"))?;
        let described: BTreeSet<&str> = confs
            .iter()
            .flat_map(|conf| app.described(conf))
            .map(|key| key.strip_prefix("param.").unwrap_or(key))
            .filter(|key| !UNTOLD.contains(key))
            .collect();
        problems.extend(differences(page, &text, &described, splunks)?);
    }
    for (conf, prefix, page) in NAMED {
        let text =
            fs::read_to_string(root.join(page)).with_context(|| format!("cannot read {page}"))?;
        let stanzas = app.conf(conf).iter().map(|stanza| stanza.name.as_str());
        problems.extend(unnamed(conf, prefix, stanzas, page, &text));
    }
    Ok(problems)
}

fn unnamed<'a>(
    conf: &str,
    prefix: &str,
    stanzas: impl Iterator<Item = &'a str>,
    page: &str,
    text: &str,
) -> Vec<String> {
    stanzas
        .map(|stanza| stanza.strip_prefix(prefix).unwrap_or(stanza))
        .filter(|name| !text.contains(name))
        .map(|name| format!("{page} does not name {name}, which default/{conf}.conf has"))
        .collect()
}

fn differences(
    page: &str,
    text: &str,
    described: &BTreeSet<&str>,
    splunks: &[&str],
) -> Result<Vec<String>> {
    let tabled = tabled(text)?;
    let shown = Regex::new(r"(?m)^(\w+) = ")?;
    let shown: BTreeSet<&str> = shown
        .captures_iter(text)
        .filter_map(|found| found.get(1))
        .map(|found| found.as_str())
        .collect();
    let left_out = described
        .iter()
        .filter(|key| !tabled.contains(**key) && !shown.contains(**key))
        .map(|key| format!("{page} leaves out {key}, which a spec describes"));
    let made_up = tabled
        .iter()
        .filter(|key| !described.contains(key.as_str()) && !splunks.contains(&key.as_str()))
        .map(|key| format!("{page} explains {key}, which no spec describes"));
    Ok(left_out.chain(made_up).collect())
}

/// What stands in back quotes in the first column of tables of keys and parameters.
fn tabled(text: &str) -> Result<BTreeSet<String>> {
    let name = Regex::new("`([a-z_]+)`")?;
    let mut tabled = BTreeSet::new();
    let mut inside = false;
    for line in text.lines() {
        let first = line
            .strip_prefix('|')
            .and_then(|rest| rest.split('|').next());
        match first.map(str::trim) {
            None => inside = false,
            Some("key" | "parameter") => inside = true,
            Some(cell) if inside => {
                tabled.extend(name.captures_iter(cell).map(|found| found[1].to_owned()));
            }
            Some(_) => {}
        }
    }
    Ok(tabled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_a_page_leaves_out_or_makes_up_is_found() {
        let text = "| key | meaning |\n| --- | --- |\n| `url`, `gone` | x `other` |\n\n\
                    | outcome | meaning |\n| --- | --- |\n| `updated` | |\n\nlevel = info\n";
        let described = BTreeSet::from(["url", "level", "untold"]);
        assert_eq!(
            differences("docs/x.md", text, &described, &[]).unwrap(),
            [
                "docs/x.md leaves out untold, which a spec describes",
                "docs/x.md explains gone, which no spec describes",
            ]
        );
        assert_eq!(
            differences("docs/x.md", text, &described, &["gone"])
                .unwrap()
                .len(),
            1
        );
    }
    #[test]
    fn a_command_that_its_page_does_not_name_is_found() {
        let stanzas = ["Ours - told", "Ours - untold"];
        assert_eq!(
            unnamed("x", "Ours - ", stanzas.into_iter(), "docs/x.md", "*told*"),
            ["docs/x.md does not name untold, which default/x.conf has"]
        );
    }
}
