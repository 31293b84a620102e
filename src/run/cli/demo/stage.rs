//! Defender and Splunk of the demo, and this executable between them, started as splunkd
//! starts it.

use crate::sandbox::splunkd::{ACCOUNT, Splunkd};
use crate::sandbox::{Tenant, splunkd};
use crate::splunk::sourcetype;
use crate::{NAME, disk};
use anyhow::{Context, anyhow, bail};
use quick_xml::escape::escape;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

const ACTION: &str = "defender_bridge_update_alert";
const UNDO: &str = "defenderundo";
const END: &[u8] = b"</event>";
/// A stream that brings nothing for so long brings nothing any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Defender and Splunk of the demo.
pub struct Stage<'t> {
    folder: &'t Path,
    splunkd: Splunkd,
}

impl<'t> Stage<'t> {
    pub async fn set(tenant: &Tenant, folder: &'t Path) -> anyhow::Result<Self> {
        let ca_file = folder.join("ca.pem");
        disk::put(&ca_file, tenant.ca_pem().as_bytes())?;
        Ok(Self {
            folder,
            splunkd: splunkd::start(tenant, &ca_file).await?,
        })
    }

    /// What splunkd would write to an input with these parameters.
    fn document(&self, name: &str, parameters: &[(&str, String)]) -> String {
        let parameters: String = parameters
            .iter()
            .map(|(key, value)| format!("<param name=\"{key}\">{}</param>\n", escape(value)))
            .collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<input>\n\
             <server_host>demo</server_host>\n<server_uri>{}</server_uri>\n\
             <session_key>{}</session_key>\n<checkpoint_dir>{}</checkpoint_dir>\n\
             <configuration><stanza name=\"{NAME}://{name}\" app=\"{NAME}\">\n\
             <param name=\"account\">{ACCOUNT}</param>\n{parameters}\
             </stanza></configuration>\n</input>\n",
            self.splunkd.uri(),
            self.splunkd.session_key(),
            self.folder.join("checkpoints").display()
        )
    }

    /// One run of the modular input.
    pub async fn poll(&self, feed: &str) -> anyhow::Result<Vec<Seen>> {
        let parameters = [("feed", feed), ("start", "-30d"), ("settle", "0s")];
        let parameters = parameters.map(|(key, value)| (key, value.to_owned()));
        let document = self.document(feed, &parameters);
        let out = self.start(&[], document.into_bytes(), &[0]).await?;
        let stream: Stream = quick_xml::de::from_str(&out).context("the event stream")?;
        Ok(stream
            .events
            .into_iter()
            .filter(|event| event.sourcetype != sourcetype::HEALTH)
            .collect())
    }

    /// A run of the modular input that goes on until `enough`, told of each record, says
    /// so; it is stopped then, and what else it had is told too.
    pub async fn follow(
        &self,
        parameters: &[(&str, String)],
        mut enough: impl FnMut(&str) -> bool,
    ) -> anyhow::Result<()> {
        let begin = [("start", "earliest".to_owned())];
        let parameters = [parameters, &begin].concat();
        let document = self.document("stream", &parameters);
        let mut child = self.spawn(&[])?;
        let (Some(mut into), Some(mut out), Some(mut said)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            bail!("the child process has no pipes");
        };
        let words = tokio::spawn(async move {
            let mut words = String::new();
            said.read_to_string(&mut words).await.map(|_| words)
        });
        into.write_all(document.as_bytes()).await?;
        drop(into);
        let (mut waiting, mut stopped) = (Vec::new(), false);
        loop {
            let read = tokio::time::timeout(PATIENCE, out.read_buf(&mut waiting)).await;
            let Ok(read) = read else {
                bail!("nothing came for {} s", PATIENCE.as_secs());
            };
            if read? == 0 {
                break;
            }
            while let Some(end) = memchr::memmem::find(&waiting, END) {
                let event: Vec<u8> = waiting.drain(..end + END.len()).collect();
                let event = String::from_utf8(event)?;
                let begin = event.find("<event").context("the event stream")?;
                let event = event.get(begin..).unwrap_or_default();
                let seen: Seen = quick_xml::de::from_str(event).context("the event stream")?;
                let record = seen.sourcetype != sourcetype::HEALTH;
                if record && enough(&seen.data) && !std::mem::replace(&mut stopped, true) {
                    ask_to_stop(&child)?;
                }
            }
        }
        let status = child.wait().await?;
        if !status.success() || !stopped {
            bail!("a child process ended with {status}:\n{}", words.await??);
        }
        Ok(())
    }

    /// One run of the alert action over all these alerts.
    pub async fn close(&self, alerts: &BTreeSet<String>) -> anyhow::Result<Batch> {
        let results = self.folder.join("results.csv.gz");
        let file = disk::create_new(&results)?;
        let packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let mut rows = csv::Writer::from_writer(packed);
        rows.write_record(["_time", "id", "__mv_id"])?;
        for id in alerts {
            rows.write_record(["1700000000", id, ""])?;
        }
        rows.into_inner()
            .map_err(|error| anyhow!("{}", error.error()))?
            .finish()?;
        let payload = serde_json::json!({
            "app": "search",
            "owner": "analyst",
            "server_host": "demo",
            "server_uri": self.splunkd.uri(),
            "session_key": self.splunkd.session_key(),
            "sid": "scheduler__analyst__search__demo",
            "search_name": "Close an attack story",
            "results_file": results,
            "configuration": {
                "account": ACCOUNT,
                "status": "resolved",
                "classification": "truePositive",
                "determination": "multiStagedAttack",
                "comment": "closed by the demo",
            },
        });
        self.start(
            &["alert-action", ACTION, "--execute"],
            payload.to_string().into_bytes(),
            &[0, 2],
        )
        .await?;
        self.batch(ACTION)
    }

    /// One search with the command that takes a batch back.
    pub async fn undo(&self, batch: &Batch) -> anyhow::Result<Batch> {
        let getinfo = serde_json::json!({
            "action": "getinfo",
            "preview": false,
            "searchinfo": {
                "args": [format!("batch={}", batch.id)],
                "sid": "1700000000.1",
                "username": "analyst",
                "session_key": self.splunkd.session_key(),
                "splunkd_uri": self.splunkd.uri(),
            },
        });
        let execute = serde_json::json!({"action": "execute", "finished": true});
        let mut questions = String::new();
        for metadata in [getinfo.to_string(), execute.to_string()] {
            questions += &format!("chunked 1.0,{},0\n{metadata}", metadata.len());
        }
        let words = ["search-command", UNDO];
        self.start(&words, questions.into_bytes(), &[0]).await?;
        self.batch(UNDO)
    }

    /// The one batch of this action, from the outcomes that splunkd took.
    fn batch(&self, action: &str) -> anyhow::Result<Batch> {
        let mut batch = Batch::default();
        for event in self.splunkd.received() {
            if event.sourcetype != sourcetype::TRIAGE {
                continue;
            }
            let entry: Outcome = serde_json::from_str(&event.body)?;
            if entry.action == action {
                batch.id = entry.batch;
                *batch.outcomes.entry(entry.outcome).or_default() += 1;
            }
        }
        Ok(batch)
    }

    fn spawn(&self, words: &[&str]) -> io::Result<Child> {
        let executable = std::env::current_exe()?;
        Command::new(executable)
            .args(words)
            .env("SPLUNK_HOME", self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }

    /// Runs this executable with what splunkd would write to its stdin.
    async fn start(&self, words: &[&str], stdin: Vec<u8>, well: &[i32]) -> anyhow::Result<String> {
        let mut child = self.spawn(words)?;
        let (Some(mut into), Some(mut out), Some(mut said)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            bail!("the child process has no pipes");
        };
        into.write_all(&stdin).await?;
        // An alert action reads to the end; an input stops at its end tag anyway.
        drop(into);
        let (mut events, mut words) = (String::new(), String::new());
        tokio::try_join!(
            out.read_to_string(&mut events),
            said.read_to_string(&mut words)
        )?;
        let status = child.wait().await?;
        if !status.code().is_some_and(|code| well.contains(&code)) {
            bail!("a child process ended with {status}:\n{words}");
        }
        Ok(events)
    }
}

/// SIGTERM, as splunkd sends it.
#[cfg(unix)]
fn ask_to_stop(child: &Child) -> anyhow::Result<()> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let id = id.and_then(rustix::process::Pid::from_raw);
    let id = id.context("the child process has ended")?;
    Ok(rustix::process::kill_process(
        id,
        rustix::process::Signal::TERM,
    )?)
}

#[cfg(not(unix))]
fn ask_to_stop(_child: &Child) -> anyhow::Result<()> {
    bail!("a stream can be stopped by a demo on Unix alone: run `sandbox` and an input of Splunk's")
}

#[derive(Deserialize)]
struct Stream {
    #[serde(rename = "event", default)]
    events: Vec<Seen>,
}

/// An event as it reached Splunk.
#[derive(Deserialize)]
pub struct Seen {
    pub sourcetype: String,
    pub data: String,
}

/// One call of an action or command, from its outcomes.
#[derive(Default)]
pub struct Batch {
    pub id: String,
    pub outcomes: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
struct Outcome {
    action: String,
    batch: String,
    outcome: String,
}
