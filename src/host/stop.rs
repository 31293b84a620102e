//! Signals. Being asked to stop: SIGTERM or SIGINT, on Windows CTRL_BREAK or
//! CTRL_C. And SIGXFSZ, which is no reason to end without a word.

use std::time::Duration;
use tokio::sync::watch;

/// splunkd ends by force what has not ended some seconds after it was asked to
/// (how many is not documented), so two must do.
const DRAIN: Duration = Duration::from_millis(1500);

/// Of Linux (MIPS aside), macOS and the BSDs: a file would pass `ulimit -f`.
#[cfg(unix)]
const SIGXFSZ: i32 = 25;

/// From now on a write beyond the limit on file sizes fails as one on a full
/// disk does. Left alone, the signal ends the process where it stands.
#[cfg(unix)]
pub fn outlive_file_limits() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // What takes the signal stays when this runtime is gone.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let _within = runtime.enter();
    signal(SignalKind::from_raw(SIGXFSZ)).map(drop)
}

#[cfg(not(unix))]
pub fn outlive_file_limits() -> std::io::Result<()> {
    Ok(())
}

/// Says when to stop; lives as long as the process's work.
pub struct Stop {
    asked: watch::Receiver<bool>,
}

impl Stop {
    /// Listens from now on. Needs the runtime.
    pub fn listen() -> Self {
        let (stop, asked) = watch::channel(false);
        // Before anything else is done: a signal that comes earlier kills.
        let signalled = signalled();
        tokio::spawn(async move {
            match signalled {
                Ok(signalled) => signalled.await,
                Err(error) => {
                    tracing::warn!("signals cannot be received ({error}): stopping takes a kill");
                    return std::future::pending().await;
                }
            }
            stop.send_replace(true);
            // Kept, so that nobody takes the end of this task for an answer.
            stop.closed().await;
        });
        Self { asked }
    }

    /// For loops that look between two steps.
    pub fn asked(&self) -> watch::Receiver<bool> {
        self.asked.clone()
    }

    /// Runs work to its end, or, once asked to stop, for a short while longer.
    /// `None`: it did not end in time and is left behind.
    pub async fn within<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut asked = self.asked.clone();
        let too_late = async {
            if asked.wait_for(|asked| *asked).await.is_err() {
                return std::future::pending().await;
            }
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = too_late => None,
        }
    }
}

#[cfg(unix)]
fn signalled() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

#[cfg(windows)]
fn signalled() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::windows::{ctrl_break, ctrl_c};
    let mut stop = ctrl_break()?;
    let mut cancel = ctrl_c()?;
    Ok(async move {
        tokio::select! {
            _ = stop.recv() => {}
            _ = cancel.recv() => {}
        }
    })
}
