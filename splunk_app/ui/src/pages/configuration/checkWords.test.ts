import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { strings } from '../../strings';

const folder = new URL('../../../../../src/bridge/check/', import.meta.url);
const rust = readdirSync(folder)
    .filter((name) => name.endsWith('.rs'))
    .map((name) => readFileSync(new URL(name, folder), 'utf8'))
    .join('\n');

test('every check of the connection test has words of its own', () => {
    const checks = [...rust.matchAll(/const CHECK: &str = "([^"]+)"/gu)].map((found) => found[1] ?? '');
    expect(checks.length).toBeGreaterThan(3);
    expect(checks.filter((check) => strings.check.check[check] === undefined)).toEqual([]);
});
