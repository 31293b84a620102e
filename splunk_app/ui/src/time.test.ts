import { expect, test } from 'vitest';
import { age, compareInstants, exactly, instant, relative, span } from './time';

const spans = [0, 59, 60, 3599, 3600, 172_799, 172_800].map((seconds) => seconds * 1000);

test('spans are told in one unit', () => {
    expect(spans.map(span)).toEqual(['0 s', '59 s', '1 min', '59 min', '1 h', '47 h', '2 days']);
});

test('instants are told from now', () => {
    expect([relative(100_000, 100_000), relative(40_000, 100_000), relative(3_700_000, 100_000)]).toEqual(['now', '1 min ago', 'in 1 h']);
});

test('what has happened lies never ahead', () => {
    expect([age(40_000, 100_000), age(130_000, 100_000)]).toEqual(['1 min ago', 'now']);
});

test('only what Microsoft writes is an instant', () => {
    expect(instant('1970-01-01T00:01:00.5Z')).toBe(60_500);
    expect(['', 'yesterday', '1970-01-01', '1970-13-01T00:00:00Z', null].map(instant)).toEqual(Array(5).fill(undefined));
});

test('instants are compared by 100 ns, and what is none is earliest', () => {
    const [earlier, later] = ['2026-01-31T12:00:00.1234567Z', '2026-01-31T12:00:00.1234568Z'];
    expect(compareInstants(earlier, later)).toBeLessThan(0);
    expect(compareInstants(later, earlier)).toBeGreaterThan(0);
    expect(compareInstants(earlier, earlier)).toBe(0);
    expect(compareInstants('soon', earlier)).toBeLessThan(0);
    expect(compareInstants(null, 'soon')).toBe(0);
});

test('an instant in full says its time zone', () => {
    expect(exactly(0)).toMatch(/^(Jan 1, 1970|Dec 31, 1969), .* [A-Z]/u);
});
