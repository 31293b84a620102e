//! A replicated hub fails over by force: what the new primary has not got keeps its numbers no
//! longer, and new messages get them again. None of those is taken for a repeat.

use super::hub::{Counts, Hub, came, sum, take};
use crate::counterpart::process::Reading;
use defender_bridge::sandbox::event_hub::{Batching, Offsets, Settings};

const PARTITIONS: usize = 2;

fn hub() -> Hub {
    Hub::start(Settings {
        records: Some(400),
        batching: Batching::Records(5),
        partitions: PARTITIONS,
        offsets: Offsets::GeoReplicated,
        ..Settings::default()
    })
}

/// Three messages of each partition are gone, and two new ones have their numbers.
fn fail_over(hub: &Hub) {
    hub.hub().fail_over(3);
    (0..2).for_each(|number| hub.one_more(number));
}

/// What was there before and what came after it.
fn together(mut before: Counts, after: Counts) -> Counts {
    for (text, count) in after {
        before.entry(text).or_insert(count);
    }
    before
}

#[test]
fn a_run_reads_on_behind_a_failover() {
    let hub = hub();
    let splunkd = hub.splunkd(&[]);
    let mut running = splunkd.start(Reading::Steady);
    assert!(running.wait_until(|| hub.is_caught_up(&splunkd)));
    let before = hub.wanted();
    fail_over(&hub);
    assert!(running.wait_until(|| hub.is_caught_up(&splunkd)));
    running.terminate();
    let run = running.finish().well();
    assert_eq!(came(&run), together(before, hub.wanted()));
    assert_eq!(sum(&run, "repeated"), 0);
}

#[test]
fn the_next_run_reads_on_behind_a_failover() {
    let hub = hub();
    let splunkd = hub.splunkd(&[]);
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    let mut all = came(&run);
    let before = hub.wanted();
    fail_over(&hub);
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    take(&mut all, &run.events());
    assert_eq!(all, together(before, hub.wanted()));
    assert_eq!(sum(&run, "repeated"), 0);
}

#[test]
fn a_replica_that_does_not_know_the_offset_is_read_from_its_oldest_message_and_nothing_comes_twice()
{
    let hub = hub();
    let splunkd = hub.splunkd(&[]);
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    let mut all = came(&run);
    let before = hub.wanted();
    fail_over(&hub);
    hub.hub().forget_offsets();
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    take(&mut all, &run.events());
    assert_eq!(all, together(before, hub.wanted()));
    // All but what was lost.
    let messages = 400 / 5 - 3 * PARTITIONS;
    assert_eq!(sum(&run, "repeated"), u64::try_from(messages).unwrap());
}
