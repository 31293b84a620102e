//! The accounts that triage writes to: opened with the first row that names one, and
//! kept.

use super::account;
use crate::bridge::account::Settings;
use crate::host::paths;
use crate::microsoft::{Client, DefenderError, Error, UpdateClient};
use crate::splunk::splunkd::Splunkd;
use crate::triage::{self, Api};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

/// The accounts that one user of Splunk may use.
pub struct Accounts {
    splunkd: Splunkd,
    settings: Settings,
    opened: RefCell<HashMap<(String, Api), Client>>,
    /// When calls must have their answers.
    end: Cell<Option<Instant>>,
}

impl Accounts {
    /// `splunkd` gives the accounts and their secrets.
    pub fn new(splunkd: Splunkd, settings: Settings) -> Self {
        Self {
            splunkd,
            settings,
            opened: RefCell::default(),
            end: Cell::default(),
        }
    }

    /// Sets when calls must have their answers, from now on.
    pub fn until(&self, end: Instant) {
        self.end.set(Some(end));
    }

    async fn client(&self, name: &str, api: Api) -> anyhow::Result<Client> {
        let key = (name.to_owned(), api);
        if let Some(client) = self.opened.borrow().get(&key) {
            return Ok(client.clone());
        }
        let client = client(&self.splunkd, &self.settings, name, api).await?;
        self.opened.borrow_mut().insert(key, client.clone());
        Ok(client)
    }
}

/// Opens a client of an account and an API; `splunkd` gives the secret.
pub async fn client(
    splunkd: &Splunkd,
    settings: &Settings,
    name: &str,
    api: Api,
) -> anyhow::Result<Client> {
    let account = account::account(splunkd, settings, name).await?;
    Ok(Client::new(&account, api, paths::state().as_deref())?)
}

/// The file of the wordings that the account's tenant takes.
fn wordings(account: &str, api: Api) -> Option<PathBuf> {
    let account = utf8_percent_encode(account, NON_ALPHANUMERIC);
    Some(paths::state()?.join(format!("api-behaviour-{account}-{api}.json")))
}

impl triage::Accounts for Accounts {
    type Client = UpdateClient;

    async fn open(&self, name: &str, api: Api) -> Result<UpdateClient, DefenderError> {
        match self.client(name, api).await {
            Ok(client) => {
                let client = match self.end.get() {
                    Some(end) => client.until(end.into()),
                    None => client,
                };
                let client = UpdateClient::new(client);
                Ok(match wordings(name, api) {
                    Some(file) => client.remembering(file),
                    None => client,
                })
            }
            Err(error) => {
                let what = format!("{error:#}");
                // Logged once here; each of the account's rows says it in its outcome.
                tracing::error!("account \"{name}\" cannot be used: {what}");
                let error = Error::Setting {
                    account: name.to_owned(),
                    what,
                };
                Err(DefenderError::Call {
                    error: Box::new(error),
                    advice: None,
                })
            }
        }
    }
}
