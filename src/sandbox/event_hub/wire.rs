//! The bytes of a connection on their way: which credit the peer gave, and the
//! troubles a wire has, silence and a cut.

use futures::task::AtomicWaker;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::sandbox::accept::Stream;
use crate::sandbox::event_hub::padding::Padding;

/// What a receiver gave in credit on one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Credit {
    /// How often it gave some.
    pub flows: u64,
    /// The last it gave.
    pub last: u32,
    /// The most it gave at once.
    pub most: u32,
}

/// What is known of a connection's wire, and what goes wrong with it.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    silent: AtomicBool,
    cut: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
    dispositions: AtomicU64,
    credits: Mutex<BTreeMap<(u16, u32), Credit>>,
}

impl Gauge {
    /// From now on nothing comes and nothing goes, or it does again.
    pub(super) fn silence(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
        self.wake();
    }

    /// The connection is lost without a word.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        self.reader.wake();
        self.writer.wake();
    }

    /// How many frames told us what became of events.
    pub(super) fn dispositions(&self) -> u64 {
        self.dispositions.load(Ordering::Relaxed)
    }

    pub(super) fn credit(&self, channel: u16, handle: u32) -> Credit {
        let credits = self.credits();
        credits.get(&(channel, handle)).copied().unwrap_or_default()
    }

    fn credits(&self) -> MutexGuard<'_, BTreeMap<(u16, u32), Credit>> {
        self.credits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, seen: Seen) {
        match seen {
            Seen::Disposition => {
                self.dispositions.fetch_add(1, Ordering::Relaxed);
            }
            // From now on the handle may be another link's.
            Seen::Detach { channel, handle } => {
                self.credits().remove(&(channel, handle));
            }
            Seen::Flow {
                channel,
                handle,
                credit,
            } => {
                let mut credits = self.credits();
                let known = credits.entry((channel, handle)).or_default();
                known.flows += 1;
                known.last = credit;
                known.most = known.most.max(credit);
            }
        }
    }

    /// An answer if the wire is out of order.
    fn trouble<T>(
        &self,
        waker: &AtomicWaker,
        context: &Context<'_>,
    ) -> Option<Poll<io::Result<T>>> {
        waker.register(context.waker());
        if self.cut.load(Ordering::SeqCst) {
            return Some(Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())));
        }
        self.silent.load(Ordering::SeqCst).then_some(Poll::Pending)
    }
}

/// A stream with its gauge, on which frames go out whole.
pub(super) struct Wire<S> {
    stream: S,
    frames: Frames,
    padding: Padding,
    gauge: Arc<Gauge>,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, gauge: Arc<Gauge>) -> Self {
        Self {
            stream,
            frames: Frames::default(),
            padding: Padding::default(),
            gauge,
        }
    }
}

impl<S: Stream> Wire<S> {
    /// Lets all go that waits to.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.padding.out.is_empty() {
            let stream = Pin::new(&mut self.stream);
            let sent = ready!(stream.poll_write(context, &self.padding.out))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.padding.gone(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> Debug for Wire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl<S: Stream> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if let Some(trouble) = wire.gauge.trouble(&wire.gauge.reader, context) {
            return trouble;
        }
        let had = into.filled().len();
        let read = Pin::new(&mut wire.stream).poll_read(context, into);
        if let Poll::Ready(Ok(())) = &read {
            let (frames, gauge) = (&mut wire.frames, &wire.gauge);
            let new = into.filled().get(had..).unwrap_or_default();
            frames.read(new, |seen| gauge.saw(seen));
        }
        read
    }
}

impl<S: Stream> AsyncWrite for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if let Some(trouble) = wire.gauge.trouble(&wire.gauge.writer, context) {
            return trouble;
        }
        ready!(wire.poll_send(context))?;
        wire.padding.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if let Some(trouble) = wire.gauge.trouble(&wire.gauge.writer, context) {
            return trouble;
        }
        ready!(wire.poll_send(context))?;
        Pin::new(&mut wire.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        ready!(wire.poll_send(context))?;
        Pin::new(&mut wire.stream).poll_shutdown(context)
    }
}

/// What is looked for in the peer's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Flow {
        channel: u16,
        handle: u32,
        credit: u32,
    },
    Detach {
        channel: u16,
        handle: u32,
    },
    Disposition,
}

/// The peer's frames as they come in: of each only its beginning is looked at.
#[derive(Debug, Default)]
struct Frames {
    head: Vec<u8>,
    /// How much of the frame, or of a protocol header, is still to come.
    left: usize,
}

/// All that is needed of a flow, and more.
const HEAD: usize = 96;
const PROTOCOL: &[u8] = b"AMQP";
const FLOW: u8 = 0x13;
const DISPOSITION: u8 = 0x15;
const DETACH: u8 = 0x16;

impl Frames {
    fn read(&mut self, mut bytes: &[u8], mut saw: impl FnMut(Seen)) {
        while !bytes.is_empty() {
            if self.left == 0 && self.head.len() < 4 {
                let (some, rest) = bytes.split_at(bytes.len().min(4 - self.head.len()));
                self.head.extend_from_slice(some);
                bytes = rest;
                let Some(size) = self.head.first_chunk::<4>() else {
                    return;
                };
                let size = match self.head == PROTOCOL {
                    true => 8,
                    false => u32::from_be_bytes(*size) as usize,
                };
                self.left = size.saturating_sub(4);
                if self.left == 0 {
                    self.head.clear();
                }
                continue;
            }
            let (some, rest) = bytes.split_at(bytes.len().min(self.left));
            let wanted = HEAD.saturating_sub(self.head.len()).min(some.len());
            self.head
                .extend_from_slice(some.get(..wanted).unwrap_or_default());
            self.left -= some.len();
            bytes = rest;
            if self.left == 0 {
                if let Some(seen) = look(&self.head) {
                    saw(seen);
                }
                self.head.clear();
            }
        }
    }
}

/// A frame's kind by its beginning.
fn look(frame: &[u8]) -> Option<Seen> {
    let [_, _, _, _, words, kind, high, low, ..] = *frame else {
        return None;
    };
    if kind != 0 || frame.starts_with(PROTOCOL) {
        return None;
    }
    let channel = u16::from_be_bytes([high, low]);
    let body = frame.get(usize::from(words) * 4..)?;
    let (code, fields) = match *body {
        [0x00, 0x53, code, ref rest @ ..] => (code, rest),
        [0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, code, ref rest @ ..] => (code, rest),
        _ => return None,
    };
    let mut fields = match *fields {
        // A list's size and count.
        [0xc0, _, _, ref rest @ ..] => rest,
        [0xd0, _, _, _, _, _, _, _, _, ref rest @ ..] => rest,
        _ => return None,
    };
    match code {
        DISPOSITION => Some(Seen::Disposition),
        DETACH => {
            let handle = number(&mut fields)??;
            Some(Seen::Detach { channel, handle })
        }
        FLOW => {
            // next-incoming-id, incoming-window, next-outgoing-id, outgoing-window
            for _ in 0..4 {
                number(&mut fields)?;
            }
            let handle = number(&mut fields)??;
            number(&mut fields)?;
            let credit = number(&mut fields)??;
            Some(Seen::Flow {
                channel,
                handle,
                credit,
            })
        }
        _ => None,
    }
}

/// An unsigned number, or null.
fn number(fields: &mut &[u8]) -> Option<Option<u32>> {
    let (number, rest) = match **fields {
        [0x40, ref rest @ ..] => (None, rest),
        [0x43, ref rest @ ..] => (Some(0), rest),
        [0x52, small, ref rest @ ..] => (Some(u32::from(small)), rest),
        [0x70, a, b, c, d, ref rest @ ..] => (Some(u32::from_be_bytes([a, b, c, d])), rest),
        _ => return None,
    };
    *fields = rest;
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fe2o3_amqp::types::definitions::Role;
    use fe2o3_amqp::types::performatives::{Detach, Disposition, Flow, Performative};
    use proptest::prelude::*;

    fn frame(channel: u16, performative: &Performative) -> Vec<u8> {
        let body = serde_amqp::to_vec(performative).unwrap();
        let mut frame = u32::try_from(body.len() + 8)
            .unwrap()
            .to_be_bytes()
            .to_vec();
        frame.extend([2, 0]);
        frame.extend(channel.to_be_bytes());
        frame.extend(body);
        frame
    }

    fn flow(handle: Option<u32>, credit: Option<u32>) -> Performative {
        Performative::Flow(Flow {
            next_incoming_id: Some(70_000),
            incoming_window: 5_000,
            next_outgoing_id: 0,
            outgoing_window: u32::MAX,
            handle: handle.map(Into::into),
            delivery_count: Some(7),
            link_credit: credit,
            available: None,
            drain: false,
            echo: false,
            properties: None,
        })
    }

    fn read(bytes: &[u8], size: usize) -> Vec<Seen> {
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        for some in bytes.chunks(size) {
            frames.read(some, |one| seen.push(one));
        }
        seen
    }

    proptest! {
        #[test]
        fn credit_is_seen_however_the_bytes_come(
            channel in any::<u16>(),
            handle in any::<u32>(),
            credit in any::<u32>(),
            size in 1_usize..200,
        ) {
            let mut bytes = b"AMQP\x03\x01\x00\x00AMQP\x00\x01\x00\x00".to_vec();
            // An empty frame is a heartbeat.
            bytes.extend([0, 0, 0, 8, 2, 0, 0, 0]);
            bytes.extend(frame(channel, &flow(None, None)));
            bytes.extend(frame(channel, &flow(Some(handle), Some(credit))));
            bytes.extend(frame(channel, &Performative::Disposition(Disposition {
                role: Role::Receiver,
                first: 3,
                last: None,
                settled: true,
                state: None,
                batchable: false,
            })));
            bytes.extend(frame(channel, &Performative::Detach(Detach {
                handle: handle.into(),
                closed: true,
                error: None,
            })));
            let flow = Seen::Flow { channel, handle, credit };
            let seen = [flow, Seen::Disposition, Seen::Detach { channel, handle }];
            prop_assert_eq!(read(&bytes, size), seen);
        }

        #[test]
        fn no_bytes_make_the_reader_fall(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            size in 1_usize..50,
        ) {
            read(&bytes, size);
            look(&bytes);
        }
    }
}
