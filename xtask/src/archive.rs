//! A Splunk package: a gzipped ustar archive with one folder on top, the same
//! bytes for the same content.

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// 1980-01-01: the earliest instant every archive format can express.
const TIME: u64 = 315_532_800;

pub struct File {
    pub bytes: Vec<u8>,
    pub executable: bool,
}

/// Files by path below the top folder, `/` between names.
pub type Files = BTreeMap<String, File>;

pub fn pack(top: &str, files: &Files) -> Result<Vec<u8>> {
    let gzip = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    let mut archive = Builder::new(gzip);
    for folder in folders(top, files) {
        append(
            &mut archive,
            EntryType::Directory,
            &format!("{folder}/"),
            0o755,
            &[],
        )?;
    }
    for (path, file) in files {
        let mode = if file.executable { 0o755 } else { 0o644 };
        append(
            &mut archive,
            EntryType::Regular,
            &format!("{top}/{path}"),
            mode,
            &file.bytes,
        )?;
    }
    Ok(archive.into_inner()?.finish()?)
}

fn folders(top: &str, files: &Files) -> BTreeSet<String> {
    let mut folders = BTreeSet::from([top.to_owned()]);
    for path in files.keys() {
        let mut rest = path.as_str();
        while let Some((folder, _)) = rest.rsplit_once('/') {
            folders.insert(format!("{top}/{folder}"));
            rest = folder;
        }
    }
    folders
}

fn append<W: std::io::Write>(
    archive: &mut Builder<W>,
    kind: EntryType,
    path: &str,
    mode: u32,
    bytes: &[u8],
) -> Result<()> {
    let mut header = Header::new_ustar();
    header
        .set_path(Path::new(path))
        .with_context(|| format!("{path} is too long for a package"))?;
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(TIME);
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    archive
        .append(&header, bytes)
        .with_context(|| format!("cannot pack {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;

    fn files() -> Files {
        let file = |bytes: &[u8], executable| File {
            bytes: bytes.to_vec(),
            executable,
        };
        Files::from([
            (
                "default/data/ui/nav/default.xml".to_owned(),
                file(b"<nav/>", false),
            ),
            ("bin/app".to_owned(), file(b"\x7fELF", true)),
        ])
    }

    #[test]
    fn folders_come_first_and_modes_are_what_splunk_asks_for() {
        let packed = pack("app", &files()).unwrap();
        let mut archive = tar::Archive::new(GzDecoder::new(packed.as_slice()));
        let entries: Vec<(String, u32)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                (path, entry.header().mode().unwrap())
            })
            .collect();
        let expected = [
            ("app/", 0o755),
            ("app/bin/", 0o755),
            ("app/default/", 0o755),
            ("app/default/data/", 0o755),
            ("app/default/data/ui/", 0o755),
            ("app/default/data/ui/nav/", 0o755),
            ("app/bin/app", 0o755),
            ("app/default/data/ui/nav/default.xml", 0o644),
        ];
        assert_eq!(
            entries,
            expected.map(|(path, mode)| (path.to_owned(), mode))
        );
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        assert_eq!(
            pack("app", &files()).unwrap(),
            pack("app", &files()).unwrap()
        );
    }
}
