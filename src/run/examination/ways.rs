//! What a user of Splunk may do with this app, and which ways are open: directly
//! or through the app's REST endpoint.

use super::{Point, Verdict};
use crate::run::permission::{Caller, EVENTS, Right, SECRETS, TRIAGE};
use crate::splunk::splunkd::{Splunkd, SplunkdError};

/// What to grant for outcomes to be indexed.
const EVENT: &str = EVENTS[0];

/// What the owner of the session key may do.
pub async fn splunkd(splunkd: &Splunkd) -> Vec<Point> {
    let asked = async {
        let info = splunkd.server_info().await?;
        Ok::<_, SplunkdError>((info.version, Caller::of(splunkd).await?))
    };
    match asked.await {
        Err(error) => vec![Point::failed("splunkd", error.to_string())],
        Ok((version, caller)) => {
            let endpoint = splunkd.serves_endpoint().await;
            let ways = Ways::of(&caller, endpoint.map_err(|error| error.to_string()));
            ways.points(&version)
        }
    }
}

struct Ways<'c> {
    user: &'c str,
    writes: bool,
    secrets: bool,
    events: bool,
    /// Whether the endpoint is served, or why nobody knows.
    endpoint: Result<bool, String>,
}

impl<'c> Ways<'c> {
    fn of(caller: &'c Caller, endpoint: Result<bool, String>) -> Self {
        Self {
            user: &caller.user,
            writes: caller.may(Right::Write),
            secrets: caller.reads_secrets(),
            events: caller.sends_events(),
            endpoint,
        }
    }

    fn points(&self, version: &str) -> Vec<Point> {
        let who = format!("Splunk {version} as {}", self.user);
        vec![
            ok("splunkd", who),
            self.reading().permission(SECRETS),
            self.writing().permission(TRIAGE),
            self.indexing().permission(EVENT),
            self.endpoint(),
        ]
    }

    fn served(&self) -> bool {
        matches!(self.endpoint, Ok(true))
    }

    /// Whether the endpoint does for the user what the user may not do alone.
    fn stands_in(&self) -> bool {
        self.served() && self.writes
    }

    fn reading(&self) -> Point {
        const POINT: &str = "reading from Defender";
        let user = self.user;
        if self.secrets {
            return ok(POINT, format!("{user} may read secrets: directly"));
        }
        if self.stands_in() {
            let said = format!("{user} may not read secrets: through the app's REST endpoint");
            return ok(POINT, said);
        }
        let (said, enough) = match self.served() {
            true => (
                format!("{user} may neither read secrets nor use the app's REST endpoint"),
                format!("{TRIAGE} or {SECRETS}"),
            ),
            false => (
                format!("{user} may not read secrets, and no REST endpoint stands in"),
                SECRETS.to_owned(),
            ),
        };
        Point::failed(POINT, said).remedy(grant(&enough))
    }

    fn writing(&self) -> Point {
        const POINT: &str = "writing to Defender";
        let user = self.user;
        if !self.writes {
            let said = format!("{user} may not send verdicts back");
            return Point::new(POINT, Verdict::Warning, said).remedy(grant(TRIAGE));
        }
        if self.secrets && (self.events || !self.served()) {
            return ok(POINT, format!("{user} may: directly"));
        }
        if self.served() {
            return ok(
                POINT,
                format!("{user} may: through the app's REST endpoint"),
            );
        }
        let said = format!("{user} may, but reads no secret, and no REST endpoint stands in");
        Point::failed(POINT, said).remedy(grant(SECRETS))
    }

    fn indexing(&self) -> Point {
        const POINT: &str = "indexing outcomes";
        let user = self.user;
        if self.events {
            return ok(POINT, format!("splunkd takes them from {user}: directly"));
        }
        if self.stands_in() {
            let said = format!("splunkd takes none from {user}: through the app's REST endpoint");
            return ok(POINT, said);
        }
        let said = format!(
            "splunkd takes none from {user}, so they wait on this machine for the next run of an input"
        );
        Point::new(POINT, Verdict::Warning, said).remedy(grant(EVENT))
    }

    fn endpoint(&self) -> Point {
        const POINT: &str = "REST endpoint";
        match &self.endpoint {
            Ok(true) => ok(POINT, "served"),
            Ok(false) => {
                let said = format!("not served, so every role needs {SECRETS} of its own");
                Point::new(POINT, Verdict::Warning, said).remedy(
                    "restart Splunk after installing the app, and leave its restmap.conf as it is",
                )
            }
            Err(error) => Point::new(POINT, Verdict::Warning, error.as_str()),
        }
    }
}

fn ok(point: &str, said: impl Into<String>) -> Point {
    Point::new(point, Verdict::Ok, said)
}

fn grant(capability: &str) -> String {
    format!(
        "a role of this user needs the capability {capability}; an administrator grants it in Settings > Roles"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_open_to_a_user_are_told_in_plain_words() {
        let mut told = String::new();
        for (user, [writes, secrets, events], endpoint) in [
            ("admin", [true; 3], Ok(true)),
            ("admin", [true; 3], Ok(false)),
            ("ann", [true, false, false], Ok(true)),
            ("ann", [true, false, false], Ok(false)),
            ("pat", [true, true, false], Ok(true)),
            ("rita", [false; 3], Ok(true)),
            ("rita", [false; 3], Err("splunkd did not say".to_owned())),
        ] {
            let ways = Ways {
                user,
                writes,
                secrets,
                events,
                endpoint,
            };
            told += "\n";
            for point in ways.points("10.4.2") {
                let verdict = point.verdict.as_str();
                told += &format!("{verdict} | {} | {}\n", point.point, point.told());
            }
        }
        insta::assert_snapshot!(told);
    }
}
