//! Lists that lag behind what stands.

use crate::triage::tests::tenant::{Call, Temper, Tenant, row};
use crate::triage::{Outcome, Row, State, Subject};
use std::rc::Rc;

/// An alert whose list still shows an earlier state.
fn lagging(shown: &str, shown_at: &str, stands: &str, stands_at: &str) -> Rc<Tenant> {
    let tenant = Tenant::with([]);
    let state = |status: &str, updated: &str| State {
        status: Some(status.to_owned()),
        updated: Some(updated.to_owned()),
        ..State::default()
    };
    tenant.put("da1", Temper::Listed(0), state(stands, stands_at));
    tenant.lag("da1", state(shown, shown_at), 1);
    tenant
}

const MORNING: &str = "2026-11-21T08:00:00Z";
const NOON: &str = "2026-11-21T12:00:00Z";

#[test]
fn a_list_that_lags_decides_nothing_by_itself() {
    // Resolved in the list, re-opened since.
    let tenant = lagging("resolved", MORNING, "new", NOON);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let (summary, entries) = call.run(&[row(&[("id", "da1")])]).unwrap();
    assert_eq!(summary.rows, [Outcome::Updated]);
    assert_eq!(entries[0].verified, Some(true));
    // A colleague's in the list, given back since.
    let tenant = lagging("inProgress", NOON, "new", "2026-11-21T12:01:00Z");
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let shown = [
        ("id", "da1"),
        ("status", "new"),
        ("lastUpdateTime", MORNING),
    ];
    assert_eq!(call.run(&[row(&shown)]).unwrap().0.rows, [Outcome::Updated]);
}

#[test]
fn a_row_newer_than_the_list_makes_the_alert_itself_be_asked() {
    // The row has seen that it was re-opened; since then somebody has taken it.
    let tenant = lagging("resolved", MORNING, "inProgress", "2026-11-21T12:05:00Z");
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    let shown = [("id", "da1"), ("status", "new"), ("lastUpdateTime", NOON)];
    let (summary, _) = call.run(&[row(&shown)]).unwrap();
    assert_eq!((summary.rows[0], tenant.writes()), (Outcome::Conflict, 0));
    // The list is older, but shows what the row shows: that is enough.
    let tenant = lagging("new", MORNING, "new", NOON);
    let call = Call::new(Subject::Alert, &tenant, &[("status", "resolved")]);
    assert_eq!(call.run(&[row(&shown)]).unwrap().0.rows, [Outcome::Updated]);
    assert_eq!(tenant.reads("da1"), 0);
}

#[test]
fn a_list_is_confirmed_for_some_and_named_for_the_others() {
    let ids: Vec<String> = (1..=80).map(|n| format!("da{n}")).collect();
    let tenant = Tenant::with(ids.iter().map(|id| (id.as_str(), Temper::Listed(0))));
    let call = Call::new(Subject::Alert, &tenant, &[("status", "new")]);
    let rows: Vec<Row> = ids.iter().map(|id| row(&[("id", id)])).collect();
    let (summary, entries) = call.run(&rows).unwrap();
    assert_eq!(summary.rows, [Outcome::Unchanged; 80]);
    let named = entries
        .iter()
        .filter(|entry| entry.message.contains("list"));
    assert_eq!(named.count(), 30);
    let reads: usize = ids.iter().map(|id| tenant.reads(id)).sum();
    assert_eq!(reads, 50);
}
