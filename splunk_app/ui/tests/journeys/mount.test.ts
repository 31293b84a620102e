import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Browser } from 'playwright-core';
import { launch } from './browser';
import { startStandIn } from '../stand-in';

let browser: Browser;
beforeAll(async () => {
    browser = await launch();
});
afterAll(() => browser.close());

test.each(['light', 'dark'] as const)('the script mounts once, %s, though AMD is there and it runs twice', async (theme) => {
    const splunk = await startStandIn({ theme });
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(splunk.page('configuration'));
    await page.getByRole('heading', { level: 1, name: 'Configuration' }).waitFor();
    await page.locator(`main[data-theme=${theme}]`).waitFor();
    expect(await page.locator('main').count()).toBe(1);
    expect(await page.locator('[data-mounted=script]').count()).toBe(1);
    expect(await page.evaluate('window.__defined__')).toBeUndefined();
    expect(errors).toEqual([]);
    await page.close();
    await splunk.close();
});

test('a Splunk Web that does not run the script a view names runs the app’s own', async () => {
    const splunk = await startStandIn();
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.route('**/static/@*/app/*/defender_bridge.js', (route) => route.abort());
    await page.goto(splunk.page('configuration'));
    await page.getByRole('heading', { level: 1, name: 'Configuration' }).waitFor();
    expect(await page.locator('[data-mounted="dashboard.js"]').count()).toBe(1);
    expect(await page.locator('main').count()).toBe(1);
    expect(errors).toEqual([]);
    await page.close();
    await splunk.close();
});
