//! The app's REST endpoint as another process of this app finds it, before it
//! gives it anything to do: one question that begins nothing.

use crate::splunk::splunkd::own_endpoint::Ping;
use crate::splunk::splunkd::{Splunkd, SplunkdError};
use std::time::Duration;

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A process whose executable was replaced ends after its answer, and the next
/// request has another: so often a version that is not ours is asked again.
const TRIES: usize = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// How the endpoint was found.
#[derive(Debug)]
pub enum Found {
    /// It is ours; from where it runs, if not from a copy: an upgrade cannot
    /// overwrite it meanwhile.
    Served { in_place: Option<String> },
    /// Nobody serves it.
    NotServed,
    /// It does not work; why, and what to do.
    Broken(String),
    /// splunkd is not ready to say, or there is too much to do.
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
