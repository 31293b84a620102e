//! What cannot be right is said in one line with stanza, cause and remedy, before it is
//! saved and when it runs; no position moves.

use super::hub::Hub;
use super::tenant::ACCOUNT;
use crate::counterpart::Splunkd;
use crate::counterpart::process::Reading;
use crate::counterpart::proxy::Proxy;
use aws_lc_rs::hmac;
use base64::Engine;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

const STANZA: &str = "defender_bridge://feed";

#[track_caller]
pub fn refused(splunkd: &Splunkd, words: &[&str]) {
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
    untouched(splunkd, &before);
    validation_refuses(splunkd, words);
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

#[track_caller]
fn untouched(splunkd: &Splunkd, before: &Files) {
    let after = splunkd.checkpoints();
    for (path, content) in before {
        assert_eq!(after.get(path), Some(content), "{path:?} was touched");
    }
}

#[track_caller]
pub fn validation_refuses(splunkd: &Splunkd, words: &[&str]) {
    let validated = splunkd.validate();
    assert_eq!(validated.code(), Some(1), "{}", validated.text());
    let text = validated.text().to_lowercase();
    for word in words {
        assert!(text.contains(&word.to_lowercase()), "`{word}` in: {text}");
    }
}

/// What may pass ends no run: it says so once, tries again, and tells since when.
#[track_caller]
pub fn tried_again(splunkd: &Splunkd, words: &[&str]) {
    let before = splunkd.checkpoints();
    let mut running = splunkd.start(Reading::Steady);
    let is_warned = || {
        let log = splunkd.log_file("defender_bridge.log");
        log.lines().any(|line| line.contains(" WARN "))
    };
    assert!(running.wait_until(is_warned), "it ended");
    validation_refuses(splunkd, words);
    running.terminate();
    let run = running.finish().well();
    let warnings = run.lines("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    for word in [&[STANZA, "tried again"], words].concat() {
        assert!(
            warnings[0].to_lowercase().contains(&word.to_lowercase()),
            "`{word}` in: {}",
            warnings[0]
        );
    }
    let health = run.health().last().unwrap().json();
    assert_eq!(health["outcome"], "error");
    assert!(health["failing_since"].is_string(), "{health}");
    let error = health["error"].as_str().unwrap().to_lowercase();
    for word in words {
        assert!(error.contains(&word.to_lowercase()), "`{word}` in: {error}");
    }
    assert_eq!(run.events(), []);
    untouched(splunkd, &before);
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
fn who_may_not_receive_is_told_the_role() {
    let hub = Hub::of(20, 2);
    let with = well_run(&hub);
    hub.hub().take_role(hub.tenant().client_id());
    refused(&with(&[]), &["Azure Event Hubs Data Receiver"]);
}

#[test]
fn a_secret_that_has_expired_is_told_so() {
    let hub = Hub::of(20, 2);
    let splunkd = hub.splunkd(&[]);
    let (id, secret) = hub.tenant().expired();
    splunkd.set("account", ACCOUNT, "client_id", id);
    splunkd.set_password(ACCOUNT, secret);
    refused(&splunkd, &["AADSTS7000222", "create a new one"]);
}

/// As somebody makes one for an hour, by a clock.
fn signature(hub: &Hub, expires: u64) -> String {
    let hub = hub.hub();
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let [_, (name, key), _] = hub.policies();
    let place = encoded(&format!("sb://{}/{}", hub.namespace(), hub.name()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signed = hmac::sign(&key, format!("{place}\n{expires}").as_bytes());
    let signed = encoded(&base64::engine::general_purpose::STANDARD.encode(signed));
    format!(
        "Endpoint=sb://{}/;EntityPath={};SharedAccessSignature=SharedAccessSignature \
         sr={place}&sig={signed}&se={expires}&skn={name}",
        hub.namespace(),
        hub.name()
    )
}

#[test]
fn a_signature_that_ended_by_the_hubs_clock_is_told_so() {
    let hub = Hub::of(20, 2);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    let splunkd = hub.splunkd_with_string(&[]);
    splunkd.set_password(ACCOUNT, &signature(&hub, now + 3600));
    hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    // What a clock an hour behind calls good for an hour has ended.
    splunkd.set_password(ACCOUNT, &signature(&hub, now - 1));
    refused(&splunkd, &["clock", "NTP", "made anew"]);
}

/// A port of this machine where nobody listens.
pub fn nobody() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Answers everybody with these bytes, or not at all.
fn stranger(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for caller in listener.incoming() {
            let mut caller: TcpStream = caller.unwrap();
            let mut asked = [0; 4096];
            if !answer.is_empty() && caller.read(&mut asked).is_ok_and(|bytes| bytes > 0) {
                caller.write_all(answer.as_bytes()).ok();
            }
            kept.push(caller);
        }
    });
    port
}

#[test]
fn what_stands_in_the_way_is_told_with_what_to_do() {
    let hub = Hub::of(20, 2);
    let with = well_run(&hub);
    let firewall = "let the firewall pass TCP 5671";
    let refusing = format!("127.0.0.1:{}", nobody());
    let silent = format!("127.0.0.1:{}", stranger(""));
    for (namespace, words) in [
        (
            "no-such-namespace.invalid:5671",
            &["no-such-namespace.invalid", "cannot be resolved", "DNS"][..],
        ),
        (&refusing, &[&refusing, "refused", firewall]),
        (&silent, &[&silent, "no answer in time", firewall]),
    ] {
        tried_again(&with(&[("event_hub_namespace", namespace)]), words);
    }
}

#[test]
fn a_proxy_that_refuses_is_told_with_what_to_do() {
    let hub = Hub::of(20, 2);
    let port = hub.hub().namespace().rsplit_once(':').unwrap().1;
    let proxy = Proxy::start(port.parse().unwrap(), "splunk", "right");
    let through = |url: &str, password: &str| {
        let splunkd = hub.splunkd_with_string(&[]);
        splunkd.set("settings", "proxy", "url", url);
        splunkd.set("settings", "proxy", "username", "splunk");
        splunkd.set_password("proxy", password);
        splunkd
    };
    let splunkd = through(&proxy.url(), "right");
    hub.follow(&splunkd, splunkd.start(Reading::Steady)).well();
    splunkd.set_password("proxy", "wrong");
    refused(&splunkd, &["proxy", "407", "username and password"]);

    let forbidden = stranger("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let splunkd = through(&format!("http://127.0.0.1:{forbidden}"), "right");
    refused(
        &splunkd,
        &["proxy", "403", "let the proxy allow CONNECT", "websocket"],
    );
    let gateway = stranger("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    let splunkd = through(&format!("http://127.0.0.1:{gateway}"), "right");
    tried_again(&splunkd, &["proxy", "502", "let the proxy allow CONNECT"]);
    let splunkd = through(&format!("http://127.0.0.1:{}", nobody()), "right");
    tried_again(&splunkd, &["through proxy", "refused", "set the proxy"]);
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
