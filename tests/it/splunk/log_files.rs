//! What a run says is bounded: a line in bytes, a file in bytes, the files in number.

use crate::counterpart::queue::{ids, new_alerts};
use crate::counterpart::splunkd::Alert;
use crate::counterpart::{Feed, Splunkd, Tenant};
use std::path::PathBuf;

const FULL: u64 = 25_000_000;
const LOG: &str = "defender_bridge.log";
const ACTIONS: &str = "defender_bridge_update_alert_modalert.log";

fn log(splunkd: &Splunkd, name: &str) -> PathBuf {
    splunkd.home().join("var/log/splunk").join(name)
}

/// A file of this size that takes no room on the disk, with a name in it.
fn fill(splunkd: &Splunkd, name: &str, bytes: u64) {
    let path = log(splunkd, name);
    std::fs::write(&path, name).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(bytes).unwrap();
}

fn begins(splunkd: &Splunkd, name: &str, with: &str) -> bool {
    std::fs::read(log(splunkd, name)).is_ok_and(|bytes| bytes.starts_with(with.as_bytes()))
}

#[test]
fn a_full_log_is_renamed_and_six_files_are_all_there_ever_are() {
    let (_tenant, objects, splunkd) = new_alerts(1);
    let splunkd = splunkd.input("feed", [("account", "contoso"), ("feed", "alerts")]);
    for name in [LOG, ACTIONS] {
        fill(&splunkd, name, FULL - 10);
        for number in 1..=5 {
            fill(&splunkd, &format!("{name}.{number}"), FULL);
        }
    }
    splunkd.run().well();
    let alert = Alert {
        form: &[("account", "contoso"), ("status", "resolved")],
        header: &["id"],
        rows: &[vec![ids(&objects)[0].to_owned()]],
        ..Alert::default()
    };
    splunkd.alert(&alert).well();
    for name in [LOG, ACTIONS] {
        let fresh = splunkd.log_file(name);
        assert!(fresh.contains("INFO") && fresh.len() < 10_000, "{name}");
        assert!(begins(&splunkd, &format!("{name}.1"), name));
        for number in 2..=5 {
            let before = format!("{name}.{}", number - 1);
            assert!(begins(&splunkd, &format!("{name}.{number}"), &before));
        }
        assert!(!log(&splunkd, &format!("{name}.6")).exists());
        assert_eq!(
            log(&splunkd, &format!("{name}.1"))
                .metadata()
                .unwrap()
                .len(),
            FULL - 10
        );
    }
}

#[test]
fn a_log_with_room_left_is_written_on() {
    let (_tenant, _, splunkd) = new_alerts(1);
    let splunkd = splunkd.input("feed", [("account", "contoso"), ("feed", "alerts")]);
    fill(&splunkd, LOG, FULL / 2);
    splunkd.run().well();
    assert!(log(&splunkd, LOG).metadata().unwrap().len() > FULL / 2);
    assert!(!log(&splunkd, &format!("{LOG}.1")).exists());
}

#[test]
fn a_line_is_cut_with_a_mark_and_shows_characters_that_hide() {
    let tenant = Tenant::holding(Feed::GraphAlerts, Vec::new());
    let value = format!("evil\u{202E}gpj.exe\n{}", "x".repeat(300_000));
    let splunkd = Splunkd::reading_with(&tenant, Feed::GraphAlerts, &[("start", &value)]);
    let run = splunkd.run();
    let log = splunkd.log_file(LOG);
    for line in [run.refusal(), log.lines().last().unwrap()] {
        assert!(line.contains("evil\\u{202e}gpj.exe"), "{line}");
        assert!(line.contains("bytes more)"), "{line}");
        assert!(line.len() < 8192, "{}", line.len());
        assert!(!line.contains('\u{202E}'), "{line}");
    }
}

#[test]
fn a_log_that_cannot_be_written_is_said_once_and_stops_nothing() {
    let (_tenant, objects, splunkd) = new_alerts(3);
    let splunkd = splunkd.input("feed", [("account", "contoso"), ("feed", "alerts")]);
    std::fs::create_dir_all(log(&splunkd, LOG)).unwrap();
    let run = splunkd.run().well();
    assert_eq!(run.events().len(), objects.len());
    let said: Vec<_> = run.lines("WARN");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(LOG), "{said:?}");
}

/// A `source::` pattern: `...` stands for anything, `*` for anything but a slash.
fn matches(pattern: &str, path: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("...") {
        return (0..=path.len()).any(|at| matches(rest, &path[at..]));
    }
    if let Some(rest) = pattern.strip_prefix('*') {
        let end = path.find('/').unwrap_or(path.len());
        return (0..=end).any(|at| matches(rest, &path[at..]));
    }
    match (pattern.chars().next(), path.chars().next()) {
        (None, None) => true,
        (Some(one), Some(other)) if one == other => {
            matches(&pattern[one.len_utf8()..], &path[other.len_utf8()..])
        }
        _ => false,
    }
}

#[test]
fn the_log_has_its_sourcetype_under_every_name_and_leaves_those_of_actions_alone() {
    let props = include_str!("../../../default/props.conf");
    let patterns: Vec<&str> = props
        .lines()
        .filter_map(|line| line.strip_prefix("[source::")?.strip_suffix(']'))
        .collect();
    let ours = |name: &str| {
        let path = format!("/opt/splunk/var/log/splunk/{name}");
        patterns.iter().any(|pattern| matches(pattern, &path))
    };
    for name in [LOG, "defender_bridge.log.1", "defender_bridge.log.5"] {
        assert!(ours(name), "{name}");
    }
    for name in [
        ACTIONS,
        "defender_bridge_update_alert_modalert.log.1",
        "splunkd.log",
    ] {
        assert!(!ours(name), "{name}");
    }
}
