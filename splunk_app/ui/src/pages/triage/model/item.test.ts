import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { itemOf, withState, type Item } from './item';
import { byIncident, withAffected, incidentKey, filtered, newest, OPEN_FILTER, revisionsOf, sorted, NO_FILTER } from './queue';

/** Objects as Microsoft's documentation prints them. */
const fixtures = new URL('../../../../../../src/sandbox/fixtures/', import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, fixtures), 'utf8');
const source = 'defender_bridge:alerts:b3c1b5fc-828c-45fa-a1e1-10d74f6d6e9c';
const event = (raw: string, from = source) => ({ raw, source: from, index: 'defender' });
const graph = read('graph_alerts_v2.ndjson').split('\n')[0]!;
const mde = (JSON.parse(read('mde_alerts.json')) as { value: unknown[] }).value.map((one) => JSON.stringify(one));
const incident = JSON.stringify(
    (JSON.parse(read('graph_incidents_expand_alerts.json')) as { value: unknown[] }).value[0],
);
const alert = (fields: object): Item => itemOf(event(JSON.stringify({ ...JSON.parse(graph), ...fields })), 'alert')!;

describe('what Microsoft prints becomes one model', () => {
    test('an alert of Graph', () => {
        expect(itemOf(event(graph), 'alert')).toMatchObject({
            id: 'da637551227677560813_-961444813',
            incidentId: '28282',
            title: 'Suspicious execution of hidden file',
            severity: 'low',
            status: 'new',
            classification: null,
            owner: null,
            snapshot: { status: 'new', classification: 'unknown', determination: 'unknown', assignedTo: 'null' },
            product: 'microsoftDefenderForEndpoint',
            updated: '2021-05-02T14:19:01.3266667Z',
            devices: ['tempDns'],
            techniques: ['T1564.001'],
            tenant: 'b3c1b5fc-828c-45fa-a1e1-10d74f6d6e9c',
            api: 'graph',
        });
    });

    test('an alert of Defender for Endpoint, whose verdict goes back the same way', () => {
        const [first, second] = mde.map((raw) => itemOf(event(raw, 'x'), 'alert')!);
        expect(first).toMatchObject({
            incidentId: '7587',
            status: 'new',
            severity: 'low',
            classification: 'truePositive',
            determination: null,
            owner: 'secop123@contoso.com',
            product: 'microsoftDefenderForEndpoint',
            devices: ['temp123.middleeast.corp.microsoft.com'],
            users: ['temp123'],
            comments: [{ text: 'test comment for docs', by: 'secop123@contoso.com' }],
            tenant: 'a839b112-1253-6432-9bf6-94542403f21c',
            api: 'mde',
        });
        expect(second?.users).toEqual(['temp123@microsoft.com']);
        expect(second?.evidence.map(({ kind }) => kind)).toEqual(['user', 'process', 'file']);
    });

    test('an incident of Graph, with what its nested alerts show', () => {
        expect(itemOf(event(incident), 'incident')).toMatchObject({
            id: '2972395',
            incidentId: '2972395',
            status: 'active',
            determination: 'multiStagedAttack',
            owner: 'KaiC@contoso.onmicrosoft.com',
            tags: ['Demo'],
            devices: ['tempDns'],
            techniques: ['T1564.001'],
            api: 'graph',
        });
    });

    test('an incident and a nested alert of Defender XDR', () => {
        const xdr = {
            incidentId: 924565,
            incidentName: 'Phish',
            lastUpdateTime: '2026-01-01T00:00:00Z',
            severity: 'Medium',
            status: 'Resolved',
            assignedTo: null,
        };
        expect(itemOf(event(JSON.stringify(xdr)), 'incident')).toMatchObject({
            id: '924565',
            title: 'Phish',
            status: 'resolved',
            api: 'xdr',
        });
        const nested = {
            alertId: 'fa1',
            incidentId: 924565,
            title: 'Clicked',
            creationTime: '2026-01-01T00:00:00Z',
            lastUpdatedTime: '2026-01-01T00:00:00Z',
            serviceSource: 'MicrosoftDefenderForOffice365',
            devices: [{ deviceDnsName: 'ws1', mdatpDeviceId: 'd1' }],
            entities: [{ entityType: 'User', accountName: 'kim', domainName: 'CONTOSO', userPrincipalName: null }],
        };
        expect(itemOf(event(JSON.stringify(nested)), 'alert')).toMatchObject({
            id: 'fa1',
            incidentId: '924565',
            product: 'microsoftDefenderForOffice365',
            devices: ['ws1'],
            users: ['CONTOSO\\kim'],
            api: 'graph',
        });
    });

    test.each([
        '',
        'null',
        '[]',
        '{"id":"a"}',
        '{"id":{},"lastUpdateDateTime":7}',
        '{"evidence":[null,3,{}]}',
        '{"id":"a","lastUpdateDateTime":"x","evidence":{"a":1},"comments":"no"}',
    ])('nothing is thrown over %s', (raw) => {
        expect(() => itemOf(event(raw), 'alert')).not.toThrow();
    });
});

describe('the queue', () => {
    test('holds the newest state of each object, down to 100 ns, whatever the order', () => {
        const old = JSON.stringify({ id: 'a', lastUpdateDateTime: '2026-01-01T00:00:00.1234567Z', status: 'new' });
        const late = JSON.stringify({
            id: 'a',
            lastUpdateDateTime: '2026-01-01T00:00:00.1234568Z',
            status: 'resolved',
        });
        for (const events of [
            [old, late],
            [late, old],
        ]) {
            expect(
                newest(
                    events.map((raw) => event(raw)),
                    'alert',
                ).map((item) => item.status),
            ).toEqual(['resolved']);
        }
    });

    test('keeps the same id of two tenants apart', () => {
        const raw = JSON.stringify({ id: 'a', lastUpdateDateTime: '2026-01-01T00:00:00Z' });
        expect(
            newest([event(raw, 'defender_bridge:alerts:t1'), event(raw, 'defender_bridge:alerts:t2')], 'alert'),
        ).toHaveLength(2);
    });

    test('narrows by status, severity, product, owner and words', () => {
        const items = [
            alert({ id: '1', status: 'resolved' }),
            alert({ id: '2', severity: 'high', assignedTo: 'Kim@Contoso.com' }),
            alert({ id: '3', title: 'Mimikatz on DC1' }),
        ];
        const ids = (by: object): string[] =>
            filtered(items, { ...NO_FILTER, ...by }, ['kim@contoso.com']).map((item) => item.id);
        expect(ids(OPEN_FILTER)).toEqual(['2', '3']);
        expect(ids({ status: 'resolved' })).toEqual(['1']);
        expect(ids({ severity: 'high' })).toEqual(['2']);
        expect(ids({ owner: 'me' })).toEqual(['2']);
        expect(ids({ owner: 'none' })).toEqual(['1', '3']);
        expect(ids({ words: 'dc1  MIMI' })).toEqual(['3']);
        expect(ids({ words: 't1564' })).toEqual(['1', '2', '3']);
        expect(ids({ product: 'microsoft365Defender' })).toEqual([]);
    });

    test('sorts severities by weight, and equal ones by last update', () => {
        const items = [
            alert({ id: 'low', severity: 'low' }),
            alert({ id: 'high-old', severity: 'high', lastUpdateDateTime: '2026-01-01T00:00:00Z' }),
            alert({ id: 'none', severity: 'unknown' }),
            alert({ id: 'high-new', severity: 'high', lastUpdateDateTime: '2026-01-02T00:00:00Z' }),
        ];
        expect(sorted(items, { by: 'severity', descending: true }).map((item) => item.id)).toEqual([
            'high-new',
            'high-old',
            'low',
            'none',
        ]);
    });
});

test('an incident concerns whom its alerts concern, and nobody else’s', () => {
    const one = itemOf(
        event(JSON.stringify({ id: '28282', displayName: 'x', lastUpdateDateTime: '2026-01-01T00:00:00Z' })),
        'incident',
    )!;
    const alerts = [alert({ id: 'a' }), alert({ id: 'b', incidentId: '7', evidence: [] })];
    const those = byIncident(alerts).get(incidentKey(one)) ?? [];
    expect(those.map(({ id }) => id)).toEqual(['a']);
    expect(withAffected(one, those)).toMatchObject({ devices: ['tempDns'], techniques: ['T1564.001'] });
});

test('a state Defender has just shown stands until an event is newer, and the next verdict is judged by it', () => {
    const item = alert({ status: 'new', lastUpdateDateTime: '2026-01-01T00:00:00Z' });
    const state = {
        status: 'resolved',
        classification: 'falsePositive',
        determination: 'notMalicious',
        updated: '2026-01-02T00:00:00Z',
    };
    expect(withState(item, state)).toMatchObject({
        status: 'resolved',
        updated: '2026-01-02T00:00:00Z',
        owner: null,
        snapshot: { status: 'resolved', assignedTo: 'null' },
    });
    expect(withState(item, { ...state, updated: '2025-12-31T00:00:00Z' })).toBe(item);
});

test('one object is looked for by a word of its event where it can be, and never by more than its id', () => {
    expect(revisionsOf('alert', 'da1_-2')).toMatch(/ "da1_-2" alert_id="da1_-2"$/);
    expect(revisionsOf('incident', '42')).toMatch(/ "42" incident_id="42"$/);
    // JSON may print a plus sign by number.
    expect(revisionsOf('alert', 'a+b')).toMatch(/` alert_id="a\+b"$/);
    expect(revisionsOf('alert', 'x" | delete')).toMatch(/alert_id="x | delete"$/);
});
