// Pictures of pages: kept, looked at by people, and compared on every run.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Page } from 'playwright-core';
import { difference } from '../../studio/pictures.mjs';
import { REPOSITORY } from '../stand-in/place';

const KEPT = join(dirname(fileURLToPath(import.meta.url)), '../../screenshots');
const SEEN = join(REPOSITORY, 'target/ui/screenshots');
/** The share of a picture that another machine's fonts may change. A missing column or message changes more. */
const TOLERATED = 0.03;

/** `UPDATE_SCREENSHOTS=1` keeps what is seen now. */
export async function expectPicture(page: Page, name: string): Promise<void> {
    await page.mouse.move(0, 0);
    const seen = await page.screenshot({ animations: 'disabled', caret: 'hide' });
    const kept = join(KEPT, `${name}.png`);
    if (process.env.UPDATE_SCREENSHOTS === '1') {
        mkdirSync(KEPT, { recursive: true });
        writeFileSync(kept, seen);
        return;
    }
    mkdirSync(SEEN, { recursive: true });
    const path = join(SEEN, `${name}.png`);
    writeFileSync(path, seen);
    expect(existsSync(kept), `there is no ${kept}: look at ${path}, and keep it with UPDATE_SCREENSHOTS=1`).toBe(true);
    const share = difference(readFileSync(kept), seen);
    expect(share, `${path} looks unlike ${kept}: look at both, and keep the new one with UPDATE_SCREENSHOTS=1 if it is right`).toBeLessThanOrEqual(TOLERATED);
}
