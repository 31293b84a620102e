//! The executable as a process: started, fed, listened to, stopped and killed
//! the ways splunkd does it.

use super::stream::{self, End, Event};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No run of a test takes longer than this; one that does hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// How stdout is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As fast as it comes.
    Steady,
    /// Not at all, until told to.
    Stalled,
    /// So many bytes, then a pause, like a busy indexer.
    Slow { bytes: usize, pause: Duration },
}

/// Gone with the test that started it.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What was read of stdout so far.
#[derive(Clone, Default)]
pub struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The events of Defender's objects that are whole.
    pub fn events(&self) -> Vec<Event> {
        let bytes = self.0.lock().unwrap().clone();
        let mut events = stream::parse(&bytes, End::CutOff).unwrap();
        events.retain(|event| !event.is_own());
        events
    }
}

/// A process under way.
pub struct Running {
    child: Kept,
    // Kept open: splunkd does not close it before the process ends.
    stdin: Option<ChildStdin>,
    stalled: Option<ChildStdout>,
    out: Option<JoinHandle<Vec<u8>>>,
    output: Output,
    errors: JoinHandle<Vec<u8>>,
    progress: mpsc::Receiver<usize>,
    seen: usize,
    killed: bool,
}

/// Starts `command`, writes `document` to its stdin and leaves that open.
pub fn start(mut command: Command, document: &[u8], reading: Reading) -> Running {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    // A process that reads none of it may be gone by now.
    stdin.write_all(document).ok();
    stdin.flush().ok();
    let mut stdout = child.stdout.take();
    let mut stderr = child.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).ok();
        bytes
    });
    let (sender, progress) = mpsc::channel();
    let output = Output::default();
    let out = match reading {
        Reading::Stalled => None,
        _ => stdout
            .take()
            .map(|stdout| read(stdout, reading, sender, output.clone())),
    };
    Running {
        child: Kept(child),
        stdin: Some(stdin),
        stalled: stdout,
        out,
        output,
        errors,
        progress,
        seen: 0,
        killed: false,
    }
}

fn read(
    mut stdout: ChildStdout,
    reading: Reading,
    progress: mpsc::Sender<usize>,
    output: Output,
) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let most = match reading {
                Reading::Slow { bytes, pause } => {
                    std::thread::sleep(pause);
                    bytes
                }
                _ => buffer.len(),
            };
            match stdout.read(&mut buffer[..most]) {
                Ok(0) | Err(_) => return output.0.lock().unwrap().clone(),
                Ok(count) => {
                    let mut all = output.0.lock().unwrap();
                    all.extend_from_slice(&buffer[..count]);
                    progress.send(all.len()).ok();
                }
            }
        }
    })
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.0.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_some()
    }

    /// What is read of stdout, as it comes.
    pub fn output(&self) -> Output {
        self.output.clone()
    }

    /// Takes the first line of stdout of a process nobody else listens to.
    pub fn first_line(&mut self) -> String {
        let stdout = self.stalled.as_mut().unwrap();
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\n") {
            assert_eq!(
                stdout.read(&mut byte).unwrap(),
                1,
                "the process said nothing"
            );
            line.extend(byte);
        }
        String::from_utf8(line).unwrap()
    }

    /// Waits until so many bytes of stdout were read; false if the process ended first.
    pub fn wait_for_output(&mut self, bytes: usize) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while self.seen < bytes {
            match self.progress.recv_timeout(deadline - Instant::now()) {
                Ok(seen) => self.seen = seen,
                Err(mpsc::RecvTimeoutError::Disconnected) => return false,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("no output in {PATIENCE:?}"),
            }
        }
        true
    }

    /// Waits until `happened`; false if the process ended first.
    pub fn wait_until(&mut self, mut happened: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !happened() {
            if self.has_ended() {
                return false;
            }
            assert!(
                Instant::now() < deadline,
                "nothing happened in {PATIENCE:?}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Writes more to stdin.
    pub fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        // It may have ended by now.
        stdin.write_all(bytes).ok();
        stdin.flush().ok();
    }

    /// SIGTERM: please end.
    pub fn terminate(&mut self) {
        let sent = Command::new("kill")
            .args(["-TERM", &self.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        self.killed = true;
    }

    /// SIGKILL: gone.
    pub fn kill(&mut self) {
        self.child.0.kill().unwrap();
        self.killed = true;
    }

    /// A reader that takes a little and goes away.
    pub fn hang_up(&mut self) {
        let mut stdout = self.stalled.take().unwrap();
        let mut taken = vec![0; 16 << 10];
        let count = stdout.read(&mut taken).unwrap();
        taken.truncate(count);
        drop(stdout);
        self.out = Some(std::thread::spawn(move || taken));
        self.killed = true;
    }

    /// Ends the document pipe, as when splunkd is gone.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The end of the process, if it comes within `span`; stdout stays as it is.
    pub fn ends_within(&mut self, span: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + span;
        while Instant::now() < deadline {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Waits for the end and tells what was said.
    pub fn finish(mut self) -> Run {
        if let Some(stdout) = self.stalled.take() {
            let (sender, _) = mpsc::channel();
            let output = self.output.clone();
            self.out = Some(read(stdout, Reading::Steady, sender, output));
        }
        let status = self.ends_within(PATIENCE);
        let hung = status.is_none();
        if hung {
            self.child.0.kill().ok();
        }
        let status = self.child.0.wait().unwrap();
        let stdout = self.out.take().unwrap().join().unwrap();
        let stderr = String::from_utf8_lossy(&self.errors.join().unwrap()).into_owned();
        assert!(
            !hung,
            "the process did not end in {PATIENCE:?}; stderr:\n{stderr}"
        );
        let end = if self.killed {
            End::CutOff
        } else {
            End::Closed
        };
        Run {
            status,
            stdout,
            stderr,
            end,
        }
    }
}

/// A process that has ended.
#[derive(Debug)]
pub struct Run {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
    end: End,
}

impl Run {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Every event, the product's own included.
    #[track_caller]
    pub fn all_events(&self) -> Vec<Event> {
        stream::parse(&self.stdout, self.end).unwrap_or_else(|wrong| {
            panic!(
                "the event stream breaks the rules: {wrong}\nstderr:\n{}",
                self.stderr
            )
        })
    }

    /// The events of Defender's objects.
    #[track_caller]
    pub fn events(&self) -> Vec<Event> {
        self.all_events()
            .into_iter()
            .filter(|event| !event.is_own())
            .collect()
    }

    #[track_caller]
    pub fn health(&self) -> Vec<Event> {
        self.all_events()
            .into_iter()
            .filter(|event| event.sourcetype == "defender_bridge:health")
            .collect()
    }

    /// stderr lines of one level, without the level.
    pub fn lines(&self, level: &str) -> Vec<&str> {
        self.stderr
            .lines()
            .filter_map(|line| line.strip_prefix(level)?.strip_prefix(' '))
            .collect()
    }

    /// The run ended well and said nothing is wrong.
    #[track_caller]
    pub fn well(self) -> Self {
        assert_eq!(self.code(), Some(0), "exit code; stderr:\n{}", self.stderr);
        assert_eq!(self.lines("ERROR"), [""; 0], "stderr:\n{}", self.stderr);
        self
    }

    /// The one ERROR line of a run that was refused.
    #[track_caller]
    pub fn refusal(&self) -> &str {
        assert!(
            self.code().is_some_and(|code| code != 0),
            "a refused run exits non-zero, not {:?}; stderr:\n{}",
            self.status,
            self.stderr
        );
        let errors = self.lines("ERROR");
        assert_eq!(errors.len(), 1, "one ERROR line; stderr:\n{}", self.stderr);
        for line in self.stderr.lines() {
            let level = line.split(' ').next().unwrap_or_default();
            assert!(
                ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"].contains(&level),
                "stderr line without a level: {line}"
            );
        }
        errors[0]
    }
}
