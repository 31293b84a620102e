//! `migrate positions`: what Microsoft's clients left in a blob container, against what an
//! input would start from; written with --apply.

use crate::bridge::input::stream::{Source, container};
use crate::bridge::migrate::{Fate, Plan, Row};
use crate::host::{exit, paths, runtime};
use crate::microsoft::Account;
use crate::microsoft::account::connection_string::ConnectionString;
use crate::microsoft::azure::storage::Access;
use crate::microsoft::azure::storage::ownership::LeftPosition;
use crate::run::cli::account_arguments::AccountArguments;
use crate::run::cli::print;
use crate::run::cli::stream_arguments::StreamArguments;
use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use url::Url;

#[derive(Debug, Subcommand)]
pub enum Arguments {
    /// Shows the positions that Microsoft's clients and add-ons left in a blob container, and
    /// with --apply lets an input of this server go on from them
    Positions(Box<Positions>),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is written without --apply, and nothing in the container at all. An input with\n\
                  checkpoint = blob reads what lies there as it is. Exits with 1 where something is to be\n\
                  decided first."
)]
pub struct Positions {
    /// The blob container (https URL) with the checkpoints
    #[arg(long, value_name = "URL")]
    checkpoint_container: String,
    /// File with a connection string (SAS) of the container's storage account; without it the
    /// account signs in there too
    #[arg(long, value_name = "FILE")]
    container_secret_file: Option<PathBuf>,
    /// Name of the input that is to go on, as in [defender_bridge://NAME]
    #[arg(long, value_name = "NAME")]
    input: String,
    /// Where inputs keep their positions; splunkd's folder, if absent
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Where partitions begin of which nothing was left
    #[arg(
        long,
        value_name = "START",
        default_value = "earliest",
        allow_hyphen_values = true
    )]
    start: String,
    /// Where the input will keep its positions: local or blob
    #[arg(long, value_parser = ["local", "blob"], default_value = "local")]
    checkpoint: String,
    /// Write the input's positions
    #[arg(long)]
    apply: bool,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stream: StreamArguments,
    // Must come last: its heading would take in what follows.
    #[command(flatten)]
    account: AccountArguments,
}

pub fn run(arguments: Arguments) -> ExitCode {
    let Arguments::Positions(arguments) = arguments;
    match positions(*arguments) {
        Ok(true) => exit::WELL,
        Ok(false) => exit::refused(),
        Err(error) => {
            tracing::error!("{error:#}");
            exit::refused()
        }
    }
}

/// Whether nothing is left to be decided.
fn positions(arguments: Positions) -> anyhow::Result<bool> {
    let start = [("start", arguments.start.as_str())];
    let settings = arguments.stream.stream("event_hub", &start)?;
    let folder = match arguments.folder {
        Some(folder) => folder,
        None => paths::checkpoints()
            .context("--folder: missing: neither SPLUNK_DB nor SPLUNK_HOME is set")?,
    };
    let place = (folder.as_path(), arguments.input.as_str());
    let account = arguments.account.account()?;
    let url = Url::parse(&arguments.checkpoint_container)
        .map_err(|_| anyhow!("--checkpoint-container: write the https URL of a blob container"))?;
    let access = access(&account, arguments.container_secret_file)?;
    let (client, container) = container(&account, &url, access)?;
    let source = Source::open(&account, &settings)?;
    let runtime = runtime::new()?;
    runtime.block_on(async {
        let plan = Plan::of(&source, &settings, (&client, &container), place).await?;
        show(&plan, arguments.json)?;
        if arguments.checkpoint == "blob" {
            let unseen = plan.rows.iter().flat_map(|row| &row.left);
            if unseen.into_iter().any(|left| left.has_capitals) {
                tracing::warn!(
                    "blobs with capitals in their names are not read by inputs with checkpoint = blob: use \
                     checkpoint = local with --apply, or begin at `start`"
                );
            }
            tracing::info!(
                "an input with checkpoint = blob reads these blobs as they are: nothing is to be written"
            );
            return Ok(true);
        }
        if !arguments.apply {
            tracing::info!("nothing was written: call again with --apply");
            return Ok(!plan.rows.iter().any(|row| matches!(row.fate, Fate::Open(_))));
        }
        let written = plan.apply(place).await?;
        tracing::info!(
            "{written} positions were written for input {} into {}",
            arguments.input,
            folder.display()
        );
        Ok(true)
    })
}

fn access(account: &Account, file: Option<PathBuf>) -> anyhow::Result<Access> {
    use crate::microsoft::account::Auth;
    let Some(file) = file else {
        if matches!(account.auth, Auth::ConnectionString(_)) {
            bail!(
                "--container-secret-file: missing: the account's connection string opens the hub alone; name a file \
                 with one of the storage account (SAS)"
            );
        }
        return Ok(Access::Identity);
    };
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("--container-secret-file: {}", file.display()))?;
    match ConnectionString::parse(text.trim()) {
        Ok(ConnectionString::Storage(storage)) => Ok(Access::Signature(storage.signature)),
        Ok(ConnectionString::EventHubs(_)) => {
            bail!("--container-secret-file: it holds the connection string of an event hub")
        }
        Err(why) => bail!("--container-secret-file: {why}"),
    }
}

fn show(plan: &Plan, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let rows: Vec<serde_json::Value> = plan.rows.iter().map(value).collect();
        return print::json(&mut out, &rows);
    }
    let mut table = print::fitting_table(&out, 120);
    table.set_header([
        "partition",
        "left by others",
        "hub holds",
        "our input",
        "goes on",
        "then wait",
    ]);
    for row in &plan.rows {
        let left: Vec<String> = row.left.iter().map(left).collect();
        table.add_row([
            row.partition().to_owned(),
            left.join("\n"),
            match (row.hub.first_sequence, row.hub.last_sequence) {
                _ if row.hub.is_empty == Some(true) => "nothing".to_owned(),
                (Some(first), Some(last)) => format!("{first} to {last}"),
                _ => String::new(),
            },
            number(row.ours),
            goes_on(&row.fate),
            number(row.waits()),
        ]);
    }
    writeln!(out, "{table}")?;
    if !plan.others.is_empty() {
        let others: Vec<&str> = plan.others.iter().map(String::as_str).take(20).collect();
        writeln!(
            out,
            "In the container too, of other groups: {}",
            others.join(", ")
        )?;
    }
    Ok(())
}

fn left(left: &LeftPosition) -> String {
    let mut text = match (&left.position, &left.unreadable) {
        (_, Some(why)) => format!("unreadable: {why}"),
        (None, None) => "no position".to_owned(),
        (Some(position), None) => format!(
            "{} (offset {})",
            number(position.sequence),
            position.offset.as_deref().unwrap_or("-")
        ),
    };
    if let Some(age) = left.age {
        text += &format!(", written {} ago", span(age));
    }
    if let Some(owner) = &left.owner {
        let age = left.claimed.map(span).unwrap_or_default();
        text += &format!(", claimed by {owner} {age} ago");
    }
    if left.has_capitals {
        text += ", name with capitals";
    }
    text
}

fn goes_on(fate: &Fate) -> String {
    match fate {
        Fate::TakenOver(position) => match position.sequence {
            Some(sequence) => format!("behind {sequence}"),
            None => "behind the offset left".to_owned(),
        },
        Fate::Ours => "where it is".to_owned(),
        Fate::Begun => "at --start".to_owned(),
        Fate::Open(why) => format!("not yet: {why}"),
    }
}

fn value(row: &Row) -> serde_json::Value {
    let seconds = |age: Option<Duration>| age.map(|age| age.as_secs());
    let left: Vec<serde_json::Value> = row
        .left
        .iter()
        .map(|left| {
            serde_json::json!({
                "position": left.position,
                "unreadable": left.unreadable,
                "age": seconds(left.age),
                "owner": left.owner,
                "claimed": seconds(left.claimed),
                "capitals": left.has_capitals,
            })
        })
        .collect();
    serde_json::json!({
        "partition": row.partition(),
        "left": left,
        "first": row.hub.first_sequence,
        "last": row.hub.last_sequence,
        "ours": row.ours,
        "goes_on": goes_on(&row.fate),
        "waits": row.waits(),
    })
}

fn number(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
