//! Bytes as splunkd writes them, read as UTF-8: by byte order mark, else by the
//! first character of an XML document, else UTF-8.
//!
//! Nothing is read beyond what is asked for: the pipe behind it may stay open
//! for ever.

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::io::{self, BufRead, Read};

const CHUNK: usize = 8 * 1024;

/// A reader of UTF-8 over foreign bytes, at most `limit` of them.
pub(in crate::splunk) struct Utf8Reader<R> {
    inner: R,
    left: usize,
    decoder: Option<Decoder>,
    text: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Utf8Reader<R> {
    pub(in crate::splunk) fn new(inner: R, limit: usize) -> Self {
        Self {
            inner,
            left: limit,
            decoder: None,
            text: Vec::new(),
            at: 0,
            ended: false,
        }
    }

    /// Whether the end of the bytes was reached.
    pub(in crate::splunk) fn ended(&self) -> bool {
        self.ended
    }

    /// Some bytes, or none at the end.
    fn chunk(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let mut bytes = [0; CHUNK];
        let read = loop {
            match self.inner.read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.left = self.left.checked_sub(read).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "it is larger than allowed")
        })?;
        into.extend_from_slice(bytes.get(..read).unwrap_or_default());
        Ok(read)
    }

    fn refill(&mut self) -> io::Result<()> {
        let mut raw = Vec::with_capacity(CHUNK);
        // The longest byte order mark has three bytes, and a pipe may hand over one at a time.
        let enough = if self.decoder.is_none() { 3 } else { 1 };
        while raw.len() < enough && !self.ended {
            self.ended = self.chunk(&mut raw)? == 0;
        }
        let decoder = self
            .decoder
            .get_or_insert_with(|| spoken(&raw).new_decoder_with_bom_removal());
        let room = decoder
            .max_utf8_buffer_length_without_replacement(raw.len())
            .unwrap_or(raw.len().saturating_mul(3));
        self.text.clear();
        self.text.resize(room, 0);
        self.at = 0;
        let (result, _, written) =
            decoder.decode_to_utf8_without_replacement(&raw, &mut self.text, self.ended);
        self.text.truncate(written);
        match result {
            DecoderResult::InputEmpty => Ok(()),
            DecoderResult::Malformed(..) | DecoderResult::OutputFull => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it holds bytes that are no UTF-8 or UTF-16 text",
            )),
        }
    }
}

fn spoken(start: &[u8]) -> &'static Encoding {
    match start {
        [0xFF, 0xFE, ..] | [b'<', 0, ..] => UTF_16LE,
        [0xFE, 0xFF, ..] | [0, b'<', ..] => UTF_16BE,
        _ => UTF_8,
    }
}

impl<R: Read> BufRead for Utf8Reader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at >= self.text.len() && !self.ended {
            self.refill()?;
        }
        Ok(self.text.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at = self.at.saturating_add(amount);
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
pub(in crate::splunk) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hands out one byte a time, and breaks when asked for more than it has.
    pub(in crate::splunk) struct Dripping<'b>(pub &'b [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let (first, rest) = self
                .0
                .split_first()
                .expect("nobody reads on from an open pipe");
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    pub(in crate::splunk) fn utf16(text: &str, mark: bool, little: bool) -> Vec<u8> {
        let units = mark
            .then_some(0xFEFF)
            .into_iter()
            .chain(text.encode_utf16());
        let bytes = |unit: u16| {
            if little {
                unit.to_le_bytes()
            } else {
                unit.to_be_bytes()
            }
        };
        units.flat_map(bytes).collect()
    }

    fn read(bytes: &[u8], limit: usize) -> io::Result<String> {
        let mut text = String::new();
        Utf8Reader::new(bytes, limit).read_to_string(&mut text)?;
        Ok(text)
    }

    proptest! {
        #[test]
        fn text_survives_every_encoding(tail in "\\PC*", little in any::<bool>(), mark in any::<bool>()) {
            let text = format!("<{tail}");
            prop_assert_eq!(read(&utf16(&text, mark, little), 1 << 20).unwrap(), text.clone());
            prop_assert_eq!(read(text.as_bytes(), 1 << 20).unwrap(), text.clone());
            let marked = format!("\u{FEFF}{text}");
            prop_assert_eq!(read(marked.as_bytes(), 1 << 20).unwrap(), text);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            drop(read(&bytes, 1 << 20));
        }
    }

    #[test]
    fn refuses_bytes_that_are_no_text() {
        assert!(read(b"<a>\xC3\x28</a>", 100).is_err());
        assert!(read(b"\xFF\xFE<\0a", 100).is_err(), "half a character");
    }

    #[test]
    fn reads_no_more_than_allowed() {
        assert!(read(b"12345", 5).is_ok());
        assert!(read(b"123456", 5).is_err());
    }
}
