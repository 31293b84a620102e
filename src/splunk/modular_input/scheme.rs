//! The scheme document (`--scheme`): what Splunk Web asks for when somebody
//! adds an input, and how splunkd runs it.

use super::xml;

struct Argument {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    required: bool,
}

const ARGUMENTS: &[Argument] = &[
    Argument {
        name: "account",
        title: "Account",
        description: "Name of an account set up in Defender Bridge (stanza of defender_bridge_account.conf).",
        required: true,
    },
    Argument {
        name: "feed",
        title: "Feed",
        description: "What to read: alerts or incidents, or what Defender streams: event_hub or storage. Default: alerts.",
        required: false,
    },
    Argument {
        name: "api",
        title: "API",
        description: "Which API to read from: graph, or mde (alerts only) or xdr (incidents only), both of which Microsoft retires in February 2027. Default: graph.",
        required: false,
    },
    Argument {
        name: "start",
        title: "Start",
        description: "How far back the first read goes: an age such as -7d, a day such as 2026-01-31 (UTC), or an instant such as 2026-01-31T00:00:00Z; of a stream also earliest or latest. Later changes have no effect on an input that has already run. Default: -7d.",
        required: false,
    },
    Argument {
        name: "event_hub_namespace",
        title: "Event Hubs namespace",
        description: "Name or host of the Event Hubs namespace. Only with the feed event_hub.",
        required: false,
    },
    Argument {
        name: "event_hub",
        title: "Event hub",
        description: "Name of the event hub. Only with the feed event_hub.",
        required: false,
    },
    Argument {
        name: "consumer_group",
        title: "Consumer group",
        description: "The consumer group to read as. Only with the feed event_hub. Default: $Default.",
        required: false,
    },
    Argument {
        name: "transport",
        title: "Transport",
        description: "How the event hub is spoken with: amqp (port 5671) or websocket (port 443). Default: amqp.",
        required: false,
    },
    Argument {
        name: "storage_account",
        title: "Storage account",
        description: "Name of the storage account. Only with the feed storage.",
        required: false,
    },
    Argument {
        name: "tables",
        title: "Tables",
        description: "Only records of these tables of advanced hunting, separated by commas. Only with the feeds event_hub and storage. Empty: all of them.",
        required: false,
    },
    Argument {
        name: "overlap",
        title: "Overlap",
        description: "How far each poll reads back over what was read before, to find what Defender listed late; objects already sent are not sent again. Default: 15m.",
        required: false,
    },
    Argument {
        name: "settle",
        title: "Settle",
        description: "How far behind the present each poll stops, to let Defender finish what it is writing. Default: 60s.",
        required: false,
    },
    Argument {
        name: "checkpoint",
        title: "Position",
        description: "Where the input keeps its position: local, in a file of this server; kvstore, in the KV store that the members of a search head cluster share; blob, in a blob container, through which several forwarders share an event hub. Default: local.",
        required: false,
    },
    Argument {
        name: "checkpoint_container",
        title: "Checkpoint container",
        description: "https URL of the blob container with the positions. Only with the position blob.",
        required: false,
    },
    Argument {
        name: "min_severity",
        title: "Lowest severity",
        description: "Leave out what is less severe: informational, low, medium or high. Not with the API xdr. Empty: everything.",
        required: false,
    },
    Argument {
        name: "service_sources",
        title: "Service sources",
        description: "Only what these Microsoft services found, by their Graph names separated by commas, such as microsoftDefenderForEndpoint,microsoftDefenderForOffice365. Only with the feed alerts and the API graph. Empty: all of them.",
        required: false,
    },
];

/// The complete scheme document.
pub fn scheme() -> String {
    let mut document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <scheme>\n\
         {i}<title>Microsoft Defender (Defender Bridge)</title>\n\
         {i}<description>Alerts and incidents of Microsoft Defender, every revision of each, and what Defender streams.</description>\n\
         {i}<use_external_validation>true</use_external_validation>\n\
         {i}<use_single_instance>false</use_single_instance>\n\
         {i}<streaming_mode>xml</streaming_mode>\n\
         {i}<endpoint>\n\
         {i}{i}<args>\n",
        i = "  "
    );
    for argument in ARGUMENTS {
        document.push_str(&format!(
            "{i}<arg name=\"{}\">\n\
             {i}  <title>{}</title>\n\
             {i}  <description>{}</description>\n\
             {i}  <data_type>string</data_type>\n\
             {i}  <required_on_edit>false</required_on_edit>\n\
             {i}  <required_on_create>{}</required_on_create>\n\
             {i}</arg>\n",
            argument.name,
            xml::text(argument.title),
            xml::text(argument.description),
            argument.required,
            i = "      "
        ));
    }
    document.push_str("    </args>\n  </endpoint>\n</scheme>\n");
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use quick_xml::events::Event;

    #[test]
    fn the_scheme_document_is_as_reviewed() {
        insta::assert_snapshot!(scheme());
    }

    #[test]
    fn is_well_formed_and_names_are_ones_splunk_allows() {
        let document = scheme();
        let mut reader = quick_xml::Reader::from_str(&document);
        let mut depth = 0;
        loop {
            match reader.read_event().unwrap() {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth -= 1,
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(depth, 0);
        // Names splunkd keeps for itself must not be declared.
        let reserved = "source sourcetype host index disabled interval start_by_shell persistentQueueSize queueSize";
        for argument in ARGUMENTS {
            assert!(
                argument
                    .name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{}",
                argument.name
            );
            assert!(!reserved.split(' ').any(|name| name == argument.name));
        }
    }
}
