use super::*;
use crate::splunk::tests::counterpart::{Answer, Counterpart, entry, refusal};
use serde_json::Value;

const ANALYST: &str = "key-of-an-analyst";
const READER: &str = "key-of-a-reader";
const HUNTER: &str = "key-of-a-hunter";
const ADMINISTRATOR: &str = "key-of-an-administrator";
const SYSTEM: &str = "key-of-splunkd-itself";
const SECRET: &str = "client-secret-value";

/// Of users splunkd has no time for.
const BUSY: &str = "key-nobody-has-time-for";
const CROWDED: &str = "key-of-too-many";

/// A splunkd of some users.
struct Splunkd(Counterpart);

impl Splunkd {
    async fn start() -> Self {
        Self(Counterpart::start(|asked| answer_of_splunkd(asked.key(), asked.path())).await)
    }

    /// Who asked, and for what.
    fn asked(&self) -> Vec<(String, String)> {
        let asked = self.0.asked().into_iter();
        asked
            .map(|asked| (asked.key().to_owned(), asked.path().to_owned()))
            .collect()
    }

    fn events(&self) -> Vec<String> {
        let asked = self.0.asked().into_iter();
        asked
            .filter(|asked| asked.path() == "/services/receivers/simple")
            .map(|asked| asked.body)
            .collect()
    }

    fn request(&self, key: &str, route: &str, body: &str) -> Result<Request, RequestError> {
        let json = json!({
            "method": "POST",
            "rest_path": format!("/defender_bridge/{route}"),
            "payload": body,
            "session": {"user": "who the request says", "authtoken": key},
            "system_authtoken": SYSTEM,
            "server": {"rest_uri": self.0.uri},
        });
        Request::read(json.to_string().as_bytes())
    }

    async fn triage(&self, key: &str, body: &str) -> Reply {
        self.ask(key, "triage", body).await
    }

    async fn ask(&self, key: &str, route: &str, body: &str) -> Reply {
        let request = self.request(key, route, body);
        Endpoint::default().answer(request).await
    }
}

fn answer_of_splunkd(key: &str, path: &str) -> Answer {
    let conf = "/servicesNS/nobody/defender_bridge/configs/conf-defender_bridge_";
    match (path, key) {
        ("/services/authentication/current-context", ANALYST) => entry(
            "context",
            json!({"username": "ann", "roles": ["soc"], "capabilities": ["search", "defender_triage"]}),
        ),
        ("/services/authentication/current-context", READER) => entry(
            "context",
            json!({"username": "rita", "roles": ["user", "guest"], "capabilities": ["search"]}),
        ),
        ("/services/authentication/current-context", HUNTER) => entry(
            "context",
            json!({"username": "hal", "roles": ["hunters"], "capabilities": ["search", "defender_hunt"]}),
        ),
        // Its name alone gives a role no right.
        ("/services/authentication/current-context", ADMINISTRATOR) => entry(
            "context",
            json!({"username": "boss", "roles": ["it"], "capabilities": ["admin_all_objects"]}),
        ),
        (_, BUSY) => refusal(503, "no"),
        (_, CROWDED) => refusal(429, "no"),
        ("/services/receivers/simple", SYSTEM) => (200, json!({"index": "default", "bytes": "7"})),
        (path, _) if path.strip_prefix(conf) == Some("settings") => (404, json!({})),
        // Without a tenant id it cannot be used, so that nothing leaves this machine.
        (path, _) if path.starts_with(conf) => entry("contoso", json!({"auth": "secret"})),
        (path, SYSTEM) if path.contains("storage/passwords") => entry(
            "defender_bridge:contoso:",
            json!({"realm": "defender_bridge", "username": "contoso", "clear_password": SECRET}),
        ),
        _ => refusal(403, "no"),
    }
}

const JOB: &str = r#"{"action":"queue","subject":"alert","form":{"account":"contoso","status":"resolved"},
    "rows":[{"id":"da1"},{"id":"../x"}]}"#;

#[tokio::test]
async fn a_role_without_the_secret_gets_an_outcome_for_every_row() {
    let splunkd = Splunkd::start().await;
    let reply = splunkd.triage(ANALYST, JOB).await;
    assert_eq!(reply.status(), 200, "{reply:?}");
    let said = said(&reply);
    assert_eq!(said["rows"], json!(["failed", "invalid"]));
    assert_eq!(said["summary"], "2 rows: 1 invalid, 1 failed");
    let outcomes = said["outcomes"].as_array().unwrap();
    assert_eq!(outcomes.len(), 2);
    // Who asked is what splunkd says of the key, not what the request says.
    assert!(outcomes.iter().all(|outcome| outcome["actor"] == "ann"));
    let events = splunkd.events();
    let sent: Vec<Value> = events
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    assert_eq!(&sent, outcomes);
    let text = format!("{reply:?} {events:?}");
    assert!(
        ![SECRET, SYSTEM, ANALYST]
            .iter()
            .any(|secret| text.contains(secret)),
        "{text}"
    );
}

#[tokio::test]
async fn the_secret_is_read_for_the_caller_and_the_accounts_by_the_caller() {
    let splunkd = Splunkd::start().await;
    splunkd.triage(ANALYST, JOB).await;
    let asked = splunkd.asked();
    let keys = |part: &str| -> Vec<String> {
        let found = asked.iter().filter(|(_, path)| path.ends_with(part));
        found.map(|(key, _)| key.clone()).collect()
    };
    assert_eq!(keys("current-context"), [ANALYST]);
    assert_eq!(keys("conf-defender_bridge_account"), [ANALYST]);
    assert_eq!(keys("receivers/simple"), [SYSTEM, SYSTEM]);
    assert!(
        asked
            .iter()
            .all(|(key, path)| !path.contains("passwords") || key == SYSTEM)
    );
}

#[tokio::test]
async fn a_role_without_the_capability_is_refused_whatever_splunkd_let_through() {
    let splunkd = Splunkd::start().await;
    let reply = splunkd.triage(READER, JOB).await;
    assert_eq!(reply.status(), 403);
    insta::assert_snapshot!(
        said(&reply)["messages"][0]["text"].as_str().unwrap(),
        @r#"user "rita" (roles user, guest) may not write to Microsoft Defender: a role of this user needs the capability defender_triage; an administrator grants it in Settings > Roles (right after the app was installed Splunk must be restarted before it knows the app's own)"#,
    );
    let asked = splunkd.asked();
    assert_eq!(asked.len(), 1, "nothing but who it is: {asked:?}");
}

#[tokio::test]
async fn reading_takes_its_own_capability_and_an_account_open_to_the_caller() {
    let splunkd = Splunkd::start().await;
    for (key, capability, route, body, wrong) in [
        (
            ANALYST,
            "defender_triage",
            "live",
            r#"{"account":"contoso","subject":"alert","ids":["da1"]}"#,
            r#"{"account":"contoso","subject":"alert","api":"xdr","ids":["da1"]}"#,
        ),
        (
            HUNTER,
            "defender_hunt",
            "hunt",
            r#"{"account":"contoso","query":"T"}"#,
            r#"{"account":"contoso","query":" "}"#,
        ),
        (
            HUNTER,
            "defender_triage or defender_hunt",
            "check",
            r#"{"account":"contoso"}"#,
            r#"{"account":1}"#,
        ),
    ] {
        let refused = splunkd.ask(READER, route, body).await;
        assert_eq!(refused.status(), 403, "{route}");
        assert!(refused.payload().contains(capability), "{route}");
        let refused = splunkd.ask(key, route, wrong).await;
        assert_eq!(refused.status(), 400, "{route} {}", refused.payload());
        // The account has no tenant, so that nothing leaves this machine.
        let answered = splunkd.ask(key, route, body).await;
        let status = if route == "check" { 200 } else { 502 };
        assert_eq!(answered.status(), status, "{route} {}", answered.payload());
        assert!(answered.payload().contains("tenant_id"), "{route}");
        assert!(!answered.payload().contains(SECRET), "{route}");
        let nowhere = body.replace("contoso", "..");
        let unknown = splunkd.ask(key, route, &nowhere).await;
        assert_eq!(unknown.status(), 400, "{route} {}", unknown.payload());
    }
    let asked = splunkd.asked();
    let accounts = "conf-defender_bridge_account/contoso";
    for key in [ANALYST, HUNTER, SYSTEM] {
        let seen = |(own, path): &(String, String)| own == key && path.ends_with(accounts);
        assert!(asked.iter().any(seen), "{key}: {asked:?}");
    }
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_refused_and_recorded_nowhere() {
    let splunkd = Splunkd::start().await;
    for (body, words) in [
        ("", "no job"),
        ("[]", "no job"),
        (
            r#"{"action":"a","subject":"alert","rows":[{"id":"da1"}],"actor":"root"}"#,
            "actor",
        ),
        (
            r#"{"action":"a","subject":"alert","rows":{}}"#,
            "list of rows",
        ),
    ] {
        let reply = splunkd.triage(ANALYST, body).await;
        let text = reply.payload().to_string();
        assert_eq!(reply.status(), 400, "{body}: {text}");
        assert!(text.contains(words), "{body}: {text}");
    }
    assert!(splunkd.events().is_empty());
}

#[tokio::test]
async fn a_job_refused_as_a_whole_leaves_one_event_however_many_rows_it_has() {
    let rows = |count: usize| vec!["{}"; count].join(",");
    let named = |count: usize| vec![r#"{"id":["a","b"]}"#; count].join(",");
    for (rows, status, words) in [
        (rows(1), 400, "account"),
        (rows(101), 400, "101 rows name no target"),
        (rows(60_000), 413, "60000 rows, 10000 are taken"),
        (rows(400_000), 413, "400000 rows, 10000 are taken"),
        (named(6_000), 413, "12000 targets"),
    ] {
        let splunkd = Splunkd::start().await;
        let account = if words == "account" { "x" } else { "contoso" };
        let body = format!(
            r#"{{"action":"queue","subject":"alert","batch":"b1","sid":"s1","form":{{"account":"{account}","status":"resolved"}},"rows":[{rows}]}}"#
        );
        let reply = splunkd.triage(ANALYST, &body).await;
        assert_eq!(reply.status(), status, "{}", reply.payload());
        assert!(reply.payload().contains(words), "{}", reply.payload());
        assert!(reply.payload().len() < 1_000);
        let events = splunkd.events();
        let [event] = events.as_slice() else {
            panic!("{words}: {} events", events.len())
        };
        assert!(event.len() < 2_000);
        let event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(event["outcome"], "invalid");
        assert_eq!(
            (&event["actor"], &event["via"]),
            (&json!("ann"), &json!("rest"))
        );
        assert_eq!(
            (&event["batch"], &event["sid"]),
            (&json!("b1"), &json!("s1"))
        );
        assert!(
            event["message"].as_str().unwrap().contains(words),
            "{event}"
        );
        assert!(event.get("target").is_none() && event.get("row").is_none());
    }
}

#[tokio::test]
async fn a_batch_may_have_no_more_targets_in_parts_than_at_once() {
    let splunkd = Splunkd::start().await;
    let job = |rows: &str| {
        format!(
            r#"{{"action":"queue","subject":"alert","form":{{"account":"contoso","status":"resolved","max_targets":1}},"rows":[{rows}]}}"#
        )
    };
    let reply = splunkd
        .triage(ANALYST, &job(r#"{"id":"a"},{"id":"b"}"#))
        .await;
    assert_eq!(reply.status(), 400);
    assert!(reply.payload().contains("2 distinct targets"), "{reply:?}");
}

fn said(reply: &Reply) -> Value {
    serde_json::from_str(reply.payload()).unwrap()
}

async fn asked(json: &str) -> Reply {
    Endpoint::default()
        .answer(Request::read(json.as_bytes()))
        .await
}

#[tokio::test]
async fn says_who_it_is_and_what_there_is() {
    let ping =
        asked(r#"{"method":"GET","rest_path":"/defender_bridge/ping","session":{"user":"ann"}}"#)
            .await;
    assert_eq!(ping.status(), 200);
    assert_eq!(said(&ping)["app"], "defender_bridge");
    assert_eq!(said(&ping)["user"], "ann");
    for (json, status) in [
        (
            r#"{"method":"POST","rest_path":"/defender_bridge/ping"}"#,
            405,
        ),
        (
            r#"{"method":"GET","rest_path":"/defender_bridge/triage"}"#,
            405,
        ),
        (
            r#"{"method":"GET","rest_path":"/defender_bridge/../x"}"#,
            404,
        ),
        (r#"{"method":"GET","rest_path":"/defender_bridge"}"#, 404),
        (
            r#"{"method":"POST","rest_path":"/defender_bridge/triage"}"#,
            412,
        ),
        ("[", 400),
    ] {
        assert_eq!(asked(json).await.status(), status, "{json}");
    }
}

#[tokio::test]
async fn hunting_and_verdicts_are_rights_apart() {
    let splunkd = Splunkd::start().await;
    let hunt = r#"{"account":"contoso","query":"T"}"#;
    let refused = splunkd.ask(ANALYST, "hunt", hunt).await;
    assert_eq!(refused.status(), 403, "{refused:?}");
    assert!(refused.payload().contains("defender_hunt"), "{refused:?}");
    for (route, body) in [
        ("triage", JOB),
        (
            "live",
            r#"{"account":"contoso","subject":"alert","ids":["da1"]}"#,
        ),
    ] {
        let refused = splunkd.ask(HUNTER, route, body).await;
        assert_eq!(refused.status(), 403, "{route}: {refused:?}");
        assert!(refused.payload().contains("defender_triage"), "{refused:?}");
    }
    let checked = splunkd
        .ask(ANALYST, "check", r#"{"account":"contoso"}"#)
        .await;
    assert_eq!(checked.status(), 200, "{checked:?}");
}

#[tokio::test]
async fn the_process_tells_an_administrator_what_it_is_and_nobody_else() {
    let splunkd = Splunkd::start().await;
    for key in [READER, HUNTER, ANALYST] {
        for end in ["{}", r#"{"end":true}"#] {
            let refused = splunkd.ask(key, "self", end).await;
            assert_eq!(refused.status(), 403, "{key}");
            assert!(refused.payload().contains("admin_all_objects"), "{key}");
        }
    }
    let mut endpoint = Endpoint::default();
    for served in 1..=2_u64 {
        let request = splunkd.request(ADMINISTRATOR, "self", "{}");
        let reply = endpoint.answer(request).await;
        let own = said(&reply);
        assert_eq!(reply.status(), 200, "{own}");
        assert_eq!(own["requests_served"], served, "{own}");
        assert_eq!(own["pid"], std::process::id());
        assert_eq!(own["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(
            own["secrets"],
            json!([{"account": "contoso", "found": "yes"}])
        );
        assert_eq!(own["ends"], false);
        assert!(
            own["started_at"].is_string() && own["system_authtoken"] == true,
            "{own}"
        );
        for key in ["argv", "exe", "cwd"] {
            assert!(!own[key].is_null(), "{key}: {own}");
        }
        assert!(
            ![SECRET, SYSTEM, ADMINISTRATOR]
                .iter()
                .any(|secret| reply.payload().contains(secret)),
            "{own}"
        );
    }
    // That splunkd handed over no key of its own is just what is asked about.
    let mut request = splunkd.request(ADMINISTRATOR, "self", "{}").unwrap();
    request.system_key = None;
    let own = said(&Endpoint::default().answer(Ok(request)).await);
    assert_eq!(own["system_authtoken"], false, "{own}");
    assert_eq!(own["secrets"], Value::Null, "{own}");
    let wrong = splunkd.ask(ADMINISTRATOR, "self", "end").await;
    assert_eq!(wrong.status(), 400, "{wrong:?}");
}

#[tokio::test]
async fn a_splunkd_that_is_not_ready_is_told_as_such_since_nothing_was_begun() {
    let splunkd = Splunkd::start().await;
    for (route, body) in [
        ("triage", JOB),
        ("hunt", r#"{"account":"contoso","query":"T"}"#),
        ("check", r#"{"account":"contoso"}"#),
        ("self", "{}"),
    ] {
        for key in [BUSY, CROWDED] {
            let request = splunkd.request(key, route, body).unwrap();
            let mut asked = crate::run::rest::Asked::by(request).ok().unwrap();
            // Nobody waits for the half minute splunkd is given.
            asked.own = hurried(&splunkd.0.uri, key);
            let refused = asked.caller(Right::Write).await.err().unwrap();
            assert_eq!(refused.status, 503, "{route} {key}: {}", refused.why);
        }
    }
    let gone = hurried("http://127.0.0.1:9", BUSY);
    let refused = Refusal::from(gone.current_context().await.unwrap_err());
    assert_eq!(refused.status, 503, "{}", refused.why);
    assert!(splunkd.events().is_empty());
}

fn hurried(uri: &str, key: &str) -> crate::splunk::splunkd::Splunkd {
    let tls = crate::splunk::splunkd::Tls::default();
    let none = std::time::Duration::ZERO;
    crate::splunk::splunkd::Splunkd::new(uri, key.to_owned().into(), &tls, none).unwrap()
}

#[tokio::test]
async fn who_asks_in_another_version_is_told_what_to_do_before_the_body_is_looked_at() {
    let splunkd = Splunkd::start().await;
    for (route, body) in [
        ("triage", r#"{"of":"tomorrow"}"#),
        ("live", r#"{"of":"tomorrow"}"#),
        ("hunt", ""),
        ("check", "[]"),
    ] {
        let mut request = splunkd.request(ANALYST, route, body).unwrap();
        request.version = Some("9.9.9\n".to_owned());
        let reply = Endpoint::default().answer(Ok(request)).await;
        assert_eq!(reply.status(), 409, "{route}: {reply:?}");
        let text = said(&reply)["messages"][0]["text"].to_string();
        assert!(
            text.contains("9.9.9") && text.contains("restart Splunk"),
            "{text}"
        );
        let mut request = splunkd.request(ANALYST, route, body).unwrap();
        request.version = Some(VERSION.to_owned());
        let reply = Endpoint::default().answer(Ok(request)).await;
        assert_ne!(reply.status(), 409, "{route}: {reply:?}");
    }
    assert!(splunkd.events().is_empty());
}
