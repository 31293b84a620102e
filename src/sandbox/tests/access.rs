use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use sha2::Digest as _;
use std::time::Duration;

use super::*;
use crate::sandbox::Federation;

async fn code(tenant: &Tenant, change: &[(&str, &str)]) -> (u16, String, i64) {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", tenant.client_id()),
        ("client_secret", tenant.client_secret()),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    for (name, value) in change {
        form.retain(|(known, _)| known != name);
        if !value.is_empty() {
            form.push((name, value));
        }
    }
    let (status, body) = sign_in(tenant, &form).await;
    (
        status.as_u16(),
        body["error"].as_str().unwrap_or_default().to_owned(),
        body["error_codes"][0].as_i64().unwrap_or_default(),
    )
}

#[tokio::test]
async fn each_wrong_credential_gets_the_code_entra_has_for_it() {
    let tenant = tenant(stories(0)).await;
    let (expired, secret) = tenant.expired();
    type Change<'c> = &'c [(&'c str, &'c str)];
    let cases: &[(Change<'_>, (u16, &str, i64))] = &[
        (
            &[("client_secret", "wrong")],
            (401, "invalid_client", 7_000_215),
        ),
        (
            &[("client_id", expired), ("client_secret", secret)],
            (401, "invalid_client", 7_000_222),
        ),
        (&[("client_secret", "")], (401, "invalid_client", 7_000_218)),
        (
            &[("client_id", "11111111-0000-0000-0000-000000000000")],
            (400, "unauthorized_client", 700_016),
        ),
        (&[("scope", "")], (400, "invalid_request", 900_144)),
        (
            &[("scope", "https://graph.microsoft.com/User.Read")],
            (400, "invalid_scope", 70_011),
        ),
        (
            &[("scope", "https://nowhere.example.com/.default")],
            (400, "invalid_resource", 500_011),
        ),
        (
            &[("resource", "https://graph.microsoft.com")],
            (400, "invalid_request", 901_002),
        ),
        (
            &[("grant_type", "password")],
            (400, "unsupported_grant_type", 70_003),
        ),
    ];
    for (change, (status, error, number)) in cases {
        assert_eq!(
            code(&tenant, change).await,
            (*status, (*error).to_owned(), *number),
            "{change:?}"
        );
    }
    for (directory, number) in [
        ("99999999-2222-4333-8444-555555555555", 90_002),
        ("not-a-tenant", 900_023),
        ("common", 9_001_023),
    ] {
        let url = format!("{}/{directory}/oauth2/v2.0/token", tenant.url());
        let form = [("grant_type", "client_credentials")];
        let body: Value = client(&tenant)
            .post(url)
            .form(&form)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(body["error_codes"], json!([number]));
    }
    let url = format!("{}/{}/oauth2/v2.0/token", tenant.url(), tenant.tenant_id());
    let body: Value = client(&tenant)
        .post(url)
        .json(&json!({}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(body["error_codes"], json!([9_002_313]));
}

#[tokio::test]
async fn an_error_document_of_entra_reads_as_entra_writes_it() {
    let tenant = tenant(stories(0)).await;
    let url = format!("{}/{}/oauth2/v2.0/token", tenant.url(), tenant.tenant_id());
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", tenant.client_id()),
        ("client_secret", "wrong"),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    let reply = client(&tenant).post(url).form(&form).send().await.unwrap();
    let body: Value = reply.json().await.unwrap();
    let (trace, correlation, stamp) = (
        &body["trace_id"],
        &body["correlation_id"],
        &body["timestamp"],
    );
    let [trace, correlation, stamp] =
        [trace, correlation, stamp].map(|value| value.as_str().unwrap());
    assert_eq!(
        body,
        json!({
            "error": "invalid_client",
            "error_description": format!("AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{}'. Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}", tenant.client_id()),
            "error_codes": [7_000_215],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": "https://login.microsoftonline.com/error?code=7000215",
        })
    );
    assert_eq!((stamp.len(), &stamp[10..11], &stamp[19..]), (20, " ", "Z"));
}

#[tokio::test]
async fn the_first_token_endpoint_writes_numbers_as_texts() {
    let tenant = tenant(stories(1)).await;
    let url = format!("{}/contoso.onmicrosoft.com/oauth2/token", tenant.url());
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", tenant.client_id()),
        ("client_secret", tenant.client_secret()),
        ("resource", MDE),
    ];
    let body: Value = client(&tenant)
        .post(url)
        .form(&form)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&body["expires_in"], &body["resource"]),
        (&json!("3599"), &json!(MDE))
    );
    assert!(body["expires_on"].as_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000);
    let session = Visitor {
        tenant: &tenant,
        client: client(&tenant),
        token: body["access_token"].as_str().unwrap().to_owned(),
    };
    assert_eq!(session.ids("/api/alerts").await.len(), 1);
}

#[tokio::test]
async fn a_token_opens_its_own_api_within_its_permissions_and_its_life() {
    let tenant = tenant(Settings {
        token_lifetime: Duration::ZERO,
        ..stories(3)
    })
    .await;
    let old = Visitor::of(&tenant, GRAPH).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let (status, body) = old.get("/v1.0/security/alerts_v2").await;
    assert_eq!(
        (status.as_u16(), error(&body).0),
        (401, "InvalidAuthenticationToken")
    );
    assert!(error(&body).1.contains("expired"));

    let tenant = crate::sandbox::tests::tenant(stories(3)).await;
    let graph = Visitor::of(&tenant, GRAPH).await;
    let (status, body) = graph.get("/api/alerts").await;
    assert_eq!((status.as_u16(), error(&body).0), (401, "Unauthorized"));
    assert!(error(&body).1.contains("audience"));
    let (status, _) = graph.get("/api/incidents").await;
    assert_eq!(status, 401);

    let reply = client(&tenant)
        .get(format!("{}/v1.0/security/incidents", tenant.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 401);
    assert!(reply.headers().contains_key("www-authenticate"));

    let id = &graph.ids("/v1.0/security/alerts_v2?$top=1").await[0];
    for (resource, target, role) in [
        (
            GRAPH,
            format!("/v1.0/security/alerts_v2/{id}"),
            "SecurityAlert.ReadWrite.All",
        ),
        (MDE, format!("/api/alerts/{id}"), "Alert.ReadWrite.All"),
        (XDR, "/api/incidents/1".to_owned(), "Incident.ReadWrite.All"),
    ] {
        let reader = Visitor::by(&tenant, resource, tenant.reader()).await;
        let (status, body) = reader
            .send(Method::PATCH, &target, json!({"status": "resolved"}))
            .await;
        assert_eq!(status, 403, "{target}");
        assert_eq!(error(&body).0, "Forbidden");
        assert!(error(&body).1.contains(role), "{body}");
    }
    // A token of another tenant's key.
    let stranger = crate::sandbox::tests::tenant(stories(0)).await;
    let foreign = Visitor {
        token: Visitor::of(&stranger, GRAPH).await.token,
        ..graph
    };
    assert_eq!(foreign.get("/v1.0/security/alerts_v2").await.0, 401);
}

struct Signer {
    certificate: String,
    key: EncodingKey,
    sha1: String,
    sha256: String,
}

fn signer() -> Signer {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = CertificateParams::new(vec!["app".into()])
        .unwrap()
        .self_signed(&pair)
        .unwrap();
    Signer {
        key: EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap(),
        sha1: URL_SAFE_NO_PAD.encode(sha1::Sha1::digest(certificate.der())),
        sha256: URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(certificate.der())),
        certificate: certificate.pem(),
    }
}

fn assertion(signer: &Signer, algorithm: Algorithm, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    match algorithm {
        Algorithm::PS256 => header.x5t_s256 = Some(signer.sha256.clone()),
        _ => header.x5t = Some(signer.sha1.clone()),
    }
    jsonwebtoken::encode(&header, claims, &signer.key).unwrap()
}

#[tokio::test]
async fn an_assertion_is_taken_for_its_certificate_audience_and_time() {
    let (signer, other) = (signer(), signer());
    let tenant = tenant(Settings {
        certificate: Some(signer.certificate.clone()),
        ..stories(0)
    })
    .await;
    let (id, now) = (
        tenant.certificate_client_id(),
        crate::sandbox::api::access::seconds(),
    );
    let audience = format!("{}/{}/oauth2/v2.0/token", tenant.url(), tenant.tenant_id());
    let claims = json!({"aud": audience, "iss": id, "sub": id, "jti": "1", "nbf": now, "iat": now, "exp": now + 600});
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let answer = async |assertion: String| {
        let form = [
            ("client_id", id),
            ("client_secret", ""),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
            ("client_assertion", assertion.as_str()),
        ];
        code(&tenant, &form).await.2
    };
    for algorithm in [Algorithm::PS256, Algorithm::RS256] {
        assert_eq!(
            answer(assertion(&signer, algorithm, &claims)).await,
            0,
            "{algorithm:?}"
        );
    }
    let ps = Algorithm::PS256;
    assert_eq!(answer(assertion(&other, ps, &claims)).await, 700_027);
    let forged = Signer {
        sha256: signer.sha256.clone(),
        ..other
    };
    assert_eq!(answer(assertion(&forged, ps, &claims)).await, 700_027);
    assert_eq!(
        answer(assertion(&signer, ps, &with("aud", json!("x")))).await,
        700_023
    );
    assert_eq!(
        answer(assertion(&signer, ps, &with("iss", json!("x")))).await,
        700_021
    );
    assert_eq!(
        answer(assertion(&signer, ps, &with("exp", json!(now - 1000)))).await,
        700_024
    );
    assert_eq!(
        answer(assertion(&signer, ps, &with("nbf", json!(now + 1000)))).await,
        700_024
    );
    assert_eq!(answer("no.jwt".into()).await, 50_027);
}

#[tokio::test]
async fn a_federated_token_is_taken_for_its_issuer_audience_and_subject() {
    let signer = signer();
    let tenant = tenant(Settings {
        federation: Some(Federation {
            issuer: "https://issuer.example.com".into(),
            subject: "system:serviceaccount:splunk:bridge".into(),
            key_pem: signer.certificate.clone(),
        }),
        ..stories(0)
    })
    .await;
    let now = crate::sandbox::api::access::seconds();
    let claims = json!({"iss": "https://issuer.example.com", "sub": "system:serviceaccount:splunk:bridge", "aud": ["api://AzureADTokenExchange"], "exp": now + 600});
    for (name, value, number) in [
        ("jti", json!("1"), 0),
        ("iss", json!("x"), 700_211),
        ("aud", json!("x"), 700_212),
        ("sub", json!("x"), 700_213),
        ("exp", json!(now - 1000), 500_133),
    ] {
        let mut claims = claims.clone();
        claims[name] = value;
        let token = assertion(&signer, Algorithm::RS256, &claims);
        let form = [
            ("client_id", tenant.federated_client_id()),
            ("client_secret", ""),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
            ("client_assertion", token.as_str()),
        ];
        assert_eq!(code(&tenant, &form).await.2, number, "{name}");
    }
}

#[tokio::test]
async fn a_host_with_a_managed_identity_gets_tokens_without_a_secret() {
    let tenant = tenant(Settings {
        managed_identity: true,
        ..stories(2)
    })
    .await;
    let (endpoint, header) = tenant.identity().unwrap();
    let plain = Client::builder().no_proxy().build().unwrap();
    let ask = |url: String| plain.get(url);
    let url = format!("{endpoint}?api-version=2019-08-01&resource={GRAPH}");
    assert_eq!(ask(url.clone()).send().await.unwrap().status(), 401);
    let reply = ask(url)
        .header("X-IDENTITY-HEADER", header)
        .send()
        .await
        .unwrap();
    let body: Value = reply.json().await.unwrap();
    assert!(body["expires_on"].is_string());
    let session = Visitor {
        tenant: &tenant,
        client: client(&tenant),
        token: body["access_token"].as_str().unwrap().to_owned(),
    };
    assert_eq!(session.ids("/v1.0/security/alerts_v2").await.len(), 2);

    let machine = endpoint.replace("/msi/token", "/metadata/identity/oauth2/token");
    let url = format!("{machine}?api-version=2018-02-01&resource={XDR}");
    assert_eq!(ask(url.clone()).send().await.unwrap().status(), 400);
    assert_eq!(
        ask(url)
            .header("Metadata", "true")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn quotas_answer_429_and_say_when_to_come_back() {
    let tenant = tenant(Settings {
        quotas: true,
        ..stories(1)
    })
    .await;
    let session = Visitor::of(&tenant, XDR).await;
    for _ in 0..50 {
        assert_eq!(session.get("/api/incidents?$top=1").await.0, 200);
    }
    let reply = session
        .request(Method::GET, "/api/incidents?$top=1")
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 429);
    let wait: u64 = reply.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&wait));
    let body: Value = reply.json().await.unwrap();
    assert_eq!(
        error(&body),
        (
            "TooManyRequests",
            format!("API calls quota exceeded. Try again in {wait} seconds.").as_str()
        )
    );
    let other = Visitor::of(&tenant, GRAPH).await;
    assert_eq!(other.get("/v1.0/security/incidents").await.0, 200);
}
