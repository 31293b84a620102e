//! How splunkd speaks to a REST endpoint's own process (`restmap.conf`,
//! `scripttype = persist`): packets on stdin, answers on stdout, one after the
//! other, until stdin ends.
//!
//! ```text
//! packet  = opcode [INIT: count "\n", count × string, string] [BLOCK: string]
//! string  = decimal length "\n" bytes          blank lines before it mean nothing
//! answer  = to INIT "0\n", to BLOCK string, to END nothing
//! ```
//!
//! The protocol is that of Splunk's own `persistconn/appserver.py`. What the
//! requests ask for, [`request`] reads and others answer.

mod request;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read, Write};

pub use request::{Reply, Request, RequestError};

const INIT: u8 = 0x01;
const BLOCK: u8 = 0x02;
const END: u8 = 0x04;
/// splunkd would also take the answer in pieces; one piece is always right.
const ALLOW_STREAM: u8 = 0x08;

/// A longer request is not kept in memory but read past and refused: it holds
/// the rows of one action, base64 and all.
const MOST_OF_A_BLOCK: u64 = 96 * 1024 * 1024;
/// The command of an INIT: a path and a few arguments.
const MOST_PIECES: u64 = 256;
const MOST_OF_A_PIECE: u64 = 64 * 1024;
/// Digits of the largest length there can be.
const LONGEST_LENGTH: usize = 20;

/// Why a conversation cannot go on: nobody knows any more where a packet begins.
#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    #[error("splunkd's packet cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("splunkd takes no more answers: {0}")]
    Unwritable(io::Error),
    #[error("byte {0:#04x} begins no packet of the persistent REST protocol")]
    Opcode(u8),
    #[error("splunkd began a conversation within another")]
    AlreadyBegun,
    #[error("splunkd asked something before it began the conversation")]
    NotBegun,
    #[error("a length in splunkd's packet is no number")]
    Length,
    #[error("splunkd's packet has {size} {what}, more than the {most} there can be")]
    TooMuch {
        what: &'static str,
        size: u64,
        most: u64,
    },
}

/// Where packets come from.
pub trait Incoming: BufRead {
    /// Waits for the next conversation; none comes once this is false, because
    /// stdin has ended or is no longer waited for.
    ///
    /// # Errors
    /// If it cannot be read.
    fn another(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

impl Incoming for &[u8] {}
impl<T: AsRef<[u8]>> Incoming for io::Cursor<T> {}
impl<R: Read> Incoming for io::BufReader<R> {}

/// What one BLOCK brought.
enum Block {
    Whole(Vec<u8>),
    /// Read past; its size.
    TooLarge(u64),
}

/// Answers every request until stdin ends, which is how splunkd ends it, or
/// until a conversation ends in which the last answer was given. A
/// packet that stdin cuts off is no error either: splunkd is gone.
///
/// # Errors
/// If the bytes follow no protocol, or answers are no longer taken.
pub fn serve(
    from: impl Incoming,
    mut to: impl Write,
    mut answer: impl FnMut(Result<Request, RequestError>) -> Reply,
) -> Result<(), PersistError> {
    let mut packets = Packets { from };
    let (mut begun, mut over) = (false, false);
    loop {
        if !begun && !packets.from.another().map_err(PersistError::Unreadable)? {
            return Ok(());
        }
        let Some(opcode) = packets.opcode()? else {
            return Ok(());
        };
        if opcode & INIT != 0 {
            if begun {
                return Err(PersistError::AlreadyBegun);
            }
            if packets.command()?.is_none() {
                return Ok(());
            }
            begun = true;
            // At once: splunkd may wait for it before it sends the request.
            let said = to.write_all(b"0\n").and_then(|()| to.flush());
            said.map_err(PersistError::Unwritable)?;
        }
        if opcode & BLOCK != 0 {
            if !begun {
                return Err(PersistError::NotBegun);
            }
            let Some(block) = packets.block()? else {
                return Ok(());
            };
            let reply = answer(match block {
                Block::Whole(bytes) => Request::read(&bytes),
                Block::TooLarge(size) => Err(RequestError::TooLarge {
                    size,
                    most: MOST_OF_A_BLOCK,
                }),
            });
            over |= reply.is_last();
            let json = reply.json();
            let written = write!(to, "{}\n{json}", json.len());
            written.map_err(PersistError::Unwritable)?;
        }
        if opcode & END != 0 {
            begun = false;
        }
        to.flush().map_err(PersistError::Unwritable)?;
        if over && !begun {
            return Ok(());
        }
    }
}

/// The way in; every `None` is the end of the stream.
struct Packets<R> {
    from: R,
}

impl<R: BufRead> Packets<R> {
    fn opcode(&mut self) -> Result<Option<u8>, PersistError> {
        loop {
            match self.byte()? {
                // Also BLOCK and ALLOW_STREAM in one; a line end is what it means.
                Some(b'\n') => {}
                Some(0) => return Err(PersistError::Opcode(0)),
                Some(other) if other & !(INIT | BLOCK | END | ALLOW_STREAM) != 0 => {
                    return Err(PersistError::Opcode(other));
                }
                opcode => return Ok(opcode),
            }
        }
    }

    /// The command splunkd would have a script driver run; there is one of
    /// ours, so its words mean nothing here.
    fn command(&mut self) -> Result<Option<()>, PersistError> {
        let Some(pieces) = self.length()? else {
            return Ok(None);
        };
        bounded("words in its command", pieces, MOST_PIECES)?;
        // And `script.param` after them.
        for _ in 0..=pieces {
            let Some(size) = self.length()? else {
                return Ok(None);
            };
            bounded("bytes in a word", size, MOST_OF_A_PIECE)?;
            if !self.skip(size)? {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    fn block(&mut self) -> Result<Option<Block>, PersistError> {
        let Some(size) = self.length()? else {
            return Ok(None);
        };
        if size > MOST_OF_A_BLOCK {
            return Ok(self.skip(size)?.then_some(Block::TooLarge(size)));
        }
        let mut bytes = Vec::new();
        let read = (&mut self.from).take(size).read_to_end(&mut bytes);
        read.map_err(PersistError::Unreadable)?;
        Ok((bytes.len() as u64 == size).then_some(Block::Whole(bytes)))
    }

    fn length(&mut self) -> Result<Option<u64>, PersistError> {
        let mut digits = String::new();
        loop {
            match self.byte()? {
                None => return Ok(None),
                Some(b'\n') if digits.is_empty() => {}
                Some(b'\n') => break,
                Some(digit) if digit.is_ascii_digit() && digits.len() < LONGEST_LENGTH => {
                    digits.push(char::from(digit));
                }
                // A line end as Windows writes it.
                Some(b'\r') => {}
                Some(_) => return Err(PersistError::Length),
            }
        }
        digits.parse().map(Some).map_err(|_| PersistError::Length)
    }

    /// Whether there were so many bytes.
    fn skip(&mut self, size: u64) -> Result<bool, PersistError> {
        let skipped = io::copy(&mut (&mut self.from).take(size), &mut io::sink());
        Ok(skipped.map_err(PersistError::Unreadable)? == size)
    }

    fn byte(&mut self) -> Result<Option<u8>, PersistError> {
        let mut byte = [0];
        loop {
            return match self.from.read(&mut byte) {
                Ok(0) => Ok(None),
                Ok(_) => Ok(byte.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(PersistError::Unreadable(error)),
            };
        }
    }
}

fn bounded(what: &'static str, size: u64, most: u64) -> Result<(), PersistError> {
    if size > most {
        return Err(PersistError::TooMuch { what, size, most });
    }
    Ok(())
}
