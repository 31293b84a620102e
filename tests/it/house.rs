//! The shape of the house: which room may know which.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Who may use whom; `run` may use all.
const MAY_USE: [(&str, &[&str]); 9] = [
    ("ingest", &[]),
    ("triage", &[]),
    ("disk", &[]),
    ("sandbox", &[]),
    ("microsoft", &["disk", "ingest", "triage"]),
    ("splunk", &["disk", "ingest", "triage"]),
    ("host", &["disk"]),
    (
        "bridge",
        &["disk", "ingest", "triage", "microsoft", "splunk", "host"],
    ),
    (
        "run",
        &[
            "disk",
            "ingest",
            "triage",
            "microsoft",
            "splunk",
            "sandbox",
            "host",
            "bridge",
        ],
    ),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files() -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let mut open = vec![source()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.insert(
                    path.strip_prefix(source()).unwrap().to_owned(),
                    std::fs::read_to_string(&path).unwrap(),
                );
            }
        }
    }
    files
}

/// The text without comments, so that prose may name any room.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| match line.find("//") {
            Some(at) if !line[..at].contains('"') => &line[..at],
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// What goes into the executable: without modules, functions and uses for tests alone.
fn product(text: &str) -> String {
    let mut pieces = text.split("#[cfg(test)]");
    let mut product = pieces.next().unwrap().to_owned();
    for piece in pieces {
        // An item ends with `;` before any brace, or with the brace that closes it.
        let end = piece.find([';', '{']).unwrap_or(piece.len());
        if piece[end..].starts_with(';') {
            product.push_str(&piece[end + 1..]);
            continue;
        }
        let indent = piece
            .lines()
            .find(|line| !line.trim().is_empty())
            .map_or("", |line| &line[..line.len() - line.trim_start().len()]);
        let close = format!("\n{indent}}}\n");
        if let Some(at) = piece.find(&close) {
            product.push_str(&piece[at + close.len()..]);
        }
    }
    product
}

/// A file that belongs to a module for tests alone.
fn is_for_tests(path: &Path, files: &BTreeMap<PathBuf, String>) -> bool {
    path.ancestors().any(|part| {
        let name = part.file_stem().and_then(|name| name.to_str());
        let (Some(name), Some(folder)) = (name, part.parent()) else {
            return false;
        };
        let parents = [
            folder.join("mod.rs"),
            folder.with_extension("rs"),
            folder.join("lib.rs"),
        ];
        let mut parents = parents.iter().filter_map(|parent| files.get(parent));
        parents.any(|text| tested(text).iter().any(|test| test == name))
    })
}

/// Names that follow `root`, as in `crate::ingest` or `crate::{ingest, splunk::x}`.
fn named_after(code: &str, root: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(root) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + root.len()..];
        match rest.strip_prefix('{') {
            None => names.push(word(rest)),
            Some(list) => {
                // The first word of each element on the outermost level.
                let mut depth = 1;
                let mut fresh = true;
                for (place, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 1 => fresh = true,
                        _ if fresh && !c.is_whitespace() => {
                            names.push(word(&list[place..]));
                            fresh = false;
                        }
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn room(path: &Path) -> Option<String> {
    let mut parts = path.components();
    let first = parts.next()?.as_os_str().to_str()?.to_owned();
    let first = first
        .strip_suffix(".rs")
        .map(str::to_owned)
        .unwrap_or(first);
    MAY_USE
        .iter()
        .any(|(room, _)| *room == first)
        .then_some(first)
}

#[test]
fn no_room_uses_a_room_it_may_not_know() {
    let rooms: Vec<&str> = MAY_USE.iter().map(|(room, _)| *room).collect();
    let mut wrong = Vec::new();
    for (path, text) in files() {
        let Some(own) = room(&path) else {
            continue;
        };
        let may = MAY_USE.iter().find(|(room, _)| *room == own).unwrap().1;
        let code = code(&text);
        let mut named = named_after(&code, "crate::");
        named.extend(named_after(&code, "defender_bridge::"));
        // From a file of a room, two or more steps up may leave the room.
        for steps in 2..5 {
            named.extend(named_after(&code, &"super::".repeat(steps)));
        }
        for name in named {
            if name != own && rooms.contains(&name.as_str()) && !may.contains(&name.as_str()) {
                wrong.push(format!("{} uses {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_of_the_source_lies_in_a_room() {
    for path in files().keys() {
        let top = path.components().count() == 1;
        assert!(
            room(path).is_some()
                || (top && (path.ends_with("lib.rs") || path.ends_with("main.rs"))),
            "{} is in no room",
            path.display()
        );
    }
}

#[test]
fn the_cores_know_no_socket_no_file_and_no_clock() {
    let files = files();
    for (path, text) in &files {
        let Some(own) = room(path) else {
            continue;
        };
        if (own != "ingest" && own != "triage") || is_for_tests(path, &files) {
            continue;
        }
        let code = code(&product(text));
        for banned in [
            "std::net",
            "std::fs",
            "crate::disk",
            "tokio::net",
            "tokio::fs",
            "tokio::io",
            "tokio::time",
            "tokio::process",
            "tokio::signal",
            "reqwest",
            "SystemTime::now",
            "time::Instant",
            "Timestamp::now",
            "std::env",
            "std::process",
            "quick_xml",
        ] {
            assert!(!code.contains(banned), "{} uses {banned}", path.display());
        }
    }
}

#[test]
fn only_the_event_stream_and_the_command_line_write_to_stdout() {
    let files = files();
    for (path, text) in &files {
        let code = code(&product(text));
        let Some(own) = room(path) else {
            continue;
        };
        if is_for_tests(path, &files) {
            continue;
        }
        if ["run", "host", "splunk"].contains(&own.as_str()) {
            continue;
        }
        for banned in ["stdout()", "println!", "print!("] {
            assert!(!code.contains(banned), "{} uses {banned}", path.display());
        }
    }
}

/// Modules that a file has for tests alone, in files of their own.
fn tested(text: &str) -> Vec<String> {
    text.split("#[cfg(test)]")
        .skip(1)
        .filter_map(|rest| {
            let line = rest.lines().find(|line| line.contains("mod "))?;
            let name = line.split("mod ").nth(1)?.strip_suffix(';')?;
            Some(name.to_owned())
        })
        .collect()
}

/// Else some would be open to others, by a umask nobody thought of.
#[test]
fn files_and_folders_are_made_in_one_place() {
    let files = files();
    for (path, text) in &files {
        if is_for_tests(path, &files) || room(path).as_deref() == Some("disk") {
            continue;
        }
        let code = code(&product(text));
        for banned in [
            "OpenOptions",
            "create(true)",
            "create_new(true)",
            "append(true)",
            "File::create",
            "fs::write",
            "fs::copy",
            "create_dir",
            "DirBuilder",
            "tempdir()",
        ] {
            assert!(!code.contains(banned), "{} uses {banned}", path.display());
        }
    }
}

#[test]
fn no_file_is_named_after_nothing() {
    for path in files().keys() {
        for part in path.components() {
            let name = part.as_os_str().to_str().unwrap().trim_end_matches(".rs");
            assert!(
                ![
                    "utils", "util", "common", "helpers", "helper", "manager", "misc"
                ]
                .contains(&name),
                "{}",
                path.display()
            );
        }
    }
}

/// Fields, columns and files are named in plain words: these were not.
#[test]
fn no_public_word_is_a_private_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<PathBuf> = ["src", "default", "docs", "README", "SECURITY.md"]
        .map(|name| root.join(name))
        .to_vec();
    let mut wrong = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        for word in [
            "hand_back",
            "handed_back",
            "defender_ahead",
            "defender_stays",
            "defender_live_read",
            "defender_live_comments",
            "\"turn-",
            "\"wordings-",
            "errand=",
            "pub said: String",
            "remarks: Vec",
        ] {
            if text.contains(word) {
                wrong.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_reader_of_this_test_sees_what_it_looks_for() {
    let code =
        code("use crate::{ingest::Page, splunk};\nlet x = crate::microsoft::y(); // crate::run\n");
    assert_eq!(
        named_after(&code, "crate::"),
        ["ingest", "splunk", "microsoft"]
    );
    assert_eq!(
        named_after("use super::super::splunk::x;", "super::super::"),
        ["splunk"]
    );
    assert_eq!(
        room(Path::new("ingest/instant.rs")).as_deref(),
        Some("ingest")
    );
    assert_eq!(room(Path::new("lib.rs")), None);

    let file = "use a;\n#[cfg(test)]\nmod tests;\nuse b;\nimpl C {\n    #[cfg(test)]\n    \
                fn d() {\n        e()\n    }\n    fn f() {}\n}\n#[cfg(test)]\nmod g {\n    h\n}\n";
    let kept = product(file);
    assert!(
        ["use a", "use b", "fn f"]
            .iter()
            .all(|code| kept.contains(code))
    );
    assert!(
        ["mod tests", "e()", "h\n"]
            .iter()
            .all(|code| !kept.contains(code))
    );
    let files = files();
    for (path, test) in [
        ("ingest/poll/tests.rs", true),
        ("ingest/stream/tests/world.rs", true),
        ("ingest/poll/walk/span.rs", false),
    ] {
        assert!(files.contains_key(Path::new(path)));
        assert_eq!(is_for_tests(Path::new(path), &files), test, "{path}");
    }
}
