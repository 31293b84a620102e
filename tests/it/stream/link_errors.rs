//! Whatever ends a link, a connection or a token while a hub is read: no record is lost and none
//! comes twice, and the health events say how often it happened.

use super::hub::{Counts, Hub, came, sum, take};
use crate::counterpart::process::{Reading, Run};
use defender_bridge::sandbox;
use defender_bridge::sandbox::event_hub::{Batching, End, Settings, Times};
use std::time::Duration;

/// A hub whose partitions have some hundred messages each.
fn hub(partitions: usize) -> Settings {
    Settings {
        records: Some(2_000),
        batching: Batching::Records(5),
        partitions,
        ..Settings::default()
    }
}

fn link(condition: &str) -> End {
    End::Link(condition.to_owned())
}

/// Each record came once, and the run says how often readers had to be opened anew: more often
/// than the hub saw, where a connection ended before that.
#[track_caller]
fn exact(hub: &Hub, run: &Run) {
    assert_eq!(came(run), hub.wanted());
    let first = u64::try_from(hub.hub().partitions()).unwrap();
    let again = hub.hub().stats().receivers - first;
    assert!(sum(run, "reconnects") >= again, "{}", run.stderr);
}

#[test]
fn whatever_ends_a_link_in_the_middle_of_reading_every_record_arrives_once() {
    let hub = Hub::start(hub(4));
    let forced = End::Connection("amqp:connection:forced".to_owned());
    let ends = [
        link("amqp:unauthorized-access"),
        link("com.microsoft:server-busy"),
        link("com.microsoft:timeout"),
        link("amqp:connection:forced"),
        forced.clone(),
        link("amqp:link:detach-forced"),
        link("com.microsoft:operation-cancelled"),
        End::Socket,
        link("amqp:internal-error"),
        link("amqp:resource-limit-exceeded"),
        link("com.example:unheard-of"),
        forced,
        End::Socket,
    ];
    let count = u64::try_from(ends.len()).unwrap();
    hub.hub().end_receivers_after(3, ends);
    let splunkd = hub.splunkd(&[]);
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    exact(&hub, &run);
    assert!(sum(&run, "reconnects") >= count, "{}", run.stderr);
}

#[test]
fn a_hub_that_is_gone_or_switched_off_ends_the_run_and_the_next_one_goes_on() {
    for (condition, advice) in [
        ("amqp:not-found", "consumer_group"),
        ("com.microsoft:entity-disabled", "Active"),
    ] {
        let hub = Hub::start(hub(2));
        hub.hub().end_receivers_after(3, [link(condition)]);
        let splunkd = hub.splunkd(&[]);
        let run = splunkd.run();
        let line = run.refusal();
        for word in ["defender_bridge://feed", condition, advice] {
            assert!(line.contains(word), "`{word}` in: {line}");
        }
        let mut all = came(&run);
        assert!(!all.is_empty());
        let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
        take(&mut all, &run.events());
        assert_eq!(all, hub.wanted(), "{condition}");
    }
}

#[test]
fn a_hub_that_has_no_time_is_asked_again_and_it_is_told_how_often() {
    let hub = Hub::start(hub(2));
    hub.hub()
        .end_receivers_after(3, [link("com.microsoft:server-busy")]);
    hub.hub()
        .refuse_receivers("com.microsoft:server-busy", Times::Next(2));
    let splunkd = hub.splunkd(&[]);
    let run = hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    assert_eq!(came(&run), hub.wanted());
    assert_eq!(sum(&run, "throttles"), 2, "{}", run.stderr);
    assert_eq!(sum(&run, "reconnects"), 1, "{}", run.stderr);
}

#[test]
fn a_silent_hub_may_end_what_is_idle_and_is_read_on() {
    let hub = Hub::of(20, 2);
    let splunkd = hub.splunkd(&[]);
    let mut running = splunkd.start(Reading::Steady);
    let caught_up = || hub.is_caught_up(&splunkd);
    assert!(running.wait_until(caught_up));
    let hubs = hub.hub();
    let ends: [&dyn Fn() -> usize; 4] = [
        &|| hubs.end_receivers(None, "amqp:link:detach-forced"),
        &|| hubs.close_connections("amqp:connection:forced"),
        &|| hubs.cut_connections(),
        &|| {
            hubs.expire_tokens();
            1
        },
    ];
    for (number, end) in (0..).zip(ends) {
        assert!(running.wait_until(|| hubs.receivers().len() == 2));
        assert!(end() > 0);
        hub.one_more(number);
        assert!(running.wait_until(caught_up));
    }
    running.terminate();
    let run = running.finish().well();
    exact(&hub, &run);
}

#[test]
fn tokens_that_end_soon_are_renewed_while_the_links_live() {
    let hub = Hub::in_tenant(sandbox::Settings {
        token_lifetime: Duration::from_secs(4),
        event_hub: Some(hub(2)),
        ..sandbox::Settings::default()
    });
    let splunkd = hub.splunkd(&[]);
    let mut running = splunkd.start(Reading::Steady);
    let before = hub.hub().stats().tokens;
    for renewals in 1..3 {
        assert!(running.wait_until(|| hub.hub().stats().tokens > before + renewals));
        hub.one_more(0);
        assert!(running.wait_until(|| hub.is_caught_up(&splunkd)));
    }
    running.terminate();
    let run = running.finish().well();
    exact(&hub, &run);
}

#[test]
fn the_next_round_reads_partitions_that_another_reader_took_and_such_as_were_added() {
    let hub = Hub::start(hub(2));
    hub.hub().end_receivers_after(3, [link("amqp:link:stolen")]);
    let splunkd = hub.splunkd(&[]);
    let mut running = splunkd.start(Reading::Steady);
    assert!(running.wait_until(|| hub.hub().stats().receivers == 2));
    hub.hub().add_partitions(3);
    hub.one_more(0);
    assert!(running.wait_until(|| hub.is_caught_up(&splunkd)));
    // One round has brought both.
    let questions = hub.hub().stats();
    running.terminate();
    let run = running.finish().well();
    let mut all = Counts::new();
    take(&mut all, &run.events());
    assert_eq!(all, hub.wanted());
    assert_eq!(questions.receivers, 2 + 1 + 3, "{}", run.stderr);
}
