use super::*;
use proptest::prelude::*;

#[test]
fn the_canary_is_as_long_as_a_long_alert_and_its_time_has_seven_digits() {
    let time: jiff::Timestamp = "2026-11-30T00:59:07.1234567Z".parse().unwrap();
    let text = canary::text(time, "0123");
    assert!(text.len() > 40_000, "{}", text.len());
    assert!(text.starts_with(r#"{"time":"2026-11-30T00:59:07.1234567Z","#));
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["canary"], "0123");
    let early: jiff::Timestamp = "2026-11-30T00:59:07.00000009Z".parse().unwrap();
    assert!(canary::text(early, "").starts_with(r#"{"time":"2026-11-30T00:59:07.0000000Z","#));
}

#[test]
fn what_this_app_ships_is_known_by_stanza_and_key() {
    for feed in FEEDS {
        assert_eq!(
            shipped(feed, "EVAL-dest"),
            Some("mvdedup(defender_device)"),
            "{feed}"
        );
    }
    assert_eq!(
        shipped(sourcetype::ALERT, "EVAL-src"),
        Some("mvdedup(defender_source)")
    );
    assert_eq!(shipped(sourcetype::INCIDENT, "EVAL-src"), None);
    assert_eq!(shipped("nothing", "EVAL-src"), None);
    // The canary's sourcetype is set up as that of alerts is.
    for key in [
        "REPORT-defender_bridge_dest",
        "REPORT-defender_bridge_user",
        "REPORT-defender_bridge_marker",
        "EVAL-dest",
        "EVAL-user",
        "KV_MODE",
        "TRUNCATE",
    ] {
        assert!(shipped(sourcetype::ALERT, key).is_some(), "{key}");
        assert_eq!(
            shipped(sourcetype::SELFTEST, key),
            shipped(sourcetype::ALERT, key),
            "{key}"
        );
    }
    assert_eq!(
        shipped(sourcetype::SELFTEST, "TIME_PREFIX"),
        shipped(sourcetype::TRIAGE, "TIME_PREFIX")
    );
}

#[test]
fn what_is_struck_out_stands_in_no_cell_and_parts_of_words_stay() {
    let row = Row::new("alert actions", Outcome::Unexpected)
        .found("admin (admin_all_objects) at sh1.example:8089\nKx7^key")
        .what_to_do("ask admin");
    let struck = [
        ("Kx7^key", "***"),
        ("sh1.example", "<splunkd>"),
        ("admin", "<user>"),
    ];
    let cells = row.cells(&struck);
    assert_eq!(cells[2], "<user> (admin_all_objects) at <splunkd>:8089 ***");
    assert_eq!(cells[4], "ask <user>");
}

proptest! {
    #[test]
    fn whatever_was_found_is_one_bounded_line(found in ".{0,2000}", word in "[a-z^]{1,8}") {
        let cells = Row::new("x", Outcome::Unknown).found(found).cells(&[(&word, "***")]);
        prop_assert!(cells[2].chars().count() <= 700);
        prop_assert!(!cells[2].chars().any(char::is_control));
    }

    #[test]
    fn whatever_the_endpoint_says_of_itself_is_read_or_not(body: Vec<u8>, figures in "[ -~]{0,20}") {
        described(Some(body.into()));
        let rows: Rows = vec![[("off".to_owned(), Value::from(figures))].into()];
        prop_assert!(figure(&rows, "off").is_none_or(f64::is_finite));
    }
}
