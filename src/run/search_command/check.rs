//! `| defendercheck account=<name>`: one row for each point that was looked at.

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

/// As the columns come.
const COLUMNS: [&str; 6] = [
    "account",
    "point",
    "state",
    "permission",
    "finding",
    "remedy",
];

#[derive(Debug)]
pub struct Args {
    /// All of them, where none is named.
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
            let points = check::splunkd(&splunkd).await;
            let names = match &self.account {
                Some(name) => vec![name.clone()],
                None => splunkd.conf_names(account::ACCOUNTS).await?,
            };
            Ok((splunkd, points, names))
        };
        let (splunkd, points, names) = open(call, session, opening).await?;
        let cancelled = session.cancelled();
        let mut row_writer = session.row_writer(call, &COLUMNS);
        for point in points {
            row_writer.put(&cells("", &point)).await?;
        }
        let lookup_route = LookupRoute::of(Right::Check, splunkd).await;
        for name in names {
            let mut cancelled = cancelled.clone();
            let points = tokio::select! {
                points = of_account(&lookup_route, &name) => points,
                _ = cancelled.wait_for(|cancelled| *cancelled) => return Err(Ended::Cancelled),
            };
            for point in points {
                row_writer.put(&cells(&name, &point)).await?;
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
        Ok(Some(answer)) => answer.points,
        Ok(None) => check::account(&lookup_route.splunkd, &lookup_route.settings, name).await,
        Err(error) => failed(&error),
    }
}

fn cells(account: &str, point: &CheckResult) -> Vec<Values> {
    let one = |text: &str| vec![text.to_owned()];
    vec![
        one(account),
        one(&point.point),
        one(point.state.as_str()),
        point.permission.iter().cloned().collect(),
        one(&point.finding),
        point.remedy.iter().cloned().collect(),
    ]
}
