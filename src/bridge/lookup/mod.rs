//! Which way reading goes: through the app's REST endpoint for everybody from whom
//! capability or ACL may hide the accounts' secrets; in this process for administrators,
//! and where the endpoint is not served or fails, since reading twice does no harm.

pub mod hunt;
pub mod live;

use super::{account, own_endpoint};
use crate::bridge::account::{ACL, SecretsSeen, Settings};
use crate::bridge::own_endpoint::{Found, REMEDY};
use crate::bridge::permission::{Caller, Right, SECRETS};
use crate::splunk::splunkd::{Route, Splunkd, SplunkdError};
use anyhow::{anyhow, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::Cell;
use std::time::Duration;

/// A hunting query may run for three minutes, and a throttled read for as long.
const LONGEST: Duration = Duration::from_secs(240);

/// So many processes of another version may still answer.
const OTHERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(250);

/// The endpoint's status where Microsoft or the account fails.
const BEYOND: u16 = 502;

/// splunkd on behalf of a caller who may read, and this app's settings.
pub struct LookupRoute {
    pub splunkd: Splunkd,
    pub settings: Settings,
    caller: Caller,
    /// Whether the caller may go through the endpoint.
    may_go_through: bool,
    /// Whether the endpoint is served, as far as is known.
    served: Cell<Option<bool>>,
    secrets: SecretsSeen,
}

impl LookupRoute {
    /// # Errors
    /// If the owner of the session key lacks the right, or splunkd does not say.
    pub async fn of(right: Right, splunkd: Splunkd) -> anyhow::Result<Self> {
        let caller = Caller::who_may(right, &splunkd).await?;
        let through = match right {
            Right::Read => Right::ReadThrough,
            Right::Check => Right::CheckThrough,
            other => other,
        };
        Ok(Self {
            settings: account::settings(&splunkd).await?,
            may_go_through: caller.may(through),
            served: Cell::new(None),
            secrets: SecretsSeen::default(),
            caller,
            splunkd,
        })
    }

    /// The endpoint's answer; `None` if this process is to ask Microsoft itself, because it
    /// can, or because there is no endpoint.
    ///
    /// # Errors
    /// If the endpoint refuses, in its words, or fails and nobody else can ask.
    pub async fn by_endpoint<T: DeserializeOwned>(
        &self,
        route: Route,
        account: &str,
        question: &impl Serialize,
    ) -> anyhow::Result<Option<T>> {
        let first = !self.caller.is_administrator();
        if !self.may_go_through || !(first || self.hides(account).await) {
            return Ok(None);
        }
        if !self.is_served(account).await? {
            return Ok(None);
        }
        let body = serde_json::to_vec(question)?;
        let mut strange = 0;
        let failed = loop {
            let asked = self
                .splunkd
                .call_endpoint(route, body.clone().into(), LONGEST);
            match asked.await {
                // serde's message would quote values.
                Ok(Some(answer)) => match serde_json::from_slice(&answer) {
                    Ok(answer) => return Ok(Some(answer)),
                    Err(_) => {
                        break anyhow!(
                            "the app's REST endpoint answered with something this version does not understand: {REMEDY}"
                        );
                    }
                },
                Ok(None) => {
                    self.not_served();
                    return Ok(None);
                }
                Err(error) if error.of_another_version() && strange < OTHERS => {
                    strange += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error @ SplunkdError::Refused { status: BEYOND, .. }) => break error.into(),
                Err(error) if error.failed() => break anyhow!("{error}: {REMEDY}"),
                Err(error) if error.busy() || error.passing() => break error.into(),
                Err(error) => return Err(error.into()),
            }
        };
        self.instead(account, failed).await
    }

    async fn is_served(&self, account: &str) -> anyhow::Result<bool> {
        if let Some(served) = self.served.get() {
            return Ok(served);
        }
        let why = match own_endpoint::look(&self.splunkd).await? {
            Found::Served { .. } => {
                self.served.set(Some(true));
                return Ok(true);
            }
            Found::NotServed => {
                self.not_served();
                return Ok(false);
            }
            Found::Broken(why) => anyhow!(why),
            Found::Busy(error) => error.into(),
        };
        self.instead::<()>(account, why).await?;
        Ok(false)
    }

    /// Lets this process ask Microsoft, if it can read the secret.
    async fn instead<T>(&self, account: &str, why: anyhow::Error) -> anyhow::Result<Option<T>> {
        if !self.caller.reads_secrets() || self.hides(account).await {
            bail!(why);
        }
        tracing::warn!("{why:#}; asked without it");
        self.served.set(Some(false));
        Ok(None)
    }

    fn not_served(&self) {
        self.served.set(Some(false));
        if self.caller.is_administrator() {
            return;
        }
        tracing::warn!(
            "this splunkd does not serve the app's REST endpoint, so a role of user \"{}\" needs {SECRETS} and read access to the account's secret ({ACL}); better restart Splunk, so that it serves the endpoint",
            self.caller.user
        );
    }

    async fn hides(&self, account: &str) -> bool {
        self.secrets.is_hidden(&self.splunkd, account).await
    }
}
