//! Whatever bytes come, nothing breaks but what was broken.

use crate::counterpart::index::Arrivals;
use crate::counterpart::instants::{self, DAY};
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Object, Splunkd, Tenant, Turn};

const FEED: Feed = Feed::GraphAlerts;

fn object(number: u64, members: &str) -> Object {
    let at = instants::ago(DAY) + i64::try_from(number).unwrap() * instants::MINUTE;
    let id = FEED.id(number);
    let text = format!(
        r#"{{"id":"{id}","lastUpdateDateTime":"{}",{members}}}"#,
        instants::print(at, 7)
    );
    Object::raw(FEED, &id, at, text)
}

#[track_caller]
fn arrive(objects: &[Object]) {
    let tenant = Tenant::holding(FEED, objects.to_vec());
    Arrivals::of(&Splunkd::reading(&tenant, FEED).run().well()).are_exactly(objects);
}

#[test]
fn texts_of_every_kind_arrive_as_they_were_sent() {
    let deep = format!(r#""deep":{}1{}"#, "[".repeat(100), "]".repeat(100));
    let long = format!(r#""long":"{}""#, "x<&>".repeat(50_000));
    let members = [
        r#""a":"\ud800 lone surrogate \udfff""#,
        r#""a":"\u0000\u001f\u007f\ufffe\uffff""#,
        "\"a\":\"\u{7f}\u{80}\u{9f}\u{fdd0}\u{1fffe}\u{10ffff}\"",
        "\"a\" :\t1 ,\n  \"b\" : [ ]\n",
        r#""a":"]]>","b":"<![CDATA[","c":"&#x0;","d":"&lt;""#,
        r#""a":1e400,"b":-0.0,"c":0.1000000000000000055511151231257827,"d":1E+5"#,
        r#""id2":"\"id\":\"fake\"","nested":{"id":"fake","lastUpdateDateTime":"1999-01-01T00:00:00Z"}"#,
        r#""":"empty key","a":{"":{}}"#,
        r#""a":1,"a":2,"a":3"#,
        &deep,
        &long,
    ];
    let objects: Vec<Object> = members
        .iter()
        .enumerate()
        .map(|(number, members)| object(number as u64, members))
        .collect();
    arrive(&objects);
}

#[test]
fn line_ends_between_tokens_arrive_as_they_were_sent() {
    arrive(&[object(1, "\r\n\"a\":\r1\n\r"), object(2, "\"b\":\t\r\n2")]);
}

#[test]
fn characters_xml_forbids_arrive_as_json_escapes() {
    let sent = [
        object(1, "\"a\":\"x\u{FFFE}y\u{FFFF}z\""),
        object(2, r#""a":"plain""#),
    ];
    let tenant = Tenant::holding(FEED, sent.clone());
    let run = Splunkd::reading(&tenant, FEED).run().well();
    let mut data: Vec<String> = run
        .events()
        .iter()
        .map(|event| event.data.to_lowercase())
        .collect();
    data.sort();
    let mut wanted: Vec<String> = sent
        .iter()
        .map(|object| {
            object
                .text
                .replace('\u{FFFE}', "\\ufffe")
                .replace('\u{FFFF}', "\\uffff")
                .to_lowercase()
        })
        .collect();
    wanted.sort();
    assert_eq!(data, wanted);
}

#[test]
fn an_escaped_name_is_the_same_name() {
    let at = instants::ago(DAY);
    let stamp = instants::print(at, 7);
    let text =
        format!(r#"{{"\u0069d":"escaped","lastUpdate\u0044ateTime":"{stamp}","title":"t"}}"#);
    arrive(&[Object::raw(FEED, "escaped", at, text)]);
}

#[test]
fn ids_of_every_kind_are_told_apart() {
    let objects: Vec<Object> = [
        "a/b",
        "../../etc",
        "a b",
        "ü",
        "<id>",
        r"\u0061",
        "'",
        "%2e%2e",
        "",
    ]
    .iter()
    .enumerate()
    .filter(|(_, id)| !id.is_empty())
    .map(|(number, id)| {
        let at = instants::ago(DAY) + i64::try_from(number).unwrap();
        let stamp = instants::print(at, 7);
        let text = format!(r#"{{"id":"{id}","lastUpdateDateTime":"{stamp}"}}"#);
        Object::raw(FEED, id, at, text)
    })
    .collect();
    arrive(&objects);
}

#[test]
fn a_twenty_megabyte_object_passes() {
    let big = object(
        50,
        &format!(r#""big":"{}""#, "0123456789abcdef".repeat(20 << 16)),
    );
    assert!(big.text.len() > 20 << 20);
    let objects: Vec<Object> = (0..40)
        .map(|number| object(number, "\"a\":1"))
        .chain([big])
        .collect();
    arrive(&objects);
}

/// A body that is no list is told, ends the run or is read again, and costs nothing.
#[track_caller]
fn survives(body: &[u8]) {
    let objects = recent(FEED, 20);
    let tenant = Tenant::holding(FEED, objects.clone());
    let wrong = body.to_vec();
    tenant.before_each_list(move |listing, _| match listing.before {
        0 => Turn::Body(wrong.clone()),
        _ => Turn::Serve,
    });
    let splunkd = Splunkd::reading(&tenant, FEED);
    let run = splunkd.run();
    assert!(run.code().is_some(), "the process was ended by a signal");
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let mut arrivals = Arrivals::of(&run);
    arrivals.take(&splunkd.run().well().events());
    arrivals.are_exactly(&objects);
}

macro_rules! bodies_that_are_no_list_cost_nothing {
    ($($name:ident: $body:expr;)*) => { $(
        #[test]
        fn $name() {
            survives($body);
        }
    )* };
}

bodies_that_are_no_list_cost_nothing! {
    a_body_of_nothing_costs_nothing: b"";
    a_body_of_null_costs_nothing: b"null";
    a_body_that_is_an_array_costs_nothing: b"[]";
    a_body_without_value_costs_nothing: b"{}";
    a_value_of_null_costs_nothing: b"{\"value\":null}";
    a_value_that_is_an_object_costs_nothing: b"{\"value\":{}}";
    a_value_that_is_text_costs_nothing: b"{\"value\":\"x\"}";
    a_page_of_html_costs_nothing: b"<html><body>Please sign in to the guest network</body></html>";
    a_body_in_utf_16_costs_nothing: b"\xff\xfe{\x00}\x00";
    a_body_that_is_not_utf_8_costs_nothing: b"{\"value\":[{\"id\":\"\xff\xfe\"}]}";
    a_raw_control_character_costs_nothing:
        b"{\"value\":[{\"id\":\"a\x01b\",\"lastUpdateDateTime\":\"2026-01-01T00:00:00Z\"}]}";
    text_behind_the_list_costs_nothing: b"{\"value\":[]}{\"value\":[]}";
}

#[test]
fn a_body_with_a_byte_order_mark_is_read() {
    let objects = vec![object(1, "\"a\":1")];
    let tenant = Tenant::holding(FEED, objects.clone());
    let body = format!("\u{FEFF}{{\"value\":[{}]}}", objects[0].text).into_bytes();
    tenant.before_each_list(move |listing, _| match listing.before {
        0 => Turn::Body(body.clone()),
        _ => Turn::Serve,
    });
    let splunkd = Splunkd::reading(&tenant, FEED);
    let mut arrivals = Arrivals::of(&splunkd.run());
    arrivals.take(&splunkd.run().well().events());
    arrivals.are_exactly(&objects);
}

#[test]
fn members_of_the_page_in_any_order_and_unknown_ones_do_not_matter() {
    let objects = vec![
        object(1, "\"a\":1"),
        object(2, "\"value\":[{\"id\":\"inner\"}]"),
    ];
    let tenant = Tenant::holding(FEED, objects.clone());
    let body = format!(
        "\n{{ \"value2\" : [1] , \"@odata.count\":2,\t\"value\" : [ {} ,\n {} ] ,\"other\":{{\"value\":[]}}}}\n",
        objects[0].text, objects[1].text
    )
    .into_bytes();
    tenant.before_each_list(move |_, _| Turn::Body(body.clone()));
    let splunkd = Splunkd::reading(&tenant, FEED);
    Arrivals::of(&splunkd.run()).are_exactly(&objects);
}

#[test]
fn names_of_stanzas_lead_nowhere_outside_the_checkpoint_directory() {
    let tenant = Tenant::holding(FEED, recent(FEED, 3));
    for name in [
        "../../../escape",
        "a/b",
        "a b",
        "ü<&>\"'",
        "CON",
        ".",
        "x".repeat(200).as_str(),
    ] {
        let splunkd = Splunkd::new()
            .account("contoso", &tenant)
            .input(name, [("account", "contoso"), ("feed", "alerts")]);
        let run = splunkd.run().well();
        assert_eq!(run.events().len(), 3);
        assert_eq!(run.events()[0].stanza, format!("defender_bridge://{name}"));
        assert_eq!(splunkd.run().well().events(), []);
        for path in crate::counterpart::splunkd::files_under(&splunkd.home()).keys() {
            assert!(
                !path.to_string_lossy().contains("escape")
                    || path.starts_with(splunkd.checkpoint_dir())
            );
        }
    }
}

#[test]
fn two_stanzas_never_share_a_checkpoint() {
    let tenant = Tenant::holding(FEED, recent(FEED, 3));
    let mut splunkd = Splunkd::new().account("contoso", &tenant);
    for name in ["a/b", "a_b", "a b", "A_B", "a%2Fb"] {
        splunkd = splunkd.input(name, [("account", "contoso"), ("feed", "alerts")]);
    }
    assert_eq!(splunkd.run().well().events().len(), 5 * 3);
    assert_eq!(splunkd.run().well().events(), []);
}
