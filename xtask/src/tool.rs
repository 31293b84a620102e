//! Running other programs, and saying which one failed.
//!
//! A thread may have a log: whatever it says, and what its programs write, goes there.

use anyhow::{Context, Result, bail};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

thread_local! {
    static LOG: RefCell<Option<File>> = const { RefCell::new(None) };
    static PROGRAMS: RefCell<Arc<Programs>> = RefCell::default();
}

/// The programs that several threads run.
#[derive(Debug, Default)]
pub struct Programs(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    ids: BTreeSet<u32>,
    /// None may start any more.
    over: bool,
}

/// What a test that waits for a moment does not notice.
const NICE: u8 = 10;

/// The cargo that runs us.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program that leaves the processor to the others: compilers must not slow tests down.
pub fn nice(program: &Command) -> Command {
    if cfg!(not(unix)) {
        return like(Command::new(program.get_program()), program);
    }
    let mut nice = Command::new("nice");
    nice.args(["-n", &NICE.to_string()])
        .arg(program.get_program());
    like(nice, program)
}

/// With the arguments, the environment and the folder of another command.
fn like(mut command: Command, other: &Command) -> Command {
    command.args(other.get_args());
    for (name, value) in other.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = other.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

/// From now on this thread says everything into the file, and its programs are among these.
pub fn enter(log: Option<File>, programs: Arc<Programs>) {
    LOG.set(log);
    PROGRAMS.set(programs);
}

/// A line for people, in the thread's log or on stdout.
macro_rules! say {
    ($($line:tt)*) => { $crate::tool::put(format_args!($($line)*)) };
}
pub(crate) use say;

pub fn put(line: impl Display) {
    LOG.with_borrow_mut(|log| match log {
        // A log that cannot be written to shows in what is missing from it.
        Some(file) => drop(writeln!(file, "{line}")),
        None => println!("{line}"),
    });
}

/// Where a program of this thread may write.
fn sink() -> Result<Stdio> {
    LOG.with_borrow(|log| match log {
        Some(file) => Ok(Stdio::from(file.try_clone()?)),
        None => Ok(Stdio::inherit()),
    })
}

/// Runs to the end with our own output; anything but success is an error.
pub fn run(command: &mut Command) -> Result<()> {
    command.stdout(sink()?).stderr(sink()?);
    let Output { status, .. } = output(command)?;
    if !status.success() {
        bail!("{status}: {}", line(command));
    }
    Ok(())
}

/// Runs to the end and returns what it wrote to stdout.
pub fn read(command: &mut Command) -> Result<String> {
    let output = output(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let line = line(command);
    if !output.status.success() {
        bail!(
            "{}: {line}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("not UTF-8: output of {line}"))
}

/// Runs to the end; what it wrote to pipes is returned.
pub fn output(command: &mut Command) -> Result<Output> {
    let programs = PROGRAMS.with_borrow(Arc::clone);
    let child = {
        let mut running = programs.running();
        if running.over {
            bail!("not started, as another step failed: {}", line(command));
        }
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start: {}", line(command)))?;
        running.ids.insert(child.id());
        child
    };
    let id = child.id();
    let output = child.wait_with_output();
    programs.running().ids.remove(&id);
    output.with_context(|| format!("lost: {}", line(command)))
}

impl Programs {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all that run, with what they started, and lets none start.
    pub fn end(&self) {
        let mut running = self.running();
        running.over = true;
        if running.ids.is_empty() {
            return;
        }
        // Those that stand still start no others.
        let mut ids = BTreeSet::new();
        let mut found = running.ids.clone();
        while found.len() > ids.len() {
            signal("-STOP", &found);
            ids = found;
            let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output();
            let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            found = with_descendants(ids.clone(), &listed.unwrap_or_default());
        }
        signal("-KILL", &ids);
    }
}

/// One that has ended meanwhile is no fault.
fn signal(which: &str, ids: &BTreeSet<u32>) {
    let ids = ids.iter().map(u32::to_string);
    drop(Command::new("kill").arg(which).args(ids).output());
}

/// `listed`: a process and its parent on each line.
fn with_descendants(mut ids: BTreeSet<u32>, listed: &str) -> BTreeSet<u32> {
    let pairs: Vec<(u32, u32)> = listed
        .lines()
        .filter_map(|line| {
            let mut ids = line.split_whitespace().map(str::parse);
            Some((ids.next()?.ok()?, ids.next()?.ok()?))
        })
        .collect();
    loop {
        let found = ids.len();
        for (id, parent) in &pairs {
            if ids.contains(parent) {
                ids.insert(*id);
            }
        }
        if ids.len() == found {
            return ids;
        }
    }
}

fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_ends_with_all_it_started() {
        let listed = "    1     0\n   7  1\n 9 8\n 8 7\n 10 1\n\nx y\n";
        let ending = with_descendants(BTreeSet::from([7]), listed);
        assert_eq!(ending, BTreeSet::from([7, 8, 9]));
        assert!(with_descendants(BTreeSet::new(), listed).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_nice_program_keeps_arguments_environment_and_folder() {
        let mut plain = Command::new("sh");
        plain
            .args(["-c", "echo \"$ONE $(nice) $PWD\""])
            .env("ONE", "1")
            .current_dir("/");
        let said = read(&mut nice(&plain)).unwrap();
        let own: i32 = read(&mut Command::new("nice"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert_eq!(said, format!("1 {} /\n", (own + i32::from(NICE)).min(19)));
    }
}
