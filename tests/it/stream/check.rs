//! The connection test knows streams: those that inputs read, and one that none reads yet.

use super::hub::Hub;
use super::tenant::ACCOUNT;
use crate::counterpart::Splunkd;
use crate::counterpart::chunked::{Search, search};
use crate::counterpart::process::Reading;
use crate::counterpart::splunkd::ANALYST_KEY;
use std::collections::BTreeMap;

type Rows = Vec<BTreeMap<String, String>>;

fn rows(splunkd: &Splunkd, arguments: &[&str]) -> Rows {
    let (answers, run) = search("defendercheck", arguments).run(splunkd, &[""]);
    run.well();
    answers[0].rows.clone()
}

#[track_caller]
fn row<'r>(rows: &'r Rows, check: &str) -> &'r BTreeMap<String, String> {
    rows.iter()
        .find(|row| row["check"] == check)
        .unwrap_or_else(|| panic!("{check} in {rows:?}"))
}

#[test]
fn the_streams_of_an_account_are_checked_with_it_and_alone() {
    let hub = Hub::of(60, 2);
    let splunkd = hub.splunkd(&[]).showing_inputs();
    hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    let all = rows(&splunkd, &["account=contoso"]);
    assert_eq!(row(&all, "permission to read alerts")["input"], "");
    let alone = rows(&splunkd, &["input=feed"]);
    assert!(alone.iter().all(|row| row["input"] == "feed"), "{alone:?}");
    for found in [all, alone] {
        let partition = row(&found, "partition 1");
        assert_eq!(
            (
                &*partition["account"],
                &*partition["input"],
                &*partition["state"]
            ),
            (ACCOUNT, "feed", "ok")
        );
        assert!(partition["finding"].contains(" 0 wait"), "{partition:?}");
        assert_eq!(row(&found, "tables")["state"], "ok");
    }
    let (answers, run) = search("defendercheck", &["input=nobody"]).run(&splunkd, &[""]);
    assert_eq!(run.code(), Some(1));
    assert!(answers[0].messages().join(" ").contains("nobody"));
}

#[test]
fn a_stream_is_checked_before_there_is_an_input_for_it() {
    let hub = Hub::of(60, 2);
    let splunkd = hub.splunkd(&[]);
    let namespace = format!("event_hub_namespace={}", hub.hub().namespace());
    let name = format!("event_hub={}", hub.hub().name());
    let settings = ["account=contoso", "feed=event_hub", &namespace, &name];
    let found = rows(&splunkd, &settings);
    assert_eq!(row(&found, "consumer group")["state"], "ok");
    let group = rows(
        &splunkd,
        &[&settings[..], &["consumer_group=other"]].concat(),
    );
    let group = row(&group, "consumer group");
    assert_eq!(group["state"], "failed");
    assert!(group["remedy"].contains("consumer_group"), "{group:?}");
    // Where a secret goes is for those to say who may read it.
    let analyst = Search {
        key: ANALYST_KEY,
        ..search("defendercheck", &settings)
    };
    let opened = hub.hub().stats().opened;
    let (answers, _) = analyst.run(&splunkd, &[""]);
    let found = &answers[0].rows;
    assert_eq!(row(found, "account")["state"], "failed", "{found:?}");
    assert!(row(found, "account")["remedy"].contains("list_storage_passwords"));
    assert_eq!(hub.hub().stats().opened, opened);
    for (argument, word) in [("tables=a/b", "tables"), ("input=feed", "input")] {
        let arguments = [&settings[..], &[argument]].concat();
        let (_, run) = search("defendercheck", &arguments).run(&splunkd, &[""]);
        assert!(run.refusal().contains(word), "{}", run.stderr);
    }
}
