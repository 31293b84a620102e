//! Whatever a run writes is for splunkd's user alone, whatever the umask: files
//! 0600, folders 0700. Who may only read a file could lock it.
#![cfg(unix)]

use crate::counterpart::chunked::{Search, search};
use crate::counterpart::objects::TENANT_ID;
use crate::counterpart::process::{self, Reading};
use crate::counterpart::queue::{CLOSE, FEED, ids, new_alerts, table};
use crate::counterpart::signin::{CLIENT_ID, CLIENT_SECRET};
use crate::counterpart::splunkd::{ANALYST_KEY, Alert, SESSION_KEY};
use crate::counterpart::tenant::recent;
use crate::counterpart::{Splunkd, Tenant};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Every file and folder below a folder, with its mode.
fn modes(folder: &Path) -> BTreeMap<PathBuf, u32> {
    let mut modes = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let found = std::fs::symlink_metadata(&path).unwrap();
            modes.insert(path.clone(), found.permissions().mode() & 0o7777);
            if found.is_dir() {
                open.push(path);
            }
        }
    }
    modes
}

/// Everything below a folder is private; returns the names of the files.
#[track_caller]
fn all_private(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for (path, mode) in modes(folder) {
        // What splunkd itself lays down for the action.
        if path.to_string_lossy().contains("/dispatch") {
            continue;
        }
        // Copies of the executable are executed.
        let is_copy = path.to_string_lossy().contains("/exe-");
        let wanted = if path.is_dir() || is_copy {
            0o700
        } else {
            0o600
        };
        assert_eq!(mode, wanted, "{}: {mode:o}", path.display());
        if path.is_file() {
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    names
}

#[track_caller]
fn has(names: &[String], begin: &str, end: &str) {
    let found = names
        .iter()
        .any(|name| name.starts_with(begin) && name.ends_with(end));
    assert!(found, "no {begin}…{end} among {names:?}");
}

fn alert(splunkd: &Splunkd, ids: &[&str], key: &str, sid: &str) {
    let rows: Vec<Vec<String>> = ids.iter().map(|id| vec![(*id).to_owned()]).collect();
    let alert = Alert {
        form: &[("account", "contoso"), ("status", "resolved")],
        header: &["id"],
        rows: &rows,
        session_key: key,
        sid,
        ..Alert::default()
    };
    splunkd.alert(&alert).well();
}

#[test]
fn every_role_under_every_umask_makes_files_for_its_user_alone() {
    for umask in ["umask 022", "umask 000"] {
        let (_tenant, objects, splunkd) = new_alerts(6);
        let parameters = [("account", "contoso"), ("feed", "alerts")];
        let splunkd = splunkd
            .with_environment("DEFENDER_BRIDGE_IN_PLACE", "0")
            .input("feed", parameters)
            .under(umask)
            .serving();
        let ids = ids(&objects);
        // Nothing is there yet, not even what splunkd usually makes.
        let var = splunkd.home().join("var");
        std::fs::remove_dir_all(&var).unwrap();

        splunkd.validate().well();
        splunkd.run().well();
        alert(&splunkd, &ids[..1], ANALYST_KEY, "scheduler__1");
        assert_eq!(splunkd.endpoint_processes(), 1);
        splunkd.fail_receivers(403);
        alert(&splunkd, &ids[1..2], SESSION_KEY, "scheduler__2");
        for (command, args) in [
            ("defenderupdate", CLOSE.as_slice()),
            ("defenderget", &["account=contoso"]),
            ("defenderreconcile", &["account=contoso"]),
            ("defendercheck", &["account=contoso"]),
        ] {
            for key in [SESSION_KEY, ANALYST_KEY] {
                let search = Search {
                    key,
                    ..search(command, args)
                };
                search.run(&splunkd, &[&table(ids[2..4].iter().copied())]);
            }
        }
        let names = all_private(&var);
        has(&names, "feed", ".json");
        has(&names, "feed", ".lock");
        has(&names, "exe-", "");
        has(&names, "budget-", ".json");
        has(&names, "batch-", ".lock");
        has(&names, "", ".ndjson");
        has(&names, "defender_bridge.log", "");
        has(&names, "defender_bridge_update_alert_modalert.log", "");

        splunkd.mend_receivers();
        splunkd.run().well();
        all_private(&var);
    }
}

#[test]
fn a_person_s_state_is_for_that_person_alone() {
    let tenant = Tenant::holding(FEED, recent(FEED, 3));
    let home = tempfile::tempdir().unwrap();
    let splunkd = Splunkd::new().under("umask 000");
    for command in ["fetch", "check"] {
        let mut run = splunkd.command();
        run.env_remove("SPLUNK_HOME")
            .env("HOME", home.path())
            .env("DEFENDER_BRIDGE_SECRET", CLIENT_SECRET)
            .arg(command)
            .args(by_hand(&tenant));
        let mut running = process::start(run, b"", Reading::Steady);
        running.close_stdin();
        let run = running.finish();
        assert_eq!(run.code(), Some(0), "{command}: {}", run.stderr);
    }
    let names = all_private(home.path());
    has(&names, "budget-", ".json");
}

fn by_hand(tenant: &Tenant) -> Vec<String> {
    let (url, ca_file) = (tenant.url(), tenant.ca_file().display().to_string());
    [
        ("--tenant-id", TENANT_ID),
        ("--client-id", CLIENT_ID),
        ("--cloud", "custom"),
        ("--login-url", &url),
        ("--graph-url", &url),
        ("--mde-url", &url),
        ("--xdr-url", &url),
        ("--ca-file", &ca_file),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value.to_owned()])
    .collect()
}

#[test]
fn what_was_open_to_others_before_is_closed_by_the_next_run() {
    let (_tenant, _, splunkd) = new_alerts(2);
    let splunkd = splunkd.input("feed", [("account", "contoso"), ("feed", "alerts")]);
    splunkd.run().well();
    let private = |splunkd: &Splunkd| {
        let mut modes = modes(&splunkd.home().join("var"));
        modes.retain(|path, _| path.is_file());
        modes
    };
    for path in private(&splunkd).into_keys() {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
    }
    let state = splunkd.home().join("var/run/splunk/defender_bridge");
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o755)).unwrap();
    splunkd.run().well();
    for (path, mode) in private(&splunkd) {
        // A checkpoint is replaced, not opened, and this run had nothing to save.
        if path.extension().is_some_and(|ending| ending == "json") && !path.starts_with(&state) {
            continue;
        }
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    assert_eq!(modes(state.parent().unwrap())[&state], 0o700);
}
