//! The floor: one curl process that asks for what an input asked for, the
//! token included, over the same TLS, and throws it away.

use super::measure::{Subject, Usage};
use super::tenant::{Call, Place};
use crate::tool;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A replay of an input's calls.
pub struct Floor {
    config: PathBuf,
    home: PathBuf,
    answers: usize,
}

impl Floor {
    /// `calls` as the tenant logged them: one for a token, then lists.
    pub fn of(calls: &[Call], place: &Place, folder: &Path) -> Result<Self> {
        let (tokens, lists): (Vec<&Call>, Vec<&Call>) =
            calls.iter().partition(|call| call.method == "POST");
        if let Some(call) = calls.iter().find(|call| call.status != 200) {
            bail!(
                "{} {} was answered {}",
                call.method,
                call.target,
                call.status
            );
        }
        let Place {
            url,
            ca_file,
            client_id,
            client_secret,
            ..
        } = place;
        let form = format!(
            "grant_type=client_credentials&client_id={client_id}&client_secret={client_secret}&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default"
        );
        let shared = format!(
            "silent\nshow-error\nnoproxy = \"*\"\ncompressed\ngloboff\ncacert = \"{ca_file}\"\n\
             header = \"Accept: application/json\"\nwrite-out = \"%{{http_code}}\\n\"\n"
        );
        let mut config = String::new();
        for call in &tokens {
            config += &shared;
            config += &format!(
                "data = \"{form}\"\nurl = \"{url}{}\"\noutput = \"/dev/null\"\nnext\n",
                call.target
            );
        }
        let token = token(
            tokens.first().context("no token was asked for")?,
            place,
            &form,
        )?;
        config += &shared;
        config += &format!(
            "header = \"Authorization: Bearer {token}\"\n\
             header = \"Prefer: include-unknown-enum-members\"\n"
        );
        for call in &lists {
            config += &format!("url = \"{url}{}\"\noutput = \"/dev/null\"\n", call.target);
        }
        let path = folder.join("curl.conf");
        fs::write(&path, config)?;
        Ok(Self {
            config: path,
            home: folder.to_owned(),
            answers: calls.len(),
        })
    }

    pub fn run(&self) -> Result<Usage> {
        let mut codes = Vec::new();
        // Nothing of this machine's own configuration.
        let words = ["curl", "--disable", "--config"];
        let mut command: Vec<OsString> = words.map(OsString::from).into();
        command.push(self.config.clone().into());
        let curl = Subject {
            command,
            home: &self.home,
            document: b"",
        };
        let usage = curl.run(|out| codes.extend_from_slice(out))?;
        let codes = String::from_utf8_lossy(&codes);
        let well = codes.lines().filter(|code| *code == "200").count();
        if well != self.answers {
            bail!("curl got {well} of {} answers", self.answers);
        }
        Ok(usage)
    }
}

/// One for the replay; the one it asks for itself goes to /dev/null.
fn token(call: &Call, place: &Place, form: &str) -> Result<String> {
    let url = format!("{}{}", place.url, call.target);
    let mut curl = Command::new("curl");
    let answer = tool::read(curl.args([
        "-sS",
        "--noproxy",
        "*",
        "--cacert",
        &place.ca_file,
        "-d",
        form,
        &url,
    ]))?;
    let answer: Value = serde_json::from_str(&answer)?;
    let token = answer["access_token"].as_str();
    Ok(token
        .with_context(|| format!("no token: {answer}"))?
        .to_owned())
}
