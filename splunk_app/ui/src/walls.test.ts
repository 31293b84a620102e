// Which folder may use which, for the pages what tests/it/house.rs is for the executable.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const PAGES = ['pages/configuration', 'pages/inputs', 'pages/triage'];
const TRIAGE = (...names: string[]) => ['strings', ...names].map((name) => `pages/triage/${name}`);
const BELOW = ['parts', 'splunk', 'strings', 'time'];
/** Everybody may use what lies in the same folder. Of two names the longer one counts. */
const MAY_USE: Record<string, string[]> = {
    strings: [],
    time: ['strings'],
    splunk: ['strings'],
    theme: ['splunk'],
    parts: ['splunk', 'strings', 'theme', 'time'],
    'pages/inputs': BELOW,
    'pages/configuration': [...BELOW, 'pages/inputs'],
    'pages/triage/strings': [],
    'pages/triage/model': ['splunk', 'time', ...TRIAGE()],
    'pages/triage/parts': [...BELOW, ...TRIAGE('model')],
    'pages/triage/queue': [...BELOW, ...TRIAGE('model', 'parts')],
    'pages/triage/details': [...BELOW, ...TRIAGE('model', 'parts')],
    'pages/triage/verdict': [...BELOW, ...TRIAGE('model', 'parts')],
    'pages/triage/history': [...BELOW, ...TRIAGE('model', 'parts', 'verdict')],
    'pages/triage': [...BELOW, ...TRIAGE('model', 'parts', 'queue', 'details', 'verdict', 'history')],
    'pages/registry': PAGES,
    main: ['parts', 'pages/registry'],
};

const source = dirname(fileURLToPath(import.meta.url));
const read = (folder: string): Map<string, string> =>
    new Map(
        readdirSync(folder, { recursive: true, encoding: 'utf8' })
            .filter((path) => /\.tsx?$/u.test(path))
            .map((path) => [path.replaceAll('\\', '/'), readFileSync(join(folder, path), 'utf8')]),
    );
const files = read(source);
const product = [...files.keys()].filter((path) => !/\.test\.tsx?$/u.test(path));

/** The files that a file imports, types among them. */
function imports(path: string): string[] {
    const named = [...(files.get(path) ?? '').matchAll(/(?:from|import) '(\.[^']*)'/gu)].map((found) => found[1] ?? '');
    return named.map((name) => {
        const at = join(dirname(join(source, path)), name);
        const file = ['.ts', '.tsx', '/index.tsx'].map((ending) => at + ending).find(existsSync);
        return relative(source, file ?? at).replaceAll('\\', '/');
    });
}

function room(path: string): string {
    const rooms = Object.keys(MAY_USE).filter((name) => path.replace(/\.tsx?$/u, '') === name || path.startsWith(`${name}/`));
    return rooms.sort((one, other) => other.length - one.length)[0] ?? `${path} is in no room`;
}

test('no folder uses a folder it may not know', () => {
    const wrong = product.flatMap((path) =>
        imports(path)
            .filter((other) => room(other) !== room(path) && !MAY_USE[room(path)]?.includes(room(other)))
            .map((other) => `${path} uses ${other}`),
    );
    expect(wrong).toEqual([]);
});

test('no file leads back to itself', () => {
    const circles: string[] = [];
    const done = new Set<string>();
    const walk = (path: string, way: string[]): void => {
        if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' > '));
        else if (!done.has(path)) imports(path).forEach((other) => walk(other, [...way, path]));
        done.add(path);
    };
    product.forEach((path) => walk(path, []));
    expect(circles).toEqual([]);
});

test('a model draws nothing', () => {
    const drawing = product.filter((path) => path.startsWith('pages/triage/model/') && /'(react|@splunk|styled)/u.test(files.get(path) ?? ''));
    expect(drawing).toEqual([]);
});

test('files are named in one spelling: components and pages PascalCase.tsx, everything else camelCase.ts', () => {
    const names = [...files.keys()].filter((path) => !/(^|\/)([A-Z][A-Za-z]*\.tsx|[a-z][A-Za-z]*(\.test)?\.ts|index\.tsx|main\.tsx)$/u.test(path));
    expect(names).toEqual([]);
});

test('nothing is exported that no other file uses', () => {
    const others = new Map([...files, ...read(join(source, '../tests'))]);
    const unused = product.flatMap((path) =>
        [...(files.get(path) ?? '').matchAll(/^export (?:async )?(?:const|function|class|interface|type) (\w+)/gmu)]
            .map((found) => found[1] ?? '')
            .filter((name) => ![...others].some(([other, text]) => other !== path && new RegExp(`\\b${name}\\b`, 'u').test(text)))
            .map((name) => `${path}: ${name}`),
    );
    expect(unused).toEqual([]);
});

test('the reader of these tests sees what it looks for', () => {
    expect(imports('main.tsx')).toEqual(['parts/Frame.tsx', 'pages/registry.ts']);
    expect([room('pages/triage/index.tsx'), room('pages/triage/model/item.ts')]).toEqual(['pages/triage', 'pages/triage/model']);
    expect(product.length).toBeGreaterThan(90);
});
