//! The event stream splunkd reads from stdout (`streaming_mode` xml): every
//! event whole, with its metadata, however large.
//!
//! In a modular input nothing else may write to stdout.

use super::xml;
use crate::ingest::{Event, Instant, Kind, Sink};
use crate::splunk::sourcetype;
use std::io::{self, BufWriter, Write};

const BUFFER: usize = 64 * 1024;
/// More than the markup and metadata around an event's data.
const ENVELOPE: usize = 1024;

/// What the events of one stanza carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMetadata {
    /// `scheme://name`.
    pub stanza: String,
    pub source: String,
    /// None: the stanza's.
    pub index: Option<String>,
    /// None: splunkd decides.
    pub host: Option<String>,
    pub sourcetypes: Sourcetypes,
}

/// The sourcetype of each kind of object; a quarantined one leaves as
/// [`sourcetype::LOG`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourcetypes {
    pub alert: String,
    pub incident: String,
    pub record: String,
}

impl Default for Sourcetypes {
    fn default() -> Self {
        Self {
            alert: sourcetype::ALERT.to_owned(),
            incident: sourcetype::INCIDENT.to_owned(),
            record: sourcetype::RECORD.to_owned(),
        }
    }
}

/// The stream, from `<stream>` to `</stream>`.
///
/// Events leave in whole: one that no longer fits into the buffer starts with
/// the next write, so that a killed process leaves the fewest of them cut off.
pub struct EventStream<W: Write> {
    out: BufWriter<W>,
    stanza: String,
    envelope: Envelope,
}

impl<W: Write + Send> EventStream<W> {
    /// Begins the stream. `out` should not buffer itself.
    pub fn open(out: W, metadata: &EventMetadata) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(BUFFER, out);
        out.write_all(b"<stream>\n")?;
        Ok(Self {
            out,
            stanza: metadata.stanza.clone(),
            envelope: Envelope::new(metadata),
        })
    }

    /// What follows belongs to another stanza.
    pub fn set_metadata(&mut self, metadata: &EventMetadata) {
        self.stanza.clone_from(&metadata.stanza);
        self.envelope = Envelope::new(metadata);
    }

    /// Writes an event of our own: one JSON object under one of [`sourcetype`]'s names.
    pub fn note(&mut self, sourcetype: &str, time: Instant, json: &str) -> io::Result<()> {
        self.make_room(json.len())?;
        self.envelope.open(&mut self.out, time, sourcetype)?;
        xml::write_json(&mut self.out, json.as_bytes())?;
        Envelope::close(&mut self.out)
    }

    /// Ends the stream and hands back what it was written to, with everything flushed.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(b"</stream>\n")?;
        self.out.flush()?;
        self.out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
    }

    fn make_room(&mut self, size: usize) -> io::Result<()> {
        let used = self.out.buffer().len();
        if used > 0 && used.saturating_add(size).saturating_add(ENVELOPE) > BUFFER {
            self.out.flush()?;
        }
        Ok(())
    }

    fn quarantined(&mut self, event: &Event<'_>) -> io::Result<()> {
        let [first, second] = event.raw;
        let entry = LogEntry {
            time: event.time,
            level: "WARN",
            stanza: &self.stanza,
            message: format_args!("quarantined: {}", event.why.unwrap_or("no reason given")),
            raw: format_args!("{first}{second}"),
        };
        self.envelope
            .open(&mut self.out, event.time, sourcetype::LOG)?;
        serde_json::to_writer(Escaping(&mut self.out), &entry)?;
        Envelope::close(&mut self.out)
    }
}

impl<W: Write + Send> Sink for EventStream<W> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let [first, second] = event.raw;
        self.make_room(first.len().saturating_add(second.len()))?;
        let sourcetype = match event.kind {
            Kind::Alert => &self.envelope.alert,
            Kind::Incident => &self.envelope.incident,
            Kind::Record => &self.envelope.record,
            Kind::Quarantined => return self.quarantined(event),
        };
        self.envelope.open(&mut self.out, event.time, sourcetype)?;
        xml::write_json(&mut self.out, first.as_bytes())?;
        xml::write_json(&mut self.out, second.as_bytes())?;
        Envelope::close(&mut self.out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[derive(serde::Serialize)]
struct LogEntry<'e> {
    time: Instant,
    level: &'static str,
    stanza: &'e str,
    message: std::fmt::Arguments<'e>,
    raw: std::fmt::Arguments<'e>,
}

/// Escapes what passes through. The serializer writes a string in pieces that
/// end between characters, so no character is missed.
struct Escaping<'o, W: Write>(&'o mut BufWriter<W>);

impl<W: Write> Write for Escaping<'_, W> {
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        xml::write_json(self.0, json)?;
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Everything around an event's data, escaped once per stanza.
struct Envelope {
    before_time: String,
    before_sourcetype: String,
    alert: String,
    incident: String,
    record: String,
    before_data: String,
}

impl Envelope {
    fn new(metadata: &EventMetadata) -> Self {
        let mut before_data = String::from("</sourcetype>\n");
        for (element, value) in [("index", &metadata.index), ("host", &metadata.host)] {
            if let Some(value) = value {
                before_data.push_str(&format!("<{element}>{}</{element}>\n", xml::text(value)));
            }
        }
        before_data.push_str("<data>");
        Self {
            before_time: format!(
                "<event stanza=\"{}\" unbroken=\"1\">\n<time>",
                xml::text(&metadata.stanza)
            ),
            before_sourcetype: format!(
                "</time>\n<source>{}</source>\n<sourcetype>",
                xml::text(&metadata.source)
            ),
            alert: xml::text(&metadata.sourcetypes.alert),
            incident: xml::text(&metadata.sourcetypes.incident),
            record: xml::text(&metadata.sourcetypes.record),
            before_data,
        }
    }

    fn open(&self, out: &mut impl Write, time: Instant, sourcetype: &str) -> io::Result<()> {
        out.write_all(self.before_time.as_bytes())?;
        let millis = time.millis();
        let sign = if millis < 0 { "-" } else { "" };
        let millis = millis.unsigned_abs();
        write!(out, "{sign}{}.{:03}", millis / 1000, millis % 1000)?;
        out.write_all(self.before_sourcetype.as_bytes())?;
        out.write_all(sourcetype.as_bytes())?;
        out.write_all(self.before_data.as_bytes())
    }

    fn close(out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"</data>\n<done/>\n</event>\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splunk::modular_input::xml::tests::parsed;
    use proptest::prelude::*;

    fn metadata() -> EventMetadata {
        EventMetadata {
            stanza: "defender_bridge://a&b \"x\"".to_owned(),
            source: "defender_bridge:alerts:<tenant>".to_owned(),
            index: Some("security".to_owned()),
            host: None,
            sourcetypes: Sourcetypes::default(),
        }
    }

    fn event<'p>(kind: Kind, raw: [&'p str; 2], why: Option<&'p str>) -> Event<'p> {
        Event {
            kind,
            time: Instant::from_millis(1_717_171_717_005),
            raw,
            why,
        }
    }

    fn text(out: Vec<u8>) -> String {
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_stream_is_as_splunk_documents_it() {
        let mut stream = EventStream::open(Vec::new(), &metadata()).unwrap();
        stream
            .event(&event(Kind::Alert, [r#"{"title":"a<b & c>d"}"#, ""], None))
            .unwrap();
        stream
            .event(&event(
                Kind::Incident,
                [r#"{"id":"1","#, "\n\"x\":2}"],
                None,
            ))
            .unwrap();
        stream
            .event(&event(
                Kind::Quarantined,
                ["{\"n\":\"\u{1}\"", "}"],
                Some("no id"),
            ))
            .unwrap();
        stream.set_metadata(&EventMetadata {
            stanza: "defender_bridge://other".to_owned(),
            index: None,
            host: Some("hf1".to_owned()),
            ..metadata()
        });
        stream
            .note(sourcetype::HEALTH, Instant::EPOCH, r#"{"events":3}"#)
            .unwrap();
        stream
            .note(sourcetype::HEALTH, Instant::from_millis(-1), "{}")
            .unwrap();
        insta::assert_snapshot!(text(stream.finish().unwrap()));
    }

    #[test]
    fn every_kind_of_event_leaves_under_its_sourcetype() {
        for (kind, sourcetype) in [
            (Kind::Alert, sourcetype::ALERT),
            (Kind::Incident, sourcetype::INCIDENT),
            (Kind::Record, sourcetype::RECORD),
            (Kind::Quarantined, sourcetype::LOG),
        ] {
            let mut stream = EventStream::open(Vec::new(), &metadata()).unwrap();
            stream.event(&event(kind, ["{}", ""], None)).unwrap();
            let out = text(stream.finish().unwrap());
            let element = format!("<sourcetype>{sourcetype}</sourcetype>");
            assert!(out.contains(&element), "{out}");
        }
    }

    #[test]
    fn what_xml_forbids_in_a_record_becomes_a_json_escape_and_the_rest_stays() {
        let record = "{\"category\":\"a<b & c>d\",\r\n\"properties\":{\"x\":\"\u{1}\u{b}\u{fffe}\u{fffd}\\u0000]]>\"}}";
        let mut stream = EventStream::open(Vec::new(), &metadata()).unwrap();
        stream
            .event(&event(Kind::Record, [record, ""], None))
            .unwrap();
        let out = text(stream.finish().unwrap());
        let data = out.split("<data>").nth(1).unwrap();
        let data = parsed(data.split("</data>").next().unwrap());
        let escaped = record
            .replace('\u{1}', "\\u0001")
            .replace('\u{b}', "\\u000b")
            .replace('\u{fffe}', "\\ufffe");
        assert_eq!(data, escaped);
    }

    #[test]
    fn a_quarantined_element_leaves_as_one_json_object_with_its_bytes() {
        let raw = "{\"a\":\"\u{0}<\u{ffff}\r\n";
        let mut stream = EventStream::open(Vec::new(), &metadata()).unwrap();
        stream
            .event(&event(
                Kind::Quarantined,
                [raw, "tail"],
                Some("control \"character\""),
            ))
            .unwrap();
        let out = text(stream.finish().unwrap());
        let data = out.split("<data>").nth(1).unwrap();
        let data = parsed(data.split("</data>").next().unwrap());
        let entry: serde_json::Value = serde_json::from_str(&data).unwrap();
        assert_eq!(entry["raw"], format!("{raw}tail"));
        assert_eq!(entry["message"], "quarantined: control \"character\"");
        assert_eq!(entry["level"], "WARN");
        assert_eq!(entry["stanza"], metadata().stanza);
        assert_eq!(entry["time"], "2024-05-31T16:08:37.0050000Z");
    }

    /// Remembers every write apart.
    #[derive(Default)]
    struct Writes(Vec<Vec<u8>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn every_write_begins_and_ends_between_events(sizes in prop::collection::vec(0_usize..30_000, 1..20)) {
            let mut stream = EventStream::open(Writes::default(), &metadata()).unwrap();
            for size in &sizes {
                let json = format!("{{\"x\":\"{}\"}}", "y".repeat(*size));
                stream.event(&event(Kind::Alert, [&json, ""], None)).unwrap();
            }
            let writes = stream.finish().unwrap().0;
            for write in &writes {
                prop_assert!(write.ends_with(b">\n") && write.starts_with(b"<"));
            }
            let all = text(writes.concat());
            prop_assert_eq!(all.matches("<event ").count(), sizes.len());
            prop_assert_eq!(all.matches("</event>").count(), sizes.len());
        }
    }

    proptest! {
        #[test]
        fn a_parser_finds_every_event_as_it_was_put(
            stanza in "[\\PC\\n<>&\"']{1,20}",
            objects in prop::collection::vec(any::<String>(), 0..5),
        ) {
            let metadata = EventMetadata { stanza: stanza.clone(), source: stanza.clone(), ..metadata() };
            let mut stream = EventStream::open(Vec::new(), &metadata).unwrap();
            let objects: Vec<String> = objects
                .iter()
                .map(|value| serde_json::to_string(value).unwrap())
                .collect();
            for json in &objects {
                let middle = (0..=json.len() / 2).rev().find(|&at| json.is_char_boundary(at)).unwrap();
                let (first, second) = json.split_at(middle);
                stream.event(&event(Kind::Incident, [first, second], None)).unwrap();
            }
            let out = text(stream.finish().unwrap());
            let pieces = |tag: &str| -> Vec<String> {
                let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
                out.split(&open).skip(1).map(|piece| parsed(piece.split(&close).next().unwrap())).collect()
            };
            prop_assert_eq!(pieces("source"), vec![stanza; objects.len()]);
            let values = |json: &[String]| -> Vec<String> {
                json.iter().map(|json| serde_json::from_str(json).unwrap()).collect()
            };
            prop_assert_eq!(values(&pieces("data")), values(&objects));
        }
    }

    #[test]
    fn flush_hands_over_everything_written() {
        let mut stream = EventStream::open(Writes::default(), &metadata()).unwrap();
        stream.event(&event(Kind::Alert, ["{}", ""], None)).unwrap();
        assert!(stream.out.get_ref().0.is_empty());
        stream.flush().unwrap();
        let written = text(stream.out.get_ref().0.concat());
        assert!(written.ends_with("</event>\n"), "{written}");
    }

    #[test]
    fn a_closed_pipe_is_an_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut stream = EventStream::open(Closed, &metadata()).unwrap();
        stream.event(&event(Kind::Alert, ["{}", ""], None)).unwrap();
        assert_eq!(
            stream.flush().unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
