//! kill -9 at any instant of an alert action, then the same action again: every
//! row ends well, nothing is doubled, comments least of all, and every outcome
//! that was written down reaches the index.

use crate::counterpart::queue::{
    at_work, comments, decided, is_closed, ledger, open, outcomes, rows, verdict,
};
use crate::counterpart::tenant::Call;
use crate::counterpart::{Feed, Splunkd, Tenant, Turn};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ROWS: usize = 60;

struct Scene {
    feed: Feed,
    tenant: Tenant,
    splunkd: Splunkd,
    rows: Vec<Vec<String>>,
}

impl Scene {
    fn of(feed: Feed) -> Self {
        let objects = open(feed, ROWS);
        let (tenant, splunkd) = at_work(feed, &objects);
        Self {
            feed,
            tenant,
            splunkd,
            rows: rows(&objects),
        }
    }

    /// Kills the action as soon as the tenant has carried out such a call, which
    /// it never answers; nothing that was sent beside it is carried out.
    #[track_caller]
    fn killed_at(&self, mut call: impl FnMut(&Call) -> bool + Send + 'static) {
        let come = Arc::new(AtomicBool::new(false));
        let shared = come.clone();
        self.tenant.after_each_call(move |asked| {
            if !call(asked) {
                return Turn::Serve;
            }
            shared.store(true, Ordering::SeqCst);
            Turn::Outage
        });
        self.killed_when(|| come.load(Ordering::SeqCst));
        self.tenant.after_each_call(|_| Turn::Serve);
        self.tenant.recover();
    }

    #[track_caller]
    fn killed_when(&self, happened: impl Fn() -> bool) {
        let form = verdict(self.feed);
        let action = decided(self.feed, &form, &self.rows);
        let mut running = self.splunkd.start_alert(&action);
        assert!(running.wait_until(happened), "it ended before that");
        running.kill();
        running.finish();
    }

    /// The same action again brings all of it to its end.
    #[track_caller]
    fn ends_well(&self) {
        let before = outcomes(&ledger(&self.splunkd));
        self.splunkd.forget();
        let form = verdict(self.feed);
        let run = self.splunkd.alert(&decided(self.feed, &form, &self.rows));
        assert_eq!(run.code(), Some(0), "{}", run.stderr);
        let after = outcomes(&ledger(&self.splunkd));
        assert_eq!(after.len(), ROWS);
        for (key, outcome) in &after {
            // What was written down before was true.
            let expected = match before.get(key) {
                Some(_) => ["unchanged"].as_slice(),
                None => &["updated", "unchanged"],
            };
            assert!(expected.contains(&outcome.as_str()), "{key:?} {outcome}");
        }
        self.stands();
    }

    #[track_caller]
    fn stands(&self) {
        for id in self.rows.iter().map(|row| &row[0]) {
            assert!(is_closed(&self.tenant, self.feed, id), "{id}");
            assert_eq!(comments(&self.tenant, self.feed, id), 1, "{id}");
        }
    }
}

fn comments_on(call: &Call) -> bool {
    let parts = call.parts();
    let mut comments = parts.iter().filter(|(_, path)| path.ends_with("/comments"));
    comments.next().is_some()
}

fn sets_fields(call: &Call) -> bool {
    call.writes() && !comments_on(call)
}

fn signs_in(call: &Call) -> bool {
    call.path.contains("/oauth2/")
}

/// A kill of each kind, feed by feed: each waits until Defender shows what was written, and none waits for another.
macro_rules! killed {
    ($($feed:ident as $name:ident: $($when:ident)+;)+) => {$(
        mod $name {
            use crate::counterpart::Feed;
            $(
                #[test]
                fn $when() {
                    super::$when(Feed::$feed);
                }
            )+
        }
    )+};
}

killed! {
    GraphAlerts as graph_alerts:
        before_the_first_write after_the_first_write after_the_first_comments
        between_the_comments_and_the_look_back between_two_outcomes;
    GraphIncidents as graph_incidents: after_the_first_write after_the_first_comments;
    MdeAlerts as endpoint_alerts:
        before_the_first_write after_the_first_write between_the_comments_and_the_look_back
        between_two_outcomes;
    XdrIncidents as xdr_incidents: after_the_first_write;
}

fn before_the_first_write(feed: Feed) {
    let scene = Scene::of(feed);
    scene.killed_at(|call| !signs_in(call) && !call.writes());
    assert_eq!(scene.tenant.write_calls().len(), 0);
    scene.ends_well();
}

fn after_the_first_write(feed: Feed) {
    let scene = Scene::of(feed);
    scene.killed_at(sets_fields);
    scene.ends_well();
}

fn after_the_first_comments(feed: Feed) {
    let scene = Scene::of(feed);
    scene.killed_at(comments_on);
    scene.ends_well();
}

fn between_the_comments_and_the_look_back(feed: Feed) {
    let scene = Scene::of(feed);
    let mut written = false;
    scene.killed_at(move |call| {
        written |= comments_on(call) || (feed == Feed::MdeAlerts && call.writes());
        written && !call.writes()
    });
    scene.ends_well();
}

#[test]
fn before_its_comments_show() {
    let scene = Scene::of(Feed::GraphAlerts);
    scene
        .tenant
        .rules(|rules| rules.lag = Duration::from_secs(8));
    scene.killed_at(comments_on);
    scene.ends_well();
}

fn between_two_outcomes(feed: Feed) {
    let scene = Scene::of(feed);
    scene.splunkd.stall_receivers_after(ROWS / 3);
    scene.killed_when(|| scene.splunkd.indexed().len() == ROWS / 3);
    scene.splunkd.mend_receivers();
    scene.ends_well();
}

#[test]
fn again_and_again() {
    let scene = Scene::of(Feed::GraphAlerts);
    for written in [sets_fields as fn(&Call) -> bool, comments_on, comments_on] {
        scene.killed_at(written);
    }
    scene.ends_well();
}

#[test]
fn outcomes_kept_by_a_killed_run_are_handed_over_by_the_next() {
    let scene = Scene::of(Feed::GraphAlerts);
    scene.splunkd.fail_receivers(403);
    // Outcomes are kept within a moment: where the kill finds it at its end, all are there.
    let form = verdict(scene.feed);
    let action = decided(scene.feed, &form, &scene.rows);
    let mut running = scene.splunkd.start_alert(&action);
    running.wait_until(|| scene.splunkd.spooled().len() >= ROWS / 3);
    running.kill();
    running.finish();
    let kept = scene.splunkd.spooled();
    assert!(kept.len() >= ROWS / 3, "only {}", kept.len());
    assert_eq!(ledger(&scene.splunkd).len(), 0);

    scene.splunkd.mend_receivers();
    scene.splunkd.forget();
    let run = scene.splunkd.alert(&action);
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    scene.stands();
    assert_eq!(scene.splunkd.spooled(), [""; 0]);

    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for got in scene.splunkd.indexed() {
        for line in got.body.lines() {
            *taken.entry(line.to_owned()).or_default() += 1;
        }
    }
    for line in &kept {
        assert_eq!(taken.remove(line), Some(1), "{line}");
    }
    // The rest is the second run's own: one for each row.
    assert_eq!(taken.len(), ROWS);
    assert!(taken.values().all(|times| *times == 1));
}
