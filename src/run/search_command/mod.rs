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
use crate::bridge::lookup::LookupRoute;
use crate::bridge::permission::Right;
use crate::bridge::verdict::job;
use crate::host::stop::Stop;
use crate::host::{exit, log, paths, runtime};
use crate::splunk::search_command::{Invocation, Kind, Values};
use crate::splunk::splunkd::Splunkd;
use crate::triage::{Entry, State};
use anyhow::{anyhow, bail};
use session::{Ended, Session};
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
        let session = match paths::stdout() {
            Ok(out) => Session::begin(BufReader::with_capacity(BUFFER, std::io::stdin()), out),
            Err(error) => Err(error),
        };
        match session {
            Ok(mut session) => {
                session.cancel_on(&Stop::listen());
                converse(name, &mut session).await
            }
            Err(error) => {
                tracing::error!("this process cannot be set up: {error}");
                exit::own_fault()
            }
        }
    })
}

/// What a command was asked to do, its arguments understood.
enum Args {
    Update(update::Args),
    Undo(undo::Args),
    Get(get::Args),
    Reconcile(Box<reconcile::Args>),
    Hunt(hunt::Args),
    Check(check::Args),
    Ledger(ledger::Args),
    SelfTest(selftest::Args),
}

impl Args {
    fn read(name: &str, call: &Invocation) -> anyhow::Result<Self> {
        Ok(match name {
            "defenderupdate" => Self::Update(update::Args::read(&call.args)?),
            "defenderundo" => Self::Undo(undo::Args::read(&call.args)?),
            "defenderget" => Self::Get(get::Args::read(&call.args)?),
            "defenderreconcile" => Self::Reconcile(Box::new(reconcile::Args::read(&call.args)?)),
            "defenderhunt" => Self::Hunt(hunt::Args::read(&call.args)?),
            "defendercheck" => Self::Check(check::Args::read(&call.args)?),
            "defenderledger" => Self::Ledger(ledger::Args::read(&call.args)?),
            "defenderselftest" => Self::SelfTest(selftest::Args::read(&call.args)?),
            _ => bail!(
                "there is no search command \"{}\"; there are defenderupdate, defenderundo, defenderget, defenderreconcile, defenderhunt, defendercheck, defenderledger, defenderselftest",
                name.escape_debug()
            ),
        })
    }

    async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended> {
        match self {
            Self::Update(args) => args.carry_out(call, session).await,
            Self::Undo(args) => args.carry_out(call, session).await,
            Self::Get(args) => args.carry_out(call, session).await,
            Self::Reconcile(args) => args.carry_out(call, session).await,
            Self::Hunt(args) => args.carry_out(call, session).await,
            Self::Check(args) => args.carry_out(call, session).await,
            Self::Ledger(args) => args.carry_out(call, session).await,
            Self::SelfTest(args) => args.carry_out(call, session).await,
        }
    }
}

/// From the first question to the last answer.
async fn converse<W: Write>(name: &str, session: &mut Session<W>) -> ExitCode {
    let ended = match conversation(name, session).await {
        Ok(()) | Err(Ended::Cancelled) => return exit::WELL,
        Err(Ended::Failed(error)) => error,
    };
    tracing::error!("{ended:#}");
    // Where nobody listens any more, the log has it.
    session.fail(&ended).ok();
    exit::refused()
}

async fn conversation<W: Write>(name: &str, session: &mut Session<W>) -> Result<(), Ended> {
    let call = session.first().await?;
    let kind = match name {
        "defenderundo" | "defenderhunt" | "defendercheck" | "defenderselftest" => Kind::GENERATING,
        _ => Kind::STREAMING,
    };
    match Args::read(name, &call) {
        Ok(args) => {
            session.introduce(kind, None)?;
            args.carry_out(&call, session).await
        }
        Err(error) => {
            // The message belongs to this answer; the end to the next.
            session.introduce(kind, Some(&error))?;
            Err(Ended::Failed(error))
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
fn evidence(each: impl Fn(&dyn Fn(&Entry) -> Option<String>) -> Values) -> [Values; 5] {
    // Members in the order of their names.
    let json = |state: &Option<State>| {
        let state = serde_json::to_value(state.as_ref()?).ok()?;
        Some(state.to_string())
    };
    [
        each(&|entry| {
            let fields: Vec<&str> = entry.changed.iter().map(|field| field.as_str()).collect();
            (!fields.is_empty()).then(|| fields.join(","))
        }),
        each(&|entry| json(&entry.before)),
        each(&|entry| json(&entry.after)),
        each(&|entry| entry.verified.map(|yes| u8::from(yes).to_string())),
        each(&|entry| entry.request_id.clone()),
    ]
}

async fn lookup_route(right: Right, call: &Invocation) -> anyhow::Result<LookupRoute> {
    LookupRoute::of(right, splunkd(call)?).await
}

/// splunkd on behalf of the user who searches.
fn splunkd(call: &Invocation) -> anyhow::Result<Splunkd> {
    let (Some(uri), Some(key)) = (call.splunkd_uri.as_deref(), call.session_key.clone()) else {
        return Err(anyhow!(
            "splunkd passed no address and session key of its own: the account cannot be asked for"
        ));
    };
    account::splunkd(uri, key, account::TIMEOUT)
}
