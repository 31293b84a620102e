//! Pages shorter than asked for are not the end, and a refused `$top` is not either.

use crate::counterpart::index::Arrivals;
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Splunkd, Tenant};

#[test]
fn pages_clamped_to_seven_in_silence_are_all_read() {
    for feed in [Feed::GraphAlerts, Feed::MdeAlerts] {
        let objects = recent(feed, 160);
        let tenant = Tenant::holding(feed, objects.clone());
        tenant.rules(|rules| rules.clamp = Some(7));
        let run = Splunkd::reading(&tenant, feed).run().well();
        Arrivals::of(&run).are_exactly(&objects);
    }
}

#[test]
fn a_refused_page_size_is_lowered_to_what_the_service_names() {
    for feed in Feed::ALL {
        let objects = recent(feed, 130);
        let tenant = Tenant::holding(feed, objects.clone());
        tenant.rules(|rules| rules.refuse_top = Some(20));
        let splunkd = Splunkd::reading(&tenant, feed);
        let run = splunkd.run();
        assert_eq!(run.code(), Some(0), "{}", run.stderr);
        Arrivals::of(&run).are_exactly(&objects);
        let refused = tenant
            .calls()
            .iter()
            .filter(|call| call.status == 400)
            .count();
        assert!(refused <= 3, "{refused} refused calls");
    }
}

#[test]
fn documented_page_sizes_are_never_exceeded() {
    for (feed, most) in [
        (Feed::GraphAlerts, 1000),
        (Feed::GraphIncidents, 50),
        (Feed::XdrIncidents, 100),
    ] {
        let tenant = Tenant::holding(feed, recent(feed, 220));
        Splunkd::reading(&tenant, feed).run().well();
        assert!(!tenant.list_calls().is_empty());
        for call in tenant.list_calls() {
            assert_eq!(call.status, 200, "{}", call.target);
            let top: usize = call.query.get("$top").map_or(0, |top| top.parse().unwrap());
            assert!(top <= most, "{}", call.target);
        }
    }
}

#[test]
fn a_page_size_learnt_is_not_asked_beyond_by_every_call() {
    let feed = Feed::GraphIncidents;
    let objects = recent(feed, 200);
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.rules(|rules| rules.clamp = Some(10));
    let run = Splunkd::reading(&tenant, feed).run().well();
    Arrivals::of(&run).are_exactly(&objects);
    let calls = tenant.list_calls().len();
    assert!(calls <= 50, "{calls} calls for 20 pages");
}
