//! Where splunkd's user may not write files of some size (`ulimit -f`), a run
//! says so and ends as on a full disk, instead of dying of a signal.
#![cfg(unix)]

use crate::counterpart::index::Arrivals;
use crate::counterpart::process::Run;
use crate::counterpart::queue::{ids, new_alerts};
use crate::counterpart::splunkd::{ANALYST_KEY, Alert, SESSION_KEY};
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Splunkd, Tenant};
use std::os::unix::process::ExitStatusExt;

const NOTHING: &str = "ulimit -f 0";

#[track_caller]
fn no_signal(run: &Run) {
    assert_eq!(run.status.signal(), None, "{}", run.stderr);
}

#[test]
fn an_input_that_cannot_keep_its_checkpoint_says_why_and_loses_nothing() {
    let feed = Feed::GraphAlerts;
    let objects = recent(feed, 40);
    let tenant = Tenant::holding(feed, objects.clone());
    for limit in [NOTHING, "ulimit -f 1"] {
        // It cannot be copied either, and goes on in its place.
        let splunkd = Splunkd::reading(&tenant, feed)
            .with_environment("DEFENDER_BRIDGE_IN_PLACE", "0")
            .under(limit);
        let run = splunkd.run();
        no_signal(&run);
        let line = run.refusal().to_owned();
        assert!(line.contains("feed.json"), "{line}");
        assert!(line.contains("ulimit -f"), "{line}");
        let mut arrivals = Arrivals::of(&run);
        let splunkd = splunkd.under(":");
        arrivals.take(&splunkd.run().well().events());
        arrivals.hold_all(&objects);
    }
}

#[test]
fn an_action_carries_out_what_it_can_and_tells_what_it_could_not_keep() {
    for key in [SESSION_KEY, ANALYST_KEY] {
        let (tenant, objects, splunkd) = new_alerts(2);
        let splunkd = splunkd.under(NOTHING).serving();
        let rows: Vec<Vec<String>> = ids(&objects)
            .into_iter()
            .map(|id| vec![id.to_owned()])
            .collect();
        let alert = Alert {
            form: &[("account", "contoso"), ("status", "resolved")],
            header: &["id"],
            rows: &rows,
            session_key: key,
            ..Alert::default()
        };
        let run = splunkd.alert(&alert);
        no_signal(&run);
        assert!(run.stderr.contains("File too large"), "{}", run.stderr);
        for object in &objects {
            let now = tenant.object(Feed::GraphAlerts, &object.id);
            assert_eq!(now["status"], "resolved", "{}", run.stderr);
        }
        assert_eq!(splunkd.indexed().len(), objects.len());
    }
}

#[test]
fn outcomes_that_can_be_neither_indexed_nor_kept_are_said() {
    let (_tenant, objects, splunkd) = new_alerts(1);
    let splunkd = splunkd.under(NOTHING);
    splunkd.fail_receivers(403);
    let alert = Alert {
        form: &[("account", "contoso"), ("status", "resolved")],
        header: &["id"],
        rows: &[vec![ids(&objects)[0].to_owned()]],
        ..Alert::default()
    };
    let run = splunkd.alert(&alert);
    no_signal(&run);
    let spool = |line: &&&str| line.contains("spool") && line.contains("ulimit -f");
    let lines = [run.lines("WARN"), run.lines("ERROR")].concat();
    assert!(lines.iter().filter(spool).count() > 0, "{}", run.stderr);
}
