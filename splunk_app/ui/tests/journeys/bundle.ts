// Journeys look at the bundle, so it is made first.

import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export default function setup(): void {
    const ui = join(dirname(fileURLToPath(import.meta.url)), '../..');
    execFileSync(process.execPath, [join(ui, 'build.mjs')], { stdio: 'inherit' });
}
