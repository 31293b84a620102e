//! Checks the release of Splunk that answers, and its FIPS mode.

use super::{CheckResult, CheckState};
use crate::splunk::splunkd::{ServerInfo, Splunkd};

/// The releases this app is made for, and what they are called.
const OLDEST: [u64; 2] = [10, 0];
const NEWEST: [u64; 2] = [10, 6];

/// `splunk-launch.conf` sets it, and processes that splunkd starts inherit it.
const FIPS: &str = "SPLUNK_FIPS";

/// The checks of this splunkd; another check reports one that does not answer.
pub async fn checks(splunkd: &Splunkd) -> Vec<CheckResult> {
    match splunkd.server_info().await {
        Ok(info) => known(&info, fips_of_environment()),
        Err(_) => Vec::new(),
    }
}

fn known(info: &ServerInfo, environment: bool) -> Vec<CheckResult> {
    let on = match (info.fips, environment) {
        (_, true) => Some(true),
        (reported, false) => reported,
    };
    release(&info.version)
        .into_iter()
        .chain(on.map(fips))
        .collect()
}

/// Whether a splunkd in FIPS mode started this process.
fn fips_of_environment() -> bool {
    std::env::var(FIPS).is_ok_and(|value| matches!(value.trim(), "1" | "true"))
}

fn fips(on: bool) -> CheckResult {
    const CHECK: &str = "FIPS mode";
    if !on {
        return CheckResult::new(CHECK, CheckState::Ok, "off");
    }
    warning(
        CHECK,
        "on; the TLS library of this app is built without its validated FIPS module",
    )
    .remedy("where a validated module is a rule, run this app elsewhere")
}

fn release(version: &str) -> Option<CheckResult> {
    const CHECK: &str = "release of Splunk";
    let parts = numbers(version);
    let Some(train) = parts.first_chunk::<2>() else {
        return Some(warning(CHECK, format!("{version:?} is no version")));
    };
    if parts.starts_with(&[10, 4, 2]) {
        return Some(
            warning(
                CHECK,
                format!(
                    "{version} can stop sending to indexers where outputs.conf has useACK = true"
                ),
            )
            .remedy("update Splunk to 10.4.3 or later"),
        );
    }
    if *train == [9, 4] {
        return Some(
            warning(
                CHECK,
                format!("Splunk ends support of {version} on 2026-12-16"),
            )
            .remedy("update Splunk to 10.0 or later"),
        );
    }
    if *train < OLDEST {
        return Some(
            warning(
                CHECK,
                format!("{version} is older than this app is made for"),
            )
            .remedy("update Splunk to 10.0 or later"),
        );
    }
    (*train > NEWEST).then(|| {
        warning(
            CHECK,
            format!("{version} is newer than this app was tried with"),
        )
        .remedy("look for a newer version of this app")
    })
}

/// `10.6.0.5`, `9.4.3`, `10.5.2605 (build x)`: as many numbers as there are.
fn numbers(version: &str) -> Vec<u64> {
    version
        .trim()
        .split('.')
        .map_while(|part| {
            let digits = part.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        })
        .collect()
}

fn warning(check: &str, finding: impl Into<String>) -> CheckResult {
    CheckResult::new(check, CheckState::Warning, finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn info(version: &str, fips: Option<bool>) -> ServerInfo {
        ServerInfo {
            version: version.to_owned(),
            server_name: String::new(),
            guid: String::new(),
            server_roles: Vec::new(),
            is_free: false,
            fips,
        }
    }

    #[test]
    fn a_release_is_told_only_where_there_is_something_to_know() {
        for (version, finding) in [
            ("10.0.0", None),
            ("10.2.3", None),
            ("10.4.3", None),
            ("10.4.20", None),
            ("10.5.2605.3", None),
            ("10.6.0.5", None),
            ("10.4.2", Some("can stop sending to indexers")),
            ("10.4.2.1", Some("can stop sending to indexers")),
            ("9.4.3", Some("ends support of 9.4.3")),
            ("9.3.2411.100", Some("older than this app")),
            ("8.2.12", Some("older than this app")),
            ("10.8.0.1", Some("newer than this app")),
            ("11.0.0", Some("newer than this app")),
            ("", Some("is no version")),
            ("ten", Some("is no version")),
        ] {
            let results = known(&info(version, None), false);
            let messages: Vec<_> = results.iter().map(CheckResult::message).collect();
            match finding {
                None => assert_eq!(messages, Vec::<String>::new(), "{version}"),
                Some(finding) => assert!(
                    messages.len() == 1 && messages[0].contains(finding),
                    "{messages:?}"
                ),
            }
        }
    }

    #[test]
    fn splunkd_or_the_environment_says_that_fips_mode_is_on() {
        for (reported, environment, state) in [
            (Some(true), false, Some(CheckState::Warning)),
            (Some(false), true, Some(CheckState::Warning)),
            (None, true, Some(CheckState::Warning)),
            (Some(false), false, Some(CheckState::Ok)),
            (None, false, None),
        ] {
            let results = known(&info("10.6.0.5", reported), environment);
            let found: Vec<_> = results.iter().map(|result| result.state).collect();
            assert_eq!(found, Vec::from_iter(state), "{reported:?} {environment}");
        }
    }

    proptest! {
        #[test]
        fn whatever_splunkd_calls_its_version_is_read_or_reported(version in ".*", parts in proptest::collection::vec(any::<u32>(), 2..6)) {
            release(&version);
            let text = parts.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
            prop_assert_eq!(numbers(&text), parts.iter().copied().map(u64::from).collect::<Vec<_>>());
        }
    }
}
