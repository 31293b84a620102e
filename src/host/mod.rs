//! This process on its machine: folders, log, signals, runtime, exit codes.

pub mod copy;
pub mod exit;
pub mod log;
pub mod paths;
pub mod runtime;
pub mod stop;
