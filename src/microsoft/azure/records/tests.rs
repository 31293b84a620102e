use super::tables::TablesError;
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const ENQUEUED: Instant = Instant::from_millis(1_790_000_000_000);

/// One of a real shape, as Defender writes it.
const PROCESS: &str = r#"{"time":"2026-11-21T08:15:31.9876543Z","tenantId":"11111111-2222-4333-8444-555555555555","operationName":"Publish","category":"AdvancedHunting-DeviceProcessEvents","properties":{"DeviceName":"pc1.contoso.com","ProcessCommandLine":"cmd /c \"a{[\" & b\u0001","AdditionalFields":"{\"Timestamp\":\"x\"}","Timestamp":"2026-11-21T08:15:30.1234567Z"},"Tenant":"DefaultTenant","_TimeReceivedBySvc":"2026-11-21T08:15:32Z"}"#;

fn read(body: &str) -> Message {
    of(body, &Tables::default())
}

fn of(body: &str, tables: &Tables) -> Message {
    message(body.into(), tables, ENQUEUED, Position::default())
}

fn texts(message: &Message) -> Vec<&str> {
    let text = |record: &Record| &message.body[record.span.clone()];
    message.records.iter().map(text).collect()
}

fn aside(message: &Message) -> Vec<(&str, &str)> {
    let quarantined = message.quarantined.iter();
    quarantined
        .map(|it| (&message.body[it.span.clone()], it.why.as_str()))
        .collect()
}

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

#[test]
fn each_record_of_an_envelope_is_its_bytes_as_sent() {
    let other =
        r#"{ "properties" : {"Timestamp":"2026-11-21T08:00:00Z" } , "x":[1.0e+2,"\/\u00e9"] }"#;
    for body in [
        format!(r#"{{"records":[{PROCESS},{other}]}}"#),
        format!(
            "\u{feff} {{\r\n \"z\":{{}}, \"records\" : [ {PROCESS}\r\n,\t{other} ], \"y\":[{{}}]}}\n"
        ),
        format!("[{PROCESS},{other}]"),
        format!("{PROCESS}\r\n{other}\r\n"),
        format!("\n{PROCESS}\n\n{other}"),
        format!("{{\"records\":[{PROCESS}]}}\n{{\"records\":[{other}]}}"),
        format!("{PROCESS} {other}"),
    ] {
        let message = read(&body);
        assert_eq!(texts(&message), [PROCESS, other], "{body}");
        assert_eq!(aside(&message), [], "{body}");
        assert_eq!(message.body, body);
        let times: Vec<_> = message.records.iter().map(|record| record.time).collect();
        assert_eq!(
            times,
            [
                at("2026-11-21T08:15:30.1234567Z"),
                at("2026-11-21T08:00:00Z")
            ]
        );
    }
    assert_eq!(texts(&read(PROCESS)), [PROCESS]);
    let pretty: Value = serde_json::from_str(PROCESS).unwrap();
    let pretty = serde_json::to_string_pretty(&pretty).unwrap();
    assert_eq!(texts(&read(&pretty)), [pretty.as_str()]);
    assert_eq!(texts(&read(&format!("\n[\n{pretty}\n]\n"))), [pretty]);
}

#[test]
fn the_quick_pass_takes_what_defender_writes_and_leaves_the_rest() {
    let takes = |body: &str| {
        let tables = Tables::default();
        Found::new(body, &tables, ENQUEUED).quick(0..body.len())
    };
    for body in [
        format!(r#"{{"records":[{PROCESS}]}}"#),
        format!(r#" {{ "records" : [ {PROCESS} , {PROCESS} ] }} "#),
        format!("{PROCESS}\r\n"),
        r#"{"a":[1,-0.5e+7,true,{"b":[[],{}]}],"records2":null,"c":"\u00e9\n"}"#.to_owned(),
    ] {
        assert!(takes(&body), "{body}");
    }
    for body in [
        "",
        "{}",
        r#"{"records":[]}"#,
        r#"{"records":[{}]}"#,
        r#"{"records":[7]}"#,
        r#"{"records":{"a":1}}"#,
        r#"{"records":[{"a":1}],"b":2}"#,
        r#"{"b":2,"records":[{"a":1}]}"#,
        r#"{"records":[{"records":7}]}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u00g0"}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[1}}"#,
        r#"{"a":1,}"#,
        r#"{"a":1}{"#,
        "{\"a\":\"\u{1f}\"}",
    ] {
        assert!(!takes(body), "{body}");
    }
    let deep = |depth| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(takes(&deep(64)));
    assert!(!takes(&deep(66)));
}

#[test]
fn a_record_in_a_string_leaves_as_the_text_in_it() {
    let quoted = serde_json::to_string(PROCESS).unwrap();
    for body in [
        format!(r#"{{"records":[{quoted},{PROCESS}, {quoted}]}}"#),
        format!("[{quoted},{PROCESS},{quoted}]"),
        format!("{quoted}\n{PROCESS}\n{quoted}\n"),
        format!(r#"{{"records":[{quoted},{PROCESS}, {quoted},]}}"#),
    ] {
        let message = read(&body);
        assert_eq!(texts(&message), [PROCESS; 3], "{body}");
        assert_eq!(aside(&message), [], "{body}");
        let time = at("2026-11-21T08:15:30.1234567Z");
        assert!(message.records.iter().all(|record| record.time == time));
    }
    let padded = serde_json::to_string(&format!("\u{feff}\r\n {PROCESS}\r\n")).unwrap();
    assert_eq!(texts(&read(&format!("[{padded}]"))), [PROCESS]);
}

#[test]
fn a_records_time_is_its_own_or_the_services_or_the_messages() {
    for (record, time) in [
        (
            r#"{"time":"2026-01-02T00:00:00Z","properties":{"Timestamp":"2026-01-01T00:00:00Z"}}"#,
            at("2026-01-01T00:00:00Z"),
        ),
        (
            r#"{"properties":{"Timestamp":"soon"},"time":"2026-01-02T00:00:00.5Z"}"#,
            at("2026-01-02T00:00:00.5Z"),
        ),
        (
            r#"{"time":"2026-01-02T00:00:00Z","properties":{"Timestamp":"0001-01-01T00:00:00Z"}}"#,
            at("2026-01-02T00:00:00Z"),
        ),
        (
            r#"{"time":"2026-01-02T00:00:00Z","properties":{}}"#,
            at("2026-01-02T00:00:00Z"),
        ),
        (
            r#"{"time":"2026-01-02T00:00:00Z","properties":"x"}"#,
            at("2026-01-02T00:00:00Z"),
        ),
        (
            r#"{"time":"2026-01-02T00:00:00Z","Timestamp":"2026-01-03T00:00:00Z","properties":{"p":{"Timestamp":"2026-01-03T00:00:00Z"}}}"#,
            at("2026-01-02T00:00:00Z"),
        ),
        (r#"{"time":7,"properties":null}"#, ENQUEUED),
        (
            r#"{"properties":{ "Timestamp" : "2026-01-01T00:00:00Z" , "x" : "}" }}"#,
            at("2026-01-01T00:00:00Z"),
        ),
        (
            r#"{"properties":{"x":"{","Timestamp": "2026-01-01T00:00:00Z" } }"#,
            at("2026-01-01T00:00:00Z"),
        ),
        (
            r#"{"properties":{"x":1,"Timestamp":"2026-01-01T00:00:00Z","y":{}}}"#,
            at("2026-01-01T00:00:00Z"),
        ),
        (
            r#"{"properties":{"Timestamp":"2026-01-01T00:00\u003a00Z","y":""}}"#,
            at("2026-01-01T00:00:00Z"),
        ),
        // Texts that only look like it.
        (
            r#"{"properties":{"x":"\"Timestamp\":\"2026-01-01T00:00:00Z"}}"#,
            ENQUEUED,
        ),
        (
            r#"{"properties":{"\"Timestamp":"2026-01-01T00:00:00Z"}}"#,
            ENQUEUED,
        ),
        (
            r#"{"properties":{"p":{"Timestamp":"2026-01-01T00:00:00Z"}}}"#,
            ENQUEUED,
        ),
        (
            r#"{"properties":{"Timestamp":["2026-01-01T00:00:00Z"]}}"#,
            ENQUEUED,
        ),
        (
            r#"{"properties":{"Timestamp":{"a":"2026-01-01T00:00:00Z"}}}"#,
            ENQUEUED,
        ),
        (r#"{"time":"1601-01-01T00:00:00Z"}"#, ENQUEUED),
        ("{}", ENQUEUED),
    ] {
        for body in [format!(r#"{{"records":[{record}]}}"#), record.to_owned()] {
            let message = read(&body);
            assert_eq!(texts(&message), [record], "{body}");
            assert_eq!(message.records[0].time, time, "{body}");
        }
    }
}

#[test]
fn only_tables_that_were_not_named_are_left_out() {
    let of_category = |category: &str| format!(r#"{{"category":"{category}","n":1}}"#);
    let all = [
        "AdvancedHunting-DeviceProcessEvents",
        "AdvancedHunting-EmailEvents",
        "advancedhunting-deviceprocessevents",
        "AdvancedHunting-TableOfTomorrow",
        "AzureActiveDirectory",
        "SignInLogs",
        "",
    ]
    .map(of_category);
    let none = r#"{"n":1}"#.to_owned();
    let body = format!(r#"{{"records":[{},{none}]}}"#, all.join(","));
    assert_eq!(texts(&read(&body)).len(), 8);
    let tables = Tables::parse("deviceprocessevents, AdvancedHunting-TableOfTomorrow").unwrap();
    let kept = [&all[0], &all[2], &all[3], &all[4], &all[5], &all[6], &none];
    assert_eq!(texts(&of(&body, &tables)), kept);
    let strings = all
        .each_ref()
        .map(|record| serde_json::to_string(record).unwrap());
    let left = of(&format!("[{}]", strings.join(",")), &tables);
    assert_eq!(texts(&left), kept[..6]);
    assert_eq!(aside(&left), []);
}

#[test]
fn what_is_no_record_is_set_aside_and_stops_nothing() {
    let good = r#"{"n":"good"}"#;
    for (bad, why) in [
        ("null", "it is null, not an object"),
        ("12", "it is a number, not an object"),
        ("1e999", "it is a number, not an object"),
        ("[1,{\"a\":2}]", "it is a list, not an object"),
        ("true", "it is true or false, not an object"),
        ("\"text\"", "the text is no object"),
        ("\"\"", "the text is no object"),
        (r#""[{}]""#, "the text is no object"),
        (
            r#""{\"a\":}""#,
            "in its text, it cannot be read: expected value",
        ),
        (r#""{} {}""#, "in its text, it cannot be read: trailing"),
        (r#""{\"a\":\"\ud800\"}""#, "it cannot be read: "),
        ("\"a\\q\"", "it cannot be read: invalid escape"),
        ("nonsense", "it cannot be read: expected ident"),
        ("{nonsense}", "it cannot be read: key must be a string"),
        (r#"{"a":}"#, "it cannot be read: expected value"),
        (r#"{"a":1,}"#, "it cannot be read: trailing comma"),
        (
            r#"{"records":null}"#,
            "it cannot be read: its `records` are no list",
        ),
        (":", "it cannot be read: expected value"),
        ("}", "it cannot be read: expected value"),
    ] {
        let message = read(&format!(r#"{{"records":[{good},{bad},{good}]}}"#));
        assert_eq!(texts(&message), [good, good], "{bad}");
        let found = aside(&message);
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert_eq!(found[0].0, bad);
        assert!(found[0].1.starts_with(why), "{bad}: {}", found[0].1);
    }
}

#[test]
fn brackets_that_do_not_match_stop_no_other_record() {
    let good = r#"{"n":"good"}"#;
    for bad in [r#"{"a":[1}]}"#, r#"{"a":1]"#, r#"[{"a":1]}"#, "}}"] {
        let message = read(&format!(r#"{{"records":[{good},{bad},{good}]}}"#));
        assert_eq!(texts(&message), [good, good], "{bad}");
        assert!(!message.quarantined.is_empty(), "{bad}");
    }
}

#[test]
fn a_body_that_is_cut_off_gives_the_records_before_the_cut() {
    let whole = format!(r#"{{"records":[{PROCESS},{PROCESS},{PROCESS}]}}"#);
    for (cut, records) in [
        (whole.len() - 1, 3),
        (whole.len() - 2, 3),
        (whole.len() - 3, 2),
        (PROCESS.len() * 2, 1),
        (PROCESS.len(), 0),
    ] {
        let message = read(&whole[..cut]);
        assert_eq!(texts(&message), vec![PROCESS; records], "{cut}");
        assert_eq!(message.quarantined.len(), usize::from(records < 3), "{cut}");
    }
}

#[test]
fn a_line_that_is_none_stops_no_other_line() {
    for bad in [
        "Service unavailable",
        r#"{"a":1"#,
        r#"{"a":"x}"#,
        r#"{"a":1}}"#,
        r#"{"records":[{"b":"#,
        r#"{"records":{}}"#,
        "[",
        "12",
    ] {
        for body in [
            format!("{bad}\n{PROCESS}\r\n{PROCESS}\n"),
            format!("{PROCESS}\n{bad}\r\n{PROCESS}\n"),
            format!("{PROCESS}\n{PROCESS}\n{bad}"),
        ] {
            let message = read(&body);
            let whole = texts(&message).into_iter().filter(|text| *text == PROCESS);
            assert_eq!(whole.count(), 2, "{body}");
            assert!(
                message.quarantined.len() <= 1,
                "{body}: {:?}",
                aside(&message)
            );
        }
    }
}

#[test]
fn a_body_of_nothing_gives_nothing_and_anything_else_is_kept_with_a_reason() {
    for body in [
        "",
        " \r\n\t",
        "\u{feff}",
        r#"{"records":[]}"#,
        "[]",
        "[ ]\n\n",
    ] {
        let message = read(body);
        assert!(
            message.records.is_empty() && message.quarantined.is_empty(),
            "{body}"
        );
    }
    for body in ["<html>no</html>", r#"{"records":7}"#, "{", "[", "\"x", "]"] {
        let message = read(body);
        assert!(message.records.is_empty(), "{body}");
        let kept = if body == "[" { 0 } else { 1 };
        assert_eq!(aside(&message).len(), kept, "{body}: {:?}", aside(&message));
    }
}

#[test]
fn however_much_is_malformed_little_is_kept_of_it() {
    let many = format!("[{}{PROCESS}]", "1,{},".repeat(20_000));
    let message = read(&many);
    assert_eq!(message.records.len(), 20_001);
    assert_eq!(message.quarantined.len(), MOST_QUARANTINED);
    let kept: usize = message.quarantined.iter().map(|it| it.span.len()).sum();
    assert!(kept <= many.len());
    let last = &message.quarantined[MOST_QUARANTINED - 1].why;
    assert_eq!(
        last,
        "it is a number, not an object; with 19900 more behind it"
    );
    // And nothing makes it look through the body again and again.
    for open in [
        "{",
        "[",
        "[{\n",
        "{\"a\":{\n",
        "\"\n",
        "[\"\n",
        "{\"records\":[\n",
        "{\"records\":[]\n",
    ] {
        let message = read(&open.repeat(50_000));
        assert!(message.quarantined.len() <= MOST_QUARANTINED);
    }
}

#[test]
fn nesting_a_million_deep_takes_no_stack() {
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let record = format!(r#"{{"x":{deep},"properties":{{"x":{deep}}}}}"#);
    let message = read(&format!(r#"{{"x":{deep},"records":[{deep},{record}]}}"#));
    assert_eq!(texts(&message), [record]);
    assert_eq!(message.quarantined.len(), 1);
}

#[test]
fn bytes_that_are_no_text_are_replaced_and_the_record_goes_on() {
    let mut body = b"{\"records\":[{\"a\":\"".to_vec();
    body.extend(b"\xff\"}]}");
    let message = message(body, &Tables::default(), ENQUEUED, Position::default());
    assert_eq!(texts(&message), ["{\"a\":\"\u{fffd}\"}"]);
}

/// A reader of a blob that gets so many bytes at a time.
fn in_ranges(blob: &[u8], mut size: usize) -> (Vec<String>, Vec<String>) {
    let (mut records, mut aside) = (Vec::new(), Vec::new());
    let mut at = 0;
    let step = size;
    while at < blob.len() {
        let chunk = &blob[at..blob.len().min(at + size)];
        let Lines { message, consumed } =
            lines(chunk.to_vec(), &Tables::default(), ENQUEUED, |_| true);
        assert!(consumed <= chunk.len());
        records.extend(texts(&message).into_iter().map(str::to_owned));
        aside.extend(
            message
                .quarantined
                .iter()
                .map(|it| message.body[it.span.clone()].to_owned()),
        );
        at += consumed;
        if consumed == 0 && chunk.len() < size {
            break;
        }
        size = if consumed == 0 { size + step } else { step };
    }
    (records, aside)
}

#[test]
fn a_line_that_is_cut_off_waits_for_its_end() {
    let blob = format!("{PROCESS}\r\n{PROCESS}\r\n{PROCESS}");
    let none = Tables::default();
    let first = lines(
        blob.as_bytes()[..PROCESS.len() + 20].into(),
        &none,
        ENQUEUED,
        |_| true,
    );
    assert_eq!(first.consumed, PROCESS.len() + 2);
    assert_eq!(texts(&first.message), [PROCESS]);
    let nothing = lines(PROCESS.as_bytes()[..80].into(), &none, ENQUEUED, |_| true);
    assert_eq!((nothing.consumed, nothing.message.records.len()), (0, 0));
    // The last line of a blob that ends without one is whole all the same.
    let all = lines(blob.clone().into(), &none, ENQUEUED, |_| true);
    assert_eq!(all.consumed, blob.len());
    assert_eq!(texts(&all.message), [PROCESS; 3]);
}

#[test]
fn a_line_without_an_end_is_given_up_at_the_longest_one() {
    let none = Tables::default();
    let most = format!("{{\"a\":\"{}", "x".repeat(LONGEST_LINE));
    let short = lines(
        most.as_bytes()[..LONGEST_LINE - 1].into(),
        &none,
        ENQUEUED,
        |_| true,
    );
    assert_eq!(short.consumed, 0);
    let long = lines(
        most.as_bytes()[..LONGEST_LINE].into(),
        &none,
        ENQUEUED,
        |_| true,
    );
    assert_eq!(long.consumed, LONGEST_LINE);
    assert_eq!(long.message.quarantined.len(), 1);
}

#[test]
fn what_repeats_is_known_by_its_properties() {
    let record = |time: &str, n: u8| {
        format!(
            r#"{{"time":"{time}","properties":{{ "n":{n},"Timestamp":"2026-01-01T00:00:00Z" }} }}"#
        )
    };
    let (one, again, other) = (record("a", 1), record("b", 1), record("c", 2));
    let bare = r#"{"n":1}"#;
    let quoted = serde_json::to_string(&again).unwrap();
    let blob = format!("{one}\n{again}\n{other}\n{bare}\n{bare}\n{quoted}\n");
    let mut seen = std::collections::HashSet::new();
    let found = lines(blob.into(), &Tables::default(), ENQUEUED, |properties| {
        seen.insert(properties.to_owned())
    });
    assert_eq!(texts(&found.message), [&one, &other, bare]);
}

#[test]
fn names_of_tables_are_read_as_people_write_them() {
    let tables = Tables::parse(
        " DeviceProcessEvents,emailevents\tAdvancedHunting-X_CL;DEVICEPROCESSEVENTS ",
    )
    .unwrap();
    assert_eq!(
        tables.names(),
        ["DeviceProcessEvents", "emailevents", "X_CL"]
    );
    assert!(tables.wants("AdvancedHunting-EmailEvents") && tables.wants("advancedhunting-x_cl"));
    assert!(!tables.wants("AdvancedHunting-EmailUrlInfo") && !tables.wants("AdvancedHunting-"));
    assert!(tables.wants("AuditLogs") && tables.wants("é"));
    assert_eq!(Tables::parse(" , "), Ok(Tables::default()));
    assert!(Tables::default().wants("AdvancedHunting-Anything"));
    for bad in [
        "*",
        "Device-Process",
        "a.b",
        "7Table",
        "AdvancedHunting-",
        "é",
        "\"A\"",
        &"A".repeat(129),
    ] {
        let error = Tables::parse(&format!("EmailEvents {bad}")).unwrap_err();
        assert!(
            error.to_string().contains("leave it empty for all tables"),
            "{bad}"
        );
    }
    let many = (0..300)
        .map(|n| format!("T{n}"))
        .collect::<Vec<_>>()
        .join(",");
    assert_eq!(Tables::parse(&many), Err(TablesError::TooMany));
}

/// A record, or a text near one.
fn any_record() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("2026-01-01T00:00:00.25Z")),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        let name = prop_oneof![
            Just("Timestamp".to_owned()),
            Just("records".to_owned()),
            any::<String>()
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..4).prop_map(Value::from_iter),
        ]
    });
    let name = prop_oneof![
        Just("properties".to_owned()),
        Just("properties".to_owned()),
        Just("category".to_owned()),
        Just("time".to_owned()),
        "\\PC{1,6}",
    ];
    prop::collection::vec((name, value), 0..6).prop_map(Value::from_iter)
}

/// White space that JSON allows between its parts.
fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", " ", "\t", "  "])
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Envelope,
    List,
    Lines,
    EnvelopePerLine,
}

fn bodies() -> impl Strategy<Value = (Vec<String>, String)> {
    let form = prop::sample::select(vec![
        Form::Envelope,
        Form::List,
        Form::Lines,
        Form::EnvelopePerLine,
    ]);
    let records = prop::collection::vec((any_record(), any::<bool>(), any::<bool>()), 0..8);
    (records, form, space(), any::<bool>()).prop_map(|(records, form, space, mark)| {
        let lines = matches!(form, Form::Lines | Form::EnvelopePerLine);
        let texts: Vec<(String, bool)> = records
            .into_iter()
            .map(|(record, pretty, string)| {
                let text = if pretty && (string || !lines) {
                    serde_json::to_string_pretty(&record)
                } else {
                    serde_json::to_string(&record)
                };
                (text.unwrap(), string)
            })
            .collect();
        let written: Vec<String> = texts
            .iter()
            .map(|(text, string)| match string {
                true => format!("{space}{}{space}", serde_json::to_string(text).unwrap()),
                false => format!("{space}{text}{space}"),
            })
            .collect();
        let body = match form {
            Form::Envelope => format!(
                "{{{space}\"records\":{space}[{}],\"x\":1}}",
                written.join(",")
            ),
            Form::List => format!("{space}[{}]", written.join(",")),
            Form::Lines => written.join("\r\n"),
            Form::EnvelopePerLine => {
                let envelope = |record: &String| format!("{{\"records\":[{record}]}}");
                written.iter().map(envelope).collect::<Vec<_>>().join("\n")
            }
        };
        let mark = if mark { "\u{feff}" } else { "" };
        (
            texts.into_iter().map(|(text, _)| text).collect(),
            format!("{mark}{body}"),
        )
    })
}

/// Text that a reader might take for the beginning or end of something.
fn awkward() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "{", "}", "[", "]", "\"", "\\", ",", ":", "\n", "\r\n", " ", "null", "1", "\"records\"", "\"records\":[",
            "\"a\":", "{\"a\":1}", "\"{}\"", "é", "\u{feff}", "\\u00", "\"properties\":{", "{\"properties\":{\"Timestamp\":\"x\"}}",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A body as it should be, but for one character.
fn one_byte_other() -> impl Strategy<Value = String> {
    let other = prop::sample::select(
        "{}[]\",:\\ \n019.-+eEtrufalsn\u{1}\u{1f}é"
            .chars()
            .collect::<Vec<_>>(),
    );
    (bodies(), any::<prop::sample::Index>(), other).prop_map(|((_, body), at, other)| {
        let mut characters: Vec<char> = body.chars().collect();
        if !characters.is_empty() {
            let at = at.index(characters.len());
            characters[at] = other;
        }
        characters.into_iter().collect()
    })
}

/// A record's time, by a tree of it.
fn time_of(record: &str) -> Instant {
    let record: Value = serde_json::from_str(record).unwrap();
    let time = |value: &Value| -> Option<Instant> {
        let time: Instant = value.as_str()?.parse().ok()?;
        (time.ticks() > 0).then_some(time)
    };
    time(&record["properties"]["Timestamp"])
        .or_else(|| time(&record["time"]))
        .unwrap_or(ENQUEUED)
}

/// What must hold of whatever was found.
fn sound(message: &Message) -> Result<(), TestCaseError> {
    for record in &message.records {
        let text = message.body.get(record.span.clone());
        let text = text.ok_or_else(|| TestCaseError::fail("a span is none of the body"))?;
        prop_assert!(text.starts_with('{') && text.ends_with('}'), "{}", text);
        prop_assert!(
            serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
            "{}",
            text
        );
    }
    for it in &message.quarantined {
        prop_assert!(
            message
                .body
                .get(it.span.clone())
                .is_some_and(|text| !text.is_empty())
        );
        prop_assert!(!it.why.is_empty() && it.why.len() < 300);
    }
    Ok(())
}

proptest! {
    #[test]
    fn records_out_are_the_records_in((records, body) in bodies()) {
        let message = read(&body);
        prop_assert_eq!(aside(&message), vec![]);
        prop_assert_eq!(texts(&message), records.iter().map(String::as_str).collect::<Vec<_>>());
        sound(&message)?;
        for (record, text) in message.records.iter().zip(&records) {
            prop_assert_eq!(record.time, time_of(text), "{}", text);
        }
    }

    #[test]
    fn records_out_are_the_records_in_wherever_a_blob_is_cut(
        records in prop::collection::vec(any_record(), 0..8),
        size in 1_usize..200,
        ends: bool,
    ) {
        let records: Vec<_> = records.iter().map(Value::to_string).collect();
        let blob = records.join("\r\n") + if ends { "\r\n" } else { "" };
        prop_assert_eq!(in_ranges(blob.as_bytes(), size), (records, vec![]));
    }

    #[test]
    fn what_is_malformed_stops_nothing(
        elements in prop::collection::vec((any_record(), any::<bool>(), 0_usize..7), 1..8),
    ) {
        let bad = ["null", "7", "{\"a\":}", "\"x\"", "[{}]", "{a}", "\"{\\\"a\\\"\""];
        let written: Vec<String> = elements
            .iter()
            .map(|(record, good, kind)| if *good { record.to_string() } else { bad[*kind].to_owned() })
            .collect();
        for body in [
            format!("{{\"records\":[{}]}}", written.join(" ,")),
            format!("[{}\n]", written.join("\n,")),
        ] {
            let message = read(&body);
            let records: Vec<_> = elements.iter().filter(|it| it.1).map(|it| it.0.to_string()).collect();
            prop_assert_eq!(texts(&message), records.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(message.quarantined.len(), elements.len() - records.len());
            sound(&message)?;
        }
    }

    #[test]
    fn the_quick_pass_finds_what_the_strict_one_finds_and_takes_nothing_else(
        body in prop_oneof![bodies().prop_map(|(_, body)| body), one_byte_other(), awkward()],
    ) {
        let tables = Tables::default();
        let found = |found: &Found<'_>| {
            let records = found.records.iter().map(|record| (record.time, record.span.clone()));
            (records.collect::<Vec<_>>(), found.properties.clone())
        };
        let mut quick = Found::new(&body, &tables, ENQUEUED);
        if quick.quick(0..body.len()) {
            let mut strict = Found::new(&body, &tables, ENQUEUED);
            prop_assert!(strict.thorough(&body).is_ok());
            prop_assert_eq!(found(&quick), found(&strict));
        } else {
            prop_assert_eq!(found(&quick), (vec![], vec![]));
        }
    }

    #[test]
    fn takes_any_bytes_without_a_panic(body: Vec<u8>) {
        sound(&message(body.clone(), &Tables::default(), ENQUEUED, Position::default()))?;
        sound(&lines(body, &Tables::default(), ENQUEUED, |_| true).message)?;
    }

    #[test]
    fn takes_any_brackets_without_a_panic(body in awkward(), size in 1_usize..60) {
        sound(&read(&body))?;
        sound(&lines(body.clone().into(), &Tables::default(), ENQUEUED, |_| true).message)?;
        in_ranges(body.as_bytes(), size);
    }

    #[test]
    fn takes_any_cut_of_a_body_without_a_panic((_, body) in bodies(), at: prop::sample::Index) {
        let mut body = body.into_bytes();
        let keep = at.index(body.len() + 1);
        body.truncate(keep);
        sound(&message(body, &Tables::default(), ENQUEUED, Position::default()))?;
    }
}
