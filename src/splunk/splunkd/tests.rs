use super::*;
use crate::splunk::splunkd::connection::is_this_machine;
use crate::splunk::tests::counterpart::{Answer, Asked, Counterpart, entry, refusal};
use axum::Router;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

const KEY: &str = "session-key-4711";
const SECRET: &str = "s3cr3t~value";

/// Over HTTPS, as splunkd speaks unless told otherwise.
struct Served {
    splunkd: Counterpart,
    pem: String,
}

impl Served {
    async fn start<F>(answer: F) -> Self
    where
        F: Fn(&str) -> Answer + Send + Sync + 'static,
    {
        let (splunkd, pem) = Counterpart::over_tls(move |asked| answer(asked.path())).await;
        Self { splunkd, pem }
    }

    fn client(&self) -> Splunkd {
        self.client_with(&Tls::default()).unwrap()
    }

    fn client_with(&self, tls: &Tls) -> Result<Splunkd, SplunkdError> {
        Splunkd::new(self.uri(), KEY.into(), tls, Duration::from_secs(20))
    }

    fn uri(&self) -> &str {
        &self.splunkd.uri
    }

    fn asked(&self) -> Vec<Asked> {
        self.splunkd.asked()
    }
}

#[tokio::test]
async fn reads_a_stanza_as_its_conf_spells_it() {
    let splunkd = Served::start(|_| {
        entry(
            "a/b: ü",
            json!({"eai:acl": null, "eai:appName": "x", "disabled": false, "read_only": true,
                "tenant_id": "t", "n": 5, "nothing": null}),
        )
    })
    .await;
    let settings = splunkd
        .client()
        .conf("defender_bridge_account", "a/b: ü")
        .await
        .unwrap()
        .unwrap();
    let expected = [
        ("disabled", "0"),
        ("n", "5"),
        ("read_only", "1"),
        ("tenant_id", "t"),
    ];
    assert!(
        settings
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .eq(expected),
        "{settings:?}"
    );
    let asked = &splunkd.asked()[0];
    assert_eq!(asked.method, "GET");
    assert_eq!(
        asked.uri,
        "/servicesNS/nobody/defender_bridge/configs/conf-defender_bridge_account/a%2Fb%3A%20%C3%BC?output_mode=json"
    );
    assert_eq!(asked.authorization, format!("Splunk {KEY}"));
}

#[tokio::test]
async fn a_stanza_or_conf_that_is_not_there_is_no_error() {
    let splunkd = Served::start(|_| refusal(404, "Could not find object")).await;
    let client = splunkd.client();
    assert_eq!(client.conf("c", "x").await.unwrap(), None);
    assert_eq!(client.conf_stanzas("c").await.unwrap(), []);
    assert!(client.password("x").await.unwrap().is_none());
    let before = splunkd.asked().len();
    for name in ["", ".", ".."] {
        assert_eq!(client.conf("c", name).await.unwrap(), None);
        assert!(client.password(name).await.unwrap().is_none());
    }
    assert_eq!(splunkd.asked().len(), before, "such names lead elsewhere");
}

#[tokio::test]
async fn lists_all_stanzas_of_a_conf() {
    let splunkd = Served::start(|_| {
        (
            200,
            json!({"entry": [{"name": "a", "content": {"x": "1"}}, {"name": "b"}]}),
        )
    })
    .await;
    let stanzas = splunkd.client().conf_stanzas("c").await.unwrap();
    let names: Vec<&str> = stanzas.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(stanzas[0].1["x"], "1");
    assert!(splunkd.asked()[0].uri.contains("count=-1"));
}

#[tokio::test]
async fn a_secret_is_read_whole_in_one_call() {
    let splunkd = Served::start(|path| {
        assert_eq!(
            path,
            "/servicesNS/nobody/defender_bridge/storage/passwords/defender_bridge%3Acontoso%3A"
        );
        entry(
            "defender_bridge:contoso:",
            json!({"realm": "defender_bridge", "username": "contoso", "clear_password": SECRET}),
        )
    })
    .await;
    let secret = splunkd.client().password("contoso").await.unwrap().unwrap();
    assert_eq!(secret.expose_secret(), SECRET);
    assert_eq!(splunkd.asked().len(), 1);
}

#[tokio::test]
async fn a_long_secret_is_joined_from_its_pieces_in_order() {
    let splunkd = Served::start(|path| {
        let piece = path.split("contoso").nth(1).unwrap();
        match piece
            .strip_prefix("%23")
            .and_then(|piece| piece.strip_suffix("%3A"))
        {
            Some(number) if number.parse::<u32>().unwrap() <= 11 => {
                entry("x", json!({"clear_password": format!("<{number}>")}))
            }
            _ => refusal(404, "no such entry"),
        }
    })
    .await;
    let secret = splunkd.client().password("contoso").await.unwrap().unwrap();
    assert_eq!(
        secret.expose_secret(),
        "<1><2><3><4><5><6><7><8><9><10><11>"
    );
}

#[tokio::test]
async fn a_secret_is_asked_for_under_the_name_splunkd_gives_it() {
    for (user, name) in [
        ("a:b", r"defender_bridge:a\:b:"),
        (r"a\b", r"defender_bridge:a\\b:"),
        (r"\:a", r"defender_bridge:\\\:a:"),
        (":", r"defender_bridge:\::"),
        ("a/b %", "defender_bridge:a/b %:"),
    ] {
        let splunkd = Served::start(move |path| {
            let asked = path.rsplit('/').next().unwrap();
            let asked = percent_encoding::percent_decode_str(asked).decode_utf8();
            match asked.unwrap() == name {
                true => entry(name, json!({"username": user, "clear_password": SECRET})),
                false => refusal(404, "Could not find object"),
            }
        })
        .await;
        let secret = splunkd.client().password(user).await.unwrap();
        assert_eq!(secret.unwrap().expose_secret(), SECRET, "{user}");
    }
}

#[tokio::test]
async fn the_secret_of_this_app_wins_over_another_apps_of_the_same_name() {
    let stored = |app: &str, value: &str| {
        json!({"name": "defender_bridge:contoso:", "acl": {"app": app},
            "content": {"realm": "defender_bridge", "username": "contoso", "clear_password": value}})
    };
    for (entries, expected) in [
        (
            json!([
                stored("search", "theirs"),
                stored("defender_bridge", "ours")
            ]),
            "ours",
        ),
        (
            json!([
                stored("defender_bridge", "ours"),
                stored("search", "theirs")
            ]),
            "ours",
        ),
        (json!([stored("search", "shared")]), "shared"),
    ] {
        let splunkd = Served::start(move |_| (200, json!({"entry": entries}))).await;
        let secret = splunkd.client().password("contoso").await.unwrap();
        assert_eq!(secret.unwrap().expose_secret(), expected);
    }
}

#[tokio::test]
async fn a_secret_splunkd_cannot_decrypt_is_no_hidden_one() {
    let splunkd = Served::start(|_| entry("x", json!({"clear_password": ""}))).await;
    let error = splunkd.client().password("contoso").await.unwrap_err();
    assert!(
        matches!(error, SplunkdError::Undecryptable { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("splunk.secret"), "{error}");
}

#[tokio::test]
async fn a_list_where_a_word_belongs_refuses_the_stanza_and_no_list_of_names() {
    let splunkd = Served::start(|path| match path.ends_with("/x") {
        true => entry("x", json!({"read_only": ["1", "0"], "n": null})),
        false => (
            200,
            json!({"entry": [{"name": "x", "content": {"read_only": []}}, {"name": "y"}]}),
        ),
    })
    .await;
    let client = splunkd.client();
    let error = client.conf("c", "x").await.unwrap_err().to_string();
    assert!(
        error.contains("read_only of stanza [x] of c.conf"),
        "{error}"
    );
    let error = client.conf_stanzas("c").await.unwrap_err();
    assert!(matches!(error, SplunkdError::NoOneValue { .. }), "{error}");
    assert_eq!(client.conf_names("c").await.unwrap(), ["x", "y"]);
}

#[tokio::test]
async fn a_hidden_secret_is_never_taken_for_one() {
    for content in [json!({"clear_password": "********"}), json!({})] {
        let splunkd = Served::start(move |_| entry("x", content.clone())).await;
        let error = splunkd.client().password("contoso").await.unwrap_err();
        assert!(matches!(error, SplunkdError::Masked { .. }), "{error}");
    }
}

#[tokio::test]
async fn says_who_is_asking_and_which_splunkd_answers() {
    let splunkd = Served::start(|path| match path {
        "/services/authentication/current-context" => entry(
            "context",
            json!({"username": "ann", "roles": ["user", "soc"], "capabilities": ["search", "edit_tcp"]}),
        ),
        "/services/server/info" => entry(
            "server-info",
            json!({"version": "10.4.2", "serverName": "sh1", "guid": "G", "server_roles": ["search_head"],
                "isFree": false, "fips_mode": true}),
        ),
        other => refusal(500, other),
    })
    .await;
    let client = splunkd.client();
    let context = client.current_context().await.unwrap();
    assert_eq!(context.username, "ann");
    assert_eq!(context.roles, ["user", "soc"]);
    assert!(context.can("edit_tcp") && !context.can("list_storage_passwords"));
    let info = client.server_info().await.unwrap();
    assert_eq!(
        info,
        ServerInfo {
            version: "10.4.2".to_owned(),
            server_name: "sh1".to_owned(),
            guid: "G".to_owned(),
            server_roles: vec!["search_head".to_owned()],
            is_free: false,
            fips: Some(true),
        }
    );
}

#[tokio::test]
async fn a_splunkd_of_any_release_says_what_it_is() {
    for (content, version, fips) in [
        (
            json!({"version": "10.6.0.5", "fips_mode": false}),
            "10.6.0.5",
            Some(false),
        ),
        (
            json!({"version": "10.0.1", "fips_mode": "1"}),
            "10.0.1",
            Some(true),
        ),
        (json!({"version": "9.4.3"}), "9.4.3", None),
        (
            json!({"version": "9.4.3", "fips_mode": null}),
            "9.4.3",
            None,
        ),
    ] {
        let splunkd = Served::start(move |_| entry("server-info", content.clone())).await;
        let info = splunkd.client().server_info().await.unwrap();
        assert_eq!((info.version.as_str(), info.fips), (version, fips));
        assert!(!info.is_free && info.server_roles.is_empty() && info.guid.is_empty());
    }
}

#[tokio::test]
async fn sends_an_event() {
    let splunkd = Served::start(|_| (200, json!({"index": "soc", "bytes": "7"}))).await;
    let client = splunkd.client();
    let to = Addressing {
        index: Some("soc"),
        sourcetype: "defender_bridge:triage",
        source: "a&b",
        host: None,
    };
    client
        .receive(to, Bytes::from_static(b"{\"a\":1}"))
        .await
        .unwrap();
    let asked = splunkd.asked();
    assert_eq!(
        (
            asked[0].method.as_str(),
            asked[0].uri.as_str(),
            asked[0].body.as_str()
        ),
        (
            "POST",
            "/services/receivers/simple?output_mode=json&sourcetype=defender_bridge%3Atriage&source=a%26b&index=soc",
            "{\"a\":1}"
        )
    );
}

#[tokio::test]
async fn a_refusal_says_what_is_missing_and_never_a_secret() {
    let mut said = Vec::new();
    for (status, text) in [
        (401, "call not properly authenticated"),
        (403, "insufficient permission (key session-key-4711)"),
        (400, "bad argument"),
        (200, "clear_password s3cr3t~value but no entry"),
    ] {
        let splunkd = Served::start(move |_| refusal(status, text)).await;
        let client = splunkd.client();
        let errors = [
            client.conf("c", "x").await.err(),
            client.password("x").await.err(),
            client.current_context().await.err(),
            client
                .receive(Addressing::default(), Bytes::new())
                .await
                .err(),
        ];
        for error in errors.into_iter().flatten() {
            let text = format!("{error} {error:?} {client:?}");
            assert!(!text.contains(KEY) && !text.contains(SECRET), "{text}");
            assert!(!error.passing());
            said.push(error.to_string());
        }
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[tokio::test]
async fn an_event_is_taken_only_if_splunkd_says_so() {
    for (status, answer) in [
        (200, json!({})),
        (200, json!([])),
        (200, json!("<html>Sign in</html>")),
        (204, json!({})),
        (201, json!({"status": "success"})),
        (
            200,
            json!({"messages": [{"type": "ERROR", "text": "no such index"}]}),
        ),
    ] {
        let splunkd = Served::start({
            let answer = answer.clone();
            move |_| (status, answer.clone())
        })
        .await;
        let client = splunkd.client();
        let sent = client.receive(Addressing::default(), "x".into());
        let error = sent.await.unwrap_err();
        assert!(
            matches!(error, SplunkdError::Unintelligible { .. }),
            "{error}"
        );
        assert_eq!(splunkd.asked().len(), 1, "{answer}: sent twice");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_not_quoted() {
    let splunkd = Served::start(|_| (200, json!({"entry": [{"name": {"x": SECRET}}]}))).await;
    let error = splunkd.client().password("x").await.unwrap_err();
    assert!(
        matches!(error, SplunkdError::Unintelligible { .. }),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains(SECRET));
}

#[tokio::test]
async fn waits_for_a_splunkd_that_is_not_ready_yet() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let splunkd = Served::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => refusal(503, "starting"),
        _ => entry("x", json!({"k": "v"})),
    })
    .await;
    let settings = splunkd.client().conf("c", "x").await.unwrap().unwrap();
    assert_eq!(settings["k"], "v");
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_kv_store_that_is_starting_is_waited_for() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let splunkd = Served::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => refusal(503, "KV Store is initializing. Please try again later."),
        _ => (200, json!({"index": "main", "bytes": "1"})),
    })
    .await;
    let client = splunkd.client();
    let sent = client.receive(Addressing::default(), "x".into());
    sent.await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_only_reads_is_asked_again_where_splunkd_failed_once() {
    for status in [500, 502, 504] {
        let failing_once = || {
            let calls = AtomicUsize::new(0);
            move |_: &str| match calls.fetch_add(1, Ordering::Relaxed) {
                0 => refusal(status, "a process ended"),
                _ => entry("x", json!({"k": "v"})),
            }
        };
        let splunkd = Served::start(failing_once()).await;
        let settings = splunkd.client().conf("c", "x").await.unwrap();
        assert_eq!(settings.unwrap()["k"], "v", "{status}");
        assert_eq!(splunkd.asked().len(), 2);
        // What writes is not: it may have been carried out.
        let splunkd = Served::start(failing_once()).await;
        let client = splunkd.client();
        let sent = client.receive(Addressing::default(), "x".into());
        let error = sent.await.unwrap_err();
        assert!(error.passing(), "{error}");
        assert!(
            error.to_string().starts_with("splunkd failed to"),
            "{error}"
        );
        assert_eq!(splunkd.asked().len(), 1);
    }
}

#[tokio::test]
async fn what_stays_broken_is_asked_a_few_times_only() {
    let splunkd = Served::start(|_| refusal(500, "a process ended")).await;
    let error = splunkd.client().conf("c", "x").await.unwrap_err();
    assert!(error.to_string().contains("a process ended"), "{error}");
    assert_eq!(splunkd.asked().len(), 4);
}

#[tokio::test]
async fn a_slow_splunkd_is_waited_for_asked_again_and_named() {
    // Never answers the first so many calls.
    let stalling = async |first: usize| {
        let calls = Arc::new(AtomicUsize::new(0));
        let router = Router::new().fallback(move || {
            let number = calls.fetch_add(1, Ordering::Relaxed);
            async move {
                if number < first {
                    std::future::pending::<()>().await;
                }
                entry("s", json!({"a": "1"})).1.to_string()
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let mut client =
            Splunkd::new(&uri, KEY.into(), &Tls::default(), Duration::from_secs(60)).unwrap();
        client.wait = Duration::from_millis(300);
        client
    };
    let client = stalling(2).await;
    assert_eq!(client.conf("c", "s").await.unwrap().unwrap()["a"], "1");
    // What writes is not asked again: it may have been carried out.
    let client = stalling(1).await;
    let sent = client.receive(Addressing::default(), "x".into());
    let error = sent.await.unwrap_err();
    assert!(matches!(error, SplunkdError::Slow { .. }), "{error}");
    assert!(error.passing());
    assert!(
        error.to_string().contains("did not answer within"),
        "{error}"
    );
    // Nor is anything once patience is at its end.
    let mut client = stalling(usize::MAX).await;
    client.patience = Duration::from_millis(100);
    let error = client.conf("c", "s").await.unwrap_err();
    assert!(matches!(error, SplunkdError::Slow { .. }), "{error}");
}

#[test]
fn an_answer_may_take_as_long_as_an_overloaded_splunkd_does() {
    let wait = |seconds| {
        let patience = Duration::from_secs(seconds);
        Splunkd::new(
            "https://127.0.0.1:8089",
            KEY.into(),
            &Tls::default(),
            patience,
        )
        .unwrap()
        .wait
        .as_secs()
    };
    assert_eq!([0, 8, 20, 30, 600].map(wait), [15, 15, 20, 25, 25]);
}

#[tokio::test]
async fn does_not_wait_longer_than_told() {
    let splunkd = Served::start(|_| refusal(503, "starting")).await;
    let client = Splunkd::new(splunkd.uri(), KEY.into(), &Tls::default(), Duration::ZERO).unwrap();
    let error = client.conf("c", "x").await.unwrap_err();
    assert!(matches!(error, SplunkdError::NotReady { .. }), "{error}");
    assert!(error.passing());
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_then_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let patience = Duration::from_millis(250);
    let client = Splunkd::new(&uri, KEY.into(), &Tls::default(), patience).unwrap();
    let call = Call::get("services/server/info".to_owned(), String::new(), "");
    assert!(client.ask_once(&call).await.unwrap_err().again == Again::Soon);
    let error = client.conf("c", "x").await.unwrap_err();
    assert!(error.passing());
    assert!(error.to_string().contains(&uri), "{error}");
}

#[tokio::test]
async fn a_certificate_is_verified_where_it_must_be() {
    let splunkd = Served::start(|_| entry("x", json!({}))).await;
    let strict = Tls {
        verify: true,
        ca_file: None,
    };
    match splunkd.client_with(&strict) {
        Ok(client) => {
            let call = Call::get("services/server/info".to_owned(), String::new(), "");
            let failure = client.ask_once(&call).await.unwrap_err();
            assert_eq!(failure.again, Again::Never);
            assert!(
                matches!(failure.error, SplunkdError::Certificate { .. }),
                "{}",
                failure.error
            );
        }
        // A machine without any trust store.
        Err(error) => assert!(matches!(error, SplunkdError::Client(_)), "{error}"),
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &splunkd.pem).unwrap();
    let known = Tls {
        verify: true,
        ca_file: Some(file.path().to_owned()),
    };
    let client = splunkd.client_with(&known).unwrap();
    assert!(client.conf("c", "x").await.unwrap().is_some());
}

#[test]
fn a_ca_file_that_is_none_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let tls = Tls {
        verify: true,
        ca_file: Some(file.path().to_owned()),
    };
    let error = Splunkd::new("https://sh1:8089", KEY.into(), &tls, Duration::ZERO).unwrap_err();
    assert!(matches!(error, SplunkdError::CaFile { .. }), "{error}");
    let absent = Tls::of_splunk(false, Some(Path::new("/nowhere")));
    Splunkd::new(
        "https://127.0.0.1:8089",
        KEY.into(),
        &absent,
        Duration::ZERO,
    )
    .unwrap();
}

#[test]
fn only_this_machine_may_skip_verification_or_tls() {
    let local = |uri: &str| is_this_machine(&Url::parse(uri).unwrap());
    for uri in [
        "https://127.0.0.1:8089",
        "https://127.9.9.9",
        "https://[::1]:8089",
        "https://LOCALHOST",
        "https://0.0.0.0:8089",
        "https://[::]",
        "https://[::ffff:127.0.0.1]:8089",
        "https://[::ffff:0.0.0.0]",
        "https://2130706433",
    ] {
        assert!(local(uri), "{uri}");
    }
    for uri in [
        "https://sh1:8089",
        "https://localhost.example.com",
        // Addresses for documentation and benchmarks: no host has them (RFC 5737, 3849, 2544).
        "https://192.0.2.1",
        "https://198.51.100.77:8089",
        "https://198.18.0.1",
        "https://[::ffff:203.0.113.9]:8089",
        "https://[2001:db8::1]:8089",
        "https://127.0.0.1@sh1:8089",
    ] {
        assert!(!local(uri), "{uri}");
    }
    let new = |uri| Splunkd::new(uri, KEY.into(), &Tls::default(), Duration::ZERO);
    assert!(new("http://127.0.0.1:8089").is_ok());
    for uri in [
        "http://sh1:8089",
        "http://192.0.2.1:8089",
        "ftp://127.0.0.1",
        "127.0.0.1:8089",
        "",
    ] {
        assert!(
            matches!(new(uri), Err(SplunkdError::Address { .. })),
            "{uri}"
        );
    }
}

/// Addresses of this machine that are not loopback, as its routing has them.
fn addresses() -> Vec<std::net::IpAddr> {
    let source = |any: &str, to: &str| {
        let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
        socket.connect((to, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let found = [source("0.0.0.0", "192.0.2.1"), source("::", "2001:db8::1")];
    let mut found: Vec<_> = found.into_iter().flatten().collect();
    found.retain(|ip| !ip.is_loopback());
    found
}

#[test]
fn an_address_this_machine_has_is_this_machine() {
    for ip in addresses() {
        let uri = Url::parse(&format!("https://{}", std::net::SocketAddr::new(ip, 8089))).unwrap();
        assert!(is_this_machine(&uri), "{uri}");
    }
}

#[tokio::test]
async fn splunkd_is_reached_at_any_address_of_this_machine_and_path() {
    let splunkd = Served::start(|path| match path {
        "/splunk/servicesNS/nobody/defender_bridge/configs/conf-c/s"
        | "/servicesNS/nobody/defender_bridge/configs/conf-c/s" => entry("s", json!({"a": "1"})),
        other => refusal(404, other),
    })
    .await;
    let port = splunkd.uri().rsplit(':').next().unwrap();
    for uri in [
        format!("https://127.0.0.1:{port}/splunk"),
        format!("https://127.0.0.1:{port}/splunk/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}"),
        format!("https://0.0.0.0:{port}"),
    ] {
        let client =
            Splunkd::new(&uri, KEY.into(), &Tls::default(), Duration::from_secs(20)).unwrap();
        let stanza = client.conf("c", "s").await.unwrap();
        assert_eq!(stanza.unwrap()["a"], "1", "{uri}");
    }
}

#[test]
fn no_password_in_an_address_is_used_or_shown() {
    for uri in [
        "https://admin:hunter2@127.0.0.1:8089",
        "https://hunter2@sh1:8089",
        "ftp://a:hunter2@x",
        "//a:hunter2@x",
    ] {
        let error = Splunkd::new(uri, KEY.into(), &Tls::default(), Duration::ZERO).unwrap_err();
        assert!(matches!(error, SplunkdError::Address { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn what_tls_failed_at_is_told_apart() {
    use connection::{Lasting, lasting};
    use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};
    let signed = |id: &[u8]| {
        Error::InvalidCertificate(CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: id.to_vec(),
            supported_algorithms: Vec::new(),
        })
    };
    let md5 = [
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04,
    ];
    let mut sha1 = md5;
    sha1[10] = 5;
    for (error, expected) in [
        (signed(&sha1), Some(Lasting::Sha1)),
        (signed(&md5), Some(Lasting::Certificate)),
        (
            Error::InvalidCertificate(CertificateError::UnknownIssuer),
            Some(Lasting::Certificate),
        ),
        (
            Error::AlertReceived(AlertDescription::CertificateRequired),
            Some(Lasting::Handshake),
        ),
        (
            Error::AlertReceived(AlertDescription::HandshakeFailure),
            Some(Lasting::Handshake),
        ),
        (Error::AlertReceived(AlertDescription::CloseNotify), None),
    ] {
        let wrapped = std::io::Error::other(std::io::Error::other(error.clone()));
        assert_eq!(lasting(&wrapped), expected, "{error}");
    }
}

#[tokio::test]
async fn the_apps_own_endpoint_answers_refuses_or_is_not_there() {
    let triage = async |status: u16| {
        let splunkd = Served::start(move |path| match path {
            "/services/defender_bridge/triage" if status == 200 => (200, json!({"rows": []})),
            "/services/defender_bridge/triage" => refusal(status, "not like that"),
            other => refusal(500, other),
        })
        .await;
        let client = splunkd.client();
        client
            .call_endpoint(Route::Triage, "{}".into(), Duration::from_secs(20))
            .await
    };
    assert_eq!(triage(200).await.unwrap().unwrap(), r#"{"rows":[]}"#);
    assert!(triage(404).await.unwrap().is_none());
    for status in [400, 401, 403, 413] {
        let error = triage(status).await.unwrap_err();
        assert!(error.refused(), "{status}: {error}");
    }
    assert!(!triage(500).await.unwrap_err().refused());
    let denied = triage(403).await.unwrap_err().to_string();
    assert!(
        denied.contains("defender_triage") && denied.contains("not like that"),
        "{denied}"
    );
}

fn looked_for() -> Search<'static> {
    Search {
        what: "find events",
        user: "kim/../x@contoso.com",
        text: "search index=main | fields _raw",
        earliest: "-30d",
        latest: "now",
    }
}

#[tokio::test]
async fn a_search_is_run_once_in_the_app_and_brings_its_events() {
    let splunkd = Served::start(|_| {
        let messages =
            json!([{"type": "INFO", "text": "fast"}, {"type": "WARN", "text": "a peer is down"}]);
        let results = json!([{"_raw": "{\"a\":1}", "_time": "x"}, {"_time": "x"}]);
        (
            200,
            json!({"preview": false, "messages": messages, "results": results}),
        )
    })
    .await;
    let events = splunkd.client().search(looked_for()).await.unwrap();
    assert_eq!(events.raw, ["{\"a\":1}"]);
    assert_eq!(events.warnings, ["a peer is down"]);
    let asked = &splunkd.asked()[0];
    assert_eq!(asked.method, "POST");
    assert_eq!(
        asked.uri,
        "/servicesNS/kim%2F..%2Fx%40contoso.com/defender_bridge/search/jobs?output_mode=json"
    );
    assert_eq!(
        asked.body,
        "search=search+index%3Dmain+%7C+fields+_raw&exec_mode=oneshot&count=0&earliest_time=-30d&latest_time=now"
    );
}

#[tokio::test]
async fn a_search_that_ends_with_an_error_brings_no_half_of_its_events() {
    for answer in [
        json!({"messages": [{"type": "FATAL", "text": "It came to nothing."}], "results": [{"_raw": "{}"}]}),
        json!({"messages": [{"type": "ERROR", "text": "It came to nothing."}]}),
        json!({"messages": [{"type": "error", "text": "It came to nothing."}], "results": null}),
    ] {
        let splunkd = Served::start(move |_| (200, answer.clone())).await;
        let error = splunkd.client().search(looked_for()).await.unwrap_err();
        assert!(error.to_string().contains("It came to nothing"), "{error}");
        assert_eq!(splunkd.asked().len(), 1);
    }
}

#[tokio::test]
async fn an_error_beside_results_does_not_end_a_search_and_is_told() {
    let lookup = "Could not load lookup=LOOKUP-hosts";
    let partly = "The search results might be incomplete";
    for results in [json!([{"_raw": "a"}, {"_raw": "b"}]), json!([])] {
        let found = results.as_array().unwrap().len();
        let splunkd = Served::start(move |_| {
            let messages = json!([
                {"type": "ERROR", "text": lookup},
                {"type": "INFO", "text": "fast"},
                {"type": "WARN", "text": partly},
            ]);
            (200, json!({"messages": messages, "results": results}))
        })
        .await;
        let events = splunkd.client().search(looked_for()).await.unwrap();
        assert_eq!(events.raw.len(), found);
        assert_eq!(events.warnings, [lookup, partly]);
    }
}

#[tokio::test]
async fn what_a_search_warns_of_stays_short() {
    let splunkd = Served::start(|_| {
        let message = json!({"type": "ERROR", "text": "x ".repeat(5000)});
        let messages = vec![message; 500];
        (200, json!({"messages": messages, "results": []}))
    })
    .await;
    let events = splunkd.client().search(looked_for()).await.unwrap();
    assert!(events.warnings.concat().len() < 4000);
}

#[tokio::test]
async fn an_answer_that_the_connection_ends_is_taken_if_its_json_is_whole() {
    let answered = async |text: &'static str| {
        let broken = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let pieces = futures::stream::iter([Ok(text), Err(broken)]);
        let body = reqwest::Body::wrap_stream(pieces);
        super::answer::body(axum::http::Response::new(body).into(), 1 << 20).await
    };
    let whole = answered("{\"entry\":[]}\n").await.unwrap();
    assert_eq!(whole.unwrap(), "{\"entry\":[]}\n");
    assert!(answered("{\"entry\":[{}").await.is_err());
    assert!(answered("").await.is_err());
}

#[tokio::test]
async fn an_answer_longer_than_what_is_taken_is_given_up() {
    let answered = async |largest| {
        let body = reqwest::Body::from("{\"entry\":[]}");
        super::answer::body(axum::http::Response::new(body).into(), largest).await
    };
    assert_eq!(answered(12).await.unwrap().unwrap(), "{\"entry\":[]}");
    assert_eq!(answered(11).await.unwrap(), None);
}

/// Passes connections on to `uri`, but for the first few, which it breaks off.
async fn breaking_off(first: usize, uri: &str) -> String {
    let to = uri.trim_start_matches("https://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 0.. {
            let (mut from, _) = listener.accept().await.unwrap();
            if number >= first {
                let mut on = tokio::net::TcpStream::connect(&to).await.unwrap();
                tokio::spawn(async move {
                    drop(tokio::io::copy_bidirectional(&mut from, &mut on).await);
                });
            }
        }
    });
    front
}

#[tokio::test]
async fn what_only_reads_is_asked_again_where_the_connection_broke() {
    let splunkd = Served::start(|_| entry("s", json!({"a": "1"}))).await;
    let client = |uri: &str| {
        Splunkd::new(uri, KEY.into(), &Tls::default(), Duration::from_secs(20)).unwrap()
    };
    let front = breaking_off(2, splunkd.uri()).await;
    let stanza = client(&front).conf("c", "s").await.unwrap().unwrap();
    assert_eq!(stanza["a"], "1");
    let front = breaking_off(1, splunkd.uri()).await;
    let client = client(&front);
    let sent = client.receive(Addressing::default(), "x".into());
    let error = sent.await.unwrap_err();
    assert!(matches!(error, SplunkdError::Unreachable { .. }), "{error}");
}
