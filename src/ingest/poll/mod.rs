//! The loop of the way in: ask, drop what is known, deliver, remember.
//!
//! While one page is being delivered the next one downloads, no more than that:
//! memory does not grow with the backlog, and a reader that is slow slows the
//! downloads.

pub mod checkpoint;
pub mod page;
mod seen;
pub mod source;
#[cfg(test)]
mod tests;
mod walk;

use super::delivery::{Delivery, DeliveryError};
use super::tally::{Delivered, is_zero};
use super::{Event, Instant, Kind, Sink, Store};
use crate::ingest::poll::checkpoint::{Checkpoint, Gap, Looked, Ordering, Snapshot};
use crate::ingest::poll::page::Page;
use crate::ingest::poll::seen::Key;
use crate::ingest::poll::source::{Limits, ListQuery, ListSource, SourceError};
use crate::ingest::poll::walk::span::{EARLIER, earlier};
use crate::ingest::poll::walk::{Known, Listing, Route, Walk, most_skip, page_holds};
use std::io;
use std::ops::Range;
use std::time::Duration;
use tokio::sync::watch;

/// When a poll takes place, and how much of the past it reads again.
#[derive(Debug, Clone, Copy)]
pub struct Poll {
    pub now: Instant,
    /// How far behind `now` it stops: the newest objects are still settling.
    pub settle: Duration,
    /// How far before the watermark it begins: objects become visible late.
    pub overlap: Duration,
}

/// What ends a poll before it is through; the next one goes on from there.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Turns true when the process is asked to stop.
    pub stop: watch::Receiver<bool>,
    /// Turns true when the poll has lasted long enough.
    pub time_is_up: watch::Receiver<bool>,
    /// Questions it may ask.
    pub questions: u64,
}

impl Bounds {
    /// Only a stop signal ends the poll.
    pub fn none(stop: watch::Receiver<bool>) -> Self {
        // A channel whose sender is gone never turns true.
        let (_, time_is_up) = watch::channel(false);
        Self {
            stop,
            time_is_up,
            questions: u64::MAX,
        }
    }
}

/// Questions in a poll that may end in silence.
const MOST_STALLS: u32 = 3;

/// The watermark waits so long for answers that are not partial, and while so few
/// objects have to be kept in mind.
const PARTIAL_PATIENCE: Duration = Duration::from_secs(6 * 3600);
const PARTIAL_OBJECTS: usize = 20_000;

/// A checkpoint further ahead of the clock than this was written while the clock was wrong,
/// or the clock is wrong now.
const AHEAD: Duration = Duration::from_secs(60);

/// What one poll did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    pub pages: u64,
    /// Objects listed, those known already included.
    pub listed: u64,
    #[serde(flatten)]
    pub delivered: Delivered,
    /// Windows that would not come.
    pub gaps: u64,
    /// Answers the service called partial.
    #[serde(skip_serializing_if = "is_zero")]
    pub partial: u64,
    /// Ended early because the process is asked to stop.
    pub stopped: bool,
    /// Which bound ended the poll before it was through: `calls` or `minutes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<&'static str>,
}

impl Tally {
    pub fn events(&self) -> u64 {
        self.delivered.events()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PullError<E: SourceError> {
    #[error("{0}")]
    Source(E),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    #[error(
        "the service does not apply `$filter`, and lists more than its pages and `$skip` reach: \
         what is behind cannot be read"
    )]
    Unfiltered,
    #[error(
        "more windows of time cannot be listed than one poll gives up; the next one goes on from here"
    )]
    Hopeless,
    #[error(
        "the checkpoint is ahead of this machine's clock ({watermark}, while it is {now}): either \
         the clock is set back, and reading goes on once it is right, or the checkpoint was \
         written while the clock was wrong: delete it to read again from `start`"
    )]
    Ahead { watermark: Instant, now: Instant },
    #[error(
        "nothing new came within the {0} of one poll, and it is not through; the next one tries again. \
         Look at the warnings before this line: the service, a proxy or the network may hold answers back"
    )]
    Bound(&'static str),
}

/// Everything one page leaves to deliver.
struct Outgoing {
    page: Page,
    /// Index of the object, and of the alert nested in it.
    objects: Vec<(usize, Option<usize>)>,
    quarantined: Vec<usize>,
    now: Instant,
}

/// One poll: everything up to `poll.now - settle` that `checkpoint` does not
/// know yet goes to `sink`, and what is then known to `store`.
///
/// Returns sink and store with the outcome; `tally` counts also what was
/// delivered before an error. A bound ends the poll after the page under way.
pub async fn pull<S, K, T>(
    source: &S,
    sink: K,
    store: T,
    checkpoint: &mut Checkpoint,
    poll: Poll,
    bounds: Bounds,
    tally: &mut Tally,
) -> (Option<(K, T)>, Result<(), PullError<S::Error>>)
where
    S: ListSource,
    S::Error: Send + 'static,
    K: Sink + Send + 'static,
    T: Store + Send + 'static,
{
    let mut delivery = PageDelivery {
        delivery: Delivery::new(sink, store),
        saved: Some(checkpoint.snapshot()),
        learnt: false,
    };
    let outcome = walk_through(source, &mut delivery, checkpoint, poll, bounds, tally).await;
    let last = delivery.finish(checkpoint, poll.now).await;
    let outcome = outcome.and(last.map_err(PullError::Delivery));
    (delivery.delivery.into_ends(), outcome)
}

/// The delivery of pages, each with the checkpoint that follows from it.
struct PageDelivery<K, T> {
    delivery: Delivery<K, T>,
    /// The checkpoint last handed to the store. None where events it knows of may not
    /// have left: then nothing later is saved.
    saved: Option<Snapshot>,
    /// Answers without events were taken since: what they taught is saved with the next
    /// events, or when the poll ends, however it ends.
    learnt: bool,
}

impl<K, T> PageDelivery<K, T>
where
    K: Sink + Send + 'static,
    T: Store + Send + 'static,
{
    /// Waits until the page before is handed over and its checkpoint saved.
    async fn settle(&mut self) -> Result<(), DeliveryError> {
        let outcome = self.delivery.settle().await;
        if outcome.is_err() {
            self.saved = None;
        }
        outcome
    }

    /// Takes what a page left; where that is nothing, its checkpoint may wait.
    async fn take(
        &mut self,
        outgoing: Outgoing,
        checkpoint: &Checkpoint,
    ) -> Result<(), DeliveryError> {
        let behind = |saved: &Snapshot| saved.is_behind(checkpoint);
        if outgoing.is_empty() && !self.saved.as_ref().is_some_and(behind) {
            self.learnt = true;
            return Ok(());
        }
        self.deliver(outgoing, checkpoint).await
    }

    async fn deliver(
        &mut self,
        outgoing: Outgoing,
        checkpoint: &Checkpoint,
    ) -> Result<(), DeliveryError> {
        self.saved = None;
        let text = checkpoint
            .text()
            .map_err(|error| DeliveryError::Store(error.into()))?;
        let write = move |sink: &mut K| outgoing.events(sink);
        let save = move |store: &mut T| store.save(&text);
        self.delivery.deliver(write, save).await?;
        self.saved = Some(checkpoint.snapshot());
        self.learnt = false;
        Ok(())
    }

    /// Saves what is not saved yet.
    async fn finish(&mut self, checkpoint: &Checkpoint, now: Instant) -> Result<(), DeliveryError> {
        self.settle().await?;
        let changed = |saved: &Snapshot| *saved != checkpoint.snapshot();
        if self.learnt && self.saved.as_ref().is_some_and(changed) {
            let nothing = Outgoing {
                page: Page::default(),
                objects: Vec::new(),
                quarantined: Vec::new(),
                now,
            };
            self.deliver(nothing, checkpoint).await?;
        }
        self.settle().await
    }
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.quarantined.is_empty()
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
        for index in &self.quarantined {
            if let Some(quarantined) = self.page.quarantined.get(*index) {
                sink.event(&Event {
                    kind: Kind::Quarantined,
                    time: self.now,
                    raw: [
                        self.page
                            .body
                            .get(quarantined.span.clone())
                            .unwrap_or_default(),
                        "",
                    ],
                    why: Some(&quarantined.why),
                })?;
            }
        }
        Ok(())
    }
}

async fn walk_through<S, K, T>(
    source: &S,
    delivery: &mut PageDelivery<K, T>,
    checkpoint: &mut Checkpoint,
    poll: Poll,
    mut bounds: Bounds,
    tally: &mut Tally,
) -> Result<(), PullError<S::Error>>
where
    S: ListSource,
    S::Error: Send + 'static,
    K: Sink + Send + 'static,
    T: Store + Send + 'static,
{
    let end = poll.now.minus(poll.settle);
    if let Some(watermark) = checkpoint.watermark
        && watermark > poll.now.plus(AHEAD)
    {
        let now = poll.now;
        return Err(PullError::Ahead { watermark, now });
    }
    checkpoint.behaviour.age(poll.now);
    let due: Vec<Gap> = checkpoint
        .gaps
        .iter()
        .filter(|gap| gap.next_try <= poll.now)
        .cloned()
        .collect();
    let from = first_instant(checkpoint, poll.overlap);
    let limits = source.limits();
    let route = route(checkpoint, from, end.minus(poll.overlap), &limits);
    checkpoint.behaviour.doubt = false;
    let newest_known = checkpoint.watermark;
    let mut walk = Walk::new(limits, poll.now, end, route, &checkpoint.gaps, &due);
    let mut strays = false;
    let (mut questions, mut stalls) = (0, 0);
    while let Some(query) = walk.ask(&mut checkpoint.behaviour) {
        if questions >= bounds.questions {
            return reached("calls", delivery, tally).await;
        }
        questions += 1;
        tracing::debug!(
            "asking for {} to {}, {} objects",
            query.from,
            query.to,
            query.top
        );
        let answer = tokio::select! {
            biased;
            answer = source.page(&query) => answer,
            Ok(_) = bounds.stop.wait_for(|stop| *stop) => {
                tally.stopped = true;
                return Ok(());
            }
            Ok(_) = bounds.time_is_up.wait_for(|up| *up) => {
                return reached("minutes", delivery, tally).await;
            }
        };
        delivery.settle().await?;
        let page = match answer {
            Ok(page) => page,
            Err(error) => {
                let why = error.to_string();
                stalls += u32::from(error.is_stall());
                let taken = walk.on_error(error.class(), why, &mut checkpoint.behaviour);
                if taken.is_err() || stalls >= MOST_STALLS {
                    return Err(PullError::Source(error));
                }
                tracing::warn!("{error}; asking for less");
                continue;
            }
        };
        tally.pages += 1;
        if !strays && strayed(&query, &page) {
            strays = true;
            tracing::warn!(
                "the service lists objects last updated outside {} to {}, the window it was asked \
                 for: it seems not to apply `$filter`, and each poll may cost many calls",
                query.from,
                query.to
            );
        }
        let listing = Listing::of(&page, from, checkpoint);
        if !walk.delivers() {
            walk.on_page(&listing, &mut checkpoint.behaviour);
            continue;
        }
        if page.partial.is_some() {
            tally.partial += 1;
            checkpoint.partial_since.get_or_insert(poll.now);
        }
        learn_size(&page, query.top, checkpoint);
        let (objects, quarantined) = choose(&page, &listing, from, &walk, checkpoint, tally);
        walk.on_page(&listing, &mut checkpoint.behaviour);
        if strays && walk.gives_up() {
            // Objects of this page are known by now, and not delivered.
            delivery.saved = None;
            return Err(PullError::Unfiltered);
        }
        advance(&mut walk, checkpoint, poll, end, tally);
        checkpoint.finished = walk.is_over();
        let outgoing = Outgoing {
            page,
            objects,
            quarantined,
            now: poll.now,
        };
        delivery.take(outgoing, checkpoint).await?;
        if walk.is_hopeless() {
            return Err(PullError::Hopeless);
        }
    }
    delivery.settle().await?;
    if walk.miscounted && tally.events() == 0 {
        checkpoint.behaviour.miscounts = true;
    }
    if let (Some(counted), Some(newest)) = (walk.counted, newest_known) {
        // Objects that came late were not counted before.
        checkpoint.looked.counted = Some(((from, newest.next()), counted));
    }
    judge_partial(&mut walk, checkpoint, poll);
    close_gaps(&mut walk, checkpoint, &due, poll, end, tally);
    checkpoint.finished = true;
    delivery.learnt = true;
    Ok(())
}

/// A poll that is not through; the next one goes on from the last checkpoint.
async fn reached<K, T, E>(
    bound: &'static str,
    delivery: &mut PageDelivery<K, T>,
    tally: &mut Tally,
) -> Result<(), PullError<E>>
where
    K: Sink + Send + 'static,
    T: Store + Send + 'static,
    E: SourceError + Send + 'static,
{
    delivery.settle().await?;
    tally.bound = Some(bound);
    if tally.events() == 0 {
        return Err(PullError::Bound(bound));
    }
    tracing::warn!(
        "the poll has used up the {bound} of one poll and ends here; the next one goes on from its checkpoint"
    );
    Ok(())
}

/// What to ask: all of the window, or, where earlier polls know it, no more than
/// shows whether anything has been added.
fn route(checkpoint: &mut Checkpoint, from: Instant, leaves: Instant, limits: &Limits) -> Route {
    let behaviour = &mut checkpoint.behaviour;
    // However the service compares instants, this leaves out no object of the first one.
    let begin = earlier(from);
    let (Some(newest), None) = (checkpoint.watermark, checkpoint.partial_since) else {
        return Route::All { from: begin };
    };
    let known = checkpoint.seen.current(from, newest.next());
    let count = u32::try_from(known.len()).unwrap_or(u32::MAX);
    let length = page_holds(limits, behaviour);
    if count >= length {
        let newest = match checkpoint.finished {
            true => newest.next(),
            // Whether the rest of this instant was listed nobody knows, and a service may
            // compare otherwise than it prints.
            false => earlier(newest),
        };
        let Looks { numbers, pages } = match checkpoint.finished {
            true => looks(checkpoint, from..newest, &known, limits, length),
            false => Looks::default(),
        };
        let whole = (from, newest);
        let counted = checkpoint.looked.counted;
        let counted = counted.filter(|(window, _)| *window == whole);
        checkpoint.looked.counted = counted;
        return Route::Burst {
            from,
            newest,
            leaves,
            known,
            numbers,
            pages,
            counted: counted.map(|(_, count)| count),
        };
    }
    behaviour.miscounts = false;
    checkpoint.looked = Looked::default();
    let idle = Route::Idle {
        from: begin,
        known: Known {
            from,
            newest,
            count,
        },
    };
    match (checkpoint.finished, behaviour.doubt) {
        (false, _) => Route::All { from: begin },
        (true, false) => idle,
        // Where neither order nor number shows what a cut page hides, time does.
        (true, true) if behaviour.order == Ordering::Honoured || behaviour.skip == Some(0) => {
            Route::Newer {
                newest: newest.next(),
                from,
                known: match checkpoint.gaps.is_empty() {
                    true => count,
                    false => 0,
                },
            }
        }
        (true, true) if count > 0 && count <= most_skip(limits, behaviour) => {
            Route::Number { from, known: count }
        }
        (true, true) => Route::All { from: begin },
    }
}

/// Looks a poll takes at a burst within the overlap, beside what is newest.
const LOOKS: usize = 2;

/// Bytes of a look at a page: it is read for what changed without a new last update.
const LOOK_BYTES: u64 = 500_000;

/// Windows to look at, turn by turn: `numbers` are counted where the service counts,
/// so that objects added late show within a few polls, `pages` are listed.
#[derive(Default)]
struct Looks {
    numbers: Vec<Range<Instant>>,
    pages: Vec<Range<Instant>>,
}

fn looks(
    checkpoint: &mut Checkpoint,
    whole: Range<Instant>,
    known: &[Instant],
    limits: &Limits,
    length: u32,
) -> Looks {
    let behaviour = &checkpoint.behaviour;
    let skip = usize::try_from(most_skip(limits, behaviour)).unwrap_or(usize::MAX);
    let looked = &mut checkpoint.looked;
    let mut looks = Looks::default();
    if behaviour.miscounts {
        // Counting proves nothing here.
    } else if known.len() <= skip || (limits.counts && behaviour.counts) {
        looks.numbers.push(whole.clone());
    } else if skip > 0 {
        // A round in some five polls.
        let most = if known.len() > 5 * skip { LOOKS } else { 1 };
        for _ in 0..most {
            let window = turn(&mut looked.numbers, whole.clone(), known, skip);
            looks.numbers.push(window);
        }
    }
    let bytes = behaviour.object_bytes.unwrap_or(1).max(1);
    let fitting = usize::try_from(LOOK_BYTES / bytes).unwrap_or(usize::MAX);
    // One less than a page, so that one more shows.
    let most = usize::try_from(length).unwrap_or(1).saturating_sub(1);
    let objects = fitting.min(most).max(1);
    for _ in looks.numbers.len()..LOOKS {
        let window = turn(&mut looked.pages, whole.clone(), known, objects);
        looks.pages.push(window);
    }
    looks
}

/// The next window with at most so many known objects, one instant at least.
fn turn(
    looked: &mut Option<Instant>,
    whole: Range<Instant>,
    known: &[Instant],
    objects: usize,
) -> Range<Instant> {
    let from = looked
        .filter(|at| whole.contains(at))
        .unwrap_or(whole.start);
    let first = known.partition_point(|updated| *updated < from);
    let to = match known.get(first.saturating_add(objects)) {
        Some(next) if *next > from && known.get(first) != Some(next) => *next,
        Some(next) => next.next().min(whole.end),
        None => whole.end,
    };
    *looked = Some(to);
    from..to
}

/// While answers are partial the watermark waits, but not for ever.
fn judge_partial(walk: &mut Walk, checkpoint: &mut Checkpoint, poll: Poll) {
    if !walk.is_partial() {
        checkpoint.partial_since = None;
        return;
    }
    let Some(since) = checkpoint.partial_since else {
        return;
    };
    let many = checkpoint.seen.len() > PARTIAL_OBJECTS;
    if many || since.plus(PARTIAL_PATIENCE) <= poll.now {
        tracing::error!(
            "answers have been partial since {since}: what the service did not list of the time \
             before {} may be missing; compare with the Defender portal",
            poll.now
        );
        walk.release();
        checkpoint.partial_since = None;
    }
}

/// Whether a page goes beyond its window by more than the rounding of instants explains.
fn strayed(query: &ListQuery, page: &Page) -> bool {
    const ROUNDING: Duration = Duration::from_secs(1);
    let allowed = query.from.minus(ROUNDING)..query.to.plus(ROUNDING);
    let mut objects = page.objects.iter();
    objects.any(|object| !allowed.contains(&object.updated))
}

fn first_instant(checkpoint: &Checkpoint, overlap: Duration) -> Instant {
    match checkpoint.watermark {
        None => checkpoint.start,
        Some(watermark) => watermark.minus(overlap).max(checkpoint.seen_since),
    }
}

impl Listing {
    /// `from` is where the poll began: a service that rounds instants lists
    /// objects before it too, which are none of this poll's business.
    fn of(page: &Page, from: Instant, checkpoint: &Checkpoint) -> Self {
        let key = |object| Key::of(object, page);
        let objects = page.objects.iter();
        let listed: Vec<(Instant, Key)> = objects
            .clone()
            .map(|object| (object.updated, key(object)))
            .collect();
        let nested: Vec<Vec<Key>> = objects
            .map(|object| object.nested.iter().map(key).collect())
            .collect();
        let quarantined: Vec<Key> = page
            .quarantined
            .iter()
            .map(|element| page.body.get(element.span.clone()).unwrap_or_default())
            .map(Key::of_text)
            .collect();
        let mut kept = nested.iter().flatten().chain(&quarantined);
        let all_known = kept.all(|key| checkpoint.kept.has(*key))
            && listed
                .iter()
                .all(|(updated, key)| *updated < from || checkpoint.seen.has(*updated, *key));
        Self {
            count: u32::try_from(listed.len() + quarantined.len()).unwrap_or(u32::MAX),
            more: page.more,
            total: page.count,
            partial: page.partial.is_some(),
            all_known,
            listed,
            nested,
            quarantined,
        }
    }
}

/// A moving average, so that page sizes follow the objects.
fn learn_size(page: &Page, top: u32, checkpoint: &mut Checkpoint) {
    let objects = u64::try_from(page.objects.len()).unwrap_or(u64::MAX);
    let bytes = u64::try_from(page.body.len()).unwrap_or(u64::MAX);
    // An idle page says nothing about a full one.
    let is_full = objects >= u64::from(top.min(5));
    if !is_full && checkpoint.behaviour.object_bytes.is_some() && bytes < 1_000_000 {
        return;
    }
    if let Some(now) = bytes.checked_div(objects) {
        let before = checkpoint.behaviour.object_bytes.unwrap_or(now);
        // Larger objects count at once, smaller ones by and by.
        let average = if now > before {
            now
        } else {
            (3 * before + now) / 4
        };
        checkpoint.behaviour.object_bytes = Some(average.max(1));
    }
}

/// A gap's window as a service may compare it that compares otherwise than it prints.
fn about(gap: &Gap) -> Range<Instant> {
    gap.from.minus(EARLIER)..gap.to.plus(EARLIER)
}

type Chosen = (Vec<(usize, Option<usize>)>, Vec<usize>);

/// Picks what is new on a page, and remembers it.
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
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        tally.delivered.count(kind, bytes);
    };
    let listed = page
        .objects
        .iter()
        .zip(&listing.listed)
        .zip(&listing.nested);
    for (index, ((object, (updated, key)), nested)) in listed.enumerate() {
        tally.listed += 1;
        let known = (!old_gap && *updated < from.max(checkpoint.seen_since))
            || checkpoint.seen.has(*updated, *key)
            // A gap may lie further back than the seen set reaches.
            || (old_gap && (walk.already_listed(*key) || !checkpoint.kept.add(*key)));
        if !known {
            if *updated >= checkpoint.seen_since {
                checkpoint.seen.add(*updated, *key);
            }
            let in_gap = |gap: &Gap| about(gap).contains(updated);
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
    let mut quarantined = Vec::new();
    for (index, (element, key)) in page
        .quarantined
        .iter()
        .zip(&listing.quarantined)
        .enumerate()
    {
        if checkpoint.kept.add(*key) {
            tracing::warn!("an element was quarantined: {}", element.why);
            let text = page.body.get(element.span.clone()).unwrap_or_default();
            count(Kind::Quarantined, [text, ""], tally);
            quarantined.push(index);
        }
    }
    (objects, quarantined)
}

/// Moves the watermark over what is drained.
fn advance(
    walk: &mut Walk,
    checkpoint: &mut Checkpoint,
    poll: Poll,
    end: Instant,
    tally: &mut Tally,
) {
    for gap in walk.take_gaps() {
        tally.gaps += 1;
        tracing::error!(
            "objects last updated from {} to {} cannot be listed: {}. The walk goes on without \
             them and asks again later",
            gap.from,
            gap.to,
            gap.why
        );
        // Objects that share the gap's window were delivered, and will be listed again with it.
        let about = about(&gap);
        for key in checkpoint.seen.between(about.start, about.end) {
            checkpoint.kept.add(key);
        }
        checkpoint.gaps.push(gap);
    }
    // An object dated later than the poll's end must not blind the next ones.
    let last = end.before();
    let drained = walk.frontier().map_or(last, |frontier| frontier.min(last));
    let newest = checkpoint.seen.newest_until(drained);
    checkpoint.watermark = checkpoint.watermark.max(newest);
    if let Some(watermark) = checkpoint.watermark {
        checkpoint.seen_since = checkpoint.seen_since.max(watermark.minus(poll.overlap));
        checkpoint.seen.forget_before(checkpoint.seen_since);
    }
}

/// Forgets gaps that came; the others wait longer, and are given up in the end.
fn close_gaps(
    walk: &mut Walk,
    checkpoint: &mut Checkpoint,
    due: &[Gap],
    poll: Poll,
    end: Instant,
    tally: &mut Tally,
) {
    advance(walk, checkpoint, poll, end, tally);
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
