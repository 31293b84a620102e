// Somebody in front of a page: a Splunk of their own, a browser, and what both saw.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Browser, Page } from 'playwright-core';
import { launch } from './browser';
import { startStandIn, type StandIn, type StandInOptions } from '../stand-in';

/** Wide enough for every table, as most screens of those who set things up are. */
export const VIEWPORT = { width: 1280, height: 800 };

export interface Visit {
    splunk: StandIn;
    page: Page;
    /** Faults of the page's own script. */
    errors: string[];
    go(view: string, query?: string): Promise<void>;
    end(): Promise<void>;
}

/** One browser for all journeys of a file; each visit has a profile of its own. */
export function visitors(): (options?: StandInOptions & { at?: number }) => Promise<Visit> {
    let browser: Browser;
    const open: Visit[] = [];
    beforeAll(async () => {
        browser = await launch();
    });
    afterAll(async () => {
        for (const visit of open) await visit.end();
        await browser.close();
    });
    return async ({ at, ...options } = {}) => {
        const splunk = await startStandIn(at === undefined ? options : { ...options, now: () => at });
        const context = await browser.newContext({ viewport: VIEWPORT, reducedMotion: 'reduce', colorScheme: options.theme ?? 'light', locale: 'en-US', timezoneId: 'UTC' });
        const page = await context.newPage();
        page.setDefaultTimeout(60_000);
        if (at !== undefined) await page.clock.setFixedTime(at * 1000);
        const errors: string[] = [];
        page.on('pageerror', (error) => errors.push(String(error)));
        let ended = false;
        const visit: Visit = {
            splunk,
            page,
            errors,
            async go(view, query) {
                await page.goto(splunk.page(view, query));
                await page.locator('#defender-bridge-root[data-mounted]').waitFor();
            },
            async end() {
                if (ended) return;
                ended = true;
                await context.close();
                await splunk.close();
            },
        };
        open.push(visit);
        return visit;
    };
}

export function field(page: Page, name: string) {
    return page.getByRole('textbox', { name, exact: true });
}

export async function choose(page: Page, name: string, option: string): Promise<void> {
    await page.getByRole('combobox', { name, exact: true }).click();
    await page.getByRole('option', { name: option, exact: true }).click();
}

/** Its menu of suggestions is left with Tab. */
export async function typeIndex(page: Page, index: string): Promise<void> {
    const box = page.getByRole('combobox', { name: 'Index' });
    const suggested = page.getByRole('listbox');
    await box.fill(index);
    // One that opens only after the Tab would cover what comes next.
    await suggested.waitFor();
    await box.press('Tab');
    await suggested.waitFor({ state: 'hidden' });
}

export function button(page: Page, name: string) {
    return page.getByRole('button', { name, exact: true });
}

/** The account of the tenant behind this Splunk, as somebody types it. */
export async function typeAccount({ page, splunk }: Visit, name: string, secret = splunk.tenant!.at.client_secret): Promise<void> {
    const { url, ca_file, tenant_id, client_id } = splunk.tenant!.at;
    await field(page, 'Name').fill(name);
    await field(page, 'Tenant id').fill(tenant_id);
    await field(page, 'Client id').fill(client_id);
    await field(page, 'Client secret').fill(secret);
    await choose(page, 'Cloud', 'Custom');
    await field(page, 'Sign-in URL').fill(url);
    await field(page, 'Microsoft Graph URL').fill(url);
    await field(page, 'CA file').fill(ca_file);
}

/** No secret was asked for, and none stood where it would be logged. */
export function expectSecretsKept({ splunk }: Visit, ...secrets: string[]): void {
    const reads = splunk.web.trace.filter(({ method, path }) => method === 'GET' && path.includes('storage/passwords'));
    expect(reads).toEqual([]);
    for (const secret of secrets) {
        const leaks = splunk.web.trace.filter(({ url, path, body }) => url.includes(secret) || decodeURIComponent(url).includes(secret) || (!path.includes('storage/passwords') && decodeURIComponent(body.replace(/\+/g, ' ')).includes(secret)));
        expect(leaks).toEqual([]);
    }
}

/** What is posted and deleted, in order: `METHOD path` below the app. */
export function changes({ splunk }: Visit): string[] {
    return splunk.web.trace
        .filter(({ method, path }) => method !== 'GET' && !path.includes('search/jobs'))
        .map(({ method, path }) => `${method} ${path.replace(/^\/servicesNS\/[^/]+\/[^/]+\//, '')}`);
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Everything axe calls serious or critical. */
export async function barriers(page: Page): Promise<string[]> {
    // As a string: axe would otherwise register with the page's AMD loader.
    await page.evaluate(`(() => { const define = undefined, module = undefined; ${AXE} })()`);
    const found = await page.evaluate(`window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }).then((result) =>
        result.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
            .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ': ' + html.slice(0, 160) + ' ' + failureSummary)))`);
    return found as string[];
}
