//! The loop of the way in: ask, drop what is known, deliver, remember.
//!
//! While one page is being delivered the next one downloads, no more than that:
//! memory does not grow with the backlog, and a reader that is slow slows the
//! downloads. What is remembered is saved only after the sink has flushed, so a
//! process killed at any instant loses nothing and repeats at most that page.

use super::checkpoint::{Checkpoint, Gap};
use super::seen::Key;
use super::walk::{Listing, Walk};
use super::{Ask, Event, Fault, Instant, Kind, Page, Sink, Source, Store};
use std::io;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// When a poll takes place, and how much of the past it reads again.
#[derive(Debug, Clone, Copy)]
pub struct Poll {
    pub now: Instant,
    /// How far behind `now` it stops: the newest objects are still settling.
    pub settle: Duration,
    /// How far before the watermark it begins: objects become visible late.
    pub overlap: Duration,
}

/// What one poll did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    pub pages: u64,
    /// Objects listed, those known already included.
    pub listed: u64,
    /// Events delivered, by what they are.
    pub alerts: u64,
    pub incidents: u64,
    pub quarantined: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// Windows that would not come.
    pub gaps: u64,
    /// Ended early because the process is asked to stop.
    pub stopped: bool,
}

impl Tally {
    pub fn events(&self) -> u64 {
        self.alerts + self.incidents + self.quarantined
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PullError<E: Fault> {
    #[error("{0}")]
    Source(E),
    #[error(
        "events cannot be handed over ({0}); nothing is lost, the next run goes on from the last checkpoint"
    )]
    Sink(#[source] io::Error),
    #[error(
        "the checkpoint cannot be written ({0}); free or repair the disk it lies on. The run stops, since events read on would be read again"
    )]
    Store(#[source] io::Error),
    #[error(
        "the service does not apply `$filter`, and lists more than its pages and `$skip` reach: \
         what is behind cannot be read"
    )]
    Unfiltered,
    #[error(
        "more windows of time cannot be listed than one poll gives up; the next one goes on from here"
    )]
    Hopeless,
    #[error("delivering stopped unexpectedly: {0}")]
    Died(String),
}

/// Where events go and where memory is kept: handed to the delivering thread and back.
struct Hands<K, T> {
    sink: K,
    store: T,
}

type Delivered<K, T, E> = (Hands<K, T>, Result<(), PullError<E>>);

/// Everything one page leaves to do.
struct Outgoing {
    page: Page,
    /// Index of the object, and of the alert nested in it.
    objects: Vec<(usize, Option<usize>)>,
    poison: Vec<usize>,
    checkpoint: String,
    now: Instant,
}

/// One poll: everything up to `poll.now - settle` that `checkpoint` does not
/// know yet goes to `sink`, and what is then known to `store`.
///
/// Returns sink and store with the outcome; `tally` counts also what was
/// delivered before an error. `stop` ends the poll after the page under way.
pub async fn pull<S, K, T>(
    source: &S,
    sink: K,
    store: T,
    checkpoint: &mut Checkpoint,
    poll: Poll,
    stop: watch::Receiver<bool>,
    tally: &mut Tally,
) -> (Option<(K, T)>, Result<(), PullError<S::Error>>)
where
    S: Source,
    S::Error: Send + 'static,
    K: Sink + Send + 'static,
    T: Store + Send + 'static,
{
    let mut delivery = Delivery {
        hands: Some(Hands { sink, store }),
        delivering: None,
        saved: fingerprint(&checkpoint.text().unwrap_or_default()),
    };
    let outcome = walk_through(source, &mut delivery, checkpoint, poll, stop, tally).await;
    let last = delivery.settle().await;
    let hands = delivery.hands.take().map(|hands| (hands.sink, hands.store));
    (hands, outcome.and(last))
}

/// Hands the pages over, one at a time, in the background.
struct Delivery<K, T, E: Fault> {
    hands: Option<Hands<K, T>>,
    delivering: Option<JoinHandle<Delivered<K, T, E>>>,
    /// Of the checkpoint last handed to the store.
    saved: u128,
}

impl<K, T, E> Delivery<K, T, E>
where
    K: Sink + Send + 'static,
    T: Store + Send + 'static,
    E: Fault + Send + 'static,
{
    /// Waits until the page before is out and remembered.
    async fn settle(&mut self) -> Result<(), PullError<E>> {
        let Some(job) = self.delivering.take() else {
            return Ok(());
        };
        match job.await {
            Ok((hands, outcome)) => {
                self.hands = Some(hands);
                outcome
            }
            Err(died) => Err(PullError::Died(died.to_string())),
        }
    }

    fn deliver(&mut self, outgoing: Outgoing) {
        let Some(mut hands) = self.hands.take() else {
            return;
        };
        let checkpoint = fingerprint(&outgoing.checkpoint);
        let unchanged = std::mem::replace(&mut self.saved, checkpoint) == checkpoint;
        self.delivering = Some(tokio::task::spawn_blocking(move || {
            let outcome = outgoing.hand_over(&mut hands, unchanged);
            (hands, outcome)
        }));
    }
}

impl Outgoing {
    fn hand_over<K: Sink, T: Store, E: Fault>(
        &self,
        hands: &mut Hands<K, T>,
        unchanged: bool,
    ) -> Result<(), PullError<E>> {
        self.events(&mut hands.sink).map_err(PullError::Sink)?;
        if unchanged {
            return Ok(());
        }
        hands.store.save(&self.checkpoint).map_err(PullError::Store)
    }

    fn events<K: Sink>(&self, sink: &mut K) -> io::Result<()> {
        for (index, nested) in &self.objects {
            let outer = self.page.objects.get(*index);
            let object = match nested {
                None => outer,
                Some(inner) => outer.and_then(|object| object.nested.get(*inner)),
            };
            if let Some(object) = object {
                sink.event(&Event {
                    kind: object.kind,
                    time: object.updated,
                    raw: self.page.text(&object.raw),
                    why: None,
                })?;
            }
        }
        for index in &self.poison {
            if let Some(poison) = self.page.poison.get(*index) {
                sink.event(&Event {
                    kind: Kind::Quarantined,
                    time: self.now,
                    raw: [
                        self.page.body.get(poison.span.clone()).unwrap_or_default(),
                        "",
                    ],
                    why: Some(&poison.why),
                })?;
            }
        }
        sink.flush()
    }
}

async fn walk_through<S, K, T>(
    source: &S,
    delivery: &mut Delivery<K, T, S::Error>,
    checkpoint: &mut Checkpoint,
    poll: Poll,
    mut stop: watch::Receiver<bool>,
    tally: &mut Tally,
) -> Result<(), PullError<S::Error>>
where
    S: Source,
    S::Error: Send + 'static,
    K: Sink + Send + 'static,
    T: Store + Send + 'static,
{
    let end = poll.now.minus(poll.settle);
    let due: Vec<Gap> = checkpoint
        .gaps
        .iter()
        .filter(|gap| gap.next_try <= poll.now)
        .cloned()
        .collect();
    let from = first_instant(checkpoint, poll.overlap);
    checkpoint.habits.doubt = false;
    let newest_known = checkpoint.watermark.filter(|_| checkpoint.finished);
    let mut walk = Walk::new(
        source.limits(),
        poll.now,
        from..end,
        newest_known,
        &checkpoint.gaps,
        &due,
    );
    let mut strays = false;
    while let Some(ask) = walk.ask(&checkpoint.habits) {
        tracing::debug!("asking for {} to {}, {} objects", ask.from, ask.to, ask.top);
        let answer = tokio::select! {
            biased;
            answer = source.page(&ask) => answer,
            Ok(_) = stop.wait_for(|stop| *stop) => {
                tally.stopped = true;
                return Ok(());
            }
        };
        delivery.settle().await?;
        let page = match answer {
            Ok(page) => page,
            Err(error) => {
                let why = error.to_string();
                if walk
                    .missed(error.verdict(), why, &mut checkpoint.habits)
                    .is_err()
                {
                    return Err(PullError::Source(error));
                }
                tracing::warn!("{error}; asking for less");
                continue;
            }
        };
        tally.pages += 1;
        if !strays && strayed(&ask, &page) {
            strays = true;
            tracing::warn!(
                "the service lists objects last updated outside {} to {}, the window it was asked \
                 for: it seems not to apply `$filter`, and each poll may cost many calls",
                ask.from,
                ask.to
            );
        }
        let listing = Listing::of(&page, from, checkpoint);
        if !walk.delivers() {
            walk.took(&listing, &mut checkpoint.habits);
            continue;
        }
        learn_size(&page, ask.top, checkpoint);
        let (objects, poison) = choose(&page, &listing, from, &walk, checkpoint, tally);
        walk.took(&listing, &mut checkpoint.habits);
        if strays && walk.gives_up() {
            return Err(PullError::Unfiltered);
        }
        advance(&mut walk, checkpoint, poll, tally);
        checkpoint.finished = walk.is_over();
        let text = checkpoint
            .text()
            .map_err(|error| PullError::Store(error.into()))?;
        delivery.deliver(Outgoing {
            page,
            objects,
            poison,
            checkpoint: text,
            now: poll.now,
        });
        if walk.is_hopeless() {
            return Err(PullError::Hopeless);
        }
    }
    delivery.settle().await?;
    close_gaps(&mut walk, checkpoint, &due, poll, tally);
    checkpoint.finished = true;
    let text = checkpoint
        .text()
        .map_err(|error| PullError::Store(error.into()))?;
    if fingerprint(&text) != delivery.saved {
        delivery.deliver(Outgoing {
            page: Page::default(),
            objects: Vec::new(),
            poison: Vec::new(),
            checkpoint: text,
            now: poll.now,
        });
    }
    Ok(())
}

/// Whether a page goes beyond its window by more than the rounding of instants explains.
fn strayed(ask: &Ask, page: &Page) -> bool {
    const ROUNDING: Duration = Duration::from_secs(1);
    let allowed = ask.from.minus(ROUNDING)..ask.to.plus(ROUNDING);
    let mut objects = page.objects.iter();
    objects.any(|object| !allowed.contains(&object.updated))
}

fn fingerprint(text: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(text.as_bytes())
}

fn first_instant(checkpoint: &Checkpoint, overlap: Duration) -> Instant {
    match checkpoint.watermark {
        None => checkpoint.start,
        Some(watermark) if checkpoint.habits.doubt => watermark.next(),
        Some(watermark) => watermark.minus(overlap).max(checkpoint.seen_since),
    }
}

impl Listing {
    /// `from` is where the poll began: a service that rounds instants lists
    /// objects before it too, which are none of this poll's business.
    fn of(page: &Page, from: Instant, checkpoint: &Checkpoint) -> Self {
        let key = |object| Key::of(object, page);
        let objects = page.objects.iter();
        let sights: Vec<(Instant, Key)> = objects
            .clone()
            .map(|object| (object.updated, key(object)))
            .collect();
        let nested: Vec<Vec<Key>> = objects
            .map(|object| object.nested.iter().map(key).collect())
            .collect();
        let poison: Vec<Key> = page
            .poison
            .iter()
            .map(|element| page.body.get(element.span.clone()).unwrap_or_default())
            .map(Key::of_text)
            .collect();
        let mut kept = nested.iter().flatten().chain(&poison);
        let all_known = kept.all(|key| checkpoint.kept.has(*key))
            && sights
                .iter()
                .all(|(updated, key)| *updated < from || checkpoint.seen.has(*updated, *key));
        Self {
            count: u32::try_from(sights.len() + poison.len()).unwrap_or(u32::MAX),
            more: page.more,
            all_known,
            sights,
            nested,
            poison,
        }
    }
}

/// A moving average, so that page sizes follow the objects.
fn learn_size(page: &Page, top: u32, checkpoint: &mut Checkpoint) {
    let objects = u64::try_from(page.objects.len()).unwrap_or(u64::MAX);
    let bytes = u64::try_from(page.body.len()).unwrap_or(u64::MAX);
    // An idle page says nothing about a full one.
    let is_full = objects >= u64::from(top.min(5));
    if !is_full && checkpoint.habits.object_bytes.is_some() && bytes < 1_000_000 {
        return;
    }
    if let Some(now) = bytes.checked_div(objects) {
        let before = checkpoint.habits.object_bytes.unwrap_or(now);
        // Quick to believe that objects have grown, slow that they shrank.
        let average = if now > before {
            now
        } else {
            (3 * before + now) / 4
        };
        checkpoint.habits.object_bytes = Some(average.max(1));
    }
}

type Chosen = (Vec<(usize, Option<usize>)>, Vec<usize>);

/// What of a page is new; remembers it.
fn choose(
    page: &Page,
    listing: &Listing,
    from: Instant,
    walk: &Walk,
    checkpoint: &mut Checkpoint,
    tally: &mut Tally,
) -> Chosen {
    let old_gap = walk.in_old_gap();
    let mut objects = Vec::new();
    let count = |kind: Kind, pieces: [&str; 2], tally: &mut Tally| {
        match kind {
            Kind::Alert => tally.alerts += 1,
            Kind::Incident => tally.incidents += 1,
            Kind::Quarantined => tally.quarantined += 1,
        }
        let bytes = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        tally.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    };
    let listed = page
        .objects
        .iter()
        .zip(&listing.sights)
        .zip(&listing.nested);
    for (index, ((object, (updated, key)), nested)) in listed.enumerate() {
        tally.listed += 1;
        let known = (!old_gap && *updated < from.max(checkpoint.seen_since))
            || checkpoint.seen.has(*updated, *key)
            // A gap may lie further back than the seen set reaches.
            || (old_gap && (walk.met(*key) || !checkpoint.kept.add(*key)));
        if !known {
            if *updated >= checkpoint.seen_since {
                checkpoint.seen.add(*updated, *key);
            }
            let in_gap = |gap: &Gap| (gap.from..gap.to).contains(updated);
            if checkpoint.gaps.iter().any(in_gap) {
                checkpoint.kept.add(*key);
            }
            count(object.kind, page.text(&object.raw), tally);
            objects.push((index, None));
        }
        // An alert may change while its incident does not.
        for (inner, (alert, key)) in object.nested.iter().zip(nested).enumerate() {
            if checkpoint.kept.add(*key) {
                count(alert.kind, page.text(&alert.raw), tally);
                objects.push((index, Some(inner)));
            }
        }
    }
    let mut poison = Vec::new();
    for (index, (element, key)) in page.poison.iter().zip(&listing.poison).enumerate() {
        if checkpoint.kept.add(*key) {
            tracing::warn!("an element was quarantined: {}", element.why);
            let text = page.body.get(element.span.clone()).unwrap_or_default();
            count(Kind::Quarantined, [text, ""], tally);
            poison.push(index);
        }
    }
    (objects, poison)
}

/// Moves the watermark over what is drained.
fn advance(walk: &mut Walk, checkpoint: &mut Checkpoint, poll: Poll, tally: &mut Tally) {
    for gap in walk.take_gaps() {
        tally.gaps += 1;
        tracing::error!(
            "objects last updated from {} to {} cannot be listed: {}. The walk goes on without \
             them and asks again later",
            gap.from,
            gap.to,
            gap.why
        );
        // What shares the gap's window was delivered; the gap is asked for again.
        for key in checkpoint.seen.between(gap.from, gap.to) {
            checkpoint.kept.add(key);
        }
        checkpoint.gaps.push(gap);
    }
    let newest = checkpoint.seen.newest_until(walk.frontier());
    checkpoint.watermark = checkpoint.watermark.max(newest);
    if let Some(watermark) = checkpoint.watermark {
        checkpoint.seen_since = checkpoint.seen_since.max(watermark.minus(poll.overlap));
        checkpoint.seen.forget_before(checkpoint.seen_since);
    }
}

/// Gaps that came are forgotten; the others wait longer, and not for ever.
fn close_gaps(
    walk: &mut Walk,
    checkpoint: &mut Checkpoint,
    due: &[Gap],
    poll: Poll,
    tally: &mut Tally,
) {
    advance(walk, checkpoint, poll, tally);
    checkpoint.gaps.retain_mut(|gap| {
        if !due.contains(gap) {
            return true;
        }
        if walk.closed(gap) {
            tracing::info!(
                "objects last updated from {} to {} came after all",
                gap.from,
                gap.to
            );
            return false;
        }
        gap.put_off(poll.now);
        let given_up = gap.tries >= Gap::MOST_TRIES;
        if given_up {
            tracing::error!(
                "objects last updated from {} to {} are given up after {} tries: {}. Look at them \
                 in the Defender portal",
                gap.from,
                gap.to,
                gap.tries,
                gap.why
            );
        }
        !given_up
    });
}
