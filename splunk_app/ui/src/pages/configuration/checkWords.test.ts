import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { strings } from '../../strings';

const folder = new URL('../../../../../src/bridge/check/', import.meta.url);
const rust = readdirSync(folder)
    .filter((name) => name.endsWith('.rs'))
    .map((name) => readFileSync(new URL(name, folder), 'utf8'))
    .join('\n');

test('every point that the connection test looks at has words of its own', () => {
    const points = [...rust.matchAll(/const POINT: &str = "([^"]+)"/gu)].map((found) => found[1] ?? '');
    expect(points.length).toBeGreaterThan(3);
    expect(points.filter((point) => strings.check.point[point] === undefined)).toEqual([]);
});
