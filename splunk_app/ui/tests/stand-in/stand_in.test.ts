import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startStandIn, type StandIn } from './index';

describe('the stand-in, with the real executable and its tenant behind it', () => {
    let it: StandIn;
    beforeAll(async () => {
        it = await startStandIn({ tenant: ['--alerts', '40'], account: 'contoso' });
    }, 30_000);
    afterAll(() => it.close());

    async function search(text: string) {
        const job = it.splunkd.jobs.begin(it.splunkd.users.named('admin'), text, '0', 'now');
        await job.ended;
        return job;
    }

    test('tests the connection through the search command', async () => {
        const job = await search('| defendercheck account="contoso"');
        expect(job.messages).toEqual([]);
        expect(job.rows.map((row) => row.check)).toContain('sign-in');
        expect(job.rows.filter((row) => row.state === 'failed')).toEqual([]);
    }, 30_000);

    test('refuses an input the executable refuses, in its words', async () => {
        const admin = it.splunkd.users.named('admin');
        const save = (form: string) => it.splunkd.answer('POST', '/servicesNS/nobody/defender_bridge/data/inputs/defender_bridge', Buffer.from(form), admin);
        const refused = await save('name=x&account=nobody&feed=alerts');
        expect(refused.status).toBe(400);
        expect(JSON.stringify(refused.body)).toContain('is unknown');
        expect((await save('name=alerts&account=contoso&feed=alerts&index=defender')).status).toBe(201);
    }, 30_000);

    test('runs inputs into its index, with the fields props.conf promises', async () => {
        await it.splunkd.runInputs();
        const alerts = await search('search index=defender sourcetype="ms365:defender:incident:alerts" | dedup alert_id | stats count by severity | sort - count');
        expect(alerts.messages).toEqual([]);
        expect(alerts.rows.reduce((sum, row) => sum + Number(row.count), 0)).toBe(40);
        const health = await search('search sourcetype="defender_bridge:health" | stats latest(outcome) as outcome latest(events) as events by stanza');
        expect(health.rows).toEqual([{ stanza: 'defender_bridge://alerts', outcome: 'ok', events: '40' }]);
    }, 30_000);

    test('refuses what it cannot run, and never answers with nothing instead', async () => {
        for (const wrong of ['| frobnicate', 'search `no_such_macro`', 'search index=x | eval a=nosuch(b)', 'search (a']) {
            const job = await search(wrong);
            expect([wrong, job.state]).toEqual([wrong, 'FAILED']);
            expect(job.messages[0]?.text).not.toBe('');
        }
    });

    test('reads rows the way the pages write them', async () => {
        const { rows } = await import('../../src/splunk/spl');
        const nasty = 'a" | delete [ `x` ] \\ 😀';
        const job = await search(`${rows([{ comment: nasty, n: 1 }])} | table comment n`);
        expect(job.rows).toEqual([{ comment: nasty, n: '1' }]);
    });

    test('answers the REST endpoint through the executable', async () => {
        const reply = await it.splunkd.answer('GET', '/services/defender_bridge/ping', Buffer.alloc(0), it.splunkd.users.named('analyst'));
        expect(reply).toMatchObject({ status: 200, body: { app: 'defender_bridge', user: 'analyst' } });
    }, 30_000);
});
