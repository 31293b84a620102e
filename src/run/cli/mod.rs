//! The command line: for people, and the roles Splunk starts with arguments.

mod account_arguments;
mod check;
#[cfg(feature = "sandbox")]
mod demo;
mod fetch;
mod migrate;
mod print;
#[cfg(feature = "sandbox")]
mod sandbox;
mod stream_arguments;

use super::{alert_action, search_command};
use crate::host::{exit, log};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Carries Microsoft Defender alerts and incidents into Splunk, and verdicts back.
///
/// splunkd starts this executable by itself: for inputs, alert actions, search
/// commands and the app's REST endpoint. The commands below are for people.
#[derive(Parser)]
#[command(version, about, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "sandbox")]
    /// Shows it all without Splunk or a tenant: alerts in, verdicts back, both sides compared
    Demo(demo::Arguments),
    #[cfg(feature = "sandbox")]
    /// Serves a Defender tenant with made-up attack stories, to try things on
    Sandbox(sandbox::Arguments),
    /// Reads alerts, incidents or a stream and prints one JSON object per line
    Fetch(fetch::Arguments),
    /// Tests an account or a stream, check by check, and says what to do about what is missing
    Check(check::Arguments),
    /// Takes over from Microsoft's clients and from add-ons built on them
    #[command(subcommand)]
    Migrate(migrate::Arguments),
    /// Started by Splunk when an alert fires
    #[command(hide = true)]
    AlertAction {
        /// The action's stanza in alert_actions.conf
        action: String,
    },
    /// Started by Splunk for a search command
    #[command(name = "search-command", hide = true)]
    Search {
        /// The command's stanza in commands.conf
        name: String,
    },
}

pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let parsed = match Arguments::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(help) => {
            let shown = help.print();
            drop(shown);
            return if help.use_stderr() {
                exit::refused()
            } else {
                exit::WELL
            };
        }
    };
    log::start();
    match parsed.command {
        #[cfg(feature = "sandbox")]
        Command::Demo(arguments) => demo::run(&arguments),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(arguments) => sandbox::run(arguments),
        Command::Fetch(arguments) => fetch::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Migrate(arguments) => migrate::run(arguments),
        Command::AlertAction { action } => alert_action::run(&action),
        Command::Search { name } => search_command::run(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use clap::CommandFactory as _;

    #[test]
    fn every_command_is_told_from_the_others() {
        Arguments::command().debug_assert();
    }
}
