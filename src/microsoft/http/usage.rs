//! What a client has done, and how far the two clocks stand apart.

use crate::microsoft::http::retry_after;
use reqwest::header::HeaderMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What a client has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// API calls sent, retries included.
    pub calls: u64,
    /// Answers that said "too many".
    pub throttles: u64,
    /// API calls and sign-ins sent again.
    pub retries: u64,
    /// Decoded bytes received from the API.
    pub bytes: u64,
    /// Tokens fetched.
    pub tokens: u64,
}

#[derive(Debug)]
pub(crate) struct Usage {
    pub(crate) calls: AtomicU64,
    pub(crate) throttles: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) tokens: AtomicU64,
    skew: AtomicI64,
    /// The `Date` of the API's last answer, and when it came.
    server_time: Mutex<Option<(SystemTime, Instant)>>,
}

/// No answer has said the time yet.
const UNKNOWN: i64 = i64::MIN;

impl Usage {
    pub(crate) fn new() -> Usage {
        Usage {
            calls: AtomicU64::new(0),
            throttles: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            skew: AtomicI64::new(UNKNOWN),
            server_time: Mutex::new(None),
        }
    }

    pub(crate) fn read(&self) -> Calls {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Calls {
            calls: of(&self.calls),
            throttles: of(&self.throttles),
            retries: of(&self.retries),
            bytes: of(&self.bytes),
            tokens: of(&self.tokens),
        }
    }

    /// Seconds by which this host is ahead of the last answer's `Date`.
    pub(crate) fn skew(&self) -> Option<i64> {
        match self.skew.load(Ordering::Relaxed) {
            UNKNOWN => None,
            seconds => Some(seconds),
        }
    }

    /// The time at the API, and never later than it is there: a `Date` has no
    /// fractions, and was a while on its way.
    pub(crate) fn time_there(&self) -> Option<SystemTime> {
        let server_time = *self
            .server_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (date, came) = server_time?;
        date.checked_add(came.elapsed())
    }

    /// Notes what an answer of the API says of the time there.
    pub(crate) fn note_time(&self, headers: &HeaderMap) {
        if let Some(date) = retry_after::answered_at(headers) {
            let server_time = Some((date, Instant::now()));
            *self
                .server_time
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = server_time;
        }
    }

    pub(crate) fn note_clock(&self, headers: &HeaderMap, now: SystemTime) {
        let second = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).ok()?;
            i64::try_from(since.as_secs()).ok()
        };
        let there = retry_after::answered_at(headers).and_then(second);
        if let (Some(here), Some(there)) = (second(now), there) {
            self.skew.store(here - there, Ordering::Relaxed);
        }
    }
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
