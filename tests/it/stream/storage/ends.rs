//! However a run of a storage account ends, nothing is lost by it, and little comes twice.

use super::account::{Account, add, came};
use crate::counterpart::process::Reading;
use crate::stream::hub::{Counts, hold_all};
use std::time::Duration;

/// What a process holds at most: read and not delivered.
const IN_FLIGHT: usize = 8 << 20;
/// The product promises two seconds; a busy machine may take more.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_killed_run_loses_nothing() {
    let account = Account::of(4_000);
    let splunkd = account.splunkd(&[]);
    let mut all = Counts::new();
    let mut kills = 0;
    for bytes in [1, 10_000, 200_000, 50_000, 900_000, 300_000] {
        let mut running = splunkd.start(Reading::Steady);
        if !running.wait_for_output(bytes) {
            break;
        }
        running.kill();
        add(&mut all, came(&running.finish().events()));
        kills += 1;
        let wanted = account.wanted();
        if wanted.keys().all(|key| all.contains_key(key)) {
            break;
        }
    }
    let run = account.follow(splunkd.start(Reading::Steady), &all).well();
    add(&mut all, came(&run.events()));
    let doubles = hold_all(&all, &account.wanted());
    assert!(doubles <= kills * IN_FLIGHT, "{doubles} bytes came again");
    account.nothing_comes_again(&splunkd);
}

#[test]
fn a_reader_that_has_stopped_does_not_keep_a_run_from_ending() {
    let account = Account::of(4_000);
    let splunkd = account.splunkd(&[]);
    let mut running = splunkd.start(Reading::Stalled);
    // Full is a pipe that holds less than what was sent.
    assert!(running.wait_until(|| account.storage().stats().bytes > 1 << 20));
    running.terminate();
    assert!(
        running.ends_within(SOON).is_some(),
        "still running {SOON:?} after SIGTERM"
    );
    let mut all = came(&running.finish().events());
    let run = account.follow(splunkd.start(Reading::Steady), &all).well();
    add(&mut all, came(&run.events()));
    hold_all(&all, &account.wanted());
}

#[test]
fn a_silent_run_ends_when_its_reader_is_gone() {
    let account = Account::of(20);
    let splunkd = account.splunkd(&[]);
    // The pipe holds all there is.
    let mut running = splunkd.start(Reading::Stalled);
    account.wait_for_listings(&mut running);
    running.hang_up();
    assert!(
        running.ends_within(SOON).is_some(),
        "still running without a reader"
    );
    running.finish();
}
