// What the saved searches and dashboards find in events that were made for it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SEARCH } from '../../../src/splunk/health';
import { shipped } from '../conf';
import { REPOSITORY } from '../place';
import type { User } from '../users';
import { Jobs } from './jobs';

const NOW = 1_800_000_000;
const confs = shipped();
const HEALTH = { account: 'contoso', tenant: 't', feed: 'alerts', api: 'graph', outcome: 'ok', events: 0, lag: 60, open_gaps: 0, bytes: 0, calls: 2, throttles: 0, duration_ms: 9, watermark: '2027-01-15T07:59:00Z' };

interface Planted {
    minutesAgo?: number;
    host?: string;
    sourcetype?: string;
    [member: string]: unknown;
}

async function rows(search: string, planted: Planted[]) {
    const events = planted.map(({ minutesAgo = 1, host = 'hf1', sourcetype = 'defender_bridge:health', ...object }) => ({
        time: NOW - minutesAgo * 60,
        index: 'defender',
        sourcetype,
        source: 'defender_bridge:health',
        host,
        raw: JSON.stringify(sourcetype === 'defender_bridge:health' ? { ...HEALTH, stanza: 'defender_bridge://a', ...object } : object),
    }));
    const jobs = new Jobs({ home: '', uri: () => '', events, now: () => NOW, conf: (name) => confs.get(name) ?? new Map<string, never>() });
    const job = jobs.begin({ name: 'admin' } as User, `search ${search}`, '0', 'now');
    await job.ended;
    expect(job.messages).toEqual([]);
    return job.rows;
}

const saved = (name: string) => confs.get('savedsearches')!.get(`Defender Bridge - ${name}`)!.get('search')!;

/** A search of a dashboard with the one it extends, every token open. */
function dashboard(view: string, id: string): string {
    const xml = readFileSync(join(REPOSITORY, `default/data/ui/views/${view}.xml`), 'utf8');
    const { dataSources } = JSON.parse(/<!\[CDATA\[(.*)\]\]>/s.exec(xml)![1]!);
    const { query, extend } = dataSources[id].options;
    return `${extend === undefined ? '' : `${dashboard(view, extend)} | `}${query}`.replace(/\$\w+(\|s)?\$/g, '"*"');
}

describe('an input whose watermark is ahead of the clock', () => {
    for (const [what, event, state] of [
        ['is told though it delivered nothing', { lag: -15_821_430 }, 'ahead of the clock'],
        ['is told though its run failed', { lag: -86_400, outcome: 'error', error: 'e' }, 'ahead of the clock'],
        ['is told beside a backlog', { lag: 1_000, events: 3 }, 'behind'],
        ['is not taken for a clock a few seconds off', { lag: -5 }, undefined],
        ['is not taken for a quiet tenant', { lag: 100_000 }, undefined],
    ] as [string, Planted, string | undefined][]) {
        test(what, async () => {
            expect((await rows(saved('Input lags'), [event])).map((row) => row.state)).toEqual(state === undefined ? [] : [state]);
        });
    }

    test('stands first on Health, among what is silent or failing', async () => {
        const planted = [{ stanza: 'defender_bridge://b' }, { stanza: 'defender_bridge://z', lag: -15_821_430 }];
        const table = await rows(dashboard('health', 'inputs'), planted);
        expect(table.map(({ Input, State, Lag }) => [Input, State, Lag])).toEqual([['z', 'ahead of the clock', '-183+02:50:30'], ['b', 'ok', '00:01:00']]);
        expect(await rows(dashboard('health', 'inputs_bad'), planted)).toEqual([{ count: '1' }]);
    });
});

describe('a stream', () => {
    const stream = { feed: 'event_hub', api: undefined, checkpoint: 'local', lag: 0, lag_messages: 0 };
    for (const [what, planted, lags, silent, state] of [
        ['that has everything is well', [{ ...stream, events: 5 }], [], [], 'ok'],
        ['in which messages wait is behind, though none came of late', [{ ...stream, lag: 1_000, lag_messages: 7 }], ['behind'], [], 'behind'],
        ['that has been silent for long is told', [{ ...stream, silent: 4_000 }], [], ['nothing comes'], 'nothing comes'],
        ['that was silent is not told once something came', [{ ...stream, silent: 4_000, minutesAgo: 3 }, { ...stream, events: 1 }], [], [], 'ok'],
    ] as [string, Planted[], string[], string[], string][]) {
        test(what, async () => {
            expect((await rows(saved('Input lags'), planted)).map((row) => row.state)).toEqual(lags);
            expect((await rows(saved('Input silent or failing').replace(/\| lookup [^|]*/, ''), planted)).map((row) => row.state)).toEqual(silent);
            expect(await rows(dashboard('health', 'inputs'), planted)).toMatchObject([{ State: state, Feed: 'event_hub' }]);
        });
    }

    test('that several forwarders share is no input on two servers', async () => {
        const shared = { ...stream, checkpoint: 'blob' };
        const planted = [{ ...shared, server: 'hf1', owner: 'G1' }, { ...shared, server: 'hf2', owner: 'G2' }];
        expect(await rows(saved('Input on two servers'), planted)).toEqual([]);
        expect(await rows(dashboard('health', 'inputs'), planted)).toMatchObject([{ State: 'ok' }]);
    });

    test('says since when it is silent as long as it is', async () => {
        const since = '2027-01-15T07:00:00Z';
        const found = async (planted: Planted[]) => (await rows(SEARCH.replace(/^search /, ''), planted)).map((row) => row.silent_since ?? '');
        expect(await found([{ ...stream, silent_since: since }])).toEqual([since]);
        expect(await found([{ ...stream, silent_since: since, minutesAgo: 3 }, stream])).toEqual(['']);
    });
});

describe('an input that two servers run', () => {
    const [one, two] = [{ server: 'hf1', owner: 'G1' }, { server: 'hf2', owner: 'G2' }];
    test('is told with both, though they send under one host', async () => {
        const twice = [{ ...one, host: 'all', minutesAgo: 3 }, { ...two, host: 'all' }];
        expect(await rows(saved('Input on two servers'), twice)).toMatchObject([{ stanza: 'defender_bridge://a', servers: '2', server: 'hf1, hf2' }]);
        expect(await rows(dashboard('health', 'inputs'), twice)).toMatchObject([{ State: 'on two servers' }]);
    });

    for (const [what, planted] of [
        ['where they share their position', [{ ...one, checkpoint: 'kvstore' }, { ...two, checkpoint: 'kvstore' }]],
        ['where one server was renamed', [one, { ...one, server: 'hf1.example.com' }]],
        ['where nobody says which server it was', [{ host: 'hf1' }, { host: 'hf1' }]],
    ] as [string, Planted[]][]) {
        test(`is not told ${what}`, async () => {
            expect(await rows(saved('Input on two servers'), planted)).toEqual([]);
            expect(await rows(dashboard('health', 'inputs'), planted)).toMatchObject([{ State: 'ok' }]);
        });
    }

    test('is not taken for inputs of one name that read other tenants, or for one moved yesterday', async () => {
        expect(await rows(saved('Input on two servers'), [one, { ...two, tenant: 'u' }, one])).toEqual([]);
        expect(await rows(dashboard('health', 'inputs'), [{ ...one, minutesAgo: 900 }, two])).toMatchObject([{ State: 'ok' }]);
    });
});

test('an incident counts as open unless it is resolved or merged, whatever its status is called', async () => {
    const incident = (id: string, more: object) => ({ sourcetype: 'ms365:defender:incident', id, lastUpdateDateTime: '2027-01-15T07:59:00Z', ...more });
    const planted = [incident('1', {}), incident('2', { status: null }), incident('3', { status: 'awaitingAction' }), incident('4', { status: 'Resolved' }), incident('5', { status: 'redirected' })];
    expect(await rows(dashboard('overview', 'incidents'), planted)).toEqual([{ open: '3' }]);
});

describe('the servers an input ran on of late', () => {
    for (const [what, planted, servers] of [
        ['are two where it moved within the hour', [{ server: 'sh1' }, { server: 'sh2', minutesAgo: 50 }], ['sh1', 'sh2']],
        ['are two under one host', [{ server: 'sh1', host: 'same' }, { server: 'sh2', host: 'same' }], ['sh1', 'sh2']],
        ['are one where it moved this morning', [{ server: 'sh1' }, { server: 'sh2', minutesAgo: 300 }], 'sh1'],
        ['are hosts where events do not name servers', [{}, { host: 'hf2', minutesAgo: 9 }], ['hf1', 'hf2']],
        ['are none where it has not run', [{ server: 'sh1', minutesAgo: 400 }], undefined],
    ] as [string, Planted[], string | string[] | undefined][]) {
        test(what, async () => {
            const found = await rows(SEARCH.replace(/^search /, ''), planted);
            expect(found.map((row) => row.servers)).toEqual([servers]);
        });
    }

    test('keep the position where the newest run says', async () => {
        const found = await rows(SEARCH.replace(/^search /, ''), [{ checkpoint: 'local', minutesAgo: 9 }, { checkpoint: 'kvstore' }]);
        expect(found.map((row) => row.checkpoint)).toEqual(['kvstore']);
    });
});
