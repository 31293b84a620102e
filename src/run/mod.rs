//! The ways of being started, one file each. Only this room reports: other rooms return
//! errors, and here an error becomes one line and an exit code.

mod alert_action;
mod cli;
mod modular_input;
mod rest;
mod search_command;
mod validation;

use crate::host::{copy, paths, stop};
use std::ffi::OsString;
use std::process::ExitCode;

/// Starts what the arguments ask for.
///
/// splunkd's own calls come first, so that no message for people ever reaches splunkd.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // splunkd may add `--execute` to an alert action's arguments; nothing depends on it.
    let arguments: Vec<OsString> = arguments
        .into_iter()
        .filter(|word| word.as_os_str() != "--execute")
        .collect();
    let words: Vec<&str> = arguments
        .iter()
        .skip(1)
        .filter_map(|word| word.to_str())
        .collect();
    // Set before anything is written; where it cannot be set, all goes on without it.
    stop::outlive_file_limits().ok();
    // The environment decides, whatever the arguments are.
    let rest = rest::is_named_by_environment() || words.as_slice() == ["rest"];
    let input = words.is_empty() && !paths::stdin_is_a_person();
    let lives_long = matches!(
        words.first(),
        Some(&("alert-action" | "search-command" | "--validate-arguments"))
    );
    if rest || input || lives_long {
        copy::run_from_copy();
    }
    match words.as_slice() {
        _ if rest => rest::run(),
        [] if input => modular_input::run(),
        ["--scheme"] => modular_input::introduce(),
        ["--validate-arguments"] => validation::run(),
        _ => cli::run(arguments),
    }
}
