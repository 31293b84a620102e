//! Roles that may live for longer than a moment run from a copy of the
//! executable: an upgrade writes over `bin/defender_bridge`, and no system lets
//! a file be written that is being executed.
//!
//! Copies lie in `$SPLUNK_HOME/var/run/splunk/defender_bridge`, named by version
//! and by what the file system says of the installed file. Whoever runs from one
//! holds a shared lock on it; those that nobody holds are removed.

use super::paths;
use std::sync::OnceLock;

/// Buffers of this size or more go back to the system when they are freed: once one was, glibc
/// keeps them, and an idle poll holds what its largest page took.
#[cfg(unix)]
const GIVE_BACK: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "131072");

/// For the copy: the path of the installed executable.
pub const INSTALLED: &str = "DEFENDER_BRIDGE_INSTALLED";
/// Set by an administrator: no copy is made.
const IN_PLACE: &str = "DEFENDER_BRIDGE_IN_PLACE";
/// How the names of copies begin.
pub const PREFIX: &str = "exe-";

static RUNNING: OnceLock<Running> = OnceLock::new();

/// How this process runs.
struct Running {
    /// Why not from a copy.
    in_place: Option<String>,
    /// What the file system said of the installed executable.
    installed_as: Option<String>,
    /// Locked as long as this process lives.
    _copy: Option<std::fs::File>,
}

/// Goes on from a copy; returns once this process runs from one, or cannot.
pub fn run_from_copy() {
    let running = match begin() {
        Ok(running) => running,
        Err(why) => Running {
            in_place: Some(why),
            installed_as: paths::installed().as_deref().and_then(identity),
            _copy: None,
        },
    };
    RUNNING.get_or_init(|| running);
}

/// Whether an administrator wants no copy.
pub fn is_unwanted() -> bool {
    std::env::var_os(IN_PLACE).is_some_and(|set| !set.is_empty() && set != "0")
}

/// Why this process runs from the installed executable itself, if it does.
pub fn in_place() -> Option<&'static str> {
    RUNNING.get()?.in_place.as_deref()
}

/// Whether another executable stands where this process was started from.
pub fn is_replaced() -> bool {
    let Some(was) = RUNNING
        .get()
        .and_then(|running| running.installed_as.as_deref())
    else {
        return false;
    };
    let installed = paths::installed();
    // One that is gone will come: an upgrade may remove it first.
    let is = installed.as_deref().and_then(identity);
    is.is_some_and(|is| is != was)
}

#[cfg(not(unix))]
fn begin() -> Result<Running, String> {
    Err("this system lets no process go on as another".to_owned())
}

#[cfg(not(unix))]
fn identity(_: &std::path::Path) -> Option<String> {
    None
}

#[cfg(unix)]
use of_unix::{begin, identity};

#[cfg(unix)]
mod of_unix {
    use super::IN_PLACE;
    use super::INSTALLED;
    use super::PREFIX;
    use super::Running;
    use crate::disk;
    use crate::host::paths;
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    /// Whose content it is whatever stands at its path by now.
    const OWN: &str = "/proc/self/exe";

    pub(super) fn begin() -> Result<Running, String> {
        if paths::splunk().is_none() {
            return Err("it was not started by splunkd".to_owned());
        }
        if super::is_unwanted() {
            return Err(format!("{IN_PLACE} is set"));
        }
        let folder = paths::state().ok_or("there is no folder for it")?;
        if let Some(copy) = paths::copy() {
            return Ok(as_copy(&copy));
        }
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let source = match Path::new(OWN).exists() {
            true => PathBuf::from(OWN),
            false => own.clone(),
        };
        let installed_as = identity(&source).ok_or("its own file cannot be looked at")?;
        let copy = folder.join(name(&installed_as));
        let failed = |error: io::Error| format!("{}: {error}", copy.display());
        disk::own_folder(&folder).map_err(failed)?;
        if !copy.exists() {
            let from = File::open(&source).map_err(failed)?;
            disk::put_executable(&copy, PREFIX, from).map_err(failed)?;
        }
        // Nobody removes it until it runs.
        let held = held(&copy).map_err(failed)?;
        let mut words = std::env::args_os();
        let mut command = Command::new(&copy);
        if let Some(first) = words.next() {
            command.arg0(first);
        }
        let (name, size) = super::GIVE_BACK;
        if std::env::var_os(name).is_none() {
            command.env(name, size);
        }
        let error = command.args(words).env(INSTALLED, own).exec();
        drop(held);
        // Whatever it is, the next one may be better.
        drop(std::fs::remove_file(&copy));
        Err(match error.kind() {
            io::ErrorKind::PermissionDenied => format!(
                "{} may not be executed: is the folder mounted noexec?",
                copy.display()
            ),
            _ => failed(error),
        })
    }

    fn as_copy(copy: &Path) -> Running {
        let name = copy.file_name().map(|name| name.to_string_lossy());
        let installed_as = name.and_then(|name| {
            // Linux says so behind it where it was removed meanwhile.
            let name = name.trim_end_matches(" (deleted)");
            let (_, identity) = name.rsplit_once('-')?;
            Some(identity.to_owned())
        });
        let held = held(copy).ok();
        if let Some(folder) = copy.parent() {
            remove_others(folder, copy);
        }
        Running {
            in_place: None,
            installed_as,
            _copy: held,
        }
    }

    fn name(identity: &str) -> String {
        format!("{PREFIX}{}-{identity}", env!("CARGO_PKG_VERSION"))
    }

    fn held(copy: &Path) -> io::Result<File> {
        let file = File::open(copy)?;
        file.try_lock_shared()?;
        Ok(file)
    }

    /// Copies of other executables, and what of one a killed process left behind.
    fn remove_others(folder: &Path, own: &Path) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let named = path.file_name().map(|name| name.to_string_lossy());
            if !named.is_some_and(|name| name.starts_with(PREFIX)) || path == own {
                continue;
            }
            // Held by whoever runs from it.
            let free = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
            if free && let Err(error) = std::fs::remove_file(&path) {
                tracing::debug!("{}: {error}", path.display());
            }
        }
    }

    /// Another one for each file that was ever there, in place or beside.
    pub(super) fn identity(path: &Path) -> Option<String> {
        let file = std::fs::metadata(path).ok()?;
        let described = format!(
            "{} {} {} {}.{} {}.{}",
            file.dev(),
            file.ino(),
            file.size(),
            file.mtime(),
            file.mtime_nsec(),
            file.ctime(),
            file.ctime_nsec()
        );
        let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, described.as_bytes());
        Some(hash.simple().to_string().chars().take(16).collect())
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::io::Write as _;

        #[test]
        fn what_is_written_over_in_place_is_another_file() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("defender_bridge");
            std::fs::write(&path, b"one").unwrap();
            let one = identity(&path).unwrap();
            assert_eq!(identity(&path).unwrap(), one);
            let mut file = File::options().append(true).open(&path).unwrap();
            file.write_all(b"!").unwrap();
            assert_ne!(identity(&path).unwrap(), one);
            assert_eq!(identity(&folder.path().join("none")), None);
        }

        #[test]
        fn copies_are_removed_once_nobody_runs_from_them() {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            for name in ["exe-1-a", "exe-1-b", "exe-2-c", "spool"] {
                std::fs::write(path(name), name).unwrap();
            }
            let running = held(&path("exe-1-b")).unwrap();
            remove_others(folder.path(), &path("exe-2-c"));
            let mut left: Vec<String> = std::fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            left.sort();
            assert_eq!(left, ["exe-1-b", "exe-2-c", "spool"]);
            drop(running);
            remove_others(folder.path(), &path("exe-2-c"));
            assert!(!path("exe-1-b").exists());
        }
    }
}
