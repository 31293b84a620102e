//! Started by splunkd for a search command: `search-command <name>` behind the
//! executable in commands.conf, then questions on stdin and answers on stdout.

mod arguments;
mod check;
mod get;
mod hunt;
mod ledger;
mod reconcile;
mod selftest;
mod session;
#[cfg(test)]
mod tests;
mod undo;
mod update;

use crate::bridge::account;
use crate::bridge::lookup::Reading;
use crate::bridge::permission::Right;
use crate::bridge::verdict::job;
use crate::bridge::verdict::row_result::Told;
use crate::host::stop::Stop;
use crate::host::{exit, log, paths, runtime};
use crate::splunk::search_command::{Invocation, Kind, Values};
use crate::splunk::splunkd::Splunkd;
use anyhow::{anyhow, bail};
use serde_json::Value;
use session::{Halt, Talk};
use std::io::{BufReader, Write};
use std::process::ExitCode;

/// Read ahead of the protocol's own lengths.
const BUFFER: usize = 64 << 10;

pub fn run(name: &str) -> ExitCode {
    log::about(name);
    let runtime = match runtime::start() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    runtime.block_on(async {
        let talk = match paths::stdout() {
            Ok(out) => Talk::begin(BufReader::with_capacity(BUFFER, std::io::stdin()), out),
            Err(error) => Err(error),
        };
        match talk {
            Ok(mut talk) => {
                talk.heed(&Stop::listen());
                converse(name, &mut talk).await
            }
            Err(error) => {
                tracing::error!("this process cannot be set up: {error}");
                exit::own_fault()
            }
        }
    })
}

/// What a command was asked to do, its arguments understood.
enum Wish {
    Update(update::Wish),
    Undo(undo::Wish),
    Get(get::Wish),
    Reconcile(Box<reconcile::Wish>),
    Hunt(hunt::Wish),
    Check(check::Wish),
    Ledger(ledger::Wish),
    SelfTest(selftest::Wish),
}

impl Wish {
    fn read(name: &str, call: &Invocation) -> anyhow::Result<Self> {
        Ok(match name {
            "defenderupdate" => Self::Update(update::Wish::read(&call.args)?),
            "defenderundo" => Self::Undo(undo::Wish::read(&call.args)?),
            "defenderget" => Self::Get(get::Wish::read(&call.args)?),
            "defenderreconcile" => Self::Reconcile(Box::new(reconcile::Wish::read(&call.args)?)),
            "defenderhunt" => Self::Hunt(hunt::Wish::read(&call.args)?),
            "defendercheck" => Self::Check(check::Wish::read(&call.args)?),
            "defenderledger" => Self::Ledger(ledger::Wish::read(&call.args)?),
            "defenderselftest" => Self::SelfTest(selftest::Wish::read(&call.args)?),
            _ => bail!(
                "there is no search command \"{}\"; there are defenderupdate, defenderundo, defenderget, defenderreconcile, defenderhunt, defendercheck, defenderledger, defenderselftest",
                name.escape_debug()
            ),
        })
    }

    async fn carry_out<W: Write>(&self, call: &Invocation, talk: &mut Talk<W>) -> Result<(), Halt> {
        match self {
            Self::Update(wish) => wish.carry_out(call, talk).await,
            Self::Undo(wish) => wish.carry_out(call, talk).await,
            Self::Get(wish) => wish.carry_out(call, talk).await,
            Self::Reconcile(wish) => wish.carry_out(call, talk).await,
            Self::Hunt(wish) => wish.carry_out(call, talk).await,
            Self::Check(wish) => wish.carry_out(call, talk).await,
            Self::Ledger(wish) => wish.carry_out(call, talk).await,
            Self::SelfTest(wish) => wish.carry_out(call, talk).await,
        }
    }
}

/// From the first question to the last answer.
async fn converse<W: Write>(name: &str, talk: &mut Talk<W>) -> ExitCode {
    let halt = match conversation(name, talk).await {
        Ok(()) | Err(Halt::Gone) => return exit::WELL,
        Err(Halt::Failed(error)) => error,
    };
    tracing::error!("{halt:#}");
    // Where nobody listens any more, the log has it.
    talk.fail(&halt).ok();
    exit::refused()
}

async fn conversation<W: Write>(name: &str, talk: &mut Talk<W>) -> Result<(), Halt> {
    let call = talk.first().await?;
    let kind = match name {
        "defenderundo" | "defenderhunt" | "defendercheck" | "defenderselftest" => Kind::GENERATING,
        _ => Kind::STREAMING,
    };
    match Wish::read(name, &call) {
        Ok(wish) => {
            talk.introduce(kind, None)?;
            wish.carry_out(&call, talk).await
        }
        Err(error) => {
            // The message belongs to this answer; the end to the next.
            talk.introduce(kind, Some(&error))?;
            Err(Halt::Failed(error))
        }
    }
}

/// The id of a command's batch: the same for the same words in the same search,
/// so that a repeated command knows its own comments.
fn batch(command: &str, call: &Invocation) -> String {
    let sid = call.sid.as_ref().map(|sid| {
        let words = call.args.join("\n");
        format!("{command}\n{sid}\n{words}")
    });
    job::batch(sid)
}

/// What became of a target, as columns: `changed`, `before`, `after`,
/// `verified`, `request_id`.
fn evidence(each: impl Fn(&dyn Fn(&Told) -> Option<String>) -> Values) -> [Values; 5] {
    [
        each(&|told| {
            let words: Vec<&str> = told.changed.iter().filter_map(|f| f.as_str()).collect();
            (!words.is_empty()).then(|| words.join(","))
        }),
        each(&|told| told.before.as_ref().map(Value::to_string)),
        each(&|told| told.after.as_ref().map(Value::to_string)),
        each(&|told| told.verified.map(|yes| u8::from(yes).to_string())),
        each(&|told| told.request_id.clone()),
    ]
}

async fn reading(right: Right, call: &Invocation) -> anyhow::Result<Reading> {
    Reading::of(right, splunkd(call)?).await
}

/// splunkd on behalf of the user who searches.
fn splunkd(call: &Invocation) -> anyhow::Result<Splunkd> {
    let (Some(uri), Some(key)) = (call.splunkd_uri.as_deref(), call.session_key.clone()) else {
        return Err(anyhow!(
            "splunkd passed no address and session key of its own: the account cannot be asked for"
        ));
    };
    account::splunkd(uri, key, account::PATIENCE)
}
