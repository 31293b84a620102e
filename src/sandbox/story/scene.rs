//! The scenes stories are made of, each what one Defender product raises, and
//! the plots that string them together.
//!
//! Texts carry what real ones carry: line breaks, quotes, backslashes, markup,
//! control characters, scripts of the whole world.

/// A piece of the cast that a scene shows as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Prop {
    Station,
    Server,
    Victim,
    Admin,
    Lure,
    Payload,
    Tool,
    Script,
    Beacon,
    Hands,
    Attacker,
    Relay,
    Url,
    Mailbox,
    Rule,
    Message,
    Cluster,
    Exchange,
    SharePoint,
    App,
    Session,
    RunKey,
    Group,
}

/// A detection: what one product says when it sees this.
#[derive(Debug)]
pub(in crate::sandbox) struct Scene {
    pub(in crate::sandbox) workload: &'static Workload,
    pub(in crate::sandbox) detection: &'static str,
    pub(in crate::sandbox) category: &'static str,
    pub(in crate::sandbox) severity: &'static str,
    /// `{user}`, `{device}`, `{server}`, `{file}`, `{ip}`, `{domain}`, `{app}` are filled in.
    pub(in crate::sandbox) title: &'static str,
    pub(in crate::sandbox) description: &'static str,
    pub(in crate::sandbox) techniques: &'static [&'static str],
    pub(in crate::sandbox) family: Option<&'static str>,
    pub(in crate::sandbox) actor: Option<&'static str>,
    pub(in crate::sandbox) props: &'static [Prop],
}

/// One of the Defender products.
#[derive(Debug)]
pub(in crate::sandbox) struct Workload {
    /// Graph's `serviceSource`.
    pub(in crate::sandbox) service: &'static str,
    pub(in crate::sandbox) product: &'static str,
    /// The two letters in front of its alert ids.
    pub(in crate::sandbox) prefix: &'static str,
    pub(in crate::sandbox) actions: &'static str,
}

const ENDPOINT: Workload = Workload {
    service: "microsoftDefenderForEndpoint",
    product: "Microsoft Defender for Endpoint",
    prefix: "da",
    actions: "A. Validate the alert.\n1. Review the machine timeline for suspicious activities that may have occurred before and after the time of the alert, and record additional related artifacts (files, IPs/URLs).\n\u{fffd}\tLook for the presence of relevant artifacts on other systems & <b>tenants</b>.\n2. Submit undetermined files for deep analysis and review the detailed results.\n\nB. Scope the incident. Find related machines, network addresses, and files in the incident graph.\n\nC. Contain and mitigate the breach. Stop suspicious processes, isolate affected machines, decommission compromised accounts or reset passwords, block IP addresses and URLs, and install security updates.\n\nD. Contact your incident response team, or contact Microsoft support for investigation and remediation services.",
};
const IDENTITY: Workload = Workload {
    service: "microsoftDefenderForIdentity",
    product: "Microsoft Defender for Identity",
    prefix: "aa",
    actions: "1. Reset the password of the source user and enable MFA, or, if you have configured the relevant high-risk user policies in Microsoft Entra ID Protection, confirm the user is compromised in the Microsoft Defender portal.\n2. Contain the source computer: find the tool that performed the attack and remove it; look for users logged on around the time of the activity (\"net session\", C:\\Windows\\System32\\winevt\\Logs).\n3. If a domain controller is concerned, treat the krbtgt account as exposed and reset it twice.",
};
const OFFICE: Workload = Workload {
    service: "microsoftDefenderForOffice365",
    product: "Microsoft Defender for Office 365",
    prefix: "fa",
    actions: "1. Review the messages in Threat Explorer: subject, sender, \"delivery location\".\n2. Soft-delete what is still in mailboxes & check who clicked.\n3. Add the sender's domain and the URL to the Tenant Allow/Block List.\n4. Prüfen Sie, ob weitere Empfänger betroffen sind.",
};
const CLOUD_APPS: Workload = Workload {
    service: "microsoftDefenderForCloudApps",
    product: "Microsoft Defender for Cloud Apps",
    prefix: "ca",
    actions: "1. Ask the user whether the activity was theirs; a yes by the same channel the attacker may hold is no yes.\n2. Revoke sessions & refresh tokens, remove the rule or the consent.\n3. Review the activity log of the account over the last 30 days for <external> sharing, forwarding and new devices.",
};
const ENTRA: Workload = Workload {
    service: "azureAdIdentityProtection",
    product: "AAD Identity Protection",
    prefix: "ad",
    actions: "Confirm the sign-in as compromised or dismiss the risk. When compromised: reset the password, revoke tokens, check the registered authentication methods, and review sign-ins from the same autonomous system.",
};
const XDR: Workload = Workload {
    service: "microsoft365Defender",
    product: "Microsoft Defender XDR",
    prefix: "ra",
    actions: "Review the attack story of the incident. Automatic attack disruption may already have contained users or devices; undo containment only after the investigation has ended.",
};

use Prop::{
    Admin, App, Attacker, Beacon, Cluster, Exchange, Group, Hands, Lure, Mailbox, Message, Payload,
    Relay, Rule, RunKey, Script, Server, Session, SharePoint, Station, Tool, Url, Victim,
};

const PHISH: Scene = Scene {
    workload: &OFFICE,
    detection: "microsoftDefenderForOffice365",
    category: "InitialAccess",
    severity: "medium",
    title: "Email messages containing malicious URL removed after delivery",
    description: "Emails with a malicious URL (https://{domain}/…) that were delivered and later removed. \"{user}\" was among the recipients. The sender imitated the IT service desk: «Your password expires today» / „Ihr Kennwort läuft ab“ / パスワードの有効期限.",
    techniques: &["T1566.002"],
    family: None,
    actor: None,
    props: &[Message, Cluster, Url, Mailbox, Victim, Relay],
};
const CLICK: Scene = Scene {
    workload: &OFFICE,
    detection: "microsoftDefenderForOffice365",
    category: "InitialAccess",
    severity: "high",
    title: "A potentially malicious URL click was detected",
    description: "We have detected that one of your users ({user}) has recently clicked on a link that was found to be malicious: <a href=\"https://{domain}/\">. V1.0.0.5 \u{1f3a3}",
    techniques: &["T1566.002", "T1204.001"],
    family: None,
    actor: None,
    props: &[Url, Victim, Mailbox, Message, Relay, Station],
};
const SIGN_IN: Scene = Scene {
    workload: &ENTRA,
    detection: "azureAdIdentityProtection",
    category: "InitialAccess",
    severity: "medium",
    title: "Unfamiliar sign-in properties",
    description: "The following properties of this sign-in are unfamiliar for the given user: ASN, Browser, Device, IP ({ip}), Location, EASId, TenantIPsubnet.",
    techniques: &["T1078", "T1078.004"],
    family: None,
    actor: None,
    props: &[Victim, Attacker, Session],
};
const TOKEN: Scene = Scene {
    workload: &ENTRA,
    detection: "builtInMl",
    category: "CredentialAccess",
    severity: "high",
    title: "Anomalous token",
    description: "Abnormal characteristics in the token of {user}, such as its lifetime or a token replayed from {ip}, an address the account never used before. The token's claims were issued through https://{domain}/ (adversary in the middle).",
    techniques: &["T1528", "T1539", "T1557"],
    family: None,
    actor: Some("Storm-0000"),
    props: &[Victim, Attacker, Session, Url],
};
const SPRAY: Scene = Scene {
    workload: &ENTRA,
    detection: "azureAdIdentityProtection",
    category: "CredentialAccess",
    severity: "high",
    title: "Password spray",
    description: "Multiple accounts were attacked using common passwords in a unified brute-force manner from {ip}; the password of {user} was found.",
    techniques: &["T1110.003"],
    family: None,
    actor: None,
    props: &[Victim, Attacker, Relay, Session],
};
const RULE: Scene = Scene {
    workload: &CLOUD_APPS,
    detection: "cloudAppSecurity",
    category: "Persistence",
    severity: "medium",
    title: "Suspicious inbox manipulation rule",
    description: "The user {user} created an inbox rule named \"..\" that moves messages whose subject holds “invoice”, “payment” or “конфиденциально” into RSS Feeds\\Archive and marks them as read. The session came from {ip}.",
    techniques: &["T1564.008", "T1114.003"],
    family: None,
    actor: Some("Storm-0000"),
    props: &[Victim, Mailbox, Rule, Exchange, Attacker, Session],
};
const TRAVEL: Scene = Scene {
    workload: &CLOUD_APPS,
    detection: "cloudAppSecurity",
    category: "InitialAccess",
    severity: "medium",
    title: "Impossible travel activity",
    description: "The user {user} was involved in an impossible travel incident: active in two countries within 37 minutes. Address {ip} was used for the first time in this tenant.",
    techniques: &["T1078"],
    family: None,
    actor: None,
    props: &[Victim, Attacker, Relay, Exchange, Session],
};
const DOWNLOADS: Scene = Scene {
    workload: &CLOUD_APPS,
    detection: "cloudAppSecurity",
    category: "Exfiltration",
    severity: "high",
    title: "Mass download by a single user",
    description: "{user} downloaded 1\u{a0}412 files from \\\\sharepoint\\sites\\Finance & Legal\\<Confidential> within five minutes, mostly *.xlsx and *.pst.",
    techniques: &["T1530", "T1567.002"],
    family: None,
    actor: None,
    props: &[Victim, SharePoint, Attacker, Session, Exchange],
};
const CONSENT: Scene = Scene {
    workload: &CLOUD_APPS,
    detection: "appGovernanceDetection",
    category: "Persistence",
    severity: "medium",
    title: "Suspicious OAuth app \"{app}\" gained access to mail",
    description: "The app “{app}” was consented to by {user} and asks for Mail.ReadWrite, Files.Read.All & offline_access. Its reply URL points to {domain}; its name uses look-alike characters (ｍаіl).",
    techniques: &["T1528", "T1550.001"],
    family: None,
    actor: None,
    props: &[App, Victim, Attacker, Url, Mailbox, Exchange],
};
const REPORTED: Scene = Scene {
    workload: &OFFICE,
    detection: "microsoftDefenderForOffice365",
    category: "InitialAccess",
    severity: "low",
    title: "Email reported by user as malware or phish",
    description: "This alert is triggered when any email message is reported as malware or phish by users. Reporter: {user}. Comment: \"sieht komisch aus?!\"",
    techniques: &["T1566"],
    family: None,
    actor: None,
    props: &[Message, Mailbox, Victim, Url, Relay],
};
const OUTBOUND: Scene = Scene {
    workload: &OFFICE,
    detection: "microsoftDefenderForOffice365",
    category: "SuspiciousActivity",
    severity: "medium",
    title: "User restricted from sending email",
    description: "{user} has been restricted from sending messages outside the organization after a burst of outbound mail from {ip}.",
    techniques: &["T1586.002"],
    family: None,
    actor: None,
    props: &[Victim, Mailbox, Cluster, Message, Attacker],
};
const LURED: Scene = Scene {
    workload: &ENDPOINT,
    detection: "microsoftDefenderForEndpoint",
    category: "Execution",
    severity: "medium",
    title: "Suspicious PowerShell command line",
    description: "A suspicious PowerShell activity was observed on the machine {device}. This behavior may indicate that PowerShell was used during installation, exploration, or in some cases in lateral movement activities. Arguments contained a BEL character (\u{7}) & the non-character \u{ffff}.",
    techniques: &["T1059.001", "T1204.002", "T1027"],
    family: None,
    actor: None,
    props: &[Station, Script, Lure, Victim, Url],
};
const ANTIVIRUS: Scene = Scene {
    workload: &ENDPOINT,
    detection: "antivirus",
    category: "Malware",
    severity: "low",
    title: "'Wacatac' malware was prevented",
    description: "Malware and unwanted software are undesirable applications that perform annoying, disruptive, or harmful actions on affected machines. \"{file}\" on {device} was prevented from running.",
    techniques: &["T1204.002"],
    family: Some("Wacatac"),
    actor: None,
    props: &[Station, Payload, Lure, Script],
};
const BEACONING: Scene = Scene {
    workload: &ENDPOINT,
    detection: "microsoftThreatIntelligence",
    category: "CommandAndControl",
    severity: "high",
    title: "Connection to adversary-controlled infrastructure by {file}",
    description: "The process {file} on {device} connected to {ip} (https://{domain}/) every 60 s ± 5 s. The infrastructure is used by a ransomware affiliate – see threat analytics.",
    techniques: &["T1071.001", "T1573"],
    family: Some("CobaltStrike"),
    actor: Some("Storm-0000"),
    props: &[Station, Beacon, Payload, Attacker, Url],
};
const LSASS: Scene = Scene {
    workload: &ENDPOINT,
    detection: "microsoftDefenderForEndpoint",
    category: "CredentialAccess",
    severity: "high",
    title: "Sensitive credential memory read",
    description: "Lsass.exe is a process which stores sensitive credential information such as hashes or plain text passwords in memory. \"{file}\" read that memory on {device} (GrantedAccess 0x1fffff, dump C:\\ProgramData\\a\\l.dmp).",
    techniques: &["T1003.001"],
    family: Some("Mimikatz"),
    actor: None,
    props: &[Station, Beacon, Hands, Tool, Victim],
};
const RUN_KEY: Scene = Scene {
    workload: &ENDPOINT,
    detection: "microsoftDefenderForEndpoint",
    category: "Persistence",
    severity: "medium",
    title: "Anomaly detected in ASEP registry",
    description: "A process registered a suspicious command or file in ASEP registry key, where it will be run after a reboot: %APPDATA%\\..\\{file}",
    techniques: &["T1547.001"],
    family: None,
    actor: None,
    props: &[Station, RunKey, Beacon, Payload, Victim],
};
const RECON: Scene = Scene {
    workload: &IDENTITY,
    detection: "microsoftDefenderForIdentity",
    category: "Discovery",
    severity: "medium",
    title: "Security principal reconnaissance (LDAP)",
    description: "{user} on {device} sent suspicious LDAP queries to a domain controller, searching for (&(objectCategory=person)(servicePrincipalName=*)) and all members of «Domain Admins».",
    techniques: &["T1087.002", "T1069.002"],
    family: None,
    actor: None,
    props: &[Victim, Station, Server, Group, Tool],
};
const ROAST: Scene = Scene {
    workload: &IDENTITY,
    detection: "microsoftDefenderForIdentity",
    category: "CredentialAccess",
    severity: "high",
    title: "Suspected Kerberos SPN exposure (external ID 2410)",
    description: "An actor on {device} exposed 31 service accounts by asking for their tickets in RC4_HMAC (0x17). Follows Security principal reconnaissance.",
    techniques: &["T1558.003"],
    family: None,
    actor: None,
    props: &[Victim, Admin, Station, Server, Hands],
};
const PASS_HASH: Scene = Scene {
    workload: &IDENTITY,
    detection: "microsoftDefenderForIdentity",
    category: "LateralMovement",
    severity: "high",
    title: "Suspected identity theft (pass-the-hash)",
    description: "The NTLM hash of an administrator was stolen from a computer it had logged on to before and used from {device} towards {server}.",
    techniques: &["T1550.002", "T1078.002"],
    family: None,
    actor: None,
    props: &[Admin, Victim, Station, Server],
};
const REMOTE: Scene = Scene {
    workload: &ENDPOINT,
    detection: "microsoftDefenderForEndpoint",
    category: "LateralMovement",
    severity: "medium",
    title: "Suspicious service launched remotely on {server}",
    description: "A service was created and started on {server} from {device}: \"%COMSPEC% /C echo \\\\.\\pipe\\<random>\".",
    techniques: &["T1021.002", "T1569.002"],
    family: None,
    actor: None,
    props: &[Server, Hands, Tool, Admin, Station],
};
const TAMPER: Scene = Scene {
    workload: &ENDPOINT,
    detection: "customDetection",
    category: "DefenseEvasion",
    severity: "medium",
    title: "Attempt to turn off Microsoft Defender Antivirus protection",
    description: "Set-MpPreference -DisableRealtimeMonitoring $true was attempted on {server}; tamper protection refused it. Rule «SOC – Schutz & Härtung», query version 12.",
    techniques: &["T1562.001"],
    family: None,
    actor: None,
    props: &[Server, Hands, RunKey, Admin],
};
const RANSOM: Scene = Scene {
    workload: &ENDPOINT,
    detection: "microsoftDefenderForEndpoint",
    category: "Ransomware",
    severity: "high",
    title: "Ransomware behavior detected in the file system",
    description: "Files on {server} were renamed to *.〆locked at 312 files/s and a note README_<ID>.txt was dropped: “Your files are encrypted”. \\\\{server}\\Finance$ is affected.",
    techniques: &["T1486", "T1490"],
    family: Some("Blackcat"),
    actor: Some("Storm-0000"),
    props: &[Server, Hands, Payload, Tool, Admin],
};
const DISRUPT: Scene = Scene {
    workload: &XDR,
    detection: "microsoft365Defender",
    category: "Ransomware",
    severity: "high",
    title: "Possible hands-on-keyboard ransomware attack – account {user} contained",
    description: "Signals of several products on {device} and {server} were correlated: human-operated ransomware. Automatic attack disruption contained the account; \"Contain user\" ended remote sessions from {ip}.",
    techniques: &["T1486", "T1021", "T1078"],
    family: None,
    actor: Some("Storm-0000"),
    props: &[Admin, Victim, Server, Station, Attacker, Hands],
};
const PUA: Scene = Scene {
    workload: &ENDPOINT,
    detection: "smartScreen",
    category: "UnwantedSoftware",
    severity: "informational",
    title: "'{file}' unwanted software was detected",
    description: "Potentially unwanted application \"{file}\" was downloaded on {device} from https://{domain}/.",
    techniques: &["T1105"],
    family: None,
    actor: None,
    props: &[Station, Tool, Lure, Url, Victim, Script],
};
const HUNTED: Scene = Scene {
    workload: &XDR,
    detection: "nrtAlerts",
    category: "SuspiciousActivity",
    severity: "low",
    title: "Custom detection: archive tool writes to \\\\{server}\\c$",
    description: "DeviceFileEvents | where FileName endswith \".7z\" and InitiatingProcessFileName =~ \"{file}\" | where FolderPath !has @\"\\Backup\\\" // 10 % of all alerts of this rule are true",
    techniques: &["T1560.001"],
    family: None,
    actor: None,
    props: &[Server, Hands, Tool, Admin, Station],
};

/// A plot: its name in the incident's title, its scenes and how many minutes
/// after the former one each begins.
#[derive(Debug)]
pub(in crate::sandbox) struct Plot {
    pub(in crate::sandbox) name: &'static str,
    pub(in crate::sandbox) scenes: &'static [(&'static Scene, u32)],
    /// What an analyst will call it in the end.
    pub(in crate::sandbox) verdict: (&'static str, &'static str),
    /// Of a hundred stories, how many follow it.
    pub(in crate::sandbox) share: u32,
}

pub(in crate::sandbox) static PLOTS: [Plot; 8] = [
    Plot {
        name: "Multi-stage incident involving Initial access & Ransomware on multiple endpoints reported by multiple sources",
        scenes: &[
            (&PHISH, 0),
            (&CLICK, 11),
            (&SIGN_IN, 7),
            (&TOKEN, 3),
            (&RULE, 42),
            (&LURED, 65),
            (&BEACONING, 4),
            (&LSASS, 38),
            (&PASS_HASH, 90),
            (&REMOTE, 12),
            (&RANSOM, 130),
            (&DISRUPT, 1),
        ],
        verdict: ("truePositive", "multiStagedAttack"),
        share: 16,
    },
    Plot {
        name: "Malware & command and control on one endpoint",
        scenes: &[
            (&LURED, 0),
            (&ANTIVIRUS, 0),
            (&RUN_KEY, 2),
            (&BEACONING, 9),
            (&LSASS, 47),
        ],
        verdict: ("truePositive", "malware"),
        share: 18,
    },
    Plot {
        name: "Compromised account: «adversary in the middle» & exfiltration",
        scenes: &[
            (&PHISH, 0),
            (&SIGN_IN, 22),
            (&TOKEN, 1),
            (&TRAVEL, 35),
            (&CONSENT, 16),
            (&DOWNLOADS, 110),
        ],
        verdict: ("truePositive", "compromisedAccount"),
        share: 18,
    },
    Plot {
        name: "Domain reconnaissance and credential theft (\"red team\")",
        scenes: &[
            (&RECON, 0),
            (&ROAST, 24),
            (&PASS_HASH, 55),
            (&REMOTE, 8),
            (&TAMPER, 3),
        ],
        verdict: ("informationalExpectedActivity", "securityTesting"),
        share: 10,
    },
    Plot {
        name: "Password spray – outbound spam",
        scenes: &[(&SPRAY, 0), (&TRAVEL, 19), (&RULE, 26), (&OUTBOUND, 71)],
        verdict: ("truePositive", "maliciousUserActivity"),
        share: 12,
    },
    Plot {
        name: "Email reported by user as malware or phish",
        scenes: &[(&REPORTED, 0)],
        verdict: ("falsePositive", "notMalicious"),
        share: 12,
    },
    Plot {
        name: "Unwanted software on one endpoint",
        scenes: &[(&PUA, 0), (&ANTIVIRUS, 6)],
        verdict: ("truePositive", "unwantedSoftware"),
        share: 8,
    },
    Plot {
        name: "Archive tool on a server",
        scenes: &[(&HUNTED, 0)],
        verdict: ("informationalExpectedActivity", "lineOfBusinessApplication"),
        share: 6,
    },
];
