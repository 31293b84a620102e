// What props.conf, eventtypes.conf and tags.conf make of records of Defender's event streaming, a record of each table in
// the columns Microsoft documents.

import { describe, expect, test } from 'vitest';
import { shipped } from '../conf';
import { fieldsOf } from './fields';
import { terms } from './terms';

const confs = shipped();
const SOURCETYPE = 'ms:defender:eventhub';
const TENANT = '11111111-2222-4333-8444-555555555555';
type Columns = Record<string, unknown>;

function found(table: string, properties: Columns, more: Columns = {}) {
    const record = { time: '2026-11-21T08:15:31Z', tenantId: TENANT, operationName: 'Publish', category: table, properties, ...more };
    const event = { raw: JSON.stringify(record), sourcetype: SOURCETYPE, source: 's', index: 'x', host: 'h', time: 0 };
    return fieldsOf(event, confs.get('props')!, confs.get('transforms')!);
}

function fields(table: string, properties: Columns) {
    return Object.fromEntries(found(`AdvancedHunting-${table}`, properties));
}

/** The tags of every event type of this app that finds the event. */
function tags(table: string, properties: Columns) {
    const kinds = { eventtype: (name: string) => confs.get('eventtypes')!.get(name)?.get('search') };
    const of = found(`AdvancedHunting-${table}`, properties);
    const types = [...confs.get('eventtypes')!.keys()].filter((name) => terms(kinds.eventtype(name)!, kinds)((field) => of.get(field) ?? []));
    return types.map((name) => [...(confs.get('tags')!.get(`eventtype=${name}`)?.keys() ?? [])].sort().join(' ')).sort();
}

const device = { Timestamp: '2026-11-21T08:15:30.1234567Z', DeviceId: 'd1', DeviceName: 'pc1.contoso.com', ReportId: 7, MachineGroup: null };
const initiating = {
    InitiatingProcessAccountDomain: 'contoso',
    InitiatingProcessAccountName: 'kim',
    InitiatingProcessAccountSid: 'S-1-5-21-1',
    InitiatingProcessCommandLine: 'powershell.exe -enc AAA',
    InitiatingProcessCreationTime: '2026-11-21T08:00:00Z',
    InitiatingProcessFileName: 'powershell.exe',
    InitiatingProcessFolderPath: 'c:\\windows\\system32\\powershell.exe',
    InitiatingProcessId: 900,
    InitiatingProcessIntegrityLevel: 'High',
    InitiatingProcessMD5: 'm9',
    InitiatingProcessParentCreationTime: '2026-11-21T07:00:00Z',
    InitiatingProcessParentFileName: 'explorer.exe',
    InitiatingProcessParentId: 800,
    InitiatingProcessSHA1: 's9',
    InitiatingProcessSHA256: '',
    InitiatingProcessVersionInfoOriginalFileName: 'PowerShell.EXE',
};
const file = { FileName: 'a.exe', FolderPath: 'C:\\x\\a.exe', SHA1: 's1', SHA256: 's256', MD5: 'm1', FileSize: 99 };
const initiatedBy = {
    process: ['powershell.exe -enc AAA'],
    process_id: ['900'],
    process_guid: ['900:2026-11-21T08:00:00Z'],
    process_name: ['powershell.exe'],
    process_path: ['c:\\windows\\system32\\powershell.exe'],
    process_hash: ['s9', 'm9'],
    process_integrity_level: ['high'],
    original_file_name: ['PowerShell.EXE'],
    parent_process_id: ['800'],
    parent_process_name: ['explorer.exe'],
    parent_process_guid: ['800:2026-11-21T07:00:00Z'],
};
const endpoint = { vendor_product: ['Microsoft Defender for Endpoint'], vendor_account: [TENANT] };
const network = { ...device, ...initiating, LocalIP: '10.1.1.7', LocalPort: 50123, RemoteIP: '203.0.113.7', RemotePort: 443, RemoteUrl: 'evil.example', Protocol: 'TcpV4', AdditionalFields: '' };
const logon = { ...device, ...initiating, AccountName: 'kim', AccountDomain: 'contoso', AccountSid: 'S-1-5-21-2', LogonType: 'RemoteInteractive', Protocol: 'Kerberos', RemoteIP: '203.0.113.7', RemotePort: 4711, RemoteDeviceName: '', FailureReason: null };
const identity = {
    Timestamp: device.Timestamp,
    ActionType: 'LogonFailed',
    Application: 'Active Directory',
    LogonType: 'Failed logon',
    Protocol: 'Ntlm',
    AccountName: 'elias',
    AccountDomain: 'contoso.com',
    AccountUpn: null,
    AccountSid: null,
    AccountObjectId: 'o1',
    IPAddress: '10.1.1.8',
    Port: '55000',
    DeviceName: 'ws8',
    DestinationDeviceName: 'dc1.contoso.com',
    DestinationIPAddress: '10.1.1.2',
    DestinationPort: '88',
    FailureReason: 'UnknownUser',
    AdditionalFields: { Count: '1' },
};
const email = {
    Timestamp: device.Timestamp,
    NetworkMessageId: 'n1',
    InternetMessageId: '<m1@example.com>',
    SenderMailFromAddress: 'bounce@example.com',
    SenderFromAddress: 'eve@example.com',
    SenderFromDomain: 'example.com',
    SenderIPv4: '203.0.113.9',
    SenderIPv6: null,
    RecipientEmailAddress: 'kim@contoso.com',
    Subject: 'Invoice',
    DeliveryAction: 'Delivered',
    DeliveryLocation: 'Inbox/folder',
    ThreatNames: '',
    EmailSize: 2048,
};
const mail = {
    src_user: ['eve@example.com'],
    src_user_domain: ['example.com'],
    recipient: ['kim@contoso.com'],
    recipient_domain: ['contoso.com'],
    recipient_count: ['1'],
    message_id: ['<m1@example.com>'],
    internal_message_id: ['n1'],
    vendor_product: ['Microsoft Defender for Office 365'],
};

// A table, what makes the record special, its columns, the tags of the data model it is of, and the model's fields.
const TABLES: [string, string, Columns, string[], Record<string, string[] | undefined>][] = [
    [
        'DeviceProcessEvents',
        'a process that was started',
        { ...device, ...initiating, ...file, ActionType: 'ProcessCreated', ProcessCommandLine: 'a.exe "-x" \\y', ProcessId: 777, ProcessCreationTime: '2026-11-21T08:15:29Z', ProcessIntegrityLevel: 'Medium', ProcessVersionInfoOriginalFileName: 'orig.exe', AccountName: 'bo', AccountSid: 'S-1-5-21-3' },
        ['process report'],
        {
            ...endpoint,
            action: ['allowed'],
            dest: ['pc1.contoso.com'],
            user: ['bo'],
            user_id: ['S-1-5-21-3'],
            process: ['a.exe "-x" \\y'],
            process_id: ['777'],
            process_guid: ['777:2026-11-21T08:15:29Z'],
            process_name: ['a.exe'],
            process_exec: ['a.exe'],
            process_path: ['C:\\x\\a.exe'],
            process_hash: ['s256', 's1', 'm1'],
            process_integrity_level: ['medium'],
            original_file_name: ['orig.exe'],
            parent_process: ['powershell.exe -enc AAA'],
            parent_process_id: ['900'],
            parent_process_guid: ['900:2026-11-21T08:00:00Z'],
            parent_process_name: ['powershell.exe'],
            parent_process_exec: ['powershell.exe'],
            parent_process_path: ['c:\\windows\\system32\\powershell.exe'],
        },
    ],
    [
        'DeviceFileEvents',
        'a file that was renamed',
        { ...device, ...initiating, ...file, ActionType: 'FileRenamed' },
        ['endpoint filesystem'],
        { ...endpoint, ...initiatedBy, action: ['modified'], dest: ['pc1.contoso.com'], user: ['kim'], file_name: ['a.exe'], file_path: ['C:\\x\\a.exe'], file_hash: ['s256'], file_size: ['99'], file_modify_time: [device.Timestamp], file_create_time: undefined },
    ],
    ['DeviceImageLoadEvents', 'a library that was loaded', { ...device, ...initiating, ...file, ActionType: 'ImageLoaded' }, ['endpoint filesystem'], { ...endpoint, ...initiatedBy, action: ['read'], file_name: ['a.exe'], user: ['kim'] }],
    [
        'DeviceRegistryEvents',
        'a value that was set',
        { ...device, ...initiating, ActionType: 'RegistryValueSet', RegistryKey: 'HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run', RegistryValueName: 'evil', RegistryValueData: 'C:\\x\\a.exe', RegistryValueType: 'ExpandString', PreviousRegistryKey: '' },
        ['endpoint registry'],
        {
            ...endpoint,
            ...initiatedBy,
            action: ['modified'],
            dest: ['pc1.contoso.com'],
            user: ['kim'],
            status: ['success'],
            registry_hive: ['HKEY_LOCAL_MACHINE\\SOFTWARE'],
            registry_path: ['HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run\\evil'],
            registry_key_name: ['Run'],
            registry_value_name: ['evil'],
            registry_value_data: ['C:\\x\\a.exe'],
            registry_value_type: ['REG_EXPAND_SZ'],
        },
    ],
    [
        'DeviceRegistryEvents',
        'a key that was deleted',
        { ...device, ...initiating, ActionType: 'RegistryKeyDeleted', RegistryKey: '', PreviousRegistryKey: 'HKEY_CURRENT_USER\\a\\b', RegistryValueName: null },
        ['endpoint registry'],
        { action: ['deleted'], registry_path: ['HKEY_CURRENT_USER\\a\\b'], registry_hive: ['HKEY_CURRENT_USER'], registry_key_name: ['b'], registry_value_name: undefined },
    ],
    ['DeviceRegistryEvents', 'a key of the default user', { ...device, ActionType: 'RegistryKeyCreated', RegistryKey: 'HKEY_USERS\\.DEFAULT\\a' }, ['endpoint registry'], { action: ['created'], registry_hive: ['HKEY_USERS\\.DEFAULT'] }],
    ['DeviceRegistryEvents', 'a key below no hive of its own', { ...device, ActionType: 'RegistryKeyCreated', RegistryKey: 'HKEY_LOCAL_MACHINE\\SOFTWARE2\\a' }, ['endpoint registry'], { registry_hive: ['HKEY_LOCAL_MACHINE'] }],
    [
        'DeviceNetworkEvents',
        'a connection to elsewhere',
        { ...network, ActionType: 'ConnectionSuccess' },
        ['communicate network'],
        { ...endpoint, ...initiatedBy, action: ['allowed'], direction: ['outbound'], transport: ['tcp'], src: ['pc1.contoso.com'], src_ip: ['10.1.1.7'], src_port: ['50123'], dest: ['203.0.113.7'], dest_ip: ['203.0.113.7'], dest_port: ['443'], url: ['evil.example'], dvc: ['pc1.contoso.com'], user: ['kim'] },
    ],
    [
        'DeviceNetworkEvents',
        'a connection from elsewhere',
        { ...network, ActionType: 'InboundConnectionAccepted', Protocol: 'UdpV6' },
        ['communicate network'],
        { action: ['allowed'], direction: ['inbound'], transport: ['udp'], src: ['203.0.113.7'], src_ip: ['203.0.113.7'], src_port: ['443'], dest: ['pc1.contoso.com'], dest_ip: ['10.1.1.7'], dest_port: ['50123'] },
    ],
    ['DeviceNetworkEvents', 'a connection that failed', { ...network, ActionType: 'ConnectionFailed', RemoteUrl: null }, ['communicate network'], { action: ['blocked'], url: undefined }],
    [
        'DeviceNetworkEvents',
        'a port that was opened',
        { ...network, ActionType: 'ListeningConnectionCreated', RemoteIP: '', RemotePort: null },
        ['listening port'],
        { ...initiatedBy, state: ['listening'], dest: ['pc1.contoso.com'], dest_ip: ['10.1.1.7'], dest_port: ['50123'], transport: ['tcp'], creation_time: [device.Timestamp], src: undefined, src_port: undefined, direction: undefined },
    ],
    [
        'DeviceNetworkEvents',
        'a name that was looked up',
        { ...network, ActionType: 'DnsConnectionInspected', RemoteIP: '10.1.1.2', RemotePort: 53, Protocol: 'Udp', AdditionalFields: JSON.stringify({ direction: 'Out', query: 'evil.example', qtype_name: 'A', rcode_name: 'NOERROR', answers: ['203.0.113.7', '203.0.113.8'] }) },
        ['communicate network', 'dns network resolution'],
        { query: ['evil.example'], record_type: ['A'], reply_code: ['NOERROR'], answer: ['203.0.113.7', '203.0.113.8'], message_type: ['Response'], src: ['pc1.contoso.com'], dest: ['10.1.1.2'], dest_port: ['53'], transport: ['udp'] },
    ],
    ['DeviceEvents', 'a name that was looked up', { ...device, ...initiating, ActionType: 'DnsQueryResponse', AdditionalFields: '{"DnsQueryString":"evil.example"}' }, ['dns network resolution'], { query: ['evil.example'], src: ['pc1.contoso.com'], dest: undefined, message_type: ['Response'] }],
    [
        'DeviceEvents',
        'a detection by the antivirus',
        { ...device, ...initiating, ...file, ActionType: 'AntivirusDetection', AdditionalFields: '{"ThreatName":"Virus:DOS/EICAR_Test_File","WasRemediated":true}' },
        ['attack malware'],
        { ...endpoint, action: ['blocked'], dest: ['pc1.contoso.com'], user: ['kim'], signature: ['Virus:DOS/EICAR_Test_File'], file_name: ['a.exe'], file_path: ['C:\\x\\a.exe'], file_hash: ['s256'] },
    ],
    [
        'DeviceEvents',
        'a service that was installed',
        { ...device, ...initiating, ...file, ActionType: 'ServiceInstalled', AdditionalFields: { ServiceName: 'svc', ServiceStartType: 2 } },
        ['report service'],
        { service: ['svc'], service_name: ['svc'], service_path: ['C:\\x\\a.exe'], service_exec: ['a.exe'], service_hash: ['s256'], start_mode: ['auto'], dest: ['pc1.contoso.com'], user: ['kim'] },
    ],
    ['DeviceEvents', 'anything else', { ...device, ...initiating, ActionType: 'AsrOfficeChildProcessBlocked' }, [], { action: ['blocked'], dest: ['pc1.contoso.com'], process_name: ['powershell.exe'] }],
    [
        'DeviceLogonEvents',
        'a logon from elsewhere',
        { ...logon, ActionType: 'LogonSuccess' },
        ['authentication'],
        { ...endpoint, action: ['success'], app: ['ms:defender'], user: ['kim'], user_id: ['S-1-5-21-2'], src: ['203.0.113.7'], src_ip: ['203.0.113.7'], dest: ['pc1.contoso.com'], dest_nt_domain: ['contoso'], authentication_method: ['RemoteInteractive'], authentication_service: ['Kerberos'], signature: ['LogonSuccess'], reason: undefined },
    ],
    ['DeviceLogonEvents', 'a local logon that failed', { ...logon, ActionType: 'LogonFailed', RemoteIP: null, FailureReason: 'InvalidUserNameOrPassword' }, ['authentication'], { action: ['failure'], src: ['pc1.contoso.com'], reason: ['InvalidUserNameOrPassword'] }],
    [
        'IdentityLogonEvents',
        'a logon that failed',
        identity,
        ['authentication'],
        { action: ['failure'], app: ['Active Directory'], user: ['elias'], user_id: ['o1'], src: ['ws8'], src_ip: ['10.1.1.8'], src_port: ['55000'], dest: ['dc1.contoso.com'], dest_ip: ['10.1.1.2'], dest_port: ['88'], dest_nt_domain: ['contoso.com'], authentication_method: ['Failed logon'], authentication_service: ['Ntlm'], reason: ['UnknownUser'], vendor_product: ['Microsoft Defender for Identity'] },
    ],
    ['EmailEvents', 'a message that was delivered', email, ['delivery email'], { ...mail, action: ['delivered'], src: ['203.0.113.9'], subject: ['Invoice'], return_addr: ['bounce@example.com'], orig_recipient: ['kim@contoso.com'], size: ['2048'], signature: undefined }],
    ['EmailEvents', 'a message in quarantine', { ...email, DeliveryAction: 'Blocked', DeliveryLocation: 'Quarantine', ThreatNames: 'ZAP/Phish' }, ['delivery email'], { action: ['quarantined'], signature: ['ZAP/Phish'] }],
    ['EmailPostDeliveryEvents', 'a message that was taken back', { ...email, Action: 'Moved to quarantine', ActionType: 'Phish ZAP' }, ['delivery email'], { action: ['quarantined'], recipient: ['kim@contoso.com'], internal_message_id: ['n1'] }],
    ['EmailAttachmentInfo', 'an attachment', { ...email, FileName: 'i.pdf', SHA256: 's256', FileSize: 5 }, ['content email'], { src_user: ['eve@example.com'], recipient: ['kim@contoso.com'], file_name: ['i.pdf'], file_hash: ['s256'], file_size: ['5'] }],
    ['EmailUrlInfo', 'a link', { Timestamp: device.Timestamp, NetworkMessageId: 'n1', Url: 'https://evil.example/a?b=c' }, ['content email'], { internal_message_id: ['n1'], url: ['https://evil.example/a?b=c'], recipient_count: undefined }],
    [
        'AlertInfo',
        'an alert',
        { Timestamp: device.Timestamp, AlertId: 'da1', Title: 'T', Category: 'Execution', Severity: 'High', ServiceSource: 'Microsoft Defender for Endpoint', DetectionSource: 'EDR', AttackTechniques: '["Phishing (for information) (T1566)","PowerShell (T1059.001)","Odd (T12)"]' },
        ['alert'],
        { id: ['da1'], alert_id: ['da1'], signature: ['T'], subject: ['T'], description: ['T'], severity: ['high'], severity_id: ['4'], type: ['alert'], app: ['ms:defender'], mitre_technique_id: ['T1566', 'T1059.001'], vendor_product: ['Microsoft Defender XDR'] },
    ],
    ['AlertInfo', 'an alert of a severity CIM does not know', { AlertId: 'da1', Severity: 'Extreme', AttackTechniques: '' }, ['alert'], { severity: ['unknown'], severity_id: undefined, mitre_technique_id: undefined }],
    ['AlertEvidence', 'evidence', { ...device, ...file, AlertId: 'da1', EntityType: 'File', AccountName: 'kim', RemoteUrl: null }, [], { alert_id: ['da1'], dest: ['pc1.contoso.com'], user: ['kim'], file_name: ['a.exe'] }],
    ['DeviceFileCertificateInfo', 'a certificate', { ...device, SHA1: 's1', Issuer: 'CA', Signer: 'Contoso', CertificateSerialNumber: '07' }, ['certificate ssl'], { ssl_hash: ['s1'], ssl_issuer_common_name: ['CA'], ssl_subject_common_name: ['Contoso'], ssl_serial: ['07'] }],
    ['DeviceInfo', 'a device', { ...device, OSPlatform: 'Windows11', OSVersion: '10.0', OSArchitecture: '64-bit', OSDistribution: null }, ['inventory system version'], { os: ['Windows11'], version: ['10.0'], family: ['64-bit'], dest: ['pc1.contoso.com'] }],
    ['DeviceNetworkInfo', 'an adapter', { ...device, NetworkAdapterName: 'eth0', NetworkAdapterStatus: 'Up', MacAddress: 'AA', IPAddresses: '[{"IPAddress":"10.1.1.7"},{"IPAddress":"fe80::1"}]' }, ['inventory network'], { name: ['pc1.contoso.com'], interface: ['eth0'], mac: ['AA'], status: ['Up'], ip: ['10.1.1.7', 'fe80::1'] }],
    ['UrlClickEvents', 'a click', { Timestamp: device.Timestamp, AccountUpn: 'kim@contoso.com', Url: 'https://evil.example', ActionType: 'ClickBlocked' }, [], { user: ['kim@contoso.com'], url: ['https://evil.example'] }],
    ['TableOfTomorrow', 'anything', { Timestamp: device.Timestamp, DeviceName: 'pc1' }, [], { vendor_product: ['Microsoft Defender XDR'], vendor_account: [TENANT], action: undefined }],
];

describe('a record of', () => {
    for (const [table, what, properties, its, expected] of TABLES) {
        test(`${table}, ${what}, has the tags and fields of its data model`, () => {
            expect(tags(table, properties)).toEqual(its);
            const of = fields(table, properties);
            for (const [name, values] of Object.entries(expected)) expect([name, of[name]]).toEqual([name, values]);
            // What other content written for this sourcetype searches by.
            expect(of.category).toEqual([`AdvancedHunting-${table}`]);
        });
    }
});

const calculated = [...confs.get('props')!.get(SOURCETYPE)!.keys()].filter((key) => key.startsWith('EVAL-')).map((key) => key.slice(5));

test('a JSON null and an empty text are no values of a calculated field', () => {
    const wrong: string[] = [];
    for (const empty of [null, '']) {
        for (const [table, , properties] of TABLES) {
            const nothing = Object.fromEntries(Object.keys(properties).map((name) => [name, empty]));
            for (const action of new Set([empty, properties.ActionType])) {
                const of = found(`AdvancedHunting-${table}`, { ...nothing, ActionType: action }, { tenantId: null });
                for (const name of calculated) {
                    if ((of.get(name) ?? []).some((value) => ['null', '', ':', '\\'].includes(value))) wrong.push(`${table}: ${name}`);
                }
            }
        }
    }
    expect(wrong).toEqual([]);
});

test('a field behind the place where the extraction of fields stops is read all the same', () => {
    const [, , properties] = TABLES[0]!;
    const long = fields('DeviceProcessEvents', { InitiatingProcessCommandLine: `powershell ${'x'.repeat(8000)}`, ...properties, ProcessCommandLine: `a ${'y'.repeat(6000)}` });
    for (const [name, value] of Object.entries({ dest: 'pc1.contoso.com', user: 'bo', process_name: 'a.exe', process_id: '777', parent_process_name: 'powershell.exe' })) {
        expect([name, long[name]]).toEqual([name, [value]]);
    }
    expect(long.process?.[0]).toHaveLength(6002);
});

test('what Azure sends beside tables keeps the fields it has', () => {
    const of = Object.fromEntries(found('SignInLogs', { userPrincipalName: 'kim@contoso.com' }, { resultType: '0' }));
    expect(of).toMatchObject({ category: ['SignInLogs'], resultType: ['0'], 'properties.userPrincipalName': ['kim@contoso.com'] });
    for (const name of calculated.filter((one) => one !== 'vendor_account')) expect([name, of[name]]).toEqual([name, undefined]);
});
