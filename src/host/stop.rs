//! Signals. Being asked to stop: SIGTERM or SIGINT, on Windows CTRL_BREAK or
//! CTRL_C. And SIGXFSZ, which is no reason to end without a word.

#[cfg(unix)]
use super::paths;
use std::sync::Arc;
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
    tell: Arc<watch::Sender<bool>>,
    asked: watch::Receiver<bool>,
}

impl Stop {
    /// Listens from now on. Needs the runtime.
    pub fn listen() -> Self {
        let (tell, asked) = watch::channel(false);
        let tell = Arc::new(tell);
        // Before anything else is done: a signal that comes earlier kills.
        let signalled = signalled();
        let stop = Self { tell, asked };
        stop.when(async move {
            match signalled {
                Ok(signalled) => signalled.await,
                Err(error) => {
                    tracing::warn!("signals cannot be received ({error}): stopping takes a kill");
                    std::future::pending().await
                }
            }
        });
        stop
    }

    /// From now on this is a reason to stop, too.
    pub fn when(&self, reason: impl Future<Output = ()> + Send + 'static) {
        let tell = self.tell.clone();
        tokio::spawn(async move {
            reason.await;
            tell.send_replace(true);
        });
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

/// Ends once nobody reads stdout any more, or splunkd is gone: a process that has nothing
/// to write would not see it.
#[cfg(unix)]
pub async fn reader_gone() {
    use std::os::unix::process::parent_id;
    const LOOK: Duration = Duration::from_secs(2);
    let Ok(stdout) = paths::stdout() else {
        return std::future::pending().await;
    };
    let parent = parent_id();
    loop {
        if is_closed(&stdout) {
            return tracing::info!("nobody reads the events any more");
        }
        if parent_id() != parent {
            return tracing::info!("splunkd is gone");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Of a pipe or a socket: whether its other end is closed.
#[cfg(unix)]
fn is_closed(file: &std::fs::File) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut asked = [PollFd::new(file, PollFlags::empty())];
    let now = Timespec::default();
    poll(&mut asked, Some(&now)).is_ok()
        && asked
            .iter()
            .any(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP))
}

/// Here the next health event finds the pipe closed.
#[cfg(windows)]
pub async fn reader_gone() {
    std::future::pending().await
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_pipe_or_socket_is_closed_once_its_other_end_is_and_a_file_never() {
        let (reader, writer) = std::io::pipe().unwrap();
        let writer = File::from(OwnedFd::from(writer));
        let (one, other) = UnixStream::pair().unwrap();
        let other = File::from(OwnedFd::from(other));
        assert!(!is_closed(&writer) && !is_closed(&other));
        drop((reader, one));
        assert!(is_closed(&writer) && is_closed(&other));
        assert!(!is_closed(&tempfile::tempfile().unwrap()));
    }
}
