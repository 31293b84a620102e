//! The storage account of `sandbox`: its options, and how a client reaches it.

use crate::sandbox::Tenant;
use crate::sandbox::storage::{Settings, Storage};
use clap::Args;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

#[derive(Debug, Args)]
#[command(next_help_heading = "Storage account")]
#[group(id = "storage_account")]
pub struct Options {
    /// Serves the storage account Defender streams into too, with a container for checkpoints
    #[arg(long)]
    storage: bool,
    /// Where it listens; port 0 takes a free one
    #[arg(long, value_name = "ADDR", requires = "storage", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))]
    pub storage_listen: SocketAddr,
    /// How many records it begins with; as many as the stories have, if absent
    #[arg(long, value_name = "COUNT", requires = "storage")]
    storage_records: Option<u64>,
}

impl Options {
    pub fn settings(&self) -> Option<Settings> {
        self.storage.then(|| Settings {
            listen: self.storage_listen,
            records: self.storage_records,
            ..Settings::default()
        })
    }
}

/// For programs.
pub fn json(tenant: &Tenant) -> Option<Value> {
    tenant.storage().map(|storage| {
        json!({
            "url": storage.url(),
            "account": storage.name(),
            "key": storage.key(),
            "connection_string": storage.connection_string(),
            "checkpoint_container": storage.checkpoint_container(),
        })
    })
}

/// For people: a stanza of inputs.conf.
pub fn text(storage: &Storage) -> String {
    format!(
        "Its storage account, as an input of inputs.conf:\n\n\
         [defender_bridge://sandbox_storage]\n\
         account = sandbox\n\
         feed = storage\n\
         storage_account = {}\n\n\
         Connection string: {}\n\
         Container for checkpoints: {}\n",
        storage.url(),
        storage.connection_string(),
        storage.checkpoint_container()
    )
}
