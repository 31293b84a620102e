//! Waits for splunkd's packets, but not for ever: a process that gets no request for
//! some minutes, or whose installed executable was replaced, ends. splunkd starts
//! another with the next request.

use crate::host::copy;
use crate::splunk::rest_handler::Incoming;
use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// After so long without a request the process ends.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// How often to look whether the executable was replaced.
const TICK: Duration = Duration::from_secs(2);
const PIECE: usize = 64 << 10;

/// A thread of its own reads the packets, so that waiting for them can end.
pub struct Awaited {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    /// How many bytes of the piece were taken.
    taken: usize,
    idle: Duration,
    tick: Duration,
    replaced: fn() -> bool,
}

impl Awaited {
    pub fn of(from: impl Read + Send + 'static) -> Self {
        Self::with(from, IDLE, TICK, copy::is_replaced)
    }

    fn with(
        mut from: impl Read + Send + 'static,
        idle: Duration,
        tick: Duration,
        replaced: fn() -> bool,
    ) -> Self {
        let (hand_over, pieces) = sync_channel(1);
        std::thread::spawn(move || {
            loop {
                let mut piece = vec![0; PIECE];
                let read = match from.read(&mut piece) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read,
                };
                let over = !matches!(read, Ok(1..));
                let piece = read.map(|size| {
                    piece.truncate(size);
                    piece
                });
                if hand_over.send(piece).is_err() || over {
                    return;
                }
            }
        });
        Self {
            pieces,
            piece: Vec::new(),
            taken: 0,
            idle,
            tick,
            replaced,
        }
    }

    fn left(&self) -> &[u8] {
        self.piece.get(self.taken..).unwrap_or_default()
    }

    /// The next piece; an empty one is the end.
    fn take(&mut self, piece: Vec<u8>) {
        self.piece = piece;
        self.taken = 0;
    }
}

impl Incoming for Awaited {
    fn another(&mut self) -> io::Result<bool> {
        let begun = Instant::now();
        loop {
            // splunkd may write line ends between packets.
            match self.left().first() {
                Some(b'\n') => self.consume(1),
                Some(_) => return Ok(true),
                None => match self.pieces.recv_timeout(self.tick) {
                    Ok(piece) => {
                        self.take(piece?);
                        if self.piece.is_empty() {
                            return Ok(false);
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => return Ok(false),
                    Err(RecvTimeoutError::Timeout) if (self.replaced)() => {
                        tracing::info!("another version was installed: this process ends");
                        return Ok(false);
                    }
                    Err(RecvTimeoutError::Timeout) if begun.elapsed() >= self.idle => {
                        tracing::debug!("nobody asks: this process ends");
                        return Ok(false);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                },
            }
        }
    }
}

impl Read for Awaited {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let size = self.fill_buf()?.read(into)?;
        self.consume(size);
        Ok(size)
    }
}

impl BufRead for Awaited {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left().is_empty() {
            // Nobody takes the packets any more.
            let piece = self.pieces.recv().unwrap_or_else(|_| Ok(Vec::new()));
            self.take(piece?);
        }
        Ok(self.left())
    }

    fn consume(&mut self, size: usize) {
        self.taken = self.taken.saturating_add(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use std::sync::mpsc;

    /// Says nothing until it is let go.
    struct Silent(mpsc::Receiver<()>);

    impl Read for Silent {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0.recv().ok();
            Ok(0)
        }
    }

    const LONG: Duration = Duration::from_secs(3600);
    const NOW: Duration = Duration::ZERO;

    #[test]
    fn everything_is_read_and_line_ends_between_packets_are_not() {
        let text = b"\n\n\x01one\ntwo".to_vec();
        let mut awaited = Awaited::with(Cursor::new(text), LONG, LONG, || false);
        assert!(awaited.another().unwrap());
        let mut all = Vec::new();
        awaited.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"\x01one\ntwo");
        assert!(!awaited.another().unwrap());
        let mut nothing = Awaited::with(Cursor::new(b"\n\n".to_vec()), LONG, LONG, || false);
        assert!(!nothing.another().unwrap());
    }

    #[test]
    fn a_process_that_nobody_asks_ends_and_so_does_one_that_was_replaced() {
        let (_hold, gate) = mpsc::channel();
        let mut idle = Awaited::with(Silent(gate), NOW, NOW, || false);
        assert!(!idle.another().unwrap());
        let (_hold, gate) = mpsc::channel();
        let mut replaced = Awaited::with(Silent(gate), LONG, NOW, || true);
        assert!(!replaced.another().unwrap());
    }

    #[test]
    fn what_was_asked_before_is_answered_first() {
        let mut awaited = Awaited::with(Cursor::new(b"\x01".to_vec()), NOW, LONG, || true);
        assert!(awaited.another().unwrap());
    }
}
