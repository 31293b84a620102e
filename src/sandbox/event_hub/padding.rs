//! Frames with all their fields. The library leaves out the last fields of a
//! performative where they have no value; Microsoft's Python client looks for
//! them, and the service writes them.

use bytes::{Buf as _, BytesMut};

/// Frames longer than this carry data, and go through as they are.
const SMALL: usize = 4_096;
const PROTOCOL: &[u8] = b"AMQP";
const TRANSFER: u8 = 0x14;
/// A data section of these bytes goes out as a section that nobody knows.
pub(super) const UNDECODABLE: &[u8] = b"\x01 this is no message \x01";
const DATA: [u8; 4] = [0x00, 0x53, 0x75, 0xa0];
const UNKNOWN: u8 = 0x7f;
const NULL: u8 = 0x40;
const LIST8: u8 = 0xc0;
const LIST32: u8 = 0xd0;

/// How many fields a performative has.
fn fields(code: u8) -> Option<u32> {
    match code {
        0x10 => Some(10),
        0x11 => Some(8),
        0x12 => Some(14),
        0x13 | 0x14 => Some(11),
        0x15 => Some(6),
        0x16 => Some(3),
        0x17 | 0x18 => Some(1),
        _ => None,
    }
}

/// Frames on their way out.
#[derive(Debug, Default)]
pub(super) struct Padding {
    /// A frame that is not whole yet.
    under_way: Vec<u8>,
    /// How much of a longer one is still to come.
    through: usize,
    /// What may go.
    pub(super) out: BytesMut,
}

impl Padding {
    /// Takes bytes in; what may go on lies in `out`.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.through > 0 {
                let (some, rest) = bytes.split_at(bytes.len().min(self.through));
                self.out.extend_from_slice(some);
                self.through -= some.len();
                bytes = rest;
                continue;
            }
            let wanted = match self.under_way.first_chunk::<4>() {
                None => 4,
                Some(size) if size == PROTOCOL => 8,
                Some(size) => u32::from_be_bytes(*size) as usize,
            };
            let missing = wanted.saturating_sub(self.under_way.len());
            let (some, rest) = bytes.split_at(bytes.len().min(missing));
            self.under_way.extend_from_slice(some);
            bytes = rest;
            self.settle();
        }
    }

    /// Lets a frame go that is whole, or too long to wait for.
    fn settle(&mut self) {
        let Some(size) = self.under_way.first_chunk::<4>() else {
            return;
        };
        if size == PROTOCOL {
            if self.under_way.len() == 8 {
                self.out.extend_from_slice(&self.under_way);
                self.under_way.clear();
            }
            return;
        }
        let size = u32::from_be_bytes(*size) as usize;
        if size > SMALL {
            self.through = size.saturating_sub(self.under_way.len());
            self.out.extend_from_slice(&self.under_way);
            self.under_way.clear();
        } else if self.under_way.len() >= size {
            spoil(&mut self.under_way);
            match padded(&self.under_way) {
                Some(frame) => self.out.extend_from_slice(&frame),
                None => self.out.extend_from_slice(&self.under_way),
            }
            self.under_way.clear();
        }
    }

    /// So much of `out` has gone.
    pub(super) fn gone(&mut self, bytes: usize) {
        self.out.advance(bytes);
    }
}

/// Makes a message undecodable that is to be so.
fn spoil(frame: &mut [u8]) {
    let [_, _, _, _, words, 0, ..] = *frame else {
        return;
    };
    let Some([0x00, 0x53, TRANSFER, rest @ ..]) = frame.get_mut(usize::from(words) * 4..) else {
        return;
    };
    let Some(section) = rest.len().checked_sub(UNDECODABLE.len() + 1 + DATA.len()) else {
        return;
    };
    if rest.ends_with(UNDECODABLE)
        && let Some([0x00, 0x53, code, 0xa0, ..]) = rest.get_mut(section..)
    {
        *code = UNKNOWN;
    }
}

/// The frame with nulls for the fields that were left out; none if none was.
fn padded(frame: &[u8]) -> Option<Vec<u8>> {
    let [_, _, _, _, words, 0, ..] = *frame else {
        return None;
    };
    let (head, body) = frame.split_at_checked(usize::from(words) * 4)?;
    let [0x00, 0x53, code, list, ref rest @ ..] = *body else {
        return None;
    };
    let wanted = fields(code)?;
    // The size counts what follows it, the count included.
    let (size, count, rest) = match list {
        0x45 => (4, 0, rest),
        LIST8 => {
            let [size, count, rest @ ..] = rest else {
                return None;
            };
            (u32::from(*size) + 3, u32::from(*count), rest)
        }
        LIST32 => {
            let (size, rest) = rest.split_first_chunk::<4>()?;
            let (count, rest) = rest.split_first_chunk::<4>()?;
            (u32::from_be_bytes(*size), u32::from_be_bytes(*count), rest)
        }
        _ => return None,
    };
    let missing = wanted.checked_sub(count).filter(|missing| *missing > 0)?;
    let (values, payload) = rest.split_at_checked(size.checked_sub(4)? as usize)?;
    let mut padded = head.to_vec();
    padded.extend([0x00, 0x53, code, LIST32]);
    padded.extend((size + missing).to_be_bytes());
    padded.extend(wanted.to_be_bytes());
    padded.extend(values);
    padded.extend(std::iter::repeat_n(NULL, missing as usize));
    padded.extend(payload);
    let length = u32::try_from(padded.len()).ok()?.to_be_bytes();
    padded.splice(..4, length);
    Some(padded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fe2o3_amqp::types::definitions::{DeliveryTag, Role};
    use fe2o3_amqp::types::messaging::{Accepted, DeliveryState};
    use fe2o3_amqp::types::performatives::{
        Close, Detach, Disposition, End, Performative, Transfer,
    };
    use proptest::prelude::*;

    fn frame(performative: &Performative, payload: &[u8]) -> Vec<u8> {
        let body = serde_amqp::to_vec(performative).unwrap();
        let length = u32::try_from(8 + body.len() + payload.len()).unwrap();
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend([2, 0, 0, 7]);
        frame.extend(body);
        frame.extend(payload);
        frame
    }

    fn performatives() -> Vec<(Performative, Vec<u8>)> {
        let disposition = Disposition {
            role: Role::Receiver,
            first: 3,
            last: None,
            settled: true,
            state: Some(DeliveryState::Accepted(Accepted {})),
            batchable: false,
        };
        let detach = Detach {
            handle: 1_u32.into(),
            closed: true,
            error: None,
        };
        let transfer = |tag: &[u8]| Transfer {
            handle: 0_u32.into(),
            delivery_id: Some(9),
            delivery_tag: Some(DeliveryTag::from(tag.to_vec())),
            message_format: Some(0),
            settled: Some(true),
            more: false,
            rcv_settle_mode: None,
            state: None,
            resume: false,
            aborted: false,
            batchable: false,
        };
        vec![
            (Performative::Disposition(disposition), Vec::new()),
            (Performative::Detach(detach), Vec::new()),
            (Performative::End(End { error: None }), Vec::new()),
            (Performative::Close(Close { error: None }), Vec::new()),
            (Performative::Transfer(transfer(b"1")), b"small".to_vec()),
            (Performative::Transfer(transfer(b"2")), vec![b'x'; 70_000]),
        ]
    }

    /// A frame as the parts of it that matter: its performative and what follows.
    fn read(out: &[u8]) -> Vec<(Performative, Vec<u8>, u32)> {
        let mut frames = Vec::new();
        let mut rest = out;
        while let Some((size, _)) = rest.split_first_chunk::<4>() {
            let (frame, more) = rest.split_at(u32::from_be_bytes(*size) as usize);
            let body = &frame[8..];
            let (end, count) = match body[3] {
                LIST8 => (5 + usize::from(body[4]), u32::from(body[5])),
                LIST32 => {
                    let size = u32::from_be_bytes(body[4..8].try_into().unwrap());
                    let count = u32::from_be_bytes(body[8..12].try_into().unwrap());
                    (8 + size as usize, count)
                }
                _ => (4, 0),
            };
            let performative = serde_amqp::from_slice(&body[..end]).unwrap();
            frames.push((performative, body[end..].to_vec(), count));
            rest = more;
        }
        frames
    }

    proptest! {
        #[test]
        fn a_frame_means_the_same_with_all_its_fields(size in 1_usize..5_000) {
            let mut padding = Padding::default();
            let mut bytes = b"AMQP\x00\x01\x00\x00".to_vec();
            for (performative, payload) in performatives() {
                bytes.extend(frame(&performative, &payload));
            }
            for some in bytes.chunks(size) {
                padding.take(some);
            }
            let (header, out) = padding.out.split_at(8);
            prop_assert_eq!(header, b"AMQP\x00\x01\x00\x00");
            let read = read(out);
            prop_assert_eq!(read.len(), performatives().len());
            for ((seen, rest, count), (meant, payload)) in read.into_iter().zip(performatives()) {
                prop_assert_eq!(format!("{seen:?}"), format!("{meant:?}"));
                prop_assert_eq!(&rest, &payload);
                let code = serde_amqp::to_vec(&meant).unwrap()[2];
                if payload.len() < SMALL {
                    prop_assert_eq!(Some(count), fields(code));
                }
            }
        }

        #[test]
        fn no_bytes_make_it_fall_and_none_are_lost(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            size in 1_usize..50,
        ) {
            let mut padding = Padding::default();
            for some in bytes.chunks(size) {
                padding.take(some);
            }
            prop_assert!(padding.out.len() + padding.under_way.len() >= bytes.len());
        }
    }
}
