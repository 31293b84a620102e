//! A run ends soon at the stop signal and when nobody reads it, and loses nothing by it.

use super::hub::{Counts, Hub, hold_all, take};
use crate::counterpart::process::Reading;
use std::time::Duration;

/// The product promises two seconds; a busy machine may take more.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_reader_that_has_stopped_does_not_keep_a_run_from_ending() {
    let hub = Hub::of(2_000, 4);
    let splunkd = hub.splunkd(&[]);
    let mut running = splunkd.start(Reading::Stalled);
    // Full is a pipe that holds less than what was sent.
    assert!(running.wait_until(|| hub.hub().stats().bytes > 1 << 20));
    running.terminate();
    assert!(
        running.ends_within(SOON).is_some(),
        "still running {SOON:?} after SIGTERM"
    );
    let mut came = Counts::new();
    take(&mut came, &running.finish().events());
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    take(&mut came, &run.events());
    hold_all(&came, &hub.wanted());
}

#[test]
fn a_silent_run_ends_when_its_reader_is_gone() {
    let hub = Hub::of(20, 2);
    let splunkd = hub.splunkd(&[]);
    // The pipe holds all there is.
    let mut running = splunkd.start(Reading::Stalled);
    assert!(running.wait_until(|| hub.is_caught_up(&splunkd)));
    running.hang_up();
    assert!(
        running.ends_within(SOON).is_some(),
        "still running without a reader"
    );
    running.finish();
}

#[test]
fn a_run_that_cannot_reach_the_hub_ends_at_the_stop_signal() {
    let hub = Hub::of(20, 2);
    let splunkd = hub.splunkd(&[]);
    hub.hub().silence_connections(true);
    let mut running = splunkd.start(Reading::Steady);
    assert!(running.wait_until(|| hub.hub().stats().opened > 0));
    hub.hub().silence_connections(true);
    running.terminate();
    assert!(
        running.ends_within(SOON).is_some(),
        "still running {SOON:?} after SIGTERM"
    );
    running.finish();
}
