//! Names that Splunk knows in every app at once. Stanzas of one name are merged
//! across apps, so a name of ours that another app has starts the wrong program.

use super::{App, NAME};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Confs whose stanzas are such names as they stand.
const STANZAS: &[&str] = &[
    "alert_actions",
    "collections",
    "eventtypes",
    "macros",
    "transforms",
    "workflow_actions",
];

/// Commands are typed by hand: short, without the prefix.
const COMMANDS: &str = "commands";

/// Capabilities in the words administrators grant; the executable and every document call them so.
const CAPABILITIES: &[&str] = &["defender_triage", "defender_hunt"];

/// Names of the official Microsoft add-on for Splunk.
const TAKEN: &[&str] = &[
    "defender_advanced_hunting",
    "defender_atp_index",
    "defender_dismiss_azure_alert",
    "defender_index",
    "defender_update_incident",
    "defender_update_incident_graph",
    "dns_from_DnsAddresses",
    "get_auth_token",
    "get_delegated_auth_token",
    "get_delegated_usr_login",
    "get_login_url",
    "ip_from_IPAddresses",
    "microsoft_365_defender_advanced_hunting",
    "microsoft_365_defender_endpoint_incidents",
    "microsoft_defender_endpoint_atp_alerts",
    "microsoft_defender_endpoint_machines",
    "microsoft_defender_endpoint_simulations",
    "microsoft_defender_event_hub",
    "ms_defender_endpoint_apt_alerts",
    "ms_security_atp_alert",
    "ms_security_err_codes",
    "ms_security_incident",
    "ms_security_incident_alerts",
    "ms_security_simulations",
    "recipient_domain_from_RecipientEmailAddress",
    "src_ip_from_DefaultGateways",
];

pub fn problems(app: &App, root: &Path) -> Result<Vec<String>> {
    let path = root.join("splunk_app/metadata/default.meta");
    let meta =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut problems: Vec<String> = found(app).into_iter().filter_map(objection).collect();
    problems.extend(private(&meta));
    Ok(problems)
}

/// Every global name, with the file it stands in.
fn found(app: &App) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for conf in STANZAS.iter().chain([&COMMANDS]) {
        found.extend(app.conf(conf).iter().map(|stanza| (*conf, &*stanza.name)));
    }
    // [capability::x], [script:x], [expose:x]: the name is what stands last.
    for conf in ["authorize", "restmap", "web"] {
        for stanza in app.conf(conf) {
            if let Some((kind, name)) = stanza.name.rsplit_once(':')
                && !kind.starts_with("validation")
            {
                found.push((conf, name));
            }
            if let Some(path) = stanza.get("match") {
                found.push((conf, path.trim_start_matches('/')));
            }
        }
    }
    let schemes = app.conf("inputs").iter().map(|stanza| &*stanza.name);
    found.extend(
        schemes
            .filter(|name| !name.contains("://"))
            .map(|name| ("inputs", name)),
    );
    // Classes of one name in one sourcetype are one setting, whichever app has them.
    for (key, _) in app.conf("props").iter().flat_map(|stanza| &stanza.settings) {
        if let Some(class) = key.strip_prefix("REPORT-") {
            found.push(("props", class));
        }
    }
    found
}

fn objection((conf, name): (&str, &str)) -> Option<String> {
    let ours = name == NAME
        || name.starts_with(&format!("{NAME}_"))
        || match conf {
            COMMANDS => name.starts_with("defender"),
            "authorize" => CAPABILITIES.contains(&name) || name == format!("edit_modinput_{NAME}"),
            _ => false,
        };
    if TAKEN.contains(&name) {
        Some(format!(
            "default/{conf}.conf {name}: the official add-on has this name"
        ))
    } else if !ours {
        Some(format!(
            "default/{conf}.conf {name}: a name that every app sees begins with {NAME}"
        ))
    } else {
        None
    }
}

/// Pages and saved searches have plain names, so no other app may see them.
fn private(meta: &str) -> Vec<String> {
    ["views", "savedsearches"]
        .into_iter()
        .filter(|kind| {
            let stanza = meta
                .split_once(&format!("[{kind}]\n"))
                .map_or("", |(_, rest)| rest.split("\n[").next().unwrap_or_default());
            !stanza.lines().any(|line| line.trim() == "export = none")
        })
        .map(|kind| format!("splunk_app/metadata/default.meta [{kind}] lacks export = none"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::document::conf;
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_global_name_without_our_prefix_or_of_the_official_add_on_is_found() {
        let texts = [
            (
                "alert_actions",
                "[defender_update_incident]\n[defender_bridge_x]\n[defender_bridgeling]\n",
            ),
            ("macros", "[defender_index]\n[defender_bridge_index]\n"),
            ("commands", "[defenderupdate]\n[hunt]\n"),
            (
                "authorize",
                "[capability::defender_hunt]\n[capability::triage]\n[role_admin]\n",
            ),
            (
                "restmap",
                "[script:defender_bridge]\nmatch = /get_login_url\n[validation:savedsearch]\n",
            ),
            ("web", "[expose:inputs]\n"),
            ("inputs", "[defender]\n[monitor:///x]\n"),
            (
                "props",
                "[x]\nREPORT-user = a\nREPORT-defender_bridge_user = a\n",
            ),
            ("transforms", "[defender_bridge_a]\n[src]\n"),
        ];
        let app = App {
            confs: texts
                .iter()
                .map(|(name, text)| ((*name).to_owned(), conf(text).unwrap()))
                .collect(),
            specs: BTreeMap::new(),
        };
        let names: Vec<_> = found(&app)
            .into_iter()
            .filter_map(|one| objection(one).map(|said| (one.1, said.contains("official"))))
            .collect();
        assert_eq!(
            names,
            [
                ("defender_update_incident", true),
                ("defender_bridgeling", false),
                ("defender_index", true),
                ("src", false),
                ("hunt", false),
                ("triage", false),
                ("get_login_url", true),
                ("inputs", false),
                ("defender", false),
                ("user", false),
            ]
        );
    }

    #[test]
    fn pages_and_saved_searches_that_other_apps_see_are_found() {
        let meta = "[]\nexport = system\n[views]\nexport = none\n[savedsearches]\naccess = x\n[x]\nexport = none\n";
        assert_eq!(
            private(meta),
            ["splunk_app/metadata/default.meta [savedsearches] lacks export = none"]
        );
    }
}
