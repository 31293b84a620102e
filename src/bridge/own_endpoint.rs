//! How another process of this app finds the app's REST endpoint: one request that
//! begins nothing, before any that does.

use crate::splunk::splunkd::own_endpoint::Ping;
use crate::splunk::splunkd::{Splunkd, SplunkdError};
use std::time::Duration;

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How often to ask while another version answers: a process whose executable was
/// replaced ends after its answer, and a new one answers the next request.
const TRIES: usize = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// How the endpoint was found.
#[derive(Debug)]
pub enum Found {
    /// splunkd serves ours; `in_place` says why it does not run from a copy, so that no
    /// upgrade can overwrite it.
    Served { in_place: Option<String> },
    /// splunkd does not serve it.
    NotServed,
    /// It does not work: why, and what to do.
    Broken(String),
    /// splunkd is not ready to say, or too busy.
    Busy(SplunkdError),
}

/// # Errors
/// If splunkd does not take this session key.
pub async fn look(splunkd: &Splunkd) -> Result<Found, SplunkdError> {
    let mut tries = TRIES;
    loop {
        let asked = splunkd.ping_endpoint().await;
        return Ok(match asked {
            Ok(Ping::Served { version, in_place }) if version == VERSION => {
                Found::Served { in_place }
            }
            Ok(Ping::Served { version, .. }) => {
                tries = tries.saturating_sub(1);
                if tries > 0 {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Found::Broken(other_version(&version))
            }
            Ok(Ping::NotServed) => Found::NotServed,
            Ok(Ping::Broken(error)) => Found::Broken(broken(&error)),
            Err(error @ SplunkdError::SessionEnded { .. }) => return Err(error),
            Err(error) if error.busy() || error.passing() => Found::Busy(error),
            Err(error) => Found::Broken(broken(&error)),
        });
    }
}

/// Why a request of another version is refused, and what to do.
pub fn other_version(other: &str) -> String {
    let other: String = other.chars().filter(|c| !c.is_control()).take(64).collect();
    format!(
        "the app's REST endpoint and who asks it are of different versions ({VERSION} and {other}): nothing was begun; try again in a minute, and if it stays so restart Splunk, which still runs the old one"
    )
}

/// What to do about an endpoint that does not answer as it should.
pub const REMEDY: &str = "restart Splunk; if it stays so, splunkd.log says why under component=PersistentScript, and | defendercheck which ways are open";

fn broken(error: &SplunkdError) -> String {
    format!(
        "the app's REST endpoint does not work ({error}), so nothing was begun through it: {REMEDY}"
    )
}
