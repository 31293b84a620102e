// A dashboard drawn by Splunk's own renderer in headless Chromium, with answers in place of searches.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const HOST = 'http://splunk.invalid';
const BUILT = fileURLToPath(new URL('built/', import.meta.url));
const PAGE = '<!doctype html><html lang="en"><body style="margin:0"><div id="dashboard"></div></body></html>';

// What Splunk Web tells each page about itself; without it the renderer takes itself for disconnected.
const SPLUNK_WEB = {
    SPLUNKD_PATH: '/en-US/splunkd/__raw',
    LOCALE: 'en-US',
    MRSPARKLE_ROOT_PATH: '',
    BUILD_NUMBER: '1',
    SERVER_ZONEINFO: '### SERIALIZED TIMEZONE FORMAT 1.0;Y+0 NW 55 54 43;@-9223372036854775808 0;',
};

const PRESETS = [
    ['Last 24 hours', '-24h@h'],
    ['Last 7 days', '-7d@h'],
].map(([label, earliest_time]) => ({ name: label, content: { label, earliest_time, latest_time: 'now', is_sub_menu: '0' } }));

export class Browser {
    static async open() {
        mkdirSync(BUILT, { recursive: true });
        await build({
            entryPoints: [fileURLToPath(new URL('draw.jsx', import.meta.url))],
            outfile: `${BUILT}draw.js`,
            bundle: true,
            minify: true,
            logLevel: 'error',
            define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
        });
        const browser = new Browser();
        browser.chromium = await chromium.launch({
            executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
            args: ['--no-sandbox', '--font-render-hinting=none', '--disable-lcd-text'],
        });
        await browser.load();
        return browser;
    }

    /** One page for one dashboard: what was chosen on a dashboard stays chosen on whatever is drawn in its place. */
    async load() {
        this.page = await this.chromium.newPage({ viewport: { width: 1460, height: 900 } });
        this.faults = [];
        this.page.on('pageerror', (error) => this.faults.push(String(error)));
        this.page.on('console', (message) => {
            if (message.type() === 'error') this.faults.push(message.text());
        });
        await this.page.route(`${HOST}/**`, (route) =>
            route.request().resourceType() === 'document'
                ? route.fulfill({ contentType: 'text/html', body: PAGE })
                : route.fulfill({ json: { entry: route.request().url().includes('/ui/times') ? PRESETS : [] } })
        );
        await this.page.goto(`${HOST}/en-US/app/defender_bridge/dashboard`);
        await this.page.evaluate((told) => Object.assign(window, { $C: told }), SPLUNK_WEB);
        await this.page.addStyleTag({ path: `${BUILT}draw.css` });
        await this.page.addScriptTag({ path: `${BUILT}draw.js` });
    }

    close() {
        return this.chromium.close();
    }

    /** The picture of a dashboard, the text on it, and what went wrong while it was drawn. */
    async draw(definition, theme) {
        const { page } = this;
        this.faults.length = 0;
        await page.evaluate(([drawn, scheme]) => window.draw(drawn, scheme), [definition, theme]);
        await settled(page);
        const text = await page.evaluate(() => document.body.innerText);
        const picture = await page.screenshot({ fullPage: true, animations: 'disabled' });
        return { picture, text, faults: [...this.faults] };
    }
}

/** Waits until what is to be read on the page has stopped changing. */
async function settled(page) {
    let before = '';
    for (let same = 0, tries = 0; same < 3 && tries < 80; tries += 1) {
        await page.waitForTimeout(250);
        const now = await page.evaluate(() => `${document.body.innerText} ${document.querySelectorAll('svg rect, table td').length}`);
        same = now === before && !now.endsWith(' 0') ? same + 1 : 0;
        before = now;
    }
}
