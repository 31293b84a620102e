//! A hunting query, the same for `defenderhunt` and the REST endpoint.

use crate::bridge::account;
use crate::bridge::account::Settings;
use crate::host::paths;
use crate::microsoft::defender::hunting::{Answered, Hunt, HuntError, Hunter};
use crate::splunk::splunkd::Splunkd;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A query, and its span of time.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub account: String,
    pub query: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timespan: Option<String>,
}

impl Query {
    /// # Errors
    /// If the query or its time span is not valid.
    pub fn hunt(&self) -> Result<Hunt, HuntError> {
        Hunt::new(&self.query, self.timespan.as_deref())
    }

    /// Asks Microsoft; `splunkd` gives the account's secret.
    ///
    /// # Errors
    /// If the account cannot be used, or Microsoft does not answer.
    pub async fn ask(
        &self,
        hunt: &Hunt,
        splunkd: &Splunkd,
        settings: &Settings,
    ) -> anyhow::Result<Answered> {
        let account = account::account(splunkd, settings, &self.account).await?;
        let hunter = Hunter::new(&account, paths::state().as_deref())?;
        Ok(hunter.run(hunt).await?)
    }
}

/// Microsoft's answer as the endpoint hands it on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hunted {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
    answer: Box<RawValue>,
}

impl Hunted {
    /// # Errors
    /// If the answer is no JSON.
    pub fn of(answered: &Answered) -> serde_json::Result<Self> {
        Ok(Self {
            warning: answered.warning.clone(),
            answer: serde_json::from_slice(answered.body())?,
        })
    }

    /// The answer, as if this process had asked Microsoft.
    pub fn answered(self) -> Answered {
        let body = Box::<str>::from(self.answer).into_string();
        Answered::relayed(body.into_bytes(), self.warning)
    }
}
