//! The one setting that must be known before splunkd can be asked for any
//! other: whether its certificate is to be verified.

use std::io;
use std::path::{Path, PathBuf};

const FILE: &str = "defender_bridge_settings.conf";
const STANZA: &str = "splunkd";
const KEY: &str = "verify_tls";

/// Why the setting is not known.
#[derive(Debug, thiserror::Error)]
pub enum ConfError {
    #[error("{}: {cause}; splunkd's user must be able to read it", .at.display())]
    Unreadable { at: PathBuf, cause: io::Error },
    #[error("{}, [{STANZA}]: {KEY} = `{value}` is neither true nor false", .at.display())]
    NoBoolean { at: PathBuf, value: String },
}

/// `[splunkd] verify_tls` of the app in `app`: `local` over `default`, false
/// where neither says anything.
pub fn verify_tls(app: &Path) -> Result<bool, ConfError> {
    for layer in ["local", "default"] {
        let at = app.join(layer).join(FILE);
        let bytes = match std::fs::read(&at) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(cause) => return Err(ConfError::Unreadable { at, cause }),
        };
        let value = value(&String::from_utf8_lossy(&bytes), STANZA, KEY);
        match value.as_deref().unwrap_or_default() {
            "" => {}
            value => {
                return boolean(value).ok_or_else(|| ConfError::NoBoolean {
                    at,
                    value: value.chars().take(64).collect(),
                });
            }
        }
    }
    Ok(false)
}

/// The last value of a key, as Splunk reads a `.conf` file.
fn value(text: &str, stanza: &str, key: &str) -> Option<String> {
    let mut inside = false;
    let mut found = None;
    let mut lines = text.trim_start_matches('\u{FEFF}').lines();
    while let Some(line) = lines.next() {
        let mut line = line.trim().to_owned();
        // A backslash at its end continues a line.
        while line.ends_with('\\') {
            line.pop();
            line.push_str(lines.next().unwrap_or_default().trim());
        }
        if line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            inside = name.rsplit_once(']').map(|(name, _)| name) == Some(stanza);
        } else if inside
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == key
        {
            found = Some(value.trim().to_owned());
        }
    }
    found
}

/// What is on or off, as Splunk's conf files spell it.
pub fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Some(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn app(default: Option<&str>, local: Option<&str>) -> tempfile::TempDir {
        let app = tempfile::tempdir().unwrap();
        for (layer, text) in [("default", default), ("local", local)] {
            if let Some(text) = text {
                std::fs::create_dir(app.path().join(layer)).unwrap();
                std::fs::write(app.path().join(layer).join(FILE), text).unwrap();
            }
        }
        app
    }

    #[test]
    fn local_wins_over_default_and_nothing_means_false() {
        let on = "[splunkd]\nverify_tls = true\n";
        let off = "[splunkd]\nverify_tls = 0\n";
        for (default, local, expected) in [
            (None, None, false),
            (Some(on), None, true),
            (Some(on), Some(off), false),
            (Some(off), Some(on), true),
            (Some(on), Some("[proxy]\nurl = x\n"), true),
            (Some(on), Some("[splunkd]\nverify_tls =\n"), true),
        ] {
            let app = app(default, local);
            assert_eq!(
                verify_tls(app.path()).unwrap(),
                expected,
                "{default:?} {local:?}"
            );
        }
    }

    #[test]
    fn reads_a_conf_file_as_splunk_does() {
        for (text, expected) in [
            ("\u{FEFF}[splunkd]\r\nverify_tls=yes\r\n", true),
            ("[splunkd]\n# verify_tls = true\nverify_tls = false", false),
            ("[splunkd]\nverify_tls = \\\n  true\n", true),
            ("[other]\nverify_tls = true\n", false),
            ("verify_tls = true\n[splunkd]\n", false),
            (
                "[splunkd]\nverify_tls = 0\n[x]\n[splunkd]\nverify_tls = On",
                true,
            ),
        ] {
            let app = app(None, Some(text));
            assert_eq!(verify_tls(app.path()).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_boolean_and_says_where() {
        let app = app(None, Some("[splunkd]\nverify_tls = perhaps\n"));
        let error = verify_tls(app.path()).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "defender_bridge_settings.conf, [splunkd]: verify_tls = `perhaps` is neither true nor false"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_taken_for_absent() {
        let app = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(app.path().join("local").join(FILE)).unwrap();
        assert!(matches!(
            verify_tls(app.path()),
            Err(ConfError::Unreadable { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[\\[\\]=#\\\\\\n a-z\\PC]*") {
            drop(value(&text, STANZA, KEY));
        }
    }
}
