//! A body that fails the strict pass: what is a record in it is taken, what is none is set
//! aside with a reason.

use super::Found;
use super::strict::Head;
use crate::microsoft::list_answer::what;
use serde_json::value::RawValue;
use std::ops::Range;

/// So often a bracket without an end is looked for through the whole of a body.
const PATIENCE: usize = 16;

impl Found<'_> {
    /// Takes what can be taken of a part.
    pub(super) fn recover(&mut self, part: Range<usize>) {
        let mut walk = Walk {
            bytes: self.body.as_bytes().get(..part.end).unwrap_or_default(),
            at: part.start,
            patience: PATIENCE,
        };
        loop {
            walk.space();
            let start = walk.at;
            let Some(byte) = walk.peek() else { return };
            let whole = match byte {
                b'{' | b'[' => walk.whole(),
                _ => None,
            };
            if let Some(end) = whole
                && self.strict(start..end).is_ok()
            {
                walk.at = end;
            } else if walk.enter_list() {
                self.elements(&mut walk);
                if byte == b'{' {
                    walk.leave();
                }
            } else {
                walk.at = start;
                match whole {
                    Some(end) => walk.at = end,
                    None => walk.line(),
                }
                self.element(start..walk.at);
            }
        }
    }

    /// The elements of a list, up to its end or the body's.
    fn elements(&mut self, walk: &mut Walk<'_>) {
        loop {
            walk.space();
            let start = walk.at;
            match walk.peek() {
                None => return,
                Some(b',') => {
                    walk.at += 1;
                    continue;
                }
                Some(b']') => {
                    walk.at += 1;
                    return;
                }
                Some(b'{' | b'[') => match walk.whole() {
                    Some(end) => walk.at = end,
                    None => walk.line(),
                },
                Some(b'"') => match walk.string() {
                    Some(end) => walk.at = end,
                    None => walk.line(),
                },
                Some(_) => walk.word(),
            }
            self.element(start..walk.at);
        }
    }

    fn element(&mut self, span: Range<usize>) {
        let text = self.part(span.clone()).trim_ascii_end();
        let span = span.start..span.start + text.len();
        let taken = match text.as_bytes().first() {
            Some(b'{') => Head::read(text).map(|head| self.record(&head, span.start, span.clone())),
            Some(b'"') => serde_json::from_str::<String>(text)
                .map_err(|error| format!("it cannot be read: {error}"))
                .and_then(|text| self.string(&text)),
            _ => Err(match serde_json::from_str::<&RawValue>(text) {
                Ok(value) => format!("it is {}, not an object", what(value)),
                Err(error) => format!("it cannot be read: {error}"),
            }),
        };
        if let Err(why) = taken {
            self.quarantine(span, why);
        }
    }
}

/// A place in a body, which is followed by its brackets and strings alone.
#[derive(Clone, Copy)]
struct Walk<'b> {
    bytes: &'b [u8],
    at: usize,
    patience: usize,
}

impl Walk<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Passes over white space and byte order marks.
    fn space(&mut self) {
        loop {
            match self.rest() {
                [b' ' | b'\t' | b'\r' | b'\n', ..] => self.at += 1,
                [0xEF, 0xBB, 0xBF, ..] => self.at += 3,
                _ => return,
            }
        }
    }

    /// Goes behind the line.
    fn line(&mut self) {
        let rest = self.rest();
        self.at += memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
    }

    /// Goes behind what is neither a string nor in brackets.
    fn word(&mut self) {
        let rest = self.rest().get(1..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b',' | b'[' | b']' | b'{' | b'}' | b'"' | b'\n');
        self.at += 1 + rest.iter().position(ends).unwrap_or(rest.len());
    }

    /// The end of the string that begins here. No string goes on behind its line.
    fn string(&self) -> Option<usize> {
        let mut at = self.at + 1;
        loop {
            let rest = self.bytes.get(at..)?;
            at += memchr::memchr3(b'"', b'\\', b'\n', rest)?;
            match self.bytes.get(at)? {
                b'"' => return Some(at + 1),
                b'\\' => at += 2,
                _ => return None,
            }
        }
    }

    /// The end of what is in brackets from here on, whatever stands between them.
    fn whole(&mut self) -> Option<usize> {
        self.end(0)
    }

    /// Goes behind the object whose list has been left, where it ends.
    fn leave(&mut self) {
        if let Some(end) = self.end(1) {
            self.at = end;
        }
    }

    /// Where as many brackets have been closed as are open here, and on the way.
    fn end(&mut self, open: usize) -> Option<usize> {
        self.patience.checked_sub(1)?;
        let end = self.closed(open);
        if end.is_none() {
            self.patience -= 1;
        }
        end
    }

    fn closed(self, mut open: usize) -> Option<usize> {
        let mut inside = self;
        loop {
            match inside.peek()? {
                b'{' | b'[' => open += 1,
                b'}' | b']' if open <= 1 => return Some(inside.at + 1),
                b'}' | b']' => open -= 1,
                b'"' => {
                    inside.at = inside.string()?;
                    continue;
                }
                _ => {}
            }
            inside.at += 1;
        }
    }

    /// Goes into the list that begins here, or into the one that is `records` of the
    /// object that does; whether there is one.
    fn enter_list(&mut self) -> bool {
        match self.peek() {
            Some(b'[') => {
                self.at += 1;
                return true;
            }
            Some(b'{') => {}
            _ => return false,
        }
        loop {
            self.at += 1;
            self.space();
            let start = self.at;
            let Some(end) = (self.peek() == Some(b'"')).then(|| self.string()).flatten() else {
                return false;
            };
            let records = self.bytes.get(start..end) == Some(b"\"records\"");
            self.at = end;
            self.space();
            if self.peek() != Some(b':') {
                return false;
            }
            self.at += 1;
            self.space();
            let end = match self.peek() {
                Some(b'[') if records => {
                    self.at += 1;
                    return true;
                }
                Some(b'{' | b'[') => self.whole(),
                Some(b'"') => self.string(),
                Some(_) => {
                    self.word();
                    Some(self.at)
                }
                None => None,
            };
            let Some(end) = end else { return false };
            self.at = end;
            self.space();
            if self.peek() != Some(b',') {
                return false;
            }
        }
    }
}
