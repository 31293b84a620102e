//! A partition's log: what a feed tells first, then what was published; from
//! its oldest retained event on.

use fe2o3_amqp::Sendable;
use fe2o3_amqp::types::messaging::{Batch, Body, Data, Message, MessageAnnotations};
use fe2o3_amqp::types::primitives::{Symbol, Timestamp, Value};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

use crate::sandbox::event_hub::feed::{Feed, Which};
use crate::sandbox::event_hub::refusal::Refusal;
use crate::sandbox::event_hub::selector::{Place, Selector};

pub(super) type Event = Sendable<Body<Value>>;
pub(super) type Content = Message<Body<Value>>;

/// How far the offsets of a feed's events are from each other.
const STRIDE: i64 = 4_096;

/// How a hub writes offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Offsets {
    /// A number, as most namespaces do.
    #[default]
    Numbers,
    /// Text with the epoch and the sequence number in it, as geo-replicated namespaces do.
    GeoReplicated,
}

/// Of a hub that is not replicated.
const NO_EPOCH: i32 = -1;
/// Of one that is, before its first failover.
const FIRST_EPOCH: i32 = 1;

impl Offsets {
    fn text(self, epoch: i32, sequence: i64, offset: i64) -> String {
        match self {
            Self::Numbers => offset.to_string(),
            Self::GeoReplicated => format!("{epoch}:{sequence}:{offset}"),
        }
    }

    /// Epoch and offset.
    fn read(self, text: &str) -> Option<(i32, i64)> {
        match self {
            Self::Numbers => Some((NO_EPOCH, text.parse().ok()?)),
            Self::GeoReplicated => {
                let (epoch, rest) = text.split_once(':')?;
                let (_, offset) = rest.split_once(':')?;
                Some((epoch.parse().ok()?, offset.parse().ok()?))
            }
        }
    }
}

/// Where an event was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub partition: String,
    /// Its sequence number there.
    pub sequence_number: i64,
    /// Its offset there.
    pub offset: String,
}

/// A published event.
#[derive(Debug)]
struct Kept {
    offset: i64,
    enqueued: i64,
    event: Arc<Event>,
}

/// What management says of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) first: i64,
    pub(super) last: i64,
    /// Of the first and of the last.
    pub(super) epochs: [i32; 2],
    pub(super) offset: String,
    pub(super) enqueued: i64,
}

/// An event found, to be made outside the lock.
#[derive(Debug)]
pub(super) enum Found {
    Told {
        feed: Arc<Feed>,
        which: Which,
        sequence: i64,
        offset: String,
        epoch: i32,
    },
    Kept(i64, Arc<Event>),
}

#[derive(Debug)]
pub(super) struct Log {
    place: usize,
    offsets: Offsets,
    /// With which event each failover began.
    failovers: Vec<i64>,
    /// Offsets of earlier epochs are refused.
    oldest_epoch: i32,
    /// The oldest retained event.
    first: i64,
    feed: Arc<Feed>,
    /// How many events the feed has here: they come first.
    told: i64,
    kept: VecDeque<Kept>,
    /// What the first of `kept` has.
    kept_from: i64,
    next_offset: i64,
    last_enqueued: i64,
    /// The sequence number the next event will have.
    next: watch::Sender<i64>,
}

impl Log {
    pub(super) fn new(place: usize, offsets: Offsets, feed: Arc<Feed>) -> Self {
        let told = feed.in_partition(place);
        let last = feed.event(place, told - 1);
        Self {
            place,
            offsets,
            failovers: Vec::new(),
            oldest_epoch: NO_EPOCH,
            first: 0,
            told,
            kept: VecDeque::new(),
            kept_from: told,
            next_offset: told * STRIDE,
            last_enqueued: last.map_or(0, |which| feed.enqueued(which)),
            next: watch::Sender::new(told),
            feed,
        }
    }

    pub(super) fn next(&self) -> i64 {
        *self.next.borrow()
    }

    /// Tells of each new event.
    pub(super) fn news(&self) -> watch::Receiver<i64> {
        self.next.subscribe()
    }

    pub(super) fn publish(&mut self, mut content: Content, enqueued: i64) -> Position {
        let sequence = self.next();
        let offset = self.next_offset;
        self.next_offset += STRIDE + size(&content);
        // A clock set back does not reorder a log.
        self.last_enqueued = self.last_enqueued.max(enqueued);
        let epoch = self.epoch(sequence);
        let text = self.offsets.text(epoch, sequence, offset);
        annotate(&mut content, epoch, sequence, &text, self.last_enqueued);
        self.kept.push_back(Kept {
            offset,
            enqueued: self.last_enqueued,
            event: Arc::new(event(content)),
        });
        self.next.send_replace(sequence + 1);
        Position {
            partition: self.place.to_string(),
            sequence_number: sequence,
            offset: text,
        }
    }

    /// Another replica takes over, which has not got the last events: their numbers come again.
    pub(super) fn fail_over(&mut self, lost: i64) {
        let next = (self.next() - lost).max(self.first);
        self.told = self.told.min(next);
        let kept = usize::try_from(next - self.kept_from).unwrap_or(0);
        self.kept.truncate(kept);
        self.kept_from = self.kept_from.min(next);
        self.failovers.push(next);
        self.next.send_replace(next);
    }

    /// What was an offset before the last failover is none any more.
    pub(super) fn forget_offsets(&mut self) {
        self.oldest_epoch = self.epoch(self.next());
    }

    fn epoch(&self, sequence: i64) -> i32 {
        let before = self.failovers.iter().filter(|begin| **begin <= sequence);
        match self.offsets {
            Offsets::Numbers => NO_EPOCH,
            Offsets::GeoReplicated => {
                FIRST_EPOCH + i32::try_from(before.count()).unwrap_or(i32::MAX)
            }
        }
    }

    /// Forgets what is older; what is still to come is not.
    pub(super) fn age_out(&mut self, before: i64) {
        self.first = before.clamp(self.first, self.next());
        while self.kept_from < self.first && self.kept.pop_front().is_some() {
            self.kept_from += 1;
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let last = self.next() - 1;
        let empty = last < 0;
        let offset = if empty {
            "-1".to_owned()
        } else {
            self.offsets.text(self.epoch(last), last, self.offset(last))
        };
        Standing {
            first: self.first,
            last,
            epochs: [self.epoch(self.first), self.epoch(last)],
            offset,
            enqueued: self.last_enqueued,
        }
    }

    fn kept(&self, sequence: i64) -> Option<&Kept> {
        let place = usize::try_from(sequence - self.kept_from).ok()?;
        self.kept.get(place)
    }

    fn offset(&self, sequence: i64) -> i64 {
        match self.kept(sequence) {
            Some(kept) => kept.offset,
            None => sequence * STRIDE,
        }
    }

    fn enqueued(&self, sequence: i64) -> i64 {
        match (self.kept(sequence), self.feed.event(self.place, sequence)) {
            (Some(kept), _) => kept.enqueued,
            (None, Some(which)) => self.feed.enqueued(which),
            (None, None) => self.last_enqueued,
        }
    }

    /// The first event from there on that is retained.
    pub(super) fn find(&self, from: i64) -> Option<Found> {
        let sequence = from.max(self.first);
        if sequence < self.told {
            let epoch = self.epoch(sequence);
            return Some(Found::Told {
                feed: self.feed.clone(),
                which: self.feed.event(self.place, sequence)?,
                sequence,
                offset: self.offsets.text(epoch, sequence, self.offset(sequence)),
                epoch,
            });
        }
        let kept = self.kept(sequence)?;
        Some(Found::Kept(sequence, kept.event.clone()))
    }

    /// The sequence number a receiver begins with.
    pub(super) fn begin(&self, selector: &Selector, refuse_aged: bool) -> Result<i64, Refusal> {
        let next = self.next();
        let last = next - 1;
        let step = i64::from(!selector.inclusive);
        let begin = match &selector.place {
            Place::Start => return Ok(self.first),
            Place::End => return Ok(next),
            Place::Enqueued(at) => {
                let after = at.saturating_add(step);
                return Ok(self.search(|sequence| self.enqueued(sequence) >= after));
            }
            Place::Sequence(number) if *number > last && (*number, step) != (next, 0) => {
                return Err(Refusal::argument(format!(
                    "The supplied sequence number '{number}' is invalid. The last sequence number in the system is '{last}'"
                )));
            }
            Place::Sequence(number) => number + step,
            Place::Offset(text) => {
                let read = self.offsets.read(text);
                let known = read.filter(|(epoch, _)| *epoch >= self.oldest_epoch);
                let (epoch, offset) = known.ok_or_else(|| {
                    Refusal::argument(format!("The supplied offset '{text}' is invalid."))
                })?;
                if (epoch, offset) > (self.epoch(last), self.offset(last).max(0)) {
                    let last = self.standing().offset;
                    return Err(Refusal::argument(format!(
                        "The supplied offset '{text}' is invalid. The last offset in the system is '{last}'"
                    )));
                }
                self.search(|sequence| {
                    (self.epoch(sequence), self.offset(sequence)) >= (epoch, offset + step)
                })
            }
        };
        // What follows the last event that was forgotten is no gap.
        if refuse_aged && begin < self.first {
            return Err(Refusal::argument(format!(
                "The supplied position has aged out. The first sequence number in the system is '{}'",
                self.first
            )));
        }
        Ok(begin.max(self.first))
    }

    /// The first of all events, the forgotten ones too, of which that is true.
    fn search(&self, holds: impl Fn(i64) -> bool) -> i64 {
        let (mut low, mut high) = (0, self.next());
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

impl Found {
    pub(super) fn sequence(&self) -> i64 {
        match self {
            Self::Told { sequence, .. } | Self::Kept(sequence, _) => *sequence,
        }
    }

    /// The event as it is sent.
    pub(super) fn event(self) -> Arc<Event> {
        match self {
            Self::Kept(_, event) => event,
            Self::Told {
                feed,
                which,
                sequence,
                offset,
                epoch,
            } => {
                let mut content = data(feed.body(which));
                annotate(&mut content, epoch, sequence, &offset, feed.enqueued(which));
                Arc::new(event(content))
            }
        }
    }
}

/// Settled by us where the receiver lets us choose.
fn event(content: Content) -> Event {
    Sendable::builder().message(content).settled(true).build()
}

/// An event with one data section.
pub(super) fn data(bytes: Vec<u8>) -> Content {
    content(Body::Data(Batch::new(vec![Data::from(bytes)])))
}

pub(super) fn content(body: Body<Value>) -> Content {
    Message {
        header: None,
        delivery_annotations: None,
        message_annotations: None,
        properties: None,
        application_properties: None,
        body,
        footer: None,
    }
}

fn size(content: &Content) -> i64 {
    let bytes = match &content.body {
        Body::Data(sections) => sections.iter().map(|section| section.0.len()).sum(),
        _ => 0_usize,
    };
    i64::try_from(bytes).unwrap_or(0)
}

fn annotate(content: &mut Content, epoch: i32, sequence: i64, offset: &str, enqueued: i64) {
    let annotations = content
        .message_annotations
        .get_or_insert_with(|| MessageAnnotations::builder().build());
    let own = [
        ("x-opt-sequence-number-epoch", Value::Int(epoch)),
        ("x-opt-sequence-number", Value::Long(sequence)),
        ("x-opt-offset", Value::String(offset.to_owned())),
        (
            "x-opt-enqueued-time",
            Value::Timestamp(Timestamp::from_milliseconds(enqueued)),
        ),
    ];
    for (key, value) in own {
        annotations.0.insert(Symbol::from(key).into(), value);
    }
}
