//! `| defendercheck account=<name>`: one row for each check. With `input` that input of the
//! account alone, with `feed` a stream that no input reads yet.

use crate::bridge::check::{CheckAnswer, CheckRequest, CheckResult};
use crate::bridge::input::settings::{Input, StreamInput};
use crate::bridge::lookup::LookupRoute;
use crate::bridge::permission::{Right, SECRETS};
use crate::bridge::{account, check};
use crate::ingest::Instant;
use crate::run::search_command::arguments::Arguments;
use crate::run::search_command::session::{Ended, Session};
use crate::run::search_command::{Command, open};
use crate::splunk::modular_input::input::Stanza;
use crate::splunk::search_command::{Invocation, Kind, Values};
use crate::splunk::splunkd::{Route, Splunkd};
use anyhow::bail;
use std::io::Write;

/// The columns, in their order.
const COLUMNS: [&str; 7] = [
    "account",
    "input",
    "check",
    "state",
    "permission",
    "finding",
    "remedy",
];

/// The settings of a stream, as in `inputs.conf`.
const STREAM: [&str; 10] = [
    "feed",
    "event_hub_namespace",
    "event_hub",
    "consumer_group",
    "transport",
    "storage_account",
    "tables",
    "start",
    "checkpoint",
    "checkpoint_container",
];

#[derive(Debug)]
pub struct Args {
    subject: Subject,
}

/// What is checked, beside splunkd.
#[derive(Debug)]
enum Subject {
    Everything,
    Account(String),
    Input(String),
    /// A stream that no input reads yet.
    Stream(Box<StreamInput>),
}

impl Command for Args {
    const KIND: Kind = Kind::GENERATING;

    fn read(words: &[String]) -> anyhow::Result<Self> {
        let known: Vec<&str> = ["account", "input"].into_iter().chain(STREAM).collect();
        let mut arguments = Arguments::read(words, &known)?;
        let input = arguments.take("input");
        let settings: Vec<&str> = STREAM
            .into_iter()
            .filter(|key| arguments.get(key).is_some())
            .collect();
        let subject = match (input, settings.first()) {
            (Some(_), Some(setting)) => {
                bail!(
                    "input and {setting} do not go together: name an input, or write its settings"
                )
            }
            (Some(input), None) => Subject::Input(input),
            (None, Some(_)) => Subject::Stream(Box::new(stream_of(&arguments)?)),
            (None, None) => match arguments.take("account") {
                Some(account) => Subject::Account(account),
                None => Subject::Everything,
            },
        };
        Ok(Self { subject })
    }

    async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended> {
        session.next().await?;
        let opening = async |splunkd: Splunkd| {
            let checks = match &self.subject {
                Subject::Everything | Subject::Account(_) => check::splunkd(&splunkd).await,
                Subject::Input(_) | Subject::Stream(_) => Vec::new(),
            };
            let of = |account: &str, input: Option<&String>| CheckRequest {
                account: account.to_owned(),
                input: input.cloned(),
            };
            let requests = match &self.subject {
                Subject::Everything => {
                    let names = splunkd.conf_names(account::ACCOUNTS).await?;
                    names.iter().map(|name| of(name, None)).collect()
                }
                Subject::Account(name) => vec![of(name, None)],
                Subject::Input(name) => match check::saved_input(&splunkd, name).await? {
                    Some(saved) => vec![of(&saved.account, Some(name))],
                    None => bail!(
                        "there is no input \"{name}\" on this server, or its conf is hidden from you"
                    ),
                },
                Subject::Stream(_) => Vec::new(),
            };
            Ok((splunkd, checks, requests))
        };
        let (splunkd, checks, requests) = open(call, session, opening).await?;
        let cancelled = session.cancelled();
        let mut row_writer = session.row_writer(call, &COLUMNS);
        for result in checks {
            row_writer.put(&cells("", &result)).await?;
        }
        let lookup_route = LookupRoute::of(Right::Check, splunkd).await;
        for request in requests {
            let mut cancelled = cancelled.clone();
            let checks = tokio::select! {
                checks = of_account(&lookup_route, &request) => checks,
                _ = cancelled.wait_for(|cancelled| *cancelled) => return Err(Ended::Cancelled),
            };
            for result in checks {
                row_writer.put(&cells(&request.account, &result)).await?;
            }
        }
        if let Subject::Stream(settings) = &self.subject {
            let mut cancelled = cancelled.clone();
            let checks = tokio::select! {
                checks = of_stream(&lookup_route, settings) => checks,
                _ = cancelled.wait_for(|cancelled| *cancelled) => return Err(Ended::Cancelled),
            };
            for result in checks {
                row_writer.put(&cells(&settings.account, &result)).await?;
            }
        }
        row_writer.end(&[])
    }
}

/// # Errors
/// Names the argument that cannot be meant so.
fn stream_of(arguments: &Arguments) -> anyhow::Result<StreamInput> {
    arguments.account()?;
    let params = arguments
        .iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(key, value)| (key.to_owned(), vec![value.trim().to_owned()]));
    let stanza = Stanza {
        scheme: String::new(),
        name: String::new(),
        app: None,
        params: params.collect(),
    };
    let now = Instant::from(jiff::Timestamp::now()).millisecond();
    match Input::parse(&stanza, now)? {
        Input::Stream(settings) => Ok(settings),
        Input::List(_) => {
            bail!("feed: only a stream is checked by its settings: event_hub, storage")
        }
    }
}

/// Where a stream lies is the caller's to say, and the account's secret goes there: so the
/// caller must be one who may read the secret.
async fn of_stream(
    lookup_route: &anyhow::Result<LookupRoute>,
    settings: &StreamInput,
) -> Vec<CheckResult> {
    let lookup_route = match lookup_route {
        Ok(lookup_route) => lookup_route,
        Err(error) => return failed(error),
    };
    let (splunkd, own) = (&lookup_route.splunkd, &lookup_route.settings);
    match splunkd.current_context().await {
        Ok(context) if context.can(SECRETS) => {}
        Ok(context) => {
            let finding = format!(
                "{} may not have an account sign in anywhere",
                context.username
            );
            let remedy =
                format!("name a saved input (input=…), or ask for the capability {SECRETS}");
            return vec![CheckResult::failed("account", finding).remedy(remedy)];
        }
        Err(error) => return failed(&error.into()),
    }
    match account::account(splunkd, own, &settings.account).await {
        Ok(account) => check::stream(&account, settings, None).await,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> Vec<CheckResult> {
    vec![CheckResult::failed("account", format!("{error:#}"))]
}

async fn of_account(
    lookup_route: &anyhow::Result<LookupRoute>,
    request: &CheckRequest,
) -> Vec<CheckResult> {
    let lookup_route = match lookup_route {
        Ok(lookup_route) => lookup_route,
        Err(error) => return failed(error),
    };
    let (name, input) = (&request.account, request.input.as_deref());
    match lookup_route
        .by_endpoint::<CheckAnswer>(Route::Check, name, request)
        .await
    {
        Ok(Some(answer)) => answer.checks,
        Ok(None) => {
            let (splunkd, settings) = (&lookup_route.splunkd, &lookup_route.settings);
            check::account(splunkd, settings, name, input).await
        }
        Err(error) => failed(&error),
    }
}

fn cells(account: &str, result: &CheckResult) -> Vec<Values> {
    let one = |text: &str| vec![text.to_owned()];
    vec![
        one(account),
        result.input.iter().cloned().collect(),
        one(&result.check),
        one(result.state.as_str()),
        result.permission.iter().cloned().collect(),
        one(&result.finding),
        result.remedy.iter().cloned().collect(),
    ]
}
