//! `demo`: the whole crossing in a few seconds. An embedded tenant raises
//! alerts; this executable, started as splunkd starts it, reads them, closes an
//! attack story through the alert action, takes that back through the search
//! command and reads the changes; then both sides are compared. With a feed, it is a
//! stream that is followed (`streaming`).

mod report;
mod stage;
mod streaming;

use crate::host::{exit, runtime};
use crate::sandbox::Settings;
use crate::{disk, sandbox};
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use report::{Index, Standing, Story, Turns};
use stage::{Batch, Seen, Stage};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
#[command(after_help = "Exits with 0 only if both sides are equal.")]
pub struct Arguments {
    /// How many alerts the tenant raises
    #[arg(long, default_value_t = 400)]
    alerts: usize,
    /// Another seed tells other stories
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Follows what the tenant streams there, instead of its alerts
    #[arg(long)]
    feed: Option<streaming::Feed>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let runtime = match runtime::start() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let steps = Steps::new(arguments.json);
    let done = runtime.block_on(async {
        match arguments.feed {
            Some(feed) => {
                let streamed = streaming::follow(arguments, feed, &steps).await?;
                streamed.show(arguments.json)?;
                anyhow::Ok(streamed.equal)
            }
            None => {
                let story = cross(arguments, &steps).await?;
                story.show(arguments.json)?;
                Ok(story.equal)
            }
        }
    });
    match done {
        Ok(true) => exit::WELL,
        Ok(false) => exit::own_fault(),
        Err(error) => {
            steps.line.finish_and_clear();
            tracing::error!("{error:#}");
            exit::own_fault()
        }
    }
}

async fn cross(arguments: &Arguments, steps: &Steps) -> anyhow::Result<Story> {
    let begun = Instant::now();
    let folder = disk::temporary().context("no folder for the demo's files")?;
    steps.now("starting a Defender tenant");
    let tenant = sandbox::start(Settings {
        alerts: arguments.alerts,
        seed: arguments.seed,
        ..Settings::default()
    })
    .await?;
    let stage = Stage::set(&tenant, folder.path()).await?;
    let census = tenant.census();
    steps.done(&format!(
        "a tenant is up on loopback: {} alerts in {} incidents",
        census.alerts.len(),
        census.incidents.len()
    ));

    let mut index = Index::default();
    for feed in ["alerts", "incidents"] {
        steps.now(&format!("reading {feed} as splunkd would"));
        let read = stage.poll(feed).await?;
        steps.done(&format!(
            "{} {feed} in, {} kB",
            read.len(),
            kilobytes(&read)
        ));
        index.take(&read);
    }
    steps.now("polling again");
    let idle = stage.poll("alerts").await?.len();
    steps.done(&format!("a second poll finds {idle} new events"));

    let chosen = index.largest_story();
    let before = Standing::of(&tenant.census());
    steps.now("closing an attack story through the alert action");
    let verdicts = stage.close(&chosen).await?;
    let closed = Standing::of(&tenant.census());
    steps.done(&format!(
        "{} verdicts sent: {}",
        chosen.len(),
        counted(&verdicts)
    ));

    steps.now("reading the change");
    let changed = stage.poll("alerts").await?;
    index.take(&changed);
    steps.done(&format!("{} changed alerts came back", changed.len()));

    steps.now("taking the verdicts back");
    let undone = stage.undo(&verdicts).await?;
    let after = Standing::of(&tenant.census());
    let same = if after == before {
        "Defender is as before, comments aside"
    } else {
        "Defender is not as before"
    };
    steps.done(&format!("undone: {}; {same}", counted(&undone)));
    let changed = stage.poll("alerts").await?;
    index.take(&changed);
    index.take(&stage.poll("incidents").await?);
    steps.done(&format!("{} changed alerts came back", changed.len()));

    steps.now("comparing both sides");
    let turns = Turns {
        chosen,
        before,
        closed,
        after,
    };
    let story = Story::of(
        &tenant,
        &index,
        &turns,
        &[verdicts, undone],
        idle,
        begun.elapsed(),
    );
    steps.line.finish_and_clear();
    tenant.stop().await;
    Ok(story)
}

fn kilobytes(events: &[Seen]) -> usize {
    events.iter().map(|event| event.data.len()).sum::<usize>() / 1000
}

fn counted(batch: &Batch) -> String {
    let words: Vec<String> = batch
        .outcomes
        .iter()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    words.join(", ")
}

/// Shows a person what the demo is doing.
struct Steps {
    line: ProgressBar,
    quiet: bool,
}

impl Steps {
    fn new(json: bool) -> Self {
        let line = if json || !io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg}") {
            line.set_style(style);
        }
        line.enable_steady_tick(Duration::from_millis(80));
        Self { line, quiet: json }
    }

    fn now(&self, what: &str) {
        self.line.set_message(what.to_owned());
    }

    fn done(&self, what: &str) {
        if self.quiet {
            return;
        }
        self.line.suspend(|| {
            let written = writeln!(io::stderr(), "  ✓ {what}");
            drop(written);
        });
    }
}
