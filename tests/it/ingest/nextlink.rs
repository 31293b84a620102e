//! A link to the next page is evidence, not a command.

use crate::counterpart::index::Arrivals;
use crate::counterpart::tenant::{NextLink, Stranger, recent};
use crate::counterpart::{Feed, Splunkd, Tenant};

fn all_arrive(feed: Feed, link: NextLink) -> String {
    let objects = recent(feed, 230);
    let tenant = Tenant::holding(feed, objects.clone());
    tenant.rules(|rules| {
        rules.next_link = link;
        rules.clamp = Some(40);
    });
    let run = Splunkd::reading(&tenant, feed).run();
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    Arrivals::of(&run).are_exactly(&objects);
    run.stderr
}

#[test]
fn a_missing_link_is_not_the_end() {
    for feed in Feed::ALL {
        all_arrive(feed, NextLink::Never);
    }
}

#[test]
fn a_link_on_every_full_page_does_not_double_anything() {
    for feed in Feed::ALL {
        all_arrive(feed, NextLink::Always);
    }
}

#[test]
fn an_empty_page_with_a_link_is_not_the_end() {
    for feed in Feed::ALL {
        all_arrive(feed, NextLink::BehindNothing);
    }
}

#[test]
fn a_link_to_another_host_is_never_followed_and_no_token_goes_there() {
    let stranger = Stranger::start();
    all_arrive(Feed::GraphIncidents, NextLink::Foreign(stranger.url()));
    assert_eq!(stranger.got(), [""; 0]);
}
