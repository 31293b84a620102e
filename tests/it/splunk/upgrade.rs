//! An upgrade writes over the executable while everything runs: splunkd copies
//! the new file over the old one, and a file that is executed cannot be written.

use crate::counterpart::chunked::search;
use crate::counterpart::endpoint::{Driver, request};
use crate::counterpart::queue::{ids, new_alerts, table};
use crate::counterpart::splunkd::{ANALYST_KEY, SESSION_KEY, written_over};
use crate::counterpart::{Splunkd, Tenant};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Writes the next version over it as soon as nothing executes it.
#[track_caller]
fn write_over(path: &Path) {
    let begun = Instant::now();
    let built = std::fs::read(env!("CARGO_BIN_EXE_defender_bridge")).unwrap();
    let next = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(next.path(), [built.as_slice(), b"another version"].concat()).unwrap();
    // What was just started executes the installed file until it goes on from its copy.
    while !written_over(path, next.path()) {
        assert!(begun.elapsed() < PATIENCE, "{} is executed", path.display());
    }
}

fn copies(splunkd: &Splunkd) -> Vec<PathBuf> {
    let folder = splunkd.home().join("var/run/splunk/defender_bridge");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_copy = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("exe-")
    };
    paths.filter(is_copy).collect()
}

fn rest(splunkd: &Splunkd) -> Driver {
    let (_, mut command) = splunkd.installed();
    command.arg("rest").env("DEFENDER_BRIDGE_ROLE", "rest");
    Driver::start(command)
}

fn get(splunkd: &Splunkd, place: &str) -> Value {
    let system = ["splunk-system-user", SESSION_KEY];
    let path = format!("/defender_bridge/{place}");
    request(&splunkd.url(), "GET", &path, b"", system, SESSION_KEY)
}

/// A role that waits for what splunkd says on stdin.
fn waiting(mut command: Command, words: &[&str]) -> Child {
    command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn the_executable_is_written_over_while_every_role_runs_and_the_next_request_has_the_new_one() {
    let (_tenant, _, splunkd): (Tenant, _, _) = new_alerts(1);
    let (path, _) = splunkd.installed();
    let mut old = rest(&splunkd);
    let before = old.ask(&get(&splunkd, "self"))["payload"].take();
    assert_eq!(before["in_place"], Value::Null, "{before}");
    assert_eq!(before["installed"], path.to_str().unwrap(), "{before}");
    assert!(
        before["exe"].as_str().unwrap().contains("/exe-"),
        "{before}"
    );
    let mut others: Vec<Child> = [
        &[][..],
        &["alert-action", "defender_bridge_update_alert"],
        &["search-command", "defenderget"],
        &["--validate-arguments"],
    ]
    .into_iter()
    .map(|words| waiting(splunkd.installed().1, words))
    .collect();
    write_over(&path);
    for child in &mut others {
        assert_eq!(child.try_wait().unwrap(), None, "nothing was disturbed");
    }
    // The old one sees it by itself, and splunkd starts another one.
    let (code, _, errors) = old.ended();
    assert_eq!(code, Some(0), "{errors}");
    let mut new = rest(&splunkd);
    let after = new.ask(&get(&splunkd, "self"))["payload"].take();
    assert_ne!(after["exe"], before["exe"], "{after}");
    assert_eq!(after["installed"], before["installed"]);
    assert_eq!(after["requests_served"], 1);
    for child in &mut others {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
    drop(new);
    // Whoever comes next finds that nobody runs from the old copy any more.
    let mut last = rest(&splunkd);
    assert_eq!(last.ask(&get(&splunkd, "ping"))["status"], 200);
    let left = copies(&splunkd);
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].to_str(), after["exe"].as_str());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&left[0]), 0o700);
    assert_eq!(mode(left[0].parent().unwrap()), 0o700);
}

#[test]
fn a_copy_works_as_the_installed_one_does() {
    let (_tenant, objects, splunkd) = new_alerts(1);
    let rows = table(ids(&objects));
    let search = search("defenderget", &["account=contoso"]);
    let questions = search.getinfo(&splunkd) + &crate::counterpart::chunked::execute(true, &rows);
    let (_, mut command) = splunkd.installed();
    command.args(["search-command", "defenderget"]);
    let run = crate::counterpart::process::start(
        command,
        questions.as_bytes(),
        crate::counterpart::process::Reading::Steady,
    )
    .finish()
    .well();
    assert!(run.text().contains("ok"), "{} {}", run.text(), run.stderr);
    assert_eq!(copies(&splunkd).len(), 1);
}

#[test]
fn where_no_copy_can_be_executed_it_goes_on_in_place_and_says_so() {
    let (_tenant, _, splunkd) = new_alerts(0);
    // What stands where the copies would lie is no folder.
    let folder = splunkd.home().join("var/run/splunk/defender_bridge");
    std::fs::write(&folder, "").unwrap();
    let mut driver = rest(&splunkd);
    let told = driver.ask(&get(&splunkd, "self"))["payload"].take();
    assert!(told["in_place"].is_string(), "{told}");
    assert_eq!(told["exe"], told["installed"], "{told}");
    let pong = driver.ask(&get(&splunkd, "ping"))["payload"].take();
    assert_eq!(pong["in_place"], told["in_place"]);
    let (code, _, errors) = driver.end();
    assert_eq!(code, Some(0));
    assert!(errors.contains("no upgrade can overwrite"), "{errors}");
}

#[test]
fn the_role_named_by_the_environment_counts_whatever_words_come_with_it() {
    let (_tenant, _, splunkd) = new_alerts(0);
    for words in [
        &[][..],
        &["defender_bridge"],
        &["--scheme"],
        &["check", "x"],
    ] {
        let mut command = splunkd.command();
        command.args(words).env("DEFENDER_BRIDGE_ROLE", "rest");
        let mut driver = Driver::start(command);
        let user = ["analyst", ANALYST_KEY];
        let ping = "/defender_bridge/ping";
        let asked = request(&splunkd.url(), "GET", ping, b"", user, SESSION_KEY);
        assert_eq!(driver.ask(&asked)["status"], 200, "{words:?}");
        assert_eq!(driver.end().0, Some(0), "{words:?}");
    }
}

#[test]
fn a_copy_that_may_not_be_executed_is_told_and_made_again() {
    let (_tenant, _, splunkd) = new_alerts(0);
    let mut first = rest(&splunkd);
    assert_eq!(first.ask(&get(&splunkd, "ping"))["status"], 200);
    first.end();
    let copy = copies(&splunkd).remove(0);
    // As on a file system that is mounted noexec.
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut second = rest(&splunkd);
    let told = second.ask(&get(&splunkd, "ping"))["payload"].take();
    let why = told["in_place"].as_str().unwrap();
    assert!(why.contains("noexec"), "{why}");
    second.end();
    let mut third = rest(&splunkd);
    let told = third.ask(&get(&splunkd, "ping"))["payload"].take();
    assert_eq!(told["in_place"], Value::Null, "{told}");
}
