//! The client against a small server of our own.

use super::*;
use crate::microsoft::account::cloud::{Cloud, Hosts};
use crate::microsoft::account::{Auth, Proxy};
use crate::microsoft::tests::https_server::{Asked, Counterpart, Reply, Tunnels, hang_up, reply};
use crate::triage::Api;
use proptest::prelude::*;

fn client(account: &Account) -> Client {
    Client::new(account, Api::Graph, None).unwrap().still()
}

/// Refuses every call in the same way.
async fn refusing(answer: Reply) -> (Counterpart, Client) {
    let server = Counterpart::api(move |_, _| answer.clone()).await;
    let client = client(&server.secret());
    (server, client)
}

/// Refuses the first call only.
async fn refusing_once(answer: Reply) -> (Counterpart, Client) {
    let server = Counterpart::api(move |_, nth| match nth {
        0 => answer.clone(),
        _ => reply(200, &[], "fine"),
    })
    .await;
    let client = client(&server.secret());
    (server, client)
}

async fn post(client: &Client) -> Result<Answer, Error> {
    client
        .write(Method::POST, "/comments", "{}", Quota::Calls(1))
        .await
}

async fn patch(client: &Client) -> Result<Answer, Error> {
    client
        .write(Method::PATCH, "/alerts/1", "{}", Quota::Calls(1))
        .await
}

#[tokio::test]
async fn a_call_carries_token_prefix_and_names() {
    let server = Counterpart::api(|_, _| {
        reply(
            206,
            &[("request-id", "r-1"), ("Warning", "199 - \"Provider/504\"")],
            "[]",
        )
    })
    .await;
    let client = client(&server.secret());
    let answer = client.get("/v1.0/security/alerts_v2?$top=1").await.unwrap();
    assert_eq!(answer.status, 206);
    assert_eq!(answer.body, b"[]");
    assert_eq!(answer.request_id.as_deref(), Some("r-1"));
    assert_eq!(answer.warning.as_deref(), Some("199 - \"Provider/504\""));
    assert_eq!(answer.attempts, 1);
    let asked = &server.calls()[0];
    assert_eq!(asked.target, "/graph/v1.0/security/alerts_v2?$top=1");
    assert_eq!(asked.header("authorization"), "Bearer token-0");
    assert_eq!(asked.header("prefer"), "include-unknown-enum-members");
    assert_eq!(asked.header("accept-encoding"), "gzip");
    assert!(
        asked
            .header("user-agent")
            .starts_with("GraphPartner-DefenderBridge-")
    );
    assert!(Uuid::parse_str(asked.header("client-request-id")).is_ok());
}

#[tokio::test]
async fn one_token_serves_many_calls_and_each_has_an_id_of_its_own() {
    let server = Counterpart::api(|_, _| reply(200, &[], "{}")).await;
    let client = client(&server.secret());
    for _ in 0..3 {
        client.clone().get("/x").await.unwrap();
    }
    assert_eq!(server.sign_ins().len(), 1);
    let ids: std::collections::HashSet<String> = server
        .calls()
        .iter()
        .map(|asked| asked.header("client-request-id").to_string())
        .collect();
    assert_eq!(ids.len(), 3);
    let calls = client.calls();
    assert_eq!((calls.calls, calls.tokens, calls.bytes), (3, 1, 6));
}

#[tokio::test]
async fn only_graph_gets_the_prefer_header_and_each_api_has_its_paths() {
    let server = Counterpart::api(|_, _| reply(200, &[], "{}")).await;
    for (api, path) in [(Api::Mde, "/mde/api/alerts"), (Api::Xdr, "/api/alerts")] {
        let client = Client::new(&server.secret(), api, None).unwrap();
        client.get("/api/alerts").await.unwrap();
        let asked = server.calls().pop().unwrap();
        assert_eq!(asked.target, path);
        assert_eq!(asked.header("prefer"), "");
    }
    let scopes: Vec<String> = server
        .sign_ins()
        .iter()
        .map(|asked| asked.field("scope"))
        .collect();
    assert_eq!(
        scopes,
        [
            "https://api.securitycenter.microsoft.com/.default",
            "https://api.security.microsoft.com/.default"
        ]
    );
}

#[tokio::test]
async fn a_path_cannot_lead_to_another_host() {
    let server = Counterpart::api(|_, _| reply(200, &[], "{}")).await;
    let client = client(&server.secret());
    for path in ["@evil.example/", "x", "", "https://evil.example/"] {
        assert!(matches!(client.get(path).await, Err(Error::Setting { .. })));
    }
    client.get("//evil.example/x").await.unwrap();
    assert_eq!(server.calls()[0].target, "/graph//evil.example/x");
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let server = Counterpart::api(|asked, _| match asked.header("authorization") {
        "Bearer token-0" => reply(401, &[], "{}"),
        _ => reply(200, &[], "fine"),
    })
    .await;
    let client = client(&server.secret());
    assert_eq!(client.get("/x").await.unwrap().attempts, 2);
    client.get("/x").await.unwrap();
    assert_eq!(server.sign_ins().len(), 2);
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test]
async fn a_second_401_is_final_and_the_token_is_in_no_error() {
    let server = Counterpart::api(|asked, _| {
        let echo = format!(
            r#"{{"error":{{"code":"InvalidAuthenticationToken","message":"bad {}","innerError":{{"request-id":"r-9"}}}}}}"#,
            asked.header("authorization")
        );
        reply(401, &[], echo)
    })
    .await;
    let client = client(&server.secret());
    let error = client.get("/x").await.unwrap_err();
    assert!(
        matches!(&error, Error::Service { status: 401, code, attempts: 2, .. }
        if code == "InvalidAuthenticationToken")
    );
    assert_eq!(error.request_id(), Some("r-9"));
    assert!(error.advice().is_some());
    let shown = format!("{error} {error:?} {client:?}");
    assert!(shown.contains("Bearer ***"), "{shown}");
    assert!(
        !shown.contains("token-1") && !shown.contains("s3cr3t"),
        "{shown}"
    );
    assert_eq!(server.sign_ins().len(), 2);
}

#[tokio::test]
async fn too_many_calls_are_waited_for_as_asked() {
    let (server, client) = refusing_once(reply(429, &[("Retry-After", "1")], "{}")).await;
    assert_eq!(client.get("/x").await.unwrap().attempts, 2);
    let calls = client.calls();
    assert_eq!((calls.throttles, calls.retries, calls.calls), (1, 1, 2));
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn a_wait_past_the_deadline_is_an_error_that_tells_it() {
    let sentence =
        r#"{"statusCode":429,"message":"Rate limit is exceeded. Try again in 23 seconds."}"#;
    let date = [
        ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Retry-After", "Sun, 06 Nov 1994 08:50:00 GMT"),
    ];
    for answer in [reply(429, &[], sentence), reply(429, &date, "")] {
        let (server, client) = refusing(answer).await;
        let client = client.patience(Duration::from_secs(5));
        let error = client.get("/x").await.unwrap_err();
        assert!(
            matches!(&error, Error::Throttled { retry_after, .. } if retry_after.as_secs() == 23),
            "{error}"
        );
        assert_eq!(server.calls().len(), 1);
        // The next call of this client knows already.
        assert!(matches!(
            client.get("/x").await,
            Err(Error::Throttled { .. })
        ));
        assert_eq!(server.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_throttled_query_holds_back_no_other_call() {
    let server = Counterpart::api(|asked, _| match asked.target.ends_with("/query") {
        true => reply(429, &[("retry-after", "900")], "{}"),
        false => reply(200, &[], "{}"),
    })
    .await;
    let client = client(&server.secret()).patience(Duration::from_secs(60));
    let error = client.query("/query", "{}").await.unwrap_err();
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(900)));
    client.get("/x").await.unwrap();
    client
        .write(Method::PATCH, "/x", "{}", Quota::Calls(1))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_throttled_process_holds_back_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let server = Counterpart::api(|_, _| reply(429, &[("Retry-After", "60")], "")).await;
    let client = || {
        Client::new(&server.secret(), Api::Graph, Some(folder.path()))
            .unwrap()
            .still()
            .patience(Duration::from_secs(2))
    };
    assert!(matches!(
        client().get("/x").await,
        Err(Error::Throttled { .. })
    ));
    assert!(matches!(
        post(&client()).await,
        Err(Error::Throttled { .. })
    ));
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn passing_faults_are_tried_again_and_lasting_ones_reported() {
    let (_server, client) = refusing_once(reply(503, &[("Retry-After", "1")], "")).await;
    assert_eq!(client.get("/x").await.unwrap().attempts, 2);
    let (server, client) = refusing(reply(
        500,
        &[("request-id", "r-5")],
        r#"{"error":{"code":"InternalServerError","message":"oops"}}"#,
    ))
    .await;
    let error = client.get("/x").await.unwrap_err();
    assert!(matches!(
        &error,
        Error::Service {
            status: 500,
            attempts: 3,
            ..
        }
    ));
    assert_eq!(error.request_id(), Some("r-5"));
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test]
async fn a_refused_ask_is_not_repeated() {
    let body = r#"{"error":{"code":"BadRequest","message":"Invalid  page\n size","target":"|1"}}"#;
    let (server, client) = refusing(reply(400, &[], body)).await;
    let error = client.get("/x").await.unwrap_err();
    assert!(
        matches!(&error, Error::Service { status: 400, code, message, .. }
        if code == "BadRequest" && message == "Invalid page size")
    );
    assert_eq!(server.calls().len(), 1);
    let (_server, client) = refusing(reply(404, &[], "<html>gone</html>")).await;
    let error = client.get("/x").await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("answered 404: <html>gone</html>"),
        "{error}"
    );
}

#[tokio::test]
async fn what_appends_is_never_sent_twice_when_the_outcome_is_uncertain() {
    for answer in [
        reply(500, &[], ""),
        reply(503, &[], ""),
        reply(504, &[], ""),
        hang_up(),
    ] {
        let (server, client) = refusing_once(answer.clone()).await;
        let error = post(&client).await.unwrap_err();
        assert!(error.uncertain(), "{error}");
        assert_eq!(server.calls().len(), 1);

        let (server, client) = refusing_once(answer.clone()).await;
        client
            .write_once(Method::PATCH, "/x", "{}", Quota::Calls(1))
            .await
            .unwrap_err();
        assert_eq!(server.calls().len(), 1);

        let (server, client) = refusing_once(answer).await;
        assert_eq!(patch(&client).await.unwrap().attempts, 2);
        assert_eq!(server.calls().len(), 2);
    }
}

#[tokio::test]
async fn what_appends_is_sent_again_when_nothing_can_have_happened() {
    let throttled = reply(429, &[("Retry-After", "0")], "");
    let (server, client) = refusing_once(throttled).await;
    assert_eq!(post(&client).await.unwrap().attempts, 2);
    let asked = server.calls().pop().unwrap();
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.body, "{}");
    assert_eq!(asked.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_query_is_sent_again_to_a_service_that_was_unavailable() {
    let (server, client) = refusing_once(reply(503, &[], "")).await;
    client.query("/x", "{}").await.unwrap();
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn a_read_only_account_writes_nothing() {
    let server = Counterpart::api(|_, _| reply(200, &[], "{}")).await;
    let account = Account {
        read_only: true,
        ..server.secret()
    };
    let client = client(&account);
    assert!(matches!(patch(&client).await, Err(Error::ReadOnly { .. })));
    client.get("/x").await.unwrap();
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_refused_and_its_state_not_shown() {
    let target = "https://elsewhere.example/login?state=abc";
    let (server, client) = refusing(reply(302, &[("Location", target)], "")).await;
    let error = client.get("/x").await.unwrap_err();
    assert!(matches!(&error, Error::Foreign { location, .. }
        if location == "https://elsewhere.example/login"));
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    let (server, client) = refusing(Reply {
        bytes: b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"value\":[".to_vec(),
        last: true,
        rude: false,
    })
    .await;
    let error = client.get("/x").await.unwrap_err();
    assert!(matches!(error, Error::Truncated { got: 10, .. }), "{error}");
    assert_eq!(server.calls().len(), 3);

    let (_server, client) = refusing_once(Reply {
        bytes: b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"val".to_vec(),
        last: true,
        rude: false,
    })
    .await;
    assert_eq!(client.get("/x").await.unwrap().body, b"fine");
}

#[tokio::test]
async fn http2_serves_whole_bodies_and_betrays_cut_ones() {
    use axum::body::Body;
    use axum::routing::{get, post};
    use futures::StreamExt;
    let token = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"t"}"#;
    let router = axum::Router::new()
        .route(
            "/login/{tenant}/oauth2/v2.0/token",
            post(move || async move { token }),
        )
        .route("/graph/whole", get(|| async { "x".repeat(3_000_000) }))
        .route(
            "/graph/cut",
            get(|| async {
                let start = futures::stream::iter([Ok("start")]);
                // Later than the head, or there is no answer at all.
                let cut = futures::stream::once(async {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    Err(std::io::Error::other("cut"))
                });
                Body::from_stream(start.chain(cut))
            }),
        );
    let server = Counterpart::http2(router).await;
    let client = client(&server.secret());
    assert_eq!(client.get("/whole").await.unwrap().body.len(), 3_000_000);
    let error = client.get("/cut").await.unwrap_err();
    assert!(matches!(error, Error::Truncated { .. }), "{error}");
}

fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_compressed_body_is_opened_and_its_end_checked() {
    let text = "alert ".repeat(50_000);
    let packed = gzip(text.as_bytes());
    let whole = reply(200, &[("Content-Encoding", "gzip")], &packed);
    let (_server, client) = refusing(whole).await;
    for _ in 0..2 {
        assert_eq!(client.get("/x").await.unwrap().body, text.as_bytes());
    }
    assert_eq!(client.calls().bytes, 2 * text.len() as u64);
    let cut = &packed[..packed.len() / 2];
    let cut = reply(200, &[("Content-Encoding", "gzip")], cut);
    let (_server, client) = refusing(cut).await;
    let error = client.get("/x").await.unwrap_err();
    assert!(matches!(error, Error::Truncated { .. }), "{error}");
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_refused_before_and_while_it_is_read() {
    let packed = gzip(&vec![b' '; 300_000]);
    for answer in [
        reply(200, &[], vec![b' '; 200_001]),
        reply(200, &[("Content-Encoding", "gzip")], packed),
    ] {
        let (server, mut client) = refusing(answer).await;
        Arc::get_mut(&mut client.inner).unwrap().cap = 200_000;
        let error = client.get("/x").await.unwrap_err();
        assert!(matches!(error, Error::BodyTooLarge { cap: 200_000, .. }));
        assert_eq!(server.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_body_is_read_into_one_buffer_that_is_never_copied() {
    let body = vec![b'x'; 3_000_000];
    let packed = gzip(&body);
    let (_server, client) = refusing(reply(200, &[("Content-Encoding", "gzip")], packed)).await;
    let answer = client.get("/x").await.unwrap();
    assert_eq!(answer.body, body);
    assert!(answer.body.capacity() >= crate::microsoft::http::body::CAP);
}

#[tokio::test]
async fn the_road_leads_through_a_proxy_with_a_password() {
    let server = Counterpart::api(|_, _| reply(200, &[], "fine")).await;
    let tunnels = Tunnels::start(Some(("splunk", "pa:ss"))).await;
    let with = |password: Option<&str>, no_proxy: &str| Account {
        proxy: Some(Proxy {
            url: tunnels.url.clone(),
            username: password.map(|_| "splunk".to_string()),
            password: password.map(Into::into),
            no_proxy: no_proxy.to_string(),
        }),
        ..server.secret()
    };
    client(&with(Some("pa:ss"), "")).get("/x").await.unwrap();
    let place = place(&server.url);
    assert!(tunnels.opened.lock().unwrap().iter().all(|to| *to == place));
    let opened = tunnels.opened.lock().unwrap().len();
    assert!(opened > 0);

    client(&with(None, "localhost, 127.0.0.0/8"))
        .get("/x")
        .await
        .unwrap();
    assert_eq!(tunnels.opened.lock().unwrap().len(), opened);

    let client = client(&with(Some("wrong-pass"), ""));
    let error = client.get("/x").await.unwrap_err();
    assert!(error.to_string().contains("407"), "{error}");
    assert!(error.advice().unwrap().contains("username and password"));
    let shown = format!("{error:?} {client:?} {:?}", with(Some("wrong-pass"), ""));
    assert!(!shown.contains("wrong-pass"), "{shown}");
}

#[tokio::test]
async fn a_proxy_gets_name_and_password_as_they_stand() {
    for (user, password) in [
        ("u", "p%41w"),
        ("u%20", "100%"),
        ("dom\\an na", "a/b?c#d@e:f"),
        ("us@er", "%%25+&=;"),
        ("schlüssel", "🔑 ~\"'"),
        ("u", ""),
    ] {
        let server = Counterpart::api(|_, _| reply(200, &[], "fine")).await;
        let tunnels = Tunnels::start(Some((user, password))).await;
        let account = Account {
            proxy: Some(Proxy {
                url: tunnels.url.clone(),
                username: Some(user.to_string()),
                password: Some(password.into()),
                no_proxy: String::new(),
            }),
            ..server.secret()
        };
        let answer = client(&account).get("/x").await;
        assert!(answer.is_ok(), "{user} {password}: {:?}", answer.err());
        assert!(!tunnels.opened.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn network_faults_say_what_to_do() {
    let server = Counterpart::api(|_, _| reply(200, &[], "fine")).await;
    let untrusted = Account {
        ca_file: None,
        ..server.secret()
    };
    let error = client(&untrusted).get("/x").await.unwrap_err();
    assert!(
        error.advice().unwrap_or("none").contains("ca_file"),
        "{error:?}"
    );
    assert_eq!(error.retry(), Retry::Never);

    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let at = |url: &str| {
        let url = Url::parse(url).unwrap();
        Account {
            cloud: Cloud::Custom(Box::new(Hosts {
                login: Some(url.clone()),
                graph: Some(url.clone()),
                mde: None,
                xdr: None,
            })),
            ..server.secret()
        }
    };
    let error = client(&at(&format!("https://127.0.0.1:{closed}")))
        .get("/x")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!error.uncertain());

    let error = client(&at("https://no-such-host.invalid")).get("/x").await;
    let error = error.unwrap_err();
    assert!(
        error.advice().unwrap_or("none").contains("DNS"),
        "{error:?}"
    );
}

#[test]
fn an_api_that_a_custom_cloud_does_not_have_is_a_setting() {
    let url = Url::parse("https://lab.example").unwrap();
    let account = Account {
        name: "lab".to_string(),
        tenant_id: "t".to_string(),
        client_id: "c".to_string(),
        auth: Auth::ManagedIdentity,
        cloud: Cloud::Custom(Box::new(Hosts {
            login: Some(url.clone()),
            graph: Some(url),
            mde: None,
            xdr: None,
        })),
        ca_file: None,
        proxy: None,
        read_only: false,
    };
    client(&account);
    let error = Client::new(&account, Api::Mde, None).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("account lab: mde_url: missing"),
        "{error}"
    );
}

#[tokio::test]
async fn an_unusable_ca_file_is_named() {
    let server = Counterpart::api(|_, _| reply(200, &[], "fine")).await;
    let folder = tempfile::tempdir().unwrap();
    let refusal = |name: &str, content: Option<&str>| {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let account = Account {
            ca_file: Some(path),
            ..server.secret()
        };
        let error = Client::new(&account, Api::Graph, None).unwrap_err();
        error.to_string()
    };
    assert!(refusal("missing.pem", None).contains("missing.pem cannot be read"));
    assert!(refusal("empty.pem", Some("")).contains("holds no certificate"));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(refusal("broken.pem", Some(broken)).contains("account lab"));
}

#[tokio::test]
async fn the_difference_of_the_clocks_is_known_after_an_answer() {
    let date = [("Date", "Sun, 06 Nov 1994 08:49:37 GMT")];
    let (_server, client) = refusing(reply(200, &date, "{}")).await;
    assert_eq!(client.skew(), None);
    client.get("/x").await.unwrap();
    assert!(client.skew().unwrap() > 900_000_000);
}

#[tokio::test]
async fn the_time_there_is_no_later_than_an_answer_says_and_goes_on() {
    let date = [("Date", "Sun, 06 Nov 1994 08:49:37 GMT")];
    let (_server, client) = refusing(reply(200, &date, "{}")).await;
    assert_eq!(client.time_there(), None);
    let asked = std::time::Instant::now();
    client.get("/x").await.unwrap();
    let said: jiff::Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
    let since = client.time_there().unwrap().duration_since(said);
    let longest = jiff::SignedDuration::try_from(asked.elapsed()).unwrap();
    assert!(!since.is_negative() && since <= longest, "{since}");
}

#[test]
fn every_shape_of_error_body_is_understood() {
    let read = |body: &str| {
        let said = ErrorBody::read(body);
        (said.code, said.message, said.request_id)
    };
    let row = |code: &str, message: &str, id: Option<&str>| {
        (
            code.to_string(),
            message.to_string(),
            id.map(str::to_string),
        )
    };
    assert_eq!(
        read(r#"{"error":{"code":"Forbidden","message":"no","innerError":{"request-id":"r"}}}"#),
        row("Forbidden", "no", Some("r"))
    );
    assert_eq!(
        read(r#"{"statusCode":429,"message":"slow"}"#),
        row("", "slow", None)
    );
    assert_eq!(
        read(r#"{"error":"unauthorized"}"#),
        row("unauthorized", "no reason given", None)
    );
    assert_eq!(read(""), row("", "no reason given", None));
    assert_eq!(read("a\n b"), row("", "a b", None));
}

proptest! {
    #[test]
    fn no_error_body_makes_it_fall(body in r#"[\{\}\[\]":,a-z0-9\\ ]{0,60}|.{0,60}"#) {
        let said = ErrorBody::read(&body);
        prop_assert!(!said.message.is_empty());
        prop_assert!(!said.message.contains('\n'));
    }
}

#[tokio::test]
async fn roles_are_read_from_the_token() {
    use base64::Engine;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = engine.encode(r#"{"aud":"x","roles":["SecurityAlert.Read.All"]}"#);
    let server = Counterpart::start(move |_: &Asked, _| {
        crate::microsoft::tests::https_server::token(&format!("h.{payload}.s"), 60)
    })
    .await;
    let roles = client(&server.secret()).permissions().await.unwrap();
    assert_eq!(roles, ["SecurityAlert.Read.All"]);
    let opaque = Counterpart::api(|_, _| reply(200, &[], "")).await;
    let roles = client(&opaque.secret()).permissions().await.unwrap();
    assert!(roles.is_empty());
}

/// A body that only the end of the connection ends, and that end without a word of TLS.
fn rude(body: &str, headers: &str) -> Reply {
    Reply {
        bytes: format!("HTTP/1.1 200 X\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes(),
        last: true,
        rude: true,
    }
}

#[tokio::test]
async fn a_body_that_the_connection_ends_is_taken_if_its_json_is_whole() {
    for whole in ["{}", "\u{feff}{}", "{\"value\":[{\"id\":\"}\"}]}\r\n"] {
        let (_server, client) = refusing(rude(whole, "")).await;
        assert_eq!(client.get("/x").await.unwrap().body, whole.as_bytes());
    }
    for (cut, headers) in [
        ("", ""),
        ("{\"value\":[{\"id\":1}", ""),
        ("[]", ""),
        ("{}", "content-length: 3\r\n"),
        ("2\r\n{}", "transfer-encoding: chunked\r\n"),
    ] {
        let (_server, client) = refusing(rude(cut, headers)).await;
        let error = client.get("/x").await.unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{cut}: {error}");
    }
}
