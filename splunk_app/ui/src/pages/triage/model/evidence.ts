// What an alert points at, read from the evidence lists of the three APIs
// (Graph `evidence`, Defender for Endpoint `evidence`, Defender XDR `entities`
// and `devices`) into one shape. Every value stays text; a type nobody has
// heard of yet is shown with the fields it has.
import { distinct, object, objects, text, texts, type Json, type JsonObject } from './json';
import { triage as strings } from '../strings';

export const EVIDENCE_KINDS = [
    'process',
    'file',
    'registry',
    'device',
    'user',
    'address',
    'url',
    'mail',
    'cloudApp',
    'session',
    'other',
] as const;
type EvidenceKind = (typeof EVIDENCE_KINDS)[number];

interface Fact {
    name: string;
    value: string;
}

export interface Evidence {
    kind: EvidenceKind;
    title: string;
    facts: Fact[];
    verdict: string | null;
    remediation: string | null;
    roles: string[];
    /** Set for processes only. */
    process: Process | null;
}

export interface Image {
    name: string | null;
    path: string | null;
    sha1: string | null;
    sha256: string | null;
    publisher: string | null;
}

export interface Process {
    pid: string | null;
    started: string | null;
    command: string | null;
    image: Image;
    parentPid: string | null;
    parentStarted: string | null;
    parentImage: Image;
    user: string | null;
    device: string | null;
}

/** Everything an alert's JSON names as evidence. */
export function evidenceOf(alert: JsonObject): Evidence[] {
    return [
        ...objects(alert.devices).map((device) => read(device, 'device')),
        ...objects(alert.evidence).map((item) => read(item, typeOf(item))),
        ...objects(alert.entities).map((item) => read(item, typeOf(item))),
    ];
}

export function devicesOf(evidence: readonly Evidence[]): string[] {
    return distinct(evidence.filter((item) => item.kind === 'device').map((item) => item.title));
}

export function usersOf(evidence: readonly Evidence[]): string[] {
    return distinct(evidence.filter((item) => item.kind === 'user').map((item) => item.title));
}

/** `#microsoft.graph.security.fileEvidence` and `File` are both `file`. */
function typeOf(item: JsonObject): string {
    const said = text(item, '@odata.type', 'entityType') ?? '';
    const name = said.replace(/^.*\./u, '').replace(/Evidence$/u, '');
    return name.charAt(0).toLowerCase() + name.slice(1);
}

function read(item: JsonObject, type: string): Evidence {
    const [kind, title, facts, process] = described(item, type);
    return {
        kind,
        title: title ?? strings.evidence.unnamed,
        facts: facts.flatMap(([name, value]) => (value ? [{ name, value }] : [])),
        verdict: meaningful(text(item, 'verdict')),
        remediation: meaningful(text(item, 'remediationStatus')),
        roles: distinct([...texts(item, 'detailedRoles'), ...texts(item, 'roles')]),
        process: process ?? null,
    };
}

type Facts = [string, string | null][];
type Described = [EvidenceKind, string | null, Facts, Process?];

function described(item: JsonObject, type: string): Described {
    const is = strings.evidence.facts;
    switch (type) {
        case 'process':
            return describedProcess(item);
        case 'file':
            return describedFile(item);
        case 'registryKey':
        case 'registryValue':
        case 'registry': {
            const path = [text(item, 'registryHive'), text(item, 'registryKey')];
            return [
                'registry',
                path.filter(Boolean).join('\\') || null,
                [
                    [is.valueName, text(item, 'registryValueName')],
                    [is.value, text(item, 'registryValue')],
                    [is.valueType, text(item, 'registryValueType')],
                ],
            ];
        }
        case 'device':
        case 'machine':
            return describedDevice(item);
        case 'user':
            return ['user', ...describedUser(object(item.userAccount) ?? item)];
        case 'ip':
            return ['address', text(item, 'ipAddress'), [[is.country, text(item, 'countryLetterCode')]]];
        case 'url':
            return ['url', text(item, 'url'), []];
        case 'analyzedMessage':
        case 'mailMessage':
        case 'mailCluster':
        case 'mailbox':
        case 'mailBox':
        case 'mailboxConfiguration':
            return describedMail(item);
        case 'cloudApplication':
        case 'oauthApplication':
        case 'oAuthApplication':
            return [
                'cloudApp',
                text(item, 'displayName', 'applicationName'),
                [
                    [is.appId, text(item, 'appId', 'applicationId')],
                    [is.publisher, text(item, 'publisher')],
                ],
            ];
        case 'cloudLogonSession': {
            const [name, facts] = describedUser(object(item.account));
            return [
                'session',
                name,
                [
                    [is.browser, text(item, 'browser')],
                    [is.operatingSystem, text(item, 'operatingSystem')],
                    [is.userAgent, text(item, 'userAgent')],
                    [is.protocol, text(item, 'protocol')],
                    [is.started, text(item, 'startUtcDateTime')],
                    ...facts.slice(0, 1),
                ],
            ];
        }
        default:
            return describedOther(item, type);
    }
}

function describedProcess(item: JsonObject): Described {
    const is = strings.evidence.facts;
    const [user] = describedUser(object(item.userAccount) ?? item);
    const process: Process = {
        pid: text(item, 'processId'),
        started: text(item, 'processCreationDateTime', 'processCreationTime'),
        command: text(item, 'processCommandLine'),
        image: image(object(item.imageFile) ?? item),
        parentPid: text(item, 'parentProcessId'),
        parentStarted: text(item, 'parentProcessCreationDateTime', 'parentProcessCreationTime'),
        parentImage: image(
            object(item.parentProcessImageFile) ?? {
                fileName: item.parentProcessFileName ?? null,
                filePath: item.parentProcessFilePath ?? null,
            },
        ),
        user,
        device: text(item, 'mdeDeviceId', 'deviceId'),
    };
    return [
        'process',
        process.image.name ?? process.command,
        [
            [is.commandLine, process.command],
            [is.path, process.image.path],
            [is.pid, process.pid],
            [is.started, process.started],
            [is.user, user],
            [is.detection, text(item, 'detectionStatus')],
            [is.sha256, process.image.sha256],
            [is.sha1, process.image.sha1],
        ],
        process,
    ];
}

function describedFile(item: JsonObject): Described {
    const is = strings.evidence.facts;
    const details = object(item.fileDetails) ?? item;
    const file = image(details);
    return [
        'file',
        file.name ?? file.sha256 ?? file.sha1,
        [
            [is.path, file.path],
            [is.detection, text(item, 'detectionStatus')],
            [is.publisher, file.publisher],
            [is.signer, text(details, 'signer')],
            [is.size, text(details, 'fileSize')],
            [is.sha256, file.sha256],
            [is.sha1, file.sha1],
            [is.md5, text(details, 'md5')],
        ],
    ];
}

function describedDevice(item: JsonObject): Described {
    const is = strings.evidence.facts;
    const system = [text(item, 'osPlatform'), text(item, 'version'), text(item, 'osBuild')];
    const loggedOn = objects(item.loggedOnUsers).map((user) => describedUser(user)[0]);
    return [
        'device',
        text(item, 'deviceDnsName', 'hostName', 'mdeDeviceId', 'deviceId'),
        [
            [is.operatingSystem, system.filter(Boolean).join(' ') || null],
            [is.risk, meaningful(text(item, 'riskScore'))],
            [is.health, text(item, 'healthStatus')],
            [is.address, text(item, 'lastIpAddress')],
            [is.externalAddress, text(item, 'lastExternalIpAddress')],
            [is.group, text(item, 'rbacGroupName')],
            [is.loggedOn, distinct(loggedOn).join(', ') || null],
            [is.tags, texts(item, 'tags').join(', ') || null],
            [is.deviceId, text(item, 'mdeDeviceId', 'deviceId')],
        ],
    ];
}

function describedUser(account: JsonObject | null): [string | null, Facts] {
    const is = strings.evidence.facts;
    const name = text(account, 'accountName', 'userName');
    const domain = text(account, 'domainName');
    const qualified = name && domain ? `${domain}\\${name}` : name;
    const principal = text(account, 'userPrincipalName');
    return [
        principal ?? qualified ?? text(account, 'displayName', 'userSid'),
        [
            [is.account, principal ? qualified : null],
            [is.displayName, text(account, 'displayName')],
            [is.sid, text(account, 'userSid')],
            [is.entraId, text(account, 'azureAdUserId', 'aadUserId')],
        ],
    ];
}

function describedMail(item: JsonObject): Described {
    const is = strings.evidence.facts;
    const sender = object(item.p2Sender) ?? object(item.p1Sender);
    const recipient = text(item, 'recipientEmailAddress', 'recipient');
    const mailbox = text(item, 'primaryAddress', 'mailboxPrimaryAddress', 'mailboxAddress');
    return [
        'mail',
        text(item, 'subject', 'clusterByValue') ?? mailbox ?? text(item, 'displayName'),
        [
            [is.sender, text(sender, 'emailAddress') ?? text(item, 'sender')],
            [is.senderName, text(sender, 'displayName')],
            [is.senderAddress, text(item, 'senderIp')],
            [is.recipient, recipient],
            [is.received, text(item, 'receivedDateTime')],
            [is.delivery, delivery(item)],
            [is.threats, texts(item, 'threats').join(', ') || null],
            [is.urls, texts(item, 'urls').join('\n') || null],
            [is.messages, text(item, 'emailCount')],
            [is.configuration, text(item, 'configurationType')],
            [is.mailbox, mailbox],
            [is.displayName, text(item, 'displayName', 'mailboxDisplayName')],
            [is.messageId, text(item, 'networkMessageId')],
        ],
    ];
}

function delivery(item: JsonObject): string | null {
    const parts = [text(item, 'deliveryAction'), text(item, 'deliveryLocation')];
    return parts.filter(Boolean).join(', ') || null;
}

/** A type without a reader of its own: its name, and whatever it says. */
function describedOther(item: JsonObject, type: string): Described {
    const shown = text(item, 'displayName', 'name', 'securityGroupName', 'hostName', 'resourceName', 'fileName');
    const hidden = new Set(['@odata.type', 'entityType', 'verdict', 'remediationStatus']);
    const facts: Facts = Object.entries(item)
        .filter(([name]) => !hidden.has(name))
        .map(([name, value]) => [words(name), scalar(value)]);
    return ['other', shown ? `${words(type)}: ${shown}` : words(type) || null, facts];
}

function scalar(value: Json): string | null {
    if (value === null || typeof value === 'object') return null;
    return String(value) || null;
}

function image(details: JsonObject): Image {
    return {
        name: text(details, 'fileName'),
        path: text(details, 'filePath'),
        sha1: text(details, 'sha1'),
        sha256: text(details, 'sha256'),
        publisher: text(details, 'filePublisher'),
    };
}

/** `securityGroupId` as words. */
function words(name: string): string {
    const spaced = name.replace(/([a-z0-9])([A-Z])/gu, '$1 $2').toLowerCase();
    return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

function meaningful(said: string | null): string | null {
    const dull = ['unknown', 'none', 'notFound', 'unknownFutureValue'];
    if (said === null || dull.some((word) => word.toLowerCase() === said.toLowerCase())) {
        return null;
    }
    return said.charAt(0).toLowerCase() + said.slice(1);
}
