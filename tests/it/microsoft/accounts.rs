//! Every way an account signs in, and what lies between it and Microsoft.

use crate::counterpart::index::Arrivals;
use crate::counterpart::proxy::Proxy;
use crate::counterpart::signin::{AppService, CLIENT_ID, CLIENT_SECRET, Certificate, Proof};
use crate::counterpart::tenant::{PROXIED_HOST, recent};
use crate::counterpart::{Feed, Object, Splunkd, Tenant};

const FEED: Feed = Feed::GraphAlerts;

fn holding_some() -> (Tenant, Vec<Object>) {
    let objects = recent(FEED, 25);
    (Tenant::holding(FEED, objects.clone()), objects)
}

#[test]
fn a_secret_kept_in_pieces_is_put_together() {
    let (tenant, objects) = holding_some();
    for length in [255, 256, 700] {
        let secret: String = ('!'..='~').cycle().take(length).collect();
        tenant.sign_in(|sign_in| sign_in.proof = Proof::Secret(secret.clone()));
        let splunkd = Splunkd::reading(&tenant, FEED);
        splunkd.set_password("contoso", &secret);
        Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    }
}

#[test]
fn more_than_nine_pieces_are_put_together_in_order() {
    let (tenant, objects) = holding_some();
    let secret: String = (0..1000).map(|number| format!("{number:04}")).collect();
    tenant.sign_in(|sign_in| sign_in.proof = Proof::Secret(secret.clone()));
    let splunkd = Splunkd::reading(&tenant, FEED);
    splunkd.set_password("contoso", &secret);
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
}

#[test]
fn the_secret_of_another_account_is_not_taken() {
    let (tenant, objects) = holding_some();
    let splunkd = Splunkd::reading(&tenant, FEED);
    for (user, value) in [
        ("contos", "x"),
        ("contoso2", "y"),
        ("contoso-old#1", "z"),
        ("Contoso", "w"),
    ] {
        splunkd.set_password(user, value);
    }
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
}

fn with_certificate(tenant: &Tenant, certificate: &Certificate) -> Splunkd {
    let splunkd = Splunkd::reading(tenant, FEED);
    splunkd.set("account", "contoso", "auth", "certificate");
    splunkd.set_password("contoso", &certificate.pem);
    splunkd
}

#[test]
fn a_certificate_signs_in_with_ps256() {
    let (tenant, objects) = holding_some();
    let certificate = Certificate::new();
    tenant.sign_in(|sign_in| {
        sign_in.proof = certificate.proof(jsonwebtoken::Algorithm::PS256);
    });
    Arrivals::of(&with_certificate(&tenant, &certificate).run().well()).are_exactly(&objects);
    assert_eq!(tenant.token_calls().len(), 1);
}

#[test]
fn a_certificate_falls_back_to_rs256_where_ps256_is_refused() {
    let (tenant, objects) = holding_some();
    let certificate = Certificate::new();
    tenant.sign_in(|sign_in| {
        sign_in.proof = certificate.proof(jsonwebtoken::Algorithm::RS256);
    });
    let run = with_certificate(&tenant, &certificate).run();
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    Arrivals::of(&run).are_exactly(&objects);
}

#[test]
fn a_certificate_the_app_does_not_know_is_refused_with_advice() {
    let (tenant, _) = holding_some();
    tenant.sign_in(|sign_in| {
        sign_in.proof = Certificate::new().proof(jsonwebtoken::Algorithm::PS256);
    });
    let run = with_certificate(&tenant, &Certificate::new()).run();
    let line = run.refusal();
    assert!(
        line.contains("700027") && line.contains("certificate"),
        "{line}"
    );
}

#[test]
fn a_key_that_is_none_is_refused_by_its_account() {
    let (tenant, _) = holding_some();
    for text in [
        "x",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ] {
        let splunkd = Splunkd::reading(&tenant, FEED);
        splunkd.set("account", "contoso", "auth", "certificate");
        splunkd.set_password("contoso", text);
        let run = splunkd.run();
        let line = run.refusal();
        assert!(
            line.contains("contoso") && line.contains("private key"),
            "{line}"
        );
    }
}

#[test]
fn a_managed_identity_of_app_service_signs_in() {
    let (tenant, objects) = holding_some();
    let service = AppService::start(&tenant, "identity-header-secret");
    let splunkd = Splunkd::reading(&tenant, FEED)
        .with_environment("IDENTITY_ENDPOINT", &service.url())
        .with_environment("IDENTITY_HEADER", "identity-header-secret");
    splunkd.set("account", "contoso", "auth", "managed_identity");
    splunkd.set("account", "contoso", "client_id", "");
    splunkd.forget_password("contoso");
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    assert_eq!(
        tenant.token_calls().len(),
        0,
        "no credential goes to the login host"
    );
    assert_eq!(service.asked(), 1);
}

#[test]
fn a_managed_identity_does_not_go_through_the_proxy() {
    let (tenant, objects) = holding_some();
    let service = AppService::start(&tenant, "identity-header-secret");
    let proxy = Proxy::start(tenant.port(), "u", "p");
    let splunkd = Splunkd::reading(&tenant, FEED)
        .with_environment("IDENTITY_ENDPOINT", &service.url())
        .with_environment("IDENTITY_HEADER", "identity-header-secret");
    splunkd.set("account", "contoso", "auth", "managed_identity");
    through(&splunkd, &proxy, "u", "p");
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    assert_eq!(service.asked(), 1);
}

#[test]
fn a_workload_identity_signs_in_with_the_text_of_its_file() {
    let (tenant, objects) = holding_some();
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
    tenant.sign_in(|sign_in| sign_in.proof = Proof::Federated(token.to_owned()));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, token).unwrap();
    let splunkd = Splunkd::reading(&tenant, FEED)
        .with_environment("AZURE_FEDERATED_TOKEN_FILE", &file.display().to_string())
        .with_environment("AZURE_TENANT_ID", crate::counterpart::objects::TENANT_ID)
        .with_environment("AZURE_CLIENT_ID", CLIENT_ID)
        .with_environment("AZURE_AUTHORITY_HOST", &tenant.url());
    splunkd.set("account", "contoso", "auth", "workload_identity");
    splunkd.forget_password("contoso");
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);

    // The file rotates: each run reads it again.
    tenant.sign_in(|sign_in| sign_in.proof = Proof::Federated("second.token.text".to_owned()));
    std::fs::write(&file, "second.token.text").unwrap();
    assert_eq!(splunkd.run().well().events(), []);

    std::fs::remove_file(&file).unwrap();
    let run = splunkd.run();
    let line = run.refusal();
    assert!(line.contains(&file.display().to_string()), "{line}");
}

/// Sends the account through `proxy` under a name only the proxy knows.
fn through(splunkd: &Splunkd, proxy: &Proxy, user: &str, password: &str) {
    for key in ["login_url", "graph_url", "mde_url", "xdr_url"] {
        splunkd.set(
            "account",
            "contoso",
            key,
            &format!("https://{PROXIED_HOST}"),
        );
    }
    splunkd.set("settings", "proxy", "url", &proxy.url());
    splunkd.set("settings", "proxy", "username", user);
    splunkd.set_password("proxy", password);
}

#[test]
fn a_proxy_with_a_password_is_passed() {
    for (user, password) in [
        ("splunk", "p@ss:word/ü"),
        ("u", "p%41w"),
        ("dom\\us er%20", "100%+%zz?#&=\"<'> "),
        ("soc@corp", "%25"),
    ] {
        passed(user, password);
    }
}

#[track_caller]
fn passed(user: &str, password: &str) {
    let (tenant, objects) = holding_some();
    let proxy = Proxy::start(tenant.port(), user, password);
    let splunkd = Splunkd::reading(&tenant, FEED);
    through(&splunkd, &proxy, user, password);
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    let asked = proxy.asked();
    assert!(!asked.is_empty());
    for line in &asked {
        assert_eq!(
            *line,
            format!("CONNECT {PROXIED_HOST}:443 HTTP/1.1 known"),
            "{asked:#?}"
        );
    }
}

#[test]
fn a_proxy_that_refuses_the_password_is_named() {
    let (tenant, _) = holding_some();
    let proxy = Proxy::start(tenant.port(), "splunk", "right");
    let splunkd = Splunkd::reading(&tenant, FEED);
    through(&splunkd, &proxy, "splunk", "wrong");
    let run = splunkd.run();
    let line = run.refusal().to_lowercase();
    assert!(line.contains("proxy"), "{line}");
}

#[test]
fn hosts_of_no_proxy_are_spoken_to_directly() {
    let (tenant, objects) = holding_some();
    let proxy = Proxy::start(1, "u", "p");
    let splunkd = Splunkd::reading(&tenant, FEED);
    splunkd.set("settings", "proxy", "url", &proxy.url());
    splunkd.set("settings", "proxy", "no_proxy", "example.com, 127.0.0.1");
    Arrivals::of(&splunkd.run().well()).are_exactly(&objects);
    assert_eq!(proxy.asked(), [""; 0]);
}

#[test]
fn a_missing_authority_is_refused_with_the_setting_to_use() {
    let (tenant, _) = holding_some();
    let splunkd = Splunkd::reading(&tenant, FEED);
    splunkd.set("account", "contoso", "ca_file", "");
    let run = splunkd.run();
    let line = run.refusal();
    assert!(
        line.contains("ca_file") && line.contains("certificate"),
        "{line}"
    );
    assert_eq!(
        tenant.calls().len(),
        0,
        "no secret goes to a host nobody vouches for"
    );
}

#[test]
fn each_api_gets_a_token_of_its_own_audience() {
    for feed in Feed::ALL {
        let tenant = Tenant::holding(feed, recent(feed, 3));
        Splunkd::reading(&tenant, feed).run().well();
        let body = &tenant.token_calls()[0].body;
        assert!(
            body.contains("grant_type=client_credentials"),
            "the secret's call"
        );
        assert!(body.contains("%2F.default"), "a v2 scope");
    }
}

#[test]
fn a_secret_with_blanks_around_it_is_told_from_a_right_one() {
    let (tenant, objects) = holding_some();
    let splunkd = Splunkd::reading(&tenant, FEED);
    splunkd.set_password("contoso", &format!(" {CLIENT_SECRET} "));
    let run = splunkd.run();
    // Trimmed, or refused by Microsoft: never anything else.
    if run.code() == Some(0) {
        Arrivals::of(&run).are_exactly(&objects);
    } else {
        assert!(run.refusal().contains("7000215"), "{}", run.stderr);
    }
}
