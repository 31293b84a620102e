//! What the executable's exit codes mean, in one place.

use std::process::ExitCode;

/// Everything asked for was done.
pub const WELL: ExitCode = ExitCode::SUCCESS;

/// The call itself was wrong, or a stanza could not be read: settings,
/// arguments, an account. Nothing is lost; the message says what to mend.
pub fn refused() -> ExitCode {
    ExitCode::from(1)
}

/// Some rows of a triage action did not end well; the ledger says which.
pub fn some_not_well() -> ExitCode {
    ExitCode::from(2)
}

/// A fault of our own.
pub fn own_fault() -> ExitCode {
    ExitCode::from(3)
}
