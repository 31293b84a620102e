import { expect, test } from 'vitest';
import { instant, relative, span } from './time';

test('spans are told in one unit', () => {
    expect([0, 59, 60, 3599, 3600, 172_799, 172_800].map(span)).toEqual(['0 s', '59 s', '1 min', '59 min', '1 h', '47 h', '2 days']);
});

test('instants are told from now', () => {
    expect([relative(100, 100), relative(40, 100), relative(3_700, 100)]).toEqual(['now', '1 min ago', 'in 1 h']);
});

test('only what Microsoft writes is an instant', () => {
    expect(instant('1970-01-01T00:01:00.5Z')).toBe(60.5);
    expect([instant(''), instant('yesterday'), instant('1970-01-01')]).toEqual([undefined, undefined, undefined]);
});
