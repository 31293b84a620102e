//! What people search with: macros, lookups, saved searches, workflow actions,
//! dashboards and forms. Splunk finds a name that is not there when an analyst does.

use super::{App, texts};
use anyhow::{Context, Result};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Macros of other apps, with the app that has them.
const FOREIGN_MACROS: &[(&str, &str)] = &[("notable", "Splunk Enterprise Security")];

/// Views that every app has from Splunk.
const SPLUNKS_VIEWS: &[&str] = &["search", "alerts", "reports", "dashboards"];

/// Keys without which a saved search is no finished one.
const SAVED_SEARCH: &[&str] = &[
    "description",
    "search",
    "cron_schedule",
    "dispatch.earliest_time",
    "dispatch.latest_time",
];

pub fn problems(app: &App, root: &Path) -> Result<Vec<String>> {
    let views = texts(&root.join("default/data/ui/views"), ".xml")?;
    let forms = texts(&root.join("default/data/ui/alerts"), ".html")?;
    let mut problems = names_in_searches(app, &views, &forms);
    problems.extend(described(app));
    problems.extend(lookups(app, root)?);
    problems.extend(saved_searches(app));
    problems.extend(workflow_actions(app));
    problems.extend(view_definitions(&views));
    problems.extend(navigation(root, &views)?);
    problems.extend(form_choices(app, root, &forms)?);
    Ok(problems)
}

/// Every text of the app in which SPL stands, by where it stands.
fn searches<'a>(
    app: &'a App,
    views: &'a BTreeMap<String, String>,
    forms: &'a BTreeMap<String, String>,
) -> Vec<(String, &'a str)> {
    let keys = [
        ("macros", "definition"),
        ("savedsearches", "search"),
        ("workflow_actions", "search.search_string"),
        ("eventtypes", "search"),
    ];
    let mut found = Vec::new();
    for (conf, key) in keys {
        for stanza in app.conf(conf) {
            if let Some(text) = stanza.get(key) {
                found.push((format!("default/{conf}.conf [{}] {key}", stanza.name), text));
            }
        }
    }
    for (folder, ending, texts) in [("views", "xml", views), ("alerts", "html", forms)] {
        for (name, text) in texts {
            let place = format!("default/data/ui/{folder}/{name}.{ending}");
            found.push((place, text.as_str()));
        }
    }
    found
}

fn names_in_searches(
    app: &App,
    views: &BTreeMap<String, String>,
    forms: &BTreeMap<String, String>,
) -> Vec<String> {
    let called = regex(r"`([A-Za-z_][A-Za-z0-9_]*)(?:\(([^`]*)\))?`");
    let looked_up = regex(r"\b(?:input|output)?lookup\s+([A-Za-z_][A-Za-z0-9_.]*)");
    let macros: BTreeSet<&str> = names(app, "macros");
    let lookups: BTreeSet<&str> = names(app, "transforms");
    let mut problems = Vec::new();
    for (place, text) in searches(app, views, forms) {
        for call in called.captures_iter(text) {
            let name = match call.get(2) {
                None => call[1].to_owned(),
                Some(arguments) => {
                    format!("{}({})", &call[1], arguments.as_str().split(',').count())
                }
            };
            let foreign = FOREIGN_MACROS.iter().any(|(macro_, _)| *macro_ == name);
            if !foreign && !macros.contains(name.as_str()) {
                problems.push(format!("{place}: there is no macro `{name}`"));
            }
        }
        for call in looked_up.captures_iter(text) {
            if !lookups.contains(&call[1]) {
                problems.push(format!("{place}: there is no lookup {}", &call[1]));
            }
        }
    }
    problems
}

fn described(app: &App) -> Vec<String> {
    app.conf("macros")
        .iter()
        .flat_map(|stanza| {
            ["definition", "description"]
                .into_iter()
                .filter(|key| stanza.get(key).unwrap_or_default().is_empty())
                .map(|key| format!("default/macros.conf [{}] lacks {key}", stanza.name))
        })
        .collect()
}

/// Each lookup has its table, each table its lookup, each line as many cells as the first.
fn lookups(app: &App, root: &Path) -> Result<Vec<String>> {
    let tables = texts(&root.join("splunk_app/lookups"), ".csv")?;
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    for stanza in app.conf("transforms") {
        let Some(file) = stanza.get("filename") else {
            continue;
        };
        let name = file.strip_suffix(".csv").unwrap_or(file);
        used.insert(name);
        if !tables.contains_key(name) {
            problems.push(format!(
                "default/transforms.conf [{}]: there is no splunk_app/lookups/{file}",
                stanza.name
            ));
        }
    }
    for (name, text) in &tables {
        if !used.contains(name.as_str()) {
            problems.push(format!("splunk_app/lookups/{name}.csv: no lookup reads it"));
        }
        let mut lines = csv(text).into_iter();
        let columns = lines.next().unwrap_or_default();
        for (number, line) in (2..).zip(lines) {
            if line.len() != columns.len() {
                problems.push(format!(
                    "splunk_app/lookups/{name}.csv line {number}: {} cells under {} columns",
                    line.len(),
                    columns.len()
                ));
            }
        }
    }
    Ok(problems)
}

/// A saved search is shipped for somebody to enable, never enabled.
fn saved_searches(app: &App) -> Vec<String> {
    let actions = names(app, "alert_actions");
    let mut problems = Vec::new();
    for stanza in app.conf("savedsearches") {
        let place = format!("default/savedsearches.conf [{}]", stanza.name);
        if stanza.get("disabled") != Some("1") {
            problems.push(format!("{place} must be shipped with disabled = 1"));
        }
        for key in SAVED_SEARCH {
            if stanza.get(key).unwrap_or_default().is_empty() {
                problems.push(format!("{place} lacks {key}"));
            }
        }
        // Suppressed by field is only what is told per result; else the first one silences all others.
        if stanza.get("alert.suppress.fields").is_some()
            && stanza.get("alert.digest_mode") != Some("0")
        {
            problems.push(format!(
                "{place} alert.suppress.fields needs alert.digest_mode = 0"
            ));
        }
        for (key, _) in &stanza.settings {
            let Some(action) = key.strip_prefix("action.") else {
                continue;
            };
            let action = action.split('.').next().unwrap_or_default();
            if !actions.contains(action) {
                problems.push(format!("{place} {key}: there is no such alert action"));
            }
        }
    }
    problems
}

/// A link shows, a search writes; both take from the event only what cannot be anything else.
fn workflow_actions(app: &App) -> Vec<String> {
    let token = regex(r"\$([^$]*)\$");
    let host = regex(r"^https://security\.microsoft\.com/(?:alerts|incidents)/\$[a-z_]+\$$");
    let page = regex(r"^/app/defender_bridge/[a-z]+\?form\.[a-z_]+=\$[a-z_]+\$$");
    let eventtypes = names(app, "eventtypes");
    let strict: BTreeSet<&str> = app
        .conf("props")
        .iter()
        .flat_map(|stanza| &stanza.settings)
        .filter_map(|(key, _)| key.strip_prefix("EVAL-"))
        .filter(|field| field.starts_with("defender_"))
        .collect();
    let mut problems = Vec::new();
    for stanza in app.conf("workflow_actions") {
        let place = format!("default/workflow_actions.conf [{}]", stanza.name);
        let get = |key: &str| stanza.get(key).unwrap_or_default();
        let required: BTreeSet<&str> = get("fields").split(',').map(str::trim).collect();
        match get("type") {
            "link" => {
                let uri = get("link.uri");
                if !host.is_match(uri) && !page.is_match(uri) {
                    problems.push(format!(
                        "{place} link.uri must be Microsoft's portal over https, or a page of this app, with one id in it"
                    ));
                }
            }
            "search" => {
                if get("search.app") != crate::workspace::NAME {
                    problems.push(format!("{place} search.app must be this app"));
                }
            }
            other => problems.push(format!("{place} type {other:?} is not known")),
        }
        for text in [get("link.uri"), get("search.search_string"), get("label")] {
            for field in token.captures_iter(text) {
                let field = field.get(1).map_or("", |field| field.as_str());
                if !required.contains(field) || !strict.contains(field) {
                    problems.push(format!(
                        "{place}: ${field}$ must be a calculated field defender_* of props.conf and one of `fields`"
                    ));
                }
            }
        }
        for eventtype in get("eventtypes").split(',').map(str::trim) {
            if !eventtypes.contains(eventtype) {
                problems.push(format!("{place}: there is no event type {eventtype:?}"));
            }
        }
        if get("label").is_empty() {
            problems.push(format!("{place} lacks label"));
        }
    }
    problems
}

/// A Studio dashboard holds one definition that is JSON, anything else is Simple XML 1.1.
fn view_definitions(views: &BTreeMap<String, String>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, text) in views {
        let place = format!("default/data/ui/views/{name}.xml");
        let studio = text.contains("version=\"2\"");
        if !studio && !text.contains("version=\"1.1\"") {
            problems.push(format!("{place}: version must be \"2\" or \"1.1\""));
        }
        if studio {
            let definition = text
                .split_once("<definition><![CDATA[")
                .and_then(|(_, rest)| rest.split_once("]]></definition>"))
                .map_or("", |(definition, _)| definition);
            if let Err(error) = serde_json::from_str::<serde_json::Value>(definition) {
                problems.push(format!("{place}: the definition is not JSON: {error}"));
            }
        }
        if text.contains("http://") {
            problems.push(format!("{place}: a link over plain http"));
        }
    }
    problems
}

fn navigation(root: &Path, views: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let path = root.join("default/data/ui/nav/default.xml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let named: Vec<&str> = text
        .split("<view name=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let mut problems: Vec<String> = named
        .iter()
        .filter(|view| !views.contains_key(**view) && !SPLUNKS_VIEWS.contains(view))
        .map(|view| format!("default/data/ui/nav/default.xml: there is no view {view}"))
        .collect();
    for view in views.keys() {
        if !named.contains(&view.as_str()) {
            problems.push(format!(
                "default/data/ui/nav/default.xml: nothing leads to {view}"
            ));
        }
    }
    Ok(problems)
}

/// The lists of a form offer the vocabulary, all of it, with "leave unchanged" first, and no label without its field.
fn form_choices(app: &App, root: &Path, forms: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let path = root.join("splunk_app/lookups/defender_bridge_vocabulary.csv");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let vocabulary = csv(&text);
    let option = regex(r#"<option value="([^"]*)">"#);
    let label = regex(r#"<label [^>]*for="([^"]+)""#);
    let mut problems = Vec::new();
    for action in names(app, "alert_actions") {
        let Some(form) = forms.get(action) else {
            continue;
        };
        let subject = action.rsplit('_').next().unwrap_or_default();
        for kind in ["status", "classification", "determination"] {
            let list = form
                .split_once(&format!("name=\"action.{action}.param.{kind}\""))
                .and_then(|(_, rest)| rest.split_once("</select>"))
                .map_or("", |(list, _)| list);
            let offered: Vec<&str> = option
                .captures_iter(list)
                .filter_map(|found| found.get(1).map(|value| value.as_str()))
                .collect();
            let words: BTreeSet<&str> = vocabulary
                .iter()
                .filter(|line| {
                    matches!(line.as_slice(), [of, whose, ..]
                        if of == kind && (whose == subject || whose == "any"))
                })
                .filter_map(|line| line.get(3).map(String::as_str))
                .collect();
            if offered.first() != Some(&"") {
                problems.push(format!(
                    "{action}.html: the first choice of {kind} must leave it unchanged"
                ));
            }
            let offered: BTreeSet<&str> = offered.into_iter().filter(|w| !w.is_empty()).collect();
            for word in offered.symmetric_difference(&words) {
                problems.push(format!(
                    "{action}.html: {kind} {word} is not both in the form and in the vocabulary"
                ));
            }
        }
        for target in label.captures_iter(form) {
            if !form.contains(&format!("id=\"{}\"", &target[1])) {
                problems.push(format!(
                    "{action}.html: a label for {}, which is not there",
                    &target[1]
                ));
            }
        }
    }
    Ok(problems)
}

fn names<'a>(app: &'a App, conf: &str) -> BTreeSet<&'a str> {
    app.conf(conf)
        .iter()
        .map(|stanza| stanza.name.as_str())
        .collect()
}

/// A table's cells, line by line; no cell of ours spans lines.
fn csv(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .map(|line| {
            let mut cells = vec![String::new()];
            let mut quoted = false;
            for c in line.chars() {
                match (c, quoted) {
                    ('"', _) => quoted = !quoted,
                    (',', false) => cells.push(String::new()),
                    _ => {
                        if let Some(cell) = cells.last_mut() {
                            cell.push(c);
                        }
                    }
                }
            }
            cells
        })
        .collect()
}

/// One of the patterns above; a mistake in it shows with every check.
fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

#[cfg(test)]
mod tests {
    use super::super::document::conf;
    use super::*;

    fn app(confs: &[(&str, &str)]) -> App {
        App {
            confs: confs
                .iter()
                .map(|(name, text)| ((*name).to_owned(), conf(text).unwrap()))
                .collect(),
            specs: BTreeMap::new(),
        }
    }

    fn found(confs: &[(&str, &str)]) -> Vec<String> {
        names_in_searches(&app(confs), &BTreeMap::new(), &BTreeMap::new())
    }

    #[test]
    fn a_macro_or_lookup_that_is_not_there_is_found_wherever_it_is_called() {
        let macros = (
            "macros",
            "[a]\ndefinition = `b` | lookup c x\n[d(2)]\ndefinition = x\n",
        );
        assert_eq!(
            found(&[
                macros,
                (
                    "savedsearches",
                    "[s]\nsearch = `d(1,2)` `d(1)` `notable` `a`\n"
                )
            ]),
            [
                "default/macros.conf [a] definition: there is no macro `b`",
                "default/macros.conf [a] definition: there is no lookup c",
                "default/savedsearches.conf [s] search: there is no macro `d(1)`",
            ]
        );
    }

    #[test]
    fn an_enabled_or_unfinished_saved_search_is_found() {
        let text = "[s]\nsearch = x\naction.y.param.z = 1\n";
        let found = saved_searches(&app(&[("savedsearches", text)]));
        assert_eq!(found.len(), 6, "{found:?}");
    }

    #[test]
    fn a_workflow_action_takes_only_strict_fields_to_known_places() {
        let text = "[a]\ntype = link\nlabel = x\neventtypes = e\nfields = id\nlink.uri = https://security.microsoft.com/alerts/$id$\n\
            [b]\ntype = link\nlabel = x\neventtypes = e\nfields = defender_a\nlink.uri = https://$defender_a$/x\n\
            [c]\ntype = link\nlabel = x\neventtypes = e\nfields = defender_a\nlink.uri = https://security.microsoft.com/alerts/$defender_a$\n";
        let found = workflow_actions(&app(&[
            ("workflow_actions", text),
            ("eventtypes", "[e]\nsearch = x\n"),
            ("props", "[p]\nEVAL-defender_a = 1\n"),
        ]));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("[a]: $id$") && found[1].contains("[b] link.uri"));
    }

    #[test]
    fn a_dashboard_that_is_no_json_is_found() {
        let view = "<dashboard version=\"2\"><definition><![CDATA[{]]></definition></dashboard>";
        let views = BTreeMap::from([("v".to_owned(), view.to_owned())]);
        assert_eq!(view_definitions(&views).len(), 1);
    }

    #[test]
    fn a_quoted_comma_parts_no_cells() {
        assert_eq!(csv("a,\"b,c\",\n"), [["a", "b,c", ""]]);
    }
}
