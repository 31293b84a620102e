import { describe, expect, test } from 'vitest';
import { account, cloned, daysLeft, draft, secretOf, settings, wrong, type Draft } from './account';

const good: Draft = { ...draft(), name: 'contoso', tenant_id: '7b795fb9-09d3-42f4-a494-38864f99ba3c', client_id: '00000003-0000-0000-c000-000000000000', secret: 'x8Q~value' };
const saved = account('contoso', { tenant_id: 'contoso.com', client_id: 'c', auth: 'secret' });

describe('what is typed for an account', () => {
    test('is well when complete', () => expect(wrong(good, undefined, ['other'])).toEqual({}));

    test.each([
        ['name', { name: ' ' }],
        ['name', { name: 'a b' }],
        ['name', { name: 'a:b' }],
        ['name', { name: '..' }],
        ['name', { name: 'proxy' }],
        ['name', { name: 'taken' }],
        ['tenant_id', { tenant_id: '' }],
        ['tenant_id', { tenant_id: 'common' }],
        ['tenant_id', { tenant_id: 'a/b' }],
        ['client_id', { client_id: '' }],
        ['client_id', { client_id: 'my app' }],
        ['secret', { secret: '' }],
        ['secret', { secret: '11111111-2222-4333-8444-555555555555' }],
        ['secret_expires', { secret_expires: '31.3.2027' }],
        ['secret_expires', { secret_expires: '2027-02-30' }],
        ['key', { auth: 'certificate' }],
        ['certificate', { auth: 'certificate' }],
        ['key', { auth: 'certificate', key: '-----BEGIN ENCRYPTED PRIVATE KEY-----\nx\n-----END ENCRYPTED PRIVATE KEY-----' }],
        ['secret', { auth: 'connection_string', secret: '' }],
        ['secret', { auth: 'connection_string', secret: 'x8Q~value' }],
        ['secret', { auth: 'connection_string', secret: 'AccountName=a;AccountKey=b' }],
        ['login_url', { cloud: 'custom', graph_url: 'https://graph.example' }],
        ['login_url', { cloud: 'custom', login_url: 'http://login.example', graph_url: 'https://g' }],
        ['mde_url', { cloud: 'custom', login_url: 'https://l', graph_url: 'https://g', mde_url: 'https://user:pw@m' }],
    ] as [keyof Draft, Partial<Draft>][])('is refused at %s for %o', (key, change) => {
        expect(Object.keys(wrong({ ...good, ...change }, undefined, ['taken']))).toContain(key);
    });

    test('needs no client, no tenant and no secret where the platform has them', () => {
        expect(wrong({ ...good, auth: 'managed_identity', client_id: '', secret: '' }, undefined, [])).toEqual({});
        expect(wrong({ ...good, auth: 'workload_identity', client_id: '', tenant_id: '', secret: '' }, undefined, [])).toEqual({});
    });

    test('needs nobody to sign in with a connection string', () => {
        const alone = { ...good, auth: 'connection_string' as const, tenant_id: '', client_id: '', secret: ' Endpoint=sb://ns/;SharedAccessKeyName=k;SharedAccessKey=s ', cloud: 'custom' as const };
        expect(wrong(alone, undefined, [])).toEqual({});
        expect(secretOf(alone)).toBe('Endpoint=sb://ns/;SharedAccessKeyName=k;SharedAccessKey=s');
    });

    test('keeps the stored secret when it is edited, and asks for one of the new kind', () => {
        expect(wrong(draft(saved), saved, ['contoso'])).toEqual({});
        expect(Object.keys(wrong({ ...draft(saved), auth: 'certificate' }, saved, []))).toEqual(['key', 'certificate']);
        expect(secretOf(draft(saved))).toBeUndefined();
    });
});

test('a certificate is stored as key and certificate in one text', () => {
    const pem = { ...good, auth: 'certificate' as const, key: ' KEY\n', certificate: 'CERT\n\n' };
    expect(secretOf(pem)).toBe('KEY\nCERT\n');
});

test('what no longer holds is emptied when it is saved', () => {
    const kept = settings({ ...good, cloud: 'gcc', login_url: 'https://left.over', secret_expires: '2027-01-01', auth: 'managed_identity' });
    expect(kept).toMatchObject({ login_url: '', secret_expires: '', cloud: 'gcc', auth: 'managed_identity' });
    expect(kept).not.toHaveProperty('secret');
});

test('days are counted to the last day, inclusive', () => {
    const now = Date.parse('2026-11-22T23:59:00Z');
    const left = (day: string) => daysLeft({ ...saved, secret_expires: day }, now);
    expect([left('2026-11-22'), left('2026-11-23'), left('2026-11-21'), left('')]).toEqual([0, 1, -1, undefined]);
});

test('a clone has a free name and no credential', () => {
    expect(cloned({ ...saved, secret_stored: '2026-01-01' }, ['contoso', 'contoso_copy'])).toMatchObject({ name: 'contoso_copy2', secret_stored: '', secret: '' });
});
