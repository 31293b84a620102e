//! What Defender's streaming would write of the tenant's stories: one record an
//! alert, a piece of evidence and an event behind it, each with what is its own
//! left open, so that any number of records can be told from them.

use std::io::Write as _;

use crate::sandbox::TENANT_ID;
use crate::sandbox::story::evidence::{Device, Evidence, File, Item, Process, User};
use crate::sandbox::story::trace::Trace;
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::json::Json;
use crate::sandbox::tenant::record::{Alert, Body, ToldAlert};
use crate::sandbox::tenant::vocabulary::capitalised;

/// No JSON text holds these characters as they are.
const REPORT: char = '\u{1}';
const ROUND: char = '\u{2}';
const STAMP: char = '\u{3}';
const RECEIVED: char = '\u{4}';
/// How long after an event its record is exported.
const EXPORT: i64 = 4 * 60 * 10_000_000 + 1_234_567;
/// How far a story is from its next round.
const LATER: i64 = 10_000;

/// What stands in a record where it differs from others of its kind.
#[derive(Debug, Clone, Copy)]
enum Own {
    Report,
    Round,
    Stamp,
    Received,
}

/// A record with what is its own left open.
#[derive(Debug)]
pub(in crate::sandbox) struct Template {
    table: &'static str,
    at: Ticks,
    pieces: Vec<(Box<str>, Own)>,
    end: Box<str>,
    longest: usize,
}

impl Template {
    fn new(table: &'static str, at: Ticks, properties: impl FnOnce(&mut Json)) -> Self {
        let mut json = Json::default();
        json.object(|json| {
            json.key("time").plain(RECEIVED);
            json.key("tenantId").text(TENANT_ID);
            json.key("operationName").text("Publish");
            json.key("category")
                .plain(format_args!("AdvancedHunting-{table}"));
            json.key("_TimeReceivedBySvc").plain(STAMP);
            json.key("properties").object(|json| {
                properties(json);
                json.key("Timestamp").plain(STAMP);
            });
            json.key("Tenant").text("DefaultTenant");
        });
        let text = json.finish();
        let (mut pieces, mut begun) = (Vec::new(), 0);
        for (at, mark) in text.char_indices() {
            let own = match mark {
                REPORT => Own::Report,
                ROUND => Own::Round,
                STAMP => Own::Stamp,
                RECEIVED => Own::Received,
                _ => continue,
            };
            pieces.push((text.get(begun..at).unwrap_or_default().into(), own));
            begun = at + 1;
        }
        let end = text.get(begun..).unwrap_or_default().into();
        // 28 characters of an instant are the longest of what is filled in.
        let longest = text.len() + 28 * pieces.len();
        Self {
            table,
            at,
            pieces,
            end,
            longest,
        }
    }

    /// Writes the record: its number among all, and how often the stories were told before.
    pub(in crate::sandbox) fn write(&self, number: u64, round: u64, out: &mut Vec<u8>) {
        self.write_again(number, round, 0, out);
    }

    /// The same record, exported so many times before: its envelope alone differs.
    pub(in crate::sandbox) fn write_again(
        &self,
        number: u64,
        round: u64,
        before: i64,
        out: &mut Vec<u8>,
    ) {
        let stamp = self.at(round);
        let received = Ticks(stamp.0.saturating_add((before + 1).saturating_mul(EXPORT)));
        for (text, own) in &self.pieces {
            out.extend_from_slice(text.as_bytes());
            // Writing into a Vec cannot fail.
            let _infallible = match own {
                Own::Report => write!(out, "{number}"),
                Own::Round if round == 0 => Ok(()),
                Own::Round => write!(out, "_{round}"),
                Own::Stamp => write!(out, "{stamp}"),
                Own::Received => write!(out, "{received}"),
            };
        }
        out.extend_from_slice(self.end.as_bytes());
    }

    /// The table its records are rows of.
    pub(in crate::sandbox) const fn table(&self) -> &'static str {
        self.table
    }

    /// When what it tells of happened.
    pub(in crate::sandbox) fn at(&self, round: u64) -> Ticks {
        let later = i64::try_from(round).unwrap_or(0).saturating_mul(LATER);
        Ticks(self.at.0.saturating_add(later))
    }

    /// No record of it has more bytes.
    pub(in crate::sandbox) const fn longest(&self) -> usize {
        self.longest
    }
}

/// The records of these alerts, in the order of what they tell.
pub(in crate::sandbox) fn templates<'a>(alerts: impl Iterator<Item = &'a Alert>) -> Vec<Template> {
    let mut templates = Vec::new();
    for alert in alerts {
        of_alert(alert, &mut templates);
    }
    templates.sort_by_key(|template| template.at);
    templates
}

fn of_alert(alert: &Alert, templates: &mut Vec<Template>) {
    // What was loaded from files has the columns of a list, not of a table.
    let Body::Told(told) = &alert.body else {
        return;
    };
    templates.push(info(alert, told));
    for evidence in &told.evidence {
        templates.push(alert_evidence(alert, told, evidence));
        templates.extend(event(told, evidence));
    }
}

fn id(alert: &Alert, json: &mut Json) {
    json.key("AlertId")
        .plain(format_args!("{}{ROUND}", alert.id));
}

fn report(json: &mut Json) {
    json.key("ReportId").raw(&REPORT.to_string());
}

fn report_text(json: &mut Json) {
    json.key("ReportId").plain(REPORT);
}

fn info(alert: &Alert, told: &ToldAlert) -> Template {
    Template::new("AlertInfo", alert.state.created, |json| {
        id(alert, json);
        json.key("Title").text(&told.title);
        json.key("Category").text(&alert.category);
        json.key("Severity")
            .text(&capitalised(&alert.state.severity));
        json.key("ServiceSource").text(told.scene.workload.product);
        json.key("DetectionSource")
            .text(&capitalised(&alert.detection_source));
        techniques(told, json);
        group(told, json);
    })
}

fn techniques(told: &ToldAlert, json: &mut Json) {
    if told.scene.techniques.is_empty() {
        json.key("AttackTechniques").text("");
        return;
    }
    let mut list = Json::default();
    list.texts(told.scene.techniques.iter().copied());
    json.key("AttackTechniques").text(&list.finish());
}

fn group(told: &ToldAlert, json: &mut Json) {
    json.key("MachineGroup")
        .maybe(told.machine.as_ref().map(|machine| machine.group));
}

fn alert_evidence(alert: &Alert, told: &ToldAlert, evidence: &Evidence) -> Template {
    Template::new("AlertEvidence", evidence.at, |json| {
        let Trace {
            entity,
            file,
            command,
            ip,
            url,
            user,
            device,
            subject,
        } = evidence.item.trace();
        id(alert, json);
        json.key("Title").text(&told.title);
        json.key("Categories")
            .plain(format_args!("[\\\"{}\\\"]", &*alert.category));
        techniques(told, json);
        json.key("ServiceSource").text(told.scene.workload.product);
        json.key("DetectionSource")
            .text(&capitalised(&alert.detection_source));
        json.key("EntityType").text(entity);
        json.key("EvidenceRole").text(if evidence.role.is_some() {
            "Impacted"
        } else {
            "Related"
        });
        json.key("FileName")
            .maybe(file.map(|file| file.name.as_str()));
        json.key("FolderPath")
            .maybe(file.map(|file| file.path.as_str()));
        json.key("SHA1").maybe(file.map(|file| file.sha1.as_str()));
        json.key("SHA256")
            .maybe(file.map(|file| file.sha256.as_str()));
        match file {
            Some(file) => json.key("FileSize").number(file.size),
            None => json.key("FileSize").null(),
        }
        json.key("ProcessCommandLine").maybe(command);
        json.key("RemoteIP").maybe(ip);
        json.key("RemoteUrl").maybe(url);
        account(user, json);
        of_device(device, json);
        json.key("EmailSubject").maybe(subject);
        json.key("Severity")
            .text(&capitalised(&alert.state.severity));
        // Text that is JSON in itself; the same evidence twice has another number.
        let mut more = Json::default();
        more.object(|more| {
            more.key("$id").plain(REPORT);
            more.key("Verdict").text(evidence.verdict);
            more.key("RemediationStatus").text(evidence.remediation);
        });
        json.key("AdditionalFields").raw(&quoted(&more.finish()));
        group(told, json);
    })
}

/// The event of the product's own table behind a piece of evidence.
fn event(told: &ToldAlert, evidence: &Evidence) -> Option<Template> {
    let at = evidence.at;
    let machine = told.machine.as_deref();
    let template = match &evidence.item {
        Item::Process(process, device) => Template::new("DeviceProcessEvents", at, |json| {
            of_device(Some(device), json);
            json.key("ActionType").text("ProcessCreated");
            of_file(&process.image, json);
            json.key("ProcessId").number(process.id);
            json.key("ProcessCommandLine").text(&process.command);
            json.key("ProcessCreationTime").plain(process.started);
            json.key("ProcessIntegrityLevel").text("Medium");
            account(Some(&process.user), json);
            initiating(process, json);
            json.key("AppGuardContainerId").text("");
            report(json);
        }),
        Item::File(file, Some(device)) => Template::new("DeviceFileEvents", at, |json| {
            of_device(Some(device), json);
            json.key("ActionType").text("FileCreated");
            of_file(file, json);
            json.key("PreviousFileName").text("");
            json.key("FileOriginUrl").text("");
            json.key("InitiatingProcessAccountName")
                .text(&told.user.account);
            json.key("InitiatingProcessFileName").text("explorer.exe");
            report(json);
        }),
        Item::Registry(key, name, value, device) => {
            Template::new("DeviceRegistryEvents", at, |json| {
                of_device(Some(device), json);
                json.key("ActionType").text("RegistryValueSet");
                json.key("RegistryKey")
                    .text(&format!("HKEY_LOCAL_MACHINE\\{key}"));
                json.key("RegistryValueType").text("ExpandString");
                json.key("RegistryValueName").text(name);
                json.key("RegistryValueData").text(value);
                json.key("InitiatingProcessAccountName")
                    .text(&told.user.account);
                report(json);
            })
        }
        Item::Ip(address, country) => match machine {
            Some(device) => Template::new("DeviceNetworkEvents", at, |json| {
                of_device(Some(device), json);
                json.key("ActionType").text("ConnectionSuccess");
                json.key("RemoteIP").text(address);
                json.key("RemotePort").number(443);
                json.key("RemoteUrl").text("");
                json.key("LocalIP").text(&device.ip);
                json.key("LocalPort").number(51_514);
                json.key("Protocol").text("Tcp");
                json.key("RemoteIPType").text("Public");
                json.key("InitiatingProcessAccountName")
                    .text(&told.user.account);
                json.key("InitiatingProcessFileName").text("powershell.exe");
                report(json);
            }),
            None => logon(&told.user, Some(address), country, at),
        },
        Item::Session(user, agent) => Template::new("CloudAppEvents", at, |json| {
            json.key("ActionType").text("UserLoggedIn");
            json.key("Application").text("Microsoft 365");
            json.key("ApplicationId").number(11_161);
            account(Some(user), json);
            json.key("UserAgent").text(agent);
            json.key("IsAdminOperation").raw("false");
            json.key("ActivityObjects").list(|_| {});
            json.key("RawEventData").object(|json| {
                json.key("Operation").text("UserLoggedIn");
                json.key("UserId").text(&user.principal());
            });
            report_text(json);
        }),
        Item::User(user) => match machine {
            Some(device) => Template::new("DeviceLogonEvents", at, |json| {
                of_device(Some(device), json);
                json.key("ActionType").text("LogonSuccess");
                json.key("LogonType").text("RemoteInteractive");
                account(Some(user), json);
                json.key("RemoteIP").text("10.20.0.12");
                json.key("IsLocalAdmin").raw("true");
                json.key("LogonId").number(8_812_345);
                report(json);
            }),
            None => logon(user, None, "", at),
        },
        Item::Message(message) => Template::new("EmailEvents", at, |json| {
            json.key("NetworkMessageId").text(&message.network_id);
            json.key("InternetMessageId")
                .text(&format!("<{}@mail.example.net>", message.network_id));
            for name in ["SenderMailFromAddress", "SenderFromAddress"] {
                json.key(name).text(&message.sender);
            }
            json.key("SenderIPv4").text(&message.sender_ip);
            json.key("RecipientEmailAddress")
                .text(&message.to.principal());
            json.key("RecipientObjectId").text(&message.to.entra_id);
            json.key("Subject").text(&message.subject);
            json.key("EmailDirection").text("Inbound");
            json.key("DeliveryAction").text("Delivered");
            json.key("DeliveryLocation").text("Inbox/folder");
            json.key("ThreatTypes").text("Phish");
            json.key("UrlCount").number(1);
            json.key("AttachmentCount").number(0);
            report_text(json);
        }),
        Item::Url(url) => Template::new("UrlClickEvents", at, |json| {
            json.key("Url").text(url);
            json.key("ActionType").text("ClickAllowed");
            json.key("AccountUpn").text(&told.user.principal());
            json.key("Workload").text("Email");
            json.key("IPAddress").text("192.0.2.1");
            json.key("IsClickedThrough").raw("true");
            report_text(json);
        }),
        Item::Device(device) => Template::new("DeviceInfo", at, |json| {
            of_device(Some(device), json);
            json.key("ClientVersion").text("10.8760.26100.1");
            json.key("PublicIP").text("192.0.2.1");
            json.key("OSArchitecture").text("64-bit");
            json.key("OSPlatform").text(device.os);
            json.key("OSBuild").number(device.build);
            json.key("OSVersion").text(device.version);
            json.key("IsAzureADJoined").raw("true");
            json.key("AadDeviceId").text(&device.entra_id);
            json.key("MachineGroup").text(device.group);
            json.key("OnboardingStatus").text("Onboarded");
            report(json);
        }),
        _ => return None,
    };
    Some(template)
}

/// JSON text as a JSON text, with what is its own still left open.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn logon(user: &User, ip: Option<&str>, country: &str, at: Ticks) -> Template {
    Template::new("IdentityLogonEvents", at, |json| {
        json.key("ActionType").text("LogonSuccess");
        json.key("Application").text("Active Directory");
        json.key("LogonType").text("Interactive");
        json.key("Protocol").text("Kerberos");
        account(Some(user), json);
        json.key("DeviceName").text("");
        json.key("IPAddress").maybe(ip);
        json.key("Location").text(country);
        json.key("AdditionalFields").text("{\"Count\":\"1\"}");
        report_text(json);
    })
}

fn account(user: Option<&User>, json: &mut Json) {
    json.key("AccountName")
        .maybe(user.map(|user| user.account.as_str()));
    json.key("AccountDomain").maybe(user.map(|_| "contoso"));
    json.key("AccountSid")
        .maybe(user.map(|user| user.sid.as_str()));
    json.key("AccountObjectId")
        .maybe(user.map(|user| user.entra_id.as_str()));
    json.key("AccountUpn")
        .maybe(user.map(User::principal).as_deref());
    json.key("AccountDisplayName")
        .maybe(user.map(|user| user.display.as_str()));
}

fn of_device(device: Option<&Device>, json: &mut Json) {
    json.key("DeviceId")
        .maybe(device.map(|device| device.mde_id.as_str()));
    json.key("DeviceName")
        .maybe(device.map(Device::dns_name).as_deref());
}

fn of_file(file: &File, json: &mut Json) {
    json.key("FileName").text(&file.name);
    json.key("FolderPath")
        .text(&format!("{}\\{}", file.path, file.name));
    json.key("SHA1").text(&file.sha1);
    json.key("SHA256").text(&file.sha256);
    json.key("MD5").text(&file.md5);
    json.key("FileSize").number(file.size);
}

fn initiating(process: &Process, json: &mut Json) {
    json.key("InitiatingProcessId").number(process.parent_id);
    json.key("InitiatingProcessCreationTime")
        .plain(process.parent_started);
    json.key("InitiatingProcessFileName")
        .text(&process.parent.name);
    json.key("InitiatingProcessFolderPath")
        .text(&process.parent.path);
    json.key("InitiatingProcessSHA256")
        .text(&process.parent.sha256);
    json.key("InitiatingProcessAccountName")
        .text(&process.user.account);
}
