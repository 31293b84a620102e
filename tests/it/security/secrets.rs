//! No secret leaves the process but to the one it is for.

use crate::counterpart::process::{Reading, Run};
use crate::counterpart::proxy::Proxy;
use crate::counterpart::signin::{CLIENT_SECRET, Certificate};
use crate::counterpart::splunkd::{Alert, SESSION_KEY, files_under};
use crate::counterpart::tenant::{PROXIED_HOST, recent};
use crate::counterpart::{Feed, Splunkd, Tenant, Turn};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

const FEED: Feed = Feed::GraphAlerts;
const PROXY_PASSWORD: &str = "Pr0xy~password.of-Tests";

/// A secret as it stands and in the guises it travels in.
fn guises(secret: &str) -> Vec<String> {
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let xml = quick_xml::escape::escape(secret).into_owned();
    let json = serde_json::to_string(secret).unwrap();
    vec![
        secret.to_owned(),
        form,
        xml,
        json[1..json.len() - 1].to_owned(),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ]
}

struct Search<'s> {
    secrets: Vec<(&'s str, Vec<String>)>,
}

impl Search<'_> {
    #[track_caller]
    fn clean(&self, place: &str, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        for (name, guises) in &self.secrets {
            for guise in guises {
                if let Some(at) = text.find(guise.as_str()) {
                    let start = text[..at]
                        .char_indices()
                        .rev()
                        .nth(60)
                        .map_or(0, |(at, _)| at);
                    panic!("{name} in {place}, after: {}", &text[start..at]);
                }
            }
        }
    }

    #[track_caller]
    fn run_is_clean(&self, run: &Run) {
        self.clean("stdout", &run.stdout);
        self.clean("stderr", run.stderr.as_bytes());
    }

    /// Files, and what both counterparts were asked, beside the places made for secrets.
    #[track_caller]
    fn traces_are_clean(&self, splunkd: &Splunkd, tenant: &Tenant) {
        for (path, content) in files_under(&splunkd.home()) {
            self.clean(&path.display().to_string(), &content);
        }
        for got in splunkd.received() {
            self.clean(
                "splunkd's access log",
                format!("{} {}", got.method, got.target).as_bytes(),
            );
            self.clean("a body sent to splunkd", got.body.as_bytes());
        }
        for call in tenant.calls() {
            self.clean("Microsoft's access log", call.target.as_bytes());
            if !call.path.contains("/oauth2/") {
                self.clean("a body sent to Microsoft", call.body.as_bytes());
            }
        }
    }
}

#[track_caller]
fn nothing_leaks(splunkd: &Splunkd, tenant: &Tenant, more: &[(&str, &str)]) {
    splunkd.set("settings", "logging", "level", "DEBUG");
    let mut runs = vec![splunkd.run(), splunkd.validate()];
    let rows = vec![vec![FEED.id(1)], vec!["nobody".to_owned()]];
    runs.push(splunkd.alert(&Alert {
        form: &[
            ("account", "contoso"),
            ("status", "resolved"),
            ("comment", "x"),
        ],
        header: &["id"],
        rows: &rows,
        ..Alert::default()
    }));
    // Errors talk most.
    for status in [400, 401, 403, 500] {
        tenant.before_each_list(move |_, _| Turn::Fail(status, None));
        runs.push(splunkd.run());
    }
    tenant.before_each_list(|_, _| Turn::Body(b"<html>".to_vec()));
    runs.push(splunkd.run());
    tenant.sign_in(|sign_in| sign_in.client_id = "someone else".to_owned());
    runs.push(splunkd.run());

    let tokens = tenant.issued_tokens();
    assert!(!tokens.is_empty());
    let mut secrets = vec![("the session key", guises(SESSION_KEY))];
    secrets.extend(tokens.iter().map(|token| ("a token", vec![token.clone()])));
    secrets.extend(more.iter().map(|(name, secret)| (*name, guises(secret))));
    let search = Search { secrets };
    for run in &runs {
        search.run_is_clean(run);
    }
    search.traces_are_clean(splunkd, tenant);
}

#[test]
fn neither_secret_nor_key_nor_token_is_told_anywhere() {
    let tenant = Tenant::holding(FEED, recent(FEED, 5));
    let splunkd = Splunkd::reading(&tenant, FEED);
    nothing_leaks(&splunkd, &tenant, &[("the client secret", CLIENT_SECRET)]);
}

/// A sign-in host that is not Microsoft's may repeat what it was sent.
#[test]
fn a_credential_that_the_sign_in_host_repeats_is_told_nowhere() {
    fn escapes(text: &str) -> String {
        let units = text.encode_utf16();
        units.map(|unit| format!("\\u{unit:04x}")).collect()
    }
    fn references(text: &str) -> String {
        text.chars()
            .map(|c| format!("&#x{:X};", u32::from(c)))
            .collect()
    }
    let mut forms = guises(CLIENT_SECRET);
    forms.extend([escapes(CLIENT_SECRET), references(CLIENT_SECRET)]);
    forms.push(STANDARD.encode(&forms[1]));
    let search = Search {
        secrets: vec![("the client secret", forms.clone())],
    };
    let whole = |raw: &str| STANDARD.encode(raw)[..40].to_owned();
    for form in &forms {
        let quoted = serde_json::to_string(form).unwrap();
        for body in [
            format!("<html><h1>401</h1>client_secret={form}</html>"),
            format!(r#"{{"error":"invalid_client","error_description":{quoted}}}"#),
            format!(
                r#"{{"error":{quoted},"error_description":"AADSTS7000215: {}","trace_id":{quoted}}}"#,
                &quoted[1..quoted.len() - 1]
            ),
        ] {
            let tenant = Tenant::holding(FEED, recent(FEED, 1));
            let splunkd = Splunkd::reading(&tenant, FEED);
            splunkd.set("settings", "logging", "level", "DEBUG");
            let answer = body.clone();
            tenant.sign_in(move |sign_in| {
                sign_in.says = Some(Box::new(move |_, raw| {
                    format!("{answer}<!-- {raw} {} -->", STANDARD.encode(raw))
                }));
            });
            let run = splunkd.validate();
            search.run_is_clean(&run);
            let raw = format!("client_id={}", crate::counterpart::signin::CLIENT_ID);
            assert!(!run.stderr.contains(&whole(&raw)), "{}", run.stderr);
            // The same, and nothing else.
            tenant.sign_in(move |sign_in| {
                sign_in.says = Some(Box::new(move |_, _| body.clone()));
            });
            search.run_is_clean(&splunkd.run());
            search.traces_are_clean(&splunkd, &tenant);
        }
    }
}

#[test]
fn the_password_of_the_proxy_is_told_to_the_proxy_alone() {
    let tenant = Tenant::holding(FEED, recent(FEED, 5));
    let proxy = Proxy::start(tenant.port(), "splunk", PROXY_PASSWORD);
    let splunkd = Splunkd::reading(&tenant, FEED);
    for key in ["login_url", "graph_url", "mde_url", "xdr_url"] {
        splunkd.set(
            "account",
            "contoso",
            key,
            &format!("https://{PROXIED_HOST}"),
        );
    }
    splunkd.set("settings", "proxy", "url", &proxy.url());
    splunkd.set("settings", "proxy", "username", "splunk");
    splunkd.set_password("proxy", PROXY_PASSWORD);
    nothing_leaks(
        &splunkd,
        &tenant,
        &[
            ("the client secret", CLIENT_SECRET),
            ("the proxy's password", PROXY_PASSWORD),
        ],
    );
    for call in tenant.calls() {
        assert!(!call.headers.to_lowercase().contains("proxy-authorization"));
    }
}

#[test]
fn no_line_of_a_private_key_is_told_anywhere() {
    let certificate = Certificate::new();
    let tenant = Tenant::holding(FEED, recent(FEED, 5));
    tenant.sign_in(|sign_in| {
        sign_in.proof = certificate.proof(jsonwebtoken::Algorithm::PS256);
    });
    let splunkd = Splunkd::reading(&tenant, FEED);
    splunkd.set("account", "contoso", "auth", "certificate");
    splunkd.set_password("contoso", &certificate.pem);
    let key: Vec<(&str, &str)> = certificate
        .key_pem
        .lines()
        .filter(|line| !line.starts_with('-') && line.len() > 20)
        .map(|line| ("a line of the key", line))
        .collect();
    assert!(key.len() > 5);
    nothing_leaks(&splunkd, &tenant, &key);
}

#[test]
fn a_broken_key_is_not_shown_in_the_message_about_it() {
    let tenant = Tenant::holding(FEED, recent(FEED, 5));
    let splunkd = Splunkd::reading(&tenant, FEED);
    splunkd.set("account", "contoso", "auth", "certificate");
    let broken =
        "-----BEGIN PRIVATE KEY-----\nTWFueSBzZWNyZXQgYnl0ZXMgb2Yga2V5\n-----END PRIVATE KEY-----";
    splunkd.set_password("contoso", broken);
    let run = splunkd.run();
    run.refusal();
    assert!(!run.stderr.contains("TWFueSBzZWNyZXQ"), "{}", run.stderr);
}

#[test]
#[cfg(target_os = "linux")]
fn no_secret_is_an_argument_or_in_the_environment() {
    let tenant = Tenant::holding(FEED, recent(FEED, 5));
    tenant.before_each_list(|_, _| Turn::Silent(std::time::Duration::from_secs(60)));
    let splunkd = Splunkd::reading(&tenant, FEED);
    let mut running = splunkd.start(Reading::Steady);
    assert!(running.wait_until(|| !tenant.list_calls().is_empty()));
    let search = Search {
        secrets: vec![
            ("the session key", guises(SESSION_KEY)),
            ("the client secret", guises(CLIENT_SECRET)),
        ],
    };
    for file in ["cmdline", "environ"] {
        let path = format!("/proc/{}/{file}", running.id());
        search.clean(&path, &std::fs::read(&path).unwrap());
    }
    assert_eq!(
        std::fs::read_dir(format!(
            "/proc/{}/task/{}/children",
            running.id(),
            running.id()
        ))
        .map_or(0, Iterator::count),
        0
    );
    running.kill();
    running.finish();
}

#[test]
#[cfg(unix)]
fn files_of_the_product_are_not_for_everybody() {
    use std::os::unix::fs::PermissionsExt;
    let tenant = Tenant::holding(FEED, recent(FEED, 5));
    let splunkd = Splunkd::reading(&tenant, FEED);
    splunkd.run().well();
    assert!(!splunkd.checkpoints().is_empty());
    for path in splunkd.checkpoints().keys() {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(
            mode & 0o022,
            0,
            "{} is writable for others: {mode:o}",
            path.display()
        );
    }
}

#[test]
#[should_panic(expected = "the client secret in stderr, after: WARN signing in with ")]
fn a_leak_would_be_found_in_any_guise() {
    let search = Search {
        secrets: vec![("the client secret", guises(CLIENT_SECRET))],
    };
    search.clean("stdout", b"nothing to see");
    let line = format!("WARN signing in with {}", STANDARD.encode(CLIENT_SECRET));
    search.clean("stderr", line.as_bytes());
}
