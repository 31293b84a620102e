//! `| defendercheck account=<name>`: one row for each check.

use crate::bridge::check::{CheckAnswer, CheckRequest, CheckResult};
use crate::bridge::lookup::LookupRoute;
use crate::bridge::permission::Right;
use crate::bridge::{account, check};
use crate::run::search_command::arguments::Arguments;
use crate::run::search_command::session::{Ended, Session};
use crate::run::search_command::{Command, open};
use crate::splunk::search_command::{Invocation, Kind, Values};
use crate::splunk::splunkd::{Route, Splunkd};
use std::io::Write;

/// The columns, in their order.
const COLUMNS: [&str; 6] = [
    "account",
    "check",
    "state",
    "permission",
    "finding",
    "remedy",
];

#[derive(Debug)]
pub struct Args {
    /// All accounts, if none is named.
    account: Option<String>,
}

impl Command for Args {
    const KIND: Kind = Kind::GENERATING;

    fn read(words: &[String]) -> anyhow::Result<Self> {
        let mut arguments = Arguments::read(words, &["account"])?;
        Ok(Self {
            account: arguments.take("account"),
        })
    }

    async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended> {
        session.next().await?;
        let opening = async |splunkd: Splunkd| {
            let checks = check::splunkd(&splunkd).await;
            let names = match &self.account {
                Some(name) => vec![name.clone()],
                None => splunkd.conf_names(account::ACCOUNTS).await?,
            };
            Ok((splunkd, checks, names))
        };
        let (splunkd, checks, names) = open(call, session, opening).await?;
        let cancelled = session.cancelled();
        let mut row_writer = session.row_writer(call, &COLUMNS);
        for result in checks {
            row_writer.put(&cells("", &result)).await?;
        }
        let lookup_route = LookupRoute::of(Right::Check, splunkd).await;
        for name in names {
            let mut cancelled = cancelled.clone();
            let checks = tokio::select! {
                checks = of_account(&lookup_route, &name) => checks,
                _ = cancelled.wait_for(|cancelled| *cancelled) => return Err(Ended::Cancelled),
            };
            for result in checks {
                row_writer.put(&cells(&name, &result)).await?;
            }
        }
        row_writer.end(&[])
    }
}

async fn of_account(lookup_route: &anyhow::Result<LookupRoute>, name: &str) -> Vec<CheckResult> {
    let failed = |error: &anyhow::Error| vec![CheckResult::failed("account", format!("{error:#}"))];
    let lookup_route = match lookup_route {
        Ok(lookup_route) => lookup_route,
        Err(error) => return failed(error),
    };
    let named = CheckRequest {
        account: name.to_owned(),
    };
    match lookup_route
        .by_endpoint::<CheckAnswer>(Route::Check, name, &named)
        .await
    {
        Ok(Some(answer)) => answer.checks,
        Ok(None) => check::account(&lookup_route.splunkd, &lookup_route.settings, name).await,
        Err(error) => failed(&error),
    }
}

fn cells(account: &str, result: &CheckResult) -> Vec<Values> {
    let one = |text: &str| vec![text.to_owned()];
    vec![
        one(account),
        one(&result.check),
        one(result.state.as_str()),
        result.permission.iter().cloned().collect(),
        one(&result.finding),
        result.remedy.iter().cloned().collect(),
    ]
}
