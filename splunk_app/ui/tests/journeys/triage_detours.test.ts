// What an analyst does to the triage page beside the straight way: other tabs, reloads, sessions that end, haste.

import { describe, expect, test } from 'vitest';
import { analyst, filled, oneBrowser, Triage } from './triage.page';
import { startStandIn } from '../stand-in';

const browser = oneBrowser();
const refused = (status: number, text: string) => ({ status, body: { messages: [{ type: 'ERROR', text }] } });

describe('an analyst on the way', () => {
    const at = analyst(browser, 120);

    test('goes from an alert to its incident and back without losing the page', async () => {
        const { triage } = at;
        await triage.page.evaluate('window.__same__ = 1');
        await triage.rows.first().click();
        const title = await triage.title();
        const link = triage.details.getByRole('link', { name: /^\d+ · / });
        // Another tab would find it there, too.
        expect(await link.getAttribute('href')).toMatch(/^\?form\.incident_id=\d+$/);
        await link.click();
        await triage.details.getByText('of this incident').waitFor();
        await triage.details.getByRole('link', { name: title }).first().click();
        await expect.poll(() => triage.title()).toBe(title);
        expect(await triage.page.evaluate('window.__same__')).toBe(1);
    });

    test('selects more than a page at once', async () => {
        const { triage } = at;
        await triage.page.getByRole('combobox', { name: /Status/ }).click();
        await triage.page.getByRole('option', { name: 'All', exact: true }).click();
        await triage.page.getByText(/^1–50 of \d+$/).waitFor();
        await triage.page.getByRole('checkbox', { name: 'No rows selected' }).first().click();
        const bulk = triage.page.locator('[data-test=bulk]');
        await bulk.getByText('50 selected').waitFor();
        const all = bulk.getByRole('button', { name: /^Select all \d+ in this list$/ });
        const [count] = /\d+/.exec(await all.innerText()) ?? [];
        await all.click();
        await bulk.getByText(`${count} selected`).waitFor();
    });

    test('finds every filter again after a reload, and beside an open alert', async () => {
        const { triage } = at;
        const { page } = triage;
        await page.getByRole('combobox', { name: /Status/ }).click();
        await page.getByRole('option', { name: 'In progress', exact: true }).click();
        await page.getByRole('combobox', { name: /Last update/ }).click();
        await page.getByRole('option', { name: 'Last 30 days' }).click();
        await page.getByRole('textbox', { name: /^Search titles/ }).fill('contoso');
        await triage.rows.first().click();
        const title = await triage.title();
        await expect.poll(() => triage.query()).toMatch(/alert_id=.*status=inProgress.*words=contoso.*updated=-30d/);
        await page.reload();
        await triage.details.waitFor();
        expect(await triage.title()).toBe(title);
        await page.keyboard.press('Escape');
        await triage.details.waitFor({ state: 'detached' });
        expect(await page.getByRole('textbox', { name: /^Search titles/ }).inputValue()).toBe('contoso');
        expect(await page.getByRole('combobox', { name: /Status/ }).innerText()).toContain('In progress');
        expect(await page.getByRole('combobox', { name: /Last update/ }).innerText()).toContain('Last 30 days');
    });

    test('is asked before leaving while something is written', async () => {
        const { triage } = at;
        const { page } = triage;
        await triage.rows.first().click();
        await page.keyboard.press('r');
        await triage.press('Preview changes');
        await triage.phase('plan').waitFor();
        const asked = page.waitForEvent('dialog');
        // The write stays under way until the question was seen.
        let goOn = (): void => undefined;
        const seen = new Promise<void>((resolve) => (goOn = resolve));
        await page.route('**/search/jobs?*', async (route) => {
            if (route.request().method() === 'POST') await seen;
            await route.continue();
        });
        await triage.press('Write to 1 alert');
        await triage.phase('writing').waitFor();
        await page.evaluate('setTimeout(() => location.reload(), 0)');
        const question = await asked;
        expect(question.type()).toBe('beforeunload');
        await question.dismiss();
        goOn();
        await triage.phase('done').waitFor();
        expect(await triage.tally()).toBe('1 updated');
    });

    test('resolves with r and Enter, and writes once however hasty the hand', async () => {
        const { splunk, triage } = at;
        const { page } = triage;
        await triage.rows.nth(1).focus();
        await page.keyboard.press('r');
        const chosen = () => page.evaluate(`document.activeElement?.getAttribute('role') + ' ' + document.activeElement?.textContent`);
        await expect.poll(chosen).toBe('radio Resolved');
        await page.keyboard.press('Enter');
        await triage.phase('plan').waitFor();
        const before = splunk.web.trace.length;
        await triage.dialog.getByRole('button', { name: 'Write to 1 alert' }).dblclick();
        await triage.phase('done').waitFor();
        const writes = splunk.web.trace.slice(before).filter(({ method, body }) => method === 'POST' && body.includes('defenderupdate'));
        expect(writes).toHaveLength(1);
    });

    test('writes a comment of several lines; Ctrl and Enter go on', async () => {
        const { triage } = at;
        const { page } = triage;
        await triage.rows.nth(2).click();
        await page.keyboard.press('v');
        const comment = triage.dialog.getByRole('textbox', { name: 'Comment' });
        await comment.fill('first');
        await comment.press('Enter');
        await comment.pressSequentially('second');
        expect(await comment.inputValue()).toBe('first\nsecond');
        await comment.press('Control+Enter');
        await triage.phase('plan').waitFor();
    });
});

test('a session that ended, and a page of an earlier one, are told with the way out', async () => {
    const splunk = await filled({ user: 'analyst' }, 20);
    const triage = await Triage.open(browser(), splunk);
    await triage.settled();
    const { page } = triage;
    await page.evaluate(`document.cookie = 'splunkweb_csrf_token_' + location.port + '=earlier; Path=/'`);
    await page.keyboard.press('g');
    await page.getByText('reload the page').waitFor();
    await page.context().clearCookies();
    await page.keyboard.press('g');
    await page.getByText('Sign in again in another tab, then try again here.').waitFor();
    // What was loaded stays to be read.
    expect(await triage.rows.count()).toBeGreaterThan(0);
    await triage.close();
    await splunk.close();
});

test('rights that could not be read are said, and asked for again', async () => {
    const splunk = await filled({ user: 'analyst' }, 20);
    splunk.splunkd.fault = (_, path) => (path === 'authentication/current-context' ? refused(500, 'out of memory') : undefined);
    const triage = await Triage.open(browser(), splunk);
    await triage.rows.first().waitFor();
    await triage.page.getByText('Your rights could not be found out').waitFor();
    expect(await triage.page.getByRole('checkbox').count()).toBe(0);
    splunk.splunkd.fault = undefined;
    await triage.page.getByRole('button', { name: 'Try again' }).click();
    await triage.page.getByRole('checkbox').first().waitFor();
    expect(await triage.page.getByText('could not be found out').count()).toBe(0);
    await triage.close();
    await splunk.close();
});

test('a link whose alert could not be looked for is not told as one that nobody has', async () => {
    const splunk = await filled({ user: 'analyst' }, 20);
    let searches = 0;
    splunk.splunkd.fault = (method, path) => {
        if (method !== 'POST' || path !== 'search/jobs') return undefined;
        searches += 1;
        // The queue itself comes first.
        return searches > 1 ? refused(503, 'The maximum number of concurrent searches has been reached.') : undefined;
    };
    const triage = await Triage.open(browser(), splunk, '?form.alert_id=da0_0');
    await triage.page.getByText('The search for da0_0 failed.').waitFor();
    await triage.page.getByText('maximum number of concurrent searches').first().waitFor();
    expect(await triage.page.getByText('is not in any index').count()).toBe(0);
    await triage.close();
    await splunk.close();
});

test('words of any length in an event leave the page usable', async () => {
    const long = `<b>${'x'.repeat(300)}</b> ${'many words '.repeat(30)}`;
    const json = {
        id: 'da1_1', title: long, severity: long, status: long, classification: long, determination: long, assignedTo: long, incidentId: long,
        serviceSource: long, category: long, lastUpdateDateTime: new Date().toISOString(), createdDateTime: long, mitreTechniques: [long], customTags: [long],
        evidence: [{ '@odata.type': '#microsoft.graph.security.ipEvidence', ipAddress: long, verdict: long, remediationStatus: long, detailedRoles: [long] }],
    };
    const event = { time: Date.now() / 1000 - 5, index: 'defender', sourcetype: 'ms365:defender:incident:alerts', source: 'defender_bridge:alerts:t1', host: 'sh1', raw: JSON.stringify(json) };
    const splunk = await startStandIn({ user: 'analyst', events: [event], account: 'contoso' });
    const triage = await Triage.open(browser(), splunk);
    const { page } = triage;
    await triage.rows.first().waitFor();
    const width = () => page.evaluate('document.documentElement.scrollWidth - window.innerWidth');
    const rowHeight = async () => (await triage.rows.first().boundingBox())?.height ?? Infinity;
    expect(await width()).toBe(0);
    expect(await rowHeight()).toBeLessThan(80);
    await triage.rows.first().click();
    const close = triage.details.getByRole('button', { name: 'Close' });
    await close.waitFor();
    const box = await triage.details.boundingBox();
    expect(box?.x).toBeGreaterThan(0);
    expect((box?.x ?? 0) + (box?.width ?? Infinity)).toBeLessThanOrEqual(1440);
    await page.keyboard.press('v');
    await triage.phase('form').waitFor();
    expect((await triage.dialog.boundingBox())?.height).toBeLessThan(900);
    await triage.press('Cancel');
    await triage.dialog.waitFor({ state: 'detached' });
    await close.click();
    await triage.details.waitFor({ state: 'detached' });
    await triage.close();
    await splunk.close();
});
