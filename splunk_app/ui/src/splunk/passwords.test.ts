import { describe, expect, test } from 'vitest';
import { entryName, pieces } from './passwords';

describe('the name of an entry', () => {
    test.each([
        ['contoso', 'defender_bridge:contoso:'],
        ['a:b', 'defender_bridge:a\\:b:'],
        ['a\\b', 'defender_bridge:a\\\\b:'],
        ['\\:', 'defender_bridge:\\\\\\::'],
        ['$& / 50%#1', 'defender_bridge:$& / 50%#1:'],
    ])('of %s is written as splunkd writes it', (name, expected) => {
        expect(entryName(name)).toBe(expected);
    });
});

describe('a long secret', () => {
    test('is cut at 255 bytes and loses nothing', () => {
        const key = 'x'.repeat(1000);
        const parts = pieces(key);
        expect(parts.map((part) => part.length)).toEqual([255, 255, 255, 235]);
        expect(parts.join('')).toBe(key);
    });

    test('is never cut inside a character', () => {
        const secret = 'é😀'.repeat(100);
        const parts = pieces(secret, 10);
        expect(parts.join('')).toBe(secret);
        for (const part of parts) expect(new TextEncoder().encode(part).length).toBeLessThanOrEqual(10);
    });

    test('that fits stays whole', () => {
        expect(pieces('short')).toEqual(['short']);
        expect(pieces('y'.repeat(255))).toHaveLength(1);
    });
});
