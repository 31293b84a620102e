// The browser of the journeys: the Chromium of this machine.

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';

export function chromiumPath(): string {
    const named = process.env.CHROMIUM;
    if (named !== undefined && named !== '') return named;
    for (const name of ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']) {
        for (const folder of (process.env.PATH ?? '').split(delimiter)) {
            if (existsSync(join(folder, name))) return join(folder, name);
        }
    }
    throw new Error('no Chromium: install it (Debian: apt-get install chromium), or name one in CHROMIUM');
}

export function launch(): Promise<Browser> {
    return chromium.launch({
        executablePath: chromiumPath(),
        args: ['--no-sandbox', '--disable-gpu', '--font-render-hinting=none', '--disable-lcd-text', '--force-color-profile=srgb', '--lang=en-US'],
    });
}
