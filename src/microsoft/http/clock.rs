//! The time of calls: waits before the next try, deadlines, the minutes of the call budget. It is passed in, so that
//! tests need not wait.

use backon::Sleeper;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use tokio::time::error::Elapsed;

/// The real clock; in tests also one that stands still but for the waits, which take no time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    #[cfg(test)]
    still: Option<std::sync::Arc<tests::Still>>,
}

impl Clock {
    pub fn now(&self) -> Instant {
        #[cfg(test)]
        if let Some(still) = &self.still {
            return still.begun + still.waited();
        }
        Instant::now()
    }

    /// Milliseconds since 1970, as processes that share a file count them.
    pub fn epoch(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        #[cfg(test)]
        let since = since.map(|since| match &self.still {
            Some(still) => since - still.begun.elapsed() + still.waited(),
            None => since,
        });
        u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or_default()
    }

    pub async fn sleep(&self, wait: Duration) {
        #[cfg(test)]
        if let Some(still) = &self.still {
            return still.wait(wait);
        }
        tokio::time::sleep(wait).await;
    }

    /// # Errors
    /// If the work is not done by then.
    pub async fn timeout_at<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        #[cfg(test)]
        if self.still.is_some() {
            return Ok(work.await);
        }
        tokio::time::timeout_at(deadline, work).await
    }
}

impl Sleeper for Clock {
    type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn sleep(&self, wait: Duration) -> Self::Sleep {
        let clock = self.clone();
        Box::pin(async move { Self::sleep(&clock, wait).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Debug)]
    pub struct Still {
        pub begun: Instant,
        milliseconds: AtomicU64,
    }

    impl Still {
        pub fn waited(&self) -> Duration {
            Duration::from_millis(self.milliseconds.load(Ordering::Relaxed))
        }

        pub fn wait(&self, wait: Duration) {
            let more = u64::try_from(wait.as_micros().div_ceil(1000)).unwrap();
            self.milliseconds.fetch_add(more, Ordering::Relaxed);
        }
    }

    impl Clock {
        /// Stands still but for the waits; clones go on together.
        pub fn still() -> Self {
            let begun = Instant::now();
            let milliseconds = AtomicU64::new(0);
            Self {
                still: Some(Arc::new(Still {
                    begun,
                    milliseconds,
                })),
            }
        }
    }

    #[tokio::test]
    async fn waits_move_a_still_clock_and_take_no_time() {
        let clock = Clock::still();
        let (begun, epoch, real) = (clock.now(), clock.epoch(), Instant::now());
        clock.clone().sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.now() - begun, Duration::from_secs(3600));
        assert!((3_599_000..3_601_000).contains(&(clock.epoch() - epoch)));
        assert!(real.elapsed() < Duration::from_secs(3600));
        assert_eq!(clock.timeout_at(begun, async { 7 }).await.ok(), Some(7));
    }
}
