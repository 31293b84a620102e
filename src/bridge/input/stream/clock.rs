//! Time of this machine, for a follower.

use crate::ingest::Instant;
use crate::ingest::stream::Clock;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

pub struct SystemClock(std::time::Instant);

impl SystemClock {
    pub fn new() -> Self {
        Self(std::time::Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::from(jiff::Timestamp::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn pause(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn jitter(&self) -> f64 {
        // Keyed anew each time; 32 bits are exact in a float.
        let random = RandomState::new().hash_one(()) >> 32;
        f64::from(u32::try_from(random).unwrap_or_default()) / f64::from(u32::MAX)
    }
}
