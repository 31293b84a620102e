//! The time one run may take, on a real clock. It is over once the time is up, or once
//! the search is cancelled.

use crate::triage::{Clock, Limits};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long to wait for what has begun, once the time is up.
pub const DRAIN: Duration = Duration::from_secs(60);

/// The same once the search is cancelled: splunkd does not wait for ever for a search
/// command that was cancelled.
const CANCEL_DRAIN: Duration = Duration::from_secs(10);

const REPLY_MARGIN: Duration = Duration::from_secs(5);

/// Runs from the moment it is made.
#[derive(Debug)]
pub struct Deadline {
    begun: Instant,
    deadline: Duration,
    cancelled: Option<watch::Receiver<bool>>,
}

impl Deadline {
    /// So long, something new may be begun.
    pub fn of(deadline: Duration) -> Self {
        Self {
            begun: Instant::now(),
            deadline,
            cancelled: None,
        }
    }

    /// The same, also over once the search is cancelled.
    pub fn until(self, cancelled: watch::Receiver<bool>) -> Self {
        Self {
            cancelled: Some(cancelled),
            ..self
        }
    }

    /// How long something new may still be begun.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.elapsed())
    }

    /// When calls must have their answers: a little before nobody waits for them any more,
    /// so that the outcome can say what kept them.
    pub fn end(&self) -> Instant {
        self.begun + self.deadline + DRAIN - REPLY_MARGIN
    }

    pub fn limits(&self, max_targets: usize) -> Limits {
        Limits {
            max_targets,
            deadline: self.deadline,
            grace: DRAIN,
        }
    }
}

impl Clock for Deadline {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        let elapsed = self.begun.elapsed();
        match self
            .cancelled
            .as_ref()
            .is_some_and(|cancelled| *cancelled.borrow())
        {
            true => elapsed.max(self.deadline),
            false => elapsed,
        }
    }

    async fn sleep(&self, pause: Duration) {
        let cancelled_drain = async {
            let cancelled = self.cancelled.clone();
            let Some(mut cancelled) = cancelled else {
                return std::future::pending().await;
            };
            match cancelled.wait_for(|cancelled| *cancelled).await {
                Ok(_) => tokio::time::sleep(CANCEL_DRAIN).await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancelled_drain => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn time_is_up_once_the_search_is_cancelled() {
        let (cancel, cancelled) = watch::channel(false);
        let deadline = Deadline::of(Duration::from_secs(3600)).until(cancelled);
        assert!(deadline.left() > Duration::from_secs(3000));
        cancel.send_replace(true);
        assert_eq!(deadline.left(), Duration::ZERO);
        assert!(deadline.elapsed() >= Duration::from_secs(3600));
    }
}
