//! From an account to a token for one API, by `azure_identity` on our own
//! HTTP client.
//!
//! A fresh credential is made for every token: `azure_identity` keeps tokens
//! inside a credential, with a margin that is too wide for short-lived ones and
//! without a way to drop a token the API has refused.

#[cfg(test)]
mod tests;
mod token_transport;

use crate::microsoft::account::certificate::{Certificate, Form};
use crate::microsoft::account::{Account, Auth};
use crate::microsoft::http::clock::Clock;
use crate::microsoft::http::error::{Error, Retry, line};
use crate::microsoft::http::sent_secrets::SentSecrets;
use crate::microsoft::http::transport::{Transport, place};
use crate::microsoft::http::usage::{Usage, count};
use crate::microsoft::http::{advice, error};
use crate::microsoft::sign_in::token_transport::{LastAnswer, TokenTransport};
use crate::triage::Api;
use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{
    ClientMethodOptions, ClientOptions, RetryOptions, Transport as AzureTransport,
};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId,
};
use backon::{ExponentialBuilder, Retryable};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

/// Most time before its end at which a token is renewed.
const MARGIN: Duration = Duration::from_secs(300);

pub(crate) struct Token {
    pub(crate) secret: SecretString,
    pub(crate) renew_at: Instant,
}

/// Signs one account in for one API or other resource, and keeps the token.
pub(crate) struct SignIn {
    account: String,
    tenant: String,
    client: String,
    /// Base URL of the sign-in service, without a trailing slash.
    login: String,
    /// Where the token comes from, for error texts.
    host: String,
    scope: String,
    proof: Proof,
    transport: Transport,
    usage: Arc<Usage>,
    pub(crate) clock: Clock,
    held: Mutex<Option<Arc<Token>>>,
    /// The service knows the older form of an assertion only.
    older: AtomicBool,
}

enum Proof {
    Secret(SecretString),
    Certificate(Arc<Certificate>),
    ManagedIdentity,
    WorkloadIdentity,
}

/// A sign-in that failed.
struct Failure {
    error: Error,
    /// Worth another try, after this long at least.
    again: Option<Duration>,
}

impl SignIn {
    /// `transport` is the API's; a managed identity takes the metadata service's instead.
    pub(crate) fn new(
        account: &Account,
        api: Api,
        transport: &Transport,
        usage: &Arc<Usage>,
    ) -> Result<SignIn, Error> {
        SignIn::at(account, account.cloud.audience(api), transport, usage)
    }

    /// The same for any resource, such as `https://storage.azure.com`.
    pub(crate) fn at(
        account: &Account,
        audience: &str,
        transport: &Transport,
        usage: &Arc<Usage>,
    ) -> Result<SignIn, Error> {
        let login = account.cloud.login().to_string();
        let managed = matches!(account.auth, Auth::ManagedIdentity);
        let host = match managed {
            true => "the managed identity's endpoint".to_string(),
            false => Url::parse(&login)
                .map(|url| place(&url))
                .unwrap_or_default(),
        };
        Ok(SignIn {
            account: account.name.clone(),
            tenant: account.tenant_id.clone(),
            client: account.client_id.clone(),
            login,
            host,
            scope: format!("{audience}/.default"),
            proof: match &account.auth {
                Auth::Secret(secret) => Proof::Secret(secret.clone()),
                Auth::Certificate(pem) => {
                    let certificate = Certificate::parse(pem.expose_secret());
                    Proof::Certificate(Arc::new(certificate.map_err(|why| Error::Setting {
                        account: account.name.clone(),
                        what: format!("certificate: {why}"),
                    })?))
                }
                Auth::ManagedIdentity => Proof::ManagedIdentity,
                Auth::WorkloadIdentity => Proof::WorkloadIdentity,
                Auth::ConnectionString(_) => {
                    return Err(Error::Setting {
                        account: account.name.clone(),
                        what: "it holds a connection string, with which event hubs and storage are read, and \
                               nothing else: name an account that signs in (auth = secret, for example)"
                            .to_string(),
                    });
                }
            },
            transport: match managed {
                true => Transport::metadata(account)?,
                false => transport.clone(),
            },
            usage: Arc::clone(usage),
            clock: Clock::default(),
            held: Mutex::new(None),
            older: AtomicBool::new(false),
        })
    }

    /// The kept token, or a new one where there is none or its end is near.
    pub(crate) async fn token(&self, deadline: Instant) -> Result<Arc<Token>, Error> {
        let mut held = self.held.lock().await;
        match held.as_ref() {
            Some(token) if token.renew_at > self.clock.now() => Ok(Arc::clone(token)),
            _ => self.fill(&mut held, deadline).await,
        }
    }

    /// A token other than `refused`, which the API would not take.
    pub(crate) async fn renewed(
        &self,
        refused: &Arc<Token>,
        deadline: Instant,
    ) -> Result<Arc<Token>, Error> {
        let mut held = self.held.lock().await;
        match held.as_ref() {
            Some(token) if !Arc::ptr_eq(token, refused) => Ok(Arc::clone(token)),
            _ => self.fill(&mut held, deadline).await,
        }
    }

    async fn fill(
        &self,
        held: &mut Option<Arc<Token>>,
        deadline: Instant,
    ) -> Result<Arc<Token>, Error> {
        *held = None;
        let token = Arc::new(self.fetch(deadline).await?);
        *held = Some(Arc::clone(&token));
        Ok(token)
    }

    async fn fetch(&self, deadline: Instant) -> Result<Token, Error> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(300))
            .with_factor(3.0)
            .with_jitter()
            .with_max_times(2);
        (|| self.attempt(deadline))
            .retry(pauses)
            .sleep(self.clock.clone())
            .when(|failure: &Failure| failure.again.is_some())
            .adjust(|failure: &Failure, pause| {
                let pause = pause?.max(failure.again?);
                (self.clock.now() + pause < deadline).then_some(pause)
            })
            .notify(|failure: &Failure, pause| {
                count(&self.usage.retries);
                tracing::info!(
                    "{}; trying again in {:.1} s",
                    failure.error,
                    pause.as_secs_f64()
                );
            })
            .await
            .map_err(|failure| failure.error)
    }

    /// One token, with the older form of an assertion where the current one is refused.
    async fn attempt(&self, deadline: Instant) -> Result<Token, Failure> {
        let first = match self.older.load(Ordering::Relaxed) {
            true => Form::Older,
            false => Form::Current,
        };
        let failure = match self.ask(first, deadline).await {
            Ok(token) => return Ok(token),
            Err(failure) => failure,
        };
        let another_form = matches!(self.proof, Proof::Certificate(_))
            && first == Form::Current
            && matches!(&failure.error, Error::SignIn { code, codes, .. }
                if advice::refuses_form(code, codes));
        if !another_form {
            return Err(failure);
        }
        // The refusal of the form Microsoft asks for tells more than the other's.
        let token = self.ask(Form::Older, deadline).await.map_err(|_| failure)?;
        self.older.store(true, Ordering::Relaxed);
        Ok(token)
    }

    async fn ask(&self, form: Form, deadline: Instant) -> Result<Token, Failure> {
        let managed = matches!(self.proof, Proof::ManagedIdentity);
        let token_transport = Arc::new(TokenTransport::new(
            self.transport.clone(),
            (!managed).then(|| self.login.clone()),
            self.host.clone(),
            Arc::clone(&self.usage),
        ));
        let unusable = |e: azure_core::Error| Failure {
            error: self.setting(line(&e.to_string())),
            again: None,
        };
        let credential = self.credential(form, &token_transport).map_err(unusable)?;
        let scopes = [self.scope.as_str()];
        let asked = credential.get_token(&scopes, None);
        let answer = self.clock.timeout_at(deadline, asked).await;
        let said = token_transport.said();
        let Ok(answer) = answer else {
            return Err(self.failure(said.unwrap_or_else(|| LastAnswer::timeout(&self.host))));
        };
        match (answer, said) {
            (Ok(token), _) if !token.token.secret().is_empty() => {
                count(&self.usage.tokens);
                let left = token.expires_on - azure_core::time::OffsetDateTime::now_utc();
                let left = Duration::try_from(left).unwrap_or_default();
                Ok(Token {
                    secret: token.token.secret().into(),
                    renew_at: self.clock.now() + left.saturating_sub(MARGIN.min(left / 4)),
                })
            }
            (_, Some(said)) => Err(self.failure(said)),
            (Err(e), None) => Err(unusable(e)),
            (Ok(_), None) => Err(self.failure(LastAnswer::timeout(&self.host))),
        }
    }

    fn credential(
        &self,
        form: Form,
        token_transport: &Arc<TokenTransport>,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let client_options = self.options(token_transport);
        Ok(match &self.proof {
            Proof::Secret(secret) => ClientSecretCredential::new(
                &self.tenant,
                self.client.clone(),
                Secret::new(secret.expose_secret().to_string()),
                Some(ClientSecretCredentialOptions { client_options }),
            )?,
            Proof::Certificate(certificate) => ClientAssertionCredential::new(
                self.tenant.clone(),
                self.client.clone(),
                Assertion {
                    certificate: Arc::clone(certificate),
                    form,
                    client: self.client.clone(),
                    audience: format!("{}/{}/oauth2/v2.0/token", self.login, self.tenant),
                },
                Some(ClientAssertionCredentialOptions { client_options }),
            )?,
            Proof::ManagedIdentity => {
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: (!self.client.is_empty())
                        .then(|| UserAssignedId::ClientId(self.client.clone())),
                    client_options,
                }))?
            }
            Proof::WorkloadIdentity => ClientAssertionCredential::new(
                self.tenant.clone(),
                self.client.clone(),
                FederatedToken,
                Some(ClientAssertionCredentialOptions { client_options }),
            )?,
        })
    }

    fn options(&self, token_transport: &Arc<TokenTransport>) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = self.login.clone();
        ClientOptions {
            transport: Some(AzureTransport::new(Arc::clone(token_transport) as Arc<_>)),
            retry: RetryOptions::none(),
            cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
            ..ClientOptions::default()
        }
    }

    fn setting(&self, what: String) -> Error {
        Error::Setting {
            account: self.account.clone(),
            what: format!("sign-in: {what}"),
        }
    }

    /// What the sign-in service said, as an error.
    fn failure(&self, said: LastAnswer) -> Failure {
        let answer = match said {
            LastAnswer::Nothing(error) => {
                return Failure {
                    again: (error.retry() != Retry::Never).then_some(Duration::ZERO),
                    error,
                };
            }
            LastAnswer::Answer(answer) => answer,
        };
        let managed = matches!(self.proof, Proof::ManagedIdentity);
        // What a managed identity's endpoint says comes from this machine.
        let refusal = Refusal::read(&answer.body, &answer.secrets, managed);
        let transient = advice::passing(&refusal.codes)
            || error::passing(answer.status)
            || refusal.code == "temporarily_unavailable";
        Failure {
            error: Error::SignIn {
                host: answer.host,
                status: answer.status,
                code: match managed {
                    true => error::MANAGED_IDENTITY.to_string(),
                    false => refusal.code,
                },
                codes: refusal.codes,
                message: refusal.message,
                traces: refusal.traces,
            },
            again: transient.then_some(answer.retry_after.unwrap_or_default()),
        }
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn")
            .field("account", &self.account)
            .field("host", &self.host)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Assertion {
    certificate: Arc<Certificate>,
    form: Form,
    client: String,
    audience: String,
}

#[async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        self.certificate
            .sign(
                self.form,
                &self.client,
                &self.audience,
                SystemTime::now(),
                Uuid::new_v4(),
            )
            .map(|signed| signed.expose_secret().to_string())
            .map_err(|why| {
                azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, why)
            })
    }
}

/// The token the platform keeps fresh in a file for a workload identity.
#[derive(Debug)]
struct FederatedToken;

const FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

#[async_trait]
impl ClientAssertion for FederatedToken {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let unusable = |why: String| {
            azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, why)
        };
        let Some(path) = std::env::var_os(FEDERATED_TOKEN_FILE) else {
            return Err(unusable(format!(
                "no token file: the platform names it in {FEDERATED_TOKEN_FILE}, which is not set"
            )));
        };
        // A line end behind the token is no part of it.
        std::fs::read_to_string(&path)
            .map(|text| text.trim().to_string())
            .map_err(|e| {
                let path = path.to_string_lossy();
                unusable(format!("token file {path} ({FEDERATED_TOKEN_FILE}): {e}"))
            })
    }
}

/// A sign-in service's error answer, read as far as it can be read. Only its
/// OAuth word and Microsoft's own sentence are quoted: whoever else answers may
/// repeat the credential he was sent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Refusal {
    code: String,
    codes: Vec<u32>,
    message: String,
    traces: String,
}

const NOT_QUOTED: &str = "the answer repeats the credential and is not quoted";

impl Refusal {
    /// `trusted`: any sentence may be quoted, if it repeats no credential.
    fn read(body: &str, secrets: &SentSecrets, trusted: bool) -> Refusal {
        let Ok(json) = serde_json::from_str::<serde_json::Value>(body) else {
            return Refusal {
                message: match body.len() {
                    _ if body.contains("access_token") => {
                        "the answer holds a token but is no JSON".to_string()
                    }
                    _ if body.trim().is_empty() => "an empty answer".to_string(),
                    bytes => format!("no JSON, {bytes} bytes that are not quoted"),
                },
                ..Refusal::default()
            };
        };
        let text = |name: &str| json.get(name).and_then(|value| value.as_str());
        // App Service says `message` where Entra says `error_description`.
        let said = text("error_description").or_else(|| text("message"));
        let listed = json.get("error_codes").and_then(|codes| codes.as_array());
        let mut codes: Vec<u32> = listed
            .into_iter()
            .flatten()
            .filter_map(|code| u32::try_from(code.as_u64()?).ok())
            .collect();
        if codes.is_empty() {
            codes.extend(said.and_then(aadsts));
        }
        // What follows repeats the ids that stand in fields of their own.
        let sentence = |said: &str| match secrets.blotted(said) {
            None => NOT_QUOTED.to_string(),
            Some(said) => {
                let end = said.find(" Trace ID:").unwrap_or(said.len());
                line(said.get(..end).unwrap_or_default())
            }
        };
        let message = match said {
            Some(said) if trusted || said.trim_start().starts_with("AADSTS") => sentence(said),
            Some(_) => "its description is not Microsoft's and is not quoted".to_string(),
            None if json.get("access_token").is_some() => {
                "the answer cannot be used as a token".to_string()
            }
            None => "the answer holds no token".to_string(),
        };
        let word = |name: &str, most: usize| {
            let word = text(name).filter(|word| is_word(word, most))?;
            secrets.blotted(word)
        };
        let traces: Vec<String> = [
            ("correlation id", "correlation_id"),
            ("trace id", "trace_id"),
        ]
        .into_iter()
        .filter_map(|(name, key)| Some(format!("{name} {}", word(key, 64)?)))
        .collect();
        Refusal {
            code: word("error", 64).unwrap_or_default(),
            codes,
            message,
            traces: traces.join(", "),
        }
    }
}

/// Whether it is a word or an id, and no sentence.
fn is_word(text: &str, most: usize) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=most).contains(&text.len()) && text.chars().all(fits)
}

/// The number in `AADSTS7000215: …`.
fn aadsts(text: &str) -> Option<u32> {
    let (_, tail) = text.split_once("AADSTS")?;
    let end = tail
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(tail.len());
    tail.get(..end)?.parse().ok()
}

/// The permissions (`roles`) an access token carries. For diagnosis only: the
/// token is Microsoft's business, and a service may make it opaque.
pub(crate) fn roles(token: &SecretString) -> Vec<String> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        roles: Vec<String>,
    }
    let claims = || {
        let payload = token.expose_secret().split('.').nth(1)?;
        let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice::<Claims>(&json).ok()
    };
    claims().map(|claims| claims.roles).unwrap_or_default()
}
