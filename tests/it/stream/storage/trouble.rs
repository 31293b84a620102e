//! What a storage account refuses is said in one line with stanza, cause and remedy, and
//! moves no position; what passes is waited for.

use super::account::{Account, came};
use crate::counterpart::process::Reading;
use crate::stream::bad_settings::refused;
use crate::stream::hub::{Counts, hold_all};
use crate::stream::tenant::ACCOUNT;
use defender_bridge::sandbox::storage::{Operation, Storage, Times};
use std::time::Duration;

#[test]
fn right_settings_are_accepted_after_a_look_at_the_account() {
    let account = Account::of(20);
    let string = account.storage().connection_string();
    for splunkd in [
        account.splunkd(&[]),
        account.splunkd_with_string(&string, &[]),
    ] {
        let run = splunkd.validate();
        assert_eq!(run.code(), Some(0), "{}{}", run.text(), run.stderr);
        assert!(splunkd.checkpoints().is_empty());
    }
}

#[test]
fn a_missing_role_is_named_and_no_position_moves() {
    let account = Account::of(100);
    let splunkd = account.splunkd(&[]);
    account.is_read_once(&splunkd);
    account.storage().take_role(account.tenant().client_id());
    refused(
        &splunkd,
        &[
            "AuthorizationPermissionMismatch",
            "Storage Blob Data Reader",
        ],
    );
    // As soon as it is there, nothing is missing.
    account.storage().recover();
    account.nothing_comes_again(&splunkd);
}

#[test]
fn a_role_that_is_taken_while_it_reads_ends_the_run() {
    let account = Account::of(100);
    let splunkd = account.splunkd(&[]);
    let mut running = splunkd.start(Reading::Steady);
    assert!(account.wait(&mut running, &Counts::new()));
    account.storage().take_role(account.tenant().client_id());
    let run = running.finish();
    let line = run.refusal();
    assert!(
        line.contains("defender_bridge://feed") && line.contains("Storage Blob Data Reader"),
        "{line}"
    );
    assert_eq!(hold_all(&came(&run.events()), &account.wanted()), 0);
    account.storage().recover();
    account.nothing_comes_again(&splunkd);
}

#[test]
fn a_signature_that_does_not_open_the_account_is_named() {
    let account = Account::of(100);
    let storage = account.storage();
    let string = |signature: String| {
        format!(
            "BlobEndpoint={};SharedAccessSignature={signature}",
            storage.url()
        )
    };
    let hour = Duration::from_secs(3600);
    let good = string(storage.signature("rl", hour));
    let splunkd = account.splunkd_with_string(&good, &[]);
    account.is_read_once(&splunkd);
    for (signature, words) in [
        (
            storage.signature("rl", hour).replace("sp=rl", "sp=rwl"),
            ["AuthenticationFailed", "wrong"],
        ),
        (
            storage.signature("rl", Duration::ZERO),
            ["AuthenticationFailed", "expired"],
        ),
        (
            storage.signature("r", hour),
            ["AuthorizationPermissionMismatch", "read and list"],
        ),
    ] {
        splunkd.set_password(ACCOUNT, &string(signature));
        refused(&splunkd, &words);
    }
    splunkd.set_password(ACCOUNT, &good);
    account.nothing_comes_again(&splunkd);
}

#[test]
fn an_account_that_is_not_there_is_named() {
    let account = Account::of(20);
    let (rest, _) = account.storage().url().rsplit_once('/').unwrap();
    let other = format!("{rest}/otherlogs");
    refused(
        &account.splunkd(&[("storage_account", &other)]),
        &["ResourceNotFound", "storage account's name"],
    );
    let splunkd = account.splunkd(&[]);
    splunkd.set_password(ACCOUNT, "wrong");
    refused(&splunkd, &["AADSTS7000215"]);
}

#[test]
fn what_does_not_go_together_is_refused_before_anything_is_asked() {
    let account = Account::of(0);
    for (more, words) in [
        (&[("tables", "a/b")][..], &["tables", "a/b"][..]),
        (&[("storage_account", "")], &["storage_account", "missing"]),
        (
            &[("storage_account", "Contoso!")],
            &["storage_account", "lower-case"],
        ),
        (&[("event_hub", "x")], &["event_hub", "remove"]),
        (&[("checkpoint", "blob")], &["checkpoint", "local"]),
    ] {
        refused(&account.splunkd(more), words);
    }
    let hub = "Endpoint=sb://localhost:1/;SharedAccessKeyName=k;SharedAccessKey=a2V5";
    refused(
        &account.splunkd_with_string(hub, &[]),
        &["event hub", "storage account"],
    );
    assert_eq!(account.storage().stats().lists, 0);
}

#[test]
fn a_table_that_is_not_there_yet_is_said_once_and_waited_for() {
    let account = Account::of(0);
    let splunkd = account.splunkd(&[("tables", "EmailEvents")]);
    let mut running = splunkd.start(Reading::Steady);
    let lists = || account.storage().stats().lists;
    assert!(running.wait_until(|| lists() >= 3));
    let table = Storage::container_of("EmailEvents");
    let line = super::account::record("EmailEvents", 1, 10);
    let name = super::account::hour(1);
    account
        .storage()
        .append(&table, &name, format!("{line}\r\n").as_bytes());
    let run = account.follow(running, &Counts::new()).well();
    assert_eq!(run.events().len(), 1);
    let said: Vec<&str> = run
        .lines("INFO")
        .into_iter()
        .filter(|line| line.contains("is not there"))
        .collect();
    assert_eq!(said.len(), 1, "{}", run.stderr);
    assert!(said[0].contains(&table), "{}", said[0]);
}

#[test]
fn a_service_that_is_busy_is_asked_again() {
    let account = Account::of(200);
    let storage = account.storage();
    storage.refuse(Operation::List, "", "ServerBusy", Times::Next(2));
    storage.refuse(Operation::Read, "", "ServerBusy", Times::Next(4));
    let splunkd = account.splunkd(&[]);
    let run = account.follow(splunkd.start(Reading::Steady), &Counts::new());
    assert_eq!(hold_all(&came(&run.well().events()), &account.wanted()), 0);
    account.nothing_comes_again(&splunkd);
}
