//! Splunk's event stream, read by a strict XML 1.0 parser.

use quick_xml::Reader;
use quick_xml::events::Event as Xml;
use serde_json::Value;
use std::collections::BTreeMap;

/// One `<event>` as splunkd would index it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    pub stanza: String,
    pub time: String,
    pub source: String,
    pub sourcetype: String,
    pub index: String,
    pub host: Option<String>,
    pub data: String,
}

impl Event {
    /// Of the product itself, not of Defender.
    pub fn is_own(&self) -> bool {
        matches!(
            self.sourcetype.as_str(),
            "defender_bridge:health" | "defender_bridge:log"
        )
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data)
            .unwrap_or_else(|error| panic!("event data is no JSON ({error}): {}", self.data))
    }
}

/// How a stream may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `</stream>`, and nothing behind it.
    Closed,
    /// Anywhere: the process was killed.
    CutOff,
}

/// Every whole event, or what breaks the rules.
pub fn parse(bytes: &[u8], end: End) -> Result<Vec<Event>, String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // A kill may cut a character in two; nothing else may.
        Err(error) if end == End::CutOff && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap()
        }
        Err(error) => return Err(format!("not UTF-8: {error}")),
    };
    if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
        return Err(format!("U+{:04X} is not allowed in XML 1.0", bad as u32));
    }
    match end {
        End::Closed => {
            let (events, closed) = walk(text)?;
            // A run with nothing to say may leave its stream unopened.
            if closed || text.trim().is_empty() {
                Ok(events)
            } else {
                Err("the stream is not closed".to_owned())
            }
        }
        End::CutOff => {
            // Everything up to the last whole event must keep the rules.
            let whole = text.rfind("</event>").map_or(0, |at| at + "</event>".len());
            walk(&text[..whole]).map(|(events, _)| events)
        }
    }
}

/// XML 1.0, production `Char`.
fn allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn walk(text: &str) -> Result<(Vec<Event>, bool), String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut events = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut stanza = String::new();
    let mut done = false;
    let mut closed = false;
    loop {
        let at = reader.buffer_position();
        let wrong = |what: &str| Err(format!("{what} at byte {at}"));
        match reader
            .read_event()
            .map_err(|error| format!("{error} at byte {at}"))?
        {
            Xml::Eof => break,
            Xml::Decl(_) if at == 0 => {}
            Xml::Start(start) => {
                let name = start.name().0.to_owned();
                match (path.len(), name.as_str()) {
                    (0, "stream") if !closed => {}
                    (1, "event") => {
                        fields.clear();
                        done = false;
                        stanza.clear();
                        for attribute in start.attributes() {
                            let attribute = attribute.map_err(|error| error.to_string())?;
                            let value = unescape(&attribute.value)?;
                            match attribute.key.0 {
                                "stanza" => stanza = value,
                                "unbroken" if value == "1" => {}
                                other => return wrong(&format!("attribute {other}={value}")),
                            }
                        }
                    }
                    (2, "time" | "source" | "sourcetype" | "index" | "host" | "data") => {
                        if fields.insert(name.clone(), String::new()).is_some() {
                            return wrong(&format!("<{name}> twice"));
                        }
                    }
                    _ => return wrong(&format!("unexpected <{name}>")),
                }
                path.push(name);
            }
            Xml::Empty(tag) => match (path.len(), tag.name().0) {
                (2, "done") => done = true,
                (0, "stream") if !closed => closed = true,
                (_, other) => return wrong(&format!("unexpected <{other}/>")),
            },
            Xml::End(tag) => {
                path.pop();
                match tag.name().0 {
                    "stream" => closed = true,
                    "event" => {
                        if !done {
                            return wrong("an unbroken event without <done/>");
                        }
                        events.push(event(&stanza, &mut fields)?);
                    }
                    _ => {}
                }
            }
            Xml::Text(text) => add(&path, &mut fields, &text.xml10_content(), at)?,
            Xml::CData(text) => add(&path, &mut fields, &text.xml10_content(), at)?,
            Xml::GeneralRef(name) => {
                let character = match name.resolve_char_ref().map_err(|error| error.to_string())? {
                    Some(c) if allowed(c) => c.to_string(),
                    Some(c) => return wrong(&format!("reference to U+{:04X}", c as u32)),
                    None => unescape(&format!("&{};", name.xml10_content()))?,
                };
                add(&path, &mut fields, &character, at)?;
            }
            other => return wrong(&format!("unexpected {other:?}")),
        }
    }
    Ok((events, closed))
}

fn unescape(text: &str) -> Result<String, String> {
    quick_xml::escape::unescape(text)
        .map(std::borrow::Cow::into_owned)
        .map_err(|error| error.to_string())
}

fn add(
    path: &[String],
    fields: &mut BTreeMap<String, String>,
    text: &str,
    at: u64,
) -> Result<(), String> {
    match path.get(2).and_then(|name| fields.get_mut(name)) {
        Some(field) => field.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(format!("text outside a field at byte {at}: {text:.60}")),
    }
    Ok(())
}

fn event(stanza: &str, fields: &mut BTreeMap<String, String>) -> Result<Event, String> {
    let time = fields.remove("time").unwrap_or_default();
    let (whole, fraction) = time.split_once('.').unwrap_or((&time, "0"));
    if whole.parse::<i64>().is_err() || fraction.len() > 3 || fraction.parse::<u16>().is_err() {
        return Err(format!("<time>{time}</time> is no time"));
    }
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    let event = Event {
        stanza: stanza.to_owned(),
        source: take("source"),
        sourcetype: take("sourcetype"),
        index: take("index"),
        data: fields.remove("data").ok_or("an event without <data>")?,
        host: fields.remove("host"),
        time,
    };
    Ok(event)
}

#[test]
fn a_stream_is_read_as_splunkd_reads_it() {
    let stream = "<stream><event stanza=\"a://b&amp;c\" unbroken=\"1\"><time>1.5</time>\
        <source>s</source><sourcetype>t</sourcetype><data>{\"a\":\"&lt;&amp;&gt;\r\n&#13;\"}</data>\
        <done/></event>\n</stream>\n";
    let events = parse(stream.as_bytes(), End::Closed).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].stanza, "a://b&c");
    assert_eq!(events[0].data, "{\"a\":\"<&>\n\r\"}");
    assert_eq!(
        parse(&stream.as_bytes()[..stream.len() - 30], End::CutOff).unwrap(),
        []
    );
    assert_eq!(
        parse(
            stream.trim_end().trim_end_matches("</stream>").as_bytes(),
            End::CutOff
        )
        .unwrap(),
        events
    );
}

#[test]
fn a_stream_that_breaks_the_rules_is_refused() {
    for stream in [
        "<stream>",
        "<stream><event><data>x</data></event></stream>",
        "<stream><event><data>x\u{1}</data><done/></event></stream>",
        "<stream><event><data>x&#1;</data><done/></event></stream>",
        "<stream><event><time>now</time><data>x</data><done/></event></stream>",
        "<stream><event><data>a<b></data><done/></event></stream>",
        "<stream>hello</stream>",
        "INFO hello\n<stream></stream>",
        "<stream></stream>INFO",
    ] {
        assert!(parse(stream.as_bytes(), End::Closed).is_err(), "{stream}");
    }
}
