//! `| defenderselftest`: one row for each contract that only this splunkd can tell.

use crate::bridge::account;
use crate::bridge::permission::{Caller, Right};
use crate::bridge::selftest::{LARGEST, SelfTest};
use crate::run::search_command::arguments::Arguments;
use crate::run::search_command::session::{Ended, Session};
use crate::splunk::search_command::{Invocation, Values};
use anyhow::anyhow;
use secrecy::ExposeSecret;
use std::io::Write;
use std::time::Duration;

const COLUMNS: [&str; 5] = ["contract", "result", "found", "expected", "what_to_do"];

/// A probe tells what it found; it does not wait for better.
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub struct Args;

impl Args {
    pub fn read(words: &[String]) -> anyhow::Result<Self> {
        Arguments::read(words, &[])?;
        Ok(Self)
    }

    pub async fn carry_out<W: Write>(
        &self,
        call: &Invocation,
        session: &mut Session<W>,
    ) -> Result<(), Ended> {
        session.next().await?;
        let (Some(uri), Some(key)) = (call.splunkd_uri.as_deref(), call.session_key.clone()) else {
            return Err(anyhow!("splunkd passed no address and session key of its own").into());
        };
        let splunkd = account::splunkd(uri, key.clone(), TIMEOUT)?.at_most(LARGEST);
        let opening = async {
            let caller = Caller::who_may(Right::SelfTest, &splunkd).await?;
            let settings = account::settings(&splunkd).await;
            let server = splunkd.server_info().await.map(|info| info.server_name);
            let settings = settings.map_err(|error| error.to_string());
            anyhow::Ok((caller, settings, server.unwrap_or_default()))
        };
        let (caller, settings, server) = session.unless_cancelled(opening).await??;
        let test = SelfTest {
            splunkd: &splunkd,
            settings,
            user: &caller.user,
        };
        let rows = session.unless_cancelled(test.rows(call)).await?;
        let struck = [
            (key.expose_secret(), "***"),
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
