//! Which hub is read, and how: text → validated settings.

use crate::microsoft::account::cloud::Cloud;
use crate::microsoft::http::error::line;

/// TLS, and the port of WebSockets.
const AMQPS: u16 = 5671;
const HTTPS: u16 = 443;

/// Azure's own names are no longer.
const MOST_NAME: usize = 260;

/// One hub, as one consumer group reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The namespace's full host name, in lower case.
    pub host: String,
    /// Where it is none of the transport's own.
    pub port: Option<u16>,
    pub hub: String,
    pub consumer_group: String,
    pub transport: Transport,
    /// Partitions are shared with other machines: their owner's receiver ends that of
    /// whoever owned it before (epoch 0). Where they are not, a receiver has no epoch and
    /// disturbs nobody.
    pub shared: bool,
    /// Microsoft's emulator, which speaks without TLS: on this machine alone.
    pub emulator: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// AMQP over TLS.
    #[default]
    Amqp,
    /// AMQP over WebSockets, where only HTTPS leads out.
    WebSocket,
}

/// Why a setting was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct Refusal {
    /// The setting's name.
    pub key: &'static str,
    /// What is wrong with it and what to write instead.
    pub why: String,
}

impl Settings {
    /// `namespace`: `contoso`, a full host name, or `host:port` in a custom cloud.
    pub fn parse(
        cloud: &Cloud,
        namespace: &str,
        hub: &str,
        consumer_group: &str,
        transport: &str,
    ) -> Result<Self, Refusal> {
        let refuse = |key| move |why| Refusal { key, why };
        let (host, port) = place(cloud, namespace.trim()).map_err(refuse("event_hub_namespace"))?;
        let group = match consumer_group.trim() {
            "" => "$Default",
            group => group,
        };
        Ok(Self {
            host,
            port,
            hub: name(hub.trim(), "the hub's name").map_err(refuse("event_hub"))?,
            consumer_group: name(group, "the group's name").map_err(refuse("consumer_group"))?,
            transport: Transport::parse(transport).map_err(refuse("transport"))?,
            shared: false,
            emulator: false,
        })
    }

    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.transport {
            Transport::Amqp => AMQPS,
            Transport::WebSocket => HTTPS,
        })
    }

    /// As checkpoints name it.
    pub fn log(&self) -> String {
        format!(
            "event_hub {}/{} {}",
            self.host, self.hub, self.consumer_group
        )
    }

    /// What tokens are for.
    pub(super) fn audience(&self) -> String {
        match self.port {
            Some(port) => format!("sb://{}:{port}/{}", self.host, self.hub),
            None => format!("sb://{}/{}", self.host, self.hub),
        }
    }

    /// A partition's address.
    pub(super) fn address(&self, partition: &str) -> String {
        format!(
            "{}/ConsumerGroups/{}/Partitions/{partition}",
            self.hub, self.consumer_group
        )
    }
}

impl Transport {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "amqp" => Ok(Self::Amqp),
            "websocket" => Ok(Self::WebSocket),
            other => Err(format!("\"{}\" is neither amqp nor websocket", line(other))),
        }
    }
}

fn place(cloud: &Cloud, text: &str) -> Result<(String, Option<u16>), String> {
    let shown = line(text);
    let custom = matches!(cloud, Cloud::Custom(_));
    if text.is_empty() {
        return Err("missing: write the Event Hubs namespace, such as contoso".to_owned());
    }
    let (host, port) = match text.rsplit_once(':') {
        None => (text, None),
        Some((host, port)) => match port.parse::<u16>() {
            Ok(port) if port > 0 && custom => (host, Some(port)),
            Ok(_) if !custom => {
                return Err(format!(
                    "\"{shown}\": a port belongs to cloud = custom; write the namespace's name alone"
                ));
            }
            _ => {
                return Err(format!(
                    "\"{shown}\" is no name of a namespace: write contoso, or its full host name"
                ));
            }
        },
    };
    let host = host.to_ascii_lowercase();
    let label = |label: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&label.len()) && label.chars().all(fits)
    };
    if host.len() > MOST_NAME || !host.split('.').all(label) {
        return Err(format!(
            "\"{shown}\" is no name of a namespace: write contoso, or its full host name"
        ));
    }
    let suffix = cloud.event_hubs();
    match custom || host.contains('.') {
        false => Ok((format!("{host}.{suffix}"), port)),
        // A token goes to the account's own cloud alone.
        true if !custom && !host.ends_with(&format!(".{suffix}")) => Err(format!(
            "\"{shown}\" is none of this cloud's namespaces, which end in .{suffix}: check cloud of the account"
        )),
        true => Ok((host, port)),
    }
}

fn name(text: &str, what: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '$');
    match text {
        "" => Err(format!("missing: write {what}")),
        _ if text.len() > MOST_NAME || !text.chars().all(fits) => Err(format!(
            "\"{}\" is no name that Event Hubs takes: letters, digits, . - _",
            line(text)
        )),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::microsoft::tests::https_server::custom_cloud;
    use proptest::prelude::*;

    fn parse(cloud: &Cloud, namespace: &str) -> Result<Settings, String> {
        let settings = Settings::parse(cloud, namespace, "insights", "", "");
        settings.map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_namespace_may_be_a_name_or_a_host_of_its_cloud() {
        for (cloud, text, host) in [
            (
                Cloud::Commercial,
                "Contoso",
                "contoso.servicebus.windows.net",
            ),
            (
                Cloud::Gcc,
                "contoso.servicebus.windows.net",
                "contoso.servicebus.windows.net",
            ),
            (
                Cloud::GccHigh,
                "contoso",
                "contoso.servicebus.usgovcloudapi.net",
            ),
            (
                Cloud::Dod,
                " contoso ",
                "contoso.servicebus.usgovcloudapi.net",
            ),
        ] {
            let settings = parse(&cloud, text).unwrap();
            assert_eq!((settings.host.as_str(), settings.port()), (host, 5671));
        }
        let settings = parse(&custom_cloud(), "localhost:15671").unwrap();
        assert_eq!(
            (settings.host.as_str(), settings.port()),
            ("localhost", 15671)
        );
        assert_eq!(settings.audience(), "sb://localhost:15671/insights");
        assert_eq!(settings.log(), "event_hub localhost/insights $Default");
        assert_eq!(
            settings.address("3"),
            "insights/ConsumerGroups/$Default/Partitions/3"
        );
    }

    #[test]
    fn a_token_never_goes_to_a_host_of_another_cloud() {
        for text in [
            "evil.example",
            "contoso.servicebus.windows.net.evil.example",
            "contoso.servicebus.usgovcloudapi.net",
            "servicebus.windows.net",
        ] {
            let why = parse(&Cloud::Commercial, text).unwrap_err();
            assert!(why.contains("cloud"), "{why}");
        }
    }

    #[test]
    fn what_is_refused_names_the_setting_and_what_to_write() {
        let of = |namespace, hub, group, transport| {
            Settings::parse(&Cloud::Commercial, namespace, hub, group, transport)
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(
            [
                of("", "h", "", ""),
                of("contoso:5671", "h", "", ""),
                of("sb://contoso", "h", "", ""),
                of("con/toso", "h", "", ""),
                of("contoso", "", "", ""),
                of("contoso", "a/b", "", ""),
                of("contoso", "h", "my group", ""),
                of("contoso", "h", "", "kafka"),
            ]
            .join("\n")
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall(namespace in "\\PC{0,30}", hub in "\\PC{0,10}", group in "\\PC{0,10}") {
            for cloud in [Cloud::Commercial, custom_cloud()] {
                match Settings::parse(&cloud, &namespace, &hub, &group, "") {
                    Ok(settings) => prop_assert!(!settings.address("0").contains("//")),
                    Err(refusal) => prop_assert!(!refusal.why.contains('\n')),
                }
            }
        }
    }
}
