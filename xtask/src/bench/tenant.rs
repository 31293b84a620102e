//! The embedded tenant in a process of its own, and the log of what it was asked.

use crate::tool;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How to reach it, as it says itself.
#[derive(Debug, Deserialize)]
pub struct Place {
    pub url: String,
    pub ca_file: String,
    pub client_id: String,
    pub client_secret: String,
    pub splunkd: Splunkd,
    pub event_hub: Option<EventHub>,
}

/// The event hub it streams into, where it was asked for one.
#[derive(Debug, Deserialize)]
pub struct EventHub {
    pub namespace: String,
    pub name: String,
    pub connection_string: String,
}

/// A splunkd that knows the tenant as an account.
#[derive(Debug, Deserialize)]
pub struct Splunkd {
    pub uri: String,
    pub session_key: String,
    pub account: String,
}

/// A call the tenant answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub status: u16,
}

pub struct Tenant {
    pub place: Place,
    process: Child,
    calls: Receiver<Call>,
    marks: u32,
}

impl Tenant {
    /// `settings` are arguments of `sandbox`; `folder` takes its files.
    pub fn start(
        executable: &Path,
        folder: &Path,
        address: Ipv4Addr,
        settings: &[String],
    ) -> Result<Self> {
        let mut process = Command::new(executable)
            .args([
                "sandbox",
                "--listen",
                &SocketAddrV4::new(address, 0).to_string(),
                "--splunkd",
                "--json",
                "--log-calls",
            ])
            .arg("--ca-file")
            .arg(folder.join("ca.pem"))
            .args(settings)
            .env("SPLUNK_HOME", folder.join("tenant"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the tenant")?;
        let (Some(out), Some(said)) = (process.stdout.take(), process.stderr.take()) else {
            bail!("the tenant has no pipes");
        };
        let (tell, calls) = channel();
        thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                match Call::read(&line) {
                    Some(call) => {
                        if tell.send(call).is_err() {
                            return;
                        }
                    }
                    None => eprintln!("tenant: {line}"),
                }
            }
        });
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let place = serde_json::from_str(&line)
            .with_context(|| format!("the tenant does not say where it is: {line:?}"))?;
        Ok(Self {
            place,
            process,
            calls,
            marks: 0,
        })
    }

    /// What was asked since the last time, oldest first.
    pub fn calls(&mut self) -> Result<Vec<Call>> {
        // A call of our own marks the end: its line comes after all others.
        self.marks += 1;
        let mark = format!("/mark/{}", self.marks);
        let Place { url, ca_file, .. } = &self.place;
        let mut curl = Command::new("curl");
        tool::read(curl.args([
            "-sS",
            "--noproxy",
            "*",
            "--cacert",
            ca_file,
            &format!("{url}{mark}"),
        ]))?;
        let mut calls = Vec::new();
        loop {
            match self.calls.recv_timeout(Duration::from_secs(10)) {
                Ok(call) if call.target == mark => return Ok(calls),
                Ok(call) => calls.push(call),
                Err(RecvTimeoutError::Timeout) => bail!("the tenant does not log its calls"),
                Err(RecvTimeoutError::Disconnected) => bail!("the tenant has ended"),
            }
        }
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        if let Err(error) = ended {
            eprintln!("the tenant cannot be stopped: {error}");
        }
    }
}

impl Call {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("DEBUG ")?.split(' ');
        let call = Self {
            method: words.next()?.to_owned(),
            target: words.next()?.to_owned(),
            status: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_call_is_told_from_other_lines() {
        let call = Call::read("DEBUG GET /v1.0/x?$top=50 200").unwrap();
        assert_eq!(
            call,
            Call {
                method: "GET".into(),
                target: "/v1.0/x?$top=50".into(),
                status: 200
            }
        );
        for line in ["", "DEBUG GET /x", "INFO GET /x 200", "DEBUG a b 200 c"] {
            assert!(Call::read(line).is_none(), "{line}");
        }
    }
}
