//! `| defenderselftest`: one row for each contract that only this splunkd can show.

use crate::bridge::account;
use crate::bridge::permission::{Caller, Right};
use crate::bridge::selftest::{LARGEST, SelfTest};
use crate::run::search_command::arguments::Arguments;
use crate::run::search_command::session::{Ended, Session};
use crate::run::search_command::{Command, open_within};
use crate::splunk::search_command::{Invocation, Kind, Values};
use crate::splunk::splunkd::Splunkd;
use secrecy::{ExposeSecret, SecretString};
use std::io::Write;
use std::time::Duration;

const COLUMNS: [&str; 5] = ["contract", "result", "found", "expected", "what_to_do"];

/// A probe reports what it finds; it does not wait until splunkd is ready.
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub struct Args;

impl Command for Args {
    const KIND: Kind = Kind::GENERATING;

    fn read(words: &[String]) -> anyhow::Result<Self> {
        Arguments::read(words, &[])?;
        Ok(Self)
    }

    async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended> {
        session.next().await?;
        let opening = async |splunkd: Splunkd| {
            let splunkd = splunkd.at_most(LARGEST);
            let caller = Caller::who_may(Right::SelfTest, &splunkd).await?;
            let settings = account::settings(&splunkd).await;
            let server = splunkd.server_info().await.map(|info| info.server_name);
            let settings = settings.map_err(|error| error.to_string());
            Ok((splunkd, caller, settings, server.unwrap_or_default()))
        };
        let (splunkd, caller, settings, server) =
            open_within(TIMEOUT, call, session, opening).await?;
        let test = SelfTest {
            splunkd: &splunkd,
            settings,
            user: &caller.user,
        };
        let rows = session.unless_cancelled(test.rows(call)).await?;
        let key = call.session_key.as_ref();
        let struck = [
            (key.map_or("", SecretString::expose_secret), "***"),
            (splunkd.connection().host.as_str(), "<splunkd>"),
            (server.as_str(), "<server>"),
            (caller.user.as_str(), "<user>"),
        ];
        let mut row_writer = session.row_writer(call, &COLUMNS);
        for row in rows {
            let cells: Vec<Values> = row.cells(&struck).map(|cell| vec![cell]).into();
            row_writer.put(&cells).await?;
        }
        row_writer.end(&[])
    }
}
