//! The app's conf files, specs, forms and manifest against one another: what
//! splunkd would take in silence and do nothing with is found here.

mod document;
#[cfg(test)]
mod evidence;
mod knowledge;
mod links;
mod names;
mod read;
mod settings;
mod sizes;

use crate::forms;
use crate::tool::say;
use crate::workspace::{NAME, Workspace};
use anyhow::{Context, Result, bail};
use document::{Stanza, conf, spec};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Keys of Splunk's own conf files that this app uses (`x*`: every key that begins so).
const SPLUNK: &[(&str, &[&str])] = &[
    (
        "app",
        &[
            "is_configured",
            "build",
            "id",
            "check_for_updates",
            "name",
            "version",
            "author",
            "description",
            "is_visible",
            "label",
            "supported_themes",
            "reload.*",
        ],
    ),
    ("inputs", &["start_by_shell", "interval", "sourcetype"]),
    (
        "commands",
        &[
            "chunked",
            "filename",
            "command.arg.*",
            "is_risky",
            "run_in_preview",
        ],
    ),
    (
        "searchbnf",
        &[
            "syntax",
            "shortdesc",
            "description",
            "usage",
            "tags",
            "related",
            "comment*",
            "example*",
            "category",
        ],
    ),
    (
        "props",
        &[
            "description",
            "category",
            "pulldown_type",
            "CHARSET",
            "SHOULD_LINEMERGE",
            "LINE_BREAKER",
            "TRUNCATE",
            "TIME_PREFIX",
            "MAX_TIMESTAMP_LOOKAHEAD",
            "TZ",
            "KV_MODE",
            "sourcetype",
            "REPORT-*",
            "EVAL-*",
        ],
    ),
    (
        "transforms",
        &[
            "REGEX",
            "FORMAT",
            "MV_ADD",
            "filename",
            "match_type",
            "case_sensitive_match",
            "min_matches",
            "max_matches",
            "default_match",
        ],
    ),
    ("macros", &["definition", "description"]),
    (
        "savedsearches",
        &[
            "description",
            "disabled",
            "enableSched",
            "cron_schedule",
            "dispatch.earliest_time",
            "dispatch.latest_time",
            "search",
            "counttype",
            "relation",
            "quantity",
            "alert.track",
            "alert.severity",
            "alert.digest_mode",
            "alert.suppress",
            "alert.suppress.fields",
            "alert.suppress.period",
        ],
    ),
    (
        "workflow_actions",
        &[
            "type",
            "label",
            "eventtypes",
            "fields",
            "display_location",
            "link.uri",
            "link.target",
            "search.app",
            "search.view",
            "search.target",
            "search.earliest",
            "search.latest",
            "search.search_string",
        ],
    ),
    ("eventtypes", &["search", "description"]),
    (
        "tags",
        &[
            "alert",
            "attack",
            "authentication",
            "certificate",
            "communicate",
            "content",
            "delivery",
            "dns",
            "email",
            "endpoint",
            "filesystem",
            "incident",
            "inventory",
            "listening",
            "malware",
            "network",
            "port",
            "process",
            "registry",
            "report",
            "resolution",
            "service",
            "ssl",
            "system",
            "ticketing",
            "version",
        ],
    ),
    (
        "alert_actions",
        &[
            "is_custom",
            "label",
            "description",
            "icon_path",
            "payload_format",
            "alert.execute.cmd",
            "alert.execute.cmd.arg.*",
            "maxtime",
            "ttl",
        ],
    ),
    ("collections", &["replicate"]),
    ("server", &["conf_replication_include.*"]),
    ("distsearch", &["defender_bridge_*"]),
    (
        "restmap",
        &[
            "action.*",
            "match",
            "scripttype",
            "script",
            "driver",
            "driver.arg.*",
            "driver.env.*",
            "output_modes",
            "requireAuthentication",
            "passSession",
            "passSystemAuth",
            "passPayload",
            "passConf",
            "passHttpHeaders",
            "passHttpCookies",
            "capability.*",
        ],
    ),
    (
        "authorize",
        &[
            "defender_triage",
            "defender_hunt",
            "edit_modinput_defender_bridge",
        ],
    ),
    ("web", &["pattern", "methods"]),
];

/// The app's files by path, as text where they are text.
struct App {
    confs: BTreeMap<String, Vec<Stanza>>,
    specs: BTreeMap<String, Vec<(String, Vec<String>)>>,
}

pub fn check(workspace: &Workspace) -> Result<()> {
    let problems = problems(&workspace.root, &workspace.version()?)?;
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    say!("conf files, specs, forms and versions agree");
    Ok(())
}

fn problems(root: &Path, version: &str) -> Result<Vec<String>> {
    let app = App::read(root)?;
    let mut problems = app.unknown_keys();
    problems.extend(app.version(version));
    problems.extend(app.own_confs());
    problems.extend(app.transforms());
    problems.extend(app.tags());
    problems.extend(app.actions(root)?);
    problems.extend(forms::problems(root)?);
    problems.extend(app.commands());
    problems.extend(knowledge::problems(&app, root)?);
    problems.extend(names::problems(&app, root)?);
    problems.extend(read::problems(&app, root)?);
    problems.extend(links::problems(root)?);
    problems.extend(settings::problems(&app, root)?);
    problems.extend(sizes::problems(root)?);
    problems.extend(manifest(root, version)?);
    Ok(problems)
}

impl App {
    fn read(root: &Path) -> Result<Self> {
        let mut app = Self {
            confs: BTreeMap::new(),
            specs: BTreeMap::new(),
        };
        for (name, text) in texts(&root.join("default"), ".conf")? {
            let stanzas = conf(&text).with_context(|| format!("default/{name}.conf"))?;
            app.confs.insert(name, stanzas);
        }
        for (name, text) in texts(&root.join("README"), ".conf.spec")? {
            app.specs.insert(name, spec(&text));
        }
        Ok(app)
    }

    fn conf(&self, name: &str) -> &[Stanza] {
        self.confs.get(name).map_or(&[], Vec::as_slice)
    }

    fn value(&self, name: &str, stanza: &str, key: &str) -> &str {
        self.conf(name)
            .iter()
            .find(|found| found.name == stanza)
            .and_then(|found| found.get(key))
            .unwrap_or_default()
    }

    fn described(&self, name: &str) -> BTreeSet<&str> {
        let stanzas = self.specs.get(name).into_iter().flatten();
        stanzas
            .flat_map(|(_, keys)| keys)
            .map(String::as_str)
            .collect()
    }

    fn unknown_keys(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, stanzas) in &self.confs {
            let ours = self.described(name);
            let splunks = SPLUNK
                .iter()
                .find(|(conf, _)| conf == name)
                .map(|(_, keys)| *keys);
            if ours.is_empty() && splunks.is_none() {
                problems.push(format!("default/{name}.conf has no spec"));
                continue;
            }
            for stanza in stanzas {
                for (key, _) in &stanza.settings {
                    let known = ours.contains(key.as_str())
                        || splunks
                            .into_iter()
                            .flatten()
                            .any(|pattern| matches(pattern, key));
                    if !known {
                        problems.push(format!(
                            "default/{name}.conf [{}] {key}: no spec knows this key",
                            stanza.name
                        ));
                    }
                }
            }
        }
        problems
    }

    fn version(&self, version: &str) -> Vec<String> {
        let mut expected = vec![
            ("id", "version", version.to_owned()),
            ("launcher", "version", version.to_owned()),
            ("id", "name", NAME.to_owned()),
            ("package", "id", NAME.to_owned()),
        ];
        // Splunk Web keeps static files until the build number changes.
        let numbers: Vec<u32> = version
            .split(['.', '-', '+'])
            .take(3)
            .filter_map(|number| number.parse().ok())
            .collect();
        if let [major, minor, patch] = numbers[..] {
            let build = major * 10_000 + minor * 100 + patch;
            expected.push(("install", "build", build.to_string()));
        }
        expected
            .into_iter()
            .filter(|(stanza, key, value)| self.value("app", stanza, key) != value)
            .map(|(stanza, key, value)| {
                format!("default/app.conf [{stanza}] {key} must be {value}")
            })
            .collect()
    }

    /// A conf of our own is reloaded without a restart, and reaches all members of a cluster.
    fn own_confs(&self) -> Vec<String> {
        let own = self.specs.keys().filter(|name| name.starts_with(NAME));
        let mut problems = Vec::new();
        for name in own {
            if self.value("app", "triggers", &format!("reload.{name}")) != "simple" {
                problems.push(format!(
                    "default/app.conf [triggers] lacks reload.{name} = simple"
                ));
            }
            let include = format!("conf_replication_include.{name}");
            if self.value("server", "shclustering", &include) != "true" {
                problems.push(format!("default/server.conf lacks {include} = true"));
            }
        }
        problems
    }

    fn transforms(&self) -> Vec<String> {
        let defined: BTreeSet<&str> = self
            .conf("transforms")
            .iter()
            .filter(|stanza| stanza.get("filename").is_none())
            .map(|stanza| stanza.name.as_str())
            .collect();
        let used: BTreeSet<&str> = self
            .conf("props")
            .iter()
            .flat_map(|stanza| &stanza.settings)
            .filter(|(key, _)| key.starts_with("REPORT-"))
            .flat_map(|(_, value)| value.split(',').map(str::trim))
            .collect();
        defined
            .symmetric_difference(&used)
            .map(|name| format!("transform {name} is not both defined and used"))
            .collect()
    }

    fn tags(&self) -> Vec<String> {
        let eventtypes: BTreeSet<&str> = self
            .conf("eventtypes")
            .iter()
            .map(|stanza| stanza.name.as_str())
            .collect();
        self.conf("tags")
            .iter()
            .filter(|stanza| {
                !stanza
                    .name
                    .strip_prefix("eventtype=")
                    .is_some_and(|name| eventtypes.contains(name))
            })
            .map(|stanza| format!("default/tags.conf [{}]: no such event type", stanza.name))
            .collect()
    }

    /// Each command starts the one executable under its own name, and says in the search bar what it is.
    fn commands(&self) -> Vec<String> {
        let explained: BTreeSet<&str> = self
            .conf("searchbnf")
            .iter()
            .filter_map(|stanza| stanza.name.strip_suffix("-command"))
            .collect();
        let mut problems = Vec::new();
        for command in self.conf("commands") {
            let name = command.name.as_str();
            let expected = [
                ("chunked", "true"),
                ("filename", NAME),
                ("command.arg.1", "search-command"),
                ("command.arg.2", name),
                ("run_in_preview", "false"),
            ];
            for (key, value) in expected {
                if command.get(key) != Some(value) {
                    problems.push(format!(
                        "default/commands.conf [{name}] {key} must be {value}"
                    ));
                }
            }
            if !explained.contains(name) {
                problems.push(format!("default/searchbnf.conf lacks [{name}-command]"));
            }
        }
        let defined: BTreeSet<&str> = self
            .conf("commands")
            .iter()
            .map(|stanza| stanza.name.as_str())
            .collect();
        for name in explained.difference(&defined) {
            problems.push(format!("default/commands.conf lacks [{name}]"));
        }
        problems
    }

    /// Each action's parameters are the same in its defaults, its form and both specs.
    fn actions(&self, root: &Path) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        let saved = self.described("savedsearches");
        for action in self.conf("alert_actions") {
            let name = &action.name;
            let path = root.join(format!("default/data/ui/alerts/{name}.html"));
            let form = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let prefix = format!("action.{name}.param.");
            let asked: BTreeSet<&str> = form
                .split(&format!("name=\"{prefix}"))
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
                .collect();
            let offered: BTreeSet<&str> = action
                .settings
                .iter()
                .filter_map(|(key, _)| key.strip_prefix("param."))
                .filter(|parameter| !parameter.starts_with('_'))
                .collect();
            let savable: BTreeSet<&str> = saved
                .iter()
                .filter_map(|key| key.strip_prefix(prefix.as_str()))
                .collect();
            for (other, parameters) in [("its form", asked), ("savedsearches.conf.spec", savable)] {
                for parameter in offered.symmetric_difference(&parameters) {
                    problems.push(format!(
                        "[{name}] param.{parameter}: not both in alert_actions.conf and {other}"
                    ));
                }
            }
            let icon = action.get("icon_path").unwrap_or_default();
            if icon.is_empty()
                || !root
                    .join("splunk_app/appserver/static")
                    .join(icon)
                    .is_file()
            {
                problems.push(format!(
                    "[{name}] icon_path names no file in splunk_app/appserver/static"
                ));
            }
            let model = action.get("param._cam").unwrap_or_default();
            if let Err(error) = serde_json::from_str::<serde_json::Value>(model) {
                problems.push(format!("[{name}] param._cam is not JSON: {error}"));
            }
        }
        Ok(problems)
    }
}

fn manifest(root: &Path, version: &str) -> Result<Vec<String>> {
    let path = root.join("splunk_app/app.manifest");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: serde_json::Value = serde_json::from_str(&text).context("app.manifest")?;
    let id = &manifest["info"]["id"];
    Ok([("name", NAME), ("version", version)]
        .into_iter()
        .filter(|(key, value)| id[key] != **value)
        .map(|(key, value)| format!("app.manifest info.id.{key} must be {value}"))
        .collect())
}

/// The parameters of an input, as its spec declares them.
pub fn input_parameters(root: &Path) -> Result<BTreeSet<String>> {
    let path = root.join("README/inputs.conf.spec");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(spec(&text).into_iter().flat_map(|(_, keys)| keys).collect())
}

fn matches(pattern: &str, key: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => key.starts_with(start),
        None => key == pattern,
    }
}

/// Texts of a folder by name, without the ending.
fn texts(folder: &Path, ending: &str) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix(ending) else {
            continue;
        };
        let text = fs::read_to_string(entry.path())
            .with_context(|| format!("cannot read {}", entry.path().display()))?;
        texts.insert(name.to_owned(), text);
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn the_app_agrees_with_itself() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(problems(&root(), version).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn another_version_is_noticed_everywhere_it_stands() {
        let found = problems(&root(), "9.8.7").unwrap();
        for place in [
            "[id] version must be 9.8.7",
            "[launcher] version must be 9.8.7",
            "[install] build must be 90807",
            "app.manifest info.id.version must be 9.8.7",
        ] {
            assert!(
                found.iter().any(|problem| problem.contains(place)),
                "{place}: {found:?}"
            );
        }
    }

    fn app(name: &str, text: &str) -> App {
        App {
            confs: BTreeMap::from([(name.to_owned(), conf(text).unwrap())]),
            specs: BTreeMap::new(),
        }
    }

    #[test]
    fn a_misspelt_key_is_found() {
        let found = app("props", "[x]\nTRUNCAT = 0\nEVAL-a = 1\n").unknown_keys();
        assert_eq!(
            found,
            ["default/props.conf [x] TRUNCAT: no spec knows this key"]
        );
    }

    #[test]
    fn a_conf_nobody_described_is_found() {
        assert_eq!(
            app("limits", "[x]\na = 1\n").unknown_keys(),
            ["default/limits.conf has no spec"]
        );
    }

    #[test]
    fn a_transform_that_is_not_there_is_found() {
        let found = app("props", "[x]\nREPORT-a = one, two\n").transforms();
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_command_that_would_not_start_is_found() {
        let found = app("commands", "[x]\nchunked = true\nfilename = y\n").commands();
        assert_eq!(found.len(), 5, "{found:?}");
    }

    #[test]
    fn a_tag_on_nothing_is_found() {
        assert_eq!(
            app("tags", "[eventtype=x]\nalert = enabled\n").tags().len(),
            1
        );
    }
}
