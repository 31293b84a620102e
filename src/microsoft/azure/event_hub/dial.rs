//! The way to a namespace, with WebSockets where only HTTPS leads out.

use super::error::Error;
use super::settings::{Settings, Transport};
use super::websocket;
use crate::ingest::stream::LogErrorClass;
use crate::microsoft::account::Account;
use crate::microsoft::azure::dial::{self, NoWay, Place, Stream};
use crate::microsoft::azure::finding::Findings;
use std::net::IpAddr;

const WEBSOCKET: &str = "websocket";
const BLOCKED: &str = "let the firewall pass TCP 5671 to this host, set the proxy, or choose transport = websocket \
                       (port 443)";
const STRANGE: &str = "check event_hub_namespace, transport, and what answers under this name";

/// Dials one namespace.
pub(super) struct Dialer {
    way: dial::Dialer,
    /// Where WebSockets are asked for, if they are.
    origin: Option<String>,
}

impl Dialer {
    pub(super) fn new(account: &Account, settings: &Settings) -> Result<Self, Error> {
        let (host, port, plain) = (&settings.host, settings.port(), settings.emulator);
        if plain && !is_here(host) {
            let what = format!(
                "{host}: UseDevelopmentEmulator = true goes without TLS, and so to this machine alone"
            );
            return Err(Error::new(
                LogErrorClass::Stop,
                what,
                "take it out of the connection string",
            ));
        }
        let place = Place {
            host: host.clone(),
            port,
            plain,
            blocked: match settings.transport {
                Transport::Amqp => Some(BLOCKED),
                Transport::WebSocket => None,
            },
            strange: STRANGE,
        };
        let origin = || {
            let scheme = if plain { "ws" } else { "wss" };
            match port {
                443 => format!("{scheme}://{host}"),
                port => format!("{scheme}://{host}:{port}"),
            }
        };
        Ok(Self {
            way: dial::Dialer::new(account, place)?,
            origin: (settings.transport == Transport::WebSocket).then(origin),
        })
    }

    /// A connection to the namespace, as AMQP takes it.
    pub(super) async fn dial(&self) -> Result<Box<dyn Stream>, Error> {
        let stream = self.way.dial().await?;
        Ok(match &self.origin {
            None => stream,
            Some(origin) => self.upgrade(origin, stream).await?,
        })
    }

    /// Whether there is a way; a finding for each step.
    pub(super) async fn examine(&self, findings: &mut Findings) -> bool {
        let Ok(stream) = self.way.dial_telling(findings).await else {
            return false;
        };
        let Some(origin) = &self.origin else {
            return true;
        };
        match self.upgrade(origin, stream).await {
            Ok(_) => findings.good(WEBSOCKET, format!("{origin} takes WebSockets")),
            Err(no_way) => findings.add(no_way.finding()),
        }
        findings.are_well()
    }

    async fn upgrade(
        &self,
        origin: &str,
        stream: Box<dyn Stream>,
    ) -> Result<Box<dyn Stream>, NoWay> {
        let upgraded = self
            .way
            .step(WEBSOCKET, websocket::upgrade(origin, stream))
            .await?;
        let upgraded = upgraded.map_err(|why| self.way.refused(WEBSOCKET, why))?;
        Ok(Box::new(upgraded))
    }
}

impl From<NoWay> for Error {
    fn from(no_way: NoWay) -> Self {
        Self::new(no_way.class, no_way.what, no_way.advice)
    }
}

/// Whether a host is this machine.
fn is_here(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
