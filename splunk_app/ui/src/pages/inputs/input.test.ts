import { describe, expect, test } from 'vitest';
import { apis, changed, checkpoints, cloned, draft, pause, refusedAt, settings, tested, wrong, type Draft } from './input';

const good: Draft = { ...draft(), name: 'contoso_alerts', account: 'contoso' };

describe('what is typed for an input', () => {
    test('is well when complete', () => expect(wrong(good, true, ['other'])).toEqual({}));

    test.each([
        ['name', { name: '' }],
        ['name', { name: 'a b' }],
        ['name', { name: 'a/b' }],
        ['name', { name: 'taken' }],
        ['account', { account: '' }],
        ['index', { index: ' ' }],
        ['interval', { interval: '' }],
        ['interval', { interval: '0' }],
        ['interval', { interval: 'hourly' }],
    ] as [keyof Draft, Partial<Draft>][])('is refused at %s for %o', (key, change) => {
        expect(Object.keys(wrong({ ...good, ...change }, true, ['taken']))).toEqual([key]);
    });

    test('is tested as it would be saved, by what only a stream has', () => {
        const hub = { ...good, feed: 'event_hub', event_hub_namespace: ' contoso ', event_hub: 'insights', tables: 'AlertInfo, DeviceEvents' };
        const given = (of: Draft) => Object.fromEntries(Object.entries(tested(of)).filter(([, value]) => value !== ''));
        const usual = { feed: 'event_hub', event_hub_namespace: 'contoso', event_hub: 'insights', transport: 'amqp', tables: 'AlertInfo,DeviceEvents' };
        expect(given(hub)).toEqual({ ...usual, checkpoint: 'local' });
        const shared = { ...hub, consumer_group: 'siem', checkpoint: 'blob', checkpoint_container: 'https://c.example/checkpoints' };
        expect(given(shared)).toEqual({ ...usual, consumer_group: 'siem', checkpoint: 'blob', checkpoint_container: 'https://c.example/checkpoints' });
        expect(given({ ...good, feed: 'storage', storage_account: 'logs' })).toEqual({ feed: 'storage', storage_account: 'logs', checkpoint: 'local' });
    });

    test('takes seconds and cron schedules', () => {
        expect(wrong({ ...good, interval: '*/5 * * * *' }, true, [])).toEqual({});
        expect([pause('90'), pause('*/5 * * * *')]).toEqual([90_000, undefined]);
    });

    test('drops an API the chosen feed does not have', () => {
        expect(changed({ ...good, api: 'mde' }, { feed: 'incidents' }).api).toBe('graph');
        expect(changed(good, { api: 'mde' }).api).toBe('mde');
        expect(apis('incidents')).toEqual(['graph', 'xdr']);
    });

    test('saves no filter its API does not have', () => {
        const filtered = { ...good, min_severity: 'high', service_sources: ['microsoftDefenderForEndpoint'] };
        expect(settings(filtered)).toMatchObject({ min_severity: 'high', service_sources: 'microsoftDefenderForEndpoint' });
        expect(settings({ ...filtered, api: 'mde' })).toMatchObject({ min_severity: 'high', service_sources: '' });
        expect(settings({ ...filtered, feed: 'incidents', api: 'xdr' })).toMatchObject({ min_severity: '', service_sources: '' });
    });
});

test('a position is kept in a file unless the input says otherwise', () => {
    expect(settings(good).checkpoint).toBe('local');
    expect(settings(draft({ name: 'a', enabled: true, app: 'defender_bridge', settings: { checkpoint: 'kvstore' } })).checkpoint).toBe('kvstore');
});

describe('a stream', () => {
    const hub = { ...good, feed: 'event_hub', event_hub_namespace: ' contoso ', event_hub: 'insights', tables: 'AlertInfo', storage_account: 'left', min_severity: 'high' };

    test('saves what its feed has, and nothing of others', () => {
        expect(settings(hub)).toMatchObject({
            event_hub_namespace: 'contoso',
            event_hub: 'insights',
            consumer_group: '$Default',
            transport: 'amqp',
            tables: 'AlertInfo',
            storage_account: '',
            min_severity: '',
            checkpoint_container: '',
        });
        expect(settings({ ...hub, feed: 'storage' })).toMatchObject({ storage_account: 'left', event_hub: '', consumer_group: '', transport: '' });
        expect(settings({ ...hub, feed: 'alerts' })).toMatchObject({ event_hub: '', tables: '', storage_account: '', min_severity: 'high' });
    });

    test('drops what its feed cannot have', () => {
        expect(changed({ ...good, checkpoint: 'kvstore', api: 'mde' }, { feed: 'event_hub' })).toMatchObject({ checkpoint: 'local', api: 'graph' });
        expect(changed({ ...hub, checkpoint: 'blob', start: 'latest' }, { feed: 'alerts' })).toMatchObject({ checkpoint: 'local', start: '-7d' });
        expect(checkpoints('storage')).toEqual(['local']);
    });

    test('needs a container where its positions lie in blobs', () => {
        expect(Object.keys(wrong({ ...hub, checkpoint: 'blob' }, true, []))).toEqual(['checkpoint_container']);
        const kept = { ...hub, checkpoint: 'blob', checkpoint_container: 'https://c/d' };
        expect(wrong(kept, true, [])).toEqual({});
        expect(settings(kept).checkpoint_container).toBe('https://c/d');
    });
});

test('a clone has a free name', () => {
    const of = { name: 'a', enabled: true, app: 'defender_bridge', settings: { account: 'contoso', start: '-1d' } };
    expect(cloned(of, ['a', 'a_copy'])).toMatchObject({ name: 'a_copy2', account: 'contoso', start: '-1d' });
});

test.each([
    ['start: "last week" is neither an instant such as 2026-11-01T00:00:00Z nor an age such as -7d', 'start'],
    ['overlap: "ten" is no span of time such as 60s, 15m, 6h or 7d', 'overlap'],
    ['checkpoint: splunkd knows no collection defender_bridge_checkpoint: install the whole app', 'checkpoint'],
    ['checkpoint_container: missing: checkpoint = blob needs the https URL of a blob container', 'checkpoint_container'],
    ['event_hub_namespace: "a b" is no namespace', 'event_hub_namespace'],
    ['event_hub: missing: write the hub’s name', 'event_hub'],
    ['account "nobody" is unknown: create it in defender_bridge_account.conf (known: none)', 'account'],
    ['account contoso: secret: there is none: store the client secret’s Value for this account', 'account'],
    ['feed: the Defender for Endpoint API has no list of incidents', 'feed'],
    ['The index foo does not exist', 'index'],
    ['sign-in at https://x failed with 401 invalid_client', undefined],
    ['GET https://graph/… answered 403; grant the app the application permission', undefined],
] as [string, keyof Draft | undefined][])('%s is shown at %s', (said, field) => expect(refusedAt(said)).toBe(field));
