//! Where this process stands: Splunk's folders, the app's, or a person's.

use super::copy;
use crate::NAME;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

/// `SPLUNK_HOME`, where splunkd started this process.
pub fn splunk() -> Option<PathBuf> {
    std::env::var_os("SPLUNK_HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
}

/// The installed executable: this one, or the one it is a copy of.
pub fn installed() -> Option<PathBuf> {
    match copy() {
        Some(_) => std::env::var_os(copy::INSTALLED).map(PathBuf::from),
        None => std::env::current_exe().ok(),
    }
}

/// This executable, if it is a copy of the installed one.
pub fn copy() -> Option<PathBuf> {
    std::env::var_os(copy::INSTALLED)?;
    let executable = std::env::current_exe().ok()?;
    let name = executable.file_name()?.to_str()?;
    // Both may be reached by a link.
    let folder = state()?.canonicalize().ok()?;
    let is = name.starts_with(copy::PREFIX) && executable.parent()? == folder;
    is.then_some(executable)
}

/// The app's folder: the one the installed executable lies in (`bin` or
/// `<platform>/bin` below it), else where Splunk installs it.
pub fn app() -> Option<PathBuf> {
    let executable = installed();
    let around = executable
        .iter()
        .flat_map(|executable| executable.ancestors().skip(2).take(2));
    around
        .map(Path::to_owned)
        .find(|folder| folder.join("default").join("app.conf").is_file())
        .or_else(|| Some(splunk()?.join("etc").join("apps").join(NAME)))
}

/// Where state lives that belongs to no stanza: the call budget that all
/// processes of an account share.
pub fn state() -> Option<PathBuf> {
    match splunk() {
        Some(home) => Some(home.join("var").join("run").join("splunk").join(NAME)),
        None => data(),
    }
}

/// Where splunkd has inputs keep their checkpoints.
pub fn checkpoints() -> Option<PathBuf> {
    let database = std::env::var_os("SPLUNK_DB").filter(|path| !path.is_empty());
    let database = match database {
        Some(path) => PathBuf::from(path),
        None => splunk()?.join("var").join("lib").join("splunk"),
    };
    Some(database.join("modinputs").join(NAME))
}

/// Where the log files lie.
pub fn logs() -> Option<PathBuf> {
    match splunk() {
        Some(home) => Some(home.join("var").join("log").join("splunk")),
        None => data(),
    }
}

fn data() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", NAME)?;
    Some(folders.data_local_dir().to_owned())
}

/// Whether a person sits at the other end of stdin, and not splunkd.
pub fn stdin_is_a_person() -> bool {
    io::stdin().is_terminal()
}

/// Standard output without a buffer of its own (Rust's flushes at every line).
pub fn stdout() -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
    }
    #[cfg(windows)]
    {
        use std::os::windows::io::AsHandle;
        Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
    }
}
