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
use crate::bridge::verdict::job;
use crate::host::stop::Stop;
use crate::host::{exit, log, paths, runtime};
use crate::splunk::search_command::{Invocation, Kind, Values};
use crate::splunk::splunkd::Splunkd;
use crate::triage::{Entry, State};
use anyhow::anyhow;
use session::{Ended, Session};
use std::io::{BufReader, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Bytes read ahead of what the protocol announces.
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

/// A search command, its arguments understood.
trait Command: Sized {
    const KIND: Kind;

    /// # Errors
    /// Names the argument that cannot be meant so.
    fn read(words: &[String]) -> anyhow::Result<Self>;

    async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended>;
}

#[derive(Clone, Copy)]
enum Name {
    Update,
    Undo,
    Get,
    Reconcile,
    Hunt,
    Check,
    Ledger,
    Selftest,
}

/// As commands.conf names them.
const COMMANDS: [(&str, Name); 8] = [
    ("defenderupdate", Name::Update),
    ("defenderundo", Name::Undo),
    ("defenderget", Name::Get),
    ("defenderreconcile", Name::Reconcile),
    ("defenderhunt", Name::Hunt),
    ("defendercheck", Name::Check),
    ("defenderledger", Name::Ledger),
    ("defenderselftest", Name::Selftest),
];

/// From the first question to the last answer.
async fn converse<W: Write>(name: &str, session: &mut Session<W>) -> ExitCode {
    let known = COMMANDS.iter().find(|(known, _)| *known == name);
    let ended = match known.map(|(_, name)| *name) {
        Some(Name::Update) => conversation::<update::Args, W>(session).await,
        Some(Name::Undo) => conversation::<undo::Args, W>(session).await,
        Some(Name::Get) => conversation::<get::Args, W>(session).await,
        Some(Name::Reconcile) => conversation::<reconcile::Args, W>(session).await,
        Some(Name::Hunt) => conversation::<hunt::Args, W>(session).await,
        Some(Name::Check) => conversation::<check::Args, W>(session).await,
        Some(Name::Ledger) => conversation::<ledger::Args, W>(session).await,
        Some(Name::Selftest) => conversation::<selftest::Args, W>(session).await,
        None => unknown(name, session).await,
    };
    let error = match ended {
        Ok(()) | Err(Ended::Cancelled) => return exit::WELL,
        Err(Ended::Failed(error)) => error,
    };
    tracing::error!("{error:#}");
    // The log has the error, also where splunkd takes no answer any more.
    session.fail(&error).ok();
    exit::refused()
}

async fn conversation<C: Command, W: Write>(session: &mut Session<W>) -> Result<(), Ended> {
    let call = session.first().await?;
    match C::read(&call.args) {
        Ok(command) => {
            session.introduce(C::KIND, None)?;
            command.carry_out(&call, session).await
        }
        Err(error) => refuse(C::KIND, error, session),
    }
}

async fn unknown<W: Write>(name: &str, session: &mut Session<W>) -> Result<(), Ended> {
    session.first().await?;
    let error = anyhow!(
        "there is no search command \"{}\"; there are {}",
        name.escape_debug(),
        COMMANDS.map(|(known, _)| known).join(", ")
    );
    refuse(Kind::STREAMING, error, session)
}

/// The message belongs to this answer; the end to the next.
fn refuse<W: Write>(
    kind: Kind,
    error: anyhow::Error,
    session: &mut Session<W>,
) -> Result<(), Ended> {
    session.introduce(kind, Some(&error))?;
    Err(Ended::Failed(error))
}

/// Opens what a command needs of splunkd, on behalf of the user who searches and for
/// as long as that user wants an answer.
async fn open<W: Write, T>(
    call: &Invocation,
    session: &Session<W>,
    opening: impl AsyncFnOnce(Splunkd) -> anyhow::Result<T>,
) -> Result<T, Ended> {
    open_within(account::TIMEOUT, call, session, opening).await
}

/// The same, with a splunkd that is asked for so long while it is not ready.
async fn open_within<W: Write, T>(
    patience: Duration,
    call: &Invocation,
    session: &Session<W>,
    opening: impl AsyncFnOnce(Splunkd) -> anyhow::Result<T>,
) -> Result<T, Ended> {
    let (Some(uri), Some(key)) = (call.splunkd_uri.as_deref(), call.session_key.clone()) else {
        let why =
            "splunkd passed no address and session key of its own: it cannot be asked for anything";
        return Err(Ended::Failed(anyhow!(why)));
    };
    let splunkd = account::splunkd(uri, key, patience)?;
    Ok(session.unless_cancelled(opening(splunkd)).await??)
}

/// The id of a command's batch: the same for the same arguments in the same search, so
/// that a repeated command knows its own comments.
fn batch(command: &str, call: &Invocation) -> String {
    let sid = call.sid.as_ref().map(|sid| {
        let words = call.args.join("\n");
        format!("{command}\n{sid}\n{words}")
    });
    job::batch(sid)
}

/// How a target ended, as columns: `changed`, `before`, `after`,
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
