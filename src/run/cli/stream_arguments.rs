//! A stream given on the command line, by the settings of `inputs.conf`.

use crate::bridge::input::settings::{Input, Refusal, StreamInput};
use crate::ingest::Instant;
use crate::splunk::modular_input::input::Stanza;
use anyhow::{anyhow, bail};
use clap::Args;

/// Which event hub or storage account.
#[derive(Debug, Args)]
#[command(next_help_heading = "Stream")]
pub struct StreamArguments {
    /// Event Hubs namespace: its name or host; host:port with --cloud custom
    #[arg(long, value_name = "NAME")]
    event_hub_namespace: Option<String>,
    /// Name of the event hub
    #[arg(long, value_name = "NAME")]
    event_hub: Option<String>,
    /// Consumer group to read as ($Default, if absent)
    #[arg(long, value_name = "NAME")]
    consumer_group: Option<String>,
    /// Way to the hub: amqp (port 5671) or websocket (443)
    #[arg(long, value_name = "WAY")]
    transport: Option<String>,
    /// Storage account: its name; an https URL with --cloud custom
    #[arg(long, value_name = "NAME")]
    storage_account: Option<String>,
    /// Only these tables of advanced hunting, comma separated
    #[arg(long, value_name = "NAMES")]
    tables: Option<String>,
}

impl StreamArguments {
    /// The option that only a stream has, if one was given.
    pub fn given(&self) -> Option<&'static str> {
        self.settings()
            .into_iter()
            .find_map(|(key, value)| value.is_some().then_some(key))
    }

    fn settings(&self) -> [(&'static str, Option<&String>); 6] {
        [
            ("event_hub_namespace", self.event_hub_namespace.as_ref()),
            ("event_hub", self.event_hub.as_ref()),
            ("consumer_group", self.consumer_group.as_ref()),
            ("transport", self.transport.as_ref()),
            ("storage_account", self.storage_account.as_ref()),
            ("tables", self.tables.as_ref()),
        ]
    }

    /// What the stanza of an input would mean. `more`: settings beside.
    pub fn stream(&self, feed: &str, more: &[(&'static str, &str)]) -> anyhow::Result<StreamInput> {
        let given = self.settings();
        let given = given
            .iter()
            .filter_map(|(key, value)| Some((*key, value.as_ref()?.as_str())));
        let settings = [("account", "command line"), ("feed", feed)]
            .into_iter()
            .chain(given)
            .chain(more.iter().copied());
        let stanza = Stanza {
            scheme: String::new(),
            name: "command line".to_owned(),
            app: None,
            params: settings
                .map(|(key, value)| (key.to_owned(), vec![value.to_owned()]))
                .collect(),
        };
        let now = Instant::from(jiff::Timestamp::now()).millisecond();
        match Input::parse(&stanza, now) {
            Ok(Input::Stream(settings)) => Ok(settings),
            Ok(Input::List(_)) => {
                bail!("--feed: \"{feed}\" is no stream: write event_hub or storage")
            }
            Err(Refusal::Parameter { key, why }) => Err(anyhow!("{}: {why}", option(key))),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// The option of a setting.
pub fn option(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}
