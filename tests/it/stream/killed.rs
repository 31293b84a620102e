//! kill -9 at any instant loses no record, and doubles no more than what was in flight.

use super::hub::{Counts, Hub, hold_all, take};
use crate::counterpart::process::Reading;

/// What a process holds at most: messages read and not delivered.
const IN_FLIGHT: usize = 8 << 20;

#[test]
fn a_killed_run_loses_nothing() {
    let hub = Hub::of(4_000, 4);
    let splunkd = hub.splunkd(&[]);
    let mut came = Counts::new();
    let mut kills = 0;
    for bytes in [1, 10_000, 200_000, 50_000, 700_000, 300_000] {
        let mut running = splunkd.start(Reading::Steady);
        if !running.wait_for_output(bytes) {
            break;
        }
        running.kill();
        take(&mut came, &running.finish().events());
        kills += 1;
    }
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    take(&mut came, &run.events());
    let doubles = hold_all(&came, &hub.wanted());
    assert!(doubles <= kills * IN_FLIGHT, "{doubles} bytes came again");
}

#[test]
fn a_second_run_of_the_stanza_is_refused_while_the_first_goes_on() {
    let hub = Hub::of(10, 1);
    let splunkd = hub.splunkd(&[]);
    let mut running = splunkd.start(Reading::Steady);
    assert!(running.wait_until(|| hub.is_caught_up(&splunkd)));
    let run = splunkd.run();
    let line = run.refusal();
    assert!(
        line.contains("defender_bridge://feed") && line.contains("another run"),
        "{line}"
    );
    assert_eq!(run.events(), []);
    running.terminate();
    running.finish().well();
}
