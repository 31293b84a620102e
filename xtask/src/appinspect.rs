//! Splunk's AppInspect, as Splunk runs it when an app is submitted.

use crate::python::Venv;
use crate::tool::{self, say};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::process::Stdio;

const TOOL: &[&str] = &["splunk-appinspect==4.3.1"];

/// Warnings every app of this kind gets, and why nothing can be done about them.
const UNAVOIDABLE: &[(&str, &str)] = &[
    (
        "check_for_modular_inputs",
        "a note that there is a modular input; says itself that no action is required",
    ),
    (
        "check_for_indexer_synced_configs",
        "a note that inputs.conf stays on search heads, where it belongs",
    ),
    (
        "check_collections_conf",
        "a note that there is a KV store collection, which only inputs with `checkpoint = kvstore` use",
    ),
];

/// Which of its checks it runs.
#[derive(Clone, Copy)]
pub enum Checks {
    Precert,
    Cloud,
}

impl Checks {
    fn name(self) -> &'static str {
        match self {
            Self::Precert => "precert",
            Self::Cloud => "cloud",
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Precert => &["--mode", "precert"],
            Self::Cloud => &["--mode", "precert", "--included-tags", "cloud"],
        }
    }
}

#[derive(Deserialize)]
struct Report {
    summary: Summary,
    reports: Vec<App>,
}

#[derive(Deserialize)]
struct Summary {
    error: u32,
    failure: u32,
    future_failure: u32,
    warning: u32,
    success: u32,
}

#[derive(Deserialize)]
struct App {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    result: String,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    result: String,
    message: String,
}

pub fn inspect(workspace: &Workspace, package: &Path, checks: Checks) -> Result<()> {
    let venv = Venv::with(workspace, "appinspect", TOOL)?;
    let probe = venv.python().args(["-c", "import magic"]).output()?;
    if !probe.status.success() {
        bail!(
            "AppInspect needs libmagic: install it (Debian: apt-get install libmagic1, Red Hat: dnf install file-libs, macOS: brew install libmagic)\n{}",
            String::from_utf8_lossy(&probe.stderr).trim()
        );
    }
    let folder = workspace.target.join("appinspect");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let name = checks.name();
    let path = folder.join(format!("{name}.json"));
    if path.exists() {
        fs::remove_file(&path)?;
    }
    // The exit code counts warnings too; the report is what is judged.
    let mut inspect = venv.program("splunk-appinspect");
    inspect
        .arg("inspect")
        .arg(package)
        .args(checks.options())
        // An x86_64 executable cannot also be an aarch64 one: there is a package per platform.
        .args(["--excluded-tags", "aarch64_compatibility"])
        .args([
            "--skip-trusted-libraries-update",
            "--data-format",
            "json",
            "--output-file",
        ])
        .arg(&path);
    let output = tool::output(
        tool::nice(&inspect)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    )?;
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "AppInspect ({name}) left no report, {}:\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    judge(name, &text)
}

fn judge(name: &str, report: &str) -> Result<()> {
    let report: Report =
        serde_json::from_str(report).with_context(|| format!("AppInspect's report ({name})"))?;
    let summary = &report.summary;
    say!(
        "AppInspect {name}: {} errors, {} failures, {} future failures, {} warnings, {} successes",
        summary.error,
        summary.failure,
        summary.future_failure,
        summary.warning,
        summary.success
    );
    if report.reports.is_empty() || summary.success == 0 {
        bail!("AppInspect ({name}) checked nothing");
    }
    let mut problems = Vec::new();
    let checks = report
        .reports
        .iter()
        .flat_map(|app| &app.groups)
        .flat_map(|group| &group.checks);
    for check in checks {
        let known = UNAVOIDABLE.iter().find(|(known, _)| *known == check.name);
        match (check.result.as_str(), known) {
            ("success" | "not_applicable", _) => {}
            ("warning", Some((_, reason))) => say!("  {}: {reason}", check.name),
            (result, _) => {
                problems.push(format!("{result}: {}", check.name));
                problems.extend(
                    check
                        .messages
                        .iter()
                        .map(|message| format!("  {}: {}", message.result, message.message)),
                );
            }
        }
    }
    if summary.error + summary.failure + summary.future_failure > 0 && problems.is_empty() {
        problems.push("the summary counts failures that no check names".to_owned());
    }
    if !problems.is_empty() {
        bail!("AppInspect ({name}):\n{}", problems.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(check: &str, result: &str, failures: u32) -> String {
        format!(
            r#"{{"summary": {{"error": 0, "failure": {failures}, "future_failure": 0, "warning": 0, "success": 9}},
                "reports": [{{"groups": [{{"checks": [
                    {{"name": "{check}", "result": "{result}", "messages": [{{"result": "{result}", "message": "why"}}]}}
                ]}}]}}]}}"#
        )
    }

    #[test]
    fn known_warnings_pass_and_all_others_do_not() {
        assert!(judge("t", &report("check_for_modular_inputs", "warning", 0)).is_ok());
        let refused = judge("t", &report("check_web_conf", "warning", 0)).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("warning: check_web_conf\n  warning: why")
        );
    }

    #[test]
    fn a_failure_is_one_whatever_its_name() {
        for result in ["failure", "error", "future_failure", "skipped", "new_word"] {
            assert!(judge("t", &report("check_for_modular_inputs", result, 0)).is_err());
        }
        assert!(judge("t", &report("check_for_modular_inputs", "success", 1)).is_err());
    }

    #[test]
    fn a_report_of_nothing_is_no_pass() {
        let empty = r#"{"summary": {"error": 0, "failure": 0, "future_failure": 0, "warning": 0, "success": 0}, "reports": []}"#;
        assert!(judge("t", empty).is_err());
    }
}
