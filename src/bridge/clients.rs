//! The accounts of this app as triage writes to them: each opened when the
//! first row asks for it, and kept.

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
    /// When calls have to have their answers.
    end: Cell<Option<Instant>>,
}

impl Accounts {
    /// `splunkd` is asked for the accounts and their secrets.
    pub fn new(splunkd: Splunkd, settings: Settings) -> Self {
        Self {
            splunkd,
            settings,
            opened: RefCell::default(),
            end: Cell::default(),
        }
    }

    /// From now on calls have to have their answers by then.
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

/// Speaks one API with an account; `splunkd` is asked for its secret.
pub async fn client(
    splunkd: &Splunkd,
    settings: &Settings,
    name: &str,
    api: Api,
) -> anyhow::Result<Client> {
    let account = account::account(splunkd, settings, name).await?;
    Ok(Client::new(&account, api, paths::state().as_deref())?)
}

/// Where it is kept which wordings the account's tenant takes.
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
                // Once here, and in the outcome of each of its rows.
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
