//! Sign-in against a small server of our own.

use super::*;
use crate::microsoft::account::Proxy;
use crate::microsoft::account::certificate::tests::PAIR;
use crate::microsoft::account::cloud::Cloud;
use crate::microsoft::tests::https_server::{Counterpart, Reply, hang_up, reply, token};
use crate::triage::Api;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use proptest::prelude::*;
use serde_json::json;
use tokio::process::Command;

fn sign_in(account: &Account) -> SignIn {
    let transport = Transport::new(account, Api::Graph).unwrap();
    let mut sign_in =
        SignIn::new(account, Api::Graph, &transport, &Arc::new(Usage::new())).unwrap();
    sign_in.clock = Clock::still();
    sign_in
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

async fn signed_in(sign_in: &SignIn) -> String {
    let token = sign_in.token(soon()).await.unwrap();
    token.secret.expose_secret().to_string()
}

fn refusal(code: u32) -> Reply {
    let body = format!(
        r#"{{"error":"invalid_client","error_description":"AADSTS{code}: No. Trace ID: t-1 Correlation ID: c-1 Timestamp: 2026-01-01 00:00:00Z","error_codes":[{code}],"timestamp":"2026-01-01 00:00:00Z","trace_id":"t-1","correlation_id":"c-1","error_uri":"https://login.microsoftonline.com/error?code={code}"}}"#
    );
    reply(401, &[], body)
}

#[tokio::test]
async fn a_secret_brings_a_token_at_a_url_with_a_prefix() {
    let server = Counterpart::start(|_, _| token("t", 3600)).await;
    assert_eq!(signed_in(&sign_in(&server.secret())).await, "t");
    let asked = &server.sign_ins()[0];
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.target, "/login/contoso.example/oauth2/v2.0/token");
    assert_eq!(asked.field("grant_type"), "client_credentials");
    assert_eq!(asked.field("client_id"), "app-1");
    assert_eq!(asked.field("client_secret"), "s3cr3t-Value");
    assert_eq!(asked.field("scope"), "https://graph.microsoft.com/.default");
}

#[tokio::test]
async fn the_v1_shape_of_a_token_is_understood() {
    let body = r#"{"token_type":"Bearer","expires_in":"3599","ext_expires_in":"3599","expires_on":"1700000000","not_before":"1699996400","resource":"https://graph.microsoft.com","access_token":"t1"}"#;
    let server = Counterpart::start(move |_, _| reply(200, &[], body)).await;
    let sign_in = sign_in(&server.secret());
    signed_in(&sign_in).await;
    assert_eq!(signed_in(&sign_in).await, "t1");
    assert_eq!(server.sign_ins().len(), 1);
}

#[tokio::test]
async fn a_token_is_kept_until_its_end_is_near() {
    let server = Counterpart::start(|_, nth| token(&format!("t{nth}"), 3600)).await;
    let long = sign_in(&server.secret());
    assert_eq!(signed_in(&long).await, "t0");
    assert_eq!(signed_in(&long).await, "t0");

    let server = Counterpart::start(|_, nth| token(&format!("t{nth}"), 0)).await;
    let ended = sign_in(&server.secret());
    assert_eq!(signed_in(&ended).await, "t0");
    assert_eq!(signed_in(&ended).await, "t1");
}

#[tokio::test]
async fn a_short_lived_token_is_used_for_most_of_its_life() {
    let server = Counterpart::start(|_, _| token("t", 60)).await;
    let sign_in = sign_in(&server.secret());
    let kept = sign_in.token(soon()).await.unwrap();
    let left = kept.renew_at - Instant::now();
    assert!(left > Duration::from_secs(30) && left < Duration::from_secs(60));
    signed_in(&sign_in).await;
    assert_eq!(server.sign_ins().len(), 1);
}

#[tokio::test]
async fn many_tasks_with_one_refused_token_fetch_one_new_one() {
    let server = Counterpart::start(|_, nth| token(&format!("t{nth}"), 3600)).await;
    let sign_in = sign_in(&server.secret());
    let refused = sign_in.token(soon()).await.unwrap();
    let (one, other) = tokio::join!(
        sign_in.renewed(&refused, soon()),
        sign_in.renewed(&refused, soon())
    );
    assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
    assert_eq!(server.sign_ins().len(), 2);
}

#[tokio::test]
async fn a_refusal_is_reported_at_once_with_code_advice_and_ids() {
    let server = Counterpart::start(|_, _| refusal(7000222)).await;
    let error = sign_in(&server.secret()).token(soon()).await.err().unwrap();
    let Error::SignIn {
        status,
        code,
        codes,
        message,
        traces,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(*status, 401);
    assert_eq!(code, "invalid_client");
    assert_eq!(codes, &[7000222]);
    assert_eq!(message, "AADSTS7000222: No.");
    assert_eq!(traces, "correlation id c-1, trace id t-1");
    assert!(error.advice().unwrap().contains("expired"));
    assert_eq!(error.retry(), Retry::Never);
    assert_eq!(server.sign_ins().len(), 1);
}

#[tokio::test]
async fn a_passing_fault_is_tried_again() {
    for fault in [refusal(90033), reply(503, &[], "busy"), hang_up()] {
        let server = Counterpart::start(move |_, nth| match nth {
            0 => fault.clone(),
            _ => token("t", 3600),
        })
        .await;
        assert_eq!(signed_in(&sign_in(&server.secret())).await, "t");
        assert_eq!(server.sign_ins().len(), 2);
    }
}

#[tokio::test]
async fn a_lasting_fault_is_reported_after_a_few_tries() {
    let server = Counterpart::start(|_, _| reply(500, &[], "<html>Sorry</html>")).await;
    let error = sign_in(&server.secret()).token(soon()).await.err().unwrap();
    assert!(
        error
            .to_string()
            .contains("500: no JSON, 18 bytes that are not quoted"),
        "{error}"
    );
    assert_eq!(error.retry(), Retry::Backoff);
    assert_eq!(server.sign_ins().len(), 3);
}

#[tokio::test]
async fn what_is_no_token_is_an_error_that_says_so() {
    for (body, said) in [
        ("{}", "holds no token"),
        (r#"{"access_token":""}"#, "cannot be used"),
        (r#"{"access_token":7}"#, "cannot be used"),
        (
            "<html>Log in to the guest network</html>",
            "no JSON, 40 bytes",
        ),
        ("", "an empty answer"),
    ] {
        let server = Counterpart::start(move |_, _| reply(200, &[], body)).await;
        let error = sign_in(&server.secret()).token(soon()).await.err().unwrap();
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.advice().unwrap().contains("login_url"));
    }
    let answer = [("Location", "https://elsewhere.example/")];
    let server = Counterpart::start(move |_, _| reply(302, &answer, "")).await;
    let error = sign_in(&server.secret()).token(soon()).await.err().unwrap();
    assert_eq!(error.status(), Some(302));
    assert_eq!(server.sign_ins().len(), 1);
}

#[tokio::test]
async fn no_secret_is_in_an_error_even_when_the_answer_repeats_it() {
    let server = Counterpart::start(|asked, _| {
        let body = format!(
            r#"{{"error":"invalid_client","error_description":"AADSTS7000215: {} is wrong"}}"#,
            asked.field("client_secret")
        );
        reply(401, &[], body)
    })
    .await;
    let account = server.secret();
    let sign_in = sign_in(&account);
    let error = sign_in.token(soon()).await.err().unwrap();
    assert!(matches!(&error, Error::SignIn { codes, .. } if codes == &[7000215]));
    let shown = format!("{error} {error:?} {sign_in:?} {account:?}");
    assert!(shown.contains("*** is wrong"), "{shown}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
}

/// Every form a sign-in host may repeat the credential in, wherever it can stand
/// in an answer.
#[tokio::test]
async fn no_form_of_a_secret_is_in_an_error() {
    const SECRET: &str = "s3cr3t~V\"al<u>e+/&7";
    let plain = |text: &str| text.to_string();
    let form = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let escapes = |text: &str| {
        let units = text.encode_utf16();
        units.map(|unit| format!("\\u{unit:04x}")).collect()
    };
    let html = |text: &str| quick_xml::escape::escape(text).into_owned();
    let references = |text: &str| text.bytes().map(|c| format!("&#{c};")).collect();
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let basic = |text: &str| URL_SAFE_NO_PAD.encode(format!("app-1:{text}"));
    let forms: [&(dyn Fn(&str) -> String + Sync); 7] =
        [&plain, &form, &escapes, &html, &references, &base64, &basic];
    let seen: Vec<String> = forms.iter().map(|form| form(SECRET)).collect();
    for form in &seen {
        let bodies = [
            format!("<html>POST client_id=app-1&client_secret={form}</html>"),
            format!("client_secret={form}"),
            json!({"error": form, "error_description": format!("got {form}")}).to_string(),
            json!({"error": "invalid_client", "error_description": format!("AADSTS7000215: {form}")})
                .to_string(),
            json!({"error": "invalid_client", "error_description": form, "trace_id": form,
                "correlation_id": form, "message": form})
            .to_string(),
            format!(r#"{{"error":"x","error_description":"AADSTS1: \"{}\" "}}"#, json_escaped(form)),
            json!({"message": format!("AADSTS1: {}", STANDARD.encode(form))}).to_string(),
            json!({"client_secret": form}).to_string(),
            json!([form]).to_string(),
        ];
        for body in bodies {
            let answer = body.clone();
            let server = Counterpart::start(move |_, _| reply(401, &[], answer.clone())).await;
            let account = server.account(Auth::Secret(SECRET.into()));
            let sign_in = sign_in(&account);
            let error = sign_in.token(soon()).await.err().unwrap();
            let shown = format!("{error} {error:?} {sign_in:?} {:?}", error.advice());
            for form in &seen {
                assert!(!shown.contains(form), "{form}: {body}\n{shown}");
            }
            assert!(!shown.contains(&STANDARD.encode(form)), "{body}\n{shown}");
        }
    }
}

fn json_escaped(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    text[1..text.len() - 1].to_string()
}

#[test]
fn what_is_quoted_of_an_answer_is_microsofts() {
    let echo = SentSecrets::of([SecretString::from("hunter22")]);
    let read = |body: &str, trusted| Refusal::read(body, &echo, trusted);
    let entra = r#"{"error":"invalid_client","error_description":"AADSTS7000222: The keys are expired. Trace ID: t-1","trace_id":"t-1"}"#;
    let refusal = read(entra, false);
    assert_eq!(refusal.message, "AADSTS7000222: The keys are expired.");
    assert_eq!(
        (refusal.code.as_str(), refusal.codes),
        ("invalid_client", vec![7000222])
    );
    assert_eq!(refusal.traces, "trace id t-1");
    let foreign = r#"{"error":"no good","error_description":"Sign in at http://x"}"#;
    let refusal = read(foreign, false);
    assert_eq!(refusal.code, "");
    assert!(!refusal.message.contains("http"), "{}", refusal.message);
    assert_eq!(read(foreign, true).message, "Sign in at http://x");
    // Its number stays, for the advice.
    let repeated =
        r#"{"error":"invalid_client","error_description":"AADSTS7000215: hunter%32%32"}"#;
    let refusal = read(repeated, true);
    assert_eq!(refusal.codes, [7000215]);
    assert_eq!(refusal.message, NOT_QUOTED);
}

fn certificate(server: &Counterpart) -> Account {
    server.account(Auth::Certificate(PAIR.pem.as_str().into()))
}

#[tokio::test]
async fn a_certificate_signs_in_with_ps256() {
    let server = Counterpart::start(|_, _| token("t", 3600)).await;
    let account = certificate(&server);
    signed_in(&sign_in(&account)).await;
    let asked = &server.sign_ins()[0];
    assert_eq!(
        asked.field("client_assertion_type"),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert_eq!(asked.field("client_secret"), "");
    let assertion = asked.field("client_assertion");
    let mut validation = Validation::new(Algorithm::PS256);
    validation.set_audience(&[server.url.join(&asked.target).unwrap()]);
    validation.set_issuer(&["app-1"]);
    let key = DecodingKey::from_rsa_der(&PAIR.public);
    jsonwebtoken::decode::<serde_json::Value>(&assertion, &key, &validation).unwrap();
    let shown = format!("{account:?} {:?}", sign_in(&account));
    assert!(!shown.contains("PRIVATE"), "{shown}");
}

#[tokio::test]
async fn a_service_that_knows_only_rs256_gets_it_from_the_second_try_on() {
    let server = Counterpart::start(|asked, _| {
        let header = jsonwebtoken::decode_header(asked.field("client_assertion")).unwrap();
        match header.alg {
            Algorithm::RS256 if header.x5t.is_some() => token("t", 0),
            _ => refusal(700027),
        }
    })
    .await;
    let sign_in = sign_in(&certificate(&server));
    signed_in(&sign_in).await;
    assert_eq!(server.sign_ins().len(), 2);
    signed_in(&sign_in).await;
    assert_eq!(server.sign_ins().len(), 3);
}

#[tokio::test]
async fn an_unknown_certificate_is_refused_after_both_forms() {
    let server = Counterpart::start(|_, _| refusal(700027)).await;
    let error = sign_in(&certificate(&server))
        .token(soon())
        .await
        .err()
        .unwrap();
    assert!(error.advice().unwrap().contains("public certificate"));
    assert_eq!(server.sign_ins().len(), 2);

    let server = Counterpart::start(|_, _| refusal(700016)).await;
    sign_in(&certificate(&server))
        .token(soon())
        .await
        .err()
        .unwrap();
    assert_eq!(server.sign_ins().len(), 1);
}

/// Set in a process started by [`rerun`].
const AGAIN: &str = "DEFENDER_BRIDGE_TEST_AGAIN";

/// Runs one test of this binary once more with other environment variables:
/// platforms hand identities over by them, and a process cannot safely change its own.
async fn rerun(test: &str, variables: &[(&str, &str)]) {
    let (_, room) = module_path!().split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{room}::{test}")])
        .env(AGAIN, "1")
        .envs(variables.iter().copied())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[tokio::test]
async fn app_service_hands_out_tokens_of_its_managed_identity() {
    if std::env::var_os(AGAIN).is_some() {
        let server = Counterpart::start(|_, _| hang_up()).await;
        let account = server.account(Auth::ManagedIdentity);
        assert_eq!(signed_in(&sign_in(&account)).await, "mi");
        return assert!(server.asked().is_empty());
    }
    let server = Counterpart::plain(|_, _| {
        let body = r#"{"access_token":"mi","expires_on":"4000000000","resource":"https://graph.microsoft.com","token_type":"Bearer","client_id":"x"}"#;
        reply(200, &[], body)
    })
    .await;
    let endpoint = server.url.join("/msi/token").unwrap();
    rerun(
        "app_service_hands_out_tokens_of_its_managed_identity",
        &[
            ("IDENTITY_ENDPOINT", endpoint.as_str()),
            ("IDENTITY_HEADER", "the-header"),
            // Neither sign-in nor API ever listens to these.
            ("http_proxy", "http://127.0.0.1:1"),
            ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ],
    )
    .await;
    let asked = &server.asked()[0];
    assert_eq!(asked.method, "GET");
    assert_eq!(
        asked.target,
        "/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fgraph.microsoft.com&client_id=app-1"
    );
    assert_eq!(asked.header("x-identity-header"), "the-header");
}

/// The metadata service has a fixed address; here a proxy leads astray to it.
fn on_a_virtual_machine(server: &Counterpart, account: &Account) -> SignIn {
    let astray = Account {
        proxy: Some(Proxy {
            url: server.url.clone(),
            username: None,
            password: None,
            no_proxy: String::new(),
        }),
        ..account.clone()
    };
    SignIn {
        transport: Transport::new(&astray, Api::Graph).unwrap(),
        ..sign_in(account)
    }
}

#[tokio::test]
async fn a_virtual_machine_hands_out_tokens_of_its_managed_identity() {
    let server = Counterpart::plain(|_, nth| match nth {
        // IMDS says 404 while it starts.
        0 => reply(404, &[], ""),
        _ => reply(
            200,
            &[],
            r#"{"access_token":"vm","expires_in":"86399","expires_on":"4000000000","resource":"https://graph.microsoft.com","token_type":"Bearer"}"#,
        ),
    })
    .await;
    let account = Account {
        client_id: String::new(),
        ..server.account(Auth::ManagedIdentity)
    };
    assert_eq!(
        signed_in(&on_a_virtual_machine(&server, &account)).await,
        "vm"
    );
    let asked = &server.asked()[1];
    assert_eq!(
        asked.target,
        "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2019-08-01&resource=https%3A%2F%2Fgraph.microsoft.com"
    );
    assert_eq!(asked.header("metadata"), "true");
}

#[tokio::test]
async fn a_machine_without_identity_says_what_to_do() {
    let server = Counterpart::plain(|_, _| {
        reply(
            400,
            &[],
            r#"{"error":"invalid_request","error_description":"Identity not found"}"#,
        )
    })
    .await;
    let account = server.account(Auth::ManagedIdentity);
    let sign_in = on_a_virtual_machine(&server, &account);
    let error = sign_in.token(soon()).await.err().unwrap();
    assert!(error.to_string().contains("Identity not found"), "{error}");
    assert!(
        error
            .advice()
            .unwrap()
            .contains("assign a managed identity")
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_workload_identity_sends_the_platforms_assertion() {
    if std::env::var_os(AGAIN).is_some() {
        let server = Counterpart::start(|_, _| token("wi", 3600)).await;
        let account = server.account(Auth::WorkloadIdentity);
        assert_eq!(signed_in(&sign_in(&account)).await, "wi");
        let asked = &server.sign_ins()[0];
        assert_eq!(asked.field("client_assertion"), "federated.jwt.text");
        return assert_eq!(asked.target, "/login/contoso.example/oauth2/v2.0/token");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "federated.jwt.text\n").unwrap();
    rerun(
        "a_workload_identity_sends_the_platforms_assertion",
        &[("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap())],
    )
    .await;
}

#[tokio::test]
async fn a_workload_identity_without_its_platform_is_a_setting() {
    let server = Counterpart::start(|_, _| hang_up()).await;
    let account = server.account(Auth::WorkloadIdentity);
    let error = sign_in(&account).token(soon()).await.err().unwrap();
    assert!(
        matches!(&error, Error::Setting { what, .. } if what.contains("token file")),
        "{error}"
    );
}

#[test]
fn an_unusable_certificate_is_a_setting() {
    let account = Account {
        auth: Auth::Certificate("nonsense".into()),
        name: "lab".to_string(),
        tenant_id: "t".to_string(),
        client_id: "c".to_string(),
        cloud: Cloud::Commercial,
        ca_file: None,
        proxy: None,
        read_only: false,
    };
    let transport = Transport::new(&account, Api::Graph).unwrap();
    let error = SignIn::new(&account, Api::Graph, &transport, &Arc::new(Usage::new())).unwrap_err();
    assert!(
        error.to_string().starts_with("account lab: certificate: "),
        "{error}"
    );
}

#[test]
fn an_answer_that_holds_a_token_is_never_quoted() {
    for body in [
        "access_token=eyJ.secret&expires_in=3599",
        "\u{feff}{\"access_token\":\"eyJ.secret\"",
    ] {
        let refusal = Refusal::read(body, &SentSecrets::default(), true);
        assert!(!refusal.message.contains("secret"), "{}", refusal.message);
    }
}

proptest! {
    #[test]
    fn no_answer_makes_reading_it_fall(body in r#"[\{\}\[\]":,a-zA-Z0-9_\\ ]{0,80}|.{0,80}"#, code in any::<u64>()) {
        let echo = SentSecrets::of([SecretString::from("s3cr3t-Value")]);
        Refusal::read(&body, &echo, true);
        let known = format!(r#"{{"error_codes":[{code},"x",-1],"error_description":"AADSTS{code}"}}"#);
        let known = Refusal::read(&known, &echo, false);
        prop_assert_eq!(known.codes.first().copied(), u32::try_from(code).ok());
        roles(&body.into());
    }
}
