//! Steps side by side: the tasks of a lane go one after the other, lanes at the same time. What a task says is printed
//! whole when it has ended; one lane alone prints as it goes. The first task that fails ends all.

use crate::tool::{self, Programs};
use anyhow::{Context, Error, Result, anyhow};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

pub struct Task<'a> {
    pub name: String,
    /// Tasks of other lanes that have to pass first.
    pub after: Vec<String>,
    pub work: Box<dyn FnOnce() -> Result<()> + Send + 'a>,
}

pub type Lane<'a> = Vec<Task<'a>>;

#[derive(Default)]
struct Progress {
    passed: BTreeSet<String>,
    /// Each task that ended by itself, and its seconds.
    took: Vec<(String, f32)>,
    failed: Option<Error>,
}

struct Board<'a> {
    progress: Mutex<Progress>,
    changed: Condvar,
    programs: Arc<Programs>,
    /// Where what is said lies meanwhile.
    logs: Option<&'a Path>,
    /// The command that runs a single task, but for its name.
    alone: &'a str,
}

pub fn run(lanes: Vec<Lane<'_>>, logs: &Path, alone: &str) -> Result<()> {
    fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let board = Board {
        progress: Mutex::default(),
        changed: Condvar::new(),
        programs: Arc::default(),
        logs: (lanes.len() > 1).then_some(logs),
        alone,
    };
    let started = Instant::now();
    thread::scope(|scope| {
        for lane in lanes {
            scope.spawn(|| board.drive(lane));
        }
    });
    let progress = board
        .progress
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    println!();
    for (name, seconds) in &progress.took {
        println!("{seconds:8.1} s  {name}");
    }
    println!(
        "steps: {} passed, {} failed, in {:.1} s",
        progress.passed.len(),
        usize::from(progress.failed.is_some()),
        started.elapsed().as_secs_f32()
    );
    progress.failed.map_or(Ok(()), Err)
}

impl Board<'_> {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drive(&self, lane: Lane<'_>) {
        for Task { name, after, work } in lane {
            if !self.waited_for(&after) {
                return;
            }
            println!("=== {name}: begun");
            let started = Instant::now();
            let result = self.result(&name, work);
            if !self.ended(name, started.elapsed().as_secs_f32(), result) {
                return;
            }
        }
    }

    /// Whether all of them have passed, and nothing has failed.
    fn waited_for(&self, tasks: &[String]) -> bool {
        let waits = |progress: &mut Progress| {
            progress.failed.is_none() && !tasks.iter().all(|task| progress.passed.contains(task))
        };
        let waited = self.changed.wait_while(self.progress(), waits);
        waited
            .unwrap_or_else(PoisonError::into_inner)
            .failed
            .is_none()
    }

    fn result(&self, name: &str, work: Box<dyn FnOnce() -> Result<()> + Send + '_>) -> Result<()> {
        let log = self.logs.map(|folder| {
            let path = folder.join(format!("{name}.log"));
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))
        });
        tool::enter(log.transpose()?, Arc::clone(&self.programs));
        // The others must not wait for a task that panicked.
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(anyhow!("panicked")))
    }

    /// Whether the lane goes on.
    fn ended(&self, name: String, seconds: f32, result: Result<()>) -> bool {
        let mut progress = self.progress();
        if progress.failed.is_some() {
            println!("=== {name}: ended after {seconds:.1} s, as another step failed");
            return false;
        }
        if let Some(folder) = self.logs {
            let said = fs::read(folder.join(format!("{name}.log"))).unwrap_or_default();
            print!("\n=== {name}\n{}", String::from_utf8_lossy(&said));
        }
        progress.took.push((name.clone(), seconds));
        let passed = result.is_ok();
        match result {
            Ok(()) => {
                println!("=== {name}: passed in {seconds:.1} s");
                progress.passed.insert(name);
            }
            Err(error) => {
                println!("=== {name}: FAILED after {seconds:.1} s");
                let alone = self.alone;
                progress.failed =
                    Some(error.context(format!("{name} failed; it runs alone by: {alone} {name}")));
                self.programs.end();
            }
        }
        self.changed.notify_all();
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn task<'a>(
        name: &str,
        after: &[&str],
        work: impl FnOnce() -> Result<()> + Send + 'a,
    ) -> Task<'a> {
        Task {
            name: name.to_owned(),
            after: after.iter().map(|name| (*name).to_owned()).collect(),
            work: Box::new(work),
        }
    }

    fn logs() -> std::path::PathBuf {
        std::env::temp_dir().join(format!("lanes-{}", std::process::id()))
    }

    #[test]
    fn a_task_waits_for_those_of_other_lanes_and_goes_beside_the_rest() {
        let (tell, told) = channel();
        let (meet, met) = channel();
        let last = tell.clone();
        let lanes = vec![
            vec![
                task("first", &[], || Ok(())),
                // Ends only beside the other lane.
                task("beside", &[], move || Ok(met.recv()?)),
                task("last", &["other"], move || Ok(last.send("last")?)),
            ],
            vec![
                task("meeting", &["first"], move || Ok(meet.send(())?)),
                task("other", &[], move || Ok(tell.send("other")?)),
            ],
        ];
        run(lanes, &logs(), "again").unwrap();
        assert_eq!(told.iter().collect::<Vec<_>>(), ["other", "last"]);
    }

    #[test]
    fn the_first_failure_is_named_with_the_command_that_runs_it_alone() {
        for broken in [|| Err(anyhow!("no such thing")), || panic!("stumbled")] {
            let never = || panic!("nothing begins after it");
            let lanes = vec![
                vec![task("broken", &[], broken), task("later", &[], never)],
                vec![task("waiting", &["broken"], never)],
            ];
            let error = run(lanes, &logs(), "do").unwrap_err();
            assert_eq!(
                error.to_string(),
                "broken failed; it runs alone by: do broken"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_failure_ends_what_runs_in_other_lanes() {
        let (tell, told) = channel();
        let sleep = move || {
            let mut command = std::process::Command::new("sh");
            // It goes on when it is asked to end, and has a child, as a browser has.
            command.args(["-c", "trap '' TERM; sleep 1000; true"]);
            tell.send(())?;
            tool::run(&mut command)
        };
        let fail = move || {
            told.recv()?;
            Err(anyhow!("no such thing"))
        };
        let lanes = vec![
            vec![task("asleep", &[], sleep)],
            vec![task("broken", &[], fail)],
        ];
        assert!(
            run(lanes, &logs(), "do")
                .unwrap_err()
                .to_string()
                .starts_with("broken failed")
        );
    }
}
