//! The strict pass: every value whole, every record with the few members that are looked at.

use super::Found;
use crate::ingest::Instant;
use crate::ingest::stream::Record;
use crate::microsoft::list_answer::{span, unquoted_text as unquoted};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::ops::Range;

/// What of a record is looked at. Spans are those in the text it was read from.
#[derive(Default)]
pub struct Head<'a> {
    /// The first name, and what stands last: the record lies around them.
    first: Option<&'a str>,
    end: usize,
    time: Option<&'a str>,
    category: Option<&'a str>,
    /// `properties.Timestamp`.
    timestamp: Option<Instant>,
    /// What lies between the braces of `properties`.
    properties: Option<Range<usize>>,
    /// `records` is there, but no list.
    no_list: bool,
}

impl<'b> Found<'b> {
    /// Takes every record of a part that holds one value, or none; where it holds anything
    /// else it fails, and takes nothing.
    pub(super) fn strict(&mut self, part: Range<usize>) -> serde_json::Result<()> {
        let json = self.part(part.clone());
        let json = json.strip_prefix('\u{feff}').unwrap_or(json);
        if json.trim_ascii().is_empty() {
            return Ok(());
        }
        if self.quick(part) {
            return Ok(());
        }
        self.thorough(json)
    }

    /// The same for a value in any form.
    pub(super) fn thorough(&mut self, json: &'b str) -> serde_json::Result<()> {
        let before = (self.records.len(), self.unescaped.len());
        let mut from = serde_json::Deserializer::from_str(json);
        let read = Body(self).deserialize(&mut from).and_then(|()| from.end());
        if read.is_err() {
            self.records.truncate(before.0);
            self.properties.truncate(before.0);
            self.unescaped.truncate(before.1);
        }
        read
    }

    /// Takes a record that lies at a span of the body, or of what stands behind it; its
    /// head was read from the text that begins at `offset`.
    pub(super) fn record(&mut self, head: &Head<'_>, offset: usize, span: Range<usize>) {
        let category = head.category.and_then(unquoted);
        if category.is_some_and(|category| !self.tables.wants(&category)) {
            return;
        }
        let of_the_envelope = || instant(&head.time.and_then(unquoted)?);
        let time = head.timestamp.or_else(of_the_envelope);
        let properties = head.properties.as_ref();
        self.properties
            .push(properties.map_or(span.clone(), |inner| {
                inner.start + offset..inner.end + offset
            }));
        self.records.push(Record {
            time: time.unwrap_or(self.received),
            span,
        });
    }

    /// Takes a record out of a string.
    pub(super) fn string(&mut self, text: &str) -> Result<(), String> {
        let text = text.trim_start_matches('\u{feff}').trim_ascii();
        if !text.starts_with('{') {
            return Err("the text is no object".to_owned());
        }
        let head = Head::read(text).map_err(|why| format!("in its text, {why}"))?;
        let offset = self.body.len() + self.unescaped.len();
        let records = self.records.len();
        self.record(&head, offset, offset..offset + text.len());
        if self.records.len() > records {
            self.unescaped.push_str(text);
        }
        Ok(())
    }
}

/// Where Microsoft has no time it writes the first day of the first year.
fn instant(text: &str) -> Option<Instant> {
    let instant: Instant = text.parse().ok()?;
    (instant.ticks() > 0).then_some(instant)
}

impl<'a> Head<'a> {
    /// Reads an object that is a record.
    pub fn read(text: &'a str) -> Result<Self, String> {
        let mut from = serde_json::Deserializer::from_str(text);
        let head = HeadOf { text }.deserialize(&mut from);
        head.and_then(|head| from.end().map(|()| head))
            .map_err(|error| format!("it cannot be read: {error}"))
    }

    /// Takes a member in: its name and its value, as they stand in the text.
    pub(super) fn member(&mut self, text: &str, name: &'a str, value: &'a str) {
        let place = span(text, value);
        self.first.get_or_insert(name);
        self.end = place.end;
        match unquoted(name).as_deref() {
            Some("time") => self.time = Some(value),
            Some("category") => self.category = Some(value),
            Some("records") => self.no_list = !value.starts_with('['),
            Some("properties") if value.starts_with('{') => {
                self.timestamp = timestamp(value);
                self.properties = Some(place.start + 1..place.end - 1);
            }
            _ => {}
        }
    }

    /// Whether it is an envelope that lists no records.
    pub(super) fn is_no_record(&self) -> bool {
        self.no_list && self.category.is_none() && self.properties.is_none()
    }

    /// Where the record lies, by what lies around its members.
    fn around(&self, text: &str) -> Option<Range<usize>> {
        let first = span(text, self.first?).start;
        let start = text.get(..first)?.trim_ascii_end().len().checked_sub(1)?;
        Some(start..closed(text, self.end)? + 1)
    }
}

/// Where the brace stands that closes an object whose last member ends here.
fn closed(text: &str, end: usize) -> Option<usize> {
    let rest = text.get(end..)?;
    let space = rest.len() - rest.trim_ascii_start().len();
    Some(end + space)
}

/// A whole body: an envelope, a list, or one record.
struct Body<'f, 'b>(&'f mut Found<'b>);

impl<'b> DeserializeSeed<'b> for Body<'_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for Body<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<(), A::Error> {
        let text = self.0.body;
        let mut head = Head::default();
        let mut listed = false;
        while let Some(name) = map.next_key::<&'b RawValue>()? {
            if name.get() == "\"records\"" {
                listed = true;
                map.next_value_seed(List(&mut *self.0))?;
            } else if listed {
                map.next_value::<IgnoredAny>()?;
            } else {
                let value: &'b RawValue = map.next_value()?;
                head.member(text, name.get(), value.get());
            }
        }
        if !listed {
            let span = head.around(text).ok_or_else(without_members)?;
            self.0.record(&head, 0, span);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'b>>(self, seq: A) -> Result<(), A::Error> {
        List(self.0).visit_seq(seq)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.string(text).map_err(E::custom)
    }
}

/// A list of records.
struct List<'f, 'b>(&'f mut Found<'b>);

impl<'b> DeserializeSeed<'b> for List<'_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'b> Visitor<'b> for List<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Element(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

/// One record of a list.
struct Element<'f, 'b>(&'f mut Found<'b>);

impl<'b> DeserializeSeed<'b> for Element<'_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for Element<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'b>>(self, map: A) -> Result<(), A::Error> {
        let text = self.0.body;
        let head = HeadOf { text }.visit_map(map)?;
        let span = head.around(text).ok_or_else(without_members)?;
        self.0.record(&head, 0, span);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.string(text).map_err(E::custom)
    }
}

/// A record's members.
struct HeadOf<'a> {
    text: &'a str,
}

impl<'a> DeserializeSeed<'a> for HeadOf<'a> {
    type Value = Head<'a>;

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<Head<'a>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for HeadOf<'a> {
    type Value = Head<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Head<'a>, A::Error> {
        let mut head = Head::default();
        while let Some(name) = map.next_key::<&'a RawValue>()? {
            let value: &RawValue = map.next_value()?;
            head.member(self.text, name.get(), value.get());
        }
        if head.is_no_record() {
            return Err(A::Error::custom("its `records` are no list"));
        }
        Ok(head)
    }
}

/// The `Timestamp` of an object.
fn timestamp(object: &str) -> Option<Instant> {
    #[derive(serde::Deserialize)]
    struct Properties<'a> {
        #[serde(rename = "Timestamp", borrow)]
        timestamp: Option<&'a RawValue>,
    }
    match outermost(object) {
        Some(text) => instant(text),
        None => {
            let properties: Properties<'_> = serde_json::from_str(object).ok()?;
            instant(&unquoted(properties.timestamp?.get())?)
        }
    }
}

/// The text of `Timestamp` where it is the first or the last member, as most tables have
/// it: then what lies between need not be read once more.
fn outermost(object: &str) -> Option<&str> {
    const NAME: &str = "\"Timestamp\"";
    let inner = object.strip_prefix('{')?.strip_suffix('}')?.trim_ascii();
    let text = if let Some(first) = inner.strip_prefix(NAME) {
        let value = first.trim_ascii_start().strip_prefix(':')?;
        value
            .trim_ascii_start()
            .strip_prefix('"')?
            .split('"')
            .next()?
    } else {
        let (before, last) = inner.strip_suffix('"')?.rsplit_once('"')?;
        let name = before.trim_ascii_end().strip_suffix(':')?;
        let others = name.trim_ascii_end().strip_suffix(NAME)?;
        // A quote behind a backslash begins no name.
        if others.ends_with('\\') {
            return None;
        }
        last
    };
    (!text.contains('\\')).then_some(text)
}

/// Nothing tells where an object without members lies.
fn without_members<E: Error>() -> E {
    E::custom("an object without members")
}
