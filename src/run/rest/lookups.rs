//! `POST live`, `POST hunt`, `POST check`: what Defender says, read with splunkd's
//! own session key for a caller who never sees the secret.

use super::{Asked, Refusal, UNFIT};
use crate::bridge::account::{ACCOUNTS, Settings};
use crate::bridge::check::{CheckAnswer, CheckRequest};
use crate::bridge::lookup::hunt::{Hunted, Query};
use crate::bridge::lookup::live;
use crate::bridge::permission::Right;
use crate::bridge::signature::KeyError;
use crate::bridge::verdict::authenticity;
use crate::bridge::{account, check, signature};
use crate::microsoft::defender::hunting::{Found, Hunt, HuntError};
use crate::run::rest::trace::Trace;
use crate::splunk::rest_handler::Reply;
use crate::splunk::splunkd::{Splunkd, SplunkdError};
use crate::triage::Api;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// Graph takes 150 calls a minute: more ids would not be read before the caller gives up.
const MOST_IDS: usize = 400;

/// The account or Microsoft fails; the caller cannot mend that.
const BEYOND: u16 = 502;

/// A question about one account, from a caller who has the right and may use the
/// account; each leaves a line in the log.
pub trait Lookup: DeserializeOwned {
    const RIGHT: Right;
    /// The route, as the log names it.
    const ROUTE: &'static str;
    /// What the body should be, for the refusal of another.
    const BODY: &'static str;
    /// What the question means, checked before splunkd is asked for anything.
    type Checked;

    fn account(&self) -> &str;

    /// The question itself, for the log: its name and its text.
    fn logged(&self) -> [Cow<'_, str>; 2];

    fn checked(&self) -> Result<Self::Checked, Refusal>;

    async fn answer(
        &self,
        checked: Self::Checked,
        system: &Splunkd,
        settings: &Settings,
        trace: &mut Trace,
    ) -> Result<Reply, Refusal>;
}

/// Answers a question; the log has its result before the caller does.
pub async fn lookup<L: Lookup>(asked: Asked) -> Result<Reply, Refusal> {
    let (caller, question) = asked.open::<L>(L::RIGHT, L::BODY).await?;
    let [name, text] = question.logged();
    let what = [name.as_ref(), text.as_ref()];
    let mut trace = Trace::of(L::ROUTE, &caller.user, question.account(), what);
    let answered = async {
        let checked = question.checked()?;
        let settings = account::settings(&asked.system).await?;
        asked.known(question.account()).await?;
        question
            .answer(checked, &asked.system, &settings, &mut trace)
            .await
    };
    let answered = answered.await;
    trace.end(match &answered {
        Ok(reply) => reply.status(),
        Err(refusal) => refusal.status,
    });
    answered
}

impl Lookup for live::Question {
    const RIGHT: Right = Right::ReadThrough;
    const ROUTE: &'static str = "live";
    const BODY: &'static str = "question";
    type Checked = Api;

    fn account(&self) -> &str {
        &self.account
    }

    fn logged(&self) -> [Cow<'_, str>; 2] {
        let ids = self.ids.iter().take(MOST_IDS).map(String::as_str);
        ["ids".into(), ids.collect::<Vec<_>>().join(",").into()]
    }

    fn checked(&self) -> Result<Api, Refusal> {
        if self.ids.len() > MOST_IDS {
            let why = format!("at most {MOST_IDS} ids are read at once: ask for fewer");
            return Err(Refusal::new(413, why));
        }
        live::api(self.api.as_deref(), self.subject).map_err(wrong)
    }

    async fn answer(
        &self,
        api: Api,
        system: &Splunkd,
        settings: &Settings,
        trace: &mut Trace,
    ) -> Result<Reply, Refusal> {
        let client = live::client(system, settings, &self.account, api).await;
        let live = live::read_live(&client.map_err(beyond)?, self.subject, &self.ids).await;
        trace.rows = Some(live.iter().filter(|one| one.is_read()).count());
        Ok(Reply::well(&live::Answer { live }))
    }
}

impl Lookup for Query {
    const RIGHT: Right = Right::Hunt;
    const ROUTE: &'static str = "hunt";
    const BODY: &'static str = "query";
    type Checked = Hunt;

    fn account(&self) -> &str {
        &self.account
    }

    fn logged(&self) -> [Cow<'_, str>; 2] {
        ["query".into(), self.query.as_str().into()]
    }

    fn checked(&self) -> Result<Hunt, Refusal> {
        self.hunt().map_err(wrong)
    }

    async fn answer(
        &self,
        hunt: Hunt,
        system: &Splunkd,
        settings: &Settings,
        trace: &mut Trace,
    ) -> Result<Reply, Refusal> {
        let answered = self.ask(&hunt, system, settings).await;
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
}

impl Lookup for CheckRequest {
    const RIGHT: Right = Right::CheckThrough;
    const ROUTE: &'static str = "check";
    const BODY: &'static str = "account";
    type Checked = ();

    fn account(&self) -> &str {
        &self.account
    }

    fn logged(&self) -> [Cow<'_, str>; 2] {
        match &self.input {
            None => ["".into(), "".into()],
            Some(input) => ["input".into(), input.as_str().into()],
        }
    }

    fn checked(&self) -> Result<(), Refusal> {
        Ok(())
    }

    async fn answer(
        &self,
        (): (),
        system: &Splunkd,
        settings: &Settings,
        trace: &mut Trace,
    ) -> Result<Reply, Refusal> {
        let checks = check::account(system, settings, &self.account, self.input.as_deref()).await;
        trace.rows = Some(checks.len());
        Ok(Reply::well(&CheckAnswer { checks }))
    }
}

/// Whether entries of the ledger are this app's own, for one who may not read the key.
pub async fn ledger(asked: Asked) -> Result<Reply, Refusal> {
    let (_, question) = asked
        .open::<authenticity::Question>(Right::ReadThrough, "question")
        .await?;
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

impl Asked {
    /// Refuses an account whose stanza the caller cannot read.
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

/// The account or Microsoft fails, unless splunkd was not ready to say what the account is.
fn beyond(error: impl Into<anyhow::Error>) -> Refusal {
    let error = error.into();
    let splunkd = error.downcast_ref::<SplunkdError>();
    let status = match splunkd.is_some_and(|error| error.busy() || error.passing()) {
        true => 503,
        false => BEYOND,
    };
    Refusal::new(status, format!("{error:#}"))
}
