//! JSON read as far as it is needed: text that was cut inside a character, odd
//! bytes and keys that stand twice are no reason to refuse a whole answer.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// What stands for a character that cannot be read.
const UNREADABLE: &str = "\\ufffd";

/// The answer as a strict reader takes it: bytes that are no UTF-8 and halves of
/// surrogate pairs become U+FFFD, control characters within texts become blanks.
pub(in crate::microsoft) fn lenient(body: &[u8]) -> Cow<'_, str> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    let faults = faults(text.as_bytes());
    if faults.is_empty() {
        return text;
    }
    let mut mended = String::with_capacity(text.len());
    let mut done = 0;
    for Range { start, end } in faults {
        mended.push_str(text.get(done..start).unwrap_or_default());
        mended.push_str(if end - start == 1 { " " } else { UNREADABLE });
        done = end;
    }
    mended.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(mended)
}

/// Where a control character (one byte) or half a surrogate pair (six) stands in a text.
fn faults(json: &[u8]) -> Vec<Range<usize>> {
    let mut faults = Vec::new();
    let (mut at, mut quoted) = (0, false);
    while let Some(byte) = json.get(at) {
        let length = match byte {
            b'\\' if quoted => match (unit(json, at), unit(json, at + 6)) {
                (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
                (Some(0xD800..=0xDFFF), _) => {
                    faults.push(at..at + 6);
                    6
                }
                _ => 2,
            },
            b'"' => {
                quoted = !quoted;
                1
            }
            0..0x20 if quoted => {
                faults.push(at..at + 1);
                1
            }
            _ => 1,
        };
        at += length;
    }
    faults
}

/// The UTF-16 unit written as `\uXXXX` there.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The members of an object in their order, none of them looked into.
#[derive(Debug, Default)]
pub(in crate::microsoft) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    pub fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// All that stand under a name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a RawValue> {
        let of = move |(key, _): &&(String, &'a RawValue)| key == name;
        self.0.iter().filter(of).map(|(_, value)| *value)
    }

    /// The last that stands under a name, as most readers have it.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.all(name).last()
    }

    /// The last under a name, where it is a text that is not empty.
    pub fn text(&self, name: &str) -> Option<String> {
        text(self.get(name)?).filter(|text| !text.is_empty())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Reading).map(Self)
    }
}

/// A value that is a text.
pub(in crate::microsoft) fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// A text, or a number as it is written.
pub(in crate::microsoft) fn text_or_number(value: &RawValue) -> Option<String> {
    let number = || {
        let digit = |c: char| c.is_ascii_digit() || c == '-';
        value
            .get()
            .starts_with(digit)
            .then(|| value.get().to_owned())
    };
    text(value).or_else(number)
}

/// The elements of a list; what is none, and not `null`, is its own only element.
pub(in crate::microsoft) fn elements(value: &RawValue) -> Vec<&RawValue> {
    match serde_json::from_str(value.get()) {
        Ok(list) => list,
        Err(_) if value.get() == "null" => Vec::new(),
        Err(_) => vec![value],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn halves_of_a_character_are_read_as_one_that_cannot_be() {
        for (json, read) in [
            (r#""cut \ud83d""#, "cut \u{fffd}"),
            (r#""\udE00 cut""#, "\u{fffd} cut"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\ud83d\\ude00""#, "\u{fffd}\\ude00"),
            (r#""\\ud83d""#, "\\ud83d"),
            (r#""\ud83""#, ""),
            ("\"a\tb\"", "a b"),
        ] {
            let mended = lenient(json.as_bytes());
            let text: String = serde_json::from_str(&mended).unwrap_or_default();
            assert_eq!(text, read, "{json}");
        }
        assert_eq!(lenient(b"\xef\xbb\xbf\"\x8e\""), "\"\u{fffd}\"");
    }

    #[test]
    fn what_a_strict_reader_takes_is_left_as_it_is() {
        let sound = r#"{"a": "\ud83d\ude00 \u00e9 \\ \" é",
            "b": [1, null]}"#;
        assert!(matches!(lenient(sound.as_bytes()), Cow::Borrowed(text) if text == sound));
    }

    #[test]
    fn keys_may_stand_twice_and_the_last_counts() {
        let members = Members::read(r#"{"a": 1, "b": [2], "a": "x", "c": ""}"#).unwrap();
        assert_eq!(members.text("a").as_deref(), Some("x"));
        assert_eq!(members.all("a").count(), 2);
        assert_eq!((members.text("b"), members.text("c")), (None, None));
        assert!(Members::read("[]").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_mended_without_a_panic(body: Vec<u8>, json in r#"["\\\\ud8cD0-9a-f{}:, \x00-\x1f]{0,80}"#) {
            drop(lenient(&body));
            drop(lenient(json.as_bytes()));
        }

        #[test]
        fn what_is_read_strictly_is_read_the_same(text: String, escaped: bool) {
            let mut json = serde_json::to_string(&text).unwrap();
            if escaped {
                let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
                json = format!("\"{}\"", units.collect::<String>());
            }
            prop_assert_eq!(serde_json::from_str::<String>(&lenient(json.as_bytes())).unwrap(), text);
        }

        #[test]
        fn no_text_of_any_units_is_refused(units in prop::collection::vec(prop_oneof![0xD7F0u16..0xE010, any::<u16>()], 0..12)) {
            let escapes: String = units.iter().map(|unit| format!("\\u{unit:04X}")).collect();
            let json = format!("{{\"{escapes}\": \"{escapes}\"}}");
            let value: Value = serde_json::from_str(&lenient(json.as_bytes())).unwrap();
            let read = String::from_utf16_lossy(&units);
            prop_assert_eq!(value, serde_json::json!({read.clone(): read}));
        }
    }
}
