//! An answer that is not whole is read again, and the checkpoint waits for it.

use crate::counterpart::index::Arrivals;
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Splunkd, Tenant, Turn};

const FEED: Feed = Feed::GraphAlerts;

/// All objects arrive once, though call number `number` goes wrong.
fn comes_whole_after(turn: Turn) {
    for number in [0, 2] {
        let objects = recent(FEED, 180);
        let tenant = Tenant::holding(FEED, objects.clone());
        tenant.rules(|rules| rules.clamp = Some(60));
        let wrong = turn.clone();
        tenant.before_each_list(move |listing, _| match listing.before == number {
            true => wrong.clone(),
            false => Turn::Serve,
        });
        let splunkd = Splunkd::reading(&tenant, FEED);
        let mut arrivals = Arrivals::of(&splunkd.run());
        arrivals.take(&splunkd.run().well().events());
        arrivals.are_exactly(&objects);
    }
}

#[test]
fn a_partial_answer_loses_nothing() {
    comes_whole_after(Turn::Partial);
}

#[test]
fn an_answer_with_a_warning_loses_nothing() {
    comes_whole_after(Turn::Warned);
}

#[test]
fn a_connection_cut_in_the_middle_loses_nothing() {
    comes_whole_after(Turn::CutConnection);
}

#[test]
fn json_cut_in_the_middle_loses_nothing() {
    comes_whole_after(Turn::CutText);
}

#[test]
fn a_passing_500_or_503_loses_nothing() {
    comes_whole_after(Turn::Fail(500, None));
    comes_whole_after(Turn::Fail(503, Some(1)));
}

#[test]
fn an_answer_that_stays_partial_is_told_and_comes_when_it_heals() {
    let objects = recent(FEED, 90);
    let tenant = Tenant::holding(FEED, objects.clone());
    tenant.before_each_list(|_, _| Turn::Partial);
    let splunkd = Splunkd::reading(&tenant, FEED);
    let run = splunkd.run();
    assert!(
        !run.lines("WARN").is_empty() || !run.lines("ERROR").is_empty(),
        "a lasting partial answer is told:\n{}",
        run.stderr
    );
    let mut arrivals = Arrivals::of(&run);
    tenant.before_each_list(|_, _| Turn::Serve);
    arrivals.take(&splunkd.run().events());
    arrivals.are_exactly(&objects);
}

#[test]
fn a_body_beyond_the_cap_is_refused_and_asked_for_in_halves() {
    let objects = recent(FEED, 48);
    let tenant = Tenant::holding(FEED, objects.clone());
    tenant.before_each_list(|listing, _| match listing.ids.len() > 20 {
        true => Turn::Padded(70 << 20),
        false => Turn::Serve,
    });
    let run = Splunkd::reading(&tenant, FEED).run();
    Arrivals::of(&run).are_exactly(&objects);
}

#[test]
fn an_answer_in_slow_pieces_is_waited_for() {
    let objects = recent(FEED, 40);
    let tenant = Tenant::holding(FEED, objects.clone());
    tenant.before_each_list(|_, _| Turn::Slow(std::time::Duration::from_millis(20)));
    Arrivals::of(&Splunkd::reading(&tenant, FEED).run().well()).are_exactly(&objects);
}
