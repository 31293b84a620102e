//! `sandbox`: serves the embedded tenant until stopped.

mod event_hub;
mod storage;

use crate::bridge::input::settings::span;
use crate::host::stop::Stop;
use crate::host::{exit, log, runtime};
use crate::sandbox::splunkd::{self, Splunkd};
use crate::sandbox::{Settings, Tenant};
use crate::{disk, sandbox};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Where to listen, on this machine; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))]
    listen: SocketAddr,
    /// Lets --listen name an address that other machines reach: whoever reaches it can do everything
    #[arg(long)]
    allow_remote: bool,
    /// How many alerts the seeded stories add up to
    #[arg(long, default_value_t = 300)]
    alerts: usize,
    /// Over how many past days they are spread
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// The same seed tells the same stories
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often the stories move on (such as 30s); never, if absent
    #[arg(long, value_name = "SPAN")]
    grow: Option<String>,
    /// JSON pages, arrays or NDJSON whose objects are served beside the stories
    #[arg(long, value_name = "FILE")]
    load: Vec<PathBuf>,
    /// Throttle as Microsoft's published quotas do
    #[arg(long)]
    quotas: bool,
    /// How long a change stays unseen to those who ask by id (such as 3s)
    #[arg(long, value_name = "SPAN")]
    visible_after: Option<String>,
    /// How long a change stays unseen in lists, if that is longer
    #[arg(long, value_name = "SPAN")]
    listed_after: Option<String>,
    /// Most alerts one batchUpdate of Defender for Endpoint takes
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    batch: usize,
    /// Gives one alert so much evidence that it reaches this size
    #[arg(long, value_name = "BYTES")]
    object_bytes: Option<usize>,
    /// Where to write the CA certificate clients must trust (`ca_file`); else in a new folder, which is
    /// removed at the end
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Serve a splunkd as well, on this machine, that knows the tenant as an account
    #[arg(long)]
    splunkd: bool,
    /// Say how to reach it as one line of JSON on stdout
    #[arg(long)]
    json: bool,
    /// Log every answered call: `DEBUG <method> <path and query> <status>`
    #[arg(long)]
    log_calls: bool,
    #[command(flatten)]
    event_hub: event_hub::Options,
    #[command(flatten)]
    storage: storage::Options,
}

pub fn run(arguments: Arguments) -> ExitCode {
    match serve(arguments) {
        Ok(()) => exit::WELL,
        Err(error) => {
            tracing::error!("{error:#}");
            exit::refused()
        }
    }
}

fn serve(arguments: Arguments) -> anyhow::Result<()> {
    listened("--listen", arguments.listen, arguments.allow_remote)?;
    let hub = arguments.event_hub.event_hub_listen;
    listened("--event-hub-listen", hub, arguments.allow_remote)?;
    let storage = arguments.storage.storage_listen;
    listened("--storage-listen", storage, arguments.allow_remote)?;
    let spanned = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => span(text)
            .map(Some)
            .map_err(|why| anyhow!("--{name}: {why}")),
    };
    let grow = spanned("grow", &arguments.grow)?;
    let visible_after = spanned("visible-after", &arguments.visible_after)?;
    let listed_after = spanned("listed-after", &arguments.listed_after)?;
    let settings = Settings {
        listen: arguments.listen,
        seed: arguments.seed,
        alerts: arguments.alerts,
        days: arguments.days,
        load: arguments.load,
        grow,
        visible_after: visible_after.unwrap_or_default(),
        listed_after: listed_after.unwrap_or_default(),
        quotas: arguments.quotas,
        batch: arguments.batch,
        object_bytes: arguments.object_bytes,
        event_hub: arguments.event_hub.settings(),
        storage: arguments.storage.settings(),
        ..Settings::default()
    };
    if arguments.log_calls {
        log::level("DEBUG").map_err(|why| anyhow!(why))?;
    }
    let runtime = runtime::new()?;
    runtime.block_on(async {
        let stop = Stop::listen();
        let tenant = sandbox::start(settings).await?;
        let own = disk::temporary().context("no folder for the CA certificate")?;
        let ca_file = arguments
            .ca_file
            .unwrap_or_else(|| own.path().join("ca.pem"));
        disk::put(&ca_file, tenant.ca_pem().as_bytes()).with_context(|| {
            format!(
                "the CA certificate cannot be written to {}",
                ca_file.display()
            )
        })?;
        let splunkd = match arguments.splunkd {
            true => Some(splunkd::start(&tenant, &ca_file).await?),
            false => None,
        };
        announce(&tenant, &ca_file, splunkd.as_ref(), arguments.json)?;
        let mut asked = stop.asked();
        asked.wait_for(|asked| *asked).await?;
        tenant.stop().await;
        anyhow::Ok(())
    })
}

/// The sandbox's secrets protect nothing: they stand in this program.
fn listened(option: &str, address: SocketAddr, allow_remote: bool) -> anyhow::Result<()> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if !allow_remote {
        bail!(
            "{option}: {address} is no loopback address; whoever reaches the sandbox can do everything in it, so \
             serving other machines takes --allow-remote"
        );
    }
    tracing::warn!(
        "the sandbox listens on {address}: whoever reaches it can do everything in it, its secrets are known to all"
    );
    Ok(())
}

fn announce(
    tenant: &Tenant,
    ca_file: &Path,
    splunkd: Option<&Splunkd>,
    json: bool,
) -> io::Result<()> {
    let ca_file = ca_file.display();
    let mut out = io::stdout().lock();
    if json {
        let known = serde_json::json!({
            "url": tenant.url(),
            "ca_file": ca_file.to_string(),
            "tenant_id": tenant.tenant_id(),
            "client_id": tenant.client_id(),
            "client_secret": tenant.client_secret(),
            "reader_id": tenant.reader().0,
            "reader_secret": tenant.reader().1,
            "splunkd": splunkd.map(|splunkd| serde_json::json!({
                "uri": splunkd.uri(),
                "session_key": splunkd.session_key(),
                "account": splunkd::ACCOUNT,
            })),
            "event_hub": event_hub::json(tenant),
            "storage": storage::json(tenant),
        });
        writeln!(out, "{known}")?;
        return out.flush();
    }
    let url = tenant.url();
    writeln!(
        out,
        "A Defender tenant listens on {url}. As an account of defender_bridge_account.conf:\n\n\
         [sandbox]\n\
         tenant_id = {}\n\
         client_id = {}\n\
         auth = secret\n\
         cloud = custom\n\
         login_url = {url}\n\
         graph_url = {url}\n\
         mde_url = {url}\n\
         xdr_url = {url}\n\
         ca_file = {ca_file}\n\n\
         Client secret: {}",
        tenant.tenant_id(),
        tenant.client_id(),
        tenant.client_secret(),
    )?;
    if let Some(hub) = tenant.event_hub() {
        writeln!(out, "\n{}", event_hub::text(hub))?;
    }
    if let Some(storage) = tenant.storage() {
        writeln!(out, "\n{}", storage::text(storage))?;
    }
    if let Some(splunkd) = splunkd {
        writeln!(
            out,
            "\nA splunkd listens on {} and knows it as account {}.\nSession key: {}",
            splunkd.uri(),
            splunkd::ACCOUNT,
            splunkd.session_key(),
        )?;
    }
    writeln!(out, "Stop it with Ctrl-C.")?;
    out.flush()
}
