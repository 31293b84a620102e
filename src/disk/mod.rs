//! Files of this process on its machine. Whatever it writes is for its owner
//! alone, whatever the umask: even who may only read a file could lock it.
//!
//! The one place where files and folders are made (`tests/it/house.rs` keeps it
//! so). It must never know what is in them.

mod line;
mod rotated;

pub use line::Line;
pub use rotated::Rotated;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Makes a folder, and what is missing above it. One that is there stays as it
/// is: it is splunkd's.
pub fn folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes a folder that is this app's alone, and closes it to others if it is there.
pub fn own_folder(path: &Path) -> io::Result<()> {
    folder(path)?;
    close_to_others(&fs::metadata(path)?, 0o700, |mode| {
        fs::set_permissions(path, mode)
    });
    Ok(())
}

/// Opens a file for reading and writing. It is made where it is missing, and
/// never emptied.
pub fn open(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().read(true).write(true).create(true), path)
}

/// Opens a file whose every write goes to its end.
pub fn append(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().append(true).create(true), path)
}

/// Makes a file that must not be there yet, not even as a link.
pub fn create_new(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().append(true).create_new(true), path)
}

/// Puts a file in place in one step. A link that stands there is replaced, and
/// what it leads to stays as it is.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // For its owner alone from the first.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// A folder under a name nobody knows beforehand, gone with its value.
#[cfg(any(test, feature = "sandbox"))]
pub fn temporary() -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("defender_bridge_");
    #[cfg(unix)]
    let private = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
    #[cfg(unix)]
    builder.permissions(private);
    builder.tempdir()
}

/// The error, and what to do where the system's words do not tell.
pub fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::FileTooLarge => format!(
            "{error}: this process may not write files of that size, see the limit `ulimit -f` of splunkd's user"
        ),
        _ => error.to_string(),
    }
}

/// Puts a program in place in one step, for its owner alone. While it is being
/// written it is locked, under a name that begins with `prefix`.
#[cfg(unix)]
pub fn put_executable(path: &Path, prefix: &str, mut from: impl io::Read) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(prefix)
        .suffix(".part")
        .tempfile_in(folder)?;
    file.as_file().try_lock_shared()?;
    io::copy(&mut from, &mut file)?;
    let mode = fs::Permissions::from_mode(0o700);
    file.as_file().set_permissions(mode)?;
    // A name that stands after a crash must not stand for half of it.
    file.as_file().sync_all()?;
    // Closed before anybody executes it.
    drop(file.persist(path)?);
    Ok(())
}

fn private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    let file = options.open(path)?;
    // It may have been made by another version, or by hand.
    let found = file.metadata()?;
    if found.is_file() {
        close_to_others(&found, 0o600, |mode| file.set_permissions(mode));
    }
    Ok(file)
}

/// Where it is somebody else's this does not work, and nothing else depends on it.
#[cfg(unix)]
fn close_to_others(
    found: &fs::Metadata,
    mode: u32,
    set: impl FnOnce(fs::Permissions) -> io::Result<()>,
) {
    use std::os::unix::fs::PermissionsExt;
    if found.permissions().mode() & 0o077 != 0 {
        drop(set(fs::Permissions::from_mode(mode)));
    }
}

#[cfg(not(unix))]
fn close_to_others(_: &fs::Metadata, _: u32, _: impl FnOnce(fs::Permissions) -> io::Result<()>) {}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_program_put_in_place_is_whole_and_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("exe-1");
        put_executable(&path, "exe-", &b"#!/bin/sh\n"[..]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"#!/bin/sh\n");
        assert_eq!(mode(&path), 0o700);
        assert!(
            std::process::Command::new(&path)
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_made_is_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let below = home.path().join("a").join("b");
        folder(&below).unwrap();
        open(&below.join("open")).unwrap();
        append(&below.join("append")).unwrap();
        create_new(&below.join("new")).unwrap();
        put(&below.join("put"), b"text").unwrap();
        for name in ["open", "append", "new", "put"] {
            assert_eq!(mode(&below.join(name)), 0o600, "{name}");
        }
        assert_eq!(mode(&below), 0o700);
        assert_eq!(mode(below.parent().unwrap()), 0o700);
    }

    #[test]
    fn what_was_open_to_others_is_closed_to_them_but_splunkds_folders_stay() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        for opened in [open, append] {
            fs::write(&file, "kept").unwrap();
            set_mode(&file, 0o666);
            opened(&file).unwrap();
            assert_eq!(mode(&file), 0o600);
            assert_eq!(fs::read(&file).unwrap(), b"kept");
        }
        set_mode(home.path(), 0o755);
        folder(home.path()).unwrap();
        assert_eq!(mode(home.path()), 0o755);
        own_folder(home.path()).unwrap();
        assert_eq!(mode(home.path()), 0o700);
    }

    #[test]
    fn a_temporary_folder_is_private_and_gone_at_the_end() {
        let folder = temporary().unwrap();
        let path = folder.path().to_owned();
        assert_eq!(mode(&path), 0o700);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_limit_on_file_sizes_is_named() {
        let error = io::Error::from_raw_os_error(27);
        assert!(said(&error).contains("ulimit -f"), "{}", said(&error));
        let full = io::Error::from_raw_os_error(28);
        assert_eq!(said(&full), full.to_string());
    }

    #[test]
    fn a_device_stays_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("null");
        symlink("/dev/null", &link).unwrap();
        let before = mode(Path::new("/dev/null"));
        open(&link).unwrap();
        assert_eq!(mode(Path::new("/dev/null")), before);
    }

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_stays() {
        let home = tempfile::tempdir().unwrap();
        let (kept, link) = (home.path().join("kept"), home.path().join("link"));
        fs::write(&kept, "kept").unwrap();
        symlink(&kept, &link).unwrap();
        assert_eq!(
            create_new(&link).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        put(&link, b"new").unwrap();
        assert_eq!(fs::read(&kept).unwrap(), b"kept");
        assert_eq!(fs::read(&link).unwrap(), b"new");
        assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
