//! `POST live`, `POST hunt`, `POST check`: what Defender says, read with splunkd's
//! own session key for a caller who never sees the secret.

use super::{Asked, Refusal, UNFIT};
use crate::bridge::account::ACCOUNTS;
use crate::bridge::check::{Named, Points};
use crate::bridge::lookup::hunt::{Hunted, Query};
use crate::bridge::lookup::live;
use crate::bridge::permission::Right;
use crate::bridge::signature::KeyError;
use crate::bridge::verdict::authenticity;
use crate::bridge::{account, check, signature};
use crate::microsoft::defender::hunting::{Found, HuntError};
use crate::run::rest::trace::Trace;
use crate::splunk::rest_handler::Reply;
use crate::splunk::splunkd::SplunkdError;

/// Graph takes 150 calls a minute: more would not be read before the caller's patience ends.
const MOST_IDS: usize = 400;

/// Something about Microsoft's side, which the caller cannot mend.
const BEYOND: u16 = 502;

pub async fn live(asked: Asked) -> Result<Reply, Refusal> {
    let caller = asked.caller(Right::ReadThrough).await?;
    let question: live::Question = asked.read("question")?;
    let ids = question.ids.iter().take(MOST_IDS).map(String::as_str);
    let ids = ids.collect::<Vec<_>>().join(",");
    let trace = Trace::of("live", &caller.user, &question.account, ["ids", &ids]);
    traced(trace, async |trace| look(&asked, &question, trace).await).await
}

async fn look(
    asked: &Asked,
    question: &live::Question,
    trace: &mut Trace,
) -> Result<Reply, Refusal> {
    if question.ids.len() > MOST_IDS {
        let why = format!("at most {MOST_IDS} ids are read at once: ask for fewer");
        return Err(Refusal::new(413, why));
    }
    let settings = account::settings(&asked.system).await?;
    let subject = question.subject;
    let api = live::api(question.api.as_deref(), subject).map_err(wrong)?;
    asked.known(&question.account).await?;
    let desk = live::desk(&asked.system, &settings, &question.account, api)
        .await
        .map_err(beyond)?;
    let live = live::look(&desk, subject, &question.ids).await;
    trace.rows = Some(live.iter().filter(|one| one.is_read()).count());
    Ok(Reply::well(&live::Answer { live }))
}

pub async fn hunt(asked: Asked) -> Result<Reply, Refusal> {
    let caller = asked.caller(Right::Hunt).await?;
    let query: Query = asked.read("query")?;
    let what = ["query", query.query.as_str()];
    let trace = Trace::of("hunt", &caller.user, &query.account, what);
    traced(trace, async |trace| hunted(&asked, &query, trace).await).await
}

async fn hunted(asked: &Asked, query: &Query, trace: &mut Trace) -> Result<Reply, Refusal> {
    let settings = account::settings(&asked.system).await?;
    let hunt = query.hunt().map_err(wrong)?;
    asked.known(&query.account).await?;
    let answered = query.ask(&hunt, &asked.system, &settings).await;
    let answered = answered.map_err(|error| match error.downcast_ref() {
        Some(HuntError::Query { .. }) => wrong(error),
        _ => beyond(error),
    })?;
    trace.request_id = answered.request_id().map(str::to_owned);
    trace.rows = Found::read(&answered).ok().map(|found| found.len());
    let hunted = Hunted::of(&answered).map_err(|error| {
        let why = format!(
            "Microsoft's answer is no JSON (line {}): narrow the query and try again",
            error.line()
        );
        Refusal::new(BEYOND, why)
    })?;
    Ok(Reply::well(&hunted))
}

pub async fn check(asked: Asked) -> Result<Reply, Refusal> {
    let caller = asked.caller(Right::CheckThrough).await?;
    let named: Named = asked.read("account")?;
    let trace = Trace::of("check", &caller.user, &named.account, ["", ""]);
    traced(trace, async |trace| checked(&asked, &named, trace).await).await
}

async fn checked(asked: &Asked, named: &Named, trace: &mut Trace) -> Result<Reply, Refusal> {
    let settings = account::settings(&asked.system).await?;
    asked.known(&named.account).await?;
    let points = check::account(&asked.system, &settings, &named.account).await;
    trace.rows = Some(points.len());
    Ok(Reply::well(&Points { points }))
}

/// Whether entries of the ledger are this app's own, for one who may not read the key.
pub async fn ledger(asked: Asked) -> Result<Reply, Refusal> {
    asked.caller(Right::ReadThrough).await?;
    let question: authenticity::Question = asked.read("question")?;
    let key = match signature::known(&asked.system).await {
        Ok(key) => Some(key),
        Err(KeyError::None) => None,
        Err(KeyError::Splunkd(error)) => return Err(error.into()),
        Err(error) => return Err(Refusal::new(UNFIT, error)),
    };
    let judged = question.entries.iter().map(|entry| match &key {
        Some(key) => key.judge(entry),
        // Nothing was ever signed here.
        None => signature::without_key(entry),
    });
    Ok(Reply::well(&authenticity::Answer {
        authentic: judged.collect(),
    }))
}

/// Whatever comes of it is in the log before it is answered.
async fn traced(
    mut trace: Trace,
    read: impl AsyncFnOnce(&mut Trace) -> Result<Reply, Refusal>,
) -> Result<Reply, Refusal> {
    let read = read(&mut trace).await;
    trace.end(match &read {
        Ok(reply) => reply.status(),
        Err(refusal) => refusal.status,
    });
    read
}

impl Asked {
    /// Only an account whose stanza is open to the caller is used for the caller.
    async fn known(&self, account: &str) -> Result<(), Refusal> {
        match self.own.conf(ACCOUNTS, account).await? {
            Some(_) => Ok(()),
            None => Err(wrong(account::unknown(&self.own, account).await)),
        }
    }
}

fn wrong(error: impl Into<anyhow::Error>) -> Refusal {
    Refusal::new(400, format!("{:#}", error.into()))
}

/// Microsoft's side, unless splunkd was not ready to say what the account is.
fn beyond(error: impl Into<anyhow::Error>) -> Refusal {
    let error = error.into();
    let splunkd = error.downcast_ref::<SplunkdError>();
    let status = match splunkd.is_some_and(|error| error.busy() || error.passing()) {
        true => 503,
        false => BEYOND,
    };
    Refusal::new(status, format!("{error:#}"))
}
