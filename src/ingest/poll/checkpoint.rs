//! What a stanza remembers between runs.

use crate::ingest::Instant;
use crate::ingest::poll::seen::{RecentKeys, Seen};
use std::time::Duration;

const VERSION: u32 = 2;

/// The state of one feed, saved after every page that has left the process.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Checkpoint {
    version: u32,
    /// Which stream this is (tenant, feed, API): a checkpoint serves no other.
    stream: String,
    /// The first instant ever asked for.
    pub start: Instant,
    /// Everything up to here that was listed has been delivered; no later
    /// than the last object delivered, never merely the end of a window.
    pub watermark: Option<Instant>,
    /// The last poll came to its end. If not, objects newer than the watermark
    /// may have been delivered while older ones were not.
    pub finished: bool,
    #[serde(alias = "habits")]
    pub behaviour: ServiceBehaviour,
    /// Windows that would not come, to be asked for again.
    pub gaps: Vec<Gap>,
    /// From here on `seen` knows everything delivered: nothing before it is
    /// read again, also when `overlap` is raised later.
    pub seen_since: Instant,
    pub seen: Seen,
    pub kept: RecentKeys,
    pub looked: Looked,
    /// Since when answers say that they are partial: the watermark waits.
    pub partial_since: Option<Instant>,
}

/// Where the next looks at a burst within the overlap begin.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Looked {
    pub numbers: Option<Instant>,
    pub pages: Option<Instant>,
    /// A window, and how many objects the service counted in it.
    pub counted: Option<((Instant, Instant), u64)>,
}

/// What was learnt about how this service answers. Services change, so it is learnt
/// anew each day.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ServiceBehaviour {
    pub order: Ordering,
    /// Pages are cut at this many objects though more were asked for.
    pub cut_at: Option<u32>,
    /// Most objects served in one page.
    pub largest_page: u32,
    /// Most objects a page may ask for, where the service refused more.
    pub top: Option<u32>,
    /// Most objects that may be passed over, where the service refused more; none
    /// at all where it does not apply `$skip`.
    pub skip: Option<u32>,
    /// Whether the service tells how many objects a window holds.
    pub counts: bool,
    /// A list from an instant on lacks the objects of this very instant: the service
    /// compares other instants than it prints, so the walk asks from earlier.
    pub asks_earlier: bool,
    /// The service counts other numbers of objects than it lists, and no reason was found.
    pub miscounts: bool,
    /// Size of an object, on average of late, in bytes.
    pub object_bytes: Option<u64>,
    /// The last poll ended on a page that may have been cut; the next one looks
    /// behind it first.
    pub doubt: bool,
    /// When learning began.
    pub since: Option<Instant>,
}

impl ServiceBehaviour {
    fn new() -> Self {
        Self {
            order: Ordering::Unknown,
            cut_at: None,
            largest_page: 0,
            top: None,
            skip: None,
            counts: true,
            asks_earlier: false,
            miscounts: false,
            object_bytes: None,
            doubt: false,
            since: None,
        }
    }

    /// Forgets what was learnt more than a day ago, sizes aside.
    pub fn age(&mut self, now: Instant) {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        match self.since {
            Some(since) if since <= now && now < since.plus(DAY) => {}
            None => self.since = Some(now),
            Some(_) => {
                *self = Self {
                    object_bytes: self.object_bytes,
                    doubt: self.doubt,
                    since: Some(now),
                    ..Self::new()
                }
            }
        }
    }
}

/// Whether lists come in the order asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ordering {
    Unknown,
    Honoured,
    /// In an order of the service's own.
    Ignored,
    /// Asking for an order is an error.
    Refused,
}

/// A window the service fails to list though it lists others.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Gap {
    pub from: Instant,
    /// Exclusive.
    pub to: Instant,
    pub why: String,
    pub found: Instant,
    pub tries: u32,
    pub next_try: Instant,
}

impl Gap {
    /// After this many tries (more than a week) a gap is given up, said as such.
    pub const MOST_TRIES: u32 = 24;

    /// Each of the next polls asks again; then pauses grow from ten minutes to a day.
    const PROMPT_TRIES: u32 = 8;

    pub fn put_off(&mut self, now: Instant) {
        self.tries += 1;
        let Some(late) = self.tries.checked_sub(Self::PROMPT_TRIES) else {
            return;
        };
        let minutes = 10_u64 << late.min(8);
        self.next_try = now.plus(Duration::from_secs(60 * minutes.min(24 * 60)));
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error(
        "it cannot be read as a checkpoint ({0}). It is not taken for empty: restore it from a \
         backup, or delete it to read again from `start` (which delivers old objects once more)"
    )]
    Broken(serde_json::Error),
    #[error(
        "it was written by another version of Defender Bridge (layout {0}; this one reads layout \
         {VERSION}). Install that version again, or delete the file to read again from `start`"
    )]
    OtherVersion(u32),
    #[error(
        "it belongs to another stream ({found}; this stanza reads {wanted}). Give the changed \
         input a new name, or delete the file to read again from `start`"
    )]
    OtherStream { found: String, wanted: String },
}

impl Checkpoint {
    pub fn new(stream: &str, start: Instant) -> Self {
        Self {
            version: VERSION,
            stream: stream.to_owned(),
            start,
            watermark: None,
            finished: false,
            behaviour: ServiceBehaviour::new(),
            gaps: Vec::new(),
            seen_since: start,
            seen: Seen::default(),
            kept: RecentKeys::default(),
            looked: Looked::default(),
            partial_since: None,
        }
    }

    /// Reads what [`Checkpoint::text`] wrote for the same stream.
    pub fn read(text: &str, stream: &str) -> Result<Self, CheckpointError> {
        #[derive(serde::Deserialize)]
        struct Head {
            version: u32,
        }
        let checkpoint: Self = serde_json::from_str(text).map_err(|broken| {
            // Another layout need not be readable to be named.
            match serde_json::from_str(text) {
                Ok(Head { version }) if version != VERSION => {
                    CheckpointError::OtherVersion(version)
                }
                _ => CheckpointError::Broken(broken),
            }
        })?;
        if checkpoint.version != VERSION {
            return Err(CheckpointError::OtherVersion(checkpoint.version));
        }
        if checkpoint.stream != stream {
            return Err(CheckpointError::OtherStream {
                found: checkpoint.stream,
                wanted: stream.to_owned(),
            });
        }
        Ok(checkpoint)
    }

    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Enough to tell whether it has changed since, without its text.
    pub(super) fn snapshot(&self) -> Snapshot {
        // A field that is added has to be added here too.
        let Self {
            version: _,
            stream: _,
            start: _,
            watermark,
            finished,
            behaviour,
            gaps,
            seen_since,
            seen,
            kept,
            looked,
            partial_since,
        } = self;
        Snapshot {
            watermark: *watermark,
            finished: *finished,
            behaviour: behaviour.clone(),
            gaps: gaps.clone(),
            seen_since: *seen_since,
            seen: seen.changes(),
            kept: kept.changes(),
            looked: looked.clone(),
            partial_since: *partial_since,
        }
    }
}

/// A checkpoint as it was saved, its megabytes told by how often they had changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Snapshot {
    watermark: Option<Instant>,
    finished: bool,
    behaviour: ServiceBehaviour,
    gaps: Vec<Gap>,
    seen_since: Instant,
    seen: u64,
    kept: u64,
    looked: Looked,
    partial_since: Option<Instant>,
}

impl Snapshot {
    /// Whether a killed process would have to find out again what cost many calls.
    pub fn is_behind(&self, checkpoint: &Checkpoint) -> bool {
        self.watermark != checkpoint.watermark || self.gaps != checkpoint.gaps
    }
}

#[cfg(test)]
mod tests {
    use super::super::seen::Key;
    use super::*;

    fn stream() -> &'static str {
        "graph alerts of tenant t"
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let mut checkpoint = Checkpoint::new(stream(), Instant::from_ticks(17));
        checkpoint.watermark = Some(Instant::from_millis(1_700_000_000_000));
        checkpoint.gaps.push(Gap {
            from: Instant::EPOCH,
            to: Instant::from_ticks(1),
            why: "HTTP 500".into(),
            found: Instant::EPOCH,
            tries: 0,
            next_try: Instant::EPOCH,
        });
        let text = checkpoint.text().unwrap();
        assert_eq!(Checkpoint::read(&text, stream()).unwrap(), checkpoint);
    }

    #[test]
    fn a_broken_file_is_never_taken_for_empty() {
        for text in [
            "",
            "{}",
            "null",
            "{\"version\":2}",
            "{\"version\":2,",
            "\u{0}\u{0}",
        ] {
            let refusal = Checkpoint::read(text, stream()).unwrap_err();
            assert!(
                matches!(refusal, CheckpointError::Broken(_)),
                "{text:?}: {refusal}"
            );
        }
    }

    #[test]
    fn another_version_or_stream_is_refused_with_advice() {
        let text = Checkpoint::new(stream(), Instant::EPOCH).text().unwrap();
        let other = Checkpoint::read(&text, "xdr incidents of tenant t").unwrap_err();
        assert!(other.to_string().contains("new name"), "{other}");
        let newer = text.replace("\"version\":2", "\"version\":3");
        let other = Checkpoint::read(&newer, stream()).unwrap_err();
        assert!(matches!(other, CheckpointError::OtherVersion(3)), "{other}");
        let other = Checkpoint::read("{\"version\":1,\"seen\":[]}", stream()).unwrap_err();
        assert!(matches!(other, CheckpointError::OtherVersion(1)), "{other}");
    }

    #[test]
    fn a_snapshot_tells_every_change_and_which_ones_do_not_wait() {
        let whole = Checkpoint::new(stream(), Instant::EPOCH);
        type Alter = fn(&mut Checkpoint);
        let changes: [(bool, Alter); 9] = [
            (true, |changed| changed.watermark = Some(Instant::EPOCH)),
            (true, |changed| {
                changed.gaps.push(Gap {
                    from: Instant::EPOCH,
                    to: Instant::EPOCH,
                    why: String::new(),
                    found: Instant::EPOCH,
                    tries: 0,
                    next_try: Instant::EPOCH,
                });
            }),
            (false, |changed| changed.finished = true),
            (false, |changed| changed.behaviour.doubt = true),
            (false, |changed| changed.seen_since = Instant::from_ticks(1)),
            (false, |changed| {
                changed.seen.add(Instant::EPOCH, Key::of_text("a"));
            }),
            (false, |changed| {
                assert!(changed.kept.add(Key::of_text("a")))
            }),
            (false, |changed| {
                changed.looked.pages = Some(Instant::EPOCH);
            }),
            (false, |changed| {
                changed.partial_since = Some(Instant::EPOCH);
            }),
        ];
        let saved = whole.snapshot();
        assert_eq!(saved, whole.clone().snapshot());
        assert!(!saved.is_behind(&whole));
        for (at_once, change) in changes {
            let mut changed = whole.clone();
            change(&mut changed);
            assert_ne!(changed.text().unwrap(), whole.text().unwrap());
            assert_ne!(changed.snapshot(), saved);
            assert_eq!(saved.is_behind(&changed), at_once);
        }
    }

    #[test]
    fn a_gap_is_put_off_for_longer_each_time_up_to_a_day() {
        let mut gap = Gap {
            from: Instant::EPOCH,
            to: Instant::EPOCH,
            why: String::new(),
            found: Instant::EPOCH,
            tries: 0,
            next_try: Instant::EPOCH,
        };
        let mut last = Duration::ZERO;
        for _ in 0..Gap::MOST_TRIES {
            gap.put_off(Instant::EPOCH);
            let pause = Duration::from_millis(gap.next_try.millis().unsigned_abs());
            assert!(pause >= last && pause <= Duration::from_secs(24 * 3600));
            last = pause;
        }
        assert_eq!(last, Duration::from_secs(24 * 3600));
    }
}
