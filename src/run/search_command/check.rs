//! `| defendercheck account=<name>`: one row for each point that was looked at.

use crate::bridge::check::{Named, Point, Points};
use crate::bridge::lookup::Reading;
use crate::bridge::permission::Right;
use crate::bridge::{account, check};
use crate::run::search_command::arguments::Arguments;
use crate::run::search_command::session::{Halt, Talk};
use crate::splunk::search_command::{Invocation, Values};
use crate::splunk::splunkd::Errand;
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
pub struct Wish {
    /// All of them, where none is named.
    account: Option<String>,
}

impl Wish {
    pub fn read(words: &[String]) -> anyhow::Result<Self> {
        let mut arguments = Arguments::read(words, &["account"])?;
        Ok(Self {
            account: arguments.take("account"),
        })
    }

    pub async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        talk: &mut Talk<W>,
    ) -> Result<(), Halt> {
        talk.next().await?;
        let splunkd = crate::run::search_command::splunkd(call)?;
        let opening = async {
            let points = check::splunkd(&splunkd).await;
            let names = match &self.account {
                Some(name) => vec![name.clone()],
                None => splunkd.conf_names(account::ACCOUNTS).await?,
            };
            anyhow::Ok((points, names))
        };
        let (points, names) = talk.unless_gone(opening).await??;
        let gone = talk.gone();
        let mut sheet = talk.sheet(call, &COLUMNS);
        for point in points {
            sheet.put(&cells("", &point)).await?;
        }
        let reading = Reading::of(Right::Check, splunkd).await;
        for name in names {
            let mut gone = gone.clone();
            let points = tokio::select! {
                points = of_account(&reading, &name) => points,
                _ = gone.wait_for(|gone| *gone) => return Err(Halt::Gone),
            };
            for point in points {
                sheet.put(&cells(&name, &point)).await?;
            }
        }
        sheet.end(&[])
    }
}

async fn of_account(reading: &anyhow::Result<Reading>, name: &str) -> Vec<Point> {
    let failed = |error: &anyhow::Error| vec![Point::failed("account", format!("{error:#}"))];
    let reading = match reading {
        Ok(reading) => reading,
        Err(error) => return failed(error),
    };
    let named = Named {
        account: name.to_owned(),
    };
    match reading
        .by_endpoint::<Points>(Errand::Check, name, &named)
        .await
    {
        Ok(Some(answer)) => answer.points,
        Ok(None) => check::account(&reading.splunkd, &reading.settings, name).await,
        Err(error) => failed(&error),
    }
}

fn cells(account: &str, point: &Point) -> Vec<Values> {
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
