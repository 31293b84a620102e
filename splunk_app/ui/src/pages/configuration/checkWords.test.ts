import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { strings } from '../../strings';

const rust = readFileSync(new URL('../../../../../src/run/examination/ways.rs', import.meta.url), 'utf8');

test('every way to Defender that the connection test looks at has words of its own', () => {
    const points = [...rust.matchAll(/const POINT: &str = "([^"]+)"/gu)].map((found) => found[1] ?? '');
    expect(points.length).toBeGreaterThan(3);
    expect(points.filter((point) => strings.check.point[point] === undefined)).toEqual([]);
});
