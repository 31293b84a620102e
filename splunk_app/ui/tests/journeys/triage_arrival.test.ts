// How the triage page is come to: by a link, without rights, before there is anything, or when nothing answers.

import { describe, expect, test } from 'vitest';
import { filled, oneBrowser, Triage } from './triage.page';
import { startStandIn } from '../stand-in';

const browser = oneBrowser();

describe('a link into the page', () => {
    test('opens the alert it names, whatever its state, and writes nothing', async () => {
        const splunk = await filled({ user: 'analyst' });
        const alert = splunk.splunkd.events
            .filter(({ sourcetype }) => sourcetype === 'ms365:defender:incident:alerts')
            .map(({ raw }) => JSON.parse(raw))
            .find((json) => json.status === 'resolved' && json['@odata.type']?.endsWith('.alert'));
        const triage = await Triage.open(browser(), splunk, `?form.alert_id=${alert.id}`);
        await triage.details.waitFor();
        expect(await triage.details.innerText()).toContain(alert.id);
        expect(await triage.dialog.count()).toBe(0);
        expect(splunk.web.trace.filter(({ body }) => body.includes('defenderupdate'))).toEqual([]);
        expect(await triage.details.getByRole('link', { name: 'Open in Defender' }).getAttribute('href')).toBe(
            alert.alertWebUrl,
        );
        await triage.page.keyboard.press('Escape');
        await expect.poll(() => triage.query()).toBe('');
        await triage.close();
        await splunk.close();
    });

    test('of an overview tile shows what the tile counted', async () => {
        const splunk = await filled({ user: 'analyst' }, 60);
        const high = await Triage.open(browser(), splunk, '?form.severity=high');
        await high.settled();
        const severities = await high.rows.evaluateAll((rows) => rows.map((row) => row.textContent ?? ''));
        expect(severities.length).toBeGreaterThan(0);
        for (const row of severities) expect(row).toContain('High');
        expect(await high.page.getByRole('combobox', { name: /Severity/ }).innerText()).toContain('High');
        await high.close();
        const nobodys = await Triage.open(browser(), splunk, '?form.owner=nobody');
        await nobodys.settled();
        expect(await nobodys.page.getByRole('combobox', { name: /Owner/ }).innerText()).not.toContain('Any');
        await nobodys.close();
        await splunk.close();
    });

    test('says so where nobody knows the alert', async () => {
        const splunk = await filled({ user: 'analyst' }, 20);
        const triage = await Triage.open(browser(), splunk, '?alert_id=da0_0');
        await triage.page.getByText('da0_0 is not in any index you can search.').waitFor();
        await triage.close();
        await splunk.close();
    });
});

describe('what the page says where there is little to show', () => {
    test('a reader sees everything, is told what is missing to write, and by whom', async () => {
        const splunk = await filled({ user: 'reader' }, 20);
        const triage = await Triage.open(browser(), splunk);
        await triage.rows.first().waitFor();
        await triage.page.getByText('needs the capability defender_triage').waitFor();
        expect(await triage.page.getByRole('checkbox').count()).toBe(0);
        await triage.rows.first().click();
        await triage.details.getByRole('link', { name: 'Open in Defender' }).waitFor();
        expect(await triage.details.getByRole('button', { name: 'Set verdict' }).count()).toBe(0);
        await triage.page.keyboard.press('r');
        expect(await triage.phase('form').count()).toBe(0);
        await triage.close();
        await splunk.close();
    });

    test.each([
        ['admin', 'Set up an account'],
        ['reader', 'Ask a Splunk administrator'],
    ] as const)('before anything is set up, %s is told: %s', async (user, words) => {
        const splunk = await startStandIn({ user });
        const triage = await Triage.open(browser(), splunk);
        await triage.page.getByText('Nothing is connected yet').waitFor();
        await triage.page.getByText(words).waitFor();
        await triage.close();
        await splunk.close();
    });

    test('with an account and no event, it points to the inputs', async () => {
        const splunk = await startStandIn({ account: 'contoso' });
        const triage = await Triage.open(browser(), splunk);
        await triage.page.getByText('No alerts in this time').waitFor();
        await triage.close();
        await splunk.close();
    });

    test('a search that fails says why, and can be asked again', async () => {
        const splunk = await filled({ user: 'analyst' }, 20);
        splunk.splunkd.fault = (method, path) =>
            method === 'POST' && path.endsWith('search/jobs')
                ? { status: 403, body: { messages: [{ type: 'ERROR', text: 'no search for you' }] } }
                : undefined;
        const triage = await Triage.open(browser(), splunk);
        await triage.page.getByText('The queue could not be searched.').waitFor();
        await triage.page.getByText('no search for you').waitFor();
        splunk.splunkd.fault = undefined;
        await triage.page.getByRole('button', { name: 'Refresh' }).first().click();
        await triage.rows.first().waitFor();
        await triage.close();
        await splunk.close();
    });

    test('text in an event is text, never markup', async () => {
        const hostile = '<img src=x onerror="window.__hit__=1"><b>bold</b>';
        const raw = JSON.stringify({
            id: 'da1_1',
            title: hostile,
            description: hostile,
            severity: 'high',
            status: 'new',
            lastUpdateDateTime: new Date().toISOString(),
            alertWebUrl: 'javascript:window.__hit__=1',
            mitreTechniques: ['javascript:alert(1)'],
            evidence: [{ '@odata.type': '#microsoft.graph.security.urlEvidence', url: hostile }],
        });
        const event = {
            time: Date.now() / 1000 - 5,
            index: 'defender',
            sourcetype: 'ms365:defender:incident:alerts',
            source: 'defender_bridge:alerts:t1',
            host: 'sh1',
            raw,
        };
        const splunk = await startStandIn({ user: 'analyst', events: [event] });
        const triage = await Triage.open(browser(), splunk);
        await triage.rows.first().click();
        await triage.details.waitFor();
        expect(await triage.details.getByRole('heading', { level: 2 }).innerText()).toBe(hostile);
        expect(await triage.page.evaluate('window.__hit__')).toBeUndefined();
        expect(await triage.details.locator('img, b').count()).toBe(0);
        expect(await triage.details.getByRole('link', { name: 'Open in Defender' }).getAttribute('href')).toBe(
            'https://security.microsoft.com/alerts/da1_1?tid=t1',
        );
        await triage.close();
        await splunk.close();
    });
});
