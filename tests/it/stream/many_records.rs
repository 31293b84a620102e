//! Many records and many partitions: everything arrives, whatever happens meanwhile.

use super::hub::{Hub, came, sum};
use crate::counterpart::Splunkd;
use crate::counterpart::process::{Reading, Run};
use defender_bridge::sandbox::event_hub::{Batching, End, Payload, Settings};
use std::time::Duration;

const RECORDS: usize = 200_000;
const PARTITIONS: usize = 8;
/// Records of a message: more than a pipe holds, so that a reader that goes away never leaves a
/// whole batch in it.
const TOGETHER: usize = 500;
/// What a batch of one partition has at most.
const BATCH: usize = (8 << 20) / 2 / PARTITIONS;

/// A record that is known by its number.
fn record(number: usize) -> String {
    format!("{{\"category\":\"AdvancedHunting-DeviceEvents\",\"n\":{number}}}")
}

/// Which partition it is in.
fn partition(number: usize) -> usize {
    number / TOGETHER % PARTITIONS
}

fn publish(hub: &Hub, numbers: std::ops::Range<usize>) {
    let numbers: Vec<usize> = numbers.collect();
    for message in numbers.chunks(TOGETHER) {
        let records: Vec<String> = message.iter().map(|number| record(*number)).collect();
        let body = format!("{{\"records\":[{}]}}", records.join(","));
        let partition = partition(message[0]);
        let payload = Payload::Data(body.into_bytes());
        hub.hub().publish(Some(partition), payload).unwrap();
    }
}

/// The numbers of the whole events of a run. Read line by line: so many take the strict parser
/// long.
fn numbers(run: &Run) -> Vec<usize> {
    let text = run.text();
    let whole = text.rfind("</event>").map_or("", |end| &text[..end]);
    let record = |line: &str| {
        let data = line.strip_prefix("<data>")?.strip_suffix("</data>")?;
        let number = data.strip_prefix("{\"category\":\"AdvancedHunting-DeviceEvents\",\"n\":")?;
        number.strip_suffix('}')?.parse().ok()
    };
    whole.lines().filter_map(record).collect()
}

/// How often each record came so far.
struct Tally(Vec<u32>);

impl Tally {
    /// Adds a run's; how many bytes of each partition had come before.
    fn add(&mut self, run: &Run) -> [usize; PARTITIONS] {
        let mut again = [0; PARTITIONS];
        for number in numbers(run) {
            self.0[number] += 1;
            if self.0[number] > 1 {
                again[partition(number)] += record(number).len() + 1;
            }
        }
        again
    }
}

/// So many bytes of output in, the run is ended as it is told.
fn until(
    splunkd: &Splunkd,
    reading: Reading,
    bytes: usize,
    end: fn(&mut crate::counterpart::process::Running),
) -> Run {
    let mut running = splunkd.start(reading);
    assert!(reading == Reading::Stalled || running.wait_for_output(bytes));
    end(&mut running);
    running.finish()
}

#[test]
fn two_hundred_thousand_records_outlive_kills_stops_closed_pipes_and_links_that_end() {
    let hub = Hub::start(Settings {
        records: Some(0),
        partitions: PARTITIONS,
        ..Settings::default()
    });
    publish(&hub, 0..RECORDS / 2);
    let ends = || {
        [
            End::Link("com.microsoft:server-busy".to_owned()),
            End::Link("amqp:link:detach-forced".to_owned()),
            End::Socket,
            End::Connection("amqp:connection:forced".to_owned()),
            End::Link("com.microsoft:timeout".to_owned()),
        ]
    };
    let slow = Reading::Slow {
        bytes: 64 << 10,
        pause: Duration::from_millis(1),
    };
    let splunkd = hub.splunkd(&[]);
    let mut tally = Tally(vec![0; RECORDS]);
    let clean = [0; PARTITIONS];
    // Nothing comes twice but behind a kill and behind a reader that went away.
    let run = until(&splunkd, Reading::Steady, 1 << 20, |run| run.terminate());
    assert_eq!(tally.add(&run), clean);
    let run = until(&splunkd, Reading::Steady, 3 << 20, |run| run.kill());
    assert_eq!(tally.add(&run), clean);
    hub.hub().end_receivers_after(3, ends());
    let run = until(&splunkd, slow, 3 << 20, |run| run.kill());
    let behind_a_kill = tally.add(&run);
    let run = until(&splunkd, Reading::Stalled, 0, |run| run.hang_up());
    let behind_another = tally.add(&run);
    publish(&hub, RECORDS / 2..RECORDS);
    hub.hub().end_receivers_after(5, ends());
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    let behind_a_closed_pipe = tally.add(&run);

    let lost = tally.0.iter().filter(|count| **count == 0).count();
    assert_eq!(lost, 0, "records are lost");
    for again in [behind_a_kill, behind_another, behind_a_closed_pipe] {
        assert!(again.iter().all(|bytes| *bytes <= BATCH), "{again:?}");
    }
    assert!(sum(&run, "reconnects") >= 5, "{}", run.stderr);
}

#[test]
fn thirty_two_partitions_are_read_over_one_connection() {
    let hub = Hub::start(Settings {
        records: Some(3_200),
        batching: Batching::Records(10),
        partitions: 32,
        ..Settings::default()
    });
    let splunkd = hub.splunkd(&[]);
    let mut running = splunkd.start(Reading::Steady);
    assert!(running.wait_until(|| hub.is_caught_up(&splunkd)));
    assert_eq!(hub.hub().receivers().len(), 32);
    assert_eq!(hub.hub().stats().opened, 1);
    running.terminate();
    let run = running.finish().well();
    assert_eq!(came(&run), hub.wanted());
    assert_eq!(sum(&run, "records"), 3_200);
}
