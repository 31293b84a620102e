//! kill -9 at any instant loses nothing; what it doubles is at most a page.

use crate::counterpart::index::Arrivals;
use crate::counterpart::objects::Dice;
use crate::counterpart::process::Reading;
use crate::counterpart::tenant::Turn;
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Splunkd, Tenant};
use std::time::Duration;

/// Kills run after run where the dice say, then lets one end; tells the doubles per kill.
fn killed_again_and_again(seed: u64, feed: Feed, page: usize) {
    let objects = recent(feed, page * 12);
    let bytes: usize = objects.iter().map(|object| object.text.len()).sum();
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.rules(|rules| rules.clamp = Some(page));
    // As far away as Microsoft is, so that a run lives long enough to be killed.
    tenant.before_each_list(|_, _| {
        std::thread::sleep(Duration::from_millis(25));
        Turn::Serve
    });
    let splunkd = Splunkd::reading(&tenant, feed);
    let mut dice = Dice::new(seed);
    let mut arrivals = Arrivals::default();
    let mut kills = 0;
    for _ in 0..8 {
        let mut running = splunkd.start(Reading::Slow {
            bytes: 16 << 10,
            pause: Duration::from_micros(200),
        });
        let alive = match dice.below(3) {
            0 => running.wait_for_output(dice.below(bytes / 2)),
            1 => {
                let calls = tenant.calls().len() + 1 + dice.below(6);
                running.wait_until(|| tenant.calls().len() >= calls)
            }
            _ => {
                std::thread::sleep(Duration::from_millis(dice.below(250) as u64));
                !running.has_ended()
            }
        };
        if alive {
            running.kill();
            kills += 1;
        }
        arrivals.take(&running.finish().events());
    }
    assert!(
        kills > 0,
        "seed {seed}: no run lived long enough to be killed"
    );
    let last = splunkd.run().well();
    arrivals.take(&last.events());
    let doubles = arrivals.hold_all(&objects);
    assert!(
        doubles <= kills * page,
        "seed {seed}: {doubles} doubles after {kills} kills with pages of {page}"
    );
    assert_eq!(splunkd.run().well().events(), [], "seed {seed}");
}

#[test]
fn alerts_survive_kills_at_random_instants() {
    for seed in [1, 2, 3] {
        killed_again_and_again(seed, Feed::GraphAlerts, 60);
    }
}

#[test]
fn incidents_survive_kills_at_random_instants() {
    killed_again_and_again(4, Feed::GraphIncidents, 25);
}

#[test]
fn a_run_killed_before_its_first_page_leaves_nothing_behind_that_hurts() {
    let feed = Feed::GraphAlerts;
    let objects = recent(feed, 30);
    let tenant = Tenant::holding(feed, objects.clone());
    let splunkd = Splunkd::reading(&tenant, feed);
    for _ in 0..3 {
        let mut running = splunkd.start(Reading::Steady);
        running.kill();
        assert_eq!(running.finish().events(), []);
    }
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
}

#[test]
fn a_half_written_checkpoint_beside_the_whole_one_does_no_harm() {
    let feed = Feed::GraphAlerts;
    let objects = recent(feed, 30);
    let tenant = Tenant::holding(feed, objects.clone());
    let splunkd = Splunkd::reading(&tenant, feed);
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    // What a crash between writing and renaming leaves.
    for name in [".tmpAb12Cd", "feed.tmp"] {
        std::fs::write(splunkd.checkpoint_dir().join(name), r#"{"version":1,"wat"#).unwrap();
    }
    assert_eq!(splunkd.run().well().events(), []);
}
