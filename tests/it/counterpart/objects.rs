//! Objects as Defender lists them, made from a number: the same number, the same bytes.

use super::instants;
use super::tenant::Feed;
use std::fmt::Write;

/// One listed object: its id, its last update, the bytes it is sent as, and
/// the events it must become.
#[derive(Debug, Clone)]
pub struct Object {
    pub id: String,
    pub at: i64,
    pub text: String,
    /// Sourcetype and data of each event.
    pub events: Vec<(&'static str, String)>,
}

impl Object {
    /// An object nobody generated, which leaves as one event; `at` says where a list shows it.
    pub fn raw(feed: Feed, id: &str, at: i64, text: impl Into<String>) -> Self {
        let text = text.into();
        let events = vec![(feed.sourcetype(), text.clone())];
        Self {
            id: id.to_owned(),
            at,
            text,
            events,
        }
    }

    /// Something in a list that is no object; which event it becomes is not said.
    pub fn odd(at: i64, text: &str) -> Self {
        Self {
            id: String::new(),
            at,
            text: text.to_owned(),
            events: Vec::new(),
        }
    }

    /// The same object as it stands after an update.
    pub fn updated(&self, feed: Feed, at: i64, note: &str) -> Self {
        let number = self.id.bytes().map(u64::from).sum();
        made(feed, &self.id, number, at, note)
    }
}

/// `count` objects, their last updates spread evenly over `[from, to)`.
pub fn spread(feed: Feed, count: usize, from: i64, to: i64) -> Vec<Object> {
    let step = (to - from) / i64::try_from(count.max(1)).unwrap();
    (0..count)
        .map(|number| {
            let at = from + step * i64::try_from(number).unwrap();
            numbered(feed, number as u64, at)
        })
        .collect()
}

/// `count` objects with one and the same last update.
pub fn tied(feed: Feed, count: usize, at: i64) -> Vec<Object> {
    (0..count)
        .map(|number| numbered(feed, number as u64, at))
        .collect()
}

/// Object number `number`, last updated at `at`, cut to the fraction digits it prints.
pub fn numbered(feed: Feed, number: u64, at: i64) -> Object {
    made(feed, &feed.id(number), number, at, "")
}

fn made(feed: Feed, id: &str, number: u64, at: i64, note: &str) -> Object {
    let mut dice = Dice::new(number);
    let digits = usize::try_from(number % 8).unwrap();
    let at = instants::cut(at, digits);
    let stamp = instants::print(at, digits);
    let title = TITLES[dice.below(TITLES.len())];
    let story = story(&mut dice);
    let one = |text| Object::raw(feed, id, at, text);
    match feed {
        Feed::GraphAlerts => one(graph_alert(
            &mut dice, id, number, &stamp, title, &story, note,
        )),
        Feed::GraphIncidents => one(graph_incident(&mut dice, id, &stamp, title, &story, note)),
        Feed::MdeAlerts => one(mde_alert(
            &mut dice, id, number, &stamp, title, &story, note,
        )),
        Feed::XdrIncidents => {
            let alerts: Vec<String> = (0..number % 4)
                .map(|part| nested_alert(&mut dice, id, part, &stamp, title))
                .collect();
            let [before, after] = xdr_incident(&mut dice, id, &stamp, title, &story, note);
            incident(id, at, &format!("{before},"), &alerts, &after)
        }
    }
}

/// An XDR incident: `alerts` between two texts leaves as events of its own, and with it
/// the comma that `before` ends or `after` starts with.
fn incident(id: &str, at: i64, before: &str, alerts: &[String], after: &str) -> Object {
    let text = format!("{before}\"alerts\":[{}]{after}", alerts.join(","));
    let without = match before.strip_suffix(',') {
        Some(before) => format!("{before}{after}"),
        None => format!("{before}{}", after.strip_prefix(',').unwrap_or(after)),
    };
    let mut events = vec![(Feed::XdrIncidents.sourcetype(), without)];
    events.extend(
        alerts
            .iter()
            .map(|alert| (Feed::GraphAlerts.sourcetype(), alert.clone())),
    );
    Object {
        id: id.to_owned(),
        at,
        text,
        events,
    }
}

/// What JSON writers and people put into texts, as JSON spells it.
const NASTY: [&str; 16] = [
    r#"\"quoted\" and \\backslashed\\"#,
    r"C:\\Windows\\Temp\\a.exe",
    "<script>alert('&amp;')</script> && <![CDATA[x]]> ]]>",
    "Zürich – 東京 – Владимир",
    "🦀🔐 family 👩‍👩‍👧",
    r"\ud83e\udd80 and \u00e9",
    "\u{FFFD} replaced",
    r"\ufffd\tescaped",
    r"\u0000\u0001\u0008\u000b\u001f",
    r"https:\/\/security.microsoft.com\/alerts\/x",
    "\u{7F}\u{85}\u{9F} C1",
    "\u{2028}\u{2029} separators",
    "\u{200F}\u{202E}left-to-right\u{202C}",
    "e\u{301} combined",
    r"line one\r\nline two",
    "</data></event></stream>",
];

const TITLES: [&str; 6] = [
    "Suspicious execution of hidden file",
    "'Meterpreter' malware was detected",
    "Possible “pass-the-ticket” attack",
    "Anonymous IP address <unknown>",
    "Email messages containing malicious URL removed after delivery",
    "Multi-stage incident & lateral movement",
];

const SEVERITIES: [&str; 4] = ["informational", "low", "medium", "high"];
const SOURCES: [&str; 5] = [
    "microsoftDefenderForEndpoint",
    "microsoftDefenderForIdentity",
    "microsoftDefenderForOffice365",
    "microsoftDefenderForCloudApps",
    "azureAdIdentityProtection",
];
const STATUSES: [&str; 3] = ["new", "inProgress", "resolved"];

fn story(dice: &mut Dice) -> String {
    let mut story = String::from("An activity was observed. ");
    for _ in 0..=dice.below(6) {
        story.push_str(NASTY[dice.below(NASTY.len())]);
        story.push(' ');
    }
    story
}

fn graph_alert(
    dice: &mut Dice,
    id: &str,
    number: u64,
    stamp: &str,
    title: &str,
    story: &str,
    note: &str,
) -> String {
    let severity = SEVERITIES[dice.below(4)];
    let source = SOURCES[dice.below(5)];
    let status = STATUSES[dice.below(3)];
    let mut evidence = String::new();
    for part in 0..dice.below(8) {
        if part > 0 {
            evidence.push(',');
        }
        write!(
            evidence,
            r##"{{"@odata.type":"#microsoft.graph.security.processEvidence","createdDateTime":"{stamp}","verdict":"unknown","remediationStatus":"none","roles":[],"tags":[],"processId":{},"processCommandLine":"cmd.exe \/c \"{}\" & del","imageFile":{{"sha1":"{:040x}","fileName":"a<b>.exe","fileSize":{}}},"userAccount":{{"accountName":"{}","userPrincipalName":null}}}}"##,
            dice.below(65_536),
            NASTY[dice.below(NASTY.len())],
            dice.next(),
            dice.next() >> 33,
            NASTY[3],
        )
        .unwrap();
    }
    // Some writers put blanks after their commas and colons.
    let blank = if number.is_multiple_of(5) { " " } else { "" };
    format!(
        r##"{{"@odata.type":"#microsoft.graph.security.alert","id":{blank}"{id}","providerAlertId":"{id}","incidentId":"{}","status":"{status}","severity":"{severity}","classification":null,"determination":null,"serviceSource":"{source}","title":"{title}",{blank}"description":"{story}","recommendedActions":"{note}","assignedTo":null,"comments":[],"mitreTechniques":["T1059.001"],"createdDateTime":"2026-01-01T00:00:00Z","lastUpdateDateTime":{blank}"{stamp}","resolvedDateTime":null,"score":1.50e+2,"big":123456789012345678901234567890,"evidence":[{evidence}],"additionalData":{{"lastUpdateDateTime":"1999-01-01T00:00:00Z","id":"not-this-one"}}}}"##,
        number / 3,
    )
}

fn graph_incident(
    dice: &mut Dice,
    id: &str,
    stamp: &str,
    title: &str,
    story: &str,
    note: &str,
) -> String {
    let status = ["active", "inProgress", "resolved"][dice.below(3)];
    let severity = SEVERITIES[dice.below(4)];
    format!(
        r##"{{"id":"{id}","tenantId":"{TENANT_ID}","displayName":"{title}","description":"{story}","summary":"{note}","status":"{status}","severity":"{severity}","classification":"unknown","determination":"unknown","assignedTo":null,"createdDateTime":"2026-01-01T00:00:00Z","lastUpdateDateTime":"{stamp}","redirectIncidentId":null,"customTags":["Demo","ü"],"systemTags":[],"comments":[{{"comment":"{}","createdByDisplayName":"a@b.c","createdDateTime":"{stamp}"}}]}}"##,
        NASTY[dice.below(NASTY.len())],
    )
}

fn mde_alert(
    dice: &mut Dice,
    id: &str,
    number: u64,
    stamp: &str,
    title: &str,
    story: &str,
    note: &str,
) -> String {
    let severity = ["Informational", "Low", "Medium", "High"][dice.below(4)];
    let status = ["New", "InProgress", "Resolved"][dice.below(3)];
    format!(
        r#"{{"id":"{id}","incidentId":{},"investigationId":null,"assignedTo":null,"severity":"{severity}","status":"{status}","classification":null,"determination":null,"detectionSource":"WindowsDefenderAtp","category":"{note}","title":"{title}","description":"{story}","alertCreationTime":"2026-01-01T00:00:00Z","lastUpdateTime":"{stamp}","resolvedTime":null,"machineId":"{:040x}","computerDnsName":"pc{number}.contoso.com","aadTenantId":"{TENANT_ID}","relatedUser":{{"userName":"ü","domainName":"D"}},"comments":[{{"comment":"x","createdBy":"a@b.c","createdTime":"{stamp}"}}],"evidence":[]}}"#,
        number / 3,
        dice.next(),
    )
}

/// An XDR incident in two parts, around its member `alerts`.
fn xdr_incident(
    dice: &mut Dice,
    id: &str,
    stamp: &str,
    title: &str,
    story: &str,
    note: &str,
) -> [String; 2] {
    let status = ["Active", "InProgress", "Resolved"][dice.below(3)];
    [
        format!(
            r#"{{"incidentId":{id},"redirectIncidentId":null,"incidentName":"{title}","createdTime":"2026-01-01T00:00:00Z","lastUpdateTime":"{stamp}","assignedTo":null,"classification":"Unknown","determination":"NotAvailable","status":"{status}","severity":"High","tags":["[\"{{"],"comments":[]"#
        ),
        format!(r#","summary":"{story}{note}"}}"#),
    ]
}

/// Number `part` of the alerts inside an XDR incident.
fn nested_alert(dice: &mut Dice, incident: &str, part: u64, stamp: &str, title: &str) -> String {
    format!(
        r#"{{"alertId":"da{incident}_{part}","incidentId":{incident},"serviceSource":"MicrosoftDefenderForEndpoint","creationTime":"2026-01-01T00:00:00Z","lastUpdatedTime":"{stamp}","title":"{title}","description":"{}","status":"New","severity":"High","devices":[{{"deviceId":"{:x}"}}],"entities":[{{"entityType":"File","fileName":"alerts\":[]"}}]}}"#,
        NASTY[dice.below(NASTY.len())],
        dice.next(),
    )
}

/// An XDR incident with these alerts inside.
pub fn xdr_with(id: &str, at: i64, place: Place, alerts: &[String]) -> Object {
    let stamp = instants::print(at, 7);
    let head =
        format!(r#""incidentId":{id},"incidentName":"\"alerts\":[{{","lastUpdateTime":"{stamp}""#);
    let tail = r#""status":"Active","tags":["alerts"]"#;
    match place {
        Place::First => incident(id, at, "{", alerts, &format!(",{head},{tail}}}")),
        Place::Middle => incident(id, at, &format!("{{{head},"), alerts, &format!(",{tail}}}")),
        Place::Last => incident(id, at, &format!("{{{head},{tail},"), alerts, "}"),
    }
}

/// Where in an incident the member `alerts` stands.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    First,
    Middle,
    Last,
}

/// One alert to put into an XDR incident.
pub fn xdr_alert(id: &str, at: i64, title: &str) -> String {
    format!(
        r#"{{"alertId":"{id}","lastUpdatedTime":"{}","title":"{title}","status":"New"}}"#,
        instants::print(at, 7)
    )
}

pub const TENANT_ID: &str = "12f988bf-16f1-41af-91ab-1d7cd011db47";

/// A small deterministic source of numbers (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_F491_4F6C_DD1D).wrapping_add(1))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }
}

#[test]
fn a_generated_object_is_json_and_says_its_own_id_and_time() {
    let from = instants::ago(instants::DAY);
    for feed in Feed::ALL {
        for object in spread(feed, 64, from, from + instants::HOUR) {
            let value: serde_json::Value = serde_json::from_str(&object.text)
                .unwrap_or_else(|error| panic!("{error}: {}", object.text));
            let id = &value[feed.id_field()];
            assert_eq!(id.as_str().map_or(id.to_string(), str::to_owned), object.id);
            let stamp = value[feed.time_field()].as_str().unwrap();
            assert_eq!(instants::parse(stamp), Some(object.at));
        }
    }
}
