//! Wrong settings get one clear line that names stanza, cause and remedy; the
//! run exits non-zero and leaves the checkpoint alone.

use crate::counterpart::instants::{self, HOUR};
use crate::counterpart::tenant::recent;
use crate::counterpart::{Feed, Splunkd, Tenant};

const FEED: Feed = Feed::GraphAlerts;
const STANZA: &str = "defender_bridge://feed";

/// A splunkd whose input has run well once, so that there is a checkpoint to spare.
fn well_run(tenant: &Tenant) -> Splunkd {
    let splunkd = Splunkd::reading(tenant, FEED);
    splunkd.run().well();
    assert!(!splunkd.checkpoints().is_empty());
    splunkd
}

/// The run is refused, its line holds every word, and no checkpoint changed.
#[track_caller]
fn refused(splunkd: &Splunkd, words: &[&str]) {
    let before = splunkd.checkpoints();
    let run = splunkd.run();
    let line = run.refusal().to_owned();
    for word in words {
        assert!(
            line.to_lowercase().contains(&word.to_lowercase()),
            "`{word}` in: {line}"
        );
    }
    assert_eq!(run.events(), [], "a refused run brings no event");
    assert!(
        splunkd.checkpoints() == before,
        "the checkpoint was touched"
    );
}

fn tenant() -> Tenant {
    Tenant::holding(FEED, recent(FEED, 10))
}

/// Refuses an input with these parameters.
#[track_caller]
fn refused_parameter(key: &str, value: &str, words: &[&str]) {
    let tenant = tenant();
    let splunkd = Splunkd::reading_with(&tenant, FEED, &[(key, value)]);
    refused(&splunkd, &[&[STANZA, key], words].concat());
    assert_eq!(
        tenant.list_calls().len(),
        0,
        "nothing is read for a stanza that is wrong"
    );
}

#[test]
fn an_unknown_feed_is_refused_with_the_known_ones() {
    refused_parameter(
        "feed",
        "alertz",
        &["alertz", "alerts", "event_hub", "storage"],
    );
}

#[test]
fn what_only_a_stream_can_have_is_refused_for_a_list() {
    refused_parameter("event_hub", "insights", &["feed = event_hub", "remove"]);
    refused_parameter("tables", "AlertInfo", &["feed = storage", "remove"]);
}

#[test]
fn an_unknown_api_is_refused_with_the_known_ones() {
    refused_parameter("api", "soap", &["soap", "graph", "mde"]);
}

#[test]
fn an_api_that_does_not_serve_the_feed_is_refused() {
    let tenant = tenant();
    let splunkd = Splunkd::new().account("contoso", &tenant).input(
        "feed",
        [("account", "contoso"), ("feed", "alerts"), ("api", "xdr")],
    );
    refused(&splunkd, &[STANZA, "api", "xdr"]);
}

#[test]
fn a_start_in_the_future_is_refused() {
    let future = instants::print(instants::now() + 48 * HOUR, 0);
    refused_parameter("start", &future, &[&future[..10], "future"]);
}

#[test]
fn a_start_nobody_can_read_is_refused() {
    refused_parameter("start", "last tuesday", &["last tuesday", "-7d"]);
}

#[test]
fn spans_nobody_can_read_are_refused() {
    refused_parameter("overlap", "a while", &["a while", "15m"]);
    refused_parameter("settle", "-3", &["-3"]);
}

#[test]
fn an_unknown_account_is_refused_by_name() {
    let tenant = tenant();
    let splunkd = well_run(&tenant);
    let other = splunkd.input("feed", [("account", "fabrikam"), ("feed", "alerts")]);
    refused(&other, &[STANZA, "fabrikam", "account"]);
}

#[test]
fn a_stanza_without_account_is_refused() {
    let tenant = tenant();
    let splunkd = Splunkd::new()
        .account("contoso", &tenant)
        .input("feed", [("feed", "alerts")]);
    refused(&splunkd, &[STANZA, "account"]);
}

#[test]
fn an_url_that_is_none_or_not_https_is_refused() {
    let tenant = tenant();
    for url in [
        "http://graph.example.com",
        "graph.example.com",
        "https://",
        "ftp://x",
        "https://a b/",
    ] {
        let splunkd = well_run(&tenant);
        splunkd.set("account", "contoso", "graph_url", url);
        refused(&splunkd, &["contoso", "graph_url", url, "https"]);
    }
}

#[test]
fn settings_of_an_account_that_miss_or_make_no_sense_are_refused() {
    let tenant = tenant();
    for (key, value, words) in [
        ("auth", "password", ["auth", "password", "certificate"]),
        ("cloud", "moon", ["cloud", "moon", "gcc_high"]),
        ("tenant_id", "", ["tenant_id", "contoso", "contoso"]),
        ("client_id", "", ["client_id", "contoso", "contoso"]),
        (
            "ca_file",
            "/nowhere/ca.pem",
            ["ca_file", "/nowhere/ca.pem", "contoso"],
        ),
    ] {
        let splunkd = well_run(&tenant);
        splunkd.set("account", "contoso", key, value);
        refused(&splunkd, &words);
    }
}

#[test]
fn a_missing_secret_is_refused_and_says_where_to_put_it() {
    let tenant = tenant();
    let splunkd = well_run(&tenant);
    splunkd.forget_password("contoso");
    refused(&splunkd, &[STANZA, "contoso", "secret"]);
}

#[test]
fn the_day_a_secret_ends_stands_in_the_health_event_also_when_it_has_ended() {
    let tenant = tenant();
    let splunkd = Splunkd::reading(&tenant, FEED);
    let said = || {
        let run = splunkd.run();
        let health: serde_json::Value = serde_json::from_str(&run.health()[0].data).unwrap();
        (
            health["outcome"].clone(),
            health.get("secret_expires").cloned(),
        )
    };
    assert_eq!(said(), ("ok".into(), None));
    splunkd.set("account", "contoso", "secret_expires", " 2027-03-31 ");
    assert_eq!(said(), ("ok".into(), Some("2027-03-31".into())));
    splunkd.set_password("contoso", "no longer the secret");
    assert_eq!(said(), ("error".into(), Some("2027-03-31".into())));
}

#[test]
fn a_wrong_secret_is_refused_with_the_code_and_what_to_do() {
    let tenant = tenant();
    let splunkd = well_run(&tenant);
    splunkd.set_password("contoso", "the secret's id, not its value");
    refused(&splunkd, &[STANZA, "AADSTS7000215", "Value"]);
}

#[test]
fn a_missing_permission_is_refused_by_its_name() {
    let tenant = tenant();
    let splunkd = well_run(&tenant);
    tenant.rules(|rules| rules.may_read = false);
    refused(&splunkd, &[STANZA, "SecurityAlert.Read.All", "consent"]);
}

#[test]
fn a_host_that_does_not_answer_is_refused_by_name() {
    let tenant = tenant();
    let splunkd = well_run(&tenant);
    // A port nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    splunkd.set(
        "account",
        "contoso",
        "graph_url",
        &format!("https://{closed}"),
    );
    refused(&splunkd, &[STANZA, &closed.to_string()]);
}

#[test]
fn a_broken_or_foreign_checkpoint_stops_the_run_and_stays() {
    let tenant = tenant();
    for content in [
        "",
        "{",
        "not json",
        "null",
        "[]",
        "{}",
        r#"{"version":99}"#,
        r#"{"lastRun":"2020-01-01"}"#,
        "\u{0}\u{0}\u{0}\u{0}",
    ] {
        let splunkd = well_run(&tenant);
        let files: Vec<_> = splunkd.checkpoints().into_keys().collect();
        let file = files
            .iter()
            .find(|file| std::fs::read_to_string(file).is_ok_and(|text| text.starts_with('{')))
            .expect("a checkpoint is JSON");
        std::fs::write(file, content).unwrap();
        refused(
            &splunkd,
            &[STANZA, &file.file_name().unwrap().to_string_lossy()],
        );
    }
}

#[test]
fn the_checkpoint_of_another_tenant_is_not_taken_for_this_one() {
    let tenant = tenant();
    let splunkd = well_run(&tenant);
    let other = "aaaaaaaa-16f1-41af-91ab-1d7cd011db47";
    tenant.sign_in(|sign_in| sign_in.tenant_id = other.to_owned());
    splunkd.set("account", "contoso", "tenant_id", other);
    let before = splunkd.checkpoints();
    let run = splunkd.run();
    if run.code() == Some(0) {
        // A memory of its own for the other tenant is as good as a refusal.
        assert_eq!(run.events().len(), 10, "{}", run.stderr);
    } else {
        run.refusal();
        assert!(
            splunkd.checkpoints() == before,
            "the checkpoint was touched"
        );
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_stops_the_run_with_an_error() {
    let tenant = tenant();
    let splunkd = Splunkd::reading(&tenant, FEED);
    // A file where the directory should be.
    std::fs::remove_dir_all(splunkd.checkpoint_dir()).unwrap();
    std::fs::write(splunkd.checkpoint_dir(), "in the way").unwrap();
    let run = splunkd.run();
    assert!(run.refusal().contains("defender_bridge"), "{}", run.stderr);
}

#[test]
fn documents_that_are_no_input_are_refused_in_one_line() {
    let tenant = tenant();
    let splunkd = Splunkd::reading(&tenant, FEED);
    let whole = splunkd.input_document();
    let cut = &whole[..whole.len() / 2];
    let closed = whole.replace("</stanza>", "</stanca>");
    for document in [
        "",
        "hello",
        "<input",
        "<items></items>",
        "{\"a\":1}",
        cut,
        &closed,
    ] {
        let before = splunkd.checkpoints();
        let run = splunkd.run_closed(document.as_bytes());
        run.refusal();
        assert_eq!(run.events(), []);
        assert!(splunkd.checkpoints() == before);
    }
}

#[test]
fn splunkd_refusing_the_key_is_told_in_one_line() {
    let tenant = tenant();
    let splunkd = Splunkd::reading(&tenant, FEED);
    let document = splunkd
        .input_document()
        .replace("Kx7^session_key_of", "expired");
    let run = splunkd.run_document(document.as_bytes());
    let line = run.refusal();
    assert!(line.contains("splunkd"), "{line}");
}

#[test]
fn splunkd_not_ready_for_a_moment_is_waited_for() {
    let tenant = tenant();
    let splunkd = Splunkd::reading(&tenant, FEED);
    splunkd.be_busy(2);
    assert_eq!(splunkd.run().well().events().len(), 10);
}

#[test]
fn one_wrong_stanza_does_not_stop_the_other() {
    let tenant = tenant();
    let splunkd = Splunkd::new()
        .account("contoso", &tenant)
        .input("wrong", [("account", "contoso"), ("feed", "alertz")])
        .input("right", [("account", "contoso"), ("feed", "alerts")]);
    let run = splunkd.run();
    assert!(
        run.refusal().contains("defender_bridge://wrong"),
        "{}",
        run.stderr
    );
    assert_eq!(run.events().len(), 10);
    assert!(
        run.events()
            .iter()
            .all(|event| event.stanza == "defender_bridge://right")
    );
}
