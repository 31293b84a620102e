//! What an alert points at: devices, accounts, processes, files, mails, …,
//! each rendered with the fields its type has in Graph, MDE and XDR.

use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::json::Json;
use crate::sandbox::tenant::vocabulary::capitalised;
use std::sync::Arc;

#[derive(Debug)]
pub(in crate::sandbox) struct Device {
    /// 40 hex digits, as Defender for Endpoint names machines.
    pub(in crate::sandbox) mde_id: String,
    pub(in crate::sandbox) entra_id: String,
    pub(in crate::sandbox) host: String,
    pub(in crate::sandbox) os: &'static str,
    pub(in crate::sandbox) build: i64,
    pub(in crate::sandbox) version: &'static str,
    pub(in crate::sandbox) ip: String,
    pub(in crate::sandbox) group: &'static str,
    pub(in crate::sandbox) group_id: i64,
    pub(in crate::sandbox) first_seen: Ticks,
    pub(in crate::sandbox) tags: &'static [&'static str],
    /// The account usually at work on it.
    pub(in crate::sandbox) owner: Arc<User>,
}

impl Device {
    pub(in crate::sandbox) fn dns_name(&self) -> String {
        format!("{}.contoso.com", self.host)
    }
}

#[derive(Debug)]
pub(in crate::sandbox) struct User {
    pub(in crate::sandbox) account: String,
    pub(in crate::sandbox) display: String,
    pub(in crate::sandbox) sid: String,
    pub(in crate::sandbox) entra_id: String,
}

impl User {
    pub(in crate::sandbox) fn principal(&self) -> String {
        format!("{}@contoso.com", self.account)
    }
}

#[derive(Debug)]
pub(in crate::sandbox) struct File {
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) path: String,
    pub(in crate::sandbox) sha1: String,
    pub(in crate::sandbox) sha256: String,
    pub(in crate::sandbox) md5: String,
    pub(in crate::sandbox) size: i64,
    pub(in crate::sandbox) publisher: Option<&'static str>,
}

#[derive(Debug)]
pub(in crate::sandbox) struct Process {
    pub(in crate::sandbox) image: Arc<File>,
    pub(in crate::sandbox) parent: Arc<File>,
    pub(in crate::sandbox) command: String,
    pub(in crate::sandbox) id: i64,
    pub(in crate::sandbox) parent_id: i64,
    pub(in crate::sandbox) started: Ticks,
    pub(in crate::sandbox) parent_started: Ticks,
    pub(in crate::sandbox) user: Arc<User>,
}

#[derive(Debug)]
pub(in crate::sandbox) struct Message {
    pub(in crate::sandbox) network_id: String,
    pub(in crate::sandbox) subject: String,
    pub(in crate::sandbox) sender: String,
    pub(in crate::sandbox) sender_ip: String,
    pub(in crate::sandbox) url: String,
    pub(in crate::sandbox) received: Ticks,
    pub(in crate::sandbox) to: Arc<User>,
}

#[derive(Debug, Clone)]
pub(in crate::sandbox) enum Item {
    Device(Arc<Device>),
    User(Arc<User>),
    File(Arc<File>, Option<Arc<Device>>),
    Process(Arc<Process>, Arc<Device>),
    Ip(Arc<str>, &'static str),
    Url(Arc<str>),
    Mailbox(Arc<User>),
    MailboxRule(Arc<User>),
    Message(Arc<Message>),
    MailCluster(Arc<Message>, i64),
    CloudApp(&'static str, i64),
    OauthApp(Arc<str>, Arc<str>),
    Session(Arc<User>, Arc<str>),
    Registry(&'static str, &'static str, Arc<str>, Arc<Device>),
    Group(&'static str, Arc<str>),
}

#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Evidence {
    pub(in crate::sandbox) at: Ticks,
    pub(in crate::sandbox) verdict: &'static str,
    pub(in crate::sandbox) remediation: &'static str,
    pub(in crate::sandbox) role: Option<&'static str>,
    pub(in crate::sandbox) item: Item,
}

const TENANT: &str = crate::sandbox::TENANT_ID;

impl Evidence {
    fn detection(&self) -> &'static str {
        match self.remediation {
            "prevented" => "prevented",
            "blocked" | "remediated" => "blocked",
            _ => "detected",
        }
    }

    /// The element of Graph's `evidence` list.
    pub(in crate::sandbox) fn graph(&self, json: &mut Json) {
        json.object(|json| {
            let tags: &[&str] = match &self.item {
                Item::Device(device) => device.tags,
                _ => &[],
            };
            let name = self.item.graph_type();
            json.key("@odata.type")
                .plain(format_args!("#microsoft.graph.security.{name}Evidence"));
            json.key("createdDateTime").plain(self.at);
            json.key("verdict").text(self.verdict);
            json.key("remediationStatus").text(self.remediation);
            json.key("remediationStatusDetails").null();
            json.key("roles").texts(self.role);
            json.key("detailedRoles")
                .texts(self.role.map(|role| match role {
                    "compromised" => "Main device",
                    "attacker" => "Known bad infrastructure",
                    _ => "Referred in alert",
                }));
            json.key("tags").texts(tags.iter().copied());
            self.graph_fields(json);
        });
    }

    fn graph_fields(&self, json: &mut Json) {
        match &self.item {
            Item::Device(device) => graph_device(device, json),
            Item::User(user) => {
                json.key("stream").null();
                json.key("userAccount").object(|json| account(user, json));
            }
            Item::File(file, device) => {
                json.key("detectionStatus").text(self.detection());
                json.key("mdeDeviceId")
                    .maybe(device.as_ref().map(|device| device.mde_id.as_str()));
                json.key("fileDetails")
                    .object(|json| file_details(file, json));
            }
            Item::Process(process, device) => {
                json.key("processId").number(process.id);
                json.key("parentProcessId").number(process.parent_id);
                json.key("processCommandLine").text(&process.command);
                json.key("processCreationDateTime").plain(process.started);
                json.key("parentProcessCreationDateTime")
                    .plain(process.parent_started);
                json.key("detectionStatus").text(self.detection());
                json.key("mdeDeviceId").text(&device.mde_id);
                json.key("imageFile")
                    .object(|json| file_details(&process.image, json));
                json.key("parentProcessImageFile")
                    .object(|json| file_details(&process.parent, json));
                json.key("userAccount")
                    .object(|json| account(&process.user, json));
            }
            Item::Ip(address, country) => {
                json.key("ipAddress").text(address);
                json.key("countryLetterCode").text(country);
                json.key("location").null();
                json.key("stream").null();
            }
            Item::Url(url) => json.key("url").text(url),
            Item::Mailbox(user) => {
                json.key("primaryAddress").text(&user.principal());
                json.key("displayName").text(&user.display);
                json.key("upn").text(&user.principal());
                json.key("userAccount").object(|json| account(user, json));
            }
            Item::MailboxRule(user) => {
                json.key("mailboxPrimaryAddress").text(&user.principal());
                json.key("upn").text(&user.principal());
                json.key("displayName").text("..");
                json.key("configurationId").text(&user.entra_id);
                json.key("configurationType").text("mailForwardingRule");
                json.key("externalDirectoryObjectId").text(&user.entra_id);
            }
            Item::Message(message) => graph_message(message, self.remediation, json),
            Item::MailCluster(message, count) => {
                json.key("clusterBy")
                    .text("Subject;P2SenderDomain;ContentType");
                json.key("clusterByValue").text(&message.subject);
                json.key("emailCount").number(*count);
                json.key("networkMessageIds")
                    .texts([message.network_id.as_str()]);
                json.key("query").text(&format!(
                    "( ((Subject:\"{}\")) ) AND ( (ContentType: 1) )",
                    message.subject
                ));
                json.key("urn")
                    .text(&format!("urn:MailCluster:{}", message.network_id));
            }
            Item::CloudApp(name, id) => {
                json.key("appId").number(*id);
                json.key("displayName").text(name);
                json.key("instanceId").number(0);
                json.key("instanceName").text(name);
                json.key("saasAppId").number(*id);
                json.key("stream").null();
            }
            Item::OauthApp(name, id) => {
                json.key("appId").text(id);
                json.key("displayName").text(name);
                json.key("objectId").text(id);
                json.key("publisher").null();
            }
            Item::Session(user, agent) => {
                json.key("account").object(|json| account(user, json));
                json.key("browser").text("Chrome 130.0");
                json.key("deviceName").null();
                json.key("operatingSystem").text("Linux");
                json.key("previousLogonDateTime").null();
                json.key("protocol").text("OAuth2:Token");
                json.key("sessionId").text(&user.entra_id);
                json.key("startUtcDateTime").plain(self.at);
                json.key("userAgent").text(agent);
            }
            Item::Registry(key, name, value, device) => {
                json.key("registryKey").text(key);
                json.key("registryHive").text("HKEY_LOCAL_MACHINE");
                json.key("registryValue").text(value);
                json.key("registryValueName").text(name);
                json.key("registryValueType").text("ExpandString");
                json.key("mdeDeviceId").text(&device.mde_id);
            }
            Item::Group(name, sid) => {
                json.key("displayName").text(name);
                json.key("securityGroupId").null();
                json.key("sid").text(sid);
                json.key("distinguishedName")
                    .text(&format!("CN={name},CN=Users,DC=contoso,DC=com"));
                json.key("friendlyName").text(name);
                json.key("activeDirectoryObjectGuid").null();
            }
        }
    }

    /// The element of MDE's `evidence` list; `None` where MDE has no such type.
    pub(in crate::sandbox) fn mde(&self, json: &mut Json) -> Option<()> {
        let entity = match &self.item {
            Item::User(_) => "User",
            Item::File(..) => "File",
            Item::Process(..) => "Process",
            Item::Ip(..) => "Ip",
            Item::Url(_) => "Url",
            Item::Registry(..) => "Registry",
            _ => return None,
        };
        json.object(|json| {
            json.key("entityType").text(entity);
            json.key("evidenceCreationTime").plain(self.at);
            self.entity(json);
            let detected = matches!(&self.item, Item::File(..) | Item::Process(..));
            json.key("detectionStatus")
                .maybe(detected.then(|| capitalised(self.detection())).as_deref());
        });
        Some(())
    }

    /// The element of an XDR alert's `entities` list; `None` for devices, which
    /// stand in a list of their own.
    pub(in crate::sandbox) fn xdr(&self, json: &mut Json) -> Option<()> {
        let entity = match &self.item {
            Item::Device(_) => return None,
            Item::User(_) | Item::Session(..) => "User",
            Item::File(..) => "File",
            Item::Process(..) => "Process",
            Item::Ip(..) => "Ip",
            Item::Url(_) => "Url",
            Item::Mailbox(_) => "MailBox",
            Item::MailboxRule(_) => "MailboxConfiguration",
            Item::Message(_) => "MailMessage",
            Item::MailCluster(..) => "MailCluster",
            Item::CloudApp(..) => "CloudApplication",
            Item::OauthApp(..) => "OAuthApplication",
            Item::Registry(..) => "Registry",
            Item::Group(..) => "SecurityGroup",
        };
        json.object(|json| {
            json.key("entityType").text(entity);
            json.key("evidenceCreationTime").plain(self.at);
            json.key("verdict").text(&capitalised(self.verdict));
            json.key("remediationStatus")
                .text(&capitalised(self.remediation));
            match &self.item {
                Item::Mailbox(user) | Item::MailboxRule(user) => {
                    json.key("userPrincipalName").text(&user.principal());
                    json.key("mailboxDisplayName").text(&user.display);
                    json.key("mailboxAddress").text(&user.principal());
                }
                Item::Message(message) => {
                    json.key("sender").text(&message.sender);
                    json.key("recipient").text(&message.to.principal());
                    json.key("subject").text(&message.subject);
                    json.key("deliveryAction").text("Delivered");
                }
                Item::MailCluster(message, _) => {
                    json.key("clusterBy")
                        .text("Subject;P2SenderDomain;ContentType");
                    json.key("subject").text(&message.subject);
                }
                Item::CloudApp(name, id) => {
                    json.key("applicationId").number(*id);
                    json.key("applicationName").text(name);
                }
                Item::OauthApp(name, id) => {
                    json.key("applicationId").text(id);
                    json.key("applicationName").text(name);
                }
                Item::Group(name, sid) => {
                    json.key("securityGroupId").text(sid);
                    json.key("securityGroupName").text(name);
                }
                _ => self.entity(json),
            }
            if let Item::File(_, Some(device))
            | Item::Process(_, device)
            | Item::Registry(.., device) = &self.item
            {
                json.key("deviceId").text(&device.mde_id);
            }
        });
        Some(())
    }

    /// The flat fields which MDE and XDR share, every one written.
    fn entity(&self, json: &mut Json) {
        let process = match &self.item {
            Item::Process(process, _) => Some(process),
            _ => None,
        };
        let file = match &self.item {
            Item::File(file, _) => Some(file),
            _ => process.map(|process| &process.image),
        };
        let user = match &self.item {
            Item::User(user) | Item::Session(user, _) => Some(user),
            _ => process.map(|process| &process.user),
        };
        json.key("sha1").maybe(file.map(|file| file.sha1.as_str()));
        json.key("sha256")
            .maybe(file.map(|file| file.sha256.as_str()));
        json.key("fileName")
            .maybe(file.map(|file| file.name.as_str()));
        json.key("filePath")
            .maybe(file.map(|file| file.path.as_str()));
        match process {
            Some(process) => {
                json.key("processId").number(process.id);
                json.key("processCommandLine").text(&process.command);
                json.key("processCreationTime").plain(process.started);
                json.key("parentProcessId").number(process.parent_id);
                json.key("parentProcessCreationTime")
                    .plain(process.parent_started);
                json.key("parentProcessFileName").text(&process.parent.name);
                json.key("parentProcessFilePath").text(&process.parent.path);
            }
            None => {
                for name in [
                    "processId",
                    "processCommandLine",
                    "processCreationTime",
                    "parentProcessId",
                    "parentProcessCreationTime",
                    "parentProcessFileName",
                    "parentProcessFilePath",
                ] {
                    json.key(name).null();
                }
            }
        }
        let ip = match &self.item {
            Item::Ip(address, _) => Some(address.as_ref()),
            _ => None,
        };
        json.key("ipAddress").maybe(ip);
        let url = match &self.item {
            Item::Url(url) => Some(url.as_ref()),
            _ => None,
        };
        json.key("url").maybe(url);
        let registry = match &self.item {
            Item::Registry(key, _, value, _) => Some((*key, value.as_ref())),
            _ => None,
        };
        json.key("registryKey").maybe(registry.map(|(key, _)| key));
        json.key("registryHive")
            .maybe(registry.map(|_| "HKEY_LOCAL_MACHINE"));
        json.key("registryValueType")
            .maybe(registry.map(|_| "ExpandString"));
        json.key("registryValue")
            .maybe(registry.map(|(_, value)| value));
        json.key("accountName")
            .maybe(user.map(|user| user.account.as_str()));
        json.key("domainName").maybe(user.map(|_| "CONTOSO"));
        json.key("userSid")
            .maybe(user.map(|user| user.sid.as_str()));
        json.key("aadUserId")
            .maybe(user.map(|user| user.entra_id.as_str()));
        json.key("userPrincipalName")
            .maybe(user.map(|user| user.principal()).as_deref());
    }
}

impl Item {
    const fn graph_type(&self) -> &'static str {
        match self {
            Self::Device(_) => "device",
            Self::User(_) => "user",
            Self::File(..) => "file",
            Self::Process(..) => "process",
            Self::Ip(..) => "ip",
            Self::Url(_) => "url",
            Self::Mailbox(_) => "mailbox",
            Self::MailboxRule(_) => "mailboxConfiguration",
            Self::Message(_) => "analyzedMessage",
            Self::MailCluster(..) => "mailCluster",
            Self::CloudApp(..) => "cloudApplication",
            Self::OauthApp(..) => "oauthApplication",
            Self::Session(..) => "cloudLogonSession",
            Self::Registry(..) => "registryValue",
            Self::Group(..) => "securityGroup",
        }
    }
}

fn account(user: &User, json: &mut Json) {
    json.key("accountName").text(&user.account);
    json.key("domainName").text("CONTOSO");
    json.key("userSid").text(&user.sid);
    json.key("azureAdUserId").text(&user.entra_id);
    json.key("userPrincipalName").text(&user.principal());
    json.key("displayName").text(&user.display);
    json.key("activeDirectoryObjectGuid").null();
    json.key("tenantId").text(TENANT);
    json.key("resourceAccessEvents").list(|_| {});
}

fn file_details(file: &File, json: &mut Json) {
    json.key("sha1").text(&file.sha1);
    json.key("sha256").text(&file.sha256);
    json.key("md5").text(&file.md5);
    json.key("sha256Ac").null();
    json.key("fileName").text(&file.name);
    json.key("filePath").text(&file.path);
    json.key("fileSize").number(file.size);
    json.key("filePublisher").maybe(file.publisher);
    json.key("signer").maybe(file.publisher);
    json.key("issuer")
        .maybe(file.publisher.map(|_| "Contoso Issuing CA 1"));
}

fn graph_device(device: &Device, json: &mut Json) {
    json.key("firstSeenDateTime").plain(device.first_seen);
    json.key("mdeDeviceId").text(&device.mde_id);
    json.key("azureAdDeviceId").text(&device.entra_id);
    json.key("deviceDnsName").text(&device.dns_name());
    json.key("hostName").text(&device.host);
    json.key("ntDomain").text("CONTOSO");
    json.key("dnsDomain").text("contoso.com");
    json.key("osPlatform").text(device.os);
    json.key("osBuild").number(device.build);
    json.key("version").text(device.version);
    json.key("healthStatus").text("active");
    json.key("riskScore").text("high");
    json.key("rbacGroupId").number(device.group_id);
    json.key("rbacGroupName").text(device.group);
    json.key("onboardingStatus").text("onboarded");
    json.key("defenderAvStatus").text("updated");
    json.key("lastIpAddress").text(&device.ip);
    json.key("lastExternalIpAddress").text("192.0.2.1");
    json.key("ipInterfaces")
        .texts([device.ip.as_str(), "fe80::1c2d:3e4f", "127.0.0.1", "::1"]);
    json.key("vmMetadata").null();
    json.key("loggedOnUsers").list(|json| {
        json.object(|json| {
            json.key("accountName").text(&device.owner.account);
            json.key("domainName").text("CONTOSO");
        });
    });
    json.key("resourceAccessEvents").list(|_| {});
}

fn graph_message(message: &Message, remediation: &str, json: &mut Json) {
    json.key("networkMessageId").text(&message.network_id);
    json.key("internetMessageId")
        .text(&format!("<{}@mail.example.net>", message.network_id));
    json.key("subject").text(&message.subject);
    json.key("language").text("en");
    json.key("senderIp").text(&message.sender_ip);
    json.key("recipientEmailAddress")
        .text(&message.to.principal());
    json.key("antiSpamDirection").text("Inbound");
    json.key("deliveryAction").text("Delivered");
    json.key("deliveryLocation")
        .text(if remediation == "remediated" {
            "Quarantine"
        } else {
            "Inbox"
        });
    json.key("urn")
        .text(&format!("urn:MailMessage:{}", message.network_id));
    json.key("threats").texts(["ZapPhish"]);
    json.key("threatDetectionMethods")
        .texts(["URL detonation", "Mixed analysis detection"]);
    json.key("urls").texts([message.url.as_str()]);
    json.key("urlCount").number(1);
    json.key("attachmentsCount").number(0);
    json.key("receivedDateTime").plain(message.received);
    for sender in ["p1Sender", "p2Sender"] {
        json.key(sender).object(|json| {
            json.key("emailAddress").text(&message.sender);
            json.key("displayName").text("IT Service Desk «Contoso»");
            json.key("domainName").text(
                message
                    .sender
                    .split_once('@')
                    .map_or("", |(_, domain)| domain),
            );
        });
    }
}

/// The element of an XDR alert's `devices` list.
pub(in crate::sandbox) fn xdr_device(device: &Device, json: &mut Json) {
    json.object(|json| {
        json.key("deviceId").text(&device.mde_id);
        json.key("mdatpDeviceId").text(&device.mde_id);
        json.key("aadDeviceId").text(&device.entra_id);
        json.key("deviceDnsName").text(&device.dns_name());
        json.key("osPlatform").text(device.os);
        json.key("version").text(device.version);
        json.key("osProcessor").text("x64");
        json.key("osBuild").number(device.build);
        json.key("healthStatus").text("Active");
        json.key("riskScore").text("High");
        json.key("rbacGroupName").text(device.group);
        json.key("rbacGroupId").number(device.group_id);
        json.key("firstSeen").plain(device.first_seen);
        json.key("tags").texts(device.tags.iter().copied());
        json.key("defenderAvStatus").text("Updated");
        json.key("onboardingStatus").text("Onboarded");
        json.key("loggedOnUsers").list(|json| {
            json.object(|json| {
                json.key("accountName").text(&device.owner.account);
                json.key("domainName").text("CONTOSO");
            });
        });
    });
}
