// The triage page as a person handles it, and what a journey asks about it.

import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import type { Browser, Locator, Page } from 'playwright-core';
import { launch } from './browser';
import { rows } from '../../src/splunk/spl';
import { startStandIn, type StandIn, type StandInOptions } from '../stand-in';

/** A Splunk whose inputs have just read a tenant with this many alerts. */
export async function filled(options: StandInOptions = {}, alerts = 120): Promise<StandIn> {
    const splunk = await startStandIn({ tenant: ['--alerts', String(alerts)], account: 'contoso', ...options });
    splunk.addInput('contoso_alerts', { account: 'contoso', feed: 'alerts', index: 'defender', start: '-30d' });
    splunk.addInput('contoso_incidents', { account: 'contoso', feed: 'incidents', index: 'defender', start: '-30d' });
    await splunk.splunkd.runInputs();
    return splunk;
}

export class Triage {
    readonly rows: Locator;
    readonly details: Locator;
    readonly dialog: Locator;
    private readonly faults: string[] = [];

    private constructor(
        readonly page: Page,
        readonly splunk: StandIn,
    ) {
        this.rows = page.locator('tr[data-test=queue-row]');
        this.details = page.locator('[data-test=details]');
        this.dialog = page.getByRole('dialog').filter({ has: page.locator('[data-test^=act-], [data-test=history]') });
        page.on('pageerror', (error) => this.faults.push(String(error)));
    }

    /** Opened, and answered by the first searches. */
    static async open(browser: Browser, splunk: StandIn, query = ''): Promise<Triage> {
        const page = await browser.newPage({
            viewport: { width: 1440, height: 900 },
            reducedMotion: 'reduce',
            locale: 'en-US',
            timezoneId: 'UTC',
        });
        page.setDefaultTimeout(60_000);
        const triage = new Triage(page, splunk);
        await page.goto(splunk.page('triage', query));
        await page.getByRole('heading', { level: 1, name: 'Triage' }).waitFor();
        return triage;
    }

    async settled(): Promise<void> {
        await this.rows.first().waitFor();
        // The last of the first searches: what the other tab holds.
        await this.page.getByRole('tab', { name: /Alerts \(/ }).waitFor();
        await this.page.getByRole('tab', { name: /Incidents \(/ }).waitFor();
        // Who may write selects.
        await this.page.getByRole('checkbox').first().waitFor();
    }

    async close(): Promise<void> {
        await this.page.close();
        if (this.faults.length > 0) throw new Error(`the page threw: ${this.faults.join('; ')}`);
    }

    /** Where the dialog stands: form, plan, done, undone… */
    phase(name: string): Locator {
        return this.page.locator(`[data-test=act-${name}]`);
    }

    async tally(): Promise<string> {
        return (await this.page.locator('[data-test=tally]').innerText()).replace(/\s+/g, ' ').trim();
    }

    async press(name: string | RegExp): Promise<void> {
        await this.dialog.getByRole('button', { name }).click();
    }

    async id(row: Locator): Promise<string> {
        return ((await row.getAttribute('data-key')) ?? '').replace(/^[^/]*\//, '');
    }

    /** Of the object beside the queue. */
    async title(): Promise<string> {
        return this.details.getByRole('heading', { level: 2 }).innerText();
    }

    /** What is in the address bar's query. */
    query(): string {
        return new URL(this.page.url()).search;
    }

    /** Whether the focus is somewhere a keyboard can go on from. */
    async focus(): Promise<string> {
        return this.page.evaluate(`(() => {
            const at = document.activeElement;
            return at === null || at === document.body ? 'lost' : (at.getAttribute('data-test') ?? at.tagName.toLowerCase());
        })()`) as Promise<string>;
    }
}

/** What Defender itself says of an alert, asked by a search of the administrator. */
export async function inDefender(splunk: StandIn, ids: string[]): Promise<Record<string, string | string[]>[]> {
    const job = splunk.splunkd.jobs.begin(
        splunk.splunkd.users.named('admin'),
        `${rows(ids.map((id) => ({ id })))} | defenderget account="contoso" subject=alert`,
        '0',
        'now',
    );
    await job.ended;
    return job.rows;
}

/** A colleague writes to Defender behind the page's back. */
export async function colleague(splunk: StandIn, id: string, verdict: Record<string, string>): Promise<void> {
    const asked = Object.fromEntries(Object.entries(verdict).map(([name, value]) => [`defender_${name}`, value]));
    const job = splunk.splunkd.jobs.begin(
        splunk.splunkd.users.named('admin'),
        `${rows([{ id, defender_account: 'contoso', ...asked }])} | defenderupdate subject=alert`,
        '0',
        'now',
    );
    await job.ended;
    if (job.rows[0]?.defender_outcome !== 'updated')
        throw new Error(`the colleague could not write: ${JSON.stringify([job.rows, job.messages])}`);
}

/** One browser for all stories of a file. */
export function oneBrowser(): () => Browser {
    let browser: Browser;
    beforeAll(async () => {
        browser = await launch();
    });
    afterAll(() => browser.close());
    return () => browser;
}

/** An analyst who may triage and reads no secret, and opens the page anew for each story of a group. */
export function analyst(browser: () => Browser, alerts = 300): { splunk: StandIn; triage: Triage } {
    const at = {} as { splunk: StandIn; triage: Triage };
    beforeAll(async () => {
        at.splunk = await filled({ user: 'analyst' }, alerts);
    });
    beforeEach(async () => {
        at.triage = await Triage.open(browser(), at.splunk);
        await at.triage.settled();
    });
    afterEach(() => at.triage.close());
    afterAll(() => at.splunk.close());
    return at;
}
