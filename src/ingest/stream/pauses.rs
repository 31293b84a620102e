//! Time as a follower sees it, and how long it waits after a failure.

use crate::ingest::Instant;
use std::future::Future;
use std::time::Duration;

/// Passed in, so that tests take no time.
pub trait Clock {
    fn now(&self) -> Instant;

    /// Since some fixed instant; never runs backwards, whoever sets the clock.
    fn elapsed(&self) -> Duration;

    fn pause(&self, span: Duration) -> impl Future<Output = ()>;

    /// A random number from 0 up to 1: readers that failed together should not
    /// come back together.
    fn jitter(&self) -> f64;
}

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The pause after so many failures in a row: a second, twice as long each time,
/// a minute at most, and up to half of that more.
pub fn after_failures(failures: u32, jitter: f64) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else {
        return Duration::ZERO;
    };
    let pause = FIRST.saturating_mul(1 << doublings.min(6)).min(LONGEST);
    pause + pause.mul_f64(jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_begin_at_a_second_and_double_up_to_a_minute() {
        let seconds = |failures| after_failures(failures, 0.0).as_secs();
        let pauses: Vec<u64> = (0..9).map(seconds).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(after_failures(1, 1.0), Duration::from_millis(1500));
        assert_eq!(after_failures(u32::MAX, 1.0), Duration::from_secs(90));
    }
}
