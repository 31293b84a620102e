//! The form Defender writes, in one quick pass: an object of `records`, or one record.
//!
//! It takes no text that the strict pass would not take, and finds the same in it. Whatever
//! is in any doubt it leaves to that pass: escaped names, records in strings, other members
//! beside the records.

use super::Found;
use super::strict::Head;
use std::ops::Range;

const RECORDS: &str = "\"records\"";
/// Values that lie deeper in each other are left to the strict pass.
const DEEPEST: u32 = 64;

impl Found<'_> {
    /// Takes every record of a part; where that fails nothing is taken.
    pub(super) fn quick(&mut self, part: Range<usize>) -> bool {
        let before = self.records.len();
        let taken = self.whole(part).is_some();
        if !taken {
            self.records.truncate(before);
            self.properties.truncate(before);
        }
        taken
    }

    fn whole(&mut self, part: Range<usize>) -> Option<()> {
        let text = self.body.get(..part.end)?;
        let mut scan = Scan::new(text, part.start);
        scan.space();
        let start = scan.at;
        scan.expect(b'{')?;
        scan.space();
        if !text.get(scan.at..)?.starts_with(RECORDS) {
            let mut scan = Scan::new(text, start);
            self.one(&mut scan, true)?;
            return scan.end();
        }
        scan.at += RECORDS.len();
        scan.colon()?;
        scan.expect(b'[')?;
        loop {
            scan.space();
            self.one(&mut scan, false)?;
            scan.space();
            match scan.next()? {
                b',' => {}
                b']' => break,
                _ => return None,
            }
        }
        scan.space();
        scan.expect(b'}')?;
        scan.end()
    }

    /// One record. Where it stands alone it has no `records`: it would be an envelope.
    fn one(&mut self, scan: &mut Scan<'_>, is_alone: bool) -> Option<()> {
        let text = scan.text;
        let mut head = Head::default();
        let start = scan.at;
        scan.expect(b'{')?;
        loop {
            scan.space();
            let name = scan.at;
            scan.name()?;
            let name = text.get(name..scan.at)?;
            if is_alone && name == RECORDS {
                return None;
            }
            scan.colon()?;
            let value = scan.at;
            scan.value()?;
            head.member(text, name, text.get(value..scan.at)?);
            scan.space();
            match scan.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        if head.is_no_record() {
            return None;
        }
        self.record(&head, 0, start..scan.at);
        Some(())
    }
}

struct Scan<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
}

impl<'t> Scan<'t> {
    fn new(text: &'t str, at: usize) -> Self {
        let bytes = text.as_bytes();
        Self { text, bytes, at }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn colon(&mut self) -> Option<()> {
        self.space();
        self.expect(b':')?;
        self.space();
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        self.space();
        (self.at == self.bytes.len()).then_some(())
    }

    /// A string without escapes.
    fn name(&mut self) -> Option<()> {
        self.expect(b'"')?;
        (self.plain()? == b'"').then_some(())
    }

    /// The rest of a string.
    fn string(&mut self) -> Option<()> {
        loop {
            match self.plain()? {
                b'"' => return Some(()),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        let digits = self.bytes.get(self.at..self.at + 4)?;
                        if !digits.iter().all(u8::is_ascii_hexdigit) {
                            return None;
                        }
                        self.at += 4;
                    }
                    _ => return None,
                },
                // A control character.
                _ => return None,
            }
        }
    }

    /// Goes behind the next quote, backslash or control character of a string.
    fn plain(&mut self) -> Option<u8> {
        while let Some(eight) = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.first_chunk())
        {
            match special(u64::from_le_bytes(*eight)) {
                Some(first) => {
                    self.at += first;
                    return self.next();
                }
                None => self.at += 8,
            }
        }
        loop {
            let byte = self.next()?;
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                return Some(byte);
            }
        }
    }

    /// Goes behind a value.
    fn value(&mut self) -> Option<()> {
        // A bit for each object or list around: whether it is an object.
        let (mut around, mut depth) = (0_u64, 0_u32);
        loop {
            let byte = self.next()?;
            match byte {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    let is_object = byte == b'{';
                    self.space();
                    if *self.bytes.get(self.at)? == byte + 2 {
                        self.at += 1;
                    } else {
                        if depth == DEEPEST {
                            return None;
                        }
                        depth += 1;
                        around = (around << 1) | u64::from(is_object);
                        if is_object {
                            self.member()?;
                        }
                        continue;
                    }
                }
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                b'-' | b'0'..=b'9' => self.number(byte)?,
                _ => return None,
            }
            loop {
                if depth == 0 {
                    return Some(());
                }
                let is_object = around & 1 == 1;
                self.space();
                match self.next()? {
                    b',' => {
                        self.space();
                        if is_object {
                            self.member()?;
                        }
                        break;
                    }
                    b'}' if is_object => {}
                    b']' if !is_object => {}
                    _ => return None,
                }
                around >>= 1;
                depth -= 1;
            }
        }
    }

    /// A member's name, and the colon.
    fn member(&mut self) -> Option<()> {
        self.expect(b'"')?;
        self.string()?;
        self.colon()
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        let found = self.bytes.get(self.at..)?.starts_with(rest);
        self.at += rest.len();
        found.then_some(())
    }

    /// The rest of a number that begins so.
    fn number(&mut self, first: u8) -> Option<()> {
        let first = match first {
            b'-' => self.next()?,
            first => first,
        };
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Option<()> {
        let before = self.at;
        self.digits();
        (self.at > before).then_some(())
    }
}

/// Where among eight bytes the first quote, backslash or control character stands.
fn special(eight: u64) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    // The lowest bit that is set is right; one above it may have been carried over.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let quotes = zeros(eight ^ (ONES * b'"' as u64));
    let backslashes = zeros(eight ^ (ONES * b'\\' as u64));
    let controls = eight.wrapping_sub(ONES * 0x20) & !eight;
    let found = (quotes | backslashes | controls) & (ONES << 7);
    (found != 0).then_some((found.trailing_zeros() / 8) as usize)
}
