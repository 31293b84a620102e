//! Sends one event shaped like an outcome, the way outcomes are sent, and finds it again.
//! Its sourcetype is its own, so that ledger, undo, searches and pages do not take it
//! for an outcome. It is as long as a long alert, and the fields of alerts are read out
//! of its end.

use super::{Found, Outcome, Row, SelfTest};
use crate::bridge::verdict::job;
use crate::splunk::sourcetype;
use crate::splunk::splunkd::{Addressing, Search, SplunkdError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

pub const CONTRACTS: [&str; 2] = ["canary: event", "canary: fields"];
/// How long it may take until the event is found.
const FOUND: Duration = Duration::from_secs(20);
pub const WITHIN: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes: more than Splunk's own JSON extraction reads, and than most alerts have.
const SIZE: usize = 40_000;

const DEST: &str = "canary-device.example";
const USER: &str = "canary@canary.example";
const MARKER: &str = "0c0ffee0";

/// The event's text: the time comes first, the fields to be read out of it last.
pub fn text(time: jiff::Timestamp, id: &str) -> String {
    let ticks = time.subsec_nanosecond() / 100;
    let at = time.strftime("%Y-%m-%dT%H:%M:%S");
    let padding = "canary ".repeat(SIZE / 7);
    let rest = json!([
        {"@odata.type": "#microsoft.graph.security.deviceEvidence", "deviceDnsName": DEST},
        {"@odata.type": "#microsoft.graph.security.userEvidence", "userAccount": {"userPrincipalName": USER}},
        {"comment": format!("canary [splunk:{MARKER}]"), "createdBy": "canary"},
    ]);
    format!(
        r#"{{"time":"{at}.{ticks:07}Z","action":"selftest","outcome":"selftest","canary":"{id}","padding":"{padding}","evidence":{rest}}}"#
    )
}

pub async fn rows(test: &SelfTest<'_>) -> Found {
    let [event, fields] = CONTRACTS;
    let index = match &test.settings {
        Ok(settings) => settings.outcome_index(),
        Err(_) => None,
    };
    let host = test.splunkd.server_info().await?.server_name;
    let host = Some(host).filter(|host| !host.is_empty());
    let (id, now) = (job::batch(None), jiff::Timestamp::now());
    let addressing = Addressing {
        index: index.as_deref(),
        sourcetype: sourcetype::SELFTEST,
        source: "defender_bridge:selftest",
        host: host.as_deref(),
    };
    let begun = Instant::now();
    test.splunkd
        .receive(addressing, text(now, &id).into())
        .await?;
    let lost = |why: &str| {
        CONTRACTS.map(|contract| {
            Row::new(contract, Outcome::Unexpected)
                .found(why)
                .expected("found again within 20 s")
                .what_to_do("splunkd took the event and it is in no index this user searches: look at [triage] index, at forwarding (outputs.conf) and its queues")
        })
    };
    let found = match find(test, &id, begun).await? {
        None => return Ok(lost("splunkd took it; it was not found within 20 s").into()),
        Some(found) => found,
    };
    let after = begun.elapsed().as_millis();
    let one = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or_default();
    let sent = f64::from(i32::try_from(now.as_second()).unwrap_or_default())
        + f64::from(now.subsec_nanosecond() / 100) / 1e7;
    let off = one("at").trim().parse().map(|at: f64| (at - sent).abs());
    let timely = off.as_ref().is_ok_and(|off| *off < 0.002);
    let same = |found: &str, sent: Option<&str>| sent.is_none_or(|sent| sent == found);
    let words = [
        (
            "index as configured",
            index.as_deref().is_none_or(|index| index == one("index")),
        ),
        ("host as sent", same(one("host"), host.as_deref())),
        (
            "sourcetype as sent",
            one("sourcetype") == sourcetype::SELFTEST,
        ),
        ("_time of 7 digits", timely),
    ];
    let judged: Vec<String> = words
        .iter()
        .map(|(word, well)| format!("{word}: {}", if *well { "yes" } else { "no" }))
        .collect();
    let off = off.map_or("not known".to_owned(), |off| format!("{off:.6} s off"));
    let first = Row::judged(event, words.iter().all(|(_, well)| *well))
        .found(format!("found after {after} ms; {}; _time {off}; [triage] index set: {}", judged.join(", "), if index.is_some() { "yes" } else { "no" }))
        .expected("index, host and sourcetype as sent, _time less than 0.002 s off")
        .what_to_do("outcomes land elsewhere than pages and undo look for them: see [triage] index, and props.conf of other apps");
    let wanted = [
        ("dest", DEST),
        ("user", USER),
        ("defender_bridge_marker", MARKER),
    ];
    let seen = wanted.map(|(field, value)| (field, one(field) == value));
    let judged = seen.map(|(field, well)| format!("{field}: {}", if well { "yes" } else { "no" }));
    let size = SIZE / 1000;
    let second = Row::judged(fields, seen.iter().all(|(_, well)| *well))
        .found(format!("{} out of {size} kB", judged.join(", ")))
        .expected("dest, user and defender_bridge_marker are read out of the end of a long event")
        .what_to_do("long alerts lose fields here: look at limits.conf and transforms.conf (MATCH_LIMIT, DEPTH_LIMIT) of other apps");
    Ok(vec![first, second])
}

async fn find(
    test: &SelfTest<'_>,
    id: &str,
    begun: Instant,
) -> Result<Option<BTreeMap<String, Value>>, SplunkdError> {
    let text = format!(
        "search index=* sourcetype=\"{}\" source=\"defender_bridge:selftest\" \"{id}\" | head 1 \
         | eval at=printf(\"%.7f\", _time) | table index host sourcetype at dest user defender_bridge_marker",
        sourcetype::SELFTEST
    );
    let search = Search {
        what: "find the canary event again",
        user: test.user,
        text: &text,
        earliest: "-15m",
        latest: "+15m",
    };
    loop {
        let left = FOUND.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        let rows = test.splunkd.rows(search, left).await?;
        if let Some(found) = rows.into_iter().next() {
            return Ok(Some(found));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
