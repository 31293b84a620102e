//! What transforms.conf finds in alerts, in the shapes Microsoft documents.

use super::document::conf;
use pcre2::bytes::RegexBuilder;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What Splunk searches with, and how long: transforms.conf's MATCH_LIMIT and DEPTH_LIMIT as it ships them.
const LIMITS: &str = "(*LIMIT_MATCH=100000)(*LIMIT_DEPTH=1000)";

/// The fields the transforms of a sourcetype extract from an event, values in order, each once.
fn extracted(sourcetype: &str, event: &str) -> BTreeMap<String, Vec<String>> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../default");
    let read = |name: &str| conf(&fs::read_to_string(default.join(name)).unwrap()).unwrap();
    let (props, transforms) = (read("props.conf"), read("transforms.conf"));
    let props = props
        .iter()
        .find(|stanza| stanza.name == sourcetype)
        .unwrap();
    let names = props
        .settings
        .iter()
        .filter(|(key, _)| key.starts_with("REPORT-"))
        .flat_map(|(_, value)| value.split(',').map(str::trim));
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names {
        let transform = transforms
            .iter()
            .find(|stanza| stanza.name == name)
            .unwrap();
        let field = transform
            .get("FORMAT")
            .unwrap()
            .strip_suffix("::$1")
            .unwrap();
        let pattern = format!("{LIMITS}{}", transform.get("REGEX").unwrap());
        let regex = RegexBuilder::new().build(&pattern).unwrap();
        for found in regex.captures_iter(event.as_bytes()) {
            // An error is a limit reached: Splunk then extracts nothing.
            let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
            let value = String::from_utf8(found[1].to_vec()).unwrap();
            let values = fields.entry(field.to_owned()).or_default();
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    fields
}

fn fields(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    pairs
        .iter()
        .map(|(field, values)| {
            (
                (*field).to_owned(),
                values.iter().map(|value| (*value).to_owned()).collect(),
            )
        })
        .collect()
}

const GRAPH: &str = r##"{"id":"da1_-2","title":"T","description":"says \"deviceDnsName\":\"trap\" and \"senderIp\":\"trap\"",
"evidence":[
{"@odata.type":"#microsoft.graph.security.deviceEvidence","roles":["attacked"],"deviceDnsName":"pc1.contoso.com","hostName":"pc1","loggedOnUsers":[{"accountName":"kim","domainName":"CONTOSO"}]},
{"@odata.type":"#microsoft.graph.security.deviceEvidence","deviceDnsName":null,"hostName":"iot-7","lastIpAddress":"10.1.1.7"},
{"@odata.type":"#microsoft.graph.security.userEvidence","stream":null,"userAccount":{"accountName":"kim","domainName":"CONTOSO","userPrincipalName":"kim@contoso.com"}},
{"@odata.type":"#microsoft.graph.security.userEvidence","stream":null,"userAccount":{"accountName":"local-svc","domainName":"pc1","userPrincipalName":null}},
{"@odata.type":"#microsoft.graph.security.processEvidence","processCommandLine":"cmd /c {x}","userAccount":{"accountName":"SYSTEM","domainName":"NT AUTHORITY","userPrincipalName":null}},
{"@odata.type":"#microsoft.graph.security.ipEvidence","roles":["suspicious","attacker"],"detailedRoles":[],"tags":[],"ipAddress":"203.0.113.7"},
{"@odata.type":"#microsoft.graph.security.ipEvidence","ipAddress":"203.0.113.8","countryLetterCode":"XX","roles":["source"]},
{"@odata.type":"#microsoft.graph.security.ipEvidence","roles":["attacked"],"ipAddress":"10.0.0.9"},
{"@odata.type":"#microsoft.graph.security.ipEvidence","roles":[],"ipAddress":"10.0.0.10"},
{"@odata.type":"#microsoft.graph.security.networkConnectionEvidence","sourceAddress":{"verdict":"unknown","ipAddress":"203.0.113.9"},"destinationAddress":{"ipAddress":"10.0.0.11"}},
{"@odata.type":"#microsoft.graph.security.analyzedMessageEvidence","p1Sender":{"emailAddress":"x@example.com"},"senderIp":"203.0.113.10"}
]}"##;

#[test]
fn graph_evidence_gives_devices_users_and_only_true_sources() {
    assert_eq!(
        extracted("ms365:defender:incident:alerts", GRAPH),
        fields(&[
            ("defender_device", &["pc1.contoso.com", "iot-7"]),
            ("defender_user", &["kim@contoso.com", "local-svc"]),
            ("defender_owner_principal", &["kim@contoso.com"]),
            (
                "defender_source",
                &["203.0.113.7", "203.0.113.8", "203.0.113.9", "203.0.113.10"]
            ),
        ])
    );
}

#[test]
fn a_user_without_a_principal_name_is_not_hidden_by_the_owner_of_a_process() {
    let graph = r##"{"id":"a","evidence":[
{"@odata.type":"#microsoft.graph.security.userEvidence","stream":{"name":"s"},"userAccount":{"userPrincipalName":"","accountName":"localadmin"}},
{"@odata.type":"#microsoft.graph.security.userEvidence","userAccount":{"accountName":"guest"}},
{"@odata.type":"#microsoft.graph.security.processEvidence","userAccount":{"accountName":"ana","userPrincipalName":"ana@example.com"}}]}"##;
    let found = extracted("ms365:defender:incident:alerts", graph);
    assert_eq!(found["defender_user"], ["localadmin", "guest"]);
    assert_eq!(found["defender_owner_principal"], ["ana@example.com"]);
    let mde = r#"{"id":"a","relatedUser":{"userName":"localadmin","domainName":"PC1"},"evidence":[
{"entityType":"Process","processCommandLine":"a {b}","accountName":"ana","userPrincipalName":"ana@example.com"},
{"entityType":"User","accountName":"bo","userPrincipalName":null},
{"entityType":"User","accountName":"kim","userPrincipalName":"kim@example.com"}]}"#;
    let found = extracted("ms:defender:atp:alerts", mde);
    assert_eq!(found["defender_user"], ["kim@example.com", "bo"]);
    assert_eq!(found["defender_known_account"], ["bo", "kim"]);
    assert_eq!(found["defender_related_user"], ["localadmin"]);
}

#[test]
fn alerts_of_an_xdr_incident_give_devices_and_users_but_no_guessed_source() {
    let event = r#"{"alertId":"fa1","title":"T","devices":[{"deviceDnsName":"pc1.contoso.com","rbacGroupName":null}],
"entities":[{"entityType":"User","accountName":"kim","userPrincipalName":"kim@contoso.com"},{"entityType":"User","accountName":"svc"},{"entityType":"Ip","ipAddress":"203.0.113.7"}]}"#;
    assert_eq!(
        extracted("ms365:defender:incident:alerts", event),
        fields(&[
            ("defender_device", &["pc1.contoso.com"]),
            ("defender_user", &["kim@contoso.com", "svc"]),
            ("defender_owner_principal", &["kim@contoso.com"]),
        ])
    );
}

#[test]
fn endpoint_alerts_give_their_machine_and_user() {
    let event = r#"{"id":"da1","computerDnsName":"temp123.contoso.com","relatedUser":{"userName":"temp123","domainName":"DOMAIN"},"evidence":[]}"#;
    assert_eq!(
        extracted("ms:defender:atp:alerts", event),
        fields(&[
            ("defender_device", &["temp123.contoso.com"]),
            ("defender_related_user", &["temp123"]),
        ])
    );
}

#[test]
fn nulls_and_empty_evidence_give_nothing() {
    let event = r#"{"id":"da1","computerDnsName":null,"relatedUser":null,"evidence":[]}"#;
    assert_eq!(extracted("ms:defender:atp:alerts", event), fields(&[]));
    let event = r#"{"id":"1","displayName":"I","incidentWebUrl":"https://security.microsoft.com/incidents/1"}"#;
    assert_eq!(extracted("ms365:defender:incident", event), fields(&[]));
}

#[test]
fn our_own_comments_are_known_by_their_signature() {
    let event = r#"{"id":"1","description":"\"comment\":\"trap [splunk:00000000]\"","comments":[
{"comment":"said \"so\" [splunk:0badcafe]","createdByDisplayName":"app"},
{"comment": "ours no more [splunk:1badcafe] was edited"},
{"comment":null},
{"comment":"path C:\\ [splunk:2badcafe]","createdBy":"app"}],"note":"[splunk:3badcafe] and more"}"#;
    for sourcetype in [
        "ms365:defender:incident:alerts",
        "ms:defender:atp:alerts",
        "ms365:defender:incident",
    ] {
        assert_eq!(
            extracted(sourcetype, event),
            fields(&[("defender_bridge_marker", &["0badcafe", "2badcafe"])])
        );
    }
}

#[test]
fn no_expression_reaches_the_limits_of_the_engine_however_long_the_event() {
    let pasted = r#"C:\\temp\\a.log says \"no\"\n"#.repeat(400);
    let processes = format!(
        r##"{{"@odata.type":"#microsoft.graph.security.processEvidence","processCommandLine":"{pasted}","userAccount":{{"accountName":"kim","userPrincipalName":null}}}},"##
    )
    .repeat(40);
    let tail = r#"{"entityType":"User","accountName":"kim","userPrincipalName":"kim@contoso.com"},{"deviceDnsName":"pc1.contoso.com"},{"computerDnsName":"pc1.contoso.com"}"#;
    let event = format!(
        r#"{{"id":"1","description":"{pasted}","evidence":[{processes}{tail}],"comments":[{{"comment":"{pasted} [splunk:4badcafe]"}}]}}"#
    );
    assert!(event.len() > 400_000);
    for sourcetype in [
        "ms365:defender:incident:alerts",
        "ms:defender:atp:alerts",
        "ms365:defender:incident",
    ] {
        let found = extracted(sourcetype, &event);
        assert_eq!(
            found["defender_bridge_marker"],
            ["4badcafe"],
            "{sourcetype}"
        );
        assert_eq!(
            found["defender_device"],
            ["pc1.contoso.com"],
            "{sourcetype}"
        );
    }
}

#[test]
fn what_a_verdict_is_judged_by_is_read_however_long_the_text_before_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../default/props.conf");
    let props = conf(&fs::read_to_string(path).unwrap()).unwrap();
    for (sourcetype, fields) in [
        (
            "ms365:defender:incident:alerts",
            ["assignedTo", "lastUpdateDateTime"].as_slice(),
        ),
        ("ms:defender:atp:alerts", &["lastUpdateTime"]),
    ] {
        let stanza = props.iter().find(|found| found.name == sourcetype).unwrap();
        for field in fields {
            let calculated = stanza.get(&format!("EVAL-{field}")).unwrap_or_default();
            assert!(
                calculated.contains(&format!("spath(_raw, \"{field}\")")),
                "[{sourcetype}] EVAL-{field} = {calculated}"
            );
        }
    }
}

#[test]
fn no_calculated_field_is_the_url_of_a_portal() {
    let props =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../default/props.conf"))
            .unwrap();
    assert!(!props.contains("WebUrl"));
}
