// Where the product's parts lie for the stand-in.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const APP = 'defender_bridge';
export const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), '../../../..');

/** What cargo built last, or what is named. */
export function executable(): string {
    const path = process.env.DEFENDER_BRIDGE_EXECUTABLE ?? join(REPOSITORY, 'target/debug', APP);
    if (!existsSync(path)) throw new Error(`there is no ${path}: make it with \`cargo build\``);
    return path;
}

/** The bundle, where build.mjs puts it. */
export function bundle(): string {
    const path = join(process.env.DEFENDER_BRIDGE_UI_OUT ?? join(REPOSITORY, 'target/ui'), `${APP}.js`);
    if (!existsSync(path)) throw new Error(`there is no ${path}: make it with \`npm run bundle\``);
    return path;
}
