//! Which way reading goes: with the account's secret in this process, or, for a
//! user who cannot read it, through the app's REST endpoint. That takes the
//! same capability as writing: alerts and telemetry of a whole tenant are
//! nothing that every user of Splunk may see.

use super::account::{self, Settings};
use super::permission::{Caller, Right, SECRETS};
use crate::splunk::splunkd::{Errand, Splunkd};
use anyhow::anyhow;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::Cell;
use std::time::Duration;

/// A hunting query may run for three minutes, and a throttled read for as long.
const LONGEST: Duration = Duration::from_secs(240);

/// splunkd on behalf of one who may read, and this app's settings.
pub struct Reading {
    pub splunkd: Splunkd,
    pub settings: Settings,
    user: String,
    through_endpoint: Cell<bool>,
}

impl Reading {
    /// # Errors
    /// If the owner of the session key lacks the right, or splunkd does not say.
    pub async fn of(right: Right, splunkd: Splunkd) -> anyhow::Result<Self> {
        let caller = Caller::who_may(right, &splunkd).await?;
        Ok(Self {
            settings: account::settings(&splunkd).await?,
            through_endpoint: Cell::new(!caller.reads_secrets()),
            user: caller.user,
            splunkd,
        })
    }

    /// The endpoint's answer; `None` if this process is to ask itself, because
    /// it can, or because nobody else does.
    ///
    /// # Errors
    /// If the endpoint refuses, in its words.
    pub async fn by_endpoint<T: DeserializeOwned>(
        &self,
        errand: Errand,
        question: &impl Serialize,
    ) -> anyhow::Result<Option<T>> {
        if !self.through_endpoint.get() {
            return Ok(None);
        }
        let body = serde_json::to_vec(question)?;
        let Some(answer) = self.splunkd.have_done(errand, body.into(), LONGEST).await? else {
            self.through_endpoint.set(false);
            tracing::warn!(
                "this splunkd does not serve the app's REST endpoint, so a role of user \"{}\" needs {SECRETS} to read the account's secret",
                self.user
            );
            return Ok(None);
        };
        // serde's own words quote values.
        serde_json::from_slice(&answer).map(Some).map_err(|_| {
            anyhow!(
                "the app's REST endpoint answered with something this version does not understand"
            )
        })
    }
}
