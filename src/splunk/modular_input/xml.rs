//! Text as XML 1.0 can carry it (W3C, *Extensible Markup Language 1.0*, §2.2, §2.4, §2.11).

use std::io::{self, Write};

/// Writes a JSON text as character data: read back by an XML parser it is the
/// same bytes, but for the characters XML 1.0 forbids. Those stand only inside
/// JSON strings and become the JSON escape `\uXXXX`, so the value is the same.
pub(in crate::splunk) fn write_json(out: &mut impl Write, json: &[u8]) -> io::Result<()> {
    let mut rest = json;
    while let Some((plain, tail)) = find(rest).and_then(|at| rest.split_at_checked(at)) {
        out.write_all(plain)?;
        let taken = match tail {
            [b'&', ..] => out.write_all(b"&amp;").map(|()| 1),
            [b'<', ..] => out.write_all(b"&lt;").map(|()| 1),
            [b'>', ..] => out.write_all(b"&gt;").map(|()| 1),
            // A parser turns a carriage return into a line feed, unless it is written as a reference.
            [b'\r', ..] => out.write_all(b"&#13;").map(|()| 1),
            [0xEF, 0xBF, last, ..] => write!(out, "\\uff{:02x}", last | 0xC0).map(|()| 3),
            [control, ..] => write!(out, "\\u{control:04x}").map(|()| 1),
            [] => Ok(0),
        }?;
        rest = tail.get(taken..).unwrap_or_default();
    }
    out.write_all(rest)
}

/// Where the next byte stands that cannot be written as it is.
fn find(bytes: &[u8]) -> Option<usize> {
    // Whole blocks without a branch inside: the compiler makes vector code of it.
    const BLOCK: usize = 64;
    let is_plain = |block: &[u8; BLOCK]| {
        let any = |any: u8, &byte: &u8| any | u8::from(suspicious(byte));
        block.iter().fold(0, any) == 0
    };
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let mut from = 0;
    for block in blocks {
        if !is_plain(block)
            && let Some(at) = find_among(bytes, from, from + BLOCK)
        {
            return Some(at);
        }
        from += BLOCK;
    }
    // The rest is the end of a whole block.
    if bytes.last_chunk().is_some_and(is_plain) {
        return None;
    }
    find_among(bytes, from, bytes.len())
}

fn find_among(bytes: &[u8], from: usize, to: usize) -> Option<usize> {
    let within = bytes.get(from..to)?;
    within
        .iter()
        .enumerate()
        .filter(|&(_, &byte)| suspicious(byte))
        .map(|(at, _)| from + at)
        .find(|&at| match bytes.get(at..) {
            // U+FFFE and U+FFFF in UTF-8; every other character that begins like them may stand.
            Some([0xEF, second, third, ..]) => *second == 0xBF && *third >= 0xBE,
            Some([0xEF, ..]) => false,
            _ => true,
        })
}

const fn suspicious(byte: u8) -> bool {
    ((byte < 0x20) & (byte != b'\n') & (byte != b'\t'))
        | (byte == b'&')
        | (byte == b'<')
        | (byte == b'>')
        | (byte == 0xEF)
}

/// Any text as character data or inside a quoted attribute; a character that
/// XML 1.0 forbids is replaced.
pub(in crate::splunk) fn text(raw: &str) -> String {
    let mut escaped = String::with_capacity(raw.len());
    for character in raw.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#13;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            allowed if is_char(allowed) => escaped.push(allowed),
            _ => escaped.push(char::REPLACEMENT_CHARACTER),
        }
    }
    escaped
}

/// The production `Char` of XML 1.0.
const fn is_char(character: char) -> bool {
    matches!(
        character,
        '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..
    )
}

#[cfg(test)]
pub(in crate::splunk) mod tests {
    use super::*;
    use proptest::prelude::*;
    use quick_xml::escape::resolve_xml_entity;
    use quick_xml::events::Event;

    /// What a reader of the stream gets, if every character is one XML 1.0 allows.
    pub(in crate::splunk) fn parsed(character_data: &str) -> String {
        assert!(character_data.chars().all(is_char), "{character_data:?}");
        assert!(!character_data.contains("]]>"));
        let document = format!("<data>{character_data}</data>");
        let mut reader = quick_xml::Reader::from_str(&document);
        let mut text = String::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Text(piece) => text.push_str(&piece.xml10_content()),
                Event::GeneralRef(reference) => {
                    match reference.resolve_char_ref().unwrap() {
                        Some(character) => text.push(character),
                        None => text.push_str(resolve_xml_entity(&reference.into_inner()).unwrap()),
                    };
                }
                Event::Eof => return text,
                _ => {}
            }
        }
    }

    fn written(json: &str) -> String {
        let mut out = Vec::new();
        write_json(&mut out, json.as_bytes()).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn by_the_rule(json: &str) -> String {
        json.chars()
            .map(|character| match character {
                allowed if is_char(allowed) => allowed.to_string(),
                forbidden => format!("\\u{:04x}", forbidden as u32),
            })
            .collect()
    }

    /// Every class of character in and beside the places where blocks meet.
    fn awkward() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            4 => prop::char::any(),
            4 => prop::char::range('\0', '\u{9f}'),
            2 => prop::char::range('\u{FFF0}', '\u{FFFF}'),
            8 => prop::sample::select(vec!['a', '<', '>', '&', '"', ']', '\r', '\n', '\t', '，', '\u{FFFD}']),
        ];
        (0_usize..200, prop::collection::vec(character, 0..200)).prop_map(|(pad, characters)| {
            let mut text = "x".repeat(pad);
            text.extend(characters);
            text
        })
    }

    proptest! {
        #[test]
        fn json_reads_back_as_it_was_sent(json in awkward()) {
            prop_assert_eq!(parsed(&written(&json)), by_the_rule(&json));
        }

        #[test]
        fn a_json_string_keeps_its_value(value in awkward()) {
            let json = serde_json::to_string(&value).unwrap();
            let read: String = serde_json::from_str(&parsed(&written(&json))).unwrap();
            prop_assert_eq!(read, value);
        }

        #[test]
        fn text_reads_back_but_for_forbidden_characters(value in awkward()) {
            let expected: String = value
                .chars()
                .map(|character| if is_char(character) { character } else { '\u{FFFD}' })
                .collect();
            prop_assert_eq!(parsed(&text(&value)), expected);
        }
    }

    #[test]
    fn what_xml_forbids_becomes_a_json_escape() {
        assert_eq!(
            written("\u{1}\u{7f}\u{fffe}\u{ffff}\u{fffd}"),
            "\\u0001\u{7f}\\ufffe\\uffff\u{fffd}"
        );
    }

    #[test]
    fn what_needs_no_escape_is_written_in_one_piece() {
        struct Count(usize);
        impl Write for Count {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut count = Count(0);
        write_json(&mut count, "{\"a\":\n\t\"ü，\"}".repeat(500).as_bytes()).unwrap();
        assert_eq!(count.0, 1);
    }
}
