//! What cannot be right is said in one line with stanza, cause and remedy, before it is
//! saved and when it runs; no position moves.

use super::hub::{ACCOUNT, Hub};
use crate::counterpart::Splunkd;
use crate::counterpart::process::Reading;

const STANZA: &str = "defender_bridge://feed";

#[track_caller]
fn refused(splunkd: &Splunkd, words: &[&str]) {
    let before = splunkd.checkpoints();
    let run = splunkd.run();
    let line = run.refusal().to_owned();
    for word in [&[STANZA], words].concat() {
        assert!(
            line.to_lowercase().contains(&word.to_lowercase()),
            "`{word}` in: {line}"
        );
    }
    assert_eq!(run.events(), []);
    let after = splunkd.checkpoints();
    for (path, content) in before {
        assert_eq!(after.get(&path), Some(&content), "{path:?} was touched");
    }
    let validated = splunkd.validate();
    assert_eq!(validated.code(), Some(1), "{}", validated.text());
    let text = validated.text().to_lowercase();
    for word in words {
        assert!(text.contains(&word.to_lowercase()), "`{word}` in: {text}");
    }
}

/// A splunkd whose input has run well once, so that there is a position to spare.
fn well_run<'h>(hub: &'h Hub) -> impl Fn(&[(&str, &str)]) -> Splunkd + 'h {
    let splunkd = hub.splunkd(&[]);
    hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    |more| hub.splunkd(more)
}

#[test]
fn right_settings_are_accepted_after_a_look_at_the_hub() {
    let hub = Hub::of(20, 2);
    for splunkd in [hub.splunkd(&[]), hub.splunkd_with_string(&[])] {
        let run = splunkd.validate();
        assert_eq!(run.code(), Some(0), "{}{}", run.text(), run.stderr);
        assert!(splunkd.checkpoints().is_empty());
    }
}

#[test]
fn what_the_hub_does_not_have_is_refused() {
    let hub = Hub::of(20, 2);
    let with = well_run(&hub);
    refused(&with(&[("event_hub", "other")]), &["other"]);
    refused(&with(&[("consumer_group", "nobody")]), &["nobody"]);
}

#[test]
fn who_may_not_read_is_told_so() {
    let hub = Hub::of(20, 2);
    let splunkd = hub.splunkd(&[]);
    hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    splunkd.set_password(ACCOUNT, "wrong");
    refused(&splunkd, &["AADSTS7000215"]);

    let splunkd = hub.splunkd_with_string(&[]);
    let string = hub.hub().connection_string();
    splunkd.set_password(
        ACCOUNT,
        &string.replace("SharedAccessKey=", "SharedAccessKey=x"),
    );
    refused(&splunkd, &["key"]);
}

#[test]
fn what_does_not_go_together_is_refused_before_anything_is_asked() {
    let hub = Hub::of(20, 2);
    for (more, words) in [
        (&[("tables", "a/b")][..], &["tables", "a/b"][..]),
        (
            &[("event_hub_namespace", "")],
            &["event_hub_namespace", "missing"],
        ),
        (&[("checkpoint", "kvstore")], &["checkpoint", "blob"]),
        (
            &[("checkpoint", "blob")],
            &["checkpoint_container", "missing"],
        ),
        (&[("min_severity", "high")], &["min_severity", "remove"]),
    ] {
        refused(&hub.splunkd(more), words);
    }
    let splunkd = hub.splunkd_with_string(&[("event_hub", "other")]);
    refused(&splunkd, &["event_hub", "connection string"]);
    assert_eq!(hub.hub().stats().opened, 0);
}
