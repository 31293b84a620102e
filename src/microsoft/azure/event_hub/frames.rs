//! What a hub sends, as the library takes it.
//!
//! The library refuses, or takes amiss, some of what AMQP 1.0 allows a peer. A message that it cannot decode
//! is lost, so that what nobody here reads is taken out of the bytes before the library sees them:
//!
//! * of a partition's message all but position, time and body: no property and no footer, whatever stands in
//!   it, keeps a body from being read;
//! * the largest message a hub says it sends: the annotations it adds come on top of that;
//! * where a hub begins to count the messages of a link, if it leaves that out: with none;
//! * how many messages a hub counts on a link: it counts those that wait here too, which the library would
//!   count again;
//! * what a frame's header may hold besides.
//!
//! Frames are looked at and handed on, never gathered: what is cut between two of them goes on as it came.

use super::connection::{LINK, MOST_FRAME};
use super::position::{ENQUEUED, EPOCH, OFFSET, SEQUENCE};
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes in front of a frame's body: size, where the body begins, type and channel.
const HEADER: usize = 8;
/// Two frames, so that one is read while the other is handed on.
const BUFFER: usize = 2 * MOST_FRAME as usize;

/// Descriptors may be names, too.
const NAMES: [(&str, u64); 14] = [
    ("amqp:attach:list", ATTACH),
    ("amqp:flow:list", FLOW),
    ("amqp:transfer:list", TRANSFER),
    ("amqp:detach:list", DETACH),
    ("amqp:end:list", END),
    ("amqp:header:list", 0x70),
    ("amqp:delivery-annotations:map", 0x71),
    ("amqp:message-annotations:map", 0x72),
    ("amqp:properties:list", 0x73),
    ("amqp:application-properties:map", 0x74),
    ("amqp:data:binary", 0x75),
    ("amqp:amqp-sequence:list", 0x76),
    ("amqp:amqp-value:*", 0x77),
    ("amqp:footer:map", 0x78),
];

const ATTACH: u64 = 0x12;
const FLOW: u64 = 0x13;
const TRANSFER: u64 = 0x14;
const DETACH: u64 = 0x16;
const END: u64 = 0x17;

/// A byte stream from and to a hub.
#[derive(Debug)]
pub(super) struct Frames<S> {
    inner: S,
    buffer: Vec<u8>,
    /// Of the buffer: bytes read, and bytes of whole frames looked at.
    filled: usize,
    parsed: usize,
    chunks: VecDeque<Chunk>,
    /// Links on which the hub sends, by channel and handle.
    links: HashMap<(u16, u32), Link>,
    /// What comes is no AMQP: the library says so.
    passthrough: bool,
}

/// Bytes to hand on.
#[derive(Debug)]
enum Chunk {
    Buffered(Range<usize>),
    Owned(Vec<u8>),
}

#[derive(Debug)]
struct Link {
    /// A partition's; else one with replies.
    is_partition: bool,
    section: Section,
}

/// Where in a message the next transfer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// A section begins.
    Begin,
    Pass(usize),
    Skip(usize),
    /// Cut where it cannot be told how long it is: the rest goes on as it came.
    Unknown,
}

impl<S> Frames<S> {
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner,
            buffer: Vec::new(),
            filled: 0,
            parsed: 0,
            chunks: VecDeque::new(),
            links: HashMap::new(),
            passthrough: false,
        }
    }

    /// Hands on what is there of chunks; false where there is nothing.
    fn copy_into(&mut self, into: &mut ReadBuf<'_>) -> bool {
        let before = into.filled().len();
        while into.remaining() > 0 {
            let Some(chunk) = self.chunks.front_mut() else {
                break;
            };
            let bytes = match chunk {
                Chunk::Buffered(range) => self.buffer.get(range.clone()).unwrap_or_default(),
                Chunk::Owned(bytes) => bytes.as_slice(),
            };
            let count = bytes.len().min(into.remaining());
            into.put_slice(bytes.get(..count).unwrap_or_default());
            if count == bytes.len() {
                self.chunks.pop_front();
                continue;
            }
            match chunk {
                Chunk::Buffered(range) => range.start += count,
                Chunk::Owned(bytes) => drop(bytes.drain(..count)),
            }
        }
        into.filled().len() > before
    }

    /// Looks at the whole frames that are there.
    fn parse(&mut self) {
        while !self.passthrough {
            let read = self.buffer.get(self.parsed..self.filled);
            let Some((head, _)) = read.and_then(|read| read.split_at_checked(HEADER)) else {
                return;
            };
            // Between frames the protocol is named, with a header of its own.
            let size = match head.strip_prefix(b"AMQP") {
                Some(_) => HEADER,
                None => number(head.get(..4)).unwrap_or(0) as usize,
            };
            if !(HEADER..=MOST_FRAME as usize).contains(&size) {
                self.passthrough = true;
                break;
            }
            let end = self.parsed + size;
            if end > self.filled {
                return;
            }
            let range = self.parsed..end;
            self.parsed = end;
            let frame = self.buffer.get(range.clone()).unwrap_or_default();
            match rewrite_frame(frame, &mut self.links) {
                None => self.chunks.push_back(Chunk::Buffered(range)),
                Some(chunks) => {
                    let offset = range.start;
                    self.chunks
                        .extend(chunks.into_iter().map(|chunk| match chunk {
                            Chunk::Buffered(of) => {
                                Chunk::Buffered(offset + of.start..offset + of.end)
                            }
                            owned => owned,
                        }));
                }
            }
        }
        if self.passthrough && self.parsed < self.filled {
            self.chunks
                .push_back(Chunk::Buffered(self.parsed..self.filled));
            self.parsed = self.filled;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if into.remaining() == 0 || this.copy_into(into) {
                return Poll::Ready(Ok(()));
            }
            this.parse();
            if !this.chunks.is_empty() {
                continue;
            }
            if this.parsed > 0 {
                this.buffer.copy_within(this.parsed..this.filled, 0);
                this.filled -= this.parsed;
                this.parsed = 0;
            }
            this.buffer.resize(BUFFER, 0);
            let space = this.buffer.get_mut(this.filled..).unwrap_or_default();
            let mut space = ReadBuf::new(space);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut space))?;
            match space.filled().len() {
                // A frame that is cut off is nobody's.
                0 => return Poll::Ready(Ok(())),
                count => this.filled += count,
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// A frame as the library takes it; None where that is as it came.
fn rewrite_frame(frame: &[u8], links: &mut HashMap<(u16, u32), Link>) -> Option<Vec<Chunk>> {
    let (head, _) = frame.split_at_checked(HEADER)?;
    let &[_, _, _, _, begin, 0, high, low] = head else {
        return None;
    };
    if head.starts_with(b"AMQP") {
        return None;
    }
    let channel = u16::from_be_bytes([high, low]);
    let begin = usize::from(begin) * 4;
    let body = frame.get(begin..).filter(|_| begin >= HEADER)?;
    let rewritten = rewrite_performative(body, channel, links);
    let chunks = match (rewritten, begin) {
        (None, HEADER) => return None,
        (None, _) => vec![Chunk::Buffered(0..body.len())],
        (Some(chunks), _) => chunks,
    };
    let size = |chunk: &Chunk| match chunk {
        Chunk::Buffered(range) => range.len(),
        Chunk::Owned(bytes) => bytes.len(),
    };
    let size = HEADER + chunks.iter().map(size).sum::<usize>();
    let mut head = u32::try_from(size).ok()?.to_be_bytes().to_vec();
    head.extend([2, 0, high, low]);
    let chunks = chunks.into_iter().map(|chunk| match chunk {
        Chunk::Buffered(of) => Chunk::Buffered(begin + of.start..begin + of.end),
        owned => owned,
    });
    Some(std::iter::once(Chunk::Owned(head)).chain(chunks).collect())
}

/// What stands in a frame, with ranges of its body; None where that is as it came.
fn rewrite_performative(
    body: &[u8],
    channel: u16,
    links: &mut HashMap<(u16, u32), Link>,
) -> Option<Vec<Chunk>> {
    let (code, descriptor) = descriptor(body)?;
    let list = body.get(descriptor..)?;
    if !matches!(code, ATTACH..=TRANSFER | DETACH | END) {
        return None;
    }
    let (fields, length) = items(list, 0xc0)?;
    let field = |place: usize| fields.get(place).copied();
    let handle = |place: usize| field(place).and_then(unsigned);
    match code {
        ATTACH => {
            let (name, handle) = (text(field(0)?)?, handle(1)?);
            // A sender's role is false.
            if field(2).and_then(boolean)? {
                links.remove(&(channel, handle));
                return None;
            }
            let link = Link {
                is_partition: name.starts_with(LINK.as_bytes()),
                section: Section::Begin,
            };
            links.insert((channel, handle), link);
            let mut others = fields.clone();
            others.resize(fields.len().max(10), &[NULL]);
            // The first delivery-count.
            if let Some(count) = others.get_mut(9).filter(|count| **count == [NULL]) {
                *count = &[ZERO];
            }
            // The largest message.
            if let Some(most) = others.get_mut(10) {
                *most = &[NULL];
            }
            other_list(descriptor, &fields, &others)
        }
        FLOW => {
            links.get(&(channel, handle(4)?))?;
            let mut others = fields.clone();
            // The delivery-count.
            if let Some(count) = others.get_mut(5) {
                *count = &[NULL];
            }
            other_list(descriptor, &fields, &others)
        }
        TRANSFER => {
            let link = links.get_mut(&(channel, handle(0)?))?;
            if !link.is_partition {
                return None;
            }
            let is = |place: usize| field(place).and_then(boolean).unwrap_or(false);
            let front = descriptor + length;
            let mut chunks = vec![Chunk::Buffered(0..front)];
            let is_other = filter_message(body, front, &mut link.section, &mut chunks);
            if is(9) || !is(5) {
                link.section = Section::Begin;
            }
            is_other.then_some(chunks)
        }
        DETACH => {
            links.remove(&(channel, handle(0)?));
            None
        }
        _ => {
            links.retain(|(of, _), _| *of != channel);
            None
        }
    }
}

/// A descriptor and its list with these fields, where they are others.
fn other_list(descriptor: usize, fields: &[&[u8]], others: &[&[u8]]) -> Option<Vec<Chunk>> {
    (fields != others).then(|| {
        let list = compound(0xc0, others);
        vec![Chunk::Buffered(0..descriptor), Chunk::Owned(list)]
    })
}

/// Which of a message's bytes are handed on; whether that is other than all of them.
fn filter_message(
    body: &[u8],
    front: usize,
    section: &mut Section,
    chunks: &mut Vec<Chunk>,
) -> bool {
    let (mut at, mut is_other) = (front, false);
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        match *section {
            Section::Unknown => {
                chunks.push(Chunk::Buffered(at..body.len()));
                return is_other;
            }
            Section::Pass(left) => {
                let count = left.min(rest.len());
                chunks.push(Chunk::Buffered(at..at + count));
                at += count;
                *section = match left - count {
                    0 => Section::Begin,
                    left => Section::Pass(left),
                };
            }
            Section::Skip(left) => {
                is_other = true;
                let count = left.min(rest.len());
                at += count;
                *section = match left - count {
                    0 => Section::Begin,
                    left => Section::Skip(left),
                };
            }
            Section::Begin => {
                let begins = descriptor(rest).and_then(|(code, begin)| {
                    let length = length(rest.get(begin..)?, 0)?;
                    Some((code, begin, begin.checked_add(length)?))
                });
                *section = match begins {
                    // Message annotations.
                    Some((0x72, begin, end)) => {
                        let marks = rest.get(begin..end).and_then(filter_annotations);
                        match marks {
                            Some(marks) => {
                                chunks.push(Chunk::Buffered(at..at + begin));
                                chunks.push(Chunk::Owned(marks));
                                Section::Skip(end)
                            }
                            None => Section::Pass(end),
                        }
                    }
                    // A body.
                    Some((0x75..=0x77, _, end)) => Section::Pass(end),
                    // Header, delivery annotations, properties, application properties, footer.
                    Some((0x70..=0x78, _, end)) => Section::Skip(end),
                    _ => Section::Unknown,
                };
            }
        }
    }
    is_other
}

/// Of a map of annotations those that are read, under symbols; None where that is how it came.
fn filter_annotations(map: &[u8]) -> Option<Vec<u8>> {
    let (items, _) = items(map, 0xc1)?;
    let mut read: Vec<Cow<'_, [u8]>> = Vec::new();
    let mut is_other = false;
    for pair in items.chunks(2) {
        let &[key, value] = pair else {
            return None;
        };
        let name = text(key).unwrap_or_default();
        if ![OFFSET, SEQUENCE, EPOCH, ENQUEUED]
            .iter()
            .any(|mark| mark.as_bytes() == name)
        {
            is_other = true;
            continue;
        }
        // A string's code, and a symbol's.
        read.push(match key {
            [code @ (0xa1 | 0xb1), rest @ ..] => {
                is_other = true;
                Cow::Owned([&[code | 2], rest].concat())
            }
            _ => Cow::Borrowed(key),
        });
        read.push(Cow::Borrowed(value));
    }
    is_other.then(|| compound(0xc1, &read))
}

const NULL: u8 = 0x40;
/// As an unsigned number of 32 bits.
const ZERO: u8 = 0x43;

fn number(bytes: Option<&[u8]>) -> Option<u32> {
    Some(u32::from_be_bytes(bytes?.try_into().ok()?))
}

/// What a descriptor at the begin names, by number, and its length.
fn descriptor(bytes: &[u8]) -> Option<(u64, usize)> {
    let (&described, value) = bytes.split_first()?;
    if described != 0 {
        return None;
    }
    match value {
        [0x53, code, ..] => Some((u64::from(*code), 3)),
        [0x80, rest @ ..] => {
            let code = rest.first_chunk::<8>()?;
            Some((u64::from_be_bytes(*code), 10))
        }
        [0xa3, size, rest @ ..] => {
            let name = rest.get(..usize::from(*size))?;
            let mut named = NAMES.iter().filter(|(known, _)| known.as_bytes() == name);
            named.next().map(|(_, code)| (*code, 3 + name.len()))
        }
        _ => None,
    }
}

/// The length of the value that begins here, all of it read or not.
fn length(bytes: &[u8], depth: usize) -> Option<usize> {
    let (&code, rest) = bytes.split_first()?;
    let size = match code >> 4 {
        0x0 if code == 0 && depth < 4 => {
            let descriptor = length(rest, depth + 1)?;
            let value = length(rest.get(descriptor..)?, depth + 1)?;
            descriptor.checked_add(value)?
        }
        0x4 => 0,
        0x5 => 1,
        0x6 => 2,
        0x7 => 4,
        0x8 => 8,
        0x9 => 16,
        0xa | 0xc | 0xe => 1 + usize::from(*rest.first()?),
        0xb | 0xd | 0xf => 4 + usize::try_from(number(rest.get(..4))?).ok()?,
        _ => return None,
    };
    size.checked_add(1)
}

/// The items of a list (0xc0) or a map (0xc1), keys and values in turn, and its length.
fn items(bytes: &[u8], kind: u8) -> Option<(Vec<&[u8]>, usize)> {
    let whole = length(bytes, 0)?;
    let bytes = bytes.get(..whole)?;
    let (&code, rest) = bytes.split_first()?;
    let (count, mut rest) = match code {
        0x45 if kind == 0xc0 => (0, rest),
        _ if code == kind => (usize::from(*rest.get(1)?), rest.get(2..)?),
        _ if code == kind + 0x10 => {
            let count = number(rest.get(4..8))?;
            (usize::try_from(count).ok()?, rest.get(8..)?)
        }
        _ => return None,
    };
    let mut items = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        let (item, behind) = rest.split_at_checked(length(rest, 0)?)?;
        items.push(item);
        rest = behind;
    }
    Some((items, whole))
}

/// A list (0xc0) or a map (0xc1) of these items.
fn compound<T: AsRef<[u8]>>(kind: u8, items: &[T]) -> Vec<u8> {
    let size: usize = items.iter().map(|item| item.as_ref().len()).sum();
    let mut bytes = Vec::with_capacity(size + 9);
    match (u8::try_from(size + 1), u8::try_from(items.len())) {
        (Ok(size), Ok(count)) => bytes.extend([kind, size, count]),
        _ => {
            let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
            bytes.push(kind + 0x10);
            bytes.extend(number(size + 4));
            bytes.extend(number(items.len()));
        }
    }
    items
        .iter()
        .for_each(|item| bytes.extend_from_slice(item.as_ref()));
    bytes
}

fn unsigned(value: &[u8]) -> Option<u32> {
    match value {
        [0x43] => Some(0),
        [0x52, number] => Some(u32::from(*number)),
        [0x70, rest @ ..] => number(Some(rest)),
        _ => None,
    }
}

fn boolean(value: &[u8]) -> Option<bool> {
    match value {
        [0x41] | [0x56, 1] => Some(true),
        [0x42] | [0x56, 0] => Some(false),
        _ => None,
    }
}

/// Of a string or a symbol.
fn text(value: &[u8]) -> Option<&[u8]> {
    match value {
        [0xa1 | 0xa3, _, text @ ..] | [0xb1 | 0xb3, _, _, _, _, text @ ..] => Some(text),
        _ => None,
    }
}
