//! `| defendercheck account=<name>`: one row for each point that was looked at.

use super::arguments::Arguments;
use super::talk::{Halt, Talk};
use super::{Session, account};
use crate::run::examination::{self, Point};
use crate::splunk::chunked::{Invocation, Values};
use std::io::Write;

/// As the columns come.
const COLUMNS: [&str; 6] = [
    "account",
    "point",
    "verdict",
    "permission",
    "cause",
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
        let opening = async {
            let session = Session::open(call).await?;
            let point = splunkd(&session).await;
            let names = match &self.account {
                Some(name) => vec![name.clone()],
                None => {
                    let stanzas = session.splunkd.conf_stanzas(account::ACCOUNTS).await?;
                    stanzas.into_iter().map(|(name, _)| name).collect()
                }
            };
            anyhow::Ok((session, point, names))
        };
        let (session, point, names) = talk.unless_gone(opening).await??;
        let gone = talk.gone();
        let mut sheet = talk.sheet(call, &COLUMNS);
        sheet.put(&cells("", &point)).await?;
        for name in names {
            let mut gone = gone.clone();
            let points = tokio::select! {
                points = points(&session, &name) => points,
                _ = gone.wait_for(|gone| *gone) => return Err(Halt::Gone),
            };
            for point in points {
                sheet.put(&cells(&name, &point)).await?;
            }
        }
        sheet.end(&[])
    }
}

async fn splunkd(session: &Session) -> Point {
    let asked = async {
        let info = session.splunkd.server_info().await?;
        anyhow::Ok((info, session.splunkd.current_context().await?))
    };
    match asked.await {
        Ok((info, context)) => examination::splunkd(&info, &context),
        Err(error) => Point::failed("splunkd", format!("{error:#}")),
    }
}

async fn points(session: &Session, name: &str) -> Vec<Point> {
    match account::account(&session.splunkd, &session.settings, name).await {
        Ok(account) => examination::defender(&account).await,
        Err(error) => vec![Point::failed("account", format!("{error:#}"))],
    }
}

fn cells(account: &str, point: &Point) -> Vec<Values> {
    let one = |text: &str| vec![text.to_owned()];
    vec![
        one(account),
        one(&point.point),
        one(point.verdict.as_str()),
        point.permission.iter().cloned().collect(),
        one(&point.said),
        point.remedy.iter().cloned().collect(),
    ]
}
