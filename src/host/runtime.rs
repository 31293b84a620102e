//! The one thread that everything asynchronous in this process runs on.

use super::exit;
use std::io;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

pub fn new() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// For a process that cannot do anything without it.
pub fn start() -> Result<Runtime, ExitCode> {
    new().map_err(|error| {
        tracing::error!("this process cannot be set up: {error}");
        exit::own_fault()
    })
}
