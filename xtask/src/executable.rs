//! The executable that is shipped, and the two promises it makes to a machine
//! it has never seen: no glibc newer than 2.17, no path of where it was built.

use crate::python::Venv;
use crate::tool::{self, say};
use crate::workspace::{NAME, SHIPPED, TARGET, Workspace};
use anyhow::{Context, Result, bail};
use object::elf::{FileHeader64, SHT_GNU_VERNEED};
use object::read::elf::{FileHeader, SectionHeader};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const PLATFORM: &str = "linux_x86_64";

/// RHEL 7 and everything after it.
const GLIBC: Version = Version(2, 17);

/// zig is the linker and brings the C headers of old glibc.
const TOOLS: &[&str] = &["cargo-zigbuild==0.24.0", "ziglang==0.17.1"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

/// Builds the release executable and proves it may be shipped.
pub fn release(workspace: &Workspace) -> Result<PathBuf> {
    let venv = Venv::with(workspace, "zigbuild", TOOLS)?;
    install_target()?;
    let places = places(workspace)?;
    let mut build = venv.program("cargo-zigbuild");
    build
        .args([
            "zigbuild",
            "--release",
            "--locked",
            "--package",
            NAME,
            "--bin",
            NAME,
        ])
        .args(SHIPPED)
        .args(["--target", &format!("{TARGET}.{}.{}", GLIBC.0, GLIBC.1)])
        .arg("--target-dir")
        .arg(&workspace.target)
        .current_dir(&workspace.root)
        .env("PATH", venv.path()?)
        .env("CARGO_ZIGBUILD_PYTHON_PATH", venv.python().get_program())
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", remapping(&places));
    tool::run(&mut tool::nice(&build))?;
    let path = workspace.target.join(TARGET).join("release").join(NAME);
    check(&path, &places)?;
    Ok(path)
}

/// Builds the way `cargo build` does: quick, with the sandbox in it, and not to be given to others.
pub fn development(workspace: &Workspace) -> Result<PathBuf> {
    // For tests cargo builds the crates with other features than for executables alone. `--examples`, of which there
    // are none, asks for those of tests, so that nothing is built twice.
    tool::run(
        tool::cargo()
            .args([
                "build",
                "--workspace",
                "--locked",
                "--bin",
                NAME,
                "--examples",
            ])
            .current_dir(&workspace.root),
    )?;
    Ok(workspace.target.join("debug").join(NAME))
}

/// rustup adds the target where it is missing; other installations bring their own.
fn install_target() -> Result<()> {
    let sysroot = sysroot()?;
    if sysroot.join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(());
    }
    tool::run(Command::new("rustup").args(["target", "add", TARGET])).with_context(|| {
        format!(
            "the Rust target {TARGET} is not installed; without rustup, install it with your Rust"
        )
    })
}

fn sysroot() -> Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = tool::read(Command::new(rustc).args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(printed.trim()))
}

/// A directory of this machine that the compiler would write into the executable.
struct Place {
    path: PathBuf,
    /// What it writes instead.
    instead: &'static str,
    /// What lies below it, in every path the compiler knows it by.
    below: String,
}

fn places(workspace: &Workspace) -> Result<Vec<Place>> {
    let home = env::var_os("CARGO_HOME").map_or_else(
        || env::home_dir().map(|home| home.join(".cargo")),
        |home| Some(PathBuf::from(home)),
    );
    let mut places = vec![
        Place {
            path: sysroot()?,
            instead: "/rust",
            below: "/lib/".to_owned(),
        },
        Place {
            path: workspace.root.clone(),
            instead: "/defender_bridge",
            below: "/src/".to_owned(),
        },
        Place {
            path: workspace.target.clone(),
            instead: "/target",
            below: format!("/{TARGET}/"),
        },
    ];
    // One folder per registry, with the registry's name in its own.
    let sources = home
        .context("no home directory; set CARGO_HOME")?
        .join("registry/src");
    for entry in
        fs::read_dir(&sources).with_context(|| format!("cannot list {}", sources.display()))?
    {
        places.push(Place {
            path: entry?.path(),
            instead: "/crates",
            below: "/".to_owned(),
        });
    }
    Ok(places)
}

fn remapping(places: &[Place]) -> String {
    places
        .iter()
        .map(|place| {
            format!(
                "--remap-path-prefix={}={}",
                place.path.display(),
                place.instead
            )
        })
        .collect::<Vec<_>>()
        .join("\x1f")
}

fn check(path: &Path, places: &[Place]) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let needed =
        newest_glibc(&bytes).with_context(|| format!("{} cannot be judged", path.display()))?;
    if needed > GLIBC {
        bail!(
            "{} needs glibc {}.{}, it may need {}.{} at most",
            path.display(),
            needed.0,
            needed.1,
            GLIBC.0,
            GLIBC.1
        );
    }
    for place in places {
        let name = format!("{}{}", place.path.display(), place.below);
        if memchr::memmem::find(&bytes, name.as_bytes()).is_some() {
            bail!("{} names a path of this machine: {name}", path.display());
        }
    }
    say!(
        "{}: {} bytes, needs glibc {}.{}",
        path.display(),
        bytes.len(),
        needed.0,
        needed.1
    );
    Ok(())
}

/// The newest `GLIBC_x.y` among the symbol versions an ELF file asks for.
fn newest_glibc(bytes: &[u8]) -> Result<Version> {
    let header = FileHeader64::<object::Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let mut newest = None;
    for section in sections.iter() {
        if section.sh_type(endian) != SHT_GNU_VERNEED {
            continue;
        }
        let Some((mut needs, link)) = section.gnu_verneed(endian, bytes)? else {
            continue;
        };
        let names = sections.strings(endian, bytes, link)?;
        while let Some((_, mut versions)) = needs.next()? {
            while let Some(version) = versions.next()? {
                let name = String::from_utf8_lossy(version.name(endian, names)?).into_owned();
                newest = newest.max(glibc(&name));
            }
        }
    }
    newest.context("no symbol of glibc is needed: not linked against it dynamically")
}

fn glibc(name: &str) -> Option<Version> {
    let mut numbers = name.strip_prefix("GLIBC_")?.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some(Version(major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(glibc("GLIBC_2.2.5").unwrap() < glibc("GLIBC_2.17").unwrap());
        assert!(glibc("GLIBC_2.34").unwrap() > GLIBC);
        assert_eq!(glibc("GLIBC_PRIVATE"), None);
        assert_eq!(glibc("GCC_3.0"), None);
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn a_real_executable_says_what_it_needs() {
        let this = fs::read(env::current_exe().unwrap()).unwrap();
        assert!(newest_glibc(&this).unwrap() >= Version(2, 2));
    }

    #[test]
    fn what_is_no_elf_file_is_refused() {
        assert!(newest_glibc(b"#!/bin/sh\n").is_err());
    }
}
