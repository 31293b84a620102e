//! The ways of being started, one file each. This room is the only one that
//! reports: rooms return errors, here they become one line and an exit code.

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
/// splunkd's own calls are told apart first, so that no word of the command
/// line for people ever reaches splunkd.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // splunkd may add it to an alert action's arguments, and nothing depends on it.
    let arguments: Vec<OsString> = arguments
        .into_iter()
        .filter(|word| word.as_os_str() != "--execute")
        .collect();
    let words: Vec<&str> = arguments
        .iter()
        .skip(1)
        .filter_map(|word| word.to_str())
        .collect();
    // Before anything is written; where it cannot be had, all goes on without it.
    stop::outlive_file_limits().ok();
    // Whatever words come with it.
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
