//! Microsoft's sign-in as an app sees it: the token endpoint v2 and what a
//! token is good for. Answers and AADSTS codes as Entra documents them.

use super::https::{self, Answer, Asked, Server};
use super::objects::TENANT_ID;
use super::tenant::{Reply, Tenant};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use sha2::Digest;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub const CLIENT_ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
pub const CLIENT_SECRET: &str = "Zx8~Qsecret.Value-forTests_only<&>'\"";

/// An API api; a token is bound to one by its audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    Graph,
    Mde,
    Xdr,
}

/// How the app proves who it is.
#[derive(Debug, Clone)]
pub enum Proof {
    Secret(String),
    /// PEM of the public key, and base64url of the certificate's SHA-256.
    Certificate {
        public_key: String,
        thumbprint: String,
        algorithm: jsonwebtoken::Algorithm,
    },
    /// The text of the federated token file.
    Federated(String),
}

pub struct SignIn {
    pub tenant_id: String,
    pub client_id: String,
    pub proof: Proof,
    pub expires_in: u64,
    /// Refuses everybody, in these words: the body, from the credential and the
    /// raw form it was sent.
    pub says: Option<Says>,
    tokens: Vec<Token>,
}

pub type Says = Box<dyn Fn(&str, &str) -> String + Send>;

struct Token {
    text: String,
    scope: String,
    calls: usize,
}

impl Default for SignIn {
    fn default() -> Self {
        Self {
            tenant_id: TENANT_ID.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            proof: Proof::Secret(CLIENT_SECRET.to_owned()),
            expires_in: 3599,
            says: None,
            tokens: Vec::new(),
        }
    }
}

impl SignIn {
    pub fn issued(&self) -> Vec<String> {
        self.tokens.iter().map(|token| token.text.clone()).collect()
    }

    /// A token as a managed identity gets it, for a resource.
    pub fn issue(&mut self, resource: &str) -> String {
        let number = self.tokens.len();
        let claims = json!({
            "aud": resource, "tid": self.tenant_id, "appid": self.client_id, "nr": number,
            "roles": ["SecurityAlert.ReadWrite.All", "SecurityIncident.ReadWrite.All",
                      "Alert.ReadWrite.All", "Incident.ReadWrite.All"],
            "exp": 4_102_444_800_u64,
        });
        let text = format!(
            "{}.{}.{}",
            BASE64.encode(r#"{"typ":"JWT","alg":"RS256"}"#),
            BASE64.encode(claims.to_string()),
            BASE64.encode(format!("signature of token number {number}")),
        );
        self.tokens.push(Token {
            text: text.clone(),
            scope: resource.to_owned(),
            calls: 0,
        });
        text
    }

    /// Lets a call in, or says why not. `most` list calls a token is good for.
    pub(super) fn admit(
        &mut self,
        authorization: Option<&str>,
        api: Api,
        most: Option<usize>,
        base: &str,
    ) -> Result<(), String> {
        let text = authorization
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or("Access token is empty.")?;
        let token = self
            .tokens
            .iter_mut()
            .find(|token| token.text == text)
            .ok_or("CompactToken validation failed.")?;
        let good = match api {
            Api::Graph => token.scope.starts_with("https://graph.microsoft.com"),
            Api::Mde => {
                token
                    .scope
                    .starts_with("https://api.securitycenter.microsoft.com")
                    || token
                        .scope
                        .starts_with("https://securitycenter.onmicrosoft.com")
            }
            Api::Xdr => token
                .scope
                .starts_with("https://api.security.microsoft.com"),
        };
        // A cloud of one's own may name itself as the audience.
        if !good && !token.scope.starts_with(base) {
            return Err("Access token validation failure. Invalid audience.".to_owned());
        }
        if let Some(most) = most {
            if token.calls >= most {
                return Err("Lifetime validation failed, the token is expired.".to_owned());
            }
            token.calls += 1;
        }
        Ok(())
    }

    pub(super) fn answer(&mut self, asked: &Asked, path: &str, base: &str) -> Reply {
        if path.contains("/.well-known/") {
            return Reply::json(404, &json!({"error": "not_found"}));
        }
        let form = asked.form();
        let field = |name: &str| {
            form.iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        if let Some(says) = &self.says {
            let credential = field("client_secret").or(field("client_assertion"));
            let raw = String::from_utf8_lossy(&asked.body);
            return Reply::text(401, says(credential.unwrap_or_default(), &raw));
        }
        let Some(tenant) = path.strip_suffix("/oauth2/v2.0/token") else {
            return Reply::json(404, &json!({"error": "not_found"}));
        };
        if asked.method != hyper::Method::POST || field("grant_type") != Some("client_credentials")
        {
            return refuse(
                400,
                "invalid_request",
                900_144,
                "The request body is not right.",
            );
        }
        if tenant.trim_start_matches('/') != self.tenant_id {
            let text = "Tenant was not found. Check to make sure you have the correct tenant ID.";
            return refuse(400, "invalid_request", 90_002, text);
        }
        if field("client_id") != Some(&self.client_id) {
            let text = "Application with this identifier was not found in the directory.";
            return refuse(400, "unauthorized_client", 700_016, text);
        }
        let Some(scope) = field("scope").filter(|scope| scope.ends_with("/.default")) else {
            return refuse(
                400,
                "invalid_scope",
                70_011,
                "The provided scope is not valid.",
            );
        };
        let assertion = field("client_assertion").filter(|_| {
            field("client_assertion_type")
                == Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        });
        let token_url = format!("{base}{path}");
        let proven = match &self.proof {
            Proof::Secret(secret) => match field("client_secret") {
                None => Err((7_000_218, "The request body must contain client_secret.")),
                Some(got) if got != secret => Err((7_000_215, "Invalid client secret provided.")),
                Some(_) => Ok(()),
            },
            Proof::Federated(text) => match assertion {
                Some(got) if got == text.trim() => Ok(()),
                _ => Err((700_211, "No matching federated identity record found.")),
            },
            Proof::Certificate {
                public_key,
                thumbprint,
                algorithm,
            } => assertion
                .ok_or_else(|| "no assertion".to_owned())
                .and_then(|text| {
                    proof_holds(
                        text,
                        public_key,
                        thumbprint,
                        *algorithm,
                        &self.client_id,
                        &token_url,
                    )
                })
                .map_err(|_| {
                    (
                        700_027,
                        "The certificate's signature could not be verified.",
                    )
                }),
        };
        if let Err((code, text)) = proven {
            return refuse(401, "invalid_client", code, text);
        }
        let scope = scope.to_owned();
        let token = self.issue(&scope);
        Reply::json(
            200,
            &json!({"token_type": "Bearer", "expires_in": self.expires_in,
                    "ext_expires_in": self.expires_in, "access_token": token}),
        )
    }
}

/// Microsoft's rules for a certificate's assertion (RFC 7523, `certificate-credentials`).
fn proof_holds(
    text: &str,
    public_key: &str,
    thumbprint: &str,
    algorithm: jsonwebtoken::Algorithm,
    client_id: &str,
    token_url: &str,
) -> Result<(), String> {
    let say = |error: jsonwebtoken::errors::Error| error.to_string();
    let header = text.split('.').next().unwrap_or_default();
    let header: Value = serde_json::from_slice(&BASE64.decode(header).unwrap_or_default())
        .map_err(|error| error.to_string())?;
    if header["x5t#S256"] != thumbprint && algorithm == jsonwebtoken::Algorithm::PS256 {
        return Err(format!("x5t#S256 is {}", header["x5t#S256"]));
    }
    let key = jsonwebtoken::DecodingKey::from_rsa_pem(public_key.as_bytes()).map_err(say)?;
    let mut rules = jsonwebtoken::Validation::new(algorithm);
    rules.set_audience(&[token_url]);
    rules.set_issuer(&[client_id]);
    rules.set_required_spec_claims(&["exp", "aud", "iss", "sub", "nbf"]);
    rules.validate_nbf = true;
    let claims = jsonwebtoken::decode::<Value>(text, &key, &rules)
        .map_err(say)?
        .claims;
    if claims["sub"] != client_id || !claims["jti"].is_string() {
        return Err("sub or jti".to_owned());
    }
    Ok(())
}

fn refuse(status: u16, error: &str, code: u32, text: &str) -> Reply {
    Reply::json(
        status,
        &json!({
            "error": error,
            "error_description": format!(
                "AADSTS{code}: {text} Trace ID: 6f0e Correlation ID: 77aa Timestamp: 2026-11-21 08:00:00Z"
            ),
            "error_codes": [code],
            "timestamp": "2026-11-21 08:00:00Z",
            "trace_id": "6f0e1d64-0000-4a5e-9d53-000000000001",
            "correlation_id": "77aa1d64-0000-4a5e-9d53-000000000002",
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        }),
    )
}

/// A certificate of an app, with its key.
pub struct Certificate {
    /// Certificate and key, as one file.
    pub pem: String,
    pub key_pem: String,
    public_key: String,
    thumbprint: String,
}

impl Certificate {
    pub fn new() -> Self {
        let key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
                .unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["app.contoso.test".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let key_pem = key.serialize_pem();
        Self {
            pem: format!("{}{key_pem}", certificate.pem()),
            public_key: key.public_key_pem(),
            thumbprint: BASE64.encode(sha2::Sha256::digest(certificate.der())),
            key_pem,
        }
    }

    pub fn proof(&self, algorithm: jsonwebtoken::Algorithm) -> Proof {
        Proof::Certificate {
            public_key: self.public_key.clone(),
            thumbprint: self.thumbprint.clone(),
            algorithm,
        }
    }
}

/// The identity endpoint App Service gives its apps.
pub struct AppService {
    server: Server,
    asked: Arc<AtomicUsize>,
}

impl AppService {
    pub fn start(tenant: &Tenant, header: &str) -> Self {
        let (state, header) = (tenant.shared(), header.to_owned());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let server = Server::start(
            None,
            Arc::new(move |asked: Asked| {
                count.fetch_add(1, Ordering::SeqCst);
                let resource = asked.parameter("resource").filter(|_| {
                    asked.parameter("api-version") == Some("2019-08-01")
                        && asked.header("x-identity-header") == Some(&header)
                });
                let response = match resource {
                    None => https::json(400, &json!({"statusCode": 400, "message": "Bad"})),
                    Some(resource) => {
                        let token = state.lock().unwrap().sign_in.issue(resource);
                        https::json(
                            200,
                            &json!({"access_token": token, "expires_on": "4102444800",
                                    "resource": resource, "token_type": "Bearer",
                                    "client_id": CLIENT_ID}),
                        )
                    }
                };
                Box::pin(async move { response }) as Answer
            }),
        );
        Self { server, asked }
    }

    pub fn url(&self) -> String {
        format!("http://{}/msi/token", self.server.address)
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
