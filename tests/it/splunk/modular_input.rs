//! Modular inputs as splunkd speaks them.

use crate::counterpart::process::{Reading, Run};
use crate::counterpart::stream::Event;
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Splunkd, Tenant};

const FEED: Feed = Feed::GraphAlerts;

#[test]
fn the_scheme_is_what_splunkd_expects() {
    let run = Splunkd::new().run_arguments(&["--scheme"]);
    assert_eq!(run.code(), Some(0));
    assert_eq!(run.stderr, "");
    insta::assert_snapshot!("scheme", run.text());
}

#[test]
fn the_scheme_is_told_without_reading_stdin() {
    let splunkd = Splunkd::new();
    let mut command = splunkd.command();
    command.arg("--scheme");
    // stdin stays open and silent until the process has ended.
    let run = crate::counterpart::process::start(command, b"", Reading::Steady).finish();
    assert_eq!(run.code(), Some(0));
    assert!(run.text().contains("<streaming_mode>xml</streaming_mode>"));
}

/// The text of the one `<error><message>` a refused validation prints.
#[track_caller]
fn message(run: &Run) -> String {
    assert_eq!(
        run.code(),
        Some(1),
        "stdout: {}\nstderr: {}",
        run.text(),
        run.stderr
    );
    let text = run.text();
    let inner = text
        .trim()
        .strip_prefix("<error><message>")
        .and_then(|text| text.strip_suffix("</message></error>"))
        .unwrap_or_else(|| panic!("no error document: {text}"));
    quick_xml::escape::unescape(inner).unwrap().into_owned()
}

#[test]
fn right_arguments_are_accepted_after_one_real_read() {
    for feed in Feed::ALL {
        let tenant = Tenant::holding(feed, recent(feed, 20));
        let run = Splunkd::reading(&tenant, feed).validate();
        assert_eq!(run.code(), Some(0), "{}{}", run.text(), run.stderr);
        assert_eq!(run.text(), "", "an accepted validation says nothing");
        assert_eq!(
            (tenant.token_calls().len(), tenant.list_calls().len()),
            (1, 1)
        );
    }
}

#[test]
fn an_edit_that_sends_only_what_changes_is_judged_by_that() {
    for (key, value, code) in [
        ("interval", "300", 0),
        ("api", "xdr", 0),
        ("settle", "2m", 0),
        ("settle", "soon", 1),
        ("start", "2999-01-01", 1),
        ("start", "latest", 0),
        ("tables", "AlertInfo, DeviceEvents", 0),
        ("tables", "AlertInfo/DeviceEvents", 1),
        ("transport", "websocket", 0),
        ("storage_account", "Contoso", 1),
    ] {
        let run = Splunkd::new().input("feed", [(key, value)]).validate();
        assert_eq!(run.code(), Some(code), "{key} {value}: {}", run.stderr);
    }
}

#[test]
fn validation_leaves_no_checkpoint() {
    let tenant = Tenant::holding(FEED, recent(FEED, 20));
    let splunkd = Splunkd::reading(&tenant, FEED);
    assert_eq!(splunkd.validate().code(), Some(0));
    assert!(splunkd.checkpoints().is_empty());
}

#[test]
fn wrong_arguments_are_rejected_with_a_message_for_the_page() {
    let tenant = Tenant::start();
    for (key, value, words) in [
        ("feed", "alertz", ["feed", "alertz", "incidents"]),
        ("account", "fabrikam", ["account", "fabrikam", "fabrikam"]),
        ("start", "2999-01-01T00:00:00Z", ["start", "2999", "future"]),
        ("overlap", "soon", ["overlap", "soon", "15m"]),
    ] {
        let run = Splunkd::reading_with(&tenant, FEED, &[(key, value)]).validate();
        let message = message(&run);
        for word in words {
            assert!(
                message.to_lowercase().contains(word),
                "`{word}` in: {message}"
            );
        }
    }
    assert_eq!(tenant.calls().len(), 0, "offline rules come first");
}

#[test]
fn validation_names_the_missing_permission_and_the_wrong_secret() {
    let tenant = Tenant::start();
    let splunkd = Splunkd::reading(&tenant, FEED);
    tenant.rules(|rules| rules.may_read = false);
    let text = message(&splunkd.validate());
    assert!(text.contains("SecurityAlert.Read.All"), "{text}");

    splunkd.set_password("contoso", "wrong");
    let text = message(&splunkd.validate());
    assert!(text.contains("AADSTS7000215"), "{text}");
}

#[test]
fn a_validation_document_without_all_parameters_is_taken_as_it_is() {
    let tenant = Tenant::holding(FEED, recent(FEED, 2));
    let splunkd = Splunkd::new()
        .account("contoso", &tenant)
        .input("feed", [("account", "contoso")]);
    assert_eq!(splunkd.validate().code(), Some(0));
    assert_eq!(tenant.list_calls().len(), 1);
}

/// The events a run of `document` brings.
fn events_of(splunkd: &Splunkd, document: &[u8]) -> Vec<Event> {
    splunkd.run_document(document).well().events()
}

fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    "\u{FEFF}"
        .encode_utf16()
        .chain(text.encode_utf16())
        .flat_map(bytes)
        .collect()
}

#[test]
fn documents_in_utf_16_and_with_byte_order_marks_are_read() {
    for encode in [
        (|text: &str| utf_16(text, u16::to_le_bytes)) as fn(&str) -> Vec<u8>,
        |text| utf_16(text, u16::to_be_bytes),
        |text| format!("\u{FEFF}{text}").into_bytes(),
        |text| utf_16(&text.replace("UTF-8", "UTF-16"), u16::to_le_bytes),
    ] {
        let tenant = Tenant::holding(FEED, recent(FEED, 5));
        let splunkd = Splunkd::reading(&tenant, FEED);
        assert_eq!(
            events_of(&splunkd, &encode(&splunkd.input_document())).len(),
            5
        );
        let run = splunkd.validate_document(&encode(&splunkd.validation_document()));
        assert_eq!(run.code(), Some(0), "{}", run.text());
    }
}

#[test]
fn what_a_document_holds_beside_is_passed_over() {
    let tenant = Tenant::holding(FEED, recent(FEED, 5));
    let splunkd = Splunkd::reading(&tenant, FEED);
    let document = splunkd
        .input_document()
        .replace(
            "<configuration>",
            "<!-- a --><new_in_splunk_12 a='b'><x/></new_in_splunk_12><configuration>",
        )
        .replace(" app=\"defender_bridge\"", "")
        .replace("<input>", "<input xmlns:a=\"urn:a\" a:b=\"c\">")
        .replace(
            "</stanza>",
            "<param_list name=\"many\"><value>1</value><value>2</value></param_list>\
             <param name=\"unknown\">x</param><param name=\"empty\"></param></stanza>",
        );
    assert_eq!(events_of(&splunkd, document.as_bytes()).len(), 5);
}

#[test]
fn elements_in_another_order_are_read() {
    let tenant = Tenant::holding(FEED, recent(FEED, 5));
    let splunkd = Splunkd::reading(&tenant, FEED);
    let document = splunkd.input_document();
    let start = document.find("  <configuration>").unwrap();
    let end = document.find("</input>").unwrap();
    let head = document.find("<input>").unwrap() + "<input>".len();
    let turned = format!(
        "{}{}{}{}",
        &document[..head],
        &document[start..end],
        &document[head..start],
        &document[end..]
    );
    assert_eq!(events_of(&splunkd, turned.as_bytes()).len(), 5);
}

#[test]
fn the_document_is_enough_without_the_end_of_stdin() {
    let tenant = Tenant::holding(FEED, recent(FEED, 5));
    let splunkd = Splunkd::reading(&tenant, FEED);
    // The stand-in never closes stdin before the process ends.
    let document = splunkd.input_document();
    assert_eq!(events_of(&splunkd, document.trim_end().as_bytes()).len(), 5);
}

#[test]
fn several_stanzas_in_one_document_all_run_and_keep_apart() {
    let tenant = Tenant::holding(FEED, recent(FEED, 5));
    tenant.add(Feed::GraphIncidents, recent(Feed::GraphIncidents, 7));
    let splunkd = Splunkd::new()
        .account("contoso", &tenant)
        .input(
            "alerts",
            [("account", "contoso"), ("feed", "alerts"), ("index", "a")],
        )
        .input(
            "incidents",
            [
                ("account", "contoso"),
                ("feed", "incidents"),
                ("index", "b"),
            ],
        );
    let events = splunkd.run().well().events();
    let of = |stanza: &str, index: &str| {
        events
            .iter()
            .filter(|event| event.stanza == stanza && event.index == index)
            .count()
    };
    assert_eq!(of("defender_bridge://alerts", "a"), 5);
    assert_eq!(of("defender_bridge://incidents", "b"), 7);
    assert_eq!(events.len(), 12);
    assert_eq!(splunkd.run().well().events(), []);
}

#[test]
fn a_document_without_stanzas_is_no_fault() {
    let run = Splunkd::new().run();
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    assert_eq!(run.events(), []);
}

#[test]
fn a_given_host_is_told_with_each_event() {
    let tenant = Tenant::holding(FEED, recent(FEED, 3));
    let run = Splunkd::reading_with(&tenant, FEED, &[("host", "hf1 <&> ü"), ("index", "sec")])
        .run()
        .well();
    assert_eq!(run.events().len(), 3);
    for event in run.events() {
        assert_eq!(event.host.as_deref(), Some("hf1 <&> ü"));
        assert_eq!(event.index, "sec");
    }
}

#[test]
fn the_event_stream_of_one_alert_looks_like_this() {
    let at = crate::counterpart::instants::parse("2021-05-02T14:19:01.3266667Z").unwrap();
    let alert = crate::counterpart::Object::raw(
        FEED,
        "da1_1",
        at,
        r#"{"id":"da1_1","title":"<a> & \"b\"","lastUpdateDateTime":"2021-05-02T14:19:01.3266667Z"}"#,
    );
    let tenant = Tenant::holding(FEED, [alert]);
    let run = Splunkd::reading_with(&tenant, FEED, &[("start", "2021-05-01T00:00:00Z")])
        .run()
        .well();
    let text = run.text();
    let end = text.find("</event>").unwrap() + "</event>".len();
    insta::assert_snapshot!("event", &text[..end]);
    assert!(text.trim_end().ends_with("</stream>"));
}

#[test]
fn the_retiring_apis_are_warned_about_and_the_switch_is_offered() {
    for (feed, warned) in [
        (Feed::GraphAlerts, false),
        (Feed::GraphIncidents, false),
        (Feed::MdeAlerts, true),
        (Feed::XdrIncidents, true),
    ] {
        let tenant = Tenant::holding(feed, recent(feed, 2));
        let run = Splunkd::reading(&tenant, feed).run().well();
        let told = run
            .lines("WARN")
            .iter()
            .any(|line| line.contains("2027") && line.contains("graph"));
        assert_eq!(told, warned, "{feed:?}:\n{}", run.stderr);
    }
}

#[test]
fn stderr_and_the_log_file_say_the_same_in_levels() {
    let tenant = Tenant::holding(FEED, recent(FEED, 2));
    let splunkd = Splunkd::reading_with(&tenant, FEED, &[("feed", "alertz")]);
    let run = splunkd.run();
    let line = run.refusal();
    let files = crate::counterpart::splunkd::files_under(&splunkd.home().join("var/log/splunk"));
    let logged = files.iter().any(|(path, content)| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("defender_bridge")
            && String::from_utf8_lossy(content).contains(line)
    });
    assert!(logged, "`{line}` in one of {:?}", files.keys());
}

#[test]
fn unknown_arguments_are_refused() {
    let run = Splunkd::new().run_arguments(&["--wat"]);
    assert_ne!(run.code(), Some(0));
    assert_eq!(run.text(), "");
}
