//! The time one run may take, on a real clock: over once it is up, or once
//! nobody wants the answer any more.

use crate::triage::{Clock, Limits};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long what has begun is awaited once the time is up.
pub const GRACE: Duration = Duration::from_secs(60);

/// How long it is awaited once nobody wants the answer: splunkd does not wait
/// for ever for a search command that was cancelled.
const HURRY: Duration = Duration::from_secs(10);

const LAST_WORDS: Duration = Duration::from_secs(5);

/// Begins when it is made.
#[derive(Debug)]
pub struct Course {
    begun: Instant,
    deadline: Duration,
    gone: Option<watch::Receiver<bool>>,
}

impl Course {
    /// For so long something new may be begun.
    pub fn of(deadline: Duration) -> Self {
        Self {
            begun: Instant::now(),
            deadline,
            gone: None,
        }
    }

    /// Also over once this says so.
    pub fn until(self, gone: watch::Receiver<bool>) -> Self {
        Self {
            gone: Some(gone),
            ..self
        }
    }

    /// How long something new may still be begun.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.elapsed())
    }

    /// When what was begun has to have its answers: a little before they are
    /// no longer awaited, so that what keeps them is known.
    pub fn end(&self) -> Instant {
        self.begun + self.deadline + GRACE - LAST_WORDS
    }

    pub fn limits(&self, max_targets: usize) -> Limits {
        Limits {
            max_targets,
            deadline: self.deadline,
            grace: GRACE,
        }
    }
}

impl Clock for Course {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        let elapsed = self.begun.elapsed();
        match self.gone.as_ref().is_some_and(|gone| *gone.borrow()) {
            true => elapsed.max(self.deadline),
            false => elapsed,
        }
    }

    async fn sleep(&self, pause: Duration) {
        let hurried = async {
            let gone = self.gone.clone();
            let Some(mut gone) = gone else {
                return std::future::pending().await;
            };
            match gone.wait_for(|gone| *gone).await {
                Ok(_) => tokio::time::sleep(HURRY).await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = hurried => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn time_is_up_once_nobody_wants_the_answer() {
        let (tell, gone) = watch::channel(false);
        let course = Course::of(Duration::from_secs(3600)).until(gone);
        assert!(course.left() > Duration::from_secs(3000));
        tell.send_replace(true);
        assert_eq!(course.left(), Duration::ZERO);
        assert!(course.elapsed() >= Duration::from_secs(3600));
    }
}
