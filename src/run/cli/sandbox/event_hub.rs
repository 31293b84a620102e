//! The event hub of `sandbox`: its options, and how a client reaches it.

use crate::sandbox::Tenant;
use crate::sandbox::event_hub::{Batching, EventHub, Offsets, Settings};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

#[derive(Debug, Args)]
#[command(next_help_heading = "Event hub")]
#[group(id = "hub")]
pub struct Options {
    /// Serves the event hub Defender streams into too, over AMQP and WebSocket
    #[arg(long)]
    event_hub: bool,
    /// Where it listens; port 0 takes a free one
    #[arg(long, value_name = "ADDR", requires = "event_hub", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))]
    pub event_hub_listen: SocketAddr,
    /// Serves it without TLS too, on a second port of loopback
    #[arg(long, requires = "event_hub")]
    event_hub_plain: bool,
    /// How many partitions it has
    #[arg(long, value_name = "COUNT", requires = "event_hub", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    event_hub_partitions: u16,
    /// How many records it begins with; as many as the stories have, if absent
    #[arg(long, value_name = "COUNT", requires = "event_hub")]
    event_hub_records: Option<u64>,
    /// About how large its events are; from one record to 1 MB in turn, if absent
    #[arg(long, value_name = "BYTES", requires = "event_hub")]
    event_hub_event_bytes: Option<usize>,
    /// Offsets as geo-replicated namespaces write them
    #[arg(long, requires = "event_hub")]
    event_hub_geo_replicated: bool,
}

impl Options {
    pub fn settings(&self) -> Option<Settings> {
        self.event_hub.then(|| Settings {
            listen: self.event_hub_listen,
            plain: self.event_hub_plain,
            partitions: usize::from(self.event_hub_partitions),
            records: self.event_hub_records,
            batching: match self.event_hub_event_bytes {
                None => Batching::Mixed,
                Some(bytes) => Batching::Bytes(bytes),
            },
            offsets: match self.event_hub_geo_replicated {
                true => Offsets::GeoReplicated,
                false => Offsets::Numbers,
            },
            ..Settings::default()
        })
    }
}

/// For programs.
pub fn json(tenant: &Tenant) -> Option<Value> {
    tenant.event_hub().map(|hub| {
        json!({
            "namespace": hub.namespace(),
            "plain": hub.plain(),
            "name": hub.name(),
            "consumer_groups": hub.consumer_groups(),
            "partitions": hub.partitions(),
            "connection_string": hub.connection_string(),
            "policies": hub.policies().map(|(name, key)| json!({"name": name, "key": key})),
        })
    })
}

/// For people: a stanza of inputs.conf.
pub fn text(hub: &EventHub) -> String {
    let mut text = format!(
        "Its event hub, as an input of inputs.conf:\n\n\
         [defender_bridge://sandbox_event_hub]\n\
         account = sandbox\n\
         feed = event_hub\n\
         event_hub_namespace = {}\n\
         event_hub = {}\n\
         consumer_group = {}\n\n\
         Connection string: {}\n",
        hub.namespace(),
        hub.name(),
        hub.consumer_groups()
            .last()
            .map_or("$Default", String::as_str),
        hub.connection_string()
    );
    if let Some(plain) = hub.plain() {
        // Writing into a String cannot fail.
        let _infallible = writeln!(text, "Without TLS: {plain}");
    }
    text
}
