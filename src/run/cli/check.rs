//! `check`: what stands between this machine and a working feed, check by
//! check, each with what to do about it.

use crate::bridge::check::{CheckResult, CheckState, TIMEOUT};
use crate::bridge::{account, check};
use crate::host::{exit, runtime};
use crate::run::cli::account_arguments::AccountArguments;
use crate::run::cli::print;
use crate::run::cli::stream_arguments::{StreamArguments, option};
use clap::Args;
use comfy_table::{Attribute, Cell, Color};
use secrecy::SecretString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Looks at sign-in, permissions, one call to each list of Microsoft Graph, and the clock;\n\
                  with --feed at a stream instead: name, port, proxy, TLS, sign-in, role, hub, consumer group,\n\
                  clock, partitions, checkpoint container, tables. No position moves.\n\
                  Exits with 1 if a check FAILED; a missing permission to write or to hunt is a note."
)]
pub struct Arguments {
    /// splunkd's management address, to test it too
    #[arg(long, value_name = "URL", requires = "session_key_file")]
    splunkd: Option<String>,
    /// File with a session key of splunkd
    #[arg(long, value_name = "FILE")]
    session_key_file: Option<PathBuf>,
    /// A stream, in place of the lists: event_hub or storage
    #[arg(long, value_parser = ["event_hub", "storage"])]
    feed: Option<String>,
    /// Blob container (https URL) through which several forwarders share the hub
    #[arg(long, value_name = "URL", requires = "feed")]
    checkpoint_container: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stream: StreamArguments,
    // Must come last: its heading would take in what follows.
    #[command(flatten)]
    account: AccountArguments,
}

pub fn run(arguments: Arguments) -> ExitCode {
    let json = arguments.json;
    let runtime = match runtime::start() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let results = runtime.block_on(examine(arguments));
    let shown = show(&results, json);
    match (
        shown,
        results
            .iter()
            .all(|result| result.state != CheckState::Failed),
    ) {
        (Ok(()), true) => exit::WELL,
        (Ok(()), false) => exit::refused(),
        (Err(_), _) => exit::own_fault(),
    }
}

fn show(results: &[CheckResult], json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return print::json(&mut out, results);
    }
    let mut table = print::fitting_table(&out, 100);
    for result in results {
        let (mark, colour) = match result.state {
            CheckState::Ok => ("ok", Color::Green),
            CheckState::Warning => ("note", Color::Yellow),
            CheckState::Failed => ("FAILED", Color::Red),
        };
        table.add_row([
            Cell::new(mark).fg(colour).add_attribute(Attribute::Bold),
            Cell::new(&result.check),
            Cell::new(result.message()),
        ]);
    }
    writeln!(out, "{table}")
}

async fn examine(arguments: Arguments) -> Vec<CheckResult> {
    let mut results = Vec::new();
    if let (Some(uri), Some(file)) = (&arguments.splunkd, &arguments.session_key_file) {
        results.extend(splunkd(uri, file).await);
    }
    let account = match arguments.account.account() {
        Ok(account) => account,
        Err(error) => {
            results.push(CheckResult::failed("account", format!("{error:#}")));
            return results;
        }
    };
    let Some(feed) = &arguments.feed else {
        match arguments.stream.given() {
            Some(key) => {
                let finding = format!("{}: only used with --feed", option(key));
                results.push(CheckResult::failed("settings", finding));
            }
            None => results.extend(check::defender(&account).await),
        }
        return results;
    };
    let container = arguments.checkpoint_container.as_deref();
    let sharing: Vec<(&'static str, &str)> = container
        .into_iter()
        .flat_map(|url| [("checkpoint", "blob"), ("checkpoint_container", url)])
        .collect();
    match arguments.stream.stream(feed, &sharing) {
        Ok(settings) => results.extend(check::stream(&account, &settings, None).await),
        Err(error) => results.push(CheckResult::failed("settings", format!("{error:#}"))),
    }
    results
}

async fn splunkd(uri: &str, file: &PathBuf) -> Vec<CheckResult> {
    let opened = || {
        let key = SecretString::from(std::fs::read_to_string(file)?.trim().to_owned());
        account::splunkd(uri, key, TIMEOUT)
    };
    match opened() {
        Err(error) => vec![CheckResult::failed("splunkd", format!("{error:#}"))],
        Ok(splunkd) => check::splunkd(&splunkd).await,
    }
}
