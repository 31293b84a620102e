// One classic script for all pages: Splunk Web fetches it as text and evals it, so it can have neither
// modules nor chunks. What went into it is listed beside it, for the licences.
import { build } from 'esbuild';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const target = process.env.DEFENDER_BRIDGE_UI_OUT ?? join(here, '../../target/ui');
mkdirSync(target, { recursive: true });

const result = await build({
    absWorkingDir: here,
    entryPoints: ['src/main.tsx'],
    outfile: join(target, 'defender_bridge.js'),
    bundle: true,
    format: 'iife',
    platform: 'browser',
    target: ['chrome100', 'firefox100', 'safari15'],
    jsx: 'automatic',
    minify: true,
    sourcemap: false,
    legalComments: 'none',
    charset: 'ascii',
    metafile: true,
    logLevel: 'warning',
    define: {
        'process.env.NODE_ENV': '"production"',
        // A dashboard has RequireJS: libraries that find its `define` would register there and export nothing.
        define: 'undefined',
    },
});
writeFileSync(join(target, 'meta.json'), JSON.stringify(result.metafile));
const bytes = Object.values(result.metafile.outputs)[0].bytes;
console.log(`defender_bridge.js: ${Math.round(bytes / 1000)} kB`);
