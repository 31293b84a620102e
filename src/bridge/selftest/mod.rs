//! Tests what this app relies on and only the splunkd at hand can show. Each contract is
//! a row: what was found, what was expected. Reads only, except that it sends one canary
//! event and ends the endpoint's process once.
//!
//! The report is made for others to read: accounts and inputs are numbered, servers are
//! this one or another, and nothing looks at the value of a secret.

mod canary;
mod row;
#[cfg(test)]
mod tests;

pub use row::{Outcome, Row};

use super::account;
use crate::NAME;
use crate::bridge::account::{ACCOUNTS, SecretSeen, Settings};
use crate::bridge::own_endpoint::VERSION;
use crate::splunk::search_command::Invocation;
use crate::splunk::sourcetype;
use crate::splunk::splunkd::{Rows, Search, Splunkd, SplunkdError};
use futures::future::{BoxFuture, FutureExt as _, join_all};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// How long a probe may take, and how long one that searches or ends processes.
const BRIEF: Duration = Duration::from_secs(8);
const LONG: Duration = Duration::from_secs(20);
/// By then splunkd has started another process of the endpoint.
const RESTART: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(200);
/// Most accounts, or inputs, in the report.
const MOST: usize = 32;
/// Bytes of one answer of splunkd.
pub const LARGEST: usize = 4 << 20;

const ACTIONS: [&str; 2] = [
    "defender_bridge_update_alert",
    "defender_bridge_update_incident",
];
const FEEDS: [&str; 3] = [
    sourcetype::ALERT,
    sourcetype::INCIDENT,
    sourcetype::ENDPOINT_ALERT,
];
/// The conf as packaged, to compare with what splunkd makes of it.
const PROPS: &str = include_str!("../../../default/props.conf");
const LOOK_AT_LOG: &str = "splunkd.log of this time says why; the report is of use with this line";

type Found = Result<Vec<Row>, SplunkdError>;

/// One self-test on behalf of an administrator.
pub struct SelfTest<'s> {
    pub splunkd: &'s Splunkd,
    pub settings: Result<Settings, String>,
    pub user: &'s str,
}

impl SelfTest<'_> {
    /// Every row, in the order of the contracts; the probes run side by side.
    pub async fn rows(&self, call: &Invocation) -> Vec<Row> {
        let probes: Vec<BoxFuture<'_, Vec<Row>>> = vec![
            bounded(&ENDPOINT, LONG, self.endpoint()).boxed(),
            bounded(&ACTION, BRIEF, self.actions()).boxed(),
            bounded(&SCHEME, BRIEF, self.scheme()).boxed(),
            bounded(&SERVER, BRIEF, self.server()).boxed(),
            bounded(&CLUSTER, BRIEF, self.cluster()).boxed(),
            bounded(&SECRETS, BRIEF, self.secrets()).boxed(),
            bounded(&FORMS, BRIEF, self.forms()).boxed(),
            bounded(&canary::CONTRACTS, canary::WITHIN, canary::rows(self)).boxed(),
            bounded(&TIMES, LONG, self.times()).boxed(),
            bounded(&PRECEDENCE, BRIEF, self.precedence()).boxed(),
            bounded(&HEALTH, LONG, self.health()).boxed(),
        ];
        let mut rows: Vec<Row> = join_all(probes).await.into_iter().flatten().collect();
        rows.push(getinfo(call));
        rows.push(
            Row::new("page script", Outcome::Unknown)
                .found("a search command does not see the page")
                .expected("script or dashboard.js")
                .what_to_do("Copy report on the page Configuration adds it"),
        );
        rows
    }

    async fn search(&self, what: &str, text: &str, earliest: &str) -> Result<Rows, SplunkdError> {
        let search = Search {
            what,
            user: self.user,
            text,
            earliest,
            latest: "+15m",
        };
        self.splunkd.rows(search, LONG).await
    }

    async fn endpoint(&self) -> Found {
        let [driver, restarted, keys] = ENDPOINT;
        let Some(answer) = described(self.splunkd.endpoint_self().await?) else {
            let gone = "this splunkd serves no such endpoint, or something else answers";
            let remedy =
                "restart Splunk after installing the app, and leave its restmap.conf as it is";
            return Ok([driver, restarted, keys]
                .map(|contract| {
                    Row::new(contract, Outcome::Unexpected)
                        .found(gone)
                        .expected("the app's own process answers")
                        .what_to_do(remedy)
                })
                .into());
        };
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or("none");
        let argv = list(answer.get("argv"));
        let (role, version) = (text("role"), text("version"));
        let began = role == "rest" || argv.iter().any(|word| word == "rest");
        let found = format!(
            "argv {argv:?}, DEFENDER_BRIDGE_ROLE {role}, cwd {}, exe {}, inode {}, version {version}, system_authtoken {}, in place: {}",
            text("cwd"),
            text("exe"),
            number(answer.get("inode")),
            answer.get("system_authtoken") == Some(&Value::Bool(true)),
            text("in_place"),
        );
        let ours = version == VERSION && answer.get("system_authtoken") == Some(&Value::Bool(true));
        let mut rows = vec![
            Row::judged(driver, began && ours)
                .found(found)
                .expected(format!("role or an argument is rest, version {VERSION}, system_authtoken true"))
                .what_to_do("restart Splunk: it runs another version, or its restmap.conf is not this app's"),
        ];
        rows.push(self.restarted(restarted, number(answer.get("pid"))).await);
        let Some(secrets) = answer.get("secrets").and_then(Value::as_array) else {
            rows.push(
                Row::new(keys, Outcome::Unknown)
                    .found("the endpoint does not say")
                    .expected("each can be read")
                    .what_to_do(LOOK_AT_LOG),
            );
            return Ok(rows);
        };
        let seen: Vec<&str> = secrets
            .iter()
            .take(MOST)
            .map(|secret| {
                let word = secret.get("found").and_then(Value::as_str);
                let known = word.filter(|word| matches!(*word, "yes" | "no" | "masked"));
                known.unwrap_or("not known")
            })
            .collect();
        rows.push(seen_secrets(keys, &seen));
        Ok(rows)
    }

    async fn restarted(&self, contract: &'static str, before: String) -> Row {
        let expected = |row: Row| row.expected("a process with another pid answers within seconds");
        if let Err(error) = self.splunkd.end_endpoint().await {
            return expected(Row::not_reached(contract, &error));
        }
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < RESTART {
            match self.splunkd.endpoint_self().await.map(described) {
                Ok(Some(now)) if number(now.get("pid")) != before => {
                    let found = format!("another pid after {} ms", begun.elapsed().as_millis());
                    return expected(Row::new(contract, Outcome::Ok).found(found));
                }
                Ok(_) => last = None,
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
        expected(match last {
            Some(error) => Row::not_reached(contract, &error),
            None => Row::new(contract, Outcome::Unexpected)
                .found(format!("no other pid within {} s", RESTART.as_secs()))
                .what_to_do(
                    "restart Splunk after an upgrade of this app: its process does not end",
                ),
        })
    }

    async fn actions(&self) -> Found {
        let [contract] = ACTION;
        let mut found = Vec::new();
        let mut well = true;
        for action in ACTIONS {
            let path = ["servicesNS", "-", "-", "admin", "alert_actions", action];
            let seen = self
                .splunkd
                .look("say whose an alert action is", &path)
                .await?;
            let seen = seen.unwrap_or_default();
            well &= !seen.is_empty();
            if seen.is_empty() {
                found.push(format!("{action}: there is none"));
            }
            for one in seen.iter().take(MOST) {
                let text = |key| one.text(key).unwrap_or_default();
                let (command, format) = (text("alert.execute.cmd"), text("payload_format"));
                well &= one.name() == action
                    && one.app() == NAME
                    && command == NAME
                    && format == "json";
                found.push(format!(
                    "{}: app {}, alert.execute.cmd {command}, payload_format {format}",
                    one.name(),
                    one.app()
                ));
            }
        }
        Ok(vec![
            Row::judged(contract, well)
                .found(found.join("; "))
                .expected("app defender_bridge, alert.execute.cmd defender_bridge, payload_format json")
                .what_to_do("another app has an action of this name, or splunkd has not read this app: restart Splunk, then look for the stanza in other apps"),
        ])
    }

    async fn scheme(&self) -> Found {
        let [contract, messages] = SCHEME;
        let path = ["services", "data", "modular-inputs", NAME];
        let seen = self.splunkd.look("list the kinds of inputs", &path).await;
        let expected = "registered, streaming_mode xml";
        let remedy = "restart Splunk; messages in Splunk Web and splunkd.log (ModularInputs) say why it is not introspected";
        let first = match seen {
            Err(error) => Row::not_reached(contract, &error).expected(expected),
            Ok(seen) => {
                let scheme = seen
                    .unwrap_or_default()
                    .into_iter()
                    .find(|one| one.name() == NAME);
                let mode = scheme
                    .as_ref()
                    .map(|one| one.text("streaming_mode").unwrap_or_default());
                let found = match &mode {
                    Some(mode) => format!("registered, streaming_mode {mode}"),
                    None => "not registered".to_owned(),
                };
                Row::judged(contract, mode.as_deref() == Some("xml"))
                    .found(found)
                    .expected(expected)
                    .what_to_do(remedy)
            }
        };
        let expected = "none about defender_bridge";
        let second = match self
            .splunkd
            .look("list its messages", &["services", "messages"])
            .await
        {
            Err(error) => Row::not_reached(messages, &error).expected(expected),
            Ok(seen) => {
                let seen = seen.unwrap_or_default();
                let of_inputs =
                    |text: &str| text.contains("MOD_INPUT") || text.contains("modular input");
                let ours = seen.iter().filter_map(|one| {
                    let text = one.text("message").unwrap_or_default();
                    let ours = text.contains(NAME) && (of_inputs(one.name()) || of_inputs(&text));
                    ours.then_some(text)
                });
                let ours: Vec<String> = ours.take(3).collect();
                Row::judged(messages, ours.is_empty())
                    .found(match ours.is_empty() {
                        true => "none".to_owned(),
                        false => ours.join("; "),
                    })
                    .expected(expected)
                    .what_to_do(remedy)
            }
        };
        Ok(vec![first, second])
    }

    async fn server(&self) -> Found {
        let [way, release] = SERVER;
        let at = self.splunkd.connection();
        let certificate = match (at.scheme.as_str(), at.verified) {
            ("http", _) => "none",
            (_, true) => "verified",
            (_, false) => "taken unverified",
        };
        let port = at.port.map_or("none".to_owned(), |port| port.to_string());
        let first = Row::judged(way, at.place != "another machine")
            .found(format!("{}, {}, port {port}, certificate {certificate}", at.scheme, at.place))
            .expected("https, loopback or this machine")
            .what_to_do("splunkd gave an address of another machine: look at SPLUNK_BINDIP and mgmtHostPort");
        let second = match self.splunkd.server_info().await {
            Err(error) => Row::not_reached(release, &error),
            Ok(info) => {
                let guid: String = info.guid.chars().take(8).collect();
                let fips = match info.fips {
                    Some(true) => "on",
                    Some(false) => "off",
                    None => "not known",
                };
                let known = info.version.starts_with("10.") || info.version.starts_with("9.4");
                Row::judged(release, known)
                    .found(format!(
                        "Splunk {}, GUID {guid}…, FIPS {fips}, roles {}",
                        info.version,
                        info.server_roles.join(", ")
                    ))
                    .expected("Splunk 10 (9.4 starts)")
                    .what_to_do("docs/install.md#releases-of-splunk of the project says which releases this app is made for")
            }
        };
        Ok(vec![first, second.expected("Splunk 10 (9.4 starts)")])
    }

    async fn cluster(&self) -> Found {
        let [contract] = CLUSTER;
        let config = ["services", "shcluster", "config"];
        let member = self
            .splunkd
            .look("say whether it is in a cluster", &config)
            .await?;
        let member = member
            .unwrap_or_default()
            .first()
            .map(|one| one.switch("disabled"));
        let leases = ["services", "configs", "conf-server", "distributed_leases"];
        let leases = self
            .splunkd
            .look("say whether it gives leases", &leases)
            .await?;
        let leases = leases.unwrap_or_default().first().map(|one| {
            let provider = one.text("provider").unwrap_or_default();
            (one.switch("disabled"), provider)
        });
        let cluster = match member {
            Some(Some(true)) | None => "no search head cluster",
            Some(Some(false)) => "a search head cluster",
            Some(None) => "not known whether a search head cluster",
        };
        let leased = match &leases {
            Some((Some(false), provider)) => format!("leases by {provider}"),
            Some((Some(true), _)) => "no leases".to_owned(),
            Some((None, _)) | None => "leases not known".to_owned(),
        };
        let both = member == Some(Some(false)) || matches!(&leases, Some((Some(false), _)));
        let outcome = match both {
            true => Outcome::Unknown,
            false => Outcome::Ok,
        };
        Ok(vec![
            Row::new(contract, outcome)
                .found(format!("{cluster}, {leased}"))
                .expected("known: a cluster or leases move inputs between members")
                .what_to_do(
                    "inputs here need checkpoint = kvstore, or belong on a heavy forwarder",
                ),
        ])
    }

    async fn secrets(&self) -> Found {
        let [contract] = SECRETS;
        let mut seen = Vec::new();
        let accounts = match self.splunkd.conf_stanzas(ACCOUNTS).await {
            // The error's text names the account, so it is not shown.
            Err(SplunkdError::NoOneValue { .. }) => {
                return Ok(vec![
                    Row::new(contract, Outcome::Unexpected)
                        .found("an account has a list where one value belongs")
                        .expected("each can be read")
                        .what_to_do("defendercheck names the account"),
                ]);
            }
            accounts => accounts?,
        };
        for (name, stanza) in accounts.into_iter().take(MOST) {
            let auth = stanza.get("auth").map_or("", |auth| auth.trim());
            seen.push(match auth {
                "managed_identity" | "workload_identity" => "needs none",
                _ => match account::secret_seen(self.splunkd, &name).await {
                    Ok(SecretSeen::Yes) => "yes",
                    Ok(SecretSeen::No) => "no",
                    Ok(SecretSeen::Forbidden) => "forbidden",
                    Err(SplunkdError::Masked { .. }) => "masked",
                    Err(SplunkdError::Undecryptable { .. }) => "cannot be decrypted",
                    Err(_) => "not known",
                },
            });
        }
        Ok(vec![seen_secrets(contract, &seen)])
    }

    async fn forms(&self) -> Found {
        let [contract] = FORMS;
        let forms = self.splunkd.forms_of_secrets().await?;
        let count = |form: &str| forms.iter().filter(|one| **one == form).count();
        let all = ["$8$", "$7$", "another form", "not shown"].map(|form| (form, count(form)));
        let counted = all.iter().filter(|(_, count)| *count > 0);
        let found: Vec<String> = counted
            .map(|(form, count)| format!("{form}: {count}"))
            .collect();
        let outcome = match (count("another form"), count("not shown"), forms.is_empty()) {
            (0, 0, false) => Outcome::Ok,
            (0, ..) => Outcome::Unknown,
            _ => Outcome::Unexpected,
        };
        Ok(vec![
            Row::new(contract, outcome)
                .found(match found.is_empty() {
                    true => "none is stored".to_owned(),
                    false => found.join(", "),
                })
                .expected("$8$ or $7$")
                .what_to_do("store the secrets again on the page Configuration"),
        ])
    }

    async fn times(&self) -> Found {
        let mut rows = Vec::new();
        for (contract, feed) in TIMES.into_iter().zip(FEEDS) {
            let text = format!(
                "search `defender_bridge_index` sourcetype=\"{feed}\" source=\"defender_bridge:*\" | head 100 \
                 | eval updated=coalesce(spath(_raw, \"lastUpdateDateTime\"), spath(_raw, \"lastUpdateTime\"), spath(_raw, \"lastUpdatedTime\")) \
                 | rex field=updated \"^(?<second>[^.Z]+)([.](?<fraction>[0-9]+))?\" \
                 | eval off=abs(_time - strptime(second.\"+0000\", \"%Y-%m-%dT%H:%M:%S%z\") - tonumber(\"0.\".coalesce(fraction, \"0\"))) \
                 | stats count AS events count(off) AS compared max(off) AS off"
            );
            let expected = "_time is the last update, less than 0.002 s off";
            let row = match self
                .search("compare the times of events", &text, "-7d")
                .await
            {
                Err(error) => Row::not_reached(contract, &error),
                Ok(found) => {
                    let number = |key: &str| figure(&found, key);
                    match (number("events"), number("compared"), number("off")) {
                        (None | Some(0.0), ..) => Row::new(contract, Outcome::Unknown)
                            .found("no events of the last 7 days")
                            .what_to_do(
                                "run the self-test again once the input has read something",
                            ),
                        (Some(events), compared, Some(off)) => {
                            let well = off < 0.002 && compared == Some(events);
                            Row::judged(contract, well)
                                .found(format!("{events} events, {} compared, at most {off:.6} s off", compared.unwrap_or_default()))
                                .what_to_do("another app's props.conf may set the time of this sourcetype on the way in")
                        }
                        _ => Row::new(contract, Outcome::Unknown)
                            .found("no event shows its last update")
                            .what_to_do(LOOK_AT_LOG),
                    }
                }
            };
            rows.push(row.expected(expected));
        }
        Ok(rows)
    }

    async fn precedence(&self) -> Found {
        let mut rows = Vec::new();
        for (contract, feed) in PRECEDENCE.into_iter().zip(FEEDS) {
            // As every other app sees the conf: another app's stanza would count there too.
            let path = [
                "servicesNS",
                "nobody",
                "search",
                "configs",
                "conf-props",
                feed,
            ];
            let expected = "EVAL-dest and EVAL-src as this app ships them";
            let row = match self
                .splunkd
                .look("say what it makes of props.conf", &path)
                .await
            {
                Err(error) => Row::not_reached(contract, &error),
                Ok(seen) => {
                    let seen = seen.unwrap_or_default();
                    let stanza = seen.iter().find(|one| one.name() == feed);
                    let judged = ["EVAL-dest", "EVAL-src"].map(|key| {
                        let theirs = stanza.and_then(|one| one.text(key));
                        (key, theirs.as_deref().map(str::trim) == shipped(feed, key))
                    });
                    let words = judged.map(|(key, ours)| match ours {
                        true => format!("{key} ours"),
                        false => format!("{key} another's or changed"),
                    });
                    let app = stanza.map_or("not known", |one| one.app());
                    Row::judged(contract, judged.iter().all(|(_, ours)| *ours))
                        .found(format!("{}; app {app}", words.join(", ")))
                        .what_to_do("another app calculates these fields: docs/migrate.md#fields-that-differ of the project says what each means")
                }
            };
            rows.push(row.expected(expected));
        }
        Ok(rows)
    }

    async fn health(&self) -> Found {
        let [contract] = HEALTH;
        let own = self.splunkd.server_info().await?.server_name;
        let text = format!(
            "search `defender_bridge_index` sourcetype=\"{}\" | stats dc(server) AS servers latest(server) AS server latest(outcome) AS outcome BY stanza | head {MOST}",
            sourcetype::HEALTH
        );
        let found = self
            .search("find the runs of inputs", &text, "-24h")
            .await?;
        if found.is_empty() {
            return Ok(vec![
                Row::new(contract, Outcome::Unknown)
                    .found("no run of the last 24 hours was found")
                    .expected("each input runs on one server")
                    .what_to_do("run the self-test again once an input has run"),
            ]);
        }
        let mut well = true;
        let inputs = found.iter().take(MOST).zip(1..).map(|(row, number)| {
            let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
            well &= text("servers") == "1";
            let place = match text("server") == own {
                true => "this one",
                false => "another",
            };
            let ended = match text("outcome") {
                known @ ("ok" | "error" | "stopped") => known,
                _ => "not known",
            };
            let servers: String = text("servers")
                .chars()
                .filter(char::is_ascii_digit)
                .take(4)
                .collect();
            format!("input {number}: servers {servers}, last on {place}, ended {ended}")
        });
        let inputs: Vec<String> = inputs.collect();
        Ok(vec![
            Row::judged(contract, well)
                .found(inputs.join("; "))
                .expected("each input runs on one server")
                .what_to_do("two servers read the same: docs/reading.md#more-than-one-search-head of the project"),
        ])
    }
}

const ENDPOINT: [&str; 3] = [
    "endpoint: native driver",
    "endpoint: starts again",
    "secrets: splunkd's key",
];
const ACTION: [&str; 1] = ["alert actions"];
const SCHEME: [&str; 2] = ["input scheme", "input messages"];
const SERVER: [&str; 2] = ["splunkd: address", "splunkd: release"];
const CLUSTER: [&str; 1] = ["splunkd: cluster"];
const SECRETS: [&str; 1] = ["secrets: this user's key"];
const FORMS: [&str; 1] = ["secrets: form"];
const TIMES: [&str; 3] = [
    "times: alerts",
    "times: incidents",
    "times: endpoint alerts",
];
const PRECEDENCE: [&str; 3] = [
    "props: alerts",
    "props: incidents",
    "props: endpoint alerts",
];
const HEALTH: [&str; 1] = ["inputs: runs"];

/// Runs a probe for so long; its contracts are `not_reached` then.
async fn bounded(
    contracts: &'static [&'static str],
    within: Duration,
    probe: impl Future<Output = Found>,
) -> Vec<Row> {
    let why = match tokio::time::timeout(within, probe).await {
        Ok(Ok(rows)) => return rows,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", within.as_secs()),
    };
    let lost = contracts
        .iter()
        .map(|contract| Row::not_reached(contract, &why));
    lost.collect()
}

fn getinfo(call: &Invocation) -> Row {
    let needed = ["args", "session_key", "sid", "splunkd_uri", "username"];
    let has = |name: &&str| call.searchinfo.iter().any(|known| known == name);
    Row::judged("search commands", needed.iter().all(has))
        .found(format!(
            "chunked 1.0, rows of one chunk {}, preview {}, searchinfo: {}",
            call.max_rows,
            call.preview,
            call.searchinfo.join(" ")
        ))
        .expected(format!("among searchinfo: {}", needed.join(" ")))
        .what_to_do("this release of Splunk speaks to search commands in another way")
}

fn seen_secrets(contract: &'static str, seen: &[&str]) -> Row {
    let words: Vec<String> = seen
        .iter()
        .zip(1..)
        .map(|(word, number)| format!("account {number}: {word}"))
        .collect();
    let row = match seen.is_empty() {
        true => Row::new(contract, Outcome::Unknown).found("there is no account"),
        false => {
            let well = seen
                .iter()
                .all(|word| matches!(*word, "yes" | "needs none"));
            Row::judged(contract, well).found(words.join(", "))
        }
    };
    row.expected("each can be read")
        .what_to_do("store the secret on the page Configuration; defendercheck names the account")
}

/// The endpoint's description of itself.
fn described(answer: Option<bytes::Bytes>) -> Option<Value> {
    let answer: Value = serde_json::from_slice(&answer?).ok()?;
    answer.get("pid").is_some().then_some(answer)
}

fn number(value: Option<&Value>) -> String {
    let number = value.and_then(Value::as_u64);
    number.map_or_else(|| "none".to_owned(), |number| number.to_string())
}

fn list(value: Option<&Value>) -> Vec<String> {
    let words = value.and_then(Value::as_array).into_iter().flatten();
    let words = words.filter_map(Value::as_str).take(8);
    words.map(|word| word.chars().take(120).collect()).collect()
}

/// A number in the first row.
fn figure(rows: &Rows, key: &str) -> Option<f64> {
    let value = rows.first()?.get(key)?.as_str()?.trim();
    value.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The value of a key in the props.conf that this app ships.
fn shipped(stanza: &str, key: &str) -> Option<&'static str> {
    let head = format!("[{stanza}]");
    let mut lines = PROPS.lines().skip_while(|line| *line != head).skip(1);
    let own = lines.by_ref().take_while(|line| !line.starts_with('['));
    own.filter_map(|line| line.split_once('='))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim())
}
