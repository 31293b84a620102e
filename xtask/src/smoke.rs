//! The executable out of the package, started as splunkd would start it on a
//! machine that knows nothing of this workspace.

use crate::conf;
use crate::tool::say;
use crate::workspace::{NAME, Workspace};
use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

pub fn start(workspace: &Workspace, package: &Path) -> Result<()> {
    let folder = workspace.target.join("smoke");
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    let file =
        fs::File::open(package).with_context(|| format!("cannot read {}", package.display()))?;
    tar::Archive::new(GzDecoder::new(file))
        .unpack(&folder)
        .with_context(|| format!("cannot unpack {}", package.display()))?;
    let executable = folder.join(NAME).join("bin").join(NAME);
    let help = said(&executable, &folder, "--help")?;
    if let Some(command) = served(&help) {
        bail!("the executable has the command `{command}`: the sandbox is not to be shipped");
    }
    let scheme = said(&executable, &folder, "--scheme")?;
    let declared = arguments(&scheme)?;
    let described = conf::input_parameters(&workspace.root)?;
    if declared != described {
        bail!(
            "--scheme and README/inputs.conf.spec differ in: {}",
            declared
                .symmetric_difference(&described)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    say!(
        "--scheme: {} parameters, the same as in inputs.conf.spec",
        declared.len()
    );
    Ok(())
}

fn said(executable: &Path, folder: &Path, argument: &str) -> Result<String> {
    let output = Command::new(executable)
        .arg(argument)
        .current_dir(folder)
        .env_clear()
        .env("SPLUNK_HOME", folder)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", executable.display()))?;
    if !output.status.success() {
        bail!(
            "{argument}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first command of the help that starts a server.
fn served(help: &str) -> Option<&str> {
    let commands = help
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let mut servers = commands.filter(|word| ["demo", "sandbox"].contains(word));
    servers.next()
}

/// Names of the `<arg>` elements of a scheme document.
fn arguments(scheme: &str) -> Result<BTreeSet<String>> {
    let text = scheme.trim();
    if !text.contains("<scheme>") || !text.ends_with("</scheme>") {
        bail!("--scheme printed no scheme document: {text:?}");
    }
    Ok(text
        .split("<arg name=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_with_the_sandbox_is_told_by_its_help() {
        let help = "Carries alerts.\n\nCommands:\n  fetch  Reads\n  check  Tests an account in the sandbox\n";
        assert_eq!(served(help), None);
        let help = help.replace("  fetch", "  sandbox  Serves\n  fetch");
        assert_eq!(served(&help), Some("sandbox"));
    }

    #[test]
    fn arguments_are_read_from_a_whole_document_only() {
        let scheme = r#"<?xml version="1.0"?><scheme><args><arg name="a"><title>A</title></arg><arg name="b"/></args></scheme>"#;
        let found = arguments(scheme).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(arguments("").is_err());
        assert!(arguments("<scheme><args>").is_err());
    }
}
