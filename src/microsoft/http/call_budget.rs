//! The call budget: how many calls Microsoft publishes per tenant, app and API
//! API, kept in one small file that all our processes share.
//!
//! Sliding windows, so that the published number is never passed in any window
//! as long as only we use the app. Reading leaves a fifth to writing. The budget
//! is a courtesy, not a lock: when its file cannot be used, calls go on.

use crate::disk;
use crate::microsoft::http::clock::Clock;
use crate::triage::Api;
use serde::{Deserialize, Serialize};
use sha2::Digest;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

/// Hundredths of a quota that reading may use up.
const READING: u64 = 80;
/// Milliseconds.
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// More calls than a slot of ours can ever hold.
const MOST: u64 = 1_000_000;
/// How long another process is given to let go of the file; it holds it for microseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// What a call draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draw {
    pub(crate) calls: u32,
    /// MDE's `batchUpdate`, which has limits of its own beside the API's.
    pub(crate) batch: bool,
    pub(crate) reading: bool,
}

#[derive(Debug)]
struct Limit {
    calls: u64,
    /// Milliseconds.
    window: u64,
    batch: bool,
}

const fn limit(calls: u64, window: u64) -> Limit {
    Limit {
        calls,
        window,
        batch: false,
    }
}

const fn batch(calls: u64, window: u64) -> Limit {
    Limit {
        calls,
        window,
        batch: true,
    }
}

/// Published limits: "Microsoft Graph service-specific throttling limits", "Update
/// alert" and "Batch update alerts" of Defender for Endpoint, "List incidents" of
/// Defender XDR.
fn limits(api: Api) -> &'static [Limit] {
    match api {
        Api::Graph => &const { [limit(150, MINUTE)] },
        Api::Mde => {
            &const {
                [
                    limit(100, MINUTE),
                    limit(1500, HOUR),
                    batch(10, MINUTE),
                    batch(500, HOUR),
                ]
            }
        }
        Api::Xdr => &const { [limit(50, MINUTE), limit(1500, HOUR)] },
    }
}

/// Calls made since an instant, for one second or, when older than a minute, for
/// one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Slot {
    /// Milliseconds since 1970.
    at: u64,
    length: u64,
    calls: u64,
    batch: u64,
}

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct CallCounts {
    version: u32,
    /// The service asked to be left alone until then (milliseconds since 1970).
    held_until: u64,
    slots: Vec<Slot>,
}

const VERSION: u32 = 1;

impl CallCounts {
    /// Notes the call, or says how long to wait before asking again.
    fn draw(&mut self, now: u64, draw: Draw, limits: &[Limit]) -> Result<(), Duration> {
        self.tidy(now);
        if self.held_until > now {
            return Err(Duration::from_millis(self.held_until - now));
        }
        let wait = limits
            .iter()
            .filter(|limit| draw.batch || !limit.batch)
            .map(|limit| self.wait(now, draw, limit))
            .max()
            .unwrap_or_default();
        if wait > 0 {
            return Err(Duration::from_millis(wait));
        }
        let (calls, batch) = (u64::from(draw.calls), u64::from(draw.batch));
        let at = now - now % SECOND;
        match self.slots.last_mut() {
            Some(slot) if slot.at == at && slot.length == SECOND => {
                slot.calls += calls;
                slot.batch += batch;
            }
            _ => self.slots.push(Slot {
                at,
                length: SECOND,
                calls,
                batch,
            }),
        }
        Ok(())
    }

    /// Milliseconds until the limit has room; 0 when it has.
    fn wait(&self, now: u64, draw: Draw, limit: &Limit) -> u64 {
        let of = |slot: &Slot| if limit.batch { slot.batch } else { slot.calls };
        let cost = if limit.batch {
            1
        } else {
            u64::from(draw.calls)
        };
        let share = match draw.reading {
            true => limit.calls * READING / 100,
            false => limit.calls,
        };
        // A draw larger than the whole share takes the whole share.
        let room = share.saturating_sub(cost.min(share));
        // A slot leaves the window when its last call does.
        let leaves = |slot: &Slot| slot.at + slot.length + limit.window;
        let inside = || self.slots.iter().filter(|slot| leaves(slot) > now);
        let mut used: u64 = inside().map(of).sum();
        let mut wait = 0;
        for slot in inside() {
            if used <= room {
                break;
            }
            used -= of(slot);
            wait = leaves(slot) - now;
        }
        wait
    }

    fn hold(&mut self, now: u64, wait: Duration) {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(HOUR).min(HOUR);
        self.held_until = self.held_until.max(now + wait);
    }

    /// Forgets what has left every window, and what a set-back clock left in the
    /// future; joins old seconds into minutes, so that the file stays small.
    fn tidy(&mut self, now: u64) {
        if self.held_until > now + HOUR {
            self.held_until = 0;
        }
        self.slots.retain(|slot| {
            let ours = slot.length <= MINUTE && slot.calls <= MOST && slot.batch <= MOST;
            ours && slot.at <= now + SECOND && slot.at + slot.length + HOUR > now
        });
        let mut kept: Vec<Slot> = Vec::with_capacity(self.slots.len());
        for slot in self.slots.drain(..) {
            let at = slot.at - slot.at % MINUTE;
            // A joined minute must not reach into the window of a minute again.
            if at + MINUTE + MINUTE > now {
                kept.push(slot);
                continue;
            }
            match kept.last_mut() {
                Some(last) if last.at == at && last.length == MINUTE => {
                    last.calls += slot.calls;
                    last.batch += slot.batch;
                }
                _ => kept.push(Slot {
                    at,
                    length: MINUTE,
                    ..slot
                }),
            }
        }
        self.slots = kept;
    }
}

/// The budget of one tenant, app and API.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: &'static [Limit],
    file: Option<PathBuf>,
    /// Counts where there is no file to count in.
    own: Mutex<CallCounts>,
    pub(crate) clock: Clock,
    warned: AtomicBool,
}

impl Budget {
    pub(crate) fn new(tenant: &str, app: &str, api: Api, folder: Option<&Path>) -> Budget {
        let key = format!("{}\n{}\n{api}", tenant.to_lowercase(), app.to_lowercase());
        let hash: String = sha2::Sha256::digest(key)
            .iter()
            .take(12)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Budget {
            limits: limits(api),
            file: folder.map(|folder| folder.join(format!("budget-{hash}.json"))),
            own: Mutex::new(CallCounts::default()),
            clock: Clock::default(),
            warned: AtomicBool::new(false),
        }
    }

    /// Without any limit but what the service asks for.
    #[cfg(test)]
    pub(crate) fn endless(api: Api) -> Budget {
        Budget {
            limits: &[],
            ..Budget::new("", "", api, None)
        }
    }

    /// Waits until the budget has room and takes it. When that would be after the
    /// deadline, nothing is waited for or taken: how long it would have been.
    pub(crate) async fn draw(&self, draw: Draw, deadline: Instant) -> Result<(), Duration> {
        loop {
            let now = self.clock.epoch();
            let Err(wait) = self
                .with(|counts| counts.draw(now, draw, self.limits))
                .await
            else {
                return Ok(());
            };
            if self.clock.now() + wait > deadline {
                return Err(wait);
            }
            self.clock.sleep(wait).await;
        }
    }

    /// Lets every process hold back for as long as the service asked.
    pub(crate) async fn hold(&self, wait: Duration) {
        let now = self.clock.epoch();
        self.with(|counts| counts.hold(now, wait)).await;
    }

    async fn with<T>(&self, mut change: impl FnMut(&mut CallCounts) -> T) -> T {
        if let Some(path) = &self.file {
            match locked(path).await {
                Ok(mut file) => match in_file(&mut file, &mut change) {
                    (answer, Ok(())) => return answer,
                    (answer, Err(e)) => {
                        self.warn(path, &e);
                        return answer;
                    }
                },
                Err(e) => self.warn(path, &e),
            }
        }
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut own)
    }

    fn warn(&self, path: &Path, error: &io::Error) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                "call budget {} cannot be shared with other processes, going on without it: {error}",
                path.display()
            );
        }
    }
}

async fn locked(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        disk::own_folder(folder)?;
    }
    let file = disk::open(path)?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(e)) => return Err(e),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                return Err(io::Error::other("another process keeps it locked"));
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Applies a change to the locked file. Counts that cannot be read (a process was
/// killed while writing them) begin anew: they are worth an hour at most.
fn in_file<T>(
    file: &mut File,
    change: &mut impl FnMut(&mut CallCounts) -> T,
) -> (T, io::Result<()>) {
    let mut text = Vec::new();
    let read = file.take(1 << 20).read_to_end(&mut text);
    let mut counts: CallCounts = serde_json::from_slice(&text)
        .ok()
        .filter(|counts: &CallCounts| counts.version == VERSION)
        .unwrap_or_default();
    let answer = change(&mut counts);
    counts.version = VERSION;
    let write = || -> io::Result<()> {
        read?;
        let text = serde_json::to_vec(&counts)?;
        file.rewind()?;
        file.set_len(0)?;
        file.write_all(&text)
    };
    (answer, write())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const READ: Draw = Draw {
        calls: 1,
        batch: false,
        reading: true,
    };
    const WRITE: Draw = Draw {
        reading: false,
        ..READ
    };
    const BATCH: Draw = Draw {
        batch: true,
        ..WRITE
    };
    const NOON: u64 = 1_700_000_000_000;

    fn taken(counts: &mut CallCounts, now: u64, draw: Draw, api: Api) -> usize {
        let mut count = 0;
        while counts.draw(now, draw, limits(api)).is_ok() {
            count += 1;
        }
        count
    }

    #[test]
    fn a_minutes_share_may_go_in_one_burst_and_a_fifth_is_left_to_writing() {
        for (api, read, rest) in [
            (Api::Graph, 120, 30),
            (Api::Mde, 80, 20),
            (Api::Xdr, 40, 10),
        ] {
            let mut counts = CallCounts::default();
            assert_eq!(taken(&mut counts, NOON, READ, api), read);
            assert_eq!(taken(&mut counts, NOON, WRITE, api), rest);
            let wait = counts.draw(NOON, READ, limits(api)).unwrap_err();
            assert_eq!(wait, Duration::from_secs(61));
            assert_eq!(taken(&mut counts, NOON + 61 * SECOND, READ, api), read);
        }
    }

    #[test]
    fn the_hour_has_a_limit_too() {
        let mut counts = CallCounts::default();
        let reads: usize = (0..40)
            .map(|minute| taken(&mut counts, NOON + minute * 61 * SECOND, READ, Api::Mde))
            .sum();
        assert_eq!(reads, 1200);
        assert!(counts.slots.len() < 130, "{}", counts.slots.len());
    }

    #[test]
    fn batch_update_draws_on_its_own_limits_and_those_of_its_api() {
        let mut counts = CallCounts::default();
        assert_eq!(taken(&mut counts, NOON, BATCH, Api::Mde), 10);
        assert_eq!(taken(&mut counts, NOON, WRITE, Api::Mde), 90);
    }

    #[test]
    fn the_parts_of_a_graph_batch_count_one_by_one() {
        let mut counts = CallCounts::default();
        let twenty = Draw { calls: 20, ..WRITE };
        assert_eq!(taken(&mut counts, NOON, twenty, Api::Graph), 7);
        assert_eq!(taken(&mut counts, NOON, WRITE, Api::Graph), 10);
    }

    #[test]
    fn a_draw_larger_than_the_quota_waits_for_an_empty_window_only() {
        let mut counts = CallCounts::default();
        let huge = Draw {
            calls: 1000,
            ..WRITE
        };
        assert_eq!(counts.draw(NOON, huge, limits(Api::Graph)), Ok(()));
        let later = NOON + 61 * SECOND;
        assert!(counts.draw(later - 1, huge, limits(Api::Graph)).is_err());
        assert_eq!(counts.draw(later, huge, limits(Api::Graph)), Ok(()));
    }

    #[test]
    fn a_wait_the_service_asked_for_holds_everybody() {
        let mut counts = CallCounts::default();
        counts.hold(NOON, Duration::from_secs(30));
        counts.hold(NOON, Duration::from_secs(10));
        assert_eq!(
            counts.draw(NOON, WRITE, limits(Api::Graph)),
            Err(Duration::from_secs(30))
        );
        assert!(
            counts
                .draw(NOON + 30 * SECOND, WRITE, limits(Api::Graph))
                .is_ok()
        );
    }

    #[test]
    fn a_clock_set_back_does_not_block_for_ever() {
        let mut counts = CallCounts::default();
        taken(&mut counts, NOON, WRITE, Api::Graph);
        counts.hold(NOON, Duration::from_secs(60));
        let earlier = NOON - 24 * HOUR;
        assert!(counts.draw(earlier, READ, limits(Api::Graph)).is_ok());
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_is_published(
            steps in proptest::collection::vec((0u64..9_000, 1u32..25, any::<bool>(), any::<bool>()), 1..400)
        ) {
            let mut counts = CallCounts::default();
            let mut now = NOON;
            let mut log: Vec<(u64, u64, u64)> = Vec::new();
            for (pause, calls, batch, reading) in steps {
                now += pause;
                let draw = Draw { calls, batch, reading };
                if counts.draw(now, draw, limits(Api::Mde)).is_ok() {
                    log.push((now, u64::from(calls), u64::from(batch)));
                }
                let within = |window: u64| log.iter().filter(move |(at, ..)| at + window > now);
                prop_assert!(within(MINUTE).map(|(_, calls, _)| calls).sum::<u64>() <= 100);
                prop_assert!(within(HOUR).map(|(_, calls, _)| calls).sum::<u64>() <= 1500);
                prop_assert!(within(MINUTE).map(|(.., batch)| batch).sum::<u64>() <= 10);
                prop_assert!(within(HOUR).map(|(.., batch)| batch).sum::<u64>() <= 500);
            }
        }

        #[test]
        fn no_book_makes_it_fall(slots in proptest::collection::vec(any::<(u64, u64, u64, u64)>(), 0..8), held in any::<u64>()) {
            let slots = slots.into_iter().map(|(at, length, calls, batch)| Slot { at, length, calls, batch }).collect();
            let mut counts = CallCounts { version: VERSION, held_until: held, slots };
            let first = counts.draw(NOON, READ, limits(Api::Mde));
            prop_assert!(first.is_ok() || first.is_err_and(|wait| wait > Duration::ZERO));
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    async fn spend(budget: &Budget, draw: Draw) -> usize {
        let mut count = 0;
        while budget.draw(draw, soon()).await.is_ok() {
            count += 1;
        }
        count
    }

    #[tokio::test]
    async fn two_processes_share_one_budget() {
        let folder = tempfile::tempdir().unwrap();
        let budget = || Budget::new("T", "app", Api::Graph, Some(folder.path()));
        let (one, other) = (budget(), budget());
        assert_eq!(spend(&one, READ).await, 120);
        assert_eq!(spend(&other, READ).await, 0);
        assert_eq!(spend(&other, WRITE).await, 30);
        let foreign = Budget::new("T", "app", Api::Mde, Some(folder.path()));
        assert_eq!(spend(&foreign, READ).await, 80);
    }

    #[tokio::test]
    async fn a_wait_asked_of_one_process_holds_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let budget = || Budget::new("t", "app", Api::Graph, Some(folder.path()));
        budget().hold(Duration::from_secs(60)).await;
        let wait = budget().draw(WRITE, soon()).await.unwrap_err();
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60));
    }

    #[tokio::test]
    async fn a_broken_file_is_begun_anew_and_a_missing_folder_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let budget = Budget::new("t", "app", Api::Xdr, Some(folder.path()));
        std::fs::write(budget.file.as_ref().unwrap(), "{\"version\":1,\"held").unwrap();
        assert_eq!(spend(&budget, READ).await, 40);

        let nowhere = folder.path().join("missing");
        let budget = Budget::new("t", "app", Api::Xdr, Some(&nowhere));
        assert_eq!(spend(&budget, READ).await, 40);
    }
}
