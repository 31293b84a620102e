// What props.conf and macros.conf make of events in the shapes Microsoft documents.

import { describe, expect, test } from 'vitest';
import { shipped } from '../conf';
import { compile, type Value } from './expression';
import { byPath, fieldsOf } from './fields';

const confs = shipped();
const SOURCETYPES = ['ms365:defender:incident:alerts', 'ms:defender:atp:alerts', 'ms365:defender:incident'] as const;
const [GRAPH, MDE, INCIDENT] = SOURCETYPES;

function fields(sourcetype: string, object: unknown, source = 'defender_bridge:alerts:11111111-2222-4333-8444-555555555555') {
    const event = { raw: JSON.stringify(object), sourcetype, source, index: 'x', host: 'h', time: 0 };
    return Object.fromEntries(fieldsOf(event, confs.get('props')!, confs.get('transforms')!));
}

const user = (account: object) => ({ '@odata.type': '#microsoft.graph.security.userEvidence', userAccount: account });
const process = (account: object) => ({ '@odata.type': '#microsoft.graph.security.processEvidence', userAccount: account });
const ana = { accountName: 'ana', userPrincipalName: 'ana@example.com' };

describe('a JSON null', () => {
    const empty = Object.fromEntries(
        `id alertId incidentId title description summary category displayName incidentName assignedTo tenantId aadTenantId detectorId
         status severity createdDateTime createdTime creationTime alertCreationTime lastUpdateDateTime lastUpdateTime lastUpdatedTime
         resolvedDateTime resolvedTime mitreTechniques evidence entities devices comments computerDnsName relatedUser`
            .split(/\s+/)
            .map((name) => [name, null]),
    );
    const nested = { ...empty, mitreTechniques: [null], comments: [{ comment: null }], evidence: [user({ accountName: null, userPrincipalName: null })] };

    for (const sourcetype of SOURCETYPES) {
        test(`is the word null in no calculated field of ${sourcetype}`, () => {
            const calculated = [...confs.get('props')!.get(sourcetype)!.keys()].filter((key) => key.startsWith('EVAL-')).map((key) => key.slice(5));
            for (const object of [empty, nested]) {
                const found = fields(sourcetype, object, 'elsewhere');
                for (const name of calculated) expect([name, found[name]?.includes('null') ?? false]).toEqual([name, false]);
                for (const name of Object.keys(found)) {
                    if (name.startsWith('defender_')) expect([name, found[name]]).toEqual([name, undefined]);
                }
            }
        });
    }

    test('does not hide what the same thing is called in another API', () => {
        expect(fields(GRAPH, { id: null, alertId: 'fa1' })).toMatchObject({ id: ['fa1'], alert_id: ['fa1'], defender_alert_id: ['fa1'] });
        expect(fields(INCIDENT, { id: '7', incidentId: null, displayName: null, incidentName: 'I', createdDateTime: null, createdTime: '2026-01-01T00:00:00Z' }))
            .toMatchObject({ incident_id: ['7'], ticket_id: ['7'], incident: ['I'], description: ['I'], time_submitted: ['1767225600'] });
    });

    test('among comments is left out', () => {
        expect(fields(INCIDENT, { id: '7', comments: [{ comment: 'a' }, { comment: null }, { comment: 'b' }] }).comments).toEqual(['a', 'b']);
    });
});

describe('user', () => {
    for (const [what, sourcetype, object, names] of [
        ['every user, by principal name or else by account', GRAPH, { evidence: [user({ accountName: 'localadmin', userPrincipalName: null }), process(ana), user(ana), user(ana)] }, ['ana@example.com', 'localadmin']],
        ['not the owner of a process where a user is named', GRAPH, { evidence: [user({ accountName: 'localadmin', userPrincipalName: null }), process(ana)] }, ['localadmin']],
        ['the owner of a process where nobody is named', GRAPH, { evidence: [process(ana), process({ accountName: 'SYSTEM', userPrincipalName: null })] }, ['ana@example.com']],
        ['the users of an alert of the Defender XDR API', GRAPH, { entities: [{ entityType: 'User', accountName: 'svc' }, { entityType: 'Process', ...ana }] }, ['svc']],
        ['the related user beside the owner of a process', MDE, { relatedUser: { userName: 'localadmin', domainName: 'PC1' }, evidence: [{ entityType: 'Process', ...ana }] }, ['localadmin']],
        ['nobody twice', MDE, { relatedUser: { userName: 'ana', domainName: 'X' }, evidence: [{ entityType: 'User', ...ana }, { entityType: 'User', accountName: 'bo', userPrincipalName: null }] }, ['ana@example.com', 'bo']],
        ['the related user beside another', MDE, { relatedUser: { userName: 'cy', domainName: 'X' }, evidence: [{ entityType: 'User', ...ana }] }, ['ana@example.com', 'cy']],
        ['the related user alone', MDE, { relatedUser: { userName: 'cy', domainName: 'X' }, evidence: [] }, ['cy']],
        ['the owner of an incident', INCIDENT, { id: '1', assignedTo: 'kim@example.com' }, ['kim@example.com']],
    ] as [string, string, object, string[]][]) {
        test(`is ${what}`, () => {
            const found = fields(sourcetype, object);
            expect(found.user).toEqual(names);
            expect(sourcetype === INCIDENT ? found.src_user : found.user_name).toEqual(names);
        });
    }
});

describe('the shown status', () => {
    for (const [said, shown] of [
        ['awaitingAction', ['awaitingaction']],
        ['New', ['new']],
        ['somethingMicrosoftAddsNextYear', ['somethingmicrosoftaddsnextyear']],
        ['new" | delete', undefined],
        ['x'.repeat(41), undefined],
        ['', undefined],
        [null, undefined],
    ] as [string | null, string[] | undefined][]) {
        test(`of ${JSON.stringify(said)} is ${JSON.stringify(shown)}`, () => {
            for (const sourcetype of SOURCETYPES) expect(fields(sourcetype, { id: '1', status: said }).defender_shown_status).toEqual(shown);
        });
    }
});

describe('severity', () => {
    // The values the data model Alerts prescribes.
    const prescribed = ['critical', 'high', 'medium', 'low', 'informational', 'unknown'];
    test('is a word of the Common Information Model whatever Microsoft says', () => {
        for (const sourcetype of SOURCETYPES) {
            for (const said of ['High', 'UnSpecified', 'unknown', 'extreme', null, undefined]) {
                expect(prescribed).toContain(fields(sourcetype, { id: '1', severity: said }).severity?.[0]);
            }
        }
    });
});

// splunk/security_content, "Microsoft Defender ATP Alerts" and "Microsoft Defender Incident Alerts", version 7: what they
// group by (an event without one of these is lost), what they show, and what they read out of a list in the event.
describe('published detections', () => {
    const flat = ['entityType', 'verdict', 'fileName', 'filePath', 'processCommandLine', 'ipAddress', 'registryKey', 'url'];
    const common = { title: 'T', description: 'D', severity: 'High', mitreTechniques: ['T1059'], lastUpdateDateTime: '2026-04-15T16:04:50Z' };

    test('find alerts of the Defender for Endpoint API', () => {
        const found = fields(MDE, { ...common, id: 'a1', computerDnsName: 'host1.example.com', evidence: [] });
        for (const name of ['id', 'description', 'src', 'dest', 'severity', 'signature', 'mitreTechniques{}']) expect([name, found[name]?.[0]]).toEqual([name, expect.stringMatching(/./)]);
        expect([found.src, found.dest, found.severity]).toEqual([['host1.example.com'], ['host1.example.com'], ['high']]);
    });

    test('find alerts of Graph and of the Defender XDR API', () => {
        const device = { '@odata.type': '#microsoft.graph.security.deviceEvidence', deviceDnsName: 'host1.example.com' };
        for (const object of [{ ...common, id: 'a1', evidence: [device, user(ana)] }, { ...common, alertId: 'a1', devices: [device], entities: [{ entityType: 'User', ...ana }] }]) {
            const found = fields(GRAPH, object);
            expect(found).toMatchObject({ id: ['a1'], description: ['D'], dest: ['host1.example.com'], user: ['ana@example.com'], severity: ['high'], signature: ['T'] });
        }
    });

    test('find the evidence of Graph alerts where they read it, through the macro defender_bridge_es_alerts', () => {
        const definition = confs.get('macros')!.get('defender_bridge_es_alerts')!.get('definition')!;
        const [, evals = ''] = /\| eval (.*) \| fields - /s.exec(definition)!;
        const raw = (object: object) => {
            const now = new Map<string, Value>([['_raw', JSON.stringify(object)]]);
            for (const [, name = '', expression = ''] of evals.matchAll(/(?:^|, )(defender_evidence|defender_entities|_raw)=(.*?)(?=, (?:defender_entities|_raw)=|$)/gs)) {
                now.set(name, compile(expression)((field) => now.get(field) ?? null, 0));
            }
            return String(now.get('_raw'));
        };
        const type = '@odata.type';
        const adapted = raw({
            id: 'a1',
            evidence: [
                { [type]: '#microsoft.graph.security.fileEvidence', verdict: 'malicious', fileDetails: { fileName: 'a.exe', filePath: 'C:\\t "x"' } },
                { [type]: '#microsoft.graph.security.processEvidence', verdict: 'noThreatsFound', processCommandLine: 'cmd /c \\1', imageFile: { fileName: 'cmd.exe', filePath: null } },
                { [type]: '#microsoft.graph.security.ipEvidence', verdict: null, ipAddress: '203.0.113.7' },
                { [type]: '#microsoft.graph.security.registryKeyEvidence', registryKey: 'HKLM\\x' },
                { [type]: '#microsoft.graph.security.urlEvidence', verdict: 'suspicious', url: 'https://example.com/?a=b' },
            ],
        });
        const said = { entityType: '', verdict: '', fileName: null, filePath: null, processCommandLine: null, ipAddress: null, registryKey: null, url: null };
        expect(JSON.parse(adapted).entities).toEqual([
            { ...said, entityType: 'File', verdict: 'Malicious', fileName: 'a.exe', filePath: 'C:\\t "x"' },
            { ...said, entityType: 'Process', verdict: 'Clean', fileName: 'cmd.exe', processCommandLine: 'cmd /c \\1' },
            { ...said, entityType: 'Ip', verdict: 'Unknown', ipAddress: '203.0.113.7' },
            { ...said, entityType: 'RegistryKey', verdict: 'Unknown', registryKey: 'HKLM\\x' },
            { ...said, entityType: 'Url', verdict: 'Suspicious', url: 'https://example.com/?a=b' },
        ]);
        expect(byPath(adapted, 'id')).toEqual(['a1']);
        for (const entity of byPath(adapted, 'entities{}')) expect(Object.keys(JSON.parse(entity))).toEqual(flat);
        // An alert of the Defender XDR API has its entities already.
        const xdr = { alertId: 'a1', entities: [{ entityType: 'File' }] };
        expect(raw(xdr)).toBe(JSON.stringify(xdr));
    });
});
