//! The time one run may take, on a real clock: over once it is up, or once
//! nobody wants the answer any more.

use crate::triage::{Clock, Limits};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long what has begun is awaited once the time is up.
const GRACE: Duration = Duration::from_secs(60);

/// How long it is awaited once nobody wants the answer: splunkd does not wait
/// for ever for a search command that was cancelled.
const HURRY: Duration = Duration::from_secs(10);

/// Begins when it is made.
#[derive(Debug)]
pub struct Course {
    begun: Instant,
    deadline: Duration,
    gone: watch::Receiver<bool>,
}

impl Course {
    /// For so long something new may be begun, or until `gone` says otherwise.
    pub fn of(deadline: Duration, gone: watch::Receiver<bool>) -> Self {
        Self {
            begun: Instant::now(),
            deadline,
            gone,
        }
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
        match *self.gone.borrow() {
            true => elapsed.max(self.deadline),
            false => elapsed,
        }
    }

    async fn sleep(&self, pause: Duration) {
        let mut gone = self.gone.clone();
        let hurried = async {
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
